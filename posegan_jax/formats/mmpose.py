"""MMPose 1.x predictions: frames with instances that hold ``keypoints`` and ``keypoint_scores``.

The layouts that are read and written back as they were:

* ``{"meta_info": ..., "instance_info": [{"frame_id": 1, "instances": [...]}, ...]}`` of the demos;
* the list of ``{"frame_id": 0, "instances": [...]}`` of the inferencer for a video;
* a list of frames that are lists of instances, whose frame is the place in the list;
* the instances of one image, alone or as the ``instance_info``.

An instance has ``keypoints`` ([x, y] for every joint), ``keypoint_scores`` and usually ``bbox``.
``meta_info`` may name the data set and with it the joints.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posegan_jax.errors import InputError
from posegan_jax.formats import jsonfile, records
from posegan_jax.pose.sequence import PoseFile
from posegan_jax.pose.skeleton import get_skeleton

NAME = "mmpose"
OPTIONS = ("skeletons",)
MIN_SCORE = 0.2
"""MMPose gives a place to joints that it does not see, with a low score."""

DATASETS = {
    "coco": "coco17", "coco_wholebody": "coco133", "halpe": "halpe136", "halpe26": "halpe26",
    "h36m": "h36m17", "mpii": "mpii16",
}
"""dataset_name in meta_info -> skeleton, where the number of joints fits."""

HOLDS = tuple(dict.fromkeys((*records.SKELETONS.values(), *DATASETS.values())))

_SCORES = "keypoint_scores"
_FRAMES, _LISTS, _IMAGE = range(3)  # objects with instances; lists of instances; instances


def sniff(path: Path) -> bool:
    """Whether the beginning of the file has one of these layouts."""
    keys = jsonfile.outline(path)
    return ("{", "instance_info") in keys or ("{", "meta_info") in keys or any(
        key in keys for key in (("[{", "instances"), ("[{", _SCORES), ("[[{", _SCORES))
    )


def read(
    path: Path, min_score: float | None = None, skeletons: Mapping[int, str] | None = None
) -> PoseFile:
    """Reads the people of a file, each a PoseSequence of the frames that hold them.

    Args:
      path: the file.
      min_score: joints with a lower score, and joints at (0, 0), are missing.
      skeletons: number of joints -> skeleton, for numbers that are not known.

    Raises:
      InputError: the file is none of MMPose's; the message names the frame and the instance.
    """
    content = jsonfile.load(path)
    frames, groups = _frames(content, path)
    found = [
        _record(item, frame, f"{path}: frame {frame}, instance {i}")
        for frame, group in zip(frames, groups, strict=True) for i, item in enumerate(group)
    ]
    known = dict(records.SKELETONS)
    meta = content.get("meta_info") if isinstance(content, dict) else None
    dataset = meta.get("dataset_name") if isinstance(meta, dict) else None
    skeleton = DATASETS.get(dataset) if isinstance(dataset, str) else None
    if skeleton:
        known[len(get_skeleton(skeleton))] = skeleton
    known |= dict(skeletons or {})
    min_score = MIN_SCORE if min_score is None else min_score
    return records.read(NAME, path, content, found, min_score, known)


def write(file: PoseFile, path: Path) -> None:
    """Writes what was read, the numbers that differ, and new instances in their frames.

    Raises:
      InputError: skeletons that the format has no place for, more than one, or a negative frame
        where a frame is a place in a list.
    """
    source = file.source or records.Source({"meta_info": _meta(file), "instance_info": []})
    edits = records.edits(file, source, path, HOLDS)
    frames, groups = _frames(source.content, path)
    old = [item for group in groups for item in group]
    groups = records.updated(groups, edits, _put)
    added = records.added(edits, lambda new: _new(new, old))
    wrapped = isinstance(source.content, dict)
    entries = source.content["instance_info"] if wrapped else source.content
    entries = _entries(entries, frames, groups, added, path)
    jsonfile.dump(
        source.content | {"instance_info": entries} if wrapped else entries, path
    )


def _meta(file: PoseFile) -> dict:
    """The data set of a new file's joints, where there is one."""
    skeletons = {sequence.skeleton for sequence in file}
    names = [name for name, skeleton in DATASETS.items() if {skeleton} == skeletons]
    return {"dataset_name": names[0]} if names else {}


