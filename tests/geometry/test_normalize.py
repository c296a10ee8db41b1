"""Windows to [-1, 1] and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.geometry.normalize import denormalize, fit_normalization, normalize

FIT = jax.jit(fit_normalization)


def draw(seed=0, windows=3, frames=6, joints=5):
    rng = np.random.default_rng(seed)
    x = rng.normal([320.0, 240.0], [30.0, 80.0], (windows, frames, joints, 2)).astype(np.float32)
    mask = (rng.random(x.shape[:-1]) < 0.6).astype(np.float32)
    return x, mask


def test_observed_joints_get_mean_zero_and_fill_the_range():
    x, mask = draw()
    y = np.asarray(normalize(x, FIT(x, mask)))
    for window, seen in zip(y, mask > 0, strict=True):
        np.testing.assert_allclose(window[seen].mean(axis=0), 0.0, atol=1e-5)
        assert np.abs(window[seen]).max() == pytest.approx(1.0, abs=1e-5)
    everything = np.asarray(normalize(x, FIT(x, np.ones_like(mask))))
    np.testing.assert_allclose(everything.mean(axis=(1, 2)), 0.0, atol=1e-5)
    np.testing.assert_allclose(np.abs(everything).max(axis=(1, 2, 3)), 1.0, atol=1e-5)


def test_by_hand():
    x = jnp.asarray([[[[0.0, 10.0], [8.0, 10.0], [4.0, 16.0], [500.0, -9.0]]]])
    fit = FIT(x, jnp.asarray([[[1.0, 1.0, 1.0, 0.0]]]))
    assert fit.center.shape == (1, 1, 1, 2) and fit.scale.shape == (1, 1, 1, 1)
    assert fit.center.ravel().tolist() == [4.0, 12.0]
    assert float(fit.scale[0, 0, 0, 0]) == 4.0
    np.testing.assert_allclose(
        normalize(x, fit)[0, 0, :3], [[-1.0, -0.5], [1.0, -0.5], [0.0, 1.0]], atol=1e-6
    )


def test_both_axes_share_one_scale():
    x, mask = draw()
    y = np.asarray(normalize(x, FIT(x, mask)))
    ratio = np.diff(y, axis=2) / np.diff(x, axis=2)
    np.testing.assert_allclose(ratio[..., 0], ratio[..., 1], rtol=1e-2)


def test_missing_joints_do_not_take_part():
    x, mask = draw()
    spoiled = np.where(mask[..., None] > 0, x, -7e3).astype(np.float32)
    for a, b in zip(FIT(x, mask), FIT(spoiled, mask), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_round_trip():
    x, mask = draw()
    fit = FIT(x, mask)
    np.testing.assert_allclose(denormalize(normalize(x, fit), fit), x, atol=1e-3)


def test_the_result_does_not_know_where_and_how_large_the_person_was():
    x, mask = draw()
    moved = 0.25 * x + np.array([-50.0, 900.0], np.float32)
    np.testing.assert_allclose(
        normalize(moved, FIT(moved, mask)), normalize(x, FIT(x, mask)), atol=1e-4
    )


def test_without_an_observed_joint_it_is_the_identity():
    x, mask = draw()
    fit = FIT(x, np.zeros_like(mask))
    np.testing.assert_array_equal(normalize(x, fit), x)


@pytest.mark.parametrize("count", [1, 4])
def test_coincident_joints_are_only_moved(count):
    x, mask = np.full((1, 2, 5, 2), 96.0, np.float32), np.zeros((1, 2, 5), np.float32)
    mask[0, 0, :count] = 1.0
    x[0, 1] = 100.0  # not observed
    y = np.asarray(normalize(x, FIT(x, mask)))
    np.testing.assert_array_equal(y[0, 0, :count], 0.0)
    np.testing.assert_array_equal(y[0, 1], 4.0)


def test_gradients_are_finite_at_the_degenerate_ends():
    x, mask = draw()

    @jax.jit
    @jax.grad
    def gradient(x, mask):
        return jnp.sum(normalize(x, fit_normalization(x, mask)) ** 3)

    for points, weight in ((x, 0 * mask), (0 * x, mask), (x, mask)):
        assert np.isfinite(gradient(points, weight)).all()
