"""Joints to rows and back (L. Mourot, 2019, section 4.2 and figure 3).

A row holds two joints, (left x, left y, right x, right y): a left/right pair, or a single joint
written twice. Rows run along the body from hands to feet, so that convolutions along them see
neighbouring joints. All maps are multiplications by constant 0, 1 or 1/2 matrices: a gather's
gradient is a scatter, which is slow on every backend.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Rows = tuple[tuple[int, int], ...]
"""(left, right) joint indices of each row; a single joint stands twice."""


def to_rows(x: jax.Array, rows: Rows) -> jax.Array:
    """(N, F, J, C) -> (N, F, R, 2 C): left joint's channels, then the right joint's."""
    n, f, j, c = x.shape
    pick = np.zeros((j, len(rows) * 2), np.float32)
    for r, (left, right) in enumerate(rows):
        pick[left, 2 * r] = 1.0
        pick[right, 2 * r + 1] = 1.0
    return _apply(x.reshape(n, f, j * c), pick, c).reshape(n, f, len(rows), 2 * c)


def from_rows(x: jax.Array, rows: Rows) -> jax.Array:
    """(N, F, R, 2 C) -> (N, F, J, C); the two copies of a single joint are averaged."""
    n, f, r, c2 = x.shape
    c = c2 // 2
    place = np.zeros((r * 2, num_joints(rows)), np.float32)
    for row, pair in enumerate(rows):
        for side, joint in enumerate(pair):
            place[2 * row + side, joint] = 1.0 if pair[0] != pair[1] else 0.5
    return _apply(x.reshape(n, f, r * c2), place, c).reshape(n, f, num_joints(rows), c)


def num_joints(rows: Rows) -> int:
    """How many joints the rows hold."""
    return len({joint for pair in rows for joint in pair})


def speeds(x: jax.Array, last: str = "repeat") -> jax.Array:
    """Frame-to-frame forward differences, (N, F, ...) -> (N, F, ...) (section 4.5).

    The last frame has no successor; the thesis leaves its speed open. ``last`` decides, here and
    nowhere else: 'repeat' gives it the difference before it (which is its backward difference),
    'zero' gives it none.
    """
    difference = x[:, 1:] - x[:, :-1]
    if last == "repeat":
        end = difference[:, -1:]
    elif last == "zero":
        end = jnp.zeros_like(x[:, :1])
    else:
        raise ValueError(f"last must be 'repeat' or 'zero', not {last!r}")
    return jnp.concatenate([difference, end], axis=1)


def _apply(x, matrix: np.ndarray, channels: int):
    full = jnp.asarray(np.kron(matrix, np.eye(channels, dtype=np.float32)), x.dtype)
    # Highest precision: the copy must be exact where a backend would multiply in TF32 or bf16.
    return jnp.matmul(x, full, precision=lax.Precision.HIGHEST)
