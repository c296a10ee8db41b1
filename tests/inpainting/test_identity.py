"""Exchanges in doubt: what is asked of the networks, and what becomes of their answer."""

import types

import numpy as np
import pytest

from posegan_jax.inpainting.identity import LIKELIER, settle
from posegan_jax.inpainting.settings import QUALITIES
from posegan_jax.inpainting.together import run
from posegan_jax.pose.exchange import find_exchanges
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

TWELVE, MPI = get_skeleton("alphapose12"), get_skeleton("mpi_inf_3dhp")
COMPLETER = types.SimpleNamespace(frames=24, skeleton=MPI, inputs=DETECTED_12)
BODY = np.random.default_rng(3).uniform([-30, -100], [30, 100], (12, 2))
LENGTH, AT = 42, 40


def passing(fps=25.0):
    """Two people whose ids are exchanged from frame 40 on, in the last two: too few to be clear."""
    rng, x = np.random.default_rng(0), 3.0 * (np.arange(LENGTH) - AT)
    walk = np.stack([x, 0 * x], axis=-1)[:, None] + 500
    people = [BODY + walk, 0.95 * BODY * (-1, 1) + walk * (-1, 1) + (1000, 30)]
    people = [track + rng.normal(0, 1, track.shape) for track in people]
    one, two = (np.concatenate([a[:AT], b[AT:]]) for a, b in (people, people[::-1]))
    return [
        PoseSequence(track, fps=fps, skeleton="alphapose12", person=name)
        for name, track in (("a", one), ("b", two))
    ]


class Networks:
    """Answers what is asked: windows as they are, but for those of one way to go on, (0, 1) of four
    as it is and (2, 3) exchanged, which are off by a share of the body."""

    def __init__(self, worse, off=0.1):
        self.worse, self.off, self.asked = worse, off, []

    def __call__(self, request):
        self.asked.append(request)
        found = request.x + 0.02 * 60
        found[np.isin(np.arange(len(found)) % 4, self.worse)] += self.off * 60
        return found, np.zeros(len(found))


def test_what_is_in_doubt_is_what_the_networks_can_explain():
    people = passing()
    moves, (doubt,) = find_exchanges(people)
    assert not moves and (doubt.frame, doubt.clear) == (AT, False)
    networks = Networks((0, 1))
    moves, (found,) = run(settle(people, COMPLETER), networks)
    assert (found.frame, found.people, found.clear) == (AT, ("a", "b"), True)
    assert set(moves) == {(name, t) for name in "ab" for t in (40, 41)}
    (request,) = networks.asked
    assert request.options == QUALITIES["fast"].descent and request.look
    # Twelve frames before, two after; as they are, then exchanged.
    assert request.x.shape == (4, 24, 28, 2) and request.x.dtype == np.float32
    seen = request.mask.any(-1)
    assert seen.sum(-1).tolist() == [14] * 4 and not seen[:, 14:].any()
    assert request.mask.sum(-1).max() == 12
    np.testing.assert_array_equal(request.mask[0], request.mask[2])
    steps = [np.abs(np.diff(x[seen[0]].mean(1), axis=0))[11].max() for x in request.x]
    assert max(steps[2:]) < min(steps[:2])


def test_it_is_left_where_the_networks_see_no_difference():
    people = passing()
    for worse, off in (((2, 3), 0.1), ((0, 1), 0.02 * (LIKELIER - 1) / 2)):
        networks = Networks(worse, off)
        assert run(settle(people, COMPLETER), networks) == find_exchanges(people)
        assert len(networks.asked) == 1


def test_what_is_clear_is_not_asked():
    people = [s.replace(keypoints=s.keypoints + (0, 300 * i)) for i, s in enumerate(passing())]
    networks = Networks((2, 3))
    assert run(settle(people, COMPLETER), networks) == find_exchanges(people) == ({}, [])
    assert not networks.asked
    assert run(settle([], COMPLETER), networks) == ({}, [])


@pytest.mark.parametrize(("fps", "asked"), [(50.0, 1), (12.5, 0)])
def test_other_rates(fps, asked):
    people = passing(fps)
    if not find_exchanges(people)[1]:
        pytest.skip("not in doubt at this rate")
    networks = Networks((0, 1))
    run(settle(people, COMPLETER), networks)
    assert len(networks.asked) == asked
    for request in networks.asked:
        assert request.x.shape[1] == 24
