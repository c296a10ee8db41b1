"""The benchmark's results as tables and pictures: markdown, CSV, JSON, PNG."""

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.evaluation import pictures
from posegan_jax.evaluation.benchmark import Benchmark, iterate
from posegan_jax.evaluation.differences import ahead, best, paired_difference
from posegan_jax.evaluation.methods import INPUT, REGRESSOR, baselines
from posegan_jax.evaluation.plausibility import MEASURES
from posegan_jax.evaluation.scores import (
    ALPHAS,
    CURVE_METRICS,
    GROUPS_12,
    GROUPS_16,
    METRICS,
    PARTS,
    SUMMED,
    Scores,
)
from posegan_jax.render.curves import save_pckh, save_pckh_differences
from posegan_jax.runtime.files import atomic_path

MARKDOWN, CSV, JSON = "tables.md", "scores.csv", "evaluation.json"

_TITLES = {
    "pckh@0.1": "PCKh@0.1", "pckh@0.5": "PCKh@0.5", "pckh@1.0": "PCKh@1.0",
    "auc": "AUC from 0.0 to 1.0",
}
_SHORT = {
    "pckh@0.1": ".1", "pckh@0.5": ".5", "pckh@1.0": "1.0", "auc": "AUC", "error": "error",
    "acceleration": "accel", "bones": "bones",
}
_MEASURES = {
    "bones": "bones", "acceleration": "accel", "jerky": "accel 95 %",
    "mmd2": "MMD\u00b2 to real", "mmd": "MMD to truth",
    "skating": "skating", "sliding": "sliding", "length": "limbs", "length3d": "limbs in 3D",
}
REAL = "real motion"
BY_KIND = {"clean": "upsampled", "holes40": "missing", "gap10": "missing", "arm": "missing",
           "legs": "missing"}
"""Protocol -> the part of which errors by kinds of motion are told."""
MOST_KINDS = 60
"""More would tell of single clips."""


def save(benchmark: Benchmark, folder: str | os.PathLike) -> list[Path]:
    """Writes everything into a folder, which is made if need be; returns the files.

    ``tables.md``, ``scores.csv`` (one value a line), ``evaluation.json`` (with the curves), and for
    every protocol ``PROTOCOL-12J.png`` (the thesis's figure 8, of the detected joints) and
    ``PROTOCOL-28J.png`` (its figure 9, of all). The pictures that the run drew are told, too.

    Raises:
      InputError: the folder cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror}") from error
    texts = {MARKDOWN: markdown(benchmark), CSV: comma_separated(benchmark),
             JSON: as_json(benchmark)}
    for name, text in texts.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text)
    written = [folder / name for name in texts] + _save_figures(benchmark, folder)
    return written + pictures.paths(folder, list(benchmark.texts))


def markdown(benchmark: Benchmark) -> str:
    """All tables: by what was observed, and in the form of the thesis's tables 2 and 3."""
    lines = ["# Benchmark", "", describe(benchmark), ""]
    lines += [f"Note: {note}." for note in benchmark.notes] + [""] * bool(benchmark.notes)
    for protocol, text in benchmark.texts.items():
        scores = benchmark.of(protocol)
        lines += [f"## {protocol}", "", f"{text[0].upper()}{text[1:]}.", ""]
        lines += [parts_table(scores), ""]
        lines += ["Plausibility:", "", plausibility_table(scores, benchmark.real[protocol]), ""]
        lines += thesis_tables(scores)
    if shown := kinds_table(benchmark):
        lines += ["## By kind of motion", "", shown, ""]
    lines += _differences(benchmark)
    return "\n".join(lines)


def _differences(benchmark: Benchmark) -> list[str]:
    """Lines on our methods against baselines, where there are both."""
    methods = list(dict.fromkeys(result.method for result in benchmark.results))
    if not set(methods) & set(baselines()):
        return []
    lines = ["## Differences to baselines", ""]
    for name in methods:
        if name == INPUT or name in baselines():
            continue
        for part in ("missing", "upsampled"):
            lines += [f"{name}, {part} joints:", "", differences_table(benchmark, name, part), ""]
    return lines


def describe(benchmark: Benchmark) -> str:
    """What was evaluated on what, in a sentence or two."""
    setup = benchmark.setup
    subjects = len(setup["subjects"])
    head = f"|head_top - {setup['head']}|" if setup["head"] else "half of the body's"
    people = "1 subject" if subjects == 1 else f"{subjects} subjects"
    return (
        f"{setup['clips']} {setup['unit']} of {setup['motion']} ({setup['split']}, {people}, "
        f"{setup['frames']} frames), seed {setup['seed']}; head size {head}. "
        f"Weights trained on: {setup['weights'] or 'not told'}. "
        "PCKh and AUC: higher is better. error (MPJPE, head sizes), accel (error of the "
        "acceleration, head sizes per frame^2) and bones (deviation of bone lengths over time, "
        "head sizes): lower is better; they count what was delivered, PCKh counts the rest as "
        "wrong. Differences stand with 95 % bootstrap intervals over clips."
    )


