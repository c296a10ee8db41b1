"""MMPose predictions: four layouts, folders, joints by data set, and nothing lost."""

import json

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence


def instance(frame, person, joints=17, **keys):
    rng = np.random.default_rng(person)
    return {
        "keypoints": (rng.uniform(10, 400, (joints, 2)) + frame).tolist(),
        "keypoint_scores": rng.uniform(0.5, 1, joints).tolist(),
        "bbox": [[1.5, 2.5, 3.5, 4.5]], "bbox_score": 0.9,
    } | keys


def groups(**keys):
    """Two people, one, none, two."""
    return [[instance(t, p, **keys) for p in people] for t, people in
            enumerate([(1, 2), (1,), (), (1, 2)])]


def demo(**keys):
    return {
        "meta_info": {"dataset_name": "coco", "keypoint_id2name": {"0": "nose"}},
        "instance_info": [
            {"frame_id": t + 1, "instances": group} for t, group in enumerate(groups(**keys))
        ],
    }


LAYOUTS = {
    "demo": demo,
    "inferencer": lambda **keys: [
        {"frame_id": t + 1, "instances": group, "more": t}
        for t, group in enumerate(groups(**keys))
    ],
    "lists": lambda **keys: groups(**keys),
}
FIRST = {"demo": 1, "inferencer": 1, "lists": 0}
every_layout = pytest.mark.parametrize("name", LAYOUTS)


def frames_of(content):
    entries = content["instance_info"] if isinstance(content, dict) else content
    return [entry if isinstance(entry, list) else entry["instances"] for entry in entries]


@every_layout
def test_what_is_read(name, reading, writing):
    content = LAYOUTS[name]()
    file = reading(content)
    assert file.format == "mmpose" and "tracked 2" in file.notes[0]
    first = FIRST[name]
    assert [(s.skeleton, (s.frames - first).tolist()) for s in file] == [
        ("coco17", [0, 1, 3]), ("coco17", [0, 3])
    ]
    item = frames_of(content)[3][1]
    np.testing.assert_array_equal(file[1].keypoints[1], item["keypoints"])
    np.testing.assert_array_equal(file[1].scores[1], item["keypoint_scores"])
    assert writing(file) == content


@every_layout
def test_only_what_changed_is_written(name, reading, writing):
    content = LAYOUTS[name]()
    content_after = LAYOUTS[name]()
    file = reading(content)
    keypoints, scores = file[1].keypoints.copy(), file[1].scores.copy()
    keypoints[1, 4], scores[1, 5] = (1.5, 2.5), 0.25
    moved = file[1].replace(keypoints=keypoints, scores=scores)
    item = frames_of(content_after)[3][1]
    item["keypoints"][4], item["keypoint_scores"][5] = [1.5, 2.5], 0.25
    assert writing(file.replace([file[0], moved])) == content_after
    assert writing(file) == content


@every_layout
def test_new_frames(name, reading, writing, with_frames):
    content = LAYOUTS[name]()
    file = reading(content)
    first = FIRST[name]
    after = writing(file.replace([with_frames(file[0], [first + 2, first + 5]), file[1]]))
    new = {"keypoints": [[7.0, 7.0]] * 17, "keypoint_scores": [0.5] * 17, "bbox_score": 0.5}
    found = frames_of(after)
    assert found[2] == [new] and found[-1] == [new]
    assert [found[t] for t in (0, 1, 3)] == [frames_of(content)[t] for t in (0, 1, 3)]
    if name == "lists":
        assert found[4] == []
    else:
        entries = after["instance_info"] if name == "demo" else after
        assert [entry["frame_id"] for entry in entries] == [1, 2, 3, 4, 6]


@every_layout
def test_upsampled(name, reading, writing, tmp_path):
    file = reading(LAYOUTS[name]())
    larger = [
        PoseSequence(np.full((len(s), 28, 2), 5.5) + i * 300, None, None, "mpi_inf_3dhp", s.frames,
                     s.person)
        for i, s in enumerate(file)
    ]
    after = writing(file.replace(larger))
    for old, new in zip(frames_of(LAYOUTS[name]()), frames_of(after), strict=True):
        assert [len(item["keypoints"]) for item in new] == [28] * len(old)
        assert [item["bbox"] for item in new] == [item["bbox"] for item in old]
    assert {s.skeleton for s in formats.read(tmp_path / "out.json")} == {"mpi_inf_3dhp"}


