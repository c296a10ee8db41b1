"""Seeded ways in which joints of a clean window go missing."""

import numpy as np

from posegan_jax.pose.skeleton import DETECTED_12, Skeleton

PROTOCOLS = {
    "clean": "the 12 detected joints, all of them, exact",
    "holes": "40 % of them missing at random, each joint and frame on its own",
    "gap": "all of them missing for 10 frames in the middle",
    "legs": "hips seen, knees and ankles never",
}


def protocol_mask(name: str, shape: tuple[int, int], skeleton: Skeleton, seed: int) -> np.ndarray:
    """Which joints are observed.

    Args:
      name: of ``PROTOCOLS``.
      shape: (N, F), windows and their length.
      skeleton: names the J joints.
      seed: the same seed gives the same holes.

    Returns:
      (N, F, J) bool.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"unknown protocol {name!r}; known: {', '.join(PROTOCOLS)}")
    detected = np.array([joint in DETECTED_12 for joint in skeleton.joints])
    mask = np.broadcast_to(detected, (*shape, len(skeleton))).copy()
    if name == "holes":
        mask &= np.random.default_rng(seed).random(mask.shape) >= 0.4
    elif name == "gap":
        middle = (shape[1] - 10) // 2
        mask[:, middle : middle + 10] = False
    elif name == "legs":
        mask[..., [j[-4:] in ("knee", "nkle") for j in skeleton.joints]] = False
    return mask
