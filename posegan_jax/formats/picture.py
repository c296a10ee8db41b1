"""The picture's size: for coordinates that are shares of it, and whether poses fit into it."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from posegan_jax.formats import records
from posegan_jax.pose.sequence import PoseSequence, Provenance

ASSUMED = (1920.0, 1080.0)
"""Width and height where nothing says them. Their ratio matters: it is the shape of bodies."""

_FURTHEST = 3.0
"""Pixels go further; a body that is cut off by the picture reaches little beyond 1."""

_MARGIN = 0.1
"""Share of the picture's size that detectors go beyond its border: they guess what is cut off."""

_OUTSIDE = 0.1
"""More than this share of the joints further out than that means another picture."""

_SHAPE = 0.02
"""Relative difference of width / height that rounding to whole pixels does not make."""


def is_normalised(joints: Sequence[Sequence[float]]) -> bool:
    """Whether nearly all coordinates, K times x, y, score in every list, are shares."""
    places = np.array([value for values in joints for value in values]).reshape(-1, 3)[:, :2]
    return are_shares(places[np.isfinite(places).all(-1) & (places != 0).any(-1)])


def are_shares(places: np.ndarray) -> bool:
    """Whether nearly all places (N, 2), none of them missing, are shares of a picture."""
    return len(places) > 0 and bool(np.quantile(np.abs(places), 0.95) <= _FURTHEST)


def misfit(sequences: Sequence[PoseSequence], size: tuple[float, float] | None) -> list[str]:
    """A line if joints that a detector saw cannot be, or hardly, those of a picture.

    Args:
      sequences: people in pixels.
      size: (width, height) of the picture, None if unknown: then there are pixels or shares.
    """
    seen = [
        sequence.keypoints[
            np.isin(sequence.provenance, (Provenance.OBSERVED, Provenance.REFINED))
            & sequence.observed
        ]
        for sequence in sequences
    ]
    places = np.concatenate([np.zeros((0, 2)), *seen])
    if are_shares(places):
        return [
            "coordinates look like shares of a picture, from 0 to 1, where pixels are expected: "
            "bodies are distorted; multiply them by its width and height"
        ]
    if size is None or not len(places):
        return []
    picture = f"the {size[0]:g} x {size[1]:g} picture"
    right, bottom = np.quantile(places, 0.99, axis=0)
    reach = f"they reach to {right:.0f}, {bottom:.0f}"
    share = (np.abs(places / size - 0.5) > 0.5 + _MARGIN).any(-1).mean()
    if share > _OUTSIDE:
        return [
            f"{share:.0%} of the joints are beyond {picture} ({reach}): they were detected in one "
            "of another size, which --image-size says"
        ]
    if right <= size[0] / 2 and bottom <= size[1] / 2:
        return [
            f"all joints are in the upper left quarter of {picture} ({reach}): if they were "
            "detected in a smaller one, --image-size says its size"
        ]
    return []


def same_shape(a: tuple[float, float], b: tuple[float, float]) -> bool:
    """Whether one of two (width, height) is the other one enlarged, up to whole pixels."""
    return abs(a[0] * b[1] / (a[1] * b[0]) - 1) <= _SHAPE


def scale(
    given: tuple[float, float] | None, found: tuple[float, float] | None
) -> tuple[tuple[float, float], list[str]]:
    """Pixels of a whole picture, and a note where they are assumed or in doubt.

    Args:
      given: (width, height) from the user, which counts most.
      found: the same from the file.
    """
    size = given or found
    if size is not None:
        notes = []
        if found and not same_shape(size, found):
            notes = [
                f"the file tells of a {found[0]:g} x {found[1]:g} picture, which has another shape "
                f"than {size[0]:g} x {size[1]:g}: one of them distorts the bodies"
            ]
        return (float(size[0]), float(size[1])), notes
    width, height = ASSUMED
    return ASSUMED, [
        f"normalised coordinates of a picture of unknown size: taken for {width:g} x {height:g} "
        "pixels; --image-size says it, and with another shape bodies are distorted"
    ]


def pixels_of(
    places: np.ndarray, size: tuple[float, float] | None
) -> tuple[tuple[float, float], list[str]]:
    """Pixels of 1 in a table: 1 unless it holds shares, and a note where they are assumed.

    Args:
      places: (..., 2) x and y, those of missing joints not finite or zeros.
      size: (width, height) of the picture, None if unknown.
    """
    seen = np.isfinite(places).all(-1) & (places != 0).any(-1)
    return scale(size, None) if are_shares(places[seen]) else ((1.0, 1.0), [])


def times(joints: Sequence[float], size: tuple[float, float]) -> list[float]:
    """x, y, score of every joint, shares -> pixels."""
    factors = (*size, 1.0)
    return [value * factors[i % 3] for i, value in enumerate(joints)]


def over(joints: records.Joints, size: tuple[float, float]) -> records.Joints:
    """Pixels -> shares."""
    return dataclasses.replace(joints, values=joints.values / np.array((*size, 1.0)))
