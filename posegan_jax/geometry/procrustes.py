"""Ordinary Procrustes analysis in the plane: the best similarity between two windows.

Translation, rotation and scale in closed form, weighted by a mask, without reflection
(L. Mourot, 2019, section 5.2; I. Dryden and K. Mardia, Statistical Shape Analysis, 1998). In the
plane, a rotation with scale is the product with a complex number, so no SVD is needed and the
gradient is finite wherever the two windows are.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from posegan_jax.geometry.camera import picture

TINY = 1e-8
"""Least spread (sum of squared distances from the centroid) that determines rotation and scale,
relative to the sum of squared coordinates: below is float32's rounding."""


class Similarity(NamedTuple):
    """y = [[a, -b], [b, a]] (x - source_center) + target_center.

    Attributes:
      a, b: (..., 1, 1) scale times cosine and sine of the rotation.
      source_center, target_center: (..., 1, 1, 2).
    """

    a: jax.Array
    b: jax.Array
    source_center: jax.Array
    target_center: jax.Array

    @property
    def scale(self) -> jax.Array:
        """(..., 1, 1) positive scale."""
        return jnp.hypot(self.a, self.b)


def fit_similarity(source: jax.Array, target: jax.Array, mask: jax.Array) -> Similarity:
    """The similarity that brings source closest to target in least squares.

    Args:
      source, target: (..., F, J, 2); one similarity for a whole window.
      mask: (..., F, J) weights, 0 = missing; what stands there may be anything, NaN included.

    Returns:
      With one counted point, or coincident ones in the source, a translation; with none, the
      identity. Gradients are finite in all cases.
    """
    chex.assert_shape(source, (..., None, None, 2))
    chex.assert_shape([target, mask], [source.shape, source.shape[:-1]])
    weight = mask[..., None]
    source = jnp.where(weight > 0, source, 0.0)
    target = jnp.where(weight > 0, target, 0.0)
    total = weight.sum(axis=(-3, -2), keepdims=True)
    count = jnp.where(total > 0, total, 1.0)
    source_center = (weight * source).sum(axis=(-3, -2), keepdims=True) / count
    target_center = (weight * target).sum(axis=(-3, -2), keepdims=True) / count
    s, t = source - source_center, target - target_center
    spread = (weight * s * s).sum(axis=(-3, -2, -1))[..., None, None]
    inner = (weight * s * t).sum(axis=(-3, -2, -1))[..., None, None]
    cross = (weight[..., 0] * (s[..., 0] * t[..., 1] - s[..., 1] * t[..., 0])).sum(axis=(-2, -1))
    square = (weight * source * source).sum(axis=(-3, -2, -1))[..., None, None]
    determined = spread > TINY * square
    divisor = jnp.where(determined, spread, 1.0)
    return Similarity(
        a=jnp.where(determined, inner / divisor, 1.0),
        b=jnp.where(determined, cross[..., None, None] / divisor, 0.0),
        source_center=source_center,
        target_center=target_center,
    )


def apply_similarity(similarity: Similarity, x: jax.Array) -> jax.Array:
    """Brings points (..., F, J, 2) of the source's frame into the target's."""
    chex.assert_shape([x, similarity.source_center], [(..., None, None, 2), (..., 1, 1, 2)])
    x = x - similarity.source_center
    return _rotate(similarity.a, similarity.b, x) + similarity.target_center


def invert_similarity(similarity: Similarity) -> Similarity:
    """The similarity from the target's frame back to the source's; its scale must be positive."""
    square = similarity.a**2 + similarity.b**2
    return Similarity(
        similarity.a / square, -similarity.b / square,
        similarity.target_center, similarity.source_center,
    )


def align(source: jax.Array, target: jax.Array, mask: jax.Array) -> jax.Array:
    """OPA(source | target): the source moved onto the target's counted joints, (..., F, J, 2)."""
    return apply_similarity(fit_similarity(source, target, mask), source)


def align_deep(source: jax.Array, target: jax.Array, mask: jax.Array) -> jax.Array:
    """``align`` of windows that may have a depth besides, (..., F, J, C).

    It has no say in the similarity, and that of the source grows with its scale.
    """
    similarity = fit_similarity(picture(source), picture(target), mask)
    moved = apply_similarity(similarity, picture(source))
    if source.shape[-1] == 2:
        return moved
    return jnp.concatenate([moved, similarity.scale[..., None] * source[..., 2:]], axis=-1)


def _rotate(a, b, x):
    return jnp.stack([a * x[..., 0] - b * x[..., 1], b * x[..., 0] + a * x[..., 1]], axis=-1)
