"""COCO annotations: images, flags of visibility, and nothing lost."""

import json
from pathlib import Path

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

COCO = get_skeleton("coco17")
WRIST = COCO.index("left_wrist")


def annotation(number, image_id, person, seen=2, **keys):
    rng = np.random.default_rng(10 * person + number)
    values = [[*xy, seen] for xy in rng.integers(10, 400, (17, 2)).tolist()]
    return {
        "id": number, "image_id": image_id, "category_id": 1, "track_id": person,
        "keypoints": sum(values, []), "num_keypoints": 17, "bbox": [1.5, 2, 3, 4], "area": 12.5,
        "iscrowd": 0, "segmentation": [[1, 2, 3]],
    } | keys


def dataset():
    """Three images, the second without anyone, and two people."""
    return {
        "info": {"year": 2020}, "licenses": [],
        "images": [
            {"id": 50 + i, "file_name": f"v/{f:06d}.jpg", "width": 640, "height": 480, "extra": i}
            for i, f in enumerate((7, 8, 9))
        ],
        "annotations": [
            annotation(900, 50, 1), annotation(901, 50, 2), annotation(902, 52, 1),
            {"id": 903, "image_id": 51, "category_id": 2, "bbox": [1, 2, 3, 4]},
        ],
        "categories": [
            {"id": 1, "name": "person", "keypoints": list(COCO.joints), "skeleton": [[1, 2]]},
            {"id": 2, "name": "dog"},
        ],
    }


def test_what_is_read(reading, writing):
    content = dataset()
    file = reading(content)
    assert file.format == "coco" and not file.notes
    assert [(s.person, s.skeleton, s.frames.tolist()) for s in file] == [
        (1, "coco17", [7, 9]), (2, "coco17", [7])
    ]
    values = np.reshape(content["annotations"][2]["keypoints"], (17, 3))
    np.testing.assert_array_equal(file[0].keypoints[1], values[:, :2])
    assert (file[0].scores == 1).all()
    assert writing(file) == content


@pytest.mark.parametrize("v, seen, score", [(0, False, 0.0), (1, True, 0.5), (2, True, 1.0)])
def test_visibility(v, seen, score, reading, writing):
    content = dataset()
    content["annotations"][0]["keypoints"][3 * WRIST + 2] = v
    file = reading(content)
    assert file[0].observed[0, WRIST] == seen and file[0].scores[0, WRIST] == score
    assert writing(file) == content


def test_scores_instead_of_flags(reading, writing, with_frames):
    content = dataset()
    for item in content["annotations"][:3]:
        item["keypoints"][2::3] = [0.875] * 17
        item["score"] = 0.5
    content["annotations"][0]["keypoints"][3 * WRIST + 2] = 0.125
    file = reading(content)
    assert (file[0].scores[1] == 0.875).all() and not file[0].observed[0, WRIST]
    assert writing(file) == content
    after = writing(file.replace([with_frames(file[0], [8])]))
    assert after["annotations"][4]["keypoints"] == [7.0, 7.0, 0.5] * 17
    assert after["annotations"][4]["score"] == 0.5


def test_flags_without_a_two(reading, writing, with_frames):
    """PoseTrack's."""
    content = dataset()
    for item in content["annotations"][:3]:
        item["keypoints"][2::3] = [1] * 17
    content["annotations"][0]["keypoints"][3 * WRIST : 3 * WRIST + 3] = [0, 0, 0]
    file = reading(content)
    assert file[0].scores[0].tolist() == [float(k != WRIST) for k in range(17)]
    assert writing(file) == content
    after = writing(file.replace([with_frames(file[0], [8])]))
    assert after["annotations"][4]["keypoints"] == [7.0, 7.0, 1] * 17


def test_scores_that_are_all_one(writing, tmp_path):
    writing([PoseSequence(np.ones((2, 17, 2)), person=1)], format="coco")
    (again,) = formats.read(tmp_path / "out.json")
    assert (again.scores == 1).all()


def test_a_filled_joint_is_a_hidden_one(reading, writing):
    content = dataset()
    item = content["annotations"][0]
    item["keypoints"][3 * WRIST : 3 * WRIST + 3] = [0, 0, 0]
    item["num_keypoints"] = 16
    file = reading(content)
    keypoints, scores = file[0].keypoints.copy(), file[0].scores.copy()
    keypoints[0, WRIST], scores[0, WRIST] = (1.25, 2.5), 0.9
    keypoints[0, 0], scores[0, 0] = (3.5, 4.5), 0.7  # refined: as visible as it was
    moved = file[0].replace(keypoints=keypoints, scores=scores, provenance=None)
    after = writing(file.replace([moved, file[1]]))
    item["keypoints"][3 * WRIST : 3 * WRIST + 3] = [1.25, 2.5, 1]
    item["keypoints"][:3] = [3.5, 4.5, 2]
    item["num_keypoints"] = 17
    assert after == content


