"""Scores of what methods make of labelled video, clip by clip."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from posegan_jax.evaluation.differences import Interval, bootstrap
from posegan_jax.evaluation.labelled import LabelledCase
from posegan_jax.pose.skeleton import get_skeleton

HALF = 0.5
"""Heads within which a joint is found, and by more than which one is moved."""
STRIDE = 3
"""Frames over which the displacements of fast joints are measured."""
KINDS = ("visible", "guessed")
FAST = ("wrist", "ankle")


@dataclasses.dataclass(frozen=True)
class ClipScore:
    """One clip under one protocol by one method. All of it is of joints that count.

    Attributes:
      error: kind of label -> sum over joints and frames of the distances, in heads.
      found: kind -> how many are within half a head.
      count: kind -> how many there are.
      lost: of these, how many a method gave no place.
      peak: 'wrist' and 'ankle' -> largest displacement over three frames of the faster of both,
        out of the method over that of the labels; None where none is marked so long.
      jitter: mean length of the third differences, out over in; None where there are none.
    """

    error: dict[str, float]
    found: dict[str, int]
    count: dict[str, int]
    lost: int
    peak: dict[str, float | None]
    jitter: float | None

    def total(self, what: str) -> float:
        """Of both kinds of labels."""
        return float(sum(getattr(self, what).values()))


def score_clip(case: LabelledCase, result: np.ndarray) -> ClipScore:
    """Scores (T, J, 2) pixels, NaN where a method gave nothing: such joints count as not found."""
    off = np.linalg.norm(result - case.truth, axis=-1) / case.head
    given = np.isfinite(off)
    masks = {"visible": case.counted & ~case.guessed, "guessed": case.counted & case.guessed}
    skeleton = case.sequence.skeleton
    return ClipScore(
        {kind: float(off[mask & given].sum()) for kind, mask in masks.items()},
        {kind: int((off[mask & given] <= HALF).sum()) for kind, mask in masks.items()},
        {kind: int((mask & given).sum()) for kind, mask in masks.items()},
        int((case.counted & ~given).sum()),
        {part: _peak(case.truth, result, part, skeleton) for part in FAST},
        _jitter(case.truth, result),
    )


def _peak(truth: np.ndarray, result: np.ndarray, part: str, skeleton: str) -> float | None:
    joints = [get_skeleton(skeleton).index(f"{side}_{part}") for side in ("left", "right")]
    both = np.isfinite(truth[:, joints, 0]) & np.isfinite(result[:, joints, 0])
    moved = [
        np.linalg.norm(x[STRIDE:, joints] - x[:-STRIDE, joints], axis=-1) for x in (truth, result)
    ]
    there = both[STRIDE:] & both[:-STRIDE]
    before, after = (np.where(there, x, 0.0).max(axis=0, initial=0.0) for x in moved)
    fast = int(before.argmax())
    return float(after[fast] / before[fast]) if before[fast] > 0 else None


def _jitter(truth: np.ndarray, result: np.ndarray) -> float | None:
    rough = [np.linalg.norm(np.diff(x, n=3, axis=0), axis=-1) for x in (result, truth)]
    there = np.isfinite(rough[0]) & np.isfinite(rough[1])
    total = [float(x[there].sum()) for x in rough]
    return total[0] / total[1] if total[1] > 0 else None


# --- of many clips --------------------------------------------------------------------------------


def mean_error(scores: Iterable[ClipScore], kind: str | None = None) -> float | None:
    """Heads, every joint and frame alike; of one kind of labels or of both."""
    sums, counts = _sums(list(scores), kind).sum(axis=0)
    return float(sums / counts) if counts else None


def difference(
    a: Sequence[ClipScore], b: Sequence[ClipScore], kind: str | None = None
) -> Interval | None:
    """Error of a less that of b, of the same clips, and its interval; None where nothing counts."""
    return bootstrap(np.array([_sums(a, kind), _sums(b, kind)]))


def _sums(scores: Sequence[ClipScore], kind: str | None) -> np.ndarray:
    """(N, 2) sum and count."""
    if kind is None:
        return np.array([[s.total("error"), s.total("count")] for s in scores]).reshape(-1, 2)
    return np.array([[s.error[kind], s.count[kind]] for s in scores]).reshape(-1, 2)


def moved(scores: Sequence[ClipScore]) -> tuple[float, int]:
    """Of 'asis': share of joints that are further than half a head off, and clips with one."""
    off = [s.total("count") - s.total("found") for s in scores]
    return sum(off) / max(sum(s.total("count") for s in scores), 1), sum(o > 0 for o in off)


def peaks(scores: Sequence[ClipScore], part: str) -> tuple[float, float] | None:
    """Mean and tenth percentile over clips of ``ClipScore.peak``."""
    values = [s.peak[part] for s in scores if s.peak[part] is not None]
    return (float(np.mean(values)), float(np.quantile(values, 0.1))) if values else None
