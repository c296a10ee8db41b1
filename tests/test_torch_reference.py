"""What is timed against computes the same: outputs, losses, gradients, updates, the search."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import speed
from posegan_jax.inpainting.descent import DescentOptions, descend
from posegan_jax.networks.build import NetworkOptions, build_networks
from posegan_jax.training.losses import LossWeights
from posegan_jax.training.state import OptimizerOptions, create_state
from posegan_jax.training.step import Batch, StepOptions, update

torch = pytest.importorskip("torch")
reference = pytest.importorskip("benchmarks.torch_reference")

# A large eps: near zero, Adam's first step would tell but the sign of a gradient's rounding error.
OPTIONS = StepOptions(
    batch_size=16, optimizer=OptimizerOptions(learning_rate=1e-3, eps=1e-2),
    weights=LossWeights(latent_moments=2.0),
)


@pytest.fixture(scope="module")
def made():
    networks = build_networks(NetworkOptions(frames=8))
    state = create_state(networks, OPTIONS.optimizer, seed=3)
    # Fresh networks give nearly nothing, and normalisation then magnifies rounding errors.
    state = state.replace(variables=jax.tree.map(lambda v: 4 * v, state.variables))
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (16, 8, 28, 2)).astype(np.float32)
    mask = (rng.random((16, 8, 28)) < 0.6).astype(np.float32)
    return networks, state, Batch(x, x * mask[..., None], mask)


def tensors(*arrays):
    return [torch.from_numpy(np.array(a)) for a in arrays]


def close(ours, theirs, tolerance=1e-4):
    ours, theirs = np.asarray(ours), theirs.detach().numpy()
    assert ours.shape == theirs.shape
    assert np.linalg.norm(ours - theirs) <= tolerance * np.linalg.norm(ours)


@pytest.mark.parametrize("channels_last", (False, True))
def test_networks_give_the_same(made, channels_last):
    networks, state, batch = made
    theirs = reference.build(
        networks.options, state.variables, reference.Contender(False, channels_last))
    x, x_in, mask = tensors(*batch)
    z = np.random.default_rng(1).normal(size=(16, 128)).astype(np.float32)
    for name, ours, inputs in (
        ("generator", (z,), tensors(z)),
        ("discriminator", (batch.x,), (x,)),
        ("encoder", (batch.x_in, batch.mask), (x_in, mask)),
    ):
        apply = jax.jit(getattr(networks, name).apply)
        close(apply(state.variables[name], *ours), theirs[name].eval()(*inputs))


@pytest.mark.slow
@pytest.mark.parametrize("phase", ("reconstruction", "full"))
def test_a_step_changes_the_same(made, phase):
    networks, state, batch = made
    key = jax.random.key(5)
    k_z, k_critic = jax.random.split(key)
    step = jax.jit(
        functools.partial(update, networks=networks, options=OPTIONS, phase=phase))
    after, metrics = step(state, batch, key)
    contender = reference.Contender()
    theirs = reference.build(networks.options, state.variables, contender)
    trainer = reference.Trainer(theirs, OPTIONS, contender, 1e-3)
    inputs = tensors(*batch)
    if phase == "full":
        z = jax.random.normal(k_z, (16, 128))
        part = jax.random.uniform(k_critic, (16, 1, 1, 1))
        critic_loss, loss = trainer.full_step(*inputs, *tensors(z, part))
        close(10 * metrics["gradient_penalty"] - metrics["wasserstein"], critic_loss)
        changed = tuple(theirs)
    else:
        loss, changed = trainer.reconstruction_step(*inputs), ("generator", "encoder")
    close(metrics["autoencoder_loss"], loss)
    for name in changed:
        gradient = jax.tree.map(lambda m: m / (1 - OPTIONS.optimizer.b1), after.optimizers[name].mu)
        expected = reference.parameters_like(theirs[name], {"params": gradient})
        for ours, parameter in zip(expected, theirs[name].parameters(), strict=True):
            close(ours, parameter.grad)
        expected = reference.parameters_like(theirs[name], after.variables[name])
        for ours, parameter in zip(expected, theirs[name].parameters(), strict=True):
            close(ours, parameter)


def test_the_search_finds_the_same(made):
    networks, state, batch = made
    options = DescentOptions(steps=3, learning_rate=0.1)
    found = jax.jit(functools.partial(descend, networks, options=options))(
        state.variables, batch.x_in, batch.mask)
    theirs = reference.build(networks.options, state.variables)
    search = reference.Search(theirs, options, reference.Contender())
    z, loss = search(*tensors(batch.x_in, batch.mask))
    close(found.loss, loss)
    close(found.z, z, 1e-3)
    assert jnp.all(found.loss < found.start_loss)


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
