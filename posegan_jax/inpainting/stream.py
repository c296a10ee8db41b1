"""Completing live tracks: a frame in, a frame out.

For every frame that is due, the newest window is completed as whole tracks are, by the encoder
alone, so that a frame takes as long whatever came before. Two windows explain the same frame a
little differently, which would flicker: of what was delivered last, a part that decays is carried
on.
"""

import math
from collections import deque
from numbers import Real
from typing import NamedTuple

import numpy as np

from posegan_jax.errors import InputError, whole
from posegan_jax.inpainting.completer import Completer
from posegan_jax.inpainting.reliability import REFINE_NOISE, REJECT, History
from posegan_jax.inpainting.settings import QUALITIES, LiveSettings, Observed, check_observed
from posegan_jax.inpainting.solvable import solvable
from posegan_jax.inpainting.solver import Solver
from posegan_jax.inpainting.together import Answer, Request, run, together
from posegan_jax.inpainting.track import Completion, Track, deliver
from posegan_jax.pose.rate import SLOW, UNKNOWN_FPS, Rate
from posegan_jax.pose.sequence import PoseSequence, Provenance, numbers
from posegan_jax.pose.skeleton import get_skeleton


class Frame(NamedTuple):
    """A completed frame; with several people, arrays have an axis (P, ...) in front.

    Attributes:
      number: frames since the start or the last reset, absent ones counted.
      keypoints: (K, 2) pixels; NaN where nothing is known.
      scores: (K,) the detector's, or the probability that a joint lies within half a head size of
        the truth.
      provenance: (K,) uint8 of ``Provenance``.
    """

    number: int
    keypoints: np.ndarray
    scores: np.ndarray
    provenance: np.ndarray


