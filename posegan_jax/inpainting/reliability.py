"""How far the observations of a track can be relied on."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from posegan_jax.geometry.body import body_size, pose_size
from posegan_jax.inpainting.evidence import evidence
from posegan_jax.inpainting.noise import few, noise_level, roughness, spikes
from posegan_jax.inpainting.residual import ROUGHNESS, ResidualModel, trust
from posegan_jax.inpainting.settings import Observed
from posegan_jax.pose.median import median
from posegan_jax.runtime import cpus

REFINE_NOISE = 0.02
"""Detector noise that 'refine' supposes at least, in body sizes: a twenty-fifth of a head. More
would smooth motion away with the jitter."""
LEAST_CONFIDENCE = 0.1
"""Weight of the least certain joint against those of median score. It is not 0: what a detector is
unsure of is still the best that is known of that joint."""
STRAY = 3.0
"""Distance from the middle of a person, against the median joint's, at which a joint is left out
of a first look: it is likely someone else's. Much less would leave out outstretched limbs."""
ELSEWHERE = 1.5
"""Distance, in body sizes, from where the others place it, at which a stray is no outstretched
limb: three heads. A limb of which nothing is seen is off by less than one in the mean."""
FEWEST = 6
"""Joints in a frame under which none of them is called stray: the median of few is no middle."""
REJECT = 0.25
"""Trust under which an observation is a hole in the search. Trust is that low where the error is
1.7 times that at which half of the weight is lost."""


@dataclasses.dataclass(frozen=True)
class Reliability:
    """What is known of the errors of a track's observations.

    Attributes:
      noise: (T, J) standard deviation per coordinate of the detector's error, pixels; 0: exact.
      trust: (T, J) from 0 (not where the joint is) to 1.
      proof: (T, J) from 0 to 1 (proven), how far their own path shows that they are wrong.
      precision: weight of the observations in the search against its prior: inverse to the
        variance of what is no smooth motion in them, 1 for exact ones. (Inverse to its standard
        deviation, the search would follow noise where many joints are missing, too.)
      roughness: standard deviation, in body sizes, of what observations without noise have of it
        none the less, and no hole is to be filled by.
    """

    noise: np.ndarray
    trust: np.ndarray
    proof: np.ndarray
    precision: float = 1.0
    roughness: float = ROUGHNESS

    def __getitem__(self, frames: slice) -> "Reliability":
        """Of some of the frames."""
        return dataclasses.replace(
            self, noise=self.noise[frames], trust=self.trust[frames], proof=self.proof[frames])


class History(NamedTuple):
    """What is known before of the observations of a live track's newest window, T frames.

    Attributes:
      keypoints: (H, J, 2) pixels, NaN where missing, what jitter is measured of; at the rate of the
        video, at about 25 frames per second or more. None: it is not.
      unknown: noise, in body sizes, that is supposed where there is too little to tell from.
      wrong: (T, J) bool, observations that earlier windows took for gross errors.
    """

    keypoints: np.ndarray | None
    unknown: float
    wrong: np.ndarray


