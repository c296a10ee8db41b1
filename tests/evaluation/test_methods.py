"""Our methods by name."""

import dataclasses

import jax
import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.evaluation import methods
from posegan_jax.evaluation.clips import view_clips
from posegan_jax.evaluation.methods import (
    RandomStart,
    check_methods,
    label,
    letter,
    our_method,
    plain,
    settings_of,
)
from posegan_jax.evaluation.protocols import make_case
from posegan_jax.inpainting.settings import QUALITIES
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

MPI = get_skeleton("mpi_inf_3dhp")


@pytest.fixture(scope="module")
def case():
    view = view_clips("procedural", count=1, longest=48)[0]
    return make_case("holes40", view.keypoints, MPI, 0, 0)


@pytest.mark.parametrize("name", QUALITIES)
def test_qualities_are_those_of_the_inpainter(name):
    assert settings_of(name) == (QUALITIES[name], "auto")


def test_shifts_change_the_shift_alone():
    for name, quality, shift in (("s1", "balanced", 1), ("s24", "balanced", 24),
                                 ("thesis-s1", "thesis", 1), ("fast-s3", "fast", 3)):
        assert settings_of(name)[0] == dataclasses.replace(QUALITIES[quality], shift=shift)


def test_composition_and_observations():
    settings, observed = settings_of("balanced+nearest+keep")
    assert settings == dataclasses.replace(QUALITIES["balanced"], composition="nearest")
    assert observed == "keep" and settings_of("s1+refine")[1] == "refine"


def test_without_the_corrector():
    settings, _ = settings_of("fast+uncorrected")
    assert settings == dataclasses.replace(QUALITIES["fast"], correct=False)


def test_generated_motion_alone():
    encoder, short, long = (settings_of(n)[0] for n in ("encoder", "descent20", "descent200"))
    assert not any(s.carry_residual for s in (encoder, short, long))
    assert [s.descent.steps for s in (encoder, short, long)] == [0, 20, 200]
    weights = QUALITIES["balanced"].descent.weights
    assert all((s.descent.method, s.descent.weights) == ("adam", weights) for s in (short, long))


@pytest.mark.parametrize(
    "name", ["s0", "s25", "sx", "bests1", "descent", "best-s", "savgol", "s1+", "best+x", ""]
)
def test_other_names_are_no_methods(name):
    with pytest.raises(InputError, match="unknown method"):
        check_methods([name])


def test_all_that_are_offered_can_be_had():
    check_methods((*methods.main_methods(), *methods.SEARCH))


def test_the_letter_of_the_weights(inpainter):
    assert letter(inpainter.metadata) == "C" == letter({})
    assert letter({"config": {"data": {"path": "data/mpi_inf_3dhp"}}}) == "M"
    assert label("s1", "M") == "M-s1" and label("thesis-s24", "C") == "C-thesis-s24"
    assert label("s1+keep", "C") == "C-s1+keep"
    assert label("kalman", "C") == "kalman" and label("best", "C") == "best"
    assert [plain(n) for n in ("M-s1", "s1", "C-thesis-s24", "kalman")] == [
        "s1", "s1", "thesis-s24", "kalman"
    ]


def test_a_method_is_the_inpainter_with_its_settings(inpainter, case):
    expected = inpainter(case.sequence, joints=MPI.name, quality="fast").keypoints
    np.testing.assert_array_equal(our_method(inpainter, "fast")(case.sequence), expected)


@pytest.mark.parametrize("first", [0, 3, 6], ids=["at the start", "within", "at the end"])
def test_gaps_of_any_length_are_bridged(inpainter, case, first):
    hidden = np.zeros(26, bool)
    hidden[first : first + 20] = True
    keypoints = np.where(hidden[:, None, None], np.nan, case.truth[:26])
    sequence = case.sequence.replace(
        keypoints=keypoints, scores=None, provenance=None, frames=np.arange(26)
    )
    filled = our_method(inpainter, "fast")(sequence)
    assert filled.shape == keypoints.shape and np.isfinite(filled).all()
    by_default = inpainter(sequence, joints=MPI.name, quality="fast").keypoints
    assert np.isnan(by_default[hidden]).all(axis=(1, 2)).any()


def test_gaps_are_bridged_by_what_lies_across_them():
    long = PoseSequence(np.zeros((40, 28, 2)), None, 50.0, MPI.name, frames=10 * np.arange(40))
    assert methods.across(long) == 2 * 391 / 50.0
    unknown = long.replace(fps=None)
    assert methods.across(unknown) == 2 * 391 / 30.0


def test_observations_are_kept_where_that_is_asked_for(inpainter, case):
    seen = case.observed
    moved = {name: np.abs(our_method(inpainter, name)(case.sequence) - case.truth)[seen].max()
             for name in ("fast+keep", "fast+refine")}
    assert moved["fast+keep"] == 0 < moved["fast+refine"]


def test_nothing_to_start_from(inpainter, case):
    empty = case.sequence.replace(keypoints=np.full(case.truth.shape, np.nan), scores=None)
    assert np.isnan(our_method(inpainter, "fast")(empty)).all()


def test_random_codes_know_nothing_of_the_input():
    start = RandomStart(64)
    x = jax.random.normal(jax.random.key(1), (200, 24, 28, 2))
    code = start.apply({}, x, x[..., 0])
    np.testing.assert_array_equal(code, start.apply({}, 3 * x, x[..., 0]))
    assert code.shape == (200, 64)
    assert abs(float(code.mean())) < 0.05 and float(code.std()) == pytest.approx(1, abs=0.05)
    assert not np.allclose(code[0], code[1])


def test_a_random_start_is_worse_than_the_encoders_and_leaves_the_inpainter_alone(
    inpainter, case, monkeypatch
):
    settings, observed = settings_of("random")
    assert settings.descent.weights.prior == 0 and settings.descent.steps == 200
    encoder = inpainter.networks.encoder
    monkeypatch.setattr(
        methods, "settings_of",
        lambda name, frames: (
            dataclasses.replace(settings, descent=dataclasses.replace(settings.descent, steps=0)),
            observed,
        ),
    )
    error = {name: np.abs(our_method(inpainter, name)(case.sequence) - case.truth).mean()
             for name in ("random", "encoder")}
    assert error["random"] > 2 * error["encoder"]
    assert inpainter.networks.encoder is encoder
