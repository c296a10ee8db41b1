"""Held-out windows, drawn once from a seed, and the scores of a completed batch of them."""

import dataclasses

import jax
import jax.numpy as jnp

from posegan_jax.geometry import metrics as geometry_metrics
from posegan_jax.geometry.body import head_size
from posegan_jax.geometry.camera import picture
from posegan_jax.geometry.moments import ResidualMoments, residual_moments
from posegan_jax.geometry.normalize import denormalize, fit_normalization, normalize
from posegan_jax.geometry.procrustes import align_deep
from posegan_jax.model.networks import Networks
from posegan_jax.model.options import CORRECTOR, Variables
from posegan_jax.motion.corrupt import CorruptionOptions, observable
from posegan_jax.motion.sample import ViewOptions
from posegan_jax.motion.store import MotionStore
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.training.batch import Batch, sample_batch
from posegan_jax.training.losses import limb_variation, limbs
from posegan_jax.training.options import NormalizeBy, StepOptions

ALPHAS = geometry_metrics.DEFAULT_ALPHAS


def clean_options(
    count: int, views: ViewOptions, corruption: CorruptionOptions,
    normalize_by: NormalizeBy = "observed",
) -> StepOptions:
    """Options that draw windows whose detected joints are all there and exact, of the recorded
    bodies."""
    clean = dataclasses.replace(corruption, clean=1.0, jitter=0.0, misses=0.0, inversions=0.0)
    views = dataclasses.replace(views, speed=(1.0, 1.0))
    return StepOptions(batch_size=count, normalize_by=normalize_by, views=views, corruption=clean)


def validation_batch(
    store: MotionStore, networks: Networks, options: StepOptions, seed: int
) -> Batch:
    """Draws ``options.batch_size`` windows of held-out motion; the same seed, the same windows."""

    @jax.jit  # op by op it would take twice as long
    def draw(key, store):
        return sample_batch(key, store, networks, options)

    return draw(jax.random.key(seed), store)


def reconstruct(
    networks: Networks, variables: dict[str, Variables], batch: Batch
) -> jax.Array:
    """The encoder's answer aligned to what was observed: OPA(G(E(x')) | x'), (N, F, J, C)."""
    code = networks.encoder.apply(variables["encoder"], batch.x_in, batch.mask)
    return align_deep(networks.generator.apply(variables["generator"], code), batch.x, batch.mask)


def complete(networks: Networks, variables: dict[str, Variables], batch: Batch) -> jax.Array:
    """What a run's networks say of windows, (N, F, J, C): the corrector, if there is one, last."""
    if CORRECTOR not in variables:
        return reconstruct(networks, variables, batch)
    x = picture(batch.x)
    normalization = fit_normalization(x, batch.mask)
    shown = [normalize(x, normalization) * batch.mask[..., None], batch.mask]
    if networks.corrector.options.corrects:
        shown.append(normalize(picture(reconstruct(networks, variables, batch)), normalization))
    return denormalize(networks.corrector.apply(variables[CORRECTOR], *shown), normalization)


def scores(
    x: jax.Array, x_tilde: jax.Array, skeleton_name: str, group: jax.Array
) -> dict[str, jax.Array]:
    """PCKh, AUC and mean error in head sizes over the joints of a group.

    Args:
      x: (N, F, J, 2) ground truth.
      x_tilde: (N, F, J, 2) the completed windows.
      skeleton_name: names the J joints; the head is ``body.head_size``'s.
      group: (J,) or (N, F, J) mask of the joints that count.
    """
    head = head_size(x, get_skeleton(skeleton_name))
    mask = jnp.broadcast_to(group, x.shape[:-1])
    curve = geometry_metrics.pckh(x_tilde, x, head, ALPHAS, mask)
    error = jnp.linalg.norm(x - x_tilde, axis=-1) / head[..., None]
    return {
        "pckh@0.1": curve[10],
        "pckh@0.5": curve[50],
        "pckh@1.0": curve[100],
        "auc": geometry_metrics.auc(curve, ALPHAS),
        "error": (error * mask).sum() / jnp.maximum(mask.sum(), 1),
    }


def depth_scores(x: jax.Array, x_tilde: jax.Array, skeleton_name: str) -> dict[str, jax.Array]:
    """Mean error of the depth, in heads as long as they are in space, and how unsteady limbs are.

    Args:
      x: (N, F, J, 3) ground truth.
      x_tilde: (N, F, J, 3) the completed windows.
      skeleton_name: names the J joints.
    """
    skeleton = get_skeleton(skeleton_name)
    error = jnp.abs(x - x_tilde)[..., 2] / head_size(x, skeleton)[..., None]
    return {
        "depth/error": error.mean(),
        "depth/limbs": limb_variation(x_tilde, limbs(skeleton)),
        "depth/true_limbs": limb_variation(x, limbs(skeleton)),
    }


def validate(
    networks: Networks, variables: dict[str, Variables], batch: Batch, corruption: CorruptionOptions
) -> dict[str, jax.Array]:
    """Scores of what is said of observed and of upsampled joints, and its MPJPE.

    Where windows are seen by several layouts, each window's observed joints are those of its own.
    """
    skeleton = get_skeleton(networks.options.skeleton)
    x_tilde = complete(networks, variables, batch)
    seen = batch.mask if corruption.layouts else jnp.asarray(observable(skeleton, corruption))
    x, deep = picture(batch.x), (batch.x, x_tilde)
    x_tilde = picture(x_tilde)
    result = {"mpjpe": geometry_metrics.mpjpe(x, x_tilde).mean()}
    for name, group in (("observed", seen), ("upsampled", 1.0 - seen)):
        for metric, value in scores(x, x_tilde, skeleton.name, group).items():
            result[f"{name}/{metric}"] = value
    if networks.options.depth:
        result |= depth_scores(*deep, skeleton.name)
    return result


def measure_residuals(
    networks: Networks, variables: dict[str, Variables], batch: Batch
) -> ResidualMoments:
    """Moments of what the encoder's answer leaves unexplained, over windows of training motion."""
    found = picture(reconstruct(networks, variables, batch))
    return residual_moments(picture(batch.x), found)
