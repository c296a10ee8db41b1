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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats import bodies, jsonfile, mediapipe, records
from posegan_jax.formats.format import Format
from posegan_jax.formats.joint_names import Joints, resolve, shared_beginning
from posegan_jax.formats.numbered import not_numbers, numbered
from posegan_jax.pose.sequence import PoseFile
from posegan_jax.pose.skeleton import get_skeleton

MIN_SCORE = 0.3
"""What MoveNet's own demos draw; its joints that are not seen have lower scores."""

_PERSONS = ("person_id", "track_id", "id", "personId", "trackId", "tracker_id", "player_id")
_MANY = 4  # detections, to see that each has an id of its own
_THEIRS = {"landmarks", "pose", "landmark"}
_NOT_THEIRS = {"part", "type", "joint", "bodyPart", "body_part", "class"}
"""Bodies that ``mediapipe`` knows, and labels that it does not: what it may read is left to it."""


def sniff(path: Path) -> bool:
    """Whether there are objects of x and y in a list, with a name or a score, or under names."""
    keys = jsonfile.outline(path)
    at: dict[str, set[str]] = {}
    for brackets, key in keys:
        at.setdefault(brackets, set()).add(key)
    theirs = mediapipe.sniff(path)
    under_theirs = any(key.lower().endswith("landmarks") or key in _THEIRS for _, key in keys)
    for brackets, held in at.items():
        named = sum(map(bodies.is_known, held)) >= bodies.FEWEST  # lists of x, y, score under names
        if named and not theirs and at.get(brackets[:-1], set()) & {*bodies.BODIES}:
            return True
        holder = at.get(brackets[:-2] if brackets.endswith("[{") else brackets[:-1], set())
        placed = "position" in held and {"x", "y"} <= at.get(brackets + "{", set())
        if not placed and not {"x", "y"} <= held:
            continue
        scored = placed or bool(held & {*bodies.SCORES} - {"visibility"})
        own = scored and held & _NOT_THEIRS
        own = own or not under_theirs and at.get(brackets[:-2], set()) & {*bodies.BODIES} - _THEIRS
        if theirs and not placed and not own:
            continue
        told = scored or held & {*bodies.LABELS}
        if brackets.endswith("[{") and told and holder & {*bodies.BODIES}:
            return True
        if brackets.endswith("{{") and sum(map(bodies.is_known, holder)) >= bodies.FEWEST:
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
    content, named = bodies.listed(jsonfile.load(path))
    layout = bodies.layout_of(content, path, named)
    if not layout.bodies:
        return records.read(path, (content, None, named), [], min_score)
    joints, notes = _joints(layout, path, names, skeletons)
    index = _index(joints, layout)
    count = len(joints.skeleton)
    found = [_record(content, body, layout, index, count, path) for body in layout.bodies]
    found, more = _told_apart(found)
    notes += more
    skeleton = joints.skeleton.name
    file = records.read(
        path, (content, joints, named), found, min_score, {count: skeleton}, notes, image_size,
        mediapipe.picture_size(content), assumed=True,
    )
    fps = mediapipe.rate(content)
    return file if fps is None else file.replace([s.replace(fps=fps) for s in file])


def write(file: PoseFile, path: Path) -> None:
    """Writes what was read, normalised again where it was, and new people in their frames.

    A new file is a list of frames, each a list of people as tfjs gives them.

    Raises:
      InputError: more than one skeleton, or a frame or a person that the layout has no place for.
    """
    source = file.source or records.Source(([], None, None))
    content, joints, named = source.content
    edits = records.edits(file, source, path, {sequence.skeleton for sequence in file})
    layout = bodies.layout_of(content, path, named)
    content, old = [copy.deepcopy(content)], content  # in a list, so that all of it has a holder
    writer = _Writer(layout, joints, edits.skeleton)
    for index, new in edits.updated.items():
        way = (0, *layout.bodies[index].person)
        person, inner = bodies.at(content, way), layout.bodies[index].inner
        body = writer.put(bodies.at(person, inner), new)
        if inner:
            bodies.put_at(person, inner, body)
            person = records.stamped(writer.again(person, body), new)
        bodies.put_at(content, way, person if inner else body)
    entries = bodies.Entries(content, layout, path, named)
    for frame, news in sorted(edits.added.items()):
        for new in news:
            like = layout.bodies[new.example or 0] if layout.bodies else None
            example = bodies.at(old, like.person) if like else {}
            entries.add(frame, writer.new(new, like, example))
    jsonfile.dump(entries.whole(), path)


