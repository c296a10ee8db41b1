"""Where bodies stand in JSON whose joints are objects, and how its frames grow; see ``objects``."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from posegan_jax.errors import InputError
from posegan_jax.formats import jsonfile
from posegan_jax.formats.joint_names import joint_name

BODIES = ("keypoints", "keypoints2D", "landmarks", "joints", "points", "parts", "pose")
_PEOPLE = (
    "persons", "people", "poses", "predictions", "detections", "instances", "humans", "bodies",
    "skeletons", "objects", "results",
)
_LISTS = ("frames", "data", "video", "images", "annotations", *_PEOPLE)
_IMAGES = ("image_id", "file_name", "filename", "image", "frame")
LABELS = (
    "name", "part", "type", "label", "joint", "landmark", "keypoint", "bodyPart", "body_part",
    "class", "class_name", "id", "index", "idx", "keypoint_id", "landmark_id", "class_id",
)
SCORES = (
    "score", "confidence", "conf", "likelihood", "inFrameLikelihood", "probability", "prob",
    "visibility",
)
BY_PLACE = ""
FEWEST = 3  # names that are known, for an object to be one of joints


@dataclasses.dataclass(frozen=True)
class Body:
    """Where a body is.

    Attributes:
      frame: number of its frame.
      person: keys and places on the way from the whole content to the person's object, or to the
        body where it stands alone.
      inner: those on from there to the body.
    """

    frame: int
    person: tuple
    inner: tuple


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a file is laid out.

    Attributes:
      key: that of the list of frames; None where the content itself is the list, or one frame.
      numbers: frame of every entry of the list.
      bodies: all that are in it.
      label: key of what joints say they are, BY_PLACE where they do not; None in objects by names.
      labels: all that joints are called, as text.
      whole: whether they are whole numbers in the file.
    """

    key: str | None
    numbers: list[int]
    bodies: list[Body]
    label: str | None
    labels: list[str]
    whole: bool


# --- layouts --------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Named:
    """Frames that were an object by their names, and its key where it is not the whole file."""

    key: str | None
    names: list[str]


def listed(content: Any) -> tuple[Any, Named | None]:
    """The content with a list of frames where it has an object of them by their names."""
    if _is_by_names(content):
        return list(content.values()), Named(None, list(content))
    if isinstance(content, dict) and not _has_body(content):
        for key in _LISTS:
            if _is_by_names(content.get(key)):
                frames = content[key]
                return content | {key: list(frames.values())}, Named(key, list(frames))
    return content, None


def _is_by_names(value: Any) -> bool:
    if not isinstance(value, dict) or is_body(value) or _has_body(value):
        return False
    if any(key in value for key in (*_LISTS, *BODIES)):
        return False
    return bool(value) and all(map(_may_hold, value.values())) and any(value.values())


def layout_of(content: Any, path: Path, named: Named | None) -> Layout:
    """Raises InputError where the file has none of the layouts."""
    key = None
    entries = content
    if isinstance(content, dict) and not _has_body(content):
        lists = [k for k in (*_LISTS, *content) if isinstance(content.get(k), list)]
        key = next((k for k in lists if any(map(_may_hold, content[k]))), next(iter(lists), None))
        if key is None:
            raise InputError(f"{path}: no list of frames, and no keypoints")
        entries = content[key]
    if isinstance(entries, dict) or is_body(entries):
        return _whole(content, key, [0], [(0, (), entries)], path)
    if not isinstance(entries, list):
        raise InputError(f"{path}: no list of frames")
    numbers = _numbers(entries) if named is None else jsonfile.frame_numbers(named.names)[0]
    start = () if key is None else (key,)
    places = [(numbers[i], (*start, i), entry) for i, entry in enumerate(entries)]
    return _whole(content, key, numbers, places, path)


def _whole(content, key, numbers, entries, path) -> Layout:
    """The layout of entries (number, keys and places on the way there, content)."""
    bodies = [
        Body(number, way + person, inner) for number, way, entry in entries
        for person, inner in _people(entry, f"{path}: frame {number}")
    ]
    found = [at(content, body.person + body.inner) for body in bodies]
    label = _label_key(found)
    longest = sorted(found, key=len, reverse=True)
    labels = list(dict.fromkeys(name for body in longest for name in names_of(body, label)))
    first = next((body[0].get(label) for body in found if isinstance(body, list) and label), None)
    return Layout(key, numbers, bodies, label, labels, jsonfile.is_number(first))


