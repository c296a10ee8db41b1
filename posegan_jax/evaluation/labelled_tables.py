"""The tables of the benchmark on labelled video."""

import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from posegan_jax.evaluation import pictures
from posegan_jax.evaluation.differences import Interval
from posegan_jax.evaluation.labelled import ASIS, DETECTIONS
from posegan_jax.evaluation.labelled_benchmark import LabelledBenchmark, best
from posegan_jax.evaluation.labelled_scores import (
    FAST,
    GIVEN,
    KINDS,
    ClipScore,
    difference,
    mean_acceleration,
    mean_error,
    mean_jitter,
    moved,
    off_by_half,
    peaks,
)
from posegan_jax.evaluation.methods import qualities
from posegan_jax.evaluation.tables import cell, table
from posegan_jax.runtime.files import atomic_path

TAGS = {"action": "action", "view": "seen from", "turn": "trunk turned from upright, degrees"}
ENOUGH = 5
"""Clips from which on a difference gets an interval."""
WORST = 10
"""Clips that are named of those whose labels are moved."""
Scores = dict[str, list[ClipScore]]
"""Method -> a score of every clip."""


def markdown(benchmark: LabelledBenchmark) -> str:
    """All tables: at a glance, against the best baseline, by tags, and what is made of labels."""
    lines = ["# Labelled video", "", describe(benchmark), ""]
    lines += [f"Note: {note}." for note in benchmark.notes] + [""] * bool(benchmark.notes)
    mine = _mine(benchmark)
    if hidden(benchmark):
        lines += ["## Mean error of what was hidden", "", glance(benchmark), ""]
    if mine and any(best(benchmark.scores[protocol]) for protocol in hidden(benchmark)):
        ahead = behind(benchmark, mine[-1])
        lines += [f"A baseline is ahead of `{mine[-1]}` in: {', '.join(ahead) or 'none'}.", ""]
        lines += ["## Against the best baseline", "", against_best(benchmark), ""]
        lines += ["## Where the annotator guessed", "", by_kind(benchmark, mine[-1]), ""]
    if mine and hidden(benchmark):
        lines += _by_tags(benchmark, mine[-1])
    if DETECTIONS in benchmark.scores:
        lines += ["## A detector's tracks", "", detections(benchmark), ""]
    if ASIS in benchmark.scores:
        lines += ["## Nothing hidden: what becomes of labels", "", asis(benchmark), ""]
        for name in mine[-1:]:
            lines += [f"`{name}` by action:", "", asis_by_action(benchmark, name), "",
                      f"The {WORST} clips of which `{name}` moves most joints by more than half a "
                      "head:", "", asis_worst(benchmark, name), ""]
    return "\n".join(lines)


def _by_tags(benchmark: LabelledBenchmark, name: str) -> list[str]:
    lines = [
        "Below, each cell is the error, what it is more than that of the protocol's best baseline, "
        f"and the interval of that difference where there are {ENOUGH} clips.", ""
    ]
    for tag, text in TAGS.items():
        if shown := by_tag(benchmark, tag, name):
            lines += [f"## By {text}", "", shown, ""]
    return lines


def describe(benchmark: LabelledBenchmark) -> str:
    """What was evaluated on what, in a sentence or two."""
    setup = benchmark.setup
    return (
        f"{setup['clips']} clips of {setup['motion']} ({setup['frames']} frames, "
        f"{setup['actions']} actions), seed {setup['seed']}; of labels that people made. Errors in "
        "heads of 0.6 torsos; lower is better. Weights trained on: "
        f"{setup['weights'] or 'not told'}. Differences stand with 95 % bootstrap intervals over "
        "clips."
    )


def _mine(benchmark: LabelledBenchmark) -> list[str]:
    """Our qualities that were evaluated."""
    return qualities({name for scores in benchmark.scores.values() for name in scores})


def hidden(benchmark: LabelledBenchmark) -> list[str]:
    """Protocols that change something."""
    return [protocol for protocol in benchmark.scores if protocol != ASIS]


