"""The search over any number of windows: batches of one fixed shape, split over the devices.

Windows do not see each other, so the devices do not talk: each solves its share of a batch. It is
one program on one device or many, written for the whole batch; ``jit`` splits it where its inputs
are.
"""

import functools
from collections.abc import Callable

import jax
import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.geometry.normalize import denormalize, fit_normalization, normalize
from posegan_jax.inpainting.descent import DescentOptions, descend
from posegan_jax.networks.build import Networks, Variables
from posegan_jax.training import parallel

Progress = Callable[[int, int], None]


class Solver:
    """Solves windows with the devices of this process.

    Args:
      networks: the modules.
      variables: their parameters.
      batch: windows solved at once, over all devices, at least 2; rounded up to a multiple of the
        number of devices. By default what the devices' memory and kind suggest.
      devices: which ones, all of this process if None.

    Attributes:
      networks: the modules.
      variables: their parameters, whole on every device.
      mesh: of the devices.
      batch: windows solved at once.

    Raises:
      InputError: ``batch`` is less than 2.
    """

    def __init__(
        self, networks: Networks, variables: dict[str, Variables], batch: int | None = None,
        devices: list[jax.Device] | None = None,
    ):
        self.networks = networks
        self.mesh = parallel.make_mesh(jax.local_devices() if devices is None else devices)
        self.variables = parallel.replicate(self.mesh, variables)
        if batch is None:
            batch = 32 if jax.default_backend() == "cpu" else 512
        if batch < 2:
            raise InputError("batch must be at least 2")
        # A batch of one is compiled to other kernels, and a long search amplifies rounding: two
        # windows a device, at least.
        share = max(2, -(-batch // self.mesh.size))
        self.batch = share * self.mesh.size

    def __call__(
        self, x: np.ndarray, mask: np.ndarray, options: DescentOptions,
        progress: Progress | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solves windows in batches of fixed size.

        Args:
          x: (N, F, J, 2) pixels; missing joints may hold anything finite.
          mask: (N, F, J) 0 = missing; what is more weighs a joint in the search.
          options: of the search.
          progress: called with windows done and windows in all.

        Returns:
          (N, F, J, 2) generated windows in pixels, aligned to the observed joints, and (N,) their
          objective. A window's result does not depend on the others.
        """
        results = []
        for start in range(0, len(x), self.batch):
            part = slice(start, start + self.batch)
            results.append(self.start(x[part], mask[part], options))
            if progress:
                jax.block_until_ready(results[-1])
                progress(min(start + self.batch, len(x)), len(x))
        windows, losses = zip(*results, strict=True)
        return (
            np.concatenate([np.asarray(w, np.float64) for w in windows])[: len(x)],
            np.concatenate([np.asarray(v) for v in losses])[: len(x)],
        )

    def start(
        self, x: np.ndarray, mask: np.ndarray, options: DescentOptions
    ) -> tuple[jax.Array, jax.Array]:
        """Starts to solve up to a batch of windows, and does not wait for the devices.

        Args: as of ``__call__``.

        Returns:
          (batch, F, J, 2) windows and (batch,) their objective, as they come; the first N count.
        """
        return _solve(
            self.variables, *self.place(x, mask), networks=self.networks, options=options
        )

    def place(self, *arrays: np.ndarray) -> list[jax.Array]:
        """Fills arrays (N, ...) up to a batch with copies of the first row, split over devices."""
        filled = []
        for array in arrays:
            missing = self.batch - len(array)
            filled.append(np.concatenate([array, np.repeat(array[:1], missing, axis=0)]))
        return parallel.scatter(self.mesh, [array.astype(np.float32) for array in filled])


@functools.partial(jax.jit, static_argnames=("networks", "options"))
def _solve(variables, x, mask, *, networks: Networks, options: DescentOptions):
    there = (mask > 0).astype(x.dtype)
    normalization = fit_normalization(x, there)
    found = descend(networks, variables, normalize(x, normalization) * there[..., None], mask,
                    options)
    return denormalize(found.x_tilde, normalization), found.loss
