"""The same networks, losses, training step and search in PyTorch, to time posegan_jax against.

Written as fast as PyTorch lets us: any memory format, fused Adam, G(z) computed once for both
updates, no autograd graph where none is needed, parts that ``torch.compile`` takes compiled. A step
is given its batch; nothing is sampled here.

Needs PyTorch: ``pip install 'posegan_jax[benchmark]'``.
"""

import dataclasses
import itertools
from collections.abc import Iterator

import flax
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from posegan_jax.inpainting.settings import DescentOptions
from posegan_jax.model.generator import DEPTH
from posegan_jax.model.layers import LEAKY_SLOPE, stages
from posegan_jax.model.options import NetworkOptions, Variables
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.training.options import StepOptions
from posegan_jax.training.state import AVERAGED

EPSILON = 1e-5
MOMENTUM = 0.01  # PyTorch counts what is new, Flax what is kept


@dataclasses.dataclass(frozen=True)
class Contender:
    """How PyTorch runs: compiled or op by op, and how images lie in memory."""

    compiled: bool = False
    channels_last: bool = True

    @property
    def name(self) -> str:
        return (f"torch {'compile' if self.compiled else 'eager'}, "
                f"{'channels_last' if self.channels_last else 'contiguous'}")

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def prepare(self, function):
        return torch.compile(function) if self.compiled else function


# --- networks -----------------------------------------------------------------------------------


class BatchNorm(nn.BatchNorm2d):
    """Statistics of the batch in training; the running ones take them in only where ``trace``."""

    def __init__(self, features: int):
        super().__init__(features, EPSILON, MOMENTUM)

    def forward(self, x, trace: bool):
        known = trace or not self.training
        mean, var = (self.running_mean, self.running_var) if known else (None, None)
        return F.batch_norm(
            x, mean, var, self.weight, self.bias, self.training, self.momentum, self.eps
        )


class LayerNorm(nn.Module):
    """Per sample, over channels, frames and rows; scale and offset per channel."""

    def __init__(self, features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x, trace: bool):
        return F.group_norm(x, 1, self.weight, self.bias, EPSILON)


class Rows(nn.Module):
    """Joints to rows and back, as multiplications by constant matrices (model/arrange.py)."""

    def __init__(self, rows, channels: int, memory_format: torch.memory_format):
        super().__init__()
        joints = len({joint for pair in rows for joint in pair})
        pick = np.zeros((joints, 2 * len(rows)), np.float32)
        place = np.zeros((2 * len(rows), joints), np.float32)
        for r, pair in enumerate(rows):
            for side, joint in enumerate(pair):
                pick[joint, 2 * r + side] = 1.0
                place[2 * r + side, joint] = 1.0 if pair[0] != pair[1] else 0.5
        eye = np.eye(channels, dtype=np.float32)
        self.rows, self.joints, self.memory_format = len(rows), joints, memory_format
        self.register_buffer("pick", torch.from_numpy(np.kron(pick, eye)), persistent=False)
        self.register_buffer("place", torch.from_numpy(np.kron(place, eye)), persistent=False)

    def to_rows(self, x):
        """(N, F, J, C) -> (N, 2 C, F, R)."""
        n, f, _, c = x.shape
        x = (x.reshape(n, f, -1) @ self.pick).reshape(n, f, self.rows, 2 * c).permute(0, 3, 1, 2)
        return x.contiguous(memory_format=self.memory_format)

    def from_rows(self, x):
        """(N, 2 C, F, R) -> (N, F, J, C)."""
        n, c2, f, _ = x.shape
        x = x.permute(0, 2, 3, 1).reshape(n, f, -1)
        return (x @ self.place).reshape(n, f, self.joints, c2 // 2)


class Trunk(nn.Module):
    """model/layers.py: what critic and encoder share."""

    def __init__(self, channels: int, outputs: int, frames: int, rows: int, norm):
        super().__init__()
        plan = stages(frames, rows)
        self.first = nn.Conv2d(channels, 32, 1, bias=False)
        widths = [32] + [stage.features for stage in plan]
        self.convs = nn.ModuleList(
            nn.Conv2d(widths[i], s.features, s.kernel, s.strides, s.padding, bias=False)
            for i, s in enumerate(plan)
        )
        self.norms = nn.ModuleList(norm(s.features) for s in plan[:-1])
        self.last = nn.Linear(plan[-1].features, outputs)

    def forward(self, x, trace: bool = False):
        x = F.leaky_relu(self.first(x), LEAKY_SLOPE)
        for conv, norm in zip(self.convs[:-1], self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x), trace), LEAKY_SLOPE)
        return self.last(self.convs[-1](x).flatten(1))


