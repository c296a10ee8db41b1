"""One recording of one person, and which of its joints a skeleton has."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.pose.skeleton import Skeleton, get_skeleton

THESIS = get_skeleton("mpi_inf_3dhp")
"""The thesis's skeleton, which motion is read for unless another one is asked for."""


@dataclasses.dataclass(frozen=True)
class Clip:
    """A motion capture clip.

    Attributes:
      positions: (T, J, 3) millimetres, y up.
      fps: frames per second.
      subject: who moves; splits are by subject.
      name, text: name of the recording and what is done in it.
      joints: names of the J joints.
    """

    positions: np.ndarray
    fps: float
    subject: str
    name: str
    text: str
    joints: tuple[str, ...] = THESIS.joints


def select(joints: Sequence[str], skeleton: Skeleton, source: object) -> slice | list[int]:
    """Where the joints of a skeleton stand among those of a recording, found by name.

    Args:
      joints: names of the recording's joints, in any order.
      skeleton: what is wanted.
      source: what holds the recording, for the message.

    Raises:
      InputError: the recording lacks joints of the skeleton; the message names them.
    """
    missing = [joint for joint in skeleton.joints if joint not in joints]
    if missing:
        raise InputError(
            f"{source}: lacks {', '.join(missing)}, joints of the skeleton {skeleton.name}"
        )
    if tuple(joints) == skeleton.joints:
        return slice(None)  # nothing is copied
    return [joints.index(joint) for joint in skeleton.joints]
