"""How many decimals numbers get that are written: as many as the file's own have, within limits.

What the model says of a joint is far less exact than the seventeen digits of its number. It gets
the decimals that the file's coordinates have, but never so few that it costs precision, nor more
than anybody needs. Numbers that did not change are not written anew.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from posegan_jax.pose.sequence import PoseSequence, completed

_PIXELS, _MILLIMETRES, _SMALL = (2, 4), (3, 5), (5, 9)
"""Least and most decimals; those of shares of the picture and of metres are the last."""

SCORES = 4, 6
"""The same of scores."""

_BODY = 10.0
"""Bodies that are larger than this in a file are in pixels, or millimetres."""

_SAME = 1e-11
"""Numbers are not compared more exactly: turning y over and back costs as much."""


class Decimals(NamedTuple):
    """Decimals of the numbers that are written into a file.

    Attributes:
      places: of x and y.
      scores: of scores.
      padded: whether x and y, and whether scores, end in zeros where they have fewer.
    """

    places: int
    scores: int
    padded: tuple[bool, bool] = (False, False)

    def rounded(self, values: np.ndarray) -> np.ndarray:
        """(..., 3) x, y, score, rounded. A place does not become (0, 0), which is a missing one."""
        places, scores = values[..., :2], values[..., 2:]
        new = np.concatenate([places.round(self.places), scores.round(self.scores)], -1)
        lost = (new[..., :2] == 0).all(-1) & (places != 0).any(-1)
        new[lost, 0] = 10.0**-self.places
        lost = (new[..., 2] == 0) & (scores[..., 0] > 0)
        new[lost, 2] = 10.0**-self.scores
        return new

    def text(self, value: float, is_score: bool) -> str:
        """A number of ``rounded`` as text; blank for NaN."""
        if np.isnan(value):
            return ""
        count = self.scores if is_score else self.places
        return f"{value:.{count}f}" if self.padded[is_score] else repr(float(value))


def observed(sequence: PoseSequence) -> np.ndarray:
    """(T, K, 3) x, y, score of the joints that a detector saw, NaN for others."""
    values = np.concatenate([sequence.keypoints, sequence.scores[..., None]], -1)
    values[~sequence.observed | completed(sequence.provenance)] = np.nan
    return values


def of(
    people: Iterable[np.ndarray], is_length: bool = False,
    texts: tuple[Iterable[str], Iterable[str]] = ((), ()),
) -> Decimals:
    """Decimals for what is written into a file with these numbers.

    Args:
      people: (N, K, 3) each, x, y, score as the file has them; (0, 0) or not finite where a joint
        is missing.
      is_length: whether places are lengths, such as millimetres, and no pixels.
      texts: x and y, and scores, as they are written where zeros may end them.
    """
    places, scores, sizes = [np.zeros((0, 2))], [np.zeros(0)], [np.zeros(0)]
    for values in people:
        there = np.isfinite(values[..., :2]).all(-1) & (values[..., :2] != 0).any(-1)
        places.append(values[there, :2])
        scores.append(values[there, 2])
        sizes.append(_sizes(values[..., :2], there))
    size = np.concatenate(sizes)
    found = np.concatenate(places)
    size = size if len(size) else np.abs(found)  # nobody has two joints
    limits = _MILLIMETRES if is_length else _PIXELS
    if size.size and np.median(size) < _BODY:
        limits = _SMALL
    told = [_decimals(cells) for cells in texts]
    counts = [
        max(count, min(of_all, most)) for count, of_all, most in zip(
            (_count(found, *limits), _count(np.concatenate(scores), *SCORES)), told,
            (limits[1], SCORES[1]), strict=True)
    ]
    padded = [of_all == count for of_all, count in zip(told, counts, strict=True)]
    return Decimals(counts[0], counts[1], (padded[0], padded[1]))


def _sizes(places: np.ndarray, there: np.ndarray) -> np.ndarray:
    """How large bodies (N, K, 2) are, of all that have two joints there (N, K)."""
    high = np.where(there[..., None], places, -np.inf).max(1, initial=-np.inf)
    low = np.where(there[..., None], places, np.inf).min(1, initial=np.inf)
    return (high - low)[there.sum(1) > 1].max(-1)


def _count(values: np.ndarray, least: int, most: int) -> int:
    """Decimals of the number that has most of them, within the limits."""
    values = values[np.isfinite(values)]
    for count in range(least, most if values.size else least):
        if (np.abs(values.round(count) - values) <= _SAME).all():
            return count
    return most


def _decimals(cells: Iterable[str]) -> int:
    """How many decimals all numbers that are there are written with; 0 where that differs."""
    cells = (cell.strip() for cell in cells)
    found = {len(cell.partition(".")[2]) for cell in cells if cell and cell.lower() != "nan"}
    return found.pop() if len(found) == 1 else 0
