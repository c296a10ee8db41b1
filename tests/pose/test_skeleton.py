"""Skeletons: names, mirror images, rows, and the way from one to another."""

import itertools
import json

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.arguments import make_parser
from posegan_jax.errors import InputError
from posegan_jax.formats.joint_names import joint_name
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import (
    DERIVED,
    DETECTED_12,
    SKELETONS,
    Skeleton,
    get_skeleton,
    make_skeleton,
    register,
    skeleton_of,
)

MPI = get_skeleton("mpi_inf_3dhp")
every_skeleton = pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
every_pair = pytest.mark.parametrize(
    "first, second", list(itertools.permutations(SKELETONS.values(), 2)),
    ids=lambda skeleton: skeleton.name,
)


# --- MPI-INF-3DHP ---------------------------------------------------------------------------------


def test_the_28_joints_of_mpi_inf_3dhp_in_their_order():
    assert MPI.joints == (
        "spine3", "spine4", "spine2", "spine", "pelvis", "neck", "head", "head_top",
        "left_clavicle", "left_shoulder", "left_elbow", "left_wrist", "left_hand",
        "right_clavicle", "right_shoulder", "right_elbow", "right_wrist", "right_hand",
        "left_hip", "left_knee", "left_ankle", "left_foot", "left_toe",
        "right_hip", "right_knee", "right_ankle", "right_foot", "right_toe",
    )
    assert len(MPI) == 28


def test_body45_is_the_28_and_what_detectors_mark_besides():
    body = get_skeleton("body45")
    assert body.joints[:28] == MPI.joints and len(body) == 45 and len(body.rows) == 27
    # What the detectors' bodies deliver of faces, feet and hands.
    for name, others in (("halpe26", 0), ("body25b", 1), ("coco17", 0), ("mediapipe33", 8)):
        assert sum(joint not in body for joint in get_skeleton(name).joints) == others
    assert skeleton_of(body.joints) is body and skeleton_of(MPI.joints) is MPI
    assert [body.joints[p] for p in np.asarray(body.parents)[[body.index(j) for j in (
        "nose", "left_eye", "right_ear", "left_heel", "right_small_toe", "left_thumb")]]] == [
        "head", "nose", "right_eye", "left_ankle", "right_foot", "left_wrist"]


def test_knuckles_come_before_hands_in_the_rows():
    body = get_skeleton("body45")
    order = [body.joints[left] for left, _ in body.rows]
    assert order[:6] == [
        "left_pinky", "left_index", "left_thumb", "left_hand", "left_wrist", "left_elbow"
    ]


@pytest.mark.parametrize(
    "part, left, right",
    [
        ("shoulder", 9, 14), ("elbow", 10, 15), ("wrist", 11, 16),
        ("hip", 18, 23), ("knee", 19, 24), ("ankle", 20, 25),
    ],
)
def test_where_the_joints_of_the_detector_sit(part, left, right):
    assert MPI.index(f"left_{part}") == left
    assert MPI.index(f"right_{part}") == right
    assert MPI.mirror[left] == right and MPI.mirror[right] == left
    assert {f"left_{part}", f"right_{part}"} <= set(DETECTED_12)


def test_the_detector_has_12_joints():
    assert len(DETECTED_12) == len(set(DETECTED_12)) == 12
    assert get_skeleton("alphapose12").joints == DETECTED_12


def test_18_rows_from_hands_to_feet():
    assert [MPI.joints[left] for left, _ in MPI.rows] == [
        "left_hand", "left_wrist", "left_elbow", "left_shoulder", "left_clavicle",
        "head_top", "head", "neck", "spine4", "spine3", "spine2", "spine", "pelvis",
        "left_hip", "left_knee", "left_ankle", "left_foot", "left_toe",
    ]
    singles = [left for left, right in MPI.rows if left == right]
    assert {MPI.joints[i] for i in singles} == {
        "head_top", "head", "neck", "spine4", "spine3", "spine2", "spine", "pelvis"
    }


