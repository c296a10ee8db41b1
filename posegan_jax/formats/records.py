"""Files of one record per person and frame: what all such formats have in common.

A format parses its file into a list of ``Record`` and calls ``read``, which decides who is who and
which joints are missing. On writing it calls ``edits``, which says which numbers of which records
differ from what was read and what is new, and puts these into a copy of the file's content.
Whatever has not changed is then written back as it was: records, keys, numbers.
"""

import bisect
import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats import decimals, jsonfile, picture
from posegan_jax.formats.decimals import Decimals
from posegan_jax.formats.format import OfDetectors
from posegan_jax.formats.jsonfile import LONGEST
from posegan_jax.pose.carry import carry_joints
from posegan_jax.pose.sequence import PoseFile, PoseSequence, Provenance, completed
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.pose.tracking import by_frame, counted, detections, similarity, track

SKELETONS = {
    17: "coco17", 18: "coco18", 25: "body25", 26: "halpe26", 28: "mpi_inf_3dhp",
    33: "mediapipe33", 133: "coco133", 136: "halpe136",
}
"""Number of joints -> skeleton, where a file does not say. The 28 are what upsampling gives."""

ABSURD = 1e6
"""No picture is this large, in pixels, and no room in millimetres: joints beyond are missing."""

DOUBLE = 0.95
"""Two poses in one frame that are more alike than this are one person, detected twice. Two people
who pass each other come up to 0.9."""

SHARED = 0.1
"""A tracker gives an id to one person of a frame. If an id has several in more than this share of
its frames it is none: without tracking, AlphaPose writes 0 for everybody."""

CROWD = 500
"""Without ids, this many people of a frame, the best, are told apart: no file may take forever."""

DIGITS = 4
"""Decimals of boxes in pixels that are written."""

PROVENANCE = "posegan_provenance"
"""Key of ours in someone's object: a number of ``Provenance`` for every joint. Objects without it
hold what was observed; other programs pass over it."""

IDS = ("idx", "track_id", "person_id")
"""Keys of someone's object that hold an id, each in some format."""

_KINDS = {int(kind) for kind in Provenance}


