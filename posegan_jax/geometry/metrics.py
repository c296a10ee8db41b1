"""Errors between poses: used as training losses, as search objective and as evaluation.

Shapes: poses (..., F, J, C), masks (..., F, J) with 1 = counts, head sizes (..., F).
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np

DEFAULT_ALPHAS = np.linspace(0.0, 1.0, 101)
"""Thresholds of the PCKh curve, in head sizes."""


def safe_norm(x: jax.Array, axis: int = -1) -> jax.Array:
    """Euclidean norm whose gradient is zero, not NaN, at zero."""
    square = jnp.sum(x * x, axis=axis)
    nonzero = square != 0.0  # NaN is not zero: it must come through
    return jnp.where(nonzero, jnp.sqrt(jnp.where(nonzero, square, 1.0)), 0.0)


def mpjpe(x: jax.Array, x_tilde: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """Mean per-joint position error (thesis, equation of section 4.4).

    Args:
      x: (..., F, J, C).
      x_tilde: (..., F, J, C).
      mask: (..., F, J); the mean is over joints with 1, zero if there is none.

    Returns:
      (...) in the unit of x.
    """
    error = safe_norm(_difference(x, x_tilde, mask))
    if mask is None:
        return error.mean(axis=(-2, -1))
    return _masked_mean(error, mask)


def mpjse(x: jax.Array, x_tilde: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """Mean per-joint speed error (thesis, section 4.4), per frame of time.

    The norms of the differences of frame-to-frame differences are summed over F - 1 steps and
    divided by F J, as printed. With a mask, a step counts where both its frames are observed, and
    the sum is divided by the number of those.

    Returns:
      (...) in the unit of x per frame.
    """
    difference = _difference(x, x_tilde, mask)
    error = safe_norm(difference[..., 1:, :, :] - difference[..., :-1, :, :])
    if mask is None:
        return error.sum(axis=(-2, -1)) / (x.shape[-3] * x.shape[-2])
    return _masked_mean(error, mask[..., 1:, :] * mask[..., :-1, :])


def pckh(
    prediction: jax.Array, truth: jax.Array, head: jax.Array, alphas: np.ndarray = DEFAULT_ALPHAS,
    mask: jax.Array | None = None,
) -> jax.Array:
    """PCKh@alpha: share of joints within alpha head sizes of the truth (thesis, section 7.3).

    Args:
      prediction: (..., J, C); a joint that was not delivered is NaN and counts as wrong.
      truth: (..., J, C).
      head: (...) head size of every pose.
      alphas: (A,) thresholds.
      mask: (..., J) 1 = the joint counts; all do by default.

    Returns:
      (A,) shares in [0, 1]; NaN when no joint counts.
    """
    hits, counts = _hits(prediction, truth, head, alphas, mask)
    return hits.sum(axis=-1) / counts.sum()


def pckh_per_joint(
    prediction: jax.Array, truth: jax.Array, head: jax.Array, alphas: np.ndarray = DEFAULT_ALPHAS,
    mask: jax.Array | None = None,
) -> jax.Array:
    """As ``pckh`` for every joint on its own: (A, J)."""
    hits, counts = _hits(prediction, truth, head, alphas, mask)
    return hits / counts


def auc(curve: jax.Array, alphas: np.ndarray = DEFAULT_ALPHAS) -> jax.Array:
    """Area under PCKh over alpha by the trapezoidal rule, divided by alpha's range: [0, 1]."""
    chex.assert_shape([alphas, curve], [(None,), (..., len(alphas))])
    alphas = jnp.asarray(alphas)
    steps = jnp.diff(alphas)
    middle = (curve[..., 1:] + curve[..., :-1]) / 2
    return (middle * steps).sum(axis=-1) / (alphas[-1] - alphas[0])


def acceleration_error(
    x: jax.Array, x_tilde: jax.Array, mask: jax.Array | None = None
) -> jax.Array:
    """Mean norm of the difference of second differences: (..., F, J, C) -> (...)."""
    difference = _difference(x, x_tilde, mask)
    error = safe_norm(
        difference[..., 2:, :, :] - 2 * difference[..., 1:-1, :, :] + difference[..., :-2, :, :]
    )
    if mask is None:
        return error.mean(axis=(-2, -1))
    return _masked_mean(error, mask[..., 2:, :] * mask[..., 1:-1, :] * mask[..., :-2, :])


def bone_length_variation(
    x: jax.Array, x_tilde: jax.Array, bones: np.ndarray, mask: jax.Array
) -> jax.Array:
    """How unsteady the lengths of bones are: their error's standard deviation over time.

    In a picture true lengths change as well, by foreshortening; so what is measured is the
    difference to the true length.

    Args:
      x: (..., F, J, C) truth.
      x_tilde: (..., F, J, C).
      bones: (B, 2) indices of parent and child.
      mask: (..., F, J); a bone counts in a frame where both its ends do.

    Returns:
      (...) mean over the bones that count in two frames at least, in the unit of x; NaN without
      such a bone.
    """
    _check_shapes(x, x_tilde, mask)
    parent, child = np.asarray(bones).T
    counts = (mask[..., parent] * mask[..., child]) > 0

    def length(pose):
        # What does not count may be NaN.
        return jnp.where(counts, safe_norm(pose[..., child, :] - pose[..., parent, :]), 0.0)

    error = length(x_tilde) - length(x)
    frames = counts.sum(axis=-2)
    mean = error.sum(axis=-2) / jnp.maximum(frames, 1)
    square = jnp.where(counts, (error - mean[..., None, :]) ** 2, 0.0).sum(axis=-2)
    deviation = jnp.sqrt(square / jnp.maximum(frames, 1))
    enough = frames >= 2
    return jnp.where(enough, deviation, 0.0).sum(axis=-1) / enough.sum(axis=-1)


def _hits(prediction, truth, head, alphas, mask):
    """(A, J) weights of joints within each threshold, and (J,) weights of all that count."""
    chex.assert_shape(truth, (..., None, None))
    chex.assert_shape([prediction, head], [truth.shape, truth.shape[:-2]])
    error = jnp.linalg.norm(prediction - truth, axis=-1) / head[..., None]
    weight = jnp.ones(error.shape) if mask is None else jnp.broadcast_to(mask, error.shape)
    joints = error.shape[-1]
    error, weight = error.reshape(-1, joints), weight.reshape(-1, joints)
    within = error <= jnp.asarray(alphas)[:, None, None]  # False for NaN
    # A joint that does not count may be NaN on both sides: where, not a product.
    hits = jnp.where(within & (weight > 0), weight, 0.0).sum(axis=1)
    return hits, weight.sum(axis=0)


def _difference(x, x_tilde, mask):
    """x - x_tilde, zero at joints that do not count: they may hold anything, NaN included."""
    _check_shapes(x, x_tilde, mask)
    difference = x - x_tilde
    return difference if mask is None else jnp.where(mask[..., None] > 0, difference, 0.0)


def _check_shapes(x, x_tilde, mask):
    chex.assert_shape(x, (..., None, None, None))
    chex.assert_equal_shape([x, x_tilde])
    if mask is not None:
        chex.assert_shape(mask, x.shape[:-1])


def _masked_mean(error, mask):
    total = (error * mask).sum(axis=(-2, -1))
    return total / jnp.maximum(mask.sum(axis=(-2, -1)), 1e-9)
