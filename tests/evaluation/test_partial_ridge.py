<<<<<<<< HEAD:tests/evaluation/test_ridge.py
"""Ridge regressions for exactly the pattern at hand, against closed forms."""
========
"""Ridge regressions from windows that know some of their joints."""
>>>>>>>> w-video:tests/evaluation/test_partial_ridge.py

import numpy as np
import pytest

<<<<<<<< HEAD:tests/evaluation/test_ridge.py
from posegan_jax.evaluation import ridge
from posegan_jax.evaluation.ridge import Ridge

J = 5
SEEN = np.array([True, False, True, True, False])
========
from posegan_jax.evaluation import partial_ridge
from posegan_jax.evaluation.windowed import fit_frame
from posegan_jax.evaluation.partial_ridge import PartialRidge, choose_penalty
>>>>>>>> w-video:tests/evaluation/test_partial_ridge.py


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


<<<<<<<< HEAD:tests/evaluation/test_ridge.py
def frame_of(points):
    center = points.mean(axis=-2, keepdims=True)
    size = np.sqrt(((points - center) ** 2).sum(-1).mean(-1))
    return center, size[..., None, None]


def test_it_is_exact_on_linear_data():
    model = Ridge(linear_windows(500), people(500))
    truth = linear_windows(50, seed=1)
    np.testing.assert_allclose(model.complete_all(blind(truth)), truth, atol=1e-3)


@pytest.mark.parametrize("seen", [SEEN, np.array([True, True, True, False, False])])
def test_it_is_ridge_regression_of_windows_normalised_by_the_observed_joints(seen):
    """Minimises |Y - X W - o|^2 / N + penalty |W|^2, with X, Y in sizes of what X shows."""
    rng = np.random.default_rng(5)
    windows = rng.normal(size=(3000, 1, J, 2)) @ np.array([[1.0, 0.4], [0.0, 0.7]]) + 40
    windows[:, :, 1] = 0.6 * windows[:, :, 0] + 0.5 * rng.normal(size=(3000, 1, 2))
    model = Ridge(windows, people(3000), (0.3,))
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
    model = Ridge(windows, people(2000), (0.1,))
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
    one, other = Ridge(windows, people(400), (1e-2,)), Ridge(moved, people(400), (1e-2,))
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
    model = Ridge(windows, who, (1e-6, 10.0))
    found = model.regression(SEEN)
    np.testing.assert_allclose(
        found.weights[:, :2], Ridge(windows, who, (1e-6,)).regression(SEEN).weights[:, :2])
    np.testing.assert_allclose(
        found.weights[:, 2:], Ridge(windows, who, (10.0,)).regression(SEEN).weights[:, 2:])
========
def test_what_is_linear_is_found_wherever_and_however_large():
    model, truth = PartialRidge(made(400), 1e-5), made(20, seed=1)
    assert model.frames == 2
    seen = hidden(truth, [2, 4])
    result = model.complete_all(seen)
    np.testing.assert_allclose(result, truth, atol=2.0)
    np.testing.assert_array_equal(result[np.isfinite(seen)], seen[np.isfinite(seen)])
    moved = model.complete_all(3 * seen - 70.0)
    np.testing.assert_allclose(moved, 3 * result - 70.0, rtol=1e-6)


def test_it_is_the_closed_form():
    train, truth = made(60, seed=2, noise=0.2), made(3, seed=3, noise=0.2)
    pattern = np.ones((2, 5), bool)
    pattern[:, 3:] = pattern[0, 0] = False
    center, size = fit_frame(train[:, pattern])
    x = ((train[:, pattern] - center) / size).reshape(60, -1)
    y = ((train[:, ~pattern] - center) / size).reshape(60, -1)
    # Windows weigh by the size of what is observed beside that of all of it, squared.
    weight = size[:, 0, 0] ** 2 / fit_frame(train.reshape(60, -1, 2))[1][:, 0, 0] ** 2
    weight = (weight / weight.sum())[:, None]
    mean, expected = (weight * x).sum(0), (weight * y).sum(0)
    a, b = x - mean, y - expected
    weights = np.linalg.solve((weight * a).T @ a + 0.1 * np.eye(len(a.T)), (weight * a).T @ b)
    center, size = fit_frame(truth[:, pattern])
    inputs = ((truth[:, pattern] - center) / size).reshape(3, -1)
    expected = (expected + (inputs - mean) @ weights).reshape(3, -1, 2) * size + center
    result = PartialRidge(train, 0.1).complete_all(np.where(pattern[..., None], truth, np.nan))
    np.testing.assert_allclose(result[:, ~pattern], expected, rtol=1e-4, atol=0.05)


