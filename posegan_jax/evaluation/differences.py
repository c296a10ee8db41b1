"""Whether one method is better than another, or the clips merely happened to be kind to it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from posegan_jax.evaluation.scores import Scores

RESAMPLES, LEVEL = 2000, 0.95


class Interval(NamedTuple):
    """A difference of means, and the interval in which it lies at ``LEVEL``."""

    difference: float
    low: float
    high: float


def paired_difference(a: Scores, b: Scores, part: str, metric: str) -> Interval | None:
    """How much larger a metric is with one method than with another on the same clips.

    The interval is the percentile bootstrap's, with whole clips drawn anew, both methods' together
    (B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993): frames and joints of a
    clip are no independent witnesses.

    Args:
      a, b: of the same clips.
      part: of ``scores.PARTS``.
      metric: of ``scores.SUMMED``.

    Returns:
      None where nothing counts.
    """
    return bootstrap(np.array([a.clips[part][metric], b.clips[part][metric]]))


def bootstrap(sums: np.ndarray) -> Interval | None:
    """The difference of two methods' means, see ``paired_difference``.

    Args:
      sums: (2, N, 2) sum and count of each method in every clip.

    Returns:
      None where nothing counts.
    """
    sums = sums[:, (sums[..., 1] > 0).all(axis=0)]
    count = sums.shape[1]
    if not count:
        return None
    drawn = np.random.default_rng(0).integers(count, size=(RESAMPLES, count))
    low, high = np.quantile(_difference(sums[:, drawn]), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(_difference(sums)), float(low), float(high))


def best(scores: dict[str, Scores], names: Sequence[str], part: str, metric: str) -> str | None:
    """The method of those names that is best by a metric; None where none has a value."""
    values = {n: scores[n].values[part][metric] for n in names if n in scores}
    values = {n: v for n, v in values.items() if v is not None}
    if not values:
        return None
    return (min if metric == "error" else max)(values, key=values.get)


def ahead(a: float | None, b: float | None, metric: str) -> bool:
    """Whether value ``a`` is better than ``b`` in the three decimals that tables show."""
    if a is None or b is None:
        return False
    a, b = round(a, 3), round(b, 3)
    return a < b if metric == "error" else a > b


def _difference(sums: np.ndarray) -> np.ndarray:
    """Of means over clips: (2, ..., clips, 2) -> (...)."""
    total, count = np.moveaxis(sums.sum(axis=-2), -1, 0)
    return total[0] / count[0] - total[1] / count[1]
