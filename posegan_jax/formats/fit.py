"""Joints for another format: those that its files have, by name."""

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseFile, PoseSequence, Provenance
from posegan_jax.pose.skeleton import DERIVED, Skeleton, get_skeleton


def on_skeleton(sequence: PoseSequence, target: str) -> PoseSequence:
    """The same track with the joints of another skeleton.

    Joints of one name keep their numbers. Midpoints by definition (neck and mid hip of OpenPose)
    are made of their two joints, with the lower score and the provenance further from the
    detector; all others are missing.

    Args:
      sequence: (T, K) joints.
      target: name of the skeleton.

    Raises:
      InputError: unknown skeleton.
    """
    old, new = get_skeleton(sequence.skeleton), get_skeleton(target)
    if old == new:
        return sequence
    shape = (len(sequence), len(new))
    keypoints, scores = np.full((*shape, 2), np.nan), np.zeros(shape)
    provenance = np.full(shape, Provenance.UNKNOWN, np.uint8)
    here, there, _ = old.map_to(new)
    keypoints[:, there], scores[:, there] = sequence.keypoints[:, here], sequence.scores[:, here]
    provenance[:, there] = sequence.provenance[:, here]
    for joint in _midpoints(old, new):
        at, ends = new.index(joint), [old.index(part) for part in DERIVED[joint]]
        keypoints[:, at] = sequence.keypoints[:, ends].mean(1)
        scores[:, at] = sequence.scores[:, ends].min(1)
        provenance[:, at] = sequence.provenance[:, ends].max(1)
    return sequence.replace(
        keypoints=keypoints, scores=scores, provenance=provenance, skeleton=target
    )


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
    known = {j for old in olds for j in (*old.joints, *_midpoints(old, new))}
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


def _midpoints(old: Skeleton, new: Skeleton) -> list[str]:
    """Joints of the new skeleton that are made of two of the old one."""
    return [
        joint for joint, parts in DERIVED.items()
        if joint in new and joint not in old and all(part in old for part in parts)
    ]
