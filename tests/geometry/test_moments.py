"""What generated windows leave unexplained, and what joints of true ones say of others."""

import json

import jax
import numpy as np
import pytest

from posegan_jax.geometry.moments import ResidualMoments, poses_of, residual_moments
from posegan_jax.inpainting.residual import ResidualModel

JOINTS = 3
D = 2 * JOINTS
INPUTS = np.array([True, False, True])
MEASURE = jax.jit(residual_moments)


def regression(x, x_tilde, inputs=INPUTS):
    """(D + 1, D) of a whole pose on some joints, as filling has it of the moments."""
    model = ResidualModel.fit(MEASURE(x, x_tilde))
    model.regress(np.zeros((1, JOINTS, 2)), np.ones(1), inputs)
    return model._regressions[inputs.tobytes()]


def generated(windows=400, frames=12, seed=0):
    """(N, F, J, 2) poses of independent coordinates, of sizes from 1 to 3 and anywhere."""
    rng = np.random.default_rng(seed)
    shape = (windows, frames, JOINTS, 2)
    scale = rng.uniform(1.0, 3.0, (windows, 1, 1, 1))
    return (scale * rng.normal(size=shape) + rng.normal(size=(windows, 1, 1, 2))).astype("f4")


def frame_of(x_tilde):
    """Centre of every pose, and size of every window, as the class documents them."""
    centre = x_tilde.mean(axis=2, keepdims=True)
    distance = np.sqrt(((x_tilde - centre) ** 2).sum(-1).mean(-1))  # (N, F)
    return centre, distance.mean(-1)[:, None, None, None]


def with_residual(x_tilde, residual):
    """True windows that are off by a residual (N, F, D) in body sizes."""
    _, size = frame_of(x_tilde)
    return (x_tilde + size * residual.reshape(x_tilde.shape)).astype("f4")


