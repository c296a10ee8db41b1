"""Normalised coordinates, which are shares of the picture's width and height, and its size."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from posegan_jax.formats import records

ASSUMED = (1920.0, 1080.0)
"""Width and height where nothing says them. Their ratio matters: it is the shape of bodies."""

_FURTHEST = 3.0
"""Pixels go further; a body that is cut off by the picture reaches little beyond 1."""


def is_normalised(joints: Sequence[Sequence[float]]) -> bool:
    """Whether nearly all coordinates, K times x, y, score in every list, are shares."""
    places = np.array([value for values in joints for value in values]).reshape(-1, 3)[:, :2]
    places = np.abs(places[np.isfinite(places).all(-1) & (places != 0).any(-1)])
    return len(places) > 0 and bool(np.quantile(places, 0.95) <= _FURTHEST)


def scale(
    given: tuple[float, float] | None, found: tuple[float, float] | None
) -> tuple[tuple[float, float], list[str]]:
    """Pixels of a whole picture, and a note where they are assumed.

    Args:
      given: (width, height) from the user, which counts most.
      found: the same from the file.
    """
    size = given or found
    if size is not None:
        return (float(size[0]), float(size[1])), []
    width, height = ASSUMED
    return ASSUMED, [
        f"normalised coordinates of a picture of unknown size: taken for {width:g} x {height:g} "
        "pixels; --image-size says it, and with another shape bodies are distorted"
    ]


def times(joints: Sequence[float], size: tuple[float, float]) -> list[float]:
    """x, y, score of every joint, shares -> pixels."""
    factors = (*size, 1.0)
    return [value * factors[i % 3] for i, value in enumerate(joints)]


def over(joints: records.Joints, size: tuple[float, float]) -> records.Joints:
    """Pixels -> shares."""
    return dataclasses.replace(joints, values=joints.values / np.array((*size, 1.0)))
