"""Frames that go from one person to another, in files of every format, and ids that are ignored."""

import json

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.pose.sequence import PoseFile, PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

SKELETONS = {"openpose": "body25", "mmpose": "coco17", "mediapipe": "mediapipe33"}
ENDINGS = {
    "alphapose": "json", "coco": "json", "mmpose": "json", "ultralytics": "json", "npz": "npz",
    "csv": "csv", "deeplabcut": "csv", "sleap": "csv", "wide": "csv", "movement": "nc",
}
NAMES = [*ENDINGS, "openpose"]
FRAMES = 12


def person(name, places, skeleton, frames=None):
    """Someone at places (T,) whose joints are all there."""
    joints = len(get_skeleton(skeleton))
    body = np.random.default_rng(3).uniform([-30, -100], [30, 100], (joints, 2)).round(2)
    places = np.stack([places, np.full(len(places), 300.0)], axis=-1)
    keypoints = body + places[:, None]
    return PoseSequence(
        keypoints, np.full((len(places), joints), 0.9), 25.0, skeleton, frames, name
    )


def written(tmp_path, name, people):
    """A file of a format, as one finds it."""
    if name == "movement":
        pytest.importorskip("xarray")
    path = tmp_path / f"in.{ENDINGS[name]}" if name in ENDINGS else tmp_path / "in"
    formats.write(PoseFile(tuple(people)), path, name)
    return path


def again(tmp_path, file, path, **options):
    """A file that is written and read again."""
    output = tmp_path / f"out{path.suffix}"
    formats.write(file, output)
    return formats.read(output, **options)


def places(file):
    """Where the first joint of everyone is, rounded to 10 pixels, by id and frame."""
    return {
        str(s.person): {
            int(f): int(round(x / 10)) for f, x in zip(s.frames, s.keypoints[:, 0, 0], strict=True)
            if np.isfinite(x)
        }
        for s in file
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_goes_to_another_person_is_theirs_in_the_file(tmp_path, name):
    skeleton = SKELETONS.get(name, "coco17")
    x = np.linspace(200, 310, FRAMES)
    people = [person(1, x, skeleton), person(2, x + 500, skeleton, range(FRAMES))]
    path = written(tmp_path, name, people)
    file = formats.read(path)
    ids = [sequence.person for sequence in file]
    before = places(file)
    one, two = map(str, ids)
    moves = {(a, t): b for a, b in (ids, ids[::-1]) for t in range(5, 9)}
    turned = formats.relabelled(file, moves, ["a note"])
    assert turned.notes == (*file.notes, "a note")
    wanted = {
        one: before[one] | {t: before[two][t] for t in range(5, 9)},
        two: before[two] | {t: before[one][t] for t in range(5, 9)},
    }
    assert places(turned) == wanted
    assert places(again(tmp_path, turned, path)) == wanted
    back = formats.relabelled(turned, moves)
    assert places(again(tmp_path, back, path)) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_that_goes_to_who_was_not_seen_leaves_none_behind(tmp_path, name):
    skeleton = SKELETONS.get(name, "coco17")
    x = np.full(FRAMES, 200.0)
    seen = np.r_[0:6, 9:FRAMES]
    people = [person(1, x, skeleton), person(2, x[seen] + 500, skeleton, seen)]
    path = written(tmp_path, name, people)
    file = formats.read(path)
    one, two = (sequence.person for sequence in file)
    turned = formats.relabelled(file, {(one, t): two for t in (6, 7, 8)})
    found = places(again(tmp_path, turned, path))
    assert sorted(found[str(one)]) == sorted(seen) and sorted(found[str(two)]) == [*range(FRAMES)]


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_ignored(tmp_path, name):
    """Of two people who stand apart, ids are places in a list that is shuffled half way."""
    skeleton = SKELETONS.get(name, "coco17")
    x = np.where(np.arange(FRAMES) < 7, 200.0, 900.0)
    people = [person(1, x, skeleton), person(2, 1100 - x, skeleton)]
    path = written(tmp_path, name, people)
    plain, file = formats.read(path), formats.read(path, ignore_ids=True)
    assert any("ids are ignored: tracked 2 people" in note for note in file.notes)
    assert [s.person for s in file] == [s.person for s in plain]
    for sequence in (*file, *again(tmp_path, file, path)):
        assert np.ptp(sequence.keypoints[:, 0, 0]) < 10
        assert len(sequence) == FRAMES


@pytest.mark.parametrize("name", NAMES)
def test_more_people_than_ids(tmp_path, name):
    skeleton = SKELETONS.get(name, "coco17")
    x = np.where(np.arange(FRAMES) < 7, 200.0, 900.0)
    path = written(tmp_path, name, [person(1, x, skeleton)])
    file = formats.read(path, ignore_ids=True)
    for found in (file, again(tmp_path, file, path)):
        assert sorted(s.observed.any(-1).sum() for s in found) == [5, 7]
        assert len({s.person for s in found}) == 2


def test_keys_and_boxes_stay_with_what_was_detected(tmp_path):
    """The ids alone change, in the shape that they had."""
    records = [
        {
            "image_id": f"{t}.jpg", "category_id": 1, "score": 2.0, "box": [x, 0, 10, 10],
            "keypoints": np.dstack([person(0, np.array([float(x)]), "coco17").keypoints,
                                    np.full((1, 17), 0.9)]).ravel().tolist(),
            "idx": idx, "person_id": "of another program",
        }
        for t in range(6) for x, idx in ((200, [[1.0], [7]]), (700, [[2.0], [7]]))
    ]
    path = tmp_path / "in.json"
    path.write_text(json.dumps(records))
    file = formats.read(path)
    turned = formats.relabelled(file, {(1, 4): 2, (2, 4): 1})
    formats.write(turned, tmp_path / "out.json")
    result = json.loads((tmp_path / "out.json").read_text())
    for old, new in zip(records, result, strict=True):
        if old["image_id"] == "4.jpg":
            assert new["idx"] == [[3.0 - old["idx"][0][0]], [7]]
            new = new | {"idx": old["idx"]}
        assert new == old


def test_files_without_ids_stay_without(tmp_path):
    path = tmp_path / "in.json"
    formats.write([person(1, np.full(6, 200.0), "coco17"), person(2, np.full(6, 700.0), "coco17")],
                  path, "alphapose")
    records = [{k: v for k, v in r.items() if k != "idx"} for r in json.loads(path.read_text())]
    path.write_text(json.dumps(records))
    file = formats.read(path, ignore_ids=True)
    formats.write(formats.relabelled(file, {(0, 4): 1, (1, 4): 0}), tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == records
