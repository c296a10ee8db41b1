"""Moments of what generated windows leave unexplained."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

PENALTY = 1e-4
"""Of the squared weights of the calibration, per frame."""


class ResidualMoments(NamedTuple):
    """Residuals in units of the body's size, D = 2 J coordinates.

    The size is the root mean square distance of the generated joints from their mean, averaged
    over the window.

    Attributes:
      calibration: (D + 1, D) linear map from a centred generated pose, and 1, to its mean residual.
      covariance: (D, D) of what is then left, at one frame.
      correlation: (F,) over time, at lags 0 to F - 1.
    """

    calibration: jax.Array
    covariance: jax.Array
    correlation: jax.Array

    @classmethod
    def default(cls, joints: int) -> "ResidualMoments":
        """For want of measured ones: a tenth of the body, smooth over a third of a second."""
        d = 2 * joints
        lags = jnp.arange(24)
        return cls(jnp.zeros((d + 1, d)), 0.01 * jnp.eye(d), jnp.exp(-0.5 * (lags / 8.0) ** 2))

    def to_dict(self) -> dict[str, list]:
        """As JSON lists, rounded to six digits."""
        return {
            name: [[float(f"{v:.6g}") for v in row] for row in jnp.atleast_2d(value).tolist()]
            for name, value in self._asdict().items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, list]) -> "ResidualMoments":
        """The inverse of ``to_dict``."""
        arrays = {name: jnp.asarray(value) for name, value in values.items()}
        return cls(arrays["calibration"], arrays["covariance"], arrays["correlation"][0])


def residual_moments(x: jax.Array, x_tilde: jax.Array) -> ResidualMoments:
    """Measures the moments.

    Args:
      x: (N, F, J, 2) true windows.
      x_tilde: (N, F, J, 2) generated ones, in the same frame.
    """
    n, f, j, _ = x.shape
    centered = x_tilde - x_tilde.mean(axis=2, keepdims=True)
    size = jnp.sqrt((centered**2).sum(-1).mean(-1)).mean(-1)[:, None, None, None]
    residual = ((x - x_tilde) / size).reshape(n * f, 2 * j)
    features = (centered / size).reshape(n * f, 2 * j)
    features = jnp.concatenate([features, jnp.ones((n * f, 1))], axis=1)
    gram = features.T @ features / (n * f) + PENALTY * jnp.eye(2 * j + 1)
    calibration = jnp.linalg.solve(gram, features.T @ residual / (n * f))
    residual = residual - features @ calibration
    covariance = residual.T @ residual / (n * f)
    residual = residual.reshape(n, f, 2 * j)
    lagged = jnp.stack(
        [(residual[:, lag:] * residual[:, : f - lag]).sum() / (f - lag) for lag in range(f)]
    )
    return ResidualMoments(calibration, covariance, lagged / lagged[0])
