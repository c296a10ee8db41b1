"""Ridges that know a labelled set: fitted on all of its other clips.

They know the activity, the people who mark, and often the person and the place, which we do not:
what one would have who could train on labels of just such video. Clips come in folds, and those of
one and the same fold are never in its training.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from posegan_jax.evaluation.baselines import complete_by
from posegan_jax.evaluation.labelled import LabelledCase, place_labels
from posegan_jax.evaluation.ridge import Ridge
from posegan_jax.evaluation.ridge_partial import choose_penalty, partial_ridge
from posegan_jax.evaluation.temporal import interpolate
from posegan_jax.motion.labels import LabelledClip
from posegan_jax.pose.skeleton import Skeleton
from posegan_jax.pose.windows import gather, starts

FOLDS = 10
BRIDGED = 6
"""Frames without a label that training windows go straight across."""
HELD_OUT = 5
"""Of so many training clips one chooses the penalty."""
PATTERNS = 8
"""What is observed in so many windows of the fold is what penalties are chosen for."""


@dataclasses.dataclass(frozen=True)
class Cut:
    """How clips are cut into training windows: of so many frames, every so many frames."""

    frames: int
    shift: int


class SameSet:
    """The ridges of one labelled set.

    Args:
      clips: all that there is to learn from; the number of a case is that of its clip in here.
      skeleton: of the cases.
      detected: names of the joints that are observed and completed.
      cut: of the training windows.
    """

    def __init__(
        self, clips: Sequence[LabelledClip], skeleton: Skeleton, detected: Sequence[str], cut: Cut
    ):
        self._mask, self._frames = skeleton.mask(detected), cut.frames
        self._windows = [
            _windows(place_labels(clip, skeleton, detected)[0], skeleton, self._mask, cut)
            for clip in clips
        ]

    def __call__(self, cases: Sequence[LabelledCase]) -> Iterator[tuple[int, np.ndarray]]:
        """Position of a case, and what it is completed to (T, J, 2); fold by fold."""
        for fold in range(FOLDS):
            here = [i for i, case in enumerate(cases) if case.number % FOLDS == fold]
            if not here:
                continue
            ridge = self._fit(fold, [cases[i] for i in here])
            for i in here:
                keypoints = cases[i].sequence.keypoints.copy()
                seen = keypoints[:, self._mask]
                keypoints[:, self._mask] = (
                    interpolate(seen) if ridge is None
                    else complete_by(ridge, seen, cases[i].sequence.fps)
                )
                yield i, keypoints

    def _fit(self, fold: int, cases: Sequence[LabelledCase]) -> Ridge | None:
        """On the clips of all other folds; None where they have no windows."""
        others = [w for i, w in enumerate(self._windows) if i % FOLDS != fold]
        windows = np.concatenate([np.zeros((0, *self._windows[0].shape[1:])), *others])
        if not len(windows):
            return None
        kept = [w for i, w in enumerate(others) if i % HELD_OUT] or others
        held = others[::HELD_OUT]
        penalty = choose_penalty(
            np.concatenate(kept), np.concatenate(held), self._patterns(fold, cases)
        )
        return partial_ridge(windows, penalty)

    def _patterns(self, fold: int, cases: Sequence[LabelledCase]) -> list[np.ndarray]:
        """(F J,) bool, what some windows of the cases show."""
        seen = []
        for case in cases:
            first = starts(len(case.truth), self._frames, max(self._frames // 2, 1))
            windows = gather(
                case.sequence.keypoints[:, self._mask], first, self._frames, np.nan
            )
            seen.append(np.isfinite(windows[..., 0]).reshape(len(windows), -1))
        seen = np.concatenate(seen)
        seen = seen[~seen.all(axis=1) & (seen.sum(axis=1) > 1)]
        drawn = np.random.default_rng(fold).permutation(len(seen))[:PATTERNS]
        return list(seen[drawn])


def _windows(truth: np.ndarray, skeleton: Skeleton, mask: np.ndarray, cut: Cut) -> np.ndarray:
    """(2 N, F, K, 2) windows of labels (T, J, 2) and of their mirror images, NaN without a label;
    those of which nothing can be learned are left out."""
    truth = _bridged(truth)
    tracks = [track[:, mask] for track in (truth, skeleton.mirror_keypoints(truth))]
    if len(truth) < cut.frames:
        return np.zeros((0, cut.frames, mask.sum(), 2), np.float32)
    first = np.arange(0, len(truth) - cut.frames + 1, cut.shift)
    windows = np.concatenate([gather(track, first, cut.frames, np.nan) for track in tracks])
    known = np.isfinite(windows[..., 0]).sum(axis=(1, 2))
    return windows[known > 2].astype(np.float32)


def _bridged(truth: np.ndarray) -> np.ndarray:
    """Labels (T, J, 2) with linear interpolation across at most ``BRIDGED`` frames without one."""
    marked = np.isfinite(truth[..., 0])
    time = np.arange(len(truth))[:, None]
    before = np.maximum.accumulate(np.where(marked, time, -len(truth)), axis=0)
    after = np.minimum.accumulate(np.where(marked, time, 2 * len(truth))[::-1], axis=0)[::-1]
    short = marked | (after - before <= BRIDGED + 1)
    return np.where(short[..., None], interpolate(truth), np.nan)
