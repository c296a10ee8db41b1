"""Left and right, exchanged by the detector."""

import numpy as np
import pytest

from posegan_jax.inpainting import sides
from posegan_jax.inpainting.sides import exchanged
from posegan_jax.pose.skeleton import get_skeleton

SKELETON = get_skeleton("alphapose12")
MIRROR = list(SKELETON.mirror)
LEGS = [j for j, name in enumerate(SKELETON.joints) if name.endswith(("knee", "ankle"))]


def walk(frames=60, per_second=25.0):
    """(T, 12, 2) pixels: a person of 400 pixels walks to the right, seen from the side.

    Limbs swing against each other, so that left and right lie on each other twice a second.
    """
    height = {"shoulder": 0, "elbow": 60, "wrist": 110, "hip": 130, "knee": 220, "ankle": 300}
    swing = {"shoulder": 10, "elbow": 25, "wrist": 55, "hip": 10, "knee": 40, "ankle": 75}
    time = np.arange(frames) / per_second
    keypoints = np.empty((frames, 12, 2))
    for j, name in enumerate(SKELETON.joints):
        side, _, part = name.partition("_")
        sign = (1 if side == "left" else -1) * (1 if height[part] > 115 else -1)
        # The far side is a little higher in the picture.
        keypoints[:, j, 0] = 200 + 100 * time + sign * swing[part] * np.sin(2 * np.pi * time)
        keypoints[:, j, 1] = 300 + height[part] + (8 if side == "left" else -8)
    return keypoints


def facing(frames=60):
    """(T, 12, 2) pixels: a person whose sides never come near each other."""
    left = np.array([name.startswith("left") for name in SKELETON.joints])
    keypoints = walk(frames)
    keypoints[:, :, 0] += np.where(left, 150, -150)
    return keypoints


def cross(keypoints, crossed):
    """The keypoints with left and right exchanged where (T, J) ``crossed`` is."""
    return np.where(crossed[..., None], keypoints[:, MIRROR], keypoints)


def marked(frames, rows, joints=LEGS):
    crossed = np.zeros((frames, 12), bool)
    crossed[np.ix_(np.arange(frames)[rows], joints)] = True
    return crossed


def look(truth, off=15.0):
    """A first look that is not quite right."""
    return truth + off * np.random.default_rng(0).normal(size=truth.shape)


@pytest.mark.parametrize("frames", [1, 2, 25, 100])
def test_straight_motion_is_left_alone(frames):
    truth = walk(frames)
    found = exchanged(truth, look(truth), SKELETON)
    assert found.shape == (frames, 12) and found.dtype == bool and not found.any()


@pytest.mark.parametrize(
    "rows",
    [slice(20, 30), slice(24, 25), slice(0, 7), slice(53, 60)],
    ids=["a while", "one frame", "from the start", "to the end"],
)
def test_crossed_legs_are_found(rows):
    truth = walk()
    crossed = marked(60, rows)
    found = exchanged(cross(truth, crossed), look(truth), SKELETON)
    # Where both sides lie on each other nobody can tell, nor need to.
    apart = np.linalg.norm(truth - truth[:, MIRROR], axis=-1) > 20
    np.testing.assert_array_equal(found[apart], crossed[apart])
    np.testing.assert_array_equal(found, found[:, MIRROR])


@pytest.mark.parametrize("rows", [slice(15, 43), slice(35, 60)])
def test_sides_that_never_meet_are_found_however_long_they_are_crossed(rows):
    truth = facing()
    crossed = marked(60, rows)
    found = exchanged(cross(truth, crossed), look(truth), SKELETON)
    np.testing.assert_array_equal(found, crossed)


def test_every_pair_is_judged_by_itself():
    truth = walk()
    elbows, ankles = (
        [j for j, name in enumerate(SKELETON.joints) if name.endswith(part)]
        for part in ("elbow", "ankle")
    )
    crossed = marked(60, slice(15, 22), elbows) | marked(60, slice(18, 23), ankles)
    found = exchanged(cross(truth, crossed), look(truth), SKELETON)
    apart = np.linalg.norm(truth - truth[:, MIRROR], axis=-1) > 20
    np.testing.assert_array_equal(found[apart], crossed[apart])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("away", [(600.0, 0.0), (-600.0, 0.0), (0.0, -600.0)])
def test_a_gross_outlier_does_not_take_its_partners_name(side, away):
    """Even when the partner lies on the way there."""
    truth = walk()
    truth[20, SKELETON.index(f"{side}_ankle")] += away
    truth[40:45, SKELETON.index(f"{side}_wrist")] += away
    assert not exchanged(truth, look(truth), SKELETON).any()


def test_noise_does_not_hide_it():
    truth = walk()
    crossed = marked(60, slice(17, 22))
    noisy = cross(truth, crossed) + 3 * np.random.default_rng(1).normal(size=truth.shape)
    found = exchanged(noisy, look(truth), SKELETON)
    apart = np.linalg.norm(truth - truth[:, MIRROR], axis=-1) > 30
    np.testing.assert_array_equal(found[apart], crossed[apart])


def test_labels_are_right_as_a_rule():
    """Exchanged throughout, nothing but the first look speaks against it: that is not enough."""
    truth = walk()
    assert not exchanged(cross(truth, marked(60, slice(None))), look(truth), SKELETON).any()


def test_the_first_look_decides_which_part_is_right():
    """Of two straight halves that do not fit, either may be the exchanged one."""
    truth = facing(40)
    everyone = list(range(12))
    last = marked(40, slice(20, 40), everyone)
    found = exchanged(cross(truth, last), truth, SKELETON)
    np.testing.assert_array_equal(found, last)
    # A look at a person that is exchanged first, not last.
    found = exchanged(cross(truth, last), truth[:, MIRROR], SKELETON)
    np.testing.assert_array_equal(found, ~last)


