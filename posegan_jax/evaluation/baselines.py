"""What the model has to beat, by name.

Those over time treat every joint on its own; what is never observed, the upsampled joints among it,
is then regressed frame by frame on what is, as nothing else is simple enough to be called what a
user would do instead. The others learn from training windows.
"""

import dataclasses
import functools
from collections.abc import Callable, Collection, Sequence

import numpy as np

from posegan_jax.evaluation.clips import View
from posegan_jax.evaluation.gaussian import Gaussian
from posegan_jax.evaluation.ridge import Ridge
from posegan_jax.evaluation.ridge_whole import whole_ridge
from posegan_jax.evaluation.temporal import (
    butterworth,
    cubic,
    gaussian,
    interpolate,
    kalman,
    last_value,
    one_euro,
    pchip,
    savitzky_golay,
)
from posegan_jax.evaluation.windowed import WindowModel, complete_track
from posegan_jax.pose.rate import Rate
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

Method = Callable[[PoseSequence], np.ndarray]
"""A track on the model's skeleton -> (T, J, 2) pixels, NaN where it gives nothing."""

# Chosen by ``python -m posegan_jax.evaluation.tune --baselines`` on training clips.
PENALTY, RANK = 0.01, 256
TEMPORAL: dict[str, Callable[..., np.ndarray]] = {
    "last": lambda keypoints, fps: last_value(keypoints),
    "linear": lambda keypoints, fps: interpolate(keypoints),
    "cubic": lambda keypoints, fps: cubic(keypoints),
    "pchip": lambda keypoints, fps: pchip(keypoints),
    "savitzky-golay": functools.partial(savitzky_golay, seconds=0.44, order=3),
    "gaussian": functools.partial(gaussian, seconds=0.08),
    "butterworth": functools.partial(butterworth, cutoff=3.0),
    "one-euro": functools.partial(one_euro, cutoff=8.0, beta=0.0),
    "kalman": functools.partial(kalman, acceleration=0.008, noise=0.024),
}
"""Name -> function of keypoints (T, J, 2) and, as ``fps``, frames per second."""


@dataclasses.dataclass(frozen=True)
class Training:
    """What baselines learn from.

    Attributes:
      windows: (N, F, J, 2) complete, as long as the model's, in pixels.
      people: (N,) who moves in each.
      detected: (J,) bool, the joints that a detector delivers.
    """

    windows: np.ndarray
    people: np.ndarray
    detected: np.ndarray

    @classmethod
    def of(cls, views: Sequence[View], detected: Collection[str]) -> "Training":
        """Of windows as they are, and seen in a mirror: people have two sides.

        Args:
          views: windows of training people.
          detected: names of the joints that a detector delivers.
        """
        skeleton = views[0].skeleton
        windows = np.stack([view.keypoints for view in views])
        windows = np.concatenate([windows, skeleton.mirror_keypoints(windows)])
        people = np.array([view.subject for view in views])
        return cls(windows, np.tile(people, 2), skeleton.mask(detected))

    def poses(self) -> "Training":
        """Two frames of every window, as windows of one frame."""
        step = max(self.windows.shape[1] // 2, 1)
        poses = self.windows[:, : 2 * step : step]
        windows = poses.reshape(-1, 1, *poses.shape[2:])
        return Training(windows, np.repeat(self.people, poses.shape[1]), self.detected)


def _ridge(training: Training) -> Ridge:
    return whole_ridge(training.windows, training.people)


LEARNED: dict[str, Callable[[Training], WindowModel]] = {
    "ridge": lambda training: _ridge(training.poses()),
    "ridge-windows": _ridge,
    "pca": lambda training: Gaussian.fit(training.windows, training.detected, PENALTY, RANK),
}
"""Name -> function of what there is to learn from."""


def temporal(
    smooth: Callable[..., np.ndarray], ridge: WindowModel | None = None,
    detected: Collection[str] = DETECTED_12,
) -> Method:
    """A method over time, completed by ``ridge`` where a joint is never observed."""

    def run(sequence: PoseSequence) -> np.ndarray:
        keypoints = _usable(sequence, detected)
        if not np.isfinite(keypoints).any():
            return keypoints
        keypoints = smooth(keypoints, fps=sequence.fps)
        return keypoints if ridge is None else complete_track(ridge, keypoints)

    return run


def regression(model: WindowModel, detected: Collection[str] = DETECTED_12) -> Method:
    """Windows completed by what training windows tell; linear over time where they tell nothing.

    Nothing is told where fewer than two joints are observed in a window.
    """

    def run(sequence: PoseSequence) -> np.ndarray:
        return complete_by(model, _usable(sequence, detected), sequence.fps)

    return run


def complete_by(model: WindowModel, keypoints: np.ndarray, fps: float | None) -> np.ndarray:
    """``regression`` of keypoints (T, J, 2) at so many frames per second."""
    if not np.isfinite(keypoints).any():
        return keypoints
    rate = Rate.of(fps)
    tracks = [complete_track(model, track) for track in rate.split(keypoints, np.nan)]
    return interpolate(np.where(np.isfinite(keypoints), keypoints, rate.join(tracks)))


def fit_baselines(
    train: Sequence[View], detected: Collection[str] = DETECTED_12,
    names: Collection[str] | None = None,
) -> dict[str, Method]:
    """Baselines that need no training by descent.

    Args:
      train: windows of training people, as long as the model's; some thousands.
      detected: names of the joints that baselines look at: those that a detector delivers.
      names: of the baselines that are wanted; all by default.
    """
    names = (*TEMPORAL, *LEARNED) if names is None else names
    smoothers = {name: smooth for name, smooth in TEMPORAL.items() if name in names}
    training = Training.of(train, detected)
    learned = {
        name: fit(training) for name, fit in LEARNED.items()
        if name in names or name == "ridge" and smoothers
    }
    return {
        name: temporal(smooth, learned["ridge"], detected) for name, smooth in smoothers.items()
    } | {name: regression(model, detected) for name, model in learned.items() if name in names}


def _usable(sequence: PoseSequence, detected: Collection[str]) -> np.ndarray:
    """(T, J, 2) with NaN at all but the detected joints, which is all that our model sees, too."""
    mask = get_skeleton(sequence.skeleton).mask(detected)
    return np.where(mask[:, None], sequence.keypoints, np.nan)
