"""The objectives of section 4.4 as pure functions of arrays (L. Mourot, 2019).

Notation: x real windows (..., F, J, C), x_tilde generated ones, x_hat points between the two,
z latent codes (N, L), D(.) critic scores (N,). Other ranks raise AssertionError.
"""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

from posegan_jax.geometry.metrics import mpjpe, mpjse, safe_norm
from posegan_jax.runtime.parallel import over_devices
from posegan_jax.training.options import LossWeights


def critic_wasserstein(real_scores: jax.Array, fake_scores: jax.Array) -> jax.Array:
    """E[D(x_tilde)] - E[D(x)]: the critic lowers it by scoring real windows higher."""
    chex.assert_rank([real_scores, fake_scores], 1)
    return fake_scores.mean() - real_scores.mean()


def adversarial(fake_scores: jax.Array) -> jax.Array:
    """-E[D(x_tilde)], L_Gen on G(z) and L_Mix on G(E(x')): lower when the critic is fooled."""
    chex.assert_rank(fake_scores, 1)
    return -fake_scores.mean()


def gradient_penalty(score: Callable[[jax.Array], jax.Array], x_hat: jax.Array) -> jax.Array:
    """E[(||grad D(x_hat)||_2 - 1)^2] (Gulrajani et al., 2017).

    The gradient is that of the batch sum of the scores. Where a score depends on its own sample
    alone this is the per-sample gradient; under batch normalisation it includes the cross terms,
    those with samples of other devices, too (``parallel.each_device``).

    Args:
      score: (N, ...) -> (N,).
      x_hat: (N, ...) points on the segments between real and generated samples.
    """

    def total(x):
        scores = score(x)
        chex.assert_shape(scores, x.shape[:1])
        return scores.sum()

    gradient = jax.grad(total)(x_hat)
    norms = safe_norm(gradient.reshape(gradient.shape[0], -1))
    return jnp.mean((norms - 1.0) ** 2)


def interpolation_weights(key: jax.Array, count: int) -> jax.Array:
    """(N,), uniform in [0, 1)."""
    return jax.random.uniform(key, (count,))


def interpolate(weight: jax.Array, real: jax.Array, fake: jax.Array) -> jax.Array:
    """x_hat: one point per sample on the segment between real (1) and fake (0); weight (N,)."""
    chex.assert_shape(weight, real.shape[:1])
    chex.assert_equal_shape([real, fake])
    weight = weight.reshape(-1, *[1] * (real.ndim - 1))
    return weight * real + (1.0 - weight) * fake


def reconstruction(
    x: jax.Array, x_tilde: jax.Array, weights: LossWeights
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """lambda_p MPJPE + lambda_s MPJSE over all joints, batch mean, with its parts."""
    chex.assert_equal_shape([x, x_tilde])
    chex.assert_shape(x, (..., None, None, None))
    position, speed = mpjpe(x, x_tilde).mean(), mpjse(x, x_tilde).mean()
    total = weights.position * position + weights.speed * speed
    return total, {"mpjpe": position, "mpjse": speed}


def latent_cycle(z: jax.Array, z_tilde: jax.Array) -> jax.Array:
    """MSE(z, E(G(z)))."""
    chex.assert_rank(z, 2)
    chex.assert_equal_shape([z, z_tilde])
    return jnp.mean((z - z_tilde) ** 2)


def latent_moments(z: jax.Array, batch_axis: str | None = None) -> jax.Array:
    """How far the batch's mean and covariance are from those of N(0, I), per latent dimension.

    Args:
      z: (N, L).
      batch_axis: name of a mapped axis that the batch is split along, see ``parallel.each_device``;
        None: z is all of it.
    """
    chex.assert_rank(z, 2)
    n, dimension = z.shape
    mean = over_devices(z.mean(axis=0), batch_axis)
    centered = z - mean
    covariance = over_devices(centered.T @ centered / n, batch_axis)
    spread = covariance - jnp.eye(dimension, dtype=z.dtype)
    return (jnp.sum(mean**2) + jnp.sum(spread**2)) / dimension
