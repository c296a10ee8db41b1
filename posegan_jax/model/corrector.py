"""The corrector: what is seen of a window, straight to the output, without a latent code between.

Shown what the generator says of a window, it tells, for every joint and frame, how far to go from
that to what it says itself. One that is shown nothing completes windows: the benchmark's regressor.

It mixes over frames and features, see ``mixing``; as that, it is trained on devices and runs on
hosts that may have none.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from posegan_jax.geometry.camera import picture
from posegan_jax.model.mixing import (
    Params,
    blocks_init,
    dense,
    dense_init,
    fill_linearly,
    mix,
    norm,
    norm_init,
)
from posegan_jax.model.options import CorrectorOptions, NetworkOptions
from posegan_jax.pose.skeleton import get_skeleton

SURE = 0.05
"""Deviation, in body sizes, of a joint that counts for half."""
FIRST_SHARE = 1 / 3
"""Part of the way that an untrained gate goes."""


@dataclasses.dataclass(frozen=True)
class Corrector:
    """The module; as of Flax's, its parameters are apart, in {'params': ...}.

    Attributes:
      frames, joints, coordinates: F, J and C of the windows.
      detected: indices of the joints that may be seen, D of them; of a depth nothing is.
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
        seen, out = len(self.detected) * 2, self.joints * self.coordinates

        params = {
            "embed": dense_init(next(keys), seen + len(self.detected), width),
            "blocks": blocks_init(keys, frames, width, self.options.blocks),
            "norm": norm_init(width),
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
            [embed["kernel"], jnp.zeros((self.joints * 2, width))]
        )
        bias = jnp.full(self.joints, np.log(FIRST_SHARE / (1 - FIRST_SHARE)))
        gate = {"kernel": jnp.zeros((width, self.joints)), "bias": bias}
        return {**params, "embed": {**embed, "kernel": kernel}, "gate": gate}

    def apply(self, variables: dict[str, Params], x, weight, generated=None):
        """Completes windows, or corrects them.

        Args:
          variables: {'params': ...} as of ``init``.
          x: (N, F, J, 2) normalised by what is seen; missing joints may hold anything finite.
          weight: (N, F, J) 0: missing, up to 1: exact. Of joints that are not among the detected
            ones it does not count.
          generated: (N, F, J, 2) what the networks say of these windows, for one that corrects.

        Returns:
          (N, F, J, C). A depth is its own word alone.
        """
        params, xp = variables["params"], x.__array_namespace__()
        filled = fill_linearly(x, weight)
        at = xp.asarray(self.detected)
        seen = xp.reshape(filled[:, :, at], (*x.shape[:2], -1))
        features = [seen, weight[:, :, at]]
        if self.options.corrects:  # what is observed of a joint moves what is generated of it
            generated = generated + fill_linearly(x - generated, weight)
            features.append(xp.reshape(generated, (*x.shape[:2], -1)))
        h = dense(params["embed"], xp.concat(features, axis=-1))
        h = norm(params["norm"], mix(params["blocks"], h))
        out = dense(params["out"], h) + seen @ params["straight"]["kernel"]
        out = xp.reshape(out, (*x.shape[:3], self.coordinates))
        result = filled + picture(out)
        if not self.options.corrects:
            return self._deep(result, out)
        gate = 0.5 * (1.0 + xp.tanh(0.5 * dense(params["gate"], h)))  # a sigmoid
        return self._deep(generated + gate[..., None] * (result - generated), out)

    def _deep(self, x, out):
        """(N, F, J, C): x (N, F, J, 2) with the depth of ``out`` where there is one."""
        xp = x.__array_namespace__()
        return x if self.coordinates == 2 else xp.concat([x, out[..., 2:]], axis=-1)


def certainty(deviation):
    """What a joint counts whose place is known to so many body sizes, as a standard deviation."""
    return 1.0 / (1.0 + (deviation / SURE) ** 2)
