"""Where a track goes on: jumps, gaps that are bridged, and what is completed apart."""

import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.pose.continuity import LONGEST, Layout, Stretches, is_jump, larger, moved
from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import get_skeleton

COCO = get_skeleton("coco17")
# A body 60 pixels wide and 200 high, seen from the front.
BODY = np.random.default_rng(3).uniform([-30, -100], [30, 100], (len(COCO), 2))
FPS = 25.0


def seen(frames, size=1.0, places=None, fps=FPS, **options):
    """A person seen in some frames, of one size or of one in each, at places (T, 2)."""
    frames = np.asarray(frames)
    places = np.zeros((len(frames), 2)) if places is None else np.asarray(places)
    poses = BODY * np.broadcast_to(size, len(frames))[:, None, None] + places[:, None] + 500
    return PoseSequence(poses, frames=frames, fps=fps, **options)


def runs(first, *lengths):
    """Frames: a run of seen ones, a gap, a run, ..., of these lengths."""
    edges = first + np.cumsum([0, *lengths])
    return np.concatenate([np.arange(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True)])


# --- poses ----------------------------------------------------------------------------------------


def test_size_and_way_are_those_of_the_joints_in_common():
    a, b = BODY.copy(), 3 * BODY + [40, 0]
    a[:6], b[11:] = np.nan, np.nan
    np.testing.assert_allclose(larger(a[None], b[None]), 3.0, rtol=1e-6)
    np.testing.assert_allclose(larger(b[None], a[None]), 3.0, rtol=1e-6)
    b[9:] = np.nan  # three in common
    assert larger(a[None], b[None]) == 1.0 and moved(a[None], b[None]) == 0.0
    assert larger(a[None], np.full_like(a, np.nan)[None]) == 1.0


def test_a_few_wrong_joints_are_no_other_size():
    wrong = BODY.copy()
    wrong[[3, 9]] += 2000
    assert larger(BODY[None], wrong[None]) < 1.4
    assert moved(BODY[None], wrong[None]) == 0


def test_the_height_of_a_body_and_how_far_people_get():
    height = 200.0
    for heights, seconds, jump in (
        (0.6, 0.04, False), (1.8, 0.04, True), (1.8, 1.0, False), (4.0, 1.0, False),
        (9.0, 1.0, True),
    ):
        there = BODY + [heights * height, 0]
        assert is_jump(BODY[None], there[None], np.array([seconds])).item() == jump
    for factor, seconds, jump in ((1.9, 1.0, False), (2.1, 1.0, True), (3.0, 2.0, False)):
        grown = factor * BODY
        assert is_jump(BODY[None], grown[None], np.array([seconds])).item() == jump


# --- gaps -----------------------------------------------------------------------------------------


def test_a_whole_track_is_one_stretch():
    assert Stretches.of(seen(range(7, 40))) == Stretches(((7, 39),), 0, 0, 0)
    nobody = seen(range(5)).replace(keypoints=np.full((5, 17, 2), np.nan))
    assert Stretches.of(nobody) == Stretches((), 0, 0, 0)


@pytest.mark.parametrize(
    ("lengths", "bridged"),
    [
        ((30, 5, 30), True), ((30, 25, 30), True), ((30, 26, 30), False), ((30, 60, 30), False),
        # No more frames than were seen around it.
        ((3, 6, 3), True), ((3, 7, 3), False), ((1, 20, 1), False), ((1, 2, 1), True),
        ((1, 20, 30), True), ((2, 20, 3), False),
    ],
)
def test_a_gap_is_bridged_as_long_as_there_is_something_to_tell(lengths, bridged):
    frames = runs(10, *lengths)
    gap = lengths[1]
    found = Stretches.of(seen(frames))
    if bridged:
        assert found == Stretches(((10, frames[-1]),), gap, 0, 0)
    else:
        middle = 10 + lengths[0]
        assert found == Stretches(((10, middle - 1), (middle + gap, frames[-1])), 0, 1, 0)


