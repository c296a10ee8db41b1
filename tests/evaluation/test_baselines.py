"""What the model has to beat."""

import numpy as np
import pytest

from posegan_jax.evaluation.baselines import Ridge, complete_by_ridge, interpolate

OBSERVED = np.array([True, False, True, True, False])


def linear_poses(count, seed=0):
    """Poses whose hidden joints are linear functions of the observed ones: (N, 5, 2)."""
    rng = np.random.default_rng(seed)
    poses = rng.normal(size=(count, 5, 2))
    poses[:, 1] = 0.5 * (poses[:, 0] + poses[:, 2])
    poses[:, 4] = poses[:, 3] + 0.3 * (poses[:, 0] - poses[:, 2]) @ np.array([[0, 1], [-1, 0]])
    return poses


# --- ridge ----------------------------------------------------------------------------------------


def test_ridge_is_exact_on_linear_data():
    ridge = Ridge.fit(linear_poses(500), OBSERVED, penalty=1e-9)
    truth = linear_poses(50, seed=1)
    blind = np.where(OBSERVED[:, None], truth, np.nan)
    np.testing.assert_allclose(ridge(blind), truth, atol=1e-4)


def test_ridge_does_not_care_where_and_how_large_a_person_is():
    ridge = Ridge.fit(linear_poses(500), OBSERVED)
    pose = linear_poses(1, seed=2)
    np.testing.assert_allclose(ridge(200 * pose + 640), 200 * ridge(pose) + 640)
    near_and_far = np.concatenate([200 * linear_poses(250) + 640, 30 * linear_poses(250, 1) - 90])
    other = Ridge.fit(near_and_far, OBSERVED, penalty=1e-9)
    np.testing.assert_allclose(other(pose), pose, atol=1e-3)


def test_ridge_keeps_what_is_observed_and_any_leading_axes():
    ridge = Ridge.fit(linear_poses(100), OBSERVED, penalty=10.0)  # far from exact
    windows = linear_poses(24, seed=3).reshape(2, 3, 4, 5, 2)
    result = ridge(windows)
    assert result.shape == windows.shape
    np.testing.assert_array_equal(result[..., OBSERVED, :], windows[..., OBSERVED, :])
    assert np.abs(result - windows)[..., ~OBSERVED, :].max() > 0.01
    np.testing.assert_allclose(result[1, 2, 3], ridge(windows[1, 2, 3]))


def test_a_larger_penalty_trusts_the_data_less():
    poses = linear_poses(500)
    sizes = [np.square(Ridge.fit(poses, OBSERVED, p).weights).sum() for p in (1e-6, 0.1, 10.0)]
    assert sizes[0] > sizes[1] > sizes[2]
    # The penalty is relative to the number of poses: twice the same data changes nothing.
    once, twice = (Ridge.fit(np.tile(poses, (n, 1, 1)), OBSERVED, 0.1) for n in (1, 2))
    np.testing.assert_allclose(once.weights, twice.weights, atol=1e-10)


def test_each_window_is_regressed_on_the_joints_that_it_has():
    train, truth = linear_poses(500), linear_poses(12, seed=4).reshape(3, 4, 5, 2)
    windows = truth.copy()
    windows[0, :, [1, 4]] = np.nan
    windows[2, :, 1] = np.nan
    result = complete_by_ridge(windows, train)
    np.testing.assert_allclose(result, truth, atol=0.05)
    np.testing.assert_array_equal(result[1], truth[1])
    lone = complete_by_ridge(windows[2:], train)
    np.testing.assert_allclose(result[2:], lone, atol=1e-12)


# --- interpolation --------------------------------------------------------------------------------


def test_interpolation_is_linear_between_and_constant_beyond():
    keypoints = np.full((7, 2, 2), np.nan)
    keypoints[1, 0], keypoints[4, 0] = (10.0, 100.0), (40.0, 40.0)
    keypoints[2, 1] = (5.0, 6.0)
    given = keypoints.copy()
    result = interpolate(keypoints)
    np.testing.assert_allclose(result[:, 0, 0], [10, 10, 20, 30, 40, 40, 40])
    np.testing.assert_allclose(result[:, 0, 1], [100, 100, 80, 60, 40, 40, 40])
    assert (result[:, 1] == (5.0, 6.0)).all()
    np.testing.assert_array_equal(keypoints, given)  # the input is left alone


def test_interpolation_keeps_observations_and_joints_never_seen():
    rng = np.random.default_rng(0)
    keypoints = rng.normal(size=(30, 4, 2))
    keypoints[rng.random((30, 4)) < 0.4] = np.nan
    keypoints[:, 3] = np.nan
    result = interpolate(keypoints)
    seen = np.isfinite(keypoints)
    np.testing.assert_array_equal(result[seen], keypoints[seen])
    assert np.isfinite(result[:, :3]).all() and np.isnan(result[:, 3]).all()


@pytest.mark.parametrize("frames", [1, 2])
def test_interpolation_of_very_short_tracks(frames):
    keypoints = np.full((frames, 1, 2), np.nan)
    keypoints[0] = 3.0
    assert (interpolate(keypoints) == 3.0).all()
