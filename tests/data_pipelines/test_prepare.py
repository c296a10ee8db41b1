"""Preparing motion capture: what is read back, and what is refused."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from data_pipelines import prepare
from data_pipelines.mocap import source
from posegan_jax.errors import InputError
from posegan_jax.motion.store import load_clips
from posegan_jax.pose.skeleton import get_skeleton, make_skeleton

JOINTS = get_skeleton("mpi_inf_3dhp").joints
SHARED = Path(__file__).parents[2].parent / "shared"


def arrays(lengths=(5, 12, 3), splits=("train", "validation", "train"), dtype=np.int16, fps=25.0):
    """The arrays of a source file; no two frames alike, and a gap before the first clip."""
    rng = np.random.default_rng(0)
    count = len(lengths)
    return {
        "positions": rng.uniform(-3000, 3000, (2 + sum(lengths), 28, 3)).astype(dtype),
        "joints": np.array(JOINTS),
        "fps": np.float32(fps),
        "clip_start": 2 + np.cumsum([0, *lengths[:-1]]).astype(np.int32),
        "clip_length": np.array(lengths, np.int32),
        "clip_subject": np.array([f"subject {i}" for i in range(count)]),
        "clip_name": np.array([f"{i:02}_01" for i in range(count)]),
        "clip_text": np.array([f"walks à reculons, {i}" for i in range(count)]),
        "clip_split": np.array(splits),
        "licence": np.array("Ask before\nuse"),
        "dataset": np.array("Tiny Mocap"),
    }


def write(path, **changes):
    """A source file with some arrays changed, or left out where the change is None."""
    content = arrays() | changes
    np.savez(path, **{name: value for name, value in content.items() if value is not None})
    return path


def run(*argv):
    return prepare.main([str(word) for word in argv])


def same(prepared, direct):
    assert len(prepared) == len(direct) > 0
    for a, b in zip(prepared, direct, strict=True):
        np.testing.assert_array_equal(a.positions, b.positions)
        assert a.positions.dtype == np.float32
        assert (a.fps, a.subject, a.name, a.text) == (b.fps, b.subject, b.name, b.text)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A source file and the set prepared from it."""
    folder = tmp_path_factory.mktemp("tiny")
    path = write(folder / "tiny.npz")
    assert run("--source", path, "--out", folder / "new" / "set") == 0
    return path, folder / "new" / "set"


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_prepared_set_holds_the_clips_of_its_source(tiny, split):
    path, out = tiny
    same(load_clips(str(out), split), load_clips(str(path), split))


def test_nothing_else_is_left_behind(tiny):
    _, out = tiny
    assert [entry.name for entry in out.parent.iterdir()] == ["set"]
    assert not [entry for entry in out.iterdir() if entry.is_dir()]


def test_a_set_says_where_it_comes_from(tiny):
    _, out = tiny
    metadata = json.loads((out / "metadata.json").read_text())
    assert metadata["joints"] == list(JOINTS)
    assert metadata["sources"] == [{"dataset": "Tiny Mocap", "licence": "Ask before use"}]
    assert (out / "LICENSE").read_text().strip() == "Tiny Mocap: Ask before use"


def test_tensorflow_is_not_used(tmp_path, monkeypatch):
    class NoTensorFlow:
        def find_spec(self, name, *unused):
            if name.split(".")[0] == "tensorflow":
                raise ModuleNotFoundError("TensorFlow is not to be used", name="tensorflow")

    monkeypatch.setattr(sys, "meta_path", [NoTensorFlow(), *sys.meta_path])
    path = write(tmp_path / "a.npz")
    assert run("--source", path, "--out", tmp_path / "set") == 0
    same(load_clips(str(tmp_path / "set"), "train"), load_clips(str(path), "train"))
    assert "tensorflow" not in sys.modules


def test_several_sources_join_in_order(tmp_path):
    one = write(tmp_path / "one.npz")
    changes = arrays(lengths=(4, 1), splits=("train", "train"), dtype=np.float32)
    two = write(tmp_path / "two.npz", **(changes | {"licence": None, "dataset": None}))
    assert run("--source", f"{one},{two}", "--out", tmp_path / "set") == 0
    direct = load_clips(f"{one},{two}", "train")
    same(load_clips(str(tmp_path / "set"), "train"), direct[:-1])  # the last is of one frame
    assert "two: " in (tmp_path / "set" / "LICENSE").read_text()


