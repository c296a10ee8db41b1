"""MATLAB files of labels: one per clip."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from posegan_jax.errors import InputError


def load(path: Path, needed: tuple[str, ...]) -> Mapping[str, Any]:
    """The variables of a file.

    Raises:
      InputError: not a MATLAB 5 file, or it lacks a variable that is needed.
    """
    try:
        with path.open("rb") as file:
            content = scipy.io.loadmat(file)
    except MemoryError:
        raise
    except Exception as error:  # SciPy raises a dozen kinds for a damaged file
        problem = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not a readable MATLAB 5 file ({problem})") from error
    missing = [name for name in needed if name not in content]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}")
    return content


def numbers(path: Path, content: Mapping[str, Any], name: str) -> np.ndarray:
    """A variable as float64. Raises InputError if it is no numbers."""
    values = np.asarray(content[name])
    if values.dtype.kind not in "biuf":
        raise InputError(f"{path}: {name} must be numbers")
    return values.astype(np.float64)


def text(content: Mapping[str, Any], name: str) -> str:
    """A variable that is a line of text; '' where there is none."""
    values = np.asarray(content.get(name, ""))
    is_text = values.size == 1 and values.dtype.kind == "U"
    return " ".join(str(values.item()).split()) if is_text else ""