@pytest.mark.parametrize(
    "child, parent",
    [
        ("left_hand", "left_wrist"), ("left_elbow", "left_shoulder"),
        ("left_shoulder", "left_clavicle"), ("right_clavicle", "neck"), ("head_top", "head"),
        ("head", "neck"), ("neck", "spine4"), ("spine4", "spine3"), ("spine", "pelvis"),
        ("right_hip", "pelvis"), ("right_toe", "right_foot"), ("right_foot", "right_ankle"),
    ],
)
def test_bones_of_mpi_inf_3dhp(child, parent):
    assert (MPI.index(parent), MPI.index(child)) in MPI.bones()


def test_mpi_inf_3dhp_hangs_together():
    assert MPI.parents.count(-1) == 1
    assert len(MPI.bones()) == 27


# --- every skeleton -------------------------------------------------------------------------------


@every_skeleton
def test_parents_have_no_cycles(skeleton):
    assert len(skeleton.parents) == len(skeleton)
    for joint in range(len(skeleton)):
        seen = set()
        while joint >= 0:
            assert joint not in seen
            seen.add(joint)
            joint = skeleton.parents[joint]
    roots = skeleton.parents.count(-1)
    assert roots >= 1
    assert len(skeleton.bones()) == len(skeleton) - roots


@every_skeleton
def test_bones_mirror_to_bones(skeleton):
    bones = set(skeleton.bones())
    assert {(skeleton.mirror[p], skeleton.mirror[c]) for p, c in bones} == bones


@every_skeleton
def test_mirroring_indices_is_an_involution_that_swaps_sides(skeleton):
    for i, name in enumerate(skeleton.joints):
        assert skeleton.mirror[skeleton.mirror[i]] == i
        other = skeleton.joints[skeleton.mirror[i]]
        if name.startswith("left_"):
            assert other == "right_" + name[5:]
        elif name.startswith("right_"):
            assert other == "left_" + name[6:]
        else:
            assert other == name


@every_skeleton
@pytest.mark.parametrize("width", [0.0, 640.0])
def test_mirroring_a_pose_twice_gives_it_back(skeleton, width):
    pose = np.random.default_rng(0).uniform(0, 640, (3, len(skeleton), 2))
    before = pose.copy()
    mirrored = skeleton.mirror_keypoints(pose, width)
    np.testing.assert_array_equal(pose, before)  # the input is left alone
    assert np.abs(mirrored - pose).max() > 1.0
    np.testing.assert_allclose(skeleton.mirror_keypoints(mirrored, width), pose, atol=1e-9)


@every_skeleton
def test_rows_hold_every_joint_once(skeleton):
    held = sorted(joint for pair in skeleton.rows for joint in set(pair))
    assert held == list(range(len(skeleton)))
    for left, right in skeleton.rows:
        assert skeleton.mirror[left] == right
        assert not skeleton.joints[left].startswith("right_")


@every_skeleton
def test_rows_run_down_the_body(skeleton):
    """In the order in which the joints that matter follow each other."""
    order = "hand wrist elbow shoulder clavicle head neck spine pelvis hip knee ankle foot".split()
    stems = [skeleton.joints[left].removeprefix("left_") for left, _ in skeleton.rows]
    found = [stem for stem in stems if stem in order]
    assert found == [stem for stem in order if stem in stems]


def test_mirror_keypoints_by_hand():
    skeleton = make_skeleton("three", ("left_hip", "pelvis", "right_hip"))
    pose = np.array([[60.0, 1.0], [50.0, 2.0], [30.0, 3.0]])
    np.testing.assert_array_equal(
        skeleton.mirror_keypoints(pose, 100.0), [[70.0, 3.0], [50.0, 2.0], [40.0, 1.0]]
    )


# --- from one skeleton to another -----------------------------------------------------------------


