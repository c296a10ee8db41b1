"""Who is who, gaps and slow videos: what the limits of filling are chosen by.

    python -m benchmarks.people --motion cmu.npz

Three tables, of held-out motion. Pairs of people who walk past each other, or meet and turn round,
seen from the side: for how many everyone is one person, where their ids are right and where they
are exchanged. The error in the middle of gaps by their length. And that of holes by the frame rate,
beside lines from frame to frame. It takes six minutes of two cores.
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.evaluation.clips import View, view_clips
from posegan_jax.evaluation.temporal import interpolate
from posegan_jax.geometry.body import head_size
from posegan_jax.inpainting.identity import settle
from posegan_jax.inpainting.inpainter import Inpainter, load
from posegan_jax.motion.clip import THESIS
from posegan_jax.motion.store import load_clips
from posegan_jax.pose.carry import carry_joints
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

SEED, FPS = 7, 25.0
HEIGHT, TALL = 300.0, 1700.0
"""Pixels of a body, and its millimetres."""
FRAMES, MEET = 60, 30
"""Of two people who meet, and the frame in which they do."""
FAR = 1500.0  # millimetres that someone walks in these frames, else they are not of use
NOISES = 3.0, 6.0
HIDDEN = 0, 4, 8, 14
LENGTHS = 5, 10, 15, 20, 25, 35
EVERY = 1, 4, 8, 12, 25, 100
TWELVE = get_skeleton("alphapose12")


# --- who is who -----------------------------------------------------------------------------------


def walks(source: str) -> list[np.ndarray]:
    """(T, 12, 3) millimetres of all clips of people who walk, about their middle."""
    clips = [c for split in ("train", "validation") for c in load_clips(source, split, THESIS)]
    found = [
        carry_joints(clip.positions.astype(float), THESIS, TWELVE, np.nan) for clip in clips
        if "walk" in clip.text.lower() and len(clip.positions) >= FRAMES
    ]
    if not found:
        raise InputError(f"{source}: no clip of somebody who walks for {FRAMES} frames")
    return found


def walk(clips: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """(FRAMES, 12, 3) of someone who gets somewhere."""
    while True:
        clip = clips[rng.integers(len(clips))]
        first = rng.integers(len(clip) - FRAMES + 1)
        part = clip[first : first + FRAMES]
        way = (part[-1] - part[0]).mean(0)
        if np.hypot(way[0], way[2]) > FAR:
            return part


def back(part: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Someone who slows down, turns round and goes back where they came from."""
    time, pause = np.arange(FRAMES), rng.uniform(4, 8)
    at = np.clip(MEET - np.hypot(time - MEET, pause), 0, FRAMES - 1)
    low = np.floor(at).astype(int)
    share = (at - low)[:, None, None]
    part = part[low] * (1 - share) + part[np.minimum(low + 1, FRAMES - 1)] * share
    middle = part.mean(1, keepdims=True)
    angle = rng.choice([-1, 1]) * np.pi / (1 + np.exp((MEET - time) * 3 / pause))
    return middle + turned(part - middle, angle)


def turned(places: np.ndarray, angle: np.ndarray | float) -> np.ndarray:
    """Places (T, J, 3) turned about the vertical by an angle, or one for each frame (T,)."""
    cos, sin = (np.reshape(f(angle), (-1, 1)) for f in (np.cos, np.sin))
    x, y, z = np.moveaxis(places, -1, 0)
    return np.stack([cos * x + sin * z, y, cos * z - sin * x], axis=-1)


def meeting(
    clips: Sequence[np.ndarray], turn: bool, rng: np.random.Generator
) -> list[np.ndarray]:
    """Two people (FRAMES, 12, 2) in pixels who are in one place, or nearly, in frame MEET."""
    people = []
    for heading in (0.0, np.pi):  # to the right, to the left
        part = walk(clips, rng)
        way = (part[MEET] - part[0]).mean(0)
        part = back(part, rng) if turn else part
        part = turned(part, np.arctan2(way[2], way[0]) + heading + rng.uniform(-0.6, 0.6))
        people.append(part[..., :2] * [1, -1] * HEIGHT / TALL)
    people[1] = people[1] * rng.uniform(0.85, 1.18)
    apart = [rng.uniform(0, HEIGHT / 5) if turn else 0.0, rng.normal(0, HEIGHT / 25)]
    people[1] = people[1] + (people[0][MEET] - people[1][MEET]).mean(0) + apart
    return people


def kept(
    inpainter: Inpainter, people: Sequence[np.ndarray], hidden: int, both: bool, exchanged: bool,
    noise: float, rng: np.random.Generator,
) -> tuple[bool, bool]:
    """Whether each id is one person before and after, and whether anything is told in doubt."""
    first = MEET - hidden // 2
    last = first + hidden
    ids = np.array([np.zeros(FRAMES, int), np.ones(FRAMES, int)])
    if exchanged:
        ids[:, last:] = ids[::-1, last:]
    tracks: list[list] = [[], []]
    for t in range(FRAMES):
        for who, poses in enumerate(people):
            if not (first <= t < last and (who or both)):
                pose = poses[t] + rng.normal(0, noise, poses[t].shape)
                tracks[ids[who, t]].append((t, pose, who))
    sequences = [
        PoseSequence(
            np.array([pose for _, pose, _ in rows]), frames=[t for t, _, _ in rows], fps=FPS,
            skeleton=TWELVE.name, person=person,
        )
        for person, rows in enumerate(tracks)
    ]
    moves, exchanges = inpainter.solve(settle(sequences, inpainter.completer))
    found: dict[int, set[int]] = {}
    for person, rows in enumerate(tracks):
        for t, _, who in rows:
            if abs(t - MEET) > max(hidden, 6):
                found.setdefault(moves.get((person, t), person), set()).add(who)
    one = all(len(who) == 1 for who in found.values())
    return one, any(not exchange.clear for exchange in exchanges)


