"""One recording of one person."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Clip:
    """A motion capture clip.

    Attributes:
      positions: (T, 28, 3) millimetres, y up, joints of mpi_inf_3dhp.
      fps: frames per second.
      subject: who moves; splits are by subject.
      name, text: name of the recording and what is done in it.
    """

    positions: np.ndarray
    fps: float
    subject: str
    name: str
    text: str
