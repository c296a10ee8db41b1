"""Source files: .npz of motion capture, checked whole before anything is written.

The layout is documented in data_pipelines/README.md.
"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.motion.clip import THESIS, Clip
from posegan_jax.motion.clips2d import Clip2D
from posegan_jax.motion.npz import read_motion

JOINTS = THESIS.joints
"""What recordings are brought to."""
RATE = 25.0
"""Frames per second of every prepared clip: training joins clips of one rate only."""
SPLITS = ("train", "validation")


@dataclasses.dataclass(frozen=True)
class Source:
    """What a source file holds.

    Attributes:
      dataset: name of the data set; the file's own name where it gives none.
      licence: its licence and the acknowledgement that it asks for; may be empty.
      clips: split -> its clips, positions (T, J, 3) float32 millimetres, T >= 2, at ``RATE``
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
      InputError: as ``read_motion``, or the file holds no clips, or clips of other splits.
    """
    file = read_motion(path)
    if not file.clips:
        raise InputError(f"{path}: holds no clips")
    others = sorted(set(file.clips) - set(SPLITS))
    if others:
        raise InputError(
            f"{path}: clip_split must be {' or '.join(SPLITS)}, not {', '.join(others)}"
        )
    clips: dict[str, list[Clip]] = {split: [] for split in SPLITS}
    skipped = 0
    for split, found in file.clips.items():
        for clip in found:
            positions = resample(clip.positions, clip.fps)
            if len(positions) < 2:
                skipped += 1
            else:
                clips[split].append(dataclasses.replace(clip, positions=positions, fps=RATE))
    return Source(file.dataset, file.licence, clips, skipped)


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
