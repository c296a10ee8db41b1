"""One training iteration as a pure function, and K of them under ``lax.scan``.

Thesis iteration (section 4.3): one critic step, then one generator + encoder step. A run may lead
with a reconstruction phase, in which only L_AE's data terms are trained: it costs a quarter.

Running statistics of batch norm are updated from the reconstruction passes alone, E(x') and
G(E(x')), because the descent starts there; the critic's (if it has any) from its pass over real
windows. Passes over G(z) and x_hat normalise by their own batch and leave no trace.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from posegan_jax.geometry.camera import picture
from posegan_jax.model.networks import Networks
from posegan_jax.model.options import Variables
from posegan_jax.motion.store import MotionStore
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.runtime.parallel import DATA_AXIS, each_device, over_devices, split
from posegan_jax.training import losses
from posegan_jax.training.batch import Batch, sample_batch
from posegan_jax.training.correction import correction_step
from posegan_jax.training.options import OptimizerOptions, Phase, StepOptions
from posegan_jax.training.state import AVERAGED, TrainState

Metrics = dict[str, jax.Array]


def train_step(
    state: TrainState, store: MotionStore, networks: Networks, options: StepOptions, phase: Phase,
    mesh: Mesh | None = None,
) -> tuple[TrainState, Metrics]:
    """One iteration of ``phase``, its batch split over ``mesh``; the new state, scalar metrics."""
    if phase == "correction":
        return correction_step(state, store, networks, options, mesh)
    key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
    k_batch, k_update = jax.random.split(key)
    batch = split(mesh, sample_batch(k_batch, store, networks, options))
    return update(state, batch, k_update, networks, options, phase, mesh)


def update(
    state: TrainState, batch: Batch, key: jax.Array, networks: Networks, options: StepOptions,
    phase: Phase, mesh: Mesh | None = None,
) -> tuple[TrainState, Metrics]:
    """``train_step`` on a batch that is given; the key is for z and for where x_hat lies."""
    k_z, k_critic = jax.random.split(key)
    draws = None
    if phase == "full":
        z = jax.random.normal(k_z, (options.batch_size, networks.options.latent))
        draws = _Draws(z, losses.interpolation_weights(k_critic, options.batch_size))
    if mesh is None or mesh.size == 1:
        return _update(state, batch, draws, networks, options)
    own = functools.partial(
        _update, networks=networks.over(DATA_AXIS), options=options, axis=DATA_AXIS
    )
    return each_device(mesh, own, state, batch, draws)


class _Draws(NamedTuple):
    """What chance decides besides the batch: z (N, L), and where x_hat lies (N,)."""

    z: jax.Array
    places: jax.Array


def _update(
    state: TrainState, batch: Batch, draws: _Draws | None, networks: Networks,
    options: StepOptions, axis: str | None = None,
) -> tuple[TrainState, Metrics]:
    """One iteration on a device's share of a batch; without draws, of the reconstruction phase."""
    rate = options.optimizer.schedule()(state.step)
    metrics, generated = {}, None
    if draws is not None:
        generated = _generate(state, draws.z, networks)
        state, metrics = _critic_update(
            state, batch, generated.x, draws.places, networks, options, rate, axis
        )
    state, more = _autoencoder_update(state, batch, generated, networks, options, rate, axis)
    state = state.replace(step=state.step + 1, averages=_average(state, options.optimizer))
    return state, {**metrics, **more, "learning_rate": rate}


def train_steps(
    state: TrainState, store: MotionStore, *, networks: Networks, options: StepOptions,
    phase: Phase, count: int, mesh: Mesh | None = None,
) -> tuple[TrainState, Metrics]:
    """``count`` iterations in one program; metrics are the means over them."""

    def body(state, _):
        return train_step(state, store, networks, options, phase, mesh)

    state, metrics = jax.lax.scan(body, state, length=count)
    # A mean hides nothing that matters here: one NaN makes it NaN.
    return state, jax.tree.map(lambda m: m.mean(), metrics)


class _Generated(NamedTuple):
    """G(z), which serves both updates, as the critic's leaves the generator as it is.

    Attributes:
      z: (N, L).
      x: (N, F, J, C).
      pull: a gradient in x to one in the generator's parameters.
    """

    z: jax.Array
    x: jax.Array
    pull: Callable[[jax.Array], tuple[Variables]]


