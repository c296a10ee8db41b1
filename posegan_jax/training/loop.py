"""The training run: restore, dispatch, log, validate, checkpoint, stop cleanly."""

import functools
import logging
import signal
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from posegan_jax import config as config_lib
from posegan_jax.errors import InputError
from posegan_jax.motion.store import MotionStore, build_store, load_clips
from posegan_jax.networks.build import Networks, build_networks
from posegan_jax.training import parallel
from posegan_jax.training.checkpoints import Checkpoints, load_params
from posegan_jax.training.logging import MetricWriter
from posegan_jax.training.pictures import save_samples
from posegan_jax.training.progress import Progress
from posegan_jax.training.state import TrainState, create_state, evaluated_variables
from posegan_jax.training.step import StepOptions, train_steps
from posegan_jax.training.validation import (
    clean_options,
    measure_residuals,
    validate,
    validation_batch,
)

log = logging.getLogger(__name__)


class TrainingDiverged(InputError):
    """A loss became NaN or infinite."""


class Interrupted(Exception):
    """SIGTERM or SIGINT arrived; the state has been saved."""


def train(config: ConfigDict) -> TrainState:
    """Runs the configured training to its end, resuming from the newest checkpoint in the workdir.

    Raises:
      InputError: bad configuration or data.
      TrainingDiverged: a loss is not finite; earlier checkpoints stay.
      Interrupted: SIGTERM or SIGINT arrived; the state of the last finished dispatch is saved.
    """
    config_lib.check(config)
    options = config_lib.step_options(config)
    dtype = np.dtype(config.train.dtype)
    networks = build_networks(config_lib.network_options(config), dtype=dtype)
    mesh = parallel.make_mesh()
    parallel.check_batch(mesh, options.batch_size)
    store = parallel.replicate(mesh, load_store(config, "train", options))
    workdir = Path(config.workdir or f"runs/{config.name}")

    state = _initial_state(networks, options, config)
    with Checkpoints(
        workdir / "checkpoints", max_to_keep=config.train.keep_checkpoints,
        best_metric="mpjpe", best_mode="min",
    ) as checkpoints:
        restored = checkpoints.restore(parallel.replicated_like(mesh, state))
        state = restored[0] if restored else parallel.replicate(mesh, state)
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
            return run.loop(state, store, stop)


def load_store(config: ConfigDict, split: str, options: StepOptions) -> MotionStore:
    """The configured motion set's windows of one split, as host arrays."""
    try:
        clips = load_clips(config.data.path, split)
    except InputError as error:
        command = config.data.prepare
        raise InputError(f"{error}; prepare it with: {command}" if command else error) from error
    stride = config.data.window_stride if split == "train" else 1
    return build_store(clips, options.views.span(config.model.frames), stride)


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


def _initial_state(networks: Networks, options: StepOptions, config: ConfigDict) -> TrainState:
    state = create_state(networks, options.optimizer, config.seed)
    if not config.train.init_from:
        return state
    variables, _ = load_params(config.train.init_from)
    return state.replace(
        variables=variables,
        averages={name: jax.tree.map(np.copy, variables[name]) for name in state.averages},
    )


class _Run:
    """The loop's fixed surroundings."""

    def __init__(self, config, options, networks, mesh, workdir, checkpoints, writer, progress):
        self.config, self.options, self.networks, self.mesh = config, options, networks, mesh
        self.workdir, self.checkpoints = workdir, checkpoints
        self.writer, self.progress = writer, progress
        self.metrics: dict[str, float] = {}
        self.residual: dict[str, list] | None = None
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
        self.validator = self._make_validator()
        self.residual_moments = self._make_residual_moments()

    def loop(self, state: TrainState, store: MotionStore, stop: "_StopSignals") -> TrainState:
        train, step = self.config.train, int(state.step)
        while step < train.steps:
            leading = step < self.options.optimizer.reconstruction_steps
            state, metrics = self.dispatch["reconstruction" if leading else "full"](state, store)
            step += train.steps_per_dispatch
            metrics = {name: float(value) for name, value in metrics.items()}
            self._check_finite(metrics, step)
            self.writer.write(step, {f"train/{name}": v for name, v in metrics.items()})
            self.progress.update(step, _shown(metrics))
            if step % train.evaluate_every == 0 or step >= train.steps:
                self._evaluate(state, step)
            done = step >= train.steps
            if done or stop.requested or step % train.checkpoint_every == 0:
                metadata = checkpoint_metadata(self.config, self.metrics, self.residual)
                self.checkpoints.save(step, state, metadata)
            if stop.requested and not done:
                self.checkpoints.wait()
                raise Interrupted(f"stopped at step {step}; saved in {self.workdir}")
        self.checkpoints.wait()
        return state

    def _check_finite(self, metrics: dict[str, float], step: int) -> None:
        bad = [name for name, value in metrics.items() if not np.isfinite(value)]
        if bad:
            self.checkpoints.wait()
            last = self.checkpoints.latest_step()
            kept = f"{self.workdir}/checkpoints/{last}" if last is not None else "none"
            raise TrainingDiverged(
                f"training diverged before step {step}: {', '.join(bad)} not finite; last good "
                f"checkpoint: {kept}; lower optimizer.learning_rate and start again from there"
            )

    def _clean_batch(self, split: str, count: int):
        clean = clean_options(
            count, self.options.views, self.options.corruption,
            self.config.train.normalize_by,
        )
        store = load_store(self.config, split, clean)
        batch = validation_batch(store, self.networks, clean, self.config.evaluate.seed)
        return parallel.replicate(self.mesh, batch)

    def _make_residual_moments(self):
        batch = self._clean_batch("train", 4 * self.config.evaluate.windows)
        compiled = jax.jit(lambda v, batch: measure_residuals(self.networks, v, batch))
        return lambda state: compiled(evaluated_variables(state), batch)

    def _make_validator(self):
        batch = self._clean_batch("validation", self.config.evaluate.windows)
        compiled = jax.jit(
            lambda variables, batch: validate(
                self.networks, variables, batch, self.options.corruption
            )
        )
        return lambda state: compiled(evaluated_variables(state), batch)

    def _evaluate(self, state: TrainState, step: int) -> None:
        self.metrics = {name: float(value) for name, value in self.validator(state).items()}
        self.residual = self.residual_moments(state).to_dict()
        self.writer.write(step, {f"validation/{name}": v for name, v in self.metrics.items()})
        every = self.config.train.samples_every
        if every and step % every == 0 and jax.process_index() == 0:
            folder = self.workdir / "samples"
            save_samples(self.networks, evaluated_variables(state), folder / f"{step:09d}.png")


def _shown(metrics: dict[str, float]) -> dict[str, float]:
    names = ("mpjpe", "mpjse", "wasserstein", "gradient_penalty", "latent_moments")
    return {name: metrics[name] for name in names if name in metrics}


class _StopSignals:
    """Notes SIGTERM and SIGINT, so that the loop can save before it ends."""

    def __enter__(self) -> "_StopSignals":
        self.requested = False
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
        self.requested = True
