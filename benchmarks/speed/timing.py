"""How contenders are timed, and where their times are kept."""

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

Thunk = Callable[[], object]

CLOSE = 1.15
"""Ways of PyTorch that take more than so many times its best at the first turn have no more."""
TURNS = 2
"""Timed turns that there are even where they take longer than a task's budget."""


@dataclasses.dataclass
class Timing:
    """Seconds of every repetition of one contender at one task; none: not measured.

    Attributes:
      task: what is done.
      contender: who does it; names begin with 'ours' or 'torch'.
      seconds: of one counted unit.
      note: what else is to be said, e.g. why it was not measured.
      unit: 's', or what is told in its place: how many units a second, e.g. 'frames/s'.
      flop: operations of a unit, 0 where they are not counted.
      moved: bytes of memory that a unit reads and writes, 0 where they are not counted.
      ceiling: the task that tells how fast ``flop`` could be.
      part: of the benchmark.
    """

    task: str
    contender: str
    seconds: list[float] = dataclasses.field(default_factory=list)
    note: str = ""
    unit: str = "s"
    flop: float = 0.0
    moved: float = 0.0
    ceiling: str = ""
    part: str = ""

    @property
    def least(self) -> float:
        return min(self.seconds, default=float("nan"))

    @property
    def median(self) -> float:
        return statistics.median(self.seconds) if self.seconds else float("nan")


class Contender(NamedTuple):
    """Who is timed.

    Attributes:
      make: whatever has to be done before, e.g. to build networks; gives the call that is timed,
        which returns when it is done.
      count: units of a call.
      warm: gives a shorter call to compile by, of what ``make`` gave; None: that itself.
    """

    make: Callable[[], Thunk]
    count: float = 1.0
    warm: Callable[[Thunk], Thunk] | None = None


class Task(NamedTuple):
    """One thing to time; ``run`` adds its timings to a list as they come."""

    name: str
    run: Callable[[list[Timing]], None]


def say(line: str) -> None:
    """Progress, on standard error."""
    print(line, file=sys.stderr, flush=True)


def take_turns(
    record: list[Timing], task: str, contenders: dict[str, Contender], repetitions: int,
    budget: float, **about,
) -> None:
    """Times contenders in turns, as other work on the machine comes and goes.

    A contender that fails is told by its error, and the others go on. PyTorch's that are far behind
    its best at the first turn have no more.

    Args:
      record: gets a timing for each contender at once, and its seconds as they come.
      task: what they do.
      contenders: by name.
      repetitions: calls that are timed at most, after one that is not.
      budget: seconds of timed calls after which no turn begins, once there were ``TURNS``.
      about: other attributes of the timings.
    """
    timings = {name: Timing(task, name, **about) for name in contenders}
    record.extend(timings.values())
    calls: dict[str, Thunk] = {}
    for name, contender in contenders.items():
        begun = time.perf_counter()
        with _telling(timings[name]):
            call = contender.make()
            (contender.warm(call) if contender.warm else call)()
            calls[name] = call
            say(f"  {name}: ready after {time.perf_counter() - begun:.1f} s")
    spent = 0.0
    for turn in range(repetitions):
        if turn >= TURNS and spent > budget or not calls:
            break
        for name, call in list(calls.items()):
            begun = time.perf_counter()
            with _telling(timings[name]) as outcome:
                call()
                took = time.perf_counter() - begun
                spent += took
                timings[name].seconds.append(took / contenders[name].count)
            if outcome.failed:
                del calls[name]
        if turn == 0:
            for name in _behind(timings):
                calls.pop(name, None)


class _telling:
    """Notes an exception in a timing, and goes on."""

    def __init__(self, timing: Timing):
        self.timing, self.failed = timing, False

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is None or not isinstance(error, Exception):  # stopped
            return False
        self.failed, self.timing.note = True, brief(error)
        say(f"  {self.timing.contender}: {self.timing.note}")
        return True


def brief(error: Exception) -> str:
    """An error in a line: PyTorch's compiler has long ones."""
    first, *_ = f"{error}\n".splitlines()
    return f"{type(error).__name__}: {first[:120]}"


def _behind(timings: dict[str, Timing]) -> list[str]:
    theirs = {n: t.least for n, t in timings.items() if n.startswith("torch") and t.seconds}
    best = min(theirs.values(), default=0.0)
    return [name for name, least in theirs.items() if least > CLOSE * best]
