"""Our own table: a row per frame, person and joint, every number exact.

The header is ``frame,person,joint,x,y,score,provenance,fps``. ``person`` is blank for a track
without id; a joint that is missing has blank numbers. ``provenance`` is observed, refined, filled
or unknown; ``fps`` is blank where it is not known. On reading, ``frame``, ``joint``, ``x`` and
``y`` must be there, in any order; others may be left out. Other programs' tables with a row per
joint are read, too: their columns have other names (``Frame``, ``landmark``, ``visibility``),
joints may be numbers, and places shares of the picture, see ``picture``. They, and tables with
columns that we do not know, are written back as they were with the numbers that changed.
"""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats import axes, decimals, picture, scores, table, textfile
from posegan_jax.formats.axes import Vertical
from posegan_jax.formats.decimals import Decimals
from posegan_jax.formats.format import Format
from posegan_jax.formats.joint_names import not_in_file, one_line, resolve, shared_beginning
from posegan_jax.formats.numbered import not_numbers, numbered
from posegan_jax.formats.table import Tally
from posegan_jax.pose.sequence import PoseFile, PoseSequence, Provenance, completed
from posegan_jax.pose.skeleton import get_skeleton

_HEADER = ("frame", "person", "joint", "x", "y", "score", "provenance", "fps")
_NEEDED = ("frame", "joint", "x", "y")
_NUMBERS = ("x", "y", "score")
_OTHERS = {
    "frame": table.FRAMES,
    "person": table.PEOPLE,
    "joint": (
        "jointname", "landmarkname", "keypointname", "landmark", "keypoint", "node", "bodypart",
        "bodypartname", "name", "jointid", "landmarkid", "landmarkindex", "keypointid",
        "keypointindex",
    ),
    "score": table.SCORES,
} | {
    axis: tuple(word.format(axis) for word in (
        "landmark{}", "keypoint{}", "joint{}", "point{}", "pos{}", "position{}", "coord{}",
        "{}pos", "{}position", "{}coord", "{}coordinate", "{}px", "{}pixel",
    ))
    for axis in "xy"
}
"""What other programs call the columns, see ``table.column``."""

@dataclasses.dataclass(frozen=True)
class _Track:
    """A person as read.

    Attributes:
      sequence: all frames in which any row has it.
      rows: (frame, index of a joint) -> the row that counts.
      names: index of a joint -> its name in the file.
    """

    sequence: PoseSequence
    rows: dict[tuple[int, int], int]
    names: dict[int, str]

    def upside_down(self, height: float) -> "_Track":
        """With y turned over, in a picture of this height."""
        keypoints = self.sequence.keypoints * [1, -1] + [0, height]
        return dataclasses.replace(self, sequence=self.sequence.replace(keypoints=keypoints))


@dataclasses.dataclass(frozen=True)
class _Source:
    """Another program's table.

    Attributes:
      header: the names of its columns.
      rows: the data.
      frames: frame of every row, None where it has none.
      at: our name of a column -> its place.
      tracks: person -> what was read of them.
      scale: pixels of 1 in the file, along x and y; negative where y points up.
      style: how the text is written.
      ours: whether it has columns of ours alone: it is left as it is only where nothing changed.
      height: pixels that are added to y, where it points up in a picture of this height.
      depth: the column of the third axis, None if there is none.
      is_space: whether the joints are in space, so that a depth belongs to a place as it was read.
    """

    header: list[str]
    rows: list[list[str]]
    frames: list[int | None]
    at: dict[str, int]
    tracks: dict[Any, _Track]
    scale: tuple[float, float]
    style: textfile.Style
    ours: bool
    height: float
    depth: int | None
    is_space: bool


_PROVENANCE = {kind.name.lower(): int(kind) for kind in Provenance}


def sniff(path: Path) -> bool:
    """Whether the first line has the columns frame, joint, x and y."""
    return set(_NEEDED) <= set(_columns(textfile.first_cells(path)))


