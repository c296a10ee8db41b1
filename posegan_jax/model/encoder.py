"""The encoder, E: observed motion window -> z (L. Mourot, 2019, table 1c and section 4.6)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from posegan_jax.geometry.camera import picture
from posegan_jax.model.arrange import Rows, to_rows
from posegan_jax.model.conv import Lowering
from posegan_jax.model.layers import Trunk
from posegan_jax.model.options import FinalActivation


class Encoder(nn.Module):
    """(N, F, J, C) and mask (N, F, J) -> (N, latent).

    It sees the picture: of windows with a depth x and y alone, as nobody observes it. The mask
    (1 = observed, 0 = missing) is a third coordinate of every joint; the coordinates of missing
    joints are set to zero here, whatever they hold (NaN included).

    Attributes:
      rows: the skeleton's rows (``Skeleton.rows``).
      latent: dimension of z.
      final_activation: 'linear', or 'sigmoid' as printed.
      lowering, dtype: see ``model.conv``.
      batch_axis: see ``layers.Normalize``.
    """

    rows: Rows
    latent: int = 128
    final_activation: FinalActivation = "linear"
    lowering: Lowering = "auto"
    dtype: jnp.dtype = jnp.float32
    batch_axis: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array, train: bool = False) -> jax.Array:
        mask = mask.astype(jnp.float32)[..., None]
        x = jnp.concatenate([jnp.where(mask > 0, picture(x), 0.0), mask], axis=-1)
        trunk = Trunk(
            self.latent, "batch", self.final_activation, self.lowering, self.dtype, self.batch_axis
        )
        return trunk(to_rows(x, self.rows), train)
