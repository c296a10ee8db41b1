"""SLEAP's analysis tables: tracks or none, columns in any order, nothing lost."""

import csv

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence

TEXT = """\
track,frame_idx,instance.score,LHip.x,LHip.y,LHip.score,RHip.x,RHip.y,RHip.score
track_0,0,0.93,101.50,55.25,0.97,140,60,0.88
track_1,0,1.5,1,2,0.9,3,4,0.1
track_0,1,,102,56,,,,
track_0,3,0.51,103,57,0.2,141,61,0.3
"""
UNTRACKED = """\
frame_idx,b.score,video_path,b.y,b.x,a.x,a.y,a.score
0,0.9,v.mp4,10,20,30,40,0.9
0,0.9,v.mp4,510,520,530,540,0.9
1,0.9,v.mp4,511,521,531,541,0.9
1,0.9,v.mp4,11,21,31,41,0.9
"""


@pytest.fixture
def writing(tmp_path):
    def write(file):
        formats.write(file, tmp_path / "out.csv", "sleap")
        return (tmp_path / "out.csv").read_text()

    return write


def cells(text):
    return list(csv.reader(text.splitlines()))


def test_tracks(reading):
    file = reading(TEXT)
    first, second = file
    assert (file.format, first.person, second.person) == ("sleap", "track_0", "track_1")
    assert first.skeleton == "joints:left_hip,right_hip"
    assert first.frames.tolist() == [0, 1, 3]
    np.testing.assert_array_equal(first.scores, [[0.97, 0.88], [1, 0], [0.2, 0.3]])
    assert second.observed.tolist() == [[True, False]]
    np.testing.assert_array_equal(first.keypoints[0], [[101.5, 55.25], [140, 60]])


def test_instances_without_tracks_are_followed(reading, writing):
    file = reading(UNTRACKED)
    assert [s.person for s in file] == [0, 1]
    assert file[0].skeleton == "joints:b,a"
    np.testing.assert_array_equal(file[0].keypoints[:, 0], [[20, 10], [21, 11]])
    assert "followed 2 people" in file.notes[-2]
    assert file.notes[-1] == "columns that are not used: video_path"
    assert writing(file) == UNTRACKED


def test_one_instance_a_frame_without_track_is_one_person(reading):
    (person,) = reading("\n".join(UNTRACKED.splitlines()[::2]) + "\n")
    assert person.person is None and person.frames.tolist() == [0, 1]


def test_ids_of_untracked_people_are_not_those_of_tracks(reading):
    text = TEXT + ",4,1,1,2,1,3,4,1\n,4,1,501,502,1,503,504,1\n0,5,1,1,1,1,1,1,1\n"
    assert [s.person for s in reading(text)] == ["track_0", "track_1", 1, 2, 0]


@pytest.mark.parametrize("text", [TEXT, UNTRACKED])
def test_what_is_not_changed_comes_back_as_it_was(text, reading, writing):
    assert writing(reading(text)) == text


def test_changes_and_new_frames(reading, writing):
    file = reading(TEXT)
    keypoints = np.array(file[0].keypoints)
    keypoints = np.insert(keypoints, 2, 7.5, axis=0)
    keypoints[0, 1, 0] = 139.5
    scores = np.insert(file[0].scores, 2, [0.5, 0.75], axis=0)
    filled = file[0].replace(
        keypoints=keypoints, scores=scores, frames=[0, 1, 2, 3], provenance=None
    )
    after = cells(writing(file.replace([filled, file[1]])))
    expected = cells(TEXT)
    expected[1][6] = "139.5"
    expected.insert(4, ["track_0", "2", "0.625", "7.5", "7.5", "0.5", "7.5", "7.5", "0.75"])
    assert after == expected


def test_other_joints_keep_tracks_and_instance_scores(reading, writing):
    file = reading(TEXT)
    whole = [
        PoseSequence(np.ones((2, 28, 2)), skeleton="mpi_inf_3dhp", frames=[0, 2], person=s.person)
        for s in file
    ]
    after = cells(writing(file.replace(whole)))
    assert len(after[0]) == 3 + 84 and {"LHip.x", "RHip.score", "left_knee.y"} < set(after[0])
    assert [row[:3] for row in after[1:]] == [
        ["track_0", "0", "0.93"], ["track_1", "0", "1.5"], ["track_0", "2", "1.0"],
        ["track_1", "2", "1.0"],
    ]


def test_from_elsewhere_and_back(reading, writing):
    rng = np.random.default_rng(0)
    keypoints = rng.normal(100, 30, (3, 17, 2))
    keypoints[1] = np.nan
    person = PoseSequence(keypoints, rng.uniform(0.3, 1, (3, 17)), 25.0, "coco17", [1, 2, 5], None)
    (again,) = reading(writing([person]))
    assert (again.person, again.skeleton, again.frames.tolist()) == (None, "coco17", [1, 5])
    np.testing.assert_array_equal(again.keypoints, keypoints[[0, 2]])
    np.testing.assert_array_equal(again.scores, person.scores[[0, 2]])


def test_decisions_are_counted_in_one_line(reading, writing):
    text = TEXT + "track_0,3,1,1,,1,1,,1\ntrack_0,x,1,1,1,1,1,1,1\ntrack_0,9,1,a,1,1,1,1e8,1\n"
    file = reading(text)
    assert file[0].frames.tolist() == [0, 1, 3]
    assert file.notes == (
        "rows without a usable frame number, not read: 1; joints at absurd or unreadable places, "
        "read as holes: 2; rows that repeat a person's frame, left as they are: 1",
    )
    assert writing(file) == text


def test_people_of_different_joints_have_the_columns_of_all(reading, writing):
    file = reading(TEXT)
    whole = PoseSequence(
        np.full((1, 28, 2), 7.5), skeleton="mpi_inf_3dhp", frames=[0], person="track_0"
    )
    first, second = reading(writing(file.replace([whole, file[1]])))
    assert first.skeleton == second.skeleton == "mpi_inf_3dhp"
    assert first.observed.all() and second.observed.sum() == 1
    np.testing.assert_array_equal(second.keypoints[second.observed], [[1, 2]])


@pytest.mark.parametrize(
    "text, message",
    [
        ("track,frame_idx,a.x\n,0,1\n", "no node has an x and a y"),
        ("track,frame_idx,a.x,a.y\n", "no instances"),
        ("track,frame_idx,a.x,a.y,a.x\n,0,1,2,3\n", "two columns are called 'a.x'"),
        ("track,frame_idx,a.x,a.y\n,0,1\n", "line 2 has 3 cells"),
        ("track,frame_idx,a.x,a.y\n,0,,\n", "nothing to use"),
        ("track,frame_idx,a.x,a.y\n,x,1,1\n", "nothing to use: rows without a usable frame"),
    ],
)
def test_refused(text, message, reading, tmp_path):
    with pytest.raises(InputError) as caught:
        reading(text)
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / 'in.csv'}: ") and message in line and "\n" not in line


def test_tables_of_sleap_io(reading, writing):
    text = (
        "frame_idx,track,track_score,score,LHip.x,LHip.y,LHip.score,b.x,b.y,b.score\n"
        "0,a,0.8,0.93,101.5,55.25,0.97,140,60,0.88\n1,a,0.8,,102,56,,,,\n"
    )
    (sequence,) = file = reading(text)
    assert sequence.person == "a" and sequence.observed.sum() == 3 and writing(file) == text
    with pytest.raises(InputError, match="in.csv: a row holds all instances .* 'instances'"):
        reading("frame_idx,inst0.track,inst0.LHip.x,inst0.LHip.y\n0,a,1,2\n")
