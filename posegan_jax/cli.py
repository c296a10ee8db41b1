"""The command line: ``posegan demo | fill | batch | convert | render | train | evaluate | ...``.

A command that fails on its input prints one line and exits with code 2.
"""

import argparse
import contextlib
import dataclasses
import itertools
import os
import signal
import sys
import time
from collections.abc import Collection, Iterable, Sequence
from importlib import resources
from pathlib import Path

import numpy as np

import posegan_jax
from posegan_jax import formats
from posegan_jax.arguments import make_parser
from posegan_jax.errors import InputError, out_of_memory
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.formats.options import ReadOptions
from posegan_jax.inpainting.settings import UPSAMPLED, FillOptions
from posegan_jax.model.options import CORRECTOR, NETWORKS
from posegan_jax.pose.sequence import PoseFile, PoseSequence, densify
from posegan_jax.pose.skeleton import LISTED, get_skeleton
from posegan_jax.runtime import compilation_cache, cpus
from posegan_jax.runtime.files import check_file, is_same
from posegan_jax.runtime.options import options_of
from posegan_jax.speed_options import SpeedOptions

DEMO = "posegan-demo"
VIDEOS, PICTURES, REPORTS = (".mp4", ".gif"), (".png",), (".html",)
_MANY = 10
"""Of more people than this a line is not of each of them but of all."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["benchmark"]:
        print("posegan: 'posegan benchmark' is 'posegan speed' now", file=sys.stderr)
        arguments[0] = "speed"
    options, rest = make_parser().parse_known_args(arguments)
    if rest and options.command != "train":
        options.parser.error(f"unrecognized arguments: {' '.join(rest)}")
    compilation_cache.enable()
    try:
        return _COMMANDS[options.command](options, rest) or 0
    except InputError as error:
        print(f"posegan: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("posegan: interrupted; what was written before is whole", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has left, e.g. `posegan info | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if line := out_of_memory(error):
            print(f"posegan: {line}; what was written before is whole", file=sys.stderr)
            return 1
        raise


# --- the commands ---------------------------------------------------------------------------------


def _demo(options: argparse.Namespace, rest: list[str]) -> None:
    """Completes and upsamples the bundled track; writes JSON, picture and video."""
    folder = Path(options.folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    output, video, picture = (folder / f"{DEMO}{suffix}" for suffix in (".json", ".mp4", ".png"))
    for path in (output, video, picture):
        _check_output(path)
    asset = resources.files("posegan_jax") / "assets" / "demo-alphapose-results.json"
    with resources.as_file(asset) as path:
        file = formats.read(path, fps=25.0)
    how = dataclasses.replace(options_of(FillOptions, options), joints=UPSAMPLED)
    _write_all(*_complete(file, how), output, video, picture)


def _fill(options: argparse.Namespace, rest: list[str]) -> None:
    """Completes every person of a file."""
    _check_kept(
        (options.input, options.joint_map, options.source),
        (options.output, options.video, options.picture, options.report),
    )
    how = options_of(FillOptions, options)
    how.check_model(options.checkpoint)
    source = _source(options, options.video)
    file = _read(options.input, how, source)
    # Filling takes minutes: what would fail after it is found out before.
    formats.check_output(file, options.output)
    _check_output(options.video, VIDEOS)
    _check_output(options.picture, PICTURES)
    _check_output(options.report, REPORTS)
    before, filled = _complete(file, how, options.checkpoint)
    _check_filled(before, filled, options.output)
    _write_all(
        before, filled, Path(options.output), options.video, options.picture, options.report,
        source,
    )


def _batch(options: argparse.Namespace, rest: list[str]) -> int:
    """Completes every person of many files; 1 where some of them could not be."""
    from posegan_jax.batch import run

    how = options_of(FillOptions, options)
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        summary = run.run(
            options.inputs, options.output, how, options.checkpoint, options.engine,
            options.workers,
        )
    except KeyboardInterrupt as stop:
        print(
            "posegan: interrupted; what was written is whole, and the same command goes on from "
            "there", file=sys.stderr,
        )
        return 143 if isinstance(stop, _Terminated) else 130
    finally:
        signal.signal(signal.SIGTERM, before)
    for path, error in summary.failures.items():
        print(f"  {error if path in error else f'{path}: {error}'}", file=sys.stderr)
    print(summary)
    return 1 if summary.failures else 0


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as an interrupt does."""


def _terminate(number, frame) -> None:
    raise _Terminated


def _convert(options: argparse.Namespace, rest: list[str]) -> None:
    _check_kept((options.input, options.joint_map), (options.output,))
    file = _read(options.input, options_of(ReadOptions, options))
    _say_read(file)
    if options.person is not None:
        file = _alone(file, options.person)
    _write(file, Path(options.output), options.format, options.joints)


