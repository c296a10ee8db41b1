"""Baselines over time, against motion for which their answer is known."""

import numpy as np
import pytest
from scipy import signal

from posegan_jax.evaluation.temporal import (
    butterworth,
    cubic,
    interpolate,
    kalman,
    last_value,
    one_euro,
    savitzky_golay,
)

ALL = {
    "last": last_value, "linear": interpolate, "cubic": cubic,
    "savitzky-golay": lambda x: savitzky_golay(x, 0.36),
    "butterworth": lambda x: butterworth(x, 5.0),
    "one-euro": lambda x: one_euro(x, 2.0, 3.0),
    "kalman": lambda x: kalman(x, 0.01, 0.01),
}
SMOOTHERS = ("savitzky-golay", "butterworth", "one-euro", "kalman")
every_method = pytest.mark.parametrize("name", ALL)


def track(frames=60, joints=5, seed=0):
    """(T, J, 2): somebody about 100 pixels tall who sways slowly."""
    rng = np.random.default_rng(seed)
    phase, place = rng.uniform(0, 6, (joints, 2)), 100 * rng.random((joints, 2))
    return place + 30 * np.sin(np.arange(frames)[:, None, None] / 12 + phase)


def with_holes(keypoints, rate=0.3, seed=1):
    holes = np.random.default_rng(seed).random(keypoints.shape[:2]) < rate
    return np.where(holes[..., None], np.nan, keypoints), holes


@every_method
def test_holes_are_filled_and_joints_never_seen_are_not(name):
    keypoints, _ = with_holes(track())
    keypoints[:, 2] = np.nan
    given = keypoints.copy()
    result = ALL[name](keypoints)
    np.testing.assert_array_equal(keypoints, given)
    assert result.shape == keypoints.shape and np.isnan(result[:, 2]).all()
    assert np.isfinite(np.delete(result, 2, axis=1)).all()
    if name not in SMOOTHERS:
        seen = np.isfinite(given)
        np.testing.assert_allclose(result[seen], given[seen], rtol=1e-12)


@every_method
def test_joints_and_coordinates_do_not_see_each_other(name):
    keypoints, _ = with_holes(track())
    swapped = ALL[name](keypoints[:, ::-1, ::-1])
    np.testing.assert_allclose(swapped, ALL[name](keypoints)[:, ::-1, ::-1], atol=1e-9)


@every_method
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_short_tracks(name, frames):
    keypoints = track(frames)
    keypoints[-1:, 0] = np.nan if frames > 1 else keypoints[-1:, 0]
    assert np.isfinite(ALL[name](keypoints)).all()


@every_method
def test_somebody_who_stands_still_does_so(name):
    keypoints = np.broadcast_to(track(1), (40, 5, 2))
    holey, _ = with_holes(keypoints)
    np.testing.assert_allclose(ALL[name](holey), keypoints, atol=1e-6)


def test_the_last_value_stays():
    keypoints = np.full((7, 1, 2), np.nan)
    keypoints[2, 0], keypoints[4, 0] = (1.0, 10.0), (2.0, 20.0)
    assert last_value(keypoints)[:, 0, 0].tolist() == [1, 1, 1, 1, 2, 2, 2]


def test_interpolation_is_linear_between_and_constant_beyond():
    keypoints = np.full((7, 1, 2), np.nan)
    keypoints[1, 0], keypoints[4, 0] = (10.0, 100.0), (40.0, 40.0)
    result = interpolate(keypoints)
    np.testing.assert_allclose(result[:, 0, 0], [10, 10, 20, 30, 40, 40, 40])
    np.testing.assert_allclose(result[:, 0, 1], [100, 100, 80, 60, 40, 40, 40])


def test_a_natural_spline_is_exact_on_natural_splines():
    # Straight at both ends (no second derivative there) and smooth in the middle, at frame 20: a
    # natural spline with a knot there, and the only one through any frames that hold the knot.
    time = np.arange(41.0)
    half = np.minimum(time, 40 - time)
    truth = np.stack([3 * 20**2 * half - half**3, 5 * time], axis=-1)[:, None]
    holey = truth.copy()
    holey[[3, 4, 11, 12, 27, 30, 33]] = np.nan
    np.testing.assert_allclose(cubic(holey), truth, atol=1e-6)
    assert np.abs(interpolate(holey) - truth).max() > 10


def test_savitzky_golay_keeps_polynomials_of_its_order():
    time = np.arange(50.0)
    parabola = np.stack([0.1 * time**2 - 3 * time, -0.2 * time**2], axis=-1)[:, None]
    np.testing.assert_allclose(savitzky_golay(parabola, 0.36, 2), parabola, atol=1e-8)
    assert np.abs(savitzky_golay(parabola**2, 0.36, 2) - parabola**2).max() > 1


