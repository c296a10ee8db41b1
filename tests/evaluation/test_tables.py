"""Tables and pictures of made-up results."""

import csv
import dataclasses
import json
import re

import numpy as np
import pytest
from PIL import Image

from posegan_jax.errors import InputError
from posegan_jax.evaluation import tables
from posegan_jax.evaluation.benchmark import Benchmark, Result
from posegan_jax.evaluation.plausibility import MEASURES
from posegan_jax.evaluation.scores import (
    ALPHAS,
    CURVE_METRICS,
    GROUPS_12,
    GROUPS_16,
    METRICS,
    PARTS,
    Scores,
)

TOTALS = ("Total-12J", "Total-28J")


def scores(level, upsamples=True):
    def values(names, there=True):
        return {name: level + 0.001 * i if there else None for i, name in enumerate(names)}

    groups = {name: values(CURVE_METRICS) for name in (*GROUPS_12, *GROUPS_16)}
    groups |= {name: values(METRICS) for name in TOTALS}
    groups |= {name: values(METRICS, name == "observed" or upsamples and name == "upsampled")
               for name in PARTS}
    each = {"error": [[level, 1], [3 * level, 1]], "auc": [[level, 2], [level, 2]],
            "pckh@0.5": [[level, 4], [level, 4]]}
    none = dict.fromkeys(each, [[0.0, 0]] * 2)
    clips = {part: each if groups[part]["error"] is not None else none for part in PARTS}
    measures = dict.fromkeys(MEASURES, level) | {"mmd2": None}
    return Scores(groups, {name: (level * ALPHAS).tolist() for name in TOTALS}, clips, measures)


@pytest.fixture
def benchmark():
    setup = {"motion": "cmu.npz", "split": "validation", "unit": "clips", "clips": 3,
             "frames": 300, "subjects": ["1", "2"], "seed": 7, "head": "neck", "weights": "CMU"}
    results = [
        Result(protocol, method, scores(level, method != "input"))
        for protocol in ("clean", "noise")
        for method, level in (("input", 0.1), ("linear", 0.2), ("M-s1", 0.3))
    ]
    texts = {"clean": "all there", "noise": "a detector's errors"}
    real = {protocol: dict.fromkeys(MEASURES, 0.05) | {"mmd2": None} for protocol in texts}
    return Benchmark(setup, texts, ("one file is missing",), tuple(results), real)


def rows(text, title):
    """Cells of the first table after a title."""
    lines = text[text.index(title):].splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    table = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def test_tables_2_and_3_have_the_columns_of_the_thesis(benchmark):
    text = tables.markdown(benchmark)
    table = rows(text, "Table 2 (b): PCKh@0.5")
    assert table[0] == ["Method", "Ankles", "Knees", "Hips", "Shoulders", "Elbows", "Wrists",
                        "Total-12J"]
    assert [row[0] for row in table[2:]] == ["input", "linear", "M-s1"]
    assert table[4][1:] == ["0.301"] * 7
    table = rows(text, "Table 3 (d): AUC")
    assert table[0] == ["Method", "Toes", "Feet", "Spine", "Head", "Clavicles", "Hands",
                        "Total-28J"]
    assert [row[0] for row in table[2:]] == ["linear", "M-s1"]  # the input upsamples nothing
    for number in (2, 3):
        for letter in "abcd":
            assert text.count(f"Table {number} ({letter})") == 2  # protocols


def test_what_was_observed_and_what_was_not_stand_apart(benchmark):
    table = rows(tables.markdown(benchmark), "## noise")
    assert len(table[0]) == 1 + 2 * len(METRICS)  # nothing was missing: no columns for it
    assert table[2][:2] == ["input", "0.100"] and table[2][-1] == "-"
    assert all(len(row) == len(table[0]) for row in table)


def test_real_motion_stands_beside_the_plausibility_of_methods(benchmark):
    table = rows(tables.markdown(benchmark), "Plausibility:")
    assert [row[0] for row in table[2:]] == ["real motion", "linear", "M-s1"]
    assert table[2][1] == "0.050" and table[4][1] == "0.300"
    assert "MMD\u00b2 to real" not in table[0]  # nobody has one


def test_differences_stand_with_their_intervals(benchmark):
    text = tables.markdown(benchmark)
    table = rows(text, "M-s1, upsampled joints")
    assert [row[0] for row in table[2:]] == ["clean", "noise"]
    # The errors of both clips are 0.2 and 0.6, and 0.3 and 0.9.
    assert table[2][1:5] == ["-", "-", "linear", "+0.200 [+0.100, +0.300]"]
    assert rows(text, "M-s1, missing joints")[2:] == []  # nothing is missing
    without = tuple(r for r in benchmark.results if r.method != "linear")
    alone = Benchmark(benchmark.setup, benchmark.texts, (), without, benchmark.real)
    assert "## Differences" not in tables.markdown(alone)


