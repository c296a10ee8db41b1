"""Tables with a row per frame and columns per joint: ``nose_x``, ``nose_y``, ``nose_visibility``.

No program owns this layout; people write it out of MediaPipe, YOLO and others. A joint is a name
(``LEFT_KNEE_x``, ``left knee.y``) or a number (``landmark_25_x``, ``X_26``), see ``numbered``. A
frame is in the column ``frame`` or the like, else rows are counted; ``person_id`` or the like says
who it is. Places are pixels or, as MediaPipe has them, shares of the picture, see ``picture``. All
other columns stay as they are.
"""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats import axes, beginnings, picture, scores, table, textfile
from posegan_jax.formats.axes import Vertical
from posegan_jax.formats.format import Format
from posegan_jax.formats.joint_names import (
    Joints,
    joint_name,
    not_in_file,
    resolve,
    shared_beginning,
)
from posegan_jax.formats.jsonfile import FrameNames, frame_numbers
from posegan_jax.formats.numbered import not_numbers, numbered
from posegan_jax.formats.table import Table, Tally, Track
from posegan_jax.pose.sequence import PoseFile, PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

_SUFFIX = re.compile(rf"(.*[^ _.:-])[ _.:-]+(x|y|{'|'.join(table.SCORES)})", re.IGNORECASE)
_NUMBERED = re.compile(
    rf"(?:(.*[^ _.:-])[ _.:-]+)?(x|y|{'|'.join(table.SCORES)})[ _.:\[-]?(\d+)\]?", re.IGNORECASE
)
_PREFIX = re.compile(
    rf"(x|y|{'|'.join(table.SCORES)})[ _.:-]+(.*[^ _.:-])", re.IGNORECASE
)
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
      notes: where it is in doubt which these are.
    """

    joints: dict[str, tuple[int, int, int]]
    frame: int | None
    person: int | None
    endings: tuple[str, str, str]
    named: dict[str, str]
    notes: tuple[str, ...]


def sniff(path: Path) -> bool:
    """Whether the first line has columns of x and y for joints that are known."""
    return _known(_parsed(textfile.first_cells(path)).joints) >= _FEWEST


def has_joints(path: Path, names: Collection[str]) -> bool:
    """Whether the first line has columns of x and y for a joint of these names."""
    return not set(names).isdisjoint(joints_of(textfile.first_cells(path)))


def joints_of(cells: Sequence[str]) -> list[str]:
    """What a table calls the joints that it has columns of x and y for."""
    return list(_parsed(cells).joints)


def read(
    path: Path, min_score: float | None = None, names: Mapping[str, str] | None = None,
    skeletons: Mapping[int, str] | None = None, image_size: tuple[float, float] | None = None,
    vertical: Vertical | None = None,
) -> PoseFile:
    """Reads the people of a file; rows of one frame without an id are followed by their poses.

    Args:
      path: the file.
      min_score: joints with a lower score, and those at (0, 0), are missing.
      names: {file's name: our name} of joints, before the rule of ``joint_names``.
      skeletons: number of joints -> skeleton, for joints that are numbers.
      image_size: (width, height) in pixels, for normalised coordinates.
      vertical: the axis that is the picture's y, and which way it points.

    Raises:
      InputError: a row is cut off, columns repeat, nobody was seen, joints are no numbers of the
        skeleton that is given, or there is no such axis.
    """
    (first, *rows), style = textfile.load_csv(path)
    header = _checked(first, path, skeletons)
    if not rows:
        raise InputError(f"{path}: a header and no frames; is the file cut off?")
    tally = Tally()
    if min_score is None:
        min_score = table.least_score(header.endings[2])
    frames, notes = _frames(header, rows, tally)
    fps, timed = table.rate(first, rows, frames)
    joints = resolve(list(header.joints), path, header.named | dict(names or {}))
    values = table.numbers(rows)
    header, guessed = _scored(first, header, values)
    view = _view(first, header, joints, values, min_score, image_size, vertical)
    values, header = view.values, view.header
    people: Sequence = [None] * len(rows)
    if header.person is not None:
        people = [table.person_id(row[header.person].strip()) for row in rows]
    places = np.array(list(header.joints.values()))
    people, followed = table.followed(people, frames, values, places, min_score)
    found: dict = defaultdict(lambda: defaultdict(list))
    for i, (person, frame) in enumerate(zip(people, frames, strict=True)):
        if frame is not None:
            found[person][frame].append(i)
    tracks = {
        person: table.track(
            person, joints, list(header.joints), header.joints, by_frame, values, min_score, tally,
            fps, scale=view.size or (1.0, 1.0), depths=view.depths, is_space=view.is_space,
        )
        for person, by_frame in found.items()
    }
    height = float((view.size or image_size or (0.0, 0.0))[1])
    if view.is_z_up:
        tracks, turned = {who: table.upside_down(t) for who, t in tracks.items()}, []
    else:
        tracks, turned = table.turned(tracks, path, vertical, height=height)
    notes += [*not_in_file(names, header.joints), *beginnings.note(header.joints)]
    notes = [*joints.notes, *header.notes, *notes, *timed, *guessed, *view.notes, *turned]
    notes += [*followed, *_unused(first, header)]
    return table.pose_file(
        Table([first], rows, frames, tracks, style), path, notes, tally, view.size
    )


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
    textfile.save_csv(rows, path, source.style)


# --- reading --------------------------------------------------------------------------------------


def _parsed(
    cells: Sequence[str], skeletons: Mapping[int, str] | None = None
) -> _Header:
    """The header as far as it is one of poses.

    The axis stands behind a joint's name, or before it where that makes no joints that are known.
    """
    cells = [cell.strip() for cell in cells]
    joints = _joints(cells, _axis_behind)
    if _known(joints) < _FEWEST <= _known(before := _joints(cells, _axis_before)):
        joints = before
    frame, person = (table.column(cells, names) for names in (table.FRAMES, table.PEOPLE))
    found = numbered(list(joints), skeletons)
    return _Header(joints, frame, person, _endings(cells, joints), found.names, found.notes)


def _joints(
    cells: Sequence[str], parse: Callable[[str], tuple[str, str] | None]
) -> dict[str, tuple[int, int, int]]:
    """label -> columns of x, y and score, of all that have the first two."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for i, cell in enumerate(cells):
        if parsed := parse(cell):
            label, axis = parsed
            axis = axis.lower()
            found[label].setdefault("score" if axis in table.SCORES else axis, i)
    return {
        label: (axes["x"], axes["y"], axes.get("score", -1))
        for label, axes in found.items() if "x" in axes and "y" in axes
    }


def _axis_behind(cell: str) -> tuple[str, str] | None:
    """Label and axis of 'nose_x', and of 'x26' and 'landmark_x_26'."""
    if match := _SUFFIX.fullmatch(cell):
        return match[1], match[2]
    if match := _NUMBERED.fullmatch(cell):
        return f"{match[1]}_{match[3]}" if match[1] else match[3], match[2]
    return None


def _axis_before(cell: str) -> tuple[str, str] | None:
    """Label and axis of 'x_nose'."""
    match = _PREFIX.fullmatch(cell)
    return (match[2], match[1]) if match else None


def _known(labels: Collection[str]) -> int:
    """How many joints of a header are known, by their numbers or their names."""
    labels = list(labels)
    beginning = shared_beginning(labels)
    names = sum(joint_name(label.removeprefix(beginning)) is not None for label in labels)
    return len(numbered(labels).names) or names


def _endings(
    cells: Sequence[str], joints: Mapping[str, Sequence[int]]
) -> tuple[str, str, str]:
    """How the columns of the first joint end; our own endings where it is a number's."""
    for label, columns in joints.items():
        if cells[columns[0]].startswith(label) and not label.isdecimal():
            x, y, score = (cells[i][len(label) :] if i >= 0 else "_score" for i in columns)
            return x, y, score
    return "_x", "_y", "_score"


def _checked(
    first: Sequence[str], path: Path, skeletons: Mapping[int, str] | None
) -> _Header:
    """The header. Raises InputError when two columns have one name, or as of ``read``."""
    cells = [cell.strip() for cell in first]
    double = next((cell for cell in cells if cell and cells.count(cell) > 1), None)
    if double is not None:
        raise InputError(f"{path}: two columns are called {double!r}")
    header = _parsed(cells, skeletons)
    if skeletons and not header.named:
        raise InputError(f"{path}: {not_numbers(skeletons)}")
    return header


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


def _scored(
    first: Sequence[str], header: _Header, values: np.ndarray
) -> tuple[_Header, list[str]]:
    """The header with scores that go by no usual name, and a note of them."""
    if any(score >= 0 for *_, score in header.joints.values()):
        return header, []
    cells = [cell.strip() for cell in first]
    found, notes = scores.guess(cells, header.joints, values)
    joints = {label: (x, y, found.get(label, -1)) for label, (x, y, _) in header.joints.items()}
    return dataclasses.replace(header, joints=joints), notes


@dataclasses.dataclass(frozen=True)
class _View:
    """How the table is seen as a picture.

    Attributes:
      values: (rows, columns) its numbers, in pixels where they were shares.
      header: whose columns of y are those of z where z points up.
      depths: label -> column of the axis that is not the picture's.
      is_space: whether the joints are in space.
      is_z_up: whether z is the picture's y, and points up.
      size: (width, height) of the picture that places are shares of, None where they are none.
      notes: what was decided.
    """

    values: np.ndarray
    header: _Header
    depths: dict[str, int]
    is_space: bool
    is_z_up: bool
    size: tuple[float, float] | None
    notes: list[str]


def _view(
    first: Sequence[str], header: _Header, joints: Joints, values: np.ndarray, min_score: float,
    image_size: tuple[float, float] | None, vertical: Vertical | None,
) -> _View:
    """Finds the picture's axes and units, see ``axes`` and ``picture``."""
    cells = [cell.strip() for cell in first]
    depths = scores.by_word(cells, header.joints).get("z", {})
    columns = np.array([(x, y, depths.get(label, -1), score)
                        for label, (x, y, score) in header.joints.items()])
    padded = np.column_stack([values, np.full(len(values), np.nan)])  # the column -1
    numbers = padded[:, columns]
    places = numbers[..., :3].copy()
    places[(places[..., :2] == 0).all(-1) | (numbers[..., 3] < min_score)] = np.nan
    places[~np.isfinite(places)] = np.nan
    ours = table.our_names(len(columns), joints)
    is_space = bool(depths) and axes.is_space(places, ours)
    is_z_up = bool(depths) and (
        vertical == "z-up" or vertical is None and axes.is_z_up(places, ours)
    )
    notes = []
    if is_z_up:
        notes = [axes.Z_UPWARDS]
        old = header.joints
        header = dataclasses.replace(header, joints={
            label: (x, depths[label], score) for label, (x, _, score) in old.items()
            if label in depths
        })
        depths = {label: old[label][1] for label in depths}
    size, more = (None, []) if is_z_up else picture.pixels_of(places[..., :2], image_size)
    if size is not None and not image_size and axes.is_metric(places, ours, size):
        size, more = None, [picture.METRES]
    if size is not None:
        values = values.copy()
        with np.errstate(over="ignore"):  # what is no place anyway
            values[:, np.array(list(header.joints.values()))[:, :2]] *= size
    if is_space and not is_z_up and size is None:
        more = [*more, "joints are in space: X and Y are read as the picture"]
    return _View(values, header, depths, is_space, is_z_up, size, [*notes, *more])


def _unused(first: Sequence[str], header: _Header) -> list[str]:
    used = {i for columns in header.joints.values() for i in columns}
    cells = [cell.strip() for cell in first]
    return scores.unused(cells, used | {header.frame, header.person}, header.joints)


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
    """The rows of a new table, whose columns are called as those of the old one."""
    people = table.distinct_people(file, path, blank=True)
    old = _parsed(source.header[0] if source.header else [])
    first = source.header[0] if source.header else []
    frame, person = (
        default if i is None else first[i]
        for i, default in ((old.frame, "frame"), (old.person, "person"))
    )
    track = next(iter(source.tracks.values()), None)
    scale, height = (track.scale, track.height) if track else ((1.0, 1.0), 0.0)
    joints = table.all_joints(file)
    labels = table.file_names(joints, None if old.named else track)
    alone = people == [None]
    lead = [frame] if alone else [frame, person]
    header = [*lead, *(label + ending for label in labels for ending in old.endings)]
    columns = len(lead) + np.arange(3 * len(joints)).reshape(-1, 3)
    rows = []
    for sequence, who in zip(file, people, strict=True):
        values = table.new_values(sequence, scale, height)
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
    name="wide", sniff=sniff, read=read, write=write, suffixes=(".csv", ".tsv"),
    relabel=_relabelled,
)
