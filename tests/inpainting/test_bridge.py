"""Paths of joints across holes: of which kind, how far off they are, and how much they count."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline, PchipInterpolator

from posegan_jax.inpainting.bridge import (
    ENDS,
    LEAST,
    LONGEST,
    LONGEST_ALONE,
    MODEST,
    MODEST_BRIEFLY,
    SHORT,
    bending_least,
    bridge,
    bridges,
    hermite,
    pchip_slopes,
)

SIZE = 100.0


def smooth(frames=120):
    """(T, 3, 2) pixels."""
    time = np.arange(frames)[:, None, None]
    return 300 + 60 * np.sin(time / 15 + np.arange(3)[:, None] + np.array([0, 1.5]))


def rough(frames=120):
    """(T, 3, 2) pixels: places that have nothing to do with the ones before."""
    return 300 + 10 * np.random.default_rng(3).normal(size=(frames, 3, 2))


def with_hole(frames, *holes, joint=1):
    """(T, 3) bool, what is seen."""
    seen = np.ones((frames, 3), bool)
    for hole in holes:
        seen[hole, joint] = False
    return seen


def natural(path, hole):
    """The spline through ``ENDS`` frames on each side of a hole."""
    around = np.r_[hole.start - ENDS : hole.start, hole.stop : hole.stop + ENDS]
    return CubicSpline(around, path[around], bc_type="natural")(np.arange(hole.start, hole.stop))


def shaped(path, seen, hole):
    known = np.flatnonzero(seen)
    return PchipInterpolator(known, path[known])(np.arange(hole.start, hole.stop))


# --- the two kinds --------------------------------------------------------------------------------


def test_slopes_are_those_of_pchip():
    time = np.array([0, 1, 2, 5, 6, 7, 12, 13, 20, 21])
    values = rough(len(time))[:, 0]
    values[4] = values[3]  # a level stretch
    found = pchip_slopes(time, values)
    wanted = PchipInterpolator(time, values).derivative()(time)
    np.testing.assert_allclose(found[1:-1], wanted[1:-1], atol=1e-12)
    np.testing.assert_allclose(found[0], (values[1] - values[0]) / (time[1] - time[0]))
    np.testing.assert_allclose(found[-1], (values[-1] - values[-2]) / (time[-1] - time[-2]))
    np.testing.assert_allclose(pchip_slopes(time[2:4], values[2:4]), np.tile(
        (values[3] - values[2]) / 3, (2, 1)))


def test_hermite_has_the_ends_and_slopes_it_is_given():
    cubic = np.polynomial.Polynomial([3.0, -2.0, 5.0, 1.5])
    slope = cubic.deriv()
    at = np.linspace(0, 1, 7)
    ends = [np.array([f(x)]) for f in (cubic, slope) for x in (0.0, 1.0)]
    np.testing.assert_allclose(hermite(*ends, at[:, None])[:, 0], cubic(at))


@pytest.mark.parametrize("gap", [2, 3, 8, 48, 96])
def test_the_path_that_bends_least_is_the_natural_spline(gap):
    hole = slice(ENDS, ENDS + gap - 1)
    path = rough(hole.stop + ENDS)[:, 0]
    around = np.r_[: hole.start, hole.stop : len(path)]
    np.testing.assert_allclose(bending_least(gap) @ path[around], natural(path, hole))


# --- which of them --------------------------------------------------------------------------------


@pytest.mark.parametrize("hole", [slice(40, 41), slice(50, 56), slice(30, 42), slice(50, 70)])
def test_a_smooth_path_goes_on_by_the_one_that_bends_least(hole):
    path, seen = smooth(), with_hole(120, hole)
    found = bridges(path, seen, 1.0)
    np.testing.assert_allclose(found.places[hole, 1], natural(path[:, 1], hole))
    # It is nearer than the other, and known to be near.
    off = np.abs(found.places[hole, 1] - path[hole, 1]).max()
    assert off < 0.5 * np.abs(shaped(path[:, 1], seen[:, 1], hole) - path[hole, 1]).max()
    nowhere = np.isnan(found.places).all(axis=-1)
    np.testing.assert_array_equal(nowhere, seen)
    np.testing.assert_array_equal(np.isnan(found.deviation), seen)


@pytest.mark.parametrize("hole", [slice(40, 42), slice(50, 56), slice(30, 42), slice(50, 70)])
def test_a_rough_path_goes_on_by_the_one_that_keeps_its_shape(hole):
    path, seen = rough(), with_hole(120, hole)
    found = bridges(path, seen, 1.0).places[hole, 1]
    np.testing.assert_allclose(found, shaped(path[:, 1], seen[:, 1], hole))
    # It does not leave what lies between the ends.
    ends = path[[hole.start - 1, hole.stop], 1]
    assert (found >= ends.min(axis=0) - 1e-9).all() and (found <= ends.max(axis=0) + 1e-9).all()


def test_each_hole_is_bridged_as_the_path_is_around_it():
    path = np.concatenate([smooth(200), rough(200)])
    holes = slice(60, 72), slice(330, 342)
    seen = with_hole(400, *holes)
    found = bridges(path, seen, 1.0).places[:, 1]
    np.testing.assert_allclose(found[holes[0]], natural(path[:, 1], holes[0]))
    np.testing.assert_allclose(found[holes[1]], shaped(path[:, 1], seen[:, 1], holes[1]))


def test_what_is_filled_in_a_long_hole_is_not_what_paths_are_tried_on():
    """Smooth as it is there, the rest of the path is not."""
    path, hole = rough(), slice(40, 80)
    path[hole] = smooth()[hole]
    seen = with_hole(120, hole)
    found = bridges(path, seen, 1.0).places[hole, 1]
    np.testing.assert_allclose(found, shaped(path[:, 1], seen[:, 1], hole))


# --- which holes ----------------------------------------------------------------------------------


def test_short_holes_beside_others_do_not_follow_what_was_filled_there():
    """Paths that are a little smooth: across a hole alone the one that bends least errs less."""
    motion = np.cumsum(np.cumsum(np.random.default_rng(8).normal(size=(160, 3, 2)), 0), 0) / 20
    motion += 0.25 * np.random.default_rng(9).normal(size=motion.shape)
    alone, beside = with_hole(160, slice(80, 82)), with_hole(160, slice(80, 82), slice(83, 85))
    filled = motion.copy()
    filled[83:85, 1] += 3.0
    first, last = 79, 82
    for seen, bends in ((alone, True), (beside, False)):
        known = np.flatnonzero(seen[:, 1])
        keeps = PchipInterpolator(known, motion[known, 1])(np.arange(first + 1, last))
        found = bridges(filled, seen, 1.0).places[80:82, 1]
        assert np.allclose(found, keeps) != bends


@pytest.mark.parametrize("step", [0.5, 1.0, 2.0])
def test_the_longest_hole(step):
    path = smooth(300)
    frames = round(LONGEST / step)
    for length, is_bridged in ((frames, True), (frames + 1, False)):
        hole = slice(100, 100 + length)
        places = bridges(path, with_hole(300, hole), step).places[hole, 1]
        assert np.isfinite(places).all() if is_bridged else np.isnan(places).all()


def test_holes_at_the_ends_stay():
    path = smooth()
    seen = with_hole(120, slice(0, 3), slice(117, 120), slice(50, 52))
    found = bridges(path, seen, 1.0)
    assert np.flatnonzero(np.isfinite(found.places[:, 1, 0])).tolist() == [50, 51]
    assert np.isnan(found.deviation[[0, 1, 2, 117, 118, 119]]).all()


def test_near_an_end_short_holes_keep_their_shape_and_long_ones_stay():
    path = smooth()
    for hole in (slice(2, 6), slice(114, 118)):
        seen = with_hole(120, hole)
        found = bridges(path, seen, 1.0)
        known = np.flatnonzero(seen[:, 1])
        inner = pchip_slopes(known, path[known, 1])
        before, after = hole.start - 1, hole.stop
        k = known.tolist().index(before)
        gap, at = after - before, np.arange(1, after - before) / (after - before)
        slopes = gap * inner[k], gap * inner[k + 1]
        wanted = hermite(path[before, 1], path[after, 1], *slopes, at[:, None])
        np.testing.assert_allclose(found.places[hole, 1], wanted)
        assert (0 < found.deviation[hole, 1]).all() and found.deviation[hole, 1].max() < SIZE / 10
    for hole in (slice(2, 2 + SHORT), slice(110, 118)):
        assert np.isnan(bridges(path, with_hole(120, hole), 1.0).places).all()


@pytest.mark.parametrize("frames", [0, 1, 2, 3, 5, 9])
def test_tracks_of_a_few_frames(frames):
    """Nothing tells how far off their paths are, so the networks alone count."""
    path, seen = smooth(frames), with_hole(frames, slice(1, 2))
    found = bridges(path, seen, 1.0)
    is_bridged = 1 < frames - 1
    assert np.isfinite(found.places).any() == is_bridged
    moved = bridge(path, np.ones(seen.shape), seen, np.full(frames, SIZE), 1.0, 0.5)
    assert np.isfinite(moved).all()
    if frames < 9:
        np.testing.assert_array_equal(moved, path)


def test_joints_that_are_hardly_seen_have_no_path():
    path, seen = smooth(), np.ones((120, 3), bool)
    seen[:, 0], seen[1:, 1] = False, False
    assert np.isnan(bridges(path, seen, 1.0).places).all()


# --- how far off, and how much that counts --------------------------------------------------------


@pytest.mark.parametrize("gap", [4, 10])
def test_the_deviation_is_what_the_path_errs_by_elsewhere(gap):
    """On a parabola, where it is the same everywhere."""
    time = np.arange(120.0)
    path = np.zeros((120, 3, 2))
    path[:, :, 0] = 0.05 * (time[:, None] - 60) ** 2
    hole = slice(60, 60 + gap - 1)
    found = bridges(path, with_hole(120, hole), 1.0)
    off = np.linalg.norm(found.places[hole, 1] - path[hole, 1], axis=-1)
    middle = gap // 2 - 1
    assert found.deviation[hole, 1][middle] == pytest.approx(off[middle]) and off[middle] > 0
    at = np.arange(1, gap) / gap
    np.testing.assert_allclose(found.deviation[hole, 1], off[middle] * 4 * at * (1 - at))


def test_where_few_holes_of_a_length_fit_shorter_ones_tell():
    path = smooth(64)
    hole = slice(20, 44)
    found = bridges(path, with_hole(64, hole), 1.0)
    assert np.isfinite(found.places[hole, 1]).all()
    off = np.linalg.norm(found.places[hole, 1] - path[hole, 1], axis=-1)
    assert 0.1 * off.max() < found.deviation[hole, 1].max() < 10 * off.max()


@pytest.mark.parametrize("hole, modest", [
    (slice(40, 52), MODEST), (slice(40, 40 + SHORT - 1), MODEST),
    (slice(40, 40 + SHORT - 2), MODEST_BRIEFLY),
])
def test_networks_and_paths_count_by_inverse_variances(hole, modest):
    path = smooth()
    seen = with_hole(120, hole)
    networks = path.copy()
    networks[hole, 1] += (8.0, -6.0)
    own = bridges(networks, seen, 1.0)
    for deviation in (0.0, 0.3, 3.0, 1e6):
        found = bridge(networks, np.full(seen.shape, deviation), seen, np.full(120, SIZE), 1.0, 0.5)
        np.testing.assert_array_equal(found[seen], networks[seen])
        least = LEAST * SIZE
        one = (modest * (deviation + least)) ** -2.0
        other = (own.deviation[hole, 1, None] + least) ** -2.0
        wanted = (one * networks[hole, 1] + other * own.places[hole, 1]) / (one + other)
        np.testing.assert_allclose(found[hole, 1], wanted)
    # The unsure networks leave it to the path, which is right here.
    assert np.abs(found[hole, 1] - path[hole, 1]).max() < 1.0


def test_where_nothing_is_seen_both_have_their_share():
    path, gap = smooth(), slice(50, 60)
    seen = np.ones((120, 3), bool)
    seen[gap] = False
    seen[45:50, 1] = False  # one of them longer: there the others are seen
    networks = path.copy()
    networks[gap] += 7.0
    places = bridges(networks, seen, 1.0).places
    for share in (0.0, 0.3, 1.0):
        found = bridge(networks, np.full(seen.shape, 1e6), seen, np.full(120, SIZE), 1.0, share)
        wanted = share * places[gap] + (1 - share) * networks[gap]
        np.testing.assert_allclose(found[gap], wanted)
        np.testing.assert_allclose(found[45:50, 1], places[45:50, 1], atol=1e-3)


@pytest.mark.parametrize("step", [0.5, 1.0, 2.0])
def test_the_longest_gap_of_all_joints(step):
    path = smooth(300)
    frames = round(LONGEST_ALONE / step)
    for length in (frames, frames + 1):
        gap = slice(100, 100 + length)
        seen = np.ones((300, 3), bool)
        seen[gap] = False
        networks = path.copy()
        networks[gap] += 7.0
        found = bridge(networks, np.full(seen.shape, 1.0), seen, np.full(300, SIZE), step, 0.5)
        assert (found == networks).all() == (length > frames)


def test_pictures_may_be_of_any_size():
    path, seen = rough(), with_hole(120, slice(40, 46), slice(70, 90))
    deviation, size = np.full(seen.shape, 2.0), np.full(120, SIZE)
    found = bridge(path, deviation, seen, size, 1.0, 0.5)
    larger = bridge(7 * path, 7 * deviation, seen, 7 * size, 1.0, 0.5)
    np.testing.assert_allclose(larger, 7 * found)
