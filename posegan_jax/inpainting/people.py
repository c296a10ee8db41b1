"""Completing the people of a file: the same for one file alone and for many in a batch."""

import dataclasses
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from posegan_jax.inpainting.completer import NothingToStartFrom, Request, Steps
from posegan_jax.pose.sequence import PoseFile, PoseSequence, Provenance

Answer = tuple[np.ndarray, np.ndarray]
"""Windows and losses, as ``solver.Solver`` returns them."""


class Person(NamedTuple):
    """A person who was to be completed.

    Attributes:
      sequence: the result.
      left: whether the model found nothing to start from, so that it is as it was.
    """

    sequence: PoseSequence
    left: bool


@dataclasses.dataclass(frozen=True)
class Filled:
    """A file whose people were to be completed.

    Attributes:
      file: with the results.
      left: people in whom the model found nothing to start from.
    """

    file: PoseFile
    left: int

    @classmethod
    def of(cls, file: PoseFile, people: Sequence[Person]) -> "Filled":
        """Of what was read, and all its people in their order."""
        return cls(
            file.replace([person.sequence for person in people]),
            sum(person.left for person in people),
        )

    @property
    def frames(self) -> int:
        """Of all people together."""
        return sum(map(len, self.file))


def complete(
    people: Sequence[PoseSequence], steps: Callable[[PoseSequence], Steps]
) -> Generator[Request, Answer, list[Person]]:
    """Completes people at the same time: a generator of what is to be solved on the way.

    Args:
      people: of a file.
      steps: begins to complete one of them, see ``completer.Completer.steps``.

    Raises:
      InputError: as ``steps`` does of a person, but that there is nothing to start from.
    """
    under_way = [steps(sequence) for sequence in people]
    done: dict[int, Person] = {}
    answers: dict[int, Answer | None] = dict.fromkeys(range(len(people)))
    while answers:
        requests = {}
        for i, answer in answers.items():
            try:
                requests[i] = under_way[i].send(answer)
            except StopIteration as end:
                done[i] = Person(end.value, left=False)
            except NothingToStartFrom:
                done[i] = Person(people[i], left=True)
        answers = yield from _ask(requests)
    return [done[i] for i in range(len(people))]


def _ask(requests: dict[int, Request]) -> Generator[Request, Answer, dict[int, Answer]]:
    """The answers to several requests: those of equal options are asked for as one."""
    answers = {}
    for options in dict.fromkeys(request.options for request in requests.values()):
        mine = {i: request for i, request in requests.items() if request.options == options}
        windows, loss = yield Request(
            np.concatenate([request.x for request in mine.values()]),
            np.concatenate([request.mask for request in mine.values()]),
            options, all(request.look for request in mine.values()),
        )
        seams = np.cumsum([len(request.x) for request in mine.values()])[:-1]
        parts = zip(np.split(windows, seams), np.split(loss, seams), strict=True)
        answers |= zip(mine, parts, strict=True)
    return answers


def is_rate_assumed(file: PoseFile) -> bool:
    """Whether the frame rate is not known of everyone in a file."""
    return any(sequence.fps is None for sequence in file)


def count_joints(people: Iterable[PoseSequence]) -> dict[str, int]:
    """How many joints have each provenance, by its name in lower case, in all frames together."""
    counts = np.zeros(len(Provenance), int)
    for sequence in people:
        counts += np.bincount(sequence.provenance.ravel(), minlength=len(Provenance))
    return {kind.name.lower(): int(counts[kind]) for kind in Provenance}
