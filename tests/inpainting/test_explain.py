"""Generated motion, the carried residual, the correction and the regression put together."""

import dataclasses

import jax
import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from posegan_jax.geometry.body import body_size
from posegan_jax.geometry.moments import ResidualMoments, poses_of
from posegan_jax.inpainting import bridge
from posegan_jax.inpainting.explain import (
    AROUND,
    ENOUGH,
    FURTHEST,
    NOISY,
    as_generated,
    explain,
    openness,
)
from posegan_jax.inpainting.reliability import REJECT, Reliability
from posegan_jax.inpainting.residual import ROUGHNESS, ResidualModel
from posegan_jax.inpainting.track import Generated, Track
from posegan_jax.model.constants import Constants
from posegan_jax.model.corrector import Corrector
from posegan_jax.model.model import Model
from posegan_jax.model.options import CorrectorOptions, NetworkOptions
from posegan_jax.pose.rate import Rate
from posegan_jax.pose.sequence import Provenance

FRAMES = 30
JOINTS = "left_wrist,right_wrist,nose,left_ankle,right_ankle".split(",")
CONSTANTS = Constants()
PLAIN = Model(NetworkOptions("joints:" + ",".join(JOINTS)), {}, tuple(JOINTS[:3]))
INPUTS = np.array([True, True, True, False, False])
MODEL = ResidualModel.fit(ResidualMoments.default(5))  # joints that do not go with each other
UNBRIDGED = dataclasses.replace(CONSTANTS, bridge=0.0)


def regressing():
    """The model whose inputs stay and whose other joints lie at the inputs' mean."""
    linear = np.zeros((11, 10))
    linear[:6, :6] = np.eye(6)
    return dataclasses.replace(MODEL, poses=poses_of(linear))


def motion():
    """(T, J, 2) pixels, slow enough that smoothing leaves it as it is."""
    rng = np.random.default_rng(0)
    start, speed = rng.normal(size=(2, 5, 2))
    return 300 + 80 * start + speed * np.arange(FRAMES)[:, None, None]


def completed(
    residual, keypoints, noise=0.0, constants=CONSTANTS, trust=1.0, proof=1.0, roughness=ROUGHNESS
):
    """Of the generated ``motion`` and observations (T, J, 2)."""
    shape = keypoints.shape[:2]
    track = Track(keypoints, np.full(shape, 0.9), np.isfinite(keypoints[..., 0]) & INPUTS)
    generated = Generated(motion(), np.zeros(shape))
    noise, trust, proof = (np.broadcast_to(x, shape) for x in (noise, trust, proof))
    reliability = Reliability(noise, trust, proof, roughness=roughness)
    left_open = openness(track.input_mask, AROUND, constants.left_open)
    model = PLAIN.replace(constants=constants)
    return explain(model, residual, track, generated, reliability, left_open, Rate())


def partly(seen):
    """(T, J, 2) off the generated motion by 5 pixels, NaN where not ``seen`` (T, J)."""
    return np.where(np.broadcast_to(seen, (FRAMES, 5))[..., None], motion() + 5.0, np.nan)


def curved():
    """(T, J, 2) pixels: observations that leave the generated motion and come back."""
    return motion() + 0.05 * (np.arange(FRAMES)[:, None, None] - 15.0) ** 2


def waving():
    """(T, J, 2) pixels: observations that leave it all the time."""
    return motion() + 25 * np.sin(np.arange(FRAMES)[:, None, None] / 4 + np.arange(5)[:, None])


def test_upsampled_joints_move_towards_the_regression():
    keypoints = partly(INPUTS)
    before, after = (completed(model, keypoints) for model in (MODEL, regressing()))
    np.testing.assert_array_equal(after.keypoints[:, INPUTS], keypoints[:, INPUTS])
    middle = keypoints[:, INPUTS].mean(axis=1, keepdims=True)
    alone, linear = before.keypoints[:, ~INPUTS], np.broadcast_to(middle, (FRAMES, 2, 2))
    moved = (1 - CONSTANTS.regression) * alone + CONSTANTS.regression * linear
    # An exact observation is followed but for the process's roughness.
    np.testing.assert_allclose(after.keypoints[:, ~INPUTS], moved, atol=0.5)
    assert np.abs(moved - alone).mean() > 5.0
    assert (after.scores[:, ~INPUTS] > before.scores[:, ~INPUTS]).all()
    assert (after.provenance[:, ~INPUTS] == Provenance.FILLED).all()


