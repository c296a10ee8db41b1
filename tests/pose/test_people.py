"""Who is who: frames that go from one person to another, and ids that are ignored."""

import numpy as np

from posegan_jax.pose.people import relabel, tracked
from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import get_skeleton

BODY = np.random.default_rng(3).uniform([-30, -100], [30, 100], (len(get_skeleton("coco17")), 2))


def person(name, places, frames=None):
    """Someone at places (T, 2), whose scores tell the place."""
    places = np.asarray(places, float)
    scores = np.broadcast_to(places[:, :1] / 1000, (len(places), 17))
    return PoseSequence(
        BODY + places[:, None], scores, 30.0, frames=frames, person=name,
        provenance=np.full(scores.shape, Provenance.REFINED),
    )


def at(sequence):
    """x of the person in every frame, None where nothing is seen."""
    x = np.round(sequence.keypoints[:, 0, 0] - BODY[0, 0])
    return dict(zip(
        sequence.frames.tolist(), [None if np.isnan(v) else int(v) for v in x], strict=True
    ))


def test_frames_go_to_other_people():
    a = person("a", [[100, 0], [101, 0], [202, 0]], [5, 6, 7])
    b = person("b", [[201, 0], [102, 0], [203, 0]], [6, 7, 9])
    c = person("c", [[300, 0]])
    moves = {("a", 7): "b", ("b", 7): "a", ("b", 9): "d"}
    people = relabel([a, b, c], moves)
    assert [s.person for s in people] == ["a", "b", "c", "d"] and people[2] is c
    assert at(people[0]) == {5: 100, 6: 101, 7: 102}
    assert at(people[1]) == {6: 201, 7: 202}
    assert at(relabel([a, b, c], moves, blank=True)[1]) == {6: 201, 7: 202, 9: None}
    assert [s.person for s in relabel([a, c], {("c", 0): "a"})] == ["a"]
    assert at(people[3]) == {9: 203}
    for sequence in people:
        assert sequence.fps == 30 and sequence.skeleton == "coco17"
        seen = sequence.observed.all(-1)
        np.testing.assert_allclose(
            sequence.scores[seen, 0], (sequence.keypoints[seen, 0, 0] - BODY[0, 0]) / 1000
        )
        assert (sequence.provenance[seen] == Provenance.REFINED).all()
    assert relabel([a, b], {}) == [a, b]


def test_people_are_followed_by_their_poses_whatever_their_ids_are():
    left, right = [[100, 0]] * 20, [[600, 0]] * 20
    a = person("a", [*left[:6], *right[6:]])
    b = person("b", [*right[:6], *left[6:18]], range(18))
    moves = tracked([a, b])
    people = relabel([a, b], moves)
    # Each has the id that was on most of its frames.
    assert [s.person for s in people] == ["a", "b"]
    assert at(people[0]) == dict.fromkeys(range(20), 600)
    assert {k: v for k, v in at(people[1]).items() if v} == dict.fromkeys(range(18), 100)
    assert tracked(people) == {}


def test_one_id_for_two_people_in_turn():
    a = person(0, [[100, 0]] * 6 + [[700, 0]] * 3)
    people = relabel([a], tracked([a]))
    assert [s.person for s in people] == [0, 1]
    assert at(people[1]) == dict.fromkeys(range(6, 9), 700)
    assert tracked([]) == {}
