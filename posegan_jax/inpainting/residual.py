"""What the generator does not say, carried from where it was observed to where it was not.

The generated motion explains the observed joints up to a residual. That residual is smooth in time
and correlated between joints, so it is known, in part, at the joints and frames that were missing:
the best linear estimate is that of a Gaussian process (kriging; C. Rasmussen and C. Williams,
Gaussian Processes for Machine Learning, 2006, chapter 2). The covariance of the process is
separable,

    cov(r[t, j], r[u, k]) = covariance[j, k] correlation(t - u) size[t] size[u]

over frames t, u and joints j, k, the same for x and y, in units of the body's size in the picture;
between joints it is learned from the residuals of training windows. (Telling x from y and counting
what one says of the other gains 0.001 of AUC at eight times the cost.) The detector's error is a
process of its own, of each joint apart: half of its variance lasts for half a second, the rest is
white. One formula then fills holes, bridges gaps, upsamples, and takes off the error as far as the
other joints and frames contradict it; gross errors, which no Gaussian knows, lose their weight step
by step.
"""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.linalg import blas, lapack
from scipy.signal import savgol_filter

from posegan_jax.geometry.moments import ResidualMoments

STRIDE = 24
"""Frames from one stretch that is estimated at a time to the next. Solving one costs the cube of
its observations: longer stretches cost more a frame, shorter ones solve margins more often."""
FADE = 6
"""Frames on each side of the seam between two stretches over which one fades into the other.
Without it seams show in long holes."""
MARGIN = 12
"""Frames of the model on each side of a stretch whose observations count for it. At twice
``LENGTH`` the correlation is .14: those further away tell little."""
LENGTH = 6.0
"""Frames over which the residual keeps its direction: the length scale of a Matern correlation of
smoothness 5/2. Of 4 to 32, and mixtures, it fills holes of 1 to 20 frames best. It is none of the
model's constants, as which observations are trusted, and so the search, depends on it."""
SMOOTHING = 11
"""Frames of the local parabolas that smooth generated motion (A. Savitzky and M. Golay, 1964): the
generator trembles more than people do, and a rough residual cannot be followed into holes."""
ROUGHNESS = 0.003
"""Standard deviation, in body sizes, of what the process does not follow. Without it the estimate
would read trends into the last digits of the observations and extrapolate them; with more, exact
observations would be followed less closely."""
LASTING, WHITE = 10.0, 0.5
"""The detector's error: frames over which its lasting part loses its memory, and the share of its
variance that has none. With white noise alone, an error that stays would be taken for motion."""
OUTLIER = 3.0
"""Standard deviations of the detector's error at which an observation has lost half its weight, as
outliers are usually told. Less would weigh down what is merely noisy."""
GROSS = 0.2
"""What is added to that, in body sizes: hands do what no smooth process predicts."""
LEAST_TRUST = 0.02
"""Weight that the grossest error keeps, so that it may regain some."""
ROUNDS = 5
"""Times that the weights are estimated anew. Each costs a factorisation; with too few, gross
errors beside each other still back each other up."""
TINY = 1e-6
"""What is added to the covariance, as a share of its mean variance, so that it can be factored."""


