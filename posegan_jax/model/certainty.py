"""How sure the model is of joints that are not delivered as they were observed.

A small network tells, of what a completion was made of, the log odds that a joint lies within half
a head size of the truth. It is shown where the parts of the model disagree, how far away a joint's
own observations are, how well the networks explain what is seen at all, and the pose: an arm that
is never seen is the surer the more the others' pose leaves it no choice. A layer beside it, from
the input straight to the output, keeps what is linear. ``evaluation.tune`` fits it, on
devices; hosts that may have none ask it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from posegan_jax.pose.skeleton import Skeleton

OWN = (
    "deviation", "disagreement", "near", "far", "corrected", "regressed", "carried", "doubted",
    "unexplained", "turned", "trunk", "speed", "open", "shown", "other", "aside", "below", "noise",
    "trust", "observed",
)
"""What is said of every joint; see ``inpainting.grounds``."""
WIDTHS = 48, 24
"""Of the two hidden layers."""
LIMIT = 6.0
"""Standard deviations beyond which nothing is said more than at that: what is stranger than
everything it was fitted to should not be what it is surest of."""
AT_ONCE = 500
"""Frames that are told at once, which bounds the memory."""

Params = dict[str, Any]


class Grounds(NamedTuple):
    """What is said of the joints of T frames.

    Attributes:
      own: (T, J, K) of every joint, see ``OWN``.
      pose: (T, 2, P) of every frame: places and motion of the detected joints, and which of them
        are seen; as they are, and left for right.
    """

    own: np.ndarray
    pose: np.ndarray


class Places(NamedTuple):
    """Where a joint of a skeleton stands.

    Attributes:
      kind: (J,) number of the joint's kind, alike for left and right.
      side: (J,) 1 for joints of the right side, of which the pose is seen left for right.
    """

    kind: np.ndarray
    side: np.ndarray

    @classmethod
    def of(cls, skeleton: Skeleton) -> "Places":
        """Of all joints."""
        pairs = [min(pair) for pair in enumerate(skeleton.mirror)]
        kinds = np.unique(pairs, return_inverse=True)[1]
        right = [joint.startswith("right_") for joint in skeleton.joints]
        return cls(kinds, np.asarray(right, np.int64))


def features(detected: Sequence[str]) -> int:
    """P of ``Grounds.pose`` where so many joints are detected: places, motion, and which are
    seen."""
    return 5 * len(detected)


def shapes(skeleton: Skeleton, detected: Sequence[str]) -> Params:
    """Empty parameters for a model's skeleton and the joints that detectors deliver."""
    own, pose, kinds = len(OWN), features(detected), Places.of(skeleton).kind.max() + 1
    first, second = WIDTHS
    sizes = {
        "own_mean": (own,), "own_scale": (own,), "pose_mean": (pose,), "pose_scale": (pose,),
        "own": (own, first), "pose": (pose, first), "kind": (int(kinds), first),
        "hidden": (first, second), "hidden_bias": (second,), "out": (second,),
        "straight": (own,), "straight_kind": (int(kinds),),
    }
    return {name: np.empty(size, np.float32) for name, size in sizes.items()}


def log_odds(params: Params, grounds: Grounds, places: Places) -> np.ndarray:
    """(T, J) log odds of being right.

    Args:
      params: as ``shapes`` says.
      grounds: of T frames.
      places: of the J joints.
    """
    told = np.empty(grounds.own.shape[:2])
    for begin in range(0, len(told), AT_ONCE):
        some = slice(begin, begin + AT_ONCE)
        own = standard(grounds.own[some], params["own_mean"], params["own_scale"])
        pose = standard(grounds.pose[some], params["pose_mean"], params["pose_scale"])
        first = own @ params["own"] + params["kind"][places.kind]
        first += (pose @ params["pose"])[:, places.side]
        told[some] = judged(params, first, own, places.kind)
    return told


def standard(values, mean, scale):
    """Values in standard deviations of what was fitted to."""
    xp = values.__array_namespace__()
    return xp.clip((values - mean) / scale, -LIMIT, LIMIT)


def judged(params: Params, first, own, kind):
    """The log odds (...) from the sums of the first layer (..., H) on.

    In the functions that NumPy and JAX share, since devices fit it.
    """
    hidden = _relu(_relu(first) @ params["hidden"] + params["hidden_bias"])
    return hidden @ params["out"] + own @ params["straight"] + params["straight_kind"][kind]


def _relu(values):
    return values.__array_namespace__().maximum(values, 0.0)
