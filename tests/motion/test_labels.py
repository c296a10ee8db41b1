"""Labelled video: the .npz layout, written, read, and refused where it is damaged."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posegan_jax.errors import InputError
from posegan_jax.motion.labels import LabelledClip, is_labels, load_labels, save_labels

REPOSITORY = Path(__file__).parents[2]
PENN = REPOSITORY.parent / "shared" / "data" / "real2d" / "penn_dev.npz"
JOINTS = ("head", "left_wrist", "right_wrist", "belly")


def clip(frames=5, name="0001", seed=0, **changes):
    """A clip of which some joints are hidden and some have no label."""
    rng = np.random.default_rng(seed)
    keypoints = rng.integers(30, 6000, (frames, len(JOINTS), 2)) / 10  # not in the corner
    keypoints[rng.random(keypoints.shape[:2]) < 0.3] = np.nan
    guessed = np.isfinite(keypoints[..., 0]) & (rng.random(keypoints.shape[:2]) < 0.3)
    return dataclasses.replace(
        LabelledClip(keypoints, guessed, JOINTS, name, "bowl", "left", 30.0), **changes
    )


def same(found, expected):
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.keypoints, theirs.keypoints, rtol=1e-12)
        np.testing.assert_array_equal(ours.guessed, theirs.guessed)
        assert ours.keypoints.dtype == np.float64 and ours.guessed.dtype == bool
        for name in ("joints", "name", "action", "view", "fps"):
            assert getattr(ours, name) == getattr(theirs, name)


def arrays_of(path):
    with np.load(path) as data:
        return {name: data[name] for name in data.files}


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "written.npz"
    save_labels(path, [clip(), clip(7, "0002", 1)], dataset="Ours")
    return path


def test_what_is_written_is_read_back(written):
    same(load_labels(written), [clip(), clip(7, "0002", 1)])
    same(load_labels(str(written)), load_labels(written))
    arrays = arrays_of(written)
    assert arrays["keypoints_tenths"].dtype == np.int16 and arrays["label"].dtype == np.uint8
    assert str(arrays["dataset"]) == "Ours"
    assert [entry.name for entry in written.parent.iterdir()] == ["written.npz"]


def test_what_is_not_known_is_empty(tmp_path):
    path = tmp_path / "a.npz"
    bare, timed = clip(action="", view="", fps=None), clip(name="0002", fps=25.0)
    save_labels(path, [bare, timed])
    same(load_labels(path), [bare, timed])
    save_labels(path, [bare])
    arrays = arrays_of(path)
    assert "clip_fps" not in arrays
    np.savez(path, **{n: a for n, a in arrays.items() if n not in ("clip_action", "clip_view")})
    same(load_labels(path), [bare])


@given(st.integers(0, 2**32 - 1), st.integers(0, 6))
@settings(max_examples=20, deadline=None)
def test_any_clips_are_read_back(tmp_path_factory, seed, frames):
    path = tmp_path_factory.mktemp("round") / "a.npz"
    clips = [clip(frames, "a", seed), clip(3, "b", seed + 1)]
    save_labels(path, clips)
    same(load_labels(path), clips)


def test_places_are_rounded_to_tenths(tmp_path):
    keypoints = np.array([[[1.04, 2.06], [-3.14, 0.0], [np.nan, 5.0], [3276.7, -3276.7]]])
    path = tmp_path / "a.npz"
    save_labels(path, [clip(keypoints=keypoints, guessed=np.ones((1, 4), bool))])
    (found,) = load_labels(path)
    expected = [[[1.0, 2.1], [-3.1, 0.0], [np.nan, np.nan], [3276.7, -3276.7]]]
    np.testing.assert_allclose(found.keypoints, expected)
    assert found.guessed.tolist() == [[True, True, False, True]]
    assert found.labelled.tolist() == [[True, True, False, True]]


def test_large_pictures_are_written_as_floats(tmp_path):
    keypoints = clip().keypoints
    keypoints[0, 0] = [3300.25, 12.5]
    path = tmp_path / "a.npz"
    save_labels(path, [clip(keypoints=keypoints)])
    arrays = arrays_of(path)
    assert arrays["keypoints"].dtype == np.float32 and "keypoints_tenths" not in arrays
    (found,) = load_labels(path)
    np.testing.assert_allclose(found.keypoints, keypoints, rtol=1e-6)
    assert is_labels(path)


def test_a_place_without_a_label_is_none(written):
    arrays = arrays_of(written)
    np.savez(written, **arrays | {"label": np.zeros_like(arrays["label"])})
    for found in load_labels(written):
        assert np.isnan(found.keypoints).all() and not found.guessed.any()


def test_guesses_in_the_corner_of_the_picture_are_none(tmp_path):
    path, keypoints = tmp_path / "a.npz", np.full((1, 4, 2), 1.5)
    keypoints[0, 1:] = [1.5, 2.1], [-0.1, 1.0], [0.0, 0.0]
    for guessed in (True, False):
        save_labels(path, [clip(keypoints=keypoints, guessed=np.full((1, 4), guessed))])
        (found,) = load_labels(path)
        assert found.labelled.tolist() == [[not guessed, True, True, not guessed]]
        assert found.guessed.tolist() == [[False, guessed, guessed, False]]


DAMAGE = {
    "lacks the arrays label": {"label": None},
    "lacks the arrays joints, clip_name": {"joints": None, "clip_name": None},
    "lacks the array keypoints_tenths, or keypoints": {"keypoints_tenths": None},
    "keypoints_tenths must be whole": {"keypoints_tenths": lambda a: a / 10},
    "keypoints must be numbers of shape": {"keypoints_tenths": lambda a: a[:, :3]},
    "joints must be names, each of them once": {"joints": lambda a: a[[0, 0, 1, 2]]},
    "label must be whole numbers of shape": {"label": lambda a: a[1:]},
    "label must be 0, 1 or 2": {"label": lambda a: a + 1},
    "head has a label in row 0, but no place": {
        "label": lambda a: a * 0 + 2, "keypoints_tenths": lambda a: np.full_like(a, -32768),
    },
    "clip_length must be whole numbers, one for each of 2": {"clip_length": lambda a: a[:1]},
    "clip_name must be text": {"clip_name": lambda a: np.arange(len(a))},
    "clip_action must be text, one for each of 2": {"clip_action": lambda a: a[:1]},
    "clip 0002 lies outside the 12 frames": {"clip_length": lambda a: a + 1},
    "clip 0001 lies outside": {"clip_start": lambda a: a - 1},
    "clip_fps of clip 0001 must be positive": {"clip_fps": lambda a: -a},
    "clip_fps must be numbers": {"clip_fps": lambda a: a.astype(str)},
}


@pytest.mark.parametrize("problem", DAMAGE)
def test_damaged_files_are_one_line(written, problem):
    arrays = arrays_of(written)
    for name, change in DAMAGE[problem].items():
        arrays[name] = change and change(arrays[name])
    np.savez(written, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(InputError, match=problem) as error:
        load_labels(written)
    assert str(error.value).startswith(str(written)) and "\n" not in str(error.value)


@pytest.mark.parametrize("value", [np.inf, None])
def test_floats_without_end_and_without_place_are_refused(written, value):
    arrays = arrays_of(written)
    places = arrays.pop("keypoints_tenths") / 10
    arrays["label"][0, 0] = 2
    places[0, 0] = np.nan if value is None else value
    np.savez(written, keypoints=places, **arrays)
    with pytest.raises(InputError, match="infinity" if value else "head has a label in row 0"):
        load_labels(written)


def test_files_that_are_no_archives(written, tmp_path):
    whole = written.read_bytes()
    for content in (b"", b"text", whole[:100], whole[: len(whole) // 2]):
        written.write_bytes(content)
        assert not is_labels(written)
        with pytest.raises(InputError, match="not an .npz file"):
            load_labels(written)
    with pytest.raises(InputError, match="no such file"):
        load_labels(tmp_path / "none.npz")
    assert not is_labels(tmp_path / "none.npz") and not is_labels(tmp_path)


def test_labels_are_told_from_motion(written, write_motion, tmp_path):
    assert is_labels(written) and is_labels(str(written))
    assert not is_labels(write_motion(tmp_path / "motion.npz", JOINTS[:3]))


def test_clips_that_cannot_be_written(tmp_path):
    path = tmp_path / "a.npz"
    fewer = clip(name="0002", joints=("a", "b", "c", "d"))
    for problem, clips in {
        "there are no clips": [],
        "clips 0001 and 0002 are of different joints": [clip(), fewer],
        "clip 0001 has keypoints": [clip(keypoints=np.zeros((5, 3, 2)))],
        "guessed (4, 4)": [clip(guessed=np.zeros((4, 4), bool))],
    }.items():
        with pytest.raises(InputError) as error:
            save_labels(path, clips)
        assert problem in str(error.value) and str(path) in str(error.value)
    assert not path.exists()
    with pytest.raises(InputError, match="no such folder"):
        save_labels(tmp_path / "none" / "a.npz", [clip()])


def test_no_jax_is_needed():
    code = "import sys, posegan_jax.motion.labels; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0


@pytest.mark.skipif(not PENN.is_file(), reason="needs ../shared/data/real2d/penn_dev.npz")
def test_penn_action_is_read_and_written_back(tmp_path):
    assert is_labels(PENN)
    clips = load_labels(PENN)
    assert len(clips) == 775 and sum(len(clip.keypoints) for clip in clips) == 55168
    labelled = np.concatenate([clip.labelled for clip in clips])
    guessed = np.concatenate([clip.guessed for clip in clips])
    assert labelled.mean() > 0.8 and 0 < guessed.mean() < 0.5 and not (guessed & ~labelled).any()
    path = tmp_path / "a.npz"
    save_labels(path, clips)
    found, expected = arrays_of(path), arrays_of(PENN)
    corner = (expected["keypoints_tenths"] >= 0) & (expected["keypoints_tenths"] <= 20)
    corner = corner.all(-1) & (expected["label"] > 0)
    assert corner.sum() == 4543 and (expected["label"][corner] == 1).all()
    expected["label"][corner], expected["keypoints_tenths"][corner] = 0, -32768
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
