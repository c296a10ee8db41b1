"""Joints to rows and back, and speeds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.model.arrange import from_rows, num_joints, speeds, to_rows
from posegan_jax.pose.skeleton import SKELETONS, get_skeleton

MPI = get_skeleton("mpi_inf_3dhp")


def windows(skeleton, coordinates=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2, 8, len(skeleton), coordinates)).astype(np.float32)


@pytest.mark.parametrize("name", SKELETONS)
@pytest.mark.parametrize("coordinates", [2, 3])
def test_from_rows_undoes_to_rows_exactly(name, coordinates):
    skeleton = SKELETONS[name]
    x = windows(skeleton, coordinates)
    rows = to_rows(x, skeleton.rows)
    assert rows.shape == (2, 8, len(skeleton.rows), 2 * coordinates)
    assert num_joints(skeleton.rows) == len(skeleton)
    np.testing.assert_array_equal(from_rows(rows, skeleton.rows), x)


def test_a_row_holds_left_then_right():
    x = windows(MPI)
    rows = np.asarray(to_rows(x, MPI.rows))
    hand = rows[:, :, 0]  # hands come first
    np.testing.assert_array_equal(hand[..., :2], x[:, :, MPI.index("left_hand")])
    np.testing.assert_array_equal(hand[..., 2:], x[:, :, MPI.index("right_hand")])
    toe = rows[:, :, -1]
    np.testing.assert_array_equal(toe[..., :2], x[:, :, MPI.index("left_toe")])


def test_a_single_joint_stands_twice():
    x = windows(MPI)
    rows = np.asarray(to_rows(x, MPI.rows))
    pelvis = MPI.rows.index((MPI.index("pelvis"),) * 2)
    np.testing.assert_array_equal(rows[:, :, pelvis, :2], x[:, :, MPI.index("pelvis")])
    np.testing.assert_array_equal(rows[:, :, pelvis, 2:], x[:, :, MPI.index("pelvis")])


def test_the_two_copies_of_a_single_joint_are_averaged():
    rows = np.random.default_rng(1).normal(size=(2, 8, 18, 4)).astype(np.float32)
    x = np.asarray(from_rows(rows, MPI.rows))
    for row, (left, right) in enumerate(MPI.rows):
        first, second = rows[:, :, row, :2], rows[:, :, row, 2:]
        if left == right:
            np.testing.assert_allclose(x[:, :, left], (first + second) / 2, atol=1e-6)
        else:
            np.testing.assert_array_equal(x[:, :, left], first)
            np.testing.assert_array_equal(x[:, :, right], second)


def test_rows_come_from_the_joints_of_their_own_frame_only():
    x = windows(MPI)
    changed = x.copy()
    changed[:, 3] += 1.0
    difference = np.abs(np.asarray(to_rows(changed, MPI.rows) - to_rows(x, MPI.rows)))
    assert (difference[:, 3] > 0).all()
    assert (np.delete(difference, 3, axis=1) == 0).all()


# --- speeds ---------------------------------------------------------------------------------------

POSITIONS = jnp.asarray([0.0, 1.0, 4.0, 9.0])[None, :, None, None]


@pytest.mark.parametrize("last, end", [("repeat", 5.0), ("zero", 0.0)])
def test_speeds_are_forward_differences_and_the_last_is_as_told(last, end):
    assert speeds(POSITIONS, last).ravel().tolist() == [1.0, 3.0, 5.0, end]


def test_unknown_last_speed():
    with pytest.raises(ValueError, match="'repeat' or 'zero'"):
        speeds(POSITIONS, "wrap")


def test_speeds_keep_shape_and_gradient():
    x = jnp.asarray(windows(MPI))
    assert speeds(x).shape == x.shape
    gradient = jax.grad(lambda x: jnp.sum(speeds(x, "zero")))(x)
    # telescopes to the last frame minus the first
    assert np.allclose(gradient[:, 0], -1.0) and np.allclose(gradient[:, -1], 1.0)
    assert np.allclose(gradient[:, 1:-1], 0.0)
