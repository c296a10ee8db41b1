"""The arguments of the command line."""

import argparse
import math
from collections.abc import Callable

import posegan_jax
from posegan_jax import formats
from posegan_jax.pose.skeleton import SKELETONS

UPSAMPLED = "mpi_inf_3dhp"


def _number(kind: type, good: Callable, rule: str) -> Callable[[str], float]:
    """Of an argument that must be a number with a property, which the rule says in words."""

    def parse(text: str):
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no {_KINDS[kind]}") from None
        if not good(value):
            raise argparse.ArgumentTypeError(f"must be {rule}, not {text}")
        return value

    return parse


_KINDS = {int: "whole number", float: "number"}
_COUNT = _number(int, lambda value: value >= 0, "0 or more")
_POSITIVE = _number(int, lambda value: value > 0, "1 or more")
_RATE = _number(float, lambda value: 0 < value < math.inf, "positive and finite")
_SCORE = _number(float, math.isfinite, "finite")


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
    _add_quality(demo)

    fill = _command(commands, "fill", "complete the tracks of a detector's file")
    fill.add_argument("input", help="file of a detector, or a folder of one file per frame")
    fill.add_argument("-o", "--output", required=True, help="file or folder to write")
    _add_filling(fill)
    fill.add_argument("--video", help="also draw input and result side by side, .mp4 or .gif")
    fill.add_argument("--picture", help="also draw some frames before and after, .png")
    fill.add_argument("--report", help="also write bars, curves and skeletons as a page, .html")
    _add_source(fill)
    _add_reading(fill)

    batch = _command(commands, "batch", "complete the tracks of many files")
    batch.add_argument(
        "inputs", nargs="+", metavar="INPUT",
        help="file, folder, pattern such as 'clips/*.json', or a .txt with one of these a line",
    )
    batch.add_argument(
        "-o", "--output", required=True, metavar="FOLDER",
        help="to write to; files that are there already are skipped",
    )
    _add_filling(batch)
    batch.add_argument(
        "--engine", choices=("local", "ray"), default="local",
        help="this machine (default), or a Ray cluster",
    )
    batch.add_argument(
        "--workers", type=_COUNT, metavar="N",
        help="processes that read, prepare and write, of each engine (default: by its cores); "
        "0: none but the one that solves",
    )
    _add_reading(batch)

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
    render.add_argument("--fps", type=_RATE, help="frames per second of the input")
    _add_source(render)
    _add_size(render)

    _command(
        commands, "train",
        "train networks: --config=FILE [--config.FIELD=VALUE ...], as python -m posegan_jax.main",
    )

    evaluate = _command(commands, "evaluate", "score methods and baselines on held-out motion")
    _add_evaluation(evaluate)

    benchmark = _command(commands, "benchmark", "measure how fast this machine fills and trains")
    _add_benchmark(benchmark)

    info = _command(commands, "info", "versions, devices, checkpoint, layers, parameters")
    info.add_argument("--checkpoint", help="folder of a training run (default: packaged weights)")
    return parser


def _command(commands, name: str, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    parser.set_defaults(command=name, parser=parser)
    return parser


def _add_evaluation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--motion", default="procedural", metavar="PATH",
        help="motion set: a prepared folder, .npz files with commas, or the embedded 'procedural' "
        "one (default); where a folder has 2D test clips, those are used",
    )
    parser.add_argument(
        "--protocol", default="", metavar="NAME[,NAME...]",
        help="clean, holes10, holes20, holes40, holes60, arm, leg, legs, lower, gap5, gap10, "
        "gap20, crop, noise, wild, all, or everything (default: clean,holes40,gap10,legs,noise)",
    )
    parser.add_argument(
        "--method", default="", metavar="NAME[,NAME...]",
        help="input, baselines and qualities by name, sN for windows every N frames, encoder, "
        "descentN, random (default: all baselines, encoder, fast and balanced); docs/benchmark.md "
        "has the list",
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", help="write tables and figures there")
    parser.add_argument(
        "--detections", default="", metavar="FOLDER",
        help="a detector's files for 2D test clips, e.g. FOLDER/S1/Seq2/video_4.json",
    )
    parser.add_argument("--checkpoint", help="folder of a training run (default: packaged weights)")
    parser.add_argument(
        "--unit", choices=("clips", "windows"), default="clips",
        help="whole clips (default), or single windows of 24 frames",
    )
    parser.add_argument(
        "--count", type=int, default=20, help="clips or windows; 0: all clips (default: 20)"
    )
    parser.add_argument(
        "--longest", type=int, default=250, help="frames of a clip at most; 0: any (default: 250)"
    )
    parser.add_argument(
        "--seed", type=_COUNT, default=1, help="of cameras and protocols (default: 1)"
    )
    parser.add_argument("--split", default="validation", help="of the motion (default: validation)")
    parser.add_argument(
        "--train", default="", metavar="PATH",
        help="motion set whose training clips the regressions are fitted on (default: --motion)",
    )
    parser.add_argument(
        "--head", choices=("neck", "head"), default="neck",
        help="head size is from the top of the head to the neck (default), or to the head joint",
    )


def _add_benchmark(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help="also write the figures as JSON")
    parser.add_argument(
        "--part", dest="parts", default="", metavar="NAME[,NAME]",
        help="filling, training (default: both)",
    )
    parser.add_argument(
        "--quality", dest="qualities", default="", metavar="NAME[,NAME...]",
        help="of filling (default: fast,balanced,best)",
    )
    parser.add_argument(
        "--frames", type=int, help="of the track (default: 120 on a CPU, 2000 elsewhere)"
    )
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="that each rate is measured for (default: 3)"
    )
    parser.add_argument(
        "--batch-size", type=int, default=256, help="windows of a training step (default: 256)"
    )
    parser.add_argument("--checkpoint", help="folder of a training run (default: packaged weights)")


def _add_filling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--joints", choices=("same", UPSAMPLED), default="same",
        help=f"the input's own joints (default), or the 28 of {UPSAMPLED}",
    )
    parser.add_argument(
        "--observed", choices=("auto", "keep", "refine"), default="auto",
        help="what becomes of observed joints (default: auto: refined where they need it)",
    )
    parser.add_argument(
        "--repair-sides", action=argparse.BooleanOptionalAction, default=True,
        help="exchange left and right where the detector did (default: yes)",
    )
    _add_quality(parser)
    parser.add_argument("--shift", type=_POSITIVE, help="frames from one window to the next")
    parser.add_argument("--steps", type=_COUNT, help="steps of the search")
    parser.add_argument("--checkpoint", help="folder of a training run (default: packaged weights)")


def _add_quality(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--quality", choices=("fast", "balanced", "best", "thesis"), default="balanced",
        help="speed against accuracy (default: balanced), or the thesis's own search",
    )


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", help="video that the poses were detected in, to draw on")


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fps", type=_RATE, help="frames per second of the input")
    parser.add_argument(
        "--min-score", type=_SCORE, help="joints with a lower score are missing"
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


def _frames(text: str) -> tuple[int, int]:
    """'10:60' -> (10, 60)."""
    first, _, last = text.partition(":")
    if first.isdecimal() and last.isdecimal() and int(first) <= int(last):
        return int(first), int(last)
    raise argparse.ArgumentTypeError(f"{text!r} is not FIRST:LAST, e.g. 10:60")


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
