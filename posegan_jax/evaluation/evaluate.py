"""Evaluation as a command: runs the benchmark with a progress bar, prints and saves its tables."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict
from tqdm import tqdm

from posegan_jax import config as config_lib
from posegan_jax.evaluation import labelled_benchmark, labelled_tables, tables
from posegan_jax.evaluation.benchmark import Benchmark, Progress, resolve, run_benchmark
from posegan_jax.evaluation.labelled_benchmark import LabelledBenchmark, run_labelled
from posegan_jax.evaluation.memory import finish
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.motion.labels import is_labels


def evaluate(config: ConfigDict) -> Benchmark | LabelledBenchmark:
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
) -> Benchmark | LabelledBenchmark:
    """Runs the benchmark, prints its tables, and saves them.

    Args:
      inpainter: the networks of our methods.
      options: what is evaluated on what; where the motion is labelled video, on that.
      output: folder to write; None prints alone. A run that was interrupted goes on where it
        stopped when it is started again with the same folder.

    Raises:
      InputError: as ``run_benchmark``.
    """
    run: Any = run_benchmark
    module: Any = tables
    if is_labels(options.motion):
        run, module = run_labelled, labelled_tables
    with _progress() as progress:
        benchmark = run(inpainter, options, output, progress)
    print(module.markdown(benchmark))
    if output is not None:
        paths = module.save(benchmark, output)
        finish(output)
        print(f"wrote {', '.join(path.name for path in paths)} in {output}")
    return benchmark


def check(options: EvaluateOptions) -> None:
    """Raises InputError on names that nothing has, before anything is loaded."""
    if is_labels(options.motion):
        labelled_benchmark.resolve(options)
    else:
        resolve(options)


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    with tqdm(unit="clip", leave=False, disable=None) as bar:

        def progress(what: str, done: int, total: int) -> None:
            bar.total = total
            bar.set_description(what, refresh=False)
            bar.update(done - bar.n)

        yield progress
