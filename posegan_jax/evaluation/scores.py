"""Scores of completed tracks, by the joint groups of the thesis's tables 2 and 3 and by what was
observed."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from posegan_jax.evaluation.plausibility import Real, plausibility
from posegan_jax.evaluation.protocols import Case
from posegan_jax.evaluation.settings import Head
from posegan_jax.geometry import metrics
from posegan_jax.geometry.body import head_size
from posegan_jax.pose.skeleton import Skeleton

ALPHAS = metrics.DEFAULT_ALPHAS

GROUPS_12 = {
    "Ankles": ("left_ankle", "right_ankle"), "Knees": ("left_knee", "right_knee"),
    "Hips": ("left_hip", "right_hip"), "Shoulders": ("left_shoulder", "right_shoulder"),
    "Elbows": ("left_elbow", "right_elbow"), "Wrists": ("left_wrist", "right_wrist"),
}
"""Columns of the thesis's table 2; then the total of the detected joints, 'Total-12J'."""

GROUPS_16 = {
    "Toes": ("left_toe", "right_toe"), "Feet": ("left_foot", "right_foot"),
    "Spine": ("spine", "spine2", "spine3", "spine4", "pelvis", "neck"),
    "Head": ("head", "head_top"), "Clavicles": ("left_clavicle", "right_clavicle"),
    "Hands": ("left_hand", "right_hand"),
}
"""Columns of its table 3; then the total of all joints, 'Total-28J'."""

PARTS = ("observed", "missing", "upsampled")
CURVE_METRICS = ("pckh@0.1", "pckh@0.5", "pckh@1.0", "auc")
METRICS = (*CURVE_METRICS, "error", "acceleration", "bones")
"""Of totals and parts. 'error' is MPJPE in head sizes, 'acceleration' its second difference's in
head sizes per frame^2, 'bones' the deviation of bone lengths over time in head sizes; all three
over what was delivered. PCKh counts what was not delivered as wrong."""
SUMMED = ("pckh@0.5", "auc", "error")
"""Those of which differences between methods are told with intervals."""


@dataclasses.dataclass(frozen=True)
class Scores:
    """How good completed tracks are.

    Attributes:
      values: group -> metric -> value, None where nothing counts. Groups are the columns of both
        tables (``CURVE_METRICS``), and totals and ``PARTS`` (``METRICS``).
      curves: PCKh over ``ALPHAS`` of the totals, of the detected joints and of all, by their
        numbers: 'Total-12J' and 'Total-28J' for the thesis's.
      clips: part -> metric of ``SUMMED`` -> for each clip the sum over joints and frames, and how
        many they are; their ratio over all clips is the value.
      plausibility: measure -> value, see ``plausibility.MEASURES``.
    """

    values: dict[str, dict[str, float | None]]
    curves: dict[str, list[float]]
    clips: dict[str, dict[str, list[list[float]]]]
    plausibility: dict[str, float | None]


def score(
    cases: Sequence[Case], results: Sequence[np.ndarray], head: Head = "neck",
    real: Real | None = None,
) -> Scores:
    """Scores the results of one method on all clips; every joint and frame counts alike.

    Args:
      cases: the clips, all with the same skeleton.
      results: (T, J, 2) pixels for each, NaN where nothing was delivered.
      head: what measures.
      real: motion to compare with, for the plausibility.
    """
    skeleton = cases[0].skeleton
    # One frame more than the longest: no difference over time reaches from one clip to the next.
    longest = max(len(case.truth) for case in cases) + 1
    totals = f"Total-{cases[0].detected.sum()}J", f"Total-{len(skeleton)}J"
    truth = _stack([case.truth for case in cases], longest, 0.0)
    result = _stack(results, longest, np.nan)
    whole = {
        totals[0]: [np.broadcast_to(c.detected, c.truth.shape[:2]) for c in cases],
        totals[1]: [np.ones(c.truth.shape[:2], bool) for c in cases],
    } | {part: [c.groups()[part] for c in cases] for part in PARTS}
    masks = np.stack([_stack(m, longest, False) for m in whole.values()])
    measured = jax.device_get(_measure(truth, result, masks, skeleton, head))
    values, curves = {}, {}
    for i, name in enumerate(whole):
        there = masks[i].any()
        curve = np.asarray(metrics.auc(measured["curves"][i])), measured["curves"][i]
        values[name] = _curve_values(*curve) if there else dict.fromkeys(CURVE_METRICS)
        for metric in ("error", "acceleration", "bones"):
            values[name][metric] = _number(measured[metric][i]) if there else None
        if name in totals:
            curves[name] = measured["curves"][i].astype(float).tolist()
    for name, joints in (GROUPS_12 | GROUPS_16).items():
        here = [skeleton.index(joint) for joint in joints if joint in skeleton]
        if not here:
            values[name] = dict.fromkeys(CURVE_METRICS)
            continue
        curve = measured["per_joint"][:, here].mean(axis=1)
        values[name] = _curve_values(np.asarray(metrics.auc(curve)), curve)
    sums = [_clip_sums(*pair, head) for pair in zip(cases, results, strict=True)]
    clips = {part: {name: [clip[part][name] for clip in sums] for name in SUMMED}
             for part in PARTS}
    return Scores(values, curves, clips, plausibility(cases, results, real))


