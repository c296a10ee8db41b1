"""What the tests of the formats share: reading and writing, and a valid file of each layout."""

import json

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.pose.skeleton import get_skeleton


@pytest.fixture
def reading(tmp_path):
    """Content, text of a table or what becomes JSON -> the PoseFile that is read from it."""

    def read(content, **options):
        table = isinstance(content, str)
        path = tmp_path / ("in.csv" if table else "in.json")
        path.write_text(content if table else json.dumps(content), encoding="utf-8")
        return formats.read(path, **options)

    return read


@pytest.fixture
def writing(tmp_path):
    """Sequences -> the content of the JSON file that is written for them."""

    def write(sequences, **options):
        formats.write(sequences, tmp_path / "out.json", **options)
        return json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))

    return write


@pytest.fixture
def with_frames():
    """A sequence -> the same with rows of sevens for some frames in addition."""

    def add(sequence, frames):
        every = np.union1d(sequence.frames, frames)
        keypoints = np.full((len(every), *sequence.keypoints.shape[1:]), 7.0)
        scores = np.full(keypoints.shape[:2], 0.5)
        old = np.isin(every, sequence.frames)
        keypoints[old], scores[old] = sequence.keypoints, sequence.scores
        return sequence.replace(keypoints=keypoints, scores=scores, frames=every, provenance=None)

    return add


# --- a valid file of every JSON format: three frames of two people --------------------------------


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


def coco_named():
    """Joints by the names of the category, in an order of its own, as shares of the images."""
    content = coco()
    names = get_skeleton("coco17").joints[::-1]
    content["categories"][0]["keypoints"] = list(names)
    for image in content["images"]:
        image |= {"width": 640, "height": 480}
    for item in content["annotations"]:
        values = np.reshape(item["keypoints"], (-1, 3)) / [640, 480, 1]
        item["keypoints"] = values.ravel().tolist()
    return content


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


NAMES = get_skeleton("coco17").joints


def named(frame, person, make):
    """The joints of a body, each made of its name, x, y and score."""
    return [make(*values) for values in zip(NAMES, *points(frame, person), strict=True)]


def movenet():
    return [
        [{"id": p, "score": 0.8, "keypoints": named(
            t, p, lambda name, x, y, v: {"x": x, "y": y, "score": v, "name": name}
        )} for p in (1, 2)]
        for t in range(3)
    ]


def by_names():
    return {"width": 640, "frames": [
        {"frame_id": t, "persons": [
            {"person_id": p, "keypoints": dict(named(
                t, p, lambda name, x, y, v: (name, {"x": x, "y": y, "confidence": v})
            ))} for p in (1, 2)
        ]}
        for t in range(3)
    ]}


VALID = {
    "objects movenet": movenet, "objects by names": by_names,
    "objects of frames": lambda: {f"{t}.jpg": people for t, people in enumerate(movenet())},
    "objects flat": lambda: [
        {"frame": t, "track_id": p, "keypoints": [
            {"id": k, "position": {"x": x, "y": y, "z": 1.5}, "inFrameLikelihood": v}
            for k, (x, y, v) in enumerate(zip(*points(t, p), strict=True))
        ]}
        for t in range(3) for p in (1, 2)
    ],
    "alphapose": alphapose, "alphapose cmu": alphapose_cmu, "coco": coco, "coco named": coco_named,
    "mmpose": mmpose,
    "mmpose lists": lambda: [frame["instances"] for frame in mmpose()["instance_info"]],
    "ultralytics": ultralytics, "mediapipe": mediapipe,
    "mediapipe numbers": lambda: {
        "landmarks": [
            [list(point.values()) for point in frame["pose_landmarks"][0]]
            for frame in mediapipe()["frames"]
        ],
    },
}


@pytest.fixture(params=VALID)
def valid(request):
    """The content of a valid file, one of each layout."""
    return VALID[request.param]()


@pytest.fixture(params=["pixels", "shares"])
def openpose_frames(request):
    """The content of the files of an OpenPose folder, by their names."""
    size, canvas = [1, 1, 1], {"version": 1.3}
    if request.param == "shares":
        size, canvas = [640, 480, 1], {"canvas_width": 640, "canvas_height": 480}

    def pose(frame, person):
        return (np.reshape(joints(frame, person, 25), (-1, 3)) / size).ravel().tolist()

    return {
        f"v_{t:012d}_keypoints.json": canvas | {"people": [
            {"person_id": [-1], "pose_keypoints_2d": pose(t, p), "face_keypoints_2d": []}
            for p in (1, 2)
        ]}
        for t in range(3)
    }