def parts_table(scores: dict[str, Scores], metrics: Sequence[str] = METRICS) -> str:
    """Methods by metrics, for observed and missing detected joints, and for upsampled ones."""
    parts = [p for p in PARTS if any(_holds(s.values[p]) for s in scores.values())]
    header = ["method"] + [f"{part} {_SHORT[metric]}" for part in parts for metric in metrics]
    rows = [
        [name] + [cell(s.values[part].get(metric)) for part in parts for metric in metrics]
        for name, s in scores.items()
    ]
    return table(header, rows)


def plausibility_table(
    scores: dict[str, Scores], real: dict[str, float | None], names: Sequence[str] | None = None
) -> str:
    """Methods, all or those named, by measures, and what the truth itself has."""
    rows = {REAL: real} | {n: s.plausibility for n, s in scores.items()
                           if (names is None or n in names) and n != INPUT}
    shown = [m for m in MEASURES if any(values[m] is not None for values in rows.values())]
    return table(["method", *(_MEASURES[m] for m in shown)],
                 [[name, *(cell(values[m]) for m in shown)] for name, values in rows.items()])


def differences_table(benchmark: Benchmark, name: str, part: str) -> str:
    """Protocols by what a method's error and AUC are more than the regressor's and than those of
    the baseline with the least error, with the intervals of ``paired_difference``."""
    rows = []
    for protocol in benchmark.texts:
        scores = benchmark.of(protocol)
        if scores[name].values[part]["error"] is None:
            continue
        other = best(scores, baselines(), part, "error")
        rows.append([protocol, *_pair(scores, name, REGRESSOR, part), other or "-",
                     *_pair(scores, name, other, part)])
    return table(["protocol", "error - regressor", "AUC - regressor", "best baseline",
                  "error - best", "AUC - best"], rows)


def ahead_table(
    benchmark: Benchmark, names: Sequence[str], rivals: Sequence[str],
    metrics: Sequence[str] = SUMMED,
) -> str:
    """Protocols and parts in which a rival is ahead of a method, and by what: 'RIVAL its value
    (the method's): their difference [its interval]', the best one; empty where none is. Rows in
    which none is ahead are left out; of no rows, 'In none.' is all that is said."""
    rows = []
    for part in ("missing", "upsampled"):
        for protocol in benchmark.texts:
            scores = benchmark.of(protocol)
            cells = []
            for name in names:
                for metric in metrics:
                    rival = best(scores, rivals, part, metric)
                    theirs = scores[rival].values[part][metric] if rival else None
                    ours = scores[name].values[part][metric]
                    if not ahead(theirs, ours, metric):
                        cells.append("")
                        continue
                    by = _interval(scores[rival], scores[name], part, metric)
                    cells.append(f"{rival} {cell(theirs)} ({cell(ours)}): {by}")
            if any(cells):
                rows.append([f"{protocol}, {part}", *cells])
    if not rows:
        return "In none."
    return table(["", *(f"{n} {_SHORT[m]}" for n in names for m in metrics)], rows)


def kinds_table(benchmark: Benchmark, name: str | None = None) -> str:
    """Kinds of motion by the protocols of ``BY_KIND``: a method's mean error and in brackets that
    of the baseline that is best over all clips of the protocol, which the column names.

    Args:
      benchmark: the results.
      name: the method; 'balanced' by default, or where that was not evaluated the last of ours.

    Returns:
      Nothing where clips are of one kind or of more than ``MOST_KINDS``, or no such method or
      protocol was evaluated.
    """
    methods = dict.fromkeys(result.method for result in benchmark.results)
    ours = [method for method in methods if method != INPUT and method not in baselines()]
    name = name or ("balanced" if "balanced" in ours else ours[-1] if ours else None)
    columns = {protocol: part for protocol, part in BY_KIND.items() if protocol in benchmark.texts}
    kinds = sorted({kind for protocol in columns for kind in benchmark.kinds.get(protocol, ())})
    if name not in methods or not 1 < len(kinds) <= MOST_KINDS:
        return ""
    header, cells = ["kind", "clips"], {kind: [kind or "not told", ""] for kind in kinds}
    for protocol, part in columns.items():
        scores = benchmark.of(protocol)
        other = best(scores, baselines(), part, "error")
        header.append(f"{protocol}, {part}" + (f" ({other})" if other else ""))
        of_clips = np.array(benchmark.kinds[protocol])
        for kind, row in cells.items():
            here = of_clips == kind
            row[1] = str(max(int(row[1] or 0), here.sum()))
            row.append(_error_of(scores[name], part, here)
                       + (f" ({_error_of(scores[other], part, here)})" if other else ""))
    return table(header, cells.values())


