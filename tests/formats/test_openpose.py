"""OpenPose folders: a file per frame, in two orders of 25 joints, and nothing lost."""

import json
from pathlib import Path

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

CASES = Path(__file__).parent / "cases" / "09-frames-of-people-in-one-file"
SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "detections"
REAL = {
    "openpose_body25/workout_march": "body25",
    "openpose_body25b_4cams/cam1_json": "body25b",
}

# Someone standing, on a canvas of 100 by 200.
BODY = {
    "head_top": (50, 5), "nose": (50, 18), "eye": (4, 15), "ear": (8, 16), "upper_neck": (50, 30),
    "mid_shoulder": (50, 38), "shoulder": (15, 38), "elbow": (20, 65), "wrist": (22, 90),
    "mid_hip": (50, 95), "hip": (9, 95), "knee": (10, 140), "ankle": (10, 185), "heel": (9, 190),
    "big_toe": (12, 194), "small_toe": (15, 193),
}


def body(skeleton="body25", person=0, frame=0):
    """x, y, score of every joint in one list; the person's left is on the right of the image."""
    values = []
    for joint in get_skeleton(skeleton).joints:
        side, _, stem = joint.partition("_")
        if stem in BODY and side in ("left", "right"):
            x, y = BODY[stem]
            x = 50 + x if side == "left" else 50 - x
        else:
            x, y = BODY[joint]
        values += [300.0 * person + 10 + 2 * x + frame + 0.123456, 2.0 * y + 20, 0.8125]
    return values


def someone(skeleton="body25", person=0, frame=0, **keys):
    return {
        "person_id": [-1], "pose_keypoints_2d": body(skeleton, person, frame),
        "face_keypoints_2d": [1.5, 2.5, 0.5], "hand_left_keypoints_2d": [],
        "pose_keypoints_3d": [],
    } | keys


def video(people=(1, 0, 2, 1), skeleton="body25"):
    """Content by file name."""
    return {
        f"my_video_{frame:012d}_keypoints.json": {
            "version": 1.3, "people": [someone(skeleton, p, frame) for p in range(count)],
        }
        for frame, count in enumerate(people)
    }


def save(folder, content):
    folder.mkdir(exist_ok=True)
    for name, frame in content.items():
        (folder / name).write_text(json.dumps(frame))
    return folder


def load(folder):
    return {path.name: json.loads(path.read_text()) for path in sorted(folder.iterdir())}


def name(frame):
    return f"my_video_{frame:012d}_keypoints.json"


@pytest.fixture
def reading(tmp_path):
    return lambda content, **options: formats.read(save(tmp_path / "in", content), **options)


@pytest.fixture
def writing(tmp_path):
    def write(sequences):
        formats.write(sequences, tmp_path / "out")
        return load(tmp_path / "out")

    return write


def upsampled(sequence):
    return PoseSequence(
        np.arange(len(sequence) * 56.0).reshape(-1, 28, 2) + 1, np.full((len(sequence), 28), 0.5),
        None, "mpi_inf_3dhp", sequence.frames, sequence.person,
    )


# --- real folders ---------------------------------------------------------------------------------


@pytest.mark.parametrize("place, skeleton", REAL.items())
def test_real_folders_come_back_the_same(place, skeleton, writing):
    folder = SHARED / place
    if not folder.exists():
        pytest.skip(f"needs {folder}")
    file = formats.read(folder)
    assert {s.skeleton for s in file} == {skeleton} and file.format == "openpose"
    assert len(file.notes) == 1 and "tracked" in file.notes[0]
    assert writing(file) == {path.name: json.loads(path.read_text()) for path in
                             sorted(folder.glob("*.json"))}


# --- reading and writing back ---------------------------------------------------------------------


def test_what_is_read(reading, writing):
    content = video()
    file = reading(content)
    assert [s.frames.tolist() for s in file] == [[0, 2, 3], [2]]
    assert {(s.skeleton, s.fps) for s in file} == {("body25", None)}
    values = np.reshape(content[name(2)]["people"][0]["pose_keypoints_2d"], (25, 3))
    np.testing.assert_array_equal(file[0].keypoints[1], values[:, :2])
    np.testing.assert_array_equal(file[0].scores[1], values[:, 2])
    assert writing(file) == content


