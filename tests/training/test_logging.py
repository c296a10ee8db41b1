"""Metrics as JSON lines: what is written, cut at a resume, and survives a kill."""

import json
import math
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.training import logging as metrics_log


def steps(path):
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_a_line_is_plain_json_and_on_disk_at_once(tmp_path):
    path = tmp_path / "run" / "metrics.jsonl"
    with metrics_log.MetricWriter(path) as writer:
        writer.write(jnp.int32(3), {"loss/gen": jnp.float32(0.5), "n": np.array([7])})
        (line,) = path.read_text().splitlines()  # before the file is closed
    entry = json.loads(line)
    assert entry["step"] == 3 and entry["loss/gen"] == 0.5 and entry["n"] == 7
    assert entry["time"] > 1.6e9


def test_values_that_are_not_finite_stay_valid_json(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with metrics_log.MetricWriter(path) as writer:
        writer.write(1, {"loss": float("nan"), "other": np.inf})

    def no_constant(name):
        raise AssertionError(f"{name} is not JSON")

    entry = json.loads(path.read_text(), parse_constant=no_constant)
    assert entry["loss"] is None and entry["other"] is None
    (back,) = metrics_log.read(path)
    assert math.isnan(back["loss"])


def test_what_is_no_scalar_or_takes_a_reserved_name_is_refused(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with metrics_log.MetricWriter(path) as writer:
        with pytest.raises(ValueError):
            writer.write(1, {"loss": np.zeros(2)})
        with pytest.raises(ValueError, match="step"):
            writer.write(1, {"step": 2})
    assert path.read_text() == ""


def test_cut_keeps_the_restored_step_and_what_came_before(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with metrics_log.MetricWriter(path) as writer:
        for step in (10, 20, 30, 40):
            writer.write(step, {"loss": step / 100})
    before = path.read_text().splitlines()
    assert metrics_log.cut(path, 20) == 2
    assert path.read_text().splitlines() == before[:2]
    assert list(tmp_path.iterdir()) == [path]


def test_cut_drops_a_half_written_last_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.4}\n{"step": 2, "lo')
    assert metrics_log.cut(path, 2) == 1
    assert steps(path) == [1, 2]
    assert metrics_log.cut(path, 2) == 0
    assert metrics_log.cut(tmp_path / "absent.jsonl", 2) == 0
    assert not (tmp_path / "absent.jsonl").exists()


def test_cut_ends_the_last_line_so_that_the_next_one_starts_afresh(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 0.5}')  # complete but for its end
    assert metrics_log.cut(path, 5) == 0
    with metrics_log.MetricWriter(path) as writer:
        writer.write(6, {"loss": 0.1})
    assert steps(path) == [1, 6]


def test_a_failed_cut_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n')

    def full_disk(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full_disk)
    with pytest.raises(OSError, match="no space"):
        metrics_log.cut(path, 1)
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_on_a_killed_run_s_file_does_not_glue_lines_together(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "lo')
    with metrics_log.MetricWriter(path) as writer:
        writer.write(2, {"loss": 0.1})
    assert steps(path) == [1, 2]


def test_a_resumed_writer_cuts_by_itself(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n')
    with metrics_log.MetricWriter(path, resumed_at=1) as writer:
        writer.write(2, {"loss": 0.1})
    assert steps(path) == [1, 2]
    assert "loss" in metrics_log.read(path)[1]


def test_no_path_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with metrics_log.MetricWriter(None, tensorboard=tmp_path / "board") as writer:
        writer.write(1, {"loss": 0.1})
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_gets_the_same_values(tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto import event_pb2

    for resumed_at, step in ((None, 10), (5, 6)):
        with metrics_log.MetricWriter(
            tmp_path / "metrics.jsonl", tensorboard=tmp_path / "board", resumed_at=resumed_at
        ) as writer:
            writer.write(step, {"loss": 0.25})
    events = [
        event_pb2.Event.FromString(record)
        for file in (tmp_path / "board").iterdir()
        for record in tfrecords(file.read_bytes())
    ]
    scalars = {(e.step, v.tag, v.simple_value) for e in events for v in e.summary.value}
    assert scalars == {(10, "loss", 0.25), (6, "loss", 0.25)}
    starts = [e.step for e in events if e.HasField("session_log")]
    assert starts == [6]  # TensorBoard hides what came from step 6 on before this start


def tfrecords(data):
    """Splits TFRecord bytes: length (8 bytes), its checksum (4), the record, its checksum (4)."""
    while data:
        length = int.from_bytes(data[:8], "little")
        yield data[12 : 12 + length]
        data = data[16 + length :]


def test_tensorboard_without_tensorboardx_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(InputError, match=r"pip install 'posegan_jax\[tensorboard\]'"):
        metrics_log.MetricWriter(tmp_path / "metrics.jsonl", tensorboard=tmp_path / "board")
