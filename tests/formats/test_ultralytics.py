"""Ultralytics results: lists of detections, and nothing lost."""


import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence


def detection(frame, person, joints=17, **keys):
    rng = np.random.default_rng(person)
    x, y = (rng.uniform(10, 400, (2, joints)) + frame).tolist()
    return {
        "name": "person", "class": 0, "confidence": 0.91234,
        "box": {"x1": 1.5, "y1": 2.5, "x2": 3.5, "y2": 4.5}, "extra": None,
        "keypoints": {"x": x, "y": y, "visible": rng.uniform(0.5, 1, joints).tolist()},
    } | keys


def video(**keys):
    """Two people, one, none, two."""
    return [[detection(t, p, **keys) for p in people] for t, people in
            enumerate([(1, 2), (1,), (), (1, 2)])]


def normalised():
    content = video()
    for item in sum(content, []):
        item["keypoints"]["x"] = [x / 1280 for x in item["keypoints"]["x"]]
        item["keypoints"]["y"] = [y / 720 for y in item["keypoints"]["y"]]
    return content


def test_what_is_read(reading, writing):
    content = video()
    file = reading(content)
    assert file.format == "ultralytics" and "tracked 2" in file.notes[0]
    assert [(s.skeleton, s.frames.tolist()) for s in file] == [
        ("coco17", [0, 1, 3]), ("coco17", [0, 3])
    ]
    keypoints = content[3][1]["keypoints"]
    np.testing.assert_array_equal(file[1].keypoints[1].T, [keypoints["x"], keypoints["y"]])
    np.testing.assert_array_equal(file[1].scores[1], keypoints["visible"])
    assert writing(file) == content


def test_one_image(reading, writing):
    content = video()[0]
    file = reading(content)
    assert [s.frames.tolist() for s in file] == [[0], [0]] and writing(file) == content


def test_track_ids(reading, writing):
    content = [[detection(t, p, track_id=p) for p in (4, 7)] for t in range(3)]
    file = reading(content)
    assert [s.person for s in file] == [4, 7] and not file.notes
    assert writing(file) == content


def test_without_visible_every_joint_is_seen(reading, writing):
    content = video()
    for item in sum(content, []):
        del item["keypoints"]["visible"]
    file = reading(content)
    assert (file[0].scores == 1).all() and writing(file) == content
    keypoints = file[0].keypoints.copy()
    keypoints[0, 3] = 5.5, 6.5
    after = writing(file.replace([file[0].replace(keypoints=keypoints), file[1]]))
    assert after[0][0]["keypoints"]["x"][3] == 5.5
    assert set(after[0][0]["keypoints"]) == {"x", "y"}


def test_other_things_than_people_stay(reading, writing):
    content = video()
    ball = {"name": "ball", "class": 32, "confidence": 0.5, "box": {"x1": 1}}
    content[0].insert(1, ball)
    content[3].append(ball | {"keypoints": {"x": [], "y": []}})
    file = reading(content)
    assert [len(s) for s in file] == [3, 2] and writing(file) == content


def test_only_what_changed_is_written(reading, writing):
    content, expected = video(), video()
    content[0].insert(0, {"confidence": 0.5, "box": {}})
    expected[0].insert(0, {"confidence": 0.5, "box": {}})
    file = reading(content)
    keypoints, scores = file[1].keypoints.copy(), file[1].scores.copy()
    keypoints[0, 4, 0], scores[1, 5] = 1.5, 0.35
    expected[0][2]["keypoints"]["x"][4] = 1.5
    expected[3][1]["keypoints"]["visible"][5] = 0.35
    moved = file[1].replace(keypoints=keypoints, scores=scores)
    assert writing(file.replace([file[0], moved])) == expected


