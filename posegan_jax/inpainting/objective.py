"""What the latent search minimises (L. Mourot, 2019, sections 5.2 and 5.3)."""

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from posegan_jax.geometry.camera import picture
from posegan_jax.geometry.metrics import mpjpe, mpjse
from posegan_jax.geometry.normalize import fit_normalization, normalize
from posegan_jax.geometry.procrustes import align_deep
from posegan_jax.inpainting.settings import ObjectiveWeights
from posegan_jax.model.options import Variables

if TYPE_CHECKING:
    from posegan_jax.model.networks import Networks


def generate(
    networks: "Networks", variables: dict[str, Variables], z: jax.Array, x: jax.Array,
    mask: jax.Array,
) -> jax.Array:
    """G(z|x): generated windows brought onto the observed joints by Procrustes analysis.

    Args:
      z: (N, L) latent codes.
      x: (N, F, J, 2) observed windows; missing joints may hold anything.
      mask: (N, F, J) weights, 0 = missing.

    Returns:
      (N, F, J, C) in the frame of x; the depth of networks that tell one grows along.
    """
    return align_deep(networks.generator.apply(variables["generator"], z), x, mask)


def objective(
    networks: "Networks", variables: dict[str, Variables], z: jax.Array, start: jax.Array,
    x: jax.Array, mask: jax.Array, weights: ObjectiveWeights,
) -> jax.Array:
    """gamma_p MPJPE + gamma_s MPJSE - gamma_d D(G(z|x)) + prior ||z - start||^2, per window (N,).

    Weights of observed joints below 1 weaken the first two: what is known to be in error must not
    lead far from the start. The critic was trained on windows normalised by all their joints, so it
    sees G(z|x) that way.
    """
    x_tilde = generate(networks, variables, z, x, mask)
    flat = picture(x_tilde)
    fit = weights.position * mpjpe(x, flat, mask) + weights.speed * mpjse(x, flat, mask)
    # Both are means, in which weights tell joints apart; this is what they are on the whole.
    total = fit * mask.sum(axis=(-2, -1)) / jnp.maximum((mask > 0).sum(axis=(-2, -1)), 1)
    if weights.critic:
        whole = normalize(x_tilde, fit_normalization(flat, jnp.ones(mask.shape)))
        score = networks.discriminator.apply(variables["discriminator"], whole)
        total = total - weights.critic * score
    if weights.prior:
        total = total + weights.prior * jnp.sum((z - start) ** 2, axis=-1)
    return total
