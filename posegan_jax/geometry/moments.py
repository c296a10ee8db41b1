"""Moments of true windows, and of what generated ones leave unexplained."""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from posegan_jax.geometry import Array
from posegan_jax.geometry.body import pose_size

PENALTY = 1e-4
"""Of the squared weights of the calibration, per frame."""
REGRESSION_PENALTY = 1e-3
"""Of those of the regression: what it starts from is not always exact."""


class ResidualMoments(NamedTuple):
    """Residuals in units of the body's size, D = 2 J coordinates.

    The size is ``body.pose_size`` of the generated joints, averaged over the window.

    Attributes:
      calibration: (D + 1, D) linear map from a centred generated pose, and 1, to its mean residual.
      covariance: (D, D) of what is then left, at one frame.
      regression: (D + 1, D) linear map from the input joints of a true pose, centred on their mean,
        and 1, to the whole pose; zero in the rows of other joints.
    """

    calibration: Array
    covariance: Array
    regression: Array

    @classmethod
    def default(cls, joints: int) -> "ResidualMoments":
        """For want of measured ones: a tenth of the body."""
        d = 2 * joints
        return cls(jnp.zeros((d + 1, d)), 0.01 * jnp.eye(d), jnp.zeros((d + 1, d)))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ResidualMoments":
        """Of arrays, or of the nested lists of earlier versions, under the names of the fields; in
        NumPy and single precision."""
        return cls(*(np.asarray(values[name], np.float32) for name in cls._fields))


def residual_moments(x: jax.Array, x_tilde: jax.Array, inputs: np.ndarray) -> ResidualMoments:
    """Measures the moments.

    Args:
      x: (N, F, J, 2) true windows.
      x_tilde: (N, F, J, 2) generated ones, in the same frame.
      inputs: (J,) bool, joints that the regression starts from.
    """
    chex.assert_shape(x, (None, None, None, 2))
    n, f, j, _ = x.shape
    chex.assert_shape([x_tilde, inputs], [x.shape, (j,)])
    centered = x_tilde - x_tilde.mean(axis=2, keepdims=True)
    size = pose_size(x_tilde).mean(axis=-1)[:, None, None, None]
    residual = ((x - x_tilde) / size).reshape(n * f, 2 * j)
    features = (centered / size).reshape(n * f, 2 * j)
    features = jnp.concatenate([features, jnp.ones((n * f, 1))], axis=1)
    calibration = _ridge(features, residual, PENALTY)
    residual = residual - features @ calibration
    pose = (x - x[:, :, inputs].mean(axis=2, keepdims=True)) / size
    features = (pose * inputs[:, None]).reshape(n * f, 2 * j)
    features = jnp.concatenate([features, jnp.ones((n * f, 1))], axis=1)
    return ResidualMoments(
        calibration, residual.T @ residual / (n * f),
        _ridge(features, pose.reshape(n * f, 2 * j), REGRESSION_PENALTY),
    )


def _ridge(features: jax.Array, targets: jax.Array, penalty: float) -> jax.Array:
    """(K, D) weights of features (M, K) for targets (M, D); the penalty is per row."""
    count, width = features.shape
    gram = features.T @ features / count + penalty * jnp.eye(width)
    return jnp.linalg.solve(gram, features.T @ targets / count)
