"""Source files: .npz of motion capture, checked whole before anything is written.

The layout is documented in data_pipelines/README.md.
"""

import dataclasses
import math
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.motion.clip import Clip
from posegan_jax.motion.clips2d import Clip2D
from posegan_jax.pose.skeleton import get_skeleton

JOINTS = get_skeleton("mpi_inf_3dhp").joints
RATE = 25.0
"""Frames per second of every prepared clip: training joins clips of one rate only."""
SPLITS = ("train", "validation")

_TEXTS = ("clip_subject", "clip_name", "clip_text", "clip_split")
_CLIP_ARRAYS = ("clip_start", "clip_length", *_TEXTS)
_NEEDED = ("positions", "joints", "fps", *_CLIP_ARRAYS)


@dataclasses.dataclass(frozen=True)
class Source:
    """What a source file holds.

    Attributes:
      dataset: name of the data set; the file's own name where it gives none.
      licence: its licence and the acknowledgement that it asks for; may be empty.
      clips: split -> its clips, positions (T, 28, 3) float32 millimetres, T >= 2, at ``RATE``
        unless the reader was told to keep native rates.
      skipped: clips left out because they have fewer than two frames.
      views: 2D clips to test with, where the data set has them.
      notes: what the user should know beside counts, one line each.
    """

    dataset: str
    licence: str
    clips: dict[str, list[Clip]]
    skipped: int
    views: Sequence[Clip2D] = ()
    notes: Sequence[str] = ()


def read_source(path: Path) -> Source:
    """Reads and checks a source file.

    Raises:
      InputError: the file is missing or unreadable, lacks arrays, or they do not fit the layout.
    """
    arrays = _load(path)
    _check(path, arrays)
    fps = float(arrays["fps"].item())
    clips: dict[str, list[Clip]] = {split: [] for split in SPLITS}
    skipped = 0
    for start, length, subject, name, text, split in zip(
        *(arrays[name].tolist() for name in _CLIP_ARRAYS), strict=True
    ):
        positions = resample(arrays["positions"][start : start + length], fps)
        if len(positions) < 2:
            skipped += 1
        else:
            clips[split].append(Clip(positions, RATE, subject, name, text))
    return Source(
        dataset=str(arrays.get("dataset", path.stem)),
        licence=" ".join(str(arrays.get("licence", "")).split()),
        clips=clips,
        skipped=skipped,
    )


def resample(positions: np.ndarray, fps: float) -> np.ndarray:
    """Brings a clip to ``RATE`` by linear interpolation between the two nearest frames.

    Args:
      positions: (T, J, 3) at ``fps``.

    Returns:
      (T', J, 3) float32; the first frame stays, the last is the last that the clip reaches.
    """
    if fps == RATE or len(positions) < 2:
        return positions.astype(np.float32)
    step = fps / RATE
    last = len(positions) - 1
    time = step * np.arange(math.floor(last / step + 1e-6) + 1)
    index = np.minimum(time.astype(int), last - 1)
    part = (time - index)[:, None, None]
    return ((1 - part) * positions[index] + part * positions[index + 1]).astype(np.float32)


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise InputError(f"{path}: not an .npz file")
        with np.load(path, allow_pickle=False) as data:
            return {name: np.asarray(data[name]) for name in data.files}
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: not a readable .npz file ({error})") from error


def _check(path: Path, arrays: dict[str, np.ndarray]) -> None:
    def require(good: bool, problem: str) -> None:
        if not good:
            raise InputError(f"{path}: {problem}")

    missing = [name for name in _NEEDED if name not in arrays]
    require(not missing, f"lacks the arrays {', '.join(missing)}")
    require(
        tuple(map(str, arrays["joints"].ravel())) == JOINTS,
        f"joints must be the {len(JOINTS)} names of mpi_inf_3dhp, in its order",
    )
    positions, fps = arrays["positions"], arrays["fps"]
    require(
        positions.shape[1:] == (len(JOINTS), 3) and positions.dtype.kind in "if",
        f"positions must be numbers of shape (frames, {len(JOINTS)}, 3), "
        f"not {positions.dtype} {positions.shape}",
    )
    require(bool(np.isfinite(positions).all()), "positions hold NaN or infinity")
    require(
        fps.size == 1 and fps.dtype.kind in "iuf" and 0 < fps.item() < math.inf,
        "fps must be one positive number",
    )
    count = arrays["clip_start"].size
    require(count > 0, "holds no clips")
    for name in _CLIP_ARRAYS:
        array, kind = arrays[name], "text" if name in _TEXTS else "whole numbers"
        require(
            array.shape == (count,) and array.dtype.kind in ("U" if name in _TEXTS else "iu"),
            f"{name} must be {kind}, one for each of {count} clips",
        )
    start, length = arrays["clip_start"].astype(int), arrays["clip_length"].astype(int)
    outside = np.flatnonzero((start < 0) | (length < 0) | (start + length > len(positions)))
    require(
        not outside.size,
        f"clip {', '.join(arrays['clip_name'][outside[:1]])} lies outside "
        f"the {len(positions)} frames",
    )
    others = sorted(set(arrays["clip_split"].tolist()) - set(SPLITS))
    require(not others, f"clip_split must be {' or '.join(SPLITS)}, not {', '.join(others)}")
