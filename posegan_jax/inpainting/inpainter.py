"""Completing, refining and upsampling pose sequences: the tool's main function."""

import dataclasses
import os
from importlib import resources
from typing import Any, Literal

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.geometry.moments import ResidualMoments
from posegan_jax.inpainting.assemble import (
    Completion,
    Generated,
    Track,
    complete,
    deliver,
    known_runs,
)
from posegan_jax.inpainting.descent import DescentOptions
from posegan_jax.inpainting.objective import ObjectiveWeights
from posegan_jax.inpainting.rate import Rate
from posegan_jax.inpainting.reliability import (
    REJECT,
    Observed,
    assess,
    check_observed,
    confidence,
    stray,
)
from posegan_jax.inpainting.residual import ResidualModel
from posegan_jax.inpainting.select import Composition, compose, spread
from posegan_jax.inpainting.sides import exchanged
from posegan_jax.inpainting.solver import Progress, Solver
from posegan_jax.networks.build import NetworkOptions, Networks, Variables, build_networks
from posegan_jax.pose.sequence import PoseSequence, Provenance, densify
from posegan_jax.pose.skeleton import DETECTED_12, Skeleton, get_skeleton
from posegan_jax.pose.windows import gather, starts
from posegan_jax.training.checkpoints import load_params

