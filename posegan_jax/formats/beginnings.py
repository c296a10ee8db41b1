"""Several people or cameras side by side in a table: ``p1_nose_x``, ``p2_nose_x``."""

import re
from collections import defaultdict
from collections.abc import Collection

from posegan_jax.formats.joint_names import joint_name, one_line

_PLACE = re.compile(r"[ _.:-]+")
_FEWEST = 3  # joints, that all must have by one name


def note(labels: Collection[str]) -> list[str]:
    """A line where joints of the same names stand behind several beginnings; else none.

    Such columns are those of several people or cameras, of which one alone is read.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for label in labels:
        if joint_name(label) is None and (parts := _parts(label)):
            found[parts[0]].add(parts[1])
    common = set.intersection(*found.values()) if len(found) > 1 else set()
    if len(common) < _FEWEST or not any(name.startswith(("left_", "right_")) for name in common):
        return []
    return [
        f"{one_line(found)} stand before the same joints, as of several people or cameras in one "
        "row: at most one of them is completed; give each in a table of its own"
    ]


def _parts(label: str) -> tuple[str, str] | None:
    """What stands before a joint that is known, and our name of it."""
    for place in _PLACE.finditer(label):
        name = joint_name(label[place.end() :])
        if name is not None and place.start():
            return label[: place.start()], name
    return None
