"""Any number of devices and hosts computes what one device computes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import AbstractMesh
from small_runs import ROOT, TINY

from posegan_jax.errors import InputError
from posegan_jax.model.store import load_params
from posegan_jax.runtime import parallel
from posegan_jax.training import logging as metrics_lib

# In double precision, rounding is far below what any error of the parallelism would be. That of
# gradients which are zero otherwise, as of a bias before batch norm, is not in single precision.
DOUBLE = """
import jax
jax.config.update("jax_enable_x64", True)
def double(tree):
    return jax.tree.map(lambda a: a.astype("float64") if a.dtype == "float32" else a, tree)
"""

# Networks that are compiled in no time.
PATCHED = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import small_runs
small_runs.substitute()
"""

STEPS = PATCHED + DOUBLE + """
import functools, re
import jax, numpy as np
from posegan_jax import config as config_lib
from posegan_jax.runtime import parallel
from posegan_jax.training import loop, step
from posegan_jax.training.state import create_state

jax.config.update("jax_disable_most_optimizations", True)
assert jax.device_count() == 8
phase, coordinates, *counts = sys.argv[1], *map(int, sys.argv[2:])
changes = {} if phase != "correction" else {
    "correction.steps": 8, "correction.warmup_steps": 0, "corrector.width": 16,
    "corrector.blocks": 1,
}
changes |= {"model.coordinates": coordinates, "loss.limbs": 1.0}
config = small_runs.configuration("unused", train__batch_size=16, **changes)
made = config_lib.typed(config)
options, networks = made.step, made.networks()
store = loop.load_store(config, "train", options)
results = {}
for count in counts:
    mesh = parallel.make_mesh(jax.devices()[:count])
    state = double(create_state(networks, options, config.seed))
    state = parallel.replicate(mesh, state)
    everywhere = parallel.replicate(mesh, store)
    program = jax.jit(functools.partial(
        step.train_steps, networks=networks, options=options, phase=phase, count=3, mesh=mesh
    )).lower(state, everywhere).compile()
    # Gradients and batch statistics are summed over the devices, if there are several.
    assert ("all-reduce" in program.as_text()) == (count > 1)
    state, metrics = program(state, everywhere)
    for leaf in jax.tree.leaves((state, metrics)):
        first, *others = (np.asarray(shard.data) for shard in leaf.addressable_shards)
        assert len(others) == count - 1 and all((other == first).all() for other in others)
    results[count] = jax.device_get((state, metrics))
for count in counts[1:]:
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(results[1]), jax.tree.leaves(results[count]),
        strict=True,
    ):
        np.testing.assert_allclose(
            b, a, rtol=0.0, atol=1e-6 * np.abs(a).max() + 1e-10,
            err_msg=f"{count} {jax.tree_util.keystr(path)}",
        )
print("equal")
"""

TRAIN = PATCHED + """
import os
import jax
from posegan_jax import main
for name, value in small_runs.JAX_SETTINGS.items():
    jax.config.update(name, value)
config, *rest = (a.replace("PROCESS", os.environ["PROCESS"]) for a in sys.argv[1:])
settings = small_runs.SMALL | {"train.samples_every": 0}  # pictures take time
small = (f"--config.{name}={value}" for name, value in settings.items())
sys.argv = ["posegan train", config, *small, *rest]  # where ml_collections looks for fields
main.run()
"""


REAL = DOUBLE + """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh
from posegan_jax.model.options import NetworkOptions
from posegan_jax.model.networks import build_networks
from posegan_jax.runtime import parallel
from posegan_jax.training.options import LossWeights
from posegan_jax.training.options import OptimizerOptions
from posegan_jax.training.state import create_state
from posegan_jax.training.step import Batch, update
from posegan_jax.training.options import StepOptions

jax.config.update("jax_disable_most_optimizations", True)
networks = build_networks(
    NetworkOptions("alphapose12", 8, 16, critic_normalization="batch"), dtype=jnp.float64
)
options = StepOptions(
    batch_size=16, weights=LossWeights(latent_moments=1.0), optimizer=OptimizerOptions(eps=1e-2)
)
rng = np.random.default_rng(0)
x = jnp.asarray(0.3 * rng.normal(size=(16, 8, 12, 2)))
x = x * jnp.linspace(0.5, 1.5, 16)[:, None, None, None]  # the halves differ
mask = jnp.asarray(rng.random((16, 8, 12)) < 0.8, float)
results = []
for count in (1, 2):
    mesh = parallel.make_mesh(jax.devices()[:count])
    state = parallel.replicate(mesh, double(create_state(networks, options, 0)))
    batch = parallel.scatter(mesh, Batch(x, x * mask[..., None], mask))
    step = jax.jit(lambda state, batch: update(
        state, batch, jax.random.key(1), networks, options, "full", mesh))
    state, metrics = step(state, batch)
    for leaf in jax.tree.leaves((state, metrics)):
        first, *others = (np.asarray(shard.data) for shard in leaf.addressable_shards)
        assert len(others) == count - 1 and all((other == first).all() for other in others)
    statistics = {name: v.get("batch_stats") for name, v in state.variables.items()}
    moments = {name: o.mu for name, o in state.optimizers.items()}
    results.append(jax.device_get((statistics, moments, metrics)))
for (path, a), b in zip(
    jax.tree_util.tree_leaves_with_path(results[0]), jax.tree.leaves(results[1]), strict=True
):
    np.testing.assert_allclose(
        b, a, rtol=0.0, atol=1e-6 * np.abs(a).max() + 1e-10, err_msg=jax.tree_util.keystr(path)
    )
print("equal", len(jax.tree.leaves(results[0])))
"""


