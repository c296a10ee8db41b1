"""What a completion becomes on the skeleton of a file."""

import numpy as np

from posegan_jax.inpainting.track import Completion, deliver
from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import FOLLOWING, get_skeleton

MODEL = get_skeleton("body45")


def completion(frames):
    """Every joint on a line of its own."""
    rng = np.random.default_rng(4)
    keypoints = rng.uniform(100, 900, (1, len(MODEL), 2)) + np.arange(frames)[:, None, None]
    scores = np.broadcast_to(rng.uniform(0.4, 0.9, len(MODEL)), keypoints.shape[:2])
    provenance = np.full(scores.shape, Provenance.FILLED)
    return Completion(keypoints, scores, provenance, scores)


def delivered(keypoints, skeleton, done):
    sequence = PoseSequence(
        keypoints, np.where(np.isnan(keypoints[..., 0]), 0.0, 0.8), 25.0, skeleton
    )
    return deliver(sequence, done, MODEL, get_skeleton(skeleton))


def weighted(done, joint):
    return sum(w * done.keypoints[:, MODEL.index(part)] for part, w in FOLLOWING[joint].items())


def test_what_follows_from_the_models_joints_is_filled_and_what_was_read_stays():
    for skeleton in ("mediapipe33", "mpii16", "body25b"):
        target, done = get_skeleton(skeleton), completion(12)
        there = [joint for joint in target.joints if joint in FOLLOWING]
        assert there
        result = delivered(np.full((12, len(target), 2), np.nan), skeleton, done)
        assert np.isfinite(result.keypoints).all()
        for joint in there:
            at, parts = target.index(joint), [MODEL.index(part) for part in FOLLOWING[joint]]
            np.testing.assert_allclose(result.keypoints[:, at], weighted(done, joint))
            np.testing.assert_array_equal(result.scores[:, at], done.scores[:, parts].min(1))
            assert (result.provenance[:, at] == Provenance.FILLED).all()


def test_a_joint_is_filled_where_its_detector_marks_it():
    """It sees the corner of the mouth ten pixels lower, later twenty, and missed it twice."""
    target, done = get_skeleton("mediapipe33"), completion(30)
    mouth = target.index("left_mouth")
    keypoints = np.full((30, len(target), 2), np.nan)
    place = weighted(done, "left_mouth")
    keypoints[:10, mouth] = place[:10] + [0, 10]
    keypoints[20:, mouth] = place[20:] + [0, 20]
    keypoints[9, mouth] += 40
    keypoints[20, mouth] -= 4000
    result = delivered(keypoints, "mediapipe33", done).keypoints[:, mouth]
    seen = np.isfinite(keypoints[:, mouth, 0])
    np.testing.assert_array_equal(result[seen], keypoints[seen, mouth])
    holes = np.arange(10, 20)  # between the frames 9 and 21
    np.testing.assert_allclose(
        (result - place)[holes], np.stack([0 * holes, 10 + 10 * (holes - 9) / 12], -1), atol=1e-9
    )
