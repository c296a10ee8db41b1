"""Prepared motion capture, read once into arrays that live on the device."""

import dataclasses
import fnmatch
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.motion.clip import THESIS, Clip, select
from posegan_jax.motion.npz import read_motion
from posegan_jax.motion.procedural import procedural_clips
from posegan_jax.pose.skeleton import Skeleton

SKELETON = THESIS.name
"""What motion is read for unless another skeleton is asked for."""


class MotionStore(NamedTuple):
    """All motion of a split, on one skeleton.

    It holds arrays alone, since it goes into compiled programs as one of their arguments; the
    names of the J joints are with whoever asked ``load_clips`` for them.

    Attributes:
      positions: (total frames, J, 3) float32 millimetres, y up; clips one after another.
      starts: (W,) int32 first frames of the windows; no window crosses from one clip to the next.
    """

    positions: jax.Array | np.ndarray
    starts: jax.Array | np.ndarray


def load_clips(source: str, split: str, skeleton: Skeleton = THESIS) -> list[Clip]:
    """Reads the clips of a split, and picks the joints of a skeleton by their names.

    Args:
      source: 'procedural' for the embedded set; the folder of a set prepared by data_pipelines
        (TFDS, array_record); or .npz files of the same fields, separated by commas.
      split: 'train' or 'validation'.
      skeleton: the joints that are wanted; those that a set has besides are left out.

    Raises:
      InputError: there is no such set, it is not readable, it lacks joints of the skeleton, or it
        has no clip of the split.
    """
    if source == "procedural":
        return _on(skeleton, procedural_clips(split), source)
    paths = [Path(part) for part in source.split(",")]
    if all(path.suffix == ".npz" for path in paths):
        read = ((path, read_motion(path).clips.get(split, [])) for path in paths)
        clips = [clip for path, found in read for clip in _on(skeleton, found, path)]
    elif len(paths) == 1:
        clips = _on(skeleton, _read_prepared(paths[0], split), source)
    else:
        raise InputError(f"{source}: give one prepared folder, or .npz files separated by commas")
    if not clips:
        raise InputError(f"{source}: no clips of the split {split!r}")
    return clips


def leave_out(clips: Iterable[Clip], unwanted: Sequence[str]) -> list[Clip]:
    """The clips that are wanted.

    Args:
      clips: some.
      unwanted: names of others, with '*' and '?' for any characters; of NAME:FRAME the frames from
        that one on.

    Raises:
      InputError: what follows a colon is no frame.
    """
    kept = list(clips)
    for entry in unwanted:
        name, colon, first = entry.partition(":")
        if colon and not first.isdecimal():
            raise InputError(f"data.leave_out: {entry!r} must be NAME or NAME:FRAME")
        kept = [
            dataclasses.replace(clip, positions=clip.positions[: int(first or 0)])
            if fnmatch.fnmatchcase(clip.name, name) else clip
            for clip in kept
        ]
    return [clip for clip in kept if len(clip.positions)]


def build_store(clips: Iterable[Clip], frames: int, stride: int) -> MotionStore:
    """Joins clips into one array and lists the windows in it.

    Args:
      clips: at one frame rate, of the same joints.
      frames: length of a window.
      stride: frames from one window to the next.

    Raises:
      InputError: no clip is long enough, or frame rates or joints differ.
    """
    clips = list(clips)
    rates = sorted({clip.fps for clip in clips})
    if len(rates) > 1:
        raise InputError(f"clips of different frame rates {rates}: prepare them at one rate")
    if len({clip.joints for clip in clips}) > 1:
        raise InputError("clips of different joints: load them for one skeleton")
    starts, first = [], 0
    for clip in clips:
        starts.append(first + np.arange(0, len(clip.positions) - frames + 1, stride))
        first += len(clip.positions)
    starts = np.concatenate(starts) if starts else np.zeros(0)
    if not len(starts):
        raise InputError(f"no clip is as long as a window ({frames} frames)")
    positions = np.concatenate([clip.positions for clip in clips])
    return MotionStore(positions.astype(np.float32), starts.astype(np.int32))


def _on(skeleton: Skeleton, clips: Iterable[Clip], source: object) -> list[Clip]:
    """Clips on the joints of a skeleton, in its order."""
    return [
        dataclasses.replace(
            clip, positions=clip.positions[:, select(clip.joints, skeleton, source)],
            joints=skeleton.joints,
        )
        for clip in clips
    ]


def _read_prepared(path: Path, split: str) -> Iterable[Clip]:
    if not path.is_dir():
        raise InputError(f"{path}: no prepared motion set there")
    folder = _version_folder(path)
    import tensorflow_datasets as tfds  # slow to import, and needed here alone

    try:
        builder = tfds.builder_from_directory(folder)
        joints = tuple(builder.info.metadata["joints"])
        if split not in builder.info.splits:
            return
        source = builder.as_data_source(split=split)
    except Exception as error:  # TFDS raises many kinds for one cause: this is no prepared set
        raise InputError(f"{path}: not a prepared motion set ({_first_line(error)})") from error
    for example in source:
        yield Clip(
            positions=example["positions"],
            fps=float(example["fps"]),
            subject=_text(example["subject"]),
            name=_text(example["name"]),
            text=_text(example["text"]),
            joints=joints,
        )


def _version_folder(path: Path) -> Path:
    """``path`` itself, or the newest version below it (out/<dataset>/<version>)."""
    if (path / "dataset_info.json").is_file():
        return path
    found = sorted(path.glob("**/dataset_info.json"))
    if not found:
        raise InputError(f"{path}: no prepared motion set there (dataset_info.json is missing)")
    return found[-1].parent


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _text(value) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
