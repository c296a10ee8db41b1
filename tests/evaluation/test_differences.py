"""Bootstrap intervals: on differences whose interval is known."""

import numpy as np
import pytest

from posegan_jax.evaluation.differences import ahead, best, paired_difference
from posegan_jax.evaluation.scores import Scores


def scores(errors, counts):
    """Mean errors of clips, and how many joints they are of."""
    sums = np.stack([np.multiply(errors, counts), counts], axis=1).tolist()
    return Scores({}, {}, {"missing": {"error": sums, "auc": sums}}, {})


def test_the_interval_is_that_of_the_mean():
    """Of many clips, that of the central limit theorem."""
    rng = np.random.default_rng(1)
    errors, gain = rng.uniform(0, 1, 400), rng.normal(0.02, 0.1, 400)
    count = np.full(400, 7)
    found = paired_difference(scores(errors, count), scores(errors + gain, count), "missing",
                              "error")
    assert found.difference == pytest.approx(-gain.mean())
    half = 1.96 * gain.std() / 20
    assert found.low == pytest.approx(-gain.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(-gain.mean() + half, abs=0.1 * half)


def test_clips_count_by_their_joints_and_are_paired():
    a, b = scores([0.1, 0.9], [30, 10]), scores([0.2, 1.0], [30, 10])
    # However much clips differ: in each of them it is the same.
    np.testing.assert_allclose(paired_difference(a, b, "missing", "error"), -0.1)
    apart = paired_difference(a, scores([0.3, 0.9], [30, 10]), "missing", "error")
    assert apart.difference == pytest.approx(-0.2 * 30 / 40)
    assert (apart.low, apart.high) == pytest.approx((-0.2, 0.0))


def test_clips_without_such_joints_do_not_count():
    a, b = scores([0.1, 0.0], [5, 0]), scores([0.3, 0.0], [5, 0])
    np.testing.assert_allclose(paired_difference(a, b, "missing", "auc"), -0.2)
    nothing = scores([0.0, 0.0], [0, 0])
    assert paired_difference(nothing, nothing, "missing", "error") is None


def test_the_best_and_who_is_ahead():
    def of(value):
        return Scores({"missing": {"error": value, "auc": value}}, {}, {}, {})

    methods = {"a": of(0.2), "b": of(0.1), "c": of(None)}
    assert best(methods, ["a", "b", "c"], "missing", "error") == "b"
    assert best(methods, ["a", "b", "nobody"], "missing", "auc") == "a"
    assert best(methods, ["c"], "missing", "auc") is None
    assert ahead(0.1, 0.2, "error") and ahead(0.2, 0.1, "auc")
    assert not ahead(0.1, 0.2, "auc") and not ahead(None, 0.2, "error")
    assert not ahead(0.1001, 0.1004, "error")  # alike as printed
