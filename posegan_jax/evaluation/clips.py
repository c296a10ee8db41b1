"""Held-out motion as a camera sees it: whole clips and windows, in pixels.

3D motion is projected through random cameras at 25 frames per second; 2D test clips are as they
were annotated.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.evaluation.settings import LONGEST, SHORTEST
from posegan_jax.geometry.camera import look_at, project
from posegan_jax.model.options import NetworkOptions
from posegan_jax.motion.clip import THESIS, Clip
from posegan_jax.motion.clips2d import FILE, Clip2D, load_clips2d
from posegan_jax.motion.sample import ViewOptions
from posegan_jax.motion.store import load_clips
from posegan_jax.pose.rate import MODEL_FPS
from posegan_jax.pose.skeleton import Skeleton

PICTURE = (1920.0, 1080.0)
"""Width and height in pixels."""
MARGIN = 0.05
"""Share of the picture at its edges that the person never enters."""
FRAMES = NetworkOptions().frames
"""Of a window, unless a model has others."""


@dataclasses.dataclass(frozen=True)
class View:
    """A stretch of motion seen by one camera.

    Attributes:
      keypoints: (T, J, 2) pixels, exact and complete; of 3D motion in a picture of ``PICTURE``.
      subject: who moves.
      name: the clip's, and the first frame in it.
      fps: frames per second.
      video: of 2D test clips, sequence and camera, e.g. 'S1/Seq2/video_4'.
      frames: (T,) of 2D test clips, frame numbers in that video, from 0.
      spans: (T, B) pixels, of 3D motion: how long every bone of the skeleton would be in the
        picture if it were parallel to it, at its depth.
      skeleton: names the J joints.
      kind: of motion, see ``kind_of``; empty where nobody said.
    """

    keypoints: np.ndarray
    subject: str
    name: str
    fps: float = MODEL_FPS
    video: str = ""
    frames: np.ndarray | None = None
    spans: np.ndarray | None = None
    skeleton: Skeleton = THESIS
    kind: str = ""


def kind_of(text: str) -> str:
    """What is done, of a clip's text: without the number of the take at its end, and without what
    CMU's texts tell of the subject after a slash ('walk / Subject #35 (walk, run)')."""
    return re.sub(r"[\s_]*\d+$", "", text.partition(" / ")[0].strip())


def has_clips2d(source: str) -> bool:
    """Whether a motion set has 2D test clips."""
    path = Path(source)
    return path.name == FILE or (path / FILE).is_file()


def annotated_clips(
    source: str, count: int | None = None, frames: int = 0, longest: int = 0, seed: int = 1,
    skeleton: Skeleton = THESIS,
) -> list[View]:
    """2D test clips of a set, or windows of them.

    Args:
      source: folder of a prepared set with 2D test clips.
      count: views; all clips by default. Videos take turns.
      frames: length of windows; 0 for whole clips.
      longest: frames of a clip; 0: whatever they have.
      seed: of the order, and of the places of windows and cuts.
      skeleton: the joints that are wanted.

    Raises:
      InputError: there are no such clips, they lack joints of the skeleton, or none is as long as a
        window.
    """
    clips = [clip for clip in load_clips2d(source, skeleton) if len(clip.frames) >= max(frames, 3)]
    if not clips:
        raise InputError(f"{source}: no 2D test clip has {max(frames, 3)} frames")
    if count is None:
        chosen = clips
    else:
        queues: dict[str, list] = {}
        for i in np.random.default_rng(seed).permutation(len(clips)):
            queues.setdefault(_video(clips[i]), []).append(clips[i])
        turns = _turns(queues)
        chosen = [turns[i % len(turns)] for i in range(count)] if frames else turns[:count]
    views = []
    for i, clip in enumerate(chosen):
        length = frames or min(longest or len(clip.frames), len(clip.frames))
        rng = np.random.default_rng([seed, 2, i])
        first = int(rng.integers(len(clip.frames) - length + 1))
        part = slice(first, first + length)
        video = _video(clip)
        views.append(
            View(clip.keypoints[part].astype(np.float64), clip.sequence.partition("/")[0],
                 f"{video}@{clip.frames[first]}", clip.fps, video, clip.frames[part],
                 skeleton=skeleton)
        )
    return views


