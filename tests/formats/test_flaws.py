"""A good file with a few flaws: holes and one line that counts them, whatever the format."""

import json

import numpy as np
import pytest

from posegan_jax import cli, formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseFile, PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

SIZE = (1920.0, 1080.0)
FRAMES, JOINT = 24, get_skeleton("coco17").index("left_wrist")
NAN, ABSURD = 5, 9  # frames in which this joint is spoilt
TEXT = sorted(set(formats.FORMATS) - {"npz", "arrays", "movement", "openpose", "yolo", "hdf5"})
TABLES = ("csv", "deeplabcut", "sleap", "trc", "wide")
ALONE = {"trc"}  # formats of one person
NUMBERED = set(TEXT) - {"ultralytics", "objects"}  # formats whose frames have numbers


def people(count=2):
    """Two bodies that stand apart and move a little, every coordinate another one."""
    rng = np.random.default_rng(0)
    body = rng.uniform([200, 100], [400, 600], (17, 2))
    steps = np.arange(FRAMES)[:, None, None] * [2.0, 1.0]
    keypoints = [
        (body + [600 * i, 0] + steps + rng.normal(0, 2, (FRAMES, 17, 2))).round(4)
        for i in range(count)
    ]
    return [PoseSequence(k, np.full(k.shape[:2], 0.9), 25, "coco17", None, i)
            for i, k in enumerate(keypoints)]


@pytest.fixture(params=sorted(formats.FORMATS))
def name(request):
    if request.param == "movement":
        pytest.importorskip("h5netcdf")
        pytest.importorskip("xarray")
    if request.param == "hdf5":
        pytest.importorskip("h5py")
    return request.param


@pytest.fixture
def clean(name, tmp_path):
    path = tmp_path / f"in-{name}"
    write(people(1 if name in ALONE else 2), path, name)
    return path


def write(sequences, path, name):
    """Into a new file; YOLO's labels need the picture's size, and have few digits."""
    formats.write(PoseFile(tuple(sequences), image_size=SIZE), path, format=name)


def places(file):
    """(frame, person, joint) -> x, y of what is there."""
    return {
        (frame, sequence.person, joint): tuple(sequence.keypoints[t, k])
        for sequence in file for t, frame in enumerate(sequence.frames.tolist())
        for k, joint in enumerate(get_skeleton(sequence.skeleton).joints)
        if sequence.observed[t, k]
    }


def spoil(path, name, new, frame, person=0):
    """Puts a number in the place of x of a joint."""
    if name == "npz":
        with np.load(path) as data:
            arrays = dict(data)
        arrays[f"{person}/keypoints"][frame, JOINT, 0] = float(new)
        with open(path, "wb") as handle:
            np.savez(handle, **arrays)
        return
    if name == "arrays":
        values = np.load(path)
        values[person, frame, JOINT, 0] = float(new)
        with open(path, "wb") as handle:
            np.save(handle, values)
        return
    if name == "hdf5":
        import h5py

        with h5py.File(path, "r+") as handle:
            handle["tracks"][person, 0, JOINT, frame] = float(new)
        return
    if name == "movement":
        import xarray

        data = xarray.load_dataset(path, engine="h5netcdf", decode_times=False)
        data["position"].values[frame, 0, JOINT, person] = float(new)
        data.to_netcdf(path, engine="h5netcdf")
        return
    x = people()[person].keypoints[frame, JOINT, 0].item()
    x = round(x / 1920, 9) if name == "mediapipe" else x
    if name == "yolo":
        path = path / f"frame_{frame:06d}.txt"
        lines = [line.split() for line in path.read_text().splitlines()]
        lines[person][5 + 3 * JOINT] = new
        path.write_text("".join(" ".join(line) + "\n" for line in lines))
        return
    if name == "openpose":
        path = path / f"frame_{frame:012d}_keypoints.json"
    text = path.read_text()
    assert text.count(repr(x)) == 1
    path.write_text(text.replace(repr(x), new))


