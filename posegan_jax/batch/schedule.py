"""Which file goes to which worker, and what becomes of the files of a worker that dies.

A ``Schedule`` only decides: it has no threads, no clock and no workers. Whoever has workers tells
it what happens (``add``, ``ready``, ``finished``, ``died``, ...), and then asks ``next`` what to do
until there is nothing to do. The policy:

- A file goes to the ready worker that works on the fewest, in the order in which files were added.
- When a worker dies, any of its files may be to blame. Each of them is tried again alone, after all
  others, and given up if a worker dies again. A worker gets its first file when it is ready, so no
  file is to blame for one that dies while it starts.
- Every worker that dies is replaced, until ``STARTS`` in a row have died while they started: then
  nothing can be done any more.
"""

import dataclasses
import math
from collections import deque
from typing import Any

STARTS = 3
"""Workers in one place that may die one after the other before they are ready."""

File = Any
"""What can be the key of a dictionary."""


@dataclasses.dataclass(frozen=True)
class Start:
    """A worker is to be started in this place."""

    worker: int


@dataclasses.dataclass(frozen=True)
class Assign:
    """A worker is to be given a file."""

    file: File
    worker: int


@dataclasses.dataclass(frozen=True)
class GiveUp:
    """A worker died of this file alone: it has failed."""

    file: File


@dataclasses.dataclass(frozen=True)
class Fail:
    """No worker can be started: all files that are unfinished have failed."""


Action = Start | Assign | GiveUp | Fail


@dataclasses.dataclass
class _Worker:
    """A place for a worker, and the worker that is there.

    Attributes:
      failed_starts: how many died here in a row before they were ready.
      started: whether there is a worker.
      ready: whether it can be given files.
      files: that it holds.
      resting: those of them that it does not work on.
    """

    failed_starts: int = 0
    started: bool = False
    ready: bool = False
    files: set[File] = dataclasses.field(default_factory=set)
    resting: set[File] = dataclasses.field(default_factory=set)

    @property
    def load(self) -> tuple[int, int]:
        """How many files it works on, and how many it holds."""
        return len(self.files) - len(self.resting), len(self.files)


class Schedule:
    """Decides what workers do.

    Workers are known by the number of their place, files by any value of their own.

    Args:
      workers: places for workers, at least 1; at first all of them are empty.
      limit: files that a worker works on at a time; those that rest do not count.
      isolate: whether a file that may be to blame for a worker's death is tried again while no
        other worker has a file, or else with a worker of its own while the others go on.
    """

    def __init__(self, workers: int, limit: int, isolate: bool):
        self._workers = [_Worker() for _ in range(workers)]
        self._limit, self._isolate = limit, isolate
        self._new: deque[File] = deque()  # never tried
        self._suspects: deque[File] = deque()  # to be tried again alone
        self._given_up: deque[File] = deque()
        self._blamed: set[File] = set()  # suspects, waiting or with a worker
        self._places: dict[File, int] = {}  # of files that a worker holds
        self.closed = self._failed = False

    # --- what has happened ------------------------------------------------------------------------

    def add(self, file: File) -> None:
        """There is a file to be done, unlike any other that is unfinished."""
        self._new.append(file)

    def ready(self, worker: int) -> None:
        """A worker that was started can be given files."""
        self._workers[worker].ready = True

    def rested(self, file: File) -> None:
        """Its worker waits for someone else's answer before it goes on with a file."""
        self._workers[self._places[file]].resting.add(file)

    def resumed(self, file: File) -> None:
        """Its worker goes on with a file that rested."""
        self._workers[self._places[file]].resting.discard(file)

    def finished(self, file: File) -> None:
        """The worker that holds a file is done with it, well or badly."""
        worker = self._workers[self._places.pop(file)]
        worker.files.discard(file)
        worker.resting.discard(file)
        self._blamed.discard(file)

    def died(self, worker: int) -> None:
        """A worker has died, ready or not."""
        there = self._workers[worker]
        for file in [file for file, place in self._places.items() if place == worker]:
            del self._places[file]
            if file in self._blamed:
                self._blamed.discard(file)
                self._given_up.append(file)
            else:
                self._blamed.add(file)
                self._suspects.append(file)
        self._workers[worker] = _Worker(0 if there.ready else there.failed_starts + 1)

    def close(self) -> None:
        """Nothing is to be begun any more; files that workers hold may still finish."""
        self.closed = True

    # --- what is to be done -----------------------------------------------------------------------

    def next(self, room: bool = True) -> Action | None:
        """The next thing to do, which counts as done from now on; None: there is none at present.

        Args:
          room: whether files may be given out at present.
        """
        if self._failed:
            return None
        if self._given_up:
            return GiveUp(self._given_up.popleft())
        if self.closed:
            return None
        for number, worker in enumerate(self._workers):
            if worker.failed_starts == STARTS:
                self.closed = self._failed = True
                return Fail()
            if not worker.started:
                worker.started = True
                return Start(number)
        if not room:
            return None
        return self._new_file() if self._new else self._suspect()

    @property
    def busy(self) -> bool:
        """Whether any worker works on a file."""
        return any(worker.load[0] for worker in self._workers)

    @property
    def any_ready(self) -> bool:
        """Whether there is a worker that can be given files, or has some."""
        return any(worker.ready for worker in self._workers)

    @property
    def done(self) -> bool:
        """Whether no file is unfinished."""
        return not (self._new or self._suspects or self._given_up or self._places)

    @property
    def unfinished(self) -> list[File]:
        """Files that have neither finished nor been given up."""
        return [*self._new, *self._suspects, *self._given_up, *self._places]

    def holds(self, worker: int) -> bool:
        """Whether a worker has a file."""
        return bool(self._workers[worker].files)

    # --- files ------------------------------------------------------------------------------------

    def _new_file(self) -> Assign | None:
        if self._isolate and not self._places.keys().isdisjoint(self._blamed):
            return None
        free = [
            number for number, worker in enumerate(self._workers)
            if worker.ready and self._blamed.isdisjoint(worker.files)
        ]
        if not free:
            return None
        number = min(free, key=lambda number: self._workers[number].load)
        # Workers that are ready later, or done earlier, are to find their share.
        share = math.ceil((len(self._new) + len(self._places)) / len(self._workers))
        if self._workers[number].load[0] >= min(self._limit, share):
            return None
        return self._assign(self._new.popleft(), number)

    def _suspect(self) -> Assign | None:
        if not self._suspects or self._isolate and self._places:
            return None
        for number, worker in enumerate(self._workers):
            if worker.ready and not worker.files:
                return self._assign(self._suspects.popleft(), number)
        return None

    def _assign(self, file: File, number: int) -> Assign:
        self._places[file] = number
        self._workers[number].files.add(file)
        return Assign(file, number)
