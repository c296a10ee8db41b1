"""What the three networks share: sizes, convolution modules, normalisation, the strided trunk.

Table 1 gives kernels and strides for F = 24 frames and R = 18 rows. The kernels that remain are
the same for every size; those that bring the last feature map to one by one follow from F and R.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from posegan_jax.model import conv as lowering_lib
from posegan_jax.model.conv import Lowering, Pair, output_size
from posegan_jax.model.options import FinalActivation, Normalization

LEAKY_SLOPE = 0.2  # DCGAN (Radford et al., 2016); the thesis does not print one.
KERNEL_INIT = nn.initializers.normal(0.02)  # DCGAN.


class Stage(NamedTuple):
    """One convolution of the trunk: from ``size`` (frames, rows) to ``out_size``."""

    kernel: Pair
    strides: Pair
    padding: Pair
    size: Pair
    out_size: Pair
    features: int


def stages(frames: int, rows: int) -> tuple[Stage, ...]:
    """The four convolutions between (frames, rows) and 1 x 1 (table 1b, 1c; reversed in 1a).

    Args:
      frames: window length, a positive multiple of 8.
      rows: number of joint rows, at least 4.

    Raises:
      ValueError: on other sizes.
    """
    if frames < 8 or frames % 8:
        raise ValueError(f"the window length must be a positive multiple of 8, not {frames}")
    if rows < 4:
        raise ValueError(f"the networks need at least 4 joint rows, not {rows}")
    size = (frames, rows)
    result = []
    for kernel, strides, padding, features in (
        ((4, 4), (2, 2), (1, 1), 64),
        ((4, 3), (2, 2), (1, 1), 128),
        ((4, 3), (2, 1), (1, 0), 256),
    ):
        # With few rows (R < 9) the third kernel would not fit; it then covers what there is.
        kernel = (kernel[0], min(kernel[1], size[1] + 2 * padding[1]))
        out_frames, out_rows = map(output_size, size, kernel, strides, padding)
        out = out_frames, out_rows
        result.append(Stage(kernel, strides, padding, size, out, features))
        size = out
    # The last one sees the whole map: 3 x 3 at F = 24, R = 18.
    result.append(Stage(size, (1, 1), (0, 0), size, (1, 1), 256))
    return tuple(result)


class Conv(nn.Module):
    """Bias-free convolution, (N, H, W, C) -> (N, H', W', features)."""

    features: int
    kernel: Pair = (1, 1)
    strides: Pair = (1, 1)
    padding: Pair = (0, 0)
    lowering: Lowering = "auto"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", KERNEL_INIT, shape, jnp.float32)
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        return lowering_lib.conv(x, kernel, self.strides, self.padding, self.lowering)


class ConvTranspose(nn.Module):
    """Bias-free adjoint of ``Conv``, (N, H', W', C) -> (N, *size, features)."""

    features: int
    kernel: Pair
    strides: Pair
    padding: Pair
    size: Pair
    lowering: Lowering = "auto"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.kernel, self.features, x.shape[-1])
        kernel = self.param("kernel", KERNEL_INIT, shape, jnp.float32)
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        return lowering_lib.conv_transpose(
            x, kernel, self.strides, self.padding, self.size, self.lowering
        )


class BatchNorm(nn.Module):
    """Batch norm (Ioffe and Szegedy, 2015) with the variables of Flax's.

    It is one factor and one term for every channel, so that its derivatives need x alone: Flax's
    keeps x less its mean, too, and reads it again.
    """

    dtype: jnp.dtype = jnp.float32
    batch_axis: str | None = None
    momentum: float = 0.99
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        shape = x.shape[-1:]
        running = (
            self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32),
            self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32),
        )
        scale = self.param("scale", nn.initializers.ones, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
        mean, variance = self._moments(x) if train else (statistic.value for statistic in running)
        if train and not self.is_initializing():
            for old, new in zip(running, (mean, variance), strict=True):
                old.value = self.momentum * old.value + (1.0 - self.momentum) * new
        factor = scale * jax.lax.rsqrt(variance + self.epsilon)
        return (x * factor + (bias - mean * factor)).astype(self.dtype)

    def _moments(self, x):
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        axes = tuple(range(x.ndim - 1))
        moments = jnp.stack([x.mean(axes), (x * x).mean(axes)])
        if self.batch_axis is not None and not self.is_initializing():
            moments = jax.lax.pmean(moments, self.batch_axis)
        mean, square = moments
        return mean, jnp.maximum(square - mean * mean, 0.0)


class Normalize(nn.Module):
    """Batch norm as printed, per-sample layer norm as WGAN-GP asks, or nothing.

    Batch and layer norm hold the same parameters (a scale and an offset per channel), so the
    totals of table 1 hold for both.

    Attributes:
      kind: which.
      dtype: of the result.
      batch_axis: name of a mapped axis that the batch is split along; batch norm's statistics are
        then those of all of it.
    """

    kind: Normalization = "batch"
    dtype: jnp.dtype = jnp.float32
    batch_axis: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        if self.kind == "batch":
            return BatchNorm(self.dtype, self.batch_axis)(x, train)
        if self.kind == "layer":
            axes = tuple(range(1, x.ndim))
            return nn.LayerNorm(
                reduction_axes=axes, feature_axes=-1, epsilon=1e-5, dtype=self.dtype
            )(x)
        if self.kind == "none":
            return x
        raise ValueError(f"normalisation must be 'batch', 'layer' or 'none', not {self.kind!r}")


class Trunk(nn.Module):
    """The convolutions that discriminator and encoder share, and their last linear layer.

    (N, F, R, C) -> (N, outputs). 1x1 convolution, three strided ones with normalisation, one over
    the whole remaining map without normalisation or activation, linear with bias.
    """

    outputs: int
    normalization: Normalization = "batch"
    final_activation: FinalActivation = "linear"
    lowering: Lowering = "auto"
    dtype: jnp.dtype = jnp.float32
    batch_axis: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        def activate(h):
            return nn.leaky_relu(h, LEAKY_SLOPE)

        x = activate(Conv(32, lowering=self.lowering, dtype=self.dtype)(x))
        plan = stages(x.shape[1], x.shape[2])
        for index, stage in enumerate(plan):
            x = Conv(
                stage.features, stage.kernel, stage.strides, stage.padding, self.lowering,
                self.dtype,
            )(x)
            if index < len(plan) - 1:
                normalize = Normalize(self.normalization, self.dtype, self.batch_axis)
                x = activate(normalize(x, train))
        x = x.reshape(x.shape[0], -1).astype(jnp.float32)
        x = nn.Dense(self.outputs, kernel_init=KERNEL_INIT)(x)
        return final_activation(x, self.final_activation)


def final_activation(x: jax.Array, kind: FinalActivation) -> jax.Array:
    """The last layer's activation: 'sigmoid' as table 1 prints it, or 'linear'.

    A Wasserstein critic is unbounded and an encoder must match N(0, I), so 'linear' is the default.
    """
    if kind == "sigmoid":
        return nn.sigmoid(x)
    if kind == "linear":
        return x
    raise ValueError(f"final_activation must be 'linear' or 'sigmoid', not {kind!r}")
