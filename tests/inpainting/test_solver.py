"""Batches of windows on any number of devices."""

import jax
import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.inpainting import solver as solver_module
from posegan_jax.inpainting.settings import DescentOptions, ObjectiveWeights
from posegan_jax.inpainting.solver import Solver, default_share
from posegan_jax.model import networks as networks_module
from posegan_jax.model.networks import Networks, build_networks
from posegan_jax.model.options import NetworkOptions
from posegan_jax.runtime import programs

SMALL = NetworkOptions(skeleton="alphapose12", frames=8, latent=8)


class _Device:
    platform = "gpu"

    def __init__(self, gigabytes):
        self._bytes = int(gigabytes * 1e9)

    def memory_stats(self):
        return {"bytes_limit": self._bytes}


def test_a_batch_is_as_large_as_is_fast_and_fits():
    options = NetworkOptions()
    assert default_share(options, jax.devices("cpu")[0]) == solver_module.CPU_SHARE
    shares = [default_share(options, jax.devices("cpu")[0], count) for count in (2, 4, 8, 16)]
    assert shares == [24, 24, 12, 6]
    for large in (8, 80):
        assert default_share(options, _Device(large)) == solver_module.ACCELERATOR_SHARE
    small = default_share(options, _Device(1))
    assert 2 < small < solver_module.ACCELERATOR_SHARE
    longer = NetworkOptions(frames=48)
    assert default_share(longer, _Device(1)) == pytest.approx(small / 2, abs=1)
    assert default_share(options, _Device(0.001)) == 2  # and hope


def test_a_host_that_does_not_tell_its_memory(monkeypatch):
    monkeypatch.delattr(solver_module.os, "sysconf", raising=False)
    options = NetworkOptions()
    assert default_share(options, jax.devices("cpu")[0]) == solver_module.CPU_SHARE


def test_a_search_takes_no_more_memory_than_is_reckoned_with():
    networks = build_networks(NetworkOptions())
    variables = jax.tree.map(
        lambda leaf: np.zeros(leaf.shape, leaf.dtype),
        jax.eval_shape(networks.init, jax.random.key(0)),
    )
    solver = Solver(networks, variables, 8)
    arrays = solver.place(np.ones((1, 24, 28, 2)), np.ones((1, 24, 28)))
    program = solver_module._solve.lower(
        solver.variables, *arrays, networks=networks, options=DescentOptions(steps=0),
        mesh=solver.mesh,
    ).compile()
    used = program.memory_analysis().temp_size_in_bytes
    assert 0 < used < 8 * 24 * 28 * solver_module.BYTES_PER_JOINT


class _Map:
    """A linear map in a network's place."""

    def __init__(self, *shape):
        self._shape = shape

    def apply(self, kernel, x, *mask):
        return (x.reshape(len(x), -1) @ kernel).reshape(-1, *self._shape)


def linear(batch):
    rng = np.random.default_rng(0)
    networks = Networks(_Map(8, 12, 2), _Map(), _Map(8), SMALL)
    variables = {
        "generator": rng.normal(size=(8, 192)).astype("f4"),
        "discriminator": rng.normal(size=(192, 1)).astype("f4"),
        "encoder": rng.normal(0, 0.1, size=(192, 8)).astype("f4"),
    }
    return Solver(networks, variables, batch)


def test_no_more_than_two_batches_are_on_the_devices(monkeypatch):
    solver = linear(4)
    start, events = solver.start, []

    def noted(x, mask, options):
        events.append("start")
        return start(x, mask, options)

    monkeypatch.setattr(solver, "start", noted)
    x = np.random.default_rng(1).normal(300, 50, (18, 8, 12, 2))
    windows, loss = solver(
        x, np.ones(x.shape[:3]), DescentOptions(steps=0), lambda done, total: events.append(done)
    )
    assert events == ["start", "start", 4, "start", 8, "start", 12, "start", 16, 18]
    assert windows.shape == x.shape and np.isfinite(windows).all() and np.isfinite(loss).all()


