"""Cutting a sequence of any length into windows of a fixed one (thesis, section 6, figure 5)."""

import numpy as np


def starts(length: int, frames: int, shift: int) -> np.ndarray:
    """First frames of the windows: every ``shift`` frames, the last one anchored at the end.

    A sequence of 68 frames in windows of 24 shifted by 8 gives 0, 8, ..., 40, 44. A sequence that
    is no longer than a window gives one window at 0.

    Raises:
      ValueError: shift is not in 1..frames, which would leave frames uncovered.
    """
    if not 1 <= shift <= frames:
        raise ValueError(f"shift must be between 1 and {frames}, not {shift}")
    last = max(length - frames, 0)
    return np.append(np.arange(0, last, shift), last)


def gather(array: np.ndarray, starts: np.ndarray, frames: int, fill: float) -> np.ndarray:
    """Windows (N, frames, ...) of an array (T, ...); frames beyond its end hold ``fill``."""
    index = starts[:, None] + np.arange(frames)
    windows = array[np.minimum(index, len(array) - 1)]
    windows[index >= len(array)] = fill
    return windows
