"""The benchmark: methods by protocols on held-out motion, scored, with a memory of what is done."""

import copy
import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.evaluation import methods as ours
from posegan_jax.evaluation import pictures
from posegan_jax.evaluation.baselines import LEARNED, TEMPORAL, Method, fit_baselines
from posegan_jax.evaluation.baselines import temporal as over_time
from posegan_jax.evaluation.clips import (
    FRAMES,
    View,
    annotated_clips,
    has_clips2d,
    view_clips,
    view_windows,
)
from posegan_jax.evaluation.detections import detected_cases
from posegan_jax.evaluation.differences import best
from posegan_jax.evaluation.plausibility import Real, plausibility
from posegan_jax.evaluation.protocols import PROTOCOLS, Case, make_case
from posegan_jax.evaluation.regressor import Regressor
from posegan_jax.evaluation.scores import Scores, score
from posegan_jax.evaluation.settings import DEFAULT_PROTOCOLS, EvaluateOptions
from posegan_jax.evaluation.specialist import Course, Recipe, School, can_learn
from posegan_jax.formats import npz
from posegan_jax.geometry.body import has_head, head_size
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.model.options import NetworkOptions
from posegan_jax.motion.store import load_clips
from posegan_jax.pose.sequence import PoseFile, PoseSequence, Provenance
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.runtime.files import atomic_path

