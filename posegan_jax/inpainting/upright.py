"""People who lie or hang, and pictures that lie on their side, as the model sees them: upright.

Hardly anyone lies in the motion that it learns from, but what it knows of poses holds however they
are turned. So of who never stands the picture is turned, completed, and turned back. That knows
nothing of gravity, by which arms hang, so it is completed as it is, too: the mean of both is nearer
than either, and where it is the picture that lies on its side, the model explains it much better
upright, which then counts alone. Who bends down and comes up again is not turned: which way is down
says where the legs are.
"""

import numpy as np

from posegan_jax.geometry.body import SECOND, over_a_second
from posegan_jax.pose.median import median
from posegan_jax.pose.skeleton import Skeleton

LYING = np.deg2rad(45.0)
"""Angle between trunk and upright from which someone lies."""
SELDOM = 0.1
"""Share of the time that who lies may be upright: in push-ups and on a bench nobody is, who lifts
something from the floor is for a quarter of the time."""
ALONE, ALIKE = 0.45, 0.65
"""What the model leaves unexplained of who is upright, as a share of what it does of the picture as
it is, up to which the former counts alone, and from which both count alike. Of labelled people who
lie it is .4 to .9, of people who stand in pictures that are turned .1 to .6."""


def lying(keypoints: np.ndarray, skeleton: Skeleton) -> float:
    """How far the trunk leans, clockwise as pictures are seen, of someone who lies all the time.

    Args:
      keypoints: (T, J, 2) pixels, y down, NaN where missing.
      skeleton: of the J joints.

    Returns:
      The angle of the mean direction from hips to shoulders, over the frames that show one of each:
      radians from -pi to pi. 0 of who stands for a tenth of them, or where these are no second.
    """
    places = np.stack([
        [_place(keypoints, skeleton, f"{side}_{part}") for side in ("left", "right")]
        for part in ("shoulder", "hip")
    ])
    # Both ends of one side, as far as that is seen; else whatever there is of both.
    up = _mean(places[0] - places[1])
    up = np.where(np.isnan(up), _mean(places[0]) - _mean(places[1]), up)
    up = up[np.isfinite(up[:, 0])]
    if len(up) < SECOND:
        return 0.0
    lean = _angle(np.stack([over_a_second(side) for side in up.T], axis=-1))
    if np.quantile(np.abs(lean), SELDOM) < LYING:
        return 0.0
    return float(_angle(up.sum(axis=0)))


def _place(keypoints: np.ndarray, skeleton: Skeleton, joint: str) -> np.ndarray:
    """(T, 2), NaN where it is missing."""
    if joint not in skeleton:
        return np.full((len(keypoints), 2), np.nan)
    return keypoints[:, skeleton.index(joint)]


def _mean(sides: np.ndarray) -> np.ndarray:
    """(T, 2) of (2, T, 2), of what is not NaN."""
    return median(sides, axis=0)[0]  # which of two is the mean


def _angle(up: np.ndarray) -> np.ndarray:
    """(...) of directions (..., 2) from straight up."""
    return np.arctan2(up[..., 0], -up[..., 1])


def turn(x: np.ndarray, angle: float) -> np.ndarray:
    """Places (..., 2) turned about 0 by so many radians, clockwise as pictures are seen."""
    if not angle:
        return x
    cos, sin = np.cos(angle), np.sin(angle)
    return x @ np.array([[cos, sin], [-sin, cos]])


def share(upright: float, as_it_is: float) -> float:
    """How much of what is filled upright counts, by what either way leaves unexplained."""
    ratio = upright / as_it_is if as_it_is > 0 else 1.0
    return 0.5 + 0.5 * float(np.clip((ALIKE - ratio) / (ALIKE - ALONE), 0.0, 1.0))