@pytest.mark.parametrize(
    "names, frames",
    [
        (["a_000000000007_keypoints.json", "a_000000000012_keypoints.json"], [7, 12]),
        (["cam01.0000.json", "cam01.0001.json"], [0, 1]),
        (["7.json", "10.json"], [7, 10]),
        (["one.json", "two.json"], [0, 1]),
    ],
)
def test_frame_numbers_from_file_names(names, frames, reading, writing):
    content = {n: {"people": [someone(frame=i)]} for i, n in enumerate(names)}
    file = reading(content)
    assert file[0].frames.tolist() == frames
    assert bool(len(file.notes) == 3) == (names[0] == "one.json")
    assert writing(file) == content


@pytest.mark.parametrize(
    "skeleton", ["coco17", "coco18", "body25", "body25b"]
)
def test_the_joints(skeleton, reading, writing):
    content = video(skeleton=skeleton)
    file = reading(content)
    assert {s.skeleton for s in file} == {skeleton}
    assert len(file.notes) == 2
    assert writing(file) == content


def test_the_user_says_which_25_joints(reading):
    file = reading(video(), joint_map="body25b")
    assert {s.skeleton for s in file} == {"body25b"} and len(file.notes) == 2


def test_it_is_said_when_the_order_of_25_joints_is_uncertain(reading):
    content = video((1, 1))
    for frame in content.values():
        frame["people"][0]["pose_keypoints_2d"][3:] = [0] * 72  # a nose alone
    assert "may be in the order" in " ".join(reading(content).notes)


def test_low_scores_and_zeros_are_missing(reading, writing):
    content = video((1, 1))
    joints = content[name(1)]["people"][0]["pose_keypoints_2d"]
    joints[:9] = [0, 0, 0, 50, 60, 0.09, 0, 0, 0.9]
    file = reading(content)
    assert np.argwhere(~file[0].observed).tolist() == [[1, 0], [1, 1], [1, 2]]
    assert reading(content, min_score=0.05)[0].observed[1, 1]
    assert writing(file) == content


def test_ids_of_a_tracker_count(reading, writing):
    content = video((2, 2, 2))
    for t, frame in enumerate(content.values()):
        for i, person in enumerate(frame["people"]):
            person["person_id"] = [(i + t) % 2 + 4]
    file = reading(content)
    assert [s.person for s in file] == [4, 5]
    assert file.notes == ("keys that are not used: face_keypoints_2d",)
    assert file[0].keypoints[1, 0, 0] > file[0].keypoints[0, 0, 0] + 200
    assert writing(file) == content


def test_a_face_without_a_body_is_nobody(reading, writing):
    content = video((2, 2))
    content[name(0)]["people"][0]["pose_keypoints_2d"] = []
    del content[name(1)]["people"][1]["pose_keypoints_2d"]
    file = reading(content)
    assert sorted(len(s) for s in file) == [1, 1]
    assert writing(file) == content


def test_files_of_version_1_0(reading, writing, with_frames):
    content = {
        f"{t}_keypoints.json": {
            "version": 1.0, "people": [{"pose_keypoints": body("coco18", 0, t)}]
        }
        for t in range(2)
    }
    file = reading(content)
    assert file[0].skeleton == "coco18" and writing(file) == content
    after = writing(file.replace([with_frames(file[0], [2])]))
    assert after["2_keypoints.json"]["people"] == [{"pose_keypoints": [7.0, 7.0, 0.5] * 18}]


def test_a_video_without_anyone(reading, writing):
    content = video((0, 0))
    file = reading(content)
    assert len(file) == 0 and file.notes == ("no detections",)
    assert writing(file) == content


def test_other_files_of_the_folder_do_not_matter(reading, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "settings.json").write_text("[1, 2")
    (tmp_path / "in" / "video.mp4").write_bytes(b"")
    assert len(reading(video())) == 2


# --- changes --------------------------------------------------------------------------------------


def test_only_what_changed_is_written(reading, writing):
    content = video()
    file = reading(content)
    keypoints = file[0].keypoints.copy()
    keypoints[1, 4] = 1.5, 2.5
    after = writing(file.replace([file[0].replace(keypoints=keypoints), file[1]]))
    content[name(2)]["people"][0]["pose_keypoints_2d"][12:14] = [1.5, 2.5]
    assert after == content


