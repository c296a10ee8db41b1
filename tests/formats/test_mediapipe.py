"""MediaPipe landmarks: the layouts that programs dump, normalised coordinates, and nothing lost."""


import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

SKELETON = get_skeleton("mediapipe33")
SIZE = (1280.0, 720.0)


def body(frame, person=0, joints=33, kind=dict):
    rng = np.random.default_rng(person)
    points = rng.uniform(0.05, 0.95, (joints, 4)) + [0.002 * frame, 0, 0, 0]
    points[:, 3] = 0.75
    points[:, :2] = points[:, :2].clip(0, 1)
    if kind is list:
        return points.tolist()
    return [dict(zip(("x", "y", "z", "visibility"), p, strict=True)) for p in points.tolist()]


def frames(wrap, kind=dict):
    """Someone, someone, nobody, someone."""
    return [wrap(t, body(t, kind=kind) if t != 2 else []) for t in range(4)]


LAYOUTS = {
    "objects under frames": lambda: {
        "metadata": {"width": 1280, "height": 720, "fps": 25},
        "frames": frames(lambda t, b: {"frame": t, "pose_landmarks": b, "face_landmarks": []}),
    },
    "lists of numbers": lambda: {
        "fps": 25.0, "width": 1280, "height": 720,
        "landmarks": frames(lambda t, b: {"timestamp": t / 25, "landmarks": b}, list),
    },
    "lists of bodies": lambda: {
        "frame_rate": 25, "resolution": [1280, 720],
        "frames": frames(lambda t, b: {"frame_id": t, "pose_landmarks": [b] if b else []}),
    },
    "protobuf": lambda: {
        "image_width": 1280, "image_height": 720, "fps": 25,
        "results": frames(lambda t, b: {"poseLandmarks": {"landmark": b}} if b else {"t": t}),
    },
    "null": lambda: {
        "imageSize": {"width": 1280, "height": 720}, "fps": 25,
        "poses": frames(lambda t, b: {"frame_number": t, "pose_landmarks": b or None}),
    },
    "bare": lambda: {"w": 1280, "h": 720, "fps": 25, "data": frames(lambda t, b: b)},
}
every_layout = pytest.mark.parametrize("name", LAYOUTS)


@every_layout
def test_what_is_read(name, reading, writing):
    content = LAYOUTS[name]()
    (sequence,) = file = reading(content)
    assert file.format == "mediapipe"
    assert file.notes[1:] in ((), ("keys that are not used: z",))  # lists have no keys
    assert (sequence.skeleton, sequence.fps, sequence.person) == ("mediapipe33", 25, 0)
    assert sequence.frames.tolist() == [0, 1, 3]
    expected = np.array(body(3, kind=list))
    np.testing.assert_allclose(sequence.keypoints[2], expected[:, :2] * SIZE)
    np.testing.assert_array_equal(sequence.scores[2], expected[:, 3])
    assert writing(file) == content


@every_layout
def test_only_what_changed_is_written(name, reading, writing):
    content = LAYOUTS[name]()
    (sequence,) = file = reading(content)
    keypoints = sequence.keypoints.copy()
    keypoints[1, 4] = 128.0, 72.0
    after = writing(file.replace([sequence.replace(keypoints=keypoints)]))
    differing = [
        (old, new) for old, new in zip(numbers_in(content), numbers_in(after), strict=True)
        if old != new
    ]
    assert [new for _, new in differing] == pytest.approx([0.1, 0.1])
    assert writing(file) == content


def numbers_in(content):
    """Every number, in order."""
    if isinstance(content, dict):
        return sum(map(numbers_in, content.values()), [])
    if isinstance(content, list):
        return sum(map(numbers_in, content), [])
    return [content]


@every_layout
def test_new_frames(name, reading, writing, tmp_path, with_frames):
    content = LAYOUTS[name]()
    (sequence,) = file = reading(content)
    longer = with_frames(sequence, [2, 5])
    writing(file.replace([longer]))
    (again,) = formats.read(tmp_path / "out.json")
    assert again.frames.tolist() == [0, 1, 2, 3, 5]
    np.testing.assert_allclose(again.keypoints, longer.keypoints)
    np.testing.assert_allclose(again.scores, longer.scores)


@every_layout
def test_upsampled(name, reading, writing, tmp_path):
    (sequence,) = file = reading(LAYOUTS[name]())
    larger = PoseSequence(
        np.random.default_rng(0).uniform(1, 700, (3, 28, 2)).round(4), np.full((3, 28), 0.875),
        None, "mpi_inf_3dhp", sequence.frames, sequence.person,
    )
    writing(file.replace([larger]))
    (again,) = formats.read(tmp_path / "out.json")
    assert again.skeleton == "mpi_inf_3dhp" and again.fps == 25
    np.testing.assert_allclose(again.keypoints, larger.keypoints)


