"""How fast this machine fills tracks and trains: what ``posegan speed`` prints.

Nothing is looked up: every figure is of this run, and what cannot be measured is None, printed as
'not measured'.
"""

import functools
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jaxlib
import numpy as np

import posegan_jax
from posegan_jax.evaluation.clips import view_clips
from posegan_jax.evaluation.protocols import make_case
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.inpainting.settings import QUALITIES
from posegan_jax.model.networks import build_networks
from posegan_jax.model.options import NetworkOptions
from posegan_jax.motion.store import MotionStore, build_store, load_clips
from posegan_jax.pose.carry import on_skeleton
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.runtime import compilation_cache, cpus, parallel
from posegan_jax.runtime.files import atomic_path
from posegan_jax.runtime.progress import Progress
from posegan_jax.speed_options import SpeedOptions
from posegan_jax.training.options import Phase, StepOptions
from posegan_jax.training.state import create_state
from posegan_jax.training.step import train_steps

PHASES: tuple[Phase, ...] = ("reconstruction", "full")
DTYPES = ("float32", "bfloat16")


def measure(inpainter: Inpainter, options: SpeedOptions, show: bool = True) -> dict:
    """Measures.

    Args:
      inpainter: what fills; its networks are those that are trained, from fresh parameters.
      options: what is measured.
      show: progress, on standard error.

    Returns:
      A JSON object: 'machine' and, as asked for, 'filling' {quality: ...} and 'training' (a list),
      then 'peak_memory' in bytes of the host process and of the first device. None: not measured.
    """
    accelerated = jax.default_backend() != "cpu"
    report: dict[str, Any] = {"machine": machine()}
    jobs: list[tuple[str, Any, Callable[[], dict]]] = []
    if "filling" in options.parts:
        frames = options.frames or (2000 if accelerated else 120)
        sequence = track(inpainter.skeleton.name, frames)
        report["filling"] = {"frames": frames, "batch": inpainter.batch, "qualities": {}}
        jobs += [
            ("filling", quality, functools.partial(filling, inpainter, sequence, quality, options))
            for quality in options.qualities
        ]
    if "training" in options.parts:
        report["training"] = []
        mesh = parallel.make_mesh()
        batch_size = -(-options.batch_size // mesh.size) * mesh.size
        step_options = StepOptions(batch_size=batch_size)
        store = _store(inpainter.model.options, step_options)
        for dtype in DTYPES:
            for phase in PHASES:
                job = functools.partial(
                    training, inpainter.model.options, store, step_options, phase, dtype,
                    options.seconds, measured=accelerated or dtype == "float32",
                )
                jobs.append(("training", phase, job))
    begun = time.perf_counter()
    with (
        compilation_cache.disabled(),  # compiling is measured
        Progress(len(jobs), label="speed", unit="measurement", show=show) as progress,
    ):
        for done, (part, name, job) in enumerate(jobs, 1):
            result = job()
            if part == "filling":
                report[part]["qualities"][name] = result
            else:
                report[part].append(result)
            progress.update(done, {})
    report["peak_memory"] = {"host": _host_peak(), "device": _device_peak()}
    report["seconds"] = time.perf_counter() - begun
    return report


def filling(
    inpainter: Inpainter, sequence: PoseSequence, quality: str, options: SpeedOptions
) -> dict[str, float]:
    """Windows per second of the search in full batches, and frames per second of it all.

    The compile time is what the first track takes longer than the others.
    """
    descent = QUALITIES[quality].descent
    size = (inpainter.batch, inpainter.model.options.frames, len(inpainter.skeleton))
    rng = np.random.default_rng(0)
    x, mask = rng.normal(300, 50, (*size, 2)), (rng.random(size) < 0.4).astype(float)

    def fill():
        inpainter(sequence, joints=inpainter.skeleton.name, quality=quality)

    jax.clear_caches()  # of the program that another quality shares
    first = _seconds(fill)
    tracks = rate(fill, options.seconds)
    windows = len(x) * rate(lambda: inpainter.search(x, mask, descent), options.seconds)
    return {
        "windows_per_second": windows, "frames_per_second": len(sequence) * tracks,
        "compile_seconds": max(first - 1 / tracks, 0.0),
    }


def training(
    network_options: NetworkOptions, store: MotionStore, options: StepOptions, phase: Phase,
    dtype: str, seconds: float, measured: bool = True,
) -> dict[str, Any]:
    """Steps per second of a phase from fresh parameters, on all devices."""
    result = {
        "phase": phase, "dtype": dtype, "batch_size": options.batch_size,
        "steps_per_second": None, "compile_seconds": None, "program_bytes": None,
    }
    if not measured:
        return result
    networks = build_networks(network_options, dtype=np.dtype(dtype))
    mesh = parallel.make_mesh()
    count = 2 if jax.default_backend() == "cpu" else 20  # steps a dispatch
    state, store = (
        parallel.replicate(mesh, tree)
        for tree in (create_state(networks, options, 0), store)
    )
    step = jax.jit(
        functools.partial(
            train_steps, networks=networks, options=options, phase=phase, count=count, mesh=mesh
        ),
        donate_argnums=0,
    )
    begun = time.perf_counter()
    program = step.lower(state, store).compile()
    result["compile_seconds"] = time.perf_counter() - begun
    kept = [state]

    def go_on():
        kept[0], metrics = program(kept[0], store)
        jax.block_until_ready(metrics)

    go_on()  # the first one is slower
    result["steps_per_second"] = count * rate(go_on, seconds)
    memory = program.memory_analysis()
    if memory is not None:
        result["program_bytes"] = memory.temp_size_in_bytes + memory.argument_size_in_bytes
    return result


def rate(call: Callable[[], Any], seconds: float) -> float:
    """Calls per second, over ``seconds`` at least."""
    calls, spent = 0, 0.0
    while spent < seconds:
        spent += _seconds(call)
        calls += 1
    return calls / spent


def track(skeleton: str, frames: int) -> PoseSequence:
    """A person who walks as a detector sees him: noisy, with holes; the same in every run."""
    motion = view_clips("procedural", count=1, seed=1)[0]
    there_and_back = np.concatenate([motion.keypoints, motion.keypoints[::-1]])
    truth = np.resize(there_and_back, (frames, *there_and_back.shape[1:]))
    seen = make_case("wild", truth, get_skeleton("mpi_inf_3dhp"), 1, 0).sequence
    return on_skeleton(seen, skeleton)


def machine() -> dict[str, Any]:
    """Devices, host and versions."""
    devices = jax.devices()
    return {
        "devices": [f"{d.platform}:{d.id} {d.device_kind}" for d in devices],
        "processes": jax.process_count(), "cores": cpus.usable(),
        "system": platform.platform(),
        "posegan_jax": posegan_jax.__version__, "python": platform.python_version(),
        "jax": jax.__version__, "jaxlib": jaxlib.__version__,
    }


def lines(report: dict) -> Iterator[str]:
    """The report as text."""
    about = report["machine"]
    yield (
        f"posegan_jax {about['posegan_jax']}, jax {about['jax']}, Python {about['python']}, "
        f"{about['cores']} CPU cores"
    )
    yield "devices: " + ", ".join(about["devices"])
    if "filling" in report:
        part = report["filling"]
        yield f"filling a noisy track of {part['frames']} frames, {part['batch']} windows at once"
        yield from _table(
            ("quality", "windows/s", "frames/s", "compile s"),
            [(quality, *found.values()) for quality, found in part["qualities"].items()],
        )
    if report.get("training"):
        yield f"training, {report['training'][0]['batch_size']} windows a step"
        yield from _table(
            ("phase", "dtype", "steps/s", "compile s", "memory GB"),
            [
                (
                    r["phase"], r["dtype"], r["steps_per_second"], r["compile_seconds"],
                    _giga(r["program_bytes"]),
                )
                for r in report["training"]
            ],
        )
    host, device = (_giga(report["peak_memory"][where]) for where in ("host", "device"))
    yield f"peak memory: host {_number(host, ' GB')}, device {_number(device, ' GB')}"
    yield f"measured in {report['seconds']:.0f} s"


def save(report: dict, path: str | os.PathLike) -> None:
    """Writes the report as JSON."""
    with atomic_path(Path(path)) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _store(network_options: NetworkOptions, options: StepOptions) -> MotionStore:
    clips = load_clips("procedural", "train", get_skeleton(network_options.skeleton))
    return build_store(clips, options.views.span(network_options.frames), stride=1)


def _seconds(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _host_peak() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _device_peak() -> int | None:
    return (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


def _giga(count: int | None) -> float | None:
    return None if count is None else count / 1e9


def _number(value: float | None, unit: str = "") -> str:
    if value is None:
        return "not measured"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}{unit}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    cells = [head, *([v if isinstance(v, str) else _number(v) for v in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for first, *others in cells:
        numbers = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        yield "  ".join(("", first.ljust(widths[0]), *numbers))