def test_a_set_has_the_joints_of_its_sources(tmp_path, capsys):
    """In their order, from which training picks those of its skeleton by name."""
    joints = (*JOINTS[::-1], "nose", "left_heel", "right_heel")
    rng = np.random.default_rng(1)
    changes = {"joints": np.array(joints), "positions": rng.normal(size=(22, 31, 3))}
    path, out = write(tmp_path / "a.npz", **changes), tmp_path / "set"
    assert run("--source", path, "--out", out) == 0
    assert json.loads((out / "metadata.json").read_text())["joints"] == list(joints)
    for skeleton in (make_skeleton("all", joints), get_skeleton("mpi_inf_3dhp")):
        same(load_clips(str(out), "train", skeleton), [
            dataclasses.replace(clip, positions=clip.positions.astype(np.float32))
            for clip in load_clips(str(path), "train", skeleton)
        ])
    lacking = get_skeleton("coco17")
    with pytest.raises(InputError, match="set: lacks left_eye, .*joints of the skeleton coco17"):
        load_clips(str(out), "train", lacking)
    capsys.readouterr()
    other = write(tmp_path / "b.npz")
    line = refused(capsys, tmp_path / "two", "--source", f"{path},{other}", "--out",
                   tmp_path / "two")
    assert "of different joints" in line


def test_the_summary_counts_and_names_licences(tmp_path, capsys):
    content = arrays(lengths=(750, 1), splits=("train", "train"))
    path = write(tmp_path / "a.npz", **content)
    assert run("--source", path, "--out", tmp_path / "set") == 0
    text = capsys.readouterr().out
    assert "train: 1 clips, 750 frames, 0.5 minutes" in text
    assert "validation: no clips" in text
    assert "left out: 1 clips of fewer than 2 frames" in text
    assert "Tiny Mocap: Ask before use" in text
    assert str(tmp_path / ".") not in text.replace(str(tmp_path / "set"), "")  # no temporary names


def test_fifty_frames_per_second_become_every_other_frame(tmp_path):
    path = write(tmp_path / "a.npz", **arrays(fps=50.0))
    assert run("--source", path, "--out", tmp_path / "set") == 0
    fast, slow = load_clips(str(path), "train"), load_clips(str(tmp_path / "set"), "train")
    assert [clip.fps for clip in slow] == [25.0, 25.0]
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(a.positions[::2], b.positions)


@pytest.mark.parametrize("fps", [24.0, 29.97, 60.0, 120.0])
def test_resampling_keeps_a_steady_motion_steady(fps):
    seconds = np.arange(100) / fps
    motion = np.broadcast_to(1000 * seconds[:, None, None], (100, 28, 3))
    resampled = source.resample(motion, fps)
    expected = np.arange(len(resampled)) / source.RATE
    np.testing.assert_allclose(resampled[:, 3, 1], 1000 * expected, atol=1e-2)
    assert 0 <= seconds[-1] - expected[-1] < 1 / source.RATE + 1e-9


BAD = {
    "lacks the arrays fps, clip_name": {"fps": None, "clip_name": None},
    "joints must be names, each of them once": {"joints": np.array([JOINTS[0]] * 28)},
    "shape (frames, 28, 3)": {"positions": np.zeros((22, 17, 3), np.float32)},
    "NaN": {"positions": np.full((22, 28, 3), np.nan)},
    "fps must be one positive number": {"fps": np.float32(0)},
    "clip_length must be whole numbers": {"clip_length": np.array([5, 12])},
    "clip_text must be text": {"clip_text": np.array([1, 2, 3])},
    "clip 02_01 lies outside the 22 frames": {"clip_length": np.array([5, 12, 4])},
    "clip_split must be train or validation, not test": {"clip_split": np.array(["test"] * 3)},
    "no clip of two frames or more": {"clip_length": np.array([1, 0, 1])},
    "holds no clips": {
        name: arrays()[name][:0] for name in arrays() if name.startswith("clip_")
    },
}


