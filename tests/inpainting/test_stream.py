"""Live tracks: a frame in, a frame out."""

import copy
import dataclasses
import functools

import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.geometry.camera import look_at, project
from posegan_jax.inpainting import completer as completer_module
from posegan_jax.inpainting import solver
from posegan_jax.inpainting.completer import Completer
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.inpainting.reliability import recall
from posegan_jax.inpainting.settings import LiveSettings
from posegan_jax.inpainting.solvable import centered
from posegan_jax.inpainting.upright import turn
from posegan_jax.motion.procedural import procedural_clips
from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

MPI = get_skeleton("mpi_inf_3dhp")
SEEN = [MPI.index(joint) for joint in DETECTED_12]
WRIST = MPI.index("left_wrist")
FRAMES = 24


@functools.cache
def scene(frames=40):
    """(T, 28, 2) pixels of all joints of a person who walks, five metres away."""
    clip = next(c for c in procedural_clips("validation") if c.text == "walking")
    motion = clip.positions[20 : 20 + frames]
    camera = look_at(0.5, 0.1, 5000.0, motion.mean(axis=(0, 1)), 0.0, 1500.0)
    return np.asarray(project(motion, camera)[0], np.float64) + (640, 360)


def detected(holes=0.0, frames=40):
    """(T, 28, 2) the twelve joints that detectors deliver, NaN elsewhere and in holes."""
    keypoints = np.full_like(scene(frames), np.nan)
    keypoints[:, SEEN] = scene(frames)[:, SEEN]
    keypoints[np.random.default_rng(0).random(keypoints.shape[:2]) < holes] = np.nan
    return keypoints


def off(frame, truth, joints):
    """Mean distance in head sizes."""
    head = np.linalg.norm(truth[MPI.index("head_top")] - truth[MPI.index("neck")])
    return np.linalg.norm(frame.keypoints - truth, axis=-1)[joints].mean() / head


@pytest.fixture(scope="module")
def inpainter():
    return Inpainter.from_pretrained(batch=2)


@pytest.fixture
def live(inpainter):
    """Makes streams of the model's own skeleton."""
    return functools.partial(inpainter.stream, MPI.name, 25.0)


def with_model(inpainter, **changes):
    """The same with another model for the hosts."""
    other = copy.copy(inpainter)
    other.completer = Completer(inpainter.model.replace(**changes))
    return other


def shown(stream):
    """What the stream asks to be solved from now on: places and weights of windows."""
    asked, solve = [], stream._solve

    def record(request):
        asked.append((request.x, request.mask))
        return solve(request)

    stream._solve = record
    return asked


# --- who lies -------------------------------------------------------------------------------------


def test_a_picture_on_its_side_is_followed_as_if_it_stood(live):
    """From a second on, when it is known that nobody stands up in it."""
    keypoints, angle = detected(), -np.pi / 2
    keypoints[:, [MPI.index(f"left_{part}") for part in ("knee", "ankle")]] = np.nan
    found = []
    for places in (keypoints, turn(keypoints, angle)):
        stream = live(delay=2)
        found.append([stream.push(frame) for frame in places])
    legs = [MPI.index("left_knee"), MPI.index("left_ankle")]
    apart = []
    for frames in (range(10, 20), range(FRAMES + 4, len(keypoints))):
        upright, turned = (np.stack([some[t].keypoints for t in frames]) for some in found)
        head = upright[:, MPI.index("head_top")] - upright[:, MPI.index("neck")]
        off = np.linalg.norm(turn(turned, -angle) - upright, axis=-1)
        apart.append((off / np.linalg.norm(head, axis=-1)[:, None])[:, legs].mean())
    assert apart[0] > 0.3 and apart[1] < 0.1


# --- the same as offline --------------------------------------------------------------------------

TRACKS = {
    "exact": (0.0, 0.0, []), "holes": (0.3, 0.0, []),
    "an arm never seen": (0.1, 0.0, ["left_elbow", "left_wrist"]),
    "noise": (0.05, 4.0, []), "noise, legs never seen": (
        0.0, 3.0, ["left_knee", "left_ankle", "right_knee", "right_ankle"]
    ),
}