def said(path, before):
    """What is told in addition."""
    return [note for note in formats.read(path).notes if note not in before]


@pytest.mark.parametrize("new", ["NaN", "1e30", "-Infinity", "1" + "0" * 400])
def test_numbers_that_are_none_are_holes(name, clean, new):
    if name in ("movement", "arrays", "hdf5") and len(new) > 99:
        pytest.skip("an array has no such number")
    before = formats.read(clean)
    spoil(clean, name, new, NAN)
    spoil(clean, name, new, ABSURD)
    after = formats.read(clean)
    joint = "left_wrist"
    if name == "arrays":  # in which nothing says which joint is which
        joint = get_skeleton(before[0].skeleton).joints[JOINT]
    expected = places(before)
    person = before[0].person
    for frame in (NAN, ABSURD):
        del expected[frame, person, joint]
    assert places(after) == expected
    more = said(clean, before.notes)
    # NaN is how tables and arrays say that a joint is missing; a sequence takes infinity for it.
    arrays = "npz", "movement", "arrays", "hdf5"
    silent = new == "NaN" and name in (*TABLES, *arrays) or name == "npz" and new != "1e30"
    assert len(more) == (0 if silent else 1) and all("2" in note for note in more)


def again(path, name, frame):
    """Writes a frame's rows or objects a second time."""
    if name in TABLES:
        lines = path.read_text().splitlines(keepends=True)
        rows = [
            line for line in lines
            if str(frame) == line.replace("\t", ",").split(",")[1 if name == "sleap" else 0]
        ]
        assert rows
        path.write_text("".join(lines) + "".join(rows))
        return
    content = json.loads(path.read_text())
    if name == "alphapose":
        content += [dict(item) for item in content if item["image_id"] in (frame, f"{frame}.jpg")]
    elif name == "coco":
        ids = [i["id"] for i in content["images"] if i["file_name"] == f"{frame}.jpg"]
        content["annotations"] += [dict(a) for a in content["annotations"] if a["image_id"] in ids]
    elif name == "mmpose":
        content["instance_info"] += [e for e in content["instance_info"] if e["frame_id"] == frame]
    elif name == "mediapipe":
        content["frames"] += [e for e in content["frames"] if e["frame"] == frame]
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("name", sorted(NUMBERED), indirect=True)
def test_a_frame_that_is_there_twice(name, clean, tmp_path):
    before = formats.read(clean)
    again(clean, name, NAN)
    after = formats.read(clean)
    assert places(after) == places(before)
    assert len(said(clean, before.notes)) == 1
    formats.write(after, tmp_path / "out", format=name)
    assert places(formats.read(tmp_path / "out")) == places(before)


@pytest.mark.parametrize(
    "name", ["alphapose", "openpose", "coco", "mmpose", "ultralytics"], indirect=True
)
def test_people_detected_twice(name, clean):
    """A second detection, a little aside and less sure; with ids and without."""
    before = formats.read(clean)
    path = clean / f"frame_{NAN:012d}_keypoints.json" if name == "openpose" else clean
    content = json.loads(path.read_text())
    lists = {
        "alphapose": lambda c: (c, lambda i: i["image_id"] in (NAN, f"{NAN}.jpg")),
        "coco": lambda c: (c["annotations"], lambda i: i["image_id"] == c["images"][NAN]["id"]),
        "openpose": lambda c: (c["people"], lambda i: True),
        "ultralytics": lambda c: (c[NAN], lambda i: True),
        "mmpose": lambda c: (c["instance_info"][NAN]["instances"], lambda i: True),
    }
    items, here = lists[name](content)
    worse = {"score": 0.1, "confidence": 0.1, "bbox_score": 0.1}
    items += [
        nudged(item) | {key: value for key, value in worse.items() if key in item}
        for item in items if here(item)
    ]
    path.write_text(json.dumps(content))
    after = formats.read(clean)
    assert places(after) == places(before)
    (note,) = said(clean, before.notes)
    assert note.startswith("2 second detections of a person in one frame")


