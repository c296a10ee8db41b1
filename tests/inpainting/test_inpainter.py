"""The tool's main function: tracks in, whole tracks out."""

import dataclasses
import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from posegan_jax import formats
from posegan_jax.config import default_config, typed
from posegan_jax.errors import InputError
from posegan_jax.evaluation.noise import detect
from posegan_jax.geometry.body import HEAD, pose_size
from posegan_jax.geometry.camera import look_at, project
from posegan_jax.geometry.metrics import acceleration_error
from posegan_jax.geometry.moments import ResidualMoments
from posegan_jax.inpainting import solver as solver_module
from posegan_jax.inpainting.descent import descend
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.inpainting.residual import ResidualModel
from posegan_jax.inpainting.settings import QUALITIES, DescentOptions, Settings
from posegan_jax.inpainting.upright import turn
from posegan_jax.model.model import Model
from posegan_jax.model.networks import Networks, build_networks
from posegan_jax.model.options import NetworkOptions
from posegan_jax.model.store import about, load_packaged, save_params
from posegan_jax.motion.procedural import procedural_clips
from posegan_jax.pose.sequence import PoseFile, PoseSequence, Provenance
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton
from posegan_jax.training.checkpoints import Checkpoints
from posegan_jax.training.loop import model_of

MPI = get_skeleton("mpi_inf_3dhp")
CASES = Path(__file__).parent / "cases"
ACTIVITIES = (
    "standing", "walking", "running", "reaching", "waving", "squatting", "jumping jacks", "boxing"
)


# --- tracks whose truth is known ------------------------------------------------------------------


@functools.cache
def scene(activity="walking", frames=40):
    """(T, 28, 2) pixels of all joints, seen by a camera five metres away."""
    clip = next(c for c in procedural_clips("validation") if c.text == activity)
    motion = clip.positions[20 : 20 + frames]
    camera = look_at(0.5, 0.1, 5000.0, motion.mean(axis=(0, 1)), 0.0, 1500.0)
    return np.asarray(project(motion, camera)[0], np.float64) + (640, 360)


def head(truth):
    """(T, 1) head sizes."""
    top, neck = truth[:, MPI.index("head_top")], truth[:, MPI.index("neck")]
    return np.linalg.norm(top - neck, axis=-1)[:, None]


def seen_as(truth, skeleton="alphapose12"):
    """(T, K, 2) the joints that a detector's skeleton shares with the truth, NaN elsewhere."""
    source, destination, _ = MPI.map_to(get_skeleton(skeleton))
    keypoints = np.full((len(truth), len(get_skeleton(skeleton)), 2), np.nan)
    keypoints[:, destination] = truth[:, source]
    return keypoints


def detected(truth):
    """(T, 12, 2) the truth on the joints of alphapose12."""
    return seen_as(truth)


def with_holes(keypoints, share=0.3, seed=0):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(keypoints.shape[:2])[..., None] < share, np.nan, keypoints)


def track(keypoints, skeleton="alphapose12", **fields):
    return PoseSequence(keypoints, skeleton=skeleton, **fields)


@pytest.fixture(scope="module")
def inpainter():
    return Inpainter.from_pretrained()


@pytest.fixture(scope="module")
def fill(inpainter):
    """Completes a track, with the quality that takes the least time."""
    return functools.partial(inpainter, quality="fast")


@pytest.fixture(scope="module")
def holed():
    """A walking person, 30 % of the joints missing, with everything that a sequence can have."""
    rng = np.random.default_rng(1)
    keypoints = with_holes(detected(scene()))
    return track(
        keypoints, scores=rng.uniform(0.3, 1.0, keypoints.shape[:2]), fps=25.0,
        frames=np.arange(100, 140), person="p7",
    )


@pytest.fixture(scope="module")
def filled(fill, holed):
    return fill(holed)


@pytest.fixture(scope="module")
def whole(fill, holed):
    return fill(holed, joints="mpi_inf_3dhp")


# --- what comes back ------------------------------------------------------------------------------


def test_the_same_joints_are_filled(holed, filled):
    assert filled.skeleton == holed.skeleton and filled.person == "p7" and filled.fps == 25.0
    np.testing.assert_array_equal(filled.frames, holed.frames)
    assert np.isfinite(filled.keypoints).all()
    assert (filled.provenance[~holed.observed] == Provenance.FILLED).all()
    kinds = (Provenance.OBSERVED, Provenance.REFINED)
    assert np.isin(filled.provenance[holed.observed], kinds).all()


def test_what_was_filled_before_does_not_become_observed(fill, filled):
    again = fill(filled, observed="keep")
    np.testing.assert_array_equal(again.keypoints, filled.keypoints)
    np.testing.assert_array_equal(again.provenance, filled.provenance)
    assert (fill(filled, joints="mpi_inf_3dhp").provenance >= Provenance.REFINED).any()


def test_the_joints_of_another_skeleton_that_the_model_knows(fill, holed, whole):
    result = fill(holed, joints="h36m17")
    assert result.skeleton == "h36m17" and result.keypoints.shape == (40, 17, 2)
    there, here, _ = MPI.map_to(get_skeleton("h36m17"))
    for values, wanted in (
        (result.keypoints, whole.keypoints), (result.scores, whole.scores),
        (result.provenance, whole.provenance),
    ):
        np.testing.assert_array_equal(values[:, here], wanted[:, there])
    assert len(here) == 17


def test_all_28_joints(holed, filled, whole):
    assert whole.skeleton == "mpi_inf_3dhp" and whole.keypoints.shape == (40, 28, 2)
    assert whole.person == "p7" and whole.fps == 25.0
    np.testing.assert_array_equal(whole.frames, holed.frames)
    assert np.isfinite(whole.keypoints).all()
    upsampled = [joint not in DETECTED_12 for joint in MPI.joints]
    assert (whole.provenance[:, upsampled] == Provenance.FILLED).all()
    # The twelve are the same, whatever else is asked for.
    np.testing.assert_array_equal(detected(whole.keypoints), filled.keypoints)


def test_scores_are_probabilities_and_observed_joints_keep_theirs(holed, whole, filled):
    assert (whole.scores > 0).all() and (whole.scores <= 1).all()
    kept = filled.provenance == Provenance.OBSERVED
    assert kept.any()
    np.testing.assert_array_equal(filled.scores[kept], holed.scores[kept])