def test_joints_that_are_not_seen_are_corrected():
    """By one that says of all but the detected joints that they lie at the middle of these."""
    options = CorrectorOptions(16, 1)
    model = Model(NetworkOptions(), {}, corrector=options)
    corrector = Corrector.of(model.options, model.detected, options)
    params = jax.device_get(corrector.init(jax.random.key(0))["params"])
    places = corrector.detected
    detected = np.isin(np.arange(28), places)
    kernel = np.zeros((len(places), 2, 28, 2), np.float32)
    for axis in range(2):
        kernel[:, axis, ~detected, axis] = 1 / len(places)
    params["straight"]["kernel"] = kernel.reshape(2 * len(places), -1)
    params["gate"]["bias"] = params["gate"]["bias"] + 20.0  # all the way
    model = model.replace(variables={"corrector": {"params": params}})
    pose = 300 + 80 * np.random.default_rng(0).normal(size=(28, 2))
    motion = pose + np.arange(FRAMES)[:, None, None]
    hole = slice(14, 17), places[4]
    seen = np.broadcast_to(detected, (FRAMES, 28)).copy()
    seen[hole] = False
    seen[:, 27] = True  # of a detector that delivers more than others
    keypoints = np.where(seen[..., None], motion + 5.0, np.nan)
    shape = keypoints.shape[:2]
    track = Track(keypoints, np.ones(shape), seen & detected)
    generated = Generated(motion, np.zeros(shape))
    residual = ResidualModel.fit(ResidualMoments.default(28))
    exact = Reliability(np.zeros(shape), np.ones(shape), np.ones(shape))
    before, after = (
        explain(model, residual, track, generated, exact, np.zeros(shape), Rate(), corrected)
        for corrected in (False, True)
    )
    np.testing.assert_array_equal(after.keypoints[seen], keypoints[seen])
    others = ~detected
    others[27] = False
    moved = (after.keypoints - before.keypoints)[:, others]
    middle = before.keypoints[:, detected].mean(axis=1, keepdims=True)
    wanted = CONSTANTS.upsampling * (middle - before.keypoints[:, others])
    # These joints go with no other, so little is carried to them: nearly the whole share.
    assert (np.sum(moved * wanted, axis=(0, 2)) > 0.8 * (wanted**2).sum(axis=(0, 2))).all()
    np.testing.assert_allclose(after.keypoints[hole], before.keypoints[hole], atol=0.5)


@pytest.mark.parametrize("noise", [0.0, 4.0])
def test_observed_joints_and_holes_of_inputs_do_not_move(noise):
    seen = np.ones((FRAMES, 5), bool)
    seen[10:15, 0] = False  # a hole of an input
    seen[12:20, 4] = False  # only there is the last joint upsampled
    before, after = (completed(model, partly(seen), noise) for model in (MODEL, regressing()))
    upsampled = ~seen & ~INPUTS
    for name in ("keypoints", "scores"):
        a, b = getattr(before, name), getattr(after, name)
        np.testing.assert_array_equal(a[~upsampled], b[~upsampled])
        assert (a[upsampled] != b[upsampled]).all()
    np.testing.assert_array_equal(before.provenance, after.provenance)


def test_a_hole_of_an_input_is_filled_before_it_is_regressed_from():
    """The regression sees the completed twelve, whatever is missing of them."""
    seen = np.tile(INPUTS, (FRAMES, 1))
    seen[10:15, 0] = False
    exact = completed(regressing(), partly(INPUTS)).keypoints
    holed = completed(regressing(), partly(seen)).keypoints
    np.testing.assert_allclose(holed, exact, atol=2.0)


