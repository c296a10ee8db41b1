"""OpenPose: a folder with one JSON file per frame, as ``--write_json`` writes it.

Each file has a list of ``people``, each with ``pose_keypoints_2d`` (x, y, score for every joint,
zeros where there is none); the frame's number is the last one in the file's name. 18 joints are the
COCO model's, 25 those of BODY_25 or of BODY_25B, see ``which_body25``. Other programs write their
17, 26, 133 or 136 joints in the same way. Faces, hands, 3D joints and all else stay as they are.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats import folder, jsonfile, records
from posegan_jax.formats.format import Format
from posegan_jax.pose.sequence import PoseFile
from posegan_jax.pose.skeleton import get_skeleton

MIN_SCORE = 0.1
"""Joints that OpenPose has not found are zeros; hidden ones have low scores."""

SURE = 1.5
"""Bones must be this much longer under one order of 25 joints for the other to be certain."""

_POSE = ("pose_keypoints_2d", "pose_keypoints")  # the second up to version 1.1
_ENDING = "_keypoints.json"


def sniff(path: Path) -> bool:
    """Whether the path is a folder with such files, or one of them."""
    files = folder.files_of(path, _ENDING) if path.is_dir() else [path]
    return any(("{", "people") in jsonfile.outline(file) for file in files)


def read(path: Path, min_score: float, skeletons: Mapping[int, str] | None = None) -> PoseFile:
    """Reads the people of a folder, each a PoseSequence of the frames that hold them.

    Args:
      path: the folder.
      min_score: joints with a lower score, and joints at (0, 0), are missing.
      skeletons: number of joints -> skeleton, for numbers that OpenPose does not know, or for 25.

    Raises:
      InputError: a file is not what OpenPose writes; the message names it.
    """
    if not path.is_dir():
        raise InputError(f"{path}: one frame of OpenPose; give the folder with all of them")
    content, notes = folder.load(path, _load, _ENDING)
    frames = zip(content.numbers(), content.files.items(), strict=True)
    found = [
        _record(person, frame, f"{path / name}: person {i}")
        for frame, (name, item) in frames for i, person in enumerate(item["people"])
    ]
    found = [record for record in found if record.joints]
    known = dict(records.SKELETONS)
    if 25 not in (skeletons or {}) and {len(record.joints) for record in found} == {75}:
        known[25], note = which_body25(np.array([record.joints for record in found]))
        notes += note
    known |= dict(skeletons or {})
    return records.read(path, content, found, min_score, known, notes)


def write(file: PoseFile, path: Path) -> None:
    """Writes a folder with what was read, the numbers that differ, and new frames' files.

    Raises:
      InputError: skeletons that the format has no place for, more than one, or a folder that holds
        other things stands in the way.
    """
    source = file.source or records.Source(folder.Folder({}))
    old = source.content.files
    known = (*records.SKELETONS.values(), "body25b")
    edits = records.edits(file, source, path, known)
    names = jsonfile.FrameNames(
        dict(zip(source.content.numbers(), old, strict=True)), "frame_000000000000" + _ENDING
    )
    people = [frame["people"] for frame in old.values()]
    people = records.updated(people, edits, _put, _pose_of)
    content = {
        name: frame | {"people": new}
        for (name, frame), new in zip(old.items(), people, strict=True)
    }
    first, last = min(edits.added, default=0), max(edits.added, default=0)
    if not old and edits.added and last - first <= jsonfile.LONGEST:
        for frame in range(first, last + 1):  # a new folder: one file for every frame of the video
            edits.added.setdefault(frame, [])
    version = next((frame.get("version") for frame in content.values()), 1.3)
    examples = [p for frame in old.values() for p in frame["people"] if _pose_of(p)]
    for frame, new in sorted(records.added(edits, lambda new: _new(new, examples)).items()):
        own = content.get(names(frame), {"version": version, "people": []})
        content[names(frame)] = own | {"people": own["people"] + new}
    folder.save(content, path, is_frame)


def is_frame(path: Path) -> bool:
    """Whether a file holds what OpenPose writes of a frame: people with keypoints, or nobody."""
    try:
        people = _load(path)["people"]
    except InputError:
        return False
    return not people or any("keypoints" in key for person in people for key in person)


def which_body25(joints: np.ndarray) -> tuple[str, list[str]]:
    """Whether 25 joints are in the order of BODY_25 or of BODY_25B, and a note if it is uncertain.

    No key of the files says it. In the wrong order bones run across the whole body, so the order
    with the shorter bones is the right one: by a factor of two and more in either case.

    Args:
      joints: (N, 75) x, y, score of the joints of every person in every frame.
    """
    values = joints.reshape(-1, 25, 3)
    keypoints = np.where(values[..., 2:] >= MIN_SCORE, values[..., :2], np.nan)
    keypoints[~(np.abs(keypoints) <= records.ABSURD).all(-1)] = np.nan
    length = {}
    for name in ("body25", "body25b"):
        parent, child = np.array(get_skeleton(name).bones()).T
        bones = np.linalg.norm(keypoints[:, parent] - keypoints[:, child], axis=-1)
        bones = bones[np.isfinite(bones)]
        length[name] = float(bones.mean()) if len(bones) else 0.0
    short, long = sorted(length, key=length.get)
    if length[long] > SURE * length[short]:
        return short, []
    return short, [
        f"25 joints that may be in the order of {short} or {long}; taken for {short}; "
        "--joint-map says which"
    ]


def _load(path: Path) -> dict[str, Any]:
    content = jsonfile.load(path)
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        raise InputError(f"{path}: has no list of people; is it a frame of OpenPose?")
    return content


def _pose_of(person: dict) -> str | None:
    """The key of someone's joints; None for a face or hand without a body."""
    return next((key for key in _POSE if person.get(key)), None)


def _record(person: dict, frame: int, where: str) -> records.Record:
    """Someone in a frame; without joints if there is no body."""
    key = _pose_of(person)
    joints = person[key] if key else []
    try:
        values = jsonfile.floats(joints, f"{key}")
        number = records.person_of(person, "person_id")
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if len(values) % 3:
        raise InputError(f"{where}: {key} must be a list of x, y, score")
    tracked = number is not None and not (jsonfile.is_number(number) and number < 0)
    return records.Record(
        frame, number if tracked else None, values, math.nan, person.get(records.PROVENANCE)
    )


def _put(person: dict, joints: records.Joints) -> dict:
    key = _pose_of(person)
    return person | {key: records.flat(joints, person[key])}


def _new(new: records.New, examples: list[dict]) -> dict:
    """Someone in a frame that lacks them, with the keys that others have."""
    if new.example is None and not examples:
        number = -1 if new.person is None else new.person
        return {"person_id": [number], "pose_keypoints_2d": records.flat(new.joints)}
    example = examples[new.example or 0]
    person = {key: [] if isinstance(value, list) else value for key, value in example.items()}
    person.pop(records.PROVENANCE, None)
    if "person_id" in example:
        person["person_id"] = [-1] if new.example is None else example["person_id"]
        if new.example is None and new.person is not None:
            person["person_id"] = [new.person]
    return person | {_pose_of(example): records.flat(new.joints)}


FORMAT = Format(
    name="openpose", sniff=sniff, read=read, write=write,
    is_frame=is_frame, holds=("body25", "body25b", "coco18"), choices=("body25",),
    min_score=MIN_SCORE,
    relabel=records.relabelled,
)
