"""Keeps the devices of a machine busy with the windows of many files.

Three things overlap: hosts read files, do what follows the search, and write; the devices solve one
batch while the next one waits behind it; and this process brings them together. Which host gets
which file, and what becomes of the files of one that dies, is up to ``schedule``.
"""

import contextlib
import dataclasses
import itertools
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Future, InvalidStateError, wait
from functools import partial

import jax
import numpy as np

from posegan_jax.batch.devices import Batch, Queue, Usage, solve, warm_up
from posegan_jax.batch.hosts import Host
from posegan_jax.batch.manifest import Job
from posegan_jax.batch.schedule import STARTS, Assign, Fail, GiveUp, Schedule, Start
from posegan_jax.batch.work import Outcome, died
from posegan_jax.errors import InputError
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.inpainting.settings import QUALITIES, FillOptions, check_shift
from posegan_jax.runtime import cpus

TASKS = 2
"""Files that a host works on at a time: it is at one, and the next one is there."""
QUEUE = 4
"""Batches of windows that wait for the devices while there are files."""

_FEWER = "try fewer (--workers), or none (--workers 0)"


@dataclasses.dataclass(frozen=True, eq=False)
class _File:
    """A file that was submitted, and the promise given for it."""

    job: Job
    future: Future


@dataclasses.dataclass(frozen=True)
class _Try:
    """A file that a host has."""

    file: _File
    host: Host


