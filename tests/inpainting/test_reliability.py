"""How far observations can be relied on."""

import numpy as np
import pytest
from swaying import JOINTS, motion, white

from posegan_jax.geometry.body import body_size
from posegan_jax.inpainting.noise import WHITE
from posegan_jax.inpainting.reliability import (
    FEWEST,
    LEAST_CONFIDENCE,
    REFINE_NOISE,
    REJECT,
    History,
    assess,
    confidence,
    recall,
    stray,
)
from posegan_jax.inpainting.residual import ROUGHNESS, ResidualModel

# --- confidence -----------------------------------------------------------------------------------


def test_scores_count_against_the_median():
    """Whatever a detector's scale is."""
    scores = np.array([[0.4, 0.8, 0.2, 0.4], [0.01, 0.4, 0.4, 0.9]])
    wanted = [[1.0, 1.0, 0.5, 1.0], [LEAST_CONFIDENCE, 1.0, 1.0, 1.0]]
    seen = np.ones(scores.shape, bool)
    np.testing.assert_allclose(confidence(scores, seen), wanted)
    np.testing.assert_allclose(confidence(50 * scores, seen), wanted)


def test_scores_of_missing_joints_do_not_shift_the_median():
    scores = np.full((10, 4), 0.6)
    scores[:, 1:] = 0.0
    seen = scores > 0
    assert (confidence(scores, seen)[seen] == 1).all()
    scores[0, 0] = 0.3
    assert confidence(scores, seen)[0, 0] == 0.5


def test_without_scores_all_count_alike():
    assert (confidence(np.zeros((5, 3)), np.ones((5, 3), bool)) == 1).all()
    assert (confidence(np.ones((5, 3)), np.zeros((5, 3), bool)) == 1).all()  # none seen


# --- joints of someone else -----------------------------------------------------------------------


def test_joints_of_someone_else_are_stray():
    keypoints = motion(30)
    assert not stray(keypoints).any()
    wrong = np.zeros(keypoints.shape[:2], bool)
    wrong[7, 2] = wrong[8:20, [1, 5]] = True
    keypoints[wrong] += (600.0, 0.0)
    np.testing.assert_array_equal(stray(keypoints), wrong)
    keypoints[3, 4] = keypoints[10, 0] = np.nan  # a hole is not stray, and hides nobody
    np.testing.assert_array_equal(stray(keypoints), wrong)


def test_an_arm_stretched_out_is_not_stray():
    keypoints = motion(30)
    middle = keypoints.mean(axis=1)
    keypoints[:, 0] = middle + 2.5 * (keypoints[:, 0] - middle)
    assert not stray(keypoints).any()


def test_of_a_few_joints_none_is_stray():
    keypoints = motion(3)
    keypoints[:, 0] += 2000.0
    keypoints[0, FEWEST:], keypoints[1, FEWEST - 1 :], keypoints[2] = np.nan, np.nan, np.nan
    np.testing.assert_array_equal(stray(keypoints)[:, 0], [True, False, False])


# --- the whole ------------------------------------------------------------------------------------


def model(deviation=0.1):
    """Joints of the same deviation that do not go with each other."""
    none = np.zeros((2 * JOINTS + 1, 2 * JOINTS))
    return ResidualModel(none, deviation**2 * np.eye(JOINTS), none)


def judge(keypoints, observed="auto", weights=1.0, step=1.0, generated=None):
    """``assess``; the first look is the middle of the motion unless it is given."""
    if generated is None:
        generated = motion(len(keypoints))
    weights = np.broadcast_to(weights, keypoints.shape[:2])
    runs = [slice(0, len(keypoints))]
    return assess(keypoints, weights, generated, runs, model(), observed, step)


def test_of_what_is_too_short_to_tell_noise_that_of_other_parts_is_supposed():
    keypoints = motion(6) + 4.0 * np.random.default_rng(0).normal(size=(6, JOINTS, 2))
    args = (keypoints, np.ones((6, JOINTS)), motion(6), [slice(0, 6)], model(), "auto", 1.0)
    assert (assess(*args).noise == 0).all() and (assess(*args, unknown=0.03).noise > 0).all()
    longer = motion(60)
    args = (longer, np.ones((60, JOINTS)), motion(60), [slice(0, 60)], model(), "auto", 1.0)
    assert (assess(*args, unknown=0.03).noise == 0).all()


