"""Who gets which file, and what becomes of files whose worker dies, whatever happens when."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from posegan_jax.batch.schedule import STARTS, Assign, Fail, GiveUp, Schedule, Start


def actions(schedule, room=True):
    """All that is to be done."""
    return list(iter(lambda: schedule.next(room), None))


def started(workers=1, limit=2, isolate=True, files=()):
    """A schedule whose workers are ready, with files."""
    schedule = Schedule(workers, limit, isolate)
    assert actions(schedule) == [Start(number) for number in range(workers)]
    for number in range(workers):
        schedule.ready(number)
    for file in files:
        schedule.add(file)
    return schedule


# --- who gets what --------------------------------------------------------------------------------


def test_files_go_to_the_least_busy_in_their_order():
    schedule = started(workers=2, files="abcdef")
    assert actions(schedule) == [Assign("a", 0), Assign("b", 1), Assign("c", 0), Assign("d", 1)]
    schedule.finished("d")
    assert actions(schedule) == [Assign("e", 1)]
    assert not schedule.done and schedule.unfinished == ["f", "a", "b", "c", "e"]
    for file in "abce":
        schedule.finished(file)
    assert actions(schedule) == [Assign("f", 0)]
    schedule.finished("f")
    assert schedule.done and not actions(schedule)


def test_nobody_gets_a_file_before_it_is_ready():
    schedule = Schedule(2, limit=2, isolate=True)
    schedule.add("a")
    assert actions(schedule) == [Start(0), Start(1)] and not schedule.any_ready
    schedule.ready(1)
    assert actions(schedule) == [Assign("a", 1)] and schedule.any_ready
    assert schedule.holds(1) and not schedule.holds(0)


def test_workers_that_are_ready_later_find_their_share():
    schedule = Schedule(3, limit=9, isolate=False)
    actions(schedule)
    schedule.ready(0)
    for file in range(7):
        schedule.add(file)
    assert actions(schedule) == [Assign(file, 0) for file in range(3)]  # a third of 7
    schedule.ready(2)
    assert actions(schedule) == [Assign(file, 2) for file in range(3, 6)]
    schedule.ready(1)
    assert actions(schedule) == [Assign(6, 1)]


def test_files_that_rest_leave_room_for_others():
    schedule = started(limit=1, files="abc")
    assert actions(schedule) == [Assign("a", 0)] and schedule.busy
    schedule.rested("a")
    assert not schedule.busy and schedule.holds(0)
    assert actions(schedule) == [Assign("b", 0)]
    schedule.resumed("a")  # more than the limit, since it was there before
    schedule.finished("b")
    assert not actions(schedule)
    schedule.finished("a")
    assert actions(schedule) == [Assign("c", 0)]


def test_of_two_that_work_on_as_many_the_one_that_holds_fewer_gets_a_file():
    schedule = started(workers=2, limit=1, files="abcd")
    assert actions(schedule) == [Assign("a", 0), Assign("b", 1)]
    schedule.rested("a")
    schedule.finished("b")
    assert actions(schedule)[0] == Assign("c", 1)


def test_no_file_is_given_out_where_there_is_no_room():
    schedule = Schedule(1, limit=2, isolate=True)
    schedule.add("a")
    assert actions(schedule, room=False) == [Start(0)]
    schedule.ready(0)
    assert not actions(schedule, room=False)
    assert actions(schedule) == [Assign("a", 0)]


def test_nothing_is_begun_after_the_end():
    schedule = started(files="abcd")
    actions(schedule)
    schedule.close()
    schedule.finished("a")
    schedule.died(0)
    assert not actions(schedule) and schedule.closed
    assert sorted(schedule.unfinished) == ["b", "c", "d"]


# --- workers that die -----------------------------------------------------------------------------


@pytest.mark.parametrize("isolate", [False, True])
def test_files_of_a_worker_that_dies_are_tried_again_one_by_one_after_all_others(isolate):
    schedule = started(files="abc", isolate=isolate)
    assert actions(schedule) == [Assign("a", 0), Assign("b", 0)]
    schedule.died(0)
    assert actions(schedule) == [Start(0)]
    schedule.ready(0)
    for file in "cab":
        assert actions(schedule) == [Assign(file, 0)]
        schedule.finished(file)
    assert schedule.done


def test_a_file_that_ends_its_worker_alone_is_given_up():
    schedule = started(files="ab")
    actions(schedule)
    schedule.died(0)
    actions(schedule)
    schedule.ready(0)
    assert actions(schedule) == [Assign("a", 0)]
    schedule.died(0)
    assert actions(schedule) == [GiveUp("a"), Start(0)]
    schedule.ready(0)
    assert actions(schedule) == [Assign("b", 0)]
    schedule.finished("b")
    assert schedule.done


def test_a_suspect_is_alone_of_all_where_that_is_asked_for():
    schedule = started(workers=2, limit=1, files="ab")
    assert actions(schedule) == [Assign("a", 0), Assign("b", 1)]
    schedule.died(0)
    assert actions(schedule) == [Start(0)]
    schedule.ready(0)
    assert not actions(schedule)  # b is still in work
    schedule.finished("b")
    assert actions(schedule) == [Assign("a", 0)]
    schedule.add("c")
    assert not actions(schedule)  # while a is in work
    schedule.finished("a")
    assert actions(schedule) == [Assign("c", 0)]


def test_or_else_the_others_go_on():
    schedule = started(workers=2, limit=2, isolate=False, files="ab")
    assert actions(schedule) == [Assign("a", 0), Assign("b", 1)]
    schedule.died(0)
    assert actions(schedule) == [Start(0)]
    schedule.ready(0)
    assert actions(schedule) == [Assign("a", 0)]
    for file in "cd":
        schedule.add(file)
    assert actions(schedule) == [Assign("c", 1)]  # and none beside a
    schedule.finished("a")
    assert actions(schedule) == [Assign("d", 0)]


def test_no_file_is_to_blame_for_a_worker_that_dies_while_it_starts():
    schedule = Schedule(1, limit=2, isolate=True)
    schedule.add("a")
    for _ in range(STARTS - 1):
        assert actions(schedule) == [Start(0)]
        schedule.died(0)
    assert actions(schedule) == [Start(0)]
    schedule.ready(0)
    schedule.add("b")
    assert actions(schedule) == [Assign("a", 0), Assign("b", 0)]  # neither is alone


def test_a_place_where_no_worker_starts_ends_everything():
    schedule = started(workers=2, limit=1, files="abc")
    actions(schedule)
    schedule.died(1)  # this one had been ready
    for _ in range(STARTS):
        assert actions(schedule) == [Start(1)]
        schedule.died(1)
    assert actions(schedule) == [Fail()]
    assert schedule.closed and sorted(schedule.unfinished) == ["a", "b", "c"]
    assert not actions(schedule)


def test_a_start_that_succeeds_is_the_end_of_a_row():
    schedule = Schedule(1, limit=1, isolate=True)
    for _ in range(3):
        for _ in range(STARTS - 1):
            assert actions(schedule) == [Start(0)]
            schedule.died(0)
        assert actions(schedule) == [Start(0)]
        schedule.ready(0)
        schedule.died(0)
    assert actions(schedule) == [Start(0)]


# --- whatever happens when ------------------------------------------------------------------------


class Workers(RuleBasedStateMachine):
    """Workers that do what they are told, die at any moment, and are followed file by file."""

    @initialize(
        workers=st.integers(1, 4), limit=st.integers(1, 3), isolate=st.booleans(),
        files=st.integers(0, 9),
    )
    def begin(self, workers, limit, isolate, files):
        self.schedule = Schedule(workers, limit, isolate)
        self.workers, self.limit, self.isolate = workers, limit, isolate
        self.starting, self.up = set(), set()
        self.deaths_at_start = dict.fromkeys(range(workers), 0)
        self.at = {}  # file -> its worker
        self.resting = set()
        self.blamed, self.ended, self.waiting = set(), [], set()
        self.count, self.failed = 0, False
        for _ in range(files):
            self.add()

    @rule()
    def add(self):
        self.schedule.add(self.count)
        self.waiting.add(self.count)
        self.count += 1

    @rule(room=st.booleans())
    def act(self, room):
        while (action := self.schedule.next(room)) is not None:
            assert not self.failed
            match action:
                case Start(worker):
                    assert worker not in self.starting | self.up
                    self.starting.add(worker)
                case Assign(file, worker):
                    assert room and worker in self.up
                    self.waiting.remove(file)
                    self.check_assignment(file, worker)
                    self.at[file] = worker
                case GiveUp(file):
                    assert file in self.blamed
                    self.waiting.remove(file)
                    self.ended.append(file)
                case Fail():
                    assert STARTS in self.deaths_at_start.values()
                    self.failed = True

    def check_assignment(self, file, worker):
        beside = {other for other, place in self.at.items() if place == worker}
        assert len(beside - self.resting) < self.limit
        if file in self.blamed:
            assert not beside and not (self.isolate and self.at)
        assert not (set(self.at) if self.isolate else beside) & self.blamed

    @precondition(lambda self: self.starting)
    @rule(data=st.data())
    def ready(self, data):
        worker = data.draw(st.sampled_from(sorted(self.starting)))
        self.starting.remove(worker)
        self.up.add(worker)
        self.deaths_at_start[worker] = 0
        self.schedule.ready(worker)

    @precondition(lambda self: self.starting | self.up)
    @rule(data=st.data())
    def die(self, data):
        worker = data.draw(st.sampled_from(sorted(self.starting | self.up)))
        self.schedule.died(worker)
        if worker in self.starting:
            self.deaths_at_start[worker] += 1
        self.starting.discard(worker)
        self.up.discard(worker)
        for file in [file for file, place in self.at.items() if place == worker]:
            del self.at[file]
            self.resting.discard(file)
            self.waiting.add(file)
            self.blamed.add(file)

    @precondition(lambda self: self.at)
    @rule(data=st.data(), what=st.sampled_from(["finish", "rest", "resume"]))
    def work(self, data, what):
        file = data.draw(st.sampled_from(sorted(self.at)))
        if what == "finish":
            self.finish(file)
        elif what == "rest" and file not in self.resting:
            self.resting.add(file)
            self.schedule.rested(file)
        elif what == "resume" and file in self.resting:
            self.resting.remove(file)
            self.schedule.resumed(file)

    def finish(self, file):
        del self.at[file]
        self.resting.discard(file)
        self.ended.append(file)
        self.schedule.finished(file)

    @invariant()
    def every_file_is_somewhere(self):
        if not hasattr(self, "schedule"):
            return
        assert sorted([*self.waiting, *self.at]) == sorted(self.schedule.unfinished)
        assert len(self.ended) == len(set(self.ended))
        assert len(self.ended) + len(self.waiting) + len(self.at) == self.count
        assert self.schedule.done == (len(self.ended) == self.count)
        assert self.schedule.busy == bool(self.at.keys() - self.resting)

    def teardown(self):
        """Once no worker dies any more, all files end."""
        if not hasattr(self, "schedule"):
            return
        for _ in range(3 * self.count + 3):
            self.act(room=True)
            for worker in sorted(self.starting):
                self.schedule.ready(worker)
            self.up |= self.starting
            self.starting.clear()
            for file in sorted(self.at)[:1]:  # whichever is done first
                self.finish(file)
        assert self.failed or sorted(self.ended) == list(range(self.count))


def test_every_file_ends_once_and_suspects_are_alone_whatever_happens():
    run_state_machine_as_test(
        Workers, settings=settings(max_examples=300, stateful_step_count=60, deadline=None)
    )