@pytest.mark.slow
def test_an_update_of_the_networks_on_two_devices_is_that_on_one(on_devices):
    """Gradients (Adam's first moments), running statistics and metrics, the critic's batch norm
    and the moments of the codes included."""
    word, arrays = on_devices(2, REAL).split()
    assert word == "equal" and int(arrays) > 60


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phase", "coordinates", "counts"),
    [
        ("reconstruction", 2, (1, 4)), ("full", 2, (1, 4, 8)), ("full", 3, (1, 4)),
        ("correction", 2, (1, 4, 8)),
    ],
)
def test_steps_on_several_devices_equal_those_on_one(on_devices, phase, coordinates, counts):
    assert on_devices(8, STEPS, phase, coordinates, *counts) == "equal\n"


def train(on_devices, devices, workdir, steps=12, **more):
    """Runs the training command, with small networks."""
    flags = f"--config={TINY}", f"--config.workdir={workdir}", f"--config.train.steps={steps}"
    on_devices(devices, TRAIN, *flags, *more.pop("flags", ()), **more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def alone(on_devices, folder):
    """The folder of a run on one device, twelve steps of both phases."""
    if not (folder / "alone").exists():
        train(on_devices, 1, folder / "alone")
    return folder / "alone"


def same_run(a, b):
    """Two runs wrote the same metrics and parameters, to float tolerance."""
    for one, other in zip(*(metrics_lib.read(w / "metrics.jsonl") for w in (a, b)), strict=True):
        assert one.keys() == other.keys() and one["step"] == other["step"]
        for name in one.keys() - {"time"}:
            counted = "pckh" in name or "auc" in name  # joints below a distance: 512 in all
            near = 4 / 512 if counted else 1e-3
            assert other[name] == pytest.approx(one[name], rel=1e-2, abs=near), name
    (one, told), (other, also) = load_params(a), load_params(b)
    first, second = (run["config"]["train"] | {"samples_every": 0} for run in (told, also))
    assert first == second
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-2, atol=1e-4), one, other)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(4, 1), (1, 4)])
def test_a_run_goes_on_with_another_number_of_devices(on_devices, alone, tmp_path, before, after):
    train(on_devices, before, tmp_path, steps=4)
    train(on_devices, after, tmp_path, steps=12)
    same_run(alone, tmp_path)


@pytest.mark.slow
def test_two_processes_train_as_one_and_the_first_writes(on_devices, alone, tmp_path):
    with socket.socket() as kept:  # so that nobody else is given this port meanwhile
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(("localhost", 0))
        coordinator = f"--coordinator=localhost:{kept.getsockname()[1]}"
        train(
            on_devices, 2, tmp_path, processes=2,
            flags=("--multi_host", coordinator, "--processes=2", "--process=PROCESS",
                   "--config.train.samples_every=12"),
        )
    same_run(alone, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoints", "curves.png", "metrics.jsonl", "samples"
    ]
    # What two processes have written, one goes on from.
    train(on_devices, 1, tmp_path, steps=14)
    assert [entry["step"] for entry in metrics_lib.read(tmp_path / "metrics.jsonl")][-1] == 14


@pytest.mark.parametrize("flags", [("--multi_host",), ("--processes=2", "--process=0")], ids=str)
def test_hosts_that_nobody_names_end_in_one_line(flags):
    places = ("SLURM", "KUBERNETES", "OMPI", "PMIX", "JAX_COORDINATOR", "TPU", "CLOUD")
    done = subprocess.run(
        [sys.executable, "-m", "posegan_jax.main", f"--config={TINY}", *flags],
        capture_output=True, text=True, check=False, cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith(places)},
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("posegan_jax: --multi_host: coordinator_address")
    assert len(done.stderr.splitlines()) == 1


def test_a_batch_that_cannot_be_split_is_refused():
    four = AbstractMesh((4,), ("data",))  # of devices that this machine may not have
    parallel.check_batch(four, 8)
    with pytest.raises(InputError, match="batch_size=6 must be a multiple of the 4 devices"):
        parallel.check_batch(four, 6)
