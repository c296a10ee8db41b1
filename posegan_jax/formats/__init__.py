"""Reading and writing detectors' files. Imports neither jax nor anything that needs it.

A format is a module with ``NAME``, ``sniff(path) -> bool``, ``read(path, min_score) -> PoseFile``
and ``write(file, path)``; ``OPTIONS`` names what else its ``read`` takes, and ``SUFFIX`` what its
files end in. ``FOLDER`` is true where it always writes folders, and ``is_frame(path) -> bool``,
where it may, tells which files these hold. ``HOLDS`` names the skeletons of new files where not all
are possible, and ``CHOICES`` those that others are carried over to, if not all of these. The
content decides which one reads a file; a new file's format is the one it was read from, or follows
from its suffix.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from posegan_jax.errors import InputError
from posegan_jax.formats import (
    alphapose,
    coco,
    deeplabcut,
    joint_names,
    longcsv,
    mediapipe,
    mmpose,
    movement,
    npz,
    openpose,
    picture,
    sleap,
    trc,
    ultralytics,
    wide,
)
from posegan_jax.formats import joint_map as joint_maps
from posegan_jax.formats.fit import fit, skeleton_for
from posegan_jax.formats.folder import Folder
from posegan_jax.formats.options import ReadOptions
from posegan_jax.formats.unknown import explain
from posegan_jax.pose.sequence import PoseFile, PoseSequence
from posegan_jax.runtime.files import check_file, check_folder

FORMATS = {
    module.NAME: module
    for module in (
        alphapose, openpose, coco, mmpose, ultralytics, mediapipe, npz, deeplabcut, sleap,
        longcsv, trc, movement, wide,
    )
}
_BY_SUFFIX = {
    ".json": alphapose.NAME, ".npz": npz.NAME, ".csv": longcsv.NAME, ".trc": trc.NAME,
    ".nc": movement.NAME,
}


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
    try:
        known = [module for module in FORMATS.values() if module.sniff(path)]
        problem = None if known else explain(path, FORMATS)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if problem:
        raise InputError(problem)
    options = _options(known[0], path, {"names": names, "skeletons": skeletons})
    if "image_size" in _accepted(known[0]):
        options["image_size"] = image_size
    file = known[0].read(path, min_score, **options)
    if image_size is not None or known[0] is not trc:  # whose units may be metres
        notes = (*file.notes, *picture.misfit(file.sequences, image_size))
        file = dataclasses.replace(file, notes=notes)
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
    file = sequences if isinstance(sequences, PoseFile) else PoseFile(tuple(sequences), format="")
    name = format or _format_for(file, path)
    if name not in FORMATS:
        raise InputError(f"unknown format {name!r}; known: {', '.join(FORMATS)}")
    held = getattr(FORMATS[name], "HOLDS", None)
    ending = getattr(FORMATS[name], "SUFFIX", path.suffix)
    if format and path.suffix.lower() not in (ending, ""):
        note = f"{path.name} is in the format {name}, whose files end in {ending}"
        file = dataclasses.replace(file, notes=(*file.notes, note))
    if file.format != name:
        file = dataclasses.replace(file, format=name, source=None)
        if held and joints is None:
            joints = skeleton_for(file, held, getattr(FORMATS[name], "CHOICES", held))
    return file if joints is None else fit(file, joints)


def check_output(file: PoseFile, path: str | os.PathLike) -> None:
    """Raises InputError where ``write`` would: for a suffix, or for what stands in its way."""
    module = FORMATS[_format_for(file, Path(path))]
    if getattr(module, "FOLDER", False) or module.NAME == file.format and _from_folder(file):
        check_folder(path, module.is_frame)
    else:
        check_file(path)


def holds_frames(path: str | os.PathLike) -> bool:
    """Whether a folder holds one file per frame of one video, so that ``read`` takes it whole.

    Raises:
      InputError: it cannot be read.
    """
    try:
        return any(module.sniff(Path(path)) for module in FORMATS.values())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _accepted(module) -> tuple[str, ...]:
    return getattr(module, "OPTIONS", ())


def _options(module, path: Path, given: dict) -> dict:
    """Those options that are given. Raises InputError for one that means nothing to the format."""
    given = {name: value for name, value in given.items() if value is not None}
    flags = {
        "names": "joint map of names", "skeletons": "joint map of joints in their order",
    }
    for name in given:
        if name not in _accepted(module):
            raise InputError(f"{path}: {module.NAME} files take no {flags[name]}")
    return given


def _from_folder(file: PoseFile) -> bool:
    return isinstance(getattr(file.source, "content", None), Folder)


def _format_for(file: PoseFile, path: Path) -> str:
    suffix = path.suffix.lower()
    if file.format and Path(file.path).suffix.lower() == suffix:
        return file.format
    folders = getattr(FORMATS.get(file.format), "FOLDER", False) or _from_folder(file)
    if folders and suffix not in _BY_SUFFIX:
        return file.format
    if suffix not in _BY_SUFFIX:
        if path.is_dir():
            raise InputError(f"{path} is a folder; give a file name")
        raise InputError(f"{path}: no format for this suffix; use one of {', '.join(_BY_SUFFIX)}")
    return _BY_SUFFIX[suffix]
