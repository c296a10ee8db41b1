"""Training metrics as JSON lines, one object a line, and in TensorBoard on request.

A line is {"step": int, "time": seconds since 1970, name: number, ...}. A value that is not finite
is written as null, since JSON has no such number; `read` gives it back as NaN.
"""

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.runtime.files import atomic_path


class MetricWriter:
    """Appends metrics to a file, every line complete on disk when `write` returns.

    Args:
      path: the JSON-lines file, made with its folder if absent; None writes nothing (the other
        hosts of a multi-host run). A half-written last line is removed.
      tensorboard: folder for TensorBoard's event files, None for none.
      resumed_at: step that a resumed run was restored at; what was written of later steps is
        removed (TensorBoard hides it).

    Raises:
      InputError: TensorBoard is asked for and tensorboardX is not installed.
    """

    def __init__(
        self,
        path: str | os.PathLike | None,
        tensorboard: str | os.PathLike | None = None,
        resumed_at: int | None = None,
    ):
        self._file = self._board = None
        if path is None:
            return
        if tensorboard is not None:
            self._board = _open_board(tensorboard, resumed_at)
        if resumed_at is not None:
            cut(path, resumed_at)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "ab")
        _drop_half_line(self._file, path)

    def __enter__(self) -> "MetricWriter":
        return self

    def __exit__(self, *unused) -> None:
        self.close()

    def write(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Appends one line.

        Args:
          step: training step.
          metrics: name -> scalar (number or array of one element), no name 'step' or 'time'.

        Raises:
          ValueError: a value is no scalar, or a name is taken.
        """
        if self._file is None:
            return
        taken = {"step", "time"} & set(metrics)
        if taken:
            raise ValueError(f"a metric cannot be called {sorted(taken)}")
        values = {name: np.asarray(value).item() for name, value in metrics.items()}
        line = {name: value if math.isfinite(value) else None for name, value in values.items()}
        entry = json.dumps({"step": int(step), "time": time.time(), **line}, allow_nan=False)
        self._file.write(entry.encode() + b"\n")
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, global_step=int(step))

    def close(self) -> None:
        """Closes the files."""
        for target in (self._file, self._board):
            if target is not None:
                target.close()
        self._file = self._board = None


def read(path: str | os.PathLike) -> list[dict[str, Any]]:
    """The lines of a metrics file in order, null as NaN; lines that are no entry are left out."""
    return [
        {name: math.nan if value is None else value for name, value in entry.items()}
        for _, entry in _entries(path)
    ]


def cut(path: str | os.PathLike, step: int) -> int:
    """Removes the lines after a step, which a resumed run writes anew.

    The file is replaced at once, or not at all. Lines that are no entry (the half-written last one
    of a killed run) go too. An absent file is left absent.

    Args:
      path: the JSON-lines file.
      step: the restored step; its own lines stay.

    Returns:
      How many lines were removed.
    """
    path = Path(path)
    if not path.exists():
        return 0
    lines = path.read_bytes().splitlines()
    kept = [line for line, entry in _entries(path) if entry["step"] <= step]
    if len(kept) < len(lines) or not path.read_bytes().endswith(b"\n"):
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"".join(line + b"\n" for line in kept))
    return len(lines) - len(kept)


def _entries(path: str | os.PathLike) -> Iterator[tuple[bytes, dict[str, Any]]]:
    for line in Path(path).read_bytes().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            yield line, entry


def _drop_half_line(file: Any, path: str | os.PathLike) -> None:
    content = Path(path).read_bytes()
    file.truncate(content.rfind(b"\n") + 1)
    file.seek(0, os.SEEK_END)


def _open_board(folder: str | os.PathLike, resumed_at: int | None) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise InputError(
            "TensorBoard is asked for and tensorboardX is not installed: "
            "pip install 'posegan_jax[tensorboard]'"
        ) from None
    purge_step = None if resumed_at is None else resumed_at + 1
    # tensorboardX names its files by the second: a restart within one would overwrite the last.
    suffix = f".{time.time_ns()}"
    return SummaryWriter(os.fspath(folder), purge_step=purge_step, filename_suffix=suffix)