def confidence(scores: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(T, J) weights up to 1: scores against the track's median one.

    What a score means differs between detectors; that a low one is worse than a high one does not.

    Args:
      scores: (T, J) the detector's.
      seen: (T, J) bool, what is observed.
    """
    median = np.median(scores[seen]) if seen.any() else 0.0
    if median <= 0:
        return np.ones(scores.shape)
    return np.clip(scores / median, LEAST_CONFIDENCE, 1.0)


def _differ(weights: np.ndarray) -> bool:
    """Whether scores do, of weights of ``confidence``; that of missing joints is the least."""
    return bool(((weights > LEAST_CONFIDENCE) & (weights < 1.0)).any())


def stray(keypoints: np.ndarray) -> np.ndarray:
    """(T, J) bool: joints far from all others of their frame; of keypoints (T, J, 2), NaN missing.
    """
    seen = np.isfinite(keypoints[..., 0])
    enough = seen.sum(-1) >= FEWEST
    result = np.zeros(seen.shape, bool)
    poses = keypoints[enough]
    distance = np.linalg.norm(poses - median(poses, 1), axis=-1)
    result[enough] = distance > STRAY * median(distance, 1)
    return result


def elsewhere(keypoints: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """(T, J) bool: joints that are nowhere near where the others place them.

    Args:
      keypoints: (T, J, 2) pixels, NaN where missing.
      generated: (T, J, 2) what is said without those joints.
    """
    off = np.linalg.norm(keypoints - generated, axis=-1)
    return off > ELSEWHERE * pose_size(generated)[:, None]


def measured(
    keypoints: np.ndarray, generated: np.ndarray, runs: Sequence[slice], step: float = 1.0
) -> tuple[np.ndarray, float]:
    """Size of the body (T,), pixels, NaN where it is not known; and roughness, see there.

    Args: as of ``assess``.
    """
    size = np.full(len(keypoints), np.nan)
    for run in runs:
        size[run] = body_size(generated[run])
    # At low rates motion itself is as rough as jitter and spikes are.
    return size, roughness(keypoints, size) if step <= 1 else 0.0


@cpus.one_thread()
def assess(
    keypoints: np.ndarray, weights: np.ndarray, generated: np.ndarray, runs: Sequence[slice],
    residual: ResidualModel, observed: Observed, step: float = 1.0,
    unknown: float = 0.0,
) -> Reliability:
    """Compares observations with a first look at the motion, and with each other.

    Args:
      keypoints: (T, J, 2) pixels, NaN where missing.
      weights: (T, J) confidence in them, see ``confidence``.
      generated: (T, J, 2) the first look.
      runs: stretches of frames with generated motion.
      residual: moments of the residuals.
      observed: what is to become of observed joints, see ``Inpainter``.
      step: frames of the model per frame of the track.
      unknown: roughness, in body sizes, that is supposed where there is too little to tell from.
    """
    result = Reliability(
        np.zeros(weights.shape), np.ones(weights.shape), np.ones(weights.shape))
    size, rough = measured(keypoints, generated, runs, step)
    known = unknown if np.isnan(rough) or few(keypoints) else rough
    level = 0.0 if observed == "keep" else noise_level(known, _differ(weights))
    if observed == "refine":
        level = max(level, REFINE_NOISE)
    if level == 0:
        result = dataclasses.replace(result, roughness=np.nanmax([rough, known, ROUGHNESS]))
        if step <= 1 and observed != "keep":
            result.trust[spikes(keypoints, size)] = 0.0
        return result
    for run in runs:
        result.noise[run] = level * size[run, None] / weights[run]
        poses = residual.expect(generated[run], size[run], step)
        difference = keypoints[run] - poses
        result.trust[run] = trust(residual, difference, size[run], result.noise[run], step)
    off = np.linalg.norm(keypoints - generated, axis=-1) / size[:, None]
    proof = evidence(keypoints, result.trust, weights, size, off, step)
    precision = ROUGHNESS**2 / (ROUGHNESS**2 + level**2)
    return dataclasses.replace(result, proof=proof, precision=precision)


@cpus.one_thread()
def recall(
    history: History, keypoints: np.ndarray, weights: np.ndarray, generated: np.ndarray,
    runs: Sequence[slice], residual: ResidualModel, observed: Observed, due: int,
) -> Reliability:
    """As ``assess``, of a live track's newest window: by what is known before.

    What a path does next, which tells an error from fast motion, is known as far as the window goes
    on after the frame that is due. Where the window shows the end of what is doubted, its path is
    judged as in whole tracks; elsewhere, and in the newest frame, what is doubted counts as wrong.

    Args:
      history: that.
      keypoints, weights, generated, runs, residual, observed: as of ``assess``.
      due: the frame whose size of the body noise is measured in.
    """
    result = Reliability(
        np.zeros(weights.shape), np.where(history.wrong, 0.0, 1.0), np.ones(weights.shape))
    for run in runs:
        if observed == "keep" or not run.start <= due < run.stop:
            continue
        size, level = body_size(generated[run]), 0.0
        if history.keypoints is not None:
            rough = roughness(
                history.keypoints, np.full(len(history.keypoints), size[due - run.start]))
            level = history.unknown
            if not (np.isnan(rough) or few(history.keypoints)):
                level = noise_level(rough, _differ(weights))
        if observed == "refine":
            level = max(level, REFINE_NOISE)
        result.noise[run] = level * size[:, None] / weights[run]
        if level > 0 and due < run.stop - 1:
            result.proof[run] = _shown(
                keypoints[run], weights[run], generated[run], size, result[run], residual)
    return result


def _shown(
    keypoints: np.ndarray, weights: np.ndarray, generated: np.ndarray, size: np.ndarray,
    known: Reliability, residual: ResidualModel,
) -> np.ndarray:
    """(T, J) proof of what is doubted in the window of a live track, of whose noise and gross
    errors is known what earlier windows told."""
    wrong = known.trust < REJECT
    difference = keypoints - residual.expect(generated, size)
    difference[wrong] = np.nan
    doubt = np.where(wrong, 0.0, trust(residual, difference, size, known.noise))
    off = np.linalg.norm(keypoints - generated, axis=-1) / size[:, None]
    return evidence(keypoints, doubt, weights, size, off, live=True)
