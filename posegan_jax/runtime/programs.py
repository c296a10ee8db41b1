"""Compiled programs that are loaded without being traced.

JAX's own cache is asked by what a program is, so every process traces and lowers it first, and
loads all that this needs: seconds for a search of a fraction of one. Here a program is known by
what it is made from: the sources, the versions, the machine, the settings and the arguments.

Where JAX's cache of compiled programs is a folder of this machine, and is not turned off, these are
kept in a folder in it, which may be removed at any time. What cannot be loaded is compiled, and
what cannot be written is not kept.

JAX pickles what it tells of a program's arguments, beside the machine code, and warns that who
loads a program runs whatever is in it. That holds of machine code with or without the pickle, and
so of all that the cache keeps: both come from a folder that is the user's own. Nothing of ours is
pickled.
"""

import contextlib
import functools
import hashlib
import io
import os
import platform
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.runtime import compilation_cache
from posegan_jax.runtime.files import atomic_path

FOLDER = "posegan_jax-programs"
LARGEST = 2**28
"""Bytes that the folder may hold; what was used last stays."""

_PACKAGE = Path(__file__).parents[1]
_LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy")
_VARIABLES = ("XLA_", "LIBTPU_", "TF_XLA_")  # how the names of those begin that XLA looks at
_UNRELATED = ("cache", "_log", "traceback")  # parts of names of settings
_CHECKSUM = hashlib.sha256
_NOT_HERE = b""  # in a program's place, where it cannot be kept: JAX's own cache has to do
_loaded: dict[str, Callable | None] = {}
_one_at_a_time = threading.Lock()


def folder() -> Path | None:
    """Where programs are kept; None: nowhere."""
    kept = jax.config.jax_compilation_cache_dir
    if not kept or not jax.config.jax_enable_compilation_cache or "://" in str(kept):
        return None
    # The processes of one program have to run the same one.
    return None if jax.process_count() > 1 else Path(kept) / FOLDER


def program(
    name: str, lower: Callable[[], jax.stages.Lowered], arguments: tuple, outputs: Any,
    known_by: Any, sources: Sequence[str], devices: Sequence[jax.Device],
) -> Callable | None:
    """A compiled program: loaded if it is kept, and kept otherwise.

    Args:
      name: of the file, for whoever looks at the folder.
      lower: traces and lowers it, for these arguments.
      arguments: pytrees of arrays; others of their shapes, dtypes and shardings will do.
      outputs: any pytree of the structure of what it returns.
      known_by: whatever else decides the program, with a ``repr`` that tells all.
      sources: files and folders of the package of which it is made.
      devices: that it runs on.

    Returns:
      What is called with such arguments; None where programs are not kept.
    """
    with _one_at_a_time:
        where = folder()
        if where is None:
            return None
        leaves, tree = jax.tree.flatten((arguments, {}))
        shapes = [(leaf.shape, str(leaf.dtype), str(leaf.sharding)) for leaf in leaves]
        key = _key(tree, shapes, known_by, sources, devices)
        if key is not None and key not in _loaded:
            path, trees = where / f"{name}-{key}", (tree, jax.tree.structure(outputs))
            content = _read(path)
            found = content and _restored(content, trees, devices)
            if not found and content != _NOT_HERE and _is_writable(where):
                found = _compile(lower())
                _write(path, _serialized(found, trees, devices))
            _loaded[key] = found or None
        return _loaded.get(key)


def result(
    name: str, compute: Callable[[], jax.Array], known_by: Any, sources: Sequence[str],
    devices: Sequence[jax.Device],
) -> np.ndarray:
    """What a program without arguments returns, kept as programs are.

    Args:
      compute: calls it.
      name, known_by, sources, devices: as of ``program``.
    """
    where, key = folder(), _key(known_by, sources, devices)
    if where is None or key is None:
        return np.asarray(compute())
    path = where / f"{name}-{key}"
    content = _read(path)
    if content is not None:
        with contextlib.suppress(ValueError, EOFError):
            return np.load(io.BytesIO(content), allow_pickle=False)
    array, content = np.asarray(compute()), io.BytesIO()
    np.save(content, array, allow_pickle=False)
    _write(path, content.getvalue())
    return array


# --- what a program is known by -------------------------------------------------------------------


def _key(*parts: Any) -> str | None:
    """None where the sources cannot be read."""
    *parts, sources, devices = parts
    try:
        parts += [digest(tuple(sources)), _machine(), _settings(), *map(_device, devices)]
    except OSError:
        return None
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:40]


@functools.cache
def digest(sources: tuple[str, ...]) -> str:
    """Of the contents of these files and folders of the package, at their first use.

    Raises:
      OSError: there is none.
    """
    total = hashlib.sha256()
    for source in sources:
        path = _PACKAGE / source
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            total.update(f"{file.relative_to(_PACKAGE)} ".encode())
            total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


@functools.cache
def _machine() -> str:
    variables = [item for item in sorted(os.environ.items()) if item[0].startswith(_VARIABLES)]
    versions = [(name, version(name)) for name in _LIBRARIES]
    return repr([compilation_cache.machine(), platform.python_version(), versions, variables])


def _settings() -> list[tuple[str, Any]]:
    """Those of JAX that programs depend on, and some on which they do not."""
    values = jax.config.values.items()
    return [item for item in values if not any(part in item[0] for part in _UNRELATED)]


def _device(device: jax.Device) -> tuple:
    client = device.client
    return device.id, client.platform, client.platform_version, device.device_kind


# --- files ----------------------------------------------------------------------------------------


def _compile(lowered: jax.stages.Lowered) -> jax.stages.Compiled:
    """In truth: on a CPU, what JAX's cache gives back cannot be written once more. It lacks the
    functions that were compiled, which is found out when it is called."""
    with compilation_cache.disabled():
        return lowered.compile()


def _serialized(
    compiled: jax.stages.Compiled, trees: tuple, devices: Sequence[jax.Device]
) -> bytes:
    from jax.experimental import serialize_executable

    try:
        content, *found = serialize_executable.serialize(compiled)
    except Exception:  # each platform has its own way to say that it cannot
        return _NOT_HERE
    known = tuple(found) == trees and _restored(content, trees, devices)
    return content if known else _NOT_HERE


def _restored(content: bytes, trees: tuple, devices: Sequence[jax.Device]) -> Callable | None:
    from jax.experimental import serialize_executable

    try:
        return serialize_executable.deserialize_and_load(
            content, trees[0], trees[1], backend=devices[0].client, execution_devices=devices
        )
    except Exception:  # whatever it is, compiling helps
        return None


def _is_writable(where: Path) -> bool:
    """Whether a folder, or that in which it is to be, can be written to."""
    with contextlib.suppress(OSError):
        where.mkdir(parents=True, exist_ok=True)
    return os.access(where, os.W_OK | os.X_OK)


def _read(path: Path) -> bytes | None:
    """What a file holds; None where there is none, or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    size = _CHECKSUM().digest_size
    if _CHECKSUM(content[size:]).digest() != content[:size]:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return content[size:]


def _write(path: Path, content: bytes) -> None:
    with contextlib.suppress(OSError, InputError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_bytes(_CHECKSUM(content).digest() + content)
        _prune(path.parent)


def _prune(where: Path) -> None:
    """Removes what was not used for longest, until the others fit."""
    files = [(file, file.stat()) for file in where.iterdir()]
    total = 0
    for file, stat in sorted(files, key=lambda entry: entry[1].st_mtime, reverse=True):
        total += stat.st_size
        if total > LARGEST:
            file.unlink(missing_ok=True)
