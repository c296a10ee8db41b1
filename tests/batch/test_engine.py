"""Files in, files out, with the windows of all of them in common batches."""

import dataclasses
import os
import signal
import threading
import time
from concurrent.futures import BrokenExecutor, Future, wait

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.batch import engine as engine_module
from posegan_jax.batch.engine import Engine
from posegan_jax.batch.hosts import Host
from posegan_jax.batch.manifest import Job
from posegan_jax.batch.schedule import STARTS, Schedule
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence

LONG = 600
"""Seconds after which nobody waits any more for what should have happened."""


@pytest.fixture
def jobs(tmp_path, people):
    """Six files: of one person and of three, of different lengths, one with an empty track."""
    given, made = tmp_path / "in", tmp_path / "out"
    given.mkdir()
    lost = people(9).replace(keypoints=np.full((40, 12, 2), np.nan), scores=None, person=3)
    files = {
        "one": [people(0)], "short": [people(1, 9)], "long": [people(2, 120)],
        "three": [people(3), people(4, 60, person=2), people(5, 20, person=3)],
        "lost": [people(6), lost], "more": [people(7, 50)],
    }
    for name, sequences in files.items():
        formats.write(sequences, given / f"{name}.npz")
    return [Job(str(given / f"{name}.npz"), str(made / f"{name}.npz")) for name in files]


def fill(inpainter, options, jobs, workers=0):
    with Engine(inpainter, options, workers) as engine:
        futures = [engine.submit(job) for job in jobs]
        return [future.result(timeout=LONG) for future in futures]


def one_by_one(inpainter, options, jobs, folder):
    """The same without an engine."""
    folder.mkdir()
    for job in jobs:
        file = formats.read(job.input)
        whole = [
            inpainter(person, settings=options.settings) if inpainter.can_complete(person)
            else person for person in file
        ]
        formats.write(file.replace(whole), folder / os.path.basename(job.output))


def test_every_file_is_as_if_it_was_alone(inpainter, options, jobs, tmp_path, contents):
    outcomes = fill(inpainter, options, jobs)
    one_by_one(inpainter, options, jobs, tmp_path / "alone")
    assert [outcome.job for outcome in outcomes] == jobs
    assert not any(outcome.error for outcome in outcomes)
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")
    assert np.isfinite(formats.read(jobs[2].output)[0].keypoints).all()
    assert [outcome.people for outcome in outcomes] == [1, 1, 1, 3, 2, 1]
    assert [outcome.left for outcome in outcomes] == [0, 0, 0, 0, 1, 0]
    assert outcomes[3].frames == 120 and sum(outcomes[3].joints.values()) == 120 * 12


def test_batches_are_full(inpainter, options, jobs, monkeypatch):
    sizes = []
    start = inpainter.solver.start

    def spy(x, mask, options):
        sizes.append(len(x))
        return start(x, mask, options)

    monkeypatch.setattr(inpainter.solver, "start", spy)
    fill(inpainter, options, jobs)
    sizes = sizes[1:]  # the first one compiles
    assert sum(sizes) > 8 * inpainter.batch
    # All but some at the end, when nothing else is left.
    assert sum(sizes) / len(sizes) > 0.75 * inpainter.batch


def test_a_bad_file_does_not_stop_the_others(inpainter, options, jobs, tmp_path):
    (tmp_path / "in" / "one.npz").write_bytes(b"no clip")
    quick = formats.read(jobs[1].input)[0].replace(fps=1000.0)
    formats.write([quick], jobs[1].input)
    outcomes = fill(inpainter, options.__class__(**{**vars(options), "fps": None}), jobs)
    assert [outcome.error is None for outcome in outcomes] == [False, False, True, True, True, True]
    assert jobs[0].input in outcomes[0].error and "fps must be above 0" in outcomes[1].error
    assert sorted(os.listdir(tmp_path / "out")) == ["long.npz", "lost.npz", "more.npz", "three.npz"]


def test_a_flaw_of_ours_is_one_files_failure(inpainter, options, jobs, monkeypatch):
    def fail(self, **changes):
        raise ZeroDivisionError("no size")

    monkeypatch.setattr(PoseSequence, "replace", fail)
    outcomes = fill(inpainter, options, jobs[:1])
    assert outcomes[0].error == f"{jobs[0].input}: ZeroDivisionError: no size"


def test_shifts_beyond_a_window_are_refused(inpainter, options):
    with pytest.raises(InputError, match="shift must be between 1 and 16 frames, not 17"):
        Engine(inpainter, dataclasses.replace(options, shift=17), workers=0)


