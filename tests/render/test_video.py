"""Videos: frames, rate, panels, and that no half file is left."""

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.render.skeleton import LEFT
from posegan_jax.render.source import SourceVideo
from posegan_jax.render.video import write_video

HEADER, FOOTER, PANEL, GAP = 32, 28, 480, 2


def track(frames, x=0.0, **attributes):
    """A person that stands at x, 100 wide and 200 high."""
    shape = np.random.default_rng(0).uniform(0, 1, (12, 2)) * [100, 200]
    shape[:2] = (0, 0), (100, 200)
    keypoints = np.repeat(shape[None] + [x, 0], len(frames), axis=0)
    return PoseSequence(keypoints, skeleton="alphapose12", frames=frames, **attributes)


def read(path):
    """Metadata and frames (T, H, W, 3)."""
    reader = imageio_ffmpeg.read_frames(str(path))
    meta = next(reader)
    width, height = meta["size"]
    return meta, np.stack([np.frombuffer(f, np.uint8).reshape(height, width, 3) for f in reader])


def panel(frames, i):
    """Frames of one panel without header and footer."""
    left = i * (PANEL + GAP)
    return frames[:, HEADER:-FOOTER, left + 4 : left + PANEL - 4]


def has_ink(pixels):
    return bool((pixels < 200).any())


def test_length_rate_and_size(tmp_path):
    calls = []
    tracks = [track(range(3, 8)), track(range(5, 11), fps=29.97)]
    write_video(
        [tracks, tracks[:1]], tmp_path / "a.mp4", ["input", "completed"],
        progress=lambda *call: calls.append(call),
    )
    meta, frames = read(tmp_path / "a.mp4")
    assert len(frames) == 8 and calls == [(i, 8) for i in range(1, 9)]
    assert meta["fps"] == pytest.approx(29.97, abs=0.01)
    assert meta["codec"] == "h264" and "yuv420p" in meta["pix_fmt"]
    assert meta["size"] == (2 * PANEL + GAP, HEADER + 800 + FOOTER)  # 0.6 is the slimmest panel
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_persons_are_drawn_in_their_own_frames_and_panels(tmp_path):
    tracks = [track([10, 11, 14]), track(range(12, 15), x=300)]
    write_video([tracks, tracks[:1]], tmp_path / "a.mp4", ["", ""])
    _, frames = read(tmp_path / "a.mp4")
    first, second = (np.array_split(panel(frames, i), 2, axis=2) for i in (0, 1))
    assert [has_ink(f) for f in first[0]] == [True, True, False, False, True]
    assert [has_ink(f) for f in first[1]] == [False, False, True, True, True]
    assert [has_ink(f) for f in second[0]] == [True, True, False, False, True]
    assert not has_ink(second[1])
    # The same view: the same person is at the same place in both panels, compression aside.
    one, two = first[0][0].astype(float), second[0][0].astype(float)
    shifted = np.abs(one - np.roll(two, 2, axis=1)).mean()
    assert np.abs(one - two).mean() < shifted / 3


def test_the_frame_number_is_shown(tmp_path):
    write_video([[track([7, 8])]], tmp_path / "a.mp4", [""])
    _, frames = read(tmp_path / "a.mp4")
    corner = frames[:, :HEADER, -130:].astype(int)
    assert has_ink(corner[0])
    assert np.abs(corner[0] - corner[1]).max() > 60


def test_one_stray_joint_does_not_shrink_the_picture(tmp_path):
    person = track(range(20))
    keypoints = person.keypoints.copy()
    keypoints[3, 5] = 1e6, -1e6
    write_video([[person.replace(keypoints=keypoints)]], tmp_path / "a.mp4", [""])
    _, frames = read(tmp_path / "a.mp4")
    rows = np.flatnonzero((panel(frames, 0)[0] < 200).any(axis=(1, 2)))
    assert np.ptp(rows) > 600


def test_frames_with_nothing_seen_are_blank(tmp_path):
    nothing = PoseSequence(np.full((3, 17, 2), np.nan), fps=10)
    write_video([[nothing], []], tmp_path / "a.mp4", ["input", "completed"])
    meta, frames = read(tmp_path / "a.mp4")
    assert len(frames) == 3 and meta["fps"] == 10
    assert not has_ink(panel(frames, 0)) and not has_ink(panel(frames, 1))


