"""Whether confidence is measured right, and means what it says."""

import numpy as np
import pytest
from scipy.special import expit

from posegan_jax.evaluation import calibration
from posegan_jax.inpainting.assemble import CONFIDENCE


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
