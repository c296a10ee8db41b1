"""How a sequence is completed: the options of the search, and the qualities made of them.

Nothing here needs JAX, so that a command line can be made of it at once.
"""

import contextlib
import dataclasses
import math
import os
from importlib import resources
from typing import Any, Literal, get_args

from posegan_jax import formats
from posegan_jax.errors import InputError, whole
from posegan_jax.formats.options import ReadOptions
from posegan_jax.model.folder import find_checkpoint, packaged, read_metadata
from posegan_jax.model.options import NetworkOptions
from posegan_jax.pose.carry import lacking
from posegan_jax.pose.continuity import LONGEST
from posegan_jax.pose.rate import Rate
from posegan_jax.pose.skeleton import SKELETONS, get_skeleton
from posegan_jax.runtime.options import (
    check_choice,
    check_choices,
    check_least,
    check_shares,
    option,
    require,
)

Method = Literal["adam", "bfgs"]
Composition = Literal["blend", "nearest"]
Observed = Literal["auto", "keep", "refine"]
Quality = str
"""A name of ``QUALITIES``."""

UPSAMPLED = "mpi_inf_3dhp"
"""The skeleton that the packaged networks generate."""


@dataclasses.dataclass(frozen=True)
class ObjectiveWeights:
    """Weights of the terms (section 7.2.3; ``prior`` is ours).

    Attributes:
      position: gamma_p of MPJPE over the observed joints.
      speed: gamma_s of MPJSE over the observed joints.
      critic: gamma_d of the critic's score.
      prior: weight of ||z - E(x)||^2. Without it (0, as in the thesis) the search gives up what
        the encoder knows of unseen limbs for the last bit of fit on the seen ones.
    """

    position: float = 10.0
    speed: float = 5.0
    critic: float = 0.5
    prior: float = 0.0


