"""The same over a cluster: Ray places an engine beside every accelerator and feeds it files.

Ray starts the engines where there is room, watches them and their nodes, and tells of their end.
Which engine gets which file, and what becomes of the files of one that dies, is up to ``schedule``.
Outputs appear whole, so that doing a file again changes nothing.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from posegan_jax.batch.devices import Usage
from posegan_jax.batch.engine import Engine
from posegan_jax.batch.manifest import Job
from posegan_jax.batch.schedule import Assign, Fail, GiveUp, Schedule, Start
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


@dataclasses.dataclass(frozen=True)
class _Slot:
    """An engine on the cluster: a name unlike that of any other, and Ray's handle of its actor."""

    name: str
    actor: Any


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

    Args: as of ``engines.local``. Inputs, outputs and checkpoint must have the same paths on all
      nodes.

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
    with contextlib.ExitStack() as stack:
        if own:
            stack.callback(ray.shutdown)
        dispatch = _Dispatch(ray, jobs, (checkpoint, options), workers)
        stack.callback(dispatch.close)
        yield from dispatch.results()


class _Dispatch:
    """Does on a cluster what the schedule says."""

    def __init__(self, ray, jobs: Sequence[Job], arguments, workers: int | None):
        self._ray, self._arguments, self._workers = ray, arguments, workers
        places = _places(ray.nodes())
        if not places:
            raise InputError("the Ray cluster has no node with a CPU")
        self._places = places[: len(jobs)]
        # An engine has a node's memory, or its share of it, for itself.
        self._schedule = Schedule(len(self._places), IN_FLIGHT, isolate=False)
        for job in jobs:
            self._schedule.add(job)
        self._slots: dict[int, _Slot] = {}
        self._calls: dict = {}  # reference of a call -> number of its slot, and its file or None
        self._numbers = itertools.count(1)

    def results(self) -> Iterator[tuple[Outcome, str, Usage]]:
        """Outcomes as they come, each with its engine's name and how busy that was so far."""
        why = ""
        while True:
            for job in self._act(why):
                yield died(job, "engine"), "", Usage()
            if self._schedule.done:
                return
            call = self._next()
            number, job = self._calls.pop(call)
            name = self._slots[number].name
            try:
                result = self._ray.get(call)
            except self._ray.exceptions.RayActorError as error:
                why = str(error).strip().splitlines()[-1]
                self._bury(number)
            except InputError as error:  # of the engine; Ray puts its own report around it
                raise InputError(f"{name}: {getattr(error, 'cause', error)}") from error
            else:
                if job is None:
                    self._schedule.ready(number)
                else:
                    self._schedule.finished(job)
                    yield result[0], name, result[1]

    def close(self) -> None:
        """Ends the engines; what they are writing is written to its end."""
        closing = [
            slot.actor.close.remote() for number, slot in self._slots.items()
            if self._schedule.holds(number)
        ]
        if closing:
            self._ray.wait(closing, num_returns=len(closing), timeout=PATIENCE)
        for slot in self._slots.values():
            self._ray.kill(slot.actor)

    def _act(self, why: str) -> Iterator[Job]:
        """Does what there is to do, given why an engine died last; gives files that are given up.
        """
        while (action := self._schedule.next()) is not None:
            match action:
                case Start(number):
                    self._start(number)
                case Assign(job, number):
                    self._calls[self._slots[number].actor.fill.remote(job)] = number, job
                case GiveUp(job):
                    yield job
                case Fail():
                    raise InputError(f"no engine can be started: {why}")

    def _next(self):
        """The next call that ends."""
        while True:
            done, _ = self._ray.wait(list(self._calls), num_returns=1, timeout=PATIENCE)
            if done:
                return done[0]
            if not self._schedule.any_ready:
                wanted = ", ".join(map(str, self._places))
                print(f"waiting for the cluster to have room for {wanted}", file=sys.stderr)

    def _start(self, number: int) -> None:
        resources, workers = self._places[number], self._workers
        if workers is None:
            cores = resources["num_cpus"]
            workers = cores + 1 if set(resources) == {"num_cpus"} else max(cores - 1, 1)
        actor = self._ray.remote(Remote).options(
            max_concurrency=2 * IN_FLIGHT, runtime_env=_environment(resources["num_cpus"]),
            **resources,
        )
        slot = _Slot(f"engine {next(self._numbers)}", actor.remote(*self._arguments, workers))
        self._slots[number] = slot
        self._calls[slot.actor.ready.remote()] = number, None

    def _bury(self, number: int) -> None:
        """An engine has died, or counts as dead."""
        self._ray.kill(self._slots.pop(number).actor)  # one out of reach would keep its place
        self._calls = {call: what for call, what in self._calls.items() if what[0] != number}
        self._schedule.died(number)


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
    cpu: list[dict] = []
    accelerated: list[dict] = []
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
