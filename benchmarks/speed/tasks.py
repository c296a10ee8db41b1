"""What is timed against PyTorch: training steps, the search, and the search to one objective."""

import dataclasses
import functools

import jax

from benchmarks.speed import check, models
from benchmarks.speed.check import to_torch, torch
from benchmarks.speed.models import IN_SPACE, PACKAGED, Setup, Subject
from benchmarks.speed.timing import Contender, Task, Thunk, Timing, say, take_turns
from posegan_jax.inpainting.descent import inverse_metric
from posegan_jax.inpainting.settings import QUALITIES, DescentOptions
from posegan_jax.runtime import parallel
from posegan_jax.training.options import Phase

if torch is not None:
    from benchmarks import torch_reference as reference

QUALITY = "balanced"
RATES = (0.0125, 0.025, 0.05, 0.1, 0.2)
"""Of PyTorch's Adam, which takes the one with the fewest steps."""
MOST_STEPS = 100
"""Of Adam to the objective of BFGS."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is timed.

    Attributes:
      batch: windows of a training step.
      larger: of those that only a GPU is asked for.
      steps: of training in one program.
      trained: steps that a model is trained before it is searched.
      windows: that are searched at once.
      search_steps: of the search.
      checked: windows of which gradients are compared.
      part: windows of the thesis's test set that are searched.
      matmul: rows and columns of the matrices that tell the ceilings.
      frames: of the track that is filled.
    """

    batch: int = 256
    larger: tuple[int, ...] = (1024, 4096)
    steps: int = 10
    trained: int = 60
    windows: int = 64
    search_steps: int = 200
    checked: int = 8
    part: int = 4096
    matmul: int = 8192
    frames: int = 2000


TINY = Sizes(4, (), 2, 2, 4, 2, 4, 4, 64, 30)
"""For tests: the same programs, of hardly any work."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """How it is timed.

    Attributes:
      device: PyTorch's name of it, 'cpu' or 'cuda'; None: PyTorch is not timed.
      repetitions: of every contender, at most.
      budget: seconds of a task's timed calls, after which no turn begins.
      sizes: how much.
    """

    device: str | None
    repetitions: int = 6
    budget: float = 10.0
    sizes: Sizes = Sizes()

    def times(self, record: list[Timing], task: str, contenders: dict, **about) -> None:
        """See ``timing.take_turns``."""
        budget = about.pop("budget", self.budget)
        take_turns(record, task, contenders, self.repetitions, budget, **about)


def training(plan: Plan, subject: Subject = PACKAGED) -> list[Task]:
    """A training step: reconstruction alone, and with the critic."""
    setup = Setup(subject, plan.sizes.batch)
    return [
        Task(_step_name(setup, phase), functools.partial(_time_training, plan, setup, phase))
        for phase in ("reconstruction", "full")
    ]


def _step_name(setup: Setup, phase: Phase) -> str:
    return f"{phase} step, {setup.subject.name}, {setup.size} windows"


def _time_training(plan: Plan, setup: Setup, phase: Phase, record: list[Timing]) -> None:
    task, subject, steps = _step_name(setup, phase), setup.subject, plan.sizes.steps
    checked = check.steps(models.to_check(subject, plan.sizes.checked), phase)
    record.append(Timing(task, "checked", note=checked))
    contenders = {
        "ours": Contender(lambda: models.training(setup, phase, steps), steps),
    }
    if subject.windows is None:
        contenders["ours, sampling included"] = Contender(
            lambda: models.training(setup, phase, steps, sampling=True), steps)
    for way in torch_ways(plan):
        contenders[way.name] = Contender(
            functools.partial(torch_training, setup, phase, way, plan.device))
    plan.times(record, task, contenders)


def search(plan: Plan, subject: Subject = PACKAGED) -> list[Task]:
    """The search with the thesis's settings; seconds of a step."""
    return [Task(_search_name(plan, subject), functools.partial(_time_search, plan, subject))]


def space(plan: Plan) -> list[Task]:
    """The same of a larger model, with random parameters where they cost the same."""
    trained = models.trained_in_space(plan.sizes.trained, plan.sizes.batch)
    return training(plan, IN_SPACE) + search(plan, IN_SPACE) + equal(plan, trained)


def _search_name(plan: Plan, subject: Subject) -> str:
    sizes = plan.sizes
    return f"search, {subject.name}, {sizes.windows} windows, one step of {sizes.search_steps}"


def _time_search(plan: Plan, subject: Subject, record: list[Timing]) -> None:
    setup = Setup(subject, plan.sizes.windows)
    checked = check.search(setup, plan.sizes.checked)
    record.append(Timing(_search_name(plan, subject), "checked", note=checked))
    options = DescentOptions(steps=plan.sizes.search_steps)
    contenders = {"ours": Contender(lambda: our_search(setup, options), options.steps)}
    for way in torch_ways(plan):
        contenders[way.name] = Contender(
            functools.partial(torch_search, setup, options, way, plan.device), options.steps,
            lambda call: functools.partial(call, 2))
    plan.times(record, _search_name(plan, subject), contenders)


