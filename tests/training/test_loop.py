"""The training run: what it writes, and that it goes on as if nothing had happened.

Run as a program, this file is the training command with two small changes: its networks are the
small ones of small_runs.py, and it kills itself where $KILL_AT says.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_runs import (
    JAX_SETTINGS,
    ROOT,
    SMALL,
    configuration,
    lines,
    same_state,
    saved_steps,
    substitute,
)

from posegan_jax import config as config_lib
from posegan_jax.errors import InputError
from posegan_jax.model.options import NetworkOptions
from posegan_jax.model.store import load_model, load_params, read_about, save_model
from posegan_jax.motion.store import MotionStore, load_clips
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.runtime import parallel
from posegan_jax.training import loop, step
from posegan_jax.training.checkpoints import Checkpoints
from posegan_jax.training.state import create_state
from posegan_jax.training.validation import clean_options, validate, validation_batch

JOINTS = get_skeleton("mpi_inf_3dhp").joints
pytestmark = pytest.mark.usefixtures("small")

# --- the runs -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(state, workdir) of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        state = loop.train(configuration(""))
    return state, folder / "runs" / "tiny"


def command(workdir, kill_at=""):
    """Runs the training command in a process of its own, without pictures, which take time."""
    settings = SMALL | {"train.samples_every": 0}
    flags = [f"--config.{name}={value}" for name, value in settings.items()]
    environment = {name.upper(): str(value) for name, value in JAX_SETTINGS.items()}
    return subprocess.run(
        [sys.executable, __file__, "--config=configs/tiny.py", f"--config.workdir={workdir}",
         *flags],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | environment | {"PYTHONPATH": str(ROOT), "KILL_AT": kill_at},
    )


def metadata(workdir, step=None):
    return load_params(workdir, step)[1]


# --- what a run does ------------------------------------------------------------------------------


def test_a_run_logs_every_dispatch_and_every_evaluation(finished):
    _, workdir = finished
    train = [entry for entry in lines(workdir) if "train/mpjpe" in entry]
    validation = [entry for entry in lines(workdir) if "validation/mpjpe" in entry]
    assert [entry["step"] for entry in train] == list(range(2, 21, 2))
    assert [entry["step"] for entry in validation] == [4, 8, 12, 16, 20]
    assert len(train) + len(validation) == len(lines(workdir))
    assert {"validation/observed/pckh@0.5", "validation/upsampled/auc"} <= set(validation[0])
    assert all(np.isfinite(value) for entry in train + validation for value in entry.values())


def test_the_critic_follows_when_the_reconstruction_phase_is_over(finished):
    state, workdir = finished
    steps = [entry["step"] for entry in lines(workdir) if "train/wasserstein" in entry]
    assert steps == list(range(10, 21, 2))
    counts = {name: int(optimizer.count) for name, optimizer in state.optimizers.items()}
    assert counts == {"generator": 20, "encoder": 20, "discriminator": 12}
    assert int(state.step) == 20


def test_a_run_saves_and_draws_when_it_is_asked_to(finished):
    _, workdir = finished
    best = min(
        (entry for entry in lines(workdir) if "validation/mpjpe" in entry),
        key=lambda entry: entry["validation/mpjpe"],
    )
    assert saved_steps(workdir) == sorted({12, 16, 20, best["step"]})
    pictures = sorted((workdir / "samples").iterdir())
    assert [path.name for path in pictures] == [f"{step:09d}.png" for step in (8, 16, 20)]
    pictures.append(workdir / "curves.png")
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def test_a_checkpoint_tells_what_it_takes_to_use_it(finished):
    _, workdir = finished
    told = metadata(workdir)
    assert NetworkOptions.from_dict(told["networks"]).frames == 8
    assert told["config"]["train"]["steps"] == 20
    last = lines(workdir)[-1]
    assert {f"validation/{k}": v for k, v in told["metrics"].items()} | {"step": 20} == last
    assert np.shape(read_about(workdir).moments.covariance) == (56, 56)


def test_the_validation_metrics_are_those_of_the_averaged_networks(finished):
    state, workdir = finished
    config = configuration(workdir)
    made = config_lib.typed(config)
    options, networks = made.step, made.networks()
    clean = clean_options(4, options.views, options.corruption)
    store = loop.load_store(config, "validation", clean)
    batch = validation_batch(store, networks, clean, config.evaluate.seed)
    assert np.all(np.isin(batch.mask.sum(-1), 12))  # all that is detected
    expected = validate(networks, state.averages, batch, options.corruption)
    np.testing.assert_allclose(metadata(workdir)["metrics"]["mpjpe"], expected["mpjpe"], rtol=1e-5)


# --- interruptions --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bits(finished, tmp_path):
    """One run, killed at one moment after another; the next start gets past it."""
    state, undisturbed = finished
    workdir = tmp_path / "run"
    for moment, saved in (
        ("line 2", [[]]),  # in the middle of a line of metrics, before any checkpoint
        ("save 4", [[], [4]]),  # while the first one is written
        ("rename 8", [[4]]),  # before the one where the phases meet gets its name
        # The newest is saved in the background: it may not be whole yet when a line is written.
        ("line 10", [[4], [4, 8]]),
        ("line 14", [[4, 8], [4, 8, 12]]),
    ):
        done = command(workdir, moment)
        assert done.returncode == -signal.SIGKILL, (moment, done.stderr)
        folder = workdir / "checkpoints"
        whole = sorted(int(p.name) for p in folder.iterdir() if p.name.isdecimal())
        assert whole in saved, moment
    done = command(workdir, "term 14")
    assert done.returncode == 143, done.stderr
    assert done.stderr.splitlines()[-1] == f"posegan_jax: stopped at step 14; saved in {workdir}"
    # Step 14 was not evaluated; what is known of the residuals is what was measured at 12.
    assert metadata(workdir, 14)["metrics"] == {}
    same_state(read_about(workdir, 14).moments, read_about(undisturbed, 12).moments)
    done = command(workdir, "remove")  # while an old one is removed
    assert done.returncode == -signal.SIGKILL, done.stderr
    done = command(workdir)
    assert done.returncode == 0, done.stderr
    assert lines(workdir) == lines(undisturbed)
    assert metadata(workdir)["metrics"] == metadata(undisturbed)["metrics"]
    same_state(read_about(workdir).moments, read_about(undisturbed).moments)
    same_state(loop.train(configuration(workdir)), state)


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished run's folder, to go on from."""
    shutil.copytree(finished[1], tmp_path / "copy")
    return tmp_path / "copy"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_is_answered_with_a_checkpoint(copied, monkeypatch, number, code):
    write = loop.MetricWriter.write

    def write_and_stop(self, at, metrics):
        write(self, at, metrics)
        if at == 22:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(loop.MetricWriter, "write", write_and_stop)
    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(loop.Interrupted, match="stopped at step 22") as caught:
        loop.train(configuration(copied, train__steps=40))
    assert caught.value.code == code
    assert saved_steps(copied)[-1] == 22
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == handlers


