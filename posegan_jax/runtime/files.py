"""Writing files and folders so that a reader never sees half of one, not even after a power cut.

What is at a path is replaced, where it may be written; a link stays, and what it leads to is
written.
"""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from posegan_jax.errors import InputError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside ``path`` (same suffix) that takes its name on success.

    On an exception the temporary file is removed and what stood at ``path`` stays.

    Raises:
      InputError: as ``check_file``, or the disk is full.
    """
    check_file(path)
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.stem}.{secrets.token_hex(4)}.tmp{target.suffix}")
    try:
        temporary.touch(exist_ok=False)  # with the permissions of any new file
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    try:
        with _room(path):
            yield temporary
            if target.exists():
                shutil.copymode(target, temporary)
            _sync(temporary)
        os.replace(temporary, target)
        _sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(
    path: str | os.PathLike, is_frame: Callable[[Path], bool]
) -> Iterator[Path]:
    """A temporary folder beside ``path``, for a file per frame, that takes its name on success.

    A folder that stood at ``path`` is replaced if it holds such files and nothing else. On an
    exception the temporary folder is removed and what stood at ``path`` stays.

    Raises:
      InputError: as ``check_folder``, or the disk is full.
    """
    check_folder(path, is_frame)
    target = Path(os.path.realpath(path))
    above = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        above.mkdir()
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    new, old = above / "new", above / "old"
    try:
        with _room(path):
            new.mkdir()
            yield new
            # Many at a time, for which the disk need not wait as often.
            with ThreadPoolExecutor(16) as pool:
                list(pool.map(_sync, new.iterdir()))
            _sync(new)
        try:
            if target.exists():
                os.replace(target, old)
            os.replace(new, target)
        except BaseException:  # an interrupt, too, must not cost the old one
            if old.exists() and not target.exists():
                os.replace(old, target)
            raise
        _sync(target.parent)
    finally:
        shutil.rmtree(above, ignore_errors=True)


@contextlib.contextmanager
def _room(path: str | os.PathLike) -> Iterator[None]:
    """Where something is written: that there is no room for it is told as of ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise InputError(f"cannot write {path}: {error.strerror}") from error
        raise


def check_file(path: str | os.PathLike) -> None:
    """Raises InputError where no file can be written to a path, or one there not be replaced."""
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder; give a file name")
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{path} is a device or pipe; give a file name")
    _check_writable(path)


def check_folder(path: str | os.PathLike, is_frame: Callable[[Path], bool]) -> None:
    """Raises InputError where a folder of frames cannot be written, or what is there not replaced.

    Args:
      path: of the folder.
      is_frame: whether a file in it is one that may be replaced.
    """
    if os.path.exists(path) and not os.path.isdir(path):
        raise InputError(f"{path} is a file; give a folder")
    _check_writable(path)
    if not os.path.isdir(path):
        return
    try:
        inside = sorted(Path(path).iterdir())
        others = [file.name for file in inside if not (file.is_file() and is_frame(file))]
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if others:
        named = ", ".join(others[:3]) + ", ..." * (len(others) > 3)
        raise InputError(f"{path} holds files that are no frames ({named}); give a new folder")


def check_makeable(path: str | os.PathLike) -> None:
    """Raises InputError where a folder, with those above it, can hardly be there or be made."""
    path = Path(os.path.abspath(path))
    there = next(place for place in (path, *path.parents) if os.path.exists(place))
    if not there.is_dir():
        raise InputError(f"cannot write to {path}: {there} is a file; give another folder")
    if not os.access(there, os.W_OK):
        raise InputError(f"cannot write to {path}: no permission in {there}")


def is_same(path: str | os.PathLike, other: str | os.PathLike) -> bool:
    """Whether two paths lead to one file or folder, by links and other spellings, too."""
    return os.path.exists(path) and os.path.exists(other) and os.path.samefile(path, other)


def _check_writable(path: str | os.PathLike) -> None:
    target = os.path.realpath(path)
    above = os.path.dirname(target)
    if not os.path.isdir(above):
        raise InputError(f"cannot write {path}: no such folder")
    if not os.access(above, os.W_OK):
        raise InputError(f"cannot write {path}: no permission")
    if not os.path.exists(target):
        return
    # Root may write to whatever there is, but what is marked so is not meant to be replaced.
    if not os.access(target, os.W_OK) or not os.stat(target).st_mode & 0o222:
        raise InputError(f"cannot write {path}: it is read-only; give another name")


def _sync(path: Path) -> None:
    """Brings a file, or the names in a folder, to the disk."""
    folder = path.is_dir()
    try:
        handle = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    except OSError:
        if folder:  # not on Windows
            return
        raise
    try:
        os.fsync(handle)
    except OSError:
        if not folder:  # some file systems know it of files alone
            raise
    finally:
        os.close(handle)
