"""HDF5 files of DeepLabCut (``.h5`` beside its tables) and of SLEAP (analysis files).

DeepLabCut's are tables of pandas, with the columns of its CSV; SLEAP's hold ``tracks``, places by
track, axis, node and frame, ``point_scores`` and names. Needs the optional package h5py. What
pandas stores as pickle, the names of columns, is read without unpickling.
"""

import dataclasses
import io
import json
import pickletools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats import deeplabcut, movement, table
from posegan_jax.formats.format import Format
from posegan_jax.formats.joint_names import resolve
from posegan_jax.formats.jsonfile import frame_numbers
from posegan_jax.formats.table import Table, Tally, Track
from posegan_jax.pose.sequence import PoseFile
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.runtime.files import atomic_path

MIN_SCORE = {"deeplabcut": 0.6, "sleap": 0.2}
"""As for their tables."""

_OTHERWISE = "of DeepLabCut give the .csv, of SLEAP the analysis CSV"
_SLEAP = ("track", "xy", "node", "frame")  # the axes of tracks, where nothing names them
_SCORES = "point_scores"


@dataclasses.dataclass(frozen=True)
class _Numbers:
    """What a file holds, as a table.

    Attributes:
      kind: whose file it is.
      values: (rows, columns) numbers.
      frames: frame of every row.
      columns: person -> body part -> columns of x, y and score; -1 where there is none.
      save: (open file, values) -> None: writes the numbers back.
    """

    kind: str
    values: np.ndarray
    frames: list[int]
    columns: dict[Any, dict[str, tuple[int, int, int]]]
    save: Callable[[Any, np.ndarray], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source(Table):
    """A file as it was read: a table without cells of text.

    Attributes:
      content: its bytes.
      numbers: what they hold.
    """

    content: bytes
    numbers: _Numbers


def sniff(path: Path) -> bool:
    """Whether the file is HDF5 and does not say that it is netCDF."""
    return movement.is_hdf5(path) and not movement.is_netcdf4(path)


def read(
    path: Path, min_score: float | None = None, names: Mapping[str, str] | None = None
) -> PoseFile:
    """Reads the individuals or tracks of a file.

    Args:
      path: the file.
      min_score: joints with a lower score, and those at (0, 0), are missing.
      names: {file's name: our name} of joints, before the rule of ``joint_names``.

    Raises:
      InputError: h5py is not installed, the file is damaged or another program's, or nobody was
        seen.
    """
    h5py = _h5py(path)
    try:
        movement.check_sizes(path)
        with h5py.File(path, "r") as handle:
            numbers = _numbers(handle, path)
    except InputError:
        raise
    except Exception as error:  # h5py raises a dozen kinds
        line = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: HDF5 that cannot be read ({line}), and not movement's netCDF; {_OTHERWISE}"
        ) from error
    tally, notes = Tally(), []
    limit = MIN_SCORE[numbers.kind] if min_score is None else min_score
    rows: dict[int, list[int]] = {}
    for i, frame in enumerate(numbers.frames):
        rows.setdefault(frame, []).append(i)
    tracks: dict[Any, Track] = {}
    for person, columns in numbers.columns.items():
        joints = resolve(list(columns), path, names)
        notes += joints.notes
        tracks[person] = table.track(
            person, joints, list(columns), columns, rows, numbers.values, limit, tally
        )
    whole = Source([], [], [*numbers.frames], tracks, content=path.read_bytes(), numbers=numbers)
    return table.pose_file(whole, path, notes, tally)


def write(file: PoseFile, path: Path) -> None:
    """Writes the file that was read, with the numbers that changed.

    New files, and with other people, joints or frames those of SLEAP, are analysis files of SLEAP.

    Raises:
      InputError: h5py is not installed, or a file of DeepLabCut would get other people, joints or
        frames.
    """
    h5py = _h5py(path)
    source = file.source
    values = _updated(source, file) if source else None
    if values is None and source and source.numbers.kind == "deeplabcut":
        raise InputError(
            f"{path}: numbers of DeepLabCut's HDF5 can change, but not its people, joints and "
            "frames; write its table: --format deeplabcut and a name that ends in .csv"
        )
    with atomic_path(path) as temporary:
        if values is None:
            with h5py.File(temporary, "w") as handle:
                _write_new(handle, file, source, path)
            return
        temporary.write_bytes(source.content)
        if np.array_equal(values, source.numbers.values, equal_nan=True):
            return
        with h5py.File(temporary, "r+") as handle:
            source.numbers.save(handle, values)


def _h5py(path: Path) -> Any:
    try:
        import h5py
    except ImportError:
        raise InputError(
            f"{path}: HDF5, not movement's netCDF; {_OTHERWISE}, or pip install "
            "'posegan_jax[hdf5]'"
        ) from None
    return h5py


