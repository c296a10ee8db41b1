"""TRC, the marker files of OpenSim, Pose2Sim and Sports2D: tabs, a row per frame, X, Y, Z a marker.

Five lines of header name the rates, the number of frames and markers, the units and the markers; a
blank line may follow. Scores there are none. The picture is the plane of X and Y, in the file's
own units. Markers in space are seen from along Z, or from along Y where Z points up. The axis that
is not the picture's stays as it is, and a joint that is filled has no number on it.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats import axes, table, textfile
from posegan_jax.formats.axes import Vertical
from posegan_jax.formats.format import Format
from posegan_jax.formats.joint_names import Joints, not_in_file, one_line, resolve
from posegan_jax.formats.table import Table, Tally, Track
from posegan_jax.pose.rate import by_times, disagreement
from posegan_jax.pose.sequence import PoseFile, PoseSequence
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.runtime.files import atomic_path

PIXELS = "px"
"""Units of a picture's markers. Their Y points down, as Sports2D writes it."""

_AXES = "XYZ"


def sniff(path: Path) -> bool:
    """Whether the first word is PathFileType."""
    return "".join(textfile.head(path)[:1]).split("\t")[0].strip() == "PathFileType"


def read(
    path: Path, min_score: float | None = None, names: Mapping[str, str] | None = None,
    vertical: Vertical | None = None,
) -> PoseFile:
    """Reads the one person of a file.

    Args:
      path: the file.
      min_score: means nothing here.
      names: {file's name: our name} of joints, before the rule of ``joint_names``.
      vertical: the axis that is the picture's y, and which way it points.

    Raises:
      InputError: the header or a row is not that of a TRC file, or no marker has a place.
    """
    text, newline = textfile.load(path)
    header, rows = _split(text, path)
    markers = _markers(header, path)
    width = 2 + 3 * len(markers)
    for i, row in enumerate(rows):
        if len(row) < width or any(cell.strip() for cell in row[width:]):
            raise InputError(
                f"{path}: frame {row[0].strip()} (row {i + 1}) has {len(row)} cells where "
                f"{len(markers)} markers need {width}; is the file cut off?"
            )
    tally = Tally()
    frames = table.near_frames([table.whole(row[0]) for row in rows], tally)
    by_frame: dict[int, list[int]] = {}
    for i, frame in enumerate(frames):
        if frame is not None:
            by_frame.setdefault(frame, []).append(i)
    values = table.numbers([row[:width] for row in rows])
    joints = resolve(markers, path, names)
    is_px = _field(header, "Units").lower() == PIXELS
    is_z_up = vertical == "z-up" or (
        vertical is None and not is_px and _is_z_up(values, markers, joints)
    )
    up = 2 if is_z_up else 1
    columns = {name: (2 + 3 * i, 2 + up + 3 * i, -1) for i, name in enumerate(markers)}
    found = table.track(
        None, joints, markers, columns, by_frame, values, 0.0, tally, _rate(header),
        depths={name: 5 - up + 3 * i for i, name in enumerate(markers)},
        is_space=_in_space(rows, 3 - up),
    )
    tracks = {None: found}
    if is_z_up:
        tracks, turned = {None: table.upside_down(found)}, ["Z points up and is turned over"]
    elif is_px and vertical is None:
        turned = []
    else:
        tracks, turned = table.turned(tracks, path, vertical, default=True)
    notes = [*joints.notes, *not_in_file(names, markers), *_about(header, rows, up), *turned]
    notes += _times(header, frames, values[:, 1])
    whole = Table(header, rows, frames, tracks, textfile.Style(newline, "\t"), not is_px)
    return table.pose_file(whole, path, notes, tally)


def write(file: PoseFile, path: Path) -> None:
    """Writes the file that was read, with the numbers that changed and new frames in between.

    With other joints, and for a sequence from elsewhere, it is a new file: pixels, Y pointing
    down and Z = 0, unless it was read from a TRC file, whose units and axes it then keeps.

    Raises:
      InputError: not exactly one sequence, or one without fps for a new file.
    """
    if len(file) != 1:
        raise InputError(
            f"{path}: a TRC file holds one person, not {len(file)}; write each alone, e.g. with "
            "--person"
        )
    source = file.source
    rows = None
    if source is not None:
        rows = table.updated(source, file, lambda *new: _new_row(source, *new))
    if rows is None:
        rows = _new_file(file[0], source, path)
    else:
        _add_depths(source, rows)
        rows = [*_counted(source.header, len(source.rows), len(rows)), *rows]
    _save(rows, path, source.style.newline if source else "\n")


