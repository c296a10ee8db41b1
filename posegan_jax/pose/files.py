"""Writing files and folders so that a reader never sees half of one."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from posegan_jax.errors import InputError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside ``path`` (same suffix) that takes its name on success.

    On an exception the temporary file is removed and what stood at ``path`` stays.

    Raises:
      InputError: the folder does not exist or cannot be written, or ``path`` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file name")
    try:
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem}.", suffix=f".tmp{path.suffix}"
        )
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp's 0600 would hide the file from others
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike, suffix: str) -> Iterator[Path]:
    """A temporary folder beside ``path`` that takes its name on success.

    A folder that stood at ``path`` is replaced if it holds files with this suffix and nothing else.
    On an exception the temporary folder is removed and what stood at ``path`` stays.

    Raises:
      InputError: the folder above does not exist or cannot be written, or something else stands at
        ``path``.
    """
    path = Path(path)
    check_folder(path, suffix)
    try:
        above = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    new, old = above / "new", above / "old"
    try:
        new.mkdir()
        yield new
        if path.exists():
            os.replace(path, old)
        try:
            os.replace(new, path)
        except OSError:
            if old.exists():
                os.replace(old, path)
            raise
    finally:
        shutil.rmtree(above, ignore_errors=True)


def check_folder(path: Path, suffix: str) -> None:
    """Raises InputError where something stands in the way of a folder of files with a suffix."""
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file; give a folder")
    if path.is_dir() and not all(p.suffix == suffix and p.is_file() for p in path.iterdir()):
        raise InputError(f"{path} holds more than {suffix} files; give a new folder")
