"""The latent search on z, for every window at once (L. Mourot, 2019, section 5).

By Adam, as in the thesis, or by BFGS (J. Nocedal and S. Wright, Numerical Optimization, 2006,
section 6.1), which gets as low in a fraction of the evaluations.
"""

import functools
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from posegan_jax.geometry.camera import picture
from posegan_jax.inpainting.objective import generate, objective
from posegan_jax.inpainting.settings import DescentOptions, ObjectiveWeights
from posegan_jax.model.options import Variables

if TYPE_CHECKING:
    from posegan_jax.model.networks import Networks

DECREASE, SHORTEN = 1e-4, 0.4
"""Share of the decrease that the gradient promises without which BFGS takes a step back (L. Armijo,
1966; the usual value), and by what it shortens it then: one evaluation each."""
DAMPING = 0.03
"""What is added to the metric, as a share of its largest eigenvalue. They span five decades.
In 15 evaluations .1 gets as low and .3 does not (benchmarks/NOTES.md)."""
PROBES, PROBE_BATCH = 512, 64
"""Random vectors that the metric is estimated by, and how many at a time, for the memory: fewer
vectors than latent dimensions (128 by default) would leave directions untold."""
TINY = 1e-12
"""What keeps a division from one by zero, where a gradient or its change vanishes."""


class Descent(NamedTuple):
    """What the search found.

    Attributes:
      x_tilde: (N, F, J, 2) G(z*|x) in the frame of the normalised input, without a depth.
      z: (N, L) the best codes visited.
      loss: (N,) their objective.
      start_loss: (N,) the objective at E(x); never below ``loss``.
    """

    x_tilde: jax.Array
    z: jax.Array
    loss: jax.Array
    start_loss: jax.Array


def descend(
    networks: "Networks", variables: dict[str, Variables], x: jax.Array, mask: jax.Array,
    options: DescentOptions, metric: jax.Array | None = None,
) -> Descent:
    """Searches the latent code of every window, started at the encoder's, all windows at once.

    Windows do not see each other: the search is a ``vmap`` of the search of one, in which the
    networks are evaluated for all windows as one batch.

    Args:
      networks: the modules.
      variables: their variables, as arguments of the compiled program rather than constants in it.
      x: (N, F, J, 2) windows normalised by their observed joints, zero where missing.
      mask: (N, F, J) 0 = missing; what is more weighs a joint in the objective. The encoder sees
        but which ones are there.
      options: static.
      metric: (L, L) for BFGS, see ``inverse_metric``; the identity if None. Adam has no use for it.

    Returns:
      The best iterate of each window.
    """
    there = (mask > 0).astype(x.dtype)
    start = networks.encoder.apply(variables["encoder"], x, there)

    evaluate = _evaluation(networks, options.weights)

    def search(z0, x, mask):
        def look(z):
            return evaluate(variables, z, z0, x, mask)

        if options.method == "adam":
            return _adam(look, z0, options)
        return _bfgs(look, z0, options, jnp.eye(z0.size) if metric is None else metric)

    z, loss, start_loss = jax.vmap(search)(start, x, mask)
    return Descent(picture(generate(networks, variables, z, x, mask)), z, loss, start_loss)