DETECTIONS = "detections"
TRUTH = "truth"
EVERYTHING = "everything"
DEFAULT_PROTOCOLS_2D = ("noise",)
TRAIN_WINDOWS = 4096
"""Windows of training motion that regressions are fitted on."""
REAL_WINDOWS = 512
"""Windows of held-out real motion that results are compared with."""
RECIPE = Recipe()
"""By which networks for single protocols are trained."""
BATCH = 16
"""Windows that are searched at once on a CPU: most clips have no more."""


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
    """

    setup: dict[str, Any]
    texts: dict[str, str]
    notes: tuple[str, ...]
    results: tuple[Result, ...]
    real: dict[str, dict[str, float | None]]
    kinds: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

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
    views = _views(options, model)
    real = Real.of(_real_windows(options, model))
    setup = _setup(inpainter, options, views)
    memory = _Memory(output, setup)
    fitted, notes = _fit(inpainter, options, asked, networks or memory.networks)
    sets, more = _cases(options, protocols, views, detected)
    weights = ours.letter(inpainter.metadata)
    names = {
        protocol: [name for name in asked if name in fitted
                   and (can_learn(protocol) or not isinstance(fitted[name], School))]
        for protocol in sets
    }
    done, total = 0, sum(len(names[protocol]) * len(cases) for protocol, (cases, _) in sets.items())
    results = []

    def tell(what: str, more: int = 0) -> None:
        if progress:
            progress(what, done + more, total)

    for protocol, (cases, _) in sets.items():
        memory.save_tracks(protocol, cases[0], {TRUTH: cases[0].truth})
        for name in names[protocol]:
            label = ours.label(name, weights)
            scores = memory.load(protocol, label)
            if scores is None:
                tracks = _tracks(fitted[name], protocol, label, cases, tell)
                scores = score(cases, tracks, options.head, real)
                memory.save_tracks(protocol, cases[0], {label: tracks[0]})
                memory.save(protocol, label, scores)
            done += len(cases)
            tell(f"{protocol}: {label}")
            results.append(Result(protocol, label, scores))
        if output is not None:
            found = {r.method: r.scores for r in results if r.protocol == protocol}
            _draw(Path(output), protocol, cases, found, fitted)
    texts = {protocol: text for protocol, (_, text) in sets.items()}
    truths = {protocol: plausibility(cases, [case.truth for case in cases], real)
              for protocol, (cases, _) in sets.items()}
    kinds = {protocol: tuple(c.kind for c in cases) for protocol, (cases, _) in sets.items()}
    return Benchmark(setup, texts, (*notes, *more), tuple(results), truths, kinds)


def _tracks(
    method: Method | School, protocol: str, label: str, cases: Sequence[Case],
    tell: Callable[[str, int], None],
) -> list[np.ndarray]:
    """What a method makes of every case; a network is trained for the protocol before."""
    method = _taught(
        method, protocol,
        lambda now, epochs: tell(f"{protocol}: {label}, epoch {now} of {epochs}", 0),
    )
    tracks: list[np.ndarray] = []
    for case in cases:
        tell(f"{protocol}: {label}", len(tracks))
        tracks.append(method(case.sequence))
    return tracks


def _taught(
    method: Method | School, protocol: str, tell: Callable[[int, int], None] | None = None
) -> Method:
    """A method, or the network of the protocol."""
    return method.network(protocol, tell) if isinstance(method, School) else method


def _draw(
    folder: Path, protocol: str, cases: Sequence[Case], scores: dict[str, Scores],
    fitted: dict[str, Method | School],
) -> None:
    """Pictures of a good, a middling and the worst clip of our last quality, by what was missing,
    or else by what was upsampled, or else by what was observed."""
    if not (mine := ours.qualities(scores)):
        return
    errors: dict[str, list[float | None]] = {}
    for part in ("missing", "upsampled", "observed"):
        if scores[mine[-1]].values[part]["error"] is not None:
            shown = [n for n in (best(scores, ours.baselines(), part, "error"), mine[-1]) if n]
            errors = {
                name: [total / count if count else None
                       for total, count in scores[name].clips[part]["error"]] for name in shown
            }
            break
    for example, i in pictures.examples(errors.get(mine[-1], [])).items():
        case = cases[i]
        rows = {"truth": case.truth} | {
            f"{name}: {pictures.heads(error[i])}": _taught(fitted[name], protocol)(case.sequence)
            for name, error in errors.items()
        }
        size = head_size(case.truth, case.skeleton)
        marked = pictures.not_given(case.truth, case.keypoints, size)
        title = f"{protocol}, {example}: clip {i + 1}"
        scene = pictures.Scene(title, rows, marked, case.skeleton.name)
        pictures.draw(scene, folder / f"{protocol}-{example}.png")


def finish(output: str | os.PathLike) -> None:
    """Forgets the results that were kept for a run to go on; what was made of them is written."""
    shutil.rmtree(Path(output) / _PARTS, ignore_errors=True)


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


# --- what is evaluated ----------------------------------------------------------------------------


def _views(options: EvaluateOptions, model: NetworkOptions) -> list[View]:
    if options.unit == "windows":
        return _windows(options, model, options.count, options.seed)
    count, skeleton = options.count or None, get_skeleton(model.skeleton)
    if has_clips2d(options.motion):
        return annotated_clips(
            options.motion, count, longest=options.longest, seed=options.seed, skeleton=skeleton
        )
    longest = options.longest or 1_000_000
    return view_clips(
        options.motion, options.split, count, options.seed, longest, skeleton=skeleton,
        shortest=options.shortest,
    )


def _windows(options: EvaluateOptions, model: NetworkOptions, count: int, seed: int) -> list[View]:
    skeleton = get_skeleton(model.skeleton)
    if has_clips2d(options.motion):
        return annotated_clips(options.motion, count, model.frames, seed=seed, skeleton=skeleton)
    return view_windows(
        options.motion, options.split, count, model.frames, seed, skeleton=skeleton
    )


def _real_windows(options: EvaluateOptions, model: NetworkOptions) -> np.ndarray:
    """(N, F, J, 2) of the same people, at other places and through other cameras."""
    views = _windows(options, model, REAL_WINDOWS, options.seed + 1)
    return np.stack([view.keypoints for view in views])


def _cases(
    options: EvaluateOptions, protocols: Sequence[str], views: Sequence[View],
    detected: Sequence[str],
) -> tuple[dict[str, tuple[list[Case], str]], list[str]]:
    """Protocol -> cases and what it is in words; and notes."""
    sets, notes = {}, []
    flat = has_clips2d(options.motion)
    for name in protocols:
        if name == DETECTIONS:
            cases, lacking = detected_cases(options.detections, views, detected)
            sets[name] = cases, "what a detector found in the videos"
            if lacking:
                notes.append(f"{lacking} of {len(views)} test clips have no file of detections")
            continue
        cases = [
            make_case(
                name, view.keypoints, view.skeleton, options.seed, number, view.fps, view.spans,
                detected, view.kind,
            )
            for number, view in enumerate(views)
        ]
        text = PROTOCOLS[name].text
        if flat and PROTOCOLS[name].noisy:
            text += " (simulated: the annotated 2D joints stand in for a detector's)"
        sets[name] = cases, text
    return sets, notes


def _fit(
    inpainter: Inpainter, options: EvaluateOptions, names: Sequence[str],
    networks: str | os.PathLike | None,
) -> tuple[dict[str, Method | School], list[str]]:
    """Name -> method for all that can be had, and notes on what cannot."""
    methods: dict[str, Method | School] = {ours.INPUT: lambda sequence: sequence.keypoints}
    notes = []
    if wanted := set(names) & {*TEMPORAL, *LEARNED, ours.NETWORK}:
        found = _learners(inpainter, options, wanted, networks)
        if found is None:
            missing = [name for name in (*LEARNED, ours.NETWORK) if name in names]
            if options.methods and missing:
                raise InputError(
                    f"{options.train or options.motion}: no training clips for "
                    f"{', '.join(missing)}; give --train MOTION, or other methods"
                )
            found = {
                name: over_time(smooth, detected=inpainter.model.detected)
                for name, smooth in TEMPORAL.items()
            }
            notes.append(
                "no training clips: what learns from them is left out, and baselines over time "
                "give no joint that is never observed; --train MOTION gives them"
            )
        methods |= found
    if ours.REGRESSOR in names:
        regressor = Regressor.packaged()
        if regressor is not None and regressor.fits(inpainter.model):
            methods[ours.REGRESSOR] = regressor
        elif options.methods:
            raise InputError("this package comes without a regressor for the model's windows")
    if options.unit == "windows":
        inpainter = _smaller(inpainter, 2)
    elif jax.default_backend() == "cpu":
        inpainter = _smaller(inpainter, BATCH)
    for name in names:
        if name not in methods and name not in ours.baselines():
            methods[name] = ours.our_method(inpainter, name)
    return methods, notes


def _learners(
    inpainter: Inpainter, options: EvaluateOptions, names: Collection[str],
    networks: str | os.PathLike | None,
) -> dict[str, Method | School] | None:
    """Name -> what learns from training clips, or is completed by it; None without such clips."""
    source, model = options.train or options.motion, inpainter.model.options
    if Path(source).is_file() and has_clips2d(source):
        return None
    try:
        load_clips(source, "train", inpainter.skeleton)
    except InputError:
        if options.train:
            raise
        return None
    methods: dict[str, Method | School] = {}
    detected = tuple(inpainter.model.detected)
    if baselines := set(names) - {ours.NETWORK}:
        train = view_windows(
            source, "train", TRAIN_WINDOWS, model.frames, options.seed, skeleton=inpainter.skeleton
        )
        methods |= fit_baselines(train, detected, baselines)
    if ours.NETWORK in names:
        course = Course(source, inpainter.skeleton, model.frames, detected, options.seed, RECIPE)
        methods[ours.NETWORK] = School(course, networks)
    return methods


def _smaller(inpainter: Inpainter, batch: int) -> Inpainter:
    changed = copy.copy(inpainter)
    changed.solver = inpainter.solver.another(min(batch, inpainter.batch))
    return changed


def _setup(inpainter: Inpainter, options: EvaluateOptions, views: Sequence[View]) -> dict[str, Any]:
    """Everything that results depend on but protocol and method, in plain values."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(jax.device_get(inpainter.variables)):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    for view in views:
        digest.update(view.keypoints.tobytes())

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
        "detected": list(inpainter.model.detected),
        "weights": inpainter.metadata.get("trained_on", ""),
        "digest": digest.hexdigest()[:16],
    }


