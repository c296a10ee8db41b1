"""Completing the people of a file: the same for one file alone and for many in a batch."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from posegan_jax.inpainting.completer import Completer, NothingToStartFrom
from posegan_jax.inpainting.settings import FillOptions
from posegan_jax.inpainting.together import Steps, together
from posegan_jax.pose.sequence import PoseFile, PoseSequence, Provenance


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
    people: Sequence[PoseSequence], completer: Completer, how: FillOptions
) -> Steps[list[Person]]:
    """Completes people at the same time.

    Args:
      people: of a file.
      completer: of each of them.
      how: alike for all.

    Raises:
      InputError: as ``Completer.steps`` of a person, but that there is nothing to start from.
    """

    def person(sequence: PoseSequence) -> Steps[Person]:
        try:
            done = yield from completer.steps(
                sequence, how.joints, how.settings, how.observed, how.repair_sides
            )
            return Person(done, left=False)
        except NothingToStartFrom:
            return Person(sequence, left=True)

    done = yield from together({i: person(sequence) for i, sequence in enumerate(people)})
    return [done[i] for i in range(len(people))]


def is_rate_assumed(file: PoseFile) -> bool:
    """Whether the frame rate is not known of everyone in a file."""
    return any(sequence.fps is None for sequence in file)


def count_joints(people: Iterable[PoseSequence]) -> dict[str, int]:
    """How many joints have each provenance, by its name in lower case, in all frames together."""
    counts = np.zeros(len(Provenance), int)
    for sequence in people:
        counts += np.bincount(sequence.provenance.ravel(), minlength=len(Provenance))
    return {kind.name.lower(): int(counts[kind]) for kind in Provenance}
