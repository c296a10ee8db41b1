"""Labels of Penn Action, JHMDB, COCO and PoseTrack from files of their structure, made here."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipelines.labels import jhmdb, penn_action
from data_pipelines.labels.__main__ import main
from data_pipelines.labels.coco import read_coco
from data_pipelines.labels.source import stretches
from posegan_jax.errors import InputError
from posegan_jax.motion.labels import load_labels

REPOSITORY = Path(__file__).parents[2]
FRAMES = 10
POSETRACK = (
    "nose head_bottom head_top left_ear right_ear left_shoulder right_shoulder left_elbow "
    "right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle "
    "right_ankle"
).split()
SMALL = ["nose", "left_shoulder", "RShoulder", "tail"]


def run(*argv):
    return main([str(word) for word in argv])


def converted(kind, place, tmp_path, *more):
    out = tmp_path / "labels.npz"
    assert run("--source", f"{kind}:{place}", "--out", out, *more) == 0
    return load_labels(out)


def refused(capsys, kind, place, tmp_path, *more):
    out = tmp_path / "labels.npz"
    assert run("--source", f"{kind}:{place}", "--out", out, *more) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert not out.exists()
    return line


# --- Penn Action ----------------------------------------------------------------------------------


def penn(**changes):
    """What a file of Penn Action holds: someone who faces the camera and stands still."""
    x, y = np.full((FRAMES, 13), 200.0), np.arange(13.0) * 15 + 20 + np.zeros((FRAMES, 1))
    x[:, 1::2] -= 40  # 'left' as published: the viewer's left, and the person's right
    x[:, 2::2] += 40
    return {
        "action": "golf_swing", "pose": "front", "x": x, "y": y,
        "visibility": np.ones((FRAMES, 13), bool), "train": 1,
        "dimensions": np.array([[270.0, 480.0, FRAMES]]), "nframes": FRAMES,
    } | changes


def write_penn(folder, **changes):
    (folder / "labels").mkdir(exist_ok=True)
    content = {name: value for name, value in penn(**changes).items() if value is not None}
    scipy.io.savemat(folder / "labels" / "0001.mat", content)
    return folder


def test_penn_action_has_the_persons_own_sides(tmp_path, capsys):
    (clip,) = converted("penn_action", write_penn(tmp_path), tmp_path)
    assert (clip.name, clip.action, clip.view, clip.fps) == ("0001", "golf_swing", "front", None)
    assert clip.joints == penn_action.JOINTS and clip.keypoints.shape == (FRAMES, 13, 2)
    place = dict(zip(clip.joints, clip.keypoints[0], strict=True))
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
        # Who faces the camera has the left side on its right.
        assert place[f"left_{part}"][0] > place["head"][0] > place[f"right_{part}"][0]
        assert place[f"left_{part}"][1] == place[f"right_{part}"][1] + 15
    assert clip.labelled.all() and not clip.guessed.any()
    assert clip.keypoints[0, 0].tolist() == [199.0, 19.0]  # MATLAB counts pixels from 1
    said = capsys.readouterr().out
    assert "1 clips of 10 to 10 frames, 10 in all" in said and "From Actemes to Action" in said


def test_hidden_joints_are_guesses_and_the_corner_is_no_label(tmp_path):
    content = penn()
    x, y, visible = (content[name] for name in ("x", "y", "visibility"))
    visible[2, 3] = visible[3, 4] = visible[4, 5] = visible[5, 6] = visible[6, 7] = False
    x[3, 4] = y[3, 4] = 1
    x[4, 5] = y[4, 5] = 1.5  # in a picture that was enlarged
    x[5, 6] = 481  # beside the picture
    y[6, 7] = 270  # its last row
    x[7, 8], y[8, 9] = np.nan, -4
    x[9, 10] = 1  # the first column, which is no corner
    x[8, 11] = 0.5  # beside it
    (clip,) = converted("penn_action", write_penn(tmp_path, **content), tmp_path)
    assert np.argwhere(clip.guessed).tolist() == [[2, 3], [6, 7]]
    assert np.argwhere(~clip.labelled).tolist() == [
        [3, 4], [4, 5], [5, 6], [7, 8], [8, 9], [8, 11]
    ]


def test_penn_actions_folder_of_labels_will_do(tmp_path):
    write_penn(tmp_path)
    (tmp_path / "labels" / "._0001.mat").write_bytes(b"of another system")
    clips = converted("penn_action", tmp_path / "labels", tmp_path, "--fps", 30)
    assert [clip.fps for clip in clips] == [30.0]


PENN_DAMAGE = {
    "lacks visibility": {"visibility": None},
    "lacks dimensions": {"dimensions": None},
    "x, y and visibility must be of shape (frames, 13), not (10, 13), (9, 13)": {
        "y": np.zeros((9, 13))
    },
    "must be of shape (frames, 13), not (10, 12)": {"x": np.zeros((FRAMES, 12))},
    "x must be numbers": {"x": "left"},
    "dimensions must be the height and width": {"dimensions": np.array([[0.0, 480.0]])},
}


@pytest.mark.parametrize("problem", PENN_DAMAGE)
def test_files_of_penn_action_that_are_wrong(tmp_path, capsys, problem):
    line = refused(
        capsys, "penn_action", write_penn(tmp_path, **PENN_DAMAGE[problem]), tmp_path
    )
    assert problem in line and "labels/0001.mat" in line


# --- JHMDB ----------------------------------------------------------------------------------------


def write_jhmdb(folder, action="walk", name="clip", **changes):
    place = folder / "joint_positions" / action / name
    place.mkdir(parents=True)
    content = {
        "pos_img": np.arange(2 * 15 * FRAMES, dtype=float).reshape(2, 15, FRAMES),
        "pos_world": np.zeros((2, 15, FRAMES)), "scale": np.ones((1, FRAMES)), "viewpoint": "SW",
    } | changes
    content = {name: value for name, value in content.items() if value is not None}
    scipy.io.savemat(place / "joint_positions.mat", content)
    return content["pos_img"] if "pos_img" in content else None


def test_jhmdb_is_read_joint_by_joint(tmp_path, capsys):
    places = write_jhmdb(tmp_path, "walk", "b")
    places[:, 2, 4] = np.nan, 7
    places[0, 5, 6] = -12.5  # outside the picture
    write_jhmdb(tmp_path, "catch", "a", pos_img=places, viewpoint=None)
    first, second = converted("jhmdb", tmp_path, tmp_path)
    assert (first.name, first.action, first.view) == ("a", "catch", "")
    assert (second.name, second.action, second.view) == ("b", "walk", "SW")
    assert first.joints == jhmdb.JOINTS and not first.guessed.any()
    assert np.argwhere(~first.labelled).tolist() == [[4, 2]]
    assert first.keypoints[6, 5].tolist() == [-13.5, places[1, 5, 6] - 1]  # counted from 1
    for joint, number in {"neck": 0, "head": 2, "right_shoulder": 3, "left_ankle": 14}.items():
        found = second.keypoints[:, second.joints.index(joint)]
        np.testing.assert_allclose(found, np.arange(300.).reshape(2, 15, FRAMES)[:, number].T - 1)
    assert "does not say which of them are hidden" in capsys.readouterr().out
    assert len(converted("jhmdb", tmp_path / "joint_positions", tmp_path)) == 2


def test_files_of_jhmdb_that_are_wrong(tmp_path, capsys):
    for name, problem, places in (
        ("a", "lacks pos_img", None),
        ("b", "pos_img must be of shape (2, 15, frames), not (2, 14, 10)", np.zeros((2, 14, 10))),
        ("c", "pos_img must be numbers", "text"),
    ):
        write_jhmdb(tmp_path / name, pos_img=places)
        line = refused(capsys, "jhmdb", tmp_path / name, tmp_path)
        assert problem in line and "walk/clip/joint_positions.mat" in line


def test_a_clip_of_one_frame(tmp_path, capsys):
    write_jhmdb(tmp_path, pos_img=np.ones((2, 15)))
    assert "holds no clip of 8 frames or more" in refused(capsys, "jhmdb", tmp_path, tmp_path)
    (clip,) = converted("jhmdb", tmp_path, tmp_path, "--shortest", 1)
    assert clip.keypoints.shape == (1, 15, 2)


# --- COCO and PoseTrack ---------------------------------------------------------------------------


def people(frames, names=SMALL, tracks=(0,), folder="images/val/000342_mpii_test", flag=2):
    """Images of some frames, each with all tracks on it; place (frame, 10 joint + track)."""
    images, annotations = [], []
    for frame in frames:
        identity = 10003420000 + frame
        images.append(
            {"id": identity, "frame_id": identity, "file_name": f"{folder}/{frame:06d}.jpg"}
        )
        for track in tracks:
            keypoints = [[frame + 1, 10 * k + track, flag] for k in range(len(names))]
            annotations.append(
                {"id": 100 * identity + track, "image_id": identity, "track_id": track,
                 "category_id": 1, "keypoints": [v for point in keypoints for v in point]}
            )
    categories = [{"id": 1, "name": "person", "keypoints": list(names)}]
    return {"images": images, "annotations": annotations, "categories": categories}


def write_json(path, content):
    path.write_text(json.dumps(content))
    return path


def test_tracks_of_coco_are_clips(tmp_path):
    content = people(range(12), tracks=(3, 10))
    hidden, nothing, corner = (content["annotations"][i]["keypoints"] for i in (0, 2, 4))
    hidden[2] = 1
    nothing[3:6] = [77, 77, 0]
    corner[6:9] = [0, 0, 2]
    first, second = converted("coco", write_json(tmp_path / "a.json", content), tmp_path)
    assert first.name == "images/val/000342_mpii_test/3" and second.name.endswith("/10")
    assert first.joints == ("nose", "left_shoulder", "right_shoulder", "tail")
    assert np.argwhere(first.guessed).tolist() == [[0, 0]] and not second.guessed.any()
    assert np.argwhere(~first.labelled).tolist() == [[1, 1], [2, 2]] and second.labelled.all()
    assert second.keypoints[4, 2].tolist() == [5, 30]


def test_gaps_of_coco_stay_and_long_ones_cut(tmp_path):
    frames = [*range(10), *range(15, 25), *range(60, 70), 200]
    path = write_json(tmp_path / "a.json", people(frames))
    first, second = converted("coco", path, tmp_path)
    assert [len(clip.keypoints) for clip in (first, second)] == [25, 10]
    assert (~first.labelled.any(axis=1)).nonzero()[0].tolist() == [10, 11, 12, 13, 14]
    assert first.name.endswith("test/0@10003420000") and second.name.endswith("@10003420060")


def test_one_person_per_image_needs_no_track_and_no_frame_numbers(tmp_path, capsys):
    content = people(range(9))
    for image, annotation in zip(content["images"], content["annotations"], strict=True):
        del image["frame_id"], annotation["track_id"]
    (clip,) = converted("coco", write_json(tmp_path / "a.json", content), tmp_path)
    assert clip.name == "images/val/000342_mpii_test" and clip.keypoints[3, 0, 0] == 4
    for image in content["images"]:
        image["file_name"] = Path(image["file_name"]).name
    assert converted("coco", tmp_path / "a.json", tmp_path)[0].keypoints.shape == (9, 4, 2)
    (clip,) = converted("coco", write_json(tmp_path / "b.json", content), tmp_path)
    assert clip.name == "b"
    content["annotations"].append(content["annotations"][0])
    (tmp_path / "labels.npz").unlink()
    line = refused(capsys, "coco", write_json(tmp_path / "a.json", content), tmp_path)
    assert "frame 0 of video '' shows several people, and annotations have no track_id" in line


def test_videos_are_told_apart_by_number_or_folder(tmp_path):
    one, other = people(range(8)), people(range(8, 18), folder="images/val/2")
    both = {key: one[key] + other[key] for key in ("images", "annotations")}
    both["categories"] = one["categories"]
    clips = converted("coco", write_json(tmp_path / "a.json", both), tmp_path)
    assert [(clip.name, len(clip.keypoints)) for clip in clips] == [
        ("images/val/000342_mpii_test/0", 8), ("images/val/2/0", 10)
    ]
    for image in both["images"]:
        image["video_id"] = 5
    (clip,) = converted("coco", write_json(tmp_path / "a.json", both), tmp_path)
    assert (clip.name, len(clip.keypoints)) == ("5/0", 18)


def test_tracks_that_are_attributes_are_tracks(tmp_path):
    content = people(range(9), tracks=(3, 10))
    for annotation in content["annotations"]:
        annotation["attributes"] = {"occluded": False, "track_id": annotation.pop("track_id")}
    clips = converted("coco", write_json(tmp_path / "a.json", content), tmp_path)
    assert [clip.name.rpartition("/")[2] for clip in clips] == ["3", "10"]


def test_videos_of_posetrack_are_named_as_its_files(tmp_path):
    for folder in ("000002_bonn_train", "000002_mpii_train"):
        content = people(range(8), POSETRACK, folder=f"images/train/{folder}", flag=1)
        for image in content["images"]:
            image["vid_id"] = "000002"
        write_json(tmp_path / f"{folder}.json", content)
    clips = converted("posetrack", tmp_path, tmp_path)
    assert [clip.name for clip in clips] == ["000002_bonn_train/0", "000002_mpii_train/0"]


def test_posetrack_is_cut_where_frames_have_no_labels(tmp_path, capsys):
    folder = tmp_path / "train"
    folder.mkdir()
    content = people([*range(0, 40, 4), *range(40, 60)], POSETRACK, (0, 1), flag=1)
    for annotation in content["annotations"]:
        annotation["keypoints"][9:15] = [0, 0, 0] * 2  # ears
        if annotation["track_id"] == 1 and annotation["image_id"] == 10003420050:
            annotation["keypoints"] = [0] * 51
    content["annotations"].append({"image_id": 10003420003, "track_id": 0, "bbox": [1, 2, 3, 4]})
    content["images"] += people([3])["images"]  # without labels
    write_json(folder / "000342_mpii_test.json", content)
    test = people(range(9), POSETRACK)
    del test["annotations"]
    write_json(folder / "000343_mpii_test.json", test)
    clips = converted("posetrack", tmp_path, tmp_path)
    found = [(clip.name.rpartition("/")[2], len(clip.keypoints)) for clip in clips]
    assert found == [("0@10003420040", 20), ("1@10003420040", 10), ("1@10003420051", 9)]
    for clip in clips:
        assert clip.labelled.all() and not clip.guessed.any()  # 1 is all that PoseTrack says
        assert clip.joints[:3] == ("nose", "upper_neck", "head_top") and len(clip.joints) == 15
    assert "left out: 20 clips of fewer than 8 frames" in capsys.readouterr().out
    some = converted("posetrack", folder / "000342_mpii_test.json", tmp_path, "--shortest", 20)
    assert [len(clip.keypoints) for clip in some] == [20]


def test_annotations_that_repeat_a_track_are_told(tmp_path, capsys):
    content = people(range(8))
    fuller = content["annotations"][0]
    content["annotations"].insert(0, fuller | {"keypoints": [5, 5, 2] + [0] * 9})
    content["annotations"].append(fuller | {"keypoints": [0] * 9 + [5, 5, 2]})
    (clip,) = converted("coco", write_json(tmp_path / "a.json", content), tmp_path)
    assert clip.labelled.all() and clip.keypoints[0, 0].tolist() == [1, 0]
    assert "left out: 2 annotations that repeat a track" in capsys.readouterr().out


def test_crowds_are_not_people(tmp_path):
    content = people(range(8), tracks=(0, 1))
    for annotation in content["annotations"]:
        annotation["iscrowd"] = annotation["track_id"]
    assert len(converted("coco", write_json(tmp_path / "a.json", content), tmp_path)) == 1


def damaged(change):
    content = people(range(8))
    change(content)
    return content


JSON_DAMAGE = {
    "list of objects 'images'": lambda c: c.pop("images"),
    "list of objects 'annotations'": lambda c: c.update(annotations={}),
    "list of objects 'categories'": lambda c: c.update(categories=[3]),
    "a category must name its keypoints": lambda c: c["categories"][0].pop("keypoints"),
    "must be names, each of them once": lambda c: c["categories"][0].update(keypoints=["a"] * 4),
    "several categories with keypoints": lambda c: c["categories"].append({"keypoints": ["a"]}),
    "image 1 has no id": lambda c: c["images"][1].pop("id"),
    "two images have the id 10003420000": lambda c: c["images"][1].update(id=10003420000),
    "frame_id of image 10003420002 must be": lambda c: c["images"][2].update(frame_id=[1]),
    "need frame_id, or file names that end in the number": lambda c: [
        image.update(frame_id="same.jpg") for image in c["images"]
    ],
    "is of image 7, which is not in the file": lambda c: c["annotations"][0].update(image_id=7),
    "is of image [1], which": lambda c: c["annotations"][0].update(image_id=[1]),
    "has 11 numbers of keypoints, not 4 times": lambda c: c["annotations"][1]["keypoints"].pop(),
    "keypoints must be numbers": lambda c: c["annotations"][1].update(keypoints=["x"] * 12),
    "visibility must be 0, 1 or 2": lambda c: c["annotations"][1].update(keypoints=[0.5] * 12),
    "holds no clip of 8 frames or more with labels": lambda c: c.update(annotations=[]),
}


@pytest.mark.parametrize("kind", ["coco", "posetrack"])
@pytest.mark.parametrize("problem", JSON_DAMAGE)
def test_json_files_that_are_wrong(tmp_path, capsys, problem, kind):
    path = write_json(tmp_path / "a.json", damaged(JSON_DAMAGE[problem]))
    line = refused(capsys, kind, path, tmp_path)
    assert problem in line and "a.json" in line


def test_files_of_posetrack_have_the_same_joints(tmp_path, capsys):
    write_json(tmp_path / "a.json", people(range(8)))
    write_json(tmp_path / "b.json", people(range(8), POSETRACK))
    line = refused(capsys, "posetrack", tmp_path, tmp_path)
    assert "b.json: has other joints than the files before it" in line


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["id", "frame_id", "file_name", "image_id", "track_id", "keypoints", "video_id"]
    ), inner, max_size=5), max_leaves=8,
), st.sampled_from(["images", "annotations", "categories"]))
@settings(max_examples=60, deadline=None)
def test_no_content_ends_in_a_traceback(tmp_path_factory, item, part):
    content = people(range(3))
    content[part].append(item)
    path = write_json(tmp_path_factory.mktemp("fuzz") / "a.json", content)
    try:
        read_coco(path)
    except InputError as error:
        assert "\n" not in str(error) and "a.json" in str(error)


def test_stretches():
    assert stretches([], 0) == []
    assert stretches([1, 2, 4], 0) == [[1, 2], [4]]
    assert stretches([1, 2, 4, 7], 1) == [[1, 2, 4], [7]]


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["penn_action", "jhmdb", "coco", "posetrack"])
def test_files_that_are_missing_or_no_such_files(tmp_path, capsys, kind):
    assert "nowhere" in refused(capsys, kind, tmp_path / "nowhere", tmp_path)
    assert str(tmp_path) in refused(capsys, kind, tmp_path, tmp_path)
    places = {"penn_action": "labels/1.mat", "jhmdb": "joint_positions/a/b/joint_positions.mat"}
    path = tmp_path / places.get(kind, "a.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(tmp_path / "whole.mat", penn())
    whole = (tmp_path / "whole.mat").read_bytes()
    for content in (b"", b"no such file", whole[:200], whole[: len(whole) // 2]):
        path.write_bytes(content)
        line = refused(capsys, kind, tmp_path if kind in places else path, tmp_path)
        assert str(path) in line


def test_options_that_are_wrong(tmp_path, capsys):
    write_penn(tmp_path)
    for problem, options in {
        "--fps must be positive": ("--fps", 0),
        "--shortest must be at least 1": ("--shortest", 0),
        "invalid int value": ("--shortest", "few"),
        "must end in .npz": ("--out", tmp_path / "a.json"),
        "no such folder": ("--out", tmp_path / "none" / "a.npz"),
        "is a folder": ("--out", tmp_path),
    }.items():
        if problem == "is a folder":
            (tmp_path / "b.npz").mkdir()
            options = ("--out", tmp_path / "b.npz")
        assert problem in refused(capsys, "penn_action", tmp_path, tmp_path, *options)
    for kind in ("other", "coco.json", "jhmdb"):
        assert run("--source", kind, "--out", tmp_path / "a.npz") == 2
        assert "give one of penn_action:FOLDER" in capsys.readouterr().err
    content = write_json(tmp_path / "c.npz", people(range(8)))
    assert run("--source", f"coco:{content}", "--out", content) == 2
    assert "is the source itself" in capsys.readouterr().err and content.read_text()


def test_a_file_that_is_there_is_replaced_whole_or_stays(tmp_path, capsys, monkeypatch):
    out = tmp_path / "labels.npz"
    source = f"penn_action:{write_penn(tmp_path)}"
    for _ in range(2):
        assert run("--source", source, "--out", out) == 0
    before = out.read_bytes()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("data_pipelines.labels.__main__.with_labels", interrupt)
    assert run("--source", source, "--out", out) == 130
    assert out.read_bytes() == before and len(list(tmp_path.iterdir())) == 2
    with np.load(out) as data:
        assert str(data["dataset"]) == "Penn Action" and "README" in str(data["licence"])


def test_it_is_a_command(tmp_path):
    out = tmp_path / "a.npz"
    command = [sys.executable, "-m", "data_pipelines.labels", "--source",
               f"penn_action:{write_penn(tmp_path)}", "--out", str(out)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(load_labels(out)) == 1