@pytest.mark.parametrize("observed", ["auto", "keep", "refine"])
@pytest.mark.parametrize("kind", TRACKS)
def test_a_streamed_track_is_what_whole_ones_are_made_of_the_same_windows(
    inpainter, kind, observed, monkeypatch
):
    """Joint for joint, scores and provenance included.

    Live, errors are known from earlier windows, in whole tracks by a second look: where there are
    any, whole tracks are told what the stream knows.
    """
    holes, noise, hidden = TRACKS[kind]
    rng = np.random.default_rng(3)
    track = detected(holes, 34)
    track += noise * rng.standard_t(3, track.shape)
    track[:, [MPI.index(joint) for joint in hidden]] = np.nan
    track[30:33] = np.nan
    scores = np.where(np.isfinite(track[..., 0]), rng.uniform(0.4, 1.0, track.shape[:2]), 0.0)
    knows = []

    def told(keypoints, weights, generated, runs, residual, observed, step, unknown):
        return recall(
            *knows[-1], keypoints, weights, generated, runs, residual, observed, 23 - delay)

    if noise or observed == "refine":
        monkeypatch.setattr(completer_module, "assess", told)
    for delay in (0, 4):
        live = inpainter.stream(
            MPI.name, 25.0, delay=delay, observed=observed,
            settings=LiveSettings(memory=0.0, settled=0),
        )
        history = live._history
        monkeypatch.setattr(
            live, "_history", lambda *a, of=history: knows.append((of(*a),)) or knows[-1][0]
        )
        for number, frame in enumerate(zip(track, scores, strict=True)):
            streamed = live.push(*frame)
            if number not in (23, 28, 33):
                continue
            window = slice(number - 23, number + 1)
            sequence = PoseSequence(track[window], scores[window], 25.0, MPI.name)
            whole = inpainter(sequence, quality="fast", observed=observed, repair_sides=False)
            due = 23 - delay
            assert streamed.number == number - delay
            np.testing.assert_allclose(streamed.keypoints, whole.keypoints[due], atol=1e-3)
            np.testing.assert_allclose(streamed.scores, whole.scores[due], atol=1e-5)
            np.testing.assert_array_equal(streamed.provenance, whole.provenance[due])
    refined = observed == "refine" or (noise > 0 and observed == "auto")
    assert (Provenance.REFINED in whole.provenance) == refined


# --- what the networks are shown ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fps", "delay", "ages"),
    [
        (25.0, 0, range(23, -1, -1)),
        (30.0, 5, range(23, -1, -1)),
        (50.0, 0, range(46, -1, -2)),  # every other frame
        (50.0, 3, range(47, 0, -2)),  # those that count from the one that is due
    ],
)
def test_the_window_that_is_looked_at(inpainter, fps, delay, ages):
    track = detected(0.3, 52)
    live = inpainter.stream(MPI.name, fps, delay=delay, observed="keep")
    asked = shown(live)
    for number, keypoints in enumerate(track):
        live.push(keypoints)
        if number not in (delay + 4, 51):
            continue
        past = np.array([number - age for age in ages])
        window = np.where((past >= 0)[:, None, None], track[np.maximum(past, 0)], np.nan)
        mask = np.isfinite(window[None, ..., 0]).astype(float)
        x, weights = asked[-1]
        np.testing.assert_array_equal(weights, mask)
        np.testing.assert_allclose(x, centered(np.nan_to_num(window)[None], mask)[0], atol=1e-9)


def test_a_slow_video_leaves_frames_of_the_window_empty(inpainter):
    track = detected(frames=20)
    live = inpainter.stream(MPI.name, 12.5, observed="keep")
    asked = shown(live)
    for keypoints in track:
        frame = live.push(keypoints)
    window = np.full((FRAMES, 28, 2), np.nan)
    window[1::2] = track[-12:]
    mask = np.isfinite(window[None, ..., 0]).astype(float)
    np.testing.assert_array_equal(asked[-1][1], mask)
    expected, _ = centered(np.nan_to_num(window)[None], mask)
    np.testing.assert_allclose(asked[-1][0], expected, atol=1e-9)
    assert np.isfinite(frame.keypoints).all()


