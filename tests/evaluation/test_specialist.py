"""Networks that are trained for one protocol, small ones on few windows."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.evaluation import specialist
from posegan_jax.evaluation.baselines import fit_baselines
from posegan_jax.evaluation.clips import view_clips, view_windows
from posegan_jax.evaluation.protocols import PROTOCOLS, make_case
from posegan_jax.evaluation.specialist import School, can_learn
from posegan_jax.evaluation.specialist_network import Course, Recipe, forward
from posegan_jax.evaluation.specialist_training import lessons, turned
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

MPI = get_skeleton("mpi_inf_3dhp")
DETECTED = np.flatnonzero(MPI.mask(DETECTED_12))
SMALL = Recipe(windows=400, width=32, batch=50, epochs=4)
COURSE = Course("procedural", MPI, 24, DETECTED_12, 1, SMALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("networks")


@pytest.fixture(scope="module")
def networks(folder):
    school = School(COURSE, folder)
    return {protocol: school.network(protocol) for protocol in ("legs", "gap10")}


@pytest.fixture(scope="module")
def views():
    return view_clips("procedural", count=4, longest=60)


def error(method, cases):
    """Mean over what was missing of the detected joints, in heights."""
    distances = []
    for case in cases:
        height = np.ptp(case.truth[..., 1], axis=1).mean()
        off = np.linalg.norm(method(case.sequence) - case.truth, axis=-1) / height
        assert np.isfinite(off).all()
        distances.append(off[case.groups()["missing"]])
    return np.concatenate(distances).mean()


def test_protocols_that_hide_joints_and_move_none():
    learnable = [name for name in PROTOCOLS if can_learn(name)]
    assert {"clean", "arm", "legs", "gap20", "holes60", "crop"} <= set(learnable)
    assert not {"noise", "wild", "all"} & set(learnable)
    assert not can_learn("detections")


@pytest.mark.parametrize("protocol", ["legs", "gap10"])
def test_it_knows_what_is_missing(networks, views, protocol):
    cases = [make_case(protocol, v.keypoints, MPI, 0, i) for i, v in enumerate(views)]
    ridge = fit_baselines(view_windows("procedural", "train", 400, 24))["ridge-windows"]
    assert error(networks[protocol], cases) < 1.2 * error(ridge, cases)


def test_observations_are_kept_and_others_not_looked_at(networks, views):
    case = make_case("legs", views[0].keypoints, MPI, 0, 0)
    result = networks["legs"](case.sequence)
    np.testing.assert_array_equal(result[case.observed], case.truth[case.observed])
    lucky = case.sequence.replace(
        keypoints=np.where(case.detected[:, None], case.keypoints, 7.0), scores=None,
        provenance=None,
    )
    np.testing.assert_array_equal(networks["legs"](lucky), result)
    empty = case.sequence.replace(keypoints=np.full(case.truth.shape, np.nan), scores=None)
    assert np.isnan(networks["legs"](empty)).all()


@pytest.mark.parametrize(("length", "fps"), [(20, 25.0), (60, 50.0)])
def test_short_tracks_and_fast_ones(networks, views, length, fps):
    case = make_case("legs", views[0].keypoints[:length], MPI, 0, 0, fps)
    assert error(networks["legs"], [case]) < 0.5


def test_it_does_not_care_where_and_how_large_people_are(networks, views):
    case = make_case("legs", views[0].keypoints, MPI, 0, 0)
    moved = case.sequence.replace(keypoints=3 * case.keypoints - 100, scores=None)
    expected = 3 * networks["legs"](case.sequence) - 100
    np.testing.assert_allclose(networks["legs"](moved), expected, atol=0.05)


def test_lessons_are_what_the_protocol_hides():
    course = dataclasses.replace(COURSE, recipe=dataclasses.replace(SMALL, windows=40))
    views = course.stretches()
    assert len(views) == 20 and {len(v.keypoints) for v in views} == {48}
    x, y, weight = lessons("arm", views, course)
    assert x.shape == (40, 3 * 24 * 12) and y.shape == (40, 24, 28, 2)
    seen = x[:, -24 * 12:].reshape(40, 24, 12)
    hidden = {
        tuple(np.array(MPI.joints)[DETECTED][window.min(axis=0) == 0]) for window in seen
    }
    assert hidden == {(f"{side}_elbow", f"{side}_wrist") for side in ("left", "right")}
    assert ((seen == 1) == (weight[:, :, DETECTED] == 0)).all()
    assert weight[:, :, DETECTED].sum() == pytest.approx(40, rel=1e-5)
    assert weight.sum() == pytest.approx(80, rel=1e-5)
    # Observed joints stand where they are, about the mean of all that are observed.
    assert np.abs(y[:, :, DETECTED][seen == 1]).max() < 1e-5
    places = x[:, : 2 * 24 * 12].reshape(40, 24, 12, 2)
    assert np.abs(places.sum(axis=(1, 2))).max() < 1e-3 and (places[seen == 0] == 0).all()


def test_holes_are_drawn_anew_for_every_window_and_filled_over_time():
    course = dataclasses.replace(COURSE, recipe=dataclasses.replace(SMALL, windows=10))
    x, y, _ = lessons("holes40", course.stretches(), course)
    seen = x[:, -24 * 12:]
    assert len(np.unique(seen, axis=0)) == 10 and 0.5 < seen.mean() < 0.7
    off = np.linalg.norm(y[:, :, DETECTED], axis=-1).reshape(10, -1)
    assert 0 < off[seen == 0].mean() < 0.1  # of the body's size


def test_a_run_that_goes_on_does_not_train_again(networks, folder, views, monkeypatch):
    case = make_case("legs", views[0].keypoints, MPI, 0, 0)
    expected = networks["legs"](case.sequence)
    trained = []

    def train(taught, course, tell):
        trained.append(course)
        return real(taught, course, tell)

    real = specialist.train
    monkeypatch.setattr(specialist, "train", train)
    again = School(COURSE, folder).network("legs")
    np.testing.assert_array_equal(again(case.sequence), expected)
    assert not trained
    # Training says how far it is, and comes to the same; of another recipe it is another one.
    told = []
    anew = School(COURSE).network("legs", lambda *done: told.append(done))
    assert told == [(i + 1, 4) for i in range(4)] and len(trained) == 1
    np.testing.assert_allclose(anew(case.sequence), expected, atol=0.1)
    short = dataclasses.replace(COURSE, recipe=dataclasses.replace(SMALL, epochs=1))
    School(short, folder).network("legs")
    assert len(trained) == 2


def test_windows_are_turned_about_their_mean():
    course = dataclasses.replace(COURSE, recipe=dataclasses.replace(SMALL, windows=6))
    before = lessons("legs", course.stretches(), course)
    after = turned(before, jax.random.key(0), np.pi / 18)
    places = 2 * 24 * 12

    def whole(taught):
        points = np.array(taught.y)
        points[:, :, DETECTED] += np.asarray(taught.x)[:, :places].reshape(6, 24, 12, 2)
        return points[..., 0] + 1j * points[..., 1]

    turn = whole(after) / whole(before)
    np.testing.assert_allclose(np.abs(turn), 1, atol=1e-3)
    angles = np.angle(turn, deg=True).reshape(6, -1)
    np.testing.assert_allclose(angles, np.median(angles, axis=1)[:, None] + 0 * angles, atol=0.5)
    assert 0.5 < np.abs(angles).max() < 10 and np.ptp(angles.mean(axis=1)) > 1
    np.testing.assert_array_equal(after.x[:, places:], before.x[:, places:])


def test_numpy_and_jax_compute_the_same(networks):
    x = np.random.default_rng(0).normal(size=(3, 3 * 24 * 12)).astype(np.float32)
    parameters = networks["legs"]._parameters
    found = forward({k: jnp.asarray(v) for k, v in parameters.items()}, jnp.asarray(x))
    np.testing.assert_allclose(forward(parameters, x), found, atol=1e-4)


def test_mistakes(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        specialist._write(tmp_path / "file" / "legs.npz", {}, {})
    with pytest.raises(InputError, match="no prepared motion set"):
        School(dataclasses.replace(COURSE, motion=str(tmp_path / "no"))).network("legs")
