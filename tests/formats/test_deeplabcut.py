"""DeepLabCut tables: one or more individuals, frames by number or image, nothing lost."""

import csv

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence

ALONE = """\
scorer,DLC_r50,DLC_r50,DLC_r50,DLC_r50,DLC_r50,DLC_r50
bodyparts,LKnee,LKnee,LKnee,right knee,right knee,right knee
coords,x,y,likelihood,x,y,likelihood
0,1.50,2,0.9,3,4.25,0.95
1,,,,3.5,4.0,0.10
2,5,6,0.99,,,
4,7,8,0.6,9,10,1
"""
TOGETHER = """\
scorer,s,s,s,s,s,s,s,s,s,s,s
individuals,ann,ann,ann,ann,ann,ann,3,3,3,single,single
bodyparts,lknee,lknee,lknee,rknee,rknee,rknee,lknee,lknee,lknee,corner,corner
coords,x,y,likelihood,x,y,likelihood,x,y,likelihood,x,y
0,1,2,0.9,3,4,0.9,,,,50,60
1,1,2,0.9,3,4,0.9,5,6,0.9,50,60
"""
LABELLED = """\
scorer,,,ann,ann,ann,ann
bodyparts,,,l_hip,l_hip,r_hip,r_hip
coords,,,x,y,x,y
labeled-data,walk,img0007.png,1.5,2.5,3,4
labeled-data,walk,img0009.png,1,2,,
"""


@pytest.fixture
def writing(tmp_path):
    def write(file):
        formats.write(file, tmp_path / "out.csv", "deeplabcut")
        return (tmp_path / "out.csv").read_text()

    return write


def cells(text):
    return list(csv.reader(text.splitlines()))


def test_one_person(reading):
    file = reading(ALONE)
    (person,) = file
    assert (file.format, person.person, person.fps) == ("deeplabcut", None, None)
    assert person.skeleton == "joints:left_knee,right_knee"
    assert person.frames.tolist() == [0, 2, 4]  # in frame 1 nothing is likely enough
    nan = np.nan
    np.testing.assert_array_equal(
        person.keypoints, [[[1.5, 2], [3, 4.25]], [[5, 6], [nan, nan]], [[7, 8], [9, 10]]]
    )
    np.testing.assert_array_equal(person.scores, [[0.9, 0.95], [0.99, 0], [0.6, 1]])
    assert file.notes == ()


def test_the_threshold_can_be_chosen(reading):
    assert reading(ALONE, min_score=0.1)[0].frames.tolist() == [0, 1, 2, 4]
    assert reading(ALONE, min_score=0.99)[0].observed.sum() == 2


def test_several_individuals_each_with_own_body_parts(reading):
    file = reading(TOGETHER)
    assert [s.person for s in file] == ["ann", 3, "single"]
    assert file[1].frames.tolist() == [1]
    # One side alone: its mirror image is there and always missing.
    assert file[1].skeleton == "joints:left_knee,right_knee"
    assert not file[1].observed[:, 1].any()
    assert file[2].skeleton == "joints:corner"
    np.testing.assert_array_equal(file[2].scores, 1)  # labelled by hand
    assert file.notes == ("joints that are not known are passed through: corner",)


def test_hand_labelled_images(reading, writing):
    file = reading(LABELLED)
    assert file[0].frames.tolist() == [7, 9]
    assert writing(file) == LABELLED
    more = file[0].replace(frames=[7, 12])
    assert cells(writing(file.replace([more])))[-1] == [
        "labeled-data", "walk", "img0012.png", "1.0", "2.0", "", ""
    ]


