"""How sure the model is: what is told of grounds, whatever they are."""

import numpy as np
import pytest

from posegan_jax.model import certainty
from posegan_jax.model.certainty import OWN, Grounds, Places, log_odds
from posegan_jax.model.model import Model, misfit
from posegan_jax.model.options import NetworkOptions
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

SKELETON = get_skeleton("mpi_inf_3dhp")
PLACES = Places.of(SKELETON)


def params(seed=0):
    rng = np.random.default_rng(seed)
    shapes = certainty.shapes(SKELETON, DETECTED_12)
    drawn = {n: rng.normal(0, 0.3, a.shape).astype(np.float32) for n, a in shapes.items()}
    for name in ("own", "pose"):
        drawn[f"{name}_scale"] = np.abs(drawn[f"{name}_scale"]) + 0.5
    return drawn


def some(frames=9, seed=1):
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(frames, len(SKELETON), len(OWN)))
    pose = rng.normal(size=(frames, 2, certainty.features(DETECTED_12)))
    return Grounds(own.astype(np.float32), pose.astype(np.float32))


def test_left_and_right_are_told_alike():
    ground, mirror = some(), list(SKELETON.mirror)
    turned = Grounds(ground.own[:, mirror], ground.pose[:, ::-1])
    told = log_odds(params(), ground, PLACES)[:, mirror]
    paired = np.array(mirror) != np.arange(len(mirror))  # others have no side to be seen from
    found = log_odds(params(), turned, PLACES)
    np.testing.assert_allclose(found[:, paired], told[:, paired], rtol=1e-4, atol=1e-4)


def test_a_long_track_is_told_as_its_parts_are(monkeypatch):
    ground = some(30)
    whole = log_odds(params(), ground, PLACES)
    monkeypatch.setattr(certainty, "AT_ONCE", 7)
    np.testing.assert_allclose(log_odds(params(), ground, PLACES), whole, rtol=1e-5, atol=1e-5)


def test_what_is_stranger_than_everything_says_no_more_than_the_limit():
    ground = some()
    for times in (1e3, 1e9):
        found = log_odds(params(), Grounds(ground.own * times, ground.pose * times), PLACES)
        assert np.isfinite(found).all()
    assert np.abs(found).max() < 1e3


@pytest.mark.parametrize("change, problem", [
    (lambda p: p | {"hidden": p["hidden"][:-1]}, "certainty/hidden as"),
    (lambda p: {n: a for n, a in p.items() if n != "out"}, "certainty/out"),
    (lambda p: p | {"out": p["out"] * np.nan}, "certainty/out is not finite"),
])
def test_parameters_that_do_not_fit_are_found(change, problem):
    model = Model(NetworkOptions(), {}, certainty=params())
    assert misfit(model, partial=True) is None
    assert problem in misfit(model.replace(certainty=change(params())), partial=True)