def test_filled_joints_are_near_the_truth(holed, filled, whole):
    truth = scene()
    holes = ~holed.observed
    off = np.linalg.norm(filled.keypoints - detected(truth), axis=-1)[holes].mean()
    held = np.nanmean(holed.keypoints, axis=0, keepdims=True)
    nothing = np.linalg.norm(held - detected(truth), axis=-1)[holes].mean()
    assert off < 0.2 * nothing
    upsampled = np.array([joint not in DETECTED_12 for joint in MPI.joints])
    distance = np.linalg.norm(whole.keypoints - truth, axis=-1) / head(truth)
    assert distance[:, upsampled].mean() < 0.3


@pytest.mark.parametrize("activity", ["running", "boxing"])
def test_a_limb_that_is_hidden_for_a_while(fill, activity):
    truth = scene(activity)
    keypoints = detected(truth)
    joints = [DETECTED_12.index(f"left_{part}") for part in ("elbow", "wrist")]
    keypoints[12:22, joints] = np.nan
    result = fill(track(keypoints))
    off, nothing = (
        np.linalg.norm(x - detected(truth), axis=-1)[12:22, joints].mean()
        for x in (result.keypoints, np.nanmean(keypoints, axis=0, keepdims=True))
    )
    assert off < 0.7 * nothing


@pytest.mark.parametrize("activity", ["walking", "running", "jumping jacks"])
def test_the_middle_of_a_hole_is_known_less_well_and_says_so(fill, activity):
    keypoints = detected(scene(activity))
    joints = [DETECTED_12.index(f"left_{part}") for part in ("elbow", "wrist")]
    keypoints[12:22, joints] = np.nan
    score = fill(track(keypoints)).scores[12:22, joints].mean(axis=1)
    assert score[[0, -1]].min() > score[4:6].max() + 0.002


def test_the_same_input_gives_the_same_output(fill, holed, filled):
    again = fill(holed)
    np.testing.assert_array_equal(again.keypoints, filled.keypoints)
    np.testing.assert_array_equal(again.scores, filled.scores)


# --- observed joints ------------------------------------------------------------------------------