def test_few_numbers_call_nothing_an_error():
    keypoints = motion(60) + 4.0 * white((60, JOINTS, 2))
    sparse = np.full(keypoints.shape, np.nan)
    sparse[::3], sparse[:8, :3] = keypoints[::3], keypoints[:8, :3]  # four differences of each
    weights, runs = np.ones((60, JOINTS)), [slice(0, 60)]
    found = assess(sparse, weights, motion(60), runs, model(), "auto", 1.0)
    assert not found.noise.any()
    assert found.roughness > 0.03  # which holes are none the less not filled by
    supposed = assess(sparse, weights, motion(60), runs, model(), "auto", 1.0, unknown=0.03)
    assert (supposed.noise > 0).all()
    assert (assess(keypoints, weights, motion(60), runs, model(), "auto", 1.0).noise > 0).all()


def outlying(frames=60):
    keypoints = motion(frames)
    keypoints[20, 3] += (150.0, 0.0)
    return keypoints


@pytest.mark.parametrize("noise", [0.0, 4.0])
def test_what_is_kept_is_exact_and_trusted(noise):
    keypoints = outlying() + noise * white((60, JOINTS, 2))
    found = judge(keypoints, "keep")
    assert (found.noise == 0).all() and (found.trust == 1).all() and found.precision == 1


def test_exact_observations_are_trusted_but_for_spikes():
    found = judge(outlying())
    assert (found.noise == 0).all() and found.precision == 1
    assert np.argwhere(found.trust != 1).tolist() == [[20, 3]] and found.trust[20, 3] == 0


def test_what_is_refined_has_noise_at_least():
    size = np.sqrt(((motion(60) - motion(60).mean(1, keepdims=True)) ** 2).sum(-1).mean(-1)).mean()
    found = judge(motion(60), "refine")
    np.testing.assert_allclose(found.noise, REFINE_NOISE * size, rtol=0.05)
    assert found.trust.min() > 0.9
    noisy = motion(60) + 8 * white((60, JOINTS, 2))
    refined, auto = judge(noisy, "refine"), judge(noisy)
    np.testing.assert_array_equal(refined.noise, auto.noise)
    assert refined.noise.min() > 2 * REFINE_NOISE * size


def test_the_noise_is_measured_and_outliers_lose_trust():
    keypoints = outlying() + 4 * white((60, JOINTS, 2))
    keypoints[40:, 5] += (0.0, 300.0)  # not a spike
    found = judge(keypoints)
    np.testing.assert_allclose(found.noise, 4 / np.sqrt(WHITE), rtol=0.25)
    wrong = np.zeros((60, JOINTS), bool)
    wrong[20, 3] = wrong[40:, 5] = True
    assert found.trust[wrong].max() < REJECT < 0.5 < np.quantile(found.trust[~wrong], 0.01)


def test_the_precision_is_inverse_to_the_noise():
    size = np.sqrt(((motion(60) - motion(60).mean(1, keepdims=True)) ** 2).sum(-1).mean(-1)).mean()
    for noise in (4, 8):
        found = judge(motion(60) + noise * white((60, JOINTS, 2)))
        level = noise / np.sqrt(WHITE) / size
        assert np.sqrt(found.precision) == pytest.approx(ROUGHNESS / level, rel=0.3)


def test_less_certain_joints_are_noisier():
    noisy = motion(60) + 4 * white((60, JOINTS, 2))
    weights = np.ones((60, JOINTS))
    weights[:, 2] = 0.25
    found = judge(noisy, weights=weights)
    np.testing.assert_allclose(found.noise[:, 2], 4 * found.noise[:, 1])
    assert (judge(motion(60), weights=weights).noise == 0).all()  # exact ones are exact


def test_at_low_rates_neither_noise_nor_spikes_are_seen():
    """Motion itself is as rough."""
    rough = outlying() + 4 * white((60, JOINTS, 2))
    found = judge(rough, step=2.0)
    assert (found.noise == 0).all() and (found.trust == 1).all()
    assert (judge(rough, "refine", step=2.0).noise > 0).all()


def test_frames_without_a_first_look_are_left_alone():
    keypoints = motion(60) + 4 * white((60, JOINTS, 2))
    keypoints[20:40] = np.nan
    generated = motion(60)
    generated[25:35] = np.nan
    weights = np.ones((60, JOINTS))
    runs = [slice(0, 25), slice(35, 60)]
    found = assess(keypoints, weights, generated, runs, model(), "auto")
    assert (found.noise[25:35] == 0).all() and (found.trust[25:35] == 1).all()
    assert (found.noise[:25] > 0).all() and (found.noise[35:] > 0).all()
    assert np.isfinite(found.noise).all() and np.isfinite(found.trust).all()


