"""The phase in which the corrector is trained, and the simulated errors of refined joints."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest
from optax.tree_utils import tree_get
from small_runs import configuration, lines, same_state, saved_steps

from posegan_jax import config as config_lib
from posegan_jax.errors import InputError
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.model.constants import Constants
from posegan_jax.model.corrector import Corrector
from posegan_jax.model.options import CORRECTOR, CorrectorOptions
from posegan_jax.model.store import load_model, save_model
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton
from posegan_jax.runtime import parallel
from posegan_jax.training import correction, loop
from posegan_jax.training.checkpoints import Checkpoints
from posegan_jax.training.correction import refined
from posegan_jax.training.options import CorrectionOptions


@pytest.fixture(scope="module", autouse=True)
def quick(small):
    """Random numbers that compile faster."""
    before = jax.config.jax_default_prng_impl
    jax.config.update("jax_default_prng_impl", "unsafe_rbg")
    yield
    jax.config.update("jax_default_prng_impl", before)


# Four steps of reconstruction, four of everything, the rest the corrector's.
STEPS = {
    "optimizer.reconstruction_steps": 4, "train.steps": 88, "correction.steps": 80,
    "correction.warmup_steps": 4, "correction.learning_rate": 3e-3, "corrector.width": 32,
    "corrector.blocks": 1, "train.batch_size": 8, "train.checkpoint_every": 8,
    "train.evaluate_every": 8, "train.samples_every": 0, "train.steps_per_dispatch": 4,
    "train.keep_checkpoints": 20,
}
ALONE = {
    "optimizer.reconstruction_steps": 0, "train.steps": 80, "corrector.corrects": False,
    "train.samples_every": 80,
}


def settings(workdir, corrects=True, **changes):
    return configuration(workdir, **{**STEPS, **({} if corrects else ALONE), **changes})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(state, workdir) of a run of all three phases."""
    folder = tmp_path_factory.mktemp("finished")
    return loop.train(settings(folder)), folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """(state, workdir) of a run of a corrector that completes by itself."""
    folder = tmp_path_factory.mktemp("alone")
    return loop.train(settings(folder, corrects=False)), folder


@pytest.fixture(params=["finished", "alone"])
def either(request):
    """Of either kind: whether it corrects, its state, its folder."""
    return request.param == "finished", *request.getfixturevalue(request.param)


def track(skeleton, detected, frames=40, seed=0):
    """A person who moves smoothly, the detected joints with holes."""
    rng = np.random.default_rng(seed)
    place = rng.normal(300, 60, (1, len(skeleton), 2))
    turn = np.arange(frames)[:, None, None] / 9 + rng.uniform(0, 6, place.shape)
    keypoints = place + 15 * np.sin(turn)
    keypoints[rng.random((frames, len(skeleton))) < 0.3] = np.nan
    keypoints[:, ~skeleton.mask(detected)] = np.nan
    return PoseSequence(keypoints, skeleton=skeleton.name, fps=25.0)


def check_fills(folder, skeleton):
    """Joints that detectors deliver are given, all are filled; the corrector has its say."""
    model = load_model(folder)
    sequence = track(skeleton, model.detected)
    result, without = (
        Inpainter(m, batch=2)(sequence, joints=skeleton.name, quality="fast")
        for m in (model, model.replace(corrector=None))
    )
    assert np.isfinite(result.keypoints).all() and (result.scores > 0).all()
    change = np.abs(without.keypoints - result.keypoints)
    assert change[:, ~skeleton.mask(model.detected)].max() > 0.01


# --- runs -----------------------------------------------------------------------------------------


def test_it_learns(either):
    corrects, state, workdir = either
    losses = [entry["train/correction"] for entry in lines(workdir) if "train/correction" in entry]
    assert len(losses) == 20
    assert np.mean(losses[-3:]) < (0.95 if corrects else 0.8) * np.mean(losses[:3])
    assert np.abs(state.variables[CORRECTOR]["params"]["out"]["kernel"]).max() > 0
    rates = [entry["train/learning_rate"] for entry in lines(workdir)
             if "train/correction" in entry]
    assert np.argmax(rates) <= 2 and rates[-1] < 0.05 * max(rates) <= 3e-3


