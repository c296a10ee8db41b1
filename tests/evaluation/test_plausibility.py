"""Plausibility: of motion that slides, trembles, stretches, or is another's, by a known amount."""

import numpy as np
import pytest

from posegan_jax.evaluation.clips import view_clips, view_windows
from posegan_jax.evaluation.plausibility import MEASURES, Real, plausibility
from posegan_jax.evaluation.protocols import make_case
from posegan_jax.geometry.body import head_size
from posegan_jax.pose.skeleton import get_skeleton

MPI = get_skeleton("mpi_inf_3dhp")
LEGS = [MPI.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("knee", "ankle")]


@pytest.fixture(scope="module")
def cases():
    return [
        make_case("legs", view.keypoints, MPI, 0, i, spans=view.spans)
        for i, view in enumerate(view_clips("procedural", count=3, longest=60))
    ]


@pytest.fixture(scope="module")
def real():
    views = view_windows("procedural", count=60, frames=24, seed=5)
    return Real.of(np.stack([view.keypoints for view in views]))


def head(case):
    return float(np.mean(head_size(case.truth, MPI)))


def still(frames=40):
    """Somebody who stands still, with a head of 200 pixels; the legs are not observed."""
    pose = np.zeros((28, 2))
    pose[MPI.index("head_top")] = 0, -700
    pose[MPI.index("neck")] = 0, -500
    for side, x in (("left", 50), ("right", -50)):
        for joint, y in (("hip", 0), ("knee", 400), ("ankle", 800), ("toe", 800)):
            pose[MPI.index(f"{side}_{joint}")] = x, y
    truth = np.broadcast_to(pose, (frames, 28, 2)).copy()
    return make_case("legs", truth, MPI, 0, 0)


def test_the_truth_is_right_and_nothing_delivered_counts_nothing(cases, real):
    values = plausibility(cases, [case.truth for case in cases], real)
    assert set(values) == set(MEASURES)
    assert values["length"] == values["length3d"] == values["skating"] == values["mmd"] == 0
    assert values["bones"] > 0 and values["jerky"] > values["acceleration"] > 0
    nothing = plausibility(cases, [np.full(case.truth.shape, np.nan) for case in cases], real)
    assert set(nothing.values()) == {None}


def test_feet_that_slide():
    case = still()
    for speed, skates in ((10, 0), (30, 1)):
        moved = case.truth.copy()
        feet = [MPI.index(f"{side}_{j}") for side in ("left", "right") for j in ("ankle", "toe")]
        moved[:, feet, 0] += speed * np.arange(len(moved))[:, None]
        values = plausibility([case], [moved])
        assert values["sliding"] == pytest.approx(speed / 200)
        assert values["skating"] == skates
    assert values["acceleration"] == pytest.approx(0, abs=1e-9)


def test_feet_in_the_air_do_not_skate():
    case = still()
    lifted = [MPI.index(f"left_{joint}") for joint in ("ankle", "toe")]
    case.truth[:, lifted, 1] -= 120  # more than half a head
    moved = case.truth.copy()
    moved[:, lifted, 0] += 40 * np.arange(len(moved))[:, None]
    assert plausibility([case], [moved])["sliding"] == 0


def test_what_is_observed_is_left_aside():
    case = still()
    moved = case.truth.copy()
    moved[:, MPI.index("left_wrist")] += np.random.default_rng(0).normal(size=(len(moved), 2))
    values = plausibility([case], [moved])
    assert values["acceleration"] == 0 and values["length"] == 0


def test_limbs_that_are_too_long():
    case = still()
    longer = case.truth.copy()
    longer[:, LEGS, 1] *= 1.1
    values = plausibility([case], [longer])
    assert values["length"] == pytest.approx(0.1)
    assert values["length3d"] is None  # not known here
    spans = np.full((len(longer), len(MPI.bones())), 800.0)
    tilted = make_case("legs", case.truth, MPI, 0, 0, spans=spans)
    assert plausibility([tilted], [longer])["length3d"] == pytest.approx(0.05)


def test_spans_are_what_bones_are_seen_to_be_without_foreshortening(cases):
    parent, child = np.array(MPI.bones()).T
    for case in cases:
        seen = np.linalg.norm(case.truth[:, child] - case.truth[:, parent], axis=-1)
        share = (seen / case.spans)[:, case.spans.min(axis=0) > 1]
        # Off the camera's axis, perspective adds a little.
        assert 0.9 < np.quantile(share, 0.95) < 1.1


def test_unsteady_bones_and_jitter(cases):
    true = plausibility(cases, [case.truth for case in cases])
    rng = np.random.default_rng(0)
    trembling = [case.truth + rng.normal(scale=0.1 * head(case), size=case.truth.shape)
                 for case in cases]
    found = plausibility(cases, trembling)
    assert found["bones"] > true["bones"] + 0.05
    # White noise of variance 1 has second differences of variance 6 in each coordinate.
    assert found["acceleration"] == pytest.approx(0.1 * np.sqrt(6 * np.pi / 2), rel=0.1)


def test_the_discrepancy_tells_real_motion_from_other(real):
    same = np.stack([v.keypoints for v in view_windows("procedural", count=60, frames=24, seed=6)])
    rng = np.random.default_rng(0)
    size = np.ptp(same[..., 1], axis=(1, 2))[:, None, None, None]
    floor = real.discrepancy(same)
    trembling = real.discrepancy(same + 0.02 * size * rng.normal(size=same.shape))
    squeezed = real.discrepancy(same * [0.3, 1.0])
    assert abs(floor) < 0.02
    assert trembling > 3 * abs(floor) and squeezed > 3 * abs(floor)
    slightly, much = (real.distance(same * [width, 1.0], same) for width in (0.95, 0.3))
    assert real.distance(same, same) == 0 < slightly < much
    # Place and size tell nothing.
    assert real.discrepancy(3 * same + 70) == pytest.approx(floor, abs=1e-9)


def test_the_discrepancy_is_the_unbiased_one_and_the_distance_the_biased_one():
    """Against the sums of Gretton et al., equations 3 and 5."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(5, 4, 3, 2)), rng.normal(size=(6, 4, 3, 2))
    real = Real.of(y)

    def describe(windows):
        centered = windows - windows.mean((1, 2), keepdims=True)
        size = np.sqrt((centered**2).sum((1, 2, 3)) / 12)
        poses = centered / size[:, None, None, None]
        return [np.concatenate([p.ravel(), real.speed * np.diff(p, axis=0).ravel()]) for p in poses]

    def kernel(a, b):
        return np.exp(-((a - b) ** 2).sum() / (2 * real.bandwidth**2))

    a, b = describe(x), describe(y)
    own = np.mean([kernel(p, q) for i, p in enumerate(a) for j, q in enumerate(a) if i != j])
    other = np.mean([kernel(p, q) for i, p in enumerate(b) for j, q in enumerate(b) if i != j])
    cross = np.mean([kernel(p, q) for p in a for q in b])
    assert real.discrepancy(x) == pytest.approx(own + other - 2 * cross)
    own = np.mean([kernel(p, q) for p in a for q in a])
    other = np.mean([kernel(p, q) for p in b for q in b])
    assert real.distance(x, y) ** 2 == pytest.approx(own + other - 2 * cross)