@every_pair
def test_joints_that_both_have_survive_the_way_there_and_back(first, second):
    pose = np.random.default_rng(0).normal(size=(len(first), 2))
    there, lost = carry(pose, first, second)
    back, lost_back = carry(there, second, first)
    for name in first.joints:
        survives = name in second
        assert (name in lost) != survives
        found = back[first.index(name)]
        if survives:
            np.testing.assert_array_equal(there[second.index(name)], pose[first.index(name)])
            np.testing.assert_array_equal(found, pose[first.index(name)])
        else:
            assert np.isnan(found).all()
    assert set(lost_back) == set(second.joints) - set(first.joints)


def carry(pose, source, target):
    taken, placed, lost = source.map_to(target)
    assert len(taken) == len(placed) == len(source) - len(lost)
    carried = np.full((len(target), 2), np.nan)
    carried[placed] = pose[taken]
    return carried, lost


@every_skeleton
def test_to_itself_nothing_moves(skeleton):
    source, destination, lost = skeleton.map_to(skeleton)
    np.testing.assert_array_equal(source, np.arange(len(skeleton)))
    np.testing.assert_array_equal(destination, np.arange(len(skeleton)))
    assert lost == ()


def test_nothing_in_common():
    feet = make_skeleton("feet", ("left_toe", "right_toe"))
    source, destination, lost = feet.map_to(get_skeleton("coco17"))
    assert source.shape == destination.shape == (0,)
    assert source.dtype.kind == destination.dtype.kind == "i"  # it still serves as an index
    assert lost == ("left_toe", "right_toe")


def test_every_detector_delivers_the_12():
    for skeleton in SKELETONS.values():
        assert set(DETECTED_12) <= set(skeleton.joints)


def test_the_neck_of_openpose_is_not_taken_for_a_neck():
    """It is the midpoint of the shoulders by definition."""
    for name in ("body25", "coco18"):
        assert "neck" not in get_skeleton(name) and "mid_shoulder" in get_skeleton(name)
    assert "mid_shoulder" in get_skeleton("body25").map_to(MPI)[2]
    assert DERIVED["mid_shoulder"] == ("left_shoulder", "right_shoulder")
    assert DERIVED["mid_hip"] == ("left_hip", "right_hip")


@pytest.mark.parametrize(
    "name, joint, index",
    [
        ("coco17", "nose", 0), ("coco17", "left_shoulder", 5), ("coco17", "right_ankle", 16),
        ("halpe26", "head_top", 17), ("halpe26", "pelvis", 19), ("halpe26", "right_heel", 25),
        ("body25", "mid_shoulder", 1), ("body25", "right_shoulder", 2), ("body25", "mid_hip", 8),
        ("body25", "left_big_toe", 19), ("body25", "right_heel", 24),
        ("coco18", "right_hip", 8), ("coco18", "left_ear", 17),
        ("body25b", "left_eye", 1), ("body25b", "right_ankle", 16), ("body25b", "upper_neck", 17),
        ("body25b", "head_top", 18), ("body25b", "left_heel", 21), ("body25b", "right_heel", 24),
        ("coco133", "left_big_toe", 17), ("coco133", "right_heel", 22), ("coco133", "chin", 31),
        ("coco133", "left_hand_root", 91), ("coco133", "left_thumb1", 92),
        ("coco133", "right_hand_root", 112), ("coco133", "right_pinky_finger4", 132),
        ("halpe136", "right_heel", 25), ("halpe136", "right_jaw0", 26), ("halpe136", "chin", 34),
        ("halpe136", "left_hand_root", 94), ("halpe136", "right_hand_root", 115),
        ("mediapipe33", "left_eye_inner", 1), ("mediapipe33", "left_shoulder", 11),
        ("mediapipe33", "right_thumb", 22), ("mediapipe33", "right_foot_index", 32),
        ("h36m17", "right_hip", 1), ("h36m17", "left_shoulder", 11), ("h36m17", "head_top", 10),
        ("mpii16", "right_ankle", 0), ("mpii16", "pelvis", 6), ("mpii16", "left_wrist", 15),
    ],
)
def test_published_indices_of_other_formats(name, joint, index):
    assert get_skeleton(name).index(joint) == index


