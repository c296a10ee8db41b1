"""Takes the parameters out of a training run, to be shared or packaged.

    python -m posegan_jax.training.export runs/cmu posegan_jax/weights/pretrained --overwrite

The moving averages of generator and encoder, the critic, what corrects them (``training.mixer``)
if it is given, what is needed to use them and how they were trained; no optimizer state, and no
path of the machine they were trained on.
"""

import argparse
import os
import sys

import jax
import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.model.corrector import CORRECTOR, Mixer, fits
from posegan_jax.model.options import NetworkOptions
from posegan_jax.training.checkpoints import load_params, save_params


def export(
    run: str | os.PathLike, out: str | os.PathLike, step: int | None = None,
    overwrite: bool = False, trained_on: str = "", corrector: str | os.PathLike | None = None,
) -> None:
    """Writes a folder that ``Inpainter.from_checkpoint`` and ``train.init_from`` read.

    Args:
      run: a run's folder.
      out: the folder to write; appears only when complete.
      step: which checkpoint, the newest if None.
      overwrite: replace a folder of parameters at ``out``.
      trained_on: what is to be said of the data and its licence.
      corrector: a file of ``training.mixer``, of a mixer that was trained to correct these
        networks. Without one the weights keep the one that they have.

    Raises:
      InputError: no such checkpoint, ``out`` exists, or the corrector is none of such networks.
    """
    params, metadata = load_params(run, step)
    config = metadata.get("config", {})
    for section, field in (("data", "path"), ("train", "init_from"), ("evaluate", "checkpoint")):
        if field in config.get(section, {}):
            paths = config[section][field].split(",")
            config[section][field] = ",".join(os.path.basename(p.rstrip("/")) for p in paths)
    config.pop("workdir", None)
    if trained_on:
        metadata["trained_on"] = trained_on
    if corrector:
        mixer, networks = Mixer.load(corrector), metadata.get("networks")
        if not (networks and mixer.corrects and fits(NetworkOptions.from_dict(networks))):
            raise InputError(f"{corrector}: does not correct these networks")
        params[CORRECTOR] = jax.tree.map(np.float16, mixer.params)
        metadata[CORRECTOR] = mixer.text
    save_params(out, params, metadata, overwrite)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="folder of a training run")
    parser.add_argument("out", help="folder to write")
    parser.add_argument("--step", type=int, help="which checkpoint (default: the newest)")
    parser.add_argument("--overwrite", action="store_true")
    parser.add_argument("--corrector", help="file of posegan_jax.training.mixer, to go with them")
    parser.add_argument("--trained-on", default="", help="data sets and licences, kept with it")
    options = parser.parse_args(argv)
    try:
        export(
            options.run, options.out, options.step, options.overwrite, options.trained_on,
            options.corrector,
        )
    except InputError as error:
        print(f"posegan_jax: {error}", file=sys.stderr)
        return 2
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