def test_new_images_and_annotations(reading, writing, with_frames):
    content = dataset()
    file = reading(content)
    after = writing(file.replace([with_frames(file[0], [8, 10]), file[1]]))
    assert after["images"] == content["images"] + [
        {"id": 53, "file_name": "v/000010.jpg", "width": 640, "height": 480}
    ]
    assert after["annotations"][:4] == content["annotations"]
    assert [(a["id"], a["image_id"], a["track_id"]) for a in after["annotations"][4:]] == [
        (904, 51, 1), (905, 53, 1)
    ]
    assert after["annotations"][4]["keypoints"] == [7.0, 7.0, 1] * 17
    assert after["annotations"][4]["num_keypoints"] == 17
    assert after["categories"] == content["categories"]


def test_upsampled(reading, writing, tmp_path):
    content = dataset()
    file = reading(content)
    larger = PoseSequence(
        np.arange(112.0).reshape(2, 28, 2) + 1, None, None, "mpi_inf_3dhp", file[0].frames, 1
    )
    after = writing(file.replace([larger, file[1]]))
    assert [len(a.get("keypoints", [])) for a in after["annotations"]] == [84, 84, 84, 0]
    assert after["annotations"][0]["num_keypoints"] == 28
    assert after["annotations"][1]["num_keypoints"] == 12
    person, dog = after["categories"]
    assert person["keypoints"] == list(get_skeleton("mpi_inf_3dhp").joints)
    assert dog == content["categories"][1]
    again = formats.read(tmp_path / "out.json")
    np.testing.assert_array_equal(again[0].keypoints, larger.keypoints)


@pytest.mark.parametrize(
    "images, frames, noted",
    [
        ([{"frame_id": 4, "file_name": "9.jpg"}, {"frame_id": 6, "file_name": "9.jpg"}], [4, 6], 0),
        ([{"file_name": "a/12.jpg"}, {"file_name": "a/15.jpg"}], [12, 15], 0),
        ([{}, {}], [50, 52], 0),
        ([{"file_name": "cam1/3.jpg"}, {"file_name": "cam2/3.jpg"}], [0, 1], 1),
        ([{"file_name": "one.jpg"}, {"file_name": "two.jpg"}], [0, 1], 1),
    ],
)
def test_frames_of_images(images, frames, noted, reading, writing):
    content = {
        "images": [{"id": i} | image for i, image in zip((50, 52), images, strict=True)],
        "annotations": [annotation(1, 50, 1), annotation(2, 52, 1)],
    }
    file = reading(content)
    assert file[0].frames.tolist() == frames and len(file.notes) == noted
    assert writing(file) == content


def test_annotations_without_images(reading, writing, with_frames):
    content = {"annotations": [annotation(1, 50, 1), annotation(2, 52, 1)]}
    file = reading(content)
    assert file[0].frames.tolist() == [50, 52] and writing(file) == content
    after = writing(file.replace([with_frames(file[0], [51])]))
    assert [a["image_id"] for a in after["annotations"]] == [50, 52, 51]
    assert "images" not in after


def test_without_track_ids_people_are_tracked(reading, writing):
    content = dataset()
    for item in content["annotations"]:
        item.pop("track_id", None)
    content["annotations"][2]["keypoints"] = content["annotations"][0]["keypoints"]
    file = reading(content)
    assert [len(s) for s in file] == [2, 1] and "tracked 2" in file.notes[0]
    assert writing(file) == content


