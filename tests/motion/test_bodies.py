"""Other bodies: alike on both sides, the same over time, and the recorded ones where nothing is
asked for."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.errors import OptionError
from posegan_jax.motion.bodies import SHARE, BodyOptions, vary_bodies
from posegan_jax.pose.skeleton import get_skeleton

BODY = get_skeleton("body45")
N, F = 64, 6
KEY = jax.random.key(0)

# A person who stands and faces +z, millimetres; the left side, with the right one mirrored.
TRUNK = {
    "pelvis": (0, 950, 0), "spine": (0, 1050, 0), "spine2": (0, 1150, 0), "spine3": (0, 1250, 0),
    "spine4": (0, 1350, 0), "neck": (0, 1450, 0), "head": (0, 1550, 20),
    "head_top": (0, 1750, 20), "nose": (0, 1600, 140),
}
LEFT = {
    "clavicle": (30, 1430, 0), "shoulder": (180, 1420, 0), "elbow": (200, 1130, 0),
    "wrist": (210, 880, 0), "hand": (210, 800, 0), "hip": (100, 950, 0), "knee": (100, 500, 0),
    "ankle": (100, 80, 0), "foot": (100, 20, 80), "toe": (100, 20, 200), "eye": (30, 1630, 120),
    "ear": (70, 1610, 20), "heel": (100, 10, -50), "big_toe": (80, 10, 190),
    "small_toe": (140, 10, 150), "thumb": (190, 830, 40), "index": (205, 800, 25),
    "pinky": (215, 805, -30),
}


def standing():
    places = dict(TRUNK)
    for part, (x, y, z) in LEFT.items():
        places[f"left_{part}"], places[f"right_{part}"] = (x, y, z), (-x, y, z)
    return np.array([places[name] for name in BODY.joints], float)


def motion(walk=0.0, seed=1):
    """(N, F, J, 3): the person turned another way in every frame, on a path."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(N, F, 3, 3)))[0]
    axes *= np.sign(np.linalg.det(axes))[..., None, None]  # no mirror images
    path = walk * np.arange(F)[:, None, None] * np.array([1.0, 0.0, 1.0])
    return (np.einsum("nfij,kj->nfki", axes, standing()) + path).astype(np.float32)


def varied(x, skeleton=BODY, key=KEY, **options):
    options = BodyOptions(**options)
    vary = jax.jit(lambda key, x: vary_bodies(key, x, skeleton, options))
    return np.asarray(vary(key, jnp.asarray(x)), float)


def lengths(x):
    parents, children = np.array(BODY.bones()).T
    return np.linalg.norm(x[..., children, :] - x[..., parents, :], axis=-1)


def bone(name):
    return next(i for i, (_, child) in enumerate(BODY.bones()) if BODY.joints[child] == name)


ALL = dict.fromkeys(("arms", "legs", "trunk", "head", "shoulders", "hips"), 0.1)


def test_nobody_differs_where_nothing_is_asked_for():
    x = jnp.asarray(motion())
    assert vary_bodies(KEY, x, BODY, BodyOptions()) is x


def test_bones_scale_alike_left_and_right_and_stay_as_long():
    x = motion()
    scale = lengths(varied(x, **ALL)) / lengths(x)
    np.testing.assert_allclose(scale, np.broadcast_to(scale[:, :1], scale.shape), rtol=1e-4)
    for i, (_, child) in enumerate(BODY.bones()):
        other = bone(BODY.joints[BODY.mirror[child]])
        np.testing.assert_allclose(scale[..., i], scale[..., other], rtol=1e-4)
    assert (np.abs(np.log(scale[:, 0])).max(axis=0) > 0.1).all()  # every bone in some window


@pytest.mark.parametrize(
    "part, child, deviation",
    [
        ("arms", "left_elbow", 0.1 * np.hypot(1, SHARE)), ("legs", "right_ankle", None),
        ("legs", "left_small_toe", None), ("arms", "right_index", None), ("trunk", "neck", 0.1),
        ("head", "nose", 0.1), ("shoulders", "left_clavicle", 0.1), ("hips", "left_hip", 0.1),
    ],
)
def test_a_part_of_the_body_scales_alone_and_by_its_deviation(part, child, deviation):
    x = motion()
    logs = np.log(lengths(varied(x, **{part: 0.1})) / lengths(x))[:, 0]
    own = logs[:, bone(child)]
    deviation = deviation or 0.1 * np.hypot(1, SHARE)
    assert own.std() == pytest.approx(deviation, rel=0.35)  # four standard errors
    assert abs(own.mean()) < 4 * deviation / np.sqrt(N)
    others = {"arms": "left_knee", "legs": "left_wrist"}.get(part, "left_elbow")
    np.testing.assert_allclose(logs[:, bone(others)], 0.0, atol=1e-4)


