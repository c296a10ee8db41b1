"""What the model has to beat, by name.

Those over time treat every joint on its own; what is never observed, the 16 upsampled joints among
it, is then regressed frame by frame on what is, as nothing else is simple enough to be called what
a user would do instead. The others learn from training windows.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np

from posegan_jax.evaluation.clips import View
from posegan_jax.evaluation.gaussian import Gaussian, complete_track
from posegan_jax.evaluation.temporal import (
    butterworth,
    cubic,
    interpolate,
    kalman,
    last_value,
    one_euro,
    savitzky_golay,
)
from posegan_jax.pose.rate import Rate
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

Method = Callable[[PoseSequence], np.ndarray]
"""A track on the model's skeleton, at least the 12 joints -> (T, J, 2) pixels, NaN where it gives
nothing."""

FRAMES = 24
"""Of the windows that windowed baselines look at: as many as the model's."""

# Chosen by ``tune`` on training clips.
PENALTY = {"ridge": 0.003, "ridge-windows": 0.003, "pca": 0.01}
RANK = 128
TEMPORAL: dict[str, Callable[..., np.ndarray]] = {
    "last": lambda keypoints, fps: last_value(keypoints),
    "linear": lambda keypoints, fps: interpolate(keypoints),
    "cubic": lambda keypoints, fps: cubic(keypoints),
    "savitzky-golay": functools.partial(savitzky_golay, seconds=0.44, order=3),
    "butterworth": functools.partial(butterworth, cutoff=3.0),
    "one-euro": functools.partial(one_euro, cutoff=8.0, beta=0.0),
    "kalman": functools.partial(kalman, acceleration=0.004, noise=0.024),
}
"""Name -> function of keypoints (T, J, 2) and, as ``fps``, frames per second."""
LEARNED = ("ridge", "ridge-windows", "pca")


def temporal(smooth: Callable[..., np.ndarray], ridge: Gaussian | None = None) -> Method:
    """A method over time, completed by ``ridge`` where a joint is never observed."""

    def run(sequence: PoseSequence) -> np.ndarray:
        keypoints = _usable(sequence)
        if not np.isfinite(keypoints).any():
            return keypoints
        keypoints = smooth(keypoints, fps=sequence.fps)
        return keypoints if ridge is None else complete_track(ridge, keypoints)

    return run


def regression(model: Gaussian) -> Method:
    """Windows completed by what training windows tell; linear over time where they tell nothing.

    Nothing is told where fewer than two joints are observed in a window.
    """

    def run(sequence: PoseSequence) -> np.ndarray:
        keypoints, rate = _usable(sequence), Rate.of(sequence.fps)
        if not np.isfinite(keypoints).any():
            return keypoints
        tracks = [complete_track(model, track) for track in rate.split(keypoints, np.nan)]
        joined = rate.join(tracks)
        return interpolate(np.where(np.isfinite(keypoints), keypoints, joined))

    return run


def fit_baselines(train: Sequence[View], skeleton: str) -> dict[str, Method]:
    """All baselines that need no training by descent.

    Args:
      train: windows of ``FRAMES`` frames of training people; some thousands.
      skeleton: names their joints.
    """
    windows = np.stack([view.keypoints for view in train])
    detected = detected_joints(skeleton)
    poses = windows.reshape(-1, 1, *windows.shape[2:])
    ridge = Gaussian.fit(poses, detected, PENALTY["ridge"])
    return {name: temporal(smooth, ridge) for name, smooth in TEMPORAL.items()} | {
        "ridge": regression(ridge),
        "ridge-windows": regression(Gaussian.fit(windows, detected, PENALTY["ridge-windows"])),
        "pca": regression(Gaussian.fit(windows, detected, PENALTY["pca"], RANK)),
    }


def detected_joints(skeleton: str) -> np.ndarray:
    """(J,) bool, the 12 joints that a detector delivers."""
    return np.array([joint in DETECTED_12 for joint in get_skeleton(skeleton).joints])


def _usable(sequence: PoseSequence) -> np.ndarray:
    """(T, J, 2) with NaN at all but the 12 joints, which are all that our model looks at, too."""
    detected = detected_joints(sequence.skeleton)
    return np.where(detected[:, None], sequence.keypoints, np.nan)