def test_the_body_may_be_of_any_size_and_anywhere():
    truth = walk()
    crossed = marked(60, slice(20, 30))
    keypoints, generated = cross(truth, crossed), look(truth)
    found = exchanged(keypoints, generated, SKELETON)
    assert found.any()
    moved = exchanged(0.1 * keypoints - 50, 0.1 * generated - 50, SKELETON)
    np.testing.assert_array_equal(moved, found)


def test_joints_that_are_missing():
    truth = walk()
    crossed = marked(60, slice(20, 30))
    keypoints = cross(truth, crossed)
    keypoints[:, SKELETON.index("left_wrist")] = np.nan  # one side is never seen
    keypoints[25, LEGS] = np.nan
    keypoints[40:50] = np.nan
    keypoints[5, SKELETON.index("left_knee")] = np.nan
    found = exchanged(keypoints, look(truth), SKELETON)
    seen = np.isfinite(keypoints[..., 0]) & (
        np.linalg.norm(truth - truth[:, MIRROR], axis=-1) > 20
    )
    np.testing.assert_array_equal(found[seen], crossed[seen])
    assert not exchanged(np.full(truth.shape, np.nan), look(truth), SKELETON).any()


def test_frames_without_a_first_look():
    truth = walk()
    crossed = marked(60, slice(20, 30))
    generated = look(truth)
    generated[:10] = generated[40:] = np.nan
    found = exchanged(cross(truth, crossed), generated, SKELETON)
    apart = np.linalg.norm(truth - truth[:, MIRROR], axis=-1) > 20
    np.testing.assert_array_equal(found[apart], crossed[apart])
    assert not exchanged(cross(truth, crossed), np.full(truth.shape, np.nan), SKELETON).any()


@pytest.mark.parametrize("faster", [2, 4])
def test_a_fast_video_is_judged_alike(faster):
    slow, fast = walk(40), walk(40 * faster, 25.0 * faster)
    crossed = marked(40, slice(18, 31))
    often = np.repeat(crossed, faster, axis=0)
    found = exchanged(cross(fast, often), look(fast), SKELETON, step=1 / faster)
    apart = np.linalg.norm(fast - fast[:, MIRROR], axis=-1) > 20
    np.testing.assert_array_equal(found[apart], often[apart])
    assert not exchanged(fast, look(fast), SKELETON, step=1 / faster).any()
    np.testing.assert_array_equal(
        exchanged(cross(slow, crossed), look(slow), SKELETON)[apart[::faster]],
        crossed[apart[::faster]],
    )


def test_what_lasts_as_long_costs_as_much_at_any_rate(monkeypatch):
    """An exchange of a second, of sides that are not far apart, at 100 frames per second."""
    monkeypatch.setattr(sides, "PULL", 0.0)  # the ways alone
    truth = np.repeat(facing(1), 300, axis=0)
    middle = truth.mean(axis=1, keepdims=True)
    truth[..., 0] = middle[..., 0] + 0.15 * (truth - middle)[..., 0]
    crossed = marked(300, slice(80, 180))
    found = exchanged(cross(truth, crossed), truth, SKELETON, step=0.25)
    np.testing.assert_array_equal(found, crossed)
    # With a hundred frames of the model between the ends it would not pay.
    assert not exchanged(cross(truth, crossed), truth, SKELETON).any()


@pytest.mark.parametrize("rows", [slice(25, 32), slice(0, 7), slice(53, 60)])
@pytest.mark.parametrize("phase", [0, 6, 12, 18])
@pytest.mark.parametrize("away", [600, 50])
def test_frames_of_another_person_tell_nothing_of_sides(rows, phase, away):
    """Somebody who walks the other way, beside or a body away, under the same id."""
    truth, other = walk(), walk(100)[phase:][:60] * (-1, 1)
    other[..., 0] += (truth - other)[rows, ..., 0].mean() + away
    truth[rows] = other[rows]
    assert not exchanged(truth, look(truth), SKELETON).any()
    if rows.start:  # what is exchanged beside them is found
        crossed = marked(60, slice(8, 16))
        found = exchanged(cross(truth, crossed), look(truth), SKELETON)
        apart = np.linalg.norm(truth - truth[:, MIRROR], axis=-1) > 20
        np.testing.assert_array_equal(found[apart], crossed[apart])


@pytest.mark.filterwarnings("error")
def test_a_person_without_size_is_left_alone():
    point = np.full((10, len(SKELETON), 2), 300.0)
    assert not exchanged(point, point, SKELETON).any()


def test_arms_that_are_right_are_not_exchanged_where_bones_get_longer():
    """Hands that meet and part fast, as in a serve: their ways alone would tell them exchanged."""
    truth = facing(30)
    wrists = [j for j, name in enumerate(SKELETON.joints) if name.endswith("wrist")]
    pair = truth[:, wrists].copy()
    middle = pair.mean(axis=1, keepdims=True)
    near = np.ones(30)
    near[8:10], near[18:20] = 0.02, 0.02
    fast = middle + (pair - middle) * near[:, None, None]
    truth[:, wrists] = fast
    crossed = np.zeros((30, 12), bool)
    crossed[9:19, wrists] = True
    assert not sides._with_short_bones(truth, crossed, SKELETON)[:, wrists].any()
    # An exchange that is one makes bones shorter, and stays.
    detected = cross(truth, crossed)
    np.testing.assert_array_equal(
        sides._with_short_bones(detected, crossed, SKELETON), crossed)
