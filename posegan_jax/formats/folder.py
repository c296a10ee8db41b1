"""Folders with a file per frame, whose number is the last one in the file's name."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from posegan_jax.errors import InputError
from posegan_jax.formats import jsonfile
from posegan_jax.runtime.files import atomic_folder


@dataclasses.dataclass(frozen=True)
class Folder:
    """The content of every file by its name, in order of time."""

    files: dict[str, Any]

    def numbers(self) -> list[int]:
        """Frame of every file."""
        return jsonfile.frame_numbers(list(self.files))[0]


def files_of(path: Path, ending: str = ".json", other: str = "") -> list[Path]:
    """The files of a folder's frames: those with the ending, or else all with its suffix.

    ``other`` is the name of a file that is none.
    """
    files = sorted(path.glob(f"*{_suffix(ending)}"))
    files = [file for file in files if file.is_file() and file.name != other]
    return [file for file in files if file.name.endswith(ending)] or files


def load(
    path: Path, read: Callable[[Path], Any], ending: str = ".json", other: str = ""
) -> tuple[Folder, list[str]]:
    """The files of a folder, and notes of what was left out.

    Args:
      path: of the folder.
      read: a file's path -> its content.
      ending, other: see ``files_of``.

    Raises:
      InputError: two files for one frame, or one that ``read`` refuses.
    """
    content = {file.name: read(file) for file in files_of(path, ending, other)}
    frames, notes = jsonfile.frame_numbers(list(content))
    others = sum(file.suffix == _suffix(ending) for file in path.iterdir()) - len(content)
    if others:
        kind = _suffix(ending)
        why = f"do not end in {ending}" if kind != ending else "hold no frame"
        notes = [*notes, f"{others} {kind} files {why} and are left out"]
    names: dict[int, str] = {}
    for name, frame in zip(content, frames, strict=True):
        if frame in names:
            raise InputError(
                f"{path}: {names[frame]} and {name} are both frame {frame}; "
                "a folder must hold one video"
            )
        names[frame] = name
    return Folder({names[frame]: content[names[frame]] for frame in sorted(names)}), notes


def _suffix(ending: str) -> str:
    return ending[ending.rindex(".") :]


def save(
    files: Mapping[str, Any], path: Path, is_frame: Callable[[Path], bool],
    text: Callable[[Any, Path], str] = jsonfile.text,
) -> None:
    """Writes a folder, which appears under its name when it is whole.

    Args:
      files: content of every file by its name.
      path: of the folder.
      is_frame: whether a file is one of the format, so that it may be replaced.
      text: (content, path of the folder) -> what to write into a file.

    Raises:
      InputError: nowhere to write to, or a folder that holds other things stands in the way.
    """
    with atomic_folder(path, is_frame) as folder:
        for name, content in files.items():
            (folder / name).write_text(text(content, path), encoding="utf-8")
