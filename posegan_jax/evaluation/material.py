"""What the benchmark looks at: clips of a motion set through cameras, and what befalls them."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from posegan_jax.evaluation.clips import (
    View,
    annotated_clips,
    has_clips2d,
    view_clips,
    view_windows,
)
from posegan_jax.evaluation.detections import detected_cases
from posegan_jax.evaluation.protocols import PROTOCOLS, Case, make_case
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.model.options import NetworkOptions
from posegan_jax.pose.skeleton import get_skeleton

DETECTIONS = "detections"
REAL_WINDOWS = 512
"""Windows of held-out real motion that results are compared with."""


def chosen_views(options: EvaluateOptions, model: NetworkOptions) -> list[View]:
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


def real_windows(options: EvaluateOptions, model: NetworkOptions) -> np.ndarray:
    """(N, F, J, 2) of the same people, at other places and through other cameras."""
    views = _windows(options, model, REAL_WINDOWS, options.seed + 1)
    return np.stack([view.keypoints for view in views])


def cases_of(
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
        cases = [_case(name, view, options.seed, i, detected) for i, view in enumerate(views)]
        text = PROTOCOLS[name].text
        if flat and PROTOCOLS[name].noisy:
            text += " (simulated: the annotated 2D joints stand in for a detector's)"
        sets[name] = cases, text
    return sets, notes


def _case(
    protocol: str, view: View, seed: int, number: int, detected: Sequence[str]
) -> Case:
    case = make_case(
        protocol, view.keypoints, view.skeleton, seed, number, view.fps, view.spans, detected,
        view.kind,
    )
    return dataclasses.replace(case, name=view.name)
