"""What observations say about joints and frames that were not observed."""

import dataclasses

import numpy as np
import pytest
from scipy.special import gamma, kv

from posegan_jax.geometry.body import body_size
from posegan_jax.geometry.moments import ResidualMoments, residual_moments
from posegan_jax.inpainting import process as in_time
from posegan_jax.inpainting import residual
from posegan_jax.inpainting.process import LASTING, WHITE
from posegan_jax.inpainting.residual import (
    MARGIN,
    ROUGHNESS,
    SMOOTHING,
    STRETCH,
    ResidualModel,
    carry,
    trust,
)
from posegan_jax.pose.skeleton import get_skeleton

SIZE = 80.0
"""Body size of the tests' people, pixels: unlike 1, so that a unit that is left out shows."""


def model(between, deviation=0.1):
    """A hand-made model.

    Args:
      between: (J, J) correlation of the joints' residuals; x and y are independent.
      deviation: of every coordinate in body sizes.
    """
    covariance = deviation**2 * np.asarray(between, float)
    d, j = 2 * len(covariance), len(covariance)
    none = np.zeros((d + 1, d))
    return ResidualModel(none, covariance + 1e-9 * np.eye(j), none)


def matern(lags):
    """(...) correlation at lags in frames, of smoothness 5/2 by the general formula."""
    distance = np.maximum(np.sqrt(5) * np.abs(lags) / in_time.LENGTH, 1e-6)
    return 2**-1.5 / gamma(2.5) * distance**2.5 * kv(2.5, distance)


