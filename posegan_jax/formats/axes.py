"""Which way is up in a file's coordinates, and which two of its axes are the picture.

In pictures y points down. Other programs write tables with y pointing up, or joints in space whose
y or z points up. Where that is clear from how bodies are throughout a file, the axis is
turned over for the model, and back on writing. The signs of it are those of people who stand, sit,
squat or crouch; who lies or does push-ups shows none.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, get_args

import numpy as np

from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton, make_skeleton

Vertical = Literal["y-down", "y-up", "z-up"]
VERTICALS: tuple[str, ...] = get_args(Vertical)

UPWARDS = "Y points up and is turned over"
Z_UPWARDS = "X and Z are read as the picture; Z points up and is turned over"

BELOW_ZERO = "Y is below 0 throughout: it points up and is turned over; --vertical decides"

_LEVELS = {
    "head": ("head_top", "head", "nose", "left_eye", "right_eye", "left_ear", "right_ear"),
    "shoulders": ("left_shoulder", "right_shoulder", "mid_shoulder", "neck"),
    "hips": ("left_hip", "right_hip", "mid_hip", "pelvis"),
    "knees": ("left_knee", "right_knee"),
    "feet": ("left_ankle", "right_ankle", "left_heel", "right_heel"),
}
"""Joints of someone upright, from above to below."""

_HANDS = ("left_wrist", "right_wrist")

_SIGNS = (
    ("head", "shoulders", 0.3, 1.0), ("shoulders", "hips", 0.7, 2.0),
    ("shoulders", "feet", 1.0, 1.0), ("shoulders", "knees", 0.7, 1.0), ("knees", "feet", 0.5, 1.0),
    ("head", "feet", 2.0, 1.0),
)
"""What is above what in whoever stands, sits, squats or crouches: by how much of the body's size
for a sign to be full, and how much it counts. Feet below hips is none: who squats or sits on the
ground has them level."""

_TILT = 0.6
"""Least mean of the signs for someone to be upright one way."""

_ALL = 0.9
"""Share of the frames with someone upright that are so the same way where a file is clear."""

_JUDGED = 0.5
"""Least share of all frames in which someone is upright; in others people lie, or bend over."""

_FEW = 10
"""Frames, in all, that nothing is said of: so few poses may be any."""

_REACH = 0.1
"""Hands so much of the body's size short of the head still bear who stands on them."""

_HOLDS = 0.5
"""Hands that move less than this much of what shoulders do hold on to something."""

_OFTEN = 3
"""So much more often someone must be upright along z than along y, along which people may lie."""

_RIGID = 0.1
"""Bones in space vary less than this in their length over time, relative to it."""

_EXACT = 1e-4
"""Numbers are not compared more exactly: files round them."""

_RIGIDER = 0.7
"""And less than this much of what they vary in the picture."""


def is_turned(
    sequences: Iterable[PoseSequence], vertical: Vertical | None = None, default: bool = False
) -> tuple[bool, list[str]]:
    """Whether y points up in a file, and a note if it does or may do.

    A file is clear only where people are upside down in nine of ten frames of all of them
    together, and do not stand on their hands. Otherwise y points as ``default`` says.

    Args:
      sequences: the people, their places as they are in the file.
      vertical: what the user says.
      default: whether y points up where nobody is upright.
    """
    if vertical is not None:
        return vertical != "y-down", [UPWARDS] if vertical == "y-up" else []
    people = [(s.keypoints, get_skeleton(s.skeleton).joints) for s in sequences]
    tilts = [_upright(*person)[:, 1] for person in people]
    below = sum(int((tilt > 0).sum()) for tilt in tilts)  # heads, as y points down in pictures
    above = sum(int((tilt < 0).sum()) for tilt in tilts)
    judged, frames = below + above, sum(int(np.isfinite(tilt).sum()) for tilt in tilts)
    weak = not judged or judged < _JUDGED * frames
    on_hands = sum(
        int((tilt > 0).sum()) for tilt, person in zip(tilts, people, strict=True)
        if _is_on_hands(*person, tilt > 0)
    )
    if not weak and below >= _ALL * judged and (default or 2 * on_hands <= below):
        return True, [UPWARDS]
    if not weak and above >= below:
        return False, []
    if default:
        return True, [UPWARDS]
    if _is_below_zero(people):
        return True, [BELOW_ZERO]
    if not weak and below < _ALL * judged:
        return False, [
            f"heads are below feet in {below / judged:.0%} of the frames: Y is taken to point "
            "down; --vertical y-up turns it over"
        ]
    if frames < _FEW:
        return False, []
    why = "hardly upright" if weak else "head down or on their hands"
    return False, [f"people are {why}: Y is taken to point down; --vertical y-up turns it over"]


def is_z_up(places: np.ndarray, joints: Sequence[str | None]) -> bool:
    """Whether joints are in space and their z points up.

    Args:
      places: (N, K, 3) x, y, z, NaN where there is none.
      joints: our names of the joints, None for one that is not known.
    """
    if not is_space(places, joints):
        return False
    upright = _upright(places, joints)
    upright = upright[np.isfinite(upright).all(-1)]
    below, above = (upright[:, 2] < 0).sum(), (upright[:, 2] > 0).sum()
    along_y = (upright[:, 1] != 0).sum()
    clear = above >= _ALL * (above + below) and above >= _OFTEN * along_y
    return bool(clear and above > _JUDGED * len(upright))


def is_space(places: np.ndarray, joints: Sequence[str | None]) -> bool:
    """Whether bones are of constant length along x, y and z, and not along x and y alone.

    Args: as of ``is_z_up``.
    """
    with_z, without = spread(places, joints), spread(places[..., :2], joints)
    return with_z < min(_RIGID, _RIGIDER * without)


