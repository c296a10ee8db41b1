"""Checkpoints: nothing lost, nothing half-written restored, parameters usable alone."""

import contextlib
import functools
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from posegan_jax.errors import InputError
from posegan_jax.geometry.moments import ResidualMoments
from posegan_jax.model.store import load_params, read_about
from posegan_jax.training.checkpoints import Checkpoints

REPOSITORY = Path(__file__).parents[2]


class State(NamedTuple):
    step: jax.Array
    key: jax.Array
    variables: Any
    optimizers: Any
    averages: Any


def make_state(seed=0, step=7, width=5):
    """A state with every kind of leaf: nested dicts, named tuples, empty states, integers, a key"""
    rng = np.random.default_rng(seed)

    def network(inputs):
        normals = {name: rng.normal(size=width).astype("f4") for name in ("scale", "mean", "var")}
        kernel = rng.normal(size=(inputs, width)).astype("f4")
        variables = {
            "params": {"conv_0": {"kernel": kernel}, "bn_0": {"scale": normals.pop("scale")}},
            "batch_stats": {"bn_0": normals},
        }
        return jax.tree.map(jnp.asarray, variables)

    variables = {"generator": network(3), "discriminator": network(2)}
    optimizer = optax.chain(optax.clip(1.0), optax.adam(1e-3))
    return State(
        step=jnp.int32(step),
        key=jax.random.key_data(jax.random.key(seed)),
        variables=variables,
        optimizers={name: optimizer.init(v["params"]) for name, v in variables.items()},
        averages={"generator": network(3)},
    )


def abstract(tree):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)


