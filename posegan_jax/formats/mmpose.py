"""MMPose 1.x predictions: frames with instances that hold ``keypoints`` and ``keypoint_scores``.

The layouts that are read and written back as they were:

* ``{"meta_info": ..., "instance_info": [{"frame_id": 1, "instances": [...]}, ...]}`` of the demos;
* the list of ``{"frame_id": 0, "instances": [...]}`` of the inferencer for a video;
* a list of frames that are lists of instances, whose frame is the place in the list;
* the instances of one image, alone or as the ``instance_info``, and a folder of such files, which
  the inferencer writes for a folder of images.

An instance has ``keypoints`` ([x, y] for every joint), ``keypoint_scores`` and usually ``bbox``.
``meta_info`` may name the data set and with it the joints.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posegan_jax.errors import InputError
from posegan_jax.formats import folder, jsonfile, records
from posegan_jax.formats.format import Format
from posegan_jax.formats.joint_map import by_names
from posegan_jax.pose.sequence import PoseFile
from posegan_jax.pose.skeleton import get_skeleton

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
    if path.is_dir():
        return any(_is_image(jsonfile.outline(file)) for file in folder.files_of(path))
    keys = jsonfile.outline(path)
    return _is_image(keys) or ("{", "instance_info") in keys or ("{", "meta_info") in keys or any(
        key in keys for key in (("[{", "instances"), ("[[{", _SCORES))
    )


def read(
    path: Path, min_score: float, skeletons: Mapping[int, str] | None = None,
    image_size: tuple[float, float] | None = None,
) -> PoseFile:
    """Reads the people of a file, each a PoseSequence of the frames that hold them.

    Args:
      path: the file, or the folder.
      min_score: joints with a lower score, and joints at (0, 0), are missing.
      skeletons: number of joints -> skeleton, for numbers that are not known.
      image_size: (width, height) in pixels, for coordinates that are shares of the picture.

    Raises:
      InputError: the file is none of MMPose's; the message names the frame and the instance.
    """
    content, notes = folder.load(path, _image) if path.is_dir() else (jsonfile.load(path), [])
    frames, groups = _frames(content, path)
    found = [
        _record(item, frame, f"{path}: frame {frame}, instance {i}")
        for frame, group in zip(frames, groups, strict=True) for i, item in enumerate(group)
    ]
    unused = jsonfile.unused_keys(
        (item for group in groups for item in group),
        ("keypoints", _SCORES, "bbox", "bbox_score", "track_id", records.PROVENANCE),
    )
    known = dict(records.SKELETONS)
    one = next(iter(content.files.values()), None) if _in_folder(content) else content
    meta = one.get("meta_info") if isinstance(one, dict) else None
    skeleton = _skeleton(meta if isinstance(meta, dict) else {})
    if skeleton:
        known[len(get_skeleton(skeleton))] = skeleton
    known |= dict(skeletons or {})
    return records.read(
        path, content, found, min_score, known, notes, image_size, unused=unused
    )


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
    if _in_folder(source.content):
        folder.save(_files(source.content, groups, added), path, is_frame)
        return
    wrapped = isinstance(source.content, dict)
    entries = source.content["instance_info"] if wrapped else source.content
    entries = _entries(entries, frames, groups, added, path)
    jsonfile.dump(
        source.content | {"instance_info": entries} if wrapped else entries, path
    )


def is_frame(path: Path) -> bool:
    """Whether a file holds the instances of one image, or none."""
    try:
        _image(path)
    except InputError:
        return False
    return True


def _skeleton(meta: dict) -> str | None:
    """What the file says about its joints: the data set, or else the name of each."""
    dataset, names = meta.get("dataset_name"), meta.get("keypoint_id2name")
    if isinstance(dataset, str) and dataset in DATASETS:
        return DATASETS[dataset]
    if not isinstance(names, dict):
        return None
    names = [names.get(str(i)) for i in range(len(names))]
    return by_names(names) if all(isinstance(name, str) for name in names) else None


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


def _is_image(keys: frozenset[tuple[str, str]]) -> bool:
    """Whether a file begins like the instances of one image."""
    return ("[{", _SCORES) in keys or {("{", "instance_info"), ("{[{", _SCORES)} <= keys


def _in_folder(content: Any) -> bool:
    return isinstance(content, folder.Folder)


def _image(path: Path) -> Any:
    """The content of a folder's file. Raises InputError where it holds no list of instances."""
    content = jsonfile.load(path)
    entries = content.get("instance_info") if isinstance(content, dict) else content
    if not isinstance(entries, list) or _layout(entries) != _IMAGE and entries:
        raise InputError(f"{path}: no list of the instances of an image")
    return content


def _instances(content: Any) -> list:
    return content["instance_info"] if isinstance(content, dict) else content


def _files(content: folder.Folder, groups: list[list], added: dict[int, list]) -> dict[str, Any]:
    """The files of a folder with other instances, and those of new frames after its first one."""
    names = jsonfile.FrameNames(dict(zip(content.numbers(), content.files, strict=True)))
    files = dict(zip(content.files, groups, strict=True))
    for frame, items in added.items():
        files[names(frame)] = files.get(names(frame), []) + items
    first = next(iter(content.files.values()), [])
    old = {name: content.files.get(name, first) for name in sorted(files)}
    return {
        name: item | {"instance_info": files[name]} if isinstance(item, dict) else files[name]
        for name, item in old.items()
    }


def _frames(content: Any, path: Path) -> tuple[list[int], list[list[dict]]]:
    """Number and instances of every frame."""
    if _in_folder(content):
        return content.numbers(), [_instances(item) for item in content.files.values()]
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


FORMAT = Format(
    name="mmpose", sniff=sniff, read=read, write=write,
    suffixes=(".json",), is_frame=is_frame, holds=HOLDS,
    # MMPose gives a place to joints that it does not see, with a low score.
    min_score=0.2,
    relabel=records.relabelled,
)
