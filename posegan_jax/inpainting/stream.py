"""Completing live tracks: a frame in, a frame out.

The encoder looks at the newest window alone, so that a frame takes one pass through the networks
whatever came before. What the generated motion leaves unexplained is carried as in ``residual``,
from the frames of that window. Two windows explain the same frame a little differently, which would
flicker: of what was delivered last, a part that decays is carried on.
"""

import math
from collections import deque
from numbers import Real
from typing import NamedTuple

import numpy as np

from posegan_jax.errors import InputError, whole
from posegan_jax.geometry.body import HEAD, body_size
from posegan_jax.inpainting.completer import QUALITIES, Completer, centered, solvable
from posegan_jax.inpainting.correct import blend, mix_windows
from posegan_jax.inpainting.explain import (
    BESIDE,
    REGRESSION,
    UPSAMPLED,
    Completion,
    Track,
    deliver,
    joint_confidence,
    openness,
)
from posegan_jax.inpainting.reliability import (
    REFINE_NOISE,
    REJECT,
    Observed,
    check_observed,
    confidence,
    noise_level,
    stray,
)
from posegan_jax.inpainting.residual import MARGIN, carry_within
from posegan_jax.inpainting.solver import Solver
from posegan_jax.model.corrector import certainty
from posegan_jax.pose.rate import UNKNOWN_FPS, Rate
from posegan_jax.pose.sequence import PoseSequence, Provenance, numbers
from posegan_jax.pose.skeleton import get_skeleton

