"""What the three networks do, beyond their shapes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.model.discriminator import Discriminator
from posegan_jax.model.encoder import Encoder
from posegan_jax.model.generator import Generator
from posegan_jax.model.model import num_parameters
from posegan_jax.model.networks import build_networks
from posegan_jax.model.options import NetworkOptions
from posegan_jax.pose.skeleton import get_skeleton

SMALL = get_skeleton("alphapose12")  # six rows
MPI = get_skeleton("mpi_inf_3dhp")


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def windows(count=3, frames=8, skeleton=SMALL, seed=0):
    return normal(count, frames, len(skeleton), 2, seed=seed)


@functools.partial(jax.jit, static_argnums=0, static_argnames="train")
def run(module, variables, *inputs, train=False):
    """The module's output; compiled once for all tests that ask for the same one."""
    return module.apply(variables, *inputs, train=train, mutable=["batch_stats"])


def output(module, variables, *inputs, train=False):
    return run(module, variables, *inputs, train=train)[0]


# --- generator ------------------------------------------------------------------------------------


def test_generated_windows_stay_within_the_range_and_reach_far_into_it(fill):
    generator = Generator(rows=MPI.rows)
    variables = fill(generator, jnp.zeros((1, 128)), scale=0.5)
    x = output(generator, variables, 3 * normal(2, 128))
    assert x.shape == (2, 24, 28, 2)
    assert float(jnp.abs(x).max()) <= 1.0
    assert float(x.max()) > 0.9 and float(x.min()) < -0.9  # it is tanh that holds them back


def test_every_generated_coordinate_depends_on_z(fill):
    """No frame and no row is left to the padding, at an odd number of rows either."""
    rows = tuple((2 * i, 2 * i + 1) for i in range(7))
    generator = Generator(rows=rows, frames=8)
    variables = fill(generator, jnp.zeros((1, 16)), scale=0.1)
    x = output(generator, variables, normal(4, 16))
    assert float(jnp.std(x, axis=0).min()) > 1e-4


def test_windows_are_generated_one_by_one_with_running_statistics(fill):
    generator = Generator(rows=SMALL.rows, frames=8)
    variables = fill(generator, jnp.zeros((1, 16)))
    z = normal(3, 16)
    together = output(generator, variables, z)
    apart = output(generator, variables, z.at[1:].set(0.0))
    np.testing.assert_allclose(together[0], apart[0], atol=1e-5)
    assert float(jnp.abs(together[1] - apart[1]).max()) > 1e-3


def test_lowerings_generate_the_same(fill):
    z = normal(3, 16)
    variables = fill(Generator(rows=SMALL.rows, frames=8), z)
    auto, cpu, native = (
        output(Generator(rows=SMALL.rows, frames=8, lowering=lowering), variables, z)
        for lowering in ("auto", "cpu", "lax")
    )
    np.testing.assert_allclose(cpu, native, atol=1e-5)
    np.testing.assert_allclose(auto, native, atol=1e-5)


def test_training_updates_running_statistics_and_use_does_not(fill):
    generator = Generator(rows=SMALL.rows, frames=8)
    z = normal(3, 16)
    variables = fill(generator, z)
    before = jax.tree.leaves(variables["batch_stats"])
    for train in (False, True):
        after = jax.tree.leaves(run(generator, variables, z, train=train)[1])
        changed = [bool((a != b).any()) for a, b in zip(before, after, strict=True)]
        assert changed == [train] * 10


# --- critic ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalization", ["layer", "none", "batch"])
def test_only_the_batch_normalised_critic_compares_the_samples_of_a_batch(fill, normalization):
    critic, x = Discriminator(rows=SMALL.rows, normalization=normalization), windows()
    variables = fill(critic, x, scale=0.3)
    companions = x.at[1:].set(3.0 * windows(2, seed=1))
    together = output(critic, variables, x, train=True)
    among_others = output(critic, variables, companions, train=True)
    assert together.shape == (3,)
    alike = np.allclose(together[0], among_others[0], rtol=1e-4, atol=1e-5)
    assert alike == (normalization != "batch")
    assert not np.allclose(together[1], among_others[1], rtol=1e-3)


def test_a_layer_normalised_critic_is_deaf_to_the_loudness_of_its_first_convolution(fill):
    critic, x = Discriminator(rows=SMALL.rows), windows()
    variables = fill(critic, x, scale=0.3)
    before = output(critic, variables, x, train=True)
    first = variables["params"]["Trunk_0"]["Conv_0"]
    first["kernel"] = first["kernel"] * 50.0
    np.testing.assert_allclose(output(critic, variables, x, train=True), before, rtol=1e-3)


@pytest.mark.parametrize("name", ["discriminator", "encoder"])
def test_a_sigmoid_squashes_the_linear_output(fill, name):
    x = 30 * windows()
    inputs = (x,) if name == "discriminator" else (x, jnp.ones(x.shape[:-1]))
    module = Discriminator if name == "discriminator" else Encoder
    linear = module(rows=SMALL.rows)
    squashed = module(rows=SMALL.rows, final_activation="sigmoid")
    variables = fill(linear, *inputs, scale=0.3)
    before, after = output(linear, variables, *inputs), output(squashed, variables, *inputs)
    assert float(before.min()) < 0.0 and float(before.max()) > 1.0
    assert 0.0 <= float(after.min()) and float(after.max()) <= 1.0
    np.testing.assert_allclose(after, jax.nn.sigmoid(before), atol=1e-5)


