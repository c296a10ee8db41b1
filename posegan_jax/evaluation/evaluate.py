"""Evaluation as a command: runs the benchmark with a progress bar, prints and saves its tables."""

import dataclasses
import os
from pathlib import Path

from ml_collections import ConfigDict
from tqdm import tqdm

from posegan_jax import config as config_lib
from posegan_jax.evaluation import tables
from posegan_jax.evaluation.benchmark import Benchmark, finish, run_benchmark
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.inpainting.inpainter import Inpainter


def evaluate(config: ConfigDict) -> Benchmark:
    """Evaluates a run's checkpoint as the configuration says, into 'evaluation' in its folder.

    Raises:
      InputError: no checkpoint, no data, or unknown names.
    """
    typed = config_lib.typed(config)
    workdir = Path(config.workdir or f"runs/{config.name}")
    options = typed.evaluate
    inpainter = Inpainter.from_checkpoint(options.checkpoint or workdir)
    if not options.motion:
        options = dataclasses.replace(options, motion=typed.data.path)
    return report(inpainter, options, workdir / "evaluation")


def report(
    inpainter: Inpainter, options: EvaluateOptions, output: str | os.PathLike | None = None
) -> Benchmark:
    """Runs the benchmark, prints its tables, and saves them.

    Args:
      inpainter: the networks of our methods.
      options: what is evaluated on what.
      output: folder to write; None prints alone. A run that was interrupted goes on where it
        stopped when it is started again with the same folder.

    Raises:
      InputError: as ``run_benchmark``.
    """
    with tqdm(unit="clip", leave=False, disable=None) as bar:

        def progress(what: str, done: int, total: int) -> None:
            bar.total = total
            bar.set_description(what, refresh=False)
            bar.update(done - bar.n)

        benchmark = run_benchmark(inpainter, options, output, progress)
    print(tables.markdown(benchmark))
    if output is not None:
        paths = tables.save(benchmark, output)
        finish(output)
        print(f"wrote {', '.join(path.name for path in paths)} and tracks in {output}")
    return benchmark
