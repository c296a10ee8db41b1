"""The default configuration, and its translation into the typed options that the rooms take.

Files in ``configs/`` are thin overlays on ``default_config``. Nothing below this module sees a
``ConfigDict``: modules take typed options, and this is where they are made.
"""

import dataclasses
from typing import Any

from ml_collections import ConfigDict

from posegan_jax.errors import InputError
from posegan_jax.motion.corrupt import CorruptionOptions
from posegan_jax.motion.sample import ViewOptions
from posegan_jax.networks.build import NetworkOptions
from posegan_jax.training.losses import LossWeights
from posegan_jax.training.state import OptimizerOptions
from posegan_jax.training.step import StepOptions


def default_config() -> ConfigDict:
    """All fields with their defaults: the thesis's numbers where it prints them."""
    return ConfigDict(
        {
            "name": "default",
            "mode": "train",  # train | evaluate
            "workdir": "",  # empty: runs/<name>
            "seed": 0,
            "data": {
                "path": "procedural",  # a prepared set, .npz files (comma separated), 'procedural'
                "prepare": "",  # the command that prepares it, named when it is missing
                "window_stride": 1,  # frames between windows; 12 = half overlapping (thesis)
            },
            "model": dataclasses.asdict(NetworkOptions()),
            "views": dataclasses.asdict(ViewOptions()),
            "corruption": dataclasses.asdict(CorruptionOptions()),
            "loss": dataclasses.asdict(LossWeights()),
            "optimizer": dataclasses.asdict(OptimizerOptions()),
            "train": {
                "steps": 50_000_000,
                "batch_size": 256,
                "normalize_by": "observed",
                "steps_per_dispatch": 50,
                "checkpoint_every": 5_000,
                "keep_checkpoints": 3,
                "evaluate_every": 5_000,
                "samples_every": 50_000,  # sample pictures; 0: none
                "init_from": "",  # start from the parameters of this checkpoint
                "tensorboard": False,
                "dtype": "float32",  # of activations; parameters are always float32
            },
            "evaluate": {
                "windows": 512,
                "seed": 1,
                "checkpoint": "",  # empty: the run's own latest
                "steps": 200,
                "protocols": ("clean", "holes", "gap", "legs"),
            },
        }
    )


def network_options(config: ConfigDict) -> NetworkOptions:
    return _typed(NetworkOptions, config.model, "model")


def step_options(config: ConfigDict) -> StepOptions:
    """Everything one training iteration needs."""
    return StepOptions(
        batch_size=config.train.batch_size,
        normalize_by=config.train.normalize_by,
        weights=_typed(LossWeights, config.loss, "loss"),
        views=_typed(ViewOptions, config.views, "views"),
        corruption=_typed(CorruptionOptions, config.corruption, "corruption"),
        optimizer=_typed(OptimizerOptions, config.optimizer, "optimizer"),
    )


def check(config: ConfigDict) -> None:
    """Raises InputError, one line, on values that would fail later or silently."""
    train = config.train
    if config.mode not in ("train", "evaluate"):
        raise InputError(f"config.mode must be 'train' or 'evaluate', not {config.mode!r}")
    for name in ("steps", "batch_size", "steps_per_dispatch", "checkpoint_every", "evaluate_every"):
        if train[name] < 1:
            raise InputError(f"config.train.{name} must be at least 1, not {train[name]}")
    if config.model.frames < 8 or config.model.frames % 8:
        raise InputError(
            f"config.model.frames must be a positive multiple of 8, not {config.model.frames}"
        )
    chunk = train.steps_per_dispatch
    for name, value in (
        ("train.steps", train.steps),
        ("train.checkpoint_every", train.checkpoint_every),
        ("train.evaluate_every", train.evaluate_every),
        ("optimizer.reconstruction_steps", config.optimizer.reconstruction_steps),
    ):
        if value % chunk:
            raise InputError(
                f"config.{name}={value} must be a multiple of train.steps_per_dispatch={chunk}"
            )


def _typed(cls: type, values: ConfigDict, section: str) -> Any:
    try:
        plain = {k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in values.items()}
        return cls(**plain)
    except TypeError as error:
        raise InputError(f"config.{section}: {error}") from error