def _render(options: argparse.Namespace, rest: list[str]) -> None:
    """Draws one file, or two side by side, or strips of frames of any number."""
    _check_kept((*options.inputs, options.source), (options.output,))
    if options.compare:
        return _compare(options)
    if options.frames:
        raise InputError("--frames goes with --compare")
    _check_output(options.output, VIDEOS + PICTURES + REPORTS)
    if len(options.inputs) > 2:
        raise InputError(f"{len(options.inputs)} files: give one, or two to compare")
    how, source = options_of(ReadOptions, options), _source(options, options.output)
    files = [_read(path, how, source) for path in options.inputs]
    for file in files:
        _say_read(file)
    labels = [Path(path).name for path in options.inputs]
    output = Path(options.output)
    if output.suffix.lower() in PICTURES:
        from posegan_jax.render.still import before_after

        pair = [densify(_longest(file)) for file in (files[0], files[-1])]
        before_after(*_common(*pair), output)
        print(f"wrote {output}")
    elif output.suffix.lower() in REPORTS:
        _report(files, output, labels)
    else:
        _video(files, output, labels, source)


def _compare(options: argparse.Namespace) -> None:
    """Strips of frames, one per file, with the name of the file in front."""
    from posegan_jax.render.still import compare

    _check_output(options.output, PICTURES)
    how = options_of(ReadOptions, options)
    files = [_read(path, how) for path in options.inputs]
    tracks = {}
    for path, file in zip(options.inputs, files, strict=True):
        name = Path(path).stem
        tracks[str(path) if name in tracks else name] = densify(_longest(file))
    compare(tracks, Path(options.output), options.frames)
    print(f"wrote {options.output}")


def _train(options: argparse.Namespace, rest: list[str]) -> None:
    from posegan_jax import main as training

    training.run(["posegan train", *rest])


def _evaluate(options: argparse.Namespace, rest: list[str]) -> None:
    """Scores methods and baselines on held-out motion."""
    from posegan_jax.evaluation import evaluate
    from posegan_jax.inpainting.inpainter import load

    if options.output is not None and Path(options.output).is_file():
        raise InputError(f"{options.output} is a file; give a folder")
    chosen = options_of(EvaluateOptions, options)
    evaluate.check(chosen)
    evaluate.report(load(options.checkpoint), chosen, options.output)


def _speed(options: argparse.Namespace, rest: list[str]) -> None:
    """How fast this machine fills and trains."""
    from posegan_jax import speed
    from posegan_jax.inpainting.inpainter import load

    _check_output(options.output)
    report = speed.measure(load(options.checkpoint), options_of(SpeedOptions, options))
    for line in speed.lines(report):
        print(line)
    if options.output:
        speed.save(report, options.output)
        print(f"wrote {options.output}")


def _info(options: argparse.Namespace, rest: list[str]) -> None:
    """Versions, the checkpoint, layers and parameter totals; devices, if they are asked for."""
    from importlib.metadata import version

    from posegan_jax.model.arrays import flat
    from posegan_jax.model.folder import packaged
    from posegan_jax.model.model import num_parameters
    from posegan_jax.model.store import about, read_outline

    print(f"posegan_jax {posegan_jax.__version__}, Python {sys.version.split()[0]}")
    libraries = "jax", "flax", "optax", "orbax-checkpoint"
    print(", ".join(f"{name} {version(name)}" for name in libraries))
    with contextlib.ExitStack() as stack:
        path = options.checkpoint or stack.enter_context(resources.as_file(packaged()))
        model = read_outline(path)
    if options.devices:
        from posegan_jax.runtime import cpus

        cpus.one_device_each()
        import jax

        print("devices:", ", ".join(f"{d.platform}:{d.id} {d.device_kind}" for d in jax.devices()))
    print(f"checkpoint: {options.checkpoint or 'packaged'}")
    for name, value in about(model).items():
        if name != "config":
            print(f"  {name}: {value}")
    for section, values in model.about.get("config", {}).items():
        print(f"  config.{section}: {values}")
    for name in (*NETWORKS, CORRECTOR):
        if name in model.variables:
            print(f"{name}: {num_parameters(model.variables[name]):,} parameters")
            for keys, leaf in flat(model.variables[name]["params"]).items():
                print(f"  {'/'.join(keys):40} {str(leaf.shape):20} {leaf.size:>9,}")


# --- their parts ----------------------------------------------------------------------------------


