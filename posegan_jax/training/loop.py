"""The training run: restore, dispatch, log, validate, checkpoint, stop cleanly."""

import dataclasses
import functools
import logging
import signal
from pathlib import Path
from typing import get_args

import jax
import numpy as np
import optax
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from ml_collections import ConfigDict

from posegan_jax.config import Config, typed
from posegan_jax.errors import InputError
from posegan_jax.geometry.moments import ResidualMoments
from posegan_jax.model.constants import Constants
from posegan_jax.model.model import Model
from posegan_jax.model.networks import Networks
from posegan_jax.model.options import CORRECTOR, Variables
from posegan_jax.model.store import About, about, load_model, read_about
from posegan_jax.motion.sample import ViewOptions
from posegan_jax.motion.store import MotionStore, build_store, leave_out, load_clips
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.runtime import parallel
from posegan_jax.runtime.files import check_makeable
from posegan_jax.runtime.progress import Progress
from posegan_jax.training.batch import Batch
from posegan_jax.training.checkpoints import Checkpoints
from posegan_jax.training.logging import MetricWriter
from posegan_jax.training.options import Phase, StepOptions
from posegan_jax.training.pictures import save_curves, save_samples
from posegan_jax.training.state import TrainState, create_state, evaluated_variables
from posegan_jax.training.step import train_steps
from posegan_jax.training.validation import (
    clean_options,
    measure_residuals,
    validate,
    validation_batch,
)

log = logging.getLogger(__name__)

_RATES: dict[Phase, str] = {
    "reconstruction": "optimizer.reconstruction_learning_rate", "full": "optimizer.learning_rate",
    "correction": "correction.learning_rate",
}


class TrainingDiverged(InputError):
    """A loss or a parameter became NaN or infinite."""


class Interrupted(Exception):
    """SIGTERM or SIGINT arrived; the state has been saved.

    Attributes:
      code: what the process should end with, 128 and the signal's number.
    """

    def __init__(self, message: str, number: int):
        super().__init__(message)
        self.code = 128 + number


def train(config: ConfigDict) -> TrainState:
    """Runs the configured training to its end, resuming from the newest checkpoint in the workdir.

    Raises:
      InputError: bad configuration or data.
      TrainingDiverged: a loss or a parameter is not finite; earlier checkpoints stay.
      Interrupted: SIGTERM or SIGINT arrived; the state of the last finished dispatch is saved.
    """
    made = typed(config)
    options, networks = made.step, made.networks()
    mesh = parallel.make_mesh()
    parallel.check_batch(mesh, options.batch_size)
    workdir = Path(made.workdir or f"runs/{made.name}")
    check_makeable(workdir / "checkpoints")
    # Both splits before anything slow: a set may lack one.
    store = load_store(made, "train", options)
    held_out = load_store(made, "validation", _clean(options, made.evaluate.windows))
    store = parallel.replicate(mesh, store)
    with Checkpoints(
        workdir / "checkpoints", max_to_keep=made.train.keep_checkpoints,
        best_metric="mpjpe", best_mode="min",
    ) as checkpoints:
        state, start = _start(networks, made, mesh, checkpoints)
        if int(state.step) >= made.train.steps:
            log.info("%s: trained to step %d already", workdir, int(state.step))
            return state
        main = jax.process_index() == 0
        with (
            MetricWriter(
                workdir / "metrics.jsonl" if main else None,
                workdir / "tensorboard" if made.train.tensorboard else None,
                resumed_at=int(state.step),
            ) as writer,
            Progress(made.train.steps, initial=int(state.step), show=main) as progress,
            _StopSignals() as stop,
        ):
            run = _Run(made, start, networks, mesh, workdir, checkpoints, writer, progress)
            run.prepare(store, held_out)
            return run.loop(state, store, stop)


