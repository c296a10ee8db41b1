"""Who fills the files of a run, by name. Nothing here needs JAX until an engine is used."""

import queue
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from posegan_jax.batch.manifest import Job
from posegan_jax.inpainting.settings import FillOptions

if TYPE_CHECKING:
    from posegan_jax.batch.devices import Usage
    from posegan_jax.batch.work import Outcome

Results: TypeAlias = "Generator[tuple[Outcome, str, Usage], None, None]"
"""Outcomes as they come, each with the name of its engine and how busy that was so far."""


def local(
    jobs: Sequence[Job], options: FillOptions, checkpoint: str | None, workers: int | None
) -> Results:
    """Fills files with the devices and cores of this machine.

    Args:
      jobs: the files; none of their outputs is there yet.
      options: alike for all files.
      checkpoint: as of ``Inpainter.from_checkpoint``; None: the packaged weights.
      workers: as of ``engine.Engine``.

    Raises:
      InputError: as of ``engine.Engine``.
    """
    from posegan_jax.batch.engine import Engine
    from posegan_jax.inpainting.inpainter import load

    finished: queue.SimpleQueue = queue.SimpleQueue()
    with Engine(load(checkpoint), options, workers) as engine:
        for job in jobs:
            engine.submit(job).add_done_callback(finished.put)
        for _ in jobs:
            yield finished.get().result(), "local", engine.usage()


def ray(
    jobs: Sequence[Job], options: FillOptions, checkpoint: str | None, workers: int | None
) -> Results:
    """Fills files with a Ray cluster, see ``cluster.cluster``."""
    from posegan_jax.batch.cluster import cluster

    yield from cluster(jobs, options, checkpoint, workers)


ENGINES: dict[str, Callable[..., Results]] = {"local": local, "ray": ray}
"""The engines, as ``posegan batch --engine`` calls them; each is called as ``local`` is."""