def test_the_option_sets_the_limit_whatever_was_seen():
    few = seen(runs(0, 1, 20, 1))
    assert Stretches.of(few, 1.0).bridged == 20
    assert Stretches.of(few, 0.79).bridged == 0 and Stretches.of(few, 0.8).bridged == 20
    assert Stretches.of(seen(runs(0, 30, 100, 30)), 4.0).bridged == 100
    assert Stretches.of(seen(runs(0, 30, 1, 30)), 0.0) == Stretches(((0, 29), (31, 60)), 0, 1, 0)


def test_seconds_are_those_of_the_video():
    frames = runs(0, 60, 50, 60)
    assert Stretches.of(seen(frames, fps=50.0)).bridged == 50
    assert Stretches.of(seen(frames, fps=49.0)).bridged == 0
    assert Stretches.of(seen(runs(0, 30, 30, 30), fps=None)).bridged == 30  # of 30 per second
    assert LONGEST == 1.0


def test_rows_without_joints_are_gaps_too():
    sequence = seen(range(60))
    keypoints = sequence.keypoints.copy()
    keypoints[20:50] = np.nan
    assert Stretches.of(sequence.replace(keypoints=keypoints)).parts == ((0, 19), (50, 59))
    keypoints[20:50, 0] = 3.0  # one joint is something
    assert Stretches.of(sequence.replace(keypoints=keypoints)).parts == ((0, 59),)


def test_every_kth_frame_of_a_video_is_bridged():
    assert Stretches.of(seen(range(0, 200, 10))).parts == ((0, 190),)
    assert Stretches.of(seen(range(0, 200, 10), fps=30.0)).bridged == 19 * 9
    few = Stretches.of(seen([0, 10, 20]))  # nothing says that no other frame was looked at
    assert few.bridged == 0 and few.gaps == 2


def test_false_detections_of_a_few_frames_stay_a_few():
    rng = np.random.default_rng(0)
    frames = np.sort(rng.choice(np.arange(0, 300), 12, replace=False))
    found = Stretches.of(seen(frames))
    assert len(frames) + found.bridged < 30
    # Half of all frames lost at random are filled.
    frames = np.flatnonzero(rng.random(300) < 0.5)
    assert Stretches.of(seen(frames)).gaps == 0


def test_rows_before_the_first_and_after_the_last_seen_frame():
    sequence = seen(range(100))
    keypoints = sequence.keypoints.copy()
    keypoints[:30], keypoints[60:] = np.nan, np.nan
    with_rows = sequence.replace(keypoints=keypoints)
    assert Stretches.of(with_rows).parts == ((18, 71),)  # half as long as a gap
    assert Stretches.of(with_rows, 0.0).parts == ((30, 59),)
    keypoints[33:] = np.nan
    assert Stretches.of(sequence.replace(keypoints=keypoints)).parts == ((27, 35),)
    assert Stretches.of(seen(range(30, 60))).parts == ((30, 59),)
    apart = np.r_[10, 12, 20:60]  # rows that end before
    assert Stretches.of(with_rows.replace(
        **{n: getattr(with_rows, n)[apart] for n in ("keypoints", "scores", "provenance")},
        frames=apart,
    )).parts == ((20, 59),)


# --- jumps ----------------------------------------------------------------------------------------


def test_nothing_is_bridged_between_people_of_two_sizes():
    sizes = np.repeat([0.2, 1.6], 3)
    found = Stretches.of(seen(runs(0, 3, 19, 3), sizes, fps=30.0), 1.0)
    assert found == Stretches(((0, 2), (22, 24)), 0, 1, 1)
    whole = Stretches.of(seen(runs(0, 30, 5, 30), np.repeat([1.0, 0.3], 30)))
    assert whole.gaps == whole.jumps == 1 and whole.bridged == 0


def test_nothing_is_bridged_to_a_place_that_nobody_reaches():
    places = np.repeat([[0, 0], [900, 0]], 30, axis=0)
    assert Stretches.of(seen(runs(0, 30, 3, 30), places=places)).jumps == 1
    assert Stretches.of(seen(runs(0, 30, 25, 30), places=places)).jumps == 0  # in a second one does


