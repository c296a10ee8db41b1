"""Whether completed motion could be motion, right or not: beside the error, and beside the truth.

All of it counts what is not observed as it is (``Case.changed``): filled and upsampled joints, and
under a detector's errors the observed ones, too. Lengths are in head sizes, one per clip.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import cdist, pdist

from posegan_jax.evaluation.protocols import Case
from posegan_jax.geometry.body import head_size, pose_size
from posegan_jax.pose.rate import MODEL_FPS
from posegan_jax.pose.skeleton import Skeleton

MEASURES = (
    "bones", "acceleration", "jerky", "mmd2", "mmd", "skating", "sliding", "length", "length3d"
)
"""- 'bones': standard deviation over time of the length of a bone in the picture, head sizes.
- 'acceleration', 'jerky': mean and 95th percentile of the second difference over time, in head
  sizes per frame^2.
- 'mmd2': squared maximum mean discrepancy to held-out real motion, see ``Real.discrepancy``; 'mmd':
  maximum mean discrepancy to the truth of the same clips, see ``Real.distance``.
- 'skating': share of the frames in which a foot stands in the truth and moves in the result;
  'sliding': its mean speed there, in head sizes per frame.
- 'length', 'length3d': median of |length - true length| of filled upper arms, forearms, thighs and
  shins, relative to the true length in the picture, and to what that would be without
  foreshortening."""

FEET = ("ankle", "toe")
STANDS, SKATES = 0.02, 0.1
"""Speeds of a foot, in head sizes per frame at 25 frames per second: the most at which it stands,
and the least at which it skates. K. Karunratanakul et al. (Guided Motion Diffusion, ICCV 2023)
count frames in which a foot on the ground slides more than 2.5 cm, a tenth of a head of 25 cm."""
LOW = 0.5
"""Head sizes above the lowest point of the feet in which a foot may stand on the ground."""
LIMBS = (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))


@dataclasses.dataclass(frozen=True)
class Real:
    """Held-out real motion, and a kernel to compare with it by two-sample statistics.

    The maximum mean discrepancy (A. Gretton et al., A Kernel Two-Sample Test, JMLR 2012) with a
    Gaussian kernel whose bandwidth is the median distance between real windows. Windows are
    described by their poses, about their centre and in units of their size, and by their
    frame-to-frame differences, scaled to the same variance.

    Attributes:
      features: (N, D) of the real windows.
      frames: of a window.
      speed: factor of the differences.
      bandwidth: of the kernel.
      within: mean of the kernel over pairs of different real windows.
    """

    features: np.ndarray
    frames: int
    speed: float
    bandwidth: float
    within: float

    @classmethod
    def of(cls, windows: np.ndarray) -> "Real":
        """Of real windows (N, F, J, 2) in pixels."""
        poses = _normalized(windows)
        speed = poses.std() / np.diff(poses, axis=1).std()
        features = _features(windows, speed)
        distances = pdist(features)
        bandwidth = float(np.median(distances))
        within = float(np.exp(-(distances**2) / (2 * bandwidth**2)).mean())
        return cls(features, windows.shape[1], float(speed), bandwidth, within)

    def discrepancy(self, windows: np.ndarray) -> float:
        """Its square to the held-out motion, of windows (N, F, J, 2) in pixels, two at least.

        The unbiased estimate (equation 3), which by chance is negative where there is none.
        """
        features = _features(windows, self.speed)
        own = self._kernel(pdist(features, "sqeuclidean")).mean()
        return float(own + self.within - 2 * self._mean_kernel(features, self.features))

    def distance(self, windows: np.ndarray, others: np.ndarray) -> float:
        """Of two samples of windows, (N, F, J, 2) and (M, F, J, 2) in pixels, one at least.

        The biased estimate (equation 5): 0 for the same sample, and only for it.
        """
        a, b = (_features(w, self.speed) for w in (windows, others))
        mean = self._mean_kernel
        return float(np.sqrt(max(mean(a, a) + mean(b, b) - 2 * mean(a, b), 0.0)))

    def _mean_kernel(self, a: np.ndarray, b: np.ndarray) -> float:
        return self._kernel(cdist(a, b, "sqeuclidean")).mean()

    def _kernel(self, squares: np.ndarray) -> np.ndarray:
        return np.exp(-squares / (2 * self.bandwidth**2))


def plausibility(
    cases: Sequence[Case], results: Sequence[np.ndarray], real: Real | None = None
) -> dict[str, float | None]:
    """``MEASURES`` of the results of one method; None where nothing counts.

    Args:
      cases: the clips, all with the same skeleton.
      results: (T, J, 2) pixels for each, NaN where nothing was delivered. The truth itself gives
        what real motion has.
      real: to compare with.
    """
    skeleton = cases[0].skeleton
    bones, rates, steps, lengths, lengths3d = [], [], [], [], []
    for case, result in zip(cases, results, strict=True):
        head = float(np.mean(head_size(case.truth, skeleton)))  # pixels, of the whole clip
        bones.append(_bone_deviations(case, result / head))
        rates.append(_accelerations(case, result / head))
        steps.append(_standing_steps(case, result / head, case.truth / head))
        true, found, span = _limb_lengths(case, result)
        lengths.append(np.abs(found - true) / true)
        lengths3d.append(np.abs(found - true) / span)
    bones, rates, steps, lengths, lengths3d = (
        values[np.isfinite(values)]
        for values in map(np.concatenate, (bones, rates, steps, lengths, lengths3d))
    )
    compared = dict.fromkeys(("mmd2", "mmd"))
    if real is not None:
        windows, truth = (_windows(tracks, real.frames, len(skeleton))
                          for tracks in (results, [case.truth for case in cases]))
        if len(windows) > 1:
            compared = {"mmd2": real.discrepancy(windows), "mmd": real.distance(windows, truth)}
    return {
        "bones": _or_none(np.mean, bones),
        "acceleration": _or_none(np.mean, rates),
        "jerky": _or_none(lambda values: np.quantile(values, 0.95), rates),
        **compared,
        "skating": _or_none(lambda values: (values > SKATES).mean(), steps),
        "sliding": _or_none(np.mean, steps),
        "length": _or_none(np.median, lengths),
        "length3d": _or_none(np.median, lengths3d),
    }


def _bone_deviations(case: Case, result: np.ndarray) -> np.ndarray:
    """(B,) over the frames in which an end of the bone is not observed; NaN for fewer than two."""
    parent, child = np.array(case.skeleton.bones()).T
    length = np.linalg.norm(result[:, child] - result[:, parent], axis=-1)
    counts = (case.changed[:, child] | case.changed[:, parent]) & np.isfinite(length)
    enough = counts.sum(axis=0) > 1
    return np.array([length[counts[:, b], b].std() for b in np.flatnonzero(enough)])


def _accelerations(case: Case, result: np.ndarray) -> np.ndarray:
    """(N,) of what is not observed; NaN next to what was not delivered."""
    second = result[2:] - 2 * result[1:-1] + result[:-2]
    return np.linalg.norm(second, axis=-1)[case.changed[1:-1]]


def _standing_steps(case: Case, result: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(N,) ways from frame to frame of feet that are not observed, and stand in the truth."""
    feet = [i for i, name in enumerate(case.skeleton.joints) if name.endswith(FEET)]
    if not feet:
        return np.empty(0)
    rate = case.fps / MODEL_FPS
    result, truth, changed = result[:, feet], truth[:, feet], case.changed[:, feet]
    height = truth[..., 1].max(axis=1, keepdims=True) - truth[..., 1]
    way, true_way = (rate * np.linalg.norm(np.diff(a, axis=0), axis=-1) for a in (result, truth))
    stands = (true_way < STANDS) & (height[1:] < LOW) & (height[:-1] < LOW)
    return way[stands & changed[1:] & changed[:-1]]


