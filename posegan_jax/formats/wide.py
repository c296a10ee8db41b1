"""Tables with a row per frame and columns per joint: ``nose_x``, ``nose_y``, ``nose_visibility``.

No program owns this layout; people write it out of MediaPipe, YOLO and others. A joint is a name
(``LEFT_KNEE_x``, ``left knee.y``) or a number (``landmark_25_x``, ``x26``): 17 are COCO's, 33 those
of MediaPipe. A frame is in the column ``frame`` or the like, else rows are counted; ``person_id``
or the like says who it is. Places are pixels or, as MediaPipe has them, shares of the picture, see
``picture``. All other columns stay as they are.
"""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats import picture, table
from posegan_jax.formats.format import Format
from posegan_jax.formats.joint_names import joint_name, resolve
from posegan_jax.formats.jsonfile import FrameNames, frame_numbers
from posegan_jax.formats.table import Table, Tally, Track
from posegan_jax.pose.sequence import PoseFile, PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

_SUFFIX = re.compile(rf"(.*[^ _.:-])[ _.:-]+(x|y|{'|'.join(table.SCORES)})", re.IGNORECASE)
_NUMBERED = re.compile(rf"(x|y|{'|'.join(table.SCORES)})[ _]?(\d+)", re.IGNORECASE)
_FEWEST = 3  # joints, for a table to be one of poses


@dataclasses.dataclass(frozen=True)
class _Header:
    """What the columns hold.

    Attributes:
      joints: label -> columns of x, y and score; -1 where there is no score.
      frame: column of the frame, None if there is none.
      person: column of the id, None if there is none.
      endings: what follows a label in the names of the columns of x, y and score.
      named: {label: our name} where labels are numbers.
    """

    joints: dict[str, tuple[int, int, int]]
    frame: int | None
    person: int | None
    endings: tuple[str, str, str]
    named: dict[str, str]


def sniff(path: Path) -> bool:
    """Whether the first line has columns of x and y for joints that are known."""
    header = _parsed(table.first_cells(path))
    known = len(header.named) or sum(joint_name(label) is not None for label in header.joints)
    return known >= _FEWEST


def read(
    path: Path, min_score: float | None = None, names: Mapping[str, str] | None = None,
    image_size: tuple[float, float] | None = None,
) -> PoseFile:
    """Reads the people of a file; rows of one frame without an id are followed by their poses.

    Args:
      path: the file.
      min_score: joints with a lower score, and those at (0, 0), are missing.
      names: {file's name: our name} of joints, before the rule of ``joint_names``.
      image_size: (width, height) in pixels, for normalised coordinates.

    Raises:
      InputError: a row is cut off, columns repeat, or nobody was seen.
    """
    (first, *rows), newline = table.load_csv(path)
    header = _checked(first, path)
    if not rows:
        raise InputError(f"{path}: a header and no frames; is the file cut off?")
    tally = Tally()
    if min_score is None:
        min_score = table.least_score(header.endings[2])
    frames, notes = _frames(header, rows, tally)
    fps, timed = table.rate(first, rows, frames)
    values, scale, note = _pixels(header, table.numbers(rows), image_size)
    people: Sequence = [None] * len(rows)
    if header.person is not None:
        people = [table.person_id(row[header.person].strip()) for row in rows]
    places = np.array(list(header.joints.values()))
    people, followed = table.followed(people, frames, values, places, min_score)
    joints = resolve(list(header.joints), path, header.named | dict(names or {}))
    found: dict = defaultdict(lambda: defaultdict(list))
    for i, (person, frame) in enumerate(zip(people, frames, strict=True)):
        if frame is not None:
            found[person][frame].append(i)
    tracks = {
        person: table.track(
            person, joints, list(header.joints), header.joints, by_frame, values, min_score, tally,
            fps, scale,
        )
        for person, by_frame in found.items()
    }
    notes = [*joints.notes, *notes, *timed, *note, *followed]
    return table.pose_file(Table([first], rows, frames, tracks, newline), path, notes, tally)


def write(file: PoseFile, path: Path) -> None:
    """Writes the table that was read, with the numbers that changed, new frames in their places.

    For other people or other joints, and for sequences from elsewhere, it is a new table with the
    joints of all of them, in pixels unless the old one was not.

    Raises:
      InputError: two sequences with the same id.
    """
    source = file.source or Table([], [], [], {})
    rows = None
    if file.source:
        rows = table.updated(source, file, lambda *new: _new_row(source, *new))
    rows = _new_table(file, source, path) if rows is None else [*source.header, *rows]
    table.save_csv(rows, path, source.newline)


# --- reading --------------------------------------------------------------------------------------


