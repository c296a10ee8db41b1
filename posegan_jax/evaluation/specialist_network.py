"""A residual MLP over windows that is trained for exactly one protocol, and what it depends on.

It sees the joints that a detector delivers, with holes filled by splines over time, and which of
them were observed; ridge regression on these is its start, and it adds to that.
"""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np

from posegan_jax.evaluation.clips import View, view_windows
from posegan_jax.evaluation.memory import digest
from posegan_jax.evaluation.temporal import cubic
from posegan_jax.evaluation.windowed import blend
from posegan_jax.geometry import Array
from posegan_jax.motion.store import load_clips
from posegan_jax.pose.rate import Rate
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import Skeleton
from posegan_jax.pose.windows import gather, starts

STRETCH = 2
"""Windows that a stretch of motion is long: joints are hidden in it, and one window taken of it, so
that gaps lie anywhere in windows, and splines know what is before and after."""
SHIFT = 4
"""Of a window's frames, a quarter is from one window of a track to the next."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
      windows: to train on.
      width: of the MLP.
      blocks: of it, each of which adds to what the one before gives.
      batch: windows of a step.
      epochs: over all windows.
      rate: largest learning rate; it rises for a twentieth of the steps and falls on a cosine.
      decay: of weights, as AdamW's.
      dropout: share of hidden values that are left out in training.
      roll: degrees, the largest turn of windows in the picture in training, to either side.
      penalty: of the ridge regression that it starts from.
    """

    windows: int = 16384
    width: int = 512
    blocks: int = 2
    batch: int = 128
    epochs: int = 20
    rate: float = 1e-3
    decay: float = 0.05
    dropout: float = 0.1
    roll: float = 10.0
    penalty: float = 1e-3


