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
"""How many times the other's error the path that bends least may have in long holes: there are few
tries, ..."""
CLEARLY = 0.7
"""... and in short ones where not all that it goes through was seen: it is the better by so much on
smooth paths, and follows what was filled."""
SHORT = 8
"""Frames under which a hole is short, and what is filled is good enough to try paths on."""
FEWEST = 4
"""Tries from which on they tell how well the path can be told."""
LONGEST, LONGEST_ALONE = 48, 24
"""Frames of the model of the longest hole that is bridged, and of the longest in which no joint is
seen: beyond a second or two a path says nothing of what happened."""
LEAST = 0.001
"""Deviation, in body sizes, that both have at least."""
MODEST, MODEST_BRIEFLY = 2.0, 3.0
"""How many times as far off as they say the networks are in holes where others are seen, long ones
and short ones. Chosen on training subjects and on every second clip of a set of labelled sport, as
``PREFERRED``."""


class Bridges(NamedTuple):
    """What paths say in holes; NaN elsewhere, and infinite deviations where nothing tells any.

    Attributes:
      places: (T, J, 2) pixels.
      deviation: (T, J) of the places, pixels, as it was found where nothing is missing.
      short: (T, J) bool, whether the hole is.
    """

    places: np.ndarray
    deviation: np.ndarray
    short: np.ndarray


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
    modest = np.where(path.short, MODEST_BRIEFLY, MODEST)
    networks, paths = (modest * (deviation + least)) ** 2, (path.deviation + least) ** 2
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
    short = np.zeros(seen.shape, bool)
    trials, slopes = _Trials(motion, seen), _slopes(motion, seen)
    joints, befores, gaps = _holes(seen)
    for gap in map(int, np.unique(gaps[step * (gaps - 1) <= LONGEST])):
        joint, before = joints[gaps == gap], befores[gaps == gap]
        frames, around = before[:, None] + np.arange(1, gap), before[:, None] + _around(0, gap)
        room = _fits(around, len(motion))
        if gap >= SHORT:  # without it nothing tells where a long one goes
            joint, frames, around, before = (a[room] for a in (joint, frames, around, before))
            room = room[room]
        reach = max(round(AROUND / step), gap)
        off = trials.near(joint, gap, before, reach)
        at = np.arange(1, gap)[:, None] / gap
        ends = np.stack([before, before + gap])
        first, last = motion[ends, joint][:, :, None]
        leaves, arrives = gap * slopes[ends, joint][:, :, None]
        path = hermite(first, last, leaves, arrives, at)
        times = PREFERRED
        if gap < SHORT:
            knots = np.clip(around, 0, len(seen) - 1)
            times = np.where(seen[knots, joint[:, None]].all(axis=1), 1.0, CLEARLY)
        bends = room & (off[:, 1] <= times * off[:, 0])
        path[bends] = np.einsum(
            "tk,hkc->htc", bending_least(gap), motion[around[bends], joint[bends, None]])
        places[frames, joint[:, None]] = path
        short[frames, joint[:, None]] = gap < SHORT
        deviation[frames, joint[:, None]] = off.min(axis=1)[:, None] * (4 * at * (1 - at))[:, 0]
    return Bridges(places, deviation, short)