def test_best_solves_every_second_window_as_its_mirror_image(inpainter, holed):
    """Who returns windows as they came gets what there would be without mirrors."""
    results, asked = [], []
    for mirror in (False, True):
        settings = dataclasses.replace(QUALITIES["best"], mirror=mirror)
        steps, sent = inpainter.completer.steps(holed, "mpi_inf_3dhp", settings), None
        try:
            while True:
                request = steps.send(sent)
                asked.append(request)
                sent = request.x, np.zeros(len(request.x))
        except StopIteration as end:
            results.append(end.value.keypoints)
    np.testing.assert_allclose(results[0], results[1], atol=1e-9)
    plain, turned = asked[len(asked) // 2 - 1], asked[-1]
    left, right = (MPI.index(f"{side}_wrist") for side in ("left", "right"))
    np.testing.assert_array_equal(turned.x[::2], plain.x[::2])
    np.testing.assert_array_equal(turned.mask[1::2, :, left], plain.mask[1::2, :, right])
    np.testing.assert_array_equal(turned.x[1::2, :, left, 0], -plain.x[1::2, :, right, 0])
    np.testing.assert_array_equal(turned.x[1::2, :, left, 1], plain.x[1::2, :, right, 1])


def test_keep_leaves_every_observed_joint_exactly_as_it_is(fill, holed):
    rng = np.random.default_rng(2)
    noisy = holed.keypoints + rng.normal(0, 8, holed.keypoints.shape)
    noisy[20, 3] += 300  # an outlier is an observation too
    sequence = holed.replace(keypoints=noisy)
    for joints in ("same", "mpi_inf_3dhp"):
        result = fill(sequence, joints=joints, observed="keep")
        keypoints, scores, provenance = result.keypoints, result.scores, result.provenance
        if joints == "mpi_inf_3dhp":
            source, place, _ = get_skeleton("alphapose12").map_to(MPI)
            order = place[np.argsort(source)]
            keypoints, scores, provenance = (
                a[:, order] for a in (keypoints, scores, provenance)
            )
        seen = sequence.observed
        np.testing.assert_array_equal(keypoints[seen], noisy[seen])
        np.testing.assert_array_equal(scores[seen], sequence.scores[seen])
        assert (provenance[seen] == Provenance.OBSERVED).all()
        assert (provenance[~seen] == Provenance.FILLED).all()


@pytest.mark.parametrize("activity", ACTIVITIES)
def test_auto_leaves_clean_joints_alone(fill, activity):
    sequence = track(detected(scene(activity)), scores=np.full((40, 12), 0.7))
    result = fill(sequence, repair_sides=False)
    np.testing.assert_array_equal(result.keypoints, sequence.keypoints)
    np.testing.assert_array_equal(result.scores, sequence.scores)
    assert (result.provenance == Provenance.OBSERVED).all()
    # Hands that pass each other may be taken for exchanged ones, hardly ever.
    repaired = fill(sequence)
    changed = (repaired.keypoints != sequence.keypoints).any(-1)
    assert changed.mean() < 0.01
    np.testing.assert_array_equal(repaired.provenance == Provenance.REFINED, changed)
    mirrored = sequence.keypoints[:, list(get_skeleton("alphapose12").mirror)]
    np.testing.assert_array_equal(repaired.keypoints[changed], mirrored[changed])


@pytest.mark.parametrize("observed", ["refine", "auto"])
@pytest.mark.parametrize("activity", ["walking", "squatting"])
def test_jitter_is_taken_away(fill, activity, observed):
    truth = scene(activity)
    rng = np.random.default_rng(3)
    noise = 0.1 * head(truth)[..., None] * rng.normal(size=(40, 12, 2))
    noisy = detected(truth) + noise
    result = fill(track(noisy), observed=observed)
    assert (result.provenance == Provenance.REFINED).all()
    before, after = (
        float(acceleration_error(detected(truth), x)) for x in (noisy, result.keypoints)
    )
    assert after < 0.4 * before
    off = np.linalg.norm(result.keypoints - detected(truth), axis=-1).mean()
    assert off < 0.8 * np.linalg.norm(noise, axis=-1).mean()


@pytest.mark.parametrize("activity", ["walking", "waving"])
def test_a_detectors_errors_are_taken_off(fill, activity):
    """Misses, swaps, exchanged sides, drift: the whole of what the simulated detector does."""
    truth = scene(activity)
    before, after = [], []
    for seed in range(2):
        found = detect(truth, MPI, np.random.default_rng(seed))
        source, place, _ = get_skeleton("alphapose12").map_to(MPI)
        order = place[np.argsort(source)]
        sequence = track(found.keypoints[:, order], scores=found.scores[:, order])
        result = fill(sequence)
        for errors, x in ((before, sequence), (after, result)):
            off = np.linalg.norm(x.keypoints - detected(truth), axis=-1) / head(truth)
            errors.append((off.mean(), float(acceleration_error(detected(truth), x.keypoints))))
        assert (result.provenance == Provenance.REFINED).mean() > 0.95
    (error, shake), (less, calmer) = np.mean(before, axis=0), np.mean(after, axis=0)
    assert less < 0.75 * error and calmer < 0.3 * shake


@pytest.mark.parametrize("activity, least", [("walking", 0.7), ("waving", 1.0)])
def test_less_certain_joints_count_less(fill, activity, least):
    """A waving hand's own path shows the error whatever the score, so that it adds little."""
    truth = scene(activity)
    keypoints = detected(truth) + 3 * np.random.default_rng(6).normal(size=(40, 12, 2))
    wrist = DETECTED_12.index("right_wrist")
    keypoints[12:18, wrist] -= (0, 0.8 * head(truth)[20, 0])
    off = []
    for score in (0.9, 0.1):
        scores = np.full((40, 12), 0.9)
        scores[12:18, wrist] = score
        result = fill(track(keypoints, scores=scores))
        off.append(np.linalg.norm(result.keypoints - detected(truth), axis=-1)[12:18, wrist].mean())
    assert off[1] < least * off[0] and off[1] < 0.4 * head(truth)[20, 0]


def test_a_kick_is_no_error(fill):
    """The networks have not seen such a motion, which is fast but smooth: the foot stays."""
    kick = formats.read(CASES / "kick.json")[0].replace(fps=30.0)
    truth = np.array(json.loads((CASES / "true_right_ankle.json").read_text()))
    torso = 117.0
    result = fill(kick)
    moved = np.linalg.norm(result.keypoints - kick.keypoints, axis=-1)
    assert moved.max() < 20.0
    ankle = get_skeleton(kick.skeleton).index("right_ankle")
    assert np.linalg.norm(result.keypoints[:, ankle] - truth, axis=-1).max() < 0.2 * torso
    assert (result.scores[moved > 0.5 * HEAD * pose_size(kick.keypoints)[:, None]] < 0.9).all()
    assert np.median(moved) < 3.0


def outliers():
    """(40, 12) of what is put wrong in a walking person's frames, one after another."""
    wrist = DETECTED_12.index("right_wrist")
    knees = [j for j, joint in enumerate(DETECTED_12) if joint.endswith("knee")]
    wrong = {name: np.zeros((40, 12), bool) for name in ("a joint", "two", "all", "near an end")}
    wrong["a joint"][20, wrist] = True
    wrong["two"][15:17, knees] = True
    wrong["all"][25] = True
    wrong["near an end"][1, wrist] = True
    return wrong


@pytest.mark.parametrize("name", outliers())
def test_auto_replaces_what_all_others_contradict(fill, name):
    truth, wrong = scene(), outliers()[name]
    keypoints = detected(truth)
    keypoints[wrong] += (4 * head(truth)[20, 0], 0)
    result = fill(track(keypoints))
    off = np.linalg.norm(result.keypoints - detected(truth), axis=-1) / head(truth)
    assert off[wrong].max() < 0.5 and off[wrong].mean() < 0.25
    # All that is exact stays so.
    assert (off[~wrong] == 0).all()
    wanted = np.where(wrong, Provenance.REFINED, Provenance.OBSERVED)
    np.testing.assert_array_equal(result.provenance, wanted)


def test_exchanged_sides_are_put_right(fill):
    truth = detected(scene("jumping jacks"))
    mirror = list(get_skeleton("alphapose12").mirror)
    legs = [j for j, joint in enumerate(DETECTED_12) if joint.endswith(("knee", "ankle"))]
    crossed = np.zeros((40, 12), bool)
    crossed[14:21, legs] = True
    scores = np.random.default_rng(7).uniform(0.6, 0.8, (40, 12))
    wrong = np.where(crossed[..., None], truth[:, mirror], truth)
    mixed = np.where(crossed, scores[:, mirror], scores)
    sequence = track(wrong, scores=mixed)
    result = fill(sequence)
    np.testing.assert_array_equal(result.keypoints, truth)
    np.testing.assert_array_equal(result.scores, scores)
    wanted = np.where(crossed, Provenance.REFINED, Provenance.OBSERVED)
    np.testing.assert_array_equal(result.provenance, wanted)
    assert result.sides == tuple(range(14, 21)) and sequence.sides == ()
    later = fill(sequence.replace(frames=np.r_[100:130, 300:310]))  # cut, none in its second part
    assert later.sides == tuple(range(114, 121))
    kept = fill(sequence, observed="keep")
    assert kept.sides == fill(sequence, repair_sides=False).sides == ()
    np.testing.assert_array_equal(kept.keypoints, wrong)
    np.testing.assert_array_equal(kept.scores, mixed)
    # Below 20 frames per second people go as far in a frame as their feet are apart.
    slow = fill(sequence.replace(fps=12.5))
    assert not (slow.keypoints[crossed] == truth[crossed]).any()


def test_sides_are_left_as_they_are_on_demand(fill):
    truth = detected(scene("jumping jacks"))
    mirror = list(get_skeleton("alphapose12").mirror)
    wrong = truth.copy()
    wrong[10:25] = wrong[10:25][:, mirror]
    right, left = (fill(track(wrong), repair_sides=repair) for repair in (True, False))
    np.testing.assert_array_equal(right.keypoints, truth)
    np.testing.assert_array_equal(left.keypoints, wrong)
    assert (left.provenance == Provenance.OBSERVED).all()


# --- frames ---------------------------------------------------------------------------------------


def test_absent_frames_get_rows(fill):
    truth = scene()
    rows = np.r_[0:10, 16:40]
    result = fill(track(detected(truth)[rows], frames=1000 + rows))
    np.testing.assert_array_equal(result.frames, 1000 + np.arange(40))
    assert np.isfinite(result.keypoints).all()
    assert (result.provenance[10:16] == Provenance.FILLED).all()
    off = np.linalg.norm(result.keypoints - detected(truth), axis=-1) / head(truth)
    assert off[10:16].mean() < 0.5


def test_frames_far_from_everything_stay_missing(fill):
    keypoints = detected(scene())
    frames = np.r_[0:20, 120:140]
    result = fill(track(keypoints, frames=frames), bridge=5.0)
    assert len(result) == 140
    distance = np.abs(np.arange(140)[:, None] - frames).min(axis=1)
    missing = np.isnan(result.keypoints).all(axis=(1, 2))
    assert missing[distance > 24].all() and not missing[distance <= 11].any()
    # No frame is filled in part, and what is not filled has neither score nor source.
    np.testing.assert_array_equal(missing, np.isnan(result.keypoints).any(axis=(1, 2)))
    assert (result.provenance[missing] == Provenance.UNKNOWN).all()
    assert (result.scores[missing] == 0).all()
    near = ~missing & (distance > 0)
    assert near.any() and (result.provenance[near] == Provenance.FILLED).all()


def test_long_gaps_are_not_filled_and_their_ends_do_not_know_of_each_other(fill):
    keypoints = detected(scene())
    keypoints[3:7, 4], keypoints[30:36, 9] = np.nan, np.nan
    result = fill(track(keypoints, frames=np.r_[0:20, 70:90]))
    assert result.frames.tolist() == [*range(20), *range(70, 90)]
    assert np.isfinite(result.keypoints).all()
    far = fill(track(keypoints, frames=np.r_[0:20, 1_000_000_020:1_000_000_040]))
    np.testing.assert_array_equal(far.keypoints, result.keypoints)
    np.testing.assert_allclose(
        result.keypoints[:20], fill(track(keypoints[:20])).keypoints,
        atol=0.05 * head(scene()).mean(),
    )


def stretch(activity, seed, noise):
    """A track of 40 frames with all that is told of a whole one: scores, jitter, holes, a joint
    that is somewhere else for some frames, a limb that is never seen, and exchanged sides."""
    rng = np.random.default_rng(seed)
    keypoints = with_holes(detected(scene(activity)), 0.2, seed)
    keypoints += rng.normal(0, noise, keypoints.shape)
    joints = {name: get_skeleton("alphapose12").index(name) for name in (
        "left_wrist", "right_wrist", "left_knee", "right_knee", "left_ankle", "right_ankle")}
    keypoints[12:20, joints["left_wrist"]] += (90.0, 60.0)
    for part in ("knee", "ankle"):
        pair = [joints[f"left_{part}"], joints[f"right_{part}"]]
        keypoints[25:33, pair] = keypoints[25:33, pair[::-1]]
    if seed:
        keypoints[:, joints["right_wrist"]] = np.nan
    scores = rng.uniform(0.2, 1.0, keypoints.shape[:2]) * (0.4 if seed else 1.0)
    return keypoints, np.where(np.isnan(keypoints[..., 0]), 0.0, scores)


@pytest.mark.parametrize("fps", [25.0, 50.0])
@pytest.mark.parametrize("cut", ["gap", "jump"])
@pytest.mark.parametrize("quality", ["balanced", "thesis"])
def test_every_stretch_comes_out_as_a_file_of_its_own(inpainter, quality, cut, fps):
    """Of a noisy detector, of an exact one, and with the two together in one track."""
    options = {"quality": quality, "steps": 2}
    for noises in ((3.0, 3.0), (0.0, 0.0), (0.0, 5.0)):
        parts = [stretch(*of) for of in zip(("walking", "boxing"), (0, 1), noises, strict=True)]
        frames = [np.arange(40), np.arange(40) + (131 if cut == "gap" else 40)]
        if cut == "jump":
            parts[1][0][...] += (1500.0, 0.0)
        together = inpainter(PoseSequence(
            np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]), fps,
            "alphapose12", np.concatenate(frames),
        ), **options)
        for part, at, rows in zip(parts, frames, (slice(0, 40), slice(40, 80)), strict=True):
            own = inpainter(PoseSequence(*part, fps, "alphapose12", at), **options)
            np.testing.assert_allclose(together.keypoints[rows], own.keypoints, atol=1e-3)
            np.testing.assert_allclose(together.scores[rows], own.scores, atol=1e-4)
            np.testing.assert_array_equal(together.provenance[rows], own.provenance)


