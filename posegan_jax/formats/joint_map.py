"""Which joint is which, said by the user: for files with joints that no detector here has."""

import os
from collections.abc import Sequence
from pathlib import Path

from posegan_jax.errors import InputError
from posegan_jax.formats import jsonfile
from posegan_jax.formats.joint_names import in_order
from posegan_jax.pose.skeleton import DETECTED_12, LISTED, SKELETONS, get_skeleton


def load(path: str | os.PathLike) -> dict[int, str]:
    """Number of joints -> skeleton, from the name of a skeleton or from a JSON file.

    Args:
      path: a registered name, e.g. 'body25b', or a file ``{"joints": ["left_shoulder", ...]}`` that
        names all joints in their order. Names that no skeleton here has are allowed; such joints
        come back as they were.

    Raises:
      InputError: neither of the two, a name that appears twice, a side without the other, or no
        joint that the model knows.
    """
    if str(path) in SKELETONS:
        return {len(get_skeleton(str(path))): str(path)}
    if not Path(path).is_file():
        raise InputError(f"{path}: no such joint map; a file, or one of {', '.join(SKELETONS)}")
    content = jsonfile.load(Path(path))
    joints = content.get("joints") if isinstance(content, dict) else None
    problem = _problem(joints)
    if problem:
        raise InputError(f"{path}: {problem}")
    return {len(joints): _listed(joints)}


def by_names(names: Sequence[str]) -> str | None:
    """The skeleton of a file's joints by their names; None where no name is known.

    Args:
      names: of all joints, in their order, see ``joint_names.in_order``.
    """
    joints = in_order(names)
    return None if joints is None else _listed(joints)


def _listed(joints: Sequence[str]) -> str:
    for name, skeleton in SKELETONS.items():
        if skeleton.joints == tuple(joints):
            return name
    return LISTED + ",".join(joints)


def _problem(joints) -> str | None:
    """What is wrong with the names, None if nothing is."""
    if not isinstance(joints, list) or not joints:
        return 'a joint map is {"joints": ["left_shoulder", ...]}, all joints in their order'
    for joint in joints:
        if not isinstance(joint, str) or not joint.strip() or "," in joint or "\n" in joint:
            return f"the joint {joint!r} must be a name without comma"
    for joint in joints:
        if joints.count(joint) > 1:
            return f"the joint {joint!r} appears twice"
        side, _, stem = joint.partition("_")
        other = {"left": "right", "right": "left"}.get(side)
        if other and f"{other}_{stem}" not in joints:
            return f"{joint!r} without '{other}_{stem}'; name both, or call it otherwise"
    if not set(joints) & set(DETECTED_12):
        return f"none of the joints that the model starts from: {', '.join(DETECTED_12)}"
    return None
