"""Who is who, for detections without ids: optimal matching from frame to frame.

The detections of a frame are assigned to the people followed so far by the Hungarian method on
object keypoint similarity (COCO's OKS) with each person's last pose, as SORT (Bewley et al., 2016)
does on boxes. Poses of which one is larger by ``continuity.LARGER`` are not of one person, wherever
they are. Someone unseen for longer than ``max_age`` frames is forgotten.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from posegan_jax.pose.continuity import LARGER, larger

SIGMA = 0.1
"""Twice COCO's mean keypoint sigma, for all joints alike: this decides identity, not accuracy."""

MIN_SIMILARITY = 0.15
"""Least mean similarity at which two poses can be one person."""

SURE = 0.85
"""Similarity from which two poses are of one size, whatever it is measured by."""

_AT_ONCE = 65536
"""Pairs of poses that are compared together: a crowd must not take all memory."""


class Detections(NamedTuple):
    """Poses and the boxes around their joints.

    Attributes:
      poses: (N, K, 2) pixels, NaN where missing.
      scores: (N, K) confidences; they weigh the joints.
      low: (N, 2) upper left corners, infinite without any joint.
      high: (N, 2) lower right corners, minus infinity there.
      area: (N,) square pixels, at least 1.
    """

    poses: np.ndarray
    scores: np.ndarray
    low: np.ndarray
    high: np.ndarray
    area: np.ndarray


def counted(people: int) -> str:
    """'1 person', '2 people': so many, in words of a note."""
    return f"{people} person" if people == 1 else f"{people} people"


def detections(poses: np.ndarray, scores: np.ndarray) -> Detections:
    """Poses (N, K, 2) in pixels, NaN where missing, and scores (N, K) with their boxes."""
    there = np.isfinite(poses)
    low = np.where(there, poses, np.inf).min(1)
    high = np.where(there, poses, -np.inf).max(1)
    area = np.prod(np.where(there.any(1), high - low, 0.0), axis=-1)
    return Detections(poses, scores, low, high, np.maximum(area, 1.0))


def by_frame(frames: np.ndarray) -> Iterator[np.ndarray]:
    """Indices of the detections of every frame, in order of time and then of the detections."""
    order = np.argsort(frames, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(frames[order])) + 1)


def track(
    frames: np.ndarray, poses: np.ndarray, scores: np.ndarray, max_age: int = 25
) -> np.ndarray:
    """Assigns a person to every detection.

    Args:
      frames: (N,) frame number of each detection, in any order.
      poses: (N, K, 2) pixels, NaN where missing.
      scores: (N, K) confidences; they weigh the joints.
      max_age: frames after which an unseen person is forgotten.

    Returns:
      (N,) ids from 0, in order of first appearance.
    """
    found = detections(poses, scores)
    ids = np.full(len(frames), -1)
    last, count = np.zeros(0, int), 0  # everyone's last detection, who is followed; ids so far
    for here in by_frame(frames):
        last = last[frames[here[:1]] - frames[last] <= max_age]
        # Pairs that cannot be one person must not sway the matching of the others.
        alike = similarity(found, last, here, MIN_SIMILARITY)
        if (doubted := (alike > 0) & (alike < SURE)).any():
            i, j = np.nonzero(doubted)
            alike[i, j] *= larger(poses[last[i]], poses[here[j]]) < LARGER
        known, seen = _matching(alike)
        ids[here[seen]] = ids[last[known]]
        last[known] = here[seen]
        new = np.delete(here, seen)
        ids[new] = count + np.arange(len(new))
        last, count = np.append(last, new), count + len(new)
    return ids


def similarity(found: Detections, a: np.ndarray, b: np.ndarray, least: float) -> np.ndarray:
    """Score-weighted OKS of detections with others, each pair on the larger one's area.

    Args:
      found: all detections.
      a: (A,) indices of some.
      b: (B,) indices of the others.
      least: similarity that counts, above 0.

    Returns:
      (A, B) from ``least`` to 1, and 0 where two are less alike or have no joint in common.
    """
    scale = 2 * (2 * SIGMA) ** 2 * np.maximum(found.area[a][:, None], found.area[b])
    gap = np.maximum(found.low[a][:, None] - found.high[b], found.low[b] - found.high[a][:, None])
    # No two joints are nearer than the boxes: most pairs of a crowd are told apart by these.
    near = np.sum(np.maximum(gap, 0.0) ** 2, axis=-1) <= -1.0001 * np.log(least) * scale
    pairs = np.argwhere(near)
    result = np.zeros(near.shape)
    for start in range(0, len(pairs), _AT_ONCE):
        i, j = pairs[start : start + _AT_ONCE].T
        distance = np.sum((found.poses[a[i]] - found.poses[b[j]]) ** 2, axis=-1)
        weight = np.sqrt(found.scores[a[i]] * found.scores[b[j]])
        weight = np.where(np.isfinite(distance), weight, 0.0)
        closeness = np.exp(-np.nan_to_num(distance) / scale[i, j][:, None])
        total = weight.sum(-1)
        value = (weight * closeness).sum(-1) / np.where(total > 0, total, 1.0)
        result[i, j] = np.where(value >= least, value, 0.0)
    return result


def _matching(matrix: np.ndarray) -> tuple[np.ndarray, ...]:
    """Rows and columns, each at most once, whose sum is the largest; none with a value of 0."""
    pairs = matrix > 0
    if (pairs.sum(0) <= 1).all() and (pairs.sum(1) <= 1).all():
        return np.nonzero(pairs)
    from scipy.optimize import linear_sum_assignment  # half a second that few files need

    rows, columns = linear_sum_assignment(matrix, maximize=True)
    kept = matrix[rows, columns] > 0
    return rows[kept], columns[kept]