def _people(entry: Any, where: str, depth: int = 0) -> list[tuple[tuple, tuple]]:
    """The ways to the people of a frame, and from there to their bodies.

    Raises:
      InputError: a body's joints are no objects of x and y.
    """
    if is_body(entry):
        return [((), ())]
    if not entry or depth > 4:
        return []
    if isinstance(entry, list):
        return [
            ((i, *person), inner) for i, item in enumerate(entry)
            for person, inner in _people(item, where, depth + 1)
        ]
    if not isinstance(entry, dict):
        raise InputError(f"{where} is neither a person nor a list of people")
    inner = _has_body(entry)
    if inner:
        return [((), inner)]
    for key in _PEOPLE:
        if isinstance(entry.get(key), list):
            return [
                ((key, *person), inner)
                for person, inner in _people(entry[key], where, depth + 1)
            ]
    wrong = next((key for key in BODIES if entry.get(key)), None)
    if wrong:
        raise InputError(f"{where}: {wrong} must be a list of joints with x and y")
    return []


def _has_body(entry: dict) -> tuple:
    """The way from a person's object to the body, empty where there is none."""
    for key in BODIES:
        value = entry.get(key)
        if is_body(value):
            return (key,)
        inner = _has_body(value) if isinstance(value, dict) else ()
        if inner:
            return (key, *inner)
    return ()


def _is_person(entry: Any) -> bool:
    """Whether it is a person's object, or a body that stands alone."""
    return is_body(entry) or isinstance(entry, dict) and bool(_has_body(entry))


def _may_hold(entry: Any) -> bool:
    """Whether a list's entry may be a frame or a person."""
    if isinstance(entry, list):
        return not entry or any(map(_may_hold, entry)) or is_body(entry)
    return isinstance(entry, dict) and (
        is_body(entry) or any(key in entry for key in (*BODIES, *_PEOPLE))
    )


