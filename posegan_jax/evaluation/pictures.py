"""Pictures of what methods make of a clip: truth, the best baseline and ours, one below the other.

Of every protocol a good, a middling and the worst clip by our error are drawn, 'PROTOCOL-good.png'
and so on.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.render.still import strips

EXAMPLES = {"good": 0.2, "middling": 0.5, "worst": 1.0}
"""Name -> quantile of the error over clips."""
COLUMNS = 6
WRONG = 0.5
"""Heads by which what a method was given is wrong."""
_HEIGHT = 300
_WORDS = "given", "hidden or wrong"


@dataclasses.dataclass(frozen=True)
class Scene:
    """One clip to draw.

    Attributes:
      title: what it shows.
      rows: what stands above a row -> (T, J, 2) pixels, NaN where nothing is drawn; the truth is
        first.
      marked: (T, J) bool, see ``not_given``.
      skeleton: name of the skeleton of the J joints.
    """

    title: str
    rows: dict[str, np.ndarray]
    marked: np.ndarray
    skeleton: str


@dataclasses.dataclass(frozen=True)
class Example:
    """One clip that is shown.

    Attributes:
      name: of ``EXAMPLES``.
      clip: its position among all.
      errors: method -> its error there in heads, ours last; None where none is known.
    """

    name: str
    clip: int
    errors: dict[str, float | None]


def examples(errors: Mapping[str, Sequence[float | None]]) -> list[Example]:
    """The clip of each of ``EXAMPLES`` by the errors of the last method.

    Args:
      errors: method -> in heads, of every clip; clips without one have None, and are not shown.
    """
    last = list(errors.values())[-1] if errors else ()
    there = [(error, i) for i, error in enumerate(last) if error is not None]
    there.sort()
    return [
        Example(name, i, {method: some[i] for method, some in errors.items()})
        for name, quantile in (EXAMPLES.items() if there else ())
        for _, i in [there[round(quantile * (len(there) - 1))]]
    ]


def not_given(truth: np.ndarray, given: np.ndarray, head: np.ndarray | float) -> np.ndarray:
    """(T, J) bool: joints of the truth (T, J, 2) that a method was given no place of, or one that
    is wrong by more than ``WRONG`` heads of so many pixels, one number or (T,)."""
    off = np.linalg.norm(given - truth, axis=-1) / np.reshape(head, (-1, 1))
    return np.isfinite(truth[..., 0]) & ~(off <= WRONG)


def caption(method: str, error: float | None) -> str:
    """What stands above the row of a method."""
    return f"{method}: {heads(error)}"


def heads(error: float | None) -> str:
    """An error in words."""
    return "no error is known" if error is None else f"{error:.3f} heads off"


def draw(scene: Scene, place: Path) -> None:
    """Writes the picture of a scene, of some of the frames in which more joints are marked than in
    others; where all are alike, of any; where none are marked, of those in which the last row is
    furthest from the truth.

    Raises:
      InputError: the folder does not exist.
    """
    marked = scene.marked.sum(axis=1)
    frames = np.flatnonzero(marked > (marked.min() if marked.max() > marked.min() else 0))
    if len(frames):
        at = np.linspace(0, len(frames) - 1, min(COLUMNS, len(frames))).round().astype(int)
        frames = frames[at]
    else:
        frames = _furthest(*(list(scene.rows.values())[i] for i in (0, -1)))
    source = np.where(scene.marked, Provenance.FILLED, Provenance.OBSERVED)
    tracks = {
        name: PoseSequence(keypoints, None, None, scene.skeleton, provenance=source)
        for name, keypoints in scene.rows.items()
    }
    strips(tracks, place, frames, scene.title, _HEIGHT, _WORDS)


def _furthest(truth: np.ndarray, result: np.ndarray) -> np.ndarray:
    """Frames in which some joint is furthest off, none next to another, in their order."""
    off = np.linalg.norm(result - truth, axis=-1)
    off = np.where(np.isfinite(off), off, 0.0).max(axis=1)
    apart, chosen = len(off) // (2 * COLUMNS), []
    for frame in np.argsort(-off, kind="stable"):
        if len(chosen) < COLUMNS and all(abs(frame - other) > apart for other in chosen):
            chosen.append(frame)
    return np.sort(chosen)


def path(folder: Path, protocol: str, example: str) -> Path:
    """Where the picture of a protocol and one of ``EXAMPLES`` is."""
    return folder / f"{protocol}-{example}.png"


def paths(folder: Path, protocols: Sequence[str]) -> list[Path]:
    """The pictures of some protocols that are there."""
    found = [path(folder, protocol, name) for protocol in protocols for name in EXAMPLES]
    return [place for place in found if place.is_file()]