def test_nothing_is_compiled_after_it_was_made(live):
    stream = live()
    programs = solver._solve._cache_size()
    stream.push(detected()[0])
    live().push(None)  # another one shares the program
    assert solver._solve._cache_size() == programs


# --- what is delivered ----------------------------------------------------------------------------


def test_exact_joints_pass_and_the_others_are_near_the_truth(live):
    track, stream = detected(0.2), live(observed="keep")
    errors, holes = [], []
    for number, keypoints in enumerate(track):
        frame = stream.push(keypoints)
        seen = np.isfinite(keypoints[:, 0])
        assert frame.number == number and np.isfinite(frame.keypoints).all()
        np.testing.assert_array_equal(frame.keypoints[seen], keypoints[seen])
        assert (frame.scores[seen] == 1).all() and (0 < frame.scores[~seen]).all()
        assert (frame.provenance == np.where(seen, Provenance.OBSERVED, Provenance.FILLED)).all()
        if number >= 12:
            errors.append(off(frame, scene()[number], np.setdiff1d(np.arange(28), SEEN)))
            hidden = np.intersect1d(SEEN, np.flatnonzero(~seen))
            holes += [off(frame, scene()[number], hidden)] if len(hidden) else []
    assert np.mean(holes) < 0.15 and np.mean(errors) < 0.4


def test_what_is_not_observed_is_corrected(inpainter):
    """As whole tracks are: an arm that is never seen, and feet."""
    plain = with_model(inpainter, corrector=None, variables={})
    streams = [which.stream(MPI.name, 25.0) for which in (inpainter, plain)]
    track = detected()
    hidden = [MPI.index("left_elbow"), WRIST]
    track[:, hidden] = np.nan
    upsampled = ~np.isin(np.arange(28), SEEN)
    apart = []
    for keypoints, truth in zip(track, scene(), strict=True):
        found, other = (stream.push(keypoints) for stream in streams)
        apart.append(np.linalg.norm(found.keypoints - other.keypoints, axis=-1))
        head = np.linalg.norm(truth[MPI.index("head_top")] - truth[MPI.index("neck")])
    apart = np.array(apart)[24:] / head
    seen = np.setdiff1d(SEEN, hidden)
    assert (apart[:, seen] == 0).all()
    for joints in (hidden, upsampled):
        assert 0.01 < np.median(apart[:, joints]) < 0.5


def test_far_from_the_origin_nothing_gets_lost(live):
    here, there = live(), live()
    for keypoints in detected(0.3)[:5]:
        one, other = here.push(keypoints), there.push(keypoints + 1e6)
    np.testing.assert_allclose(other.keypoints - 1e6, one.keypoints, atol=1e-3)


def test_a_joint_that_goes_out_of_sight_does_not_jump(live):
    track, stream = detected(), live()
    track[20:, WRIST] = np.nan
    path = np.array([stream.push(keypoints).keypoints[WRIST] for keypoints in track])
    moved = np.linalg.norm(np.diff(path[15:25], axis=0), axis=-1)
    truth = np.linalg.norm(np.diff(scene()[15:25, WRIST], axis=0), axis=-1)
    head = np.linalg.norm(scene()[20, MPI.index("head_top")] - scene()[20, MPI.index("neck")])
    assert np.abs(moved - truth).max() < 0.1 * head


def test_jitter_is_taken_off(live):
    track = detected(frames=70)
    noisy = track + np.random.default_rng(1).normal(0, 4, track.shape)
    stream = live()
    frames = [stream.push(keypoints) for keypoints in noisy]
    assert (frames[-1].provenance[SEEN] == Provenance.REFINED).all()
    smooth = np.array([frame.keypoints[SEEN] for frame in frames])[30:]

    def roughness(motion):
        return np.abs(np.diff(motion - scene(70)[30:, SEEN], n=2, axis=0)).mean()

    assert roughness(smooth) < 0.5 * roughness(noisy[30:, SEEN])


