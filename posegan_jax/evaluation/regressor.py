"""A learned regressor: what the same data gives without a generative model and without a search.

It is a corrector that is shown nothing generated (``model.corrector``): it sees the joints that
detectors deliver, interpolated linearly over holes, and which of them were observed, and adds to
them. ``configs/packaged/regressor_2.py`` trained it on the windows, views and corruptions that our
networks are trained on, on reconstruction alone.
"""

import dataclasses

import numpy as np

from posegan_jax.inpainting.correct import correct_track
from posegan_jax.model.folder import packaged
from posegan_jax.model.model import Model
from posegan_jax.model.store import load_packaged
from posegan_jax.pose.rate import Rate
from posegan_jax.pose.sequence import PoseSequence


@dataclasses.dataclass(frozen=True)
class Regressor:
    """A trained regressor, as a method.

    Attributes:
      model: of a corrector alone, trained to complete.
    """

    model: Model

    @classmethod
    def packaged(cls) -> "Regressor | None":
        """With the weights that come with the package, if they do."""
        name = "regressor"
        return cls(load_packaged(name)) if packaged(name).is_dir() else None

    def fits(self, model: Model) -> bool:
        """Whether it completes windows such as a model's."""
        return all(
            getattr(self.model.options, size) == getattr(model.options, size)
            for size in ("skeleton", "frames", "coordinates")
        )

    def __call__(self, sequence: PoseSequence) -> np.ndarray:
        """(T, J, 2) pixels, observed joints included: by windows, blended as ours are.

        NaN in frames of which no window has two observed joints.
        """
        seen = np.isfinite(sequence.keypoints[..., 0])
        return correct_track(
            self.model, sequence.keypoints, seen.astype(float), Rate.of(sequence.fps)
        )
