"""What a format of files is."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseFile

OPTIONS = ("names", "skeletons", "image_size", "vertical")
"""What ``read`` of a format may take beside a path and a least score, see ``Format``."""


class OfDetectors(float):
    """A least score that is a format's and not the user's: of joints that we completed it says
    nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Format:
    """A format of detectors' files: how one is recognised, read and written.

    Attributes:
      name: what users call it.
      sniff: (path) -> whether a file or folder has this format. The content says so, or its
        beginning, for files that are cut off. It raises nothing but OSError.
      read: (path, min_score) -> all that the file holds. It raises InputError with the place where
        the file is damaged. The format takes those options of ``formats.read`` that are further
        parameters here: ``names``, the joint map {name in the file: our name}; ``skeletons``, the
        joint map {number of joints: skeleton}; ``image_size``; ``vertical``. They are None unless
        given.
      write: (file, path) -> None. The new file appears under its name when it is whole. Its
        ``source`` is the one that ``read`` gave it, None for sequences from elsewhere.
      suffixes: what the names of its files end in, in lower case; none where the format always is
        a folder with one file per frame.
      default_for: suffixes of new files that get this format where no one is named.
      is_frame: (path) -> whether a file is a frame in a folder of this format, so that it may be
        replaced; for formats that are folders, or can be.
      min_score: joints with a lower score are missing unless the user says otherwise. None: there
        is no such score, or ``read`` finds it in the file.
      holds: names of the skeletons that new files can have, None: all.
      choices: those to which sequences with other skeletons are carried over, the best first; by
        default all that it holds.
      in_pixels: whether places are pixels once they are read; else maybe metres.
      relabel: (a file's ``source``, {(person, frame): another person}) -> the source of the same
        file in which these records or rows are of the others. None: the file has a place for each
        person in a frame, and numbers go from one to the other.
    """

    name: str
    sniff: Callable[[Path], bool]
    read: Callable[..., PoseFile]
    write: Callable[[PoseFile, Path], None]
    suffixes: tuple[str, ...] = ()
    default_for: tuple[str, ...] = ()
    is_frame: Callable[[Path], bool] | None = None
    min_score: float | None = None
    holds: tuple[str, ...] | None = None
    choices: tuple[str, ...] | None = None
    in_pixels: bool = True
    relabel: Callable[[Any, Mapping[tuple[Any, int], Any]], Any] | None = None

    def __post_init__(self):
        """Raises InputError where the parts do not fit each other."""
        for suffix in (*self.suffixes, *self.default_for):
            if suffix not in self.suffixes or suffix != suffix.lower() or suffix[:1] != ".":
                raise InputError(f"format {self.name}: {suffix!r} is no suffix of its files")
        if self.is_folder and not self.is_frame:
            raise InputError(f"format {self.name}: without a suffix it needs is_frame")
        for option in self.options:
            if option not in OPTIONS:
                raise InputError(
                    f"format {self.name}: read takes {option}; known: {', '.join(OPTIONS)}"
                )

    @property
    def options(self) -> tuple[str, ...]:
        """What ``read`` takes beside the path and the least score."""
        return tuple(inspect.signature(self.read).parameters)[2:]

    @property
    def is_folder(self) -> bool:
        """Whether it always is a folder with one file per frame."""
        return not self.suffixes