def draw(process, frames, seed=0):
    """(T, J, 2) pixels, drawn from the model itself, its roughness included."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames)
    correlation = matern(time[:, None] - time) + 1e-9 * np.eye(frames)
    noise = rng.normal(size=(2, frames, len(process.covariance)))
    drawn = np.linalg.cholesky(correlation) @ noise @ np.linalg.cholesky(process.covariance).T
    drawn += ROUGHNESS * rng.normal(size=drawn.shape)
    return SIZE * np.moveaxis(drawn, 0, -1)


def detector_error(shape, deviation, seed=0):
    """(T, J, 2) pixels, drawn from the process that a detector's error is taken for.

    ``deviation`` in body sizes.
    """
    rng = np.random.default_rng(seed)
    lasting, white = rng.normal(size=(2, *shape, 2))
    memory = np.exp(-1 / LASTING)
    for t in range(1, shape[0]):
        lasting[t] = memory * lasting[t - 1] + np.sqrt(1 - memory**2) * lasting[t]
    return SIZE * deviation * (np.sqrt(1 - WHITE) * lasting + np.sqrt(WHITE) * white)


def estimate(process, observed, noise=0.0):
    """``carry`` for a body of constant size; noise (a number or (T, J)) in body sizes."""
    frames, joints = observed.shape[:2]
    noise = SIZE * np.broadcast_to(noise, (frames, joints))
    return carry(process, observed, np.full(frames, SIZE), noise)


INDEPENDENT = model(np.eye(3))
ALIKE = model([[1.0, 0.95, 0.0], [0.95, 1.0, 0.0], [0.0, 0.0, 1.0]])


# --- the estimate ---------------------------------------------------------------------------------


def test_without_noise_observations_are_reproduced():
    truth = draw(ALIKE, 60)
    found = estimate(ALIKE, truth)
    assert found.mean.shape == truth.shape and found.deviation.shape == truth.shape[:2]
    off = np.abs(found.mean - truth) / SIZE
    assert np.median(off) < ROUGHNESS and off.max() < 4 * ROUGHNESS
    assert found.deviation.max() < 1.5 * ROUGHNESS * SIZE
    assert (found.trust == 1).all()


def test_without_noise_even_a_gross_outlier_is_believed():
    """It is for others to say what is no observation."""
    truth = draw(ALIKE, 48)
    observed = truth.copy()
    observed[20, 0] += 1.5 * SIZE
    found = estimate(ALIKE, observed)
    assert (found.trust == 1).all()
    assert np.linalg.norm(found.mean[20, 0] - truth[20, 0]) > 0.5 * SIZE


def test_joints_without_noise_are_reproduced_beside_noisy_ones():
    truth = draw(ALIKE, 60)
    noise = np.zeros((60, 3))
    noise[:, 1] = 0.1
    noisy = truth.copy()
    noisy[:, 1] += detector_error((60, 1), 0.1)[:, 0]
    found = estimate(ALIKE, noisy, noise)
    exact = noise == 0
    assert np.abs(found.mean - truth)[exact].max() < 4 * ROUGHNESS * SIZE
    assert found.deviation[exact].max() < 1.5 * ROUGHNESS * SIZE < found.deviation[:, 1].min()
    # An error that lasts is found where an exact joint contradicts it.
    before, after = (np.abs(x - truth)[:, 1].mean() for x in (noisy, found.mean))
    assert after < 0.5 * before


def test_what_the_process_does_not_follow_is_no_part_of_the_estimate():
    """Exact observations that tremble: the more of that is roughness, the less is carried."""
    truth = draw(model(np.eye(1)), 60)
    observed = truth + 0.02 * SIZE * np.random.default_rng(1).normal(size=truth.shape)
    none = np.zeros((60, 1))
    fine, coarse = (
        carry(model(np.eye(1)), observed, np.full(60, SIZE), none, roughness=roughness)
        for roughness in (ROUGHNESS, 0.02)
    )
    off = [np.sqrt(((found.mean - truth) ** 2).mean()) for found in (fine, coarse)]
    assert off[1] < 0.75 * off[0]
    assert coarse.deviation.mean() > 2 * fine.deviation.mean()


def test_a_hole_in_time_is_interpolated():
    truth = draw(INDEPENDENT, 48)
    holed = truth.copy()
    holed[20:23, 1] = np.nan
    found = estimate(INDEPENDENT, holed)
    error = np.linalg.norm(found.mean - truth, axis=-1)[20:23, 1]
    assert error.max() < 0.2 * np.linalg.norm(truth, axis=-1).mean()
    # Better than a straight line, which does not know how smooth the process is.
    line = np.linspace(truth[19, 1], truth[23, 1], 5)[1:4]
    assert error.mean() < 0.7 * np.linalg.norm(line - truth[20:23, 1], axis=-1).mean()


def test_a_joint_that_is_never_seen_follows_the_one_it_goes_with():
    process = model([[1.0, 1.0, -0.6], [1.0, 1.0, -0.6], [-0.6, -0.6, 1.0]])
    truth = draw(process, 30)
    observed = truth.copy()
    observed[:, 1:] = np.nan
    found = estimate(process, observed)
    np.testing.assert_allclose(found.mean[:, 1], truth[:, 0], atol=4 * ROUGHNESS * SIZE)
    np.testing.assert_allclose(found.mean[:, 2], -0.6 * truth[:, 0], atol=4 * ROUGHNESS * SIZE)
    # Of the first nothing is left to be known; of the second 1 - .6 ** 2 of the variance.
    assert found.deviation[:, 1].max() < 0.1 * found.deviation[:, 2].min()


def test_a_joint_that_goes_with_no_other_stays():
    observed = draw(INDEPENDENT, 30)
    observed[:, 2] = np.nan
    assert np.abs(estimate(INDEPENDENT, observed).mean[:, 2]).max() < 1e-6 * SIZE


@pytest.mark.parametrize("frames", [1, 5, 60])
def test_nothing_observed_leaves_the_prior(frames):
    process = model(np.diag([1.0, 4.0]))
    found = estimate(process, np.full((frames, 2, 2), np.nan))
    assert not found.mean.any() and (found.trust == 1).all()
    np.testing.assert_allclose(
        found.deviation, np.broadcast_to([0.1 * SIZE, 0.2 * SIZE], (frames, 2)), rtol=1e-4
    )


def test_everything_scales_with_the_size_of_the_body():
    truth = draw(ALIKE, 40)
    truth[10:14, 0] = np.nan
    small = carry(ALIKE, truth, np.full(40, SIZE), np.full((40, 3), 2.0))
    large = carry(ALIKE, 3 * truth, np.full(40, 3 * SIZE), np.full((40, 3), 6.0))
    np.testing.assert_allclose(large.mean, 3 * small.mean, atol=1e-8)
    np.testing.assert_allclose(large.deviation, 3 * small.deviation, atol=1e-8)
    np.testing.assert_allclose(large.trust, small.trust)


@pytest.mark.parametrize("process, left", [(INDEPENDENT, 0.85), (ALIKE, 0.7)])
def test_noise_is_smoothed_away(process, left):
    """Of what lasts, the other joints tell."""
    truth = draw(process, 100)
    noisy = truth + detector_error((100, 3), 0.05)
    found = estimate(process, noisy, noise=0.05)
    error, before = (np.abs(x - truth)[:, :2].mean() for x in (found.mean, noisy))
    assert error < left * before
    # The jitter, which no person has, goes almost entirely.
    shake, still, real = (np.abs(np.diff(x, 2, axis=0)).mean() for x in (noisy, found.mean, truth))
    assert still < 0.2 * shake and still < real


def test_white_noise_is_smoothed_away_too():
    truth = draw(INDEPENDENT, 100)
    noisy = truth + 0.05 * SIZE * np.random.default_rng(5).normal(size=truth.shape)
    found = estimate(INDEPENDENT, noisy, noise=0.05)
    error, before = (np.abs(x - truth).mean() for x in (found.mean, noisy))
    assert error < 0.9 * before
    shake, still = (np.abs(np.diff(x, 2, axis=0)).mean() for x in (noisy, found.mean))
    assert still < 0.2 * shake


# --- how sure it is -------------------------------------------------------------------------------


def test_the_deviation_grows_with_the_distance_from_observations():
    truth = draw(INDEPENDENT, 24)
    truth[4:] = np.nan
    deviation = estimate(INDEPENDENT, truth).deviation[3:, 0]
    assert (np.diff(deviation) > 0).all()
    far = draw(INDEPENDENT, 3 * STRETCH)
    far[:, 1] = np.nan  # goes with nothing: only the prior is known
    far[STRETCH:, 0] = np.nan
    deviation = estimate(INDEPENDENT, far).deviation
    assert deviation[-1, 0] == pytest.approx(0.1 * SIZE, rel=0.3)
    assert deviation[: STRETCH // 2, 0].max() < 0.1 * deviation[-1, 0]


def test_the_deviation_is_the_size_of_the_error():
    rng = np.random.default_rng(1)
    ratios = []
    for seed in range(8):
        truth = draw(ALIKE, 48, seed)
        observed = np.where(rng.random((48, 3, 1)) < 0.6, np.nan, truth)
        found = estimate(ALIKE, observed)
        holes = np.isnan(observed[..., 0])
        ratios.append(((found.mean - truth) / found.deviation[..., None])[holes])
    assert np.sqrt(np.mean(np.concatenate(ratios) ** 2)) == pytest.approx(1.0, abs=0.3)


def test_the_deviation_is_the_size_of_the_error_of_noisy_observations():
    ratios = []
    for seed in range(8):
        truth = draw(ALIKE, 48, seed)
        noise = np.broadcast_to([0.02, 0.1, 0.05], (48, 3))
        found = estimate(ALIKE, truth + detector_error((48, 3), noise[..., None], seed), noise)
        ratios.append((found.mean - truth) / found.deviation[..., None])
        # The other joints and frames help: less is left than one observation's error.
        assert (found.deviation < noise * SIZE).all()
    assert np.sqrt(np.mean(np.square(ratios))) == pytest.approx(1.0, abs=0.3)


def test_a_livelier_stretch_is_known_less_well():
    truth = draw(INDEPENDENT, 24)
    truth[8:14, 0] = np.nan
    calm, lively = (estimate(INDEPENDENT, k * truth).deviation[11, 0] for k in (1, 3))
    assert lively > 1.5 * calm


# --- observations that all others contradict ------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 4])
def test_a_gross_outlier_is_distrusted_and_the_others_are_kept(frames):
    truth = draw(ALIKE, 48) + detector_error((48, 3), 0.01)
    observed = truth.copy()
    wrong = np.zeros((48, 3), bool)
    wrong[20 : 20 + frames, 0] = True
    observed[wrong] += 1.5 * SIZE
    found = estimate(ALIKE, observed, 0.01)
    assert found.trust[wrong].max() < 0.1 and found.trust[~wrong].min() > 0.7
    off = np.linalg.norm(found.mean - truth, axis=-1) / SIZE
    assert off[wrong].max() < 0.1 and off[~wrong].max() < 0.08


@pytest.mark.parametrize("process", [INDEPENDENT, ALIKE])
def test_distrusted_observations_leave_as_little_known_as_missing_ones(process):
    truth = draw(process, 40) + detector_error((40, 3), 0.01)
    observed, holed = truth.copy(), truth.copy()
    observed[9:12, 0] += 1.5 * SIZE
    holed[9:12, 0] = np.nan
    wrong, missing, right = (
        estimate(process, x, 0.01).deviation[10, 0] for x in (observed, holed, truth)
    )
    assert wrong == pytest.approx(missing, rel=0.2) and wrong > 1.05 * right


def test_the_further_off_the_less_an_observation_counts():
    truth = draw(ALIKE, 48)
    trust = []
    for away in (0.0, 0.3, 0.6, 1.5, 6.0):
        observed = truth.copy()
        observed[20, 0] += away * SIZE
        trust.append(estimate(ALIKE, observed, 0.02).trust[20, 0])
    assert trust == sorted(trust, reverse=True) and trust[0] > 0.9 > 0.3 > trust[1]
    assert 0 < trust[-1] < 0.05


@pytest.mark.parametrize("noise", [0.01, 0.05, 0.1])
def test_observations_that_agree_are_trusted(noise):
    for seed in range(3):
        observed = draw(ALIKE, 48, seed) + detector_error((48, 3), noise, seed)
        found = estimate(ALIKE, observed, noise)
        assert found.trust.min() > 0.35 and found.trust.mean() > 0.9


@pytest.mark.parametrize("step", [1.0, 0.5])
def test_trust_is_known_without_an_estimate(step):
    observed = draw(ALIKE, 70)
    observed[20:23, 0] += 2.0 * SIZE
    observed[40:50, 1] = np.nan
    given = ALIKE, observed, np.full(70, SIZE), np.full((70, 3), 0.05 * SIZE), step
    found = trust(*given)
    assert found[20:23, 0].max() < 0.3 and found[40:50, 1] == pytest.approx(1.0)
    np.testing.assert_allclose(found, carry(*given).trust, rtol=1e-12)


def test_missing_observations_have_full_trust():
    observed = draw(ALIKE, 30)
    observed[10:20, 1] = np.nan
    observed[5, 0] += 2 * SIZE
    found = estimate(ALIKE, observed, 0.02)
    assert (found.trust[10:20, 1] == 1).all() and found.trust[5, 0] < 0.5
    assert (found.trust >= 0).all() and (found.trust <= 1).all()


# --- long sequences -------------------------------------------------------------------------------


@pytest.mark.parametrize("noise, holes", [(0.0, 0.5), (0.05, 0.2)])
def test_pieces_leave_no_seam(monkeypatch, noise, holes):
    frames = 8 * STRETCH
    truth = draw(ALIKE, frames)
    rng = np.random.default_rng(2)
    observed = truth + detector_error((frames, 3), noise)
    observed[rng.random((frames, 3)) < holes] = np.nan
    whole = estimate(ALIKE, observed, noise)
    monkeypatch.setattr(residual, "PIECE", 2 * STRETCH)
    parts = estimate(ALIKE, observed, noise)
    assert not np.array_equal(parts.mean, whole.mean)  # or there was only one piece
    np.testing.assert_allclose(parts.mean, whole.mean, atol=0.1 * ROUGHNESS * SIZE)
    np.testing.assert_allclose(parts.deviation, whole.deviation, rtol=0.01)
    np.testing.assert_allclose(parts.trust, whole.trust, atol=0.01)


def test_a_long_hole_has_no_seam(monkeypatch):
    """Far from all observations stretches know different sides of the hole."""
    monkeypatch.setattr(in_time, "LENGTH", 16.0)
    lasting = model(np.eye(3))
    observed = draw(lasting, 4 * STRETCH) + SIZE
    observed[STRETCH - 4 : 3 * STRETCH + 4] = np.nan
    mean = estimate(lasting, observed).mean
    inside = slice(STRETCH - 4, 3 * STRETCH + 4)
    bends = np.abs(np.diff(mean, 2, axis=0))[inside]
    assert bends.max() < 0.05 * np.ptp(mean)


@pytest.mark.parametrize("phases", [2, 10])
def test_a_hole_is_filled_alike_at_any_frame_rate(monkeypatch, phases):
    monkeypatch.setattr(in_time, "LENGTH", 8.0)
    lasting = model(np.eye(3))
    slow = np.full((40, 3, 2), 0.1 * SIZE)
    fast = np.full((40 * phases, 3, 2), 0.1 * SIZE)
    slow[16:24], fast[16 * phases : 24 * phases - phases + 1] = np.nan, np.nan
    size, noise = np.full(len(fast), SIZE), np.zeros(fast.shape[:2])
    at_once = carry(lasting, slow, size[:40], noise[:40]).mean
    often = carry(lasting, fast, size, noise, step=1 / phases).mean
    np.testing.assert_allclose(often[::phases][10:30], at_once[10:30], atol=0.01 * SIZE)


def test_what_is_far_away_does_not_count():
    """So pieces may be estimated one after the other."""
    observed = draw(ALIKE, 4 * STRETCH)
    other = observed.copy()
    other[:6] += 0.1 * SIZE
    a, b = (estimate(ALIKE, x, 0.05) for x in (observed, other))
    far = 6 + MARGIN
    np.testing.assert_allclose(a.mean[far:], b.mean[far:], atol=0.1 * ROUGHNESS * SIZE)
    assert np.abs(a.mean - b.mean)[0].max() > 0.01 * SIZE


# --- against the definition -----------------------------------------------------------------------


@pytest.mark.parametrize("step", [1.0, 0.5, 2.0])
def test_a_stretch_is_estimated_as_by_the_formulas_of_kriging(monkeypatch, step):
    """With the covariance of all observations as one matrix, which costs the cube of their number.
    """
    monkeypatch.setattr(residual, "OUTLIER", 1e6)  # all count
    process = model([[1.0, 0.8, -0.3], [0.8, 1.0, 0.1], [-0.3, 0.1, 1.0]])
    frames, joints = STRETCH, 3
    noise = np.random.default_rng(4).uniform(0.0, 0.05, (frames, joints))
    noise[:, 2] = 0.0
    observed = 2 * draw(process, frames) + detector_error((frames, joints), noise[..., None])
    observed[np.random.default_rng(5).random((frames, joints)) < 0.3] = np.nan
    found = carry(process, observed, np.full(frames, SIZE), SIZE * noise, step)
    seen = np.isfinite(observed[..., 0])
    t, j = np.nonzero(seen)
    y, time = observed[seen] / SIZE, step * np.arange(frames)
    correlation = matern(time[:, None] - time)
    of_all = np.kron(correlation, process.covariance)
    rows = t * joints + j
    memory = (1 - WHITE) * np.exp(-np.abs(time[:, None] - time) / LASTING) + WHITE * np.eye(frames)
    error = np.where(j[:, None] == j, memory[t][:, t], 0.0) * np.outer(noise[seen], noise[seen])
    error += ROUGHNESS**2 * np.eye(len(y))
    inverse = np.linalg.inv(of_all[rows][:, rows] + error)
    alone = ((inverse @ y) ** 2).sum(-1) / np.diagonal(inverse)
    of_all *= np.median(alone) / 1.386
    gain = of_all[:, rows] @ np.linalg.inv(of_all[rows][:, rows] + error)
    mean = (gain @ y).reshape(frames, joints, 2)
    left = np.diagonal(of_all - gain @ of_all[rows]).reshape(frames, joints)
    left = np.where(seen & (noise == 0), ROUGHNESS**2, left)
    np.testing.assert_allclose(found.mean, SIZE * mean, atol=1e-7 * SIZE)
    np.testing.assert_allclose(found.deviation, SIZE * np.sqrt(left), rtol=1e-6)


# --- the model ------------------------------------------------------------------------------------


def test_the_fitted_covariance_can_be_inverted():
    flat = ResidualMoments.default(2)._replace(covariance=0.01 * np.ones((4, 4)))
    fitted = ResidualModel.fit(flat)
    assert np.linalg.eigvalsh(fitted.covariance).min() > 0
    np.testing.assert_allclose(fitted.covariance, 0.01 * np.ones((2, 2)), atol=1e-6)


def test_the_fitted_covariance_is_the_mean_of_both_coordinates():
    between = np.array([[4.0, 1.0, 0.6, 0.0], [1.0, 2.0, 0.0, 0.2],
                        [0.6, 0.0, 1.0, 0.0], [0.0, 0.2, 0.0, 3.0]])
    fitted = ResidualModel.fit(ResidualMoments.default(2)._replace(covariance=between))
    np.testing.assert_allclose(fitted.covariance, [[3.0, 0.4], [0.4, 2.0]], rtol=1e-4)


def moving(coefficients, frames=40, step=1.0):
    """(T, 4, 2) pixels, joints whose coordinates are polynomials of the time, of growing degree."""
    time = step * np.arange(frames)[:, None, None]
    rng = np.random.default_rng(3)
    poses = np.tile(300 + 50 * rng.normal(size=(4, 2)), (frames, 1, 1))
    for degree, coefficient in enumerate(coefficients, 1):
        poses += coefficient * time**degree * rng.normal(size=(4, 2))
    return poses


def expect(poses, step=1.0, calibration=None):
    """``expect`` for people of ``SIZE``."""
    process = model(np.eye(poses.shape[1]))
    if calibration is not None:
        process = dataclasses.replace(process, calibration=calibration)
    return process.expect(poses, np.full(len(poses), SIZE), step)


def test_legs_and_hips_are_fitted_apart_from_what_is_above_them():
    skeleton = get_skeleton("body25")
    root = np.random.default_rng(3).normal(size=(50, 50))
    moments = ResidualMoments.default(25)._replace(covariance=root @ root.T)
    fitted, whole = ResidualModel.fit(moments, skeleton), ResidualModel.fit(moments)
    ends = "hip", "knee", "ankle", "toe", "heel"
    legs = [joint for joint in skeleton.joints if joint.endswith(ends)]
    below = skeleton.mask(legs)
    assert below.sum() == 13 and (fitted.apart == below).all() and not whole.apart.any()
    rng = np.random.default_rng(0)
    seen = np.full((30, 25, 2), np.nan)
    seen[:, below] = rng.normal(0, 5, (30, 13, 2))
    size, noise = np.full(30, 100.0), np.zeros((30, 25))
    told, all_told = (carry(model, seen, size, noise) for model in (fitted, whole))
    assert not told.mean[:, ~below].any() and told.mean[:, below].all()
    assert all_told.mean.all()


@pytest.mark.parametrize("coefficients", [(), (3.0,), (3.0, 0.2)])
@pytest.mark.parametrize("step", [1.0, 0.5, 2.0])
def test_motion_along_parabolas_is_expected_as_it_was_generated(coefficients, step):
    poses = moving(coefficients, step=step)
    np.testing.assert_allclose(expect(poses, step), poses, atol=1e-6)


def test_trembling_is_not_expected():
    poses = moving((3.0, 0.2))
    jitter = 4 * np.random.default_rng(4).normal(size=poses.shape)
    left = expect(poses + jitter) - poses
    assert np.std(left) < 0.6 * np.std(jitter)
    shake, still = (np.abs(np.diff(x, 2, axis=0)).mean() for x in (jitter, left))
    assert still < 0.1 * shake
    zigzag = 4.0 * (-1) ** np.arange(40)[:, None, None]
    # At the ends the parabola is less sure.
    assert np.abs(expect(poses + zigzag) - poses)[5:-5].max() < 1.0


@pytest.mark.parametrize("step", [0.25, 0.5, 1.0, 2.0])
def test_motion_is_smoothed_over_the_same_time_at_any_frame_rate(step):
    """One displaced frame moves those around it, as far as the window reaches."""
    poses = moving((), frames=121)
    displaced = poses.copy()
    displaced[60] += SIZE
    moved = np.abs(expect(displaced, step) - poses).max(axis=(1, 2)) > 1e-6
    reach = np.flatnonzero(moved) - 60
    assert reach[0] == -reach[-1]
    assert abs(2 * reach[-1] + 1 - SMOOTHING / step) <= 1


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 10, 11, 12])
@pytest.mark.parametrize("step", [0.1, 1.0, 6.0, 25.0])
def test_short_tracks_are_smoothed_as_far_as_they_reach(frames, step):
    poses = moving((3.0, 0.2), frames)
    given = poses.copy()
    np.testing.assert_allclose(expect(poses, step), poses, atol=1e-6)
    np.testing.assert_array_equal(poses, given)  # of the caller
    if frames > 4 and step == 1.0:
        shaken = poses + 4 * np.random.default_rng(5).normal(size=poses.shape)
        shake, still = (np.abs(np.diff(x, 2, axis=0)).mean() for x in (shaken, expect(shaken)))
        assert still < 0.5 * shake


def test_the_mean_residual_of_a_pose_is_expected():
    rng = np.random.default_rng(0)
    linear = rng.normal(size=(7, 6))
    pose = rng.normal(size=(3, 2)) * 100 + 300
    poses = np.stack([pose + 5 * t for t in range(20)])  # the same, elsewhere
    found = expect(poses, calibration=linear)
    features = np.append(((pose - pose.mean(axis=0)) / SIZE).ravel(), 1.0)
    np.testing.assert_allclose(found, poses + SIZE * (features @ linear).reshape(3, 2))


def test_the_mean_residual_is_that_of_the_smoothed_pose_and_its_size():
    rng = np.random.default_rng(0)
    linear = rng.normal(size=(7, 6))
    process = dataclasses.replace(model(np.eye(3)), calibration=linear)
    poses = rng.normal(size=(30, 3, 2)) * 100 + 300
    size = rng.uniform(50, 100, 30)
    smooth = expect(poses)
    found = process.expect(poses, size)
    for t in range(30):
        features = np.append(((smooth[t] - smooth[t].mean(axis=0)) / size[t]).ravel(), 1.0)
        wanted = smooth[t] + size[t] * (features @ linear).reshape(3, 2)
        np.testing.assert_allclose(found[t], wanted)


def test_poses_are_completed_from_any_of_their_joints():
    inputs = np.array([True, False, True, True])
    rng = np.random.default_rng(1)
    root = rng.normal(size=(9, 9))
    process = dataclasses.replace(model(np.eye(4)), poses=root @ root.T)
    poses = rng.normal(size=(5, 4, 2)) * 100 + 300
    size = rng.uniform(50, 100, 5)
    found = process.regress(poses, size, inputs)
    # Of samples with these moments, by least squares with a penalty.
    samples = np.linalg.qr(rng.normal(size=(20, 9)))[0] @ root.T  # of these moments
    about = samples[:, :8].reshape(20, 4, 2)
    about = (about - about[:, inputs].mean(axis=1, keepdims=True)).reshape(20, 8)
    known = np.append(np.repeat(inputs, 2), True)
    features = np.append(about, samples[:, 8:], axis=1)[:, known]
    gram = features.T @ features + 1e-3 * np.eye(known.sum())
    weights = np.linalg.solve(gram, features.T @ about)
    for t in range(5):
        center = poses[t, inputs].mean(axis=0)
        shown = np.append(((poses[t] - center) / size[t]).ravel(), 1.0)[known]
        np.testing.assert_allclose(found[t], center + size[t] * (shown @ weights).reshape(4, 2))
    # What stands at other joints does not matter; place and size are those of the pose.
    poses[:, ~inputs] += 1000.0
    np.testing.assert_allclose(process.regress(poses, size, inputs), found)
    np.testing.assert_allclose(
        process.regress(3 * poses + 50.0, 3 * size, inputs), 3 * found + 50.0)


def test_a_measured_linear_law_is_recovered():
    """From training windows to pictures."""
    inputs = np.array([True, True, True, False])
    rng = np.random.default_rng(2)
    x = rng.normal(size=(200, 8, 4, 2))
    share = np.array([0.5, 0.8, -0.3])  # adds up to 1: the same wherever the pose is
    x[..., 3, :] = np.einsum("nfjx,j->nfx", x[..., :3, :], share)
    process = ResidualModel.fit(residual_moments(x.astype("f4"), x.astype("f4")))
    poses = 100 * x[0] + 300
    found = process.regress(poses, body_size(poses), inputs)
    np.testing.assert_allclose(found, poses, atol=0.01 * np.ptp(poses))


def test_without_moments_of_poses_there_is_no_regression():
    assert not ResidualModel.fit(ResidualMoments.default(5)).regresses


def test_the_correlation_is_a_matern_one():
    lags = np.linspace(-60, 60, 241)
    np.testing.assert_allclose(in_time.matern(lags), matern(lags), atol=1e-9)
