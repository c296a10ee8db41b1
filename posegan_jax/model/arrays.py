"""The arrays of a checkpoint, read as orbax wrote them, without importing it or JAX.

An item's folder has a file ``_METADATA``, JSON which names every array by its keys, and the arrays
in zarr's format, in a database of TensorStore (OCDBT) that calls them by their keys with dots
between. Orbax takes a second to say that. What is written in another way is left to orbax.
"""

import json
import logging
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorstore as ts

from posegan_jax.model.folder import damaged

Keys = tuple[str, ...]

_CONTENTS = "_METADATA"
_VALUES = ("jax.Array", "np.ndarray", "scalar")
_CACHED = 100_000_000  # bytes; without it the database's index is read anew for every array


class Shape(NamedTuple):
    """What can be said of an array without reading it."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def read_shapes(item: Path, keys: Iterable[Keys] | None = None) -> dict[str, Any]:
    """As ``read_arrays``, but shapes and dtypes alone.

    Raises:
      InputError: files that are damaged.
    """
    try:
        there = _keys(item)
        if there is None:
            leaves = _orbax_leaves(item, keys)
            shapes = {k: Shape(tuple(a.shape), np.dtype(a.dtype)) for k, a in leaves.items()}
        else:
            opened = _open(item, there if keys is None else keys)
            shapes = {k: Shape(tuple(a.shape), a.dtype.numpy_dtype) for k, a in opened.items()}
    except Exception as error:  # of any of three libraries
        raise damaged(item.parent, error) from error
    return nested(shapes)


def read_arrays(item: Path, keys: Iterable[Keys] | None = None) -> dict[str, Any]:
    """Reads these arrays of an item, or all, as a nested dict of numpy arrays in host memory.

    Those that were packaged in half precision are made single ones.

    Raises:
      InputError: files that are damaged.
    """
    try:
        there = _keys(item)
        if there is None:
            arrays = _orbax_arrays(item, keys)
        else:
            opened = _open(item, there if keys is None else keys)
            reading = {k: array.read() for k, array in opened.items()}
            arrays = {k: future.result() for k, future in reading.items()}
    except Exception as error:
        raise damaged(item.parent, error) from error
    return nested({k: np.float32(a) if a.dtype == np.float16 else a for k, a in arrays.items()})


def nested(leaves: Mapping[Keys, Any]) -> dict[str, Any]:
    """A dict of dicts from keys and what is there, in the order of the keys."""
    tree = {}
    for keys in sorted(leaves):
        inner = tree
        for key in keys[:-1]:
            inner = inner.setdefault(key, {})
        inner[keys[-1]] = leaves[keys]
    return tree


def flat(tree: Any, keys: Keys = ()) -> dict[Keys, Any]:
    """The inverse of ``nested``."""
    if not isinstance(tree, dict):
        return {keys: tree}
    return {k: v for key in sorted(tree) for k, v in flat(tree[key], (*keys, key)).items()}


def _keys(item: Path) -> list[Keys] | None:
    """Of every array; None where an item is not written as is said above."""
    contents = json.loads((item / _CONTENTS).read_text(encoding="utf-8"))
    try:
        if not contents["use_ocdbt"] or contents.get("use_zarr3"):
            return None
        keys = []
        for entry in contents["tree_metadata"].values():
            value = entry["value_metadata"]
            if value.get("skip_deserialize"):  # an empty dict, or None
                continue
            if value["value_type"] not in _VALUES:
                return None
            keys.append(tuple(str(key["key"]) for key in entry["key_metadata"]))
    except (AttributeError, KeyError, TypeError):
        return None
    return keys


def _open(item: Path, keys: Iterable[Keys]) -> dict[Keys, ts.TensorStore]:
    context = ts.Context({"cache_pool": {"total_bytes_limit": _CACHED}})
    base = {"driver": "file", "path": f"{os.path.abspath(item)}/"}
    opening = {}
    for k in keys:
        place = {"driver": "ocdbt", "base": base, "path": f"{'.'.join(k)}/"}
        opening[k] = ts.open({"driver": "zarr", "kvstore": place}, read=True, context=context)
    return {k: future.result() for k, future in opening.items()}


# --- by orbax -------------------------------------------------------------------------------------


def silence_orbax() -> None:
    """Keeps orbax's progress reports out of the log; its errors still come through."""
    logger = logging.getLogger("absl")
    if not any(isinstance(f, _OrbaxReports) for f in logger.filters):
        logger.addFilter(_OrbaxReports())


class _OrbaxReports(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        from_orbax = f"{os.sep}orbax{os.sep}" in record.pathname
        return not from_orbax or record.levelno >= logging.ERROR


def key_name(key: Any) -> str:
    """The name under which orbax stores a step into a dict, a list or an object's attribute."""
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    raise TypeError(f"unknown pytree key {key!r}")


def _orbax_leaves(item: Path, keys: Iterable[Keys] | None) -> dict[Keys, Any]:
    import jax
    import orbax.checkpoint as ocp

    silence_orbax()
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        tree = checkpointer.metadata(item).item_metadata.tree
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    leaves = {tuple(map(key_name, path)): leaf for path, leaf in paths}
    return leaves if keys is None else {k: leaves[k] for k in keys}


def _orbax_arrays(item: Path, keys: Iterable[Keys] | None) -> dict[Keys, np.ndarray]:
    import jax
    import orbax.checkpoint as ocp

    wanted = _orbax_leaves(item, keys)
    target = nested({k: jax.ShapeDtypeStruct(a.shape, a.dtype) for k, a in wanted.items()})
    how = nested(dict.fromkeys(wanted, ocp.RestoreArgs(restore_type=np.ndarray)))
    args = ocp.args.PyTreeRestore(target, restore_args=how, partial_restore=True)
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        return flat(checkpointer.restore(item, args=args))
