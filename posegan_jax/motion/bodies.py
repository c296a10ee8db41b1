"""Other bodies for the recorded motion: proportions, and where on the body joints are marked.

A few dozen people were recorded, with joints where their centres are. Detectors see everybody, and
mark hips, shoulders, faces, hands and feet where annotators did. Whatever is drawn here is the same
at every frame of a window and the same, mirrored, on both sides of the body.
"""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np

from posegan_jax.geometry.metrics import safe_norm
from posegan_jax.pose.skeleton import Skeleton
from posegan_jax.runtime.options import check_least

SHARE = 0.5
"""Part of an arm's and a leg's deviation by which each of their segments deviates besides."""

# The segments of every part of the body: lines that end in joints of these stems.
_SEGMENTS = {
    "arms": ("elbow", "wrist", "hand thumb index pinky"),
    "legs": ("knee", "ankle", "heel foot toe big_toe small_toe"),
    "trunk": ("spine spine2 spine3 spine4 neck thorax mid_shoulder",),
    "head": ("upper_neck head head_top nose eye ear",),
    "shoulders": ("clavicle shoulder",),
    "hips": ("mid_hip hip",),
}

# Two directions of the bones that carry a mark, each as tip and tail; '*' is the mark's own side,
# '~' the other one. The first leads outwards where that is said of the mark.
_AXES = {
    "shoulder hip": ("*_{stem} ~_{stem}", "neck pelvis"),
    "nose eye ear": ("*_ear ~_ear", "head_top head"),
    "heel big_toe small_toe": ("*_small_toe *_big_toe", "*_big_toe *_heel"),
    "thumb index pinky": ("*_thumb *_pinky", "*_hand *_wrist"),
}
_OUTSIDE = ("shoulder", "hip")


@dataclasses.dataclass(frozen=True)
class BodyOptions:
    """How far bodies differ from those that were recorded; not at all where everything is 0.

    Attributes:
      arms, legs: standard deviation of the logarithm of their length. Hands and feet go along, and
        each segment deviates half as much besides. Paths over the ground grow with the legs.
      trunk, head: of the length from pelvis to neck, and of the head with neck and face.
      shoulders, hips: of their widths.
      marks: millimetres by which hips and shoulders are marked outside the centres of their joints
        on average, and the standard deviation of their marks in every direction.
      points: millimetres, the standard deviation of points of face, feet and hands in every
        direction.
    """

    arms: float = 0.0
    legs: float = 0.0
    trunk: float = 0.0
    head: float = 0.0
    shoulders: float = 0.0
    hips: float = 0.0
    marks: float = 0.0
    points: float = 0.0

    def __post_init__(self):
        """Raises OptionError on deviations below 0."""
        check_least(self, 0, *(field.name for field in dataclasses.fields(self)))

    @property
    def vary(self) -> bool:
        """Whether there are other bodies at all."""
        return any(dataclasses.astuple(self))


def vary_bodies(
    key: jax.Array, motion: jax.Array, skeleton: Skeleton, options: BodyOptions
) -> jax.Array:
    """Gives every window another body.

    Args:
      key: PRNG key.
      motion: (N, F, J, 3) millimetres.
      skeleton: names the J joints. Marks whose bones it does not have stay where they are.
      options: how far bodies differ.

    Returns:
      (N, F, J, 3) millimetres; the motion itself where nothing differs.
    """
    chex.assert_shape(motion, (None, None, len(skeleton), 3))
    if not options.vary:
        return motion
    k_lengths, k_marks = jax.random.split(key)
    return _marked(k_marks, _scaled(k_lengths, motion, skeleton, options), skeleton, options)


# --- proportions ----------------------------------------------------------------------------------


def _scaled(key, motion, skeleton: Skeleton, options: BodyOptions):
    """Every line from a joint's parent to it scaled; children move along with their parents."""
    parts, segments = _deviations(skeleton, options)
    k_parts, k_segments = jax.random.split(key)
    drawn = jax.random.normal(k_parts, (motion.shape[0], len(parts)))
    logs = _mix(drawn, parts.T)
    logs += _mix(jax.random.normal(k_segments, (motion.shape[0], len(segments))), segments.T)
    to_parents, to_roots = _lines(skeleton)
    lines = jnp.exp(logs)[:, None, :, None] * _mix(motion, to_parents, -2)
    # Feet that stand on the ground still do: a body gets as far as its legs are long.
    legs = jnp.exp(options.legs * drawn[:, list(_SEGMENTS).index("legs")])[:, None, None, None]
    root = motion[:, :, skeleton.parents.index(-1), None]
    return _mix(lines, to_roots, -2) + (legs - 1) * (root - root[:, :1])


