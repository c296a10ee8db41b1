"""Completing a track, but for the search: what is to be solved, and what becomes of the answers.

All work of the host is here, none of the devices: a ``Completer`` can live in a process of its own.
"""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.geometry.body import pose_size
from posegan_jax.geometry.moments import ResidualMoments
from posegan_jax.inpainting.compose import compose, spread
from posegan_jax.inpainting.explain import AROUND, as_generated, explain, openness
from posegan_jax.inpainting.noise import few
from posegan_jax.inpainting.reliability import (
    REJECT,
    History,
    Reliability,
    assess,
    confidence,
    elsewhere,
    measured,
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
from posegan_jax.inpainting.solvable import any_solvable, choose
from posegan_jax.inpainting.together import Request, Steps, together
from posegan_jax.inpainting.track import Completion, Generated, Track, deliver, known_runs
from posegan_jax.inpainting.upright import lying, share, turn
from posegan_jax.model.certainty import Grounds
from posegan_jax.model.model import Model
from posegan_jax.pose.continuity import Layout
from posegan_jax.pose.rate import Rate
from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import Skeleton, get_skeleton
from posegan_jax.pose.windows import starts


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
            ResidualMoments.default(len(self.skeleton)) if moments is None else moments,
            self.skeleton,
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
        layout = Layout.of(sequence, bridge)
        track = Track.from_sequence(layout.dense, self.skeleton, self.inputs)
        if not self._can_start(track, layout.parts, rate):
            raise NothingToStartFrom(
                f"person {sequence.person}: nothing to start from; the model needs two of the "
                f"joints {', '.join(self.inputs)} within a second, at two places"
            )
        completion, crossed = yield from self.complete(
            track, layout.parts, rate, settings, observed, repair_sides)
        done = layout.deliver(deliver(layout.dense, completion, self.skeleton, target))
        return done.replace(sides=tuple(layout.frames[crossed].tolist()))

    def can_complete(self, sequence: PoseSequence, bridge: float | None = None) -> bool:
        """Whether some window shows two of the joints that the model observes, at two places."""
        _check(sequence)
        rate = Rate.of(sequence.fps)
        layout = Layout.of(sequence, bridge)
        track = Track.from_sequence(layout.dense, self.skeleton, self.inputs)
        return self._can_start(track, layout.parts, rate)

    def _can_start(self, track: Track, parts: Sequence[slice], rate: Rate) -> bool:
        return any(self._has_start(track[part], rate) for part in parts)

    def _has_start(self, track: Track, rate: Rate) -> bool:
        places, seen = rate.split(track.keypoints, np.nan), rate.split(track.input_mask, False)
        return any(
            any_solvable(x, mask, self.frames) for x, mask in zip(places, seen, strict=True))

    def target(self, skeleton: str, joints: str) -> Skeleton:
        """The skeleton of the result: the input's own for 'same', or another one by its name."""
        check_joints(joints, self.skeleton.name)
        return get_skeleton(skeleton if joints == "same" else joints)

    def complete(
        self, track: Track, parts: Sequence[slice], rate: Rate, settings: Settings,
        observed: Observed, repair_sides: bool,
    ) -> Steps[tuple[Completion, np.ndarray]]:
        """Completes a track, each of its parts as if it were all there is.

        A part of someone who lies is completed twice, as it is and upright (``upright``).

        A first look by the encoder tells which observations to rely on in the search. One thing is
        told by all parts: how rough the detector's places are where a part is too short to say.

        Args:
          track: of which some window is ``solvable``.
          parts: its stretches; what is in none of them, or in one without a solvable window, stays
            as it is observed.
          rate: of its frames.
          settings, observed, repair_sides: as of ``inpainter.Inpainter.__call__``.

        Returns:
          What it is completed to; and (T,) bool, in which frames sides were exchanged.
        """
        done, crossed = Completion.of(track), np.zeros(len(track), bool)
        parts = [part for part in parts if self._has_start(track[part], rate)]
        if not settings.carry_residual:
            bare = {i: self._bare(track[p], rate, settings, observed) for i, p in enumerate(parts)}
            for i, found in (yield from together(bare)).items():
                done.put(parts[i], found)
            return done, crossed
        ways = {i: self._ways(track.keypoints[part]) for i, part in enumerate(parts)}
        each = {
            (i, lean): self._seen(
                track[parts[i]].turned(-lean), rate, settings, observed, repair_sides)
            for i in ways for lean in ways[i]
        }
        seen = yield from together(each)
        told = [seen[i, ways[i][0]] for i in ways]
        unknown = _roughness(told, rate.step) if len(parts) > 1 else 0.0
        alone = {
            (i, lean): self._complete(look, parts[i].start, rate, settings, observed, unknown)
            for (i, lean), look in seen.items()
        }
        found = yield from together(alone)
        for i, part in enumerate(parts):
            crossed[part] = np.any(told[i].crossed & told[i].track.seen, axis=-1)
            turned = [found[i, lean].turned(lean, track[part]) for lean in ways[i]]
            off = [_unexplained(seen[i, lean].track, seen[i, lean].generated) for lean in ways[i]]
            done.put(part, _joined(turned, off))
        return done, crossed

    def _ways(self, keypoints: np.ndarray) -> tuple[float, ...]:
        """Angles by which the picture (T, J, 2) is turned back to be completed, the main one first:
        upright, and of who lies as it is besides."""
        lean = lying(keypoints, self.skeleton)
        return (lean, 0.0) if lean and self.told is None else (lean,)

    def _bare(
        self, track: Track, rate: Rate, settings: Settings, observed: Observed
    ) -> Steps[Completion]:
        """A part with the generated motion alone."""
        generated = yield from self._generate(track, track.input_mask, rate, settings)
        done = Completion.of(track)
        for run in known_runs(track, generated, self._reach(rate)):
            done.put(run, as_generated(track[run], generated.some(run), observed))
        return done

    def _seen(
        self, track: Track, rate: Rate, settings: Settings, observed: Observed,
        repair_sides: bool,
    ) -> Steps["_Seen"]:
        """A part at a first look, with left and right put right."""
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
        return _Seen(track, crossed, encode, look, generated, runs)

    def _complete(
        self, seen: "_Seen", first: int, rate: Rate, settings: Settings, observed: Observed,
        unknown: float,
    ) -> Steps[Completion]:
        """A part that was looked at, whose first frame is the track's ``first``; ``unknown``: as of
        ``assess``."""
        track, crossed, encode, look, generated, runs = seen
        weights = confidence(track.scores, track.seen)
        rely = assess(
            track.keypoints, weights, generated.motion, runs, self.residual, observed, rate.step,
            unknown,
        )
        trust = np.where(rely.trust < REJECT, 0.0, rely.precision * rely.trust)
        weights = track.input_mask * weights * trust
        if settings != encode or (weights != look).any():
            generated = yield from self._generate(track, weights, rate, settings)
            runs = known_runs(track, generated, self._reach(rate))
        done = self._explain(track, generated, runs, rely, rate, settings.correct, first=first)
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
        before = history.keypoints
        ways = self._ways(window.keypoints if before is None else before)
        found = yield from together({
            lean: self._follow(
                window.turned(-lean), observed,
                history if before is None else history._replace(keypoints=turn(before, -lean)), due,
            )
            for lean in ways
        })
        turned = [found[lean][0].turned(lean, window) for lean in ways]
        return _joined(turned, [found[lean][1] for lean in ways])

    def _follow(
        self, window: Track, observed: Observed, history: History, due: int
    ) -> Steps[tuple[Completion, float]]:
        """The same with the picture as it is; and what of the window is not explained."""
        rate, weights = Rate(), confidence(window.scores, window.seen)
        shown = window.input_mask * weights
        strays = stray(window.keypoints) & (observed != "keep")
        shown = np.where(strays | history.wrong, 0.0, shown)
        generated = yield from self._generate(window, shown, rate, QUALITIES["fast"])
        runs = known_runs(window, generated, self.frames)
        # An outstretched limb is a stray, too, but the others tell where it may be.
        wrong = history.wrong | strays & elsewhere(window.keypoints, generated.motion)
        rely = recall(
            history._replace(wrong=wrong), window.keypoints, weights, generated.motion, runs,
            self.residual, observed, due,
        )
        done = self._explain(window, generated, runs, rely, rate, corrected=True, due=due)
        # Where the detector is exact it is delivered as it was seen, right or wrong.
        kept = window.seen & wrong & (rely.noise == 0)
        done.keypoints[kept], done.scores[kept] = window.keypoints[kept], window.scores[kept]
        done.provenance[kept] = Provenance.OBSERVED
        return done, _unexplained(window, generated)

    def _explain(
        self, track: Track, generated: Generated, runs: list[slice], rely: Reliability,
        rate: Rate, corrected: bool, due: int | None = None, first: int = 0,
    ) -> Completion:
        """Explains every run, or the one with the frame that is due; elsewhere observations are all
        there is. ``first``: where the track begins, for who is told."""
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
                    frames = slice(first + run.start, first + run.stop)
                    self.told.extend((frames, ground) for ground in told)
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
        inside, center, weigh, useful = choose(keypoints, masks, first, self.frames)
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


class _Seen(NamedTuple):
    """A part of a track at a first look.

    Attributes:
      track: with left and right put right.
      crossed: (T, J) bool, where they were exchanged.
      encode: settings of the look.
      look: (T, J) weights of the observations in it.
      generated: what it says.
      runs: of ``known_runs``.
    """

    track: Track
    crossed: np.ndarray
    encode: Settings
    look: np.ndarray
    generated: Generated
    runs: list[slice]


def _unexplained(track: Track, generated: Generated) -> float:
    """How far what is generated is off what is observed, in the mean, in body sizes."""
    off = np.linalg.norm(track.keypoints - generated.motion, axis=-1)
    off /= pose_size(generated.motion)[:, None]
    return float(np.nanmean(off)) if np.isfinite(off).any() else 0.0


def _joined(ways: Sequence[Completion], off: Sequence[float]) -> Completion:
    """A completion, or of who lies both: upright, and as it is; and what each leaves unexplained.
    """
    if len(ways) == 1:
        return ways[0]
    return ways[0].blended(ways[1], share(*off))


def _roughness(parts: Iterable[_Seen], step: float) -> float:
    """The median of what parts of a track tell of it, 0 if none does."""
    rough = [
        measured(part.track.keypoints, part.generated.motion, part.runs, step)[1]
        for part in parts if not few(part.track.keypoints)
    ]
    known = [value for value in rough if not np.isnan(value)]
    return float(np.median(known)) if known else 0.0


def _check(sequence: PoseSequence) -> None:
    if not isinstance(sequence, PoseSequence):
        raise InputError(
            "one PoseSequence is completed at a time, not a "
            f"{type(sequence).__name__}; of a file, those in it one after another"
        )