def test_exact_joints_pass_by_themselves_once_it_is_known_that_they_are(live):
    stream = live()
    frames = [stream.push(keypoints) for keypoints in detected()]
    # At first there is nothing to tell it from.
    assert (frames[0].provenance[SEEN] == Provenance.REFINED).all()
    assert (frames[-1].provenance[SEEN] == Provenance.OBSERVED).all()
    np.testing.assert_array_equal(frames[-1].keypoints[SEEN], detected()[-1, SEEN])


@pytest.mark.parametrize("frames", [1, 5])
@pytest.mark.parametrize("fps", [25.0, 12.5])
def test_a_gross_error_says_nothing_of_other_joints(inpainter, fps, frames):
    """Of an exact track, where the detector is to be believed otherwise."""
    track = detected()
    track[:, [MPI.index("left_elbow"), WRIST]] = np.nan
    wrong = track.copy()
    other = MPI.index("right_wrist")
    wrong[30 : 30 + frames, other] += 12 * np.array([60.0, -30.0])
    streams = [inpainter.stream(MPI.name, fps) for _ in range(2)]
    others = np.arange(28) != other
    for number, pair in enumerate(zip(track, wrong, strict=True)):
        right, found = (stream.push(pose) for stream, pose in zip(streams, pair, strict=True))
        apart = np.linalg.norm(found.keypoints - right.keypoints, axis=-1)
        head = np.linalg.norm(
            scene()[number, MPI.index("head_top")] - scene()[number, MPI.index("neck")]
        )
        assert apart[others].max() < 0.75 * head
        np.testing.assert_array_equal(found.provenance[others], right.provenance[others])


def test_looking_ahead_fills_holes_better(live):
    track, errors = detected(0.4), {}
    for delay in (0, 4):
        stream = live(delay=delay)
        frames = [frame for keypoints in track if (frame := stream.push(keypoints))]
        frames += stream.flush()
        assert [frame.number for frame in frames] == list(range(40))
        holes = [np.intersect1d(SEEN, np.flatnonzero(np.isnan(k[:, 0]))) for k in track]
        errors[delay] = np.mean(
            [off(frames[n], scene()[n], holes[n]) for n in range(12, 40) if len(holes[n])]
        )
    assert errors[4] < 0.6 * errors[0]
    assert stream.push(track[0]) is None  # after the flush: afresh


def test_own_joints_and_those_that_the_model_does_not_know(inpainter):
    coco = get_skeleton("coco17")
    source, destination, _ = MPI.map_to(coco)
    keypoints = np.full((17, 2), np.nan)
    keypoints[destination] = scene()[0][source]
    keypoints[coco.index("left_wrist")] = np.nan
    keypoints[coco.index("left_eye")] = (3, 4)
    frame = inpainter.stream(fps=25.0).push(keypoints)
    assert np.isfinite(frame.keypoints[coco.index("left_wrist")]).all()
    assert frame.provenance[coco.index("left_wrist")] == Provenance.FILLED
    np.testing.assert_array_equal(frame.keypoints[coco.index("left_eye")], (3, 4))
    assert inpainter.stream(joints=MPI.name).push(keypoints).keypoints.shape == (28, 2)


def test_a_score_of_0_is_a_missing_joint(live):
    scores = np.isfinite(detected()[0, :, 0]).astype(float)
    scores[WRIST] = 0
    frame = live().push(np.nan_to_num(detected()[0]), scores)
    assert frame.provenance[WRIST] == Provenance.FILLED


# --- gaps -----------------------------------------------------------------------------------------


