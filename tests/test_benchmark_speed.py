"""The comparison with PyTorch, but for PyTorch: turns, tables, models, being stopped."""

import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.speed import __main__ as command
from benchmarks.speed import check, gpu, models, report, sizes, tasks
from benchmarks.speed.timing import Contender, Task, Timing, take_turns
from posegan_jax.inpainting import inpainter as inpainter_module
from posegan_jax.inpainting.settings import DescentOptions
from posegan_jax.model import networks as networks_module
from posegan_jax.model.networks import Networks
from posegan_jax.model.options import NetworkOptions
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.runtime import compilation_cache
from posegan_jax.training import batch

ROOT = os.path.dirname(os.path.dirname(__file__))
pytestmark = pytest.mark.usefixtures("registries")  # its skeletons are known to no other test


def calling(function, count=1):
    return Contender(lambda: function, count)


# --- turns --------------------------------------------------------------------------------------


def test_contenders_take_turns_and_one_that_fails_is_told():
    calls, record = [], []

    def broken():
        calls.append("b")
        raise RuntimeError("no such backend\nand more")

    contenders = {
        "ours": calling(lambda: calls.append("a"), 2), "torch eager, x": calling(broken)}
    take_turns(record, "a task", contenders, 3, 60)
    assert "".join(calls) == "abaaa"
    assert [len(t.seconds) for t in record] == [3, 0]
    told = report.comparison(record)
    assert "not measured" not in told
    assert "a task, torch eager, x: RuntimeError: no such backend" in told


def test_what_cannot_be_made_is_told_too():
    record = []

    def make():
        raise ValueError("no GPU")

    take_turns(record, "a task", {"ours": Contender(make)}, 3, 60)
    assert record == [Timing("a task", "ours", [], "ValueError: no GPU")]


def test_turns_end_with_the_budget_and_a_warm_call_is_not_timed():
    record, calls = [], []
    contender = Contender(
        lambda: calls.append, 1, lambda call: functools.partial(call, "warm"))
    take_turns(record, "a task", {"ours": contender._replace(
        make=lambda: lambda how="timed": calls.append(how))}, 9, 0.0)
    assert calls == ["warm", "timed", "timed"] and len(record[0].seconds) == 2


def test_the_slow_ways_of_pytorch_have_one_turn(monkeypatch):
    from benchmarks.speed import timing

    clock = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])

    def takes(seconds):
        def call():
            clock[0] += seconds

        return calling(call)

    record = []
    take_turns(record, "a task", {
        "ours": takes(9.0), "torch eager, a": takes(1.0), "torch eager, b": takes(1.1),
        "torch compile, a": takes(1.3),
    }, 3, 1e6)
    assert [len(t.seconds) for t in record] == [3, 3, 3, 1]
    assert round(record[0].least, 6) == round(record[0].median, 6) == 9.0


# --- tables -------------------------------------------------------------------------------------


def test_the_table_tells_the_best_of_pytorch():
    timings = [
        Timing("step", "ours", [0.5, 0.7, 0.6]),
        Timing("step", "torch eager, a", [2.0]),
        Timing("step", "torch eager, b", [1.0, 3.0]),
        Timing("step", "torch compile, a", [0.8]), Timing("other", "ours", []),
        Timing("step", "checked", note="as PyTorch's to 1e-06"),
    ]
    lines = report.comparison(timings).splitlines()
    assert lines[2] == "step | 500 ms (600 ms) | 1 s (2 s) | 800 ms (800 ms) | 1.60"
    assert lines[3].startswith("other | not measured |")
    assert lines[5:] == ["step, checked: as PyTorch's to 1e-06"]


def test_the_table_tells_shares_of_the_ceilings():
    timings = [
        Timing("product", "ours", [2.0]), Timing(report.BANDWIDTH, "ours", [1.0]),
        Timing("step", "ours", [4.0], flop=1e12, moved=1e12, ceiling="product"),
        Timing("other", "ours", [4.0], flop=1e12, ceiling="not measured"),
    ]
    lines = report.comparison(timings).splitlines()
    assert lines[4].endswith("| 50% | 25%") and lines[5].endswith("|  | ")