def test_a_stretch_in_which_nothing_can_be_begun_stays_as_it_was_seen(fill):
    keypoints = detected(scene())
    keypoints[30:, 1:] = np.nan  # a joint alone
    result = fill(track(keypoints, frames=np.r_[0:30, 200:210]))
    assert np.isfinite(result.keypoints[:30]).all()
    np.testing.assert_array_equal(result.keypoints[30:], keypoints[30:])
    assert (result.provenance[30:, 0] == Provenance.OBSERVED).all()


def test_a_short_stretch_is_smoothed_as_much_as_the_detector_errs_in_the_others(fill):
    keypoints = detected(scene()) + np.random.default_rng(0).normal(0, 5, (40, 12, 2))
    result = fill(track(keypoints, frames=np.r_[0:34, 200:206]))
    assert (result.provenance == Provenance.REFINED).all()
    assert (fill(track(keypoints[34:])).provenance == Provenance.OBSERVED).all()


def test_nothing_is_made_of_what_was_hardly_seen(fill):
    frames = np.r_[0:2, 12:15]
    result = fill(track(detected(scene())[: len(frames)], frames=frames))
    assert result.frames.tolist() == frames.tolist()
    assert len(fill(track(detected(scene())[:5], frames=frames), bridge=1.0)) == 15


def test_people_of_two_sizes_under_one_id_stay_as_they_were_seen(fill):
    small, large = detected(scene()), 4 * detected(scene())
    keypoints = np.concatenate([small[:20], large[20:]])
    keypoints -= np.nanmean(keypoints, axis=1, keepdims=True)
    result = fill(track(keypoints))
    np.testing.assert_array_equal(result.keypoints, keypoints)
    assert (result.provenance == Provenance.OBSERVED).all()


def refilmed(fps, frames=60):
    """The walking person, (T, 28, 2), filmed at another rate."""
    truth = scene(frames=frames)
    time = np.arange(0, (frames - 1) / 25, 1 / fps)
    return CubicSpline(np.arange(frames) / 25, truth)(time)


