"""Ridge regressions by pattern: what is kept of them, and what they are applied to."""

import numpy as np

from posegan_jax.evaluation.ridge import Regression, Ridge, solve


def test_regressions_are_kept_for_a_while():
    solved = []

    def fit(seen):
        solved.append(int(np.flatnonzero(~seen)[0]))
        return Regression(np.zeros((18, 2)), np.zeros(2))

    model = Ridge(2, fit, kept=2)
    windows = np.random.default_rng(0).normal(size=(1, 2, 5, 2))
    for i in (0, 1, 0, 2, 0, 1):
        holey = windows.copy()
        holey.reshape(-1, 2)[i] = np.nan
        filled = model.complete_all(holey)
        # What is missing lies at the mean of what is observed, where weights and offset are 0.
        mean = np.delete(windows.reshape(-1, 2), i, axis=0).mean(axis=0)
        np.testing.assert_allclose(filled.reshape(-1, 2)[i], mean)
    assert solved == [0, 1, 2, 1]


def test_others_are_regressed_in_the_frame_of_what_is_observed():
    regression = Regression(np.eye(4)[:, :2] * 2.0, np.array([0.0, 1.0]))
    observed = np.array([[[10.0, 20.0], [16.0, 28.0]]])  # about (13, 24), of size 5
    np.testing.assert_allclose(regression.others(observed), [[[13 - 6.0, 24 - 8.0 + 5.0]]])
    moved = regression.others(3 * observed - 40)
    np.testing.assert_allclose(moved, 3 * regression.others(observed) - 40)


def test_solutions_are_those_of_normal_equations():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(30, 4)), rng.normal(size=(30, 2))
    gram = x.T @ x
    weights = solve(gram, x.T @ y, 0.5)
    np.testing.assert_allclose((x.T @ x + 0.5 * np.eye(4)) @ weights, x.T @ y)
    np.testing.assert_array_equal(gram, x.T @ x)
