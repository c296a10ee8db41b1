"""Parts of tracks that were exchanged between people: found and put right, or told; else left."""

import numpy as np
import pytest

from posegan_jax.pose.exchange import find_exchanges
from posegan_jax.pose.people import relabel
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

TWELVE = get_skeleton("alphapose12")
# x to the right, y down, in heights; both sides, from the front.
_HALF = {
    "shoulder": (0.11, -0.30), "elbow": (0.16, -0.12), "wrist": (0.18, 0.04), "hip": (0.07, 0.0),
    "knee": (0.08, 0.22), "ankle": (0.08, 0.45),
}
BODY = np.array([
    np.multiply(_HALF[joint.split("_")[1]], (1 if joint.startswith("left") else -1, 1))
    for joint in TWELVE.joints
])
FPS, HEIGHT = 25.0, 200.0


def gait(facing, phase, frames):
    """(T, 12, 2) heights: a person seen half from the side, who swings arms and legs."""
    time = np.arange(frames)[:, None]
    swing = np.zeros((frames, 12, 2))
    for joint, name in enumerate(TWELVE.joints):
        side, part = name.split("_")
        reach = {"wrist": -0.12, "elbow": -0.05, "knee": 0.09, "ankle": 0.17}.get(part, 0.0)
        sign = 1 if side == "left" else -1
        swing[:, joint, 0] = (sign * reach * np.sin(0.25 * time + phase))[:, 0]
    turned = BODY * (0.6 * np.reshape(facing, (-1, 1, 1)) * [1, 0] + [0, 1])
    return np.broadcast_to(turned, swing.shape) + swing


def walker(x, facing=1.0, size=1.0, y=0.0, phase=0.0):
    """(T, 12, 2) pixels of someone at x (T,) in heights."""
    place = np.stack([x, np.full(len(x), y)], axis=-1)[:, None]
    return HEIGHT * (size * gait(facing, phase, len(x)) + place) + 600


def crossing(frames=60, y=0.05):
    """Two people who pass each other in frame 30 at 1.4 metres per second."""
    x = (np.arange(frames) - 30.3) * 0.8 / FPS
    return walker(x), walker(-x, facing=-1.0, size=1.05, y=y, phase=2.0)


def turning(frames=60):
    """Two people who meet, slow down, turn round and go back where they came from."""
    time = np.arange(frames) - 30
    x = -np.hypot(time, 8) * 0.8 / FPS
    facing = -np.tanh(time / 4)
    return walker(x, facing), walker(-x + 0.1, -facing, 1.05, 0.05, 2.0)


def file(poses, ids, hidden=(), noise=1.5, seed=0):
    """Tracks of people (T, 12, 2) that ids (people, T) tell apart; (person, frame) are hidden.

    Returns the tracks and {(id, frame): person}.
    """
    rng = np.random.default_rng(seed)
    rows = {}
    for t in range(len(poses[0])):
        for person, track in enumerate(poses):
            pose = track[t]
            if (person, t) not in hidden:
                rows.setdefault(ids[person][t], []).append(
                    (t, pose + rng.normal(0, noise, pose.shape), person)
                )
    tracks = [
        PoseSequence(
            np.array([pose for _, pose, _ in items]), frames=[t for t, _, _ in items], fps=FPS,
            skeleton="alphapose12", person=name,
        )
        for name, items in sorted(rows.items())
    ]
    return tracks, {(name, t): who for name, items in rows.items() for t, _, who in items}


def whose(tracks, truth):
    """Who is in each track once it is put right: sets of people by id."""
    moves, _ = find_exchanges(tracks)
    found = {}
    for key, who in truth.items():
        found.setdefault(moves.get(key, key[0]), set()).add(who)
    return found


def as_they_are(people=2, frames=60):
    return [["ab"[person]] * frames for person in range(people)]


def exchanged(*changes, frames=60):
    """Ids of two people that are exchanged at each of these frames."""
    turned = np.cumsum(np.isin(np.arange(frames), changes)) % 2
    return [["ab"[t] for t in turned], ["ab"[1 - t] for t in turned]]


HIDDEN = {(1, t) for t in range(27, 34)}


