"""The mixer: what it is before and after training, in NumPy and in JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.evaluation.temporal import interpolate
from posegan_jax.model.corrector import (
    DETECTED,
    FRAMES,
    Mixer,
    certainty,
    correcting,
    fill_linearly,
    init_mixer,
    mix,
)


def windows(seed: int = 0, count: int = 3, frames: int = FRAMES, joints: int = 28):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, frames, joints, 2)).astype(np.float32)
    weight = (rng.random((count, frames, joints)) < 0.4).astype(np.float32)
    weight[0, :, DETECTED[1] if joints > DETECTED[1] else 1] = 0
    return np.where(weight[..., None] > 0, x, 0.0), weight


def lively(seed: int = 0):
    """Parameters, none of which are zero."""
    params = init_mixer(jax.random.key(seed), 32, 2)
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(seed)
    return jax.tree.unflatten(
        tree, [a + 0.1 * rng.normal(size=a.shape).astype(np.float32) for a in map(np.array, leaves)]
    )


def test_holes_are_filled_as_the_baseline_over_time_does():
    x, weight = windows(frames=12, joints=5)
    filled = fill_linearly(x, weight)
    for window, seen, result in zip(x, weight > 0, filled, strict=True):
        expected = np.nan_to_num(interpolate(np.where(seen[..., None], window, np.nan)))
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_untrained_it_interpolates():
    x, weight = windows()
    found = mix(init_mixer(jax.random.key(1), 16, 1), x, weight)
    np.testing.assert_allclose(found, fill_linearly(x, weight), atol=1e-6)


def test_hosts_and_devices_compute_the_same():
    x, weight = windows()
    params = lively()
    there = jax.jit(mix)(params, jnp.asarray(x), jnp.asarray(weight))
    here = mix(params, x, weight)
    assert isinstance(here, np.ndarray) and here.dtype == np.float32
    assert np.abs(here - fill_linearly(x, weight)).max() > 0.1
    np.testing.assert_allclose(here, there, atol=2e-5)


def test_a_correcting_one_starts_a_third_of_the_way():
    x, weight = windows()
    generated = np.random.default_rng(2).normal(size=x.shape).astype(np.float32)
    plain = lively()
    found = mix(correcting(plain), x, weight, generated)
    start = generated + fill_linearly(x - generated, weight)
    np.testing.assert_allclose(found, start + (mix(plain, x, weight) - start) / 3, atol=1e-4)
    there = jax.jit(mix)(correcting(plain), *map(jnp.asarray, (x, weight, generated)))
    np.testing.assert_allclose(found, there, atol=2e-5)


def test_windows_do_not_see_each_other_and_only_detected_joints_count():
    x, weight = windows()
    params = lively()
    found = mix(params, x, weight)
    np.testing.assert_allclose(mix(params, x[1:2], weight[1:2]), found[1:2], atol=1e-5)
    others = np.setdiff1d(np.arange(28), DETECTED)
    moved, less = x.copy(), weight.copy()
    moved[:, :, others] += 1.0
    less[:, :, others] = 0.5
    change = mix(params, moved, less) - found
    assert np.abs(change[:, :, list(DETECTED)]).max() < 1e-6
    assert np.abs(mix(params, x, 0.5 * weight) - found).max() > 1e-3


def test_certainty_falls_from_one():
    values = certainty(np.array([0.0, 0.05, 1.0]))
    assert values[0] == 1 and values[1] == 0.5 and 0 < values[2] < 0.01


def test_it_is_saved_in_half_precision(tmp_path):
    mixer, (x, weight) = Mixer(correcting(lively()), "made up"), windows()
    mixer.save(tmp_path / "m.npz")
    read = Mixer.load(tmp_path / "m.npz")
    assert read.text == "made up"
    assert jax.tree.structure(read.params) == jax.tree.structure(mixer.params)
    assert read.corrects and not Mixer(lively()).corrects
    np.testing.assert_allclose(read(x, weight, x), mixer(x, weight, x), atol=0.02)


@pytest.mark.parametrize("content", [b"", b"PK nothing", None, "shapes", "nan", "array"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "m.npz"
    if content is None:
        np.savez(path, a=np.zeros(3))
    elif content == "shapes":
        params = lively()
        params["out"]["bias"] = np.zeros(3)
        Mixer(params).save(path)
    elif content == "nan":
        params = lively()
        params["out"]["bias"][0] = np.nan
        Mixer(params).save(path)
    elif content == "array":
        np.save(tmp_path / "m.npy", np.zeros(3))
        (tmp_path / "m.npy").rename(path)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"m\.npz: not the weights"):
        Mixer.load(path)


def test_there_may_be_no_packaged_weights():
    assert Mixer.packaged("nothing of this name") is None
