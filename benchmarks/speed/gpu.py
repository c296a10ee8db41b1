"""What one GPU does: training by number format and batch, the thesis's test set, filling.

Ours comes first, and PyTorch's where there is time left. What is told of products is by the
operations of the networks' definition, what is told of memory by XLA's count of a step.
"""

import functools

import jax
import jax.numpy as jnp

from benchmarks.speed import check, models, report
from benchmarks.speed.check import torch
from benchmarks.speed.models import PACKAGED, Setup
from benchmarks.speed.sizes import filling
from benchmarks.speed.tasks import Plan, our_search, torch_search, torch_training
from benchmarks.speed.timing import Contender, Task, Timing, take_turns
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.inpainting.settings import DescentOptions

if torch is not None:
    from benchmarks import torch_reference as reference

TEST_SET = 194_568
"""Windows of the thesis's test set at a shift of one frame."""
SECONDS = 4.0
"""Of a measurement's timed calls, after which none begins."""
PRECISIONS = {"float32": "highest", "tf32": "tensorfloat32", "bf16": None}
"""Of products, by the name of the number format."""


def tasks(plan: Plan) -> list[Task]:
    """All of it; PyTorch's way of a training step has a task of its own."""
    sizes = plan.sizes
    result = [
        Task("gradients", functools.partial(_check, plan)),
        *(Task(_matmul(f), functools.partial(_time_matmul, plan, f)) for f in PRECISIONS),
        Task(report.BANDWIDTH, functools.partial(_time_copy, plan)),
    ]
    steps = [(f, sizes.batch) for f in PRECISIONS]
    steps += [(f, batch) for batch in sizes.larger for f in ("bf16", "tf32")]
    result += [Task(_step(*s), functools.partial(_time_step, plan, *s)) for s in steps]
    result.append(Task(_test_set(plan), functools.partial(_time_test_set, plan)))
    result += [
        Task(_filling(plan, quality), functools.partial(_time_filling, plan, quality))
        for quality in ("fast", "balanced")
    ]
    if plan.device is None:
        return result
    return result + [
        *(Task(f"{_step(*s)}, torch eager", functools.partial(_time_torch, plan, False, *s))
          for s in steps),
        *(Task(f"{_step(*s)}, torch compile", functools.partial(_time_torch, plan, True, *s))
          for s in steps[:3]),
        Task(f"{_test_set(plan)}, torch", functools.partial(_time_torch_test_set, plan)),
    ]


def _check(plan: Plan, record: list[Timing]) -> None:
    for phase in ("reconstruction", "full"):
        setup = models.to_check(PACKAGED, plan.sizes.checked)
        compared = check.against_the_cpu if torch is None else check.steps
        record.append(Timing(f"{phase} step", "checked", note=compared(setup, phase)))


def _step(form: str, batch: int) -> str:
    return f"full step, {form}, {batch} windows"


def _time_step(plan: Plan, form: str, batch: int, record: list[Timing]) -> None:
    setup, costs = _setup(form, batch), {}

    def make():
        return models.training(
            setup, "full", plan.sizes.steps, True, PRECISIONS[form], costs)

    _time(plan, record, _step(form, batch), "ours", Contender(make, plan.sizes.steps),
          flop=models.step_flop(setup.networks.options, "full", batch), ceiling=_matmul(form))
    # The body of a loop is counted once.
    record[-1].moved = float(costs.get("bytes accessed", 0.0))


def _time_torch(
    plan: Plan, compiled: bool, form: str, batch: int, record: list[Timing]
) -> None:
    exact = form == "float32"
    torch.set_float32_matmul_precision("highest" if exact else "high")
    torch.backends.cudnn.allow_tf32 = not exact
    way = reference.Contender(compiled)
    setup = _setup(form, batch)
    make = functools.partial(torch_training, setup, "full", way, plan.device, form == "bf16")
    _time(plan, record, _step(form, batch), way.name, Contender(make))


def _setup(form: str, batch: int) -> Setup:
    return Setup(PACKAGED, batch, jnp.bfloat16 if form == "bf16" else jnp.float32)


def _test_set(plan: Plan) -> str:
    steps = plan.sizes.search_steps
    return f"test set at shift 1, {TEST_SET:,} windows x {steps} steps, extrapolated"


def _time_test_set(plan: Plan, record: list[Timing]) -> None:
    setup, options = _searched(plan)
    _time(plan, record, _test_set(plan), "ours",
          Contender(lambda: our_search(setup, options), setup.size / TEST_SET))


def _time_torch_test_set(plan: Plan, record: list[Timing]) -> None:
    setup, options = _searched(plan)
    way = reference.Contender()
    make = functools.partial(torch_search, setup, options, way, plan.device)
    contender = Contender(
        make, setup.size / TEST_SET, lambda call: functools.partial(call, 2))
    _time(plan, record, _test_set(plan), way.name, contender)


def _searched(plan: Plan) -> tuple[Setup, DescentOptions]:
    return Setup(PACKAGED, plan.sizes.part), DescentOptions(steps=plan.sizes.search_steps)


def _filling(plan: Plan, quality: str) -> str:
    return f"filling a track of {plan.sizes.frames} frames, `{quality}`"


def _time_filling(plan: Plan, quality: str, record: list[Timing]) -> None:
    def make():
        return filling(Inpainter.from_pretrained(), quality, plan.sizes.frames)

    _time(plan, record, _filling(plan, quality), "ours", Contender(make, plan.sizes.frames),
          unit="frames/s")


def _matmul(form: str) -> str:
    return f"product of matrices, {form}, 10^12 operations"


def _time_matmul(plan: Plan, form: str, record: list[Timing]) -> None:
    size, times = plan.sizes.matmul, 10

    def make():
        a = jnp.ones((size, size), jnp.bfloat16 if form == "bf16" else jnp.float32)
        a /= size

        def power(a):  # each needs the one before, and a call costs little of them all
            return jax.lax.fori_loop(0, times, lambda _, b: a @ b, a)

        with jax.default_matmul_precision(PRECISIONS[form]):
            program = jax.jit(power).lower(a).compile()
        return lambda: program(a).block_until_ready()

    _time(plan, record, _matmul(form), "ours", Contender(make, times * 2 * size**3 / 1e12))


def _time_copy(plan: Plan, record: list[Timing]) -> None:
    def make():
        x = jnp.ones((plan.sizes.matmul**2 * 4,), jnp.float32)
        program = jax.jit(lambda x: x + 1)
        return lambda: program(x).block_until_ready()

    moved = 2 * 4 * plan.sizes.matmul**2 * 4 / 1e12
    _time(plan, record, report.BANDWIDTH, "ours", Contender(make, moved))


def _time(plan: Plan, record, task: str, name: str, contender: Contender, **about) -> None:
    take_turns(record, task, {name: contender}, plan.repetitions, SECONDS, **about)