def test_the_table_of_sizes():
    timings = [
        Timing("filling, 24 frames, 12 joints", "ours", [0.002, 0.004], unit="frames/s"),
        Timing("full step, 24 frames, 12 joints", "ours", [0.5], unit="steps/s"),
        Timing("filling, 48 frames, 12 joints", "ours", [], "ValueError: no", unit="frames/s"),
    ]
    lines = report.sizes(timings).splitlines()
    assert lines[0] == "frames | joints | filling, frames/s | full step, steps/s"
    assert lines[2] == "24 | 12 | 500 (333) | 2 (2)"
    assert lines[3] == "48 | 12 | not measured | not measured"
    assert lines[5] == "filling, 48 frames, 12 joints: ValueError: no"


# --- models -------------------------------------------------------------------------------------


def test_the_models_have_the_sizes_that_are_told():
    rows = {n: len(get_skeleton(models.skeleton(n)).rows) for n in models.SKELETONS}
    assert rows == {12: 6, 28: 18, 45: 27}
    assert all(len(get_skeleton(models.skeleton(n))) == n for n in rows)
    flop = models.step_flop(NetworkOptions(), "full", 256)
    assert 1.5e11 < flop < 1.56e11  # benchmarks/NOTES.md: 154 GFLOP


@pytest.mark.slow
def test_27_rows_and_three_coordinates_are_trained_and_searched(unoptimized):
    setup = models.Setup(models.IN_SPACE, 2)
    assert setup.batch.x.shape == (2, 24, 45, 3) and setup.store is None
    models.training(setup, "reconstruction", 1)()
    found = models.search(setup, DescentOptions(steps=1))(
        setup.variables, setup.batch.x_in, setup.batch.mask)
    assert found.x_tilde.shape == setup.batch.x_in.shape == (2, 24, 45, 2)
    assert np.isfinite(found.loss).all() and (found.loss <= found.start_loss).all()


# --- the command --------------------------------------------------------------------------------


STOPPED = """
import threading
from benchmarks.speed import __main__ as command
from benchmarks.speed.timing import Contender, Task, take_turns

def tasks(plan):
    once = {"ours": Contender(lambda: lambda: None)}
    return [
        Task("first", lambda record: take_turns(record, "first", once, 2, 1.0)),
        Task("second", lambda record: threading.Event().wait()),
    ]

command.PARTS["train"] = command.Part(tasks, limit=600)
raise SystemExit(command.main())
"""


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT))
def test_terminated_it_tells_what_it_has(number, tmp_path):
    path = tmp_path / "speed.json"
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, "--only", "train", "-o", str(path)], text=True, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": ROOT}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    try:
        for line in process.stderr:
            if line.startswith("[2/2] second"):
                break
        # Written after the first task, before anybody asked for it.
        assert json.loads(path.read_text())["timings"][0]["task"] == "first"
        path.unlink()
        process.send_signal(number)
        out, error = process.communicate(timeout=600)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert f"stopped by {number.name}; this was measured:\n" in error
    assert out.splitlines()[2].startswith("first | ")
    written = json.loads(path.read_text())
    assert len(written["timings"][0]["seconds"]) == 2 and written["timings"][0]["part"] == "train"


def part_of(*listed, table=report.comparison):
    return command.Part(lambda plan: list(listed), table, limit=600)


def test_a_task_that_fails_is_told_and_the_others_go_on(monkeypatch, capsys):
    def fail(record):
        raise ValueError("out of memory\n...")

    def work(record):
        take_turns(record, "good", {"ours": calling(lambda: None)}, 2, 1.0)

    monkeypatch.setitem(command.PARTS, "train", part_of(Task("bad", fail), Task("good", work)))
    assert command.main(["--only", "train"]) == 1
    out, error = capsys.readouterr()
    assert "bad | not measured" in out and "bad, ours: ValueError: out of memory" in out
    assert "good | " in out and "[2/2] good" in error


