"""The networks as one bundle, built from typed options that a checkpoint can carry."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from posegan_jax.geometry.camera import picture
from posegan_jax.model.conv import Lowering
from posegan_jax.model.corrector import Corrector
from posegan_jax.model.discriminator import Discriminator
from posegan_jax.model.encoder import Encoder
from posegan_jax.model.generator import Generator
from posegan_jax.model.mixers import MixerCritic, MixerEncoder, MixerGenerator
from posegan_jax.model.options import (
    CORRECTOR,
    NETWORKS,
    CorrectorOptions,
    NetworkOptions,
    Variables,
)
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton


class Network(Protocol):
    """A Linen module, ours or another one that takes and gives the same arrays."""

    def init(self, rngs: Any, /, *inputs: Any) -> Any: ...
    def apply(self, variables: Variables, /, *inputs: Any, **how: Any) -> Any: ...
    def clone(self, **fields: Any) -> Any: ...


class Networks(NamedTuple):
    """The modules (no parameters) and the options that made them.

    ``corrector`` is None where there is none.
    """

    generator: Network
    discriminator: Network
    encoder: Network
    options: NetworkOptions
    corrector: Corrector | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Those that have variables. A corrector that is shown nothing generated stands alone."""
        if self.corrector is None:
            return NETWORKS
        return (*NETWORKS, CORRECTOR) if self.corrector.options.corrects else (CORRECTOR,)

    def over(self, batch_axis: str) -> "Networks":
        """The same, for batches that are split along a mapped axis of this name.

        Modules other than ours need a field ``batch_axis``, too, see ``layers.Normalize``.
        """
        return self._replace(
            generator=self.generator.clone(batch_axis=batch_axis),
            discriminator=self.discriminator.clone(batch_axis=batch_axis),
            encoder=self.encoder.clone(batch_axis=batch_axis),
        )

    def init(self, key: jax.Array) -> dict[str, Variables]:
        """Fresh variables of every network, under ``names``."""
        kg, kd, ke = jax.random.split(key, 3)
        o = self.options
        z = jnp.zeros((1, o.latent))
        x = jnp.zeros((1, o.frames, len(get_skeleton(o.skeleton)), o.coordinates))
        make = {
            "generator": lambda: self.generator.init(kg, z),
            "discriminator": lambda: self.discriminator.init(kd, x),
            "encoder": lambda: self.encoder.init(ke, picture(x), jnp.ones(x.shape[:-1])),
            CORRECTOR: lambda: self.corrector.init(jax.random.fold_in(key, 3)),
        }
        return {name: make[name]() for name in self.names}


def build_networks(
    options: NetworkOptions, lowering: Lowering = "auto", dtype: jnp.dtype = jnp.float32,
    corrector: CorrectorOptions | None = None, detected: Sequence[str] = DETECTED_12,
) -> Networks:
    """Builds generator, discriminator and encoder (table 1 at the default options).

    Args:
      options: of the three.
      lowering, dtype: see ``conv``.
      corrector: options of a corrector, None for none.
      detected: names of the joints that it may see.
    """
    skeleton = get_skeleton(options.skeleton)
    last = Corrector.of(options, detected, corrector) if corrector else None
    if options.layers == "mixers":
        sizes: dict[str, Any] = dict(width=options.width, blocks=options.blocks, dtype=dtype)
        ends: dict[str, Any] = dict(final_activation=options.final_activation, **sizes)
        return Networks(
            MixerGenerator(len(skeleton), options.frames, options.coordinates, **sizes),
            MixerCritic(last_speed=options.last_speed, **ends),
            MixerEncoder(options.latent, **ends),
            options,
            last,
        )
    rows = skeleton.rows
    common: dict[str, Any] = dict(rows=rows, lowering=lowering, dtype=dtype)
    return Networks(
        Generator(frames=options.frames, coordinates=options.coordinates, **common),
        Discriminator(
            normalization=options.critic_normalization,
            final_activation=options.final_activation,
            last_speed=options.last_speed,
            **common,
        ),
        Encoder(latent=options.latent, final_activation=options.final_activation, **common),
        options,
        last,
    )
