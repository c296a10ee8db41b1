"""Stills: contact sheets of motion windows, a track before and after, strips to compare."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.render.skeleton import (
    BACKGROUND,
    FAINT,
    INK,
    RULE,
    draw_legend,
    draw_panel,
    fit_view,
    font,
    panel_aspect,
    pose_at,
    robust_bounds,
)
from posegan_jax.runtime.files import atomic_path

_CELL_HEIGHT = 220
_TITLE = 34
_CAPTION = 22
_GUTTER = 34
_LEAST_WIDTH = 560  # title and legend fit in


def contact_sheet(
    windows: np.ndarray, skeleton: str, path: str | os.PathLike, frames: int = 6
) -> None:
    """Saves a PNG with one row per window and poses evenly spaced over time.

    The poses of a row have one scale; each is centred in its cell, so that they are large and
    comparable however far the person walks.

    Args:
      windows: (N, F, J, 2), y down, in any unit, NaN = missing.
      skeleton: registered name of the skeleton with these J joints.
      path: file to write; its folder must exist.
      frames: poses per row, fewer where the windows are shorter.

    Raises:
      InputError: wrong shape, no window or frame, unknown skeleton, or no such folder.
    """
    joints = get_skeleton(skeleton)
    windows = np.asarray(windows, float)
    if windows.ndim != 4 or windows.shape[2:] != (len(joints), 2) or 0 in windows.shape:
        raise InputError(
            f"windows of {skeleton} have shape (N, F, {len(joints)}, 2), not {windows.shape}"
        )
    columns = _spread(windows.shape[1], frames)
    cell = (round(0.8 * _CELL_HEIGHT), _CELL_HEIGHT)
    width = max(_GUTTER + len(columns) * cell[0], _LEAST_WIDTH)
    height = _TITLE + _CAPTION + len(windows) * cell[1]
    sheet = Image.new("RGB", (width, height), BACKGROUND)
    for row, window in enumerate(windows):
        y = _TITLE + _CAPTION + row * cell[1]
        views = _column_views(window[columns], cell)
        for column, (frame, view) in enumerate(zip(columns, views, strict=True)):
            pose = draw_panel([(window[frame], joints, None)], cell, view)
            sheet.paste(pose, (_GUTTER + column * cell[0], y))
    draw = ImageDraw.Draw(sheet)
    for row in range(len(windows)):
        y = _TITLE + _CAPTION + row * cell[1]
        draw.line([(0, y), (width, y)], fill=RULE)
        _text(draw, (_GUTTER / 2, y + cell[1] / 2), str(row + 1), 14, FAINT, "mm")
    for column, frame in enumerate(columns):
        x = _GUTTER + (column + 0.5) * cell[0]
        _text(draw, (x, _TITLE + _CAPTION / 2), f"frame {frame}", 13, FAINT, "mm")
    title = f"windows: {len(windows)}, of {windows.shape[1]} frames, {skeleton}"
    _finish(sheet, title, path, ())


def before_after(
    before: PoseSequence, after: PoseSequence, path: str | os.PathLike, columns: int = 8
) -> None:
    """Saves a PNG with two rows: what went in, and below it what came out.

    The two poses of a column are drawn at the same place and scale, so that what moved shows. All
    columns have one scale.

    Args:
      before: one person.
      after: the same frames; the skeleton may be another one.
      path: file to write; its folder must exist.
      columns: poses per row, evenly spaced over the frames, fewer where there are fewer frames.

    Raises:
      InputError: the frames differ, there is none, or no such folder.
    """
    if not len(before.frames) or not np.array_equal(before.frames, after.frames):
        raise InputError("before and after must have the same frames, and at least one")
    shown = _spread(len(before.frames), columns)
    both = np.concatenate([before.keypoints[shown], after.keypoints[shown]], axis=1)
    centred = both - _centres(both)[:, None]
    aspect = panel_aspect(robust_bounds(centred), 0.6, 1.2)
    cell = (round(aspect * _CELL_HEIGHT), _CELL_HEIGHT)
    views = _column_views(both, cell)
    row_height = _CAPTION + cell[1] + _CAPTION
    width = max(len(shown) * cell[0], _LEAST_WIDTH)
    sheet = Image.new("RGB", (width, _TITLE + 2 * row_height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for row, (label, sequence) in enumerate((("before: input", before), ("after: output", after))):
        y = _TITLE + row * row_height
        draw.line([(0, y), (width, y)], fill=RULE)
        _text(draw, (10, y + _CAPTION / 2 + 2), f"{label}, {sequence.skeleton}", 14, INK, "lm")
        for column, (index, view) in enumerate(zip(shown, views, strict=True)):
            x = column * cell[0]
            pose = draw_panel([pose_at(sequence, index)], cell, view)
            sheet.paste(pose, (x, y + _CAPTION))
            middle = (x + cell[0] / 2, y + _CAPTION + cell[1] + _CAPTION / 2 - 2)
            _text(draw, middle, str(sequence.frames[index]), 13, FAINT, "mm")
    _finish(sheet, f"frames {before.frames[0]} to {before.frames[-1]}", path)


def compare(
    tracks: Mapping[str, PoseSequence], path: str | os.PathLike,
    frames: tuple[int, int] | None = None, columns: int = 10,
) -> None:
    """Saves a PNG with one strip of frames per track, one below the other.

    The poses of a column belong to one frame and are drawn at the same place and scale, as in the
    thesis's figures 10 and 11. A track without a pose in a frame leaves its cell empty.

    Args:
      tracks: name -> one person; all in the same pixels, skeletons may differ.
      path: file to write; its folder must exist.
      frames: first and last frame number; by default all that the first track has.
      columns: poses per strip, evenly spaced, fewer where there are fewer frames.

    Raises:
      InputError: no track, the first one has no such frames, or no such folder.
    """
    if not tracks:
        raise InputError(f"{path}: nothing to compare")
    first = next(iter(tracks.values()))
    low, high = frames or (first.frames.min(initial=0), first.frames.max(initial=0))
    numbers = first.frames[(first.frames >= low) & (first.frames <= high)]
    if not len(numbers):
        raise InputError(f"{next(iter(tracks))}: no frames from {low} to {high}")
    numbers = numbers[_spread(len(numbers), columns)]
    labelled = {f"{name}, {track.skeleton}": track for name, track in tracks.items()}
    strips(labelled, path, numbers, f"frames {numbers[0]} to {numbers[-1]}")


def strips(
    tracks: Mapping[str, PoseSequence], path: str | os.PathLike,
    numbers: Sequence[int] | np.ndarray,
    title: str, height: int = _CELL_HEIGHT, words: tuple[str, ...] = ("observed", "filled"),
) -> None:
    """``compare`` of the frames of some numbers.

    Args:
      tracks: what stands above a strip -> one person.
      path: file to write; its folder must exist.
      numbers: of the frames, increasing, at least one.
      title: of the picture.
      height: of a strip, pixels.
      words: of the legend, see ``draw_legend``.

    Raises:
      InputError: no such folder.
    """
    numbers = np.asarray(numbers)
    poses = [_poses_at(track, numbers) for track in tracks.values()]
    centres, bounds = _around_the_first(poses)
    cell = (round(panel_aspect(bounds, 0.6, 1.2) * height), height)
    shared = fit_view(bounds, cell)
    width = max(len(numbers) * cell[0], _LEAST_WIDTH, _title_width(title, words))
    row_height = _CAPTION + cell[1]
    sheet = Image.new("RGB", (width, _TITLE + len(tracks) * row_height + _CAPTION), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for row, (label, track) in enumerate(tracks.items()):
        y = _TITLE + row * row_height
        draw.line([(0, y), (width, y)], fill=RULE)
        _text(draw, (10, y + _CAPTION / 2 + 2), label, 14, INK, "lm")
        for column, number in enumerate(numbers):
            if number in track.frames:
                index = int(np.searchsorted(track.frames, number))
                view = shared.moved_to(centres[column])
                pose = draw_panel([pose_at(track, index)], cell, view)
                sheet.paste(pose, (column * cell[0], y + _CAPTION))
    for column, number in enumerate(numbers):
        middle = (column + 0.5) * cell[0], sheet.height - _CAPTION / 2 - 2
        _text(draw, middle, str(number), 13, FAINT, "mm")
    _finish(sheet, title, path, words)


def _around_the_first(poses: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Centres (C, 2) of the columns of poses (C, K, 2) per track, and the bounds (2, 2) of all
    about them.

    Every column is centred on the first track's pose, and as large as that and what is near it: a
    stray joint of another moves nothing.
    """
    everything = np.concatenate(poses, axis=1)
    bodies = poses[0] if np.isfinite(poses[0]).any() else everything
    lost = ~np.isfinite(bodies).any(axis=(1, 2))
    centres = np.where(lost[:, None], _centres(everything), _centres(bodies))
    relative = everything - centres[:, None]
    low, high = robust_bounds(bodies - centres[:, None])
    reach = 0.5 * np.max(high - low)
    near = ((relative >= low - reach) & (relative <= high + reach)).all(-1, keepdims=True)
    return centres, robust_bounds(np.where(near, relative, np.nan), slack=4.0)  # all of these


