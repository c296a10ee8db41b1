"""Contact sheets and before-after pictures."""

import numpy as np
import pytest
from PIL import Image

from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.render.still import before_after, compare, contact_sheet


def standing(skeleton, frames=20, height=100.0):
    """(T, K, 2): a pose that walks to the right; the same joint is at the same place everywhere."""
    places = {}
    for name in SPOTS:
        x, y = SPOTS[name]
        places[name] = (x * height, y * height)
    joints = get_skeleton(skeleton).joints
    still = np.array([places.get(j, (0.0, 0.3 * height)) for j in joints])
    return still + np.arange(frames)[:, None, None] * [7.0, 0.0]


SPOTS = {
    f"{side}_{part}": (sign * x, y)
    for side, sign in (("left", 1), ("right", -1))
    for part, (x, y) in {
        "shoulder": (0.2, 0.2), "elbow": (0.25, 0.4), "wrist": (0.3, 0.6),
        "hip": (0.15, 0.55), "knee": (0.15, 0.8), "ankle": (0.15, 1.0),
    }.items()
}


def ink(image, box):
    """Share of the pixels in a box that are not white."""
    part = np.asarray(image.convert("RGB").crop(box))
    return (part < 250).any(axis=-1).mean()


def test_a_sheet_has_a_row_per_window_and_a_column_per_pose(tmp_path):
    windows = np.stack([standing("mpi_inf_3dhp"), 1000 * standing("mpi_inf_3dhp")])
    windows[0, 0] = np.nan  # the first pose of the first row alone
    contact_sheet(windows, "mpi_inf_3dhp", tmp_path / "a.png", frames=4)
    contact_sheet(windows[:1], "mpi_inf_3dhp", tmp_path / "b.png", frames=4)
    tall, short = Image.open(tmp_path / "a.png"), Image.open(tmp_path / "b.png")
    row = tall.height - short.height
    column = row * 0.8
    top, left = short.height - row, tall.width - 4 * column
    for i in range(2):
        for j in range(4):
            x, y = left + j * column + 4, top + i * row + 4
            amount = ink(tall, (x, y, x + column - 8, y + row - 8))
            assert amount == 0 if (i, j) == (0, 0) else amount > 0.01


def test_poses_of_a_row_share_a_scale(tmp_path):
    window = standing("alphapose12", frames=2)
    window[1] /= 2
    contact_sheet(window[None], "alphapose12", tmp_path / "a.png", frames=2)
    pixels = np.asarray(Image.open(tmp_path / "a.png"))[60:]  # below title and column heads
    rows = [np.flatnonzero((half < 250).any(axis=(1, 2))) for half in
            (pixels[:, 40:200], pixels[:, 220:380])]
    heights = [np.ptp(r) for r in rows]
    assert 1.7 < heights[0] / heights[1] < 2.1


