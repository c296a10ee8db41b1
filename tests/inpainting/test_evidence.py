"""Whether a joint's own path shows that what a prior doubts is wrong."""

import numpy as np
import pytest

from posegan_jax.inpainting.evidence import DOUBT, ELSEWHERE, LASTING, PROOF, evidence

SIZE = 100.0
DOUBTED = slice(20, 30)


def paths(frames=60):
    """(T, 3, 2) pixels: joints that sway."""
    time = np.arange(frames)[:, None, None]
    sway = 20 * np.sin(time / 10 + np.arange(3)[:, None] + np.array([0, 1.5]))
    return 300 + np.array([[0, 0], [50, 80], [90, 10]]) + sway


def ramp(over):
    """(T,) from 0 to 1 around ``DOUBTED``, within about half of ``over`` frames."""
    window = np.hanning(over + 2)[1:-1]
    away = np.zeros(60)
    away[DOUBTED] = 1.0
    return np.convolve(away, window / window.sum(), "same")


def doubting(stretch=DOUBTED, joint=1, frames=60):
    """(T, 3) trust."""
    trust = np.ones((frames, 3))
    trust[stretch, joint] = DOUBT / 2
    return trust


def told(keypoints, trust, weights=1.0, size=SIZE, step=1.0, off=0.5, live=False):
    """``evidence`` of a body of one size."""
    sizes, off = np.full(len(keypoints), size), np.full(trust.shape, off)
    weights = np.broadcast_to(weights, trust.shape)
    return evidence(keypoints, trust, weights, sizes, off, step, live)


def leaping(far=40.0, stretch=DOUBTED):
    """``paths`` whose second joint is elsewhere, pixels, in a stretch."""
    keypoints = paths()
    keypoints[stretch, 1] += (far, 0.0)
    return keypoints


@pytest.mark.parametrize("length, far", [(1, 80.0), (2, 60.0), (5, 40.0), (10, 30.0)])
def test_a_path_that_leaps_away_and_back_shows_an_error(length, far):
    stretch = slice(20, 20 + length)
    found = told(leaping(far, stretch), doubting(stretch))
    wanted = np.zeros((60, 3))
    wanted[stretch, 1] = 1.0
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("far", [20.0, 40.0])
def test_fast_motion_shows_none(far):
    """The same way in the same frames, but in several of them."""
    assert told(leaping(far), doubting())[DOUBTED, 1].min() == 1.0
    smooth = paths()
    smooth[:, 1, 0] += far * ramp(5)
    assert np.diff(far * ramp(5)).max() > 0.05 * SIZE  # in a frame
    assert told(smooth, doubting())[DOUBTED, 1].max() < 0.2
    smooth = paths()
    smooth[:, 1, 0] += far * ramp(9)
    assert told(smooth, doubting())[DOUBTED, 1].max() < 0.05


def test_a_limb_that_gets_somewhere_else_shows_none():
    """By a body size, within four frames."""
    window = np.hanning(8)[1:-1]
    keypoints = paths()
    keypoints[:, 1, 0] += SIZE * np.concatenate(
        [np.zeros(22), np.cumsum(window / window.sum()), np.ones(32)])
    assert np.diff(keypoints[:, 1, 0]).max() > 0.25 * SIZE
    assert told(keypoints, doubting(slice(22, 28)))[:, 1].max() < 0.3


def test_what_is_trusted_is_not_asked():
    assert not told(leaping(), np.full((60, 3), DOUBT)).any()


def test_a_joint_that_is_doubted_throughout_is_not_shown_wrong():
    """There is nothing else of it to compare with."""
    assert not told(leaping(), doubting(slice(None))).any()
    # Nor one that is missing elsewhere.
    keypoints = leaping()
    keypoints[:20, 1] = keypoints[30:, 1] = np.nan
    assert not told(keypoints, doubting()).any()


@pytest.mark.parametrize("stretch", [slice(0, 8), slice(52, 60)])
def test_at_an_end_of_the_track_one_leap_shows_none_but_from_afar(stretch):
    """It may be a fast limb's: the other one is not seen."""
    keypoints, trust = leaping(60.0, stretch), doubting(stretch)
    assert not told(keypoints, trust, off=0.9 * ELSEWHERE).any()
    found = told(keypoints, trust, off=1.1 * ELSEWHERE)
    assert (found[stretch, 1] == 1.0).all() and found.sum() == 8


@pytest.mark.parametrize("stretch", [slice(0, 8), slice(52, 60), slice(None)])
@pytest.mark.parametrize("keypoints", [paths(), leaping(60.0)])
def test_in_a_live_window_what_does_not_end_counts_as_shown(keypoints, stretch):
    """Whatever its path, as frames that are not there may show it."""
    assert (told(keypoints, doubting(stretch), off=0.0, live=True)[stretch, 1] == 1.0).all()


