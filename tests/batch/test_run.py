"""A run over many files, from the command line."""

import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from posegan_jax import cli, formats
from posegan_jax.batch import run as run_module
from posegan_jax.batch.devices import Usage
from posegan_jax.batch.engines import ENGINES
from posegan_jax.batch.hosts import Host
from posegan_jax.batch.manifest import Job
from posegan_jax.batch.run import Summary
from posegan_jax.batch.work import Outcome
from posegan_jax.errors import InputError
from posegan_jax.inpainting import settings
from posegan_jax.runtime.files import atomic_folder, atomic_path

LONG = 600
"""Seconds after which nobody waits any more for what should have happened."""


@pytest.fixture
def command(checkpoint):
    """The arguments of a run: inputs and folder -> all of them."""

    def arguments(*inputs, output, workers=0):
        return [
            "batch", *map(str, inputs), "-o", str(output), "--quality", "fast", "--fps", "25",
            "--checkpoint", checkpoint, "--workers", str(workers),
        ]

    return arguments


@pytest.fixture
def posegan(capsys):
    """Runs a command in this process: exit code, standard output, standard error."""
    return lambda arguments: (cli.main(arguments), *capsys.readouterr())


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


# --- what a run says ------------------------------------------------------------------------------


def test_a_run_and_the_same_again(command, posegan, clips, tmp_path, contents):
    folder, out = clips(2), tmp_path / "out"
    (folder / "bad.json").write_text('{"cut off')
    code, said, complained = posegan(command(folder, output=out))
    assert code == 1
    assert said.startswith("filled 2 of 3 files, 1 failed, 80 frames in ")
    assert "devices busy for" in said and said.count("\n") == 1
    assert f"  {folder}/bad.json: not valid JSON" in complained and "Traceback" not in complained
    found = summary_of(out)
    assert found["files"] == 3 and found["filled"] == 2 and found["finished"]
    assert [failure["input"] for failure in found["failures"]] == [f"{folder}/bad.json"]
    assert found["frames"] == 80 and found["people"] == 2 and found["options"]["fps"] == 25.0
    assert sum(found["joints"].values()) == 80 * 12 and 0 < found["utilisation"] <= 1
    assert sorted(os.listdir(out)) == ["clip0.npz", "clip1.npz", "summary.json"]

    before = contents(out)
    times = {path.name: path.stat().st_mtime_ns for path in out.glob("*.npz")}
    (folder / "bad.json").unlink()
    code, said, _ = posegan(command(folder, output=out))
    assert code == 0 and said == "filled 0 of 2 files, 2 were there already\n"
    assert contents(out) == before
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.npz")} == times


def test_a_file_is_filled_as_by_fill(command, posegan, clips, tmp_path):
    folder, out = clips(1), tmp_path / "out"
    given = command(folder, output=out)
    assert posegan(given)[0] == 0
    alone = ["fill", str(folder / "clip0.npz"), "-o", str(tmp_path / "clip0.npz"),
             *given[given.index("--quality") : given.index("--workers")]]
    assert posegan(alone)[0] == 0
    assert (out / "clip0.npz").read_bytes() == (tmp_path / "clip0.npz").read_bytes()


def test_shifts_are_up_to_the_windows_of_the_checkpoint(
    command, posegan, weights, clips, tmp_path
):
    folder, out = clips(1, frames=90), tmp_path / "out"
    given = [*command(folder, output=out), "--checkpoint", weights(frames=48), "--shift"]
    code, _, said = posegan([*given, "49"])
    assert code == 2 and "shift must be between 1 and 48 frames, not 49" in said
    assert not out.exists()
    assert posegan([*given, "30"])[0] == 0
    alone = ["fill", str(folder / "clip0.npz"), "-o", str(tmp_path / "clip0.npz"),
             "--quality", "fast", "--fps", "25", *given[-3:], "30"]
    assert posegan(alone)[0] == 0
    assert (out / "clip0.npz").read_bytes() == (tmp_path / "clip0.npz").read_bytes()