HOLD = 12
"""Frames of the model for which a person is followed of whom nothing is observed. Joints are
then off by 0.6 head sizes on average, and 8 frames later by 1.5."""
MEMORY = 0.5
"""What is left, a frame of the model later, of the difference between what was delivered and what
the newest window says of the same frame. The acceleration error of filled joints falls by a tenth
to two fifths; more of it lets them drift."""
HISTORY = 75
"""Frames of the video from which scores and jitter are judged."""
SETTLED = 25
"""Frames after which jitter that cannot be measured is taken for none; before, for some."""


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
    """Completes tracks frame by frame; made by ``Inpainter.stream``, which see.

    Attributes:
      generated: (P, F, J, 2) the networks' answer to the newest windows, pixels.
    """

    def __init__(
        self, completer: Completer, solver: Solver, skeleton: str = "coco17",
        fps: float | None = None, joints: str = "same", people: int = 1,
        observed: Observed = "auto", delay: int = 0,
    ):
        check_observed(observed)
        if whole("people", people) < 1:
            raise InputError(f"people must be at least 1, not {people}")
        self._source = get_skeleton(skeleton)
        self._target = completer.target(skeleton, joints)
        self._completer, self._solver, self._observed = completer, solver, observed
        self._people, self._delay = people, whole("delay", delay)
        self._fps, self._rate = fps or UNKNOWN_FPS, Rate.of(fps)
        ages, self._center = _layout(self._rate, completer.frames, delay)
        self._length = max(HISTORY, int(ages.max()) + 1)
        self._there, self._rows = ages >= 0, self._length - 1 - np.maximum(ages, 0)
        self.reset()
        self._generate()  # compiles

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
            self._number, self._time = -1, None
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
        self._generate()
        frames = [self._complete(person, passed) for person in range(self._people)]
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

    def _track(self, person: int, frames: slice) -> Track:
        """Some of the frames that are kept, on the model's skeleton."""
        sequence = PoseSequence(
            self._keypoints[person, frames], self._scores[person, frames],
            skeleton=self._source.name,
        )
        return Track.from_sequence(sequence, self._completer.skeleton, self._completer.inputs)

    def _generate(self) -> None:
        """Sets ``generated`` from the newest windows of everyone."""
        everything = slice(0, self._length)
        self._tracks = [self._track(person, everything) for person in range(self._people)]
        seen = np.stack([track.input_mask for track in self._tracks])
        sure = np.stack([confidence(t.scores, t.seen) for t in self._tracks])
        weights = sure * seen
        x = np.stack([track.keypoints for track in self._tracks])
        if self._observed != "keep":
            self._wrong[:, -1] |= stray(x[:, -1])
            weights[self._wrong] = 0.0
        self._windows = np.where(self._there[:, None, None], x[:, self._rows], np.nan)
        self._weights = np.where(self._there[:, None], weights[:, self._rows], 0.0)
        self._sure = sure[:, self._rows]
        inside, center = centered(self._windows, self._weights)
        found, _ = self._solver(inside, self._weights, QUALITIES["fast"].descent)
        self.generated = found + center

    def _complete(self, person: int, passed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Keypoints, scores and provenance of the frame that is due."""
        center, completer = self._center, self._completer
        frame = self._length - 1 - self._delay
        seen = self._weights[person] > 0
        distance = np.abs(np.flatnonzero(seen.any(-1)) - center)
        here = slice(person, person + 1)
        known = solvable(self._windows[here], self._weights[here]).all()
        if not known or distance.min() > HOLD:
            self._last[person] = None
            return self._deliver(person, frame, None)
        poses, size, noise = self._expect(person)
        lag = passed * self._rate.step
        if lag > center:  # what was delivered last is out of sight
            lag, self._last[person] = center, None
        before = center - int(np.ceil(lag))
        context = slice(max(before - MARGIN, 0), min(center + MARGIN + 1, len(poses)))
        core = slice(before - context.start, center + 1 - context.start)
        difference = self._windows[person] - poses
        difference[self._wrong[person, self._rows]] = np.nan
        carried = carry_within(
            completer.residual, difference[context], size[context], noise[context], core
        )
        found = poses[before : center + 1] + carried.mean
        observed = np.isfinite(self._windows[person, center, :, 0])
        deviation = carried.deviation[-1]
        if completer.mixer:
            sure = np.isfinite(difference[..., 0])
            motion = np.where(sure[..., None], self._windows[person], poses)
            motion[before : center + 1] = found
            weight = sure * certainty(noise / size[:, None])
            mixed = mix_windows(completer.mixer, motion[None], weight[None], motion[None])[0]
            found = blend(motion, mixed, sure, 1.0)[before : center + 1]
        if completer.residual.inputs.any():
            linear = completer.residual.regress(found, size[before : center + 1])
            upsampled = ~completer.residual.inputs & ~observed
            share = BESIDE if completer.mixer else REGRESSION
            found[:, upsampled] += share * (linear - found)[:, upsampled]
            deviation[upsampled] *= UPSAMPLED
        deviation = np.hypot(deviation, openness(seen, len(seen))[center] * size[center])
        keep = observed & (noise[center] == 0)
        result = found[-1].copy()
        if self._last[person] is not None:
            # Where the last frame lies between two frames of the window, in between.
            earlier = found[-1] + lag / (len(found) - 1) * (found[0] - found[-1])
            result += MEMORY**lag * (self._last[person] - earlier)
        track = self._tracks[person]
        scores = joint_confidence(deviation[None], HEAD * size[center : center + 1])[0]
        result[keep], scores[keep] = track.keypoints[frame, keep], track.scores[frame, keep]
        self._last[person] = result
        self._wrong[person, frame] |= observed & (carried.trust[-1] < REJECT)
        provenance = np.where(observed, Provenance.REFINED, Provenance.FILLED)
        provenance[keep] = Provenance.OBSERVED
        return self._deliver(
            person, frame, Completion(result[None], scores[None], provenance[None])
        )

    def _expect(self, person: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Poses (F, J, 2), body size (F,) and the detector's noise (F, J) in the newest window."""
        generated, residual = self.generated[person], self._completer.residual
        size = body_size(generated)
        level = 0.0
        if self._observed != "keep" and self._rate.step <= 1:
            track = self._tracks[person]
            new = track.seen.any(-1).sum() < SETTLED
            level = noise_level(
                track.keypoints, np.full(self._length, size[self._center]),
                unknown=REFINE_NOISE if new else 0.0,
            )
        if self._observed == "refine":
            level = max(level, REFINE_NOISE)
        noise = level * size[:, None] / self._sure[person]
        return residual.expect(generated, size), size, noise

    def _deliver(self, person: int, frame: int, completion: Completion | None):
        """On the skeleton that is asked for; what was observed alone without a completion."""
        track = self._tracks[person]
        here = slice(frame, frame + 1)
        if completion is None:
            source = np.where(track.seen[here], Provenance.OBSERVED, Provenance.UNKNOWN)
            completion = Completion(track.keypoints[here], track.scores[here], source)
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