def _limb_lengths(case: Case, result: np.ndarray) -> tuple[np.ndarray, ...]:
    """(N,) true lengths, delivered ones, and the true ones without foreshortening (NaN where that
    is not known), of limbs with an end that is not observed; in pixels."""
    wanted = _limbs(case.skeleton)
    parent, child = np.array([case.skeleton.bones()[b] for b in wanted], int).reshape(-1, 2).T
    true, found = (
        np.linalg.norm(a[:, child] - a[:, parent], axis=-1) for a in (case.truth, result)
    )
    spans = np.full(true.shape, np.nan) if case.spans is None else case.spans[:, wanted]
    counts = (case.changed[:, child] | case.changed[:, parent]) & (true > 0)
    return true[counts], found[counts], spans[counts]


def _limbs(skeleton: Skeleton) -> list[int]:
    """Indices of the bones of arms and legs."""
    pairs = {(f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in LIMBS}
    names = skeleton.joints
    return [i for i, (p, c) in enumerate(skeleton.bones()) if (names[p], names[c]) in pairs]


def _windows(results: Sequence[np.ndarray], frames: int, joints: int) -> np.ndarray:
    """(N, F, J, 2) of all clips, overlapping by half, without those in which something was not
    delivered."""
    windows = [
        result[start : start + frames]
        for result in results for start in range(0, len(result) - frames + 1, max(frames // 2, 1))
    ]
    windows = np.reshape(windows, (-1, frames, joints, 2))
    return windows[np.isfinite(windows).all(axis=(1, 2, 3))]


def _normalized(windows: np.ndarray) -> np.ndarray:
    points = windows.reshape(len(windows), -1, windows.shape[-1])  # all frames' joints as one pose
    centered = points - points.mean(axis=1, keepdims=True)
    return (centered / pose_size(points)[:, None, None]).reshape(windows.shape)


def _features(windows: np.ndarray, speed: float) -> np.ndarray:
    poses = _normalized(windows)
    moves = speed * np.diff(poses, axis=1)
    return np.concatenate([a.reshape(len(a), -1) for a in (poses, moves)], axis=1)


def _or_none(statistic, values: np.ndarray) -> float | None:
    return float(statistic(values)) if len(values) else None
