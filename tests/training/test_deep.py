"""Runs with a depth: nobody observes it, and the picture is what it is without."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_runs import configuration, lines, same_state

from posegan_jax import config as config_lib
from posegan_jax.errors import InputError
from posegan_jax.geometry.procrustes import align, align_deep
from posegan_jax.model.store import load_model
from posegan_jax.motion.bodies import BodyOptions
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.training import loop, losses
from posegan_jax.training.batch import sample_batch
from posegan_jax.training.export import export
from posegan_jax.training.options import LossWeights
from posegan_jax.training.validation import depth_scores

MPI = get_skeleton("mpi_inf_3dhp")
pytestmark = pytest.mark.usefixtures("small")


def batch_of(**changes):
    """Windows of the tiny configuration."""
    made = config_lib.typed(configuration("", train__batch_size=32, **changes))
    store = loop.load_store(made, "train", made.step)
    draw = jax.jit(lambda key, store: sample_batch(key, store, made.networks(), made.step))
    return jax.tree.map(np.asarray, draw(jax.random.key(0), jax.device_put(store)))


@pytest.fixture(scope="module")
def deep(small):
    return batch_of(model__coordinates=3)


# --- windows --------------------------------------------------------------------------------------


def test_the_picture_and_what_is_seen_of_it_do_not_change(deep):
    flat = batch_of()
    assert flat.x.shape == (32, 8, 28, 2) and deep.x.shape == (32, 8, 28, 3)
    np.testing.assert_allclose(deep.x[..., :2], flat.x, atol=1e-6)
    np.testing.assert_allclose(deep.x_in, flat.x_in, atol=1e-6)
    np.testing.assert_array_equal(deep.mask, flat.mask)


def test_depth_begins_at_the_pelvis_and_grows_away_from_the_camera(deep):
    depth = deep.x[..., 2]
    np.testing.assert_allclose(depth[:, :, MPI.index("pelvis")], 0, atol=1e-6)
    hips = depth[..., MPI.index("left_hip")] + depth[..., MPI.index("right_hip")]
    assert np.abs(hips).max() < 0.1 < np.abs(depth).max()
    # Whoever shows the left side at the right of the picture faces the camera: toes are nearer.
    across = deep.x[..., MPI.index("left_hip"), 0] - deep.x[..., MPI.index("right_hip"), 0]
    ahead = sum(
        depth[..., MPI.index(f"{s}_toe")] - depth[..., MPI.index(f"{s}_ankle")]
        for s in ("left", "right")
    )
    clear = np.abs(across) > 0.6 * np.abs(across).max()
    assert clear.sum() > 20 and (np.sign(across) == -np.sign(ahead))[clear].mean() > 0.9


def test_limbs_are_as_long_from_every_side():
    """From afar, where perspective is weak."""
    far = batch_of(model__coordinates=3, views__distance=(1e6, 1e6))
    limbs = losses.limbs(MPI)
    assert len(limbs) == 8
    lengths = np.linalg.norm(np.subtract(*(far.x[:, :, limbs.T[k]] for k in (1, 0))), axis=-1)
    shares = lengths / lengths.sum(-1, keepdims=True)
    assert np.abs(shares - shares.mean(1, keepdims=True)).max() < 0.01
    assert float(losses.limb_variation(jnp.asarray(far.x), limbs)) < 0.01
    wrong = far.x * np.array([1, 1, 0.5], np.float32)
    assert float(losses.limb_variation(jnp.asarray(wrong), limbs)) > 0.01


def test_other_bodies_change_windows_but_not_who_moves():
    bodies = {f"bodies__{f.name}": 0.1 for f in dataclasses.fields(BodyOptions)}
    one, other = batch_of(), batch_of(**bodies)
    moved = np.abs(one.x - other.x).max(axis=(1, 2, 3))
    assert (moved > 0.003).all() and (moved < 0.5).all()
    np.testing.assert_array_equal(one.mask, other.mask)


# --- alignment and losses -------------------------------------------------------------------------


def test_alignment_is_that_of_the_picture_and_scales_the_depth():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(3, 8, 28, 3)), jnp.float32)
    mask = jnp.asarray(rng.random((3, 8, 28)) < 0.5, jnp.float32)
    turned = jnp.stack([-2 * x[..., 1] + 1, 2 * x[..., 0], 2 * x[..., 2]], axis=-1)
    np.testing.assert_allclose(align_deep(x, turned, mask), turned, atol=1e-4)
    np.testing.assert_array_equal(
        align_deep(x, x[..., :2] + 1, mask)[..., :2], align(x[..., :2], x[..., :2] + 1, mask)
    )
    flat = x[..., :2]
    np.testing.assert_array_equal(align_deep(flat, flat, mask), align(flat, flat, mask))


def test_the_terms_of_a_depth():
    x = jnp.zeros((1, 3, 28, 3))
    x_tilde = x.at[..., 0].add(3.0).at[..., 2].add(jnp.array([1.0, 2.0, 3.0])[:, None])
    weights = LossWeights(limbs=7.0)
    outputs = losses.Outputs(x, jnp.ones(x.shape[:-1]), None, x_tilde, limbs=losses.limbs(MPI))
    total, parts = losses.objective(outputs, weights)
    assert float(parts["mpjpe"]) == pytest.approx(3)  # of the picture alone
    assert float(parts["depth"]) == pytest.approx(2)
    assert float(parts["depth_speed"]) == pytest.approx(2 / 3)
    assert float(total) == pytest.approx(
        200 * 3 + 100 * 2 + 50 * 2 / 3 + 7 * float(parts["limbs"])
    )
    flat = outputs._replace(x=x[..., :2], x_tilde=x_tilde[..., :2])
    assert set(losses.objective(flat, weights)[1]) == {"mpjpe", "mpjse"}


def test_depth_is_scored_in_heads():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, 8, 28, 3)), jnp.float32)
    top, neck = (MPI.index(joint) for joint in ("head_top", "neck"))
    x = x.at[..., top, :].set(x[..., neck, :] + jnp.array([6.0, 0.0, 8.0]))
    wrong = x.at[..., 2].add(5.0)
    assert float(depth_scores(x, wrong, MPI.name)["depth/error"]) == pytest.approx(0.5, rel=1e-5)
    assert float(depth_scores(x, x, MPI.name)["depth/error"]) == 0


# --- runs -----------------------------------------------------------------------------------------


def test_a_run_with_a_depth_goes_on_to_the_same_bits_and_is_taken_out(tmp_path):
    changes = {"model__coordinates": 3, "loss__limbs": 1.0}
    state = loop.train(configuration(tmp_path / "whole", **changes))
    loop.train(configuration(tmp_path / "parts", **changes, train__steps=12))
    same_state(loop.train(configuration(tmp_path / "parts", **changes)), state)
    entries = lines(tmp_path / "whole")
    for name in ("train/depth", "train/depth_speed", "train/limbs", "validation/depth/error"):
        assert any(name in entry for entry in entries), name
    pictures = sorted(path.name for path in (tmp_path / "whole" / "samples").iterdir())
    assert pictures[-2:] == ["000000020-side.png", "000000020.png"]
    export(tmp_path / "whole", tmp_path / "out")
    model = load_model(tmp_path / "out")
    assert model.options.depth and model.moments.covariance.shape == (56, 56)
    again = configuration(tmp_path / "again", **changes, train__init_from=str(tmp_path / "out"))
    begun, _ = loop._with_models(*_fresh(again))
    same_state(begun.averages, state.averages)


def _fresh(config):
    made = config_lib.typed(config)
    networks = made.networks()
    return loop.create_state(networks, made.step, made.seed), networks, made


def test_windows_are_of_the_picture_or_have_a_depth():
    with pytest.raises(InputError, match=r"config.model.coordinates must be 2, .* or 3"):
        config_lib.check(configuration("", model__coordinates=4))


def test_mixers_and_a_corrector_learn_windows_with_a_depth(tmp_path):
    changes = {
        "model__coordinates": 3, "model__layers": "mixers", "model__width": 16, "model__blocks": 1,
        "corrector__width": 8, "corrector__blocks": 1, "correction__steps": 8,
    }
    loop.train(configuration(tmp_path / "run", **changes))
    losses = [entry["train/correction"] for entry in lines(tmp_path / "run")
              if "train/correction" in entry]
    assert losses and np.isfinite(losses).all()
    export(tmp_path / "run", tmp_path / "out")
    model = load_model(tmp_path / "out")
    assert model.options.layers == "mixers"
    x, weight = np.zeros((2, model.frames, 28, 2), np.float32), np.ones((2, model.frames, 28))
    generated = np.random.default_rng(0).normal(size=(2, model.frames, 28, 2)).astype(np.float32)
    found = model.correct(x, weight.astype(np.float32), generated)
    assert found.shape == (*x.shape[:3], 3) and np.isfinite(found).all()
