"""Networks that are trained for exactly one protocol: what is missing there is all that they know.

Whoever always lacks the same joints can train a network for just that. Here it is a residual MLP
over windows. It sees the joints that a detector delivers, with holes filled by splines over time,
and which of them were observed; ridge regression on these is its start, and it adds to that. It is
trained on windows of training people through random cameras, half of them in a mirror, in which the
protocol itself hides joints.
"""

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.linalg import cho_factor, cho_solve

from posegan_jax.errors import InputError
from posegan_jax.evaluation.clips import PICTURE, View, view_windows
from posegan_jax.evaluation.memory import digest
from posegan_jax.evaluation.protocols import PROTOCOLS, make_case
from posegan_jax.evaluation.temporal import cubic
from posegan_jax.evaluation.windowed import blend
from posegan_jax.geometry import Array
from posegan_jax.motion.store import load_clips
from posegan_jax.pose.rate import Rate
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import Skeleton
from posegan_jax.pose.windows import gather, starts
from posegan_jax.runtime.files import atomic_path

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


class Lessons(NamedTuple):
    """Windows to train on.

    Attributes:
      x: (N, 3 F D) places, then which joints were seen.
      y: (N, F, J, 2) the truth, in the same units, less the places of detected joints.
      weight: (N, F, J) 0 for observed joints; missing detected ones together count as much as all
        the others.
    """

    x: Array
    y: Array
    weight: Array


