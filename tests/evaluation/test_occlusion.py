"""Seeded ways in which joints go missing."""

import numpy as np
import pytest

from posegan_jax.evaluation.occlusion import PROTOCOLS, protocol_mask
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

MPI = get_skeleton("mpi_inf_3dhp")
DETECTED = np.array([joint in DETECTED_12 for joint in MPI.joints])
SHAPE = (40, 24)


def mask_of(name, seed=0):
    return protocol_mask(name, SHAPE, MPI, seed)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_only_detected_joints_are_ever_observed(name):
    mask = mask_of(name)
    assert mask.shape == (*SHAPE, 28) and mask.dtype == bool
    assert not mask[..., ~DETECTED].any() and mask.any(axis=(1, 2)).all()


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_same_seed_gives_the_same_mask(name):
    np.testing.assert_array_equal(mask_of(name, 3), mask_of(name, 3))
    if name == "holes":
        assert (mask_of(name, 3) != mask_of(name, 4)).mean() > 0.1


def test_clean_observes_all_twelve():
    assert (mask_of("clean") == DETECTED).all() and mask_of("clean")[0, 0].sum() == 12


def test_holes_miss_four_in_ten_each_joint_and_frame_on_its_own():
    missing = ~mask_of("holes")[..., DETECTED]
    assert missing.mean() == pytest.approx(0.4, abs=0.02)
    np.testing.assert_allclose(missing.mean(axis=(0, 1)), 0.4, atol=0.07)  # every joint
    np.testing.assert_allclose(missing.mean(axis=(0, 2)), 0.4, atol=0.1)  # every frame
    joints = missing.reshape(-1, 12).astype(float).T
    correlation = np.corrcoef(joints) - np.eye(12)
    assert np.abs(correlation).max() < 0.15
    along = np.corrcoef(missing[:, 1:].ravel(), missing[:, :-1].ravel())[0, 1]
    assert abs(along) < 0.05


@pytest.mark.parametrize("frames", [24, 48, 11])
def test_the_gap_is_ten_frames_in_the_middle(frames):
    mask = protocol_mask("gap", (3, frames), MPI, 0)
    empty = ~mask.any(axis=-1)
    first = (frames - 10) // 2
    assert (empty == np.isin(np.arange(frames), np.arange(first, first + 10))).all()
    assert (mask[~empty] == DETECTED).all()


def test_legs_are_seen_down_to_the_hips():
    mask = mask_of("legs")
    gone = {f"{side}_{part}" for side in ("left", "right") for part in ("knee", "ankle")}
    wanted = [joint in DETECTED_12 and joint not in gone for joint in MPI.joints]
    assert (mask == wanted).all() and sum(wanted) == 8


def test_other_skeletons():
    coco = get_skeleton("coco17")
    assert protocol_mask("clean", (1, 1), coco, 0).sum() == 12
    assert protocol_mask("legs", (1, 1), coco, 0).sum() == 8


def test_an_unknown_protocol_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'arms'.*clean, holes, gap, legs"):
        mask_of("arms")
