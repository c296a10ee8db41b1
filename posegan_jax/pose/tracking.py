"""Who is who, for detections without ids: optimal matching from frame to frame.

The detections of a frame are assigned to the people followed so far by the Hungarian method on
object keypoint similarity (COCO's OKS) with each person's last pose, as SORT (Bewley et al., 2016)
does on boxes. Someone unseen for longer than ``max_age`` frames is forgotten.
"""

import numpy as np

SIGMA = 0.1
"""Twice COCO's mean keypoint sigma, for all joints alike: this decides identity, not accuracy."""

MIN_SIMILARITY = 0.15
"""Least mean similarity at which two poses can be one person."""


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
    from scipy.optimize import linear_sum_assignment  # half a second that few files need

    ids = np.full(len(frames), -1)
    people: dict[int, tuple[int, int]] = {}  # id -> last frame, last detection
    count = 0
    for frame in np.unique(frames):
        people = {i: seen for i, seen in people.items() if frame - seen[0] <= max_age}
        here = np.flatnonzero(frames == frame)
        known = list(people)
        last = [people[i][1] for i in known]
        matrix = np.array([similarity(poses, scores, a, here) for a in last])
        if known:
            # Pairs that cannot be one person must not sway the matching of the others.
            matrix[matrix < MIN_SIMILARITY] = 0.0
            for row, column in zip(*linear_sum_assignment(-matrix), strict=True):
                if matrix[row, column] > 0:
                    ids[here[column]] = known[row]
        for detection in here:
            if ids[detection] < 0:
                ids[detection] = count
                count += 1
            people[ids[detection]] = (int(frame), detection)
    return ids


def similarity(poses: np.ndarray, scores: np.ndarray, a: int, others: np.ndarray) -> np.ndarray:
    """Score-weighted OKS of one detection with others, each on the larger one's area.

    Args:
      poses: (N, K, 2) pixels, NaN where missing.
      scores: (N, K) confidences.
      a: index of the one.
      others: (M,) indices.

    Returns:
      (M,) from 0 to 1; 0 where two have no joint in common.
    """
    distance = np.sum((poses[a] - poses[others]) ** 2, axis=-1)
    weight = np.where(np.isfinite(distance), np.sqrt(scores[a] * scores[others]), 0.0)
    area = np.maximum(_area(poses[others]), max(_area(poses[[a]]).item(), 1.0))[:, None]
    closeness = np.exp(-np.nan_to_num(distance) / (2 * area * (2 * SIGMA) ** 2))
    total = weight.sum(-1)
    return (weight * closeness).sum(-1) / np.where(total > 0, total, 1.0)


def _area(poses: np.ndarray) -> np.ndarray:
    """(M, K, 2) -> (M,) area of the box around the joints that are there."""
    there = np.isfinite(poses)
    low = np.where(there, poses, np.inf).min(1)
    high = np.where(there, poses, -np.inf).max(1)
    return np.prod(np.where(there.any(1), high - low, 0.0), axis=-1)