def assert_same(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.fixture
def saved(tmp_path):
    """A run's folder with steps 1 and 2, closed."""
    with Checkpoints(tmp_path / "run") as manager:
        for step in (1, 2):
            manager.save(step, make_state(seed=step, step=step), {"config": {"lr": step / 10}})
    return tmp_path / "run"


def test_a_state_comes_back_whole_with_its_metadata(tmp_path):
    state = make_state()
    metadata = {"config": {"lr": 1e-4, "name": "tiny"}, "frames": 24, "metrics": {"loss": 0.5}}
    with Checkpoints(tmp_path / "run") as manager:
        assert manager.latest_step() is None
        assert manager.restore(abstract(state)) is None
        assert manager.save(7, state, metadata)
    with Checkpoints(tmp_path / "run") as manager:
        assert manager.latest_step() == 7
        restored, back = manager.restore(abstract(state))
    assert isinstance(restored, State)
    assert_same(restored, state)
    assert back == metadata
    # the key is the same stream of random numbers
    key = jax.random.wrap_key_data(restored.key)
    assert jax.random.normal(key) == jax.random.normal(jax.random.key(0))


def test_moments_are_saved_beside_a_state_where_there_are_some(tmp_path):
    rng = np.random.default_rng(0)
    default = ResidualMoments.default(3)
    moments = default._replace(covariance=rng.normal(size=(6, 6)).astype("f4"))
    with Checkpoints(tmp_path / "run") as manager:
        manager.save(1, make_state(), {"frames": 24})
        manager.save(2, make_state(), {"frames": 24}, moments=jax.tree.map(jnp.asarray, moments))
        for step in (1, 2):
            assert_same(manager.restore(abstract(make_state()), step)[0], make_state())
    assert read_about(tmp_path / "run", 1)[0] is None
    assert_same(read_about(tmp_path / "run")[0], jax.tree.map(np.asarray, moments))
    params, metadata = load_params(tmp_path / "run")
    assert "residual" not in metadata
    assert metadata == {"frames": 24} and "generator" in params


def test_the_newest_or_the_step_asked_for(saved):
    target = abstract(make_state())
    with Checkpoints(saved) as manager:
        newest, metadata = manager.restore(target)
        assert_same(newest, make_state(seed=2, step=2))
        assert metadata == {"config": {"lr": 0.2}}
        older, metadata = manager.restore(target, step=1)
        assert_same(older, make_state(seed=1, step=1))
        assert metadata == {"config": {"lr": 0.1}}
        with pytest.raises(InputError, match=r"3: no such checkpoint; saved steps: \[1, 2\]"):
            manager.restore(target, step=3)


def test_a_saved_step_is_only_written_again_by_force(saved):
    target = abstract(make_state())
    with Checkpoints(saved) as manager:
        assert not manager.save(2, make_state(seed=9), {})
        assert_same(manager.restore(target)[0], make_state(seed=2, step=2))
        assert manager.save(2, make_state(seed=9), {}, force=True)
        assert_same(manager.restore(target)[0], make_state(seed=9))
        assert manager.save(1, make_state(seed=8), {}, force=True)  # older than the newest
        assert_same(manager.restore(target, step=1)[0], make_state(seed=8))


def test_old_checkpoints_go_and_the_best_stays(tmp_path):
    losses = {1: 0.9, 2: 0.1, 3: float("nan"), 4: 0.5, 5: 0.4, 6: None}
    state = {"params": {"w": jnp.ones(2)}}

    def run(folder, **options):
        with Checkpoints(folder, max_to_keep=2, **options) as manager:
            for step, loss in losses.items():
                manager.save(step, state, {"metrics": {} if loss is None else {"loss": loss}})
        with Checkpoints(folder, max_to_keep=2, **options) as manager:  # known from disk alone
            return sorted(int(p.name) for p in folder.iterdir()), manager.best_step()

    assert run(tmp_path / "plain") == ([5, 6], None)
    assert run(tmp_path / "min", best_metric="loss") == ([2, 5, 6], 2)
    assert run(tmp_path / "max", best_metric="loss", best_mode="max") == ([1, 5, 6], 1)


def test_metadata_is_the_one_at_the_call(tmp_path):
    metadata = {"metrics": {"loss": 1.0}}
    state = {"params": {"w": jnp.zeros((1000, 1000))}}
    with Checkpoints(tmp_path / "run") as manager:
        manager.save(1, state, metadata)
        metadata["metrics"]["loss"] = 2.0
        assert manager.restore(abstract(state))[1] == {"metrics": {"loss": 1.0}}
        with pytest.raises(TypeError):
            manager.save(2, state, {"function": test_metadata_is_the_one_at_the_call})
        assert manager.latest_step() == 1


def test_arrays_may_be_donated_while_they_are_written(tmp_path):
    state = {f"a{i}": jnp.full((500, 1000), i + 0.5) for i in range(10)}
    overwrite = jax.jit(lambda tree: jax.tree.map(lambda x: x * 0 - 1, tree), donate_argnums=0)
    with Checkpoints(tmp_path / "run") as manager:
        manager.save(1, state, {})
        state = jax.block_until_ready(overwrite(state))
        restored, _ = manager.restore(abstract(state))
    for i in range(10):
        assert np.all(np.asarray(restored[f"a{i}"]) == i + 0.5)


# What a killed process leaves behind: seen by killing one at various moments of a save.
def leave_temporary(run):
    shutil.copytree(run / "2", run / "3.orbax-checkpoint-tmp")
    (run / "3.orbax-checkpoint-tmp" / "state").rename(
        run / "3.orbax-checkpoint-tmp" / "state.orbax-checkpoint-tmp"
    )


def leave_older_temporary_name(run):
    shutil.copytree(run / "2", run / "3.orbax-checkpoint-tmp-1795468374414550433")


def leave_empty(run):
    (run / "3").mkdir()


def leave_unfinished_items(run):
    shutil.copytree(run / "2", run / "3")
    (run / "3" / "state").rename(run / "3" / "state.orbax-checkpoint-tmp")


def leave_no_metadata(run):
    shutil.copytree(run / "2", run / "3")
    shutil.rmtree(run / "3" / "metadata")


def leave_truncated_index(run):
    shutil.copytree(run / "2", run / "3")
    os.truncate(run / "3" / "state" / "manifest.ocdbt", 0)


@pytest.mark.parametrize(
    "leave",
    [
        leave_temporary,
        leave_older_temporary_name,
        leave_empty,
        leave_unfinished_items,
        leave_no_metadata,
        leave_truncated_index,
    ],
)
def test_half_written_folders_are_ignored_and_removed(saved, leave):
    leave(saved)
    assert len(list(saved.iterdir())) == 3
    load_params(saved)  # reads the newest complete one ...
    assert len(list(saved.iterdir())) == 3  # ... and removes nothing: a run may be writing
    with Checkpoints(saved) as manager:
        assert sorted(p.name for p in saved.iterdir()) == ["1", "2"]
        assert manager.latest_step() == 2
        state, _ = manager.restore(abstract(make_state()))
        assert_same(state, make_state(seed=2, step=2))
        assert manager.save(3, make_state(seed=3, step=3), {})
        state, _ = manager.restore(abstract(make_state()))
        assert_same(state, make_state(seed=3, step=3))


def test_a_numbered_folder_of_someone_else_is_not_removed(tmp_path):
    (tmp_path / "2024").mkdir()
    (tmp_path / "2024" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="2024: is no checkpoint; move it away"):
        Checkpoints(tmp_path)
    assert (tmp_path / "2024" / "thesis.tex").exists()


# orbax ends its event loop at the first read that fails; the others still report to it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("file", ["state/ocdbt.process_0/d/*", "state/d/*", "state/_METADATA"])
def test_damaged_files_are_told_in_one_line(tmp_path, file):
    # Of a small state orbax copies the arrays into its index, and never reads them elsewhere.
    make = functools.partial(make_state, width=1000)
    saved = tmp_path / "run"
    with Checkpoints(saved) as manager:
        for step in (1, 2):
            manager.save(step, make(seed=step, step=step), {"config": {}})
    data = max((saved / "2").glob(file), key=lambda path: path.stat().st_size)
    os.truncate(data, data.stat().st_size // 2)
    with Checkpoints(saved) as manager:
        for read in (lambda: manager.restore(abstract(make())), lambda: load_params(saved)):
            with pytest.raises(InputError, match="2: cannot be read, move it away") as caught:
                read()
            assert "\n" not in str(caught.value)
    shutil.move(saved / "2", saved.parent)
    with Checkpoints(saved) as manager:  # and the advice works
        state, _ = manager.restore(abstract(make()))
    assert_same(state, make(seed=1, step=1))


def load(folder):
    return load_params(folder)[0]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: s._replace(averages={**s.averages, "encoder": s.step}), "has no averages/enco"),
        (lambda s: s._replace(averages={}), "has averages/.*, which this run has not"),
        (lambda s: make_state(width=6), r"as float32\[5\], this run has it as float32\[6\]"),
        (lambda s: s._replace(step=jnp.float32(1)), r"step as int32\[\], this run .* float32\[\]"),
    ],
)
def test_a_state_that_does_not_fit_is_told_in_one_line(saved, change, message):
    with Checkpoints(saved) as manager:
        with pytest.raises(InputError, match=message) as caught:
            manager.restore(abstract(change(make_state())))
    assert "\n" not in str(caught.value)
    assert str(saved / "2") in str(caught.value)