class Engine:
    """Fills files with the devices and cores of this machine.

    Args:
      inpainter: solves windows.
      options: of reading and completing.
      workers: processes for the hosts' work; 0: one thread of this process. By default one more
        than there are cores, or one less if the devices are no CPUs.

    Attributes:
      workers: how many there are.

    Raises:
      InputError: windows that are further apart than they are long, or no worker can be started,
        which futures may raise, too.
    """

    def __init__(self, inpainter: Inpainter, options: FillOptions, workers: int | None = None):
        self._solver, self._completer = inpainter.solver, inpainter.completer
        self._options = options
        check_shift(options.settings, self._completer.frames)
        self.workers = default_workers() if workers is None else workers
        places = max(self.workers, 1)
        self._hosts: list[Host | None] = [None] * places
        # Hosts share the machine's memory, so that one alone has all of it.
        self._schedule = Schedule(places, TASKS, isolate=True)
        self._queue = Queue(self._solver.batch)
        self._tickets = itertools.count()
        self._tries: dict[int, _Try] = {}
        self._changed = threading.Condition(threading.RLock())
        self._error: Exception | None = None
        self._busy = 0.0
        self._began: float | None = None
        self._last: float | None = None
        # Who tells of a host's death may hold a lock that giving the host something takes, so that
        # what hosts tell waits here and not for the lock of this engine.
        self._heard: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        with self._changed:
            self._act()
        if self._error is not None:
            self._close_hosts()
            raise self._error
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for name, target in (("devices", self._solve), ("hosts", self._listen))
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> "Future[Outcome]":
        """Promises to fill a file. Files are taken up in this order, as there is room for them.

        One whose promise was cancelled before that is not.
        """
        file = _File(job, Future())
        with self._changed:
            if self._error is not None:
                file.future.set_exception(self._error)
            elif self._schedule.closed:
                raise RuntimeError("the engine is closed")
            else:
                self._schedule.add(file)
                self._act()
        return file.future

    def usage(self) -> Usage:
        """How busy the devices were until the last outcome."""
        with self._changed:
            if self._began is None or self._last is None:
                return Usage()
            return Usage(self._busy, max(self._last - self._began, 0.0))

    def close(self) -> None:
        """Drops what is not finished; what is being written is written to its end."""
        devices, hosts = self._threads
        with self._changed:
            self._schedule.close()
            self._changed.notify_all()
        devices.join()
        self._close_hosts()
        self._heard.put(None)
        hosts.join()
        for file in self._schedule.unfinished:
            if file.future.cancel():
                file.future.set_running_or_notify_cancel()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *unused) -> None:
        self.close()

    # --- what the schedule says -------------------------------------------------------------------

    def _act(self) -> None:
        """Does what there is to do; files are taken up while the devices have less than enough."""
        while True:
            room = len(self._queue) < QUEUE * self._solver.batch
            match self._schedule.next(room):
                case None:
                    break
                case Start(number):
                    self._start(number)
                case Assign(file, number):
                    self._begin(file, number)
                case GiveUp(file):
                    _keep(file.future, died(file.job, "worker"))
                case Fail():
                    self._fail(
                        InputError(f"{STARTS} workers in a row died while they started; {_FEWER}")
                    )
        self._changed.notify_all()

    def _start(self, number: int) -> None:
        try:
            host = Host(self._completer, self._options, process=self.workers > 0)
        except OSError as error:  # too many processes, no memory
            self._fail(InputError(f"cannot start a worker: {error.strerror}; {_FEWER}"))
            return
        self._hosts[number] = host
        host.ready.add_done_callback(
            lambda future: self._heard.put(partial(self._ready, number, host, future))
        )

    def _begin(self, file: _File, number: int) -> None:
        if file.future.cancelled():
            file.future.set_running_or_notify_cancel()
            self._schedule.finished(file)
            return
        ticket = next(self._tickets)
        self._tries[ticket] = _Try(file, self._hosts[number])
        self._give(ticket, "begin", file.job)

    def _fail(self, error: Exception) -> None:
        """Nothing can be done any more."""
        self._error = error
        self._schedule.close()
        for file in self._schedule.unfinished:
            with contextlib.suppress(InvalidStateError):  # cancelled
                file.future.set_exception(error)

    # --- hosts ------------------------------------------------------------------------------------

    def _give(self, ticket: int, method: str, *arguments) -> None:
        """Gives a host something to do."""
        host = self._tries[ticket].host
        try:
            future = host.submit(method, ticket, *arguments)
        except BrokenExecutor:
            self._bury(host)
            return
        future.add_done_callback(
            lambda future: self._heard.put(partial(self._done, ticket, future))
        )

    def _listen(self) -> None:
        """The thread that hears what hosts tell."""
        while (event := self._heard.get()) is not None:
            with self._changed:
                try:
                    event()
                    self._act()
                except Exception as error:  # a flaw of ours is told to who waits
                    self._fail(error)

    def _ready(self, number: int, host: Host, ready: Future) -> None:
        """A host is there, or has died before."""
        if ready.cancelled():  # the engine is being closed
            return
        if ready.exception() is None:
            self._schedule.ready(number)
        else:
            self._bury(host)

    def _done(self, ticket: int, future: Future) -> None:
        """A host has done something."""
        if ticket not in self._tries or self._error is not None:
            return  # its host was buried, or nobody waits any more
        file, host = self._tries[ticket].file, self._tries[ticket].host
        try:
            result = future.result()
        except CancelledError:  # the engine is being closed
            return
        except BrokenExecutor:
            self._bury(host)
            return
        except Exception as error:  # what cannot go from one process to the other
            result = Outcome(file.job, f"{type(error).__name__}: {error}")
        if isinstance(result, Outcome):
            self._last = time.perf_counter()
            del self._tries[ticket]
            self._schedule.finished(file)
            _keep(file.future, result)
        else:
            self._schedule.rested(file)
            self._queue.ask(ticket, result)

    def _bury(self, host: Host) -> None:
        """A host has died, and all that it had is lost."""
        lost = [ticket for ticket, there in self._tries.items() if there.host is host]
        for ticket in lost:
            del self._tries[ticket]
        self._queue.drop(lost)
        self._schedule.died(self._hosts.index(host))

    def _close_hosts(self) -> None:
        for host in filter(None, self._hosts):
            host.close()

    # --- devices ----------------------------------------------------------------------------------

    def _solve(self) -> None:
        """The thread of the devices."""
        searches = self._options.settings.descent, QUALITIES["fast"].descent
        try:
            warm_up(self._solver, self._completer, searches)
            wait([host.ready for host in self._hosts])
            with self._changed:
                self._began = time.perf_counter()
            solve(self._solver, self._take, self._deliver)
        except Exception as error:  # nothing can be solved any more
            with self._changed:
                self._fail(error)

    def _take(self, idle: bool) -> Batch | None:
        """The next batch: a full one, or what there is when nothing else can happen."""
        with self._changed:
            while not self._schedule.closed:
                batch = self._queue.take(partial=idle and not self._schedule.busy)
                if batch:
                    self._act()
                if batch or not idle:
                    return batch
                self._changed.wait()
            return None

    def _deliver(self, batch: Batch, windows: np.ndarray, loss: np.ndarray, busy: float) -> None:
        """Hands solved windows to the files that asked for them."""
        with self._changed:
            self._busy += busy
            if self._schedule.closed:
                return
            for ticket, *answer in self._queue.deliver(batch, windows, loss):
                self._schedule.resumed(self._tries[ticket].file)
                self._give(ticket, "go_on", *answer)
            self._act()


def _keep(promise: Future, outcome: Outcome) -> None:
    """Keeps a promise, unless who was given it has cancelled it meanwhile."""
    try:
        promise.set_result(outcome)
    except InvalidStateError:
        promise.set_running_or_notify_cancel()


def default_workers() -> int:
    """Processes for the hosts' work that go with the devices of this machine."""
    cores = cpus.usable()
    # On a CPU all share all cores: it is from too few workers that the devices would have to wait.
    return cores + 1 if jax.default_backend() == "cpu" else max(cores - 1, 1)
