"""Where a track goes on and where it cannot: jumps in size and place, and gaps that are bridged.

A person's size in a picture does not change by a factor of ``LARGER`` within a second, and nobody
moves by more than a body's height from one frame to the next, or ``FASTEST`` heights in a second:
where a track does, it is of two people, or of a person and a mistake. Nothing is said of the frames
in between.

A gap, frames in which no joint of a person was seen, is bridged where there is something to tell
what happened in it: it is no longer than ``LONGEST`` seconds, it has no more frames than were seen
in the second before it and the second after it together, and there is no jump across it.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.pose.rate import UNKNOWN_FPS
from posegan_jax.pose.sequence import MOST_FRAMES, PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

LARGER = 2.0
"""Factor by which the size of a person in a picture does not change within a second. (In motion
capture seen by near cameras, it does in 1 of 350 stretches of 20 frames at 25 per second.)"""
FASTEST = 6.0
"""Body heights that a person moves in a second at most: 10 metres."""
BODY = 4.0
"""Height of a body in ``spread``s."""
FEWEST = 4
"""Joints in common without which two poses are not compared."""
LONGEST = 1.0
"""Seconds of the longest gap that is bridged unless the user says otherwise: in the middle of one,
60 % of the joints lie within half a head; of 1.4 seconds, a third (``benchmarks/people.py``)."""
OFTEN = 0.25
"""Share of a track's steps that are jumps from which on none of them is a mistake of one frame."""
REGULAR = 8
"""Frames from which on a track may be one of a video of which every k-th frame was looked at."""
_RETURNS = 3  # seen frames within which a track is back from a mistake of the detector
_TINY = 1e-6  # pixels


def spread(poses: np.ndarray) -> np.ndarray:
    """Median distance of a pose's joints from their median place, which a few wrong joints leave.

    Args:
      poses: (N, K, 2) pixels, NaN where missing.

    Returns:
      (N,) pixels, NaN for poses of fewer than ``FEWEST`` joints.
    """
    result = np.full(len(poses), np.nan)
    enough = np.isfinite(poses[..., 0]).sum(-1) >= FEWEST
    if enough.any():
        poses = poses[enough]
        middle = np.nanmedian(poses, axis=1, keepdims=True)
        result[enough] = np.nanmedian(np.linalg.norm(poses - middle, axis=-1), axis=1)
    return result


def larger(
    a: np.ndarray, b: np.ndarray, bones: Sequence[tuple[int, int]] = ()
) -> np.ndarray:
    """By which factor, from 1, one pose is larger than the other, of what both show.

    That is the median over bones of how much longer they are, since a body that is bent or turned
    is no smaller; where both show fewer than ``FEWEST`` bones, the ratio of their ``spread``.

    Args:
      a, b: (N, K, 2) pixels, NaN where missing.
      bones: pairs of joints.

    Returns:
      (N,), 1 for pairs with fewer than ``FEWEST`` joints in common.
    """
    both = np.isfinite(a) & np.isfinite(b)
    a, b = np.where(both, a, np.nan), np.where(both, b, np.nan)
    ratio = np.log(spread(a) + _TINY) - np.log(spread(b) + _TINY)
    if len(bones):
        ends = np.array(bones).T
        lengths = [np.linalg.norm(p[:, ends[0]] - p[:, ends[1]], axis=-1) for p in (a, b)]
        longer = np.log(lengths[0] + _TINY) - np.log(lengths[1] + _TINY)
        enough = np.isfinite(longer).sum(-1) >= FEWEST
        ratio[enough] = np.nanmedian(longer[enough], axis=-1)
    return np.exp(np.abs(np.nan_to_num(ratio)))