def _told_apart(found: list[records.Record]) -> tuple[list[records.Record], list[str]]:
    """The records without ids that say nothing, and a note of what was done."""
    frames, people = ({record[i] for record in found} for i in (0, 1))
    notes = []
    if len(found) >= _MANY and len(people) == len(found) and len(frames) > 1:
        found = [record._replace(person=None) for record in found]
        people, notes = {None}, ["every detection has another id, so ids do not count"]
    if people == {None} and len(frames) == len(found):
        found = [record._replace(person=0) for record in found]
        notes = ["no ids in the file: the body of every frame is taken for one person"]
    return found, notes


# --- joints ---------------------------------------------------------------------------------------


def _joints(
    layout: bodies.Layout, path: Path, names: Mapping[str, str] | None,
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


def _index(joints: Joints, layout: bodies.Layout) -> dict[str, int]:
    """What a joint is called -> its index in the skeleton."""
    return {layout.labels[i]: k for k, i in enumerate(joints.source) if i >= 0}


def _record(
    content: Any, body: bodies.Body, layout: bodies.Layout, index: Mapping[str, int], count: int,
    path: Path,
) -> records.Record:
    """Someone in a frame, with a place for every joint of the skeleton."""
    where = f"{path}: frame {body.frame}"
    person = bodies.at(content, body.person)
    points = bodies.at(person, body.inner)
    values = np.zeros((count, 3))
    items = points.values() if isinstance(points, dict) else points
    for name, point in zip(bodies.names_of(points, layout.label), items, strict=True):
        x, y, score = bodies.numbers_of(point)
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
    score = next((about[key] for key in bodies.SCORES if key in about), None)
    return records.Record(
        body.frame, number, values.ravel().tolist(), jsonfile.number(score),
        about.get(records.PROVENANCE),
    )


class _Writer:
    """Makes bodies with other numbers, in the manner of those that a file has."""

    def __init__(self, layout: bodies.Layout, joints: Joints | None, skeleton: str | None):
        """Args: joints: of the file as it was read; skeleton: of the joints to write."""
        self._label = layout.label if layout.bodies else bodies.LABELS[0]
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
        names = bodies.names_of(body, self._label)
        found = dict(zip(names, points, strict=True))
        changed = joints.changed.any(-1)
        if self._label == bodies.BY_PLACE and not isinstance(body, dict):
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
        points = dict(zip(bodies.names_of(body, self._label), body, strict=True))
        for name, point in points.items():
            old = person.get(name)
            if isinstance(old, dict) and bodies.is_point(old) and "position" not in old:
                x, y, score = bodies.numbers_of(point)
                own = {"x": x, "y": y, bodies.score_key(old): score}
                person = person | {name: {key: own.get(key, old[key]) for key in old}}
        return person

    def new(self, new: records.New, like: bodies.Body | None, example: Any) -> Any:
        """Someone for a frame that lacks them, in the manner of another one."""
        body = bodies.at(example, like.inner) if like else [{"x": 0.0, "y": 0.0, "score": 0.0}]
        points = list(body.values()) if isinstance(body, dict) else body
        joints = dataclasses.replace(new.joints, changed=None)
        whole = self.put(body if isinstance(body, dict) else points[:1], joints)
        if like and not like.inner:
            return whole
        person: Any = whole
        for key in reversed(like.inner if like else (bodies.BODIES[0],)):
            person = {key: person}
        usual = None if like else bodies.SCORES[0]
        score = next((key for key in bodies.SCORES if key in example), usual)
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
        key = bodies.score_key(point)
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
    key = bodies.score_key(point)
    return result if key is None else result | {key: 0.0}


FORMAT = Format(
    name="objects", sniff=sniff, read=read, write=write, suffixes=(".json",), min_score=MIN_SCORE,
)
