"""Completing a track, but for the search: what is to be solved, and what becomes of the answers.

All work of the host is here, none of the devices: a ``Completer`` can live in a process of its own.
"""

import dataclasses
import functools

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.geometry.moments import ResidualMoments
from posegan_jax.inpainting.compose import compose, spread
from posegan_jax.inpainting.explain import AROUND, as_generated, explain, openness
from posegan_jax.inpainting.reliability import (
    REJECT,
    History,
    Reliability,
    assess,
    confidence,
    elsewhere,
    recall,
    stray,
)
from posegan_jax.inpainting.residual import ResidualModel
from posegan_jax.inpainting.settings import (
    QUALITIES,
    Observed,
    Settings,
    check_joints,
    check_observed,
    check_shift,
)
from posegan_jax.inpainting.sides import exchanged
from posegan_jax.inpainting.together import Request, Steps
from posegan_jax.inpainting.track import Completion, Generated, Track, deliver, known_runs
from posegan_jax.model.certainty import Grounds
from posegan_jax.model.model import Model
from posegan_jax.pose.continuity import Layout
from posegan_jax.pose.rate import Rate
from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import Skeleton, get_skeleton
from posegan_jax.pose.windows import gather, starts

TINY = 1e-9
"""Distance of two places, relative to their coordinates, from which they are two: above the
rounding of double precision, below what any picture resolves."""
_AT_ONCE = 256  # windows that are looked at for anything to start from


class NothingToStartFrom(InputError):
    """No window of a person shows two of the joints that the model observes, at two places."""


