"""Pictures of a run: motion that the generator makes of random codes, and the curves."""

from pathlib import Path

import jax
import numpy as np

from posegan_jax.geometry.camera import picture
from posegan_jax.model.networks import Networks
from posegan_jax.model.options import Variables
from posegan_jax.render.still import contact_sheet
from posegan_jax.training.logging import read

CURVES = (
    "train/mpjpe", "train/mpjse", "train/depth", "train/latent_moments", "train/wasserstein",
    "train/gradient_penalty", "train/latent_cycle", "validation/mpjpe", "validation/observed/error",
    "validation/upsampled/error", "validation/depth/error",
)


def save_samples(
    networks: Networks, variables: dict[str, Variables], path: Path, count: int = 8, seed: int = 0
) -> None:
    """Writes a contact sheet of G(z) for fixed random z, so that pictures of a run compare.

    Where there is a depth, windows seen from the side, from where x grows, are beside it.
    """
    z = jax.random.normal(jax.random.key(seed), (count, networks.options.latent))
    windows = networks.generator.apply(variables["generator"], z)
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(np.asarray(picture(windows)), networks.options.skeleton, path)
    if networks.options.depth:
        aside = np.asarray(windows)[..., [2, 1]]
        contact_sheet(aside, networks.options.skeleton, path.with_stem(f"{path.stem}-side"))


def save_curves(metrics: Path, path: Path) -> None:
    """Plots a run's losses and validation errors so far.

    Args:
      metrics: the run's metrics.jsonl.
      path: PNG to write.
    """
    from posegan_jax.render import curves  # matplotlib takes a second to import

    entries = read(metrics)
    curves.save_curves(entries, path, [name for name in CURVES if any(name in e for e in entries)])
