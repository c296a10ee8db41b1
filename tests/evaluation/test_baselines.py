"""All baselines by name, on motion of the procedural set."""

import dataclasses

import numpy as np
import pytest

from posegan_jax.evaluation.baselines import LEARNED, TEMPORAL, fit_baselines
from posegan_jax.evaluation.clips import view_clips, view_windows
from posegan_jax.evaluation.protocols import make_case
from posegan_jax.pose.skeleton import get_skeleton

MPI = get_skeleton("mpi_inf_3dhp")
NAMES = (*TEMPORAL, *LEARNED)


@pytest.fixture(scope="module")
def methods():
    return fit_baselines(view_windows("procedural", "train", 600, 24))


@pytest.fixture(scope="module")
def view():
    return view_clips("procedural", count=1)[0]


def case_of(view, protocol, fps=25.0):
    return make_case(protocol, view.keypoints, MPI, 0, 0, fps)


def error(method, case):
    height = np.ptp(case.truth[..., 1], axis=1).mean()
    distance = np.linalg.norm(method(case.sequence) - case.truth, axis=-1) / height
    return {name: distance[group].mean() for name, group in case.groups().items() if group.any()}


def test_the_names(methods):
    assert tuple(methods) == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("protocol", ["holes40", "gap10", "legs", "all"])
def test_everything_is_filled_and_near_the_person(methods, view, name, protocol):
    errors = error(methods[name], case_of(view, protocol))
    assert all(np.isfinite(value) for value in errors.values())  # nothing is left missing
    assert max(errors.values()) < (0.5 if protocol == "all" else 0.3), errors


@pytest.mark.parametrize("name", NAMES)
def test_baselines_look_at_the_twelve_joints_alone(methods, view, name):
    sequence = case_of(view, "holes20").sequence
    lucky = sequence.replace(
        keypoints=np.where(case_of(view, "clean").detected[:, None], sequence.keypoints, 7.0),
        scores=None, provenance=None,
    )
    np.testing.assert_array_equal(methods[name](lucky), methods[name](sequence))


def test_what_is_learned_of_windows_helps_in_holes(methods, view):
    holes = case_of(view, "holes40")
    missing = {name: error(methods[name], holes)["missing"] for name in NAMES}
    assert missing["ridge-windows"] < missing["ridge"]
    assert missing["linear"] < missing["last"]


@pytest.mark.parametrize("name", NAMES)
def test_nobody_is_left_alone(methods, view, name):
    sequence = case_of(view, "clean").sequence
    empty = sequence.replace(keypoints=np.full(sequence.keypoints.shape, np.nan), scores=None)
    assert np.isnan(methods[name](empty)).all()


@pytest.mark.parametrize("name", LEARNED)
def test_fast_videos_are_completed_in_phases(methods, view, name):
    keypoints = np.repeat(view.keypoints, 2, axis=0)
    keypoints[1:-1:2] = (view.keypoints[:-1] + view.keypoints[1:]) / 2
    fast = case_of(dataclasses.replace(view, keypoints=keypoints), "holes20", fps=50.0)
    slow = case_of(view, "holes20")
    assert error(methods[name], fast)["missing"] < 1.5 * error(methods[name], slow)["missing"]
