"""Labelled video: what is observed of real bodies, whose joints people marked frame by frame.

Only what was marked is scored, in heads of ``labelled_body``. Seeds are as in ``protocols``.
"""

import dataclasses
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.evaluation.labelled_body import TORSO, head_size, trunk, turn
from posegan_jax.evaluation.protocols import PROTOCOLS, Hide
from posegan_jax.motion.labels import LabelledClip
from posegan_jax.pose.rate import UNKNOWN_FPS
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import DETECTED_12, Skeleton

SHORTEST = 24
"""Clips with fewer frames are left out."""
INVERTED = 8
"""Frames for which the sides of the legs are exchanged."""
UPRIGHT = ((0, 30), (30, 60), (60, 120), (120, 180))
"""Turns of the trunk from upright, degrees, that tables tell apart."""
TO_CAMERA = "to the camera"
"""The turn of a trunk that is seen shorter than half of its length: it has none in the picture."""
ASIS, DETECTIONS = "asis", "detections"


@dataclasses.dataclass(frozen=True)
class LabelledCase:
    """What a method is given, and what it is measured by.

    Attributes:
      number: of the clip among the usable ones.
      truth: (T, J, 2) pixels, NaN where nothing was marked.
      guessed: (T, J) bool, marked, but hidden in the picture: the annotator's guess.
      sequence: what a method is given, on the same skeleton.
      counted: (T, J) bool, what is scored; it was marked.
      head: its size, pixels.
      tags: 'name', 'action', 'view' and 'turn' of the clip, '' where not known.
    """

    number: int
    truth: np.ndarray
    guessed: np.ndarray
    sequence: PoseSequence
    counted: np.ndarray
    head: float
    tags: dict[str, str]


def labelled_cases(
    name: str, clips: Sequence[LabelledClip], skeleton: Skeleton, seed: int = 1,
    detected: Sequence[str] = DETECTED_12,
) -> list[LabelledCase]:
    """The clips under a protocol; those of which nothing counts are left out.

    Args:
      name: of ``LABELLED``.
      clips: of ``usable``, from the first one on.
      skeleton: of the model.
      seed: of the benchmark.
      detected: names of the joints that a detector delivers.
    """
    mask, cases = skeleton.mask(detected), []
    for number, clip in enumerate(clips):
        rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
        truth, guessed = place_labels(clip, skeleton, detected)
        keypoints, counted = LABELLED[name].change(truth.copy(), skeleton, mask, rng)
        sequence = PoseSequence(keypoints, None, clip.fps or UNKNOWN_FPS, skeleton.name)
        cases.append(make_labelled(number, clip, truth, guessed, sequence, counted))
    return [case for case in cases if case.counted.any()]


def usable(clips: Sequence[LabelledClip], seed: int = 1) -> list[LabelledClip]:
    """Clips that are long enough and tell the size of a head, of each action in turn.

    Raises:
      InputError: there is none.
    """
    queues: dict[str, list[LabelledClip]] = {}
    for i in np.random.default_rng(seed).permutation(len(clips)):
        clip = clips[i]
        if len(clip.keypoints) >= SHORTEST and np.isfinite(head_size(clip)):
            queues.setdefault(clip.action, []).append(clip)
    if not queues:
        raise InputError(
            f"no labelled clip has {SHORTEST} frames and a trunk, or two other bones, that tell "
            "how large a head is"
        )
    most = max(map(len, queues.values()))
    return [
        queue[i] for i in range(most) for _, queue in sorted(queues.items()) if i < len(queue)
    ]


