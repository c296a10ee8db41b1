"""Both compute the same, or nothing is timed.

They compute in float64 for this: in float32 either errs by 2e-4. Without PyTorch, a GPU is compared
with the CPU.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.speed import models
from benchmarks.speed.models import Setup
from benchmarks.speed.timing import say
from posegan_jax.errors import InputError
from posegan_jax.inpainting.settings import DescentOptions, ObjectiveWeights
from posegan_jax.model.networks import NETWORKS, build_networks
from posegan_jax.training.options import Phase
from posegan_jax.training.step import update

try:
    import torch

    from benchmarks import torch_reference as reference
except (ImportError, OSError):  # OSError: its CUDA build without CUDA's libraries
    torch = None

THESIS = ObjectiveWeights()
TOLERANCE = 1e-4
FLOAT32_TOLERANCE = 3e-3
UNOPTIMIZED = {
    "xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True,
}
"""For a step that runs once on a CPU: compiled in a fraction of the time. Of the search's gradient,
it makes something else (benchmarks/NOTES.md)."""


def steps(setup: Setup, phase: Phase) -> str:
    """A training step computes the same losses and gradients in PyTorch, or InputError.

    Returns:
      What is to be said of it.
    """
    if torch is None:
        return ""
    theirs = exact(setup)

    def in_order(name, moments):
        return reference.parameters_like(theirs[name], {"params": moments})

    with jax.enable_x64(True):
        ours = gradients(setup, phase, jnp.float64, in_order)
        return compare(ours, _torch_gradients(setup, phase, theirs))


def against_the_cpu(setup: Setup, phase: Phase) -> str:
    """As ``steps``, of float32 on this device and float64 on the CPU."""
    cpu = jax.devices("cpu")[:1]
    with jax.enable_x64(True):  # here, too, so that z and x_hat are the same
        here = gradients(setup, phase, jnp.float32)
        with jax.default_device(cpu[0]):
            there = gradients(dataclasses.replace(setup, devices=cpu), phase, jnp.float64)
    return compare(there, here, FLOAT32_TOLERANCE, "the CPU's in float64")


def gradients(setup: Setup, phase: Phase, dtype, in_order=None) -> dict[str, np.ndarray]:
    """The losses and each network's gradient of a step of ours.

    Args:
      setup: of networks and batch.
      phase: of training.
      dtype: in which it is computed.
      in_order: gives a list of a network's arrays, of its name and its tree; None: as they come.
    """
    networks = build_networks(setup.networks.options, dtype=dtype)
    step = jax.jit(functools.partial(
        update, networks=networks, options=setup.options, phase=phase, mesh=setup.mesh),
        compiler_options=UNOPTIMIZED if setup.on_cpu else None)
    state, batch = setup.state(), setup.batch
    if dtype == jnp.float64:
        state, batch = _double(state), _double(batch)
    with jax.default_matmul_precision("highest"):  # not the TF32 of GPUs
        after, metrics = step(state, batch, setup.key)
    found = {"loss": metrics["autoencoder_loss"]}
    if phase == "full":
        penalty = setup.options.weights.gradient_penalty * metrics["gradient_penalty"]
        found["critic's loss"] = penalty - metrics["wasserstein"]
    for name in NETWORKS if phase == "full" else ("generator", "encoder"):
        # Adam's first moment of the first step is the gradient times 1 - b1.
        moments = jax.device_get(after.optimizers[name].mu)
        moments = in_order(name, moments) if in_order else jax.tree.leaves(moments)
        scale = 1 - setup.options.optimizer.b1
        found[f"{name}'s gradient"] = np.concatenate([m.ravel() / scale for m in moments])
    return {name: np.asarray(value) for name, value in found.items()}


def _torch_gradients(setup: Setup, phase: Phase, theirs: dict) -> dict:
    trainer = reference.Trainer(theirs, setup.options, reference.Contender(), 1e-4)
    inputs = [t.double() for t in to_torch("cpu", *setup.batch)]
    found = {}
    if phase == "full":
        inputs += [t.double() for t in to_torch("cpu", *setup.random_inputs())]
        found["critic's loss"], found["loss"] = trainer.full_step(*inputs)
    else:
        found["loss"] = trainer.reconstruction_step(*inputs)
    for name, network in theirs.items():
        if phase == "reconstruction" and name == "discriminator":
            continue
        found[f"{name}'s gradient"] = torch.cat([p.grad.ravel() for p in network.parameters()])
    return found


def search(setup: Setup, count: int, weights: ObjectiveWeights = THESIS) -> str:
    """A few steps find the same in both, or InputError; later ones magnify rounding errors.

    Args:
      setup: of networks and windows.
      count: of its windows that are searched, the first.
      weights: of the objective.
    """
    if torch is None:
        return ""
    x, mask = (np.asarray(a)[:count] for a in (setup.batch.x_in, setup.batch.mask))
    # A large eps: near zero, Adam tells but the sign of a gradient's rounding error.
    options = DescentOptions(steps=3, eps=1.0, weights=weights)
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        double = dataclasses.replace(setup, dtype=jnp.float64)
        found = models.search(double, options)(*_double((setup.variables, x, mask)))
    theirs = reference.Search(exact(setup), options, reference.Contender())
    z, loss = theirs(*(t.double() for t in to_torch("cpu", x, mask)))
    return compare({"objective": found.loss, "codes": found.z}, {"objective": loss, "codes": z})


def compare(
    ours: dict, found: dict, tolerance: float = TOLERANCE, whose: str = "PyTorch's"
) -> str:
    """Tells the relative difference of each, and raises InputError where it is large."""
    most = 0.0
    for name, expected in ours.items():
        expected, value = np.asarray(expected), found[name]
        if torch is not None and isinstance(value, torch.Tensor):
            value = value.detach().cpu().numpy()
        error = np.linalg.norm(value - expected) / np.linalg.norm(expected)
        say(f"  {name}: relative difference {error:.1e}")
        if not error <= tolerance:
            raise InputError(f"{name}: {whose} differs from ours by {error:.1e}, nothing timed")
        most = max(most, error)
    return f"{', '.join(ours)}: as {whose} to {most:.0e}"


def exact(setup: Setup) -> dict[str, "torch.nn.Module"]:
    """PyTorch's networks in float64."""
    networks = reference.build(setup.networks.options, setup.variables)
    return {name: network.double() for name, network in networks.items()}


def to_torch(device: str, *arrays) -> list["torch.Tensor"]:
    return [torch.tensor(np.asarray(a), device=device) for a in arrays]


def _double(tree):
    """With float64 for float32."""
    return jax.tree.map(
        lambda a: np.asarray(a).astype("float64") if a.dtype == "float32" else a, tree)
