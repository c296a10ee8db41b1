"""Folders of checkpoints: which there are, and what they say of themselves. Needs no JAX.

A checkpoint's folder holds items: ``state`` (of a training run) or ``params`` (parameters alone)
with the arrays, ``residual`` with the moments of residuals where they were measured, ``certainty``
with the parameters of what says how sure it is where these were fitted, and
``metadata``, one JSON object with what is needed to use them. A folder appears under its final name
only when it is complete.
"""

import json
import os
from importlib import resources
from pathlib import Path
from typing import Any

from posegan_jax.errors import InputError

STATE, PARAMS, RESIDUAL, METADATA = "state", "params", "residual", "metadata"
CERTAINTY = "certainty"


def packaged(name: str = "pretrained"):
    """A checkpoint that comes with the package, as an importlib resource."""
    return resources.files("posegan_jax") / "weights" / name


def find_checkpoint(path: str | os.PathLike, step: int | None = None) -> Path:
    """The folder of one checkpoint.

    Args:
      path: a checkpoint's folder, the folder of a run's checkpoints, or a folder with the latter as
        'checkpoints'.
      step: which checkpoint of a run, the newest complete one if None.

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
    steps = {int(child.name): child for child in numbered if is_complete(child)}
    if not steps:
        raise InputError(f"{path}: holds no checkpoint; give a folder of weights or of a run")
    if step is not None and step not in steps:
        raise InputError(f"{path}: no checkpoint of step {step}; saved steps: {sorted(steps)}")
    return steps[max(steps) if step is None else step]


def find_weights(path: str | os.PathLike) -> Path:
    """The folder of parameters alone at a path, which has no training state.

    Raises:
      InputError: there is none, or it is a training run's.
    """
    folder = find_checkpoint(path)
    if not (folder / PARAMS).is_dir():
        raise InputError(
            f"{path}: is a training run; first take its weights out, by "
            "python -m posegan_jax.training.export"
        )
    return folder


def is_complete(folder: Path) -> bool:
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


def read_metadata(folder: Path) -> dict[str, Any]:
    """What a checkpoint's folder says of itself.

    Raises:
      InputError: nothing, or no JSON object.
    """
    try:
        metadata = json.loads((folder / METADATA / METADATA).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{folder}: has no metadata, so what it was trained for is not known"
        ) from None
    except ValueError as error:
        raise damaged(folder, error) from error
    if not isinstance(metadata, dict):
        raise InputError(f"{folder}: its metadata is no JSON object")
    return metadata


def damaged(folder: Path, error: Exception) -> InputError:
    """An error in reading a checkpoint, in one line."""
    cause = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return InputError(f"{folder}: cannot be read, move it away to use an older one ({cause})")
