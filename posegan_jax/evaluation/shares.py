"""Fitting the shares of a model's constants: how far one estimate is moved towards another.

A completed joint is linear in every share while the others stay, so two completions tell it for all
values of one share. Share by share takes the value with the least error, by the geometric mean over
the protocols, so that a tenth less counts alike in each.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from posegan_jax.evaluation.protocols import Case
from posegan_jax.geometry.body import head_size
from posegan_jax.model.constants import Constants
from posegan_jax.pose.sequence import PoseSequence

PROTOCOLS = ("clean", "holes40", "arm", "legs", "gap5", "gap20", "crop", "noise", "wild")
"""Kinds of holes in which every share counts: gaps of all joints for the bridge, limbs that are
never seen for the correction, joints that no detector delivers everywhere."""
WITH_CORRECTOR, WITHOUT = ("correction", "upsampling", "beside"), ("regression",)
"""Shares that count only where the corrector is asked, and only where it is not."""
ALWAYS = ("bridge",)
"""Shares that count in either case; they are fitted to what is done by default."""
VALUES = np.linspace(0.0, 1.0, 101)
"""What a share may be."""
ROUNDS = 2
"""Times that all shares are gone through, as the best value of one depends on the others."""
NOTHING = 1e-6
"""Pixels that a joint moves by rounding alone."""

Complete = Callable[[Sequence[Case], Constants, bool], list[PoseSequence]]
"""Cases, constants, and whether the corrector is asked -> completed cases, see ``replay.Replay``.
"""


class Missing:
    """The error of joints that are not observed.

    Args:
      cases: by protocol.
    """

    def __init__(self, cases: dict[str, list[Case]]):
        self.cases = [case for of_one in cases.values() for case in of_one]
        counts = [sum((~case.observed).sum() for case in of_one) for of_one in cases.values()]
        self._protocol = np.repeat(np.arange(len(counts)), counts)
        self._truth = self.pick([case.truth for case in self.cases])
        sizes = [head_size(case.truth, case.skeleton) for case in self.cases]
        self._head = self.pick([
            np.broadcast_to(size[:, None], case.observed.shape)
            for size, case in zip(sizes, self.cases, strict=True)
        ])

    def pick(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """(N, ...) the joints that count, of (T, J, ...) for every case."""
        return np.concatenate(
            [array[~case.observed] for array, case in zip(arrays, self.cases, strict=True)]
        )

    def error(self, points: np.ndarray) -> float:
        """Geometric mean over protocols of the mean error of points (N, 2), in head sizes.

        Joints that nothing is said of (NaN) are left out, and protocols without any joint.
        """
        error = np.linalg.norm(points - self._truth, axis=-1) / self._head
        known = np.isfinite(error)
        count = np.bincount(self._protocol[known])
        total = np.bincount(self._protocol[known], error[known])[count > 0]
        return float(np.exp(np.log(total / count[count > 0]).mean()))


@dataclasses.dataclass(frozen=True)
class Fit:
    """Constants, and what was to be least, before and after."""

    constants: Constants
    before: float
    after: float


def fit_shares(
    complete: Complete, cases: dict[str, list[Case]], constants: Constants,
    names: Sequence[str], corrected: bool,
) -> Fit:
    """Finds the best values of some shares.

    Args:
      complete: see there.
      cases: by protocol.
      constants: the start.
      names: of the shares.
      corrected: whether the corrector is asked.

    Returns:
      The constants, and the error in head sizes. A share that nothing depends on stays.
    """
    missing = Missing(cases)

    def points(constants: Constants) -> np.ndarray:
        done = complete(missing.cases, constants, corrected)
        return missing.pick([sequence.keypoints for sequence in done])

    here = points(constants)
    before = after = missing.error(here)
    for name in (*names,) * (ROUNDS if len(names) > 1 else 1):
        value = getattr(constants, name)
        other = 0.0 if value > 0.5 else 1.0
        probe: dict[str, Any] = {name: other}
        slope = (points(dataclasses.replace(constants, **probe)) - here) / (other - value)
        if not (np.abs(slope) > NOTHING).any():
            continue
        errors = [missing.error(here + (share - value) * slope) for share in VALUES]
        best = round(float(VALUES[np.argmin(errors)]), 2)
        here, after = here + (best - value) * slope, min(errors)
        chosen: dict[str, Any] = {name: best}
        constants = dataclasses.replace(constants, **chosen)
    return Fit(constants, before, after)
