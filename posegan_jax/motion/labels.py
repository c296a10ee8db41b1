"""Labelled video: 2D joints that people marked by hand in the frames of real video."""

import dataclasses
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.motion.npz import Arrays, check_clips, read_arrays
from posegan_jax.runtime.files import atomic_path

NONE, GUESSED, VISIBLE = 0, 1, 2
"""What ``label`` says of a joint in a frame."""
CORNER = 2.0
"""Pixels from the upper left corner of the picture, in x and in y, within which a guess is none.

Tools leave joints that nobody marked there, at 0 or at 1, and pictures that were enlarged later
took them along: in Penn Action, to 1.5."""
_TENTHS, _PIXELS = "keypoints_tenths", "keypoints"
_MISSING = -32768
_CLIP_ARRAYS = {"clip_start": "iu", "clip_length": "iu", "clip_name": "U"}
_OPTIONAL = {"clip_action": "U", "clip_view": "U", "clip_fps": "iuf"}


@dataclasses.dataclass(frozen=True)
class LabelledClip:
    """A stretch of one video, one person, and the joints that were marked.

    Attributes:
      keypoints: (T, K, 2) float64 pixels, y down; NaN where a joint has no label.
      guessed: (T, K) bool, joints that have a label but were hidden: the annotator's guess.
      joints: names of the K joints.
      name: of the clip in its data set.
      action: what the person does; '' where that is not known.
      view: from where the person is seen; '' where that is not known.
      fps: frames per second of ``keypoints``; None where that is not known.
    """

    keypoints: np.ndarray
    guessed: np.ndarray
    joints: tuple[str, ...]
    name: str
    action: str = ""
    view: str = ""
    fps: float | None = None

    @property
    def labelled(self) -> np.ndarray:
        """(T, K) bool, joints that have a label."""
        return np.isfinite(self.keypoints).all(axis=-1)


def in_corner(keypoints: np.ndarray) -> np.ndarray:
    """(..., 2) pixels -> (...) bool, places that are no guesses, see ``CORNER``."""
    return np.all((keypoints >= 0) & (keypoints <= CORNER), axis=-1)


