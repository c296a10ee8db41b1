"""Drawing one pose: what is drawn where, in which colour, and the view that fits points in."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import SKELETONS, get_skeleton
from posegan_jax.render.skeleton import (
    LEFT,
    MIDDLE,
    RIGHT,
    Viewport,
    draw_legend,
    draw_panel,
    draw_pose,
    drawn_bones,
    fit_view,
    panel_aspect,
    pose_at,
    robust_bounds,
)

WHITE = (255, 255, 255)
SKELETON = get_skeleton("alphapose12")


def pose(**places):
    """Keypoints (12, 2) with the named joints placed, all others missing."""
    keypoints = np.full((12, 2), np.nan)
    for joint, place in places.items():
        keypoints[SKELETON.index(joint)] = place
    return keypoints


def drawn(keypoints, **options):
    image = Image.new("RGB", (100, 100), WHITE)
    draw_pose(image, keypoints, SKELETON, **options)
    return image


def is_blank(image):
    return image.getcolors() == [(image.width * image.height, WHITE)]


def test_sides_and_middle_have_their_colours():
    image = drawn(
        pose(
            left_shoulder=(80, 20), left_elbow=(80, 80),
            right_shoulder=(20, 20), right_elbow=(20, 80),
        )
    )
    assert image.getpixel((80, 50)) == image.getpixel((80, 80)) == LEFT
    assert image.getpixel((20, 50)) == image.getpixel((20, 80)) == RIGHT
    assert image.getpixel((50, 20)) == MIDDLE  # across the shoulders
    assert image.getpixel((50, 50)) == WHITE


def test_missing_joints_and_their_bones_are_not_drawn():
    assert is_blank(drawn(pose()))
    half = pose(left_shoulder=(20, 20), left_elbow=(80, np.nan), left_wrist=(80, 80))
    image = drawn(half)
    assert image.getpixel((20, 20)) == image.getpixel((80, 80)) == LEFT
    assert sum(n for n, colour in image.getcolors() if colour != WHITE) < 200  # two discs, no line


def test_filled_joints_are_rings_with_pale_bones():
    arm = pose(left_shoulder=(20, 50), left_elbow=(50, 50), left_wrist=(80, 50))
    provenance = np.full(12, Provenance.REFINED)
    provenance[SKELETON.index("left_wrist")] = Provenance.FILLED
    image = drawn(arm, provenance=provenance, line_width=6)
    assert image.getpixel((20, 50)) == image.getpixel((35, 50)) == image.getpixel((50, 50)) == LEFT
    assert image.getpixel((80, 50)) == WHITE and image.getpixel((86, 50)) == LEFT
    assert image.getpixel((65, 50)) not in (WHITE, LEFT)


def test_a_transform_moves_and_a_stray_joint_does_no_harm():
    arm = pose(left_shoulder=(2, 5), left_elbow=(8, 5), right_elbow=(1e12, -1e300))
    image = drawn(arm, transform=Viewport(10.0, (0.0, 20.0)))
    assert image.getpixel((50, 70)) == LEFT
    assert image.getpixel((50, 5)) == WHITE


def test_shapes_that_do_not_fit_the_skeleton_are_refused():
    with pytest.raises(InputError, match=r"\(12, 2\)"):
        drawn(np.zeros((13, 2)))
    with pytest.raises(InputError, match="provenance"):
        drawn(np.zeros((12, 2)), provenance=np.zeros(13))


@pytest.mark.parametrize("name", SKELETONS)
def test_no_skeleton_is_drawn_in_pieces(name):
    skeleton = get_skeleton(name)
    reached, size = {0}, 0
    while len(reached) > size:
        size = len(reached)
        for a, b in drawn_bones(skeleton):
            if a in reached or b in reached:
                reached |= {a, b}
    # Whole bodies hold the points of a face, which stand alone.
    alone = set(range(len(skeleton))) - {j for bone in drawn_bones(skeleton) for j in bone}
    assert len(reached | alone) == len(skeleton)
    assert not alone or len(skeleton) > 100


def test_panels_are_smooth_and_of_the_asked_size():
    sequence = PoseSequence(
        pose(left_shoulder=(0, 0), left_elbow=(3, 7))[None], skeleton="alphapose12"
    )
    view = fit_view(sequence.keypoints, (60, 90))
    panel = draw_panel([pose_at(sequence, 0)], (60, 90), view)
    assert panel.size == (60, 90)
    assert len(panel.getcolors()) > 5  # shades along the edges
    assert is_blank(draw_panel([], (60, 90), view))


def test_legends_tell_filled_joints_only_where_asked():
    short, long = draw_legend(24, words=()), draw_legend(24)
    assert short.height == long.height == 24 and short.width < long.width < 480


@pytest.mark.parametrize("spread", [(300.0, 20.0), (20.0, 300.0)])
def test_a_view_holds_all_points_and_fills_the_canvas(spread):
    points = np.random.default_rng(0).uniform(-1, 1, (4, 5, 2)) * spread + 1000
    points[1, 2] = np.nan
    view = fit_view(points, (200, 100), margin=0.1)
    shown = view(points)
    low, high = np.nanmin(shown, axis=(0, 1)), np.nanmax(shown, axis=(0, 1))
    room = np.array([180.0, 80.0])
    assert (high - low <= room + 1e-6).all()
    assert np.isclose(high - low, room).any()
    np.testing.assert_allclose((low + high) / 2, [100, 50])
    assert view.scale > 0  # y stays down


def test_a_view_of_one_point_or_none_is_defined():
    assert fit_view(np.full((3, 2), np.nan), (200, 100)) == Viewport(1.0, (100.0, 50.0))
    np.testing.assert_allclose(fit_view([[7.0, 9.0]], (200, 100))([7.0, 9.0]), [100, 50])
    view = fit_view([[0.0, 5.0], [10.0, 5.0]], (200, 100), margin=0.0)
    assert view.scale == 20


def test_views_are_enlarged_and_moved():
    view, point = Viewport(2.0, (10.0, 20.0)), np.array([3.0, 4.0])
    np.testing.assert_allclose(view.enlarged(3)(point), 3 * view(point))
    np.testing.assert_allclose(view.moved_to(point)(point), view([0.0, 0.0]))


def test_bounds_leave_stray_points_out_and_keep_the_rest():
    points = np.random.default_rng(1).uniform(0, 100, (50, 12, 2))
    inside = robust_bounds(points)
    np.testing.assert_array_equal(inside, [points.min(axis=(0, 1)), points.max(axis=(0, 1))])
    points[3, 4] = 9000, -9000
    points[5] = np.nan
    stray = robust_bounds(points)
    assert (stray > -1).all() and (stray < 101).all()
    assert np.isnan(robust_bounds(np.full((2, 12, 2), np.nan))).all()


def test_aspects_stay_within_limits():
    assert panel_aspect([[0, 0], [30, 20]]) == 1.5
    assert panel_aspect([[0, 0], [30, 1]]) == panel_aspect([[0, 0], [30, 0]]) == 1.8
    assert panel_aspect([[0, 0], [1, 30]]) == panel_aspect([[0, 0], [0, 30]]) == 0.6
    assert panel_aspect([[5, 5]]) == panel_aspect([[np.nan, 1]]) == 1.0


def test_rendering_needs_neither_jax_nor_pyplot():
    code = (
        "import sys, posegan_jax.render.still, posegan_jax.render.video, posegan_jax.render.curves;"
        "assert not {'jax', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
