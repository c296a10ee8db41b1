"""Windows of motion and their views, drawn from a key."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.geometry.camera import look_at, project
from posegan_jax.motion.clip import Clip
from posegan_jax.motion.sample import ViewOptions, sample_motion, sample_views
from posegan_jax.motion.store import MotionStore, build_store
from posegan_jax.pose.skeleton import get_skeleton

MPI = get_skeleton("mpi_inf_3dhp")
FRAMES = 8
PLAIN = ViewOptions(mirror=False, speed=(1.0, 1.0))


def key(seed):
    # This generator compiles several times faster than the default one.
    return jax.random.key(seed, impl="unsafe_rbg")


KEY = key(0)

# A person who stands and faces +z, millimetres; the left side, with the right one mirrored.
TRUNK = {
    "pelvis": (0, 950, 0), "spine": (0, 1050, 0), "spine2": (0, 1150, 0), "spine3": (0, 1250, 0),
    "spine4": (0, 1350, 0), "neck": (0, 1450, 0), "head": (0, 1550, 20), "head_top": (0, 1750, 20),
}
LEFT = {
    "clavicle": (30, 1430, 0), "shoulder": (180, 1420, 0), "elbow": (200, 1130, 0),
    "wrist": (210, 880, 0), "hand": (210, 800, 0), "hip": (100, 950, 0), "knee": (100, 500, 0),
    "ankle": (100, 80, 0), "foot": (100, 20, 80), "toe": (100, 20, 200),
}


def standing():
    """(28, 3) of the person above."""
    places = dict(TRUNK)
    for part, (x, y, z) in LEFT.items():
        places[f"left_{part}"], places[f"right_{part}"] = (x, y, z), (-x, y, z)
    return np.array([places[name] for name in MPI.joints], np.float32)


def lopsided(frames=20):
    """(T, 28, 3): the person with every joint somewhere else, differently at every frame."""
    noise = np.random.default_rng(0).normal(0.0, 20.0, (frames, len(MPI), 3))
    return (standing() + noise).astype(np.float32)


def clip(positions):
    return Clip(np.asarray(positions, np.float32), 25.0, "someone", "a clip", "stands")


def numbered(number, frames):
    """A clip that says in every coordinate who it is (x) and when (y, 10 a frame)."""
    positions = np.zeros((frames, len(MPI), 3))
    positions[..., 0], positions[..., 1] = 1000.0 * number, 10.0 * np.arange(frames)[:, None]
    return clip(positions)


def store_of(clips, options, frames=FRAMES):
    return build_store(clips, options.span(frames), stride=1)


def draw(store, options, count=64, key=KEY, frames=FRAMES):
    sample = jax.jit(sample_motion, static_argnums=(2, 3, 4, 5))
    store = MotionStore(*(jnp.asarray(array) for array in store))
    return np.asarray(sample(key, store, count, frames, MPI, options))


def bone_lengths(x):
    return {
        (MPI.joints[p], MPI.joints[c]): np.linalg.norm(x[..., p, :] - x[..., c, :], axis=-1)
        for p, c in MPI.bones()
    }


def other_side(name):
    return MPI.joints[MPI.mirror[MPI.index(name)]]


# --- windows and speed ----------------------------------------------------------------------------


def test_at_a_rate_of_one_windows_are_the_recording():
    recording = lopsided()
    store = store_of([clip(recording)], PLAIN)
    windows = draw(store, PLAIN)
    assert windows.shape == (64, FRAMES, 28, 3)
    starts = [int(np.argmax((recording == w[0]).all(axis=(1, 2)))) for w in windows]
    for window, start in zip(windows, starts, strict=True):
        np.testing.assert_array_equal(window, recording[start : start + FRAMES])
    assert set(starts) == set(store.starts.tolist())  # 64 draws miss none of 12 windows


def test_at_a_rate_of_two_every_second_frame_is_played():
    options = ViewOptions(mirror=False, speed=(2.0, 2.0))
    recording = lopsided()
    windows = draw(store_of([clip(recording)], options), options, count=8)
    for window in windows:
        start = np.argmin(np.abs(recording - window[0]).sum(axis=(1, 2)))
        np.testing.assert_allclose(window, recording[start : start + 15 : 2], atol=0.05)


@pytest.mark.parametrize("speed", [(1.0, 1.0), (0.8, 1.25), (0.5, 2.0), (3.0, 3.0)])
def test_windows_never_cross_from_one_clip_to_the_next(speed):
    options = ViewOptions(mirror=False, speed=speed)
    span = options.span(FRAMES)
    clips = [numbered(1, span), numbered(2, span - 1), numbered(3, span + 1), numbered(4, 2 * span)]
    windows = draw(store_of(clips, options), options, count=256)
    number = windows[..., 0] / 1000.0
    assert (number == number[:, :1, :1]).all()  # all frames of one clip, nothing in between
    assert set(np.unique(number)) == {1.0, 3.0, 4.0}  # the second is too short
    for i in (1, 3, 4):
        time = windows[number[:, 0, 0] == i][..., 1] / 10.0
        assert time.min() >= 0.0 and time.max() <= len(clips[i - 1].positions) - 1 + 1e-3


@pytest.mark.parametrize("frames", [8, 24])
def test_the_span_is_just_enough(frames):
    for fastest in (1.0, 1.25, 1.5, 2.0):
        span = ViewOptions(speed=(0.5, fastest)).span(frames)
        needed = (frames - 1) * fastest + 1  # frames of the recording, the last perhaps in part
        assert needed <= span <= needed + 1


def test_playback_rates_are_log_uniform_between_the_limits():
    options = ViewOptions(mirror=False, speed=(0.5, 2.0))
    windows = draw(store_of([numbered(1, 60)], options), options, count=1000)
    steps = np.diff(windows[..., 1], axis=1) / 10.0
    rate = steps[:, 0, 0]
    np.testing.assert_allclose(steps, np.broadcast_to(rate[:, None, None], steps.shape), atol=1e-3)
    assert rate.min() >= 0.5 - 1e-3 and rate.max() <= 2.0 + 1e-3
    # quartiles of the logarithm, to four standard errors
    np.testing.assert_allclose(np.quantile(np.log2(rate), [0.25, 0.5, 0.75]), [-0.5, 0.0, 0.5],
                               atol=0.13)
    np.testing.assert_allclose(windows[:, 0, 0, 1] % 10.0, 0.0, atol=1e-3)  # from a whole frame


def test_frames_in_between_are_interpolated():
    options = ViewOptions(mirror=False, speed=(0.5, 0.5))
    recording = lopsided()
    windows = draw(store_of([clip(recording)], options), options, count=4)
    for window in windows:
        start = np.argmin(np.abs(recording - window[0]).sum(axis=(1, 2)))
        np.testing.assert_allclose(window[::2], recording[start : start + 4], atol=0.05)
        between = (recording[start : start + 4] + recording[start + 1 : start + 5]) / 2
        np.testing.assert_allclose(window[1::2], between, atol=0.05)


# --- mirroring ------------------------------------------------------------------------------------

MIRROR = ViewOptions(mirror=True, speed=(1.0, 1.0))


def mirrored_window(recording):
    """One window of the recording's first frames that came out mirrored."""
    recording = recording[: FRAMES + 1]
    windows = draw(store_of([clip(recording)], MIRROR), MIRROR, count=16)
    changed = [w for w in windows if not np.array_equal(w, recording[:FRAMES])]
    assert 0 < len(changed) < 16
    return changed[0]