def is_body(value: Any) -> bool:
    """Whether it is a list of joints, or an object of them by their names."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, dict) and is_point(item) for item in value)
    if not isinstance(value, dict) or sum(map(is_known, value)) < FEWEST:
        return False
    return all(is_point(item) for item in value.values())


def is_point(value: Any) -> bool:
    """Whether a value is a place: a list of two to four numbers, or an object that has them."""
    if isinstance(value, list):
        return 2 <= len(value) <= 4 and all(map(jsonfile.is_number, value))
    if not isinstance(value, dict):
        return False
    place = value.get("position", value)
    inner = any(isinstance(item, list | dict) for item in value.values() if item is not place)
    return isinstance(place, dict) and not inner and all(
        axis in place and (place[axis] is None or jsonfile.is_number(place[axis])) for axis in "xy"
    )


def _numbers(entries: list) -> list[int]:
    """Frame of every entry: its number, the last one in the name of its image, or its place."""
    for key in (*jsonfile.NUMBERS, *_IMAGES):
        names = _values(entries, key)
        numbers = jsonfile.frame_numbers(names)[0]
        if len(set(numbers)) > 1:
            return numbers
    return list(range(len(entries)))


def _values(entries: list, key: str) -> list[int | str]:
    """The numbers or names that all entries have under a key, empty unless all do."""
    names = [entry.get(key) if isinstance(entry, dict) else None for entry in entries]
    usable = all(isinstance(name, str) or jsonfile.is_whole(name) for name in names)
    return names if usable else []


def _told(entries: list, numbers: list[int]) -> tuple[str | None, list]:
    """The key that the numbers of entries are from, and what they have there."""
    for key in (*jsonfile.NUMBERS, *_IMAGES):
        names = _values(entries, key)
        if names and jsonfile.frame_numbers(names)[0] == numbers:
            return key, names
    return None, []




# --- joints ---------------------------------------------------------------------------------------


def is_known(name: Any) -> bool:
    return isinstance(name, str) and joint_name(name.rpartition(".")[2]) is not None


def _label_key(bodies: list) -> str | None:
    """The key that says which joint each is, see ``Layout``."""
    lists = [body for body in bodies if isinstance(body, list)]
    if not lists:
        return None
    for key in LABELS:
        if all(_labels_differ(body, key) for body in lists):
            labels = {point[key] for body in lists for point in body}
            numbers = all(map(jsonfile.is_whole, labels))
            if numbers or sum(map(is_known, labels)) >= min(FEWEST, len(labels)):
                return key
    return BY_PLACE


def _labels_differ(body: list, key: str) -> bool:
    labels = [point.get(key) for point in body]
    usable = all(isinstance(label, str) or jsonfile.is_whole(label) for label in labels)
    return usable and len({str(label) for label in labels}) == len(labels)


def names_of(body: Any, label: str | None) -> list[str]:
    """What a body calls its joints, as text."""
    if isinstance(body, dict):
        return list(body)
    if label == BY_PLACE or label is None:
        return [str(i) for i in range(len(body))]
    return [str(point[label]) for point in body]


def numbers_of(point: Any) -> list:
    """x, y and score of a joint; 1 where the file does not say it."""
    if isinstance(point, list):
        return [*point[:2], point[-1] if len(point) > 2 else 1.0]
    place = point.get("position", point)
    key = score_key(point)
    return [place["x"], place["y"], 1.0 if key is None else point[key]]


def score_key(point: dict) -> str | None:
    return next((key for key in SCORES if key in point), None)




def at(content: Any, way: Sequence) -> Any:
    for key in way:
        content = content[key]
    return content


def put_at(content: Any, way: Sequence, value: Any) -> None:
    """Puts a value where a way leads to; changes what holds it."""
    at(content, way[:-1])[way[-1]] = value


# --- writing --------------------------------------------------------------------------------------


class Entries:
    """The list of frames of a file that is written, which may grow."""

    def __init__(self, content: list, layout: Layout, path: Path, named: Named | None):
        """Args: content: a list that holds that of the file, and changes; named: its frames."""
        self._path, self._content, self._named = path, content, named
        self._names = None if named is None else list(named.names)
        way = (0,) if layout.key is None else (0, layout.key)
        self._entries = at(content, way)
        self._numbers = list(layout.numbers)
        self._one = not isinstance(self._entries, list) or is_body(self._entries)
        # What tells the number of an entry, None where its place does.
        self._key, names = None, []
        if self._names is not None:
            names = self._names
        elif not self._one:
            self._key, names = _told(self._entries, self._numbers)
        self._name = jsonfile.FrameNames(dict(zip(self._numbers, names, strict=False)), 0)
        # From the entry to a person in it: nothing, places in lists, or a key and a place.
        example = next((entry for entry in self._entries if entry), []) if not self._one else []
        key = next((key for key in _PEOPLE if key in example), None)
        self._inner = (0,) if isinstance(example, list) else () if key is None else (key, 0)
        if layout.bodies:
            self._inner = layout.bodies[0].person[len(way) :]

    def whole(self) -> Any:
        """What the file holds."""
        if self._names is None:
            return self._content[0]
        frames = dict(zip(self._names, self._entries, strict=True))
        return frames if self._named.key is None else self._content[0] | {self._named.key: frames}

    def add(self, frame: int, person: Any) -> None:
        """Puts someone into a frame. Raises InputError where the file has no place for it."""
        if self._one:
            raise InputError(
                f"{self._path}: a file of one picture has no place for frame {frame}"
            )
        at = [i for i, number in enumerate(self._numbers) if number == frame]
        if at and self._key and _is_person(self._entries[at[-1]]):
            self._entries.insert(at[-1] + 1, self._blank(frame))
            self._numbers.insert(at[-1] + 1, frame)
            at = [at[-1] + 1]
        place = at[-1] if at else self._insert(frame)
        self._entries[place] = self._with(self._entries[place], person)

    def _with(self, entry: Any, person: Any) -> Any:
        """An entry with one person more, who is put where others are."""
        if _is_person(entry):
            return [entry, person]
        if isinstance(entry, list) and entry:
            return [*entry, person]
        if isinstance(entry, dict) and not self._inner:
            return entry | (person if isinstance(person, dict) else {BODIES[0]: person})
        if not self._inner:
            return person
        if isinstance(self._inner[0], str):
            key, entry = self._inner[0], entry or {}
            return entry | {key: [*(entry.get(key) or []), person]}
        return [person]

    def _insert(self, frame: int) -> int:
        """Makes an empty entry for a frame and returns its place."""
        if self._key is None and self._names is None:
            if not 0 <= frame <= jsonfile.LONGEST:
                raise InputError(
                    f"{self._path}: frame {frame}, but a list of frames has places 0 to "
                    f"{jsonfile.LONGEST}"
                )
            for number in range(len(self._entries), frame + 1):
                self._entries.append(self._blank(number))
                self._numbers.append(number)
            return frame
        before = [i for i, number in enumerate(self._numbers) if number <= frame]
        place = before[-1] + 1 if before else 0
        self._entries.insert(place, self._blank(frame))
        self._numbers.insert(place, frame)
        if self._names is not None:
            self._names.insert(place, self._name(frame))
        return place

    def _blank(self, frame: int) -> Any:
        if self._inner and not isinstance(self._inner[0], str):
            return []
        return {} if self._key is None else {self._key: self._name(frame)}