def test_a_signal_between_two_looks_does_not_lose_the_state(copied, monkeypatch):
    """It may arrive at any moment: what is said to be saved has been."""

    class Late(loop._StopSignals):
        looks = 0

        @property
        def requested(self):
            self.looks += 1
            return signal.SIGTERM if self.looks > 1 else 0

        @requested.setter
        def requested(self, value):
            pass

    monkeypatch.setattr(loop, "_StopSignals", Late)
    with pytest.raises(loop.Interrupted) as caught:
        loop.train(configuration(copied, train__steps=40))
    assert f"stopped at step {saved_steps(copied)[-1]};" in str(caught.value)


# --- going on -------------------------------------------------------------------------------------


def test_a_finished_run_is_left_as_it_is(finished, copied, monkeypatch):
    monkeypatch.setattr(loop, "_Run", None)
    same_state(loop.train(configuration(copied)), finished[0])
    assert lines(copied) == lines(finished[1])


def test_a_run_cannot_go_on_between_two_dispatches(copied):
    # From step 20 by threes it would pass every multiple of three, and save nothing.
    changes = {
        name: 24 for name in ("train.steps", "train.checkpoint_every", "train.evaluate_every")
    } | {"optimizer.reconstruction_steps": 9, "train.samples_every": 0}
    with pytest.raises(InputError, match="step 20, which is no multiple of .*per_dispatch=3"):
        loop.train(configuration(copied, train__steps_per_dispatch=3, **changes))


