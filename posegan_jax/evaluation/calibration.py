"""Whether the confidence of completed joints means what it says.

Command:  python -m posegan_jax.evaluation.calibration --motion cmu.npz -o confidence.png

prints the share of joints within half a head size of the truth against the probability that they
were given, the same where few joints are seen, and the constants of ``inpainting.assemble`` that
fit best: ``CONFIDENCE`` and ``OPEN``.
"""

import argparse
import dataclasses
from collections.abc import Iterable

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logit

from posegan_jax.evaluation.clips import view_clips
from posegan_jax.evaluation.protocols import Case, make_case
from posegan_jax.geometry.body import HEAD, head_size
from posegan_jax.inpainting.explain import CONFIDENCE, ENOUGH, OPEN
from posegan_jax.inpainting.inpainter import Inpainter, load
from posegan_jax.pose.sequence import Provenance

PROTOCOLS = (
    "clean", "holes20", "holes60", "arm", "leg", "legs", "gap5", "gap20", "crop", "noise", "wild",
)
"""Every kind of hole and noise, mild and severe ones."""
FEW = tuple(range(2, ENOUGH + 1))
"""Numbers of joints that are seen and leave the pose open, and one that does not."""
BINS = 10

Scored = tuple[np.ndarray, np.ndarray]
"""Scores (N,) and bool (N,), whether the joint lies within half a head size of the truth."""


def collect(
    inpainter: Inpainter, motion: str, clips: int = 20, seed: int = 1, frames: int = 72,
    quality: str = "balanced", protocols: Iterable[str | int] = PROTOCOLS,
) -> dict[str, Scored]:
    """Confidence of completed joints, and whether they are right, on the validation split.

    Args:
      inpainter: with the networks to look at.
      motion: prepared set or .npz of motion.
      clips: so many of it.
      seed: of clips, cameras and holes.
      frames: of a clip at most.
      quality: of the search.
      protocols: names of ``evaluation.protocols.PROTOCOLS``; a number: so many joints are seen,
        exactly and in every frame, others in every clip.

    Returns:
      For 'refined', 'missing' and 'upsampled' joints.
    """
    found = {group: ([], []) for group in ("refined", "missing", "upsampled")}
    skeleton = inpainter.skeleton
    views = view_clips(motion, count=clips, seed=seed, longest=frames, skeleton=skeleton)
    for name in protocols:
        for number, view in enumerate(views):
            few = isinstance(name, int)
            case = make_case("clean" if few else name, view.keypoints, skeleton, seed, number)
            if few:
                case = leave(case, name, np.random.default_rng([seed, name, number]))
            whole = inpainter(case.sequence, joints=skeleton.name, quality=quality)
            error = np.linalg.norm(whole.keypoints - case.truth, axis=-1)
            right = error < 0.5 * head_size(case.truth, skeleton)[:, None]
            groups = case.groups()
            groups["refined"] = groups.pop("observed") & (whole.provenance == Provenance.REFINED)
            for group, (scores, hits) in found.items():
                scores.append(whole.scores[groups[group]])
                hits.append(right[groups[group]])
    return {group: tuple(map(np.concatenate, both)) for group, both in found.items()}


def leave(case: Case, count: int, rng: np.random.Generator) -> Case:
    """With so many of its joints, which are drawn; the others are missing in every frame."""
    hidden = np.ones(len(case.skeleton), bool)
    hidden[rng.choice(np.flatnonzero(case.detected), count, replace=False)] = False
    return dataclasses.replace(
        case, keypoints=np.where(hidden[:, None], np.nan, case.keypoints),
        scores=np.where(hidden, 0.0, case.scores),
    )


def fit(found: dict[str, Scored]) -> tuple[float, float]:
    """Constants that would have been right, by logistic regression; every group counts alike."""
    scores, right = (np.concatenate(part) for part in zip(*found.values(), strict=True))
    weight = np.concatenate([np.full(len(s), 1 / max(len(s), 1)) for s, _ in found.values()])
    odds = logit(np.clip(scores, 1e-6, 1 - 1e-6))

    def loss(line):
        probability = np.clip(expit(line[0] + line[1] * odds), 1e-9, 1 - 1e-9)
        return -(weight * np.log(np.where(right, probability, 1 - probability))).sum()

    shift, factor = minimize(loss, (0.0, 1.0), method="Nelder-Mead").x
    return shift + factor * CONFIDENCE[0], factor * CONFIDENCE[1]


def fit_open(found: dict[int, Scored]) -> float:
    """``OPEN`` that would have been right, by likelihood, given the number of joints seen."""
    odds = {k: logit(np.clip(scores, 1e-6, 1 - 1e-6)) for k, (scores, _) in found.items()}
    variance = {k: np.exp(2 * (o - CONFIDENCE[0]) / CONFIDENCE[1]) for k, o in odds.items()}

    def loss(left_open):
        total = 0.0
        for k, (_, right) in found.items():
            more = ((ENOUGH - k) / HEAD) ** 2 * (left_open**2 - OPEN**2)
            spread = np.log(np.maximum(variance[k] + more, 1e-9)) / 2
            sure = CONFIDENCE[0] + CONFIDENCE[1] * spread
            total += np.logaddexp(0.0, np.where(right, -sure, sure)).mean()
        return total

    return minimize_scalar(loss, bounds=(0.0, 0.2), method="bounded").x


def curve(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(B, 3) mean score, share of right joints and number of joints, in ten steps of the score;
    steps without joints are left out."""
    place = np.minimum((scores * BINS).astype(int), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    sums = (np.bincount(place, values, minlength=BINS) for values in (scores, right))
    with np.errstate(invalid="ignore"):
        rows = np.stack([*(total / count for total in sums), count], axis=1)
    return rows[count > 0]


def draw(found: dict[str, Scored], path: str) -> None:
    """A picture of the curves."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for group, (scores, right) in found.items():
        rows = curve(scores, right)
        rows = rows[rows[:, 2] >= 50]
        axes.plot(rows[:, 0], rows[:, 1], marker="o", label=f"{group} joints")
    axes.set(
        xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="confidence",
        ylabel="share within half a head of the truth",
    )
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--motion", required=True, help="prepared set, or .npz of motion")
    parser.add_argument("--checkpoint", help="folder of networks (default: packaged weights)")
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quality", default="balanced")
    parser.add_argument("-o", "--output", help="picture to draw, .png")
    options = parser.parse_args(arguments)
    inpainter = load(options.checkpoint)
    arguments = inpainter, options.motion, options.clips, options.seed
    found = collect(*arguments, quality=options.quality)
    few = {}
    for count in FEW:
        groups = collect(*arguments, quality=options.quality, protocols=(count,))
        groups = groups["missing"], groups["upsampled"]
        few[count] = tuple(map(np.concatenate, zip(*groups, strict=True)))
    for group, (scores, right) in found.items():
        for score, share, count in curve(scores, right):
            print(f"{group:10s} {score:.2f} said, {share:.2f} found, {count:7.0f} joints")
    for count, (scores, right) in few.items():
        print(f"{count} joints seen: {scores.mean():.2f} said, {right.mean():.2f} found of others")
    intercept, slope = fit(found)
    print(f"CONFIDENCE = ({intercept:.2f}, {slope:.2f})")
    print(f"OPEN = {fit_open(few):.4f}")
    if options.output:
        draw(found, options.output)


if __name__ == "__main__":
    main()
