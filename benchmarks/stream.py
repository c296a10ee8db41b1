"""How good and how fast live completion is, the tables of docs/stream.md.

    python -m benchmarks.stream --motion cmu.npz

Prints two tables: error and acceleration error of what was missing and of what is upsampled, for
looking ahead by so many frames, and for the whole track at once; and the time that a frame takes.
Where other work shares the cores, the processor's time tells more than the clock's.
"""

import argparse
import sys
import time
from collections.abc import Sequence

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.evaluation.clips import view_clips
from posegan_jax.evaluation.protocols import Case, make_case
from posegan_jax.evaluation.scores import score
from posegan_jax.evaluation.tables import cell, table
from posegan_jax.inpainting.inpainter import Inpainter

PROTOCOLS = ("clean", "holes20", "gap10", "arm", "legs", "noise")
DELAYS = (0, 2, 4, 8)
SEED = 1


def live(inpainter: Inpainter, cases: Sequence[Case], delay: int) -> list[np.ndarray]:
    """All clips at once through one stream: (T, J, 2) each, what was delivered."""
    people, longest = len(cases), max(len(case.truth) for case in cases) + delay
    joints = len(inpainter.skeleton)
    keypoints = np.full((longest, people, joints, 2), np.nan)
    scores, results = np.zeros(keypoints.shape[:-1]), np.full_like(keypoints, np.nan)
    for i, case in enumerate(cases):
        keypoints[: len(case.truth), i] = case.keypoints
        scores[: len(case.truth), i] = case.scores
    name = inpainter.skeleton.name
    stream = inpainter.stream(name, cases[0].fps, name, people, delay=delay)
    for pose, score_ in zip(keypoints, scores, strict=True):
        if frame := stream.push(pose, score_):
            results[frame.number] = frame.keypoints
    return [results[: len(case.truth), i] for i, case in enumerate(cases)]


def accuracy(inpainter: Inpainter, views, protocols: Sequence[str]) -> str:
    """The first table: error / acceleration error."""
    rows = []
    for protocol in protocols:
        cases = [
            make_case(protocol, view.keypoints, inpainter.skeleton, SEED, number)
            for number, view in enumerate(views)
        ]
        columns = [live(inpainter, cases, delay) for delay in DELAYS]
        name = inpainter.skeleton.name
        whole = [inpainter(c.sequence, joints=name, quality="fast") for c in cases]
        columns.append([sequence.keypoints for sequence in whole])
        scored = [score(cases, column).values for column in columns]
        for part in ("observed", "missing", "upsampled"):
            pairs = [[v[part][m] for m in ("error", "acceleration")] for v in scored]
            if pairs[0][0] and max(p[0] for p in pairs) > 0.001:
                cells = [f"{cell(error)} / {cell(shake)}" for error, shake in pairs]
                rows.append([protocol, part, *cells])
                print(" ".join(rows[-1]), file=sys.stderr)
    header = ["protocol", "joints", *(f"{delay} frames ahead" for delay in DELAYS), "whole track"]
    return table(header, rows)


def speed(inpainter: Inpainter, view, protocols: Sequence[str], people: Sequence[int]) -> str:
    """The second table: milliseconds from a push to its frame, and of all threads together."""
    rows = []
    for protocol in protocols:
        case = make_case(protocol, view.keypoints, inpainter.skeleton, SEED, 0)
        for count in people:
            name = inpainter.skeleton.name
            start = time.perf_counter()
            stream = inpainter.stream(name, case.fps, name, count)
            made, taken, used = time.perf_counter() - start, [], []
            for pose, score_ in zip(case.keypoints, case.scores, strict=True):
                if count > 1:
                    pose, score_ = (np.stack([a] * count) for a in (pose, score_))
                start, processor = time.perf_counter(), time.process_time()
                stream.push(pose, score_)
                taken.append(1000 * (time.perf_counter() - start))
                used.append(1000 * (time.process_time() - processor))
            numbers = taken[0], np.median(taken), np.percentile(taken, 95), np.median(used)
            rows.append([protocol, str(count), f"{made:.1f} s", *(f"{n:.1f}" for n in numbers)])
    header = ["protocol", "people", "to make", "first, ms", "median, ms", "95 %, ms"]
    return table([*header, "of the processor, ms"], rows)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--motion", required=True, help="motion set")
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--longest", type=int, default=100, help="frames of a clip")
    parser.add_argument("--protocols", default=",".join(PROTOCOLS))
    options = parser.parse_args(argv)
    protocols = [name for name in options.protocols.split(",") if name]
    try:
        views = view_clips(options.motion, count=options.clips, longest=options.longest)
    except InputError as error:
        print(f"benchmarks.stream: {error}", file=sys.stderr)
        return 2
    inpainter = Inpainter.from_pretrained()
    print(speed(inpainter, views[0], [p for p in ("holes20", "noise") if p in protocols], (1, 4)))
    print()
    print(accuracy(inpainter, views, protocols))
    return 0


if __name__ == "__main__":
    sys.exit(main())