def read(
    path: Path, min_score: float | None = None, names: Mapping[str, str] | None = None,
    skeletons: Mapping[int, str] | None = None, image_size: tuple[float, float] | None = None,
    vertical: Vertical | None = None,
) -> PoseFile:
    """Reads the people of a file. A frame belongs to a person when any row of theirs has it.

    Args:
      path: the file.
      min_score: joints with a lower score, and those at (0, 0), are missing; by default none in
        our own tables.
      names: {file's name: our name} of joints, before the rule of ``joint_names``.
      skeletons: number of joints -> skeleton, for joints that are numbers.
      image_size: (width, height) in pixels, for normalised coordinates of other programs.
      vertical: the axis that is the picture's y, and which way it points.

    Raises:
      InputError: a column is missing, a row is cut off, no row is of use, joints are no numbers of
        the skeleton that is given, or there is no such axis.
    """
    (header, *rows), style = textfile.load_csv(path)
    at = _columns(header)
    lacking = [name for name in _NEEDED if name not in at]
    if lacking:
        raise InputError(f"{path}: no column {', '.join(lacking)}")
    column = {name: [row[i] for row in rows] for name, i in at.items()}
    tally = Tally()
    frames = table.near_frames([table.whole(cell) for cell in column["frame"]], tally)
    if not any(frame is not None for frame in frames):
        raise InputError(f"{path}: nothing to use: no row has a frame number; is the file cut off?")
    values = np.array([[table.number(cell) for cell in column[n]] for n in "xy"]).T.reshape(-1, 2)
    extra = [cell.strip() for i, cell in enumerate(header) if i not in at.values()]
    notes = [f"columns that are not used: {one_line(extra)}"] if extra else []
    ours = all(header[i].strip() == name for name, i in at.items())
    if not ours and min_score is None and "score" in at:
        min_score = table.least_score(header[at["score"]])
    notes += not_in_file(names, set(column["joint"]))
    found = numbered(list(dict.fromkeys(column["joint"])), skeletons)
    if skeletons and not found.names:
        raise InputError(f"{path}: {not_numbers(skeletons)}")
    notes += found.notes
    known = found.names | dict(names or {})
    fps = None
    if "fps" not in at:
        fps, more = table.rate(header, rows, frames)
        notes += more

    def tracks_of(places: np.ndarray, tally: Tally) -> tuple[dict[Any, _Track], list[str]]:
        return _tracks(frames, column, places, known, min_score, tally, path, fps)

    depth = table.column(header, ("z",))
    depths = None if depth is None else np.array([table.number(row[depth]) for row in rows])
    asked = vertical is not None or "provenance" not in at
    view = _view(
        values, depths, lambda places: tracks_of(places, Tally())[0], ours, asked, image_size,
        vertical, path,
    )
    tracks, more = tracks_of(view.places, tally)
    notes += [*more, *view.notes]
    if view.up:
        tracks = {person: track.upside_down(view.height) for person, track in tracks.items()}
    if view.is_z_up:
        at["y"], depth = depth, at["y"]
    sequences = [track.sequence for track in tracks.values()]
    if not any(sequence.observed.any() for sequence in sequences):
        reason = "; ".join(tally.notes()) or "no joint has a place and enough score"
        raise InputError(f"{path}: nothing to use: {reason}")
    notes = (*dict.fromkeys(notes), *tally.notes())
    plain = style.separator == "," and not (style.comments or style.mark)
    ours = ours and not extra and plain and not view.up
    source = _Source(
        header, rows, frames, at, tracks, view.scale, style, ours, view.height, depth,
        view.is_space,
    )
    return PoseFile(tuple(sequences), source=source, notes=notes, shares_of=view.size)


def write(file: PoseFile, path: Path) -> None:
    """Writes every joint of every frame; into another program's table the numbers that changed.

    With people or joints that this has no place for it is a new table of ours.

    Raises:
      InputError: two sequences with the same id.
    """
    source = file.source
    rows = _updated(source, file) if source else None
    if rows is None or source.ours and rows != source.rows:
        digits = _decimals(source) if source and source.ours else None
        textfile.save_csv(_new_table(file, path, digits), path)
    else:
        textfile.save_csv([source.header, *rows], path, source.style)


