"""MediaPipe (BlazePose) landmarks, as programs dump them to JSON.

MediaPipe has no file format of its own. What is read: a list of frames, alone or under ``frames``,
``landmarks``, ``poses``, ``results`` or ``data`` of an object. A frame is an object with
``pose_landmarks`` (also ``poseLandmarks``, ``landmarks``, ``pose``, ``landmark``) or these
landmarks themselves, of one body or a list of bodies; null or an empty list where there is nobody.
A landmark is {"x", "y", "z", "visibility"} or a list of these numbers. Where landmarks say which
they are, by ``id``, ``name`` or the like or as an object by names, some may lack; otherwise their
place says it. The frame's number is its ``frame``, ``frame_id`` or the like, else its place.

x and y are shares of the picture's width and height, which is looked for in the file (``width`` and
``height``, ``resolution``, ...), see ``picture``. z and all else stay as they are.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats import jsonfile, picture, records
from posegan_jax.formats.format import Format
from posegan_jax.formats.joint_names import joint_name, one_line
from posegan_jax.pose.sequence import PoseFile
from posegan_jax.pose.skeleton import get_skeleton

_LISTS = ("frames", "landmarks", "poses", "results", "data")
_POSES = ("pose_landmarks", "poseLandmarks", "landmarks", "pose", "landmark")
_SIZES = (
    ("width", "height"), ("image_width", "image_height"), ("frame_width", "frame_height"),
    ("video_width", "video_height"), ("imageWidth", "imageHeight"), ("w", "h"),
)
_FPS = ("fps", "frame_rate", "frameRate")
_LABELS = ("id", "index", "idx", "landmark_id", "landmark", "name", "label")
_SCORES = ("visibility", "score", "confidence", "likelihood", "presence")
"""Keys of how sure a landmark is, of which the first counts."""

_BY_NAME = {joint: k for k, joint in enumerate(get_skeleton("mediapipe33").joints)}

_Body = list | dict  # of points, by their places, by what they say they are, or by names


@dataclasses.dataclass(frozen=True)
class _Frame:
    """A frame's bodies, each a list of landmarks, and the way back to what the file has there."""

    number: int
    bodies: list[_Body]
    wrap: Callable[[list[_Body]], Any]


def sniff(path: Path) -> bool:
    """Whether keys end in 'landmarks', or there are points of x, y, z and visibility."""
    keys = jsonfile.outline(path)
    return any(key.lower().endswith("landmarks") for _, key in keys) or any(
        {(at, name) for name in ("x", "y", "z", "visibility")} <= keys for at, _ in keys
    )


def read(
    path: Path, min_score: float, skeletons: Mapping[int, str] | None = None,
    image_size: tuple[float, float] | None = None,
) -> PoseFile:
    """Reads the people of a file, each a PoseSequence of the frames that hold them, in pixels.

    Args:
      path: the file.
      min_score: landmarks with a lower visibility, and those at (0, 0), are missing.
      skeletons: number of joints -> skeleton, for numbers that are not known.
      image_size: (width, height) in pixels.

    Raises:
      InputError: the file has none of the layouts; the message names the frame.
    """
    content = jsonfile.load(path)
    frames = _frames(content, path)
    one = all(len(frame.bodies) < 2 for frame in frames)
    place = _score_place(frames)
    found = [
        records.Record(
            frame.number, 0 if one else None,
            _joints(body, f"{path}: frame {frame.number}", place), math.nan,
        )
        for frame in frames for body in frame.bodies
    ]
    notes = ["no ids in the file: the body of every frame is taken for one person"] * bool(
        one and found
    )
    points = [point for frame in frames for body in frame.bodies for point in _points(body)]
    notes += ["the third number of landmarks is taken for their score"] * (place == 2)
    key = next((key for key in _SCORES if any(key in point for point in points)), None)
    unused = jsonfile.unused_keys(points, ("x", "y", *_LABELS, key))
    known = records.SKELETONS | dict(skeletons or {})
    file = records.read(
        path, content, found, min_score, known, notes, image_size, picture_size(content),
        assumed=True, unused=unused,
    )
    fps = rate(content)
    return file if fps is None else file.replace([s.replace(fps=fps) for s in file])


