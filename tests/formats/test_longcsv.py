"""Our own table: exact, and lenient to what others write in its manner."""

from pathlib import Path

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.formats.joint_names import resolve
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

CASES = Path(__file__).parent / "cases"
ARRAYS = ("keypoints", "scores", "frames", "provenance")
TEXT = """\
frame,person,joint,x,y
0,1,LKnee,1.5,2
0,1,r knee,3,4
2,1,LKnee,,
"""


def sequence(joints=17, skeleton="coco17", **changes):
    rng = np.random.default_rng(joints)
    keypoints = rng.normal(0, 1e3, (5, joints, 2)) / 3
    keypoints[1, 0] = np.nan
    keypoints[3] = np.nan
    return PoseSequence(
        keypoints, rng.uniform(-1, 2, (5, joints)), 29.97, skeleton, [-4, 0, 1, 9, 2**18], 3,
        rng.integers(0, 5, (5, joints)),
    ).replace(**changes)


def assert_same(a, b):
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), strict=True)
    for name in ("fps", "skeleton", "person"):
        assert getattr(a, name) == getattr(b, name)
        assert type(getattr(a, name)) is type(getattr(b, name))


@pytest.mark.parametrize(
    "changes",
    [{}, {"fps": None}, {"person": None}, {"person": "7"}, {"person": "null"}, {"person": ""},
     {"person": 'anna "ü", b\n'}, {"person": '"7"'}, {"person": -1}],
    ids=str,
)
def test_what_is_written_is_read(changes, tmp_path):
    formats.write([sequence(**changes)], tmp_path / "a.csv")
    file = formats.read(tmp_path / "a.csv")
    assert (file.format, file.notes) == ("csv", ())
    (again,) = file
    assert_same(again, sequence(**changes))


def test_several_people_and_skeletons_of_any_joints(tmp_path):
    listed = resolve(["l_hip", "tail base", "r_hip"], tmp_path).skeleton.name
    written = [
        sequence(3, listed, person=1), sequence(3, listed, person="b", fps=None),
        sequence(person=2), sequence(28, "mpi_inf_3dhp", person=None),
    ]
    formats.write(written, tmp_path / "a.csv")
    for a, b in zip(formats.read(tmp_path / "a.csv"), written, strict=True):
        assert_same(a, b)
    formats.write(written, tmp_path / "a.npz")
    for a, b in zip(formats.read(tmp_path / "a.npz"), written, strict=True):
        assert_same(a, b)


def test_a_table_of_the_fewest_columns(reading, tmp_path):
    file = reading(TEXT)
    (person,) = file
    assert (person.skeleton, person.person, person.fps) == ("joints:left_knee,right_knee", 1, None)
    assert person.frames.tolist() == [0, 2]
    np.testing.assert_array_equal(person.keypoints[0], [[1.5, 2], [3, 4]])
    np.testing.assert_array_equal(person.scores, [[1, 1], [0, 0]])
    columns = list(zip(*(line.split(",") for line in TEXT.splitlines()), strict=True))
    swapped = "\n".join(",".join(row) for row in zip(*columns[::-1], strict=True))
    assert_same(reading(swapped)[0], person)


def test_min_score_makes_joints_missing(tmp_path):
    formats.write([sequence()], tmp_path / "a.csv")
    (again,) = formats.read(tmp_path / "a.csv", min_score=0.5)
    np.testing.assert_array_equal(again.observed, sequence().observed & (sequence().scores >= 0.5))


def test_decisions_are_told(reading):
    file = reading(
        "frame,person,joint,x,y,score,colour\n0,1,nose,7,9,1,red\n0,1,nose,5,6,1,\n"
        "x,1,nose,1,2,1,\n1,1,nose,1e9,2,1,\n1,1,ear tip,1,abc,1,\n4503599627370497,1,nose,1,2,1,\n"
    )
    np.testing.assert_array_equal(file[0].keypoints[0, 0], [7, 9])
    assert not file[0].observed[1].any()
    assert file.notes == (
        "columns that are not used: colour",
        "joints that are not known are passed through: ear tip",
        "rows without a usable frame number, not read: 2; rows that repeat a joint's frame, not "
        "used: 1; joints at absurd or unreadable places, read as holes: 2",
    )