def test_sequences_without_a_file(writing, tmp_path):
    sequence = PoseSequence(
        np.random.default_rng(0).uniform(1, 90, (2, 17, 2)).round(4), np.full((2, 17), 0.75), None,
        "coco17", [3, 6], 2,
    )
    content = writing([sequence], format="coco")
    assert [image["file_name"] for image in content["images"]] == ["3.jpg", "6.jpg"]
    assert content["categories"][0]["keypoints"] == list(COCO.joints)
    (again,) = formats.read(tmp_path / "out.json")
    for name in ("keypoints", "scores", "frames", "person"):
        np.testing.assert_array_equal(getattr(again, name), getattr(sequence, name))


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda c: c.update(annotations=5), "has no list of annotations"),
        (lambda c: c.pop("annotations"), "has no list of annotations"),
        (lambda c: c["annotations"].append(5), "annotation 4 has no image_id"),
        (lambda c: c["annotations"][1].pop("image_id"), "annotation 1 has no image_id"),
        (lambda c: c["annotations"][1].update(image_id=99), "annotation 1 has the image_id 99"),
        (lambda c: c["annotations"][1].update(keypoints=[1, 2]), "annotation 1: .* x, y, v"),
        (lambda c: c["annotations"][1].update(keypoints=["a"] * 51), "annotation 1: .*be numbers"),
        (lambda c: c["annotations"][1].update(keypoints={"a": 1}), "annotation 1: .*be numbers"),
        (lambda c: c["annotations"][1].update(track_id={}), "annotation 1: track_id must be"),
        (lambda c: c["annotations"][1].update(keypoints=[1, 2, 2] * 26), "26 joints where others"),
        (lambda c: c.update(images=[1]), "images must be a list of objects with an id"),
        (lambda c: c.update(images=[{"id": None}]), "images must be a list of objects with an id"),
        (lambda c: [a.pop("keypoints", 0) for a in c["annotations"]], "no annotation has key"),
    ],
)
def test_mistakes_are_named_in_one_line(spoil, message, reading):
    content = dataset()
    spoil(content)
    with pytest.raises(InputError, match=f"in.json: .*{message}|in.json: {message}") as caught:
        reading(content)
    assert "\n" not in str(caught.value)


# --- joints by the names of the category ----------------------------------------------------------

CASES = Path(__file__).parent / "cases" / "06-coco-names-ignored"