@dataclasses.dataclass(frozen=True)
class DescentOptions:
    """The search's settings; the defaults are the thesis's (section 7.2.3).

    Attributes:
      steps: of the search, each one evaluation of the objective and its gradient; 0 gives the
        encoder's answer.
      learning_rate, b1, b2, eps: Adam's; BFGS has none.
      weights: of the objective.
      method: who searches.
    """

    steps: int = 200
    learning_rate: float = 1.0
    b1: float = 0.8
    b2: float = 0.999
    eps: float = 1e-8
    weights: ObjectiveWeights = ObjectiveWeights()
    method: Method = "adam"

    def __post_init__(self):
        """Raises OptionError on a number of steps that is none, or a method that there is not."""
        whole("steps", self.steps)
        check_least(self, 0, "steps")
        check_choices(self)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a sequence is solved.

    Attributes:
      shift: frames from one window to the next.
      descent: the search in latent space.
      composition: how overlapping windows become one sequence, see ``compose.compose``.
      carry_residual: add what the generated motion leaves unexplained, see ``residual``. Off, the
        result is the generated motion alone, as in the thesis.
      mirror: solve every second window as its mirror image. What the networks say of it is off
        elsewhere than what they say of the window itself, and blended with it comes nearer.
      correct: let the model's corrector move joints that are not observed, see
        ``correct``.
    """

    shift: int = 8
    descent: DescentOptions = DescentOptions()
    composition: Composition = "blend"
    carry_residual: bool = True
    mirror: bool = False
    correct: bool = True

    def __post_init__(self):
        """Raises OptionError on a shift that is none, or a composition that there is not."""
        whole("shift", self.shift)
        check_least(self, 1, "shift")
        check_choices(self)


# Few steps and the pull towards the encoder's answer keep what the encoder knows of unseen limbs.
_WEIGHTS = ObjectiveWeights(critic=0.0, prior=0.01)


def _search(steps: int) -> DescentOptions:
    return DescentOptions(steps, weights=_WEIGHTS, method="bfgs")


QUALITIES: dict[str, Settings] = {
    "fast": Settings(6, _search(0)),
    "balanced": Settings(6, _search(8)),
    "best": Settings(3, _search(8), mirror=True),
    # The thesis's own search and composition, for comparison.
    "thesis": Settings(8, DescentOptions(), "nearest", carry_residual=False),
}
"""What users choose by a word: commands, batches and the benchmark know every one of them."""


@dataclasses.dataclass(frozen=True)
class LiveSettings:
    """How a live track is followed, besides what is done with its newest window.

    Attributes:
      hold: frames of the model for which a person is followed of whom nothing is observed. Joints
        are then off by 0.6 head sizes on average, and 8 frames later by 1.5.
      memory: what is left, a frame of the model later, of the difference between what was delivered
        and what the newest window says of the same frame. The acceleration error of filled joints
        falls by a tenth to two fifths; more of it lets them drift.
      history: frames of the video from which jitter is judged, at least the window's.
      settled: frames after which jitter that cannot be measured is taken for none; before, for
        some.
    """

    hold: int = 12
    memory: float = 0.5
    history: int = 75
    settled: int = 25

    def __post_init__(self):
        """Raises OptionError on numbers that are none, or out of range."""
        for name in ("hold", "history", "settled"):
            whole(name, getattr(self, name))
        check_least(self, 0, "hold", "history", "settled")
        check_shares(self, "memory")


@dataclasses.dataclass(frozen=True)
class FillOptions(ReadOptions):
    """How files are read and completed.

    Attributes: as of ``formats.read`` and of ``inpainter.Inpainter.__call__``.
    """

    joints: str = option(
        "same", "the input's own joints (default: same), or those of a skeleton that the model "
        f"generates, such as {UPSAMPLED}, all of the packaged one's", metavar="SKELETON",
    )
    observed: Observed = option(
        "auto", "what becomes of observed joints (default: auto: refined where they need it)"
    )
    repair_sides: bool = option(
        True, "exchange left and right where the detector did (default: yes)"
    )
    repair_ids: bool = option(
        True, "give two people back what was exchanged between their ids (default: yes)"
    )
    bridge: float | None = option(
        None, "longest gap, frames in which nothing of a person was seen, that is filled (default: "
        f"{LONGEST:g}, and no longer than what was seen around it)", metavar="SECONDS",
    )
    quality: Quality = option(
        "balanced", "speed against accuracy (default: %(default)s), or the thesis's own search",
        choices=QUALITIES,
    )
    shift: int | None = option(None, "frames from one window to the next")
    steps: int | None = option(None, "steps of the search")

    def __post_init__(self):
        """Raises InputError on what no file can be read or completed with."""
        super().__post_init__()
        Rate.of(self.fps)
        check_choices(self)
        check_bridge(self.bridge)
        settings_of(self.quality, self.shift, self.steps)

    @property
    def settings(self) -> Settings:
        """Of the search."""
        return settings_of(self.quality, self.shift, self.steps)

    def check(self) -> None:
        """Raises InputError where there is no such joint map, which is read."""
        formats.check_reading(joint_map=self.joint_map)

    def check_model(self, checkpoint: str | os.PathLike | None) -> None:
        """Looks at what a checkpoint, or the packaged one, says of itself; it is not loaded.

        Raises:
          InputError: there is none, its windows are shorter than the shift between them, or it does
            not generate the joints that are asked for.
        """
        with contextlib.ExitStack() as stack:
            path = checkpoint or stack.enter_context(resources.as_file(packaged()))
            networks = read_metadata(find_checkpoint(path)).get("networks")
        if isinstance(networks, dict):  # else loading it says what is wrong
            default = NetworkOptions()
            check_shift(self.settings, networks.get("frames", default.frames))
            check_joints(self.joints, networks.get("skeleton", default.skeleton))

    def content(self) -> dict[str, Any]:
        """What outputs depend on, as plain values: of the search, its ``settings``."""
        plain = {"settings": dataclasses.asdict(self.settings), **dataclasses.asdict(self)}
        return {name: plain[name] for name in plain if name not in ("quality", "shift", "steps")}


def settings_of(
    quality: Quality = "balanced", shift: int | None = None, steps: int | None = None,
    settings: Settings | None = None,
) -> Settings:
    """The settings of a quality, or those that are given, with shift and steps where given.

    Args: as of ``inpainter.Inpainter.__call__``.

    Raises:
      OptionError: no such quality, or no such shift or number of steps.
    """
    if settings is None:
        check_choice("quality", quality, QUALITIES)
        settings = QUALITIES[quality]
    if shift is not None:
        settings = dataclasses.replace(settings, shift=shift)
    if steps is not None:
        descent = dataclasses.replace(settings.descent, steps=steps)
        settings = dataclasses.replace(settings, descent=descent)
    return settings


def check_shift(settings: Settings, frames: int) -> None:
    """Raises InputError where windows of so many frames would leave frames out between them."""
    if settings.shift > frames:
        raise InputError(f"shift must be between 1 and {frames} frames, not {settings.shift}")


def check_joints(joints: str, skeleton: str) -> None:
    """Raises InputError where a result is to have joints that a model of this skeleton has not."""
    if joints in ("same", skeleton):
        return
    model = get_skeleton(skeleton)
    if joints not in SKELETONS:
        known = [name for name, other in SKELETONS.items() if not lacking(model, other)]
        raise InputError(
            f"joints must be 'same' or a skeleton that the model generates, not {joints!r}; it "
            f"generates {', '.join(known)}"
        )
    if more := lacking(model, SKELETONS[joints]):
        named = ", ".join(more[:3]) + ", ..." * (len(more) > 3)
        raise InputError(
            f"joints must be 'same' or a skeleton that the model generates: of {joints} it does "
            f"not know {named}"
        )


def check_bridge(bridge: float | None) -> None:
    """Raises OptionError where this is no length of a gap, in seconds."""
    good = bridge is None or 0 <= bridge < math.inf
    require(good, "bridge", "0 or more seconds", bridge)


def check_observed(observed: str) -> None:
    """Raises OptionError when this is no way to treat observed joints."""
    check_choice("observed", observed, get_args(Observed))
