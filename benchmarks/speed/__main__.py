"""posegan_jax against PyTorch, in one run on one machine.

    python -m benchmarks.speed -o speed.json
    python -m benchmarks.speed --only train --device cpu
    python -m benchmarks.speed --only gpu
    python -m benchmarks.speed --only sizes

The same networks, parameters, batches and losses (``benchmarks.torch_reference``); before anything
is timed, losses and gradients of both are compared. The contenders take turns, as other work on the
machine comes and goes, and the least and the median of their times are told. Stopped by Ctrl-C, by
SIGTERM or by its own limit, it tells what was measured until then.
"""

import argparse
import contextlib
import dataclasses
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

import jax

from benchmarks.speed import gpu, report, sizes, tasks
from benchmarks.speed.check import torch
from benchmarks.speed.tasks import TINY, Plan, Sizes
from benchmarks.speed.timing import Task, Timing, brief, say
from posegan_jax.errors import InputError
from posegan_jax.runtime import cpus
from posegan_jax.runtime.files import check_file

ON_CPU = Sizes(frames=120, search_steps=50)
"""Less of what takes as long for every frame and every step, or ten minutes were not enough."""


@dataclasses.dataclass(frozen=True)
class Part:
    """Of the benchmark.

    Attributes:
      tasks: what it measures.
      table: tells it.
      limit: seconds that it may take of the command's.
      accelerated: only a GPU is asked for it.
    """

    tasks: Callable[[Plan], list[Task]]
    table: Callable[[list[Timing]], str] = report.comparison
    limit: float = 200.0
    accelerated: bool = False


PARTS = {
    "train": Part(tasks.training, limit=190),
    "descent": Part(tasks.search, limit=60),
    "equal": Part(tasks.equal, limit=60),
    "space": Part(tasks.space, limit=280),
    "gpu": Part(gpu.tasks, limit=345, accelerated=True),
    "sizes": Part(sizes.tasks, report.sizes, limit=1200),
}
DEFAULT = "train,descent,equal,space,gpu"


class Stopped(Exception):
    """By a signal, or at the limit; with the exit code of the command."""

    def __init__(self, reason: str, code: int = 0):
        super().__init__(reason)
        self.code = code


class Run:
    """What is measured, in a thread, so that a signal is heard while a program compiles.

    Attributes:
      timings: all of them, those of the task under way included.
      failed: whether a task was.
    """

    def __init__(self, parts: list[str], plan: Plan, measured: set[str], output: str | None):
        self.parts, self.plan, self.measured, self.output = parts, plan, measured, output
        self.timings: list[Timing] = []
        self.failed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._measure, daemon=True)

    def go(self, limit: float) -> None:
        """Measures. Raises Stopped when that takes longer than ``limit`` seconds."""
        self._thread.start()
        self._thread.join(limit)
        if self._thread.is_alive():
            raise Stopped(f"stopped after {limit:.0f} s, its limit")

    def _measure(self) -> None:
        if self.plan.device == "cpu":
            torch.set_num_threads(cpus.usable())  # of this thread
        if self.plan.device == "cuda":
            torch.set_float32_matmul_precision("high")  # TF32, as XLA takes by default
        ours_alone = dataclasses.replace(self.plan, device=None)
        listed = [
            (part, task) for part in self.parts
            for task in PARTS[part].tasks(self.plan if part in self.measured else ours_alone)
        ]
        for number, (part, task) in enumerate(listed, 1):
            found: list[Timing] = _Marked(self.timings, part)
            if part not in self.measured:
                found.append(Timing(task.name, "ours"))
                continue
            say(f"[{number}/{len(listed)}] {task.name}")
            begun = time.perf_counter()
            try:
                task.run(found)
            except Exception as error:  # the others go on
                self.failed = True
                found.append(Timing(task.name, "ours", note=brief(error)))
                say(f"  {brief(error)}")
            if self.output:
                self.save()
            say(f"  done after {time.perf_counter() - begun:.0f} s")

    def save(self) -> None:
        """Writes what there is."""
        with self._lock:
            about = report.about(self.plan.device, torch and torch.__version__)
            report.save(self.output, list(self.timings), about)

    def tables(self) -> str:
        """What there is, a table for each kind of it."""
        timings, told = list(self.timings), []
        for table in dict.fromkeys(PARTS[part].table for part in self.parts):
            mine = [t for t in timings if t.part in PARTS and PARTS[t.part].table is table]
            told += [table(mine)] if mine else []
        return "\n\n".join(told) or "nothing was measured"