def _generate(state, z, networks) -> _Generated:
    fixed = {k: v for k, v in state.variables["generator"].items() if k != "params"}

    def generate(params):
        return networks.generator.apply(
            {"params": params, **fixed}, z, train=True, mutable=["batch_stats"]
        )[0]

    return _Generated(z, *jax.vjp(generate, state.variables["generator"]["params"]))


def _critic_update(state, batch, fake, places, networks, options, rate, axis):
    """L_Dis, one Adam step of the critic; x_tilde is G(z) alone."""
    critic = networks.discriminator
    x_hat = losses.interpolate(places, batch.x, fake)
    fixed = {k: v for k, v in state.variables["discriminator"].items() if k != "params"}

    def loss_fn(params):
        def score(x):
            return critic.apply({"params": params, **fixed}, x, train=True, mutable=["batch_stats"])

        real_scores, updates = score(batch.x)
        wasserstein = losses.critic_wasserstein(real_scores, score(fake)[0])
        penalty = losses.gradient_penalty(lambda x: score(x)[0], x_hat)
        total = wasserstein + options.weights.gradient_penalty * penalty
        return total, ({"wasserstein": -wasserstein, "gradient_penalty": penalty}, updates)

    params = state.variables["discriminator"]["params"]
    gradient, (metrics, updates) = jax.grad(loss_fn, has_aux=True)(params)
    gradient, metrics = over_devices((gradient, metrics), axis)
    return _apply(state, {"discriminator": (gradient, updates)}, options, rate), metrics


def _autoencoder_update(state, batch, generated, networks, options, rate, axis):
    """L_Gen + L_AE + L_Mix for the generator, L_AE + L_Mix for the encoder: one Adam step each.

    L_Gen does not depend on the encoder, so one gradient of the sum serves both networks.
    """
    fixed = {n: {k: v for k, v in state.variables[n].items() if k != "params"} for n in AVERAGED}

    def apply(name, params, *inputs):
        module = getattr(networks, name)
        return module.apply(
            {"params": params[name], **fixed[name]}, *inputs, train=True, mutable=["batch_stats"]
        )

    def critic(x):
        return networks.discriminator.apply(
            state.variables["discriminator"], x, train=True, mutable=["batch_stats"]
        )[0]

    def loss_fn(params, fake):
        code, encoder_updates = apply("encoder", params, batch.x_in, batch.mask)
        x_tilde, generator_updates = apply("generator", params, code)

        def encode(x):
            return apply("encoder", params, picture(x), jnp.ones(x.shape[:-1]))[0]

        outputs = losses.Outputs(
            batch.x, batch.mask, code, x_tilde, generated and generated.z, fake, critic, encode,
            axis, losses.limbs(get_skeleton(networks.options.skeleton)),
        )
        total, metrics = losses.objective(outputs, options.weights)
        metrics["autoencoder_loss"] = total
        return total, (metrics, {"encoder": encoder_updates, "generator": generator_updates})

    params = {name: state.variables[name]["params"] for name in AVERAGED}
    (gradient, through_fake), (metrics, updates) = jax.grad(loss_fn, (0, 1), has_aux=True)(
        params, generated and generated.x
    )
    if generated is not None:
        (more,) = generated.pull(through_fake)
        gradient["generator"] = jax.tree.map(jnp.add, gradient["generator"], more)
    gradient, metrics = over_devices((gradient, metrics), axis)
    changes = {name: (gradient[name], updates[name]) for name in AVERAGED}
    return _apply(state, changes, options, rate), metrics


def _apply(state: TrainState, changes, options: StepOptions, rate) -> TrainState:
    """Adam on the named networks, and their new running statistics."""
    optimizer = options.optimizer.transformation()
    variables, optimizers = dict(state.variables), dict(state.optimizers)
    for name, (gradient, updates) in changes.items():
        params = variables[name]["params"]
        update, optimizers[name] = optimizer.update(gradient, optimizers[name], params)
        update = jax.tree.map(lambda u: -rate * u, update)
        variables[name] = {
            **variables[name], **updates, "params": optax.apply_updates(params, update),
        }
    return state.replace(variables=variables, optimizers=optimizers)


def _average(state: TrainState, options: OptimizerOptions):
    # The first steps average over what there is, so that the start does not linger.
    count = state.step.astype(jnp.float32)
    decay = jnp.minimum(options.average_decay, (1.0 + count) / (10.0 + count))
    return jax.tree.map(
        lambda a, v: decay * a + (1.0 - decay) * v,
        state.averages,
        {name: state.variables[name] for name in AVERAGED},
    )