def _layout(entries: list) -> int:
    first = next(iter(entries), None)
    if isinstance(first, list):
        return _LISTS
    return _IMAGE if isinstance(first, dict) and _SCORES in first else _FRAMES


def _frames(content: Any, path: Path) -> tuple[list[int], list[list[dict]]]:
    """Number and instances of every frame."""
    entries = content.get("instance_info") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise InputError(f"{path}: has no list of frames (instance_info)")
    layout = _layout(entries)
    if layout == _IMAGE:
        return [0], [entries]
    if layout == _LISTS:
        for i, group in enumerate(entries):
            if not isinstance(group, list):
                raise InputError(f"{path}: frame {i} is no list of instances")
        return list(range(len(entries))), entries
    frames: list[int] = []
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("instances"), list):
            raise InputError(f"{path}: entry {i} has no list of instances")
        number = entry.get("frame_id", i)
        if not jsonfile.is_whole(number):
            raise InputError(f"{path}: entry {i} has the frame_id {number!r}, no whole number")
        frames.append(int(number))
    if frames and max(frames) - min(frames) > jsonfile.LONGEST:
        raise InputError(f"{path}: frame_id runs from {min(frames)} to {max(frames)}: no video")
    return frames, [entry["instances"] for entry in entries]


def _record(item: Any, frame: int, where: str) -> records.Record:
    if not isinstance(item, dict):
        raise InputError(f"{where}: must be an object")
    keypoints, scores = item.get("keypoints"), item.get(_SCORES)
    if not isinstance(keypoints, list) or not all(
        isinstance(xy, list) and len(xy) == 2 for xy in keypoints
    ):
        raise InputError(f"{where}: keypoints must be a list of [x, y]")
    try:
        places = [jsonfile.floats(xy) for xy in keypoints]
        scores = jsonfile.floats(scores, _SCORES)
        person = records.person_of(item, "track_id")
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if len(scores) != len(places) or not places:
        raise InputError(f"{where}: {len(places)} keypoints with {len(scores)} {_SCORES}")
    joints = [value for xy, score in zip(places, scores, strict=True) for value in (*xy, score)]
    score = jsonfile.number(item.get("bbox_score"))
    return records.Record(frame, person, joints, score, item.get(records.PROVENANCE))


def _put(item: dict, joints: records.Joints) -> dict:
    old = [
        value for xy, score in zip(item["keypoints"], item[_SCORES], strict=True)
        for value in (*xy, score)
    ]
    return item | _numbers(records.flat(joints, old))


def _numbers(values: list) -> dict[str, list]:
    places = [list(xy) for xy in zip(values[::3], values[1::3], strict=True)]
    return {"keypoints": places, _SCORES: values[2::3]}


def _new(new: records.New, old: list[dict]) -> dict:
    """An instance for a frame that lacks it."""
    item = _numbers(records.flat(new.joints)) | {"bbox_score": new.score}
    if new.example is not None:
        example = old[new.example]
        return item | {"track_id": example["track_id"]} if "track_id" in example else item
    return item if new.person is None else item | {"track_id": new.person}


def _entries(
    entries: list, frames: list[int], groups: list[list], added: dict[int, list], path: Path
) -> list:
    """The list of frames in the layout that it had."""
    layout = _layout(entries)
    if layout == _IMAGE and set(added) <= {0}:
        return groups[0] + added.get(0, [])
    if layout == _FRAMES:
        filled = [
            entry | {"instances": group + added.pop(frame, [])}
            for entry, frame, group in zip(entries, frames, groups, strict=True)
        ]
        new = {
            frame: [{"frame_id": frame, "instances": items}] for frame, items in added.items()
        }
        return records.merge(filled, frames, new)
    return records.by_place(groups, added, path)
