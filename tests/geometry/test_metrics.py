"""Errors against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.geometry.metrics import (
    DEFAULT_ALPHAS,
    acceleration_error,
    auc,
    bone_length_variation,
    mpjpe,
    mpjse,
    pckh,
    pckh_per_joint,
    safe_norm,
)

NAN = float("nan")
# Three frames of two joints, seen from a truth at the origin: norms 0, 5, 5 and 0, 0, 10.
MOVING = jnp.asarray(
    [[[0.0, 0.0], [0.0, 0.0]], [[3.0, 4.0], [0.0, 0.0]], [[3.0, 4.0], [6.0, 8.0]]]
)
REST = jnp.zeros_like(MOVING)


# --- positions, speeds, accelerations -------------------------------------------------------------


def test_mpjpe():
    assert float(mpjpe(REST, MOVING)) == pytest.approx(20 / 6)
    assert float(mpjpe(MOVING, REST)) == pytest.approx(20 / 6)
    assert float(mpjpe(MOVING, MOVING)) == 0.0


@pytest.mark.parametrize(
    "mask, expected",
    [
        ([[1, 1], [1, 1], [1, 1]], 20 / 6),
        ([[1, 0], [1, 0], [1, 0]], 10 / 3),
        ([[0, 0], [0, 0], [1, 1]], 15 / 2),
        ([[0, 0], [0, 1], [0, 0]], 0.0),
        ([[0, 0], [0, 0], [0, 0]], 0.0),
    ],
)
def test_mpjpe_over_the_observed(mask, expected):
    assert float(mpjpe(REST, MOVING, jnp.asarray(mask, jnp.float32))) == pytest.approx(expected)


def test_mpjse_divides_by_frames_and_joints_as_printed():
    # steps: 5, 0 and 0, 10; four of them, but F J = 6
    assert float(mpjse(REST, MOVING)) == pytest.approx(15 / 6)


def test_mpjse_does_not_see_a_constant_offset():
    assert float(mpjse(MOVING, MOVING + 7.0)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    "mask, expected",
    [
        ([[1, 1], [1, 1], [1, 1]], 15 / 4),  # divided by the steps that count
        ([[1, 1], [1, 0], [1, 1]], 5 / 2),  # a step needs both its frames
        ([[0, 1], [1, 1], [1, 1]], 10 / 3),
        ([[1, 1], [0, 0], [1, 1]], 0.0),
    ],
)
def test_mpjse_over_the_observed(mask, expected):
    assert float(mpjse(REST, MOVING, jnp.asarray(mask, jnp.float32))) == pytest.approx(expected)


# One joint that jumps out and back, norms of its second differences 10 and 5; one in steady motion.
JUMPING = jnp.asarray(
    [[[0.0, 0.0], [1.0, 1.0]], [[3.0, 4.0], [2.0, 3.0]], [[0.0, 0.0], [3.0, 5.0]],
     [[0.0, 0.0], [4.0, 7.0]]]
)


@pytest.mark.parametrize(
    "mask, expected",
    [
        (None, 15 / 4),
        ([[1, 1], [1, 1], [1, 1], [1, 1]], 15 / 4),
        ([[1, 0], [1, 0], [1, 0], [1, 0]], 15 / 2),
        ([[0, 1], [1, 1], [1, 1], [1, 1]], 5 / 3),  # it needs all its three frames
        ([[1, 1], [1, 1], [0, 0], [1, 1]], 0.0),
    ],
)
def test_acceleration_error(mask, expected):
    mask = None if mask is None else jnp.asarray(mask, jnp.float32)
    found = acceleration_error(jnp.zeros_like(JUMPING), JUMPING, mask)
    assert float(found) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("error", [mpjpe, mpjse, acceleration_error])
def test_windows_of_a_batch_are_measured_one_by_one(error):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3, 2, 5, 4, 3)).astype(np.float32)
    mask = (rng.random((3, 2, 5, 4)) < 0.8).astype(np.float32)
    for inputs in ((x, y), (x, y, mask)):
        together = jax.jit(error)(*inputs)
        apart = jax.jit(jax.vmap(jax.vmap(error)))(*inputs)
        assert together.shape == (3, 2)
        np.testing.assert_allclose(together, apart, rtol=1e-5)


def test_safe_norm():
    x = jnp.asarray([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]])
    assert safe_norm(x).tolist() == [5.0, 0.0, 2.0]
    assert safe_norm(x, axis=0).tolist() == pytest.approx([3.0, 20**0.5])
    gradient = jax.grad(lambda x: safe_norm(x).sum())(x)
    np.testing.assert_allclose(gradient, [[0.6, 0.8], [0.0, 0.0], [0.0, -1.0]], atol=1e-6)


@pytest.mark.parametrize("error", [mpjpe, mpjse, acceleration_error])
def test_gradients_are_finite_where_two_poses_meet(error):
    gradient = jax.jit(jax.grad(error))(JUMPING, JUMPING)
    np.testing.assert_array_equal(gradient, jnp.zeros_like(JUMPING))


# --- bones ----------------------------------------------------------------------------------------

BONES = np.array([[0, 1], [1, 2]])
CHAIN = jnp.asarray([[[0.0, 0.0], [0.0, 2.0], [0.0, 5.0]]] * 4)  # bones of 2 and 3, four frames


def test_a_bone_that_is_too_long_all_the_time_does_not_vary():
    longer = CHAIN.at[:, 2].add(jnp.asarray([0.0, 7.0]))
    assert float(bone_length_variation(CHAIN, longer, BONES, jnp.ones((4, 3)))) == 0.0


def test_bones_vary_by_the_deviation_of_their_error():
    swinging = CHAIN.at[:, 2, 1].add(jnp.asarray([1.0, -1.0, 1.0, -1.0]))
    varied = bone_length_variation(CHAIN, swinging, BONES, jnp.ones((4, 3)))
    assert float(varied) == pytest.approx(0.5)  # 0 and 1
    # The truth's own changes are no error.
    assert float(bone_length_variation(swinging, swinging, BONES, jnp.ones((4, 3)))) == 0.0


def test_bones_count_where_both_their_ends_do():
    swinging = CHAIN.at[:, 2, 1].add(jnp.asarray([1.0, -1.0, NAN, 9.0])).at[:, 0].set(NAN)
    mask = jnp.ones((4, 3)).at[:, 0].set(0.0).at[2:, 2].set(0.0)
    assert float(bone_length_variation(CHAIN, swinging, BONES, mask)) == pytest.approx(1.0)
    lonely = jnp.zeros((4, 3)).at[0].set(1.0)  # no bone in two frames
    assert np.isnan(bone_length_variation(CHAIN, CHAIN, BONES, lonely))
    both = bone_length_variation(*(jnp.stack([a, a]) for a in (CHAIN, swinging)), BONES,
                                 jnp.stack([mask, jnp.zeros((4, 3))]))
    np.testing.assert_allclose(both, [1.0, NAN])


# --- PCKh -----------------------------------------------------------------------------------------

ALPHAS = np.array([0.0, 0.125, 0.5, 1.0])
TRUTH = jnp.zeros((2, 3, 2))
# distances 0, 1, 2 and 4, 1, not delivered; heads of 2 and 8
PREDICTION = jnp.asarray(
    [[[0.0, 0.0], [0.0, 1.0], [2.0, 0.0]], [[0.0, 4.0], [1.0, 0.0], [NAN, NAN]]]
)
HEAD = jnp.asarray([2.0, 8.0])


def test_pckh_counts_joints_within_alpha_heads():
    # in heads: 0, .5, 1 and .5, .125, never; the limit itself is within
    curve = pckh(PREDICTION, TRUTH, HEAD, ALPHAS)
    assert curve.tolist() == pytest.approx([1 / 6, 2 / 6, 4 / 6, 5 / 6])


def test_pckh_per_joint():
    curves = np.asarray(pckh_per_joint(PREDICTION, TRUTH, HEAD, ALPHAS))
    np.testing.assert_allclose(
        curves, [[0.5, 0.0, 0.0], [0.5, 0.5, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 0.5]]
    )


def test_a_joint_that_was_not_delivered_is_wrong_at_every_threshold():
    curve = pckh(jnp.full((2, 3, 2), NAN), TRUTH, HEAD, np.array([0.0, 1.0, 1e6]))
    assert curve.tolist() == [0.0, 0.0, 0.0]
    half = PREDICTION.at[0, 0, 0].set(NAN)  # one coordinate is enough
    assert float(pckh(half, TRUTH, HEAD, ALPHAS)[-1]) == pytest.approx(4 / 6)


def test_pckh_over_the_joints_that_count():
    mask = jnp.asarray([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])  # .0, .5 and .125
    assert pckh(PREDICTION, TRUTH, HEAD, ALPHAS, mask).tolist() == pytest.approx(
        [1 / 3, 2 / 3, 1.0, 1.0]
    )
    mask = jnp.asarray([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])  # and one that is not delivered
    assert pckh(PREDICTION, TRUTH, HEAD, ALPHAS, mask)[-1] == pytest.approx(3 / 4)


def test_a_truth_that_is_missing_where_it_does_not_count():
    truth = TRUTH.at[1, 2].set(NAN)
    mask = jnp.ones((2, 3)).at[1, 2].set(0.0)
    assert float(pckh(PREDICTION, truth, HEAD, ALPHAS, mask)[-1]) == pytest.approx(1.0)


def test_pckh_without_a_joint_that_counts():
    assert np.isnan(pckh(PREDICTION, TRUTH, HEAD, ALPHAS, jnp.zeros((2, 3)))).all()


@pytest.mark.parametrize(
    "curve, alphas, expected",
    [
        ([0.0, 0.5, 1.0], [0.0, 0.5, 1.0], 0.5),
        ([0.0, 1.0, 1.0], [0.0, 0.2, 1.0], 0.9),  # steps of different width
        ([0.7, 0.7], [0.0, 2.0], 0.7),  # the range is divided out
        ([0.0, 0.25, 0.25, 0.5], [0.0, 0.25, 0.5, 1.0], 0.28125),
    ],
)
def test_auc(curve, alphas, expected):
    assert float(auc(jnp.asarray(curve), np.asarray(alphas))) == pytest.approx(expected)


def test_auc_of_every_joint():
    curves = jnp.asarray([[0.0, 0.5, 1.0], [1.0, 1.0, 1.0]])
    assert auc(curves, np.array([0.0, 0.5, 1.0])).tolist() == pytest.approx([0.5, 1.0])


def test_the_published_thresholds():
    assert len(DEFAULT_ALPHAS) == 101
    assert DEFAULT_ALPHAS[0] == 0.0 and DEFAULT_ALPHAS[-1] == 1.0
    # errors spread evenly over [0, 1] heads: the curve is the diagonal
    errors = (jnp.arange(1000) + 0.5) / 1000
    prediction = jnp.stack([errors, jnp.zeros(1000)], -1)[:, None]
    curve = pckh(prediction, jnp.zeros_like(prediction), jnp.ones(1000))
    assert float(auc(curve)) == pytest.approx(0.5, abs=2e-3)
