"""Who goes on as whom: exchanges between people, of which the networks settle what is in doubt.

Where paths and bones leave it open whether two people were exchanged, both ways to go on are shown
to the encoder, a window around the frame for each person: the way is taken whose motion it can
explain better.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from posegan_jax.inpainting.completer import Completer
from posegan_jax.inpainting.settings import QUALITIES
from posegan_jax.inpainting.solvable import centered, solvable
from posegan_jax.inpainting.together import Request, Steps
from posegan_jax.inpainting.track import Track
from posegan_jax.pose.exchange import Exchange, find_exchanges
from posegan_jax.pose.people import Moves, relabel
from posegan_jax.pose.rate import Rate
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

LIKELIER = 1.15
"""How much more, in all, the encoder leaves of what was seen where nothing was exchanged, for an
exchange that is in doubt to be put right. Chosen by ``benchmarks/people.py``."""
_ROUNDS = 3  # what is put right may bring others to light

Doubt = tuple[int, tuple[Any, ...]]  # frame and people of an exchange


def settle(
    people: Sequence[PoseSequence], completer: Completer
) -> Steps[tuple[Moves, list[Exchange]]]:
    """As ``find_exchanges``, with the help of someone who solves windows."""
    sure: set[Doubt] = set()
    asked: set[Doubt] = set()
    for _ in range(_ROUNDS):
        moves, found = find_exchanges(people, sure)
        doubts = {(e.frame, e.people) for e in found if not e.clear and len(e.people) == 2} - asked
        asked |= doubts
        more = yield from _likely(relabel(people, moves), sorted(doubts, key=str), completer)
        if not more:
            break
        sure |= more
    return find_exchanges(people, sure)


def _likely(
    people: Sequence[PoseSequence], doubts: Sequence[Doubt], completer: Completer
) -> Steps[set[Doubt]]:
    """Those exchanges after which people go on more as people do."""
    by_name = {sequence.person: sequence for sequence in people}
    windows, masks, of = [], [], []
    for doubt in doubts:
        frame, (a, b) = doubt
        x, mask = _ways(by_name[a], by_name[b], frame, completer)
        if len(x) and solvable(x, mask).all():
            windows.append(x)
            masks.append(mask)
            of.append(doubt)
    if not of:
        return set()
    x, mask = np.concatenate(windows), np.concatenate(masks)
    x, _ = centered(x, mask)
    request = Request(x.astype(np.float32), mask, QUALITIES["fast"].descent, True)
    found, _ = yield request
    left = _left(np.asarray(found, np.float64), x, mask > 0).reshape(-1, 2, 2).sum(-1)
    return {
        doubt for doubt, (straight, exchanged) in zip(of, left, strict=True)
        if straight > LIKELIER * exchanged
    }


def _ways(
    a: PoseSequence, b: PoseSequence, frame: int, completer: Completer
) -> tuple[np.ndarray, np.ndarray]:
    """Windows (4, F, J, 2) around a frame, and what is seen in them (4, F, J): of both people as
    they go on, and as they would if they were exchanged there. None where motion is too slow to be
    known from frame to frame."""
    rate, own = Rate.of(a.fps), get_skeleton(a.skeleton)
    half = round(completer.frames / 2 / rate.step)
    places, masks = [], []
    if rate.step <= 1:
        before, after = ([_rows(s, part, half) for s in (a, b)] for part in (frame - half, frame))
        for i, j in ((0, 0), (1, 1), (0, 1), (1, 0)):
            keypoints = np.concatenate([before[i], after[j]])
            scores = np.isfinite(keypoints[..., 0]) * 1.0
            track = Track.carried(
                keypoints, scores, own, completer.skeleton, completer.inputs
            )
            places.append(_window(rate.split(track.keypoints, np.nan)[0], completer.frames, np.nan))
            masks.append(_window(rate.split(track.input_mask, False)[0], completer.frames, False))
    return np.array(places), np.array(masks, np.float32)


def _rows(sequence: PoseSequence, first: int, count: int) -> np.ndarray:
    """(count, K, 2) pixels of the frames from ``first`` on, NaN where there is none."""
    result = np.full((count, *sequence.keypoints.shape[1:]), np.nan)
    at = sequence.frames - first
    there = (at >= 0) & (at < count)
    result[at[there]] = sequence.keypoints[there]
    return result


def _window(track: np.ndarray, frames: int, fill: Any) -> np.ndarray:
    """A track (T, ...) as so many frames."""
    result = np.full((frames, *track.shape[1:]), fill, track.dtype)
    result[: len(track)] = track[:frames]
    return result


def _left(found: np.ndarray, x: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(N,) mean distance of what is generated from what was seen, in sizes of the body.

    Args:
      found: (N, F, J, 2) generated.
      x: (N, F, J, 2) places, 0 where missing.
      seen: (N, F, J) bool.
    """
    count = np.maximum(seen.sum(-1), 1)[..., None, None]
    middle = np.where(seen[..., None], x, 0.0).sum(-2, keepdims=True) / count
    size = np.where(seen, ((x - middle) ** 2).sum(-1), 0.0).sum((1, 2)) / seen.sum((1, 2))
    away = np.where(seen, np.linalg.norm(found - x, axis=-1), 0.0).sum((1, 2)) / seen.sum((1, 2))
    return away / np.sqrt(size)
