"""CPU cores as devices, and the memory of their programs.

XLA computes a convolution on one core, but a program for several devices on as many: with a device
for every core, windows and batches are split over all of them. The commands ask for that; who
imports the package calls ``one_device_each`` before JAX is used, or sets JAX_NUM_CPU_DEVICES.
"""

import contextlib
import ctypes
import functools
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from threadpoolctl import ThreadpoolController

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
MOST = 16
"""Devices, as each takes a share of windows however few there are."""
RESERVED = 2**30
"""Bytes, more than the programs of a training step with 256 windows need."""
HUGE_PAGE = 2**21
MADV_HUGEPAGE = 14  # madvise(2)


def usable() -> int:
    """CPUs that this process may use, or as many as its container's time is worth."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, min(count, _quota() or count))


def _quota() -> int:
    """CPUs' time that this process's control groups may take (Linux), rounded up; 0: all."""
    return min(filter(None, map(_share, _groups())), default=0)


def _groups() -> Iterator[Path]:
    """Folders of the groups that this process is in, and of those around them, see cgroups(7)."""
    try:
        lines = OWN_CGROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:  # there are none
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if not controllers:  # version 2
            top = CGROUPS
        elif "cpu" in controllers.split(","):
            top = CGROUPS / "cpu"
        else:
            continue
        for group in (PurePosixPath(name), *PurePosixPath(name).parents):
            yield top / group.relative_to("/")


def _share(group: Path) -> int:
    """CPUs' time that one group may take, rounded up; 0: all."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            text = " ".join((group / name).read_text(encoding="ascii") for name in names)
            quota, period = text.split()
            return max(-(-int(quota) // int(period)), 0)  # -1 is all of version 1
        except (OSError, ValueError, ZeroDivisionError):  # another version, or it is "max"
            continue
    return 0


def one_device_each(dividing: int = 0) -> None:
    """Makes JAX see a device for each CPU that this process may use, 16 at most.

    Does nothing where JAX's devices are in use already, or their number is given
    (JAX_NUM_CPU_DEVICES, or --xla_force_host_platform_device_count in XLA_FLAGS), but for
    ``keep_memory``, which it always calls.

    Args:
      dividing: a batch size that must be a multiple of the number of devices, if not 0.
    """
    import jax  # whoever asks will use it

    keep_memory()
    if jax.config.jax_num_cpu_devices > 0:
        return
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    count = min(usable(), MOST)
    while dividing % count:
        count -= 1
    with contextlib.suppress(RuntimeError):  # devices are in use
        jax.config.update("jax_num_cpu_devices", count)


@functools.cache
def keep_memory() -> None:
    """Lets this process keep the memory that it has freed, where its C library is glibc.

    XLA allocates the buffers of a program anew for every call. Blocks of that size are mapped for
    one use otherwise, and the kernel clears every page of them: up to a fifth of a short call's
    time. Of the arenas of glibc, only the main one has room for blocks of more than 64 MB. What it
    starts with is asked to be of huge pages, as small ones take 3 % of a training step: a GiB of
    addresses that the process keeps, and that become memory where they are written to.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    mallopt = getattr(libc, "mallopt", None)
    if mallopt is None:  # another C library
        return
    trim_threshold, mmap_max, arena_max = -1, -4, -8  # mallopt(3), malloc.h
    mallopt(trim_threshold, -1)  # never
    mallopt(mmap_max, 0)
    mallopt(arena_max, 1)
    libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    libc.free.argtypes, libc.free.restype = [ctypes.c_void_p], None
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    block = libc.malloc(RESERVED)
    if block:
        start = -(-block // HUGE_PAGE) * HUGE_PAGE
        libc.madvise(start, (block + RESERVED - start) // HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE)
        libc.free(block)


def give_back_memory() -> None:
    """Gives back what ``keep_memory`` has kept and nothing uses now."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:  # malloc_trim(3), of glibc
        trim(0)


_ONE_THREAD = threading.Lock()
_inside = 0
_before = contextlib.ExitStack()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra of the host is done by one thread meanwhile, in all threads of this process.

    The libraries behind NumPy and SciPy give every product of more than some thousand numbers to
    all cores, where their threads spin in wait for each other: beside any other work that takes
    many times as long as one thread does.
    """
    global _inside
    with _ONE_THREAD:
        if not _inside:
            _before.enter_context(_linear_algebra().limit(limits=1, user_api="blas"))
        _inside += 1
    try:
        yield
    finally:
        with _ONE_THREAD:
            _inside -= 1
            if not _inside:
                _before.close()


@functools.cache
def _linear_algebra() -> ThreadpoolController:
    """The libraries; looking for them takes milliseconds, so once for all."""
    import scipy.linalg  # noqa: F401  has one of its own, which is to be found, too

    return ThreadpoolController()
