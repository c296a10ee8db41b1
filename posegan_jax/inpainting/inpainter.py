"""Completing, refining and upsampling pose sequences: the tool's main function."""

import dataclasses
import functools
import os
from collections.abc import Callable
from importlib import resources
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.geometry.moments import ResidualMoments
from posegan_jax.geometry.normalize import denormalize, fit_normalization, normalize
from posegan_jax.inpainting.descent import DescentOptions, descend
from posegan_jax.inpainting.objective import ObjectiveWeights
from posegan_jax.inpainting.residual import ResidualModel, body_size, carry, jitter
from posegan_jax.inpainting.select import Composition, compose
from posegan_jax.networks.build import NetworkOptions, Networks, Variables, build_networks
from posegan_jax.pose.sequence import PoseSequence, Provenance, densify
from posegan_jax.pose.skeleton import DERIVED, DETECTED_12, Skeleton, get_skeleton
from posegan_jax.pose.windows import gather, starts
from posegan_jax.training.checkpoints import load_params

Quality = Literal["fast", "balanced", "best"]
Observed = Literal["auto", "keep", "refine"]
Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a sequence is solved.

    Attributes:
      shift: frames from one window to the next.
      descent: the search in latent space.
      composition: how overlapping windows become one sequence, see ``select.compose``.
      carry_residual: add what the generated motion leaves unexplained, see ``residual``. Off, the
        result is the generated motion alone, as in the thesis.
    """

    shift: int = 8
    descent: DescentOptions = DescentOptions()
    composition: Composition = "blend"
    carry_residual: bool = True


# A low rate and the pull towards the encoder's answer keep what the encoder knows of unseen limbs.
_DESCENT = DescentOptions(
    learning_rate=0.1, b1=0.8, weights=ObjectiveWeights(critic=0.0, prior=0.005)
)
QUALITIES: dict[str, Settings] = {
    "fast": Settings(12, dataclasses.replace(_DESCENT, steps=0)),
    "balanced": Settings(8, dataclasses.replace(_DESCENT, steps=30)),
    "best": Settings(4, dataclasses.replace(_DESCENT, steps=200)),
}
THESIS = Settings(8, DescentOptions(), "nearest", carry_residual=False)
"""The thesis's own search and composition, for comparison."""

REFINE_NOISE = 0.05
"""Detector noise that ``observed='refine'`` supposes at least, in body sizes (0.1 head sizes)."""
CLEAN_NOISE = 0.005
"""Noise under which ``observed='auto'`` keeps a joint's observations, in body sizes."""
DISTRUST = 0.5
"""Trust under which ``observed='auto'`` moves a single observation of a clean joint."""