@pytest.mark.parametrize("kind", [dict, list])
def test_one_picture(kind, reading, writing, with_frames):
    for content in ({"pose_landmarks": body(0, kind=kind)}, {"landmarks": body(0)}, body(0)):
        file = reading(content, image_size=SIZE)
        np.testing.assert_allclose(
            file[0].keypoints[0], np.array(body(0, kind=list))[:, :2] * SIZE
        )
        assert writing(file) == content
        with pytest.raises(InputError, match="one picture has no place for frame 2"):
            writing(file.replace([with_frames(file[0], [2])]))


def test_several_bodies_are_tracked(reading, writing, tmp_path, with_frames):
    content = [
        {"frame": t, "pose_landmarks": [body(t, p) for p in ((1, 2) if t != 1 else (1,))]}
        for t in range(3)
    ]
    file = reading(content, image_size=SIZE)
    assert [s.frames.tolist() for s in file] == [[0, 1, 2], [0, 2]]
    assert "tracked 2" in file.notes[0] and writing(file) == content
    after = writing(file.replace([file[0], with_frames(file[1], [1])]))
    assert len(after[1]["pose_landmarks"]) == 2
    assert after[1]["pose_landmarks"][1][0] == pytest.approx(
        {"x": 7 / 1280, "y": 7 / 720, "z": 0, "visibility": 0.5}
    )


def test_the_size_of_the_picture(reading, writing):
    content = frames(lambda t, b: {"pose_landmarks": b})
    file = reading(content)
    assert "unknown size" in file.notes[1] and "--image-size" in file.notes[1]
    expected = np.array(body(0, kind=list))[:, :2]
    np.testing.assert_allclose(file[0].keypoints[0], expected * (1920, 1080))
    assert writing(file) == content
    given = reading(LAYOUTS["null"](), image_size=(100, 200))  # the user knows better
    np.testing.assert_allclose(given[0].keypoints[0], expected * (100, 200))


def test_pixels_stay_pixels(reading, writing):
    content = frames(lambda t, b: [[100 * x, 100 * y, z, v] for x, y, z, v in b], list)
    file = reading({"pose_landmarks": None, "frames": content})
    assert len(file) == 0  # one picture without anyone
    file = reading({"frames": content, "unit of landmarks": "pixel"})
    np.testing.assert_array_equal(file[0].keypoints[0], np.array(content[0])[:, :2])
    assert writing(file)["frames"] == content


def test_hidden_landmarks_are_missing(reading, writing):
    content = LAYOUTS["objects under frames"]()
    points = content["frames"][1]["pose_landmarks"]
    points[3]["visibility"], points[4]["x"] = 0.49, None
    del points[5]["visibility"]
    file = reading(content)
    assert np.argwhere(~file[0].observed).tolist() == [[1, 3], [1, 4]]
    assert file[0].scores[1, 5] == 1
    assert writing(file) == content
    assert reading(content, min_score=0.1)[0].observed[1, 3]


NAMES = {11: "LEFT_SHOULDER", 0: "NOSE", 28: "RIGHT_ANKLE", 9: "MOUTH_LEFT"}
LABELLED = {  # and what a landmark that is filled is called
    "id": (lambda: [{"id": k, **body(0)[k]} for k in NAMES], 30),
    "index": (lambda: [{"index": str(k), **body(0)[k]} for k in NAMES], "30"),
    "name": (lambda: [{"name": name, **body(0)[k]} for k, name in NAMES.items()], "RIGHT_HEEL"),
    "label": (
        lambda: [{"label": f"PoseLandmark.{n}", **body(0)[k]} for k, n in NAMES.items()],
        "right_heel",
    ),
    "object": (lambda: {name: body(0)[k] for k, name in NAMES.items()}, "RIGHT_HEEL"),
    "object of lists": (
        lambda: {n.lower(): body(0, kind=list)[k][:2] for k, n in NAMES.items()}, "right_heel"
    ),
    "object by numbers": (lambda: {str(k): body(0)[k] for k in NAMES}, "30"),
}


@pytest.mark.parametrize("name", LABELLED)
def test_landmarks_that_say_which_they_are(name, reading, writing, tmp_path):
    make, filled = LABELLED[name]
    content = [{"frame": 4, "landmarks": make()}]
    (sequence,) = file = reading(content, image_size=SIZE)
    expected = np.full((33, 2), np.nan)
    expected[list(NAMES)] = np.array(body(0, kind=list))[list(NAMES), :2] * SIZE
    np.testing.assert_allclose(sequence.keypoints, [expected])
    assert sequence.skeleton == "mediapipe33"
    assert file.notes[1:] in ((), ("keys that are not used: z",))  # lists have no keys
    assert writing(file) == content
    # One that is there moves and one is filled; the others stay as they are.
    keypoints, scores = sequence.keypoints.copy(), sequence.scores.copy()
    keypoints[0, [11, 30]], scores[0, 30] = [[128.0, 72.0], [640.0, 360.0]], 0.5
    moved = sequence.replace(keypoints=keypoints, scores=scores, provenance=None)
    (entry,) = writing(file.replace([moved]))
    (again,) = formats.read(tmp_path / "out.json", image_size=SIZE)
    np.testing.assert_allclose(again.keypoints, keypoints)
    old, new = content[0]["landmarks"], entry["landmarks"]
    assert list(new)[1:4] == list(old)[1:] and len(new) == 5
    assert (list(new)[4] if isinstance(new, dict) else new[4][name]) == filled


