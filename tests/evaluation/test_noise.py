"""Simulated detector errors: their frequencies, sizes and durations, and what they leave alone."""

import numpy as np
import pytest

from posegan_jax.evaluation import noise
from posegan_jax.evaluation.noise import ErrorKind, detect, similarity
from posegan_jax.geometry.camera import look_at, project
from posegan_jax.motion.procedural import procedural_clips
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

MPI = get_skeleton("mpi_inf_3dhp")
TWELVE = [MPI.index(name) for name in DETECTED_12]
PARTS = [name.partition("_")[2] for name in DETECTED_12]


def seen(clip, yaw=0.4):
    """(T, 28, 2) pixels."""
    camera = look_at(yaw, 0.1, 5000.0, clip.positions.mean(axis=(0, 1)), 0.0, 1500.0)
    return np.asarray(project(clip.positions, camera)[0], np.float64)


@pytest.fixture(scope="module")
def cases():
    """Truth and detection of twelve clips, eight times each."""
    truths = [seen(clip, yaw) for yaw, clip in enumerate(procedural_clips("train")[:12])]
    return [
        (truth, detect(truth, MPI, np.random.default_rng([seed, i])))
        for seed in range(8) for i, truth in enumerate(truths)
    ]


def stacked(cases, value):
    return np.concatenate([value(truth, found)[:, TWELVE] for truth, found in cases])


def test_every_error_is_as_frequent_as_measured(cases):
    kinds = stacked(cases, lambda truth, found: found.kinds)
    for part in noise.FREQUENCIES:
        here = kinds[:, [p == part for p in PARTS]]
        jitter, miss, inversion, swap = noise.FREQUENCIES[part]
        assert (here == ErrorKind.MISS).mean() == pytest.approx(miss, abs=0.02)
        # Where the mirrored joint or the other person's is close by, it is no such error.
        assert 0 < (here == ErrorKind.INVERSION).mean() < inversion + 0.02
        assert 0.3 * swap < (here == ErrorKind.SWAP).mean() < swap + 0.02
        assert jitter - 0.03 < (here == ErrorKind.JITTER).mean() < jitter + inversion + 0.03


def test_errors_are_as_large_as_their_kind_says(cases):
    def own_similarity(truth, found):
        unit = np.full(truth.shape[:2], np.nan)
        unit[:, TWELVE] = noise._unit(truth, PARTS)
        return similarity(np.linalg.norm(found.keypoints - truth, axis=-1), unit)

    near = stacked(cases, own_similarity)
    kinds = stacked(cases, lambda truth, found: found.kinds)
    ranges = {
        ErrorKind.GOOD: (0.85, 1.0), ErrorKind.JITTER: (0.5, 0.85), ErrorKind.MISS: (0.1, 0.5),
        ErrorKind.INVERSION: (0.0, 0.5), ErrorKind.SWAP: (0.0, 0.5),
    }
    for kind, (low, high) in ranges.items():
        found = near[kinds == kind]
        assert found.min() >= low - 1e-9 and found.max() <= high + 1e-9, kind
    good = near[kinds == ErrorKind.GOOD]
    assert 0.9 < np.median(good) < 0.98


def test_inversions_lie_at_the_other_side_and_come_in_pairs(cases):
    pairs = together = 0
    for truth, found in cases:
        inverted = found.kinds == ErrorKind.INVERSION
        mirrored = truth[:, list(MPI.mirror)]
        own = np.linalg.norm(found.keypoints - truth, axis=-1)[inverted]
        other = np.linalg.norm(found.keypoints - mirrored, axis=-1)[inverted]
        assert (other < own).sum() >= 0.9 * len(own)
        left = inverted[:, TWELVE[::2]]
        pairs += left.sum()
        together += (left & inverted[:, TWELVE[1::2]]).sum()
    assert together > 0.5 * pairs > 0


def test_errors_last_for_several_frames(cases):
    kinds = stacked(cases, lambda truth, found: found.kinds)
    missed = kinds == ErrorKind.MISS
    begins = (missed[1:] & ~missed[:-1]).sum()
    expected = noise.DURATIONS[ErrorKind.MISS]
    assert missed.sum() / begins == pytest.approx(expected, rel=0.25)


def test_the_displacement_drifts_and_jitters(cases):
    error = stacked(cases, lambda truth, found: found.keypoints - truth)
    good = stacked(cases, lambda truth, found: found.kinds) == ErrorKind.GOOD
    steady = good[1:] & good[:-1]
    step = np.linalg.norm(error[1:] - error[:-1], axis=-1)[steady]
    assert 0.1 < np.median(step) / np.median(np.linalg.norm(error, axis=-1)[good]) < 0.7


def test_scores_are_loosely_correlated_with_the_error(cases):
    score = stacked(cases, lambda truth, found: found.scores)
    kinds = stacked(cases, lambda truth, found: found.kinds)
    assert score.min() > 0 and score.max() <= 1
    means = [score[kinds == kind].mean() for kind in ErrorKind]
    assert means[ErrorKind.GOOD] > means[ErrorKind.JITTER] > means[ErrorKind.MISS] + 0.1
    assert means[ErrorKind.SWAP] > means[ErrorKind.MISS] + 0.1  # it looks sure
    # No threshold tells good from bad: the worst good one is under most misses.
    assert np.percentile(score[kinds == ErrorKind.GOOD], 1) < np.percentile(
        score[kinds == ErrorKind.MISS], 90
    )


def test_only_the_twelve_joints_are_delivered_and_the_truth_is_left_alone(cases):
    truth, found = cases[0]
    rest = np.delete(np.arange(28), TWELVE)
    assert np.isnan(found.keypoints[:, rest]).all() and not found.scores[:, rest].any()
    assert np.isfinite(found.keypoints[:, TWELVE]).all() and np.isfinite(truth).all()


def test_the_same_seed_gives_the_same_errors():
    truth = seen(procedural_clips("validation")[0])
    one, two, three = (detect(truth, MPI, np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.keypoints, two.keypoints)
    np.testing.assert_array_equal(one.kinds, two.kinds)
    assert (one.kinds != three.kinds).any()


@pytest.mark.parametrize("frames", [1, 2, 30])
def test_short_tracks(frames):
    truth = seen(procedural_clips("validation")[0])[:frames]
    found = detect(truth, MPI, np.random.default_rng(0))
    assert found.keypoints.shape == truth.shape and np.isfinite(found.keypoints[:, TWELVE]).all()


def test_errors_scale_with_the_person():
    truth = seen(procedural_clips("validation")[0])
    once = detect(truth, MPI, np.random.default_rng(1))
    larger = detect(3 * truth, MPI, np.random.default_rng(1))
    np.testing.assert_allclose(larger.keypoints, 3 * once.keypoints, rtol=1e-9)
