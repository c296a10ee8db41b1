"""Noise of a track's observations, measured on the observations alone."""

import math

import numpy as np

from posegan_jax.pose.median import median

SMOOTH, MARKED = 0.005, 0.01
"""Jitter, in body sizes, that is none, of tracks with scores that differ and of others: exact
motion shows .001 to .005 of it where it is slow (motion capture, 25 frames per second), what people
mark by hand .003 to .01, and detectors .006 to .02."""
WHITE = 0.2
"""Share of the variance of a detector's error that is white: what lasts for longer cannot be told
from motion. Chosen with validation subjects, whose simulated detector errs as ``evaluation.noise``
says."""
STILL = 0.25
"""Share of coordinates that stay exactly as they were, while others move, from which on places are
taken to be rounded."""
CLOSE, MOSTLY = 0.1, 0.9
"""How near multiples of a step, as a share of it, ways between rounded places are, and how many."""
ENOUGH = 8
"""Numbers that a joint's jitter is told from at least, and frames that differ."""
TOGETHER = 96
"""Numbers that a track's is told from at least, of all such joints, for observations to be moved.
With many holes there are but fourth differences of a few joints, which fast motion has, too: 32 of
them called a right track so noisy that a joint was moved by a head and a half."""
SPIKE = 0.5
"""Distance, in body sizes, at which a joint that leaves its path for a frame or two is wrong: a
head's size, which motion would have to go and come back within two or three frames."""


def noise_level(rough: float, detected: bool) -> float:
    """Standard deviation per coordinate of a detector's error, in body sizes; 0: none is seen.

    Args:
      rough: of ``roughness``.
      detected: whether scores differ. A detector's do; where all are alike, places may have been
        marked by hand or captured, and more is left as it is.
    """
    return math.sqrt(max(rough**2 - (SMOOTH if detected else MARKED) ** 2, 0.0) / WHITE)


def roughness(keypoints: np.ndarray, size: np.ndarray) -> float:
    """Jitter of a track, of the median joint, or what rounding does to it, in body sizes; NaN:
    there is too little to tell from.

    Args:
      keypoints: (T, J, 2) pixels, NaN where missing, at about 25 frames per second or more.
      size: (T,) body size, pixels.
    """
    keypoints, size = _without_repeats(keypoints, size)
    each = jitter(keypoints, size)
    each = each[np.isfinite(each)]
    if not len(each):
        return math.nan
    return max(float(np.median(each)), rounding(keypoints, size))


def few(keypoints: np.ndarray) -> bool:
    """Whether ``roughness`` is told from too few numbers to call anything an error.

    Args:
      keypoints: as of ``roughness``.
    """
    numbers = np.isfinite(np.diff(keypoints, n=4, axis=0)).sum(axis=(0, 2))
    return bool(numbers[numbers >= ENOUGH].sum() < TOGETHER)


def _without_repeats(keypoints: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames that differ from the one before: a stuttering video is no noise."""
    same = keypoints[1:] == keypoints[:-1]
    same |= np.isnan(keypoints[1:]) & np.isnan(keypoints[:-1])
    new = np.ones(len(keypoints), bool)
    new[1:] = ~same.all(axis=(1, 2))
    seen = np.isfinite(keypoints[..., 0]).any(axis=1)
    new |= ~seen  # gaps stay as long as they are
    return (keypoints[new], size[new]) if new.sum() >= ENOUGH else (keypoints, size)


def rounding(keypoints: np.ndarray, size: np.ndarray) -> float:
    """Standard deviation, in body sizes, of the error of places that were rounded; 0: they are not.

    Detectors deliver the cells of their heat maps: a joint stays in one, and is then in the next.
    No difference over time tells that, as most of them are 0.

    Args: as of ``roughness``.
    """
    keypoints, size = _without_repeats(keypoints, size)
    ways = np.abs(np.diff(keypoints, axis=0))
    ways = ways[np.isfinite(ways)]
    moved = ways[ways > 0]
    if not len(moved) or len(moved) > (1 - STILL) * len(ways):
        return 0.0
    step = float(np.quantile(moved, 0.1))
    multiples = np.abs(moved / step - np.round(moved / step)) <= CLOSE
    if multiples.mean() < MOSTLY:
        return 0.0
    return step / math.sqrt(12) / float(np.nanmedian(size))


def jitter(keypoints: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Standard deviation per coordinate of each joint's frame-to-frame noise, (J,) in body sizes.

    From the median size of sixth differences in the slower half of a joint's frames: human motion
    has little of them, but for what is thrown or swung. Where holes leave too few, of fourth
    differences; NaN for joints with too few of those. They are taken before they are divided by a
    size that changes, as it does not matter where in the picture a person is.

    Args:
      keypoints: (T, J, 2) pixels, NaN where missing.
      size: (T,) body size, pixels.
    """
    result = np.full(keypoints.shape[1], np.nan)
    for order in (4, 6):  # the later one counts
        if len(keypoints) <= order:
            break
        # White noise of variance 1 has differences of this variance.
        variance = math.comb(2 * order, order)
        differences = np.abs(np.diff(keypoints, n=order, axis=0))
        differences /= size[order // 2 : len(size) - order // 2, None, None]
        there = np.isfinite(differences[..., 0])
        ways = np.where(there, _fastest(keypoints, order), np.nan)
        slow = ways <= median(ways, 0)
        pairs = np.moveaxis(np.where(slow[..., None], differences, np.nan), 2, 1)
        middle = median(pairs.reshape(-1, keypoints.shape[1]), 0)[0]
        enough = 2 * there.sum(axis=0) >= ENOUGH
        result[enough] = middle[enough] / 0.6745 / np.sqrt(variance)
    return result


def _fastest(keypoints: np.ndarray, order: int) -> np.ndarray:
    """(T - order, J) pixels: the longest way in two of the ``order`` + 1 frames of a difference."""
    ways = np.linalg.norm(keypoints[2:] - keypoints[:-2], axis=-1)
    return np.lib.stride_tricks.sliding_window_view(ways, order - 1, axis=0).max(axis=-1)


def spikes(keypoints: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(T, J) bool: observations far off a path that the joint comes back to within two frames.

    Args:
      keypoints: (T, J, 2) pixels, NaN where missing.
      size: (T,) body size, pixels.
    """
    result = np.zeros(keypoints.shape[:2], bool)
    for length in (1, 2):
        span = length + 1
        if len(keypoints) <= span:
            break
        before, after = keypoints[:-span], keypoints[span:]
        travelled = np.linalg.norm(after - before, axis=-1)
        off = []
        for i in range(1, span):
            between = before + (after - before) * i / span
            here = slice(i, len(keypoints) - span + i)
            off.append(np.linalg.norm(keypoints[here] - between, axis=-1))
        limit = np.maximum(SPIKE * size[:-span, None], 2 * travelled)
        found = (np.array(off) > limit).all(0)  # never where one of them is missing
        for i in range(1, span):
            result[i : len(keypoints) - span + i] |= found
    return result
