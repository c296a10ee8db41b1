"""A track on the model's skeleton: what was observed, what is generated, what is delivered."""

import dataclasses
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from posegan_jax.geometry.body import HEAD, pose_size
from posegan_jax.inpainting.upright import turn
from posegan_jax.pose.carry import carry_joints, following, on_skeleton
from posegan_jax.pose.median import median
from posegan_jax.pose.sequence import PoseSequence, Provenance, completed
from posegan_jax.pose.skeleton import DETECTED_12, FOLLOWING, Skeleton, get_skeleton

ALIKE = 5
"""Observations of a joint in a row whose median tells where it is beside what it follows from."""


@dataclasses.dataclass(frozen=True)
class Track:
    """A sequence without absent frames, on the model's skeleton.

    Attributes:
      keypoints: (T, J, 2) pixels, NaN where missing.
      scores: (T, J).
      input_mask: (T, J) bool, observed joints that the networks may look at.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    input_mask: np.ndarray

    @classmethod
    def from_sequence(
        cls, sequence: PoseSequence, skeleton: Skeleton, inputs: Collection[str] = DETECTED_12
    ) -> "Track":
        """Joints by name, without those that the skeleton lacks; networks may see ``inputs``."""
        own = get_skeleton(sequence.skeleton)
        return cls.carried(sequence.keypoints, sequence.scores, own, skeleton, inputs)

    @classmethod
    def carried(
        cls, keypoints: np.ndarray, scores: np.ndarray, own: Skeleton, skeleton: Skeleton,
        inputs: Collection[str],
    ) -> "Track":
        """Of keypoints (T, K, 2) and scores (T, K) of another skeleton, as ``from_sequence``."""
        keypoints = carry_joints(keypoints, own, skeleton, np.nan)
        scores = carry_joints(scores, own, skeleton, 0.0)
        return cls(keypoints, scores, np.isfinite(keypoints[..., 0]) & skeleton.mask(inputs))

    def __getitem__(self, frames: slice) -> "Track":
        """Some of the frames."""
        return Track(self.keypoints[frames], self.scores[frames], self.input_mask[frames])

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def seen(self) -> np.ndarray:
        """(T, J) bool, all observed joints."""
        return np.isfinite(self.keypoints[..., 0])

    def turned(self, angle: float) -> "Track":
        """With its places turned, see ``upright.turn``."""
        return dataclasses.replace(self, keypoints=turn(self.keypoints, angle))

    def exchange(self, crossed: np.ndarray, skeleton: Skeleton) -> "Track":
        """With left and right exchanged where ``crossed`` (T, J), alike on both sides, is."""
        mirror = list(skeleton.mirror)
        keypoints = np.where(crossed[..., None], self.keypoints[:, mirror], self.keypoints)
        scores = np.where(crossed, self.scores[:, mirror], self.scores)
        mask = np.where(crossed, self.input_mask[:, mirror], self.input_mask)
        return Track(keypoints, scores, mask)


class Generated(NamedTuple):
    """Generated motion (T, J, 2) and how far its windows disagree (T, J), both in pixels."""

    motion: np.ndarray
    spread: np.ndarray

    def some(self, frames: slice) -> "Generated":
        """Some of the frames."""
        return Generated(self.motion[frames], self.spread[frames])


@dataclasses.dataclass(frozen=True)
class Completion:
    """A completed track.

    Attributes:
      keypoints: (T, J, 2) pixels.
      scores, provenance: (T, J).
      trust: (T, J) weight from 0 to 1 that observations kept; 1 where nothing was observed.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    provenance: np.ndarray
    trust: np.ndarray

    @classmethod
    def of(cls, track: Track) -> "Completion":
        """What was observed, alone."""
        source = np.where(track.seen, Provenance.OBSERVED, Provenance.UNKNOWN)
        return cls(
            track.keypoints.copy(), track.scores.copy(), source, np.ones(track.scores.shape)
        )

    def blended(self, other: "Completion", share: float) -> "Completion":
        """With a share of its own, and the rest of another completion of the same track, where
        both filled a joint."""
        both = (self.provenance == Provenance.FILLED) & (other.provenance == Provenance.FILLED)
        rest = np.where(both, 1 - share, 0.0)
        return dataclasses.replace(
            self, keypoints=self.keypoints + rest[..., None] * (other.keypoints - self.keypoints),
            scores=self.scores + rest * (other.scores - self.scores),
        )

    def turned(self, angle: float, track: Track) -> "Completion":
        """With its places turned, but for those that are the track's own as observed; itself by 0.
        """
        if not angle:
            return self
        kept = (self.provenance == Provenance.OBSERVED)[..., None]
        keypoints = np.where(kept, track.keypoints, turn(self.keypoints, angle))
        return dataclasses.replace(self, keypoints=keypoints)

    def __getitem__(self, frames: slice) -> "Completion":
        """Some of the frames."""
        return Completion(
            self.keypoints[frames], self.scores[frames], self.provenance[frames],
            self.trust[frames],
        )

    def put(self, frames: slice, part: "Completion") -> None:
        """Sets some of the frames."""
        self.keypoints[frames], self.scores[frames] = part.keypoints, part.scores
        self.provenance[frames], self.trust[frames] = part.provenance, part.trust


