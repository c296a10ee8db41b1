"""The objectives of section 4.4 as pure functions of arrays (L. Mourot, 2019), and what depth adds.
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from posegan_jax.geometry.camera import picture
from posegan_jax.geometry.metrics import mpjpe, mpjse, safe_norm
from posegan_jax.pose.skeleton import Skeleton
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


def latent_cycle(z: jax.Array, z_tilde: jax.Array) -> jax.Array:
    """MSE(z, E(G(z)))."""
    chex.assert_rank(z, 2)
    chex.assert_equal_shape([z, z_tilde])
    return jnp.mean((z - z_tilde) ** 2)


def latent_moments(z: jax.Array, batch_axis: str | None = None) -> jax.Array:
    """How far the codes' mean and covariance are from those of N(0, I), per latent dimension.

    Every second sample tells one estimate of both, the others another, whose deviations are
    multiplied: those of samples are independent, so that the mean over batches is the distance of
    what they are drawn from. The square of a single estimate's would be L / N of N(0, I) itself,
    and lead codes of small batches to vanish.

    Args:
      z: (N, L).
      batch_axis: name of a mapped axis that the batch is split along, see ``parallel.each_device``;
        None: z is all of it.
    """
    chex.assert_rank(z, 2)
    if batch_axis is not None:
        z = jax.lax.all_gather(z, batch_axis, tiled=True)
    (mean, spread), others = map(_moments, (z[::2], z[1::2] if len(z) > 1 else z))
    return (jnp.sum(mean * others[0]) + jnp.sum(spread * others[1])) / z.shape[1]


def _moments(z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean (L,) of codes (N, L), and how far their covariance (L, L) is from the identity."""
    mean = z.mean(axis=0)
    centered = z - mean
    return mean, centered.T @ centered / len(z) - jnp.eye(z.shape[1], dtype=z.dtype)


# --- depth ----------------------------------------------------------------------------------------


LEAST_LIMB = 0.02
"""Length, in a normalised window, below which limbs are not told relative to their mean: those of
a fresh generator would pull harder than anything else."""


def limbs(skeleton: Skeleton) -> np.ndarray:
    """(B, 2) indices of parent and child of upper arms, forearms, thighs and shins, as far as a
    skeleton has both."""
    ends = (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
    named = [(f"{side}_{a}", f"{side}_{b}") for a, b in ends for side in ("left", "right")]
    there = [pair for pair in named if all(joint in skeleton for joint in pair)]
    return np.array([[skeleton.index(joint) for joint in pair] for pair in there]).reshape(-1, 2)


def limb_variation(x: jax.Array, limbs: np.ndarray) -> jax.Array:
    """How much the lengths of limbs in space change over a window, in mean lengths of a limb.

    Lengths are told relative to all limbs' mean in a frame, as who comes nearer grows in the
    picture.

    Args:
      x: (N, F, J, 3).
      limbs: (B, 2) indices of parent and child.

    Returns:
      The batch's mean absolute deviation of a limb from its mean over time, a scalar.
    """
    chex.assert_shape(x, (None, None, None, 3))
    parents, children = np.asarray(limbs).T
    lengths = safe_norm(x[:, :, children] - x[:, :, parents])
    lengths = lengths / jnp.maximum(lengths.mean(axis=-1, keepdims=True), LEAST_LIMB)
    return jnp.abs(lengths - lengths.mean(axis=1, keepdims=True)).mean()


# --- the objective of generator and encoder -------------------------------------------------------


class Outputs(NamedTuple):
    """What the networks say in an iteration: all that a term may look at.

    Attributes:
      x: (N, F, J, C) real windows.
      mask: (N, F, J) 1 = observed in x', which the encoder sees.
      code: (N, L) E(x').
      x_tilde: (N, F, J, C) G(E(x')).
      z: (N, L) drawn from N(0, I); None in the reconstruction phase, as are the next three.
      generated: (N, F, J, C) G(z).
      critic: D of windows (N, F, J, C); its own parameters do not learn from it.
      encode: E of windows (N, F, J, C) of which every joint is observed, in the picture.
      batch_axis: as of ``latent_moments``. Terms are averaged over it afterwards.
      limbs: of the skeleton, see ``limbs``.
    """

    x: jax.Array
    mask: jax.Array
    code: jax.Array
    x_tilde: jax.Array
    z: jax.Array | None = None
    generated: jax.Array | None = None
    critic: Callable[[jax.Array], jax.Array] | None = None
    encode: Callable[[jax.Array], jax.Array] | None = None
    batch_axis: str | None = None
    limbs: np.ndarray | None = None


class Term(NamedTuple):
    """A term of the objective.

    Attributes:
      metric: what logs call it.
      value: the batch's mean, a scalar.
      full: whether it needs z, G(z) or the critic, which the reconstruction phase goes without.
      deep: whether it needs a depth.
    """

    metric: str
    value: Callable[[Outputs], jax.Array]
    full: bool = False
    deep: bool = False


TERMS: dict[str, Term] = {
    "position": Term("mpjpe", lambda o: mpjpe(picture(o.x), picture(o.x_tilde)).mean()),
    "speed": Term("mpjse", lambda o: mpjse(picture(o.x), picture(o.x_tilde)).mean()),
    "depth": Term(
        "depth", lambda o: mpjpe(o.x[..., 2:], o.x_tilde[..., 2:]).mean(), deep=True
    ),
    "depth_speed": Term(
        "depth_speed", lambda o: mpjse(o.x[..., 2:], o.x_tilde[..., 2:]).mean(), deep=True
    ),
    "limbs": Term("limbs", lambda o: limb_variation(o.x_tilde, o.limbs), deep=True),
    "latent_moments": Term("latent_moments", lambda o: latent_moments(o.code, o.batch_axis)),
    "adversarial": Term("adversarial", lambda o: adversarial(o.critic(o.generated)), full=True),
    "mix": Term("mix", lambda o: adversarial(o.critic(o.x_tilde)), full=True),
    "latent": Term(
        "latent_cycle", lambda o: latent_cycle(o.z, o.encode(o.generated)), full=True
    ),
}
"""The terms by the names of their weights in ``LossWeights``."""


def objective(
    outputs: Outputs, weights: LossWeights
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """L_Gen + L_AE + L_Mix (sections 4.3 and 4.4), with its parts before they are weighted.

    A term whose weight is 0 is left out, in the reconstruction phase every term that needs more
    than real windows, and in the picture what needs a depth.
    """
    chex.assert_equal_shape([outputs.x, outputs.x_tilde])
    chex.assert_rank(outputs.x, 4)
    total, parts = jnp.zeros(()), {}
    for name, term in TERMS.items():
        weight = getattr(weights, name)
        lacks = (term.full and outputs.z is None) or (term.deep and outputs.x.shape[-1] < 3)
        if weight and not lacks:
            parts[term.metric] = term.value(outputs)
            total += weight * parts[term.metric]
    return total, parts
