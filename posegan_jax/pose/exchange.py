"""Parts of tracks that were exchanged between ids: where two people cross, hide each other, or
where ids are places in a detector's list.

From frame to frame, a pose is expected to be where its person's own path leads. Where another
person's last pose is nearer, or near and both were hidden for a while, both ways to go on are
compared: how far the poses before and after are apart halfway between them, how hard the body would
have to accelerate, and how much the lengths of its bones in the picture would change. People who
meet and turn round slow down first, and nothing is exchanged. What is not clear is told, and not
put right.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from posegan_jax.pose.continuity import BODY, FEWEST, LONGEST, rate_of, spread
from posegan_jax.pose.flicker import find_flickers
from posegan_jax.pose.people import Moves, relabel
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

WINDOW = 0.25
"""Seconds on either side of which a path is made."""
APART, HARD, OTHER = 0.1, 4.0, 0.2
"""What makes a cost of 1: body heights between where two paths lead, heights per second squared of
acceleration (7 metres), and the mean change of a bone's length in the picture (a logarithm)."""
MOST = 5.0
"""Largest cost of any one of these: one that is impossible does not get worse."""
CLEAR, DOUBTFUL = 1.5, 0.6
"""By how much less it costs, for each person of an exchange, that it was one, to be put right and
to be told. To be put right it has to be less than half of what it costs that it was none, too.
Chosen by ``python -m benchmarks.people``: of people who pass each other with their ids exchanged,
all but a few are put right unless both were hidden for long; of those who turn round, and of those
whose ids are right, next to nothing is exchanged."""
SHOWN = 3
"""Frames that all paths need for an exchange to be clear; with fewer behind it, it has to cost less
by twice as much."""
PAUSE = 2
"""Frames of two people beyond which a path may lead past another one's last pose unseen."""
UNKNOWN = 1e3
"""Cost where two paths have no joints to compare: nothing is decided there."""
NEAR = 1.0
"""Body heights between the middles of two poses beyond which they are not compared."""


@dataclasses.dataclass(frozen=True)
class Exchange:
    """An exchange between people, from a frame on.

    Attributes:
      frame: the first one of other people.
      people: their ids, in the order of the file.
      clear: whether it is put right.
      last: the frame of the last exchange, where ids flip back and forth from ``frame`` on.
    """

    frame: int
    people: tuple[Any, ...]
    clear: bool
    last: int | None = None


def find_exchanges(
    people: Sequence[PoseSequence], sure: Collection[tuple[int, tuple[Any, ...]]] = ()
) -> tuple[Moves, list[Exchange]]:
    """Exchanges between the people of a file.

    Args:
      people: with different ids; those of different skeletons are not compared.
      sure: frames and people of exchanges in doubt that are to be put right.

    Returns:
      The frames that go to other people to put right what is clear; and all exchanges in order of
      time.
    """
    moves: dict[tuple[Any, int], Any] = {}
    found: list[Exchange] = []
    for skeleton in dict.fromkeys(sequence.skeleton for sequence in people):
        group = [s for s in people if s.skeleton == skeleton and s.observed.any()]
        if len(group) > 1:
            flipped, flickers = _flickers(group)
            group = [s for s in relabel(group, flipped) if s.observed.any()]
            follower = _Follower(group, sure)
            follower.run()
            moves |= _one_after_another(flipped, follower.moves)
            found += flickers + follower.exchanges
    return moves, sorted(found, key=lambda exchange: exchange.frame)


def _flickers(people: Sequence[PoseSequence]) -> tuple[Moves, list[Exchange]]:
    """What ids that flip back and forth are to be put right by."""
    moves: dict[tuple[Any, int], Any] = {}
    found = []
    for flicker in find_flickers(people):
        a, b = (people[i].person for i in flicker.people)
        found.append(Exchange(flicker.first, (a, b), True, flicker.last))
        for i, to in zip(flicker.people, (b, a), strict=True):
            sequence = people[i]
            for frame in flicker.crossed & set(sequence.frames[sequence.observed.any(-1)].tolist()):
                moves[sequence.person, frame] = to
    return moves, found


def _one_after_another(first: Moves, then: Moves) -> Moves:
    """Moves of what was moved before."""
    came = {(to, frame): person for (person, frame), to in first.items()}
    moves = dict(first)
    for (person, frame), to in then.items():
        moves[came.get((person, frame), person), frame] = to
    return {key: to for key, to in moves.items() if key[0] != to}


@dataclasses.dataclass(frozen=True)
class _Path:
    """A few frames of one person: (N,) frame numbers and (N, K, 2) poses."""

    frames: np.ndarray
    poses: np.ndarray


