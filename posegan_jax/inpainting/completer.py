"""Completing a track, but for the search: what is to be solved, and what becomes of the answers.

All work of the host is here, none of the devices: a ``Completer`` can live in a process of its own.
"""

import dataclasses
from collections.abc import Generator
from typing import Literal, NamedTuple

import numpy as np

from posegan_jax.errors import InputError, whole
from posegan_jax.inpainting.compose import Composition, compose, spread
from posegan_jax.inpainting.descent import DescentOptions
from posegan_jax.inpainting.explain import (
    Completion,
    Generated,
    Track,
    complete,
    deliver,
    known_runs,
)
from posegan_jax.inpainting.objective import ObjectiveWeights
from posegan_jax.inpainting.reliability import (
    REJECT,
    Observed,
    assess,
    check_observed,
    confidence,
    stray,
)
from posegan_jax.inpainting.residual import ResidualModel
from posegan_jax.inpainting.sides import exchanged
from posegan_jax.model.corrector import Mixer
from posegan_jax.pose.rate import Rate
from posegan_jax.pose.sequence import PoseSequence, Provenance, densify
from posegan_jax.pose.skeleton import Skeleton, get_skeleton
from posegan_jax.pose.windows import gather, starts

Quality = Literal["fast", "balanced", "best", "thesis"]

