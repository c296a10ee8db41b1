"""The one error that a user can cause."""


class InputError(ValueError):
    """Bad input: a file, a value or a flag. Its message is one line: where, what, what to do.

    The command line prints the message alone and exits with a non-zero code.
    """
