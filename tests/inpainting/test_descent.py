"""The latent search: Adam and BFGS, and the best code that they have seen."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from posegan_jax.inpainting.descent import DAMPING, _bfgs, descend, inverse_metric
from posegan_jax.inpainting.objective import generate, objective
from posegan_jax.inpainting.settings import DescentOptions, ObjectiveWeights
from posegan_jax.model.networks import Networks
from posegan_jax.model.options import NetworkOptions

WINDOWS, FRAMES, JOINTS, LATENT = 4, 6, 5, 4


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

DESCEND = jax.jit(descend, static_argnums=(0, 4))
OBJECTIVE = jax.jit(objective, static_argnums=(0, 6))
GENERATE = jax.jit(generate, static_argnums=0)

# Every set of options is compiled on its own, so the tests share a few.
THESIS = DescentOptions(steps=12)
GENTLE = DescentOptions(steps=12, learning_rate=0.05, b1=0.9, weights=ObjectiveWeights(prior=0.1))
HARMFUL = DescentOptions(steps=3, learning_rate=5.0, weights=ObjectiveWeights(prior=1e3))
BFGS = dataclasses.replace(GENTLE, method="bfgs")
NONE = DescentOptions(steps=0)


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
def windows(variables):
    """Windows that the generator can make, a third of their joints missing: x, mask."""
    rng = np.random.default_rng(1)
    z = rng.normal(size=(WINDOWS, LATENT)).astype(np.float32)
    x = np.asarray(NETWORKS.generator.apply(variables["generator"], z))
    mask = (rng.random(x.shape[:-1]) < 0.7).astype(np.float32)
    return x * mask[..., None], mask


def trajectory(variables, x, mask, options):
    """Codes and objectives of every iterate of Adam: (steps + 1, N, L) and (steps + 1, N)."""
    start = NETWORKS.encoder.apply(variables["encoder"], x, mask)

    adam = optax.adam(options.learning_rate, b1=options.b1, b2=options.b2, eps=options.eps)

    @jax.jit
    def look_and_move(z, state):
        def total(z):
            loss = objective(NETWORKS, variables, z, start, x, mask, options.weights)
            return loss.sum(), loss

        gradient, loss = jax.grad(total, has_aux=True)(z)
        update, state = adam.update(gradient, state)
        return loss, z + update, state

    z, state = start, adam.init(start)
    codes, losses = [], []
    for _ in range(options.steps + 1):
        codes.append(z)
        loss, z, state = look_and_move(z, state)
        losses.append(loss)
    return np.stack(codes), np.stack(losses)


def test_the_defaults_are_the_thesiss():
    options = DescentOptions()
    assert dataclasses.asdict(options) == {
        "steps": 200, "learning_rate": 1.0, "b1": 0.8, "b2": 0.999, "eps": 1e-8,
        "weights": {"position": 10.0, "speed": 5.0, "critic": 0.5, "prior": 0.0}, "method": "adam",
    }


@pytest.mark.parametrize("options", [THESIS, GENTLE], ids=["thesis", "gentle"])
def test_it_is_adam_and_returns_the_best_iterate(variables, windows, options):
    codes, losses = trajectory(variables, *windows, options)
    best = losses.argmin(axis=0)
    found = DESCEND(NETWORKS, variables, *windows, options)
    np.testing.assert_allclose(found.loss, losses.min(axis=0), rtol=1e-3)
    np.testing.assert_allclose(found.start_loss, losses[0], rtol=1e-4)
    np.testing.assert_allclose(found.z, codes[best, np.arange(WINDOWS)], atol=0.01)
    if options is THESIS:
        assert (best < options.steps).any()  # or the last iterate would do as well
    else:
        assert (best == options.steps).any()  # the last one, after the last update, counts too


@pytest.mark.parametrize(
    "options", [THESIS, GENTLE, HARMFUL, BFGS], ids=["thesis", "gentle", "harm", "bfgs"]
)
def test_the_answer_is_never_worse_than_the_encoders(variables, windows, options):
    found = DESCEND(NETWORKS, variables, *windows, options)
    assert (found.loss <= found.start_loss).all()


def test_windows_in_which_a_step_only_harms_keep_the_encoders_answer(variables, windows):
    x, mask = windows
    found = DESCEND(NETWORKS, variables, x, mask, HARMFUL)
    start = NETWORKS.encoder.apply(variables["encoder"], x, mask)
    np.testing.assert_allclose(found.z, start, atol=1e-5)
    np.testing.assert_array_equal(found.loss, found.start_loss)


def test_loss_and_windows_are_those_of_the_code(variables, windows):
    x, mask = windows
    found = DESCEND(NETWORKS, variables, x, mask, GENTLE)
    start = NETWORKS.encoder.apply(variables["encoder"], x, mask)
    assert found.x_tilde.shape == (WINDOWS, FRAMES, JOINTS, 2)
    np.testing.assert_allclose(
        found.loss, OBJECTIVE(NETWORKS, variables, found.z, start, x, mask, GENTLE.weights),
        rtol=1e-4,
    )
    np.testing.assert_allclose(
        found.x_tilde, GENERATE(NETWORKS, variables, found.z, x, mask), atol=1e-4
    )


def test_no_steps_give_the_encoders_answer(variables, windows):
    x, mask = windows
    found = DESCEND(NETWORKS, variables, x, mask, NONE)
    start = NETWORKS.encoder.apply(variables["encoder"], x, mask)
    np.testing.assert_allclose(found.z, start, atol=1e-5)
    np.testing.assert_array_equal(found.loss, found.start_loss)
    np.testing.assert_allclose(
        found.x_tilde, GENERATE(NETWORKS, variables, start, x, mask), atol=1e-4
    )


def test_the_search_explains_what_the_generator_made(variables, windows):
    x, mask = windows
    options = DescentOptions(steps=100, learning_rate=0.1, weights=ObjectiveWeights(critic=0.0))
    found = DESCEND(NETWORKS, variables, x, mask, options)
    assert (np.asarray(found.loss) < 0.5 * np.asarray(found.start_loss)).all()
    # What is missing is not in the objective, and gets closer too.
    truth = NETWORKS.generator.apply(variables["generator"], codes())
    encoder = DESCEND(NETWORKS, variables, x, mask, NONE)
    hidden = mask == 0
    before, after = (
        np.linalg.norm(w.x_tilde - truth, axis=-1)[hidden].mean() for w in (encoder, found)
    )
    assert after < 0.7 * before


def codes():
    """The codes that ``windows`` were made of."""
    return np.random.default_rng(1).normal(size=(WINDOWS, LATENT)).astype(np.float32)


@pytest.mark.parametrize("options", [THESIS, BFGS], ids=["thesis", "bfgs"])
def test_windows_without_any_observation_stay_finite(variables, windows, options):
    x, mask = windows
    found = DESCEND(NETWORKS, variables, 0 * x, 0 * mask, options)
    for value in found:
        assert np.isfinite(value).all()


def test_windows_do_not_see_each_other(variables, windows):
    x, mask = windows
    mixed = x.copy(), mask.copy()
    mixed[0][1:], mixed[1][1:] = 0.3, 1.0
    alone = DESCEND(NETWORKS, variables, *mixed, THESIS)
    together = DESCEND(NETWORKS, variables, x, mask, THESIS)
    np.testing.assert_array_equal(alone.z[0], together.z[0])
    assert not np.array_equal(alone.z[1], together.z[1])


@pytest.mark.parametrize("options", [THESIS, BFGS], ids=str)
def test_networks_are_given_all_windows_as_one_batch(variables, windows, options):
    batches = []

    class Watched(Generator):
        def apply(self, kernel, z):
            batches.append(len(z))
            return super().apply(kernel, z)

    networks = NETWORKS._replace(generator=Watched())
    jax.eval_shape(lambda v, *w: descend(networks, v, *w, options), variables, *windows)
    assert batches.count(WINDOWS) > 1  # one of them makes the motion of the codes found


def test_other_parameters_of_the_same_compiled_search_count(variables, windows):
    other = {name: 0.9 * kernel for name, kernel in variables.items()}
    first, second = (DESCEND(NETWORKS, v, *windows, THESIS).loss for v in (variables, other))
    assert (np.abs(first - second) > 1e-3).all()


def test_bfgs_gets_lower_than_adam_in_as_many_steps(variables, windows):
    losses = [DESCEND(NETWORKS, variables, *windows, o).loss for o in (GENTLE, BFGS)]
    assert (losses[1] < losses[0]).all()
    code = DESCEND(NETWORKS, variables, *windows, BFGS).z
    x, mask = windows
    start = NETWORKS.encoder.apply(variables["encoder"], x, mask)
    np.testing.assert_allclose(
        losses[1], OBJECTIVE(NETWORKS, variables, code, start, x, mask, BFGS.weights), rtol=1e-4
    )


def crooked(z, scale):
    """A curved valley with a kink, which BFGS overshoots in."""
    return 10 * (z[1] - z[0] ** 2) ** 2 + (scale - z[0]) ** 2 + jnp.abs(z[2:]).sum()


def minimize(loss, steps):
    start = jnp.array([-1.2, 1.0, 0.5, -2.0])
    look = jax.value_and_grad(loss)
    return _bfgs(look, start, dataclasses.replace(BFGS, steps=steps), jnp.eye(LATENT))


def test_bfgs_never_goes_up():
    losses = [minimize(lambda z: crooked(z, 1.0), steps)[1] for steps in (0, 2, 8)]
    assert (np.diff(losses) <= 0).all() and losses[-1] < 0.5 * losses[0]


def test_bfgs_gives_every_problem_what_it_gives_it_alone():
    scales = jnp.array([0.5, 1.0, 2.0])
    together = jax.vmap(lambda scale: minimize(lambda z: crooked(z, scale), 10))(scales)
    for i, scale in enumerate(scales):
        alone = minimize(lambda z, scale=scale: crooked(z, scale), 10)
        for one, all_of_them in zip(alone, together, strict=True):
            np.testing.assert_allclose(one, all_of_them[i], rtol=1e-3, atol=1e-4)


def test_bfgs_finds_the_minimum_of_a_quadratic():
    rng = np.random.default_rng(2)
    root = rng.normal(size=(LATENT, LATENT)).astype(np.float32)
    hessian, low = root @ root.T + np.eye(LATENT), rng.normal(size=LATENT).astype(np.float32)
    found, loss, _ = minimize(lambda z: 0.5 * (z - low) @ hessian @ (z - low), 40)
    np.testing.assert_allclose(found, low, atol=2e-3)
    assert loss < 1e-4


def test_the_inverse_metric_is_that_of_the_generators_jacobian():
    """Of a linear generator, all can be said."""
    rng = np.random.default_rng(3)
    kernel = rng.normal(size=(LATENT, FRAMES * JOINTS * 2)) * [[1.0], [0.5], [0.25], [2.0]]
    x = kernel.reshape(LATENT, FRAMES, -1)
    metric = sum(a.reshape(LATENT, -1) @ a.reshape(LATENT, -1).T for a in (x, np.diff(x, axis=1)))
    damped = metric + DAMPING * np.linalg.eigvalsh(metric)[-1] * np.eye(LATENT)
    expected = np.linalg.inv(damped)
    networks = NETWORKS._replace(generator=Linear(), options=NetworkOptions(latent=LATENT))
    found = np.asarray(inverse_metric(networks, {"generator": jnp.asarray(kernel, jnp.float32)}))
    np.testing.assert_allclose(np.trace(found), LATENT, rtol=1e-4)
    np.testing.assert_allclose(
        found, LATENT * expected / np.trace(expected), atol=0.15 * np.abs(found).max()
    )


class Linear:
    def apply(self, kernel, z):
        return (z @ kernel).reshape(-1, FRAMES, JOINTS, 2)
