"""The embedded motion set: do its people look and move like people?"""

import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.motion.procedural import procedural_clips
from posegan_jax.pose.skeleton import get_skeleton

SKELETON = get_skeleton("mpi_inf_3dhp")
SIDES = ("left", "right")
UP = np.array([0.0, 1.0, 0.0])
ACTIVITIES = {
    "standing", "walking", "running", "reaching", "waving", "squatting", "picking something up",
    "sitting down", "turning on the spot", "side stepping", "jumping jacks", "boxing",
}


@pytest.fixture(scope="module")
def clips():
    return procedural_clips("train") + procedural_clips("validation")


def joint(clip, name):
    return clip.positions[:, SKELETON.index(name)].astype(float)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def dot(a, b):
    return (a * b).sum(axis=-1)


def facing(clip, part):
    """(T, 3) horizontal direction to the front, from where left and right of a part are."""
    across = (joint(clip, f"left_{part}") - joint(clip, f"right_{part}")) * (1.0, 0.0, 1.0)
    return unit(np.cross(across, UP))


def ahead(clip, name):
    """(T,) millimetres that a joint is in front of the pelvis."""
    return dot(joint(clip, name) - joint(clip, "pelvis"), facing(clip, "hip"))


def bend(clip, side, first, middle, last):
    """(T,) degrees, 0 for a straight limb."""
    a = unit(joint(clip, f"{side}_{middle}") - joint(clip, f"{side}_{first}"))
    b = unit(joint(clip, f"{side}_{last}") - joint(clip, f"{side}_{middle}"))
    return np.degrees(np.arccos(np.clip(dot(a, b), -1.0, 1.0)))


def bone_lengths(clip):
    parents, children = np.array(SKELETON.bones()).T
    positions = clip.positions.astype(float)
    return np.linalg.norm(positions[:, parents] - positions[:, children], axis=-1)


def test_shapes_and_rate(clips):
    assert 50 <= len(procedural_clips("train")) <= 70
    assert 8 <= len(procedural_clips("validation")) <= 14
    for clip in clips:
        assert clip.positions.shape[1:] == (28, 3) and 100 <= len(clip.positions) <= 200
        assert clip.positions.dtype == np.float32 and np.isfinite(clip.positions).all()
        assert clip.fps == 25.0
        assert np.abs(clip.positions[0, SKELETON.index("pelvis"), [0, 2]]).max() < 1.0


def test_other_splits_are_refused():
    with pytest.raises(InputError, match="'test'.*train, validation"):
        procedural_clips("test")


@pytest.mark.parametrize("split", ["train", "validation"])
def test_the_same_at_every_call(split):
    first, second = procedural_clips(split), procedural_clips(split)
    for a, b in zip(first, second, strict=True):
        assert (a.subject, a.name, a.text) == (b.subject, b.name, b.text)
        np.testing.assert_array_equal(a.positions, b.positions)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_every_activity_is_there(split):
    clips = procedural_clips(split)
    assert {clip.text for clip in clips} == ACTIVITIES
    assert all(clip.text.replace(" ", "_") in clip.name for clip in clips)
    assert len({clip.name for clip in clips}) == len(clips)


def test_splits_share_no_subject_and_no_body(clips):
    bodies = {}
    for clip in clips:
        bodies.setdefault(clip.subject, []).append(bone_lengths(clip).mean(axis=0))
    for same in bodies.values():
        np.testing.assert_allclose(same, same[:1] * np.ones((len(same), 1)), rtol=1e-4)
    train = {clip.subject for clip in procedural_clips("train")}
    validation = {clip.subject for clip in procedural_clips("validation")}
    assert not train & validation and len(train) >= 10 and len(validation) >= 3
    # proportions, not only statures, differ from one subject to the next
    shares = np.array([same[0] / same[0].sum() for same in bodies.values()])
    distance = np.abs(shares[:, None] - shares).max(axis=-1) + np.eye(len(shares))
    assert distance.min() > 0.002


def test_bones_keep_their_lengths_and_sides_match(clips):
    left = [SKELETON.joints[child].startswith("left_") for _, child in SKELETON.bones()]
    right = [SKELETON.joints[child].startswith("right_") for _, child in SKELETON.bones()]
    for clip in clips:
        lengths = bone_lengths(clip)
        assert np.ptp(lengths, axis=0).max() < 0.05, clip.name
        np.testing.assert_allclose(lengths[:, left], lengths[:, right], atol=0.05)


def test_statures_and_widths_are_a_grown_persons(clips):
    for clip in clips:
        hips = np.linalg.norm(joint(clip, "left_hip") - joint(clip, "right_hip"), axis=-1)
        shoulders = joint(clip, "left_shoulder") - joint(clip, "right_shoulder")
        assert 170 < hips.mean() < 310
        # raised arms bring the shoulders together
        assert 220 < np.linalg.norm(shoulders, axis=-1).max() < 480
        if clip.text == "standing":
            assert 1400 < joint(clip, "head_top")[:, 1].max() < 1960


def test_nothing_goes_under_the_floor_and_feet_come_down_to_it(clips):
    for clip in clips:
        assert clip.positions[..., 1].min() > 0, clip.name
        lowest = np.minimum(joint(clip, "left_toe")[:, 1], joint(clip, "right_toe")[:, 1])
        on_floor = (lowest < 30).mean()
        assert on_floor > (0.25 if clip.text in ("running", "jumping jacks") else 0.95), clip.name


