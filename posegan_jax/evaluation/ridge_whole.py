"""Ridges of complete training windows, with a penalty of its own for every joint of a pattern.

How much a joint's weights are penalised is chosen by leaving out training people in turn: a joint
that is seen a frame before is best carried on exactly, one that is never seen is best guessed with
care. Sums of products over the training windows serve all patterns of the same joints, so that one
that never comes again, of holes at random, is solved in the time of its matrices.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from posegan_jax.evaluation.ridge import KEPT, Kept, Regression, Ridge, solve
from posegan_jax.evaluation.windowed import fit_frame

PENALTIES = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
"""To choose from: mean squares that weights are penalised by, against those of joints' places,
which are 1/2 of the body's size squared in the mean."""
FOLDS = 4
"""Groups of training people who are left out in turn."""
ASKED = 3
"""Frames in which a joint's error is looked at for the choice of its penalty, at most."""
KEPT_SETS = 4
"""Moments of sets of joints that are kept."""


def whole_ridge(
    windows: np.ndarray, people: Sequence[str] | np.ndarray,
    penalties: Sequence[float] = PENALTIES, kept: int = KEPT,
) -> Ridge:
    """The ridge of complete windows.

    Args:
      windows, people, penalties: as of ``WholeWindows``.
      kept: as of ``Ridge``.
    """
    return Ridge(windows.shape[1], WholeWindows(windows, people, penalties).fit, kept)


class Moments(NamedTuple):
    """Sums over windows of each fold that are weighted for one set of joints, over all windows.

    Attributes:
      weight: (N,) of the windows' squares: 1 / their size over the joints of the set.
      products: (folds, D, D).
    """

    weight: np.ndarray
    products: np.ndarray


