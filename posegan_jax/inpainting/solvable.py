"""Which windows of a track can be solved, and windows as devices want them."""

import numpy as np

from posegan_jax.pose.windows import gather, starts

TINY = 1e-9
"""Distance of two places, relative to their coordinates, from which they are two: above the
rounding of double precision, below what any picture resolves."""
_AT_ONCE = 256  # windows that are looked at, which bounds the memory


def any_solvable(x: np.ndarray, mask: np.ndarray, frames: int) -> bool:
    """Whether some window of so many frames of a track (T, J, 2), seen where (T, J), is."""
    first = starts(len(mask), frames, 1)
    for some in np.split(first, range(_AT_ONCE, len(first), _AT_ONCE)):
        if solvable(*(gather(array, some, frames, 0.0) for array in (x, mask))).any():
            return True
    return False


def solvable(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Which windows show two joints at two places: anything less has neither size nor direction.

    Args:
      x: (N, F, J, 2) pixels; missing joints may hold anything.
      mask: (N, F, J) weights of the observations, 0 = missing.

    Returns:
      (N,) bool. A joint's place is the mean over the window: its own path is no size.
    """
    there = mask > 0
    count = there.sum(axis=1)[..., None]
    place = np.where(there[..., None], x, 0.0).sum(axis=1) / np.maximum(count, 1)
    least, most = (
        reduce(np.where(count > 0, place, empty), axis=1)
        for reduce, empty in ((np.min, np.inf), (np.max, -np.inf))
    )
    far = np.maximum(np.abs(least), np.abs(most)).max(axis=-1)
    return (most - least).max(axis=-1) > TINY * far


def centered(x: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Windows around 0, since the devices compute in single precision, wherever in a picture.

    Args:
      x: (N, F, J, 2) pixels; missing joints may hold anything.
      mask: (N, F, J) weights of the observations, 0 = missing.

    Returns:
      (N, F, J, 2) pixels from the mean of what is observed, 0 where missing; and (N, 1, 1, 2) that
      mean.
    """
    there = (mask > 0)[..., None]
    count = np.maximum(there.sum(axis=(1, 2), keepdims=True), 1)
    center = np.where(there, x, 0.0).sum(axis=(1, 2), keepdims=True) / count
    return np.where(there, x - center, 0.0), center


def choose(
    keypoints: list[np.ndarray], masks: list[np.ndarray], first: list[np.ndarray], frames: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
    """The windows of tracks that can be solved, as devices want them.

    Args:
      keypoints: (T, J, 2) of each track, pixels; missing joints may hold anything.
      masks: (T, J) weights of the observations, 0 = missing.
      first: (N,) frame of each window.
      frames: of a window.

    Returns:
      (M, F, J, 2) around 0 and in single precision, (M, 1, 1, 2) what they are around, (M, F, J)
      weights; and for each track (N,) bool, which of the windows these are.
    """
    parts, useful = [], []
    for track, mask, starting in zip(keypoints, masks, first, strict=True):
        found = []
        for some in np.split(starting, range(_AT_ONCE, len(starting), _AT_ONCE)):
            x, weigh = (gather(array, some, frames, 0.0) for array in (track, mask))
            found.append(solvable(x, weigh))
            inside, center = centered(x[found[-1]], weigh[found[-1]])
            parts.append((inside.astype(np.float32), center, weigh[found[-1]]))
        useful.append(np.concatenate(found))
    inside, center, weigh = map(np.concatenate, zip(*parts, strict=True))
    return inside, center, weigh, useful