def autoregressive(shape, rho, seed):
    """Unit noise whose correlation at lag k is rho ** k, along axis 1."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=shape)
    for t in range(1, shape[1]):
        noise[:, t] = rho * noise[:, t - 1] + np.sqrt(1 - rho**2) * noise[:, t]
    return noise


def test_a_mean_that_is_linear_in_the_pose_is_all_calibration():
    x_tilde = generated()
    centre, size = frame_of(x_tilde)
    features = ((x_tilde - centre) / size).reshape(*x_tilde.shape[:2], D)
    rng = np.random.default_rng(1)
    linear, constant = rng.normal(size=(D, D)), rng.normal(size=D)
    wanted = features @ linear + constant
    found = MEASURE(with_residual(x_tilde, wanted), x_tilde)
    assert found.calibration.shape == (D + 1, D)
    explained = features @ np.asarray(found.calibration[:-1]) + np.asarray(found.calibration[-1])
    # The penalty pulls a little towards nothing.
    np.testing.assert_allclose(explained, wanted, atol=0.01)
    assert np.abs(found.covariance).max() < 1e-4


def test_what_is_left_has_the_covariance_it_was_drawn_with():
    x_tilde = generated(windows=3000)
    root = np.array([[0.2, 0, 0, 0, 0, 0], [0.15, 0.1, 0, 0, 0, 0], [0, 0, 0.1, 0, 0, 0],
                     [0, 0, 0, 0.3, 0, 0], [0, 0, 0, -0.2, 0.1, 0], [0, 0, 0, 0, 0, 0.05]])
    noise = autoregressive((*x_tilde.shape[:2], D), 0.8, seed=2) @ root.T
    found = MEASURE(with_residual(x_tilde, noise), x_tilde)
    np.testing.assert_allclose(found.covariance, root @ root.T, atol=0.006)
    assert np.abs(found.calibration).max() < 0.02


def test_a_linear_law_of_the_inputs_is_all_regression():
    rng = np.random.default_rng(4)
    x = generated()
    _, size = frame_of(x)
    linear, constant = rng.normal(size=(2, 2, 2)), rng.normal(size=2)
    centre = x[:, :, INPUTS].mean(axis=2, keepdims=True)
    inputs = ((x - centre) / size)[:, :, INPUTS]
    between = np.einsum("nfjx,jxy->nfy", inputs, linear) + constant
    x[:, :, 1] = (centre + size * between[:, :, None])[:, :, 0]
    # In the units of a generated pose, however far off that is.
    x_tilde = x + size * 0.2 * rng.normal(size=x.shape)
    x_tilde *= (size / frame_of(x_tilde)[1]).astype("f4")
    found = regression(x, x_tilde.astype("f4"))
    assert found.shape == (D + 1, D)
    assert not found[2:4].any()  # rows of the joint that is no input
    flat = np.append(((x - centre) / size).reshape(-1, D), np.ones((x[..., 0, 0].size, 1)), axis=1)
    np.testing.assert_allclose(flat @ found, flat[:, :-1], atol=0.05)


def test_noise_at_the_inputs_is_no_law():
    x = generated()
    found = regression(x, x)
    # The third joint of independent ones is, to the others' mean, nowhere in particular.
    np.testing.assert_allclose(found[:, 2:4], 0.0, atol=0.06)


def test_any_joints_tell_the_others():
    x = generated()
    x[:, :, 2] = 0.3 * x[:, :, 0] + 0.7 * x[:, :, 1]  # wherever the pose is
    for inputs in np.eye(JOINTS, dtype=bool) ^ True:
        poses = x[0].astype(float)
        found = ResidualModel.fit(MEASURE(x, x)).regress(poses, frame_of(x)[1][0].ravel(), inputs)
        np.testing.assert_allclose(found, poses, atol=0.1)


def test_a_regression_of_earlier_versions_is_what_its_moments_say():
    rng = np.random.default_rng(6)
    weights = rng.normal(size=(D + 1, D))
    weights[2:4] = 0.0
    own = [0, 1, 4, 5]  # inputs are what they are
    weights[:, own] = np.eye(D + 1)[:, own]
    model = ResidualModel(np.zeros((D + 1, D)), np.eye(JOINTS), poses_of(weights))
    poses, size = rng.normal(size=(5, JOINTS, 2)), rng.uniform(1.0, 2.0, 5)
    centre = poses[:, INPUTS].mean(axis=1, keepdims=True)
    flat = ((poses - centre) / size[:, None, None]).reshape(5, D)
    flat = np.append(flat, np.ones((5, 1)), axis=1)
    wanted = centre + (flat @ weights).reshape(poses.shape) * size[:, None, None]
    np.testing.assert_allclose(model.regress(poses, size, INPUTS), wanted, atol=1e-5)
    assert not poses_of(np.zeros((D + 1, D))).any()


def test_units_are_body_sizes():
    x_tilde = generated(windows=50)
    x = with_residual(x_tilde, autoregressive((50, 12, D), 0.5, seed=3))
    there = np.float32([1000.0, -500.0])
    for a, b in zip(
        MEASURE(x, x_tilde), MEASURE(200 * x + there, 200 * x_tilde + there),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=2e-2, atol=2e-3)


def test_of_arrays_and_of_the_lists_of_earlier_versions():
    x_tilde = generated(windows=50)
    moments = MEASURE(with_residual(x_tilde, np.full((50, 12, D), 0.1)), x_tilde)
    arrays = {name: np.asarray(value) for name, value in moments._asdict().items()}
    lists = json.loads(json.dumps({name: value.tolist() for name, value in arrays.items()}))
    for given in (arrays, lists):
        back = ResidualMoments.from_dict(given)
        for name in ResidualMoments._fields:
            assert isinstance(getattr(back, name), np.ndarray)
            np.testing.assert_array_equal(getattr(back, name), arrays[name])


@pytest.mark.parametrize("joints", [1, 28])
def test_the_default_is_a_tenth_of_the_body_and_no_mean(joints):
    moments = ResidualMoments.default(joints)
    assert moments.calibration.shape == (2 * joints + 1, 2 * joints)
    assert not np.any(moments.calibration)
    np.testing.assert_allclose(np.sqrt(np.diagonal(moments.covariance)), 0.1, rtol=1e-5)
    assert not np.any(moments.poses) and moments.poses.shape == (2 * joints + 1,) * 2