def known_runs(track: Track, generated: Generated, reach: int) -> list[slice]:
    """Stretches of frames with generated motion, at most ``reach`` frames from an observation."""
    known = np.isfinite(generated.motion[..., 0]).all(-1)
    away = np.abs(nearest(np.any(track.input_mask, -1)) - np.arange(len(known)))
    return runs(known & (away <= reach))


def nearest(flags: np.ndarray) -> np.ndarray:
    """(T,) the nearest frame whose flag is set; there is at least one."""
    index = np.flatnonzero(flags)
    time = np.arange(len(flags))
    after = np.searchsorted(index, time)
    right = index[np.minimum(after, len(index) - 1)]
    left = index[np.maximum(after - 1, 0)]
    return np.where(np.abs(right - time) < np.abs(time - left), right, left)


def runs(flags: np.ndarray) -> list[slice]:
    """Stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [slice(a, b) for a, b in edges.reshape(-1, 2)]


def deliver(
    dense: PoseSequence, completion: Completion, model: Skeleton, target: Skeleton
) -> PoseSequence:
    """On the target skeleton; joints that the model lacks stay as they were read.

    Those that came refined or filled from an earlier completion do not become observed ones.
    """
    dense = on_skeleton(dense, target.name)
    earlier = np.where(completed(dense.provenance), dense.provenance, Provenance.UNKNOWN)
    if target == model:
        return dense.replace(
            keypoints=completion.keypoints, scores=completion.scores,
            provenance=np.maximum(completion.provenance, earlier), skeleton=target.name,
        )
    keypoints = carry_joints(completion.keypoints, model, target, dense.keypoints)
    scores = carry_joints(completion.scores, model, target, dense.scores)
    provenance = carry_joints(completion.provenance, model, target, dense.provenance)
    for joint, (parts, weights) in following(model, target).items():
        at = target.index(joint)
        place = weights @ completion.keypoints[:, parts]
        holes = np.isnan(keypoints[:, at, 0]) & np.isfinite(place[:, 0])
        if joint in FOLLOWING:  # nearly: else it is by definition where they say
            head = HEAD * pose_size(completion.keypoints)
            place = place + _offset(keypoints[:, at] - place, head)
        keypoints[holes, at] = place[holes]
        scores[holes, at] = completion.scores[holes][:, parts].min(1)
        provenance[holes, at] = Provenance.FILLED
    provenance = np.maximum(provenance, earlier)
    return dense.replace(keypoints=keypoints, scores=scores, provenance=provenance)


def _offset(found: np.ndarray, most: np.ndarray) -> np.ndarray:
    """(T, 2) how far a joint is from where it follows from others.

    Between observations it goes from the median of the last to that of the next ones, so that no
    single miss counts.

    Args:
      found: (T, 2) the same where it is observed, else NaN.
      most: (T,) from which it was missed.
    """
    seen = np.flatnonzero(np.linalg.norm(found, axis=-1) < most)
    if not len(seen):
        return np.zeros_like(found)
    around = np.pad(found[seen], ((ALIKE - 1,) * 2, (0, 0)), constant_values=np.nan)
    spans = np.lib.stride_tricks.sliding_window_view(around, ALIKE, axis=0)
    typical = median(spans, axis=-1)[..., 0]
    before, next_ones = typical[: len(seen)], typical[ALIKE - 1 :]
    time = np.arange(len(found))
    after = np.searchsorted(seen, time)
    left, right = np.maximum(after - 1, 0), np.minimum(after, len(seen) - 1)
    share = (time - seen[left]) / np.maximum(seen[right] - seen[left], 1)
    start = np.where((after > 0)[:, None], before[left], next_ones[right])
    stop = np.where((after < len(seen))[:, None], next_ones[right], before[left])
    return start + np.clip(share, 0, 1)[:, None] * (stop - start)
