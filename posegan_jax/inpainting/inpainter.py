"""Completing, refining and upsampling pose sequences: the tool's main function."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from posegan_jax.errors import InputError, whole
from posegan_jax.inpainting.completer import Completer
from posegan_jax.inpainting.settings import (
    DescentOptions,
    LiveSettings,
    Observed,
    Quality,
    Settings,
    check_bridge,
    settings_of,
)
from posegan_jax.inpainting.solver import Progress, Solver
from posegan_jax.inpainting.stream import Stream
from posegan_jax.inpainting.together import Answer, Request, Result, Steps, run
from posegan_jax.model.model import Model
from posegan_jax.model.options import NETWORKS, Variables
from posegan_jax.model.store import load_model, load_packaged
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import Skeleton
from posegan_jax.runtime import cpus

if TYPE_CHECKING:
    from posegan_jax.model.networks import Networks


class Inpainter:
    """Completes pose sequences with a model.

    Made by ``from_pretrained`` or ``from_checkpoint``; called on one sequence at a time. The search
    is compiled once per process and setting, see ``solver``.

    Args:
      model: whose networks have parameters.
      batch: windows solved at once, see ``solver``.

    Attributes:
      model: without the networks' parameters.
      completer: all that is done with a sequence but for the search.
      solver: networks and parameters on the devices, and how many windows they solve at once.

    Raises:
      InputError: the model has no networks, or ``batch`` is less than 2.
    """

    def __init__(self, model: Model, batch: int | None = None):
        if missing := [name for name in NETWORKS if name not in model.variables]:
            raise InputError(f"the model has no {missing[0]}, so it completes nothing by itself")
        networks = {name: model.variables[name] for name in NETWORKS}
        self.solver = Solver(model.options, networks, batch)
        self.completer = Completer(model.for_hosts())

    @classmethod
    def from_pretrained(cls, batch: int | None = None) -> "Inpainter":
        """With the parameters that come with the package."""
        return cls(load_packaged(), batch)

    @classmethod
    def from_checkpoint(cls, directory: str | os.PathLike, batch: int | None = None) -> "Inpainter":
        """With the parameters of a training run's folder or of packaged parameters.

        Args:
          directory: a workdir of training, its checkpoints folder, or one checkpoint in it.
          batch: windows solved at once, see ``solver``.

        Raises:
          InputError: there is no usable checkpoint.
        """
        return cls(load_model(directory), batch)

    @property
    def model(self) -> Model:
        """The model, without the parameters that are on the devices alone."""
        return self.completer.model

    @property
    def networks(self) -> "Networks":
        """The modules that are searched."""
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
    def metadata(self) -> dict[str, Any]:
        """What is said of the model: configuration, metrics, data."""
        return self.model.about

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton that the networks generate."""
        return self.model.skeleton

    @property
    def inputs(self) -> tuple[str, ...]:
        """Joints that the networks look at: those that their training showed them."""
        return self.model.inputs

    def __call__(
        self, sequence: PoseSequence, joints: str = "same", quality: Quality = "balanced",
        observed: Observed = "auto", shift: int | None = None, steps: int | None = None,
        settings: Settings | None = None, progress: Progress | None = None,
        repair_sides: bool = True, bridge: float | None = None,
    ) -> PoseSequence:
        """Completes a sequence.

        Args:
          sequence: one person; frames may be absent, joints missing. Its frame rate is up to 240
            per second, 30 where it is not known, see ``rate``.
          joints: 'same' fills the joints of the sequence's own skeleton, and leaves those that the
            model does not know as they are; a skeleton whose joints the model knows, or that
            follow from them, gives all joints of that ('mpi_inf_3dhp' is all that the packaged one
            knows).
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
          bridge: seconds of the longest gap, frames in which no joint was seen, that is filled;
            None: a second, and no longer than what was seen around it, see ``continuity``.

        Returns:
          A sequence with scores and provenance, and a row for every frame that the input has or
          that lies in a gap that is bridged. Frames of other gaps, and those further than a window
          from anything observed, stay missing or absent. The score of a refined
          or filled joint is the probability that it lies within half a head size of the truth, as
          ``model.certainty`` says.

        Raises:
          InputError: unknown options, a frame rate out of range, or a sequence without any joint
            that the model observes.
        """
        settings = settings_of(quality, shift, steps, settings)
        check_bridge(bridge)
        steps = self.completer.steps(sequence, joints, settings, observed, repair_sides, bridge)
        return self.solve(steps, progress)

    def solve(self, steps: Steps[Result], progress: Progress | None = None) -> Result:
        """Solves what is asked for on the way, and gives what it comes to.

        Args:
          steps: as of ``completer.Completer.steps``, or of several ``together``.
          progress: as of a call.
        """

        def answer(request: Request) -> Answer:
            x, mask, options, look = request
            return self.search(x, mask, options, None if look else progress)

        return run(steps, answer)

    def stream(
        self, skeleton: str = "coco17", fps: float | None = None, joints: str = "same",
        people: int = 1, observed: Observed = "auto", delay: int = 0,
        settings: LiveSettings = LiveSettings(),
    ) -> Stream:
        """Completes live tracks, a frame at a time.

        Args:
          skeleton: name of the skeleton of what will be pushed.
          fps: frames per second, from 5 to 240; 30 where it is not known.
          joints: 'same' or a skeleton, as of a call.
          people: tracks that are completed at once, P.
          observed: what becomes of joints that were seen, as of a call.
          delay: frames that are looked ahead: a frame is delivered when as many have followed.
          settings: of what is done besides, see there.

        Returns:
          A stream; nothing is compiled later on.

        Raises:
          InputError: unknown options, or numbers out of range.
        """
        device = self.solver.mesh.devices.flat[:1].tolist()
        solver = self.solver.another(max(whole("people", people), 2), device)
        return Stream(
            self.completer, solver, skeleton, fps, joints, people, observed, delay, settings
        )

    def can_complete(self, sequence: PoseSequence, bridge: float | None = None) -> bool:
        """Whether some window shows two of the joints that the model observes, at two places."""
        return self.completer.can_complete(sequence, bridge)

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
