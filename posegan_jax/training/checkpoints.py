"""Checkpoints of a training run: the whole state in one folder a step, see ``model.folder``.

A folder appears under its final name only when it is complete. What a killed process left behind
carries a temporary name or lacks parts; it is never restored, and removed at the next start.

Folders are on a file system that every host sees (a local disk with one host, NFS, a mounted
bucket). In a multi-host run every process calls these functions, in the same order.
"""

import json
import logging
import math
import operator
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
from posegan_jax.geometry.moments import ResidualMoments
from posegan_jax.model.arrays import flat, key_name, read_shapes, silence_orbax
from posegan_jax.model.folder import (
    METADATA,
    PARAMS,
    RESIDUAL,
    STATE,
    damaged,
    is_complete,
    read_metadata,
)

PyTree = Any

_TEMPORARY = ".orbax-checkpoint-tmp"
_OWN_NAMES = {
    STATE, PARAMS, RESIDUAL, METADATA, "metrics", "_CHECKPOINT_METADATA", "commit_success.txt",
}


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
        silence_orbax()
        self.directory = Path(os.path.abspath(directory))
        self._best_metric = best_metric
        _prepare(self.directory)
        kept = [policies.LatestN(max_to_keep)]
        best_fn = None if best_metric is None else operator.itemgetter(best_metric)
        if best_metric is not None:
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
                # Where a folder cannot be made, the threads that were to write into it would wait
                # for it for five minutes, and the end of the process for them.
                async_options=ocp.AsyncOptions(create_directories_asynchronously=False),
            ),
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *unused) -> None:
        self.close()

    def save(
        self, step: int, state: PyTree, metadata: Mapping[str, Any], force: bool = False,
        moments: ResidualMoments | None = None,
    ) -> bool:
        """Saves a state; returns once it is copied off the devices, and writes in the background.

        The arrays may be donated right after the call.

        Args:
          step: 0 or more, names the checkpoint.
          state: pytree of jax or numpy arrays, PRNG keys as `jax.random.key_data`.
          metadata: JSON object, with the step's metrics (name: number) under 'metrics' if any.
          force: write a step that is already saved again, instead of leaving it as it is.
          moments: of the residuals that the networks leave, where they were measured.

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
        items = {STATE: ocp.args.StandardSave(state), METADATA: ocp.args.JsonSave(metadata)}
        if moments is not None:
            items[RESIDUAL] = ocp.args.StandardSave(jax.tree.map(np.asarray, moments._asdict()))
        return self._manager.save(
            step, args=ocp.args.Composite(**items),
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
        metadata = read_metadata(folder)
        _check_fits(folder, flat(read_shapes(folder / STATE)), target)
        args = ocp.args.Composite(**{STATE: ocp.args.StandardRestore(jax.tree.map(_place, target))})
        try:
            return self._manager.restore(step, args=args)[STATE], metadata
        except Exception as error:
            raise damaged(folder, error) from error

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
            unfinished = child.name.isdecimal() and not is_complete(child)
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


def _check_fits(folder: Path, saved: Mapping[tuple[str, ...], Any], target: PyTree) -> None:
    """Raises InputError with the first difference between a saved and a wanted state."""
    paths, _ = jax.tree_util.tree_flatten_with_path(target)
    wanted = {tuple(map(key_name, path)): leaf for path, leaf in paths}
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
