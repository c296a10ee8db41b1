"""Ultralytics (YOLO) pose results, as ``Results.to_json()`` or ``summary()`` gives them.

One image is a list of detections, each with ``name``, ``class``, ``confidence``, ``box``,
``keypoints`` ({"x": [...], "y": [...], "visible": [...]}) and ``track_id`` when people were
tracked. A video is a list of such lists; a frame is its place in it. Coordinates are pixels, or,
with ``normalize=True``, shares of the width and height, see ``picture``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posegan_jax.errors import InputError
from posegan_jax.formats import jsonfile, records
from posegan_jax.formats.format import Format
from posegan_jax.pose.sequence import PoseFile


def sniff(path: Path) -> bool:
    """Whether the file is a list of detections with a box, or a list of such lists."""
    keys = jsonfile.outline(path)
    return any({(at, "confidence"), (at, "box")} <= keys for at in ("[{", "[[{"))


def read(
    path: Path, min_score: float, skeletons: Mapping[int, str] | None = None,
    image_size: tuple[float, float] | None = None,
) -> PoseFile:
    """Reads the people of a file, each a PoseSequence of the frames that hold them.

    Args:
      path: the file.
      min_score: joints with a lower score, and joints at (0, 0), are missing.
      skeletons: number of joints -> skeleton, for numbers that are not known.
      image_size: (width, height) in pixels, for normalised coordinates.

    Raises:
      InputError: the file is no such list; the message names the frame and the detection.
    """
    content = jsonfile.load(path)
    found = [
        _record(item, frame, f"{path}: frame {frame}, detection {i}")
        for frame, group in enumerate(_groups(content, path)) for i, item in enumerate(group)
    ]
    found = [record for record in found if record.joints]
    if any(_groups(content, path)) and not found:
        raise InputError(f"{path}: no detection has keypoints; was it a pose model?")
    known = records.SKELETONS | dict(skeletons or {})
    unused = jsonfile.unused_keys(
        (item for group in _groups(content, path) for item in group),
        ("name", "class", "confidence", "box", "keypoints", "track_id", records.PROVENANCE),
    )
    return records.read(
        path, content, found, min_score, known, (), image_size, assumed=True, unused=unused
    )


def write(file: PoseFile, path: Path) -> None:
    """Writes what was read, the numbers that differ, and new detections in their frames.

    Raises:
      InputError: skeletons that the format has no place for, more than one, or a negative frame.
    """
    source = file.source or records.Source([[]])
    content = source.content
    edits = records.edits(file, source, path)
    groups = _groups(content, path)
    old = [item for group in groups for item in group if _holds(item)]

    groups = records.updated(
        groups, edits,
        lambda item, joints: item | {"keypoints": _numbers(joints, item["keypoints"])}, _holds,
    )
    added = records.added(edits, lambda new: _new(new, old))
    if content and isinstance(content[0], dict) and set(added) <= {0}:
        jsonfile.dump(groups[0] + added.get(0, []), path)
    else:
        jsonfile.dump(records.by_place(groups if content else [], added, path), path)


def _groups(content: Any, path: Path) -> list[list]:
    """The detections of every frame."""
    if not isinstance(content, list):
        raise InputError(f"{path}: must be a list of detections, or of such lists")
    if not content or isinstance(content[0], dict):
        return [content]
    for i, group in enumerate(content):
        if not isinstance(group, list):
            raise InputError(f"{path}: frame {i} is no list of detections")
    return content


def _holds(item: dict) -> bool:
    """Whether a detection has joints."""
    return bool(item.get("keypoints") and item["keypoints"]["x"])


def _record(item: Any, frame: int, where: str) -> records.Record:
    """Someone in a frame; without joints if the detection has none."""
    if not isinstance(item, dict):
        raise InputError(f"{where}: must be an object")
    keypoints = item.get("keypoints") or {"x": [], "y": []}
    if not isinstance(keypoints, dict):
        raise InputError(f"{where}: keypoints must be an object with x, y and visible")
    try:
        x, y = (jsonfile.floats(keypoints.get(key), f"keypoints.{key}") for key in "xy")
        seen = keypoints.get("visible")
        scores = [1.0] * len(x) if seen is None else jsonfile.floats(seen, "keypoints.visible")
        person = records.person_of(item, "track_id")
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if not len(x) == len(y) == len(scores):
        raise InputError(f"{where}: x, y and visible differ in length")
    joints = [value for joint in zip(x, y, scores, strict=True) for value in joint]
    score = jsonfile.number(item.get("confidence"))
    return records.Record(frame, person, joints, score, item.get(records.PROVENANCE))


def _numbers(joints: records.Joints, keypoints: dict) -> dict:
    """x, y and visible of an object; without visible if it had none."""
    seen = keypoints.get("visible")
    old = [keypoints.get("x", []), keypoints.get("y", []), seen or [1.0] * len(keypoints["x"])]
    values = records.flat(joints, [value for joint in zip(*old, strict=True) for value in joint])
    numbers = {"x": values[::3], "y": values[1::3], "visible": values[2::3]}
    if seen is None:
        del numbers["visible"]
    return keypoints | numbers


def _new(new: records.New, old: list[dict]) -> dict:
    """A detection for a frame that lacks it, with the box around its joints."""
    joints = new.joints
    places = joints.values[joints.values[:, :2].any(-1), :2]
    places = places if len(places) else joints.values[:, :2]
    (left, top), (right, bottom) = places.min(0).tolist(), places.max(0).tolist()
    item = {
        "name": "person", "class": 0, "confidence": new.score,
        "box": {"x1": left, "y1": top, "x2": right, "y2": bottom},
    }
    example = old[new.example] if new.example is not None else {}
    item |= {key: example[key] for key in ("name", "class", "track_id") if key in example}
    if new.example is None and new.person is not None:
        item["track_id"] = new.person
    empty = {"x": [], "y": [], "visible": []}
    if "keypoints" in example and "visible" not in example["keypoints"]:
        empty = {"x": [], "y": []}
    return item | {"keypoints": _numbers(joints, empty)}


FORMAT = Format(
    name="ultralytics", sniff=sniff, read=read, write=write,
    suffixes=(".json",), holds=tuple(records.SKELETONS.values()),
    # YOLO gives a place to every joint; those that it does not see have low scores.
    min_score=0.3,
    relabel=records.relabelled,
)
