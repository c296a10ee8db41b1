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
    sleap,
    trc,
    ultralytics,
    wide,
    yolo,
)
from posegan_jax.formats import joint_map as joint_maps
from posegan_jax.formats.fit import fit, skeleton_for
from posegan_jax.formats.folder import Folder
from posegan_jax.formats.format import Format, OfDetectors
from posegan_jax.formats.options import ReadOptions
from posegan_jax.formats.unknown import explain
from posegan_jax.pose.sequence import PoseFile, PoseSequence
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

    Raises:
      InputError: no such file, an unknown format, content that is not what the format says, or
        options as of ``check_reading``.
    """
    names, skeletons = check_reading(fps, min_score, joint_map)
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    format = _recognised(path, names)
    if min_score is None:
        min_score = None if format.min_score is None else OfDetectors(format.min_score)
    file = format.read(path, min_score, **_options(format, path, names, skeletons, image_size))
    notes = file.notes
    if image_size is not None or format.in_pixels:
        notes = (*notes, *picture.misfit(file.sequences, image_size))
    file = dataclasses.replace(
        file, format=format.name, path=str(path), notes=notes, image_size=image_size
    )
    if fps is not None:
        file = file.replace([sequence.replace(fps=fps) for sequence in file])
    return file


def check_reading(
    fps: float | None = None, min_score: float | None = None,
    joint_map: str | os.PathLike | None = None,
) -> tuple[dict[str, str] | None, dict[int, str] | None]:
    """Looks at the options of ``read`` without a file.

    Returns:
      The joint map as ``joint_names.load_names`` or as ``joint_map.load`` gives it, and None for
      what it is not.

    Raises:
      InputError: numbers that are none, or no such joint map.
    """
    ReadOptions(fps, min_score)
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


def _options(format: Format, path: Path, names, skeletons, image_size) -> dict:
    """What the format takes. Raises InputError for a joint map that means nothing to it."""
    given = {"names": names, "skeletons": skeletons, "image_size": image_size}
    for name, what in (("names", "names"), ("skeletons", "joints in their order")):
        if given[name] is not None and name not in format.options:
            raise InputError(f"{path}: {format.name} files take no joint map of {what}")
    return {name: given[name] for name in format.options}


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
