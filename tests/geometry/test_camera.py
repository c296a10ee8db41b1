"""Cameras by hand: what stands where in the picture."""

import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.geometry.camera import look_at, project

TARGET = jnp.asarray([0.0, 1.0, 0.0])


def see(point, **camera):
    """Image coordinates and depth of one world point from 4 units away."""
    options = dict(yaw=0.0, pitch=0.0, distance=4.0, target=TARGET) | camera
    image, depth = project(jnp.asarray(point, jnp.float32)[None, None], look_at(**options))
    return np.asarray(image)[0, 0], float(depth[0, 0])


def random_cameras(count=50, seed=0):
    rng = np.random.default_rng(seed)
    return look_at(
        yaw=jnp.asarray(rng.uniform(-np.pi, np.pi, count)),
        pitch=jnp.asarray(rng.uniform(-1.4, 1.4, count)),
        distance=jnp.asarray(rng.uniform(2.0, 9.0, count)),
        target=jnp.asarray(rng.normal(size=(count, 3))),
        roll=jnp.asarray(rng.uniform(-np.pi, np.pi, count)),
        focal=jnp.asarray(rng.uniform(0.5, 2.0, count)),
    )


@pytest.mark.parametrize(
    "point, camera, image, depth",
    [
        # straight ahead: x to the right, y down, both divided by the depth
        ((0.5, 1.5, 0.0), {}, (0.125, -0.125), 4.0),
        ((0.5, 1.5, 2.0), {}, (0.25, -0.25), 2.0),
        ((0.5, 1.5, 0.0), {"focal": 2.0}, (0.25, -0.25), 4.0),
        ((0.5, 1.5, 0.0), {"distance": 2.0}, (0.25, -0.25), 2.0),
        # from the +x side, +z is to the left and +x is near
        ((0.0, 1.0, 1.0), {"yaw": np.pi / 2}, (-0.25, 0.0), 4.0),
        ((2.0, 2.0, 0.0), {"yaw": np.pi / 2}, (0.0, -0.5), 2.0),
        # from behind, left and right change
        ((0.5, 1.5, 0.0), {"yaw": np.pi}, (-0.125, -0.125), 4.0),
        # looking down by 30 degrees: what is nearer is lower in the picture
        ((0.0, 1.0, 1.0), {"pitch": np.pi / 6}, (0.0, 0.5 / (4 - 0.75**0.5)), 4 - 0.75**0.5),
        # looking up by 30 degrees: higher
        ((0.0, 1.0, 1.0), {"pitch": -np.pi / 6}, (0.0, -0.5 / (4 - 0.75**0.5)), 4 - 0.75**0.5),
        # the camera turns clockwise, so the picture turns the other way: what was up is left
        ((0.0, 2.0, 0.0), {"roll": np.pi / 2}, (-0.25, 0.0), 4.0),
        ((1.0, 1.0, 0.0), {"roll": np.pi / 2}, (0.0, -0.25), 4.0),
    ],
)
def test_projections_by_hand(point, camera, image, depth):
    found, found_depth = see(point, **camera)
    np.testing.assert_allclose(found, image, atol=1e-6)
    assert found_depth == pytest.approx(depth, abs=1e-5)


def test_a_person_who_faces_the_camera_has_the_left_side_at_the_right_of_the_picture():
    left_hip, right_hip, head, foot, toe = (
        (0.1, 0.9, 0.0), (-0.1, 0.9, 0.0), (0.0, 1.7, 0.0), (0.1, 0.1, 0.0), (0.1, 0.1, 0.2)
    )
    assert see(left_hip)[0][0] > see(right_hip)[0][0]
    assert see(head)[0][1] < see(foot)[0][1]
    assert see(toe)[1] < see(foot)[1]  # the toes point at the camera
    assert see(left_hip, yaw=np.pi)[0][0] < see(right_hip, yaw=np.pi)[0][0]
    # seen from the person's left side, the toes point to the left
    assert see(toe, yaw=np.pi / 2)[0][0] < see(foot, yaw=np.pi / 2)[0][0]


def test_every_camera_sees_its_target_at_the_centre_and_at_its_distance():
    cameras = random_cameras()
    rng = np.random.default_rng(0)  # the same draws as in random_cameras
    rng.uniform(size=100)
    distance, target = rng.uniform(2.0, 9.0, 50), rng.normal(size=(50, 3))
    image, depth = project(jnp.asarray(target, jnp.float32)[:, None, None], cameras)
    assert image.shape == (50, 1, 1, 2) and depth.shape == (50, 1, 1)
    np.testing.assert_allclose(image, 0.0, atol=1e-5)
    np.testing.assert_allclose(depth[:, 0, 0], distance, rtol=1e-4)


def test_rotations_are_rotations():
    rotation = np.asarray(random_cameras().rotation)
    np.testing.assert_allclose(
        rotation @ rotation.swapaxes(1, 2), np.broadcast_to(np.eye(3), rotation.shape), atol=1e-5
    )
    np.testing.assert_allclose(np.linalg.det(rotation), 1.0, atol=1e-5)


def test_without_roll_the_horizon_is_level():
    camera = look_at(
        yaw=jnp.linspace(-3.0, 3.0, 7), pitch=jnp.linspace(-1.0, 1.0, 7), distance=jnp.full(7, 3.0),
        target=jnp.zeros((7, 3)),
    )
    np.testing.assert_allclose(camera.rotation[:, 0, 1], 0.0, atol=1e-6)  # right is horizontal
    assert (np.asarray(camera.rotation[:, 1, 1]) < 0).all()  # the image's down is down
    height = np.asarray(camera.position[:, 1])
    np.testing.assert_allclose(height, 3.0 * np.sin(np.linspace(-1.0, 1.0, 7)), atol=1e-5)


def test_one_camera_sees_all_frames_and_joints_of_its_window():
    points = np.random.default_rng(1).normal(0.0, 0.3, (50, 4, 3, 3))
    cameras = random_cameras()
    together, depth = project(jnp.asarray(points, jnp.float32), cameras)
    assert together.shape == (50, 4, 3, 2) and depth.shape == (50, 4, 3)
    for window, frame, joint in ((0, 0, 0), (7, 2, 1), (49, 3, 2)):
        offset = points[window, frame, joint] - np.asarray(cameras.position)[window]
        x, y, z = np.asarray(cameras.rotation)[window] @ offset
        expected = float(cameras.focal[window]) * np.array([x, y]) / z
        np.testing.assert_allclose(together[window, frame, joint], expected, rtol=1e-3, atol=1e-4)
        assert float(depth[window, frame, joint]) == pytest.approx(z, rel=1e-4)
