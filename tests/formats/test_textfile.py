"""Tables that spaces part, and comments in tables."""

import numpy as np
import pytest

from posegan_jax import formats

JOINTS = ("nose", "left_hip", "right_hip", "left_knee")
NAMES = ["frame", *(f"{joint}_{axis}" for joint in JOINTS for axis in "xy")]
ROWS = [[t, *(f"{100 + 7.25 * k + t:.3f}" for k in range(8))] for t in range(12)]


def lines(separator=" ", rows=ROWS):
    return [separator.join(map(str, row)) for row in [NAMES, *rows]]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "in.csv"


def check(text, path, expected=(100, 107.25)):
    """That it is read, comes back as it was, and with one place changed elsewhere as it was."""
    path.write_text(text)
    (sequence,) = file = formats.read(path)
    assert file.format == "wide" and sequence.frames.tolist() == list(range(12))
    np.testing.assert_array_equal(sequence.keypoints[0, 0], expected)
    out = path.with_name("out.csv")
    formats.write(file, out)
    assert out.read_text() == text
    keypoints = sequence.keypoints.copy()
    keypoints[3, 1] = [5.125, 6.5]
    formats.write(file.replace([sequence.replace(keypoints=keypoints, provenance=None)]), out)
    before, after = text.splitlines(), out.read_text().splitlines()
    differ = [i for i, line in enumerate(before) if after[i] != line]
    assert len(before) == len(after) and len(differ) == 1
    assert before[differ[0]].lstrip().startswith("3")
    np.testing.assert_array_equal(formats.read(out)[0].keypoints, keypoints)


def test_spaces_part_cells(path):
    check("\n".join(lines()) + "\n", path)


def test_columns_that_spaces_align(path):
    rows = [NAMES, *ROWS]
    check("\n".join("".join(f"{cell!s:>14}" for cell in row) for row in rows) + "\n", path)


@pytest.mark.parametrize("separator", [",", ";", "\t", " "])
@pytest.mark.parametrize("mark", ["", "# ", "#"])
def test_comments_come_back_at_their_places(separator, mark, path):
    header, *rows = lines(separator)
    if mark == "# " and separator != " ":
        header = header.replace("frame", "frame", 1)
    text = ["# made by, a program; of 2026", "#", mark + header, *rows[:5], "# a cut", *rows[5:],
            "# the end"]
    check("\n".join(text) + "\n", path)


def test_a_place_that_is_missing_between_spaces_is_nan(path):
    rows = [list(row) for row in ROWS]
    rows[2][1:3] = ["nan", "nan"]
    path.write_text("\n".join(lines(" ", rows)) + "\n")
    (sequence,) = file = formats.read(path)
    assert np.isnan(sequence.keypoints[2, 0]).all()
    keypoints = sequence.keypoints.copy()
    keypoints[4, 1] = np.nan
    out = path.with_name("out.csv")
    formats.write(file.replace([sequence.replace(keypoints=keypoints, provenance=None)]), out)
    np.testing.assert_array_equal(formats.read(out)[0].keypoints, keypoints)


def test_a_row_that_is_cut_off_is_named_by_its_line_in_the_file(path):
    header, *rows = lines(" ")
    text = ["# one", header, *rows[:3], "# two", rows[3][:20], *rows[4:]]
    path.write_text("\n".join(text) + "\n")
    with pytest.raises(formats.InputError, match=r"line 7 has \d cells where the first has 9"):
        formats.read(path)


@pytest.mark.parametrize("separator", [",", " "])
def test_comments_in_a_table_with_a_row_per_joint(separator, path):
    header = ["frame", "person", "joint", "x", "y", "score", "provenance", "fps"]
    rows = [[t, 1, joint, 5.5 + k, 6 + t, 0.75, "observed", 25] for t in range(3)
            for k, joint in enumerate(JOINTS)]
    text = ["# ours, once", *(separator.join(map(str, row)) for row in [header, *rows]), "# end"]
    path.write_text("\n".join(text) + "\n")
    (sequence,) = file = formats.read(path)
    assert file.format == "csv" and len(sequence) == 3
    out = path.with_name("out.csv")
    formats.write(file, out)
    assert out.read_text() == path.read_text()
    keypoints = sequence.keypoints + 1
    longer = sequence.replace(
        keypoints=np.concatenate([keypoints, keypoints[:1]]), scores=None, provenance=None,
        frames=[0, 1, 2, 3],
    )
    formats.write(file.replace([longer]), out)
    assert out.read_text().splitlines()[0] == text[0] and out.read_text().endswith("# end\n")
    np.testing.assert_array_equal(formats.read(out)[0].keypoints, longer.keypoints)
