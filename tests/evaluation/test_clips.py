"""Held-out motion through cameras."""

import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.evaluation import clips
from posegan_jax.evaluation.clips import (
    PICTURE,
    annotated_clips,
    has_clips2d,
    kind_of,
    view_clips,
    view_windows,
)
from posegan_jax.motion.clip import Clip
from posegan_jax.motion.clips2d import FILE, Clip2D, save_clips2d
from posegan_jax.motion.procedural import procedural_clips
from posegan_jax.pose.skeleton import get_skeleton

MPI = get_skeleton("mpi_inf_3dhp")


def same(one, two):
    return one.name == two.name and np.array_equal(one.keypoints, two.keypoints)


def test_clips_are_those_of_the_seed_and_more_clips_begin_with_the_same():
    few, many, other = (view_clips("procedural", count=n, seed=s) for n, s in
                        ((3, 1), (5, 1), (3, 2)))
    assert len(few) == 3 and len(many) == 5
    assert all(same(a, b) for a, b in zip(few, many, strict=False))
    assert not any(same(a, b) for a, b in zip(few, other, strict=True))


@pytest.mark.parametrize("draw", [view_clips, view_windows])
def test_people_stay_in_view_and_fill_it(draw):
    for view in draw("procedural"):
        low, high = view.keypoints.min(axis=(0, 1)), view.keypoints.max(axis=(0, 1))
        assert view.keypoints.shape[1:] == (28, 2)
        assert (low >= 0).all() and (high <= PICTURE).all()
        assert ((low < 0.06 * np.array(PICTURE)) | (high > 0.94 * np.array(PICTURE))).any()


def test_people_stand_upright():
    heads = [v.keypoints[:, MPI.index("head_top"), 1].mean() for v in view_clips("procedural")]
    feet = [v.keypoints[:, MPI.index("left_foot"), 1].mean() for v in view_clips("procedural")]
    assert np.mean(np.array(heads) < feet) > 0.9  # y down


def test_windows_have_their_length_and_any_number():
    windows = view_windows("procedural", count=40, frames=24)
    assert len(windows) == 40 and all(len(w.keypoints) == 24 for w in windows)
    assert not same(windows[0], windows[len(procedural_clips("validation"))])


def test_clips_are_cut_and_short_ones_left_out(monkeypatch):
    def clip(frames, subject, fps=25.0):
        positions = procedural_clips("train")[0].positions
        tiled = np.concatenate([positions] * (-(-frames // len(positions))))
        return Clip(tiled[:frames], fps, subject, f"{subject}{frames}", "")

    made = [clip(400, "a"), clip(300, "a"), clip(47, "b"), clip(100, "b"), clip(120, "c", 50.0)]
    monkeypatch.setattr(clips, "load_clips", lambda source, split, skeleton: made)
    views = view_clips("any", longest=200)
    assert [v.subject for v in views] == ["a", "b", "c", "a"]  # in turns
    assert sorted(len(v.keypoints) for v in views) == [60, 100, 200, 200]
    with pytest.raises(InputError, match="any: no clip.*500 frames"):
        view_windows("any", frames=500)


def test_short_clips_are_taken_where_that_is_asked_for(monkeypatch):
    positions = procedural_clips("train")[0].positions
    made = [Clip(positions[:n], 25.0, "a", str(n), f"squat1Reps {n}") for n in (20, 60)]
    monkeypatch.setattr(clips, "load_clips", lambda source, split, skeleton: made)
    assert [len(v.keypoints) for v in view_clips("any")] == [60]
    views = view_clips("any", shortest=20)
    assert sorted(len(v.keypoints) for v in views) == [20, 60]
    assert {v.kind for v in views} == {"squat1Reps"}


@pytest.mark.parametrize(("text", "kind"), [
    ("depositFloorR 001", "depositFloorR"), ("hopBothLegs1hops 12", "hopBothLegs1hops"),
    ("walk / Subject #35 (walk, run)", "walk"), ("A10 LieToCrouch", "A10 LieToCrouch"), ("", ""),
    ("walk_03", "walk"),
])
def test_the_kind_of_motion_is_the_text_without_the_number_of_the_take(text, kind):
    assert kind_of(text) == kind


def test_annotated_clips_of_all_cameras(tmp_path):
    made = [Clip2D(np.full((frames, 28, 2), camera, np.float32), "S1/Seq2", camera,
                   first + np.arange(frames), 50.0)
            for frames, camera, first in ((90, 4, 0), (60, 4, 200), (40, 7, 10), (2, 8, 0))]
    save_clips2d(tmp_path / FILE, made)
    assert has_clips2d(str(tmp_path)) and has_clips2d(str(tmp_path / FILE))
    assert not has_clips2d("procedural") and not has_clips2d(str(tmp_path / "nowhere"))
    views = annotated_clips(str(tmp_path))
    assert [len(v.keypoints) for v in views] == [90, 60, 40]
    assert {v.fps for v in views} == {50.0} and {v.subject for v in views} == {"S1"}
    assert views[1].video == "S1/Seq2/video_4" and views[1].frames.tolist() == [*range(200, 260)]
    few = annotated_clips(str(tmp_path), count=2, longest=30)
    assert {v.video for v in few} == {"S1/Seq2/video_4", "S1/Seq2/video_7"}  # in turns
    assert all(len(v.keypoints) == 30 == np.ptp(v.frames) + 1 for v in few)
    assert all((v.keypoints == int(v.video[-1])).all() for v in few)
    windows = annotated_clips(str(tmp_path), count=7, frames=50)
    assert len(windows) == 7 and all(len(w.frames) == 50 for w in windows)
    with pytest.raises(InputError, match="100 frames"):
        annotated_clips(str(tmp_path), count=1, frames=100)


def test_a_set_that_is_not_there_is_named():
    with pytest.raises(InputError, match="nowhere"):
        view_clips("nowhere")
