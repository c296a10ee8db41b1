"""Makes the accuracy tables of labelled video, and the figures that a test holds weights to.

    python -m benchmarks.video --labels penn_dev.npz

The tables replace what stands between the marks in docs/benchmark.md, the long ones behind a line
that opens them; tests/evaluation/published_video.json gets the figures of a subset that takes about
a minute. Thirty clips take half an hour of two cores; what was interrupted goes on where it
stopped.
"""

import argparse
import contextlib
import dataclasses
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.page import fold, write_tables
from posegan_jax.errors import InputError
from posegan_jax.evaluation import labelled_tables
from posegan_jax.evaluation.labelled import ASIS
from posegan_jax.evaluation.labelled_benchmark import (
    LabelledBenchmark,
    Progress,
    run_labelled,
)
from posegan_jax.evaluation.labelled_scores import FAST, ClipScore, mean_error, moved, peaks
from posegan_jax.evaluation.methods import qualities
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.inpainting.inpainter import Inpainter, load
from posegan_jax.runtime.files import atomic_path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmark.md"
PUBLISHED = ROOT / "tests" / "evaluation" / "published_video.json"
MAIN = EvaluateOptions(
    protocols=("holes40", "gap10", "run20", "arm", "legs", "inversions", ASIS), count=30
)
SHOWN = ("holes40", "gap10", "run20", "arm", "legs")
"""Protocols of the tables by what people do."""
SUBSET = EvaluateOptions(
    protocols=("holes40", "run20", "legs", "inversions", ASIS), methods=("fast", "balanced"),
    count=30,
)


def figures(protocol: str, scores: list[ClipScore]) -> dict[str, float]:
    """What is published of a method under a protocol: 'error' in heads, and of 'asis' the share of
    joints that are 'moved' by more than half a head and the mean peaks of wrists and ankles."""
    values = {"error": mean_error(scores)}
    if protocol == ASIS:
        values["moved"] = moved(scores)[0]
        found = {part: peaks(scores, part) for part in FAST}
        values |= {f"peak of {part}s": peak[0] for part, peak in found.items() if peak}
    return {name: round(value, 5) for name, value in values.items()}


def published(options: EvaluateOptions, benchmark: LabelledBenchmark) -> str:
    """What tests/evaluation/test_published_video.py reads."""
    content: dict[str, Any] = {
        "motion": benchmark.setup["motion"],
        "options": dataclasses.asdict(dataclasses.replace(options, motion="")),
        "results": [
            {"protocol": protocol, "method": method, "values": figures(protocol, scores)}
            for protocol, by_method in benchmark.scores.items()
            for method, scores in by_method.items()
        ],
    }
    return json.dumps(content, indent=1) + "\n"


def page_tables(benchmark: LabelledBenchmark) -> str:
    """Everything between the marks: a screen of tables, and the others behind lines."""
    shown = [protocol for protocol in SHOWN if protocol in benchmark.scores]
    name = qualities({n for scores in benchmark.scores.values() for n in scores})[-1]
    ahead = labelled_tables.behind(benchmark, name)
    lines = [
        labelled_tables.describe(benchmark), "",
        f"A baseline is ahead of `{name}`, beyond the interval, in: {', '.join(ahead) or 'none'}.",
        "", "### What was hidden", "", labelled_tables.against_best(benchmark), "",
    ]
    if turns := labelled_tables.by_tag(benchmark, "turn", name, shown):
        lines += ["### The further people turn from upright", "",
                  f"Error of `{name}`, and its difference to the protocol's best baseline.", "",
                  turns, ""]
    lines += ["### What becomes of what was right", "", labelled_tables.asis(benchmark), ""]
    folded = {
        "Every method": labelled_tables.glance(benchmark),
        "Joints that the annotator saw, and guesses": labelled_tables.by_kind(benchmark, name),
        "By action": labelled_tables.by_tag(benchmark, "action", name, shown),
        "By view": labelled_tables.by_tag(benchmark, "view", name, shown),
        "Nothing hidden, by action": labelled_tables.asis_by_action(benchmark, name),
        "Nothing hidden, the clips of which most is moved":
            labelled_tables.asis_worst(benchmark, name),
    }
    lines += [fold(title, text) + "\n" for title, text in folded.items() if text]
    return "\n".join(lines)


def run(
    inpainter: Inpainter, labels: str, options: EvaluateOptions, folder: Path
) -> tuple[EvaluateOptions, LabelledBenchmark]:
    """The benchmark on a file of labels, with a progress bar on standard error."""
    options = dataclasses.replace(options, motion=labels)
    with _progress(folder.name) as progress:
        return options, run_labelled(inpainter, options, folder, progress)


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Progress]:
    from tqdm import tqdm

    with tqdm(unit="clip", disable=None) as bar:

        def progress(what: str, now: int, total: int) -> None:
            bar.total = total
            bar.set_description(f"{name}, {what}", refresh=False)
            bar.update(now - bar.n)

        yield progress


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", required=True, help="file of labelled video")
    parser.add_argument(
        "--count", type=int, default=MAIN.count,
        help="clips of the tables, 0: all (default: %(default)s)",
    )
    parser.add_argument(
        "--subset", action="store_true", help="the published figures alone, without tables"
    )
    parser.add_argument(
        "--folder", default=str(Path(tempfile.gettempdir()) / "posegan-video"),
        help="where results are kept until all are there",
    )
    options = parser.parse_args(argv)
    try:
        inpainter, folder = load(None), Path(options.folder)
        chosen, benchmark = run(inpainter, options.labels, SUBSET, folder / "subset")
        with atomic_path(PUBLISHED) as temporary:
            temporary.write_text(published(chosen, benchmark))
        if not options.subset:
            counted = dataclasses.replace(MAIN, count=options.count)
            _, benchmark = run(inpainter, options.labels, counted, folder / "main")
            write_tables(PAGE, "video", page_tables(benchmark))
    except InputError as error:
        print(f"posegan_jax: {error}", file=sys.stderr)
        return 2
    shutil.rmtree(options.folder, ignore_errors=True)
    print(f"wrote {PUBLISHED}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