TINY = 1e-9
"""Distance of two places, relative to their coordinates, from which they are two."""
_AT_ONCE = 256  # windows that are looked at for anything to start from


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a sequence is solved.

    Attributes:
      shift: frames from one window to the next.
      descent: the search in latent space.
      composition: how overlapping windows become one sequence, see ``select.compose``.
      carry_residual: add what the generated motion leaves unexplained, see ``residual``. Off, the
        result is the generated motion alone, as in the thesis.
      mirror: solve every second window as its mirror image. What the networks say of it is off
        elsewhere than what they say of the window itself, and blended with it comes nearer.
      correct: let the mixer that comes with the networks correct joints that are not observed, see
        ``correct``.
    """

    shift: int = 8
    descent: DescentOptions = DescentOptions()
    composition: Composition = "blend"
    carry_residual: bool = True
    mirror: bool = False
    correct: bool = True


# Few steps and the pull towards the encoder's answer keep what the encoder knows of unseen limbs.
_WEIGHTS = ObjectiveWeights(critic=0.0, prior=0.01)


def _search(steps: int) -> DescentOptions:
    return DescentOptions(steps, weights=_WEIGHTS, method="bfgs")


QUALITIES: dict[str, Settings] = {
    "fast": Settings(6, _search(0)),
    "balanced": Settings(6, _search(8)),
    "best": Settings(3, _search(8), mirror=True),
    # The thesis's own search and composition, for comparison.
    "thesis": Settings(8, DescentOptions(), "nearest", carry_residual=False),
}


class NothingToStartFrom(InputError):
    """No window of a person shows two of the joints that the model observes, at two places."""


class Request(NamedTuple):
    """Windows to be solved.

    Attributes:
      x: (N, F, J, 2) pixels from the middle of each window, see ``centered``; 0 where missing.
      mask: (N, F, J) weights of the observations, 0 = missing; every window is ``solvable``.
      options: of the search.
      look: whether this is but a first look, which nobody's progress counts.
    """

    x: np.ndarray
    mask: np.ndarray
    options: DescentOptions
    look: bool


Steps = Generator[Request, tuple[np.ndarray, np.ndarray], PoseSequence]
"""Asks for windows to be solved, is sent what ``solver.Solver`` returns, and returns a sequence."""


@dataclasses.dataclass(frozen=True)
class Completer:
    """Completes sequences with the help of someone who solves windows.

    Attributes:
      skeleton: the one that the networks generate.
      frames: of a window.
      inputs: joints that the networks look at.
      residual: moments of the residuals.
      mixer: corrects joints that are not observed, if there is one.
    """

    skeleton: Skeleton
    frames: int
    inputs: tuple[str, ...]
    residual: ResidualModel
    mixer: Mixer | None = None

    def steps(
        self, sequence: PoseSequence, joints: str = "same", settings: Settings | None = None,
        observed: Observed = "auto", repair_sides: bool = True,
    ) -> Steps:
        """Completes a sequence: a generator of what is to be solved on the way.

        Args: as of ``inpainter.Inpainter.__call__``; settings are those of 'balanced' if None.

        Raises:
          InputError: as there, at the first step; ``NothingToStartFrom`` where that is why.
        """
        _check(sequence)
        target = self.target(sequence.skeleton, joints)
        check_observed(observed)
        settings = QUALITIES["balanced"] if settings is None else settings
        check_shift(settings, self.frames)
        rate = Rate.of(sequence.fps)
        dense = densify(sequence)
        track = Track.from_sequence(dense, self.skeleton, self.inputs)
        if not self._can_start(track, rate):
            raise NothingToStartFrom(
                f"person {sequence.person}: nothing to start from; the model needs two of the "
                f"joints {', '.join(self.inputs)} within a second, at two places"
            )
        if settings.carry_residual:
            completion = yield from self._complete(track, rate, settings, observed, repair_sides)
        else:
            generated = yield from self._generate(track, track.input_mask, rate, settings)
            runs = known_runs(track, generated, self._reach(rate))
            completion = complete(track, generated, runs, None, None, observed, rate)
        return deliver(dense, completion, self.skeleton, target)

    def can_complete(self, sequence: PoseSequence) -> bool:
        """Whether some window shows two of the joints that the model observes, at two places."""
        _check(sequence)
        track = Track.from_sequence(densify(sequence), self.skeleton, self.inputs)
        return self._can_start(track, Rate.of(sequence.fps))

    def _can_start(self, track: Track, rate: Rate) -> bool:
        places, seen = rate.split(track.keypoints, np.nan), rate.split(track.input_mask, False)
        for x, mask in zip(places, seen, strict=True):
            first = starts(len(mask), self.frames, 1)
            for some in np.split(first, range(_AT_ONCE, len(first), _AT_ONCE)):
                windows = (gather(array, some, self.frames, 0.0) for array in (x, mask))
                if solvable(*windows).any():
                    return True
        return False

    def target(self, skeleton: str, joints: str) -> Skeleton:
        """The skeleton of the result: the input's own for 'same', or the model's by its name."""
        if joints == "same":
            return get_skeleton(skeleton)
        if joints == self.skeleton.name:
            return self.skeleton
        raise InputError(f"joints must be 'same' or {self.skeleton.name!r}, not {joints!r}")

    def _complete(
        self, track: Track, rate: Rate, settings: Settings, observed: Observed, repair_sides: bool,
    ) -> Generator[Request, tuple[np.ndarray, np.ndarray], Completion]:
        """A first look by the encoder tells which observations to rely on in the search."""
        shift = max(settings.shift, QUALITIES["fast"].shift)
        encode = dataclasses.replace(QUALITIES["fast"], shift=shift)
        look, generated = yield from self._first_look(track, rate, encode, observed)
        crossed = np.zeros(track.scores.shape, bool)
        # At low rates joints go as far from frame to frame as the two sides are apart.
        if repair_sides and observed != "keep" and rate.step <= 1:
            crossed = exchanged(track.keypoints, generated.motion, self.skeleton, rate.step)
            if crossed.any():
                track = track.exchange(crossed, self.skeleton)
                look, generated = yield from self._first_look(track, rate, encode, observed)
        runs = known_runs(track, generated, self._reach(rate))
        weights = confidence(track.scores, track.seen)
        rely = assess(
            track.keypoints, weights, generated.motion, runs, self.residual, observed, rate.step
        )
        trust = np.where(rely.trust < REJECT, 0.0, rely.precision * rely.trust)
        weights = track.input_mask * weights * trust
        if settings != encode or (weights != look).any():
            generated = yield from self._generate(track, weights, rate, settings)
            runs = known_runs(track, generated, self._reach(rate))
        mixer = self.mixer if settings.correct else None
        done = complete(track, generated, runs, self.residual, rely, observed, rate, mixer)
        done.provenance[crossed & (done.provenance == Provenance.OBSERVED)] = Provenance.REFINED
        return done

    def _first_look(self, track: Track, rate: Rate, settings: Settings, observed: Observed):
        """Weights (T, J) of the observations, without what cannot be this person's, and motion."""
        weights = track.input_mask * confidence(track.scores, track.seen)
        if observed != "keep":
            weights = np.where(stray(track.keypoints), 0.0, weights)
        return weights, (yield from self._generate(track, weights, rate, settings, look=True))

    def _mirrored(self, windows: np.ndarray, turned: np.ndarray) -> np.ndarray:
        """Windows (N, F, J, 2) about 0, or their weights (N, F, J); left for right where turned."""
        other = windows[:, :, list(self.skeleton.mirror)]
        if windows.ndim == 4:
            other = other * [-1.0, 1.0]
        return np.where(turned.reshape(-1, *[1] * (windows.ndim - 1)), other, windows)

    def _reach(self, rate: Rate) -> int:
        """Frames of the video that a window spans."""
        return round(self.frames / rate.step)

    def _generate(
        self, track: Track, weights: np.ndarray, rate: Rate, settings: Settings,
        look: bool = False,
    ) -> Generator[Request, tuple[np.ndarray, np.ndarray], Generated]:
        """Generated motion; NaN where no window holds an observation.

        ``weights`` (T, J) of the observations, 0: missing.
        """
        keypoints = rate.split(np.nan_to_num(track.keypoints), 0.0)
        masks = rate.split(weights.astype(np.float32), 0.0)
        first = [starts(len(mask), self.frames, settings.shift) for mask in masks]
        x, mask = (
            np.concatenate(
                [gather(a, s, self.frames, 0.0) for a, s in zip(arrays, first, strict=True)]
            )
            for arrays in (keypoints, masks)
        )
        useful = solvable(x, mask)
        windows, loss = np.full(x.shape, np.nan), np.full(len(x), np.inf)
        if useful.any():
            inside, center = centered(x[useful], mask[useful])
            weigh = mask[useful]
            turned = (np.flatnonzero(useful) % 2 == 1) & settings.mirror
            inside, weigh = self._mirrored(inside, turned), self._mirrored(weigh, turned)
            found, loss[useful] = yield Request(inside, weigh, settings.descent, look)
            found = self._mirrored(found, turned)
            windows[useful] = found + center
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