class Inpainter:
    """Completes pose sequences with trained networks.

    Made by ``from_pretrained`` or ``from_checkpoint``; called on one sequence at a time. The search
    is compiled once per process and setting: sequences of any length are solved in batches of
    ``batch`` windows.

    Attributes:
      networks: the modules.
      variables: their parameters, on the device.
      residual: moments of the residuals.
      metadata: what the checkpoint says about itself.
      batch: windows solved at once.
    """

    def __init__(
        self, networks: Networks, variables: dict[str, Variables], residual: ResidualModel,
        metadata: dict[str, Any] | None = None, batch: int | None = None,
    ):
        self.networks = networks
        self.variables = jax.device_put(variables)
        self.residual = residual
        self.metadata = metadata or {}
        self.batch = batch or (32 if jax.default_backend() == "cpu" else 512)
        if self.batch < 2:
            # A batch of one is compiled to other kernels, and a long search amplifies rounding.
            raise InputError("batch must be at least 2")

    @classmethod
    def from_pretrained(cls, batch: int | None = None) -> "Inpainter":
        """With the parameters that come with the package."""
        with resources.as_file(pretrained_path()) as path:
            return cls.from_checkpoint(path, batch)

    @classmethod
    def from_checkpoint(cls, directory: str | os.PathLike, batch: int | None = None) -> "Inpainter":
        """With the parameters of a training run's folder or of packaged parameters.

        Args:
          directory: a workdir of training, its checkpoints folder, or one checkpoint in it.
          batch: windows solved at once; by default 32 on a CPU, 512 elsewhere.

        Raises:
          InputError: there is no usable checkpoint.
        """
        variables, metadata = load_params(directory)
        if "networks" not in metadata:
            raise InputError(f"{directory}: not a checkpoint of posegan_jax (no network options)")
        networks = build_networks(NetworkOptions.from_dict(metadata["networks"]))
        return cls(networks, variables, _residual_model(networks, metadata), metadata, batch)

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton that the networks generate."""
        return get_skeleton(self.networks.options.skeleton)

    def __call__(
        self, sequence: PoseSequence, joints: str = "same", quality: Quality = "balanced",
        observed: Observed = "auto", shift: int | None = None, steps: int | None = None,
        settings: Settings | None = None, progress: Progress | None = None,
    ) -> PoseSequence:
        """Completes a sequence.

        Args:
          sequence: one person; frames may be absent, joints missing.
          joints: 'same' fills the joints of the sequence's own skeleton, and leaves those that the
            model does not know as they are; the model's skeleton ('mpi_inf_3dhp') gives all joints
            of that one.
          quality: 'fast' (the encoder's answer), 'balanced', or 'best' (200 steps, windows
            overlapping six times).
          observed: what becomes of joints that were seen. 'keep': unchanged. 'refine': smoothed.
            'auto': smoothed where they jitter, replaced where all others contradict them, and
            otherwise unchanged.
          shift: frames between windows, instead of the quality's.
          steps: search steps, instead of the quality's.
          settings: everything at once, instead of quality, shift and steps.
          progress: called with windows done and windows in all.

        Returns:
          A sequence with a row for every frame from the first to the last, scores and provenance.
          Frames further than a window from anything observed stay missing. The score of a filled
          joint is the probability that it lies within half a head size of the truth, as far as the
          residual's spread tells.

        Raises:
          InputError: unknown options, or a sequence without any joint that the model observes.
        """
        target = self._target(sequence, joints)
        settings = _settings(settings, quality, shift, steps, self.networks.options.frames)
        if observed not in ("auto", "keep", "refine"):
            raise InputError(f"observed must be 'auto', 'keep' or 'refine', not {observed!r}")
        if not self.can_complete(sequence):
            raise InputError(
                f"person {sequence.person}: nothing to start from; the model needs two of the "
                f"joints {', '.join(DETECTED_12)} within a second"
            )
        dense = densify(sequence)
        track = _Track.from_sequence(dense, self.skeleton)
        generated = self._generate(track, settings, progress)
        return _assemble(
            dense, track, generated, self.skeleton, target, observed, settings, self.residual,
            self.networks.options.frames,
        )

    def can_complete(self, sequence: PoseSequence) -> bool:
        """Whether at least two joints that the model observes are there, within one window."""
        if not len(sequence):
            return False
        track = _Track.from_sequence(densify(sequence), self.skeleton)
        frames = self.networks.options.frames
        first = starts(len(track.input_mask), frames, frames // 2)
        return bool(_solvable(gather(track.input_mask, first, frames, False)).any())

    def search(
        self, x: np.ndarray, mask: np.ndarray, options: DescentOptions,
        progress: Progress | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solves windows in batches of fixed size.

        Args:
          x: (N, F, J, 2) pixels; missing joints may hold anything finite.
          mask: (N, F, J) 1 = observed.
          options: of the search.
          progress: called with windows done and windows in all.

        Returns:
          (N, F, J, 2) generated windows in pixels, aligned to the observed joints, and (N,) their
          objective. A window's result does not depend on the others.
        """
        results = []
        for start in range(0, len(x), self.batch):
            part = slice(start, start + self.batch)
            results.append(
                _solve(
                    self.variables, _pad(x[part], self.batch), _pad(mask[part], self.batch),
                    networks=self.networks, options=options,
                )
            )
            if progress:
                jax.block_until_ready(results[-1])
                progress(min(start + self.batch, len(x)), len(x))
        windows, losses = zip(*results, strict=True)
        return (
            np.concatenate([np.asarray(w, np.float64) for w in windows])[: len(x)],
            np.concatenate([np.asarray(v) for v in losses])[: len(x)],
        )

    def _target(self, sequence: PoseSequence, joints: str) -> Skeleton:
        if joints == "same":
            return get_skeleton(sequence.skeleton)
        if joints == self.skeleton.name:
            return self.skeleton
        raise InputError(f"joints must be 'same' or {self.skeleton.name!r}, not {joints!r}")

    def _generate(self, track: "_Track", settings: Settings, progress) -> np.ndarray:
        """(T, J, 2) generated motion in pixels; NaN where no window holds an observation."""
        frames = self.networks.options.frames
        first = starts(len(track.keypoints), frames, settings.shift)
        x = gather(np.nan_to_num(track.keypoints), first, frames, 0.0)
        mask = gather(track.input_mask.astype(np.float32), first, frames, 0.0)
        useful = _solvable(mask)
        windows = np.full(x.shape, np.nan)
        loss = np.full(len(x), np.inf)
        if useful.any():
            windows[useful], loss[useful] = self.search(
                x[useful], mask[useful], settings.descent, progress
            )
        return compose(
            windows[useful], first[useful], len(track.keypoints), np.nan_to_num(track.keypoints),
            track.input_mask, loss[useful], settings.composition,
        )


