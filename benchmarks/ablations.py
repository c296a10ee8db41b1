"""What the thesis leaves open, decided by measurement: trains each choice at equal cost.

    python -m benchmarks.ablations --motion cmu.npz,accad.npz --steps 1200 -o ablations

Every variant is a training of configs/cmu.py with some fields changed and the same cost, data, seed
and batches; then the encoder, the default quality and the thesis's own search are evaluated.
Trainings continue where they stopped. What needs no training, composition and the treatment of
observations, is in the tables of docs/benchmark.md.
"""

import argparse
import dataclasses
import subprocess
import sys
from pathlib import Path

from posegan_jax.errors import InputError
from posegan_jax.evaluation import tables
from posegan_jax.evaluation.benchmark import run_benchmark
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.runtime import cpus
from posegan_jax.runtime.files import atomic_path

VARIANTS: dict[str, dict[str, object]] = {
    "default": {},
    "final activation: sigmoid": {"model.final_activation": "sigmoid"},
    "critic normalisation: batch": {"model.critic_normalization": "batch"},
    "critic normalisation: none": {"model.critic_normalization": "none"},
    "input normalised by all joints": {"train.normalize_by": "full"},
    "all terms from the first step": {"optimizer.reconstruction_steps": 0},
    "no hold on the moments of codes": {"loss.latent_moments": 0.0},
    "last speed: zero": {"model.last_speed": "zero"},
}
"""Name -> fields of the configuration."""

BATCH = 64
FULL_COST = 4
"""What a step with all terms costs, in steps of reconstruction."""

EVALUATED = EvaluateOptions(
    protocols=("clean", "holes40", "gap10", "legs"), methods=("encoder", "balanced", "thesis"),
    unit="windows", count=32,
)


def command(name: str, motion: str, steps: int, workdir: Path) -> list[str]:
    """The training of one variant: two thirds of it reconstruction, unless the variant says."""
    chunk = 10
    leading = 2 * steps // 3 // chunk * chunk
    fields = {"optimizer.reconstruction_steps": leading} | VARIANTS[name]
    # A training of which more is full steps has fewer of them.
    saved = leading - fields["optimizer.reconstruction_steps"]
    steps -= round(saved * (FULL_COST - 1) / FULL_COST / chunk) * chunk
    fields |= {
        "data.path": motion, "workdir": str(workdir), "train.batch_size": BATCH,
        "train.steps": steps, "train.steps_per_dispatch": chunk, "train.checkpoint_every": steps,
        "train.evaluate_every": steps, "train.samples_every": 0, "train.keep_checkpoints": 1,
    }
    return [
        sys.executable, "-m", "posegan_jax.main", "--config=configs/cmu.py",
        *(f"--config.{field}={value}" for field, value in fields.items()),
    ]


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--motion", required=True, help="motion set")
    parser.add_argument("--steps", type=int, default=4000, help="of each training (times 40)")
    parser.add_argument("-o", "--output", required=True, help="folder of the runs and the table")
    options = parser.parse_args(argv)
    cpus.one_device_each()
    folder, rows = Path(options.output), []
    try:
        if options.steps < 40 or options.steps % 40:
            raise InputError("--steps must be a multiple of 40")
        for number, name in enumerate(VARIANTS):
            workdir = folder / f"variant{number}"
            subprocess.run(command(name, options.motion, options.steps, workdir), check=True)
            evaluated = dataclasses.replace(EVALUATED, motion=options.motion)
            result = run_benchmark(Inpainter.from_checkpoint(workdir), evaluated, workdir)
            for method in evaluated.methods:
                cells = [
                    tables.cell(result.of(protocol)[method].values[part]["error"])
                    for protocol in evaluated.protocols
                    for part in ("missing", "upsampled") if (protocol, part) != ("clean", "missing")
                ]
                rows.append([name, method, *cells])
    except InputError as error:
        print(f"posegan_jax: {error}", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        return error.returncode
    header = ["variant", "method"] + [
        f"{protocol} {part}" for protocol in EVALUATED.protocols
        for part in ("missing", "upsampled") if (protocol, part) != ("clean", "missing")
    ]
    text = tables.table(header, rows)
    with atomic_path(folder / "ablations.md") as temporary:
        temporary.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