def settings_of(
    quality: Quality = "balanced", shift: int | None = None, steps: int | None = None,
    settings: Settings | None = None,
) -> Settings:
    """The settings of a quality, or those that are given, with shift and steps where given.

    Args: as of ``inpainter.Inpainter.__call__``.

    Raises:
      InputError: no such quality, or no such shift or number of steps.
    """
    if settings is None:
        if quality not in QUALITIES:
            raise InputError(f"quality must be one of {', '.join(QUALITIES)}, not {quality!r}")
        settings = QUALITIES[quality]
    if shift is not None:
        settings = dataclasses.replace(settings, shift=whole("shift", shift))
    if steps is not None:
        if whole("steps", steps) < 0:
            raise InputError(f"steps must be 0 or more, not {steps}")
        settings = dataclasses.replace(
            settings, descent=dataclasses.replace(settings.descent, steps=steps)
        )
    return settings


def check_shift(settings: Settings, frames: int) -> None:
    """Raises InputError where windows of so many frames would leave frames out between them."""
    if not 1 <= settings.shift <= frames:
        raise InputError(f"shift must be between 1 and {frames} frames, not {settings.shift}")


def _check(sequence: PoseSequence) -> None:
    if not isinstance(sequence, PoseSequence):
        raise InputError(
            "one PoseSequence is completed at a time, not a "
            f"{type(sequence).__name__}; of a file, those in it one after another"
        )


def solvable(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Which windows show two joints at two places: anything less has neither size nor direction.

    Args:
      x: (N, F, J, 2) pixels; missing joints may hold anything.
      mask: (N, F, J) weights of the observations, 0 = missing.

    Returns:
      (N,) bool. A joint's place is the mean over the window: its own path is no size.
    """
    there = mask > 0
    count = there.sum(axis=1)[..., None]
    place = np.where(there[..., None], x, 0.0).sum(axis=1) / np.maximum(count, 1)
    least, most = (
        reduce(np.where(count > 0, place, empty), axis=1)
        for reduce, empty in ((np.min, np.inf), (np.max, -np.inf))
    )
    far = np.maximum(np.abs(least), np.abs(most)).max(axis=-1)
    return (most - least).max(axis=-1) > TINY * far


def centered(x: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Windows around 0, since the devices compute in single precision, wherever in a picture.

    Args:
      x: (N, F, J, 2) pixels; missing joints may hold anything.
      mask: (N, F, J) weights of the observations, 0 = missing.

    Returns:
      (N, F, J, 2) pixels from the mean of what is observed, 0 where missing; and (N, 1, 1, 2) that
      mean.
    """
    there = (mask > 0)[..., None]
    count = np.maximum(there.sum(axis=(1, 2), keepdims=True), 1)
    center = np.where(there, x, 0.0).sum(axis=(1, 2), keepdims=True) / count
    return np.where(there, x - center, 0.0), center
