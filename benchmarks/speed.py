"""posegan_jax against PyTorch, in one run on one machine.

    python -m benchmarks.speed -o speed.json
    python -m benchmarks.speed --only train --device cpu

The same networks, parameters, batches and losses (``benchmarks.torch_reference``); before anything
is timed, losses and gradients of both are compared. The contenders take turns, as other work on the
machine comes and goes, and the least and the median of their times are told. Ctrl-C tells what was
measured until then.
"""

import argparse
import dataclasses
import functools
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from posegan_jax.errors import InputError
from posegan_jax.inpainting.descent import descend
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.inpainting.settings import DescentOptions
from posegan_jax.model.networks import build_networks
from posegan_jax.motion.store import build_store, load_clips
from posegan_jax.runtime import cpus, parallel
from posegan_jax.runtime.files import atomic_path
from posegan_jax.training.losses import interpolation_weights
from posegan_jax.training.options import OptimizerOptions, StepOptions
from posegan_jax.training.state import create_state
from posegan_jax.training.step import Batch, sample_batch, train_steps, update

try:
    import torch

    from benchmarks import torch_reference as reference
except ImportError:
    torch = None

PARTS = ("train", "descent", "gpu")
BATCH, LARGE_BATCHES = 256, (1024, 4096)
WINDOWS, SEARCH_STEPS = 64, 200
TEST_SET = 194_568
"""Windows of the thesis's test set at a shift of one frame."""
STEPS = 10
"""Training steps in one program, inside a ``lax.scan`` as the training loop's are, which takes 50
(``train.steps_per_dispatch``): what a call costs is spread over them."""
TOLERANCE = 1e-4

