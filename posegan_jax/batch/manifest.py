"""Which files there are to fill, and where each of them goes."""

import dataclasses
import functools
import glob
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.runtime.files import is_same

LIST = ".txt"
"""Suffix of a file with a path a line."""
SUMMARY = "summary.json"
"""What a run says of itself, among the outputs."""


@dataclasses.dataclass(frozen=True)
class Job:
    """A file to fill.

    Attributes:
      input: a detector's file, or a folder of one file per frame.
      output: where to write it, in its own format.
    """

    input: str
    output: str


def collect(inputs: Sequence[str | os.PathLike], folder: str | os.PathLike) -> list[Job]:
    """All files that the inputs stand for, in a fixed order, each once.

    One that is reached by several ways goes by the first of them; a link to a file is another file.

    Args:
      inputs: each a detector's file; a folder of one file per frame; a folder of such files and
        folders, however deep; a pattern with ``*``, ``?``, ``[...]`` or ``**``; or a list, a
        ``.txt`` file with any of these a line, relative to its own folder, ``#`` for comments.
      folder: where the outputs go, under the names of the inputs: relative to a folder that was
        given, or to the part of a pattern without wildcards.

    Raises:
      InputError: no such file, nothing found, a folder that cannot be read, a pattern with ``..``
        after a wildcard, two outputs of one name, or one within another.
    """
    folder = Path(folder)
    jobs: dict[Path, Job] = {}
    seen: set[str] = set()
    for path, name in _Search(folder).files(inputs):
        place = os.path.join(os.path.realpath(path.parent), path.name)
        if place in seen:
            continue
        seen.add(place)
        job = Job(str(path), str(folder / name))
        if is_same(path, folder / name):
            raise InputError(f"{path} would be written over; give another folder than {folder}")
        if name == Path(SUMMARY):
            raise InputError(f"{path}: a run says of itself what it did in {SUMMARY}; rename this")
        other = jobs.setdefault(folder / name, job)
        if other.input != job.input and not is_same(Path(other.input), path):
            raise InputError(
                f"{other.input} and {path} would both be written to {job.output}; give them names "
                "of their own, or the folder that holds both"
            )
    for output, job in jobs.items():
        above = next((jobs[path] for path in output.parents if path in jobs), None)
        if above is not None:
            raise InputError(
                f"{job.input} would be written into {above.output}, the output of {above.input}; "
                "give them names of their own, or the folder that holds both"
            )
    if not jobs:
        given = ", ".join(map(str, inputs))[:200]
        endings = ", ".join(formats.suffixes())
        raise InputError(f"{given}: no file with one of the endings {endings}")
    return list(jobs.values())


class _Search:
    """What inputs stand for.

    Args:
      outputs: the outputs' folder, in which nothing is looked for.
    """

    def __init__(self, outputs: Path):
        self._outputs = outputs
        self._holds_frames = functools.cache(formats.holds_frames)

    def files(
        self, inputs: Sequence[str | os.PathLike], base: Path = Path(), listed: bool = False
    ) -> Iterator[tuple[Path, Path]]:
        """Paths of files, and their names in the outputs' folder."""
        for given in inputs:
            path = base / given
            if path.is_dir():
                if self._holds_frames(path):
                    yield path, Path(path.resolve().name)
                else:
                    yield from ((found, found.relative_to(path)) for found in self._walk(path))
            elif path.is_file() and path.suffix.lower() == LIST:
                if listed:
                    raise InputError(f"{path}: a list within a list; name the files")
                yield from self.files(_lines(path), path.parent, listed=True)
            elif path.exists():
                yield path, Path(path.name)
            elif glob.has_magic(str(given)):
                yield from self._matching(base, Path(given))
            else:
                raise InputError(f"{path}: no such file")

    def _walk(self, top: Path) -> list[Path]:
        """Files and folders of frames in a folder, however deep."""
        found = []
        for folder in self._folders([top]):
            if self._holds_frames(folder):
                found.append(folder)
            else:
                found += [path for path in _visible(folder) if _is_file(path)]
        return sorted(found)

    def _folders(self, tops: Iterable[Path]) -> list[Path]:
        """Folders and those in them, however deep; folders of frames are not looked into.

        Each is there once, by the way without links to it where there is one. So links in circles
        end, and those that lead to the same folder do not multiply.
        """
        found, seen, left = [], set(), deque(sorted(tops))
        while left:
            ways = [left.popleft()]
            while ways:
                folder = ways.pop()
                if (real := os.path.realpath(folder)) in seen:
                    continue
                seen.add(real)
                found.append(folder)
                if self._holds_frames(folder):
                    continue
                for path in _visible(folder):
                    if path.is_dir() and not is_same(path, self._outputs) and not _is_above(path):
                        (left if path.is_symlink() else ways).append(path)
        return found

    def _matching(self, base: Path, pattern: Path) -> Iterator[tuple[Path, Path]]:
        """What a pattern stands for."""
        parts = pattern.parts
        magic = next(i for i, part in enumerate(parts) if glob.has_magic(part))
        if ".." in parts[magic:]:  # outputs would leave their folder
            raise InputError(f"{base / pattern}: no '..' after a wildcard")
        fixed = Path(base, *parts[:magic])
        found = {fixed} if fixed.is_dir() else set()
        for part in parts[magic:]:
            if part == "**":
                found = set(self._folders(found))
            else:
                found = {way / name for way in found for name in glob.glob(part, root_dir=way)}
                if glob.has_magic(part):  # what is named is meant
                    found = {path for path in found if not _is_above(path)}
        if not found:
            raise InputError(f"{base / pattern}: no file matches")
        outputs = os.path.realpath(self._outputs)
        found = {p for p in found if not Path(os.path.realpath(p)).is_relative_to(outputs)}
        # Frames stand for their folder, as they do where folders are looked through.
        folders = {path.parent if path.suffix == ".json" else path for path in found}
        whole = {path for path in folders if path.is_dir() and self._holds_frames(path)}
        for path in sorted(found | whole):
            name = path.relative_to(fixed)
            if not whole.isdisjoint(path.parents):
                continue
            if path in whole:
                yield path, name if name.parts else Path(path.resolve().name)
            elif path.is_dir():
                yield from ((inner, inner.relative_to(fixed)) for inner in self._walk(path))
            elif _is_file(path):
                yield path, name


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a list of files, a path a line, in UTF-8") from error
    lines = [line.strip() for line in lines]
    return [line for line in lines if line and not line.startswith("#")]


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror}") from error


def _is_file(path: Path) -> bool:
    """Whether it is taken for a detector's file: a link to nothing is, and will fail."""
    return path.suffix.lower() in formats.suffixes() and not path.is_dir()


def _is_above(path: Path) -> bool:
    """Whether this is a link to a folder that holds it."""
    return path.is_symlink() and path.parent.resolve().is_relative_to(os.path.realpath(path))
