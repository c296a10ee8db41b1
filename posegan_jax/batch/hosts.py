"""Who does the hosts' work: processes of their own, or a thread of this one."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

from posegan_jax.batch.work import Bench
from posegan_jax.inpainting.completer import Completer
from posegan_jax.inpainting.settings import FillOptions

_ENVIRONMENT = {
    # One core each; the devices are left to the process that solves.
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    # glibc gives matrices of a few MB back to the system, and then waits for new pages.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 26), "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
}

_bench: Bench | None = None


class Host:
    """A bench and the one who works on it.

    A file stays where it was begun. After a worker's death, of which its futures tell by
    ``BrokenExecutor``, another host must be made.

    Args:
      completer, options: as of ``Bench``.
      process: in a process of its own, or else in a thread of this one.

    Attributes:
      ready: done when it can work, or has died before.
    """

    def __init__(self, completer: Completer, options: FillOptions, process: bool):
        self._executor: Executor
        self._bench = None
        if process:
            self._executor = ProcessPoolExecutor(
                1, multiprocessing.get_context("spawn"), _set_up, (completer, options)
            )
            with _environment():
                self.ready = self._executor.submit(_nothing)
        else:
            self._bench = Bench(completer, options)
            self._executor = ThreadPoolExecutor(1)
            self.ready = self._executor.submit(_nothing)

    def submit(self, method: str, *arguments) -> Future:
        """Calls a method of the bench; the result is a Request or an Outcome."""
        if self._bench is None:
            return self._executor.submit(_call, method, *arguments)
        return self._executor.submit(getattr(self._bench, method), *arguments)

    def close(self) -> None:
        """Lets go of what has not begun, and waits for what has."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _set_up(completer: Completer, options: FillOptions) -> None:
    """In a new process."""
    global _bench
    _bench = Bench(completer, options)
    # Interrupts go to all processes of a terminal or a job: it is the parent who decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """Nobody tells a worker that its parent was killed."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _call(method: str, *arguments):
    return getattr(_bench, method)(*arguments)


def _nothing() -> None:
    pass


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """What a process that is started meanwhile inherits; libraries read it when they are loaded."""
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
