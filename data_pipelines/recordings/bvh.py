"""BVH files: a skeleton, and its joint angles frame by frame."""

import dataclasses
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from data_pipelines.recordings.text import TextFile

_CHANNELS = {f"{axis}{kind}" for axis in "XYZ" for kind in ("position", "rotation")}


@dataclasses.dataclass(frozen=True)
class _Joint:
    name: str
    parent: int
    offset: list[float]
    channels: list[str]
    first: int
    """Column of the first channel."""


def read_bvh(path: Path) -> tuple[dict[str, np.ndarray], float]:
    """Positions of all joints, by forward kinematics.

    A position channel takes the place of the joint's offset. Rotations apply in the order of the
    channels, each about the axes that the ones before it have turned.

    Returns:
      Name -> (T, 3) in the file's units, an End Site as '<its parent>.end'; frames per second.

    Raises:
      InputError: the file is missing or no BVH; names the line.
    """
    file = TextFile(path)
    joints, rest = _hierarchy(file)
    values, fps = _motion(file, rest, sum(len(joint.channels) for joint in joints))
    positions: list[np.ndarray] = []
    rotations: list[Rotation] = []
    for joint in joints:
        local = np.tile(np.array(joint.offset), (len(values), 1))
        order, angles = "", []
        for i, channel in enumerate(joint.channels, joint.first):
            if channel.endswith("position"):
                local[:, "XYZ".index(channel[0])] = values[:, i]
            else:
                order += channel[0]
                angles.append(values[:, i])
        turn = Rotation.identity(len(values))
        for axis, angle in zip(order, angles, strict=True):
            turn = turn * Rotation.from_euler(axis, angle[:, None], degrees=True)
        if joint.parent < 0:
            positions.append(local)
            rotations.append(turn)
        else:
            above = rotations[joint.parent]
            positions.append(positions[joint.parent] + above.apply(local))
            rotations.append(above * turn)
    return {joint.name: p for joint, p in zip(joints, positions, strict=True)}, fps


def _hierarchy(file: TextFile) -> tuple[list[_Joint], int]:
    """The joints, parents first, and the index of the line after them."""
    joints: list[_Joint] = []
    stack: list[int] = []
    columns, i = 0, 0

    def line(i: int) -> tuple[int, list[str]]:
        if i >= len(file.lines):
            last = file.lines[-1][0] if file.lines else 1
            file.fail(last, "the file ends within the hierarchy")
        return file.lines[i]

    number, words = line(0)
    if words != ["HIERARCHY"]:
        file.fail(number, "not a BVH file: HIERARCHY expected")
    i = 1
    while True:
        number, words = line(i)
        if words == ["}"] and stack:
            stack.pop()
            i += 1
            continue
        if words[0] == "MOTION" and joints and not stack:
            return joints, i
        name = _name(file, number, words, joints, stack)
        end = words[0] == "End"
        if line(i + 1)[1] != ["{"]:
            file.fail(line(i + 1)[0], "{ expected")
        at, words = line(i + 2)
        if words[0] != "OFFSET":
            file.fail(at, f"OFFSET of {name} expected")
        offset, channels = file.numbers(at, words[1:], 3), []
        i += 3
        if not end:
            at, words = line(i)
            channels = words[2:]
            if words[0] != "CHANNELS" or words[1:2] != [str(len(channels))]:
                file.fail(at, f"CHANNELS of {name} expected, and as many names as it says")
            if not set(channels) <= _CHANNELS or len(set(channels)) < len(channels):
                file.fail(at, f"unknown or repeated channels: {' '.join(channels)}")
            i += 1
        joints.append(_Joint(name, stack[-1] if stack else -1, offset, channels, columns))
        stack.append(len(joints) - 1)
        columns += len(channels)


def _name(
    file: TextFile, number: int, words: list[str], joints: list[_Joint], stack: list[int]
) -> str:
    """What the ROOT, JOINT or End Site is called that begins on this line."""
    if words == ["End", "Site"] and stack:
        name = f"{joints[stack[-1]].name}.end"
    elif words[0] == ("JOINT" if stack else "ROOT") and len(words) > 1:
        name = " ".join(words[1:])
    else:
        wanted = "JOINT, End Site or }" if stack else "MOTION or ROOT" if joints else "ROOT"
        file.fail(number, f"{wanted} expected, not {' '.join(words)[:40]!r}")
    if any(joint.name == name for joint in joints):
        file.fail(number, f"a second joint {name}")
    return name


def _motion(file: TextFile, i: int, columns: int) -> tuple[np.ndarray, float]:
    """(T, columns) channel values, and frames per second."""
    head = file.lines[i + 1 : i + 3]
    if len(head) < 2:
        file.fail(file.lines[-1][0], "the file ends before its frames")
    (at, words), (below, timing) = head
    if words[0] != "Frames:" or len(words) != 2 or not words[1].isdecimal():
        file.fail(at, "Frames: and their number expected")
    if timing[:2] != ["Frame", "Time:"]:
        file.fail(below, "Frame Time: and seconds expected")
    (seconds,) = file.numbers(below, timing[2:], 1)
    if not 1e-4 < seconds < 10:
        file.fail(below, f"a frame of {seconds} seconds")
    rows = file.lines[i + 3 :]
    if len(rows) != int(words[1]):
        file.fail(
            rows[-1][0] if rows else below, f"the file ends after {len(rows)} of {words[1]} frames"
            if len(rows) < int(words[1]) else f"more than {words[1]} frames"
        )
    return file.table(rows, columns), _rate(seconds)


def _rate(seconds: float) -> float:
    """Frames per second, whole where rounding in the file can explain the difference."""
    rate = 1 / seconds
    return float(round(rate)) if abs(rate - round(rate)) < 0.01 * rate ** 0.5 else rate