def pretrained_path():
    """The packaged checkpoint, as an importlib resource."""
    return resources.files("posegan_jax") / "weights" / "pretrained"


@functools.partial(jax.jit, static_argnames=("networks", "options"))
def _solve(variables, x, mask, *, networks: Networks, options: DescentOptions):
    normalization = fit_normalization(x, mask)
    found = descend(networks, variables, normalize(x, normalization) * mask[..., None], mask,
                    options)
    return denormalize(found.x_tilde, normalization), found.loss


def _pad(array: np.ndarray, count: int) -> jax.Array:
    """Fills a batch up with copies of its first row."""
    missing = count - len(array)
    padded = np.concatenate([array, np.repeat(array[:1], missing, axis=0)]) if missing else array
    return jnp.asarray(padded, jnp.float32)


def _solvable(mask: np.ndarray) -> np.ndarray:
    """(N,) windows with at least two observed joints: one has neither size nor direction."""
    return mask.sum(axis=(1, 2)) >= 2


def _settings(settings, quality, shift, steps, frames: int) -> Settings:
    if settings is None:
        if quality not in QUALITIES:
            raise InputError(f"quality must be one of {', '.join(QUALITIES)}, not {quality!r}")
        settings = QUALITIES[quality]
    if shift is not None:
        settings = dataclasses.replace(settings, shift=shift)
    if steps is not None:
        if steps < 0:
            raise InputError(f"steps must be 0 or more, not {steps}")
        settings = dataclasses.replace(
            settings, descent=dataclasses.replace(settings.descent, steps=steps)
        )
    if not 1 <= settings.shift <= frames:
        raise InputError(f"shift must be between 1 and {frames} frames, not {settings.shift}")
    return settings


def _residual_model(networks: Networks, metadata: dict[str, Any]) -> ResidualModel:
    moments = metadata.get("residual")
    if moments:
        return ResidualModel.fit(ResidualMoments.from_dict(moments))
    # A run that has not been validated yet.
    return ResidualModel.fit(
        ResidualMoments.default(len(get_skeleton(networks.options.skeleton)))
    )