class Generator(nn.Module):
    """(N, latent) -> (N, F, J, C)."""

    def __init__(self, options: NetworkOptions, memory_format):
        super().__init__()
        rows = get_skeleton(options.skeleton).rows
        plan = stages(options.frames, len(rows))
        widths = [256, 256] + [stage.features for stage in plan[-3::-1]] + [32]
        convs = [nn.Conv2d(options.latent, 256, 1, bias=False)]
        for i, s in enumerate(reversed(plan)):
            # What a stride leaves open of the size.
            extra = [
                s.size[a] - ((s.out_size[a] - 1) * s.strides[a] - 2 * s.padding[a] + s.kernel[a])
                for a in range(2)
            ]
            convs.append(nn.ConvTranspose2d(
                widths[i], widths[i + 1], s.kernel, s.strides, s.padding, extra, bias=False))
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList(BatchNorm(width) for width in widths)
        self.last = nn.Conv2d(32, 2 * options.coordinates, 1, bias=False)
        reach = [1.0, 1.0, DEPTH][: options.coordinates] * 2  # of the left joint and the right one
        self.register_buffer("reach", torch.tensor(reach)[:, None, None], persistent=False)
        self.arrange = Rows(rows, options.coordinates, memory_format)

    def forward(self, z, trace: bool = False):
        x = z[:, :, None, None].contiguous(memory_format=self.arrange.memory_format)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x), trace))
        return self.arrange.from_rows(self.reach * torch.tanh(self.last(x) / self.reach))


class Discriminator(nn.Module):
    """(N, F, J, C) -> (N,)."""

    def __init__(self, options: NetworkOptions, memory_format):
        super().__init__()
        rows = get_skeleton(options.skeleton).rows
        self.arrange = Rows(rows, options.coordinates, memory_format)
        # Positions and speeds of both sides.
        self.trunk = Trunk(4 * options.coordinates, 1, options.frames, len(rows), LayerNorm)

    def forward(self, x, trace: bool = False):
        x = self.arrange.to_rows(x)
        difference = x[:, :, 1:] - x[:, :, :-1]
        speed = torch.cat([difference, difference[:, :, -1:]], 2)
        return self.trunk(torch.cat([x, speed], 1))[:, 0]


class Encoder(nn.Module):
    """(N, F, J, C), zero where missing, and mask (N, F, J) -> (N, latent); it sees x and y."""

    def __init__(self, options: NetworkOptions, memory_format):
        super().__init__()
        rows = get_skeleton(options.skeleton).rows
        channels = 2 + 1
        self.arrange = Rows(rows, channels, memory_format)
        self.trunk = Trunk(2 * channels, options.latent, options.frames, len(rows), BatchNorm)

    def forward(self, x, mask, trace: bool = False):
        return self.trunk(self.arrange.to_rows(torch.cat([x[..., :2], mask[..., None]], -1)), trace)


NETWORKS = {"generator": Generator, "discriminator": Discriminator, "encoder": Encoder}


def build(
    options: NetworkOptions, variables: dict[str, Variables], contender: Contender = Contender(),
    device: str = "cpu",
) -> dict[str, nn.Module]:
    """The three networks with the parameters of ours, in training mode.

    Raises:
      ValueError: other options than the reference is written for.
    """
    if (options.critic_normalization, options.final_activation, options.last_speed) != (
        "layer", "linear", "repeat"
    ):
        raise ValueError("the PyTorch reference has layer norm, linear ends and repeated speeds")
    networks = {}
    for name, network in NETWORKS.items():
        module = network(options, contender.memory_format)
        with torch.no_grad():
            for target, value in zip(_ordered(module), _flat(variables[name]), strict=True):
                target.copy_(torch.tensor(value))
        networks[name] = module.to(device, memory_format=contender.memory_format)
    return networks