class Network:
    """A network for one protocol, as a method.

    Args:
      parameters: of the network, see ``_forward``.
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
        shown = Shown.of(*_windows(keypoints[:, self._detected], first, frames))
        found = np.asarray(_forward(self._parameters, _inputs(shown)))
        found = found.reshape(len(first), frames, -1, 2).astype(np.float64)
        found[:, :, self._detected] += shown.places
        return blend(found * shown.size + shown.center, first, keypoints)


def can_learn(protocol: str) -> bool:
    """Whether networks are trained for a protocol: those that hide joints, and do not move any."""
    return protocol in PROTOCOLS and not PROTOCOLS[protocol].noisy


class School:
    """Networks by protocol, trained when they are asked for, and kept.

    Args:
      course: what they learn from.
      folder: where they are kept, '<protocol>.npz', for a run that goes on; None: in memory alone.
    """

    def __init__(self, course: Course, folder: str | os.PathLike | None = None):
        self._course, self._folder = course, Path(folder) if folder is not None else None
        self._views: list[View] = []

    def network(self, protocol: str, tell: Callable[[int, int], None] | None = None) -> Network:
        """The network of a protocol.

        Args:
          protocol: for which ``can_learn``.
          tell: called with epochs done and in all while it is trained.

        Raises:
          InputError: no training motion, or a folder that cannot be written.
        """
        about = self._course.about(protocol)
        path = self._folder and self._folder / f"{protocol}.npz"
        kept = _read(path, about) if path else None
        if kept is None:
            self._views = self._views or self._course.stretches()
            kept = train(lessons(protocol, self._views, self._course), self._course, tell)
            if path:
                _write(path, kept, about)
        return Network(kept, self._course)


# --- training -------------------------------------------------------------------------------------


def lessons(protocol: str, views: Sequence[View], course: Course) -> Lessons:
    """Two windows of every stretch of motion, in each of which the protocol hides joints anew."""
    skeleton, frames = course.skeleton, course.frames
    detected, rng = np.flatnonzero(skeleton.mask(course.detected)), np.random.default_rng(
        [course.seed, 3]
    )
    filled, seen, truth = [], [], []
    for number in range(2 * len(views)):
        view = views[number // 2]
        points = view.keypoints
        if rng.random() < 0.5:
            points = skeleton.mirror_keypoints(points, PICTURE[0])
        case = make_case(
            protocol, points, skeleton, course.seed, number, view.fps, detected=course.detected
        )
        first = rng.integers(len(points) - frames + 1, size=1)
        window, there = _windows(case.keypoints[:, detected], first, frames)
        filled.append(window[0])
        seen.append(there[0])
        truth.append(points[first[0] : first[0] + frames])
    shown = Shown.of(np.stack(filled), np.stack(seen))
    y = (np.stack(truth) - shown.center) / shown.size
    y[:, :, detected] -= shown.places
    weight = np.ones(y.shape[:3], np.float32)
    weight[:, :, detected] -= shown.seen
    hidden = skeleton.mask(course.detected)
    for part in (hidden, ~hidden):
        weight[:, :, part] /= max(weight[:, :, part].sum() / len(weight), 1e-6)
    return Lessons(_inputs(shown), y.astype(np.float32), weight)


def train(
    taught: Lessons, course: Course, tell: Callable[[int, int], None] | None = None
) -> dict[str, np.ndarray]:
    """Trains a network on the mean distance of joints that were not observed.

    Args:
      taught: windows.
      course: with the recipe.
      tell: called with epochs done and in all.

    Returns:
      Parameters, see ``_forward``.
    """
    recipe, count = course.recipe, len(taught.x)
    batch = min(recipe.batch, count)
    steps = recipe.epochs * (count // batch)
    parameters = _start(taught, course)
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(
            optax.warmup_cosine_decay_schedule(0.0, recipe.rate, max(steps // 20, 1), steps),
            weight_decay=recipe.decay,
        ),
    )

    def loss(parameters, x, y, weight, key):
        found = _forward(parameters, x, recipe.dropout, key).reshape(y.shape)
        distance = jnp.sqrt(((found - y) ** 2).sum(axis=-1) + 1e-8)
        return (weight * distance).sum() / len(x)

    @jax.jit
    def epoch(carry, taught):
        def step(carry, rows):
            parameters, state, key = carry
            key, now = jax.random.split(key)
            some = Lessons(*(array[rows] for array in taught))
            some = _turn(some, jax.random.fold_in(now, 0), np.deg2rad(recipe.roll))
            gradient = jax.grad(loss)(parameters, *some, jax.random.fold_in(now, 1))
            update, state = optimizer.update(gradient, state, parameters)
            return (optax.apply_updates(parameters, update), state, key), None

        key, order = jax.random.split(carry[2])
        rows = jax.random.permutation(order, count)[: count // batch * batch]
        return jax.lax.scan(step, (*carry[:2], key), rows.reshape(-1, batch))[0]

    arrays = tuple(jnp.asarray(array) for array in taught)
    carry = parameters, optimizer.init(parameters), jax.random.key(course.seed)
    for done in range(recipe.epochs):
        carry = epoch(carry, arrays)
        if tell:
            jax.block_until_ready(carry)
            tell(done + 1, recipe.epochs)
    return {name: np.asarray(array) for name, array in carry[0].items()}


def _turn(taught: Lessons, key: jax.Array, most: float) -> Lessons:
    """Windows turned in the picture about their mean by up to so many radians."""
    count, places = len(taught.x), taught.x.shape[1] // 3 * 2
    angle = jax.random.uniform(key, (count,), minval=-most, maxval=most)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    turn = jnp.stack([jnp.stack([cos, sin], axis=-1), jnp.stack([-sin, cos], axis=-1)], axis=-2)
    x = (taught.x[:, :places].reshape(count, -1, 2) @ turn).reshape(count, -1)
    y = (taught.y.reshape(count, -1, 2) @ turn).reshape(taught.y.shape)
    return taught._replace(x=jnp.concatenate([x, taught.x[:, places:]], axis=1), y=y)


def _start(taught: Lessons, course: Course) -> dict[str, jax.Array]:
    """Ridge regression on the places, and an MLP that adds nothing to it."""
    recipe, inputs = course.recipe, taught.x.shape[1]
    places = np.append(taught.x[:, : inputs // 3 * 2], np.ones((len(taught.x), 1)), axis=1)
    target = taught.y.reshape(len(places), -1)
    gram = places.T @ places / len(places) + recipe.penalty * np.eye(places.shape[1])
    parameters = {
        "linear": cho_solve(cho_factor(gram), places.T @ target / len(places)),
        "bias": np.zeros(recipe.width),
        "last": np.zeros((recipe.width, target.shape[1])),
    }
    rng = np.random.default_rng([course.seed, 4])

    def normal(rows: int, gain: float) -> np.ndarray:
        return rng.normal(size=(rows, recipe.width)) * np.sqrt(gain / rows)

    parameters["first"] = normal(inputs, 1.0)
    for block in range(recipe.blocks):
        parameters[f"into {block}"] = normal(recipe.width, 2.0)
        parameters[f"shift {block}"] = np.zeros(recipe.width)
        parameters[f"out of {block}"] = normal(recipe.width, 0.2)
    return {name: jnp.asarray(array, jnp.float32) for name, array in parameters.items()}


def _forward(
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


# --- windows, and what is kept --------------------------------------------------------------------


def _windows(
    keypoints: np.ndarray, first: np.ndarray, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Windows (N, F, D, 2) of a track (T, D, 2), holes filled over time, and (N, F, D) which joints
    are observed. The last frame goes on beyond the end."""
    seen = np.isfinite(keypoints[..., 0])
    beyond = max(frames - len(keypoints), 0)
    filled = np.pad(cubic(keypoints), ((0, beyond), (0, 0), (0, 0)), mode="edge")
    return gather(filled, first, frames, np.nan), gather(seen, first, frames, False)


def _inputs(shown: Shown) -> np.ndarray:
    count = len(shown.places)
    return np.concatenate([shown.places.reshape(count, -1), shown.seen.reshape(count, -1)], axis=1)


def _write(path: Path, parameters: dict[str, np.ndarray], about: dict) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    arrays: dict[str, Any] = {"about": json.dumps(about), **parameters}
    with atomic_path(path) as temporary:
        np.savez(temporary, **arrays)


def _read(path: Path, about: dict) -> dict[str, np.ndarray] | None:
    """Parameters of the same course; None where there are none."""
    if not path.is_file():
        return None
    with np.load(path) as content:
        arrays = {name: content[name] for name in content.files}
    return arrays if json.loads(str(arrays.pop("about"))) == about else None
