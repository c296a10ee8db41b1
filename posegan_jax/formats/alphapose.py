"""AlphaPose results: a JSON list, one object per detected person and image.

Each object has ``image_id`` (a number, or a file name with one), ``keypoints`` (x, y, score for
every joint), usually ``score``, ``category_id``, ``box`` and, when people were tracked, ``idx``,
which AlphaPose writes as a number, a list or a list of lists. K = 17 is COCO, 26 and 136 Halpe,
133 COCO-WholeBody. COCO's own keypoint results are the same list and are read here, too.

With ``--format cmu`` or ``open`` AlphaPose writes a JSON object instead: image name -> ``bodies``
with ``joints``, or ``people`` with ``pose_keypoints_2d``, 18 joints in OpenPose's COCO order.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from posegan_jax.errors import InputError
from posegan_jax.formats import jsonfile, records
from posegan_jax.formats.format import Format
from posegan_jax.pose.sequence import PoseFile

SKELETONS = {
    joints: name for joints, name in records.SKELETONS.items() if joints not in (18, 25, 33)
}
"""Number of joints -> skeleton in a list of results: all but those of OpenPose and MediaPipe."""

BY_IMAGE = {18: "coco18", 28: "mpi_inf_3dhp"}
"""The same for ``cmu`` and ``open``."""

_USED = (
    "image_id", "category_id", "keypoints", "score", "box", "bbox", "id", records.PROVENANCE,
)
"""Keys of an object that are of use, or of none to anyone here."""

_KEYS = {"bodies": "joints", "people": "pose_keypoints_2d"}


def sniff(path: Path) -> bool:
    """Whether the file is a list of objects with keypoints and an image_id, or one by image."""
    keys = jsonfile.outline(path)
    if {("[{", "image_id"), ("[{", "keypoints")} <= keys:
        return True
    return any(("{{", key) in keys for key in _KEYS) or _is_empty_list(path)


def read(
    path: Path, min_score: float, skeletons: Mapping[int, str] | None = None,
    image_size: tuple[float, float] | None = None,
) -> PoseFile:
    """Reads the people of a file, each a PoseSequence of the frames that hold them.

    Args:
      path: the file.
      min_score: joints with a lower score, and joints at (0, 0), are missing.
      skeletons: number of joints -> skeleton, for numbers that AlphaPose does not know.
      image_size: (width, height) in pixels, for coordinates that are shares of the picture.

    Raises:
      InputError: the file is not what AlphaPose writes; the message names the object.
    """
    content = jsonfile.load(path)
    unused: list[str] = []
    if isinstance(content, dict):
        found, notes = _parse_images(content, path)
        known = BY_IMAGE | dict(skeletons or {})
    else:
        found, notes = parse(content, path, _id_key(content))
        unused = jsonfile.unused_keys(content, (*_USED, _id_key(content)))
        known = SKELETONS | dict(skeletons or {})
    return records.read(
        path, content, found, min_score, known, notes, image_size, unused=unused
    )


def write(file: PoseFile, path: Path) -> None:
    """Writes what was read, with the numbers that differ and new frames' objects in their places.

    Raises:
      InputError: skeletons that the format has no place for, or more than one.
    """
    source = file.source or records.Source([])
    if isinstance(source.content, dict):
        content = _unparse_images(
            records.edits(file, source, path, BY_IMAGE.values()), source.content
        )
    else:
        edits = records.edits(file, source, path, SKELETONS.values())
        content = unparse(edits, source, source.content, _id_key(source.content))
    jsonfile.dump(content, path)


# --- the list -------------------------------------------------------------------------------------


def parse(
    objects: Sequence, path: Path, id_key: str
) -> tuple[list[records.Record], list[str]]:
    """One record per object. Raises InputError, which names the first object that is none."""
    for i, item in enumerate(objects):
        problem = _problem(item)
        if problem:
            raise InputError(f"{path}: object {i} {problem}")
    frames, notes = jsonfile.frame_numbers([item["image_id"] for item in objects])
    found = []
    for i, (item, frame) in enumerate(zip(objects, frames, strict=True)):
        where = f"{path}: object {i} (image {item['image_id']!r})"
        found.append(_record(item, item.get("keypoints"), frame, where, id_key))
    return found, notes


def unparse(
    edits: records.Edits, source: records.Source, objects: Sequence[dict], id_key: str
) -> list[dict]:
    """The list with what changed and what is new."""
    (result,) = records.updated(
        [objects], edits,
        lambda item, joints: item | {"keypoints": records.flat(joints, item["keypoints"])},
    )
    ids = [item["image_id"] for item in objects]
    names = jsonfile.FrameNames(dict(zip(source.frames, ids, strict=True)))
    added = records.added(edits, lambda new: _new(new, names(new.frame), objects, id_key))
    return records.merge(result, source.frames, added)


def _id_key(objects: Sequence) -> str:
    """The key of someone's id: AlphaPose's own, or that of trackers if no object has it."""
    keys = {key for item in objects if isinstance(item, dict) for key in ("idx", "track_id")
            if key in item}
    return "track_id" if keys == {"track_id"} else "idx"


def _is_empty_list(path: Path) -> bool:
    """Whether it is ``[]``: what AlphaPose writes where there is nobody."""
    if path.is_dir() or path.stat().st_size > 64:
        return False
    return path.read_bytes().removeprefix(b"\xef\xbb\xbf").translate(None, b" \t\r\n") == b"[]"


def _problem(item: Any) -> str | None:
    """What is wrong with an object's image, None if nothing is."""
    if not isinstance(item, dict) or "image_id" not in item:
        return "has no image_id"
    image = item["image_id"]
    if not isinstance(image, str) and not jsonfile.is_whole(image):
        return f"has the image_id {image!r}; it must be a whole number or a file name"
    return None


