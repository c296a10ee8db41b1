"""Completing the people of a file: the same for one file alone and for many in a batch."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from posegan_jax import formats
from posegan_jax.geometry.moved import Moved
from posegan_jax.inpainting.completer import Completer, NothingToStartFrom
from posegan_jax.inpainting.identity import settle
from posegan_jax.inpainting.settings import FillOptions
from posegan_jax.inpainting.together import Steps, together
from posegan_jax.pose.continuity import Stretches
from posegan_jax.pose.exchange import Exchange, find_exchanges
from posegan_jax.pose.people import Moves
from posegan_jax.pose.rate import limits
from posegan_jax.pose.sequence import PoseFile, PoseSequence, Provenance

_NAMED = 5  # people or frames that a line names


class Person(NamedTuple):
    """A person who was to be completed.

    Attributes:
      sequence: the result.
      left: whether the model found nothing to start from, so that it is as it was.
      stretches: what was completed as a whole, and the gaps between.
      moved: what became of the joints that the detector was sure of.
    """

    sequence: PoseSequence
    left: bool
    stretches: Stretches
    moved: Moved


@dataclasses.dataclass(frozen=True)
class Filled:
    """A file whose people were to be completed.

    Attributes:
      file: with the results.
      left: people in whom the model found nothing to start from.
      bridged: frames in which nothing of a person was seen, and that were filled.
      gaps: gaps that were not.
      confident: joints that the detector was sure of, see ``Moved``.
      moved: how many of these were moved by more than half a head.
      sides: frames in which left and right were exchanged, of all people.
    """

    file: PoseFile
    left: int
    bridged: int = 0
    gaps: int = 0
    confident: int = 0
    moved: int = 0
    sides: int = 0

    @classmethod
    def of(cls, file: PoseFile, people: Sequence[Person]) -> "Filled":
        """Of what was read, and all its people in their order."""
        done = [person for person in people if not person.left]
        return cls(
            file.replace([person.sequence for person in people]),
            sum(person.left for person in people),
            sum(person.stretches.bridged for person in done),
            sum(person.stretches.gaps for person in people),
            sum(person.moved.confident for person in people),
            sum(len(person.moved) for person in people),
            sum(len(person.sequence.sides) for person in done),
        )

    @property
    def frames(self) -> int:
        """Of all people together."""
        return sum(map(len, self.file))


def prepare(file: PoseFile, completer: Completer, how: FillOptions) -> Steps[PoseFile]:
    """A file as its people are completed, with notes of what was found in them.

    What was exchanged between people is put right where that is clear; jumps in size and place,
    and rates at which not everything can be known, are told.
    """
    notes: list[str] = []
    moves: Moves = {}
    known = {str(sequence.person) for sequence in file}
    if len(known) == len(file) > 1:
        if how.repair_ids:
            moves, exchanges = yield from settle(file, completer)
        else:
            _, exchanges = find_exchanges(file)
            exchanges = [dataclasses.replace(e, clear=False) for e in exchanges]
        notes += _exchanged(exchanges)
    file = formats.relabelled(file, moves, notes)
    jumps = [(s.person, n) for s in file if (n := Stretches.of(s, how.bridge).jumps)]
    notes = list(dict.fromkeys(filter(None, (limits(s.fps) for s in file))))
    if jumps:
        notes.append(
            f"{_listed('person', 'people', [person for person, _ in jumps])} "
            f"cannot have gone on as the track does ({sum(n for _, n in jumps)} jumps to double or "
            "half the size, or by more than a body's height): completed in parts (--ignore-ids "
            "tells people apart by their poses)"
        )
    return dataclasses.replace(file, notes=(*file.notes, *notes))


def _exchanged(exchanges: Sequence[Exchange]) -> list[str]:
    """A line about exchanges that are put right, and one about those that are not; each once more
    for ids that flip back and forth."""
    lines = []
    for clear, (were, what) in (
        (True, ("were", "put right")),
        (False, ("may have been", "left as they are, as it is not clear")),
    ):
        some = [exchange for exchange in exchanges if exchange.clear == clear]
        for part in ([e for e in some if e.last is None], [e for e in some if e.last is not None]):
            if not part:
                continue
            people = list(dict.fromkeys(person for e in part for person in e.people))
            if part[0].last is None:
                when, often = f"from {_listed('frame', 'frames', [e.frame for e in part])} on", ""
            else:
                spans = [f"{e.frame} to {e.last}" for e in part]
                when, often = f"in {_listed('frames', 'frames', spans)}", " again and again"
            lines.append(
                f"{when}, {_listed('person', 'people', people)} {were} exchanged{often}: {what} "
                "(if ids are places in a list, --ignore-ids follows people by their poses)"
            )
    return lines


def _listed(one: str, many: str, items: Sequence[Any]) -> str:
    """'frames 1, 2 and 3', and no more than a few of them."""
    names = [str(item) for item in items]
    if len(names) > _NAMED:
        return f"{many} {', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
    start, last = names[:-1], names[-1]
    return f"{many} {', '.join(start)} and {last}" if start else f"{one} {last}"


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
        stretches = Stretches.of(sequence, how.bridge)
        left = False
        try:
            done = yield from completer.steps(
                sequence, how.joints, how.settings, how.observed, how.repair_sides, how.bridge
            )
        except NothingToStartFrom:
            done, left = sequence, True
        return Person(done, left, stretches, Moved.of(sequence, done))

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
