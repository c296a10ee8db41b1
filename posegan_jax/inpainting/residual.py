"""What the generator does not say, carried from where it was observed to where it was not.

The generated motion explains the observed joints up to a residual. That residual is smooth in time
and correlated between joints, so it is known, in part, at the joints and frames that were missing:
the best linear estimate is a Gaussian process's (kriging; C. Rasmussen and C. Williams, Gaussian
Processes for Machine Learning, 2006, chapter 2). The process's covariance is separable,

    cov(r[t, j], r[t', k]) = covariance[j, k] correlation(t - t') size[t] size[t'],

learned from the residuals of training windows, in units of the body's size in the picture. One
formula then fills holes, bridges gaps, upsamples, and, with the detector's noise as the process's
nugget, removes jitter; observations that the others contradict are weighed down.
"""

import dataclasses

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import nnls

CORE = 48
"""Frames that are estimated at a time."""
MARGIN = 24
"""Frames on each side whose observations count for them."""
LENGTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Length scales, in frames, of the Gaussians that the correlation is made of."""
OUTLIER = 3.0
"""Standard deviations from the others' prediction at which an observation begins to lose weight."""
TINY = 1e-6


@dataclasses.dataclass(frozen=True)
class ResidualModel:
    """Second moments of the residuals.

    Attributes:
      covariance: (J, J) between joints at one frame, for one coordinate, in squared body sizes.
      weights: of the Gaussian correlations with ``LENGTHS``; they add up to 1.
    """

    covariance: np.ndarray
    weights: np.ndarray

    @classmethod
    def fit(cls, covariance: np.ndarray, correlation: np.ndarray) -> "ResidualModel":
        """From measured moments.

        Args:
          covariance: (J, J).
          correlation: (L,) at lags 0 to L - 1. A mixture of Gaussians with positive weights is
            fitted to it, so that it holds for any lag and is a valid correlation.
        """
        lags = np.arange(len(correlation))
        # Half the weight of a lag's row follows how many pairs of frames are that far apart.
        importance = np.sqrt(len(lags) - lags)
        weights, _ = nnls(_gaussians(lags) * importance[:, None], correlation * importance)
        total = weights.sum()
        covariance = np.asarray(covariance, np.float64)
        if not total > 0:
            weights, total = np.eye(len(LENGTHS))[3], 1.0
        jitter = TINY * max(np.trace(covariance) / len(covariance), TINY)
        return cls(covariance + jitter * np.eye(len(covariance)), weights / total)

    def correlation(self, lags: np.ndarray) -> np.ndarray:
        """Correlation at any lags, of their shape."""
        return _gaussians(lags) @ self.weights


@dataclasses.dataclass(frozen=True)
class Carried:
    """An estimate of the residual.

    Attributes:
      mean: (T, J, 2) pixels.
      deviation: (T, J) standard deviation per coordinate, pixels.
      trust: (T, J) weight from 0 to 1 that observations kept; 1 where nothing was observed.
    """

    mean: np.ndarray
    deviation: np.ndarray
    trust: np.ndarray


def carry(
    model: ResidualModel, residual: np.ndarray, size: np.ndarray, noise: np.ndarray, robust: bool
) -> Carried:
    """Estimates the residual of every joint and frame from the observed ones.

    Args:
      model: moments of the residuals.
      residual: (T, J, 2) observed minus generated, pixels; NaN where missing.
      size: (T,) body size, pixels.
      noise: (T, J) standard deviation per coordinate of the detector's error, pixels; 0 makes the
        estimate equal the observation.
      robust: weigh down observations that all others contradict.

    Returns:
      The estimate; time and memory grow linearly with T.
    """
    length, joints = residual.shape[:2]
    result = Carried(
        np.zeros((length, joints, 2)), np.zeros((length, joints)), np.ones((length, joints))
    )
    relative = residual / size[:, None, None]
    relative_noise = noise / size[:, None]
    for start in range(0, length, CORE):
        stop = min(start + CORE, length)
        low, high = max(start - MARGIN, 0), min(stop + MARGIN, length)
        around, core = slice(low, high), slice(start - low, stop - low)
        mean, deviation, trust = _krige(model, relative[around], relative_noise[around], robust)
        result.mean[start:stop] = mean[core] * size[start:stop, None, None]
        result.deviation[start:stop] = deviation[core] * size[start:stop, None]
        result.trust[start:stop] = trust[core]
    return result


