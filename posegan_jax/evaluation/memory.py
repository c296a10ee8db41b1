"""What a benchmark keeps while it runs: one that was interrupted goes on where it stopped."""

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.runtime.files import atomic_path

PARTS = ".parts"
"""Folder in that of a benchmark's output."""
OF_WEIGHTS = ("weights", "digest")
"""What in a setup tells our weights, on which a baseline's scores do not depend."""


def told_apart(inpainter: Inpainter, tracks: Iterable[np.ndarray]) -> dict[str, Any]:
    """The part of a setup that tells a model and clips from all others.

    Args:
      inpainter: of our methods.
      tracks: keypoints of the clips.
    """
    leaves = jax.tree.leaves(jax.device_get(inpainter.variables))
    return {
        "skeleton": inpainter.skeleton.name, "detected": list(inpainter.model.detected),
        "window": inpainter.model.options.frames, "tracks": digest(tracks),
        "weights": inpainter.metadata.get("trained_on", ""), "digest": digest(leaves),
    }


def digest(arrays: Iterable[np.ndarray]) -> str:
    """Sixteen letters that other arrays do not have."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


class Memory:
    """Scores of single methods, in files that appear whole or not at all.

    Args:
      output: folder of the benchmark; None keeps nothing.
      setup: all that scores depend on but protocol and method, in plain values.
      baselines: names of methods whose scores no weights of ours change.

    Raises:
      InputError: the folder cannot be written.
    """

    def __init__(
        self, output: str | os.PathLike | None, setup: Mapping[str, Any],
        baselines: Collection[str],
    ):
        self._folder = Path(output) / PARTS if output is not None else None
        self._setup, self._baselines = dict(setup), baselines
        if self._folder:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"cannot write {output}: {error.strerror}") from error

    @property
    def networks(self) -> Path | None:
        """Where networks are kept that are trained for a protocol."""
        return self._folder and self._folder / "networks"

    def load(self, protocol: str, method: str) -> Any:
        """Plain values that were saved under the same setup; None where there are none."""
        path = self._path(protocol, method)
        if path is None or not path.is_file():
            return None
        content = json.loads(path.read_text())
        return content["scores"] if content["setup"] == self._setup_of(method) else None

    def save(self, protocol: str, method: str, scores: Any) -> None:
        """Keeps plain values."""
        if (path := self._path(protocol, method)) is not None:
            content = {"setup": self._setup_of(method), "scores": scores}
            with atomic_path(path) as temporary:
                temporary.write_text(json.dumps(content))

    def _setup_of(self, method: str) -> dict[str, Any]:
        if method not in self._baselines:
            return self._setup
        return {name: value for name, value in self._setup.items() if name not in OF_WEIGHTS}

    def _path(self, protocol: str, method: str) -> Path | None:
        return self._folder and self._folder / f"{protocol}.{method}.json"


def finish(output: str | os.PathLike) -> None:
    """Forgets what was kept for a run to go on; what was made of it is written."""
    shutil.rmtree(Path(output) / PARTS, ignore_errors=True)
