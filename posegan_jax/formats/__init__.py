"""Reading and writing detectors' files. Imports neither jax nor anything that needs it.

Every format is a module that ends with its ``FORMAT``, see ``format.Format``, and a line of
``_OURS``; ``register`` adds one from elsewhere. The content decides which of them reads a file; a
new file's format is the one it was read from, or follows from its suffix.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from posegan_jax.errors import InputError
from posegan_jax.formats import (
    alphapose,
    arrays,
    coco,
    deeplabcut,
    hdf5,
    joint_names,
    longcsv,
    mediapipe,
    mmpose,
    movement,
    npz,
    objects,
    openpose,
    picture,
    records,
    sleap,
    table,
    trc,
    ultralytics,
    wide,
    yolo,
)
from posegan_jax.formats import joint_map as joint_maps
from posegan_jax.formats.axes import Vertical
from posegan_jax.formats.fit import fit, skeleton_for
from posegan_jax.formats.folder import Folder
from posegan_jax.formats.format import Format, OfDetectors
from posegan_jax.formats.options import ReadOptions
from posegan_jax.formats.unknown import explain
from posegan_jax.pose.people import Moves, relabel, tracked
from posegan_jax.pose.rate import disagreement
from posegan_jax.pose.sequence import PoseFile, PoseSequence
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.pose.tracking import counted
from posegan_jax.runtime.files import check_file, check_folder

_OURS = (
    objects.FORMAT, alphapose.FORMAT, openpose.FORMAT, coco.FORMAT, mmpose.FORMAT,
    ultralytics.FORMAT, mediapipe.FORMAT, npz.FORMAT, arrays.FORMAT, deeplabcut.FORMAT,
    sleap.FORMAT, longcsv.FORMAT, trc.FORMAT, hdf5.FORMAT, movement.FORMAT, wide.FORMAT,
    yolo.FORMAT,
)
FORMATS: dict[str, Format] = {}
"""The known formats by their names, in the order in which they are asked whether a file is theirs.
"""


def register(format: Format) -> None:
    """Makes a format known to everything here that reads and writes files, in this process.

    It is asked last whether a file is its own, so that files of all others stay theirs.

    Raises:
      InputError: there is a format of this name, or one that new files with a suffix have already.
    """
    if format.name in FORMATS:
        raise InputError(f"there is a format {format.name!r} already")
    for suffix in format.default_for:
        if suffix in _defaults():
            raise InputError(f"new {suffix} files have the format {_defaults()[suffix]} already")
    FORMATS[format.name] = format


def suffixes() -> tuple[str, ...]:
    """What the names of files that can be read end in, in lower case, in alphabetical order."""
    return tuple(sorted({suffix for format in FORMATS.values() for suffix in format.suffixes}))


def _defaults() -> dict[str, str]:
    """Suffix of a new file -> the format that it gets where no one is named."""
    return {suffix: format.name for format in FORMATS.values() for suffix in format.default_for}


for _format in _OURS:
    register(_format)


def read(
    path: str | os.PathLike, *, fps: float | None = None, min_score: float | None = None,
    joint_map: str | os.PathLike | None = None, image_size: tuple[float, float] | None = None,
    vertical: Vertical | None = None, seen_in: tuple[float, float] | None = None,
    ignore_ids: bool = False,
) -> PoseFile:
    """Reads a detector's file, whatever its format.

    Args:
      path: the file, or a folder for formats with one file per frame.
      fps: frames per second, for formats that do not hold it.
      min_score: joints with a lower score are missing; None: the format's default.
      joint_map: which joint is which: a skeleton's name, or a JSON file with the names of all
        joints, see ``joint_map.load``; for files that name their joints, a JSON file
        {"names": {"name in the file": "our name"}}.
      image_size: (width, height) in pixels of the video that the poses were detected in: for files
        with normalised coordinates that do not hold it, and to check all others against.
      vertical: the axis of a table that is the picture's y, and which way it points. By default it
        is y, and points down unless heads are below feet all through the file; or z, which points
        up, where joints are in space and heads are above feet along it.
      seen_in: the size of the video that will show the poses, which counts as ``image_size`` where
        none is given. An option that changes nothing is told of in the notes, and this is none.
      ignore_ids: follow people by their poses, whatever the file's ids are.

    Raises:
      InputError: no such file, an unknown format, content that is not what the format says, or
        options as of ``check_reading``.
    """
    names, skeletons = check_reading(fps, min_score, joint_map, vertical)
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    format = _recognised(path, names)
    size = image_size or seen_in
    given = {"names": names, "skeletons": skeletons, "image_size": size, "vertical": vertical}
    least = min_score
    if least is None and format.min_score is not None:
        least = OfDetectors(format.min_score)
    file = format.read(path, least, **_options(format, path, given))
    notes = list(file.notes)
    if size is not None or format.in_pixels:
        notes += picture.misfit(file.sequences, size, _remedy(format))
    told = len(notes) > len(file.notes)  # of what the size does not fit
    notes += _idle(file, format, None if told else image_size, min_score, skeletons, vertical)
    file = dataclasses.replace(
        file, format=format.name, path=str(path), notes=tuple(notes), image_size=size
    )
    if fps is not None:
        said = next((s.fps for s in file if s.fps is not None), None)
        told = disagreement("the file says", said, fps, given=True)
        notes = (*(note for note in notes if table.BY_COLUMN not in note), *told)
        file = dataclasses.replace(
            file, sequences=tuple(s.replace(fps=fps) for s in file), notes=notes
        )
    return _by_poses(file) if ignore_ids else file


def relabelled(file: PoseFile, moves: Moves, notes: Sequence[str] = ()) -> PoseFile:
    """The same file with frames of people that are other people's, and more notes.

    It is written with the ids that these have then.
    """
    notes = (*file.notes, *notes)
    if not moves:
        return dataclasses.replace(file, notes=notes)
    source, format = file.source, FORMATS.get(file.format)
    in_place = source is not None and format is not None and format.relabel is None
    people = relabel(file, moves, blank=in_place)
    if source is not None and format is not None and format.relabel is not None:
        source = format.relabel(source, moves)
    return dataclasses.replace(file, sequences=tuple(people), source=source, notes=notes)


def _by_poses(file: PoseFile) -> PoseFile:
    """A file whose people are followed by their poses."""
    known = {str(sequence.person) for sequence in file}
    if len(known) < len(file):
        return dataclasses.replace(file, notes=(*file.notes, "people without ids: none to ignore"))
    moves = tracked(file)
    found = relabelled(file, moves)
    count = sum(bool(sequence.observed.any()) for sequence in found)
    note = f"ids are ignored: tracked {counted(count)} by pose similarity"
    return dataclasses.replace(found, notes=(*found.notes, note))


def check_reading(
    fps: float | None = None, min_score: float | None = None,
    joint_map: str | os.PathLike | None = None, vertical: Vertical | None = None,
) -> tuple[dict[str, str] | None, dict[int, str] | None]:
    """Looks at the options of ``read`` without a file.

    Returns:
      The joint map as ``joint_names.load_names`` or as ``joint_map.load`` gives it, and None for
      what it is not.

    Raises:
      InputError: numbers that are none, or no such joint map.
    """
    ReadOptions(fps, min_score, vertical=vertical)
    names = None if joint_map is None else joint_names.load_names(joint_map)
    counted = joint_map is not None and names is None
    return names, joint_maps.load(joint_map) if counted else None


def write(
    sequences: PoseFile | Sequence[PoseSequence], path: str | os.PathLike,
    format: str | None = None, joints: str | None = None,
) -> None:
    """Writes sequences, and with a PoseFile all else that the file held.

    Args:
      sequences: a PoseFile, or any sequences.
      path: a new file; it appears under its name only when it is whole.
      format: a format's name. By default that of the PoseFile where the suffix allows it, else the
        one that the suffix stands for.
      joints: the skeleton to write. By default that of the sequences, or, in another format than
        the PoseFile's, the one of this format that keeps most of their joints.

    Raises:
      InputError: unknown format or suffix, no sequences of one kind, or nowhere to write to.
    """
    file = converted(sequences, path, format, joints)
    FORMATS[file.format].write(file, Path(path))


def converted(
    sequences: PoseFile | Sequence[PoseSequence], path: str | os.PathLike,
    format: str | None = None, joints: str | None = None,
) -> PoseFile:
    """What ``write`` writes: in its format, and with the joints that this has a place for.

    Its last notes say that the suffix is not that of a format that is given, and which joints are
    carried over, lost and missing, where any are.

    Args: as of ``write``.

    Raises:
      InputError: unknown format or suffix, or no joint that the format has a place for.
    """
    path = Path(path)
    file = sequences if isinstance(sequences, PoseFile) else PoseFile(tuple(sequences))
    name = format or _format_for(file, path)
    if name not in FORMATS:
        raise InputError(f"unknown format {name!r}; known: {', '.join(FORMATS)}")
    new = FORMATS[name]
    others = () if new.is_frame and path.suffix.lower() not in suffixes() else new.suffixes
    if format and others and path.suffix.lower() not in (*others, ""):
        endings = " or ".join(new.suffixes)
        note = f"{path.name} is in the format {name}, whose files end in {endings}"
        file = dataclasses.replace(file, notes=(*file.notes, note))
    if file.format != name:
        file = dataclasses.replace(file, format=name, source=None)
        if new.holds and joints is None:
            joints = skeleton_for(file, new.holds, new.choices or new.holds)
    return file if joints is None else fit(file, joints)


def check_output(file: PoseFile, path: str | os.PathLike) -> None:
    """Raises InputError where ``write`` would: for a suffix, or for what stands in its way."""
    format = FORMATS[_format_for(file, Path(path))]
    if format.is_folder or format.name == file.format and _from_folder(file):
        check_folder(path, format.is_frame)
    else:
        check_file(path)


def holds_frames(path: str | os.PathLike) -> bool:
    """Whether a folder holds one file per frame of one video, so that ``read`` takes it whole.

    Raises:
      InputError: it cannot be read.
    """
    try:
        return any(format.sniff(Path(path)) for format in FORMATS.values())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _recognised(path: Path, names: dict[str, str] | None) -> Format:
    """The first format that knows a file, or that a joint map of names makes known.

    Raises:
      InputError: there is none, and why.
    """
    try:
        for format in FORMATS.values():
            if format.sniff(path):
                return format
        if names and not path.is_dir() and wide.has_joints(path, names):
            return wide.FORMAT
        raise InputError(explain(path, FORMATS))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _options(format: Format, path: Path, given: dict) -> dict:
    """What the format takes. Raises InputError for a joint map that means nothing to it."""
    for name, what in (("names", "names"), ("skeletons", "joints in their order")):
        if given[name] is not None and name not in format.options:
            raise InputError(f"{path}: {format.name} files take no joint map of {what}")
    return {name: given[name] for name in format.options}


def _remedy(format: Format) -> str:
    """What to do about shares of the picture where pixels are expected."""
    if "image_size" in format.options:
        return "--image-size WIDTHxHEIGHT makes pixels of them"
    return "multiply them by its width and height"


def _idle(file: PoseFile, format: Format, image_size, min_score, skeletons, vertical) -> list[str]:
    """Which of the options that were given have changed nothing, and why."""
    notes = []
    if image_size is not None and file.shares_of is None and len(file):
        notes.append("--image-size changes nothing: the coordinates are no shares of a picture")
    if min_score is not None and min_score <= 1 and not _has_scores(file):
        notes.append("--min-score changes nothing: no joint has another score than 1")
    if skeletons and len(file) and not any(s.skeleton in skeletons.values() for s in file):
        count = len(get_skeleton(file[0].skeleton))
        notes.append(
            f"--joint-map changes nothing: it is for {next(iter(skeletons))} joints, not {count}"
        )
    if vertical is not None and "vertical" not in format.options:
        notes.append(f"--vertical changes nothing: in {format.name} files y points down")
    return notes


def _has_scores(file: PoseFile) -> bool:
    """Whether some joint of a file may have another score than 1."""
    if isinstance(file.source, records.Source):
        return bool((file.source.values[..., 2] != 1).any())
    if isinstance(file.source, table.Table):
        return any((track.columns[:, 2] >= 0).any() for track in file.source.tracks.values())
    return not all((sequence.scores == 1).all() for sequence in file)


def _from_folder(file: PoseFile) -> bool:
    return isinstance(getattr(file.source, "content", None), Folder)


def _format_for(file: PoseFile, path: Path) -> str:
    suffix, defaults = path.suffix.lower(), _defaults()
    if file.format and Path(file.path).suffix.lower() == suffix:
        return file.format
    if suffix in defaults:
        return defaults[suffix]
    old = FORMATS.get(file.format)
    if old and old.is_folder or _from_folder(file):
        return file.format
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file name")
    raise InputError(f"{path}: no format for this suffix; use one of {', '.join(defaults)}")
