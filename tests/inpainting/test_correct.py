"""Mixers over tracks."""

import jax
import numpy as np
import pytest

from posegan_jax.inpainting.correct import mix_track
from posegan_jax.model.corrector import DETECTED, Mixer, correcting, init_mixer
from posegan_jax.pose.rate import Rate

SEEN = np.isin(np.arange(28), DETECTED)


def mixer() -> Mixer:
    """The mean of the detected joints, for all others."""
    params = init_mixer(jax.random.key(0), 16, 1)
    kernel = np.zeros((len(DETECTED), 2, 28, 2), np.float32)
    for axis in range(2):
        kernel[:, axis, ~SEEN, axis] = 1 / len(DETECTED)
    params["straight"]["kernel"] = kernel.reshape(2 * len(DETECTED), -1)
    return Mixer(params)


def walk(length: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    pose = 100 * rng.normal(size=(1, 28, 2))
    return pose + np.array([3.0, 0.5]) * np.arange(length)[:, None, None] + [900.0, 400.0]


@pytest.mark.parametrize("fps", [25, 60, 12])
@pytest.mark.parametrize("length", [3, 24, 61])
def test_every_frame_of_every_rate_has_its_own_answer(fps, length):
    x, rate = walk(length), Rate.of(fps)
    found = mix_track(mixer(), x, np.ones(x.shape[:2]), rate, 12)
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
    found = mix_track(mixer(), np.where(weight[..., None] > 0, x, np.nan), weight, Rate(), 8)
    assert np.isnan(found[:24]).all() and np.isfinite(found[50:]).all()


@pytest.mark.parametrize("fps", [25, 60, 12])
@pytest.mark.parametrize("length", [3, 24, 61])
def test_of_generated_motion_a_part_is_kept(fps, length):
    x, rate = walk(length), Rate.of(fps)
    generated = x + 30.0
    correcting_mixer = Mixer(correcting(mixer().params))
    found = mix_track(correcting_mixer, x, np.ones(x.shape[:2]), rate, 12, generated)
    alone = mix_track(mixer(), x, np.ones(x.shape[:2]), rate, 12)
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
    kept = mix_track(Mixer(correcting(mixer().params)), x, weight, Rate(), 8, x)
    np.testing.assert_allclose(kept, x)
    weight[:, list(DETECTED[4:])] = 1.0
    moved = mix_track(Mixer(correcting(mixer().params)), x, weight, Rate(), 8, x)
    assert np.abs(moved - x).max() > 10


def test_a_track_of_one_frame():
    x = walk(1)
    found = mix_track(Mixer(correcting(mixer().params)), x, np.ones(x.shape[:2]), Rate(), 8, x)
    middle = x[:, SEEN].mean(axis=1, keepdims=True)
    expected = np.where(SEEN[:, None], x, x + (middle - x) / 3)
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_a_track_may_stand_and_be_of_any_size():
    x = walk(30)
    found = mix_track(mixer(), x, np.ones(x.shape[:2]), Rate(), 12)
    weight = np.full(x.shape[:2], 0.5)
    np.testing.assert_allclose(
        mix_track(mixer(), 3 * x - 700.0, weight, Rate(), 12), 3 * found - 700.0, atol=0.05
    )
