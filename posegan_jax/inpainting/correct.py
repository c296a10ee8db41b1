"""What a corrector makes of generated motion and observations, without a latent code in between.

The generator says of a joint what its latent code leaves room for; a corrector sees all that is
observed, and what is said of the others. They err in other ways, so both count: of a joint that is
not observed the more, the further away its own next observation is.
"""

import numpy as np

from posegan_jax.geometry.camera import picture
from posegan_jax.geometry.normalize import denormalize, fit_normalization, normalize
from posegan_jax.inpainting.compose import compose
from posegan_jax.inpainting.process import matern
from posegan_jax.model.corrector import fill_linearly
from posegan_jax.model.model import Model
from posegan_jax.pose.rate import Rate
from posegan_jax.pose.windows import gather, starts

OVERLAP = 3
"""Windows that hold a frame. Each costs as much as the first; with one alone, seams would show."""
LARGEST = 15.0
"""Extent of a generated window, in those of what is seen of it, from which it is not corrected: of
one joint alone, or several at one place, a corrector can tell nothing. Less would leave out people
of whom little is seen."""
AT_ONCE = 64
"""Windows that are computed at once, which bounds the memory."""


def correct(
    model: Model, motion: np.ndarray, corrected: np.ndarray, delivered: np.ndarray,
    away: np.ndarray, rate: Rate,
) -> np.ndarray:
    """Moves joints that are not observed to what the corrector says of them.

    Args:
      model: with a corrector.
      motion: (T, J, 2) completed, pixels.
      corrected: (T, J, 2) of ``correct_track``.
      delivered: (J,) bool, what the detector delivers, in sight or not.
      away: (T, J) of ``distance`` to what stays.
      rate: of the frames.

    Returns:
      (T, J, 2) pixels.
    """
    # What a joint's own next observation explains is carried from there already.
    constants = model.constants
    most = np.where(delivered, constants.correction, constants.upsampling)
    share = most * (1 - matern(rate.step * away) ** 2)
    share = np.where(np.isnan(corrected[..., 0]), 0.0, share)
    return motion + share[..., None] * (np.nan_to_num(corrected) - motion)


def distance(flags: np.ndarray) -> np.ndarray:
    """(T, J) frames to the nearest one whose flag is set, infinite where none is."""
    time = np.arange(len(flags))[:, None]
    before = np.maximum.accumulate(np.where(flags, time, -np.inf))
    after = np.minimum.accumulate(np.where(flags, time, np.inf)[::-1])[::-1]
    return np.minimum(time - before, after - time)


def correct_track(
    model: Model, keypoints: np.ndarray, weight: np.ndarray, rate: Rate,
    generated: np.ndarray | None = None,
) -> np.ndarray:
    """A track of any length, window by window, blended as generated ones are.

    Args:
      model: with a corrector, or a regressor alone.
      keypoints: (T, J, 2) pixels; where missing, anything.
      weight: (T, J) 0: missing, up to 1: exact.
      rate: of the frames.
      generated: (T, J, 2) pixels, for one that corrects.

    Returns:
      (T, J, 2) pixels, NaN in frames of which no window has two observations of detected joints.
    """
    seen = (weight > 0) & model.skeleton.mask(model.detected)
    arrays = [np.where(seen[..., None], keypoints, 0.0), np.where(seen, weight, 0.0)]
    if generated is not None:
        arrays.append(generated)
    tracks = zip(*(rate.split(array, 0.0) for array in arrays), strict=True)
    return rate.join([_phase(model, rate.spread, *track) for track in tracks])


def _phase(model: Model, spread: int, keypoints, weight, generated=None):
    length, frames = len(keypoints), model.frames
    first = starts(length, frames, frames // OVERLAP)
    tracks = [keypoints, weight]
    if generated is not None:
        # Of a slow video's track, frames in between; of a short one's window, those beyond.
        known = np.zeros((1, max(length, frames), keypoints.shape[1]))
        known[:, :length:spread] = 1.0
        padded = np.zeros((1, *known.shape[1:], 2))
        padded[0, :length] = generated
        tracks.append(fill_linearly(padded, known)[0])
    shape = (length, *keypoints.shape[1:])
    windows, useful = [np.empty((0, frames, *shape[1:]))], []
    for begin in range(0, len(first), AT_ONCE):
        x, w, *other = (gather(a, first[begin : begin + AT_ONCE], frames, 0.0) for a in tracks)
        useful.append((w > 0).sum(axis=(1, 2)) >= 2)
        if useful[-1].any():
            shown = (array[useful[-1]] for array in (x, w, *other))
            windows.append(_correct_windows(model, *shown))
    nothing = np.zeros(shape)
    first = first[np.concatenate(useful)]
    return compose(
        np.concatenate(windows), first, length, nothing, nothing[..., 0], np.zeros(len(first)),
        "blend",
    )


def _correct_windows(
    model: Model, x: np.ndarray, weight: np.ndarray, generated: np.ndarray | None = None
) -> np.ndarray:
    """Windows (N, F, J, 2) in pixels, as of ``correct_track``; each has two observations."""
    mask = (weight > 0).astype(np.float64)
    normalization = fit_normalization(x, mask)
    inputs = [normalize(x, normalization) * mask[..., None], weight]
    if generated is not None:
        inputs.append(normalize(generated, normalization))
    found = model.correct(*(array.astype(np.float32) for array in inputs))
    windows = denormalize(picture(found), normalization)
    if generated is not None:
        large = np.abs(inputs[2]).max(axis=(1, 2, 3)) > LARGEST
        windows[large] = generated[large]
    return windows
