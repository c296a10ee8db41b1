"""AlphaPose results: a flat JSON list, one object per detected person and image.

Each object has ``image_id`` (a number, or a file name with one), ``keypoints`` (x, y, score for
every joint), usually ``score``, ``category_id``, ``box`` and, when people were tracked, ``idx``,
which AlphaPose writes as a number, a list or a list of lists. K = 17 is COCO, K = 26 Halpe.

Whatever is not changed is written back as it was read: objects, keys, numbers.
"""

import dataclasses
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.pose.files import atomic_path
from posegan_jax.pose.sequence import PoseFile, PoseSequence
from posegan_jax.pose.tracking import track

NAME = "alphapose"
MIN_SCORE = 0.2
"""Where AlphaPose has not seen a joint it still gives a place, with a score of a few percent."""

SKELETONS = {17: "coco17", 26: "halpe26", 28: "mpi_inf_3dhp"}
"""Number of joints -> skeleton. The 28 of MPI-INF-3DHP are what an upsampled file holds."""


@dataclasses.dataclass(frozen=True)
class Source:
    """The file's objects as they were, and which of them each sequence's rows came from.

    Attributes:
      records: the JSON objects in order.
      rows: (person, frame) -> index into ``records``.
      min_score: threshold under which joints were read as missing.
    """

    records: list[dict[str, Any]]
    rows: dict[tuple[Any, int], int]
    min_score: float


def sniff(path: Path) -> bool:
    """Whether the file is a JSON list of objects with keypoints and an image_id."""
    if path.is_dir():
        return False
    with open(path, "rb") as handle:
        head = handle.read(65536).lstrip(b"\xef\xbb\xbf \t\r\n")
    if not head.startswith(b"["):
        return False
    if head[1:].strip() == b"]":
        return True
    return b'"image_id"' in head and b'"keypoints"' in head


def read(path: Path, min_score: float | None = None) -> PoseFile:
    """Reads the people of a file, each a PoseSequence of the frames that hold them.

    Args:
      path: the file.
      min_score: joints with a lower score, and joints at (0, 0), are missing.

    Raises:
      InputError: the file is not what AlphaPose writes; the message names the object.
    """
    records = _load(path)
    min_score = MIN_SCORE if min_score is None else min_score
    joints = {len(record["keypoints"]) // 3 for record in records}
    if not records:
        return PoseFile((), NAME, str(path), Source([], {}, min_score), ("no detections",))
    if len(joints) > 1:
        raise InputError(f"{path}: objects with {sorted(joints)} joints in one file")
    count = joints.pop()
    if count not in SKELETONS:
        raise InputError(f"{path}: no known skeleton has {count} joints; known: {list(SKELETONS)}")
    values = np.array([record["keypoints"] for record in records], np.float64)
    values = values.reshape(len(records), count, 3)
    frames, notes = _frames(records)
    people, note = _people(records, frames, values)
    rows, note_double = _rows(records, frames, people)
    sequences = [
        _sequence(person, SKELETONS[count], items, values, min_score)
        for person, items in _by_person(rows).items()
    ]
    return PoseFile(
        tuple(sequences), NAME, str(path), Source(records, rows, min_score),
        (*notes, *note, *note_double),
    )


def write(file: PoseFile, path: Path) -> None:
    """Writes a list in the order of the source, new frames' objects in their places.

    A joint is written where it differs from what was read; all else stays as it was. A sequence
    with another skeleton than the source's replaces the whole list of joints.
    """
    source = file.source or Source([], {}, MIN_SCORE)
    records = [dict(record) for record in source.records]
    names = _ImageNames(source.records)
    added: dict[int, list[dict]] = defaultdict(list)
    for sequence in file:
        for t, frame in enumerate(sequence.frames.tolist()):
            index = source.rows.get((sequence.person, frame))
            if index is not None:
                records[index] = _updated(records[index], sequence, t, source.min_score)
            elif sequence.observed[t].any():
                added[frame].append(_new_record(sequence, t, names(frame)))
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as handle:
        json.dump(_merge(records, added), handle)


# --- reading --------------------------------------------------------------------------------------


def _load(path: Path) -> list[dict[str, Any]]:
    try:
        with open(path, encoding="utf-8-sig") as handle:
            records = json.load(handle)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); is the file cut off?") from error
    for i, record in enumerate(records):
        if not isinstance(record, dict) or "image_id" not in record:
            raise InputError(f"{path}: object {i} has no image_id")
        keypoints = record.get("keypoints")
        if not isinstance(keypoints, list) or not keypoints or len(keypoints) % 3:
            raise InputError(
                f"{path}: object {i} (image {record['image_id']}): keypoints must be a list of "
                "x, y, score"
            )
        if not all(isinstance(value, int | float) for value in keypoints):
            raise InputError(
                f"{path}: object {i} (image {record['image_id']}): keypoints must be numbers"
            )
    return records


def _frames(records) -> tuple[np.ndarray, list[str]]:
    """Frame number of every object: its image_id, or the last number in that name."""
    numbers = [_frame_number(record["image_id"]) for record in records]
    if None not in numbers:
        return np.array(numbers, np.int64), []
    order = {name: i for i, name in enumerate(dict.fromkeys(str(r["image_id"]) for r in records))}
    frames = np.array([order[str(r["image_id"])] for r in records], np.int64)
    return frames, ["image names without numbers: frames are counted in the order of the file"]


