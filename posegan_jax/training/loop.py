"""The training run: restore, dispatch, log, validate, checkpoint, stop cleanly."""

import functools
import logging
import signal
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from ml_collections import ConfigDict

from posegan_jax import config as config_lib
from posegan_jax.errors import InputError
from posegan_jax.model.networks import Networks, build_networks
from posegan_jax.motion.sample import ViewOptions
from posegan_jax.motion.store import MotionStore, build_store, load_clips
from posegan_jax.runtime import parallel
from posegan_jax.runtime.files import check_makeable
from posegan_jax.runtime.progress import Progress
from posegan_jax.training.checkpoints import Checkpoints, load_params
from posegan_jax.training.logging import MetricWriter
from posegan_jax.training.options import StepOptions
from posegan_jax.training.pictures import save_curves, save_samples
from posegan_jax.training.state import TrainState, create_state, evaluated_variables
from posegan_jax.training.step import Batch, train_steps
from posegan_jax.training.validation import (
    clean_options,
    measure_residuals,
    validate,
    validation_batch,
)

log = logging.getLogger(__name__)


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
    config_lib.check(config)
    options = config_lib.step_options(config)
    dtype = np.dtype(config.train.dtype)
    networks = build_networks(config_lib.network_options(config), dtype=dtype)
    mesh = parallel.make_mesh()
    parallel.check_batch(mesh, options.batch_size)
    workdir = Path(config.workdir or f"runs/{config.name}")
    check_makeable(workdir / "checkpoints")
    # Both splits before anything slow: a set may lack one.
    store = load_store(config, "train", options)
    held_out = load_store(config, "validation", _clean(options, config.evaluate.windows))
    store = parallel.replicate(mesh, store)
    with Checkpoints(
        workdir / "checkpoints", max_to_keep=config.train.keep_checkpoints,
        best_metric="mpjpe", best_mode="min",
    ) as checkpoints:
        state, residual = _start(networks, options, config, mesh, checkpoints)
        if int(state.step) >= config.train.steps:
            log.info("%s: trained to step %d already", workdir, int(state.step))
            return state
        main = jax.process_index() == 0
        with (
            MetricWriter(
                workdir / "metrics.jsonl" if main else None,
                workdir / "tensorboard" if config.train.tensorboard else None,
                resumed_at=int(state.step),
            ) as writer,
            Progress(config.train.steps, initial=int(state.step), show=main) as progress,
            _StopSignals() as stop,
        ):
            run = _Run(config, options, networks, mesh, workdir, checkpoints, writer, progress)
            run.prepare(store, held_out, residual)
            return run.loop(state, store, stop)


def load_store(config: ConfigDict, split: str, options: StepOptions) -> MotionStore:
    """The configured motion set's windows of one split, as host arrays.

    They are long enough for the speeds of ``options``, and for the recording's own.
    """
    try:
        clips = load_clips(config.data.path, split)
    except InputError as error:
        command = config.data.prepare
        raise InputError(f"{error}; prepare it with: {command}" if command else error) from error
    stride = config.data.window_stride if split == "train" else 1
    views = (options.views, ViewOptions(speed=(1.0, 1.0)))
    return build_store(clips, max(v.span(config.model.frames) for v in views), stride)


def checkpoint_metadata(
    config: ConfigDict, metrics: dict[str, float], residual: dict[str, list] | None
) -> dict:
    """What a checkpoint says about itself: enough to use its parameters without its config file."""
    return {
        "networks": config_lib.network_options(config).to_dict(),
        "normalize_by": config.train.normalize_by,
        "config": config.to_dict(),
        "metrics": metrics,
        "residual": residual,
    }


def _start(
    networks: Networks, options: StepOptions, config: ConfigDict, mesh: Mesh,
    checkpoints: Checkpoints,
) -> tuple[TrainState, dict[str, list] | None]:
    """The newest checkpoint's state and residual moments, or a fresh state and none."""
    shapes = jax.eval_shape(lambda: create_state(networks, options.optimizer, config.seed))
    restored = checkpoints.restore(parallel.replicated_like(mesh, shapes))
    if not restored:
        state = create_state(networks, options.optimizer, config.seed)
        if config.train.init_from:
            state = _with_params(state, config.train.init_from)
        return parallel.replicate(mesh, state), None
    state, metadata = restored
    step, chunk = int(state.step), config.train.steps_per_dispatch
    if step % chunk:
        raise InputError(
            f"{checkpoints.directory}: the newest checkpoint is of step {step}, which is no "
            f"multiple of train.steps_per_dispatch={chunk}; resume with another value of it"
        )
    return state, metadata.get("residual")


