"""A detector's files for 2D test clips, and for labelled video."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.evaluation.clips import View
from posegan_jax.evaluation.labelled import LabelledCase, make_labelled, place_labels
from posegan_jax.evaluation.labelled_body import head_size
from posegan_jax.evaluation.noise import ErrorKind
from posegan_jax.evaluation.protocols import Case
from posegan_jax.motion.labels import LabelledClip
from posegan_jax.pose.carry import carry_joints, on_skeleton
from posegan_jax.pose.rate import UNKNOWN_FPS
from posegan_jax.pose.sequence import PoseFile, PoseSequence
from posegan_jax.pose.skeleton import DETECTED_12, Skeleton, skeleton_of

FAR = 2.0
"""Heads off its label that a joint is at most, when people are compared: a joint that the detector
missed is as far off as one that is nowhere near."""
_ALPHAPOSE = "alphapose-results.json"

Detected = tuple[np.ndarray, np.ndarray]
"""Keypoints (T, J, 2) pixels, NaN where nothing was detected, and their scores (T, J)."""


def detection_path(folder: Path, name: str) -> Path | None:
    """The detections of one video, None where there are none.

    They are FOLDER/NAME.json, a file of that name with another ending, or a folder FOLDER/NAME,
    with AlphaPose's results or a file for every frame.

    Args:
      folder: of all videos.
      name: of the video, which may have folders in it.

    Raises:
      InputError: several files have that name.
    """
    place = folder / name
    paths = [place.with_name(f"{place.name}.json"), place / _ALPHAPOSE]
    if found := next((path for path in paths if path.is_file()), None):
        return found
    if place.is_dir() and formats.holds_frames(place):
        return place
    parent = place.parent
    others = sorted(
        path for path in (parent.iterdir() if parent.is_dir() else ())
        if path.is_file() and path.stem == place.name
    )
    if len(others) > 1:
        raise InputError(f"{folder}: {others[0].name} and {others[1].name} are of one video")
    return others[0] if others else None


def detected_cases(
    folder: str, views: Sequence[View], detected: Sequence[str] = DETECTED_12
) -> tuple[list[Case], int]:
    """What a detector found in the videos of 2D test clips.

    There is one person in these videos: where a file holds several, every frame takes the one with
    the highest scores over the detected joints.

    Args:
      folder: detections by sequence and camera, see ``detection_path``; frame numbers from 0.
      views: 2D test clips.
      detected: names of the joints that are taken from the files.

    Returns:
      A case for every view that there is a file of, and how many views there is none of.

    Raises:
      InputError: no such folder, no file of any view, or one that cannot be read.
    """
    files = _files(folder, {view.video: view.fps for view in views})
    cases = [
        _case(file, view, detected) for view in views
        if (file := files[view.video]) is not None
    ]
    return cases, len(views) - len(cases)


def detected_labels(
    folder: str, clips: Sequence[LabelledClip], skeleton: Skeleton,
    detected: Sequence[str] = DETECTED_12,
) -> tuple[list[LabelledCase], int]:
    """What a detector found in labelled video; every label counts.

    Of several people in a file the one counts who is nearest to the labels.

    Args:
      folder: detections by the clips' names, see ``detection_path``; a clip's first frame is 0.
      clips: of ``labelled.usable``, from the first one on.
      skeleton: of the model.
      detected: names of the joints that are taken from the files.

    Returns:
      A case for every clip that there is a file of, and how many clips there is none of.

    Raises:
      InputError: no such folder, no file of any clip, or one that cannot be read.
    """
    files = _files(folder, {clip.name: clip.fps or UNKNOWN_FPS for clip in clips})
    cases = []
    for number, clip in enumerate(clips):
        if (file := files[clip.name]) is None:
            continue
        truth, guessed = place_labels(clip, skeleton, detected)
        people = [
            _on_frames([person], np.arange(len(truth)), skeleton, detected) for person in file
        ] or [_on_frames([], np.arange(len(truth)), skeleton, detected)]
        size = head_size(clip)
        keypoints, scores = min(people, key=lambda found: _off(found[0], truth, size))
        sequence = PoseSequence(keypoints, scores, clip.fps or UNKNOWN_FPS, skeleton.name)
        marked = np.isfinite(truth[..., 0])
        cases.append(make_labelled(number, clip, truth, guessed, sequence, marked))
    return cases, len(clips) - len(cases)


def _files(folder: str, rates: dict[str, float]) -> dict[str, PoseFile | None]:
    """The files of videos by name, None where there is none; ``rates`` has frames per second."""
    if not Path(folder).is_dir():
        raise InputError(f"--detections {folder}: no such folder")
    paths = {name: detection_path(Path(folder), name) for name in rates}
    if not any(paths.values()):
        name = next(iter(rates))
        raise InputError(
            f"--detections {folder}: no file of the test clips, e.g. {name}.json or "
            f"{name}/{_ALPHAPOSE}"
        )
    return {
        name: formats.read(path, fps=rates[name]) if path else None
        for name, path in paths.items()
    }


def _case(file: PoseFile, view: View, detected: Sequence[str]) -> Case:
    keypoints, scores = _on_frames(list(file), view.frames, view.skeleton, detected)
    kinds = np.full(scores.shape, ErrorKind.GOOD, np.uint8)
    seen = view.skeleton.mask(detected)
    return Case(
        view.keypoints, keypoints, scores, kinds, view.skeleton, view.fps, seen, name=view.name
    )


def _on_frames(
    people: Sequence[PoseSequence], frames: np.ndarray, skeleton: Skeleton,
    detected: Sequence[str],
) -> Detected:
    """The detected joints in some frames; of several people the one with the highest scores."""
    usable = skeleton_of(tuple(detected))
    shape = len(frames), len(usable)
    keypoints, scores = np.full((*shape, 2), np.nan), np.zeros(shape)
    best = np.zeros(len(frames))
    for sequence in people:
        found = on_skeleton(sequence, usable.name)
        _, rows, here = np.intersect1d(found.frames, frames, return_indices=True)
        total = found.scores[rows].sum(axis=1)
        better = total > best[here]
        rows, here = rows[better], here[better]
        best[here] = total[better]
        keypoints[here], scores[here] = found.keypoints[rows], found.scores[rows]
    return (carry_joints(keypoints, usable, skeleton, np.nan),
            carry_joints(scores, usable, skeleton, 0.0))


def _off(keypoints: np.ndarray, truth: np.ndarray, size: float) -> float:
    """How far a person is off the labels (T, J, 2): mean of heads, none more than ``FAR``."""
    marked = np.isfinite(truth[..., 0])
    off = np.linalg.norm(keypoints - truth, axis=-1)[marked] / size
    return float(np.fmin(np.nan_to_num(off, nan=FAR), FAR).mean()) if marked.any() else FAR