class Record(NamedTuple):
    """One person in one frame, as the file has it.

    Attributes:
      frame: number of the frame.
      person: id in the file, None if there is none.
      joints: K times x, y, score in one list; pixels.
      score: of the whole record, NaN if there is none; of two for one person the better counts.
      provenance: what the object has under PROVENANCE, None if nothing.
    """

    frame: int
    person: int | float | str | None
    joints: list[float]
    score: float
    provenance: Any = None


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A file as it was read.

    Attributes:
      content: what the format needs to write it again.
      values: (N, K, 3) x, y, score of every record, exactly as read but for the scale.
      frames: frame number of every record.
      rows: (person, frame) -> index of the record that a sequence's row came from.
      skeleton: name, None for a file without records.
      min_score: threshold under which joints were read as missing.
      provenance: (N, K) of ``Provenance``, as if no joint were missing.
      scale: pixels of 1 in the file, along x and y: the picture's size where it holds shares.
      has_ids: whether the people are those of the file's ids.
      renamed: index of a record -> its id and the one that it gets, see ``relabelled``.
    """

    content: Any
    values: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 0, 3)))
    frames: Sequence[int] = ()
    rows: Mapping[tuple[Any, int], int] = dataclasses.field(default_factory=dict)
    skeleton: str | None = None
    min_score: float = 0.0
    provenance: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    scale: tuple[float, float] = (1.0, 1.0)
    has_ids: bool = False
    renamed: Mapping[int, tuple[Any, Any]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class Joints:
    """Joints to write.

    Attributes:
      values: (K, 3) x, y, score in the file's units; zeros where a joint is missing.
      changed: (K, 3) bool, which of these differ from what was read; None where the whole list is
        new or has another skeleton.
      provenance: (K,) of ``Provenance``. Unknown says nothing: the joint is missing or as read.
    """

    values: np.ndarray
    changed: np.ndarray | None
    provenance: np.ndarray


class New(NamedTuple):
    """A record that the file lacks: someone in a frame.

    Attributes:
      frame: number of the frame.
      person: id of the sequence, None if it has none.
      joints: all of them.
      score: mean score of the joints that are there.
      example: index of the first record that is the same person's in the file, None if there is
        none.
    """

    frame: int
    person: Any
    joints: Joints
    score: float
    example: int | None


@dataclasses.dataclass(frozen=True)
class Edits:
    """What to write.

    Attributes:
      skeleton: name, None where there is neither record nor sequence.
      updated: index of a record -> its joints; records that stay as they are have none.
      added: new records by frame.
      renamed: index of a record -> its id and its new one.
    """

    skeleton: str | None
    updated: dict[int, Joints]
    added: dict[int, list[New]]
    renamed: Mapping[int, tuple[Any, Any]] = dataclasses.field(default_factory=dict)


# --- reading --------------------------------------------------------------------------------------


def read(
    path: Path, content: Any, records: Sequence[Record], min_score: float,
    skeletons: Mapping[int, str] = SKELETONS, notes: Sequence[str] = (),
    image_size: tuple[float, float] | None = None, found_size: tuple[float, float] | None = None,
    assumed: bool = False, unused: Sequence[str] = (),
) -> PoseFile:
    """Makes the people of a file from its records, each a PoseSequence of the frames with them.

    Args:
      path: of the file.
      content: what the format needs to write the file again.
      records: every person in every frame, in the order of the file.
      min_score: joints with a lower score, and joints at (0, 0), are missing.
      skeletons: number of joints -> skeleton.
      notes: what else the user should know.
      image_size: (width, height) of the picture as the user says it, for shares of it.
      found_size: the same as the file says it.
      assumed: whether shares of a picture of unknown size are common in this format, so that one
        is assumed.
      unused: what of the file is of no use here, as notes.

    Raises:
      InputError: records of different or unknown numbers of joints, or not one usable joint.
    """
    if not records:
        return PoseFile((), source=Source(content), notes=(*notes, "no detections"))
    skeleton = _by_count(records, skeletons, path)
    values = np.array([record.joints for record in records], np.float64)
    values = values.reshape(len(records), -1, 3)
    size, note_size = picture.pixels_of(values[..., :2], image_size, found_size, assumed)
    scale = size or (1.0, 1.0)
    with np.errstate(over="ignore"):  # what is no place anyway
        values = values * np.array([*scale, 1.0])
    provenance, note_source = _provenance(records, values.shape[1])
    if not np.isfinite(_present(values, min_score, completed(provenance))[0]).any():
        raise InputError(
            f"{path}: not one joint has coordinates and a score of at least {min_score:g}; "
            "give a lower --min-score, or another file"
        )
    problem = _ids_problem(records)
    people, doubles, note_tracked = _people(records, values, problem)
    rows, note_kept = _rows(records, people, doubles, values)
    frames = [record.frame for record in records]
    sequences = [
        _sequence(person, skeleton, items, values, provenance, min_score)
        for person, items in _by_person(rows).items()
    ]
    return PoseFile(
        tuple(sequences),
        source=Source(
            content, values, frames, rows, skeleton, min_score, provenance, scale, problem is None
        ),
        notes=(*notes, *note_size, *note_tracked, *note_kept, *note_source, *unused),
        shares_of=size,
    )


def _by_count(records: Sequence[Record], skeletons: Mapping[int, str], path: Path) -> str:
    """The skeleton with as many joints as the records have. Raises InputError if there is none."""
    counts = Counter(len(record.joints) // 3 for record in records)
    count = max(counts, key=counts.get)
    if len(counts) > 1:
        odd = next(record for record in records if len(record.joints) // 3 != count)
        raise InputError(
            f"{path}: frame {odd.frame} has someone with {len(odd.joints) // 3} joints where "
            f"others have {count}; a file holds one kind, so split it"
        )
    if count not in skeletons:
        raise InputError(
            f"{path}: no known skeleton has {count} joints; known: {list(skeletons)}; "
            "name the joints with --joint-map"
        )
    return skeletons[count]


def person_of(item: dict, key: str) -> int | float | str | None:
    """An id as files have it: 3, 3.0, [3.0], [[3.0], [3.0]] or a name; the first counts.

    Raises:
      InputError: it is none of these.
    """
    person = value = item.get(key)
    while isinstance(person, list):
        person = person[0] if person else None
    if person is None or isinstance(person, str):
        return person
    if not (jsonfile.is_number(person) and abs(person) < 1e300):
        raise InputError(f"{key} must be a number or a name, not {value!r}")
    return int(person) if isinstance(person, float) and person.is_integer() else person


def _provenance(records: Sequence[Record], joints: int) -> tuple[np.ndarray, list[str]]:
    """(N, K) provenance of every joint as the file says it; a note of what does not fit."""
    result, useless = np.full((len(records), joints), Provenance.OBSERVED, np.uint8), 0
    for row, record in zip(result, records, strict=True):
        if _is_provenance(record.provenance, joints):
            row[:] = record.provenance
        else:
            useless += record.provenance is not None
    note = f"{useless} objects have a {PROVENANCE} that does not fit: taken as observed"
    return result, [note] if useless else []


def _is_provenance(kinds: Any, joints: int) -> bool:
    return isinstance(kinds, list) and len(kinds) == joints and all(
        type(kind) is int and kind in _KINDS for kind in kinds
    )


def _people(
    records: Sequence[Record], values: np.ndarray, problem: str | None
) -> tuple[list, int, list[str]]:
    """Person of every record: its id, or by tracking where there is a problem with the ids.

    Returns:
      people: None for a record that is nobody's, as it has no joint or is another one's double.
      doubles: number of these.
      notes: that people were tracked, and not all of a crowd.
    """
    people = [record.person for record in records]
    if problem is None:
        return people, 0, []
    keypoints, scores = _present(values, 0.0)
    seen = np.flatnonzero(np.isfinite(keypoints[..., 0]).any(-1))
    frames = np.array([record.frame for record in records], np.int64)
    single, surplus = _single(records, frames, seen, keypoints, scores)
    ids = track(frames[single], keypoints[single], scores[single]).tolist()
    people = [None] * len(records)
    for i, person in zip(single.tolist(), ids, strict=True):
        people[i] = person
    notes = [f"{problem}: tracked {counted(len(set(ids)))} by pose similarity"]
    if surplus:
        notes.append(f"{surplus} people beyond the best {CROWD} of a frame are kept as they are")
    return people, len(seen) - len(single) - surplus, notes


def _ids_problem(records: Sequence[Record]) -> str | None:
    """Why the ids of a file say nothing, None if they do."""
    people = [record.person for record in records]
    if None in people:
        known = len(people) - people.count(None)
        some = f"{known} of {len(people)} detections have ids, the others none, so ids do not count"
        return some if known else "no ids in the file"
    seen = Counter((record.person, record.frame) for record in records)
    frames = Counter(person for person, _ in seen)
    crowded = Counter(person for (person, _), count in seen.items() if count > 1)
    if any(count > SHARED * frames[person] for person, count in crowded.items()):
        return "one id for several people of a frame, so ids do not count"
    return None


def _single(records, frames, seen, keypoints, scores) -> tuple[np.ndarray, int]:
    """Those records of ``seen`` that are not nearly the same as a better one of their frame.

    Returns:
      Their indices, in order, and how many were left out before, as a frame has too many.
    """
    quality = np.array([_quality(records[i]) for i in seen.tolist()])
    order = seen[np.argsort(-quality, kind="stable")]
    found = detections(keypoints[order], scores[order])
    kept, surplus = [order[:0]], 0
    for here in by_frame(frames[order]):
        here, left = here[:CROWD], here[CROWD:]
        single = np.ones(len(here), bool)
        alike = similarity(found, here, here, DOUBLE) > 0 if len(here) > 1 else ()
        for i, row in enumerate(alike):
            if single[i]:
                single[i + 1 :] &= ~row[i + 1 :]
        kept.append(order[here[single]])
        surplus += len(left)
    return np.sort(np.concatenate(kept)), surplus


def _rows(records, people, doubles, values) -> tuple[dict[tuple[Any, int], int], list[str]]:
    """(person, frame) -> record, and a note of what none of the sequences holds."""
    rows: dict[tuple[Any, int], int] = {}
    for i, (person, record) in enumerate(zip(people, records, strict=True)):
        if person is None:
            continue
        key = (person, record.frame)
        doubles += key in rows
        if key not in rows or _quality(record) > _quality(records[rows[key]]):
            rows[key] = i
    impossible = ~np.isfinite(values) | (np.abs(values) > ABSURD)
    strange = int(impossible.any(-1).sum())
    parts = [
        f"{count} {what}"
        for count, what in (
            (doubles, "second detections of a person in one frame"),
            (strange, "joints with impossible numbers"),
        )
        if count
    ]
    return rows, [f"{' and '.join(parts)} are kept as they are"] if parts else []


def _quality(record: Record) -> float:
    return record.score if np.isfinite(record.score) else float(np.nansum(record.joints[2::3]))


def _by_person(rows: Mapping) -> dict[Any, list[tuple[int, int]]]:
    """person -> (frame, record) in order of time; people in order of first appearance."""
    found = defaultdict(list)
    for (person, frame), index in rows.items():
        found[person].append((frame, index))
    return {person: sorted(items) for person, items in found.items()}


def _sequence(person, skeleton, items, values, provenance, min_score) -> PoseSequence:
    frames, index = np.array(items).T
    keypoints, scores = _present(values[index], min_score, completed(provenance[index]))
    return PoseSequence(keypoints, scores, None, skeleton, frames, person, provenance[index])


def _present(
    values: np.ndarray, min_score: float, done: np.ndarray | bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """(..., K, 3) as in the file -> keypoints with NaN where missing, scores with 0 there.

    ``done`` (..., K) are joints that we completed.
    """
    keypoints, scores = values[..., :2].copy(), values[..., 2].copy()
    low = scores < min_score
    if isinstance(min_score, OfDetectors):
        low &= ~np.asarray(done)
    missing = low | (keypoints == 0).all(-1) | (scores == 0) & ~np.asarray(done)
    missing |= ~(np.abs(values) <= ABSURD).all(-1)  # NaN is not
    keypoints[missing], scores[missing] = np.nan, 0.0
    return keypoints, scores


def relabelled(source: Source, moves: Mapping[tuple[Any, int], Any]) -> Source:
    """The same file with other people in some records: (person, frame) as read -> who it is.

    Where the people are those of the file's ids, the records get the new ones.
    """
    kept = {key: index for key, index in source.rows.items() if key not in moves}
    moved = {
        (person, frame): source.rows[old, frame]
        for (old, frame), person in moves.items() if (old, frame) in source.rows
    }
    renamed = {
        source.rows[key]: (key[0], person) for key, person in moves.items() if key in source.rows
    }
    return dataclasses.replace(
        source, rows=kept | moved, renamed=renamed if source.has_ids else {}
    )


# --- writing --------------------------------------------------------------------------------------


def edits(
    file: PoseFile, source: Source, path: Path, skeletons: Collection[str] = SKELETONS.values(),
    digits: Decimals | None = None,
) -> Edits:
    """What differs between a file's sequences and what was read.

    A file has one skeleton. Sequences with another one than the source's replace whole lists of
    joints; all other records then follow and keep the joints that both skeletons have.

    Args:
      file: the sequences to write.
      source: what was read.
      path: of the file to write.
      skeletons: names of those that the format has a place for, beside the source's own.
      digits: decimals of what is written; by default those of the file.

    Raises:
      InputError: skeletons that would be read as another, or more than one.
    """
    skeleton = _skeleton(file, source, path, skeletons)
    digits = digits or _decimals(file, source)
    first: dict[Any, int] = {}
    for (person, _), index in source.rows.items():
        if index not in source.renamed:
            first.setdefault(person, index)
    changed: dict[int, Joints] = {}
    added: dict[int, list[New]] = defaultdict(list)

    def written(joints: Joints, old: str, digits: Decimals | None = digits) -> Joints:
        return _carried(_in_file(joints, source, digits), old, skeleton)

    for sequence in file:
        for t, frame in enumerate(sequence.frames.tolist()):
            index = source.rows.get((sequence.person, frame))
            if index is not None:
                joints = _updated(source, index, sequence, t)
                if joints is not None:
                    changed[index] = written(joints, sequence.skeleton)
            elif sequence.observed[t].any():
                joints = written(_new(sequence, t), sequence.skeleton)
                score = float(sequence.scores[t, sequence.observed[t]].mean())
                added[frame].append(
                    New(frame, sequence.person, joints, round(score, digits.scores),
                        first.get(sequence.person))
                )
    if skeleton != source.skeleton:
        for index in set(range(len(source.frames))) - set(changed):
            kept = Joints(source.values[index], None, source.provenance[index])
            changed[index] = written(kept, source.skeleton, None)
    return Edits(skeleton, changed, added, source.renamed)


def merge(old: Sequence, frames: Sequence[int], added: Mapping[int, list]) -> list:
    """Puts every new item after the last old one of its frame, or of the nearest frame before."""
    last = {frame: i for i, frame in enumerate(frames)}
    known = sorted(last)
    after: dict[int, list] = defaultdict(list)
    for frame in sorted(added):
        at = bisect.bisect_right(known, frame)
        after[last[known[at - 1]] if at else -1] += added[frame]
    result = after[-1]
    for i, item in enumerate(old):
        result += [item, *after[i]]
    return result


def updated(
    groups: Iterable[Iterable[Any]], edits: Edits, put: Callable[[Any, Joints], Any],
    holds: Callable[[Any], Any] = lambda item: True,
) -> list[list[Any]]:
    """The objects of a file, frame by frame, with the joints that differ.

    Args:
      groups: the objects that were read, in the order of the records.
      edits: what differs.
      put: an object and its new joints -> the object that holds them.
      holds: whether an object had joints and so became a record.
    """
    index, result = 0, []
    for group in groups:
        items = list(group)
        for i, item in enumerate(items):
            if holds(item):
                if index in edits.updated:
                    joints = edits.updated[index]
                    items[i] = stamped(put(item, joints), joints)
                if index in edits.renamed:
                    items[i] = _renamed(items[i], *edits.renamed[index])
                index += 1
        result.append(items)
    return result


def _renamed(item: Any, old: Any, new: Any) -> Any:
    """Someone's object with another id, in as many lists as the old one, whatever its key is."""

    def put(value: Any) -> Any:
        if isinstance(value, list):
            return [put(value[0]), *value[1:]]
        return float(new) if isinstance(value, float) and isinstance(new, int) else new

    keys = [key for key in IDS if isinstance(item, dict) and key in item]
    return item | {key: put(item[key]) for key in keys if person_of(item, key) == old}


