"""Checkpoints: the whole training state in one folder a step, and parameters alone for use.

This is the only module that talks to orbax. A step's folder holds two items: `state` (or `params`,
where only parameters were written) with the arrays, and `metadata`, one JSON object with what is
needed to use them: configuration, metrics, frames, joints, latent size.

A folder appears under its final name only when it is complete. What a killed process left behind
carries a temporary name or lacks parts; it is never restored, and removed at the next start.

Folders are on a file system that every host sees (a local disk with one host, NFS, a mounted
bucket). In a multi-host run every process calls these functions, in the same order.
"""

import json
import logging
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint import checkpoint_managers as policies

from posegan_jax.errors import InputError

PyTree = Any

STATE, PARAMS, METADATA = "state", "params", "metadata"
# Where a training state keeps the networks' variables, each as {network: variables}. Of a network
# that is in several, the last is the one to use.
_NETWORKS_IN_STATE = ("variables", "averages")
_TEMPORARY = ".orbax-checkpoint-tmp"
_OWN_NAMES = {STATE, PARAMS, METADATA, "metrics", "_CHECKPOINT_METADATA", "commit_success.txt"}


class Checkpoints:
    """The checkpoints of one training run, saved in the background.

    Opening the folder removes what a killed process left half-written in it, so open it from the
    training run alone; `load_params` reads a run's folder without touching it.

    Args:
      directory: folder of the checkpoints, made if absent; holds one folder a step.
      max_to_keep: how many of the newest checkpoints stay, at least 1.
      best_metric: name of a metric in `metadata['metrics']`; the checkpoint with its best value
        stays too, however old.
      best_mode: 'min' or 'max', which value of `best_metric` is the best.

    Raises:
      InputError: `directory` is a file, or holds a numbered folder that is no checkpoint.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        max_to_keep: int = 3,
        best_metric: str | None = None,
        best_mode: str = "min",
    ):
        if max_to_keep < 1:
            raise InputError(f"max_to_keep is {max_to_keep}: keep at least one checkpoint")
        if best_mode not in ("min", "max"):
            raise InputError(f"best_mode is {best_mode!r}: use 'min' or 'max'")
        _silence_orbax()
        self.directory = Path(os.path.abspath(directory))
        self._best_metric = best_metric
        _prepare(self.directory)
        kept = [policies.LatestN(max_to_keep)]
        best_fn = None
        if best_metric is not None:

            def best_fn(metrics):
                return metrics[best_metric]

            kept.append(
                policies.BestN(
                    get_metric_fn=best_fn,
                    reverse=best_mode == "min",
                    n=1,
                    keep_checkpoints_without_metrics=False,
                )
            )
        self._manager = ocp.CheckpointManager(
            self.directory,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=policies.AnyPreservationPolicy(kept),
                best_fn=best_fn,
                best_mode=best_mode,
            ),
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *unused) -> None:
        self.close()

    def save(
        self, step: int, state: PyTree, metadata: Mapping[str, Any], force: bool = False
    ) -> bool:
        """Saves a state; returns once it is copied off the devices, and writes in the background.

        The arrays may be donated right after the call.

        Args:
          step: 0 or more, names the checkpoint.
          state: pytree of jax or numpy arrays, PRNG keys as `jax.random.key_data`.
          metadata: JSON object, with the step's metrics (name: number) under 'metrics' if any.
          force: write a step that is already saved again, instead of leaving it as it is.

        Returns:
          Whether the state was saved.

        Raises:
          TypeError: `metadata` is not JSON.
          Exception: of the save before this one, where it failed in the background.
        """
        metadata = json.loads(json.dumps(dict(metadata)))  # a copy that no caller can change
        self.wait()
        if step in self._manager.all_steps():
            if not force:
                return False
            self._manager.delete(step)
        value = (metadata.get("metrics") or {}).get(self._best_metric)
        tracked = value is not None and math.isfinite(value)
        return self._manager.save(
            step,
            args=ocp.args.Composite(
                **{
                    STATE: ocp.args.StandardSave(state),
                    METADATA: ocp.args.JsonSave(metadata),
                }
            ),
            metrics={self._best_metric: value} if tracked else None,
            force=True,
        )

    def restore(
        self, target: PyTree, step: int | None = None
    ) -> tuple[PyTree, dict[str, Any]] | None:
        """Restores a state onto the devices that the target names, whatever it was saved on.

        Args:
          target: pytree of arrays or `jax.ShapeDtypeStruct`, the state's structure, shapes and
            dtypes; each leaf comes back with the leaf's sharding (on the first device where it has
            none), numpy arrays as numpy arrays.
          step: which checkpoint, the newest if None.

        Returns:
          (state, metadata), or None when there is no checkpoint and no step was asked for.

        Raises:
          InputError: no such step, a state of another structure, shape or dtype, or damaged files.
        """
        self.wait()
        steps = self._manager.all_steps()
        if step is None:
            if not steps:
                return None
            step = max(steps)
        folder = self.directory / str(step)
        if step not in steps:
            raise InputError(f"{folder}: no such checkpoint; saved steps: {sorted(steps)}")
        metadata = _read_metadata(folder)
        _check_fits(folder, _saved_leaves(folder / STATE), target)
        args = ocp.args.Composite(**{STATE: ocp.args.StandardRestore(jax.tree.map(_place, target))})
        try:
            return self._manager.restore(step, args=args)[STATE], metadata
        except Exception as error:
            raise _damaged(folder, error) from error

    def latest_step(self) -> int | None:
        """The newest saved step, one still being written included; None if there is none."""
        return self._manager.latest_step()

    def best_step(self) -> int | None:
        """The step with the best `best_metric`; None if no saved step has it."""
        return self._manager.best_step() if self._best_metric is not None else None

    def wait(self) -> None:
        """Returns when nothing is being written any more; raises what a failed save raised."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits, then ends the background threads."""
        self._manager.close()


