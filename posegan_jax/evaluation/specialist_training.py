"""Training of a network for exactly one protocol.

It is trained on windows of training people through random cameras, half of them in a mirror, in
which the protocol itself hides joints.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from posegan_jax.evaluation.clips import PICTURE, View
from posegan_jax.evaluation.protocols import make_case
from posegan_jax.evaluation.ridge import solve
from posegan_jax.evaluation.specialist_network import Course, Shown, forward, inputs, windows_of
from posegan_jax.geometry import Array


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
        window, there = windows_of(case.keypoints[:, detected], first, frames)
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
    return Lessons(inputs(shown), y.astype(np.float32), weight)


def train(
    taught: Lessons, course: Course, tell: Callable[[int, int], None] | None = None
) -> dict[str, np.ndarray]:
    """Trains a network on the mean distance of joints that were not observed.

    Args:
      taught: windows.
      course: with the recipe.
      tell: called with epochs done and in all.

    Returns:
      Parameters, see ``specialist_network.forward``.
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
        found = forward(parameters, x, recipe.dropout, key).reshape(y.shape)
        distance = jnp.sqrt(((found - y) ** 2).sum(axis=-1) + 1e-8)
        return (weight * distance).sum() / len(x)

    @jax.jit
    def epoch(carry, taught):
        def step(carry, rows):
            parameters, state, key = carry
            key, now = jax.random.split(key)
            some = Lessons(*(array[rows] for array in taught))
            some = turned(some, jax.random.fold_in(now, 0), np.deg2rad(recipe.roll))
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


def turned(taught: Lessons, key: jax.Array, most: float) -> Lessons:
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
    recipe, width = course.recipe, taught.x.shape[1]
    places = np.append(taught.x[:, : width // 3 * 2], np.ones((len(taught.x), 1)), axis=1)
    target = taught.y.reshape(len(places), -1)
    gram, cross = (places.T @ values / len(places) for values in (places, target))
    parameters = {
        "linear": solve(gram, cross, recipe.penalty),
        "bias": np.zeros(recipe.width),
        "last": np.zeros((recipe.width, target.shape[1])),
    }
    rng = np.random.default_rng([course.seed, 4])

    def normal(rows: int, gain: float) -> np.ndarray:
        return rng.normal(size=(rows, recipe.width)) * np.sqrt(gain / rows)

    parameters["first"] = normal(width, 1.0)
    for block in range(recipe.blocks):
        parameters[f"into {block}"] = normal(recipe.width, 2.0)
        parameters[f"shift {block}"] = np.zeros(recipe.width)
        parameters[f"out of {block}"] = normal(recipe.width, 0.2)
    return {name: jnp.asarray(array, jnp.float32) for name, array in parameters.items()}
