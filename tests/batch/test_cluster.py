"""Engines on a cluster: where they go, and what becomes of files whose engine dies."""

import asyncio
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import types
from collections import deque
from pathlib import Path

import pytest

from posegan_jax import cli
from posegan_jax.batch import cluster as cluster_module
from posegan_jax.batch import run as run_module
from posegan_jax.batch.cluster import IN_FLIGHT, Remote, cluster
from posegan_jax.batch.devices import Usage
from posegan_jax.batch.manifest import Job
from posegan_jax.batch.run import Summary
from posegan_jax.batch.schedule import STARTS, Schedule
from posegan_jax.batch.work import Outcome
from posegan_jax.errors import InputError

LONG = 600
"""Seconds after which nobody waits any more for what should have happened."""

# --- without Ray ----------------------------------------------------------------------------------


class Died(Exception):
    """What a call of a dead actor raises."""


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """What a call gives at once."""

    actor: object
    name: str
    arguments: tuple


class Ray(types.ModuleType):
    """As much of Ray as there is to it here: calls end in the order in which they were made.

    ``deaths`` names files, each as often as it ends the actor that fills it; ``stillborn`` actors
    die before they are ready. A place is taken until its actor is killed.
    """

    def __init__(self, nodes, deaths=(), stillborn=0):
        super().__init__("ray")
        self.exceptions = types.SimpleNamespace(RayActorError=Died)
        self._nodes, self._deaths, self._stillborn = nodes, list(deaths), stillborn
        self.placed, self.calls, self.most, self.up = [], deque(), 0, False
        self.actors, self.environments = [], []

    def is_initialized(self):
        return self.up

    def init(self, **options):
        self.up = True

    def shutdown(self):
        self.up = False

    def nodes(self):
        return self._nodes

    def remote(self, cls):
        def options(max_concurrency, runtime_env, **resources):
            self.placed.append(resources)
            self.environments.append(runtime_env)
            return types.SimpleNamespace(remote=lambda *arguments: self._actor())

        return types.SimpleNamespace(options=options)

    def _actor(self):
        there = sum(not actor.killed for actor in self.actors)
        assert there < len(cluster_module._places(self._nodes)), "no place for this actor"
        actor = types.SimpleNamespace(dead=False, killed=False)
        self.actors.append(actor)
        for name in ("ready", "fill", "close"):
            call = types.SimpleNamespace(remote=lambda *a, name=name: self._call(actor, name, *a))
            setattr(actor, name, call)
        return actor

    def _call(self, actor, name, *arguments):
        call = Call(actor, name, arguments)
        self.calls.append(call)
        self.most = max(self.most, len(self.calls))
        return call

    def wait(self, calls, num_returns, timeout):
        return [next(call for call in self.calls if call in calls)], []

    def get(self, call):
        self.calls.remove(call)
        actor, name, arguments = call.actor, call.name, call.arguments
        if name == "ready" and self._stillborn:
            self._stillborn -= 1
            actor.dead = True
        if name == "fill" and not actor.dead and self._name(arguments[0]) in self._deaths:
            self._deaths.remove(self._name(arguments[0]))
            actor.dead = True
        if actor.dead:
            raise Died("\nthe actor died\n")
        return (Outcome(arguments[0], frames=1), Usage(1.0, 2.0)) if name == "fill" else None

    def _name(self, job):
        return os.path.basename(job.input)

    def kill(self, actor):
        assert not actor.killed
        actor.killed = True


def node(alive=True, **resources):
    return {"Alive": alive, "Resources": {name: float(n) for name, n in resources.items()}}


CPUS = [node(CPU=2), node(CPU=4)]


@pytest.fixture
def filled(options, monkeypatch):
    """Fills files on such a cluster: errors by input, the cluster."""

    def fill(count, nodes=CPUS, **flaws):
        ray = Ray(nodes, **flaws)
        monkeypatch.setitem(sys.modules, "ray", ray)
        jobs = [Job(f"{i}", f"out/{i}") for i in range(count)]
        found = [outcome for outcome, _, _ in cluster(jobs, options, None, None)]
        assert sorted(int(name(outcome)) for outcome in found) == list(range(count))
        assert all(os.path.isabs(outcome.job.output) for outcome in found)
        assert not ray.up and all(actor.killed for actor in ray.actors)
        return {name(outcome): outcome.error for outcome in found if outcome.error}, ray

    def name(outcome):
        return os.path.basename(outcome.job.input)

    return fill


@pytest.mark.parametrize(
    "nodes, places",
    [
        (CPUS, [{"num_cpus": 2}, {"num_cpus": 4}]),
        ([node(CPU=4), node(alive=False, CPU=8), node(memory=1)], [{"num_cpus": 4}]),
        ([node(CPU=8), node(CPU=8, GPU=2)], [{"num_cpus": 4, "num_gpus": 1}] * 2),
        ([node(CPU=1, GPU=2)], [{"num_cpus": 1, "num_gpus": 1}]),
        ([node(CPU=96, TPU=4)] * 2, [{"num_cpus": 96, "resources": {"TPU": 4.0}}] * 2),
    ],
)
def test_engines_go_where_the_accelerators_are(filled, nodes, places):
    assert filled(9, nodes)[1].placed == places


