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
from posegan_jax.pose.skeleton import Skeleton, get_skeleton

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

    def grown(
        self, params: Params, other: "Corrector", skeleton: Skeleton, smaller: Skeleton
    ) -> Params:
        """Parameters that begin with those of a corrector of fewer joints.

        Of these it says what that one does, as long as no other joint is seen or generated. What a
        new joint hangs on is what it begins as, and depths are 0.

        Args:
          params: of the other one; both correct, or both complete.
          other: of the same frames, and sizes of its own.
          skeleton: of this one's joints.
          smaller: of the other one's, all of which this one has, seen and unseen alike.
        """
        like = [_ancestor(skeleton, joint, smaller) for joint in range(len(skeleton))]
        new = [joint for joint, old in enumerate(like) if old is not None]
        old = [like[joint] for joint in new]
        own, theirs = self.coordinates, other.coordinates
        at = [self.detected.index(skeleton.index(smaller.joints[k])) for k in other.detected]
        seen = np.concatenate([2 * np.array(at), 2 * np.array(at) + 1])
        from_seen = np.concatenate([np.arange(0, 2 * len(at), 2), np.arange(1, 2 * len(at), 2)])

        def outputs(array):
            """(..., J C) of theirs (..., K C)."""
            result = np.zeros((*array.shape[:-1], len(skeleton), own), np.float32)
            given = np.asarray(array).reshape(*array.shape[:-1], len(smaller), theirs)
            both = min(own, theirs)
            result[..., new, :both] = given[..., old, :both]
            return result.reshape(*array.shape[:-1], -1)

        count, kernel = len(self.detected), np.asarray(params["embed"]["kernel"])
        rows = 3 * count + (2 * len(skeleton) if self.options.corrects else 0)
        embed = np.zeros((rows, kernel.shape[1]), np.float32)
        embed[seen] = kernel[from_seen]
        embed[2 * count + np.array(at)] = kernel[2 * len(at) : 3 * len(at)]
        if self.options.corrects:
            source, destination, _ = smaller.map_to(skeleton)
            for c in range(2):
                embed[3 * count + 2 * destination + c] = kernel[3 * len(at) + 2 * source + c]
        straight = np.zeros((2 * count, len(skeleton) * own), np.float32)
        straight[seen] = outputs(params["straight"]["kernel"])[from_seen]
        result = {
            **params, "embed": {**params["embed"], "kernel": embed},
            "out": {name: outputs(array) for name, array in params["out"].items()},
            "straight": {"kernel": straight},
        }
        if self.options.corrects:
            gate = params["gate"]
            bias = np.full(len(skeleton), np.log(FIRST_SHARE / (1 - FIRST_SHARE)), np.float32)
            kernel = np.zeros((gate["kernel"].shape[0], len(skeleton)), np.float32)
            bias[new], kernel[:, new] = gate["bias"][old], gate["kernel"][:, old]
            result["gate"] = {"kernel": kernel, "bias": bias}
        return result

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


def _ancestor(skeleton: Skeleton, joint: int, smaller: Skeleton) -> int | None:
    """Index in a smaller skeleton of a joint, or of the next one it hangs on that this has."""
    while joint >= 0:
        if skeleton.joints[joint] in smaller:
            return smaller.index(skeleton.joints[joint])
        joint = skeleton.parents[joint]
    return None


def certainty(deviation):
    """What a joint counts whose place is known to so many body sizes, as a standard deviation."""
    return 1.0 / (1.0 + (deviation / SURE) ** 2)
