"""Carrying joints from one skeleton to another, by their names."""

import numpy as np

from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import DERIVED, FOLLOWING, Skeleton, get_skeleton


def carry_joints(
    values: np.ndarray, old: Skeleton, new: Skeleton, fill: float | np.ndarray, axis: int = 1
) -> np.ndarray:
    """Numbers of the joints of one skeleton as an array for another one.

    ``old.map_to(new)`` tells which joints get lost.

    Args:
      values: (T, K, ...) numbers of the K joints of the old skeleton.
      old: the skeleton that they have.
      new: the skeleton that they get, of L joints.
      fill: what the joints get that the old skeleton lacks: one number for all, or an array
        (T, L, ...) that has theirs.
      axis: of the joints, if it is another one than the second.

    Returns:
      (T, L, ...), a new array of the values' type.
    """
    source, destination, _ = old.map_to(new)
    shape = list(values.shape)
    shape[axis] = len(new)
    result = np.broadcast_to(fill, shape).astype(values.dtype)
    np.moveaxis(result, axis, 0)[destination] = np.moveaxis(values, axis, 0)[source]
    return result


def midpoints(old: Skeleton, new: Skeleton) -> dict[str, list[int]]:
    """Joints of the new skeleton that can be made of two of the old one, and the indices of these.

    They are the midpoints by definition (``DERIVED``) that the old skeleton lacks.
    """
    return {
        joint: [old.index(part) for part in parts] for joint, parts in DERIVED.items()
        if joint in new and joint not in old and all(part in old for part in parts)
    }


def following(old: Skeleton, new: Skeleton) -> dict[str, tuple[list[int], np.ndarray]]:
    """Joints of the new skeleton that the old one lacks and that follow from its own: the indices
    of these, and their weights.

    They are midpoints by definition, or nearly where they are said to be (``FOLLOWING``).
    """
    known = {joint: dict.fromkeys(ends, 0.5) for joint, ends in DERIVED.items()} | FOLLOWING
    return {
        joint: ([old.index(part) for part in parts], np.array(list(parts.values())))
        for joint, parts in known.items()
        if joint in new and joint not in old and all(part in old for part in parts)
    }


def lacking(old: Skeleton, new: Skeleton) -> list[str]:
    """Joints of the new skeleton that neither are the old one's nor follow from these."""
    made = following(old, new)
    return [joint for joint in new.joints if joint not in old and joint not in made]


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
    keypoints = carry_joints(sequence.keypoints, old, new, np.nan)
    scores = carry_joints(sequence.scores, old, new, 0.0)
    provenance = carry_joints(sequence.provenance, old, new, Provenance.UNKNOWN)
    for joint, ends in midpoints(old, new).items():
        at = new.index(joint)
        keypoints[:, at] = sequence.keypoints[:, ends].mean(1)
        scores[:, at] = sequence.scores[:, ends].min(1)
        provenance[:, at] = sequence.provenance[:, ends].max(1)
    return sequence.replace(
        keypoints=keypoints, scores=scores, provenance=provenance, skeleton=target
    )
