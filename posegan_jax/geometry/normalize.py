"""Windows to the networks' range and back (L. Mourot, 2019, section 4.2).

In the functions that NumPy and JAX share (the Python array API), since devices and hosts need it.
"""

from typing import NamedTuple

import chex

from posegan_jax.geometry import Array

TINY = 1e-5
"""Least extent of a window, relative to its coordinates: below is float32's rounding."""


class Normalization(NamedTuple):
    """x = normalised * scale + center, per window.

    Attributes:
      center: (..., 1, 1, C) mean of the counted joints.
      scale: (..., 1, 1, 1) largest distance of one of their coordinates from it.
    """

    center: Array
    scale: Array


def fit_normalization(x: Array, mask: Array) -> Normalization:
    """Mean and range over a window's observed joints.

    Args:
      x: (..., F, J, C); missing joints may hold anything finite.
      mask: (..., F, J) 1 = observed.

    Returns:
      The normalisation that brings observed joints to mean 0 and into [-1, 1]. With no observed
      joint it is the identity; with coincident ones it only moves them.
    """
    chex.assert_shape([x, mask], [(..., None, None, None), x.shape[:-1]])
    xp = x.__array_namespace__()
    weight = mask[..., None]
    count = xp.maximum(weight.sum(axis=(-3, -2), keepdims=True), 1.0)
    center = (x * weight).sum(axis=(-3, -2), keepdims=True) / count
    extent = xp.abs((x - center) * weight).max(axis=(-3, -2, -1), keepdims=True)
    largest = xp.abs(x * weight).max(axis=(-3, -2, -1), keepdims=True)
    return Normalization(center, xp.where(extent > TINY * largest, extent, 1.0))


def normalize(x: Array, normalization: Normalization) -> Array:
    """Image coordinates to normalised ones, (..., F, J, C); a depth besides is scaled alone."""
    chex.assert_shape([x, normalization.scale], [(..., None, None, None), (..., 1, 1, 1)])
    return (x - _center(x, normalization)) / normalization.scale


def denormalize(x: Array, normalization: Normalization) -> Array:
    """The inverse of ``normalize``."""
    chex.assert_shape([x, normalization.scale], [(..., None, None, None), (..., 1, 1, 1)])
    return x * normalization.scale + _center(x, normalization)


def _center(x: Array, normalization: Normalization) -> Array:
    """(..., 1, 1, C) for the coordinates of x, 0 for a depth that the normalisation knows not."""
    xp, center = x.__array_namespace__(), normalization.center
    depth = x.shape[-1] - center.shape[-1]
    return xp.concat([center, xp.zeros_like(center[..., :depth])], axis=-1) if depth else center
