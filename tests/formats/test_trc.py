"""TRC files: markers in space or in the picture, header and units kept."""

from pathlib import Path

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "detections"
TEXT = """\
PathFileType\t4\t(X/Y/Z)\twalk.trc
DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames
50\t50\t3\t3\tmm\t50\t1\t3
Frame#\tTime\tNose\t\t\tLAnkle\t\t\tRAnkle\t\t
\t\tX1\tY1\tZ1\tX2\tY2\tZ2\tX3\tY3\tZ3

1\t0.02\t10.50\t1700\t5\t20\t100\t6\t30\t110\t7
2\t0.04\t11\t1701\t5\t\t\t\t31\t111\t7
4\t0.08\t12\t1702\t5\t22\t102\t6\tNaN\tNaN\tNaN
"""
FLAT = TEXT.replace("\t5\t", "\t0\t").replace("\t6\t", "\t0\t").replace("\t7\n", "\t0.0\n")


@pytest.fixture(params=["Balancing_for_IK", "Standing_for_Scaling"])
def real(request):
    path = SHARED / "openpose_body25b_4cams" / f"{request.param}.trc"
    if not path.exists():
        pytest.skip(f"needs {path}")
    return path


@pytest.fixture
def reading(tmp_path):
    def read(text, **options):
        (tmp_path / "in.trc").write_text(text)
        return formats.read(tmp_path / "in.trc", **options)

    return read


@pytest.fixture
def writing(tmp_path):
    def write(file):
        formats.write(file, tmp_path / "out.trc")
        return (tmp_path / "out.trc").read_text()

    return write


def rows(text):
    return [line.split("\t") for line in text.splitlines()]


def test_real_files_come_back_the_same(real, writing):
    file = formats.read(real)
    assert file[0].fps == 60 and file[0].observed.mean() > 0.99
    names = file[0].skeleton.removeprefix("joints:").split(",")
    y = np.nanmean(file[0].keypoints[..., 1], 0)
    # Metres, y down: the head stands about a metre and a half above the heels.
    assert 1 < y[names.index("left_heel")] - y[names.index("nose")] < 2
    assert writing(file) == real.read_text()


def test_a_real_file_with_a_hole_filled(real, writing):
    file = formats.read(real)
    keypoints = file[0].keypoints.copy()
    keypoints[3, 2] = [0.25, -0.5]
    after, before = rows(writing(file.replace([file[0].replace(keypoints=keypoints)]))), rows(
        real.read_text()
    )
    different = [i for i, (a, b) in enumerate(zip(after, before, strict=True)) if a != b]
    assert len(different) == 1
    assert sum(a != b for a, b in zip(after[different[0]], before[different[0]], strict=True)) == 2
    assert {"0.25", "0.5"} < set(after[different[0]])


def test_markers_in_space_are_seen_from_z(reading):
    file = reading(TEXT)
    (person,) = file
    assert (file.format, person.fps, person.person) == ("trc", 50, None)
    assert person.skeleton == "joints:nose,left_ankle,right_ankle"
    assert person.frames.tolist() == [1, 2, 4]
    np.testing.assert_array_equal(person.keypoints[0], [[10.5, -1700], [20, -100], [30, -110]])
    assert person.observed.tolist() == [[True] * 3, [True, False, True], [True, True, False]]
    assert file.notes == (
        "X and Y are read as the picture, in the file's own units (mm)",
        "the markers are in space: their Z stays, and a filled joint has none",
        "Y points up and is turned over",
    )


def test_y_points_down_where_the_head_is_on_top_so(reading):
    text = TEXT.replace("\t1700\t", "\t17\t").replace("\t1701\t", "\t17\t").replace("1702", "17")
    file = reading(text)
    assert file[0].keypoints[0, 0].tolist() == [10.5, 17]
    assert "Y points up and is turned over" not in file.notes
    assert reading(text.replace("LAnkle", "LWrist").replace("RAnkle", "RWrist"))[0].keypoints[
        0, 0
    ].tolist() == [10.5, -17]


@pytest.mark.parametrize(
    "text", [TEXT, FLAT, TEXT.replace("\n", "\r\n"), TEXT.replace("\n\n", "\n")]
)
def test_what_is_not_changed_comes_back_as_it_was(text, tmp_path):
    (tmp_path / "in.trc").write_bytes(text.encode())
    formats.write(formats.read(tmp_path / "in.trc"), tmp_path / "out.trc")
    assert (tmp_path / "out.trc").read_bytes() == text.encode()


def filled(person):
    """Frames 1 to 4, every joint, those that were there unchanged."""
    keypoints = np.full((4, 3, 2), [1.5, -2.5])
    at = person.frames - 1
    keypoints[at] = np.where(person.observed[..., None], person.keypoints, keypoints[at])
    return person.replace(
        keypoints=keypoints, frames=[1, 2, 3, 4], scores=None, provenance=None
    )


