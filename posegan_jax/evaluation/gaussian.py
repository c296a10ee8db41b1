"""Regression of what is missing on what is observed, whatever the pattern: a conditional Gaussian.

For one pattern of missing joints this is ridge regression of the missing coordinates on the
observed ones; the covariance of training windows gives the regressions of all patterns at once.
With a covariance of low rank it is completion by probabilistic PCA.
"""

import dataclasses

import numpy as np

from posegan_jax.evaluation.ridge import solve
from posegan_jax.evaluation.windowed import complete_patterns, fit_frame

# Where a window lies, and how large it is, is not known before: variances of its place and of its
# size against those of the observed joints, which is what it is normalised by.
_PLACE, _SIZE = 4.0, 0.25


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """Windows of F frames as one normal distribution, D = 2 F J coordinates.

    Attributes:
      mean: (D,) of windows normalised by mean and size of their detected joints.
      covariance: (D, D), with what is not known of place and size.
      frames: F.
      penalty: variance that observations have besides: what ridge regression calls its penalty.
    """

    mean: np.ndarray
    covariance: np.ndarray
    frames: int
    penalty: float

    @classmethod
    def fit(
        cls, windows: np.ndarray, detected: np.ndarray, penalty: float, rank: int | None = None
    ) -> "Gaussian":
        """From complete windows.

        Args:
          windows: (N, F, J, 2) in any units.
          detected: (J,) bool, the joints that windows are normalised by.
          penalty: relative to the size of the detected joints, squared.
          rank: of the covariance; the rest of the variance is spread over all coordinates.
        """
        center, size = fit_frame(windows[:, :, detected].reshape(len(windows), -1, 2))
        flat = ((windows - center[:, None]) / size[:, None]).reshape(len(windows), -1)
        mean = flat.mean(axis=0)
        covariance = np.cov(flat, rowvar=False)
        if rank is not None:
            values, vectors = np.linalg.eigh(covariance)
            rest, values, vectors = values[:-rank].mean(), values[-rank:], vectors[:, -rank:]
            covariance = (vectors * (values - rest)) @ vectors.T + rest * np.eye(len(mean))
        place = np.tile(np.eye(2), (len(mean) // 2, 1))
        covariance += _PLACE * place @ place.T + _SIZE * np.outer(mean, mean)
        return cls(mean, covariance, windows.shape[1], penalty)

    def complete(self, window: np.ndarray) -> np.ndarray:
        """(F, J, 2) with NaN where missing -> complete; what is observed is kept.

        With fewer than two joints observed nothing is known of the size, and NaN stays.
        """
        return self.complete_all(window[None])[0]

    def complete_all(self, windows: np.ndarray) -> np.ndarray:
        """``complete`` for (N, F, J, 2); those that lack the same joints share their solution."""
        return complete_patterns(windows, self._conditional)

    def _conditional(self, observed: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """(n, K, 2) observed points -> (n, F J - K, 2) means of the others."""
        center, size = fit_frame(observed)
        seen = np.repeat(seen, 2)
        # A pattern has a place and a size of its own; both are observed, exactly enough.
        expected_center, expected_size = fit_frame(self.mean[seen].reshape(1, -1, 2))
        relative = (observed - center) / size * expected_size + expected_center
        relative = relative.reshape(len(observed), -1) - self.mean[seen]
        gain = solve(self.covariance[np.ix_(seen, seen)], relative.T, self.penalty)
        mean = self.mean[~seen] + (self.covariance[np.ix_(~seen, seen)] @ gain).T
        mean = (mean.reshape(len(mean), -1, 2) - expected_center) / expected_size
        return mean * size + center
