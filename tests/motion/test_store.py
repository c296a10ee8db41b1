"""Motion of any skeleton: files of it, its joints by name, and samples of it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.motion.clip import THESIS, select
from posegan_jax.motion.corrupt import CorruptionOptions, add_noise, sample_mask
from posegan_jax.motion.npz import read_motion
from posegan_jax.motion.procedural import procedural_clips
from posegan_jax.motion.sample import ViewOptions, sample_motion, sample_views
from posegan_jax.motion.store import MotionStore, build_store, leave_out, load_clips
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton, make_skeleton

COCO = get_skeleton("coco17")
BODY45 = make_skeleton("body45", (*THESIS.joints, *(
    "nose left_eye right_eye left_ear right_ear left_heel left_big_toe left_small_toe right_heel "
    "right_big_toe right_small_toe left_thumb left_index left_pinky right_thumb right_index "
    "right_pinky"
).split()))
# What a skeleton may lack: a face, hands and feet, the trunk.
SKELETONS = {
    17: COCO, 28: THESIS, 45: BODY45,
    40: make_skeleton("body40", tuple(j for j in BODY45.joints if j not in THESIS.joints[:5])),
}


def key(seed):
    # This generator compiles several times faster than the default one.
    return jax.random.key(seed, impl="unsafe_rbg")


@pytest.fixture(scope="module")
def body45(tmp_path_factory, write_motion):
    return write_motion(tmp_path_factory.mktemp("motion") / "body45.npz", BODY45.joints)


# --- joints by name -------------------------------------------------------------------------------


@pytest.mark.parametrize("joints", SKELETONS)
def test_a_skeleton_picks_its_joints(body45, joints):
    skeleton = SKELETONS[joints]
    (whole,), (clip,) = (load_clips(str(body45), "train", s) for s in (BODY45, skeleton))
    assert clip.positions.shape[1:] == (joints, 3) and clip.positions.dtype == np.int16
    assert clip.joints == skeleton.joints
    at = [BODY45.index(joint) for joint in skeleton.joints]
    np.testing.assert_array_equal(clip.positions, whole.positions[:, at])
    assert (clip.fps, clip.subject, clip.name, clip.text) == (25.0, "train", "train_0", "stands")


def test_the_thesis_skeleton_is_what_is_read_by_default(body45):
    (clip,) = load_clips(str(body45), "validation")
    exact = procedural_clips("validation")[0].positions
    np.testing.assert_array_equal(clip.positions, exact.round())
    assert clip.joints == THESIS.joints and clip.name == "validation_0"
    (clip, *_), (other, *_) = load_clips("procedural", "train"), procedural_clips("train")
    np.testing.assert_array_equal(clip.positions, other.positions)


def test_the_order_in_a_file_does_not_count(body45, tmp_path, write_motion):
    turned = write_motion(tmp_path / "turned.npz", BODY45.joints[::-1])
    for skeleton in SKELETONS.values():
        (one,), (other,) = (load_clips(str(p), "train", skeleton) for p in (body45, turned))
        np.testing.assert_array_equal(one.positions, other.positions)


def test_what_is_lacking_is_named(body45, tmp_path, write_motion):
    joints = tuple(joint for joint in THESIS.joints if joint != "left_toe")
    small = write_motion(tmp_path / "small.npz", joints)
    with pytest.raises(InputError) as error:
        load_clips(f"{body45},{small}", "train")
    assert str(error.value) == f"{small}: lacks left_toe, joints of the skeleton mpi_inf_3dhp"
    with pytest.raises(InputError, match="procedural: lacks nose, left_eye, .*skeleton coco17"):
        load_clips("procedural", "train", COCO)
    twelve = get_skeleton("alphapose12")
    assert load_clips("procedural", "train", twelve)[0].positions.shape[1:] == (12, 3)
    assert len(load_clips(f"{body45},{small}", "train", twelve)) == 2


def test_the_same_joints_are_not_copied():
    assert select(THESIS.joints, THESIS, "") == slice(None)
    assert select(THESIS.joints[::-1], THESIS, "") == [*range(27, -1, -1)]


def test_clips_that_are_left_out():
    (clip, *_) = procedural_clips("train")
    names = ("60_06", "60_07", "13_18.0", "13_18.12", "13_180")
    clips = [dataclasses.replace(clip, name=name) for name in names]
    kept = leave_out(clips, ("60_06", "60_07:10", "13_18.*", "nobody"))
    assert [(c.name, len(c.positions)) for c in kept] == [
        ("60_07", 10), ("13_180", len(clip.positions))
    ]
    np.testing.assert_array_equal(kept[0].positions, clip.positions[:10])
    assert leave_out(clips, ()) == clips
    with pytest.raises(InputError, match="'60_06:half' must be NAME or NAME:FRAME"):
        leave_out(clips, ("60_06:half",))


# --- files ----------------------------------------------------------------------------------------

BAD = {
    "lacks the arrays fps, clip_name": {"fps": None, "clip_name": None},
    "joints must be names, each of them once": {"joints": ["neck"] * 45},
    "positions must be numbers of shape (frames, 2, 3)": {"joints": ["neck", "head"]},
    "positions hold NaN or infinity": {"positions": np.full((400, 45, 3), np.inf)},
    "fps must be one positive number": {"fps": [25.0, 50.0]},
    "clip_subject must be text, one for each of 2 clips": {"clip_subject": [1, 2]},
    "clip_length must be whole numbers, one for each of 2 clips": {"clip_length": [5]},
    "clip validation_0 lies outside the": {"clip_length": [5, 5000]},
}


@pytest.mark.parametrize("problem", BAD)
def test_a_file_of_another_layout_is_refused(tmp_path, write_motion, problem):
    path = write_motion(tmp_path / "bad.npz", BODY45.joints, **BAD[problem])
    for read in (read_motion, lambda path: load_clips(str(path), "train")):
        with pytest.raises(InputError) as error:
            read(path)
        assert str(error.value).startswith(f"{path}: {problem}")


def test_a_file_that_is_none_is_refused(tmp_path, body45):
    path = tmp_path / "cut.npz"
    whole = body45.read_bytes()
    for content in (b"", b"no archive", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="cut.npz: not an .npz file, or not the whole of one"):
            load_clips(str(path), "train")
    with pytest.raises(InputError, match="nowhere.npz: no such file"):
        load_clips(str(tmp_path / "nowhere.npz"), "train")
    with pytest.raises(InputError, match="no clips of the split 'test'"):
        load_clips(str(body45), "test")


def test_a_file_says_where_it_comes_from(tmp_path, body45, write_motion):
    path = tmp_path / "named.npz"
    named = write_motion(path, THESIS.joints, dataset="A set", licence="Ask\nbefore use")
    assert read_motion(named)[1:] == ("A set", "Ask before use")
    assert read_motion(body45)[1:] == ("body45", "")


# --- samples --------------------------------------------------------------------------------------


def test_clips_of_different_joints_do_not_join(body45):
    (clip,), (other,) = (load_clips(str(body45), "train", s) for s in (THESIS, COCO))
    with pytest.raises(InputError, match="different joints"):
        build_store([clip, other], 8, 1)
    with pytest.raises(InputError, match="different frame rates"):
        build_store([clip, dataclasses.replace(clip, fps=50.0)], 8, 1)


def test_a_store_holds_arrays_alone(body45):
    store = build_store(load_clips(str(body45), "train", COCO), 8, 1)
    assert [leaf.dtype for leaf in jax.tree.leaves(store)] == [np.float32, np.int32]
    with pytest.raises(AssertionError):  # of another skeleton
        sample_motion(jax.random.key(0), store, 2, 8, THESIS, ViewOptions())


@pytest.mark.parametrize("joints", SKELETONS)
def test_every_skeleton_can_be_sampled_and_corrupted(body45, joints):
    skeleton, frames, count = SKELETONS[joints], 16, 64
    views = ViewOptions()
    store = build_store(load_clips(str(body45), "train", skeleton), views.span(frames), 1)
    store = MotionStore(*map(jnp.asarray, store))
    options = CorruptionOptions(clean=0.0, limbs=1.0, jitter=1.0, misses=1.0, inversions=1.0)

    @jax.jit
    def draw(key, store):
        k_motion, k_view, k_mask, k_noise = jax.random.split(key, 4)
        motion = sample_motion(k_motion, store, count, frames, skeleton, views)
        image = sample_views(k_view, motion, views)
        mask = sample_mask(k_mask, image, skeleton, options)
        return motion, image, mask, add_noise(k_noise, image, skeleton, options)

    motion, image, mask, noisy = map(np.asarray, draw(key(0), store))
    assert motion.shape == (count, frames, joints, 3)
    assert image.shape == noisy.shape == (*mask.shape, 2)
    assert np.isfinite(image).all() and np.isfinite(noisy).all()
    assert set(np.unique(mask)) == {0.0, 1.0}
    assert not mask[..., ~skeleton.mask(DETECTED_12)].any()


@pytest.mark.parametrize("joints", SKELETONS)
def test_limbs_hide_all_that_hangs_on_them(joints):
    """Fingers with the arm, toes and heels with the leg, and nothing else."""
    skeleton = SKELETONS[joints]
    off = dict.fromkeys(("clean", "scattered", "runs", "joints", "gap", "crop"), 0.0)
    options = CorruptionOptions(detected=skeleton.joints, limbs=1.0, **off)
    x = jnp.zeros((200, 8, joints, 2))
    draw = jax.jit(lambda key: sample_mask(key, x, skeleton, options))
    hidden = np.asarray(draw(key(1)))[:, 0] == 0
    arm = ("elbow", "wrist", "hand", "thumb", "index", "pinky")
    leg = ("knee", "ankle", "heel", "foot", "toe", "big_toe", "small_toe")
    for side in ("left", "right"):
        for start, parts in (("elbow", arm), ("knee", leg)):
            together = skeleton.mask([f"{side}_{part}" for part in parts])
            away = hidden[:, skeleton.index(f"{side}_{start}")]
            assert 0 < away.sum() < 200
            assert (hidden[:, together] == away[:, None]).all()
    limbs = skeleton.mask([f"{side}_{part}" for side in ("left", "right")
                           for part in (*arm, *leg, "shoulder", "hip")])
    assert not hidden[:, ~limbs].any()
