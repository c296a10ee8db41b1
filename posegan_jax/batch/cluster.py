"""The same over a cluster: Ray places an engine beside every accelerator and feeds it files.

Ray starts the engines where there is room, watches them and their nodes, and tells of their end.
What becomes of files whose engine has died is as with workers of an engine: each of them may be to
blame, so it is tried again on an engine of its own, and given up if that one dies, too. Outputs
appear whole, so that doing a file again changes nothing.
"""

import asyncio
import dataclasses
import itertools
import math
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence

from posegan_jax.batch.engine import STARTS, Engine, Usage
from posegan_jax.batch.manifest import Job
from posegan_jax.batch.work import Outcome, died
from posegan_jax.errors import InputError
from posegan_jax.inpainting.inpainter import load
from posegan_jax.inpainting.settings import FillOptions
from posegan_jax.runtime import cpus

IN_FLIGHT = 64
"""Files that an engine knows of at a time: it takes up as many as its devices need."""
PATIENCE = 60.0
"""Seconds that engines have to finish what they are writing at an interrupt, and after which a user
is told that none has started yet."""


@dataclasses.dataclass
class _Slot:
    """An engine on the cluster.

    Attributes:
      name: unlike that of any other.
      actor: Ray's handle of it.
      resources: what it takes of a node, as Ray's options.
      files: that it has been given and that have not come back.
      ready: whether it has been started.
      taken: whether the file that it has is to be alone.
    """

    name: str
    actor: object
    resources: dict
    files: int = 0
    ready: bool = False
    taken: bool = False


class Remote:
    """An engine in an actor of its own.

    Args: as of ``engine.Engine``, with a checkpoint's path or None for the packaged weights.
    """

    def __init__(self, checkpoint: str | None, options: FillOptions, workers: int | None):
        self._engine = Engine(load(checkpoint), options, workers)

    async def ready(self) -> None:
        """Returns when the actor has been placed and made."""

    async def fill(self, job: Job) -> tuple[Outcome, Usage]:
        """Fills a file: its outcome, and how busy the engine was until then."""
        return await asyncio.wrap_future(self._engine.submit(job)), self._engine.usage()

    async def close(self) -> None:
        """See ``engine.Engine.close``."""
        await asyncio.to_thread(self._engine.close)