def glance(benchmark: LabelledBenchmark) -> str:
    """Methods by protocols."""
    protocols = hidden(benchmark)
    names = dict.fromkeys(name for p in protocols for name in benchmark.scores[p])
    rows = [
        [name, *(cell(mean_error(benchmark.scores[p][name])) for p in protocols)]
        for name in names
    ]
    return table(["method", *protocols], rows)


def _rows(
    benchmark: LabelledBenchmark, name: str
) -> Iterator[tuple[str, str, Interval | None]]:
    """Protocol, the best baseline, and the difference of a method to it."""
    for protocol in hidden(benchmark):
        scores = benchmark.scores[protocol]
        other = best(scores)
        if name in scores and other is not None:
            yield protocol, other, difference(scores[name], scores[other])


def behind(benchmark: LabelledBenchmark, name: str) -> list[str]:
    """Protocols in which a baseline is ahead, its interval on its side."""
    return [
        f"{protocol} ({other})" for protocol, other, found in _rows(benchmark, name)
        if found is not None and found.low > 0
    ]


def against_best(benchmark: LabelledBenchmark) -> str:
    """Our methods less the best baseline, by protocol."""
    mine = _mine(benchmark)
    rows: dict[str, list[str]] = {}
    for name in mine:
        for protocol, other, found in _rows(benchmark, name):
            error = mean_error(benchmark.scores[protocol][other])
            rows.setdefault(protocol, [protocol, f"{other} {cell(error)}"]).append(interval(found))
    return table(["protocol", "best baseline", *(f"{name} - best" for name in mine)], rows.values())


def by_kind(benchmark: LabelledBenchmark, name: str) -> str:
    """Protocols by kinds of labels, of one of our methods and the best baseline."""
    rows = []
    for protocol in hidden(benchmark):
        scores, other = benchmark.scores[protocol], best(benchmark.scores[protocol])
        if name in scores and other is not None:
            rows.append([protocol, other, *(
                cell(mean_error(scores[n], kind)) for kind in KINDS for n in (name, other)
            )])
    return table(["protocol", "best baseline",
                  *(f"{kind}: {n}" for kind in KINDS for n in (name, "best"))], rows)


def by_tag(
    benchmark: LabelledBenchmark, tag: str, name: str, protocols: Sequence[str] = ()
) -> str:
    """Values of a tag by protocols: a method's error, and its difference to the protocol's best
    baseline, with its interval where there are enough clips.

    Args:
      benchmark: the results.
      tag: of ``TAGS``.
      name: of the method.
      protocols: those to show; by default all that hide something.

    Returns:
      Nothing where clips have no such tag.
    """
    protocols = [p for p in protocols or hidden(benchmark) if name in benchmark.scores[p]]
    values = {tags[tag] for p in protocols for tags in benchmark.tags[p]} - {""}
    rows = []
    for value in sorted(values, key=_in_order):
        row = [value]
        for protocol in protocols:
            here = [i for i, tags in enumerate(benchmark.tags[protocol]) if tags[tag] == value]
            row.append(_against(benchmark.scores[protocol], name, here))
        rows.append(row)
    if not rows:
        return ""
    others = [best(benchmark.scores[p]) for p in protocols]
    header = [f"{p} ({o})" if o else p for p, o in zip(protocols, others, strict=True)]
    return table([tag, *header], rows)


def _in_order(value: str) -> tuple[float, str]:
    """Ranges of degrees by their beginnings, before words."""
    first = value.split("-")[0]
    return (float(first) if first.isdecimal() else float("inf")), value


def _against(scores: Scores, name: str, clips: Sequence[int]) -> str:
    """A method's error on some clips, and what the best baseline on all of them makes of these."""
    mine = [scores[name][i] for i in clips]
    error, other = mean_error(mine), best(scores)
    if error is None or other is None:
        return cell(error)
    found = difference(mine, [scores[other][i] for i in clips])
    if found is None:
        return cell(error)
    counted = sum(score.total("count") > 0 for score in mine)
    by = interval(found) if counted >= ENOUGH else f"{found.difference:+.3f}"
    return f"{cell(error)} {by}"


