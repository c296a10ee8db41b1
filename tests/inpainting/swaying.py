"""A body that sways, and white noise, for tests of what observations say of themselves."""

import numpy as np

JOINTS = 8


def motion(frames=100, size=80.0):
    """(T, J, 2) pixels: joints on a circle of that radius, which is the body size, that sway."""
    angle = 2 * np.pi * np.arange(JOINTS) / JOINTS
    pose = size * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    time = np.arange(frames)[:, None, None]
    sway = 0.3 * size * np.sin(time / 12 + np.arange(JOINTS)[:, None] + np.array([0, 1.5]))
    return 300.0 + pose + sway


def white(shape, seed=0):
    """White noise of deviation 1."""
    return np.random.default_rng(seed).normal(size=shape)
