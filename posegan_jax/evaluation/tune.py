"""Fits what was chosen by measurement: the constants of a model and how sure it is, or the
baselines' parameters.

    python -m posegan_jax.evaluation.tune --motion cmu.npz,accad.npz --checkpoint FOLDER --write

refits the shares of ``model.constants.Constants`` and ``model.certainty`` to the networks and the
corrector in FOLDER, prints what they were and are, and writes them into it; the networks' arrays
stay. Without ``--write``, or ``-o`` for a folder of its own, it prints alone.

Shares are fitted on training clips, since the benchmark reports those of validation. Places and
cameras are drawn anew in every step of training: no seed is one that the networks have not seen.
How sure the model is, is fitted on training clips as well, see ``evaluation.certainty``; said and
found are told of the split 'validation' at the end, on whom nothing is fitted.

    python -m posegan_jax.evaluation.tune --motion cmu.npz,accad.npz --baselines

fits the parameters that stand in ``baselines``.
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from posegan_jax.errors import InputError
from posegan_jax.evaluation import certainty, grids, shares
from posegan_jax.evaluation.clips import View, view_clips, view_windows
from posegan_jax.evaluation.protocols import Case
from posegan_jax.evaluation.replay import Replay, make_cases
from posegan_jax.evaluation.shares import Fit, fit_shares
from posegan_jax.inpainting.completer import Completer
from posegan_jax.inpainting.inpainter import Inpainter, load
from posegan_jax.inpainting.settings import QUALITIES
from posegan_jax.model.certainty import Params
from posegan_jax.model.constants import Constants
from posegan_jax.model.folder import find_weights
from posegan_jax.model.model import Model
from posegan_jax.model.store import load_model, load_packaged, save_fitted, save_model
from posegan_jax.training.export import shareable

BASELINE_CLIPS, BASELINE_FRAMES, BASELINE_WINDOWS = 40, 100, 4096
"""What baselines' parameters are fitted on: clips, frames of each, and windows of regressions."""
TRAINING = 450
"""Clips that certainty is fitted on."""
QUALITY_NAMES = tuple(name for name, how in QUALITIES.items() if how.carry_residual)
"""Those that the constants count in."""


@dataclasses.dataclass(frozen=True)
class Clips:
    """What constants are fitted on.

    Attributes:
      motion: motion set, as for ``motion.store.load_clips``.
      count: clips of a split.
      frames: of a clip at most.
      seed: of clips, cameras and holes.
      split: that is fitted on.
      held_out: split that said and found are told of.
      quality: of the search.
    """

    motion: str
    count: int = 20
    frames: int = 72
    seed: int = 1
    split: str = "train"
    held_out: str = "validation"
    quality: str = "balanced"

    def views(self, split: str, model: Model) -> list[View]:
        """Clips of a split through random cameras."""
        return view_clips(
            self.motion, split, self.count, self.seed, self.frames, skeleton=model.skeleton
        )


def tune_shares(inpainter: Inpainter, clips: Clips, constants: Constants) -> dict[str, Fit]:
    """Fits the shares.

    Args:
      inpainter: with the networks.
      clips: what they are fitted on.
      constants: the start.

    Returns:
      What was done, in words -> the fit; the last one has all shares.
    """
    model, fits = inpainter.model, {}
    views = clips.views(clips.split, model)
    cases = make_cases(model, views, shares.PROTOCOLS, clips.seed)
    cases = {name: _possible(inpainter, some) for name, some in cases.items()}
    replay = Replay(inpainter, QUALITIES[clips.quality])
    names = shares.WITHOUT + shares.ALWAYS
    if model.corrector is not None:
        names = shares.WITHOUT
        by_default = shares.WITH_CORRECTOR + shares.ALWAYS
        fit = fits["corrected"] = fit_shares(replay, cases, constants, by_default, True)
        constants = fit.constants
    fits["uncorrected"] = fit_shares(replay, cases, constants, names, False)
    return fits


