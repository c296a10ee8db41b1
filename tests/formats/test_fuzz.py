"""Valid files gone wrong anywhere: a result or one line that names the file, never a traceback."""

import copy
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence, densify


def joints(frame, person, count=17):
    """A body of its own place, K times x, y, score."""
    place = np.arange(count * 3.0).reshape(-1, 3) + [100 * person + frame, 50, 0]
    place[:, 2] = 0.75
    return place.ravel().tolist()


def alphapose():
    return [
        {"image_id": f"{t}.jpg", "category_id": 1, "keypoints": joints(t, p), "score": 2.5,
         "box": [1.0, 2.0, 3.0, 4.0], "idx": p}
        for t in range(3) for p in (1, 2)
    ]


def alphapose_cmu():
    return {
        f"{t}.jpg": {"version": "0.3", "bodies": [{"joints": joints(t, p, 18)} for p in (1, 2)]}
        for t in range(3)
    }


def coco():
    return {
        "images": [{"id": t + 5, "file_name": f"{t:03d}.jpg"} for t in range(3)],
        "annotations": [
            {"id": 2 * t + p, "image_id": t + 5, "category_id": 1, "track_id": p, "area": 1.5,
             "num_keypoints": 17, "keypoints": [2.0 if v == 0.75 else v for v in joints(t, p)]}
            for t in range(3) for p in (1, 2)
        ],
        "categories": [{"id": 1, "keypoints": list("abcdefghijklmnopq"), "skeleton": []}],
    }


def points(frame, person, count=17):
    """x, y and score of a body, each in a list of its own."""
    values = joints(frame, person, count)
    return values[::3], values[1::3], values[2::3]


def mmpose():
    return {
        "meta_info": {"dataset_name": "coco"},
        "instance_info": [
            {"frame_id": t, "instances": [
                {"keypoints": [list(xy) for xy in zip(*points(t, p)[:2], strict=True)],
                 "keypoint_scores": points(t, p)[2], "bbox": [[1.0, 2.0, 3.0, 4.0]]}
                for p in (1, 2)
            ]}
            for t in range(3)
        ],
    }


def ultralytics():
    return [
        [{"name": "person", "class": 0, "confidence": 0.9, "track_id": p, "box": {"x1": 1.5},
          "keypoints": dict(zip(("x", "y", "visible"), points(t, p), strict=True))}
         for p in (1, 2)]
        for t in range(3)
    ]


def mediapipe():
    return {
        "width": 640, "height": 480, "fps": 25,
        "frames": [
            {"frame": t, "pose_landmarks": [
                [{"x": x / 640, "y": y / 480, "z": 0.5, "visibility": v}
                 for x, y, v in zip(*points(t, p, 33), strict=True)]
                for p in (1, 2)
            ]}
            for t in range(3)
        ],
    }


VALID = {
    "alphapose": alphapose, "alphapose cmu": alphapose_cmu, "coco": coco, "mmpose": mmpose,
    "mmpose lists": lambda: [frame["instances"] for frame in mmpose()["instance_info"]],
    "ultralytics": ultralytics, "mediapipe": mediapipe,
    "mediapipe numbers": lambda: {
        "landmarks": [
            [list(point.values()) for point in frame["pose_landmarks"][0]]
            for frame in mediapipe()["frames"]
        ],
    },
}

numbers = st.sampled_from(
    [0, -1, 1.5, float("nan"), float("inf"), -float("inf"), 1e308, -1e7, 2**63, 10**400, 1e-320]
)
anything = st.one_of(
    numbers, st.none(), st.booleans(), st.text(max_size=3),
    st.sampled_from([[], {}, [[]], [1], [1.0, 2.0, 0.5], {"x": 1}, [None] * 51, "0.jpg", "12"]),
)


@st.composite
def spoilt(draw, content):
    """The content with a few places replaced, removed, doubled or swapped."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 3))):
        node = content
        for _ in range(draw(st.integers(0, 6))):
            keys = list(node) if isinstance(node, dict) else range(len(node))
            inner = [key for key in keys if isinstance(node[key], list | dict) and node[key]]
            if not inner:
                break
            node = node[draw(st.sampled_from(inner))]
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            continue
        key = draw(st.sampled_from(keys))
        what = draw(st.sampled_from(["replace", "replace", "remove", "double"]))
        if what == "replace":
            node[key] = copy.deepcopy(draw(anything))
        elif what == "remove":
            del node[key]
        elif isinstance(node, list):
            node.insert(key, copy.deepcopy(node[key]))
        else:
            node[draw(st.text(max_size=3))] = copy.deepcopy(node[key])
    return content


def attempt(path):
    """The file as read, None where it is refused in one line that names it."""
    try:
        return formats.read(path)
    except InputError as error:
        assert "\n" not in str(error) and str(path) in str(error)
        return None


def check(path, out, load):
    """What is read is written back the same, and can be completed and upsampled."""
    file = attempt(path)
    if file is None:
        return
    formats.write(file, out)
    assert load(out) == load(path)
    whole = []
    for sequence in map(densify, file):
        keypoints = np.where(sequence.observed[..., None], sequence.keypoints, 7.5)
        whole.append(sequence.replace(keypoints=keypoints, scores=sequence.scores + 0.25))
    formats.write(file.replace(whole), out)
    formats.read(out)
    whole = [
        PoseSequence(np.full((len(s), 28, 2), 9.5), skeleton="mpi_inf_3dhp", frames=s.frames,
                     person=s.person)
        for s in whole
    ]
    formats.write(file.replace(whole), out)
    if whole:
        assert {s.skeleton for s in formats.read(out)} == {"mpi_inf_3dhp"}


def normal(path):
    """Equal for equal content; NaN, too."""
    return json.dumps(json.loads(path.read_text(encoding="utf-8")))


few = settings(
    max_examples=50, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
every_file = pytest.mark.parametrize("name", VALID)


@every_file
def test_the_valid_files_are_valid(name, tmp_path):
    path = tmp_path / "in.json"
    path.write_text(json.dumps(VALID[name]()))
    assert len(formats.read(path)) == (1 if name == "mediapipe numbers" else 2)
    check(path, tmp_path / "out.json", normal)


@every_file
@few
@given(data=st.data())
def test_places_gone_wrong(name, data, tmp_path):
    path = tmp_path / "in.json"
    path.write_text(json.dumps(data.draw(spoilt(VALID[name]()))))
    check(path, tmp_path / "out.json", normal)


@every_file
@few
@given(data=st.data())
def test_bytes_gone_wrong(name, data, tmp_path):
    path = tmp_path / "in.json"
    content = bytearray(json.dumps(VALID[name]()).encode())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    check(path, tmp_path / "out.json", normal)


# --- folders --------------------------------------------------------------------------------------


def frames(folder):
    """Content of every file of a folder."""
    return {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}


@few
@given(data=st.data())
def test_a_file_of_a_folder_gone_wrong(data, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir(exist_ok=True)
    for t in range(3):
        people = [
            {"person_id": [-1], "pose_keypoints_2d": joints(t, p, 25), "face_keypoints_2d": []}
            for p in (1, 2)
        ]
        content = {"version": 1.3, "people": people}
        if t == 1:
            content = data.draw(spoilt(content))
        (folder / f"v_{t:012d}_keypoints.json").write_text(json.dumps(content))
    check(folder, tmp_path / "out", lambda folder: json.dumps(frames(folder), sort_keys=True))