def refused(capsys, out, *argv):
    """Runs the command, expects one line on standard error and nothing written, returns it."""
    before = sorted(out.parent.rglob("*"))
    assert run(*argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("data_pipelines: ")
    assert sorted(out.parent.rglob("*")) == before
    return line


@pytest.mark.parametrize("problem", BAD)
def test_a_source_of_another_layout_is_refused(tmp_path, capsys, problem):
    path, out = write(tmp_path / "a.npz", **BAD[problem]), tmp_path / "set"
    line = refused(capsys, out, "--source", path, "--out", out)
    assert problem in line
    assert str(path) in line or "two frames" in problem


def test_a_file_that_is_missing_or_no_npz_is_refused(tmp_path, capsys):
    out = tmp_path / "set"
    assert "no such file" in refused(capsys, out, "--source", tmp_path / "a.npz", "--out", out)
    text, truncated, pickled = (tmp_path / f"{name}.npz" for name in ("text", "cut", "pickled"))
    text.write_text("not an archive")
    assert "not an .npz" in refused(capsys, out, "--source", text, "--out", out)
    whole = write(tmp_path / "whole.npz").read_bytes()
    damaged = bytearray(whole)
    damaged[200:300] = bytes(100)
    truncated.write_bytes(damaged)
    assert "not a readable" in refused(capsys, out, "--source", truncated, "--out", out)
    write(pickled, clip_text=np.array([None] * 3, object))
    assert "not a readable" in refused(capsys, out, "--source", pickled, "--out", out)


def test_a_file_given_twice_is_refused(tmp_path, capsys):
    path, out = write(tmp_path / "a.npz"), tmp_path / "set"
    line = refused(capsys, out, "--source", f"{path},{path}", "--out", out)
    assert "twice" in line


def test_a_set_too_large_for_tfds_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(prepare, "MOST_NUMBERS", 7 * 28 * 3)
    path, out = write(tmp_path / "a.npz"), tmp_path / "set"
    assert "8 frames of the split 'train'" in refused(
        capsys, out, "--source", path, "--out", out
    )


def test_a_wrong_command_line_is_one_line(tmp_path, capsys):
    assert "--out" in refused(capsys, tmp_path / "set", "--source", "a.npz")


def test_an_existing_set_stays_as_it_is(tmp_path, capsys):
    path, out = write(tmp_path / "a.npz"), tmp_path / "set"
    assert run("--source", path, "--out", out) == 0
    content = {file: file.read_bytes() for file in out.iterdir()}
    capsys.readouterr()
    assert "exists already" in refused(capsys, out, "--source", path, "--out", out)
    path.unlink()
    refused(capsys, out, "--source", path, "--out", out, "--overwrite")
    assert {file: file.read_bytes() for file in out.iterdir()} == content


def test_overwrite_replaces_a_set(tmp_path):
    out = tmp_path / "set"
    old, new = write(tmp_path / "a.npz"), tmp_path / "b.npz"
    write(new, **arrays(lengths=(9,), splits=("train",)))
    assert run("--source", old, "--out", out) == 0
    assert run("--source", new, "--out", out, "--overwrite") == 0
    same(load_clips(str(out), "train"), load_clips(str(new), "train"))
    assert not list(out.glob("*validation*"))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.npz", "b.npz", "set"]


def test_overwrite_spares_any_other_folder(tmp_path, capsys):
    path, out = write(tmp_path / "a.npz"), tmp_path / "set"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    line = refused(capsys, out, "--source", path, "--out", out, "--overwrite")
    assert "not a prepared set" in line
    assert (out / "thesis.tex").read_text() == "years of work"


def test_an_interrupted_run_leaves_nothing(tmp_path, capsys, monkeypatch):
    def interrupt(*unused):
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare.MotionClips, "_generate_examples", interrupt)
    path = write(tmp_path / "a.npz")
    assert run("--source", path, "--out", tmp_path / "set") == 130
    assert capsys.readouterr().err.count("\n") == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, capsys):
    path = write(tmp_path / "a.npz")
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "set"
    with pytest.raises(InputError, match="cannot write"):
        prepare.prepare([path], out)


def test_real_motion_capture_is_read_back_exactly(tmp_path):
    path = SHARED / "data/mocap/accad.npz"
    if not path.is_file():
        pytest.skip("needs ../shared/data/mocap/accad.npz")
    assert run("--source", path, "--out", tmp_path / "set") == 0
    same(load_clips(str(tmp_path / "set"), "train"), load_clips(str(path), "train"))