def test_a_single_frame_at_the_default_rate(tmp_path):
    write_video([[track([41])]], tmp_path / "A.MP4", ["a label that is much too long " * 5])
    meta, frames = read(tmp_path / "A.MP4")
    assert len(frames) == 1 and meta["fps"] == 30


@pytest.mark.parametrize(("fps", "frames"), [(25, 10), (100, 5)])
def test_gifs_move_at_the_right_speed(tmp_path, fps, frames):
    walk = track(range(10), fps=fps)
    walk = walk.replace(keypoints=walk.keypoints + np.arange(10)[:, None, None] * [20.0, 0.0])
    write_video([[walk]], tmp_path / "a.gif", ["walk"])
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == frames
        assert image.info["duration"] == 1000 * 10 / fps / frames


def test_a_colon_in_a_name_is_no_protocol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video([[track(range(2))]], "a:b.mp4", ["input"])
    assert len(read(tmp_path / "a:b.mp4")[1]) == 2


def test_bad_requests_are_refused(tmp_path):
    person = track(range(2))
    with pytest.raises(InputError, match=r"a\.avi.*\.mp4"):
        write_video([[person]], tmp_path / "a.avi", ["input"])
    with pytest.raises(InputError, match="labels"):
        write_video([[person]], tmp_path / "a.mp4", ["input", "completed"])
    with pytest.raises(InputError, match="no sequence"):
        write_video([[], [PoseSequence(np.zeros((0, 17, 2)))]], tmp_path / "a.mp4", ["", ""])
    with pytest.raises(InputError, match="nowhere"):
        write_video([[person]], tmp_path / "nowhere" / "a.mp4", ["input"])
    assert not list(tmp_path.iterdir())


def test_a_failing_ffmpeg_is_told_and_the_old_file_stays(tmp_path, monkeypatch):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho no space left >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    with pytest.raises(InputError, match=r"a\.mp4.*no space left"):
        write_video([[track(range(50))]], path, ["input"])
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "absent"))
    with pytest.raises(InputError, match="cannot run"):
        write_video([[track(range(2))]], path, ["input"])
    assert path.read_bytes() == b"old"
    assert {p.name for p in tmp_path.iterdir()} == {"a.mp4", "ffmpeg"}


def test_an_interrupted_video_leaves_nothing(tmp_path):
    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video([[track(range(50))]], tmp_path / "a.mp4", ["input"], progress=stop)
    assert not list(tmp_path.iterdir())


# --- over the source video ------------------------------------------------------------------------

COLOURS = [(200, 40, 40), (40, 160, 40), (40, 40, 200), (190, 190, 40), (150, 40, 150)]
SOURCE_PANEL = 640


def film(path, size=(160, 96), fps=20, colours=COLOURS):
    """A video with one plain colour per frame."""
    writer = imageio_ffmpeg.write_frames(
        str(path), size, fps=fps, codec="libx264", macro_block_size=2, quality=None,
        output_params=["-crf", "4"],
    )
    writer.send(None)
    for colour in colours:
        writer.send(np.full((size[1], size[0], 3), colour, np.uint8).tobytes())
    writer.close()
    return path


def elbow(frames, x, y, **attributes):
    """A person of whom nothing but one left elbow is seen."""
    keypoints = np.full((len(frames), 12, 2), np.nan)
    keypoints[:, get_skeleton("alphapose12").index("left_elbow")] = x, y
    return PoseSequence(keypoints, skeleton="alphapose12", frames=frames, **attributes)


def assert_colour(pixels, colour, tolerance=12):
    np.testing.assert_allclose(pixels.mean(axis=(0, 1)), colour, atol=tolerance)


def test_poses_are_drawn_on_the_frame_of_their_number(tmp_path):
    source = SourceVideo(film(tmp_path / "source.mp4"))
    assert source.shape == (160, 96) and source.fps == 20
    people = [elbow(range(2, 7), 80, 48)]
    plain = write_video([people, []], tmp_path / "a.mp4", ["input", "completed"], source=source)
    assert plain == 2  # 5 and 6
    meta, frames = read(tmp_path / "a.mp4")
    assert meta["size"] == (2 * SOURCE_PANEL + GAP, HEADER + 384 + FOOTER) and meta["fps"] == 20
    assert len(frames) == 5
    for frame, colour in zip(frames, [*COLOURS[2:], (255, 255, 255), (255, 255, 255)], strict=True):
        for left in (0, SOURCE_PANEL + GAP):
            for y in (HEADER + 4, HEADER + 364):
                assert_colour(frame[y : y + 16, left + 20 : left + 620], colour)
        # The joint, at four times its pixels; in the other panel there is none.
        middle = HEADER + 4 * 48
        assert_colour(frame[middle - 1 : middle + 2, 319:322], LEFT, 40)
        assert_colour(frame[middle - 9 : middle + 9, 960:964], colour)
    halo = frames[1, HEADER + 4 * 48, 320 - 12 : 320].min(axis=-1)
    assert halo.max() > 200  # white between the joint and the picture


