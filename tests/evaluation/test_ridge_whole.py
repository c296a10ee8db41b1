"""Ridge regressions for exactly the pattern at hand, against closed forms."""

import numpy as np
import pytest

from posegan_jax.evaluation.ridge_whole import whole_ridge

J = 5
SEEN = np.array([True, False, True, True, False])


def linear_windows(count, frames=1, seed=0):
    """Windows whose joints 1 and 4 are linear functions of the others: (N, F, 5, 2)."""
    rng = np.random.default_rng(seed)
    poses = rng.normal(size=(count, 1, J, 2)) + 0.3 * rng.normal(size=(count, frames, J, 2))
    poses[:, :, 1] = 0.5 * (poses[:, :, 0] + poses[:, :, 2])
    turned = (poses[:, :, 0] - poses[:, :, 2]) @ np.array([[0, 1], [-1, 0]])
    poses[:, :, 4] = poses[:, :, 3] + 0.3 * turned
    return poses


def people(count):
    return np.array([f"person {i % 7}" for i in range(count)])


def blind(windows, seen=SEEN):
    return np.where(seen[:, None], windows, np.nan)


def frame_of(points):
    center = points.mean(axis=-2, keepdims=True)
    size = np.sqrt(((points - center) ** 2).sum(-1).mean(-1))
    return center, size[..., None, None]


def test_it_is_exact_on_linear_data():
    model = whole_ridge(linear_windows(500), people(500))
    truth = linear_windows(50, seed=1)
    np.testing.assert_allclose(model.complete_all(blind(truth)), truth, atol=1e-3)


@pytest.mark.parametrize("seen", [SEEN, np.array([True, True, True, False, False])])
def test_it_is_ridge_regression_of_windows_normalised_by_the_observed_joints(seen):
    """Minimises |Y - X W - o|^2 / N + penalty |W|^2, with X, Y in sizes of what X shows."""
    rng = np.random.default_rng(5)
    windows = rng.normal(size=(3000, 1, J, 2)) @ np.array([[1.0, 0.4], [0.0, 0.7]]) + 40
    windows[:, :, 1] = 0.6 * windows[:, :, 0] + 0.5 * rng.normal(size=(3000, 1, 2))
    model = whole_ridge(windows, people(3000), (0.3,))
    center, size = frame_of(windows[:, 0, seen])
    normal = (windows[:, 0] - center) / size
    x, y = normal[:, seen].reshape(3000, -1), normal[:, ~seen].reshape(3000, -1)
    centred = x - x.mean(0)
    gram = centred.T @ centred / 3000 + 0.3 * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, centred.T @ (y - y.mean(0)) / 3000)
    one = rng.normal(size=(1, J, 2))
    center, size = frame_of(one[:, seen])
    at = ((one[:, seen] - center) / size).reshape(1, -1) - x.mean(0)
    expected = (y.mean(0) + at @ weights).reshape(1, -1, 2) * size + center
    found = model.complete_all(blind(one, seen)[None])[0]
    np.testing.assert_allclose(found[:, ~seen], expected, atol=1e-4)


def test_windows_with_holes_are_normalised_by_what_is_left():
    """Weighted least squares: y - c = W (x - c) + o s, in sizes of joints that are seen at all."""
    rng = np.random.default_rng(2)
    windows = rng.normal(size=(2000, 2, J, 2)) + rng.normal(size=(2000, 1, J, 2))
    seen = np.tile(SEEN, 2)
    seen[2] = False  # a hole in the first frame
    model = whole_ridge(windows, people(2000), (0.1,))
    points = windows.reshape(2000, -1, 2)
    center, size = frame_of(points[:, seen])
    _, whole = frame_of(points[:, np.tile(SEEN, 2)])
    x, y = (((points - center) / whole)[:, part].reshape(2000, -1) for part in (seen, ~seen))
    x = np.concatenate([x, (size / whole)[:, 0]], axis=1)
    penalty = 0.1 * np.eye(x.shape[1])
    penalty[-1, -1] = 0
    weights = np.linalg.solve(x.T @ x / 2000 + penalty, x.T @ y / 2000)
    one = rng.normal(size=(1, 2 * J, 2))
    center, size = frame_of(one[:, seen])
    at = np.append(((one[:, seen] - center) / size).ravel(), 1.0)
    expected = (at @ weights).reshape(1, -1, 2) * size + center
    found = model.complete_all(np.where(seen[:, None], one, np.nan).reshape(1, 2, J, 2))
    np.testing.assert_allclose(found.reshape(1, -1, 2)[:, ~seen], expected, atol=1e-4)


def test_it_does_not_care_where_and_how_large_people_are():
    windows, rng = linear_windows(400), np.random.default_rng(0)
    scale = rng.uniform(0.2, 5, (400, 1, 1, 1))
    moved = scale * windows + rng.normal(size=(400, 1, 1, 2)) * 50
    one, other = (whole_ridge(train, people(400), (1e-2,)) for train in (windows, moved))
    window = blind(linear_windows(1, seed=2))
    expected = one.complete_all(window)
    np.testing.assert_allclose(other.complete_all(window), expected, atol=1e-3)
    np.testing.assert_allclose(one.complete_all(200 * window + 640), 200 * expected + 640)


def test_every_joint_is_penalised_as_people_who_are_left_out_tell():
    rng = np.random.default_rng(3)
    windows, who = linear_windows(80), people(80)
    # Joint 4 is anywhere: each person has habits that say nothing of others.
    habits = rng.normal(size=(7, 2 * SEEN.sum(), 2))
    seen = windows[:, 0, SEEN].reshape(80, -1)
    for i, name in enumerate(who):
        windows[i, 0, 4] = 0.5 * seen[i] @ habits[int(name[-1])] + rng.normal(size=2)
    model = whole_ridge(windows, who, (1e-6, 10.0))
    found = model.regression(SEEN)
    np.testing.assert_allclose(
        found.weights[:, :2], whole_ridge(windows, who, (1e-6,)).regression(SEEN).weights[:, :2])
    np.testing.assert_allclose(
        found.weights[:, 2:], whole_ridge(windows, who, (10.0,)).regression(SEEN).weights[:, 2:])


def test_one_person_is_enough():
    model = whole_ridge(linear_windows(100), np.repeat("one", 100))
    truth = linear_windows(5, seed=4)
    np.testing.assert_allclose(model.complete_all(blind(truth)), truth, atol=1e-2)


def test_observations_are_kept_and_every_window_solved_on_its_own():
    model = whole_ridge(linear_windows(400, 4), people(400), (0.5,), kept=2)  # far from exact
    truth = linear_windows(6, 4, seed=3)
    holey = np.where(np.random.default_rng(0).random(truth.shape[:3])[..., None] < 0.5, np.nan,
                     truth)
    holey[4] = holey[2]  # one pattern twice
    result = model.complete_all(holey)
    seen = np.isfinite(holey)
    np.testing.assert_array_equal(result[seen], holey[seen])
    assert np.isfinite(result).all() and np.abs(result - truth).max() > 0.05
    for one, alone in zip(result, holey, strict=True):
        np.testing.assert_allclose(one, model.complete_all(alone[None])[0], atol=1e-12)


def test_with_one_joint_nothing_is_known():
    model = whole_ridge(linear_windows(100), people(100))
    window = np.full((1, 1, J, 2), np.nan)
    window[0, 0, 2] = 1.0
    np.testing.assert_array_equal(model.complete_all(window), window)
