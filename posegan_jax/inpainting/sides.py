"""Left and right, exchanged by the detector for a while."""

import numpy as np

from posegan_jax.geometry.body import LEAST, pose_size
from posegan_jax.inpainting.track import runs
from posegan_jax.pose.median import median
from posegan_jax.pose.skeleton import Skeleton, make_skeleton

PULL = 0.02
"""Weight of a joint's distance from the first look against the way it goes from frame to frame. It
is small, since the first look itself is led astray; but it decides where the two sides meet."""
FURTHEST = 1.0
"""That distance, in body sizes, beyond which it tells no more: the joint is somewhere else."""
LEAP = 2.0
"""Way from frame to frame, in body sizes, beyond which it tells no more: an outlier must not take
its partner's name for that, but in acrobatics joints do go as far as 1."""
RELUCTANCE = 0.035
"""Cost, in body sizes, of calling a pair exchanged in a frame: labels are right as a rule.
In 50 clips of exact motion nothing is touched, of inversions of 3 to 15 frames 91 % are found."""
AT_ENDS = 3
"""Frames that an exchange has to last longer than where a pair is first or last seen: there one way
tells of it, where within a track two do."""
LEAPS, FEWEST = 0.12, 3
"""Way of the body from one frame to the next, in body sizes, beside those before and after it, from
which on the next pose is somebody else's, whose joints tell nothing of sides (several times as
hard a start as a sprinter's); and the pairs whose middles tell."""
LONGER = 1.03
"""How many times as long bones may be with a pair exchanged as without."""

ARMS = ("shoulder", "elbow", "wrist")
"""Joints that lengths tell of: legs stand side by side, and some that were exchanged would stay
so."""


def exchanged(
    keypoints: np.ndarray, generated: np.ndarray, skeleton: Skeleton, step: float = 1.0
) -> np.ndarray:
    """Finds pairs of joints whose left one was taken for the right one.

    For every pair by itself the cheapest sequence of straight and crossed labels (Viterbi): joints
    go short ways from frame to frame, and lie where the first look puts them.

    Args:
      keypoints: (T, J, 2) pixels, NaN where missing.
      generated: (T, J, 2) the first look; NaN where there is none.
      skeleton: of the J joints.
      step: frames of the model per frame of the track.

    Returns:
      (T, J) bool, alike for the two joints of a pair.
    """
    pairs = np.array([(j, k) for j, k in enumerate(skeleton.mirror) if j < k])
    result = np.zeros(keypoints.shape[:2], bool)
    straight = keypoints[:, pairs]  # (T, P, 2, 2): frame, pair, side, coordinate
    labels = np.stack([straight, straight[:, :, ::-1]], axis=1)  # (T, 2, P, 2, 2)
    scale = np.maximum(pose_size(generated), LEAST)[:, None, None]
    off = np.linalg.norm(labels - generated[:, pairs][:, None], axis=-1).sum(-1) / scale
    stay = step * PULL * np.minimum(np.nan_to_num(off), 2 * FURTHEST)  # (T, 2, P)
    stay[:, 1] += step * RELUCTANCE
    way = labels[1:, :, None] - labels[:-1, None]  # (T - 1, to, from, P, 2, 2)
    way = np.linalg.norm(way, axis=-1) / scale[1:, None, ..., None]
    way = np.nan_to_num(np.minimum(way, LEAP).sum(-1))
    anew = _leaps(straight.mean(axis=2), scale[:, 0, 0])
    way[anew] = 0.0
    result[:, pairs] = _cheapest(stay, way)[:, :, None] == 1
    for pair in pairs:
        crossed = result[:, pair[0]]
        seen = np.isfinite(keypoints[:, pair, 0]).any(axis=1)
        before = np.concatenate([[False], seen[:-1] & ~anew])
        after = np.concatenate([seen[1:] & ~anew, [False]])
        for run in runs(crossed):
            inside = before[run.start] and after[run.stop - 1]
            if not inside and run.stop - run.start <= AT_ENDS:
                crossed[run] = False
        result[:, pair[1]] = crossed
    return _with_short_bones(keypoints, result, skeleton)


def _leaps(middles: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(T - 1,) bool, whether the body leaps from one frame to the next.

    Args:
      middles: (T, P, 2) of pairs, which an exchange does not move; NaN where one is missing.
      size: (T,) of the body.
    """
    ways = np.diff(middles, axis=0) / size[1:, None, None]
    enough = np.isfinite(ways[..., 0]).sum(axis=1) >= FEWEST
    body = np.zeros((len(ways) + 2, 2))
    body[1:-1][enough] = median(ways[enough], 1)[:, 0]
    beside = np.stack([body[:-2], body[2:]]) - body[1:-1]
    return enough & (np.linalg.norm(beside, axis=-1).min(axis=0) > LEAPS)


def _with_short_bones(
    keypoints: np.ndarray, crossed: np.ndarray, skeleton: Skeleton
) -> np.ndarray:
    """(T, J) what is exchanged, without pairs of ``ARMS`` that are so alone and have longer bones
    for it: to take a joint that is right for the other one crosses its bones over the body."""
    mirror = np.array(skeleton.mirror)
    seen = np.isfinite(keypoints[..., 0]).any(axis=0)
    there = np.flatnonzero(seen | seen[mirror])
    names = tuple(skeleton.joints[j] for j in there)
    bones = there[np.array(make_skeleton("seen", names).bones(), int).reshape(-1, 2)]
    bones = np.concatenate([bones, bones[:, ::-1]])
    exchanged, result = keypoints[:, mirror], crossed.copy()
    for joint in np.flatnonzero(crossed.any(axis=0)):
        pair = (joint, mirror[joint])
        if pair[0] > pair[1] or skeleton.joints[joint].partition("_")[2] not in ARMS:
            continue
        own, next_ = bones[np.isin(bones[:, 0], pair) & ~np.isin(bones[:, 1], pair)].T
        for run in runs(crossed[:, joint]):
            if (crossed[run][:, next_].mean(axis=0) > 0.5).any():
                continue
            with_, without = (
                np.nansum(np.linalg.norm(mine[run][:, own] - keypoints[run][:, next_], axis=-1))
                for mine in (exchanged, keypoints)
            )
            if with_ > LONGER * without:
                result[run, pair[0]] = result[run, pair[1]] = False
    return result


def _cheapest(stay: np.ndarray, go: np.ndarray) -> np.ndarray:
    """Viterbi's algorithm: states (T, P) for costs (T, S, P) of states and (T - 1, S, S, P) of
    going to one (second axis) from another (third)."""
    total = stay[0]
    came = np.zeros((len(stay) - 1, *total.shape), int)
    for t in range(len(go)):
        ways = total + go[t]
        came[t] = ways.argmin(1)
        total = stay[t + 1] + ways.min(1)
    path = np.zeros((len(stay), total.shape[-1]), int)
    path[-1] = total.argmin(0)
    for t in range(len(go) - 1, -1, -1):
        path[t] = np.take_along_axis(came[t], path[None, t + 1], axis=0)[0]
    return path