def test_feet_on_the_floor_do_not_slide(clips):
    for clip in clips:
        for side in SIDES:
            ball = joint(clip, f"{side}_foot")
            low = ball[:, 1] < ball[:, 1].min() + 2
            step = np.linalg.norm(np.diff(ball[:, [0, 2]], axis=0), axis=-1)[low[:-1] & low[1:]]
            assert step.size and step.max() < 13 and np.median(step) < 0.5, clip.name


def test_running_has_flights_and_walking_has_none(clips):
    for clip in clips:
        height = np.minimum(joint(clip, "left_foot")[:, 1], joint(clip, "right_foot")[:, 1])
        airborne = (height > 35).mean()
        if clip.text == "running":
            assert 0.1 < airborne < 0.7, clip.name
        if clip.text == "walking":
            assert airborne == 0, clip.name


def test_the_head_is_on_top(clips):
    for clip in clips:
        if clip.text == "picking something up":
            continue
        names = ("left_ankle", "left_knee", "pelvis", "spine3", "neck", "head", "head_top")
        heights = np.stack([joint(clip, name)[:, 1] for name in names])
        above = np.diff(heights, axis=0)
        # in a deep squat or on a low chair the hips come down to the knees
        rows = slice(2, None) if clip.text in ("squatting", "sitting down") else slice(None)
        assert above[rows].min() > 0, clip.name


def test_left_is_left(clips):
    for clip in clips:
        toes = sum(joint(clip, f"{s}_toe") - joint(clip, f"{s}_ankle") for s in SIDES)
        left = np.cross(UP, toes)
        for part in ("hip", "shoulder"):
            across = joint(clip, f"left_{part}") - joint(clip, f"right_{part}")
            assert dot(left, across).min() > 0, (clip.name, part)


def test_knees_bend_backwards_only(clips):
    for clip in clips:
        left = joint(clip, "left_hip") - joint(clip, "right_hip")
        for side in SIDES:
            hip, knee, ankle = (joint(clip, f"{side}_{j}") for j in ("hip", "knee", "ankle"))
            assert dot(np.cross(knee - hip, ankle - knee), left).min() > 0, clip.name
            angle = bend(clip, side, "hip", "knee", "ankle")
            assert angle.min() > 5 and angle.max() < 145, clip.name


def test_elbows_bend_forwards_only(clips):
    seen = 0
    for clip in clips:
        for side in SIDES:
            shoulder, elbow, wrist = (
                joint(clip, f"{side}_{j}") for j in ("shoulder", "elbow", "wrist")
            )
            upper, fore = unit(elbow - shoulder), unit(wrist - elbow)
            # where the arm hangs, in front is where the chest faces
            hangs = -upper[:, 1] > np.cos(np.radians(45))
            out_of_line = fore - dot(fore, upper)[:, None] * upper
            forward = dot(out_of_line, facing(clip, "shoulder"))[hangs]
            seen += len(forward)
            assert not len(forward) or forward.min() > 0, clip.name
            angle = bend(clip, side, "shoulder", "elbow", "wrist")
            assert angle.min() > 3 and angle.max() < 151, clip.name
    assert seen > 5000


def test_speeds_are_plausible(clips):
    for clip in clips:
        speed = np.linalg.norm(np.diff(clip.positions.astype(float), axis=0), axis=-1) * 0.025
        assert 0.2 < speed.max() < 12.0, clip.name  # metres per second
        # and nothing jumps: velocities change by a few metres per second between two frames
        change = np.linalg.norm(np.diff(clip.positions.astype(float), n=2, axis=0), axis=-1)
        assert change.max() * 0.025 < 6.0, clip.name


def test_walkers_and_runners_go_where_they_face(clips):
    ranges = {"walking": (0.2, 2.2), "running": (1.5, 4.5)}
    for clip in clips:
        if clip.text in ranges:
            velocity = np.diff(joint(clip, "pelvis"), axis=0) * 0.025
            low, high = ranges[clip.text]
            assert low < dot(velocity, facing(clip, "hip")[:-1]).mean() < high, clip.name


def test_arms_swing_against_the_legs(clips):
    found = {"walking": [], "running": []}
    for clip in clips:
        for side in SIDES if clip.text in found else ():
            arm, leg = ahead(clip, f"{side}_elbow"), ahead(clip, f"{side}_knee")
            found[clip.text].append(np.corrcoef(arm, leg)[0, 1])
    assert max(found["running"]) < -0.5
    # some walkers do something else with an arm
    assert np.median(found["walking"]) < -0.5 and max(found["walking"]) < 0.5


def test_squatters_and_sitters_keep_their_feet_and_lower_their_hips(clips):
    for clip in clips:
        if clip.text in ("squatting", "sitting down"):
            height = joint(clip, "pelvis")[:, 1]
            assert height.min() < 0.8 * height.max(), clip.name
            for name in ("left_foot", "left_toe", "right_foot", "right_toe"):
                assert np.ptp(joint(clip, name), axis=0).max() < 1.0, (clip.name, name)


def test_turners_turn_on_the_spot(clips):
    for clip in clips:
        if clip.text == "turning on the spot":
            front = facing(clip, "hip")
            yaw = np.degrees(np.unwrap(np.arctan2(front[:, 0], front[:, 2])))
            assert np.ptp(yaw) > 60, clip.name
            assert np.abs(joint(clip, "pelvis")[:, [0, 2]]).max() < 250, clip.name
