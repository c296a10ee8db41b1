"""Reading the video that poses were detected in, frame by frame."""

import contextlib
import itertools
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
from PIL import Image

from posegan_jax.errors import InputError
from posegan_jax.render.skeleton import Viewport

# It warns that a video taken with the phone upright is not as wide as it is stored. We know.
logging.getLogger("imageio_ffmpeg").setLevel(logging.ERROR)


class SourceVideo:
    """A video whose frame n belongs to the poses with frame number n; nothing of it is kept.

    Attributes:
      path: of the video.
      shape: width and height of its frames in pixels, upright: what poses are measured in.
      fps: frames per second, None if the file does not tell.
    """

    def __init__(self, path: str | os.PathLike):
        """Reads what the video is. Raises InputError when it is missing or is no video."""
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"{self.path}: no such video")
        with contextlib.closing(self._read("-frames:v", "1")) as reader:
            try:
                about = next(reader)
                next(reader)
            except (OSError, RuntimeError, LookupError, AttributeError, StopIteration) as error:
                raise InputError(f"{self.path}: not a video that ffmpeg can read") from error
        self.shape: tuple[int, int] = about["size"]
        self.fps: float | None = about["fps"] or None

    def size(self, width: int) -> tuple[int, int]:
        """Width and height in pixels of a panel this wide; the height is even."""
        return width, max(2, 2 * round(width * self.shape[1] / self.shape[0] / 2))

    def view(self, size: tuple[int, int]) -> Viewport:
        """From pixels of the video to those of a panel of this size."""
        return Viewport(size[0] / self.shape[0])

    def pictures(self, frames: range, size: tuple[int, int]) -> Iterator[Image.Image | None]:
        """One picture of this size per frame number; None before the video's first and after its
        last. What cannot be decoded counts as its end."""
        yield from itertools.repeat(None, max(0, min(0, frames.stop) - frames.start))
        first, missing = max(0, frames.start), max(0, frames.stop - max(0, frames.start))
        # The frames before are decoded, and dropped by ffmpeg.
        reader = self._read("-vf", rf"select=gte(n\,{first})")
        with contextlib.closing(reader), contextlib.suppress(RuntimeError):
            next(reader)
            for pixels in itertools.islice(reader, missing):
                missing -= 1
                yield Image.frombytes("RGB", self.shape, pixels).resize(size, Image.Resampling.BOX)
        yield from itertools.repeat(None, missing)

    def _read(self, *output: str) -> Iterator:
        """What the video is, then the pixels of its frames as they are stored, none twice."""
        # Absolute: at the start of a relative path, a name with a colon would be a protocol.
        return imageio_ffmpeg.read_frames(
            self.path.absolute(), output_params=["-fps_mode", "passthrough", *output]
        )
