"""What a builder finds in a data set, and how frames become clips."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from posegan_jax.motion.labels import LabelledClip


class Labels(NamedTuple):
    """What a data set holds.

    Attributes:
      clips: all of the same joints.
      dataset: its name.
      licence: where its terms are, and what it asks to be cited.
      notes: what the user should know, one line each.
    """

    clips: list[LabelledClip]
    dataset: str
    licence: str
    notes: tuple[str, ...] = ()


def stretches(frames: Sequence[int], gap: int) -> list[list[int]]:
    """Cuts frame numbers that increase where more than ``gap`` of them are missing in a row."""
    found: list[list[int]] = []
    for frame in frames:
        if found and frame - found[-1][-1] <= gap + 1:
            found[-1].append(frame)
        else:
            found.append([frame])
    return found


def with_labels(clips: Sequence[LabelledClip]) -> list[LabelledClip]:
    """The clips without the joints that have no label in any of them.

    Data sets of one format name joints that they do not mark, such as PoseTrack's ears.
    """
    kept = np.any([clip.labelled.any(axis=0) for clip in clips], axis=0)
    if kept.all():
        return list(clips)
    return [
        LabelledClip(
            clip.keypoints[:, kept], clip.guessed[:, kept],
            tuple(joint for joint, keep in zip(clip.joints, kept, strict=True) if keep),
            clip.name, clip.action, clip.view, clip.fps,
        )
        for clip in clips
    ]
