"""Which format reads and writes a file."""

import builtins
import json
import math

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseFile, PoseSequence

DETECTIONS = [
    {"image_id": f"{frame}.jpg", "keypoints": [1.0 + frame, 2.0, 0.9] * 17, "idx": 1, "extra": 5}
    for frame in range(3)
]
SEQUENCE = PoseSequence(np.ones((2, 17, 2)))


@pytest.fixture
def detections(tmp_path):
    path = tmp_path / "in.json"
    path.write_text(json.dumps(DETECTIONS))
    return path


def load(path):
    return json.loads(path.read_text())


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.txt", "a", "a.npz", "alphapose-results.JSON"])
def test_the_content_decides_which_format_reads(name, detections, tmp_path):
    path = detections.rename(tmp_path / name)
    assert formats.read(path).format == "alphapose"
    formats.write([SEQUENCE], tmp_path / "b.npz")
    other = (tmp_path / "b.npz").rename(tmp_path / "b.json")
    assert formats.read(str(other)).format == "npz"


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf \n", "the file is empty"),
        (b"[", "not valid JSON (line 1, column 2, character 1: Expecting value); {cut}"),
        (b'[{"image_id": 1, "keypo', "character 17: Unterminated string starting at); {cut}"),
        (b'[{"keypoints": [1.5, 2.', "column 23, character 22: Expecting ',' delimiter); {cut}"),
        (b'{"a": [1,\n 2.5e-', "(line 2, column 5, character 14: Expecting ',' delimiter); {cut}"),
        (b'[{"a": nul', "character 7: Expecting value); {cut}"),
        (b'["\xc3', "not UTF-8 text at byte 2; {cut}"),
        (b'["\xff"]', "not UTF-8 text at byte 2"),
        (b'[{"a" 1}, {"b": 2}]', "character 6: Expecting ':' delimiter)"),
        (b"{}", "valid JSON, an object without keys, but {unknown}"),
        (b"[1, 2]", "valid JSON, a list of other things than objects, but {unknown}"),
        (b"[[], []]", "valid JSON, without any object, but {unknown}"),
        (b'{"image_id": 1, "keypoints": []}', "of the keys image_id, keypoints, but {unknown}"),
        (b'[[], [{"image_id": 1}]]', "a list with objects of the keys image_id, but {unknown}"),
        (b"PK\x05\x06" + b"\0" * 18, "a binary file, {unknown}"),
        (b"PK\x03\x04 [Content_Types].xml", "a spreadsheet (save it as CSV), {unknown}"),
        (b"\x80\x04\x95", "a pickle, which may run any program when it is read (save what is in it "
         "otherwise), {unknown}"),
        ("frame,x,y\n".encode("utf-16"), "text in UTF-16 (save it as UTF-8), {unknown}"),
        (b"frame,x\n", "a text file, {unknown}"),
        (b"frame,x,y\n", "a table whose first line is frame, x, y: no names of columns as nose_x, "
         "nose_y, or frame, joint, x, y, {unknown}"),
        (b"frame;nose_x;nose_y;a_x;a_y\n0;1,5;2;3;4\n", "a table with x and y of nose, a: fewer "
         "than three joints that are known by their names; --joint-map says which they are, "
         "{unknown}"),
        (b'{"a": 1}\n{"a": 2}\n', "Extra data); a file holds one value: of JSON lines make one "
         "list"),
    ],
)
def test_what_no_format_knows(content, message, tmp_path):
    path = tmp_path / "in.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        formats.read(path)
    unknown = f"not a known format; known: {', '.join(formats.FORMATS)}"
    message = message.format(cut="the file seems cut off: write or copy it again", unknown=unknown)
    said = str(caught.value)
    assert said.startswith(f"{path}: ") and said.endswith(message) and "\n" not in said


