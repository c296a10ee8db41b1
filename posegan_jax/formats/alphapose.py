"""AlphaPose results: a flat JSON list, one object per detected person and image.

Each object has ``image_id`` (a number, or a file name with one), ``keypoints`` (x, y, score for
every joint), usually ``score``, ``category_id``, ``box`` and, when people were tracked, ``idx``,
which AlphaPose writes as a number, a list or a list of lists. K = 17 is COCO, K = 26 Halpe.

Whatever is not changed is written back as it was read: objects, keys, numbers.
"""

import bisect
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
from posegan_jax.pose.skeleton import get_skeleton
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
      frames: frame number of each of them.
      rows: (person, frame) -> index into ``records``.
      min_score: threshold under which joints were read as missing.
    """

    records: list[dict[str, Any]]
    frames: list[int]
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
        return PoseFile((), NAME, str(path), Source([], [], {}, min_score), ("no detections",))
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
        tuple(sequences), NAME, str(path), Source(records, frames.tolist(), rows, min_score),
        (*notes, *note, *note_double),
    )


def write(file: PoseFile, path: Path) -> None:
    """Writes a list in the order of the source, new frames' objects in their places.

    A number is written where it differs from what was read; all else stays as it was. Sequences
    with another skeleton than the source's replace the whole lists of joints. As a file has one
    skeleton, all other objects then follow: they keep the joints that both skeletons have.

    Raises:
      InputError: skeletons that the format has no place for, or more than one.
    """
    source = file.source or Source([], [], {}, MIN_SCORE)
    skeleton = _skeleton(file, source, path)
    records = [_carried(record, skeleton) for record in source.records]
    names = _ImageNames(source)
    like = {person: source.records[i] for (person, _), i in reversed(source.rows.items())}
    added: dict[int, list[dict]] = defaultdict(list)
    for sequence in file:
        for t, frame in enumerate(sequence.frames.tolist()):
            index = source.rows.get((sequence.person, frame))
            if index is not None:
                record = _updated(source.records[index], sequence, t, source.min_score)
                records[index] = _carried(record, skeleton)
            elif sequence.observed[t].any():
                record = _new_record(sequence, t, names(frame), like.get(sequence.person))
                added[frame].append(_carried(record, skeleton))
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as handle:
        json.dump(_merge(records, source.frames, added), handle)


# --- reading --------------------------------------------------------------------------------------


def _load(path: Path) -> list[dict[str, Any]]:
    try:
        with open(path, encoding="utf-8-sig") as handle:
            records = json.load(handle)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); is the file cut off?") from error
    for i, record in enumerate(records):
        problem = _problem(record)
        if problem:
            raise InputError(f"{path}: object {i} {problem}")
    return records


def _problem(record: Any) -> str | None:
    """What is wrong with an object, None if nothing is."""
    if not isinstance(record, dict) or "image_id" not in record:
        return "has no image_id"
    image = record["image_id"]
    if not isinstance(image, str) and not _is_whole(image):
        return f"has the image_id {image!r}; it must be a whole number or a file name"
    person = _person(record.get("idx"))
    if not isinstance(person, str | None) and not (_is_number(person) and np.isfinite(person)):
        return f"(image {image!r}): idx must be a number or a name, not {record['idx']!r}"
    keypoints = record.get("keypoints")
    if not isinstance(keypoints, list) or not keypoints or len(keypoints) % 3:
        return f"(image {image!r}): keypoints must be a list of x, y, score"
    if not all(map(_is_number, keypoints)):
        return f"(image {image!r}): keypoints must be numbers"
    return None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)  # JSON's true is an int to isinstance


def _is_whole(value: Any) -> bool:
    return _is_number(value) and abs(value) < 2**63 and value == int(value)


def _frames(records) -> tuple[np.ndarray, list[str]]:
    """Frame number of every object: its image_id, or the last number in that name."""
    numbers = [_frame_number(record["image_id"]) for record in records]
    if None not in numbers:
        return np.array(numbers, np.int64), []
    order = {name: i for i, name in enumerate(dict.fromkeys(str(r["image_id"]) for r in records))}
    frames = np.array([order[str(r["image_id"])] for r in records], np.int64)
    return frames, ["image names without numbers: frames are counted in the order of the file"]


def _frame_number(image_id) -> int | None:
    if not isinstance(image_id, str):
        return int(image_id)
    found = _last_number(image_id)
    # What does not fit into 64 bits is a hash rather than a count.
    return int(found[0]) if found and len(found[0]) < 19 else None


def _last_number(name: str) -> re.Match | None:
    """Where the last number of a file name is, its folder and suffix left out."""
    stem = re.sub(r"\.[A-Za-z]\w{,3}$", "", name)
    return re.search(r"[0-9]+(?=[^0-9/\\]*$)", stem)


def _people(records, frames, values) -> tuple[list, list[str]]:
    """Person of every object: its idx, or by tracking where the file has none."""
    people = [_person(record.get("idx")) for record in records]
    if None not in people:
        return people, []
    ids = track(frames, *_present(values, 0.0)).tolist()
    return ids, [f"no ids in the file: tracked {len(set(ids))} people by pose similarity"]


def _person(idx):
    """idx may be 3, 3.0, [3.0] or [[3.0], [3.0]]: the first number counts. None: there is none."""
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
    if _is_number(score) and np.isfinite(score):
        return float(score)
    return float(np.nansum(record["keypoints"][2::3]))


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


def _skeleton(file: PoseFile, source: Source, path: Path) -> str | None:
    """The skeleton to write: the source's, or the one that sequences have instead."""
    own = {SKELETONS[len(record["keypoints"]) // 3] for record in source.records}
    names = sorted({sequence.skeleton for sequence in file})
    for name in names:
        if name not in SKELETONS.values():
            raise InputError(
                f"{path}: {NAME} files hold {', '.join(SKELETONS.values())}, not {name}; use .npz"
            )
    new = [name for name in names if name not in own]
    if len(new) > 1:
        raise InputError(f"{path}: a file holds one skeleton, not {' and '.join(new)}; use .npz")
    return next(iter([*new, *own]), None)


def _carried(record: dict, skeleton: str | None) -> dict:
    """An object on another skeleton: joints of the same name keep their numbers."""
    old = SKELETONS[len(record["keypoints"]) // 3]
    if skeleton in (None, old):
        return record
    source, destination, _ = get_skeleton(old).map_to(get_skeleton(skeleton))
    values = [0.0] * (3 * len(get_skeleton(skeleton)))
    for i, j in zip(source.tolist(), destination.tolist(), strict=True):
        values[3 * j : 3 * j + 3] = record["keypoints"][3 * i : 3 * i + 3]
    return record | {"keypoints": values}


def _updated(record: dict, sequence: PoseSequence, t: int, min_score: float) -> dict:
    """An object with a row's numbers where they differ from what was read."""
    new = _flat(sequence.keypoints[t], sequence.scores[t])
    values = list(record["keypoints"])
    if SKELETONS[len(values) // 3] != sequence.skeleton:
        return record | {"keypoints": new}
    keypoints, scores = _present(np.array(values, np.float64).reshape(-1, 3), min_score)
    moved = sequence.keypoints[t] != keypoints
    moved &= ~(np.isnan(sequence.keypoints[t]) & np.isnan(keypoints))
    changed = np.column_stack([moved, sequence.scores[t] != scores])
    # The numbers of a missing joint are no joint's: none of them may stay once it is filled.
    changed |= (sequence.observed[t] != np.isfinite(keypoints[:, 0]))[:, None]
    if not changed.any():
        return record
    for i in np.flatnonzero(changed).tolist():
        values[i] = new[i]
    return record | {"keypoints": values}


def _flat(keypoints: np.ndarray, scores: np.ndarray) -> list[float]:
    """(K, 2) and (K,) -> x, y, score of every joint, zeros where it is missing."""
    values = np.nan_to_num(np.column_stack([keypoints, scores]))
    return [round(value, 4) for value in values.ravel().tolist()]


def _new_record(sequence: PoseSequence, t: int, image_id, example: dict | None) -> dict:
    """An object for a frame that the source lacks, after another one of the person if there is."""
    scores = sequence.scores[t]
    record = {
        "image_id": image_id,
        "category_id": 1,
        "keypoints": _flat(sequence.keypoints[t], scores),
        "score": round(float(scores[sequence.observed[t]].mean()), 4),
    }
    if example is not None:
        return record | {key: example[key] for key in ("category_id", "idx") if key in example}
    return record if sequence.person is None else record | {"idx": sequence.person}


class _ImageNames:
    """image_id of a frame: the source's own, or one in the manner of those it has."""

    def __init__(self, source: Source):
        ids = [record["image_id"] for record in source.records]
        self._known = dict(zip(source.frames, ids, strict=True))
        self._example = ids[0] if ids else "0.jpg"
        numbers = [found[0] for found in map(_last_number, map(str, ids)) if found]
        padded = [len(number) for number in numbers if number[0] == "0" and len(number) > 1]
        self._width = max(padded, default=0)

    def __call__(self, frame: int):
        if frame in self._known:
            return self._known[frame]
        if not isinstance(self._example, str):
            return type(self._example)(frame)
        found = _last_number(self._example)
        if not found:
            return f"{frame}.jpg"
        start, stop = found.span()
        return f"{self._example[:start]}{frame:0{self._width}d}{self._example[stop:]}"


def _merge(
    records: list[dict], frames: list[int], added: dict[int, list[dict]]
) -> list[dict]:
    """Puts every new object after the last old one of its frame, or of the nearest frame before."""
    last = {frame: i for i, frame in enumerate(frames)}
    known = sorted(last)
    after: dict[int, list[dict]] = defaultdict(list)
    for frame in sorted(added):
        at = bisect.bisect_right(known, frame)
        after[last[known[at - 1]] if at else -1] += added[frame]
    result = after[-1]
    for i, record in enumerate(records):
        result += [record, *after[i]]
    return result