def test_one_configuration_has_all_phases(finished):
    state, workdir = finished
    train = [entry for entry in lines(workdir) if "train/learning_rate" in entry]
    phases = ["correction" if "train/correction" in entry else
              "full" if "train/wasserstein" in entry else "reconstruction" for entry in train]
    assert phases == ["reconstruction", "full", *["correction"] * 20]
    counts = {n: int(o.count) for n, o in state.optimizers.items() if n != CORRECTOR}
    assert counts == {"generator": 8, "encoder": 8, "discriminator": 4}
    assert int(tree_get(state.optimizers[CORRECTOR], "count")) == 80
    validation = [e["validation/mpjpe"] for e in lines(workdir) if "validation/mpjpe" in e]
    assert len(validation) == 11 and np.isfinite(validation).all()
    assert validation[-1] < validation[0]  # it is the corrected motion that is validated


def test_a_checkpoint_from_before_the_phase_has_no_corrector(finished):
    """An untrained one would only do harm, to who fills with it while the run goes on."""
    _, workdir = finished
    early, late = (load_model(workdir, step) for step in (8, 88))
    assert early.corrector is None and CORRECTOR not in early.variables
    assert late.corrector is not None and CORRECTOR in late.variables


def test_the_networks_do_not_move_while_the_corrector_is_trained(finished):
    """Nor do their averages, statistics and optimizers."""
    state, workdir = finished
    with Checkpoints(workdir / "checkpoints", max_to_keep=20) as checkpoints:
        shapes = parallel.replicated_like(parallel.make_mesh(), state)
        before, _ = checkpoints.restore(shapes, 8)  # where the phase begins
    for part in ("variables", "optimizers", "averages"):
        one, other = (dict(getattr(s, part)) for s in (before, state))
        moved = [jax.tree.leaves(tree.pop(CORRECTOR, {})) for tree in (one, other)]
        same_state(one, other)
        assert all((a != b).any() for a, b in zip(*moved, strict=True) if a.ndim == 2)
    assert set(state.averages) == {"generator", "encoder"}


def test_a_run_that_was_interrupted_goes_on_to_the_same_bits(either, tmp_path, monkeypatch):
    corrects, state, undisturbed = either
    begin(undisturbed, tmp_path)
    write = loop.MetricWriter.write

    class Stop(loop._StopSignals):
        requested = property(lambda self: self.number, lambda self, value: None)
        number = 0

    def write_and_stop(self, at, metrics):
        write(self, at, metrics)
        if at == 44:
            Stop.number = 15

    monkeypatch.setattr(loop, "_StopSignals", Stop)
    monkeypatch.setattr(loop.MetricWriter, "write", write_and_stop)
    with pytest.raises(loop.Interrupted, match="stopped at step 44"):
        loop.train(settings(tmp_path, corrects))
    Stop.number = 0
    assert saved_steps(tmp_path)[-1] == 44
    monkeypatch.setattr(loop.MetricWriter, "write", write)
    same_state(loop.train(settings(tmp_path, corrects)), state)
    assert lines(tmp_path) == lines(undisturbed)


def test_a_finished_run_goes_on_with_the_corrector_or_not_at_all(finished, tmp_path):
    """Its learning rate has come to 0: another phase of everything would leave it behind."""
    folder = tmp_path / "checkpoints"
    shutil.copytree(finished[1] / "checkpoints" / "88", folder / "88")
    with pytest.raises(InputError, match="for 80 steps up to step 88, where .* begin at 20; to go"):
        loop.train(settings(tmp_path, train__steps=100))
    state = loop.train(settings(tmp_path, train__steps=96, correction__steps=88))
    assert int(tree_get(state.optimizers[CORRECTOR], "count")) == 88
    same_state(state.averages, finished[0].averages)


def begin(run, folder):
    """Copies what there was of a run at step 8."""
    shutil.copytree(run / "checkpoints" / "8", folder / "checkpoints" / "8")
    shutil.copy(run / "metrics.jsonl", folder)


def test_a_run_that_diverges_names_the_rate(finished, tmp_path, monkeypatch):
    begin(finished[1], tmp_path)
    load = loop.load_store

    def damaged(config, split, options):
        store = load(config, split, options)
        return store._replace(positions=np.full_like(store.positions, np.nan))

    monkeypatch.setattr(loop, "load_store", damaged)
    with pytest.raises(loop.TrainingDiverged, match="before step 12: correction not fin") as caught:
        loop.train(settings(tmp_path))
    assert "lower correction.learning_rate and start again" in str(caught.value)
    assert "\n" not in str(caught.value) and saved_steps(tmp_path) == [8]