def test_other_programs_npz_files(tmp_path):
    np.savez(tmp_path / "a.npz", keypoints=np.zeros(3))
    with pytest.raises(InputError, match=r"no array of \(frames, joints, .*keypoints \(3,\)"):
        formats.read(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", format=np.array("theirs"))
    with pytest.raises(InputError, match="a.npz: .*not one of posegan's"):
        formats.read(tmp_path / "a.npz")


def test_no_such_file(tmp_path):
    with pytest.raises(InputError) as caught:
        formats.read(tmp_path / "nowhere.json")
    assert str(caught.value) == f"{tmp_path / 'nowhere.json'}: no such file"


@pytest.mark.parametrize(
    "files, message",
    [
        ({}, "there is no file in it"),
        ({"a.mp4": "", "b.mp4": "", "c": ""}, "it holds 2 .mp4 files, 1 other files, and only"),
        ({"a.json": "[]", "b.txt": ""}, "none of its 1 .json files has a list of people"),
    ],
)
def test_a_folder_without_frames(files, message, tmp_path):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=f"{tmp_path}: a folder without frames: {message}"):
        formats.read(tmp_path)


def test_a_file_that_may_not_be_read(detections, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(builtins, "open", refuse)  # root may read anything
    with pytest.raises(InputError, match=f"cannot read {detections}: Permission denied"):
        formats.read(detections)


@pytest.mark.parametrize("fps", [0, -1, float("nan")])
def test_a_frame_rate_that_is_none(fps, detections):
    with pytest.raises(InputError, match="fps must be positive"):
        formats.read(detections, fps=fps)


# --- writing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, format, expected",
    [
        ("a.json", None, "alphapose"), ("a.JSON", None, "alphapose"), ("a.npz", None, "npz"),
        ("a.json", "npz", "npz"), ("a.npz", "alphapose", "alphapose"), ("a", "npz", "npz"),
        ("a.xyz", "alphapose", "alphapose"),
    ],
)
def test_the_suffix_decides_which_format_is_written_unless_it_is_named(
    name, format, expected, tmp_path
):
    formats.write([SEQUENCE], tmp_path / name, format)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert formats.read(tmp_path / name).format == expected


def test_a_suffix_that_is_not_the_format_s_is_told(detections):
    file = formats.read(detections)
    for name, format, said in (
        ("a.csv", "alphapose", ["a.csv is in the format alphapose, whose files end in .json"]),
        ("a.trc", "csv", ["a.trc is in the format csv, whose files end in .csv or .tsv"]),
        ("a.JSON", "alphapose", []), ("a", "npz", []), ("a.d", "openpose", []), ("a.csv", None, []),
    ):
        notes = formats.converted(file, name, format).notes
        assert [note for note in notes if "whose files end in" in note] == said


def test_any_iterable_of_sequences(tmp_path):
    formats.write((s for s in (SEQUENCE, SEQUENCE)), str(tmp_path / "a.npz"))
    assert len(formats.read(tmp_path / "a.npz")) == 2


def test_a_files_own_suffix_keeps_its_format(detections, tmp_path):
    path = detections.rename(tmp_path / "in.results")
    formats.write(formats.read(path), tmp_path / "out.results")
    assert load(tmp_path / "out.results") == DETECTIONS
    with pytest.raises(InputError, match="no format for this suffix"):
        formats.write(formats.read(path), tmp_path / "out.others")
    formats.write(formats.read(path), tmp_path / "out.json")
    assert load(tmp_path / "out.json") == DETECTIONS


def test_from_one_format_to_the_other(detections, tmp_path):
    file = formats.read(detections)
    formats.write(file, tmp_path / "out.npz")
    between = formats.read(tmp_path / "out.npz")
    for name in ("keypoints", "scores", "frames", "provenance"):
        np.testing.assert_array_equal(getattr(between[0], name), getattr(file[0], name))
    formats.write(between, tmp_path / "out.json")
    assert [record["keypoints"] for record in load(tmp_path / "out.json")] == [
        record["keypoints"] for record in DETECTIONS
    ]
    assert not any("extra" in record for record in load(tmp_path / "out.json"))


