"""The phase in which the corrector alone is trained, on what the networks say of windows.

What is fitted to people that the networks know would trust the networks too much: the codes whose
answers it is shown are shaken by noise. One that corrects nothing is trained in the same way, to
complete what is seen: the learned regressor of ``evaluation``.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from posegan_jax.geometry.body import pose_size
from posegan_jax.geometry.camera import picture
from posegan_jax.geometry.metrics import mpjpe, mpjse
from posegan_jax.geometry.normalize import fit_normalization, normalize
from posegan_jax.geometry.procrustes import align
from posegan_jax.model.corrector import certainty
from posegan_jax.model.networks import Networks
from posegan_jax.model.options import CORRECTOR
from posegan_jax.motion.store import MotionStore
from posegan_jax.runtime.parallel import DATA_AXIS, each_device, over_devices, split
from posegan_jax.training.batch import sample_batch
from posegan_jax.training.options import CorrectionOptions, StepOptions
from posegan_jax.training.state import TrainState

KNOTS = 7
"""Of the broken lines over a window that the errors left in refined joints follow."""


class Corrupted(NamedTuple):
    """Windows normalised by what is seen of them.

    Attributes:
      x: (N, F, J, C) the truth.
      x_in: (N, F, J, 2) what a detector says, 0 where missing; the encoder sees it.
      mask: (N, F, J) 1 = observed.
      scale: (N,) size of a window in units of the truth's own, as what is seen may be as small as a
        hand.
      refined: (N, F, J, 2) what is left of the detector's errors when the corrector is asked.
      sure: (N, F, J) ``certainty`` of those.
      shake: (N, L) what is added to codes.
    """

    x: jax.Array
    x_in: jax.Array
    mask: jax.Array
    scale: jax.Array
    refined: jax.Array
    sure: jax.Array
    shake: jax.Array


def correction_step(
    state: TrainState, store: MotionStore, networks: Networks, options: StepOptions,
    mesh: Mesh | None = None,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One iteration of the corrector; the new state, scalar metrics."""
    key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
    batch = split(mesh, corrupted(key, store, networks, options))
    if mesh is None or mesh.size == 1:
        return _update(state, batch, networks, options.correction)
    own = functools.partial(
        _update, networks=networks.over(DATA_AXIS), options=options.correction, axis=DATA_AXIS
    )
    return each_device(mesh, own, state, batch)


def corrupted(
    key: jax.Array, store: MotionStore, networks: Networks, options: StepOptions
) -> Corrupted:
    """Draws a batch on the device."""
    k_batch, k_refine, k_shake = jax.random.split(key, 3)
    whole = dataclasses.replace(options, normalize_by="full")
    batch = sample_batch(k_batch, store, networks, whole)
    normalization = fit_normalization(batch.x_in, batch.mask)
    x = normalize(batch.x, normalization)
    x_in = normalize(batch.x_in, normalization) * batch.mask[..., None]
    errors, sure = refined(k_refine, picture(x), options.correction)
    shape = (options.batch_size, networks.options.latent)
    shake = options.correction.shake * jax.random.normal(k_shake, shape)
    scale = normalization.scale.ravel()
    return Corrupted(x, x_in, batch.mask, scale, picture(x) + errors, sure, shake)


def refined(
    key: jax.Array, x: jax.Array, options: CorrectionOptions
) -> tuple[jax.Array, jax.Array]:
    """Errors of observed joints once they are refined: none, or small ones on smooth paths.

    Args:
      key: random.
      x: (N, F, J, 2) true windows.
      options: how large they are.

    Returns:
      (N, F, J, 2) and the joints' ``certainty`` (N, F, J).
    """
    n, f, j, c = x.shape
    k_exact, k_all, k_each, k_more, k_path = jax.random.split(key, 5)

    def deviation(key, shape, limits):
        low, high = np.log(limits)
        return jnp.exp(jax.random.uniform(key, shape, minval=low, maxval=high))

    more = jax.random.bernoulli(k_each, options.one_errs, (n, 1, j))
    more = more * deviation(k_more, (n, 1, j), options.one_error)
    total = jnp.hypot(deviation(k_all, (n, 1, 1), options.error), more)
    total = jnp.where(jax.random.bernoulli(k_exact, options.exact, (n, 1, 1)), 0.0, total)
    path = jax.random.normal(k_path, (n, KNOTS, j, c))
    path = jnp.einsum("fk,nkjc->nfjc", _broken_line(f), path)
    size = pose_size(x).mean(-1)[:, None, None]
    sure = jnp.broadcast_to(certainty(total), (n, f, j))
    return (size * total)[..., None] * path, sure


def _broken_line(frames: int) -> np.ndarray:
    """(F, KNOTS) from independent values at knots to a path of the same variance."""
    at = np.linspace(0, KNOTS - 1, frames)[:, None]
    line = np.maximum(1 - np.abs(at - np.arange(KNOTS)), 0)
    return line / np.linalg.norm(line, axis=1, keepdims=True)


def _update(
    state: TrainState, batch: Corrupted, networks: Networks, options: CorrectionOptions,
    axis: str | None = None,
):
    """One step of AdamW on a device's share of a batch; the other networks stay."""
    there = batch.mask[..., None]
    inputs, counted = (batch.x_in, batch.mask), None
    if networks.corrector.options.corrects:
        code = networks.encoder.apply(state.averages["encoder"], batch.x_in, batch.mask)
        motion = networks.generator.apply(state.averages["generator"], code + batch.shake)
        generated = align(picture(motion), batch.x_in, batch.mask)
        inputs = batch.refined * there, batch.sure * batch.mask, generated
        counted = 1.0 - batch.mask  # what is observed stays

    def off(x, found, counted=None):
        return mpjpe(x, found, counted) + options.speed * mpjse(x, found, counted)

    def loss(params):
        found = networks.corrector.apply({"params": params}, *inputs)
        error = off(picture(batch.x), picture(found), counted)
        if found.shape[-1] > 2:  # half as much, as of the networks: nobody sees it
            error += 0.5 * off(batch.x[..., 2:], found[..., 2:])
        return (error * batch.scale).mean()

    params = state.variables[CORRECTOR]["params"]
    value, gradient = over_devices(jax.value_and_grad(loss)(params), axis)
    before = state.optimizers[CORRECTOR]
    rate = options.schedule()(optax.tree_utils.tree_get(before, "count"))
    update, moments = options.transformation().update(gradient, before, params)
    update = jax.tree.map(lambda u: -rate * u, update)
    changed = {"params": optax.apply_updates(params, update)}
    state = state.replace(
        step=state.step + 1, variables=state.variables | {CORRECTOR: changed},
        optimizers=state.optimizers | {CORRECTOR: moments},
    )
    return state, {"correction": value, "learning_rate": rate}