@dataclasses.dataclass(frozen=True)
class _Track:
    """A dense sequence on the model's skeleton.

    Attributes:
      keypoints: (T, J, 2) pixels, NaN where missing.
      scores: (T, J).
      input_mask: (T, J) bool, observed joints that the networks may look at.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    input_mask: np.ndarray

    @classmethod
    def from_sequence(cls, sequence: PoseSequence, skeleton: Skeleton) -> "_Track":
        source, destination, _ = get_skeleton(sequence.skeleton).map_to(skeleton)
        keypoints = np.full((len(sequence), len(skeleton), 2), np.nan)
        scores = np.zeros(keypoints.shape[:2])
        keypoints[:, destination] = sequence.keypoints[:, source]
        scores[:, destination] = sequence.scores[:, source]
        usable = np.array([joint in DETECTED_12 for joint in skeleton.joints])
        return cls(keypoints, scores, np.isfinite(keypoints[..., 0]) & usable)


def _assemble(
    dense, track, generated, model: Skeleton, target: Skeleton, observed, settings, residual_model,
    reach: int,
) -> PoseSequence:
    """From the generated motion to the sequence that is delivered."""
    known = np.isfinite(generated[..., 0]).all(-1)  # frames that some window generated
    known &= _near_observation(track.input_mask.any(-1), reach)
    result = np.full(generated.shape, np.nan)
    scores = np.zeros(generated.shape[:2])
    source = np.full(scores.shape, Provenance.UNKNOWN, np.uint8)
    seen = np.isfinite(track.keypoints[..., 0])
    head = np.ones(len(generated))
    for run in _runs(known):
        poses, keypoints = generated[run], track.keypoints[run]
        size = body_size(poses)
        # By a person's proportions a head, from its top to the neck, is about half the body size.
        head[run] = size / 2
        if not settings.carry_residual:
            result[run], scores[run], source[run] = poses, 0.5, Provenance.FILLED
            source[run][seen[run]] = Provenance.REFINED
            continue
        poses = residual_model.calibrate(poses, size)
        noise = _noise(keypoints, size, observed)
        carried = carry(residual_model, keypoints - poses, size, noise, observed != "keep")
        result[run] = poses + carried.mean
        scores[run] = _confidence(carried.deviation, head[run])
        source[run] = Provenance.FILLED
        keep = seen[run] & _kept(noise, size, carried.trust, observed)
        moved = seen[run] & ~keep
        result[run][keep] = keypoints[keep]
        scores[run][keep] = track.scores[run][keep]
        source[run][keep], source[run][moved] = Provenance.OBSERVED, Provenance.REFINED
        scores[run][moved] = np.maximum(track.scores[run], scores[run])[moved]
    outside = seen & ~known[:, None]
    result[outside], scores[outside] = track.keypoints[outside], track.scores[outside]
    source[outside] = Provenance.OBSERVED
    return _deliver(dense, model, target, result, scores, source)


def _noise(keypoints, size, observed: Observed) -> np.ndarray:
    """(T, J) standard deviation of the detector's error in pixels, per coordinate."""
    if observed == "keep":
        return np.zeros(keypoints.shape[:2])
    level = jitter(keypoints / size[:, None, None])
    if observed == "refine":
        level = np.maximum(level, REFINE_NOISE)
    return level * size[:, None]


def _kept(noise, size, trust, observed: Observed) -> np.ndarray:
    """(T, J) whether an observation is delivered as it was read."""
    if observed == "keep":
        return np.ones(noise.shape, bool)
    if observed == "refine":
        return np.zeros(noise.shape, bool)
    return (noise < CLEAN_NOISE * size[:, None]) & (trust >= DISTRUST)


def _confidence(deviation: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Probability that a Gaussian error stays within half a head size."""
    return 1.0 - np.exp(-0.5 * (0.5 * head[:, None] / np.maximum(deviation, 1e-9)) ** 2)


def _near_observation(seen: np.ndarray, reach: int) -> np.ndarray:
    """(T,) frames within ``reach`` of an observed one."""
    index = np.flatnonzero(seen)
    time = np.arange(len(seen))
    after = np.searchsorted(index, time)
    right = index[np.minimum(after, len(index) - 1)]
    left = index[np.maximum(after - 1, 0)]
    return np.minimum(np.abs(right - time), np.abs(time - left)) <= reach


def _runs(flags: np.ndarray) -> list[slice]:
    """Stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [slice(a, b) for a, b in edges.reshape(-1, 2)]


def _deliver(dense, model: Skeleton, target: Skeleton, result, scores, source) -> PoseSequence:
    """On the target skeleton; joints that the model lacks stay as they were read."""
    if target == model:
        return dense.replace(
            keypoints=result, scores=scores, provenance=source, skeleton=target.name
        )
    keypoints, new_scores = dense.keypoints.copy(), dense.scores.copy()
    provenance = dense.provenance.copy()
    here, there, _ = model.map_to(target)
    keypoints[:, there], new_scores[:, there] = result[:, here], scores[:, here]
    provenance[:, there] = source[:, here]
    for joint, parts in DERIVED.items():
        if joint not in target or joint in model:
            continue
        at, ends = target.index(joint), [model.index(part) for part in parts]
        holes = np.isnan(keypoints[:, at, 0]) & np.isfinite(result[:, ends, 0]).all(-1)
        keypoints[holes, at] = result[holes][:, ends].mean(1)
        new_scores[holes, at] = scores[holes][:, ends].min(1)
        provenance[holes, at] = Provenance.FILLED
    return dense.replace(keypoints=keypoints, scores=new_scores, provenance=provenance)