def _frame_number(image_id) -> int | None:
    if isinstance(image_id, int | float):
        return int(image_id)
    found = re.findall(r"\d+", Path(str(image_id)).stem)
    return int(found[-1]) if found else None


def _people(records, frames, values) -> tuple[list, list[str]]:
    """Person of every object: its idx, or by tracking where the file has none."""
    if all("idx" in record for record in records):
        return [_person(record["idx"]) for record in records], []
    poses = np.where((values[..., :2] == 0).all(-1, keepdims=True), np.nan, values[..., :2])
    ids = track(frames, poses, values[..., 2].clip(0.0)).tolist()
    return ids, [f"no ids in the file: tracked {len(set(ids))} people by pose similarity"]


def _person(idx):
    """idx may be 3, 3.0, [3.0] or [[3.0], [3.0]]: the first number counts."""
    while isinstance(idx, list):
        idx = idx[0] if idx else None
    return int(idx) if isinstance(idx, float) and idx.is_integer() else idx


def _rows(records, frames, people) -> tuple[dict, list[str]]:
    """(person, frame) -> object. Of two detections of one person in a frame the better counts."""
    rows: dict[tuple[Any, int], int] = {}
    doubles = 0
    for i, key in enumerate(zip(people, frames.tolist(), strict=True)):
        if key in rows:
            doubles += 1
            if _score(records[i]) <= _score(records[rows[key]]):
                continue
        rows[key] = i
    if not doubles:
        return rows, []
    return rows, [f"{doubles} second detections of a person in one frame are kept as they are"]


def _score(record) -> float:
    score = record.get("score")
    return float(score) if isinstance(score, int | float) else float(sum(record["keypoints"][2::3]))


def _by_person(rows: dict) -> dict[Any, list[tuple[int, int]]]:
    """person -> (frame, object) in order of time; people in order of first appearance."""
    found = defaultdict(list)
    for (person, frame), index in rows.items():
        found[person].append((frame, index))
    return {person: sorted(items) for person, items in found.items()}


def _sequence(person, skeleton, items, values, min_score) -> PoseSequence:
    frames, index = np.array(items).T
    keypoints, scores = _present(values[index], min_score)
    return PoseSequence(keypoints, scores, None, skeleton, frames, person)


def _present(values: np.ndarray, min_score: float) -> tuple[np.ndarray, np.ndarray]:
    """(..., K, 3) as in the file -> keypoints with NaN where missing, scores with 0 there."""
    keypoints, scores = values[..., :2].copy(), values[..., 2].copy()
    missing = (scores < min_score) | (keypoints == 0).all(-1) | ~np.isfinite(values).all(-1)
    keypoints[missing], scores[missing] = np.nan, 0.0
    return keypoints, scores


# --- writing --------------------------------------------------------------------------------------


def _updated(record: dict, sequence: PoseSequence, t: int, min_score: float) -> dict:
    keypoints, scores = sequence.keypoints[t], sequence.scores[t]
    old = np.array(record["keypoints"], np.float64).reshape(-1, 3)
    if SKELETONS.get(len(old)) != sequence.skeleton:
        return record | {"keypoints": _flat(keypoints, scores)}
    was, _ = _present(old, min_score)
    same = (keypoints == was).all(-1) | (np.isnan(keypoints) & np.isnan(was)).all(-1)
    if same.all():
        return record
    values = list(record["keypoints"])
    new = _flat(keypoints, scores)
    for joint in np.flatnonzero(~same).tolist():
        values[3 * joint : 3 * joint + 3] = new[3 * joint : 3 * joint + 3]
    return record | {"keypoints": values}


def _flat(keypoints: np.ndarray, scores: np.ndarray) -> list[float]:
    values = np.concatenate([keypoints, scores[:, None]], axis=-1)
    values[np.isnan(values).any(-1)] = 0.0
    return [round(value, 4) for value in values.ravel().tolist()]


def _new_record(sequence: PoseSequence, t: int, image_id) -> dict:
    scores = sequence.scores[t]
    record = {
        "image_id": image_id,
        "category_id": 1,
        "keypoints": _flat(sequence.keypoints[t], scores),
        "score": round(float(scores[sequence.observed[t]].mean()), 4),
    }
    return record if sequence.person is None else record | {"idx": sequence.person}


class _ImageNames:
    """image_id of a frame that the source does not have, in the manner of those it has."""

    def __init__(self, records: list[dict]):
        example = records[0]["image_id"] if records else "0.jpg"
        self._number = isinstance(example, int | float)
        found = None if self._number else list(re.finditer(r"\d+", Path(str(example)).stem))
        self._name = str(example)
        self._span = found[-1].span() if found else None
        # The stem starts where the file name does.
        self._offset = len(self._name) - len(Path(self._name).name)

    def __call__(self, frame: int):
        if self._number:
            return frame
        if self._span is None:
            return f"{frame}.jpg"
        start, stop = (self._offset + at for at in self._span)
        width = stop - start if self._name[start] == "0" and stop - start > 1 else 0
        return f"{self._name[:start]}{frame:0{width}d}{self._name[stop:]}"


def _merge(records: list[dict], added: dict[int, list[dict]]) -> list[dict]:
    """Puts every new object before the first old one of a later frame."""
    if not added:
        return records
    result, waiting = [], sorted(added)
    for record in records:
        frame = _frame_number(record["image_id"])
        while waiting and frame is not None and waiting[0] < frame:
            result += added[waiting.pop(0)]
        result.append(record)
    for frame in waiting:
        result += added[frame]
    return result