@pytest.mark.parametrize(
    "option", [{"final_activation": "tanh"}, {"normalization": "group"}, {"last_speed": "wrap"}]
)
def test_unknown_options_of_the_critic(option):
    critic = Discriminator(rows=SMALL.rows, **option)
    with pytest.raises(ValueError, match=next(iter(option.values()))):
        jax.eval_shape(critic.init, jax.random.key(0), windows())


def test_the_critic_sees_speeds_beside_positions(fill):
    """With no weight on the positions, a window at rest scores the same wherever it rests."""
    critic, x = Discriminator(rows=SMALL.rows), windows()
    variables = fill(critic, x, scale=0.3)
    kernel = variables["params"]["Trunk_0"]["Conv_0"]["kernel"]
    assert kernel.shape[2] == 8
    kernel[:, :, :4] = 0.0
    moving = output(critic, variables, x, train=True)
    still = output(critic, variables, jnp.broadcast_to(x[:, :1], x.shape), train=True)
    nowhere = output(critic, variables, jnp.zeros_like(x), train=True)
    np.testing.assert_allclose(still, nowhere, atol=1e-6)
    assert float(jnp.abs(moving - nowhere).min()) > 1e-3


def test_the_last_speed_reaches_the_critic(fill):
    x = windows()
    critics = [Discriminator(rows=SMALL.rows, last_speed=last) for last in ("repeat", "zero")]
    variables = fill(critics[0], x, scale=0.3)
    repeat, zero = (output(critic, variables, x, train=True) for critic in critics)
    assert float(jnp.abs(repeat - zero).min()) > 1e-3


# --- encoder --------------------------------------------------------------------------------------


def test_what_stands_at_missing_joints_is_ignored(fill):
    encoder = Encoder(rows=SMALL.rows, latent=16)
    x = windows()
    mask = jnp.asarray(np.random.default_rng(1).random(x.shape[:-1]) < 0.6, jnp.float32)
    variables = fill(encoder, x, mask, scale=0.3)

    @jax.jit
    def code_and_gradient(x):
        code, pull = jax.vjp(lambda x: encoder.apply(variables, x, mask), x)
        return code, pull(jnp.ones_like(code))[0]

    code, gradient = code_and_gradient(x)
    assert code.shape == (3, 16)
    for garbage in (jnp.nan, jnp.inf, 7.0):
        spoiled = jnp.where(mask[..., None] > 0, x, garbage)
        code_spoiled, gradient_spoiled = code_and_gradient(spoiled)
        np.testing.assert_array_equal(code_spoiled, code)
        np.testing.assert_array_equal(gradient_spoiled, gradient)
    assert bool((gradient == 0).all(axis=-1)[mask == 0].all())
    assert bool((gradient != 0).any(axis=-1)[mask == 1].all())


def test_a_missing_joint_differs_from_one_observed_at_zero(fill):
    encoder = Encoder(rows=SMALL.rows)
    x, mask = jnp.zeros((3, 8, 12, 2)), jnp.ones((3, 8, 12))
    variables = fill(encoder, x, mask, scale=0.3)
    code = output(encoder, variables, x, mask)
    without = output(encoder, variables, x, mask.at[:, :, 3].set(0.0))
    assert float(jnp.abs(code - without).max()) > 1e-3


# --- initialisation -------------------------------------------------------------------------------


def test_fresh_networks():
    options = NetworkOptions(skeleton="alphapose12", frames=8, latent=16)
    networks = build_networks(options)
    # This kind of key compiles several times faster than the default one.
    variables = jax.jit(networks.init)(jax.random.key(0, impl="unsafe_rbg"))
    assert set(variables) == {"generator", "discriminator", "encoder"}
    assert all(num_parameters(v) > 100_000 for v in variables.values())
    kernels = [
        np.ravel(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(variables)
        if path[-1].key == "kernel" and leaf.size >= 4096
    ]
    assert len(kernels) > 10
    for kernel in kernels:
        assert kernel.std() == pytest.approx(0.02, rel=0.05)
        assert abs(kernel.mean()) < 0.002
    z = output(networks.encoder, variables["encoder"], windows(), jnp.ones((3, 8, 12)))
    x = output(networks.generator, variables["generator"], z)
    score = output(networks.discriminator, variables["discriminator"], x, train=True)
    assert z.shape == (3, 16) and x.shape == (3, 8, 12, 2) and score.shape == (3,)
    assert bool(jnp.isfinite(score).all())


def test_half_precision_activations_keep_single_precision_outputs(fill):
    networks = build_networks(
        NetworkOptions(skeleton="alphapose12", frames=8, latent=16), dtype=jnp.bfloat16
    )
    x = windows()
    mask = jnp.ones(x.shape[:-1])
    shapes = jax.eval_shape(networks.init, jax.random.key(0))
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(shapes))
    for module, inputs in (
        (networks.generator, (normal(3, 16),)),
        (networks.discriminator, (x,)),
        (networks.encoder, (x, mask)),
    ):
        variables = fill(module, *inputs)
        assert jax.eval_shape(module.apply, variables, *inputs).dtype == jnp.float32