def _parsed(cells: Sequence[str]) -> _Header:
    """The header as far as it is one of poses."""
    cells = [cell.strip() for cell in cells]
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for i, cell in enumerate(cells):
        match = _SUFFIX.fullmatch(cell)
        label, axis = match.groups() if match else (None, None)
        if numbered := not match and _NUMBERED.fullmatch(cell):
            axis, label = numbered.groups()
        if label:
            axis = axis.lower()
            found[label].setdefault("score" if axis in table.SCORES else axis, i)
    joints = {
        label: (axes["x"], axes["y"], axes.get("score", -1))
        for label, axes in found.items() if "x" in axes and "y" in axes
    }
    frame, person = (table.column(cells, names) for names in (table.FRAMES, table.PEOPLE))
    return _Header(joints, frame, person, _endings(cells, joints), table.numbered(list(joints)))


def _endings(
    cells: Sequence[str], joints: Mapping[str, Sequence[int]]
) -> tuple[str, str, str]:
    """How the columns of the first joint end; our own endings where it is a number's."""
    for label, columns in joints.items():
        if cells[columns[0]].startswith(label) and not label.isdecimal():
            x, y, score = (cells[i][len(label) :] if i >= 0 else "_score" for i in columns)
            return x, y, score
    return "_x", "_y", "_score"


def _checked(first: Sequence[str], path: Path) -> _Header:
    """The header. Raises InputError when two columns have one name."""
    cells = [cell.strip() for cell in first]
    double = next((cell for cell in cells if cell and cells.count(cell) > 1), None)
    if double is not None:
        raise InputError(f"{path}: two columns are called {double!r}")
    return _parsed(cells)


def _frames(
    header: _Header, rows: list[list[str]], tally: Tally
) -> tuple[list[int | None], list[str]]:
    """Frame of every row: its number, the last one in the name of its image, or its place."""
    if header.frame is None:
        return list(range(len(rows))), ["no column of frames: rows are counted from 0"]
    cells = [row[header.frame].strip() for row in rows]
    known = [table.whole(cell) for cell in cells]
    if known.count(None) <= len(known) / 2:
        return table.near_frames(known, tally), []
    return frame_numbers(cells)


def _pixels(
    header: _Header, values: np.ndarray, image_size: tuple[float, float] | None
) -> tuple[np.ndarray, tuple[float, float], list[str]]:
    """The numbers in pixels, pixels of 1 in the file, and a note where that is assumed."""
    columns = np.array(list(header.joints.values()))[:, :2]
    scale, notes = picture.pixels_of(values[:, columns], image_size)
    values = values.copy()
    values[:, columns] *= scale
    return values, scale, notes


# --- writing --------------------------------------------------------------------------------------


def _new_row(source: Table, sequence: PoseSequence, t: int, track: Track) -> list[str]:
    """After another row of the person, all but the frame and the id blank."""
    header = _parsed(source.header[0])
    like = source.rows[next(iter(track.rows.values()))]
    row = [""] * len(like)
    if header.person is not None:
        row[header.person] = like[header.person]
    if header.frame is not None:
        frame = int(sequence.frames[t])
        known = zip(source.frames, source.rows, strict=True)
        names = FrameNames({f: r[header.frame] for f, r in known if f is not None})
        counts = table.whole(like[header.frame]) is not None
        row[header.frame] = str(frame) if counts else names(frame)
    return row


def _new_table(file: PoseFile, source: Table, path: Path) -> list[list[str]]:
    people = table.distinct_people(file, path, blank=True)
    old = _parsed(source.header[0] if source.header else [])
    first = source.header[0] if source.header else []
    frame, person = (
        default if i is None else first[i]
        for i, default in ((old.frame, "frame"), (old.person, "person"))
    )
    track = next(iter(source.tracks.values()), None)
    scale = track.scale if track else (1.0, 1.0)
    joints = table.all_joints(file)
    labels = table.file_names(joints, None if old.named else track)
    alone = people == [None]
    lead = [frame] if alone else [frame, person]
    header = [*lead, *(label + ending for label in labels for ending in old.endings)]
    columns = len(lead) + np.arange(3 * len(joints)).reshape(-1, 3)
    rows = []
    for sequence, who in zip(file, people, strict=True):
        values = table.cell_values(sequence, scale)
        places = columns[[joints.index(joint) for joint in get_skeleton(sequence.skeleton).joints]]
        for t in np.flatnonzero(sequence.observed.any(-1)).tolist():
            number = int(sequence.frames[t])
            row = [str(number)] if alone else [str(number), "" if who is None else str(who)]
            row += [""] * columns.size
            table.fill(row, places, values[t], ~np.isnan(values[t]))
            rows.append((number, row))
    return [header, *(row for _, row in sorted(rows, key=lambda pair: pair[0]))]


def _relabelled(source: Table, moves: Mapping) -> Table:
    return table.relabelled(source, moves, _parsed(source.header[0]).person)


FORMAT = Format(
    name="wide", sniff=sniff, read=read, write=write, suffixes=(".csv",), relabel=_relabelled,
)
