"""Ridges that know a labelled set, and never the clips that they complete."""

import dataclasses

import numpy as np
import pytest

from posegan_jax.evaluation import same_set
from posegan_jax.evaluation.clips import view_clips
from posegan_jax.evaluation.labelled import labelled_cases
from posegan_jax.evaluation.labelled_scores import mean_error, score_clip
from posegan_jax.evaluation.same_set import BRIDGED, Cut, SameSet
from posegan_jax.motion.labels import LabelledClip
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

MPI = get_skeleton("mpi_inf_3dhp")
AT = [MPI.index(joint) for joint in DETECTED_12]


@pytest.fixture(scope="module")
def clips():
    return [
        LabelledClip(
            view.keypoints[:, AT], np.zeros((len(view.keypoints), 12), bool), DETECTED_12,
            f"{number:04}", "walk", "front", 25.0,
        )
        for number, view in enumerate(view_clips("procedural", count=6, longest=60))
    ]


@pytest.fixture(autouse=True)
def few_folds(monkeypatch):
    monkeypatch.setattr(same_set, "FOLDS", 2)
    monkeypatch.setattr(same_set, "PATTERNS", 2)


def completed(clips, cases, cut=None):
    return dict(SameSet(clips, MPI, DETECTED_12, cut or Cut(1, 2))(cases))


@pytest.mark.parametrize("cut", [Cut(1, 2), Cut(24, 12)])
def test_legs_are_completed(clips, cut):
    cases = labelled_cases("legs", clips, MPI)
    results = completed(clips, cases, cut)
    assert sorted(results) == list(range(6))
    for i, result in results.items():
        given = cases[i].sequence.keypoints
        np.testing.assert_array_equal(result[np.isfinite(given)], given[np.isfinite(given)])
        assert np.isfinite(result[:, AT]).all() and np.isnan(np.delete(result, AT, axis=1)).all()
    assert mean_error([score_clip(cases[i], result) for i, result in results.items()]) < 2.0


def test_the_ridge_of_a_clip_does_not_know_its_fold(clips):
    cases = labelled_cases("legs", clips, MPI)
    before = completed(clips, cases)
    other = dataclasses.replace(clips[2], keypoints=clips[2].keypoints[:, ::-1])
    after = completed([*clips[:2], other, *clips[3:]], cases)
    for i in (0, 2, 4):  # of the fold of the clip that changed
        np.testing.assert_array_equal(before[i], after[i])
    assert not np.allclose(before[1], after[1], equal_nan=True)
    # It learns from clips that are not evaluated, too.
    some = completed(clips, cases[:1])
    np.testing.assert_array_equal(some[0], before[0])


def test_of_one_clip_nothing_is_learned(clips):
    (case,) = labelled_cases("holes40", clips[:1], MPI)
    ((number, result),) = SameSet(clips[:1], MPI, DETECTED_12, Cut(24, 12))([case])
    assert number == 0 and np.isfinite(result[:, AT]).all()  # straight lines


def test_mirror_images_double_the_windows(clips):
    cut, mask = Cut(5, 5), MPI.mask(DETECTED_12)
    truth = np.full((12, len(MPI), 2), np.nan)
    truth[:, AT] = clips[0].keypoints[:12]
    windows = same_set._windows(truth, MPI, mask, cut)
    assert windows.shape == (4, 5, 12, 2)
    place = {joint: i for i, joint in enumerate(np.array(MPI.joints)[mask])}
    mirrored = windows[0, :, place["right_knee"]] * (-1, 1)
    np.testing.assert_array_equal(windows[2, :, place["left_knee"]], mirrored)
    assert same_set._windows(truth[:4], MPI, mask, cut).shape == (0, 5, 12, 2)


def test_long_gaps_are_not_bridged():
    truth = np.arange(40.0)[:, None, None] * np.ones((1, 1, 2))
    truth[5 : 5 + BRIDGED] = truth[20 : 21 + BRIDGED] = truth[:2] = np.nan
    known = np.isfinite(same_set._bridged(truth)[:, 0, 0])
    assert np.flatnonzero(~known).tolist() == [0, 1, *range(20, 21 + BRIDGED)]