def test_checkpoints_are_models_that_fill(finished):
    state, workdir = finished
    model = load_model(workdir)
    assert model.corrector == CorrectorOptions(32, 1) and model.constants == Constants()
    assert model.detected == DETECTED_12 and model.moments is not None
    same_state(model.variables[CORRECTOR], state.variables[CORRECTOR])
    same_state(model.variables["generator"], state.averages["generator"])
    assert model.about["metrics"]["mpjpe"] == lines(workdir)[-1]["validation/mpjpe"]
    check_fills(workdir, model.skeleton)


def test_a_corrector_alone_is_a_model_that_completes_windows(alone):
    state, workdir = alone
    model = load_model(workdir)
    assert list(model.variables) == [CORRECTOR] and model.moments is None
    assert state.averages == {} and set(state.optimizers) == {CORRECTOR}
    assert not (workdir / "samples").exists() and (workdir / "curves.png").is_file()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 8, 28, 2)).astype("f4")
    found = model.correct(x, np.ones(x.shape[:3], "f4"))
    assert found.shape == x.shape and np.isfinite(found).all()
    with pytest.raises(InputError, match="no generator"):
        Inpainter.from_checkpoint(workdir)


# --- where a run starts from ----------------------------------------------------------------------


def start(folder, corrects=True, **changes):
    """The state that a run begins with, and what belongs to it."""
    made = config_lib.typed(settings(folder, corrects, **changes))
    with Checkpoints(folder / "none") as checkpoints:
        return loop._start(made.networks(), made, parallel.make_mesh(), checkpoints)


def test_init_from_starts_with_all_networks_and_constants(finished, tmp_path):
    model = load_model(finished[1]).replace(constants=Constants(correction=0.5))
    save_model(tmp_path / "given", model)
    state, begun = start(tmp_path, train__init_from=str(tmp_path / "given"))
    same_state(state.variables, model.variables)
    assert begun == (None, Constants(correction=0.5), True)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(state.optimizers))
    # A run without a corrector leaves that of the model where it is.
    state, _ = start(tmp_path, train__init_from=str(tmp_path / "given"), correction__steps=0)
    assert set(state.variables) == {"generator", "discriminator", "encoder"}


def test_a_fresh_corrector_joins_networks_without(finished, tmp_path):
    model = load_model(finished[1])
    plain = {n: v for n, v in model.variables.items() if n != CORRECTOR}
    save_model(tmp_path / "plain", model.replace(variables=plain, corrector=None))
    state, _ = start(tmp_path, train__init_from=str(tmp_path / "plain"))
    fresh, _ = start(tmp_path)
    same_state(state.variables, plain | {CORRECTOR: fresh.variables[CORRECTOR]})
    with pytest.raises(InputError, match="train.init_from=.*plain: holds no corrector$"):
        start(tmp_path, corrects=False, train__init_from=str(tmp_path / "plain"))
    with pytest.raises(InputError, match="correction.init_from=.*plain: holds no corrector$"):
        start(tmp_path, correction__init_from=str(tmp_path / "plain"))


@pytest.mark.parametrize("option", ["correction__init_from", "train__init_from"])
def test_one_that_completes_becomes_one_that_corrects(finished, alone, tmp_path, option):
    if option == "correction__init_from":
        path = alone[1]
    else:
        path = tmp_path / "both"
        given, plain = load_model(finished[1]), load_model(alone[1])
        save_model(path, plain.replace(variables=given.variables | plain.variables))
    state, _ = start(tmp_path, **{option: str(path)})
    plain = load_model(alone[1])
    made = config_lib.typed(settings(tmp_path))
    shown = made.networks().corrector.shown(plain.variables[CORRECTOR]["params"])
    same_state(state.variables[CORRECTOR], {"params": shown})
    # One that completes goes on as it is.
    state, _ = start(tmp_path, corrects=False, **{option: str(alone[1])})
    same_state(state.variables[CORRECTOR], plain.variables[CORRECTOR])