def _deviations(skeleton: Skeleton, options: BodyOptions) -> tuple[np.ndarray, np.ndarray]:
    """(P, J) and (S, J): the deviations of the line to every joint with its part of the body, and
    with its segment of that."""
    parts, segments = [], []
    for part, stems in _SEGMENTS.items():
        deviation = getattr(options, part)
        ends = [_among(skeleton, stem.split()) * deviation for stem in stems]
        parts.append(np.sum(ends, axis=0))
        segments += [SHARE * end for end in ends] if len(ends) > 1 else []
    return np.array(parts), np.array(segments)


def _among(skeleton: Skeleton, stems: list[str]) -> np.ndarray:
    """(J,) 1 for joints of these stems that have a parent."""
    pairs = zip(skeleton.joints, skeleton.parents, strict=True)
    there = [_stem(j) in stems and p >= 0 for j, p in pairs]
    return np.array(there, np.float32)


def _lines(skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """(J, J) from joints to the lines from their parents, roots as they are, and back."""
    to_parents = np.eye(len(skeleton), dtype=np.float32)
    for parent, child in skeleton.bones():
        to_parents[child, parent] = -1.0
    return to_parents, np.linalg.inv(to_parents).round().astype(np.float32)


# --- marks ----------------------------------------------------------------------------------------


def _marked(key, motion, skeleton: Skeleton, options: BodyOptions):
    """Marks displaced along axes of the bones that carry them; nothing hangs on a mark."""
    stems, sides, marks, axes = _marks(skeleton)
    if not stems:
        return motion
    first, second = (_unit(_mix(motion, axis, -2)) for axis in axes)
    second = _unit(second - (first * second).sum(-1, keepdims=True) * first)
    frames = jnp.stack([first, second, sides[:, None] * jnp.cross(first, second)], axis=-2)
    names = list(dict.fromkeys(stems))
    mean, deviation = np.zeros((2, len(names), 3), np.float32)
    for i, stem in enumerate(names):
        deviation[i] = options.marks if stem in _OUTSIDE else options.points
        mean[i, 0] = options.marks if stem in _OUTSIDE else 0.0
        if stem in skeleton:  # it has no side, and stays in the middle
            deviation[i, 0] = 0.0
    drawn = mean + deviation * jax.random.normal(key, (motion.shape[0], *mean.shape))
    offset = drawn[:, np.array([names.index(stem) for stem in stems])]
    offset = (offset[:, None, ..., None] * frames).sum(-2)
    return motion + _mix(offset, marks.T, -2)


def _marks(skeleton: Skeleton):
    """The stems (M) of joints that are marked, 1 for those of the left or the middle and -1 for
    the right (M,), their places (M, J), and two axes of each (2, M, J)."""
    stems, sides, places, axes = [], [], [], []
    for marked, lines in _AXES.items():
        for i, joint in enumerate(skeleton.joints):
            stem = _stem(joint)
            side, other = ("right", "left") if joint.startswith("right_") else ("left", "right")
            ends = [
                name.format(stem=stem).replace("*", side).replace("~", other)
                for line in lines for name in line.split()
            ]
            if stem not in marked.split() or not all(end in skeleton for end in ends):
                continue
            eye = np.eye(len(skeleton), dtype=np.float32)
            tips, tails = (eye[[skeleton.index(end) for end in ends[k::2]]] for k in (0, 1))
            stems.append(stem)
            sides.append(-1.0 if side == "right" else 1.0)
            places.append(eye[i])
            axes.append(tips - tails)
    shape = (len(stems), 2, len(skeleton))
    sides = np.array(sides, np.float32)
    return stems, sides, np.array(places), np.reshape(axes, shape).swapaxes(0, 1)


def _stem(joint: str) -> str:
    return joint.removeprefix("left_").removeprefix("right_")


def _unit(x):
    return x / jnp.maximum(safe_norm(x), 1e-6)[..., None]


def _mix(x, matrix: np.ndarray, axis: int = -1):
    """The sums over an axis of x that the rows of a matrix say."""
    # Highest precision: a millimetre in a room's width must survive where it is not the default.
    mixed = jnp.tensordot(x, matrix, (axis, 1), precision=jax.lax.Precision.HIGHEST)
    return jnp.moveaxis(mixed, -1, axis)