def write(file: PoseFile, path: Path) -> None:
    """Writes what was read, normalised again where it was, and new bodies in their frames.

    Raises:
      InputError: skeletons that the format has no place for, more than one, or a negative frame
        where a frame is a place in a list.
    """
    width, height = picture.ASSUMED
    new = {"width": width, "height": height, "frames": []}
    source = file.source or records.Source(new, scale=picture.ASSUMED)
    content = source.content
    edits = records.edits(file, source, path)
    frames = _frames(content, path)
    place = _score_place(frames)
    bodies = records.updated(
        [frame.bodies for frame in frames], edits,
        lambda body, joints: _put(body, joints, place),
    )
    example = next((_points(body)[0] for frame in frames for body in frame.bodies), None)
    added = records.added(edits, lambda new: _put([], new.joints, place, example))
    entries = [
        frame.wrap(old + added.pop(frame.number, []))
        for frame, old in zip(frames, bodies, strict=True)
    ]
    key = _list_key(content)
    if key is None and isinstance(content, dict) or _is_landmarks(content):
        if added:
            raise InputError(f"{path}: a file of one picture has no place for frame {min(added)}")
        jsonfile.dump(entries[0], path)
        return
    entries = _extended(content if key is None else content[key], entries, frames, added, path)
    jsonfile.dump(entries if key is None else content | {key: entries}, path)


# --- layouts --------------------------------------------------------------------------------------


def _list_key(content: Any) -> str | None:
    """The key that the frames are under; None where the content itself is frames or a frame."""
    if not isinstance(content, dict):
        return None
    lists = [key for key in _LISTS if isinstance(content.get(key), list)]
    lists = [key for key in lists if not _is_landmarks(content[key])]
    return None if any(key in content for key in _POSES[:2]) else next(iter(lists), None)


def _frames(content: Any, path: Path) -> list[_Frame]:
    key = _list_key(content)
    entries = content if key is None else content[key]
    if isinstance(entries, dict) or _is_landmarks(entries):
        if not _is_landmarks(entries) and not any(name in entries for name in _POSES):
            raise InputError(f"{path}: no list of frames, and no pose_landmarks")
        entries = [entries]
    if not isinstance(entries, list):
        raise InputError(f"{path}: no list of frames")
    keys = [key for entry in entries if isinstance(entry, dict) for key in entry]
    if keys and not any(_may_hold(entry) for entry in entries):
        held = one_line(dict.fromkeys(keys))[:200]
        raise InputError(f"{path}: no frame has pose_landmarks; their keys are {held}")
    parts = [_unwrapped(entry, f"{path}: frame {i}") for i, entry in enumerate(entries)]
    numbers = jsonfile.entry_numbers(entries) or range(len(entries))
    return [_Frame(n, bodies, wrap) for n, (bodies, wrap) in zip(numbers, parts, strict=True)]


def _may_hold(entry: Any) -> bool:
    """Whether a frame has a place for landmarks, be it an empty one."""
    return not isinstance(entry, dict) or _is_landmarks(entry) or any(k in entry for k in _POSES)


def _unwrapped(
    entry: Any, where: str, depth: int = 0
) -> tuple[list[_Body], Callable[[list[_Body]], Any]]:
    """The bodies of a frame, and what makes a frame of bodies again."""
    if _is_landmarks(entry):
        return [entry], lambda new: new[0] if len(new) == 1 else new
    known = isinstance(entry, dict) and any(name in entry for name in _POSES)
    if known and depth < 3 or isinstance(entry, dict) and (depth == 0 or not entry):
        key = next((name for name in _POSES if entry.get(name)), None)
        key = key or next((name for name in _POSES if name in entry), _POSES[0])
        bodies, inner = _unwrapped(entry.get(key), where, depth + 1)
        return bodies, lambda new: entry if new == bodies else entry | {key: inner(new)}
    if not entry and (entry is None or isinstance(entry, list)):
        return [], lambda new: new[0] if len(new) == 1 else new or entry
    if not isinstance(entry, list) or not all(map(_is_landmarks, entry)):
        raise InputError(f"{where} has no landmarks: lists of x, y, z and visibility")
    return entry, lambda new: new