def test_parameters_of_a_run_load_without_knowing_the_optimizer(saved):
    state = make_state(seed=2, step=2)
    expected = {  # the average where there is one
        "generator": jax.tree.map(np.asarray, state.averages["generator"]),
        "discriminator": jax.tree.map(np.asarray, state.variables["discriminator"]),
    }
    (saved.parent / "work").mkdir()
    shutil.copytree(saved, saved.parent / "work" / "checkpoints")
    for folder in (saved, saved / "2", saved.parent / "work"):
        params, metadata = load_params(folder)
        assert_same(params, expected)
        assert all(type(leaf) is np.ndarray for leaf in jax.tree.leaves(params))
        assert metadata == {"config": {"lr": 0.2}}
    params, metadata = load_params(str(saved), step=1)
    older = make_state(seed=1).averages["generator"]
    assert_same(params["generator"], jax.tree.map(np.asarray, older))
    assert metadata == {"config": {"lr": 0.1}}


def test_what_is_no_checkpoint_is_told_in_one_line(tmp_path, saved):
    (tmp_path / "file").write_text("")
    with Checkpoints(tmp_path / "foreign") as manager:
        manager.save(1, {"weights": jnp.ones(1)}, {})
    for path, step, message in (
        (saved, 5, r"no checkpoint of step 5; saved steps: \[1, 2\]"),
        (saved / "1", 5, "is one checkpoint; leave the step"),
        (tmp_path / "foreign", None, "holds no networks"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            load_params(path, step)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    with pytest.raises(InputError, match="is a file"):
        Checkpoints(tmp_path / "file")
    with pytest.raises(InputError, match="cannot write to .*file/run: Not a directory"):
        Checkpoints(tmp_path / "file" / "run")


SAVE_ON_FOUR = """
import sys
import jax, jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from posegan_jax.training.checkpoints import Checkpoints
assert jax.device_count() == 4
mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
place = lambda x, spec: jax.device_put(x, NamedSharding(mesh, spec))
state = {
    "variables": {"generator": {"w": place(jnp.arange(8.0), PartitionSpec("data"))}},
    "step": place(jnp.int32(3), PartitionSpec()),
}
with Checkpoints(sys.argv[1]) as manager:
    manager.save(3, state, {"devices": 4})
"""

RESTORE_ON_TWO = """
import sys
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from posegan_jax.training.checkpoints import Checkpoints
assert jax.device_count() == 2
mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
split, whole = NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec())
target = {
    "variables": {"generator": {"w": jax.ShapeDtypeStruct((8,), jnp.float32, sharding=split)}},
    "step": jax.ShapeDtypeStruct((), jnp.int32, sharding=whole),
}
with Checkpoints(sys.argv[1]) as manager:
    state, metadata = manager.restore(target)
w = state["variables"]["generator"]["w"]
assert metadata == {"devices": 4}
assert w.sharding == split and state["step"].sharding == whole
assert [shard.data.shape for shard in w.addressable_shards] == [(4,), (4,)]
np.testing.assert_array_equal(np.asarray(w), np.arange(8.0))
"""


def run_on_devices(count, program, *args):
    environment = {
        **os.environ,
        "JAX_NUM_CPU_DEVICES": str(count),
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, args)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_state_moves_to_another_number_of_devices(tmp_path):
    noise = run_on_devices(4, SAVE_ON_FOUR, tmp_path / "run")
    noise += run_on_devices(2, RESTORE_ON_TWO, tmp_path / "run")
    assert not re.search("orbax|[Ss]harding", noise)
    # here, on one device: placed by default, and as plain numpy arrays
    target = {
        "variables": {"generator": {"w": jax.ShapeDtypeStruct((8,), jnp.float32)}},
        "step": jax.ShapeDtypeStruct((), jnp.int32),
    }
    with Checkpoints(tmp_path / "run") as manager:
        state, _ = manager.restore(target)
        as_numpy, _ = manager.restore(jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), target))
    restored = state["variables"]["generator"]["w"]
    assert restored.devices() == {jax.local_devices()[0]}
    assert type(as_numpy["variables"]["generator"]["w"]) is np.ndarray
    for variables in (state["variables"], as_numpy["variables"], load(tmp_path / "run")):
        np.testing.assert_array_equal(np.asarray(variables["generator"]["w"]), np.arange(8.0))


def test_orbax_reports_are_kept_out_of_the_log(tmp_path, caplog):
    absl = logging.getLogger("absl")
    absl.setLevel(logging.INFO)
    try:
        with caplog.at_level(logging.INFO), Checkpoints(tmp_path / "run") as manager:
            manager.save(1, {"params": {"w": jnp.ones(2)}}, {})
            manager.restore({"params": {"w": jax.ShapeDtypeStruct((2,), jnp.float32)}})
    finally:
        absl.setLevel(logging.NOTSET)
    assert not [r for r in caplog.records if "orbax" in r.pathname]


def test_a_failed_write_is_not_hidden(tmp_path):
    state = {"variables": {"generator": {"w": jnp.ones(2)}}}
    manager = Checkpoints(tmp_path / "run")
    manager.save(1, state, {})
    manager.wait()
    (tmp_path / "run").rename(tmp_path / "gone")
    (tmp_path / "run").write_text("in the way")
    with pytest.raises(OSError):
        manager.save(2, state, {})
        manager.wait()
    assert manager.latest_step() == 1
    with contextlib.suppress(OSError):
        manager.close()