# --- header ---------------------------------------------------------------------------------------


def _split(text: str, path: Path) -> tuple[list[list[str]], list[list[str]]]:
    """Header, with the blank line after it if there is one, and rows that are not blank."""
    lines = [line.split("\t") for line in text.split("\n")]
    lines = [[*line[:-1], line[-1].removesuffix("\r")] for line in lines]
    length = 6 if len(lines) > 5 and not any(cell.strip() for cell in lines[5]) else 5
    rows = [line for line in lines[length:] if any(cell.strip() for cell in line)]
    if len(lines) < 5 or not rows:
        raise InputError(f"{path}: a TRC header and no frames; is the file cut off?")
    return lines[:length], rows


def _markers(header: list[list[str]], path: Path) -> list[str]:
    """The markers' names, as often as the line below counts them."""
    names = [cell.strip() for cell in header[3][2:] if cell.strip()]
    axes = [cell.strip()[:1].upper() for cell in header[4] if cell.strip()]
    if not names or len(axes) != 3 * len(names) or axes != ["X", "Y", "Z"] * len(names):
        raise InputError(
            f"{path}: line 4 names {len(names)} markers and line 5 has {len(axes)} columns of X, "
            "Y, Z; is the header cut off?"
        )
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: two markers are called {double!r}")
    return names


def _field(header: list[list[str]], name: str) -> str:
    keys = [cell.strip() for cell in header[1]]
    values = header[2] + [""] * len(keys)
    return values[keys.index(name)].strip() if name in keys else ""


def _rate(header: list[list[str]]) -> float | None:
    rate = table.number(_field(header, "DataRate") or _field(header, "CameraRate"))
    return float(rate) if np.isfinite(rate) and rate > 0 else None


def _times(header: list[list[str]], frames: list[int | None], times: np.ndarray) -> list[str]:
    known = [i for i, frame in enumerate(frames) if frame is not None]
    found = by_times(np.array([frames[i] for i in known]), times[known])
    return disagreement("the times of its rows are those of", found, _rate(header))


def _about(header: list[list[str]], rows: list[list[str]], up: int) -> list[str]:
    units = _field(header, "Units") or "unknown units"
    plane, depth = f"X and {_AXES[up]}", _AXES[3 - up]
    notes = [f"{plane} are read as the picture, in the file's own units ({one_line([units])})"]
    if _in_space(rows, 3 - up):
        notes.append(f"the markers are in space: their {depth} stays, and a filled joint has none")
    return notes


def _in_space(rows: list[list[str]], depth: int) -> bool:
    """Whether any marker has another number than 0 on this axis, which is not the picture's."""
    width = min(map(len, rows))  # some rows end in more blanks than others
    numbers = table.numbers([row[2 + depth : width : 3] for row in rows])
    return bool((np.isfinite(numbers) & (numbers != 0)).any())


def _is_z_up(values: np.ndarray, markers: list[str], joints: Joints) -> bool:
    places = values[:, 2:].reshape(len(values), -1, 3).copy()
    places[(places == 0).all(-1)] = np.nan
    places[~np.isfinite(places)] = np.nan
    ours = table.our_names(len(markers), joints)
    return axes.is_z_up(places, ours)


# --- writing --------------------------------------------------------------------------------------


def _counted(header: list[list[str]], before: int, after: int) -> list[list[str]]:
    """The header with its number of frames brought up to date, where it was right before."""
    keys = [cell.strip() for cell in header[1]]
    values = list(header[2])
    for key in ("NumFrames", "OrigNumFrames"):
        if key in keys and _field(header, key) == str(before):
            values[keys.index(key)] = str(after)
    return [*header[:2], values, *header[3:]]


def _time(source: Table | None, frame: int, fps: float) -> str:
    """Seconds of a frame, counted from the source's first one."""
    if source is not None:
        first = next((i for i, f in enumerate(source.frames) if f is not None), None)
        start = table.number(source.rows[first][1]) if first is not None else np.nan
        if np.isfinite(start):
            return table.text(start + (frame - source.frames[first]) / fps)
    return table.text(frame / fps)


