"""Confident joints that came out elsewhere."""

import numpy as np

from posegan_jax.geometry.moved import Moved
from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import get_skeleton

COCO, MPI = get_skeleton("coco17"), get_skeleton("mpi_inf_3dhp")
KNEE, WRIST, NOSE = (COCO.index(joint) for joint in ("left_knee", "right_wrist", "nose"))
BODY = np.random.default_rng(0).uniform([-30, -100], [30, 100], (17, 2))
# Half the root mean square distance from the middle, shoulders to ankles.
HEAD = 0.5 * np.sqrt(((BODY[5:] - BODY[5:].mean(0)) ** 2).sum(-1).mean())


def seen(frames=range(10), **options):
    scores = np.full((len(frames), 17), 0.9)
    scores[:, KNEE] = 0.3
    return PoseSequence(np.tile(BODY, (len(frames), 1, 1)), scores, frames=frames, **options)


def shifted(sequence, *joints):
    """With joints moved by heads to the right: (row, joint, heads)."""
    keypoints = sequence.keypoints.copy()
    for row, joint, heads in joints:
        keypoints[row, joint] += [heads * HEAD, 0]
    return sequence.replace(keypoints=keypoints)


def test_confident_joints_that_were_moved_by_more_than_half_a_head():
    before = seen(range(20, 30))
    after = shifted(before, (3, WRIST, 0.7), (5, WRIST, 0.4), (5, NOSE, -2.0), (8, KNEE, 3.0))
    moved = Moved.of(before, after)
    assert len(moved) == 2 and moved.confident == 160  # the knees are not
    assert moved.frames.tolist() == [23, 25] and moved.joints == ("right_wrist", "nose")
    # The head is that of the result, which the joint itself is a part of.
    np.testing.assert_allclose(moved.heads, [0.7, 2.0], rtol=0.1)


def test_frames_and_joints_are_matched_by_their_numbers_and_names():
    before = seen([3, 7])
    keypoints = np.full((9, 28, 2), np.nan)
    source, destination, _ = COCO.map_to(MPI)
    keypoints[:, destination] = BODY[source]
    keypoints[5, MPI.index("right_wrist")] += 500  # frame 7
    after = PoseSequence(keypoints, skeleton="mpi_inf_3dhp", frames=range(2, 11))
    moved = Moved.of(before, after)
    assert (moved.frames.tolist(), moved.joints) == ([7], ("right_wrist",))
    assert moved.confident == 32  # those that the result lacks are none that were moved


def test_what_no_detector_saw_is_not_confident():
    source = np.full((10, 17), Provenance.OBSERVED)
    source[:, 5:] = Provenance.FILLED
    before = seen(provenance=source)
    moved = Moved.of(before, shifted(before, (0, WRIST, 5.0), (1, NOSE, 5.0)))
    assert moved.joints == ("nose",) and moved.confident == 50


def test_nothing_to_compare():
    empty = PoseSequence(np.zeros((0, 17, 2)))
    blind = PoseSequence(np.full((3, 17, 2), np.nan))
    for before, after in ((empty, empty), (blind, blind), (seen(), empty), (seen(), blind)):
        assert len(Moved.of(before, after)) == 0
