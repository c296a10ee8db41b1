"""Explaining a stretch of frames: from what was observed and generated to what is delivered.

Files, batches, live streams and the benchmark all come through here: of a whole track the stretches
that have generated motion, of a live one its newest window.
"""

import numpy as np

from posegan_jax.geometry.body import HEAD, body_size
from posegan_jax.inpainting.bridge import bridge
from posegan_jax.inpainting.correct import correct, correct_track, distance
from posegan_jax.inpainting.grounds import Answers, grounds
from posegan_jax.inpainting.reliability import REJECT, Reliability
from posegan_jax.inpainting.residual import Carried, ResidualModel, carry
from posegan_jax.inpainting.settings import Observed
from posegan_jax.inpainting.track import Completion, Generated, Track, nearest
from posegan_jax.model.certainty import Grounds, Places, log_odds
from posegan_jax.model.constants import Constants
from posegan_jax.model.corrector import certainty
from posegan_jax.model.model import Model
from posegan_jax.pose.rate import Rate
from posegan_jax.pose.sequence import Provenance
from posegan_jax.pose.skeleton import DETECTED_12
from posegan_jax.runtime import cpus

ENOUGH, AROUND = 6, 12
"""Joints from which on nothing is left open of the others, and frames of the model on each side in
which they count as seen, half a second; see ``Constants.left_open``."""
FURTHEST = 3.0
"""Standard deviations of the detector's error that observations are moved by at most, as outliers
are usually told, unless their own path shows that they are wrong, ..."""
NOISY = 0.018
"""... of noise up to so many body sizes, and of more of more, in proportion: the noisier a detector
is, the more it errs by what no path shows. From there to twice as much, what is brought back is
smoothed more and more."""
TINY = 1e-6
UNSURE = 0.5
"""Score of what is generated alone: nothing is known of it, so it says neither right nor wrong."""


@cpus.one_thread()
def explain(
    model: Model, residual: ResidualModel, track: Track, generated: Generated,
    reliability: Reliability, left_open: np.ndarray, rate: Rate, corrected: bool = True,
    told: list[Grounds] | None = None,
) -> Completion:
    """Joins observations and generated motion in a stretch of frames.

    What the networks leave unexplained in the observed joints is carried to the others; what is
    not observed is corrected, and drawn to a linear regression; the deviation that all of this
    leaves is the certainty.

    Args:
      model: with constants, and the corrector if it has one.
      residual: moments of the residual that is carried.
      track: what was observed, T frames.
      generated: what the networks say of these.
      reliability: of the observations.
      left_open: (T, J) what few joints leave open of the others, see ``openness``.
      rate: of the frames.
      corrected: whether the model's corrector is asked.
      told: gets what the scores are made of.
    """
    seen, poses = track.seen, generated.motion
    size = body_size(poses)
    poses = residual.expect(poses, size, rate.step)
    difference = track.keypoints - poses
    trusted = reliability.trust >= REJECT
    difference[~trusted] = np.nan
    carried = carry(
        residual, difference, size, reliability.noise, rate.step, reliability.roughness)
    sure = seen & trusted
    away = distance(sure)
    delivered = _delivered(model, seen)
    answers = _answers(
        model, residual, poses, carried, seen, sure, delivered, away, size, rate,
        corrected and model.corrector is not None,
    )
    keep = sure & (reliability.noise == 0)
    final = _limited(answers.final, track, reliability, size)
    final = np.where(keep[..., None], track.keypoints, final)
    held = sure | (seen & (reliability.proof < 1))
    answers = answers._replace(
        final=_bridged(model, residual, final, carried, held, delivered, size, rate))
    if model.certainty is None and told is None:
        upsampled = ~seen & ~delivered & residual.regresses
        scores = _by_deviation(
            model.constants, carried.deviation, generated.spread, upsampled, left_open, size
        )
    else:
        ground = grounds(
            model, answers, carried, generated.spread, left_open, reliability.noise, seen, trusted,
            away, size, rate,
        )
        if told is not None:
            told.append(ground)
        scores = np.full(seen.shape, UNSURE)
        if model.certainty is not None:
            scores = _probability(log_odds(model.certainty, ground, Places.of(model.skeleton)))
    return _deliverable(track, answers.final.copy(), scores, keep, carried.trust)


def _delivered(model: Model, seen: np.ndarray) -> np.ndarray:
    """(J,) bool, what the detector delivers: of what the model may see the joints that are seen at
    all, and those that every detector has, whether they are in sight or not; all, if these are
    none."""
    skeleton = model.skeleton
    core = [joint for joint in DETECTED_12 if joint in skeleton]
    may = skeleton.mask(model.detected)
    delivered = may & (skeleton.mask(core) | np.any(seen, axis=0))
    return delivered if delivered.any() else may


def _answers(
    model: Model, residual: ResidualModel, poses: np.ndarray, carried: Carried, seen: np.ndarray,
    sure: np.ndarray, delivered: np.ndarray, away: np.ndarray, size: np.ndarray, rate: Rate,
    corrected: bool,
) -> Answers:
    """What the parts of the model say, and what is made of it."""
    result = completed = poses + carried.mean
    answer, linear = None, None
    if corrected:
        weight = certainty(carried.deviation / size[:, None]) * sure
        answer = correct_track(model, completed, weight, rate, completed)
        result = correct(model, completed, answer, delivered, away, rate)
    if residual.regresses:
        upsampled = ~seen & ~delivered
        linear = residual.regress(result, size, delivered)
        share = model.constants.beside if corrected else model.constants.regression
        result = np.where(upsampled[..., None], result + share * (linear - result), result)
    return Answers(poses, completed, answer, linear, result)


