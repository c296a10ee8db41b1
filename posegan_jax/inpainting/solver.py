"""The search over any number of windows: batches of one fixed shape, split over the devices.

Windows do not see each other, so the devices do not talk: each solves its share of a batch, by the
same program whatever their number (``shard_map``).
"""

import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from posegan_jax.errors import InputError, whole
from posegan_jax.geometry.normalize import denormalize, fit_normalization, normalize
from posegan_jax.inpainting.descent import descend, inverse_metric
from posegan_jax.inpainting.settings import DescentOptions
from posegan_jax.model.options import NetworkOptions, Variables
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.runtime import parallel, programs

if TYPE_CHECKING:
    from posegan_jax.model.networks import Networks

Progress = Callable[[int, int], None]
T = TypeVar("T")

# Windows that a device solves at once. A CPU core solves 24 at 0.92 of the speed of 64, and a track
# of ten seconds has about 40: what a larger batch gains is lost in filling it up. Many cores take
# less each: 6 are solved at 0.8 of that speed.
CPU_SHARE, CPU_LEAST, CPU_BATCH, ACCELERATOR_SHARE = 24, 6, 96, 512
# What a window takes in the search, for every frame and joint. Compiled for a CPU it is 1.1 KB in
# batches of 128, 2.6 KB in batches of 8; other kernels may want more.
BYTES_PER_JOINT = 4096
MEMORY_USED = 0.25
"""Part of a device's memory that a batch may take; programs, and other processes, need the rest."""
SOURCES = (
    "geometry", "model", "inpainting/descent.py", "inpainting/objective.py",
    "inpainting/solver.py", "pose/skeleton.py", "pose/rate.py", "runtime/parallel.py",
)
"""What the programs are made of, see ``programs.program``."""