def parameters_like(module: nn.Module, variables: Variables) -> list[np.ndarray]:
    """A tree like ours, e.g. of gradients, as arrays in the order of ``module.parameters()``."""
    names = [name for name, _ in _named(module)]
    values = dict(zip(names, _flat({"params": variables["params"]}), strict=True))
    return [values[name] for name, _ in module.named_parameters()]


def _named(module: nn.Module):
    """Parameters as Flax numbers them: all convolutions, all norms, the linear layer."""
    kinds = ("BatchNorm", "LayerNorm", "Conv2d", "ConvTranspose2d", "Linear")
    layers = [(n, m) for n, m in module.named_modules() if type(m).__name__ in kinds]

    def key(layer):
        return kinds.index(type(layer[1]).__name__)

    for name, layer in sorted(layers, key=key):  # stable: by depth within a kind
        for part in ("weight", "bias"):
            if getattr(layer, part, None) is not None:
                yield f"{name}.{part}", getattr(layer, part)


def _ordered(module: nn.Module) -> list[torch.Tensor]:
    running = [m for m in module.modules() if isinstance(m, BatchNorm)]
    return [p for _, p in _named(module)] + [
        getattr(m, part) for m in running for part in ("running_mean", "running_var")
    ]


def _flat(variables: Variables) -> list[np.ndarray]:
    """Parameters in the order of ``_named`` and PyTorch's layouts, then running statistics."""
    flat = flax.traverse_util.flatten_dict(variables)
    kinds = ("Norm", "Conv_", "ConvTranspose_", "Dense")
    parts = {"scale": 0, "kernel": 0, "bias": 1, "mean": 0, "var": 1}

    def key(path):
        kind = next(i for i, kind in enumerate(kinds) if kind in path[-2])
        # Normalize_2/BatchNorm_0: the number is the outer one's.
        layer = path[-2] if kind else path[-3]
        return kind, int(layer.rsplit("_", 1)[1]), parts[path[-1]]

    def layout(path):
        value = np.asarray(flat[path])
        if path[-1] != "kernel":
            return value
        return value.T if value.ndim == 2 else value.transpose(3, 2, 0, 1)

    trained = sorted((p for p in flat if p[0] == "params"), key=key)
    running = sorted((p for p in flat if p[0] == "batch_stats"), key=key)
    return [np.ascontiguousarray(layout(p)) for p in trained + running]


# --- errors -------------------------------------------------------------------------------------


def norm(x):
    """Euclidean norm along the last axis with gradient zero at zero."""
    square = (x * x).sum(-1)
    return torch.where(square != 0, torch.where(square != 0, square, 1.0).sqrt(), 0.0)


def mpjpe(x, x_tilde):
    return norm(x - x_tilde).mean((-2, -1))


def mpjse(x, x_tilde):
    difference = x - x_tilde
    error = norm(difference[:, 1:] - difference[:, :-1])
    return error.sum((-2, -1)) / (x.shape[1] * x.shape[2])


def masked_mean(error, mask):
    return (error * mask).sum((-2, -1)) / mask.sum((-2, -1)).clamp(min=1e-9)


# --- training -----------------------------------------------------------------------------------