def added(edits: Edits, make: Callable[[New], Any]) -> dict[int, list]:
    """The new objects of a file by frame, each made of what is new."""
    return {
        frame: [stamped(make(new), new.joints) for new in news]
        for frame, news in edits.added.items()
    }


def stamped(item: Any, joints: Joints) -> Any:
    """Someone's object with where the joints come from; as it is in formats without objects."""
    if not isinstance(item, dict):
        return item
    said = item.get(PROVENANCE)
    if not _is_provenance(said, len(joints.values)):
        item = {key: value for key, value in item.items() if key != PROVENANCE}
        said = np.full(len(joints.values), Provenance.OBSERVED)
    return item | {PROVENANCE: joints.provenance.tolist()} if _tells(joints, said) else item


def _tells(joints: Joints, said: Sequence[int] | np.ndarray) -> bool:
    """Whether the provenance of joints is another one than is said."""
    kinds = joints.provenance
    return bool(((kinds != said) & (kinds != Provenance.UNKNOWN)).any())


def by_place(groups: Sequence[list], added: Mapping[int, list], path: Path) -> list[list]:
    """A list of frames, each a list of objects, whose number is their place.

    Raises:
      InputError: a frame that has no place, because it is negative or far too late.
    """
    first, last = min(added, default=0), max(added, default=-1)
    if first < 0 or last > LONGEST:
        raise InputError(
            f"{path}: frames {first} to {last}, but a list of frames has places 0 to {LONGEST}"
        )
    result = [list(group) for group in groups]
    result += [[] for _ in range(len(groups), last + 1)]
    for frame, items in added.items():
        result[frame] += items
    return result


