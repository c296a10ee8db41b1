"""Holes of joints that are seen before and after: their own path across the hole.

The networks know what people do, and a joint's path knows what this joint was doing. Which of both
counts in a hole follows from how far off either may be: the path by what it errs by across holes of
that length where nothing is missing, the networks by what they say of themselves.
"""

import functools
from typing import NamedTuple

import numpy as np

from posegan_jax.inpainting.track import runs

AROUND = 36
"""Frames of the model before and after a hole in which its path is tried."""
ENDS = 4
"""Frames on each side that a path which bends least goes through: few tell the direction it has
there, more would be of motion that is over."""
PREFERRED = 1.25
"""How many times the other's error the path that bends least may have: there are few tries."""
SHORT = 8
"""Frames under which what is filled is good enough to try paths on."""
FEWEST = 4
"""Tries from which on they tell how well the path can be told."""
LONGEST, LONGEST_ALONE = 48, 24
"""Frames of the model of the longest hole that is bridged, and of the longest in which no joint is
seen: beyond a second or two a path says nothing of what happened."""
LEAST = 0.001
"""Deviation, in body sizes, that both have at least."""


class Bridges(NamedTuple):
    """What paths say in holes; NaN elsewhere, and infinite deviations where nothing tells any.

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
    """Moves joints in holes towards their own path.

    By inverse variances where others are seen. Where nothing is, the networks go on from before and
    after as a path does, and do not know how far they are off: both count, by ``share``, of joints
    that are never seen, too.

    Args:
      motion: (T, J, 2) completed, pixels; observations where ``seen``.
      deviation: (T, J) of what is completed, pixels.
      seen: (T, J) bool.
      size: (T,) of the body, pixels.
      step: frames of the model per frame.
      share: of the path in frames in which nothing is seen.

    Returns:
      (T, J, 2) pixels.
    """
    path = bridges(motion, seen, step)
    least = LEAST * size[:, None]
    networks, paths = (deviation + least) ** 2, (path.deviation + least) ** 2
    weight = networks / (networks + paths)
    nothing: np.ndarray = ~np.any(seen, axis=1)
    never = np.flatnonzero(~np.any(seen, axis=0))
    weight[nothing] = share
    for gap in runs(nothing):
        length = gap.stop - gap.start + 1
        around = _around(gap.start - 1, length)
        if step * (length - 1) > LONGEST_ALONE:
            weight[gap] = 0.0
        elif _fits(around, len(motion)):
            ends = motion[around[:, None], never]
            path.places[gap, never] = np.einsum("tk,kjc->tjc", bending_least(length), ends)
    return np.where(
        np.isfinite(path.places), motion + weight[..., None] * (path.places - motion), motion)


def bridges(motion: np.ndarray, seen: np.ndarray, step: float) -> Bridges:
    """The paths of joints across holes.

    Piecewise cubics that keep their shape, or the one that bends least, whichever errs less across
    holes of that length where nothing is missing: the first are better on rough paths, the other on
    smooth ones.

    Args:
      motion: (T, J, 2) completed, pixels.
      seen: (T, J) bool, what of it was observed.
      step: frames of the model per frame.
    """
    places, deviation = np.full(motion.shape, np.nan), np.full(seen.shape, np.nan)
    trials = _Trials(motion, seen)
    for joint in map(int, np.flatnonzero((~seen).any(axis=0) & seen.any(axis=0))):
        path, known = motion[:, joint], np.flatnonzero(seen[:, joint])
        if len(known) < 2:
            continue
        slopes = pchip_slopes(known, path[known])
        for hole in runs(~seen[:, joint]):
            before, after = hole.start - 1, hole.stop
            gap = after - before
            if before < 0 or after >= len(seen) or step * (gap - 1) > LONGEST:
                continue
            k = int(np.searchsorted(known, before))
            at = (np.arange(hole.start, hole.stop) - before) / gap
            off = trials.near(joint, gap, before, max(round(AROUND / step), gap))
            around = _around(before, gap)
            room = _fits(around, len(path))
            if not room and gap >= SHORT:
                continue  # nothing tells where a long one goes
            if room and off[1] <= PREFERRED * off[0]:
                places[hole, joint] = bending_least(gap) @ path[around]
            else:
                places[hole, joint] = hermite(
                    path[before], path[after], gap * slopes[k], gap * slopes[k + 1],
                    at[:, None])
            deviation[hole, joint] = off.min() * 4 * at * (1 - at)
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


def hermite(first, last, first_slope, last_slope, at):
    """Cubics with given ends and derivatives, at places from 0 to 1; all of shapes that fit."""
    rest = 1 - at
    return (
        first * rest**2 * (1 + 2 * at) + last * at**2 * (1 + 2 * rest)
        + at * rest * (rest * first_slope - at * last_slope)
    )


def _around(before: int, gap: int) -> np.ndarray:
    """Frames on both sides of a hole whose path bends least."""
    after = before + gap
    return np.r_[before - ENDS + 1 : before + 1, after : after + ENDS]


def _fits(frames: np.ndarray, length: int) -> bool:
    """Whether a track of that length has them."""
    return bool(0 <= frames[0] and frames[-1] < length)


@functools.lru_cache(maxsize=256)
def bending_least(gap: int) -> np.ndarray:
    """(gap - 1, 2 ENDS) weights that the frames around a hole have in the path across it.

    Of all functions through the knots the natural cubic spline is the one that bends least, so it
    is a straight line and cubed distances from the knots (G. Wahba, Spline Models for Observational
    Data, 1990, 1.3).

    Args:
      gap: frames from the last one before the hole to the next after it.
    """
    knots = _around(0, gap) / gap
    time = np.arange(1, gap) / gap
    line = np.stack([np.ones(len(knots)), knots], axis=-1)
    system = np.block([[np.abs(knots[:, None] - knots) ** 3, line], [line.T, np.zeros((2, 2))]])
    each = np.stack([*np.abs(time - knots[:, None]) ** 3, np.ones(len(time)), time], axis=-1)
    return (each @ np.linalg.inv(system))[:, : len(knots)]


class _Trials:
    """Paths across holes in which nothing is missing, against what is there.

    Args:
      motion: (T, J, 2) completed, pixels.
      seen: (T, J) bool, what of it was observed.
    """

    def __init__(self, motion: np.ndarray, seen: np.ndarray):
        self._motion = motion
        self._often = np.concatenate([np.zeros((1, seen.shape[1]), int), np.cumsum(seen, axis=0)])
        self._done: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def near(self, joint: int, gap: int, before: int, reach: int) -> np.ndarray:
        """(2,) deviations, pixels: of the path that keeps its shape, and of what bends least.

        By holes of that length within reach of one after frame ``before``, or by the nearest ones
        if those are few; infinite where there are none. Where too few can be tried on what was
        observed, by such as are half as long, whose errors grow by the cube of the length; of short
        ones, by what is filled, too.
        """
        begin, error, whole = self._of(gap)
        whole = whole[:, joint]
        if whole.sum() < FEWEST and gap >= SHORT:
            shorter = gap // 2
            return (gap / shorter) ** 1.5 * self.near(joint, shorter, before, reach)
        error = error[..., joint]
        if whole.sum() >= FEWEST:
            begin, error = begin[whole], error[:, whole]
        if not len(begin):
            return np.full(2, np.inf)
        first, end = np.searchsorted(begin, (before - reach, before + reach + 1))
        chosen: slice | np.ndarray = slice(first, end)
        if end - first < FEWEST:
            off = np.abs(begin - before)
            chosen = off <= np.sort(off)[min(FEWEST, len(off)) - 1]
        return np.sqrt(error[:, chosen].mean(axis=1))

    def _of(self, gap: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(N,) frames before all holes of a length that fit into the track, (2, N, J) squared
        errors in their middle, and (N, J) bool, whether nothing is missing around."""
        if gap not in self._done:
            motion, middle = self._motion, gap // 2
            begin = np.arange(ENDS - 1, len(motion) - gap - ENDS + 1)
            first, last = motion[begin], motion[begin + gap]
            secant, one = (last - first) / gap, np.ones(1)
            slopes = (
                _inner_slopes(first - motion[begin - 1], secant, one, gap * one),
                _inner_slopes(secant, motion[begin + gap + 1] - last, gap * one, one),
            )
            shaped = hermite(first, last, gap * slopes[0], gap * slopes[1], middle / gap)
            knots = motion[begin[:, None] + _around(0, gap)]
            bent = np.einsum("k,nkjc->njc", bending_least(gap)[middle - 1], knots)
            error = ((np.stack([shaped, bent]) - motion[begin + middle]) ** 2).sum(-1)
            span = gap + 2 * ENDS - 1
            whole = self._often[begin + gap + ENDS] - self._often[begin - ENDS + 1] == span
            self._done[gap] = begin, error, whole
        return self._done[gap]
