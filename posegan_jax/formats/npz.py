"""Our own file: every array of every sequence, nothing rounded (NumPy .npz, no pickle).

Arrays: ``format`` ('posegan'), ``version``, and for sequence i: ``i/keypoints``, ``i/scores``,
``i/frames``, ``i/provenance``, ``i/skeleton``, ``i/fps`` (NaN: unknown) and ``i/person`` (a JSON
value).
"""

import json
import zipfile
from pathlib import Path

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.pose.files import atomic_path
from posegan_jax.pose.sequence import PoseFile, PoseSequence

NAME = "npz"
_TAG = "posegan"
_ARRAYS = ("keypoints", "scores", "frames", "provenance")


def sniff(path: Path) -> bool:
    """Whether this is an .npz file of ours."""
    if path.is_dir() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "format.npy" in archive.namelist()


def read(path: Path, min_score: float | None = None) -> PoseFile:
    """Reads the sequences; joints below ``min_score`` (default: none) become missing."""
    try:
        with np.load(path, allow_pickle=False) as data:
            if str(data["format"]) != _TAG:
                raise InputError(f"{path}: an .npz file, but not one of posegan's")
            indices = sorted({int(n.split("/")[0]) for n in data.files if "/" in n})
            sequences = tuple(_sequence(data, i, min_score) for i in indices)
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: damaged .npz file ({error})") from error
    return PoseFile(sequences, NAME, str(path))


def write(file: PoseFile, path: Path) -> None:
    """Writes the sequences."""
    arrays = {"format": np.array(_TAG), "version": np.array(1)}
    for i, sequence in enumerate(file):
        for name in _ARRAYS:
            arrays[f"{i}/{name}"] = getattr(sequence, name)
        arrays[f"{i}/skeleton"] = np.array(sequence.skeleton)
        arrays[f"{i}/fps"] = np.array(np.nan if sequence.fps is None else sequence.fps)
        arrays[f"{i}/person"] = np.array(json.dumps(sequence.person))
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        np.savez_compressed(handle, **arrays)


def _sequence(data, i: int, min_score: float | None) -> PoseSequence:
    arrays = {name: data[f"{i}/{name}"] for name in _ARRAYS}
    if min_score is not None:
        low = arrays["scores"] < min_score
        arrays["keypoints"][low] = np.nan
        arrays["provenance"][low] = 0
    fps = float(data[f"{i}/fps"])
    return PoseSequence(
        **arrays, fps=None if np.isnan(fps) else fps, skeleton=str(data[f"{i}/skeleton"]),
        person=json.loads(str(data[f"{i}/person"])),
    )
