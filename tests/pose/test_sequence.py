"""PoseSequence and PoseFile: what they promise about their arrays, gaps, defaults."""

import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseFile, PoseSequence, Provenance, densify
from posegan_jax.pose.skeleton import get_skeleton

JOINTS = len(get_skeleton("coco17"))
NOSE = get_skeleton("coco17").index("nose")
WRIST = get_skeleton("coco17").index("left_wrist")
ARRAYS = ("keypoints", "scores", "frames", "provenance")


def poses(frames=4):
    return np.random.default_rng(0).uniform(10, 500, (frames, JOINTS, 2))


# --- arrays ---------------------------------------------------------------------------------------


def test_defaults():
    sequence = PoseSequence(poses())
    assert (sequence.skeleton, sequence.fps, sequence.person) == ("coco17", None, None)
    assert sequence.frames.tolist() == [0, 1, 2, 3]
    assert (sequence.scores == 1).all()
    assert (sequence.provenance == Provenance.OBSERVED).all()
    assert sequence.observed.all() and len(sequence) == 4


def test_dtypes_do_not_depend_on_what_is_given():
    sequence = PoseSequence(
        poses().astype(np.float32), scores=np.ones((4, JOINTS), np.float16),
        frames=np.arange(4, dtype=np.uint8), provenance=[[Provenance.REFINED] * JOINTS] * 4,
    )
    assert [getattr(sequence, name).dtype for name in ARRAYS] == [
        np.float64, np.float64, np.int64, np.uint8
    ]


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_read_only(name):
    sequence = PoseSequence(poses())
    with pytest.raises(ValueError, match="read-only"):
        getattr(sequence, name)[0] = 0
    with pytest.raises(AttributeError):
        setattr(sequence, name, None)


def test_the_callers_arrays_are_neither_kept_nor_changed():
    given = {
        "keypoints": poses(), "scores": np.full((4, JOINTS), 0.5), "frames": np.arange(4),
        "provenance": np.full((4, JOINTS), 2, np.uint8),
    }
    given["keypoints"][1, NOSE, 0] = np.nan
    copies = {name: array.copy() for name, array in given.items()}
    sequence = PoseSequence(**given)
    for name, array in given.items():
        np.testing.assert_array_equal(array, copies[name])
        assert array.flags.writeable
        before = getattr(sequence, name).copy()
        array[:] = 77
        np.testing.assert_array_equal(getattr(sequence, name), before)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("coordinate", [0, 1])
def test_one_coordinate_that_is_not_finite_makes_the_joint_missing(bad, coordinate):
    keypoints = poses()
    keypoints[2, WRIST, coordinate] = bad
    sequence = PoseSequence(
        keypoints, scores=np.full((4, JOINTS), 0.9), provenance=np.full((4, JOINTS), 2)
    )
    assert np.isnan(sequence.keypoints[2, WRIST]).all()
    assert sequence.scores[2, WRIST] == 0
    assert sequence.provenance[2, WRIST] == Provenance.UNKNOWN
    assert (~sequence.observed).sum() == 1 and not sequence.observed[2, WRIST]
    assert (sequence.scores == 0).sum() == (sequence.provenance == 0).sum() == 1


def test_a_missing_joint_may_come_without_a_score():
    keypoints, scores = poses(), np.ones((4, JOINTS))
    keypoints[0, NOSE] = scores[0, NOSE] = np.nan
    assert PoseSequence(keypoints, scores).scores[0, NOSE] == 0


def test_a_score_of_0_is_a_joint_that_was_not_found():
    keypoints, scores = poses(), np.full((4, JOINTS), 0.5)
    keypoints[1, NOSE], scores[1, NOSE] = 0, 0  # as most detectors give it
    scores[2, WRIST] = 0
    sequence = PoseSequence(keypoints, scores)
    assert np.argwhere(~sequence.observed).tolist() == [[1, NOSE], [2, WRIST]]
    assert (sequence.provenance == Provenance.UNKNOWN).sum() == 2
    assert np.isnan(sequence.keypoints[[1, 2], [NOSE, WRIST]]).all()
    assert PoseSequence(keypoints).observed.all()  # nothing says that the corner is none