class Endless(Host):
    """Begins files, and does not go on with them."""

    def submit(self, method, *arguments):
        return super().submit(method, *arguments) if method == "begin" else Future()


def test_what_is_in_flight_is_dropped_at_the_end(inpainter, options, jobs, monkeypatch):
    monkeypatch.setattr(engine_module, "Host", Endless)
    with Engine(inpainter, options, workers=0) as engine:
        futures = [engine.submit(job) for job in jobs]
    assert all(future.cancelled() for future in futures)
    with pytest.raises(RuntimeError, match="closed"):
        engine.submit(jobs[0])


def test_a_promise_may_be_cancelled(inpainter, options, jobs):
    with Engine(inpainter, options, workers=0) as engine:
        with engine._changed:  # the first file is in work, and cannot end meanwhile
            assert engine._changed.wait_for(lambda: engine._schedule.any_ready, timeout=LONG)
            futures = [engine.submit(job) for job in jobs]
            assert engine._tries
            assert futures[0].cancel() and futures[-1].cancel()
        assert not wait(futures, timeout=LONG).not_done
    assert [future.result().error for future in futures[1:-1]] == [None] * 4
    assert not os.path.exists(jobs[-1].output)


def test_who_waits_for_what_is_dropped_is_told(inpainter, options, jobs):
    with Engine(inpainter, options, workers=0) as engine:
        futures = [engine.submit(job) for job in jobs]
    assert not wait(futures, timeout=0).not_done


def test_the_devices_failure_reaches_who_waits(inpainter, options, jobs, monkeypatch):
    def start(*arguments):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(inpainter.solver, "start", start)
    with pytest.raises(RuntimeError, match="out of memory"):
        fill(inpainter, options, jobs)


def test_a_flaw_of_ours_that_no_file_has_reaches_who_waits(
    inpainter, options, jobs, monkeypatch
):
    def fail(self, file):
        raise KeyError("no such file")

    monkeypatch.setattr(Schedule, "rested", fail)
    with pytest.raises(KeyError, match="no such file"):
        fill(inpainter, options, jobs)


def test_usage_counts_from_the_start(inpainter, options, jobs):
    begun = time.perf_counter()
    with Engine(inpainter, options, workers=0) as engine:
        assert engine.usage().busy == engine.usage().wall == 0
        for future in [engine.submit(job) for job in jobs]:
            future.result(timeout=LONG)
        taken = time.perf_counter() - begun
        assert 0 < engine.usage().busy <= engine.usage().wall <= taken


# --- workers that die -----------------------------------------------------------------------------


class Mortal(Host):
    """Dies of files whose names begin with a word."""

    deadly = "no file"

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.ready.result()
        self.dead = False

    def submit(self, method, *arguments):
        job = arguments[1] if method == "begin" else None
        if self.dead or job and os.path.basename(job.input).startswith(self.deadly):
            self.dead = True
            future = Future()
            future.set_exception(BrokenExecutor())
            return future
        return super().submit(method, *arguments)


def test_a_file_that_kills_its_worker_is_told_from_the_others(
    inpainter, options, jobs, tmp_path, contents, monkeypatch
):
    monkeypatch.setattr(engine_module, "Host", Mortal)
    monkeypatch.setattr(Mortal, "deadly", "three")
    outcomes = fill(inpainter, options, jobs)
    assert [bool(outcome.error) for outcome in outcomes] == [False] * 3 + [True] + [False] * 2
    assert "its worker died twice" in outcomes[3].error
    monkeypatch.undo()
    one_by_one(inpainter, options, jobs, tmp_path / "alone")
    alone = contents(tmp_path / "alone")
    del alone["three.npz"]
    assert contents(tmp_path / "out") == alone


def test_a_worker_that_is_killed_loses_nothing(inpainter, options, jobs, tmp_path, contents):
    with Engine(inpainter, options, workers=1) as engine:
        begun = threading.Event()
        engine.submit(jobs[0]).add_done_callback(lambda future: begun.set())
        futures = [engine.submit(job) for job in jobs[1:]]
        assert begun.wait(timeout=LONG)
        for process in list(engine._hosts[0]._executor._processes.values()):
            os.kill(process.pid, signal.SIGKILL)
        assert not any(future.result(timeout=LONG).error for future in futures)
    one_by_one(inpainter, options, jobs, tmp_path / "alone")
    # A process has one thread for its linear algebra, which rounds in another way than many.
    made, alone = tmp_path / "out", tmp_path / "alone"
    assert contents(made).keys() == contents(alone).keys()
    for path in made.iterdir():
        for person, other in zip(formats.read(path), formats.read(alone / path.name), strict=True):
            np.testing.assert_allclose(person.keypoints, other.keypoints, atol=1e-6)


