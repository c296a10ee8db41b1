"""What observations say for themselves: whether the path of a joint shows an error.

That they disagree with the prior is no proof, as people do what it has never seen. But what a
detector takes for a joint is not on the joint's way: the path leaps there, stays for a while, and
leaps back, where a limb that moves fast gets somewhere else, in several frames.
"""

import numpy as np

from posegan_jax.inpainting.bridge import hermite

DOUBT = 0.5
"""Trust under which an observation is doubted."""
PROOF = 0.48
"""Of ``_told``, from which on doubted observations are wrong. Chosen on every second clip of a set
of labelled sport, and on simulated detectors of training subjects: of what was doubted there and
right, one stretch in a hundred has more; of what was wrong, nine tenths do (by length and error).
"""

LASTING = 8.0
"""Frames of the model beyond which it is no better proof that what is doubted lasts: it may be one
swing after another."""
ELSEWHERE = 1.5
"""Distance, in body sizes, from where the prior puts a joint, at which no limb of that body is:
three heads."""


def evidence(
    keypoints: np.ndarray, trust: np.ndarray, weights: np.ndarray, size: np.ndarray,
    off: np.ndarray, step: float = 1.0, live: bool = False,
) -> np.ndarray:
    """(T, J) from 0 to 1: how far doubted observations are shown to be wrong by their own path.

    Args:
      keypoints: (T, J, 2) pixels, NaN where missing.
      trust: (T, J) in them, by the prior.
      weights: (T, J) up to 1, confidence of the detector.
      size: (T,) body size, pixels; NaN where it is not known.
      off: (T, J) distance from where the prior puts them, in body sizes.
      step: frames of the model per frame of the track.
      live: whether these frames are a live track's newest window. The track goes on beyond both
        ends, so a doubted stretch that reaches one of them may still be shown wrong by frames
        that are not here: it counts as shown, and only one that ends within the window is judged.
    """
    result = np.zeros(trust.shape)
    for joint in np.flatnonzero((trust < DOUBT).any(axis=0)):
        time = np.flatnonzero(np.isfinite(keypoints[:, joint, 0]) & np.isfinite(size))
        places = keypoints[time, joint]
        doubted = np.flatnonzero(np.diff(trust[time, joint] < DOUBT, prepend=False, append=False))
        leaps = _leaps(time, places)
        for first, end in doubted.reshape(-1, 2):
            here = time[first:end]
            if first == 0 or end == len(time):
                # Of a leap there and back one half is not seen: it may be a fast limb's. Of what is
                # doubted throughout, there is nothing else to compare it with.
                result[here, joint] = live or (
                    len(here) < len(time) and off[here, joint].mean() > ELSEWHERE)
                continue
            told = _told(time, places, leaps, first, end, step) / size[here[0]] ** 1.5
            # Of what a detector is unsure of, less will do.
            told /= weights[here, joint].mean() ** 2
            result[here, joint] = min(told / PROOF, 1.0)
    return result


def _leaps(time: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(N + 1,) pixels: how much further each of N observations is from the one before than the way
    goes on before, or comes from after, whichever is less; 0 before the first and after the last.
    """
    gap = np.diff(time)[:, None]
    way = np.diff(places, axis=0)
    speed = np.concatenate([np.zeros((1, 2)), way / gap, np.zeros((1, 2))])
    sides = [np.linalg.norm(way - gap * near, axis=-1) for near in (speed[:-2], speed[2:])]
    return np.concatenate([[0.0], np.minimum(*sides), [0.0]])


def _told(
    time: np.ndarray, places: np.ndarray, leaps: np.ndarray, first: int, end: int, step: float
) -> float:
    """That observations ``first`` to ``end`` are wrong, in frames of the model times pixels^1.5:
    how long they last, how suddenly they come and go, how far off the way across they are."""
    frames = min(step * (time[end - 1] - time[first] + 1), LASTING)
    # Doubt may begin and end a frame late, but not early: in between, it is what is doubted itself.
    comes, goes = leaps[max(first - 1, 0) : first + 1].max(), leaps[end : end + 2].max()
    return frames * min(comes, goes) * _off(time, places, first, end) ** 0.5


def _off(time: np.ndarray, places: np.ndarray, first: int, end: int) -> float:
    """Largest distance, pixels, of observations from the way across, straight or as it goes on from
    both sides (a cubic), whichever is nearer."""
    before, after = places[first - 1], places[end]
    span = time[end] - time[first - 1]
    at = ((time[first:end] - time[first - 1]) / span)[:, None]
    straight = before + at * (after - before)
    leaves, arrives = (
        span * (places[k + 1] - places[k]) / (time[k + 1] - time[k]) if 0 <= k < len(time) - 1
        else after - before
        for k in (first - 2, end)
    )
    curved = hermite(before, after, leaves, arrives, at)
    off = [np.linalg.norm(places[first:end] - way, axis=-1).max() for way in (straight, curved)]
    return min(off)
