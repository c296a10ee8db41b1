"""A learned regressor: what the same data gives without a generative model and without a search.

It is a mixer (``model.corrector``) that sees the 12 joints, interpolated linearly over holes, and
which of them were observed, and adds to them. ``training.mixer`` trained it on the windows, views
and corruptions that our networks are trained on, on reconstruction alone.
"""

import dataclasses

import numpy as np

from posegan_jax.inpainting.correct import SHIFT, mix_track
from posegan_jax.model.corrector import Mixer
from posegan_jax.pose.rate import Rate
from posegan_jax.pose.sequence import PoseSequence


@dataclasses.dataclass(frozen=True)
class Regressor:
    """A trained regressor, as a method.

    Attributes:
      mixer: trained to complete.
    """

    mixer: Mixer

    @classmethod
    def packaged(cls) -> "Regressor | None":
        """With the weights that come with the package, if they do."""
        mixer = Mixer.packaged("regressor")
        return mixer and cls(mixer)

    def __call__(self, sequence: PoseSequence) -> np.ndarray:
        """(T, J, 2) pixels, observed joints included: by windows, blended as ours are.

        NaN in frames of which no window has two observed joints.
        """
        seen = np.isfinite(sequence.keypoints[..., 0])
        return mix_track(
            self.mixer, sequence.keypoints, seen.astype(float), Rate.of(sequence.fps), SHIFT
        )
