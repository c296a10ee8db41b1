"""What the generator does not say, carried from where it was observed to where it was not.

The generated motion explains the observed joints up to a residual. That residual is smooth in time
and correlated between joints, so it is known, in part, at the joints and frames that were missing:
the best linear estimate is that of a Gaussian process (kriging; C. Rasmussen and C. Williams,
Gaussian Processes for Machine Learning, 2006, chapter 2). The covariance of the process is
separable,

    cov(r[t, j], r[u, k]) = covariance[j, k] correlation(t - u) size[t] size[u]

over frames t, u and joints j, k, the same for x and y, in units of the body's size in the picture;
between joints it is learned from the residuals of training windows. (Telling x from y and counting
what one says of the other gains 0.001 of AUC at eight times the cost. What trunk and arms say of
hips and legs gains nothing at two to three times the cost: they are taken to go apart.) The
detector's error is a process of its own, of each joint apart: half of its variance lasts for half a
second, the rest is white. One formula then fills holes, bridges gaps, upsamples, and takes off the
error as far as the other joints and frames contradict it; gross errors, which no Gaussian knows,
lose their weight step by step. ``process`` does this for the joints that are observed at all; as
the covariance is separable, of the others these joints' own residuals at the same frame tell
everything.
"""

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np

from posegan_jax.geometry.moments import ResidualMoments
from posegan_jax.inpainting.process import (
    WHITE,
    Apart,
    ConditionedApart,
    convolve,
    footprint,
    matern,
    memory,
)
from posegan_jax.pose.skeleton import Skeleton, beyond

ROUGHNESS = 0.003
"""Standard deviation, in body sizes, of what the process does not follow. Without it the estimate
would read trends into the last digits of the observations and extrapolate them; with more, exact
observations would be followed less closely."""
STRETCH = 24
"""Frames whose residual is taken to be as lively as that of the frames around them."""
AROUND = 18
"""Frames of the model on each side that are looked at for that. Fewer would take one quick step for
a lively person."""
FADE = 6
"""Frames on each side of the seam between two stretches over which liveliness changes."""
PIECE, MARGIN = 960, 48
"""Frames of the model that are estimated at once, and those on each side that count for them, too:
two of ``STRETCH``, beyond which nothing is told any more."""
MEMORY = 18 * 10**6
"""Bytes that a piece may take; of many joints it has fewer frames."""
SMOOTHING = 11
"""Frames of the local parabolas that smooth generated motion (A. Savitzky and M. Golay, 1964): the
generator trembles more than people do, and a rough residual cannot be followed into holes."""
OUTLIER = 3.0
"""Standard deviations of the detector's error at which an observation has lost half its weight, as
outliers are usually told. Less would weigh down what is merely noisy."""
GROSS = 0.2
"""What is added to that, in body sizes: hands do what no smooth process predicts."""
LEAST_TRUST = 0.02
"""Weight that the grossest error keeps, so that it may regain some."""
ROUNDS = 5
"""Times that the weights are estimated, at first as if the residual was as lively as training's;
each costs a factorisation. With four, what lies beside gross errors has not yet got its weight
back."""
PENALTY = 1e-3
"""Of the squared weights of regressions: what they start from is not always exact."""
TINY = 1e-6
"""What is added to the covariance, as a share of its mean variance, so that it can be factored."""


