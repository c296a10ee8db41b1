"""Joints by free names: what is the same joint, and what happens to all others."""

import json

import pytest

from posegan_jax.errors import InputError
from posegan_jax.formats.joint_names import joint_name, load_names, resolve, shared_beginning
from posegan_jax.pose.skeleton import SKELETONS, get_skeleton


@pytest.mark.parametrize(
    "name",
    ["left_shoulder", "LShoulder", "l_shoulder", "left shoulder", "shoulder_left", "lshoulder",
     "Left_Shoulder", "LEFT SHOULDER", "leftShoulder", "leftshoulder", "shoulderL", "shoulder.l",
     "L-Shoulder", "  left  shoulder "],
)
def test_spellings_of_one_joint(name):
    assert joint_name(name) == "left_shoulder"


@pytest.mark.parametrize(
    "name, joint",
    [("RBigToe", "right_big_toe"), ("r_little_toe", "right_small_toe"), ("MidHip", "mid_hip"),
     ("Hip", "pelvis"), ("CHip", "mid_hip"), ("Nose", "nose"), ("REar", "right_ear"),
     ("Neck", "neck"), ("HeadTop", "head_top"), ("right collar", "right_clavicle"),
     ("spine2", "spine2"), ("reye", "right_eye")],
)
def test_other_joints(name, joint):
    assert joint_name(name) == joint


@pytest.mark.parametrize(
    "name", ["", "snout", "tail_base", "shoulder", "left", "left_right_knee", "kneeknee", "é", "12"]
)
def test_what_is_no_joint(name):
    assert joint_name(name) is None


@pytest.mark.parametrize("name", SKELETONS)
def test_every_registered_skeleton_is_found_by_its_own_names_in_any_order(name, tmp_path):
    skeleton = get_skeleton(name)
    names = sorted(skeleton.joints)
    joints = resolve(names, tmp_path)
    assert set(joints.skeleton.joints) == set(skeleton.joints)
    assert joints.skeleton.name in SKELETONS
    assert [names[i] for i in joints.source] == list(joints.skeleton.joints)
    assert joints.notes == ()


def test_a_skeleton_that_nobody_registered(tmp_path):
    joints = resolve(["l knee", "tail, base", "r knee", "l hip", "r hip"], tmp_path)
    assert joints.skeleton.joints == (
        "left_knee", "tail_base", "right_knee", "left_hip", "right_hip"
    )
    assert joints.skeleton.parents == (3, -1, 4, -1, -1)
    assert joints.skeleton.mirror == (2, 1, 0, 4, 3)
    assert joints.source == (0, 1, 2, 3, 4)
    assert joints.notes == ("joints that are not known are passed through: tail, base",)
    assert get_skeleton(joints.skeleton.name) is joints.skeleton


def test_a_side_alone_gets_its_mirror_image_which_the_file_lacks(tmp_path):
    joints = resolve(["LWrist", "right_paw"], tmp_path)
    assert joints.skeleton.joints == ("left_wrist", "right_paw", "right_wrist", "left_paw")
    assert joints.source == (0, 1, -1, -1)


def test_two_names_for_one_joint_are_both_passed_through(tmp_path):
    joints = resolve(["LKnee", "knee l", "nose", "Nose"], tmp_path)
    assert joints.skeleton.joints == ("LKnee", "knee_l", "nose", "Nose")
    assert joints.notes == ("joints that are not known are passed through: LKnee, knee l, Nose",)


def test_names_that_differ_in_spaces_alone_stay_apart(tmp_path):
    joints = resolve(["tail base", "tail_base", "tail  base", ""], tmp_path)
    assert joints.skeleton.joints == ("tail_base", "tail_base_2", "tail_base_3", "joint")


def test_numbers_are_sides_where_both_are_there(tmp_path):
    joints = resolve(["knee1", "knee2", "ankle1", "spot1", "spot2"], tmp_path)
    assert joints.skeleton.joints == ("right_knee", "left_knee", "ankle1", "spot1", "spot2")
    assert joints.notes == (
        "joints that are not known are passed through: ankle1, spot1, spot2",
        "read as right and left: knee1, knee2",
    )


def test_chosen_names_go_before_the_rule(tmp_path):
    chosen = {"LKnee": "right_knee", "paw": "left_knee", "not in this file": "nose"}
    joints = resolve(["LKnee", "paw", "nose"], tmp_path, chosen)
    assert joints.skeleton.joints == ("right_knee", "left_knee", "nose")
    assert joints.notes == ()


@pytest.mark.parametrize(
    "names, chosen, message",
    [([], None, "there are no joints"), (["a"], {"a": "nowhere"}, "'nowhere', which is no joint"),
     (["a", "b"], {"a": "nose", "b": "nose"}, "one joint to two names")],
)
def test_refused(names, chosen, message, tmp_path):
    with pytest.raises(InputError, match=f"^{tmp_path}: .*{message}"):
        resolve(names, tmp_path, chosen)


@pytest.mark.parametrize(
    "content, names",
    [({"names": {"a": "nose"}}, {"a": "nose"}), ({"joints": ["nose"]}, None), ([1], None)],
)
def test_names_in_a_file(content, names, tmp_path):
    (tmp_path / "map.json").write_text(json.dumps(content))
    assert load_names(tmp_path / "map.json") == names


def test_a_registered_skeleton_is_no_map_of_names():
    assert load_names("coco17") is None


@pytest.mark.parametrize("content", [{"names": ["nose"]}, {"names": {"a": 1}}])
def test_names_that_are_none(content, tmp_path):
    path = tmp_path / "map.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=f'^{path}: "names" must be'):
        load_names(path)


@pytest.mark.parametrize(
    "names, beginning",
    [
        (["body_nose", "body_left_hip", "body_right_hip"], "body_"),
        (["Sk 1:LHip", "Sk 1:RHip", "Sk 1:Neck", "Sk 1:tail"], "Sk 1:"),
        (["body_nose", "body_left_hip"], ""),  # too few to tell
        (["left_hip", "left_knee", "left_ankle"], ""),
        (["nose", "left_hip", "world_nose", "world_left_hip", "world_neck"], ""),
    ],
)
def test_a_beginning_that_is_no_part_of_names(names, beginning, tmp_path):
    assert shared_beginning(names) == beginning


def test_joints_after_a_beginning_keep_their_names_where_they_are_not_known(tmp_path):
    joints = resolve(["body_nose", "body_left_hip", "body_right_hip", "body_tail"], tmp_path)
    assert joints.skeleton.joints == ("nose", "left_hip", "right_hip", "body_tail")
    assert joints.notes[0] == "'body_' before the names of joints is no part of them"
