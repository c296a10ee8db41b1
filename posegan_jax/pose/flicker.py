"""Ids that flip back and forth between two people, as of a tracker that cannot decide.

One flip is an exchange like any other, see ``exchange``; of many within a second none has a path
before and after it that would tell. But both people then leap at once to where the other one was,
again and again, and go on as if nothing was when they are followed by their poses.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from posegan_jax.pose.continuity import BODY, FEWEST, rate_of, spread
from posegan_jax.pose.sequence import PoseSequence

NEARER = 0.05
"""Body heights by which each of two people is nearer to the other one's last pose than to their own
where they flip, at 25 frames per second or more; in proportion to the time from frame to frame at
fewer. More than anybody moves from frame to frame, and less than people are apart."""
SHARE = 0.5
"""Share of the way as they are named that the way as they flip must be less than."""
WIDE = 5
"""Times ``NEARER`` within which each of two people is of the other one's last pose, as detectors
jitter, for the two to be followed."""
TIMES, WITHIN = 3, 0.25
"""Flips that are no exchange like any other, and seconds from one to the next at most."""
MOSTLY = 0.5
"""Share of the leaps of either that must be to where the other one was: whoever leaps elsewhere as
often has an id that says nothing."""
PAUSE = 0.5  # seconds after which a last pose tells nothing any more
_RATE = 25.0


@dataclasses.dataclass(frozen=True)
class Flicker:
    """Two people whose ids flip back and forth.

    Attributes:
      people: their places among those who were given.
      first, last: the frames of the first and the last flip.
      crossed: frames in which each has the other one's id.
    """

    people: tuple[int, int]
    first: int
    last: int
    crossed: frozenset[int]


def find_flickers(people: Sequence[PoseSequence]) -> list[Flicker]:
    """Those among people of one skeleton; of people who flip with several others at a time, none.
    """
    fps = rate_of(people[0])
    leaps: dict[int, list[_Leap]] = {}
    leaping: list[list[int]] = [[] for _ in people]
    for person, sequence in enumerate(people):
        for frame, leap in _leaps(person, sequence, fps):
            leaps.setdefault(frame, []).append(leap)
            leaping[person].append(frame)
    changes: dict[tuple[int, int], list[int]] = {}
    for frame, those in sorted(leaps.items()):
        for pair in _places_changed(those):
            changes.setdefault(pair, []).append(frame)
    found: list[Flicker] = []
    for pair, frames in sorted(changes.items()):
        either = np.union1d(leaping[pair[0]], leaping[pair[1]])
        within = np.count_nonzero((either >= frames[0]) & (either <= frames[-1]))
        if len(frames) >= TIMES and len(frames) > MOSTLY * within:
            found += _Pair(people[pair[0]], people[pair[1]], fps).flickers(pair)
    return [one for one in found if not any(_meet(one, other) for other in found)]


def _meet(one: Flicker, other: Flicker) -> bool:
    """Whether two of them have one person in common, at one time."""
    shared = len(set(one.people) & set(other.people)) == 1
    return shared and one.first <= other.last and other.first <= one.last


def _height(sequence: PoseSequence) -> float:
    sizes = spread(sequence.keypoints)
    sizes = sizes[np.isfinite(sizes)]
    return BODY * float(np.median(sizes)) if len(sizes) else np.inf


def _nearer(seconds: np.ndarray | float) -> Any:
    return NEARER * np.maximum(1.0, _RATE * seconds)


class _Leap(NamedTuple):
    """Someone who is not where they were: their place among all, poses (K, 2) before and now, and
    how far they go at most, pixels."""

    person: int
    before: np.ndarray
    now: np.ndarray
    limit: float


def _leaps(person: int, sequence: PoseSequence, fps: float) -> Iterator[tuple[int, _Leap]]:
    """Leaps from one frame to the next, by the numbers of the latter."""
    rows = np.flatnonzero(sequence.observed.sum(-1) >= FEWEST)
    poses, frames = sequence.keypoints[rows], sequence.frames[rows]
    limit = _nearer(np.diff(frames) / fps) * _height(sequence)
    for i in np.flatnonzero(_apart(poses[:-1], poses[1:]) > limit).tolist():
        yield int(frames[i + 1]), _Leap(person, poses[i], poses[i + 1], limit[i])


def _places_changed(leaps: Sequence[_Leap]) -> list[tuple[int, int]]:
    """Pairs of those who leap in a frame of whom each is where the other one was.

    In a crowd whose ids say nothing everybody leaps, and hardly anybody has changed places: to
    follow all pairs would take forever.
    """
    if len(leaps) < 2:
        return []
    before, now = np.stack([leap.before for leap in leaps]), np.stack([leap.now for leap in leaps])
    way = np.stack([_apart(before, pose) for pose in now])  # (to, from)
    own, most = np.diagonal(way), WIDE * np.array([leap.limit for leap in leaps])
    with np.errstate(invalid="ignore"):
        changed = (way + way.T < SHARE * (own[:, None] + own)) & (way < most) & (way.T < most)
    return [(leaps[a].person, leaps[b].person) for a, b in np.argwhere(np.triu(changed, 1))]


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(...,) mean distance of joints of poses (..., K, 2); NaN for fewer than ``FEWEST``."""
    distance = np.linalg.norm(a - b, axis=-1)
    seen = np.isfinite(distance)
    count = seen.sum(-1)
    total = np.where(seen, distance, 0.0).sum(-1)
    return np.where(count >= FEWEST, total / np.maximum(count, 1), np.nan)