def test_errors_by_kind_of_motion(benchmark):
    of_clips = {"clean": ("walk", "squat"), "noise": ("walk", "squat")}
    kinds = dataclasses.replace(benchmark, kinds=of_clips)
    table = rows(tables.markdown(kinds), "## By kind of motion")
    assert table[0] == ["kind", "clips", "clean, upsampled (linear)"]  # noise is no column
    # The errors of both clips are 0.3 and 0.9, the baseline's 0.2 and 0.6.
    assert table[2:] == [["squat", "1", "0.900 (0.600)"], ["walk", "1", "0.300 (0.200)"]]
    assert rows(tables.kinds_table(kinds, "linear"), "")[3][2] == "0.200 (0.200)"
    for other in (("walk", "walk"), ()):
        alone = dataclasses.replace(benchmark, kinds=dict.fromkeys(of_clips, other))
        assert tables.kinds_table(alone) == "" and "By kind" not in tables.markdown(alone)
    assert tables.kinds_table(kinds, "magic") == ""
    many = tuple(f"kind {i}" for i in range(tables.MOST_KINDS + 1))
    assert tables.kinds_table(dataclasses.replace(benchmark, kinds={"clean": many})) == ""


def test_where_a_baseline_is_ahead(benchmark):
    table = rows(tables.ahead_table(benchmark, ["M-s1"], ["linear"]), "")
    assert table[0] == ["", "M-s1 .5", "M-s1 AUC", "M-s1 error"]
    assert table[2] == ["clean, upsampled", "", "", "linear 0.204 (0.304): -0.200 [-0.300, -0.100]"]
    assert len(table) == 4
    table = rows(tables.ahead_table(benchmark, ["linear"], ["M-s1"]), "")
    assert table[2] == ["clean, upsampled", "M-s1 0.301 (0.201): +0.025 [+0.025, +0.025]",
                        "M-s1 0.303 (0.203): +0.050 [+0.050, +0.050]", ""]
    assert tables.ahead_table(benchmark, ["M-s1"], ["M-s1"]) == "In none."


def test_the_heading_says_what_was_evaluated(benchmark):
    text = tables.markdown(benchmark)
    for part in ("3 clips of cmu.npz", "2 subjects", "300 frames", "seed 7", "CMU",
                 "one file is missing", "## clean", "A detector's errors."):
        assert part in text, part


def test_columns_stand_below_each_other(benchmark):
    for block in re.findall(r"(?:^\|.*\n?)+", tables.markdown(benchmark), re.M):
        assert len({len(line) for line in block.splitlines()}) == 1


def test_everything_is_saved(benchmark, tmp_path):
    folder = tmp_path / "made" / "on the way"
    paths = tables.save(benchmark, folder)
    assert sorted(paths) == sorted(folder.iterdir())
    assert {p.name for p in paths} == {
        "tables.md", "scores.csv", "evaluation.json",
        *(f"{protocol}-{joints}J.png" for protocol in ("clean", "noise") for joints in (12, 28)),
    }
    for path in folder.glob("*.png"):
        assert Image.open(path).size[0] > 500
    with (folder / "scores.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 6 * (12 * len(CURVE_METRICS) + 5 * len(METRICS)) + 8 * len(MEASURES)
    found = {tuple(line.values())[:4]: line["value"] for line in lines}
    assert found["noise", "M-s1", "Total-12J", "auc"] == "0.303000"
    assert found["noise", "input", "missing", "error"] == ""
    assert found["noise", "truth", "plausibility", "bones"] == "0.050000"
    content = json.loads((folder / "evaluation.json").read_text())
    assert content["setup"] == benchmark.setup and content["notes"] == ["one file is missing"]
    last = content["results"][-1]
    assert (last["protocol"], last["method"]) == ("noise", "M-s1")
    assert last["values"] == benchmark.results[-1].scores.values
    np.testing.assert_allclose(last["curves"]["Total-28J"], 0.3 * ALPHAS, atol=1e-6)


def test_a_file_in_the_way(benchmark, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        tables.save(benchmark, tmp_path / "file")


def test_without_the_input_there_is_nothing_to_subtract(benchmark, tmp_path):
    results = tuple(r for r in benchmark.results if r.method != "input")
    alone = Benchmark(benchmark.setup, benchmark.texts, (), results, benchmark.real)
    tables.save(alone, tmp_path / "a")
    tables.save(benchmark, tmp_path / "b")
    widths = [Image.open(tmp_path / name / "clean-12J.png").size[0] for name in "ab"]
    assert widths[1] > 1.5 * widths[0]