@dataclasses.dataclass(frozen=True)
class ResidualModel:
    """Moments of the residuals.

    Attributes:
      calibration: (2 J + 1, 2 J) linear map from a generated pose (centred, in body sizes, and 1)
        to the mean of its residual.
      covariance: (J, J) of joints, per coordinate, at one frame, in squared body sizes.
      poses: (2 J + 1, 2 J + 1) second moments of true poses, see ``ResidualMoments``.
      groups: (J,) numbers of the groups of joints that are taken not to tell of each other; one
        group if None.
    """

    calibration: np.ndarray
    covariance: np.ndarray
    poses: np.ndarray
    groups: np.ndarray | None = None

    @classmethod
    def fit(cls, moments: ResidualMoments, skeleton: Skeleton | None = None) -> "ResidualModel":
        """From measured moments; legs and hips of a skeleton apart from all above them."""
        covariance = np.asarray(moments.covariance, np.float64)
        joints = len(covariance) // 2
        covariance = np.einsum("jckc->jk", covariance.reshape(joints, 2, joints, 2)) / 2
        ridge = TINY * max(np.trace(covariance) / len(covariance), TINY)
        return cls(
            np.asarray(moments.calibration, np.float64),
            covariance + ridge * np.eye(len(covariance)),
            np.asarray(moments.poses, np.float64),
            None if skeleton is None else _legs(skeleton).astype(int),
        )

    @property
    def apart(self) -> np.ndarray:
        """(J,) numbers of the groups of joints that are taken not to tell of each other."""
        return np.zeros(len(self.covariance), int) if self.groups is None else self.groups

    @property
    def regresses(self) -> bool:
        """Whether it knows what true poses look like."""
        return bool(self.poses.any())

    @functools.cached_property
    def _regressions(self) -> dict[bytes, np.ndarray]:
        """(2 J + 1, 2 J) by the joints that they start from."""
        return {}

    def regress(self, poses: np.ndarray, size: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """Completes poses (T, J, 2) of the given sizes (T,) from some joints (J,), linearly."""
        key = inputs.tobytes()
        if key not in self._regressions:
            self._regressions[key] = _regression(self.poses, inputs)
        weights = self._regressions[key]
        center = poses[:, inputs].mean(axis=1, keepdims=True)
        flat = ((poses - center) / size[:, None, None]).reshape(len(poses), -1)
        whole = flat @ weights[:-1] + weights[-1]
        return center + whole.reshape(poses.shape) * size[:, None, None]

    def expect(self, poses: np.ndarray, size: np.ndarray, step: float = 1.0) -> np.ndarray:
        """The mean of the process: generated poses, smoothed over time, and their mean residual.

        Args:
          poses: (T, J, 2) generated, pixels.
          size: (T,) body size, pixels.
          step: time from one frame to the next, in frames of the model.
        """
        poses = smooth(poses, round(SMOOTHING / step))
        centered = (poses - poses.mean(axis=1, keepdims=True)) / size[:, None, None]
        flat = centered.reshape(len(poses), -1)
        mean = flat @ self.calibration[:-1] + self.calibration[-1]
        return poses + mean.reshape(poses.shape) * size[:, None, None]


def _legs(skeleton: Skeleton) -> np.ndarray:
    """(J,) bool, hips and what hangs on them, and the middle between them."""
    starts = ("pelvis", "mid_hip"), ("left_hip", "right_hip")
    return np.array([
        joint in starts[0] or any(beyond(joint, hip) for hip in starts[1])
        for joint in skeleton.joints
    ])


def _regression(moments: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """(2 J + 1, 2 J) ridge weights of the joints ``inputs`` (J,), centred on their mean, and of 1,
    for a whole pose about that mean, of second moments (2 J + 1, 2 J + 1); 0 for other joints."""
    size = len(moments)
    centered = np.eye(size)
    centered[:-1, :-1] -= np.kron(np.outer(inputs, np.ones(len(inputs))), np.eye(2)) / inputs.sum()
    moments = centered.T @ moments @ centered
    known = np.append(np.repeat(inputs, 2), True)
    gram = moments[np.ix_(known, known)] + PENALTY * np.eye(known.sum())
    weights = np.zeros((size, size - 1))
    weights[known] = np.linalg.solve(gram, moments[known, :-1])
    return weights


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


def smooth(poses: np.ndarray, span: int) -> np.ndarray:
    """Every frame as the middle of the parabola that fits those around it best.

    At the ends it is the parabola of the first and the last ones (A. Savitzky and M. Golay, 1964).

    Args:
      poses: (T, ...).
      span: frames of a parabola; one fewer where that is even, all where there are fewer.
    """
    span = min(span, len(poses))
    span -= 1 - span % 2
    if span < 3:
        return poses
    time = np.linspace(-1.0, 1.0, span)
    powers = np.stack([np.ones(span), time, time**2], axis=-1)
    fitted = powers @ np.linalg.pinv(powers)  # (span, span) values of the parabola
    half = span // 2
    flat = poses.reshape(len(poses), -1)
    windows = np.lib.stride_tricks.sliding_window_view(flat, span, axis=0)
    parts = fitted[:half] @ flat[:span], windows @ fitted[half], fitted[half + 1 :] @ flat[-span:]
    return np.concatenate(parts).reshape(poses.shape)


def carry(
    model: ResidualModel, residual: np.ndarray, size: np.ndarray, noise: np.ndarray,
    step: float = 1.0, roughness: float = ROUGHNESS,
) -> Carried:
    """Estimates the residual of every joint and frame from the observed ones.

    Args:
      model: moments of the residuals.
      residual: (T, J, 2) observed minus generated, pixels; NaN where missing.
      size: (T,) body size, pixels.
      noise: (T, J) standard deviation per coordinate of the detector's error, pixels. Where it is
        0 the estimate equals the observation but for ``roughness``; elsewhere observations that
        the others contradict are weighed down.
      step: time from one frame to the next, in frames of the model.
      roughness: standard deviation, in body sizes, of what the process does not follow.

    Returns:
      The estimate; time grows linearly with T.
    """
    shape = residual.shape[:2]
    result = Carried(np.zeros(residual.shape), np.zeros(shape), np.ones(shape))
    for core, piece, inside in _pieces(residual, step):
        evidence = _Evidence.of(
            model, residual[piece], size[piece], noise[piece], step, roughness)
        found = evidence.estimate(model)
        result.mean[core] = found.mean[inside] * size[core, None, None]
        result.deviation[core] = found.deviation[inside] * size[core, None]
        result.trust[core] = found.trust[inside]
    return result


def trust(
    model: ResidualModel, residual: np.ndarray, size: np.ndarray, noise: np.ndarray,
    step: float = 1.0,
) -> np.ndarray:
    """``carry(...).trust`` alone.

    Args: as of ``carry``.

    Returns:
      (T, J).
    """
    result = np.ones(residual.shape[:2])
    for core, piece, inside in _pieces(residual, step):
        evidence = _Evidence.of(
            model, residual[piece], size[piece], noise[piece], step, ROUGHNESS)
        result[core] = evidence.trust[inside]
    return result


def _pieces(residual: np.ndarray, step: float) -> Iterator[tuple[slice, slice, slice]]:
    """Frames that are estimated at once; those with a margin; and where in these they are."""
    length, joints = len(residual), np.isfinite(residual[..., 0]).any(axis=0).sum()
    longest, margin = (round(frames / step) for frames in (PIECE, MARGIN))
    most = MEMORY // footprint(max(joints, 1)) // STRETCH * STRETCH
    longest = max(min(longest, most), 2 * margin)
    for start in range(0, length, longest):
        stop = min(start + longest, length)
        begin, end = max(start - margin, 0), min(stop + margin, length)
        yield slice(start, stop), slice(begin, end), slice(start - begin, stop - begin)


@dataclasses.dataclass(frozen=True)
class _Evidence:
    """What the observations of T frames say of each other, in body sizes.

    Attributes:
      joints: (J,) bool, those of which anything is observed, m of them.
      residual: (T, m, 2), NaN where missing.
      deviation: (T, m) of the detector's error.
      step: as of ``carry``.
      process: of these joints; None where there are none.
      scale: (T,) variance of the residual against that of training.
      roughness: as of ``carry``.
      weight: (T, m): an observation counts as if its error deviated by ``deviation`` / weight.
    """

    joints: np.ndarray
    residual: np.ndarray
    deviation: np.ndarray
    step: float
    process: Apart | None
    scale: np.ndarray
    roughness: float
    weight: np.ndarray

    @classmethod
    def of(cls, model, residual, size, noise, step, roughness) -> "_Evidence":
        """Of arguments as of ``carry``."""
        joints = np.isfinite(residual[..., 0]).any(axis=0)
        process = None
        if joints.any():
            covariance = model.covariance[np.ix_(joints, joints)]
            process = Apart(covariance, model.apart[joints], step)
        given = cls(
            joints, residual[:, joints] / size[:, None, None], noise[:, joints] / size[:, None],
            step, process, np.ones(len(residual)), roughness,
            np.ones((len(residual), joints.sum())),
        )
        if process is None:
            return given
        found = given._condition()
        given, first = dataclasses.replace(given, scale=given._liveliness(found)), given
        if given.deviation[np.isfinite(given.residual[..., 0])].any():
            given = dataclasses.replace(given, weight=first._weigh(found))
            for _ in range(ROUNDS - 1):
                given = dataclasses.replace(given, weight=given._weigh(given._condition()))
        return given

    @property
    def trust(self) -> np.ndarray:
        """(T, J) weight of every joint's observations, 1 where there is none."""
        result = np.ones((len(self.scale), len(self.joints)))
        result[:, self.joints] = self.weight
        return result

    def _condition(self) -> ConditionedApart:
        """The process given the observations; in units in which its variance is training's."""
        assert self.process is not None
        unit = np.sqrt(self.scale)
        return self.process.condition(
            self.residual / unit[:, None, None], self.deviation / self.weight / unit[:, None],
            self.roughness / unit,
        )

    def _liveliness(self, found: ConditionedApart) -> np.ndarray:
        """(T,) variance of the residual against that of training.

        From leave-one-out errors: the error of an observation when predicted from all others, and
        that error's variance, follow from the inverse covariance (Rasmussen and Williams, 2006,
        section 5.4.2). Their median in a stretch and around it counts.
        """
        standard = (found.solved**2).sum(-1) / found.precision()
        seen = np.isfinite(self.residual[..., 0])
        result = np.zeros(len(seen))
        for window, weight in _stretches(len(seen), self.step):
            there = standard[window][seen[window]]
            # The median of a chi-square of two degrees is 1.386.
            level = np.clip(np.median(there) / 1.386, 0.02, 20.0) if len(there) else 1.0
            result += level * weight
        return result

    def _weigh(self, found: ConditionedApart) -> np.ndarray:
        """(T, m) the next weights, by Geman and McClure's robust estimator."""
        # What is taken for error: its covariance times what solves for the observations.
        solved = found.solved / np.sqrt(self.scale)[:, None, None]
        error = (self.deviation / self.weight)[..., None]
        off = self.roughness**2 * solved + WHITE * error**2 * solved
        off += (1 - WHITE) * error * convolve(memory, error * solved, self.step)
        limit = 2 * OUTLIER**2 * self.deviation**2 + GROSS**2
        weight = np.maximum(limit / (limit + (off**2).sum(-1)), LEAST_TRUST)
        return np.where(np.isfinite(self.residual[..., 0]), weight, 1.0)

    def estimate(self, model: ResidualModel) -> Carried:
        """Of all joints, in body sizes."""
        length, joints = len(self.scale), self.joints
        mean, left = np.zeros((length, len(joints), 2)), np.ones((length, len(joints)))
        left *= np.diagonal(model.covariance)
        unit = np.sqrt(self.scale)[:, None]
        if self.process is not None:
            found = self._condition()
            same = model.apart[joints, None] == model.apart
            between = np.where(same, model.covariance[joints], 0.0)
            mean = np.einsum(
                "tjx,jk->tkx", convolve(matern, found.solved, self.step), between, optimize=True
            ) * unit[..., None]
            share = np.linalg.solve(self.process.covariance, between).T
            share[joints] = np.eye(joints.sum())
            left = found.variance(share)
            # Besides, what the observed joints do not tell even where they are known.
            left += np.diagonal(model.covariance) - np.einsum("ja,aj->j", share, between)
        left *= self.scale[:, None]
        # Observations without error leave next to nothing to know.
        exact = np.zeros(left.shape, bool)
        exact[:, joints] = np.isfinite(self.residual[..., 0]) & (self.deviation == 0)
        left = np.where(exact, self.roughness**2, np.maximum(left, 0.0))
        return Carried(mean, np.sqrt(left), self.trust)


def _stretches(length: int, step: float) -> Iterator[tuple[slice, np.ndarray]]:
    """The frames to look at for every stretch, and the weights (T,) of the stretch.

    Weights are linear in time where two stretches meet, and add up to 1.
    """
    time = np.arange(length)
    stride = max(round(STRETCH / step), STRETCH)
    fade, around = (frames * stride // STRETCH for frames in (FADE, AROUND))
    seams = np.arange(stride, length - fade, stride)
    for left, right in zip([0, *seams], [*seams, length], strict=True):
        rise = (time + 0.5 - left + fade) / (2 * fade) if left else np.ones(length)
        fall = (right + fade - time - 0.5) / (2 * fade) if right < length else np.ones(length)
        weight = np.clip(np.minimum(rise, fall), 0.0, 1.0)
        yield slice(max(left - around, 0), right + around), weight
