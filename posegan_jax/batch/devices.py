"""The devices of a machine: windows of many files, in full batches, one batch ahead.

A program has one shape, whatever it is fed with, so that a file's result does not depend on which
files are about.
"""

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator

import jax
import numpy as np

from posegan_jax.inpainting.completer import Completer, Request
from posegan_jax.inpainting.descent import DescentOptions
from posegan_jax.inpainting.solver import Solver

AHEAD = 2
"""Batches that the devices have at a time: one is being solved, and the next one is there."""


@dataclasses.dataclass(frozen=True)
class Usage:
    """How busy the devices were.

    Attributes:
      busy: seconds in which a program was there to execute.
      wall: seconds from when everything was compiled and ready until the last outcome.
    """

    busy: float = 0.0
    wall: float = 0.0


@dataclasses.dataclass
class _Answer:
    """What is known of a request's windows.

    Attributes:
      windows: (N, F, J, 2) float32.
      loss: (N,) float32.
      missing: windows that are not solved yet.
    """

    windows: np.ndarray
    loss: np.ndarray
    missing: int


@dataclasses.dataclass(frozen=True)
class _Piece:
    """Windows of a request, rows ``first`` and on of what it asked for."""

    ticket: int
    first: int
    x: np.ndarray
    mask: np.ndarray

    def cut(self, count: int) -> tuple["_Piece", ...]:
        """The first so many windows, and the others."""
        parts = slice(None, count), slice(count, None)
        return tuple(
            _Piece(self.ticket, self.first + (part.start or 0), self.x[part], self.mask[part])
            for part in parts
        )


@dataclasses.dataclass(frozen=True)
class Batch:
    """Windows that are solved together."""

    options: DescentOptions
    pieces: list[_Piece]

    @property
    def x(self) -> np.ndarray:
        """(N, F, J, 2) as of ``Request``."""
        return np.concatenate([piece.x for piece in self.pieces])

    @property
    def mask(self) -> np.ndarray:
        """(N, F, J) as of ``Request``."""
        return np.concatenate([piece.mask for piece in self.pieces])


class Queue:
    """Windows that wait for the devices, and the answers so far; its length is that of the former.

    Whoever asks is known by a ticket, and asks for one thing at a time.

    Args:
      size: of a full batch.
    """

    def __init__(self, size: int):
        self._size = size
        self._waiting: dict[DescentOptions, deque[_Piece]] = {}
        self._answers: dict[int, _Answer] = {}

    def __len__(self) -> int:
        return sum(self._counts().values())

    def ask(self, ticket: int, request: Request) -> None:
        """Windows are to be solved."""
        count = len(request.x)
        self._answers[ticket] = _Answer(
            np.empty(request.x.shape, np.float32), np.empty(count, np.float32), count
        )
        queue = self._waiting.setdefault(request.options, deque())
        queue.append(_Piece(ticket, 0, request.x, request.mask))

    def drop(self, tickets: Collection[int]) -> None:
        """Nobody waits for these any more; what is being solved is not delivered."""
        for ticket in tickets:
            self._answers.pop(ticket, None)
        for options, pieces in self._waiting.items():
            self._waiting[options] = deque(p for p in pieces if p.ticket not in tickets)

    def take(self, partial: bool) -> Batch | None:
        """The next batch: a full one, or if ``partial`` what there is; None: there is none.

        Searches go before first looks, so that files that were begun end.
        """
        counts = self._counts()
        order = sorted(counts, key=lambda options: options.steps, reverse=True)
        enough = [options for options in order if counts[options] >= self._size]
        if not enough and partial:
            enough = [options for options in order if counts[options]]
        if not enough:
            return None
        queue, room, pieces = self._waiting[enough[0]], self._size, []
        while queue and room:
            piece = queue.popleft()
            if len(piece.x) > room:
                piece, rest = piece.cut(room)
                queue.appendleft(rest)
            pieces.append(piece)
            room -= len(piece.x)
        return Batch(enough[0], pieces)

    def deliver(
        self, batch: Batch, windows: np.ndarray, loss: np.ndarray
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Takes a batch's answers; gives each that is whole by now: ticket, windows, loss."""
        begin = 0
        for piece in batch.pieces:
            rows = slice(begin, begin + len(piece.x))
            begin = rows.stop
            answer = self._answers.get(piece.ticket)
            if answer is None:
                continue
            there = slice(piece.first, piece.first + len(piece.x))
            answer.windows[there], answer.loss[there] = windows[rows], loss[rows]
            answer.missing -= len(piece.x)
            if not answer.missing:
                del self._answers[piece.ticket]
                yield piece.ticket, answer.windows, answer.loss

    def _counts(self) -> dict[DescentOptions, int]:
        return {
            options: sum(len(piece.x) for piece in pieces)
            for options, pieces in self._waiting.items()
        }


def warm_up(solver: Solver, completer: Completer, searches: Iterable[DescentOptions]) -> None:
    """Compiles the programs of these searches."""
    window = (1, completer.frames, len(completer.skeleton))
    for options in set(searches):
        ones = np.ones((*window, 2), np.float32), np.ones(window, np.float32)
        jax.block_until_ready(solver.start(*ones, options))


def solve(
    solver: Solver, take: Callable[[bool], Batch | None],
    deliver: Callable[[Batch, np.ndarray, np.ndarray, float], None],
) -> None:
    """Solves batch after batch, each handed to the devices while they are at the one before.

    Args:
      take: gives the next batch, or None. Told that the devices are idle, it may wait for one, and
        None is the end.
      deliver: is given a batch, its windows and losses with rows beyond those of the batch, and the
        seconds that the devices were busy with it.
    """
    under_way: deque = deque()
    free_since = 0.0
    while True:
        batch = take(not under_way)
        if batch:
            begun = time.perf_counter()
            under_way.append((begun, batch, solver.start(batch.x, batch.mask, batch.options)))
        elif not under_way:
            return
        if not batch or len(under_way) == AHEAD:
            begun, batch, result = under_way.popleft()
            windows, loss = (np.asarray(array) for array in result)
            now = time.perf_counter()
            busy, free_since = now - max(begun, free_since), now
            deliver(batch, windows, loss, busy)
