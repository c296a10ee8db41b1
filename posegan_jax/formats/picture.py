"""The picture's size: for coordinates that are shares of it, and whether poses fit into it."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from posegan_jax.formats import jsonfile
from posegan_jax.pose.sequence import PoseSequence, Provenance

ASSUMED = (1920.0, 1080.0)
"""Width and height where nothing says them. Their ratio matters: it is the shape of bodies."""

METRES = (
    "coordinates are no shares of a picture: taken for metres or the like, with x : y as 1 : 1"
)

_FURTHEST = 3.0
"""Pixels go further; a body that is cut off by the picture reaches little beyond 1."""

_BELOW = 0.3
"""More than this share of all coordinates are below 0 where they are counted from the hips."""

_BELOW_ALONG = 0.6
"""More than this share of those along one axis are not below 0 in a picture."""

_MARGIN = 0.1
"""Share of the picture's size that detectors go beyond its border: they guess what is cut off."""

_OUTSIDE = 0.1
"""More than this share of the joints further out than that means another picture."""

_SHAPE = 0.02
"""Relative difference of width / height that rounding to whole pixels does not make."""


def units(places: np.ndarray) -> Literal["pixels", "shares", "metres"]:
    """What nearly all places (..., 2) are, those of missing joints not finite or zeros.

    Pixels are large numbers, shares of a picture small ones. Metres, or another small unit of
    space, are small, too, and often below 0, which is outside of a picture.
    """
    places = places[np.isfinite(places).all(-1) & (places != 0).any(-1)]
    if not len(places) or np.quantile(np.abs(places), 0.95) > _FURTHEST:
        return "pixels"
    below = (places < 0).mean(0)
    return "metres" if below.mean() > _BELOW or below.max() > _BELOW_ALONG else "shares"


def misfit(
    sequences: Sequence[PoseSequence], size: tuple[float, float] | None,
    remedy: str = "multiply them by its width and height",
) -> list[str]:
    """A line if joints that a detector saw cannot be, or hardly, those of a picture.

    Args:
      sequences: people in pixels.
      size: (width, height) of the picture, None if unknown: then there are pixels or shares.
      remedy: what to do about shares.
    """
    seen = [
        sequence.keypoints[
            np.isin(sequence.provenance, (Provenance.OBSERVED, Provenance.REFINED))
            & sequence.observed
        ]
        for sequence in sequences
    ]
    places = np.concatenate([np.zeros((0, 2)), *seen])
    kind = units(places)
    if kind == "shares":
        return [
            "coordinates look like shares of a picture, from 0 to 1, where pixels are expected: "
            f"bodies are distorted; {remedy}"
        ]
    if size is None or kind == "metres" or not len(places):
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


def common_size(sizes: Iterable[tuple[Any, Any]]) -> tuple[float, float] | None:
    """The (width, height) that all pictures of a file have, None if there is no such one."""
    known = {(jsonfile.number(width), jsonfile.number(height)) for width, height in sizes}
    width, height = next(iter(known)) if len(known) == 1 else (0.0, 0.0)
    return (width, height) if width > 1 and height > 1 else None


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
    places: np.ndarray, given: tuple[float, float] | None,
    found: tuple[float, float] | None = None, assumed: bool = True,
) -> tuple[tuple[float, float] | None, list[str]]:
    """Pixels of 1 in a file, and a note where they are assumed; None where it holds no shares.

    Args:
      places: (..., 2) x and y, those of missing joints not finite or zeros.
      given, found: as of ``scale``.
      assumed: whether a size is assumed for shares where there is none.
    """
    kind = units(places)
    if kind == "shares":
        return scale(given, found) if given or found or assumed else (None, [])
    if kind == "metres":
        return None, [METRES]
    return None, []
