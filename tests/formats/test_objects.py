"""Joints as objects: by names and numbers, in all the layouts that programs make of them."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import get_skeleton

CASES = Path(__file__).parent / "cases" / "10-movenet-posenet"
SIZE = (1280.0, 720.0)
COCO, MEDIAPIPE = (get_skeleton(name).joints for name in ("coco17", "mediapipe33"))
PLACES = np.random.default_rng(0).uniform(50, 700, (2, 33, 2)).round(2)


@pytest.mark.parametrize("name", ["movenet", "posenet", "ids", "persons"])
def test_what_libraries_give(name, tmp_path, with_frames):
    path, out = CASES / f"{name}.json", tmp_path / "out.json"
    (sequence,) = file = formats.read(path, image_size=SIZE)
    assert (file.format, sequence.skeleton, len(sequence)) == ("objects", "coco17", 8)
    places = sequence.keypoints[0, [0, 15]]
    np.testing.assert_allclose(places, [[330.64, 226], [308.25, 579.7]], atol=0.1)
    assert set(np.unique(sequence.scores)) <= {0, 0.9}
    formats.write(file, out)
    assert json.loads(out.read_text()) == json.loads(path.read_text())
    longer = with_frames(sequence, [9])
    keypoints, scores = longer.keypoints.copy(), longer.scores.copy()
    holes = np.isnan(keypoints)
    keypoints[holes], scores[holes[..., 0]] = 333.25, 0.75
    whole = longer.replace(keypoints=keypoints, scores=scores)
    formats.write(file.replace([whole]), out)
    (again,) = formats.read(out, image_size=SIZE)
    assert again.frames.tolist() == [*range(8), 9] and again.skeleton == "coco17"
    np.testing.assert_allclose(again.keypoints, whole.keypoints, atol=0.1)
    np.testing.assert_array_equal(again.scores, whole.scores)


def body(t, joints, make):
    return [make(name, *PLACES[t, k].tolist()) for k, name in enumerate(joints)]


LAYOUTS = {
    "ml5": (COCO, lambda joints, t: [
        {"box": {"xMin": 1}, "id": 7, "confidence": 0.5, "keypoints": joints}
        | {point["name"]: {key: v for key, v in point.items() if key != "name"} for point in joints}
    ], lambda name, x, y: {"x": x, "y": y, "confidence": 0.5, "name": name}),
    "old ml5": (COCO, lambda joints, t: [{"pose": {"keypoints": joints}, "skeleton": []}],
                lambda name, x, y: {"part": name, "position": {"x": x, "y": y}, "score": 0.5}),
    "roboflow": (COCO, lambda joints, t: {"predictions": [
        {"x": 1.0, "y": 2.0, "width": 3.0, "class": "person", "keypoints": joints}
    ]}, lambda name, x, y: {"x": x, "y": y, "confidence": 0.5, "class": name, "class_id": 0}),
    "ML Kit": (MEDIAPIPE, lambda joints, t: {"timestamp": t, "landmarks": joints},
               lambda name, x, y: {"type": name.upper(), "position": {"x": x, "y": y, "z": 9.5},
                                   "inFrameLikelihood": 0.5}),
    "ML Kit for Flutter": (
        MEDIAPIPE, lambda joints, t: {"landmarks": joints},
        lambda name, x, y: {"type": f"PoseLandmarkType.{name}", "x": x, "y": y, "likelihood": 0.5},
    ),
    "MediaPipe's points under another key": (
        MEDIAPIPE, lambda joints, t: {"frame": t, "keypoints": joints},
        lambda name, x, y: {"id": MEDIAPIPE.index(name), "x": x, "y": y, "z": 0.25,
                            "visibility": 0.5},
    ),
    "by place": (COCO, lambda joints, t: {"keypoints": joints},
                 lambda name, x, y: {"x": x, "y": y, "score": 0.5}),
    "from 1": (COCO, lambda joints, t: {"t": t, "joints": joints},
               lambda name, x, y: {"idx": COCO.index(name) + 1, "x": x, "y": y, "conf": 0.5}),
    "lists by names": (COCO, lambda joints, t: {"frame": 2 * t, "keypoints": dict(joints)},
                       lambda name, x, y: (name, [x, y, 0.5])),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name, reading, writing):
    joints, wrap, make = LAYOUTS[name]
    content = [wrap(body(t, joints, make), t) for t in range(2)]
    (sequence,) = file = reading(content)
    assert (file.format, len(sequence)) == ("objects", 2)
    assert sequence.skeleton == ("coco17" if joints is COCO else "mediapipe33")
    np.testing.assert_array_equal(sequence.keypoints, PLACES[:, : len(joints)])
    assert (sequence.scores == 0.5).all()
    assert writing(file) == content
    moved = sequence.replace(keypoints=sequence.keypoints + [[[0.25, 0]]])
    (again,) = reading(writing(file.replace([moved])))
    np.testing.assert_array_equal(again.keypoints, moved.keypoints)


def test_only_what_changed_is_written_also_where_it_stands_twice(reading, writing):
    joints, wrap, make = LAYOUTS["ml5"]
    content = [wrap(body(t, joints, make), t) for t in range(2)]
    (sequence,) = file = reading(content)
    keypoints = sequence.keypoints.copy()
    keypoints[1, 5, 0] = 1.5
    kinds = np.full((2, 17), Provenance.OBSERVED)
    kinds[1, 5] = Provenance.REFINED
    after = writing(file.replace([sequence.replace(keypoints=keypoints, provenance=kinds)]))
    expected = copy.deepcopy(content)
    expected[1][0]["keypoints"][5]["x"] = expected[1][0]["left_shoulder"]["x"] = 1.5
    expected[1][0]["posegan_provenance"] = kinds[1].tolist()
    assert after == expected
    assert (reading(after)[0].provenance == kinds).all()


def test_two_people(reading, writing, with_frames):
    content = [
        [{"id": p, "keypoints": body(t, COCO, LAYOUTS["by place"][2])} for p in (4, 9)[: t + 1]]
        for t in range(2)
    ]
    file = reading(content)
    assert [s.person for s in file] == [4, 9]
    after = writing(file.replace([with_frames(file[0], [3]), with_frames(file[1], [0])]))
    assert [[person["id"] for person in frame] for frame in after] == [[4, 9], [4, 9], [], [4]]
    assert after[3][0]["keypoints"][0] == {"x": 7.0, "y": 7.0, "score": 0.5}


@pytest.mark.parametrize("key", [None, "frames"])
@pytest.mark.parametrize("name", ["by place", "old ml5", "lists by names"])
def test_frames_by_their_names(key, name, reading, writing, with_frames):
    joints, wrap, make = LAYOUTS[name]
    content = {f"img_{t:03d}.jpg": wrap(body(t, joints, make), t) for t in range(2)}
    content = content if key is None else {"fps": 25, key: content}
    (sequence,) = file = reading(content)
    assert file.format == "objects" and sequence.frames.tolist() == [0, 1]
    assert sequence.fps == (None if key is None else 25)
    assert writing(file) == content
    after = writing(file.replace([with_frames(sequence, [4])]))
    assert list(after if key is None else after[key]) == [
        "img_000.jpg", "img_001.jpg", "img_004.jpg"
    ]
    assert {frame for again in reading(after) for frame in again.frames.tolist()} == {0, 1, 4}


def test_upsampled(reading, writing):
    for name in LAYOUTS:
        joints, wrap, make = LAYOUTS[name]
        file = reading([wrap(body(t, joints, make), t) for t in range(2)])
        frames, person = file[0].frames, file[0].person
        larger = PoseSequence(PLACES[:, :28], None, None, "mpi_inf_3dhp", frames, person)
        (again,) = reading(writing(file.replace([larger])))
        assert again.skeleton == "mpi_inf_3dhp", name
        np.testing.assert_array_equal(again.keypoints, larger.keypoints)


def test_ids_of_detections_are_nobodys(reading, writing):
    joints, wrap, make = LAYOUTS["by place"]
    content = [
        [{"id": f"{t}-{i}", "keypoints": [
            point | {"x": point["x"] + 900 * i + 3 * t} for point in body(0, joints, make)
        ]} for i in range(2)]
        for t in range(4)
    ]
    file = reading(content)
    assert [len(sequence) for sequence in file] == [4, 4] and writing(file) == content
    assert "tracked 2 people" in file.notes[1] and "ids do not count" in file.notes[0]
    (sequence,) = reading([frame[:1] for frame in content])
    assert len(sequence) == 4


def test_a_new_file(writing, reading):
    people = [PoseSequence(PLACES[:, :17], None, None, "coco17", [0, 2], person) for person in "ab"]
    after = writing(people, format="objects")
    assert [[person["id"] for person in frame] for frame in after] == [["a", "b"], [], ["a", "b"]]
    assert after[0][0]["keypoints"][0] == {
        "x": PLACES[0, 0, 0], "y": PLACES[0, 0, 1], "score": 1.0, "name": "nose"
    }
    for sequence, again in zip(people, reading(after), strict=True):
        np.testing.assert_array_equal(again.keypoints, sequence.keypoints)
        assert (again.person, again.skeleton) == (sequence.person, "coco17")


def test_a_skeleton_or_names_say_which_joints_they_are(reading, tmp_path):
    joints, wrap, make = LAYOUTS["by place"]
    (sequence,) = reading([wrap(body(0, joints, make), 0)], joint_map="h36m17")
    assert sequence.skeleton == "h36m17"
    (tmp_path / "map.json").write_text('{"names": {"nose": "head_top"}}')
    content = [wrap(body(0, COCO, LAYOUTS["ml5"][2]), 0)]
    (sequence,) = reading(content, joint_map=tmp_path / "map.json")
    assert "head_top" in get_skeleton(sequence.skeleton).joints
    with pytest.raises(InputError, match="are not numbers of the 17 in the joint map"):
        reading(content, joint_map="coco17")


POINT = {"x": 1.5, "y": 2.5, "score": 0.5}


@pytest.mark.parametrize(
    "content, message",
    [
        ([{"keypoints": [POINT]}, {"keypoints": "none"}], "frame 1: keypoints must be a list"),
        ([{"keypoints": [POINT] * 17}, 5], "frame 1 is neither a person nor a list"),
        ([{"keypoints": [POINT] * 5}], "no known|not one joint|nothing"),
    ],
)
def test_mistakes_are_named_in_one_line(content, message, reading):
    try:
        file = reading(content)
    except InputError as error:
        assert "in.json" in str(error) and "\n" not in str(error)
    else:
        assert "joints that are not known are passed through" in file.notes[0]


@pytest.mark.parametrize("name", ["by place", "lists by names", "ml5"])
def test_a_second_person_of_frames_that_had_one(name, reading, writing):
    joints, wrap, make = LAYOUTS[name]
    (sequence,) = file = reading([wrap(body(t, joints, make), t) for t in range(2)])
    other = sequence.replace(keypoints=sequence.keypoints + 900, person=5)
    file = reading(writing(file.replace([sequence, other])))
    found = [frame for again in file for frame in again.frames.tolist()]
    assert sorted(found) == sorted(sequence.frames.tolist() * 2)


def test_one_picture_has_no_place_for_other_frames(reading, writing):
    joints, wrap, make = LAYOUTS["by place"]
    (sequence,) = file = reading(wrap(body(0, joints, make), 0))
    with pytest.raises(InputError, match="a file of one picture has no place for frame 1"):
        writing(file.replace([sequence.replace(frames=[1])]))