def test_the_generated_motion_alone_is_not_mixed():
    keypoints = partly(INPUTS)
    shape = keypoints.shape[:2]
    track = Track(keypoints, np.ones(shape), np.broadcast_to(INPUTS, shape))
    result = as_generated(track, Generated(motion(), np.zeros(shape)), "auto")
    np.testing.assert_allclose(result.keypoints, motion())
    kept = as_generated(track, Generated(motion(), np.zeros(shape)), "keep")
    np.testing.assert_array_equal(kept.keypoints[:, INPUTS], keypoints[:, INPUTS])
    np.testing.assert_array_equal(kept.keypoints[:, ~INPUTS], motion()[:, ~INPUTS])


@pytest.mark.parametrize("frames", [3, 12])
def test_gaps_of_all_joints_are_bridged_from_the_observations(frames):
    """By the mean of the model and of a spline through what is there, exactly."""
    truth = curved()
    gap = np.arange(10, 10 + frames)
    keypoints = truth.copy()
    keypoints[gap] = np.nan
    found = completed(MODEL, keypoints).keypoints
    alone = completed(MODEL, keypoints, constants=UNBRIDGED).keypoints
    around = np.r_[6:10, gap[-1] + 1 : gap[-1] + 5]
    spline = CubicSpline(around, truth[around], bc_type="natural")(gap)
    assert np.abs(spline - alone[gap]).max() > 0.01
    share = CONSTANTS.bridge
    np.testing.assert_allclose(found[gap], share * spline + (1 - share) * alone[gap])
    for result in (found, alone):
        np.testing.assert_array_equal(np.delete(result, gap, 0), np.delete(truth, gap, 0))


@pytest.mark.parametrize("gap", [slice(2, 10), slice(8, 20), slice(20, 28), slice(25, 30)])
def test_long_gaps_and_those_near_the_ends_are_the_models_alone(gap, monkeypatch):
    monkeypatch.setattr(bridge, "LONGEST_ALONE", 11)
    keypoints = curved()
    keypoints[gap] = np.nan
    found = completed(MODEL, keypoints).keypoints
    alone = completed(MODEL, keypoints, constants=UNBRIDGED).keypoints
    np.testing.assert_array_equal(found, alone)


@pytest.fixture
def unbridged(monkeypatch):
    """``completed`` without any bridges."""

    def without(*given, **named):
        with monkeypatch.context() as patch:
            patch.setattr(bridge, "LONGEST", 0)
            patch.setattr(bridge, "LONGEST_ALONE", 0)
            return completed(*given, **named)

    return without


@pytest.mark.parametrize("frames", [6, 12])
def test_holes_of_a_joint_are_bridged_by_its_own_path(frames, unbridged):
    truth, hole = curved(), (slice(8, 8 + frames), 0)
    keypoints = truth.copy()
    keypoints[hole] = np.nan
    found, alone = (f(MODEL, keypoints).keypoints for f in (completed, unbridged))
    off = [np.linalg.norm(result[hole] - truth[hole], axis=-1).mean() for result in (found, alone)]
    assert off[0] < 0.2 * off[1]
    found[hole] = alone[hole]
    np.testing.assert_array_equal(found, alone)  # all else stays


def test_holes_are_known_the_less_the_rougher_exact_observations_are():
    keypoints = curved()
    keypoints[8:16, 0] = np.nan
    fine, coarse = (completed(MODEL, keypoints, roughness=r) for r in (ROUGHNESS, 0.02))
    assert (coarse.scores[8:16, 0] < fine.scores[8:16, 0]).all()
    observed = np.isfinite(keypoints)
    np.testing.assert_array_equal(coarse.keypoints[observed], keypoints[observed])


def test_joints_that_are_never_seen_go_along_with_what_they_are_regressed_on(unbridged):
    keypoints = np.where(INPUTS[:, None], waving(), np.nan)
    keypoints[8:16, 0] = np.nan
    found, alone = (f(regressing(), keypoints).keypoints for f in (completed, unbridged))
    moved = found - alone
    assert np.abs(moved[8:16, 0]).max() > 1.0
    wanted = moved[:, INPUTS].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        moved[:, ~INPUTS], np.broadcast_to(wanted, (FRAMES, 2, 2)), atol=1e-9)


