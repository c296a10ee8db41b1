"""The tables of labelled video, from results that are made up."""

import pytest

from benchmarks import video
from posegan_jax.evaluation import labelled_tables as tables
from posegan_jax.evaluation.labelled import ASIS, DETECTIONS
from posegan_jax.evaluation.labelled_benchmark import RIDGE, LabelledBenchmark
from posegan_jax.evaluation.labelled_scores import ClipScore


def scored(error, count=10, lost=0, found=None, **changes):
    """A clip whose joints are all so far off; a fifth is guessed, the others are visible."""
    parts = {"visible": count - count // 5, "guessed": count // 5, "observed": 0, "missed": count}
    found = count if found is None else found
    fields = {
        "error": {kind: error * n for kind, n in parts.items()},
        "found": {kind: found * n // count for kind, n in parts.items()},
        "count": parts, "lost": lost, "furthest": error, "acceleration": (0.1 * count, count),
        "peak": {"wrist": 0.9, "ankle": None}, "jitter": 0.5,
    }
    return ClipScore(**fields | changes)


def tags(count):
    return [
        {"name": f"{i:04}", "action": "walk" if i < 6 else "serve", "view": "",
         "turn": ("0-30", "120-180", "to the camera", "30-60")[i % 4]} for i in range(count)
    ]


@pytest.fixture
def benchmark():
    errors = {"input": 0.9, "pchip": 0.2, RIDGE: 0.4, "fast": 0.25, "balanced": 0.3}
    legs = {n: [scored(e) for _ in range(8)] for n, e in errors.items()}
    legs["pchip"] = [scored(0.2, count=2, lost=8) for _ in range(8)]  # never seen: no place
    runs = {n: [scored(e + 0.01 * i) for i in range(8)] for n, e in errors.items()}
    same = {
        n: [scored(0.1, count=1000, found=1000 - 5 * i if n == "balanced" else 1000)
            for i in range(12)] for n in ("input", "balanced")
    }
    setup = {"clips": 12, "motion": "a.npz", "frames": 900, "actions": 2, "seed": 1, "weights": ""}
    scores = {"legs": legs, "run20": runs, ASIS: same}
    return LabelledBenchmark(setup, ("a note",), scores, {p: tags(12) for p in scores} | {
        p: tags(8) for p in ("legs", "run20")})


def rows(text):
    lines = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines()]
    return lines[0], {line[0]: line[1:] for line in lines[2:]}


def test_the_best_baseline_gives_a_place_to_what_counts(benchmark):
    assert tables.best(benchmark.scores["legs"]) == RIDGE
    assert tables.best(benchmark.scores["run20"]) == "pchip"
    assert tables.best({"fast": []}) is None
    little = {"pchip": [scored(0.2, lost=1, count=1000)], RIDGE: [scored(0.4, count=1000)]}
    assert tables.best(little) == "pchip"


def test_tags_have_differences_and_intervals_of_enough_clips(benchmark):
    header, found = rows(tables.by_tag(benchmark, "action", "balanced"))
    assert header == ["action", f"legs ({RIDGE})", "run20 (pchip)"]
    assert found["serve"] == ["0.300 -0.100", "0.365 +0.100"]  # two clips
    assert found["walk"][0] == "0.300 -0.100 [-0.100, -0.100]"
    assert found["walk"][1].startswith("0.325 +0.100 [+0.1")
    _, found = rows(tables.by_tag(benchmark, "turn", "balanced"))
    assert list(found) == ["0-30", "30-60", "120-180", "to the camera"]
    assert tables.by_tag(benchmark, "view", "balanced") == ""
    header, _ = rows(tables.by_tag(benchmark, "action", "balanced", ["run20"]))
    assert len(header) == 2


def test_asis_names_the_worst(benchmark):
    header, found = rows(tables.asis_worst(benchmark, "balanced", 3))
    assert header[:2] == ["clip", "action"] and list(found) == ["0011", "0010", "0009"]
    assert found["0011"] == ["serve", "5.50 %", "0.10", "0.90", "-", "0.500"]
    assert tables.asis_worst(benchmark, "input") == "None."
    _, found = rows(tables.asis_by_action(benchmark, "balanced"))
    assert list(found) == ["serve", "walk"] and found["walk"][2] == "5 of 6"
    _, found = rows(tables.asis(benchmark))
    assert found["input"] == ["0.100", "0.000 %", "0 of 12", "0.90 (0.90)", "-", "0.500"]


def test_what_a_detector_found_is_told_from_what_it_missed(benchmark):
    found = {
        "input": [scored(0.2, lost=10, count=10, found=5)],
        "balanced": [scored(0.2, count=20, acceleration=(1.0, 10))],
    }
    benchmark.scores[DETECTIONS], benchmark.tags[DETECTIONS] = found, tags(1)
    _, lines = rows(tables.detections(benchmark))
    assert lines["input"][:5] == ["0.200", "-", "0.200", "50.0 %", "25.0 %"]
    assert lines["balanced"][3:6] == ["0.0 %", "100.0 %", "0.100"]


def test_everything_is_told(benchmark):
    text = tables.markdown(benchmark)
    for part in ("Note: a note.", "## Mean error", "A baseline is ahead of `balanced` in: run20",
                 "## Against the best baseline", "## By action", "## By trunk", "`balanced` by act",
                 "The 10 clips of which `balanced` moves most"):
        assert part in text
    assert "## By seen from" not in text and "detector's tracks" not in text
    only = LabelledBenchmark(benchmark.setup, (), {ASIS: benchmark.scores[ASIS]}, benchmark.tags)
    assert "Mean error of what was hidden" not in tables.markdown(only)


def test_the_page_shows_a_screen_and_folds_the_rest(benchmark):
    text = video.page_tables(benchmark)
    assert "A baseline is ahead of `balanced`, beyond the interval, in: run20 (pchip)." in text
    screen, folded = text.split("<details", 1)
    assert tables.against_best(benchmark) in screen and tables.asis(benchmark) in screen
    assert "| 120-180" in screen and "serve" not in screen
    assert tables.glance(benchmark) in folded and "serve" in folded
    assert folded.count("</details>") == text.count("<details") == 5  # nothing is known of views
