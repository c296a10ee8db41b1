"""Joints as objects: MoveNet and PoseNet (tfjs), ml5, ML Kit, Roboflow and others, as JSON.

These are libraries and have no file format; programs dump what they give. A joint is an object
with ``x`` and ``y``, or with a ``position`` of them, mostly a score, and what it is: a ``name``,
``part``, ``type`` or the like, or a number as ``id``; without any of them its place in the list
says it. Joints may also be the values of an object by their names. A body is the ``keypoints``
(``landmarks``, ``pose``, ...) of a person's object, or stands alone. A frame is a person, a list of
people or an object with one (``persons``, ``poses``, ``predictions``, ...), and the file is a list
of frames, or an object of them by their names, alone or under a key. The frame's number is its
``frame``, ``frame_id`` or the like, else its place. Places are pixels or shares of the picture, see
``picture``. Joints in space and all else stay as they are.
"""

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats import jsonfile, mediapipe, picture, records
from posegan_jax.formats.format import Format
from posegan_jax.formats.joint_names import Joints, joint_name, resolve, shared_beginning
from posegan_jax.formats.numbered import not_numbers, numbered
from posegan_jax.pose.sequence import PoseFile
from posegan_jax.pose.skeleton import get_skeleton

MIN_SCORE = 0.3
"""What MoveNet's own demos draw; its joints that are not seen have lower scores."""

_BODIES = ("keypoints", "keypoints2D", "landmarks", "joints", "points", "parts", "pose")
_PEOPLE = (
    "persons", "people", "poses", "predictions", "detections", "instances", "humans", "bodies",
    "skeletons", "objects", "results",
)
_LISTS = ("frames", "data", "video", "images", "annotations", *_PEOPLE)
_IMAGES = ("image_id", "file_name", "filename", "image", "frame")
_PERSONS = ("person_id", "track_id", "id", "personId", "trackId", "tracker_id", "player_id")
_LABELS = (
    "name", "part", "type", "label", "joint", "landmark", "keypoint", "bodyPart", "body_part",
    "class", "class_name", "id", "index", "idx", "keypoint_id", "landmark_id", "class_id",
)
_SCORES = (
    "score", "confidence", "conf", "likelihood", "inFrameLikelihood", "probability", "prob",
    "visibility",
)
_THEIRS = {"landmarks", "pose", "landmark"}
_NOT_THEIRS = {"part", "type", "joint", "bodyPart", "body_part", "class"}
"""Bodies that ``mediapipe`` knows, and labels that it does not: what it may read is left to it."""

_BY_PLACE = ""
_FEWEST = 3  # names that are known, for an object to be one of joints


@dataclasses.dataclass(frozen=True)
class _Body:
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
class _Layout:
    """How a file is laid out.

    Attributes:
      key: that of the list of frames; None where the content itself is the list, or one frame.
      numbers: frame of every entry of the list.
      bodies: all that are in it.
      label: key of what joints say they are, _BY_PLACE where they do not; None in objects by names.
      labels: all that joints are called, as text.
      whole: whether they are whole numbers in the file.
    """

    key: str | None
    numbers: list[int]
    bodies: list[_Body]
    label: str | None
    labels: list[str]
    whole: bool


def sniff(path: Path) -> bool:
    """Whether there are objects of x and y in a list, with a name or a score, or under names."""
    keys = jsonfile.outline(path)
    at: dict[str, set[str]] = {}
    for brackets, key in keys:
        at.setdefault(brackets, set()).add(key)
    theirs = mediapipe.sniff(path)
    under_theirs = any(key.lower().endswith("landmarks") or key in _THEIRS for _, key in keys)
    for brackets, held in at.items():
        named = sum(map(_is_known, held)) >= _FEWEST  # lists of x, y, score under names
        if named and not theirs and at.get(brackets[:-1], set()) & {*_BODIES}:
            return True
        holder = at.get(brackets[:-2] if brackets.endswith("[{") else brackets[:-1], set())
        placed = "position" in held and {"x", "y"} <= at.get(brackets + "{", set())
        if not placed and not {"x", "y"} <= held:
            continue
        scored = placed or bool(held & {*_SCORES} - {"visibility"})
        own = scored and held & _NOT_THEIRS
        own = own or not under_theirs and at.get(brackets[:-2], set()) & {*_BODIES} - _THEIRS
        if theirs and not placed and not own:
            continue
        if brackets.endswith("[{") and (scored or held & {*_LABELS}) and holder & {*_BODIES}:
            return True
        if brackets.endswith("{{") and sum(map(_is_known, holder)) >= _FEWEST:
            return True
    return False