def test_where_nothing_is_seen_they_have_a_path_of_their_own(unbridged):
    keypoints = np.where(INPUTS[:, None], waving(), np.nan)
    keypoints[8:16] = np.nan
    found, alone = (f(regressing(), keypoints).keypoints for f in (completed, unbridged))
    around = np.r_[8 - bridge.ENDS : 8, 16 : 16 + bridge.ENDS]
    path = np.einsum("tk,kjc->tjc", bridge.bending_least(9), alone[around])
    share = CONSTANTS.bridge
    wanted = share * path + (1 - share) * alone[8:16]
    np.testing.assert_allclose(found[8:16, ~INPUTS], wanted[:, ~INPUTS])


def test_joints_that_are_seen_elsewhere_have_their_own_path(unbridged):
    """Even if they are no inputs: here only the last is never seen."""
    keypoints = waving()
    keypoints[8:16] = keypoints[:, 4] = np.nan
    found, alone = (f(regressing(), keypoints).keypoints for f in (completed, unbridged))
    path = bridge.bridges(alone, np.isfinite(keypoints[..., 0]), 1.0).places
    share = CONSTANTS.bridge
    for joint in range(4):
        wanted = share * path[8:16, joint] + (1 - share) * alone[8:16, joint]
        np.testing.assert_allclose(found[8:16, joint], wanted)


# --- what was seen --------------------------------------------------------------------------------

DOUBTED = slice(10, 16), 0


def contradicted():
    """Observations of which some are 60 pixels off, and their trust and places without those."""
    keypoints = motion() + 5.0
    without = keypoints.copy()
    keypoints[DOUBTED] += (60.0, 0.0)
    without[DOUBTED] = np.nan
    trust = np.ones(keypoints.shape[:2])
    trust[DOUBTED] = 0.0
    return keypoints, trust, without


def furthest(noise):
    """(T,) pixels that observations without proof are moved by at most."""
    return FURTHEST * noise * np.maximum(noise / (NOISY * body_size(motion())), 1.0)


@pytest.mark.parametrize("doubted", [True, False])
@pytest.mark.parametrize("noise", [0.6, 1.2])
def test_what_was_seen_moves_no_further_than_noise_explains(noise, doubted):
    assert noise < NOISY * body_size(motion()).min()
    keypoints, trust, _ = contradicted()
    found = completed(MODEL, keypoints, noise, trust=trust if doubted else 1.0, proof=0.0)
    moved = found.keypoints[DOUBTED] - keypoints[DOUBTED]
    np.testing.assert_allclose(np.linalg.norm(moved, axis=-1), furthest(noise)[DOUBTED[0]])
    assert (-moved[:, 0] > 0.9 * furthest(noise)[DOUBTED[0]]).all()  # to where the others say
    off = np.linalg.norm(found.keypoints - keypoints, axis=-1)
    assert (off <= furthest(noise)[:, None] + 1e-9).all()
    assert (found.provenance == Provenance.REFINED).all()


@pytest.mark.parametrize("noise", [2.0, 4.0])
def test_of_a_noisy_detector_it_goes_there_and_comes_back_smoothly(noise):
    keypoints, trust, _ = contradicted()
    found, free = (
        completed(MODEL, keypoints, noise, trust=trust, proof=proof).keypoints
        for proof in (0.0, 1.0)
    )
    frames, _ = DOUBTED
    limit = furthest(noise)[frames]
    smoothed = np.minimum(noise / (NOISY * body_size(motion())) - 1, 1.0)[frames]
    wanted = np.linalg.norm(free[DOUBTED] - keypoints[DOUBTED], axis=-1)
    moved = np.linalg.norm(found[DOUBTED] - keypoints[DOUBTED], axis=-1)
    np.testing.assert_allclose(moved[2:-2], limit[2:-2], rtol=0.01)
    # At the ends a third of what the limit takes back is not, and of the next ones a ninth.
    back = smoothed * (wanted - limit) / 9
    np.testing.assert_allclose(moved[[0, -1]], (limit + 3 * back)[[0, -1]], rtol=0.03)
    np.testing.assert_allclose(moved[[1, -2]], (limit + back)[[1, -2]], rtol=0.03)
    beyond = np.delete(np.arange(FRAMES), np.arange(frames.start - 2, frames.stop + 2))
    off = np.linalg.norm(found - keypoints, axis=-1)
    assert (off[beyond] <= furthest(noise)[beyond, None] + 1e-9).all()


