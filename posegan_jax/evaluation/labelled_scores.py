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
"""What a label is: every one is of one of these kinds."""
GIVEN = ("observed", "missed")
"""Whether the method was given a place for it."""
FAST = ("wrist", "ankle")


@dataclasses.dataclass(frozen=True)
class ClipScore:
    """One clip under one protocol by one method. All of it is of joints that count.

    Attributes:
      error: of ``KINDS`` and ``GIVEN`` -> sum over joints and frames of the distances, in heads.
      found: of the same -> how many are within half a head.
      count: of the same -> how many there are that the method gave a place.
      lost: how many it gave none.
      furthest: the largest distance, in heads.
      acceleration: sum and count of the errors of the second differences, heads per frame^2.
      peak: 'wrist' and 'ankle' -> largest displacement over three frames of the faster of both,
        out of the method over that of the labels; None where none is marked so long.
      jitter: mean length of the third differences, out over in; None where there are none.
    """

    error: dict[str, float]
    found: dict[str, int]
    count: dict[str, int]
    lost: int
    furthest: float
    acceleration: tuple[float, int]
    peak: dict[str, float | None]
    jitter: float | None

    def total(self, what: str) -> float:
        """Of both kinds of labels."""
        return float(sum(getattr(self, what)[kind] for kind in KINDS))


def score_clip(case: LabelledCase, result: np.ndarray) -> ClipScore:
    """Scores (T, J, 2) pixels, NaN where a method gave nothing: such joints count as not found."""
    off = np.linalg.norm(result - case.truth, axis=-1) / case.head
    given, seen = np.isfinite(off), np.isfinite(case.sequence.keypoints[..., 0])
    masks = {"visible": ~case.guessed, "guessed": case.guessed, "observed": seen, "missed": ~seen}
    masks = {kind: mask & case.counted & given for kind, mask in masks.items()}
    bend = np.linalg.norm(np.diff(result - case.truth, n=2, axis=0), axis=-1) / case.head
    bend = bend[np.isfinite(bend) & case.counted[1:-1]]
    skeleton = case.sequence.skeleton
    return ClipScore(
        {kind: float(off[mask].sum()) for kind, mask in masks.items()},
        {kind: int((off[mask] <= HALF).sum()) for kind, mask in masks.items()},
        {kind: int(mask.sum()) for kind, mask in masks.items()},
        int((case.counted & ~given).sum()),
        float(off[case.counted & given].max(initial=0.0)),
        (float(bend.sum()), len(bend)),
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
    """Heads, every joint and frame alike; of one of ``KINDS`` or ``GIVEN``, or of all."""
    return _ratio(_sums(list(scores), kind))


def mean_acceleration(scores: Sequence[ClipScore]) -> float | None:
    """Error of the second differences, heads per frame^2."""
    return _ratio(np.array([score.acceleration for score in scores]).reshape(-1, 2))


def mean_jitter(scores: Sequence[ClipScore]) -> float | None:
    """Mean over clips of ``ClipScore.jitter``."""
    rough = [score.jitter for score in scores if score.jitter is not None]
    return float(np.mean(rough)) if rough else None


def difference(
    a: Sequence[ClipScore], b: Sequence[ClipScore], kind: str | None = None
) -> Interval | None:
    """Error of a less that of b, of the same clips, and its interval; None where nothing counts."""
    return bootstrap(np.array([_sums(a, kind), _sums(b, kind)]))


def moved(scores: Sequence[ClipScore]) -> tuple[float, int]:
    """Of 'asis': share of joints that are further than half a head off, and clips with one."""
    off = [off_by_half(score) for score in scores]
    return sum(off) / max(sum(s.total("count") for s in scores), 1), sum(o > 0 for o in off)


def off_by_half(score: ClipScore) -> int:
    """How many joints are further than half a head off."""
    return round(score.total("count") - score.total("found"))


def peaks(scores: Sequence[ClipScore], part: str) -> tuple[float, float] | None:
    """Mean and tenth percentile over clips of ``ClipScore.peak``."""
    values = [s.peak[part] for s in scores if s.peak[part] is not None]
    return (float(np.mean(values)), float(np.quantile(values, 0.1))) if values else None


def _sums(scores: Sequence[ClipScore], kind: str | None) -> np.ndarray:
    """(N, 2) sum and count."""
    kinds = KINDS if kind is None else (kind,)
    return np.array([
        [sum(s.error[k] for k in kinds), sum(s.count[k] for k in kinds)] for s in scores
    ]).reshape(-1, 2)


def _ratio(sums: np.ndarray) -> float | None:
    total, count = sums.sum(axis=0)
    return float(total / count) if count else None
