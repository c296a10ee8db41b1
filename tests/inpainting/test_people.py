"""Completing people at the same time: who asks for what, who gets it, and who is left."""

import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.geometry.moved import Moved
from posegan_jax.inpainting.completer import NothingToStartFrom
from posegan_jax.inpainting.people import (
    Filled,
    Person,
    complete,
    count_joints,
    is_rate_assumed,
    prepare,
)
from posegan_jax.inpainting.settings import DescentOptions, FillOptions
from posegan_jax.inpainting.together import Request, run
from posegan_jax.pose.continuity import Stretches
from posegan_jax.pose.sequence import PoseFile, PoseSequence, Provenance

FAST, SLOW = DescentOptions(steps=0), DescentOptions(steps=9)


def someone(frames, person=1, fps=25.0):
    return PoseSequence(np.ones((frames, 12, 2)), skeleton="alphapose12", person=person, fps=fps)


HOW = FillOptions(observed="keep", repair_sides=False, bridge=0.5)


class Completer:
    """Stands in for the real one."""

    def steps(self, sequence, *how):
        """Asks for as many windows as there are frames, in two turns; 'x' cannot be begun."""
        assert how == ("same", HOW.settings, "keep", False, 0.5)
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
        provenance=np.full((2, 12), Provenance.FILLED), keypoints=file[0].keypoints + 1,
        sides=(1,),
    )
    stretches = Stretches(((0, 9), (20, 29)), 7, 1, 0)
    moved = Moved(12, np.array([3]), ("left_knee",), np.array([0.8]))
    filled = Filled.of(
        file, [Person(half, False, stretches, moved), Person(file[1], True, stretches, moved)]
    )
    assert filled.file.path == "clip.npz" and filled.file[0] is half
    assert (filled.frames, filled.left) == (5, 1)
    assert (filled.bridged, filled.gaps, filled.confident, filled.moved) == (7, 2, 24, 2)
    assert filled.sides == 1
    counts = count_joints(filled.file)
    assert counts.keys() == {kind.name.lower() for kind in Provenance}
    assert counts["filled"] == 24 and sum(counts.values()) == 60
    assert not is_rate_assumed(file) and is_rate_assumed([*file, someone(1, fps=None)])


# --- before completing ----------------------------------------------------------------------------

BODY = np.random.default_rng(3).uniform([-30, -100], [30, 100], (12, 2))


def standing(person, places, fps=25.0):
    """Someone at places (T, 2) or None where nobody is seen."""
    frames = [t for t, place in enumerate(places) if place is not None]
    poses = np.array([BODY + places[t] for t in frames])
    return PoseSequence(poses, skeleton="alphapose12", frames=frames, person=person, fps=fps)


def prepared(file, how):
    """A file in which nothing is in doubt, so that nobody is asked."""
    return run(prepare(file, None, how), None)


def passing():
    """Two people whose ids are exchanged from frame 20 on."""
    left, right = ([(x + 3 * t, y) for t in range(40)] for x, y in ((0, 0), (120, 40)))
    return PoseFile((
        standing("a", [*left[:20], *right[20:]]), standing("b", [*right[:20], *left[20:]]),
    ))


def test_what_was_exchanged_is_put_right_and_told():
    file = prepared(passing(), FillOptions())
    assert all(np.ptp(np.diff(s.keypoints, axis=0)) < 10 for s in file)
    (note,) = file.notes
    assert note.startswith("from frame 20 on, people a and b were exchanged: put right (if ids")
    left = prepared(passing(), FillOptions(repair_ids=False))
    np.testing.assert_array_equal(left[0].keypoints, passing()[0].keypoints)
    assert "may have been exchanged: left as they are" in left.notes[0]
    assert "people a and b cannot have gone on" not in file.notes[0]


def test_ids_that_flip_back_and_forth_are_put_right_and_told():
    left, right = ([(x + 3 * t, y) for t in range(40)] for x, y in ((0, 0), (120, 40)))
    ways = [list(left), list(right)]
    for t in range(11, 25, 2):
        ways[0][t], ways[1][t] = right[t], left[t]
    file = PoseFile((standing("a", ways[0]), standing("b", ways[1])))
    done = prepared(file, FillOptions())
    for sequence, way in zip(done, (left, right), strict=True):
        np.testing.assert_allclose(sequence.keypoints, standing("x", way).keypoints)
    (note,) = done.notes
    assert note.startswith("in frames 11 to 24, people a and b were exchanged again and again: put")
    (note,) = prepared(file, FillOptions(repair_ids=False)).notes
    assert "may have been exchanged again and again: left as they are" in note


def test_people_who_jump_are_told_in_one_line():
    away = [(0, 0)] * 20 + [(900, 0)] * 20
    people = [standing(i, [(x, 2000 * i) for x, _ in away]) for i in range(12)]
    (note,) = prepared(PoseFile(tuple(people)), FillOptions()).notes
    assert note.startswith("people 0, 1, 2, 3, 4 and 7 more cannot have gone on as the track does")
    assert "(12 jumps" in note
    (note,) = prepared(PoseFile((people[3],)), FillOptions()).notes
    assert note.startswith("person 3 cannot have gone on")


def test_slow_files_are_told_once():
    file = PoseFile(tuple(standing(i, [(500 * i, 0)] * 5, fps=2.0) for i in range(3)))
    (note,) = prepared(file, FillOptions()).notes
    assert note.startswith("2 frames per second")


def test_a_file_in_which_all_is_well_stays_as_it_is():
    people = [standing(i, [(500 * i, 0)] * 40) for i in range(3)]
    file = PoseFile(tuple(people), notes=("read",))
    again = prepared(file, FillOptions())
    assert again.notes == ("read",) and list(again) == people
    nobody = prepared(PoseFile(()), FillOptions())
    assert len(nobody) == 0 and not nobody.notes
    same = PoseFile((people[0], people[0]))  # ids that do not tell people apart
    assert list(prepared(same, FillOptions())) == [people[0], people[0]]
