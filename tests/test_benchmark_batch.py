"""The clips and figures of the benchmark of many files."""

import json
import os

import numpy as np
import pytest

from benchmarks import batch
from posegan_jax import formats

if not hasattr(os, "sched_setaffinity"):
    pytest.skip("needs Linux", allow_module_level=True)


def test_clips_are_as_long_as_is_asked_for(tmp_path):
    batch.write_clips(tmp_path, 2, 300)
    files = [formats.read(path) for path in sorted(tmp_path.iterdir())]
    clips = [person for file in files for person in file]
    assert [clip.skeleton for clip in clips] == ["coco17"] * 2
    for clip in clips:
        assert 250 < len(clip) <= 300
        assert 0.3 < np.isfinite(clip.keypoints[..., 0]).mean() < 0.7  # 12 of 17, with holes
    assert not np.array_equal(clips[0].keypoints[:100], clips[1].keypoints[:100])


def test_what_is_started_while_bound_stays_on_its_cores():
    before = os.sched_getaffinity(0)
    core = min(before)
    with batch.bound([core]):
        assert os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before


def test_the_table_compares_with_one_worker():
    run = {"workers": 1, "seconds": 20.0, "frames_per_second": 5.0, "devices_busy": 0.9,
           "frames_per_second_after_start": 10.0,
           "peak_memory_at_a_quarter": 400 << 20, "peak_memory": 420 << 20}
    two = run | {"workers": 2, "frames_per_second_after_start": 19.0}
    rows = [line.split("|")[1:-1] for line in batch.report([run, two]).splitlines()[2:]]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["1", "20.0", "5.0", "10.0", "1.00", "90%", "400", "420"],
        ["2", "20.0", "5.0", "19.0", "1.90", "90%", "400", "420"],
    ]


def test_more_workers_than_cores_are_refused(capsys):
    assert batch.main(["--workers", "0"]) == batch.main(["--workers", "1,9999"]) == 2
    assert capsys.readouterr().err.count("benchmarks.batch: --workers must be from 1 to ") == 2


@pytest.mark.slow
def test_figures_of_a_run(tmp_path, capsys):
    out = tmp_path / "batch.json"
    arguments = ["--clips", "2", "--frames", "30", "--workers", "1", "--engine", "local"]
    assert batch.main([*arguments, "-o", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("| 1 ")
    (run,) = json.loads(out.read_text())["runs"]
    assert 0 < run["devices_busy"] <= 1
    assert 0 < run["frames_per_second"] < run["frames_per_second_after_start"]
    assert 100 << 20 < run["peak_memory_at_a_quarter"] <= run["peak_memory"]
