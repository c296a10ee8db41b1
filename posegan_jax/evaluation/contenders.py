"""Methods of the benchmark by name, fitted and ready to complete tracks."""

import copy
import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import jax
import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.evaluation import methods as ours
from posegan_jax.evaluation.baselines import LEARNED, TEMPORAL, Method, fit_baselines
from posegan_jax.evaluation.baselines import temporal as over_time
from posegan_jax.evaluation.clips import has_clips2d, view_windows
from posegan_jax.evaluation.protocols import Case
from posegan_jax.evaluation.regressor import Regressor
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.evaluation.specialist import School
from posegan_jax.evaluation.specialist_network import Course, Recipe
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.motion.store import load_clips

TRAIN_WINDOWS = 4096
"""Windows of training motion that regressions are fitted on."""
RECIPE = Recipe()
"""By which networks for single protocols are trained."""
BATCH = 16
"""Windows that are searched at once on a CPU: most clips have no more."""

Contender = Method | School


def fitted(
    inpainter: Inpainter, options: EvaluateOptions, names: Sequence[str],
    networks: str | os.PathLike | None,
) -> tuple[dict[str, Contender], list[str]]:
    """Name -> method for all that can be had, and notes on what cannot."""
    methods: dict[str, Contender] = {ours.INPUT: lambda sequence: sequence.keypoints}
    notes = []
    if wanted := set(names) & {*TEMPORAL, *LEARNED, ours.NETWORK}:
        found = _learners(inpainter, options, wanted, networks)
        if found is None:
            missing = [name for name in (*LEARNED, ours.NETWORK) if name in names]
            if options.methods and missing:
                raise InputError(
                    f"{options.train or options.motion}: no training clips for "
                    f"{', '.join(missing)}; give --train MOTION, or other methods"
                )
            found = {
                name: over_time(smooth, detected=inpainter.model.detected)
                for name, smooth in TEMPORAL.items()
            }
            notes.append(
                "no training clips: what learns from them is left out, and baselines over time "
                "give no joint that is never observed; --train MOTION gives them"
            )
        methods |= found
    if ours.REGRESSOR in names:
        regressor = Regressor.packaged()
        if regressor is not None and regressor.fits(inpainter.model):
            methods[ours.REGRESSOR] = regressor
        elif options.methods:
            raise InputError("this package comes without a regressor for the model's windows")
    if options.unit == "windows":
        inpainter = _smaller(inpainter, 2)
    elif jax.default_backend() == "cpu":
        inpainter = _smaller(inpainter, BATCH)
    for name in names:
        if name not in methods and name not in ours.baselines():
            methods[name] = ours.our_method(inpainter, name)
    return methods, notes


def _learners(
    inpainter: Inpainter, options: EvaluateOptions, names: Collection[str],
    networks: str | os.PathLike | None,
) -> dict[str, Contender] | None:
    """Name -> what learns from training clips, or is completed by it; None without such clips."""
    source, model = options.train or options.motion, inpainter.model.options
    if Path(source).is_file() and has_clips2d(source):
        return None
    try:
        load_clips(source, "train", inpainter.skeleton)
    except InputError:
        if options.train:
            raise
        return None
    methods: dict[str, Contender] = {}
    detected = tuple(inpainter.model.detected)
    if baselines := set(names) - {ours.NETWORK}:
        train = view_windows(
            source, "train", TRAIN_WINDOWS, model.frames, options.seed, skeleton=inpainter.skeleton
        )
        methods |= fit_baselines(train, detected, baselines)
    if ours.NETWORK in names:
        course = Course(source, inpainter.skeleton, model.frames, detected, options.seed, RECIPE)
        methods[ours.NETWORK] = School(course, networks)
    return methods


def _smaller(inpainter: Inpainter, batch: int) -> Inpainter:
    changed = copy.copy(inpainter)
    changed.solver = inpainter.solver.another(min(batch, inpainter.batch))
    return changed


def complete_all(
    method: Contender, protocol: str, label: str, cases: Sequence[Case],
    tell: Callable[[str, int], None],
) -> list[np.ndarray]:
    """What a method makes of every case; a network is trained for the protocol before."""
    method = taught(
        method, protocol,
        lambda now, epochs: tell(f"{protocol}: {label}, epoch {now} of {epochs}", 0),
    )
    tracks: list[np.ndarray] = []
    for case in cases:
        tell(f"{protocol}: {label}", len(tracks))
        tracks.append(method(case.sequence))
    return tracks


def taught(
    method: Contender, protocol: str, tell: Callable[[int, int], None] | None = None
) -> Method:
    """A method, or the network of the protocol."""
    return method.network(protocol, tell) if isinstance(method, School) else method


