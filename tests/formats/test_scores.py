"""Scores under names that nobody agreed on, and columns that are of no use."""

import csv
from pathlib import Path

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.formats import scores

CASE = Path(__file__).parent / "cases" / "03-score-column-not-known" / "prob.csv"
HIDDEN = slice(8, 20)  # rows of the case in which the right wrist's place means nothing
ENDINGS = (
    "prob", "c", "p", "s", "acc", "accu", "proba", "probability", "visible", "presence",
    "certainty", "scores", "keypoint_score", "inFrameLikelihood",
)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_third_number_within_0_and_1_is_the_score(ending, reading):
    (sequence,) = file = reading(CASE.read_text().replace(".prob", f".{ending}"))
    wrist = sequence.keypoints[:, 10]
    assert np.isnan(wrist[HIDDEN]).all() and (~sequence.observed).sum() == 12
    assert (sequence.scores[sequence.observed] == 0.9).all()
    word = ending.lower().replace("_", "")
    assert file.notes == (f"taken for scores: {word} of 17 joints",)


@pytest.mark.parametrize("ending", ["score", "confidence", "conf", "likelihood", "visibility", "v"])
def test_usual_names_are_not_talked_of(ending, reading):
    (sequence,) = file = reading(CASE.read_text().replace(".prob", f".{ending}"))
    assert (~sequence.observed).sum() == 12 and not file.notes


def test_what_changes_goes_into_its_column(tmp_path):
    file = formats.read(CASE)
    formats.write(file, tmp_path / "same.csv")
    assert (tmp_path / "same.csv").read_text() == CASE.read_text()
    (sequence,) = file
    keypoints, certain = sequence.keypoints.copy(), sequence.scores.copy()
    keypoints[HIDDEN, 10], certain[HIDDEN, 10] = (345.5, 380.25), 0.75
    whole = sequence.replace(keypoints=keypoints, scores=certain, provenance=None)
    formats.write(file.replace([whole]), tmp_path / "out.csv")
    before, after = (
        list(csv.DictReader(path.read_text().splitlines())) for path in (CASE, tmp_path / "out.csv")
    )
    for old, new in zip(before[HIDDEN], after[HIDDEN], strict=True):
        changed = {name: new[name] for name in old if old[name] != new[name]}
        assert changed == {"r.wrist.x": "345.5", "r.wrist.y": "380.25", "r.wrist.prob": "0.75"}
    assert formats.read(tmp_path / "out.csv")[0].observed.all()


def numbered(word, numbers):
    """A table whose columns end in the number of a joint, with a third column of this name."""
    header = [f"{axis}{k}" for k in range(17) for axis in ("x", "y", word)]
    places = np.random.default_rng(0).uniform(100, 600, (4, 17, 2))
    rows = np.concatenate([places, np.broadcast_to(numbers, (4, 17))[..., None]], -1).reshape(4, -1)
    return "\n".join(",".join(map(str, row)) for row in [header, *rows.tolist()]) + "\n"


def test_names_that_begin_with_the_word(reading):
    certain = np.where(np.arange(17) == 3, 0.1, 0.9)
    (sequence,) = reading(numbered("prob", certain))
    assert np.flatnonzero(~sequence.observed.all(0)).tolist() == [3]


@pytest.mark.parametrize(
    "word, numbers, is_score",
    [
        ("zekerheid", 0.75, True),  # of no language that we know, but what else should it be
        ("zekerheid", 0.25, False),  # half of all joints would be lost by a guess
        ("z", 0.75, False), ("depth", 0.75, False), ("speed", 0.75, False), ("vx", 0.75, False),
        ("reprojection_error", 0.75, False), ("occluded", 0.75, False),
        ("uncertainty", 0.75, False),
        ("acc", 0.25, False), ("prob", 0.25, True),
        ("prob", 75.0, False), ("prob", -0.5, False), ("zekerheid", np.inf, False),
    ],
)
def test_what_is_no_score_is_named(word, numbers, is_score, reading):
    (sequence,) = file = reading(numbered(word, numbers))
    assert (sequence.scores == numbers).all() if is_score else (sequence.scores == 1).all()
    plain = word.replace("_", "")
    what = "taken for scores" if is_score else "columns that are not used"
    assert f"{what}: {plain} of 17 joints" in file.notes


