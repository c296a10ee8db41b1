"""Methods that complete windows of a fixed length: what they are, and how they complete a track."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from posegan_jax.geometry.body import pose_size
from posegan_jax.inpainting.compose import compose
from posegan_jax.pose.windows import gather, starts

FEWEST = 2
"""Joints that must be observed in a window, as one tells no size."""


class WindowModel(Protocol):
    """What completes windows of F frames."""

    @property
    def frames(self) -> int:
        """F."""

    def complete_all(self, windows: np.ndarray) -> np.ndarray:
        """(N, F, J, 2) with NaN where missing -> complete; what is observed is kept.

        Windows of which nothing can be told stay as they are.
        """


def complete_track(
    model: WindowModel, keypoints: np.ndarray, shift: int | None = None
) -> np.ndarray:
    """A track of any length by overlapping windows, blended as ours are; (T, J, 2).

    Args:
      model: of windows of F frames.
      keypoints: NaN where missing; what is observed is kept.
      shift: frames between windows, half of F by default.
    """
    frames = model.frames
    first = starts(len(keypoints), frames, shift or max(frames // 2, 1))
    windows = model.complete_all(gather(keypoints, first, frames, np.nan))
    return blend(windows, first, keypoints)


def blend(windows: np.ndarray, first: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """A track (T, J, 2) of completed windows (N, F, J, 2) that begin at frames (N,); those of which
    something is NaN do not count, and what is observed is kept."""
    whole = np.isfinite(windows).all(axis=(1, 2, 3))
    if not whole.any():
        return keypoints.copy()
    result = compose(
        windows[whole], first[whole], len(keypoints), keypoints, np.zeros(keypoints.shape[:2]),
        np.zeros(whole.sum()), "blend",
    )
    return np.where(np.isfinite(keypoints), keypoints, result)


def complete_patterns(
    windows: np.ndarray, others: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Windows, completed pattern by pattern; those of fewer than two observed joints stay as they
    are.

    Args:
      windows: (N, F, J, 2) with NaN where missing.
      others: function of the observed points (n, K, 2) of windows that lack the same joints, and
        of their pattern (F J,), True where a joint of a frame is observed, to the other points
        (n, F J - K, 2).
    """
    points = windows.reshape(len(windows), -1, 2)
    patterns, which = np.unique(np.isfinite(points[..., 0]), axis=0, return_inverse=True)
    result = points.copy()
    for i, seen in enumerate(patterns):
        if FEWEST <= seen.sum() < seen.size:
            rows = np.flatnonzero(which.ravel() == i)
            result[np.ix_(rows, ~seen)] = others(points[np.ix_(rows, seen)], seen)
    return result.reshape(windows.shape)


def fit_frame(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Center (N, 1, 2) and size (N, 1, 1) of points (N, K, 2)."""
    return points.mean(axis=1, keepdims=True), np.maximum(pose_size(points), 1e-9)[:, None, None]