def test_joints_that_lie_beside_each_other_decide_nothing():
    """Normalised by them a body is huge; one such window is no more than any other."""
    train, truth = made(400), made(20, seed=1)
    seen = hidden(truth, [1, 2, 3, 4])
    before = PartialRidge(train, 1e-5).complete_all(seen)
    train[0, 1, 0] = train[0, 0, 0] + 1e-4  # what is observed of it: one joint in two frames
    after = PartialRidge(train, 1e-5).complete_all(seen)
    assert np.linalg.norm(after - before, axis=-1).max() < 0.1 * np.ptp(truth)


def test_windows_serve_what_they_know():
    train, truth = made(400), made(10, seed=1)
    train[:200, :, 3] = np.nan  # tells of joint 4 alone
    train[200:, :, 4] = np.nan
    result = PartialRidge(train, 1e-5).complete_all(hidden(truth, [3, 4]))
    np.testing.assert_allclose(result, truth, atol=2.0)
    train[:, :, 3] = np.nan
    result = PartialRidge(train, 1e-5).complete_all(hidden(truth, [3, 4]))
    assert np.isnan(result[:, :, 3]).all() and np.isfinite(np.delete(result, 3, axis=2)).all()


def test_one_joint_is_nothing_to_start_from():
    truth = made(3)
    seen = np.full_like(truth, np.nan)
    seen[:, 0, 1] = truth[:, 0, 1]
    np.testing.assert_array_equal(PartialRidge(made(50), 0.1).complete_all(seen), seen)
    np.testing.assert_array_equal(PartialRidge(made(50), 0.1).complete_all(truth), truth)


def test_regressions_are_kept_for_a_while(monkeypatch):
    monkeypatch.setattr(partial_ridge, "KEPT", 2)
    model, solved = PartialRidge(made(50), 0.1), []
    monkeypatch.setattr(
        model, "fit", lambda seen, some: solved.append(seen) or PartialRidge.fit(model, seen, some)
    )
    patterns = [np.delete(np.ones(11, bool), 0) for _ in range(3)]
    for i, pattern in enumerate(patterns):
        pattern[i] = False
    for i in (0, 1, 0, 2, 0, 1):
        model.regression(patterns[i])
    assert [int(np.flatnonzero(~seen)[0]) for seen in solved] == [0, 1, 2, 1]
>>>>>>>> w-video:tests/evaluation/test_partial_ridge.py


def test_one_person_is_enough():
    model = Ridge(linear_windows(100), np.repeat("one", 100))
    truth = linear_windows(5, seed=4)
    np.testing.assert_allclose(model.complete_all(blind(truth)), truth, atol=1e-2)


<<<<<<<< HEAD:tests/evaluation/test_ridge.py
def test_observations_are_kept_and_every_window_solved_on_its_own(monkeypatch):
    monkeypatch.setattr(ridge, "KEPT_PATTERNS", 2)
    model = Ridge(linear_windows(400, 4), people(400), (0.5,))  # far from exact
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
    assert len(model._patterns) == 2


def test_with_one_joint_nothing_is_known():
    model = Ridge(linear_windows(100), people(100))
    window = np.full((1, 1, J, 2), np.nan)
    window[0, 0, 2] = 1.0
    np.testing.assert_array_equal(model.complete_all(window), window)
========
@pytest.mark.parametrize("windows", [np.zeros((1, 2, 5, 2)), made(1)])
def test_too_few_windows_tell_nothing(windows):
    seen = hidden(made(2), [1])
    np.testing.assert_array_equal(PartialRidge(windows, 0.1).complete_all(seen), seen)
>>>>>>>> w-video:tests/evaluation/test_partial_ridge.py
