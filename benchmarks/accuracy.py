"""Makes the accuracy tables of docs/benchmark.md, and the figures that a test holds weights to.

    python -m benchmarks.accuracy --motion cmu.npz,accad.npz --strangers hdm05.npz

Baselines learn from the training clips of ``--motion``, as our networks did. Its validation
subjects are measured, and strangers beside them: people of another data set, who do other things.
It goes on where it stopped when it was interrupted. The
tables replace what stands between the marks in docs/benchmark.md and README.md; docs/img gets the
curves, and tests/evaluation/published.json the figures of a subset that takes seconds.
"""

import argparse
import dataclasses
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.page import fold_sections, write_tables
from posegan_jax.errors import InputError
from posegan_jax.evaluation import methods, tables
from posegan_jax.evaluation.benchmark import Benchmark, run_benchmark
from posegan_jax.evaluation.scores import Scores
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.inpainting.inpainter import load
from posegan_jax.render.curves import save_pckh_differences
from posegan_jax.runtime.files import atomic_path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmark.md"
README = ROOT / "README.md"
FIGURE = ROOT / "docs" / "img" / "benchmark-noise.png"
PUBLISHED = ROOT / "tests" / "evaluation" / "published.json"
SHOWN = ("At a glance", "Where a baseline is ahead", "By kind of motion")
"""Sections that are not behind a line that opens them."""
MODULE = "accuracy"
"""Whose tables the pages hold."""

MAIN = EvaluateOptions(
    protocols=("everything",), methods=methods.every_method(), count=20, longest=100
)
SEARCH = EvaluateOptions(
    protocols=("holes40", "legs", "noise"), methods=(methods.INPUT, *methods.SEARCH), count=4,
    longest=72,
)
SUBSET = EvaluateOptions(
    protocols=("clean", "holes40", "gap10", "legs", "noise"), methods=("fast", "balanced"),
    unit="windows", count=16,
)
METRICS = ("pckh@0.5", "auc", "error", "acceleration", "bones")
COMPARED = ("pckh@0.5", "auc")
IN_README = {
    "nothing of the 12 joints: the 16 upsampled ones": ("clean", "upsampled"),
    "40 % of the 12 at random: those": ("holes40", "missing"),
    "all joints for 10 frames: those": ("gap10", "missing"),
    "elbow and wrist of one side, always: those": ("arm", "missing"),
    "knees and ankles, always: those": ("legs", "missing"),
}
README_METHODS = ("cubic", "ridge-windows", "network", "fast", "balanced")
VALIDATION, STRANGERS = "Validation subjects", "Strangers"
COUNTED = (("missing", "what was missing of the 12 joints"),
           ("upsampled", "the 16 upsampled joints"))
PLAUSIBLE = ("clean", "holes40", "arm", "leg", "legs", "lower", "gap10", "gap20", "noise", "all")
OURS = ("balanced", "fast")
CURVES = ("input", "butterworth", "kalman", "ridge-windows", "regressor", "fast", "balanced")


class People(NamedTuple):
    """What was measured on some people.

    Attributes:
      main: every protocol.
      search: what search, start and shift give.
    """

    main: Benchmark
    search: Benchmark


def page_tables(people: Mapping[str, People]) -> str:
    """Everything between the marks.

    Args:
      people: who they are -> what was measured on them, each of whom gets tables of their own,
        below one another; the last ones may be ``STRANGERS``, whose kinds of motion have a table.
    """
    main = {who: measured.main for who, measured in people.items()}
    search = {who: measured.search for who, measured in people.items()}
    sections = [
        glance_section(main), comparison_section(main), kinds_section(main),
        plausibility_section(main), protocols_section(main), search_section(search),
        thesis_section(search),
    ]
    return "\n".join(line for lines in sections for line in lines).rstrip() + "\n"


def beside(
    benchmarks: Mapping[str, Benchmark], make: Callable[[Benchmark], str]
) -> list[str]:
    """Lines of one table of each, below one another, under the names of who was measured."""
    lines = []
    for who, benchmark in benchmarks.items():
        lines += [f"{who}:", "", make(benchmark), ""] if len(benchmarks) > 1 else [
            make(benchmark), ""]
    return lines


def glance_section(main: Mapping[str, Benchmark]) -> list[str]:
    """Lines of mean errors, methods by protocols, and what was evaluated on whom."""
    lines = ["## At a glance", "", *beside(main, _setup)]
    for part, text in (*COUNTED, ("observed", "the observed of the 12 joints")):
        lines += [f"### Mean error in head sizes over {text}", "",
                  *beside(main, lambda benchmark, part=part: _glance(benchmark, part))]
    return lines