def _numbers(handle: Any, path: Path) -> _Numbers:
    """What an open file holds. Raises InputError for other programs' files."""
    if "tracks" in handle and "node_names" in handle:
        return _of_sleap(handle, path)
    tables = [
        name for name in handle
        if str(_text(getattr(handle[name], "attrs", {}).get("pandas_type"))).startswith("frame")
    ]
    if tables:
        return _of_deeplabcut(handle, tables[0], path)
    if "pred_points" in handle or "points" in handle and "instances" in handle:
        raise InputError(
            f"{path}: a project of SLEAP; export an analysis file, HDF5 or CSV, from it"
        )
    held = ", ".join(map(str, handle)) or "nothing"
    raise InputError(
        f"{path}: HDF5, but neither movement's netCDF, nor a table of DeepLabCut or an analysis "
        f"file of SLEAP (it holds {held[:100]}); {_OTHERWISE}"
    )


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


# --- SLEAP ----------------------------------------------------------------------------------------


def _of_sleap(handle: Any, path: Path) -> _Numbers:
    """The numbers of a SLEAP analysis file. Raises InputError where its arrays do not fit."""
    places = handle["tracks"]
    nodes = [str(_text(name)) for name in handle["node_names"][()].tolist()]
    order = _axes(places, len(nodes), path)
    array = np.asarray(places[()], np.float64).transpose(order)  # frame, track, node, xy
    frames, tracks = array.shape[:2]
    names = [str(_text(name)) for name in np.ravel(handle["track_names"][()]).tolist()]
    people = [table.person_id(name) for name in names]
    if len(set(people)) != tracks or len(people) != tracks:
        people = list(range(tracks)) if tracks > 1 else [None]
    scores = np.full((*array.shape[:3], 1), np.nan)
    scored = _SCORES in handle and handle[_SCORES].ndim == 3
    score_order = [i - (i > order[3]) for i in order[:3]]  # the same axes without that of x and y
    if scored:
        found = np.asarray(handle[_SCORES][()], np.float64).transpose(score_order)[..., None]
        scored = found.shape == scores.shape
        scores = found if scored else scores
    values = np.concatenate([array, scores], -1).reshape(frames, -1)
    columns = {}
    for i, person in enumerate(people):
        first = 3 * len(nodes) * i
        columns[person] = {
            node: (at, at + 1, at + 2 if scored else -1)
            for node, at in zip(nodes, range(first, first + 3 * len(nodes), 3), strict=True)
        }

    def save(handle: Any, values: np.ndarray) -> None:
        new = values.reshape(frames, tracks, len(nodes), 3)
        handle["tracks"][...] = new[..., :2].transpose(np.argsort(order))
        if scored:
            handle[_SCORES][...] = new[..., 2].transpose(np.argsort(score_order))
        if "track_occupancy" in handle:
            seen = np.isfinite(new[..., 0]).any(-1)
            old = handle["track_occupancy"]
            old[...] = seen if old.shape == seen.shape else seen.T

    return _Numbers("sleap", values, list(range(frames)), columns, save)


def _axes(places: Any, nodes: int, path: Path) -> list[int]:
    """The axes of frame, track, node and xy."""
    names = _text(places.attrs.get("dims"))
    dims = json.loads(names) if isinstance(names, str) else list(_SLEAP)
    dims = [{"tracks": "track", "nodes": "node", "frames": "frame"}.get(d, d) for d in dims]
    if sorted(dims) != sorted(_SLEAP) or places.ndim != len(dims):
        raise InputError(f"{path}: tracks has the axes {dims}; {', '.join(_SLEAP)} were expected")
    order = [dims.index(name) for name in ("frame", "track", "node", "xy")]
    shape = places.shape
    if shape[order[3]] != 2 or shape[order[2]] != nodes:
        raise InputError(f"{path}: tracks of the shape {shape} do not fit {nodes} nodes in 2D")
    return order


def _write_new(handle: Any, file: PoseFile, source: Source | None, path: Path) -> None:
    """An analysis file of SLEAP."""
    joints = table.all_joints(file)
    people = table.distinct_people(file, path)
    frames = table.every_frame(file, 0)
    if frames and (frames[0] < 0 or frames[-1] != len(frames) - 1):
        raise InputError(f"{path}: frames {frames[0]} to {frames[-1]}, but tracks begin at 0")
    values = np.full((len(file), 3, len(joints), len(frames)), np.nan)
    for i, sequence in enumerate(file):
        own = [joints.index(joint) for joint in get_skeleton(sequence.skeleton).joints]
        numbers = table.triples(sequence).transpose(2, 1, 0)
        values[np.ix_([i], range(3), own, sequence.frames)] = numbers[None]
    old = next(iter(source.tracks.values()), None) if source else None
    seen = np.isfinite(values[:, 0]).any(1)
    with np.errstate(invalid="ignore"):
        scores = np.nansum(values[:, 2], 1) / np.maximum(np.isfinite(values[:, 2]).sum(1), 1)
    handle["tracks"] = values[:, :2]
    handle[_SCORES] = values[:, 2]
    handle["instance_scores"] = np.where(seen, scores, np.nan)
    handle["track_occupancy"] = seen.T.astype(np.uint8)
    handle["node_names"] = [name.encode() for name in table.file_names(joints, old)]
    handle["track_names"] = [str(person).encode() for person in people]


