"""What the latent search minimises, against the equations written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.inpainting.objective import generate, objective
from posegan_jax.inpainting.settings import ObjectiveWeights
from posegan_jax.model.networks import Networks

WINDOWS, FRAMES, JOINTS, LATENT = 3, 6, 5, 4


class Generator:
    """Stands in for the networks, whose compilation would take minutes: a linear map and tanh."""

    def apply(self, kernel, z):
        return jnp.tanh(z @ kernel).reshape(-1, FRAMES, JOINTS, 2)


class Encoder:
    def apply(self, kernel, x, mask):
        return jnp.concatenate([x.reshape(len(x), -1), mask.reshape(len(x), -1)], 1) @ kernel


class Critic:
    def apply(self, kernel, x):
        return jnp.tanh(x.reshape(len(x), -1) @ kernel).sum(axis=-1)


NETWORKS = Networks(Generator(), Critic(), Encoder(), None)
ALL = ObjectiveWeights(position=10.0, speed=5.0, critic=0.5, prior=0.3)

GENERATE = jax.jit(generate, static_argnums=0)
OBJECTIVE = jax.jit(objective, static_argnums=(0, 6))
GRADIENT = jax.jit(
    jax.grad(lambda z, *rest: objective(NETWORKS, rest[0], z, *rest[1:], ALL).sum())
)


@pytest.fixture(scope="module")
def variables():
    """Kernels of the stand-ins."""
    rng = np.random.default_rng(0)
    coordinates = FRAMES * JOINTS * 2
    shapes = {
        "generator": (LATENT, coordinates), "discriminator": (coordinates, 5),
        "encoder": (FRAMES * JOINTS * 3, LATENT),
    }
    return {n: rng.normal(0, s[0] ** -0.5, s).astype(np.float32) for n, s in shapes.items()}


@pytest.fixture(scope="module")
def inputs():
    """Codes, the encoder's codes, windows and masks."""
    rng = np.random.default_rng(1)
    z, start = rng.normal(size=(2, WINDOWS, LATENT))
    x = rng.uniform(-1, 1, (WINDOWS, FRAMES, JOINTS, 2))
    mask = rng.random((WINDOWS, FRAMES, JOINTS)) < 0.7
    return tuple(np.float32(a) for a in (z, start, x, mask))


def by_hand(x, x_tilde, mask):
    """MPJPE and MPJSE of one window over observed joints, as sums over frames and joints."""
    positions, speeds = [], []
    for f in range(FRAMES):
        for j in range(JOINTS):
            if mask[f, j]:
                positions.append(np.linalg.norm(x[f, j] - x_tilde[f, j]))
            if f and mask[f, j] and mask[f - 1, j]:
                moved = (x[f, j] - x[f - 1, j]) - (x_tilde[f, j] - x_tilde[f - 1, j])
                speeds.append(np.linalg.norm(moved))
    return np.mean(positions), np.mean(speeds)


def least_squares(source, target, mask):
    """The similarity of one window by linear least squares, a, b, c, d at once."""
    x, y = source[mask > 0].T
    one, zero = np.ones_like(x), np.zeros_like(x)
    matrix = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, c, d = np.linalg.lstsq(matrix, target[mask > 0].T.ravel(), rcond=None)[0]
    return np.stack(
        [a * source[..., 0] - b * source[..., 1] + c, b * source[..., 0] + a * source[..., 1] + d],
        axis=-1,
    )


def whole(window):
    """A window normalised by all its joints."""
    centred = window - window.mean(axis=(0, 1))
    return centred / np.abs(centred).max()


# --- its terms ------------------------------------------------------------------------------------


def test_it_is_the_sum_of_its_four_terms(variables, inputs):
    z, start, x, mask = inputs
    raw = np.asarray(NETWORKS.generator.apply(variables["generator"], z), np.float64)
    x_tilde = np.stack([least_squares(*window) for window in zip(raw, x, mask, strict=True)])
    np.testing.assert_allclose(GENERATE(NETWORKS, variables, z, x, mask), x_tilde, atol=1e-4)
    seen_by_critic = np.float32([whole(window) for window in x_tilde])
    critic = NETWORKS.discriminator.apply(variables["discriminator"], seen_by_critic)
    position, speed = np.transpose([by_hand(*w) for w in zip(x, x_tilde, mask, strict=True)])
    prior = ((z - start) ** 2).sum(-1)
    assert np.abs(critic).min() > 0.01 and np.ptp(critic) > 0.001  # the term can be told
    wanted = 10 * position + 5 * speed - 0.5 * np.asarray(critic) + 0.3 * prior
    found = OBJECTIVE(NETWORKS, variables, z, start, x, mask, ALL)
    assert found.shape == (WINDOWS,)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_every_weight_scales_its_own_term(variables, inputs):
    names = ("position", "speed", "critic", "prior")
    single = [ObjectiveWeights(**dict.fromkeys(names, 0.0) | {name: 1.0}) for name in names]

    @jax.jit
    def terms(*arguments):
        return [objective(NETWORKS, variables, *arguments, weights) for weights in single]

    terms = np.asarray(terms(*inputs))
    assert (np.abs(terms) > 1e-3).all()
    np.testing.assert_allclose(
        OBJECTIVE(NETWORKS, variables, *inputs, ALL), np.float32([10, 5, 0.5, 0.3]) @ terms,
        rtol=1e-4,
    )