def moved(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) heights of the larger body from poses a to b (N, K, 2); 0 where they do not compare."""
    both = np.isfinite(a[..., 0]) & np.isfinite(b[..., 0])
    enough = both.sum(-1) >= FEWEST
    result = np.zeros(len(a))
    if enough.any():
        a, b = a[enough], b[enough]
        height = BODY * np.fmax(spread(a), spread(b)) + _TINY
        result[enough] = np.linalg.norm(np.nanmedian(b - a, axis=1), axis=-1) / height
    return result


def is_jump(
    a: np.ndarray, b: np.ndarray, seconds: np.ndarray, bones: Sequence[tuple[int, int]] = ()
) -> np.ndarray:
    """(N,) bool, whether nobody becomes poses b so many seconds (N,) after a, (N, K, 2)."""
    far = moved(a, b) > np.maximum(1.0, FASTEST * seconds)
    grown = np.log(larger(a, b, bones)) >= np.maximum(1.0, seconds) * math.log(LARGER)
    return far | grown


def rate_of(sequence: PoseSequence) -> float:
    """Frames per second, those that are assumed where they are not known."""
    return UNKNOWN_FPS if sequence.fps is None else sequence.fps


@dataclasses.dataclass(frozen=True)
class Stretches:
    """The parts of a track that are completed, each as a whole and apart from the others.

    Attributes:
      parts: (first, last) frame number of each, in order; they do not overlap.
      bridged: frames of these in which no joint was seen.
      gaps: gaps between the parts, in which nothing is said of the person.
      jumps: places between the parts where the track cannot go on, with a gap or without.
    """

    parts: tuple[tuple[int, int], ...]
    bridged: int
    gaps: int
    jumps: int

    @classmethod
    def of(cls, sequence: PoseSequence, bridge: float | None = None) -> "Stretches":
        """Those of a track; see the head of this file for the rule.

        Before the first and after the last frame in which something was seen, frames that the
        sequence has are completed for half as long as a gap.

        Args:
          sequence: frames may be absent.
          bridge: seconds of the longest gap that is bridged, however little was seen around it;
            None: ``LONGEST``, and what was seen counts.
        """
        rows = np.flatnonzero(sequence.observed.any(-1))
        if not len(rows):
            return cls((), 0, 0, 0)
        fps, frames = rate_of(sequence), sequence.frames[rows]
        absent, jump = np.diff(frames) - 1, _breaks(sequence, rows, fps)
        limit = (LONGEST if bridge is None else bridge) * fps
        before, after = _seen_around(frames, fps)
        enough = np.full(len(absent), True)
        if bridge is None:
            enough = absent <= before[:-1] + after[1:]
        cut = np.flatnonzero(jump | (absent > 0) & ((absent > limit) | ~enough))
        first, last = frames[np.append(0, cut + 1)], frames[np.append(cut, len(frames) - 1)]
        for end, edge, seen in ((first, 0, after[0]), (last, -1, before[-1])):
            most = math.inf if bridge is not None else seen
            end[edge] = _beyond(sequence, rows[edge], min(limit / 2, most), edge)
        parts = tuple(zip(first.tolist(), last.tolist(), strict=True))
        filled = sum(b - a + 1 for a, b in parts) - len(rows)
        gaps = int((absent[cut] > 0).sum())
        return cls(parts, filled, gaps, int(jump[cut].sum()))


def _jumps(sequence: PoseSequence, rows: np.ndarray, fps: float, lag: int) -> np.ndarray:
    """(N - lag,) bool, whether the track cannot go from one seen row to the lag-th after it."""
    a, b = rows[:-lag], rows[lag:]
    seconds = (sequence.frames[b] - sequence.frames[a]) / fps
    bones = get_skeleton(sequence.skeleton).bones()
    return is_jump(sequence.keypoints[a], sequence.keypoints[b], seconds, bones)


def _breaks(sequence: PoseSequence, rows: np.ndarray, fps: float) -> np.ndarray:
    """(N - 1,) bool, jumps from which the track does not come back at once.

    What does is a mistake of the detector in a frame or two, which the other frames put right.
    Where a track jumps all the time there are no such frames.
    """
    result = _jumps(sequence, rows, fps, 1)
    often = result.sum() > OFTEN * len(result)
    for lag in range(2, _RETURNS + 1) if result.any() and not often else ():
        if len(rows) <= lag:
            break
        for i in np.flatnonzero(~_jumps(sequence, rows, fps, lag)):
            result[i : i + lag] = False
    return result


def _seen_around(frames: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Seen frames (N,) -> how many there are in the second up to each, and in that from it on.

    Of videos of which every k-th frame was looked at, each counts k times.
    """
    steps = np.diff(frames)
    each = int(np.gcd.reduce(steps)) if len(frames) >= REGULAR else 1
    count = np.arange(len(frames))
    before = count + 1 - np.searchsorted(frames, frames - fps, "right")
    after = np.searchsorted(frames, frames + fps, "left") - count
    return each * before, each * after


