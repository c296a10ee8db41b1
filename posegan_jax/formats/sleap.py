"""SLEAP's analysis CSV: a row per instance, columns ``<node>.x``, ``<node>.y``, ``<node>.score``.

Before them stand ``track`` (blank without tracking), ``frame_idx`` and ``instance.score``. The
order of columns is free, and others may come along.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats import decimals, picture, scores, table, textfile
from posegan_jax.formats.axes import Vertical
from posegan_jax.formats.format import Format
from posegan_jax.formats.joint_names import not_in_file, resolve
from posegan_jax.formats.table import Table, Tally, Track
from posegan_jax.pose.sequence import PoseFile, PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

_FRAME, _TRACK, _SCORE = "frame_idx", "track", "instance.score"
_NODE = (".x", ".y", ".score")


def sniff(path: Path) -> bool:
    """Whether the first line has a column frame_idx and one that ends in .x."""
    cells = textfile.first_cells(path)
    return _FRAME in cells and any(cell.endswith(".x") for cell in cells)


def read(
    path: Path, min_score: float, names: Mapping[str, str] | None = None,
    image_size: tuple[float, float] | None = None, vertical: Vertical | None = None,
) -> PoseFile:
    """Reads the tracks of a file; instances without a track are followed by their poses.

    Args:
      path: the file.
      min_score: nodes with a lower score, and those at (0, 0), are missing.
      names: {file's name: our name} of joints, before the rule of ``joint_names``.
      image_size: (width, height) in pixels, for coordinates that are shares of the picture.
      vertical: which way y points.

    Raises:
      InputError: a column or a row is not what SLEAP writes, or nobody was seen.
    """
    (first, *rows), style = textfile.load_csv(path)
    header = _stripped(first)
    columns = _nodes(header, path)
    if not rows:
        raise InputError(f"{path}: a header and no instances; is the file cut off?")
    tally = Tally()
    values = table.numbers(rows)
    guessed: list[str] = []
    if all(score < 0 for *_, score in columns.values()):
        found, guessed = scores.guess(header, columns, values)
        columns = {node: (x, y, found.get(node, -1)) for node, (x, y, _) in columns.items()}
    at = header.index(_FRAME)
    frames = table.near_frames([table.whole(row[at]) for row in rows], tally)
    nodes = list(columns)
    joints = resolve(nodes, path, names)
    places = np.array(list(columns.values()))
    size, sized = picture.pixels_of(values[:, places[:, :2]], image_size, assumed=False)
    if size is not None:
        with np.errstate(over="ignore"):  # what is no place anyway
            values[:, places[:, :2]] *= size
    track = header.index(_TRACK) if _TRACK in header else None
    people = [None if track is None else table.person_id(row[track]) for row in rows]
    people, notes = table.followed(people, frames, values, places, min_score)
    instances: dict = defaultdict(lambda: defaultdict(list))
    for i, (person, frame) in enumerate(zip(people, frames, strict=True)):
        if frame is not None:
            instances[person][frame].append(i)
    tracks = {
        person: table.track(
            person, joints, nodes, columns, by_frame, values, min_score, tally,
            scale=size or (1.0, 1.0),
        )
        for person, by_frame in instances.items()
    }
    height = float((size or image_size or (0.0, 0.0))[1])
    tracks, turned = table.turned(tracks, path, vertical, height=height)
    used = {i for place in columns.values() for i in place}
    used |= {i for i, cell in enumerate(header) if cell in (_FRAME, _TRACK, _SCORE)}
    notes += not_in_file(names, nodes)
    notes = [*joints.notes, *notes, *guessed, *sized, *turned]
    notes += scores.unused(header, used, columns)
    return table.pose_file(
        Table([first], rows, frames, tracks, style), path, notes, tally, size
    )


def write(file: PoseFile, path: Path) -> None:
    """Writes the table that was read, with the numbers that changed, new frames in their places.

    For other people or other joints, and for sequences from elsewhere, it is a new table with the
    joints of all of them.

    Raises:
      InputError: two sequences with the same id.
    """
    source = file.source or Table([], [], [], {})
    rows = None
    if file.source:
        rows = table.updated(source, file, lambda *new: _new_row(source, *new))
    rows = _new_table(file, source, path) if rows is None else [*source.header, *rows]
    textfile.save_csv(rows, path, source.style)


def _stripped(header: list[str]) -> list[str]:
    return [cell.strip() for cell in header]


def _nodes(header: list[str], path: Path) -> dict[str, tuple[int, ...]]:
    """node -> columns of x, y and score (-1: there is none)."""
    if len(set(header)) < len(header):
        double = next(cell for cell in header if header.count(cell) > 1)
        raise InputError(f"{path}: two columns are called {double!r}")
    index = {cell: i for i, cell in enumerate(header)}
    nodes = [cell[:-2] for cell in header if cell.endswith(".x") and cell[:-2] + ".y" in index]
    if not nodes or _FRAME not in index:
        raise InputError(f"{path}: no node has an x and a y column; is the header cut off?")
    if all(re.match(r"inst\d+\.", node) for node in nodes):
        raise InputError(
            f"{path}: a row holds all instances of a frame; write it with a row for each of them, "
            "sleap-io's csv_format 'sleap' or 'instances'"
        )
    return {node: tuple(index.get(node + end, -1) for end in _NODE) for node in nodes}


# --- writing --------------------------------------------------------------------------------------


def _mean_score(sequence: PoseSequence, t: int) -> float:
    seen = sequence.scores[t][np.isfinite(sequence.keypoints[t, :, 0])]
    return round(float(seen.mean()), decimals.SCORES[1])


def _new_row(source: Table, sequence: PoseSequence, t: int, track: Track) -> list[str]:
    """After another row of the track, its nodes and the cells of that instance alone blank."""
    header = _stripped(source.header[0])
    like = source.rows[next(iter(track.rows.values()))]
    row = [""] * len(header)
    for name, cell in ((_FRAME, str(sequence.frames[t])), (_SCORE, None), (_TRACK, None)):
        if name in header:
            i = header.index(name)
            row[i] = cell or (like[i] if name == _TRACK else table.text(_mean_score(sequence, t)))
    return row


def _new_table(file: PoseFile, source: Table, path: Path) -> list[list[str]]:
    people = table.distinct_people(file, path, blank=True)
    joints = table.all_joints(file)
    old = next(iter(source.tracks.values()), None)
    scale, height = (old.scale, old.height) if old else ((1.0, 1.0), 0.0)
    names = table.file_names(joints, old)
    header = [_TRACK, _FRAME, _SCORE, *(name + end for name in names for end in _NODE)]
    columns = 3 + np.arange(3 * len(joints)).reshape(-1, 3)
    before = _stripped(source.header[0]) if source.header else []
    score = before.index(_SCORE) if _SCORE in before else None
    rows = []
    for sequence, person in zip(file, people, strict=True):
        values = table.new_values(sequence, scale, height)
        places = columns[[joints.index(joint) for joint in get_skeleton(sequence.skeleton).joints]]
        known = source.tracks[sequence.person].rows if sequence.person in source.tracks else {}
        for t in np.flatnonzero(sequence.observed.any(-1)).tolist():
            frame = int(sequence.frames[t])
            own = source.rows[known[frame]][score] if score is not None and frame in known else ""
            own = own or table.text(_mean_score(sequence, t))
            row = ["" if person is None else str(person), str(frame), own]
            row += [""] * columns.size
            table.fill(row, places, values[t], ~np.isnan(values[t]))
            rows.append((frame, row))
    return [header, *(row for _, row in sorted(rows, key=lambda pair: pair[0]))]


def _relabelled(source: Table, moves: Mapping) -> Table:
    header = _stripped(source.header[0])
    return table.relabelled(source, moves, header.index(_TRACK) if _TRACK in header else None)


FORMAT = Format(
    name="sleap", sniff=sniff, read=read, write=write,
    suffixes=(".csv",),
    # SLEAP's own ``peak_threshold``: below it, it gives a node no place.
    min_score=0.2,
    relabel=_relabelled,
)
