"""Which files there are to fill, and where each of them goes."""

import dataclasses
import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from posegan_jax import formats
from posegan_jax.errors import InputError

SUFFIXES = (".csv", ".json", ".nc", ".npz", ".trc")
"""Of the files that are looked for in folders."""
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

    Args:
      inputs: each a detector's file; a folder of one file per frame; a folder of such files and
        folders, however deep; a pattern with ``*``, ``?``, ``[...]`` or ``**``; or a list, a
        ``.txt`` file with any of these a line, relative to its own folder, ``#`` for comments.
      folder: where the outputs go, under the names of the inputs: relative to a folder that was
        given, or to the part of a pattern without wildcards.

    Raises:
      InputError: no such file, nothing found, two outputs of one name, or one within another.
    """
    folder = Path(folder)
    jobs: dict[Path, Job] = {}
    for path, name in _files(inputs, Path(), folder):
        job = Job(str(path), str(folder / name))
        if _same(path, folder / name):
            raise InputError(f"{path} would be written over; give another folder than {folder}")
        if name == Path(SUMMARY):
            raise InputError(f"{path}: a run says of itself what it did in {SUMMARY}; rename this")
        other = jobs.setdefault(folder / name, job)
        if other.input != job.input and not _same(Path(other.input), path):
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
        raise InputError(f"{given}: no file with one of the endings {', '.join(SUFFIXES)}")
    return list(jobs.values())


def _files(
    inputs: Sequence[str | os.PathLike], base: Path, folder: Path, listed: bool = False
) -> Iterator[tuple[Path, Path]]:
    """Paths of files and their names in the outputs' folder, in which nothing is looked for."""
    for given in inputs:
        path = base / given
        if path.is_dir():
            if formats.holds_frames(path):
                yield path, Path(path.resolve().name)
            else:
                yield from ((found, found.relative_to(path)) for found in _walk(path, folder))
        elif path.is_file() and path.suffix.lower() == LIST:
            if listed:
                raise InputError(f"{path}: a list within a list; name the files")
            yield from _files(_lines(path), path.parent, folder, listed=True)
        elif path.exists():
            yield path, Path(path.name)
        elif glob.has_magic(str(given)):
            yield from _matching(path, folder)
        else:
            raise InputError(f"{path}: no such file")


def _walk(path: Path, folder: Path) -> Iterator[Path]:
    """Files and folders of frames in a folder, however deep, but for the outputs' folder."""
    for entry in sorted(path.iterdir()):
        if entry.name.startswith(".") or _same(entry, folder) or _circular(entry):
            continue
        if entry.is_dir() and not formats.holds_frames(entry):
            yield from _walk(entry, folder)
        elif entry.is_dir() or entry.suffix.lower() in SUFFIXES:
            yield entry


def _matching(pattern: Path, folder: Path) -> Iterator[tuple[Path, Path]]:
    found = sorted(map(Path, glob.glob(str(pattern), recursive=True)))
    if not found:
        raise InputError(f"{pattern}: no file matches")
    fixed = Path(*_before_magic(pattern.parts))
    whole = {path for path in found if path.is_dir() and formats.holds_frames(path)}
    for path in found:
        way = list(path.parents)[: len(path.relative_to(fixed).parts) - 1]  # from the fixed part
        if path.resolve().is_relative_to(folder.resolve()) or any(map(_circular, [path, *way])):
            continue
        if not whole.isdisjoint(way):
            continue  # a frame of what is taken whole
        if path in whole:
            yield path, path.relative_to(fixed)
        elif path.is_dir():
            yield from ((inner, inner.relative_to(fixed)) for inner in _walk(path, folder))
        elif path.suffix.lower() in SUFFIXES:
            yield path, path.relative_to(fixed)


def _before_magic(parts: Sequence[str]) -> list[str]:
    magic = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return list(parts[:magic])


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a list of files, a path a line, in UTF-8") from error
    lines = [line.strip() for line in lines]
    return [line for line in lines if line and not line.startswith("#")]


def _same(path: Path, other: Path) -> bool:
    return os.path.exists(path) and os.path.exists(other) and os.path.samefile(path, other)


def _circular(path: Path) -> bool:
    """Whether this is a link to a folder that holds it."""
    return path.is_symlink() and path.parent.resolve().is_relative_to(os.path.realpath(path))