def test_the_face_mirrors_as_published():
    """COCO-WholeBody's pairs of face points."""
    pairs = [(i, 16 - i) for i in range(8)] + [(i, 43 - i) for i in range(17, 22)]
    pairs += [(31, 35), (32, 34), (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
    pairs += [(48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67)]
    for name, first in (("coco133", 23), ("halpe136", 26)):
        skeleton = get_skeleton(name)
        found = [(i, skeleton.mirror[first + i] - first) for i in range(68)]
        assert {pair for pair in found if pair[0] < pair[1]} == set(pairs)
        hands = first + 68
        assert skeleton.mirror[hands : hands + 21] == tuple(range(hands + 21, hands + 42))


# --- bad input ------------------------------------------------------------------------------------


def test_an_unknown_skeleton_lists_the_known_ones():
    with pytest.raises(InputError, match="unknown skeleton 'coco'.*coco17"):
        get_skeleton("coco")


def test_an_unknown_joint_lists_the_known_ones():
    with pytest.raises(InputError, match="coco17 has no joint 'tail'.*left_ankle"):
        get_skeleton("coco17").index("tail")
    assert "tail" not in get_skeleton("coco17")


@pytest.mark.parametrize(
    "joints, message",
    [
        (("left_hip", "right_hip", "left_hip"), "appears twice"),
        (("pelvis", "left_hip"), "no joint 'right_hip'"),
        (("pelvis", "right_hip"), "no joint 'left_hip'"),
    ],
)
def test_joints_that_make_no_skeleton(joints, message):
    with pytest.raises(InputError, match=message):
        make_skeleton("broken", joints)


def test_messages_are_one_line():
    for bad in (lambda: get_skeleton("x"), lambda: MPI.index("x")):
        with pytest.raises(InputError) as caught:
            bad()
        assert "\n" not in str(caught.value)


def test_a_skeleton_cannot_be_changed():
    with pytest.raises(AttributeError):
        MPI.joints = ()
    assert isinstance(MPI, Skeleton) and hash(MPI) == hash(get_skeleton("mpi_inf_3dhp"))


# --- more of them ---------------------------------------------------------------------------------


def test_a_registered_skeleton_is_known_everywhere(registries, tmp_path):
    joints = ("left_fin", "right_fin", *DETECTED_12)
    with pytest.raises(InputError, match="unknown skeleton 'fish'"):
        get_skeleton("fish")
    assert joint_name("LFin") is None
    fish = make_skeleton("fish", joints)
    register(fish)
    register(fish)
    assert get_skeleton("fish") is fish and skeleton_of(joints[::-1]) is fish
    assert joint_name("LFin") == "left_fin"
    assert make_parser().parse_args(["convert", "a", "b", "--joints", "fish"]).joints == "fish"
    sequence = PoseSequence(np.arange(1.0, 57).reshape(2, 14, 2), skeleton="fish")
    for name in ("a.npz", "a.csv"):
        formats.write([sequence], tmp_path / name)
        assert formats.read(tmp_path / name)[0].skeleton == "fish"
    records = [{"image_id": 0, "keypoints": [5.0, 6.0, 0.5] * 14}]
    (tmp_path / "a.json").write_text(json.dumps(records))
    file = formats.read(tmp_path / "a.json", joint_map="fish")
    assert file[0].skeleton == "fish"
    formats.write(file, tmp_path / "b.json")
    assert formats.read(tmp_path / "b.json", joint_map="fish")[0].skeleton == "fish"


def test_a_name_is_one_skeleton_s(registries):
    with pytest.raises(InputError, match="there is another skeleton 'coco17' already"):
        register(make_skeleton("coco17", DETECTED_12))
    with pytest.raises(InputError, match="the name 'joints:nose' lists joints"):
        register(make_skeleton("joints:nose", ("nose",)))
    assert len(get_skeleton("coco17")) == 17