def place_labels(
    clip: LabelledClip, skeleton: Skeleton, detected: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the detected joints on a skeleton: (T, J, 2) pixels, NaN where nothing was marked,
    and (T, J) bool, what was guessed."""
    shape = len(clip.keypoints), len(skeleton)
    truth, guessed = np.full((*shape, 2), np.nan), np.zeros(shape, bool)
    for i, joint in enumerate(clip.joints):
        if joint in skeleton and joint in detected:
            at = skeleton.index(joint)
            truth[:, at], guessed[:, at] = clip.keypoints[:, i], clip.guessed[:, i]
    return truth, guessed & np.isfinite(truth[..., 0])


def make_labelled(
    number: int, clip: LabelledClip, truth: np.ndarray, guessed: np.ndarray,
    sequence: PoseSequence, counted: np.ndarray,
) -> LabelledCase:
    """A case of which only marked joints count, of the clip's size and tags."""
    size = head_size(clip)
    tags = {
        "name": clip.name, "action": clip.action, "view": clip.view, "turn": _turn(clip, size)
    }
    marked = np.isfinite(truth[..., 0])
    return LabelledCase(number, truth, guessed, sequence, counted & marked, size, tags)


def _turn(clip: LabelledClip, size: float) -> str:
    degrees = turn(clip)
    if degrees is None:
        return ""
    if np.nanmedian(np.linalg.norm(trunk(clip), axis=-1)) < 0.5 * size / TORSO:
        return TO_CAMERA
    return next(f"{low}-{high}" for low, high in UPRIGHT if degrees <= high)


# --- protocols ------------------------------------------------------------------------------------

Change = Callable[
    [np.ndarray, Skeleton, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]
]
"""Truth (T, J, 2), which may be changed, skeleton, detected joints (J,), generator -> what is
observed (T, J, 2), and what counts (T, J)."""


@dataclasses.dataclass(frozen=True)
class LabelledProtocol:
    """What becomes of the labels before a method is given them, in words and as a function."""

    text: str
    change: Change


def _hiding(*hides: Hide) -> Change:
    def change(truth, skeleton, detected, rng):
        hidden = np.zeros(truth.shape[:2], bool)
        for hide in hides:
            hidden |= np.broadcast_to(hide(truth, skeleton, detected, rng), hidden.shape)
        truth[hidden] = np.nan
        return truth, hidden

    return change


def _run(frames: int) -> Change:
    """One ankle or wrist that is marked before, in and after these frames."""

    def change(truth, skeleton, detected, rng):
        marked = np.isfinite(truth[..., 0])
        long = min(frames, len(truth) - 2)
        places = []
        for joint in sorted(skeleton.mask({f"{s}_{p}" for s in ("left", "right")
                                           for p in ("ankle", "wrist")}).nonzero()[0]):
            whole = np.lib.stride_tricks.sliding_window_view(marked[:, joint], long + 2).all(-1)
            places += [(joint, begin + 1) for begin in np.flatnonzero(whole)]
        hidden = np.zeros(marked.shape, bool)
        if places:
            joint, begin = places[rng.integers(len(places))]
            hidden[begin : begin + long, joint] = True
        truth[hidden] = np.nan
        return truth, hidden

    return change


def _inversions(truth, skeleton, detected, rng):
    """Hips, knees and ankles of both sides are exchanged for some frames in the middle third."""
    length = len(truth)
    begin = int(rng.integers(length // 3, max(2 * length // 3 - INVERTED, length // 3) + 1))
    legs = np.flatnonzero(
        skeleton.mask({f"{s}_{p}" for s in ("left", "right") for p in ("hip", "knee", "ankle")})
    )
    changed = np.zeros(truth.shape[:2], bool)
    changed[begin : begin + INVERTED, legs] = True
    mirrored = truth[:, list(skeleton.mirror)]
    truth[changed] = mirrored[changed]
    return truth, changed


def _asis(truth, skeleton, detected, rng):
    return truth, np.ones(truth.shape[:2], bool)


LABELLED = {
    ASIS: LabelledProtocol("nothing hidden, nothing added: what a method makes of labels", _asis),
    **{
        name: LabelledProtocol(PROTOCOLS[name].text, _hiding(*PROTOCOLS[name].hide))
        for name in ("holes40", "gap5", "gap10", "gap20", "arm", "leg", "legs")
    },
    **{
        f"run{frames}": LabelledProtocol(
            f"one ankle or wrist missing for {frames} frames", _run(frames)
        )
        for frames in (5, 10, 20)
    },
    "inversions": LabelledProtocol(
        f"the sides of hips, knees and ankles exchanged for {INVERTED} frames", _inversions
    ),
}
