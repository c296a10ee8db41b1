"""Reads the official folder of MPI-INF-3DHP."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np

from data_pipelines.mocap.source import RATE, SPLITS, Source, resample
from data_pipelines.mpi_inf_3dhp.annotation import read_annotation, world_positions
from data_pipelines.mpi_inf_3dhp.visible import visible_stretches
from posegan_jax.errors import InputError
from posegan_jax.motion.clip import Clip
from posegan_jax.motion.clips2d import Clip2D

SUBJECTS = tuple(f"S{i}" for i in range(1, 9))
SEQUENCES = ("Seq1", "Seq2")
TEST = "S1"
"""The thesis's test actor (section 7.1)."""
CEILING = (11, 12, 13)
CAMERAS = tuple(camera for camera in range(14) if camera not in CEILING)
_FAST = {"S1/Seq2", "S3/Seq1", "S3/Seq2", "S5/Seq1", "S5/Seq2"}
"""Recorded at 50 frames per second, all others at 25."""
_THESIS = "thesis, native rates: 70 sequences of 87 to 12400 frames, 196178 in all"
_LICENCE = (
    "for research only, not to be redistributed (gvv.mpi-inf.mpg.de/3dhp-dataset); cite Mehta et "
    "al., Monocular 3D Human Pose Estimation In The Wild Using Improved CNN Supervision, 3DV 2017"
)


def read_mpi_inf_3dhp(
    folder: Path,
    subjects: Collection[str] | None = None,
    validation: Collection[str] | None = None,
    native: bool = False,
    threshold: float = 1.0,
    on_file: Callable[[], Any] = lambda: None,
) -> Source:
    """Actors 2 to 8 in 3D to train, actor 1 in 2D to test and in 3D to validate.

    Args:
      folder: with S1/Seq1/annot.mat and so on; videos are not read.
      subjects: those to read; all by default. Each must be there.
      validation: whose 3D motion validates rather than trains; S1 by default. S1 never trains.
      native: keep 50 frames per second where the recording has them.
      threshold: share of joints that leave the picture in a stretch that is cut.
      on_file: called once for every sequence.

    Raises:
      InputError: an unknown subject, or a file is missing or not as it must be.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    subjects = _known(subjects or SUBJECTS)
    validation = _known(validation or (TEST,))
    clips: dict[str, list[Clip]] = {split: [] for split in SPLITS}
    views: list[Clip2D] = []
    skipped = 0
    for subject in subjects:
        for name in (f"{subject}/{sequence}" for sequence in SEQUENCES):
            fps = 50.0 if name in _FAST else 25.0
            positions = world_positions(folder / name)
            if not native:
                positions = resample(positions, fps)
            if subject == TEST:
                found, short = _views(folder, name, fps, native, threshold)
                views += found
                skipped += short
            split = "validation" if subject in validation else "train"
            if split == "validation" or subject != TEST:
                rate = fps if native else RATE
                clips[split].append(Clip(positions, rate, subject, name, ""))
            on_file()
    return Source(
        dataset="MPI-INF-3DHP", licence=_LICENCE, clips=clips, skipped=skipped,
        views=views, notes=(_THESIS,) if views else (),
    )


def _views(
    folder: Path, name: str, fps: float, native: bool, threshold: float
) -> tuple[list[Clip2D], int]:
    """2D clips of a sequence, and how many were left out for having fewer than two frames."""
    clips, skipped = [], 0
    step = 1 if native else round(fps / RATE)
    annotations = read_annotation(folder / name / "annot.mat", "annot2", CAMERAS)
    for camera, keypoints in zip(CAMERAS, annotations, strict=True):
        frames = np.arange(0, len(keypoints), step)
        keypoints = keypoints[::step]
        for stretch in visible_stretches(keypoints, threshold):
            if len(frames[stretch]) < 2:
                skipped += 1
            else:
                clips.append(
                    Clip2D(keypoints[stretch], name, camera, frames[stretch], fps / step)
                )
    return clips, skipped


def _known(subjects: Collection[str]) -> tuple[str, ...]:
    unknown = sorted(set(subjects) - set(SUBJECTS))
    if unknown:
        raise InputError(
            f"MPI-INF-3DHP has no subject {', '.join(unknown)}; it has {', '.join(SUBJECTS)}"
        )
    return tuple(subject for subject in SUBJECTS if subject in subjects)