def test_new_frames(reading, writing, with_frames):
    content = video()
    file = reading(content)
    after = writing(file.replace([with_frames(file[0], [1, 4]), with_frames(file[1], [3])]))
    new = someone(face_keypoints_2d=[], pose_keypoints_2d=[7.0, 7.0, 0.5] * 25)
    assert after[name(1)] == after[name(4)] == {"version": 1.3, "people": [new]}
    assert after[name(3)]["people"] == content[name(3)]["people"] + [new]
    assert after[name(0)] == content[name(0)] and after[name(2)] == content[name(2)]
    assert list(after) == [name(frame) for frame in range(5)]


def test_a_new_person_of_a_tracked_video(reading, writing):
    content = video((1, 1))
    for frame in content.values():
        frame["people"][0]["person_id"] = [3]
    file = reading(content)
    newcomer = PoseSequence(np.ones((1, 25, 2)), None, None, "body25", [1], 8)
    after = writing(file.replace([*file, newcomer]))
    assert [p["person_id"] for p in after[name(1)]["people"]] == [[3], [8]]


def test_upsampled(reading, writing, tmp_path):
    content = video()
    content[name(0)]["people"].append({"face_keypoints_2d": [1.0]})
    file = reading(content)
    after = writing(file.replace([upsampled(file[0]), file[1]]))
    for key, frame in after.items():
        for old, new in zip(content[key]["people"], frame["people"], strict=True):
            assert new | {"pose_keypoints_2d": 0} == old | {"pose_keypoints_2d": 0} or new == old
    again = formats.read(tmp_path / "out")
    assert {s.skeleton for s in again} == {"mpi_inf_3dhp"}
    np.testing.assert_array_equal(again[0].keypoints[0], upsampled(file[0]).keypoints[0])


def test_sequences_without_a_file_make_a_folder_with_every_frame(tmp_path):
    sequence = PoseSequence(
        np.random.default_rng(0).uniform(1, 90, (2, 25, 2)).round(4), None, None, "body25", [3, 6],
        2,
    )
    formats.write([sequence], tmp_path / "out", "openpose")
    assert list(load(tmp_path / "out")) == [
        f"frame_{frame:012d}_keypoints.json" for frame in range(3, 7)
    ]
    (again,) = formats.read(tmp_path / "out", joint_map="body25")
    assert again.person == 2 and again.frames.tolist() == [3, 6]
    np.testing.assert_array_equal(again.keypoints, sequence.keypoints)


# --- the folder that is written -------------------------------------------------------------------


def test_a_folder_keeps_its_format_whatever_its_name(reading, tmp_path):
    file = reading(video())
    for out in ("out", "v.1", "json.d"):
        formats.write(file, tmp_path / out)
        assert load(tmp_path / out) == video()
    formats.write(reading(video()), tmp_path / "out.npz")
    assert formats.read(tmp_path / "out.npz").format == "npz"


def test_a_folder_may_be_written_over_itself(reading, tmp_path):
    file = reading(video())
    formats.write(file.replace([upsampled(s) for s in file]), tmp_path / "in")
    assert {s.skeleton for s in formats.read(tmp_path / "in")} == {"mpi_inf_3dhp"}
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_a_folder_with_other_things_is_left_alone(reading, tmp_path):
    file = reading(video())
    results = {
        "video1.json": '[{"image_id": 1}]', "contacts.json": '{"people": [{"name": "Ann"}]}',
        "cut.json": '{"people": [', "thesis.doc": "years of work",
    }
    for name, text in results.items():
        out = tmp_path / name.split(".")[0]
        save(out, video())
        (out / name).write_text(text)
        for write in (formats.check_output, formats.write):
            with pytest.raises(InputError, match=rf"no frames \({name}\); give a new folder"):
                write(file, out)
        assert (out / name).read_text() == text and len(list(out.iterdir())) == len(video()) + 1
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file; give a folder"):
        formats.write(file, tmp_path / "file")
    with pytest.raises(InputError, match="cannot write .*no such folder"):
        formats.write(file, tmp_path / "nowhere" / "out")


