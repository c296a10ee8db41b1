"""Which joints a window loses, kind by kind, and how far the others are displaced."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from posegan_jax.errors import InputError
from posegan_jax.motion.corrupt import (
    CorruptionOptions,
    add_noise,
    layouts,
    observable,
    sample_mask,
)
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton, make_skeleton

MPI = get_skeleton("mpi_inf_3dhp")
N, F, J = 200, 24, len(MPI)
X = np.random.default_rng(0).normal(size=(N, F, J, 2)).astype(np.float32)
DETECTED = [MPI.index(name) for name in DETECTED_12]
NOTHING = CorruptionOptions(
    clean=0.0, scattered=0.0, runs=0.0, joints=0.0, limbs=0.0, gap=0.0, crop=0.0, jitter=0.0,
    misses=0.0, inversions=0.0,
)
KINDS = ("scattered", "runs", "joints", "limbs", "gap", "crop")


def key(seed):
    # This generator compiles several times faster than the default one.
    return jax.random.key(seed, impl="unsafe_rbg")


KEY = key(0)


@functools.partial(jax.jit, static_argnums=2)
def _draw(key, x, options, chances):
    return sample_mask(key, x, MPI, dataclasses.replace(options, **chances))


def draw(options, key=KEY, x=X):
    """sample_mask, compiled once for all options that differ in their probabilities alone."""
    names = ("clean", "scattered_rate", *KINDS)
    chances = {name: getattr(options, name) for name in names}
    options = dataclasses.replace(options, **dict.fromkeys(names, 0.0))
    return np.asarray(_draw(key, x, options, chances))


def only(kind, **options):
    """(N, F, 12) True where a detected joint is missing, with one kind of corruption alone."""
    return draw(dataclasses.replace(NOTHING, **{kind: 1.0}, **options))[:, :, DETECTED] == 0


def column(missing, name):
    return missing[:, :, DETECTED_12.index(name)]


# --- all kinds ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [CorruptionOptions(), dataclasses.replace(NOTHING, **dict.fromkeys(KINDS, 1.0))]
)
def test_only_detected_joints_are_ever_observed(options):
    mask = draw(options)
    assert mask.shape == (N, F, J) and mask.dtype == np.float32
    assert set(np.unique(mask)) == {0.0, 1.0}
    ever = {MPI.joints[i] for i in np.flatnonzero(mask.any(axis=(0, 1)))}
    assert ever == set(DETECTED_12)


def test_a_clean_window_observes_exactly_the_detected_joints():
    expected = np.broadcast_to(observable(MPI, CorruptionOptions()), (N, F, J))
    assert expected.sum() == N * F * 12
    everything = dict.fromkeys(KINDS, 1.0)
    clean = dataclasses.replace(NOTHING, clean=1.0, **everything)
    np.testing.assert_array_equal(draw(clean), expected)
    np.testing.assert_array_equal(draw(NOTHING), expected)


def test_the_share_of_clean_windows():
    options = dataclasses.replace(NOTHING, clean=0.25, joints=1.0, scattered=1.0)
    whole = draw(options)[:, :, DETECTED].all(axis=(1, 2)).mean()
    assert 0.13 < whole < 0.37  # four standard errors


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_removes_something_alone_and_at_its_own_rate(kind):
    struck = only(kind).any(axis=(1, 2))
    assert 0.5 < struck.mean() <= 1.0
    seldom = draw(dataclasses.replace(NOTHING, **{kind: 0.3}))[:, :, DETECTED] == 0
    assert 0.02 < seldom.any(axis=(1, 2)).mean() < 0.45
    assert not seldom.all(axis=(1, 2)).any()


@pytest.mark.parametrize("kinds", [KINDS, ("joints", "limbs", "runs"), ("joints",), ("crop",)])
def test_every_window_keeps_two_joints_in_some_frame(kinds):
    options = dataclasses.replace(NOTHING, **dict.fromkeys(kinds, 1.0), scattered_rate=1.0)
    for seed in range(3):
        mask = draw(options, key=key(seed))
        assert (mask.sum(axis=-1).max(axis=1) >= 2).all()


def test_a_window_that_would_lose_everything_is_left_whole():
    """Three joints, each missing for the whole window four times in ten: it happens."""
    options = dataclasses.replace(
        NOTHING, joints=1.0, detected=("left_wrist", "right_wrist", "left_knee")
    )
    count = draw(options).sum(axis=-1)
    assert (count == count[:, :1]).all()
    assert set(np.unique(count)) == {2.0, 3.0}


def test_masks_follow_their_key():
    options = CorruptionOptions(clean=0.0)
    first, again = draw(options), draw(options)
    other = draw(options, key=key(1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=(1, 2)).mean() > 0.5


def test_windows_of_a_batch_are_drawn_apart():
    mask = draw(dataclasses.replace(NOTHING, scattered=1.0))
    assert len({window.tobytes() for window in mask}) > 0.9 * N


# --- kind by kind ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.6])
def test_scattered_joints_are_missing_here_and_there(rate):
    missing = only("scattered", scattered_rate=rate)
    share = missing.mean(axis=(1, 2))
    assert share.max() <= rate + 4 * np.sqrt(rate * (1 - rate) / (F * 12))
    assert share.mean() == pytest.approx(rate / 2, abs=0.05)  # uniform up to the rate
    if rate:
        dense = missing[share > rate / 2]
        changes = (dense[:, 1:] != dense[:, :-1]).mean()  # independent: 2 p (1 - p) of the steps
        p = share[share > rate / 2]
        assert changes == pytest.approx((2 * p * (1 - p)).mean(), abs=0.03)


def test_runs_are_one_stretch_of_frames_per_joint():
    missing = only("runs")
    starts = missing[:, :1].sum(axis=1) + (missing[:, 1:] & ~missing[:, :-1]).sum(axis=1)
    assert starts.max() == 1
    length = missing.sum(axis=1)
    assert length.max() > F // 2 and length.max() < F
    assert 0.3 < (length > 0).mean() <= 0.5 + 4 * 0.5 / np.sqrt(N * 12)  # a joint's chance is 1/2
    differ = (missing != missing[:, :, :1]).any(axis=(1, 2))
    assert differ.mean() > 0.9  # every joint for itself


def test_joints_are_missing_for_the_whole_window():
    missing = only("joints")
    assert (missing == missing[:, :1]).all()
    count = missing[:, 0].sum(axis=1)
    assert len(np.unique(count)) > 6 and count.max() <= 10
    assert (missing[:, 0].mean(axis=0) > 0.2).all()  # any of them


def test_limbs_are_missing_whole_and_for_the_whole_window():
    missing = only("limbs")
    assert (missing == missing[:, :1]).all()
    for side in ("left", "right"):
        shoulder, elbow, wrist, hip, knee, ankle = (
            column(missing, f"{side}_{part}")[:, 0]
            for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        )
        np.testing.assert_array_equal(elbow, wrist)
        np.testing.assert_array_equal(knee, ankle)
        assert (elbow | ~shoulder).all() and (knee | ~hip).all()  # from the far end inwards
        # with and without the joint that ties it to the trunk
        assert (elbow & ~shoulder).any() and (elbow & shoulder).any()
        assert (knee & ~hip).any() and (knee & hip).any()
    left, right = column(missing, "left_wrist")[:, 0], column(missing, "right_wrist")[:, 0]
    assert (left & ~right).any() and (right & ~left).any() and (left & right).any()


def test_one_limb_or_both_legs_are_what_is_mostly_missing():
    missing = only("limbs")
    arms_and_legs = np.stack(
        [column(missing, f"{side}_{end}")[:, 0] for end in ("wrist", "ankle")
         for side in ("left", "right")], axis=1,
    )
    one = arms_and_legs.sum(axis=1) == 1
    legs = (arms_and_legs == [False, False, True, True]).all(axis=1)
    assert one.mean() > 0.4 and legs.mean() > 0.15
    assert (arms_and_legs[one].mean(axis=0) > 0.15).all()  # whichever


def test_limbs_take_hands_and_feet_along():
    options = dataclasses.replace(NOTHING, limbs=1.0, detected=MPI.joints)
    missing = draw(options)[:, 0] == 0
    for side in ("left", "right"):
        for chain in (("elbow", "wrist", "hand"), ("knee", "ankle", "foot", "toe")):
            first, *others = (missing[:, MPI.index(f"{side}_{part}")] for part in chain)
            for other in others:
                np.testing.assert_array_equal(first, other)
    singles = [left for left, right in MPI.rows if left == right]
    assert not missing[:, singles].any()  # trunk and head are no limbs


@pytest.mark.parametrize("longest", [5, 20])
def test_a_gap_is_consecutive_frames_without_any_joint(longest):
    missing = only("gap", gap_frames=longest)
    assert (missing == missing[:, :, :1]).all()  # all joints or none
    frames = missing[:, :, 0]
    starts = frames[:, 0].astype(int) + (frames[:, 1:] & ~frames[:, :-1]).sum(axis=1)
    assert starts.max() == 1
    length = frames.sum(axis=1)
    assert length.min() >= 1
    assert longest - 2 <= length.max() <= longest
    assert frames.any(axis=0).all()  # anywhere in the window, at its ends too


def separable(observed, missing):
    """Whether a line tilted by at most 0.15 from an edge of the picture parts the two sets."""
    for side in range(4):
        angle = side * np.pi / 2
        out = np.array([np.cos(angle), np.sin(angle)])
        along = np.array([-out[1], out[0]])
        # t, b and the largest margin m: (out + t along) x beyond b + m, or short of b - m
        rows = [[x @ along, -1.0, 1.0] for x in observed]
        rows += [[-x @ along, 1.0, 1.0] for x in missing]
        limits = [-x @ out for x in observed] + [x @ out for x in missing]
        bounds = [(-np.tan(0.15), np.tan(0.15)), (None, None), (None, 1.0)]
        best = linprog([0.0, 0.0, -1.0], A_ub=rows, b_ub=limits, bounds=bounds)
        if best.status == 0 and best.x[2] > -1e-5:
            return True
    return False


def test_a_crop_takes_everything_beyond_a_line():
    options = dataclasses.replace(NOTHING, crop=1.0, detected=MPI.joints)
    mask = draw(options)
    shares = []
    for x, window in zip(X[:20, ::3], mask[:20, ::3] > 0, strict=True):
        assert separable(x[window], x[~window])
        shares.append(1 - window.mean())
    assert max(shares) > 0.5 and min(shares) < 0.1


def test_a_crop_comes_from_all_four_sides():
    """On a cross of four joints, some windows lose the left arm alone, some the top, ..."""
    cross = {"left_wrist": (1, 0), "right_wrist": (-1, 0), "head_top": (0, -1), "left_toe": (0, 1)}
    x = np.zeros((N, F, J, 2), np.float32)
    for name, place in cross.items():
        x[:, :, MPI.index(name)] = place
    options = dataclasses.replace(NOTHING, crop=1.0, detected=tuple(cross))
    mask = draw(options, x=x)
    lost = {
        tuple(name for name in cross if not window[0, MPI.index(name)]) for window in mask
    }
    assert {(name,) for name in cross} <= lost


# --- which joints may be observed -----------------------------------------------------------------


def test_joints_that_are_never_observed():
    options = CorruptionOptions(never_observed=("left_wrist", "right_knee"))
    assert observable(MPI, options).sum() == 10
    ever = draw(options).any(axis=(0, 1))
    assert not ever[MPI.index("left_wrist")] and not ever[MPI.index("right_knee")]
    assert ever.sum() == 10


@pytest.mark.parametrize(
    "options, message",
    [
        (CorruptionOptions(detected=("left_eye",)), "no joint 'left_eye'"),
        (CorruptionOptions(never_observed=("tail",)), "no joint 'tail'"),
        (CorruptionOptions(detected=()), "no joint is left"),
        (CorruptionOptions(never_observed=DETECTED_12), "no joint is left"),
    ],
)
def test_options_that_name_no_joint(options, message):
    with pytest.raises(InputError, match=message):
        observable(MPI, options)


# --- jitter ---------------------------------------------------------------------------------------


def displaced(key=KEY, **options):
    options = dataclasses.replace(NOTHING, **options)
    return np.asarray(add_noise(key, jnp.asarray(X), MPI, options)) - X


@pytest.mark.parametrize("options", [{"jitter": 0.0}, {"jitter": 1.0, "jitter_scale": 0.0}])
def test_without_jitter_nothing_moves(options):
    np.testing.assert_array_equal(displaced(**options), 0)


def test_jitter_is_of_the_stated_scale():
    noise = displaced(jitter=1.0, jitter_scale=0.03)
    spread = noise.std(axis=(1, 2, 3))  # of 1344 numbers: to a tenth
    assert spread.max() < 0.03 * 1.1
    # uniform up to the scale, from window to window
    np.testing.assert_allclose(
        np.quantile(spread, [0.25, 0.5, 0.75]), [0.0075, 0.015, 0.0225], atol=0.004
    )
    np.testing.assert_allclose(noise.mean(axis=(1, 2)) / spread[:, None], 0.0, atol=0.2)


def test_jitter_befalls_its_share_of_windows():
    moved = displaced(jitter=0.4).any(axis=(1, 2, 3))
    assert 0.26 < moved.mean() < 0.54  # four standard errors


def test_jitter_is_independent_per_joint_and_frame():
    noise = displaced(jitter=1.0, jitter_scale=0.05)
    noise /= noise.std(axis=(1, 2, 3), keepdims=True)
    assert abs((noise[:, 1:] * noise[:, :-1]).mean()) < 0.02
    assert abs((noise[:, :, 1:] * noise[:, :, :-1]).mean()) < 0.02
    assert abs((noise[..., 0] * noise[..., 1]).mean()) < 0.02


def test_jitter_follows_its_key():
    first, again = displaced(jitter=1.0), displaced(jitter=1.0)
    np.testing.assert_array_equal(first, again)
    assert (displaced(key(1), jitter=1.0) != first).any(axis=(1, 2, 3)).all()


# --- gross errors ---------------------------------------------------------------------------------


def test_misses_befall_their_share():
    noise = displaced(misses=0.5, miss_rate=0.2)
    missed = noise.any(axis=-1)
    windows = missed.any(axis=(1, 2))
    assert 0.3 < windows.mean() < 0.65
    assert 0.05 < missed[windows].mean() < 0.15
    assert np.std(noise[missed]) == pytest.approx(0.3, abs=0.02)


def test_misses_come_alone_or_stay():
    noise = displaced(misses=1.0)
    missed = noise.any(axis=-1)
    both = missed[:, 1:] & missed[:, :-1]
    same = (np.abs(np.diff(noise, axis=1)).max(axis=-1) < 1e-6) & both
    lasting = same.sum(axis=(1, 2)) / np.maximum(both.sum(axis=(1, 2)), 1)
    assert set(np.round(lasting[both.any(axis=(1, 2))], 2)) == {0.0, 1.0}


def test_inversions_exchange_left_and_right():
    noise = displaced(inversions=1.0)
    mirror = np.asarray(MPI.mirror)
    moved = noise.any(axis=-1)
    np.testing.assert_allclose((X + noise)[moved], X[:, :, mirror][moved], atol=1e-6)
    np.testing.assert_array_equal(moved, moved[:, :, mirror])
    assert not moved[..., MPI.index("neck")].any()
    frames = moved.any(axis=-1).sum(axis=1)
    assert frames.max() == F // 2 and frames.min() <= 1
    pairs = moved.any(axis=1)[..., [MPI.index("left_knee"), MPI.index("left_wrist")]]
    assert (pairs[:, 0] != pairs[:, 1]).any()  # pairs, not the whole body


# --- layouts --------------------------------------------------------------------------------------


BODY45 = get_skeleton("body45")
LAYOUTS = ("coco17", "body25", "mediapipe33", "alphapose12", "body45")


def delivered(**options):
    """(N, J) bool, what is observed of windows that lose nothing."""
    options = dataclasses.replace(NOTHING, clean=1.0, layouts=LAYOUTS, **options)
    x = jnp.zeros((N, F, len(BODY45), 2))
    mask = np.asarray(sample_mask(KEY, x, BODY45, options)) > 0
    assert (mask == mask[:, :1]).all()
    return mask[:, 0]


def test_a_window_is_seen_by_a_detector_of_one_layout():
    names = [tuple(np.array(BODY45.joints)[window]) for window in delivered()]
    wanted = [
        tuple(joint for joint in BODY45.joints if joint in get_skeleton(layout))
        for layout in LAYOUTS
    ]
    assert set(names) == set(wanted)
    for layout in wanted:  # four standard errors
        assert names.count(layout) / N == pytest.approx(1 / 5, abs=0.12)


def test_a_detector_delivers_few_joints_of_its_layout():
    masks = layouts(BODY45, CorruptionOptions(layouts=LAYOUTS)) > 0
    count = []
    for window in delivered(few=1.0):
        assert any((window <= mask).all() for mask in masks)
        count.append(window.sum())
    assert min(count) == 4 and max(count) > 30
    some = [window.sum() for window in delivered(few=0.5)]
    whole = np.isin(some, masks.sum(-1)).mean()
    assert 0.4 < whole < 0.75


def test_hands_and_feet_go_with_their_limbs_in_any_layout():
    options = dataclasses.replace(NOTHING, limbs=1.0, layouts=("body45",))
    mask = np.asarray(sample_mask(KEY, jnp.zeros((N, F, 45, 2)), BODY45, options))[:, 0]
    for side in ("left", "right"):
        for chain in (
            ("elbow", "wrist", "hand", "thumb", "index", "pinky"),
            ("knee", "ankle", "foot", "toe", "heel", "big_toe", "small_toe"),
        ):
            columns = mask[:, [BODY45.index(f"{side}_{part}") for part in chain]]
            assert (columns == columns[:, :1]).all() and 0 < columns.mean() < 1


def test_layouts_change_nothing_else_of_what_is_missing():
    one = dataclasses.replace(NOTHING, scattered=1.0, detected=DETECTED_12)
    other = dataclasses.replace(one, layouts=("alphapose12",))
    np.testing.assert_array_equal(draw(one), draw(other))


def test_layouts_that_are_none():
    with pytest.raises(InputError, match="unknown skeleton 'octopus'"):
        CorruptionOptions(layouts=("octopus",))
    hands = make_skeleton("hands", ("left_hand", "right_hand"))
    with pytest.raises(InputError, match="coco17 has no two joints of hands"):
        layouts(hands, CorruptionOptions(layouts=("coco17",)))