def test_the_defaults_are_the_thesiss():
    assert ObjectiveWeights() == ObjectiveWeights(position=10, speed=5, critic=0.5, prior=0)


def test_no_prior_leaves_the_encoders_answer_out(variables, inputs):
    z, start, x, mask = inputs
    a, b = (OBJECTIVE(NETWORKS, variables, z, s, x, mask, ObjectiveWeights()) for s in (z, start))
    np.testing.assert_array_equal(a, b)


def test_less_certain_observations_count_less_against_the_prior(variables, inputs):
    z, start, x, mask = inputs
    half = OBJECTIVE(NETWORKS, variables, z, start, x, mask / 2, ALL)
    whole = OBJECTIVE(NETWORKS, variables, z, start, x, mask, ALL)
    fit = ObjectiveWeights(position=10.0, speed=5.0, critic=0.0)
    np.testing.assert_allclose(
        whole - half, OBJECTIVE(NETWORKS, variables, z, start, x, mask, fit) / 2, rtol=1e-3
    )


# --- what must not matter -------------------------------------------------------------------------


class Moved:
    """A generator in another frame: turned, scaled and shifted."""

    def __init__(self, generator, angle, scale, shift):
        self.generator, self.shift = generator, np.float32(shift)
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        self.turn = np.float32([[cos, sin], [-sin, cos]])

    def apply(self, variables, z):
        return self.generator.apply(variables, z) @ self.turn + self.shift


def test_the_generators_frame_does_not_matter(variables, inputs):
    z, start, x, mask = inputs
    moved = NETWORKS._replace(generator=Moved(NETWORKS.generator, 2.0, 0.4, (3.0, -1.0)))
    np.testing.assert_allclose(
        GENERATE(moved, variables, z, x, mask), GENERATE(NETWORKS, variables, z, x, mask),
        atol=2e-4,
    )
    np.testing.assert_allclose(
        OBJECTIVE(moved, variables, z, start, x, mask, ALL),
        OBJECTIVE(NETWORKS, variables, z, start, x, mask, ALL), rtol=1e-3,
    )


def test_generated_windows_lie_in_the_frame_of_the_input(variables, inputs):
    z, _, x, mask = inputs
    there = GENERATE(NETWORKS, variables, z, x * np.float32(0.5) + np.float32([3, -2]), mask)
    here = GENERATE(NETWORKS, variables, z, x, mask)
    np.testing.assert_allclose(there, np.asarray(here) * 0.5 + [3, -2], atol=1e-4)


@pytest.mark.parametrize("garbage", [0.0, -7.0, 1e4])
def test_what_stands_at_missing_joints_does_not_matter(variables, inputs, garbage):
    z, start, x, mask = inputs
    other = np.where(mask[..., None] > 0, x, np.float32(garbage))
    assert (other != x).any()
    arguments = (NETWORKS, variables, z)
    np.testing.assert_array_equal(
        GENERATE(*arguments, other, mask), GENERATE(*arguments, x, mask)
    )
    np.testing.assert_array_equal(
        OBJECTIVE(*arguments, start, other, mask, ALL), OBJECTIVE(*arguments, start, x, mask, ALL)
    )


@pytest.mark.parametrize("seen", [0, 1, 2, 30])
def test_gradients_are_finite_however_little_is_observed(variables, inputs, seen):
    z, start, x, _ = inputs
    mask = np.zeros((WINDOWS, FRAMES * JOINTS), np.float32)
    mask[:, :seen] = 1
    mask = mask.reshape(WINDOWS, FRAMES, JOINTS)
    gradient = GRADIENT(z, variables, start, x, mask)
    assert np.isfinite(gradient).all()
    # At the encoder's own code the prior and, with nothing observed, the errors are at their zero.
    assert np.isfinite(GRADIENT(start, variables, start, x, mask)).all()