def _columns(header: Sequence[str]) -> dict[str, int]:
    """Our name of a column -> its place, as far as the header has it."""
    found = {name: table.column(header, (name, *_OTHERS.get(name, ()))) for name in _HEADER}
    if found["score"] is None:
        found["score"] = next(
            (i for i, cell in enumerate(header) if scores.is_surely_one(cell)), None
        )
    return {name: i for name, i in found.items() if i is not None}


@dataclasses.dataclass(frozen=True)
class _View:
    """How the rows' numbers are seen as places of a picture.

    Attributes:
      places: (rows, 2) in pixels, y as it points in the file.
      scale, height, is_space: as of ``_Source``.
      up: whether y points up in them.
      is_z_up: whether that is z.
      size: (width, height) of the picture that the numbers are shares of, None where they are none.
      notes: what was decided.
    """

    places: np.ndarray
    scale: tuple[float, float]
    height: float
    is_space: bool
    up: bool
    is_z_up: bool
    size: tuple[float, float] | None
    notes: list[str]


def _view(
    values: np.ndarray, depths: np.ndarray | None,
    tracks_of: Callable[[np.ndarray], dict[Any, _Track]], ours: bool, asked: bool,
    image_size: tuple[float, float] | None, vertical: Vertical | None, path: Path,
) -> _View:
    """Finds the picture's axes and units, see ``axes`` and ``picture``.

    Args:
      values: (rows, 2) x and y.
      depths: (rows,) z, None where there is none.
      tracks_of: (rows, 2) places -> the people.
      ours: whether the table is ours, which holds pixels.
      asked: whether y may point up.
      image_size, vertical, path: as of ``read``.

    Raises:
      InputError: z is to point up, and there is none.
    """
    size, notes = (None, []) if ours else picture.pixels_of(values, image_size)
    is_space = is_z_up = is_metric = False
    if depths is not None:
        across = np.column_stack([values[:, 0], depths])
        for places, joints in _in_space(tracks_of(values), tracks_of(across)):
            is_space |= axes.is_space(places, joints)
            is_z_up |= axes.is_z_up(places, joints)
            is_metric |= size is not None and axes.is_metric(places, joints, size)
        if vertical == "z-up" or vertical is None and is_z_up:
            return _View(across, (1.0, -1.0), 0.0, is_space, True, True, None, [axes.Z_UPWARDS])
    elif vertical == "z-up":
        raise InputError(f"{path}: no joint has a z; --vertical z-up needs one")
    if is_metric and not image_size:
        size, notes = None, [picture.METRES]
    width, height = size or (1.0, 1.0)
    with np.errstate(over="ignore"):  # what is no place anyway
        places = values * [width, height]
    up = False
    if asked:
        sequences = (track.sequence for track in tracks_of(places).values())
        up, more = axes.is_turned(sequences, vertical)
        notes += more
    top = float((size or image_size or (0.0, 0.0))[1]) if up else 0.0
    return _View(places, (width, -height if up else height), top, is_space, up, False, size, notes)


def _in_space(
    tracks: Mapping[Any, _Track], across: Mapping[Any, _Track]
) -> Iterator[tuple[np.ndarray, tuple[str, ...]]]:
    """x, y, z of everyone's joints, and their names, of who is seen along z and along y."""
    for person, track in tracks.items():
        depths = across[person].sequence.keypoints[..., 1:]
        joints = get_skeleton(track.sequence.skeleton).joints
        yield np.concatenate([track.sequence.keypoints, depths], -1), joints


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


def _tracks(
    frames, column, xy, names, min_score, tally, path, fps
) -> tuple[dict[Any, _Track], list[str]]:
    """person -> what was read of them, and notes of their joints."""
    people: dict = {}
    for i, cell in enumerate(column.get("person", [""] * len(frames))):
        if frames[i] is not None:
            people.setdefault(_person(cell), []).append(i)
    tracks, notes = {}, []
    for person, index in people.items():
        labels = list(dict.fromkeys(column["joint"][i] for i in index))
        joints = resolve(labels, path, names)
        notes += joints.notes
        own = {k: labels[i] for k, i in enumerate(joints.source) if i >= 0}
        tracks[person] = _track(
            person, index, frames, column, xy, own, joints.skeleton, min_score, tally, fps
        )
    return tracks, notes