@dataclasses.dataclass(frozen=True)
class Completer:
    """Completes sequences with the help of someone who solves windows.

    Attributes:
      model: the parameters of what only devices compute may lack, see ``Model.for_hosts``.
      told: gets, for every stretch that is explained, its frames and what its scores are made of.
    """

    model: Model
    told: list[tuple[slice, Grounds]] | None = None

    @property
    def skeleton(self) -> Skeleton:
        """The one that the networks generate."""
        return self.model.skeleton

    @property
    def frames(self) -> int:
        """Of a window."""
        return self.model.frames

    @property
    def inputs(self) -> tuple[str, ...]:
        """Joints that the networks look at."""
        return self.model.inputs

    @functools.cached_property
    def residual(self) -> ResidualModel:
        """Of what the networks leave; of a model in which that was not measured, a default."""
        moments = self.model.moments
        return ResidualModel.fit(
            ResidualMoments.default(len(self.skeleton)) if moments is None else moments
        )

    def steps(
        self, sequence: PoseSequence, joints: str = "same", settings: Settings | None = None,
        observed: Observed = "auto", repair_sides: bool = True, bridge: float | None = None,
    ) -> Steps[PoseSequence]:
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
        layout = self._layout(sequence, rate, bridge)
        track = Track.from_sequence(layout.dense, self.skeleton, self.inputs)
        if not self._can_start(track, rate):
            raise NothingToStartFrom(
                f"person {sequence.person}: nothing to start from; the model needs two of the "
                f"joints {', '.join(self.inputs)} within a second, at two places"
            )
        completion = yield from self.complete(track, rate, settings, observed, repair_sides)
        return layout.deliver(deliver(layout.dense, completion, self.skeleton, target))

    def can_complete(self, sequence: PoseSequence, bridge: float | None = None) -> bool:
        """Whether some window shows two of the joints that the model observes, at two places."""
        _check(sequence)
        rate = Rate.of(sequence.fps)
        dense = self._layout(sequence, rate, bridge).dense
        return self._can_start(Track.from_sequence(dense, self.skeleton, self.inputs), rate)

    def _layout(self, sequence: PoseSequence, rate: Rate, bridge: float | None) -> Layout:
        """A track's stretches, further apart than what is seen in one reaches into another."""
        return Layout.of(sequence, bridge, 2 * self._reach(rate))

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
        check_joints(joints, self.skeleton.name)
        return get_skeleton(skeleton) if joints == "same" else self.skeleton

    def complete(
        self, track: Track, rate: Rate, settings: Settings, observed: Observed,
        repair_sides: bool,
    ) -> Steps[Completion]:
        """Completes a track.

        A first look by the encoder tells which observations to rely on in the search.

        Args:
          track: of which some window is ``solvable``.
          rate: of its frames.
          settings, observed, repair_sides: as of ``inpainter.Inpainter.__call__``.
        """
        if not settings.carry_residual:
            generated = yield from self._generate(track, track.input_mask, rate, settings)
            done = Completion.of(track)
            for run in known_runs(track, generated, self._reach(rate)):
                done.put(run, as_generated(track[run], generated.some(run), observed))
            return done
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
        done = self._explain(track, generated, runs, rely, rate, settings.correct)
        done.provenance[crossed & (done.provenance == Provenance.OBSERVED)] = Provenance.REFINED
        return done

    def follow(
        self, window: Track, observed: Observed, history: History, due: int
    ) -> Steps[Completion]:
        """Completes the newest window of a live track, at the model's rate.

        Earlier windows tell which observations to rely on, so one look by the encoder is all.

        Args:
          window: F frames, which are ``solvable``.
          observed: as of ``inpainter.Inpainter.stream``.
          history: of the observations.
          due: the frame that is to be delivered.
        """
        rate, weights = Rate(), confidence(window.scores, window.seen)
        shown = window.input_mask * weights
        strays = stray(window.keypoints) & (observed != "keep")
        shown = np.where(strays | history.wrong, 0.0, shown)
        generated = yield from self._generate(window, shown, rate, QUALITIES["fast"])
        runs = known_runs(window, generated, self.frames)
        # An outstretched limb is a stray, too, but the others tell where it may be.
        wrong = history.wrong | strays & elsewhere(window.keypoints, generated.motion)
        rely = recall(
            history._replace(wrong=wrong), weights, generated.motion, runs, observed, due
        )
        done = self._explain(window, generated, runs, rely, rate, corrected=True, due=due)
        # Where the detector is exact it is delivered as it was seen, right or wrong.
        kept = window.seen & wrong & (rely.noise == 0)
        done.keypoints[kept], done.scores[kept] = window.keypoints[kept], window.scores[kept]
        done.provenance[kept] = Provenance.OBSERVED
        return done

    def _explain(
        self, track: Track, generated: Generated, runs: list[slice], rely: Reliability,
        rate: Rate, corrected: bool, due: int | None = None,
    ) -> Completion:
        """Explains every run, or the one with the frame that is due; elsewhere observations are all
        there is."""
        done = Completion.of(track)
        each = self.model.constants.left_open
        left_open = openness(track.input_mask, round(AROUND / rate.step), each)
        for run in runs:
            if due is None or run.start <= due < run.stop:
                told: list[Grounds] | None = None if self.told is None else []
                done.put(run, explain(
                    self.model, self.residual, track[run], generated.some(run), rely[run],
                    left_open[run], rate, corrected, told,
                ))
                if told is not None:
                    self.told.extend((run, ground) for ground in told)
        return done

    def _first_look(
        self, track: Track, rate: Rate, settings: Settings, observed: Observed
    ) -> Steps[tuple[np.ndarray, Generated]]:
        """Weights (T, J) of the observations, without what cannot be this person's, and motion."""
        weights = track.input_mask * confidence(track.scores, track.seen)
        if observed != "keep":
            weights = np.where(stray(track.keypoints), 0.0, weights)
        return weights, (yield from self._generate(track, weights, rate, settings, look=True))

    def _mirrored(self, windows: np.ndarray, turned: np.ndarray) -> np.ndarray:
        """Windows (N, F, J, 2) about 0, or their weights (N, F, J); left for right where turned."""
        if not turned.any():
            return windows
        other = windows[:, :, list(self.skeleton.mirror)]
        if windows.ndim == 4:
            other = other * np.array([-1.0, 1.0], other.dtype)
        return np.where(turned.reshape(-1, *[1] * (windows.ndim - 1)), other, windows)

    def _reach(self, rate: Rate) -> int:
        """Frames of the video that a window spans."""
        return round(self.frames / rate.step)

    def _generate(
        self, track: Track, weights: np.ndarray, rate: Rate, settings: Settings,
        look: bool = False,
    ) -> Steps[Generated]:
        """Generated motion; NaN where no window holds an observation.

        ``weights`` (T, J) of the observations, 0: missing.
        """
        keypoints = rate.split(np.nan_to_num(track.keypoints), 0.0)
        masks = rate.split(weights.astype(np.float32), 0.0)
        first = [starts(len(mask), self.frames, settings.shift) for mask in masks]
        inside, center, weigh, useful = _solvable(keypoints, masks, first, self.frames)
        loss = np.empty(0)
        if len(inside):
            turned = (np.flatnonzero(np.concatenate(useful)) % 2 == 1) & settings.mirror
            inside, weigh = self._mirrored(inside, turned), self._mirrored(weigh, turned)
            inside, loss = yield Request(inside, weigh, settings.descent, look)
            inside = self._mirrored(inside, turned)
        tracks, spreads, begin = [], [], 0
        for observed, seen, start, use in zip(keypoints, masks, first, useful, strict=True):
            part = slice(begin, begin + use.sum())
            begin = part.stop
            windows, around = inside[part], center[part]
            tracks.append(
                compose(
                    windows, start[use], len(observed), observed, seen, loss[part],
                    settings.composition, around,
                )
            )
            spreads.append(spread(windows, start[use], tracks[-1], around))
        return Generated(rate.join(tracks), rate.join(spreads))


def _solvable(
    keypoints: list[np.ndarray], masks: list[np.ndarray], first: list[np.ndarray], frames: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
    """The windows of tracks that can be solved, as devices want them.

    Args:
      keypoints: (T, J, 2) of each track, pixels; missing joints may hold anything.
      masks: (T, J) weights of the observations, 0 = missing.
      first: (N,) frame of each window.
      frames: of a window.

    Returns:
      (M, F, J, 2) around 0 and in single precision, (M, 1, 1, 2) what they are around, (M, F, J)
      weights; and for each track (N,) bool, which of the windows these are.
    """
    parts, useful = [], []
    for track, mask, starting in zip(keypoints, masks, first, strict=True):
        found = []
        for some in np.split(starting, range(_AT_ONCE, len(starting), _AT_ONCE)):
            x, weigh = (gather(array, some, frames, 0.0) for array in (track, mask))
            found.append(solvable(x, weigh))
            inside, center = centered(x[found[-1]], weigh[found[-1]])
            parts.append((inside.astype(np.float32), center, weigh[found[-1]]))
        useful.append(np.concatenate(found))
    inside, center, weigh = map(np.concatenate, zip(*parts, strict=True))
    return inside, center, weigh, useful


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
