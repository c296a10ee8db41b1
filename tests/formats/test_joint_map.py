"""Joint maps: the user says which joint is which."""

import json

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.formats import joint_map
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import DETECTED_12, SKELETONS, get_skeleton

NAMES = [*reversed(DETECTED_12), "tail", "left_wing", "right_wing"]


@pytest.fixture
def mapped(tmp_path):
    """Names -> the file that holds them."""

    def save(joints, key="joints"):
        (tmp_path / "map.json").write_text(json.dumps({key: joints}))
        return tmp_path / "map.json"

    return save


@pytest.fixture
def own(tmp_path):
    """AlphaPose records of 15 joints."""
    records = [
        {"image_id": t, "idx": 3, "extra": "kept",
         "keypoints": [float(1 + t + k) if k % 3 < 2 else 0.75 for k in range(45)]}
        for t in range(3)
    ]
    (tmp_path / "in.json").write_text(json.dumps(records))
    return tmp_path / "in.json"


def test_a_file_of_joints_of_ones_own(own, mapped, tmp_path):
    with pytest.raises(InputError, match="15 joints; known: .*name the joints with --joint-map"):
        formats.read(own)
    (sequence,) = file = formats.read(own, joint_map=mapped(NAMES))
    skeleton = get_skeleton(sequence.skeleton)
    assert skeleton.joints == tuple(NAMES)
    assert sequence.keypoints[2, skeleton.index("left_wing")].tolist() == [42.0, 43.0]
    formats.write(file, tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == json.loads(own.read_text())


def test_it_is_upsampled_by_name(own, mapped, tmp_path):
    (sequence,) = file = formats.read(own, joint_map=mapped(NAMES))
    assert "left_knee" in get_skeleton(sequence.skeleton)
    larger = PoseSequence(
        np.full((3, 28, 2), 9.5), skeleton="mpi_inf_3dhp", frames=range(3), person=3
    )
    formats.write(file.replace([larger]), tmp_path / "out.json")
    assert formats.read(tmp_path / "out.json")[0].skeleton == "mpi_inf_3dhp"


def test_it_survives_a_npz_file(own, mapped, tmp_path):
    file = formats.read(own, joint_map=mapped(NAMES))
    formats.write(file, tmp_path / "out.npz")
    assert formats.read(tmp_path / "out.npz")[0].skeleton == file[0].skeleton


@pytest.mark.parametrize("name", SKELETONS)
def test_registered_skeletons_by_name_or_by_joints(name, mapped):
    joints = get_skeleton(name).joints
    assert joint_map.load(name) == {len(joints): name}
    assert joint_map.load(mapped(joints)) == {len(joints): name}


def test_the_order_matters(mapped):
    joints = get_skeleton("coco17").joints[::-1]
    (name,) = joint_map.load(mapped(joints)).values()
    assert get_skeleton(name).joints == joints and name != "coco17"


def test_joints_of_a_known_number_in_another_order(tmp_path, mapped):
    joints = get_skeleton("h36m17").joints
    records = [{"image_id": t, "idx": 1, "keypoints": [5.5, 6.5, 1.0] * 17} for t in range(2)]
    (tmp_path / "in.json").write_text(json.dumps(records))
    assert formats.read(tmp_path / "in.json")[0].skeleton == "coco17"
    assert formats.read(tmp_path / "in.json", joint_map=mapped(joints))[0].skeleton == "h36m17"
    assert formats.read(tmp_path / "in.json", joint_map="h36m17")[0].skeleton == "h36m17"


def test_a_map_of_another_number_of_joints(own, mapped):
    with pytest.raises(InputError, match="no known skeleton has 15 joints"):
        formats.read(own, joint_map=mapped(NAMES[:-3]))


@pytest.mark.parametrize(
    "joints, message",
    [
        ([], "a joint map is"), ("left_hip", "a joint map is"), (None, "a joint map is"),
        (["left_hip", 5], "the joint 5 must be a name"),
        (["left_hip", " "], "the joint ' ' must be a name"),
        (["left_hip", "a,b"], "the joint 'a,b' must be a name without comma"),
        (["left_hip", "a\nb"], r"the joint 'a\\nb' must be a name"),
        (["left_hip", "right_hip", "left_hip"], "the joint 'left_hip' appears twice"),
        (["left_hip", "nose"], "'left_hip' without 'right_hip'; name both, or call it otherwise"),
        (["right_hip", "nose"], "'right_hip' without 'left_hip'"),
        (["nose", "head"], "none of the joints that the model starts from: left_shoulder"),
    ],
)
def test_mistakes_in_a_map(joints, message, mapped):
    with pytest.raises(InputError, match=f"map.json: {message}") as caught:
        joint_map.load(mapped(joints))
    assert "\n" not in str(caught.value)


def test_what_is_no_map(tmp_path, mapped, own):
    with pytest.raises(InputError, match="nothere.json: no such joint map; .*coco17"):
        formats.read(own, joint_map="nothere.json")
    with pytest.raises(InputError, match="map.json: a joint map is"):
        formats.read(own, joint_map=mapped(NAMES, key="points"))
    (tmp_path / "map.json").write_text("[")
    with pytest.raises(InputError, match="map.json: not valid JSON"):
        formats.read(own, joint_map=tmp_path / "map.json")


def test_formats_without_such_an_option(tmp_path, mapped):
    formats.write([PoseSequence(np.ones((2, 17, 2)))], tmp_path / "a.npz")
    with pytest.raises(InputError, match="a.npz: npz files take no joint map"):
        formats.read(tmp_path / "a.npz", joint_map=mapped(NAMES))
