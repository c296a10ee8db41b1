"""What table formats have in common: cells of text, and where a person's numbers stand in them.

A table is read once into cells and is written from the same cells: only those change whose number
is another one than was read. So whatever else a row holds stays as it was.
"""

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats import axes, decimals
from posegan_jax.formats.axes import Vertical
from posegan_jax.formats.decimals import Decimals
from posegan_jax.formats.joint_names import Joints, one_line, shared_beginning
from posegan_jax.formats.jsonfile import LONGEST
from posegan_jax.formats.records import ABSURD
from posegan_jax.formats.textfile import PLAIN, Style
from posegan_jax.pose import tracking
from posegan_jax.pose.people import relabel
from posegan_jax.pose.rate import FASTEST, by_times
from posegan_jax.pose.sequence import PoseFile, PoseSequence, completed
from posegan_jax.pose.skeleton import get_skeleton

FRAMES = (
    "frame", "frameidx", "frameindex", "framenumber", "framenum", "frameno", "frameid", "image",
    "imagename", "file", "filename",
)
"""What people call the column of a frame, letters alone in lower case. The first that there is
counts."""

PEOPLE = (
    "person", "personid", "track", "trackid", "individual", "individuals", "playerid", "objectid",
)
SCORES = ("score", "visibility", "vis", "v", "confidence", "conf", "likelihood")

TIMES = ("time", "timestamp", "times", "timestamps", "timesec", "timeseconds", "seconds", "timems",
         "timestampms", "milliseconds", "ms")
"""The same of a time, in milliseconds where it says so or would be too slow else."""

MIN_SCORE = 0.2
VISIBLE = 0.5
"""Least score of tables that no program owns; instead of MIN_SCORE where the column is called a
visibility, below which MediaPipe draws no landmark."""

BY_COLUMN = "frames per second, by its column"
"""Says where a rate is from, which does not count if the user gives another one."""

_TIMED = 10  # frames whose times tell a rate
_BLANK = {"", "nan", "na", "n/a", "null", "none"}


@dataclasses.dataclass(frozen=True)
class Track:
    """Where a person's numbers stand.

    Attributes:
      sequence: the person as read.
      rows: frame -> row of the table, also of frames in which nothing was seen.
      columns: (K, 3) columns of x, y and score; -1 where there is none.
      scale: pixels of 1 in the file, along x and y; negative where y points up.
      names: the joints' names in the file, None where it lacks one.
      height: pixels that are added to y, where it points up in a picture of this height.
      depths: (K,) columns of the third axis, which a joint that is filled has no number for; -1
        where there is none.
      is_space: whether the joints are in space, so that a depth belongs to a place as it was read.
    """

    sequence: PoseSequence
    rows: dict[int, int]
    columns: np.ndarray
    scale: tuple[float, float]
    names: tuple[str | None, ...]
    height: float = 0.0
    depths: np.ndarray | None = None
    is_space: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A file's cells.

    Attributes:
      header: the rows before the data.
      rows: the data.
      frames: frame of every row, None where it has none.
      tracks: person -> where its numbers stand.
      style: how the text is written.
      is_length: whether places are lengths and no pixels.
    """

    header: list[list[str]]
    rows: list[list[str]]
    frames: list[int | None]
    tracks: dict[Any, Track]
    style: Style = PLAIN
    is_length: bool = False


class Tally:
    """Counts what a reader had to decide, for one line of notes."""

    def __init__(self):
        self._count: Counter[str] = Counter()

    def add(self, what: str, count: int = 1) -> None:
        if count:
            self._count[what] += count

    def notes(self) -> tuple[str, ...]:
        line = "; ".join(f"{what}: {count}" for what, count in self._count.items())
        return (line,) if line else ()


# --- names of columns ----------------------------------------------------------------------------


def column(header: Sequence[str], names: Sequence[str]) -> int | None:
    """The column with the first of some names, letters alone, in any case; None without any."""
    cells = [re.sub(r"[\W_]+", "", cell).lower() for cell in header]
    return next((cells.index(name) for name in names if name in cells), None)


def least_score(name: str) -> float:
    """The default least score where the column of scores ends in this name."""
    return VISIBLE if name.strip().lower().endswith("visibility") else MIN_SCORE


# --- cells ----------------------------------------------------------------------------------------


def number(text: str) -> float:
    """The number in a cell: NaN where it is blank, infinity where it holds something else."""
    text = text.strip()
    if text.lower() in _BLANK:
        return np.nan
    try:
        return float(text)
    except ValueError:
        return np.inf


def whole(text: str) -> int | None:
    """The whole number in a cell, None if there is none that a frame number can be."""
    value = number(text)
    return int(value) if abs(value) < 2**53 and value == int(value) else None


def text(value: float) -> str:
    """A number as the shortest text that is read as the same one; blank for NaN."""
    return "" if np.isnan(value) else repr(float(value))


def person_id(cell: str) -> int | str | None:
    """A person's id: a number where the cell is one, None where it is blank."""
    if not cell:
        return None
    value = whole(cell)
    return value if value is not None and str(value) == cell else cell