def flat(joints: Joints, old: Sequence[Any] = ()) -> list:
    """x, y, score of every joint in one list, with the old list's own numbers where they stay."""
    if joints.changed is None:
        return joints.values.ravel().tolist()
    values = list(old)
    for i in np.flatnonzero(joints.changed).tolist():
        values[i] = joints.values.flat[i].item()
    return values


def _skeleton(
    file: PoseFile, source: Source, path: Path, skeletons: Collection[str]
) -> str | None:
    """The skeleton to write: the source's, or the one that sequences have instead."""
    names = sorted({sequence.skeleton for sequence in file} - {source.skeleton})
    for name in names:
        if name not in skeletons:
            raise InputError(
                f"{path}: {file.format} files hold {', '.join(skeletons)}, not {name}; "
                "choose one with --joints, or use .npz"
            )
    if len(names) > 1:
        raise InputError(
            f"{path}: a file holds one skeleton, not {' and '.join(names)}; "
            "choose one with --joints, or use .npz"
        )
    return names[0] if names else source.skeleton


def _updated(source: Source, index: int, sequence: PoseSequence, t: int) -> Joints | None:
    """A record with a row's numbers where they differ from what was read; None if none do."""
    if sequence.skeleton != source.skeleton:
        return _new(sequence, t)
    new, old = _flat(sequence, t), source.values[index]
    keypoints, scores = _present(old, source.min_score, completed(source.provenance[index]))
    moved = sequence.keypoints[t] != keypoints
    moved &= ~(np.isnan(sequence.keypoints[t]) & np.isnan(keypoints))
    changed = np.column_stack([moved, sequence.scores[t] != scores])
    # The numbers of a missing joint are no joint's: none of them may stay once it is filled.
    changed |= (sequence.observed[t] != np.isfinite(keypoints[:, 0]))[:, None]
    joints = Joints(np.where(changed, new, old), changed, sequence.provenance[t])
    return joints if changed.any() or _tells(joints, source.provenance[index]) else None