class Solver:
    """Solves windows with the devices of this process.

    Args:
      networks: the modules, or the options of ours: these are then built when a program is traced,
        which it is only once, see ``runtime.programs``.
      variables: their parameters.
      batch: windows solved at once, over all devices, at least 2; rounded up to a multiple of the
        number of devices. By default 512 per accelerator and 24 per core of a CPU, fewer where its
        cores are more than four, or what memory holds.
      devices: which ones, all of this process if None.

    Attributes:
      options: of the networks.
      variables: their parameters, whole on every device.
      mesh: of the devices.
      batch: windows solved at once.

    Raises:
      InputError: ``batch`` is less than 2.
    """

    def __init__(
        self, networks: "Networks | NetworkOptions", variables: dict[str, Variables],
        batch: int | None = None, devices: list[jax.Device] | None = None,
    ):
        self._given = None if isinstance(networks, NetworkOptions) else networks
        self.options = networks if isinstance(networks, NetworkOptions) else networks.options
        self._programs: dict[tuple, Callable | None] = {}
        self._settings: dict[str, Any] = {}
        self.mesh = parallel.make_mesh(jax.local_devices() if devices is None else devices)
        self.variables = parallel.replicate(self.mesh, variables)
        devices = list(self.mesh.devices.flat)
        if batch is None:
            batch = len(devices) * default_share(self.options, devices[0], len(devices))
        if whole("batch", batch) < 2:
            raise InputError("batch must be at least 2")
        # A batch of one is compiled to other kernels, and a long search amplifies rounding: two
        # windows a device, at least.
        self.batch = len(devices) * max(2, -(-batch // len(devices)))

    @functools.cached_property
    def networks(self) -> "Networks":
        """The modules."""
        if self._given is not None:
            return self._given
        from posegan_jax.model.networks import build_networks

        return build_networks(self.options)

    def another(self, batch: int, devices: list[jax.Device] | None = None) -> "Solver":
        """One of the same networks and parameters; arguments as of ``Solver``."""
        return Solver(self._given or self.options, self.variables, batch, devices)

    def __call__(
        self, x: np.ndarray, mask: np.ndarray, options: DescentOptions,
        progress: Progress | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solves windows in batches of fixed size.

        Args:
          x: (N, F, J, 2) pixels; missing joints may hold anything finite.
          mask: (N, F, J) 0 = missing; what is more weighs a joint in the search.
          options: of the search.
          progress: called with windows done and windows in all.

        Returns:
          (N, F, J, 2) generated windows in pixels, aligned to the observed joints, and (N,) their
          objective. A window's result does not depend on the others.
        """
        windows, losses = np.empty(np.shape(x), np.float32), np.empty(len(x), np.float32)

        def started():
            for begin in range(0, len(x), self.batch):
                part = slice(begin, min(begin + self.batch, len(x)))
                yield part, self.start(x[part], mask[part], options)

        for part, (solved, loss) in _one_ahead(started()):
            count = part.stop - part.start
            windows[part], losses[part] = np.asarray(solved)[:count], np.asarray(loss)[:count]
            if progress:
                progress(part.stop, len(x))
        return windows, losses

    def start(
        self, x: np.ndarray, mask: np.ndarray, options: DescentOptions
    ) -> tuple[jax.Array, jax.Array]:
        """Starts to solve up to a batch of windows, and does not wait for the devices.

        Args: as of ``__call__``.

        Returns:
          (batch, F, J, 2) windows and (batch,) their objective, as they come; the first N count.
        """
        metric = self.metric if options.method == "bfgs" and options.steps else None
        arguments = self.variables, *self.place(x, mask), metric
        program = self._program(options, arguments)
        if program is not None:
            return program(*arguments)
        return _solve(*arguments, networks=self.networks, options=options, mesh=self.mesh)

    def _program(self, options: DescentOptions, arguments: tuple) -> Callable | None:
        """The one that is kept; None where none is, or the networks are others than ours."""
        if self._given is not None or programs.folder() is None:
            return None
        settings = jax.config.values
        if settings != self._settings:
            self._settings, self._programs = settings, {}
        key, kept = (options, arguments[-1] is None), self._programs
        if key not in kept:
            kept[key] = programs.program(
                "solve",
                lambda: _solve.lower(
                    *arguments, networks=self.networks, options=options, mesh=self.mesh
                ),
                arguments, (0, 0), [options, self._known_by()], SOURCES, self._devices(),
            )
        return kept[key]

    @functools.cached_property
    def metric(self) -> jax.Array:
        """For the search by BFGS, see ``descent.inverse_metric``; made when it is first wanted."""

        def compute():
            return _metric(self.variables, networks=self.networks)

        if self._given is not None:
            return compute()
        parameters = hashlib.sha256()
        for leaf in jax.tree.leaves(jax.device_get(self.variables["generator"])):
            parameters.update(np.ascontiguousarray(leaf).data)
        known_by = self._known_by(), parameters.hexdigest()
        found: Any = programs.result("metric", compute, known_by, SOURCES, self._devices())
        return parallel.replicate(self.mesh, found)

    def _known_by(self) -> tuple:
        """What decides the modules; names of skeletons can be given to others."""
        skeleton = get_skeleton(self.options.skeleton)
        return self.options, skeleton.joints, skeleton.rows

    def _devices(self) -> list[jax.Device]:
        return self.mesh.devices.flatten().tolist()

    def place(self, *arrays: np.ndarray) -> list[jax.Array]:
        """Fills arrays (N, ...) up to a batch with copies of the first row, split over devices."""
        filled = []
        for array in arrays:
            missing = self.batch - len(array)
            filled.append(np.concatenate([array, np.repeat(array[:1], missing, axis=0)]))
        return parallel.scatter(self.mesh, [array.astype(np.float32) for array in filled])


@functools.partial(jax.jit, static_argnames=("networks", "options", "mesh"))
def _solve(
    variables, x, mask, metric=None, *, networks: "Networks", options: DescentOptions, mesh: Mesh
):
    def share(variables, x, mask, metric):
        there = (mask > 0).astype(x.dtype)
        normalization = fit_normalization(x, there)
        inside = normalize(x, normalization) * there[..., None]
        found = descend(networks, variables, inside, mask, options, metric)
        return denormalize(found.x_tilde, normalization), found.loss

    whole, split = PartitionSpec(), PartitionSpec(parallel.DATA_AXIS)
    # Nothing is summed over the devices, so there is nothing to check of what differs among them.
    program = jax.shard_map(
        share, mesh=mesh, in_specs=(whole, split, split, whole), out_specs=split, check_vma=False
    )
    return program(variables, x, mask, metric)


@functools.partial(jax.jit, static_argnames="networks")
def _metric(variables, *, networks: "Networks"):
    return inverse_metric(networks, variables)


def default_share(options: NetworkOptions, device: jax.Device, count: int = 1) -> int:
    """Windows that each of so many devices solves at once: what is fast on their kind, and fits
    into their memory."""
    wanted = ACCELERATOR_SHARE
    if device.platform == "cpu":
        wanted = min(CPU_SHARE, max(CPU_LEAST, CPU_BATCH // count))
    window = BYTES_PER_JOINT * options.frames * len(get_skeleton(options.skeleton))
    return max(2, min(wanted, int(MEMORY_USED * _memory(device)) // window))


def _memory(device: jax.Device) -> int:
    """Bytes; a host's are shared by its CPU devices. Where the system does not tell, 4 GiB."""
    stats = device.memory_stats() or {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"]
    try:
        host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not POSIX
        host = 4 << 30
    return host // jax.local_device_count(device.platform)


def _one_ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items, each handed on when the next has been made."""
    before = []
    for item in items:
        yield from before
        before = [item]
    yield from before
