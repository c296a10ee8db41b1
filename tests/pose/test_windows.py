"""Windows: where they start (thesis, figure 5), and what they hold."""

import numpy as np
import pytest

from posegan_jax.pose.windows import gather, starts


def test_figure_5():
    assert starts(68, frames=24, shift=8).tolist() == [0, 8, 16, 24, 32, 40, 44]


@pytest.mark.parametrize(
    "length, expected",
    [
        (1, [0]), (23, [0]), (24, [0]),  # shorter than a window, and exactly one
        (25, [0, 1]), (31, [0, 7]), (32, [0, 8]), (33, [0, 8, 9]), (40, [0, 8, 16]),
    ],
)
def test_the_last_window_is_anchored_at_the_end(length, expected):
    assert starts(length, frames=24, shift=8).tolist() == expected


@pytest.mark.parametrize("frames", [1, 2, 5, 24])
def test_every_frame_is_covered_and_no_window_goes_beyond_the_end(frames):
    for shift in range(1, frames + 1):
        for length in range(1, 4 * frames + 2):
            first = starts(length, frames, shift)
            covered = np.unique(first[:, None] + np.arange(frames))
            assert np.isin(np.arange(length), covered).all(), (length, shift)
            assert first[0] == 0
            assert (np.diff(first) > 0).all() and (np.diff(first) <= shift).all()
            assert covered[-1] == max(length, frames) - 1
            assert len(first) == 1 + -(-max(length - frames, 0) // shift)


@pytest.mark.parametrize("shift", [0, -1, 25])
def test_shifts_that_would_leave_frames_uncovered(shift):
    with pytest.raises(ValueError, match=f"between 1 and 24, not {shift}"):
        starts(100, frames=24, shift=shift)


def test_gather_cuts_windows_out():
    array = np.arange(10 * 3 * 2, dtype=float).reshape(10, 3, 2)
    first = starts(10, frames=4, shift=3)
    windows = gather(array, first, frames=4, fill=np.nan)
    assert first.tolist() == [0, 3, 6]
    assert windows.shape == (3, 4, 3, 2)
    for window, start in zip(windows, first, strict=True):
        np.testing.assert_array_equal(window, array[start : start + 4])


def test_gather_pads_beyond_the_end():
    array = np.arange(1.0, 4.0)[:, None]
    windows = gather(array, starts(3, frames=5, shift=2), frames=5, fill=-1.0)
    assert windows[..., 0].tolist() == [[1, 2, 3, -1, -1]]


def test_windows_are_copies():
    array = np.zeros((6, 2))
    gather(array, starts(6, 4, 2), 4, 0.0)[:] = 1
    assert (array == 0).all()
