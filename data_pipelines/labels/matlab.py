"""Data sets of MATLAB files of labels, one per clip."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from posegan_jax.errors import InputError
from posegan_jax.motion.labels import LabelledClip

FIRST_PIXEL = 1
"""MATLAB counts pixels from 1; ours count from 0."""


def read_folder(
    folder: Path, inside: str, pattern: str, read: Callable[[Path], LabelledClip],
    on_file: Callable[[], Any],
) -> list[LabelledClip]:
    """The clips of all files of a data set.

    Args:
      folder: of the data set, or the one in it that has the files.
      inside: name of the folder that has the files.
      pattern: of the files in there.
      read: a file's path -> its clip.
      on_file: called once for every file.

    Raises:
      InputError: there are no files, or ``read`` refuses one.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    place = folder / inside if (folder / inside).is_dir() else folder
    files = sorted(path for path in place.glob(pattern) if not path.name.startswith("."))
    if not files:
        raise InputError(f"{folder}: holds no {inside}/{pattern}")
    clips = []
    for path in files:
        clips.append(read(path))
        on_file()
    return clips


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