def save_params(
    path: str | os.PathLike, params: PyTree, metadata: Mapping[str, Any], overwrite: bool = False
) -> None:
    """Writes parameters alone, compressed, to a folder that `load_params` reads.

    Args:
      path: the folder to write; appears only when complete.
      params: nested dict of arrays, {network: its variables} as `load_params` gives it.
      metadata: JSON object.
      overwrite: replace a folder of parameters at `path`.

    Raises:
      InputError: `path` exists, and `overwrite` is False or it holds no parameters.
      TypeError: `metadata` is not JSON.
    """
    _silence_orbax()
    path = Path(os.path.abspath(path))
    metadata = json.loads(json.dumps(dict(metadata)))
    if path.exists() and not (overwrite and _is_complete(path)):
        raise InputError(f"{path}: already exists; choose another folder")
    # As numpy arrays no sharding is written: the folder says nothing of the machine it came from.
    params = jax.tree.map(np.asarray, jax.device_get(params))
    items = {PARAMS: ocp.args.StandardSave(params), METADATA: ocp.args.JsonSave(metadata)}
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        checkpointer.save(path, args=ocp.args.Composite(**items), force=overwrite)
    if jax.process_index() == 0:
        for marker in path.rglob("commit_success.txt"):  # these hold the absolute path
            marker.unlink()