def _track(
    person, index, frames, column, xy, own, skeleton, min_score, tally, fps
) -> _Track:
    """One person's rows as arrays; of two rows for a joint the first with a place counts.

    ``fps``: frames per second unless the rows say them.
    """
    known = sorted({frames[i] for i in index})
    row = {frame: t for t, frame in enumerate(known)}
    place = {name: k for k, name in own.items()}
    shape = (len(known), len(skeleton))
    values = np.full((*shape, 3), np.nan)
    provenance = np.full(shape, Provenance.OBSERVED, np.uint8)
    rows: dict = {}
    for i in index:
        at = row[frames[i]], place[column["joint"][i]]
        new = [*xy[i], table.number(column["score"][i]) if "score" in column else np.nan]
        if np.isfinite(values[at][:2]).all():
            tally.add("rows that repeat a joint's frame, not used")
            continue
        values[at] = new
        rows[frames[i], at[1]] = i
        kind = column["provenance"][i].strip().lower() if "provenance" in column else ""
        number = _PROVENANCE.get(kind, table.whole(kind))
        provenance[at] = number if number is not None and 0 <= number < 256 else 1
        rate = table.number(column["fps"][i]) if "fps" in column else np.nan
        fps = float(rate) if fps is None and np.isfinite(rate) and rate > 0 else fps
    keypoints, scores = table.present(
        values, -np.inf if min_score is None else min_score, tally, completed(provenance)
    )
    sequence = PoseSequence(
        keypoints, scores, fps, skeleton.name, np.array(known), person, provenance
    )
    return _Track(sequence, rows, own)


# --- writing --------------------------------------------------------------------------------------


def _updated(source: _Source, file: PoseFile) -> list[list[str]] | None:
    """The table's rows with the numbers that are not as they were read, new rows in between.

    None when people or skeletons are others than the table has.
    """
    at = source.at
    rows = list(source.rows)
    digits = _decimals(source)
    added: dict[int, list[list[str]]] = defaultdict(list)
    like = _Alike(source)
    for sequence in file:
        track = source.tracks.get(sequence.person)
        if track is None or track.sequence.skeleton != sequence.skeleton:
            return None
        changed = table.changes(track.sequence, sequence)
        came = table.those_that_came(track.sequence, sequence)
        texts = _texts(sequence, np.any(changed, axis=-1), digits, source.scale, source.height)
        kinds = _kinds(track.sequence, sequence)
        other_rate = "fps" in at and sequence.fps != track.sequence.fps
        joints = get_skeleton(sequence.skeleton).joints
        beginning = shared_beginning(list(track.names.values()))
        for t, frame in enumerate(sequence.frames.tolist()):
            for k in range(len(joints)):
                index = track.rows.get((frame, k))
                if not (changed[t, k].any() or kinds[t, k] or other_rate and index is not None):
                    continue
                if index is not None:
                    rows[index] = row = list(rows[index])
                    if came[t, k]:
                        _clear_depth(row, source)
                elif sequence.observed[t, k]:
                    row = like.row(frame)
                    row[at["frame"]] = str(frame)
                    row[at["joint"]] = track.names.get(k, beginning + joints[k])
                    if "person" in at:
                        row[at["person"]] = _person_cell(sequence.person)
                    added[frame].append(row)
                else:
                    continue
                new = dict(zip(_NUMBERS, changed[t, k], strict=True))
                new |= {"provenance": kinds[t, k], "fps": other_rate or index is None}
                for name, is_new in new.items():
                    if name in at and is_new:
                        row[at[name]] = texts[t][k][name]
    return table.merged(rows, source.frames, added)


def _clear_depth(row: list[str], source: _Source) -> None:
    """Blanks the third axis of a joint that was missing and is filled, as tables' columns are."""
    if source.depth is not None:
        cells = [row[i] for i in (source.at["x"], source.at["y"], source.depth)]
        if source.is_space or all(table.number(cell) == 0 for cell in cells):
            row[source.depth] = ""


