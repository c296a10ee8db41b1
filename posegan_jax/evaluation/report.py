"""Accuracy on held-out subjects, next to the baselines."""

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from posegan_jax import config as config_lib
from posegan_jax.errors import InputError
from posegan_jax.evaluation.baselines import complete_by_ridge, interpolate
from posegan_jax.evaluation.occlusion import PROTOCOLS, protocol_mask
from posegan_jax.inpainting.inpainter import QUALITIES, Inpainter, Settings
from posegan_jax.inpainting.residual import body_size, carry
from posegan_jax.motion.corrupt import observable
from posegan_jax.pose.files import atomic_path
from posegan_jax.pose.skeleton import DETECTED_12, Skeleton
from posegan_jax.training.loop import load_store
from posegan_jax.training.validation import clean_options, scores, validation_batch

log = logging.getLogger(__name__)

PIXELS = 500.0
"""Half the extent of a window in the picture: windows are solved in pixels, as at use."""

COLUMNS = ("pckh@0.1", "pckh@0.5", "pckh@1.0", "auc", "error")


@dataclasses.dataclass(frozen=True)
class Row:
    """One system on one protocol: metric name by group of joints ('observed', ...)."""

    protocol: str
    system: str
    scores: dict[str, dict[str, float]]


def evaluate(config: ConfigDict) -> list[Row]:
    """Scores a checkpoint as the configuration says; prints a table and writes evaluation.json.

    Raises:
      InputError: no checkpoint, or no validation data.
    """
    config_lib.check(config)
    workdir = Path(config.workdir or f"runs/{config.name}")
    inpainter = Inpainter.from_checkpoint(config.evaluate.checkpoint or workdir)
    rows = evaluate_inpainter(
        inpainter, config, tuple(config.evaluate.protocols), config.evaluate.steps
    )
    workdir.mkdir(parents=True, exist_ok=True)
    save_report(rows, workdir / "evaluation.json")
    print(format_table(rows))
    return rows


def evaluate_inpainter(
    inpainter: Inpainter, config: ConfigDict, protocols: tuple[str, ...], steps: int
) -> list[Row]:
    """Scores of baselines, encoder, thesis's descent and ours on windows of held-out subjects."""
    truth, train = _windows(inpainter, config)
    skeleton = inpainter.skeleton
    poses = train.reshape(-1, *train.shape[2:])
    rows = []
    for protocol in protocols:
        mask = protocol_mask(protocol, truth.shape[:2], skeleton, config.evaluate.seed)
        for name, solve in systems(inpainter, poses, steps).items():
            log.info("%s: %s", protocol, name)
            result = solve(truth, mask)
            rows.append(Row(protocol, name, _score(truth, result, mask, skeleton)))
    return rows


def systems(
    inpainter: Inpainter, train: np.ndarray, steps: int
) -> dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    """Name -> function of windows (N, F, J, 2) and mask (N, F, J) that gives whole windows.

    Args:
      inpainter: the networks.
      train: (N, J, 2) poses that the baseline learns from.
      steps: of the longest searches.
    """

    def with_steps(settings: Settings, steps: int) -> Settings:
        return dataclasses.replace(
            settings, descent=dataclasses.replace(settings.descent, steps=steps)
        )

    def run(settings: Settings):
        return lambda x, mask: complete(inpainter, x, mask, settings)

    def baseline(x, mask):
        holes = np.where(mask[..., None], x, np.nan)
        filled = np.stack([interpolate(window) for window in holes])
        # What was never seen in a window is regressed on what was, as what no detector delivers.
        return complete_by_ridge(filled, train)

    best = QUALITIES["best"]
    alone = dataclasses.replace(best, carry_residual=False)
    return {
        "interpolation + ridge": baseline,
        "encoder alone": run(with_steps(alone, 0)),
        f"thesis, {steps} steps": run(with_steps(QUALITIES["thesis"], steps)),
        "fast": run(QUALITIES["fast"]),
        "balanced": run(QUALITIES["balanced"]),
        f"best, {steps} steps": run(with_steps(best, steps)),
    }