def test_a_failed_write_leaves_what_stood_there(reading, tmp_path):
    file = reading(video())
    formats.write(file, tmp_path / "out")
    newcomer = PoseSequence(np.ones((1, 25, 2)), None, None, "body25", [1], object())
    with pytest.raises(TypeError):
        formats.write(file.replace([*file, newcomer]), tmp_path / "out")
    assert load(tmp_path / "out") == video()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out"]


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda text: text[: len(text) // 2], "not valid JSON .*cut off"),
        (lambda text: "", "not valid JSON"),
        (lambda text: '{"peoples": []}', "has no list of people"),
        (lambda text: "[5]", "has no list of people"),
        (lambda text: '{"people": 5}', "has no list of people"),
        (lambda text: '{"people": [5]}', "has no list of people"),
        (lambda text: '{"people": [{"pose_keypoints_2d": 5}]}', "person 0: .*must be numbers"),
        (lambda text: '{"people": [{"pose_keypoints_2d": ["a"]}]}', "person 0: .*must be numbers"),
        (lambda text: '{"people": [{"pose_keypoints_2d": [1, 2]}]}', "person 0: .*x, y, score"),
        (lambda text: '{"people": [{"person_id": {}}]}', "person 0: person_id must be a number"),
    ],
)
def test_a_file_gone_wrong_is_named(spoil, message, tmp_path):
    folder = save(tmp_path / "in", video())
    (folder / name(0)).write_text(spoil((folder / name(0)).read_text()))
    with pytest.raises(InputError, match=f"{name(0)}: {message}") as caught:
        formats.read(folder)
    assert "\n" not in str(caught.value)


def test_other_mistakes(reading, tmp_path):
    with pytest.raises(InputError, match=r"with 18 joints where others have 25"):
        reading(video((1, 1)) | {name(1): {"people": [someone("coco18")]}})
    content = {name(t): {"people": [someone(pose_keypoints_2d=[1.0] * 72)]} for t in range(2)}
    with pytest.raises(InputError, match="no known skeleton has 24 joints; .*--joint-map"):
        reading(content)
    with pytest.raises(InputError, match="one frame of OpenPose; give the folder"):
        formats.read(tmp_path / "in" / name(0))


def test_two_videos_in_one_folder(tmp_path):
    content = {f"cam{c}_{t:03d}_keypoints.json": video((1,))[name(0)] for c in (1, 2) for t in (0,)}
    with pytest.raises(InputError, match="cam1_000.* and cam2_000.* are both frame 0"):
        formats.read(save(tmp_path / "in", content))


def test_a_folder_without_frames(tmp_path):
    (tmp_path / "notes.json").write_text('{"people": "none"')
    assert formats.FORMATS["openpose"].sniff(tmp_path)
    (tmp_path / "notes.json").write_text('{"title": 1}')
    with pytest.raises(InputError, match="a folder without frames"):
        formats.read(tmp_path)


# --- shares of the picture ------------------------------------------------------------------------

CANVAS = Path(__file__).parent / "cases" / "08-openpose-shares-of-the-picture" / "frames"


def first_pose(folder):
    (first, *_) = load(folder).values()
    return np.reshape(first["people"][0]["pose_keypoints_2d"], (-1, 3))


def test_shares_of_a_canvas(tmp_path):
    """ControlNet's."""
    (sequence,) = file = formats.read(CANVAS)
    shares = first_pose(CANVAS)
    np.testing.assert_allclose(sequence.keypoints[0], shares[:, :2] * [1280, 720])
    assert file.shares_of == (1280, 720) and len(file.notes) == 1  # who is who
    assert formats.read(CANVAS, image_size=(1280, 720)).notes == file.notes
    formats.write(file, tmp_path / "same")
    assert load(tmp_path / "same") == load(CANVAS)
    keypoints = sequence.keypoints.copy()
    keypoints[0, 4] = 128.0, 72.0
    longer = sequence.replace(keypoints=keypoints)
    formats.write(file.replace([longer]), tmp_path / "out")
    after = first_pose(tmp_path / "out")
    assert after[4].tolist() == [0.1, 0.1, 1.0]
    after[4] = shares[4]
    np.testing.assert_array_equal(after, shares)


def test_a_new_frame_has_the_canvas(tmp_path, with_frames):
    (sequence,) = file = formats.read(CANVAS)
    formats.write(file.replace([with_frames(sequence, [8])]), tmp_path / "out")
    *_, last = load(tmp_path / "out").values()
    assert (last["canvas_width"], last["canvas_height"]) == (1280, 720) and "version" not in last
    assert last["people"][0]["pose_keypoints_2d"][:2] == [0.00547, 0.00972]


