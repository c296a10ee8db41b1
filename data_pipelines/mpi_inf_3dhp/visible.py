"""Which stretches of a recording show the person."""

import numpy as np

SIZE = 2048
"""Pixels of a picture's side."""


def visible_stretches(keypoints: np.ndarray, threshold: float = 1.0) -> list[slice]:
    """Cuts out stretches in which the person is not entirely visible (thesis, section 7.1).

    A stretch of frames that do not show every joint is cut if joints leave the picture somewhere
    in it, not necessarily at one time, that are at least a share ``threshold`` of all; with fewer,
    it is kept: who comes close to the camera stays partly visible. The thesis does not say how it
    tells one from the other; this reading is ours.

    Args:
      keypoints: (T, J, 2) pixels.
      threshold: in (0, 1]; 1 cuts where every joint leaves.

    Returns:
      What remains, in order.
    """
    inside = ((keypoints >= 0) & (keypoints < SIZE)).all(axis=-1)
    whole = inside.all(axis=1)
    keep = whole.copy()
    for stretch in _runs(~whole):
        left = 1 - inside[stretch].all(axis=0).mean()
        keep[stretch] = left < threshold - 1e-9
    return _runs(keep)


def _runs(mask: np.ndarray) -> list[slice]:
    """The stretches where a (T,) mask is True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [slice(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
