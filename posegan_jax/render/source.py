"""Reading the video that poses were detected in, frame by frame."""

import io
import itertools
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
from PIL import Image

from posegan_jax.errors import InputError
from posegan_jax.formats.picture import same_shape
from posegan_jax.render.skeleton import Viewport


def ffmpeg_program() -> str:
    """Path of ffmpeg. Raises InputError where there is none."""
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise InputError(f"videos need ffmpeg: {error}") from error


class SourceVideo:
    """A video whose frame n, from 0, belongs to the poses with frame number n.

    Attributes:
      path: of the video.
      shape: width and height of its frames, upright, in the pixels that poses are measured in.
      fps: frames per second, None if the file does not tell.
    """

    def __init__(self, path: str | os.PathLike, image_size: tuple[float, float] | None = None):
        """Reads the first frame.

        Args:
          path: of the video.
          image_size: (width, height) that poses are measured in, where the frames have another.

        Raises:
          InputError: no video that can be read, or its frames have another shape than image_size.
        """
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"{self.path}: no such video")
        command = self._command("-frames:v", "1", "-c:v", "ppm", "-f", "image2pipe", "-")
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
        except OSError as error:
            raise InputError(f"cannot run {command[0]}: {error.strerror}") from error
        if not done.stdout:
            raise InputError(f"{self.path}: not a video that ffmpeg can read")
        shape = Image.open(io.BytesIO(done.stdout)).size
        if image_size is not None and not same_shape(shape, image_size):
            raise InputError(
                f"{self.path}: its frames are {shape[0]} x {shape[1]}, which is another shape than "
                f"the image size {image_size[0]:g} x {image_size[1]:g}"
            )
        self.shape: tuple[float, float] = image_size or shape
        rate = re.search(rb" Video: .*?, ([\d.]+) fps", done.stderr)
        self.fps: float | None = (float(rate[1]) or None) if rate else None

    def size(self, width: int) -> tuple[int, int]:
        """Width and height in pixels of a panel this wide; the height is even."""
        return width, max(2, 2 * round(width * self.shape[1] / self.shape[0] / 2))

    def view(self, size: tuple[int, int]) -> Viewport:
        """From pixels of the video to those of a panel of this size."""
        return Viewport(size[0] / self.shape[0])

    def pictures(self, frames: range, size: tuple[int, int]) -> Iterator[Image.Image | None]:
        """One picture of this size per frame number; they are decoded as they are asked for.

        None stands for frames before the video's first and after its last. What cannot be decoded
        counts as its end.
        """
        first = max(0, frames.start)
        missing = max(0, frames.stop - first)
        yield from itertools.repeat(None, len(frames) - missing)
        filters = rf"select=gte(n\,{first}),scale={size[0]}:{size[1]}:flags=area"
        command = self._command("-vf", filters, "-pix_fmt", "rgb24", "-f", "rawvideo", "-")
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            length = 3 * size[0] * size[1]
            while missing and len(pixels := process.stdout.read(length)) == length:
                missing -= 1
                yield Image.frombytes("RGB", size, pixels)
        finally:
            process.kill()
            process.stdout.close()
            process.wait()
        yield from itertools.repeat(None, missing)

    def _command(self, *output: str) -> list[str]:
        # Absolute: at the start of a relative path, a name with a colon would be a protocol.
        # Passthrough: frames count as they are stored, however long each is shown.
        command = [ffmpeg_program(), "-hide_banner", "-i", str(self.path.absolute())]
        return [*command, "-an", "-fps_mode", "passthrough", *output]
