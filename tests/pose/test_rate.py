"""Frame rates other than the model's."""

import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.pose.rate import MODEL_FPS, Rate, by_times, disagreement, limits


@pytest.mark.parametrize(
    ("fps", "phases", "spread"),
    [
        (None, 1, 1), (20, 1, 1), (23.976, 1, 1), (25, 1, 1), (29.97, 1, 1), (31.25, 1, 1),
        (48, 2, 1), (50, 2, 1), (59.94, 2, 1), (60, 2, 1), (75, 3, 1), (120, 5, 1), (240, 10, 1),
        (15, 1, 2), (12.5, 1, 2), (10, 1, 3), (5, 1, 5), (6.25, 1, 4), (2, 1, 13), (1, 1, 25),
    ],
)
def test_every_rate_becomes_one_near_the_models(fps, phases, spread):
    rate = Rate.of(fps)
    assert (rate.phases, rate.spread) == (phases, spread)
    seen = (fps or 30) / phases * spread
    assert 0.75 <= seen / MODEL_FPS <= 1.25 or (phases, spread) == (1, 1)


@pytest.mark.parametrize("fps", [0.0, -1.0, 241, 1e9])
def test_rates_that_nobody_films_at_are_refused(fps):
    with pytest.raises(InputError, match="fps must be above 0 and at most 240"):
        Rate.of(fps)


def test_slow_videos_are_told():
    assert limits(None) is None and limits(5.0) is None and limits(25.0) is None
    assert "2 frames per second: how people move between frames is not known" in limits(2.0)
    for fps in (1.0, 0.1):  # frames are further apart than a window is long
        assert "completed from itself alone" in limits(fps)
        assert Rate.of(fps) == Rate(spread=25)


def test_the_rate_that_times_tell():
    frames = np.array([3, 4, 5, 8, 9])
    times = np.array([0.1, 0.117, 0.133, 0.183, 0.2])
    assert by_times(frames, times) == pytest.approx(60, rel=0.03)
    assert by_times(frames, np.array([0.1, np.nan, 0.133, 0.183, 0.2])) == pytest.approx(60, 0.03)
    assert by_times(frames[:2], times[:2]) is None
    assert by_times(frames, times[::-1]) is None and by_times(frames, np.full(5, np.nan)) is None
    for found, fps in ((None, 30.0), (30.0, None), (29.97, 30.0), (30.0, 31.0)):
        assert disagreement("it says", found, fps) == []
    (line,) = disagreement("it says", 59.94, 30.0)
    assert line.startswith("it says 59.94 frames per second, and 30 counts")


@pytest.mark.parametrize("fps", [24, 25, 29.97, 30, 50, 59.94, 60])
@pytest.mark.parametrize("decimals", [2, 3, 6])
def test_times_that_were_rounded(fps, decimals):
    frames = np.arange(50)
    times = np.round(frames / fps, decimals)
    assert by_times(frames, times) == pytest.approx(fps, rel=0.02)
    paused = times + 5.0 * (frames > 20) + 2.0 * (frames > 40)
    assert by_times(frames, paused) == pytest.approx(fps, rel=0.03)


def test_a_rate_that_the_user_gives_asks_for_none():
    (line,) = disagreement("the file says", 50.0, 30.0, given=True)
    assert "30 counts, which --fps says" in line and not line.endswith("--fps says it")


@pytest.mark.parametrize("rate", [Rate(), Rate(phases=2), Rate(phases=5), Rate(spread=3)])
@pytest.mark.parametrize("length", [1, 2, 7, 40])
def test_joining_what_was_split_gives_every_frame_its_own(rate, length):
    straight = np.arange(length, dtype=float)[:, None, None] * np.array([[1.0, -2.0]])
    tracks = rate.split(straight, np.nan)
    assert sum(np.isfinite(track[:, 0, 0]).sum() for track in tracks) == length
    joined = rate.join([np.nan_to_num(track) for track in tracks])
    inside = slice(rate.phases - 1, length - rate.phases + 1)
    np.testing.assert_allclose(joined[inside], straight[inside], atol=1e-9)  # lines stay lines
    assert joined.shape == straight.shape


def test_slow_videos_get_missing_frames_in_between():
    (track,) = Rate(spread=3).split(np.array([1.0, 2.0, 3.0]), 0.0)
    assert track.tolist() == [1, 0, 0, 2, 0, 0, 3]


def test_tracks_that_disagree_do_not_flicker():
    rate = Rate(phases=2)
    tracks = [np.zeros((20, 1, 2)), np.ones((20, 1, 2))]
    joined = rate.join(tracks)
    np.testing.assert_allclose(joined[1:-1], 0.5)


def test_what_one_phase_lacks_comes_from_the_others():
    rate = Rate(phases=3)
    tracks = rate.split(np.arange(30.0)[:, None, None] * np.ones((1, 2)), np.nan)
    tracks[0][:] = np.nan
    joined = rate.join(tracks)
    assert np.isfinite(joined).all()
    np.testing.assert_allclose(joined[3:-3, 0, 0], np.arange(3.0, 27.0), atol=1.0)


def test_frames_without_motion_stay_so():
    motion = np.ones((20, 2, 2))
    motion[4:12] = np.nan
    joined = Rate(phases=3).join(Rate(phases=3).split(motion, 0.0))
    assert np.isnan(joined[6:10]).all()  # three frames and more from any motion
    np.testing.assert_allclose(joined[np.isfinite(joined)], 1.0)
    np.testing.assert_array_equal(Rate().join(Rate().split(motion, 0.0)), motion)
