"""Holes of joints that are seen before and after: their own path across the hole.

The networks know what people do, and a joint's path knows what this joint was doing. Which of both
counts in a hole follows from how far off either may be: the path by what it errs by across holes of
that length where nothing is missing, the networks by what they say of themselves.
"""

from typing import NamedTuple

import numpy as np

from posegan_jax.inpainting.track import runs

AROUND = 36
"""Frames of the model before and after a hole in which its path is tried."""
FEWEST = 4
"""Tries from which on they tell how well the path can be told."""
LONGEST = 48
"""Frames of the model of the longest hole that is bridged: beyond two seconds a path says nothing
of what happened."""
LEAST = 0.001
"""Deviation, in body sizes, that both have at least."""


class Bridges(NamedTuple):
    """What paths say in holes; NaN elsewhere.

    Attributes:
      places: (T, J, 2) pixels.
      deviation: (T, J) of the places, pixels, as it was found where nothing is missing.
    """

    places: np.ndarray
    deviation: np.ndarray


def bridge(
    motion: np.ndarray, deviation: np.ndarray, seen: np.ndarray, size: np.ndarray, step: float,
    share: float,
) -> np.ndarray:
    """Moves joints in holes towards their own path, by inverse variances.

    Args:
      motion: (T, J, 2) completed, pixels; observations where ``seen``.
      deviation: (T, J) of what is completed, pixels.
      seen: (T, J) bool.
      size: (T,) of the body, pixels.
      step: frames of the model per frame.
      share: of the path where it is exact and the networks know nothing.

    Returns:
      (T, J, 2) pixels.
    """
    path = bridges(motion, seen, step)
    least = LEAST * size[:, None]
    networks, paths = (deviation + least) ** 2, (path.deviation + least) ** 2
    weight = share * networks / (networks + paths)
    return np.where(
        np.isfinite(weight)[..., None], motion + weight[..., None] * (path.places - motion), motion)


def bridges(motion: np.ndarray, seen: np.ndarray, step: float) -> Bridges:
    """The paths of joints across holes, by piecewise cubics that keep their shape.

    Args:
      motion: (T, J, 2) completed, pixels.
      seen: (T, J) bool, what of it was observed.
      step: frames of the model per frame.
    """
    places, deviation = np.full(motion.shape, np.nan), np.full(seen.shape, np.nan)
    for joint in np.flatnonzero((~seen).any(axis=0) & seen.any(axis=0)):
        path, known = motion[:, joint], np.flatnonzero(seen[:, joint])
        if len(known) < 2:
            continue
        slopes = pchip_slopes(known, path[known])
        tries: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for hole in runs(~seen[:, joint]):
            before, after = hole.start - 1, hole.stop
            gap = after - before
            if before < 0 or after >= len(seen) or step * gap > LONGEST:
                continue
            k = int(np.searchsorted(known, before))
            at = (np.arange(hole.start, hole.stop) - before) / gap
            places[hole, joint] = hermite(
                path[before], path[after], gap * slopes[k], gap * slopes[k + 1], at)
            if gap not in tries:
                tries[gap] = _tries(path, seen[:, joint], gap)
            near = _near(*tries[gap], before, gap, round(AROUND / step))
            deviation[hole, joint] = near * 4 * at * (1 - at)
    return Bridges(places, deviation)


def pchip_slopes(time: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Derivatives (K, C) at knots of the cubic that keeps the shape of values (K, C).

    F. Fritsch and J. Butland, A Method for Constructing Local Monotone Piecewise Cubic
    Interpolants, 1984; at the ends the slope to the next knot.
    """
    steps = np.diff(time)[:, None].astype(float)
    secant = np.diff(values, axis=0) / steps
    slopes = np.concatenate([secant[:1], np.zeros((len(values) - 2, values.shape[1])), secant[-1:]])
    slopes[1:-1] = _inner_slopes(secant[:-1], secant[1:], steps[:-1], steps[1:])
    return slopes


def _inner_slopes(left, right, left_step, right_step):
    """Weighted harmonic means of secants where they go the same way, else 0."""
    w_left, w_right = 2 * right_step + left_step, right_step + 2 * left_step
    same = left * right > 0
    safe_left, safe_right = np.where(same, left, 1.0), np.where(same, right, 1.0)
    return np.where(same, (w_left + w_right) / (w_left / safe_left + w_right / safe_right), 0.0)


def hermite(first, last, first_slope, last_slope, at) -> np.ndarray:
    """Cubics (N, C) with given ends and derivatives, at places (N,) from 0 to 1."""
    at = at[:, None]
    rest = 1 - at
    return (
        first * rest**2 * (1 + 2 * at) + last * at**2 * (1 + 2 * rest)
        + at * rest * (rest * first_slope - at * last_slope)
    )


def _tries(path: np.ndarray, seen: np.ndarray, gap: int) -> tuple[np.ndarray, np.ndarray]:
    """Squared errors in the middle of bridges over ``gap`` frames, (N,), and where they begin.

    Those over what was observed; all of them where these are too few.
    """
    begin = np.arange(1, len(path) - gap - 1)
    if not len(begin):
        return np.empty(0), begin
    middle, half = begin + gap // 2, (gap // 2) / gap
    ends = path[begin], path[begin + gap]
    secant, one = (ends[1] - ends[0]) / gap, np.ones(1)
    slopes = (
        _inner_slopes(path[begin] - path[begin - 1], secant, one, gap * one),
        _inner_slopes(secant, path[begin + gap + 1] - path[begin + gap], gap * one, one),
    )
    rest = 1 - half
    found = (
        ends[0] * rest**2 * (1 + 2 * half) + ends[1] * half**2 * (1 + 2 * rest)
        + half * rest * gap * (rest * slopes[0] - half * slopes[1])
    )
    error = ((found - path[middle]) ** 2).sum(-1)
    whole = np.convolve(seen, np.ones(gap + 3, int))[gap + 2 :][: len(begin)] == gap + 3
    if whole.sum() >= FEWEST:
        error, begin = error[whole], begin[whole]
    return error, begin


def _near(error: np.ndarray, begin: np.ndarray, before: int, gap: int, around: int) -> float:
    """Deviation by the tries that are around a hole, by the nearest ones if those are few."""
    if not len(error):
        return np.nan
    off = np.abs(begin - before)
    chosen = off <= max(around, gap)
    if chosen.sum() < FEWEST:
        chosen = off <= np.sort(off)[min(FEWEST, len(off)) - 1]
    return float(np.sqrt(error[chosen].mean()))
