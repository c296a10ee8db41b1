"""A detector's files for labelled video: which file, which person, and what it is scored by."""

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.evaluation import evaluate, labelled_benchmark
from posegan_jax.evaluation.clips import view_clips
from posegan_jax.evaluation.detections import detected_labels, detection_path
from posegan_jax.evaluation.labelled import DETECTIONS, place_labels
from posegan_jax.evaluation.labelled_benchmark import RIDGE, resolve, run_labelled
from posegan_jax.evaluation.labelled_scores import mean_acceleration, mean_error, score_clip
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.motion.labels import LabelledClip, save_labels
from posegan_jax.pose.carry import carry_joints
from posegan_jax.pose.sequence import PoseFile, PoseSequence
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

MPI, COCO = get_skeleton("mpi_inf_3dhp"), get_skeleton("coco17")
AT = [MPI.index(joint) for joint in DETECTED_12]


@pytest.fixture(scope="module")
def clips():
    """Three people; an ankle of the first one has no labels for some frames."""
    result = []
    for number, view in enumerate(view_clips("procedural", count=3, longest=40)):
        keypoints = view.keypoints[:, AT].copy()
        if number == 0:
            keypoints[5:9, DETECTED_12.index("left_ankle")] = np.nan
        guessed = np.zeros(keypoints.shape[:2], bool)
        result.append(LabelledClip(keypoints, guessed, DETECTED_12, f"{number:04}", "walk", "", 25))
    return result


def found(clip, person=1, offset=(0.0, 0.0), frames=None, **missing):
    """What a detector makes of a clip: beside it, without some joints."""
    keypoints = carry_joints(place_labels(clip, MPI, DETECTED_12)[0], MPI, COCO, np.nan) + offset
    for joint, part in missing.items():
        keypoints[part, COCO.index(joint)] = np.nan
    rows = np.arange(len(keypoints)) if frames is None else frames
    keypoints = keypoints[rows]
    scores = np.isfinite(keypoints[..., 0]) * 0.8
    return PoseSequence(keypoints, scores, None, "coco17", rows, person)


def write(path, *people, format="alphapose"):
    path.parent.mkdir(parents=True, exist_ok=True)
    formats.write(PoseFile(people, format), path)


def test_the_person_nearest_to_the_labels_counts(clips, tmp_path):
    left = {"left_wrist": slice(3, 6)}
    nearest = found(clips[0], 2, (3.0, 0.0), np.arange(30), **left)
    sure = found(clips[0], 1, (500.0, 0.0)).replace(scores=np.ones((40, 17)))
    brief = found(clips[0], 3, (0.0, 0.0), np.arange(5))
    write(tmp_path / "0000.json", sure, nearest, brief)
    cases, lacking = detected_labels(str(tmp_path), clips, MPI)
    (case,) = cases
    assert lacking == 2 and case.number == 0 and case.tags["name"] == "0000"
    truth, given = case.truth, case.sequence.keypoints
    marked = np.isfinite(truth[..., 0])
    np.testing.assert_array_equal(case.counted, marked)
    seen = np.isfinite(given[..., 0])
    assert not seen[30:].any() and not seen[3:6, MPI.index("left_wrist")].any()
    assert seen[:, AT].sum() == marked[:30].sum() - 3
    np.testing.assert_allclose(
        np.linalg.norm(given - truth, axis=-1)[seen & marked], 3.0, atol=0.01
    )
    assert case.sequence.scores[0, AT].max() == pytest.approx(0.8)


