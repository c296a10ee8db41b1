"""The default configuration, and its translation into the typed options that the rooms take.

Files in ``configs/`` are thin overlays on ``default_config``. Nothing below this module sees a
``ConfigDict``: modules take typed options, and this is where they are made.
"""

import dataclasses
import runpy
from pathlib import Path
from typing import Any, get_args

from ml_collections import ConfigDict

from posegan_jax.errors import InputError
from posegan_jax.model.options import FinalActivation, NetworkOptions, Normalization
from posegan_jax.motion.corrupt import CorruptionOptions
from posegan_jax.motion.sample import ViewOptions
from posegan_jax.motion.store import SKELETON
from posegan_jax.training.options import LossWeights, OptimizerOptions, StepOptions

_CHOICES = {
    "mode": ("train", "evaluate"),
    "model.skeleton": (SKELETON,),  # that of the motion
    "model.final_activation": get_args(FinalActivation),
    "model.critic_normalization": get_args(Normalization),
    "model.last_speed": ("repeat", "zero"),
    "train.normalize_by": ("observed", "full"),
    "train.dtype": ("float32", "bfloat16"),
    "evaluate.unit": ("clips", "windows"),
    "evaluate.head": ("neck", "head"),
}
_AT_LEAST_ONE = (
    "data.window_stride", "model.latent", "train.steps", "train.batch_size",
    "train.steps_per_dispatch", "train.checkpoint_every", "train.keep_checkpoints",
    "train.evaluate_every", "evaluate.windows",
)
_NOT_NEGATIVE = (
    "seed", "optimizer.learning_rate", "optimizer.reconstruction_learning_rate",
    "optimizer.reconstruction_steps", "optimizer.warmup_steps", "train.samples_every",
    "evaluate.seed", "evaluate.count", "evaluate.longest",
)
_RANGES = ("views.pitch", "views.distance", "views.speed")
_PROBABILITIES = (
    "clean", "scattered", "runs", "joints", "limbs", "gap", "crop", "jitter", "misses", "miss_rate",
    "inversions",
)
_MULTIPLES = (
    "train.steps", "train.checkpoint_every", "train.evaluate_every", "train.samples_every",
    "optimizer.reconstruction_steps",
)


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
                "windows": 512,  # during training
                "seed": 1,
                # --config.mode=evaluate, as `posegan evaluate --help` tells
                "checkpoint": "",  # empty: the run's own latest
                "protocols": "",  # names with commas; empty: a choice
                "methods": "",
                "detections": "",
                "unit": "clips",
                "count": 20,
                "longest": 250,
                "split": "validation",
                "train": "",
                "head": "neck",
            },
        }
    )


def load(path: str) -> ConfigDict:
    """What the ``get_config`` of a file makes; of ``FILE:TEXT`` it gets the text.

    Raises:
      InputError: no such file, one that cannot be run, or a result that lacks fields. The message
        leaves the file's name to the flag.
    """
    file, *text = path.split(":", 1)
    if not Path(file).is_file():
        raise InputError("no such file")
    try:
        get_config = runpy.run_path(file).get("get_config")
        config = get_config(*text) if get_config else None
    except Exception as error:  # it may do anything
        raise InputError(f"{type(error).__name__}: {error}") from error
    if get_config is None:
        raise InputError("has no get_config()")
    if not isinstance(config, ConfigDict):
        raise InputError(f"get_config() must return a ConfigDict, not {config!r}")
    missing = [name for name in _flat(default_config()) if name not in _flat(config)]
    if missing:
        named = ", ".join(missing[:3]) + ", ..." * (len(missing) > 3)
        raise InputError(f"lacks {named}; begin with posegan_jax.config.default_config()")
    return config


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
    flat = _flat(config)

    def require(name: str, good: bool, rule: str) -> None:
        if not good:
            raise InputError(f"config.{name} must be {rule}, not {flat[name]!r}")

    for name, choices in _CHOICES.items():
        require(name, flat[name] in choices, " or ".join(map(repr, choices)))
    for name in _AT_LEAST_ONE:
        require(name, flat[name] >= 1, "at least 1")
    for name in _NOT_NEGATIVE:
        require(name, flat[name] >= 0, "0 or more")
    for name in _RANGES:
        numbers = [v for v in flat[name] if isinstance(v, int | float)]
        good = len(flat[name]) == len(numbers) == 2 and numbers[0] <= numbers[1]
        require(name, good, "two numbers, the lower one first")
    require("views.speed", flat["views.speed"][0] > 0, "positive")
    for name in _PROBABILITIES:
        require(f"corruption.{name}", 0 <= flat[f"corruption.{name}"] <= 1, "from 0 to 1")
    frames = flat["model.frames"]
    require("model.frames", frames >= 8 and frames % 8 == 0, "a positive multiple of 8")
    chunk = flat["train.steps_per_dispatch"]
    for name in _MULTIPLES:
        rule = f"a multiple of train.steps_per_dispatch={chunk}"
        require(name, flat[name] % chunk == 0, rule)


def _flat(config: ConfigDict) -> dict[str, Any]:
    """Every field by its name, such as 'train.steps'."""
    flat = {f"{s}.{k}": v for s, fields in config.items() if isinstance(fields, ConfigDict)
            for k, v in fields.items()}
    return {n: v for n, v in config.items() if not isinstance(v, ConfigDict)} | flat


def _typed(cls: type, values: ConfigDict, section: str) -> Any:
    try:
        plain = {k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in values.items()}
        return cls(**plain)
    except TypeError as error:
        raise InputError(f"config.{section}: {error}") from error
