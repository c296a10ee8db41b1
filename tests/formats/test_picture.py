"""The picture's size: what is said where poses do not fit into it."""

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.formats import picture
from posegan_jax.pose.sequence import PoseSequence, Provenance

SIZE = (1280, 720)


def person(low, high, **changes):
    """A hundred frames of someone somewhere between two places."""
    places = np.random.default_rng(0).uniform(low, high, (100, 17, 2))
    return PoseSequence(places, **changes)


@pytest.mark.parametrize(
    "low, high",
    [
        ((0, 0), (1280, 720)),
        ((-100, -50), (1400, 780)),  # a bit beyond, as detectors guess
        ((600, 100), (720, 350)),
        ((0, 0), (640, 400)),
        ((200, 400), (1200, 800)),  # one in eight below, but not far
    ],
)
def test_poses_that_fit_are_not_talked_of(low, high):
    assert picture.misfit([person(low, high)], SIZE) == []
    assert picture.misfit([person(low, high)], None) == []


@pytest.mark.parametrize("low, high", [((0, 0), (1920, 1080)), ((700, 200), (900, 1000)),
                                       ((-2000, 0), (-1000, 700))])
def test_poses_of_a_larger_picture(low, high):
    (line,) = picture.misfit([person((0, 0), SIZE), person(low, high)], SIZE)
    assert "of the joints are beyond the 1280 x 720 picture" in line and "--image-size" in line


def test_the_share_and_how_far_poses_reach_are_told():
    (line,) = picture.misfit([person((0, 0), (1920, 1080))], SIZE)
    share = 1 - 1.1**2 * 1280 * 720 / (1920 * 1080)
    assert float(line.split("%")[0]) == pytest.approx(100 * share, abs=3)
    x, y = map(float, line.split("reach to ")[1].split(")")[0].split(", "))
    assert (x, y) == pytest.approx((1901, 1069), abs=5)


def test_poses_of_a_smaller_picture():
    (line,) = picture.misfit([person((0, 0), (640, 360))], SIZE)
    assert "upper left quarter of the 1280 x 720 picture" in line and "--image-size" in line


def test_shares_where_pixels_are_expected():
    for size in (SIZE, None):
        (line,) = picture.misfit([person((0, 0), (1, 1))], size)
        assert "from 0 to 1" in line and "width and height" in line


def test_only_what_a_detector_saw_counts():
    sequence = person((0, 0), (1920, 1080))
    filled = np.full(sequence.scores.shape, Provenance.FILLED)
    assert picture.misfit([sequence.replace(provenance=filled)], SIZE) == []
    refined = np.full(sequence.scores.shape, Provenance.REFINED)
    assert len(picture.misfit([sequence.replace(provenance=refined)], SIZE)) == 1
    empty = person((0, 0), (9, 9)).replace(keypoints=np.full((100, 17, 2), np.nan))
    assert picture.misfit([empty], SIZE) == picture.misfit([], SIZE) == []


def test_every_format_is_checked_against_a_given_size(tmp_path):
    sequence = person((0, 0), (1920, 1080), fps=25)
    for name in set(formats.FORMATS) - {"yolo"}:  # which always holds shares
        path = tmp_path / name
        formats.write([sequence], path, format=name)
        assert not any("beyond" in note for note in formats.read(path).notes)
        if name == "mediapipe":  # whose shares are scaled to it
            continue
        notes = formats.read(path, image_size=SIZE).notes
        assert sum("beyond the 1280 x 720 picture" in note for note in notes) == 1


def test_shares_are_no_pixels_but_may_be_metres(tmp_path):
    sequence = person((0, 0), (1, 1), fps=25)
    for name in set(formats.FORMATS) - {"mediapipe", "yolo"}:  # which always hold shares
        formats.write([sequence], tmp_path / name, format=name)
        notes = formats.read(tmp_path / name).notes
        assert any("from 0 to 1" in n for n in notes) == (
            name not in ("ultralytics", "openpose", "trc", "wide", "objects", "arrays")
        )


def test_a_given_size_of_another_shape_than_the_files_own():
    size, notes = picture.scale((640, 480), (1920, 1080))
    assert size == (640, 480) and "1920 x 1080" in notes[0] and "640 x 480" in notes[0]
    assert picture.scale((641, 360), (1920, 1080)) == ((641, 360), [])