@dataclasses.dataclass(frozen=True)
class Course:
    """What networks learn from, and what they are for.

    Attributes:
      motion: motion set, as for ``motion.store.load_clips``, whose split 'train' is learned from.
      skeleton: of J joints.
      frames: F of windows.
      detected: names of the D joints that a detector delivers.
      seed: of cameras, places, masks and weights.
      recipe: how.
    """

    motion: str
    skeleton: Skeleton
    frames: int
    detected: tuple[str, ...]
    seed: int
    recipe: Recipe

    def stretches(self) -> list[View]:
        """Half as many stretches of motion as there are windows to learn from, through cameras.

        Raises:
          InputError: as ``clips.view_windows``.
        """
        count = max(self.recipe.windows // 2, 1)
        return view_windows(
            self.motion, "train", count, STRETCH * self.frames, self.seed, skeleton=self.skeleton
        )

    def about(self, protocol: str) -> dict:
        """All that a network of it depends on, in plain values.

        Raises:
          InputError: as ``load_clips``.
        """
        clips = load_clips(self.motion, "train", self.skeleton)
        return {
            "protocol": protocol, "motion": digest(clip.positions for clip in clips),
            "frames": self.frames,
            "joints": list(self.skeleton.joints), "detected": list(self.detected),
            "seed": self.seed, "recipe": dataclasses.asdict(self.recipe),
        }


class Shown(NamedTuple):
    """What a network is shown of windows.

    Attributes:
      places: (N, F, D, 2) of detected joints, holes filled over time, about the mean of all that
        are there and in units of their size; 0 where a joint is never observed.
      seen: (N, F, D) 1 = observed.
      center, size: (N, 1, 1, 2) and (N, 1, 1, 1), to go back.
    """

    places: np.ndarray
    seen: np.ndarray
    center: np.ndarray
    size: np.ndarray

    @classmethod
    def of(cls, filled: np.ndarray, seen: np.ndarray) -> "Shown":
        """Of windows (N, F, D, 2), NaN where joints are never observed, and (N, F, D) bool."""
        there = np.isfinite(filled).all(axis=-1)[..., None]
        points = np.where(there, filled, 0.0)
        count = there.sum(axis=(1, 2), keepdims=True)
        center = points.sum(axis=(1, 2), keepdims=True) / np.maximum(count, 1)
        relative = np.where(there, points - center, 0.0)
        total = (relative**2).sum(axis=(1, 2, 3), keepdims=True)
        size = np.maximum(np.sqrt(total / np.maximum(count, 1)), 1e-9)
        places = (relative / size).astype(np.float32)
        return cls(places, seen.astype(np.float32), center, size)


class Network:
    """A network for one protocol, as a method.

    Args:
      parameters: of the network, see ``forward``.
      course: that it was trained on.
    """

    def __init__(self, parameters: dict[str, np.ndarray], course: Course):
        self._parameters, self._course = parameters, course
        self._detected = np.flatnonzero(course.skeleton.mask(course.detected))

    def __call__(self, sequence: PoseSequence) -> np.ndarray:
        """(T, J, 2) pixels: what is observed, and completed by overlapping windows.

        NaN where fewer than two joints are ever observed.
        """
        skeleton = self._course.skeleton
        keypoints = np.where(
            skeleton.mask(self._course.detected)[:, None], sequence.keypoints, np.nan
        )
        rate = Rate.of(sequence.fps)
        tracks = [self._complete(track) for track in rate.split(keypoints, np.nan)]
        return np.where(np.isfinite(keypoints), keypoints, rate.join(tracks))

    def _complete(self, keypoints: np.ndarray) -> np.ndarray:
        if np.isfinite(keypoints[..., 0]).any(axis=0).sum() < 2:
            return keypoints.copy()
        frames = self._course.frames
        first = starts(len(keypoints), frames, max(frames // SHIFT, 1))
        shown = Shown.of(*windows_of(keypoints[:, self._detected], first, frames))
        found = np.asarray(forward(self._parameters, inputs(shown)))
        found = found.reshape(len(first), frames, -1, 2).astype(np.float64)
        found[:, :, self._detected] += shown.places
        return blend(found * shown.size + shown.center, first, keypoints)


def forward(
    parameters: dict[str, Array], x: Array, dropout: float = 0.0, key: jax.Array | None = None
) -> Array:
    """(N, 3 F D) -> (N, 2 F J), in JAX or in NumPy, whichever the arrays are of."""
    xp, places = x.__array_namespace__(), x.shape[1] // 3 * 2

    def scaled(h: Array) -> Array:
        return h / xp.sqrt((h * h).mean(axis=-1, keepdims=True) + 1e-6)

    h = x @ parameters["first"] + parameters["bias"]
    block = 0
    while f"into {block}" in parameters:
        inner = scaled(h) @ parameters[f"into {block}"] + parameters[f"shift {block}"]
        inner = 0.5 * inner * (1 + xp.tanh(0.8 * (inner + 0.0447 * inner**3)))
        if key is not None and dropout:
            kept = jax.random.bernoulli(jax.random.fold_in(key, block), 1 - dropout, inner.shape)
            inner = inner * kept / (1 - dropout)
        h = h + inner @ parameters[f"out of {block}"]
        block += 1
    linear = x[:, :places] @ parameters["linear"][:-1] + parameters["linear"][-1]
    return linear + scaled(h) @ parameters["last"]


def windows_of(
    keypoints: np.ndarray, first: np.ndarray, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Windows (N, F, D, 2) of a track (T, D, 2), holes filled over time, and (N, F, D) which joints
    are observed. The last frame goes on beyond the end."""
    seen = np.isfinite(keypoints[..., 0])
    beyond = max(frames - len(keypoints), 0)
    filled = np.pad(cubic(keypoints), ((0, beyond), (0, 0), (0, 0)), mode="edge")
    return gather(filled, first, frames, np.nan), gather(seen, first, frames, False)


def inputs(shown: Shown) -> np.ndarray:
    """(N, 3 F D) what ``forward`` takes."""
    count = len(shown.places)
    return np.concatenate([shown.places.reshape(count, -1), shown.seen.reshape(count, -1)], axis=1)
