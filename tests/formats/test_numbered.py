"""Which joints numbers are."""

import pytest

from posegan_jax.formats.numbered import numbered
from posegan_jax.pose.skeleton import get_skeleton

MEDIAPIPE, COCO = (get_skeleton(name).joints for name in ("mediapipe33", "coco17"))


@pytest.mark.parametrize("label", ["{}", "landmark_{}", "kp{}", "pose.{:02d}"])
@pytest.mark.parametrize("start", [0, 1])
def test_all_of_a_skeleton(label, start):
    labels = [label.format(k + start) for k in range(33)]
    found = numbered(labels)
    assert found.names == dict(zip(labels, MEDIAPIPE, strict=True))
    assert (found.skeleton, found.notes) == ("mediapipe33", ())


def test_other_joints_beside_them():
    labels = [*(f"landmark_{k}" for k in range(33)), "COM", "neck"]
    assert list(numbered(labels).names) == labels[:33]
    # Names that are known are not numbers: those of mpi_inf_3dhp's spine.
    assert numbered(["spine2", "spine3", "spine4", "nose", "hip"]).names == {}
    assert numbered(["knee1", "knee2", "hip1", "hip2", "nose", "wrist1", "wrist2"]).names == {}


@pytest.mark.parametrize(
    "numbers, skeleton",
    [([0, *range(11, 17), 23, 24], "mediapipe33"), (range(11, 33), "mediapipe33"),
     (range(5, 17), "coco17"), ([0, 2, 5, 40, 41, 42], None), (range(7), None), ([1, 3, 5], None)],
)
def test_some_of_them(numbers, skeleton):
    found = numbered([str(k) for k in numbers])
    assert found.skeleton == skeleton and bool(found.notes) == (skeleton is not None)
    if skeleton:
        joints = get_skeleton(skeleton).joints
        assert found.names == {str(k): joints[k] for k in numbers}


def test_a_joint_map_says_whose_they_are():
    found = numbered([str(k) for k in range(12)], {25: "body25"})
    assert list(found.names.values()) == list(get_skeleton("body25").joints[:12])
    assert numbered([str(k) for k in range(1, 18)], {17: "coco17"}).names["17"] == COCO[16]
    assert numbered([str(k) for k in range(30)], {25: "body25"}).names == {}
    assert numbered(["1", "1.0", "x"], None).names == {}
