"""A pinhole camera that looks at a point.

World: right-handed, y up, millimetres; a person who faces +z has the left side at +x. Image: x to
the right, y down. A camera of yaw 0 stands on the +z side of its target and sees such a person's
face, with the left side at larger image x.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from posegan_jax.geometry import Array


class Camera(NamedTuple):
    """Cameras of a batch.

    Attributes:
      rotation: (..., 3, 3) world to camera; rows are the image's right, its down, and forward.
      position: (..., 3) of the optical centre in the world.
      focal: (...) focal length in units of the image.
    """

    rotation: jax.Array
    position: jax.Array
    focal: jax.Array


def look_at(
    yaw: Array, pitch: Array, distance: Array, target: Array, roll: Array | float = 0.0,
    focal: Array | float = 1.0,
) -> Camera:
    """Cameras whose optical axes pass through their targets.

    Args:
      yaw: (...) radians around y, 0 on the +z side of the target, pi/2 on its +x side.
      pitch: (...) radians, positive looks down from above; within [-pi/2, pi/2].
      distance: (...) from the target.
      target: (..., 3) the point looked at.
      roll: radians, turns the camera clockwise around its axis.
      focal: focal length.
    """
    chex.assert_shape(target, (..., 3))
    yaw, pitch, roll, focal = jnp.broadcast_arrays(yaw, pitch, roll, focal)
    sy, cy, sp, cp = jnp.sin(yaw), jnp.cos(yaw), jnp.sin(pitch), jnp.cos(pitch)
    outward = jnp.stack([sy * cp, sp, cy * cp], axis=-1)
    right = jnp.stack([cy, jnp.zeros_like(cy), -sy], axis=-1)
    down = jnp.cross(-outward, right)
    cr, sr = jnp.cos(roll)[..., None], jnp.sin(roll)[..., None]
    rotation = jnp.stack([cr * right + sr * down, cr * down - sr * right, -outward], axis=-2)
    return Camera(rotation, target + jnp.asarray(distance)[..., None] * outward, focal)


def picture(x: Array) -> Array:
    """What a camera sees of (..., C) coordinates: x and y, without the depth where there is one."""
    return x[..., :2]


def weak_depth(depth: Array, origin: Array, focal: Array) -> Array:
    """Depth in the unit of the picture, 0 at a point of the body and greater farther away.

    As under weak perspective: millimetres are as large in the picture as they are at that point.

    Args:
      depth: (..., F, J) distances along the axis, see ``project``.
      origin: (..., F) those of the point.
      focal: (...) of the cameras.
    """
    chex.assert_equal_shape([depth[..., 0], origin])
    return (depth - origin[..., None]) * (focal[..., None] / origin)[..., None]


def project(points: Array, camera: Camera) -> tuple[jax.Array, jax.Array]:
    """Perspective projection.

    Args:
      points: (..., F, J, 3) world coordinates, in front of the cameras.
      camera: of batch shape (...).

    Returns:
      image: (..., F, J, 2) with (0, 0) on the optical axis, x right, y down.
      depth: (..., F, J) distance along the axis.
    """
    chex.assert_shape([points, camera.rotation], [(..., None, None, 3), (..., 3, 3)])
    local = jnp.einsum(
        "...ic,...fjc->...fji", camera.rotation, points - camera.position[..., None, None, :],
        precision=jax.lax.Precision.HIGHEST,
    )
    depth = local[..., 2]
    return camera.focal[..., None, None, None] * local[..., :2] / depth[..., None], depth