def cluster(
    jobs: Sequence[Job], options: FillOptions, checkpoint: str | None, workers: int | None
) -> Iterator[tuple[Outcome, str, Usage]]:
    """Fills files with the cluster that is running, or else with one of this machine alone.

    Args: as of ``run.local``. Inputs, outputs and checkpoint must have the same paths on all nodes.

    Raises:
      InputError: Ray is not installed, there is no cluster, or no engine can be started.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError("--engine ray needs Ray; pip install 'posegan_jax[ray]'") from error
    # Other nodes stand in other folders.
    jobs = [Job(os.path.abspath(job.input), os.path.abspath(job.output)) for job in jobs]
    checkpoint = os.path.abspath(checkpoint) if checkpoint else None
    if options.joint_map and os.path.exists(options.joint_map):  # else a skeleton's name
        options = dataclasses.replace(options, joint_map=os.path.abspath(options.joint_map))
    own = not ray.is_initialized()
    if own:
        try:
            ray.init(log_to_driver=False, configure_logging=False)
        except (OSError, RuntimeError, ValueError) as error:
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(f"no Ray cluster (RAY_ADDRESS names one): {said}") from error
    slots: list[_Slot] = []
    try:
        yield from _Dispatch(ray, slots, jobs, (checkpoint, options), workers).results()
    finally:
        closing = [slot.actor.close.remote() for slot in slots if slot.ready and slot.files]
        if closing:
            ray.wait(closing, num_returns=len(closing), timeout=PATIENCE)
        for slot in slots:
            ray.kill(slot.actor)
        if own:
            ray.shutdown()


class _Dispatch:
    """Gives files to engines, and again where an engine has died."""

    def __init__(self, ray, slots: list[_Slot], jobs: Sequence[Job], arguments, workers):
        self._ray, self._slots, self._jobs = ray, slots, deque(jobs)
        self._arguments, self._workers = arguments, workers
        self._calls: dict = {}  # reference of a call -> its slot, and its file or None
        self._suspects: deque[Job] = deque()
        self._failed_starts = 0
        self._numbers = itertools.count(1)

    def results(self) -> Iterator[tuple[Outcome, str, Usage]]:
        wanted = _places(self._ray.nodes())
        if not wanted:
            raise InputError("the Ray cluster has no node with a CPU")
        for resources in wanted[: len(self._jobs)]:
            self._start(resources)
        left = len(self._jobs)
        while left:
            call = self._next()
            slot, job = self._calls.pop(call)
            try:
                result = self._ray.get(call)
            except self._ray.exceptions.RayActorError as error:
                lost = self._lose(slot, job, error)
                if lost is not None:
                    left -= 1
                    yield lost, "", Usage()
            except InputError as error:  # of the engine; Ray puts its own report around it
                raise InputError(f"{slot.name}: {getattr(error, 'cause', error)}") from error
            else:
                if job is None:
                    slot.ready, self._failed_starts = True, 0
                else:
                    slot.files -= 1
                    slot.taken = False
                    left -= 1
                    yield result[0], slot.name, result[1]
            self._feed()

    def _next(self):
        """The next call that ends."""
        while True:
            done, _ = self._ray.wait(list(self._calls), num_returns=1, timeout=PATIENCE)
            if done:
                return done[0]
            if not any(slot.ready for slot in self._slots):
                wanted = ", ".join(str(slot.resources) for slot in self._slots)
                print(f"waiting for the cluster to have room for {wanted}", file=sys.stderr)

    def _start(self, resources: dict) -> None:
        workers = self._workers
        if workers is None:
            cores = resources["num_cpus"]
            workers = cores + 1 if set(resources) == {"num_cpus"} else max(cores - 1, 1)
        actor = self._ray.remote(Remote).options(
            max_concurrency=2 * IN_FLIGHT, runtime_env=_environment(resources["num_cpus"]),
            **resources,
        )
        name = f"engine {next(self._numbers)}"
        slot = _Slot(name, actor.remote(*self._arguments, workers), resources)
        self._slots.append(slot)
        self._calls[slot.actor.ready.remote()] = slot, None

    def _feed(self) -> None:
        """Gives every engine enough to do, the least busy one first; at last, suspects alone."""
        ready = [slot for slot in self._slots if slot.ready and not slot.taken]
        # Engines that are ready later, or done earlier, are to find their share.
        left = len(self._jobs) + sum(slot.files for slot in self._slots)
        most = min(IN_FLIGHT, math.ceil(left / len(self._slots)))
        while self._jobs and ready:
            slot = min(ready, key=lambda slot: slot.files)
            if slot.files >= most:
                return
            self._give(slot, self._jobs.popleft())
        for slot in ready:
            if self._suspects and not slot.files:
                slot.taken = True
                self._give(slot, self._suspects.popleft())

    def _give(self, slot: _Slot, job: Job) -> None:
        slot.files += 1
        self._calls[slot.actor.fill.remote(job)] = slot, job

    def _lose(self, slot: _Slot, job: Job | None, error: Exception) -> Outcome | None:
        """An engine has died, or counts as dead: another one is asked for.

        Returns:
          The file's outcome if it is given up.
        """
        if slot in self._slots:
            self._slots.remove(slot)
            self._ray.kill(slot.actor)  # one that is only out of reach would keep its place
            self._failed_starts += not slot.ready
            if self._failed_starts == STARTS:
                raise InputError(f"no engine can be started: {str(error).strip().splitlines()[-1]}")
            self._start(slot.resources)
        if job is None:
            return None
        if slot.taken:
            return died(job, "engine")
        self._suspects.append(job)
        return None


def _environment(cores: int) -> dict:
    """Makes JAX see a device for each core of an engine's share of a node, see ``cpus``.

    What the user says of their number holds for all engines.
    """
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return {}
    count = os.environ.get("JAX_NUM_CPU_DEVICES") or str(min(cores, cpus.MOST))
    return {"env_vars": {"JAX_NUM_CPU_DEVICES": count}}


def _places(nodes: Sequence[dict]) -> list[dict]:
    """What engines take of the nodes: one for each GPU or TPU host, else one for each node.

    Args:
      nodes: as of ``ray.nodes()``.
    """
    cpu, accelerated = [], []
    for node in nodes:
        resources = node["Resources"] if node["Alive"] else {}
        cores, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
        if gpus:
            share = {"num_cpus": max(cores // gpus, 1), "num_gpus": 1}
            accelerated += [share] * (min(gpus, cores) if cores else gpus)
        elif resources.get("TPU"):
            chips = {"TPU": resources["TPU"]}
            accelerated.append({"num_cpus": max(cores, 1), "resources": chips})
        elif cores:
            cpu.append({"num_cpus": cores})
    return accelerated or cpu