def test_a_person_is_followed_for_a_while_and_then_given_up(live):
    stream = live()
    assert np.isnan(stream.push(None).keypoints).all()
    for keypoints in detected():
        stream.push(keypoints)
    for _ in range(LiveSettings().hold):
        frame = stream.push(None)
        assert np.isfinite(frame.keypoints).all()
        assert (frame.provenance == Provenance.FILLED).all()
    frame = stream.push(None)
    assert np.isnan(frame.keypoints).all() and (frame.scores == 0).all()
    assert (frame.provenance == Provenance.UNKNOWN).all()
    assert np.isfinite(stream.push(detected()[0]).keypoints).all()


def test_few_joints_are_no_sure_pose(live, inpainter):
    shoulders = [MPI.index("left_shoulder"), MPI.index("right_shoulder")]
    others = np.setdiff1d(np.arange(28), shoulders)
    keypoints = np.where(np.isin(np.arange(28), shoulders)[:, None], detected()[0], np.nan)
    few, all_of_it = live().push(keypoints), live().push(detected()[0])
    assert few.scores[others].mean() < all_of_it.scores[others].mean() - 0.1
    # So is it of a model to which no certainty was fitted.
    constants = dataclasses.replace(inpainter.model.constants, left_open=0.0)
    plain, closed = (
        with_model(inpainter, certainty=None, **changes).stream
        for changes in ({}, {"constants": constants})
    )
    bare, told = (stream(MPI.name, 25.0).push(keypoints) for stream in (plain, closed))
    np.testing.assert_array_equal(bare.keypoints, told.keypoints)
    assert (bare.scores[others] < told.scores[others] - 0.05).all()
    bare, told = (stream(MPI.name, 25.0).push(detected()[0]) for stream in (plain, closed))
    np.testing.assert_array_equal(bare.scores, told.scores)


@pytest.mark.parametrize("seen", ["a wrist that moves", "all joints at one point"])
def test_nothing_is_made_of_a_single_place(live, seen):
    track = detected()[:8]
    if seen == "all joints at one point":
        track[:, SEEN] = 300.1
    else:
        track[:, np.arange(28) != WRIST] = np.nan
    stream = live()
    for keypoints in track:
        frame = stream.push(keypoints)
        np.testing.assert_array_equal(frame.keypoints, keypoints)
        assert not (frame.provenance == Provenance.FILLED).any()


def test_a_long_gap_in_time_is_a_new_start(live):
    stream, fresh = live(), live()
    for number, keypoints in enumerate(detected()):
        stream.push(keypoints, time=number / 25)
    for number, keypoints in enumerate(detected(0.3)[:5]):
        again = stream.push(keypoints, time=10 + number / 25)
        first = fresh.push(keypoints, time=number / 25)
        assert again.number == first.number == number
        np.testing.assert_array_equal(again.keypoints, first.keypoints)


def test_frames_that_were_dropped_are_missing_ones(live):
    dropping, told = live(), live()
    one, other = shown(dropping), shown(told)
    for number, keypoints in enumerate(detected()[:30]):
        if number in (10, 11, 12):
            told.push(None)
        else:
            told.push(keypoints)
            frame = dropping.push(keypoints, time=5 + number / 25 + 0.004 * (number % 3))
    for array, expected in zip(one[-1], other[-1], strict=True):
        np.testing.assert_array_equal(array, expected)
    assert frame.number == 29


def test_frames_before_a_long_gap_are_given_when_looking_ahead(live):
    track = detected(0.3)
    stream, before, after = live(delay=4), live(delay=4), live(delay=4)
    given = [stream.push(keypoints, time=number / 25) for number, keypoints in enumerate(track)]
    given += [stream.push(keypoints, time=9 + n / 25) for n, keypoints in enumerate(track[:6])]
    given += [stream.push(keypoints, time=1e300 * (n + 1)) for n, keypoints in enumerate(track[:2])]
    expected = [before.push(keypoints) for keypoints in track] + before.flush()
    expected += [after.push(keypoints) for keypoints in track[:6]] + after.flush()
    expected = [frame for frame in expected if frame]
    given = [frame for frame in given if frame] + stream.flush()
    assert [frame.number for frame in given] == [*range(40), *range(6), 0, 0]
    for frame, other in zip(given, expected, strict=False):
        np.testing.assert_array_equal(frame.keypoints, other.keypoints)
        np.testing.assert_array_equal(frame.provenance, other.provenance)


