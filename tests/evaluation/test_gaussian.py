"""Regression on whatever is observed, against closed forms."""

import numpy as np
import pytest

from posegan_jax.evaluation.gaussian import Gaussian

DETECTED = np.array([True, False, True, True, False])


def linear_windows(count, frames=1, seed=0):
    """Windows whose joints 1 and 4 are linear functions of the others: (N, F, 5, 2)."""
    rng = np.random.default_rng(seed)
    poses = rng.normal(size=(count, 1, 5, 2)) + 0.3 * rng.normal(size=(count, frames, 5, 2))
    poses[:, :, 1] = 0.5 * (poses[:, :, 0] + poses[:, :, 2])
    turned = (poses[:, :, 0] - poses[:, :, 2]) @ np.array([[0, 1], [-1, 0]])
    poses[:, :, 4] = poses[:, :, 3] + 0.3 * turned
    return poses


def blind(windows):
    return np.where(DETECTED[:, None], windows, np.nan)


def test_it_is_exact_on_linear_data():
    model = Gaussian.fit(linear_windows(500), DETECTED, penalty=1e-9)
    truth = linear_windows(50, seed=1)
    np.testing.assert_allclose(model.complete_all(blind(truth)), truth, atol=1e-4)


def test_it_is_ridge_regression_in_closed_form():
    """Minimises |Y - X W|^2 / N + penalty |W|^2 on windows drawn at other places and sizes."""
    rng = np.random.default_rng(5)
    windows = rng.normal(size=(4000, 1, 5, 2)) @ np.array([[1.0, 0.4], [0.0, 0.7]])
    windows[:, :, 1] = 0.6 * windows[:, :, 0] + 0.5 * rng.normal(size=(4000, 1, 2))
    penalty = 0.3
    model = Gaussian.fit(windows, DETECTED, penalty)
    seen = np.repeat(DETECTED, 2)
    # The model's own distribution is known by its moments: the solution of the normal equations.
    gram = model.covariance[np.ix_(seen, seen)] + penalty * np.eye(seen.sum())
    weights = np.linalg.inv(gram) @ model.covariance[np.ix_(seen, ~seen)]
    window = rng.normal(size=(1, 5, 2))
    points = window[:, DETECTED].reshape(-1, 2)
    center = points.mean(0)
    size = np.sqrt(((points - center) ** 2).sum(-1).mean())
    expected = model.mean.reshape(-1, 2)[DETECTED]
    own_center = expected.mean(0)
    own_size = np.sqrt(((expected - own_center) ** 2).sum(-1).mean())
    x = ((points - center) / size * own_size + own_center).ravel()
    y = model.mean[~seen] + (x - model.mean[seen]) @ weights
    y = (y.reshape(-1, 2) - own_center) / own_size * size + center
    np.testing.assert_allclose(model.complete(blind(window))[:, ~DETECTED][0], y, atol=1e-9)
    # And the moments are those of the data, normalised, plus what is unknown of place and size.
    flat = windows[:, :, DETECTED].reshape(4000, -1, 2)
    place = flat.mean(1, keepdims=True)
    scale = np.sqrt(((flat - place) ** 2).sum(-1).mean(-1))[:, None, None]
    data = ((windows[:, 0] - place) / scale).reshape(4000, -1)
    np.testing.assert_allclose(model.mean, data.mean(0))
    excess = model.covariance - np.cov(data, rowvar=False)
    assert np.linalg.matrix_rank(excess, tol=1e-6) <= 3


def test_the_conditional_mean_is_that_of_the_joint_precision():
    model = Gaussian.fit(linear_windows(300, 3), DETECTED, penalty=0.02)
    window = linear_windows(1, 3, seed=7)[0]
    holey = window.copy()
    holey[1] = np.nan
    holey[0, [1, 4]] = np.nan
    seen = np.isfinite(holey.reshape(-1))
    precision = np.linalg.inv(model.covariance + 0.02 * np.diag(seen * 1.0) + 1e-12 * np.eye(30))
    points = holey.reshape(-1, 2)[np.isfinite(holey.reshape(-1, 2)[:, 0])]
    expected = model.mean[seen].reshape(-1, 2)
    frames = [(p.mean(0), np.sqrt(((p - p.mean(0)) ** 2).sum(-1).mean()))
              for p in (points, expected)]
    (center, size), (own_center, own_size) = frames
    x = ((points - center) / size * own_size + own_center).ravel() - model.mean[seen]
    y = model.mean[~seen] - np.linalg.solve(
        precision[np.ix_(~seen, ~seen)], precision[np.ix_(~seen, seen)] @ x
    )
    y = (y.reshape(-1, 2) - own_center) / own_size * size + center
    result = model.complete(holey).reshape(-1)[~seen].reshape(-1, 2)
    np.testing.assert_allclose(result, y, atol=1e-4)


def test_it_does_not_care_where_and_how_large_a_person_is():
    model = Gaussian.fit(linear_windows(500), DETECTED, penalty=1e-2)
    window = blind(linear_windows(1, seed=2)[0])
    np.testing.assert_allclose(
        model.complete(200 * window + 640), 200 * model.complete(window) + 640, atol=1e-6
    )


def test_observations_are_kept_and_every_window_solved_on_its_own():
    model = Gaussian.fit(linear_windows(400, 4), DETECTED, penalty=0.5)  # far from exact
    truth = linear_windows(6, 4, seed=3)
    holey = np.where(np.random.default_rng(0).random(truth.shape[:3])[..., None] < 0.5, np.nan,
                     truth)
    holey[4] = holey[2]  # one pattern twice
    result = model.complete_all(holey)
    seen = np.isfinite(holey)
    np.testing.assert_array_equal(result[seen], holey[seen])
    assert np.isfinite(result).all() and np.abs(result - truth).max() > 0.05
    for one, alone in zip(result, holey, strict=True):
        np.testing.assert_allclose(one, model.complete(alone), atol=1e-12)


def test_with_one_joint_nothing_is_known():
    model = Gaussian.fit(linear_windows(100), DETECTED, penalty=1e-3)
    window = np.full((1, 5, 2), np.nan)
    window[0, 2] = 1.0
    np.testing.assert_array_equal(model.complete(window), window)


def test_a_low_rank_keeps_the_largest_part():
    windows = linear_windows(600, 2)
    full, low = (Gaussian.fit(windows, DETECTED, 1e-3, rank) for rank in (None, 3))
    place_and_size = full.covariance - np.cov(
        _normalised(windows).reshape(len(windows), -1), rowvar=False
    )
    values = np.linalg.eigvalsh(low.covariance - place_and_size)
    data = np.linalg.eigvalsh(full.covariance - place_and_size)
    np.testing.assert_allclose(values[-3:], data[-3:], rtol=1e-6)
    np.testing.assert_allclose(values[:-3], data[:-3].mean(), rtol=1e-6)
    assert np.trace(low.covariance) == pytest.approx(np.trace(full.covariance))


def _normalised(windows):
    points = windows[:, :, DETECTED].reshape(len(windows), -1, 2)
    center = points.mean(1)[:, None, None]
    size = np.sqrt(((points - points.mean(1, keepdims=True)) ** 2).sum(-1).mean(-1))
    return (windows - center) / size[:, None, None, None]