def test_one_image(reading, writing):
    for content in (groups()[0], {"meta_info": {}, "instance_info": groups()[0]}):
        file = reading(content)
        assert [s.frames.tolist() for s in file] == [[0], [0]]
        assert writing(file) == content


def test_ids_of_a_tracker(reading, writing, with_frames):
    content = [[instance(t, p, track_id=p) for p in (4, 7)] for t in range(3)]
    file = reading(content)
    assert [s.person for s in file] == [4, 7] and not file.notes
    assert writing(file) == content
    after = writing(file.replace([with_frames(file[0], [3]), file[1]]))
    assert after[3][0]["track_id"] == 4


@pytest.mark.parametrize(
    "dataset, joints, skeleton",
    [
        ("coco", 17, "coco17"), ("h36m", 17, "h36m17"), ("mpii", 16, "mpii16"),
        ("coco_wholebody", 133, "coco133"), ("halpe26", 26, "halpe26"), ("new", 136, "halpe136"),
        (None, 17, "coco17"), (["a"], 17, "coco17"),
    ],
)
def test_the_data_set_names_the_joints(dataset, joints, skeleton, reading, writing):
    content = demo(joints=joints)
    content["meta_info"]["dataset_name"] = dataset
    file = reading(content)
    assert {s.skeleton for s in file} == {skeleton}
    assert writing(file) == content


def test_other_data_sets_name_their_joints(reading, writing):
    names = [
        *(f"{side}_{part}" for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
          for side in ("left", "right")), "top_head", "neck",
    ]
    content = demo(joints=14)
    content["meta_info"] = {
        "dataset_name": "crowdpose",
        "keypoint_id2name": {str(i): name for i, name in enumerate(names)},
    }
    file = reading(content)
    assert file[0].skeleton == "joints:" + ",".join([*names[:12], "head_top", "neck"])
    assert writing(file) == content
    for useless in ({"0": "tail"}, {"0": 1}, {"1": "nose"}, {}, ["nose"], {"0": "left_hip"}):
        content["meta_info"]["keypoint_id2name"] = useless
        with pytest.raises(InputError, match="no known skeleton has 14 joints"):
            reading(content)


# --- a folder of images ---------------------------------------------------------------------------


def save(folder, files):
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return folder


def load(folder):
    return {path.name: json.loads(path.read_text()) for path in folder.iterdir()}


def lists():
    return {f"img_{t + 9:03d}.json": group for t, group in enumerate(groups())}


def objects():
    return {
        name: {"meta_info": {"dataset_name": "coco"}, "instance_info": group}
        for name, group in lists().items()
    }


@pytest.mark.parametrize("make", [lists, objects])
def test_a_file_per_image(make, tmp_path, with_frames):
    files = make()
    file = formats.read(save(tmp_path / "in", files))
    assert file.format == "mmpose" and "tracked 2" in file.notes[0]
    assert [s.frames.tolist() for s in file] == [[9, 10, 12], [9, 12]]
    formats.write(file, tmp_path / "out")
    assert load(tmp_path / "out") == files
    formats.write(file.replace([with_frames(file[0], [11, 13]), file[1]]), tmp_path / "out")
    after = load(tmp_path / "out")
    new = {"keypoints": [[7.0, 7.0]] * 17, "keypoint_scores": [0.5] * 17, "bbox_score": 0.5}
    for name in ("img_011.json", "img_013.json"):
        content = after.pop(name)
        assert (content["instance_info"] if make is objects else content) == [new]
    assert after == {name: files[name] for name in after} and len(after) == 3
    again = formats.read(tmp_path / "out")
    assert {frame for s in again for frame in s.frames.tolist()} == {9, 10, 11, 12, 13}
    formats.check_output(file, tmp_path / "out")
    formats.write(file, tmp_path / "out.npz")
    formats.check_output(file, tmp_path / "out.npz")


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    file = formats.read(save(tmp_path / "in", lists()))
    images = {"a_1.json": [], "a_2.json": {"instance_info": []}, **lists()}
    others = {"b.json": [{"image_id": 1, "keypoints": [1, 2, 1]}], "c.json": {"people": []}}
    for number, name in enumerate(others):
        out = save(tmp_path / str(number), images | {name: others[name]})
        for write in (formats.check_output, formats.write):
            with pytest.raises(InputError, match=rf"no frames \({name}\); give a new folder"):
                write(file, out)
        assert load(out) == images | {name: others[name]}
    formats.write(file, save(tmp_path / "out", images))
    assert load(tmp_path / "out") == lists()