@pytest.mark.parametrize("text", [ALONE, TOGETHER, LABELLED, ALONE.replace("\n", "\r\n")])
def test_what_is_not_changed_comes_back_as_it_was(text, tmp_path):
    (tmp_path / "in.csv").write_bytes(text.encode())
    formats.write(formats.read(tmp_path / "in.csv"), tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == text.encode()


def test_only_numbers_that_changed_are_written(reading, writing):
    file = reading(ALONE)
    person = file[0]
    keypoints, scores = person.keypoints.copy(), person.scores.copy()
    keypoints[0, 0, 0] = 1.75
    keypoints[1, 1], scores[1, 1] = [11, 12], 0.7
    keypoints[2, 0] = np.nan
    after = cells(writing(file.replace([person.replace(keypoints=keypoints, scores=scores)])))
    expected = cells(ALONE)
    expected[3][1] = "1.75"
    expected[5][4:] = ["11.0", "12.0", "0.7"]
    expected[6][1:4] = ["", "", ""]
    assert after == expected


def test_frames_that_were_filled_have_their_places(reading, writing):
    file = reading(TOGETHER)
    ann, other = file[0], file[1]
    filled = [
        PoseSequence(np.full((4, 2, 2), 7.5), None, None, ann.skeleton, [0, 1, 2, 5], "ann"),
        PoseSequence(np.full((2, 2, 2), [[8.5, 9], [np.nan, np.nan]]), None, None,
                     other.skeleton, [0, 5], 3),
    ]
    after = cells(writing(file.replace(filled)))
    assert [row[0] for row in after[4:]] == ["0", "1", "2", "5"]
    assert after[7] == ["5", *["7.5", "7.5", "1.0"] * 2, "8.5", "9.0", "1.0", "", ""]
    assert after[4][7:] == ["8.5", "9.0", "1.0", "50", "60"]


def test_other_joints_make_a_new_table_with_the_same_scorer(reading, writing):
    file = reading(ALONE)
    whole = PoseSequence(np.ones((2, 28, 2)), skeleton="mpi_inf_3dhp", frames=[1, 2])
    after = cells(writing(file.replace([whole])))
    assert after[0] == ["scorer", *["DLC_r50"] * 84]
    # Joints that the file had keep its names.
    assert {"LKnee", "right knee", "left_ankle"} < set(after[1])
    assert [row[0] for row in after[3:]] == ["0", "1", "2"]
    assert set(after[3][1:]) == {""}


def test_from_elsewhere_and_back(reading, writing, tmp_path):
    rng = np.random.default_rng(0)
    people = [
        PoseSequence(rng.normal(100, 30, (3, 17, 2)), rng.uniform(0.6, 1, (3, 17)), 25.0, "coco17",
                     [1, 2, 5], person)
        for person in (1, "b")
    ]
    text = writing(people)
    assert [row[0] for row in cells(text)] == [
        "scorer", "individuals", "bodyparts", "coords", *"012345"
    ]
    for before, after in zip(people, reading(text), strict=True):
        assert (after.person, after.skeleton) == (before.person, "coco17")
        for name in ("keypoints", "scores", "frames"):
            np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert cells(writing([people[0].replace(person=None)]))[1][0] == "bodyparts"


def test_decisions_are_counted_in_one_line(reading, writing):
    text = ALONE + "4,7,8,0.9,,,\nx,1,1,1,1,1,1\n7,1e9,8,0.9,abc,10,1\n"
    file = reading(text)
    assert file[0].frames.tolist() == [0, 2, 4]
    assert file.notes == (
        "rows without a usable frame number, not read: 1; joints at absurd or unreadable places, "
        "read as holes: 2; rows that repeat a person's frame, left as they are: 1",
    )
    assert writing(file) == text


def test_chosen_names(reading, tmp_path):
    (tmp_path / "map.json").write_text('{"names": {"corner": "nose"}}')
    file = reading(TOGETHER, joint_map=tmp_path / "map.json")
    assert file[2].skeleton == "joints:nose" and file.notes == ()


@pytest.mark.parametrize(
    "text, message",
    [
        ("scorer,a,a\n", "no bodyparts or no coords"),
        ("scorer,a,a\nbodyparts,b,b\n", "no bodyparts or no coords"),
        ("scorer,a,a\nbodyparts,b,b\ncoords,x,y\n", "no frames"),
        ("scorer,a,a\nbodyparts,b,b\ncoords,u,v\n0,1,2\n", "no columns of x and y"),
        ("scorer,a,a\nbodyparts,b,b\ncoords,x,likelihood\n0,1,2\n", "'b' has no x or no y"),
        ("scorer,a,a\nbodyparts,b,b\ncoords,x,x\n0,1,2\n", "column 3 is a second 'x' of 'b'"),
        ("scorer,a,a,a\nbodyparts,b,b,b\ncoords,x,y,z\n0,1,2,3\n", "3D coordinates"),
        ("scorer,a,a\nbodyparts,b,b\ncoords,x,y\n0,1,2\n1,1\n", "line 5 has 2 cells"),
        ("scorer,a,a\nbodyparts,b,b\ncoords,x,y\n0,,\n1,0,0\n", "nothing to use: no joint"),
        ("scorer,a,a\nbodyparts,b,b\ncoords,x,y\n0,1e9,1\n", "nothing to use: joints at absurd"),
    ],
)
def test_refused(text, message, reading, tmp_path):
    with pytest.raises(InputError) as caught:
        reading(text)
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / 'in.csv'}: ") and message in line and "\n" not in line
