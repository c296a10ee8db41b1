"""2D test clips: people filmed by several cameras, with every joint of the skeleton annotated."""

import dataclasses
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.pose.skeleton import get_skeleton

FILE = "clips2d-test.npz"
"""Name of the file in the folder of a prepared set."""

_JOINTS = get_skeleton("mpi_inf_3dhp").joints
_CLIP_ARRAYS = {
    "clip_start": "iu", "clip_length": "iu", "clip_sequence": "U", "clip_camera": "iu",
    "clip_fps": "iuf",
}
_NEEDED = ("keypoints", "frames", "joints", *_CLIP_ARRAYS)


@dataclasses.dataclass(frozen=True)
class Clip2D:
    """A stretch of one recording as one camera sees it.

    Attributes:
      keypoints: (T, 28, 2) float32 pixels, y down, joints of mpi_inf_3dhp; joints outside the
        picture have coordinates, too.
      sequence: the recording, e.g. 'S1/Seq2'.
      camera: number of the camera in its recording.
      frames: (T,) int64 frame numbers in the camera's video, from 0, increasing.
      fps: frames per second of ``keypoints``.
    """

    keypoints: np.ndarray
    sequence: str
    camera: int
    frames: np.ndarray
    fps: float


def load_clips2d(path: str | Path) -> list[Clip2D]:
    """Reads the 2D test clips of a prepared set.

    Args:
      path: a set's folder, or the .npz file in it.

    Raises:
      InputError: there is no such file, or it is not as ``save_clips2d`` writes it.
    """
    path = Path(path)
    path = path / FILE if path.is_dir() else path
    arrays = _load(path)
    _check(path, arrays)
    clips = []
    for start, length, sequence, camera, fps in zip(
        *(arrays[name].tolist() for name in _CLIP_ARRAYS), strict=True
    ):
        part = slice(start, start + length)
        frames = arrays["frames"][part].astype(np.int64)
        clips.append(Clip2D(arrays["keypoints"][part], sequence, camera, frames, float(fps)))
    return clips


def save_clips2d(path: Path, clips: Sequence[Clip2D], **texts: str) -> None:
    """Writes clips, at least one, as one .npz file; ``texts`` say where they come from."""
    lengths = np.array([len(clip.keypoints) for clip in clips])
    np.savez_compressed(
        path,
        keypoints=np.concatenate([clip.keypoints for clip in clips]).astype(np.float32),
        frames=np.concatenate([clip.frames for clip in clips]).astype(np.int32),
        joints=np.array(_JOINTS),
        clip_start=np.cumsum(lengths) - lengths,
        clip_length=lengths,
        clip_sequence=np.array([clip.sequence for clip in clips]),
        clip_camera=np.array([clip.camera for clip in clips], np.int16),
        clip_fps=np.array([clip.fps for clip in clips], np.float32),
        **{name: np.array(text) for name, text in texts.items()},
    )


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise InputError(f"{path}: not an .npz file, or not the whole of one")
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; a set with 2D test clips has one") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        problem = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not a readable .npz file ({problem})") from error


def _check(path: Path, arrays: dict[str, np.ndarray]) -> None:
    def require(good: bool, problem: str) -> None:
        if not good:
            raise InputError(f"{path}: {problem}")

    missing = [name for name in _NEEDED if name not in arrays]
    require(not missing, f"lacks the arrays {', '.join(missing)}")
    require(
        tuple(map(str, arrays["joints"].ravel())) == _JOINTS,
        "joints are not those of mpi_inf_3dhp, in its order",
    )
    keypoints = arrays["keypoints"]
    count = len(keypoints) if keypoints.ndim else 0
    require(
        keypoints.shape == (count, len(_JOINTS), 2) and keypoints.dtype.kind in "iuf",
        f"keypoints must be numbers of shape (frames, {len(_JOINTS)}, 2), not {keypoints.shape}",
    )
    require(bool(np.isfinite(keypoints).all()), "keypoints hold NaN or infinity")
    require(
        arrays["frames"].shape == (count,) and arrays["frames"].dtype.kind in "iu",
        "frames must be whole numbers, one for each row of keypoints",
    )
    clips = arrays["clip_start"].size
    for name, kind in _CLIP_ARRAYS.items():
        require(
            arrays[name].shape == (clips,) and arrays[name].dtype.kind in kind,
            f"{name} must be {'text' if kind == 'U' else 'numbers'}, one for each of {clips} clips",
        )
    start, length = arrays["clip_start"].astype(int), arrays["clip_length"].astype(int)
    require(
        not np.any((start < 0) | (length < 0) | (start + length > count)),
        f"a clip lies outside the {count} frames",
    )
