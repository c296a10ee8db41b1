"""How a two-dimensional convolution becomes machine code: the one place that decides.

Differentiating ``lax.conv_general_dilated`` gives convolutions that are dilated or have their axes
exchanged. GPUs and TPUs have kernels for these. On a CPU, XLA passes only plain ones to a fast
kernel: batch first, channels last, no dilation of what is convolved. The others run up to a hundred
times slower, the gradients of kernels above all inside ``lax.scan``. So on a CPU the three linear
maps that belong to a convolution (it, its adjoint, and the gradient of its kernel) are each written
as something fast, and call each other when they are differentiated, any number of times. Where the
channels are many, as matmuls of fewer products than the definition asks for.
``lax.platform_dependent`` picks when the program is lowered, so the same function compiles for
either. Both ways give the same values and gradients to float tolerance.

Layout: activations (N, frames, rows, channels), kernels (frames, rows, in, out). A transposed
convolution is the exact adjoint of the convolution with the same kernel, stride and padding, so its
kernel is stored in the layout of that convolution: (frames, rows, out, in).
"""

import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Lowering = Literal["auto", "cpu", "lax"]
Pair = tuple[int, int]

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def output_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Length of a convolution's output along one axis (floor convention)."""
    return (size + 2 * padding - kernel) // stride + 1


def conv(
    x: jax.Array, kernel: jax.Array, strides: Pair, padding: Pair, lowering: Lowering = "auto"
) -> jax.Array:
    """Convolves (cross-correlates) without bias.

    Args:
      x: (N, H, W, C) activations.
      kernel: (kh, kw, C, O).
      strides: stride along (H, W).
      padding: zeros added on both sides of (H, W).
      lowering: 'cpu', 'lax', or 'auto': cpu on a CPU and lax elsewhere. Only 'lax' has a
        forward-mode derivative (``jax.jvp``).

    Returns:
      (N, H', W', O) with ``H' = (H + 2 p - kh) // s + 1``.
    """
    return _dispatch(_conv_cpu, _conv_lax, lowering)(x, kernel, strides, padding)


def conv_transpose(
    y: jax.Array,
    kernel: jax.Array,
    strides: Pair,
    padding: Pair,
    size: Pair,
    lowering: Lowering = "auto",
) -> jax.Array:
    """The adjoint of ``conv``: takes its output's shape back to its input's.

    Args:
      y: (N, H', W', O) activations.
      kernel: (kh, kw, C, O), the layout of the convolution whose adjoint this is.
      strides: stride of that convolution.
      padding: padding of that convolution.
      size: (H, W) of the result; resolves the ambiguity that a stride leaves (what other
        frameworks call output padding).
      lowering: as in ``conv``.

    Returns:
      (N, H, W, C).
    """
    return _dispatch(_transpose_cpu, _transpose_lax, lowering)(
        y, kernel, strides, padding, size
    )


def _dispatch(cpu, native, lowering: Lowering):
    if lowering == "cpu":
        return cpu
    if lowering == "lax":
        return native
    if lowering != "auto":
        raise ValueError(f"lowering must be 'auto', 'cpu' or 'lax', not {lowering!r}")

    def automatic(x, kernel, *static):
        return lax.platform_dependent(
            x,
            kernel,
            cpu=lambda x, kernel: cpu(x, kernel, *static),
            default=lambda x, kernel: native(x, kernel, *static),
        )

    return automatic


# --- lax ----------------------------------------------------------------------------------------


def _conv_lax(x, kernel, strides, padding):
    return lax.conv_general_dilated(
        x, kernel, strides, [(p, p) for p in padding], dimension_numbers=_DIMENSIONS
    )


def _transpose_lax(y, kernel, strides, padding, size):
    pads = []
    for axis in range(2):
        k, s, p = kernel.shape[axis], strides[axis], padding[axis]
        low = k - 1 - p
        dilated = (y.shape[1 + axis] - 1) * s + 1
        pads.append((low, size[axis] + k - 1 - dilated - low))
    flipped = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
    return lax.conv_general_dilated(
        y, flipped, (1, 1), pads, lhs_dilation=strides, dimension_numbers=_DIMENSIONS
    )


# --- cpu ----------------------------------------------------------------------------------------


def _conv_cpu(x, kernel, strides, padding):
    n, *size, _ = x.shape
    kh, kw, c, o = kernel.shape
    if _is_matmul(size, (kh, kw), strides, padding):
        rows = _multiply(x.reshape(-1, kh * kw * c), kernel.reshape(-1, o))
        return rows.reshape(n, size[0] - kh + 1, size[1] - kw + 1, o)
    if _has_few_products(x, kernel, strides):
        return _few_products(x, kernel, strides, padding)
    return _convolve(x, kernel, strides, padding)


