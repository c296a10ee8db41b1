"""The generator, G: z -> motion window (L. Mourot, 2019, table 1a)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from posegan_jax.model.arrange import Rows, from_rows
from posegan_jax.model.conv import Lowering
from posegan_jax.model.layers import Conv, ConvTranspose, Normalize, stages

DEPTH = 4.0
"""Largest depth of a joint: seen from above, a body is several times deeper than it is wide."""


class Generator(nn.Module):
    """(N, latent) -> (N, F, J, C) in [-1, 1], and its depth, if there is one, in [-4, 4].

    Its transposed convolutions are the exact adjoints of the discriminator's convolutions, in
    reverse; every one is followed by batch norm and ReLU, the last 1x1 convolution by tanh.

    Attributes:
      rows: the skeleton's rows (``Skeleton.rows``).
      frames: F, a multiple of 8.
      coordinates: C, 2 for image coordinates, 3 with the depth.
      lowering, dtype: see ``model.conv``; parameters are always float32.
      batch_axis: see ``layers.Normalize``.
    """

    rows: Rows
    frames: int = 24
    coordinates: int = 2
    lowering: Lowering = "auto"
    dtype: jnp.dtype = jnp.float32
    batch_axis: str | None = None

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = False) -> jax.Array:
        def activate(h):
            return nn.relu(Normalize("batch", self.dtype, self.batch_axis)(h, train))

        plan = stages(self.frames, len(self.rows))
        x = z[:, None, None, :]
        x = activate(Conv(256, lowering=self.lowering, dtype=self.dtype)(x))
        widths = [256] + [stage.features for stage in plan[-3::-1]] + [32]
        for stage, features in zip(reversed(plan), widths, strict=True):
            x = activate(
                ConvTranspose(
                    features, stage.kernel, stage.strides, stage.padding, stage.size,
                    self.lowering, self.dtype,
                )(x)
            )
        x = Conv(2 * self.coordinates, lowering=self.lowering, dtype=self.dtype)(x)
        return from_rows(bounded(x.astype(jnp.float32), self.coordinates), self.rows)


def bounded(x: jax.Array, coordinates: int) -> jax.Array:
    """Into the range of windows, (..., C), or joints of C ``coordinates`` one after the other."""
    if coordinates == 2:
        return jnp.tanh(x)
    reach = jnp.array([1.0, 1.0, DEPTH] * (x.shape[-1] // coordinates))
    return reach * jnp.tanh(x / reach)