def test_in_a_live_window_what_ends_is_judged_by_its_path():
    for keypoints in (paths(), leaping(10.0), leaping(40.0)):
        found, live = (told(keypoints, doubting(), live=live) for live in (False, True))
        np.testing.assert_array_equal(live, found)
    assert told(paths(), doubting(), live=True).max() < 0.05


def test_a_detector_that_is_unsure_needs_less():
    stretch = slice(20, 22)
    keypoints, trust = leaping(10.0, stretch), doubting(stretch)
    sure = told(keypoints, trust)[stretch, 1]
    assert (0 < sure).all() and sure.max() < 0.2
    weights = np.ones((60, 3))
    weights[stretch, 1] = 0.5
    np.testing.assert_allclose(told(keypoints, trust, weights)[stretch, 1], 4 * sure)
    weights[20, 1] = 0.7  # by the mean of the stretch
    np.testing.assert_allclose(told(keypoints, trust, weights)[stretch, 1], sure / 0.6**2)
    weights[stretch, 1] = 0.1
    assert (told(keypoints, trust, weights)[stretch, 1] == 1.0).all()


def test_each_stretch_is_judged_by_itself():
    keypoints, trust = leaping(), doubting()
    trust[40:45, [1, 2]] = 0.1
    found = told(keypoints, trust)
    assert (found[DOUBTED, 1] == 1.0).all()
    assert found[40:45].max() < 0.05
    assert not found[:, 0].any()


def test_a_stretch_counts_by_how_long_it_lasts_in_frames_of_the_model():
    stretch = slice(20, 23)
    keypoints, trust = leaping(12.0, stretch), doubting(stretch)
    full, half = (told(keypoints, trust, step=step)[stretch, 1] for step in (1.0, 0.5))
    assert full.max() < 1.0
    np.testing.assert_allclose(half, full / 2)


def test_what_lasts_for_long_is_no_better_proof():
    found = []
    for length in (LASTING, LASTING + 1, 2 * LASTING):
        stretch = slice(20, 20 + round(length))
        found.append(told(leaping(3.0, stretch), doubting(stretch))[20, 1])
    assert found[0] > 0.02 and max(found) < 1.5 * found[0]


def test_it_is_in_body_sizes():
    stretch = slice(20, 23)
    keypoints, trust = leaping(12.0, stretch), doubting(stretch)
    found = told(keypoints, trust)
    assert 0 < found.max() < 1
    np.testing.assert_allclose(told(4 * keypoints, trust, size=4 * SIZE), found)


def test_the_measure_of_a_stretch():
    """Frames times leap times the root of the distance: of a joint that stands still."""
    keypoints = np.zeros((20, 3, 2))
    keypoints[8:11, 1, 1] = 9.0
    found = told(keypoints, doubting(slice(8, 11), frames=20))
    np.testing.assert_allclose(found[8:11, 1], 3 * 9.0 * 9.0**0.5 / SIZE**1.5 / PROOF)


def test_holes_do_not_hide_leaps():
    keypoints, trust = leaping(), doubting()
    keypoints[[17, 18, 19, 24, 30, 33], 1] = np.nan
    found = told(keypoints, trust)
    seen = np.isfinite(keypoints[DOUBTED, 1, 0])
    assert (found[DOUBTED, 1][seen] == 1.0).all() and not found[DOUBTED, 1][~seen].any()
    # A hole in smooth motion is no leap.
    holed = paths()
    holed[[17, 18, 19, 24, 30, 31], 1] = np.nan
    assert told(holed, doubting()).max() < 0.05


def test_frames_without_a_size_are_left_out():
    keypoints, trust = leaping(), doubting()
    sizes = np.full(60, SIZE)
    sizes[25:28] = np.nan
    found = evidence(keypoints, trust, np.ones((60, 3)), sizes, np.zeros((60, 3)))
    assert np.isfinite(found).all() and not found[25:28].any()
    assert (found[[20, 24, 28, 29], 1] == 1.0).all()


@pytest.mark.parametrize("frames", [0, 1, 2, 3])
@pytest.mark.parametrize("doubted", [0, 1, 2])
def test_tracks_of_a_few_frames(frames, doubted):
    found = told(paths(frames), doubting(slice(0, doubted), frames=frames))
    assert found.shape == (frames, 3) and found.min(initial=0.0) >= 0.0
    assert found.max(initial=0.0) < 0.1


def test_of_what_is_missing_nothing_is_told():
    keypoints = paths()
    keypoints[DOUBTED, 1] = np.nan
    assert not told(keypoints, doubting()).any()
    assert not told(np.full((60, 3, 2), np.nan), np.zeros((60, 3))).any()
