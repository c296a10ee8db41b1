"""Which way is up in a file's coordinates, and which two of its axes are the picture.

In pictures y points down. Other programs write tables with y pointing up, or joints in space whose
y or z points up. Where that is clear from where heads and feet are throughout a file, the axis is
turned over for the model, and back on writing.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Literal, get_args

import numpy as np

from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton, make_skeleton

Vertical = Literal["y-down", "y-up", "z-up"]
VERTICALS: tuple[str, ...] = get_args(Vertical)

UPWARDS = "Y points up and is turned over"
Z_UPWARDS = "X and Z are read as the picture; Z points up and is turned over"

_LEVELS = (
    ("head_top", "head", "nose", "left_eye", "right_eye", "left_ear", "right_ear"),
    ("left_shoulder", "right_shoulder", "mid_shoulder", "neck"),
    ("left_hip", "right_hip", "mid_hip", "pelvis"),
    ("left_ankle", "right_ankle", "left_heel", "right_heel", "left_knee", "right_knee"),
)
"""Joints of someone upright, from above to below."""

_TILT = 0.7
"""Least share of the way from feet to head that is along an axis, for someone to be upright so."""

_ALL = 0.9
"""Share of the frames with someone upright that are so the same way where a file is clear."""

_JUDGED = 0.5
"""Least share of all frames in which someone is upright; in others people lie, or bend over."""

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

    People who stand on their head for a while turn nothing over: a file is clear only where heads
    are below feet in nine of ten frames of all people together.

    Args:
      sequences: the people, their places as they are in the file.
      vertical: what the user says.
      default: whether y points up where nobody is upright.
    """
    if vertical is not None:
        return vertical != "y-down", [UPWARDS] if vertical == "y-up" else []
    below, above, frames = 0, 0, 0
    for sequence in sequences:
        upright = _upright(sequence.keypoints, get_skeleton(sequence.skeleton).joints)[:, 1]
        below += int((upright > 0).sum())  # heads, as y points down in pictures
        above += int((upright < 0).sum())
        frames += int(np.isfinite(upright).sum())
    judged = below + above
    if judged < _JUDGED * frames or not judged:
        return default, [UPWARDS] if default else []
    if below >= _ALL * judged or default and below > above:
        return True, [UPWARDS]
    if below > above:
        return False, [
            f"heads are below feet in {below / judged:.0%} of the frames: Y is taken to point "
            "down; --vertical y-up turns it over"
        ]
    return False, []


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


def _upright(places: np.ndarray, joints: Sequence[str | None]) -> np.ndarray:
    """(N, A) 1 where numbers along an axis grow from feet to head, -1 where they fall.

    0 where they do neither, or hardly, and NaN in frames that do not tell.
    """
    levels = [
        _mean(places[:, [i for i, joint in enumerate(joints) if joint in level]])
        for level in _LEVELS
    ]
    first = last = levels[0]
    grow, fall = np.ones(first.shape, bool), np.ones(first.shape, bool)
    for level in levels[1:]:
        grow &= ~(last <= level)  # which NaN is not
        fall &= ~(last >= level)
        first = np.where(np.isfinite(first), first, level)
        last = np.where(np.isfinite(level), level, last)
    length = np.linalg.norm(first - last, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        steep = np.abs(first - last) / length >= _TILT
    upright = np.where(steep & grow, 1.0, np.where(steep & fall, -1.0, 0.0))
    return np.where(length > 0, upright, np.nan)


def _mean(places: np.ndarray) -> np.ndarray:
    """(N, A) mean of (N, K, A) over the joints that are there, NaN without any."""
    there = np.isfinite(places).all(-1, keepdims=True)
    total = np.where(there, places, 0.0).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / there.sum(1)