def test_it_ends_at_its_limit(monkeypatch, capsys):
    import threading

    forever = Task("endless", lambda record: threading.Event().wait())
    monkeypatch.setitem(command.PARTS, "train", part_of(forever))
    assert command.main(["--only", "train", "--limit", "0.1"]) == 0
    assert "its limit" in capsys.readouterr().err


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="there is a GPU")
def test_without_a_gpu_nothing_is_measured_of_one(capsys):
    assert command.main(["--only", "gpu"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert len(rows) > 10 and all("| not measured |" in row for row in rows)


def test_the_limits_are_what_the_docs_tell():
    default = [command.PARTS[name] for name in command.DEFAULT.split(",")]
    assert sum(part.limit for part in default if not part.accelerated) < 600
    assert command.PARTS["gpu"].limit < 360


class _Generator(nn.Module):
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, z, train=False):
        return jnp.tanh(nn.Dense(24 * 28 * 2)(z)).reshape(-1, 24, 28, 2)


class _Encoder(nn.Module):
    @nn.compact
    def __call__(self, x, mask, train=False):
        return nn.Dense(4)((x * mask[..., None]).reshape(len(x), -1))


class _Critic(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        return nn.Dense(1)(nn.tanh(nn.Dense(4)(x.reshape(len(x), -1))))[:, 0]


def small_networks(options, dtype=None, **unused):
    return Networks(_Generator(), _Critic(), _Encoder(), options)


@pytest.mark.slow
@pytest.mark.skipif(jax.default_backend() != "cpu", reason="there is a GPU")
def test_all_that_a_gpu_is_asked_for_runs(monkeypatch, unoptimized, capsys, tmp_path):
    for module in (models, check, networks_module):
        monkeypatch.setattr(module, "build_networks", small_networks)
    monkeypatch.setattr(batch, "sample_mask", lambda key, x, *unused: jnp.ones(x.shape[:-1]))
    monkeypatch.setattr(gpu, "torch", None)
    monkeypatch.setattr(check, "torch", None)
    monkeypatch.setattr(command, "torch", None)
    small = models.untrained(NetworkOptions(latent=4))
    monkeypatch.setattr(
        gpu, "PACKAGED", models.PACKAGED._replace(model=lambda: small))
    monkeypatch.setattr(inpainter_module, "load_packaged", lambda: small)
    path = tmp_path / "gpu.json"
    with compilation_cache.disabled():  # programs are known by options, not by these networks
        assert command.main(["--only", "gpu", "--tiny", "-o", str(path)]) == 0
    out, error = capsys.readouterr()
    assert "not measured" not in out and "Error" not in out
    assert "encoder's gradient: as the CPU's in float64" in out
    assert "only ours is timed" in error
    found = {t["task"]: t for t in json.loads(path.read_text())["timings"]}
    step = found["full step, bf16, 4 windows"]
    assert step["seconds"] and step["flop"] > 0 and step["moved"] > 0
    assert found["filling a track of 30 frames, `balanced`"]["unit"] == "frames/s"


@pytest.mark.slow
def test_a_size_is_filled_and_trained(monkeypatch, unoptimized):
    monkeypatch.setattr(sizes, "FRAMES", (24,))
    monkeypatch.setattr(sizes, "JOINTS", (12,))
    plan = tasks.Plan(None, repetitions=1, sizes=dataclasses.replace(tasks.TINY, batch=2))
    record = []
    for task in sizes.tasks(plan):
        task.run(record)
    assert [t.unit for t in record] == ["frames/s", "steps/s", "steps/s"]
    assert all(t.seconds and not t.note for t in record)


@pytest.mark.parametrize("words, told", [
    (["--only", "train,tennis"], "tennis"), (["--repetitions", "0"], "at least 1"),
    (["--limit", "-1"], "more than 0"), (["-o", "nowhere/a.json"], "no such folder"),
    (["--device", "gpu"], "JAX finds none"),
])
def test_mistakes_are_told_in_a_line(words, told, capsys):
    if told == "JAX finds none" and jax.default_backend() != "cpu":
        pytest.skip("there is one")
    assert command.main(words) == 2
    error = capsys.readouterr().err.strip()
    assert told in error and "\n" not in error
