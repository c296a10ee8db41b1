"""Progress: whole lines in a log, a bar on a terminal."""

import io

from posegan_jax.runtime.progress import Progress


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_gets_whole_lines_spaced_in_time():
    stream, clock = io.StringIO(), Clock()
    with Progress(1000, stream=stream, seconds=30, clock=clock) as progress:
        for step in range(100, 1001, 100):
            progress.update(step, {"gen": step / 1000})
            clock.now += 12.0
    lines = stream.getvalue().splitlines()
    # every third update: 36 s apart; the last step is the tenth, so it is printed by itself
    assert [line.split()[1] for line in lines] == ["100/1000", "400/1000", "700/1000", "1000/1000"]
    assert "\r" not in stream.getvalue()
    assert lines[0] == "train 100/1000 (10%), gen 0.1"
    # 300 steps in 36 s since the first update; 600 to go at that rate
    assert lines[1] == "train 400/1000 (40%) 8.33 steps/s, 01:12 left, gen 0.4"


def test_the_end_is_told_once():
    stream, clock = io.StringIO(), Clock()
    progress = Progress(20, stream=stream, seconds=30, clock=clock)
    progress.update(10)
    clock.now += 5.0
    progress.update(20, {"dis": -0.5})
    progress.close()
    lines = stream.getvalue().splitlines()
    assert lines[1:] == ["train 20/20 (100%) 2 steps/s, 00:00 left, dis -0.5"]


def test_a_resumed_run_counts_its_rate_from_where_it_resumed():
    stream, clock = io.StringIO(), Clock()
    progress = Progress(10_000, initial=5000, stream=stream, seconds=10, clock=clock)
    progress.update(5010)
    clock.now += 10.0
    progress.update(5110)
    assert "train 5110/10000 (51%) 10 steps/s, 08:09 left" in stream.getvalue()


def test_a_terminal_gets_a_bar_with_the_losses():
    stream = Terminal()
    with Progress(10, initial=4, stream=stream) as progress:
        progress.update(10, {"gen": 0.25})
    shown = stream.getvalue().split("\r")[-1]
    assert "10/10" in shown and "gen 0.25" in shown and "100%" in shown


def test_other_hosts_show_nothing():
    for stream in (io.StringIO(), Terminal()):
        with Progress(10, stream=stream, show=False) as progress:
            progress.update(10, {"gen": 0.25})
        assert stream.getvalue() == ""