def _read(path: str, how: ReadOptions, source=None) -> PoseFile:
    """A file, as seen in a video."""
    return formats.read(
        path, fps=how.fps, min_score=how.min_score, joint_map=how.joint_map,
        image_size=None if source else how.image_size, vertical=how.vertical,
        seen_in=source.shape if source else None, ignore_ids=how.ignore_ids,
    )


def _check_output(path: str | os.PathLike | None, suffixes: Collection[str] = ()) -> None:
    """Raises InputError where a file cannot be written, or has none of these suffixes."""
    if path is None:
        return
    path = Path(path)
    if suffixes and path.suffix.lower() not in suffixes:
        endings = " or ".join(sorted(filter(None, suffixes)))
        raise InputError(f"{path}: its name must end in {endings}")
    check_file(path)


def _check_kept(
    inputs: Iterable[str | os.PathLike | None], outputs: Iterable[str | os.PathLike | None]
) -> None:
    """Raises InputError where an output would be written over an input, whatever it is called."""
    for given, path in itertools.product(filter(None, inputs), filter(None, outputs)):
        if is_same(given, path):
            raise InputError(f"{given} would be written over; give another name than {path}")


def _check_filled(file: PoseFile, filled: PoseFile, output: str | os.PathLike) -> None:
    """Raises InputError where nothing was filled and a file of another format would be written."""
    left = all(new is old for new, old in zip(filled, file, strict=True))
    if len(file) and left and formats.converted(filled, output).format != file.format:
        raise InputError(
            f"{file.path}: nothing could be filled, so {output} is not written; posegan "
            "convert changes the format alone"
        )


def _complete(
    file: PoseFile, how: FillOptions, checkpoint: str | None = None
) -> tuple[PoseFile, PoseFile]:
    """Completes every sequence of a file, with a progress bar; says what it did.

    Returns:
      The file before, with people who were exchanged put right, and after.
    """
    from tqdm import tqdm

    from posegan_jax.inpainting.inpainter import load
    from posegan_jax.inpainting.people import Filled, complete, is_rate_assumed, prepare

    _say_read(file)
    inpainter = load(checkpoint)
    told, file = file.notes, inpainter.solve(prepare(file, inpainter.completer, how))
    for note in file.notes[len(told) :]:
        print(f"  {note}")
    if is_rate_assumed(file):
        from posegan_jax.pose.rate import UNKNOWN_FPS

        print(f"  frames per second not known: {UNKNOWN_FPS:g} assumed; --fps gives them")

    people, begun = [], time.perf_counter()
    for number, sequence in enumerate(file, 1):
        label = f"person {number} of {len(file)}"
        with tqdm(desc=label, unit="window", leave=False, disable=None) as bar:

            def progress(done: int, total: int, bar=bar) -> None:
                bar.total = total
                bar.update(done - bar.n)

            steps = complete([sequence], inpainter.completer, how)
            (person,) = inpainter.solve(steps, progress)
        people.append(person)
        if len(file) <= _MANY:
            print(f"  {_who(sequence)}: {_what(person)}")
    filled = Filled.of(file, people)
    if len(file) > _MANY:
        print(f"  {_all(filled)}")
    seconds = time.perf_counter() - begun
    rate = filled.frames / max(seconds, 1e-9)
    print(f"completed {filled.frames} frames in {seconds:.1f} s ({rate:.0f} fps)")
    cpus.give_back_memory()
    return file, filled.file


def _source(options: argparse.Namespace, video: str | os.PathLike | None):
    """The video to draw on, None without a path."""
    path = options.source
    if path is None:
        return None
    if video is None or Path(video).suffix.lower() not in VIDEOS:
        raise InputError(f"--source {path}: only a video shows it; ask for an .mp4 or .gif")
    from posegan_jax.render.source import SourceVideo

    return SourceVideo(path, options.image_size)


def _write_all(
    file: PoseFile, filled: PoseFile, output: Path, video, picture, report=None, source=None
) -> None:
    _write(filled, output)
    if report:
        _report([file, filled], Path(report), ["input", "completed"])
    if not len(file):
        for path in filter(None, (picture, video)):
            print(f"nobody in {file.path}: no {path}")
        return
    if picture:
        from posegan_jax.render.still import before_after

        before_after(*_common(_longest(file), filled[_longest_index(file)]), Path(picture))
        print(f"wrote {picture}")
    if video:
        _video([file, filled], Path(video), ["input", "completed"], source)


def _alone(file: PoseFile, person: str) -> PoseFile:
    """One person of a file, without the others' part of it."""
    people = tuple(sequence for sequence in file if str(sequence.person) == person)
    if not people:
        ids = ", ".join(str(sequence.person) for sequence in file) or "nobody"
        raise InputError(f"{file.path}: no person {person}; there are: {ids[:200]}")
    return dataclasses.replace(file, sequences=people, source=None)


