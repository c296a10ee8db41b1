"""Whether confidence is measured right, and means what it says."""

import numpy as np
import pytest
from scipy.special import expit

from posegan_jax.evaluation import calibration
from posegan_jax.evaluation.protocols import make_case
from posegan_jax.geometry.body import HEAD
from posegan_jax.inpainting.explain import CONFIDENCE, ENOUGH, OPEN, joint_confidence
from posegan_jax.pose.skeleton import get_skeleton


def drawn(shift, factor, count=20_000, seed=0):
    """Scores, and hits whose log odds are a line over those of the scores."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0.5, 1.5, count)
    return expit(odds), rng.random(count) < expit(shift + factor * odds)


def test_honest_scores_leave_the_constants():
    found = {"missing": drawn(0.0, 1.0), "upsampled": drawn(0.0, 1.0, count=500, seed=1)}
    np.testing.assert_allclose(calibration.fit(found), CONFIDENCE, atol=0.2)


def test_scores_that_claim_too_much_are_corrected():
    intercept, slope = calibration.fit({"missing": drawn(-1.0, 0.5)})
    assert slope == pytest.approx(0.5 * CONFIDENCE[1], abs=0.1)
    assert intercept == pytest.approx(-1.0 + 0.5 * CONFIDENCE[0], abs=0.2)


def test_a_curve_has_a_row_for_every_step_that_holds_joints():
    scores = np.array([0.05, 0.05, 0.95, 1.0])
    rows = calibration.curve(scores, np.array([False, True, True, True]))
    np.testing.assert_allclose(rows, [[0.05, 0.5, 2], [0.975, 1.0, 2]])


def test_the_picture_is_drawn(tmp_path):
    calibration.draw({"missing": drawn(0.0, 1.0)}, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 5_000


def test_some_joints_are_left_of_a_case():
    skeleton = get_skeleton("mpi_inf_3dhp")
    truth = np.random.default_rng(0).normal(size=(5, 28, 2))
    case = make_case("clean", truth, skeleton, 1, 0)
    left = calibration.leave(case, 3, np.random.default_rng(2))
    seen = left.observed.all(axis=0)
    assert seen.sum() == 3 and (seen == left.observed).all() and case.detected[seen].all()
    np.testing.assert_array_equal(left.keypoints[:, seen], truth[:, seen])
    assert not (left.scores[:, ~seen]).any() and (left.scores[:, seen] == 1).all()


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_what_few_joints_leave_open_is_found_again(factor):
    """Joints that are right as often as scores would say with another constant."""
    rng, found = np.random.default_rng(3), {}
    for count in calibration.FEW:
        own = rng.uniform(0.02, 0.1, 20_000)
        said, due = (
            joint_confidence(np.hypot(own, left * (ENOUGH - count))[:, None], np.array([HEAD]))
            for left in (OPEN, factor * OPEN)
        )
        found[count] = said[:, 0], rng.random(len(own)) < due[:, 0]
    assert calibration.fit_open(found) == pytest.approx(factor * OPEN, rel=0.1)


@pytest.mark.parametrize("count", [2, ENOUGH])
def test_scores_tell_how_many_joints_were_seen(inpainter, count):
    """Of the packaged networks, with so many joints of people whom they do not know."""
    found = calibration.collect(
        inpainter, "procedural", clips=24, frames=48, quality="fast", protocols=(count,)
    )
    assert not len(found["refined"][0])
    scores, right = (
        np.concatenate([found[group][i] for group in ("missing", "upsampled")]) for i in (0, 1)
    )
    # Procedural motion is not what the constants are of. Without their share of the deviation two
    # joints would say .8, of which a third is right.
    assert scores.mean() == pytest.approx(right.mean(), abs=0.2)
