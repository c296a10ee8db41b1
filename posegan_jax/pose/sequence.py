"""One person's track, and a file of them."""

import dataclasses
import enum
from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.pose.skeleton import get_skeleton


class Provenance(enum.IntEnum):
    """Where a joint's coordinates come from.

    UNKNOWN: nowhere; they are NaN, or, for a joint that the model does not know, as read.
    OBSERVED: from the detector, unchanged.
    REFINED: from the detector, moved by the model.
    FILLED: from the model.
    """

    UNKNOWN = 0
    OBSERVED = 1
    REFINED = 2
    FILLED = 3


def completed(provenance: np.ndarray) -> np.ndarray:
    """Bool of the same shape: joints that the model moved or filled."""
    return np.isin(provenance, (Provenance.REFINED, Provenance.FILLED))


@dataclasses.dataclass(frozen=True, eq=False)
class PoseSequence:
    """One person over time. Immutable: arrays are read-only, ``replace`` makes a changed copy.

    A joint is missing where its place is not finite, and where its score is 0, as detectors give
    for joints that they have not found, at (0, 0) or elsewhere; unless it is one that we refined or
    filled. With no scores given, every finite place counts, (0, 0) too.

    Attributes:
      keypoints: (T, K, 2) float64 pixels, x right, y down; NaN where a joint is missing.
      scores: (T, K) float64 confidences, set to 0 where a joint is missing; 1 for joints that are
        there when not given.
      fps: frames per second, None if unknown.
      skeleton: name of the registered skeleton, K joints.
      frames: (T,) int64 frame numbers in the video, strictly increasing, gaps allowed; 0 to T - 1
        when not given.
      person: the track's id in its file, None if there is none.
      provenance: (T, K) uint8 of ``Provenance``, set to unknown where a joint is missing; when not
        given, observed where finite.
      sides: numbers of the frames in which completing exchanged left and right joints, which the
        detector had mistaken for each other; none of what is read.
    """

    keypoints: np.ndarray
    scores: np.ndarray | None = None
    fps: float | None = None
    skeleton: str = "coco17"
    frames: np.ndarray | None = None
    person: int | str | None = None
    provenance: np.ndarray | None = None
    sides: tuple[int, ...] = ()

    def __post_init__(self):
        """Raises InputError where arrays hold no numbers, or do not fit each other or the skeleton.
        """
        keypoints = numbers("keypoints", self.keypoints)
        joints = len(get_skeleton(self.skeleton))
        if keypoints.ndim != 3 or keypoints.shape[1:] != (joints, 2):
            raise InputError(
                f"keypoints must be (frames, {joints}, 2) for {self.skeleton}, "
                f"not {keypoints.shape}"
            )
        missing = ~np.isfinite(keypoints).all(-1)
        scores = ~missing if self.scores is None else self.scores
        frames = np.arange(len(keypoints)) if self.frames is None else self.frames
        source = self.provenance
        if source is None:
            source = np.full(missing.shape, Provenance.OBSERVED)
        arrays = {
            "keypoints": keypoints,
            "scores": numbers("scores", scores),
            "frames": numbers("frames", frames, np.int64),
            "provenance": numbers("provenance", source, np.uint8),
        }
        for name, shape in (
            ("scores", missing.shape), ("frames", missing.shape[:1]), ("provenance", missing.shape)
        ):
            if arrays[name].shape != shape:
                raise InputError(f"{name} must have shape {shape}, not {arrays[name].shape}")
        missing |= (arrays["scores"] == 0) & ~completed(arrays["provenance"])
        keypoints[missing] = np.nan
        arrays["scores"][missing], arrays["provenance"][missing] = 0.0, Provenance.UNKNOWN
        if not np.isfinite(arrays["scores"]).all():
            raise InputError("scores must be finite where there is a joint")
        if (np.diff(arrays["frames"]) <= 0).any():
            raise InputError("frame numbers must increase")
        fps = self.fps
        if fps is not None and not (isinstance(fps, Real) and np.isfinite(fps) and fps > 0):
            raise InputError(f"fps must be positive and finite, not {fps}")
        if isinstance(self.person, np.generic):  # an id out of an array; files hold plain ones
            object.__setattr__(self, "person", self.person.item())
        for name, array in arrays.items():
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.keypoints)

    def __repr__(self) -> str:
        span = f"{self.frames[0]}..{self.frames[-1]}" if len(self) else "none"
        share = f"{self.observed.mean():.0%}" if len(self) else "0%"
        return (
            f"PoseSequence(person={self.person!r}, {len(self)} frames ({span}), {self.skeleton}, "
            f"fps={self.fps}, {share} of joints present)"
        )

    @property
    def observed(self) -> np.ndarray:
        """(T, K) bool, True where the joint has coordinates."""
        return np.isfinite(self.keypoints[..., 0])

    def replace(self, **changes: Any) -> "PoseSequence":
        """A copy with some attributes changed."""
        return dataclasses.replace(self, **changes)


