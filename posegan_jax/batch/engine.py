"""Keeps the devices of a machine busy: windows of many files in full batches.

Three things overlap: hosts read files, do what follows the search, and write; the devices solve one
batch while the next one waits behind it; and this process brings them together. A program has one
shape, whatever it is fed with, so that a file's result does not depend on which files are about.
"""

import contextlib
import dataclasses
import itertools
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future, InvalidStateError, wait

import jax
import numpy as np

from posegan_jax.batch.hosts import Host
from posegan_jax.batch.manifest import Job
from posegan_jax.batch.work import Outcome, died
from posegan_jax.errors import InputError
from posegan_jax.inpainting.completer import Request
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.inpainting.settings import QUALITIES, DescentOptions, FillOptions, check_shift
from posegan_jax.runtime import cpus

AHEAD = 2
"""Batches that the devices have at a time, and tasks that a host has: one is being worked on, and
the next one is there."""
QUEUE = 4
"""Batches of windows that wait for the devices while there are files."""
STARTS = 3
"""Workers, or engines on a cluster, that may end one after the other before they are ready."""

_FEWER = "try fewer (--workers), or none (--workers 0)"


@dataclasses.dataclass
class _File:
    """A file in work.

    Attributes:
      job, future: what was submitted, and the promise given for it.
      host: number of the host where it is.
      alone: whether it was in work when a worker died, so that it may be the cause.
      windows, loss: answers so far to what it asked for.
      missing: windows without an answer.
    """

    job: Job
    future: Future
    alone: bool = False
    host: int = -1
    windows: np.ndarray | None = None
    loss: np.ndarray | None = None
    missing: int = 0


@dataclasses.dataclass(frozen=True)
class _Piece:
    """Windows of a file, rows ``first`` and on of what it asked for."""

    ticket: int
    first: int
    x: np.ndarray
    mask: np.ndarray

    def cut(self, count: int) -> tuple["_Piece", "_Piece"]:
        parts = slice(None, count), slice(count, None)
        return tuple(
            _Piece(self.ticket, self.first + (part.start or 0), self.x[part], self.mask[part])
            for part in parts
        )