def comparison_section(main: Mapping[str, Benchmark]) -> list[str]:
    """Lines on where our methods and the others differ, and where the others are ahead."""
    lines = ["## Where a baseline is ahead", "",
             "Of all baselines the best one's value, in brackets ours, and their difference, where "
             "it is better; protocols in which none is are left out.", ""]
    lines += beside(main, lambda b: tables.ahead_table(b, OURS, methods.baselines()))
    lines += ["And where `fast` is better than `balanced`.", ""]
    lines += beside(main, lambda b: tables.ahead_table(b, ["balanced"], ["fast"]))
    lines += ["## Differences to the regressor and to the best baseline", ""]
    for name in OURS:
        for part, text in COUNTED:
            lines += [f"### `{name}` over {text}", ""]
            lines += beside(
                main, lambda b, name=name, part=part: tables.differences_table(b, name, part)
            )
    return lines


def kinds_section(main: Mapping[str, Benchmark]) -> list[str]:
    """Lines on kinds of motion, of strangers: what validation subjects do has no other kinds than
    what networks and baselines learned of."""
    shown = tables.kinds_table(main[STRANGERS], "balanced") if STRANGERS in main else ""
    return ["## By kind of motion", "",
            "Mean error of `balanced` in head sizes, in brackets that of the baseline that is best "
            "over all clips.", "", shown, ""] if shown else []


def plausibility_section(main: Mapping[str, Benchmark]) -> list[str]:
    """Lines on whether what was completed could be motion, by protocol."""
    lines = ["## Plausibility", "",
             "Of what is not observed as it is; the first line is the truth's own.", ""]
    for protocol in PLAUSIBLE:
        if protocol in next(iter(main.values())).texts:
            lines += [f"### {protocol}, plausibility", ""]
            lines += beside(
                main, lambda b, p=protocol: tables.plausibility_table(b.of(p), b.real[p])
            )
    return lines


def protocols_section(main: Mapping[str, Benchmark]) -> list[str]:
    """Lines of all metrics, protocol by protocol."""
    lines = ["## Every protocol", ""]
    for protocol, text in next(iter(main.values())).texts.items():
        lines += [f"### {protocol}", "", f"{text[0].upper()}{text[1:]}.", ""]
        lines += beside(main, lambda b, p=protocol: tables.parts_table(b.of(p), METRICS))
    return lines


def search_section(search: Mapping[str, Benchmark]) -> list[str]:
    """Lines on what search, start, shift and composition give."""
    lines = ["## Search, start and shift", "", *beside(search, _setup)]
    for protocol in next(iter(search.values())).texts:
        lines += [f"### {protocol}, searches", ""]
        lines += beside(search, lambda b, p=protocol: tables.parts_table(b.of(p), METRICS))
    return lines


def thesis_section(search: Mapping[str, Benchmark]) -> list[str]:
    """Lines of the thesis's own tables."""
    lines = ["## In the form of the thesis", "",
             "Tables 2 and 3 under `noise`, for the clips of the section before.", ""]
    return lines + beside(search, lambda b: "\n".join(tables.thesis_tables(b.of("noise"))))


def readme_tables(main: Mapping[str, Benchmark]) -> str:
    """``readme_table`` of each, below one another."""
    return "\n".join(beside(main, readme_table)).rstrip() + "\n"


def readme_table(main: Benchmark) -> str:
    """Error and PCKh@0.5 of the best in a few words; the best of a row is bold."""
    rows = []
    for text, (protocol, part) in IN_README.items():
        values = [main.of(protocol)[name].values[part] for name in README_METHODS]
        least = min(v["error"] for v in values)
        cells = [f"{v['error']:.3f} / {v['pckh@0.5']:.3f}" for v in values]
        rows.append([text, *(f"**{c}**" if v["error"] == least else c
                             for c, v in zip(cells, values, strict=True))])
    return tables.table(["what is missing", *(f"`{name}`" for name in README_METHODS)], rows)


def _setup(benchmark: Benchmark) -> str:
    setup = benchmark.setup
    return (f"{setup['clips']} clips of {setup['motion']} ({setup['split']}, "
            f"{len(setup['subjects'])} subjects, {setup['frames']} frames), seed {setup['seed']}.")