def _with_params(state: TrainState, path: str) -> TrainState:
    """A fresh state with the parameters of a checkpoint; it may lack the critic."""
    loaded, _ = load_params(path)
    for name in state.variables:
        if name not in loaded and name in state.averages:
            raise InputError(f"train.init_from={path}: holds no {name}")
        here, there = state.variables[name], loaded.get(name, state.variables[name])
        if jax.tree.map(np.shape, here) != jax.tree.map(np.shape, there):
            raise InputError(
                f"train.init_from={path}: its {name} has other arrays than config.model gives"
            )
    return state.replace(
        variables=state.variables | {n: loaded[n] for n in state.variables if n in loaded},
        averages={name: jax.tree.map(np.copy, loaded[name]) for name in state.averages},
    )


class _Run:
    """The loop's fixed surroundings."""

    def __init__(self, config, options, networks, mesh, workdir, checkpoints, writer, progress):
        self.config, self.options, self.networks, self.mesh = config, options, networks, mesh
        self.workdir, self.checkpoints = workdir, checkpoints
        self.writer, self.progress = writer, progress
        self.dispatch = {
            phase: jax.jit(
                functools.partial(
                    train_steps, networks=networks, options=options, phase=phase,
                    count=config.train.steps_per_dispatch, mesh=mesh,
                ),
                donate_argnums=0,
            )
            for phase in ("reconstruction", "full")
        }

    def prepare(
        self, store: MotionStore, held_out: MotionStore, residual: dict[str, list] | None
    ) -> None:
        """Draws the windows that are measured.

        Args:
          store: training motion.
          held_out: validation motion.
          residual: the moments measured last, before the run was resumed.
        """
        count = self.config.evaluate.windows
        self.held_out = self._clean_batch(held_out, count)
        self.familiar = self._clean_batch(store, 4 * count)
        self.residual = residual
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
            leading = step < self.options.optimizer.reconstruction_steps
            state, metrics = self.dispatch["reconstruction" if leading else "full"](state, store)
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
            leading = step <= self.options.optimizer.reconstruction_steps
            rate = "reconstruction_learning_rate" if leading else "learning_rate"
            raise TrainingDiverged(
                f"training diverged before step {step}: {', '.join(bad)} not finite; last good "
                f"checkpoint: {kept}; lower optimizer.{rate} and start again from there"
            )

    def _save(self, state: TrainState, step: int, scores: dict[str, float]) -> None:
        # The losses are of the parameters before the last update, which may have broken them.
        leaves = jax.tree.leaves(jax.device_get(state))
        self._check_finite({"parameters": all(np.isfinite(v).all() for v in leaves)}, step)
        metadata = checkpoint_metadata(self.config, scores, self.residual)
        self.checkpoints.save(step, state, metadata)

    def _clean_batch(self, store: MotionStore, count: int) -> Batch:
        clean = _clean(self.options, count)
        batch = validation_batch(store, self.networks, clean, self.config.evaluate.seed)
        if count % self.mesh.size:
            return parallel.replicate(self.mesh, batch)
        return parallel.scatter(self.mesh, batch)

    def _evaluate(self, state: TrainState, step: int) -> dict[str, float]:
        variables = evaluated_variables(state)
        scores = {k: float(v) for k, v in self.validator(variables, self.held_out).items()}
        self.residual = self.residual_moments(variables, self.familiar).to_dict()
        self.writer.write(step, {f"validation/{name}": v for name, v in scores.items()})
        return scores

    def _picture(self, state: TrainState, step: int) -> None:
        if jax.process_index() == 0:  # and on this host alone: no global arrays
            variables = jax.device_get(evaluated_variables(state))
            save_samples(self.networks, variables, self.workdir / "samples" / f"{step:09d}.png")
            save_curves(self.workdir / "metrics.jsonl", self.workdir / "curves.png")


def _clean(options: StepOptions, count: int) -> StepOptions:
    return clean_options(count, options.views, options.corruption, options.normalize_by)


def _shown(metrics: dict[str, float]) -> dict[str, float]:
    names = ("mpjpe", "mpjse", "wasserstein", "gradient_penalty", "latent_moments")
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
