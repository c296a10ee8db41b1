"""Both lowerings of the convolutions against lax and its adjoint, in value and gradient."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from posegan_jax.model.conv import conv, conv_transpose, output_size

# size, kernel, strides, padding. Channels are few.
TABLE_1 = [
    ((24, 18), (1, 1), (1, 1), (0, 0)),
    ((24, 18), (4, 4), (2, 2), (1, 1)),
    ((12, 9), (4, 3), (2, 2), (1, 1)),
    ((6, 5), (4, 3), (2, 1), (1, 0)),
    ((3, 3), (3, 3), (1, 1), (0, 0)),
]
ODD = [
    ((7, 11), (4, 4), (2, 2), (1, 1)),  # rows that the last window does not fill
    ((2, 2), (4, 2), (2, 1), (1, 0)),  # as with six rows
    ((9, 8), (5, 3), (3, 2), (2, 1)),
    ((5, 7), (1, 1), (2, 3), (0, 0)),  # strides beyond the kernel
    ((1, 4), (1, 4), (1, 1), (0, 0)),
]
CASES = TABLE_1 + ODD


def reference(x, kernel, strides, padding):
    """The textbook convolution, said without the module under test."""
    return lax.conv_general_dilated(
        x, kernel, strides, [(p, p) for p in padding],
        dimension_numbers=("NHWC", "HWIO", "NHWC"), precision=lax.Precision.HIGHEST,
    )


def arrays(size, kernel, strides, padding):
    rng = np.random.default_rng(sum(size) + sum(kernel))

    def draw(*shape):
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    out = [output_size(size[a], kernel[a], strides[a], padding[a]) for a in (0, 1)]
    return draw(2, *size, 5), draw(*kernel, 5, 4), draw(2, *out, 4)


def close(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolution_is_that_of_lax_in_value_and_gradient(case):
    size, _, strides, padding = case
    x, kernel, y = arrays(*case)

    @jax.jit
    def all_of_them(x, kernel, y):
        def value_and_gradient(function):
            value, pull = jax.vjp(function, x, kernel)
            return value, pull(y)

        return (
            value_and_gradient(lambda x, k: conv(x, k, strides, padding, "cpu")),
            value_and_gradient(lambda x, k: conv(x, k, strides, padding, "lax")),
            value_and_gradient(lambda x, k: reference(x, k, strides, padding)),
        )

    *found, expected = all_of_them(x, kernel, y)
    for result in found:
        close(result, expected)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_transposed_convolution_is_the_adjoint_in_value_and_gradient(case):
    size, _, strides, padding = case
    x, kernel, y = arrays(*case)

    def adjoint(y, kernel):
        _, pull = jax.vjp(lambda x: reference(x, kernel, strides, padding), jnp.zeros_like(x))
        return pull(y)[0]

    @jax.jit
    def all_of_them(x, kernel, y):
        def value_and_gradient(function):
            value, pull = jax.vjp(function, y, kernel)
            return value, pull(x)

        return (
            value_and_gradient(
                lambda y, k: conv_transpose(y, k, strides, padding, size, "cpu")
            ),
            value_and_gradient(lambda y, k: conv_transpose(y, k, strides, padding, size, "lax")),
            value_and_gradient(adjoint),
        )

    *found, expected = all_of_them(x, kernel, y)
    for result in found:
        close(result, expected)


@pytest.mark.parametrize("platform, native", [("cpu", False), ("cuda", True), ("tpu", True)])
def test_auto_dilates_nothing_on_a_cpu_and_is_lax_elsewhere(platform, native):
    size, _, strides, padding = case = TABLE_1[2]
    x, kernel, y = arrays(*case)

    def pull(x, kernel, y):
        return jax.vjp(lambda x, k: conv(x, k, strides, padding), x, kernel)[1](y)

    def up(y, kernel):
        return conv_transpose(y, kernel, strides, padding, size)

    for function, *inputs in ((pull, x, kernel, y), (up, y, kernel)):
        program = jax.jit(function).trace(*inputs).lower(lowering_platforms=(platform,)).as_text()
        assert ("lhs_dilate = [2, 2]" in program) == native


def test_large_batches_are_taken_in_parts():
    """Value and gradients of a batch that is split are those of its samples."""
    size, _, strides, padding = case = TABLE_1[2]
    x, kernel, y = (jnp.tile(a, (64, 1, 1, 1)) if a.shape[0] == 2 else a for a in arrays(*case))
    x = x * jnp.linspace(0.5, 1.5, len(x))[:, None, None, None]

    @functools.partial(jax.jit, static_argnames="lowering")
    def pull(x, y, lowering):
        return jax.vjp(lambda x, k: conv(x, k, strides, padding, lowering), x, kernel)[1](y)

    assert "while" in pull.lower(x, y, "cpu").as_text()
    for found, expected in zip(pull(x, y, "cpu"), pull(x, y, "lax"), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_parts_of_half_precision_are_summed_in_single():
    """A sum of 16 parts is no further from the truth than one of all samples at once."""
    size, _, strides, padding = case = TABLE_1[2]
    x, kernel, y = (jnp.tile(a, (128, 1, 1, 1)) if a.shape[0] == 2 else a for a in arrays(*case))
    rng = np.random.default_rng(2)
    x, y = (jnp.asarray(rng.normal(size=a.shape), jnp.float32) for a in (x, y))

    def gradient(dtype, count):
        def pull(x, y):
            return jax.vjp(
                lambda k: conv(x, k, strides, padding, "cpu"), kernel.astype(dtype)
            )[1](y)[0]

        parts = zip(jnp.split(x, count), jnp.split(y, count), strict=True)
        return sum(
            jax.jit(pull)(x.astype(dtype), y.astype(dtype)).astype(jnp.float32) for x, y in parts
        )

    truth, whole, each = gradient(jnp.float32, 1), *(gradient(jnp.bfloat16, n) for n in (1, 16))
    errors = [float(jnp.linalg.norm(found - truth)) for found in (whole, each)]
    assert errors[0] < 1.2 * errors[1]


@pytest.mark.parametrize("channels", [(6, 32), (32, 6)], ids=str)
def test_the_gradient_of_a_matmul_s_kernel_has_gradients(channels):
    """Of a kernel of one by one, whose gradient is a matmul of what is transposed."""
    rng = np.random.default_rng(3)
    x, k, y = (
        jnp.asarray(rng.normal(size=shape), jnp.float32)
        for shape in ((4, 3, 5, channels[0]), (1, 1, *channels), (4, 3, 5, channels[1]))
    )

    def roughness(x, y, lowering):
        _, pull = jax.vjp(lambda k: conv(x, k, (1, 1), (0, 0), lowering), k)
        return (pull(y)[0] ** 2).sum()

    found, expected = (jax.grad(roughness, (0, 1))(x, y, way) for way in ("cpu", "lax"))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


def test_devices_exchange_nothing_but_the_kernel_s_gradient(on_devices):
    """Parts of a batch that is split over devices are parts of what each of them has."""
    said = on_devices(2, """
