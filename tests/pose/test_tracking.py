"""Tracking: who keeps which id."""

import numpy as np
import pytest

from posegan_jax.pose import tracking
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.pose.tracking import MIN_SIMILARITY, SIGMA, track

COCO = get_skeleton("coco17")
ARM = [COCO.index(f"left_{part}") for part in ("shoulder", "elbow", "wrist")]
# A body about 60 pixels wide and 200 high, seen from the front.
BODY = np.random.default_rng(3).uniform([-30, -100], [30, 100], (len(COCO), 2))


def people_at(*tracks):
    """Detections of people whose centres are given per frame, None where one is unseen.

    Returns:
      frames (N,), poses (N, K, 2), scores (N, K) and the true person of each (N,).
    """
    found = [
        (t, BODY + place, person)
        for t, places in enumerate(zip(*tracks, strict=True))
        for person, place in enumerate(places)
        if place is not None
    ]
    frames, poses, truth = zip(*found, strict=True)
    poses = np.array(poses)
    return np.array(frames), poses, np.full(poses.shape[:2], 0.9), np.array(truth)


def walk(x, y, dx, dy, frames):
    return [(x + t * dx, y + t * dy) for t in range(frames)]


def same_partition(a, b):
    """Whether two labellings say the same of every pair."""
    return bool(((a[:, None] == a) == (b[:, None] == b)).all())


def test_one_person_is_one_person():
    frames, poses, scores, _ = people_at(walk(200, 200, 6, 1, 30))
    assert track(frames, poses, scores).tolist() == [0] * 30


def test_ids_count_from_zero_in_order_of_appearance():
    frames, poses, scores, truth = people_at(
        walk(900, 200, 1, 0, 6), [None] * 2 + walk(200, 200, 1, 0, 4),
        [None] * 4 + walk(500, 200, 1, 0, 2),
    )
    assert track(frames, poses, scores).tolist() == truth.tolist()


def test_two_people_who_cross_keep_their_ids():
    # They pass 60 pixels behind one another at 8 pixels per frame.
    frames, poses, scores, truth = people_at(
        walk(200, 200, 8, 0, 50), walk(592, 260, -8, 0, 50)
    )
    assert same_partition(track(frames, poses, scores), truth)


AREA = np.prod(np.ptp(BODY, axis=0))


def apart(similarity, area=AREA):
    """How far a body, BODY or of another area, is moved, (2,), to be this similar to itself."""
    return np.array([np.sqrt(-2 * area * (2 * SIGMA) ** 2 * np.log(similarity)), 0.0])


def test_similarity_has_a_lower_limit():
    for similarity, ids in ((1.05 * MIN_SIMILARITY, [0, 0]), (0.95 * MIN_SIMILARITY, [0, 1])):
        poses = np.array([BODY, BODY + apart(similarity)])
        assert track(np.arange(2), poses, np.ones((2, len(COCO)))).tolist() == ids


def test_the_best_matching_overall_counts_not_the_first():
    # The middle one is a little nearer to 0, but nobody else is near 1.
    poses = np.array([BODY, BODY + apart(0.1), BODY + 0.48 * apart(0.1), BODY - apart(0.5)])
    ids = track(np.array([0, 0, 1, 1]), poses, np.ones((4, len(COCO))))
    assert ids.tolist() == [0, 1, 1, 0]


def test_pairs_that_cannot_be_one_person_do_not_sway_the_others():
    # b is more like 0 than 1. That a is almost like enough to be 0 must not hand b to 1.
    a = BODY - apart(0.95 * MIN_SIMILARITY)
    b = BODY + apart(2 * MIN_SIMILARITY)
    poses = np.array([BODY, b + apart(1.4 * MIN_SIMILARITY), a, b])
    ids = track(np.array([0, 0, 1, 1]), poses, np.ones((4, len(COCO))))
    assert ids.tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize("gap, same", [(1, True), (5, True), (6, False), (40, False)])
def test_someone_back_after_a_while(gap, same):
    frames = np.array([0, 1, 1 + gap, 2 + gap])
    ids = track(frames, np.stack([BODY] * 4), np.ones((4, len(COCO))), max_age=5)
    assert ids.tolist() == ([0, 0, 0, 0] if same else [0, 0, 1, 1])


def test_someone_who_leaves_does_not_pass_the_id_on():
    frames, poses, scores, truth = people_at(
        walk(200, 200, 2, 0, 5) + [None] * 5, [None] * 5 + walk(700, 200, 2, 0, 5),
        walk(450, 200, 0, 0, 10),
    )
    assert same_partition(track(frames, poses, scores), truth)