def load_params(
    path: str | os.PathLike, step: int | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads parameters, from a folder of `save_params` or from a training run's checkpoints.

    Of a training state only the networks' variables are read, the moving averages where a network
    has them; nothing needs to be known of the optimizer.

    Args:
      path: folder of `save_params`, a checkpoint's folder, the folder of a run's checkpoints, or a
        folder with the latter as 'checkpoints'.
      step: which checkpoint of a run, the newest complete one if None.

    Returns:
      (parameters, metadata): {network: its variables}, a nested dict of numpy arrays in host
      memory, whatever devices they were saved from, and the JSON object saved with them.

    Raises:
      InputError: `path` is no checkpoint, or one without metadata or parameters, or damaged.
    """
    _silence_orbax()
    folder = find_checkpoint(path, step)
    metadata = _read_metadata(folder)
    if (folder / PARAMS).is_dir():
        return _read_arrays(folder / PARAMS, _saved_leaves(folder / PARAMS)), metadata
    saved = _saved_leaves(folder / STATE)
    networks = {}  # network -> the part of the state to take it from
    for part in _NETWORKS_IN_STATE:
        networks |= {keys[1]: part for keys in saved if keys[0] == part and len(keys) > 2}
    if not networks:
        raise InputError(f"{folder}: holds no networks; give a run's or a weights folder")
    wanted = {k: leaf for k, leaf in saved.items() if len(k) > 2 and networks.get(k[1]) == k[0]}
    arrays = _read_arrays(folder / STATE, wanted)
    return {name: arrays[part][name] for name, part in networks.items()}, metadata


def load_metadata(path: str | os.PathLike) -> dict[str, Any]:
    """Reads the metadata that `load_params` gives with the parameters, and no array.

    Raises:
      InputError: `path` is no checkpoint, or one without metadata.
    """
    return _read_metadata(find_checkpoint(path))


def find_checkpoint(path: str | os.PathLike, step: int | None = None) -> Path:
    """The folder of the one checkpoint that `load_params` reads, given the same.

    Raises:
      InputError: there is none.
    """
    path = Path(os.path.abspath(path))
    if not path.is_dir():
        problem = "is a file" if path.exists() else "no such folder"
        raise InputError(f"{path}: {problem}; give a folder of weights or of a training run")
    if any((path / item).is_dir() for item in (STATE, PARAMS)):
        if step is not None:
            raise InputError(f"{path}: is one checkpoint; leave the step ({step}) out")
        return path
    numbered = [child for child in path.iterdir() if child.name.isdecimal()]
    if not numbered and (path / "checkpoints").is_dir():
        return find_checkpoint(path / "checkpoints", step)
    steps = {int(child.name): child for child in numbered if _is_complete(child)}
    if not steps:
        raise InputError(f"{path}: holds no checkpoint; give a folder of weights or of a run")
    if step is not None and step not in steps:
        raise InputError(f"{path}: no checkpoint of step {step}; saved steps: {sorted(steps)}")
    return steps[max(steps) if step is None else step]


def _silence_orbax() -> None:
    """Keeps orbax's progress reports out of the log; its errors still come through."""
    logger = logging.getLogger("absl")
    if not any(isinstance(f, _OrbaxReports) for f in logger.filters):
        logger.addFilter(_OrbaxReports())


class _OrbaxReports(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        from_orbax = f"{os.sep}orbax{os.sep}" in record.pathname
        return not from_orbax or record.levelno >= logging.ERROR


def _prepare(directory: Path) -> None:
    """Makes the folder, and removes from it what a killed process left half-written."""
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory}: is a file; checkpoints need a folder")
    if jax.process_index() == 0:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            children = sorted(directory.iterdir())
        except OSError as error:  # a file above it, no permission, ...
            raise InputError(f"cannot write to {directory}: {error.strerror}") from error
        for child in children:
            unfinished = child.name.isdecimal() and not _is_complete(child)
            if unfinished and not _is_ours(child):
                raise InputError(f"{child}: is no checkpoint; move it away or use another folder")
            if unfinished or _TEMPORARY in child.name:
                logging.getLogger(__name__).warning("removing half-written %s", child)
                shutil.rmtree(child)
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("posegan_jax checkpoints prepared")


def _is_ours(folder: Path) -> bool:
    """Whether a folder holds nothing but what a checkpoint is made of, so that it may be removed"""
    return folder.is_dir() and all(
        child.name in _OWN_NAMES or _TEMPORARY in child.name for child in folder.iterdir()
    )


def _is_complete(folder: Path) -> bool:
    """Whether a folder has every part of a checkpoint (not whether the arrays are sound)."""
    for item in (STATE, PARAMS):
        parts = (
            folder / item / "_METADATA",
            folder / item / "manifest.ocdbt",
            folder / METADATA / METADATA,
        )
        if all(part.is_file() and part.stat().st_size for part in parts):
            return True
    return False


def _read_metadata(folder: Path) -> dict[str, Any]:
    try:
        metadata = json.loads((folder / METADATA / METADATA).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{folder}: has no metadata, so what it was trained for is not known"
        ) from None
    except ValueError as error:
        raise _damaged(folder, error) from error
    if not isinstance(metadata, dict):
        raise InputError(f"{folder}: its metadata is no JSON object")
    return metadata


def _saved_leaves(item: Path) -> dict[tuple[str, ...], Any]:
    """Path -> metadata (shape, dtype) of every array in an item, without reading the arrays."""
    try:
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
            tree = checkpointer.metadata(item).item_metadata.tree
    except Exception as error:
        raise _damaged(item.parent, error) from error
    return _leaves(tree)


def _leaves(tree: PyTree) -> dict[tuple[str, ...], Any]:
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {tuple(_key_name(key) for key in path): leaf for path, leaf in flat}


def _key_name(key: Any) -> str:
    """The name under which orbax stores a step into a dict, a list or an object's attribute."""
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    raise TypeError(f"unknown pytree key {key!r}")


def _read_arrays(item: Path, leaves: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """Reads these arrays of an item, and no others, as a nested dict of numpy arrays."""
    target, as_numpy = {}, {}
    for keys, leaf in leaves.items():
        _put(target, keys, jax.ShapeDtypeStruct(leaf.shape, leaf.dtype))
        _put(as_numpy, keys, ocp.RestoreArgs(restore_type=np.ndarray))
    args = ocp.args.PyTreeRestore(target, restore_args=as_numpy, partial_restore=True)
    try:
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
            return checkpointer.restore(item, args=args)
    except Exception as error:
        raise _damaged(item.parent, error) from error


def _put(tree: dict[str, Any], keys: tuple[str, ...], leaf: Any) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
    tree[keys[-1]] = leaf


def _check_fits(folder: Path, saved: Mapping[tuple[str, ...], Any], target: PyTree) -> None:
    """Raises InputError with the first difference between a saved and a wanted state."""
    wanted = _leaves(target)
    for keys in [*wanted, *saved]:
        name = "/".join(keys)
        if keys not in saved:
            problem = f"has no {name}"
        elif keys not in wanted:
            problem = f"has {name}, which this run has not"
        else:
            there, here = saved[keys], wanted[keys]
            if tuple(there.shape) == np.shape(here) and there.dtype == np.dtype(here.dtype):
                continue
            problem = (
                f"has {name} as {there.dtype}{list(there.shape)}, "
                f"this run has it as {here.dtype}{list(np.shape(here))}"
            )
        raise InputError(f"{folder}: {problem}; resume with the configuration it was saved with")


def _place(leaf: Any) -> Any:
    """What orbax needs to know to put a leaf where the target has it."""
    if isinstance(leaf, np.ndarray | np.generic):
        return np.asarray(leaf)
    sharding = getattr(leaf, "sharding", None)
    if sharding is None:
        sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def _damaged(folder: Path, error: Exception) -> InputError:
    cause = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return InputError(f"{folder}: cannot be read, move it away to use an older one ({cause})")
