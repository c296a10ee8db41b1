"""Networks that are trained for exactly one protocol: what is missing there is all that they know.

Whoever always lacks the same joints can train a network for just that: here, that of
``specialist_network``, as ``specialist_training`` does it.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.evaluation.clips import View
from posegan_jax.evaluation.protocols import PROTOCOLS
from posegan_jax.evaluation.specialist_network import Course, Network
from posegan_jax.evaluation.specialist_training import lessons, train
from posegan_jax.runtime.files import atomic_path


def can_learn(protocol: str) -> bool:
    """Whether networks are trained for a protocol: those that hide joints, and do not move any."""
    return protocol in PROTOCOLS and not PROTOCOLS[protocol].noisy


class School:
    """Networks by protocol, trained when they are asked for, and kept.

    Args:
      course: what they learn from.
      folder: where they are kept, '<protocol>.npz', for a run that goes on; None: in memory alone.
    """

    def __init__(self, course: Course, folder: str | os.PathLike | None = None):
        self._course, self._folder = course, Path(folder) if folder is not None else None
        self._views: list[View] = []

    def network(self, protocol: str, tell: Callable[[int, int], None] | None = None) -> Network:
        """The network of a protocol.

        Args:
          protocol: for which ``can_learn``.
          tell: called with epochs done and in all while it is trained.

        Raises:
          InputError: no training motion, or a folder that cannot be written.
        """
        about = self._course.about(protocol)
        path = self._folder and self._folder / f"{protocol}.npz"
        kept = _read(path, about) if path else None
        if kept is None:
            self._views = self._views or self._course.stretches()
            kept = train(lessons(protocol, self._views, self._course), self._course, tell)
            if path:
                _write(path, kept, about)
        return Network(kept, self._course)


def _write(path: Path, parameters: dict[str, np.ndarray], about: dict) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    arrays: dict[str, Any] = {"about": json.dumps(about), **parameters}
    with atomic_path(path) as temporary:
        np.savez(temporary, **arrays)


def _read(path: Path, about: dict) -> dict[str, np.ndarray] | None:
    """Parameters of the same course; None where there are none."""
    if not path.is_file():
        return None
    with np.load(path) as content:
        arrays = {name: content[name] for name in content.files}
    return arrays if json.loads(str(arrays.pop("about"))) == about else None
