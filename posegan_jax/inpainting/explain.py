"""From generated motion and observations to the sequence that is delivered."""

import dataclasses
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import maximum_filter1d
from scipy.special import expit

from posegan_jax.geometry.body import HEAD, body_size
from posegan_jax.inpainting.correct import correct
from posegan_jax.inpainting.reliability import REJECT, Observed, Reliability
from posegan_jax.inpainting.residual import ResidualModel, carry
from posegan_jax.model.corrector import Mixer, certainty
from posegan_jax.pose.rate import Rate
from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import DERIVED, DETECTED_12, Skeleton, get_skeleton

REGRESSION, BESIDE = 0.4, 0.3
"""Weight of a linear regression on the twelve joints in the joints that no detector delivers, alone
and after a correction. It errs in other ways than the networks do: on held-out people the mean of
both is off by 4 % (exact twelve joints) to 9 % (holes) less than the networks alone. After a
correction it hardly counts but where the twelve are off: there it is the most robust."""
BRIDGE, BRIDGE_LONGEST, BRIDGE_ENDS = 0.65, 24, 4
"""Gaps of all joints: weight in them of a cubic spline, frames of the model of the longest one that
it has any in, and frames on each side that it goes through. The spline and the model err alike
much, and in other ways: of gaps of 5, 10 and 20 frames the mean is better than either."""
SPREAD = 0.35
"""Weight of the windows' disagreement in a joint's deviation (it explains the error best so)."""
UPSAMPLED = 0.5
"""What is left of the deviation of those joints: the carried residual does not know of it."""
OPEN, ENOUGH, AROUND = 0.0165, 6, 12
"""Few joints leave size, place and turn of the body open: what every joint short of six that are
seen within 12 frames of the model adds to the deviation of those that are not, in body sizes; see
``evaluation.calibration``. Of six on, nothing is left open."""
CONFIDENCE = (-4.27, -2.26)
"""Intercept and slope of the log odds that a joint lies within half a head size of the truth, over
the logarithm of its deviation in head sizes; see ``evaluation.calibration``."""


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
        source, destination, _ = get_skeleton(sequence.skeleton).map_to(skeleton)
        keypoints = np.full((len(sequence), len(skeleton), 2), np.nan)
        scores = np.zeros(keypoints.shape[:2])
        keypoints[:, destination] = sequence.keypoints[:, source]
        scores[:, destination] = sequence.scores[:, source]
        usable = np.array([joint in inputs for joint in skeleton.joints])
        return cls(keypoints, scores, np.isfinite(keypoints[..., 0]) & usable)

    @property
    def seen(self) -> np.ndarray:
        """(T, J) bool, all observed joints."""
        return np.isfinite(self.keypoints[..., 0])

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


@dataclasses.dataclass(frozen=True)
class Completion:
    """A completed track: keypoints (T, J, 2) pixels, scores (T, J), provenance (T, J)."""

    keypoints: np.ndarray
    scores: np.ndarray
    provenance: np.ndarray


def known_runs(track: Track, generated: Generated, reach: int) -> list[slice]:
    """Stretches of frames with generated motion, at most ``reach`` frames from an observation."""
    known = np.isfinite(generated.motion[..., 0]).all(-1)
    away = np.abs(_nearest(track.input_mask.any(-1)) - np.arange(len(known)))
    return _runs(known & (away <= reach))


def complete(
    track: Track, generated: Generated, runs: list[slice], residual: ResidualModel | None,
    reliability: Reliability | None, observed: Observed, rate: Rate,
    mixer: Mixer | None = None,
) -> Completion:
    """Joins generated motion and observations.

    Args:
      track: what was observed.
      generated: what the networks say.
      runs: stretches of frames in which it is used; elsewhere observations are all there is.
      residual: moments of the residual that is carried; None delivers the generated motion alone.
      reliability: of the observations, None without a residual.
      observed: what becomes of observed joints, see ``Inpainter``.
      rate: of the track's frames.
      mixer: corrects the joints that are not observed, if there is one.
    """
    result = Completion(
        track.keypoints.copy(), track.scores.copy(),
        np.where(track.seen, Provenance.OBSERVED, Provenance.UNKNOWN),
    )
    left_open = openness(track.input_mask, round(AROUND / rate.step))
    for run in runs:
        part = Track(track.keypoints[run], track.scores[run], track.input_mask[run])
        rely = reliability and Reliability(reliability.noise[run], reliability.trust[run])
        there = Generated(generated.motion[run], generated.spread[run])
        done = _complete_run(
            part, there, left_open[run], residual, rely, observed, rate, mixer
        )
        result.keypoints[run], result.scores[run] = done.keypoints, done.scores
        result.provenance[run] = done.provenance
    return result