def _transpose_cpu(y, kernel, strides, padding, size):
    kh, kw, c, o = kernel.shape
    if _is_matmul(size, (kh, kw), strides, padding):
        return _multiply(y.reshape(-1, o), kernel.reshape(-1, o).T).reshape(-1, *size, c)
    if _has_few_products(y, kernel, strides):
        anywhere = jnp.zeros((len(y), *size, c), y.dtype)
        return jax.vjp(lambda x: _few_products(x, kernel, strides, padding), anywhere)[1](y)[0]
    return _spread(y, kernel, strides, padding, size)


@jax.custom_vjp
def _multiply(x, kernel):
    """Matmuls of many samples, of one dtype: (..., N, C) and (..., C, O) -> (..., N, O)."""
    return x @ kernel


@jax.custom_vjp
def _contract(x, y):
    """The gradient of a kernel: (..., N, C) and (..., N, O) -> (..., C, O).

    XLA has no fast kernel for a matmul whose first matrix is transposed, and makes such a one of
    one whose first matrix, or result, is transposed, unless a barrier is between. That with fewer
    columns is transposed.
    """
    if x.shape[-1] > y.shape[-1]:
        return _contract(y, x).swapaxes(-1, -2)
    return lax.optimization_barrier(lax.optimization_barrier(x.swapaxes(-1, -2)) @ y)


_multiply.defvjp(
    lambda x, kernel: (_multiply(x, kernel), (x, kernel)),
    lambda saved, y: (_multiply(y, saved[1].swapaxes(-1, -2)), _contract(saved[0], y)),
)
_contract.defvjp(
    lambda x, y: (_contract(x, y), (x, y)),
    lambda saved, kernel: (
        _multiply(saved[1], kernel.swapaxes(-1, -2)), _multiply(saved[0], kernel)
    ),
)


def _is_matmul(size, kernel: Pair, strides: Pair, padding: Pair) -> bool:
    """A kernel of one by one, or one that covers the whole map."""
    if any(padding) or tuple(strides) != (1, 1):
        return False
    return kernel == (1, 1) or kernel == tuple(size)


# A convolution with fewer products (A. Toom, 1963; S. Winograd, 1980; A. Lavin and S. Gray, 2016):
# m outputs of r taps along an axis from m + r - 1 products instead of m r, between fixed linear
# combinations of the inputs and of the taps. Over many channels the products are matmuls, and the
# combinations, being matmuls too, differentiate into matmuls. A stride makes of every axis as many
# phases, which are channels.


def _has_few_products(x, kernel, strides: Pair) -> bool:
    """Whether the combinations cost less than the products that they save."""
    if len(x) < 16 or min(kernel.shape[2:]) < 128 or x.dtype != jnp.float32:
        return False
    return max(_phase_taps(kernel.shape[a], strides[a]) for a in range(2)) <= 3


_TILE = 3
_POINTS = (0.0, 1.0, -1.0, 2.0)
"""Where polynomials are evaluated, and at infinity; more would cost precision."""


class _ToomCook(NamedTuple):
    """outputs.T ((taps g) * (inputs d)) are the m correlations of d with g."""

    outputs: np.ndarray
    taps: np.ndarray
    inputs: np.ndarray


def _toom_cook(m: int, r: int) -> _ToomCook:
    """The transpose of multiplying polynomials of m and r coefficients by their values."""

    def values(coefficients: int):
        finite = np.vander(_POINTS[: m + r - 2], coefficients, increasing=True)
        return np.concatenate([finite, np.eye(coefficients)[-1:]])

    return _ToomCook(values(m), values(r), np.linalg.inv(values(m + r - 1)).T)