def test_init_from_starts_with_the_given_parameters(finished, tmp_path):
    config = configuration(tmp_path, train__init_from=str(finished[1]))
    state = start(config, tmp_path)
    given, _ = load_params(finished[1])
    same_state(state.variables, given)
    same_state(state.averages, {name: given[name] for name in state.averages})
    same_state(given["encoder"], finished[0].averages["encoder"])
    assert int(state.step) == 0
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(state.optimizers))
    # A resumed run does not look at them again: they may be gone.
    shutil.copytree(finished[1], tmp_path / "copy")
    loop.train(configuration(tmp_path / "copy", train__init_from="gone"))


def test_init_from_takes_the_critic_only_if_there_is_one(finished, tmp_path):
    model = load_model(finished[1])
    given = dict(model.variables)
    del given["discriminator"]
    save_model(tmp_path / "params", model.replace(variables=given))
    state = start(configuration(tmp_path, train__init_from=str(tmp_path / "params")), tmp_path)
    same_state(state.variables["generator"], given["generator"])
    fresh = start(configuration(tmp_path), tmp_path)
    same_state(state.variables["discriminator"], fresh.variables["discriminator"])
    del given["encoder"]
    save_model(tmp_path / "part", model.replace(variables=given))
    with pytest.raises(InputError, match="holds no encoder"):
        start(configuration(tmp_path, train__init_from=str(tmp_path / "part")), tmp_path)


def test_init_from_refuses_parameters_of_other_networks(finished, tmp_path):
    model = load_model(finished[1])
    model.variables["encoder"]["params"]["Dense_0"]["kernel"] = np.zeros((3, 8))
    save_model(tmp_path / "params", model)
    with pytest.raises(InputError, match=r"encoder/.* as \[672, 8\], there is \[3, 8\]$"):
        start(configuration(tmp_path, train__init_from=str(tmp_path / "params")), tmp_path)
    larger = dict(model__latent=5, train__init_from=str(finished[1]))
    with pytest.raises(InputError, match="its encoder has other arrays than config.model gives$"):
        start(configuration(tmp_path, **larger), tmp_path)


def start(config, folder):
    """The state that a run of a configuration begins with."""
    made = config_lib.typed(config)
    with Checkpoints(folder / "none") as checkpoints:
        state, _ = loop._start(made.networks(), made, parallel.make_mesh(), checkpoints)
    return state


def test_a_dispatch_donates_its_state(tmp_path):
    """Half the memory: the new state is written where the old one was."""
    config = configuration(tmp_path)
    made = config_lib.typed(config)
    options, networks, mesh = made.step, made.networks(), parallel.make_mesh()
    store = parallel.replicate(mesh, loop.load_store(config, "train", options))
    run = loop._Run(made, loop.About(), networks, mesh, tmp_path, None, None, None)
    state = parallel.replicate(mesh, create_state(networks, options, 0))
    run.dispatch["reconstruction"](state, store)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    assert not any(leaf.is_deleted() for leaf in store)


# --- what goes wrong ------------------------------------------------------------------------------


def test_nan_in_the_data_ends_the_run_before_it_is_saved(finished, copied, monkeypatch):
    load = loop.load_store

    def damaged(config, split, options):
        store = load(config, split, options)
        return MotionStore(np.full_like(store.positions, np.nan), store.starts)

    monkeypatch.setattr(loop, "load_store", damaged)
    with pytest.raises(loop.TrainingDiverged) as caught:
        loop.train(configuration(copied, train__steps=24))
    check_diverged(caught.value, copied, finished)
    assert "mpjpe" in str(caught.value) and "before step 22" in str(caught.value)