def test_mistakes_in_a_folder(tmp_path):
    folder = save(tmp_path / "in", lists())
    (folder / "img_010.json").write_text('[{"keypoints": 1}]')
    with pytest.raises(InputError, match="img_010.json: no list of the instances of an image"):
        formats.read(folder)
    (folder / "img_010.json").write_text("[{")
    with pytest.raises(InputError, match="img_010.json: not valid JSON"):
        formats.read(folder)
    (folder / "img_010.json").rename(folder / "b_009.json")
    (folder / "b_009.json").write_text("[]")
    with pytest.raises(InputError, match="b_009.json and img_009.json are both frame 9"):
        formats.read(folder)
    spoilt = lists()
    del spoilt["img_012.json"][1]["keypoints"]
    with pytest.raises(InputError, match="other: frame 12, instance 1: keypoints must be"):
        formats.read(save(tmp_path / "other", spoilt))


def test_low_scores_and_impossible_places(reading, writing):
    content = groups()
    content[1][0]["keypoint_scores"][3] = 0.1
    content[1][0]["keypoints"][4] = [None, 5.0]
    content[1][0]["keypoints"][5] = [1e9, 5.0]
    file = reading(content)
    assert np.argwhere(~file[0].observed).tolist() == [[1, 3], [1, 4], [1, 5]]
    assert "2 joints with impossible numbers" in file.notes[1]
    assert writing(file) == content


def test_sequences_without_a_file(writing, tmp_path):
    sequence = PoseSequence(
        np.random.default_rng(0).uniform(1, 90, (2, 17, 2)).round(4), np.full((2, 17), 0.75), None,
        "coco17", [3, 6], 2,
    )
    content = writing([sequence], format="mmpose")
    assert [entry["frame_id"] for entry in content["instance_info"]] == [3, 6]
    (again,) = formats.read(tmp_path / "out.json")
    for name in ("keypoints", "scores", "frames", "person"):
        np.testing.assert_array_equal(getattr(again, name), getattr(sequence, name))


def spoilt(change):
    content = demo()
    change(content["instance_info"], content["instance_info"][0]["instances"][1])
    return content


@pytest.mark.parametrize(
    "content, message",
    [
        ({"meta_info": {}}, r"has no list of frames \(instance_info\)"),
        ({"instance_info": {"a": 1}}, "has no list of frames"),
        (spoilt(lambda f, i: f.append(5)), "entry 4 has no list of instances"),
        (spoilt(lambda f, i: f[1].update(instances=None)), "entry 1 has no list of instances"),
        (spoilt(lambda f, i: f[1].update(frame_id="a")), "entry 1 has the frame_id 'a'"),
        (spoilt(lambda f, i: f[1].update(frame_id=1e15)), "no video"),
        (spoilt(lambda f, i: f[0]["instances"].append(5)), "frame 1, instance 2: must be an obj"),
        (spoilt(lambda f, i: i.pop("keypoints")), "frame 1, instance 1: keypoints must be a list"),
        (spoilt(lambda f, i: i.update(keypoints=[[1, 2, 3]] * 17)), r"list of \[x, y\]"),
        (spoilt(lambda f, i: i.update(keypoints=[[1, "a"]] * 17)), "keypoints must be numbers"),
        (spoilt(lambda f, i: i.pop("keypoint_scores")), "keypoint_scores must be numbers"),
        (spoilt(lambda f, i: i["keypoint_scores"].pop()), "17 keypoints with 16 keypoint_scores"),
        (spoilt(lambda f, i: i.update(keypoints=[], keypoint_scores=[])), "0 keypoints with 0"),
        (spoilt(lambda f, i: i.update(instance(0, 1, joints=26))), "26 joints where others"),
        (demo(joints=21), "no known skeleton has 21 joints"),
        ([groups()[0], {}], "frame 1 is no list of instances"),
    ],
)
def test_mistakes_are_named_in_one_line(content, message, reading):
    with pytest.raises(InputError, match=f"in.json: (.*){message}") as caught:
        reading(content)
    assert "\n" not in str(caught.value)