def test_children_move_with_their_parents_and_roots_stay():
    x = motion()
    y = varied(x, trunk=0.1)
    np.testing.assert_allclose(y[:, :, BODY.index("pelvis")], x[:, :, BODY.index("pelvis")])
    head = [BODY.index(name) for name in ("neck", "head_top", "left_wrist", "nose")]
    moved = (y - x)[:, :, head]
    np.testing.assert_allclose(moved, np.broadcast_to(moved[:, :, :1], moved.shape), atol=0.01)
    assert np.abs(moved).max() > 50


def test_whoever_has_longer_legs_gets_farther():
    """Feet that stand still do so with any legs."""
    x = np.repeat(standing()[None, None], F, 1).repeat(N, 0).astype(np.float32)
    hip, foot = BODY.index("pelvis"), BODY.index("left_ankle")
    x[:, :, :, 2] += 100 * np.arange(F)[:, None]  # walks, and leaves its feet behind
    legs = [i for i, j in enumerate(BODY.joints) if j.endswith(("ankle", "heel"))]
    x[:, :, legs, 2] -= 100 * np.arange(F)[:, None]
    x[:, :, [BODY.index(f"{s}_knee") for s in ("left", "right")], 2] -= 50 * np.arange(F)[:, None]
    y = varied(x, legs=0.1)
    far = (y[:, -1, hip] - y[:, 0, hip])[:, 2] / 500
    assert far.std() == pytest.approx(0.1, rel=0.35)
    slides = np.abs(y[:, -1, foot] - y[:, 0, foot])[:, 2] / 500
    assert slides.mean() < 0.05  # segments differ; with the old path it would be .08


# --- marks ----------------------------------------------------------------------------------------


def axes_of(x, tip, tail):
    line = x[:, :, BODY.index(tip)] - x[:, :, BODY.index(tail)]
    return line / np.linalg.norm(line, axis=-1, keepdims=True)


def test_marks_are_fixed_to_their_bones_and_mirrored():
    x = motion()
    offset = varied(x, marks=20.0, points=10.0) - x
    moved = {BODY.joints[i] for i in np.flatnonzero(np.abs(offset).max(axis=(0, 1, 3)) > 0.1)}
    stems = {j.removeprefix("left_").removeprefix("right_") for j in moved}
    assert stems == {
        "shoulder", "hip", "nose", "eye", "ear", "heel", "big_toe", "small_toe", "thumb", "index",
        "pinky",
    }
    across = axes_of(x, "left_hip", "right_hip")  # this person is rigid
    up = axes_of(x, "neck", "pelvis")
    frame = np.stack([across, up, np.cross(across, up)], -2)
    local = np.einsum("nfij,nfkj->nfki", frame, offset)
    np.testing.assert_allclose(local, np.broadcast_to(local[:, :1], local.shape), atol=0.02)
    mirrored = local[:, :, list(BODY.mirror)] * [-1, 1, 1]
    np.testing.assert_allclose(local, mirrored, atol=0.02)
    size = np.linalg.norm(local[:, 0], axis=-1)
    assert size[:, BODY.index("left_index")].mean() == pytest.approx(16, rel=0.2)


def test_hips_and_shoulders_are_marked_outside():
    x = motion()
    offset = varied(x, marks=20.0) - x
    for part in ("hip", "shoulder"):
        out = axes_of(x, f"left_{part}", f"right_{part}")
        outwards = (offset[:, :, BODY.index(f"left_{part}")] * out).sum(-1)[:, 0]
        assert outwards.mean() == pytest.approx(20, abs=10)
        assert outwards.std() == pytest.approx(20, rel=0.35)
    np.testing.assert_allclose(offset[:, :, BODY.index("nose")], 0, atol=0.01)


def test_nothing_hangs_on_a_mark():
    x = motion()
    offset = varied(x, marks=20.0, points=10.0) - x
    for name in ("left_elbow", "right_knee", "pelvis", "head", "left_wrist", "right_ankle"):
        np.testing.assert_allclose(offset[:, :, BODY.index(name)], 0, atol=0.01)


def test_skeletons_without_the_bones_keep_their_marks():
    coco = get_skeleton("coco17")
    x = motion()[:, :, [BODY.index(joint) for joint in coco.joints]]
    np.testing.assert_allclose(varied(x, coco, marks=20.0, points=10.0), x, atol=0.01)
    assert np.isfinite(varied(x, coco, **ALL)).all()


def test_bodies_follow_their_key():
    x = motion()
    options = {**ALL, "marks": 20.0}
    first, again = varied(x, **options), varied(x, **options)
    np.testing.assert_array_equal(first, again)
    other = varied(x, key=jax.random.key(1), **options)
    assert (np.abs(other - first).max(axis=(1, 2, 3)) > 1).all()


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(BodyOptions)])
def test_deviations_are_none_below_zero(name):
    with pytest.raises(OptionError, match=f"{name} must be 0 or more"):
        BodyOptions(**{name: -0.1})