def _record(item: dict, keypoints: Any, frame: int, where: str, id_key: str) -> records.Record:
    if not isinstance(keypoints, list) or not keypoints or len(keypoints) % 3:
        raise InputError(f"{where}: keypoints must be a list of x, y, score")
    try:
        person = records.person_of(item, id_key)
        joints = jsonfile.floats(keypoints)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    score = jsonfile.number(item.get("score"))
    return records.Record(frame, person, joints, score, item.get(records.PROVENANCE))


def _new(new: records.New, image_id: Any, objects: Sequence[dict], id_key: str) -> dict:
    """An object for a frame that the file lacks, after another one of the person if there is."""
    item = {
        "image_id": image_id, "category_id": 1, "keypoints": records.flat(new.joints),
        "score": new.score,
    }
    if new.example is not None:
        example = objects[new.example]
        return item | {key: example[key] for key in ("category_id", id_key) if key in example}
    return item if new.person is None else item | {id_key: new.person}


# --- by image -------------------------------------------------------------------------------------


def _parse_images(content: dict, path: Path) -> tuple[list[records.Record], list[str]]:
    frames, notes = jsonfile.frame_numbers(list(content))
    key = _people_key(content)
    found = []
    for (image, item), frame in zip(content.items(), frames, strict=True):
        if not isinstance(item, dict) or not isinstance(item.get(key), list):
            raise InputError(f"{path}: image {image!r} has no list of {key}")
        for i, person in enumerate(item[key]):
            where = f"{path}: image {image!r}, person {i}"
            if not isinstance(person, dict):
                raise InputError(f"{where}: must be an object")
            found.append(_record(person, person.get(_KEYS[key]), frame, where, "idx"))
    return found, notes


def _unparse_images(edits: records.Edits, content: dict) -> dict:
    """The images with what changed and who is new; new images in their places."""
    frames, _ = jsonfile.frame_numbers(list(content))
    key = _people_key(content)
    joints = _KEYS[key]
    people = records.updated(
        [item[key] for item in content.values()], edits,
        lambda person, new: person | {joints: records.flat(new, person[joints])},
    )
    added = records.added(edits, lambda new: {joints: records.flat(new.joints)})
    images = [
        (image, item | {key: old + added.pop(frame, [])})
        for (image, item), old, frame in zip(content.items(), people, frames, strict=True)
    ]
    names = jsonfile.FrameNames(dict(zip(frames, content, strict=True)))
    version = next((item.get("version") for item in content.values()), None)
    new = {
        frame: [(names(frame), {"version": version, key: news})] for frame, news in added.items()
    }
    return dict(records.merge(images, frames, new))


def _people_key(content: dict) -> str:
    """'bodies' or 'people': which of them the first image has."""
    first = next(iter(content.values()), None)
    return "people" if isinstance(first, dict) and "people" in first else "bodies"


FORMAT = Format(
    name="alphapose", sniff=sniff, read=read, write=write,
    suffixes=(".json",), default_for=(".json",), holds=tuple(SKELETONS.values()),
    # Where AlphaPose has not seen a joint it still gives a place, with a score of a few percent.
    min_score=0.2,
    relabel=records.relabelled,
)
