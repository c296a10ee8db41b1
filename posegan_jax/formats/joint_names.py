"""Joints by free names: what ``LShoulder``, ``shoulder_left`` and ``left shoulder`` have in common.

A name is cut into words where it has spaces, points, lines or a change to capitals. ``left`` or
``l`` and ``right`` or ``r`` among them, or at its beginning, are the side; the others together,
without regard to case, are looked up among the joints of the registered skeletons and a few more
words for the same points. In a file with both ``knee1`` and ``knee2`` the first is the right one,
as in DeepLabCut's human model. What all names begin with, as in ``body_nose``, is no part of them.
What is not found keeps its own name.
"""

import dataclasses
import functools
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from posegan_jax.errors import InputError
from posegan_jax.formats import jsonfile
from posegan_jax.pose.skeleton import SKELETONS, Skeleton, skeleton_of

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")
_BREAK = re.compile(r"[\s_.:/|-]+")
_SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}
_MORE = {
    "hip": "pelvis",
    "hips": "pelvis",
    "root": "pelvis",
    "hipcenter": "mid_hip",
    "centerhip": "mid_hip",
    "chip": "mid_hip",
    "shouldercenter": "mid_shoulder",
    "centershoulder": "mid_shoulder",
    "chest": "thorax",
    "tophead": "head_top",
    "topofhead": "head_top",
    "headbottom": "upper_neck",  # PoseTrack's
} | {
    f"{side}_{word}": f"{side}_{joint}"
    for side in ("left", "right")
    for word, joint in {
        "collar": "clavicle",
        "collarbone": "clavicle",
        "littletoe": "small_toe",
        "toebig": "big_toe",
        "toesmall": "small_toe",
    }.items()
}


@dataclasses.dataclass(frozen=True)
class Joints:
    """What a file's names mean.

    Attributes:
      skeleton: of the joints that were found.
      source: for every joint of the skeleton the index of its name in the file; -1 for a joint
        that the file lacks and the skeleton has because its mirror image is there.
      notes: what the user should know, one line each.
    """

    skeleton: Skeleton
    source: tuple[int, ...]
    notes: tuple[str, ...]


def joint_name(name: str) -> str | None:
    """The registered joint that a name stands for, None if there is none."""
    words = [word.lower() for word in _WORD.findall(name)]
    sides = [_SIDES[word] for word in words if word in _SIDES]
    stem = "".join(word for word in words if word not in _SIDES)
    if len(sides) > 1:
        return None
    if sides:
        return _known().get(f"{sides[0]}_{stem}")
    if stem in _known():
        return _known()[stem]
    for prefix, side in _SIDES.items():
        found = _known().get(f"{side}_{stem.removeprefix(prefix)}")
        if found and stem.startswith(prefix):
            return found
    return None


def resolve(
    names: Sequence[str], path: Path, chosen: Mapping[str, str] | None = None
) -> Joints:
    """Finds the joints and the skeleton of a file.

    Args:
      names: the file's names, each once.
      path: the file.
      chosen: {file's name: our name}, which goes before the rule. Names that the file does not
        have are passed over.

    Raises:
      InputError: no names, or chosen ones that are no joints or one joint for two names.
    """
    if not names:
        raise InputError(f"{path}: there are no joints")
    chosen = chosen or {}
    for ours in chosen.values():
        if ours not in _joints():
            raise InputError(f"{path}: the joint map says {ours!r}, which is no joint of ours")
    beginning = shared_beginning([name for name in names if name not in chosen])
    found, numbered = _found(names, beginning, chosen)
    if any(n > 1 for ours, n in Counter(found).items() if ours):
        raise InputError(f"{path}: the joint map gives one joint to two names of this file")
    joints = _named(names, found)
    unknown = [name for name, ours in zip(names, found, strict=True) if ours is None]
    notes = []
    if beginning:
        notes.append(f"{one_line([beginning])!r} before the names of joints is no part of them")
    if unknown:
        notes.append(f"joints that are not known are passed through: {one_line(unknown)}")
    if numbered:
        notes.append(f"read as right and left: {one_line(sorted(numbered))}")
    skeleton = skeleton_of((*joints, *_mirrors(joints)))
    places = {joint: i for i, joint in enumerate(joints)}
    return Joints(skeleton, tuple(places.get(joint, -1) for joint in skeleton.joints), tuple(notes))


def in_order(names: Sequence[str]) -> tuple[str, ...] | None:
    """Names for the joints of a file in its order, ours where we know them.

    A side without the other, which no skeleton can have, goes by another name: 'left-tail'.

    Returns:
      The names; None where we know none, or the file has one twice.
    """
    found, _ = _found(names, shared_beginning(names), {})
    if not any(found) or len(set(names)) < len(names):
        return None
    joints = _named(names, found)
    lone = {joint for joint in joints if not set(_mirrors([joint])) <= set(joints)}
    return tuple(joint.replace("_", "-", 1) if joint in lone else joint for joint in joints)


