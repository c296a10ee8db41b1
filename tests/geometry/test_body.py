"""The size of a body and of its head, against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.geometry.body import HEAD, HEAD_FLOOR, body_size, head_size, pose_size
from posegan_jax.pose.skeleton import get_skeleton, make_skeleton

RECTANGLE = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 8.0], [6.0, 8.0]]) + 100  # all 5 from the mean
PERSON = make_skeleton("person", ("head_top", "neck", "pelvis"))


# --- pose and body --------------------------------------------------------------------------------


def test_pose_size_is_the_root_mean_square_distance_from_the_mean():
    assert pose_size(RECTANGLE) == pytest.approx(5.0)
    assert pose_size(np.array([[0.0, 3.0], [0.0, 0.0], [0.0, 0.0]])) == pytest.approx(np.sqrt(2))
    assert pose_size(np.array([[0, 0, 0], [2.0, 4, 4]])) == pytest.approx(3.0)  # in 3D, too


@pytest.mark.parametrize("batch", [(), (7,), (2, 3, 4)])
def test_pose_size_is_the_same_on_hosts_and_on_devices(batch):
    poses = np.random.default_rng(0).normal(size=(*batch, 17, 2)).astype(np.float32)
    host = pose_size(poses)
    assert host.shape == batch and host.dtype == np.float32
    assert isinstance(host, np.ndarray | np.float32)
    for device in (pose_size(jnp.asarray(poses)), jax.jit(pose_size)(poses)):
        assert isinstance(device, jax.Array)
        np.testing.assert_allclose(device, host, rtol=1e-5)


def test_body_size_is_the_root_mean_square_distance_from_the_mean():
    np.testing.assert_allclose(body_size(np.stack([RECTANGLE] * 40)), 5.0)
    np.testing.assert_allclose(body_size(RECTANGLE[None]), 5.0)
    growing = RECTANGLE * np.linspace(1, 3, 200)[:, None, None]
    np.testing.assert_allclose(body_size(growing)[30:-30], 5 * np.linspace(1, 3, 200)[30:-30])


@pytest.mark.parametrize("frames", [1, 2, 7, 24, 25, 26, 100])
def test_body_size_has_one_value_a_frame_and_changes_slowly(frames):
    rng = np.random.default_rng(frames)
    size = body_size(rng.normal(size=(frames, 5, 2)))
    assert size.shape == (frames,) and (size > 0).all()
    assert frames < 24 or np.abs(np.diff(size)).max() < 0.1
    assert (body_size(np.zeros((frames, 5, 2))) > 0).all()  # something to divide by


# --- head -----------------------------------------------------------------------------------------


def test_head_size_is_from_neck_to_head_top():
    # head_top, neck, pelvis of two people; the second is twice as far away
    pose = jnp.asarray([[3.0, 0.0], [0.0, 4.0], [0.0, 36.0]])
    assert head_size(jnp.stack([pose, pose / 2]), PERSON).tolist() == [5.0, 2.5]


def test_the_head_may_end_elsewhere():
    skeleton = make_skeleton("bust", ("head_top", "head", "neck"))
    pose = jnp.asarray([[0.0, 0.0], [0.0, 4.0], [0.0, 7.0]])
    assert [float(head_size(pose, skeleton, end)) for end in ("head", "neck")] == [4.0, 7.0]


def test_head_size_has_a_floor():
    """Seen from above, head and neck coincide; a tenth of the box's diagonal is left."""
    pose = jnp.asarray([[0.0, 0.0], [0.0, 1.0], [30.0, 40.0]])
    assert HEAD_FLOOR == 0.1
    assert float(head_size(pose, PERSON)) == pytest.approx(5.0)
    assert float(head_size(pose.at[1].set(0.0), PERSON)) == pytest.approx(5.0)


@pytest.mark.parametrize("name", ["coco17", "alphapose12", "body25", "mpii16"])
def test_without_its_ends_a_head_is_half_the_body(name):
    skeleton = get_skeleton(name)
    poses = np.random.default_rng(0).normal(size=(4, 9, len(skeleton), 2))
    np.testing.assert_allclose(head_size(poses, skeleton), 0.5 * pose_size(poses))
    assert HEAD == 0.5
    assert np.isfinite(jax.jit(lambda p: head_size(p, skeleton))(poses)).all()