def test_shares_of_a_picture_whose_size_the_user_says(reading, tmp_path):
    """OpenPose's --keypoint_scale 3."""
    content = {
        name: {key: frame[key] for key in ("people",)} | {"version": 1.3}
        for name, frame in load(CANVAS).items()
    }
    (sequence,) = file = reading(content, image_size=(640, 480))
    np.testing.assert_allclose(sequence.keypoints[0], first_pose(CANVAS)[:, :2] * [640, 480])
    formats.write(file, tmp_path / "out")
    assert load(tmp_path / "out") == content
    file = reading(content)
    assert file.shares_of == (1920, 1080) and any("unknown size" in note for note in file.notes)


def test_what_is_in_pixels_stays_so_whatever_the_canvas(reading):
    content = {
        name: frame | {"canvas_width": 1280, "canvas_height": 720}
        for name, frame in video().items()
    }
    file = reading(content)
    assert file.shares_of is None
    np.testing.assert_array_equal(file[0].keypoints, reading(video())[0].keypoints)
    notes = reading(content, image_size=(1280, 720)).notes
    assert "--image-size changes nothing: the coordinates are no shares of a picture" in notes


def test_shares_around_the_middle_are_refused(reading):
    content = load(CANVAS)
    for frame in content.values():
        values = np.reshape(frame["people"][0]["pose_keypoints_2d"], (-1, 3))
        values[:, :2] = 2 * (values[:, :2] - values[:, :2].mean(0))
        frame["people"][0]["pose_keypoints_2d"] = values.ravel().tolist()
    with pytest.raises(InputError, match="--keypoint_scale 4"):
        reading(content)
# --- other wrappings ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["comfy.json", "lists", "object"])
def test_what_other_programs_write(name, tmp_path, with_frames):
    (sequence,) = file = formats.read(CASES / name)
    assert (file.format, sequence.skeleton, len(sequence)) == ("openpose", "coco18", 8)
    np.testing.assert_array_equal(sequence.keypoints[0, [0, 13]], [[330.64, 226], [308.25, 579.7]])
    out = tmp_path / name
    formats.write(file, out)
    files = [out] if out.is_file() else sorted(out.iterdir())
    for path in files:
        old = CASES / name if out.is_file() else CASES / name / path.name
        assert json.loads(path.read_text()) == json.loads(old.read_text())
    frame = int(sequence.frames[-1]) + 2
    formats.write(file.replace([with_frames(sequence, [frame])]), out)
    again = {frame for sequence in formats.read(out) for frame in sequence.frames.tolist()}
    assert again == {*sequence.frames.tolist(), frame}


FRAMES = [
    {"people": [someone("coco18", p, t, person_id=[p]) for p in range(count)], "canvas_width": 900}
    for t, count in enumerate((1, 0, 2))
]


@pytest.mark.parametrize(
    "wrap",
    [
        list,
        lambda frames: {"version": 2, "frames": frames},
        lambda frames: [[frame] for frame in frames],
        lambda frames: [{"frame_id": 3 * t} | frame for t, frame in enumerate(frames)],
    ],
    ids=["list", "key", "lists", "numbers"],
)
def test_frames_in_one_file(wrap, tmp_path, with_frames):
    path, out = tmp_path / "in.json", tmp_path / "out.json"
    content = wrap(FRAMES)
    path.write_text(json.dumps(content))
    file = formats.read(path)
    assert [len(sequence) for sequence in file] == [2, 1]
    formats.write(file, out)
    assert json.loads(out.read_text()) == content
    step = int(file[0].frames[1]) // 2
    longer = with_frames(file[0], [step, 5 * step])
    formats.write(file.replace([longer, file[1]]), out)
    after = json.loads(out.read_text())
    assert type(after) is type(content)
    (again, _) = formats.read(out)
    assert again.frames.tolist() == [0, step, 2 * step, 5 * step]
    np.testing.assert_array_equal(again.keypoints, longer.keypoints)