def numbers(name: str, values: Any, dtype: type = np.float64) -> np.ndarray:
    """A copy of them as an array.

    Raises:
      InputError: they are none, their lists are of unequal length, or do not fit the type.
    """
    try:
        with np.errstate(invalid="ignore"):
            array = np.array(values, dtype)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} must be an array of numbers") from None
    if dtype != np.float64 and (array != np.asarray(values)).any():
        raise InputError(f"{name} must be whole numbers, of type {np.dtype(dtype)}")
    return array


MOST_FRAMES = 1_000_000
"""From the first to the last frame of a track: eleven hours at 25 frames per second."""


def densify(sequence: PoseSequence) -> PoseSequence:
    """The same track with a row for every frame from first to last; new rows are missing.

    Raises:
      InputError: the frames lie so far apart that their numbers can be no count.
    """
    if not len(sequence):
        return sequence
    first, last = sequence.frames[[0, -1]].tolist()
    if last - first >= MOST_FRAMES:
        raise InputError(
            f"person {sequence.person}: frames {first} to {last} are more than {MOST_FRAMES}; "
            "split the track"
        )
    frames = np.arange(first, last + 1)
    rows = np.searchsorted(frames, sequence.frames)
    shape = (len(frames), sequence.keypoints.shape[1])
    keypoints = np.full((*shape, 2), np.nan)
    scores = np.zeros(shape)
    provenance = np.full(shape, Provenance.UNKNOWN, np.uint8)
    keypoints[rows], scores[rows] = sequence.keypoints, sequence.scores
    provenance[rows] = sequence.provenance
    return sequence.replace(
        keypoints=keypoints, scores=scores, provenance=provenance, frames=frames
    )


@dataclasses.dataclass(frozen=True, eq=False)
class PoseFile(Sequence):
    """What was read from a file: a list of PoseSequence, and all else that the file holds.

    Attributes:
      sequences: one per person.
      format: name of the file's format, empty for sequences from elsewhere.
      path: where it was read from, empty for these.
      source: the format's own record of the file, from which it is written back in full.
      notes: what the reader decided and the user should know, one line each.
      shares_of: (width, height) of the picture that the file's coordinates are shares of; None
        where they are not.
      image_size: (width, height) in pixels of the picture, as far as the user says it.
    """

    sequences: tuple[PoseSequence, ...]
    format: str = ""
    path: str = ""
    source: Any = dataclasses.field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    shares_of: tuple[float, float] | None = None
    image_size: tuple[float, float] | None = None

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, index):
        return self.sequences[index]

    def __iter__(self) -> Iterator[PoseSequence]:
        return iter(self.sequences)

    def replace(self, sequences: Sequence[PoseSequence]) -> "PoseFile":
        """The same file with other sequences, e.g. completed ones."""
        return dataclasses.replace(self, sequences=tuple(sequences))
