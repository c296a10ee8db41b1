"""Takes a model out of a training run, to be shared or packaged.

    python -m posegan_jax.training.export runs/cmu posegan_jax/weights/pretrained --overwrite

The moving averages of generator and encoder, the critic, the corrector if there is one (in half
precision), what was measured of them and how they were trained; no optimizer state, and no path of
the machine they were trained on.
"""

import argparse
import os
import sys
from collections.abc import Sequence

import jax
import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.model.model import Model
from posegan_jax.model.options import CORRECTOR, NETWORKS
from posegan_jax.model.store import load_model, save_model

_PATHS = (
    ("data", "path"), ("train", "init_from"), ("correction", "init_from"),
    ("evaluate", "checkpoint"),
)


def export(
    run: str | os.PathLike, out: str | os.PathLike, step: int | None = None,
    overwrite: bool = False, trained_on: str = "", half: bool = False,
    without: Sequence[str] = (),
) -> None:
    """Writes a folder that ``Inpainter.from_checkpoint`` and ``train.init_from`` read.

    Args:
      run: a run's folder.
      out: the folder to write; appears only when complete.
      step: which checkpoint, the newest if None.
      overwrite: replace a folder of parameters at ``out``.
      trained_on: what is to be said of the data and its licence.
      half: all networks are written in half precision.
      without: names of networks that are left out. Without some, ``train.init_from`` alone can read
        the folder: a run goes on from it, with a fresh critic if that is not there.

    Raises:
      InputError: no such checkpoint, or ``out`` exists.
    """
    model = shareable(load_model(run, step), trained_on, half)
    kept = {name: v for name, v in model.variables.items() if name not in without}
    save_model(out, model.replace(variables=kept), overwrite)


def shareable(model: Model, trained_on: str = "", half: bool = False) -> Model:
    """A model without paths of this machine, its corrector in half precision, or all of it."""
    about = model.about | ({"trained_on": trained_on} if trained_on else {})
    config = dict(about.get("config", {}))
    config.pop("workdir", None)
    for section, field in _PATHS:
        if field in config.get(section, {}):
            paths = config[section][field].split(",")
            named = ",".join(os.path.basename(p.rstrip("/")) for p in paths)
            config[section] = config[section] | {field: named}
    variables = dict(model.variables)
    for name in variables:
        if half or name == CORRECTOR:
            variables[name] = jax.tree.map(np.float16, variables[name])
    return model.replace(variables=variables, about=about | {"config": config})


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="folder of a training run")
    parser.add_argument("out", help="folder to write")
    parser.add_argument("--step", type=int, help="which checkpoint (default: the newest)")
    parser.add_argument("--overwrite", action="store_true")
    parser.add_argument("--trained-on", default="", help="data sets and licences, kept with it")
    parser.add_argument("--half", action="store_true", help="in half precision, to go on from")
    parser.add_argument(
        "--without", nargs="+", default=(), choices=(*NETWORKS, CORRECTOR), metavar="NETWORK",
        help="leave a network out, as a critic that was not trained yet: to go on from",
    )
    options = parser.parse_args(argv)
    try:
        export(
            options.run, options.out, options.step, options.overwrite, options.trained_on,
            options.half, options.without,
        )
    except InputError as error:
        print(f"posegan_jax: {error}", file=sys.stderr)
        return 2
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