def with_one_more(sequence, frame):
    """With one more frame, in which all joints are somewhere else."""
    frames = np.append(sequence.frames, frame)
    keypoints = np.concatenate([sequence.keypoints, sequence.keypoints[:1] + 3.5])
    order = np.argsort(frames)
    scores = np.concatenate([sequence.scores, sequence.scores[:1]])
    return PoseSequence(
        keypoints[order], scores[order], None, sequence.skeleton, frames[order], sequence.person
    )


BLANK = (None, {}, [], [None], {"people": None}, {"version": 1.3})


@pytest.mark.parametrize("blank", BLANK)
@pytest.mark.parametrize("keys", [(), ("frame",)])
def test_a_blank_frame_of_a_list_is_one_without_anyone(blank, keys, tmp_path):
    content = [{"people": [someone(frame=t)]} | {key: 5 + t for key in keys} for t in range(4)]
    content[1:3] = [blank, blank]
    first = 5 if keys else 0
    (tmp_path / "in.json").write_text(json.dumps(content))
    (sequence,) = file = formats.read(tmp_path / "in.json")
    assert file.format == "openpose" and sequence.frames.tolist() == [first, first + 3]
    formats.write(file, tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == content
    longer = with_one_more(sequence, first + 1)
    formats.write(file.replace([longer]), tmp_path / "out.json")
    after = json.loads((tmp_path / "out.json").read_text())
    assert len(after) == 4 and after[2] == blank and after[0] == content[0]
    (again,) = formats.read(tmp_path / "out.json")
    assert again.frames.tolist() == [first, first + 1, first + 3]
    np.testing.assert_allclose(again.keypoints, longer.keypoints, atol=1e-4)


def test_a_list_may_begin_with_blank_frames(tmp_path):
    for content in ([None, {}, *FRAMES], {"poses": [None, *FRAMES]}):
        (tmp_path / "in.json").write_text(json.dumps(content))
        file = formats.read(tmp_path / "in.json")
        assert file.format == "openpose" and file[0].frames[0] > 0
        formats.write(file, tmp_path / "out.json")
        assert json.loads((tmp_path / "out.json").read_text()) == content


@pytest.mark.parametrize("blank", BLANK)
def test_a_blank_file_of_a_folder_is_a_frame_without_anyone(blank, tmp_path):
    content = video((1, 1, 1)) | {name(1): blank}
    save(tmp_path / "in", content)
    (sequence,) = file = formats.read(tmp_path / "in")
    assert sequence.frames.tolist() == [0, 2]
    formats.write(file, tmp_path / "out")
    assert load(tmp_path / "out") == content
    longer = with_one_more(sequence, 1)
    formats.write(file.replace([longer]), tmp_path / "out")
    after = load(tmp_path / "out")
    assert after[name(0)] == content[name(0)] and after[name(1)]["version"] == 1.3
    (again,) = formats.read(tmp_path / "out")
    np.testing.assert_allclose(again.keypoints, longer.keypoints, atol=1e-4)


def test_a_folder_of_files_of_frames_is_none_of_frames(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.json").write_text(json.dumps(FRAMES))
    assert not formats.holds_frames(tmp_path)
    (tmp_path / "a.json").write_text(json.dumps(FRAMES[:1]))
    assert formats.holds_frames(tmp_path)


def test_a_new_file_of_frames(tmp_path):
    sequence = PoseSequence(np.ones((2, 18, 2)), None, None, "coco18", [1, 3], 2)
    formats.write([sequence], tmp_path / "out.json", "openpose")
    frames = json.loads((tmp_path / "out.json").read_text())
    assert [len(frame["people"]) for frame in frames] == [0, 1, 0, 1]
    assert formats.read(tmp_path / "out.json")[0].frames.tolist() == [1, 3]
    with pytest.raises(InputError, match="a list of frames has places 0 to"):
        formats.write([sequence.replace(frames=[-1, 3])], tmp_path / "out.json", "openpose")


@pytest.mark.parametrize(
    "content, message",
    [
        ([*FRAMES, 5], "in.json: frame 3 has no list of people"),
        ([FRAMES[0], {"people": [{"pose_keypoints_2d": [1]}]}], "frame 1: person 0: .*x, y, score"),
        (FRAMES[0], "one frame of OpenPose; give the folder"),
    ],
)
def test_a_file_of_frames_gone_wrong(content, message, tmp_path):
    (tmp_path / "in.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        formats.read(tmp_path / "in.json")
