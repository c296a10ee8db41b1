"""The page of the benchmark is made of its results."""

import dataclasses
import json
import re
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import ablations, accuracy, certainty, examples, page, people, video
from configs.cmu import get_config
from posegan_jax.config import check
from posegan_jax.errors import InputError
from posegan_jax.evaluation import labelled_benchmark
from posegan_jax.evaluation.benchmark import Benchmark, Result, resolve
from posegan_jax.evaluation.methods import main_methods, plain
from posegan_jax.evaluation.plausibility import MEASURES
from posegan_jax.evaluation.scores import (
    CURVE_METRICS,
    GROUPS_12,
    GROUPS_16,
    METRICS,
    PARTS,
    Scores,
)
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.pose.exchange import find_exchanges

TOTALS = ("Total-12J", "Total-28J")


def made_up(protocols, methods, kinds=()):
    def scores(level, missing):
        groups = {n: dict.fromkeys(CURVE_METRICS, level) for n in (*GROUPS_12, *GROUPS_16)}
        groups |= {n: dict.fromkeys(METRICS, level) for n in (*TOTALS, *PARTS)}
        if not missing:
            groups["missing"] = dict.fromkeys(METRICS)
        clips = {part: {m: [[level, 1.0]] * 3 for m in ("error", "auc")} for part in PARTS}
        return Scores(groups, {name: np.linspace(0, level, 101).tolist() for name in TOTALS}, clips,
                      dict.fromkeys(MEASURES, level))

    setup = {"motion": "cmu.npz", "split": "validation", "clips": 3, "frames": 300,
             "subjects": ["1", "2"], "seed": 7}
    results = tuple(Result(p, m, scores(0.1 * (i + 1), p not in ("clean", "noise")))
                    for p in protocols for i, m in enumerate(methods))
    real = {p: dict.fromkeys(MEASURES, 0.0) for p in protocols}
    of_clips = {p: tuple(kinds) for p in protocols} if kinds else {}
    return Benchmark(setup, {p: f"text of {p}" for p in protocols}, (), results, real, of_clips)


def test_the_runs_are_possible():
    for options in (accuracy.MAIN, accuracy.SEARCH, accuracy.SUBSET):
        resolve(options)
    assert set(accuracy.CURVES) <= set(main_methods())


def test_the_page_has_all_protocols_and_methods():
    main = made_up(("clean", "legs", "noise"), ("linear", "fast", "balanced"))
    search = made_up(("legs", "noise"), ("input", "C-s1"))
    text = accuracy.page_tables({accuracy.VALIDATION: accuracy.People(main, search)})
    for name in ("### clean", "Text of legs.", "### noise, searches", "Table 2 (a)",
                 "Table 3 (d)", "3 clips of cmu.npz"):
        assert name in text, name
    assert "Strangers" not in text and "kind of motion" not in text
    glance = text[text.index("missing of the 12"):].splitlines()[2:6]
    assert [cell.strip() for cell in glance[0].strip("|").split("|")] == ["method", "legs"]
    assert glance[3].split("|")[2].strip() == "0.200"
    # More is made up to be better but for the error.
    ahead = text[text.index("baseline is ahead"):text.index("## Differences")]
    assert "linear 0.100 (0.300)" in ahead and "fast 0.200 (0.300)" in ahead
    assert "`balanced` over the 16 upsampled joints" in text
    assert "### legs, plausibility" in text