def _kinds(before: PoseSequence, after: PoseSequence) -> np.ndarray:
    """(T, K) bool, joints of ``after`` whose provenance is another one than before."""
    old = dict(zip(before.frames.tolist(), before.provenance, strict=True))
    none = np.full(after.provenance.shape[1], Provenance.UNKNOWN)
    return np.array(
        [kinds != old.get(frame, none) for frame, kinds in zip(
            after.frames.tolist(), after.provenance, strict=True
        )], bool,
    ).reshape(after.provenance.shape)


class _Alike:
    """Makes rows for joints that a table lacks: what all rows have, or all of a frame, stays."""

    def __init__(self, source: _Source):
        columns = zip(*source.rows, strict=True)
        self._all = [cells[0] if len(set(cells)) == 1 else "" for cells in columns]
        self._rows = defaultdict(list)
        for frame, row in zip(source.frames, source.rows, strict=True):
            self._rows[frame].append(row)
        self._blank = [i for name, i in source.at.items() if name != "frame"]
        self._blank += [] if source.depth is None else [source.depth]

    def row(self, frame: int) -> list[str]:
        """A row for a frame, blank in the columns that are ours to fill."""
        here = zip(*self._rows.get(frame, [[""] * len(self._all)]), strict=True)
        row = [
            cells[0] if len(set(cells)) == 1 and cells[0] else same
            for cells, same in zip(here, self._all, strict=True)
        ]
        for i in self._blank:
            row[i] = ""
        return row


def _decimals(source: _Source) -> Decimals:
    """Decimals of the numbers that are written into a table."""
    values = [
        table.cell_values(track.sequence, source.scale, source.height)
        for track in source.tracks.values()
    ]

    def cells(*names: str) -> Iterator[str]:
        columns = [source.at[name] for name in names if name in source.at]
        for track in source.tracks.values():
            for row in track.rows.values():
                yield from (source.rows[row][i] for i in columns)

    return decimals.of(values, source.is_space, (cells("x", "y"), cells("score")))


def _texts(
    sequence: PoseSequence, new: np.ndarray, digits: Decimals | None,
    scale: tuple[float, float] = (1.0, 1.0), height: float = 0.0,
) -> list[list[dict[str, str]]]:
    """frame, joint -> {column: what its cell holds}; blank where the joint is missing.

    Args:
      sequence: the person.
      new: (T, K) bool, joints whose numbers are rounded to the decimals.
      digits: the decimals; None writes all numbers in full.
      scale, height: as of ``_Source``.
    """
    kinds_of = [kind.name.lower() for kind in Provenance]
    fps = "" if sequence.fps is None else repr(float(sequence.fps))
    values = table.cell_values(sequence, scale, height)
    if digits:
        values = np.where(new[..., None], digits.rounded(values), values)

    def cells(joint: list[float], kind: int) -> dict[str, str]:
        if joint[0] != joint[0]:
            return dict.fromkeys((*_NUMBERS, "provenance"), "") | {"fps": fps}
        texts = [digits.text(v, i == 2) if digits else table.text(v) for i, v in enumerate(joint)]
        kind_of = kinds_of[kind] if kind < len(kinds_of) else str(kind)
        return dict(zip(_NUMBERS, texts, strict=True)) | {"provenance": kind_of, "fps": fps}

    return [
        [cells(*pair) for pair in zip(joints, kinds, strict=True)]
        for joints, kinds in zip(values.tolist(), sequence.provenance.tolist(), strict=True)
    ]


def _new_table(file: PoseFile, path: Path, digits: Decimals | None) -> list[list[str]]:
    people = table.distinct_people(file, path, blank=True)
    rows = [list(_HEADER)]
    for sequence, person in zip(file, people, strict=True):
        cell = _person_cell(person)
        joints = get_skeleton(sequence.skeleton).joints
        texts = _texts(sequence, completed(sequence.provenance), digits)
        for frame, cells in zip(sequence.frames.tolist(), texts, strict=True):
            for joint, at in zip(joints, cells, strict=True):
                rows.append([str(frame), cell, joint, *(at[name] for name in _HEADER[3:])])
    return rows


FORMAT = Format(
    name="csv", sniff=sniff, read=read, write=write, suffixes=(".csv", ".tsv"),
    default_for=(".csv",),
)