class Stream:
    """Completes tracks frame by frame; made by ``Inpainter.stream``, which see."""

    def __init__(
        self, completer: Completer, solver: Solver, skeleton: str = "coco17",
        fps: float | None = None, joints: str = "same", people: int = 1,
        observed: Observed = "auto", delay: int = 0, settings: LiveSettings = LiveSettings(),
    ):
        check_observed(observed)
        if whole("people", people) < 1:
            raise InputError(f"people must be at least 1, not {people}")
        self._source = get_skeleton(skeleton)
        self._target = completer.target(skeleton, joints)
        self._completer, self._solver, self._observed = completer, solver, observed
        self._people, self._delay, self._settings = people, whole("delay", delay), settings
        self._fps, self._rate = fps or UNKNOWN_FPS, Rate.of(fps)
        if self._fps < SLOW:
            raise InputError(f"a live track needs {SLOW:g} frames per second, not {fps:g}")
        ages, self._center = _layout(self._rate, completer.frames, delay)
        self._length = max(settings.history, int(ages.max()) + 1)
        self._there, self._rows = ages >= 0, self._length - 1 - np.maximum(ages, 0)
        self.reset()
        self._compile()

    def _compile(self) -> None:
        window = (1, self._completer.frames, len(self._completer.skeleton))
        self._solver(np.ones((*window, 2)), np.ones(window), QUALITIES["fast"].descent)

    def reset(self, person: int | None = None) -> None:
        """Forgets what was seen, of everyone or of one person (0 to P - 1): another one comes.

        Of everyone, frames that are due later are forgotten, too; ``flush`` gives them.

        Raises:
          InputError: there is no such person.
        """
        if person is None:
            self._done: deque[Frame] = deque()
        elif not 0 <= whole("person", person) < self._people:
            raise InputError(f"person must be from 0 to {self._people - 1}, not {person}")
        self._forget(person)

    def _forget(self, person: int | None = None) -> None:
        joints = len(self._source)
        if person is None:
            shape = (self._people, self._length, joints)
            self._keypoints = np.full((*shape, 2), np.nan)
            self._scores = np.zeros(shape)
            self._wrong = np.zeros((*shape[:2], len(self._completer.skeleton)), bool)
            self._last = [None] * self._people
            self._number = -1
            self._time: float | None = None
            self._pushed: deque[int] = deque()  # numbers of frames that are not completed yet
        else:
            self._keypoints[person], self._scores[person] = np.nan, 0.0
            self._wrong[person], self._last[person] = False, None

    def push(
        self, keypoints: np.ndarray | None, scores: np.ndarray | None = None,
        time: float | None = None,
    ) -> Frame | None:
        """Takes the next frame and gives the completed one.

        Args:
          keypoints: (K, 2) pixels, with several people (P, K, 2); NaN where a joint is missing,
            None where nobody is seen.
          scores: (K,) or (P, K); a joint of score 0 is missing. By default all are alike.
          time: seconds at which the frame was taken, from any start. Frames that were dropped are
            then missing ones, and after a gap as long as a window all starts afresh. Without it
            frames are ``1 / fps`` apart.

        Returns:
          The oldest frame that was pushed, is ``delay`` frames old and was not given yet, so that
          every one of them is given, whatever was dropped in between; None while there is none.

        Raises:
          InputError: what are no numbers, shapes that do not fit, or a time that is none or does
            not increase.
        """
        keypoints, scores = self._check(keypoints, scores)
        passed = self._passed(time)
        if passed * self._rate.step > self._completer.frames:
            self._finish()
            self._forget()
            passed = 1
        # Frames that are due before this one are completed without it, as they would have been.
        while passed > 1 and self._pushed:
            self._move(1)
            passed -= 1
        self._time = time
        self._pushed.append(self._number + passed)
        self._move(passed, keypoints, scores)
        return self._done.popleft() if self._done else None

    def flush(self) -> list[Frame]:
        """The frames that were pushed and not given, when no more will come; then it starts afresh.
        """
        self._finish()
        frames = list(self._done)
        self.reset()
        return frames

    def _finish(self) -> None:
        """Completes what was pushed, as if nobody was seen any more."""
        while self._pushed:
            self._move(1)

    def _move(self, passed: int, keypoints=np.nan, scores=0.0) -> None:
        """Goes on by some frames, of which the last one is given; completes the one that is due."""
        for buffer, empty in ((self._keypoints, np.nan), (self._scores, 0.0), (self._wrong, False)):
            buffer[:, :-passed] = buffer[:, passed:]
            buffer[:, -passed:] = empty
        self._keypoints[:, -1], self._scores[:, -1] = keypoints, scores
        self._number += passed
        due = self._number - self._delay
        if due < 0:
            return
        frames = self._complete(passed)
        if self._pushed and self._pushed[0] == due:
            self._pushed.popleft()
            arrays = [np.stack(a) for a in zip(*frames, strict=True)]
            if self._people == 1:
                arrays = [array[0] for array in arrays]
            self._done.append(Frame(due, *arrays))

    def _check(self, keypoints, scores) -> tuple[np.ndarray, np.ndarray]:
        """(P, K, 2) and (P, K), NaN and 0 where missing."""
        shape = (self._people, len(self._source))
        if keypoints is None:
            return np.full((*shape, 2), np.nan), np.zeros(shape)
        keypoints = numbers("keypoints", keypoints)
        scores = np.ones(keypoints.shape[:-1]) if scores is None else numbers("scores", scores)
        expected = shape if self._people > 1 else shape[1:]
        if keypoints.shape != (*expected, 2) or scores.shape != expected:
            raise InputError(
                f"keypoints must be {(*expected, 2)} and scores {expected} for "
                f"{self._source.name}, not {keypoints.shape} and {scores.shape}"
            )
        keypoints, scores = keypoints.reshape(*shape, 2), scores.reshape(shape)
        missing = ~(np.isfinite(keypoints).all(-1) & (scores > 0))
        keypoints[missing], scores[missing] = np.nan, 0.0
        return keypoints, scores

    def _passed(self, time: float | None) -> int:
        """Frames from the last one to this one."""
        if time is None:
            return 1
        if not (isinstance(time, Real) and math.isfinite(time)):
            raise InputError(f"time must be a number of seconds, not {time}")
        if self._time is None:
            return 1
        if not time > self._time:
            raise InputError(f"time must increase: {time:g} comes after {self._time:g}")
        return max(1, round(min((time - self._time) * self._fps, 1e6)))  # not of infinity

    def _complete(self, passed: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Keypoints, scores and provenance of everyone in the frame that is due."""
        tracks = [self._track(person) for person in range(self._people)]
        windows = [self._window(track) for track in tracks]
        steps = {
            person: self._completer.follow(
                window, self._observed, self._history(person, track), self._center
            )
            for person, (track, window) in enumerate(zip(tracks, windows, strict=True))
            if self._known(window)
        }
        done = run(together(steps), self._solve)
        here = slice(self._length - 1 - self._delay, self._length - self._delay)
        return [
            self._deliver(person, here, self._next(person, done.get(person), track[here], passed))
            for person, track in enumerate(tracks)
        ]

    def _solve(self, request: Request) -> Answer:
        return self._solver(request.x, request.mask, request.options)

    def _track(self, person: int) -> Track:
        """The frames that are kept, on the model's skeleton."""
        return Track.carried(
            self._keypoints[person], self._scores[person], self._source,
            self._completer.skeleton, self._completer.inputs,
        )

    def _window(self, track: Track) -> Track:
        """The newest window of a track, at the model's rate."""
        there, rows = self._there[:, None], self._rows
        return Track(
            np.where(there[..., None], track.keypoints[rows], np.nan),
            np.where(there, track.scores[rows], 0.0), there & track.input_mask[rows],
        )

    def _history(self, person: int, track: Track) -> History:
        """What is known before of the newest window of a track."""
        new = track.seen.any(-1).sum() < self._settings.settled
        known = track.keypoints if self._rate.step <= 1 else None
        wrong = self._there[:, None] & self._wrong[person, self._rows]
        return History(known, REFINE_NOISE if new else 0.0, wrong)

    def _known(self, window: Track) -> bool:
        """Whether anything can be told of the frame that is due."""
        seen = np.flatnonzero(window.input_mask.any(-1))
        near = len(seen) and np.abs(seen - self._center).min() <= self._settings.hold
        return bool(near and solvable(window.keypoints[None], window.input_mask[None]).all())

    def _next(
        self, person: int, found: Completion | None, raw: Track, passed: int
    ) -> Completion:
        """The frame that is due, of a completed window or, where there is none, of the ``raw`` one;
        of what was delivered last, a part is carried on."""
        center = self._center
        if found is None or not np.isfinite(found.keypoints[center]).all():
            self._last[person] = None
            return Completion.of(raw)
        due = found[center : center + 1]
        self._wrong[person, -1 - self._delay] |= (due.trust[0] < REJECT) & raw.seen[0]
        lag = passed * self._rate.step
        if self._last[person] is not None and lag <= center:
            # Where the last frame lies between two frames of the window, in between.
            before = center - int(np.ceil(lag))
            way = found.keypoints[before] - due.keypoints[0]
            earlier = due.keypoints[0] + lag / (center - before) * way
            moved = self._settings.memory**lag * (self._last[person] - earlier)
            free = due.provenance != Provenance.OBSERVED
            due.keypoints[free] += np.nan_to_num(moved)[None][free]
        self._last[person] = due.keypoints[0].copy()
        return due

    def _deliver(self, person: int, here: slice, completion: Completion):
        """On the skeleton that is asked for."""
        dense = PoseSequence(
            self._keypoints[person, here], self._scores[person, here], skeleton=self._source.name
        )
        done = deliver(dense, completion, self._completer.skeleton, self._target)
        return done.keypoints[0], done.scores[0], done.provenance[0]


def _layout(rate: Rate, frames: int, delay: int) -> tuple[np.ndarray, int]:
    """Frames of the video in a window: how long ago each was; and which of them is due.

    Returns:
      (F,) ages in frames of the video, -1 where the window has no frame; and the place of the one
      that is ``delay`` old.

    Raises:
      InputError: it would not be in the newer half of the window.
    """
    after = delay * rate.spread // rate.phases
    most = ((frames // 2 + 1) * rate.phases - 1) // rate.spread
    if not 0 <= delay <= most:
        raise InputError(f"delay must be from 0 to {most} frames at this rate, not {delay}")
    center = frames - 1 - after
    steps = center - np.arange(frames)  # of the model, before the frame that is due
    ages = np.where(steps % rate.spread == 0, delay + steps * rate.phases // rate.spread, -1)
    return ages, center
