"""What the benchmark tells: tables of text, and a file of all repetitions."""

import dataclasses
import json
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

import jax

from benchmarks.speed.timing import Timing
from posegan_jax.runtime import cpus
from posegan_jax.runtime.files import atomic_path

BANDWIDTH = "read and written, 10^12 bytes"
"""The task that tells how fast memory is."""


def comparison(timings: Sequence[Timing]) -> str:
    """One table: per task the least (median) time of ours and of PyTorch's best, and the ratio.

    Shares of what the machine's products and its memory can do are told where they were counted.
    """
    shares = any(t.flop or t.moved for t in timings)
    head = ["task", "ours", "torch eager", "torch compile", "torch's best / ours"]
    head += ["of its products", "of its memory"] if shares else []
    lines = [" | ".join(head), " | ".join(["---"] + ["---:"] * (len(head) - 1))]
    for task in dict.fromkeys(t.task for t in timings):
        mine = [t for t in timings if t.task == task]
        eager = _best(t for t in mine if t.contender.startswith("torch eager"))
        compiled = _best(t for t in mine if t.contender.startswith("torch compile"))
        theirs = _best(t for t in (eager, compiled) if t)
        for ours in (t for t in mine if t.contender.startswith("ours")):
            name = task + ours.contender.removeprefix("ours")
            ratio = f"{theirs.least / ours.least:.2f}" if theirs and ours.seconds else ""
            cells = [name, _cell(ours, True), _cell(eager), _cell(compiled), ratio]
            if shares:
                cells += _shares(ours, timings)
            lines.append(" | ".join(cells))
    notes = [f"{t.task}, {t.contender}: {t.note}" for t in timings if t.note]
    return "\n".join(lines + ([""] + notes if notes else []))


def sizes(timings: Sequence[Timing]) -> str:
    """A row for each number of frames and joints, a column for what is done, as rates.

    Args:
      timings: of tasks 'WHAT, F frames, J joints'.
    """
    found = {}
    for timing in timings:
        what, *size = timing.task.split(", ")
        found.setdefault(tuple(size), {})[what] = timing
    columns = dict.fromkeys(t.task.split(", ")[0] for t in timings)
    units = {t.task.split(", ")[0]: t.unit for t in timings}
    lines = [" | ".join(["frames", "joints", *(f"{c}, {units[c]}" for c in columns)]),
             " | ".join(["---:"] * (2 + len(columns)))]
    for size, row in found.items():
        numbers = [words.split()[0] for words in size]
        cells = [_cell(row.get(c), True).removesuffix(" " + units[c]) for c in columns]
        lines.append(" | ".join([*numbers, *cells]))
    notes = [f"{t.task}: {t.note}" for t in timings if t.note]
    return "\n".join(lines + ([""] + notes if notes else []))


def _best(timings: Iterable[Timing]) -> Timing | None:
    return min((t for t in timings if t.seconds), key=lambda t: t.least, default=None)


def _shares(timing: Timing, timings: Sequence[Timing]) -> list[str]:
    """Of the fastest product and the fastest copy that were measured."""
    shares = []
    for work, ceiling in ((timing.flop, timing.ceiling), (timing.moved, BANDWIDTH)):
        fastest = _best(t for t in timings if t.task == ceiling)
        known = work and timing.seconds and fastest
        shares.append(f"{work / 1e12 * fastest.least / timing.least:.0%}" if known else "")
    return shares


def _cell(timing: Timing | None, wanted: bool = False) -> str:
    if timing is None or not timing.seconds:
        return "not measured" if wanted else ""
    if timing.unit != "s":
        return f"{_rate(timing.least)} ({_rate(timing.median)}) {timing.unit}"
    return f"{_seconds(timing.least)} ({_seconds(timing.median)})"


def _seconds(value: float) -> str:
    return f"{value:.3g} s" if value >= 1 else f"{1e3 * value:.3g} ms"


def _rate(seconds: float) -> str:
    value = 1 / seconds
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def load() -> str:
    """What else the machine has to do."""
    if not hasattr(os, "getloadavg"):
        return "unknown"
    return f"{os.getloadavg()[0]:.1f}"


def save(path: str | os.PathLike, timings: Sequence[Timing], about: dict) -> None:
    """Writes JSON, at once or not at all.

    Args:
      path: of the file.
      timings: of all that was measured.
      about: what else is to be said.
    """
    content = about | {"timings": [dataclasses.asdict(t) for t in timings]}
    with atomic_path(Path(path)) as temporary:
        Path(temporary).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def about(torch_device: str | None, torch_version: str | None) -> dict:
    """Of the machine, and of what computes."""
    return {
        "devices": [f"{d.platform} {d.device_kind}" for d in jax.devices()],
        "torch_device": torch_device, "cores": cpus.usable(), "load": load(),
        "versions": {"jax": jax.__version__, "torch": torch_version,
                     "python": platform.python_version()},
    }