@dataclasses.dataclass(frozen=True)
class Usage:
    """How busy the devices were.

    Attributes:
      busy: seconds in which a program was there to execute.
      wall: seconds from when everything was compiled and ready until the last outcome.
    """

    busy: float = 0.0
    wall: float = 0.0


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
        self._hosts = [self._host() for _ in range(max(self.workers, 1))]
        self._tasks = [0] * len(self._hosts)
        self._failed_starts = [0] * len(self._hosts)
        self._tickets = itertools.count()
        self._files: dict[int, _File] = {}
        self._jobs: deque[_File] = deque()
        self._suspects: deque[_File] = deque()
        self._waiting: dict[DescentOptions, deque[_Piece]] = {}
        self._changed = threading.Condition(threading.RLock())
        self._closed, self._error = False, None
        self._busy, self._began, self._last = 0.0, None, None
        self._thread = threading.Thread(target=self._devices, name="devices", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> "Future[Outcome]":
        """Promises to fill a file. Files are taken up in this order, as there is room for them.

        One whose promise was cancelled before that is not.
        """
        file = _File(job, Future())
        with self._changed:
            if self._error is not None:
                file.future.set_exception(self._error)
            elif self._closed:
                raise RuntimeError("the engine is closed")
            else:
                self._jobs.append(file)
                self._admit()
        return file.future

    def usage(self) -> Usage:
        """How busy the devices were until the last outcome."""
        with self._changed:
            if self._began is None or self._last is None:
                return Usage()
            return Usage(self._busy, max(self._last - self._began, 0.0))

    def close(self) -> None:
        """Drops what is not finished; what is being written is written to its end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        for host in self._hosts:
            host.close()
        for file in [*self._jobs, *self._suspects, *self._files.values()]:
            if file.future.cancel():
                file.future.set_running_or_notify_cancel()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *unused) -> None:
        self.close()

    # --- hosts ------------------------------------------------------------------------------------

    def _host(self) -> Host:
        try:
            return Host(self._completer, self._options, process=self.workers > 0)
        except OSError as error:  # too many processes, no memory
            raise InputError(f"cannot start a worker: {error.strerror}; {_FEWER}") from error

    def _admit(self) -> None:
        """Takes up files while hosts and devices have less than enough before them."""
        # A host may turn out to be dead when it is given a file, and no other can be started.
        while (
            self._jobs and not self._closed
            and not any(file.alone for file in self._files.values())
        ):
            held = Counter(file.host for file in self._files.values())
            host = min(range(len(self._hosts)), key=lambda i: (self._tasks[i], held[i]))
            waiting = sum(len(piece.x) for pieces in self._waiting.values() for piece in pieces)
            if self._tasks[host] >= AHEAD or waiting >= QUEUE * self._solver.batch:
                return
            file = self._jobs.popleft()
            if file.future.cancelled():
                file.future.set_running_or_notify_cancel()
            else:
                self._begin(file, host)
        if self._suspects and not self._closed and not self._files and not self._jobs:
            self._begin(self._suspects.popleft(), 0)

    def _begin(self, file: _File, host: int) -> None:
        ticket = next(self._tickets)
        file.host = host
        self._files[ticket] = file
        self._give(ticket, "begin", file.job)

    def _give(self, ticket: int, method: str, *arguments) -> None:
        """Gives a host something to do."""
        number = self._files[ticket].host
        host = self._hosts[number]
        try:
            future = host.submit(method, ticket, *arguments)
        except BrokenExecutor:
            self._bury(number, host)
            return
        self._tasks[number] += 1
        future.add_done_callback(lambda future: self._done(ticket, number, host, future))

    def _done(self, ticket: int, number: int, host: Host, future: Future) -> None:
        """A host has done something."""
        with self._changed:
            if host is not self._hosts[number] or self._error is not None:
                return  # it was buried, and its files with it, or nobody waits any more
            self._tasks[number] -= 1
            try:
                result = future.result()
            except CancelledError:  # the engine is being closed
                return
            except BrokenExecutor:
                self._bury(number, host)
                return
            except Exception as error:  # what cannot go from one process to the other
                result = Outcome(self._files[ticket].job, f"{type(error).__name__}: {error}")
            if isinstance(result, Outcome):
                self._last = time.perf_counter()
                _keep(self._files.pop(ticket).future, result)
            else:
                self._ask(ticket, result)
            self._admit()
            self._changed.notify_all()

    def _ask(self, ticket: int, request: Request) -> None:
        file = self._files[ticket]
        file.missing = len(request.x)
        file.windows = np.empty(request.x.shape, np.float32)
        file.loss = np.empty(len(request.x), np.float32)
        queue = self._waiting.setdefault(request.options, deque())
        queue.append(_Piece(ticket, 0, request.x, request.mask))

    def _bury(self, number: int, host: Host) -> None:
        """A worker has died: one of its files may be to blame, each of them is tried again alone.

        They are not if it had not even started.
        """
        if host is not self._hosts[number]:
            return
        lost = {ticket: file for ticket, file in self._files.items() if file.host == number}
        for ticket in lost:
            del self._files[ticket]
        for queue in self._waiting.values():
            kept = [piece for piece in queue if piece.ticket not in lost]
            queue.clear()
            queue.extend(kept)
        if host.started:
            self._failed_starts[number] = 0
            self._suspect(lost.values())
        else:
            self._failed_starts[number] += 1
            for file in reversed(lost.values()):
                (self._suspects if file.alone else self._jobs).appendleft(file)
        if not self._closed:
            self._replace(number)
        self._changed.notify_all()

    def _suspect(self, files: Iterable[_File]) -> None:
        for file in files:
            if file.alone:
                _keep(file.future, died(file.job, "worker"))
            else:
                file.alone = True
                self._suspects.append(file)

    def _replace(self, number: int) -> None:
        """Starts a worker in the place of one that has died."""
        try:
            if self._failed_starts[number] == STARTS:
                raise InputError(f"{STARTS} workers in a row died while they started; {_FEWER}")
            self._hosts[number], self._tasks[number] = self._host(), 0
        except InputError as error:
            self._fail(error)
        else:
            self._admit()

    def _fail(self, error: Exception) -> None:
        """Nothing can be done any more."""
        with self._changed:
            self._closed, self._error = True, error
            for file in [*self._jobs, *self._suspects, *self._files.values()]:
                with contextlib.suppress(InvalidStateError):  # cancelled
                    file.future.set_exception(error)
            self._changed.notify_all()

    # --- devices ----------------------------------------------------------------------------------

    def _devices(self) -> None:
        """The thread of the devices."""
        try:
            self._warm_up()
            self._run()
        except Exception as error:  # nothing can be solved any more
            self._fail(error)

    def _run(self) -> None:
        """Solves batch after batch until the engine is closed."""
        under_way: deque = deque()
        free_since = 0.0
        while True:
            with self._changed:
                while not (batch := self._take(idle=not under_way)) and not under_way:
                    if self._closed:
                        return
                    self._changed.wait()
            if batch:
                options, pieces = batch
                begun = time.perf_counter()
                result = self._solver.start(
                    np.concatenate([piece.x for piece in pieces]),
                    np.concatenate([piece.mask for piece in pieces]), options,
                )
                under_way.append((begun, pieces, result))
            if not batch or len(under_way) == AHEAD:
                begun, pieces, result = under_way.popleft()
                windows, loss = (np.asarray(array) for array in result)
                now = time.perf_counter()
                with self._changed:
                    self._busy += now - max(begun, free_since)
                    free_since = now
                    self._deliver(pieces, windows, loss)

    def _warm_up(self) -> None:
        """Compiles all programs there will be, and waits for the hosts to be there."""
        window = (1, self._completer.frames, len(self._completer.skeleton))
        for options in {self._options.settings.descent, QUALITIES["fast"].descent}:
            ones = np.ones((*window, 2), np.float32), np.ones(window, np.float32)
            jax.block_until_ready(self._solver.start(*ones, options))
        wait([host.ready for host in self._hosts])
        with self._changed:
            self._began = time.perf_counter()

    def _take(self, idle: bool) -> tuple[DescentOptions, list[_Piece]] | None:
        """The next batch: a full one, or what there is when nothing else can happen.

        Searches go before first looks, so that files that were begun end.
        """
        if self._closed:
            return None
        counts = {
            options: sum(len(piece.x) for piece in pieces)
            for options, pieces in self._waiting.items()
        }
        order = sorted(counts, key=lambda options: options.steps, reverse=True)
        full = [options for options in order if counts[options] >= self._solver.batch]
        if not full and idle and not any(self._tasks):
            full = [options for options in order if counts[options]]
        if not full:
            return None
        queue, room, pieces = self._waiting[full[0]], self._solver.batch, []
        while queue and room:
            piece = queue.popleft()
            if len(piece.x) > room:
                piece, rest = piece.cut(room)
                queue.appendleft(rest)
            pieces.append(piece)
            room -= len(piece.x)
        self._admit()
        return full[0], pieces

    def _deliver(self, pieces: Sequence[_Piece], windows: np.ndarray, loss: np.ndarray) -> None:
        """Hands solved windows to the files that asked for them."""
        begin = 0
        for piece in pieces:
            rows = slice(begin, begin + len(piece.x))
            begin = rows.stop
            file = self._files.get(piece.ticket)
            if file is None:  # its worker died
                continue
            there = slice(piece.first, piece.first + len(piece.x))
            file.windows[there], file.loss[there] = windows[rows], loss[rows]
            file.missing -= len(piece.x)
            if not file.missing and not self._closed:
                answer, file.windows, file.loss = (file.windows, file.loss), None, None
                self._give(piece.ticket, "go_on", *answer)


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
