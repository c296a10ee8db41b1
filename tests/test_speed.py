"""What the benchmark of this machine measures and prints."""

import json
import math
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax import cli, speed
from posegan_jax.errors import InputError
from posegan_jax.inpainting import inpainter as inpainter_module
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.inpainting.solver import Solver
from posegan_jax.model.model import Model
from posegan_jax.model.networks import Networks
from posegan_jax.model.options import NetworkOptions
from posegan_jax.speed_options import SpeedOptions
from posegan_jax.training import batch


class _Generator(nn.Module):
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
        return nn.Dense(1)(x.reshape(len(x), -1))[:, 0]


def small_networks(options, dtype=None, **unused):
    return Networks(_Generator(), _Critic(), _Encoder(), options)


@pytest.fixture(scope="module")
def inpainter():
    rng = np.random.default_rng(0)

    def dense(inputs, outputs):
        kernel = rng.normal(0, inputs**-0.5, (inputs, outputs)).astype("f4")
        return {"params": {"Dense_0": {"kernel": kernel, "bias": np.zeros(outputs, "f4")}}}

    variables = {
        "generator": dense(4, 1344), "encoder": dense(1344, 4),
        "discriminator": dense(1344, 1),
    }
    made = Inpainter(Model(NetworkOptions(latent=4), variables), batch=4)
    made.solver = Solver(small_networks(made.model.options), variables, 4)
    return made


@pytest.fixture(scope="module")
def report(inpainter):
    options = SpeedOptions(qualities=("fast",), frames=30, seconds=0.01, batch_size=4)
    jax.config.update("jax_disable_most_optimizations", True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "build_networks", small_networks)
        # Most of what there is to compile.
        patch.setattr(speed, "PHASES", ("reconstruction",))
        patch.setattr(batch, "sample_mask", lambda key, x, *unused: jnp.ones(x.shape[:-1]))
        try:
            return speed.measure(inpainter, options, show=False)
        finally:
            jax.config.update("jax_disable_most_optimizations", False)


def test_every_figure_is_measured_or_said_not_to_be(report):
    fast = report["filling"]["qualities"]["fast"]
    assert fast.keys() == {"windows_per_second", "frames_per_second", "compile_seconds"}
    assert all(value > 0 for value in fast.values())
    result, half = report["training"]
    assert (result["phase"], result["dtype"]) == ("reconstruction", "float32")
    assert (half["phase"], half["dtype"]) == ("reconstruction", "bfloat16")
    assert result["steps_per_second"] > 0 and result["compile_seconds"] > 0
    assert result["program_bytes"] > 0 and result["batch_size"] % 4 == 0
    assert report["machine"]["devices"] and report["machine"]["cores"] >= 1
    assert report["peak_memory"]["host"] > 1e7


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="measured elsewhere")
def test_what_a_cpu_is_not_asked_for_prints_as_not_measured(report):
    assert [r["steps_per_second"] is None for r in report["training"]] == [False, True]
    assert report["peak_memory"]["device"] is None
    text = list(speed.lines(report))
    rows = [line.split() for line in text]
    assert ["reconstruction", "bfloat16", *["not", "measured"] * 3] in rows
    assert any(line.startswith("peak memory: host ") for line in text)
    assert [line for line in text if line.endswith("device not measured")]
    assert len({len(line) for line in text if "float" in line}) == 1


def test_the_report_is_saved_as_json(report, tmp_path):
    speed.save(report, tmp_path / "speed.json")
    assert json.loads((tmp_path / "speed.json").read_text()) == report
    assert [path.name for path in tmp_path.iterdir()] == ["speed.json"]


def test_the_track_is_noisy_and_has_holes_whatever_its_length():
    for frames in (24, 700):
        track = speed.track("mpi_inf_3dhp", frames)
        seen = np.isfinite(track.keypoints[..., 0])
        assert len(track) == frames and seen.any(axis=1).mean() > 0.5
        assert not seen[:, 12:].all() and 0.05 < seen.mean() < 12 / 28
    again = speed.track("mpi_inf_3dhp", 700)
    np.testing.assert_array_equal(again.keypoints, track.keypoints)
    assert speed.track("alphapose12", 30).keypoints.shape == (30, 12, 2)


def test_a_rate_is_of_calls_alone(monkeypatch):
    times = iter([0.0, 2.0, 10.0, 12.0])
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(times))
    assert math.isclose(speed.rate(lambda: None, 3.0), 0.5)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (dict(parts=("dancing",)), "part.*filling.*dancing"),
        (dict(qualities=("finest",)), "qualit.*fast.*finest"),
        (dict(frames=3), "frames.*24.*3"),
        (dict(seconds=0.0), "seconds.*0"),
        (dict(batch_size=1), "batch.size.*2.*1"),
    ],
)
def test_wrong_options_are_named(options, named, capsys):
    with pytest.raises(InputError, match=named):
        SpeedOptions(**options)
    (name, value), = options.items()
    flag = {"parts": "--part", "qualities": "--quality"}.get(name, f"--{name.replace('_', '-')}")
    with pytest.raises(SystemExit, match="2"):
        cli.main(["speed", flag, value[0] if isinstance(value, tuple) else str(value)])
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and re.search(f"speed: --{named}", said)


def test_the_command(inpainter, report, monkeypatch, tmp_path, capsys):
    asked = []

    def measure(inpainter, options):
        asked.append(options)
        return report

    monkeypatch.setattr(speed, "measure", measure)
    monkeypatch.setattr(inpainter_module, "load", lambda checkpoint: inpainter)
    output = tmp_path / "speed.json"
    assert cli.main([
        "speed", "--part", "filling", "--quality", "fast,best", "--frames", "50",
        "--seconds", "1", "--batch-size", "8", "-o", str(output),
    ]) == 0
    assert asked == [SpeedOptions(("filling",), ("fast", "best"), 50, 1.0, 8)]
    said = capsys.readouterr().out.splitlines()
    assert said == [*speed.lines(report), f"wrote {output}"] and output.is_file()
    assert cli.main(["speed"]) == 0 and asked[1] == SpeedOptions()
    assert cli.main(["speed", "-o", str(tmp_path / "nowhere" / "a.json")]) == 2


def test_its_old_name_works_and_says_the_new_one(inpainter, report, monkeypatch, capsys):
    monkeypatch.setattr(speed, "measure", lambda inpainter, options: report)
    monkeypatch.setattr(inpainter_module, "load", lambda checkpoint: inpainter)
    assert cli.main(["benchmark"]) == 0
    assert capsys.readouterr().err == "posegan: 'posegan benchmark' is 'posegan speed' now\n"