def view_clips(
    source: str, split: str = "validation", count: int | None = None, seed: int = 1,
    longest: int = LONGEST, options: ViewOptions | None = None, skeleton: Skeleton = THESIS,
    shortest: int = SHORTEST,
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
      skeleton: the joints that are wanted.
      shortest: clips with fewer frames are left out.

    Raises:
      InputError: no such set, it lacks joints of the skeleton, or no clip in it is long enough.
    """
    clips = [_at_model_rate(clip) for clip in load_clips(source, split, skeleton)]
    clips = [clip for clip in clips if len(clip.positions) >= shortest]
    if not clips:
        raise InputError(f"{source}: no clip of the split {split!r} has {shortest} frames")
    turns = _in_turns(clips, np.random.default_rng(seed))[:count]
    return _see(turns, longest, [seed, 0], options or ViewOptions(), skeleton)


def view_windows(
    source: str, split: str = "validation", count: int = 128, frames: int = FRAMES, seed: int = 1,
    options: ViewOptions | None = None, skeleton: Skeleton = THESIS,
) -> list[View]:
    """Windows of a split: subjects in turn, a random clip, a random place, a random camera.

    Args:
      source, split, seed, options, skeleton: as for ``view_clips``.
      count: windows.
      frames: of a window.

    Raises:
      InputError: no such set, it lacks joints of the skeleton, or no clip in it is as long as a
        window.
    """
    clips = [_at_model_rate(clip) for clip in load_clips(source, split, skeleton)]
    clips = [clip for clip in clips if len(clip.positions) >= frames]
    if not clips:
        raise InputError(f"{source}: no clip of the split {split!r} has {frames} frames")
    turns = _in_turns(clips, np.random.default_rng(seed))
    turns = [turns[i % len(turns)] for i in range(count)]
    return _see(turns, frames, [seed, 1], options or ViewOptions(), skeleton)


def _in_turns(clips: Sequence[Clip], rng: np.random.Generator) -> list[Clip]:
    """One clip of every subject, then the next one of every subject, in random order."""
    queues: dict[str, list[Clip]] = {}
    for i in rng.permutation(len(clips)):
        queues.setdefault(clips[i].subject, []).append(clips[i])
    return _turns(queues)


def _turns(queues: dict[str, list]) -> list:
    """The first of every queue, the second of every queue, ..."""
    names = sorted(queues)
    most = max(len(queue) for queue in queues.values())
    return [queues[name][i] for i in range(most) for name in names if i < len(queues[name])]


def _video(clip: Clip2D) -> str:
    return f"{clip.sequence}/video_{clip.camera}"


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
    clips: Sequence[Clip], longest: int, seed: Sequence[int], options: ViewOptions,
    skeleton: Skeleton,
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
    positions = np.concatenate(motion)
    image, depth = (
        np.asarray(a, np.float64)[:, 0] for a in project(positions[:, None], look_at(*each))
    )
    parent, child = np.reshape(skeleton.bones(), (-1, 2)).T
    spans = np.linalg.norm(positions[:, child] - positions[:, parent], axis=-1)
    spans /= (depth[:, child] + depth[:, parent]) / 2
    views, begin = [], 0
    for length, clip, name in zip(lengths, clips, names, strict=True):
        part = slice(begin, begin + length)
        focal, begin = _focal(image[part]), part.stop
        keypoints = image[part] * focal + np.array(PICTURE) / 2
        views.append(
            View(keypoints, clip.subject, name, spans=spans[part] * focal, skeleton=skeleton,
                 kind=kind_of(clip.text))
        )
    return views


def _focal(image: np.ndarray) -> float:
    """Pixels per unit of the focal length with which the stretch fits into the picture."""
    return ((0.5 - MARGIN) * np.array(PICTURE) / np.abs(image).max(axis=(0, 1))).min()