def _is_landmarks(value: Any) -> bool:
    """Whether it is one body: a list of points, or an object of points by their landmarks."""
    if not isinstance(value, dict | list) or not value:
        return False
    if isinstance(value, list):
        return all(map(_is_point, value))
    return all(map(_is_point, value.values())) and None not in map(_landmark, value)


def _is_point(value: Any) -> bool:
    if isinstance(value, dict):
        return "x" in value and "y" in value
    return isinstance(value, list) and len(value) > 1 and all(
        v is None or jsonfile.is_number(v) for v in value
    )


def _extended(
    old: list, entries: list, frames: list[_Frame], added: dict[int, list], path: Path
) -> list:
    """The frames with those that the file lacks."""
    objects = not old or isinstance(next(filter(None, old), None), dict)
    example = next((entry for entry in old if isinstance(entry, dict)), {})
    pose = next((name for name in _POSES if name in example), _POSES[0])
    numbered = jsonfile.entry_numbers(old)
    number = jsonfile.number_key(old) if numbered else None if old else jsonfile.NUMBERS[0]

    def entry(frame: int, bodies: list) -> Any:
        one = bodies[0] if len(bodies) == 1 else bodies
        if not objects:
            return one
        return ({number: frame} if number else {}) | {pose: one}

    if number:
        new = {frame: [entry(frame, bodies)] for frame, bodies in added.items()}
        return records.merge(entries, [frame.number for frame in frames], new)
    places = records.by_place([[] for _ in entries], added, path)
    return entries + [entry(frame, places[frame]) for frame in range(len(entries), len(places))]


# --- landmarks ------------------------------------------------------------------------------------


def _landmark(label: Any) -> int | None:
    """The landmark of a number or name; None for anything else."""
    if isinstance(label, str) and not label.isdecimal():
        return _BY_NAME.get(joint_name(label.rpartition(".")[2]))
    number = int(label) if isinstance(label, str) or jsonfile.is_whole(label) else -1
    return number if 0 <= number < len(_BY_NAME) else None


def _label_key(points: list) -> str | None:
    """The key of points that says which landmark each is, if they have one."""
    for key in _LABELS:
        if points and all(isinstance(point, dict) and key in point for point in points):
            found = [_landmark(point[key]) for point in points]
            if None not in found and len(set(found)) == len(found):
                return key
    return None


def _labels(body: _Body) -> list | None:
    """What the body calls its points; None where their places say it."""
    if isinstance(body, dict):
        return list(body)
    key = _label_key(body)
    return None if key is None else [point[key] for point in body]


def _points(body: _Body) -> list:
    return list(body.values()) if isinstance(body, dict) else body


def _score_place(frames: list[_Frame]) -> int:
    """Where landmarks that are lists have their score: behind z, or in its place.

    There it is where all have three numbers, the third within 0 and 1 and mostly high: z is around
    0 at the hips.
    """
    points = [point for frame in frames for body in frame.bodies for point in _points(body)]
    thirds = [point[2] for point in points if isinstance(point, list) and len(point) == 3]
    if not thirds or len(thirds) < len(points) or not all(map(jsonfile.is_number, thirds)):
        return 3
    return 2 if 0 <= min(thirds) and max(thirds) <= 1 and np.median(thirds) >= 0.5 else 3


def _score_key(point: Any, place: int) -> str | int | None:
    """Where a landmark says how sure it is, None if it does not."""
    if isinstance(point, dict):
        return next((key for key in _SCORES if key in point), None)
    return place if len(point) > place else None


