"""OpenPose: a folder with one JSON file per frame, as ``--write_json`` writes it.

Other programs write such frames into one file, as ComfyUI does: a list of them, alone or under a
key; or a file's frame in a list of its own, or one person alone in the place of the list. All of
these are read, and written as they were. A frame may be ``null`` or ``{}`` where nobody is in it.
(An object of frames by their names is AlphaPose's.)

Each file has a list of ``people``, each with ``pose_keypoints_2d`` (x, y, score for every joint,
zeros where there is none); the frame's number is the last one in the file's name. 18 joints are the
COCO model's, 25 those of BODY_25 or of BODY_25B, see ``which_body25``. Other programs write their
17, 26, 133 or 136 joints in the same way. Faces, hands, 3D joints and all else stay as they are.

With ``--keypoint_scale 3`` places are shares of the picture. ControlNet's preprocessors write such
files, too, with the picture's size as ``canvas_width`` and ``canvas_height``.
"""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats import folder, jsonfile, picture, records
from posegan_jax.formats.format import Format
from posegan_jax.pose.sequence import PoseFile
from posegan_jax.pose.skeleton import get_skeleton

MIN_SCORE = 0.1
"""Joints that OpenPose has not found are zeros; hidden ones have low scores."""

SURE = 1.5
"""Bones must be this much longer under one order of 25 joints for the other to be certain."""

_POSE = ("pose_keypoints_2d", "pose_keypoints")  # the second up to version 1.1
_ENDING = "_keypoints.json"
_CANVAS = ("canvas_width", "canvas_height")
_LOOKS = 100  # frames that may be blank before one that says what a list is of


@dataclasses.dataclass(frozen=True)
class OneFile:
    """A list of frames, in one file.

    Attributes:
      files: the frames in their order, by their places.
      around: the object that holds the list, and its key; None where there is none.
    """

    files: dict[str, Any]
    around: tuple[dict, str] | None = None

    def numbers(self) -> list[int]:
        """Frame of every one."""
        frames = list(self.files.values())
        key = self.number_key()
        if key is None:
            return list(range(len(frames)))
        numbers, before = [], None
        for i, frame in enumerate(frames):  # one that is blank has the number after the one before
            if isinstance(frame, dict) and jsonfile.is_whole(frame.get(key)):
                before = int(frame[key])
            else:
                before = i if before is None else before + 1
            numbers.append(before)
        return numbers

    def number_key(self) -> str | None:
        """The key of a frame's number; None where its place says it."""
        frames = [frame for frame in self.files.values() if not _is_blank(frame)]
        return jsonfile.number_key(frames) if jsonfile.entry_numbers(frames) else None

    def content(self, frames: Mapping[str, Any], numbers: Mapping[str, int]) -> Any:
        """What the file holds with these frames; those that it lacks are put in by number."""
        added: dict[int, list] = {}
        for name, number in numbers.items():
            if name not in self.files:
                added[number] = [(name, frames[name])]
        old = [(name, frames[name]) for name in self.files]
        content = [frame for _, frame in records.merge(old, self.numbers(), added)]
        if self.around is None:
            return content
        whole, key = self.around
        return whole | {key: content}


def sniff(path: Path) -> bool:
    """Whether the path is a folder with such files, or a file of frames, or one of them."""
    if not path.is_dir():
        return _holds_frames(jsonfile.outline(path))
    return any(_holds_frame(file) for file in folder.files_of(path, _ENDING))


def _holds_frame(path: Path) -> bool:
    """Whether a file of a folder is a frame, and no list of many."""
    keys = jsonfile.outline(path)
    if ("{", "people") in keys or not _holds_frames(keys):
        return ("{", "people") in keys
    try:
        return _is_frame(jsonfile.load(path))
    except InputError:
        return False


def _holds_frames(keys: frozenset[tuple[str, str]]) -> bool:
    """Whether a file has people in a frame, or in a list of frames."""
    if ("{", "people") in keys:
        return True
    for at in ("[{", "[[{", "{[{"):
        inner = {key for brackets, key in keys if brackets in (f"{at}[{{", f"{at}{{")}
        if (at, "people") in keys and (inner & set(_POSE) or (at, _CANVAS[0]) in keys):
            return True
    return False