@pytest.mark.parametrize(("hertz", "share"), [(0.5, 1.0), (5.0, 0.5), (11.0, 0.0)])
def test_butterworth_halves_the_amplitude_at_its_cutoff(hertz, share):
    """3 dB per pass, two passes: half the amplitude."""
    time = np.arange(400) / 25
    wave = np.sin(2 * np.pi * hertz * time + 0.4)
    result = butterworth(np.stack([wave, wave], -1)[:, None], 5.0)[100:300, 0, 0]
    gain = result @ wave[100:300] / (wave[100:300] @ wave[100:300])
    assert gain == pytest.approx(share, abs=0.01)
    assert np.abs(result - share * wave[100:300]).max() < 0.02  # no lag


def test_one_euro_is_an_exponential_filter_at_rest_and_open_in_motion():
    keypoints = track()
    cutoff = 2.0
    share = 1 / (1 + 25 / (2 * np.pi * cutoff))
    expected = signal.lfilter([share], [1, share - 1], keypoints, axis=0,
                              zi=(1 - share) * keypoints[:1])[0]
    np.testing.assert_allclose(one_euro(keypoints, cutoff, 0.0), expected, atol=1e-9)
    lags = [np.abs(one_euro(keypoints, cutoff, beta) - keypoints).mean() for beta in (0, 10, 1000)]
    assert lags[0] > lags[1] > lags[2] and lags[2] < 0.1 * lags[0]


def test_the_smoother_goes_straight_through_a_hole_at_constant_velocity():
    time = np.arange(60.0)[:, None, None]
    straight = time * np.array([[3.0, -1.0]]) + 100 * np.random.default_rng(0).random((4, 2))
    holey = straight.copy()
    holey[20:35] = np.nan
    holey[50:] = np.nan  # beyond the last observation it goes on
    np.testing.assert_allclose(kalman(holey, 0.001, 0.001), straight, atol=0.5)
    assert np.abs(interpolate(holey) - straight).max() > 10


def test_the_smoother_is_the_least_squares_solution():
    """Smoothing = minimising squared observation errors and changes of velocity, weighted."""
    rng = np.random.default_rng(3)
    keypoints = track(30, 2) + rng.normal(size=(30, 2, 2))
    keypoints[8:12, 0] = np.nan
    present = keypoints[np.isfinite(keypoints[..., 0]).any(1)]
    height = np.median((np.nanmax(present, 1) - np.nanmin(present, 1)).max(-1))
    acceleration, noise = 0.01, 0.02
    seen = np.isfinite(keypoints[:, 0, 0])
    z = keypoints[:, 0, 0] / height
    # Unknowns: place and velocity at the start, and one acceleration per step.
    unit = np.eye(31)
    place, velocity, rows = unit[0], unit[1], [unit[0]]
    for t in range(29):
        change = unit[2 + t]
        place, velocity = place + velocity + 0.5 * change, velocity + change
        rows.append(place)
    rows = np.stack(rows)
    prior = np.concatenate([[1.0, 0.1], np.full(29, acceleration**2)])
    first = np.zeros(31)
    first[0] = z[0]
    normal = rows[seen].T @ rows[seen] / noise**2 + np.diag(1 / prior)
    solved = np.linalg.solve(normal, rows[seen].T @ z[seen] / noise**2 + first / prior)
    result = kalman(keypoints, acceleration, noise)
    np.testing.assert_allclose(result[:, 0, 0], height * rows @ solved, atol=1e-6)


@pytest.mark.parametrize("name", SMOOTHERS)
def test_smoothers_smooth(name):
    clean = track(200)
    noisy = clean + np.random.default_rng(2).normal(size=clean.shape)
    rough = np.abs(np.diff(noisy - clean, n=2, axis=0)).mean()
    assert np.abs(np.diff(ALL[name](noisy) - clean, n=2, axis=0)).mean() < 0.75 * rough


def test_rates_in_hertz_hold_at_any_frame_rate():
    fast = track(120) * 1.0
    slow = fast[::2]
    for method, value in ((savitzky_golay, 0.36), (butterworth, 4.0)):
        one, two = method(fast, value, fps=50.0)[::2], method(slow, value, fps=25.0)
        np.testing.assert_allclose(one[10:-10], two[10:-10], atol=0.35)
    np.testing.assert_allclose(
        kalman(fast, 0.01, 1e-4, fps=50.0)[::2][10:-10], slow[10:-10], atol=0.2
    )
