"""Drawing poses with Pillow: bones and joints, the view that fits them in, legend and font.

Pillow draws without anti-aliasing, so panels are drawn ``SUPERSAMPLE`` times as large and reduced.
"""

import dataclasses
import functools
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import Skeleton, get_skeleton

Colour = tuple[int, int, int]
Pose = tuple[np.ndarray, Skeleton, np.ndarray | None]  # keypoints (K, 2), names, provenance (K,)

# Blue and vermilion of M. Okabe and K. Ito's palette, which people with any of the common colour
# vision deficiencies tell apart, and a grey that differs from both in lightness.
LEFT: Colour = (0, 114, 178)
RIGHT: Colour = (213, 94, 0)
MIDDLE: Colour = (64, 64, 64)
BACKGROUND: Colour = (255, 255, 255)
INK: Colour = (40, 40, 40)
HALO: Colour = (255, 255, 255)
FAINT: Colour = (115, 115, 115)
RULE: Colour = (218, 218, 218)

SUPERSAMPLE = 3
"""How many times larger than shown panels are drawn."""

JOINT_RADIUS = 1.25
"""Radius of a joint's disc, in line widths."""

PALENESS = 0.6
"""How far the colour of a bone that was filled is on its way to white."""

# Joints that are linked in pictures where a skeleton's own bones leave the body in pieces.
_TIES = (
    ("left_shoulder", "right_shoulder"),
    ("left_hip", "right_hip"),
    ("mid_shoulder", "mid_hip"),
    ("left_ear", "left_shoulder"),
    ("right_ear", "right_shoulder"),
)

# Pixels: Pillow rasterises shapes that reach beyond the canvas, at a cost, and overflows far out.
_FAR = 20000.0


