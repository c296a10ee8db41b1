"""Acclaim files: a skeleton (ASF), and its joint angles frame by frame (AMC).

Every bone has axes of its own, C; its motion M turns them, and the bone points where
L = parent * C M C^-1 takes its direction. All names are the ends of bones; 'root' is where they
begin.
"""

import dataclasses
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from data_pipelines.recordings.text import TextFile

_MILLIMETRES = 25.4
"""Acclaim's unit is the inch, divided by the scale that the file calls length."""


@dataclasses.dataclass(frozen=True)
class _Bone:
    offset: np.ndarray
    axes: Rotation
    order: str
    """Axes about which it turns, in the order in which rotations compose."""
    dof: tuple[str, ...]
    """What the AMC file gives, in its order."""


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """A read ASF file.

    Attributes:
      path: of the file.
      bones: name -> bone, the root among them.
      parents: bone -> parent, parents first.
      scale: millimetres of one unit.
      degrees: whether angles are.
    """

    path: Path
    bones: dict[str, _Bone]
    parents: dict[str, str]
    scale: float
    degrees: bool


def read_asf(path: Path) -> Skeleton:
    """Reads a skeleton.

    Raises:
      InputError: the file is missing or no ASF; names the line.
    """
    file = TextFile(path)
    sections = _sections(file)
    units = {words[0]: (n, words[1:]) for n, words in sections[":units"]}
    length, degrees = 1.0, units.get("angle", (0, ["deg"]))[1][:1] != ["rad"]
    if "length" in units:
        (length,) = file.numbers(*units["length"], 1)
        if length <= 0:
            file.fail(units["length"][0], "length must be positive")
    bones = {"root": _root(file, sections[":root"], degrees)}
    for block in _blocks(file, sections[":bonedata"]):
        name, bone = _bone(file, block, degrees)
        if name in bones:
            file.fail(block["name"][0], f"a second bone {name}")
        bones[name] = bone
    parents: dict[str, str] = {}
    for n, words in sections[":hierarchy"]:
        if words in (["begin"], ["end"]):
            continue
        for name in words:
            if name not in bones:
                file.fail(n, f"no bone {name}")
        if words[0] != "root" and words[0] not in parents:
            file.fail(n, f"{words[0]} hangs on nothing")
        for child in words[1:]:
            if child in parents or child == "root":
                file.fail(n, f"{child} has a parent already")
            parents[child] = words[0]
    loose = [name for name in bones if name != "root" and name not in parents]
    if loose:
        file.fail(sections[":hierarchy"][-1][0], f"{loose[0]} hangs on nothing")
    return Skeleton(path, bones, parents, _MILLIMETRES / length, degrees)


def read_amc(path: Path, skeleton: Skeleton) -> dict[str, np.ndarray]:
    """Positions of all bones' ends, by forward kinematics.

    Returns:
      Bone -> (T, 3) millimetres, and 'root'.

    Raises:
      InputError: the file is missing, no AMC, or of another skeleton; names the line.
    """
    angles = _angles(TextFile(path), skeleton)
    frames = len(next(iter(angles.values())))
    positions: dict[str, np.ndarray] = {}
    rotations: dict[str, Rotation] = {}
    for name in ("root", *skeleton.parents):
        bone = skeleton.bones[name]
        moved = np.zeros((frames, 3))
        turns = dict.fromkeys("xyz", np.zeros(frames))
        for i, dof in enumerate(bone.dof):
            if dof[0] == "t":
                moved[:, "xyz".index(dof[1])] = angles[name][:, i]
            else:
                turns[dof[1]] = angles[name][:, i]
        values = np.stack([turns[axis] for axis in bone.order], axis=-1)
        turn = Rotation.from_euler(bone.order, values, degrees=skeleton.degrees)
        turn = bone.axes * turn * bone.axes.inv()
        if name == "root":
            positions[name], rotations[name] = moved + bone.offset, turn
        else:
            parent = skeleton.parents[name]
            rotations[name] = rotations[parent] * turn
            positions[name] = positions[parent] + rotations[name].apply(bone.offset)
    return {name: skeleton.scale * values for name, values in positions.items()}


def _sections(file: TextFile) -> dict[str, list[tuple[int, list[str]]]]:
    sections: dict[str, list] = {":units": []}
    current: list = []
    for n, words in file.lines:
        if words[0][0] == ":":
            current = sections.setdefault(words[0], [])
            if words[0] in (":root", ":bonedata", ":hierarchy"):
                current.append((n, ["begin"]))  # so that no section is without a line
        else:
            current.append((n, words))
    for name in (":root", ":bonedata", ":hierarchy"):
        if name not in sections:
            last = file.lines[-1][0] if file.lines else 1
            file.fail(last, f"not an ASF file, or the file ends before {name}")
    return sections