def _clip_sums(case: Case, result: np.ndarray, head: Head) -> dict[str, dict[str, list[float]]]:
    """Part -> metric of ``SUMMED`` -> sum and count."""
    size = head_size(case.truth, case.skeleton, head)
    error = np.linalg.norm(result - case.truth, axis=-1) / size[:, None]
    sums = {}
    for part, mask in case.groups().items():
        values = error[mask]
        there = values[np.isfinite(values)]
        # The area under one joint's PCKh is what its error leaves of 1.
        area = np.maximum(1 - there, 0.0).sum()
        sums[part] = {
            "pckh@0.5": [float((there <= 0.5).sum()), len(values)],
            "auc": [float(area), len(values)],
            "error": [float(there.sum()), len(there)],
        }
    return sums


@jax.jit(static_argnames=("skeleton", "head"))
def _measure(truth, result, masks, skeleton: Skeleton, head: Head):
    """Everything at once: truth and result (N, T, J, 2), masks (G, N, T, J)."""
    valid = masks.any(axis=0)  # every joint of every frame of the clips
    size = head_size(truth, skeleton, head)
    size = jnp.where(valid[..., 0], size, 1.0)
    # Over time one scale per clip, or a changing scale would be taken for motion.
    mean = (size * valid[..., 0]).sum(-1) / valid[..., 0].sum(-1)
    delivered = jnp.isfinite(result).all(-1)
    bones = np.array(skeleton.bones())
    scaled, scaled_result = (a / mean[:, None, None, None] for a in (truth, result))

    def of_group(mask):
        there = (mask & delivered).astype(jnp.float32)
        row = (-1, *truth.shape[2:])
        error = jnp.where(
            there > 0, metrics.safe_norm(result - truth) / size[..., None], 0.0
        ).sum() / there.sum()
        acceleration = metrics.acceleration_error(
            scaled.reshape(row), scaled_result.reshape(row), there.reshape(-1, there.shape[-1])
        )
        return {
            "curves": metrics.pckh(result, truth, size, ALPHAS, mask.astype(jnp.float32)),
            "error": error,
            "acceleration": jnp.where(there.any(), acceleration, jnp.nan),
            "bones": jnp.nanmean(
                metrics.bone_length_variation(scaled, scaled_result, bones, there)
            ),
        }

    per_joint = metrics.pckh_per_joint(result, truth, size, ALPHAS, valid.astype(jnp.float32))
    return jax.lax.map(of_group, masks) | {"per_joint": per_joint}


def _stack(arrays: Sequence[np.ndarray], length: int, fill) -> np.ndarray:
    """(N, length, ...), filled up at the end."""
    first = np.asarray(arrays[0])
    dtype = np.float32 if first.dtype.kind == "f" else first.dtype
    stacked = np.full((len(arrays), length, *first.shape[1:]), fill, dtype)
    for row, array in zip(stacked, arrays, strict=True):
        row[: len(array)] = array
    return stacked


def _curve_values(auc, curve) -> dict[str, float | None]:
    values = dict(zip(CURVE_METRICS, (*curve[[10, 50, 100]], auc), strict=True))
    return {name: _number(value) for name, value in values.items()}


def _number(value) -> float | None:
    return float(value) if np.isfinite(value) else None
