"""The three networks as mixers: what they have in common with table 1's, and what not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.model.networks import build_networks
from posegan_jax.model.options import NetworkOptions

SIZES = dict(frames=8, latent=16, layers="mixers", width=12, blocks=2)
FLAT = build_networks(NetworkOptions("alphapose12", **SIZES))
DEEP = build_networks(NetworkOptions("alphapose12", coordinates=3, **SIZES))
OF = {2: FLAT, 3: DEEP}
VARIABLES = {c: networks.init(jax.random.key(c)) for c, networks in OF.items()}


def windows(count: int, coordinates: int) -> jax.Array:
    return jax.random.normal(jax.random.key(1), (count, 8, 12, coordinates)) / 3


def apply(name, coordinates, *inputs):
    module = getattr(OF[coordinates], name)
    return module.apply(VARIABLES[coordinates][name], *inputs)


@pytest.mark.parametrize("coordinates", [2, 3])
def test_they_take_and_give_what_the_convolutions_do(coordinates):
    same = build_networks(NetworkOptions(
        "alphapose12", frames=8, latent=16, coordinates=coordinates))
    x, mask, z = windows(3, coordinates), jnp.ones((3, 8, 12)), jnp.zeros((3, 16))
    for name, inputs in (
        ("encoder", (x, mask)), ("generator", (z,)), ("discriminator", (x,)),
    ):
        module = getattr(same, name)
        wanted = jax.eval_shape(lambda *i, m=module: m.init_with_output(jax.random.key(0), *i)[0],
                                *inputs)
        found = apply(name, coordinates, *inputs)
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)


def test_windows_do_not_see_each_other():
    x, mask = windows(3, 2), jnp.ones((3, 8, 12))
    other = x.at[1:].set(0.0)
    np.testing.assert_array_equal(
        apply("encoder", 2, x, mask)[0], apply("encoder", 2, other, mask)[0])
    np.testing.assert_array_equal(
        apply("discriminator", 2, x)[0], apply("discriminator", 2, other)[0])


def test_the_encoder_sees_the_picture_and_what_is_there_alone():
    x, mask = windows(2, 3), jnp.ones((2, 8, 12)).at[:, 3:5, 2].set(0.0)
    code = apply("encoder", 3, x, mask)
    hidden = jnp.where(mask[..., None] > 0, x, jnp.nan)
    np.testing.assert_array_equal(apply("encoder", 3, hidden, mask), code)
    np.testing.assert_array_equal(apply("encoder", 3, x.at[..., 2].add(1.0), mask), code)
    there = x.at[:, 3:5, 2, :2].set(  # where it is interpolated to, but seen
        x[:, 2:3, 2, :2] + (x[:, 5:6, 2, :2] - x[:, 2:3, 2, :2]) * jnp.array([1, 2])[:, None] / 3)
    assert jnp.abs(apply("encoder", 3, there, jnp.ones_like(mask)) - code).max() > 1e-4


def test_generated_windows_stay_within_reach():
    z = jax.random.normal(jax.random.key(2), (4, 16))
    for coordinates, networks in OF.items():
        large = jax.tree.map(lambda a: 1e3 * a, VARIABLES[coordinates]["generator"])
        x = jnp.abs(networks.generator.apply(large, z))
        assert 0.9 < float(x[..., :2].max()) <= 1.0
    assert 1.0 < float(x[..., 2].max()) <= 4.0


def test_the_critic_sees_every_coordinate_and_frame():
    gradient = jax.grad(lambda x: apply("discriminator", 3, x).sum())(windows(2, 3))
    assert float(jnp.abs(gradient).min()) > 0


def test_blocks_and_width_decide_the_sizes():
    deeper = build_networks(NetworkOptions("alphapose12", **{**SIZES, "blocks": 3, "width": 20}))
    shapes = jax.eval_shape(deeper.init, jax.random.key(0))
    blocks = shapes["generator"]["params"]["Mixer_0"]["blocks"]
    assert list(blocks) == ["0", "1", "2"]
    assert blocks["0"]["features"]["up"]["kernel"].shape == (20, 40)
    assert blocks["0"]["time"]["up"]["kernel"].shape == (8, 16)


def test_half_precision_is_what_is_mixed_and_not_what_comes_out():
    options = NetworkOptions("alphapose12", **SIZES)
    half = build_networks(options, dtype=jnp.bfloat16)
    x, mask, z = windows(2, 2), jnp.ones((2, 8, 12)), jnp.ones((2, 16))
    for name, inputs in (
        ("encoder", (x, mask)), ("generator", (z,)), ("discriminator", (x,)),
    ):
        module, variables = getattr(half, name), VARIABLES[2][name]
        assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
        found = module.apply(variables, *inputs)
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, apply(name, 2, *inputs), atol=0.1)
        products = str(jax.make_jaxpr(lambda *i, m=module, v=variables: m.apply(v, *i))(*inputs))
        in_half = [line for line in products.splitlines()
                   if "dot_general" in line and "bf16" in line.split("=")[0]]
        assert len(in_half) >= 4 * options.blocks