def test_formats_stay_what_they_are(command, posegan, people, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    formats.write([people(0)], folder / "a.json", "alphapose")
    formats.write([people(1)], folder / "b.csv")
    (folder / "openpose").mkdir()
    formats.write([people(2)], folder / "openpose" / "clip", "openpose")
    assert posegan(command(folder, output=out))[0] == 0
    names = ("a.json", "b.csv", "openpose/clip")
    assert [formats.read(out / name).format for name in names] == ["alphapose", "csv", "openpose"]


@pytest.fixture
def refused(posegan, no_engine):
    """Runs a command that must end with code 2 and one line, before anything is computed."""

    def run(arguments):
        code, _, said = posegan(arguments)
        assert code == 2 and said.startswith("posegan: ") and said.count("\n") == 1
        return said

    return run


@pytest.fixture
def no_engine(monkeypatch):
    def fails(*arguments):
        pytest.fail("a mistake was not found out before computing")

    monkeypatch.setitem(ENGINES, "local", fails)


def test_outputs_of_other_options_are_not_mixed(command, refused, clips, tmp_path):
    folder, out = clips(1), tmp_path / "out"
    out.mkdir()
    given = command(folder, output=out)
    (out / "clip7.npz").write_text("")
    options = {"checkpoint": "packaged", "joints": "same", "fps": 25.0, "ignore_ids": False}
    (out / "summary.json").write_text(json.dumps({"options": options}))
    assert "outputs of other options (checkpoint, quality, shift or steps, obs" in refused(given)
    for content in ("[1]", '{"options": null}', "{"):
        (out / "summary.json").write_text(content)
        assert "summary.json: not of an earlier run" in refused(given)


@pytest.fixture
def loaded(monkeypatch):
    """Runs fill nothing; the checkpoints that they would have used."""
    used = []

    def nothing(jobs, options, checkpoint, *more):
        used.append(checkpoint)
        yield from ()

    monkeypatch.setitem(ENGINES, "local", nothing)
    return used


def test_weights_count_by_what_they_are_not_by_where(
    command, refused, checkpoint, clips, tmp_path, loaded
):
    weights, moved, out = tmp_path / "weights", tmp_path / "moved", tmp_path / "out"
    shutil.copytree(checkpoint, weights)
    given = [*command(clips(1), output=out), "--checkpoint"]
    assert cli.main([*given, str(weights)]) == 0
    (out / "clip7.npz").write_text("")
    weights.rename(moved)
    assert cli.main([*given, str(moved)]) == 0
    arrays = max((p for p in moved.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    arrays.write_bytes(arrays.read_bytes()[:-1] + b"?")
    assert "outputs of other options (checkpoint); give" in refused([*given, str(moved)])
    assert loaded == [str(weights), str(moved)]


def test_joint_maps_count_by_what_they_say(command, refused, clips, tmp_path, loaded):
    joints, moved, out = tmp_path / "joints.json", tmp_path / "moved.json", tmp_path / "out"
    given = [*command(clips(1), output=out), "--joint-map"]
    joints.write_text('{"joints": ["left_wrist", "right_wrist"]}')
    assert cli.main([*given, str(joints)]) == 0
    (out / "clip7.npz").write_text("")
    joints.rename(moved)
    assert cli.main([*given, str(moved)]) == 0
    moved.write_text('{"joints": ["right_wrist", "left_wrist"]}')
    assert "outputs of other options (joint_map); give" in refused([*given, str(moved)])
    assert "outputs of other options (joint_map); give" in refused([*given, "body25b"])
    assert len(loaded) == 2


def test_one_checkpoint_serves_a_whole_run(command, checkpoint, clips, tmp_path, loaded):
    steps = tmp_path / "training" / "checkpoints"
    shutil.copytree(checkpoint, steps / "10")
    given = [*command(clips(1), output=tmp_path / "out"), "--checkpoint", str(steps.parent)]
    assert cli.main(given) == 0
    assert loaded == [str(steps / "10")]


def test_a_mistake_in_the_options_is_mended_in_the_same_folder(command, posegan, clips, tmp_path):
    given = command(clips(1), output=tmp_path / "out")
    assert posegan([*given, "--checkpoint", str(tmp_path / "nowhere")])[0] == 2
    assert posegan(given)[0] == 0


def test_mistakes_are_found_before_computing(command, posegan, refused, clips, tmp_path):
    folder = clips(1)
    assert "no such file" in refused(command("nowhere", output=tmp_path / "out"))
    (tmp_path / "file").write_text("")
    assert "cannot write" in refused(command(folder, output=tmp_path / "file"))
    given = command(folder, output=tmp_path / "out")
    for option, value, said in (
        ("--shift", "17", "shift must be between 1 and 16 frames, not 17"),
        ("--fps", "1000", "fps must be above 0 and at most 240"),
        ("--joint-map", "nope", "nope: no such joint map"),
    ):
        assert said in refused([*given, option, value])
    with pytest.raises(SystemExit, match="2"):
        posegan([*given[:-1], "-1"])
    assert not (tmp_path / "out").exists()


def test_windows_are_as_long_as_the_checkpoint_says(options, tmp_path, monkeypatch):
    told = {"networks": {"frames": 48, "skeleton": "h36m17"}}
    monkeypatch.setattr(settings, "find_checkpoint", lambda path: path)
    monkeypatch.setattr(settings, "read_metadata", lambda path: told)
    dataclasses.replace(options, shift=48, joints="h36m17").check_model(tmp_path)
    with pytest.raises(InputError, match="joints must be .* of coco17 it does not know nose"):
        dataclasses.replace(options, joints="coco17").check_model(tmp_path)
    with pytest.raises(InputError, match="shift must be between 1 and 48 frames, not 49"):
        dataclasses.replace(options, shift=49).check_model(tmp_path)


def test_mistakes_from_python_are_found_before_computing(options, clips, tmp_path, no_engine):
    folder = clips(1)
    for mistake, said in (
        ({"min_score": math.nan}, "min_score must be"), ({"fps": 1000.0}, "fps must be above 0"),
    ):
        with pytest.raises(InputError, match=said):
            run_module.run([folder], tmp_path / "out", dataclasses.replace(options, **mistake))
    with pytest.raises(InputError, match="engine must be 'local' or 'ray', not 'lokal'"):
        run_module.run([folder], tmp_path / "out", options, engine="lokal")
    assert not (tmp_path / "out").exists()


def test_two_runs_do_not_write_to_one_folder(command, refused, clips, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    folder, out = clips(1), tmp_path / "out"
    out.mkdir()
    with open(out / run_module.LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another run is writing to" in refused(command(folder, output=out))


def test_a_lock_that_another_run_removes_is_taken_anew(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    lock, tries = fcntl.flock, []

    def late(handle, operation):
        if not tries:
            (tmp_path / run_module.LOCK).unlink()
        tries.append(handle)
        lock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with run_module._claimed(tmp_path):
        assert len(tries) == 2
        with pytest.raises(InputError, match="another run"), run_module._claimed(tmp_path):
            pass
    assert not os.listdir(tmp_path)


def test_half_written_files_are_removed(command, posegan, clips, people, tmp_path, no_engine):
    folder, out = clips(1), tmp_path / "out"
    frames = tmp_path / "clips" / "frames"
    formats.write([people(0)], frames, "openpose")
    (out / "frames").mkdir(parents=True)
    for name in ("clip0.npz", "frames"):
        with pytest.raises(KeyError), (atomic_folder if name == "frames" else atomic_path)(
            out / name, *[formats.openpose.is_frame] * (name == "frames")
        ) as temporary:
            begun = temporary.parent if name == "frames" else temporary
            kept = out / f"kept {begun.name}"
            shutil.move(begun, kept)
            raise KeyError
        shutil.move(kept, begun)  # as if the process had been killed in between
    (out / ".other.abcdefgh.tmp.npz").write_text("not ours")
    (out / "clip0.npz").write_text("whole")
    assert len(os.listdir(out)) == 5
    assert posegan(command(folder, output=out))[0] == 0
    assert sorted(os.listdir(out)) == [
        ".other.abcdefgh.tmp.npz", "clip0.npz", "frames", "summary.json"
    ]
    assert (out / "clip0.npz").read_text() == "whole"


def test_usage_is_that_of_all_engines():
    summary = Summary()
    assert summary.utilisation is None
    for engine, busy, wall in (("a", 1.0, 2.0), ("b", 1.0, 1.0), ("a", 3.0, 4.0)):
        outcome = Outcome(Job("x", "y"), frames=2, joints={"filled": 3}, bridged=4, moved=1,
                          sides=2, notes=("ids were exchanged",))
        summary.add(outcome, engine, Usage(busy, wall))
    assert summary.utilisation == 4.0 / 5.0
    assert (summary.frames, summary.joints) == (6, {"filled": 9})
    assert (summary.bridged, summary.moved, summary.sides) == (12, 3, 6)
    assert "12 frames bridged, left and right exchanged in 6 frames, 3 confident" in str(summary)
    assert "notes on 1 of them in summary.json" in str(summary)
    assert summary.content()["notes"] == {"x": ("ids were exchanged",)}


# --- runs that are stopped ------------------------------------------------------------------------


@pytest.fixture
def interruptible():
    """Python's answer to Ctrl-C, which a shell takes from what it runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupt_ends_a_run_in_order(
    command, posegan, clips, tmp_path, monkeypatch, number, code
):
    folder, out = clips(8, frames=90), tmp_path / "out"
    write, add, close = formats.write, Summary.add, Host.close
    begun, writing, closing = [], threading.Event(), threading.Event()

    def write_until_the_end(*arguments):
        """Takes for the second file until the host is being closed."""
        begun.append(arguments)
        if len(begun) == 2:
            writing.set()
            closing.wait()
        write(*arguments)

    def interrupt(self, *outcome):
        add(self, *outcome)
        assert writing.wait(timeout=LONG)
        signal.raise_signal(number)

    def close_and_tell(self):
        self._executor.shutdown(wait=False, cancel_futures=True)
        closing.set()
        close(self)

    monkeypatch.setattr(formats, "write", write_until_the_end)
    monkeypatch.setattr(Summary, "add", interrupt)  # at the first file
    monkeypatch.setattr(Host, "close", close_and_tell)
    found, _, said = posegan(command(folder, output=out))
    assert found == code and said.splitlines()[-1].startswith("posegan: interrupted; what was")
    written = sorted(path.name for path in out.glob("*.npz"))
    assert len(written) == 2  # the one that was counted, and the one that was being written
    assert summary_of(out)["filled"] == len(written) and not summary_of(out)["finished"]
    assert sorted(p.name for p in out.iterdir() if p.name != run_module.LOCK) == [
        *written, "summary.json"
    ]
    assert all(len(formats.read(out / name)) == 1 for name in written)


KILLED = """
import os, signal, sys
from posegan_jax import cli, formats
from posegan_jax.batch.run import Summary

moment, arguments = sys.argv[1], sys.argv[2:]
passed = []

def die(count):
    passed.append(moment)
    if len(passed) == count:
        os.kill(os.getpid(), signal.SIGKILL)

def after(function, count):
    def call(*arguments):
        function(*arguments)
        die(count)
    return call

def on_files(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith(".npz"):
        die(3)

if moment == "before the third has its name":
    sys.addaudithook(on_files)
elif moment == "before the second is counted":
    formats.write = after(formats.write, 2)
elif moment == "when two are counted":
    Summary.add = after(Summary.add, 2)
cli.main(arguments)
"""


@pytest.mark.parametrize(
    "moment, workers", [("before the third has its name", 0), ("before the second is counted", 0),
                        ("when two are counted", 1)],
)
def test_a_run_that_was_killed_goes_on_to_the_same_outputs(
    command, posegan, clips, tmp_path, contents, moment, workers
):
    folder, out = clips(8, frames=90), tmp_path / "out"
    arguments = command(folder, output=out, workers=workers)
    # Its pipes are at their end when its worker has ended, too.
    done = subprocess.run(
        [sys.executable, "-c", KILLED, moment, *arguments], capture_output=True, text=True,
        timeout=LONG, check=False, cwd=Path(cli.__file__).parents[1],
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    written = contents(out)
    if workers:  # which may have gone on for a moment
        assert 2 <= len(written) <= 8
    else:
        assert len(written) == 2
    half = [path.name for path in out.glob(".*.tmp.npz")]
    assert workers or len(half) == (moment == "before the third has its name")

    code, said, _ = posegan(arguments)
    assert code == 0 and f"{len(written)} were there already" in said
    undisturbed = tmp_path / "undisturbed"
    assert posegan(command(folder, output=undisturbed, workers=workers))[0] == 0
    expected = contents(undisturbed)
    assert len(expected) == 8 and contents(out) == expected
    assert written.items() <= expected.items()
    assert sorted(os.listdir(out)) == [*expected, "summary.json"]
