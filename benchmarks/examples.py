"""Makes the pictures of docs/benchmark.md: truth, the best baseline and ours, in the same frames.

    python -m benchmarks.examples --motion cmu.npz,accad.npz

Of some kinds of holes a good, a middling and the worst clip of the validation subjects are drawn,
by the error of ours among the first clips of ``benchmarks/accuracy.py``. Pictures go to
docs/img/examples, what they show between the marks in docs/benchmark.md. Of baselines those are
tried that lead in the tables without having been trained for just these holes. Of as many clips and
with the ``--folder`` of ``benchmarks/accuracy.py`` nothing is computed twice.
"""

import argparse
import dataclasses
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from benchmarks import accuracy
from benchmarks.page import fold, write_tables
from posegan_jax.errors import InputError
from posegan_jax.evaluation import methods, pictures
from posegan_jax.evaluation.benchmark import Benchmark, run_benchmark
from posegan_jax.evaluation.examples import examples
from posegan_jax.inpainting.inpainter import load
from posegan_jax.runtime.files import atomic_path

FOLDER = accuracy.ROOT / "docs" / "img" / "examples"
MODULE = "examples"
SHOWN = dataclasses.replace(
    accuracy.MAIN, protocols=("holes40", "gap10", "arm", "legs"),
    methods=("cubic", "ridge-windows", methods.REGRESSOR, "balanced"),
)
COLOURS = 48
"""Of a picture: lines and letters need no more."""


def section(benchmark: Benchmark) -> str:
    """What the pictures show, a line that opens them for every protocol."""
    return "\n\n".join(
        fold(f"`{protocol}`: {text}", "\n\n".join(_told(benchmark, protocol)))
        for protocol, text in benchmark.texts.items()
    ) + "\n"


def _told(benchmark: Benchmark, protocol: str) -> list[str]:
    """A sentence and a picture for every example."""
    names, kinds = benchmark.names[protocol], benchmark.kinds[protocol]
    told = []
    for example in examples(benchmark.of(protocol)):
        *others, (ours, own) = example.errors.items()
        clip = f"{example.name} clip of {len(names)}: {names[example.clip]}"
        clip += f" ({kinds[example.clip]})" if kinds[example.clip] else ""
        beside = "".join(f", `{name}` {error:.3f}" for name, error in others)
        place = pictures.path(FOLDER, protocol, example.name)
        told += [
            f"The {clip}, where `{ours}` is {own:.3f} heads off{beside}.",
            f"![{protocol}, the {clip}]({place.relative_to(accuracy.PAGE.parent).as_posix()})",
        ]
    return told


def shrink(source: Path, target: Path) -> None:
    """Writes a picture in ``COLOURS`` colours."""
    with Image.open(source) as picture, atomic_path(target) as temporary:
        few = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(temporary, "PNG", optimize=True)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--motion", required=True, help="motion set with training clips")
    parser.add_argument(
        "--count", type=int, default=SHOWN.count, help="clips to choose from (default: %(default)s)"
    )
    parser.add_argument(
        "--folder", default=str(Path(tempfile.gettempdir()) / "posegan-benchmark"),
        help="where results are kept for the next run",
    )
    options = parser.parse_args(argv)
    folder = Path(options.folder)
    try:
        asked = dataclasses.replace(SHOWN, motion=options.motion, count=options.count)
        with tqdm(unit="clip", disable=None) as bar:

            def progress(what: str, now: int, total: int) -> None:
                bar.total = total
                bar.set_description(what, refresh=False)
                bar.update(now - bar.n)

            benchmark = run_benchmark(
                load(None), asked, folder / "main", progress, folder / "networks"
            )
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        for path in pictures.paths(folder / "main", asked.protocols):
            shrink(path, FOLDER / path.name)
        write_tables(accuracy.PAGE, MODULE, section(benchmark))
    except InputError as error:
        print(f"posegan_jax: {error}", file=sys.stderr)
        return 2
    print(f"wrote {accuracy.PAGE} and {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