def _new_row(source: Table, sequence: PoseSequence, t: int, track: Track) -> list[str]:
    row = [""] * len(source.rows[0])
    frame = int(sequence.frames[t])
    row[0] = str(frame)
    if sequence.fps:
        row[1] = _time(source, frame, sequence.fps)
    return row


def _add_depths(source: Table, rows: list[list[str]]) -> None:
    """Depth of the markers that came or went: none without a place, 0 unless they are in space."""
    up = _up(source)
    new = "" if _in_space(source.rows, 3 - up) else "0.0"
    old = {id(row) for row in source.rows}
    for row in rows:
        for i in range(2, len(row) - 2, 3) if id(row) not in old else ():
            if not row[i] and not row[i + up]:
                row[i + 3 - up] = ""
            elif np.isnan(table.number(row[i + 3 - up])):
                row[i + 3 - up] = new


def _up(source: Table) -> int:
    """The axis that is the picture's y: 1 or 2."""
    places = source.tracks[None].columns
    return int((places[:, 1] - places[:, 0]).max(initial=1))


def _new_file(sequence: PoseSequence, source: Table | None, path: Path) -> list[list[str]]:
    """The lines of a new file, in the units and axes of the old one if there is one.

    Raises:
      InputError: the sequence has no fps.
    """
    fps = sequence.fps
    if fps is None:
        raise InputError(f"{path}: a TRC file needs frames per second; give them, e.g. --fps 25")
    joints = get_skeleton(sequence.skeleton).joints
    old = source.tracks[None] if source else None
    names = table.file_names(joints, old)
    frames = table.every_frame([sequence])
    rate, units = table.text(fps), (_field(source.header, "Units") or PIXELS) if source else PIXELS
    count = str(len(frames))
    header = [
        ["PathFileType", "4", "(X/Y/Z)", path.name],
        ["DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units", "OrigDataRate",
         "OrigDataStartFrame", "OrigNumFrames"],
        [rate, rate, count, str(len(joints)), units, rate,
         str(frames[0] if frames else 0), count],
        ["Frame#", "Time", *(cell for name in names for cell in (name, "", ""))],
        ["", "", *(f"{axis}{i + 1}" for i in range(len(joints)) for axis in "XYZ")],
    ]
    up = _up(source) if source else 1
    columns = np.array([(2 + 3 * i, 2 + up + 3 * i, -1) for i in range(len(joints))])
    columns = columns.reshape(-1, 3)
    values = table.new_values(sequence, old.scale if old else (1.0, 1.0))
    place = {frame: t for t, frame in enumerate(sequence.frames.tolist())}
    depth = _depths(source, names)
    rows = []
    for frame in frames:
        row = [str(frame), _time(source, frame, fps), *[""] * (3 * len(joints))]
        if frame in place:
            t = place[frame]
            table.fill(row, columns, values[t], ~np.isnan(values[t]))
            for k in np.flatnonzero(~np.isnan(values[t, :, 0])).tolist():
                row[5 - up + 3 * k] = depth(frame, k)
        rows.append(row)
    return [*header, *rows]


def _depths(source: Table | None, names: list[str]):
    """(frame, joint) -> the cell of the depth: the source's own where it is in space, else 0."""
    if source is None or not _in_space(source.rows, 3 - _up(source)):
        return lambda frame, k: "0.0"
    old = [cell.strip() for cell in source.header[3][2:] if cell.strip()]
    columns = {name: 5 - _up(source) + 3 * i for i, name in enumerate(old)}
    rows = source.tracks[None].rows

    def depth(frame: int, k: int) -> str:
        known = frame in rows and names[k] in columns
        return source.rows[rows[frame]][columns[names[k]]] if known else ""

    return depth


def _save(rows: list[list[str]], path: Path, newline: str) -> None:
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as handle,
    ):
        handle.writelines("\t".join(row) + newline for row in rows)


FORMAT = Format(
    name="trc", sniff=sniff, read=read, write=write,
    suffixes=(".trc",), default_for=(".trc",), in_pixels=False,
)