def test_a_jump_without_a_gap_is_a_new_beginning():
    places = np.repeat([[0, 0], [500, 0]], 20, axis=0)
    assert Stretches.of(seen(range(40), places=places)) == Stretches(((0, 19), (20, 39)), 0, 0, 1)
    assert Stretches.of(seen(range(40), np.repeat([1, 2.5], 20))).jumps == 1


def test_who_comes_and_goes_slowly_does_not_jump():
    walk = np.linspace(0, 40 * 25, 40)[:, None] * [1, 0]
    assert Stretches.of(seen(range(40), np.linspace(1, 1.8, 40), walk)).parts == ((0, 39),)


@pytest.mark.parametrize("wrong", [[20], [20, 21]])
def test_a_mistake_of_a_frame_or_two_is_left_to_the_others(wrong):
    places = np.zeros((40, 2))
    places[wrong] = [900, 0]
    assert Stretches.of(seen(range(40), places=places)).parts == ((0, 39),)
    places[19:23] = [900, 0]
    assert Stretches.of(seen(range(40), places=places)).parts == ((0, 18), (19, 22), (23, 39))


def test_two_people_in_turn_under_one_id_are_one_in_no_frame():
    sizes = np.tile([1.0, 4.0], 15)
    found = Stretches.of(seen(range(30), sizes))
    assert found.jumps == 29 and len(found.parts) == 30
    sizes = np.ones(60)
    sizes[::10] = 4.0  # a mistake in every tenth frame is one
    assert len(Stretches.of(seen(range(5, 60), sizes[5:])).parts) == 1


# --- layout ---------------------------------------------------------------------------------------


def test_a_track_in_one_stretch_is_laid_out_as_it_is():
    sequence = seen(runs(5, 20, 4, 20), person="p", scores=np.full((40, 17), 0.5))
    layout = Layout.of(sequence, None)
    assert len(layout.dense) == 44 and layout.frames.tolist() == list(range(5, 49))
    done = layout.deliver(layout.dense)
    assert (done.person, done.fps, done.frames.tolist()) == ("p", FPS, list(range(5, 49)))
    rows = sequence.frames - 5
    for name in ("keypoints", "scores", "provenance"):
        np.testing.assert_array_equal(getattr(done, name)[rows], getattr(sequence, name))
    assert not done.observed[20:24].any()


def test_stretches_do_not_know_of_each_other():
    frames = runs(5, 20, 60, 20)
    layout = Layout.of(seen(frames), None)
    assert layout.parts == (slice(0, 20), slice(20, 40)) and layout.dense.observed.any(-1).all()
    done = layout.deliver(layout.dense.replace(
        keypoints=np.full(layout.dense.keypoints.shape, 7.0),
        scores=np.ones(layout.dense.scores.shape),
        provenance=np.full(layout.dense.scores.shape, Provenance.FILLED),
    ))
    assert done.frames.tolist() == frames.tolist()  # no row for a gap that is not bridged
    assert (done.keypoints == 7).all()


def test_rows_of_a_gap_that_is_not_bridged_come_back_empty():
    sequence = seen(range(90))
    keypoints = sequence.keypoints.copy()
    keypoints[20:70] = np.nan
    layout = Layout.of(sequence.replace(keypoints=keypoints), None)
    filled = layout.dense.replace(keypoints=np.nan_to_num(layout.dense.keypoints, nan=1.0))
    done = layout.deliver(filled)
    assert done.frames.tolist() == list(range(90))
    np.testing.assert_array_equal(done.keypoints, keypoints)


def test_frame_numbers_that_are_no_count_cost_nothing():
    sequence = seen(np.r_[0:20, 2_000_000_000:2_000_000_020])
    assert len(Layout.of(sequence, None).dense) == 40
    with pytest.raises(InputError, match="person None: 2000000020 frames are more than 1000000"):
        Layout.of(sequence, 1e9)
