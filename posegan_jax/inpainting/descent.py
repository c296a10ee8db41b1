"""The latent search: Adam on z for every window at once (L. Mourot, 2019, section 5)."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from posegan_jax.inpainting.objective import ObjectiveWeights, generate, objective
from posegan_jax.networks.build import Networks, Variables


@dataclasses.dataclass(frozen=True)
class DescentOptions:
    """The search's settings; the defaults are the thesis's (section 7.2.3).

    Attributes:
      steps: Adam steps; 0 gives the encoder's answer.
      learning_rate, b1, b2, eps: Adam's.
      weights: of the objective.
    """

    steps: int = 200
    learning_rate: float = 1.0
    b1: float = 0.8
    b2: float = 0.999
    eps: float = 1e-8
    weights: ObjectiveWeights = ObjectiveWeights()


class Descent(NamedTuple):
    """What the search found.

    Attributes:
      x_tilde: (N, F, J, 2) G(z*|x) in the frame of the normalised input.
      z: (N, L) the best codes visited.
      loss: (N,) their objective.
      start_loss: (N,) the objective at E(x); never below ``loss``.
    """

    x_tilde: jax.Array
    z: jax.Array
    loss: jax.Array
    start_loss: jax.Array


def descend(
    networks: Networks, variables: dict[str, Variables], x: jax.Array, mask: jax.Array,
    options: DescentOptions,
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

    Returns:
      The best iterate of each window.
    """
    there = (mask > 0).astype(x.dtype)
    start = networks.encoder.apply(variables["encoder"], x, there)

    def search(z0, x, mask):
        return _search(networks, variables, z0, x, mask, options)

    z, loss, start_loss = jax.vmap(search)(start, x, mask)
    return Descent(generate(networks, variables, z, x, mask), z, loss, start_loss)


def _search(networks, variables, z0, x, mask, options: DescentOptions):
    """One window: z0 (L,), x (F, J, 2), mask (F, J)."""
    optimizer = optax.adam(options.learning_rate, options.b1, options.b2, options.eps)
    evaluate = _evaluation(networks, options.weights)

    def loss_and_gradient(z):
        return evaluate(variables, z, z0, x, mask)

    def step(carry, _):
        z, opt_state, best_z, best_loss = carry
        loss, gradient = loss_and_gradient(z)
        best_z, best_loss = _better(z, loss, best_z, best_loss)
        update, opt_state = optimizer.update(gradient, opt_state)
        return (z + update, opt_state, best_z, best_loss), None

    start_loss, _ = loss_and_gradient(z0)
    carry = (z0, optimizer.init(z0), z0, start_loss)
    (z, _, best_z, best_loss), _ = jax.lax.scan(step, carry, length=options.steps)
    if options.steps:  # the last iterate has not been looked at yet
        best_z, best_loss = _better(z, loss_and_gradient(z)[0], best_z, best_loss)
    return best_z, best_loss, start_loss


def _evaluation(networks: Networks, weights: ObjectiveWeights):
    """The objective of one window and its gradient in z.

    Mapped over windows it is the gradient of their sum, which is the same, as none sees the others:
    convolutions then get a batch, from which they choose how they are computed.
    """

    def evaluate_batch(variables, z, start, x, mask):
        def total(z):
            loss = objective(networks, variables, z, start, x, mask, weights)
            return loss.sum(), loss

        (_, loss), gradient = jax.value_and_grad(total, has_aux=True)(z)
        return loss, gradient

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


def _better(z, loss, best_z, best_loss):
    improved = loss < best_loss
    return jnp.where(improved, z, best_z), jnp.where(improved, loss, best_loss)
