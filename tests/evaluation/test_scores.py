"""Scores by groups of joints: against the metrics on single clips, and on errors that are known."""

import numpy as np
import pytest

from posegan_jax.evaluation.protocols import make_case
from posegan_jax.evaluation.scores import (
    ALPHAS,
    CURVE_METRICS,
    GROUPS_12,
    GROUPS_16,
    METRICS,
    PARTS,
    SUMMED,
    score,
)
from posegan_jax.geometry import metrics
from posegan_jax.geometry.body import head_size
from posegan_jax.motion.procedural import procedural_clips
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

MPI = get_skeleton("mpi_inf_3dhp")
TOTALS = ("Total-12J", "Total-28J")


def case(frames=30, number=0, protocol="holes40"):
    """Somebody from the front, a millimetre a pixel."""
    motion = procedural_clips("validation")[number].positions[:frames]
    return make_case(protocol, motion[..., :2] * [1.0, -1.0], MPI, 0, number)


def heads(case, end="neck"):
    return head_size(case.truth, MPI, end)


@pytest.fixture(scope="module")
def cases():
    return [case(30), case(17, 1), case(25, 2)]


@pytest.fixture(scope="module")
def results(cases):
    rng = np.random.default_rng(0)
    return [c.truth + rng.normal(scale=40, size=c.truth.shape) for c in cases]


def test_the_groups_are_those_of_the_tables():
    named = [joint for group in (GROUPS_12 | GROUPS_16).values() for joint in group]
    assert sorted(named) == sorted(MPI.joints)
    assert {joint for group in GROUPS_12.values() for joint in group} == set(DETECTED_12)


def test_the_printed_totals_follow_from_the_groups():
    """The thesis's M-s1 at 0.5: totals of 12 and 28 joints out of the columns, by their sizes."""
    twelve = dict(zip(GROUPS_12, (0.739, 0.782, 0.621, 0.900, 0.783, 0.748), strict=True))
    sixteen = dict(zip(GROUPS_16, (0.415, 0.492, 0.847, 0.652, 0.916, 0.678), strict=True))
    groups = GROUPS_12 | GROUPS_16
    total = sum(v * len(groups[name]) for name, v in (twelve | sixteen).items()) / len(MPI)
    assert np.mean(list(twelve.values())) == pytest.approx(0.762, abs=6e-4)
    assert total == pytest.approx(0.733, abs=6e-4)


def test_all_values_are_there(cases, results):
    values = score(cases, results).values
    assert set(values) == {*GROUPS_12, *GROUPS_16, *TOTALS, *PARTS}
    for name, group in values.items():
        assert tuple(group) == (METRICS if name in (*TOTALS, *PARTS) else CURVE_METRICS)
        assert all(type(value) is float for value in group.values())


def test_totals_are_the_metrics_over_all_clips(cases, results):
    scores = score(cases, results)
    truth, result = np.concatenate([c.truth for c in cases]), np.concatenate(results)
    head = np.concatenate([heads(c) for c in cases])
    curve = np.asarray(metrics.pckh(result, truth, head))
    np.testing.assert_allclose(scores.curves["Total-28J"], curve, atol=1e-5)
    total = scores.values["Total-28J"]
    assert total["pckh@0.5"] == pytest.approx(curve[50], abs=1e-5)
    assert total["auc"] == pytest.approx(float(metrics.auc(curve)), abs=1e-5)
    error = np.linalg.norm(result - truth, axis=-1) / head[:, None]
    assert total["error"] == pytest.approx(error.mean(), rel=1e-4)
    assert scores.values["Head"]["pckh@0.1"] == pytest.approx(
        (error[:, [MPI.index("head"), MPI.index("head_top")]] <= 0.1).mean(), abs=1e-5
    )
    assert len(scores.curves["Total-12J"]) == len(ALPHAS)