def _limited(
    result: np.ndarray, track: Track, reliability: Reliability, size: np.ndarray
) -> np.ndarray:
    """(T, J, 2) pixels: no further from what was observed than its noise explains, where its own
    path does not show that it is wrong.

    A limb that moves fast is brought back in several frames that agree; of a noisy detector, what
    is brought back in one frame and not in the next is mostly noise, so it is smoothed."""
    noise = reliability.noise
    lenient = np.maximum(noise / (NOISY * size[:, None]), 1.0)
    most = FURTHEST * noise * lenient / np.maximum(1.0 - reliability.proof**2, TINY)
    off = result - track.keypoints
    length = np.linalg.norm(off, axis=-1)
    far = track.seen & (reliability.proof < 1) & (length > most)
    share = np.where(far, most / np.where(far, length, 1.0), 1.0)
    back = np.where(far[..., None], (share[..., None] - 1) * off, 0.0)
    smoothed = np.minimum(lenient - 1, 1.0)[..., None]
    return result + back + smoothed * (_smooth(back) - back)


def _smooth(values: np.ndarray) -> np.ndarray:
    """Weighted means of each frame, the two before and the two after, of values (T, ...)."""
    around = np.pad(values, ((2, 2), *[(0, 0)] * (values.ndim - 1)), mode="edge")
    weights = np.array([1, 2, 3, 2, 1]) / 9
    return np.tensordot(weights, [around[i : i + len(values)] for i in range(5)], axes=1)


def _bridged(
    model: Model, residual: ResidualModel, result: np.ndarray, carried: Carried, held: np.ndarray,
    delivered: np.ndarray, size: np.ndarray, rate: Rate,
) -> np.ndarray:
    """(T, J, 2) pixels: with the joints' own paths across what is not ``held`` (T, J) to be where
    it was observed. Joints that are never seen have none: where others are seen, they go along
    with what they are regressed on."""
    bridged = bridge(result, carried.deviation, held, size, rate.step, model.constants.bridge)
    if not residual.regresses:
        return bridged
    along, before = (residual.regress(poses, size, delivered) for poses in (bridged, result))
    never = ~held.any(axis=0) & ~delivered
    alone = never & np.any(held, axis=1, keepdims=True)
    return np.where(alone[..., None], bridged + (along - before), bridged)


def as_generated(track: Track, generated: Generated, observed: Observed) -> Completion:
    """The generated motion alone, as in the thesis, and observed joints where they are to be kept.

    Args:
      track, generated: as of ``explain``.
      observed: what becomes of observed joints.
    """
    shape, keep = track.seen.shape, track.seen & (observed == "keep")
    return _deliverable(
        track, generated.motion.copy(), np.full(shape, UNSURE), keep, np.ones(shape)
    )


def _deliverable(
    track: Track, result: np.ndarray, scores: np.ndarray, keep: np.ndarray, trust: np.ndarray
) -> Completion:
    """Poses and scores, which are changed, with observations where they are kept (T, J)."""
    result[keep], scores[keep] = track.keypoints[keep], track.scores[keep]
    provenance = np.full(keep.shape, Provenance.FILLED)
    provenance[keep], provenance[track.seen & ~keep] = Provenance.OBSERVED, Provenance.REFINED
    return Completion(result, scores, provenance, trust)


def _by_deviation(
    constants: Constants, own: np.ndarray, spread: np.ndarray, upsampled: np.ndarray,
    left_open: np.ndarray, size: np.ndarray,
) -> np.ndarray:
    """(T, J) scores of a model to which nothing else was fitted, by the estimated deviation.

    Args:
      constants: of the model.
      own, spread: (T, J) deviation of what is carried and of the windows, pixels.
      upsampled: (T, J) bool, what no detector delivers.
      left_open: (T, J) in body sizes.
      size: (T,) of the body, pixels.
    """
    deviation = np.hypot(own, constants.spread * spread)
    deviation = np.where(upsampled, constants.upsampled, 1.0) * deviation
    deviation = np.hypot(deviation, left_open * size[:, None])
    return confidence_of(deviation, HEAD * size, constants)


def confidence_of(deviation: np.ndarray, head: np.ndarray, constants: Constants) -> np.ndarray:
    """(T, J) probability that a joint lies within half a head size of the truth.

    A logistic curve over the estimated deviation, since errors have longer tails than a Gaussian.

    Args:
      deviation: (T, J) standard deviation per coordinate, pixels.
      head: (T,) its size, pixels.
      constants: with intercept and slope.
    """
    intercept, slope = constants.confidence
    relative = np.maximum(deviation / head[:, None], 1e-6)
    return _probability(intercept + slope * np.log(relative))


def _probability(odds: np.ndarray) -> np.ndarray:
    """Of log odds."""
    return 0.5 + 0.5 * np.tanh(odds / 2)


def openness(seen: np.ndarray, around: int, each: float) -> np.ndarray:
    """What few joints leave open of the others, as a standard deviation per coordinate.

    Args:
      seen: (T, J) bool, observed joints; at least one.
      around: frames on each side that count.
      each: what every joint short of enough adds, in body sizes.

    Returns:
      (T, J) in body sizes, by what is seen around the nearest frame of which anything is; 0 for the
      joints that are, and where they are enough.
    """
    # How often each joint was seen before every frame, and so between any two.
    often = np.concatenate([np.zeros((1, *seen.shape[1:]), int), np.cumsum(seen, axis=0)])
    time = nearest(np.any(seen, -1))
    shown = often[np.minimum(time + around + 1, len(seen))] > often[np.maximum(time - around, 0)]
    short = np.maximum(ENOUGH - shown.sum(axis=-1, keepdims=True), 0)
    return each * short * ~shown
