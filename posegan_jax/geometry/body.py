"""How large a body and its head are in a picture: the units of residuals, errors and speeds.

In the functions that NumPy and JAX share (the Python array API), since devices and hosts need it.
"""

import chex
import numpy as np

from posegan_jax.geometry import Array
from posegan_jax.pose.rate import MODEL_FPS
from posegan_jax.pose.skeleton import Skeleton

SECOND = round(MODEL_FPS)
"""Frames that the size of a body is averaged over."""
LEAST = 1e-6
"""Pixels: the least size of a body. Coincident joints leave something to divide by."""
HEAD = 0.5
"""A head, from its top to the neck, in body sizes."""
HEAD_FLOOR = 0.1
"""Least head size, as a share of the diagonal of the pose's bounding box: a head seen from above
is foreshortened to nothing, and no error would be small against it. Upright people have 0.13 to
0.17."""


def pose_size(poses: Array) -> Array:
    """Root mean square distance of a pose's joints from their mean: (..., J, C) -> (...)."""
    chex.assert_shape(poses, (..., None, None))
    centered = poses - poses.mean(axis=-2, keepdims=True)
    return poses.__array_namespace__().sqrt((centered**2).sum(axis=-1).mean(axis=-1))


def body_size(poses: np.ndarray) -> np.ndarray:
    """The size of a person over time: ``pose_size`` averaged over a second around every frame.

    Args:
      poses: (T, J, C) complete poses of one person, on the host.

    Returns:
      (T,) in the unit of the poses, at least ``LEAST``.
    """
    chex.assert_rank(poses, 3)
    return np.maximum(over_a_second(pose_size(poses)), LEAST)


def over_a_second(values: np.ndarray) -> np.ndarray:
    """(T,) running mean over ``SECOND`` frames; the first and the last value go on beyond."""
    chex.assert_rank(values, 1)
    width = min(SECOND, len(values))
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    return np.convolve(padded, np.ones(width) / width, "valid")


def has_head(skeleton: Skeleton, base: str = "neck") -> bool:
    """Whether a skeleton has both ends of a head."""
    return "head_top" in skeleton and base in skeleton


def head_size(poses: Array, skeleton: Skeleton, base: str = "neck") -> Array:
    """What errors are measured against: |head_top - base| of every pose, (..., J, C) -> (...).

    It is never below ``HEAD_FLOOR``. A skeleton that lacks either end has ``HEAD`` body sizes
    instead: of ``pose_size``, frame by frame.

    Args:
      poses: in any unit.
      skeleton: names the J joints.
      base: the joint at which the head ends, 'neck' or 'head'.
    """
    chex.assert_shape(poses, (..., len(skeleton), None))
    if not has_head(skeleton, base):
        return HEAD * pose_size(poses)
    xp = poses.__array_namespace__()
    head = poses[..., skeleton.index("head_top"), :] - poses[..., skeleton.index(base), :]
    box = poses.max(axis=-2) - poses.min(axis=-2)
    size, diagonal = (xp.sqrt((side**2).sum(axis=-1)) for side in (head, box))
    return xp.maximum(size, HEAD_FLOOR * diagonal)
