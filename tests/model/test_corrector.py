"""The corrector: what it is before and after training, in NumPy and in JAX, at any size."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.evaluation.temporal import interpolate
from posegan_jax.geometry.camera import picture
from posegan_jax.model.corrector import Corrector, certainty, fill_linearly
from posegan_jax.model.options import CorrectorOptions, NetworkOptions
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

THESIS = get_skeleton("mpi_inf_3dhp")
TWELVE = tuple(THESIS.index(joint) for joint in DETECTED_12)
PLAIN, CORRECTS = (CorrectorOptions(32, 2, corrects) for corrects in (False, True))
# Frames, joints, coordinates, and the joints that are detected.
SIZES = {
    "the thesis's": (24, 28, 2, TWELVE), "longer": (48, 28, 2, TWELVE),
    "coco17": (32, 17, 2, tuple(range(5, 17))), "many joints": (24, 40, 2, tuple(range(39, 0, -3))),
    "in space": (32, 17, 3, (0, 16)),
}


@pytest.fixture(params=SIZES)
def plain(request):
    """One that completes by itself."""
    return Corrector(*SIZES[request.param], PLAIN)


@pytest.fixture
def thesis():
    """The same for the windows of the thesis."""
    return Corrector(*SIZES["the thesis's"], PLAIN)


def that_corrects(plain):
    return dataclasses.replace(plain, options=CORRECTS)


def windows(of, seed=0, count=3):
    """x and weight of windows with holes, and another motion of the same size."""
    rng = np.random.default_rng(seed)
    shape = count, of.frames, of.joints, 2
    x, generated = rng.normal(size=(2, *shape)).astype(np.float32)
    weight = (rng.random(shape[:-1]) < 0.4).astype(np.float32)
    weight[0, :, of.detected[1]] = 0
    return np.where(weight[..., None] > 0, x, 0.0), weight, generated


def lively(corrector, seed=0):
    """Variables, none of which are zero, without the compile time of an initialisation."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        drawn = rng.normal(0.0, 0.2 if len(leaf.shape) == 2 else 0.1, leaf.shape)
        return (drawn + (path[-1].key == "scale")).astype(np.float32)

    shapes = jax.eval_shape(corrector.init, jax.random.key(0))
    return jax.tree_util.tree_map_with_path(draw, shapes)


@functools.partial(jax.jit, static_argnums=0)
def fresh(corrector):
    return corrector.init(jax.random.key(1, impl="unsafe_rbg"))  # it compiles faster


def test_holes_are_filled_as_the_baseline_over_time_does():
    x, weight, _ = windows(Corrector(12, 5, 2, (0, 1)))
    filled = fill_linearly(x, weight)
    for window, seen, result in zip(x, weight > 0, filled, strict=True):
        expected = np.nan_to_num(interpolate(np.where(seen[..., None], window, np.nan)))
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_untrained_it_interpolates(plain):
    x, weight, _ = windows(plain)
    found = plain.apply(jax.device_get(fresh(plain)), x, weight)
    np.testing.assert_allclose(picture(found), fill_linearly(x, weight), atol=1e-6)
    assert found.shape == (*x.shape[:3], plain.coordinates) and not found[..., 2:].any()


def test_untrained_one_that_corrects_goes_a_third_of_the_way_to_that(thesis):
    corrector = that_corrects(thesis)
    x, weight, generated = windows(corrector)
    found = corrector.apply(jax.device_get(fresh(corrector)), x, weight, generated)
    start = generated + fill_linearly(x - generated, weight)
    wanted = start + (fill_linearly(x, weight) - start) / 3
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_hosts_and_devices_compute_the_same(plain):
    x, weight, generated = windows(plain)
    for corrector, inputs in (
        (plain, (x, weight)), (that_corrects(plain), (x, weight, generated))
    ):
        variables = lively(corrector)
        there = jax.jit(corrector.apply)(variables, *map(jnp.asarray, inputs))
        here = corrector.apply(variables, *inputs)
        assert isinstance(here, np.ndarray) and here.dtype == np.float32
        assert here.shape == (*x.shape[:3], plain.coordinates)
        assert np.abs(picture(here) - fill_linearly(x, weight)).max() > 0.1
        np.testing.assert_allclose(here, there, atol=3e-5)


def test_one_that_completes_becomes_one_that_starts_a_third_of_the_way(plain):
    x, weight, generated = windows(plain)
    corrector, variables = that_corrects(plain), lively(plain)
    more = {"params": jax.device_get(corrector.shown(variables["params"]))}
    wanted = jax.eval_shape(corrector.init, jax.random.key(0))
    assert jax.tree.map(np.shape, more) == jax.tree.map(np.shape, wanted)
    found = corrector.apply(more, x, weight, generated)
    start = generated + fill_linearly(x - generated, weight)
    alone = plain.apply(variables, x, weight)
    wanted = start + (picture(alone) - start) / 3
    np.testing.assert_allclose(picture(found), wanted, atol=1e-4)
    np.testing.assert_allclose(found[..., 2:], alone[..., 2:], atol=1e-5)  # a word of its own


