"""JHMDB (Jhuang et al., ICCV 2013): 928 clips of 21 actions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from data_pipelines.labels import matlab
from data_pipelines.labels.source import Labels
from posegan_jax.errors import InputError
from posegan_jax.motion.labels import LabelledClip

# In the order of the files. Its face is the middle of the head; no skeleton of ours has its belly.
JOINTS = (
    "neck", "belly", "head", "right_shoulder", "left_shoulder", "right_hip", "left_hip",
    "right_elbow", "left_elbow", "right_knee", "left_knee", "right_wrist", "left_wrist",
    "right_ankle", "left_ankle",
)
_LICENCE = (
    "terms of its own, see jhmdb.is.tue.mpg.de; cite Jhuang, Gall, Zuffi, Schmid and Black, "
    "Towards Understanding Action Recognition, ICCV 2013"
)
_NOTE = "JHMDB marks every joint and does not say which of them are hidden: all count as visible"


def read_jhmdb(
    folder: Path, fps: float | None = None, on_file: Callable[[], Any] = lambda: None
) -> Labels:
    """Every clip of JHMDB.

    A puppet was laid over the person, so that every joint has a place, those that are hidden or
    outside the picture, too, and the files do not say which. They all count as visible here.

    Args:
      folder: with joint_positions/ACTION/CLIP/joint_positions.mat, or the folder joint_positions
        itself. Frames are not read.
      fps: frames per second, which the files do not say.
      on_file: called once for every file.

    Raises:
      InputError: there are no files, or one is not as it must be.
    """
    clips = matlab.read_folder(
        folder, "joint_positions", "*/*/joint_positions.mat", lambda path: _read(path, fps), on_file
    )
    return Labels(clips, "JHMDB", _LICENCE, (_NOTE,))


def _read(path: Path, fps: float | None) -> LabelledClip:
    content = matlab.load(path, ("pos_img",))
    places = matlab.numbers(path, content, "pos_img")
    if places.ndim == 2:  # MATLAB has no last dimension of one frame
        places = places[..., None]
    if places.ndim != 3 or places.shape[:2] != (2, len(JOINTS)):
        raise InputError(
            f"{path}: pos_img must be of shape (2, {len(JOINTS)}, frames), not {places.shape}"
        )
    keypoints = places.transpose(2, 1, 0) - matlab.FIRST_PIXEL
    finite = np.isfinite(keypoints).all(axis=-1, keepdims=True)
    return LabelledClip(
        keypoints=np.where(finite, keypoints, np.nan),
        guessed=np.zeros(keypoints.shape[:2], bool),
        joints=JOINTS,
        name=path.parent.name,
        action=path.parents[1].name,
        view=matlab.text(content, "viewpoint"),
        fps=fps,
    )
