"""Joints carried from one skeleton to another."""

import numpy as np
import pytest

from posegan_jax.pose.carry import carry_joints, midpoints, on_skeleton
from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import DERIVED, SKELETONS, get_skeleton

BODY = get_skeleton("body25")
COCO = get_skeleton("coco17")


def someone(skeleton, **keys):
    """A track of 4 frames, every joint at a place of its own."""
    count = len(get_skeleton(skeleton))
    rng = np.random.default_rng(count)
    return PoseSequence(
        rng.uniform(100, 900, (4, count, 2)).round(3), rng.uniform(0.7, 1, (4, count)).round(3),
        25.0, skeleton, **({"person": 3} | keys),
    )


@pytest.mark.parametrize("target", SKELETONS)
@pytest.mark.parametrize("skeleton", ["coco17", "halpe26", "mpi_inf_3dhp", "mediapipe33"])
def test_joints_of_one_name_keep_their_numbers(skeleton, target):
    before = someone(skeleton)
    after = on_skeleton(before, target)
    old, new = get_skeleton(skeleton), get_skeleton(target)
    for k, joint in enumerate(new.joints):
        if joint in old:
            at = old.index(joint)
            np.testing.assert_array_equal(after.keypoints[:, k], before.keypoints[:, at])
            np.testing.assert_array_equal(after.scores[:, k], before.scores[:, at])
        elif joint not in DERIVED:
            assert np.isnan(after.keypoints[:, k]).all() and not after.scores[:, k].any()
    assert (after.skeleton, after.person, after.fps) == (target, 3, 25.0)


def test_midpoints_are_made_of_their_two_joints():
    before = someone("coco17")
    keypoints, provenance = before.keypoints.copy(), before.provenance.copy()
    left, right = (get_skeleton("coco17").index(f"{side}_hip") for side in ("left", "right"))
    keypoints[1, left] = np.nan
    provenance[2, right] = Provenance.FILLED
    before = before.replace(keypoints=keypoints, provenance=provenance)
    after, hip = on_skeleton(before, "body25"), BODY.index("mid_hip")
    np.testing.assert_array_equal(after.keypoints[:, hip], keypoints[:, [left, right]].mean(1))
    np.testing.assert_array_equal(after.scores[:, hip], before.scores[:, [left, right]].min(1))
    assert after.provenance[:, hip].tolist() == [1, 0, 3, 1]
    assert after.observed[:, BODY.index("mid_shoulder")].all()


def test_the_joints_that_are_lacking_get_what_is_said():
    values = np.arange(17 * 3)
    for fill in (-1, np.full((25, 3), -1)):
        carried = carry_joints(values.reshape(17, 3), COCO, BODY, fill, axis=0)
        assert carried.shape == (25, 3) and carried.dtype == values.dtype
        for joint, row in zip(BODY.joints, carried.tolist(), strict=True):
            at = COCO.index(joint) if joint in COCO else None
            assert row == ([-1] * 3 if at is None else [3 * at, 3 * at + 1, 3 * at + 2])


def test_what_is_carried_over_is_a_copy():
    values, others = np.zeros((2, 17)), np.ones((2, 25))
    carry_joints(values, COCO, COCO, 0.0)[:] = 5
    carry_joints(values, COCO, BODY, others)[:] = 5
    assert not values.any() and (others == 1).all()


def test_midpoints_need_both_of_their_joints_and_are_not_made_twice():
    assert midpoints(COCO, BODY) == {"mid_shoulder": [5, 6], "mid_hip": [11, 12]}
    assert list(midpoints(COCO, get_skeleton("coco18"))) == ["mid_shoulder"]
    assert midpoints(BODY, BODY) == midpoints(get_skeleton("joints:nose"), BODY) == {}