# --- what is kept ---------------------------------------------------------------------------------

_PARTS = ".parts"


class _Memory:
    """Results of single methods, in files that appear whole or not at all."""

    def __init__(self, output: str | os.PathLike | None, setup: dict[str, Any]):
        self.folder = Path(output) if output is not None else None
        self.setup = setup
        if self.folder:
            try:
                (self.folder / _PARTS).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"cannot write {output}: {error.strerror}") from error

    @property
    def networks(self) -> Path | None:
        """Where networks are kept that are trained for a protocol."""
        return self.folder and self.folder / _PARTS / "networks"

    def load(self, protocol: str, method: str) -> Scores | None:
        path = self._path(protocol, method)
        if path is None or not path.is_file():
            return None
        content = json.loads(path.read_text())
        return Scores(**content["scores"]) if content["setup"] == self.setup else None

    def save(self, protocol: str, method: str, scores: Scores) -> None:
        if (path := self._path(protocol, method)) is not None:
            with atomic_path(path) as temporary:
                content = {"setup": self.setup, "scores": dataclasses.asdict(scores)}
                temporary.write_text(json.dumps(content))

    def save_tracks(self, protocol: str, case: Case, tracks: dict[str, np.ndarray]) -> None:
        if not self.folder:
            return
        folder = self.folder / "tracks" / protocol
        folder.mkdir(parents=True, exist_ok=True)
        for name, keypoints in tracks.items():
            seen = case.observed | (name == TRUTH)
            sequence = PoseSequence(
                keypoints, None, case.fps, case.skeleton.name, person=1,
                provenance=np.where(seen, Provenance.OBSERVED, Provenance.FILLED),
            )
            npz.write(PoseFile((sequence,), "npz"), folder / f"{name}.npz")

    def _path(self, protocol: str, method: str) -> Path | None:
        return self.folder / _PARTS / f"{protocol}.{method}.json" if self.folder else None


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
