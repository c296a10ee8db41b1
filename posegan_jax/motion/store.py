"""Prepared motion capture, read once into arrays that live on the device."""

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.motion.clip import Clip
from posegan_jax.motion.procedural import procedural_clips
from posegan_jax.pose.skeleton import get_skeleton

SKELETON = "mpi_inf_3dhp"

_ARRAYS = (
    "positions joints fps clip_start clip_length clip_subject clip_name clip_text clip_split"
).split()


class MotionStore(NamedTuple):
    """All motion of a split.

    Attributes:
      positions: (total frames, J, 3) float32 millimetres, y up; clips one after another.
      starts: (W,) int32 first frames of the windows; no window crosses from one clip to the next.
    """

    positions: jax.Array | np.ndarray
    starts: jax.Array | np.ndarray


def load_clips(source: str, split: str) -> list[Clip]:
    """Reads the clips of a split.

    Args:
      source: 'procedural' for the embedded set; the folder of a set prepared by data_pipelines
        (TFDS, array_record); or .npz files of the same fields, separated by commas.
      split: 'train' or 'validation'.

    Raises:
      InputError: there is no such set, it is not readable, or it has no clip of the split.
    """
    if source == "procedural":
        return procedural_clips(split)
    paths = [Path(part) for part in source.split(",")]
    if all(path.suffix == ".npz" for path in paths):
        clips = [clip for path in paths for clip in _read_npz(path, split)]
    elif len(paths) == 1:
        clips = list(_read_prepared(paths[0], split))
    else:
        raise InputError(f"{source}: give one prepared folder, or .npz files separated by commas")
    if not clips:
        raise InputError(f"{source}: no clips of the split {split!r}")
    return clips


def build_store(clips: Iterable[Clip], frames: int, stride: int) -> MotionStore:
    """Joins clips into one array and lists the windows in it.

    Args:
      clips: at one frame rate.
      frames: length of a window.
      stride: frames from one window to the next.

    Raises:
      InputError: no clip is long enough, or frame rates differ.
    """
    clips = list(clips)
    rates = sorted({clip.fps for clip in clips})
    if len(rates) > 1:
        raise InputError(f"clips of different frame rates {rates}: prepare them at one rate")
    starts, first = [], 0
    for clip in clips:
        starts.append(first + np.arange(0, len(clip.positions) - frames + 1, stride))
        first += len(clip.positions)
    starts = np.concatenate(starts) if starts else np.zeros(0)
    if not len(starts):
        raise InputError(f"no clip is as long as a window ({frames} frames)")
    positions = np.concatenate([clip.positions for clip in clips])
    return MotionStore(positions.astype(np.float32), starts.astype(np.int32))


def _read_npz(path: Path, split: str) -> list[Clip]:
    """The layout is documented in data_pipelines/README.md."""
    arrays = _load_arrays(path)
    missing = [name for name in _ARRAYS if name not in arrays]
    if missing:
        raise InputError(f"{path}: lacks the arrays {', '.join(missing)}")
    _check_joints(path, tuple(str(name) for name in arrays["joints"]))
    _check_clips(path, arrays)
    clips = []
    for i in np.flatnonzero(arrays["clip_split"] == split):
        start, length = int(arrays["clip_start"][i]), int(arrays["clip_length"][i])
        clips.append(
            Clip(
                positions=arrays["positions"][start : start + length],
                fps=float(arrays["fps"]),
                subject=str(arrays["clip_subject"][i]),
                name=str(arrays["clip_name"][i]),
                text=str(arrays["clip_text"][i]),
            )
        )
    return clips


def _load_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        # A file that is no archive numpy would read as something else, or with other errors.
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise InputError(f"{path}: not an .npz file, or not the whole of one")
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: not a readable .npz file ({_first_line(error)})") from error


def _check_clips(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Raises InputError where arrays do not fit together; data_pipelines checks more than this."""
    positions, starts, lengths = (
        arrays[name] for name in ("positions", "clip_start", "clip_length")
    )
    if positions.shape[1:] != (len(arrays["joints"]), 3) or arrays["fps"].size != 1:
        raise InputError(f"{path}: positions must be of shape (frames, 28, 3), fps one number")
    if len({arrays[name].shape for name in _ARRAYS if name.startswith("clip_")}) > 1:
        raise InputError(f"{path}: the clip_ arrays must be of one length")
    if np.any((starts < 0) | (lengths < 0) | (starts + lengths > len(positions))):
        raise InputError(f"{path}: a clip lies outside the {len(positions)} frames")


def _read_prepared(path: Path, split: str) -> Iterable[Clip]:
    if not path.is_dir():
        raise InputError(f"{path}: no prepared motion set there")
    import tensorflow_datasets as tfds  # slow to import, and needed here alone

    try:
        builder = tfds.builder_from_directory(_version_folder(path))
        _check_joints(path, tuple(builder.info.metadata["joints"]))
        if split not in builder.info.splits:
            return
        source = builder.as_data_source(split=split)
    except InputError:
        raise
    except Exception as error:  # TFDS raises many kinds for one cause: this is no prepared set
        raise InputError(f"{path}: not a prepared motion set ({_first_line(error)})") from error
    for example in source:
        yield Clip(
            positions=example["positions"],
            fps=float(example["fps"]),
            subject=_text(example["subject"]),
            name=_text(example["name"]),
            text=_text(example["text"]),
        )


def _version_folder(path: Path) -> Path:
    """``path`` itself, or the newest version below it (out/<dataset>/<version>)."""
    if (path / "dataset_info.json").is_file():
        return path
    found = sorted(path.glob("**/dataset_info.json"))
    if not found:
        raise InputError(f"{path}: no prepared motion set there (dataset_info.json is missing)")
    return found[-1].parent


def _check_joints(path: Path, joints: tuple[str, ...]) -> None:
    expected = get_skeleton(SKELETON).joints
    if joints != expected:
        raise InputError(f"{path}: joints are not those of {SKELETON}, in its order")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _text(value) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
