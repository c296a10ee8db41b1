"""Our own file: every array of every sequence, nothing rounded (NumPy .npz, no pickle).

Arrays: ``format`` ('posegan'), ``version``, and for sequence i: ``i/keypoints``, ``i/scores``,
``i/frames``, ``i/provenance``, ``i/skeleton``, ``i/fps`` (NaN: unknown) and ``i/person`` (a JSON
value).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats.format import Format
from posegan_jax.formats.records import ABSURD
from posegan_jax.pose.sequence import PoseFile, PoseSequence
from posegan_jax.runtime.files import atomic_path

_TAG = "posegan"
_ARRAYS = ("keypoints", "scores", "frames", "provenance")


def sniff(path: Path) -> bool:
    """Whether the file begins like one of ours, which it does even when it is cut off."""
    if path.is_dir():
        return False
    with open(path, "rb") as handle:
        head = handle.read(64)
    return head.startswith(b"PK") and b"format.npy" in head


def read(path: Path, min_score: float | None = None) -> PoseFile:
    """Reads the sequences; joints below ``min_score`` (default: none) become missing.

    So do those beyond a million pixels, which a note counts.

    Raises:
      InputError: the file is damaged, or another program's.
    """
    try:
        arrays = _load(path)
        if str(arrays["format"]) != _TAG:
            raise InputError("not one of posegan's")
        indices = sorted({int(name.split("/")[0]) for name in arrays if "/" in name})
        sequences = [_sequence(arrays, i, min_score) for i in indices]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: cannot use this .npz file: {error}") from error
    absurd = [(np.abs(sequence.keypoints) > ABSURD).any(-1) for sequence in sequences]
    count = sum(int(places.sum()) for places in absurd)
    sequences = [
        sequence.replace(keypoints=np.where(places[..., None], np.nan, sequence.keypoints))
        for sequence, places in zip(sequences, absurd, strict=True)
    ]
    notes = (f"joints at absurd places, read as holes: {count}",) if count else ()
    return PoseFile(tuple(sequences), notes=notes)


def write(file: PoseFile, path: Path) -> None:
    """Writes the sequences."""
    arrays: dict[str, Any] = {"format": np.array(_TAG), "version": np.array(1)}
    for i, sequence in enumerate(file):
        for name in _ARRAYS:
            arrays[f"{i}/{name}"] = getattr(sequence, name)
        arrays[f"{i}/skeleton"] = np.array(sequence.skeleton)
        arrays[f"{i}/fps"] = np.array(np.nan if sequence.fps is None else sequence.fps)
        arrays[f"{i}/person"] = np.array(json.dumps(sequence.person))
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        np.savez_compressed(handle, **arrays)


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        # np.load would leave a damaged file open.
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as data:
            return dict(data)
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds, and so may others
        raise ValueError(f"it is damaged ({error})") from error


def _sequence(arrays: dict[str, np.ndarray], i: int, min_score: float | None) -> PoseSequence:
    fps = float(arrays[f"{i}/fps"])
    given: dict[str, Any] = {name: arrays[f"{i}/{name}"] for name in _ARRAYS}
    sequence = PoseSequence(
        **given,
        fps=None if np.isnan(fps) else fps, skeleton=str(arrays[f"{i}/skeleton"]),
        person=json.loads(str(arrays[f"{i}/person"])),
    )
    if min_score is None:
        return sequence
    low = sequence.scores < min_score
    return sequence.replace(keypoints=np.where(low[..., None], np.nan, sequence.keypoints))


FORMAT = Format(
    name="npz", sniff=sniff, read=read, write=write, suffixes=(".npz",), default_for=(".npz",),
)