def _holes(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(H,) joints that are seen before and after holes of ``seen`` (T, J), the last frames before
    these, and how far from it the next one after is."""
    time = np.arange(len(seen))[:, None]
    after = np.minimum.accumulate(np.where(seen, time, len(seen))[::-1])[::-1]
    joint, before = np.nonzero((seen[:-1] & ~seen[1:] & (after[1:] < len(seen))).T)
    return joint, before, after[before + 1, joint] - before


def _slopes(motion: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(T, J, 2) of ``pchip_slopes`` where joints with holes are seen; elsewhere 0."""
    result = np.zeros(motion.shape)
    for joint in np.flatnonzero((~seen).any(axis=0) & (seen.sum(axis=0) > 1)):
        known = np.flatnonzero(seen[:, joint])
        result[known, joint] = pchip_slopes(known, motion[known, joint])
    return result


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


def _fits(frames: np.ndarray, length: int) -> np.ndarray:
    """Whether a track of that length has all of the frames (..., K), which are in order."""
    return (frames[..., 0] >= 0) & (frames[..., -1] < length)


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


class _Tries(NamedTuple):
    """Paths across all N holes of a length that fit into a track.

    Attributes:
      begin: (N,) frames before the holes.
      error: (N, J, 2) squared errors in their middle, of the path that keeps its shape and of the
        one that bends least.
      counts: (N, J) bool, those in which nothing is missing around, or all of a joint's where these
        are few.
      few: (J,) bool, whether they are.
      before, total: (N + 1, J) and (N + 1, J, 2), how many count before each, and their errors.
    """

    begin: np.ndarray
    error: np.ndarray
    counts: np.ndarray
    few: np.ndarray
    before: np.ndarray
    total: np.ndarray

    @classmethod
    def of(cls, begin: np.ndarray, error: np.ndarray, whole: np.ndarray) -> "_Tries":
        """``whole`` (N, J): nothing is missing around."""
        few = whole.sum(axis=0) < FEWEST
        counts = whole | few
        first = np.zeros((1, *counts.shape[1:]))
        before = np.concatenate([first, np.cumsum(counts, axis=0)])
        errors = np.cumsum(np.where(counts[..., None], error, 0.0), axis=0)
        total = np.concatenate([np.stack([first, first], -1), errors])
        return cls(begin, error, counts, few, before, total)


class _Trials:
    """Paths across holes in which nothing is missing, against what is there.

    Args:
      motion: (T, J, 2) completed, pixels.
      seen: (T, J) bool, what of it was observed.
    """

    def __init__(self, motion: np.ndarray, seen: np.ndarray):
        self._motion = motion
        self._often = np.concatenate([np.zeros((1, seen.shape[1]), int), np.cumsum(seen, axis=0)])
        self._done: dict[int, _Tries] = {}

    def near(self, joint: np.ndarray, gap: int, before: np.ndarray, reach: int) -> np.ndarray:
        """(H, 2) deviations, pixels: of the path that keeps its shape, and of what bends least.

        By holes of that length within reach of one after frame ``before`` (H,) of ``joint`` (H,),
        or by the nearest ones if those are few; infinite where there are none. Where too few can be
        tried on what was observed, by such as are half as long, whose errors grow by the cube of
        the length; of short ones, by what is filled, too.
        """
        tries, result = self._of(gap), np.full((len(joint), 2), np.inf)
        here = np.arange(len(joint))
        if gap >= SHORT:
            few, shorter = tries.few[joint], gap // 2
            if few.any():
                halves = self.near(joint[few], shorter, before[few], reach)
                result[few] = (gap / shorter) ** 1.5 * halves
            here = here[~few]
        if not len(tries.begin):
            return result
        of, at = joint[here], before[here]
        first, end = (np.searchsorted(tries.begin, edge) for edge in (at - reach, at + reach + 1))
        count = tries.before[end, of] - tries.before[first, of]
        total = tries.total[end, of] - tries.total[first, of]
        result[here] = np.sqrt(np.maximum(total, 0.0) / np.maximum(count, 1)[:, None])
        for number in here[count < FEWEST]:
            there = tries.counts[:, joint[number]]
            off = np.abs(tries.begin[there] - before[number])
            nearest = off <= np.sort(off)[min(FEWEST, len(off)) - 1]
            error = tries.error[there, joint[number]][nearest]
            result[number] = np.sqrt(error.mean(axis=0))
        return result

    def _of(self, gap: int) -> _Tries:
        """Of that length."""
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
            paths = np.stack([shaped, bent], axis=2)
            error = ((paths - motion[begin + middle][:, :, None]) ** 2).sum(-1)
            span = gap + 2 * ENDS - 1
            whole = self._often[begin + gap + ENDS] - self._often[begin - ENDS + 1] == span
            self._done[gap] = _Tries.of(begin, error, whole)
        return self._done[gap]
