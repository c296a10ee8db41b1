"""What a detector makes of a person: simulated errors with the statistics of real ones.

State-of-the-art detectors err alike (G. Moon et al., PoseFix, CVPR 2019, after M. Ronchi and
P. Perona, ICCV 2017). How far a joint is off is measured by its keypoint similarity

    KS = exp(-d^2 / (2 area (2 sigma)^2)),

d pixels from the truth, area of the person's box, sigma of the joint as in COCO. Frequencies are
PoseFix's for people of whom more than ten joints are visible. That work treats single pictures;
here every error lasts for a geometric number of frames, and within it the displacement drifts.
"""

import dataclasses
import enum
from collections.abc import Sequence

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.geometry.body import over_a_second
from posegan_jax.pose.skeleton import DETECTED_12, Skeleton


class ErrorKind(enum.IntEnum):
    """What befell a detected joint in a frame, told by where it was put.

    GOOD: KS over .85 to the truth. JITTER: .50 to .85. MISS: .10 to .50. INVERSION: near the same
    joint of the other side, and not near its own. SWAP: near the same joint of another person.
    """

    GOOD = 0
    JITTER = 1
    MISS = 2
    INVERSION = 3
    SWAP = 4


SIGMAS = {
    "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062, "hip": 0.107, "knee": 0.087, "ankle": 0.089,
}
"""COCO's standard deviations of annotators, in units of the square root of the area."""

# Shares of frames with each error, in the order of ErrorKind from JITTER on.
FREQUENCIES = {
    "shoulder": (0.15, 0.05, 0.03, 0.06), "elbow": (0.15, 0.10, 0.03, 0.06),
    "wrist": (0.15, 0.10, 0.03, 0.06), "hip": (0.20, 0.10, 0.06, 0.03),
    "knee": (0.10, 0.10, 0.06, 0.03), "ankle": (0.10, 0.05, 0.06, 0.03),
}
DURATIONS = (16.0, 6.0, 6.0, 6.0, 6.0)
"""Mean number of frames that a state lasts, in the order of ErrorKind."""

# KS at the least and the greatest distance from where the joint is put (the truth, or the joint
# that it is taken for).
_RANGES = ((1.0, 0.85), (0.85, 0.50), (0.50, 0.10), (1.0, 0.50), (1.0, 0.50))

DRIFT = 0.95
"""Correlation of the displacement from one frame to the next, but for what is white in it."""
WHITE = 0.12
"""Standard deviation of the white part of the displacement, as a share of the whole. With it the
frame-to-frame noise is .005 to .015 of a person's height (real tracks of AlphaPose: .004 to .02),
and the mean acceleration error .6 of the mean error."""


@dataclasses.dataclass(frozen=True)
class Detection:
    """What the simulated detector delivers for one person.

    Attributes:
      keypoints: (T, J, 2) pixels; NaN at the joints that no detector has.
      scores: (T, J) in [0, 1], loosely correlated with the error; 0 at those joints.
      kinds: (T, J) uint8 of ``ErrorKind``.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    kinds: np.ndarray


def detect(
    truth: np.ndarray, skeleton: Skeleton, rng: np.random.Generator,
    detected: Sequence[str] = DETECTED_12,
) -> Detection:
    """Simulates a detector.

    Each joint goes through states of its own (good, jitter, miss, swap), a left and a right joint
    through inversions together, as both are mistaken at once. In a state the joint keeps to a
    direction and distance that drift. The other person, for swaps, is the same one mirrored and
    played backwards, half a height to one and a half to the side.

    Scores tell a little: they fall with the distance from the joint that was taken for the right
    one, so that inversions and swaps look as sure as good detections, and are noisy.

    Args:
      truth: (T, J, 2) pixels, complete.
      skeleton: names the J joints.
      rng: seeded generator; the same one gives the same errors.
      detected: names of the K joints that the detector delivers.

    Raises:
      InputError: the skeleton lacks one of them, or it is not known how detectors err in it.
    """
    joints = [skeleton.index(name) for name in detected]
    parts = [name.partition("_")[2] for name in detected]
    unknown = [name for name, part in zip(detected, parts, strict=True) if part not in SIGMAS]
    if unknown:
        raise InputError(
            f"how detectors err is not known of {', '.join(unknown)}, only of {', '.join(SIGMAS)}"
        )
    frequencies = np.array([FREQUENCIES[part] for part in parts])
    unit = _unit(truth, parts)
    mirrored = ((i, name.replace("left_", "right_", 1)) for i, name in enumerate(detected))
    pairs = [(i, detected.index(n)) for i, n in mirrored if n in detected and n != detected[i]]
    kinds = _states(len(truth), frequencies, pairs, rng)
    here, mirrored = truth[:, joints], truth[:, [skeleton.mirror[j] for j in joints]]
    other = _other_person(truth, skeleton, rng)[:, joints]
    target = np.where((kinds == ErrorKind.INVERSION)[..., None], mirrored, here)
    target = np.where((kinds == ErrorKind.SWAP)[..., None], other, target)
    drift = _drift(kinds.shape, rng)
    found = target + _displacement(drift, kinds, unit)

    distance = np.linalg.norm(found - target, axis=-1)
    scores = 0.2 + 0.65 * similarity(distance, unit) + rng.normal(0.0, 0.12, kinds.shape)
    # A joint that its mirror image or the other person's lies close to was not put wrong.
    own = similarity(np.linalg.norm(found - here, axis=-1), unit)
    near = np.where(own > 0.85, ErrorKind.GOOD, ErrorKind.JITTER)
    kinds = np.where((kinds >= ErrorKind.INVERSION) & (own > 0.5), near, kinds)

    result = Detection(
        np.full(truth.shape, np.nan), np.zeros(truth.shape[:2]),
        np.zeros(truth.shape[:2], np.uint8),
    )
    result.keypoints[:, joints], result.kinds[:, joints] = found, kinds
    result.scores[:, joints] = np.clip(scores, 0.02, 1.0)
    return result


def similarity(distance: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """KS at a distance in pixels; ``unit`` is 2 sigma sqrt(area), of the same shape."""
    return np.exp(-0.5 * (distance / unit) ** 2)


def _unit(truth: np.ndarray, parts: list[str]) -> np.ndarray:
    """(T, K) 2 sigma sqrt(area) of the person's box, averaged over a second."""
    side = over_a_second(np.sqrt(np.ptp(truth, axis=1).prod(axis=-1)))
    return np.maximum(2 * side[:, None] * [SIGMAS[part] for part in parts], 1e-6)


