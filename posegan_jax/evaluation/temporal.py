"""What users do instead: every joint on its own, interpolated or smoothed over time.

All functions take and give (T, J, 2) pixels. Holes, NaN, are filled in joints that are observed at
all; the others stay NaN. ``tune`` says how their parameters were chosen.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage, signal
from scipy.interpolate import CubicSpline, PchipInterpolator

from posegan_jax.pose.rate import MODEL_FPS


def last_value(keypoints: np.ndarray) -> np.ndarray:
    """A joint stays where it was last seen; before it was first seen, where it will be."""
    result = keypoints.copy()
    for joint, seen in _seen_joints(keypoints):
        index = np.flatnonzero(seen)
        latest = np.searchsorted(index, np.arange(len(keypoints)), side="right") - 1
        result[:, joint] = keypoints[index[np.maximum(latest, 0)], joint]
    return result


def interpolate(keypoints: np.ndarray) -> np.ndarray:
    """Linear between observations; constant beyond the first and the last one."""
    result = keypoints.copy()
    time = np.arange(len(keypoints))
    for joint, seen in _seen_joints(keypoints):
        for c in range(2):
            result[:, joint, c] = np.interp(time, time[seen], keypoints[seen, joint, c])
    return result


def cubic(keypoints: np.ndarray) -> np.ndarray:
    """A natural cubic spline through the observations; constant beyond the first and the last."""
    result = interpolate(keypoints)
    time = np.arange(len(keypoints))
    for joint, seen in _seen_joints(keypoints):
        index = np.flatnonzero(seen)
        if 3 <= len(index) < len(time):
            spline = CubicSpline(index, keypoints[index, joint], bc_type="natural")
            result[:, joint] = spline(np.clip(time, index[0], index[-1]))
    return result


def savitzky_golay(
    keypoints: np.ndarray, seconds: float, order: int = 2, fps: float = MODEL_FPS
) -> np.ndarray:
    """Local polynomials (A. Savitzky and M. Golay, 1964) after linear interpolation.

    Args:
      keypoints: observations.
      seconds: span of frames that a polynomial is fitted to.
      order: of the polynomials.
      fps: frames per second.
    """
    window = 2 * round(seconds * fps / 2) + 1
    return _filtered(keypoints, lambda filled: _polynomials(filled, window, order))


def pchip(keypoints: np.ndarray) -> np.ndarray:
    """Cubics that keep the shape of what is observed, without overshoot (F. Fritsch, J. Butland,
    1984); before the first observation and after the last one that one."""
    result, time = keypoints.copy(), np.arange(len(keypoints))
    for joint, there in _seen_joints(keypoints):
        knots = np.flatnonzero(there)
        if len(knots) > 1:
            inside = np.clip(time, knots[0], knots[-1])
            result[:, joint] = PchipInterpolator(knots, keypoints[knots, joint])(inside)
        else:
            result[:, joint] = keypoints[knots[0], joint]
    return result


def gaussian(keypoints: np.ndarray, seconds: float, fps: float = MODEL_FPS) -> np.ndarray:
    """A Gaussian filter of this standard deviation, after linear interpolation."""
    return _filtered(
        keypoints,
        lambda filled: ndimage.gaussian_filter1d(filled, seconds * fps, axis=0, mode="nearest"),
    )


def butterworth(
    keypoints: np.ndarray, cutoff: float, order: int = 2, fps: float = MODEL_FPS
) -> np.ndarray:
    """A low-pass filter forward and backward, without lag, after linear interpolation.

    Args:
      keypoints: observations.
      cutoff: Hz.
      order: of the filter; both passes together have twice as much.
      fps: frames per second, more than twice the cutoff.
    """
    sections = signal.butter(order, cutoff, fs=fps, output="sos")
    padding = min(3 * (2 * len(sections) + 1), len(keypoints) - 1)
    return _filtered(
        keypoints, lambda filled: signal.sosfiltfilt(sections, filled, axis=0, padlen=padding)
    )


def one_euro(
    keypoints: np.ndarray, cutoff: float, beta: float, derivative_cutoff: float = 1.0,
    fps: float = MODEL_FPS,
) -> np.ndarray:
    """The filter of live applications: smoother where slow (G. Casiez et al., CHI 2012).

    It is causal, and so lags. Speeds are taken in heights of the person per second.

    Args:
      keypoints: observations.
      cutoff: Hz, at rest.
      beta: Hz that the cutoff rises per unit of speed.
      derivative_cutoff: Hz, of the speed itself.
      fps: frames per second.
    """
    filled = interpolate(keypoints)
    height = _height(keypoints)
    result, speed = filled.copy(), np.zeros(filled.shape[1:])
    for t in range(1, len(filled)):
        rate = (filled[t] - result[t - 1]) * fps / height
        speed += _smoothing(derivative_cutoff, fps) * (rate - speed)
        share = _smoothing(cutoff + beta * np.abs(speed), fps)
        result[t] = result[t - 1] + share * (filled[t] - result[t - 1])
    return result


def kalman(
    keypoints: np.ndarray, acceleration: float, noise: float, fps: float = MODEL_FPS
) -> np.ndarray:
    """Kalman filter of constant velocity and the smoother of H. Rauch, F. Tung, C. Striebel (1965).

    Holes are predicted through, not interpolated before.

    Args:
      keypoints: observations.
      acceleration: standard deviation of the change of velocity from one frame to the next at 25
        frames per second, in heights of the person per frame.
      noise: standard deviation of an observation, in heights.
      fps: frames per second.
    """
    acceleration = acceleration * (MODEL_FPS / fps) ** 2
    height = _height(keypoints)
    z = keypoints / height
    steps, joints = z.shape[:2]
    move = np.array([[1.0, 1.0], [0.0, 1.0]])
    process = acceleration**2 * np.array([[0.25, 0.5], [0.5, 1.0]])
    first = np.stack([interpolate(z)[0], np.zeros((joints, 2))], axis=1)  # (J, state, coordinate)
    states, predicted = np.empty((2, steps, joints, 2, 2))
    spreads, expected = np.empty((2, steps, joints, 2, 2))
    state, spread = first, np.broadcast_to(np.diag([1.0, 0.1]), (joints, 2, 2))
    for t in range(steps):
        if t:
            state, spread = move @ state, move @ spread @ move.T + process
        predicted[t], expected[t] = state, spread
        # A joint that is missing has an observation of no weight.
        weight = np.isfinite(z[t, :, 0]) / (spread[:, 0, 0] + noise**2)
        gain = spread[:, :, :1] * weight[:, None, None]
        state = state + gain * (np.nan_to_num(z[t]) - state[:, 0])[:, None]
        spread = spread - gain @ spread[:, :1]
        states[t], spreads[t] = state, spread
    for t in range(steps - 2, -1, -1):
        back = spreads[t] @ move.T @ np.linalg.inv(expected[t + 1])
        states[t] = states[t] + back @ (states[t + 1] - predicted[t + 1])
    return states[:, :, 0] * height


def _seen_joints(keypoints: np.ndarray):
    """Joints that are observed at all, and (T,) where."""
    seen = np.isfinite(keypoints[..., 0])
    return [(joint, seen[:, joint]) for joint in np.flatnonzero(seen.any(axis=0))]


def _filtered(keypoints: np.ndarray, smooth: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """``smooth`` on what linear interpolation gives of the joints that are observed at all."""
    result = keypoints.copy()
    seen = np.isfinite(keypoints[..., 0]).any(axis=0)
    if seen.any():
        result[:, seen] = smooth(interpolate(keypoints[:, seen]))
    return result


def _polynomials(filled: np.ndarray, window: int, order: int) -> np.ndarray:
    window = min(window, len(filled) - 1 + len(filled) % 2)  # odd, and no longer than the clip
    if window <= order:
        return filled
    return signal.savgol_filter(filled, window, order, axis=0)


def _height(keypoints: np.ndarray) -> float:
    """Of the box around what is seen: the largest side, the median over frames with something."""
    present = np.isfinite(keypoints[..., 0]).any(axis=1)
    side = (np.nanmax(keypoints[present], axis=1) - np.nanmin(keypoints[present], axis=1)).max(-1)
    return max(float(np.median(side)), 1e-6)


def _smoothing(cutoff, fps: float):
    """Share of the new value in an exponential filter."""
    ratio = 2 * np.pi * cutoff / fps
    return ratio / (ratio + 1)
