"""Joints by numbers: which of them ``landmark_25``, ``26`` and ``kp3`` are.

Numbers from 0 or 1 on, none left out, are those of the skeleton with as many joints. Of others some
were left out: up to 16 they are COCO's, beyond that and up to 32 MediaPipe's, as these two are what
people take parts of. A joint map says otherwise. Beside them a file may have joints without number,
such as a centre of mass.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from posegan_jax.formats.joint_names import joint_name
from posegan_jax.formats.records import SKELETONS
from posegan_jax.pose.skeleton import get_skeleton

_FEWEST = 6
"""Numbers, for some of them to be left out: a table of x1, y1 to x4, y4 may hold anything."""

_PARTS = ("coco17", "mediapipe33")


class Numbered(NamedTuple):
    """What numbers stand for.

    Attributes:
      names: {label: our name}, empty where labels are no numbers of joints.
      skeleton: whose joints they are, None without any.
      notes: a line where that is in doubt.
    """

    names: dict[str, str] = {}
    skeleton: str | None = None
    notes: tuple[str, ...] = ()


def numbered(labels: Sequence[str], skeletons: Mapping[int, str] | None = None) -> Numbered:
    """Which joints labels are that are numbers of a skeleton's.

    Args:
      labels: what the file calls its joints.
      skeletons: the joint map {number of joints: skeleton}, None without.
    """
    numbers = _numbers(labels)
    if not numbers:
        return Numbered()
    low, high = min(numbers.values()), max(numbers.values())
    if skeletons:
        ((count, name),) = skeletons.items()
        start = int(low > 0 and high == count)
        return _named(numbers, name, start) if high - start < count else Numbered()
    if low <= 1 and set(numbers.values()) == set(range(low, high + 1)):
        known = len(numbers) in SKELETONS
        return _named(numbers, SKELETONS[len(numbers)], low) if known else Numbered()
    name = next((name for name in _PARTS if high < len(get_skeleton(name))), None)
    if name is None or len(numbers) < _FEWEST:
        return Numbered()
    note = (
        f"{len(numbers)} joints have numbers up to {high}: taken for those of {name}; --joint-map "
        "says otherwise"
    )
    return _named(numbers, name, 0)._replace(notes=(note,))


def not_numbers(skeletons: Mapping[int, str]) -> str:
    """Why a joint map of joints in their order says nothing about a file's names."""
    (count,) = skeletons
    return (
        f"its joints are not numbers of the {count} in the joint map; one of names, "
        '{"names": {"theirs": "ours"}}, says which they are'
    )


def _named(numbers: Mapping[str, int], skeleton: str, start: int) -> Numbered:
    joints = get_skeleton(skeleton).joints
    return Numbered({label: joints[n - start] for label, n in numbers.items()}, skeleton)


def _numbers(labels: Collection[str]) -> dict[str, int]:
    """The numbers at the end of labels: of all, or of those that are alike up to the number.

    None where a number is there twice, or where the labels have names that are known.
    """
    found = {label: re.fullmatch(r"(\D*?)(\d{1,4})", label) for label in labels}
    if None in found.values():
        groups = defaultdict(dict)
        for label, match in found.items():
            if match:
                groups[match[1]][label] = match
        found = max(groups.values(), key=len, default={})
        known = sum(joint_name(label) is not None for label in labels)
        if any(joint_name(label) for label in found) or 2 * known > len(found):
            return {}
    numbers = {label: int(match[2]) for label, match in found.items()}
    return numbers if len(set(numbers.values())) == len(numbers) else {}
