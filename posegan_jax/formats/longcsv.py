"""Our own table: a row per frame, person and joint, every number exact.

The header is ``frame,person,joint,x,y,score,provenance,fps``. ``person`` is blank for a track
without id; a joint that is missing has blank numbers. ``provenance`` is observed, refined, filled
or unknown; ``fps`` is blank where it is not known. On reading, ``frame``, ``joint``, ``x`` and
``y`` must be there, in any order; others may be left out. Other programs' tables with a row per
joint are read, too: their columns have other names (``Frame``, ``landmark``, ``visibility``),
joints may be numbers, and places shares of the picture, see ``picture``. They are written as ours.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats import picture, table
from posegan_jax.formats.format import Format
from posegan_jax.formats.joint_names import one_line, resolve
from posegan_jax.formats.table import Tally
from posegan_jax.pose.sequence import PoseFile, PoseSequence, Provenance
from posegan_jax.pose.skeleton import get_skeleton

_HEADER = ("frame", "person", "joint", "x", "y", "score", "provenance", "fps")
_NEEDED = ("frame", "joint", "x", "y")
_OTHERS = {
    "frame": table.FRAMES,
    "person": table.PEOPLE,
    "joint": (
        "jointname", "landmarkname", "keypointname", "landmark", "keypoint", "node", "bodypart",
        "bodypartname", "name", "jointid", "landmarkid", "landmarkindex", "keypointid",
        "keypointindex",
    ),
    "score": table.SCORES,
}
"""What other programs call the columns, see ``table.column``."""

_PROVENANCE = {kind.name.lower(): int(kind) for kind in Provenance}


def sniff(path: Path) -> bool:
    """Whether the first line has the columns frame, joint, x and y."""
    return set(_NEEDED) <= set(_columns(table.first_cells(path)))


def read(
    path: Path, min_score: float | None = None, names: Mapping[str, str] | None = None,
    image_size: tuple[float, float] | None = None,
) -> PoseFile:
    """Reads the people of a file. A frame belongs to a person when any row of theirs has it.

    Args:
      path: the file.
      min_score: joints with a lower score, and those at (0, 0), are missing; by default none in
        our own tables.
      names: {file's name: our name} of joints, before the rule of ``joint_names``.
      image_size: (width, height) in pixels, for normalised coordinates of other programs.

    Raises:
      InputError: a column is missing, a row is cut off, or no row is of use.
    """
    (header, *rows), _ = table.load_csv(path)
    at = _columns(header)
    lacking = [name for name in _NEEDED if name not in at]
    if lacking:
        raise InputError(f"{path}: no column {', '.join(lacking)}")
    column = {name: [row[i] for row in rows] for name, i in at.items()}
    tally = Tally()
    frames = table.near_frames([table.whole(cell) for cell in column["frame"]], tally)
    if not any(frame is not None for frame in frames):
        raise InputError(f"{path}: nothing to use: no row has a frame number; is the file cut off?")
    extra = [cell.strip() for i, cell in enumerate(header) if i not in at.values()]
    values = np.array([[table.number(cell) for cell in column[n]] for n in "xy"]).T.reshape(-1, 2)
    scale = (1.0, 1.0)
    notes = [f"columns that are not kept: {one_line(extra)}"] if extra else []
    if any(header[i].strip() != name for name, i in at.items()):  # not ours, which holds pixels
        scale, more = picture.pixels_of(values, image_size)
        notes += more
        if min_score is None and "score" in at:
            min_score = table.least_score(header[at["score"]])
    timed = None
    if "fps" not in at:
        timed, more = table.rate(header, rows, frames)
        notes += more
    names = table.numbered(list(dict.fromkeys(column["joint"]))) | dict(names or {})
    people: dict = {}
    for i, cell in enumerate(column.get("person", [""] * len(rows))):
        if frames[i] is not None:
            people.setdefault(_person(cell), []).append(i)
    sequences = []
    for person, index in people.items():
        given = list(dict.fromkeys(column["joint"][i] for i in index))
        joints = resolve(given, path, names)
        notes += joints.notes
        place = {given[i]: k for k, i in enumerate(joints.source) if i >= 0}
        sequences.append(
            _sequence(
                person, index, frames, column, values * scale, place, joints.skeleton, min_score,
                tally, timed,
            )
        )
    if not any(sequence.observed.any() for sequence in sequences):
        reason = "; ".join(tally.notes()) or "no joint has a place and enough score"
        raise InputError(f"{path}: nothing to use: {reason}")
    notes = (*dict.fromkeys(notes), *tally.notes())
    return PoseFile(tuple(sequences), notes=notes)


def write(file: PoseFile, path: Path) -> None:
    """Writes every joint of every frame.

    Raises:
      InputError: two sequences with the same id.
    """
    people = table.distinct_people(file, path, blank=True)
    names = [kind.name.lower() for kind in Provenance]
    rows = [list(_HEADER)]
    for sequence, person in zip(file, people, strict=True):
        joints = get_skeleton(sequence.skeleton).joints
        fps = "" if sequence.fps is None else repr(float(sequence.fps))
        cell = _person_cell(person)
        for t, frame in enumerate(sequence.frames.tolist()):
            for k, joint in enumerate(joints):
                kind = int(sequence.provenance[t, k])
                kind = names[kind] if kind < len(names) else str(kind)
                x, y = (table.text(value) for value in sequence.keypoints[t, k])
                score = table.text(sequence.scores[t, k]) if x else ""
                rows.append([str(frame), cell, joint, x, y, score, kind if x else "", fps])
    table.save_csv(rows, path)


def _columns(header: Sequence[str]) -> dict[str, int]:
    """Our name of a column -> its place, as far as the header has it."""
    found = {name: table.column(header, (name, *_OTHERS.get(name, ()))) for name in _HEADER}
    return {name: i for name, i in found.items() if i is not None}


def _person(cell: str) -> int | str | None:
    if not cell.startswith('"'):
        return table.person_id(cell)
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return cell
    return value if isinstance(value, str) else cell


def _person_cell(person: int | str | None) -> str:
    """A person's id, in quotes where it would be read as another one."""
    cell = "" if person is None else str(person)
    same = _person(cell) == person and type(_person(cell)) is type(person)
    return cell if same else json.dumps(str(person))


def _sequence(
    person, index, frames, column, xy, place, skeleton, min_score, tally, fps
) -> PoseSequence:
    """One person's rows as arrays; of two rows for a joint the first with a place counts.

    ``fps``: frames per second unless the rows say them.
    """
    known = sorted({frames[i] for i in index})
    row = {frame: t for t, frame in enumerate(known)}
    shape = (len(known), len(skeleton))
    values = np.full((*shape, 3), np.nan)
    provenance = np.full(shape, Provenance.OBSERVED, np.uint8)
    for i in index:
        at = row[frames[i]], place[column["joint"][i]]
        new = [*xy[i], table.number(column["score"][i]) if "score" in column else np.nan]
        if np.isfinite(values[at][:2]).all():
            tally.add("rows that repeat a joint's frame, left out")
            continue
        values[at] = new
        kind = column["provenance"][i].strip().lower() if "provenance" in column else ""
        number = _PROVENANCE.get(kind, table.whole(kind))
        provenance[at] = number if number is not None and 0 <= number < 256 else 1
        rate = table.number(column["fps"][i]) if "fps" in column else np.nan
        fps = float(rate) if fps is None and np.isfinite(rate) and rate > 0 else fps
    keypoints, scores = table.present(values, -np.inf if min_score is None else min_score, tally)
    return PoseSequence(keypoints, scores, fps, skeleton.name, np.array(known), person, provenance)


FORMAT = Format(
    name="csv", sniff=sniff, read=read, write=write, suffixes=(".csv",), default_for=(".csv",),
)
