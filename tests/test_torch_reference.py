"""What is timed against computes the same: outputs, losses, gradients, updates, the search."""

import json

import jax
import numpy as np
import pytest

from benchmarks import speed
from posegan_jax.errors import InputError

torch = pytest.importorskip("torch")
reference = pytest.importorskip("benchmarks.torch_reference")


@pytest.fixture(scope="module")
def setup():
    return speed.Setup(8)


@pytest.mark.parametrize("channels_last", (False, True))
def test_networks_give_the_same(setup, channels_last):
    theirs = reference.build(
        setup.networks.options, setup.variables, reference.Contender(False, channels_last))
    z, _ = setup.random_inputs()
    for name, inputs in (
        ("generator", (z,)), ("discriminator", (setup.batch.x,)),
        ("encoder", (setup.batch.x_in, setup.batch.mask)),
    ):
        apply = jax.jit(getattr(setup.networks, name).apply)
        ours = apply(setup.variables[name], *inputs)
        speed.compare({name: ours}, {name: theirs[name].eval()(*speed.to_torch("cpu", *inputs))})


@pytest.mark.slow
@pytest.mark.parametrize("phase", ("reconstruction", "full"))
def test_a_step_computes_the_same(setup, phase):
    speed.compare_training(setup, phase)


@pytest.mark.slow
def test_the_search_finds_the_same(setup):
    speed.compare_search(setup)


def test_what_differs_is_not_timed():
    with pytest.raises(InputError, match="loss: PyTorch's differs from ours by 2.0e-03"):
        speed.compare({"loss": np.float32(1.0)}, {"loss": torch.tensor(1.002)})


def test_contenders_take_turns_and_one_that_fails_is_told():
    calls = []

    def broken():
        calls.append("b")
        raise RuntimeError("no such backend\nand more")

    contenders = {"ours": (lambda: calls.append("a"), 2), "torch eager, x": (broken, 1)}
    timings = speed.take_turns("a task", contenders, 3)
    assert "".join(calls) == "abaaa"
    assert [len(t.seconds) for t in timings] == [3, 0]
    assert "not measured" not in speed.report(timings)
    assert "a task, torch eager, x: RuntimeError: no such backend" in speed.report(timings)


def test_the_table_tells_the_best_of_pytorch():
    timings = [
        speed.Timing("step", "ours", (0.5, 0.7, 0.6)),
        speed.Timing("step", "torch eager, a", (2.0,)),
        speed.Timing("step", "torch eager, b", (1.0, 3.0)),
        speed.Timing("step", "torch compile, a", (0.8,)), speed.Timing("other", "ours", ()),
    ]
    lines = speed.report(timings).splitlines()
    assert lines[2] == "step | 500 ms (600 ms) | 1 s (2 s) | 800 ms (800 ms) | 1.60"
    assert lines[3].startswith("other | not measured |")


def test_stopped_it_tells_what_it_has(monkeypatch, capsys, tmp_path):
    def stop(device, repetitions):
        raise KeyboardInterrupt

    monkeypatch.setattr(speed, "train", lambda *a: [speed.Timing("step", "ours", (0.5,))])
    monkeypatch.setattr(speed, "descent", stop)
    path = tmp_path / "speed.json"
    assert speed.main(["--device", "cpu", "--only", "train,descent", "-o", str(path)]) == 130
    assert "step | 500 ms" in capsys.readouterr().out
    assert json.loads(path.read_text())["timings"][0]["seconds"] == [0.5]


@pytest.mark.parametrize("words, told", [
    (["--only", "train,tennis"], "tennis"), (["--repetitions", "0"], "at least 1"),
    (["--device", "gpu"], "JAX finds none"),
])
def test_mistakes_are_told_in_a_line(words, told, capsys):
    if told == "JAX finds none" and jax.default_backend() != "cpu":
        pytest.skip("there is one")
    assert speed.main(words) == 2
    error = capsys.readouterr().err.strip()
    assert told in error and "\n" not in error
