"""Ids that flip back and forth between two people: followed by their poses, and else left."""

import numpy as np
import pytest

from posegan_jax.pose.exchange import find_exchanges
from posegan_jax.pose.flicker import find_flickers
from posegan_jax.pose.sequence import PoseSequence

TALL, FRAMES, FPS = 200.0, 60, 25.0
BODY = TALL * np.random.default_rng(5).uniform([-0.15, -0.5], [0.15, 0.5], (12, 2))


def walkers(apart=0.4, facing=1.0):
    """Two people (T, 12, 2) who do the same; the second one so many heights away, walking too, or
    towards the first one, whom they meet in frame 30."""
    time = np.arange(FRAMES)
    swing = 0.1 * TALL * np.sin(0.25 * time)[:, None] * np.linspace(-1, 1, 12)
    way = 0.03 * TALL * (time - 30.0)
    people = []
    for step, away in ((way, 0.0), (facing * way, apart * TALL)):
        place = np.stack([step + away + 500, np.full(FRAMES, 400.0)], axis=-1)[:, None]
        people.append(BODY + np.stack([swing, 0 * swing], axis=-1) + place)
    return people


def named(people, turned, hidden=(), noise=1.0, fps=FPS):
    """Tracks 'a' and 'b' of two people, who have each other's ids where ``turned`` (T,) is."""
    rng = np.random.default_rng(1)
    poses = np.array(people) + rng.normal(0, noise, np.shape(people))
    for person, frame in hidden:
        poses[person, frame] = np.nan
    poses = np.where(turned[:, None, None], poses[::-1], poses)
    return [PoseSequence(p, fps=fps, skeleton="alphapose12", person=n)
            for p, n in zip(poses, "ab", strict=True)]


def flips(first, stop, every=2):
    turned = np.zeros(FRAMES, bool)
    turned[first:stop] = (np.arange(first, stop) - first) // (every // 2) % 2 == 0
    return turned


def right(tracks, turned):
    """Of everyone in every frame, whether an id is that of one person once it is put right."""
    moves, _ = find_exchanges(tracks)
    return np.array([
        (moves.get((track.person, t), track.person) != track.person) == turned[t]
        for track in tracks for t in track.frames[track.observed.any(-1)].tolist()
    ])


@pytest.mark.parametrize("apart", [0.15, 0.4, 3.0])
@pytest.mark.parametrize("turned", [
    flips(10, 40), flips(10, 41), flips(10, 46, 6), flips(30, FRAMES),
    np.random.default_rng(3).random(FRAMES) < 0.5,
], ids=["every second", "an odd number", "every third", "to the end", "at random"])
def test_people_who_walk_side_by_side_with_ids_that_flip(apart, turned):
    tracks = named(walkers(apart), turned)
    found = right(tracks, turned)
    assert found.all() or not found.any()
    if not turned[0]:
        assert found.all()
    assert len(find_flickers(tracks)) >= 1


def test_frames_in_which_one_of_them_is_not_seen():
    turned = flips(10, 40)
    hidden = [(0, 15), (1, 20), (0, 21), (1, 26), (0, 60 - 1)]
    assert right(named(walkers(), turned, hidden), turned).all()


def test_people_who_meet_while_their_ids_flip():
    """They pass close by each other, and are who they were before and after it."""
    turned = flips(16, 44)
    people = walkers(0.02, -1.0)
    people[1] = people[1] * (1, 0.9) + (0, 70)
    tracks = named(people, turned)
    assert right(tracks, turned).all()
    moves, exchanges = find_exchanges(tracks)
    assert [(e.frame, e.last, e.people, e.clear) for e in exchanges] == [(16, 43, ("a", "b"), True)]
    assert {frame for _, frame in moves} == set(np.flatnonzero(turned).tolist())


def test_ids_stay_as_they_were_read_after_a_moment_in_which_nothing_tells():
    """Bodies alike that lie on each other: whether they passed or turned round is not known."""
    turned = flips(16, 44)
    tracks = named(walkers(0.0, -1.0), turned, noise=0.5)
    moves, _ = find_exchanges(tracks)
    assert not {frame for _, frame in moves} & {*range(16), *range(44, FRAMES)}


@pytest.mark.parametrize("apart", [0.0, 0.02, 0.1, 0.5])
@pytest.mark.parametrize("noise", [0.0, 2.0, 8.0])
@pytest.mark.parametrize("facing", [1.0, -1.0])
@pytest.mark.parametrize("fps", [25.0, 6.0])
def test_ids_that_are_right_are_left(apart, noise, facing, fps):
    """People side by side who do the same, and those who pass each other, however near."""
    none = np.zeros(FRAMES, bool)
    assert find_flickers(named(walkers(apart, facing), none, noise=noise, fps=fps)) == []


def test_one_exchange_and_back_is_none_of_these():
    turned = np.zeros(FRAMES, bool)
    turned[20:35] = True
    assert find_flickers(named(walkers(), turned)) == []


def test_three_people_who_flip_at_once_are_left_to_others():
    a, b = named(walkers(), flips(10, 40))
    c = a.replace(person="c", keypoints=b.keypoints + (300, 0))
    d = b.replace(person="d", keypoints=a.keypoints + (300, 0))
    assert len(find_flickers([a, b])) == 1
    assert {f.people for f in find_flickers([a, b, c, d])} <= {(0, 1), (2, 3)}
    assert find_flickers([a, b, a.replace(person="e")]) == []


@pytest.mark.parametrize("people", [3, 10, 20])
def test_in_a_crowd_whose_ids_say_nothing_none_are_put_right(people):
    """They are places in a list: whoever leaps, mostly leaps to a third one's place."""
    rng = np.random.default_rng(people)
    start = rng.uniform(0, 2000, (people, 1, 1, 2))
    poses = start + rng.normal(0, 0.1 * TALL, (people, FRAMES, 1, 2)).cumsum(1) / 10 + BODY
    for t in range(FRAMES):
        poses[:, t] = poses[rng.permutation(people), t]
    crowd = [PoseSequence(p, fps=FPS, skeleton="alphapose12", person=i)
             for i, p in enumerate(poses)]
    assert find_flickers(crowd) == []
