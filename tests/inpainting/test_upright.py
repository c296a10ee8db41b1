"""Whose picture is turned before it is completed."""

import numpy as np
import pytest

from posegan_jax.inpainting.upright import lying, turn
from posegan_jax.pose.skeleton import get_skeleton

COCO = get_skeleton("coco17")
SHOULDERS, HIPS = [5, 6], [11, 12]


def someone(lean, frames=60):
    """(T, 17, 2) of a trunk 100 pixels long, 40 wide, that leans by so many degrees, clockwise."""
    keypoints = np.full((frames, 17, 2), np.nan)
    upright = np.array([[20, -50], [-20, -50], [20, 50], [-20, 50]], float)
    radians = np.broadcast_to(np.deg2rad(lean), frames)
    keypoints[:, SHOULDERS + HIPS] = np.stack([turn(upright, a) for a in radians]) + (600, 400)
    return keypoints


def test_places_are_turned_clockwise_and_back():
    """On a picture, y goes down."""
    np.testing.assert_allclose(turn(np.array([0.0, -1.0]), np.pi / 2), [1, 0], atol=1e-12)
    x = np.random.default_rng(0).normal(size=(4, 3, 2))
    x[1, 2] = np.nan
    np.testing.assert_allclose(turn(turn(x, 0.7), -0.7), x, atol=1e-12)


@pytest.mark.parametrize("lean", [50, 90, 170, -60, -135])
def test_who_lies_leans_by_so_much(lean):
    assert np.rad2deg(lying(someone(lean), COCO)) == pytest.approx(lean)


@pytest.mark.parametrize("lean", [0, 40, -40])
def test_who_stands_or_bends_does_not_lie(lean):
    assert lying(someone(lean), COCO) == 0


def test_who_comes_up_again_does_not_lie():
    time = np.arange(200)
    lifting = np.where(time < 40, 10, 95)
    assert lying(someone(lifting, 200), COCO) == 0
    push_ups = 75 + 15 * np.sin(time / 5)
    assert np.rad2deg(lying(someone(push_ups, 200), COCO)) == pytest.approx(75, abs=3)


def test_a_side_that_is_seen_tells_and_half_of_another_does_not():
    keypoints = someone(0)
    keypoints[:, 6] = np.nan
    keypoints[:, 12] = (0, 380)  # a hip that is far off
    assert lying(keypoints, COCO) == 0
    lies = someone(80)
    lies[:, 6], lies[:, 11] = np.nan, np.nan  # of the two sides, different ends
    assert np.rad2deg(lying(lies, COCO)) == pytest.approx(80 + np.rad2deg(np.arctan(0.4)))


def test_what_is_not_told_is_upright():
    lies = someone(90)
    without = lies.copy()
    without[:, HIPS] = np.nan
    briefly = lies.copy()
    briefly[24:] = np.nan
    assert lying(without, COCO) == lying(briefly, COCO) == 0
    assert lying(lies[:, :11], get_skeleton("joints:" + ",".join(COCO.joints[:11]))) == 0
    assert lying(np.full((60, 17, 2), np.nan), COCO) == 0
