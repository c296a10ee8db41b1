"""Datasets of ``movement`` (xarray, netCDF): position and confidence by time, joint, individual.

``position`` has the dimensions time, space, keypoint, individual, and ``confidence`` the same
without space; before version 0.17 the last two had the names keypoints and individuals. Among the
attributes are fps, time_unit ('frames' or 'seconds') and source_software. Most files are netCDF4,
which is HDF5; netCDF3 is read as well. Needs optional packages: xarray, h5netcdf, h5py.
"""

import dataclasses
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats import axes, table
from posegan_jax.formats.axes import Vertical
from posegan_jax.formats.format import Format
from posegan_jax.formats.joint_names import Joints, not_in_file, one_line, resolve
from posegan_jax.formats.table import Tally
from posegan_jax.pose.rate import by_times, disagreement
from posegan_jax.pose.sequence import PoseFile, PoseSequence
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.runtime.files import atomic_path

MIN_SCORE = 0.2
PCUTOFF = 0.6
"""Instead of MIN_SCORE for datasets from DeepLabCut and LightningPose, as for their tables."""

_SQUEEZED = 1100
"""Deflate, which compresses netCDF4, makes nothing smaller than a 1032nd."""

_HDF5 = b"\x89HDF\r\n\x1a\n"
_NAMES = {
    "keypoint": ("keypoint", "keypoints"), "individual": ("individual", "individuals"),
}


@dataclasses.dataclass(frozen=True)
class Source:
    """A file as it was read.

    Attributes:
      data: the xarray.Dataset, in memory.
      engine: what xarray reads and writes the file with.
      frames: frame of every step of time.
      joints: what the keypoints stand for.
      sequences: person -> its index and its sequence as read.
      is_turned: whether y points up, and was turned over.
    """

    data: Any
    engine: str
    frames: list[int]
    joints: Joints
    sequences: dict[Any, tuple[int, PoseSequence]]
    is_turned: bool = False