def equal(plan: Plan, subject: Subject = PACKAGED) -> list[Task]:
    """Ours and PyTorch's search until they have reached the same objective."""
    return [Task(_equal_name(plan, subject), functools.partial(_time_equal, plan, subject))]


def _equal_name(plan: Plan, subject: Subject) -> str:
    return f"search to the objective of `{QUALITY}`, {subject.name}, {plan.sizes.windows} windows"


def _time_equal(plan: Plan, subject: Subject, record: list[Timing]) -> None:
    ours = QUALITIES[QUALITY].descent
    setup = Setup(subject, plan.sizes.windows)
    metric = jax.jit(functools.partial(inverse_metric, setup.networks))(setup.variables)
    found = models.search(setup, ours)(*_inputs(setup), metric)
    start, goal = float(found.start_loss.mean()), float(found.loss.mean())
    ways = torch_ways(plan)
    told = f"{ours.steps} evaluations of BFGS bring the objective from {start:.4f} to {goal:.4f}"
    contenders = {"ours": Contender(lambda: our_search(setup, ours, metric))}
    if ways:
        check.search(setup, plan.sizes.checked, ours.weights)
        theirs = adam_to(goal, setup, ours, plan.device)
        if theirs is None:
            told += f", more than {MOST_STEPS} steps of PyTorch's Adam"
            ways = []
        else:
            told += f", {theirs.steps} steps of PyTorch's Adam at a rate of {theirs.learning_rate}"
    for way in ways:
        contenders[way.name] = Contender(
            functools.partial(torch_search, setup, theirs, way, plan.device), 1,
            lambda call: functools.partial(call, 2))
    say("  " + told)
    plan.times(record, f"{_equal_name(plan, subject)}: {told}", contenders)


def adam_to(
    goal: float, setup: Setup, options: DescentOptions, device: str
) -> DescentOptions | None:
    """The rate and number of steps with which PyTorch's Adam is the first to reach an objective.

    Args:
      goal: the mean over the windows.
      setup: of networks and windows.
      options: whose weights both have.
      device: PyTorch's.

    Returns:
      None: none is in ``MOST_STEPS``.
    """
    best = None
    inputs = to_torch(device, setup.batch.x_in, setup.batch.mask)
    for rate in RATES:
        most = best.steps - 1 if best else MOST_STEPS
        tried = dataclasses.replace(
            options, method="adam", learning_rate=rate, steps=max(most, 0))
        networks = reference.build(
            setup.networks.options, setup.variables, reference.Contender(), device)
        steps = reference.Search(networks, tried, reference.Contender()).steps_to(goal, *inputs)
        if steps is not None:
            best = dataclasses.replace(tried, steps=steps)
    return best


# --- contenders ---------------------------------------------------------------------------------


def torch_ways(plan: Plan) -> list["reference.Contender"]:
    """Eager and compiled, channels last, and eager with others, which was never faster compiled."""
    if plan.device is None:
        return []
    return [reference.Contender(*way) for way in ((False, True), (True, True), (False, False))]


def our_search(setup: Setup, options: DescentOptions, metric=None) -> Thunk:
    """The search of all windows of the batch."""
    program, inputs = models.search(setup, options), _inputs(setup)
    return lambda: jax.block_until_ready(program(*inputs, metric))


def _inputs(setup: Setup):
    _, x, mask = setup.batch
    return parallel.replicate(setup.mesh, setup.variables), x, mask


def torch_training(
    setup: Setup, phase: Phase, way: "reference.Contender", device: str, bfloat16: bool = False
) -> Thunk:
    """One training step on a batch that is given."""
    networks = reference.build(setup.networks.options, setup.variables, way, device)
    trainer = reference.Trainer(networks, setup.options, way, 1e-4)
    inputs = to_torch(device, *setup.batch)
    step = trainer.reconstruction_step
    if phase == "full":
        inputs += to_torch(device, *setup.random_inputs())
        step = trainer.full_step

    def call():
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            step(*inputs)
        wait_for(device)

    return call


def torch_search(
    setup: Setup, options: DescentOptions, way: "reference.Contender", device: str
) -> Thunk:
    """The search of all windows of the batch, of as many steps as a call says."""
    networks = reference.build(setup.networks.options, setup.variables, way, device)
    find = reference.Search(networks, options, way)
    inputs = to_torch(device, setup.batch.x_in, setup.batch.mask)

    def call(steps=None):
        find(*inputs, steps)
        wait_for(device)

    return call


def wait_for(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
