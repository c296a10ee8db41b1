"""Completing, refining and upsampling pose sequences: the tool's main function."""

import contextlib
import os
from collections.abc import Generator
from importlib import resources
from typing import Any, TypeVar

import jax
import numpy as np

from posegan_jax.errors import InputError, whole
from posegan_jax.geometry.moments import ResidualMoments
from posegan_jax.inpainting.completer import Completer, Quality, Request, Settings, settings_of
from posegan_jax.inpainting.descent import DescentOptions
from posegan_jax.inpainting.reliability import Observed
from posegan_jax.inpainting.residual import ResidualModel
from posegan_jax.inpainting.solver import Progress, Solver
from posegan_jax.inpainting.stream import Stream
from posegan_jax.model.corrector import CORRECTOR, Mixer, fits, misfit
from posegan_jax.model.networks import NetworkOptions, Networks, Variables, build_networks
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import DETECTED_12, Skeleton, get_skeleton
from posegan_jax.runtime import cpus
from posegan_jax.training.checkpoints import load_metadata, load_params

T = TypeVar("T")


class Inpainter:
    """Completes pose sequences with trained networks.

    Made by ``from_pretrained`` or ``from_checkpoint``; called on one sequence at a time. The search
    is compiled once per process and setting, see ``solver``.

    Attributes:
      solver: networks and parameters on the devices, and how many windows they solve at once.
      residual: moments of the residuals.
      metadata: what the checkpoint says about itself.
      mixer: corrects joints that are not observed, if there is one.
    """

    def __init__(
        self, networks: Networks, variables: dict[str, Variables], residual: ResidualModel,
        metadata: dict[str, Any] | None = None, batch: int | None = None,
        mixer: Mixer | None = None,
    ):
        self.solver = Solver(networks, variables, batch)
        self.residual = residual
        self.metadata = metadata or {}
        self.mixer = mixer

    @classmethod
    def from_pretrained(cls, batch: int | None = None) -> "Inpainter":
        """With the parameters that come with the package."""
        with resources.as_file(pretrained_path()) as path:
            return cls._of(*load_params(path), batch)

    @classmethod
    def from_checkpoint(cls, directory: str | os.PathLike, batch: int | None = None) -> "Inpainter":
        """With the parameters of a training run's folder or of packaged parameters.

        Args:
          directory: a workdir of training, its checkpoints folder, or one checkpoint in it.
          batch: windows solved at once, see ``solver``.

        Raises:
          InputError: there is no usable checkpoint.
        """
        variables, metadata = load_params(directory)
        problem = _misfit(variables, metadata)
        if problem:
            raise InputError(f"{directory}: {problem}")
        return cls._of(variables, metadata, batch)

    @classmethod
    def _of(
        cls, variables: dict[str, Variables], metadata: dict[str, Any], batch: int | None
    ) -> "Inpainter":
        networks = build_networks(NetworkOptions.from_dict(metadata["networks"]))
        residual = _residual_model(networks, metadata)
        variables = dict(variables)
        params = variables.pop(CORRECTOR, None)
        mixer = params and Mixer(jax.tree.map(np.float32, params))
        return cls(networks, variables, residual, metadata, batch, mixer)

    @property
    def networks(self) -> Networks:
        """The modules."""
        return self.solver.networks

    @property
    def variables(self) -> dict[str, Variables]:
        """Their parameters, whole on every device."""
        return self.solver.variables

    @property
    def batch(self) -> int:
        """Windows solved at once."""
        return self.solver.batch

    @property
    def completer(self) -> Completer:
        """All that is done with a sequence but for the search."""
        frames = self.networks.options.frames
        return Completer(self.skeleton, frames, self.inputs, self.residual, self.mixer)

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton that the networks generate."""
        return get_skeleton(self.networks.options.skeleton)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Joints that the networks look at: those that their training showed them."""
        trained = self.metadata.get("config", {}).get("corruption", {})
        hidden = trained.get("never_observed", ())
        return tuple(joint for joint in trained.get("detected", DETECTED_12) if joint not in hidden)

    def __call__(
        self, sequence: PoseSequence, joints: str = "same", quality: Quality = "balanced",
        observed: Observed = "auto", shift: int | None = None, steps: int | None = None,
        settings: Settings | None = None, progress: Progress | None = None,
        repair_sides: bool = True,
    ) -> PoseSequence:
        """Completes a sequence.

        Args:
          sequence: one person; frames may be absent, joints missing. Its frame rate is from 5 to
            240 per second, 30 where it is not known, see ``rate``.
          joints: 'same' fills the joints of the sequence's own skeleton, and leaves those that the
            model does not know as they are; the model's skeleton ('mpi_inf_3dhp') gives all joints
            of that one.
          quality: 'fast' (the encoder's answer), 'balanced' (8 steps), 'best' (as many, windows
            overlapping eight times, every second one as its mirror image), or 'thesis' (its
            search, nothing carried).
          observed: what becomes of joints that were seen. 'keep': unchanged. 'refine': smoothed.
            'auto': as far as they jitter or all others contradict them; exact ones unchanged.
          shift: frames between windows, instead of the quality's.
          steps: search steps, instead of the quality's.
          settings: everything at once, instead of quality, shift and steps.
          progress: called with windows done and windows in all.
          repair_sides: exchange left and right where the detector seems to have done so (not
            with observed='keep', nor below 20 frames per second).

        Returns:
          A sequence with a row for every frame from the first to the last, scores and provenance.
          Frames further than a window from anything observed stay missing. The score of a refined
          or filled joint is the probability that it lies within half a head size of the truth, as
          measured on held-out people by ``evaluation.calibration``.

        Raises:
          InputError: unknown options, a frame rate out of range, or a sequence without any joint
            that the model observes.
        """
        settings = settings_of(quality, shift, steps, settings)
        steps = self.completer.steps(sequence, joints, settings, observed, repair_sides)
        return self.solve(steps, progress)

    def solve(
        self, steps: Generator[Request, tuple[np.ndarray, np.ndarray], T],
        progress: Progress | None = None,
    ) -> T:
        """Solves what is asked for, see ``completer.Completer.steps``, and gives what it comes to.
        """
        try:
            request = next(steps)
            while True:
                x, mask, options, look = request
                request = steps.send(self.search(x, mask, options, None if look else progress))
        except StopIteration as end:
            return end.value

    def stream(
        self, skeleton: str = "coco17", fps: float | None = None, joints: str = "same",
        people: int = 1, observed: Observed = "auto", delay: int = 0,
    ) -> Stream:
        """Completes live tracks, a frame at a time.

        Args:
          skeleton: name of the skeleton of what will be pushed.
          fps: frames per second, from 5 to 240; 30 where it is not known.
          joints: 'same' or the model's skeleton, as of a call.
          people: tracks that are completed at once, P.
          observed: what becomes of joints that were seen, as of a call.
          delay: frames that are looked ahead: a frame is delivered when as many have followed.

        Returns:
          A stream; nothing is compiled later on.

        Raises:
          InputError: unknown options, or numbers out of range.
        """
        device = self.solver.mesh.devices.flat[:1].tolist()
        solver = Solver(self.networks, self.variables, max(whole("people", people), 2), device)
        return Stream(self.completer, solver, skeleton, fps, joints, people, observed, delay)

    def can_complete(self, sequence: PoseSequence) -> bool:
        """Whether some window shows two of the joints that the model observes, at two places."""
        return self.completer.can_complete(sequence)

    def search(
        self, x: np.ndarray, mask: np.ndarray, options: DescentOptions,
        progress: Progress | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solves windows, see ``solver.Solver.__call__``."""
        return self.solver(x, mask, options, progress)


def load(checkpoint: str | os.PathLike | None) -> Inpainter:
    """For a command: the networks of a checkpoint, or the packaged ones if None, on all cores.

    Raises:
      InputError: as ``Inpainter.from_checkpoint``.
    """
    cpus.one_device_each()
    return Inpainter.from_checkpoint(checkpoint) if checkpoint else Inpainter.from_pretrained()


def window_frames(checkpoint: str | os.PathLike | None) -> int:
    """Frames of a window of the networks that ``load`` would give, which are not loaded.

    Raises:
      InputError: there is no checkpoint, or it does not tell.
    """
    with contextlib.ExitStack() as stack:
        path = checkpoint or stack.enter_context(resources.as_file(pretrained_path()))
        options = load_metadata(path).get("networks")
    try:
        return whole("frames", NetworkOptions.from_dict(options).frames)
    except (TypeError, InputError) as error:
        raise InputError(
            f"{checkpoint}: not a checkpoint of posegan_jax (no network options)"
        ) from error


def pretrained_path():
    """The packaged checkpoint, as an importlib resource."""
    return resources.files("posegan_jax") / "weights" / "pretrained"


def _misfit(variables: dict[str, Variables], metadata: dict[str, Any]) -> str | None:
    """What is wrong with a checkpoint, whose arrays have to be those that its metadata tell of."""
    options = metadata.get("networks")
    if not isinstance(options, dict):
        return "not a checkpoint of posegan_jax (no network options)"
    try:
        networks = build_networks(NetworkOptions.from_dict(options))
        wanted = jax.eval_shape(networks.init, jax.random.key(0))
    except Exception as error:  # each module has its own way to say what it cannot be
        reason, *_ = f"{error}\n".splitlines()
        return f"its network options make no networks ({reason})"
    found = dict(variables)
    if corrector := found.pop(CORRECTOR, None):
        problem = misfit(corrector) or (None if fits(networks.options) else "other windows")
        if problem:
            return f"its corrector is of no use ({problem})"
    if moments := _measured(metadata):
        joints = len(get_skeleton(networks.options.skeleton))
        wanted["residual"] = ResidualMoments.default(joints)._asdict()
        found["residual"] = {name: np.array(moments[name], object) for name in moments}
    shapes = {name: np.shape(leaf) for name, leaf in jax.tree.leaves_with_path(found)}
    for path, leaf in jax.tree.leaves_with_path(wanted):
        if shapes.get(path) != leaf.shape:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            there = list(shapes[path]) if path in shapes else "none"
            return f"its network options want {name} as {list(leaf.shape)}, there is {there}"
    return None


def _measured(metadata: dict[str, Any]) -> dict[str, Any] | None:
    """The moments of residuals in a checkpoint's metadata, if there are any."""
    moments = metadata.get("residual")
    whole = isinstance(moments, dict) and set(ResidualMoments._fields) <= set(moments)
    return moments if whole else None


def _residual_model(networks: Networks, metadata: dict[str, Any]) -> ResidualModel:
    if moments := _measured(metadata):
        return ResidualModel.fit(ResidualMoments.from_dict(moments))
    # A run that has not been validated yet, or by an earlier version.
    return ResidualModel.fit(
        ResidualMoments.default(len(get_skeleton(networks.options.skeleton)))
    )