def detections(benchmark: LabelledBenchmark) -> str:
    """What methods make of what a detector found: errors of what it found and of what it missed."""
    rows = []
    for name, scores in benchmark.scores[DETECTIONS].items():
        count = sum(score.total("count") for score in scores)
        lost = sum(score.lost for score in scores)
        within = sum(score.total("found") for score in scores) / max(count + lost, 1)
        rows.append([
            name, *(cell(mean_error(scores, kind)) for kind in (None, *GIVEN)),
            f"{100 * lost / max(count + lost, 1):.1f} %", f"{100 * within:.1f} %",
            cell(mean_acceleration(scores)), cell(mean_jitter(scores)),
        ])
    return table(["method", "error", "of what was detected", "of what was missed", "no place",
                  "within half a head", "acceleration", "jitter out/labels"], rows)


def asis(benchmark: LabelledBenchmark) -> str:
    """What methods make of labels when nothing is hidden."""
    return table(["method", *_ASIS], [
        [name, *_moved(scores)] for name, scores in benchmark.scores[ASIS].items()
    ])


def asis_by_action(benchmark: LabelledBenchmark, name: str) -> str:
    """The same of one method, by action."""
    by: dict[str, list[ClipScore]] = {}
    for score, tags in zip(
        benchmark.scores[ASIS][name], benchmark.tags[ASIS], strict=True
    ):
        by.setdefault(tags["action"] or "-", []).append(score)
    return table(
        ["action", *_ASIS], [[action, *_moved(scores)] for action, scores in sorted(by.items())]
    )


def asis_worst(benchmark: LabelledBenchmark, name: str, count: int = WORST) -> str:
    """The clips of which a method moves the largest share by more than half a head."""
    both = list(zip(benchmark.scores[ASIS][name], benchmark.tags[ASIS], strict=True))
    share = [off_by_half(score) / max(score.total("count"), 1) for score, _ in both]
    rows = []
    for i in sorted(range(len(both)), key=lambda i: (-share[i], i))[:count]:
        score, tags = both[i]
        if not share[i]:
            break
        rows.append([
            tags["name"], tags["action"], f"{100 * share[i]:.2f} %", f"{score.furthest:.2f}",
            *("-" if score.peak[p] is None else f"{score.peak[p]:.2f}" for p in FAST),
            cell(score.jitter),
        ])
    if not rows:
        return "None."
    return table(["clip", "action", "moved > half a head", "furthest, heads",
                  *(f"peak of {part}s out/in" for part in FAST), "jitter out/in"], rows)


_ASIS = ("error", "moved > half a head", "in clips",
         *(f"peak of {part}s out/in (10 %)" for part in FAST), "jitter out/in")


def _moved(scores: Sequence[ClipScore]) -> list[str]:
    share, clips = moved(scores)
    found = [peaks(scores, part) for part in FAST]
    return [
        cell(mean_error(scores)), f"{100 * share:.3f} %", f"{clips} of {len(scores)}",
        *(f"{peak[0]:.2f} ({peak[1]:.2f})" if peak else "-" for peak in found),
        cell(mean_jitter(scores)),
    ]


def interval(found: Interval | None) -> str:
    """A difference and its interval."""
    if found is None:
        return "-"
    return f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def save(benchmark: LabelledBenchmark, folder: str | os.PathLike) -> list[Path]:
    """Writes 'tables.md' and 'evaluation.json'; returns these and the pictures of ``pictures``."""
    content = {
        "setup": benchmark.setup, "notes": list(benchmark.notes), "tags": benchmark.tags,
        "scores": {p: {n: [dataclasses.asdict(s) for s in scores] for n, scores in found.items()}
                   for p, found in benchmark.scores.items()},
    }
    texts = {"tables.md": markdown(benchmark), "evaluation.json": json.dumps(content) + "\n"}
    for name, text in texts.items():
        with atomic_path(Path(folder) / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    written = [Path(folder) / name for name in texts]
    return written + pictures.paths(Path(folder), list(benchmark.scores))
