"""posegan_jax against PyTorch, in one run on one machine.

``__main__`` is the command. ``tasks``, ``gpu`` and ``sizes`` say what is timed, ``models`` of which
models, ``timing`` how, ``check`` compares both before, ``report`` tells what was found.
"""
