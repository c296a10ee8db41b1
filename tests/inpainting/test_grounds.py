"""What tells how sure a joint is: neither the picture's size and place nor the rate count."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from posegan_jax.evaluation.clips import view_clips
from posegan_jax.evaluation.protocols import make_case
from posegan_jax.inpainting.completer import Completer
from posegan_jax.inpainting.grounds import Answers, grounds
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.inpainting.settings import QUALITIES
from posegan_jax.inpainting.together import run
from posegan_jax.model.certainty import OWN, Grounds
from posegan_jax.model.model import Model
from posegan_jax.model.options import NetworkOptions
from posegan_jax.pose.rate import Rate
from posegan_jax.pose.skeleton import get_skeleton

SKELETON = get_skeleton("mpi_inf_3dhp")
MODEL = Model(NetworkOptions(), {})
AT = {name: i for i, name in enumerate(OWN)}


def told(pose, fps=25.0, observed=None, scale=1.0, turn=0.0):
    """Of a pose (J, 2) that moves to the right, of which all but ``observed`` is missing."""
    rng = np.random.default_rng(0)
    rate = Rate.of(fps)
    frames = round(24 / rate.step)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    path = 0.02 * rate.step * np.arange(frames)[:, None, None] * np.array([1.0, 0.0])
    final = (pose @ turned.T + path) * 100 * scale + 500
    shape = final.shape[:2]
    observed = np.ones(shape, bool) if observed is None else np.tile(observed, (frames, 1))
    off = rng.normal(size=(1, shape[1], 2)) * 5 * scale
    answers = Answers(final + off, final, final - off, final, final)
    carried = SimpleNamespace(deviation=np.full(shape, 4.0 * scale), trust=np.ones(shape))
    away = np.where(observed, 0.0, np.inf)
    return grounds(
        MODEL, answers, carried, np.full(shape, 3.0 * scale), np.zeros(shape), np.zeros(shape),
        observed, np.ones(shape, bool), away, np.full(frames, 100.0 * scale), rate,
    )


@pytest.fixture(scope="module")
def pose():
    standing = view_clips("procedural", count=1, longest=48)[0].keypoints[0]
    return (standing - standing.mean(axis=0)) / 300


def test_size_and_rate_do_not_count(pose):
    seen = SKELETON.mask(SKELETON.joints[:20])
    small, large = told(pose, observed=seen), told(pose, observed=seen, scale=7.0)
    for a, b in zip(small, large, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    fast = told(pose, 50.0, observed=seen)
    np.testing.assert_allclose(fast.own[::2][6:-6], small.own[6:-6], atol=0.02)
    np.testing.assert_allclose(fast.pose[::2][6:-6], small.pose[6:-6], atol=0.02)


def test_names_tell_what_they_say(pose):
    seen = ~SKELETON.mask(["left_wrist", "left_elbow"])
    own = told(pose, observed=seen).own[12]
    left, right = (SKELETON.index(f"{side}_wrist") for side in ("left", "right"))
    assert own[left, AT["near"]] == own[left, AT["far"]] == 0 and own[right, AT["far"]] == 1
    assert own[right, AT["other"]] == 0 and own[left, AT["other"]] == 1
    assert not own[left, AT["observed"]] and own[right, AT["observed"]]
    assert (own[:, AT["shown"]] == 10).all()
    assert own[left, AT["deviation"]] == pytest.approx(np.log(4 / 50 + 1e-3), abs=1e-4)
    ankle, head = SKELETON.index("left_ankle"), SKELETON.index("head_top")
    assert own[ankle, AT["below"]] > 0 > own[head, AT["below"]]


@pytest.mark.parametrize("degrees, says", [(0, 0.0), (90, 0.5), (-90, 0.5), (180, 1.0)])
def test_the_turn_of_the_trunk(pose, degrees, says):
    own = told(pose, turn=np.deg2rad(degrees)).own
    assert own[..., AT["turned"]] == pytest.approx(says, abs=0.06)


def test_every_stretch_of_a_track_is_told(pose):
    inpainter = Inpainter.from_pretrained()
    view = view_clips("procedural", count=1, longest=60)[0]
    case = make_case("arm", view.keypoints, SKELETON, 1, 0)
    found: list[tuple[slice, Grounds]] = []
    completer = Completer(inpainter.model, found)
    steps = completer.steps(case.sequence, SKELETON.name, QUALITIES["fast"])
    done = run(steps, lambda request: inpainter.search(request.x, request.mask, request.options))
    (frames, ground), = found
    assert (frames.start, frames.stop) == (0, len(view.keypoints))
    assert ground.own.shape == (*done.scores.shape, len(OWN)) and np.isfinite(ground.own).all()
    assert np.isfinite(ground.pose).all()
    without = dataclasses.replace(inpainter.model, certainty=None)
    bare = run(Completer(without).steps(case.sequence, SKELETON.name, QUALITIES["fast"]),
               lambda request: inpainter.search(request.x, request.mask, request.options))
    np.testing.assert_array_equal(bare.keypoints, done.keypoints)  # scores alone are told
    hidden = ~case.observed
    assert ((done.scores[hidden] > 0) & (done.scores[hidden] < 1)).all()
