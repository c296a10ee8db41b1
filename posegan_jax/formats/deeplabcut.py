"""DeepLabCut tables: a row per frame, x, y and likelihood of every body part in columns.

Three rows of header say ``scorer``, ``bodyparts`` and ``coords`` of each column, or four where
``individuals`` come between. The first column, or the first three of hand-labelled files, is the
frame: a number or the path of an image. LightningPose writes the same.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats import picture, scores, table, textfile
from posegan_jax.formats.axes import Vertical
from posegan_jax.formats.format import Format
from posegan_jax.formats.joint_names import not_in_file, one_line, resolve
from posegan_jax.formats.jsonfile import FrameNames, frame_numbers
from posegan_jax.formats.table import Table, Tally, Track
from posegan_jax.pose.sequence import PoseFile, PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

_COORDS = ("x", "y", "likelihood")


def sniff(path: Path) -> bool:
    """Whether the first cell is 'scorer'."""
    return textfile.first_cells(path)[:1] == ["scorer"]


def read(
    path: Path, min_score: float, names: Mapping[str, str] | None = None,
    image_size: tuple[float, float] | None = None, vertical: Vertical | None = None,
) -> PoseFile:
    """Reads the individuals of a file; one without individuals holds one person without id.

    Args:
      path: the file.
      min_score: body parts with a lower likelihood, and those at (0, 0), are missing.
      names: {file's name: our name} of joints, before the rule of ``joint_names``.
      image_size: (width, height) in pixels, for coordinates that are shares of the picture.
      vertical: which way y points.

    Raises:
      InputError: the header or a row is not what DeepLabCut writes, or nobody was seen.
    """
    rows, style = textfile.load_csv(path)
    levels = [row[0] for row in rows[:4]]
    length = levels.index("coords") + 1 if "coords" in levels else 0
    if "bodyparts" not in levels[:length]:
        raise InputError(f"{path}: the header has no bodyparts or no coords; is the file cut off?")
    header, rows = rows[:length], rows[length:]
    width = _index_width(header)
    if not width:
        raise InputError(f"{path}: no columns of x and y in the row of coords")
    if not rows:
        raise InputError(f"{path}: a header and no frames; is the file cut off?")
    tally = Tally()
    frames, notes = _frames(rows, width, tally)
    by_frame = defaultdict(list)
    for i, frame in enumerate(frames):
        if frame is not None:
            by_frame[frame].append(i)
    values = table.numbers(rows)
    people, unused = columns_of(header, path)
    places = np.array([place[:2] for columns in people.values() for place in columns.values()])
    size, sized = picture.pixels_of(values[:, places], image_size, assumed=False)
    if size is not None:
        with np.errstate(over="ignore"):  # what is no place anyway
            values[:, places] *= size
    tracks = {}
    for person, columns in people.items():
        joints = resolve(list(columns), path, names)
        notes += joints.notes
        tracks[person] = table.track(
            person, joints, list(columns), columns, by_frame, values, min_score, tally,
            scale=size or (1.0, 1.0),
        )
    height = float((size or image_size or (0.0, 0.0))[1])
    tracks, turned = table.turned(tracks, path, vertical, height=height)
    every = {part for columns in people.values() for part in columns}
    notes += [*not_in_file(names, every), *sized, *turned, *unused]
    return table.pose_file(Table(header, rows, frames, tracks, style), path, notes, tally, size)


def write(file: PoseFile, path: Path) -> None:
    """Writes the table that was read, with the numbers that changed.

    For other people or other joints, and for sequences from elsewhere, it is a new table: one row
    for every frame from 0, or from the first one below, to the last; without individuals for a
    single person without id.

    Raises:
      InputError: two sequences with the same id.
    """
    source = file.source or Table([], [], [], {})
    rows = None
    if file.source:
        rows = table.updated(source, file, _row_maker(source), shared=True)
    rows = _new_table(file, source, path) if rows is None else [*source.header, *rows]
    textfile.save_csv(rows, path, source.style)


def _index_width(header: list[list[str]]) -> int:
    """Number of columns before the first body part, 0 if there is none."""
    return next((i for i, coord in enumerate(header[-1]) if coord in (*_COORDS, "z")), 0)


def _frames(
    rows: list[list[str]], width: int, tally: Tally
) -> tuple[list[int | None], list[str]]:
    """Frame of every row: its number, or the last one in the name of its image."""
    cells = [row[width - 1] for row in rows]
    known = [table.whole(cell) for cell in cells]
    if known.count(None) <= len(known) / 2:
        return table.near_frames(known, tally), []
    return frame_numbers(cells)


def columns_of(
    header: list[list[str]], path: Path
) -> tuple[dict[int | str | None, dict[str, tuple[int, int, int]]], list[str]]:
    """person -> body part -> columns of x, y and likelihood (-1: there is none).

    The likelihood may have another name of a score. A note names the coords without use.
    """
    levels = {row[0]: row for row in header}
    found: dict = defaultdict(lambda: defaultdict(dict))
    for i in range(_index_width(header), len(header[0])):
        person = table.person_id(levels["individuals"][i]) if "individuals" in levels else None
        part, coord = levels["bodyparts"][i], levels["coords"][i]
        if coord == "z":
            raise InputError(f"{path}: 3D coordinates; give the 2D file of one camera")
        if coord in found[person][part]:
            raise InputError(f"{path}: column {i + 1} is a second {coord!r} of {part!r}")
        found[person][part][coord] = i
    unused: dict[str, None] = {}
    for parts in found.values():
        for part, coords in parts.items():
            if "x" not in coords or "y" not in coords:
                raise InputError(f"{path}: body part {part!r} has no x or no y column")
            others = [coord for coord in coords if coord not in _COORDS]
            score = "likelihood"
            if score not in coords:
                score = next(filter(scores.is_like_one, others), score)
            unused |= dict.fromkeys(coord for coord in others if coord != score)
            parts[part] = (coords["x"], coords["y"], coords.get(score, -1))
    notes = [f"coords that are not used: {one_line(unused)}"] if unused else []
    return {person: dict(parts) for person, parts in found.items()}, notes


# --- writing --------------------------------------------------------------------------------------


def _row_maker(source: Table) -> Callable[[PoseSequence, int, Track], list[str]]:
    """What makes the row of a frame that the source lacks: all blank but for the frame."""
    width = _index_width(source.header)
    example = source.rows[0]
    known = zip(source.frames, source.rows, strict=True)
    image = FrameNames({frame: row[width - 1] for frame, row in known if frame is not None})
    counts = table.whole(example[width - 1]) is not None

    def new_row(sequence: PoseSequence, t: int, track: Track) -> list[str]:
        frame = int(sequence.frames[t])
        name = str(frame) if counts else image(frame)
        return [*example[: width - 1], name, *[""] * (len(example) - width)]

    return new_row


def _new_table(file: PoseFile, source: Table, path: Path) -> list[list[str]]:
    people = table.distinct_people(file, path)
    scorer = source.header[0][-1] if source.header else "posegan"
    alone = len(file) == 1 and file[0].person is None
    header = [["scorer"], ["individuals"], ["bodyparts"], ["coords"]]
    frames = table.every_frame(file, 0)
    rows = {frame: [str(frame)] for frame in frames}
    for sequence, person in zip(file, people, strict=True):
        joints = get_skeleton(sequence.skeleton).joints
        old = source.tracks.get(sequence.person)
        for part in table.file_names(joints, old):
            for line, cell in zip(header, (scorer, str(person), part), strict=False):
                line += [cell] * 3
            header[3] += _COORDS
        start, width = len(rows[frames[0]]) if frames else 1, 3 * len(joints)
        for row in rows.values():
            row += [""] * width
        columns = start + np.arange(width).reshape(-1, 3)
        like = old or next(iter(source.tracks.values()), None)
        scale, height = (like.scale, like.height) if like else ((1.0, 1.0), 0.0)
        values = table.new_values(sequence, scale, height)
        for t, frame in enumerate(sequence.frames.tolist()):
            table.fill(rows[frame], columns, values[t], ~np.isnan(values[t]))
    return [header[0], *([] if alone else [header[1]]), *header[2:], *rows.values()]


FORMAT = Format(
    name="deeplabcut", sniff=sniff, read=read, write=write,
    suffixes=(".csv",),
    # DeepLabCut's own ``pcutoff``: below it, its plots and videos leave a body part out.
    min_score=0.6,
)