@pytest.mark.parametrize("name", ["order", "posetrack", "crowdpose14"])
def test_the_category_names_the_joints(name, writing):
    path = CASES / f"{name}.json"
    content = json.loads(path.read_text())
    (category,) = content["categories"]
    (sequence,) = file = formats.read(path)
    ours = {"head_bottom": "upper_neck", "head": "head_top"}
    names = tuple(ours.get(name, name) for name in category["keypoints"])
    assert get_skeleton(sequence.skeleton).joints == names
    for t, item in enumerate(content["annotations"]):
        values = np.reshape(item["keypoints"], (-1, 3))
        seen = values[:, 2] > 0
        np.testing.assert_array_equal(sequence.keypoints[t, seen], values[seen, :2])
        assert not sequence.observed[t, ~seen].any()
    assert writing(file) == content
    knees = [names.index(f"{side}_knee") for side in ("left", "right")]
    moved = sequence.keypoints.copy()
    moved[:, knees] += 1
    after = writing(file.replace([sequence.replace(keypoints=moved)]))
    for old, new in zip(content["annotations"], after["annotations"], strict=True):
        changed = np.array(old["keypoints"]) != new["keypoints"]
        assert set(np.flatnonzero(changed) // 3) == set(knees)


def test_the_same_as_of_our_own_order(tmp_path):
    """Whatever the order, conversion gives each joint its place."""
    formats.write(formats.read(CASES / "order.json"), tmp_path / "out.csv", joints="coco17")
    (sequence,) = formats.read(tmp_path / "out.csv")
    item = json.loads((CASES / "order.json").read_text())
    names = item["categories"][0]["keypoints"]
    for k, joint in enumerate(COCO.joints):
        at = 3 * names.index(joint)
        expected = item["annotations"][0]["keypoints"][at : at + 2]
        assert sequence.keypoints[0, k].tolist() == expected


@pytest.mark.parametrize(
    "names, first, notes",
    [
        (["Right Ankle", *COCO.joints[1:-1], "Nose"], "right_ankle", 0),  # a labeller's spelling
        (list("abcdefghijklmnopq"), "nose", 1), ([f"kp_{k}" for k in range(17)], "nose", 1),
        (list(COCO.joints[:16]), "nose", 1), ([*COCO.joints[:16], 7], "nose", 0), ([], "nose", 0),
        (["left_paw", *COCO.joints[1:]], "left-paw", 0), (["nose"] * 17, "nose", 1),
    ],
)
def test_names_of_all_kinds(names, first, notes, reading):
    content = dataset()
    content["categories"][0]["keypoints"] = names
    file = reading(content)
    assert get_skeleton(file[0].skeleton).joints[0] == first
    assert len(file.notes) == notes and all("number" in note for note in file.notes)


def test_the_joint_map_counts_more_than_the_category(reading):
    content = json.loads((CASES / "order.json").read_text())
    assert reading(content, joint_map="coco17")[0].skeleton == "coco17"
    assert reading(content, joint_map="halpe26")[0].skeleton != "coco17"
    assert "--joint-map changes nothing: it is for 26 joints, not 17" in reading(
        content, joint_map="halpe26"
    ).notes


def test_the_category_that_most_annotations_have(reading):
    content = dataset()
    turned = list(COCO.joints[::-1])
    content["categories"] = [
        {"id": 2, "name": "dog", "keypoints": turned}, *content["categories"]
    ]
    assert reading(content)[0].skeleton == "coco17"
    for item in content["annotations"][1:]:
        item["category_id"] = 2
    assert get_skeleton(reading(content)[0].skeleton).joints == tuple(turned)


def test_shares_of_images_whose_size_the_file_says(reading, writing):
    content = dataset()
    for item in content["annotations"][:3]:
        values = np.reshape(item["keypoints"], (17, 3)) / [640, 480, 1]
        item["keypoints"] = values.ravel().tolist()
        item["keypoints"][2::3] = [2] * 17
    file = reading(content)
    assert file.shares_of == (640, 480) and file[0].keypoints.max() > 100
    assert writing(file) == content
    keypoints = file[0].keypoints.copy()
    keypoints[0, WRIST] = 64, 48
    after = writing(file.replace([file[0].replace(keypoints=keypoints), *file[1:]]))
    assert after["annotations"][0]["keypoints"][3 * WRIST : 3 * WRIST + 2] == [0.1, 0.1]


DOG = ["nose", "left_ear", "right_ear", "withers", "tail", "left_paw", "right_paw"]


def with_dogs(joints=None, names=None):
    """People and dogs, whose joints are others; more dogs than people."""
    content = dataset()
    content["categories"][1]["keypoints"] = names or DOG
    count = len(joints or DOG)
    content["annotations"][1:1] = [
        {"id": number, "image_id": 50 + number % 3, "category_id": 2, "track_id": 1,
         "keypoints": [5, 6 + number, 2] * count}
        for number in range(8)
    ]
    return content


@pytest.mark.parametrize("names", [DOG, [f"point_{k}" for k in range(17)], list(COCO.joints)[::-1]])
def test_of_two_categories_with_joints_that_of_people_is_read(names, reading, writing):
    content = with_dogs(names, names)
    if names[0] == COCO.joints[-1]:  # as much a person's: most annotations count
        content["annotations"] = [a for a in content["annotations"] if a["id"] not in range(2, 8)]
    file = reading(content)
    others = 2 if names[0] == COCO.joints[-1] else 8
    assert file.notes == (
        f"of the categories with joints person is read; left as they are: dog ({others} of "
        f"{len(names)} joints)",
    )
    assert [(s.person, s.skeleton, s.frames.tolist()) for s in file] == [
        (1, "coco17", [7, 9]), (2, "coco17", [7])
    ]
    assert writing(file) == content
    first = file[0]
    keypoints = np.full((3, 17, 2), 11.0)
    keypoints[[0, 2]] = first.keypoints
    keypoints[2, WRIST] = [3.25, 4.5]
    after = writing(file.replace([
        first.replace(keypoints=keypoints, frames=[7, 8, 9], scores=None, provenance=None), file[1]
    ]))
    old, new = content["annotations"], after["annotations"]
    differ = [i for i, item in enumerate(old) if new[i] != item]
    assert [old[i]["id"] for i in differ] == [902]
    assert len(new) == len(old) + 1 and new[-1]["category_id"] == 1
    assert new[-1]["image_id"] == 51 and new[-1]["track_id"] == 1
    assert reading(after)[0].frames.tolist() == [7, 8, 9]


def test_categories_of_the_same_joints_are_read_together(reading, writing):
    content = with_dogs(COCO.joints, list(COCO.joints))
    del content["annotations"][4:9]
    for item in content["annotations"][1:4]:
        item["track_id"] = 3
    file = reading(content)
    assert [s.person for s in file] == [1, 3, 2] and not any("categories" in n for n in file.notes)
    del content["categories"][1]["keypoints"]
    assert len(reading(content)) == 3
    assert writing(reading(content)) == content


def test_categories_of_which_none_is_a_person(reading):
    content = with_dogs()
    for item in content["annotations"]:
        if item["category_id"] == 1 and "keypoints" in item:
            item["keypoints"] = item["keypoints"][:15]
    content["categories"] = []
    with pytest.raises(InputError, match="a file holds one kind"):
        reading(content)
