"""Cells, frames and ids of tables, whichever the format."""

import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.formats import table, textfile
from posegan_jax.pose.sequence import PoseFile, PoseSequence


@pytest.mark.parametrize(
    "cell, value",
    [("1.5", 1.5), (" 2 ", 2.0), ("-1e3", -1000.0), ("", np.nan), ("NaN", np.nan), ("NA", np.nan),
     ("null", np.nan), ("None", np.nan), ("abc", np.inf), ("inf", np.inf), ("1,5", np.inf)],
)
def test_numbers_in_cells(cell, value):
    np.testing.assert_equal(table.number(cell), value)


@pytest.mark.parametrize(
    "cell, value",
    [("7", 7), ("7.0", 7), ("-3", -3), ("7.5", None), ("", None), ("x", None), ("1e300", None),
     ("inf", None), ("nan", None)],
)
def test_whole_numbers_in_cells(cell, value):
    assert table.whole(cell) == value


@pytest.mark.parametrize(
    "cell, person",
    [("", None), ("3", 3), ("-3", -3), ("03", "03"), ("3.0", "3.0"), ("anna", "anna"), (" ", " ")],
)
def test_ids_come_back_as_they_were_written(cell, person):
    assert table.person_id(cell) == person
    assert type(table.person_id(cell)) is type(person)


@pytest.mark.parametrize("value", [0.1 + 0.2, 1e-300, -0.0, 123456789.123456789, 5.0])
def test_numbers_are_written_exactly(value):
    assert float(table.text(np.float64(value))) == value


def test_what_is_missing():
    values = np.array(
        [[1, 2, 0.9], [1, 2, 0.1], [0, 0, 0.9], [0, 2, 0.9], [np.nan, 2, 0.9], [1, 2, np.nan],
         [1e7, 2, 0.9], [np.inf, 2, 0.9], [1, 2, np.inf]]
    )
    tally = table.Tally()
    keypoints, scores = table.present(values, 0.2, tally)
    seen = [True, False, False, True, False, True, False, False, False]
    np.testing.assert_array_equal(np.isfinite(keypoints).all(-1), seen)
    np.testing.assert_array_equal(scores, [0.9, 0, 0, 0.9, 0, 1, 0, 0, 0])
    assert tally.notes() == ("joints at absurd or unreadable places, read as holes: 3",)


def test_frames_far_from_all_others_are_mistakes():
    tally = table.Tally()
    assert table.near_frames([1, 2, None, 2**52, 3], tally) == [1, 2, None, None, 3]
    assert tally.notes() == ("rows without a usable frame number, not read: 2",)


def sequence(frames, person=None):
    return PoseSequence(np.ones((len(frames), 17, 2)), frames=frames, person=person)


def test_every_frame():
    assert table.every_frame([sequence([3]), sequence([5])]) == [3, 4, 5]
    assert table.every_frame([sequence([2])], 0) == [0, 1, 2]
    assert table.every_frame([sequence([-1, 0])], 0) == [-1, 0]
    assert table.every_frame([sequence([1, 2**40])], 0) == [1, 2**40]
    assert table.every_frame([]) == []


def test_ids_for_those_without(tmp_path):
    people = [sequence([0], person) for person in (None, "0", None, 2)]
    assert table.distinct_people(PoseFile(tuple(people), ""), tmp_path) == [1, "0", 3, 2]
    with pytest.raises(InputError, match="one person's id"):
        table.distinct_people(PoseFile((sequence([0], 1), sequence([0], "1")), ""), tmp_path)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"a,b\n1,2\n1\n", "line 3 has 1 cells where the first has 2; is the file cut off?"),
        (b"a,b\n1,2,3\n", "line 2 has 3 cells"),
        (b"a,b\n\xff\xfe,1\n", "not UTF-8 text"),
        (b"a,b\n" + b"x" * 200000 + b",1\n", "line 2: field larger than field limit"),
    ],
)
def test_files_that_are_no_table(content, message, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        textfile.load_csv(path)
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)
