"""Ridge regression for exactly the pattern at hand, from windows that know some of their joints.

<<<<<<<< HEAD:posegan_jax/evaluation/ridge.py
For every pattern of missing joints the training windows are normalised as the window at hand can
be: by the mean and the size of exactly the joints that it shows. What it lacks is then regressed in
closed form (A. Hoerl and R. Kennard, Technometrics 12, 1970). How much every joint's weights are
penalised is chosen for the pattern, too, by leaving out training people in turn: a joint that is
seen a frame before is best carried on exactly, one that is never seen is best guessed with care.
========
People who are labelled in video lack joints here and there, and one side where they are seen from
the other. For every pattern of missing joints the training windows are normalised as the window at
hand can be: by the mean and the size of exactly the joints that it shows. What it lacks is then
regressed in closed form (A. Hoerl and R. Kennard, Technometrics 12, 1970).

What counts is the error in sizes of the body: a training window weighs as much as what it shows is
large beside all of it, squared. Normalised by two joints that happen to lie beside each other, a
body is huge, and one such window would decide for all.
>>>>>>>> w-video:posegan_jax/evaluation/partial_ridge.py
"""

import collections
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from posegan_jax.evaluation.windowed import fit_frame

PENALTIES = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
"""To choose from: mean squares that weights are penalised by, against those of joints' places,
which are 1/2 of the body's size squared in the mean."""
FOLDS = 4
"""Groups of training people who are left out in turn."""
ASKED = 3
"""Frames in which a joint's error is looked at for the choice of its penalty, at most."""
KEPT_PATTERNS, KEPT_SETS = 256, 4
"""Regressions that are kept, and moments of sets of joints: holes at random hardly come again,
arms and legs always do."""


class Regression(NamedTuple):
    """Of one pattern: missing coordinates are ``offset + observed @ weights``, both normalised.

    Attributes:
      weights: (K, D - K).
      offset: (D - K,).
    """

    weights: np.ndarray
    offset: np.ndarray


<<<<<<<< HEAD:posegan_jax/evaluation/ridge.py
class Moments(NamedTuple):
    """Sums over windows of each fold that are weighted for one set of joints, over all windows.

    Attributes:
      weight: (N,) of the windows' squares: 1 / their size over the joints of the set.
      products: (folds, D, D).
    """

    weight: np.ndarray
    products: np.ndarray


class Ridge:
========
class PartialRidge:
>>>>>>>> w-video:posegan_jax/evaluation/partial_ridge.py
    """Ridge regressions from training windows, one for every pattern that is asked for.

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
        self._sets: collections.OrderedDict[bytes, Moments] = collections.OrderedDict()
        self._patterns: collections.OrderedDict[bytes, Regression] = collections.OrderedDict()

    def complete_all(self, windows: np.ndarray) -> np.ndarray:
        """(N, F, J, 2) with NaN where missing -> complete; what is observed is kept.

        Windows of fewer than two observed joints stay as they are: nothing tells their size.
        """
        points = windows.reshape(len(windows), -1, 2)
        patterns, which = np.unique(np.isfinite(points[..., 0]), axis=0, return_inverse=True)
        result = points.copy()
        for i, seen in enumerate(patterns):
            if 2 <= seen.sum() < seen.size:
                rows = np.flatnonzero(which == i)
                result[np.ix_(rows, ~seen)] = self._missing(points[np.ix_(rows, seen)], seen)
        return result.reshape(windows.shape)

    def regression(self, seen: np.ndarray) -> Regression:
        """Of a pattern (F J,) bool: True where a joint of a frame is observed."""
        return _remember(self._patterns, seen, self._fit, KEPT_PATTERNS)

    def _missing(self, observed: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """(n, K / 2, 2) observed -> (n, (D - K) / 2, 2) the others."""
        center, size = fit_frame(observed)
        weights, offset = self.regression(seen)
        x = ((observed - center) / size).reshape(len(observed), -1)
        return (offset + x @ weights).reshape(len(x), -1, 2) * size + center

    def _fit(self, seen: np.ndarray) -> Regression:
        """Weighted least squares of y - c = W (x - c) + o s, where c and s are the pattern's."""
        joints = np.any(seen.reshape(-1, self.joints), axis=0)
        moments = _remember(self._sets, joints, self._moments, KEPT_SETS)
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
            weights[:, some] = _solve(inner, outer[:, some], penalty)
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
                weights = _solve(spread[:known, :known], spread[:known, known:], share)
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


<<<<<<<< HEAD:posegan_jax/evaluation/ridge.py
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
========
def choose_penalty(
    train: np.ndarray, held_out: np.ndarray, patterns: Sequence[np.ndarray],
    penalties: Sequence[float] = PENALTIES,
) -> float:
    """The penalty with the least error, in sizes of the body, on windows that are held out.

    Args:
      train: (N, F, J, 2) as of ``PartialRidge``.
      held_out: (M, F, J, 2) of other clips.
      patterns: (F J,) bool each, joints that are observed.
      penalties: to choose from; the first one where there is nothing to choose by.
    """
    ridge, errors = PartialRidge(train, penalties[0]), np.zeros(len(penalties))
    points = np.asarray(held_out).reshape(len(held_out), -1, 2)
    size = _known_size(points, np.isfinite(points).all(axis=-1))
    for seen in patterns:
        rows = np.isfinite(points[:, seen]).all(axis=(1, 2))
        truth = points[rows]
        if not FEWEST <= seen.sum() < seen.size or not len(truth):
            continue
        for i, regression in enumerate(ridge.fit(seen, penalties)):
            off = _apply(regression, truth[:, seen]) - truth[:, ~seen]
            off = np.linalg.norm(off, axis=-1) / size[rows, None]
            errors[i] += off[np.isfinite(off)].sum() / max(np.isfinite(off).sum(), 1)
    return float(penalties[int(errors.argmin())])
>>>>>>>> w-video:posegan_jax/evaluation/partial_ridge.py


def _solve(inner: np.ndarray, outer: np.ndarray, penalty: float) -> np.ndarray:
    factor = cho_factor(inner + penalty * np.eye(len(inner)), overwrite_a=True)
    return cho_solve(factor, outer)


def _remember(kept: collections.OrderedDict, flags: np.ndarray, make, most: int):
    """What is kept of some flags, made where it is not; the one unused for longest goes."""
    key = flags.tobytes()
    if key not in kept:
        kept[key] = make(flags)
        if len(kept) > most:
            kept.popitem(last=False)
    kept.move_to_end(key)
    return kept[key]
