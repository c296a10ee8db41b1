"""What a mixer makes of generated motion and observations, without a latent code in between.

The generator says of a joint what its latent code leaves room for; a mixer sees all that is
observed, and what is said of the others. They err in other ways, so both count: of a joint that is
not observed the more, the further away its own next observation is.
"""

import numpy as np

from posegan_jax.geometry.normalize import denormalize, fit_normalization, normalize
from posegan_jax.inpainting.compose import compose
from posegan_jax.inpainting.residual import matern
from posegan_jax.model.corrector import DETECTED, FRAMES, SKELETON, Mixer, fill_linearly
from posegan_jax.pose.rate import Rate
from posegan_jax.pose.windows import gather, starts

CORRECTION, UPSAMPLING = 0.7, 0.9
"""Weight of what the mixer says of joints that are never observed: of those that detectors deliver,
and of all others."""
SHIFT = 8
"""Frames from one window to the next."""
LARGEST = 15.0
"""Extent of a generated window, in those of what is seen of it, from which it is not corrected: of
one joint alone, or several at one place, a mixer can tell nothing."""
AT_ONCE = 64
"""Windows that are computed at once."""
_DETECTED = np.isin(np.arange(len(SKELETON)), DETECTED)


def correct(
    mixer: Mixer, motion: np.ndarray, weight: np.ndarray, seen: np.ndarray, rate: Rate
) -> np.ndarray:
    """Moves joints that are not observed to what a mixer says of them.

    Args:
      mixer: one that corrects.
      motion: (T, J, 2) completed, pixels.
      weight: (T, J) 0: not observed, or not to be relied on, up to 1: exact.
      seen: (T, J) bool, joints that stay.
      rate: of the frames.

    Returns:
      (T, J, 2) pixels.
    """
    return blend(motion, mix_track(mixer, motion, weight, rate, SHIFT, motion), seen, rate.step)


def blend(motion: np.ndarray, mixed: np.ndarray, seen: np.ndarray, step: float) -> np.ndarray:
    """Motion (T, J, 2) with its share of what a mixer says; where that is NaN as it is."""
    # What a joint's own next observation explains is carried from there already.
    most = np.where(_DETECTED, CORRECTION, UPSAMPLING)
    share = most * (1 - matern(step * _distance(seen)) ** 2)
    share = np.where(np.isnan(mixed[..., 0]), 0.0, share)
    return motion + share[..., None] * (np.nan_to_num(mixed) - motion)


def _distance(flags: np.ndarray) -> np.ndarray:
    """(T, J) frames to the nearest one whose flag is set, infinite where none is."""
    time = np.arange(len(flags))[:, None]
    before = np.maximum.accumulate(np.where(flags, time, -np.inf))
    after = np.minimum.accumulate(np.where(flags, time, np.inf)[::-1])[::-1]
    return np.minimum(time - before, after - time)


def mix_track(
    mixer: Mixer, keypoints: np.ndarray, weight: np.ndarray, rate: Rate, shift: int,
    generated: np.ndarray | None = None,
) -> np.ndarray:
    """A track of any length, window by window, blended as generated ones are.

    Args:
      mixer: what completes windows.
      keypoints: (T, J, 2) pixels; where missing, anything.
      weight: (T, J) 0: missing, up to 1: exact.
      rate: of the frames.
      shift: frames from one window to the next.
      generated: (T, J, 2) pixels, for a mixer that corrects.

    Returns:
      (T, J, 2) pixels, NaN in frames of which no window has two observations of detected joints.
    """
    seen = (weight > 0) & _DETECTED
    arrays = [np.where(seen[..., None], keypoints, 0.0), np.where(seen, weight, 0.0)]
    if generated is not None:
        arrays.append(generated)
    tracks = zip(*(rate.split(array, 0.0) for array in arrays), strict=True)
    return rate.join([_phase(mixer, shift, rate.spread, *track) for track in tracks])


def _phase(mixer: Mixer, shift: int, spread: int, keypoints, weight, generated=None):
    length = len(keypoints)
    first = starts(length, FRAMES, shift)
    x, w = (gather(array, first, FRAMES, 0.0) for array in (keypoints, weight))
    useful = (w > 0).sum(axis=(1, 2)) >= 2
    first, x, w = first[useful], x[useful], w[useful]
    if generated is not None:
        # Of a slow video's track, frames in between; of a short one's window, those beyond.
        known = np.zeros((1, max(length, FRAMES), keypoints.shape[1]))
        known[:, :length:spread] = 1.0
        padded = np.zeros((1, *known.shape[1:], 2))
        padded[0, :length] = generated
        generated = gather(fill_linearly(padded, known)[0], first, FRAMES, 0.0)
    windows = mix_windows(mixer, x, w, generated)
    shape = (length, *keypoints.shape[1:])
    nothing = np.zeros(shape)
    return compose(
        windows, first, length, nothing, nothing[..., 0], np.zeros(len(first)), "blend"
    )


def mix_windows(
    mixer: Mixer, x: np.ndarray, weight: np.ndarray, generated: np.ndarray | None = None
) -> np.ndarray:
    """Windows in pixels.

    Args:
      mixer: what completes windows.
      x: (N, F, J, 2) pixels; where missing, anything finite.
      weight: (N, F, J) 0: missing, up to 1: exact; every window has two observations of detected
        joints.
      generated: (N, F, J, 2) pixels, for a mixer that corrects.

    Returns:
      (N, F, J, 2) pixels.
    """
    windows = np.empty(x.shape)
    for begin in range(0, len(x), AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        sure = weight[part] * _DETECTED
        mask = (sure > 0).astype(np.float64)
        normalization = fit_normalization(x[part], mask)
        inputs = [normalize(x[part], normalization) * mask[..., None], sure]
        if generated is not None:
            inputs.append(normalize(generated[part], normalization))
        found = mixer(*(array.astype(np.float32) for array in inputs))
        windows[part] = denormalize(found, normalization)
        if generated is not None:
            large = np.abs(inputs[2]).max(axis=(1, 2, 3)) > LARGEST
            windows[part][large] = generated[part][large]
    return windows
