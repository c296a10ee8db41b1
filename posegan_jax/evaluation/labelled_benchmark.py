"""The benchmark on labelled video: methods by protocols on real bodies, and its tables."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.evaluation import methods as ours
from posegan_jax.evaluation.baselines import TEMPORAL, Method, complete_by, temporal
from posegan_jax.evaluation.clips import FRAMES
from posegan_jax.evaluation.differences import Interval
from posegan_jax.evaluation.gaussian import Gaussian
from posegan_jax.evaluation.labelled import (
    ASIS,
    LABELLED,
    LabelledCase,
    labelled_cases,
    usable,
)
from posegan_jax.evaluation.labelled_scores import (
    FAST,
    KINDS,
    ClipScore,
    difference,
    mean_error,
    moved,
    peaks,
    score_clip,
)
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.evaluation.tables import cell, table
from posegan_jax.evaluation.temporal import interpolate
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.inpainting.settings import QUALITIES
from posegan_jax.motion.labels import LabelledClip, load_labels
from posegan_jax.pose.skeleton import Skeleton
from posegan_jax.runtime.files import atomic_path

RIDGE = "ridge-same-set"
"""A ridge over windows that was fitted on the other half of the clips: it knows the activity, the
people who mark and often the person, which we do not."""
PENALTY = 0.003
"""As the mocap's ridge over windows has it, see ``baselines.PENALTY``."""
BASELINES = (*TEMPORAL, RIDGE)
TAGS = {"action": "action", "view": "seen from", "turn": "trunk turned from upright, degrees"}
DEFAULT_METHODS = (ours.INPUT, *BASELINES, "fast", "balanced")
EVERYTHING = "everything"
Progress = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True)
class LabelledBenchmark:
    """All scores.

    Attributes:
      setup: what was evaluated on what, in plain values.
      scores: protocol -> method -> one for every clip.
      tags: protocol -> those of the same clips.
    """

    setup: dict[str, Any]
    scores: dict[str, dict[str, list[ClipScore]]]
    tags: dict[str, list[dict[str, str]]]