@pytest.mark.parametrize(
    "nodes, environment, devices",
    [
        (CPUS, {}, ["2", "4"]),
        ([node(CPU=64)], {}, ["16"]),
        ([node(CPU=8, GPU=2)], {}, ["4", "4"]),
        (CPUS, {"JAX_NUM_CPU_DEVICES": "1"}, ["1", "1"]),
        (CPUS, {"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}, [None, None]),
    ],
)
def test_devices_are_the_share_of_an_engine(filled, monkeypatch, nodes, environment, devices):
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = [given.get("env_vars", {}) for given in filled(9, nodes)[1].environments]
    assert [given.get("JAX_NUM_CPU_DEVICES") for given in found] == devices


def test_no_more_engines_than_files(filled):
    assert len(filled(1)[1].placed) == 1


def test_engines_have_enough_and_not_everything(filled):
    errors, ray = filled(1000)
    assert not errors and ray.most == 2 * IN_FLIGHT


def test_an_engine_that_is_ready_later_finds_its_share(filled, monkeypatch):
    actors = []

    def get(self, call, get=Ray.get):
        if call.name == "fill":
            actors.append(id(call.actor))
        return get(self, call)

    monkeypatch.setattr(Ray, "get", get)
    filled(60)
    assert sorted(actors.count(actor) for actor in set(actors)) == [30, 30]


def test_files_of_an_engine_that_dies_are_done_by_others(filled):
    errors, ray = filled(200, deaths=["3", "70", "150"])
    assert not errors and len(ray.placed) == 2 + 3


@pytest.mark.parametrize("count", [1, 3, 200])
def test_a_file_that_ends_every_engine_is_given_up_and_no_other(filled, count):
    errors, ray = filled(count, deaths=["0"] * 99)
    assert errors.keys() == {"0"} and "0: its engine died twice" in errors["0"]
    assert len(ray.placed) == min(count, 2) + 2


def test_several_such_files(filled):
    bad = {"3", "4", "70", "150"}
    errors, ray = filled(200, deaths=[*bad] * 99)
    assert errors.keys() == bad
    assert len(ray.placed) <= 2 + 2 * len(bad)


def test_what_an_engine_refuses_is_said_in_one_line(filled, monkeypatch):
    class TaskError(InputError):
        cause = InputError("no worker can be started")

    def get(self, call, get=Ray.get):
        if call.name == "fill":
            raise TaskError("ray::Remote.fill()\n  File ...")
        return get(self, call)

    monkeypatch.setattr(Ray, "get", get)
    with pytest.raises(InputError, match="^engine 1: no worker can be started$"):
        filled(3)


def test_engines_that_never_start_are_no_reason_to_wait(filled):
    with pytest.raises(InputError, match="no engine can be started: the actor died"):
        filled(3, stillborn=99)
    assert not filled(3, stillborn=STARTS - 1)[0]


def test_a_cluster_without_room(filled):
    with pytest.raises(InputError, match="no node with a CPU"):
        filled(3, [node(alive=False, CPU=2)])


def test_a_cluster_that_is_not_there(options, monkeypatch):
    def init(**options):
        raise ConnectionError("nobody at 10.0.0.1:6379\nlong advice")

    ray = Ray(CPUS)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(InputError, match=r"RAY_ADDRESS names one\): nobody at 10.0.0.1:6379$"):
        next(cluster([Job("a", "b")], options, None, None))


def test_ray_is_asked_for(options, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'posegan_jax\[ray\]'"):
        next(cluster([Job("a", "b")], options, None, None))


# --- with it --------------------------------------------------------------------------------------


@contextlib.contextmanager
def deadline(seconds, what):
    """Fails a test that takes too long, whatever it waits for: Ray's calls heed an interrupt."""
    expired = []

    def interrupt(*unused):
        expired.append(True)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, 90)
    try:
        yield
    except KeyboardInterrupt:
        if not expired:
            raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if expired:
        pytest.fail(f"{what} took more than {seconds} s")


def test_a_deadline_interrupts_what_waits():
    with pytest.raises(pytest.fail.Exception, match=r"waiting took more than 0.01 s"):
        with deadline(0.01, "waiting"):
            threading.Event().wait(60)
    with deadline(60, "nothing"):
        pass
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


@pytest.fixture(scope="module")
def ray():
    return pytest.importorskip("ray")


@pytest.fixture
def two_nodes(ray, monkeypatch):
    """A cluster of two nodes on this machine: itself, and the node that can be taken away."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    size = {"num_cpus": 1, "object_store_memory": 100 << 20}
    with deadline(LONG, "starting a cluster of two nodes"):
        both = Cluster(initialize_head=True, head_node_args=size)
        second = both.add_node(**size)
        both.wait_for_nodes(timeout=LONG)
        ray.init(address=both.address, log_to_driver=False, configure_logging=False)
    yield both, second
    with deadline(LONG, "ending the cluster"):
        ray.shutdown()
        both.shutdown()


def undisturbed(folder, options, checkpoint, out, contents):
    run_module.run([folder], out, options, checkpoint, workers=1)
    return contents(out)


class Gate:
    """Where engines on one node wait with their files, and tell the number of their process.

    Args:
      folder: that all nodes see.
    """

    def __init__(self, folder):
        self.reached, self.open = str(folder / "reached"), str(folder / "open")
        for path in (self.reached, self.open):
            os.mkfifo(path)
        # Opened for both directions, a pipe does not wait for someone at its other end.
        self._ends = [os.open(self.reached, os.O_RDWR)]

    def wait(self):
        """Returns when an engine has come: its process."""
        return int(os.read(self._ends[0], 100).split()[0])

    def let_pass(self):
        """From now on."""
        self._ends.append(os.open(self.open, os.O_RDWR))

    def close(self):
        for end in self._ends:
            os.close(end)

    def engine(self, beside):
        """Engines of which those wait that are not on this node."""
        reached, gate = self.reached, self.open

        def wait():
            with open(reached, "w") as file:
                file.write(f"{os.getpid()}\n")
            os.close(os.open(gate, os.O_RDONLY))  # waits for someone at the other end

        class Gated(Remote):
            async def fill(self, job):
                import ray

                if ray.get_runtime_context().get_node_id() != beside:
                    await asyncio.to_thread(wait)
                return await super().fill(job)

        return Gated


@pytest.fixture
def gate(tmp_path):
    gate = Gate(tmp_path)
    yield gate
    gate.close()


@pytest.fixture
def both_at_once(monkeypatch):
    """Nobody gets a file before two engines are ready: else one might do everything."""
    ready, there = Schedule.ready, []

    def when_both_are(self, worker):
        there.append(worker)
        if len(there) == 2:
            ready(self, there[0])
        if len(there) >= 2:
            ready(self, worker)

    monkeypatch.setattr(Schedule, "ready", when_both_are)


@pytest.mark.slow
@pytest.mark.usefixtures("both_at_once")
@pytest.mark.parametrize("what", ["nothing", "an engine", "a node"])
def test_a_cluster_loses_nothing(
    ray, two_nodes, options, checkpoint, clips, tmp_path, contents, what, monkeypatch, gate
):
    both, second = two_nodes
    monkeypatch.setattr(cluster_module, "IN_FLIGHT", 3)
    here = ray.get_runtime_context().get_node_id()
    monkeypatch.setattr(cluster_module, "Remote", gate.engine(beside=here))
    add, first, lost = Summary.add, threading.Event(), []

    def note(self, *outcome):
        add(self, *outcome)
        first.set()

    def bury(self, number, bury=cluster_module._Dispatch._bury):
        lost.append(self._schedule.holds(number))
        bury(self, number)

    monkeypatch.setattr(Summary, "add", note)
    monkeypatch.setattr(cluster_module._Dispatch, "_bury", bury)
    folder, out = clips(12, frames=90), tmp_path / "out"

    def strike():
        """When one engine has filled a file, and the other has some and waits."""
        process = gate.wait()
        first.wait()
        if what == "an engine":
            os.kill(process, signal.SIGKILL)
        elif what == "a node":
            both.remove_node(second, allow_graceful=False)
        gate.let_pass()

    threading.Thread(target=strike, daemon=True).start()
    with deadline(LONG, f"filling 12 files while {what} dies"):
        summary = run_module.run([folder], out, options, checkpoint, engine="ray", workers=1)
    assert lost == ([] if what == "nothing" else [True])
    assert not summary.failures and summary.filled == 12
    alone = undisturbed(folder, options, checkpoint, tmp_path / "alone", contents)
    assert contents(out) == alone


KILLED = """
import asyncio, os, signal, sys
from posegan_jax import cli
from posegan_jax.batch import cluster
from posegan_jax.batch.run import Summary

class Endless(cluster.Remote):
    async def fill(self, job):
        if "clip7" in job.input:
            await asyncio.Event().wait()
        return await super().fill(job)

def add(self, *outcome, add=Summary.add):
    add(self, *outcome)
    if self.filled == 2:
        os.kill(os.getpid(), signal.SIGKILL)

cluster.Remote, Summary.add = Endless, add
cli.main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_driver_that_is_killed_goes_on(ray, options, checkpoint, clips, tmp_path, contents):
    folder, out = clips(12, frames=90), tmp_path / "out"
    arguments = ["batch", str(folder), "-o", str(out), "--quality", "fast", "--fps", "25",
                 "--checkpoint", checkpoint, "--workers", "1", "--engine", "ray"]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, cwd=Path(cli.__file__).parents[1], timeout=LONG, check=False,
        env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0"},
    )
    assert done.returncode == -signal.SIGKILL
    assert 2 <= len(contents(out)) < 12  # its engines may have gone on for a moment
    with deadline(LONG, "going on after the driver was killed"):
        assert cli.main(arguments) == 0
    assert contents(out) == undisturbed(
        folder, options, checkpoint, tmp_path / "alone", contents
    )