def _states(
    length: int, frequencies: np.ndarray, pairs: Sequence[tuple[int, int]],
    rng: np.random.Generator,
) -> np.ndarray:
    """(T, K) of ErrorKind; in the long run every kind takes its share of the frames.

    Inversions befall ``pairs`` alone, the left and the right joint of each together.
    """
    inversion = frequencies[:, ErrorKind.INVERSION - 1]
    shares = np.zeros((len(frequencies), len(ErrorKind)))
    shares[:, 1:] = frequencies / (1 - inversion)[:, None]  # of the frames without an inversion
    shares[:, ErrorKind.INVERSION] = 0.0
    shares[:, 0] = 1 - shares[:, 1:].sum(axis=1)
    states = _episodes(length, shares, np.array(DURATIONS), rng)
    if not pairs:
        return states
    left, right = np.array(pairs).T
    shares = np.stack([1 - inversion[left], inversion[left]], axis=1)
    lasting = DURATIONS[ErrorKind.INVERSION]
    # The pauses are as long as the share demands: those of a process with two states.
    pauses = lasting * (shares[:, 0] / shares[:, 1]).mean()
    inverted = _episodes(length, shares, np.array([pauses, lasting]), rng) == 1
    for side in (left, right):
        states[:, side] = np.where(inverted, ErrorKind.INVERSION, states[:, side])
    return states


def _episodes(
    length: int, shares: np.ndarray, durations: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """(T, K) states of K renewal processes: geometric durations, then a new state is drawn.

    Args:
      length: T.
      shares: (K, S) of the time spent in every state.
      durations: (S,) mean frames of an episode.
      rng: generator.
    """
    draws = shares / durations
    draws = np.cumsum(draws / draws.sum(axis=1, keepdims=True), axis=1)[:, :-1]
    start = np.cumsum(shares, axis=1)[:, :-1]
    states = np.empty((length, len(shares)), int)
    for t in range(length):
        table = start if t == 0 else draws
        fresh = (rng.random((len(shares), 1)) > table).sum(axis=1)
        ends = rng.random(len(shares))
        states[t] = fresh
        if t:
            states[t] = np.where(ends < 1 / durations[states[t - 1]], fresh, states[t - 1])
    return states


def _drift(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """(T, K, 2) standard Gaussians: a part that changes slowly, and a white one."""
    steps = rng.normal(size=(*shape, 2))
    slow = np.empty_like(steps)
    slow[:1] = steps[:1]
    for t in range(1, shape[0]):
        slow[t] = DRIFT * slow[t - 1] + np.sqrt(1 - DRIFT**2) * steps[t]
    return np.sqrt(1 - WHITE**2) * slow + WHITE * rng.normal(size=steps.shape)


def _displacement(drift: np.ndarray, kinds: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """(T, K, 2) pixels: in the drift's direction, at distances uniform in the kind's range."""
    near, far = np.sqrt(-2 * np.log(np.array(_RANGES))).T
    length = np.linalg.norm(drift, axis=-1)
    share = 1 - np.exp(-0.5 * length**2)  # uniform in [0, 1]: a standard Gaussian's is Rayleigh
    distance = (near[kinds] + share * (far - near)[kinds]) * unit
    return drift * (distance / np.maximum(length, 1e-12))[..., None]


def _other_person(
    truth: np.ndarray, skeleton: Skeleton, rng: np.random.Generator
) -> np.ndarray:
    """(T, J, 2) someone beside: the same motion mirrored and backwards."""
    center = truth.mean(axis=1, keepdims=True)
    relative = skeleton.mirror_keypoints((truth - center)[::-1])
    height = np.ptp(truth[..., 1], axis=1).mean()
    side = rng.uniform(0.5, 1.5) * rng.choice([-1.0, 1.0]) * height
    return center + relative + np.array([side, 0.0])