def _poses_at(track: PoseSequence, numbers: np.ndarray) -> np.ndarray:
    """(C, K, 2) poses of these frames, NaN where the track has none."""
    poses = np.full((len(numbers), *track.keypoints.shape[1:]), np.nan)
    there = np.isin(numbers, track.frames)
    poses[there] = track.keypoints[np.searchsorted(track.frames, numbers[there])]
    return poses


def _spread(total: int, count: int) -> np.ndarray:
    """At most ``count`` indices evenly spaced over range(total), first and last included."""
    if count < 1:
        raise InputError(f"a picture needs at least one column, not {count}")
    return np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))


def _centres(poses: np.ndarray) -> np.ndarray:
    """(C, K, 2) -> (C, 2) medians of the finite joints, which a stray joint hardly moves."""
    centres = np.zeros((len(poses), 2))
    for pose, centre in zip(poses, centres, strict=True):
        finite = pose[np.isfinite(pose).all(axis=-1)]
        if len(finite):
            centre[:] = np.median(finite, axis=0)
    return centres


def _column_views(poses: np.ndarray, cell: tuple[int, int]):
    """One view per pose (C, K, 2), of one scale for all, each centred on its own pose."""
    centres = _centres(poses)
    shared = fit_view(robust_bounds(poses - centres[:, None]), cell)
    return [shared.moved_to(centre) for centre in centres]


def _text(draw, position, text, size, colour, anchor):
    draw.text(position, text, fill=colour, font=font(size), anchor=anchor)


def _title_width(title: str, words: tuple[str, ...]) -> int:
    """Pixels that a title and the legend at the right of it take."""
    return round(font(15).getlength(title)) + 30 + draw_legend(_TITLE - 4, words=words).width


def _finish(
    sheet: Image.Image, title: str, path: str | os.PathLike,
    words: tuple[str, ...] = ("observed", "filled"),
) -> None:
    """Title, legend at the right of it, and onto the disk."""
    draw = ImageDraw.Draw(sheet)
    _text(draw, (10, _TITLE / 2), title, 15, INK, "lm")
    legend = draw_legend(_TITLE - 4, words=words)
    sheet.paste(legend, (sheet.width - legend.width, 2))
    with atomic_path(Path(path)) as temporary:
        sheet.save(temporary, format="PNG")