_MARKS = (b"_NCProperties", b"_Netcdf4", b"DIMENSION_LIST", b"This is a netCDF dimension")
"""Some of this is in every HDF5 that is netCDF."""


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5."""
    return not path.is_dir() and _engine(path) == "h5netcdf"


def is_netcdf4(path: Path) -> bool:
    """Whether HDF5 says that it is netCDF."""
    with (
        open(path, "rb") as handle,
        mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return any(content.find(mark) >= 0 for mark in _MARKS)


def sniff(path: Path) -> bool:
    """Whether the file begins like netCDF, of version 3 or 4."""
    return not path.is_dir() and _engine(path) is not None


def read(
    path: Path, min_score: float | None = None, names: Mapping[str, str] | None = None,
    vertical: Vertical | None = None,
) -> PoseFile:
    """Reads the individuals of a file.

    Args:
      path: the file.
      min_score: keypoints with a lower confidence, and those at (0, 0), are missing.
      names: {file's name: our name} of joints, before the rule of ``joint_names``.
      vertical: which way y points.

    Raises:
      InputError: the packages are not installed, the file is damaged or holds something else,
        or nobody was seen.
    """
    data, engine = _load(path), _engine(path)
    values, keypoints, individuals = _values(data, path)
    tally = Tally()
    frames, fps, notes = _time(data)
    joints = resolve(keypoints, path, names)
    if min_score is None:
        software = str(data.attrs.get("source_software", ""))
        min_score = PCUTOFF if software in ("DeepLabCut", "LightningPose") else MIN_SCORE
    padded = np.concatenate([values, np.full_like(values[:, :, :1], np.nan)], 2)
    found = {}
    for i, name in enumerate(individuals):
        xy, scores = table.present(padded[:, i][:, list(joints.source)], min_score, tally)
        kept = np.isfinite(xy[..., 0]).any(-1)
        person = table.person_id(name)
        found[person] = i, PoseSequence(
            xy[kept], scores[kept], fps, joints.skeleton.name, np.array(frames)[kept], person
        )
    if vertical == "z-up":
        raise InputError(f"{path}: no joint has a z; --vertical z-up needs one")
    up, turned = axes.is_turned((sequence for _, sequence in found.values()), vertical)
    if up:
        found = {
            person: (i, sequence.replace(keypoints=sequence.keypoints * [1, -1]))
            for person, (i, sequence) in found.items()
        }
    people = tuple(sequence for _, sequence in found.values() if len(sequence))
    others = [str(name) for name in data.data_vars if name not in ("position", "confidence")]
    unused = [f"variables that are not used: {one_line(others)}"] if others else []
    notes = [*not_in_file(names, keypoints), *notes, *turned]
    notes = (*joints.notes, *notes, *tally.notes(), *unused)
    if not people:
        raise InputError(f"{path}: nothing to use: no keypoint has a place and enough confidence")
    return PoseFile(people, source=Source(data, engine, frames, joints, found, up), notes=notes)


def write(file: PoseFile, path: Path) -> None:
    """Writes the dataset that was read, with the numbers that changed.

    For other people, joints or frames, and for sequences from elsewhere, it is a new dataset with
    the attributes of the old one and a step of time for every frame from 0 to the last.

    Raises:
      InputError: the packages are not installed, or two sequences with the same id.
    """
    source = file.source
    data = _updated(source, file) if source else None
    data = _new_data(file, source, path) if data is None else data
    engine = source.engine if source else "h5netcdf"
    with atomic_path(path) as temporary:
        try:
            data.to_netcdf(temporary, engine=engine)
        except OSError:
            raise
        except Exception as error:  # attributes or names that this kind of netCDF has no place for
            line = " ".join(str(error).split())[:200]
            raise InputError(f"cannot write {path} as netCDF: {line}") from error


# --- reading --------------------------------------------------------------------------------------


def _engine(path: Path) -> str | None:
    with open(path, "rb") as handle:
        start = handle.read(8)
    if start == _HDF5:
        return "h5netcdf"
    return "scipy" if start[:3] == b"CDF" and start[3:4] in (b"\x01", b"\x02") else None


def _xarray(path: Path) -> Any:
    try:
        import h5netcdf  # noqa: F401
        import h5py  # noqa: F401
        import xarray
    except ImportError as error:
        raise InputError(
            f"{path}: netCDF needs {error.name}; pip install 'posegan_jax[netcdf]'"
        ) from None
    return xarray


def _load(path: Path) -> Any:
    xarray = _xarray(path)
    engine = _engine(path)
    options = {"mmap": False} if engine == "scipy" else {}
    try:
        if engine == "h5netcdf":
            check_sizes(path)
        return xarray.load_dataset(path, engine=engine, decode_times=False, **options)
    except Exception as error:  # h5py, SciPy and xarray raise a dozen kinds
        line = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: cannot be read as netCDF ({line}); is it cut off?") from error


def check_sizes(path: Path) -> None:
    """Raises an error for a file that is cut off, or says to hold more than it possibly can.

    h5netcdf would print a traceback of the one, and make arrays of the other until no memory is
    left: a single wrong bit can make a dimension of billions.
    """
    import h5py

    most = _SQUEEZED * path.stat().st_size
    with h5py.File(path, "r") as file:
        total = 0

        def add(name: str, item: Any) -> None:
            nonlocal total
            total += item.nbytes if isinstance(item, h5py.Dataset) else 0

        file.visititems(add)
    if total > most:
        raise ValueError(f"arrays of {total} bytes in a file of {path.stat().st_size}")


def _names(data: Any, kind: str, path: Path) -> tuple[str, list[str]]:
    """The dimension of keypoints or individuals, and what its steps are called."""
    dim = next((name for name in _NAMES[kind] if name in data["position"].dims), None)
    if dim is None:
        raise InputError(f"{path}: position has no dimension {kind}; is it a dataset of poses?")
    names = data[dim].values if dim in data.coords else np.arange(data.sizes[dim])
    names = [str(name) for name in names.tolist()]
    if len(set(names)) < len(names):
        raise InputError(f"{path}: two of the {dim} have one name")
    return dim, names


def _values(data: Any, path: Path) -> tuple[np.ndarray, list[str], list[str]]:
    """(time, individuals, keypoints, 3) x, y, confidence; names of keypoints and individuals."""
    if "position" not in data.data_vars:
        held = one_line(map(str, data.variables)) or "nothing"
        raise InputError(f"{path}: no dataset of movement: it has no position, but {held[:100]}")
    keypoint, keypoints = _names(data, "keypoint", path)
    individual, individuals = _names(data, "individual", path)
    if set(data["position"].dims) != {"time", "space", keypoint, individual}:
        raise InputError(f"{path}: position has the dimensions {data['position'].dims}")
    space = data["space"].values.tolist() if "space" in data.coords else ["x", "y"]
    if data.sizes["space"] != 2 or [str(axis) for axis in space] != ["x", "y"]:
        raise InputError(f"{path}: positions along {space}; only x and y can be read")
    order = ("time", individual, keypoint)
    position = data["position"].transpose(*order, "space").values
    confidence = np.full((*position.shape[:3], 1), np.nan)
    if "confidence" in data.data_vars:
        if set(data["confidence"].dims) != set(order):
            raise InputError(f"{path}: confidence has the dimensions {data['confidence'].dims}")
        confidence = data["confidence"].transpose(*order).values[..., None]
    try:
        with np.errstate(invalid="ignore"):
            values = np.concatenate([position, confidence], -1, dtype=np.float64, casting="unsafe")
    except (TypeError, ValueError):
        raise InputError(f"{path}: position or confidence are no numbers") from None
    return values, keypoints, individuals


def _time(data: Any) -> tuple[list[int], float | None, list[str]]:
    """Frame of every step of time, and frames per second."""
    steps = data.sizes["time"]
    fps, notes = _rate(data), []
    try:
        time = np.asarray(data["time"].values, np.float64) if "time" in data.coords else None
    except (TypeError, ValueError):
        time = None
    if time is not None and np.isfinite(time).all():
        if data.attrs.get("time_unit", "seconds" if fps else "frames") == "seconds":
            gaps = np.diff(time)
            rate = fps or (1 / np.median(gaps) if len(gaps) and np.median(gaps) > 0 else 1.0)
            notes = disagreement(
                "the steps of its times are those of", by_times(np.arange(steps), time), rate
            )
            time, fps = time * rate, float(rate)
        frames = np.rint(time)
        if not steps or (np.diff(frames) > 0).all() and np.ptp(frames) < table.LONGEST:
            return frames.astype(np.int64).tolist(), fps, notes
    line = "times that do not count up: frames are counted from 0"
    return list(range(steps)), fps, [*notes, line]


def _rate(data: Any) -> float | None:
    try:
        fps = float(data.attrs["fps"])
    except (KeyError, TypeError, ValueError):
        return None
    return fps if np.isfinite(fps) and fps > 0 else None


# --- writing --------------------------------------------------------------------------------------


def _updated(source: Source, file: PoseFile) -> Any | None:
    """The source with the numbers that are not as they were read; None where they do not fit."""
    data = source.data.copy(deep=True)
    step = {frame: t for t, frame in enumerate(source.frames)}
    columns = np.array(source.joints.source)
    keypoint, individual = (
        next(name for name in _NAMES[kind] if name in data["position"].dims) for kind in _NAMES
    )
    order = ("time", individual, keypoint)
    position = data["position"].transpose(*order, "space").values.copy()
    confidence = None
    if "confidence" in data:
        confidence = data["confidence"].transpose(*order).values.copy()
    for sequence in file:
        i, old = source.sequences.get(sequence.person, (None, None))
        if old is None or old.skeleton != sequence.skeleton:
            return None
        fits = all(frame in step for frame in sequence.frames.tolist())
        if not fits or sequence.observed[:, columns < 0].any():
            return None
        changed = table.changes(old, sequence)
        values = table.triples(sequence) * [1, -1 if source.is_turned else 1, 1]
        for t, k, c in np.argwhere(changed & (columns >= 0)[:, None]).tolist():
            at = step[int(sequence.frames[t])], i, columns[k]
            if c < 2:
                position[(*at, c)] = values[t, k, c]
            elif confidence is not None:
                confidence[at] = values[t, k, c]
    # Into the arrays' own order of dimensions.
    for name, array, dims in (("position", position, (*order, "space")),
                              ("confidence", confidence, order)):
        if array is not None:
            data[name].values[...] = array.transpose([dims.index(d) for d in data[name].dims])
    return data


def _new_data(file: PoseFile, source: Source | None, path: Path) -> Any:
    """A new dataset of all people, with the attributes of the old one if there is one."""
    xarray = _xarray(path)
    joints = table.all_joints(file)
    people = [str(person) for person in table.distinct_people(file, path)]
    frames = table.every_frame(file, 0)
    step = {frame: t for t, frame in enumerate(frames)}
    position = np.full((len(frames), 2, len(joints), len(file)), np.nan)
    confidence = np.full((len(frames), len(joints), len(file)), np.nan)
    for i, sequence in enumerate(file):
        rows = [step[frame] for frame in sequence.frames.tolist()]
        own = [joints.index(joint) for joint in get_skeleton(sequence.skeleton).joints]
        numbers = table.triples(sequence) * [1, -1 if source and source.is_turned else 1, 1]
        position[np.ix_(rows, (0, 1), own, [i])] = numbers[..., :2].transpose(0, 2, 1)[..., None]
        confidence[np.ix_(rows, own, [i])] = numbers[..., 2:]
    fps = next((sequence.fps for sequence in file if sequence.fps), None)
    keypoint, individual, names = "keypoint", "individual", list(joints)
    attrs: dict[str, Any] = {}
    if source:
        keypoint = next(n for n in _NAMES["keypoint"] if n in source.data["position"].dims)
        individual = next(n for n in _NAMES["individual"] if n in source.data["position"].dims)
        known = dict(zip(source.joints.skeleton.joints, source.joints.source, strict=True))
        old = source.data[keypoint].values
        names = [str(old[known[j]]) if known.get(j, -1) >= 0 else j for j in joints]
        attrs = dict(source.data.attrs)
    attrs = {"source_software": "posegan", "ds_type": "poses"} | attrs
    attrs |= {"fps": fps, "time_unit": "seconds"} if fps else {"time_unit": "frames"}
    time = np.array(frames, np.float64) / fps if fps else np.array(frames, np.int64)
    return xarray.Dataset(
        {"position": (("time", "space", keypoint, individual), position),
         "confidence": (("time", keypoint, individual), confidence)},
        {"time": time, "space": ["x", "y"], keypoint: names, individual: people},
        attrs,
    )


FORMAT = Format(
    name="movement", sniff=sniff, read=read, write=write, suffixes=(".nc",), default_for=(".nc",),
)