def _phase_taps(kernel: int, stride: int) -> int:
    return -(-kernel // stride)


def _few_products(x, kernel, strides, padding):
    """C, from few products for a tile of outputs."""
    n, *size, c = x.shape
    o = kernel.shape[3]
    out = [output_size(size[a], kernel.shape[a], strides[a], padding[a]) for a in range(2)]
    m = [min(out[a], _TILE) for a in range(2)]
    r = [_phase_taps(kernel.shape[a], strides[a]) for a in range(2)]
    tiles = [-(-out[a] // m[a]) for a in range(2)]
    along = [_toom_cook(m[a], r[a]) for a in range(2)]
    outputs, taps, inputs = (
        jnp.asarray(np.kron(*matrices), x.dtype) for matrices in zip(*along, strict=True)
    )
    kernel = jnp.pad(
        kernel, [(0, r[a] * strides[a] - kernel.shape[a]) for a in range(2)] + [(0, 0)] * 2
    )
    kernel = kernel.reshape(r[0], strides[0], r[1], strides[1], c, o).swapaxes(1, 2)
    kernel = (taps @ kernel.reshape(r[0] * r[1], -1)).reshape(len(taps), -1, o)
    length = [(tiles[a] * m[a] + r[a] - 1) * strides[a] for a in range(2)]
    high = [length[a] - size[a] - padding[a] for a in range(2)]
    pads = [(0, 0, 0), *((padding[a], high[a], 0) for a in range(2)), (0, 0, 0)]
    x = lax.pad(x, jnp.zeros((), x.dtype), pads)
    x = x.reshape(n, -1, strides[0], length[1] // strides[1], strides[1], c)
    # N, tiles, positions, phases of frames; tiles, positions, phases of rows; channels.
    x = _overlapping(_overlapping(x, 3, tiles[1], m[1]), 1, tiles[0], m[0])
    x = inputs @ x.transpose(2, 5, 0, 1, 4, 3, 6, 7).reshape(len(inputs), -1)
    products = _multiply(x.reshape(len(taps), -1, kernel.shape[1]), kernel)
    y = outputs.T @ products.reshape(len(taps), -1)
    y = y.reshape(*m, n, *tiles, o).transpose(2, 3, 0, 4, 1, 5)
    y = y.reshape(n, tiles[0] * m[0], tiles[1] * m[1], o)
    return y[:, : out[0], : out[1]]


def _overlapping(x, axis: int, tiles: int, step: int):
    """Splits an axis of tiles * step + overlap into (tiles, step + overlap)."""
    overlap = x.shape[axis] - tiles * step
    parts = [
        lax.slice_in_dim(x, t * step, (t + 1) * step + overlap, axis=axis) for t in range(tiles)
    ]
    return jnp.stack(parts, axis)


# Three bilinear maps that are each other's derivatives: with C(x, k) the convolution, T(y, k) its
# adjoint in x and W(x, y) its adjoint in k, <C(x, k), y> = <x, T(y, k)> = <k, W(x, y)>.


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve(x, kernel, strides, padding):
    """C."""
    return _conv_lax(x, kernel, strides, padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _spread(y, kernel, strides, padding, size):
    """T: of two ways the one that has less to do."""
    taps = [kernel.shape[a] for a in range(2)]
    blocks = [-(-k // s) for k, s in zip(taps, strides, strict=True)]
    products = [
        (y.shape[1 + a] + blocks[a] - 1) * blocks[a] * strides[a] / (y.shape[1 + a] * taps[a])
        for a in range(2)
    ]
    if products[0] * products[1] < 1.5:
        return _interleave(y, kernel, strides, padding, size)
    # Few samples at a time, so that their columns stay in the cache.
    return _in_parts(lambda y: _overlap_add(y, kernel, strides, padding, size), 16, y)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _correlate(x, y, strides, padding, taps):
    """W, (N, H, W, C) and (N, H', W', O) -> (*taps, C, O): a convolution over the samples."""
    high = [
        taps[a] + (y.shape[1 + a] - 1) * strides[a] - x.shape[1 + a] - padding[a]
        for a in range(2)
    ]
    x = x[:, : x.shape[1] + min(high[0], 0), : x.shape[2] + min(high[1], 0)]
    pads = [(p, max(h, 0)) for p, h in zip(padding, high, strict=True)]

    def correlate(x, y):
        # Transposed first: exchanged axes in the convolution itself would miss the fast kernel.
        result = lax.conv_general_dilated(
            x.transpose(3, 1, 2, 0), y.transpose(1, 2, 0, 3), (1, 1), pads, rhs_dilation=strides,
            dimension_numbers=_DIMENSIONS,
        )
        return result.transpose(1, 2, 0, 3)

    return _sum_of_parts(correlate, 16, x, y)


_convolve.defvjp(
    lambda x, kernel, strides, padding: (_convolve(x, kernel, strides, padding), (x, kernel)),
    lambda strides, padding, saved, y: (
        _spread(y, saved[1], strides, padding, saved[0].shape[1:3]),
        _correlate(saved[0], y, strides, padding, saved[1].shape[:2]),
    ),
)
_spread.defvjp(
    lambda y, kernel, strides, padding, size: (
        _spread(y, kernel, strides, padding, size), (y, kernel)
    ),
    lambda strides, padding, size, saved, x: (
        _convolve(x, saved[1], strides, padding),
        _correlate(x, saved[0], strides, padding, saved[1].shape[:2]),
    ),
)
_correlate.defvjp(
    lambda x, y, strides, padding, taps: (_correlate(x, y, strides, padding, taps), (x, y)),
    lambda strides, padding, taps, saved, kernel: (
        _spread(saved[1], kernel, strides, padding, saved[0].shape[1:3]),
        _convolve(saved[0], kernel, strides, padding),
    ),
)


def _interleave(y, kernel, strides, padding, size):
    """T as a convolution at stride one that gives a block of ``strides`` outputs at a place."""
    kh, kw, c, o = kernel.shape
    (sh, sw), (bh, bw) = strides, (-(-kh // strides[0]), -(-kw // strides[1]))
    blocks = jnp.pad(kernel, [(0, bh * sh - kh), (0, bw * sw - kw), (0, 0), (0, 0)])
    blocks = blocks.reshape(bh, sh, bw, sw, c, o)[::-1, :, ::-1]
    blocks = blocks.transpose(0, 2, 5, 1, 3, 4).reshape(bh, bw, o, sh * sw * c)
    result = lax.conv_general_dilated(
        y, blocks, (1, 1), [(bh - 1, bh - 1), (bw - 1, bw - 1)], dimension_numbers=_DIMENSIONS
    )
    n, h, w, _ = result.shape
    result = result.reshape(n, h, w, sh, sw, c).transpose(0, 1, 3, 2, 4, 5)
    return _cut(result.reshape(n, h * sh, w * sw, c), padding, size)


def _overlap_add(y, kernel, strides, padding, size):
    """T as one matmul to what every tap contributes, added up at its places."""
    n, h, w, o = y.shape
    kh, kw, c, _ = kernel.shape
    columns = y.reshape(-1, o) @ kernel.transpose(3, 0, 1, 2).reshape(o, -1)
    columns = columns.reshape(n, h, w, kh, kw, c).transpose(0, 1, 3, 2, 4, 5)
    rows = _add_axis(columns.reshape(n, h, kh, w * kw * c), strides[0])
    length = rows.shape[1]
    full = _add_axis(rows.reshape(n * length, w, kw, c), strides[1])
    return _cut(full.reshape(n, length, -1, c), padding, size)


def _add_axis(x, stride: int):
    """(M, positions, taps, C) -> (M, length, C): overlap-add along one axis."""
    m, positions, taps, c = x.shape
    blocks = -(-taps // stride)
    x = jnp.pad(x, [(0, 0), (0, 0), (0, blocks * stride - taps), (0, 0)])
    x = x.reshape(m, positions, blocks, stride * c)
    total: Any = sum(
        jnp.pad(x[:, :, b], [(0, 0), (b, blocks - 1 - b), (0, 0)]) for b in range(blocks)
    )
    return total.reshape(m, (positions + blocks - 1) * stride, c)


def _cut(x, start: Pair, size: Pair):
    """Cuts (N, H, W, C) to ``size`` from ``start`` on, with zeros where it ends before."""
    x = x[:, start[0] : start[0] + size[0], start[1] : start[1] + size[1]]
    return jnp.pad(
        x, [(0, 0), (0, size[0] - x.shape[1]), (0, size[1] - x.shape[2]), (0, 0)]
    )


def _parts(count: int, *arrays):
    """How many parts of ``count`` samples there are, and a function from a part's number to it.

    One part where ``count`` does not divide the batch. A part takes samples at equal distances: of
    each device's own, in a program that XLA splits over devices.
    """
    n = len(arrays[0])
    if n <= count or n % count:
        count = n
    apart = [a.reshape(count, n // count, *a.shape[1:]) for a in arrays]
    return n // count, lambda i: [lax.dynamic_index_in_dim(a, i, 1, keepdims=False) for a in apart]


def _sum_of_parts(function, count: int, *arrays):
    """The sum of ``function`` over parts of a batch."""
    number, part = _parts(count, *arrays)
    if number == 1:
        return function(*arrays)
    result = jax.eval_shape(lambda: function(*part(0)))
    empty = jnp.zeros(result.shape, jnp.promote_types(result.dtype, jnp.float32))
    total = lax.fori_loop(0, number, lambda i, total: total + function(*part(i)), empty)
    return total.astype(result.dtype)


def _in_parts(function, count: int, x):
    """``function``, which maps every sample to one, of a part of the batch after another."""
    number, part = _parts(count, x)
    if number == 1:
        return function(x)
    shape = jax.eval_shape(lambda: function(*part(0)))
    empty = jnp.zeros((shape.shape[0], number, *shape.shape[1:]), shape.dtype)
    result = lax.fori_loop(
        0, number,
        lambda i, result: lax.dynamic_update_index_in_dim(result, function(*part(i)), i, 1), empty,
    )
    return result.reshape(len(x), *shape.shape[1:])
