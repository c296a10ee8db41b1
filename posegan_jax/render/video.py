"""Videos of tracks, panels side by side: what went in, and what came out."""

import contextlib
import itertools
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.render.skeleton import (
    BACKGROUND,
    FAINT,
    INK,
    RULE,
    Viewport,
    draw_legend,
    draw_panel,
    fit_view,
    font,
    panel_aspect,
    pose_at,
    robust_bounds,
)
from posegan_jax.render.source import SourceVideo, ffmpeg_program
from posegan_jax.runtime.files import atomic_path

DEFAULT_FPS = 30.0
"""Frames per second where no sequence says."""

SUFFIXES = (".mp4", ".gif")

# All even, and so is every sum of them: yuv420p halves both sides.
_PANEL_WIDTH = 480
_SOURCE_WIDTH = 640  # of a panel with a picture in it
_GAP = 2
_HEADER = 32
_FOOTER = 28

_NUMBER = 130  # at the right of the header, for the frame number

# A GIF counts time in hundredths of a second, and browsers take a single one for a tenth.
_GIF_FPS = 50


def write_video(
    panels: Sequence[Sequence[PoseSequence]],
    path: str | os.PathLike,
    labels: Sequence[str],
    progress: Callable[[int, int], object] | None = None,
    source: SourceVideo | None = None,
) -> int:
    """Writes a video with panels side by side, all with the same view.

    It runs from the smallest to the largest frame number of all sequences, at the rate of the
    first sequence that has one, else the source's. A person without the current frame is not drawn.
    Frames are made and handed to ffmpeg one by one; the file takes its name when it is complete.

    Args:
      panels: the sequences of each panel, one per person.
      path: .mp4 (H.264) or .gif (at most 50 frames per second, of which frames are left out above);
        its folder must exist.
      labels: a title for each panel.
      progress: called with (frames done, frames in all) after each frame.
      source: the video that the poses were detected in, to draw them on its frames, whole and as
        wide as a panel. Without it the view is what holds the poses, on a plain background.

    Returns:
      For how many frames the source had no picture; their background is plain.

    Raises:
      InputError: another suffix, no sequence, not one label per panel, no such folder, or ffmpeg
        fails (its message is in the error's).
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: a video's name ends in {' or '.join(SUFFIXES)}")
    if len(labels) != len(panels):
        raise InputError(f"{len(panels)} panels have {len(labels)} labels; give one for each")
    sequences = [s for panel in panels for s in panel if len(s.frames)]
    if not sequences:
        raise InputError(f"{path}: no sequence to draw")
    first = min(int(s.frames.min()) for s in sequences)
    last = max(int(s.frames.max()) for s in sequences)
    frames, rates = range(first, last + 1), [s.fps for s in sequences]
    if source is None:
        bounds = np.stack([robust_bounds(s.keypoints) for s in sequences])
        size = (_PANEL_WIDTH, 2 * round(_PANEL_WIDTH / panel_aspect(bounds) / 2))
        view, backgrounds = fit_view(bounds, size), itertools.repeat(None, len(frames))
    else:
        size = source.size(_SOURCE_WIDTH)
        view, backgrounds = source.view(size), source.pictures(frames, size)
        rates.append(source.fps)
    plain: list[int] = []
    page = _page(labels, size)
    pictures = _pictures(panels, frames, page, size, view, backgrounds, plain)
    with atomic_path(path) as temporary:
        command = _command(temporary, page.size, next(filter(None, rates), DEFAULT_FPS))
        _encode(_reporting(pictures, len(frames), progress), command, path)
    return len(plain) if source else 0


def _page(labels: Sequence[str], size: tuple[int, int]) -> Image.Image:
    """All that stays the same in every frame: labels, rules and legend."""
    width = len(labels) * (size[0] + _GAP) - _GAP
    page = Image.new("RGB", (width, _HEADER + size[1] + _FOOTER), BACKGROUND)
    for i, label in enumerate(labels):
        # A picture of its own cuts a long label off before the frame number or the next panel.
        header = Image.new("RGB", (size[0] - _NUMBER, _HEADER), BACKGROUND)
        ImageDraw.Draw(header).text(
            (12, _HEADER / 2), label, fill=INK, font=font(17), anchor="lm"
        )
        page.paste(header, (_left_edge(i, size), 0))
        if i:
            page.paste(RULE, (_left_edge(i, size) - _GAP, 0, _left_edge(i, size), page.height))
    page.paste(draw_legend(_FOOTER - 4), (8, _HEADER + size[1] + 2))
    return page


def _pictures(
    panels: Sequence[Sequence[PoseSequence]], frames: range, page: Image.Image,
    size: tuple[int, int], view: Viewport, backgrounds: Iterable[Image.Image | None],
    plain: list[int],
) -> Iterator[Image.Image]:
    """The pictures of all frames. Notes in ``plain`` those that have no background."""
    rows = [[{int(f): i for i, f in enumerate(s.frames)} for s in panel] for panel in panels]
    for frame, background in zip(frames, backgrounds, strict=True):
        if background is None:
            plain.append(frame)
        picture = page.copy()
        for i, (panel, panel_rows) in enumerate(zip(panels, rows, strict=True)):
            poses = [
                pose_at(sequence, row[frame])
                for sequence, row in zip(panel, panel_rows, strict=True)
                if frame in row
            ]
            panel_picture = draw_panel(poses, size, view, background=background)
            picture.paste(panel_picture, (_left_edge(i, size), _HEADER))
        ImageDraw.Draw(picture).text(
            (picture.width - 12, _HEADER / 2), f"frame {frame}", fill=FAINT, font=font(15),
            anchor="rm",
        )
        yield picture


def _left_edge(panel: int, size: tuple[int, int]) -> int:
    return panel * (size[0] + _GAP)


def _reporting(pictures: Iterable[Image.Image], total: int, progress) -> Iterator[bytes]:
    """Pixels of the pictures; says after each that it is done."""
    for done, picture in enumerate(pictures, start=1):
        yield picture.tobytes()
        if progress is not None:
            progress(done, total)


def _command(path: Path, size: tuple[int, int], fps: float) -> list[str]:
    rate = Fraction(fps).limit_denominator()
    command = [ffmpeg_program(), "-y", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{size[0]}x{size[1]}", "-r", str(rate), "-i", "-", "-an"]
    if path.suffix.lower() == ".gif":
        # A palette per frame: one for the whole video would need all of it in memory.
        filters = "split[a][b];[a]palettegen=stats_mode=single[p];"
        filters += "[b][p]paletteuse=new=1:dither=none"
        if rate > _GIF_FPS:
            filters = f"fps={_GIF_FPS},{filters}"
        command += ["-vf", filters, "-f", "gif"]
    else:
        command += ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "veryfast", "-crf", "20"]
        command += ["-movflags", "+faststart", "-f", "mp4"]
    # Absolute: at the start of a relative path, a name with a colon would be taken for a protocol.
    return [*command, str(path.absolute())]


def _encode(frames: Iterable[bytes], command: list[str], path: Path) -> None:
    """Hands frames to ffmpeg and waits for it; unlike imageio_ffmpeg, looks at its exit code."""
    with tempfile.TemporaryFile() as log:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log
            )
        except OSError as error:
            raise InputError(f"cannot run {command[0]}: {error.strerror}") from error
        try:
            for frame in frames:
                try:
                    process.stdin.write(frame)
                except OSError:  # ffmpeg has ended too early; its log tells why
                    break
            _close(process.stdin)
            code = process.wait()
        finally:
            process.kill()  # does nothing to one that has ended
            _close(process.stdin)
            process.wait()
        log.seek(0)
        lines = log.read().decode(errors="replace").split("\n")
    if code:
        reason = next((line.strip() for line in reversed(lines) if line.strip()), f"code {code}")
        raise InputError(f"{path}: ffmpeg could not write the video: {reason}")


def _close(pipe) -> None:
    with contextlib.suppress(OSError):  # what is left in the buffer cannot be written
        pipe.close()