def test_one_that_corrects_goes_on_with_other_networks(finished, alone, tmp_path):
    state, _ = start(tmp_path, correction__init_from=str(finished[1]))
    given, fresh = load_model(finished[1]), start(tmp_path)[0]
    same_state(state.variables, fresh.variables | {CORRECTOR: given.variables[CORRECTOR]})


@pytest.mark.parametrize("source", ["finished", "alone"])
def test_one_of_fewer_joints_goes_on_with_more(request, tmp_path, source):
    path = request.getfixturevalue(source)[1]
    given, larger = load_model(path), get_skeleton("body45")
    more = dict(
        model__skeleton=larger.name, model__coordinates=3, corruption__detected=larger.joints
    )
    state, _ = start(tmp_path, correction__init_from=str(path), **more)
    networks = config_lib.typed(settings(tmp_path, **more)).networks()
    mine = dataclasses.replace(networks.corrector, options=given.corrector)
    theirs = given.variables[CORRECTOR]["params"], given.networks.corrector
    params = mine.grown(*theirs, larger, given.skeleton)
    if source == "alone":
        params = networks.corrector.shown(params)
    same_state(state.variables[CORRECTOR], {"params": params})


@pytest.mark.parametrize("source", ["finished", "alone"])
@pytest.mark.parametrize(
    "changes, told",
    [
        (dict(corrector__width=16), "its corrector has other arrays than config.corrector gives"),
        (dict(corrector__blocks=2), "its corrector has other arrays than config.corrector gives"),
        (dict(model__frames=16), "its corrector has other arrays than config.corrector gives"),
        (dict(model__skeleton="h36m17"), "its corrector sees other joints than corruption.detecte"),
        (dict(corruption__detected=DETECTED_12[::-1]), "its corrector sees other joints than"),
        (dict(corruption__detected=DETECTED_12[:11]), "its corrector sees other joints than"),
    ],
)
def test_a_corrector_that_does_not_fit_is_told_in_one_line(
    request, tmp_path, source, changes, told
):
    path = request.getfixturevalue(source)[1]
    with pytest.raises(InputError, match=f"^correction.init_from={path}: {told}") as caught:
        start(tmp_path, correction__init_from=str(path), **changes)
    assert "\n" not in str(caught.value)


def test_one_that_corrects_completes_nothing_alone(finished, tmp_path):
    with pytest.raises(InputError, match="its corrector has other arrays"):
        start(tmp_path, corrects=False, correction__init_from=str(finished[1]))


def test_mistakes_of_a_configuration(tmp_path):
    for changes, told in (
        (dict(correction__steps=3), "correction.steps must be a multiple of .*per_dispatch=4"),
        (dict(correction__steps=88), "correction.steps must be 84 at most"),
        (dict(corrector__corrects=False), "correction.steps must be train.steps, not 80"),
        (dict(correction__steps=0, correction__init_from="a"), "correction.steps must be 1 or mo"),
        (dict(correction__error=(0.1, 0.01)), "correction.error must be two numbers, the lower"),
        (dict(correction__one_error=(0.0, 0.1)), "correction.one_error must be positive"),
        (dict(correction__exact=1.5), "correction.exact must be from 0 to 1"),
        (dict(corrector__width=0), "corrector.width must be 1 or more"),
        (dict(corruption__detected=("tail",)), "corruption.detected must be joints of mpi_inf"),
    ):
        with pytest.raises(InputError, match=told):
            loop.train(settings(tmp_path, **changes))


# --- other sizes ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def body40(tmp_path_factory, write_motion):
    """A name that lists forty joints, and a file of their motion."""
    thesis = get_skeleton("mpi_inf_3dhp").joints
    more = (
        "nose left_eye right_eye left_heel right_heel left_big_toe right_big_toe left_thumb "
        "right_thumb left_index right_index left_ear right_ear"
    ).split()
    joints = [joint for joint in thesis if joint != "head_top"] + more
    path = write_motion(tmp_path_factory.mktemp("motion") / "body40.npz", joints)
    return "joints:" + ",".join(joints), str(path)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["h36m17", "48 frames", "40 joints"])
