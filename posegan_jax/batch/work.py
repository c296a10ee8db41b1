"""The host's work on a file: reading, all of completing but the search, writing."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from posegan_jax import formats
from posegan_jax.batch.manifest import Job
from posegan_jax.errors import InputError
from posegan_jax.inpainting.completer import Completer
from posegan_jax.inpainting.people import (
    Filled,
    Person,
    complete,
    count_joints,
    is_rate_assumed,
    prepare,
)
from posegan_jax.inpainting.settings import FillOptions
from posegan_jax.inpainting.together import Request, Steps
from posegan_jax.pose.sequence import PoseSequence

AT_ONCE = 20_000
"""Frames of a file's people that are completed at the same time, which bounds the memory."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Attributes:
      job: the file.
      error: why there is no output, one line; None where there is one.
      frames: of all its people together.
      people: in it.
      joints: how many of each provenance, by its name in lower case.
      left: people in whom the model found nothing to start from, left as they were.
      assumed: whether the frame rate was not known.
      bridged: frames in which nothing of a person was seen, and that were filled.
      moved: joints that the detector was sure of and that were moved by more than half a head.
      sides: frames in which left and right were exchanged, of all people.
      notes: what was decided on the way and the user should know, one line each.
    """

    job: Job
    error: str | None = None
    frames: int = 0
    people: int = 0
    joints: dict[str, int] = dataclasses.field(default_factory=dict)
    left: int = 0
    assumed: bool = False
    bridged: int = 0
    moved: int = 0
    sides: int = 0
    notes: tuple[str, ...] = ()


def died(job: Job, who: str) -> Outcome:
    """Of a file with which a worker or engine died, and then another one that had no other file."""
    return Outcome(job, f"{job.input}: its {who} died twice, then of this file alone "
                   "(out of memory?)")


def fill(
    job: Job, completer: Completer, options: FillOptions
) -> Steps[Outcome]:
    """Reads, completes and writes a file: a generator of what is to be solved on the way.

    Raises:
      InputError: as ``formats.read``, ``formats.write`` and ``Completer.steps``.
    """
    file = formats.read(
        job.input, fps=options.fps, min_score=options.min_score, joint_map=options.joint_map,
        image_size=options.image_size, vertical=options.vertical, ignore_ids=options.ignore_ids,
    )
    file = yield from prepare(file, completer, options)
    people: list[Person] = []
    for group in _groups(file):
        people += yield from complete(group, completer, options)
    filled = Filled.of(file, people)
    os.makedirs(Path(job.output).parent, exist_ok=True)
    formats.write(filled.file, job.output)
    return Outcome(
        job, None, filled.frames, len(people), count_joints(filled.file), filled.left,
        is_rate_assumed(file), filled.bridged, filled.moved, filled.sides, file.notes,
    )


def _groups(people: Sequence[PoseSequence]) -> Iterator[list[PoseSequence]]:
    """Neighbours in the file, up to a number of frames."""
    group, frames = [], 0
    for sequence in people:
        if group and frames + len(sequence) > AT_ONCE:
            yield group
            group, frames = [], 0
        group.append(sequence)
        frames += len(sequence)
    if group:
        yield group


class Bench:
    """Files that are being worked on, each known by a ticket.

    Args:
      completer: completes their people.
      options: how.
    """

    def __init__(self, completer: Completer, options: FillOptions):
        self._completer, self._options = completer, options
        self._files: dict[int, tuple[Job, Steps[Outcome]]] = {}

    def begin(self, ticket: int, job: Job) -> Request | Outcome:
        """Takes up a file: what is to be solved first, or its outcome."""
        self._files[ticket] = job, fill(job, self._completer, self._options)
        return self._step(ticket, None)

    def go_on(self, ticket: int, windows: np.ndarray, loss: np.ndarray) -> Request | Outcome:
        """Goes on with a file, given what it asked for: what is to be solved next, or its outcome.
        """
        return self._step(ticket, (windows.astype(np.float64), loss))

    def _step(self, ticket: int, answer) -> Request | Outcome:
        job, steps = self._files[ticket]
        try:
            request = steps.send(answer)
        except StopIteration as end:
            outcome = end.value
        except InputError as error:
            outcome = Outcome(job, str(error))
        except Exception as error:  # whatever is wrong with this file, the others go on
            outcome = Outcome(job, f"{job.input}: {type(error).__name__}: {error}")
        else:
            # The devices compute in single precision.
            x, mask = request.x.astype(np.float32), request.mask.astype(np.float32)
            return request._replace(x=x, mask=mask)
        del self._files[ticket]
        return outcome