import jax, jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from posegan_jax.model.conv import conv
from posegan_jax.runtime import parallel

mesh = parallel.make_mesh()
x = jnp.linspace(-1, 1, 256 * 12 * 9 * 2).reshape(256, 12, 9, 2)
kernel = jnp.linspace(1, 2, 4 * 3 * 2 * 3).reshape(4, 3, 2, 3)

def pull(x, kernel):
    y, pull = jax.vjp(lambda x, k: conv(x, k, (2, 2), (1, 1), "cpu"), x, kernel)
    return pull(y)

split = jax.jit(pull).lower(parallel.scatter(mesh, x), parallel.replicate(mesh, kernel)).compile()
text = split.as_text()
print("while" in text, "all-reduce" in text)
print(any(word in text for word in ("all-gather", "all-to-all", "collective-permute")))
for a, b in zip(split(parallel.scatter(mesh, x), parallel.replicate(mesh, kernel)),
                jax.jit(pull)(x, kernel)):
    print(bool(jnp.allclose(jnp.asarray(a), b, rtol=1e-4, atol=1e-3)))
""")
    assert said.split() == ["True", "True", "False", "True", "True"]


@pytest.mark.parametrize("size", [(6, 5), (11, 7)], ids=str)
def test_many_channels_take_fewer_products(size):
    """Value, gradients, adjoint and a gradient's gradient, of one tile and of several."""
    strides, padding = (2, 1), (1, 0)
    rng = np.random.default_rng(4)
    x = jnp.asarray(rng.normal(size=(32, *size, 128)), jnp.float32)
    kernel = jnp.asarray(0.02 * rng.normal(size=(4, 3, 128, 130)), jnp.float32)

    @functools.partial(jax.jit, static_argnames="lowering")
    def results(x, kernel, lowering):
        def function(x, kernel):
            return conv(x, kernel, strides, padding, lowering)

        def penalty(kernel):
            return jnp.sum(jax.grad(lambda x: jnp.sum(jnp.tanh(function(x, kernel))))(x) ** 2)

        y, pull = jax.vjp(function, x, kernel)
        up, pull_up = jax.vjp(
            lambda y, k: conv_transpose(y, k, strides, padding, size, lowering), y, kernel
        )
        return y, pull(y), up, pull_up(up), jax.grad(penalty)(kernel)

    assert "convolution" not in results.lower(x, kernel, "cpu").as_text()
    found, expected = (jax.tree.leaves(results(x, kernel, name)) for name in ("cpu", "lax"))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


def test_a_convolution_by_hand():
    x = jnp.arange(1.0, 5.0).reshape(1, 4, 1, 1)
    kernel = jnp.asarray([1.0, 10.0, 100.0]).reshape(3, 1, 1, 1)  # not flipped: cross-correlation
    for lowering in ("cpu", "lax"):
        result = conv(x, kernel, (2, 1), (1, 0), lowering)
        assert result.ravel().tolist() == [210.0, 432.0]
        back = conv_transpose(result, kernel, (2, 1), (1, 0), (4, 1), lowering)
        assert back.ravel().tolist() == [2100.0, 21432.0, 4320.0, 43200.0]


def test_the_second_gradient_agrees():
    """The gradient penalty differentiates a gradient."""
    size, _, strides, padding = case = TABLE_1[2]
    x, kernel, _ = arrays(*case)

    def penalty(kernel, function):
        gradient = jax.grad(lambda x: jnp.sum(jnp.tanh(function(x, kernel))))(x)
        return jnp.sum(gradient**2)

    found = jax.jit(
        jax.grad(lambda k: penalty(k, lambda x, k: conv(x, k, strides, padding, "cpu")))
    )(kernel)
    expected = jax.jit(
        jax.grad(lambda k: penalty(k, lambda x, k: reference(x, k, strides, padding)))
    )(kernel)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-3)


def test_unknown_lowering():
    x, kernel, _ = arrays(*TABLE_1[0])
    with pytest.raises(ValueError, match="'auto', 'cpu' or 'lax'"):
        conv(x, kernel, (1, 1), (0, 0), "winograd")
