"""Makes the accuracy tables of docs/benchmark.md, and the figures that a test holds weights to.

    python -m benchmarks.accuracy --motion cmu.npz,accad.npz

It takes six minutes on two cores, and goes on where it stopped when it was interrupted. The
tables replace what stands between the marks in docs/benchmark.md and README.md; docs/img gets the
curves, and tests/evaluation/published.json the figures of a subset that takes seconds.
"""

import argparse
import dataclasses
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

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
BEGIN, END = "<!-- tables: made by benchmarks/accuracy.py -->", "<!-- end of tables -->"

MAIN = EvaluateOptions(protocols=("everything",), count=20, longest=100)
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
PLAUSIBLE = ("clean", "holes40", "arm", "leg", "legs", "lower", "gap10", "gap20", "noise", "all")
OURS = ("balanced", "fast")
CURVES = ("input", "butterworth", "kalman", "ridge-windows", "regressor", "fast", "balanced")


def page_tables(main: Benchmark, search: Benchmark) -> str:
    """Everything between the marks."""
    lines = ["## At a glance", "", _setup(main), ""]
    for part, text in (("missing", "what was missing of the 12 joints"),
                       ("upsampled", "the 16 upsampled joints"),
                       ("observed", "the observed of the 12 joints")):
        lines += [f"Mean error in head sizes over {text}:", "", _glance(main, part), ""]
    lines += _comparison(main)
    lines += ["## Plausibility", "",
              "Of what is not observed as it is; the first line is the truth's own.", ""]
    for protocol in PLAUSIBLE:
        if protocol in main.texts:
            lines += [f"### {protocol}, plausibility", "",
                      tables.plausibility_table(main.of(protocol), main.real[protocol]), ""]
    lines += ["## Every protocol", ""]
    for protocol, text in main.texts.items():
        lines += [f"### {protocol}", "", f"{text[0].upper()}{text[1:]}.", "",
                  tables.parts_table(main.of(protocol), METRICS), ""]
    lines += ["## Search, start and shift", "", _setup(search), ""]
    for protocol in search.texts:
        lines += [f"### {protocol}, searches", "",
                  tables.parts_table(search.of(protocol), METRICS), ""]
    lines += ["## In the form of the thesis", "",
              "Tables 2 and 3 under `noise`, for the clips of the section before.", ""]
    lines += tables.thesis_tables(search.of("noise"))
    return "\n".join(lines).rstrip() + "\n"


def _comparison(main: Benchmark) -> list[str]:
    """Lines on where our methods and the others differ, and where the others are ahead."""
    lines = ["## Where a baseline is ahead", "",
             "Of all baselines the best one's value, in brackets ours, and their difference, where "
             "it is better; protocols in which none is are left out:", "",
             tables.ahead_table(main, OURS, methods.baselines()), "",
             "And where `fast` is better than `balanced`:", "",
             tables.ahead_table(main, ["balanced"], ["fast"]), "",
             "## Differences to the regressor and to the best baseline", ""]
    for name in OURS:
        for part, text in (("missing", "what was missing of the 12 joints"),
                           ("upsampled", "the 16 upsampled joints")):
            lines += [f"`{name}` over {text}:", "",
                      tables.differences_table(main, name, part), ""]
    return lines


def readme_table(main: Benchmark) -> str:
    """Error and PCKh@0.5 of the best in a few words; the best of a row is bold."""
    names = ("cubic", "ridge-windows", "fast", "balanced")
    rows = []
    for text, (protocol, part) in IN_README.items():
        values = [main.of(protocol)[name].values[part] for name in names]
        least = min(v["error"] for v in values)
        cells = [f"{v['error']:.3f} / {v['pckh@0.5']:.3f}" for v in values]
        rows.append([text, *(f"**{c}**" if v["error"] == least else c
                             for c, v in zip(cells, values, strict=True))])
    return tables.table(["what is missing", *(f"`{name}`" for name in names)], rows)


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
    names = [n for n, s in benchmark.of(protocols[0]).items() if _error(s, part) is not None]
    rows = [[n, *(tables.cell(_error(benchmark.of(p)[n], part)) for p in protocols)]
            for n in names]
    return tables.table(["method", *protocols], rows)


def _error(scores: Scores, part: str) -> float | None:
    return scores.values[part]["error"]


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


def replace_tables(page: str, text: str) -> str:
    """The page with other tables. Raises InputError where it has no marks."""
    if BEGIN not in page or END not in page:
        raise InputError(f"a page lacks the marks {BEGIN} and {END}")
    before, rest = page.split(BEGIN, 1)
    return f"{before}{BEGIN}\n\n{text}\n{END}{rest.split(END, 1)[1]}"


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    from tqdm import tqdm

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--motion", required=True, help="motion set with training clips")
    parser.add_argument(
        "--folder", default=str(Path(tempfile.gettempdir()) / "posegan-benchmark"),
        help="where results are kept until all are there",
    )
    options = parser.parse_args(argv)
    first = options.motion.split(",")[0]  # the set that tests find, too
    runs = {
        "main": dataclasses.replace(MAIN, motion=options.motion),
        "search": dataclasses.replace(SEARCH, motion=options.motion),
        "subset": dataclasses.replace(SUBSET, motion=first),
        "procedural": SUBSET,
    }
    try:
        inpainter = load(None)
        done = {}
        for name, run in runs.items():
            with tqdm(unit="clip", disable=None) as bar:

                def progress(what: str, now: int, total: int, bar=bar, name=name) -> None:
                    bar.total = total
                    bar.set_description(f"{name}, {what}", refresh=False)
                    bar.update(now - bar.n)

                done[name] = run_benchmark(
                    inpainter, run, Path(options.folder) / name, progress
                )
        page = replace_tables(PAGE.read_text(), page_tables(done["main"], done["search"]))
        readme = replace_tables(README.read_text(), readme_table(done["main"]) + "\n")
        for path, text in (
            (PAGE, page),
            (README, readme),
            (PUBLISHED, published([(runs[n], done[n]) for n in ("subset", "procedural")])),
        ):
            with atomic_path(path) as temporary:
                temporary.write_text(text)
        noise = done["main"].of("noise")
        curves = {n: (tables.ALPHAS, noise[n].curves["Total-12J"]) for n in CURVES if n in noise}
        save_pckh_differences(curves, methods.INPUT, FIGURE)
    except InputError as error:
        print(f"posegan_jax: {error}", file=sys.stderr)
        return 2
    shutil.rmtree(options.folder, ignore_errors=True)
    print(f"wrote {PAGE}, {README}, {FIGURE} and {PUBLISHED}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
