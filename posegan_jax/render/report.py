"""A report of a run as one HTML file that opens from disk: bars, heat map, curves, skeletons.

The page is ``report.html`` with two scripts, which draw what stands in it as JSON. Coordinates are
rounded to 0.1 pixels, scores to 1/255 of the largest; no frame is left out.
"""

import base64
import html
import itertools
import json
import os
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.geometry.moved import Moved
from posegan_jax.pose.carry import carry_joints
from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.render.skeleton import drawn_bones, panel_aspect, robust_bounds
from posegan_jax.runtime.files import atomic_path

SUFFIX = ".html"

PRECISION = 10
"""Steps per pixel in which coordinates are told."""

# Pixels: AlphaPose files hold about three decimals; what moved less has not been moved.
_SAME = 0.05

_FAR = 1e8  # pixels: what strays further is drawn there, so that it fits into 4 bytes

Pair = tuple[PoseSequence | None, ...]  # one person in each panel


def write_report(
    panels: Sequence[Sequence[PoseSequence]],
    path: str | os.PathLike,
    labels: Sequence[str],
    title: str,
    notes: Sequence[str] = (),
) -> None:
    """Writes a page with one panel, or two to compare: what went in, and what came out.

    The people of two panels are matched by their ids where all have one, else by their order. An
    output whose file does not tell where its joints come from (it has no refined or filled one) is
    compared with the input to find out, and the page says so.

    Args:
      panels: the sequences of each panel, one per person; may be empty.
      path: .html file to write; its folder must exist.
      labels: a name for each panel.
      title: of the page.
      notes: what the reader should know, one line each.

    Raises:
      InputError: another suffix, not one or two panels, not one label for each, no such folder.
    """
    path = Path(path)
    if path.suffix.lower() != SUFFIX:
        raise InputError(f"{path}: a report's name ends in {SUFFIX}")
    if len(panels) not in (1, 2) or len(labels) != len(panels):
        raise InputError(f"a report has one or two labelled panels, not {len(panels)}")
    pairs, notes = _pairs(panels), list(notes)
    if len(panels) == 2 and all(panels) and not any(map(_tells_sources, panels[1])):
        pairs = [_compared(*pair) for pair in pairs]
        notes.append(
            f"{labels[1]} does not tell where its joints come from; what is refined or filled was "
            f"found by comparison with {labels[0]}"
        )
    data = {
        "labels": list(labels),
        "notes": notes,
        "fps": next((s.fps for panel in panels for s in panel if s.fps), None),
        "precision": PRECISION,
        "skeletons": {
            s.skeleton: _skeleton(s.skeleton) for pair in pairs for s in pair if s is not None
        },
        "people": [_person(number, pair) for number, pair in enumerate(pairs, start=1)],
    }
    with atomic_path(path) as temporary:
        # A file name may hold bytes that are no UTF-8.
        temporary.write_text(_page(title, data), encoding="utf-8", errors="replace")


def _page(title: str, data: dict[str, Any]) -> str:
    folder = resources.files("posegan_jax.render")
    template, main, drawing = (
        (folder / name).read_text(encoding="utf-8")
        for name in ("report.html", "report.js", "report_drawing.js")
    )
    # In a script element only "<" could end the data early. NaN is no JSON.
    embedded = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    parts = {"title": html.escape(title), "data": embedded, "script": f"{main}\n{drawing}"}
    # In one pass: what is filled in is not searched again.
    return re.sub(r"@@(\w+)@@", lambda m: parts[m[1]], template)


def _pairs(panels: Sequence[Sequence[PoseSequence]]) -> list[Pair]:
    """The people of all panels, matched; None where a panel lacks one."""
    by_id = [{sequence.person: sequence for sequence in panel} for panel in panels]
    unique = all(len(a) == len(b) for a, b in zip(by_id, panels, strict=True))
    if unique and not any(None in people for people in by_id):
        ids = dict.fromkeys(itertools.chain(*by_id))
        return [tuple(people.get(person) for people in by_id) for person in ids]
    return list(itertools.zip_longest(*panels))


def _tells_sources(sequence: PoseSequence) -> bool:
    return bool(np.isin(sequence.provenance, (Provenance.REFINED, Provenance.FILLED)).any())


