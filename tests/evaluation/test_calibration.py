"""Whether confidence is measured right, and means what it says."""

import dataclasses

import numpy as np
import pytest
from scipy.special import expit

from posegan_jax.evaluation import calibration
from posegan_jax.evaluation.calibration import Joints
from posegan_jax.evaluation.protocols import make_case
from posegan_jax.evaluation.replay import Replay, make_cases
from posegan_jax.evaluation.tune import Clips
from posegan_jax.inpainting.explain import ENOUGH
from posegan_jax.inpainting.settings import QUALITIES
from posegan_jax.model.constants import Constants
from posegan_jax.pose.sequence import Provenance
from posegan_jax.pose.skeleton import get_skeleton

CONSTANTS = Constants()
PARTS = ("spread", "upsampled", "left_open")


def drawn(truth, count=20_000, seed=0, upsampled=False, seen=None):
    """Joints that are right as often as they are by the constants ``truth``."""
    rng = np.random.default_rng(seed)
    own, disagreement = rng.uniform(0.02, 0.5, (2, count)) ** 2
    seen = rng.integers(2, ENOUGH + 1, count) if seen is None else np.full(count, seen)
    opened = (2.0 * (ENOUGH - seen)) ** 2
    joints = Joints(own, disagreement, opened, np.full(count, upsampled), np.zeros(count, bool))
    right = rng.random(count) < expit(joints.odds(truth))
    return dataclasses.replace(joints, right=right)


def test_honest_scores_leave_the_constants():
    groups = [drawn(CONSTANTS), drawn(CONSTANTS, 5_000, 1, upsampled=True)]
    found = calibration.fit_certainty(groups, CONSTANTS)
    np.testing.assert_allclose(found.constants.confidence, CONSTANTS.confidence, atol=0.2)
    assert found.before - found.after < 1e-3


@pytest.mark.parametrize("changes", [
    {"confidence": (-3.0, -1.4)}, {"spread": 0.9}, {"upsampled": 0.8}, {"left_open": 0.03},
    {"left_open": 0.008}, {"spread": 0.6, "upsampled": 0.7, "left_open": 0.03,
                           "confidence": (-3.5, -1.8)},
])
def test_constants_that_would_have_been_right_are_found(changes):
    truth = dataclasses.replace(CONSTANTS, **changes)
    groups = [drawn(truth, 60_000), drawn(truth, 60_000, 1, upsampled=True)]
    found = calibration.fit_certainty(groups, CONSTANTS)
    np.testing.assert_allclose(found.constants.confidence, truth.confidence, atol=0.2)
    for name in PARTS:
        assert getattr(found.constants, name) == pytest.approx(getattr(truth, name), rel=0.15)
    assert found.after < found.before
    assert found.constants.bridge == CONSTANTS.bridge  # shares stay


def test_constants_that_nothing_depends_on_stay():
    truth = dataclasses.replace(CONSTANTS, upsampled=0.9, left_open=0.05, spread=0.8)
    nobody = drawn(truth, 0)
    found = calibration.fit_certainty([drawn(truth, seen=ENOUGH), nobody], CONSTANTS).constants
    assert found.upsampled == CONSTANTS.upsampled and found.left_open == CONSTANTS.left_open
    assert found.spread == pytest.approx(0.8, rel=0.2)


def test_every_group_counts_alike():
    truth = dataclasses.replace(CONSTANTS, confidence=(-3.0, -1.5))
    twice = [drawn(truth, 4_000), drawn(CONSTANTS, 4_000, 1)]
    more = [twice[0], Joints.join([twice[1]] * 5)]
    a, b = (calibration.fit_certainty(groups, CONSTANTS) for groups in (twice, more))
    np.testing.assert_allclose(a.constants.confidence, b.constants.confidence, rtol=1e-2)


def test_a_curve_has_a_row_for_every_step_that_holds_joints():
    scores = np.array([0.05, 0.05, 0.95, 1.0])
    rows = calibration.curve(scores, np.array([False, True, True, True]))
    np.testing.assert_allclose(rows, [[0.05, 0.5, 2], [0.975, 1.0, 2]])


def test_the_picture_is_drawn(tmp_path):
    calibration.draw({"missing": drawn(CONSTANTS).scored(CONSTANTS)}, tmp_path / "curve.png")
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


@pytest.fixture(scope="module")
def clips():
    return Clips("procedural", count=2, frames=48, quality="fast", split="validation")


def test_what_is_measured_gives_the_scores_that_are_delivered(inpainter, clips):
    """For any constants, those that were not asked for either."""
    inputs, model = inpainter.completer.residual.inputs, inpainter.model
    views = clips.views("validation", model)
    cases = [c for some in make_cases(model, views, ("gap20", "noise"), 1).values() for c in some]
    cases += [calibration.leave(case, 3, np.random.default_rng(0)) for case in cases[:2]]
    replay = Replay(inpainter, QUALITIES["fast"])
    found = calibration.measure(replay, cases, CONSTANTS, ~inputs)
    constants = dataclasses.replace(
        CONSTANTS, spread=0.7, upsampled=0.8, left_open=0.04, confidence=(-2.0, -1.5)
    )
    done = replay(cases, constants)
    for group in ("missing", "upsampled", "refined"):
        scores = []
        for case, sequence in zip(cases, done, strict=True):
            assert np.isfinite(sequence.keypoints).all()
            groups = case.groups()
            groups["refined"] = groups["observed"] & (sequence.provenance == Provenance.REFINED)
            scores.append(sequence.scores[groups[group]])
        scores = np.concatenate(scores)
        assert len(scores) > 50
        np.testing.assert_allclose(found[group].scored(constants)[0], scores, atol=1e-6)


@pytest.mark.parametrize("count", [2, ENOUGH])
def test_scores_tell_how_many_joints_were_seen(inpainter, clips, count):
    """Of the packaged networks, with so many joints of people whom they do not know."""
    views = dataclasses.replace(clips, count=24).views("validation", inpainter.model)
    cases = calibration.few_seen(inpainter.model, views, count, 1)
    replay, inputs = Replay(inpainter, QUALITIES["fast"]), inpainter.completer.residual.inputs
    found = calibration.measure(replay, cases, inpainter.model.constants, ~inputs)
    assert not len(found["refined"].right)
    joints = calibration.Joints.join([found["missing"], found["upsampled"]])
    scores, right = joints.scored(inpainter.model.constants)
    # Procedural motion is not what the constants are of. Without their share of the deviation two
    # joints would say .8, of which a third is right.
    assert scores.mean() == pytest.approx(right.mean(), abs=0.2)
