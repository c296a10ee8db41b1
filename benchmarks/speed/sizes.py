"""What long windows and many joints cost."""

import dataclasses
import functools
import itertools

from benchmarks.speed import models
from benchmarks.speed.models import SKELETONS, Setup, Subject
from benchmarks.speed.tasks import Plan
from benchmarks.speed.timing import Contender, Task, Thunk, Timing
from posegan_jax import speed
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.model.options import NetworkOptions
from posegan_jax.training.options import Phase

FRAMES, JOINTS = (24, 48), tuple(SKELETONS)
QUALITY = "balanced"
STEPS = 2
"""Of training in one program."""


def tasks(plan: Plan) -> list[Task]:
    """Filling and training of untrained models, for every number of frames and joints."""
    plan = dataclasses.replace(plan, device=None)
    measures = {
        "filling": functools.partial(_fill, plan),
        "reconstruction step": functools.partial(_train, plan, "reconstruction"),
        "full step": functools.partial(_train, plan, "full"),
    }
    result = []
    for what, measure in measures.items():
        for frames, joints in itertools.product(FRAMES, JOINTS):
            name = f"{what}, {frames} frames, {joints} joints"
            options = functools.partial(_options, frames, joints)
            result.append(Task(name, functools.partial(measure, options, name)))
    return result


def _options(frames: int, joints: int) -> NetworkOptions:
    return NetworkOptions(models.skeleton(joints), frames=frames)


def _fill(plan: Plan, options, task: str, record: list[Timing]) -> None:
    contender = Contender(
        lambda: filling(Inpainter(models.untrained(options())), QUALITY, plan.sizes.frames),
        plan.sizes.frames)
    plan.times(record, task, {"ours": contender}, unit="frames/s")


def _train(plan: Plan, phase: Phase, options, task: str, record: list[Timing]) -> None:
    subject = Subject("", lambda: models.untrained(options()), models.random_windows)
    setup = Setup(subject, plan.sizes.batch)
    contender = Contender(lambda: models.training(setup, phase, STEPS), STEPS)
    plan.times(record, task, {"ours": contender}, unit="steps/s")


def filling(inpainter: Inpainter, quality: str, frames: int) -> Thunk:
    """All that is done with a track that a detector saw, but for reading and writing."""
    sequence = speed.track(inpainter.skeleton.name, frames)
    return lambda: inpainter(sequence, joints=inpainter.skeleton.name, quality=quality)