def test_a_model_of_any_size_is_trained_and_fills(body40, tmp_path, size):
    changes = {
        "h36m17": {"model.skeleton": "h36m17", "model.frames": 32},
        "48 frames": {"model.frames": 48},
        "40 joints": {"model.skeleton": body40[0], "data.path": body40[1]},
    }[size]
    steps = {
        "train.steps": 4, "correction.steps": 2, "optimizer.reconstruction_steps": 2,
        "train.steps_per_dispatch": 2, "train.checkpoint_every": 4, "train.evaluate_every": 4,
    }
    state = loop.train(settings(tmp_path, **steps, **changes))
    model = load_model(tmp_path)
    joints, frames = {"h36m17": (17, 32), "48 frames": (28, 48), "40 joints": (40, 8)}[size]
    assert (len(model.skeleton), model.frames) == (joints, frames)
    assert int(state.step) == 4 and model.networks.corrector.detected == tuple(
        model.skeleton.index(joint) for joint in DETECTED_12
    )
    assert model.moments.covariance.shape == (2 * joints, 2 * joints)
    assert np.isfinite(lines(tmp_path)[-1]["validation/upsampled/error"])
    check_fills(tmp_path, model.skeleton)


# --- errors of refined joints ---------------------------------------------------------------------


@pytest.mark.parametrize("frames, joints", [(24, 28), (48, 17)])
def test_refined_joints_are_off_by_as_much_as_is_said(frames, joints):
    rng = np.random.default_rng(0)
    pose = rng.normal(size=(1, 1, joints, 2)).astype(np.float32)
    x = np.broadcast_to(pose, (2000, frames, joints, 2))
    off, sure = map(np.asarray, refined(jax.random.key(0), x, CorrectionOptions()))
    off = off / np.sqrt(((pose - pose.mean(2)) ** 2).sum(-1).mean())
    exact = (off == 0).all(axis=(1, 2, 3))
    assert 0.45 < exact.mean() < 0.55
    assert (sure[exact] == 1).all() and (sure[~exact] < 1).all()
    said = 0.05 * np.sqrt(1 / sure - 1)
    for low, high in ((0.01, 0.03), (0.03, 0.1), (0.1, 0.2)):
        there = (said > low) & (said < high)
        ratio = off[there] / said[there][:, None]
        assert ratio.std() == pytest.approx(1, rel=0.05)
    # Smooth paths: from frame to frame they go much less far than they are off.
    path = off[~exact]
    assert np.diff(path, axis=1).std() < 0.5 * path.std()


def test_errors_are_as_large_as_is_asked():
    x = np.random.default_rng(0).normal(size=(500, 8, 5, 2)).astype(np.float32)
    options = CorrectionOptions(exact=0.0, error=(0.1, 0.1), one_errs=0.0)
    _, sure = refined(jax.random.key(0), x, options)
    np.testing.assert_allclose(sure, 0.2, rtol=1e-5)
    never, _ = refined(jax.random.key(0), x, dataclasses.replace(options, exact=1.0))
    assert not np.any(never)
    options = dataclasses.replace(options, one_errs=1.0, one_error=(0.2, 0.2))
    _, sure = refined(jax.random.key(0), x, options)
    np.testing.assert_allclose(0.05 * np.sqrt(1 / sure - 1), np.hypot(0.1, 0.2), rtol=1e-4)


def test_windows_are_normalised_by_what_is_seen(tmp_path):
    """And the encoder sees what it is trained on: the same coordinates, with the same holes."""
    config = settings(tmp_path)
    made = config_lib.typed(config)
    store = jax.device_put(loop.load_store(config, "train", made.step))
    drawn = jax.jit(
        lambda key: correction.corrupted(key, store, made.networks(), made.step)
    )(jax.random.key(0))
    seen = np.asarray(drawn.x_in)[np.asarray(drawn.mask) > 0]
    assert np.abs(seen).max() == pytest.approx(1, abs=1e-5)
    assert not np.any(np.asarray(drawn.x_in)[np.asarray(drawn.mask) == 0])
    assert drawn.scale.shape == (8,) and (np.asarray(drawn.scale) <= 1.5).all()
    assert drawn.shake.shape == (8, 4)
    # In the truth's own units, all of it is as large as one that is normalised by all joints.
    whole = np.abs(drawn.x * drawn.scale[:, None, None, None])
    assert ((np.ptp(whole, axis=(1, 2)).max(-1) > 0.3) & (whole.max((1, 2, 3)) < 3)).all()
    assert isinstance(made.networks().corrector, Corrector)
