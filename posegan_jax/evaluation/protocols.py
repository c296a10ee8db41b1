"""Seeded ways in which what is observed differs from the truth.

Each is a function of a clip's true motion and a generator, and the generator's seed is made of the
benchmark's seed, the protocol's name and the clip's number: neither other protocols nor other clips
change what befalls one.
"""

import dataclasses
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from posegan_jax.evaluation.noise import ErrorKind, detect
from posegan_jax.pose.rate import MODEL_FPS
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import DETECTED_12, Skeleton

GAP_EVERY = 60
"""Frames of a clip from one gap to the next."""
EXACT = 1e-6
"""Pixels off the truth within which an observation is exact."""


@dataclasses.dataclass(frozen=True)
class Case:
    """What a method is given, and what it is measured by.

    Attributes:
      truth: (T, J, 2) pixels.
      keypoints: (T, J, 2) what was observed, NaN where missing.
      scores: (T, J) in [0, 1], 0 where missing.
      kinds: (T, J) uint8 of ``ErrorKind`` for simulated detections, else 0.
      skeleton: names the J joints.
      fps: frames per second.
      detected: (J,) bool, the joints that a detector delivers; no other is ever observed.
      spans: (T, B) pixels, where they are known: bones' lengths if they were not foreshortened.
      kind: of motion, where it is known, e.g. 'walk'.
      name: of the clip, where it has one.
    """

    truth: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    kinds: np.ndarray
    skeleton: Skeleton
    fps: float
    detected: np.ndarray
    spans: np.ndarray | None = None
    kind: str = ""
    name: str = ""

    @property
    def sequence(self) -> PoseSequence:
        """What a method is given; it does not hold the truth."""
        return PoseSequence(self.keypoints, self.scores, self.fps, self.skeleton.name)

    @property
    def observed(self) -> np.ndarray:
        """(T, J) bool."""
        return np.isfinite(self.keypoints[..., 0])

    @property
    def changed(self) -> np.ndarray:
        """(T, J) bool, joints that are not observed as they are."""
        return ~(np.abs(self.keypoints - self.truth) < EXACT).all(axis=-1)

    def groups(self) -> dict[str, np.ndarray]:
        """(T, J) bool masks: 'observed' and 'missing' detected joints, and 'upsampled' others."""
        observed = self.observed
        whole = np.broadcast_to(self.detected, observed.shape)
        return {"observed": observed, "missing": whole & ~observed, "upsampled": ~whole}


Hide = Callable[[np.ndarray, Skeleton, np.ndarray, np.random.Generator], np.ndarray]
"""Truth (T, J, 2), skeleton, detected joints (J,), generator -> (T, J) or (J,) bool, True where
nothing is observed."""


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What hides joints, whether a detector's errors are added, and both in words."""

    text: str
    hide: tuple[Hide, ...] = ()
    noisy: bool = False


def make_case(
    name: str, truth: np.ndarray, skeleton: Skeleton, seed: int, number: int,
    fps: float = MODEL_FPS, spans: np.ndarray | None = None,
    detected: Sequence[str] = DETECTED_12, kind: str = "",
) -> Case:
    """What is observed of a clip or window under a protocol.

    Args:
      name: of ``PROTOCOLS``.
      truth: (T, J, 2) pixels, complete.
      skeleton: names the J joints.
      seed: of the benchmark.
      number: of the clip in it.
      fps: frames per second of the clip.
      spans: (T, B) of its bones, if known, see ``clips.View``.
      detected: names of the joints that the detector delivers.
      kind: of motion.

    Raises:
      InputError: see ``noise.detect``.
    """
    protocol = PROTOCOLS[name]
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
    mask = skeleton.mask(detected)
    if protocol.noisy:
        found = detect(truth, skeleton, rng, detected)
        keypoints, scores, kinds = found.keypoints, found.scores, found.kinds
    else:
        keypoints = np.where(mask[:, None], truth, np.nan)
        scores = np.broadcast_to(mask * 1.0, truth.shape[:2]).copy()
        kinds = np.full(truth.shape[:2], ErrorKind.GOOD, np.uint8)
    for hide in protocol.hide:
        hidden = np.broadcast_to(hide(truth, skeleton, mask, rng), scores.shape)
        keypoints[hidden], scores[hidden], kinds[hidden] = np.nan, 0.0, ErrorKind.GOOD
    return Case(truth, keypoints, scores, kinds, skeleton, fps, mask, spans, kind)


