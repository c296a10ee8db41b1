"""Ridge regressions from windows that know some of their joints."""

import numpy as np
import pytest

from posegan_jax.evaluation.ridge_partial import choose_penalty, partial_ridge
from posegan_jax.evaluation.windowed import fit_frame


def made(count, frames=2, seed=0, noise=0.0):
    """Windows of five joints, three of which follow from the first two, anywhere, of any size."""
    rng = np.random.default_rng(seed)
    free = rng.normal(size=(count, frames, 2, 2))
    mixed = np.einsum("fjgk,ngkc->nfjc", made.mix[:frames, :, :frames], free)
    windows = np.concatenate([free, mixed], axis=2)
    windows = windows + noise * rng.normal(size=windows.shape)
    scale, place = rng.uniform(20, 300, (count, 1, 1, 1)), rng.normal(size=(count, 1, 1, 2)) * 500
    return windows * scale + place


made.mix = np.random.default_rng(9).dirichlet(np.ones(4), (2, 3)).reshape(2, 3, 2, 2)


def hidden(windows, joints):
    result = windows.copy()
    result[:, :, joints] = np.nan
    return result


def test_what_is_linear_is_found_wherever_and_however_large():
    model, truth = partial_ridge(made(400), 1e-5), made(20, seed=1)
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
    result = partial_ridge(train, 0.1).complete_all(np.where(pattern[..., None], truth, np.nan))
    np.testing.assert_allclose(result[:, ~pattern], expected, rtol=1e-4, atol=0.05)


def test_joints_that_lie_beside_each_other_decide_nothing():
    """Normalised by them a body is huge; one such window is no more than any other."""
    train, truth = made(400), made(20, seed=1)
    seen = hidden(truth, [1, 2, 3, 4])
    before = partial_ridge(train, 1e-5).complete_all(seen)
    train[0, 1, 0] = train[0, 0, 0] + 1e-4  # what is observed of it: one joint in two frames
    after = partial_ridge(train, 1e-5).complete_all(seen)
    assert np.linalg.norm(after - before, axis=-1).max() < 0.1 * np.ptp(truth)


def test_windows_serve_what_they_know():
    train, truth = made(400), made(10, seed=1)
    train[:200, :, 3] = np.nan  # tells of joint 4 alone
    train[200:, :, 4] = np.nan
    result = partial_ridge(train, 1e-5).complete_all(hidden(truth, [3, 4]))
    np.testing.assert_allclose(result, truth, atol=2.0)
    train[:, :, 3] = np.nan
    result = partial_ridge(train, 1e-5).complete_all(hidden(truth, [3, 4]))
    assert np.isnan(result[:, :, 3]).all() and np.isfinite(np.delete(result, 3, axis=2)).all()


def test_one_joint_is_nothing_to_start_from():
    truth = made(3)
    seen = np.full_like(truth, np.nan)
    seen[:, 0, 1] = truth[:, 0, 1]
    np.testing.assert_array_equal(partial_ridge(made(50), 0.1).complete_all(seen), seen)
    np.testing.assert_array_equal(partial_ridge(made(50), 0.1).complete_all(truth), truth)


def test_the_penalty_is_what_serves_others():
    seen = np.ones(10, bool)
    seen[[2, 3, 4, 7, 8, 9]] = False
    train, others = made(400), made(50, seed=5)
    assert choose_penalty(train, others, [seen], (1e-5, 1.0)) == 1e-5
    train, others = made(8, noise=1.0), made(200, seed=5, noise=1.0)
    assert choose_penalty(train, others, [seen], (1e-5, 1.0)) == 1.0
    assert choose_penalty(train, others, [], (1e-3, 1.0)) == 1e-3
    assert choose_penalty(train, others, [np.ones(10, bool)], (1e-3, 1.0)) == 1e-3


@pytest.mark.parametrize("windows", [np.zeros((1, 2, 5, 2)), made(1)])
def test_too_few_windows_tell_nothing(windows):
    seen = hidden(made(2), [1])
    np.testing.assert_array_equal(partial_ridge(windows, 0.1).complete_all(seen), seen)