def read(
    path: Path, min_score: float, names: Mapping[str, str] | None = None,
    skeletons: Mapping[int, str] | None = None, image_size: tuple[float, float] | None = None,
) -> PoseFile:
    """Reads the people of a file, each a PoseSequence of the frames that hold them, in pixels.

    Args:
      path: the file.
      min_score: joints with a lower score, and joints at (0, 0), are missing.
      names: {file's name: our name} of joints, before the rule of ``joint_names``.
      skeletons: number of joints -> skeleton, for joints that are numbers.
      image_size: (width, height) in pixels, for normalised coordinates.

    Raises:
      InputError: the file has none of the layouts; the message names the frame.
    """
    content, named = _listed(jsonfile.load(path))
    layout = _layout(content, path, named)
    if not layout.bodies:
        return records.read(path, (content, (1.0, 1.0), None, named), [], min_score)
    joints, notes = _joints(layout, path, names, skeletons)
    index = _index(joints, layout)
    frames = [body.frame for body in layout.bodies]
    one = len(set(frames)) == len(frames)
    count = len(joints.skeleton)
    found = [_record(content, body, layout, index, count, path) for body in layout.bodies]
    if one and all(record.person is None for record in found):
        found = [record._replace(person=0) for record in found]
        notes.append("no ids in the file: the body of every frame is taken for one person")
    scale = (1.0, 1.0)
    if picture.is_normalised([record.joints for record in found]):
        scale, more = picture.scale(image_size, mediapipe.picture_size(content))
        notes += more
        found = [r._replace(joints=picture.times(r.joints, scale)) for r in found]
    skeleton = joints.skeleton.name
    file = records.read(
        path, (content, scale, joints, named), found, min_score, {count: skeleton}, notes
    )
    fps = mediapipe.rate(content)
    return file if fps is None else file.replace([s.replace(fps=fps) for s in file])


def write(file: PoseFile, path: Path) -> None:
    """Writes what was read, normalised again where it was, and new people in their frames.

    A new file is a list of frames, each a list of people as tfjs gives them.

    Raises:
      InputError: more than one skeleton, or a frame or a person that the layout has no place for.
    """
    source = file.source or records.Source(([], (1.0, 1.0), None, None))
    content, scale, joints, named = source.content
    edits = records.edits(file, source, path, {sequence.skeleton for sequence in file})
    layout = _layout(content, path, named)
    content, old = [copy.deepcopy(content)], content  # in a list, so that all of it has a holder
    writer = _Writer(layout, joints, edits.skeleton)
    for index, new in edits.updated.items():
        way = (0, *layout.bodies[index].person)
        person, inner = _at(content, way), layout.bodies[index].inner
        body = writer.put(_at(person, inner), picture.over(new, scale))
        if inner:
            _set(person, inner, body)
            person = records.stamped(writer.again(person, body), new)
        _set(content, way, person if inner else body)
    entries = _Entries(content, layout, path, named)
    for frame, news in sorted(edits.added.items()):
        for new in news:
            like = layout.bodies[new.example or 0] if layout.bodies else None
            example = _at(old, like.person) if like else {}
            entries.add(frame, writer.new(new, scale, like, example))
    jsonfile.dump(entries.whole(), path)


# --- layouts --------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Named:
    """Frames that were an object by their names, and its key where it is not the whole file."""

    key: str | None
    names: list[str]


def _listed(content: Any) -> tuple[Any, _Named | None]:
    """The content with a list of frames where it has an object of them by their names."""
    if _is_by_names(content):
        return list(content.values()), _Named(None, list(content))
    if isinstance(content, dict) and not _has_body(content):
        for key in _LISTS:
            if _is_by_names(content.get(key)):
                frames = content[key]
                return content | {key: list(frames.values())}, _Named(key, list(frames))
    return content, None


def _is_by_names(value: Any) -> bool:
    if not isinstance(value, dict) or _is_body(value) or _has_body(value):
        return False
    if any(key in value for key in (*_LISTS, *_BODIES)):
        return False
    return bool(value) and all(map(_may_hold, value.values())) and any(value.values())


