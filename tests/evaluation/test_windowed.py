"""Tracks of any length, completed by windows."""

import numpy as np

from posegan_jax.evaluation.windowed import complete_track


class Shown:
    """Completes windows of four frames by the mean of what they show, if they show two joints."""

    frames = 4

    def complete_all(self, windows):
        flat = windows.reshape(len(windows), -1, 2)
        enough = np.isfinite(flat[..., 0]).sum(axis=1) >= 2
        mean = np.stack([np.nanmean(w, axis=0) if good else [np.nan, np.nan]
                         for w, good in zip(flat, enough, strict=True)])
        return np.where(np.isfinite(windows), windows, mean[:, None, None])


def test_what_is_observed_is_kept_and_windows_are_blended():
    rng = np.random.default_rng(8)
    for length in (3, 4, 6, 23):
        keypoints = rng.normal(size=(length, 5, 2))
        keypoints[:, [1, 4]] = np.nan
        keypoints[rng.integers(length), 0] = np.nan
        result = complete_track(Shown(), keypoints)
        seen = np.isfinite(keypoints)
        np.testing.assert_array_equal(result[seen], keypoints[seen])
        assert np.isfinite(result).all() and result[~seen].std() < 1


def test_windows_that_show_nothing_tell_nothing():
    keypoints = np.full((12, 5, 2), np.nan)
    np.testing.assert_array_equal(complete_track(Shown(), keypoints), keypoints)
    keypoints[:2, :3] = 7.0
    result = complete_track(Shown(), keypoints)
    assert (result[:4] == 7).all() and np.isnan(result[4:]).all()