def test_half_of_the_windows_are_mirrored():
    recording = lopsided(FRAMES + 1)
    windows = draw(store_of([clip(recording)], MIRROR), MIRROR, count=400)
    plain = (windows == recording[:FRAMES]).all(axis=(1, 2, 3))
    assert 160 < plain.sum() < 240  # four standard errors
    first = windows[~plain][0]
    assert (windows[~plain] == first).all()  # whole windows, all of them alike
    assert (draw(store_of([clip(recording)], PLAIN), PLAIN) == recording[:FRAMES]).all()


def test_mirrored_twice_is_the_recording():
    recording = lopsided()
    once = mirrored_window(recording)
    again = mirrored_window(np.concatenate([once, once[:1]]))
    np.testing.assert_array_equal(again, recording[:FRAMES])
    assert np.abs(once - recording[:FRAMES]).max() > 50.0


def test_mirroring_swaps_the_lengths_of_left_and_right_bones():
    recording = lopsided()
    before, after = bone_lengths(recording[:FRAMES]), bone_lengths(mirrored_window(recording))
    for (parent, child), length in after.items():
        np.testing.assert_allclose(
            length, before[other_side(parent), other_side(child)], rtol=1e-5
        )
    # and it shows: the two sides of this person differ
    shins = [before[f"{side}_knee", f"{side}_ankle"] for side in ("left", "right")]
    assert np.abs(shins[0] - shins[1]).mean() > 10.0