def test_poses_measured_in_another_size_than_the_frames(tmp_path):
    path = film(tmp_path / "source.mp4")
    source = SourceVideo(path, (1600, 960))
    assert source.shape == (1600, 960)
    write_video([[elbow(range(1), 800, 480)]], tmp_path / "a.mp4", ["input"], source=source)
    (frame,) = read(tmp_path / "a.mp4")[1]
    middle = HEADER + 192
    assert_colour(frame[HEADER + 4 : HEADER + 20, 20:620], COLOURS[0])
    assert_colour(frame[middle - 1 : middle + 2, 319:322], LEFT, 40)
    with pytest.raises(InputError, match=r"source.mp4: its frames are 160 x 96, .*640 x 480"):
        SourceVideo(path, (640, 480))


def test_frames_before_the_first_and_people_without_a_rate(tmp_path):
    source = SourceVideo(film(tmp_path / "source.mp4"))
    people = [elbow([-2, -1, 0, 1], 10, 10, fps=7)]
    assert write_video([people], tmp_path / "a.mp4", ["input"], source=source) == 2
    meta, frames = read(tmp_path / "a.mp4")
    assert meta["fps"] == 7  # what the sequences say comes first
    for frame, colour in zip(frames, [(255,) * 3] * 2 + COLOURS[:2], strict=True):
        assert_colour(frame[HEADER + 300 : HEADER + 340, 20:600], colour)
    size = (40, 24)
    assert [p is None for p in source.pictures(range(-3, -1), size)] == [True, True]
    assert [p is None for p in source.pictures(range(4, 6), size)] == [False, True]
    assert list(source.pictures(range(9, 11), size)) == [None, None]


def test_frames_count_as_they_are_stored(tmp_path):
    # The time between frames varies: none is left out, none comes twice.
    path, uneven = film(tmp_path / "a.mp4", colours=COLOURS * 2), tmp_path / "b.mp4"
    program = imageio_ffmpeg.get_ffmpeg_exe()
    kept = r"select=not(between(n\,1\,4))+eq(n\,3)"
    command = [program, "-v", "error", "-i", path, "-vf", kept, "-fps_mode", "vfr", "-crf", "4"]
    subprocess.run([*command, uneven], check=True)
    pictures = list(SourceVideo(uneven).pictures(range(0, 8), (40, 24)))
    expected = [COLOURS[i] for i in (0, 3, 0, 1, 2, 3, 4)]
    for picture, colour in zip(pictures[:7], expected, strict=True):
        assert_colour(np.asarray(picture), colour)
    assert pictures[7] is None


def test_a_video_that_was_taken_upright(tmp_path):
    path, turned = film(tmp_path / "a.mp4"), tmp_path / "b.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-display_rotation", "90", "-i"]
    subprocess.run([*command, path, "-c", "copy", turned], check=True)
    source = SourceVideo(turned)
    assert source.shape == (96, 160)
    assert source.size(480) == (480, 800) and source.view((480, 800)).scale == 5
    (picture,) = source.pictures(range(1), (48, 80))
    assert_colour(np.asarray(picture), COLOURS[0])


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "cut.mp4").write_bytes(film(tmp_path / "a.mp4").read_bytes()[:900])
    for name in ("text.mp4", "empty.mp4", "cut.mp4"):
        with pytest.raises(InputError, match=f"{name}: not a video"):
            SourceVideo(tmp_path / name)
    for name in ("absent.mp4", "."):
        with pytest.raises(InputError, match="no such video"):
            SourceVideo(tmp_path / name)


def test_a_video_that_breaks_off_is_plain_from_there(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, 3))
    path = film(tmp_path / "a.ts", colours=[tuple(c) for c in noise])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    source = SourceVideo(path)
    pictures = list(source.pictures(range(40), (40, 24)))
    seen = [picture is not None for picture in pictures]
    assert len(seen) == 40 and seen == sorted(seen, reverse=True) and 0 < sum(seen) < 40
