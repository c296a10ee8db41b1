"""Completing people at the same time: who asks for what, who gets it, and who is left."""

import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.inpainting.completer import NothingToStartFrom
from posegan_jax.inpainting.people import Filled, Person, complete, count_joints, is_rate_assumed
from posegan_jax.inpainting.settings import DescentOptions, FillOptions
from posegan_jax.inpainting.together import Request
from posegan_jax.pose.sequence import PoseFile, PoseSequence, Provenance

FAST, SLOW = DescentOptions(steps=0), DescentOptions(steps=9)


def someone(frames, person=1, fps=25.0):
    return PoseSequence(np.ones((frames, 12, 2)), skeleton="alphapose12", person=person, fps=fps)


HOW = FillOptions(observed="keep", repair_sides=False)


class Completer:
    """Stands in for the real one."""

    def steps(self, sequence, *how):
        """Asks for as many windows as there are frames, in two turns; 'x' cannot be begun."""
        assert how == ("same", HOW.settings, "keep", False)
        if sequence.person == "x":
            raise NothingToStartFrom("nobody")
        if sequence.person == "bad":
            raise InputError("no such joints")
        value = len(sequence)
        for options in (FAST, SLOW if value == 2 else FAST):
            x, mask = np.full((value, 3, 12, 2), value), np.full((value, 3, 12), value)
            windows, loss = yield Request(x, mask, options, options is FAST)
            np.testing.assert_array_equal(windows, x + 0.5)
            np.testing.assert_array_equal(loss, -x[:, 0, 0, 0])
        return sequence.replace(keypoints=sequence.keypoints + value)


def solve(people):
    """The people, and what they asked for: windows, options, whether it was a first look."""
    asked, task = [], complete(people, Completer(), HOW)
    answer = None
    while True:
        try:
            request = task.send(answer)
        except StopIteration as end:
            return end.value, asked
        asked.append((len(request.x), request.options, request.look))
        answer = request.x + 0.5, -request.x[:, 0, 0, 0]


def test_requests_of_equal_options_are_one():
    people = [someone(1), someone(2), someone(3)]
    done, asked = solve(people)
    assert asked == [(6, FAST, True), (4, FAST, True), (2, SLOW, False)]
    for before, after in zip(people, done, strict=True):
        assert not after.left
        np.testing.assert_array_equal(after.sequence.keypoints, before.keypoints + len(before))


def test_who_cannot_be_begun_is_left_and_the_others_are_done():
    people = [someone(4, "x"), someone(1), someone(4, "x")]
    done, _ = solve(people)
    assert [person.left for person in done] == [True, False, True]
    assert done[0].sequence is people[0] and done[2].sequence is people[2]
    assert solve([]) == ([], [])


def test_other_mistakes_are_told():
    with pytest.raises(InputError, match="no such joints"):
        solve([someone(1), someone(1, "bad")])


def test_a_filled_file():
    file = PoseFile((someone(2, "a"), someone(3, "b")), "npz", "clip.npz")
    half = file[0].replace(
        provenance=np.full((2, 12), Provenance.FILLED), keypoints=file[0].keypoints + 1
    )
    filled = Filled.of(file, [Person(half, False), Person(file[1], True)])
    assert filled.file.path == "clip.npz" and filled.file[0] is half
    assert (filled.frames, filled.left) == (5, 1)
    counts = count_joints(filled.file)
    assert counts.keys() == {kind.name.lower() for kind in Provenance}
    assert counts["filled"] == 24 and sum(counts.values()) == 60
    assert not is_rate_assumed(file) and is_rate_assumed([*file, someone(1, fps=None)])
