"""Training samples drawn on the device from a key (L. Mourot, 2019, section 7.1.1).

Windows of 3D motion, left-right mirroring, playback speed, random cameras and projection, all
inside the jitted training step: every sample is new, and no projected data is ever stored.
"""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np

from posegan_jax.geometry.camera import Camera, look_at, project, weak_depth
from posegan_jax.motion.store import MotionStore
from posegan_jax.pose.skeleton import Skeleton
from posegan_jax.runtime.options import check_ranges, check_shares, require


@dataclasses.dataclass(frozen=True)
class ViewOptions:
    """Ranges of the random views; each is drawn uniformly, once per window.

    The thesis leaves the ranges open and does not say whether its projection is a perspective one;
    videos are, taken from a few metres away.

    Attributes:
      pitch: degrees, positive looks down on the person.
      roll: degrees, largest tilt of the camera to either side.
      any_pitch: share of windows that are seen from any height instead, from straight below to
        straight above.
      any_roll: share of windows whose picture is turned by any angle instead.
      distance: millimetres from the camera to the mean joint of the window; where the motion covers
        more ground, at least ``clearance`` more than its radius.
      clearance: millimetres between the camera and the nearest joint, at least.
      mirror: mirror half of the windows left to right.
      speed: playback rates; (1, 1) keeps the recording's. Drawn log-uniformly.
    """

    pitch: tuple[float, float] = (-20.0, 35.0)
    roll: float = 9.0
    any_pitch: float = 0.0
    any_roll: float = 0.0
    distance: tuple[float, float] = (2500.0, 9000.0)
    clearance: float = 1000.0
    mirror: bool = True
    speed: tuple[float, float] = (0.8, 1.25)

    def __post_init__(self):
        """Raises OptionError on ranges that are none."""
        if any(isinstance(v, jax.core.Tracer) for v in (*self.pitch, *self.distance, *self.speed)):
            return  # of a program for any range
        check_ranges(self, "pitch", "distance", "speed")
        check_shares(self, "any_pitch", "any_roll")
        require(self.speed[0] > 0, "speed", "positive", self.speed)

    def span(self, frames: int) -> int:
        """Recorded frames that a window of ``frames`` can need at the fastest rate."""
        return int(np.floor((frames - 1) * self.speed[1])) + 2


def sample_motion(
    key: jax.Array, store: MotionStore, count: int, frames: int, skeleton: Skeleton,
    options: ViewOptions,
) -> jax.Array:
    """Draws windows of 3D motion.

    Args:
      key: PRNG key.
      store: motion on the device, built with windows of ``options.span(frames)`` frames.
      count: windows to draw.
      frames: F.
      skeleton: that the store's motion was loaded for.
      options: mirroring and speed.

    Returns:
      (count, F, J, 3) millimetres, y up.
    """
    chex.assert_shape(store.positions, (None, len(skeleton), 3))
    k_start, k_speed, k_mirror = jax.random.split(key, 3)
    starts = store.starts[jax.random.randint(k_start, (count,), 0, store.starts.shape[0])]
    low, high = np.log(options.speed[0]), np.log(options.speed[1])
    rate = jnp.exp(jax.random.uniform(k_speed, (count, 1), minval=low, maxval=high))
    time = rate * jnp.arange(frames)
    index = jnp.floor(time).astype(jnp.int32)
    part = (time - index)[..., None, None]
    index = starts[:, None] + index
    last = store.positions.shape[0] - 1  # with a rate of exactly one, the next frame weighs zero
    x = (1 - part) * store.positions[index]
    x = x + part * store.positions[jnp.minimum(index + 1, last)]
    if not options.mirror:
        return x
    swapped = x[:, :, np.asarray(skeleton.mirror)] * jnp.asarray([-1.0, 1.0, 1.0])
    flip = jax.random.bernoulli(k_mirror, 0.5, (count, 1, 1, 1))
    return jnp.where(flip, swapped, x)


def sample_views(key: jax.Array, motion: jax.Array, options: ViewOptions) -> jax.Array:
    """Projects every window through a random camera that looks at its mean joint.

    Args:
      key: PRNG key.
      motion: (N, F, J, 3) millimetres.
      options: ranges of the views.

    Returns:
      (N, F, J, 2) image coordinates, y down, in units of the focal length.
    """
    return project(motion, _cameras(key, motion, options))[0]


def sample_deep_views(
    key: jax.Array, motion: jax.Array, skeleton: Skeleton, options: ViewOptions
) -> jax.Array:
    """``sample_views`` with a third coordinate, the depth: (N, F, J, 3).

    It is ``camera.weak_depth``, 0 at the pelvis of every frame; between the hips where the skeleton
    has no pelvis, and at the mean joint where it has neither.
    """
    camera = _cameras(key, motion, options)
    image, depth = project(motion, camera)
    middles = ("pelvis",), ("mid_hip",), ("left_hip", "right_hip"), skeleton.joints
    middle = next(joints for joints in middles if all(joint in skeleton for joint in joints))
    origin = depth[..., skeleton.mask(middle)].mean(-1)
    deep = weak_depth(depth, origin, camera.focal)
    return jnp.concatenate([image, deep[..., None]], axis=-1)


def _cameras(key: jax.Array, motion: jax.Array, options: ViewOptions) -> Camera:
    chex.assert_shape(motion, (None, None, None, 3))
    n = motion.shape[0]
    k_yaw, k_pitch, k_roll, k_distance = jax.random.split(key, 4)

    def uniform(key, low, high):
        return jax.random.uniform(key, (n,), minval=low, maxval=high)

    def any_instead(key, angle, share, most):
        """Any angle up to ``most`` degrees to either side, in a share of the windows."""
        if isinstance(share, float) and not share:
            return angle
        k_use, k_angle = jax.random.split(jax.random.fold_in(key, 1))
        use = jax.random.bernoulli(k_use, share, (n,))
        return jnp.where(use, uniform(k_angle, -most, most), angle)

    pitch = any_instead(k_pitch, uniform(k_pitch, *options.pitch), options.any_pitch, 90.0)
    roll = uniform(k_roll, -options.roll, options.roll)
    roll = any_instead(k_roll, roll, options.any_roll, 180.0)
    target = motion.mean(axis=(1, 2))
    radius = jnp.linalg.norm(motion - target[:, None, None], axis=-1).max(axis=(1, 2))
    return look_at(
        yaw=uniform(k_yaw, -np.pi, np.pi),
        pitch=jnp.deg2rad(pitch),
        distance=jnp.maximum(uniform(k_distance, *options.distance), radius + options.clearance),
        target=target,
        roll=jnp.deg2rad(roll),
        focal=jnp.ones((n,)),
    )