@dataclasses.dataclass(frozen=True)
class ResidualModel:
    """Moments of the residuals.

    Attributes:
      calibration: (2 J + 1, 2 J) linear map from a generated pose (centred, in body sizes, and 1)
        to the mean of its residual.
      covariance: (J, J) of joints, per coordinate, at one frame, in squared body sizes.
      regression: (2 J + 1, 2 J) linear map from a pose's input joints to the whole pose.
    """

    calibration: np.ndarray
    covariance: np.ndarray
    regression: np.ndarray

    @classmethod
    def fit(cls, moments: ResidualMoments) -> "ResidualModel":
        """From measured moments."""
        covariance = np.asarray(moments.covariance, np.float64)
        joints = len(covariance) // 2
        covariance = np.einsum("jckc->jk", covariance.reshape(joints, 2, joints, 2)) / 2
        ridge = TINY * max(np.trace(covariance) / len(covariance), TINY)
        return cls(
            np.asarray(moments.calibration, np.float64),
            covariance + ridge * np.eye(len(covariance)),
            np.asarray(moments.regression, np.float64),
        )

    @property
    def inputs(self) -> np.ndarray:
        """(J,) bool, joints that the regression starts from; none where there is no regression."""
        return np.any(self.regression[:-1].any(axis=1).reshape(-1, 2), axis=1)

    def regress(self, poses: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Completes poses (T, J, 2) of the given sizes (T,) from their input joints, linearly."""
        center = poses[:, self.inputs].mean(axis=1, keepdims=True)
        flat = ((poses - center) / size[:, None, None]).reshape(len(poses), -1)
        whole = flat @ self.regression[:-1] + self.regression[-1]
        return center + whole.reshape(poses.shape) * size[:, None, None]

    def expect(self, poses: np.ndarray, size: np.ndarray, step: float = 1.0) -> np.ndarray:
        """The mean of the process: generated poses, smoothed over time, and their mean residual.

        Args:
          poses: (T, J, 2) generated, pixels.
          size: (T,) body size, pixels.
          step: time from one frame to the next, in frames of the model.
        """
        span = min(round(SMOOTHING / step), len(poses))
        span -= 1 - span % 2
        if span >= 3:
            poses = savgol_filter(poses, span, 2, axis=0)
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
    model: ResidualModel, residual: np.ndarray, size: np.ndarray, noise: np.ndarray,
    step: float = 1.0, wanted: np.ndarray | None = None,
) -> Carried:
    """Estimates the residual of every joint and frame from the observed ones.

    Args:
      model: moments of the residuals.
      residual: (T, J, 2) observed minus generated, pixels; NaN where missing.
      size: (T,) body size, pixels.
      noise: (T, J) standard deviation per coordinate of the detector's error, pixels. Where it is
        0 the estimate equals the observation but for ``ROUGHNESS``; elsewhere observations that
        the others contradict are weighed down.
      step: time from one frame to the next, in frames of the model.
      wanted: (T, J) bool, where the deviation counts; elsewhere it may be too large, which saves
        half of the time. None: everywhere.

    Returns:
      The estimate; time and memory grow linearly with T.
    """
    length, joints = residual.shape[:2]
    mean = np.zeros((length, joints, 2))
    deviation, trust = np.zeros((2, length, joints))
    relative = residual / size[:, None, None]
    relative_noise = noise / size[:, None]
    for start, stop, weight, frames, core in _parts(length, step):
        found = _krige(
            model, relative[frames], relative_noise[frames], step * frames, core,
            None if wanted is None else wanted[frames],
        )
        for total, part in zip((mean, deviation, trust), found, strict=True):
            total[start:stop] += weight.reshape(-1, *[1] * (part.ndim - 1)) * part
    return Carried(mean * size[:, None, None], deviation * size[:, None], trust)


def trust(
    model: ResidualModel, residual: np.ndarray, size: np.ndarray, noise: np.ndarray,
    step: float = 1.0,
) -> np.ndarray:
    """``carry(...).trust`` at half its cost.

    Args: as of ``carry``.

    Returns:
      (T, J).
    """
    result = np.zeros(residual.shape[:2])
    relative, relative_noise = residual / size[:, None, None], noise / size[:, None]
    for start, stop, weight, frames, core in _parts(len(residual), step):
        evidence = _weigh(model, relative[frames], relative_noise[frames], step * frames)
        part = np.ones((len(frames), residual.shape[1]))
        part[evidence.t, evidence.j] = evidence.weight
        result[start:stop] += weight[:, None] * part[core]
    return result


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


def _parts(
    length: int, step: float
) -> Iterator[tuple[int, int, np.ndarray, np.ndarray, slice]]:
    """Stretches as of ``_stretches``, each with the frames that count for it, and which of these
    are the stretch."""
    thin = max(round(1 / step), 1)  # of a fast video's frames around a stretch, not all count
    for start, stop, weight in _stretches(length):
        before = np.arange(start - thin, max(start - thin * MARGIN, 0) - 1, -thin)[::-1]
        after = np.arange(stop - 1 + thin, min(stop + thin * MARGIN, length), thin)
        frames = np.concatenate([before, np.arange(start, stop), after])
        yield start, stop, weight, frames, slice(len(before), len(before) + stop - start)


def _krige(model, residual, noise, time, core: slice, wanted=None):
    """Mean (C, J, 2), deviation (C, J), trust (C, J) in body sizes, for the core of a stretch.

    ``time`` (T,) of the frames is in frames of the model.
    """
    given = _weigh(model, residual, noise, time)
    t, j = given.t, given.j
    factor = _cholesky(given, given.deviation / given.weight)
    spread = np.zeros(residual.shape)
    spread[t, j] = _solve(factor, given.observed)
    mean = np.einsum(
        "ct,tjx,jk->ckx", given.correlation[core], spread, model.covariance, optimize=True
    )
    seen = np.isfinite(residual[..., 0])
    # Observations without error leave next to nothing to know.
    left = np.where(
        seen & (noise == 0), ROUGHNESS**2, given.scale * np.diagonal(model.covariance)
    )
    unknown = ~seen | (noise > 0)
    unknown[: core.start] = unknown[core.stop :] = False
    if wanted is not None:
        unknown &= wanted
    times, joints = np.nonzero(unknown)
    if len(times) and len(t):
        # Transposed, as LAPACK wants it: both are symmetric.
        cross = (given.correlation[times][:, t] * model.covariance[joints][:, j]).T
        explained = blas.dtrsm(1.0, factor, cross, lower=1, overwrite_b=1)
        left[times, joints] -= np.einsum("nm,nm->m", explained, explained)
    trust = np.ones(seen.shape)
    trust[t, j] = given.weight
    return mean, np.sqrt(np.maximum(left[core], 0.0)), trust[core]


class _Evidence(NamedTuple):
    """The n observations of a stretch of T frames, in body sizes.

    Attributes:
      t, j: (n,) frames and joints.
      observed: (n, 2) residuals.
      deviation: (n,) standard deviation of the detector's error.
      scale: variance of this stretch's residual against training's.
      correlation: (T, T) between frames by the process, times ``scale``.
      prior: (n, n) covariance of the observations by the process.
      memory: correlation (m, m) of the detector's error for the m observations of each joint, and
        where these are; errors of different joints have none.
      weight: (n,) of the observations: one counts as if its error deviated by ``deviation`` / w.
    """

    t: np.ndarray
    j: np.ndarray
    observed: np.ndarray
    deviation: np.ndarray
    scale: float
    correlation: np.ndarray
    prior: np.ndarray
    memory: list[tuple[slice, np.ndarray]]
    weight: np.ndarray


def _weigh(model, residual, noise, time) -> _Evidence:
    """What a stretch's observations say of its liveliness and of each other, which weighs them.

    The weights are those of Geman and McClure's robust estimator.
    """
    lags = time[:, None] - time
    correlation = matern(lags)
    j, t = np.nonzero(np.isfinite(residual[..., 0]).T)  # joint by joint
    observed, deviation = residual[t, j], noise[t, j]
    prior = correlation[t][:, t]
    prior *= model.covariance[j][:, j]
    memory = (1 - WHITE) * np.exp(-np.abs(lags) / LASTING) + WHITE * np.eye(len(time))
    seams = [0, *np.flatnonzero(np.diff(j)) + 1, len(j)]
    parts = [slice(a, b) for a, b in zip(seams, seams[1:], strict=False) if a < b]
    memories = [(part, memory[t[part]][:, t[part]]) for part in parts]
    given = _Evidence(
        t, j, observed, deviation, 1.0, correlation, prior, memories, np.ones(len(t))
    )
    scale = _liveliness(given)
    given = given._replace(scale=scale, correlation=scale * correlation, prior=scale * prior)
    if not deviation.any():
        return given
    limit = 2 * OUTLIER**2 * deviation**2 + GROSS**2
    weight = given.weight
    for _ in range(ROUNDS):
        error = (deviation / weight)[:, None]
        solved = _solve(_cholesky(given, error[:, 0]), observed)
        off = ROUGHNESS**2 * solved  # what is taken for error: its covariance times that
        for part, memory in given.memory:
            off[part] += error[part] * (memory @ (error[part] * solved[part]))
        weight = np.maximum(limit / (limit + (off**2).sum(-1)), LEAST_TRUST)
    return given._replace(weight=weight)


def _liveliness(given: _Evidence) -> float:
    """Variance of a stretch's residual against training's.

    From leave-one-out errors: the error of an observation when predicted from all others, and that
    error's variance, follow from the inverse covariance (Rasmussen and Williams, 2006, section
    5.4.2).
    """
    if not len(given.t):
        return 1.0
    factor = _cholesky(given, given.deviation)
    solved = _solve(factor, given.observed)
    inverse = lapack.dtrtri(factor, lower=1, overwrite_c=1)[0]
    standard = (solved**2).sum(-1) / np.einsum("ij,ij->j", inverse, inverse)
    # The median of a chi-square of two degrees is 1.386.
    return np.clip(np.median(standard) / 1.386, 0.02, 20.0)


def _cholesky(given: _Evidence, deviation: np.ndarray) -> np.ndarray:
    """Lower factor of the observations' covariance where their errors have this ``deviation``.

    It is that of the process, of the errors, and of what nothing follows.
    """
    if not len(deviation):
        return given.prior
    total = given.prior.copy()
    for part, memory in given.memory:
        total[part, part] += memory * deviation[part, None] * deviation[part]
    total[np.diag_indices_from(total)] += ROUGHNESS**2
    # Transposed, which is the same, it is not copied.
    factor, info = lapack.dpotrf(total.T, lower=1, overwrite_a=1)
    if info:
        raise np.linalg.LinAlgError("the residual's covariance is not positive definite")
    return factor


def _solve(factor, values) -> np.ndarray:
    return lapack.dpotrs(factor, values, lower=1)[0] if len(values) else values


def matern(lags: np.ndarray) -> np.ndarray:
    """Correlation at lags in frames of the model."""
    distance = np.minimum(np.sqrt(5.0) * np.abs(lags) / LENGTH, 700.0)  # exp of less is 0
    return (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)