def load_store(config: Config, split: str, options: StepOptions) -> MotionStore:
    """The configured motion set's windows of one split, as host arrays.

    They are long enough for the speeds of ``options``, and for the recording's own.
    """
    try:
        clips = load_clips(config.data.path, split, get_skeleton(config.model.skeleton))
        clips = leave_out(clips, config.data.leave_out)
    except InputError as error:
        command = config.data.prepare
        raise InputError(f"{error}; prepare it with: {command}" if command else error) from error
    stride = config.data.window_stride if split == "train" else 1
    views = (options.views, ViewOptions(speed=(1.0, 1.0)))
    return build_store(clips, max(v.span(config.model.frames) for v in views), stride)


def model_of(
    config: Config, variables: dict[str, Variables], metrics: dict[str, float],
    moments: ResidualMoments | None = None, constants: Constants = Constants(),
    corrected: bool = False,
) -> Model:
    """What a run has come to.

    Args:
      config: of the run.
      variables: of its networks.
      metrics: of the last validation.
      moments: of the residuals that the networks leave.
      constants: those that the run began with.
      corrected: whether its corrector has been trained.
    """
    told = {
        "normalize_by": config.train.normalize_by, "config": dataclasses.asdict(config),
        "metrics": metrics,
    }
    corrector = config.corrector if corrected else None
    return Model(
        config.model, variables, config.corruption.detected, config.corruption.never_observed,
        moments, corrector, constants, about=told,
    )


def _start(
    networks: Networks, config: Config, mesh: Mesh, checkpoints: Checkpoints
) -> tuple[TrainState, About]:
    """The newest checkpoint's state, or a fresh one, and what belongs to it."""
    shapes = jax.eval_shape(lambda: create_state(networks, config.step, config.seed))
    restored = checkpoints.restore(parallel.replicated_like(mesh, shapes))
    if not restored:
        state = create_state(networks, config.step, config.seed)
        state, start = _with_models(state, networks, config)
        return parallel.replicate(mesh, state), start
    state, _ = restored
    step, chunk = int(state.step), config.train.steps_per_dispatch
    if step % chunk:
        raise InputError(
            f"{checkpoints.directory}: the newest checkpoint is of step {step}, which is no "
            f"multiple of train.steps_per_dispatch={chunk}; resume with another value of it"
        )
    if CORRECTOR in state.optimizers:
        done = int(optax.tree_utils.tree_get(state.optimizers[CORRECTOR], "count"))
        begins = config.train.steps - config.correction.steps
        if done != max(step - begins, 0):  # its schedule would be over before the phase is
            raise InputError(
                f"{checkpoints.directory}: the corrector was trained for {done} steps up to step "
                f"{step}, where correction.steps={config.correction.steps} of train.steps="
                f"{config.train.steps} begin at {begins}; to go on, add as many to both"
            )
    return state, read_about(checkpoints.directory, step)


def _with_models(
    state: TrainState, networks: Networks, config: Config
) -> tuple[TrainState, About]:
    """A fresh state with the parameters of the models that the run starts from, and what of them
    belongs to it."""
    constants = Constants()
    found = {}
    if path := config.train.init_from:
        option, model = f"train.init_from={path}", load_model(path, partial=True)
        constants = model.constants
        found = {n: model.variables[n] for n in state.variables if n in model.variables}
        if CORRECTOR in found:
            found[CORRECTOR] = _corrector(option, networks, model)
        for name in state.averages or state.variables:
            if name not in found:
                raise InputError(f"{option}: holds no {name}")
        _check_shapes(option, state, found)
    if path := config.correction.init_from:
        option, model = f"correction.init_from={path}", load_model(path, partial=True)
        if CORRECTOR not in model.variables:
            raise InputError(f"{option}: holds no corrector")
        found[CORRECTOR] = _corrector(option, networks, model)
        _check_shapes(option, state, found)
    averages = {n: jax.tree.map(np.copy, found.get(n, v)) for n, v in state.averages.items()}
    state = state.replace(variables=state.variables | found, averages=averages)
    return state, About(None, constants, CORRECTOR in found)


