"""The learned regressor as a method."""

import numpy as np
import pytest

from posegan_jax.evaluation.clips import view_clips
from posegan_jax.evaluation.protocols import make_case
from posegan_jax.evaluation.regressor import Regressor
from posegan_jax.evaluation.temporal import interpolate
from posegan_jax.pose.skeleton import get_skeleton

MPI = get_skeleton("mpi_inf_3dhp")


@pytest.fixture(scope="module")
def case():
    view = view_clips("procedural", count=1, longest=60)[0]
    return make_case("holes40", view.keypoints, MPI, 0, 0)


def test_the_packaged_one_completes(case):
    found = Regressor.packaged()(case.sequence)
    assert found.shape == case.truth.shape
    head = np.linalg.norm(case.truth[:, 0] - case.truth[:, 1], axis=-1).mean()
    missing = case.detected & np.isnan(case.sequence.keypoints[..., 0])
    off = np.linalg.norm(found - case.truth, axis=-1)
    assert off[missing].mean() < 0.3 * head
    hidden = case.sequence.keypoints.copy()
    hidden[:, MPI.index("left_wrist")] = np.nan
    wrist = Regressor.packaged()(case.sequence.replace(keypoints=hidden, scores=None))
    last = interpolate(hidden)
    assert np.isfinite(wrist).all() and np.isnan(last[:, MPI.index("left_wrist")]).all()


def test_tracks_of_any_length_and_place(case):
    regressor = Regressor.packaged()
    for length in (1, 10, 24, 31, 60):
        sequence = case.sequence.replace(
            **{n: getattr(case.sequence, n)[:length]
               for n in ("keypoints", "scores", "frames", "provenance")}
        )
        result = regressor(sequence)
        assert result.shape == (length, 28, 2) and np.isfinite(result).all()
    moved = case.sequence.replace(keypoints=2 * case.sequence.keypoints + 500)
    np.testing.assert_allclose(
        regressor(moved), 2 * regressor(case.sequence) + 500, atol=0.05
    )
    empty = case.sequence.replace(keypoints=np.full((60, 28, 2), np.nan), scores=None)
    assert np.isnan(regressor(empty)).all()
