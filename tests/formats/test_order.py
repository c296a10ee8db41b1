"""Which order joints are in."""

import numpy as np
import pytest

from posegan_jax.formats.order import most_even
from posegan_jax.pose.skeleton import get_skeleton

NAMES = ["coco17", "h36m17"]
HALVES = {"shoulder": (15, 38), "elbow": (20, 65), "wrist": (22, 90), "hip": (9, 95),
          "knee": (10, 140), "ankle": (10, 185), "eye": (4, 15), "ear": (8, 16)}


@pytest.mark.parametrize("name", NAMES)
def test_left_and_right_tell(name):
    rng = np.random.default_rng(0)
    body = []
    for k, joint in enumerate(get_skeleton(name).joints):
        side, _, part = joint.partition("_")
        x, y = HALVES.get(part, (0, 10 * k))
        body.append((x if side == "left" else -x, y))
    poses = np.array(body) + rng.normal(0, 3, (20, 17, 2))
    poses[3, 5] = np.nan
    found, factor = most_even(poses, NAMES)
    assert found == name and factor > 1.3
    assert most_even(poses, [name]) == (name, np.inf)


def test_nothing_to_tell_by():
    assert most_even(np.full((2, 17, 2), np.nan), NAMES)[0] == "coco17"
