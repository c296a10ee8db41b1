"""The benchmark: methods by protocols on held-out motion, scored, with a memory of what is done."""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.evaluation import examples
from posegan_jax.evaluation import methods as ours
from posegan_jax.evaluation.clips import FRAMES, View, has_clips2d
from posegan_jax.evaluation.contenders import complete_all, fitted
from posegan_jax.evaluation.material import DETECTIONS, cases_of, chosen_views, real_windows
from posegan_jax.evaluation.memory import Memory, told_apart
from posegan_jax.evaluation.plausibility import Real, plausibility
from posegan_jax.evaluation.protocols import PROTOCOLS, Case
from posegan_jax.evaluation.scores import Scores, score
from posegan_jax.evaluation.settings import DEFAULT_PROTOCOLS, EvaluateOptions
from posegan_jax.evaluation.specialist import School, can_learn
from posegan_jax.formats import npz
from posegan_jax.geometry.body import has_head
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.pose.sequence import PoseFile, PoseSequence, Provenance

TRUTH = "truth"
EVERYTHING = "everything"
DEFAULT_PROTOCOLS_2D = ("noise",)


@dataclasses.dataclass(frozen=True)
class Result:
    """One method under one protocol."""

    protocol: str
    method: str
    scores: Scores


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """All results, in the order of protocols and methods.

    Attributes:
      setup: what was evaluated on what, in plain values.
      texts: protocol -> what it is, in words.
      notes: what the reader should know besides, one line each.
      results: one for every protocol and method.
      real: protocol -> plausibility of the truth itself, over the joints that count there.
      kinds: protocol -> kind of motion of every clip, empty where nobody said.
      names: protocol -> name of every clip.
    """

    setup: dict[str, Any]
    texts: dict[str, str]
    notes: tuple[str, ...]
    results: tuple[Result, ...]
    real: dict[str, dict[str, float | None]]
    kinds: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def of(self, protocol: str) -> dict[str, Scores]:
        """Method -> scores under one protocol."""
        return {r.method: r.scores for r in self.results if r.protocol == protocol}


Progress = Callable[[str, int, int], None]
"""Called with what is being done, and clips done and in all over everything."""


def run_benchmark(
    inpainter: Inpainter, options: EvaluateOptions, output: str | os.PathLike | None = None,
    progress: Progress | None = None, networks: str | os.PathLike | None = None,
) -> Benchmark:
    """Evaluates methods under protocols.

    Args:
      inpainter: the networks of our methods.
      options: what is evaluated on what.
      output: folder in which results are kept while it runs: a run that was interrupted goes on
        where it stopped when it is started again with the same options. The tracks of the first
        clip stay there, 'tracks/PROTOCOL/METHOD.npz', to be drawn, and so do the pictures of
        ``pictures``.
      progress: see ``Progress``.
      networks: folder in which networks that are trained for a protocol are kept, which several
        runs may share; by default within ``output``, until it is finished.

    Raises:
      InputError: unknown names, no such motion, no training motion for a method that was asked for
        by name, or a folder that cannot be written.
    """
    model, detected = inpainter.model.options, inpainter.model.detected
    protocols, asked = resolve(options, model.frames)
    views = chosen_views(options, model)
    real = Real.of(real_windows(options, model))
    setup = _setup(inpainter, options, views)
    memory = Memory(output, setup, (ours.INPUT, *ours.baselines()))
    methods, notes = fitted(inpainter, options, asked, networks or memory.networks)
    sets, more = cases_of(options, protocols, views, detected)
    weights = ours.letter(inpainter.metadata)
    names = {
        protocol: [name for name in asked if name in methods
                   and (can_learn(protocol) or not isinstance(methods[name], School))]
        for protocol in sets
    }
    done, total = 0, sum(len(names[protocol]) * len(cases) for protocol, (cases, _) in sets.items())
    results = []

    def tell(what: str, more: int = 0) -> None:
        if progress:
            progress(what, done + more, total)

    for protocol, (cases, _) in sets.items():
        _save_tracks(output, protocol, cases[0], {TRUTH: cases[0].truth})
        for name in names[protocol]:
            label = ours.label(name, weights)
            kept = memory.load(protocol, label)
            if kept is None:
                tracks = complete_all(methods[name], protocol, label, cases, tell)
                scores = score(cases, tracks, options.head, real)
                _save_tracks(output, protocol, cases[0], {label: tracks[0]})
                memory.save(protocol, label, dataclasses.asdict(scores))
            else:
                scores = Scores(**kept)
            done += len(cases)
            tell(f"{protocol}: {label}")
            results.append(Result(protocol, label, scores))
        if output is not None:
            found = {r.method: r.scores for r in results if r.protocol == protocol}
            examples.draw(Path(output), protocol, cases, found, methods)
    return _put_together(setup, [*notes, *more], results, sets, real)


