"""Who is who in a file with ids: parts of tracks go from one person to another."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.tracking import track

Moves = Mapping[tuple[Any, int], Any]
"""(person, frame) as read -> whose this is."""


def relabel(
    people: Sequence[PoseSequence], moves: Moves, blank: bool = False
) -> list[PoseSequence]:
    """Tracks of which some frames are another one's; new people are behind the others.

    Args:
      people: with different ids; those among whom frames go have one skeleton.
      moves: frames that are another one's.
      blank: whether people keep a row without joints where a frame of theirs went to another one
        and none came. Else who has no frame left is left out.
    """
    rows: dict[Any, dict[int, tuple[PoseSequence, int | None]]] = {}
    like: dict[Any, PoseSequence] = {sequence.person: sequence for sequence in people}
    come = defaultdict(dict)
    for sequence in people:
        own = rows.setdefault(sequence.person, {})
        for t, frame in enumerate(sequence.frames.tolist()):
            to = moves.get((sequence.person, frame), sequence.person)
            if to == sequence.person:
                own[frame] = sequence, t
            elif blank:
                own[frame] = sequence, None
            if to != sequence.person:
                come[to][frame] = sequence, t
                like.setdefault(to, sequence)
    changed = set(come) | {person for person, _ in moves}
    for person in changed:
        rows[person] = {**rows.get(person, {}), **come[person]}
    return [
        _of(person, like[person], rows[person]) if person in changed else like[person]
        for person in like if rows[person] or person not in changed
    ]


def _of(person: Any, like: PoseSequence, rows: Mapping) -> PoseSequence:
    """A person made of rows of others by their frames; None is a row without joints."""
    frames = sorted(rows)
    shape = (len(frames), like.keypoints.shape[1])
    keypoints, scores = np.full((*shape, 2), np.nan), np.zeros(shape)
    provenance = np.full(shape, Provenance.UNKNOWN, np.uint8)
    for i, frame in enumerate(frames):
        source, t = rows[frame]
        if t is not None:
            keypoints[i], scores[i] = source.keypoints[t], source.scores[t]
            provenance[i] = source.provenance[t]
    return like.replace(
        person=person, frames=np.array(frames, np.int64), keypoints=keypoints, scores=scores,
        provenance=provenance,
    )


def tracked(people: Sequence[PoseSequence]) -> Moves:
    """What goes to whom where people are followed by their poses, whatever their ids are.

    A track has the id that most of its frames had, as far as no other one has it; all others are
    numbered on.

    Args:
      people: of a file, with different ids.
    """
    frames, poses, scores, owners = [], [], [], []
    for i, sequence in enumerate(people):
        seen = np.flatnonzero(sequence.observed.any(-1))
        frames.append(sequence.frames[seen])
        poses.append(sequence.keypoints[seen])
        scores.append(sequence.scores[seen])
        owners.append(np.full(len(seen), i))
    if not frames or len({sequence.skeleton for sequence in people}) > 1:
        return {}
    owner, frame = np.concatenate(owners), np.concatenate(frames)
    ids = track(frame, np.concatenate(poses), np.concatenate(scores))
    names = [sequence.person for sequence in people]
    called = _called(ids, owner, names)
    return {
        (names[p], int(f)): called[i]
        for i, p, f in zip(ids.tolist(), owner.tolist(), frame.tolist(), strict=True)
        if called[i] != names[p]
    }


def _called(ids: np.ndarray, owner: np.ndarray, names: Sequence[Any]) -> list[Any]:
    """An id for every track: the ids (N,) of detections and their places (N,) among the names."""
    from scipy.optimize import linear_sum_assignment  # half a second that few files need

    count = np.zeros((ids.max(initial=-1) + 1, len(names)), int)
    np.add.at(count, (ids, owner), 1)
    tracks, places = linear_sum_assignment(count, maximize=True)
    given = {
        int(i): names[p] for i, p in zip(tracks, places, strict=True) if count[i, p]
    }
    taken = {str(name) for name in given.values()}
    free = (i for i in range(len(count) + len(names) + 1) if str(i) not in taken)
    return [given[i] if i in given else next(free) for i in range(len(count))]
