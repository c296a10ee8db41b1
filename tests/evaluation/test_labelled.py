"""Labelled video: what is hidden, what counts, and what is told of it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.evaluation import evaluate, labelled_benchmark, labelled_tables
from posegan_jax.evaluation.clips import view_clips
from posegan_jax.evaluation.labelled import (
    ASIS,
    INVERTED,
    LABELLED,
    labelled_cases,
    usable,
)
from posegan_jax.evaluation.labelled_benchmark import (
    RIDGE,
    RIDGE_WINDOWS,
    SAME_SET,
    resolve,
    run_labelled,
)
from posegan_jax.evaluation.labelled_body import LONGEST, SHARES, TORSO, TRUNK, head_size
from posegan_jax.evaluation.labelled_scores import (
    difference,
    mean_error,
    moved,
    peaks,
    score_clip,
)
from posegan_jax.evaluation.pictures import EXAMPLES
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.motion.labels import LabelledClip, load_labels, save_labels
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

PENN = Path(__file__).parents[3] / "shared" / "data" / "real2d" / "penn_dev.npz"
MPI = get_skeleton("mpi_inf_3dhp")
JOINTS = ("head", *DETECTED_12)
AT = [MPI.index(joint) for joint in DETECTED_12]
LEGS = [MPI.index(f"{s}_{p}") for s in ("left", "right") for p in ("hip", "knee", "ankle")]


@pytest.fixture(scope="module")
def clips():
    """People who walk, wave, ..., without labels of a wrist in some frames, an ankle guessed."""
    rng, result = np.random.default_rng(0), []
    for number, view in enumerate(view_clips("procedural", count=4, longest=60)):
        keypoints = view.keypoints[:, [MPI.index(joint) for joint in JOINTS]].copy()
        keypoints[rng.random(keypoints.shape[:2]) < 0.02] = np.nan
        keypoints[10:20, JOINTS.index("left_wrist")] = np.nan
        guessed = np.zeros(keypoints.shape[:2], bool)
        guessed[30:40, JOINTS.index("right_ankle")] = True
        guessed &= np.isfinite(keypoints[..., 0])
        result.append(LabelledClip(
            keypoints, guessed, JOINTS, f"{number:04}", ("walk", "wave")[number % 2], "front", 25.0
        ))
    return result


@pytest.mark.parametrize("name", LABELLED)
def test_only_what_is_marked_and_changed_counts(clips, name):
    for case, again in zip(*(labelled_cases(name, clips, MPI, 3) for _ in range(2)), strict=True):
        np.testing.assert_array_equal(case.sequence.keypoints, again.sequence.keypoints)
        marked = np.isfinite(case.truth[..., 0])
        assert marked[:, AT].any() and not np.delete(marked, AT, axis=1).any()
        assert case.counted.any() and not (case.counted & ~marked).any()
        assert not (case.guessed & ~marked).any() and case.guessed.any()
        given = case.sequence.keypoints
        same = (given == case.truth).all(-1)
        if name == ASIS:
            assert (case.counted == marked).all() and (same == marked).all()
        else:
            assert not (case.counted & same).any()
            assert (same | case.counted | ~marked).all()


def test_a_run_is_of_one_joint_that_is_marked_around_it(clips):
    for frames in (5, 10, 20):
        for case in labelled_cases(f"run{frames}", clips, MPI):
            (joint,) = np.flatnonzero(case.counted.any(axis=0))
            hidden = np.flatnonzero(case.counted[:, joint])
            assert MPI.joints[joint].split("_")[1] in ("wrist", "ankle")
            assert len(hidden) == frames == np.ptp(hidden) + 1
            around = [hidden[0] - 1, hidden[-1] + 1]
            assert np.isfinite(case.sequence.keypoints[around, joint]).all()


def test_sides_are_exchanged_for_some_frames(clips):
    for case in labelled_cases("inversions", clips, MPI):
        frames = np.flatnonzero(case.counted.any(axis=1))
        assert len(frames) <= INVERTED and np.ptp(frames) < INVERTED
        assert set(np.flatnonzero(case.counted.any(axis=0))) <= set(LEGS)
        mirrored = case.truth[:, list(MPI.mirror)]
        given = case.sequence.keypoints
        np.testing.assert_array_equal(given[case.counted], mirrored[case.counted])


def standing(frames=30, **places):
    """A clip of one pose, which stands and faces the camera, unless places say otherwise."""
    pose = {
        "shoulder": (20, 100), "elbow": (20, 164), "wrist": (20, 214), "hip": (15, 200),
        "knee": (15, 285), "ankle": (15, 370),
    }
    keypoints = np.full((frames, 13, 2), np.nan)
    for side, sign in (("left", 1), ("right", -1)):
        for part, (x, y) in pose.items():
            keypoints[:, JOINTS.index(f"{side}_{part}")] = 100 + sign * x, y
    for joint, place in places.items():
        keypoints[:, JOINTS.index(joint)] = place
    return LabelledClip(keypoints, np.zeros((frames, 13), bool), JOINTS, "a")


def test_an_upright_trunk_measures_heads_and_turns():
    clip = standing()
    turned = clip.keypoints[..., ::-1]  # the shoulders are to the left of the hips
    cases = [
        labelled_cases(ASIS, [dataclasses.replace(clip, keypoints=x)], MPI)[0]
        for x in (clip.keypoints, turned, -clip.keypoints)
    ]
    assert [case.head for case in cases] == pytest.approx([100 * TORSO] * 3)
    assert [case.tags["turn"] for case in cases] == ["0-30", "60-120", "120-180"]
    assert cases[0].sequence.fps == 30
    assert cases[0].tags | {"turn": ""} == {"name": "a", "action": "", "view": "", "turn": ""}


def test_a_trunk_that_points_to_the_camera_measures_nothing():
    hips = {"left_hip": (110, 110), "right_hip": (90, 110)}
    legs = {f"{side}_{part}": (100 + sign * 15, 110 + y) for side, sign in (("left", 1),
            ("right", -1)) for part, y in (("knee", 82), ("ankle", 164))}
    clip = standing(**hips, **legs)
    # Thigh and shin say that a torso has so many pixels, upper arms say less, shoulders much less.
    thigh = np.hypot(5, 82) * SHARES[TRUNK] / SHARES["thigh"]
    shin = 82 * SHARES[TRUNK] / SHARES["shin"]
    arm = 64 * SHARES[TRUNK] / SHARES["upper arm"]
    assert head_size(clip) == pytest.approx(TORSO * sorted((thigh, shin, arm))[1])
    (case,) = labelled_cases(ASIS, [clip], MPI)
    assert case.tags["turn"] == "to the camera"


def test_what_is_misplaced_makes_no_head():
    clip = standing(left_ankle=(900, 900))
    assert head_size(clip) == pytest.approx(100 * TORSO)  # the other shin is shorter
    both = standing(left_ankle=(900, 900), right_ankle=(900, 800))
    assert head_size(both) == pytest.approx(100 * TORSO)  # no second bone says so
    few = clip.keypoints.copy()
    few[:2, JOINTS.index("left_shoulder")] = few[:2, JOINTS.index("right_shoulder")] = 0.0, -900.0
    assert head_size(dataclasses.replace(clip, keypoints=few)) == pytest.approx(100 * TORSO)
    assert 2 / 30 < 1 - LONGEST


def test_one_side_is_enough_and_one_bone_is_not():
    of_left = {joint: np.nan for joint in JOINTS if joint.startswith("left")}
    assert head_size(standing(**of_left)) == pytest.approx(TORSO * np.hypot(5, 100))
    shins = {joint: np.nan for joint in JOINTS if not joint.endswith(("knee", "ankle"))}
    assert np.isnan(head_size(standing(**shins)))
    assert np.isnan(head_size(standing(11)))


def test_clips_take_turns_by_action_and_useless_ones_are_left_out(clips):
    short = dataclasses.replace(
        clips[0], keypoints=clips[0].keypoints[:10], guessed=clips[0].guessed[:10]
    )
    shins = dataclasses.replace(clips[1], keypoints=np.where(
        np.array([joint.endswith(("knee", "ankle")) for joint in JOINTS])[:, None],
        clips[1].keypoints, np.nan,
    ))
    found = usable([short, *clips, shins])
    assert [clip.action for clip in found] == ["walk", "wave", "walk", "wave"]
    with pytest.raises(InputError, match="no labelled clip has"):
        usable([short, shins])


# --- scores ---------------------------------------------------------------------------------------


def test_scores_of_what_is_known(clips):
    case = labelled_cases(ASIS, clips, MPI)[0]
    right = score_clip(case, case.truth)
    assert right.total("error") == 0 and right.total("found") == right.total("count")
    assert right.count["visible"] + right.count["guessed"] == case.counted.sum()
    assert right.count["guessed"] == case.guessed.sum() and right.lost == 0
    assert right.peak == {"wrist": 1.0, "ankle": 1.0} and right.jitter == 1.0
    wrong = case.truth.copy()
    wrong[case.guessed] += (0.6 * case.head, 0.0)
    found = score_clip(case, wrong)
    assert mean_error([found], "guessed") == pytest.approx(0.6)
    assert mean_error([found], "visible") == 0 and found.found["guessed"] == 0
    assert moved([right, found]) == (
        pytest.approx(case.guessed.sum() / (2 * case.counted.sum())), 1
    )
    lost = score_clip(case, np.where(case.guessed[..., None], np.nan, case.truth))
    assert lost.lost == case.guessed.sum() and lost.count["guessed"] == 0
    centre = np.nan_to_num(case.truth[:1])
    slow = score_clip(case, centre + 0.5 * (case.truth - centre))
    assert slow.peak["ankle"] == pytest.approx(0.5) and slow.jitter == pytest.approx(0.5)
    assert peaks([right, slow], "ankle")[0] == pytest.approx(0.75)
    by = difference([found, found], [right, right], "guessed")
    assert by.low == by.difference == by.high == pytest.approx(0.6)


# --- the benchmark --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def labels(clips, tmp_path_factory):
    path = tmp_path_factory.mktemp("labels") / "labels.npz"
    save_labels(path, clips)
    return path


def test_labelled_video_is_evaluated_and_goes_on(labels, inpainter, tmp_path, capsys, monkeypatch):
    options = EvaluateOptions(
        motion=str(labels), protocols=("run10", "gap5", ASIS), count=2,
        methods=("input", "pchip", "gaussian", RIDGE, RIDGE_WINDOWS, "fast"),
    )
    with monkeypatch.context() as patch:
        patch.setattr(labelled_tables, "save", lambda *rest: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            evaluate.report(inpainter, options, tmp_path)
    monkeypatch.setattr(labelled_benchmark, "score_clip", None)  # everything is there already
    result = evaluate.report(inpainter, options, tmp_path)
    said = capsys.readouterr().out
    text = (tmp_path / "tables.md").read_text()
    assert text in said and "## By action" in text and "| walk " in text
    assert "moved > half a head" in text and "2 actions" in text
    scores = result.scores["run10"]
    assert mean_error(scores["input"]) is None and mean_error(scores["fast"]) < 1.0
    assert labelled_benchmark.best(scores) in ("pchip", "gaussian", *SAME_SET)
    assert moved(result.scores[ASIS]["input"]) == (0.0, 0)
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert content["setup"]["clips"] == 2 and not (tmp_path / ".parts").exists()
    drawn = {path.name for path in tmp_path.glob("*.png")}
    assert drawn == {f"{p}-{e}.png" for p in ("run10", "gap5", ASIS) for e in EXAMPLES}
    assert "run10-worst.png" in said


def test_names_are_checked_before_anything_is_loaded(labels):
    for changes in ({"protocols": ("wild",)}, {"methods": ("spline",)}):
        with pytest.raises(InputError, match="unknown"):
            evaluate.check(EvaluateOptions(motion=str(labels), **changes))
    assert resolve(EvaluateOptions(motion=str(labels)))[0] == list(LABELLED)


@pytest.mark.skipif(not PENN.is_file(), reason="needs the labelled video of a developer's machine")
def test_real_sport_is_hidden_and_counted():
    clips = usable(load_labels(PENN))[:15]
    assert len({clip.action for clip in clips}) >= 14
    for name in LABELLED:
        cases = labelled_cases(name, clips, MPI)
        assert len(cases) > 10 and all(case.tags["view"] for case in cases)


def test_the_run_is_seeded(labels, inpainter):
    options = EvaluateOptions(motion=str(labels), protocols=("run5",), methods=("pchip",))
    first, again = (run_labelled(inpainter, options).scores for _ in range(2))
    assert first == again
    other = run_labelled(inpainter, dataclasses.replace(options, seed=2)).scores
    assert first != other
