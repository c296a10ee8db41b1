"""What decides the networks, in a form that a checkpoint can carry."""

import dataclasses
from typing import Any, Literal

from posegan_jax.pose.skeleton import LISTED, SKELETONS
from posegan_jax.runtime.options import check_choices, check_least, require

Normalization = Literal["batch", "layer", "none"]
FinalActivation = Literal["linear", "sigmoid"]
LastSpeed = Literal["repeat", "zero"]
Layers = Literal["convolutions", "mixers"]

NETWORKS = ("generator", "discriminator", "encoder")
"""The three of table 1."""
CORRECTOR = "corrector"

Variables = dict[str, Any]
"""Linen variables of one network: {'params': ..., 'batch_stats': ...}."""


@dataclasses.dataclass(frozen=True)
class NetworkOptions:
    """Everything that decides the shapes and functions of the networks.

    Attributes:
      skeleton: name of the skeleton that is generated.
      frames: window length F, a multiple of 8.
      latent: dimension of z.
      coordinates: C of every joint: 2 in the picture, 3 with the depth, which nobody observes:
        the encoder sees the picture alone.
      final_activation: last activation of critic and encoder (table 1 prints 'sigmoid').
      critic_normalization: 'layer', 'none', or 'batch' as table 1 prints it.
      last_speed: speed of the last frame, see ``arrange.speeds``.
      layers: 'convolutions' of table 1, or 'mixers' (see there).
      width, blocks: features per frame of mixers, and how often they are mixed.
    """

    skeleton: str = "mpi_inf_3dhp"
    frames: int = 24
    latent: int = 128
    coordinates: int = 2
    final_activation: FinalActivation = "linear"
    critic_normalization: Normalization = "layer"
    last_speed: LastSpeed = "repeat"
    layers: Layers = "convolutions"
    width: int = 192
    blocks: int = 3

    def __post_init__(self):
        """Raises OptionError on what no networks can be made of."""
        check_choices(self)
        check_least(self, 1, "latent", "coordinates", "width", "blocks")
        known = self.skeleton.startswith(LISTED) or self.skeleton in SKELETONS
        require(known, "skeleton", f"one of {', '.join(SKELETONS)}", self.skeleton)
        good = self.frames >= 8 and self.frames % 8 == 0
        require(good, "frames", "a positive multiple of 8", self.frames)

    @property
    def depth(self) -> bool:
        """Whether joints have a depth."""
        return self.coordinates == 3

    @classmethod
    def from_dict(cls, values: dict) -> "NetworkOptions":
        """Reads the options out of a checkpoint's metadata; unknown keys are an error."""
        return cls(**values)

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class CorrectorOptions:
    """Everything else that decides the corrector.

    Attributes:
      width: features per frame.
      blocks: mixing over frames, then over features, so many times.
      corrects: whether it is shown generated windows, which it corrects. Off, it completes what is
        seen by itself: the benchmark's learned regressor.
    """

    width: int = 192
    blocks: int = 4
    corrects: bool = True

    def __post_init__(self):
        """Raises OptionError on sizes that are none."""
        check_least(self, 1, "width", "blocks")

    @classmethod
    def from_dict(cls, values: dict) -> "CorrectorOptions":
        """Reads the options out of a checkpoint's metadata; unknown keys are an error."""
        return cls(**values)

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)