def body_size(poses: np.ndarray) -> np.ndarray:
    """(T,) root mean square distance of a pose's joints from their mean, averaged over a second.

    Args:
      poses: (T, J, 2) complete poses.
    """
    centered = poses - poses.mean(axis=1, keepdims=True)
    size = np.sqrt((centered**2).sum(-1).mean(-1))
    window = min(25, len(size))
    padded = np.pad(size, (window // 2, window - 1 - window // 2), mode="edge")
    return np.maximum(np.convolve(padded, np.ones(window) / window, "valid"), TINY)


def jitter(keypoints: np.ndarray) -> np.ndarray:
    """Standard deviation per coordinate of each joint's frame-to-frame noise, (T, J, 2) -> (J,).

    From the median size of fourth differences: human motion has little of them, and the median
    leaves fast stretches aside. White noise of variance 1 has fourth differences of variance 70.
    0 for joints with too few frames in a row.
    """
    fourth = np.abs(np.diff(keypoints, n=4, axis=0))
    result = np.zeros(keypoints.shape[1])
    for joint in range(keypoints.shape[1]):
        values = fourth[:, joint]
        values = values[np.isfinite(values)]
        if len(values) >= 8:
            result[joint] = np.median(values) / 0.6745 / np.sqrt(70.0)
    return result


def _krige(model, residual, noise, robust):
    """Mean (T, J, 2), deviation (T, J), trust (T, J) in body sizes, for one stretch."""
    length, joints = residual.shape[:2]
    time = np.arange(length)
    correlation = model.correlation(time[:, None] - time)
    seen = np.isfinite(residual[..., 0])
    t, j = np.nonzero(seen)
    trust = np.ones((length, joints))
    variance = np.broadcast_to(np.diagonal(model.covariance), (length, joints))
    if not len(t):
        return np.zeros_like(residual), np.sqrt(variance), trust
    y = residual[t, j]
    prior = correlation[np.ix_(t, t)] * model.covariance[np.ix_(j, j)]
    nugget = noise[t, j] ** 2 + TINY * np.diagonal(prior)
    scale = 1.0
    inverse = _inverse(prior, nugget)
    for _ in range(3 if robust else 1):
        scale, extra = _reweigh(inverse, y, scale)
        if not robust:
            break
        inverse = _inverse(scale * prior, nugget + extra)
        trust[t, j] = 1.0 / (1.0 + extra / np.maximum(scale * np.diagonal(prior) * 0.05, TINY**2))
    if not robust:
        inverse = _inverse(scale * prior, nugget)
    gain = inverse @ y  # (n, 2)
    mean = np.zeros_like(residual)
    spent = np.zeros((length, joints))
    for joint in range(joints):
        cross = scale * correlation[:, t] * model.covariance[joint, j]  # (T, n)
        mean[:, joint] = cross @ gain
        spent[:, joint] = ((cross @ inverse) * cross).sum(-1)
    left = np.maximum(scale * variance - spent, 0.0)
    return mean, np.sqrt(left), trust


def _reweigh(inverse, y, scale):
    """The process's scale and the observations' extra variances from leave-one-out errors.

    An observation's error when predicted from all others, and that error's variance, follow from
    the inverse covariance (Rasmussen and Williams, 2006, section 5.4.2).
    """
    precision = np.diagonal(inverse)
    variance = 1.0 / precision
    error = ((inverse @ y) * variance[:, None]) ** 2
    standard = error.sum(-1) / variance
    # How much livelier than the training residuals this stretch is; the median of a chi-square of
    # two degrees is 1.386.
    ratio = np.clip(np.median(standard) / 1.386, 0.05, 20.0)
    excess = standard / ratio / (2 * OUTLIER**2)
    return scale * ratio, variance * ratio * np.where(excess > 0.5, excess**2, 0.0)


def _inverse(prior, nugget):
    matrix = prior + np.diag(nugget)
    return cho_solve(cho_factor(matrix, lower=True), np.eye(len(matrix)))


def _gaussians(lags: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * (np.asarray(lags)[..., None] / np.asarray(LENGTHS)) ** 2)