def _layout(content: Any, path: Path, named: _Named | None) -> _Layout:
    """Raises InputError where the file has none of the layouts."""
    key = None
    entries = content
    if isinstance(content, dict) and not _has_body(content):
        lists = [k for k in (*_LISTS, *content) if isinstance(content.get(k), list)]
        key = next((k for k in lists if any(map(_may_hold, content[k]))), next(iter(lists), None))
        if key is None:
            raise InputError(f"{path}: no list of frames, and no keypoints")
        entries = content[key]
    if isinstance(entries, dict) or _is_body(entries):
        return _whole(content, key, [0], [(0, (), entries)], path)
    if not isinstance(entries, list):
        raise InputError(f"{path}: no list of frames")
    numbers = _numbers(entries) if named is None else jsonfile.frame_numbers(named.names)[0]
    start = () if key is None else (key,)
    places = [(numbers[i], (*start, i), entry) for i, entry in enumerate(entries)]
    return _whole(content, key, numbers, places, path)


def _whole(content, key, numbers, entries, path) -> _Layout:
    """The layout of entries (number, keys and places on the way there, content)."""
    bodies = [
        _Body(number, way + person, inner) for number, way, entry in entries
        for person, inner in _people(entry, f"{path}: frame {number}")
    ]
    found = [_at(content, body.person + body.inner) for body in bodies]
    label = _label_key(found)
    longest = sorted(found, key=len, reverse=True)
    labels = list(dict.fromkeys(name for body in longest for name in _names(body, label)))
    first = next((body[0].get(label) for body in found if isinstance(body, list) and label), None)
    return _Layout(key, numbers, bodies, label, labels, jsonfile.is_number(first))


def _people(entry: Any, where: str, depth: int = 0) -> list[tuple[tuple, tuple]]:
    """The ways to the people of a frame, and from there to their bodies.

    Raises:
      InputError: a body's joints are no objects of x and y.
    """
    if _is_body(entry):
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
    wrong = next((key for key in _BODIES if entry.get(key)), None)
    if wrong:
        raise InputError(f"{where}: {wrong} must be a list of joints with x and y")
    return []


def _has_body(entry: dict) -> tuple:
    """The way from a person's object to the body, empty where there is none."""
    for key in _BODIES:
        value = entry.get(key)
        if _is_body(value):
            return (key,)
        inner = _has_body(value) if isinstance(value, dict) else ()
        if inner:
            return (key, *inner)
    return ()


def _is_person(entry: Any) -> bool:
    """Whether it is a person's object, or a body that stands alone."""
    return _is_body(entry) or isinstance(entry, dict) and bool(_has_body(entry))


def _may_hold(entry: Any) -> bool:
    """Whether a list's entry may be a frame or a person."""
    if isinstance(entry, list):
        return not entry or any(map(_may_hold, entry)) or _is_body(entry)
    return isinstance(entry, dict) and (
        _is_body(entry) or any(key in entry for key in (*_BODIES, *_PEOPLE))
    )