class _Follower:
    """Goes through the frames of people (of one skeleton), and exchanges them where it is clear."""

    def __init__(self, people: Sequence[PoseSequence], sure: Collection):
        self._people, self._sure = people, sure
        self._fps = rate_of(people[0])
        self._bones = np.array(get_skeleton(people[0].skeleton).bones(), int).reshape(-1, 2)
        self._count = max(3, round(WINDOW * self._fps))
        self._rows = [np.flatnonzero(sequence.observed.any(-1)) for sequence in people]
        self._height = [_height(s.keypoints[r]) for s, r in zip(people, self._rows, strict=True)]
        self._names = [sequence.person for sequence in people]
        self._who = list(range(len(people)))  # the person whose part each sequence now holds
        # Of every person, the sequence and row of the last frames in which they were seen.
        self._last: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self.moves: dict[tuple[Any, int], Any] = {}
        self.exchanges: list[Exchange] = []

    def run(self) -> None:
        """Goes through all frames."""
        frames = np.concatenate(
            [s.frames[r] for s, r in zip(self._people, self._rows, strict=True)]
        )
        owner = np.concatenate([np.full(len(r), p) for p, r in enumerate(self._rows)])
        row = np.concatenate(self._rows)
        order = np.argsort(frames, kind="stable")
        edges = np.flatnonzero(np.diff(frames[order])) + 1
        for here in np.split(order, edges):
            frame = int(frames[here[0]])
            seen = dict(zip(owner[here].tolist(), row[here].tolist(), strict=True))
            for group in self._doubted(frame, seen):
                self._decide(frame, seen, group)
            for p, r in seen.items():
                person = self._who[p]
                self._last[person] = [*self._last[person][1 - self._count :], (p, r)]
                if person != p:
                    self.moves[self._names[p], frame] = self._names[person]

    def _known(self, frame: int) -> list[int]:
        """People who were seen within the longest gap."""
        return [
            person for person, rows in self._last.items()
            if rows and self._number(rows[-1]) >= frame - LONGEST * self._fps - 1
        ]

    def _number(self, at: tuple[int, int]) -> int:
        return int(self._people[at[0]].frames[at[1]])

    def _pose(self, at: tuple[int, int]) -> np.ndarray:
        return self._people[at[0]].keypoints[at[1]]

    def _doubted(self, frame: int, seen: dict[int, int]) -> list[set[int]]:
        """Groups of people of whom one's new pose is nearer to another one's last than to its own.
        """
        known = self._known(frame)
        if len(known) < 2:
            return []
        last = np.array([self._pose(self._last[person][-1]) for person in known])
        groups: list[set[int]] = []
        own = [p for p in seen if self._who[p] in known]
        if not own:
            return []
        new = np.array([self._pose((p, seen[p])) for p in own])
        near = _middle(new)[:, None] - _middle(last)
        heights = np.array([self._height[self._who[p]] for p in own])
        paused = [self._number(self._last[person][-1]) < frame - PAUSE for person in known]
        near = np.linalg.norm(near, axis=-1) < NEAR * heights[:, None]
        for i, p in enumerate(own):
            person = self._who[p]
            others = [j for j in np.flatnonzero(near[i]).tolist() if known[j] != person]
            if not others:
                continue
            away = _apart(new[i], last[[known.index(person), *others]])
            for j, distance in zip(others, away[1:], strict=True):
                if distance < away[0] or paused[known.index(person)] and paused[j]:
                    groups = _joined(groups, {person, known[j]})
        return groups

    def _decide(self, frame: int, seen: dict[int, int], group: set[int]) -> None:
        """Exchanges the people of a group as they go on best, if that is clear."""
        from scipy.optimize import linear_sum_assignment  # half a second that few files need

        members = sorted(group)
        new = [p for p in seen if self._who[p] in group]
        before = [self._before(person) for person in members]
        after = [self._after(p, seen[p]) for p in new]
        height = max(self._height[person] for person in members)
        cost = np.array([[self._cost(a, b, height) for b in after] for a in before])
        at = [members.index(self._who[p]) for p in new]
        best, to = linear_sum_assignment(cost.T)
        who = {new[j]: members[i] for j, i in zip(best.tolist(), to.tolist(), strict=True)}
        others = [j for j, p in enumerate(new) if who[p] != self._who[p]]
        if not others:
            return
        straight = sum(cost[at[j], j] for j in others)
        exchanged = sum(cost[members.index(who[new[j]]), j] for j in others)
        gain = (straight - exchanged) / len(others)
        if gain < DOUBTFUL or straight >= UNKNOWN:
            return
        people = sorted({self._who[new[j]] for j in others} | {who[new[j]] for j in others})
        names = tuple(self._names[person] for person in people)
        known = min(len(path.frames) for path in before) >= SHOWN
        shown = min(len(after[j].frames) for j in others) >= SHOWN
        clear = bool(gain >= (CLEAR if shown else 2 * CLEAR)) and known
        clear = clear and bool(exchanged < straight / 2) or (frame, names) in self._sure
        self.exchanges.append(Exchange(frame, names, clear))
        if not clear:
            return
        # What was not seen in this frame goes to the people who are left.
        rest = [p for p, person in enumerate(self._who) if person in group and p not in who]
        left = [person for person in members if person not in who.values()]
        for p, person in {**who, **dict(zip(rest, left, strict=True))}.items():
            self._who[p] = person

    def _before(self, person: int) -> _Path:
        rows = self._last[person]
        end = self._number(rows[-1])
        rows = [at for at in rows if self._number(at) > end - 2 * self._count]
        return _Path(
            np.array([self._number(at) for at in rows]), np.array([self._pose(at) for at in rows])
        )

    def _after(self, p: int, row: int) -> _Path:
        """The next frames of a sequence, up to where it may be another one's."""
        sequence, rows = self._people[p], self._rows[p]
        first = int(np.searchsorted(rows, row))
        rows = rows[first : first + self._count]
        poses, frames = sequence.keypoints[rows], sequence.frames[rows]
        height, end = self._height[p], 1
        while end < len(rows) and frames[end] - frames[0] < 2 * self._count:
            if _apart(poses[end - 1], poses[end][None])[0] > 3 * APART * height:
                break
            end += 1
        return _Path(frames[:end], poses[:end])

    def _cost(self, before: _Path, after: _Path, height: float) -> float:
        """What it costs that one path is another one's continuation."""
        pause = (after.frames[0] - before.frames[-1]) / self._fps
        speed = [_velocity(path, self._fps) for path in (before, after)]
        ends = before.poses[-1].copy(), after.poses[0].copy()
        for end, velocity, way in zip(ends, speed, (0.5, -0.5), strict=True):
            if velocity is not None:
                end += way * pause * velocity[0]
        apart = _apart(ends[0], ends[1][None])[0] / height
        if not np.isfinite(apart):
            return UNKNOWN
        cost = min(apart / APART, MOST)
        if speed[0] is not None and speed[1] is not None:
            change = np.linalg.norm(speed[1][0] - speed[0][0]) / height
            time = pause + (speed[0][1] + speed[1][1]) / 2
            cost += min(change / time / HARD, MOST)
        return cost + min(self._other(before, after, height) / OTHER, MOST)

    def _other(self, before: _Path, after: _Path, height: float) -> float:
        """Mean change of bones' lengths, a logarithm; 0 without any that both show."""
        if not len(self._bones):
            return 0.0
        lengths = []
        for path in (before, after):
            a, b = (path.poses[:, ends] for ends in self._bones.T)
            length = np.linalg.norm(a - b, axis=-1)
            seen = np.isfinite(length)
            total = np.where(seen, length, 0.0).sum(0)
            lengths.append(np.where(seen.any(0), total / np.maximum(seen.sum(0), 1), np.nan))
        # Bones that point at the camera change most, and tell least.
        ratio = np.log((lengths[0] + 0.05 * height) / (lengths[1] + 0.05 * height))
        ratio = np.abs(ratio[np.isfinite(ratio)])
        return float(ratio.mean()) if len(ratio) else 0.0