@pytest.mark.parametrize("kind", [Provenance.REFINED, Provenance.FILLED])
def test_a_completed_joint_is_there_whatever_its_score(kind):
    scores, provenance = np.ones((4, JOINTS)), np.ones((4, JOINTS))
    scores[1, NOSE], provenance[1, NOSE] = 0, kind
    sequence = PoseSequence(poses(), scores, provenance=provenance)
    assert sequence.observed.all() and sequence.provenance[1, NOSE] == kind


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"keypoints": np.zeros((4, 16, 2))}, r"\(frames, 17, 2\) for coco17, not \(4, 16, 2\)"),
        ({"keypoints": np.zeros((4, 17, 3))}, r"not \(4, 17, 3\)"),
        ({"keypoints": np.zeros((17, 2))}, r"not \(17, 2\)"),
        ({"skeleton": "halpe26"}, r"\(frames, 26, 2\) for halpe26"),
        ({"skeleton": "coco71"}, "unknown skeleton 'coco71'; known: .*coco17"),
        ({"scores": np.ones((4, 16))}, r"scores must have shape \(4, 17\), not \(4, 16\)"),
        ({"scores": np.ones(4)}, r"scores must have shape \(4, 17\), not \(4,\)"),
        ({"scores": np.full((4, 17), np.nan)}, "scores must be finite"),
        ({"frames": np.arange(3)}, r"frames must have shape \(4,\), not \(3,\)"),
        ({"provenance": np.zeros((4, 17, 2))}, r"provenance must have shape \(4, 17\)"),
        ({"frames": [0, 1, 1, 2]}, "frame numbers must increase"),
        ({"frames": [0, 2, 1, 3]}, "frame numbers must increase"),
        ({"frames": [0.2, 1.9, 3, 4]}, "frames must be whole numbers"),
        ({"frames": [0, 1, np.nan, 3]}, "frames must be"),
        ({"frames": list("0123")}, "frames must be whole numbers"),
        ({"provenance": np.full((4, 17), 300)}, "provenance must be whole numbers, of type uint8"),
        ({"scores": "high"}, "scores must be an array of numbers"),
        ({"keypoints": [[1, 2], [3]]}, "keypoints must be an array of numbers"),
        ({"fps": "25"}, "fps must be positive"),
        ({"fps": 0.0}, "fps must be positive and finite, not 0"),
        ({"fps": -25.0}, "fps must be positive"),
        ({"fps": np.nan}, "fps must be positive"),
        ({"fps": np.inf}, "fps must be positive"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        PoseSequence(poses()).replace(**changes)
    assert "\n" not in str(caught.value)


def test_a_person_out_of_an_array_is_a_plain_one():
    assert type(PoseSequence(poses(), person=np.arange(3)[1]).person) is int
    assert type(PoseSequence(poses(), person=np.array(["a"])[0]).person) is str


def test_replace_changes_a_copy_alone():
    sequence = PoseSequence(poses(), fps=25.0, frames=[3, 4, 7, 9], person="a")
    moved = sequence.replace(keypoints=sequence.keypoints + 1)
    np.testing.assert_array_equal(moved.keypoints, poses() + 1)
    np.testing.assert_array_equal(sequence.keypoints, poses())
    assert (moved.fps, moved.person, moved.frames.tolist()) == (25.0, "a", [3, 4, 7, 9])


def test_repr_says_what_it_is():
    keypoints = poses()
    keypoints[:2] = np.nan
    text = repr(PoseSequence(keypoints, frames=[3, 4, 7, 9], person="a", fps=25.0))
    for part in ("'a'", "4 frames", "3..9", "coco17", "25.0", "50%"):
        assert part in text


def test_a_sequence_without_frames():
    empty = PoseSequence(np.zeros((0, JOINTS, 2)))
    assert len(empty) == 0 and "0 frames" in repr(empty)
    assert empty.observed.shape == (0, JOINTS)
    assert len(densify(empty)) == 0


# --- gaps -----------------------------------------------------------------------------------------


def test_densify_gives_absent_frames_missing_rows():
    keypoints = poses()
    keypoints[1, WRIST] = np.nan
    sequence = PoseSequence(
        keypoints, scores=np.linspace(0.3, 1, 4 * JOINTS).reshape(4, JOINTS), fps=30.0,
        frames=[5, 6, 9, 11], person=3, provenance=np.full((4, JOINTS), Provenance.REFINED),
    )
    dense = densify(sequence)
    rows = sequence.frames - 5
    assert dense.frames.tolist() == list(range(5, 12))
    for name in ("keypoints", "scores", "provenance"):
        np.testing.assert_array_equal(getattr(dense, name)[rows], getattr(sequence, name))
    gaps = np.isin(dense.frames, sequence.frames, invert=True)
    assert gaps.sum() == 3
    assert not dense.observed[gaps].any()
    assert (dense.scores[gaps] == 0).all()
    assert (dense.provenance[gaps] == Provenance.UNKNOWN).all()
    assert (dense.fps, dense.person, dense.skeleton) == (30.0, 3, "coco17")


def test_densify_leaves_a_dense_sequence_as_it_is():
    sequence = PoseSequence(poses(), frames=[-2, -1, 0, 1])
    for name in ARRAYS:
        np.testing.assert_array_equal(
            getattr(densify(sequence), name), getattr(sequence, name), strict=True
        )


# --- files ----------------------------------------------------------------------------------------


def test_a_file_is_a_list_of_its_sequences():
    first, second = PoseSequence(poses()), PoseSequence(poses(), person=1)
    file = PoseFile((first, second), "alphapose", "a.json", source=object(), notes=("a note",))
    assert len(file) == 2 and list(file) == [first, second]
    assert file[0] is first and file[-1] is second and file[1:] == (second,)
    with pytest.raises(IndexError):
        file[2]


def test_replacing_the_sequences_keeps_all_else():
    source = object()
    file = PoseFile((PoseSequence(poses()),), "alphapose", "a.json", source, ("a note",))
    changed = file.replace([])
    assert len(changed) == 0 and len(file) == 1
    assert (changed.format, changed.path, changed.notes) == ("alphapose", "a.json", ("a note",))
    assert changed.source is source


def test_repr_of_a_file_does_not_spell_out_its_source():
    assert "spelled" not in repr(PoseFile((), "alphapose", source="spelled out"))


def test_frame_numbers_that_are_no_count_are_not_filled_in():
    sequence = PoseSequence(np.ones((2, 17, 2)), frames=[3, 10_000_000], person="p")
    with pytest.raises(InputError, match="person p: frames 3 to 10000000 are more than"):
        densify(sequence)
