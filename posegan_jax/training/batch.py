"""Drawing the windows of a step."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from posegan_jax.geometry.camera import picture
from posegan_jax.geometry.normalize import fit_normalization, normalize
from posegan_jax.model.networks import Networks
from posegan_jax.motion.bodies import vary_bodies
from posegan_jax.motion.corrupt import add_noise, sample_mask
from posegan_jax.motion.sample import sample_deep_views, sample_motion, sample_views
from posegan_jax.motion.store import MotionStore
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.training.options import StepOptions


class Batch(NamedTuple):
    """x (N, F, J, C) normalised by all joints in the picture, depth by the same scale; x_in
    (N, F, J, 2) and mask: what the encoder sees."""

    x: jax.Array
    x_in: jax.Array
    mask: jax.Array


def sample_batch(
    key: jax.Array, store: MotionStore, networks: Networks, options: StepOptions
) -> Batch:
    """Draws a batch on the device: motion, body, view, normalisation, corruption."""
    skeleton = get_skeleton(networks.options.skeleton)
    k_motion, k_view, k_mask, k_noise = jax.random.split(key, 4)
    motion = sample_motion(
        k_motion, store, options.batch_size, networks.options.frames, skeleton, options.views
    )
    motion = vary_bodies(jax.random.fold_in(k_motion, 1), motion, skeleton, options.bodies)
    if networks.options.depth:
        deep = sample_deep_views(k_view, motion, skeleton, options.views)
        image = picture(deep)
    else:
        image = deep = sample_views(k_view, motion, options.views)
    normalization = fit_normalization(image, jnp.ones(image.shape[:-1]))
    x = normalize(deep, normalization)
    mask = sample_mask(k_mask, picture(x), skeleton, options.corruption)
    x_in = add_noise(k_noise, picture(x), skeleton, options.corruption)
    if options.normalize_by == "observed":
        x_in = normalize(x_in, fit_normalization(x_in, mask))
    elif options.normalize_by != "full":
        raise ValueError(f"normalize_by must be 'observed' or 'full', not {options.normalize_by!r}")
    return Batch(x, x_in * mask[..., None], mask)