def numbers(rows: list[list[str]]) -> np.ndarray:
    """(rows, columns) numbers of all cells, NaN where blank, infinite where they are none."""
    return np.array([[number(cell) for cell in row] for row in rows], np.float64)


def near_frames(frames: list[int | None], tally: Tally) -> list[int | None]:
    """The frames without those over ``LONGEST`` from the median, which ask for endless tracks."""
    known = [frame for frame in frames if frame is not None]
    middle = int(np.median(known)) if known else 0
    frames = [f if f is not None and abs(f - middle) <= LONGEST else None for f in frames]
    tally.add("rows without a usable frame number, not read", frames.count(None))
    return frames


# --- reading --------------------------------------------------------------------------------------


def present(
    values: np.ndarray, min_score: float, tally: Tally, done: np.ndarray | bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """(..., K, 3) numbers -> keypoints with NaN where missing, scores with 0 there.

    A joint is missing at (0, 0), without a place, under ``min_score``, with a score of 0 unless it
    is among those that we completed, ``done`` (..., K), and at absurd places. A joint that has a
    place and no score was put there by hand, and its score is 1.
    """
    keypoints, scores = values[..., :2].copy(), values[..., 2].copy()
    scores[np.isnan(scores)] = 1.0
    missing = np.isnan(keypoints).any(-1) | (keypoints == 0).all(-1) | (scores < min_score)
    missing |= (scores == 0) & ~np.asarray(done)
    absurd = ~missing & ((np.abs(keypoints) > ABSURD).any(-1) | np.isinf(scores))
    tally.add("joints at absurd or unreadable places, read as holes", int(absurd.sum()))
    missing |= absurd
    keypoints[missing], scores[missing] = np.nan, 0.0
    return keypoints, scores


def track(
    person: Any, joints: Joints, names: Sequence[str], columns: Mapping[str, Sequence[int]],
    rows: dict[int, list[int]], values: np.ndarray, min_score: float, tally: Tally,
    fps: float | None = None, scale: tuple[float, float] = (1.0, 1.0),
    depths: Mapping[str, int] | None = None, is_space: bool = False,
) -> Track:
    """A person's track out of a table.

    Args:
      person: its id.
      joints: what the names stand for.
      names: the joints' names in the file.
      columns: name -> its columns of x, y and score; -1 where there is no score.
      rows: frame -> the rows that hold the person in it. Of several the one with most joints
        counts.
      values: (rows, columns) numbers of the whole table, in pixels.
      min_score: joints with a lower score are missing.
      tally: where decisions are counted.
      fps: frames per second.
      scale: pixels of 1 in the file.
      depths: name -> its column of the third axis.
      is_space: whether the joints are in space.
    """
    named = tuple(names[i] if i >= 0 else None for i in joints.source)
    places = np.array([columns[n] if n is not None else (-1, -1, -1) for n in named])
    frames = [frame for frame in sorted(rows) for _ in rows[frame]]
    index = np.array([row for frame in sorted(rows) for row in rows[frame]], int)
    padded = np.column_stack([values, np.full(len(values), np.nan)])  # the column -1
    keypoints, scores = present(padded[index[:, None, None], places[None]], min_score, tally)
    seen = np.isfinite(keypoints[..., 0]).sum(-1)
    best: dict[int, int] = {}
    for i, frame in enumerate(frames):
        if frame not in best or seen[i] > seen[best[frame]]:
            best[frame] = i
    tally.add("rows that repeat a person's frame, left as they are", len(frames) - len(best))
    kept = [i for i in best.values() if seen[i]]
    sequence = PoseSequence(
        keypoints[kept], scores[kept], fps, joints.skeleton.name,
        np.array([frames[i] for i in kept], np.int64), person,
    )
    return Track(
        sequence, {frame: int(index[i]) for frame, i in best.items()}, places, scale, named,
        depths=np.array([(depths or {}).get(name, -1) for name in named]), is_space=is_space,
    )


def turned(
    tracks: dict[Any, Track], path: Path, vertical: Vertical | None = None, default: bool = False,
    height: float = 0.0,
) -> tuple[dict[Any, Track], list[str]]:
    """Tracks with y turned over where it points up in the file, see ``axes``, and a note if it may.

    Args:
      tracks: of all people.
      path: of the file.
      vertical: what the user says.
      default: whether y points up where nobody is upright.
      height: of the picture, 0 where it is not known or there is none.

    Raises:
      InputError: z is to point up, and there is none.
    """
    if vertical == "z-up":
        raise InputError(f"{path}: no joint has a z; --vertical z-up needs one")
    up, notes = axes.is_turned((track.sequence for track in tracks.values()), vertical, default)
    return ({who: upside_down(t, height) for who, t in tracks.items()} if up else tracks), notes


def upside_down(track: Track, height: float = 0.0) -> Track:
    """A track with y turned over, in a picture of this height."""
    keypoints = track.sequence.keypoints * [1, -1] + [0, height]
    scale = (track.scale[0], -track.scale[1])
    sequence = track.sequence.replace(keypoints=keypoints)
    return dataclasses.replace(track, sequence=sequence, scale=scale, height=height)


def our_names(count: int, joints: Joints) -> list[str | None]:
    """Our name for each of ``count`` names of a file, None where we know none."""
    names: list[str | None] = [None] * count
    for joint, i in zip(joints.skeleton.joints, joints.source, strict=True):
        if i >= 0:
            names[i] = joint
    return names


def rate(
    header: Sequence[str], rows: Sequence[Sequence[str]], frames: Sequence[int | None]
) -> tuple[float | None, list[str]]:
    """Frames per second that a column of times tells, and a note; None without one that counts up.
    """
    at = column(header, TIMES)
    if at is None:
        return None, []
    first: dict[int, float] = {}
    for row, frame in zip(rows, frames, strict=True):
        if frame is not None:
            first.setdefault(frame, number(row[at]))
    order = sorted(first)
    times = np.array([first[frame] for frame in order])
    fps = by_times(np.array(order), times)
    if fps is None or len(order) < _TIMED:
        return None, []
    name = header[at].strip()
    if name.lower().endswith(("ms", "milliseconds")) or fps < 1:
        fps *= 1000
    if not 1 <= fps <= FASTEST:
        return None, []
    return fps, [f"{fps:.4g} {BY_COLUMN} {name}"]


def followed(
    people: Sequence[Any], frames: Sequence[int | None], values: np.ndarray, places: np.ndarray,
    min_score: float,
) -> tuple[list[Any], list[str]]:
    """Who is in which row. Those without id are one person where frames have one of them each.

    Args:
      people: id of every row, None where it has none.
      frames: frame of every row.
      values: (rows, columns) numbers of the whole table, in pixels.
      places: (K, 3) columns of x, y and score; -1 where there is none.
      min_score: joints with a lower score are missing.

    Returns:
      An id for every row, None for the one person without, and a note if they were tracked.
    """
    people = list(people)
    loose = [i for i, p in enumerate(people) if p is None and frames[i] is not None]
    seen = [frames[i] for i in loose]
    if len(set(seen)) == len(seen):
        return people, []
    padded = np.column_stack([values, np.full(len(values), np.nan)])
    poses, scores = present(padded[loose][:, places], min_score, Tally())
    ids = tracking.track(np.array(seen), poses, scores).tolist()
    taken = {str(person) for person in people}
    free = [i for i in range(len(ids) + len(taken)) if str(i) not in taken]
    for i, person in zip(loose, ids, strict=True):
        people[i] = free[person]
    count = tracking.counted(len(set(ids)))
    return people, [f"rows without an id: followed {count} by pose similarity"]


def relabelled(
    table: Table, moves: Mapping[tuple[Any, int], Any], person: int | None
) -> Table:
    """The same table with other people in some rows: (person, frame) as read -> who it is.

    Args:
      table: with a row per person and frame.
      moves: the rows that are another one's.
      person: column of the ids, None if there is none. Blank cells stay so.
    """
    rows, tracks = list(table.rows), dict(table.tracks)
    kept = {who: dict(track.rows) for who, track in tracks.items()}
    found = [(kept[old].pop(frame), frame, old, new) for (old, frame), new in moves.items()]
    for row, frame, old, new in found:
        kept.setdefault(new, {})[frame] = row
        tracks.setdefault(new, tracks[old])
        if person is not None and rows[row][person]:
            rows[row] = [*rows[row][:person], str(new), *rows[row][person + 1 :]]
    people = relabel(
        [t.sequence for t in table.tracks.values()], moves
    )
    for sequence in people:
        who = sequence.person
        tracks[who] = dataclasses.replace(tracks[who], sequence=sequence, rows=kept[who])
    return dataclasses.replace(table, rows=rows, tracks=tracks)


def pose_file(
    table: Table, path: Path, notes: Iterable[str], tally: Tally,
    shares_of: tuple[float, float] | None = None,
) -> PoseFile:
    """The people of a table. Raises InputError when none was seen.

    ``shares_of`` is the size of the picture that its coordinates are shares of.
    """
    people = tuple(t.sequence for t in table.tracks.values() if len(t.sequence))
    absent = [str(person) for person, t in table.tracks.items() if not len(t.sequence)]
    lines = [*dict.fromkeys(notes), *tally.notes()]
    if not people:
        reason = "; ".join(tally.notes()) or "no joint has a place and enough score"
        raise InputError(f"{path}: nothing to use: {reason}")
    if absent:
        lines.append(f"people without any joint are left out: {one_line(absent)}")
    return PoseFile(people, source=table, notes=tuple(lines), shares_of=shares_of)


# --- writing --------------------------------------------------------------------------------------


def updated(
    table: Table, file: PoseFile, new_row: Callable[[PoseSequence, int, Track], list[str]],
    shared: bool = False,
) -> list[list[str]] | None:
    """The table's rows with the numbers that are not as they were read, new frames in between.

    Args:
      table: the file as it was.
      file: what is to be written.
      new_row: (sequence, index of a frame, track) -> the row for a frame that the table lacks,
        its joints' cells blank.
      shared: whether one row holds all people of a frame.

    Returns:
      The rows; None when people or joints are others than the table has columns for.
    """
    if not all(fits(table.tracks, sequence) for sequence in file):
        return None
    rows = list(table.rows)
    digits = decimals_of(table)
    added: dict[int, list[list[str]]] = defaultdict(list)
    for sequence in file:
        track = table.tracks[sequence.person]
        changed = changes(track.sequence, sequence)
        values = cell_values(sequence, track.scale, track.height)
        came = those_that_came(track.sequence, sequence)
        for t in np.flatnonzero(changed.any((1, 2)) | _is_new(track, sequence)).tolist():
            frame = int(sequence.frames[t])
            index = track.rows.get(frame)
            if index is not None:
                rows[index] = row = list(rows[index])
            elif shared and added[frame]:
                row = added[frame][0]
            else:
                row = new_row(sequence, t, track)
                added[frame].append(row)
            _clear_depths(row, track, came[t])
            fill(row, track.columns, values[t], changed[t], digits)
    return merged(rows, table.frames, added)


def decimals_of(table: Table) -> Decimals:
    """Decimals of the numbers that are written into a table."""
    tracks = table.tracks.values()
    values = [cell_values(t.sequence, t.scale, t.height) for t in tracks]
    is_length = table.is_length or any(t.is_space for t in tracks)

    def cells(axes: slice) -> Iterator[str]:
        for track in tracks:
            columns = [c for c in track.columns[:, axes].ravel().tolist() if c >= 0]
            for row in track.rows.values():
                yield from map(table.rows[row].__getitem__, columns)

    return decimals.of(values, is_length, (cells(slice(2)), cells(slice(2, 3))))


def fill(
    row: list[str], columns: np.ndarray, values: np.ndarray, which: np.ndarray,
    digits: Decimals | None = None,
) -> None:
    """Writes a frame's numbers (K, 3) into their cells, those that ``which`` (K, 3) says.

    They are written in full where no decimals are given.
    """
    values = digits.rounded(values) if digits else values
    for k, c in np.argwhere(which & (columns >= 0)).tolist():
        value = values[k, c]
        row[columns[k, c]] = digits.text(value, c == 2) if digits else text(value)


def new_values(
    sequence: PoseSequence, scale: tuple[float, float] = (1.0, 1.0), height: float = 0.0
) -> np.ndarray:
    """``cell_values`` for a new table: in full what was observed, and no more digits for the rest.
    """
    values = cell_values(sequence, scale, height)
    done = completed(sequence.provenance)
    digits = decimals.of([np.where(done[..., None], np.nan, values)])
    return np.where(done[..., None], digits.rounded(values), values)


def cell_values(
    sequence: PoseSequence, scale: tuple[float, float] = (1.0, 1.0), height: float = 0.0
) -> np.ndarray:
    """(T, K, 3) x, y, score as cells hold them; NaN where a joint is missing.

    Args:
      sequence: in pixels.
      scale, height: as of a ``Track``.
    """
    return (triples(sequence) - [0, height, 0]) / [*scale, 1.0]


def every_frame(sequences: Iterable[PoseSequence], first: int | None = None) -> list[int]:
    """The frames from ``first`` (default: the first that there is) to the last.

    Programs count the rows of a table. Where that makes over a million rows, only frames that
    some sequence has.
    """
    frames = sorted({frame for sequence in sequences for frame in sequence.frames.tolist()})
    if not frames:
        return []
    start = frames[0] if first is None else min(first, frames[0])
    return list(range(start, frames[-1] + 1)) if frames[-1] - start < LONGEST else frames


def all_joints(file: PoseFile) -> list[str]:
    """The joints of all sequences, each once, for formats with one set of columns."""
    skeletons = dict.fromkeys(sequence.skeleton for sequence in file)
    return list(dict.fromkeys(j for name in skeletons for j in get_skeleton(name).joints))


def file_names(joints: Sequence[str], old: Track | None) -> list[str]:
    """Names for joints in a new table: those of the old one, else our own."""
    if old is None:
        return list(joints)
    known = dict(zip(get_skeleton(old.sequence.skeleton).joints, old.names, strict=True))
    beginning = shared_beginning([name for name in old.names if name])
    return [known.get(joint) or beginning + joint for joint in joints]


def distinct_people(
    file: PoseFile, path: Path, blank: bool = False
) -> list[int | str | None]:
    """A different id for every sequence; those without one are counted.

    Args:
      file: the sequences.
      path: where they go.
      blank: whether one sequence can do without.

    Raises:
      InputError: two sequences with the same id.
    """
    people = [sequence.person for sequence in file]
    given = [str(person) for person in people if person is not None]
    if len(set(given)) < len(given):
        raise InputError(f"{path}: two sequences have one person's id; give each its own")
    if blank and people.count(None) <= 1:
        return people
    free = (i for i in range(len(people)) if str(i) not in given)
    return [next(free) if person is None else person for person in people]


def fits(tracks: Mapping[Any, Track], sequence: PoseSequence) -> bool:
    """Whether a table has the person, their skeleton and columns for all that is seen of them."""
    track = tracks.get(sequence.person)
    if track is None or track.sequence.skeleton != sequence.skeleton:
        return False
    return not sequence.observed[:, track.columns[:, 0] < 0].any()


def triples(sequence: PoseSequence) -> np.ndarray:
    """(T, K, 3) x, y, score; all NaN where a joint is missing."""
    values = np.concatenate([sequence.keypoints, sequence.scores[..., None]], -1)
    values[~sequence.observed] = np.nan
    return values


def _clear_depths(row: list[str], track: Track, came: np.ndarray) -> None:
    """Blanks the third axis of joints that were missing in a row (K,) and are filled.

    In space it belonged to another place; elsewhere it stays, unless it says, with x and y, that
    the joint is missing: all three are 0.
    """
    depths = np.full(len(came), -1) if track.depths is None else track.depths
    for k in np.flatnonzero(came & (depths >= 0)).tolist():
        cells = [row[column] for column in (*track.columns[k, :2], depths[k])]
        if track.is_space or all(number(cell) == 0 for cell in cells):
            row[depths[k]] = ""


def those_that_came(before: PoseSequence, after: PoseSequence) -> np.ndarray:
    """(T, K) bool, joints of ``after`` that were missing before."""
    came = after.observed
    _, now, then = np.intersect1d(after.frames, before.frames, return_indices=True)
    came[now] &= ~before.observed[then]
    return came


def changes(before: PoseSequence, after: PoseSequence) -> np.ndarray:
    """(T, K, 3) bool, numbers of ``after`` that are others than before.

    All three of a joint that came or went count as changed.
    """
    new, old = triples(after), np.full((*after.scores.shape, 3), np.nan)
    place = {frame: i for i, frame in enumerate(before.frames.tolist())}
    both = [(t, place[f]) for t, f in enumerate(after.frames.tolist()) if f in place]
    to, source = np.array(both, int).reshape(-1, 2).T
    old[to] = triples(before)[source]
    changed = (new != old) & ~(np.isnan(new) & np.isnan(old))
    return changed | (np.isnan(new) != np.isnan(old)).any(-1, keepdims=True)


def _is_new(track: Track, sequence: PoseSequence) -> np.ndarray:
    """(T,) bool, frames with something in them that the table has no row for."""
    lacking = np.array([frame not in track.rows for frame in sequence.frames.tolist()], bool)
    return lacking & sequence.observed.any(-1)


def merged(
    rows: list[list[str]], frames: list[int | None], added: Mapping[int, list[list[str]]]
) -> list[list[str]]:
    """Every new row after the last old one of its frame, or of the nearest frame before."""
    if not added:
        return rows
    last = {frame: i for i, frame in enumerate(frames) if frame is not None}
    known = np.array(sorted(last))
    after: dict[int, list[list[str]]] = defaultdict(list)
    for frame in sorted(added):
        at = int(np.searchsorted(known, frame, "right"))
        after[last[int(known[at - 1])] if at else -1] += added[frame]
    result = after[-1]
    for i, row in enumerate(rows):
        result += [row, *after[i]]
    return result