def test_the_roughness_of_exact_observations_is_measured():
    """It is no noise, but more than motion has, so that holes are filled by less of it."""
    assert judge(motion(60)).roughness == ROUGHNESS
    rough = motion(60) + 0.4 * white((60, JOINTS, 2))
    found = judge(rough)
    assert (found.noise == 0).all() and found.precision == 1
    assert found.roughness == pytest.approx(0.4 / 85, rel=0.15) and found.roughness > ROUGHNESS
    noisy = motion(60) + 4 * white((60, JOINTS, 2))
    assert judge(noisy, "keep").roughness == pytest.approx(4 / 85, rel=0.15)  # exact by order
    assert judge(noisy).roughness == ROUGHNESS  # noise is told apart from it
    assert judge(noisy, "keep", step=2.0).roughness == ROUGHNESS  # not measured


def test_what_leaps_away_and_back_is_proven():
    noisy = motion(60) + 2 * white((60, JOINTS, 2))
    noisy[20:26, 3] += (120.0, 0.0)
    found = judge(noisy)
    assert (found.trust[20:26, 3] < REJECT).all() and (found.proof[20:26, 3] == 1.0).all()
    assert np.delete(found.proof, 3, axis=1).max() < 0.5


def test_it_is_proven_by_less_where_the_detector_is_unsure():
    noisy = motion(60) + 2 * white((60, JOINTS, 2))
    noisy[20, 3] += (40.0, 0.0)
    weights = np.ones((60, JOINTS))
    sure = judge(noisy, weights=weights).proof[20, 3]
    weights[20, 3] = 0.6
    assert sure < judge(noisy, weights=weights).proof[20, 3]


def test_where_the_path_shows_no_error_nothing_is_proven():
    """What the first look contradicts throughout, as of motion that no network has seen."""
    noisy = motion(60) + 2 * white((60, JOINTS, 2))
    noisy[:, 5] += (0.0, 300.0)
    found = judge(noisy)
    assert found.trust[:, 5].max() < REJECT and (found.proof[:, 5] == 0).all()


@pytest.mark.parametrize("observed", ["auto", "keep"])
def test_without_noise_no_proof_is_asked(observed):
    assert (judge(outlying(), observed).proof == 1).all()


def test_some_of_the_frames():
    noisy = motion(60) + 2 * white((60, JOINTS, 2))
    noisy[20:26, 3] += (120.0, 0.0)
    whole = judge(noisy)
    part = whole[18:30]
    for name in ("noise", "trust", "proof"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[18:30])
    assert part.precision == whole.precision and part.roughness == whole.roughness


def recalled(keypoints, known, wrong, due, unknown=0.05):
    """``recall`` of the window ``keypoints``, after the frames that are ``known``."""
    frames = len(keypoints)
    return recall(
        History(known, unknown, wrong), keypoints, np.ones((frames, JOINTS)), motion(frames),
        [slice(0, frames)], model(), "auto", due,
    )


def test_of_a_live_tracks_newest_frame_nothing_is_asked_to_be_proven():
    """What a path does next is not known yet."""
    noisy = motion(24) + 2 * white((24, JOINTS, 2))
    wrong = np.zeros((24, JOINTS), bool)
    wrong[20, 3] = True
    for known in (noisy, noisy[:3], None):
        found = recalled(noisy, known, wrong, 23)
        np.testing.assert_array_equal(found.trust, ~wrong)
        assert (found.proof == 1).all()
        if known is noisy:
            assert found.noise.mean() == pytest.approx(2 / np.sqrt(WHITE), rel=0.2)
    short = recalled(noisy, noisy[:3], wrong, 20)
    np.testing.assert_allclose(short.noise, 0.05 * body_size(motion(24))[:, None] * np.ones(JOINTS))


@pytest.mark.parametrize("known", [True, False])
def test_looking_ahead_what_ends_in_the_window_is_judged_by_its_path(known):
    """Whether an earlier window took it for wrong, or this one does; the rest needs no proof."""
    noisy = motion(24) + 2 * white((24, JOINTS, 2))
    wrong = np.zeros((24, JOINTS), bool)
    leaps, smooth = noisy.copy(), noisy.copy()
    leaps[12:18, 3] += (60.0, 0.0)
    smooth[10:20, 3, 0] += 60.0 * np.hanning(12)[1:-1]
    wrong[13:17, 3] = known
    found, other = (recalled(track, noisy, wrong, 18) for track in (leaps, smooth))
    assert (found.proof[12:18, 3] == 1).all()
    assert 0 < other.proof[13:17, 3].min() and other.proof[:, 3].max() < 0.2
    for each in (found, other):
        np.testing.assert_array_equal(each.trust, ~wrong)
        assert not each.proof[:, np.arange(JOINTS) != 3].any()
    # Of what is not over when the window ends, all that is known is that it is doubted.
    for track in (leaps, smooth):
        assert (recalled(track[:16], noisy, wrong[:16], 12).proof[13:16, 3] == 1).all()
    # Exact observations are not doubted.
    exact = recalled(motion(24), motion(24), wrong, 19)
    assert not exact.noise.any() and (exact.proof == 1).all()
