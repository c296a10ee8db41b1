"""What ``posegan speed`` measures. Nothing here needs JAX."""

import dataclasses
from typing import Literal, get_args

from posegan_jax.inpainting.settings import QUALITIES, Quality
from posegan_jax.runtime.options import (
    check_choice,
    check_choices,
    check_least,
    option,
    require,
)

Part = Literal["filling", "training"]


@dataclasses.dataclass(frozen=True)
class SpeedOptions:
    """What is measured.

    Attributes:
      parts: filling, training.
      qualities: of filling; 'thesis' costs what 'best' does.
      frames: of the track that is filled; None: 120 on a CPU, 2,000 on an accelerator.
      seconds: that a rate is measured for, at least.
      batch_size: windows of a training step, over all devices; rounded up to a multiple of them.
    """

    parts: tuple[Part, ...] = option(
        get_args(Part), "filling, training (default: both)", name="part"
    )
    qualities: tuple[Quality, ...] = option(
        ("fast", "balanced", "best"), "of filling (default: fast,balanced,best)", name="quality"
    )
    frames: int | None = option(None, "of the track (default: 120 on a CPU, 2000 elsewhere)")
    seconds: float = option(3.0, "that each rate is measured for (default: %(default)g)")
    batch_size: int = option(256, "windows of a training step (default: %(default)s)")

    def __post_init__(self):
        """Raises OptionError on what cannot be measured."""
        check_choices(self)
        for quality in self.qualities:
            check_choice("qualities", quality, QUALITIES)
        check_least(self, 24, "frames")
        check_least(self, 2, "batch_size")
        require(0 < self.seconds <= 60, "seconds", "over 0, and 60 at most", self.seconds)
