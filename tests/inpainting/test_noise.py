"""What a track's observations alone say of their noise."""

import numpy as np
import pytest
from swaying import JOINTS, motion, white

from posegan_jax.inpainting.noise import (
    MARKED,
    SMOOTH,
    WHITE,
    jitter,
    noise_level,
    roughness,
    rounding,
    spikes,
)


def sizes(keypoints, size=80.0):
    return np.full(len(keypoints), size)


def level(keypoints, size):
    return noise_level(roughness(keypoints, size), detected=True)


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
    assert level(keypoints, sizes(keypoints)) == 0.0
    for frames in (1, 5):  # too short to tell
        assert np.isnan(roughness(white((frames, JOINTS, 2)), np.ones(frames)))


@pytest.mark.parametrize("deviation", [0.05, 0.1])
def test_the_noise_is_that_of_which_a_share_is_white(deviation):
    keypoints = motion(300)
    noisy = keypoints + deviation * np.sqrt(WHITE) * 80 * white(keypoints.shape)
    # What motion itself shows is taken off.
    wanted = np.sqrt(deviation**2 - SMOOTH**2 / WHITE)
    assert level(noisy, sizes(noisy)) == pytest.approx(wanted, rel=0.15)
    noisy[np.random.default_rng(1).random(noisy.shape[:2]) < 0.1] = np.nan
    assert level(noisy, sizes(noisy)) == pytest.approx(wanted, rel=0.2)
    noisy[:, :3] = np.nan  # joints that a detector does not have
    assert level(noisy, sizes(noisy)) == pytest.approx(wanted, rel=0.25)


def test_noise_is_that_of_most_joints():
    keypoints = motion(200)
    keypoints[:, 0] += 20 * white((200, 2))
    assert level(keypoints, sizes(keypoints)) == 0.0


def test_noise_is_in_body_sizes():
    noisy = motion() + 3 * white((100, JOINTS, 2))
    size = sizes(noisy)
    assert level(4 * noisy, 4 * size) == pytest.approx(level(noisy, size))
    assert level(noisy, 2 * size) < 0.6 * level(noisy, size)
    # Where the body's size is unknown nothing is told, and nothing spoilt.
    size[:20] = np.nan
    assert level(noisy, size) == pytest.approx(level(noisy, sizes(noisy)), rel=0.2)


def whipping(frames=90):
    """``motion`` whose first joint goes up and down by a body size, five times a second, in a third
    of the frames."""
    keypoints = motion(frames)
    third = slice(frames // 3, 2 * frames // 3)
    keypoints[third, 0, 1] += 80 * np.sin(2 * np.pi * np.arange(frames // 3) / 5)
    return keypoints


def test_fast_motion_is_no_noise():
    exact = whipping()
    assert jitter(exact, sizes(exact))[0] < SMOOTH / 10
    noise = 3 * white(exact.shape)
    found, wanted = (jitter(k + noise, sizes(k)) for k in (exact, motion(90)))
    np.testing.assert_allclose(found, wanted, rtol=0.2)
    # Where most of the body does it, too.
    whole = motion(90) + whipping()[:, :1] - motion(90)[:, :1]
    assert level(whole, sizes(whole)) == 0.0
    found, wanted = level(whole + noise, sizes(whole)), level(motion(90) + noise, sizes(whole))
    assert found == pytest.approx(wanted, rel=0.15)


# --- rounding -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [2.0, 4.0, 8.0])
def test_places_in_cells_of_a_heat_map_are_off_by_rounding(step):
    keypoints = step * np.round(motion(150) / step)
    assert rounding(keypoints, sizes(keypoints)) == pytest.approx(step / np.sqrt(12) / 80)
    assert roughness(keypoints, sizes(keypoints)) >= rounding(keypoints, sizes(keypoints))
    # In body sizes, wherever a cell begins; joints that are missing say nothing.
    keypoints = keypoints + (0.3, 0.7)
    keypoints[np.random.default_rng(1).random(keypoints.shape[:2]) < 0.2] = np.nan
    keypoints[:, 3] = np.nan
    size = sizes(keypoints, 160.0)
    size[:20] = np.nan
    assert rounding(keypoints, size) == pytest.approx(step / np.sqrt(12) / 160)


def test_cells_are_told_where_no_difference_over_time_shows_them():
    """Most places are those of the frame before."""
    keypoints = 24 * np.round(motion(150) / 24)
    assert np.median(jitter(keypoints, sizes(keypoints))) < SMOOTH
    wanted = np.sqrt((0.3**2 / 12 - SMOOTH**2) / WHITE)
    assert level(keypoints, sizes(keypoints)) == pytest.approx(wanted)


def test_frames_that_repeat_the_one_before_do_not_count_as_rounded():
    exact, rounded = (np.repeat(k, 2, axis=0) for k in (motion(75), 4 * np.round(motion(75) / 4)))
    assert rounding(exact, sizes(exact)) == 0.0
    assert rounding(rounded, sizes(rounded)) == pytest.approx(4 / np.sqrt(12) / 80)


def test_what_stays_exactly_where_it_is_has_no_noise():
    still = np.repeat(motion(1), 60, axis=0)
    assert rounding(still, sizes(still)) == 0.0 and level(still, sizes(still)) == 0.0
    still[:, 2] = motion(60)[:, 2]  # one arm of a person who stands
    assert rounding(still, sizes(still)) == 0.0 and level(still, sizes(still)) == 0.0
    still[20:40] = motion(20)  # who walks a little
    assert rounding(still, sizes(still)) == 0.0 and level(still, sizes(still)) == 0.0


def test_labels_in_whole_pixels_of_a_large_body_are_exact():
    labels = np.round(motion(150, size=400.0))
    assert level(labels, sizes(labels, 400.0)) == 0.0


def test_places_that_change_in_most_frames_are_in_no_cells():
    labels = np.round(motion(150))
    for keypoints in (labels, np.repeat(labels, 2, axis=0)):
        assert rounding(keypoints, sizes(keypoints)) == 0.0


@pytest.mark.parametrize("frames", [0, 1])
def test_of_a_single_frame_no_rounding_is_told(frames):
    keypoints = np.round(motion(frames))
    assert rounding(keypoints, sizes(keypoints)) == 0.0


def test_of_what_is_missing_no_rounding_is_told():
    assert rounding(np.full((30, JOINTS, 2), np.nan), np.ones(30)) == 0.0


def test_without_scores_more_is_left_as_it_is():
    """It may have been marked by hand."""
    assert noise_level(1.1 * SMOOTH, True) > 0.0 == noise_level(1.1 * SMOOTH, False)
    assert noise_level(1.1 * MARKED, True) > noise_level(1.1 * MARKED, False) > 0.0


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