def test_parameters_that_broke_in_the_last_update_are_not_saved(finished, copied, monkeypatch):
    """The losses of that dispatch are still those of good parameters."""
    objective = step.losses.objective

    def with_bad_gradient(outputs, weights):
        total, metrics = objective(outputs, weights)
        return total + jnp.sqrt(0.0 * outputs.x_tilde.sum()), metrics

    monkeypatch.setattr(step.losses, "objective", with_bad_gradient)
    changes = dict(
        train__steps=24, train__steps_per_dispatch=1, train__checkpoint_every=1,
        optimizer__reconstruction_steps=24,
    )
    with pytest.raises(loop.TrainingDiverged, match="parameters not finite") as caught:
        loop.train(configuration(copied, **changes))
    check_diverged(caught.value, copied, finished)


def check_diverged(error, workdir, finished):
    """One line that names the last good checkpoint, which is whole."""
    assert f"last good checkpoint: {workdir}/checkpoints/20;" in str(error)
    assert "\n" not in str(error) and isinstance(error, InputError)
    assert saved_steps(workdir)[-1] == 20
    same_state(loop.train(configuration(workdir)), finished[0])


def test_a_set_without_a_validation_split_is_refused_before_the_first_step(tmp_path, monkeypatch):
    clip = load_clips("procedural", "train")[0]
    source = tmp_path / "train-only.npz"
    np.savez(
        source, positions=clip.positions, joints=np.array(JOINTS), fps=clip.fps, clip_start=[0],
        clip_length=[len(clip.positions)], clip_subject=["a"], clip_name=["b"], clip_text=["c"],
        clip_split=["train"],
    )
    monkeypatch.setattr(loop, "create_state", None)  # nothing is begun
    with pytest.raises(InputError) as caught:
        loop.train(configuration(tmp_path / "run", data__path=str(source)))
    assert str(caught.value) == f"{source}: no clips of the split 'validation'"
    with pytest.raises(InputError, match="'validation'; prepare it with: make data$"):
        loop.train(configuration(tmp_path, data__path=str(source), data__prepare="make data"))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made_is_told_before_data_are_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "load_store", None)
    (tmp_path / "file").touch()
    for workdir in (tmp_path / "file", tmp_path / "file" / "inner"):
        with pytest.raises(InputError, match=f"cannot write to {workdir}/checkpoints: .*is a file"):
            loop.train(configuration(workdir))


def _kill_at(moment: str) -> None:
    """Makes this process kill itself at a moment, as the test above names them."""
    what, _, number = moment.partition(" ")
    write, save, removing = loop.MetricWriter.write, Checkpoints.save, []

    def die(kind=signal.SIGKILL):
        os.kill(os.getpid(), kind)

    def write_and_die(self, at, metrics):
        if what == "line" and at == int(number):
            self._file.write(b'{"step": %d, "ti' % at)
            self._file.flush()
            die()
        write(self, at, metrics)
        if what == "term" and at == int(number):
            die(signal.SIGTERM)

    def save_and_die(self, at, *arguments, **more):
        save(self, at, *arguments, **more)
        if what == "save" and at == int(number):
            die()

    def on_files(event, arguments):
        if what == "rename" and event == "os.rename" and Path(arguments[1]).name == number:
            die()
        if what == "remove" and event == "shutil.rmtree" and Path(arguments[0]).name.isdecimal():
            removing.append(arguments[0])
        if removing and event == "os.remove":
            die()

    loop.MetricWriter.write = write_and_die
    loop.Checkpoints.save = save_and_die
    sys.addaudithook(on_files)


if __name__ == "__main__":
    from posegan_jax import main

    substitute()
    _kill_at(os.environ["KILL_AT"])
    main.run()