def tune_certainty(
    inpainter: Inpainter, clips: Clips, training: int = TRAINING, picture: str | None = None
) -> Params:
    """Fits ``model.certainty``, and tells said and found of people who are not fitted to.

    Args:
      inpainter: with the networks, and with the constants that are to stay.
      clips: whom to fit on, and whom to tell of.
      training: clips to fit on; half as many are seen through other cameras besides.
      picture: where curves are drawn, .png.

    Returns:
      Its parameters.
    """
    model, quality = inpainter.model, QUALITIES[clips.quality]

    def completed(what: str, split: str, count: int, seed: int, *more) -> certainty.Joints:
        tasks = certainty.motion_tasks(
            model, clips.motion, split, count, clips.frames, clips.seed + seed, *more
        )
        with tqdm(desc=what, unit="track", leave=False, disable=None) as bar:
            return certainty.complete(inpainter, quality, tasks, seed, lambda done: bar.update())

    often = certainty.OFTEN, 2
    known = certainty.Joints.join([
        completed("training", clips.split, training, 1, *often),
        completed("turned", clips.split, training // 2, 2, *often, certainty.TURNED),
    ])
    params = certainty.fit(known, model.skeleton, model.detected, clips.seed)
    joints = completed("held out", clips.held_out, clips.count, 3)
    said = certainty.scores(params, joints, model.skeleton)
    print(f"{clips.held_out}\n{certainty.told(joints, said)}", flush=True)
    if picture:
        certainty.draw(joints, said, picture)
    return params


def _possible(inpainter: Inpainter, cases: Sequence[Case]) -> list[Case]:
    return [case for case in cases if inpainter.can_complete(case.sequence)]


def tune_constants(inpainter: Inpainter, clips: Clips) -> Constants:
    """Fits the shares to a model, and prints what they were and are.

    Args:
      inpainter: with the networks.
      clips: what they are fitted on.

    Raises:
      InputError: there are no such clips.
    """
    before = inpainter.model.constants
    fits = tune_shares(inpainter, clips, before)
    for name, fit in fits.items():
        _tell(f"error in head sizes, {name}, {clips.split}", fit)
    after = list(fits.values())[-1].constants
    for name, value in after.to_dict().items():
        print(f"{name:12} {_plain(getattr(before, name)):>14} -> {_plain(value)}")
    return after


def _tell(what: str, fit: Fit) -> None:
    print(f"{what}: {fit.before:.5f} -> {fit.after:.5f}", flush=True)


def _plain(value) -> str:
    return " ".join(f"{number:g}" for number in np.atleast_1d(value))


def tune_baselines(
    model: Model, motion: str, count: int = BASELINE_CLIPS, windows: int = BASELINE_WINDOWS
) -> None:
    """Fits the parameters of baselines for the windows and joints of a model, and prints them.

    Args:
      model: whose skeleton, windows and detected joints count.
      motion: motion set with a split 'train'.
      count: clips to measure on.
      windows: to fit on.

    Raises:
      InputError: there is no such motion, or it is of one person.
    """
    views = view_clips(
        motion, "train", count, seed=2, longest=BASELINE_FRAMES, skeleton=model.skeleton
    )
    train = view_windows(
        motion, "train", windows, model.frames, seed=3, skeleton=model.skeleton
    )

    def tell(name: str, error: float, parameters: dict) -> None:
        print(f"{name:15} {error:.5f}  {parameters}", flush=True)

    views, train = grids.by_people(views, train)
    cases = make_cases(model, views, grids.PROTOCOLS, seed=0)
    best = grids.fit_parameters(cases, train, model.detected, tell)
    print("\nbest:")
    for name, (error, parameters) in best.items():
        tell(name, error, parameters)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    try:
        _run(_parser().parse_args(argv))
    except InputError as error:
        print(f"posegan_jax: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--motion", required=True, help="prepared set, .npz files with commas, or 'procedural'")
    add("--checkpoint", help="folder of a model, or of a run (default: packaged weights)")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--write", action="store_true", help="into the folder of --checkpoint")
    target.add_argument("-o", "--output", help="folder to write the model to, with the constants")
    add("--split", default=Clips.split, help="that shares are fitted on (default: %(default)s)")
    add("--held-out", default=Clips.held_out,
        help="split of which said and found are told (default: %(default)s)")
    add("--clips", type=int,
        help=f"of a split (default: {Clips.count}, for baselines {BASELINE_CLIPS})")
    add("--frames", type=int, default=Clips.frames, help="of a clip (default: %(default)s)")
    add("--seed", type=int, default=Clips.seed, help="of clips, cameras and holes")
    add("--quality", choices=QUALITY_NAMES, default=Clips.quality,
        help="of the search (default: %(default)s)")
    add("--only", choices=("shares", "certainty"), help="fit these alone (default: both)")
    add("--training", type=int, default=TRAINING,
        help="training clips that certainty is fitted on (default: %(default)s)")
    add("--curve", metavar="PNG", help="picture of said against found to draw")
    add("--baselines", action="store_true", help="fit the baselines' parameters instead")
    add("--windows", type=int, default=BASELINE_WINDOWS, help="that regressions are fitted on")
    return parser


def _run(options: argparse.Namespace) -> None:
    inpainter = load(options.checkpoint)
    if options.baselines:
        count = options.clips or BASELINE_CLIPS
        return tune_baselines(inpainter.model, options.motion, count, options.windows)
    # What cannot be written is told before the minutes that it takes.
    if options.write:
        if not options.checkpoint:
            raise InputError("--write needs the --checkpoint to write to")
        find_weights(options.checkpoint)
    elif options.output and os.path.exists(options.output):
        raise InputError(f"{options.output}: already exists; choose another folder")
    clips = Clips(
        options.motion, options.clips or Clips.count, options.frames, options.seed,
        options.split, options.held_out, options.quality,
    )
    fitted: dict[str, Any] = {}
    if options.only != "certainty":
        fitted["constants"] = tune_constants(inpainter, clips)
    if options.only != "shares":
        model = inpainter.model.replace(**fitted)
        inpainter.completer = Completer(model)
        fitted["certainty"] = tune_certainty(
            inpainter, clips, options.training, options.curve
        )
    if options.write:
        constants = fitted.get("constants", inpainter.model.constants)
        save_fitted(options.checkpoint, constants, fitted.get("certainty"))
    elif options.output:
        model = load_model(options.checkpoint) if options.checkpoint else load_packaged()
        save_model(options.output, shareable(model.replace(**fitted)))
    return None


if __name__ == "__main__":
    sys.exit(main())
