"""The .npz files of motion, read and checked in one place; data_pipelines/README.md has the layout.
"""

import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.motion.clip import Clip

Arrays = dict[str, np.ndarray]

_KINDS = {"U": "text", "iu": "whole numbers", "iuf": "numbers"}
_CLIP_ARRAYS = {
    "clip_start": "iu", "clip_length": "iu", "clip_subject": "U", "clip_name": "U",
    "clip_text": "U", "clip_split": "U",
}


class MotionFile(NamedTuple):
    """What a file of 3D motion holds.

    Attributes:
      clips: split -> its clips, in the file's order, on the file's joints.
      dataset: name of the data set; the file's own name where it gives none.
      licence: its licence and the acknowledgement that it asks for, one line; may be empty.
    """

    clips: dict[str, list[Clip]]
    dataset: str
    licence: str


def read_motion(path: Path) -> MotionFile:
    """Reads a file of 3D motion.

    Raises:
      InputError: the file is missing or unreadable, lacks arrays, or they do not fit the layout.
    """
    arrays = read_arrays(path, ("positions", "joints", "fps", *_CLIP_ARRAYS))
    joints = check_clips(path, arrays, "positions", 3, _CLIP_ARRAYS, named="clip_name")
    fps = arrays["fps"]
    if fps.size != 1 or fps.dtype.kind not in "iuf" or not 0 < fps.item() < math.inf:
        raise InputError(f"{path}: fps must be one positive number")
    clips: dict[str, list[Clip]] = {}
    for start, length, subject, name, text, split in zip(
        *(arrays[name].tolist() for name in _CLIP_ARRAYS), strict=True
    ):
        positions = arrays["positions"][start : start + length]
        clip = Clip(positions, float(fps.item()), subject, name, text, joints)
        clips.setdefault(split, []).append(clip)
    licence = " ".join(str(arrays.get("licence", "")).split())
    return MotionFile(clips, str(arrays.get("dataset", path.stem)), licence)


def read_arrays(path: Path, needed: tuple[str, ...]) -> Arrays:
    """All arrays of an .npz file.

    Raises:
      InputError: the file is missing or unreadable, or lacks one that is needed.
    """
    try:
        # A file that is no archive numpy would read as something else, or with other errors.
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise InputError(f"{path}: not an .npz file, or not the whole of one")
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: np.asarray(data[name]) for name in data.files}
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        problem = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not a readable .npz file ({problem})") from error
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise InputError(f"{path}: lacks the arrays {', '.join(missing)}")
    return arrays


def check_clips(
    path: Path, arrays: Arrays, points: str, size: int, kinds: Mapping[str, str], named: str
) -> tuple[str, ...]:
    """Checks that joints, points and clips fit together.

    Args:
      path: for messages.
      arrays: of the file.
      points: name of the array (N, J, ``size``) that holds all clips.
      size: coordinates of a point.
      kinds: the arrays that hold one value for every clip, and the kinds of dtype that they may
        have; 'clip_start' and 'clip_length' are among them.
      named: the one that says which clip it is.

    Returns:
      The names of the J joints.

    Raises:
      InputError: they do not.
    """

    def require(good: bool, problem: str) -> None:
        if not good:
            raise InputError(f"{path}: {problem}")

    joints, values = tuple(map(str, arrays["joints"].ravel())), arrays[points]
    require(len(set(joints)) == len(joints) > 0, "joints must be names, each of them once")
    require(
        values.shape[1:] == (len(joints), size) and values.dtype.kind in "iuf",
        f"{points} must be numbers of shape (frames, {len(joints)}, {size}), "
        f"not {values.dtype} {values.shape}",
    )
    require(bool(np.isfinite(values).all()), f"{points} hold NaN or infinity")
    count = arrays["clip_start"].size
    for name, kind in kinds.items():
        require(
            arrays[name].shape == (count,) and arrays[name].dtype.kind in kind,
            f"{name} must be {_KINDS[kind]}, one for each of {count} clips",
        )
    start, length = arrays["clip_start"].astype(int), arrays["clip_length"].astype(int)
    outside = np.flatnonzero((start < 0) | (length < 0) | (start + length > len(values)))
    require(
        not outside.size,
        f"clip {', '.join(arrays[named][outside[:1]])} lies outside the {len(values)} frames",
    )
    return joints
