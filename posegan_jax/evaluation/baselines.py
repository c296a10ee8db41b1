"""What the model has to beat, by name.

Those over time treat every joint on its own; what is never observed, the upsampled joints among it,
is then regressed frame by frame on what is, as nothing else is simple enough to be called what a
user would do instead. The others learn from training windows.
"""

import functools
from collections.abc import Callable, Collection, Sequence

import numpy as np

from posegan_jax.evaluation.clips import View
from posegan_jax.evaluation.gaussian import Gaussian
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
PENALTY = {"ridge": 0.003, "ridge-windows": 0.003, "pca": 0.01}
RANK = 128
TEMPORAL: dict[str, Callable[..., np.ndarray]] = {
    "last": lambda keypoints, fps: last_value(keypoints),
    "linear": lambda keypoints, fps: interpolate(keypoints),
    "cubic": lambda keypoints, fps: cubic(keypoints),
    "pchip": lambda keypoints, fps: pchip(keypoints),
    "savitzky-golay": functools.partial(savitzky_golay, seconds=0.44, order=3),
    "gaussian": functools.partial(gaussian, seconds=0.08),
    "butterworth": functools.partial(butterworth, cutoff=3.0),
    "one-euro": functools.partial(one_euro, cutoff=8.0, beta=0.0),
    "kalman": functools.partial(kalman, acceleration=0.004, noise=0.024),
}
"""Name -> function of keypoints (T, J, 2) and, as ``fps``, frames per second."""
LEARNED: dict[str, Callable[[np.ndarray, np.ndarray], WindowModel]] = {
    "ridge": lambda windows, detected: Gaussian.fit(
        windows.reshape(-1, 1, *windows.shape[2:]), detected, PENALTY["ridge"]
    ),
    "ridge-windows": lambda windows, detected: Gaussian.fit(
        windows, detected, PENALTY["ridge-windows"]
    ),
    "pca": lambda windows, detected: Gaussian.fit(windows, detected, PENALTY["pca"], RANK),
}
"""Name -> function of training windows (N, F, J, 2) and of which joints are detected, (J,) bool."""


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
    train: Sequence[View], detected: Collection[str] = DETECTED_12
) -> dict[str, Method]:
    """All baselines that need no training by descent.

    Args:
      train: windows of training people, as long as the model's; some thousands.
      detected: names of the joints that baselines look at: those that a detector delivers.
    """
    windows = np.stack([view.keypoints for view in train])
    mask = train[0].skeleton.mask(detected)
    learned = {name: fit(windows, mask) for name, fit in LEARNED.items()}
    return {
        name: temporal(smooth, learned["ridge"], detected) for name, smooth in TEMPORAL.items()
    } | {name: regression(model, detected) for name, model in learned.items()}


def _usable(sequence: PoseSequence, detected: Collection[str]) -> np.ndarray:
    """(T, J, 2) with NaN at all but the detected joints, which is all that our model sees, too."""
    mask = get_skeleton(sequence.skeleton).mask(detected)
    return np.where(mask[:, None], sequence.keypoints, np.nan)
