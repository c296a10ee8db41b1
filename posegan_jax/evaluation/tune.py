"""Chooses the parameters of the baselines on training clips.

    python -m posegan_jax.evaluation.tune --motion cmu.npz

Every combination on a grid completes training clips: smoothers those with a detector's errors,
which they are there for, regressions exact ones and those with holes, too. The one with the least
error wins, by the geometric mean over the protocols, so that a tenth less counts alike in each.
What it prints stands in ``baselines``.
"""

import argparse
import functools
import itertools
import sys
from collections.abc import Callable, Iterator

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.evaluation import temporal
from posegan_jax.evaluation.baselines import Method, regression
from posegan_jax.evaluation.baselines import temporal as over_time
from posegan_jax.evaluation.clips import FRAMES, view_clips, view_windows
from posegan_jax.evaluation.gaussian import Gaussian
from posegan_jax.evaluation.protocols import Case, make_case
from posegan_jax.pose.skeleton import DETECTED_12, SKELETONS, get_skeleton

NOISY = ("noise", "wild")
PROTOCOLS = ("clean", "holes40", "gap10", "legs", "crop", *NOISY)

GRIDS: dict[str, tuple[Callable, dict[str, tuple]]] = {
    "savitzky-golay": (
        temporal.savitzky_golay, {"seconds": (0.2, 0.28, 0.36, 0.44, 0.52), "order": (2, 3)}
    ),
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
PENALTIES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
RANKS = (32, 64, 128)
"""More would but approach the regression of full rank."""


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


def candidates(train: np.ndarray, detected: np.ndarray) -> Iterator[tuple[str, dict, Method]]:
    """Name, parameters and method for every point of every grid.

    Args:
      train: (N, F, J, 2) windows to fit on.
      detected: (J,) bool, the joints that a detector delivers.
    """
    for name, (function, grid) in GRIDS.items():
        for values in itertools.product(*grid.values()):
            parameters = dict(zip(grid, values, strict=True))
            yield name, parameters, over_time(functools.partial(function, **parameters))
    for penalty in PENALTIES:
        for name, windows in (("ridge", train.reshape(-1, 1, *train.shape[2:])),
                              ("ridge-windows", train)):
            model = Gaussian.fit(windows, detected, penalty)
            yield name, {"penalty": penalty}, regression(model)
        for rank in RANKS:
            model = Gaussian.fit(train, detected, penalty, rank)
            yield "pca", {"penalty": penalty, "rank": rank}, regression(model)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--motion", default="procedural", help="motion set with a split 'train'")
    parser.add_argument("--clips", type=int, default=40, help="to measure on")
    parser.add_argument("--windows", type=int, default=4096, help="to fit on")
    parser.add_argument("--frames", type=int, default=FRAMES, help="of a window, as the model's")
    parser.add_argument(
        "--skeleton", choices=tuple(SKELETONS), default="mpi_inf_3dhp", metavar="NAME",
        help="the model's",
    )
    options = parser.parse_args(argv)
    skeleton = get_skeleton(options.skeleton)
    try:
        # Another seed draws other places and cameras; subjects are too few to part them.
        views = view_clips(
            options.motion, "train", options.clips, seed=2, longest=100, skeleton=skeleton
        )
        train = view_windows(
            options.motion, "train", options.windows, options.frames, seed=3, skeleton=skeleton
        )
    except InputError as error:
        print(f"posegan_jax: {error}", file=sys.stderr)
        return 2
    cases = {
        name: [make_case(name, v.keypoints, skeleton, 0, i) for i, v in enumerate(views)]
        for name in PROTOCOLS
    }
    best: dict[str, tuple[float, dict]] = {}
    windows = np.stack([view.keypoints for view in train])
    for name, parameters, method in candidates(windows, skeleton.mask(DETECTED_12)):
        smoother = name in GRIDS
        of = {p: cases[p] for p in (NOISY if smoother else PROTOCOLS)}
        error = mean_error(method, of, everywhere=not smoother)
        print(f"{name:15} {error:.5f}  {parameters}", flush=True)
        if name not in best or error < best[name][0]:
            best[name] = error, parameters
    print("\nbest:")
    for name, (error, parameters) in best.items():
        print(f"{name:15} {error:.5f}  {parameters}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