def test_what_was_missed_is_told_from_what_was_found(clips, tmp_path):
    write(tmp_path / "0001.json", found(clips[1], left_wrist=slice(10, 20)))
    (case,), _ = detected_labels(str(tmp_path), clips, MPI)
    right = np.where(np.isfinite(case.truth), case.truth, 0.0)
    off = right.copy()
    off[10:20, MPI.index("left_wrist")] += (case.head, 0.0)
    scores = [score_clip(case, off)]
    assert mean_error(scores, "missed") == pytest.approx(1.0)
    assert mean_error(scores, "observed") == pytest.approx(0.0, abs=1e-3)
    assert scores[0].count["missed"] == 10 and scores[0].furthest == pytest.approx(1.0)
    still = score_clip(case, case.sequence.keypoints)
    assert still.lost == 10 and still.count["missed"] == 0
    shaken = right + np.where(np.arange(len(right)) % 2, 1.0, -1.0)[:, None, None] * (case.head, 0)
    assert mean_acceleration([score_clip(case, shaken)]) == pytest.approx(4.0)
    assert mean_acceleration([score_clip(case, right)]) == 0.0


def test_any_file_and_folder_of_a_clip_will_do(clips, tmp_path):
    write(tmp_path / "0000.csv", found(clips[0]), format=None)
    write(tmp_path / "0001" / "alphapose-results.json", found(clips[1]))
    write(tmp_path / "0002", found(clips[2]).replace(person=None), format="mmpose")
    assert [detection_path(tmp_path, clip.name).name for clip in clips] == [
        "0000.csv", "alphapose-results.json", "0002"
    ]
    cases, lacking = detected_labels(str(tmp_path), clips, MPI)
    assert not lacking and [case.number for case in cases] == [0, 1, 2]
    for case in cases:
        off = np.linalg.norm(case.sequence.keypoints - case.truth, axis=-1)
        assert np.nanmax(off) < 0.1 and np.isfinite(off).sum() == case.counted.sum()
    assert detection_path(tmp_path, "none/0003") is None
    write(tmp_path / "0000.npz", found(clips[0]), format=None)
    with pytest.raises(InputError, match="0000.csv and 0000.npz are of one video"):
        detection_path(tmp_path, "0000")
    write(tmp_path / "0000.json", found(clips[0]))
    assert detection_path(tmp_path, "0000").name == "0000.json"


def test_a_file_without_people_is_all_missed(clips, tmp_path):
    (tmp_path / "0001.json").write_text("[]")
    (case,), _ = detected_labels(str(tmp_path), clips, MPI)
    assert case.counted.any() and not np.isfinite(case.sequence.keypoints).any()


def test_folders_that_have_nothing(clips, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        detected_labels(str(tmp_path / "none"), clips, MPI)
    with pytest.raises(InputError, match="no file of the test clips, e.g. 0000.json"):
        detected_labels(str(tmp_path), clips, MPI)


def test_detections_are_completed_and_scored_against_labels(clips, inpainter, tmp_path, capsys):
    folder, labels = tmp_path / "found", tmp_path / "labels.npz"
    save_labels(labels, clips)
    for i, clip in enumerate(clips[:2]):
        write(folder / f"{i:04}.json", found(clip, left_knee=slice(None), left_ankle=slice(None)))
    options = EvaluateOptions(
        motion=str(labels), detections=str(folder), methods=("input", "pchip", RIDGE, "fast")
    )
    assert resolve(options)[0] == [DETECTIONS]
    evaluate.report(inpainter, options, tmp_path / "out")
    text = capsys.readouterr().out
    assert "1 of 3 clips have no file of detections" in text and "## A detector's tracks" in text
    result = run_labelled(inpainter, options)
    scores = result.scores[DETECTIONS]
    assert len(scores["input"]) == 2 and mean_error(scores["input"], "missed") is None
    assert mean_error(scores["input"], "observed") < 0.01
    missed = sum(score.lost for score in scores["input"])
    assert sum(score.count["missed"] for score in scores["fast"]) == missed > 100
    assert 0 < mean_error(scores["fast"], "missed") < 2.0
    assert labelled_benchmark.best(scores) == RIDGE  # pchip has no place for what is never seen
    with pytest.raises(InputError, match="needs --detections FOLDER"):
        resolve(EvaluateOptions(motion=str(labels), protocols=(DETECTIONS,)))
    everything = EvaluateOptions(
        motion=str(labels), detections=str(folder), protocols=("everything",)
    )
    assert resolve(everything)[0][-1] == DETECTIONS