def is_labels(path: str | Path) -> bool:
    """Whether a file has the layout that ``save_labels`` writes, by its arrays' names alone."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
    return {"label", "joints", "clip_start"} <= names and bool({_TENTHS, _PIXELS} & names)


def load_labels(path: str | Path) -> list[LabelledClip]:
    """Reads labelled video; data_pipelines/README.md has the layout. Joints are just names.

    Guesses in the picture's corner are left out, see ``CORNER``.

    Raises:
      InputError: the file is missing or unreadable, lacks arrays, or they do not fit the layout.
    """
    path = Path(path)
    arrays = read_arrays(path, ("label", "joints", *_CLIP_ARRAYS))
    keypoints = _keypoints(path, arrays)
    kinds = _CLIP_ARRAYS | {name: kind for name, kind in _OPTIONAL.items() if name in arrays}
    # NaN, which is no fault here, must not hide infinity, which is one.
    known = arrays | {_PIXELS: np.where(np.isnan(keypoints), 0.0, keypoints)}
    joints = check_clips(path, known, _PIXELS, 2, kinds, named="clip_name")
    label = _checked_label(path, arrays["label"], keypoints, joints)
    label = np.where((label == GUESSED) & in_corner(keypoints), NONE, label)
    keypoints = np.where((label == NONE)[..., None], np.nan, keypoints)
    count = arrays["clip_start"].size
    actions, views, rates = (
        arrays[name].tolist() if name in arrays else [default] * count
        for name, default in (("clip_action", ""), ("clip_view", ""), ("clip_fps", math.nan))
    )
    clips = []
    for start, length, name, action, view, fps in zip(
        *(arrays[name].tolist() for name in _CLIP_ARRAYS), actions, views, rates, strict=True
    ):
        if not (math.isnan(fps) or 0 < fps < math.inf):
            raise InputError(
                f"{path}: clip_fps of clip {name} must be positive, or NaN where it is not known"
            )
        part = slice(start, start + length)
        clips.append(
            LabelledClip(
                keypoints[part], label[part] == GUESSED, joints, name, action, view,
                None if math.isnan(fps) else float(fps),
            )
        )
    return clips


def save_labels(path: str | Path, clips: Sequence[LabelledClip], **texts: str) -> None:
    """Writes clips of the same joints as one .npz file, which appears when it is whole.

    Places are rounded to tenths of a pixel. Where one is too far out for that, beyond 3,276
    pixels, all of them are written as float32.

    Args:
      path: of the file.
      clips: what to write, at least one.
      **texts: kept beside them, say where they come from.

    Raises:
      InputError: there are no clips, their arrays do not fit their joints, they are of different
        joints, or the file cannot be written.
    """
    _check(path, clips)
    keypoints = np.concatenate([clip.keypoints for clip in clips]).astype(np.float64)
    guessed = np.concatenate([clip.guessed for clip in clips]).astype(bool)
    labelled = np.concatenate([clip.labelled for clip in clips])
    lengths = np.array([len(clip.keypoints) for clip in clips])
    tenths = np.rint(10 * np.where(labelled[..., None], keypoints, 0.0))
    content: dict[str, Any] = {name: np.array(text) for name, text in texts.items()}
    if np.abs(tenths).max(initial=0) < -_MISSING:
        content[_TENTHS] = np.where(labelled[..., None], tenths, _MISSING).astype(np.int16)
    else:
        content[_PIXELS] = np.where(labelled[..., None], keypoints, np.nan).astype(np.float32)
    content |= {
        "label": np.where(labelled, np.where(guessed, GUESSED, VISIBLE), NONE).astype(np.uint8),
        "joints": np.array(clips[0].joints),
        "clip_start": np.cumsum(lengths) - lengths,
        "clip_length": lengths,
        "clip_name": np.array([clip.name for clip in clips]),
        "clip_action": np.array([clip.action for clip in clips]),
        "clip_view": np.array([clip.view for clip in clips]),
    }
    if any(clip.fps for clip in clips):
        content["clip_fps"] = np.array([clip.fps or math.nan for clip in clips], np.float32)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **content)


def _keypoints(path: Path, arrays: Arrays) -> np.ndarray:
    """(N, K, 2) pixels, NaN where there is no place; the shape is not checked yet."""
    if _TENTHS in arrays:
        tenths = arrays[_TENTHS]
        if tenths.dtype.kind != "i":
            raise InputError(f"{path}: {_TENTHS} must be whole numbers, not {tenths.dtype}")
        return np.where(tenths == _MISSING, np.nan, tenths / 10)
    if _PIXELS not in arrays:
        raise InputError(f"{path}: lacks the array {_TENTHS}, or {_PIXELS}")
    if arrays[_PIXELS].dtype.kind not in "iuf":
        raise InputError(f"{path}: {_PIXELS} must be numbers, not {arrays[_PIXELS].dtype}")
    return arrays[_PIXELS].astype(np.float64)


def _checked_label(
    path: Path, label: np.ndarray, keypoints: np.ndarray, joints: tuple[str, ...]
) -> np.ndarray:
    if label.shape != keypoints.shape[:2] or label.dtype.kind not in "iu":
        raise InputError(
            f"{path}: label must be whole numbers of shape {keypoints.shape[:2]}, "
            f"not {label.dtype} {label.shape}"
        )
    if ((label < NONE) | (label > VISIBLE)).any():
        raise InputError(f"{path}: label must be {NONE}, {GUESSED} or {VISIBLE}")
    nowhere = (label != NONE) & np.isnan(keypoints).any(axis=-1)
    if nowhere.any():
        frame, joint = np.argwhere(nowhere)[0]
        raise InputError(f"{path}: {joints[joint]} has a label in row {frame}, but no place")
    return label


def _check(path: str | Path, clips: Sequence[LabelledClip]) -> None:
    if not clips:
        raise InputError(f"cannot write {path}: there are no clips")
    for clip in clips:
        if clip.joints != clips[0].joints:
            raise InputError(
                f"cannot write {path}: clips {clips[0].name} and {clip.name} are of different "
                "joints"
            )
        frames, size = len(clip.keypoints), len(clip.joints)
        if clip.keypoints.shape != (frames, size, 2) or clip.guessed.shape != (frames, size):
            raise InputError(
                f"cannot write {path}: clip {clip.name} has keypoints {clip.keypoints.shape} and "
                f"guessed {clip.guessed.shape}, which must be (frames, {size}, 2) and "
                f"(frames, {size})"
            )
