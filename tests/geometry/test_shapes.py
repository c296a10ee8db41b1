"""Arrays of wrong ranks and shapes are refused, on hosts and where a function is compiled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.geometry.body import body_size, head_size, pose_size
from posegan_jax.geometry.camera import Camera, look_at, project
from posegan_jax.geometry.metrics import (
    acceleration_error,
    auc,
    bone_length_variation,
    mpjpe,
    mpjse,
    pckh,
)
from posegan_jax.geometry.moments import residual_moments
from posegan_jax.geometry.normalize import Normalization, denormalize, fit_normalization, normalize
from posegan_jax.geometry.procrustes import align, apply_similarity, fit_similarity
from posegan_jax.pose.skeleton import get_skeleton

MPI = get_skeleton("mpi_inf_3dhp")
X, POSE, MASK = np.ones((2, 5, 4, 2)), np.ones((4, 2)), np.ones((2, 5, 4))
UNIT = Normalization(np.zeros((2, 1, 1, 2)), np.ones((2, 1, 1, 1)))

WRONG = {
    "a point is no pose": lambda: pose_size(np.ones(2)),
    "a batch is no track": lambda: body_size(X),
    "joints of another skeleton": lambda: head_size(X, MPI),
    "a target in the plane": lambda: look_at(0.0, 0.0, 1.0, np.ones(2)),
    "points in the plane": lambda: project(X, look_at(0.0, 0.0, 1.0, np.ones(3))),
    "a pose without time": lambda: project(
        np.ones((4, 3)), Camera(np.eye(3), np.zeros(3), np.ones(()))
    ),
    "a pose is no window": lambda: mpjpe(POSE, POSE),
    "other frames": lambda: mpjse(X, X[:, 1:]),
    "a mask of coordinates": lambda: mpjpe(X, X, X),
    "a mask of frames": lambda: acceleration_error(X, X, MASK[..., 0]),
    "bones of other joints": lambda: bone_length_variation(X, X[:, :, 1:], [(0, 1)], MASK),
    "heads of joints": lambda: pckh(X, X, MASK),
    "other thresholds": lambda: auc(np.ones(7)),
    "one window": lambda: residual_moments(X[0], X[0]),
    "windows of other joints": lambda: residual_moments(X, X[:, :, 1:]),
    "no window to fit": lambda: fit_normalization(POSE, MASK[0, 0]),
    "another mask to fit": lambda: fit_normalization(X, MASK[0]),
    "no window to normalise": lambda: normalize(POSE, UNIT),
    "no window to bring back": lambda: denormalize(POSE, UNIT),
    "points in space": lambda: align(np.ones((5, 4, 3)), np.ones((5, 4, 3)), MASK[0]),
    "another target": lambda: fit_similarity(X, X[:, :, 1:], MASK),
    "no window to move": lambda: apply_similarity(fit_similarity(X, X, MASK), POSE),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_shapes_are_refused(name):
    with pytest.raises(AssertionError):
        WRONG[name]()


def test_shapes_are_checked_where_a_function_is_compiled():
    with pytest.raises(AssertionError):
        jax.jit(mpjpe)(X, X[:, 1:])
    with pytest.raises(AssertionError):
        jax.vmap(pose_size)(jnp.ones((3, 2)))
    assert jax.jit(jax.vmap(mpjpe))(X, X).shape == (2,)
    assert jax.vmap(jax.vmap(pose_size))(X).shape == (2, 5)