def test_the_search_by_bfgs_starts_in_the_generators_metric():
    solver = linear(4)
    x = np.random.default_rng(1).normal(300, 50, (5, 8, 12, 2))
    mask = np.ones(x.shape[:3])
    weights = ObjectiveWeights(critic=0.0)
    losses = []
    for metric in (solver.metric, None):
        solver.metric = metric
        options = DescentOptions(5, weights=weights, method="bfgs")
        losses.append(solver(x, mask, options)[1])
    encoded = solver(x, mask, DescentOptions(0, weights=weights))[1]
    assert all((loss < encoded).all() for loss in losses)
    assert not np.array_equal(*losses)


def test_a_search_that_is_kept_is_that_which_is_traced(tmp_path, monkeypatch, unoptimized):
    """To the bit, and without building the networks."""
    monkeypatch.setattr(programs, "folder", lambda: tmp_path / "programs")
    shapes = jax.eval_shape(build_networks(SMALL).init, jax.random.key(0))
    rng = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda leaf: np.abs(rng.normal(0.0, 0.1, leaf.shape)).astype(leaf.dtype), shapes
    )
    x = rng.normal(300, 50, (5, 8, 12, 2))
    mask = (rng.random(x.shape[:3]) < 0.7).astype(float)
    options = DescentOptions(2, weights=ObjectiveWeights(critic=0.0), method="bfgs")
    traced = Solver(build_networks(SMALL), variables, 4)
    expected = *traced(x, mask, options), traced.metric
    assert not (tmp_path / "programs").exists()  # nobody knows what given modules compute
    made = Solver(SMALL, variables, 4)
    found = made(x, mask, options)
    names = [path.name.split("-")[0] for path in sorted((tmp_path / "programs").iterdir())]
    assert names == ["metric", "solve"]

    monkeypatch.setattr(programs, "_loaded", {})  # as in another process
    monkeypatch.setattr(networks_module, "build_networks", None)
    again = made.another(4)
    for one in (*found, made.metric), (*again(x, mask, options), again.metric):
        for a, b in zip(one, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(TypeError, match="not callable"):  # another program is to be traced
        again(x, mask, DescentOptions(0, weights=options.weights))


def test_nothing_to_solve():
    windows, loss = linear(4)(np.zeros((0, 8, 12, 2)), np.zeros((0, 8, 12)), DescentOptions())
    assert windows.shape == (0, 8, 12, 2) and loss.shape == (0,)


@pytest.mark.parametrize("batch", [1, 0, -3, 2.5, "8"])
def test_batches_of_one_are_refused(batch):
    with pytest.raises(InputError, match="batch"):
        linear(batch)


ON_FOUR = """
import re
import jax, numpy as np
from posegan_jax.inpainting import solver as solver_module
from posegan_jax.inpainting.settings import DescentOptions
from posegan_jax.model.options import NetworkOptions
from posegan_jax.model.networks import build_networks

jax.config.update("jax_disable_most_optimizations", True)  # compiling is most of this test
devices = jax.devices()
assert len(devices) == 4
networks = build_networks(NetworkOptions(skeleton="alphapose12", frames=8, latent=8))
rng = np.random.default_rng(0)
variables = jax.tree.map(
    lambda leaf: np.abs(rng.normal(0.0, 0.1, leaf.shape)).astype(leaf.dtype),
    jax.eval_shape(networks.init, jax.random.key(0)),
)
x = rng.normal(300, 50, (21, 8, 12, 2))
mask = (rng.random(x.shape[:3]) < 0.7).astype(float)
options = DescentOptions(steps=3, learning_rate=0.1)
one, four = (solver_module.Solver(networks, variables, 14, devices[:n]) for n in (1, 4))
assert (one.batch, four.batch) == (14, 16)
for a, b in zip(one(x, mask, options), four(x, mask, options), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4)

arrays = four.place(x[:3], mask[:3])
assert [shard.data.shape[0] for shard in arrays[0].addressable_shards] == [4, 4, 4, 4]
for array in four.start(x[:3], mask[:3], options):
    assert array.sharding.is_equivalent_to(arrays[0].sharding, array.ndim)
program = solver_module._solve.lower(
    four.variables, *arrays, networks=networks, options=options, mesh=four.mesh
).compile()
assert not re.findall(
    "all-reduce|all-gather|all-to-all|collective|reduce-scatter", program.as_text()
)
print("equal")
"""


@pytest.mark.slow
def test_devices_share_the_windows_and_do_not_talk(on_devices):
    assert on_devices(4, ON_FOUR) == "equal\n"