def test_two_sequences_of_one_person(tmp_path):
    with pytest.raises(InputError, match="one person's id"):
        formats.write([sequence(), sequence()], tmp_path / "a.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text, message",
    [
        ("frame,joint,x,y\n", "nothing to use"),
        ("frame,joint,x,y\nx,nose,1,2\n", "nothing to use"),
        ("frame,joint,x,y\n1,nose,1\n", "line 2 has 3 cells"),
    ],
)
def test_refused(text, message, reading, tmp_path):
    with pytest.raises(InputError) as caught:
        reading(text)
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / 'in.csv'}: ") and message in line and "\n" not in line


# --- tables of other programs ---------------------------------------------------------------------


def landmarks(header, label=str, joints=33, scale=(1, 1)):
    """A row per landmark of two frames, and the places."""
    places = np.random.default_rng(0).uniform(0.1, 0.9, (2, joints, 2)) * scale
    rows = [
        [t, label(k), *places[t, k], *[0.75] * (len(header) - 4)]
        for t in range(2) for k in range(joints)
    ]
    return "\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n", places


MEDIAPIPE = get_skeleton("mediapipe33").joints


@pytest.mark.parametrize(
    "header, label",
    [
        (("Frame", "LandmarkID", "X", "Y"), str),
        (("frame_idx", "landmark", "x", "y", "z", "visibility"), lambda k: MEDIAPIPE[k].upper()),
        (("frame_number", "name", "x", "y"), lambda k: MEDIAPIPE[k]),
        (("frame", "landmark_index", "x", "y", "score"), str),
    ],
)
def test_a_row_per_landmark(header, label, reading, tmp_path):
    text, places = landmarks(header, label)
    (sequence,) = file = reading(text, image_size=(1280, 720))
    assert (file.format, sequence.skeleton) == ("csv", "mediapipe33")
    np.testing.assert_allclose(sequence.keypoints, places * (1280, 720))
    assert file.notes == (("columns that are not used: z",) if "z" in header else ())
    assert any("unknown size" in note for note in reading(text).notes)
    formats.write(file, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == text


def test_scores_of_other_programs_have_a_limit(reading):
    for column, limit in (("visibility", 0.5), ("score", 0.2)):
        text = f"frame,node,x,y,{column}\n0,nose,9,9,{limit}\n0,neck,9,9,{limit - 0.01}\n"
        assert reading(text)[0].observed.tolist() == [[True, False]]
        assert reading(text, min_score=0)[0].observed.all()
    assert reading("frame,joint,x,y,score\n0,nose,9,9,0.01\n")[0].observed.all()


def test_points_of_sleap(reading):
    (first, second) = file = reading(
        "frame_idx,node,x,y,track,track_score,instance_score,score\n"
        "0,head,101.5,55.25,a,0.8,0.93,0.97\n0,LHip,140,60,a,0.8,0.93,0.88\n"
        "1,head,102,56,a,0.8,,\n1,head,302,56,b,0.8,,0.5\n"
    )
    assert [s.person for s in (first, second)] == ["a", "b"] and first.frames.tolist() == [0, 1]
    np.testing.assert_array_equal(first.scores[:, 0], [0.97, 1])
    assert "columns that are not used: track_score, instance_score" in file.notes


TIDY = """\
frame,timestamp,model,keypoint,x,y,z,error
0,0.0,rtm,left_knee,10.50,20,1,0.01
0,0.0,rtm,right_knee,30,40,2,0.02
2,0.2,rtm,left_knee,11,21,1,0.03
2,0.2,rtm,left_knee,99,99,9,0.04
"""


def test_other_columns_come_back_and_rows_that_were_lacking_go_in_between(
    reading, with_frames, tmp_path
):
    (sequence,) = file = reading(TIDY)
    formats.write(file, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == TIDY
    longer = with_frames(sequence, [1])
    keypoints = longer.keypoints.copy()
    keypoints[0, 1], keypoints[2, 1] = [30, 41.5], [31.0, 42.0]
    changed = longer.replace(keypoints=keypoints, scores=None, provenance=None)
    formats.write(file.replace([changed]), tmp_path / "out.csv")
    lines = TIDY.splitlines()
    assert (tmp_path / "out.csv").read_text().splitlines() == [
        *lines[:2], "0,0.0,rtm,right_knee,30,41.5,2,0.02",
        "1,,rtm,left_knee,7.0,7.0,,", "1,,rtm,right_knee,7.0,7.0,,",
        *lines[3:], "2,0.2,rtm,right_knee,31.0,42.0,,",
    ]
    (again,) = formats.read(tmp_path / "out.csv")
    np.testing.assert_array_equal(again.keypoints, keypoints)


def test_our_own_table_with_more_columns(reading, tmp_path):
    text = (
        "frame,person,joint,x,y,score,provenance,fps,colour\n"
        "0,b,left_knee,1.50,2,1,observed,25,red\n0,b,right_knee,,,,,25,blue\n"
    )
    (sequence,) = file = reading(text)
    keypoints = np.array([[[1.5, 2], [3, 4]]])
    filled = sequence.replace(
        keypoints=keypoints, scores=[[1, 0.5]], provenance=[[1, 3]], fps=50.0
    )
    formats.write(file.replace([filled]), tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines()[1:] == [
        "0,b,left_knee,1.50,2,1,observed,50.0,red",
        "0,b,right_knee,3.0,4.0,0.5,filled,50.0,blue",
    ]
    assert_same(formats.read(tmp_path / "out.csv")[0], filled)


def test_upsampled_is_a_table_of_ours(reading, tmp_path):
    file = reading(TIDY)
    other = sequence(28, "mpi_inf_3dhp", person=None)
    formats.write(file.replace([other]), tmp_path / "out.csv")
    assert_same(formats.read(tmp_path / "out.csv")[0], other)


def test_a_row_per_number_with_the_axis_in_front(tmp_path):
    path = CASES / "11-numbered-landmarks" / "ids_in_rows.csv"
    (sequence,) = file = formats.read(path)
    assert (file.format, sequence.skeleton, len(sequence)) == ("csv", "mediapipe33", 8)
    np.testing.assert_array_equal(sequence.keypoints[0, [0, 31]], [[330.64, 226], [308.25, 579.7]])
    formats.write(file, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == path.read_bytes()
    (again,) = formats.read(path, joint_map="mediapipe33")
    np.testing.assert_array_equal(again.keypoints, sequence.keypoints)
    with pytest.raises(InputError, match="are not numbers of the 17 in the joint map"):
        formats.read(path, joint_map="coco17")


def test_a_tidy_table_with_a_beginning_of_names(tmp_path):
    path = CASES / "15-prefixes" / "tidy.csv"
    (sequence,) = file = formats.read(path)
    assert (file.format, sequence.skeleton, len(sequence)) == ("csv", "mediapipe33", 8)
    assert "'body_' before the names of joints is no part of them" in file.notes
    formats.write(file, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == path.read_bytes()


def test_times_tell_the_rate(tmp_path):
    joints = ("nose", "left_knee", "right_knee")
    rows = [f"{t},{t / 50:.2f},{k},{t},{t + 5},0.9" for t in range(12) for k in joints]
    (tmp_path / "a.csv").write_text("\n".join(["frame,time,joint,x,y,score", *rows]))
    (person,) = file = formats.read(tmp_path / "a.csv")
    assert person.fps == pytest.approx(50)
    assert "50 frames per second, by its column time" in file.notes
    rows = [f"{row},30" for row in rows]  # what says so counts
    (tmp_path / "a.csv").write_text("\n".join(["frame,time,joint,x,y,score,fps", *rows]))
    assert formats.read(tmp_path / "a.csv")[0].fps == 30