def _corrector(option: str, networks: Networks, model: Model) -> Variables:
    """A model's corrector; one that completes by itself becomes one that corrects, one of a smaller
    skeleton one of more joints."""
    variables, theirs = model.variables[CORRECTOR], model.networks.corrector
    skeleton = get_skeleton(networks.options.skeleton)
    if len(skeleton) > len(model.skeleton) and _holds(networks, model):
        mine = dataclasses.replace(networks.corrector, options=theirs.options)
        params = mine.grown(variables["params"], theirs, skeleton, model.skeleton)
        variables = {"params": params}
    elif theirs.detected != networks.corrector.detected:
        raise InputError(f"{option}: its corrector sees other joints than corruption.detected")
    if networks.corrector.options.corrects and not model.corrector.corrects:
        return {"params": networks.corrector.shown(variables["params"])}
    return variables


def _holds(networks: Networks, model: Model) -> bool:
    """Whether the corrector of networks knows and sees all joints that a model's does."""
    skeleton = get_skeleton(networks.options.skeleton)
    mine = {skeleton.joints[k] for k in networks.corrector.detected}
    theirs = {model.skeleton.joints[k] for k in model.networks.corrector.detected}
    return theirs <= mine and all(joint in skeleton for joint in model.skeleton.joints)


def _check_shapes(option: str, state: TrainState, found: dict[str, Variables]) -> None:
    for name, there in found.items():
        if jax.tree.map(np.shape, state.variables[name]) != jax.tree.map(np.shape, there):
            section = CORRECTOR if name == CORRECTOR else "model"
            raise InputError(f"{option}: its {name} has other arrays than config.{section} gives")


