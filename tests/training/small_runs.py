"""Runs that take no time: networks and configurations of the training tests.

Programs that tests run in processes of their own use them, too.
"""

import runpy
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from posegan_jax import config as config_lib
from posegan_jax.model import networks
from posegan_jax.model.corrector import Corrector
from posegan_jax.model.layers import Normalize
from posegan_jax.model.networks import Networks
from posegan_jax.model.options import NetworkOptions
from posegan_jax.motion.corrupt import observable
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton
from posegan_jax.runtime import programs
from posegan_jax.training import batch
from posegan_jax.training import logging as metrics_lib

ROOT = Path(__file__).parents[2]
TINY = ROOT / "configs" / "tiny.py"
# Two steps a dispatch; eight steps of reconstruction, then twelve of everything.
SMALL = {
    "model.frames": 8,
    "model.latent": 4,
    "optimizer.reconstruction_steps": 8,
    "optimizer.warmup_steps": 2,
    # Gradients that are zero but for rounding, as of a bias before batch norm, must not become
    # steps where several devices are compared.
    "optimizer.eps": 0.01,
    "train.steps": 20,
    "train.batch_size": 4,
    "train.steps_per_dispatch": 2,
    "train.checkpoint_every": 4,
    "train.evaluate_every": 4,
    "train.samples_every": 8,
    "evaluate.windows": 4,
}
# Compiling is most of what these runs do.
JAX_SETTINGS = {"jax_disable_most_optimizations": True}


class _Generator(nn.Module):
    shape: tuple[int, int, int]
    batch_axis: str | None = None

    @nn.compact
    def __call__(self, z, train=False):
        h = nn.relu(Normalize("batch", batch_axis=self.batch_axis)(nn.Dense(8)(z), train))
        return jnp.tanh(nn.Dense(int(np.prod(self.shape)))(h)).reshape(-1, *self.shape)


class _Encoder(nn.Module):
    latent: int
    batch_axis: str | None = None

    @nn.compact
    def __call__(self, x, mask, train=False):
        x = jnp.concatenate([x * mask[..., None], mask[..., None]], -1).reshape(x.shape[0], -1)
        h = nn.relu(Normalize("batch", batch_axis=self.batch_axis)(nn.Dense(8)(x), train))
        return nn.Dense(self.latent)(h)


class _Critic(nn.Module):
    batch_axis: str | None = None

    @nn.compact
    def __call__(self, x, train=False):
        h = nn.leaky_relu(Normalize("layer")(nn.Dense(8)(x.reshape(x.shape[0], -1)), train))
        return nn.Dense(1)(h)[:, 0]


def small_networks(
    options: NetworkOptions, lowering="auto", dtype=None, corrector=None, detected=DETECTED_12
) -> Networks:
    """Networks with the interface of the real ones, that compile in no time."""
    shape = options.frames, len(get_skeleton(options.skeleton)), options.coordinates
    return Networks(
        _Generator(shape), _Critic(), _Encoder(options.latent), options,
        corrector and Corrector.of(options, detected, corrector),
    )


def few_holes(key, x, skeleton, options):
    """In place of ``sample_mask``, most of what there is to compile."""
    missing = 0.0 if options.clean == 1 else 0.2
    base = observable(skeleton, options)
    return base * jax.random.bernoulli(key, 1 - missing, x.shape[:-1])


SUBSTITUTES = (
    (config_lib, "build_networks", small_networks), (networks, "build_networks", small_networks),
    (batch, "sample_mask", few_holes),
    (programs, "folder", lambda: None),  # options tell no more which networks they are of
)


def substitute(setattr=setattr) -> None:
    """Puts the small networks, and the holes that compile fast, in the place of the real ones."""
    for module, name, value in SUBSTITUTES:
        setattr(module, name, value)


def configuration(workdir, **changes):
    """The tiny configuration, made smaller still; ``changes`` with __ for the dot."""
    config = runpy.run_path(str(TINY))["get_config"]()
    changes = {name.replace("__", "."): value for name, value in changes.items()}
    config.update_from_flattened_dict({**SMALL, "workdir": str(workdir), **changes})
    return config


def saved_steps(workdir):
    """Steps of the checkpoints that a run has kept."""
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir())


def lines(workdir):
    """What metrics.jsonl holds, without the times of day."""
    entries = metrics_lib.read(workdir / "metrics.jsonl")
    assert all(entry.pop("time") > 0 for entry in entries)
    return entries


def same_state(a, b):
    """Two trees of arrays are the same to the bit."""
    for (path, x), y in zip(
        jax.tree_util.tree_leaves_with_path(a), jax.tree.leaves(b), strict=True
    ):
        np.testing.assert_array_equal(x, y, err_msg=jax.tree_util.keystr(path))
