"""Whether scores of completed joints are true: tables and the curves of docs/fill.md.

    python -m benchmarks.certainty --motion cmu.npz --strangers hdm05.npz:test --labels penn_dev.npz

Of people whom nothing was fitted to, neither networks nor certainty: the split 'validation' of
``--motion``, motion of another data set, and labelled video. The tables replace what stands between
the marks in docs/fill.md; docs/img/confidence.png gets the curves. It takes a quarter of an hour of
two cores.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from benchmarks.page import write_tables
from posegan_jax.errors import InputError
from posegan_jax.evaluation import certainty
from posegan_jax.evaluation.certainty import Joints, Task
from posegan_jax.evaluation.labelled import usable
from posegan_jax.inpainting.inpainter import load
from posegan_jax.inpainting.settings import QUALITIES
from posegan_jax.model.model import Model
from posegan_jax.motion.labels import load_labels

ROOT = Path(__file__).parents[1]
PAGE, FIGURE = ROOT / "docs" / "fill.md", ROOT / "docs" / "img" / "confidence.png"
QUALITY = "balanced"
FRAMES, SEED = 72, 101
"""Frames of a clip of motion at most; of places, cameras and what is missing."""


def people(model: Model, options: argparse.Namespace) -> Iterator[tuple[str, Iterator[Task]]]:
    """Who they are, and what is completed of them."""

    def motion(source: str, split: str, count: int) -> Iterator[Task]:
        return certainty.motion_tasks(model, source, split, count, FRAMES, SEED)

    yield "Held-out subjects", motion(options.motion, "validation", options.clips)
    if options.strangers:
        source, _, split = options.strangers.rpartition(":")
        yield "Strangers: another data set, other kinds of motion", motion(source, split, 0)
    if options.labels:
        clips = usable(load_labels(options.labels), SEED)[: options.labelled]
        yield "Labelled video", certainty.labelled_tasks(model, clips, SEED)


def section(who: str, joints: Joints) -> str:
    """A table under the name of the people."""
    return f"{who}, {len(set(joints.clip.tolist()))} clips or actions:\n\n" + certainty.told(
        joints, joints.said
    )


def draw(found: dict[str, Joints], path: Path) -> None:
    """Curves, a panel for each of the people."""
    figure = Figure(figsize=(4.2 * len(found), 4.4), layout="constrained")
    for axes, (who, joints) in zip(
        np.atleast_1d(figure.subplots(1, len(found))), found.items(), strict=True
    ):
        certainty.draw_curves(axes, joints, joints.said)
        axes.set_title(who.split(":")[0], fontsize="medium")
    figure.savefig(path, dpi=110)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--motion", required=True, help="motion set with a split 'validation'")
    parser.add_argument("--strangers", default="", help="another one, FILE:SPLIT")
    parser.add_argument("--labels", default="", help="file of labelled video")
    parser.add_argument("--clips", type=int, default=30, help="of --motion (default: %(default)s)")
    parser.add_argument("--labelled", type=int, default=75, help="clips of --labels, of every "
                        "action in turn (default: %(default)s)")
    options = parser.parse_args(argv)
    try:
        inpainter, found = load(None), {}
        for who, tasks in people(inpainter.model, options):
            with tqdm(desc=who, unit="track", disable=None) as bar:
                found[who] = certainty.complete(
                    inpainter, QUALITIES[QUALITY], tasks, SEED, lambda done, bar=bar: bar.update()
                )
        text = "\n\n".join(section(who, joints) for who, joints in found.items())
        write_tables(PAGE, "certainty", text)
        draw(found, FIGURE)
    except InputError as error:
        print(f"posegan_jax: {error}", file=sys.stderr)
        return 2
    print(f"wrote {PAGE} and {FIGURE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
