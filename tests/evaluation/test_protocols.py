"""Seeded protocols: what is hidden, what is displaced, what stays."""

import numpy as np
import pytest

from posegan_jax.evaluation.protocols import GAP_EVERY, PROTOCOLS, make_case
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

MPI = get_skeleton("mpi_inf_3dhp")
DETECTED = np.array([joint in DETECTED_12 for joint in MPI.joints])
LONG, SHORT = 400, 24


def person(frames, seed=0):
    """(T, 28, 2): somebody who stands 600 pixels tall and sways."""
    rng = np.random.default_rng(seed)
    heights = {"head": 0, "shoulder": 120, "elbow": 230, "hip": 300, "wrist": 330, "knee": 450,
               "ankle": 580}
    pose = np.array([
        [900 + (-80 if "left" in j else 80 if "right" in j else 0),
         200 + next((y for part, y in heights.items() if part in j), 250)]
        for j in MPI.joints
    ], float)
    sway = 20 * np.sin(np.arange(frames)[:, None, None] / 9 + rng.uniform(0, 6, (28, 1)))
    return pose + sway


def case(name, frames=LONG, seed=0, number=0):
    return make_case(name, person(frames), MPI, seed, number)


def hidden(name, **options):
    return ~case(name, **options).observed[:, DETECTED]


def parts(mask):
    return {name for name, m in zip(DETECTED_12, order(mask), strict=True) if m}


def order(mask):
    """(12,) in the order of DETECTED_12, from that of the skeleton."""
    names = [j for j in MPI.joints if j in DETECTED_12]
    return [mask[names.index(name)] for name in DETECTED_12]


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("frames", [SHORT, LONG])
def test_groups_part_all_joints_and_only_detected_ones_are_observed(name, frames):
    made = case(name, frames)
    groups = made.groups()
    assert (sum(g.astype(int) for g in groups.values()) == 1).all()
    assert not made.observed[:, ~DETECTED].any() and made.observed.any()
    assert (groups["upsampled"] == ~DETECTED).all()
    assert (made.scores[~made.observed] == 0).all() and (made.scores[made.observed] > 0).all()
    assert np.isfinite(made.truth).all()
    if not PROTOCOLS[name].noisy:
        np.testing.assert_array_equal(made.keypoints[made.observed], made.truth[made.observed])
        assert not made.kinds.any()


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_seed_and_the_clip_say_what_befalls(name):
    one, two = case(name, seed=3), case(name, seed=3)
    np.testing.assert_array_equal(one.keypoints, two.keypoints)
    np.testing.assert_array_equal(one.scores, two.scores)
    if name not in ("clean", "legs", "lower"):
        others = [case(name, seed=3, number=n) for n in range(1, 12)] + [case(name, seed=4)]
        assert any(not np.array_equal(one.keypoints, o.keypoints, equal_nan=True) for o in others)


@pytest.mark.parametrize("rate", [10, 20, 40, 60])
def test_holes_fall_on_each_joint_and_frame_on_its_own(rate):
    missing = hidden(f"holes{rate}")
    assert missing.mean() == pytest.approx(rate / 100, abs=0.03)
    np.testing.assert_allclose(missing.mean(axis=0), rate / 100, atol=0.12)
    along = np.corrcoef(missing[1:].ravel(), missing[:-1].ravel())[0, 1]
    across = np.corrcoef(missing.T.astype(float)) - np.eye(12)
    assert abs(along) < 0.1 and np.abs(across).max() < 0.25


@pytest.mark.parametrize(
    ("name", "lost", "sides"),
    [("arm", {"elbow", "wrist"}, 1), ("leg", {"knee", "ankle"}, 1), ("legs", {"knee", "ankle"}, 2),
     ("lower", {"hip", "knee", "ankle"}, 2)],
)
def test_limbs_are_missing_all_the_time(name, lost, sides):
    drawn = set()
    for number in range(8):
        missing = hidden(name, number=number)
        assert (missing == missing[0]).all()
        gone = parts(missing[0])
        assert {joint.partition("_")[2] for joint in gone} == lost
        assert len(gone) == sides * len(lost)
        drawn.add(frozenset(gone))
    assert len(drawn) == (2 if sides == 1 else 1)


@pytest.mark.parametrize("frames", [5, 10, 20])
def test_gaps_hide_everybody_and_return(frames):
    empty = hidden(f"gap{frames}").all(axis=1)
    assert (empty == hidden(f"gap{frames}").any(axis=1)).all()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], empty, [0]])))
    begins, ends = edges[::2], edges[1::2]
    assert (ends - begins == frames).all()
    assert abs(len(begins) - LONG / GAP_EVERY) < 1.5
    assert begins[0] >= 6 and ends[-1] <= LONG - 6 and (begins[1:] - ends[:-1] >= 12).all()
    for length in (SHORT, GAP_EVERY):
        window = hidden(f"gap{frames}", frames=length).all(axis=1)
        first = (length - frames) // 2
        assert (window == np.isin(np.arange(length), np.arange(first, first + frames))).all()
    assert hidden(f"gap{frames}", frames=GAP_EVERY + 1).all(axis=1).sum() == frames


def test_a_crop_is_a_line_that_leaves_something_in_every_frame():
    drawn = set()
    for number in range(20):
        made = case("crop", number=number)
        missing = hidden("crop", number=number)
        assert 0.1 <= missing.mean() <= 0.6 and (~missing).sum(axis=1).min() >= 2
        seen, gone = made.truth[made.observed], made.truth[made.groups()["missing"]]
        sides = [(seen[:, a].max() <= gone[:, a].min(), seen[:, a].min() >= gone[:, a].max())
                 for a in (0, 1)]
        assert np.sum(sides) == 1
        drawn.add(int(np.argmax(np.ravel(sides))))
    assert len(drawn) >= 3


def test_noise_hides_nothing_and_wild_holds_all():
    noisy = case("noise")
    assert noisy.observed[:, DETECTED].all() and noisy.kinds.any()
    assert np.abs(noisy.keypoints - noisy.truth)[noisy.observed].mean() > 1
    wild = case("wild")
    missing = ~wild.observed[:, DETECTED]
    assert missing.all(axis=1).sum() >= 10 and wild.kinds[wild.observed].any()
    assert 0.25 < missing.mean() < 0.8 and not wild.kinds[~wild.observed].any()