def is_metric(
    places: np.ndarray, joints: Sequence[str | None], size: tuple[float, float]
) -> bool:
    """Whether bones are of constant length along x, y and z as they are, not as shares.

    Args:
      places, joints: as of ``is_z_up``.
      size: (width, height) of the picture that x and y were shares of, and z of its width.
    """
    as_they_are = spread(places, joints)
    as_shares = spread(places * [size[0], size[1], size[0]][: places.shape[-1]], joints)
    return places.shape[-1] > 2 and as_they_are < min(_RIGID, as_shares / 2) - _EXACT


def spread(places: np.ndarray, joints: Sequence[str | None]) -> float:
    """How much bones vary in their length over time, relative to it: the mean over bones.

    Infinite where no bone is seen in two frames.

    Args:
      places: (N, K, A), NaN where there is none.
      joints: our names of the joints, None for one that is not known.
    """
    bones = _bones(joints)
    lengths = np.linalg.norm(places[:, bones[0]] - places[:, bones[1]], axis=-1)
    seen = np.isfinite(lengths)
    lengths = lengths[:, seen.sum(0) > 1]
    means = np.nanmean(lengths, 0)
    spreads = np.nanstd(lengths, 0)[means > 0] / means[means > 0]
    return float(spreads.mean()) if len(spreads) else np.inf


def _bones(joints: Sequence[str | None]) -> np.ndarray:
    """(2, B) indices of the ends of bones."""
    known = [joint for joint in joints if joint is not None and _has_mirror(joint, joints)]
    skeleton = make_skeleton("", tuple(known))
    pairs = [[joints.index(known[end]) for end in bone] for bone in skeleton.bones()]
    return np.array(pairs, int).reshape(-1, 2).T


def _has_mirror(joint: str, joints: Collection[str | None]) -> bool:
    side, _, stem = joint.partition("_")
    other = {"left": "right", "right": "left"}.get(side)
    return other is None or f"{other}_{stem}" in joints


def _is_on_hands(places: np.ndarray, joints: Sequence[str | None], which: np.ndarray) -> bool:
    """Whether hands are on the ground below someone who is upside down in the picture.

    They are then, all the time, about as low as the head or lower, or mostly so and hold still
    while the shoulders move, as in push-ups that are seen from the front.

    Args:
      places: (N, K, 2), y down, NaN where there is none.
      joints: as of ``is_z_up``.
      which: (N,) the frames in which they are upside down.
    """
    places = places[which]
    hands, head, shoulders = (
        _of(places, joints, names)
        for names in (_HANDS, _LEVELS["head"], _LEVELS["shoulders"])
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        beyond = (hands - head)[:, 1] / _size(_levels(places, joints))[:, 0]
    beyond = beyond[np.isfinite(beyond)]
    if not len(beyond):
        return False
    if (beyond > -_REACH).mean() > _ALL:
        return True
    both = np.isfinite(hands + shoulders).all(-1)
    if not both.any():
        return False
    moved, carried = (np.linalg.norm(part[both].std(0)) for part in (hands, shoulders))
    return bool(np.median(beyond) > 0 and moved < _HOLDS * carried)


def _is_below_zero(people: Sequence[tuple[np.ndarray, Sequence[str]]]) -> bool:
    """Whether nearly all places are below 0 along y alone, which those of a picture are not."""
    places = np.concatenate([p[np.isfinite(p).all(-1)] for p, _ in people] or [np.zeros((0, 2))])
    below = (places < 0).mean(0) if len(places) else np.zeros(2)
    return bool(below[1] > 0.99 and below[0] < 0.5)


def _upright(places: np.ndarray, joints: Sequence[str | None]) -> np.ndarray:
    """(N, A) 1 where numbers along an axis grow from feet to head, -1 where they fall.

    0 where they do neither, or hardly, and NaN in frames that do not tell.
    """
    levels = _levels(places, joints)
    size = _size(levels)
    total, weight = np.zeros(size.shape), np.zeros(size.shape)
    for above, below, full, counts in _SIGNS:
        with np.errstate(invalid="ignore", divide="ignore"):
            sign = np.clip((levels[above] - levels[below]) / (full * size), -1, 1)
        total = total + counts * np.nan_to_num(sign)
        weight = weight + counts * np.isfinite(sign)
    with np.errstate(invalid="ignore", divide="ignore"):
        tilt = total / weight
    upright = np.where(tilt >= _TILT, 1.0, np.where(tilt <= -_TILT, -1.0, 0.0))
    return np.where(np.isfinite(tilt), upright, np.nan)


def _levels(places: np.ndarray, joints: Sequence[str | None]) -> dict[str, np.ndarray]:
    return {level: _of(places, joints, names) for level, names in _LEVELS.items()}


def _size(levels: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N, 1) about the length of the trunk, of what is seen of it, of the legs and of the head."""
    between = (
        ("head", "shoulders", 2.0), ("shoulders", "hips", 1.0), ("hips", "knees", 1.0),
        ("knees", "feet", 1.0), ("head", "feet", 0.33),
    )
    lengths = [k * np.linalg.norm(levels[a] - levels[b], axis=-1) for a, b, k in between]
    return np.fmax.reduce(lengths)[:, None]


def _of(places: np.ndarray, joints: Sequence[str | None], names: Collection[str]) -> np.ndarray:
    """(N, A) mean place of the joints with these names, NaN without any."""
    return _mean(places[:, [i for i, joint in enumerate(joints) if joint in names]])


def _mean(places: np.ndarray) -> np.ndarray:
    """(N, A) mean of (N, K, A) over the joints that are there, NaN without any."""
    there = np.isfinite(places).all(-1, keepdims=True)
    total = np.where(there, places, 0.0).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / there.sum(1)