def test_groups_add_up_to_totals(cases, results):
    values = score(cases, results).values
    for metric in CURVE_METRICS:
        for total, groups in (("Total-12J", GROUPS_12), ("Total-28J", GROUPS_12 | GROUPS_16)):
            weighed = [values[name][metric] * len(joints) for name, joints in groups.items()]
            joints = sum(len(joints) for joints in groups.values())
            assert values[total][metric] == pytest.approx(sum(weighed) / joints, abs=1e-5)


@pytest.mark.parametrize("delivered", [True, False])
def test_clips_add_up_to_the_value(cases, results, delivered):
    scores = score(cases, results if delivered else [c.keypoints for c in cases])
    for part, by_metric in scores.clips.items():
        assert tuple(by_metric) == SUMMED
        for metric, sums in by_metric.items():
            total, count = np.sum(sums, axis=0)
            value = scores.values[part][metric]
            if value is None:
                assert count == 0
            else:  # the area is the curve's, by steps of .01
                assert total / count == pytest.approx(value, abs=5e-3 if metric == "auc" else 1e-5)


def test_parts_are_counted_apart(cases):
    results = []
    for c in cases:
        offset = {"observed": 0.0, "missing": 0.3, "upsampled": 0.7}
        result = c.truth.copy()
        for part, mask in c.groups().items():
            result[mask, 0] += (offset[part] * heads(c)[:, None] * mask)[mask]
        results.append(result)
    values = score(cases, results).values
    assert values["observed"]["pckh@0.1"] == 1.0 and values["observed"]["error"] < 1e-5
    assert values["missing"]["error"] == pytest.approx(0.3, abs=1e-3)
    assert values["missing"]["pckh@0.1"] == 0.0 and values["missing"]["pckh@0.5"] == 1.0
    assert values["upsampled"]["pckh@0.5"] == 0.0 and values["upsampled"]["pckh@1.0"] == 1.0


def test_what_was_not_delivered_is_wrong_and_has_no_error(cases):
    values = score(cases, [c.keypoints for c in cases]).values
    assert values["observed"]["pckh@0.1"] == 1.0 and values["observed"]["error"] == 0.0
    assert values["missing"]["pckh@1.0"] == 0.0 == values["Toes"]["auc"]
    assert values["missing"]["error"] is None and values["upsampled"]["bones"] is None
    share = np.mean(np.concatenate([c.observed[:, c.detected] for c in cases]))
    assert values["Total-12J"]["pckh@0.5"] == pytest.approx(share, abs=1e-5)


def test_a_part_without_joints_has_no_value():
    clean = case(protocol="clean")
    assert set(score([clean], [clean.truth]).values["missing"].values()) == {None}


def test_acceleration_and_bones_do_not_see_the_seams(cases):
    """A displacement that is constant within a clip is neither jitter nor an unsteady bone."""
    moved = [c.truth + 100.0 * i for i, c in enumerate(cases, 1)]
    total = score(cases, moved).values["Total-28J"]
    assert total["acceleration"] < 1e-3 and total["bones"] < 1e-3 and total["error"] > 0.2
    shaken = [c.truth + 10.0 * np.array([1, -1])[np.arange(len(c.truth)) % 2, None, None]
              for c in cases]
    sized = [np.mean(heads(c)) for c in cases]
    expected = [40 * np.sqrt(2) / s for s in sized]  # second differences of +-10 are +-40
    frames = [len(c.truth) - 2 for c in cases]
    total = score(cases, shaken).values["Total-28J"]
    assert total["acceleration"] == pytest.approx(np.average(expected, weights=frames), rel=1e-3)
    assert total["bones"] < 1e-3  # all joints alike: bones keep their lengths


def test_the_head_may_end_at_its_base(cases, results):
    long, short = (score(cases, results, head).values["Total-28J"]["error"]
                   for head in ("neck", "head"))
    ratio = np.mean([heads(c, "neck").mean() / heads(c, "head").mean() for c in cases])
    assert short / long == pytest.approx(ratio, rel=0.1) and ratio > 1.2
