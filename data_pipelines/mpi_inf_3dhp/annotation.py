"""Files of one sequence of MPI-INF-3DHP: annot.mat and camera.calibration."""

import dataclasses
from pathlib import Path

import numpy as np
import scipy.io

from posegan_jax.errors import InputError
from posegan_jax.pose.skeleton import get_skeleton

CAMERAS = 14
JOINTS = len(get_skeleton("mpi_inf_3dhp"))
_REPROJECTION = 5.0
"""Pixels (median) from which annot3 and annot2 do not belong together."""


@dataclasses.dataclass(frozen=True)
class Camera:
    """A calibrated camera.

    Attributes:
      intrinsic: (3, 3).
      rotation, translation: (3, 3) and (3,) millimetres, world to camera: x right, y down.
    """

    intrinsic: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) in the camera -> (..., 3) in the world."""
        return (points - self.translation) @ self.rotation  # the inverse of a rotation, transposed

    def project(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) in the camera -> (..., 2) pixels."""
        image = points @ self.intrinsic.T
        return image[..., :2] / image[..., 2:]


def read_annotation(path: Path, name: str, cameras: tuple[int, ...]) -> list[np.ndarray]:
    """The annotation of some cameras in annot.mat (MATLAB 5).

    Args:
      path: annot.mat.
      name: 'annot2' (pixels) or 'annot3' (millimetres in the camera, y down).
      cameras: numbers from 0.

    Returns:
      For every camera (F, J, 2) or (F, J, 3) float32.

    Raises:
      InputError: no such file, not MATLAB 5, or not of this layout.
    """
    size = {"annot2": 2, "annot3": 3}[name]
    cells = _load(path, name)
    result = []
    for camera in cameras:
        cell = np.asarray(cells[camera])
        where = f"{path}: {name} of camera {camera}"
        if cell.dtype.kind not in "iuf" or cell.ndim != 2 or cell.shape[1] != JOINTS * size:
            raise InputError(
                f"{where} must be numbers of shape (frames, {JOINTS * size}), not {cell.shape}"
            )
        values = cell.astype(np.float32).reshape(-1, JOINTS, size)
        bad = np.flatnonzero(~np.isfinite(values).all(axis=(1, 2)))
        if bad.size:
            raise InputError(f"{where} holds NaN or infinity in frame {bad[0]}")
        result.append(values)
    return result


def _load(path: Path, name: str) -> np.ndarray:
    try:
        with path.open("rb") as file:
            content = scipy.io.loadmat(file, variable_names=[name])
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; --subjects names those that there are"
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # SciPy raises a dozen kinds for a damaged file
        problem = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not a readable MATLAB 5 file ({problem})") from error
    if name not in content:
        raise InputError(f"{path}: lacks {name}")
    cells = content[name]
    if cells.dtype != object or cells.size != CAMERAS:
        raise InputError(f"{path}: {name} must be {CAMERAS} cells, one for each camera")
    return cells.ravel()


def read_calibration(path: Path) -> list[Camera]:
    """The cameras of camera.calibration, in the file's order.

    The world's axes are those of the file: right-handed, y up.

    Raises:
      InputError: no such file, a line is not as it must be, a camera is no rotation and
        translation, or the world is not y up.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable text file ({error})") from error
    matrices: dict[str, list[np.ndarray]] = {"intrinsic": [], "extrinsic": []}
    for number, line in enumerate(lines, 1):
        key, *values = line.split() or [""]
        if key in matrices:
            matrices[key].append(_matrix(values, f"{path}, line {number}: {key}"))
    count = {key: len(found) for key, found in matrices.items()}
    if set(count.values()) != {CAMERAS}:
        raise InputError(
            f"{path}: must hold {CAMERAS} lines 'intrinsic' and 'extrinsic', not "
            f"{count['intrinsic']} and {count['extrinsic']}"
        )
    pairs = zip(matrices["intrinsic"], matrices["extrinsic"], strict=True)
    cameras = [Camera(i[:3, :3], e[:3, :3], e[:3, 3]) for i, e in pairs]
    _check(path, cameras)
    return cameras


def world_positions(folder: Path, camera: int = 0) -> np.ndarray:
    """The 3D annotation of a sequence in the world's axes, from one camera's annot3.

    Args:
      folder: of the sequence, S1/Seq1.
      camera: whose annotation is taken; they say the same.

    Returns:
      (F, J, 3) float32 millimetres, right-handed, y up.

    Raises:
      InputError: a file is missing or wrong, or annot3 does not reproject to annot2.
    """
    annotation = folder / "annot.mat"
    calibration = read_calibration(folder / "camera.calibration")[camera]
    (points,) = read_annotation(annotation, "annot3", (camera,))
    (image,) = read_annotation(annotation, "annot2", (camera,))
    if len(points) != len(image):
        raise InputError(
            f"{annotation}: camera {camera} has {len(points)} frames in annot3, "
            f"{len(image)} in annot2"
        )
    points = points.astype(np.float64)
    if not len(points):
        raise InputError(f"{annotation}: holds no frames")
    if (points[..., 2] <= 0).any():
        frame = np.flatnonzero((points[..., 2] <= 0).any(axis=1))[0]
        raise InputError(f"{annotation}: frame {frame} of annot3 lies behind camera {camera}")
    error = np.median(np.linalg.norm(calibration.project(points) - image, axis=-1))
    if not error < _REPROJECTION:
        raise InputError(
            f"{annotation}: annot3 of camera {camera} lies {error:.0f} pixels from annot2 under "
            "camera.calibration; is it this sequence's?"
        )
    return calibration.to_world(points).astype(np.float32)


def _matrix(values: list[str], where: str) -> np.ndarray:
    try:
        matrix = np.array([float(value) for value in values])
    except ValueError:
        raise InputError(f"{where} holds something that is no number") from None
    if matrix.size != 16 or not np.isfinite(matrix).all():
        raise InputError(f"{where} must be 16 numbers, not {matrix.size}")
    return matrix.reshape(4, 4)


def _check(path: Path, cameras: list[Camera]) -> None:
    for i, camera in enumerate(cameras):
        off = np.abs(camera.rotation @ camera.rotation.T - np.eye(3)).max()
        if off > 1e-2 or np.linalg.det(camera.rotation) < 0:
            raise InputError(f"{path}: extrinsic of camera {i} is no rotation")
    up = -np.mean([camera.rotation[1] for camera in cameras], axis=0)
    if up[1] < np.abs(up).max() - 1e-9:
        raise InputError(f"{path}: the world's y axis does not point up")
