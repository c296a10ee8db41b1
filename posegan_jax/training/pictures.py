"""Sample pictures of a run: motion that the generator makes of random codes."""

from pathlib import Path

import jax
import numpy as np

from posegan_jax.networks.build import Networks, Variables
from posegan_jax.render.still import contact_sheet


def save_samples(
    networks: Networks, variables: dict[str, Variables], path: Path, count: int = 8, seed: int = 0
) -> None:
    """Writes a contact sheet of G(z) for fixed random z, so that pictures of a run compare."""
    z = jax.random.normal(jax.random.key(seed), (count, networks.options.latent))
    windows = networks.generator.apply(variables["generator"], z)
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(np.asarray(windows), networks.options.skeleton, path)
