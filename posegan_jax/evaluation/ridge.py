"""Ridge regression of what a window lacks on what it shows, of its own for every pattern of holes.

A pattern says which joints of which frames are observed. Its training windows are normalised as the
window at hand can be: by the mean and the size of exactly these joints. The others are then
regressed in closed form (A. Hoerl and R. Kennard, Technometrics 12, 1970). What is trained on is a
matter of ``ridge_whole`` and ``ridge_partial``.
"""

import collections
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from posegan_jax.evaluation.windowed import complete_patterns, fit_frame

KEPT = 256
"""Patterns whose regressions are kept: holes at random hardly come again, arms and legs always do.
"""
T = TypeVar("T")


class Regression(NamedTuple):
    """Of one pattern: missing coordinates are ``offset + observed @ weights``, both normalised.

    Attributes:
      weights: (K, D - K), NaN in coordinates of which nothing was learned.
      offset: (D - K,).
    """

    weights: np.ndarray
    offset: np.ndarray

    def others(self, observed: np.ndarray) -> np.ndarray:
        """(n, K / 2, 2) observed points -> (n, (D - K) / 2, 2) the others."""
        center, size = fit_frame(observed)
        x = ((observed - center) / size).reshape(len(observed), -1)
        return (self.offset + x @ self.weights).reshape(len(x), -1, 2) * size + center


class Kept(Generic[T]):
    """What was made of flags, as long as it is among the last so many that were asked for.

    Args:
      make: function of flags (N,) bool.
      most: that are kept.
    """

    def __init__(self, make: Callable[[np.ndarray], T], most: int):
        self._make, self._most = make, most
        self._kept: collections.OrderedDict[bytes, T] = collections.OrderedDict()

    def __call__(self, flags: np.ndarray) -> T:
        key = np.packbits(flags).tobytes()
        if key not in self._kept:
            self._kept[key] = self._make(flags)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


class Ridge:
    """Ridge regressions, one for every pattern that is asked for; a ``windowed.WindowModel``.

    Args:
      frames: F of windows.
      fit: the regression of a pattern (F J,) bool, True where a joint of a frame is observed.
      kept: patterns whose regressions are kept.
    """

    def __init__(self, frames: int, fit: Callable[[np.ndarray], Regression], kept: int = KEPT):
        self.frames, self.regression = frames, Kept(fit, kept)

    def complete_all(self, windows: np.ndarray) -> np.ndarray:
        """(N, F, J, 2) with NaN where missing -> complete; what is observed is kept.

        Windows of fewer than two observed joints stay as they are: nothing tells their size. So do
        joints of which nothing was learned.
        """
        return complete_patterns(
            windows, lambda observed, seen: self.regression(seen).others(observed)
        )


def solve(gram: np.ndarray, cross: np.ndarray, penalty: float) -> np.ndarray:
    """(K, M) weights, from products of inputs (K, K) and of these with the outputs (K, M)."""
    return cho_solve(cho_factor(gram + penalty * np.eye(len(gram)), overwrite_a=True), cross)
