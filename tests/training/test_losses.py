"""The objectives: signs, weights, and the gradient penalty against critics known in closed form."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.model.discriminator import Discriminator
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.training import losses
from posegan_jax.training.options import LossWeights

SMALL = get_skeleton("alphapose12")


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


# --- adversarial terms ----------------------------------------------------------------------------

REAL, FAKE = jnp.asarray([1.0, 3.0]), jnp.asarray([0.0, -1.0, -2.0])


def test_the_critic_wants_real_windows_to_score_higher():
    assert float(losses.critic_wasserstein(REAL, FAKE)) == pytest.approx(-1.0 - 2.0)
    real, fake = jax.grad(losses.critic_wasserstein, argnums=(0, 1))(REAL, FAKE)
    assert real.tolist() == pytest.approx([-1 / 2] * 2)
    assert fake.tolist() == pytest.approx([1 / 3] * 3)


def test_the_generator_wants_its_windows_to_score_higher():
    assert float(losses.adversarial(FAKE)) == pytest.approx(1.0)
    assert jax.grad(losses.adversarial)(FAKE).tolist() == pytest.approx([-1 / 3] * 3)


# --- gradient penalty -----------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [0.0, 0.25, 1.0, 3.0])
def test_the_penalty_of_a_linear_critic(norm):
    direction = normal(2, 5, 3)
    w = norm * direction / jnp.linalg.norm(direction)
    penalty = losses.gradient_penalty(lambda x: jnp.einsum("nfjc,fjc->n", x, w), normal(4, 2, 5, 3))
    assert float(penalty) == pytest.approx((norm - 1) ** 2, abs=1e-5)


def test_the_penalty_of_a_quadratic_critic():
    """D(x) = a |x|^2 / 2 has the gradient a x: each sample is penalised by its own norm."""
    x, a = normal(6, 4, 3), 0.4
    norms = a * np.linalg.norm(np.asarray(x).reshape(6, -1), axis=1)
    penalty = losses.gradient_penalty(lambda x: a * jnp.sum(x**2, axis=(1, 2)) / 2, x)
    assert float(penalty) == pytest.approx(np.mean((norms - 1) ** 2), rel=1e-5)


def test_the_penalty_teaches_the_critic():
    """Its gradient for w of D(x) = <w, x> is 2 (|w| - 1) w / |w|, and finite at w = 0."""
    x, w = normal(4, 6), normal(6, seed=1)
    gradient = jax.jit(jax.grad(lambda w: losses.gradient_penalty(lambda x: x @ w, x)))
    size = jnp.linalg.norm(w)
    np.testing.assert_allclose(gradient(w), 2 * (size - 1) * w / size, rtol=1e-4)
    assert np.isfinite(gradient(0 * w)).all()


def critic(normalization):
    """The score of a batch as a function, and a batch."""
    module = Discriminator(rows=SMALL.rows, normalization=normalization, lowering="lax")
    x = normal(3, 8, len(SMALL), 2)
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    variables = jax.tree.map(lambda s: jnp.asarray(rng.normal(0.0, 0.1, s.shape), s.dtype), shapes)

    def score(x):
        return module.apply(variables, x, train=True, mutable=["batch_stats"])[0]

    return score, x


def penalty_of(gradient):
    """The definition, in numpy."""
    norms = np.linalg.norm(np.asarray(gradient).reshape(len(gradient), -1), axis=1)
    assert norms.min() > 1e-2  # the critic is not flat
    return np.mean((norms - 1) ** 2)


@pytest.mark.parametrize("normalization", ["none", "layer"])
def test_the_penalty_is_per_sample(normalization):
    score, x = critic(normalization)

    @jax.jit
    def both(x):
        alone = jax.vmap(jax.grad(lambda one: score(one[None])[0]))(x)
        return losses.gradient_penalty(score, x), alone

    penalty, alone = both(x)
    assert float(penalty) == pytest.approx(penalty_of(alone), rel=1e-3)


def test_the_penalty_of_a_batch_normalised_critic_has_cross_terms():
    score, x = critic("batch")

    @jax.jit
    def parts(x):
        # every score by its own sample, the rest of the batch at hand but held still
        own = jax.vmap(lambda i: jax.grad(lambda one: score(x.at[i].set(one))[i])(x[i]))
        total = jax.grad(lambda x: score(x).sum())(x)
        return losses.gradient_penalty(score, x), own(jnp.arange(len(x))), total

    penalty, own, total = parts(x)
    assert float(penalty) == pytest.approx(penalty_of(total), rel=1e-3)
    assert float(penalty) != pytest.approx(penalty_of(own), rel=1e-2)


# --- interpolation --------------------------------------------------------------------------------


def test_interpolates_lie_on_the_segments_at_one_weight_per_sample():
    real, fake = normal(500, 3, 4, 2), normal(500, 3, 4, 2, seed=1)
    drawn = losses.interpolation_weights(jax.random.key(0), 500)
    x_hat = losses.interpolate(drawn, real, fake)
    assert x_hat.shape == real.shape
    step, way = (np.asarray(x - fake).reshape(500, -1) for x in (x_hat, real))
    weight = (step * way).sum(axis=1) / (way * way).sum(axis=1)
    np.testing.assert_allclose(step, weight[:, None] * way, atol=1e-5)  # nowhere off the line
    np.testing.assert_allclose(weight, drawn, atol=1e-5)
    assert weight.min() >= 0.0 and weight.max() <= 1.0
    # uniform: quartiles at the quarters, to four standard errors
    np.testing.assert_allclose(np.quantile(weight, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.09)


def test_interpolation_follows_its_key():
    first, again = (losses.interpolation_weights(jax.random.key(3), 8) for _ in range(2))
    other = losses.interpolation_weights(jax.random.key(4), 8)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


# --- reconstruction and latent terms --------------------------------------------------------------

# One frame pair of one joint: errors 5 and 10 (mean 7.5); one step of length 5, over F J = 2.
X = jnp.zeros((1, 2, 1, 2))
X_TILDE = jnp.asarray([[[[3.0, 4.0]], [[6.0, 8.0]]]])


def test_the_weights_of_the_thesis():
    weights = LossWeights()
    assert (weights.position, weights.speed, weights.latent) == (200.0, 100.0, 2.0)
    assert (weights.gradient_penalty, weights.adversarial, weights.mix) == (10.0, 1.0, 1.0)
    assert weights.latent_moments == 0.0


def test_every_term_has_a_weight():
    weights = {field.name for field in dataclasses.fields(LossWeights)}
    assert weights == {*losses.TERMS, "gradient_penalty"}  # which is the critic's


def reconstruction(x, x_tilde, weights):
    return losses.objective(losses.Outputs(x, jnp.ones(x.shape[:-1]), None, x_tilde), weights)


def test_reconstruction_weighs_positions_and_speeds():
    total, parts = reconstruction(X, X_TILDE, LossWeights())
    assert set(parts) == {"mpjpe", "mpjse"}
    assert float(parts["mpjpe"]) == pytest.approx(7.5)
    assert float(parts["mpjse"]) == pytest.approx(2.5)
    assert float(total) == pytest.approx(200 * 7.5 + 100 * 2.5)
    total, _ = reconstruction(X, X_TILDE, LossWeights(position=1.0, speed=0.0))
    assert float(total) == pytest.approx(7.5)


def test_reconstruction_is_the_mean_over_the_batch():
    x, x_tilde = jnp.concatenate([X, X]), jnp.concatenate([X_TILDE, X])
    total, _ = reconstruction(x, x_tilde, LossWeights())
    assert float(total) == pytest.approx((200 * 7.5 + 100 * 2.5) / 2)


def test_reconstruction_has_a_finite_gradient_where_it_is_perfect():
    x = normal(2, 4, 3, 2)
    gradient = jax.jit(jax.grad(lambda y: reconstruction(x, y, LossWeights())[0]))
    np.testing.assert_array_equal(gradient(x), 0.0)
    almost = gradient(x.at[0, 1, 2].add(0.1))
    assert np.isfinite(almost).all() and np.abs(almost).max() > 0


def test_latent_cycle_is_the_mean_square():
    z = jnp.asarray([[0.0, 1.0], [2.0, 3.0]])
    assert float(losses.latent_cycle(z, z)) == 0.0
    assert float(losses.latent_cycle(z, z + jnp.asarray([1.0, 3.0]))) == pytest.approx(5.0)


def whitened(count, dimension):
    """Of every second sample, whose moments are told apart from the others'."""
    halves = np.random.default_rng(0).normal(size=(2, count // 2, dimension))
    for z in halves:
        z -= z.mean(axis=0)
        z[:] = z @ np.linalg.inv(np.linalg.cholesky(z.T @ z / len(z))).T
    return jnp.asarray(halves.transpose(1, 0, 2).reshape(count, dimension), jnp.float32)


def test_whitened_codes_have_the_moments_of_the_prior():
    assert float(losses.latent_moments(whitened(64, 5))) == pytest.approx(0.0, abs=1e-6)


def test_few_codes_of_the_prior_are_where_they_should_be_on_average():
    """Else batches that are smaller than codes are long would draw these to 0."""
    draws = jax.random.normal(jax.random.key(0), (200, 64, 96))
    right, small = (jax.vmap(losses.latent_moments)(scale * draws) for scale in (1.0, 0.6))
    assert abs(float(right.mean())) < 3 * float(right.std()) / 200**0.5
    # covariance .36 I: .64 squared for each dimension
    assert float(small.mean()) == pytest.approx(0.64**2, rel=0.1)


def test_latent_moments_measure_shift_scale_and_correlation():
    z = whitened(64, 5)
    for shift in (0.5, 1.0, 2.0):
        assert float(losses.latent_moments(z + shift)) == pytest.approx(shift**2, rel=1e-4)
    # covariance 4 I against I: nine for each dimension
    assert float(losses.latent_moments(2 * z)) == pytest.approx(9.0, rel=1e-4)
    assert float(losses.latent_moments(0 * z)) == pytest.approx(1.0)
    # two dimensions that say the same: covariance one twice off the diagonal, of five dimensions
    assert float(losses.latent_moments(z.at[:, 1].set(z[:, 0]))) == pytest.approx(2 / 5, rel=1e-4)


def test_latent_moments_are_of_the_whole_batch_where_it_is_split():
    z = 3 * whitened(64, 5) * jnp.linspace(0.5, 1.5, 64)[:, None] + 1
    halves = jax.vmap(
        lambda z: losses.latent_moments(z, "devices"), axis_name="devices"
    )(z.reshape(2, 32, 5))
    np.testing.assert_allclose(halves, losses.latent_moments(z), rtol=1e-5)


# --- ranks ----------------------------------------------------------------------------------------

ONE, TWO, WINDOWS = jnp.zeros(3), jnp.zeros((3, 4)), jnp.zeros((3, 8, 5, 2))


@pytest.mark.parametrize(
    "function, arguments",
    [
        (losses.critic_wasserstein, (TWO, ONE)), (losses.critic_wasserstein, (ONE, TWO[:, :1])),
        (losses.adversarial, (TWO[:, :1],)), (losses.adversarial, (ONE.sum(),)),
        (losses.gradient_penalty, (lambda x: x.sum(axis=(2, 3)), WINDOWS)),
        (losses.gradient_penalty, (lambda x: x.sum(), WINDOWS)),
        (losses.interpolate, (TWO[:, :1], WINDOWS, WINDOWS)),
        (losses.interpolate, (ONE[:1], WINDOWS, WINDOWS)),
        (losses.interpolate, (ONE, WINDOWS, WINDOWS[:1])),
        (reconstruction, (WINDOWS, WINDOWS[..., :1], LossWeights())),
        (reconstruction, (WINDOWS, WINDOWS[:1], LossWeights())),
        (reconstruction, (TWO, TWO, LossWeights())),
        (losses.latent_cycle, (ONE, ONE)), (losses.latent_cycle, (TWO, TWO[:1])),
        (losses.latent_moments, (ONE,)), (losses.latent_moments, (WINDOWS,)),
    ],
)
def test_other_ranks_are_refused(function, arguments):
    """Rather than broadcast: (N,) less (N, 1) is (N, N), and its mean looks like a loss."""
    with pytest.raises(AssertionError):
        function(*arguments)
    with pytest.raises(AssertionError):  # while it is traced, not only with values at hand
        jax.eval_shape(lambda: function(*arguments))
