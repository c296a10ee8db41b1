"""The three networks as mixers: in place of table 1's convolutions along a list of joints.

They take and give what those of ``encoder``, ``generator`` and ``discriminator`` do. Every feature
of a frame sees every joint of it, and no statistics of a batch are needed. They learn windows of
45 joints where convolutions stay at one pose for all (docs/training.md).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from posegan_jax.geometry.camera import picture
from posegan_jax.model.arrange import speeds
from posegan_jax.model.generator import bounded
from posegan_jax.model.layers import KERNEL_INIT, final_activation
from posegan_jax.model.mixing import blocks_init, fill_linearly, mix
from posegan_jax.model.options import FinalActivation


class Mixer(nn.Module):
    """(N, F, width) -> (N, F, width), see ``mixing.mix``."""

    width: int
    blocks: int

    @nn.compact
    def __call__(self, h: jax.Array) -> jax.Array:
        def init(key):
            keys = iter(jax.random.split(key, 4 * self.blocks))
            return blocks_init(keys, h.shape[1], self.width, self.blocks)

        # As what is mixed: else products with float32 would be float32's.
        blocks = jax.tree.map(lambda a: a.astype(h.dtype), self.param("blocks", init))
        return nn.LayerNorm(epsilon=1e-6, dtype=h.dtype)(mix(blocks, h))


class MixerEncoder(nn.Module):
    """(N, F, J, C) and mask (N, F, J) -> (N, latent), of the picture alone as ``Encoder``.

    What is missing is interpolated over time, and said to be missing.

    Attributes:
      latent: dimension of z.
      width, blocks: see ``Mixer``.
      final_activation: 'linear', or 'sigmoid' as printed.
      dtype: of what is mixed; parameters are always float32.
      batch_axis: see ``layers.Normalize``; nothing here needs it.
    """

    latent: int = 128
    width: int = 192
    blocks: int = 3
    final_activation: FinalActivation = "linear"
    dtype: jnp.dtype = jnp.float32
    batch_axis: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array, train: bool = False) -> jax.Array:
        mask = mask.astype(jnp.float32)
        seen = fill_linearly(jnp.where(mask[..., None] > 0, picture(x), 0.0), mask)
        features = jnp.concatenate([seen, mask[..., None]], axis=-1)
        return _told(self, features, self.latent)


class MixerGenerator(nn.Module):
    """(N, latent) -> (N, F, J, C), within the reach of ``Generator``.

    Attributes:
      joints, frames, coordinates: J, F and C.
      width, blocks: see ``Mixer``.
      dtype, batch_axis: as of ``MixerEncoder``.
    """

    joints: int
    frames: int = 24
    coordinates: int = 2
    width: int = 192
    blocks: int = 3
    dtype: jnp.dtype = jnp.float32
    batch_axis: str | None = None

    @nn.compact
    def __call__(self, z: jax.Array, train: bool = False) -> jax.Array:
        h = nn.Dense(self.frames * self.width)(z).astype(self.dtype)
        h = Mixer(self.width, self.blocks)(h.reshape(-1, self.frames, self.width))
        # Small at first: windows reach to 1 only where a body is widest.
        out = nn.Dense(self.joints * self.coordinates, kernel_init=KERNEL_INIT)
        x = out(h.reshape(-1, self.width))
        x = x.astype(jnp.float32)
        return bounded(x.reshape(-1, self.frames, self.joints, self.coordinates), self.coordinates)


class MixerCritic(nn.Module):
    """(N, F, J, C) -> (N,) scores, of positions and speeds as ``Discriminator``.

    Attributes:
      width, blocks: see ``Mixer``.
      final_activation: 'linear', or 'sigmoid' as printed.
      last_speed: see ``arrange.speeds``.
      dtype, batch_axis: as of ``MixerEncoder``.
    """

    width: int = 192
    blocks: int = 3
    final_activation: FinalActivation = "linear"
    last_speed: str = "repeat"
    dtype: jnp.dtype = jnp.float32
    batch_axis: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        features = jnp.concatenate([x, speeds(x, self.last_speed)], axis=-1)
        return _told(self, features, 1)[:, 0]


def _told(of: MixerEncoder | MixerCritic, features: jax.Array, outputs: int) -> jax.Array:
    """(N, F, J, C) -> (N, outputs): every frame embedded, mixed, all frames together; by
    submodules of the module that calls."""
    n, frames = features.shape[:2]
    rows = features.reshape(n * frames, -1).astype(of.dtype)
    h = nn.Dense(of.width, dtype=of.dtype)(rows).reshape(n, frames, of.width)
    h = Mixer(of.width, of.blocks)(h)
    told = nn.Dense(outputs)(h.reshape(n, -1).astype(jnp.float32))
    return final_activation(told, of.final_activation)
