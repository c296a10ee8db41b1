"""What tells how sure a completed joint is, see ``model.certainty``.

All lengths are in head sizes or body sizes and all times in frames of the model, so that neither
the picture's size nor the video's rate says anything.
"""

from typing import NamedTuple

import numpy as np

from posegan_jax.geometry.body import HEAD
from posegan_jax.inpainting.residual import Carried
from posegan_jax.model.certainty import OWN, Grounds, features
from posegan_jax.model.model import Model
from posegan_jax.pose.rate import Rate

AROUND, BRIEFLY = 12, 6
"""Frames of the model on each side in which a joint counts as shown and over which what is
unexplained is averaged; and those over which motion is measured."""
NEAR, FAR = 4.0, 16.0
"""Frames of the model after which an observation says e times less of what follows."""
LEAST_DEVIATION, LEAST_LENGTH = 1e-3, 0.01
"""Head sizes that are added before logarithms are taken."""
LEAST_NOISE, LEAST_SPEED = 0.003, 0.002
"""The same in body sizes, and per frame."""


class Answers(NamedTuple):
    """What the parts of the model say of T frames, (T, J, 2) in pixels.

    Attributes:
      generated: by the networks.
      carried: that, with the residual.
      corrected: by the corrector, NaN where it says nothing; None where there is none.
      regressed: by the linear regression; None where there is none.
      final: what is delivered.
    """

    generated: np.ndarray
    carried: np.ndarray
    corrected: np.ndarray | None
    regressed: np.ndarray | None
    final: np.ndarray


def grounds(
    model: Model, answers: Answers, carried: Carried, spread: np.ndarray, left_open: np.ndarray,
    noise: np.ndarray, observed: np.ndarray, trusted: np.ndarray, away: np.ndarray,
    size: np.ndarray, rate: Rate,
) -> Grounds:
    """What is said of every joint and of every frame.

    Args:
      model: whose skeleton and detected joints count.
      answers: of its parts.
      carried: the residual.
      spread: (T, J) how far windows disagree, pixels.
      left_open: (T, J) what few joints leave open, in body sizes.
      noise: (T, J) of the detector, pixels.
      observed, trusted: (T, J) bool, what was observed, and what of it is no gross error.
      away: (T, J) frames to the next trusted observation of the joint, infinite where none is.
      size: (T,) of the body, pixels.
      rate: of the frames.
    """
    head, sure = HEAD * size[:, None], observed & trusted
    around = max(round(AROUND / rate.step), 1)

    def apart(a, b):
        return np.log(np.linalg.norm(np.nan_to_num(a - b), axis=-1) / head + LEAST_LENGTH)

    pose = (answers.final - answers.final.mean(axis=1, keepdims=True)) / size[:, None, None]
    corrected = answers.carried if answers.corrected is None else answers.corrected
    regressed = answers.final if answers.regressed is None else answers.regressed
    away = away * rate.step
    shown = _over(sure.astype(np.float64), around) > 0
    count = (shown & model.skeleton.mask(model.detected)).sum(axis=1)
    turned, trunk = _trunk(model, pose)
    frames = np.stack([
        _unexplained(answers, sure, size, around), turned, trunk,
        np.log(_speed(pose, rate) + LEAST_SPEED), count,
    ], axis=-1)
    unexplained, turned, trunk, speed, count = np.broadcast_to(
        frames[:, None], (*observed.shape, frames.shape[-1])
    ).transpose(2, 0, 1)
    own = {
        "deviation": np.log(carried.deviation / head + LEAST_DEVIATION),
        "disagreement": np.log(spread / head + LEAST_DEVIATION),
        "near": np.exp(-away / NEAR), "far": np.exp(-away / FAR),
        "corrected": apart(corrected, answers.carried),
        "regressed": apart(regressed, answers.final),
        "carried": apart(answers.carried, answers.generated),
        "doubted": apart(corrected, answers.generated),
        "unexplained": unexplained, "turned": turned, "trunk": trunk, "speed": speed,
        "open": left_open, "shown": count, "other": shown[:, list(model.skeleton.mirror)],
        "aside": np.abs(pose[..., 0]), "below": pose[..., 1],
        "noise": np.log(noise / size[:, None] + LEAST_NOISE), "trust": carried.trust,
        "observed": observed,
    }
    told = np.empty((*observed.shape, len(OWN)), np.float32)
    for i, name in enumerate(OWN):
        told[..., i] = own.pop(name)
    return Grounds(told, _poses(model, pose, sure, rate))


def _over(values: np.ndarray, around: int) -> np.ndarray:
    """Means of (T, ...) over so many frames on each side, fewer at the ends."""
    total = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
    time = np.arange(len(values))
    stop, start = np.minimum(time + around + 1, len(values)), np.maximum(time - around, 0)
    count = (stop - start).reshape(-1, *[1] * (values.ndim - 1))
    return (total[stop] - total[start]) / count


def _unexplained(answers: Answers, sure: np.ndarray, size: np.ndarray, around: int) -> np.ndarray:
    """(T,) logarithm of how far the networks are off what is seen, around every frame."""
    # Where a joint is seen, the residual is what is carried.
    off = np.linalg.norm(answers.carried - answers.generated, axis=-1)
    off = np.where(sure, off, 0.0).sum(axis=1) / size
    mean = _over(off, around) / np.maximum(_over(sure.sum(axis=1) * 1.0, around), 1e-3)
    return np.log(mean / HEAD + LEAST_LENGTH)


def _trunk(model: Model, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn of the trunk from upright, in half circles, and its length in body sizes; (T,) each.

    The trunk is from the middle of the detected hips to that of the shoulders; of skeletons without
    these it is upright.
    """
    ends = [
        [model.skeleton.index(f"{side}_{part}") for side in ("left", "right")
         if f"{side}_{part}" in model.skeleton]
        for part in ("shoulder", "hip")
    ]
    if not all(ends):
        return np.zeros(len(pose)), np.ones(len(pose))
    top, bottom = (pose[:, joints].mean(axis=1) for joints in ends)
    x, y = (top - bottom).T
    return np.abs(np.arctan2(x, -y)) / np.pi, np.hypot(x, y)


def _speed(pose: np.ndarray, rate: Rate) -> np.ndarray:
    """(T,) body sizes a frame of the model that a joint moves in the mean."""
    steps = np.linalg.norm(np.diff(pose, axis=0, prepend=pose[:1]), axis=-1).mean(axis=1)
    return _over(steps / rate.step, max(round(BRIEFLY / rate.step), 1))


def _poses(model: Model, pose: np.ndarray, sure: np.ndarray, rate: Rate) -> np.ndarray:
    """(T, 2, P) ``Grounds.pose``."""
    joints = [model.skeleton.index(joint) for joint in model.detected]
    mirror = list(model.skeleton.mirror)
    span = max(round(BRIEFLY / rate.step), 1)
    time = np.arange(len(pose))
    ahead, back = np.minimum(time + span, len(pose) - 1), np.maximum(time - span, 0)
    told = np.empty((len(pose), 2, features(model.detected)), np.float32)
    for side, turned in enumerate((False, True)):
        shown, seen = (pose, sure) if not turned else (
            pose[:, mirror] * np.array([-1.0, 1.0]), sure[:, mirror]
        )
        places = shown[:, joints]
        parts = (places, places[ahead] - places[back], seen[:, joints])
        told[:, side] = np.concatenate([part.reshape(len(pose), -1) for part in parts], axis=1)
    return told