@dataclasses.dataclass(frozen=True)
class Viewport:
    """How points come onto a canvas: ``scale * point + offset``, x right and y down.

    Attributes:
      scale: canvas pixels per unit of the points.
      offset: (x, y) canvas pixels where the origin of the points comes to lie.
    """

    scale: float = 1.0
    offset: tuple[float, float] = (0.0, 0.0)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) on the canvas."""
        return np.asarray(points, float) * self.scale + np.asarray(self.offset)

    def enlarged(self, factor: float) -> "Viewport":
        """The same view on a canvas ``factor`` times as large."""
        x, y = self.offset
        return Viewport(self.scale * factor, (x * factor, y * factor))

    def moved_to(self, point: np.ndarray) -> "Viewport":
        """The same view with ``point`` (2,) where the origin was."""
        x, y = self(-np.asarray(point, float))
        return Viewport(self.scale, (float(x), float(y)))


def robust_bounds(keypoints: np.ndarray, slack: float = 0.3) -> np.ndarray:
    """The box around points, without the few that stray far from the rest.

    Those are further from the range of the 1st to 99th percentile than ``slack`` times its length,
    in x or in y.

    Args:
      keypoints: (..., 2), NaN = missing.
      slack: share of the range.

    Returns:
      (2, 2): least and greatest x and y; NaN when no point is finite.
    """
    points = _finite(keypoints)
    if not len(points):
        return np.full((2, 2), np.nan)
    low, high = np.percentile(points, (1, 99), axis=0)
    reach = slack * (high - low)
    kept = np.where((points >= low - reach) & (points <= high + reach), points, np.nan)
    return np.stack([np.nanmin(kept, axis=0), np.nanmax(kept, axis=0)])


def fit_view(
    keypoints: np.ndarray, size: tuple[int, int], margin: float = 0.08
) -> Viewport:
    """The view that shows all finite points as large as possible, centred, with uniform scale.

    Args:
      keypoints: (..., 2), NaN = missing.
      size: width and height of the canvas in pixels.
      margin: kept free on every side, as a share of the canvas' shorter side.

    Returns:
      Scale 1 where the points do not determine it: coincident ones are centred, and with none at
      all the points' origin is in the middle.
    """
    points = _finite(keypoints)
    canvas = np.asarray(size, float)
    if not len(points):
        return Viewport(1.0, tuple((canvas / 2).tolist()))
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.maximum(canvas - 2 * margin * canvas.min(), 1.0)
    extent = high - low
    wide = extent > 1e-9 * max(1.0, np.abs(points).max())
    scale = float((room[wide] / extent[wide]).min()) if wide.any() else 1.0
    offset = canvas / 2 - scale * (low + high) / 2
    return Viewport(scale, tuple(offset.tolist()))


def panel_aspect(keypoints: np.ndarray, low: float = 0.6, high: float = 1.8) -> float:
    """Width over height of the box around points (..., 2), within limits; 1 if there is no box."""
    points = _finite(keypoints)
    width, height = np.ptp(points, axis=0) if len(points) else (0.0, 0.0)
    if width <= 0 and height <= 0:
        return 1.0
    return float(np.clip(width / max(height, 1e-9 * width), low, high))


@functools.cache
def drawn_bones(skeleton: Skeleton) -> tuple[tuple[int, int], ...]:
    """(parent, child) indices of the lines to draw: the bones, and ties between loose pieces.

    Detectors' skeletons without a joint on the trunk are a left half, a right half and a face with
    nothing between; pictures show lines across the shoulders and hips, and down from the ears too.
    """

    def root(joint: int) -> int:
        while skeleton.parents[joint] >= 0:
            joint = skeleton.parents[joint]
        return joint

    ties = [
        (skeleton.index(a), skeleton.index(b)) for a, b in _TIES if a in skeleton and b in skeleton
    ]
    return tuple((a, b) for a, b in ties if root(a) != root(b)) + skeleton.bones()


def draw_pose(
    image: Image.Image,
    keypoints: np.ndarray,
    skeleton: Skeleton,
    provenance: np.ndarray | None = None,
    line_width: float = 3.0,
    transform: Viewport | None = None,
    halo: float = 0.0,
) -> None:
    """Draws one pose on an image, in place and without anti-aliasing (see ``draw_panel``).

    Left is blue, right is vermilion, the middle is grey. Joints that were filled are rings, and
    the bones that end there are pale; all others are discs and lines in full colour.

    Args:
      image: RGB or RGBA.
      keypoints: (K, 2), NaN = missing: the joint and the bones that end there are not drawn.
      skeleton: names and bones of the K joints.
      provenance: (K,) values of ``Provenance``; nothing was filled if None.
      line_width: pixels of the image.
      transform: from keypoints to the image's pixels; as they are if None.
      halo: pixels of white around bones and joints, so that they stand out from a photograph.

    Raises:
      InputError: keypoints or provenance do not have one entry per joint.
    """
    points, filled = _check_pose(keypoints, skeleton, provenance)
    if transform is not None:
        points = transform(points)
    seen = np.isfinite(points).all(axis=-1)
    points = np.clip(points, -_FAR, _FAR)
    colours = [_side_colour(name) for name in skeleton.joints]
    draw = ImageDraw.Draw(image)
    ties = set(drawn_bones(skeleton)) - set(skeleton.bones())
    bones = [list(bone) for bone in drawn_bones(skeleton) if seen[list(bone)].all()]
    if halo > 0:
        for bone in bones:
            _draw_bone(draw, points[bone], HALO, line_width + 2 * halo, False)
        for joint in np.flatnonzero(seen):
            _draw_joint(draw, points[joint], HALO, line_width + halo / JOINT_RADIUS, False)
    for bone in bones:
        colour = MIDDLE if tuple(bone) in ties else colours[bone[1]]
        _draw_bone(draw, points[bone], colour, line_width, filled[bone].any())
    for joint in np.flatnonzero(seen):
        _draw_joint(draw, points[joint], colours[joint], line_width, filled[joint])


def draw_panel(
    poses: Iterable[Pose],
    size: tuple[int, int],
    view: Viewport,
    line_width: float | None = None,
    background: Image.Image | None = None,
) -> Image.Image:
    """A new picture of poses, anti-aliased.

    Args:
      poses: keypoints (K, 2), skeleton and provenance (K,) or None of each, as in ``draw_pose``.
      size: width and height in pixels.
      view: from keypoints to pixels of the panel.
      line_width: pixels; by default what suits the size.
      background: RGB picture of this size to draw on, with halos; white if None.
    """
    if line_width is None:
        line_width = max(2.2, min(size) / 110)
    large, halo = (size[0] * SUPERSAMPLE, size[1] * SUPERSAMPLE), 0.0
    if background is None:
        canvas = Image.new("RGB", large, BACKGROUND)
    else:
        # Enlarged by repeating pixels, which reducing takes back exactly.
        canvas = background.resize(large, Image.Resampling.NEAREST)
        halo = 0.6 * line_width * SUPERSAMPLE
    for keypoints, skeleton, provenance in poses:
        draw_pose(
            canvas, keypoints, skeleton, provenance,
            line_width * SUPERSAMPLE, view.enlarged(SUPERSAMPLE), halo,
        )
    return canvas.reduce(SUPERSAMPLE)


def pose_at(sequence: PoseSequence, row: int) -> Pose:
    """One row of a sequence, as ``draw_panel`` takes it."""
    return sequence.keypoints[row], get_skeleton(sequence.skeleton), sequence.provenance[row]


def draw_legend(
    height: int, text_size: int = 13, words: tuple[str, ...] = ("observed", "filled")
) -> Image.Image:
    """What the colours and shapes mean, in one line as wide as it needs to be.

    Args:
      height: pixels.
      text_size: pixels.
      words: for joints that are discs, and for those that are rings; none of them are told apart
        where there are none.
    """
    entries = [("left", LEFT, False), ("right", RIGHT, False), ("middle", MIDDLE, False)]
    entries += [(word, MIDDLE, ring) for word, ring in zip(words, (False, True), strict=False)]
    swatch, space, gap = 26, 6, 18
    lengths = [font(text_size).getlength(name) for name, _, _ in entries]
    width = int(sum(lengths) + len(entries) * (swatch + space + gap))
    canvas = Image.new("RGB", (width * SUPERSAMPLE, height * SUPERSAMPLE), BACKGROUND)
    large, texts, x = ImageDraw.Draw(canvas), [], 0.0
    for (name, colour, hollow), length in zip(entries, lengths, strict=True):
        ends = np.array([[x + 4, height / 2], [x + swatch - 4, height / 2]]) * SUPERSAMPLE
        _draw_bone(large, ends, colour, 3.0 * SUPERSAMPLE, hollow)
        if name in words:
            _draw_joint(large, ends.mean(axis=0), colour, 4.0 * SUPERSAMPLE, hollow)
        texts.append((x + swatch + space, name))
        x += swatch + space + length + gap
    legend = canvas.reduce(SUPERSAMPLE)
    draw = ImageDraw.Draw(legend)
    for left, name in texts:
        draw.text((left, height / 2), name, fill=INK, font=font(text_size), anchor="lm")
    return legend


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font at a size in pixels; no font file needs to be installed."""
    return ImageFont.load_default(size=size)


