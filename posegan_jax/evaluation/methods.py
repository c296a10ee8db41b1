"""Our methods by name: qualities, window shifts, and what shows what each part of them gives."""

import copy
import dataclasses
import re
from collections.abc import Collection, Sequence
from typing import cast, get_args

import jax
import numpy as np
from flax import linen as nn

from posegan_jax.errors import InputError
from posegan_jax.evaluation.baselines import LEARNED, TEMPORAL, Method
from posegan_jax.evaluation.clips import FRAMES
from posegan_jax.inpainting.completer import NothingToStartFrom
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.inpainting.settings import QUALITIES, Composition, Observed, Settings
from posegan_jax.inpainting.solver import Solver
from posegan_jax.pose.continuity import rate_of
from posegan_jax.pose.sequence import PoseSequence

INPUT = "input"
REGRESSOR = "regressor"
NETWORK = "network"
"""Trained for each protocol, see ``specialist``: it takes minutes, and is no default."""
SEARCH = ("encoder", "descent20", "descent50", "descent200", "random", "thesis", "fast", "balanced",
          "best", "s1", "s8", "s24", "balanced+nearest", "balanced+keep", "balanced+refine",
          "balanced+uncorrected")
"""What shows what search, start, shift, composition and the carried residual give."""

_DESCENT = re.compile(r"descent(\d+)")
# As the thesis searches, at a rate that an objective without a critic bears.
_ADAM = {"method": "adam", "learning_rate": 0.1}
_LETTER = re.compile(r"^[A-Z]-")


def baselines() -> tuple[str, ...]:
    """Names of what the model has to beat."""
    return (*TEMPORAL, *LEARNED, REGRESSOR, NETWORK)


def main_methods() -> tuple[str, ...]:
    """What is evaluated unless other methods are named."""
    return tuple(name for name in every_method() if name != NETWORK)


def every_method() -> tuple[str, ...]:
    """What the page of the benchmark compares: that, and what is trained for single protocols."""
    return (INPUT, *baselines(), "encoder", "fast", "balanced")


def qualities(names: Collection[str]) -> list[str]:
    """Those of our qualities that are among some methods, the best one last."""
    return [
        name for name, settings in QUALITIES.items() if settings.carry_residual and name in names
    ]


class RandomStart(nn.Module):
    """Stands where the encoder does: codes from N(0, I) that know nothing of the input.

    Attributes:
      latent: dimension of z.
    """

    latent: int

    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """(N, F, J, 2) and (N, F, J) -> (N, latent), the same ones in every call."""
        return jax.random.normal(jax.random.key(0), (len(x), self.latent), x.dtype)


def plain(name: str) -> str:
    """A method's name without the letter of the weights: 'M-s1' -> 's1'."""
    return _LETTER.sub("", name)


def settings_of(name: str, frames: int = FRAMES) -> tuple[Settings, Observed]:
    """Settings of one of our methods, and what becomes of observed joints.

    Args:
      name: of the method.
      frames: of the model's windows, which none is shifted by more than.

    Raises:
      InputError: there is no method of that name.
    """
    base, *changes = name.split("+")
    settings = _base_settings(base, frames)
    observed: Observed = "auto"
    for change in changes:
        if change in get_args(Composition):
            settings = dataclasses.replace(settings, composition=cast(Composition, change))
        elif change in get_args(Observed):
            observed = cast(Observed, change)
        elif change == "uncorrected":
            settings = dataclasses.replace(settings, correct=False)
        else:
            raise _unknown(name)
    return settings, observed


def _base_settings(name: str, frames: int) -> Settings:
    default = QUALITIES["balanced"]
    if name in QUALITIES:
        return QUALITIES[name]
    if (match := _shifted(name)) and 1 <= int(match[2]) <= frames:
        return dataclasses.replace(QUALITIES[match[1] or "balanced"], shift=int(match[2]))
    alone = dataclasses.replace(default, carry_residual=False)
    if name == "encoder":
        return _with_descent(alone, steps=0)
    if match := _DESCENT.fullmatch(name):
        return _with_descent(alone, steps=int(match[1]), **_ADAM)
    if name == "random":
        # The pull towards the start is one towards the encoder's answer, which there is none of.
        weights = dataclasses.replace(default.descent.weights, prior=0.0)
        return _with_descent(alone, steps=200, weights=weights, **_ADAM)
    raise _unknown(name)


def _shifted(name: str) -> re.Match | None:
    """The quality, None for the default, and the shift in 'QUALITY-sN' or 'sN'."""
    return re.fullmatch(rf"(?:({'|'.join(map(re.escape, QUALITIES))})-)?s(\d+)", name)


def _unknown(name: str) -> InputError:
    return InputError(
        f"unknown method {name!r}; methods are: {INPUT}, {', '.join(baselines())}; "
        f"{', '.join(QUALITIES)}; sN (the default with windows every N frames), QUALITY-sN; "
        "encoder, descentN, random (generated motion alone: of the encoder, after N steps, after "
        "200 steps from a random start); each also with +blend or +nearest (composition), +auto, "
        "+keep or +refine (observations), +uncorrected (no corrector)"
    )


def our_method(inpainter: Inpainter, name: str) -> Method:
    """One of our methods. It bridges gaps of any length, since every hidden joint is counted.

    Raises:
      InputError: there is none of that name.
    """
    settings, observed = settings_of(name, inpainter.model.frames)
    if name.partition("+")[0] == "random":
        inpainter = _randomly_started(inpainter)

    def run(sequence: PoseSequence) -> np.ndarray:
        try:
            sequence = inpainter(
                sequence, joints=inpainter.skeleton.name, observed=observed, settings=settings,
                bridge=across(sequence),
            )
        except NothingToStartFrom:
            pass
        return sequence.keypoints

    return run


def across(sequence: PoseSequence) -> float:
    """Seconds of a gap that is longer than any in a sequence, and half of it than any at its ends.

    As ``bridge`` it leaves no frame out but where what follows cannot be the same person, see
    ``pose.continuity``.
    """
    span = int(sequence.frames[-1] - sequence.frames[0]) + 1 if len(sequence) else 0
    return 2 * span / rate_of(sequence)


def check_methods(names: Sequence[str], frames: int = FRAMES) -> None:
    """Raises InputError where a name is no method's for windows of so many frames."""
    for name in names:
        if name != INPUT and name not in baselines():
            settings_of(name, frames)


def letter(metadata: dict) -> str:
    """What weights are called in tables, after the thesis: M for MPI-INF-3DHP, C for other sets.

    Args:
      metadata: of a checkpoint.
    """
    source = str(metadata.get("config", {}).get("data", {}).get("path", ""))
    return "M" if "mpi_inf_3dhp" in source else "C"


def label(name: str, weights: str) -> str:
    """A method's name in tables: those named after their shift get the letter of the weights."""
    return f"{weights}-{name}" if _shifted(name.partition("+")[0]) else name


def _with_descent(settings: Settings, **changes) -> Settings:
    return dataclasses.replace(
        settings, descent=dataclasses.replace(settings.descent, **changes)
    )


def _randomly_started(inpainter: Inpainter) -> Inpainter:
    changed = copy.copy(inpainter)
    networks = inpainter.networks
    start = RandomStart(networks.options.latent)
    changed.solver = Solver(
        networks._replace(encoder=start), inpainter.variables, inpainter.batch
    )
    return changed
