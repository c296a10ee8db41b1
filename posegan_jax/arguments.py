"""The arguments of the command line."""

import argparse

import posegan_jax
from posegan_jax import formats
from posegan_jax.pose.skeleton import SKELETONS

UPSAMPLED = "mpi_inf_3dhp"


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in one line, as every command does."""

    def error(self, message: str):
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; ``command`` is the name of the one that was given."""
    parser = _Parser(
        prog="posegan", allow_abbrev=False,
        description="Completes, refines and upsamples 2D human pose tracks.",
    )
    parser.add_argument(
        "--version", action="version", version=f"posegan_jax {posegan_jax.__version__}"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = _command(commands, "demo", "complete and upsample a bundled track")
    demo.add_argument("--folder", default=".", help="where to write (default: here)")
    _add_quality(demo)

    fill = _command(commands, "fill", "complete the tracks of a detector's file")
    fill.add_argument("input", help="file of a detector, or a folder of one file per frame")
    fill.add_argument("-o", "--output", required=True, help="file or folder to write")
    fill.add_argument(
        "--joints", choices=("same", UPSAMPLED), default="same",
        help=f"the input's own joints (default), or the 28 of {UPSAMPLED}",
    )
    fill.add_argument(
        "--observed", choices=("auto", "keep", "refine"), default="auto",
        help="what becomes of observed joints (default: auto: refined where they need it)",
    )
    _add_quality(fill)
    fill.add_argument("--shift", type=int, help="frames from one window to the next")
    fill.add_argument("--steps", type=int, help="steps of the search")
    fill.add_argument("--checkpoint", help="folder of a training run (default: packaged weights)")
    fill.add_argument("--video", help="also draw input and result side by side, .mp4 or .gif")
    fill.add_argument("--picture", help="also draw some frames before and after, .png")
    fill.add_argument("--report", help="also write bars, curves and skeletons as a page, .html")
    _add_source(fill)
    _add_reading(fill)

    convert = _command(commands, "convert", "write a file in another format")
    convert.add_argument("input")
    convert.add_argument("output")
    convert.add_argument("--format", choices=tuple(formats.FORMATS), help="of the output")
    convert.add_argument(
        "--joints", choices=tuple(SKELETONS), metavar="SKELETON",
        help="of the output, e.g. coco17 or body25 (default: the input's, or those of the format)",
    )
    convert.add_argument("--person", metavar="ID", help="write this person alone")
    _add_reading(convert)

    render = _command(commands, "render", "draw one file, or two side by side")
    render.add_argument("inputs", nargs="+", metavar="INPUT")
    render.add_argument("-o", "--output", required=True, help=".mp4, .gif, .png or .html")
    render.add_argument("--fps", type=float, help="frames per second of the input")
    _add_source(render)
    _add_size(render)

    _command(
        commands, "train",
        "train networks: --config=FILE [--config.FIELD=VALUE ...], as python -m posegan_jax.main",
    )

    evaluate = _command(commands, "evaluate", "score a checkpoint on held-out motion")
    evaluate.add_argument("--checkpoint", help="folder of a training run (default: packaged)")
    evaluate.add_argument(
        "--data", default="procedural", help="motion set (default: the embedded procedural one)"
    )
    evaluate.add_argument("--windows", type=int, default=512)
    evaluate.add_argument("--steps", type=int, default=200, help="of the longest search")
    evaluate.add_argument("--seed", type=int, default=1)
    evaluate.add_argument(
        "--protocols", nargs="+", default=["clean", "holes", "gap", "legs"],
        choices=("clean", "holes", "gap", "legs"),
    )
    evaluate.add_argument("-o", "--output", help="also write the scores as JSON")

    info = _command(commands, "info", "versions, devices, checkpoint, layers, parameters")
    info.add_argument("--checkpoint", help="folder of a training run (default: packaged weights)")
    return parser


def _command(commands, name: str, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    parser.set_defaults(command=name)
    return parser


def _add_quality(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--quality", choices=("fast", "balanced", "best", "thesis"), default="balanced",
        help="speed against accuracy (default: balanced), or the thesis's own search",
    )


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", help="video that the poses were detected in, to draw on")


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fps", type=float, help="frames per second of the input")
    parser.add_argument(
        "--min-score", type=float, help="joints with a lower score are missing"
    )
    parser.add_argument(
        "--joint-map", metavar="FILE",
        help='which joint is which: {"joints": ["left_shoulder", ...]} in their order or '
        '{"names": {"theirs": "ours"}} in JSON, or the name of a skeleton, e.g. body25b',
    )
    _add_size(parser)


def _add_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--image-size", type=_size, metavar="WIDTHxHEIGHT",
        help="of the pictures that the poses were detected in: for normalised coordinates, and "
        "where --source shows them in another size",
    )


def _size(text: str) -> tuple[float, float]:
    """'1920x1080' -> its numbers."""
    width, _, height = text.lower().partition("x")
    try:
        size = float(width), float(height)
    except ValueError:
        size = (0.0, 0.0)
    if not all(1 <= value <= 1e6 for value in size):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, e.g. 1920x1080")
    return size