def _new(sequence: PoseSequence, t: int) -> Joints:
    """All joints of a row."""
    return Joints(_flat(sequence, t), None, sequence.provenance[t])


def _flat(sequence: PoseSequence, t: int) -> np.ndarray:
    """(K, 3) x, y, score of a row, zeros where a joint is missing."""
    return np.nan_to_num(np.column_stack([sequence.keypoints[t], sequence.scores[t]]))


def _decimals(file: PoseFile, source: Source) -> Decimals:
    """Decimals of what is written: those of the file that was read, else of what was observed."""
    units = np.array([*source.scale, 1.0])
    values = [source.values] if source.values.size else map(decimals.observed, file)
    return decimals.of([part / units for part in values])


def _in_file(joints: Joints, source: Source, digits: Decimals | None) -> Joints:
    """Pixels -> the file's units; what differs has so many decimals, all of it in a new list."""
    values = joints.values / np.array([*source.scale, 1.0])
    if digits is not None:
        new = True if joints.changed is None else joints.changed
        values = np.where(new, digits.rounded(values), values)
    return dataclasses.replace(joints, values=values)


def _carried(joints: Joints, old: str, new: str) -> Joints:
    """Joints on another skeleton: those of the same name keep their numbers."""
    if old == new:
        return joints
    skeletons = get_skeleton(old), get_skeleton(new)
    values = carry_joints(joints.values, *skeletons, 0.0, axis=0)
    provenance = carry_joints(joints.provenance, *skeletons, Provenance.UNKNOWN, axis=0)
    return Joints(values, None, provenance)