@pytest.mark.parametrize("fps", [12.5, 50.0, 60.0])
def test_every_frame_of_a_video_of_another_rate_gets_its_answer(fill, fps):
    truth = refilmed(fps)
    keypoints = with_holes(detected(truth))
    result = fill(track(keypoints, fps=fps), joints="mpi_inf_3dhp", observed="keep")
    assert len(result) == len(truth) and result.fps == fps
    assert np.isfinite(result.keypoints).all()
    seen = np.isfinite(keypoints[..., 0])
    np.testing.assert_array_equal(detected(result.keypoints)[seen], keypoints[seen])
    off = np.linalg.norm(result.keypoints - truth, axis=-1) / head(truth)
    twelve = np.array([joint in DETECTED_12 for joint in MPI.joints])
    assert off[:, ~twelve].mean() < 0.3
    assert np.linalg.norm(detected(result.keypoints) - detected(truth), axis=-1)[~seen].mean() < (
        0.1 * head(truth).mean() * max(25 / fps, 1)
    )


def test_phases_of_a_fast_video_do_not_flicker(fill):
    """Joints that were never seen come from two tracks that know nothing of each other."""
    truth = refilmed(50.0)
    result = fill(track(detected(truth), fps=50.0), joints="mpi_inf_3dhp")
    upsampled = np.array([joint not in DETECTED_12 for joint in MPI.joints])
    shake = np.abs(np.diff(result.keypoints - truth, n=2, axis=0))[:, upsampled].mean()
    slow = fill(track(detected(scene(frames=60)), fps=25.0), joints="mpi_inf_3dhp")
    least = np.abs(np.diff(slow.keypoints - scene(frames=60), n=2, axis=0))[:, upsampled].mean()
    assert shake < least


def test_frames_that_a_fast_videos_detector_left_out(fill):
    truth = refilmed(50.0)
    seen = np.arange(0, len(truth), 2)
    result = fill(track(detected(truth)[seen], frames=seen, fps=50.0))
    assert len(result) == seen[-1] + 1 and np.isfinite(result.keypoints).all()
    off = np.linalg.norm(result.keypoints - detected(truth)[: len(result)], axis=-1)
    assert (off / head(truth)[: len(result)]).mean() < 0.05


def test_two_joints_anywhere_within_a_window_are_enough(inpainter):
    keypoints = np.full((60, 12, 2), np.nan)
    keypoints[11, 0], keypoints[34, 5] = (1.0, 2.0), (3.0, 4.0)
    assert inpainter.can_complete(track(keypoints), bridge=1.0)
    assert not inpainter.can_complete(track(keypoints))  # a gap of which nothing tells
    keypoints[35, 5], keypoints[34, 5] = (3.0, 4.0), np.nan
    assert not inpainter.can_complete(track(keypoints), bridge=1.0)


def test_where_one_joint_is_all_that_is_seen_nothing_is_filled(fill):
    keypoints = detected(scene(frames=100))
    wrist = DETECTED_12.index("right_wrist")
    keypoints[30:] = np.where(np.arange(12)[:, None] == wrist, keypoints[30:], np.nan)
    keypoints[90:] = np.nan
    result = fill(track(keypoints, frames=np.arange(100)), observed="keep")
    np.testing.assert_array_equal(result.keypoints[60:], keypoints[60:])
    assert np.isfinite(result.keypoints[:35]).all()


def test_impossible_rates_are_refused(fill):
    with pytest.raises(InputError, match="fps must be above 0 and at most 240"):
        fill(track(detected(scene()), fps=1000.0))