@pytest.mark.parametrize("scene", [crossing, turning])
@pytest.mark.parametrize("hidden", [(), HIDDEN], ids=["seen", "hidden"])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_right_stays_right(scene, hidden, seed):
    tracks, _ = file(scene(), as_they_are(), hidden, seed=seed)
    assert find_exchanges(tracks) == ({}, [])


@pytest.mark.parametrize("at", [26, 30, 31, 40])
@pytest.mark.parametrize("seed", range(5))
def test_ids_that_were_exchanged_where_people_cross_are_put_right(at, seed):
    tracks, truth = file(crossing(), exchanged(at), seed=seed)
    assert whose(tracks, truth) == {"a": {0}, "b": {1}}
    moves, (found,) = find_exchanges(tracks)
    assert (found.frame, found.people, found.clear) == (at, ("a", "b"), True)
    assert set(moves) == {(name, t) for name in "ab" for t in range(at, 60)}


@pytest.mark.parametrize("seed", range(5))
def test_ids_that_were_exchanged_behind_someone_are_put_right(seed):
    tracks, truth = file(crossing(), exchanged(34), HIDDEN, seed=seed)
    assert whose(tracks, truth) == {"a": {0}, "b": {1}}


def test_ids_that_were_exchanged_for_a_while_are_put_right():
    tracks, truth = file(crossing(y=0.3), exchanged(20, 27, 41))
    assert whose(tracks, truth) == {"a": {0}, "b": {1}}
    assert [exchange.frame for exchange in find_exchanges(tracks)[1]] == [20, 27, 41]


def test_places_in_a_list_of_which_one_is_empty():
    # While only one is seen, that one is the first in the list.
    ids = exchanged(10)
    for t in range(20, 28):
        ids[0][t], ids[1][t] = "a", "?"
    tracks, truth = file(crossing(y=0.4), ids, {(1, t) for t in range(20, 28)})
    assert whose(tracks, truth) == {"a": {0}, "b": {1}}


def test_places_in_a_list_that_is_shuffled_in_every_frame():
    turned = np.random.default_rng(1).integers(2, size=60)
    turned[:4] = 0
    ids = [["ab"[t] for t in turned], ["ab"[1 - t] for t in turned]]
    x = np.arange(60) * 0.02
    tracks, truth = file([walker(x), walker(x + 0.7, phase=1.0)], ids)
    assert whose(tracks, truth) == {"a": {0}, "b": {1}}


def test_three_people_in_another_order():
    x = np.zeros(60)
    poses = [walker(x + place, phase=place) for place in (0.0, 0.6, 1.2)]
    ids = [[("abc" if t < 30 else "bca")[person] for t in range(60)] for person in range(3)]
    tracks, truth = file(poses, ids)
    assert whose(tracks, truth) == {"a": {0}, "b": {1}, "c": {2}}


def test_who_leaves_and_who_comes_are_two():
    poses = crossing(y=0.3)
    hidden = {(0, t) for t in range(30, 60)} | {(1, t) for t in range(30)}
    tracks, _ = file(poses, as_they_are(), hidden)
    assert find_exchanges(tracks) == ({}, [])


def test_what_is_not_clear_is_told_and_left():
    short = exchanged(30, frames=32)  # two frames are too few to tell from
    tracks, _ = file(crossing(32, y=0.15), short)
    moves, (found, *_) = find_exchanges(tracks)
    assert moves == {} and (found.frame, found.people, found.clear) == (30, ("a", "b"), False)


def test_people_of_other_skeletons_are_not_compared():
    tracks, _ = file(crossing(), exchanged(30))
    other = PoseSequence(np.ones((5, 17, 2)), skeleton="coco17", person="c")
    empty = PoseSequence(np.zeros((0, 12, 2)), skeleton="alphapose12", person="d")
    assert find_exchanges([tracks[0], other, empty]) == ({}, [])
    assert find_exchanges([*tracks, other, empty])[0] == find_exchanges(tracks)[0]
    assert find_exchanges([]) == ({}, [])


def test_putting_right_what_is_right_changes_nothing():
    tracks, _ = file(crossing(), exchanged(30))
    right = relabel(tracks, find_exchanges(tracks)[0])
    assert find_exchanges(right) == ({}, [])