class _Marked(list):
    """A list whose timings go to another one, with the name of their part."""

    def __init__(self, everything: list[Timing], part: str):
        super().__init__()
        self.everything, self.part = everything, part

    def append(self, timing):
        timing.part = self.part
        super().append(timing)
        self.everything.append(timing)

    def extend(self, timings):
        for timing in timings:
            self.append(timing)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=__doc__.splitlines()[0])
    parser.add_argument(
        "-o", "--output", help="a JSON file of all repetitions, written after every task")
    parser.add_argument("--device", choices=("cpu", "gpu"), help="default: a GPU if there is one")
    parser.add_argument(
        "--only", default=DEFAULT, help=f"of {','.join(PARTS)} (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=6, help="of every contender, at most")
    parser.add_argument(
        "--limit", type=float, help="seconds after which it tells what it has (default: by part)")
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)  # for tests
    options = parser.parse_args(argv)
    begun = time.perf_counter()
    try:
        run, limit = _prepared(options)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    code = 0
    try:
        with _signals_stop():
            try:
                run.go(limit)
                code = 1 if run.failed else 0
            except Stopped as stopped:
                say(f"{stopped}; this was measured:")
                code = stopped.code
    finally:
        print(run.tables(), flush=True)
        if options.output:
            run.save()
    say(f"{time.perf_counter() - begun:.0f} s, load {report.load()}")
    return code


@contextlib.contextmanager
def _signals_stop() -> Iterator[None]:
    """SIGTERM and SIGINT raise Stopped inside, with the exit code that a shell tells of them."""

    def stop(number, frame):
        raise Stopped(f"stopped by {signal.Signals(number).name}", 128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _prepared(options) -> tuple[Run, float]:
    """What is to be run, and for how many seconds. Raises InputError on wrong options."""
    parts = options.only.split(",")
    if unknown := set(parts) - set(PARTS):
        raise InputError(f"--only {','.join(sorted(unknown))}: choose of {','.join(PARTS)}")
    if options.repetitions < 1:
        raise InputError(f"--repetitions is {options.repetitions}: at least 1")
    if options.limit is not None and not options.limit > 0:
        raise InputError(f"--limit is {options.limit:g}: more than 0 seconds")
    if options.output:
        check_file(options.output)
    cpus.one_device_each(TINY.batch if options.tiny else Sizes.windows)
    if options.tiny:
        jax.config.update("jax_disable_most_optimizations", True)
    if options.device:
        try:
            jax.config.update("jax_default_device", jax.devices(options.device)[0])
        except RuntimeError as error:
            raise InputError(f"--device {options.device}: JAX finds none") from error
    accelerated = (options.device or jax.default_backend()) == "gpu"
    measured = {p for p in parts if accelerated or options.tiny or not PARTS[p].accelerated}
    scale = TINY if options.tiny else Sizes() if accelerated else ON_CPU
    plan = Plan(_torch_device(accelerated), options.repetitions, sizes=scale)
    limit = options.limit or sum(PARTS[part].limit for part in measured)
    return Run(parts, plan, measured, options.output), max(limit, 1.0)


def _torch_device(accelerated: bool) -> str | None:
    if torch is None:
        say("PyTorch cannot be imported: only ours is timed")
        return None
    if accelerated and not torch.cuda.is_available():
        say("PyTorch finds no GPU (its CUDA build would): only ours is timed")
        return None
    return "cuda" if accelerated else "cpu"


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # not waiting for a measurement that was stopped