def _compared(before: PoseSequence | None, after: PoseSequence | None) -> Pair:
    """The same pair, with the output's provenance found by comparing joints of one name."""
    if before is None or after is None:
        return before, after
    skeletons = get_skeleton(before.skeleton), get_skeleton(after.skeleton)
    _, rows, frames = np.intersect1d(before.frames, after.frames, return_indices=True)
    known = np.full(after.keypoints.shape, np.nan)
    known[frames] = carry_joints(before.keypoints, *skeletons, np.nan)[rows]
    moved = np.abs(after.keypoints - known).max(axis=-1)
    provenance = np.where(moved > _SAME, Provenance.REFINED, Provenance.OBSERVED)
    return before, after.replace(
        provenance=np.where(np.isnan(moved), Provenance.FILLED, provenance)
    )


def _skeleton(name: str) -> dict[str, Any]:
    skeleton = get_skeleton(name)
    bones, own = drawn_bones(skeleton), set(skeleton.bones())
    # The joint whose side gives a bone its colour; none for a tie between loose pieces.
    return {
        "joints": skeleton.joints,
        "bones": [(a, b, b if (a, b) in own else -1) for a, b in bones],
    }


def _person(number: int, pair: Pair) -> dict[str, Any]:
    tracks = [sequence for sequence in pair if sequence is not None]
    person = tracks[-1].person
    corners = np.concatenate([robust_bounds(sequence.keypoints) for sequence in tracks])
    corners = corners[np.isfinite(corners).all(axis=-1)]
    box = [*corners.min(axis=0), *corners.max(axis=0)] if len(corners) else None
    return {
        "name": f"person {number if person is None else person}",
        "box": box,
        "aspect": panel_aspect(corners),
        "tracks": [None if sequence is None else _track(sequence) for sequence in pair],
        "moved": _moved(*tracks) if len(tracks) == 2 else None,
    }


def _moved(before: PoseSequence, after: PoseSequence) -> dict[str, Any]:
    """How many confident joints there are, and [frame, joint, heads] of each that was moved far."""
    moved = Moved.of(before, after)
    heads = moved.heads.round(1).tolist()
    joints = zip(moved.frames.tolist(), moved.joints, heads, strict=True)
    return {"confident": moved.confident, "joints": [list(joint) for joint in joints]}


def _track(sequence: PoseSequence) -> dict[str, Any]:
    """A sequence as JSON holds it.

    ``points`` are base64 of little-endian integers (T, K, 2), of 2 bytes or, if ``wide``, 4: steps
    of 1 / PRECISION pixels from ``origin``, the least integer where a joint is missing. ``scores``
    are bytes (T, K) in 1/255 of ``top``, ``sources`` bytes (T, K) of ``Provenance``. ``runs`` are
    the frame numbers as (first, count). ``coverage`` counts the frames of every joint by source.
    """
    seen, top = sequence.observed, max(1.0, float(sequence.scores.max(initial=0.0)))
    points = np.clip(sequence.keypoints, -_FAR, _FAR)
    origin = np.round(np.median(points[seen], axis=0)) if seen.any() else np.zeros(2)
    steps = np.round((points - origin) * PRECISION)
    wide = bool((np.abs(steps[seen]) > np.iinfo("<i2").max).any())
    limits = np.iinfo("<i4" if wide else "<i2")
    steps = np.where(seen[..., None], steps, limits.min)
    sources = sequence.provenance[..., None] == np.arange(len(Provenance))
    return {
        "skeleton": sequence.skeleton,
        "runs": _runs(sequence.frames),
        "wide": wide,
        "origin": origin.tolist(),
        "points": _base64(steps.astype(limits.dtype)),
        "top": top,
        "scores": _base64(np.round(sequence.scores.clip(0.0) / top * 255).astype(np.uint8)),
        "sources": _base64(sequence.provenance),
        "coverage": sources.sum(axis=0).tolist(),
    }


def _runs(frames: np.ndarray) -> list[tuple[int, int]]:
    """Increasing frame numbers (T,) as (first, count) of stretches without a gap."""
    starts = np.flatnonzero(np.diff(frames, prepend=frames[:1] - 2) > 1)
    counts = np.diff(starts, append=len(frames))
    return list(zip(frames[starts].tolist(), counts.tolist(), strict=True))


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
