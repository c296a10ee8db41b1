"""Fitting the parameters of the baselines, which stand in ``baselines``, on training clips.

Every combination on a grid completes them: smoothers those with a detector's errors, which they are
there for, what learns exact ones and those with holes, too. The one with the least error wins, by
the geometric mean over the protocols, so that a tenth less counts alike in each. What ridge
regressions penalise is on no grid: they choose it themselves, for each pattern.
"""

import functools
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.evaluation import temporal
from posegan_jax.evaluation.baselines import Method, Training, regression
from posegan_jax.evaluation.baselines import temporal as over_time
from posegan_jax.evaluation.clips import View
from posegan_jax.evaluation.gaussian import Gaussian
from posegan_jax.evaluation.protocols import Case

NOISY = ("noise", "wild")
PROTOCOLS = ("clean", "holes40", "gap10", "legs", "crop", *NOISY)

# No filter is slower than these: still slower ones have errors that are smaller by 1 % at most, as
# they spread gross ones, and blur real detections (benchmarks/detections.py) more than they help.
GRIDS: dict[str, tuple[Callable, dict[str, tuple]]] = {
    "savitzky-golay": (
        temporal.savitzky_golay, {"seconds": (0.2, 0.28, 0.36, 0.44, 0.52), "order": (2, 3)}
    ),
    "gaussian": (temporal.gaussian, {"seconds": (0.02, 0.04, 0.06, 0.08)}),
    "butterworth": (
        temporal.butterworth, {"cutoff": (3.0, 4.0, 5.0, 6.0, 8.0), "order": (2, 3)}
    ),
    "one-euro": (
        temporal.one_euro,
        {"cutoff": (2.0, 4.0, 8.0), "beta": (0.0, 3.0, 10.0, 30.0, 100.0)},
    ),
    "kalman": (
        temporal.kalman,
        {"acceleration": (0.004, 0.008, 0.016, 0.032), "noise": (0.003, 0.006, 0.012, 0.024)},
    ),
}
PENALTIES = (1e-3, 3e-3, 1e-2, 3e-2)
RANKS = (64, 128, 256)
HELD_OUT = 4
"""Of so many training people one is measured on, and the others are fitted on."""


def mean_error(method: Method, cases: dict[str, list[Case]], everywhere: bool) -> float:
    """Geometric mean over protocols of the mean error, in heights of the person.

    Args:
      method: what is measured.
      cases: by protocol.
      everywhere: over all joints that were not observed, instead of over the detected ones.
    """

    def error(case: Case) -> float:
        height = np.ptp(case.truth[..., 1], axis=1).mean()
        error = np.linalg.norm(method(case.sequence) - case.truth, axis=-1) / height
        return np.nanmean(error[~case.observed] if everywhere else error[:, case.detected])

    means = [np.mean([error(case) for case in of_one]) for of_one in cases.values()]
    return float(np.exp(np.mean(np.log(means))))


def candidates(
    train: Sequence[View], detected: Collection[str]
) -> Iterator[tuple[str, dict, Method]]:
    """Name, parameters and method for every point of every grid.

    Args:
      train: windows to fit on.
      detected: names of the joints that a detector delivers.
    """
    for name, (function, grid) in GRIDS.items():
        for values in itertools.product(*grid.values()):
            parameters = dict(zip(grid, values, strict=True))
            smooth = functools.partial(function, **parameters)
            yield name, parameters, over_time(smooth, detected=detected)
    training = Training.of(train, detected)
    for penalty in PENALTIES:
        for rank in RANKS:
            model = Gaussian.fit(training.windows, training.detected, penalty, rank)
            yield "pca", {"penalty": penalty, "rank": rank}, regression(model, detected)


def by_people(
    views: Sequence[View], windows: Sequence[View]
) -> tuple[list[View], list[View]]:
    """Of clips those of every fourth person, and of windows those of all others: a parameter that
    is chosen on the people whom a baseline was fitted on trusts it too much.

    Raises:
      InputError: one of them is left without anybody.
    """
    people = sorted({view.subject for view in (*views, *windows)})
    held = set(people[::HELD_OUT])
    some = [view for view in views if view.subject in held]
    others = [view for view in windows if view.subject not in held]
    if not some or not others:
        raise InputError("baselines' parameters are chosen on motion of two people at least")
    return some, others


Found = Callable[[str, float, dict], None]
"""Called with a method's name, its error and the parameters that led to it."""


def fit_parameters(
    cases: dict[str, list[Case]], train: Sequence[View], detected: Collection[str],
    tell: Found = lambda *_: None,
) -> dict[str, tuple[float, dict]]:
    """Finds the parameters of every baseline that has some.

    Args:
      cases: of ``PROTOCOLS``, to measure on.
      train: windows to fit on.
      detected: names of the joints that a detector delivers.
      tell: what is told of every combination.

    Returns:
      Name -> least error and its parameters.
    """
    best: dict[str, tuple[float, dict]] = {}
    for name, parameters, method in candidates(train, detected):
        smoother = name in GRIDS
        of = {protocol: cases[protocol] for protocol in (NOISY if smoother else PROTOCOLS)}
        error = mean_error(method, of, everywhere=not smoother)
        tell(name, error, parameters)
        if name not in best or error < best[name][0]:
            best[name] = error, parameters
    return best