def _joints(body: _Body, where: str, place: int) -> list[float]:
    """x, y, visibility of every landmark; 1 where the file does not say how visible it is.

    ``place`` is where lists have it.
    """
    joints: list[float] = []
    for k, point in enumerate(_points(body)):
        key = _score_key(point, place)
        x, y = (point["x"], point["y"]) if isinstance(point, dict) else point[:2]
        values = [x, y, 1.0 if key is None else point[key]]
        try:
            joints += jsonfile.floats(values, f"landmark {k}")
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
    labels = _labels(body)
    if labels is None:
        return joints
    whole = np.zeros((len(_BY_NAME), 3))
    whole[list(map(_landmark, labels))] = np.reshape(joints, (-1, 3))
    return whole.ravel().tolist()


def _put(body: _Body, joints: records.Joints, place: int, example: Any = None) -> _Body:
    """A body with other numbers; from nothing after the example of a point.

    ``place`` is where lists have the score.
    """
    values = joints.values.tolist()
    points = _points(body)
    empty = _empty(points[0] if points else example)
    if joints.changed is None:
        return [_point(empty, row, [True] * 3, place) for row in values]
    changed = joints.changed.tolist()
    labels = _labels(body)
    places = range(len(points)) if labels is None else list(map(_landmark, labels))
    new = [
        _point(point, values[k], changed[k], place) if any(changed[k]) else point
        for point, k in zip(points, places, strict=True)
    ]
    if labels is None:
        return new
    more = [k for k in range(len(values)) if any(changed[k]) and k not in places]
    names = [_label_like(labels[0], k) for k in more]
    added = [_point(empty, values[k], [True] * 3, place) for k in more]
    if isinstance(body, dict):
        return dict(zip([*labels, *names], [*new, *added], strict=True))
    key = _label_key(body)
    return [*new, *({key: name} | point for name, point in zip(names, added, strict=True))]


def _empty(example: Any) -> Any:
    """A point like another one, all zeros and without label."""
    if isinstance(example, list):
        return [0.0] * len(example)
    keys = example or ("x", "y", "z", "visibility")
    return {key: 0.0 for key in keys if key not in _LABELS}


def _label_like(label: Any, landmark: int) -> Any:
    """The label of a landmark in the manner of another one: number, or name in its case."""
    if not isinstance(label, str):
        return landmark
    if label.isdecimal():
        return str(landmark)
    name = list(_BY_NAME)[landmark]
    return name.upper() if label.isupper() else name


def _point(point: Any, values: list[float], changed: list[bool], place: int) -> Any:
    """A landmark with those of x, y, visibility that changed and that it has."""
    keys = ("x", "y") if isinstance(point, dict) else (0, 1)
    result = point.copy()
    for key, value, new in zip((*keys, _score_key(point, place)), values, changed, strict=True):
        if new and key is not None:
            result[key] = value
    return result


# --- what else the file says ----------------------------------------------------------------------


def _about(content: Any) -> list[dict]:
    """The objects that may describe the video: the whole one and those directly in it."""
    if not isinstance(content, dict):
        return []
    return [content, *(value for value in content.values() if isinstance(value, dict))]


def picture_size(content: Any) -> tuple[float, float] | None:
    """Width and height of the picture as far as the file says them."""
    for item in _about(content):
        pairs = [(item.get(width), item.get(height)) for width, height in _SIZES]
        pairs += [item[key] for key in ("resolution", "image_size") if _is_pair(item.get(key))]
        for width, height in pairs:
            if jsonfile.number(width) > 1 and jsonfile.number(height) > 1:
                return float(width), float(height)
    return None


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def rate(content: Any) -> float | None:
    """Frames per second as far as the file says them."""
    values = [jsonfile.number(item.get(key)) for item in _about(content) for key in _FPS]
    return next((value for value in values if value > 0), None)


FORMAT = Format(
    name="mediapipe", sniff=sniff, read=read, write=write,
    suffixes=(".json",), holds=("mediapipe33",),
    # The visibility under which MediaPipe itself does not draw a landmark.
    min_score=0.5,
    relabel=records.relabelled,
)