@pytest.mark.parametrize("name", LABELLED)
def test_labels_do_not_survive_under_other_joints(name, reading, writing, tmp_path):
    (sequence,) = file = reading([{"landmarks": LABELLED[name][0]()}], image_size=SIZE)
    larger = sequence.replace(
        keypoints=np.full((1, 28, 2), 99.0), scores=np.ones((1, 28)), skeleton="mpi_inf_3dhp",
        provenance=None,
    )
    writing(file.replace([larger]))
    (again,) = formats.read(tmp_path / "out.json", image_size=SIZE)
    assert again.skeleton == "mpi_inf_3dhp"
    np.testing.assert_allclose(again.keypoints, larger.keypoints)


def test_one_picture_of_named_landmarks(reading, writing):
    for content in (LABELLED["object"][0](), LABELLED["name"][0](), [LABELLED["object"][0]()]):
        file = reading(content, image_size=SIZE)
        assert file[0].observed.sum() == 4 and writing(file) == content


def test_sequences_without_a_file(writing, tmp_path):
    sequence = PoseSequence(
        np.random.default_rng(0).uniform(1, 900, (2, 33, 2)).round(4), np.full((2, 33), 0.75), None,
        "mediapipe33", [1, 3], 0,
    )
    content = writing([sequence], format="mediapipe")
    assert [entry["frame"] for entry in content["frames"]] == [1, 3]
    assert max(p["x"] for p in content["frames"][0]["pose_landmarks"]) < 1
    (again,) = formats.read(tmp_path / "out.json")
    np.testing.assert_allclose(again.keypoints, sequence.keypoints)
    np.testing.assert_array_equal(again.frames, sequence.frames)


@pytest.mark.parametrize(
    "content, message",
    [
        ({"my_landmarks": 1}, "no list of frames"),
        ([{"frame": 1, "pose_world_landmarks": body(0)}, {"frame": 2, "hand_landmarks": []}],
         "no frame has pose_landmarks; their keys are frame, pose_world_landmarks, hand_landmarks"),
        ({"pose_landmarks": 5}, "frame 0 has no landmarks"),
        ({"frames": [{"pose_landmarks": [5]}]}, "frame 0 has no landmarks"),
        ({"frames": [{"pose_landmarks": {"tail": [0.1, 0.2]}}]}, "frame 0 has no landmarks"),
        ({"frames": [{"pose_landmarks": {"nose": 0.1}}]}, "frame 0 has no landmarks"),
        ({"frames": [{"pose_landmarks": {"nose": [0.1, "b"]}}]}, "frame 0 has no landmarks"),
        ([{"landmarks": [{"id": 40, "x": 0.1, "y": 0.2}]}], "no known skeleton has 1 joints"),
        ([{"landmarks": [{"id": 3, "x": 0.1, "y": 0.2}] * 2}], "no known skeleton has 2 joints"),
        ([{"landmarks": {"nose": {"x": "a", "y": 1}}}], "landmark 0 must be numbers"),
        ({"frames": [{"pose_landmarks": body(0)}, "a"], "fps": 1}, "frame 1 has no landmarks"),
        ({"frames": [{"pose_landmarks": body(0)[:-1]}]}, "no known skeleton has 32 joints"),
        ({"frames": [{"pose_landmarks": body(t, joints=33 - t)} for t in (0, 0, 5)]},
         "frame 2 has someone with 28 joints where others have 33"),
        ({"frames": [{"pose_landmarks": [{"x": "a", "y": 1}] * 33}]}, "landmark 0 must be numbers"),
    ],
)
def test_mistakes_are_named_in_one_line(content, message, reading):
    with pytest.raises(InputError, match=f"in.json: (.*)({message})") as caught:
        reading(content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("depth", [5, 300, 900, 990])
def test_objects_in_objects(depth, tmp_path):
    text = '{"pose_landmarks": ' + '{"landmark": ' * depth + "[]" + "}" * (depth + 1)
    (tmp_path / "in.json").write_text(text)
    with pytest.raises(InputError, match="in.json: (frame 0 has no landmarks|not valid JSON)"):
        formats.read(tmp_path / "in.json")