def test_a_mirrored_person_still_faces_the_same_way_with_left_at_the_left():
    recording = np.broadcast_to(standing(), (FRAMES + 1, 28, 3)).copy()
    recording[:, MPI.index("left_wrist")] += (300.0, 500.0, 0.0)  # waves with the left hand
    window = mirrored_window(recording)

    def at(name):
        return window[0, MPI.index(name)]

    for side in ("left", "right"):
        assert at(f"{side}_toe")[2] > at(f"{side}_ankle")[2]
    for part in ("hip", "shoulder", "elbow", "knee", "toe"):
        assert at(f"left_{part}")[0] > 0 > at(f"right_{part}")[0]
    assert at("right_wrist")[1] == 1380.0 and at("left_wrist")[1] == 880.0  # now with the right one
    assert at("right_wrist")[0] == -510.0


def test_samples_follow_their_key():
    options = ViewOptions()
    store = store_of([clip(lopsided(40))], options)
    first, again = draw(store, options), draw(store, options)
    other = draw(store, options, key=key(1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=(1, 2, 3)).mean() > 0.9


# --- views ----------------------------------------------------------------------------------------


@jax.jit
def _views(key, motion, ranges):
    return sample_views(key, motion, ViewOptions(**ranges))


def views(motion, options=None, key=KEY):
    """sample_views, compiled once for all ranges."""
    ranges = dataclasses.asdict(options or ViewOptions())
    return np.asarray(_views(key, jnp.asarray(motion, jnp.float32), ranges))


def people():
    """(200, 2, 28, 3): two frames of the person who stands."""
    return np.broadcast_to(standing(), (200, 2, 28, 3))


def test_a_person_who_faces_the_camera_has_the_left_hip_at_larger_image_x():
    camera = look_at(0.0, 0.0, 4000.0, jnp.asarray([0.0, 900.0, 0.0]))
    image, _ = project(jnp.asarray(standing())[None], camera)
    for part in ("hip", "shoulder", "wrist", "ankle"):
        assert image[0, MPI.index(f"left_{part}"), 0] > image[0, MPI.index(f"right_{part}"), 0]
    assert image[0, MPI.index("head_top"), 1] < image[0, MPI.index("left_toe"), 1]


def test_views_are_not_mirror_images():
    """Seen from above, toes that point down the picture point at the camera: left is at the right.

    Toes that point up the picture belong to a person seen from behind.
    """
    options = ViewOptions(pitch=(30.0, 30.0), roll=0.0, distance=(9000.0, 9000.0))
    image = views(people(), options)[:, 0]
    across = image[:, MPI.index("left_hip"), 0] - image[:, MPI.index("right_hip"), 0]
    towards = image[:, MPI.index("left_toe"), 1] - image[:, MPI.index("left_foot"), 1]
    clear = np.abs(across) > 0.2 * np.abs(across).max()
    assert clear.mean() > 0.7
    assert (np.sign(across) == np.sign(towards))[clear].all()
    assert 0.3 < (across > 0).mean() < 0.7  # seen from all sides


def test_one_camera_films_a_whole_window():
    image = views(people())
    np.testing.assert_array_equal(image[:, 0], image[:, 1])
    assert len(np.unique(image[:, 0, 0, 0])) > 190  # and every window has its own


def rods(height=2000.0, depth=0.0):
    """(500, 1, 2, 3): the two ends of an upright rod; or one that lies along the ground."""
    return np.broadcast_to(np.array([[0, height, depth], [0, 0, -depth]]), (500, 1, 2, 3))


def test_roll_tilts_to_either_side_up_to_its_limit():
    options = ViewOptions(pitch=(0.0, 0.0), roll=9.0)
    top, foot = np.moveaxis(views(rods(), options)[:, 0], 1, 0)
    tilt = np.degrees(np.arctan2(*(top - foot).T * np.array([[1.0], [-1.0]])))
    assert np.abs(tilt).max() <= 9.0 + 1e-3
    assert tilt.min() < -8.0 and tilt.max() > 8.0
    level = views(rods(), ViewOptions(pitch=(-20.0, 35.0), roll=0.0))
    np.testing.assert_allclose(level[:, 0, 0, 0], level[:, 0, 1, 0], atol=1e-6)


@pytest.mark.parametrize("pitch", [(-20.0, -10.0), (0.0, 0.0), (25.0, 35.0)])
def test_pitch_foreshortens_upright_people(pitch):
    """An upright rod shrinks by the cosine of the pitch, from far away."""
    options = ViewOptions(pitch=pitch, roll=0.0, distance=(1e6, 1e6))
    image = views(rods(), options)[:, 0] * 1e6 / 2000.0
    length = image[:, 1, 1] - image[:, 0, 1]
    angle = np.degrees(np.arccos(np.clip(length, -1.0, 1.0)))
    low, high = sorted(abs(p) for p in pitch)
    assert low - 0.5 < angle.min() and angle.max() < high + 0.5
    assert angle.max() - angle.min() > 0.7 * (high - low)


def test_a_share_is_seen_from_any_height():
    """Straight above and straight below included: there, an upright rod is a point."""
    options = ViewOptions(pitch=(0.0, 0.0), roll=0.0, distance=(1e6, 1e6), any_pitch=0.3)
    image = views(rods(), options)[:, 0] * 1e6 / 2000.0
    length = image[:, 1, 1] - image[:, 0, 1]
    level = np.isclose(length, 1.0, atol=1e-4)
    assert 0.6 < level.mean() < 0.8
    angle = np.degrees(np.arccos(np.clip(length[~level], -1.0, 1.0)))
    assert angle.max() > 85 and angle.min() < 10
    assert np.mean(angle < 45) == pytest.approx(0.5, abs=0.2)


def test_a_share_of_pictures_is_turned_by_any_angle():
    options = ViewOptions(pitch=(0.0, 0.0), roll=0.0, any_roll=0.3)
    top, foot = np.moveaxis(views(rods(), options)[:, 0], 1, 0)
    tilt = np.degrees(np.arctan2(*(top - foot).T * np.array([[1.0], [-1.0]])))
    turned = tilt[np.abs(tilt) > 0.1]
    assert 0.2 < len(turned) / 500 < 0.4
    assert turned.min() < -160 and turned.max() > 160
    assert np.mean(np.abs(turned) < 90) == pytest.approx(0.5, abs=0.2)


def test_where_no_share_is_asked_for_views_are_as_they_were():
    plain = jax.jit(lambda key, x: sample_views(key, x, ViewOptions()))
    np.testing.assert_array_equal(plain(KEY, people()), views(people()))


def test_positive_pitch_looks_down():
    """What is nearer to a camera that looks down is lower in the picture."""
    for pitch, sign in ((30.0, 1.0), (-30.0, -1.0)):
        options = ViewOptions(pitch=(pitch, pitch), roll=0.0)
        # of the two ends of a lying rod, the nearer one lies further from the image's centre
        image = views(rods(height=0.0, depth=1000.0), options)[:, 0]
        size = np.linalg.norm(image, axis=-1)
        near = image[np.arange(500), size.argmax(axis=1), 1]
        clear = np.abs(near) > 0.1 * np.abs(near).max()
        assert (np.sign(near) == sign)[clear].all() and clear.sum() > 250


def test_distances_cover_their_range():
    options = ViewOptions(pitch=(0.0, 0.0), roll=0.0, distance=(2500.0, 9000.0))
    image = views(rods(height=200.0), options)[:, 0]
    distance = 200.0 / (image[:, 1, 1] - image[:, 0, 1])
    assert 2500.0 - 5 < distance.min() < 2700.0 and 8800.0 < distance.max() < 9000.0 + 20


def test_the_mean_joint_stands_at_the_centre_wherever_people_walk():
    """The camera looks at it: exactly so for two points on the axis's normal plane."""
    options = ViewOptions(pitch=(0.0, 0.0), roll=0.0)
    far = rods() + np.random.default_rng(0).normal(0.0, 20_000.0, (500, 1, 1, 3))
    image = views(far, options)
    np.testing.assert_allclose(image.mean(axis=(1, 2)), 0.0, atol=1e-4)


def test_the_camera_keeps_clear_of_people_who_cover_ground():
    """20 m of walking: no joint comes closer than the clearance, let alone behind the camera."""
    walk = np.linspace(-10_000.0, 10_000.0, FRAMES)[:, None, None] * np.array([1.0, 0.0, 0.0])
    motion = np.broadcast_to(standing() + walk, (200, FRAMES, 28, 3))
    options = ViewOptions(distance=(2500.0, 2600.0), clearance=1000.0, pitch=(0.0, 0.0), roll=0.0)
    image = views(motion, options)
    height = image[..., 1].max(axis=-1) - image[..., 1].min(axis=-1)  # of the person, each frame
    assert np.isfinite(image).all()
    assert height.min() > 0.0  # never upside down, as behind the camera
    assert height.max() < 1730.0 / 1000.0 + 0.1


def test_views_follow_their_key():
    first, again = views(people()), views(people())
    other = views(people(), key=key(1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=(1, 2, 3)).all()
