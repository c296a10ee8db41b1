"""Fitting the certainty of completed joints, and whether it means what it says.

A score is a logistic curve over the logarithm of a joint's deviation, and the square of that is
linear in the squares of the constants that it depends on. A few completions therefore tell the
scores for all constants; those are taken under which it is likeliest that joints lie within half a
head size of the truth where they do, and do not where they do not.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from posegan_jax.evaluation.clips import View
from posegan_jax.evaluation.protocols import Case
from posegan_jax.evaluation.replay import make_cases
from posegan_jax.evaluation.shares import Complete, Fit
from posegan_jax.geometry.body import head_size
from posegan_jax.inpainting.explain import ENOUGH
from posegan_jax.model.constants import Constants
from posegan_jax.model.model import Model
from posegan_jax.pose.sequence import Provenance

PROTOCOLS = (
    "clean", "holes20", "holes60", "arm", "leg", "legs", "gap5", "gap20", "crop", "noise", "wild",
)
"""Every kind of hole and noise, mild and severe ones."""
FEW = tuple(range(2, ENOUGH + 1))
"""Numbers of joints that are seen and leave the pose open, and one that does not."""
BINS = 10
LEAST = 1e-6
"""The least deviation in head sizes, as where scores are made of it."""


@dataclasses.dataclass(frozen=True)
class Joints:
    """Joints that are not delivered as they were observed; variances are in squared head sizes.

    Attributes:
      own: (N,) variance of the carried residual.
      disagreement: (N,) variance of the windows' answers.
      opened: (N,) variance that few joints leave, if each one short of enough adds a body size.
      upsampled: (N,) bool, whether ``Constants.upsampled`` counts.
      right: (N,) bool, whether the joint lies within half a head size of the truth.
    """

    own: np.ndarray
    disagreement: np.ndarray
    opened: np.ndarray
    upsampled: np.ndarray
    right: np.ndarray

    @classmethod
    def join(cls, some: Sequence["Joints"]) -> "Joints":
        """All of some groups."""
        arrays = zip(*(dataclasses.astuple(joints) for joints in some), strict=True)
        return cls(*map(np.concatenate, arrays))

    def odds(self, constants: Constants) -> np.ndarray:
        """(N,) log odds of being right, as ``inpainting.explain`` has them."""
        variance = self.own + constants.spread**2 * self.disagreement
        variance = np.where(self.upsampled, constants.upsampled**2, 1.0) * variance
        variance = variance + constants.left_open**2 * self.opened
        intercept, slope = constants.confidence
        return intercept + slope * np.log(np.maximum(np.sqrt(variance), LEAST))

    def scored(self, constants: Constants) -> "Scored":
        """What is said of the joints, and whether they are right."""
        return expit(self.odds(constants)), self.right

    def surprise(self, constants: Constants) -> float:
        """Mean negative log likelihood of what is right and what is not, in nats."""
        odds = self.odds(constants)
        return float(np.logaddexp(0.0, np.where(self.right, -odds, odds)).mean())


Scored = tuple[np.ndarray, np.ndarray]
"""Scores (N,) and bool (N,), whether the joint lies within half a head size of the truth."""


def measure(
    complete: Complete, cases: Sequence[Case], constants: Constants, factored: np.ndarray
) -> dict[str, Joints]:
    """What the certainty of completed joints is made of, and whether they are right.

    Args:
      complete: see there.
      cases: what is completed.
      constants: of which the shares count.
      factored: (J,) bool, joints in which ``Constants.upsampled`` counts where they are not
        observed.

    Returns:
      For 'refined', 'missing' and 'upsampled' joints.
    """
    # With this confidence a score is 1 / (1 + deviation), the deviation being in head sizes.
    bare = dataclasses.replace(
        constants, spread=0.0, upsampled=1.0, left_open=0.0, confidence=(0.0, -1.0)
    )
    ways = (bare, dataclasses.replace(bare, spread=1.0), dataclasses.replace(bare, left_open=1.0))
    found = {group: [] for group in ("refined", "missing", "upsampled")}
    for case, *done in zip(cases, *(complete(cases, way, True) for way in ways), strict=True):
        known = np.isfinite(done[0].keypoints[..., 0])
        error = np.linalg.norm(done[0].keypoints - case.truth, axis=-1)
        right = error < 0.5 * head_size(case.truth, case.skeleton)[:, None]
        groups = case.groups()
        groups["refined"] = groups.pop("observed") & (done[0].provenance == Provenance.REFINED)
        for group, some in found.items():
            here = groups[group] & known
            own, spread, opened = ((1 / sequence.scores[here] - 1) ** 2 for sequence in done)
            some.append(Joints(
                own, spread - own, opened - own, (factored & ~case.observed)[here], right[here]
            ))
    return {group: Joints.join(some) for group, some in found.items()}


def few_seen(model: Model, views: Sequence[View], count: int, seed: int) -> list[Case]:
    """Exactly so many joints of every view are seen, in every frame, others in every view."""
    looked_at = model.replace(detected=model.inputs)
    cases = make_cases(looked_at, views, ("clean",), seed)["clean"]
    return [
        leave(case, count, np.random.default_rng([seed, count, number]))
        for number, case in enumerate(cases)
    ]


def leave(case: Case, count: int, rng: np.random.Generator) -> Case:
    """With so many of its joints, which are drawn; the others are missing in every frame."""
    hidden = np.ones(len(case.skeleton), bool)
    hidden[rng.choice(np.flatnonzero(case.detected), count, replace=False)] = False
    return dataclasses.replace(
        case, keypoints=np.where(hidden[:, None], np.nan, case.keypoints),
        scores=np.where(hidden, 0.0, case.scores),
    )


def fit_certainty(groups: Sequence[Joints], constants: Constants) -> Fit:
    """Finds ``spread``, ``upsampled``, ``left_open`` and ``confidence`` by likelihood.

    Args:
      groups: each counts alike, however many joints it has; those without any do not.
      constants: the start.

    Returns:
      The constants, and the mean surprise in nats. A constant that nothing depends on stays.
    """
    groups = [group for group in groups if len(group.right)]
    begin = np.array([
        constants.spread, constants.upsampled, constants.left_open, *constants.confidence
    ])
    unit = np.where(begin == 0, 1.0, np.abs(begin))  # the search is in numbers about 1

    def at(values: np.ndarray) -> Constants:
        spread, upsampled, left_open, intercept, slope = map(float, values * unit)
        return dataclasses.replace(
            constants, spread=spread, upsampled=upsampled, left_open=left_open,
            confidence=(intercept, slope),
        )

    def loss(values: np.ndarray) -> float:
        return float(np.mean([group.surprise(at(values)) for group in groups]))

    positive, any_number, negative = (0.0, None), (None, None), (None, 0.0)
    found = minimize(
        loss, begin / unit, method="L-BFGS-B", bounds=(*[positive] * 3, any_number, negative)
    )
    return Fit(at(found.x), loss(begin / unit), float(found.fun))


def curve(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(B, 3) mean score, share of right joints and number of joints, in ten steps of the score;
    steps without joints are left out."""
    place = np.minimum((scores * BINS).astype(int), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    sums = (np.bincount(place, values, minlength=BINS) for values in (scores, right))
    with np.errstate(invalid="ignore"):
        rows = np.stack([*(total / count for total in sums), count], axis=1)
    return rows[count > 0]


def draw(found: dict[str, Scored], path: str) -> None:
    """A picture of the curves."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for group, (scores, right) in found.items():
        rows = curve(scores, right)
        rows = rows[rows[:, 2] >= 50]
        axes.plot(rows[:, 0], rows[:, 1], marker="o", label=f"{group} joints")
    axes.set(
        xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="confidence",
        ylabel="share within half a head of the truth",
    )
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)