def nudged(item):
    """The same with all coordinates half a pixel further."""
    def move(value):
        if isinstance(value, dict):
            return {k: move(v) if k in "xy" else v for k, v in value.items()}
        if isinstance(value, list):
            return [move(v) for v in value]
        return value + 0.5 if value > 50 else value - 0.001

    keys = ("keypoints", "pose_keypoints_2d")
    return {k: move(v) if k in keys else v for k, v in item.items()}


def test_all_flaws_together_are_one_line(name, clean):
    if name not in NUMBERED:
        pytest.skip("frames cannot be there twice")  # or have no numbers
    before = formats.read(clean).notes
    spoil(clean, name, "NaN", NAN)
    spoil(clean, name, "-1e7", ABSURD)
    again(clean, name, 12)
    assert len(said(clean, before)) == 1


def test_nothing_usable_is_an_error(name, tmp_path):
    path = tmp_path / "in"
    count = 1 if name in ALONE else 2
    far = [s.replace(keypoints=s.keypoints + 2e6) for s in people(count)]
    write(far, path, name)
    if name in ("npz", "mediapipe", "yolo"):  # shares of it are no absurd numbers
        return
    with pytest.raises(InputError) as caught:
        formats.read(path)
    line = str(caught.value)
    assert line.startswith(f"{path}") and "\n" not in line
    assert any(word in line for word in ("not one joint", "nothing to use", "--min-score"))


# --- folders and files that hold the wrong things -------------------------------------------------


def frame(joints=25, count=1):
    body = people(1)[0].keypoints[0]
    body = np.resize(body, (joints, 2)).round(1)
    values = np.column_stack([body, np.full(joints, 0.9)]).ravel().tolist()
    return {"people": [{"pose_keypoints_2d": values}] * count}


def folder_of(path, **files):
    path.mkdir()
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (path / f"{name}_keypoints.json").write_text(text)
    return path


WRONG = {
    "empty file": ("", "the file is empty"),
    "nobody but spaces": (" \n", "the file is empty"),
    "joints that nobody has": (
        [{"image_id": 0, "keypoints": [50.0, 60.0, 0.9] * 19}],
        "no known skeleton has 19 joints; .*--joint-map",
    ),
    "joints of two kinds": (
        [{"image_id": t, "keypoints": [50.0, 60.0, 0.9] * (26 if t == 2 else 17)}
         for t in range(4)],
        "frame 2 has someone with 26 joints where others have 17; .*split",
    ),
    "folder of two kinds": (
        {"a_0": frame(), "a_1": frame(18), "a_2": frame()},
        "frame 1 has someone with 18 joints where others have 25; .*split",
    ),
    "folder with another file": (
        {"a_0": frame(), "a_1": [{"image_id": 0}]}, "a_1_keypoints.json: has no list of people",
    ),
    "folder with an empty file": ({"a_0": frame(), "a_1": ""}, "a_1_.*: the file is empty"),
    "folder with a file that is cut off": (
        {"a_0": frame(), "a_1": '{"people": [{"pose'}, "a_1_.*line 1, column 14.* cut off",
    ),
    "folder of two videos": (
        {"a_1": frame(), "b_1": frame()}, "a_1_.* and b_1_.* are both frame 1; .*one video",
    ),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("output", ["out.npz", "out.json", "out"])
def test_the_wrong_files_end_in_one_line_and_nothing_is_written(case, output, tmp_path, capsys):
    content, message = WRONG[case]
    path = tmp_path / "in"
    if isinstance(content, dict):
        folder_of(path, **content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    here = {p.name for p in tmp_path.iterdir()}
    assert cli.main(["convert", str(path), str(tmp_path / output)]) == 2
    said = capsys.readouterr().err
    with pytest.raises(InputError, match=message):
        formats.read(path)
    assert said.count("\n") == 1 and str(path) in said
    assert {p.name for p in tmp_path.iterdir()} == here
