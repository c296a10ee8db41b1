"""From overlapping windows back to one sequence (L. Mourot, 2019, section 6)."""


from collections.abc import Iterator

import numpy as np

from posegan_jax.inpainting.settings import Composition

AT_ONCE = 256
"""Windows that are blended at once, which bounds the memory."""


def compose(
    candidates: np.ndarray, starts: np.ndarray, length: int, observed: np.ndarray,
    mask: np.ndarray, loss: np.ndarray, how: Composition, center: np.ndarray | None = None,
) -> np.ndarray:
    """Chooses or blends, for every frame, among the windows that hold it.

    Args:
      candidates: (N, F, J, 2) completed windows in the sequence's own frame.
      starts: (N,) first frame of each window.
      length: T, frames of the sequence; what windows hold beyond it is dropped.
      observed: (T, J, 2) the input.
      mask: (T, J) 1 = observed.
      loss: (N,) objective of each window.
      how: 'nearest': the candidate with the least mean distance to the frame's observed joints, as
        in the thesis; where none is observed, the one of the window with the least objective.
        'blend': the mean of all candidates, weighted towards the middle of their windows, so that
        no seam shows; the thesis itself finds the nearest candidate a poor choice where many
        joints are missing (section 7.5).
      center: (N, 1, 1, 2) what candidates are about, where they are not in that frame.

    Returns:
      (T, J, 2), NaN in frames that no window holds.
    """
    if how == "blend":
        total, norm = np.zeros((length, *candidates.shape[2:])), np.zeros(length)
        for some, index, weight in _weighted(candidates, starts, length, center):
            np.add.at(total, index, weight[:, None, None] * some)
            np.add.at(norm, index, weight)
        norm[norm == 0] = np.nan
        return total / norm[:, None, None]
    if how != "nearest":
        raise ValueError(f"composition must be 'blend' or 'nearest', not {how!r}")
    index = starts[:, None] + np.arange(candidates.shape[1])
    if center is not None:
        candidates = candidates + center
    return _nearest(candidates, index, index < length, length, observed, mask, loss)


def spread(
    candidates: np.ndarray, starts: np.ndarray, motion: np.ndarray,
    center: np.ndarray | None = None,
) -> np.ndarray:
    """How far the windows that hold a frame disagree.

    Args:
      candidates: (N, F, J, 2) completed windows in the sequence's own frame.
      starts: (N,) first frame of each window.
      motion: (T, J, 2) the sequence that was made of them.
      center: as of ``compose``.

    Returns:
      (T, J) root mean square distance per coordinate, as weighted in a blend; NaN in frames that no
      window holds, 0 in those of a single one.
    """
    total, norm = np.zeros(motion.shape[:2]), np.zeros(len(motion))
    for some, index, weight in _weighted(candidates, starts, len(motion), center):
        off = (some - motion[index]) ** 2
        np.add.at(total, index, weight[:, None] * off.mean(-1))
        np.add.at(norm, index, weight)
    norm[norm == 0] = np.nan
    return np.sqrt(total / norm[:, None])


def _weighted(
    candidates: np.ndarray, starts: np.ndarray, length: int, center: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Poses (P, J, 2) of some windows after the other, their frames (P,) and weights (P,)."""
    frames = candidates.shape[1]
    for begin in range(0, len(candidates), AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        index = starts[part, None] + np.arange(frames)
        inside = index < length
        weight = np.broadcast_to(_hat(frames), index.shape)
        some = candidates[part] if center is None else candidates[part] + center[part]
        yield some[inside], index[inside], weight[inside]


def _hat(frames: int) -> np.ndarray:
    """(F,) weights of a window's frames: its middle knows both sides."""
    return np.minimum(np.arange(frames) + 1, np.arange(frames, 0, -1)).astype(np.float64) ** 2


def _nearest(candidates, index, inside, length, observed, mask, loss):
    result = np.full((length, *candidates.shape[2:]), np.nan)
    best = np.full((length, 2), np.inf)  # distance, then objective where there is no distance
    for n in range(len(candidates)):
        frames = index[n][inside[n]]
        poses = candidates[n][inside[n]]
        weight = mask[frames]
        target = np.where(weight[..., None] > 0, observed[frames], 0.0)
        distance = np.linalg.norm(poses - target, axis=-1) * weight
        count = weight.sum(-1)
        score = np.where(count > 0, distance.sum(-1) / np.maximum(count, 1), 0.0)
        key = np.stack([score, np.full(len(frames), loss[n])], axis=-1)
        closer = (key[:, 0] < best[frames, 0]) | (
            (key[:, 0] == best[frames, 0]) & (key[:, 1] < best[frames, 1])
        )
        result[frames[closer]], best[frames[closer]] = poses[closer], key[closer]
    return result