def deliver(
    dense: PoseSequence, completion: Completion, model: Skeleton, target: Skeleton
) -> PoseSequence:
    """On the target skeleton; joints that the model lacks stay as they were read."""
    if target == model:
        return dense.replace(
            keypoints=completion.keypoints, scores=completion.scores,
            provenance=completion.provenance, skeleton=target.name,
        )
    keypoints, scores = dense.keypoints.copy(), dense.scores.copy()
    provenance = dense.provenance.copy()
    here, there, _ = model.map_to(target)
    keypoints[:, there] = completion.keypoints[:, here]
    scores[:, there] = completion.scores[:, here]
    provenance[:, there] = completion.provenance[:, here]
    for joint, parts in DERIVED.items():
        if joint not in target or joint in model:
            continue
        at, ends = target.index(joint), [model.index(part) for part in parts]
        whole = np.isfinite(completion.keypoints[:, ends, 0]).all(-1)
        holes = np.isnan(keypoints[:, at, 0]) & whole
        keypoints[holes, at] = completion.keypoints[holes][:, ends].mean(1)
        scores[holes, at] = completion.scores[holes][:, ends].min(1)
        provenance[holes, at] = Provenance.FILLED
    return dense.replace(keypoints=keypoints, scores=scores, provenance=provenance)


def _complete_run(
    track: Track, generated: Generated, left_open: np.ndarray, residual, reliability: Reliability,
    observed: Observed, rate: Rate, mixer: Mixer | None,
) -> Completion:
    """``complete`` for frames that all have generated poses."""
    seen, poses = track.seen, generated.motion
    size = body_size(poses)
    if residual is None:
        keep = seen & (observed == "keep")
        result, scores = poses.copy(), np.full(seen.shape, 0.5)
    else:
        poses = residual.expect(poses, size, rate.step)
        difference = track.keypoints - poses
        difference[reliability.trust < REJECT] = np.nan
        carried = carry(residual, difference, size, reliability.noise, rate.step)
        keep = seen & (reliability.noise == 0) & (reliability.trust >= REJECT)
        result = poses + carried.mean
        deviation = np.hypot(carried.deviation, SPREAD * generated.spread)
        if mixer:
            sure = seen & (reliability.trust >= REJECT)
            weight = certainty(carried.deviation / size[:, None]) * sure
            result = correct(mixer, result, weight, sure, rate)
        if residual.inputs.any():
            upsampled = ~seen & ~residual.inputs
            linear = residual.regress(result, size)
            share = BESIDE if mixer else REGRESSION
            result[upsampled] += share * (linear - result)[upsampled]
            deviation[upsampled] *= UPSAMPLED
        deviation = np.hypot(deviation, left_open * size[:, None])
        scores = joint_confidence(deviation, HEAD * size)
    moved = seen & ~keep
    result[keep], scores[keep] = track.keypoints[keep], track.scores[keep]
    if residual is not None:  # from the observations themselves, where they are exact
        _bridge(result, seen.any(-1), rate.step)
    provenance = np.full(seen.shape, Provenance.FILLED)
    provenance[keep], provenance[moved] = Provenance.OBSERVED, Provenance.REFINED
    return Completion(result, scores, provenance)


def _bridge(motion: np.ndarray, seen: np.ndarray, step: float) -> None:
    """Moves frames (T, J, 2) of gaps, in which nothing is seen, towards a spline over the gap."""
    for gap in _runs(~seen):
        around = np.arange(gap.start - BRIDGE_ENDS, gap.stop + BRIDGE_ENDS)
        knots = np.delete(around, np.arange(BRIDGE_ENDS, len(around) - BRIDGE_ENDS))
        long = step * (gap.stop - gap.start) > BRIDGE_LONGEST
        if long or knots[0] < 0 or knots[-1] >= len(motion):
            continue
        spline = CubicSpline(knots, motion[knots], bc_type="natural")
        inside = np.arange(gap.start, gap.stop)
        motion[inside] += BRIDGE * (spline(inside) - motion[inside])


def joint_confidence(deviation: np.ndarray, head: np.ndarray) -> np.ndarray:
    """(T, J) probability that a joint lies within half a head size of the truth.

    A logistic curve over the estimated deviation, since errors have longer tails than a Gaussian.
    """
    relative = np.maximum(deviation / head[:, None], 1e-6)
    return expit(CONFIDENCE[0] + CONFIDENCE[1] * np.log(relative))


def openness(seen: np.ndarray, around: int) -> np.ndarray:
    """What few joints leave open of the others, as a standard deviation per coordinate.

    Args:
      seen: (T, J) bool, observed joints; at least one.
      around: frames on each side that count.

    Returns:
      (T, J) in body sizes, by what is seen around the nearest frame of which anything is; 0 for the
      joints that are, and where they are enough.
    """
    shown = maximum_filter1d(seen.astype(np.uint8), 2 * around + 1, axis=0) > 0
    shown = shown[_nearest(seen.any(-1))]
    short = np.maximum(ENOUGH - shown.sum(axis=-1, keepdims=True), 0)
    return OPEN * short * ~shown


def _nearest(flags: np.ndarray) -> np.ndarray:
    """(T,) the nearest frame whose flag is set; there is at least one."""
    index = np.flatnonzero(flags)
    time = np.arange(len(flags))
    after = np.searchsorted(index, time)
    right = index[np.minimum(after, len(index) - 1)]
    left = index[np.maximum(after - 1, 0)]
    return np.where(np.abs(right - time) < np.abs(time - left), right, left)


def _runs(flags: np.ndarray) -> list[slice]:
    """Stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [slice(a, b) for a, b in edges.reshape(-1, 2)]