def _check_pose(keypoints, skeleton, provenance):
    """Points (K, 2) as floats, and which were filled (K,)."""
    points = np.asarray(keypoints, float)
    if points.shape != (len(skeleton), 2):
        raise InputError(
            f"a pose of skeleton {skeleton.name} has shape ({len(skeleton)}, 2), not {points.shape}"
        )
    if provenance is None:
        return points, np.zeros(len(skeleton), bool)
    provenance = np.asarray(provenance)
    if provenance.shape != (len(skeleton),):
        raise InputError(
            f"provenance of skeleton {skeleton.name} has shape ({len(skeleton)},), "
            f"not {provenance.shape}"
        )
    return points, provenance == Provenance.FILLED


def _side_colour(joint: str) -> Colour:
    if joint.startswith("left_"):
        return LEFT
    return RIGHT if joint.startswith("right_") else MIDDLE


def _draw_bone(draw, ends, colour, width, pale):
    if pale:
        colour = tuple(round(c + PALENESS * (255 - c)) for c in colour)
    draw.line([tuple(end) for end in ends.tolist()], fill=colour, width=max(1, round(width)))


def _draw_joint(draw, center, colour, line_width, hollow):
    x, y = center.tolist()
    radius = JOINT_RADIUS * line_width
    box = (x - radius, y - radius, x + radius, y + radius)
    if hollow:
        rim = max(1, round(0.5 * radius))
        draw.ellipse(box, fill=BACKGROUND, outline=colour, width=rim)
    else:
        draw.ellipse(box, fill=colour)


def _finite(keypoints):
    """(M, 2) of the points (..., 2) with two finite coordinates."""
    points = np.asarray(keypoints, float).reshape(-1, 2)
    return points[np.isfinite(points).all(axis=-1)]
