"""The planar similarity against a solver that knows nothing of it, and at its degenerate ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import least_squares

from posegan_jax.geometry.procrustes import (
    align,
    apply_similarity,
    fit_similarity,
    invert_similarity,
)

F, J = 5, 7
FIT = jax.jit(fit_similarity)
ALIGN = jax.jit(align)


def similar(x, angle, scale, shift):
    c, s = np.cos(angle), np.sin(angle)
    return scale * x @ np.array([[c, s], [-s, c]]) + shift


def draw(seed, masked=0.3):
    """Source and target (F, J, 2), and a mask (F, J) with some joints missing."""
    rng = np.random.default_rng(seed)
    source, target = rng.normal(size=(2, F, J, 2))
    mask = (rng.random((F, J)) >= masked).astype(np.float32)
    return source.astype(np.float32), target.astype(np.float32), mask


def solve(source, target, weight):
    """Weighted least squares over (angle, log scale, shift): (4,) and the aligned points."""
    kept = weight > 0
    points, goals, root = source[kept], target[kept], np.sqrt(weight[kept])[:, None]

    def residual(p):
        return (root * (similar(points, p[0], np.exp(p[1]), p[2:]) - goals)).ravel()

    # The angle makes it non-convex: the best of several starts.
    fits = [
        least_squares(residual, [angle, -1.0, 0.0, 0.0], xtol=1e-12, ftol=1e-12, gtol=1e-12)
        for angle in (-2.0, 0.0, 2.0)
    ]
    best = min(fits, key=lambda fit: fit.cost).x
    return best, similar(source, best[0], np.exp(best[1]), best[2:])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("weighted", [False, True])
def test_against_a_nonlinear_solver(seed, weighted):
    source, target, mask = draw(seed)
    target = target + similar(source, 0.5 * seed, 1.5, (2.0, -1.0))
    if weighted:
        mask = mask * np.random.default_rng(seed).uniform(0.1, 3.0, mask.shape)
    (angle, log_scale, *_), expected = solve(source, target, mask)
    fit = FIT(source, target, mask)
    assert fit.a.shape == (1, 1) and fit.source_center.shape == (1, 1, 2)
    assert float(fit.a[0, 0]) == pytest.approx(np.exp(log_scale) * np.cos(angle), abs=1e-4)
    assert float(fit.b[0, 0]) == pytest.approx(np.exp(log_scale) * np.sin(angle), abs=1e-4)
    assert float(fit.scale[0, 0]) == pytest.approx(np.exp(log_scale), abs=1e-4)
    np.testing.assert_allclose(apply_similarity(fit, source), expected, atol=1e-4)
    np.testing.assert_allclose(ALIGN(source, target, mask), expected, atol=1e-4)


@pytest.mark.parametrize("garbage", [0.0, 1e4, np.nan, np.inf])
@pytest.mark.parametrize("seed", range(3))
def test_a_known_similarity_is_found_whatever_stands_at_masked_points(seed, garbage):
    rng = np.random.default_rng(seed)
    source, _, mask = draw(seed)
    angle, scale, shift = rng.uniform(-np.pi, np.pi), rng.uniform(0.2, 5.0), rng.normal(size=2)
    whole = similar(source, angle, scale, shift)
    target = np.where(mask[..., None] > 0, whole, garbage)
    fit = FIT(np.where(mask[..., None] > 0, source, garbage), target, mask)
    assert float(fit.scale[0, 0]) == pytest.approx(scale, rel=1e-4)
    assert float(jnp.arctan2(fit.b, fit.a)[0, 0]) == pytest.approx(angle, abs=1e-4)
    np.testing.assert_allclose(apply_similarity(fit, source), whole, atol=1e-4)


def test_every_window_of_a_batch_has_its_own_similarity():
    triples = [draw(seed) for seed in range(4)]
    together = ALIGN(*(jnp.stack(part) for part in zip(*triples, strict=True)))
    for row, triple in zip(together, triples, strict=True):
        np.testing.assert_allclose(row, ALIGN(*triple), atol=1e-5)


def test_one_similarity_serves_all_frames_of_a_window():
    source, target, mask = draw(3)
    aligned = np.asarray(ALIGN(source, target, mask), np.float64)

    def turn(x):  # from frame to frame, the first joint seen from the second, as complex numbers
        z = (x[:, 0] - x[:, 1]) @ np.array([1, 1j])
        return z[1:] / z[:-1]

    np.testing.assert_allclose(turn(aligned), turn(source), rtol=1e-3)


def test_the_source_may_come_in_any_similarity():
    source, target, mask = draw(7)
    moved = similar(source, 2.1, 0.4, (3.0, -2.0)).astype(np.float32)
    np.testing.assert_allclose(ALIGN(moved, target, mask), ALIGN(source, target, mask), atol=1e-4)


def test_the_result_moves_with_the_target():
    source, target, mask = draw(8)
    moved = similar(target, -1.2, 2.5, (1.0, 4.0)).astype(np.float32)
    expected = similar(np.asarray(ALIGN(source, target, mask)), -1.2, 2.5, (1.0, 4.0))
    np.testing.assert_allclose(ALIGN(source, moved, mask), expected, atol=1e-4)


def test_a_reflection_is_not_used_where_it_would_fit_better():
    source, _, mask = draw(9)
    target = source * np.array([-1.0, 1.0], np.float32)
    aligned = np.asarray(ALIGN(source, target, mask))
    assert np.square(aligned - target)[mask > 0].sum() > 1.0  # a reflection would leave nothing
    np.testing.assert_allclose(aligned, solve(source, target, mask)[1], atol=1e-4)

    def area(x):  # sign: the sense in which three joints run around
        u, v = x[0, 1] - x[0, 0], x[0, 2] - x[0, 0]
        return u[0] * v[1] - u[1] * v[0]

    assert np.sign(area(aligned)) == np.sign(area(source)) == -np.sign(area(target))


def test_the_inverse_brings_points_back():
    source, target, mask = draw(10)
    fit = FIT(source, target, mask)
    back = invert_similarity(fit)
    np.testing.assert_allclose(
        apply_similarity(back, apply_similarity(fit, source)), source, atol=1e-4
    )
    np.testing.assert_allclose(
        apply_similarity(fit, apply_similarity(back, target)), target, atol=1e-4
    )
    np.testing.assert_allclose(back.scale, 1 / fit.scale, rtol=1e-4)


# --- little to go by ------------------------------------------------------------------------------


def only(*points):
    mask = np.zeros((F, J), np.float32)
    for point in points:
        mask[point] = 1.0
    return mask


def degenerate():
    source, target, _ = draw(11)
    same = source.copy()
    same[2, 3] = same[0, 1]
    return {
        "none": (source, target, only()),
        "one": (source, target, only((0, 1))),
        "coincident source": (same, target, only((0, 1), (2, 3))),
        "coincident target": (target, same, only((0, 1), (2, 3))),
        "all coincident": (np.zeros_like(source), np.zeros_like(target), np.ones((F, J))),
        "two": (source, target, only((0, 1), (2, 3))),
        "equal": (source, source, np.ones((F, J))),
        "masked NaN": (source, np.where(only((0, 1), (4, 4))[..., None] > 0, target, np.nan),
                       only((0, 1), (4, 4))),
    }


def test_without_a_point_it_is_the_identity():
    source, target, mask = degenerate()["none"]
    np.testing.assert_array_equal(ALIGN(source, target, mask), source)


def test_one_point_is_met_by_a_translation():
    source, target, mask = degenerate()["one"]
    expected = source + (target[0, 1] - source[0, 1])
    np.testing.assert_allclose(ALIGN(source, target, mask), expected, atol=1e-5)


def test_coincident_points_are_brought_to_the_mean_of_theirs_by_a_translation():
    source, target, mask = degenerate()["coincident source"]
    expected = source + ((target[0, 1] + target[2, 3]) / 2 - source[0, 1])
    np.testing.assert_allclose(ALIGN(source, target, mask), expected, atol=1e-5)


def test_two_points_are_met_exactly():
    source, target, mask = degenerate()["two"]
    aligned = np.asarray(ALIGN(source, target, mask))
    np.testing.assert_allclose(aligned[mask > 0], target[mask > 0], atol=1e-5)


@pytest.mark.parametrize("name", degenerate())
def test_gradients_are_finite(name):
    source, target, mask = degenerate()[name]

    @jax.jit
    @jax.grad
    def gradient(source):
        error = ALIGN(source, target, mask) - jnp.nan_to_num(target)
        fit = fit_similarity(source, target, mask)
        return jnp.sum(error**2) + jnp.sum(fit.a + fit.b)

    found = np.asarray(gradient(jnp.asarray(source)))
    assert np.isfinite(found).all()
    flat = name in ("coincident target", "all coincident")  # scale zero, or nothing to move to
    assert flat or np.abs(found).max() > 0


def test_gradients_are_right():
    """Through the fit too, not the application alone: against central differences."""
    source, target, mask = draw(12)

    @jax.jit
    def error(source):
        return jnp.sum(mask[..., None] * jnp.abs(align(source, target, mask) - target) ** 3)

    gradient = np.asarray(jax.jit(jax.grad(error))(source))
    for place in ((0, 0, 0), (2, 3, 1), (4, 6, 0)):
        step = np.zeros_like(source)
        step[place] = 1e-2
        slope = (error(source + step) - error(source - step)) / 2e-2
        assert gradient[place] == pytest.approx(float(slope), rel=2e-2, abs=2e-2)
