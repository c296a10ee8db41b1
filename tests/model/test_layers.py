"""Normalisation, against Flax's and over several devices."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.model.layers import BatchNorm

FLAX = nn.BatchNorm(momentum=0.99, epsilon=1e-5)


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def variables():
    params = {"scale": 1 + 0.1 * normal(3), "bias": normal(3, seed=1)}
    statistics = {"mean": normal(3, seed=2), "var": jnp.exp(normal(3, seed=3))}
    return {"params": params, "batch_stats": statistics}


def close(found, expected, atol):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=atol)


def test_a_new_one_has_the_variables_of_flax_s():
    x = normal(4, 2, 5, 3)
    found = BatchNorm().init(jax.random.key(0), x, train=True)
    expected = FLAX.init(jax.random.key(0), x, use_running_average=False)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    close(found, expected, 0.0)


@pytest.mark.parametrize("train", [True, False])
def test_batch_norm_is_flax_s(train):
    """Values, running statistics, and a gradient through a weighted sum of the values."""
    x, weights = 2 * normal(16, 2, 5, 3, seed=4) + 1, normal(16, 2, 5, 3, seed=5)

    def results(apply, x):
        def total(variables, x):
            y, updates = apply(variables, x)
            return (weights * y).sum(), (y, updates)

        return jax.value_and_grad(total, (0, 1), has_aux=True)(variables(), x)

    (found, seen), (of_variables, of_x) = results(
        lambda v, x: BatchNorm().apply(v, x, train, mutable=["batch_stats"]), x
    )
    (expected, also), (theirs, their_x) = results(
        lambda v, x: FLAX.apply(v, x, use_running_average=not train, mutable=["batch_stats"]), x
    )
    close((found, seen, of_variables, of_x), (expected, also, theirs, their_x), 1e-4)
    moved = seen[1]["batch_stats"]["mean"] != variables()["batch_stats"]["mean"]
    assert bool(moved.all()) == train


def test_statistics_are_of_the_whole_batch_where_it_is_split():
    x = normal(8, 4, 3) * jnp.arange(1.0, 9.0)[:, None, None]
    apply = functools.partial(BatchNorm.apply, train=True, mutable=["batch_stats"])
    whole, statistics = apply(BatchNorm(), variables(), x)
    halves, each = jax.vmap(
        lambda x: apply(BatchNorm(batch_axis="devices"), variables(), x), axis_name="devices"
    )(x.reshape(2, 4, 4, 3))
    close(halves.reshape(whole.shape), whole, 1e-5)
    for half in range(2):
        close(jax.tree.map(lambda a, half=half: a[half], each), statistics, 1e-5)


def test_half_precision_is_normalised_in_single():
    x = (100 + normal(64, 3)).astype(jnp.bfloat16)
    y, _ = BatchNorm(jnp.bfloat16).apply(variables(), x, True, mutable=["batch_stats"])
    expected, _ = BatchNorm().apply(
        variables(), x.astype(jnp.float32), True, mutable=["batch_stats"]
    )
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(y, np.float32), expected, rtol=0.02, atol=0.02)