class WholeWindows:
    """Training windows that know all of their joints.

    Errors count in sizes of the joints that a window shows at any time.

    Args:
      windows: (N, F, J, 2) complete, in any units.
      people: (N,) who moves in each. With a single one, parts of the windows are left out instead.
      penalties: to choose from.
    """

    def __init__(
        self, windows: np.ndarray, people: Sequence[str] | np.ndarray,
        penalties: Sequence[float] = PENALTIES,
    ):
        self.frames, self.joints = windows.shape[1:3]
        self._penalties = penalties
        names, who = np.unique(np.asarray(people), return_inverse=True)
        fold = who % FOLDS if len(names) > 1 else np.arange(len(windows)) * FOLDS // len(windows)
        order = np.argsort(fold, kind="stable")
        ends = np.searchsorted(fold[order], np.unique(fold), side="right")
        self._folds = [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
        points = windows[order].reshape(len(windows), -1, 2)
        center, size = fit_frame(points)
        self._points = ((points - center) / size).astype(np.float32)
        self._squares = (self._points**2).sum(axis=-1)
        self._sets = Kept(self._moments, KEPT_SETS)

    def fit(self, seen: np.ndarray) -> Regression:
        """Of a pattern: weighted least squares of y - c = W (x - c) + o s, with its own c and s."""
        joints = np.any(seen.reshape(-1, self.joints), axis=0)
        moments = self._sets(joints)
        sizes, squares = self._sizes(seen, moments.weight)
        observed, missing = (np.flatnonzero(np.repeat(part, 2)) for part in (seen, ~seen))
        choice = np.repeat(self._choose(seen, moments.products, sizes, squares), 2)
        offset = sizes.sum(axis=0) / squares.sum()
        total = moments.products.sum(axis=0)
        inner, outer = (
            _about(total, seen, observed, columns)
            - squares.sum() * np.outer(offset[observed], offset[columns])
            for columns in (observed, missing)
        )
        weights = np.empty(outer.shape)
        for penalty in np.unique(choice):
            some = choice == penalty
            weights[:, some] = solve(inner, outer[:, some], penalty)
        return Regression(weights, offset[missing] - offset[observed] @ weights)

    def _choose(
        self, seen: np.ndarray, products: np.ndarray, sizes: np.ndarray, squares: np.ndarray
    ) -> np.ndarray:
        """Penalty of every missing point: the one with the least square error on the folds that
        are left out, summed over the points of its joint of which the error is looked at."""
        joint = np.tile(np.arange(self.joints), self.frames)[~seen]
        if len(self._penalties) == 1:
            return np.full(len(joint), self._penalties[0])
        points = np.concatenate([
            which[np.linspace(0, len(which) - 1, min(len(which), ASKED)).astype(int)]
            for which in (np.flatnonzero(joint == j) for j in np.unique(joint))
        ])
        asked = np.flatnonzero(np.repeat(~seen, 2)).reshape(-1, 2)[points].ravel()
        used, known = np.append(np.flatnonzero(np.repeat(seen, 2)), asked), 2 * seen.sum()
        products = np.stack([_about(product, seen, used, used) for product in products])
        sizes = sizes[:, used]
        errors = np.zeros((len(self._penalties), self.joints))
        for product, size, square in zip(products, sizes, squares, strict=True):
            others = squares.sum() - square
            offset = (sizes.sum(axis=0) - size) / others
            spread = products.sum(axis=0) - product - others * np.outer(offset, offset)
            # Of the fold that is left out, about the others' offset.
            shift = np.outer(size, offset)
            left = product - shift - shift.T + square * np.outer(offset, offset)
            for i, penalty in enumerate(self._penalties):
                share = penalty * others / squares.sum()
                weights = solve(spread[:known, :known], spread[:known, known:], share)
                error = left[:known, :known] @ weights - 2 * left[:known, known:]
                error = np.diag(left)[known:] + (weights * error).sum(axis=0)
                # Every fold counts alike, however many windows it has.
                np.add.at(errors[i], joint[points], error.reshape(-1, 2).sum(axis=1) / square)
        return np.asarray(self._penalties)[errors.argmin(axis=0)][joint]

    def _sizes(self, seen: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sums over the windows of each fold, over all windows: of coordinates about the mean of a
        pattern's points times the pattern's size (folds, D), and of its square (folds,)."""
        count, flat = len(self._points), self._points.reshape(len(self._points), -1)
        size = self._size(seen)
        sizes = np.stack([(size * weight)[fold] @ flat[fold] for fold in self._folds])
        sizes = sizes.astype(np.float64).reshape(len(sizes), -1, 2)
        sizes = (sizes - sizes[:, seen].mean(axis=1, keepdims=True)).reshape(len(sizes), -1)
        squares = [(size**2 * weight)[fold].sum(dtype=np.float64) for fold in self._folds]
        return sizes / count, np.array(squares) / count

    def _moments(self, joints: np.ndarray) -> Moments:
        """Of joints (J,) that are seen at any time."""
        weight = 1 / self._size(np.tile(joints, self.frames)) ** 2
        flat = self._points.reshape(len(self._points), -1) * np.sqrt(weight)[:, None]
        products = [flat[fold].T @ flat[fold] for fold in self._folds]
        return Moments(weight, np.stack(products).astype(np.float64) / len(flat))

    def _size(self, seen: np.ndarray) -> np.ndarray:
        """(N,) of the points of a pattern, against that of all."""
        share = (seen / seen.sum()).astype(np.float32)
        center = np.einsum("npc,p->nc", self._points, share)
        return np.sqrt(np.maximum(self._squares @ share - (center**2).sum(axis=-1), 1e-10))


def _about(
    products: np.ndarray, seen: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Some of the products (D, D) of coordinates, taken about the mean of the points of a pattern.
    """
    means = products.reshape(len(seen), 2, -1)[seen].mean(axis=0)
    both = means.reshape(2, len(seen), 2)[:, seen].mean(axis=1)
    r, c = rows % 2, columns % 2
    found = products[np.ix_(rows, columns)] + both[np.ix_(r, c)]
    return found - means[np.ix_(r, columns)] - means[np.ix_(c, rows)].T
