"""How near a real detector's tracks come to what several calibrated cameras say together.

    python -m benchmarks.detections pairs.npz

The file holds, of C cameras and T frames, 'detected' (C, T, J, 3) x, y and score of OpenPose's
BODY_25B, 'triangulated_2d' (C, T, K, 2) the triangulated joints as each camera sees them, the
names of both as 'detected_names' and 'triangulated_names', and 'fps'. The triangulated joints stem
from the same detections: a coarse truth, and one that is kind to what the detector said.

Prints a table: mean error in head sizes, AUC of PCKh from 0 to 1, and mean error of the second
difference over time in head sizes per frame^2, of the 12 joints, for every frame and for every
second one. Savitzky-Golay over 9 frames stands beside the baselines of ``posegan evaluate``.
"""

import argparse
import sys
import zipfile
from collections.abc import Callable

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.evaluation.baselines import TEMPORAL, temporal
from posegan_jax.evaluation.tables import cell, table
from posegan_jax.evaluation.temporal import savitzky_golay
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.inpainting.settings import Observed, Quality
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

SKELETON = "mpi_inf_3dhp"
PARTS = ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
SIDES = {"L": "left", "R": "right"}
NAMES = {side + part: f"{SIDES[side]}_{part.lower()}" for part in PARTS for side in SIDES}
"""BODY_25B's names of the 12 joints -> ours."""
STEPS = (1, 2)
"""Every frame, and every second one."""

Method = Callable[[PoseSequence], np.ndarray]


def read(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Keypoints (C, T, 12, 2), NaN where nothing was detected, their scores (C, T, 12), the truth
    (C, T, 12, 2), head sizes (C,), all in pixels, and frames per second.

    Raises:
      InputError: the file is not of that layout.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            detected = data["detected"][:, :, _places(data["detected_names"], NAMES)]
            points = data["triangulated_2d"]
            truth = points[:, :, _places(data["triangulated_names"], NAMES)]
            ends = _places(data["triangulated_names"], ("Head", "Neck"))
            fps = float(data["fps"])
    except (OSError, EOFError, KeyError, ValueError, IndexError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: no detections with their triangulation ({error})") from error
    scores = detected[..., 2].astype(float)
    keypoints = np.where(scores[..., None] > 0, detected[..., :2], np.nan).astype(float)
    top, neck = (points[:, :, end] for end in ends)
    head = np.nanmedian(np.linalg.norm(top - neck, axis=-1), axis=1)
    return keypoints, scores, truth.astype(float), head, fps


def methods(inpainter: Inpainter) -> dict[str, Method]:
    """Name -> what makes of a track (T, J, 2) pixels."""

    def ours(quality: Quality, observed: Observed = "auto") -> Method:
        return lambda s: inpainter(
            s, joints=SKELETON, quality=quality, observed=observed).keypoints

    def over_9_frames(keypoints: np.ndarray, fps: float) -> np.ndarray:
        return savitzky_golay(keypoints, seconds=8 / fps, order=2, fps=fps)

    smoothers = {"savitzky-golay 9, 2": over_9_frames} | TEMPORAL
    return (
        {"input": lambda s: s.keypoints}
        | {name: temporal(smooth) for name, smooth in smoothers.items()}
        | {
            "fast": ours("fast"), "balanced": ours("balanced"),
            "balanced+refine": ours("balanced", "refine"),
        }
    )


def evaluate(path: str, inpainter: Inpainter) -> dict[float, dict[str, tuple[float, ...]]]:
    """Frames per second -> method -> error, AUC and acceleration error, means over the cameras."""
    keypoints, scores, truth, head, fps = read(path)
    at = [get_skeleton(SKELETON).index(joint) for joint in NAMES.values()]
    found = {}
    for step in STEPS:
        sequences = []
        for points, sure in zip(keypoints[:, ::step], scores[:, ::step], strict=True):
            placed = np.full((len(points), len(get_skeleton(SKELETON)), 2), np.nan)
            weights = np.zeros(placed.shape[:2])
            placed[:, at], weights[:, at] = points, sure
            sequences.append(PoseSequence(placed, weights, fps / step, SKELETON))
        found[fps / step] = {
            name: tuple(np.mean([
                _scores(method(sequence)[:, at], seen, size)
                for sequence, seen, size in zip(sequences, truth[:, ::step], head, strict=True)
            ], axis=0))
            for name, method in methods(inpainter).items()
        }
    return found


def _scores(result: np.ndarray, truth: np.ndarray, head: float) -> tuple[float, float, float]:
    difference = (result - truth) / head
    error = np.linalg.norm(difference, axis=-1)
    acceleration = np.linalg.norm(np.diff(difference, 2, axis=0), axis=-1)
    area = np.nan_to_num(np.maximum(1 - error, 0.0))  # what was not delivered is wrong
    return np.nanmean(error), area[np.isfinite(truth[..., 0])].mean(), np.nanmean(acceleration)


def _places(names: np.ndarray, wanted) -> list[int]:
    return [[str(name) for name in names].index(joint) for joint in wanted]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("benchmarks.detections", description=__doc__.split("\n")[0])
    parser.add_argument("pairs", help="detections and their triangulation")
    parser.add_argument("--checkpoint", help="networks, instead of the packaged ones")
    options = parser.parse_args(argv)
    try:
        load = Inpainter.from_checkpoint
        inpainter = load(options.checkpoint) if options.checkpoint else Inpainter.from_pretrained()
        found = evaluate(options.pairs, inpainter)
    except InputError as error:
        print(f"benchmarks.detections: {error}", file=sys.stderr)
        return 2
    columns = [f"{what}, {fps:g} fps" for fps in found for what in ("error", "AUC", "accel")]
    rows = [
        [name, *(cell(value) for values in found.values() for value in values[name])]
        for name in next(iter(found.values()))
    ]
    print(table(["method", *columns], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
