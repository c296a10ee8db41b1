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
OLDER = 1e4
"""Scale of moments that stand for a regression of earlier versions, beside which penalties are
nothing."""


class ResidualMoments(NamedTuple):
    """Residuals in units of the body's size, D = 2 J coordinates.

    The size is ``body.pose_size`` of the generated joints, averaged over the window.

    Attributes:
      calibration: (D + 1, D) linear map from a centred generated pose, and 1, to its mean residual.
      covariance: (D, D) of what is then left, at one frame.
      poses: (D + 1, D + 1) second moments of a true pose, centred on its joints' mean, and 1: of
        them follows the linear regression of a pose on any of its joints.
    """

    calibration: Array
    covariance: Array
    poses: Array

    @classmethod
    def default(cls, joints: int) -> "ResidualMoments":
        """For want of measured ones: a tenth of the body."""
        d = 2 * joints
        return cls(jnp.zeros((d + 1, d)), 0.01 * jnp.eye(d), jnp.zeros((d + 1, d + 1)))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ResidualMoments":
        """Of arrays, or of the nested lists of earlier versions, under the names of the fields; in
        NumPy and single precision."""
        return cls(*(np.asarray(values[name], np.float32) for name in cls._fields))


def poses_of(weights: np.ndarray) -> np.ndarray:
    """(D + 1, D + 1) ``poses`` of which a regression follows that earlier versions had instead.

    That is on the joints of the rows of weights (D + 1, D) that are not 0: inputs of variance 1,
    and what these weights make of them.
    """
    size = len(weights)
    inputs = np.flatnonzero(np.any(weights != 0, axis=1))
    if not inputs.size:
        return np.zeros((size, size))
    made = np.hstack([weights, np.zeros((size, 1))])
    made[:, inputs] = np.eye(size)[:, inputs]  # what they are, and not what is left of them
    return OLDER * made.T @ made


def residual_moments(x: jax.Array, x_tilde: jax.Array) -> ResidualMoments:
    """Measures the moments.

    Args:
      x: (N, F, J, 2) true windows.
      x_tilde: (N, F, J, 2) generated ones, in the same frame.
    """
    chex.assert_shape(x, (None, None, None, 2))
    n, f, j, _ = x.shape
    chex.assert_equal_shape([x, x_tilde])
    centered = x_tilde - x_tilde.mean(axis=2, keepdims=True)
    size = pose_size(x_tilde).mean(axis=-1)[:, None, None, None]
    residual = ((x - x_tilde) / size).reshape(n * f, 2 * j)
    features = (centered / size).reshape(n * f, 2 * j)
    features = jnp.concatenate([features, jnp.ones((n * f, 1))], axis=1)
    calibration = _ridge(features, residual, PENALTY)
    residual = residual - features @ calibration
    pose = ((x - x.mean(axis=2, keepdims=True)) / size).reshape(n * f, 2 * j)
    pose = jnp.concatenate([pose, jnp.ones((n * f, 1))], axis=1)
    return ResidualMoments(calibration, residual.T @ residual / (n * f), pose.T @ pose / (n * f))


def _ridge(features: jax.Array, targets: jax.Array, penalty: float) -> jax.Array:
    """(K, D) weights of features (M, K) for targets (M, D); the penalty is per row."""
    count, width = features.shape
    gram = features.T @ features / count + penalty * jnp.eye(width)
    return jnp.linalg.solve(gram, features.T @ targets / count)
