"""Joints for another format: those that its files have, by name."""

import dataclasses
from collections.abc import Collection, Sequence

from posegan_jax.errors import InputError
from posegan_jax.pose.carry import midpoints, on_skeleton
from posegan_jax.pose.sequence import PoseFile
from posegan_jax.pose.skeleton import Skeleton, get_skeleton


def fit(file: PoseFile, skeleton: str) -> PoseFile:
    """All people on one skeleton, and a note of the joints that this loses or lacks.

    Raises:
      InputError: none of its joints is in the file.
    """
    new = get_skeleton(skeleton)
    olds = [get_skeleton(name) for name in dict.fromkeys(s.skeleton for s in file)]
    if all(old == new for old in olds):
        return file
    if not _kept(olds, skeleton):
        names = " and ".join(old.name for old in olds)
        raise InputError(f"{file.path}: {names} and {skeleton} have no joint in common")
    lost = list(dict.fromkeys(joint for old in olds for joint in old.map_to(new)[2]))
    known = {j for old in olds for j in (*old.joints, *midpoints(old, new))}
    lacking = [joint for joint in new.joints if joint not in known]
    parts = [f"joints carried over to {skeleton} by name"]
    parts += [f"left behind: {', '.join(lost)}"] * bool(lost)
    parts += [f"not known and missing: {', '.join(lacking)}"] * bool(lacking)
    sequences = tuple(on_skeleton(sequence, skeleton) for sequence in file)
    return dataclasses.replace(file, sequences=sequences, notes=(*file.notes, "; ".join(parts)))


def skeleton_for(
    file: PoseFile, held: Collection[str], choices: Sequence[str]
) -> str | None:
    """The skeleton that a new file of a format gets, None where there is nobody.

    Args:
      file: the sequences.
      held: skeletons that stay as they are.
      choices: those that others are carried over to, the best first: the one that keeps most
        joints counts.
    """
    names = list(dict.fromkeys(sequence.skeleton for sequence in file))
    if len(names) == 1 and names[0] in held:
        return names[0]
    olds = [get_skeleton(name) for name in names]
    return max(choices, key=lambda choice: _kept(olds, choice)) if olds else None


def _kept(olds: Sequence[Skeleton], new: str) -> int:
    return sum(len(old.map_to(get_skeleton(new))[0]) for old in olds)