def test_a_jump_across_the_picture_is_someone_else():
    poses = np.array([BODY, BODY + [400, 0]])
    assert track(np.arange(2), poses, np.ones((2, len(COCO)))).tolist() == [0, 1]


def test_the_size_of_the_body_is_the_measure():
    for size in (0.1, 1.0, 10.0):
        poses = size * np.array([BODY, BODY + [20, 0]])
        assert track(np.arange(2), poses, np.ones((2, len(COCO)))).tolist() == [0, 0]


def test_missing_joints_neither_bind_nor_part():
    frames, poses, scores, truth = people_at(walk(200, 200, 4, 0, 12), walk(500, 200, 4, 0, 12))
    poses[5:15, ARM] = np.nan
    assert same_partition(track(frames, poses, scores), truth)


def test_joints_in_different_halves_have_nothing_in_common():
    upper, lower = BODY.copy(), BODY.copy()
    upper[9:], lower[:9] = np.nan, np.nan
    assert track(np.arange(2), np.array([upper, lower]), np.ones((2, 17))).tolist() == [0, 1]


def test_scores_weigh_the_joints():
    moved = BODY.copy()
    moved[ARM] += 500
    poses, scores = np.array([BODY, moved]), np.zeros((2, len(COCO)))
    scores[:, ARM] = 1.0
    assert track(np.arange(2), poses, scores).tolist() == [0, 1]
    assert track(np.arange(2), poses, 1.0 - scores).tolist() == [0, 0]


def test_a_crowd_is_compared_in_parts(monkeypatch):
    rng = np.random.default_rng(1)
    poses = BODY + rng.uniform([0, 0], [600, 300], (40, 2))[:, None]
    poses[rng.random(poses.shape[:2]) < 0.2] = np.nan
    poses[7] = np.nan
    found = tracking.detections(poses, rng.uniform(0.1, 1, poses.shape[:2]))
    a, b = np.arange(25), np.arange(40)
    whole = tracking.similarity(found, a, b, 0.3)
    each = [[tracking.similarity(found, a[[i]], b[[j]], 0.3).item() for j in b] for i in a]
    np.testing.assert_allclose(whole, each, rtol=1e-12)
    assert 25 < (whole > 0).sum() < 400 and not whole[7].any()
    assert whole[whole > 0].min() >= 0.3 and whole.max() == 1
    monkeypatch.setattr(tracking, "_AT_ONCE", 7)
    np.testing.assert_array_equal(tracking.similarity(found, a, b, 0.3), whole)


def test_boxes_keep_no_pair_apart_that_is_alike_enough():
    # The one joint that they have in common is as far away as the boxes are.
    for least in (MIN_SIMILARITY, 0.95):
        for factor, alike in ((1 + 1e-9, True), (1 - 1e-9, False)):
            poses = np.full((2, len(COCO), 2), np.nan)
            poses[0, :2] = [[0, 0], [100, 100]]
            poses[1, 1:3] = poses[0, 1] + apart(factor * least, 1e4)
            poses[1, 2] += [0, 50]
            found = tracking.detections(poses, np.ones((2, len(COCO))))
            value = tracking.similarity(found, np.array([0]), np.array([1]), least)
            np.testing.assert_allclose(value, [[factor * least * alike]])


def test_detections_without_any_joint():
    poses = np.full((3, len(COCO), 2), np.nan)
    assert sorted(track(np.array([0, 0, 1]), poses, np.zeros((3, len(COCO))))) == [0, 1, 2]


def test_single_detections_and_none():
    assert track(np.array([7]), BODY[None], np.ones((1, len(COCO)))).tolist() == [0]
    nobody = track(np.zeros(0, int), np.zeros((0, len(COCO), 2)), np.zeros((0, len(COCO))))
    assert nobody.tolist() == []


def test_the_order_of_detections_does_not_matter():
    rng = np.random.default_rng(0)
    frames, poses, scores, _ = people_at(
        walk(200, 200, 8, 0, 25), walk(592, 260, -8, 0, 25), walk(300, 600, 3, -2, 25)
    )
    poses = poses + rng.normal(0, 3, poses.shape)
    ids = track(frames, poses, scores)
    assert len(set(ids.tolist())) == 3
    for _ in range(3):
        order = rng.permutation(len(frames))
        assert same_partition(track(frames[order], poses[order], scores[order]), ids[order])
