"""Which of a detector's confident joints came out elsewhere."""

import dataclasses

import numpy as np

from posegan_jax.geometry.body import HEAD
from posegan_jax.pose.carry import carry_joints
from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

FAR = 0.5
"""Heads from where it was seen at which a joint has been moved far: what PCKh calls an error."""


@dataclasses.dataclass(frozen=True)
class Moved:
    """Confident joints, and those of them that were moved by more than ``FAR`` heads.

    A joint is confident if a detector saw it, with no lower score than the median of the person's.

    Attributes:
      confident: number of confident joints.
      frames: (M,) frame number of each joint that was moved, in order of time.
      joints: (M,) their names.
      heads: (M,) how far, in head sizes.
    """

    confident: int
    frames: np.ndarray
    joints: tuple[str, ...]
    heads: np.ndarray

    def __len__(self) -> int:
        """Number of joints that were moved."""
        return len(self.frames)

    @classmethod
    def of(cls, before: PoseSequence, after: PoseSequence) -> "Moved":
        """What became of a track; joints that the result lacks are not counted as moved."""
        own, other = get_skeleton(before.skeleton), get_skeleton(after.skeleton)
        sure = before.observed & (before.provenance == Provenance.OBSERVED)
        if sure.any():
            sure &= before.scores >= np.median(before.scores[sure])
        _, rows, to = np.intersect1d(before.frames, after.frames, return_indices=True)
        places = carry_joints(after.keypoints[to], other, own, np.nan)
        away = np.linalg.norm(places - before.keypoints[rows], axis=-1)
        away /= np.maximum(_heads(after)[to, None], 1e-6)
        far = sure[rows] & (away > FAR)
        t, k = np.nonzero(far)
        return cls(
            int(sure.sum()), before.frames[rows[t]], tuple(own.joints[i] for i in k), away[t, k]
        )


def _heads(sequence: PoseSequence) -> np.ndarray:
    """(T,) pixels of a head: ``HEAD`` body sizes of the joints from shoulders to ankles there are.

    NaN, and so no joint is far, in frames without two of them.
    """
    skeleton = get_skeleton(sequence.skeleton)
    poses = sequence.keypoints[:, skeleton.mask(DETECTED_12)]
    seen = np.isfinite(poses)
    count = np.maximum(seen.sum(1, keepdims=True), 1)
    middle = np.where(seen, poses, 0.0).sum(1, keepdims=True) / count
    square = np.where(seen, (poses - middle) ** 2, 0.0).sum(axis=(1, 2)) / count[:, 0, 0]
    return np.where(seen[..., 0].sum(1) > 1, HEAD * np.sqrt(square), np.nan)