class _Pair:
    """Two people, followed from frame to frame by their poses alone."""

    def __init__(self, a: PoseSequence, b: PoseSequence, fps: float):
        self._fps, self._height = fps, max(_height(a), _height(b))
        self._frames = np.union1d(a.frames, b.frames)
        self._poses = np.full((len(self._frames), 2, *a.keypoints.shape[1:]), np.nan)
        for i, one in enumerate((a, b)):
            self._poses[np.searchsorted(self._frames, one.frames), i] = one.keypoints
        seen = np.isfinite(self._poses[..., 0]).sum(-1) >= FEWEST
        keep = seen.any(axis=1)
        self._frames, self._poses, self._seen = self._frames[keep], self._poses[keep], seen[keep]

    def flickers(self, pair: tuple[int, int]) -> list[Flicker]:
        """Those of the two, ``pair`` among all."""
        flips, gain = self._follow()
        times = np.flatnonzero(flips)
        if len(times) < TIMES:
            return []
        apart = np.diff(self._frames[times]) > np.maximum(WITHIN * self._fps, 3)
        result = []
        for some in np.split(times, np.flatnonzero(apart) + 1):
            if len(some) < TIMES:
                continue
            first, last = int(some[0]), int(some[-1])
            turns = flips[first : last + 1].copy()
            if len(some) % 2:
                # Ids are right as a rule: if it is not clear throughout, they are afterwards.
                doubt = np.where(turns, np.inf, np.abs(gain[first : last + 1]))
                unclear = int(doubt.argmin())
                if doubt[unclear] >= 2 * NEARER:
                    result.append(self._flicker(pair, turns, first, len(flips)))
                    continue
                turns[unclear] = True
            result.append(self._flicker(pair, turns, first, last))
        return result

    def _flicker(self, pair, turns: np.ndarray, first: int, end: int) -> Flicker:
        crossed = np.zeros(max(end - first, len(turns)), bool)
        crossed[: len(turns)] = np.cumsum(turns) % 2 == 1
        crossed[len(turns) :] = crossed[len(turns) - 1]
        frames = self._frames[first:][: len(crossed)]
        last = int(frames[np.flatnonzero(turns)[-1]])
        return Flicker(pair, int(frames[0]), last, frozenset(frames[crossed].tolist()))

    def _follow(self) -> tuple[np.ndarray, np.ndarray]:
        """(T,) bool, frames in which ids flip; and (T,) by how many body heights the two together
        are nearer to their last poses if they do, NaN where that is not known."""
        count = len(self._frames)
        flips, gain = np.zeros(count, bool), np.full(count, np.nan)
        last: list[np.ndarray | None] = [None, None]
        since = [0, 0]
        crossed = False
        for t in range(count):
            now = [i for i in (0, 1) if self._seen[t, i]]
            # Who they are as named, given what is known until now; and flipped.
            ways = []
            for turned in (crossed, not crossed):
                who = [i ^ turned for i in now]
                known = [(i, w) for i, w in zip(now, who, strict=True) if last[w] is not None]
                ways.append(self._way(t, known, last) if len(known) == len(now) else np.nan)
            seconds = max(self._frames[t] - min(since), 0) / self._fps
            if np.isfinite(ways).all() and seconds <= PAUSE:
                gain[t] = ways[0] - ways[1]
                enough = len(now) * _nearer(1 / self._fps)
                flips[t] = gain[t] > enough and ways[1] < SHARE * ways[0]
            crossed ^= bool(flips[t])
            for i in now:
                last[i ^ crossed] = self._poses[t, i]
                since[i ^ crossed] = int(self._frames[t])
        return flips, gain

    def _way(self, t: int, pairs: Sequence[tuple[int, int]], last: Sequence) -> float:
        """Body heights that all go, from the last poses, who is seen as i being w."""
        away = [_apart(self._poses[t, i], last[w]) for i, w in pairs]
        return float(np.sum(away)) / self._height
