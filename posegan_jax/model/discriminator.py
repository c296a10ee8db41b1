"""The critic, D: motion window -> score (L. Mourot, 2019, table 1b and section 4.5)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from posegan_jax.model.arrange import Rows, speeds, to_rows
from posegan_jax.model.conv import Lowering
from posegan_jax.model.layers import Trunk
from posegan_jax.model.options import FinalActivation, Normalization


class Discriminator(nn.Module):
    """(N, F, J, C) -> (N,) scores; higher means more like real motion.

    The speed of every joint is concatenated to its position, so that motion that is too smooth or
    too sharp can be rejected.

    Attributes:
      rows: the skeleton's rows (``Skeleton.rows``).
      normalization: 'batch' as printed, or 'layer' / 'none', under which the gradient penalty is
        a per-sample quantity as the WGAN-GP paper (Gulrajani et al., 2017) asks.
      final_activation: 'linear', or 'sigmoid' as printed.
      last_speed: see ``arrange.speeds``.
      lowering, dtype: see ``model.conv``.
      batch_axis: see ``layers.Normalize``.
    """

    rows: Rows
    normalization: Normalization = "layer"
    final_activation: FinalActivation = "linear"
    last_speed: str = "repeat"
    lowering: Lowering = "auto"
    dtype: jnp.dtype = jnp.float32
    batch_axis: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        x = to_rows(x, self.rows)
        x = jnp.concatenate([x, speeds(x, self.last_speed)], axis=-1)
        trunk = Trunk(
            1, self.normalization, self.final_activation, self.lowering, self.dtype,
            self.batch_axis,
        )
        return trunk(x, train)[:, 0]