# --- what hides joints ----------------------------------------------------------------------------


def _holes(rate: float) -> Hide:
    return lambda truth, skeleton, detected, rng: rng.random(truth.shape[:2]) < rate


def _parts(*parts: str, sides: int = 2) -> Hide:
    """These joints of both sides, or of one that is drawn, in every frame."""

    def hide(truth, skeleton, detected, rng):
        chosen = ("left", "right") if sides == 2 else (rng.choice(["left", "right"]),)
        return skeleton.mask({f"{side}_{part}" for side in chosen for part in parts})

    return hide


def _gap(frames: int) -> Hide:
    """All joints: in the middle of a window; in longer clips at a random place of every 60 frames.

    No gap touches the first or the last frame: before and after there is something to go by.
    """

    def hide(truth, skeleton, detected, rng):
        length = len(truth)
        long = min(frames, length - 2)
        if length <= GAP_EVERY:
            begins = [(length - long) // 2]
        else:
            # At least 12 frames are seen between two gaps.
            spare = GAP_EVERY - long - 12
            begins = np.arange(6, length - spare - long - 6, GAP_EVERY)
            begins = begins + rng.integers(spare + 1, size=len(begins))
        time = np.arange(length)
        inside = [(time >= first) & (time < first + long) for first in begins]
        return np.any(inside, axis=0)[:, None]

    return hide


def _crop(truth, skeleton, detected, rng):
    """Beyond a line across the picture, parallel to one of its edges.

    The line is drawn until 10 to 60 % of the detected joints are hidden and at least two are seen
    in every frame; the lower edge is drawn twice as often as the others, as people stand on the
    ground. Where no line is good, knees and ankles are hidden.
    """
    low, high = truth.min(axis=(0, 1)), truth.max(axis=(0, 1))
    for _ in range(100):
        axis, sign = ((1, 1), (1, 1), (1, -1), (0, 1), (0, -1))[rng.integers(5)]
        line = low[axis] + rng.random() * (high - low)[axis]
        hidden = sign * (truth[..., axis] - line) > 0
        share = hidden[:, detected].mean()
        if 0.1 <= share <= 0.6 and (~hidden[:, detected]).sum(axis=1).min() >= 2:
            return hidden
    return _parts("knee", "ankle")(truth, skeleton, detected, rng)


PROTOCOLS = {
    "clean": Protocol("the detected joints, all of them, exact"),
    **{
        f"holes{rate}": Protocol(
            f"{rate} % of them missing at random, each joint and frame on its own",
            (_holes(rate / 100),),
        )
        for rate in (10, 20, 40, 60)
    },
    "arm": Protocol("elbow and wrist of one side never seen", (_parts("elbow", "wrist", sides=1),)),
    "leg": Protocol("knee and ankle of one side never seen", (_parts("knee", "ankle", sides=1),)),
    "legs": Protocol("hips seen, knees and ankles never", (_parts("knee", "ankle"),)),
    "lower": Protocol("hips, knees and ankles never seen", (_parts("hip", "knee", "ankle"),)),
    **{
        f"gap{frames}": Protocol(
            f"all joints missing for {frames} frames: in the middle of a window, in every "
            f"{GAP_EVERY} frames of a clip",
            (_gap(frames),),
        )
        for frames in (5, 10, 20)
    },
    "crop": Protocol("everything beyond a line across the picture missing", (_crop,)),
    "noise": Protocol("a detector's jitter, misses, inversions and swaps", noisy=True),
    "wild": Protocol(
        "a detector's errors, 20 % missing at random, gaps of 10 frames, and a crop",
        (_holes(0.2), _gap(10), _crop), noisy=True,
    ),
    "all": Protocol(
        "a detector's errors, 40 % missing at random, gaps of 20 frames, a crop, and elbow and "
        "wrist of one side never seen",
        (_holes(0.4), _gap(20), _crop, _parts("elbow", "wrist", sides=1)), noisy=True,
    ),
}