def _is_body(value: Any) -> bool:
    """Whether it is a list of joints, or an object of them by their names."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, dict) and _is_point(item) for item in value)
    if not isinstance(value, dict) or sum(map(_is_known, value)) < _FEWEST:
        return False
    return all(_is_point(item) for item in value.values())


def _is_point(value: Any) -> bool:
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


def _is_known(name: Any) -> bool:
    return isinstance(name, str) and joint_name(name.rpartition(".")[2]) is not None


def _label_key(bodies: list) -> str | None:
    """The key that says which joint each is, see ``_Layout``."""
    lists = [body for body in bodies if isinstance(body, list)]
    if not lists:
        return None
    for key in _LABELS:
        if all(_labels_differ(body, key) for body in lists):
            labels = {point[key] for body in lists for point in body}
            numbers = all(map(jsonfile.is_whole, labels))
            if numbers or sum(map(_is_known, labels)) >= min(_FEWEST, len(labels)):
                return key
    return _BY_PLACE


def _labels_differ(body: list, key: str) -> bool:
    labels = [point.get(key) for point in body]
    usable = all(isinstance(label, str) or jsonfile.is_whole(label) for label in labels)
    return usable and len({str(label) for label in labels}) == len(labels)


def _names(body: Any, label: str | None) -> list[str]:
    """What a body calls its joints, as text."""
    if isinstance(body, dict):
        return list(body)
    if label == _BY_PLACE or label is None:
        return [str(i) for i in range(len(body))]
    return [str(point[label]) for point in body]


def _joints(
    layout: _Layout, path: Path, names: Mapping[str, str] | None,
    skeletons: Mapping[int, str] | None,
) -> tuple[Joints, list[str]]:
    """What the labels stand for; all joints of a skeleton where they are its numbers."""
    labels = layout.labels
    found = numbered(labels, skeletons)
    if skeletons and not found.names:
        raise InputError(f"{path}: {not_numbers(skeletons)}")
    if len(found.names) == len(labels) and not names:
        whole = get_skeleton(found.skeleton)
        place = {found.names[label]: i for i, label in enumerate(labels)}
        return Joints(whole, tuple(place.get(j, -1) for j in whole.joints), ()), [*found.notes]
    joints = resolve(labels, path, found.names | dict(names or {}))
    return joints, [*joints.notes, *found.notes]


def _index(joints: Joints, layout: _Layout) -> dict[str, int]:
    """What a joint is called -> its index in the skeleton."""
    return {layout.labels[i]: k for k, i in enumerate(joints.source) if i >= 0}


def _record(
    content: Any, body: _Body, layout: _Layout, index: Mapping[str, int], count: int, path: Path
) -> records.Record:
    """Someone in a frame, with a place for every joint of the skeleton."""
    where = f"{path}: frame {body.frame}"
    person = _at(content, body.person)
    points = _at(person, body.inner)
    values = np.zeros((count, 3))
    items = points.values() if isinstance(points, dict) else points
    for name, point in zip(_names(points, layout.label), items, strict=True):
        x, y, score = _numbers_of(point)
        try:
            values[index[name]] = jsonfile.floats([x, y, score], f"joint {name}")
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
    about = person if body.inner else {}
    key = next((key for key in _PERSONS if about.get(key) is not None), _PERSONS[0])
    try:
        number = records.person_of(about, key)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    score = next((about[key] for key in _SCORES if key in about), None)
    return records.Record(
        body.frame, number, values.ravel().tolist(), jsonfile.number(score),
        about.get(records.PROVENANCE),
    )


def _numbers_of(point: Any) -> list:
    """x, y and score of a joint; 1 where the file does not say it."""
    if isinstance(point, list):
        return [*point[:2], point[-1] if len(point) > 2 else 1.0]
    place = point.get("position", point)
    key = _score_key(point)
    return [place["x"], place["y"], 1.0 if key is None else point[key]]


def _score_key(point: dict) -> str | None:
    return next((key for key in _SCORES if key in point), None)


# --- writing --------------------------------------------------------------------------------------


def _at(content: Any, way: Sequence) -> Any:
    for key in way:
        content = content[key]
    return content


def _set(content: Any, way: Sequence, value: Any) -> None:
    """Puts a value where a way leads to; changes what holds it."""
    _at(content, way[:-1])[way[-1]] = value


class _Writer:
    """Makes bodies with other numbers, in the manner of those that a file has."""

    def __init__(self, layout: _Layout, joints: Joints | None, skeleton: str | None):
        """Args: joints: of the file as it was read; skeleton: of the joints to write."""
        self._label = layout.label if layout.bodies else _LABELS[0]
        self._whole = layout.whole
        labels = layout.labels
        new = get_skeleton(skeleton).joints if skeleton else ()
        old = joints.skeleton.joints if joints else ()
        known = {old[k]: labels[i] for k, i in enumerate(joints.source) if i >= 0} if joints else {}
        if labels and all(label.isdecimal() for label in labels):
            firsts = [int(labels[i]) - k for k, i in enumerate(joints.source) if i >= 0]
            start = int(min(firsts) > 0)
            self._names = [
                known.get(joint, str(k + start)) if new == old else str(k + start)
                for k, joint in enumerate(new)
            ]
        else:
            beginning = shared_beginning(labels)
            self._names = [known.get(joint, beginning + joint) for joint in new]

    def put(self, body: Any, joints: records.Joints) -> Any:
        """A body with the numbers that changed; with another skeleton from nothing."""
        points = list(body.values()) if isinstance(body, dict) else body
        empty = _empty(points[0])
        values = joints.values.tolist()
        if joints.changed is None:
            pairs = [
                (name, self._point(empty, row, [True] * 3, name))
                for name, row in zip(self._names, values, strict=True)
            ]
            return self._body(pairs, isinstance(body, dict))
        names = _names(body, self._label)
        found = dict(zip(names, points, strict=True))
        changed = joints.changed.any(-1)
        if self._label == _BY_PLACE and not isinstance(body, dict):
            last = np.flatnonzero(changed).max(initial=-1)
            found |= {str(k): empty for k in range(len(points), last + 1)}
        for k in np.flatnonzero(changed).tolist():
            name = self._names[k]
            new = name not in found
            point, which = found.get(name, empty), joints.changed[k].tolist()
            found[name] = (
                self._point(point, values[k], [True] * 3, name) if new
                else self._point(point, values[k], which)
            )
        order = {name: k for k, name in enumerate(self._names)}
        known = [order[name] for name in names if name in order]
        pairs = list(found.items())
        if known == sorted(known) and all(name in order for name in found):
            pairs.sort(key=lambda pair: order[pair[0]])
        return self._body(pairs, isinstance(body, dict))

    def again(self, person: dict, body: Any) -> dict:
        """A person's object with the joints that it has under their names, too, as ml5's do."""
        if not isinstance(body, list):
            return person
        points = dict(zip(_names(body, self._label), body, strict=True))
        for name, point in points.items():
            old = person.get(name)
            if isinstance(old, dict) and _is_point(old) and "position" not in old:
                x, y, score = _numbers_of(point)
                own = {"x": x, "y": y, _score_key(old): score}
                person = person | {name: {key: own.get(key, old[key]) for key in old}}
        return person

    def new(
        self, new: records.New, scale: tuple[float, float], like: _Body | None, example: Any
    ) -> Any:
        """Someone for a frame that lacks them, in the manner of another one."""
        body = _at(example, like.inner) if like else [{"x": 0.0, "y": 0.0, "score": 0.0}]
        points = list(body.values()) if isinstance(body, dict) else body
        joints = dataclasses.replace(picture.over(new.joints, scale), changed=None)
        whole = self.put(body if isinstance(body, dict) else points[:1], joints)
        if like and not like.inner:
            return whole
        person: Any = whole
        for key in reversed(like.inner if like else (_BODIES[0],)):
            person = {key: person}
        score = next((key for key in _SCORES if key in example), None if like else _SCORES[0])
        about = {score: new.score} if score else {}
        key = next((key for key in _PERSONS if example.get(key) is not None), None)
        if key and new.example is not None:
            about[key] = example[key]
        elif new.person is not None and (key or not like):
            about[key or "id"] = new.person
        return records.stamped(about | person, new.joints)

    def _point(
        self, point: Any, values: list[float], changed: list[bool], name: str | None = None
    ) -> Any:
        """A joint with other numbers; ``name`` for one that was not there."""
        if isinstance(point, list):
            result = list(point)
            places = (0, 1, len(point) - 1 if len(point) > 2 else None)
            for place, value, new in zip(places, values, changed, strict=True):
                if new and place is not None:
                    result[place] = value
            return result
        x, y, score = values
        axes = {axis: v for axis, v, new in zip("xy", (x, y), changed[:2], strict=True) if new}
        result = dict(point)
        if "position" in point:
            result["position"] = point["position"] | axes
        else:
            result |= axes
        key = _score_key(point)
        if key is not None and changed[2]:
            result[key] = score
        if name is not None and self._label:
            result[self._label] = int(name) if self._whole else name
        return result

    def _body(self, pairs: list[tuple[str, Any]], named: bool) -> Any:
        return dict(pairs) if named else [point for _, point in pairs]


def _empty(point: Any) -> Any:
    """A joint like another one, all zeros and without a name."""
    if isinstance(point, list):
        return [0.0] * len(point)
    place = {axis: 0.0 for axis in "xyz" if axis in point.get("position", point)}
    result: dict[str, Any] = {"position": place} if "position" in point else place
    key = _score_key(point)
    return result if key is None else result | {key: 0.0}


class _Entries:
    """The list of frames of a file that is written, which may grow."""

    def __init__(self, content: list, layout: _Layout, path: Path, named: _Named | None):
        """Args: content: a list that holds that of the file, and changes; named: its frames."""
        self._path, self._content, self._named = path, content, named
        self._names = None if named is None else list(named.names)
        way = (0,) if layout.key is None else (0, layout.key)
        self._entries = _at(content, way)
        self._numbers = list(layout.numbers)
        self._one = not isinstance(self._entries, list) or _is_body(self._entries)
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
            return entry | (person if isinstance(person, dict) else {_BODIES[0]: person})
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


FORMAT = Format(
    name="objects", sniff=sniff, read=read, write=write, suffixes=(".json",), min_score=MIN_SCORE,
)