def test_new_frames(reading, writing, with_frames):
    content = [[detection(t, 4, track_id=4)] if t != 1 else [] for t in range(3)]
    file = reading(content)
    after = writing(file.replace([with_frames(file[0], [1, 4])]))
    new = {
        "name": "person", "class": 0, "confidence": 0.5, "track_id": 4,
        "box": {"x1": 7.0, "y1": 7.0, "x2": 7.0, "y2": 7.0},
        "keypoints": {"x": [7.0] * 17, "y": [7.0] * 17, "visible": [0.5] * 17},
    }
    assert after == [content[0], [new], content[2], [], [new]]
    with pytest.raises(InputError, match="frames -1 to -1"):
        writing(file.replace([with_frames(file[0], [-1])]))


def test_upsampled(reading, writing, tmp_path):
    content = video()
    file = reading(content)
    larger = [
        PoseSequence(np.full((len(s), 28, 2), 5.5) + i * 300, None, None, "mpi_inf_3dhp", s.frames,
                     s.person)
        for i, s in enumerate(file)
    ]
    after = writing(file.replace(larger))
    for old, new in zip(sum(content, []), sum(after, []), strict=True):
        assert [len(values) for values in new["keypoints"].values()] == [28] * 3
        assert new | {"keypoints": 0} == old | {"keypoints": 0}
    assert {s.skeleton for s in formats.read(tmp_path / "out.json")} == {"mpi_inf_3dhp"}


def test_normalised_coordinates(reading, writing, with_frames):
    content = normalised()
    file = reading(content, image_size=(1280, 720))
    np.testing.assert_allclose(file[0].keypoints, reading(video())[0].keypoints, rtol=1e-12)
    file = reading(content)
    assert "unknown size" in file.notes[0] and "1920 x 1080" in file.notes[0]
    assert writing(file) == content
    after = writing(file.replace([with_frames(file[0], [2]), file[1]]))
    assert after[2][0]["keypoints"]["x"] == pytest.approx([7 / 1920] * 17)
    assert after[2][0]["box"]["y1"] == pytest.approx(7 / 1080)


def test_sequences_without_a_file(writing, tmp_path):
    sequence = PoseSequence(
        np.random.default_rng(0).uniform(1, 90, (2, 17, 2)).round(4), np.full((2, 17), 0.75), None,
        "coco17", [1, 3], 2,
    )
    assert [len(group) for group in writing([sequence], format="ultralytics")] == [0, 1, 0, 1]
    (again,) = formats.read(tmp_path / "out.json")
    for name in ("keypoints", "scores", "frames", "person"):
        np.testing.assert_array_equal(getattr(again, name), getattr(sequence, name))


def spoilt(change):
    content = video()
    change(content, content[0][1])
    return content


@pytest.mark.parametrize(
    "content, message",
    [
        (spoilt(lambda c, d: c.append(5)), "frame 4 is no list of detections"),
        (spoilt(lambda c, d: c[1].append(5)), "frame 1, detection 1: must be an object"),
        (spoilt(lambda c, d: d.update(keypoints=[1, 2])), "detection 1: keypoints must be"),
        (spoilt(lambda c, d: d["keypoints"].pop("x")), "keypoints.x must be numbers"),
        (spoilt(lambda c, d: d["keypoints"].update(y="a")), "keypoints.y must be numbers"),
        (spoilt(lambda c, d: d["keypoints"]["x"].pop()), "x, y and visible differ in length"),
        (spoilt(lambda c, d: d.update(track_id={})), "must be a number or a name"),
        (spoilt(lambda c, d: d.update(detection(0, 1, joints=26))), "26 joints where others"),
        (video(joints=21), "no known skeleton has 21 joints"),
        (spoilt(lambda c, d: [x.pop("keypoints") for g in c for x in g]), "no detection has keyp"),
    ],
)
def test_mistakes_are_named_in_one_line(content, message, reading):
    with pytest.raises(InputError, match=f"in.json: (.*){message}") as caught:
        reading(content)
    assert "\n" not in str(caught.value)
