"""Videos: frames, rate, panels, and that no half file is left."""

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence
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