def inverse_metric(networks: "Networks", variables: dict[str, Variables]) -> jax.Array:
    """What BFGS takes for the inverse Hessian before it has seen one, but for its scale.

    The inverse of the mean of J'J over codes from N(0, I), where J is the generator's Jacobian of
    positions and steps: the Hessian of squared errors as Gauss and Newton approximate it. Random
    vectors v of unit variance estimate it, as the mean of (J'v)(J'v)' is that of J'J.

    Returns:
      (L, L) symmetric and positive, 1 in the mean of its diagonal; the same in every call.
    """
    latent = networks.options.latent

    def probe(key):
        codes, positions, steps = jax.random.split(key, 3)
        z = jax.random.normal(codes, (PROBE_BATCH, latent))
        x, pull = jax.vjp(
            lambda z: picture(networks.generator.apply(variables["generator"], z)), z)
        step = jax.random.normal(steps, (len(x), x.shape[1] - 1, *x.shape[2:]))
        v = jax.random.normal(positions, x.shape).at[:, 1:].add(step).at[:, :-1].add(-step)
        return pull(v)[0]

    keys = jax.random.split(jax.random.key(0), PROBES // PROBE_BATCH)
    probes = jax.lax.map(probe, keys).reshape(-1, latent)
    values, vectors = jnp.linalg.eigh(probes.T @ probes)
    inverse = 1.0 / (jnp.maximum(values, 0.0) + DAMPING * values[-1])
    return (vectors * inverse / inverse.mean()) @ vectors.T


def _evaluation(networks: "Networks", weights: ObjectiveWeights):
    """The objective of one window and its gradient in z.

    Mapped over windows it is the gradient of their sum, which is the same, as none sees the others:
    convolutions then get a batch, from which they choose how they are computed.
    """

    def evaluate_batch(variables, *windows):
        return _evaluate_batch(networks, weights, variables, *windows)

    @jax.custom_batching.custom_vmap
    def evaluate(variables, *window):
        loss, gradient = evaluate_batch(variables, *(a[None] for a in window))
        return loss[0], gradient[0]

    @evaluate.def_vmap
    def _(size, batched, variables, *windows):
        windows = [
            a if mapped else jnp.broadcast_to(a, (size, *a.shape))
            for a, mapped in zip(windows, batched[1:], strict=True)
        ]
        return evaluate_batch(variables, *windows), (True, True)

    return evaluate


@functools.partial(jax.jit, static_argnums=(0, 1))  # traced once for all that call it
def _evaluate_batch(networks, weights, variables, z, start, x, mask):
    def total(z):
        loss = objective(networks, variables, z, start, x, mask, weights)
        return loss.sum(), loss

    (_, loss), gradient = jax.value_and_grad(total, has_aux=True)(z)
    return loss, gradient


def _adam(look, z0, options: DescentOptions):
    """One window from z0 (L,): best code, its loss, and that of z0."""
    import optax  # which the other search does without

    optimizer = optax.adam(options.learning_rate, options.b1, options.b2, options.eps)

    def step(carry, _):
        z, opt_state, best_z, best_loss = carry
        loss, gradient = look(z)
        best_z, best_loss = _better(z, loss, best_z, best_loss)
        update, opt_state = optimizer.update(gradient, opt_state)
        return (z + update, opt_state, best_z, best_loss), None

    start_loss, _ = look(z0)
    carry = (z0, optimizer.init(z0), z0, start_loss)
    (z, _, best_z, best_loss), _ = jax.lax.scan(step, carry, length=options.steps)
    if options.steps:  # the last iterate has not been looked at yet
        best_z, best_loss = _better(z, look(z)[0], best_z, best_loss)
    return best_z, best_loss, start_loss


def _bfgs(look, z0, options: DescentOptions, metric):
    """As ``_adam``, one evaluation a step: under ``vmap`` no window waits for a line search."""

    def step(carry, _):
        z, loss, gradient, move, inverse, fresh = carry
        new_loss, new_gradient = look(z + move)
        slope = jnp.minimum(gradient @ move, 0.0)
        taken = new_loss <= loss + DECREASE * slope
        change = new_gradient - gradient
        curvature = move @ change
        learned = taken & (curvature > 0)  # anything else would not keep the inverse positive
        updated = _updated(inverse, move, change, jnp.where(learned, curvature, 1.0), fresh)
        inverse, fresh = _where(learned, (updated, False), (inverse, fresh))
        moved = z + move, new_loss, new_gradient, -inverse @ new_gradient
        stayed = z, loss, gradient, SHORTEN * move
        return (*_where(taken, moved, stayed), inverse, fresh), None

    start_loss, gradient = look(z0)
    # The first step has length 1 in the metric: codes are about as far from each other.
    inverse = metric / jnp.sqrt(jnp.maximum(gradient @ metric @ gradient, TINY))
    carry = (z0, start_loss, gradient, -inverse @ gradient, inverse, True)
    (z, loss, *_), _ = jax.lax.scan(step, carry, length=options.steps)
    return z, loss, start_loss


def _updated(inverse, move, change, curvature, fresh):
    """The inverse Hessian after a step and the change of gradient on it; its scale from the first.

    Nocedal and Wright, equations 6.17 and 6.20.
    """
    answer = inverse @ change
    scale = jnp.where(fresh, curvature / jnp.maximum(change @ answer, TINY), 1.0)
    inverse, answer = scale * inverse, scale * answer
    cross = jnp.outer(answer, move)
    square = (1.0 + change @ answer / curvature) * jnp.outer(move, move)
    return inverse + (square - cross - cross.T) / curvature


def _better(z, loss, best_z, best_loss):
    return _where(loss < best_loss, (z, loss), (best_z, best_loss))


def _where(condition, a, b):
    """``jnp.where`` of trees."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), a, b)
