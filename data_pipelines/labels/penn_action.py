"""Penn Action (Zhang, Zhu and Derpanis, ICCV 2013): 2,326 clips of sports and exercises."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from data_pipelines.labels import matlab
from data_pipelines.labels.source import Labels
from posegan_jax.errors import InputError
from posegan_jax.motion.labels import LabelledClip, in_corner

# The columns as published, but for the sides: there, a column of the left is the viewer's left of
# a person who faces the camera. Checked by which way people face: these sides are their own.
JOINTS = (
    "head", "right_shoulder", "left_shoulder", "right_elbow", "left_elbow", "right_wrist",
    "left_wrist", "right_hip", "left_hip", "right_knee", "left_knee", "right_ankle", "left_ankle",
)
_LICENCE = (
    "terms of its own, see its README; cite Zhang, Zhu and Derpanis, From Actemes to Action: A "
    "Strongly-supervised Representation for Detailed Action Understanding, ICCV 2013"
)


def read_penn_action(
    folder: Path, fps: float | None = None, on_file: Callable[[], Any] = lambda: None
) -> Labels:
    """Every clip of Penn Action that has labels.

    Args:
      folder: with labels/0001.mat and so on, or that folder of labels itself. Frames are not read.
      fps: frames per second, which the files do not say.
      on_file: called once for every file.

    Raises:
      InputError: there are no files, or one is not as it must be.
    """
    clips = matlab.read_folder(folder, "labels", "*.mat", lambda path: _read(path, fps), on_file)
    return Labels(clips, "Penn Action", _LICENCE)


def _read(path: Path, fps: float | None) -> LabelledClip:
    content = matlab.load(path, ("x", "y", "visibility", "dimensions"))
    x, y, visible = (matlab.numbers(path, content, name) for name in ("x", "y", "visibility"))
    if x.ndim != 2 or x.shape[1] != len(JOINTS) or not x.shape == y.shape == visible.shape:
        raise InputError(
            f"{path}: x, y and visibility must be of shape (frames, {len(JOINTS)}), not "
            f"{x.shape}, {y.shape} and {visible.shape}"
        )
    dimensions = matlab.numbers(path, content, "dimensions").ravel()
    if dimensions.size < 2 or not (dimensions[:2] > 0).all():
        raise InputError(f"{path}: dimensions must be the height and width of the picture")
    height, width = dimensions[:2]
    # A joint without a label stands in the corner. A joint that was marked, but is not visible, is
    # hidden: its place is a guess.
    keypoints = np.stack([x, y], axis=-1) - matlab.FIRST_PIXEL
    inside = (keypoints >= 0).all(axis=-1) & (x <= width) & (y <= height)  # NaN is not inside
    labelled = inside & ~in_corner(keypoints)
    return LabelledClip(
        keypoints=np.where(labelled[..., None], keypoints, np.nan),
        guessed=labelled & (visible == 0),
        joints=JOINTS,
        name=path.stem,
        action=matlab.text(content, "action"),
        view=matlab.text(content, "pose") or matlab.text(content, "viewpoint"),
        fps=fps,
    )