def test_half_a_proof_lets_it_move_further():
    keypoints, trust, _ = contradicted()
    proof = 0.5 * (trust == 0)
    found = completed(MODEL, keypoints, 1.2, trust=trust, proof=proof).keypoints
    moved = np.linalg.norm(found[DOUBTED] - keypoints[DOUBTED], axis=-1)
    np.testing.assert_allclose(moved, furthest(1.2)[DOUBTED[0]] / 0.75)


@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_what_is_proven_wrong_is_a_hole(noise):
    keypoints, trust, without = contradicted()
    proof = 1.0 * (trust < REJECT)
    found = completed(MODEL, keypoints, noise, trust=trust, proof=proof)
    holed = completed(MODEL, without, noise, proof=0.0)
    np.testing.assert_allclose(found.keypoints, holed.keypoints)
    assert np.linalg.norm(found.keypoints[DOUBTED] - motion()[DOUBTED] - 5.0, axis=-1).max() < 10.0


def test_refining_within_the_noise_is_not_limited():
    keypoints = motion() + 5.0 + 4 * np.random.default_rng(2).normal(size=(FRAMES, 5, 2))
    free, limited = (
        completed(MODEL, keypoints, 6.0, proof=proof).keypoints for proof in (1.0, 0.0)
    )
    assert np.linalg.norm(free - keypoints, axis=-1).max() < furthest(6.0).min()
    np.testing.assert_array_equal(free, limited)
    assert np.abs(free - motion() - 5.0).mean() < 0.8 * np.abs(keypoints - motion() - 5.0).mean()


def test_exact_observations_stay():
    keypoints = motion() + 5.0
    for proof in (0.0, 1.0):
        found = completed(MODEL, keypoints, 0.0, proof=proof)
        np.testing.assert_array_equal(found.keypoints, keypoints)
        assert (found.provenance == Provenance.OBSERVED).all()


# --- few joints -----------------------------------------------------------------------------------


def test_every_joint_short_of_enough_leaves_the_others_more_open():
    seen = np.zeros((40, 12), bool)
    for count in range(1, 12):
        seen[:, count - 1] = True
        left_open = openness(seen, AROUND, 0.02)
        assert not left_open[:, :count].any()
        np.testing.assert_allclose(left_open[:, count:], 0.02 * max(ENOUGH - count, 0))


def test_joints_count_where_they_are_seen():
    """All of 12 for ten frames, then two alone; then nothing, as in the nearest frame."""
    seen = np.zeros((60, 12), bool)
    seen[:10], seen[10:45, :2] = True, True
    left_open = openness(seen, AROUND, 0.02)
    assert not left_open[: 10 + AROUND].any() and not left_open[:, :2].any()
    np.testing.assert_allclose(left_open[10 + AROUND :, 2:], 0.02 * (ENOUGH - 2))


def test_what_is_left_open_lowers_scores_of_what_is_not_seen():
    seen = np.zeros(5, bool)
    seen[:2] = True
    keypoints = partly(seen)
    keypoints[10:13, 0] = np.nan  # a hole between what is seen says no less than it did
    few = completed(MODEL, keypoints)
    told = completed(MODEL, keypoints, constants=dataclasses.replace(CONSTANTS, left_open=0.0))
    np.testing.assert_array_equal(few.keypoints, told.keypoints)
    np.testing.assert_array_equal(few.scores[:, seen], told.scores[:, seen])
    assert (few.scores[:, ~seen] < told.scores[:, ~seen]).all()