def _write(file: PoseFile, path: Path, format=None, joints=None) -> None:
    """Writes a file and says which joints are lost where it gets others."""
    result = formats.converted(file, path, format, joints)
    for note in result.notes[len(file.notes) :]:
        print(f"  {note}")
    formats.write(result, path, result.format)
    print(f"wrote {path}")


def _report(files: Sequence[PoseFile], path: Path, labels: list[str]) -> None:
    from posegan_jax.render.report import write_report

    title = " and ".join(dict.fromkeys(Path(file.path).name for file in files))
    notes = dict.fromkeys(note for file in files for note in file.notes)
    write_report([list(file) for file in files], path, labels, title, list(notes))
    print(f"wrote {path}")


def _video(files: Sequence[PoseFile], path: Path, labels: list[str], source=None) -> None:
    from tqdm import tqdm

    from posegan_jax.render.video import write_video

    with tqdm(desc="video", unit="frame", leave=False, disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        panels = [list(file) for file in files]
        plain = write_video(panels, path, labels, progress, source)
    if plain:
        print(f"  {source.path} has no picture of {plain} frames; their background is plain")
    print(f"wrote {path}")


def _common(before: PoseSequence, after: PoseSequence) -> tuple[PoseSequence, PoseSequence]:
    """Both sequences over the frames that they have in common."""
    before = densify(before)
    keep = np.isin(before.frames, after.frames)
    if not keep.any():
        raise InputError("the two files have no frame in common")
    return _rows(before, keep), _rows(after, np.isin(after.frames, before.frames))


def _rows(sequence: PoseSequence, keep) -> PoseSequence:
    return sequence.replace(
        keypoints=sequence.keypoints[keep], scores=sequence.scores[keep],
        frames=sequence.frames[keep], provenance=sequence.provenance[keep],
    )


def _longest_index(file: PoseFile) -> int:
    return max(range(len(file)), key=lambda i: len(file[i]))


def _longest(file: PoseFile) -> PoseSequence:
    if not len(file):
        raise InputError(f"{file.path}: nobody in it")
    return file[_longest_index(file)]


def _say_read(file: PoseFile) -> None:
    people = "1 person" if len(file) == 1 else f"{len(file)} people"
    kinds = ", ".join(sorted({_kind(sequence.skeleton) for sequence in file})) or "no skeleton"
    print(f"read {file.path} ({file.format}, {kinds}): {people}")
    for note in file.notes:
        print(f"  {note}")


def _kind(skeleton: str) -> str:
    listed = skeleton.startswith(LISTED)
    return f"{len(get_skeleton(skeleton))} joints by their names" if listed else skeleton


def _who(sequence: PoseSequence) -> str:
    if not len(sequence):
        return f"person {sequence.person}, no frames"
    return f"person {sequence.person}, frames {sequence.frames[0]} to {sequence.frames[-1]}"


def _what(person) -> str:
    """What was made of a person, see ``people.Person``."""
    from posegan_jax.inpainting.people import count_joints

    if person.left:
        return "nothing that the model could start from; left as it is"
    return _counts(
        count_joints([person.sequence]), person.stretches.bridged, person.stretches.gaps,
        person.moved.confident, len(person.moved), len(person.sequence.sides),
    )


def _all(filled) -> str:
    """What was made of many people, see ``people.Filled``."""
    from posegan_jax.inpainting.people import count_joints

    left = f", {filled.left} of them left as they are: nothing to start from" if filled.left else ""
    counts = _counts(
        count_joints(filled.file), filled.bridged, filled.gaps, filled.confident, filled.moved,
        filled.sides,
    )
    return f"all {len(filled.file)} people{left}: {counts}"


def _counts(
    joints: dict[str, int], bridged: int, gaps: int, confident: int, moved: int, sides: int
) -> str:
    parts = [f"joints {', '.join(f'{count} {name}' for name, count in joints.items() if count)}"]
    if bridged:
        parts.append(f"{bridged} frame{'s' * (bridged > 1)} bridged")
    if gaps:
        parts.append(f"{gaps} gap{'s' * (gaps > 1)} left (--bridge)")
    if sides:
        parts.append(f"left and right exchanged in {sides} frame{'s' * (sides > 1)}")
    if moved:
        parts.append(f"{moved} of {confident} confident joints moved by over half a head")
    return "; ".join(parts)


_COMMANDS = {
    "demo": _demo,
    "fill": _fill,
    "batch": _batch,
    "convert": _convert,
    "render": _render,
    "train": _train,
    "evaluate": _evaluate,
    "speed": _speed,
    "info": _info,
}


if __name__ == "__main__":
    sys.exit(main())
