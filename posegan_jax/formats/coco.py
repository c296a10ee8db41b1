"""COCO keypoint annotations: one JSON object with ``images``, ``annotations`` and ``categories``.

An annotation holds ``keypoints`` (x, y, v for every joint), where v is 0 for a joint that is not
labelled, 1 for a hidden and 2 for a visible one; files with other numbers there hold scores. Which
joints these are says its category, which names them in their order (COCO, PoseTrack and CrowdPose
do), or else their number. Of several categories with joints of different names or numbers one is
read, that of people; the annotations of the others stay as they are, see ``categories``. Whom it
shows says ``track_id``, where there is one. (COCO's keypoint *results* are a list as AlphaPose
writes it, see ``alphapose``.)

The frame of an image is its ``frame_id``, or the last number in its ``file_name``.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posegan_jax.errors import InputError
from posegan_jax.formats import categories, jsonfile, picture, records
from posegan_jax.formats.format import Format
from posegan_jax.pose.sequence import PoseFile
from posegan_jax.pose.skeleton import get_skeleton

_VISIBLE = 2

_USED = (
    "id", "image_id", "category_id", "keypoints", "num_keypoints", "bbox", "area", "iscrowd",
    "segmentation", "track_id", "score", records.PROVENANCE,
)
"""Keys of an annotation that are of use, or of none to anyone here."""

@dataclasses.dataclass(frozen=True)
class _Content:
    """A file, and which of its annotations are read.

    Attributes:
      whole: the file.
      kept: the ids of the categories that are; None where all are.
    """

    whole: dict
    kept: frozenset | None = None

    def holds(self, annotation: Any) -> bool:
        """Whether an annotation has joints that are read."""
        if not isinstance(annotation, dict) or not annotation.get("keypoints"):
            return False
        return self.kept is None or categories.category_of(annotation) in self.kept


def sniff(path: Path) -> bool:
    """Whether the file is an object with annotations or images."""
    keys = jsonfile.outline(path)
    return ("{", "annotations") in keys or ("{", "images") in keys


def read(
    path: Path, min_score: float, skeletons: Mapping[int, str] | None = None,
    image_size: tuple[float, float] | None = None,
) -> PoseFile:
    """Reads the people of a file, each a PoseSequence of the frames that hold them.

    Args:
      path: the file.
      min_score: joints with a lower score, or v as a share, and joints at (0, 0), are missing.
      skeletons: number of joints -> skeleton, for numbers that are not known.
      image_size: (width, height) in pixels, for coordinates that are shares of the picture.

    Raises:
      InputError: the file is no such object; the message names the annotation.
    """
    content = jsonfile.load(path)
    annotations = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(annotations, list):
        raise InputError(f"{path}: has no list of annotations")
    frames, notes = _frames(content, path)
    found = [
        _record(item, frames, f"{path}: annotation {i}") for i, item in enumerate(annotations)
    ]
    if annotations and not any(record.joints for record in found):
        raise InputError(f"{path}: no annotation has keypoints")
    known = records.SKELETONS | dict(skeletons or {})
    kept, of_categories = categories.kept(content, known)
    notes += of_categories
    read = _Content(content, kept)
    held = [read.holds(item) for item in annotations]
    annotations = [item for item, is_held in zip(annotations, held, strict=True) if is_held]
    found = [record for record, is_held in zip(found, held, strict=True) if is_held]
    flag = _highest_flag(annotations)
    if flag:
        found = [record._replace(joints=_scored(record.joints, flag)) for record in found]
    unused = jsonfile.unused_keys(annotations, _USED)
    if found and len(found[0].joints) // 3 not in (skeletons or {}):
        named, more = categories.by_category(content, annotations, len(found[0].joints) // 3)
        known |= named
        notes += more
    return records.read(
        path, read, found, min_score, known, notes, image_size, _size(content), unused=unused
    )


def write(file: PoseFile, path: Path) -> None:
    """Writes what was read, the numbers that differ, and new images and annotations at the end.

    Where v says what is visible, a filled joint is written as hidden (v = 1).

    Raises:
      InputError: skeletons that the format has no place for, or more than one.
    """
    source = file.source or records.Source(_Content({"images": [], "annotations": []}))
    edits = records.edits(file, source, path)
    whole, holds = source.content.whole, source.content.holds
    old = whole["annotations"]
    examples = [item for item in old if holds(item)]
    flag = _highest_flag(examples)
    (annotations,) = records.updated(
        [old], edits, lambda item, joints: item | _numbers(joints, flag, item), holds
    )
    content = dict(whole)
    images, ids = _images(content, edits)
    number = max((item["id"] for item in old if jsonfile.is_whole(item.get("id"))), default=0)
    for frame, news in sorted(edits.added.items()):
        for new in news:
            number += 1
            annotation = _new(new, int(number), ids[frame], flag, examples)
            annotations.append(records.stamped(annotation, new.joints))
    if images:
        content["images"] = images
    content["annotations"] = annotations
    if edits.skeleton != source.skeleton:
        content["categories"] = _categories(source.content, source.skeleton, edits.skeleton)
    jsonfile.dump(content, path)


# --- reading --------------------------------------------------------------------------------------


def _frames(content: dict, path: Path) -> tuple[dict[Any, int], list[str]]:
    """Image id -> frame number. Without images the ids themselves are numbers or names."""
    images = content.get("images")
    if images is None:
        return _by_id(content["annotations"]), []
    if not isinstance(images, list) or not all(
        isinstance(image, dict) and categories.is_id(image.get("id")) for image in images
    ):
        raise InputError(f"{path}: images must be a list of objects with an id")
    numbers = [image.get("frame_id") for image in images]
    if not all(map(jsonfile.is_whole, numbers)):
        numbers = [image.get("file_name") for image in images]
        if not all(isinstance(name, str) for name in numbers):
            numbers = [image["id"] for image in images]
    frames, notes = jsonfile.frame_numbers(numbers)
    ids = [image["id"] for image in images]
    if len(set(frames)) < len(set(ids)):  # several videos, or numbers that count something else
        frames = list(range(len(images)))
        notes = ["several images of one number: frames are counted in the order of the file"]
    return dict(zip(ids, frames, strict=True)), notes


def _size(content: dict) -> tuple[float, float] | None:
    """Width and height of the images where they all have the same."""
    images = content.get("images")
    return picture.common_size(
        (image.get("width"), image.get("height")) for image in images or ()
    )


def _by_id(annotations: list) -> dict[Any, int]:
    ids = [item.get("image_id") for item in annotations if isinstance(item, dict)]
    ids = list(dict.fromkeys(name for name in ids if categories.is_id(name)))
    return dict(zip(ids, jsonfile.frame_numbers(ids)[0], strict=True))


def _record(item: Any, frames: dict[Any, int], where: str) -> records.Record:
    """Someone in an image; without joints if the annotation has none."""
    if not isinstance(item, dict) or not categories.is_id(item.get("image_id")):
        raise InputError(f"{where} has no image_id")
    if item["image_id"] not in frames:
        raise InputError(f"{where} has the image_id {item['image_id']!r}, but no image has that id")
    try:
        joints = jsonfile.floats(item.get("keypoints") or [])
        person = records.person_of(item, "track_id")
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if len(joints) % 3:
        raise InputError(f"{where}: keypoints must be a list of x, y, v")
    score, provenance = jsonfile.number(item.get("score")), item.get(records.PROVENANCE)
    return records.Record(frames[item["image_id"]], person, joints, score, provenance)


def _highest_flag(annotations: list[dict]) -> int:
    """2 or 1 where v is a flag, the larger one that occurs; 0 where it is a score.

    Scores are all 1 in some files, but no whole numbers.
    """
    values = [v for item in annotations for v in (item.get("keypoints") or [])[2::3]]
    if not values or not all(v in (0, 1, 2) for v in values):
        return 0
    if _VISIBLE in values:
        return _VISIBLE
    return int(all(type(v) is int for v in values))


def _scored(joints: list[float], flag: int) -> list[float]:
    return [value / flag if i % 3 == 2 else value for i, value in enumerate(joints)]


# --- writing --------------------------------------------------------------------------------------


def _numbers(joints: records.Joints, flag: int, item: dict) -> dict[str, Any]:
    """What of an annotation its joints decide."""
    old = item.get("keypoints", [])
    values = records.flat(joints, old)
    if flag:
        same = len(values) == len(old)
        values[2::3] = [
            0 if x == y == 0 else (same and old[3 * k + 2]) or (flag if score >= 1 else 1)
            for k, (x, y, score) in enumerate(joints.values.tolist())
        ]
    numbers = {"keypoints": values}
    if "num_keypoints" in item:
        numbers["num_keypoints"] = sum(v > 0 for v in values[2::3])
    return numbers


def _new(
    new: records.New, number: int, image_id: Any, flag: int, examples: list[dict]
) -> dict[str, Any]:
    """An annotation for an image that lacks it, after another one of the person if there is."""
    seen = new.joints.values[new.joints.values[:, 2] > 0, :2]
    seen = seen if len(seen) else new.joints.values[:, :2]
    (left, top), (right, bottom) = seen.min(0).tolist(), seen.max(0).tolist()
    width, height = round(right - left, records.DIGITS), round(bottom - top, records.DIGITS)
    item = {
        "id": number, "image_id": image_id,
        "category_id": examples[0].get("category_id", 1) if examples else 1, "num_keypoints": 0,
        "bbox": [left, top, width, height], "area": round(width * height, records.DIGITS),
        "iscrowd": 0,
    }
    if not flag:
        item["score"] = new.score
    if new.example is not None:
        example = examples[new.example]
        item |= {key: example[key] for key in ("category_id", "track_id") if key in example}
    elif new.person is not None:
        item["track_id"] = new.person
    return item | _numbers(new.joints, flag, item)


def _images(content: dict, edits: records.Edits) -> tuple[list[dict], dict[int, Any]]:
    """The images with those of new frames, and frame -> image id."""
    frames, _ = _frames(content, Path())
    ids = {frame: image_id for image_id, frame in frames.items()}
    images = list(content.get("images") or [])
    if images or not frames:
        name = {frames[image["id"]]: image.get("file_name") for image in images}
        names = jsonfile.FrameNames({f: n for f, n in name.items() if isinstance(n, str)})
        size = {key: images[0][key] for key in ("width", "height") if images and key in images[0]}
        whole = all(map(jsonfile.is_whole, frames))
        number = int(max(frames, default=0)) if whole else len(frames)
        for frame in sorted(set(edits.added) - set(ids)):
            number += 1
            ids[frame] = number if whole else names(frame)
            image = {"id": ids[frame], "file_name": names(frame)} | size
            if images and "frame_id" in images[0]:
                image["frame_id"] = frame
            images.append(image)
    else:
        named = jsonfile.FrameNames(ids)
        ids = {frame: named(frame) for frame in {*ids, *edits.added}}
    return images, ids


def _categories(content: _Content, old: str | None, new: str) -> list[dict]:
    """The categories, with the new joints where they named the old ones."""
    skeleton = get_skeleton(new)
    joints = {
        "keypoints": list(skeleton.joints),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.bones()],
    }
    old_ones, kept = content.whole.get("categories"), content.kept
    if not isinstance(old_ones, list):
        return [{"id": 1, "name": "person", "supercategory": "person"} | joints]
    count = len(get_skeleton(old)) if old else -1
    return [
        item | joints
        if isinstance(item, dict) and isinstance(item.get("keypoints"), list)
        and len(item["keypoints"]) == count and (kept is None or item.get("id") in kept) else item
        for item in old_ones
    ]


FORMAT = Format(
    name="coco", sniff=sniff, read=read, write=write,
    suffixes=(".json",), holds=tuple(records.SKELETONS.values()), min_score=0.2,
    relabel=records.relabelled,
)
