"""Text files whose errors are told by line."""

import math
from pathlib import Path
from typing import NoReturn

import numpy as np

from posegan_jax.errors import InputError


class TextFile:
    """The words of a file's lines.

    Attributes:
      path: of the file.
      lines: (number from 1, words) of every line that is neither empty nor a comment (#).

    Raises:
      InputError: the file is missing, or no text.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        except UnicodeDecodeError:
            raise InputError(f"{path}: not a text file") from None
        numbered = ((i, line.split()) for i, line in enumerate(text.splitlines(), 1))
        self.lines = [(i, words) for i, words in numbered if words and words[0][0] != "#"]

    def fail(self, line: int, problem: str) -> NoReturn:
        """Raises InputError that names a line."""
        raise InputError(f"{self.path}, line {line}: {problem}")

    def numbers(self, line: int, words: list[str], count: int | None = None) -> list[float]:
        """Finite numbers, ``count`` of them."""
        try:
            values = [float(word) for word in words]
        except ValueError:
            self.fail(line, f"numbers expected, not {' '.join(words)[:40]!r}")
        if count is not None and len(values) != count:
            self.fail(line, f"{count} numbers expected, not {len(values)}")
        if not all(map(math.isfinite, values)):
            self.fail(line, "holds NaN or infinity")
        return values

    def table(self, rows: list[tuple[int, list[str]]], count: int) -> np.ndarray:
        """(rows, count) finite numbers."""
        try:
            values = np.array([words for _, words in rows], dtype=np.float64)
            if values.shape == (len(rows), count) and np.isfinite(values).all():
                return values
        except ValueError:
            pass
        # The slow way to the line at fault.
        values = [self.numbers(line, words, count) for line, words in rows]
        return np.array(values).reshape(len(rows), count)