def test_frames_around_dropped_ones_are_given_when_looking_ahead(live):
    track, dropped = detected(0.3)[:24], (10, 11, 12, 18)
    dropping, told = live(delay=4), live(delay=4)
    given, expected = [], []
    for number, keypoints in enumerate(track):
        if number in dropped:
            expected.append(told.push(None))
        else:
            expected.append(told.push(keypoints))
            given.append(dropping.push(keypoints, time=number / 25))
    given = [frame for frame in given if frame] + dropping.flush()
    expected = [frame for frame in expected if frame] + told.flush()
    assert [frame.number for frame in given] == [n for n in range(24) if n not in dropped]
    for frame in given:
        np.testing.assert_array_equal(frame.keypoints, expected[frame.number].keypoints)


def test_a_reset_forgets_what_was_not_given_yet(live):
    stream = live(delay=2)
    for number, keypoints in enumerate(detected()[:5]):
        stream.push(keypoints, time=number / 25)
    stream.push(detected()[5], time=9.0)
    stream.reset()
    assert stream.flush() == []


# --- several people -------------------------------------------------------------------------------


def test_several_people_do_not_see_each_other(live):
    tracks = [detected(), detected(0.3) + (300, 0)]
    tracks[0][:4] = np.nan  # comes later
    together = live(people=2)
    alone = [live() for _ in tracks]
    for number, poses in enumerate(zip(*tracks, strict=True)):
        if number == 8:
            together.reset(1)
            alone[1].reset()
        frame = together.push(np.stack(poses))
        each = [stream.push(pose) for stream, pose in zip(alone, poses, strict=True)]
        assert frame.number == number and frame.keypoints.shape == (2, 28, 2)
        for i, one in enumerate(each):
            np.testing.assert_allclose(frame.keypoints[i], one.keypoints, atol=1e-2)
            np.testing.assert_array_equal(frame.provenance[i], one.provenance)
        if number == 12:
            break


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"people": 0}, "people must be at least 1, not 0"),
        ({"people": 2.5}, "people must be a whole number, not 2.5"),
        ({"delay": 1.5}, "delay must be a whole number, not 1.5"),
        ({"delay": 13}, "delay must be from 0 to 12 frames at this rate, not 13"),
        ({"delay": -1}, "delay must be from 0 to 12 frames at this rate, not -1"),
        ({"observed": "all"}, "observed must be"),
        ({"joints": "body25"}, "joints must be"),
        ({"fps": 1000.0}, "fps must be above 0 and at most 240"),
        ({"fps": 4.0}, "a live track needs 5 frames per second, not 4"),
        ({"skeleton": "octopus"}, "octopus"),
    ],
)
def test_options_that_make_no_sense(inpainter, options, message):
    with pytest.raises(InputError, match=message):
        inpainter.stream(**options)


def test_frames_that_make_no_sense(live):
    stream = live()
    with pytest.raises(InputError, match=r"keypoints must be \(28, 2\) and scores \(28,\) for"):
        stream.push(np.zeros((17, 2)))
    with pytest.raises(InputError, match="keypoints must be"):
        stream.push(detected()[0], np.ones(17))
    for keypoints in ("abc", [[1, 2], [3]]):
        with pytest.raises(InputError, match="keypoints must be an array of numbers"):
            stream.push(keypoints)
    for person in (1, -1, 5):
        with pytest.raises(InputError, match=f"person must be from 0 to 0, not {person}"):
            stream.reset(person)
    for time in (np.nan, np.inf, -np.inf, "1"):
        with pytest.raises(InputError, match=f"time must be a number of seconds, not {time}$"):
            stream.push(None, time=time)
    stream.push(None, time=1.0)
    for time, message in ((1.0, "must increase: 1 comes after 1$"), (np.nan, "not nan$")):
        with pytest.raises(InputError, match=message):
            stream.push(None, time=time)
    assert stream.push(None, time=1.04).number == 1  # nothing has happened