def _glance(benchmark: Benchmark, part: str) -> str:
    """Methods by protocols, of the protocols that say something of this part."""
    if part == "observed":
        protocols = [p for p in benchmark.texts if p in ("noise", "wild", "all")]
    else:
        protocols = [p for p in benchmark.texts
                     if any(_error(s, part) for s in benchmark.of(p).values())]
    names = dict.fromkeys(n for p in protocols for n, s in benchmark.of(p).items()
                          if _error(s, part) is not None)
    rows = [[n, *(tables.cell(_error(benchmark.of(p).get(n), part)) for p in protocols)]
            for n in names]
    return tables.table(["method", *protocols], rows)


def _error(scores: Scores | None, part: str) -> float | None:
    return scores.values[part]["error"] if scores else None


def published(benchmarks: Sequence[tuple[EvaluateOptions, Benchmark]]) -> str:
    """What tests/evaluation/test_published.py reads."""
    entries = []
    for options, benchmark in benchmarks:
        plain = dataclasses.asdict(dataclasses.replace(options, motion=""))
        values = [
            {"protocol": r.protocol, "method": r.method,
             "values": {
                 part: {m: round(r.scores.values[part][m], 4) for m in COMPARED}
                 for part in ("missing", "upsampled")
                 if r.scores.values[part]["auc"] is not None
             }}
            for r in benchmark.results
        ]
        entries.append({"motion": benchmark.setup["motion"], "options": plain, "results": values})
    return json.dumps(entries, indent=1) + "\n"


def runs(motion: str, strangers: str | None) -> dict[str, EvaluateOptions]:
    """What is evaluated, by name.

    Args:
      motion: set with training clips, and those of validation subjects.
      strangers: file of motion of other people, clips of its split 'test'; None for none.
    """
    made = {
        "main": dataclasses.replace(MAIN, motion=motion),
        "search": dataclasses.replace(SEARCH, motion=motion),
        # The first set is the one that tests find, too.
        "subset": dataclasses.replace(SUBSET, motion=motion.split(",")[0]),
        "procedural": SUBSET,
    }
    if strangers:
        there = {"motion": strangers, "split": "test", "shortest": 3}
        made |= {
            "strangers": dataclasses.replace(MAIN, **there, train=motion, count=24),
            "strangers-search": dataclasses.replace(SEARCH, **there, train=motion),
            "strangers-subset": dataclasses.replace(SUBSET, **there),
        }
    return made


def write(done: Mapping[str, Benchmark], options: Mapping[str, EvaluateOptions]) -> None:
    """Writes the page, the README's tables, the figure and the published figures.

    Args:
      done: the results of ``runs``, by the names there.
      options: the runs.
    """
    people = {VALIDATION: People(done["main"], done["search"])}
    if "strangers" in done:
        people[STRANGERS] = People(done["strangers"], done["strangers-search"])
    subsets = [(options[n], done[n]) for n in done if n.endswith("subset") or n == "procedural"]
    main = {who: measured.main for who, measured in people.items()}
    write_tables(PAGE, MODULE, fold_sections(page_tables(people), SHOWN))
    write_tables(README, MODULE, readme_tables(main))
    with atomic_path(PUBLISHED) as temporary:
        temporary.write_text(published(subsets))
    noise = done["main"].of("noise")
    curves = {n: (tables.ALPHAS, noise[n].curves["Total-12J"]) for n in CURVES if n in noise}
    save_pckh_differences(curves, methods.INPUT, FIGURE)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    from tqdm import tqdm

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--motion", required=True, help="motion set with training clips")
    parser.add_argument(
        "--strangers", metavar="FILE",
        help="motion of other people and of another data set, of which clips of the split 'test' "
        "are measured, too",
    )
    parser.add_argument(
        "--folder", default=str(Path(tempfile.gettempdir()) / "posegan-benchmark"),
        help="where results are kept until all are there",
    )
    options = parser.parse_args(argv)
    asked = runs(options.motion, options.strangers)
    try:
        inpainter = load(None)
        done = {}
        for name, run in asked.items():
            with tqdm(unit="clip", disable=None) as bar:

                def progress(what: str, now: int, total: int, bar=bar, name=name) -> None:
                    bar.total = total
                    bar.set_description(f"{name}, {what}", refresh=False)
                    bar.update(now - bar.n)

                done[name] = run_benchmark(
                    inpainter, run, Path(options.folder) / name, progress,
                    Path(options.folder) / "networks",
                )
        write(done, asked)
    except InputError as error:
        print(f"posegan_jax: {error}", file=sys.stderr)
        return 2
    shutil.rmtree(options.folder, ignore_errors=True)
    print(f"wrote {PAGE}, {README}, {FIGURE} and {PUBLISHED}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
