"""What commands of the pipelines share: how they end, and what they say of bad input."""

import argparse
import sys
from collections.abc import Callable, Iterable
from typing import Any

from posegan_jax.errors import InputError


class Parser(argparse.ArgumentParser):
    """Bad arguments are bad input like any other."""

    def error(self, message: str):
        """Raises InputError."""
        raise InputError(f"{message} (see --help)")


def run(work: Callable[[], tuple[Any, Iterable[str]]]) -> int:
    """Does the work and prints what it wrote, and lines about it.

    Args:
      work: gives the path of what was written, and the lines.

    Returns:
      The exit code: 0, 2 on bad input, 130 when interrupted.
    """
    try:
        out, lines = work()
    except InputError as error:
        print(f"data_pipelines: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("data_pipelines: interrupted; nothing is written", file=sys.stderr)
        return 130
    print(f"{out}:", *lines, sep="\n")
    return 0
