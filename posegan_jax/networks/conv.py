"""How a two-dimensional convolution becomes machine code: the one place that decides.

XLA's CPU convolutions are several times slower than the matrix multiplications of the same size
(and slower still inside ``lax.scan``), so on a CPU every convolution is written as
space-to-depth, patches by slicing, one matmul. On other platforms ``lax.conv_general_dilated`` is
the fast path. ``lax.platform_dependent`` picks when the program is lowered, so the same function
compiles for either. Both ways give the same values and gradients to float tolerance.

Layout: activations (N, frames, rows, channels), kernels (frames, rows, in, out). A transposed
convolution is the exact adjoint of the convolution with the same kernel, stride and padding, so its
kernel is stored in the layout of that convolution: (frames, rows, out, in).
"""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

Lowering = Literal["auto", "matmul", "lax"]
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
      lowering: 'matmul', 'lax', or 'auto': matmul on a CPU and lax elsewhere.

    Returns:
      (N, H', W', O) with ``H' = (H + 2 p - kh) // s + 1``.
    """
    return _dispatch(_conv_matmul, _conv_lax, lowering)(x, kernel, strides, padding)


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
    return _dispatch(_transpose_matmul, _transpose_lax, lowering)(
        y, kernel, strides, padding, size
    )


def _dispatch(matmul, native, lowering: Lowering):
    if lowering == "matmul":
        return matmul
    if lowering == "lax":
        return native
    if lowering != "auto":
        raise ValueError(f"lowering must be 'auto', 'matmul' or 'lax', not {lowering!r}")

    def automatic(x, kernel, *static):
        return lax.platform_dependent(
            x,
            kernel,
            cpu=lambda x, kernel: matmul(x, kernel, *static),
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


# --- matmul -------------------------------------------------------------------------------------


def _conv_matmul(x, kernel, strides, padding):
    n = x.shape[0]
    kh, kw, c, o = kernel.shape
    out = [
        output_size(x.shape[1 + a], kernel.shape[a], strides[a], padding[a]) for a in range(2)
    ]
    if (kh, kw) == (1, 1) and tuple(strides) == (1, 1) and tuple(padding) == (0, 0):
        return (x.reshape(-1, c) @ kernel.reshape(c, o)).reshape(n, *out, o)
    blocks = _space_to_depth(x, out, (kh, kw), strides, padding)
    patches, order = _patches(blocks, out, (kh, kw), strides, c)
    weights = kernel.reshape(kh * kw, c, o)
    if order != list(range(kh * kw)):
        weights = weights[jnp.asarray(order)]
    result = patches.reshape(-1, kh * kw * c) @ weights.reshape(kh * kw * c, o)
    return result.reshape(n, *out, o)


def _space_to_depth(x, out: Sequence[int], kernel: Pair, strides: Pair, padding: Pair):
    """(N, H, W, C) -> (N, H/s, s, W/s, s, C), padded so that every window is whole."""
    pads = [(0, 0)]
    blocks = []
    for axis in range(2):
        s, p, size = strides[axis], padding[axis], x.shape[1 + axis]
        count = out[axis] - 1 + -(-kernel[axis] // s)
        high = count * s - size - p
        pads.append((p, max(high, 0)))
        blocks.append(count)
    x = jnp.pad(x, [*pads, (0, 0)])
    x = x[:, : blocks[0] * strides[0], : blocks[1] * strides[1]]
    return x.reshape(x.shape[0], blocks[0], strides[0], blocks[1], strides[1], x.shape[-1])


def _patches(blocks, out: Sequence[int], kernel: Pair, strides: Pair, channels: int):
    """Gathers kernel taps by contiguous slices; returns them with the order of the taps."""
    n = blocks.shape[0]
    pieces, order = [], []
    for bh in range(-(-kernel[0] // strides[0])):
        for bw in range(-(-kernel[1] // strides[1])):
            taps_h = min(strides[0], kernel[0] - bh * strides[0])
            taps_w = min(strides[1], kernel[1] - bw * strides[1])
            piece = blocks[:, bh : bh + out[0], :taps_h, bw : bw + out[1], :taps_w]
            piece = piece.transpose(0, 1, 3, 2, 4, 5)
            pieces.append(piece.reshape(n, *out, taps_h * taps_w * channels))
            order += [
                (bh * strides[0] + h) * kernel[1] + bw * strides[1] + w
                for h in range(taps_h)
                for w in range(taps_w)
            ]
    return jnp.concatenate(pieces, axis=-1), order


def _transpose_matmul(y, kernel, strides, padding, size):
    n, h, w, o = y.shape
    kh, kw, c, _ = kernel.shape
    columns = y.reshape(-1, o) @ kernel.transpose(3, 0, 1, 2).reshape(o, -1)
    columns = columns.reshape(n, h, w, kh, kw, c)
    return _overlap_add(columns, strides, padding, size)


def _overlap_add(columns, strides, padding, size):
    """Adds every tap's contribution at its place: (N, h, w, kh, kw, C) -> (N, H, W, C)."""
    n, h, w, kh, kw, c = columns.shape
    rows = _add_axis(columns.transpose(0, 1, 3, 2, 4, 5).reshape(n, h, kh, -1), strides[0])
    rows = _crop(rows, padding[0], size[0])
    rows = rows.reshape(n * size[0], w, kw, c)
    full = _crop(_add_axis(rows, strides[1]), padding[1], size[1])
    return full.reshape(n, *size, c)


def _add_axis(x, stride: int):
    """(M, positions, taps, C) -> (M, length, C): overlap-add along one axis."""
    m, positions, taps, c = x.shape
    blocks = -(-taps // stride)
    x = jnp.pad(x, [(0, 0), (0, 0), (0, blocks * stride - taps), (0, 0)])
    x = x.reshape(m, positions, blocks, stride * c)
    total = sum(
        jnp.pad(x[:, :, b], [(0, 0), (b, blocks - 1 - b), (0, 0)]) for b in range(blocks)
    )
    return total.reshape(m, (positions + blocks - 1) * stride, c)


def _crop(x, start: int, length: int):
    """Cuts (M, L, C) to [start, start + length), with zeros where L ends before."""
    x = jnp.pad(x, [(0, 0), (0, max(start + length - x.shape[1], 0)), (0, 0)])
    return x[:, start : start + length]
