"""How a detector's file is read."""

import argparse
import dataclasses
import math

from posegan_jax.formats.axes import VERTICALS, Vertical
from posegan_jax.runtime.options import check_choice, option, require


def parse_size(text: str) -> tuple[float, float]:
    """'1920x1080' -> its numbers."""
    width, _, height = text.lower().partition("x")
    try:
        size = float(width), float(height)
    except ValueError:
        size = (0.0, 0.0)
    if not all(1 <= value <= 1e6 for value in size):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, e.g. 1920x1080")
    return size


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """How a detector's file is read, see ``formats.read``."""

    fps: float | None = option(None, "frames per second of the input")
    min_score: float | None = option(None, "joints with a lower score are missing")
    joint_map: str | None = option(
        None, 'which joint is which: {"joints": ["left_shoulder", ...]} in their order or '
        '{"names": {"theirs": "ours"}} in JSON, or the name of a skeleton, e.g. body25b',
        metavar="FILE", alias="skeleton",
    )
    image_size: tuple[float, float] | None = option(
        None, "of the pictures that the poses were detected in: for normalised coordinates, and "
        "where --source shows them in another size",
        type=parse_size, metavar="WIDTHxHEIGHT",
    )
    vertical: Vertical | None = option(
        None, "a table's axis that is the picture's y, and which way it points (default: by where "
        "heads and feet are)",
    )

    ignore_ids: bool = option(
        False, "follow people by their poses, whatever the ids of the input are",
        action="store_true",
    )

    def __post_init__(self):
        """Raises OptionError on numbers that are none."""
        good = self.fps is None or 0 < self.fps < math.inf
        require(good, "fps", "positive and finite", self.fps)
        good = self.min_score is None or not math.isnan(self.min_score)
        require(good, "min_score", "a number", self.min_score)
        if self.vertical is not None:
            check_choice("vertical", self.vertical, VERTICALS)