def who_is_who(inpainter: Inpainter, source: str, count: int) -> list[str]:
    """A line for every way to meet: per cent that come out right, and are told to be in doubt."""
    clips, lines = walks(source), []
    lines += ["| | noise | hidden | ids right | ids exchanged |",
              "| --- | --- | --- | --- | --- |"]
    for turn in (False, True):
        for noise in NOISES:
            for hidden in HIDDEN:
                for both in (False, True) if hidden else (False,):
                    cells = []
                    for exchanged in (False, True):
                        rng = np.random.default_rng([SEED, turn, int(noise), hidden, both])
                        done = np.array([
                            kept(
                                inpainter, meeting(clips, turn, rng), hidden, both, exchanged,
                                noise, rng,
                            )
                            for _ in range(count)
                        ])
                        right, told = done[:, 0].mean(), done[:, 1].mean()
                        cells.append(f"{right:.0%} ({told:.0%})")
                    name = "turn round" if turn else "pass"
                    who = f"{hidden} frames, {'both' if both else 'one'}" if hidden else "-"
                    lines.append(
                        f"| {name} | {noise / HEIGHT:.0%} | {who} | {cells[0]} | {cells[1]} |"
                    )
    return lines


# --- gaps and slow videos -------------------------------------------------------------------------


def errors(found: np.ndarray, view: View, every: int = 1) -> np.ndarray:
    """(T, 12) head sizes that joints are off."""
    truth = view.keypoints[::every]
    head = np.asarray(head_size(truth, THESIS))
    away = found - carry_joints(truth, THESIS, TWELVE, np.nan)
    return np.linalg.norm(away, axis=-1) / head[:, None]


def gaps(inpainter: Inpainter, views: Sequence[View]) -> list[str]:
    """A line for every length of a gap in the middle of a clip."""
    lines = ["| gap, frames | error | in its middle | within half a head there |",
             "| --- | --- | --- | --- |"]
    for length in LENGTHS:
        off, middle = [], []
        for view in views:
            first = (len(view.keypoints) - length) // 2
            keypoints = carry_joints(view.keypoints, THESIS, TWELVE, np.nan)
            keypoints[first : first + length] = np.nan
            track = PoseSequence(keypoints, fps=FPS, skeleton=TWELVE.name)
            error = errors(inpainter(track, bridge=2 * length / FPS).keypoints, view)
            off.append(error[first : first + length])
            middle.append(error[first + length // 2])
        half = np.mean(np.array(middle) < 0.5)
        lines.append(f"| {length} | {np.mean(off):.2f} | {np.mean(middle):.2f} | {half:.0%} |")
    return lines


def slow(inpainter: Inpainter, views: Sequence[View]) -> list[str]:
    """A line for every frame rate: a fifth of the joints missing, and a leg never seen."""
    lines = ["| frames per second | a fifth missing | lines | leg never seen |",
             "| --- | --- | --- | --- |"]
    leg = TWELVE.mask(("left_knee", "left_ankle"))
    for every in EVERY:
        ours, straight, unseen = [], [], []
        for i, view in enumerate(views):
            whole = carry_joints(view.keypoints[::every], THESIS, TWELVE, np.nan)
            if len(whole) < 2:
                continue
            hole = np.random.default_rng([SEED, i]).random(whole.shape[:2]) < 0.2
            holed = np.where(hole[..., None], np.nan, whole)
            track = PoseSequence(holed, fps=FPS / every, skeleton=TWELVE.name)
            ours.append(errors(inpainter(track).keypoints, view, every)[hole])
            straight.append(errors(interpolate(holed), view, every)[hole])
            holed = np.where(leg[:, None], np.nan, whole)
            track = track.replace(keypoints=holed, scores=None, provenance=None)
            unseen.append(errors(inpainter(track).keypoints, view, every)[:, leg].ravel())
        cells = [f"{np.nanmean(np.concatenate(part)):.2f}" for part in (ours, straight, unseen)]
        lines.append(f"| {FPS / every:.3g} | {' | '.join(cells)} |")
    return lines


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--motion", required=True, help="motion set with a split 'validation'")
    parser.add_argument("--pairs", type=int, default=100, help="(default: %(default)s)")
    parser.add_argument("--clips", type=int, default=24, help="(default: %(default)s)")
    options = parser.parse_args(argv)
    try:
        inpainter = load(None)
        print("\n".join(who_is_who(inpainter, options.motion, options.pairs)), flush=True)
        views = view_clips(options.motion, count=options.clips, longest=150, shortest=90)
        print("\n".join(["", *gaps(inpainter, views)]), flush=True)
        print("\n".join(["", *slow(inpainter, views)]))
    except InputError as error:
        print(f"posegan_jax: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
