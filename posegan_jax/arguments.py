"""The arguments of the command line."""

import argparse

import posegan_jax
from posegan_jax import formats
from posegan_jax.batch.engines import ENGINES
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.formats.options import ReadOptions
from posegan_jax.inpainting.settings import FillOptions
from posegan_jax.pose.skeleton import SKELETONS
from posegan_jax.runtime.options import add_options
from posegan_jax.speed_options import SpeedOptions


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in one line, as every command does."""

    def error(self, message: str):
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; ``command`` is the name of the one given, ``parser`` its own."""
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
    add_options(demo, FillOptions, "quality")

    fill = _command(commands, "fill", "complete the tracks of a detector's file")
    fill.add_argument("input", help="file of a detector, or a folder of one file per frame")
    fill.add_argument("-o", "--output", required=True, help="file or folder to write")
    add_options(fill, FillOptions)
    _add_checkpoint(fill)
    fill.add_argument("--video", help="also draw input and result side by side, .mp4 or .gif")
    fill.add_argument("--picture", help="also draw some frames before and after, .png")
    fill.add_argument("--report", help="also write bars, curves and skeletons as a page, .html")
    _add_source(fill)

    batch = _command(commands, "batch", "complete the tracks of many files")
    batch.add_argument(
        "inputs", nargs="+", metavar="INPUT",
        help="file, folder, pattern such as 'clips/*.json', or a .txt with one of these a line",
    )
    batch.add_argument(
        "-o", "--output", required=True, metavar="FOLDER",
        help="to write to; files that are there already are skipped",
    )
    add_options(batch, FillOptions)
    _add_checkpoint(batch)
    batch.add_argument(
        "--engine", choices=ENGINES, default="local",
        help="this machine (default), or a Ray cluster",
    )
    batch.add_argument(
        "--workers", type=_count, metavar="N",
        help="processes that read, prepare and write, of each engine (default: by its cores); "
        "0: none but the one that solves",
    )

    convert = _command(commands, "convert", "write a file in another format")
    convert.add_argument("input")
    convert.add_argument("output")
    convert.add_argument("--format", choices=tuple(formats.FORMATS), help="of the output")
    convert.add_argument(
        "--joints", choices=tuple(SKELETONS), metavar="SKELETON",
        help="of the output, e.g. coco17 or body25 (default: the input's, or those of the format)",
    )
    convert.add_argument("--person", metavar="ID", help="write this person alone")
    add_options(convert, ReadOptions)

    render = _command(commands, "render", "draw one file, or two side by side, or strips of frames")
    render.add_argument("inputs", nargs="+", metavar="INPUT")
    render.add_argument(
        "--compare", action="store_true",
        help="a .png with a strip of frames for each of any number of inputs, one below the other",
    )
    render.add_argument(
        "--frames", type=_frames, metavar="FIRST:LAST", help="of --compare (default: all)"
    )
    render.add_argument("-o", "--output", required=True, help=".mp4, .gif, .png or .html")
    _add_source(render)
    add_options(render, ReadOptions)

    _command(
        commands, "train",
        "train networks: --config=FILE [--config.FIELD=VALUE ...], as python -m posegan_jax.main",
    )

    evaluate = _command(commands, "evaluate", "score methods and baselines on held-out motion")
    evaluate.add_argument("-o", "--output", metavar="FOLDER", help="write tables and figures there")
    _add_checkpoint(evaluate)
    add_options(evaluate, EvaluateOptions)

    speed = _command(commands, "speed", "measure how fast this machine fills and trains")
    speed.add_argument("-o", "--output", metavar="FILE", help="also write the figures as JSON")
    _add_checkpoint(speed)
    add_options(speed, SpeedOptions)

    info = _command(commands, "info", "versions, checkpoint, layers, parameters")
    _add_checkpoint(info)
    info.add_argument("--devices", action="store_true", help="those that JAX finds, too")
    return parser


def _command(commands, name: str, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    parser.set_defaults(command=name, parser=parser)
    return parser


def _add_checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", help="folder of a training run (default: packaged weights)")


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", help="video that the poses were detected in, to draw on")


def _count(text: str) -> int:
    if text.isdecimal():
        return int(text)
    raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more, not {text}")


def _frames(text: str) -> tuple[int, int]:
    """'10:60' -> (10, 60)."""
    first, _, last = text.partition(":")
    if first.isdecimal() and last.isdecimal() and int(first) <= int(last):
        return int(first), int(last)
    raise argparse.ArgumentTypeError(f"{text!r} is not FIRST:LAST, e.g. 10:60")
