"""The corrector: what is seen of a window, straight to the output, without a latent code between.

Shown what the generator says of a window, it tells, for every joint and frame, how far to go from
that to what it says itself. One that is shown nothing completes windows: the benchmark's regressor.

An MLP-mixer (I. Tolstikhin et al., MLP-Mixer: an all-MLP architecture for vision, 2021) over the
frames of a window and its features. It is written in the functions that NumPy and JAX share (the
Python array API), since it is trained on devices and runs on hosts that may have none.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from posegan_jax.model.options import CorrectorOptions, NetworkOptions
from posegan_jax.pose.skeleton import get_skeleton

SURE = 0.05
"""Deviation, in body sizes, of a joint that counts for half."""
FIRST_SHARE = 1 / 3
"""Part of the way that an untrained gate goes."""
TINY = 1e-6

Params = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Corrector:
    """The module; as of Flax's, its parameters are apart, in {'params': ...}.

    Attributes:
      frames, joints, coordinates: F, J and C of the windows.
      detected: indices of the joints that may be seen, D of them.
      options: its own sizes, and whether it corrects.
    """

    frames: int
    joints: int
    coordinates: int
    detected: tuple[int, ...]
    options: CorrectorOptions = CorrectorOptions()

    @classmethod
    def of(
        cls, networks: NetworkOptions, detected: Sequence[str], options: CorrectorOptions
    ) -> "Corrector":
        """For the windows of networks, in which joints of these names may be seen."""
        skeleton = get_skeleton(networks.skeleton)
        indices = tuple(skeleton.index(joint) for joint in detected)
        return cls(networks.frames, len(skeleton), networks.coordinates, indices, options)

    def init(self, key: jax.Array) -> dict[str, Params]:
        """Parameters with which the output is what is seen, interpolated, or what is generated and
        a third of the way to that."""
        width, frames = self.options.width, self.frames
        keys = iter(jax.random.split(key, 1 + 4 * self.options.blocks))
        kernel = jax.nn.initializers.lecun_normal()
        seen, out = len(self.detected) * self.coordinates, self.joints * self.coordinates

        def dense(inputs: int, outputs: int) -> Params:
            return {"kernel": kernel(next(keys), (inputs, outputs)), "bias": jnp.zeros(outputs)}

        def mlp(inputs: int, hidden: int) -> Params:
            return {"norm": norm(), "up": dense(inputs, hidden), "down": dense(hidden, inputs)}

        def norm() -> Params:
            return {"scale": jnp.ones(width), "bias": jnp.zeros(width)}

        params = {
            "embed": dense(seen + len(self.detected), width),
            "blocks": {
                str(i): {"time": mlp(frames, 2 * frames), "features": mlp(width, 2 * width)}
                for i in range(self.options.blocks)
            },
            "norm": norm(),
            "out": {"kernel": jnp.zeros((width, out)), "bias": jnp.zeros(out)},
            # Besides, a straight path from the detected joints to all others.
            "straight": {"kernel": jnp.zeros((seen, out))},
        }
        return {"params": self.shown(params) if self.options.corrects else params}

    def shown(self, params: Params) -> Params:
        """Parameters of one that corrects, which start from those of one that only completes."""
        embed = params["embed"]
        width = embed["kernel"].shape[1]
        kernel = jnp.concatenate(
            [embed["kernel"], jnp.zeros((self.joints * self.coordinates, width))]
        )
        bias = jnp.full(self.joints, np.log(FIRST_SHARE / (1 - FIRST_SHARE)))
        gate = {"kernel": jnp.zeros((width, self.joints)), "bias": bias}
        return {**params, "embed": {**embed, "kernel": kernel}, "gate": gate}

    def apply(self, variables: dict[str, Params], x, weight, generated=None):
        """Completes windows, or corrects them.

        Args:
          variables: {'params': ...} as of ``init``.
          x: (N, F, J, C) normalised by what is seen; missing joints may hold anything finite.
          weight: (N, F, J) 0: missing, up to 1: exact. Of joints that are not among the detected
            ones it does not count.
          generated: (N, F, J, C) what the networks say of these windows, for one that corrects.

        Returns:
          (N, F, J, C).
        """
        params, xp = variables["params"], x.__array_namespace__()
        filled = fill_linearly(x, weight)
        at = xp.asarray(self.detected)
        seen = xp.reshape(filled[:, :, at], (*x.shape[:2], -1))
        features = [seen, weight[:, :, at]]
        if self.options.corrects:  # what is observed of a joint moves what is generated of it
            generated = generated + fill_linearly(x - generated, weight)
            features.append(xp.reshape(generated, (*x.shape[:2], -1)))
        h = _dense(params["embed"], xp.concat(features, axis=-1))
        for i in range(self.options.blocks):
            block = params["blocks"][str(i)]
            mixed = _norm(block["time"]["norm"], h)
            h = h + xp.matrix_transpose(_mlp(block["time"], xp.matrix_transpose(mixed)))
            h = h + _mlp(block["features"], _norm(block["features"]["norm"], h))
        h = _norm(params["norm"], h)
        out = _dense(params["out"], h) + seen @ params["straight"]["kernel"]
        result = filled + xp.reshape(out, x.shape)
        if not self.options.corrects:
            return result
        gate = 0.5 * (1.0 + xp.tanh(0.5 * _dense(params["gate"], h)))  # a sigmoid
        return generated + gate[..., None] * (result - generated)


def certainty(deviation):
    """What a joint counts whose place is known to so many body sizes, as a standard deviation."""
    return 1.0 / (1.0 + (deviation / SURE) ** 2)


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


def _dense(params, h):
    # As rows: gradients of matmuls over several axes are slow on a CPU.
    xp = h.__array_namespace__()
    rows = xp.reshape(h, (-1, h.shape[-1]))
    return xp.reshape(rows @ params["kernel"] + params["bias"], (*h.shape[:-1], -1))


def _mlp(params, h):
    return _dense(params["down"], _gelu(_dense(params["up"], h)))


def _gelu(h):
    """By tanh (D. Hendrycks and K. Gimpel, Gaussian error linear units, 2016)."""
    xp = h.__array_namespace__()
    return 0.5 * h * (1.0 + xp.tanh(0.7978845608 * (h + 0.044715 * h * h * h)))


def _norm(params, h):
    """Over the features (J. Ba, J. Kiros and G. Hinton, Layer normalization, 2016)."""
    xp = h.__array_namespace__()
    h = h - xp.mean(h, axis=-1, keepdims=True)
    deviation = xp.sqrt(xp.mean(h * h, axis=-1, keepdims=True) + TINY)
    return h / deviation * params["scale"] + params["bias"]