def complete(
    inpainter: Inpainter, x: np.ndarray, mask: np.ndarray, settings: Settings
) -> np.ndarray:
    """Single windows through the search and the carried residual.

    Observations are kept where the residual is carried; else generated motion comes back alone.

    Args:
      x: (N, F, J, 2) pixels.
      mask: (N, F, J) bool.
      settings: of the inpainter; its shift plays no role here.

    Returns:
      (N, F, J, 2).
    """
    generated, _ = inpainter.search(
        np.where(mask[..., None], x, 0.0), mask.astype(np.float32), settings.descent
    )
    if not settings.carry_residual:
        return generated
    result = np.empty_like(generated)
    for n in range(len(x)):
        size = body_size(generated[n])
        result[n] = inpainter.residual.calibrate(generated[n], size)
        residual = np.where(mask[n][..., None], x[n] - result[n], np.nan)
        clean = np.zeros(mask[n].shape)
        result[n] += carry(inpainter.residual, residual, size, clean, robust=False).mean
    return np.where(mask[..., None], x, result)


def format_table(rows: list[Row]) -> str:
    """A plain text table: PCKh at 0.1, 0.5 and 1.0, AUC, mean error in head sizes."""
    groups = ("observed", "missing", "upsampled")
    names = " ".join(f"{name:>5}" for name in (".1", ".5", "1.0", "AUC", "error"))
    lines = [
        f"{'':24}" + "".join(f"   {group:^29}" for group in groups),
        f"{'':24}" + f"   {names}" * len(groups),
    ]
    for protocol in dict.fromkeys(row.protocol for row in rows):
        lines.append(f"{protocol}: {PROTOCOLS[protocol]}")
        for row in rows:
            if row.protocol == protocol:
                cells = [_cell(row.scores.get(group)) for group in groups]
                lines.append(f"  {row.system:22}" + "".join(f"   {cell}" for cell in cells))
    return "\n".join(lines)


def save_report(rows: list[Row], path: Path, extra: dict[str, Any] | None = None) -> None:
    """Writes the rows as JSON."""
    content = {**(extra or {}), "rows": [dataclasses.asdict(row) for row in rows]}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def _windows(inpainter: Inpainter, config: ConfigDict) -> tuple[np.ndarray, np.ndarray]:
    """Held-out and training windows in pixels, drawn from the configured seed."""
    if inpainter.networks.options.skeleton != config.model.skeleton:
        raise InputError(
            f"the checkpoint generates {inpainter.networks.options.skeleton}, the configuration "
            f"asks for {config.model.skeleton}"
        )
    result = []
    for split, count in (("validation", config.evaluate.windows), ("train", 2048)):
        options = config_lib.step_options(config)
        observable(inpainter.skeleton, options.corruption)
        options = clean_options(count, options.views, options.corruption)
        store = load_store(config, split, options)
        batch = validation_batch(store, inpainter.networks, options, config.evaluate.seed)
        result.append(np.asarray(jax.device_get(batch.x), np.float64) * PIXELS)
    return result[0], result[1]


def _score(truth, result, mask, skeleton: Skeleton) -> dict[str, dict[str, float]]:
    detected = np.array([joint in DETECTED_12 for joint in skeleton.joints])
    whole = np.broadcast_to(detected, mask.shape)
    groups = {"observed": mask, "missing": whole & ~mask, "upsampled": ~whole}
    return {
        name: {k: float(v) for k, v in scores(truth, result, skeleton.name, group * 1.0).items()}
        for name, group in groups.items()
        if group.any()
    }


def _cell(values: dict[str, float] | None) -> str:
    if values is None:
        return f"{'-':^29}"
    return " ".join(f"{values[name]:.3f}".removeprefix("0").rjust(5) for name in COLUMNS)