# --- DeepLabCut -----------------------------------------------------------------------------------


def _of_deeplabcut(handle: Any, name: str, path: Path) -> _Numbers:
    """A data frame that pandas stored, in its format of tables or in its fixed one."""
    group = handle[name]
    if "table" in group:
        rows = group["table"][()]
        where = f"{name}/table"
        labels = _pickled_names(group["table"].attrs["values_block_0_kind"])
        index = [_text(cell) for cell in rows["index"].tolist()]
        values = np.array(rows["values_block_0"], np.float64)

        def save(handle: Any, values: np.ndarray) -> None:
            rows["values_block_0"] = values
            handle[where][...] = rows
    else:
        where = f"{name}/block0_values"
        values = np.array(group["block0_values"][()], np.float64)
        labels = _levels(group, "block0_items")
        index = [row[-1] for row in _levels(group, "axis1")]

        def save(handle: Any, values: np.ndarray) -> None:
            handle[where][...] = values

    if values.ndim != 2 or values.shape != (len(index), len(labels)):
        raise InputError(f"{path}: a table of the shape {values.shape} for {len(labels)} columns")
    depth = {3: ("scorer", "bodyparts", "coords"),
             4: ("scorer", "individuals", "bodyparts", "coords")}
    if not labels or {len(label) for label in labels} - set(depth) or len(labels[0]) not in depth:
        raise InputError(f"{path}: no columns of scorer, bodyparts and coords; {_OTHERWISE}")
    names = depth[len(labels[0])]
    header = [[names[i], *(str(label[i]) for label in labels)] for i in range(len(names))]
    columns = {  # without the column of the index, which a CSV has in front
        person: {
            part: (x - 1, y - 1, score - 1 if score > 0 else -1)
            for part, (x, y, score) in parts.items()
        }
        for person, parts in deeplabcut.columns_of(header, path)[0].items()
    }
    frames = frame_numbers([cell if isinstance(cell, str) else int(cell) for cell in index])[0]
    return _Numbers("deeplabcut", values, frames, columns, save)


def _levels(group: Any, name: str) -> list[tuple]:
    """The labels of an index that pandas stored in its fixed format."""
    if name in group:
        return [(_text(cell),) for cell in group[name][()].tolist()]
    count = int(group.attrs[f"{name}_nlevels"])
    columns = []
    for i in range(count):
        level = [_text(cell) for cell in group[f"{name}_level{i}"][()].tolist()]
        columns.append([level[k] for k in group[f"{name}_label{i}"][()].tolist()])
    return list(zip(*columns, strict=True))


def _pickled_names(content: Any) -> list[tuple]:
    """The list of tuples of text that a pickle of nothing else holds, read without running it.

    Raises:
      ValueError: it holds anything else.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    mark = object()
    for code, argument, _ in pickletools.genops(io.BytesIO(bytes(content))):
        if code.name in ("PROTO", "FRAME"):
            continue
        if code.name == "MARK":
            stack.append(mark)
        elif code.name in ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE"):
            stack.append(argument)
        elif code.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif code.name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif code.name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif code.name == "EMPTY_LIST":
            stack.append([])
        elif code.name in ("LIST", "TUPLE", "APPENDS"):
            start = len(stack) - 1 - stack[::-1].index(mark)
            items = stack[start + 1 :]
            del stack[start:]
            if code.name == "APPENDS":
                stack[-1].extend(items)
            else:
                stack.append(items if code.name == "LIST" else tuple(items))
        elif code.name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(code.name[-1])
            items = tuple(stack[-count:])
            del stack[-count:]
            stack.append(items)
        elif code.name == "APPEND":
            item = stack.pop()
            stack[-1].append(item)
        elif code.name == "STOP":
            names = stack.pop()
            if isinstance(names, list) and all(isinstance(name, tuple) for name in names):
                return names
            break
        else:
            raise ValueError(f"names of columns with {code.name}")
    raise ValueError("no list of the names of columns")


# --- writing --------------------------------------------------------------------------------------


def _updated(source: Source, file: PoseFile) -> np.ndarray | None:
    """The numbers with those that changed; None where people, joints or frames are others."""
    values = source.numbers.values.copy()
    for sequence in file:
        if not table.fits(source.tracks, sequence):
            return None
        track = source.tracks[sequence.person]
        changed = table.changes(track.sequence, sequence) & (track.columns >= 0)
        new = table.triples(sequence)
        for t in np.flatnonzero(changed.any((1, 2))).tolist():
            row = track.rows.get(int(sequence.frames[t]))
            if row is None:
                return None
            for k, c in np.argwhere(changed[t]).tolist():
                values[row, track.columns[k, c]] = new[t, k, c]
    return values


FORMAT = Format(
    name="hdf5", sniff=sniff, read=read, write=write, suffixes=(".h5", ".hdf5"),
)