@pytest.mark.parametrize("fps", [2.5, 1.0, 0.2])
def test_slow_videos_are_filled_as_far_as_that_goes(fill, fps):
    truth = detected(scene(frames=100))[:: max(round(25 / fps), 1)][:8]
    keypoints = np.tile(truth, (8 // len(truth) + 1, 1, 1))[:8]
    truth, keypoints = keypoints, keypoints.copy()
    keypoints[:, DETECTED_12.index("left_knee")] = np.nan
    keypoints[3, DETECTED_12.index("right_elbow")] = np.nan
    result = fill(track(keypoints, fps=fps))
    seen = np.isfinite(keypoints)
    assert len(result) == 8 and np.isfinite(result.keypoints).all()
    np.testing.assert_array_equal(result.keypoints[seen], keypoints[seen])
    off = np.linalg.norm(result.keypoints - truth, axis=-1)[~seen.all(-1)]
    assert off.mean() < 0.5 * head(scene()).mean()


@pytest.mark.parametrize("frames", [1, 2, 5, 23, 24, 25])
def test_short_tracks(fill, frames):
    truth = scene()[:frames]
    keypoints = detected(truth)
    knee = DETECTED_12.index("left_knee")
    keypoints[0, knee] = np.nan
    result = fill(track(keypoints), joints="mpi_inf_3dhp")
    assert len(result) == frames and np.isfinite(result.keypoints).all()
    assert result.provenance[0, MPI.index("left_knee")] == Provenance.FILLED
    off = np.linalg.norm(result.keypoints - truth, axis=-1) / head(truth)
    assert off.mean() < 0.5


# --- skeletons ------------------------------------------------------------------------------------


def test_joints_that_the_model_does_not_know_come_back_untouched(fill):
    coco = get_skeleton("coco17")
    keypoints = seen_as(scene(), "coco17")
    face = [coco.index(f) for f in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")]
    rng = np.random.default_rng(4)
    keypoints[:, face] = rng.uniform(0, 500, (40, 5, 2))  # anywhere: nobody looks at it
    keypoints[5:15, face[1]] = np.nan
    keypoints[8:12, coco.index("left_hip")] = np.nan
    sequence = track(keypoints, "coco17", scores=rng.uniform(0.2, 1, (40, 17)))
    result = fill(sequence, observed="refine")
    for name in ("keypoints", "scores", "provenance"):
        np.testing.assert_array_equal(
            getattr(result, name)[:, face], getattr(sequence, name)[:, face]
        )
    assert np.isfinite(result.keypoints[:, 5:]).all()
    # They do not change what is made of the others either.
    blind = np.where(np.isin(np.arange(17), face)[:, None], np.nan, keypoints)
    without = fill(sequence.replace(keypoints=blind), observed="refine")
    np.testing.assert_array_equal(without.keypoints[:, 5:], result.keypoints[:, 5:])


@pytest.mark.parametrize("degrees", [90, 180, -110])
def test_a_picture_on_its_side_is_completed_as_if_it_stood(fill, degrees):
    """With legs that are never seen, and holes in what is."""
    truth, angle = scene(), np.deg2rad(degrees)
    keypoints = with_holes(detected(truth))
    keypoints[:, [DETECTED_12.index(joint) for joint in ("left_knee", "left_ankle")]] = np.nan
    upright = fill(track(keypoints), joints="mpi_inf_3dhp")
    turned = track(turn(keypoints, angle))
    result = fill(turned, joints="mpi_inf_3dhp")
    off = np.linalg.norm(turn(result.keypoints, -angle) - upright.keypoints, axis=-1) / head(truth)
    assert off.mean() < 0.02 and off.max() < 0.1  # not turned: .12 to .32, and 1 to 2.3
    there = result.provenance == Provenance.OBSERVED
    assert there.sum() == np.isfinite(keypoints[..., 0]).sum()
    places = np.full_like(result.keypoints, np.nan)
    at = [MPI.index(joint) for joint in DETECTED_12]
    places[:, at] = turned.keypoints
    np.testing.assert_array_equal(result.keypoints[there], places[there])


def test_midpoints_of_body25_are_filled_with_midpoints(fill):
    body = get_skeleton("body25")
    keypoints = seen_as(scene(), "body25")
    keypoints[10:20, body.index("left_hip")] = np.nan
    hip, shoulder = body.index("mid_hip"), body.index("mid_shoulder")
    keypoints[3, shoulder] = (123.0, 45.0)
    result = fill(track(keypoints, "body25"))
    for middle, part in ((hip, "hip"), (shoulder, "shoulder")):
        ends = [body.index(f"{side}_{part}") for side in ("left", "right")]
        holes = np.isnan(keypoints[:, middle, 0])
        np.testing.assert_allclose(
            result.keypoints[holes, middle], result.keypoints[holes][:, ends].mean(axis=1)
        )
        assert (result.provenance[holes, middle] == Provenance.FILLED).all()
        assert (result.scores[holes, middle] > 0).all()
    assert tuple(result.keypoints[3, shoulder]) == (123.0, 45.0)
    assert result.provenance[3, shoulder] == Provenance.OBSERVED


def test_joints_beyond_the_twelve_are_not_looked_at_but_kept(fill):
    """A detector's neck and head are not quite those of the model."""
    halpe = get_skeleton("halpe26")
    keypoints = seen_as(scene(), "halpe26")
    shared = [halpe.index(name) for name in ("head_top", "neck", "pelvis")]
    result = fill(track(keypoints, "halpe26"), observed="keep")
    np.testing.assert_array_equal(result.keypoints[:, shared], keypoints[:, shared])
    assert np.isfinite(result.keypoints[:, [halpe.index(n) for n in DETECTED_12]]).all()


def test_joints_beyond_the_twelve_are_refined_with_them(fill):
    halpe = get_skeleton("halpe26")
    truth = seen_as(scene(), "halpe26")
    keypoints = truth + np.random.default_rng(8).normal(0, 6, truth.shape)
    keypoints[5:9, halpe.index("neck")] = np.nan
    result = fill(track(keypoints, "halpe26"))
    shared = [halpe.index(name) for name in ("head_top", "neck", "pelvis")]
    assert np.isfinite(result.keypoints[:, shared]).all()
    seen = np.isfinite(keypoints[:, shared, 0])
    assert (result.provenance[:, shared][seen] == Provenance.REFINED).all()
    assert (result.provenance[:, shared][~seen] == Provenance.FILLED).all()
    shake, still = (np.nanmean(np.abs(np.diff(x[:, shared], 2, axis=0)))
                    for x in (keypoints - truth, result.keypoints - truth))
    assert still < 0.3 * shake


# --- where and how large --------------------------------------------------------------------------


def test_moving_and_scaling_the_input_moves_and_scales_the_output(inpainter, holed):
    arguments = dict(joints="mpi_inf_3dhp", quality="fast", steps=2)
    here = inpainter(holed, **arguments)
    moved = holed.replace(keypoints=0.37 * holed.keypoints + (2000.0, -350.0))
    there = inpainter(moved, **arguments)
    size = np.ptp(holed.keypoints[np.isfinite(holed.keypoints)])
    np.testing.assert_allclose(
        (there.keypoints - (2000.0, -350.0)) / 0.37, here.keypoints, atol=2e-3 * size
    )
    np.testing.assert_array_equal(there.provenance, here.provenance)
    np.testing.assert_allclose(there.scores, here.scores, atol=0.02)


def test_far_from_the_origin_nothing_gets_lost(inpainter, holed):
    """Single precision has steps of .06 pixels at a million."""
    here = inpainter(holed, quality="fast")
    there = inpainter(holed.replace(keypoints=holed.keypoints + 1e6), quality="fast")
    np.testing.assert_allclose(there.keypoints - 1e6, here.keypoints, atol=1e-3)
    np.testing.assert_allclose(there.scores, here.scores, atol=1e-5)


# --- options --------------------------------------------------------------------------------------


@pytest.fixture
def searches(inpainter, monkeypatch):
    """Windows, masks and options of every search."""
    found = []
    search = inpainter.search

    def spy(x, mask, options, progress=None):
        found.append((x, mask, options))
        return search(x, mask, dataclasses.replace(options, steps=0), progress)

    monkeypatch.setattr(inpainter, "search", spy)
    return found


def test_shift_and_steps_override_the_quality(inpainter, searches):
    sequence = track(detected(scene()))
    settings = dataclasses.replace(QUALITIES["fast"], carry_residual=False)
    for shift in (1, 5, 24):
        inpainter(sequence, settings=settings, shift=shift)
    assert [len(x) for x, _, _ in searches] == [17, 5, 2]
    assert all(options == settings.descent for _, _, options in searches)
    inpainter(sequence, settings=settings, steps=7)
    assert searches[-1][2] == dataclasses.replace(settings.descent, steps=7)


def test_windows_are_those_of_the_thesiss_figure_5(inpainter, searches):
    keypoints = detected(scene(frames=68))
    done = []
    settings = dataclasses.replace(QUALITIES["fast"], carry_residual=False)
    inpainter(
        track(keypoints), settings=settings, shift=8,
        progress=lambda *numbers: done.append(numbers),
    )
    x, mask, _ = searches[0]
    source, place, _ = get_skeleton("alphapose12").map_to(MPI)
    assert x.shape == (7, 24, 28, 2) and mask.sum() == 7 * 24 * 12
    for window, first in zip(x, (0, 8, 16, 24, 32, 40, 44), strict=True):
        seen = keypoints[first : first + 24, source]
        np.testing.assert_allclose(window[:, place], seen - seen.mean(axis=(0, 1)), atol=1e-9)
    assert done == [(7, 7)]


def test_windows_with_nothing_to_start_from_are_left_out(inpainter, searches):
    keypoints = detected(scene())
    settings = dataclasses.replace(QUALITIES["fast"], carry_residual=False)
    inpainter(track(keypoints, frames=np.r_[0:20, 220:240]), settings=settings, shift=12)
    _, mask, _ = searches[0]
    assert (mask.any(axis=1).sum(axis=1) >= 2).all() and len(mask) < 8


def test_without_the_residual_the_generated_motion_comes_back_alone(inpainter, holed):
    for how in ("nearest", "blend"):
        settings = Settings(8, QUALITIES["fast"].descent, how, carry_residual=False)
        result = inpainter(holed, joints="mpi_inf_3dhp", settings=settings)
        assert np.isfinite(result.keypoints).all()
        assert not (result.provenance == Provenance.OBSERVED).any()
        off = np.linalg.norm(result.keypoints - scene(), axis=-1) / head(scene())
        assert 0.02 < off.mean() < 0.5


@pytest.mark.parametrize(
    "options, named",
    [
        (dict(joints="coco17"), "joints.*coco17"),
        (dict(quality="finest"), "quality.*fast.*finest"),
        (dict(observed="ignore"), "observed.*keep.*ignore"),
        (dict(shift=0), "shift must be 1 or more, not 0"),
        (dict(shift=25), "shift.*25"),
        (dict(steps=-1), "steps.*-1"),
        (dict(steps=1.5), "steps must be a whole number, not 1.5"),
        (dict(steps="3"), "steps must be a whole number, not '3'"),
        (dict(shift=1.5), "shift must be a whole number, not 1.5"),
    ],
)
def test_wrong_options_are_named(inpainter, holed, options, named):
    with pytest.raises(InputError, match=named) as caught:
        inpainter(holed, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("several", [list, np.array, lambda people: PoseFile(people, "npz")])
def test_one_sequence_at_a_time(inpainter, several):
    people = several((track(detected(scene())),))
    for use in (inpainter, inpainter.can_complete):
        with pytest.raises(InputError, match=f"one PoseSequence .*, not a {type(people).__name__}"):
            use(people)


def nothing_to_start_from():
    coco = get_skeleton("coco17")
    face = np.full((30, 17, 2), np.nan)
    face[:, : coco.index("left_shoulder")] = 50.0
    single = np.full((30, 12, 2), np.nan)
    single[7, 3] = 50.0
    moving = np.full((30, 12, 2), np.nan)
    moving[:, 3] = 300 + 40 * np.sin(np.arange(30) / 4)[:, None]
    return {
        "no frames": track(np.zeros((0, 12, 2))),
        "all missing": track(np.full((30, 12, 2), np.nan)),
        "a face": track(face, "coco17"),
        "one joint once": track(single, person=9),
        "one joint that moves": track(moving, person="p7"),
        "all joints at one point": track(np.full((30, 12, 2), 300.1)),
        "all joints at one point that moves": track(np.repeat(moving[:, [3]], 12, axis=1)),
    }


@pytest.mark.parametrize("name", nothing_to_start_from())
def test_a_track_without_usable_joints_is_refused(inpainter, name):
    sequence = nothing_to_start_from()[name]
    assert not inpainter.can_complete(sequence)
    with pytest.raises(InputError, match="nothing to start from") as caught:
        inpainter(sequence)
    assert "\n" not in str(caught.value) and "left_shoulder" in str(caught.value)
    assert str(sequence.person) in str(caught.value)


def test_two_joints_are_enough(fill, inpainter):
    keypoints = np.full((24, 12, 2), np.nan)
    keypoints[:9, 0], keypoints[9:, 5] = (100.0, 100.0), (150.0, 300.0)
    assert inpainter.can_complete(track(keypoints))
    result = fill(track(keypoints), observed="keep")
    assert np.isfinite(result.keypoints).all()
    apart = track(keypoints[[3, 9]], frames=[3, 63])  # further than a window is long
    assert not inpainter.can_complete(apart)


# --- windows and batches --------------------------------------------------------------------------


class Generator:
    """Stands in for the networks where only shapes matter: a linear map."""

    def apply(self, kernel, z):
        return jnp.tanh(z @ kernel).reshape(-1, 8, 12, 2)


class Critic:
    def apply(self, kernel, x):
        return x.reshape(len(x), -1) @ kernel


class Encoder:
    def apply(self, kernel, x, mask):
        return (x * mask[..., None]).reshape(len(x), -1) @ kernel


SMALL = NetworkOptions(skeleton="alphapose12", frames=8, latent=8)
THESIS = Settings(4, DescentOptions(steps=3), "nearest", carry_residual=False)


@pytest.fixture(scope="module")
def linear():
    """An inpainter of linear maps, windows of 8 frames of 12 joints, 4 at a time."""
    rng = np.random.default_rng(0)
    shapes = {"generator": (8, 192), "discriminator": (192,), "encoder": (192, 8)}
    variables = {n: rng.normal(0, s[0] ** -0.5, s).astype("f4") for n, s in shapes.items()}
    return of(Networks(Generator(), Critic(), Encoder(), SMALL), variables)


def of(networks, variables, batch=4):
    """An inpainter of any modules that take and give such windows."""
    inpainter = Inpainter(Model(SMALL, variables), batch)
    inpainter.solver = solver_module.Solver(networks, variables, batch)
    return inpainter


def test_the_search_is_compiled_once_whatever_the_length(linear, monkeypatch):
    traces = []

    def counting(*arguments):
        traces.append(arguments)
        return descend(*arguments)

    monkeypatch.setattr(solver_module, "descend", counting)
    new = DescentOptions(steps=2, learning_rate=0.123)  # that nobody has compiled yet
    settings = dataclasses.replace(THESIS, descent=new)
    rng = np.random.default_rng(5)
    for frames in (1, 10, 24, 68, 300):
        keypoints = with_holes(rng.normal(300, 50, (frames, 12, 2)), 0.2, frames)
        result = linear(track(keypoints), settings=settings)
        assert len(result) == frames and np.isfinite(result.keypoints).all()
    assert len(traces) == 1


def test_other_parameters_do_not_compile_again(linear, monkeypatch):
    sequence = track(np.random.default_rng(6).normal(300, 50, (10, 12, 2)))
    first = linear(sequence, settings=THESIS)
    monkeypatch.setattr(solver_module, "descend", None)  # would be called by another trace
    halved = {name: 0.5 * kernel for name, kernel in linear.variables.items()}
    other = of(linear.networks, halved)
    assert not np.allclose(other(sequence, settings=THESIS).keypoints, first.keypoints)


def test_batches_are_put_together_in_order(linear):
    rng = np.random.default_rng(7)
    x = rng.normal(300, 50, (11, 8, 12, 2))
    mask = (rng.random(x.shape[:3]) < 0.8).astype(float)
    done = []
    windows, loss = linear.search(x, mask, THESIS.descent, lambda *n: done.append(n))
    assert windows.shape == x.shape and loss.shape == (11,)
    assert done == [(4, 11), (8, 11), (11, 11)]
    order = rng.permutation(11)
    mixed, mixed_loss = linear.search(x[order], mask[order], THESIS.descent)
    np.testing.assert_array_equal(mixed, windows[order])
    np.testing.assert_array_equal(mixed_loss, loss[order])


def test_what_stands_at_missing_joints_does_not_matter(linear):
    rng = np.random.default_rng(8)
    x = rng.normal(300, 50, (4, 8, 12, 2))
    mask = (rng.random(x.shape[:3]) < 0.6).astype(float)
    garbage = np.where(mask[..., None] > 0, x, rng.normal(0, 1e4, x.shape))
    for a, b in zip(
        linear.search(x, mask, THESIS.descent), linear.search(garbage, mask, THESIS.descent),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="elsewhere sums have no fixed order")
def test_a_window_does_not_depend_on_its_companions():
    """Bit for bit, after 200 steps at a learning rate at which any difference would grow."""
    networks = build_networks(SMALL)
    inpainter = Inpainter(Model(SMALL, draw(networks)), batch=3)
    rng = np.random.default_rng(9)
    x = rng.normal(300, 50, (5, 8, 12, 2))
    mask = (rng.random(x.shape[:3]) < 0.7).astype(float)
    options = DescentOptions(steps=200, learning_rate=1.0)
    together, loss = inpainter.search(x, mask, options)
    for n in (0, 2, 4):
        alone, own_loss = inpainter.search(x[n : n + 1], mask[n : n + 1], options)
        np.testing.assert_array_equal(alone[0], together[n])
        assert own_loss[0] == loss[n]
    shifted, _ = inpainter.search(x[1:], mask[1:], options)  # other companions, another place
    np.testing.assert_array_equal(shifted, together[1:])


@pytest.mark.parametrize("batch", [1, -3])
def test_batches_of_one_are_refused(linear, batch):
    with pytest.raises(InputError, match="batch"):
        of(linear.networks, linear.variables, batch)


# --- checkpoints ----------------------------------------------------------------------------------


def draw(networks, seed=0):
    """Variables in numpy, without the compile time of an initialisation."""
    rng = np.random.default_rng(seed)

    def leaf(path, shape):
        name = path[-1].key
        drawn = rng.normal(0.0, 0.1, shape.shape) + (name in ("scale", "var"))
        return np.abs(drawn).astype("f4") if name == "var" else drawn.astype("f4")

    shapes = jax.eval_shape(networks.init, jax.random.key(0))
    return jax.tree_util.tree_map_with_path(leaf, shapes)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A training run's folder with a checkpoint of small networks: folder, networks, state."""
    folder = tmp_path_factory.mktemp("run")
    config = default_config()
    config.model.skeleton, config.model.frames, config.model.latent = "alphapose12", 8, 8
    networks = build_networks(SMALL)
    variables, averages = draw(networks, 1), draw(networks, 2)
    averages.pop("discriminator")
    state = {"step": np.int32(5), "variables": variables, "averages": averages}
    moments = ResidualMoments.default(12)
    moments = moments._replace(covariance=0.5 * moments.covariance)
    model = model_of(typed(config), {}, {"mpjpe": 0.1}, moments)
    with Checkpoints(folder / "checkpoints") as checkpoints:
        checkpoints.save(5, state, about(model), moments=moments)
    return folder, networks, state


@pytest.mark.parametrize("below", ["", "checkpoints", "checkpoints/5"])
def test_from_a_training_runs_checkpoint(run, below):
    folder, networks, state = run
    loaded = Inpainter.from_checkpoint(folder / below, batch=2)
    assert loaded.networks == networks and loaded.skeleton.name == "alphapose12"
    assert loaded.metadata["metrics"] == {"mpjpe": 0.1} and loaded.batch == 2
    wanted = state["averages"] | {"discriminator": state["variables"]["discriminator"]}
    jax.tree.map(np.testing.assert_array_equal, loaded.variables, wanted)
    covariance = loaded.completer.residual.covariance
    assert np.diagonal(covariance) == pytest.approx(0.005, rel=1e-3)


def test_a_checkpoint_before_the_first_validation_has_a_default_residual(run, tmp_path):
    _, _, state = run
    path = tmp_path / "weights"
    save_params(path, state["variables"], {"networks": SMALL.to_dict()})
    loaded = Inpainter.from_checkpoint(path).completer.residual
    wanted = ResidualModel.fit(ResidualMoments.default(12))
    np.testing.assert_allclose(loaded.covariance, wanted.covariance)
    np.testing.assert_allclose(loaded.poses, wanted.poses)


def test_what_completes_nothing_by_itself_is_refused():
    with pytest.raises(InputError, match="the model has no generator, so it completes nothing"):
        Inpainter(load_packaged("regressor"))


def test_the_corrector_moves_what_is_not_observed_alone(inpainter, whole, holed):
    settings = dataclasses.replace(QUALITIES["fast"], correct=False)
    without = inpainter(holed, "mpi_inf_3dhp", settings=settings)
    kept = whole.provenance == Provenance.OBSERVED
    np.testing.assert_array_equal(without.keypoints[kept], whole.keypoints[kept])
    moved = np.linalg.norm(without.keypoints - whole.keypoints, axis=-1)[~kept]
    assert np.isfinite(moved).all() and 0.1 < np.median(moved) < 15
    np.testing.assert_array_equal(without.provenance, whole.provenance)