def _blocks(file: TextFile, lines: list) -> list[dict[str, tuple[int, list[str]]]]:
    """Key -> (line, values) of every begin .. end; the first line stands for the section."""
    blocks: list[dict] = []
    block: dict | None = None
    for n, words in lines[1:]:
        if words == ["begin"] and block is None:
            block = {"begin": (n, [])}
        elif words == ["end"] and block is not None:
            blocks.append(block)
            block = None
        elif block is None or words[0] in ("begin", "end"):
            file.fail(n, f"{'begin' if block is None else 'end'} expected")
        else:
            block[words[0]] = (n, words[1:])
    if block is not None:
        file.fail(lines[-1][0], "the file ends within a bone")
    return blocks


def _bone(file: TextFile, block: dict, degrees: bool) -> tuple[str, _Bone]:
    for key in ("name", "direction", "length", "axis"):
        if key not in block:
            file.fail(block["begin"][0], f"the bone lacks {key}")
    n, words = block["name"]
    if len(words) != 1:
        file.fail(n, "one name expected")
    direction = np.array(file.numbers(*block["direction"], 3))
    (length,) = file.numbers(*block["length"], 1)
    n, axis = block["axis"]
    order = _order(file, n, axis[3:])
    axes = Rotation.from_euler(order, file.numbers(n, axis[:3], 3), degrees=degrees)
    n, dof = block.get("dof", (0, []))
    dof = tuple(word.lower() for word in dof)
    if not set(dof) <= {"rx", "ry", "rz"} or len(set(dof)) < len(dof):
        file.fail(n, "dof must be among rx, ry and rz")
    return words[0], _Bone(direction * length, axes, order, dof)


def _root(file: TextFile, lines: list, degrees: bool) -> _Bone:
    block = {words[0]: (n, words[1:]) for n, words in lines}
    for key in ("order", "axis", "position", "orientation"):
        if key not in block:
            file.fail(lines[0][0], f"the root lacks {key}")
    n, words = block["order"]
    dof = tuple(word.lower() for word in words)
    if sorted(dof) != ["rx", "ry", "rz", "tx", "ty", "tz"]:
        file.fail(n, "order must be TX, TY, TZ, RX, RY and RZ")
    order = _order(file, *block["axis"])
    turn = file.numbers(*block["orientation"], 3)
    axes = Rotation.from_euler(order, turn, degrees=degrees)
    return _Bone(np.array(file.numbers(*block["position"], 3)), axes, order, dof)


def _order(file: TextFile, n: int, words: list[str]) -> str:
    """'XYZ': about x first, and so on, all about axes that stand still (SciPy's lower case)."""
    if len(words) != 1 or sorted(words[0].upper()) != ["X", "Y", "Z"]:
        file.fail(n, "an order of the axes such as XYZ expected")
    return words[0].lower()


def _angles(file: TextFile, skeleton: Skeleton) -> dict[str, np.ndarray]:
    """Bone -> (T, values); every frame must list the same bones in the same order."""
    lines = [(n, words) for n, words in file.lines if words[0][0] != ":"]
    last = file.lines[-1][0] if file.lines else 1
    if not lines or not _is_frame(lines[0][1]):
        file.fail(lines[0][0] if lines else last, "the number of a frame expected")
    size = next((i for i, (_, w) in enumerate(lines) if i and _is_frame(w)), len(lines))
    template = lines[:size]
    _check_frame(file, template, skeleton)
    for i, (n, words) in enumerate(lines):
        expected = template[i % size][1]
        if not i % size:
            if not _is_frame(words):
                file.fail(n, "the number of a frame expected")
        elif words[0] != expected[0] or len(words) != len(expected):
            file.fail(n, f"{expected[0]} and {len(expected) - 1} numbers expected")
    if len(lines) % size:
        file.fail(last, "the file ends within a frame")
    return {
        words[0]: file.table([(n, w[1:]) for n, w in lines[i::size]], len(words) - 1)
        for i, (_, words) in enumerate(template) if i
    }


def _check_frame(file: TextFile, template: list, skeleton: Skeleton) -> None:
    """Raises InputError where the bones of a frame are not those of the skeleton."""
    seen = set()
    for n, words in template[1:]:
        bone = skeleton.bones.get(words[0])
        if bone is None or words[0] in seen:
            file.fail(n, f"{words[0]} is no bone of {skeleton.path.name}, or given twice")
        if len(words) - 1 != len(bone.dof):
            file.fail(n, f"{words[0]} of {skeleton.path.name} takes {len(bone.dof)} numbers")
        seen.add(words[0])
    missing = [name for name, bone in skeleton.bones.items() if bone.dof and name not in seen]
    if missing:
        file.fail(template[-1][0], f"the frame lacks {missing[0]}")


def _is_frame(words: list[str]) -> bool:
    return len(words) == 1 and words[0].isdecimal()
