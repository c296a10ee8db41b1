"""What --source names: .npz files, and data sets as they are published."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from data_pipelines.download import fetch
from data_pipelines.mocap.source import Source, read_source
from data_pipelines.mpi_inf_3dhp.source import read_mpi_inf_3dhp
from data_pipelines.recordings.joint_map import PACKAGED, read_joint_map
from data_pipelines.recordings.source import read_recordings
from posegan_jax.errors import InputError

MPI = "mpi_inf_3dhp"
KINDS = (MPI, *PACKAGED)


@dataclasses.dataclass(frozen=True)
class Options:
    """How sources are read; what a kind of source does not know, it does not read.

    Attributes:
      subjects: those to read; all by default.
      validation: those that validate rather than train; each data set has a default.
      native: keep the recordings' rates (MPI-INF-3DHP).
      cut: share of joints that leave the picture in a stretch that is cut (MPI-INF-3DHP).
      unit: millimetres of one unit (BVH, AMC); the joint map's by default.
      downloads: folder for what is fetched.
    """

    subjects: tuple[str, ...] | None = None
    validation: tuple[str, ...] | None = None
    native: bool = False
    cut: float = 1.0
    unit: float | None = None
    downloads: Path = Path("data/downloads")


def read_sources(
    names: Sequence[str | os.PathLike], options: Options, on_file: Callable[[], Any]
) -> list[Source]:
    """Reads everything that --source names.

    Args:
      names: each FILE.npz, KIND:FOLDER, or the KIND of a data set that can be fetched.
      options: how.
      on_file: called once for every file.

    Raises:
      InputError: a name that says nothing, one given twice, or a source that is not as it must be.
    """
    parsed = [_parse(os.fspath(name)) for name in names]
    places = [(kind, place and place.resolve()) for kind, place in parsed]
    if len(set(places)) < len(places):
        raise InputError("--source names a file or folder twice")
    if options.native and not any(kind == MPI for kind, _ in parsed):
        raise InputError(f"--rate native is for {MPI}; other sets are brought to 25")
    return [_read(kind, place, options, on_file) for kind, place in parsed]


def _parse(name: str) -> tuple[str, Path | None]:
    kind, colon, place = name.partition(":")
    if colon and place and (kind in KINDS or kind.endswith(".json")):
        return kind, Path(place)
    if name in PACKAGED and read_joint_map(name).url:
        return name, None
    if name in KINDS:
        raise InputError(f"{name} cannot be fetched; give {name}:FOLDER")
    if not name.endswith(".npz") and not Path(name).is_file():
        raise InputError(
            f"{name}: give FILE.npz or KIND:FOLDER, KIND one of {', '.join(KINDS)}, or the .json "
            "file of a joint map"
        )
    return "npz", Path(name)


def _read(
    kind: str, place: Path | None, options: Options, on_file: Callable[[], Any]
) -> Source:
    if kind == "npz":
        on_file()
        return read_source(place)
    chosen = {"subjects": options.subjects, "validation": options.validation, "on_file": on_file}
    if kind == MPI:
        return read_mpi_inf_3dhp(
            place, native=options.native, threshold=options.cut, **chosen
        )
    joint_map = read_joint_map(kind)
    folder = place or fetch(joint_map.url, options.downloads)
    return read_recordings(folder, joint_map, unit=options.unit, **chosen)
