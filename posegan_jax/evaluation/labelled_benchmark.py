"""The benchmark on labelled video: methods by protocols on real bodies."""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.evaluation import methods as ours
from posegan_jax.evaluation import pictures
from posegan_jax.evaluation.baselines import TEMPORAL, Method, temporal
from posegan_jax.evaluation.clips import FRAMES
from posegan_jax.evaluation.detections import detected_labels
from posegan_jax.evaluation.labelled import (
    DETECTIONS,
    LABELLED,
    LabelledCase,
    labelled_cases,
    usable,
)
from posegan_jax.evaluation.labelled_scores import ClipScore, mean_error, score_clip
from posegan_jax.evaluation.memory import Memory, told_apart
from posegan_jax.evaluation.same_set import Cut, SameSet
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.motion.labels import LabelledClip, load_labels
from posegan_jax.pose.carry import carry_joints
from posegan_jax.pose.skeleton import get_skeleton, skeleton_of

RIDGE, RIDGE_WINDOWS = "ridge-same-set", "ridge-windows-same-set"
"""Ridges that were fitted on all other clips of the set, frame by frame and over windows."""
SAME_SET = {RIDGE: Cut(1, 6), RIDGE_WINDOWS: Cut(FRAMES, FRAMES // 2)}
BASELINES = (*TEMPORAL, *SAME_SET)
DEFAULT_METHODS = (ours.INPUT, *BASELINES, "fast", "balanced")
LOST = 0.01
"""Share of what counts that a baseline may give no place, beyond what all of them lack."""
EVERYTHING = "everything"
Progress = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True)
class LabelledBenchmark:
    """All scores.

    Attributes:
      setup: what was evaluated on what, in plain values.
      notes: what the reader should know besides, one line each.
      scores: protocol -> method -> one for every clip.
      tags: protocol -> those of the same clips.
    """

    setup: dict[str, Any]
    notes: tuple[str, ...]
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
        ``labelled.LABELLED``, or 'detections' where there is a folder of them.
      output: folder in which scores are kept while it runs, as of ``benchmark.run_benchmark``, and
        which gets the pictures of ``pictures``.
      progress: called with what is being done, and clips done and in all over everything.

    Raises:
      InputError: unknown names, no usable clips, detections that cannot be read, or a folder that
        cannot be written.
    """
    protocols, names = resolve(options, inpainter.model.frames)
    everything = usable(load_labels(options.motion), options.seed)
    clips = everything[: options.count or None]
    sets, notes = _cases(inpainter, options, protocols, clips)
    setup = _setup(inpainter, options, clips)
    memory = Memory(output, setup, (ours.INPUT, *BASELINES))
    methods = _Methods(inpainter, everything)
    done, total = 0, len(names) * sum(map(len, sets.values()))
    scores: dict[str, dict[str, list[ClipScore]]] = {name: {} for name in protocols}
    for protocol, cases in sets.items():
        for name in names:
            kept = memory.load(protocol, name)
            found = [ClipScore(**score) for score in kept or ()]
            if kept is None:
                by_case: dict[int, ClipScore] = {}
                for i, result in methods(name, cases):
                    by_case[i] = score_clip(cases[i], result)
                    if progress:
                        progress(f"{protocol}: {name}", done + len(by_case), total)
                found = [by_case[i] for i in range(len(cases))]
                memory.save(protocol, name, list(map(dataclasses.asdict, found)))
            done += len(cases)
            scores[protocol][name] = found
        if output is not None:
            _draw(Path(output), protocol, cases, scores[protocol], methods)
    tags = {protocol: [case.tags for case in cases] for protocol, cases in sets.items()}
    return LabelledBenchmark(setup, notes, scores, tags)


def resolve(options: EvaluateOptions, frames: int = FRAMES) -> tuple[list[str], list[str]]:
    """Names of protocols and methods, each once.

    Raises:
      InputError: an unknown name, or 'detections' without a folder of them.
    """
    protocols = list(options.protocols) or [DETECTIONS if options.detections else EVERYTHING]
    if EVERYTHING in protocols:
        protocols = [*LABELLED, *([DETECTIONS] if options.detections else [])]
    for name in protocols:
        if name not in LABELLED and name != DETECTIONS:
            raise InputError(
                f"unknown protocol {name!r}; those of labelled video are: "
                f"{', '.join((*LABELLED, DETECTIONS, EVERYTHING))}"
            )
    if DETECTIONS in protocols and not options.detections:
        raise InputError(f"the protocol {DETECTIONS!r} needs --detections FOLDER")
    names = list(dict.fromkeys(map(ours.plain, options.methods or DEFAULT_METHODS)))
    ours.check_methods([name for name in names if name not in BASELINES], frames)
    return list(dict.fromkeys(protocols)), names


def _cases(
    inpainter: Inpainter, options: EvaluateOptions, protocols: Sequence[str],
    clips: Sequence[LabelledClip],
) -> tuple[dict[str, list[LabelledCase]], tuple[str, ...]]:
    """Protocol -> cases; and notes."""
    sets, notes = {}, []
    skeleton, detected = inpainter.skeleton, inpainter.model.detected
    for name in protocols:
        if name == DETECTIONS:
            sets[name], lacking = detected_labels(options.detections, clips, skeleton, detected)
            if lacking:
                notes.append(f"{lacking} of {len(clips)} clips have no file of detections")
        else:
            sets[name] = labelled_cases(name, clips, skeleton, options.seed, detected)
    return sets, tuple(notes)


def best(scores: Mapping[str, Sequence[ClipScore]]) -> str | None:
    """The baseline of the least error among those that give a place to all that counts, or, where
    none does, to as much of it as any other, but for ``LOST``."""
    errors = {
        name: error for name in BASELINES
        if name in scores and (error := mean_error(scores[name])) is not None
    }
    lost = {name: sum(score.lost for score in scores[name]) for name in errors}
    for name in errors:
        bearable = min(lost.values()) + LOST * sum(score.total("count") for score in scores[name])
        lost[name] = int(lost[name] > bearable)
    return min(errors, key=lambda name: (lost[name], errors[name])) if errors else None


class _Methods:
    """Methods by name. What learns from the set is cut into windows once."""

    def __init__(self, inpainter: Inpainter, clips: Sequence[LabelledClip]):
        self._inpainter, self._clips = inpainter, clips
        self.detected = inpainter.model.detected
        self._ridges: dict[str, SameSet] = {}

    def __call__(
        self, name: str, cases: Sequence[LabelledCase]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """What a method makes of every case (T, J, 2), in any order: its position, and that."""
        if name in SAME_SET:
            yield from self._ridge(name)(cases)
            return
        method = self._method(name)
        for i, case in enumerate(cases):
            yield i, method(case.sequence)

    def _method(self, name: str) -> Method:
        if name == ours.INPUT:
            return lambda sequence: sequence.keypoints
        smooth = TEMPORAL.get(name)
        if smooth is None:
            return ours.our_method(self._inpainter, name)
        return temporal(smooth, None, self.detected)

    def _ridge(self, name: str) -> SameSet:
        if name not in self._ridges:
            self._ridges[name] = SameSet(
                self._clips, self._inpainter.skeleton, self.detected, SAME_SET[name]
            )
        return self._ridges[name]


def _draw(
    folder: Path, protocol: str, cases: Sequence[LabelledCase],
    scores: Mapping[str, Sequence[ClipScore]], methods: _Methods,
) -> None:
    """Pictures of a good, a middling and the worst clip of our last quality."""
    if not (mine := ours.qualities(scores)):
        return
    shown = [name for name in (best(scores), mine[-1]) if name]
    chosen = pictures.examples(
        {name: [mean_error([score]) for score in scores[name]] for name in shown}
    )
    some = sorted({example.clip for example in chosen})
    tracks = {name: dict(methods(name, [cases[i] for i in some])) for name in shown}
    for example in chosen:
        case = cases[example.clip]
        rows = {
            pictures.caption(name, error): tracks[name][some.index(example.clip)]
            for name, error in example.errors.items()
        }
        title = f"{protocol}, {example.name}: {case.tags['name']} {case.tags['action']}".strip()
        scene = _scene(case, title, rows, methods.detected)
        pictures.draw(scene, pictures.path(folder, protocol, example.name))


def _scene(
    case: LabelledCase, title: str, rows: dict[str, np.ndarray], detected: Sequence[str]
) -> pictures.Scene:
    """The labelled joints alone: nothing tells whether others are right."""
    skeleton, old = skeleton_of(tuple(detected)), get_skeleton(case.sequence.skeleton)
    marked = pictures.not_given(case.truth, case.sequence.keypoints, case.head)
    rows = {"truth": case.truth} | {
        name: np.where(np.isfinite(case.truth), track, np.nan) for name, track in rows.items()
    }
    return pictures.Scene(
        title, {name: carry_joints(x, old, skeleton, np.nan) for name, x in rows.items()},
        carry_joints(marked, old, skeleton, False), skeleton.name,
    )


def _setup(
    inpainter: Inpainter, options: EvaluateOptions, clips: Sequence[LabelledClip]
) -> dict[str, Any]:
    return {
        "motion": Path(options.motion).name, "clips": len(clips),
        "frames": sum(len(clip.keypoints) for clip in clips), "seed": options.seed,
        "actions": len({clip.action for clip in clips}),
        "detections": Path(options.detections).name if options.detections else "",
    } | told_apart(inpainter, (clip.keypoints for clip in clips))
