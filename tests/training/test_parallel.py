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

from posegan_jax.errors import InputError
from posegan_jax.training import logging as metrics_lib
from posegan_jax.training import parallel
from posegan_jax.training.checkpoints import load_params

HERE = Path(__file__).parent
TINY = HERE.parents[1] / "configs" / "tiny.py"

# The small networks of test_loop.py, compiled in no time.
PATCHED = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
import test_loop
from posegan_jax.training import loop, step
loop.build_networks, step.sample_mask = test_loop.small_networks, test_loop.few_holes
"""

STEPS = PATCHED + """
import functools, re
import jax, numpy as np
from posegan_jax import config as config_lib
from posegan_jax.training import parallel
from posegan_jax.training.state import create_state

jax.config.update("jax_disable_most_optimizations", True)
assert jax.device_count() == 8
phase, counts = sys.argv[1], [int(count) for count in sys.argv[2:]]
# Gradients that are zero but for rounding, as of a bias before batch norm, must not become steps.
config = test_loop.configuration("unused", train__batch_size=16, optimizer__eps=1e-2)
options = config_lib.step_options(config)
networks = test_loop.small_networks(config_lib.network_options(config))
store = loop.load_store(config, "train", options)
results = {}
for count in counts:
    mesh = parallel.make_mesh(jax.devices()[:count])
    state = parallel.replicate(mesh, create_state(networks, options.optimizer, config.seed))
    everywhere = parallel.replicate(mesh, store)
    program = jax.jit(functools.partial(
        step.train_steps, networks=networks, options=options, phase=phase, count=3, mesh=mesh
    )).lower(state, everywhere).compile()
    # Gradients and batch statistics are summed over the devices, if there are several.
    assert ("all-reduce" in program.as_text()) == (count > 1)
    state, metrics = program(state, everywhere)
    assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(state))
    results[count] = jax.device_get((state, metrics))
for count in counts[1:]:
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(results[1]), jax.tree.leaves(results[count]),
        strict=True,
    ):
        np.testing.assert_allclose(
            b, a, rtol=0.0, atol=1e-3 * np.abs(a).max() + 1e-5,
            err_msg=f"{count} {jax.tree_util.keystr(path)}",
        )
print("equal")
"""

TRAIN = PATCHED + """
import os
import jax
from posegan_jax import main
for name, value in test_loop.JAX_SETTINGS.items():
    jax.config.update(name, value)
config, *rest = (a.replace("PROCESS", os.environ["PROCESS"]) for a in sys.argv[1:])
small = (f"--config.{name}={value}" for name, value in test_loop.SMALL.items())
sys.argv = ["posegan train", config, *small, *rest]  # where ml_collections looks for fields
main.run()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("phase", "counts"), [("reconstruction", (1, 4)), ("full", (1, 4, 8))])
def test_steps_on_several_devices_equal_those_on_one(on_devices, phase, counts):
    assert on_devices(8, STEPS, phase, *counts) == "equal\n"


def train(on_devices, devices, workdir, steps=12, **more):
    """Runs the training command, with small networks."""
    flags = (
        f"--config={TINY}", f"--config.workdir={workdir}", f"--config.train.steps={steps}",
        "--config.optimizer.eps=0.01",  # as above
    )
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
    assert told["config"]["train"] == also["config"]["train"]
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-2, atol=1e-4), one, other)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(4, 1), (1, 4)])
def test_a_run_goes_on_with_another_number_of_devices(on_devices, alone, tmp_path, before, after):
    train(on_devices, before, tmp_path, steps=4)
    train(on_devices, after, tmp_path, steps=12)
    same_run(alone, tmp_path)


@pytest.mark.slow
def test_two_processes_train_as_one_and_the_first_writes(on_devices, alone, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    together = ("--multi_host", f"--coordinator=localhost:{port}", "--processes=2")
    train(
        on_devices, 2, tmp_path, flags=(*together, "--process=PROCESS"), processes=2
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
        capture_output=True, text=True, check=False, cwd=TINY.parents[1],
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
