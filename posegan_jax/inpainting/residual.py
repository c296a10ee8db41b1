"""What the generator does not say, carried from where it was observed to where it was not.

The generated motion explains the observed joints up to a residual. That residual is smooth in time
and correlated between joints, so it is known, in part, at the joints and frames that were missing:
the best linear estimate is that of a Gaussian process (kriging; C. Rasmussen and C. Williams,
Gaussian Processes for Machine Learning, 2006, chapter 2). The covariance of the process is
separable,

    cov(r[t, j], r[u, k]) = covariance[j, k] correlation(t - u) size[t] size[u]

over frames t, u and joints j, k, the same for x and y, learned from the residuals of training
windows, in units of the body's size in the picture. (Telling x from y and counting what one says of
the other gains 0.001 of AUC at eight times the cost.) One formula then fills holes, bridges gaps, upsamples, and, with the
detector's noise as the nugget of the process, removes jitter; observations that all others
contradict are weighed down.
"""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
from scipy.linalg import lapack, solve_triangular
from scipy.optimize import nnls

from posegan_jax.geometry.moments import ResidualMoments

STRIDE = 24
"""Frames from one stretch that is estimated at a time to the next."""
FADE = 6
"""Frames on each side of the seam between two stretches over which one fades into the other."""
MARGIN = 12
"""Frames of the model on each side of a stretch whose observations count for it."""
LENGTHS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0)
"""Length scales, in frames, of the Matern correlations that the correlation is made of."""
ROUGHNESS = 0.003
"""Standard deviation, in body sizes, of what the process does not follow. Without it the estimate
would read trends into the last digits of the observations and extrapolate them."""
OUTLIER = 3.0
"""Standard deviations from the others' prediction at which an observation begins to lose weight."""
GROSS = 0.08
"""Least standard deviation, in body sizes, for that: hands do in one frame what no smooth process
predicts (in 1 of 1,000 observations of exact motion by 0.14 body sizes), detectors err by more."""
TINY = 1e-6