def shared_beginning(names: Sequence[str]) -> str:
    """What stands before the joints in a file's names and keeps them from being known.

    It ends with a line, a point or the like, and without it more than twice as many are known, at
    least three. Empty where there is no such beginning.
    """
    starts = Counter(name[: found.end()] for name in names for found in _BREAK.finditer(name))
    best, most = "", max(2 * sum(joint_name(name) is not None for name in names), 2)
    for start in sorted(starts, key=len):
        rest = [name.removeprefix(start) for name in names if name.startswith(start)]
        known = sum(joint_name(name) is not None for name in rest)
        if known > most:
            best, most = start, known
    return best


def load_names(joint_map: str | os.PathLike) -> dict[str, str] | None:
    """The names of a JSON file {"names": {file's name: our name}}; None for other joint maps.

    Raises:
      InputError: they are no names.
    """
    if not Path(joint_map).is_file():
        return None
    content = jsonfile.load(Path(joint_map))
    if not isinstance(content, dict) or "names" not in content:
        return None
    names = content["names"]
    if not isinstance(names, dict) or not all(isinstance(ours, str) for ours in names.values()):
        raise InputError(f'{joint_map}: "names" must be {{"name in the file": "our name"}}')
    return names


def not_in_file(chosen: Mapping[str, str] | None, names: Collection[str]) -> list[str]:
    """A note of the names of a joint map that none of a file's joints has."""
    lacking = [name for name in chosen or {} if name not in names]
    return [f"names of the joint map that the file lacks: {one_line(lacking)}"] if lacking else []


def one_line(names: Iterable[str]) -> str:
    """Names of a file for a message, whatever characters they have."""
    return ", ".join(" ".join(name.split()) for name in names)


def _joints() -> frozenset[str]:
    return _joints_of(tuple(SKELETONS))  # more may be registered at any time


def _known() -> dict[str, str]:
    """'left_bigtoe' or 'headtop' -> the joint."""
    return _known_of(tuple(SKELETONS))


@functools.lru_cache(maxsize=1)
def _joints_of(skeletons: tuple[str, ...]) -> frozenset[str]:
    return frozenset(joint for name in skeletons for joint in SKELETONS[name].joints)


@functools.lru_cache(maxsize=1)
def _known_of(skeletons: tuple[str, ...]) -> dict[str, str]:
    keys = {}
    for joint in _joints_of(skeletons):
        side, stem = re.fullmatch(r"(left_|right_|)(.*)", joint).groups()
        keys[side + stem.replace("_", "")] = joint
    return _MORE | keys


def _found(
    names: Sequence[str], beginning: str, chosen: Mapping[str, str]
) -> tuple[list[str | None], dict[str, str]]:
    """Our joint for every name, None for one that is not known; those found by their numbers.

    ``beginning`` is what stands before the joints in the names.
    """
    short = [name.removeprefix(beginning) for name in names]
    numbered = _numbered(short)
    found = [
        chosen.get(name) or (own if own in _joints() else numbered.get(own, joint_name(own)))
        for name, own in zip(names, short, strict=True)
    ]
    count = Counter(found)
    # Of two names for one joint only one that is spelt as ours, or was chosen, can be trusted.
    found = [
        ours if count[ours] == 1 or own == ours or name in chosen else None
        for name, own, ours in zip(names, short, found, strict=True)
    ]
    return found, numbered


def _numbered(names: Sequence[str]) -> dict[str, str]:
    """knee1 and knee2 -> the right and the left one."""
    sides = {}
    for name in names:
        found = re.fullmatch(r"(.*?)[ _.-]?([12])", name)
        stem = found and "".join(_WORD.findall(found[1])).lower()
        if found and f"left_{stem}" in _known():
            side = "right" if found[2] == "1" else "left"
            sides[name] = _known()[f"{side}_{stem}"]
    mirrors = set(_mirrors(list(sides.values())))
    return {name: joint for name, joint in sides.items() if _mirrors([joint])[0] not in mirrors}


def _mirrors(joints: Sequence[str]) -> list[str]:
    """The mirror images that are not among the joints."""
    pairs = (("left_", "right_"), ("right_", "left_"))
    other = [b + joint.removeprefix(a) for joint in joints for a, b in pairs if joint.startswith(a)]
    return [joint for joint in other if joint not in joints]


def _named(names: Sequence[str], found: Sequence[str | None]) -> list[str]:
    """A name for every joint, ours or the file's own, no two alike and without commas."""
    taken = {ours for ours in found if ours} | _joints()
    result = []
    for name, ours in zip(names, found, strict=True):
        if ours is None:
            own = re.sub(r"[,\s]+", "_", name.strip()) or "joint"
            number = 2
            ours = own
            while ours in taken:
                ours, number = f"{own}_{number}", number + 1
            taken.add(ours)
        result.append(ours)
    return result