class Trainer:
    """Networks, three Adams and moving averages; a step at a time on batches that are given."""

    def __init__(
        self, networks: dict[str, nn.Module], options: StepOptions, contender: Contender,
        learning_rate: float,
    ):
        self.networks, self.options = networks, options
        o = options.optimizer
        self.optimizers = {
            name: torch.optim.Adam(
                module.parameters(), learning_rate, (o.b1, o.b2), o.eps, fused=True)
            for name, module in networks.items()
        }
        self.averaged = [t for name in AVERAGED for t in _ordered(networks[name])]
        self.averages = [t.detach().clone() for t in self.averaged]
        self._generate = contender.prepare(networks["generator"].forward)
        self._wasserstein = contender.prepare(self._wasserstein_loss)
        self._reconstruction = contender.prepare(self._reconstruction_loss)
        self._adversarial = contender.prepare(self._adversarial_loss)

    def reconstruction_step(self, x, x_in, mask) -> torch.Tensor:
        """One update of generator and encoder by L_AE's data terms; the loss."""
        for name in ("generator", "encoder"):
            self.optimizers[name].zero_grad()
        loss, _ = self._reconstruction(x, x_in, mask)
        loss.backward()
        self._update("generator", "encoder")
        self._average()
        return loss.detach()

    def full_step(self, x, x_in, mask, z, part) -> tuple[torch.Tensor, torch.Tensor]:
        """Critic, then generator and encoder; ``part`` (N, 1, 1, 1) places x_hat. Both losses."""
        critic = self.networks["discriminator"]
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        generated = self._generate(z)  # its graph serves the generator's update
        fake = generated.detach()
        # Op by op: the compiler has no gradient of a gradient.
        penalty = self._gradient_penalty(part * x + (1 - part) * fake)
        critic_loss = self._wasserstein(x, fake) + self.options.weights.gradient_penalty * penalty
        critic_loss.backward()
        self._update("discriminator")
        critic.requires_grad_(False)
        loss, x_tilde = self._reconstruction(x, x_in, mask)
        loss = loss + self._adversarial(generated, x_tilde, z)
        loss.backward()
        critic.requires_grad_(True)
        self._update("generator", "encoder")
        self._average()
        return critic_loss.detach(), loss.detach()

    def _wasserstein_loss(self, x, fake):
        # Layer norm: samples do not see each other.
        scores = self.networks["discriminator"](torch.cat([x, fake]))
        return scores[len(x) :].mean() - scores[: len(x)].mean()

    def _gradient_penalty(self, x_hat):
        x_hat.requires_grad_()
        scores = self.networks["discriminator"](x_hat)
        (gradient,) = torch.autograd.grad(scores.sum(), x_hat, create_graph=True)
        return ((norm(gradient.flatten(1)) - 1) ** 2).mean()

    def _reconstruction_loss(self, x, x_in, mask):
        weights = self.options.weights
        code = self.networks["encoder"](x_in, mask, True)
        x_tilde = self.networks["generator"](code, True)
        flat = x[..., :2], x_tilde[..., :2]
        loss = weights.position * mpjpe(*flat).mean() + weights.speed * mpjse(*flat).mean()
        if x.shape[-1] > 2:
            deep = x[..., 2:], x_tilde[..., 2:]
            loss = loss + weights.depth * mpjpe(*deep).mean()
            loss = loss + weights.depth_speed * mpjse(*deep).mean()
        if weights.latent_moments:
            loss = loss + weights.latent_moments * latent_moments(code)
        return loss, x_tilde

    def _adversarial_loss(self, generated, x_tilde, z):
        weights = self.options.weights
        n = len(z)
        scores = self.networks["discriminator"](torch.cat([generated, x_tilde]))
        mask = torch.ones_like(generated[..., 0])
        z_tilde = self.networks["encoder"](generated, mask)
        return (
            weights.latent * ((z - z_tilde) ** 2).mean()
            - weights.adversarial * scores[:n].mean() - weights.mix * scores[n:].mean()
        )

    def _update(self, *names: str) -> None:
        for name in names:
            self.optimizers[name].step()

    @torch.no_grad()
    def _average(self) -> None:
        torch._foreach_lerp_(self.averages, self.averaged, 1 - self.options.optimizer.average_decay)


def latent_moments(z):
    """training/losses.py: distance of mean and covariance from those of N(0, I), by halves."""
    (mean, spread), others = (_moments(half) for half in (z[::2], z[1::2]))
    return ((mean * others[0]).sum() + (spread * others[1]).sum()) / z.shape[1]


def _moments(z):
    mean = z.mean(0)
    centered = z - mean
    return mean, centered.T @ centered / len(z) - torch.eye(z.shape[1], device=z.device)


# --- search -------------------------------------------------------------------------------------


