"""From overlapping windows to one sequence."""

import numpy as np
import pytest

from posegan_jax.inpainting.compose import compose, spread


def constant(value, frames=4, joints=2):
    """A window (F, J, 2) in which every coordinate has one value."""
    return np.full((frames, joints, 2), float(value))


def join(candidates, starts, length, how, observed=None, mask=None, loss=None):
    candidates, joints = np.stack(candidates), candidates[0].shape[1]
    observed = np.zeros((length, joints, 2)) if observed is None else observed
    mask = np.ones((length, joints)) if mask is None else mask
    loss = np.zeros(len(candidates)) if loss is None else np.asarray(loss, float)
    return compose(candidates, np.asarray(starts), length, observed, mask, loss, how)


# --- nearest --------------------------------------------------------------------------------------


def test_nearest_takes_the_closest_candidate_of_every_frame():
    # Two windows over frames 0 to 3 and 2 to 5. In frames 2 and 3 both compete.
    observed = np.zeros((6, 2, 2))
    observed[2], observed[3] = 1.2, 1.9
    result = join([constant(1), constant(2)], [0, 2], 6, "nearest", observed)
    assert result[:, 0, 0].tolist() == [1, 1, 1, 2, 2, 2]
    assert (result == result[:, :1, :1]).all()  # whole poses, not joints of both


def test_nearest_measures_the_mean_distance_not_the_sum_of_squares():
    # Joint distances 3 and 3 (mean 3) against 0 and 5 (mean 2.5, but the greater sum of squares).
    first, second = constant(0, 1), constant(0, 1)
    first[0] = [[3.0, 0.0], [0.0, 3.0]]
    second[0] = [[0.0, 0.0], [3.0, 4.0]]
    result = join([first, second], [0, 0], 1, "nearest")
    np.testing.assert_array_equal(result, second)


def test_nearest_looks_at_observed_joints_alone():
    first, second = constant(0, 1), constant(0, 1)
    first[0] = [[1.0, 1.0], [0.0, 0.0]]
    second[0] = [[0.5, 0.5], [9.0, 9.0]]
    observed = np.zeros((1, 2, 2))
    observed[0, 1] = 777.0  # missing, so it may hold anything
    result = join([first, second], [0, 0], 1, "nearest", observed, np.array([[1.0, 0.0]]))
    np.testing.assert_array_equal(result, second)
    # A window is not nearer for having fewer joints to be measured against.
    result = join([first, second], [0, 0], 1, "nearest", mask=np.array([[1.0, 1.0]]))
    np.testing.assert_array_equal(result, first)


def test_nearest_falls_to_the_least_objective_where_nothing_is_observed():
    mask = np.ones((3, 2))
    mask[1] = 0
    candidates = [constant(5, 3), constant(0, 3), constant(9, 3)]
    result = join(candidates, [0, 0, 0], 3, "nearest", mask=mask, loss=[0.2, 0.3, 0.1])
    assert result[:, 0, 0].tolist() == [0, 9, 0]


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_nearest_does_not_depend_on_the_order_of_windows(order):
    candidates, loss = [constant(1), constant(-1)], np.array([0.5, 0.4])
    # Both are equally far from the observation: the objective decides.
    result = join([candidates[i] for i in order], [0, 0], 4, "nearest", loss=loss[order])
    assert (result == -1).all()


# --- blend ----------------------------------------------------------------------------------------


def test_blend_weighs_candidates_towards_the_middle_of_their_windows():
    # Hats of 4 frames are 1, 2, 2, 1, squared 1, 4, 4, 1.
    result = join([constant(0), constant(1)], [0, 2], 6, "blend")[:, 0, 0]
    np.testing.assert_allclose(result, [0, 0, 1 / 5, 4 / 5, 1, 1])


def test_blend_leaves_no_seam_where_candidates_agree():
    rng = np.random.default_rng(0)
    pose = rng.normal(size=(3, 2)) * 400
    windows = [np.broadcast_to(pose, (8, 3, 2))] * 4
    result = join(windows, [0, 3, 6, 9], 17, "blend")
    np.testing.assert_allclose(result, np.broadcast_to(pose, (17, 3, 2)), rtol=1e-12)
    # And a motion that all windows see alike comes back as it is.
    motion = rng.normal(size=(17, 3, 2)).cumsum(axis=0)
    result = join([motion[s : s + 8] for s in (0, 3, 6, 9)], [0, 3, 6, 9], 17, "blend")
    np.testing.assert_allclose(result, motion, atol=1e-12)


def test_blend_goes_over_from_one_window_to_the_next_without_a_jump():
    result = join([constant(0, 24), constant(1, 24)], [0, 8], 32, "blend")[:, 0, 0]
    assert (np.diff(result) >= 0).all()
    # Sixteen frames lie in both windows: none of the steps between is a large part of the way.
    assert np.diff(result).max() < 0.15


# --- both -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["blend", "nearest"])
def test_frames_without_a_window_are_missing(how):
    result = join([constant(1), constant(2)], [1, 7], 12, how)
    held = np.isfinite(result).all(axis=(1, 2))
    assert held.tolist() == [False] + [True] * 4 + [False] * 2 + [True] * 4 + [False]
    assert np.isnan(result[~held]).all()
    nothing = compose(
        np.zeros((0, 4, 2, 2)), np.zeros(0, int), 3, np.zeros((3, 2, 2)), np.zeros((3, 2)),
        np.zeros(0), how,
    )
    assert nothing.shape == (3, 2, 2) and np.isnan(nothing).all()


@pytest.mark.parametrize("how", ["blend", "nearest"])
def test_a_sequence_shorter_than_a_window(how):
    window = np.arange(4.0)[:, None, None] * np.ones((4, 2, 2))
    result = join([window], [0], 2, how)
    np.testing.assert_array_equal(result, window[:2])


@pytest.mark.parametrize("how", ["blend", "nearest"])
def test_a_single_window_comes_back_exactly(how):
    window = np.random.default_rng(1).normal(size=(8, 2, 2))
    np.testing.assert_allclose(join([window], [0], 8, how), window, rtol=1e-14)


def test_another_way_is_refused():
    with pytest.raises(ValueError, match="composition"):
        join([constant(0)], [0], 4, "median")


# --- how far windows disagree ---------------------------------------------------------------------


def test_the_spread_is_the_weighted_deviation_of_a_frames_windows():
    candidates, starts = np.stack([constant(1), constant(3)]), np.array([0, 2])
    motion = join(list(candidates), starts, 7, "blend")
    found = spread(candidates, starts, motion)
    assert found.shape == (7, 2)
    np.testing.assert_array_equal(found[[0, 1, 4, 5]], 0.0)  # of a single window
    # Frame 2 is the third of the first window and the first of the second: weights 4 and 1.
    np.testing.assert_allclose(found[[2, 3]], np.sqrt(0.8 * 0.2) * 2)
    assert np.isnan(found[6]).all()


def test_the_spread_counts_every_joint_by_itself():
    other = constant(1)
    other[:, 1] += (3.0, 4.0)
    candidates, starts = np.stack([constant(1), other]), np.zeros(2, int)
    found = spread(candidates, starts, join(list(candidates), starts, 3, "blend"))
    np.testing.assert_allclose(found[:, 0], 0.0, atol=1e-12)
    np.testing.assert_allclose(found[:, 1], 0.5 * np.sqrt((3**2 + 4**2) / 2))  # per coordinate


def test_without_windows_there_is_no_spread():
    found = spread(np.zeros((0, 4, 2, 2)), np.zeros(0, int), np.full((5, 2, 2), np.nan))
    assert found.shape == (5, 2) and np.isnan(found).all()
