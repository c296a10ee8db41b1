"""2D test clips: people filmed by several cameras, with every joint of the skeleton annotated."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.motion.clip import THESIS, select
from posegan_jax.motion.npz import check_clips, read_arrays
from posegan_jax.pose.skeleton import Skeleton

FILE = "clips2d-test.npz"
"""Name of the file in the folder of a prepared set."""

_CLIP_ARRAYS = {
    "clip_start": "iu", "clip_length": "iu", "clip_sequence": "U", "clip_camera": "iu",
    "clip_fps": "iuf",
}


@dataclasses.dataclass(frozen=True)
class Clip2D:
    """A stretch of one recording as one camera sees it.

    Attributes:
      keypoints: (T, J, 2) float32 pixels, y down; joints outside the picture have coordinates,
        too.
      sequence: the recording, e.g. 'S1/Seq2'.
      camera: number of the camera in its recording.
      frames: (T,) int64 frame numbers in the camera's video, from 0, increasing.
      fps: frames per second of ``keypoints``.
      joints: names of the J joints.
    """

    keypoints: np.ndarray
    sequence: str
    camera: int
    frames: np.ndarray
    fps: float
    joints: tuple[str, ...] = THESIS.joints


def load_clips2d(path: str | Path, skeleton: Skeleton = THESIS) -> list[Clip2D]:
    """Reads the 2D test clips of a prepared set, and picks the joints of a skeleton by their names.

    Args:
      path: a set's folder, or the .npz file in it.
      skeleton: the joints that are wanted.

    Raises:
      InputError: there is no such file, it is not as ``save_clips2d`` writes it, or it lacks joints
        of the skeleton.
    """
    path = Path(path)
    path = path / FILE if path.is_dir() else path
    arrays = read_arrays(path, ("keypoints", "frames", "joints", *_CLIP_ARRAYS))
    joints = check_clips(path, arrays, "keypoints", 2, _CLIP_ARRAYS, named="clip_sequence")
    numbers = arrays["frames"]
    if numbers.shape != (len(arrays["keypoints"]),) or numbers.dtype.kind not in "iu":
        raise InputError(f"{path}: frames must be whole numbers, one for each row of keypoints")
    keypoints = arrays["keypoints"][:, select(joints, skeleton, path)]
    clips = []
    for start, length, sequence, camera, fps in zip(
        *(arrays[name].tolist() for name in _CLIP_ARRAYS), strict=True
    ):
        part = slice(start, start + length)
        frames = numbers[part].astype(np.int64)
        clips.append(
            Clip2D(keypoints[part], sequence, camera, frames, float(fps), skeleton.joints)
        )
    return clips


def save_clips2d(path: Path, clips: Sequence[Clip2D], **texts: str) -> None:
    """Writes clips of the same joints, at least one, as one .npz file.

    Args:
      path: of the file.
      clips: what to write.
      **texts: kept beside them, say where they come from.
    """
    lengths = np.array([len(clip.keypoints) for clip in clips])
    more: dict[str, Any] = {name: np.array(text) for name, text in texts.items()}
    np.savez_compressed(
        path,
        keypoints=np.concatenate([clip.keypoints for clip in clips]).astype(np.float32),
        frames=np.concatenate([clip.frames for clip in clips]).astype(np.int32),
        joints=np.array(clips[0].joints),
        clip_start=np.cumsum(lengths) - lengths,
        clip_length=lengths,
        clip_sequence=np.array([clip.sequence for clip in clips]),
        clip_camera=np.array([clip.camera for clip in clips], np.int16),
        clip_fps=np.array([clip.fps for clip in clips], np.float32),
        **more,
    )
