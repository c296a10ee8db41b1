"""Ridges of training windows that know some of their joints, with one penalty for all patterns.

People who are labelled in video lack joints here and there, and one side where they are seen from
the other. What counts is the error in sizes of the body: a training window weighs as much as what
it shows is large beside all of it, squared. Normalised by two joints that happen to lie beside each
other, a body is huge, and one such window would decide for all.
"""

from collections.abc import Sequence

import numpy as np

from posegan_jax.evaluation.ridge import KEPT, Regression, Ridge, solve
from posegan_jax.evaluation.windowed import FEWEST, fit_frame

LEAST = 2
"""Training windows of which a regression is made."""
SHARED = 0.97
"""Share of the windows that have a joint for which those that have all missing joints stand in."""
PENALTIES = (1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3)
"""Those that ``choose_penalty`` chooses from."""


def partial_ridge(windows: np.ndarray, penalty: float, kept: int = KEPT) -> Ridge:
    """The ridge of windows that know some of their joints.

    Args:
      windows: as of ``PartialWindows``.
      penalty: as of ``PartialWindows.fit``.
      kept: as of ``Ridge``.
    """
    known = PartialWindows(windows)
    return Ridge(windows.shape[1], lambda seen: known.fit(seen, [penalty])[0], kept)


class PartialWindows:
    """Training windows that know some of their joints.

    Args:
      windows: (N, F, J, 2) in any units. NaN where a joint is not known: a window serves the
        patterns whose observed joints it has, and those of their missing joints that it has.
    """

    def __init__(self, windows: np.ndarray):
        self._flat = np.asarray(windows, np.float32).reshape(len(windows), -1, 2)
        self._known: np.ndarray = np.all(np.isfinite(self._flat), axis=-1)
        self._whole = _known_size(self._flat, self._known)

    def fit(self, seen: np.ndarray, penalties: Sequence[float]) -> list[Regression]:
        """The regression of a pattern for each of some penalties.

        Args:
          seen: (F J,) bool, True where a joint of a frame is observed.
          penalties: per training window, relative to the size of what is observed, squared.
        """
        rows = self._known[:, seen].all(axis=1)
        windows, known = self._flat[rows], self._known[rows][:, ~seen]
        center, size = fit_frame(windows[:, seen])
        weight = (size[:, 0, 0] / self._whole[rows]) ** 2
        windows = (windows - center) / size
        x = windows[:, seen].reshape(len(windows), -1)
        y = windows[:, ~seen]
        shape = x.shape[1], *y.shape[1:]
        found = [(np.full(shape, np.nan), np.full(shape[1:], np.nan)) for _ in penalties]
        for joints, there in _groups(known):
            solved = _weighted(x[there], y[there][:, joints], weight[there], penalties)
            for (weights, offset), (part, constant) in zip(found, solved, strict=True):
                weights[:, joints], offset[joints] = part, constant
        return [Regression(w.reshape(len(w), -1), o.reshape(-1)) for w, o in found]


def choose_penalty(
    train: np.ndarray, held_out: np.ndarray, patterns: Sequence[np.ndarray],
    penalties: Sequence[float] = PENALTIES,
) -> float:
    """The penalty with the least error, in sizes of the body, on windows that are held out.

    Args:
      train: (N, F, J, 2) as of ``PartialWindows``.
      held_out: (M, F, J, 2) of other clips.
      patterns: (F J,) bool each, joints that are observed.
      penalties: to choose from; the first one where there is nothing to choose by.
    """
    known, errors = PartialWindows(train), np.zeros(len(penalties))
    points = np.asarray(held_out).reshape(len(held_out), -1, 2)
    size = _known_size(points, np.isfinite(points).all(axis=-1))
    for seen in patterns:
        rows = np.isfinite(points[:, seen]).all(axis=(1, 2))
        truth = points[rows]
        if not FEWEST <= seen.sum() < seen.size or not len(truth):
            continue
        for i, regression in enumerate(known.fit(seen, penalties)):
            off = regression.others(truth[:, seen]) - truth[:, ~seen]
            off = np.linalg.norm(off, axis=-1) / size[rows, None]
            errors[i] += off[np.isfinite(off)].sum() / max(np.isfinite(off).sum(), 1)
    return float(penalties[int(errors.argmin())])


def _groups(known: np.ndarray) -> list[tuple[list[int], np.ndarray]]:
    """Joints that share a solution, and its windows (N,) bool, by what windows know (N, M).

    Those that have not many more windows than have all joints make do with these.
    """
    whole: np.ndarray = np.all(known, axis=1)
    groups: dict[bytes, tuple[list[int], np.ndarray]] = {}
    for joint in range(known.shape[1]):
        there = known[:, joint]
        if whole.sum() >= SHARED * there.sum():
            there = whole
        if there.sum() >= LEAST:
            groups.setdefault(there.tobytes(), ([], there))[0].append(joint)
    return list(groups.values())


def _known_size(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(N,) sizes of what is known of windows (N, P, 2)."""
    count = known.sum(axis=1)[:, None]
    points = np.where(known[..., None], points, 0.0)
    center = points.sum(axis=1) / np.maximum(count, 1)
    off = np.where(known[..., None], points - center[:, None], 0.0)
    size = np.sqrt((off**2).sum(axis=(1, 2)) / np.maximum(count[:, 0], 1))
    return np.maximum(size, 1e-9).astype(points.dtype)


def _weighted(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray, penalties: Sequence[float]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights (K, M, 2) and offset (M, 2) for each penalty, of x (N, K) and y (N, M, 2), the
    windows weighing (N,)."""
    shape, y = y.shape[1:], y.reshape(len(y), -1)
    weight = (weight / weight.sum(dtype=np.float64)).astype(x.dtype)
    mean, expected = weight @ x, weight @ y
    root = np.sqrt(weight)[:, None]
    x, y = root * (x - mean), root * (y - expected)
    # Sums over windows in single precision, which takes half the time; the solution in double.
    gram, cross = ((x.T @ a).astype(np.float64) for a in (x, y))
    solved = []
    for penalty in penalties:
        factors = solve(gram, cross, penalty)
        offset = expected - mean @ factors
        solved.append((factors.reshape(-1, *shape), offset.reshape(shape)))
    return solved