def _beyond(sequence: PoseSequence, row: int, most: float, edge: int) -> int:
    """The last frame, at most so many from a row, to which the sequence has one after another.

    ``edge``: 0 backwards, -1 forwards.
    """
    frames = sequence.frames[row::-1] if edge == 0 else sequence.frames[row:]
    steps = np.abs(frames - frames[0])
    there = (steps == np.arange(len(frames))) & (steps <= most)
    return int(frames[np.argmin(np.append(there, False)) - 1])


@dataclasses.dataclass(frozen=True)
class Layout:
    """A track as it is completed: its stretches one after another, without absent frames.

    Attributes:
      dense: the stretches; its frame numbers count its rows.
      parts: the rows of each stretch, which is completed apart from the others.
      frames: (T,) frame numbers of the rows.
      others: (M,) frame numbers of the sequence that are in none of the stretches.
    """

    dense: PoseSequence
    parts: tuple[slice, ...]
    frames: np.ndarray
    others: np.ndarray

    @classmethod
    def of(cls, sequence: PoseSequence, bridge: float | None) -> "Layout":
        """The layout of a track.

        Args:
          sequence: frames may be absent.
          bridge: as of ``Stretches.of``.

        Raises:
          InputError: the stretches are longer than any track is.
        """
        parts = Stretches.of(sequence, bridge).parts
        if not parts:
            return cls(sequence, (), np.zeros(0, int), sequence.frames)
        ends = np.cumsum([last - first + 1 for first, last in parts]).tolist()
        if ends[-1] > MOST_FRAMES:
            raise InputError(
                f"person {sequence.person}: {ends[-1]} frames are more than {MOST_FRAMES}; split "
                "the track"
            )
        frames = np.concatenate([np.arange(a, b + 1) for a, b in parts])
        own = np.isin(sequence.frames, frames)
        at = np.searchsorted(frames, sequence.frames[own])
        return cls(
            _spread_out(sequence, np.flatnonzero(own), at, len(frames)),
            tuple(map(slice, [0, *ends[:-1]], ends)), frames, sequence.frames[~own],
        )

    def deliver(self, done: PoseSequence) -> PoseSequence:
        """What was made of ``dense``, in the track's frames; the others' joints stay missing."""
        frames = np.union1d(self.frames, self.others)
        to = np.searchsorted(frames, self.frames)
        rows = np.arange(len(self.frames))
        return _spread_out(done, rows, to, len(frames)).replace(frames=frames)


def _spread_out(sequence: PoseSequence, rows: np.ndarray, to: np.ndarray, count: int):
    """Rows of a sequence as the rows ``to`` of one of so many; the others are missing."""
    arrays = {}
    for name, fill in (("keypoints", np.nan), ("scores", 0.0), ("provenance", 0)):
        old = getattr(sequence, name)
        arrays[name] = np.full((count, *old.shape[1:]), fill, old.dtype)
        arrays[name][to] = old[rows]
    return sequence.replace(frames=np.arange(count), **arrays)