def run_labelled(
    inpainter: Inpainter, options: EvaluateOptions, output: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> LabelledBenchmark:
    """Evaluates methods on labelled video.

    Args:
      inpainter: the networks of our methods.
      options: of which motion is a file of ``motion.labels``; protocols are names of
        ``labelled.LABELLED``.
      output: folder in which scores are kept while it runs, as of ``benchmark.run_benchmark``.
      progress: called with what is being done, and clips done and in all over everything.

    Raises:
      InputError: unknown names, no usable clips, or a folder that cannot be written.
    """
    protocols, names = resolve(options, inpainter.model.frames)
    clips = usable(load_labels(options.motion), options.count, options.seed)
    sets = {
        name: labelled_cases(
            name, clips, inpainter.skeleton, options.seed, inpainter.model.detected
        )
        for name in protocols
    }
    setup = _setup(inpainter, options, clips)
    memory = _Memory(output, setup)
    done, total = 0, len(names) * sum(map(len, sets.values()))
    scores: dict[str, dict[str, list[ClipScore]]] = {name: {} for name in protocols}
    for protocol, cases in sets.items():
        for name in names:
            found = memory.load(protocol, name)
            if found is None:
                found = []
                for result, case in zip(_results(inpainter, name, cases), cases, strict=True):
                    found.append(score_clip(case, result))
                    if progress:
                        progress(f"{protocol}: {name}", done + len(found), total)
                memory.save(protocol, name, found)
            done += len(cases)
            scores[protocol][name] = found
    tags = {protocol: [case.tags for case in cases] for protocol, cases in sets.items()}
    return LabelledBenchmark(setup, scores, tags)


def resolve(options: EvaluateOptions, frames: int = FRAMES) -> tuple[list[str], list[str]]:
    """Names of protocols and methods, each once.

    Raises:
      InputError: an unknown name.
    """
    protocols = list(dict.fromkeys(options.protocols or LABELLED))
    if EVERYTHING in protocols:
        protocols = list(LABELLED)
    for name in protocols:
        if name not in LABELLED:
            raise InputError(
                f"unknown protocol {name!r}; those of labelled video are: "
                f"{', '.join((*LABELLED, EVERYTHING))}"
            )
    names = list(dict.fromkeys(map(ours.plain, options.methods or DEFAULT_METHODS)))
    ours.check_methods([name for name in names if name not in BASELINES], frames)
    return protocols, names


def _results(inpainter: Inpainter, name: str, cases: Sequence[LabelledCase]):
    """What a method makes of every case."""
    if name == RIDGE:
        return _folds(cases, inpainter.skeleton, inpainter.model.detected, inpainter.model.frames)
    if name == ours.INPUT:
        return (case.sequence.keypoints for case in cases)
    detected = inpainter.model.detected
    smooth = TEMPORAL.get(name)
    method: Method = (
        ours.our_method(inpainter, name) if smooth is None else temporal(smooth, None, detected)
    )
    return (method(case.sequence) for case in cases)


def _folds(
    cases: Sequence[LabelledCase], skeleton: Skeleton, detected: Sequence[str], frames: int
):
    """The ridge of each half of the clips on the other one."""
    mask = skeleton.mask(detected)
    fitted = []
    for fold in (0, 1):
        windows = [
            window for case in cases[fold::2] for window in _windows(case.truth[:, mask], frames)
        ]
        few = len(windows) < 2
        fitted.append(None if few else Gaussian.fit(
            np.stack(windows), np.ones(mask.sum(), bool), PENALTY
        ))
    for number, case in enumerate(cases):
        model = fitted[1 - number % 2]
        result = case.sequence.keypoints.copy()
        seen = result[:, mask]
        result[:, mask] = (
            interpolate(seen) if model is None else complete_by(model, seen, case.sequence.fps)
        )
        yield result


def _windows(truth: np.ndarray, frames: int):
    """Windows of a clip, half of one after the other; between marks joints go straight on."""
    truth = interpolate(truth)
    for begin in range(0, len(truth) - frames + 1, max(frames // 2, 1)):
        window = truth[begin : begin + frames]
        if np.isfinite(window).all():
            yield window


def _setup(
    inpainter: Inpainter, options: EvaluateOptions, clips: Sequence[LabelledClip]
) -> dict[str, Any]:
    import jax

    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(jax.device_get(inpainter.variables)):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    for clip in clips:
        digest.update(clip.keypoints.tobytes())
    return {
        "motion": Path(options.motion).name, "clips": len(clips),
        "frames": sum(len(clip.keypoints) for clip in clips), "seed": options.seed,
        "actions": len({clip.action for clip in clips}),
        "weights": inpainter.metadata.get("trained_on", ""), "digest": digest.hexdigest()[:16],
    }


class _Memory:
    """Scores of single methods, in files that appear whole or not at all."""

    def __init__(self, output: str | os.PathLike | None, setup: dict[str, Any]):
        self._setup, self._folder = setup, Path(output) / ".parts" if output is not None else None
        if self._folder:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"cannot write {output}: {error.strerror}") from error

    def load(self, protocol: str, method: str) -> list[ClipScore] | None:
        path = self._path(protocol, method)
        if path is None or not path.is_file():
            return None
        content = json.loads(path.read_text())
        if content["setup"] != self._setup:
            return None
        return [ClipScore(**score) for score in content["scores"]]

    def save(self, protocol: str, method: str, scores: Sequence[ClipScore]) -> None:
        if (path := self._path(protocol, method)) is not None:
            content = {"setup": self._setup, "scores": list(map(dataclasses.asdict, scores))}
            with atomic_path(path) as temporary:
                temporary.write_text(json.dumps(content))

    def _path(self, protocol: str, method: str) -> Path | None:
        return self._folder and self._folder / f"{protocol}.{method}.json"


# --- tables ---------------------------------------------------------------------------------------


def markdown(benchmark: LabelledBenchmark) -> str:
    """All tables: at a glance, against the best baseline, by tags, and what is made of labels."""
    setup = benchmark.setup
    lines = [
        "# Labelled video", "",
        f"{setup['clips']} clips of {setup['motion']} ({setup['frames']} frames, "
        f"{setup['actions']} actions), seed {setup['seed']}; of labels that people made. Errors in "
        "heads of 0.6 torsos; lower is better. Weights trained on: "
        f"{setup['weights'] or 'not told'}. Differences stand with 95 % bootstrap intervals over "
        "clips.", "", "## Mean error of what was hidden", "", glance(benchmark), "",
    ]
    if mine := _mine(benchmark):
        ahead = _behind(benchmark, mine[-1])
        lines += [f"A baseline is ahead of `{mine[-1]}` in: {', '.join(ahead) or 'none'}.", ""]
        lines += ["## Against the best baseline", "", against_best(benchmark), ""]
        lines += ["## Where the annotator guessed", "", by_kind(benchmark, mine[-1]), ""]
        for tag, text in TAGS.items():
            if shown := by_tag(benchmark, tag, mine[-1]):
                lines += [f"## By {text}", "", shown, ""]
    if ASIS in benchmark.scores:
        lines += ["## Nothing hidden: what becomes of labels", "", asis(benchmark), ""]
    return "\n".join(lines)


def _mine(benchmark: LabelledBenchmark) -> list[str]:
    """Our qualities that were evaluated."""
    return [
        name for name, settings in QUALITIES.items() if settings.carry_residual
        and any(name in scores for scores in benchmark.scores.values())
    ]


def _hidden(benchmark: LabelledBenchmark) -> list[str]:
    return [protocol for protocol in benchmark.scores if protocol != ASIS]


def glance(benchmark: LabelledBenchmark) -> str:
    """Methods by protocols."""
    protocols = _hidden(benchmark)
    names = dict.fromkeys(name for p in protocols for name in benchmark.scores[p])
    rows = [
        [name, *(cell(mean_error(benchmark.scores[p][name])) for p in protocols)]
        for name in names
    ]
    return table(["method", *protocols], rows)


def best(scores: dict[str, list[ClipScore]]) -> str | None:
    """The baseline of the least error among those that give a place to whatever counts."""
    whole = {
        name: error for name in BASELINES if name in scores
        if (error := mean_error(scores[name])) is not None
        and not sum(score.lost for score in scores[name])
    }
    return min(whole, key=lambda name: whole[name]) if whole else None


def _rows(benchmark: LabelledBenchmark, name: str):
    """Protocol, the best baseline, and the difference of a method to it."""
    for protocol in _hidden(benchmark):
        scores = benchmark.scores[protocol]
        other = best(scores)
        if name in scores and other is not None:
            yield protocol, other, difference(scores[name], scores[other])


def _behind(benchmark: LabelledBenchmark, name: str) -> list[str]:
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
    for protocol in _hidden(benchmark):
        scores, other = benchmark.scores[protocol], best(benchmark.scores[protocol])
        if name in scores and other is not None:
            rows.append([protocol, other, *(
                cell(mean_error(scores[n], kind)) for kind in KINDS for n in (name, other)
            )])
    return table(["protocol", "best baseline",
                  *(f"{kind}: {n}" for kind in KINDS for n in (name, "best"))], rows)


def by_tag(benchmark: LabelledBenchmark, tag: str, name: str) -> str:
    """Values of a tag by protocols: error of ours (of the best baseline overall); empty where
    clips have no such tag."""
    protocols = [p for p in _hidden(benchmark) if name in benchmark.scores[p]]
    values = sorted({tags[tag] for p in protocols for tags in benchmark.tags[p]} - {""},
                    key=lambda value: [int(n) if n.isdecimal() else n for n in value.split("-")]
                    if tag == "turn" else value)
    rows = []
    for value in values:
        row = [value]
        for protocol in protocols:
            scores, other = benchmark.scores[protocol], best(benchmark.scores[protocol])
            here = [i for i, tags in enumerate(benchmark.tags[protocol]) if tags[tag] == value]
            mine = [scores[name][i] for i in here]
            theirs = [scores[other][i] for i in here] if other else []
            row.append(f"{cell(mean_error(mine))} ({cell(mean_error(theirs))})" if here else "-")
        rows.append(row)
    return table([tag, *protocols], rows) if rows and protocols else ""


def asis(benchmark: LabelledBenchmark) -> str:
    """What methods make of labels when nothing is hidden."""
    rows = []
    for name, scores in benchmark.scores[ASIS].items():
        share, clips = moved(scores)
        rough = [score.jitter for score in scores if score.jitter is not None]
        row = [name, cell(mean_error(scores)), f"{100 * share:.3f} %", f"{clips} of {len(scores)}"]
        for part in FAST:
            found = peaks(scores, part)
            row.append(f"{found[0]:.2f} ({found[1]:.2f})" if found else "-")
        rows.append([*row, cell(float(np.mean(rough)) if rough else None)])
    return table(["method", "error", "moved > half a head", "in clips",
                  *(f"peak of {part}s out/in (10 %)" for part in FAST), "jitter out/in"], rows)


def interval(found: Interval | None) -> str:
    """A difference and its interval."""
    if found is None:
        return "-"
    return f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def save(benchmark: LabelledBenchmark, folder: str | os.PathLike) -> list[Path]:
    """Writes 'tables.md' and 'evaluation.json'; returns the files."""
    content = {
        "setup": benchmark.setup, "tags": benchmark.tags,
        "scores": {p: {n: [dataclasses.asdict(s) for s in scores] for n, scores in found.items()}
                   for p, found in benchmark.scores.items()},
    }
    texts = {"tables.md": markdown(benchmark), "evaluation.json": json.dumps(content) + "\n"}
    for name, text in texts.items():
        with atomic_path(Path(folder) / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return [Path(folder) / name for name in texts]
