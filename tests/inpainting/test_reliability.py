"""How far observations can be relied on."""

import numpy as np
import pytest

from posegan_jax.inpainting.noise import SMOOTH, WHITE, jitter, noise_level, rounding, spikes
from posegan_jax.inpainting.reliability import (
    FEWEST,
    LEAST_CONFIDENCE,
    REFINE_NOISE,
    REJECT,
    SMOOTH,
    assess,
    confidence,
    jitter,
    noise_level,
    spikes,
    stray,
)
from posegan_jax.inpainting.residual import ROUGHNESS, WHITE, ResidualModel

JOINTS = 8


def motion(frames=100, size=80.0):
    """(T, J, 2) pixels: joints on a circle of that radius, which is the body size, that sway."""
    angle = 2 * np.pi * np.arange(JOINTS) / JOINTS
    pose = size * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    time = np.arange(frames)[:, None, None]
    sway = 0.3 * size * np.sin(time / 12 + np.arange(JOINTS)[:, None] + np.array([0, 1.5]))
    return 300.0 + pose + sway


def sizes(keypoints, size=80.0):
    return np.full(len(keypoints), size)


def white(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# --- confidence -----------------------------------------------------------------------------------


def test_scores_count_against_the_median():
    """Whatever a detector's scale is."""
    scores = np.array([[0.4, 0.8, 0.2, 0.4], [0.01, 0.4, 0.4, 0.9]])
    wanted = [[1.0, 1.0, 0.5, 1.0], [LEAST_CONFIDENCE, 1.0, 1.0, 1.0]]
    seen = np.ones(scores.shape, bool)
    np.testing.assert_allclose(confidence(scores, seen), wanted)
    np.testing.assert_allclose(confidence(50 * scores, seen), wanted)


def test_scores_of_missing_joints_do_not_shift_the_median():
    scores = np.full((10, 4), 0.6)
    scores[:, 1:] = 0.0
    seen = scores > 0
    assert (confidence(scores, seen)[seen] == 1).all()
    scores[0, 0] = 0.3
    assert confidence(scores, seen)[0, 0] == 0.5


def test_without_scores_all_count_alike():
    assert (confidence(np.zeros((5, 3)), np.ones((5, 3), bool)) == 1).all()
    assert (confidence(np.ones((5, 3)), np.zeros((5, 3), bool)) == 1).all()  # none seen


# --- joints of someone else -----------------------------------------------------------------------


def test_joints_of_someone_else_are_stray():
    keypoints = motion(30)
    assert not stray(keypoints).any()
    wrong = np.zeros(keypoints.shape[:2], bool)
    wrong[7, 2] = wrong[8:20, [1, 5]] = True
    keypoints[wrong] += (600.0, 0.0)
    np.testing.assert_array_equal(stray(keypoints), wrong)
    keypoints[3, 4] = keypoints[10, 0] = np.nan  # a hole is not stray, and hides nobody
    np.testing.assert_array_equal(stray(keypoints), wrong)


def test_an_arm_stretched_out_is_not_stray():
    keypoints = motion(30)
    middle = keypoints.mean(axis=1)
    keypoints[:, 0] = middle + 2.5 * (keypoints[:, 0] - middle)
    assert not stray(keypoints).any()


def test_of_a_few_joints_none_is_stray():
    keypoints = motion(3)
    keypoints[:, 0] += 2000.0
    keypoints[0, FEWEST:], keypoints[1, FEWEST - 1 :], keypoints[2] = np.nan, np.nan, np.nan
    np.testing.assert_array_equal(stray(keypoints)[:, 0], [True, False, False])


# --- jitter and noise -----------------------------------------------------------------------------


@pytest.mark.parametrize("deviation", [0.5, 4.0])
def test_jitter_is_the_deviation_of_white_noise(deviation):
    keypoints = motion(500, size=100)[:, :4]
    share = np.array([1.0, 1.0, 2.0, 0.0])
    found = jitter(keypoints + deviation * share[:, None] * white(keypoints.shape), np.ones(500))
    np.testing.assert_allclose(found[:3], deviation * share[:3], rtol=0.15)
    assert found[3] < 0.1  # the motion itself


def test_jitter_leaves_holes_and_jumps_aside():
    keypoints = 2 * white((600, 8, 2), seed=4)
    keypoints[np.random.default_rng(4).random((600, 8)) < 0.1] = np.nan
    keypoints[::150] += 300
    assert jitter(keypoints, np.ones(600)).mean() == pytest.approx(2.0, rel=0.15)


@pytest.mark.parametrize("frames", [1, 4, 6])
def test_jitter_of_a_few_frames_is_unknown(frames):
    assert np.isnan(jitter(white((frames, 3, 2)), np.ones(frames))).all()
    assert np.isnan(jitter(np.full((50, 3, 2), np.nan), np.ones(50))).all()


def test_jitter_of_a_joint_that_is_hardly_seen_is_unknown():
    keypoints = white((60, 3, 2))
    keypoints[4:, 1] = np.nan
    found = jitter(keypoints, np.ones(60))
    np.testing.assert_array_equal(np.isnan(found), [False, True, False])


@pytest.mark.parametrize("far", [5e3, 1e6])
def test_where_in_a_picture_a_person_is_makes_no_noise(far):
    """Not even of one who comes nearer, by leaps and bounds."""
    size = 100 * np.exp(0.05 * np.random.default_rng(5).normal(size=500).cumsum())
    keypoints = size[:, None, None] * white((500, 4, 2))
    found = jitter(keypoints + far, size)
    np.testing.assert_allclose(found, jitter(keypoints, size), rtol=1e-6)


def test_exact_motion_has_no_noise():
    keypoints = motion()
    assert noise_level(keypoints, sizes(keypoints)) == 0.0
    for frames in (1, 5):  # too short to tell
        assert noise_level(white((frames, JOINTS, 2)), np.ones(frames)) == 0.0


@pytest.mark.parametrize("deviation", [0.02, 0.1])
def test_the_noise_is_that_of_which_half_is_white(deviation):
    keypoints = motion(300)
    noisy = keypoints + deviation * np.sqrt(WHITE) * 80 * white(keypoints.shape)
    # What motion itself shows is taken off.
    wanted = np.sqrt(deviation**2 - SMOOTH**2 / WHITE)
    assert noise_level(noisy, sizes(noisy)) == pytest.approx(wanted, rel=0.15)
    noisy[np.random.default_rng(1).random(noisy.shape[:2]) < 0.1] = np.nan
    assert noise_level(noisy, sizes(noisy)) == pytest.approx(wanted, rel=0.2)
    noisy[:, :3] = np.nan  # joints that a detector does not have
    assert noise_level(noisy, sizes(noisy)) == pytest.approx(wanted, rel=0.25)


def test_noise_is_that_of_most_joints():
    keypoints = motion(200)
    keypoints[:, 0] += 20 * white((200, 2))
    assert noise_level(keypoints, sizes(keypoints)) == 0.0


def test_noise_is_in_body_sizes():
    noisy = motion() + 3 * white((100, JOINTS, 2))
    size = sizes(noisy)
    assert noise_level(4 * noisy, 4 * size) == pytest.approx(noise_level(noisy, size))
    assert noise_level(noisy, 2 * size) < 0.6 * noise_level(noisy, size)
    # Where the body's size is unknown nothing is told, and nothing spoilt.
    size[:20] = np.nan
    assert noise_level(noisy, size) == pytest.approx(noise_level(noisy, sizes(noisy)), rel=0.2)


# --- spikes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("who", [[3], [0, 5], list(range(JOINTS))])
def test_joints_that_leave_their_path_for_a_frame_or_two(length, who):
    keypoints = motion()
    wrong = np.zeros(keypoints.shape[:2], bool)
    for first in (1, 40, 98 - length):
        wrong[first : first + length, who] = True
    keypoints[wrong] += (70.0, -30.0)
    found = spikes(keypoints, sizes(keypoints))
    np.testing.assert_array_equal(found, wrong)


def test_motion_has_no_spikes():
    keypoints = motion()
    assert not spikes(keypoints, sizes(keypoints)).any()
    # A punch: a body size out and back, within ten frames.
    out = np.sin(np.pi * np.arange(11) / 10) ** 2
    keypoints[30:41, 2] += 80 * out[:, None]
    assert not spikes(keypoints, sizes(keypoints)).any()
    # A swing that goes far from frame to frame, and on.
    keypoints[60:, 4] += np.minimum(np.arange(40), 6)[:, None] * (50.0, 0.0)
    assert not spikes(keypoints, sizes(keypoints)).any()


def test_a_jump_that_does_not_come_back_is_no_spike():
    keypoints = motion()
    keypoints[50:] += 200.0
    keypoints[20:23, 1] += 200.0  # three frames
    assert not spikes(keypoints, sizes(keypoints)).any()


def test_spikes_scale_with_the_body():
    keypoints = motion()
    keypoints[20, 3] += (70.0, -30.0)
    assert spikes(keypoints, sizes(keypoints))[20, 3]
    assert spikes(5 * keypoints, sizes(keypoints, 400.0))[20, 3]
    assert not spikes(keypoints, sizes(keypoints, 400.0)).any()
    assert not spikes(keypoints, sizes(keypoints, np.nan)).any()


def test_beside_holes_no_spike_is_seen():
    keypoints = motion()
    keypoints[[20, 50], 3] += (70.0, -30.0)
    keypoints[19, 3] = np.nan
    found = spikes(keypoints, sizes(keypoints))
    assert np.argwhere(found).tolist() == [[50, 3]]


@pytest.mark.parametrize("frames", [0, 1, 2, 3])
def test_spikes_of_short_tracks(frames):
    keypoints = motion(3)[:frames]
    keypoints[1:2, 3] += (70.0, -30.0)
    found = spikes(keypoints, sizes(keypoints))
    assert found.shape == (frames, JOINTS) and found.sum() == (frames == 3)


# --- the whole ------------------------------------------------------------------------------------


def model(deviation=0.1):
    """Joints of the same deviation that do not go with each other."""
    none = np.zeros((2 * JOINTS + 1, 2 * JOINTS))
    return ResidualModel(none, deviation**2 * np.eye(JOINTS), none)


def judge(keypoints, observed="auto", weights=1.0, step=1.0, generated=None):
    """``assess``; the first look is the middle of the motion unless it is given."""
    if generated is None:
        generated = motion(len(keypoints))
    weights = np.broadcast_to(weights, keypoints.shape[:2])
    runs = [slice(0, len(keypoints))]
    return assess(keypoints, weights, generated, runs, model(), observed, step)


def outlying(frames=60):
    keypoints = motion(frames)
    keypoints[20, 3] += (150.0, 0.0)
    return keypoints


@pytest.mark.parametrize("noise", [0.0, 4.0])
def test_what_is_kept_is_exact_and_trusted(noise):
    keypoints = outlying() + noise * white((60, JOINTS, 2))
    found = judge(keypoints, "keep")
    assert (found.noise == 0).all() and (found.trust == 1).all() and found.precision == 1


def test_exact_observations_are_trusted_but_for_spikes():
    found = judge(outlying())
    assert (found.noise == 0).all() and found.precision == 1
    assert np.argwhere(found.trust != 1).tolist() == [[20, 3]] and found.trust[20, 3] == 0


def test_what_is_refined_has_noise_at_least():
    size = np.sqrt(((motion(60) - motion(60).mean(1, keepdims=True)) ** 2).sum(-1).mean(-1)).mean()
    found = judge(motion(60), "refine")
    np.testing.assert_allclose(found.noise, REFINE_NOISE * size, rtol=0.05)
    assert found.trust.min() > 0.9
    noisy = motion(60) + 8 * white((60, JOINTS, 2))
    refined, auto = judge(noisy, "refine"), judge(noisy)
    np.testing.assert_array_equal(refined.noise, auto.noise)
    assert refined.noise.min() > 2 * REFINE_NOISE * size


def test_the_noise_is_measured_and_outliers_lose_trust():
    keypoints = outlying() + 4 * white((60, JOINTS, 2))
    keypoints[40:, 5] += (0.0, 300.0)  # not a spike
    found = judge(keypoints)
    np.testing.assert_allclose(found.noise, 4 / np.sqrt(WHITE), rtol=0.25)
    wrong = np.zeros((60, JOINTS), bool)
    wrong[20, 3] = wrong[40:, 5] = True
    assert found.trust[wrong].max() < REJECT < 0.5 < np.quantile(found.trust[~wrong], 0.01)


def test_the_precision_is_inverse_to_the_noise():
    size = np.sqrt(((motion(60) - motion(60).mean(1, keepdims=True)) ** 2).sum(-1).mean(-1)).mean()
    for noise in (4, 8):
        found = judge(motion(60) + noise * white((60, JOINTS, 2)))
        level = noise / np.sqrt(WHITE) / size
        assert np.sqrt(found.precision) == pytest.approx(ROUGHNESS / level, rel=0.3)


def test_less_certain_joints_are_noisier():
    noisy = motion(60) + 4 * white((60, JOINTS, 2))
    weights = np.ones((60, JOINTS))
    weights[:, 2] = 0.25
    found = judge(noisy, weights=weights)
    np.testing.assert_allclose(found.noise[:, 2], 4 * found.noise[:, 1])
    assert (judge(motion(60), weights=weights).noise == 0).all()  # exact ones are exact


def test_at_low_rates_neither_noise_nor_spikes_are_seen():
    """Motion itself is as rough."""
    rough = outlying() + 4 * white((60, JOINTS, 2))
    found = judge(rough, step=2.0)
    assert (found.noise == 0).all() and (found.trust == 1).all()
    assert (judge(rough, "refine", step=2.0).noise > 0).all()


def test_frames_without_a_first_look_are_left_alone():
    keypoints = motion(60) + 4 * white((60, JOINTS, 2))
    keypoints[20:40] = np.nan
    generated = motion(60)
    generated[25:35] = np.nan
    weights = np.ones((60, JOINTS))
    runs = [slice(0, 25), slice(35, 60)]
    found = assess(keypoints, weights, generated, runs, model(), "auto")
    assert (found.noise[25:35] == 0).all() and (found.trust[25:35] == 1).all()
    assert (found.noise[:25] > 0).all() and (found.noise[35:] > 0).all()
    assert np.isfinite(found.noise).all() and np.isfinite(found.trust).all()