class Stillborn(Host):
    """Dies before it is ready, as often as is said."""

    left, made = 0, 0

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        type(self).made += 1
        self.ready.result()
        if self.left:
            type(self).left -= 1
            self.ready = broken()


def broken():
    future = Future()
    future.set_exception(BrokenExecutor())
    return future


@pytest.fixture
def stillborn(monkeypatch):
    """So many workers that die while they start: number -> the class."""

    def set_up(left):
        monkeypatch.setattr(engine_module, "Host", Stillborn)
        monkeypatch.setattr(Stillborn, "left", left)
        monkeypatch.setattr(Stillborn, "made", 0)
        return Stillborn

    return set_up


def test_workers_that_never_start_are_given_up(inpainter, options, jobs, stillborn):
    hosts = stillborn(99)
    with Engine(inpainter, options, workers=0) as engine:
        futures = [engine.submit(job) for job in jobs]
        for future in futures:
            with pytest.raises(InputError, match=r"^3 workers in a row died while they started; "):
                future.result(timeout=LONG)
        assert hosts.made == STARTS == 3


def test_no_file_is_to_blame_for_a_worker_that_does_not_start(
    inpainter, options, jobs, stillborn
):
    hosts = stillborn(STARTS - 1)
    assert not any(outcome.error for outcome in fill(inpainter, options, jobs))
    assert hosts.made == STARTS


class Gone:
    """A worker of whose death one hears when it is given something, or before it is ready."""

    def __init__(self, started):
        self.ready, self.asked = broken(), 0
        if started:
            self.ready = Future()
            self.ready.set_result(None)

    def submit(self, *arguments):
        self.asked += 1
        assert self.asked <= 9, "a dead worker is asked again and again"
        raise BrokenExecutor()

    def close(self):
        pass


def test_workers_that_are_found_dead_before_they_started(inpainter, options, jobs, monkeypatch):
    monkeypatch.setattr(engine_module, "Host", lambda *arguments, **more: Gone(started=False))
    with Engine(inpainter, options, workers=1) as engine:
        for job in jobs[:2]:
            with pytest.raises(InputError, match="^3 workers in a row died while they started; "):
                engine.submit(job).result(timeout=LONG)
        assert not engine._hosts[0].asked


def test_a_worker_that_is_found_dead_where_no_other_can_be_started(
    inpainter, options, jobs, monkeypatch
):
    workers = [Gone(started=True)]

    def make(*arguments, **more):
        if not workers:
            raise OSError(12, "Cannot allocate memory")
        return workers.pop()

    monkeypatch.setattr(engine_module, "Host", make)
    with Engine(inpainter, options, workers=1) as engine:
        for job in jobs[:2]:
            with pytest.raises(InputError, match="^cannot start a worker: Cannot allocate memory;"):
                engine.submit(job).result(timeout=LONG)


class Guarded(Host):
    """Dies under a lock that giving it something takes, too, as Python's own pools may."""

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.lock, self.task = threading.Lock(), Future()
        self.asked, self.locked, self.end = (threading.Event() for _ in range(3))

    def submit(self, method, *arguments):
        if not self.asked.is_set():
            self.asked.set()
            return self.task
        with self.lock:
            raise BrokenExecutor()

    def die(self):
        with self.lock:
            self.locked.set()
            self.end.wait()
            self.task.set_exception(BrokenExecutor())


def test_a_worker_that_dies_while_it_is_given_something(inpainter, options, jobs, monkeypatch):
    hosts = []

    def make(*arguments, **more):
        hosts.append((Host if hosts else Guarded)(*arguments, **more))
        return hosts[-1]

    monkeypatch.setattr(engine_module, "Host", make)
    with Engine(inpainter, options, workers=0) as engine:
        futures = [engine.submit(jobs[0])]
        assert hosts[0].asked.wait(timeout=LONG)
        dying = threading.Thread(target=hosts[0].die, daemon=True)
        dying.start()
        assert hosts[0].locked.wait(timeout=LONG)
        with engine._changed:
            hosts[0].end.set()
            futures += [engine.submit(job) for job in jobs[1:]]
        assert not any(future.result(timeout=LONG).error for future in futures)
        dying.join()


def test_a_machine_without_room_for_workers(inpainter, options, monkeypatch):
    def refuse(*arguments, **more):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(engine_module, "Host", refuse)
    with pytest.raises(InputError, match="cannot start a worker: Resource temp.*; try fewer"):
        Engine(inpainter, options, workers=2)