def read(
    path: Path, min_score: float, skeletons: Mapping[int, str] | None = None,
    image_size: tuple[float, float] | None = None,
) -> PoseFile:
    """Reads the people of a folder, each a PoseSequence of the frames that hold them.

    Args:
      path: the folder, or a file of frames.
      min_score: joints with a lower score, and joints at (0, 0), are missing.
      skeletons: number of joints -> skeleton, for numbers that OpenPose does not know, or for 25.
      image_size: (width, height) in pixels, for coordinates that are shares of the picture.

    Raises:
      InputError: a file is not what OpenPose writes; the message names it.
    """
    if path.is_dir():
        content, notes = folder.load(path, _load, _ENDING)
    else:
        content, notes = _one_file(path), []
    frames = zip(content.numbers(), content.files.items(), strict=True)
    found = [
        _record(person, frame, f"{_place(path, name)}: person {i}")
        for frame, (name, item) in frames for i, person in enumerate(_frame(item)["people"])
    ]
    found = [record for record in found if record.joints]
    unused = jsonfile.unused_keys(
        (person for item in content.files.values() for person in _frame(item)["people"]),
        ("person_id", *_POSE, records.PROVENANCE),
    )
    places = [place for r in found for place in zip(r.joints[::3], r.joints[1::3], strict=True)]
    if picture.units(np.array(places).reshape(-1, 2)) == "metres":
        raise InputError(
            f"{path}: coordinates from -1 to 1 (--keypoint_scale 4); have them written with 0 or 3"
        )
    known = dict(records.SKELETONS)
    if 25 not in (skeletons or {}) and {len(record.joints) for record in found} == {75}:
        known[25], note = which_body25(np.array([record.joints for record in found]))
        notes += note
    known |= dict(skeletons or {})
    return records.read(
        path, content, found, min_score, known, notes, image_size,
        _size([_frame(item) for item in content.files.values()]), assumed=True, unused=unused,
    )


def write(file: PoseFile, path: Path) -> None:
    """Writes what was read, the numbers that differ, and new frames.

    A new file whose name ends in .json is a list of frames, and any other a folder.

    Raises:
      InputError: skeletons that the format has no place for, more than one, or a folder that holds
        other things stands in the way.
    """
    one = path.suffix.lower() == ".json"
    source = file.source or records.Source(OneFile({}) if one else folder.Folder({}))
    raw = source.content.files
    old = {name: _frame(frame) for name, frame in raw.items()}
    known = (*records.SKELETONS.values(), "body25b")
    edits = records.edits(file, source, path, known)
    in_folder = isinstance(source.content, folder.Folder)
    numbers = dict(zip(old, source.content.numbers(), strict=True))
    names = jsonfile.FrameNames(
        {number: name for name, number in numbers.items()},
        "frame_000000000000" + _ENDING if in_folder else "0",
    )
    people = [frame["people"] for frame in old.values()]
    people = records.updated(people, edits, _put, _pose_of)
    filled = [name for name, frame in raw.items() if not _is_blank(frame)]
    content = {name: old[name] | {"people": new} for name, new in zip(old, people, strict=True)}
    for frame in _in_between(source.content, edits.added, path):
        edits.added.setdefault(frame, [])
    example = content[filled[0]] if filled else {"version": 1.3}
    about = {key: example[key] for key in ("version", *_CANVAS) if key in example}
    examples = [p for frame in old.values() for p in frame["people"] if _pose_of(p)]
    key = None if in_folder else source.content.number_key()
    for frame, new in sorted(records.added(edits, lambda new: _new(new, examples)).items()):
        own: dict[str, Any] = content.get(names(frame), {"people": []})
        if names(frame) not in filled:
            own = ({} if key is None else {key: frame}) | about | own
        content[names(frame)] = own | {"people": own["people"] + new}
        numbers[names(frame)] = frame
    like = raw[filled[0]] if filled else {"people": []}
    content = {
        name: _wrapped(raw[name] if name in filled else like, frame)
        if frame["people"] or name in filled or name not in raw else raw[name]
        for name, frame in content.items()
    }
    if in_folder:
        folder.save(content, path, is_frame)
    else:
        jsonfile.dump(source.content.content(content, numbers), path)


def is_frame(path: Path) -> bool:
    """Whether a file holds what OpenPose writes of a frame: people with keypoints, or nobody."""
    try:
        people = _frame(_load(path))["people"]
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


# --- wrappings ------------------------------------------------------------------------------------


