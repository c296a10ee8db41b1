"""Pictures of a good, a middling and the worst clip."""

import numpy as np
import pytest
from PIL import Image

from posegan_jax.errors import InputError
from posegan_jax.evaluation import pictures
from posegan_jax.evaluation.pictures import EXAMPLES, Scene, draw, examples, not_given
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.render.skeleton import LEFT

SKELETON = get_skeleton("alphapose12")


def test_examples_are_at_quantiles_of_what_has_an_error():
    errors = [0.5, None, 0.1, 0.9, 0.3, 0.2, 0.4, 0.8, 0.7, 0.6, 0.0, 1.0]
    others = [None, *errors[1:]]
    found = examples({"pchip": others, "fast": errors})
    assert [(e.name, e.clip) for e in found] == [("good", 5), ("middling", 0), ("worst", 11)]
    assert [e.errors for e in found] == [
        {"pchip": 0.2, "fast": 0.2}, {"pchip": None, "fast": 0.5}, {"pchip": 1.0, "fast": 1.0}
    ]
    assert [e.clip for e in examples({"fast": [None, 0.3]})] == [1, 1, 1]
    assert examples({"fast": [None]}) == examples({"fast": []}) == examples({}) == []


def test_what_is_missing_or_far_off_was_not_given():
    truth = np.zeros((2, 4, 2))
    truth[0, 3] = np.nan
    given = truth + np.array([[0.0], [4.9], [5.1], [0.0]])
    given[1, 0] = np.nan
    found = not_given(truth, given * (1, 0), 10.0)
    assert found.tolist() == [[False, False, True, False], [True, False, True, False]]
    np.testing.assert_array_equal(not_given(truth, given * (1, 0), np.full(2, 10.0)), found)


def scene(frames=20, marked=slice(5, 15)):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(12, 2)) * 50 + np.arange(frames)[:, None, None]
    hidden = np.zeros((frames, 12), bool)
    hidden[marked, SKELETON.index("left_ankle")] = True
    rows = {"truth": truth, "pchip: 0.30 heads off": truth + 5.0, "fast": truth.copy()}
    rows["fast"][:, 3] = np.nan
    return Scene("run10, worst: 0001 walk", rows, hidden, SKELETON.name)


def test_frames_in_which_something_is_hidden_are_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(pictures, "strips", lambda tracks, path, numbers, *rest: drawn.append(
        (list(numbers), [list(np.argwhere(t.provenance == 3)[0]) for t in tracks.values()])
    ))
    draw(scene(), tmp_path / "a.png")
    assert drawn[0][0] == [5, 7, 9, 10, 12, 14]
    assert drawn[0][1] == [[5, SKELETON.index("left_ankle")]] * 3
    draw(scene(marked=slice(3, 5)), tmp_path / "a.png")
    assert drawn[1][0] == [3, 4]


def test_where_nothing_is_hidden_frames_are_drawn_in_which_most_is_moved(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(pictures, "strips", lambda tracks, path, numbers, *rest: drawn.append(
        list(numbers)
    ))
    same = scene(frames=60, marked=slice(0, 0))
    same.rows["fast"][40:42, 0] += 30.0
    same.rows["fast"][20, 5] += 50.0
    draw(same, tmp_path / "a.png")
    (frames,) = drawn
    assert {20, 40} < set(frames) and len(frames) == 6 and min(np.diff(frames)) > 5


def test_a_picture_has_a_row_per_method_and_marks_what_was_hidden(tmp_path):
    draw(scene(), tmp_path / "a.png")
    nothing = scene(marked=slice(0, 0))
    draw(nothing, tmp_path / "b.png")  # all frames, nothing is a ring
    wide, other = (Image.open(tmp_path / name).convert("RGB") for name in ("a.png", "b.png"))
    assert wide.height == other.height > 3 * 300 and wide.width > 6 * 180
    # What was hidden is paler.
    assert full(wide) < full(other)
    with pytest.raises(InputError, match="no such folder"):
        draw(scene(), tmp_path / "none" / "a.png")


def full(picture):
    return (np.array(picture) == LEFT).all(-1).sum()


def test_pictures_that_are_there_are_told(tmp_path):
    (tmp_path / "legs-worst.png").touch()
    (tmp_path / "arm-good.png").touch()
    assert pictures.paths(tmp_path, ["legs", "run20"]) == [tmp_path / "legs-worst.png"]
    assert pictures.heads(None).startswith("no") and pictures.heads(0.5) == "0.500 heads off"
    assert list(EXAMPLES) == ["good", "middling", "worst"]


def test_frames_are_shown_in_which_more_than_ever_is_hidden(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(pictures, "strips", lambda tracks, place, frames, *_: shown.append(frames))
    marked = np.zeros((40, 17), bool)
    marked[:, 0] = True
    marked[10:14] = True
    places = np.zeros((40, 17, 2))
    for flags in (marked, marked[:, :1]):
        scene = pictures.Scene("", {"truth": places[:, : flags.shape[1]]}, flags, "coco17")
        monkeypatch.setattr(pictures, "PoseSequence", lambda *args, **_: args)
        pictures.draw(scene, tmp_path / "picture.png")
    np.testing.assert_array_equal(shown[0], [10, 11, 12, 13])
    np.testing.assert_array_equal(shown[1], [0, 8, 16, 23, 31, 39])