class _Run:
    """The loop's fixed surroundings."""

    def __init__(self, config, start, networks, mesh, workdir, checkpoints, writer, progress):
        self.config, self.options = config, config.step
        self.start, self.networks, self.mesh = start, networks, mesh
        self.workdir, self.checkpoints = workdir, checkpoints
        self.writer, self.progress = writer, progress
        self.dispatch = {
            phase: jax.jit(
                functools.partial(
                    train_steps, networks=networks, options=self.options, phase=phase,
                    count=config.train.steps_per_dispatch, mesh=mesh,
                ),
                donate_argnums=0,
            )
            for phase in get_args(Phase)
        }

    def prepare(self, store: MotionStore, held_out: MotionStore) -> None:
        """Draws the windows that are measured: of training motion, and of what is held out."""
        count = self.config.evaluate.windows
        self.held_out = self._clean_batch(held_out, count)
        self.familiar = self._clean_batch(store, 4 * count)
        self.moments = self.start.moments
        self.validator = jax.jit(
            lambda variables, batch: validate(
                self.networks, variables, batch, self.options.corruption
            )
        )
        self.residual_moments = jax.jit(
            lambda variables, batch: measure_residuals(self.networks, variables, batch)
        )

    def loop(self, state: TrainState, store: MotionStore, stop: "_StopSignals") -> TrainState:
        train, step = self.config.train, int(state.step)
        while step < train.steps:
            state, metrics = self.dispatch[self.config.phase(step)](state, store)
            step += train.steps_per_dispatch
            metrics = {name: float(value) for name, value in metrics.items()}
            self._check_finite({name: np.isfinite(v) for name, v in metrics.items()}, step)
            self.writer.write(step, {f"train/{name}": v for name, v in metrics.items()})
            self.progress.update(step, _shown(metrics))
            done = step >= train.steps
            scores = {}
            if done or step % train.evaluate_every == 0:
                scores = self._evaluate(state, step)
            if train.samples_every and (done or step % train.samples_every == 0):
                self._picture(state, step)
            signal_number = _agreed(stop.requested)  # once: a signal may come at any moment
            if done or signal_number or step % train.checkpoint_every == 0:
                self._save(state, step, scores)
            if signal_number and not done:
                self.checkpoints.wait()
                raise Interrupted(f"stopped at step {step}; saved in {self.workdir}", signal_number)
        self.checkpoints.wait()
        return state

    def _check_finite(self, finite: dict[str, bool], step: int) -> None:
        bad = [name for name, good in finite.items() if not good]
        if bad:
            self.checkpoints.wait()
            last = self.checkpoints.latest_step()
            kept = f"{self.workdir}/checkpoints/{last}" if last is not None else "none"
            rate = _RATES[self.config.phase(step - self.config.train.steps_per_dispatch)]
            raise TrainingDiverged(
                f"training diverged before step {step}: {', '.join(bad)} not finite; last good "
                f"checkpoint: {kept}; lower {rate} and start again from there"
            )

    def _save(self, state: TrainState, step: int, scores: dict[str, float]) -> None:
        # The losses are of the parameters before the last update, which may have broken them.
        leaves = jax.tree.leaves(jax.device_get(state))
        self._check_finite({"parameters": all(np.isfinite(v).all() for v in leaves)}, step)
        model = model_of(
            self.config, {}, scores, self.moments, self.start.constants, self._corrected(step)
        )
        self.checkpoints.save(step, state, about(model), moments=self.moments)

    def _corrected(self, step: int) -> bool:
        """Whether there is a corrector that has been trained, here or before."""
        if CORRECTOR not in self.networks.names:
            return False
        return self.start.corrected or self.config.phase(step - 1) == "correction"

    def _clean_batch(self, store: MotionStore, count: int) -> Batch:
        clean = _clean(self.options, count)
        batch = validation_batch(store, self.networks, clean, self.config.evaluate.seed)
        if count % self.mesh.size:
            return parallel.replicate(self.mesh, batch)
        return parallel.scatter(self.mesh, batch)

    def _evaluate(self, state: TrainState, step: int) -> dict[str, float]:
        variables = evaluated_variables(state)
        if not self._corrected(step):  # it would only do harm
            variables.pop(CORRECTOR, None)
        scores = {k: float(v) for k, v in self.validator(variables, self.held_out).items()}
        if "generator" in variables:
            self.moments = jax.device_get(self.residual_moments(variables, self.familiar))
        self.writer.write(step, {f"validation/{name}": v for name, v in scores.items()})
        return scores

    def _picture(self, state: TrainState, step: int) -> None:
        if jax.process_index() == 0:  # and on this host alone: no global arrays
            variables = jax.device_get(evaluated_variables(state))
            if "generator" in variables:
                save_samples(self.networks, variables, self.workdir / "samples" / f"{step:09d}.png")
            save_curves(self.workdir / "metrics.jsonl", self.workdir / "curves.png")


def _clean(options: StepOptions, count: int) -> StepOptions:
    return clean_options(count, options.views, options.corruption, options.normalize_by)


def _shown(metrics: dict[str, float]) -> dict[str, float]:
    names = (
        "mpjpe", "mpjse", "depth", "wasserstein", "gradient_penalty", "latent_moments",
        "correction",
    )
    return {name: metrics[name] for name in names if name in metrics}


def _agreed(number: int) -> int:
    """The signal that any host has noted: all of them have to stop at the same step."""
    if jax.process_count() == 1:
        return number
    return int(multihost_utils.process_allgather(np.int32(number)).max())


class _StopSignals:
    """Notes SIGTERM and SIGINT, so that the loop can save before it ends."""

    def __enter__(self) -> "_StopSignals":
        self.requested = 0
        self._previous = {}
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._previous[number] = signal.signal(number, self._note)
        except ValueError:  # not the main thread (a notebook's worker): no signals arrive here
            pass
        return self

    def __exit__(self, *unused) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number, frame) -> None:
        self.requested = number
