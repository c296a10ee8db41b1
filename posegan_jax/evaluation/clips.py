"""Held-out motion as a camera sees it: whole clips and windows, in pixels at 25 fps."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.geometry.camera import look_at, project
from posegan_jax.inpainting.rate import MODEL_FPS
from posegan_jax.motion.clip import Clip
from posegan_jax.motion.sample import ViewOptions
from posegan_jax.motion.store import load_clips

PICTURE = (1920.0, 1080.0)
"""Width and height in pixels."""
MARGIN = 0.05
"""Share of the picture at its edges that the person never enters."""
LONGEST = 250
"""Frames of a clip at most: ten seconds."""
SHORTEST = 48
"""Clips with fewer frames are left out."""


@dataclasses.dataclass(frozen=True)
class View:
    """A stretch of motion seen by one camera.

    Attributes:
      keypoints: (T, 28, 2) pixels in a picture of ``PICTURE``, exact and complete.
      subject: who moves.
      name: the clip's, and the first frame in it.
    """

    keypoints: np.ndarray
    subject: str
    name: str


def view_clips(
    source: str, split: str = "validation", count: int | None = None, seed: int = 1,
    longest: int = LONGEST, options: ViewOptions | None = None,
) -> list[View]:
    """Whole clips of a split, each through a random camera that keeps the person in view.

    Clips take turns by subject, so that any number of them shows as many subjects as there are. A
    clip that is too long is cut to a stretch at a random place. The first ten of twenty views are
    the ten of ten.

    Args:
      source: motion set, as for ``motion.store.load_clips``.
      split: 'validation' or 'train'.
      count: clips; all by default.
      seed: of places and cameras.
      longest: frames.
      options: ranges of the cameras; speed and mirroring play no role.

    Raises:
      InputError: no such set, or no clip in it is long enough.
    """
    clips = [_at_model_rate(clip) for clip in load_clips(source, split)]
    clips = [clip for clip in clips if len(clip.positions) >= SHORTEST]
    if not clips:
        raise InputError(f"{source}: no clip of the split {split!r} has {SHORTEST} frames")
    turns = _in_turns(clips, np.random.default_rng(seed))[:count]
    return _see(turns, longest, [seed, 0], options or ViewOptions())


def view_windows(
    source: str, split: str = "validation", count: int = 128, frames: int = 24, seed: int = 1,
    options: ViewOptions | None = None,
) -> list[View]:
    """Windows of a split: subjects in turn, a random clip, a random place, a random camera.

    Args:
      source, split, seed, options: as for ``view_clips``.
      count: windows.
      frames: of a window.

    Raises:
      InputError: no such set, or no clip in it is as long as a window.
    """
    clips = [_at_model_rate(clip) for clip in load_clips(source, split)]
    clips = [clip for clip in clips if len(clip.positions) >= frames]
    if not clips:
        raise InputError(f"{source}: no clip of the split {split!r} has {frames} frames")
    turns = _in_turns(clips, np.random.default_rng(seed))
    turns = [turns[i % len(turns)] for i in range(count)]
    return _see(turns, frames, [seed, 1], options or ViewOptions())


def _in_turns(clips: Sequence[Clip], rng: np.random.Generator) -> list[Clip]:
    """One clip of every subject, then the next one of every subject, in random order."""
    queues: dict[str, list[Clip]] = {}
    for i in rng.permutation(len(clips)):
        queues.setdefault(clips[i].subject, []).append(clips[i])
    subjects = sorted(queues)
    most = max(len(queue) for queue in queues.values())
    return [queues[s][i] for i in range(most) for s in subjects if i < len(queues[s])]


def _at_model_rate(clip: Clip) -> Clip:
    """Interpolated linearly to 25 frames per second."""
    if clip.fps == MODEL_FPS or len(clip.positions) < 2:
        return clip
    last = len(clip.positions) - 1
    time = np.arange(0, last + 1e-9, clip.fps / MODEL_FPS)
    index = np.minimum(time.astype(int), last - 1)
    part = (time - index)[:, None, None]
    positions = np.asarray(clip.positions, np.float64)
    positions = (1 - part) * positions[index] + part * positions[index + 1]
    return dataclasses.replace(clip, positions=positions, fps=MODEL_FPS)


def _see(
    clips: Sequence[Clip], longest: int, seed: Sequence[int], options: ViewOptions
) -> list[View]:
    """A stretch of every clip through a camera of its own, looking at the mean joint."""
    low = [-np.pi, *np.deg2rad([options.pitch[0], -options.roll]), options.distance[0]]
    high = [np.pi, *np.deg2rad([options.pitch[1], options.roll]), options.distance[1]]
    motion, names, cameras = [], [], []
    for i, clip in enumerate(clips):
        rng = np.random.default_rng([*seed, i])
        first = int(rng.integers(max(len(clip.positions) - longest, 0) + 1))
        motion.append(np.asarray(clip.positions[first : first + longest], np.float64))
        names.append(f"{clip.name}@{first}")
        yaw, pitch, roll, distance = rng.uniform(low, high)
        target = motion[-1].mean(axis=(0, 1))
        radius = np.linalg.norm(motion[-1] - target, axis=-1).max()
        distance = max(distance, radius + options.clearance)
        cameras.append((yaw, pitch, distance, target, roll))
    # All frames in one call: a camera for each of them.
    lengths = [len(positions) for positions in motion]
    each = [np.repeat(np.stack(a), lengths, axis=0) for a in zip(*cameras, strict=True)]
    image = project(np.concatenate(motion)[:, None], look_at(*each))[0][:, 0]
    parts = np.split(np.asarray(image, np.float64), np.cumsum(lengths)[:-1])
    return [
        View(_fit(part), clip.subject, name)
        for part, clip, name in zip(parts, clips, names, strict=True)
    ]


def _fit(image: np.ndarray) -> np.ndarray:
    """Units of the focal length -> pixels: the focal length with which the stretch fits."""
    half = np.array(PICTURE) / 2
    focal = ((1 - 2 * MARGIN) * half / np.abs(image).max(axis=(0, 1))).min()
    return image * focal + half
