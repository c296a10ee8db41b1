"""Mixing of features over the frames of a window: what correctors and mixing networks share.

An MLP-mixer (I. Tolstikhin et al., MLP-Mixer: an all-MLP architecture for vision, 2021) over the
frames of a window and its features. It is written in the functions that NumPy and JAX share (the
Python array API), since it is trained on devices and runs on hosts that may have none.
"""

from typing import Any

import jax
import jax.numpy as jnp

TINY = 1e-6
KERNEL_INIT = jax.nn.initializers.lecun_normal()

Params = dict[str, Any]


def dense_init(key: jax.Array, inputs: int, outputs: int) -> Params:
    """Parameters of ``dense``."""
    return {"kernel": KERNEL_INIT(key, (inputs, outputs)), "bias": jnp.zeros(outputs)}


def norm_init(width: int) -> Params:
    """Parameters of ``norm``."""
    return {"scale": jnp.ones(width), "bias": jnp.zeros(width)}


def blocks_init(keys, frames: int, width: int, count: int) -> dict[str, Params]:
    """Parameters of ``mix``: so many blocks.

    Args:
      keys: an iterator over PRNG keys, of which every block takes four.
      frames: of a window.
      width: features per frame.
      count: blocks.
    """

    def mlp(inputs: int, hidden: int) -> Params:
        up, down = dense_init(next(keys), inputs, hidden), dense_init(next(keys), hidden, inputs)
        return {"norm": norm_init(width), "up": up, "down": down}

    return {
        str(i): {"time": mlp(frames, 2 * frames), "features": mlp(width, 2 * width)}
        for i in range(count)
    }


def mix(blocks: dict[str, Params], h):
    """(N, F, width) -> (N, F, width): over frames, then over features, block by block."""
    xp = h.__array_namespace__()
    for i in range(len(blocks)):
        block = blocks[str(i)]
        mixed = norm(block["time"]["norm"], h)
        h = h + xp.matrix_transpose(_mlp(block["time"], xp.matrix_transpose(mixed)))
        h = h + _mlp(block["features"], norm(block["features"]["norm"], h))
    return h


def fill_linearly(x, weight):
    """Linear interpolation over time, constant beyond the first and the last observation.

    Args:
      x: (N, F, J, C).
      weight: (N, F, J) 0 where missing.

    Returns:
      (N, F, J, C); zero for joints that are not observed at all.
    """
    xp = x.__array_namespace__()
    frames = x.shape[1]
    time = xp.arange(frames)[None, :, None]
    seen = weight > 0
    before = _running_max(xp.where(seen, time, -1))
    after = frames - 1 - xp.flip(
        _running_max(xp.flip(xp.where(seen, frames - 1 - time, -1), axis=1)), axis=1
    )
    left = xp.where(before >= 0, before, after)
    right = xp.where(after < frames, after, before)
    left, right = (xp.clip(index, 0, frames - 1) for index in (left, right))
    share = (time - left) / xp.maximum(right - left, 1)
    start, stop = (_take(x, index) for index in (left, right))
    filled = start + xp.asarray(share, dtype=x.dtype)[..., None] * (stop - start)
    return xp.where(xp.any(seen, axis=1, keepdims=True)[..., None], filled, xp.zeros_like(x))


def _running_max(x):
    """Along axis 1, by doubling: the array API has no such function."""
    xp, span = x.__array_namespace__(), 1
    while span < x.shape[1]:
        x = xp.concat([x[:, :span], xp.maximum(x[:, span:], x[:, :-span])], axis=1)
        span *= 2
    return x


def _take(x, index):
    xp = x.__array_namespace__()
    return xp.take_along_axis(x, index[..., None], axis=1)


def dense(params, h):
    # As rows: gradients of matmuls over several axes are slow on a CPU.
    xp = h.__array_namespace__()
    rows = xp.reshape(h, (-1, h.shape[-1]))
    return xp.reshape(rows @ params["kernel"] + params["bias"], (*h.shape[:-1], -1))


def _mlp(params, h):
    return dense(params["down"], _gelu(dense(params["up"], h)))


def _gelu(h):
    """By tanh (D. Hendrycks and K. Gimpel, Gaussian error linear units, 2016)."""
    xp = h.__array_namespace__()
    return 0.5 * h * (1.0 + xp.tanh(0.7978845608 * (h + 0.044715 * h * h * h)))


def norm(params, h):
    """Over the features (J. Ba, J. Kiros and G. Hinton, Layer normalization, 2016)."""
    xp = h.__array_namespace__()
    h = h - xp.mean(h, axis=-1, keepdims=True)
    deviation = xp.sqrt(xp.mean(h * h, axis=-1, keepdims=True) + TINY)
    return h / deviation * params["scale"] + params["bias"]