@dataclasses.dataclass(frozen=True)
class ResidualModel:
    """Moments of the residuals.

    Attributes:
      calibration: (2 J + 1, 2 J) linear map from a generated pose (centred, in body sizes, and 1)
        to the mean of its residual.
      covariance: (J, J) of joints, per coordinate, at one frame, in squared body sizes.
      weights: of the Matern correlations with ``LENGTHS``; they add up to 1.
    """

    calibration: np.ndarray
    covariance: np.ndarray
    weights: np.ndarray

    @classmethod
    def fit(cls, moments: ResidualMoments) -> "ResidualModel":
        """From measured moments.

        A mixture of Matern correlations with positive weights is fitted to the measured one, so
        that it holds at any lag and is a valid correlation.
        """
        correlation = np.asarray(moments.correlation, np.float64)
        covariance = np.asarray(moments.covariance, np.float64)
        joints = len(covariance) // 2
        covariance = np.einsum("jckc->jk", covariance.reshape(joints, 2, joints, 2)) / 2
        lags = np.arange(len(correlation))
        importance = np.sqrt(len(lags) - lags)  # as many pairs of frames are that far apart
        weights, _ = nnls(_matern(lags) * importance[:, None], correlation * importance)
        ridge = TINY * max(np.trace(covariance) / len(covariance), TINY)
        return cls(
            np.asarray(moments.calibration, np.float64),
            covariance + ridge * np.eye(len(covariance)),
            weights / weights.sum(),
        )

    def correlation(self, lags: np.ndarray) -> np.ndarray:
        """Correlation at any lags, of their shape."""
        return _matern(lags) @ self.weights

    def calibrate(self, poses: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Adds the mean residual to generated poses (T, J, 2) of the given sizes (T,)."""
        centered = (poses - poses.mean(axis=1, keepdims=True)) / size[:, None, None]
        flat = centered.reshape(len(poses), -1)
        mean = flat @ self.calibration[:-1] + self.calibration[-1]
        return poses + mean.reshape(poses.shape) * size[:, None, None]


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
    model: ResidualModel, residual: np.ndarray, size: np.ndarray, noise: np.ndarray, robust: bool,
    step: float = 1.0,
) -> Carried:
    """Estimates the residual of every joint and frame from the observed ones.

    Args:
      model: moments of the residuals.
      residual: (T, J, 2) observed minus generated, pixels; NaN where missing.
      size: (T,) body size, pixels.
      noise: (T, J) standard deviation per coordinate of the detector's error, pixels; at 0 the
        estimate equals the observation but for ``ROUGHNESS``.
      robust: weigh down observations that all others contradict.
      step: time from one frame to the next, in frames of the model.

    Returns:
      The estimate; time and memory grow linearly with T.
    """
    length, joints = residual.shape[:2]
    mean = np.zeros((length, joints, 2))
    deviation, trust = np.zeros((2, length, joints))
    relative = residual / size[:, None, None]
    relative_noise = noise / size[:, None]
    thin = max(round(1 / step), 1)  # of a fast video's frames around a stretch, not all count
    for start, stop, weight in _stretches(length):
        before = np.arange(start - thin, max(start - thin * MARGIN, 0) - 1, -thin)[::-1]
        after = np.arange(stop - 1 + thin, min(stop + thin * MARGIN, length), thin)
        frames = np.concatenate([before, np.arange(start, stop), after])
        core = slice(len(before), len(before) + stop - start)
        found = _krige(
            model, relative[frames], relative_noise[frames], step * frames, core, robust
        )
        for total, part in zip((mean, deviation, trust), found, strict=True):
            total[start:stop] += weight.reshape(-1, *[1] * (part.ndim - 1)) * part
    return Carried(mean * size[:, None, None], deviation * size[:, None], trust)


def _stretches(length: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """First and last-plus-one frame of every stretch, and the weights of its frames.

    Neighbours overlap by 2 FADE frames, in which their weights, linear in time, add up to 1.
    """
    time = np.arange(length)
    seams = np.arange(STRIDE, length - FADE, STRIDE)
    for left, right in zip([-np.inf, *seams], [*seams, np.inf], strict=True):
        rise = np.clip((time + 0.5 - left + FADE) / (2 * FADE), 0.0, 1.0)
        fall = np.clip((right + FADE - time - 0.5) / (2 * FADE), 0.0, 1.0)
        weight = np.minimum(rise, fall)
        start, stop = np.flatnonzero(weight)[[0, -1]] + [0, 1]
        yield start, stop, weight[start:stop]


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

    From the median size of sixth differences: human motion has little of them, and the median
    leaves fast stretches aside. Where holes leave too few, of fourth differences; 0 for joints with
    too few of those.
    """
    result = np.zeros(keypoints.shape[1])
    for order in (4, 6):  # the later one counts
        # White noise of variance 1 has differences of this variance.
        variance = math.comb(2 * order, order)
        differences = np.abs(np.diff(keypoints, n=order, axis=0))
        for joint in range(keypoints.shape[1]):
            values = differences[:, joint]
            values = values[np.isfinite(values)]
            if len(values) >= 8:
                result[joint] = np.median(values) / 0.6745 / np.sqrt(variance)
    return result


def _krige(model, residual, noise, time, core: slice, robust: bool):
    """Mean (C, J, 2), deviation (C, J), trust (C, J) in body sizes, for the core of a stretch.

    ``time`` (T,) of the frames is in frames of the model.
    """
    correlation = model.correlation(time[:, None] - time)
    nugget = noise**2 + ROUGHNESS**2
    seen = np.isfinite(residual[..., 0])
    t, j = np.nonzero(seen)
    prior = correlation[t][:, t] * model.covariance[j][:, j]
    scale, extra = _weigh(prior, residual[t, j], nugget[t, j], robust)
    correlation = scale * correlation
    factor = _cholesky(scale * prior, nugget[t, j] + extra)
    gain = lapack.dpotrs(factor, residual[t, j], lower=1)[0] if len(t) else residual[t, j]
    spread = np.zeros(residual.shape)
    spread[t, j] = gain
    mean = np.einsum("ct,tjx,jk->ckx", correlation[core], spread, model.covariance, optimize=True)
    variance = scale * np.diagonal(model.covariance)
    own = nugget.copy()
    own[t, j] += extra
    # Where a joint was observed, its own observation alone already bounds what is left.
    left = np.where(seen, own * variance / (own + variance), variance)
    missing = ~seen
    missing[: core.start] = missing[core.stop :] = False
    times, joints = np.nonzero(missing)
    if len(times) and len(t):
        cross = correlation[t][:, times] * model.covariance[j][:, joints]
        explained = solve_triangular(factor, cross, lower=True, check_finite=False)
        left[times, joints] -= (explained**2).sum(0)
    trust = np.ones(seen.shape)
    # Half the trust is lost where as much variance was added as the process itself has.
    trust[t, j] = 1.0 / (1.0 + extra / variance[j])
    return mean, np.sqrt(np.maximum(left[core], 0.0)), trust[core]


def _weigh(prior, residual, nugget, robust: bool):
    """How lively a stretch is, and which of its observations all others contradict.

    From leave-one-out errors: the error of an observation when predicted from all others, and that
    error's variance, follow from the inverse covariance (Rasmussen and Williams, 2006, section
    5.4.2).

    Args:
      prior: (n, n) covariance of the observations by the process.
      residual: (n, 2).
      nugget: (n,) their own variance.
      robust: weigh observations down at all.

    Returns:
      The scale of the process against training, and what is to be added to the nugget, (n,).
    """
    scale, extra = 1.0, np.zeros(len(residual))
    if not len(residual):
        return scale, extra
    for _ in range(2 if robust else 1):
        factor = _cholesky(scale * prior, nugget + extra)
        total = 1.0 / np.diagonal(lapack.dpotri(factor, lower=1)[0])
        error = lapack.dpotrs(factor, residual, lower=1)[0] * total[:, None]
        variance = total - extra  # what was added to an observation must not excuse it
        standard = (error**2).sum(-1) / variance
        # The median of a chi-square of two degrees is 1.386.
        ratio = np.clip(np.median(standard) / 1.386, 0.02, 20.0)
        scale *= ratio
        if robust:
            expected = variance * ratio + GROSS**2
            excess = standard * variance / expected / (2 * OUTLIER**2)
            extra = expected * np.where(excess > 0.5, excess**2, 0.0)
    return scale, extra


def _cholesky(prior, nugget):
    matrix = prior.copy()
    matrix[np.diag_indices_from(matrix)] += nugget
    if not len(matrix):
        return matrix
    factor, info = lapack.dpotrf(matrix, lower=1, overwrite_a=1)
    if info:
        raise np.linalg.LinAlgError("the residual's covariance is not positive definite")
    return factor


def _matern(lags: np.ndarray) -> np.ndarray:
    """Matern correlations of smoothness 5/2 at every length scale, (..., len(LENGTHS))."""
    distance = np.sqrt(5.0) * np.abs(np.asarray(lags)[..., None]) / np.asarray(LENGTHS)
    return (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)
