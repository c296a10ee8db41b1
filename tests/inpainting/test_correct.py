"""Correctors, and regressors, over tracks."""

import functools

import jax
import numpy as np
import pytest

from posegan_jax.inpainting.correct import correct_track
from posegan_jax.model.model import Model
from posegan_jax.model.options import CorrectorOptions, NetworkOptions
from posegan_jax.pose.rate import Rate
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

SEEN = get_skeleton("mpi_inf_3dhp").mask(DETECTED_12)
DETECTED = [get_skeleton("mpi_inf_3dhp").index(joint) for joint in DETECTED_12]


@functools.cache
def model(corrects: bool = True, frames: int = 24) -> Model:
    """It says that all joints but the detected ones lie at the mean of these; untrained, a gate
    goes a third of the way."""
    bare = Model(NetworkOptions(frames=frames), {}, corrector=CorrectorOptions(16, 1, corrects))
    params = bare.networks.corrector.init(jax.random.key(0))["params"]
    kernel = np.zeros((12, 2, 28, 2), np.float32)
    for axis in range(2):
        kernel[:, axis, ~SEEN, axis] = 1 / 12
    params["straight"]["kernel"] = kernel.reshape(24, -1)
    return bare.replace(variables={"corrector": {"params": jax.device_get(params)}})


def walk(length: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    pose = 100 * rng.normal(size=(1, 28, 2))
    return pose + np.array([3.0, 0.5]) * np.arange(length)[:, None, None] + [900.0, 400.0]


@pytest.mark.parametrize("fps", [25, 60, 12])
@pytest.mark.parametrize("length", [3, 24, 61])
@pytest.mark.parametrize("frames", [24, 48])
def test_every_frame_of_every_rate_has_its_own_answer(fps, length, frames):
    x, rate = walk(length), Rate.of(fps)
    found = correct_track(model(False, frames), x, np.ones(x.shape[:2]), rate)
    assert np.isfinite(found).all()
    if rate.phases > 1:  # the mean of neighbours, which are on one side alone at the ends
        x, found = x[1:-1], found[1:-1]
    np.testing.assert_allclose(found[:, SEEN], x[:, SEEN], atol=1e-2)
    middle = x[:, SEEN].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found[:, ~SEEN], np.repeat(middle, 16, axis=1), atol=1e-2)


def test_nothing_comes_of_nothing():
    x, weight = walk(100), np.ones((100, 28))
    weight[:40] = 0
    weight[:50, SEEN] = 0
    found = correct_track(model(False), np.where(weight[..., None] > 0, x, np.nan), weight, Rate())
    assert np.isnan(found[:24]).all() and np.isfinite(found[50:]).all()


@pytest.mark.parametrize("fps", [25, 60, 12])
@pytest.mark.parametrize("length", [3, 24, 61])
def test_of_generated_motion_a_part_is_kept(fps, length):
    x, rate = walk(length), Rate.of(fps)
    generated = x + 30.0
    found = correct_track(model(), x, np.ones(x.shape[:2]), rate, generated)
    alone = correct_track(model(False), x, np.ones(x.shape[:2]), rate)
    inner = slice(rate.phases - 1, length - rate.phases + 1)  # see above
    # An untrained gate goes a third of the way; generated joints that are observed do not count.
    expected = np.where(SEEN[:, None], x, generated + (alone - generated) / 3)
    np.testing.assert_allclose(found[inner], expected[inner], atol=0.05)


@pytest.mark.parametrize("shown", ["one", "several at one place"])
def test_of_a_single_place_nothing_is_made(shown):
    """Else the body would be drawn to it."""
    x = walk(30)
    weight = np.zeros(x.shape[:2])
    some = list(DETECTED[:1] if shown == "one" else DETECTED[:3])
    weight[:, some] = 1.0
    x[:, some] = x[:1, some[:1]]
    kept = correct_track(model(), x, weight, Rate(), x)
    np.testing.assert_allclose(kept, x)
    weight[:, list(DETECTED[4:])] = 1.0
    moved = correct_track(model(), x, weight, Rate(), x)
    assert np.abs(moved - x).max() > 10


def test_a_track_of_one_frame():
    x = walk(1)
    found = correct_track(model(), x, np.ones(x.shape[:2]), Rate(), x)
    middle = x[:, SEEN].mean(axis=1, keepdims=True)
    expected = np.where(SEEN[:, None], x, x + (middle - x) / 3)
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_a_track_may_stand_and_be_of_any_size():
    x = walk(30)
    found = correct_track(model(False), x, np.ones(x.shape[:2]), Rate())
    weight = np.full(x.shape[:2], 0.5)
    np.testing.assert_allclose(
        correct_track(model(False), 3 * x - 700.0, weight, Rate()), 3 * found - 700.0, atol=0.05
    )