@pytest.mark.parametrize("text, z", [(TEXT, ""), (FLAT, "0.0")])
def test_filled_joints_and_frames(text, z, reading, writing):
    file = reading(text)
    after = rows(writing(file.replace([filled(file[0])])))
    expected = rows(text)
    expected[2][2] = expected[2][7] = "4"
    expected[7][5:8] = ["1.5", "2.5", z]
    expected[8][8:11] = ["1.5", "2.5", z]
    expected.insert(8, ["3", "0.06", *["1.5", "2.5", z] * 3])
    assert after == expected


def test_a_joint_that_is_taken_away(reading, writing):
    file = reading(TEXT)
    keypoints = file[0].keypoints.copy()
    keypoints[0, 0] = np.nan
    after = rows(writing(file.replace([file[0].replace(keypoints=keypoints)])))
    assert after[6][2:6] == ["", "", "", "20"]


def test_other_joints_keep_units_names_and_depths(reading, writing):
    file = reading(TEXT)
    whole = PoseSequence(
        np.full((2, 28, 2), [3.0, -4.0]), None, 50.0, "mpi_inf_3dhp", [1, 2], None
    )
    after = rows(writing(file.replace([whole])))
    assert after[2] == ["50.0", "50.0", "2", "28", "mm", "50.0", "1", "2"]
    at = after[3].index("LAnkle")
    assert after[5][at : at + 3] == ["3.0", "4.0", "6"]
    assert after[6][at : at + 3] == ["3.0", "4.0", ""]
    assert [row[1] for row in after[5:]] == ["0.02", "0.04"]


def test_from_elsewhere_and_back(reading, writing):
    rng = np.random.default_rng(0)
    keypoints = rng.normal(100, 30, (3, 17, 2))
    keypoints[1, 3] = np.nan
    person = PoseSequence(keypoints, None, 29.97, "coco17", [1, 2, 5])
    text = writing([person])
    assert rows(text)[2] == ["29.97", "29.97", "5", "17", "px", "29.97", "1", "5"]
    assert {row[4] for row in rows(text)[5:]} == {"0.0", ""}
    (again,) = reading(text)
    assert (again.fps, again.skeleton, again.frames.tolist()) == (29.97, "coco17", [1, 2, 5])
    np.testing.assert_array_equal(again.keypoints, keypoints)


@pytest.mark.parametrize(
    "people, message",
    [([], "one person, not 0"), ([PoseSequence(np.ones((1, 17, 2)))] * 2, "one person, not 2"),
     ([PoseSequence(np.ones((1, 17, 2)))], "needs frames per second")],
)
def test_what_a_file_cannot_hold(people, message, writing, tmp_path):
    with pytest.raises(InputError, match=message):
        writing(people)
    assert not list(tmp_path.iterdir())


def test_decisions_are_counted_in_one_line(reading, writing):
    text = TEXT + "4\t0.08\t1\t1\t1" + "\t" * 6 + "\nx\t1" + "\t1" * 9 + "\n5\t1\tabc" + "\t1" * 8
    file = reading(text + "\n")
    assert file[0].frames.tolist() == [1, 2, 4, 5]
    assert file.notes[-1] == (
        "rows without a usable frame number, not read: 1; joints at absurd or unreadable places, "
        "read as holes: 1; rows that repeat a person's frame, left as they are: 1"
    )
    assert writing(file) == text + "\n"


LINES = TEXT.splitlines(keepends=True)


@pytest.mark.parametrize(
    "text, message",
    [
        ("PathFileType\t4\n", "no frames"),
        ("".join(LINES[:5]), "no frames"),
        ("".join(LINES[:3] + LINES[6:]), "line 4 names"),
        (TEXT.replace("\tX3\tY3\tZ3", ""), "line 4 names 3 markers and line 5 has 6"),
        (TEXT.replace("RAnkle", "LAnkle"), "two markers are called 'LAnkle'"),
        (TEXT[:-20], "frame 4 (row 3) has"),
        ("".join(LINES[:6]) + "1\t0.02" + "\t" * 9 + "\n", "nothing to use"),
    ],
)
def test_refused(text, message, reading, tmp_path):
    with pytest.raises(InputError) as caught:
        reading(text)
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / 'in.trc'}: ") and message in line and "\n" not in line


def test_times_that_disagree_with_the_rate_are_told(reading, real):
    told = "the times of its rows are those of 50 frames per second, and 30 counts"
    assert not any("times" in note for note in reading(TEXT).notes)
    other = reading(TEXT.replace("\n50\t50", "\n30\t30"))
    assert other[0].fps == 30 and any(told in note for note in other.notes)
    assert not any("times" in note for note in formats.read(real).notes)


def test_a_rate_that_is_given_and_another_one_in_the_file(reading):
    file = reading(TEXT, fps=25.0)
    assert file[0].fps == 25
    assert any("the file says 50 frames per second, and 25 counts" in note for note in file.notes)
    assert reading(TEXT, fps=50.0).notes == reading(TEXT).notes
