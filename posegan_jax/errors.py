"""What a user is told instead of a traceback."""

import operator
from typing import Any


class InputError(ValueError):
    """Bad input: a file, a value or a flag. Its message is one line: where, what, what to do.

    The command line prints the message alone and exits with a non-zero code.
    """


class OptionError(InputError):
    """An option that has a value it cannot have.

    Attributes:
      name: of the option, as its dataclass knows it.
      rule: what is wrong, as the end of a sentence that the name begins.
    """

    def __init__(self, name: str, rule: str):
        super().__init__(f"{name} {rule}")
        self.name, self.rule = name, rule

    def __reduce__(self):
        return OptionError, (self.name, self.rule)

    def named(self, name: str) -> "OptionError":
        """The same of the name that the user typed."""
        return OptionError(name, self.rule)


def whole(name: str, value: Any) -> int:
    """An option that counts something.

    Raises:
      OptionError: it is no whole number.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise OptionError(name, f"must be a whole number, not {value!r}") from None


def out_of_memory(error: Exception) -> str | None:
    """One line on an error that memory ran out, of the host or of a device; None for any other."""
    text = " ".join(str(error).split())
    # By its name, as jax is not to be imported for it.
    if type(error).__name__ == "JaxRuntimeError" and "RESOURCE_EXHAUSTED" in text:
        return (
            f"the device ran out of memory ({text[:200]}); see what else runs on it, or choose "
            "another one by JAX_PLATFORMS or CUDA_VISIBLE_DEVICES"
        )
    if isinstance(error, MemoryError):
        return f"this machine ran out of memory ({text or 'no details'}); see what else runs on it"
    return None