def test_windows_do_not_see_each_other_and_only_detected_joints_count(plain):
    x, weight, _ = windows(plain)
    variables = lively(plain)
    found = plain.apply(variables, x, weight)
    np.testing.assert_allclose(plain.apply(variables, x[1:2], weight[1:2]), found[1:2], atol=1e-5)
    others = np.setdiff1d(np.arange(plain.joints), plain.detected)
    moved, less = x.copy(), weight.copy()
    moved[:, :, others] += 1.0
    less[:, :, others] *= 0.5
    change = plain.apply(variables, moved, less) - found
    assert np.abs(change[:, :, list(plain.detected)]).max() < 1e-6
    assert np.abs(plain.apply(variables, x, 0.5 * weight) - found).max() > 1e-3


def test_what_is_generated_counts_of_every_joint_and_coordinate(thesis):
    corrector, (x, weight, generated) = that_corrects(thesis), windows(thesis)
    variables, (x, weight) = lively(corrector), (x[:1], weight[:1])
    weight[..., ::2] = 0  # what is observed of a joint moves what is generated
    moved = np.repeat(generated[:1], 28, axis=0)
    moved[range(28), :, range(28)] += 1.0  # one joint in each
    same = corrector.apply(variables, x, weight, generated[:1])
    change = np.abs(corrector.apply(variables, *(np.repeat(a, 28, 0) for a in (x, weight)), moved)
                    - same).max(axis=1)
    unseen = np.flatnonzero(weight[0].max(axis=0) == 0)
    assert len(unseen) >= 14 and (change[unseen] > 1e-3).any(axis=-1).all()


def test_parameters_follow_from_the_options():
    networks = NetworkOptions("h36m17", frames=32)
    corrector = Corrector.of(networks, ("left_hip", "neck"), CorrectorOptions(16, 3))
    joints = get_skeleton("h36m17").joints
    assert corrector.detected == (joints.index("left_hip"), joints.index("neck"))
    params = jax.eval_shape(corrector.init, jax.random.key(0))["params"]
    assert params["embed"]["kernel"].shape == (2 * 2 + 2 + 17 * 2, 16)
    assert params["blocks"]["2"]["time"]["up"]["kernel"].shape == (32, 64)
    assert params["out"]["bias"].shape == (34,) and params["gate"]["bias"].shape == (17,)
    assert len(params["blocks"]) == 3
    with pytest.raises(InputError, match="left_toe"):
        Corrector.of(networks, ("left_toe",), CorrectorOptions())
    with pytest.raises(InputError, match="width must be 1 or more, not 0"):
        CorrectorOptions(width=0)


def test_the_packaged_sizes_are_the_default_ones():
    corrector = Corrector.of(NetworkOptions(), DETECTED_12, CorrectorOptions())
    assert corrector == Corrector(24, 28, 2, TWELVE, CorrectorOptions(192, 4, True))


def test_certainty_falls_from_one():
    values = certainty(np.array([0.0, 0.05, 1.0]))
    assert values[0] == 1 and values[1] == 0.5 and 0 < values[2] < 0.01


@pytest.mark.parametrize("options", [PLAIN, CORRECTS], ids=["completes", "corrects"])
def test_one_of_fewer_joints_grows(options):
    """The joints that both have are told alike as long as no other one is seen."""
    larger = get_skeleton("body45")
    old = Corrector(24, 28, 2, TWELVE, options)
    new = Corrector(24, 45, 3, tuple(range(45)), options)
    params = lively(old)["params"]
    grown = new.grown(params, old, larger, THESIS)
    fresh = jax.eval_shape(lambda: new.init(jax.random.key(0)))["params"]
    assert jax.tree.map(np.shape, grown) == jax.tree.map(np.shape, fresh)
    x, weight, generated = windows(old)
    weight = weight * THESIS.mask(DETECTED_12)
    x = x * weight[..., None]
    source, at, _ = THESIS.map_to(larger)
    wide, wide_weight, wide_generated = (
        np.zeros((3, 24, 45, *rest), np.float32) for rest in ((2,), (), (2,)))
    wide[:, :, at], wide_weight[:, :, at] = x[:, :, source], weight[:, :, source]
    wide_generated[:, :, at] = generated[:, :, source]
    told = [generated] * options.corrects, [wide_generated] * options.corrects
    before = old.apply({"params": params}, x, weight, *told[0])
    after = new.apply({"params": grown}, wide, wide_weight, *told[1])
    np.testing.assert_allclose(after[:, :, at, :2], before[:, :, source], atol=1e-5)
    assert not after[:, :, at, 2].any()
    if not options.corrects:  # a heel begins as the ankle that it hangs on, where that is not seen
        hidden = wide_weight.copy()
        ankle, heel = larger.index("left_ankle"), larger.index("left_heel")
        hidden[:, :, ankle] = 0
        after = new.apply({"params": grown}, wide * hidden[..., None], hidden)
        np.testing.assert_allclose(after[:, :, heel], after[:, :, ankle], atol=1e-5)