def test_columns_without_use_are_named_once_in_one_line(reading):
    text = CASE.read_text().splitlines()
    more = [f"extra{i}" for i in range(20)]
    text = [",".join([line, *(more if i == 0 else map(str, range(20)))])
            for i, line in enumerate(text)]
    notes = reading("\n".join(text) + "\n").notes
    assert notes[-1] == f"columns that are not used: {', '.join(more[:8])} and 12 more"


@pytest.mark.parametrize("name", ["prob", "Probability", "accuracy", "presence", "certainty"])
def test_tables_with_a_row_per_joint(name, reading):
    rows = [f"{t},{joint},{100 + t},{200 + 9 * k},{0.01 if k == 1 and t == 2 else 0.9}"
            for t in range(4) for k, joint in enumerate(("nose", "left_hip", "right_hip"))]
    (sequence,) = reading("\n".join([f"frame,joint,x,y,{name}", *rows]) + "\n")
    assert np.argwhere(~sequence.observed).tolist() == [[2, 1]]
    assert (sequence.scores[sequence.observed] == 0.9).all()


def test_tables_of_sleap_and_deeplabcut(reading):
    text = CASE.read_text().replace("frame_no", "frame_idx")
    (sequence,) = file = reading(text)
    assert file.format == "sleap" and (~sequence.observed).sum() == 12
    rows = [line.split(",") for line in CASE.read_text().splitlines()]
    parts = [cell.rpartition(".") for cell in rows[0][1:]]
    header = [["scorer"] + ["s"] * 51, ["bodyparts", *(part for part, _, _ in parts)],
              ["coords", *(coord for _, _, coord in parts)]]
    dlc = "\n".join(",".join(row) for row in [*header, *rows[1:]]) + "\n"
    (sequence,) = file = reading(dlc)
    assert file.format == "deeplabcut" and (~sequence.observed).sum() == 12 and not file.notes
    assert reading(dlc.replace("prob", "x_var")).notes == ("coords that are not used: x_var",)


@pytest.mark.parametrize("key", ["score", "confidence", "presence"])
def test_landmarks(key, reading, tmp_path):
    points = [{"x": 300.0 + k, "y": 200.0 + k, "z": 0.5, key: 0.1 if k == 4 else 0.9}
              for k in range(33)]
    content = [{"pose_landmarks": points}, {"pose_landmarks": points}]
    (sequence,) = file = reading(content)
    assert file.format == "mediapipe"
    assert np.flatnonzero(~sequence.observed.all(0)).tolist() == [4]
    assert (sequence.scores[:, :4] == 0.9).all()
    lists = [[list(point.values()) for point in frame["pose_landmarks"]] for frame in content]
    (sequence,) = reading({"landmarks": lists})
    assert np.flatnonzero(~sequence.observed.all(0)).tolist() == [4]
    three = [[[x, y, score] for x, y, _, score in frame] for frame in lists]
    (sequence,) = file = reading({"landmarks": three})
    assert np.flatnonzero(~sequence.observed.all(0)).tolist() == [4]
    assert "the third number of landmarks is taken for their score" in file.notes
    depths = [[[x, y, z - 0.6] for x, y, z, _ in frame] for frame in lists]
    assert reading({"landmarks": depths})[0].observed.all()


def test_words_beside_a_joints_name():
    cells = ["left_x", "left_y", "left_hip_x", "left_hip_y", "left_p", "left_hip_p", "frame", "p"]
    joints = {"left": (0, 1), "left_hip": (2, 3)}
    assert scores.by_word(cells, joints) == {"p": {"left": 4, "left_hip": 5}}
    cells = ["eye_x", "eye_y", "eye_z", "eye_inner_x", "eye_inner_y", "eye_inner_z"]
    joints = {"eye": (0, 1), "eye_inner": (3, 4)}
    assert scores.by_word(cells, joints) == {"z": {"eye": 2, "eye_inner": 5}}
