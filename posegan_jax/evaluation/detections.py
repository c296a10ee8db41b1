"""A detector's files for 2D test clips."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.evaluation.clips import View
from posegan_jax.evaluation.noise import ErrorKind
from posegan_jax.evaluation.protocols import Case
from posegan_jax.pose.carry import carry_joints, on_skeleton
from posegan_jax.pose.sequence import PoseFile
from posegan_jax.pose.skeleton import DETECTED_12, skeleton_of

NAMES = ("{video}.json", "{video}/alphapose-results.json")
"""Where the detections of a video such as S1/Seq2/video_4 are looked for."""


def detection_path(folder: Path, video: str) -> Path | None:
    """The file of one video, None where there is none."""
    paths = [folder / name.format(video=video) for name in NAMES]
    return next((path for path in paths if path.is_file()), None)


def detected_cases(
    folder: str, views: Sequence[View], detected: Sequence[str] = DETECTED_12
) -> tuple[list[Case], int]:
    """What a detector found in the videos of 2D test clips.

    There is one person in these videos: where a file holds several, every frame takes the one with
    the highest scores over the detected joints.

    Args:
      folder: one file per sequence and camera, named as in ``NAMES``; frame numbers from 0.
      views: 2D test clips.
      detected: names of the joints that are taken from the files.

    Returns:
      A case for every view that there is a file of, and how many views there is none of.

    Raises:
      InputError: no such folder, no file of any view, or one that cannot be read.
    """
    if not Path(folder).is_dir():
        raise InputError(f"--detections {folder}: no such folder")
    files: dict[str, PoseFile | None] = {}
    cases = []
    for view in views:
        if view.video not in files:
            path = detection_path(Path(folder), view.video)
            files[view.video] = formats.read(path, fps=view.fps) if path else None
        if (file := files[view.video]) is not None:
            cases.append(_case(file, view, detected))
    if not cases:
        wanted = " or ".join(name.format(video=views[0].video) for name in NAMES)
        raise InputError(f"--detections {folder}: no file of the test clips, e.g. {wanted}")
    return cases, len(views) - len(cases)


def _case(file: PoseFile, view: View, detected: Sequence[str]) -> Case:
    usable = skeleton_of(tuple(detected))
    shape = len(view.frames), len(usable)
    keypoints, scores = np.full((*shape, 2), np.nan), np.zeros(shape)
    best = np.zeros(len(view.frames))
    for sequence in file:
        found = on_skeleton(sequence, usable.name)
        _, rows, here = np.intersect1d(found.frames, view.frames, return_indices=True)
        total = found.scores[rows].sum(axis=1)
        better = total > best[here]
        rows, here = rows[better], here[better]
        best[here] = total[better]
        keypoints[here], scores[here] = found.keypoints[rows], found.scores[rows]
    keypoints = carry_joints(keypoints, usable, view.skeleton, np.nan)
    scores = carry_joints(scores, usable, view.skeleton, 0.0)
    kinds = np.full(scores.shape, ErrorKind.GOOD, np.uint8)
    seen = view.skeleton.mask(detected)
    return Case(view.keypoints, keypoints, scores, kinds, view.skeleton, view.fps, seen)