Quality = Literal["fast", "balanced", "best", "thesis"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a sequence is solved.

    Attributes:
      shift: frames from one window to the next.
      descent: the search in latent space.
      composition: how overlapping windows become one sequence, see ``select.compose``.
      carry_residual: add what the generated motion leaves unexplained, see ``residual``. Off, the
        result is the generated motion alone, as in the thesis.
    """

    shift: int = 8
    descent: DescentOptions = DescentOptions()
    composition: Composition = "blend"
    carry_residual: bool = True


# A low rate and the pull towards the encoder's answer keep what the encoder knows of unseen limbs.
_WEIGHTS = ObjectiveWeights(critic=0.0, prior=0.01)
QUALITIES: dict[str, Settings] = {
    "fast": Settings(12, DescentOptions(0, 0.1, weights=_WEIGHTS)),
    "balanced": Settings(8, DescentOptions(30, 0.1, weights=_WEIGHTS)),
    "best": Settings(4, DescentOptions(200, 0.05, weights=_WEIGHTS)),
    # The thesis's own search and composition, for comparison.
    "thesis": Settings(8, DescentOptions(), "nearest", carry_residual=False),
}


class Inpainter:
    """Completes pose sequences with trained networks.

    Made by ``from_pretrained`` or ``from_checkpoint``; called on one sequence at a time. The search
    is compiled once per process and setting, see ``solver``.

    Attributes:
      solver: networks and parameters on the devices, and how many windows they solve at once.
      residual: moments of the residuals.
      metadata: what the checkpoint says about itself.
    """

    def __init__(
        self, networks: Networks, variables: dict[str, Variables], residual: ResidualModel,
        metadata: dict[str, Any] | None = None, batch: int | None = None,
    ):
        self.solver = Solver(networks, variables, batch)
        self.residual = residual
        self.metadata = metadata or {}

    @classmethod
    def from_pretrained(cls, batch: int | None = None) -> "Inpainter":
        """With the parameters that come with the package."""
        with resources.as_file(pretrained_path()) as path:
            return cls.from_checkpoint(path, batch)

    @classmethod
    def from_checkpoint(cls, directory: str | os.PathLike, batch: int | None = None) -> "Inpainter":
        """With the parameters of a training run's folder or of packaged parameters.

        Args:
          directory: a workdir of training, its checkpoints folder, or one checkpoint in it.
          batch: windows solved at once; by default 32 on a CPU, 512 elsewhere.

        Raises:
          InputError: there is no usable checkpoint.
        """
        variables, metadata = load_params(directory)
        if "networks" not in metadata:
            raise InputError(f"{directory}: not a checkpoint of posegan_jax (no network options)")
        networks = build_networks(NetworkOptions.from_dict(metadata["networks"]))
        return cls(networks, variables, _residual_model(networks, metadata), metadata, batch)

    @property
    def networks(self) -> Networks:
        """The modules."""
        return self.solver.networks

    @property
    def variables(self) -> dict[str, Variables]:
        """Their parameters, whole on every device."""
        return self.solver.variables

    @property
    def batch(self) -> int:
        """Windows solved at once."""
        return self.solver.batch

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton that the networks generate."""
        return get_skeleton(self.networks.options.skeleton)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Joints that the networks look at: those that their training showed them."""
        trained = self.metadata.get("config", {}).get("corruption", {})
        hidden = trained.get("never_observed", ())
        return tuple(joint for joint in trained.get("detected", DETECTED_12) if joint not in hidden)

    def __call__(
        self, sequence: PoseSequence, joints: str = "same", quality: Quality = "balanced",
        observed: Observed = "auto", shift: int | None = None, steps: int | None = None,
        settings: Settings | None = None, progress: Progress | None = None,
        repair_sides: bool = True,
    ) -> PoseSequence:
        """Completes a sequence.

        Args:
          sequence: one person; frames may be absent, joints missing. Its frame rate is from 5 to
            240 per second, 30 where it is not known, see ``rate``.
          joints: 'same' fills the joints of the sequence's own skeleton, and leaves those that the
            model does not know as they are; the model's skeleton ('mpi_inf_3dhp') gives all joints
            of that one.
          quality: 'fast' (the encoder's answer), 'balanced' (30 steps), 'best' (200 steps,
            windows overlapping six times), or 'thesis' (its search, nothing carried).
          observed: what becomes of joints that were seen. 'keep': unchanged. 'refine': smoothed.
            'auto': as far as they jitter or all others contradict them; exact ones unchanged.
          shift: frames between windows, instead of the quality's.
          steps: search steps, instead of the quality's.
          settings: everything at once, instead of quality, shift and steps.
          progress: called with windows done and windows in all.
          repair_sides: exchange left and right where the detector seems to have done so (not
            with observed='keep', nor below 20 frames per second).

        Returns:
          A sequence with a row for every frame from the first to the last, scores and provenance.
          Frames further than a window from anything observed stay missing. The score of a refined
          or filled joint is the probability that it lies within half a head size of the truth, as
          measured on held-out people by ``evaluation.calibration``.

        Raises:
          InputError: unknown options, a frame rate out of range, or a sequence without any joint
            that the model observes.
        """
        target = self._target(sequence, joints)
        check_observed(observed)
        settings = _settings(settings, quality, shift, steps, self.networks.options.frames)
        rate = Rate.of(sequence.fps)
        if not self.can_complete(sequence):
            raise InputError(
                f"person {sequence.person}: nothing to start from; the model needs two of the "
                f"joints {', '.join(self.inputs)} within a second"
            )
        dense = densify(sequence)
        track = Track.from_sequence(dense, self.skeleton, self.inputs)
        if settings.carry_residual:
            completion = self._complete(
                track, rate, settings, observed, repair_sides, progress
            )
        else:
            generated = self._generate(track, track.input_mask, rate, settings, progress)
            runs = known_runs(track, generated, self._reach(rate))
            completion = complete(track, generated, runs, None, None, observed, rate.step)
        return deliver(dense, completion, self.skeleton, target)

    def can_complete(self, sequence: PoseSequence) -> bool:
        """Whether at least two joints that the model observes are there, within one window."""
        if not len(sequence):
            return False
        seen = Track.from_sequence(densify(sequence), self.skeleton, self.inputs).input_mask
        frames = self.networks.options.frames
        for mask in Rate.of(sequence.fps).split(seen, False):
            count = np.concatenate([[0], mask.sum(axis=1).cumsum()])
            last = np.minimum(np.arange(len(mask)) + frames, len(mask))
            if (count[last] - count[:-1] >= 2).any():
                return True
        return False

    def search(
        self, x: np.ndarray, mask: np.ndarray, options: DescentOptions,
        progress: Progress | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solves windows, see ``solver.Solver.__call__``."""
        return self.solver(x, mask, options, progress)

    def _target(self, sequence: PoseSequence, joints: str) -> Skeleton:
        if joints == "same":
            return get_skeleton(sequence.skeleton)
        if joints == self.skeleton.name:
            return self.skeleton
        raise InputError(f"joints must be 'same' or {self.skeleton.name!r}, not {joints!r}")

    def _complete(
        self, track: Track, rate: Rate, settings: Settings, observed: Observed,
        repair_sides: bool, progress: Progress | None,
    ) -> Completion:
        """A first look by the encoder tells which observations to rely on in the search."""
        shift = max(settings.shift, QUALITIES["fast"].shift)
        encode = dataclasses.replace(QUALITIES["fast"], shift=shift)
        look, generated = self._first_look(track, rate, encode, observed)
        crossed = np.zeros(track.scores.shape, bool)
        # At low rates joints go as far from frame to frame as the two sides are apart.
        if repair_sides and observed != "keep" and rate.step <= 1:
            crossed = exchanged(track.keypoints, generated.motion, self.skeleton, rate.step)
            if crossed.any():
                track = track.exchange(crossed, self.skeleton)
                look, generated = self._first_look(track, rate, encode, observed)
        runs = known_runs(track, generated, self._reach(rate))
        weights = confidence(track.scores, track.seen)
        rely = assess(
            track.keypoints, weights, generated.motion, runs, self.residual, observed, rate.step
        )
        weights = track.input_mask * weights * np.where(rely.trust < REJECT, 0.0, rely.trust)
        if settings != encode or (weights != look).any():
            generated = self._generate(track, weights, rate, settings, progress)
            runs = known_runs(track, generated, self._reach(rate))
        done = complete(track, generated, runs, self.residual, rely, observed, rate.step)
        done.provenance[crossed & (done.provenance == Provenance.OBSERVED)] = Provenance.REFINED
        return done

    def _first_look(self, track: Track, rate: Rate, settings: Settings, observed: Observed):
        """Weights (T, J) of the observations, without what cannot be this person's, and motion."""
        weights = track.input_mask * confidence(track.scores, track.seen)
        if observed != "keep":
            weights = np.where(stray(track.keypoints), 0.0, weights)
        return weights, self._generate(track, weights, rate, settings, None)

    def _reach(self, rate: Rate) -> int:
        """Frames of the video that a window spans."""
        return round(self.networks.options.frames / rate.step)

    def _generate(
        self, track: Track, weights: np.ndarray, rate: Rate, settings: Settings,
        progress: Progress | None,
    ) -> Generated:
        """Generated motion; NaN where no window holds an observation.

        ``weights`` (T, J) of the observations, 0: missing.
        """
        frames = self.networks.options.frames
        keypoints = rate.split(np.nan_to_num(track.keypoints), 0.0)
        masks = rate.split(weights.astype(np.float32), 0.0)
        first = [starts(len(mask), frames, settings.shift) for mask in masks]
        x, mask = (
            np.concatenate([gather(a, s, frames, 0.0) for a, s in zip(arrays, first, strict=True)])
            for arrays in (keypoints, masks)
        )
        useful = _solvable(mask)
        windows, loss = np.full(x.shape, np.nan), np.full(len(x), np.inf)
        if useful.any():
            windows[useful], loss[useful] = self.search(
                x[useful], mask[useful], settings.descent, progress
            )
        tracks, spreads, begin = [], [], 0
        for observed, seen, start in zip(keypoints, masks, first, strict=True):
            part = slice(begin, begin + len(start))
            begin = part.stop
            use = useful[part]
            tracks.append(
                compose(
                    windows[part][use], start[use], len(observed), observed, seen,
                    loss[part][use], settings.composition,
                )
            )
            spreads.append(spread(windows[part][use], start[use], tracks[-1]))
        return Generated(rate.join(tracks), rate.join(spreads))


def pretrained_path():
    """The packaged checkpoint, as an importlib resource."""
    return resources.files("posegan_jax") / "weights" / "pretrained"


def _solvable(mask: np.ndarray) -> np.ndarray:
    """(N,) windows with at least two observed joints: one has neither size nor direction."""
    return (mask > 0).sum(axis=(1, 2)) >= 2


def _settings(settings, quality, shift, steps, frames: int) -> Settings:
    if settings is None:
        if quality not in QUALITIES:
            raise InputError(f"quality must be one of {', '.join(QUALITIES)}, not {quality!r}")
        settings = QUALITIES[quality]
    if shift is not None:
        settings = dataclasses.replace(settings, shift=shift)
    if steps is not None:
        if steps < 0:
            raise InputError(f"steps must be 0 or more, not {steps}")
        settings = dataclasses.replace(
            settings, descent=dataclasses.replace(settings.descent, steps=steps)
        )
    if not 1 <= settings.shift <= frames:
        raise InputError(f"shift must be between 1 and {frames} frames, not {settings.shift}")
    return settings


def _residual_model(networks: Networks, metadata: dict[str, Any]) -> ResidualModel:
    moments = metadata.get("residual")
    if moments and set(ResidualMoments._fields) <= set(moments):
        return ResidualModel.fit(ResidualMoments.from_dict(moments))
    # A run that has not been validated yet, or by an earlier version.
    return ResidualModel.fit(
        ResidualMoments.default(len(get_skeleton(networks.options.skeleton)))
    )
