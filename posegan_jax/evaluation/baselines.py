"""What the model has to beat: a regression without time, and interpolation without a model."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Ridge:
    """Linear map from a frame's observed joints to all joints, fitted with an L2 penalty.

    Attributes:
      observed: (J,) bool, joints that it looks at.
      weights: (2 K + 1, 2 J) on the observed joints' coordinates, normalised per frame, and 1.
    """

    observed: np.ndarray
    weights: np.ndarray

    @classmethod
    def fit(cls, poses: np.ndarray, observed: np.ndarray, penalty: float = 1e-3) -> "Ridge":
        """Fits on complete poses.

        Args:
          poses: (N, J, 2) in any units.
          observed: (J,) bool.
          penalty: of the squared weights, relative to the number of poses.
        """
        center, scale = _frame(poses[:, observed])
        relative = (poses - center) / scale
        x = _features(relative[:, observed])
        y = relative.reshape(len(poses), -1)
        gram = x.T @ x + penalty * len(poses) * np.eye(x.shape[1])
        return cls(observed, np.linalg.solve(gram, x.T @ y))

    def __call__(self, poses: np.ndarray) -> np.ndarray:
        """(..., J, 2) with the observed joints present -> all joints; the observed are kept."""
        flat = poses.reshape(-1, *poses.shape[-2:])
        center, scale = _frame(flat[:, self.observed])
        x = _features((flat[:, self.observed] - center) / scale)
        result = (x @ self.weights).reshape(flat.shape) * scale + center
        result[:, self.observed] = flat[:, self.observed]
        return result.reshape(poses.shape)


def complete_by_ridge(windows: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Fills the joints that a window lacks by ridge regression on those that it has.

    Args:
      windows: (N, F, J, 2), a joint NaN in all frames of a window or in none.
      train: (M, J, 2) complete poses to fit on.

    Returns:
      (N, F, J, 2).
    """
    result = np.empty_like(windows)
    present = np.isfinite(windows[:, 0, :, 0])
    patterns, which = np.unique(present, axis=0, return_inverse=True)
    for i, observed in enumerate(patterns):
        ridge = Ridge.fit(train, observed)
        result[which == i] = ridge(windows[which == i])
    return result


def interpolate(keypoints: np.ndarray) -> np.ndarray:
    """Every joint on its own, linearly over time; constant beyond its first and last observation.

    Args:
      keypoints: (T, J, 2), NaN where missing.

    Returns:
      (T, J, 2); joints that are never observed stay NaN.
    """
    result = keypoints.copy()
    time = np.arange(len(keypoints))
    for joint in range(keypoints.shape[1]):
        seen = np.isfinite(keypoints[:, joint, 0])
        if seen.any():
            for c in range(2):
                result[:, joint, c] = np.interp(time, time[seen], keypoints[seen, joint, c])
    return result


def _frame(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Center (N, 1, 2) and root mean square size (N, 1, 1) of every pose."""
    center = points.mean(axis=1, keepdims=True)
    size = np.sqrt(((points - center) ** 2).sum(-1).mean(-1))
    return center, np.maximum(size, 1e-9)[:, None, None]


def _features(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points.reshape(len(points), -1), np.ones((len(points), 1))], axis=1)