def _error_of(scores: Scores, part: str, clips: np.ndarray) -> str:
    """Cell of the mean error over some of the clips, (N,) bool."""
    total, count = np.array(scores.clips[part]["error"])[clips].sum(axis=0)
    return cell(total / count if count else None)


def _pair(scores: dict[str, Scores], name: str, other: str | None, part: str) -> list[str]:
    """Cells of the differences in error and AUC."""
    if other not in scores:
        return ["-", "-"]
    return [_interval(scores[name], scores[other], part, m) for m in ("error", "auc")]


def _interval(a: Scores, b: Scores, part: str, metric: str) -> str:
    found = paired_difference(a, b, part, metric)
    if found is None:
        return "-"
    return f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def thesis_tables(scores: dict[str, Scores]) -> list[str]:
    """Lines of tables 2 and 3 (a) to (d); methods that upsample nothing are not in table 3."""
    lines, (detected, total) = [], _totals(scores)
    for number, columns in ((2, (*GROUPS_12, detected)), (3, (*GROUPS_16, total))):
        shown = {n: s for n, s in scores.items() if number == 2 or _upsamples(s)}
        for letter, metric in zip("abcd", CURVE_METRICS, strict=True):
            lines += [f"Table {number} ({letter}): {_TITLES[metric]}", ""]
            rows = [
                [name] + [cell(s.values[column][metric]) for column in columns]
                for name, s in shown.items()
            ]
            lines += [table(["Method", *columns], rows), ""]
    return lines


def comma_separated(benchmark: Benchmark) -> str:
    """protocol,method,group,metric,value; an empty value where nothing counts."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("protocol", "method", "group", "metric", "value"))
    for *names, value in iterate(benchmark):
        writer.writerow((*names, "" if value is None else f"{value:.6f}"))
    return text.getvalue()


def as_json(benchmark: Benchmark) -> str:
    """Setup, notes, and values and curves of every protocol and method."""
    content = {
        "setup": benchmark.setup,
        "notes": list(benchmark.notes),
        "alphas": np.round(ALPHAS, 6).tolist(),
        "protocols": benchmark.texts,
        "plausibility of the truth": benchmark.real,
        "kinds of motion": benchmark.kinds,
        "results": [
            {"protocol": r.protocol, "method": r.method, "values": r.scores.values,
             "plausibility": r.scores.plausibility,
             "curves": {name: np.round(c, 6).tolist() for name, c in r.scores.curves.items()}}
            for r in benchmark.results
        ],
    }
    # A curve is one line, or the file is all brackets.
    text = json.dumps(content, indent=1, allow_nan=False)
    return re.sub(r"\[\s+([-\d.e,\s]+?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text) + "\n"


def _save_figures(benchmark: Benchmark, folder: Path) -> list[Path]:
    """Figures 8 and 9 of every protocol."""
    paths = []
    for protocol in benchmark.texts:
        scores = benchmark.of(protocol)
        detected, total = _totals(scores)
        seen = {n: (ALPHAS, np.array(s.curves[detected])) for n, s in scores.items()}
        whole = {n: (ALPHAS, np.array(s.curves[total]))
                 for n, s in scores.items() if _upsamples(s)}
        paths.append(folder / f"{protocol}-{detected.removeprefix('Total-')}.png")
        if INPUT in seen and len(seen) > 1:
            save_pckh_differences(seen, INPUT, paths[-1])
        else:
            save_pckh(seen, paths[-1])
        if whole:
            paths.append(folder / f"{protocol}-{total.removeprefix('Total-')}.png")
            save_pckh(whole, paths[-1])
    return paths


def _totals(scores: dict[str, Scores]) -> tuple[str, str]:
    """Names of the total of the detected joints and of that of all, which may be one."""
    names = list(next(iter(scores.values())).curves)
    return names[0], names[-1]


def _upsamples(scores: Scores) -> bool:
    return scores.values["upsampled"]["error"] is not None


def _holds(values: dict[str, float | None]) -> bool:
    return any(value is not None for value in values.values())


def cell(value: float | None) -> str:
    """Three decimals, or a dash where nothing counts."""
    return "-" if value is None else f"{value:.3f}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown whose columns stand below each other in plain text, too."""
    rows = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [text.rjust(width) for text, width in zip(cells, widths, strict=True)]
        return "| " + " | ".join([cells[0].ljust(widths[0]), *padded[1:]]) + " |"

    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    return "\n".join([line(rows[0]), line(rule), *map(line, rows[1:])])