def _load(path: Path) -> Any:
    """The content of a folder's file. Raises InputError where it is no frame."""
    content = jsonfile.load(path)
    if isinstance(content, list) and len(content) > 1 and all(map(_is_frame, content)):
        raise InputError(f"{path}: {len(content)} frames in a file of a folder; give it alone")
    if not _is_frame(content) and not _is_blank(content):
        raise InputError(f"{path}: has no list of people; is it a frame of OpenPose?")
    return content


def _size(frames: list[dict]) -> tuple[float, float] | None:
    """Width and height of the canvas where all frames have the same."""
    width, height = _CANVAS
    return picture.common_size((frame.get(width), frame.get(height)) for frame in frames)


def _one_file(path: Path) -> OneFile:
    """The frames of a file. Raises InputError where it is no file of frames, or one frame."""
    content = jsonfile.load(path)
    if _is_frame(content) and not isinstance(content, list):
        raise InputError(f"{path}: one frame of OpenPose; give the folder with all of them")
    around = None
    if isinstance(content, dict):
        lists = ((key, value) for key, value in content.items() if isinstance(value, list))
        key = next((key for key, value in lists if any(map(_is_frame, value[:_LOOKS]))), None)
        around, content = (content, key), content.get(key)
    if not isinstance(content, list):
        raise InputError(f"{path}: has no list of people, and no list of frames")
    for i, frame in enumerate(content):
        if not _is_frame(frame) and not _is_blank(frame):
            raise InputError(f"{path}: frame {i} has no list of people, as OpenPose's have")
    return OneFile({str(i): frame for i, frame in enumerate(content)}, around)


def _is_frame(content: Any) -> bool:
    """Whether it is a frame, or one in a list of its own."""
    if isinstance(content, list):
        return len(content) == 1 and isinstance(content[0], dict) and _is_frame(content[0])
    people = content.get("people") if isinstance(content, dict) else None
    if isinstance(people, dict):
        return any(key in people for key in _POSE)
    return isinstance(people, list) and all(isinstance(person, dict) for person in people)


def _is_blank(content: Any) -> bool:
    """Whether it stands for a frame without anyone: null, {}, or with numbers of it alone."""
    if isinstance(content, list):
        return not content or len(content) == 1 and _is_blank(content[0])
    if content is None:
        return True
    known = ("people", "version", *_CANVAS, *jsonfile.NUMBERS)
    return isinstance(content, dict) and content.get("people") is None and set(content) <= {*known}


def _frame(content: Any) -> dict[str, Any]:
    """A frame with a list of people, however it is wrapped, and where it is blank."""
    if _is_blank(content):
        return (content if isinstance(content, dict) else {}) | {"people": []}
    frame = content[0] if isinstance(content, list) else content
    people = frame["people"]
    return frame | {"people": [people]} if isinstance(people, dict) else frame


def _wrapped(like: Any, frame: dict[str, Any]) -> Any:
    """A frame wrapped as another one is."""
    if isinstance(like, list):
        return [_wrapped(like[0], frame)]
    alone = isinstance(like["people"], dict) and len(frame["people"]) == 1
    return frame | {"people": frame["people"][0]} if alone else frame


def _in_between(content: folder.Folder | OneFile, added: Mapping[int, Any], path: Path) -> range:
    """The frames that get a place where nobody is in them.

    A new folder has a file for every frame of the video, and a list a place for all from 0 on.

    Raises:
      InputError: a frame that a list has no place for.
    """
    first, last = min(added, default=0), max(added, default=0)
    if isinstance(content, folder.Folder) or content.number_key():
        new = not content.files and added and last - first <= jsonfile.LONGEST
        return range(first, last + 1) if new else range(0)
    if first < 0 or last > jsonfile.LONGEST:
        raise InputError(
            f"{path}: frames {first} to {last}, but a list of frames has places 0 to "
            f"{jsonfile.LONGEST}"
        )
    return range(len(content.files), last + 1) if added else range(0)


def _place(path: Path, name: str) -> str:
    return f"{path / name}" if path.is_dir() else f"{path}: frame {name}"


# --- people ---------------------------------------------------------------------------------------


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
    name="openpose", sniff=sniff, read=read, write=write, suffixes=(".json",),
    is_frame=is_frame, holds=("body25", "body25b", "coco18"), choices=("body25",),
    min_score=MIN_SCORE,
    relabel=records.relabelled,
)
