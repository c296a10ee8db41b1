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
        similarity = np.array([[_similarity(poses, scores, a, b) for b in here] for a in last])
        if known:
            # Pairs that cannot be one person must not sway the matching of the others.
            similarity[similarity < MIN_SIMILARITY] = 0.0
            for row, column in zip(*linear_sum_assignment(-similarity), strict=True):
                if similarity[row, column] > 0:
                    ids[here[column]] = known[row]
        for detection in here:
            if ids[detection] < 0:
                ids[detection] = count
                count += 1
            people[ids[detection]] = (int(frame), detection)
    return ids


def _similarity(poses: np.ndarray, scores: np.ndarray, a: int, b: int) -> float:
    """Score-weighted OKS of two detections, on the larger one's area."""
    distance = np.sum((poses[a] - poses[b]) ** 2, axis=-1)
    weight = np.where(np.isfinite(distance), np.sqrt(scores[a] * scores[b]), 0.0)
    if weight.sum() <= 0:
        return 0.0
    area = max(_area(poses[a]), _area(poses[b]), 1.0)
    closeness = np.exp(-np.nan_to_num(distance) / (2 * area * (2 * SIGMA) ** 2))
    return float((weight * closeness).sum() / weight.sum())


def _area(pose: np.ndarray) -> float:
    finite = pose[np.isfinite(pose[:, 0])]
    return float(np.prod(np.ptp(finite, axis=0))) if len(finite) else 0.0
