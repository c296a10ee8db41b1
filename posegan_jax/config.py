"""The default configuration, and its translation into the typed options that the rooms take.

Files in ``configs/`` are thin overlays on ``default_config``. Nothing below this module sees a
``ConfigDict``: modules take typed options, and this is where they are made.
"""

import dataclasses
import runpy
from pathlib import Path
from typing import Any, Literal, get_type_hints

import numpy as np
from ml_collections import ConfigDict

from posegan_jax.errors import InputError, OptionError
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.model.networks import Networks, build_networks
from posegan_jax.model.options import CorrectorOptions, NetworkOptions
from posegan_jax.motion.bodies import BodyOptions
from posegan_jax.motion.corrupt import CorruptionOptions
from posegan_jax.motion.sample import ViewOptions
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.runtime.options import check_choices, check_least, names, require
from posegan_jax.training.options import (
    CorrectionOptions,
    DataOptions,
    LossWeights,
    OptimizerOptions,
    Phase,
    StepOptions,
    TrainOptions,
)


@dataclasses.dataclass(frozen=True)
class RunEvaluation(EvaluateOptions):
    """How a run is evaluated: by its validation, and with --config.mode=evaluate.

    Attributes:
      motion: as of ``EvaluateOptions``; empty: ``data.path``.
      windows: of the validation during training.
      checkpoint: empty: the run's own latest.
    """

    motion: str = ""
    windows: int = 512
    checkpoint: str = ""

    def __post_init__(self):
        super().__post_init__()
        check_least(self, 1, "windows")


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that a run is told.

    Attributes:
      workdir: its folder; empty: runs/<name>.
    """

    name: str = "default"
    mode: Literal["train", "evaluate"] = "train"
    workdir: str = ""
    seed: int = 0
    data: DataOptions = DataOptions()
    model: NetworkOptions = NetworkOptions()
    bodies: BodyOptions = BodyOptions()
    views: ViewOptions = ViewOptions()
    corruption: CorruptionOptions = CorruptionOptions()
    loss: LossWeights = LossWeights()
    optimizer: OptimizerOptions = OptimizerOptions()
    corrector: CorrectorOptions = CorrectorOptions()
    correction: CorrectionOptions = CorrectionOptions()
    train: TrainOptions = TrainOptions()
    evaluate: RunEvaluation = RunEvaluation()

    def __post_init__(self):
        """Raises OptionError on what the sections cannot tell by themselves."""
        check_choices(self)
        check_least(self, 0, "seed")
        skeleton = get_skeleton(self.model.skeleton)
        for option in ("detected", "never_observed"):
            for joint in getattr(self.corruption, option):
                require(
                    joint in skeleton, f"corruption.{option}", f"joints of {skeleton.name}", joint
                )
        rule, coordinates = "2, as cameras see motion, or 3, with the depth", self.model.coordinates
        require(coordinates in (2, 3), "model.coordinates", rule, coordinates)
        leading, last = self.optimizer.reconstruction_steps, self.correction.steps
        self.train.check_multiple("optimizer.reconstruction_steps", leading)
        self.train.check_multiple("correction.steps", last)
        if last:
            room = self.train.steps - min(leading, self.train.steps)
            if not self.corrector.corrects:  # there is nothing else to train
                require(last == self.train.steps, "correction.steps", "train.steps", last)
            require(last <= room, "correction.steps", f"{room} at most, what is left", last)

    @property
    def step(self) -> StepOptions:
        """Everything one training iteration needs."""
        return StepOptions(
            self.train.batch_size, self.train.normalize_by, self.loss, self.views, self.corruption,
            self.optimizer, self.correction, self.bodies,
        )

    def networks(self) -> Networks:
        """The modules that are trained."""
        return build_networks(
            self.model, dtype=np.dtype(self.train.dtype), detected=self.corruption.detected,
            corrector=self.corrector if self.correction.steps else None,
        )

    def phase(self, step: int) -> Phase:
        """What the step after so many trains."""
        if step < self.optimizer.reconstruction_steps:
            return "reconstruction"
        return "full" if step < self.train.steps - self.correction.steps else "correction"


def default_config() -> ConfigDict:
    """All fields with their defaults: the thesis's numbers where it prints them."""
    plain = dataclasses.asdict(Config())
    plain["evaluate"] |= {"protocols": "", "methods": ""}  # as flags give them, with commas
    return ConfigDict(plain)


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


def typed(config: ConfigDict) -> Config:
    """A configuration's typed options.

    Raises:
      InputError: an unknown field, or a value that would fail later or silently; one line.
    """
    return _made(Config, config, "config")


def check(config: ConfigDict) -> None:
    """Raises InputError, one line, on values that would fail later or silently."""
    typed(config)


def _made(cls: Any, values: ConfigDict, where: str) -> Any:
    """A dataclass of the fields of a section, which may hold sections of their own."""
    hints, given = get_type_hints(cls), {}
    for name, value in values.items():
        hint = hints.get(name)
        if dataclasses.is_dataclass(hint):
            value = _made(hint, value, f"{where}.{name}")
        elif isinstance(value, str) and hint == tuple[str, ...]:
            value = names(value)
        given[name] = tuple(value) if isinstance(value, list) else value
    try:
        return cls(**given)
    except TypeError as error:
        raise InputError(f"{where}: {error}") from error
    except OptionError as error:
        raise error.named(f"{where}.{error.name}") from None


def _flat(config: ConfigDict) -> dict[str, Any]:
    """Every field by its name, such as 'train.steps'."""
    flat = {f"{s}.{k}": v for s, fields in config.items() if isinstance(fields, ConfigDict)
            for k, v in fields.items()}
    return {n: v for n, v in config.items() if not isinstance(v, ConfigDict)} | flat