def _put_together(
    setup: dict[str, Any], notes: Sequence[str], results: Sequence[Result],
    sets: Mapping[str, tuple[list[Case], str]], real: Real,
) -> Benchmark:
    texts = {protocol: text for protocol, (_, text) in sets.items()}
    truths = {protocol: plausibility(cases, [case.truth for case in cases], real)
              for protocol, (cases, _) in sets.items()}
    kinds, names = (
        {protocol: tuple(getattr(case, part) for case in cases)
         for protocol, (cases, _) in sets.items()} for part in ("kind", "name")
    )
    return Benchmark(setup, texts, tuple(notes), tuple(results), truths, kinds, names)


def _save_tracks(
    output: str | os.PathLike | None, protocol: str, case: Case, tracks: dict[str, np.ndarray]
) -> None:
    """Keeps tracks of a case to be drawn."""
    if output is None:
        return
    folder = Path(output) / "tracks" / protocol
    folder.mkdir(parents=True, exist_ok=True)
    for name, keypoints in tracks.items():
        seen = case.observed | (name == TRUTH)
        sequence = PoseSequence(
            keypoints, None, case.fps, case.skeleton.name, person=1,
            provenance=np.where(seen, Provenance.OBSERVED, Provenance.FILLED),
        )
        npz.write(PoseFile((sequence,), "npz"), folder / f"{name}.npz")


def resolve(options: EvaluateOptions, frames: int = FRAMES) -> tuple[list[str], list[str]]:
    """Protocols and methods by their plain names, each once, in the order asked for.

    Args:
      options: what is evaluated on what.
      frames: of the model's windows.

    Raises:
      InputError: an unknown name, or detections without 2D clips.
    """
    flat = has_clips2d(options.motion)
    if options.detections and not flat:
        raise InputError(f"{options.motion}: has no 2D test clips that detections could be of")
    protocols = options.protocols
    if not protocols:
        protocols = DEFAULT_PROTOCOLS_2D if flat else DEFAULT_PROTOCOLS
        protocols = (DETECTIONS,) if options.detections else protocols
    if EVERYTHING in protocols:
        protocols = (*([DETECTIONS] if options.detections else []), *PROTOCOLS)
    for name in protocols:
        if name not in PROTOCOLS and name != DETECTIONS:
            known = ", ".join((*PROTOCOLS, DETECTIONS, EVERYTHING))
            raise InputError(f"unknown protocol {name!r}; protocols are: {known}")
    if DETECTIONS in protocols and not options.detections:
        raise InputError("the protocol 'detections' needs --detections FOLDER")
    methods = [ours.plain(name) for name in options.methods or ours.main_methods()]
    ours.check_methods(methods, frames)
    return list(dict.fromkeys(protocols)), list(dict.fromkeys(methods))


def _setup(inpainter: Inpainter, options: EvaluateOptions, views: Sequence[View]) -> dict[str, Any]:
    """Everything that results depend on but protocol and method, in plain values."""
    def base(paths: str) -> str:
        return ",".join(Path(path).name for path in paths.split(","))

    return {
        "motion": base(options.motion),
        "split": "2D test clips" if has_clips2d(options.motion) else options.split,
        "train": base(options.train or options.motion),
        "detections": base(options.detections) if options.detections else "",
        "unit": options.unit,
        "clips": len(views),
        "frames": sum(len(view.keypoints) for view in views),
        "subjects": sorted({view.subject for view in views}),
        "seed": options.seed,
        "head": options.head if has_head(inpainter.skeleton, options.head) else "",
    } | told_apart(inpainter, (view.keypoints for view in views))


def iterate(benchmark: Benchmark) -> Iterator[tuple[str, str, str, str, float | None]]:
    """Protocol, method, group, metric, value; the plausibility is a group of its own."""
    for result in benchmark.results:
        groups = result.scores.values | {"plausibility": result.scores.plausibility}
        for group, metrics in groups.items():
            for metric, value in metrics.items():
                yield result.protocol, result.method, group, metric, value
    for protocol, measures in benchmark.real.items():
        for measure, value in measures.items():
            yield protocol, TRUTH, "plausibility", measure, value
