"""What a mixer makes of generated motion and observations, without a latent code in between.

The generator says of a joint what its latent code leaves room for; a mixer sees all that is
observed, and what the generator says of it. They err in other ways, so both count.
"""

import numpy as np

from posegan_jax.geometry.normalize import denormalize, fit_normalization, normalize
from posegan_jax.inpainting.rate import Rate
from posegan_jax.inpainting.select import compose
from posegan_jax.networks.mixer import DETECTED, FRAMES, Mixer, fill_linearly
from posegan_jax.pose.windows import gather, starts

AT_ONCE = 64
"""Windows that are computed at once."""


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
      (T, J, 2) pixels, NaN in frames of which no window has two detected joints.
    """
    detected = np.zeros(keypoints.shape[1], bool)
    detected[list(DETECTED)] = True
    weight = np.where(detected, weight, 0.0)
    arrays = [np.where(weight[..., None] > 0, keypoints, 0.0), weight]
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
    windows = np.empty(x.shape)
    for begin in range(0, len(x), AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        mask = (w[part] > 0).astype(np.float64)
        normalization = fit_normalization(x[part], mask)
        inputs = [normalize(x[part], normalization) * mask[..., None], w[part]]
        if generated is not None:
            inputs.append(normalize(generated[part], normalization))
        found = mixer(*(array.astype(np.float32) for array in inputs))
        windows[part] = denormalize(found, normalization)
    shape = (length, *keypoints.shape[1:])
    nothing = np.zeros(shape)
    return compose(
        windows, first, length, nothing, nothing[..., 0], np.zeros(len(first)), "blend"
    )
