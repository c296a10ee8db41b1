"""Numbers that belong to a model's weights: how far what it says is to be trusted."""

import dataclasses
import math
from typing import Any

from posegan_jax.runtime.options import check_least, check_shares, require


@dataclasses.dataclass(frozen=True)
class Constants:
    """Numbers of a model; the defaults are those of the packaged weights, and a start for others.

    Shares are weights from 0 to 1 of what is said of a joint that is not observed;
    ``python -m posegan_jax.evaluation.tune`` fits them. From ``spread`` on, the constants tell how
    sure a model is to which no ``certainty`` was fitted, and no command fits them any more;
    ``left_open`` is also among the grounds of that.

    Attributes:
      correction: share of the corrector in joints that detectors deliver.
      upsampling: share of the corrector in all other joints.
      regression: share of a linear regression on the joints that detectors deliver in all others,
        where there is no corrector. It errs in other ways than the networks do.
      beside: the same after a correction, where it hardly counts but where those joints are off.
      bridge: share of the joints' own paths in gaps of all joints. They err alike much, in other
        ways.
      spread: weight of the windows' disagreement in a joint's deviation.
      upsampled: what is left of the deviation of joints that detectors do not deliver, as the
        carried residual does not know of the corrector and the regression.
      left_open: what every joint short of six that are seen adds to the deviation of those that are
        not, in body sizes: few joints leave size, place and turn of the body open.
      confidence: intercept and slope of the log odds that a joint lies within half a head size of
        the truth, over the logarithm of its deviation in head sizes.
    """

    correction: float = 0.7
    upsampling: float = 0.9
    regression: float = 0.4
    beside: float = 0.3
    bridge: float = 0.65
    spread: float = 0.35
    upsampled: float = 0.5
    left_open: float = 0.0165
    confidence: tuple[float, float] = (-4.27, -2.26)

    def __post_init__(self):
        """Raises OptionError on what is no share, no factor, or no line."""
        check_shares(self, "correction", "upsampling", "regression", "beside", "bridge")
        check_least(self, 0, "spread", "upsampled", "left_open")
        good = len(self.confidence) == 2 and all(map(math.isfinite, self.confidence))
        require(good, "confidence", "two finite numbers", self.confidence)

    @classmethod
    def from_dict(cls, values: dict) -> "Constants":
        """Reads the constants out of a checkpoint's metadata; unknown keys are an error."""
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**plain)

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)