def test_the_source_of_one_format_means_nothing_to_another(tmp_path):
    file = PoseFile((SEQUENCE,), "npz", "a.npz", source="nothing that AlphaPose wrote")
    formats.write(file, tmp_path / "a.json")
    assert len(load(tmp_path / "a.json")) == 2


@pytest.mark.parametrize("name", ["a.doc", "a", "json"])
def test_a_suffix_that_stands_for_nothing(name, tmp_path):
    with pytest.raises(InputError) as caught:
        formats.write([SEQUENCE], tmp_path / name)
    assert str(caught.value) == (
        f"{tmp_path / name}: no format for this suffix; use one of .json, .npz, .npy, .csv, .trc, "
        ".nc"
    )
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_file_name(tmp_path):
    (tmp_path / "results").mkdir()
    with pytest.raises(InputError, match=f"{tmp_path}/results is a folder; give a file name"):
        formats.write([SEQUENCE], tmp_path / "results")


def test_a_format_that_there_is_not(tmp_path):
    with pytest.raises(InputError, match="unknown format 'doc'; known: objects, "):
        formats.write([SEQUENCE], tmp_path / "a.json", format="doc")
    with pytest.raises(InputError, match="unknown format 'doc'"):
        formats.write(PoseFile((SEQUENCE,), "doc", "a.doc"), tmp_path / "b.doc")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options, message",
    [
        ({"fps": math.nan}, "fps must be positive and finite, not nan"),
        ({"fps": math.inf}, "fps must be positive and finite, not inf"),
        ({"min_score": math.nan}, "min_score must be a number, not nan"),
        ({"joint_map": "nope"}, "nope: no such joint map"),
    ],
)
def test_options_that_no_file_can_be_read_with(options, message, tmp_path):
    formats.write([SEQUENCE], tmp_path / "a.npz")
    for look in (formats.check_reading, lambda **options: formats.read(tmp_path / "a.npz",
                                                                       **options)):
        with pytest.raises(InputError, match=message):
            look(**options)


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_nowhere_to_write_to(suffix, tmp_path):
    path = tmp_path / "nowhere" / f"a{suffix}"
    with pytest.raises(InputError, match=f"cannot write {path}: no such folder"):
        formats.write([SEQUENCE], path)
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    with pytest.raises(InputError, match=f"{folder} is a folder; give a file name"):
        formats.write([SEQUENCE], folder)
    assert list(tmp_path.iterdir()) == [folder] and not list(folder.iterdir())


# --- options without effect -----------------------------------------------------------------------


def test_an_option_that_changes_nothing_says_so(reading):
    content = [{"image_id": t, "idx": 1, "keypoints": [100.0 + t, 200.0, 1.0] * 17}
               for t in range(3)]
    assert reading(content).notes == ()
    assert reading(content, min_score=0.5).notes == (
        "--min-score changes nothing: no joint has another score than 1",
    )
    assert "--image-size changes nothing" in reading(content, image_size=(150, 300)).notes[0]
    assert not reading(content, seen_in=(150, 300)).notes  # no option
    content[0]["keypoints"][2] = 0.25
    assert reading(content, min_score=0.5).notes == ()
    shares = [{"image_id": t, "idx": 1, "keypoints": [0.8 + t / 99, 0.5, 1.0] * 17}
              for t in range(3)]
    for size in ("image_size", "seen_in"):
        (sequence,) = file = reading(shares, **{size: (640, 480)})
        assert file.shares_of == (640, 480) and file.notes == ()
        assert sequence.keypoints[0, 0].tolist() == [512.0, 240.0]
    (note,) = reading(shares).notes
    assert "--image-size WIDTHxHEIGHT makes pixels of them" in note


def test_ids_of_trackers_in_lists_of_results(reading, writing):
    content = [
        {"image_id": t, "track_id": p, "keypoints": [100.0 * p + t, 200.0, 0.9] * 17, "mood": 1}
        for t in range(3) for p in (4, 7)
    ]
    file = reading(content)
    assert [s.person for s in file] == [4, 7]
    assert file.notes == ("keys that are not used: mood",)
    assert writing(file) == content