def test_strangers_stand_beside_validation_subjects():
    methods = ("linear", "fast", "balanced")
    main, other = (made_up(("arm", "noise"), methods, kinds)
                   for kinds in (("walk",) * 3, ("squat", "squat", "lie")))
    search = made_up(("noise",), ("input", "C-s1"))
    people = {accuracy.VALIDATION: accuracy.People(main, search),
              accuracy.STRANGERS: accuracy.People(other, search)}
    text = accuracy.page_tables(people)
    sections = text.split("\n## ")
    assert len(sections) == 8
    for section in sections:
        if not section.startswith("By kind"):
            assert section.count("Strangers:") == section.count("Validation subjects:") > 0
    kinds = text[text.index("By kind of motion"):].splitlines()
    at = next(i for i, line in enumerate(kinds) if line.startswith("|"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in kinds[at:at + 4]]
    assert rows[0] == ["kind", "clips", "arm, missing (linear)"]
    assert rows[2:] == [["lie", "1", "0.300 (0.100)"], ["squat", "2", "0.300 (0.100)"]]


def test_pictures_are_told_clip_by_clip():
    benchmark = made_up(("gap10", "legs"), ("linear", "fast", "balanced"), ("walk", "", "run"))
    for scores in (result.scores for result in benchmark.results if result.method == "balanced"):
        scores.clips["missing"]["error"] = [[0.4, 2.0], [0.9, 1.0], [0.3, 1.0]]
    benchmark = dataclasses.replace(
        benchmark, names=dict.fromkeys(benchmark.texts, ("1_01", "1_02", "2_01"))
    )
    text = examples.section(benchmark)
    assert text.count("<details markdown>") == 2
    assert "<summary>`legs`: text of legs</summary>" in text
    for line in (
        "The worst clip of 3: 1_02, where `balanced` is 0.900 heads off, `linear` 0.100.",
        "The good clip of 3: 1_01 (walk), where `balanced` is 0.200 heads off, `linear` 0.100.",
        "![legs, the middling clip of 3: 2_01 (run)](img/examples/legs-middling.png)",
    ):
        assert line in text, text


def test_pictures_are_made_small(tmp_path):
    rng = np.random.default_rng(0)
    sheet = np.full((200, 300, 3), 255, np.uint8)
    sheet[50:60] = rng.integers(0, 255, (10, 300, 3))
    Image.fromarray(sheet).save(tmp_path / "large.png")
    examples.shrink(tmp_path / "large.png", tmp_path / "small.png")
    with Image.open(tmp_path / "small.png") as small:
        assert small.mode == "P" and small.size == (300, 200)
        assert len(np.unique(small)) <= examples.COLOURS
        assert (np.array(small.convert("RGB"))[:40] > 250).all()
    assert (tmp_path / "small.png").stat().st_size < (tmp_path / "large.png").stat().st_size / 2


def test_pictures_of_the_page_are_there_and_small():
    text = examples.accuracy.PAGE.read_text()
    shown = re.findall(r"\]\((img/examples/[\w-]+\.png)\)", text)
    there = {path.relative_to(examples.accuracy.PAGE.parent).as_posix(): path.stat().st_size
             for path in examples.FOLDER.glob("*.png")}
    assert set(shown) == set(there) and len(shown) == len(there)
    assert sum(there.values()) < 700_000


def test_the_readme_tells_the_best_of_a_row():
    main = made_up(("clean", "holes40", "gap10", "arm", "legs"), accuracy.README_METHODS)
    lines = accuracy.readme_table(main).splitlines()
    assert len(lines) == 2 + len(accuracy.IN_README)
    assert all(line.count("**0.100 / 0.100**") == 1 for line in lines[2:])
    both = accuracy.readme_tables({accuracy.VALIDATION: main, accuracy.STRANGERS: main})
    assert both.count("\n".join(lines)) == 2 and "Strangers:\n\n|" in both


def test_long_sections_are_folded():
    text = "Before.\n\n## One\n\n1\n\n### Part\n\n## Two\n\n| a |\n| - |\n"
    found = page.fold_sections(text, ("One",))
    assert found.startswith("Before.\n\n### One\n\n1\n\n### Part\n\n<details markdown>\n")
    assert found.endswith("<summary>Two</summary>\n\n| a |\n| - |\n\n</details>\n")


@pytest.mark.parametrize("path, module", [
    (accuracy.PAGE, "accuracy"), (accuracy.README, "accuracy"), (video.PAGE, "video"),
    (certainty.PAGE, "certainty"), (accuracy.PAGE, "examples"),
], ids=lambda value: value.name if isinstance(value, Path) else value)
def test_tables_stand_between_the_marks(path, module):
    text = path.read_text()
    once = page.replace_tables(text, module, "one")
    twice = page.replace_tables(once, module, "two\n")
    assert "\none\n" in once and "\none\n" not in twice and "\ntwo\n" in twice
    before, _, after = text.partition(page.mark(module))
    assert twice.startswith(before) and twice.endswith(after.partition(page.END)[2])
    with pytest.raises(InputError, match="marks"):
        page.replace_tables("nothing", module, "one")


def test_what_is_published_is_what_the_test_reads():
    results = made_up(("clean", "legs"), ("fast", "balanced"))
    options = EvaluateOptions(motion="somewhere/cmu.npz", protocols=("clean", "legs"))
    (entry,) = json.loads(accuracy.published([(options, results)]))
    assert entry["motion"] == "cmu.npz" and entry["options"]["motion"] == ""
    assert EvaluateOptions(**entry["options"]) is not None
    values = {(r["protocol"], r["method"]): r["values"] for r in entry["results"]}
    assert set(values["clean", "fast"]) == {"upsampled"}
    assert values["legs", "balanced"]["missing"] == {"pckh@0.5": 0.2, "auc": 0.2}


def test_strangers_are_measured_by_what_the_motion_teaches(tmp_path):
    asked = accuracy.runs("a/cmu.npz,accad.npz", "b/others.npz")
    assert asked["subset"].motion == "a/cmu.npz" and not asked["subset"].train
    strangers = asked["strangers"]
    assert (strangers.motion, strangers.train) == ("b/others.npz", "a/cmu.npz,accad.npz")
    assert strangers.count >= accuracy.MAIN.count and strangers.shortest < 20
    assert strangers.split == "test"
    assert (strangers.protocols, strangers.methods) == (
        accuracy.MAIN.protocols, accuracy.MAIN.methods)
    assert not [name for name in accuracy.runs("cmu.npz", None) if "strangers" in name]


def test_the_published_figures_are_of_the_run_that_is_named():
    entries = json.loads(accuracy.PUBLISHED.read_text())
    assert "procedural" in [entry["motion"] for entry in entries]
    for entry in entries:
        named = {r["method"] for r in entry["results"]}
        assert {plain(name) for name in named} == set(accuracy.SUBSET.methods)
        assert {r["protocol"] for r in entry["results"]} == set(accuracy.SUBSET.protocols)
        assert entry["options"]["count"] == accuracy.SUBSET.count


def test_the_published_figures_of_video_are_of_the_run_that_is_named():
    content = json.loads(video.PUBLISHED.read_text())
    assert EvaluateOptions(**content["options"]).count == video.SUBSET.count
    for options in (video.MAIN, video.SUBSET):
        labelled_benchmark.resolve(options)
    assert {(r["protocol"], r["method"]) for r in content["results"]} == {
        (protocol, method) for protocol in video.SUBSET.protocols
        for method in video.SUBSET.methods
    }


def test_mistakes_of_the_benchmark_of_video(tmp_path, capsys):
    assert video.main(["--labels", str(tmp_path / "none.npz"), "--folder", str(tmp_path)]) == 2
    assert "none.npz: no such file" in capsys.readouterr().err


@pytest.mark.parametrize("name", ablations.VARIANTS)
def test_ablations_are_configurations_that_can_be_trained(name, tmp_path):
    words = ablations.command(name, "procedural", 4000, tmp_path)
    config = get_config()
    for word in words[4:]:
        field, _, value = word.removeprefix("--config.").partition("=")
        *sections, last = field.split(".")
        place = config
        for section in sections:
            place = place[section]
        place[last] = type(place[last])(value)  # fails where there is no such field
    check(config)
    assert config.workdir == str(tmp_path)
    leading = config.optimizer.reconstruction_steps
    assert 0 <= leading < config.train.steps
    cost = leading + ablations.FULL_COST * (config.train.steps - leading)
    assert abs(cost - (2660 + 4 * 1340)) <= ablations.FULL_COST * 10


def test_mistakes_of_the_ablations(tmp_path, capsys):
    assert ablations.main(["--motion", "procedural", "--steps", "30", "-o", str(tmp_path)]) == 2
    assert "multiple of 40" in capsys.readouterr().err


def test_people_meet_and_are_told_apart(monkeypatch):
    monkeypatch.setattr(people, "HIDDEN", (0, 4))
    monkeypatch.setattr(people, "NOISES", (3.0,))
    monkeypatch.setattr(people, "FAR", 600.0)
    monkeypatch.setattr(people, "settle", lambda sequences, completer: find_exchanges(sequences))
    nobody = types.SimpleNamespace(solve=lambda found: found, completer=None)
    lines = people.who_is_who(nobody, "procedural", 4)
    assert len(lines) == 2 + 2 * 3 and lines[2].startswith("| pass | 1% | - | 100% (0%) |")
    clips, rng = people.walks("procedural"), np.random.default_rng(0)
    for turn in (False, True):
        one, other = (track.mean(axis=1)[:, 0] for track in people.meeting(clips, turn, rng))
        assert one[0] < one[people.MEET] and other[0] > other[people.MEET]
        assert (one[-1] > one[people.MEET]) == (other[-1] < other[people.MEET]) == (not turn)
    with pytest.raises(InputError, match="no such"):
        people.walks("nowhere.npz")