def _height(poses: np.ndarray) -> float:
    """Of a body in all of its poses (T, K, 2), pixels."""
    sizes = spread(poses)
    sizes = sizes[np.isfinite(sizes)]
    if len(sizes):
        return BODY * float(np.median(sizes)) + 1e-6
    box = np.nanmax(poses, axis=(0, 1)) - np.nanmin(poses, axis=(0, 1))
    return float(np.max(box)) + 1e-6


def _middle(poses: np.ndarray) -> np.ndarray:
    """(N, 2) mean place of the joints that are there, of poses (N, K, 2) that have any."""
    seen = np.isfinite(poses)
    return np.where(seen, poses, 0.0).sum(1) / np.maximum(seen.sum(1), 1)


def _apart(pose: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) mean distance of joints (K, 2) from those of others (N, K, 2); infinite for too few."""
    distance = np.linalg.norm(pose - others, axis=-1)
    seen = np.isfinite(distance)
    total = np.where(seen, distance, 0.0).sum(-1)
    count = seen.sum(-1)
    return np.where(count >= FEWEST, total / np.maximum(count, 1), np.inf)


def _velocity(path: _Path, fps: float) -> tuple[np.ndarray, float] | None:
    """(2,) pixels per second of a body, and the seconds that it was seen; None for too few frames.

    From the first half of the frames to the last, the median over joints.
    """
    half = len(path.frames) // 2
    if half < 2:
        return None
    means, times = [], []
    for part in (slice(None, half), slice(-half, None)):
        poses = path.poses[part]
        seen = np.isfinite(poses)
        mean = np.where(seen, poses, 0.0).sum(0) / np.maximum(seen.sum(0), 1)
        means.append(np.where(seen.any(0), mean, np.nan))
        times.append(path.frames[part].mean())
    step = (means[1] - means[0]) / (times[1] - times[0]) * fps
    step = step[np.isfinite(step).all(-1)]
    if len(step) < FEWEST:
        return None
    return np.median(step, axis=0), (path.frames[-1] - path.frames[0]) / fps


def _joined(groups: list[set[int]], pair: set[int]) -> list[set[int]]:
    """Groups with a pair in one of them, together with all that it shares a person with."""
    apart = [group for group in groups if not group & pair]
    return [*apart, pair.union(*(group for group in groups if group & pair))]