Thunk = Callable[[], object]


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds of every repetition of one contender at one task; none: not measured."""

    task: str
    contender: str
    seconds: tuple[float, ...]
    note: str = ""

    @property
    def least(self) -> float:
        return min(self.seconds, default=float("nan"))

    @property
    def median(self) -> float:
        return statistics.median(self.seconds) if self.seconds else float("nan")


def take_turns(
    task: str, contenders: dict[str, tuple[Thunk, float]], repetitions: int
) -> list[Timing]:
    """Times contenders in turns.

    Args:
      task: what they do.
      contenders: name -> (a function that returns when it is done, what a call counts).
      repetitions: calls that are timed, after one that is not.

    Returns:
      Seconds per counted unit; a contender that fails is told by its error.
    """
    seconds = {name: [] for name in contenders}
    failed = {}
    for turn in tqdm(range(repetitions + 1), desc=task, disable=None, leave=False):
        for name, (call, count) in contenders.items():
            if name in failed:
                continue
            start = time.perf_counter()
            try:
                call()
            except Exception as error:  # PyTorch's compiler has many
                failed[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"
                continue
            if turn:
                seconds[name].append((time.perf_counter() - start) / count)
    return [Timing(task, n, tuple(seconds[n]), failed.get(n, "")) for n in contenders]


# --- what is timed ------------------------------------------------------------------------------


class Setup:
    """Networks with the packaged parameters, motion, and a batch."""

    def __init__(self, batch: int, dtype=jnp.float32):
        inpainter = Inpainter.from_pretrained()
        self.variables = jax.device_get(inpainter.variables)
        self.networks = build_networks(
            inpainter.model.options, dtype=dtype
        )
        self.options = StepOptions(batch_size=batch, optimizer=OptimizerOptions(eps=1e-3))
        views = self.options.views
        store = build_store(load_clips("procedural", "train"), views.span(24), 1)
        self.mesh = parallel.make_mesh(_devices())
        self.store = parallel.replicate(self.mesh, store)
        draw = jax.jit(functools.partial(
            sample_batch, networks=self.networks, options=self.options))
        self.batch = parallel.scatter(self.mesh, draw(jax.random.key(0), self.store))
        self.key = jax.random.key(1)

    def state(self):
        state = create_state(self.networks, self.options, seed=0)
        averages = {name: self.variables[name] for name in state.averages}
        return parallel.replicate(
            self.mesh, state.replace(variables=self.variables, averages=averages))

    def random_inputs(self) -> tuple[np.ndarray, np.ndarray]:
        """z and the places of x_hat that ``update`` draws from the key."""
        k_z, k_critic = jax.random.split(self.key)
        n = self.options.batch_size
        z = jax.random.normal(k_z, (n, self.networks.options.latent))
        places = interpolation_weights(k_critic, n)
        return np.array(z), np.array(places).reshape(n, 1, 1, 1)


def _devices() -> list[jax.Device]:
    """One GPU, as PyTorch has, or a device for each core."""
    device = jax.config.jax_default_device
    devices = jax.devices(device.platform if device else None)
    return devices if devices[0].platform == "cpu" else devices[:1]


def ours_training(setup: Setup, phase: str, sampling: bool) -> Thunk:
    """STEPS training steps in one program, as the training loop runs them."""
    common = dict(
        networks=setup.networks, options=setup.options, phase=phase, mesh=setup.mesh)
    if sampling:
        def steps(state, store, batch):
            return train_steps(state, store, count=STEPS, **common)[0]
    else:
        def steps(state, store, batch):
            def body(state, _):
                return update(state, Batch(*batch), setup.key, **common)[0], None

            return jax.lax.scan(body, state, length=STEPS)[0]

    program = jax.jit(steps, donate_argnums=0)
    state = setup.state()

    def call():
        nonlocal state
        state = program(state, setup.store, setup.batch)
        jax.block_until_ready(state)

    return call


def torch_contenders() -> list["reference.Contender"]:
    if torch is None:
        return []
    return [reference.Contender(c, last) for c in (False, True) for last in (False, True)]


def to_torch(device: str, *arrays) -> list["torch.Tensor"]:
    return [torch.tensor(np.asarray(a), device=device) for a in arrays]


def wait_for(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def torch_training(
    setup: Setup, phase: str, contender: "reference.Contender", device: str, bfloat16: bool = False
) -> Thunk:
    """One training step on a batch that is given."""
    networks = reference.build(setup.networks.options, setup.variables, contender, device)
    trainer = reference.Trainer(networks, setup.options, contender, 1e-4)
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


def train(device: str, repetitions: int) -> list[Timing]:
    """A training step: reconstruction alone, and with the critic."""
    setup = Setup(BATCH)
    timings = []
    for phase in ("reconstruction", "full"):
        compare_training(setup, phase)
        contenders = {
            "ours": (ours_training(setup, phase, sampling=False), STEPS),
            "ours, sampling included": (ours_training(setup, phase, sampling=True), STEPS),
        }
        for contender in torch_contenders():
            contenders[contender.name] = (torch_training(setup, phase, contender, device), 1)
        timings += take_turns(f"{phase} step, batch {BATCH}", contenders, repetitions)
    return timings


def compare_training(setup: Setup, phase: str) -> None:
    """A step computes the same losses and gradients in both, or InputError.

    Both compute in float64 for this: in float32 either errs by 2e-4.
    """
    if torch is None:
        return
    with jax.enable_x64(True):
        _compare_exactly(setup, phase)


def _compare_exactly(setup: Setup, phase: str) -> None:
    networks = build_networks(setup.networks.options, dtype=jnp.float64)
    step = jax.jit(functools.partial(
        update, networks=networks, options=setup.options, phase=phase, mesh=setup.mesh))
    with jax.default_matmul_precision("highest"):  # not the TF32 of GPUs
        after, metrics = step(_double(setup.state()), _double(setup.batch), setup.key)
    theirs = _exact(setup)
    trainer = reference.Trainer(theirs, setup.options, reference.Contender(), 1e-4)
    inputs = [t.double() for t in to_torch("cpu", *setup.batch)]
    ours, found = {"loss": metrics["autoencoder_loss"]}, {}
    if phase == "full":
        inputs += [t.double() for t in to_torch("cpu", *setup.random_inputs())]
        found["critic's loss"], found["loss"] = trainer.full_step(*inputs)
        penalty = setup.options.weights.gradient_penalty * metrics["gradient_penalty"]
        ours["critic's loss"] = penalty - metrics["wasserstein"]
    else:
        found["loss"] = trainer.reconstruction_step(*inputs)
        del theirs["discriminator"]
    for name, network in theirs.items():
        # Adam's first moment of the first step is the gradient times 1 - b1.
        moment = reference.parameters_like(network, {"params": after.optimizers[name].mu})
        scale = 1 - setup.options.optimizer.b1
        ours[f"{name}'s gradient"] = np.concatenate([m.ravel() / scale for m in moment])
        found[f"{name}'s gradient"] = torch.cat([p.grad.ravel() for p in network.parameters()])
    compare(ours, found)


def _double(tree):
    """With float64 for float32."""
    return jax.tree.map(lambda a: a.astype("float64") if a.dtype == "float32" else a, tree)


def _exact(setup: Setup) -> dict[str, "torch.nn.Module"]:
    networks = reference.build(setup.networks.options, setup.variables)
    return {name: network.double() for name, network in networks.items()}


def compare(ours: dict, found: dict) -> None:
    """Tells the relative difference of each, and raises InputError where it is large."""
    for name, expected in ours.items():
        expected, value = np.asarray(expected), found[name].detach().cpu().numpy()
        error = np.linalg.norm(value - expected) / np.linalg.norm(expected)
        print(f"{name}: relative difference {error:.1e}", file=sys.stderr)
        if not error <= TOLERANCE:
            raise InputError(f"{name}: PyTorch's differs from ours by {error:.1e}, nothing timed")


def descent(device: str, repetitions: int) -> list[Timing]:
    """The search of 64 windows with the thesis's settings; seconds of a step."""
    setup = Setup(WINDOWS)
    _, x, mask = setup.batch
    options = DescentOptions(steps=SEARCH_STEPS)
    compare_search(setup)
    search = jax.jit(functools.partial(descend, setup.networks, options=options))
    variables = parallel.replicate(setup.mesh, setup.variables)
    contenders = {
        "ours": (lambda: jax.block_until_ready(search(variables, x, mask)), SEARCH_STEPS)
    }
    for contender in torch_contenders():
        contenders[contender.name] = (
            torch_search(setup, options, contender, device), options.steps)
    return take_turns(f"search, {WINDOWS} windows, one step of {SEARCH_STEPS}", contenders,
                      max(2, repetitions // 3))


def torch_search(setup: Setup, options, contender: "reference.Contender", device: str) -> Thunk:
    networks = reference.build(setup.networks.options, setup.variables, contender, device)
    search = reference.Search(networks, options, contender)
    inputs = to_torch(device, setup.batch.x_in, setup.batch.mask)

    def call():
        search(*inputs)
        wait_for(device)

    return call


def compare_search(setup: Setup) -> None:
    """A few steps find the same in both, or InputError; later ones magnify rounding errors."""
    if torch is None:
        return
    _, x, mask = setup.batch
    # A large eps: near zero, Adam tells but the sign of a gradient's rounding error.
    options = DescentOptions(steps=3, eps=1.0)
    search = jax.jit(functools.partial(descend, setup.networks, options=options))
    with jax.default_matmul_precision("highest"):
        found = search(setup.variables, x, mask)
    search = reference.Search(_exact(setup), options, reference.Contender())
    z, loss = search(*(t.double() for t in to_torch("cpu", x, mask)))
    compare({"objective": found.loss, "codes": found.z}, {"objective": loss, "codes": z})


# --- accelerators -------------------------------------------------------------------------------


def gpu(device: str, repetitions: int) -> list[Timing]:
    """Training in TF32 and bfloat16 by batch size, the thesis's test set, and the ceilings."""
    timings = []
    for dtype in ("tf32", "bf16"):
        for batch in (BATCH, *LARGE_BATCHES):
            task = f"full step, {dtype}, batch {batch}, a 256 samples"
            timings += (_gpu_training(task, dtype, batch, repetitions) if device == "cuda"
                        else [Timing(task, "ours, sampling included", ())])
    task = f"test set at shift 1, {TEST_SET:,} windows x {SEARCH_STEPS} steps, extrapolated"
    timings += _gpu_test_set(task) if device == "cuda" else [Timing(task, "ours", ())]
    return timings + _ceilings(device)


def _gpu_training(task: str, dtype: str, batch: int, repetitions: int) -> list[Timing]:
    setup = Setup(batch, jnp.bfloat16 if dtype == "bf16" else jnp.float32)
    if torch is not None:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
    blocks = batch / BATCH
    contenders = {
        "ours, sampling included": (ours_training(setup, "full", sampling=True), STEPS * blocks)
    }
    for compiled in (False, True) if torch is not None else ():
        contender = reference.Contender(compiled)
        call = torch_training(setup, "full", contender, "cuda", bfloat16=dtype == "bf16")
        contenders[contender.name] = (call, blocks)
    return take_turns(task, contenders, repetitions)


def _gpu_test_set(task: str, part: int = 4096) -> list[Timing]:
    setup = Setup(part)
    _, x, mask = setup.batch
    options = DescentOptions(steps=SEARCH_STEPS)
    search = jax.jit(functools.partial(descend, setup.networks, options=options))
    variables = parallel.replicate(setup.mesh, setup.variables)
    share = part / TEST_SET
    ours = (lambda: jax.block_until_ready(search(variables, x, mask)), share)
    contenders = {"ours": ours}
    if torch is not None:
        contender = reference.Contender(compiled=True)
        contenders[contender.name] = (torch_search(setup, options, contender, "cuda"), share)
    return take_turns(task, contenders, 2)


def _ceilings(device: str) -> list[Timing]:
    """How long a large matmul and a large copy take: what any program is up against."""
    size = 8192 if device == "cuda" else 2048
    timings = []
    for dtype in (jnp.float32, jnp.bfloat16):
        task = f"matmul, {jnp.dtype(dtype).name}, 10^12 operations"
        if device != "cuda" and dtype == jnp.bfloat16:
            timings.append(Timing(task, "ours", ()))
            continue
        a = jnp.ones((size, size), dtype)
        multiply = jax.jit(jnp.matmul)
        work = 2 * size**3 / 1e12
        timings += take_turns(
            task, {"ours": (lambda a=a, f=multiply: f(a, a).block_until_ready(), work)}, 5)
    x = jnp.ones((size * size * 4,), jnp.float32)
    copy = jax.jit(lambda x: x + 1)
    moved = 2 * x.nbytes / 1e12
    return timings + take_turns(
        "read and written, 10^12 bytes", {"ours": (lambda: copy(x).block_until_ready(), moved)}, 5)


# --- report -------------------------------------------------------------------------------------


def report(timings: list[Timing]) -> str:
    """One table: per task the least (median) time of ours and of PyTorch's best, and the ratio."""
    lines = ["task | ours | torch eager | torch compile | torch's best / ours",
             "--- | ---: | ---: | ---: | ---:"]
    for task in dict.fromkeys(t.task for t in timings):
        mine = [t for t in timings if t.task == task]
        eager = _best(t for t in mine if t.contender.startswith("torch eager"))
        compiled = _best(t for t in mine if t.contender.startswith("torch compile"))
        theirs = _best(t for t in (eager, compiled) if t)
        for ours in (t for t in mine if t.contender.startswith("ours")):
            name = task + ours.contender.removeprefix("ours")
            ratio = f"{theirs.least / ours.least:.2f}" if theirs and ours.seconds else ""
            lines.append(" | ".join(
                [name, _cell(ours, True), _cell(eager), _cell(compiled), ratio]))
    failed = [f"{t.task}, {t.contender}: {t.note}" for t in timings if t.note]
    return "\n".join(lines + ([""] + failed if failed else []))


def _best(timings) -> Timing | None:
    return min((t for t in timings if t.seconds), key=lambda t: t.least, default=None)


def _cell(timing: Timing | None, wanted: bool = False) -> str:
    if timing is None or not timing.seconds:
        return "not measured" if wanted else ""
    return f"{_seconds(timing.least)} ({_seconds(timing.median)})"


def _seconds(value: float) -> str:
    return f"{value:.3g} s" if value >= 1 else f"{1e3 * value:.3g} ms"


def save(path: str, timings: list[Timing], device: str) -> None:
    versions = {"jax": jax.__version__, "torch": torch and torch.__version__,
                "python": platform.python_version()}
    about = {"device": device, "cores": cpus.usable(), "versions": versions}
    content = about | {"timings": [dataclasses.asdict(t) for t in timings]}
    with atomic_path(Path(path)) as temporary:
        Path(temporary).write_text(json.dumps(content, indent=1) + "\n")


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", help="a JSON file of all repetitions")
    parser.add_argument("--device", choices=("cpu", "gpu"), help="default: a GPU if there is one")
    parser.add_argument("--only", default=",".join(PARTS), help="of %(default)s")
    parser.add_argument("--repetitions", type=int, default=6, help="of every contender")
    options = parser.parse_args(argv)
    timings, code = [], 0
    try:
        parts, device = _choices(options)
        for part in parts:
            timings += globals()[part](device, options.repetitions)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; this was measured:", file=sys.stderr)
        code = 130
    print(report(timings))
    if options.output:
        save(options.output, timings, device)
    return code


def _choices(options) -> tuple[list[str], str]:
    parts = options.only.split(",")
    if unknown := set(parts) - set(PARTS):
        raise InputError(f"--only {','.join(sorted(unknown))}: choose of {','.join(PARTS)}")
    if options.repetitions < 1:
        raise InputError(f"--repetitions is {options.repetitions}: at least 1")
    cpus.one_device_each(WINDOWS)
    if options.device:
        try:
            jax.config.update("jax_default_device", jax.devices(options.device)[0])
        except RuntimeError as error:
            raise InputError(f"--device {options.device}: JAX finds none") from error
    on_gpu = (options.device or jax.default_backend()) == "gpu"
    if torch is None:
        print("PyTorch is not installed: only ours is timed", file=sys.stderr)
    elif on_gpu and not torch.cuda.is_available():
        raise InputError("PyTorch finds no GPU; install its CUDA build")
    elif not on_gpu:
        torch.set_num_threads(cpus.usable())
    return parts, "cuda" if on_gpu else "cpu"


if __name__ == "__main__":
    sys.exit(main())