@pytest.mark.parametrize("shape", [(0, 4, 12, 2), (1, 0, 12, 2), (1, 4, 13, 2), (4, 12, 2)])
def test_a_sheet_of_windows_that_do_not_fit_is_refused(tmp_path, shape):
    with pytest.raises(InputError, match="alphapose12"):
        contact_sheet(np.zeros(shape), "alphapose12", tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_a_sheet_of_nothing_seen_and_one_frame_is_written(tmp_path):
    contact_sheet(np.full((2, 1, 12, 2), np.nan), "alphapose12", tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").format == "PNG"


def halves(path):
    """Both rows of a before-after picture, under their labels and above their frame numbers."""
    image = Image.open(path)
    row = (image.height - 34) // 2
    tops = (34, 34 + row)
    return [image.crop((0, top + 24, image.width, top + row - 24)) for top in tops]


def test_before_and_after_are_at_the_same_place(tmp_path):
    track = PoseSequence(standing("alphapose12"), skeleton="alphapose12", frames=range(5, 25))
    before_after(track, track, tmp_path / "a.png", columns=5)
    top, bottom = halves(tmp_path / "a.png")
    assert ink(top, (0, 0, *top.size)) > 0.01
    np.testing.assert_array_equal(top, bottom)


def test_before_may_miss_what_after_has(tmp_path):
    keypoints = standing("coco17", frames=3)
    keypoints[:2] = np.nan
    before = PoseSequence(keypoints, skeleton="coco17")
    after = PoseSequence(
        standing("mpi_inf_3dhp", frames=3), skeleton="mpi_inf_3dhp",
        provenance=np.full((3, 28), Provenance.FILLED),
    )
    before_after(before, after, tmp_path / "a.png")
    top, bottom = halves(tmp_path / "a.png")
    cell = 132  # 0.6 of a row: the track is slim
    assert ink(top, (0, 0, 2 * cell, top.height)) == 0 < ink(top, (2 * cell, 0, *top.size))
    assert ink(bottom, (0, 0, 2 * cell, top.height)) > 0


def test_one_stray_joint_does_not_shrink_the_poses(tmp_path):
    keypoints = standing("alphapose12")
    after = PoseSequence(keypoints, skeleton="alphapose12")
    keypoints = keypoints.copy()
    keypoints[0, 0] = 1e5, 1e5
    before_after(after.replace(keypoints=keypoints), after, tmp_path / "a.png")
    _, bottom = halves(tmp_path / "a.png")
    rows = np.flatnonzero((np.asarray(bottom)[:, :132] < 250).any(axis=(1, 2)))
    assert np.ptp(rows) > 150


def test_nothing_seen_at_all_is_still_a_picture(tmp_path):
    nothing = PoseSequence(np.full((1, 17, 2), np.nan))
    before_after(nothing, nothing, tmp_path / "a.png")
    top, bottom = halves(tmp_path / "a.png")
    assert ink(top, (0, 0, *top.size)) == ink(bottom, (0, 0, *top.size)) == 0


def test_tracks_of_different_frames_are_refused(tmp_path):
    track = PoseSequence(standing("alphapose12"), skeleton="alphapose12")
    with pytest.raises(InputError, match="same frames"):
        before_after(track, track.replace(frames=range(1, 21)), tmp_path / "a.png")
    empty = PoseSequence(np.zeros((0, 17, 2)))
    with pytest.raises(InputError, match="at least one"):
        before_after(empty, empty, tmp_path / "a.png")
    with pytest.raises(InputError, match="column"):
        before_after(track, track, tmp_path / "a.png", columns=0)
    with pytest.raises(InputError, match="nowhere"):
        before_after(track, track, tmp_path / "nowhere" / "a.png")
    assert not list(tmp_path.iterdir())


# --- strips to compare ----------------------------------------------------------------------------


def track(skeleton="coco17", frames=20, first=0, **options):
    keypoints = standing(skeleton, frames, **options)
    return PoseSequence(keypoints, skeleton=skeleton, frames=first + np.arange(frames))


def test_a_strip_per_track_and_a_column_per_frame(tmp_path):
    tracks = {"gt": track("mpi_inf_3dhp"), "det": track("coco17"), "s1": track("mpi_inf_3dhp")}
    compare(tracks, tmp_path / "a.png", columns=5)
    compare({"gt": tracks["gt"]}, tmp_path / "b.png", columns=5)
    three, one = Image.open(tmp_path / "a.png"), Image.open(tmp_path / "b.png")
    row = (three.height - one.height) // 2
    assert three.width == one.width and row > 220
    for i in range(3):
        top = three.height - one.height + (one.height - row) - (2 - i) * row
        assert ink(three, (0, top + 25, three.width, top + row - 25)) > 0.005


def test_a_track_that_lacks_a_frame_leaves_its_cell_empty(tmp_path):
    tracks = {"gt": track(frames=20), "late": track(frames=10, first=10)}
    compare(tracks, tmp_path / "a.png", columns=20)
    picture = Image.open(tmp_path / "a.png")
    width, bottom = picture.width // 20, picture.height - 25
    drawn = [ink(picture, (n * width, bottom - 150, (n + 1) * width, bottom)) > 0.005
             for n in range(20)]
    assert drawn == [False] * 10 + [True] * 10


def test_the_frames_that_are_asked_for(tmp_path):
    far = track(frames=20)
    compare({"a": far}, tmp_path / "a.png", frames=(5, 7), columns=10)
    compare({"a": far}, tmp_path / "b.png", columns=10)
    widths = [Image.open(tmp_path / f"{name}.png").width for name in "ab"]
    assert widths[0] < widths[1]
    with pytest.raises(InputError, match="a: no frames from 30 to 40"):
        compare({"a": far}, tmp_path / "c.png", frames=(30, 40))
    with pytest.raises(InputError, match="nothing"):
        compare({}, tmp_path / "c.png")
    empty = PoseSequence(np.zeros((0, 17, 2)))
    with pytest.raises(InputError, match="no frames"):
        compare({"a": empty}, tmp_path / "c.png")
    assert not (tmp_path / "c.png").exists()


def test_a_stray_joint_does_not_make_all_small(tmp_path):
    stray = track().keypoints.copy()
    stray[:, 3] += 5000
    tracks = {"gt": track(), "det": PoseSequence(stray, skeleton="coco17")}
    compare(tracks, tmp_path / "a.png", columns=3)
    picture = Image.open(tmp_path / "a.png")
    assert ink(picture, (0, 60, picture.width // 3, 270)) > 0.005