def align(source, target, mask):
    """The source moved onto the target's counted joints, as geometry/procrustes.py does: in the
    picture, and a depth by the same scale."""
    depth, source = source[..., 2:], source[..., :2]
    weight = mask[..., None]
    counted, target = torch.where(weight > 0, source, 0.0), torch.where(weight > 0, target, 0.0)
    count = weight.sum((1, 2), keepdim=True)
    count = torch.where(count > 0, count, 1.0)
    source_center = (weight * counted).sum((1, 2), keepdim=True) / count
    target_center = (weight * target).sum((1, 2), keepdim=True) / count
    s, t = counted - source_center, target - target_center
    spread = (weight * s * s).sum((1, 2, 3))[:, None, None]
    inner = (weight * s * t).sum((1, 2, 3))[:, None, None]
    cross = (mask * (s[..., 0] * t[..., 1] - s[..., 1] * t[..., 0])).sum((1, 2))[:, None, None]
    determined = spread > 1e-8 * (weight * counted * counted).sum((1, 2, 3))[:, None, None]
    divisor = torch.where(determined, spread, 1.0)
    a = torch.where(determined, inner / divisor, 1.0)
    b = torch.where(determined, cross / divisor, 0.0)
    x, y = (source - source_center).unbind(-1)
    moved = torch.stack([a * x - b * y, b * x + a * y], -1) + target_center
    return torch.cat([moved, norm(torch.stack([a, b], -1))[..., None] * depth], -1)


class Search:
    """The latent search of all windows at once (inpainting/descent.py), by Adam."""

    def __init__(
        self, networks: dict[str, nn.Module], options: DescentOptions, contender: Contender
    ):
        self.networks, self.options = networks, options
        for module in networks.values():
            module.eval().requires_grad_(False)
        self._objective = contender.prepare(self.objective)

    def __call__(self, x, mask, steps: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """x (N, F, J, 2) zero where missing, mask (N, F, J): best codes and their objective."""
        count = self.options.steps if steps is None else steps
        return next(itertools.islice(self._iterates(x, mask), count, None))

    def steps_to(self, goal: float, x, mask) -> int | None:
        """Steps until the mean of the objective is as low; None: more than ``options.steps``."""
        for steps, (_, best) in enumerate(
            itertools.islice(self._iterates(x, mask), self.options.steps + 1)
        ):
            if float(best.mean()) <= goal:
                return steps
        return None

    def _iterates(self, x, mask) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The best codes and their objective, at the start and after every step."""
        o = self.options
        with torch.no_grad():
            start = self.networks["encoder"](x, (mask > 0).to(x.dtype))
        z = start.clone().requires_grad_()
        optimizer = torch.optim.Adam([z], o.learning_rate, (o.b1, o.b2), o.eps, fused=True)
        best, best_z = torch.full((len(x),), torch.inf, device=x.device, dtype=x.dtype), start
        while True:
            loss = self._objective(z, start, x, mask)
            best, best_z = self._better(z, loss, best, best_z)
            yield best_z, best
            (z.grad,) = torch.autograd.grad(loss.sum(), z)
            optimizer.step()

    def objective(self, z, start, x, mask):
        """inpainting/objective.py, (N,)."""
        weights = self.options.weights
        x_tilde = align(self.networks["generator"](z), x, mask)
        flat = x_tilde[..., :2]
        difference = torch.where(mask[..., None] > 0, x - flat, 0.0)
        speed = difference[:, 1:] - difference[:, :-1]
        fit = weights.position * masked_mean(norm(difference), mask)
        fit = fit + weights.speed * masked_mean(norm(speed), mask[:, 1:] * mask[:, :-1])
        total = fit * mask.sum((1, 2)) / (mask > 0).sum((1, 2)).clamp(min=1)
        if weights.critic:
            center = flat.mean((1, 2), keepdim=True)
            extent = (flat - center).abs().amax((1, 2, 3), keepdim=True)
            largest = flat.abs().amax((1, 2, 3), keepdim=True)
            whole = torch.cat([flat - center, x_tilde[..., 2:]], -1)
            whole = whole / torch.where(extent > 1e-5 * largest, extent, 1.0)
            total = total - weights.critic * self.networks["discriminator"](whole)
        if weights.prior:
            total = total + weights.prior * ((z - start) ** 2).sum(-1)
        return total

    @torch.no_grad()
    def _better(self, z, loss, best, best_z):
        improved = loss < best
        return torch.where(improved, loss, best), torch.where(improved[:, None], z, best_z)
