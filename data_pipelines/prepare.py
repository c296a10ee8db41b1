"""Prepares motion capture for training.

  python -m data_pipelines.prepare --source A.npz,B.npz --out data/cmu
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import tensorflow_datasets as tfds
from tqdm import tqdm

from data_pipelines.mocap.builder import MotionClips, licence_lines
from data_pipelines.mocap.source import RATE, SPLITS, Source, read_source
from posegan_jax.errors import InputError

MOST_FRAMES = 2_500_000
"""Of one split (28 hours). A split beyond 1000 MiB TFDS sorts in files, which takes TensorFlow."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code: 0, 2 on bad input, 130 when interrupted."""
    try:
        args = _parse(argv)
        sources = prepare([Path(path) for path in args.source.split(",")], args.out, args.overwrite)
    except InputError as error:
        print(f"data_pipelines: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("data_pipelines: interrupted; nothing is written", file=sys.stderr)
        return 130
    print(f"{args.out}:", *summary(sources), sep="\n")
    return 0


def prepare(paths: Sequence[Path], out: Path, overwrite: bool = False) -> list[Source]:
    """Writes the clips of the source files as one set that ``load_clips(out, split)`` reads.

    The set is made in a temporary folder beside ``out`` and takes its name when it is whole.

    Args:
      paths: .npz files of the layout in data_pipelines/README.md.
      out: folder of the new set; its parents are made.
      overwrite: replace a prepared set at ``out``, and nothing else.

    Returns:
      What the files hold.

    Raises:
      InputError: a file is not as it must be, there are no clips or too many, ``out`` exists, or
        it cannot be written.
    """
    _check_out(out, overwrite)
    if len({path.resolve() for path in paths}) < len(paths):
        raise InputError("--source names a file twice")
    sources = [read_source(path) for path in paths]
    _check_size(sources)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{out.name}.", suffix=".tmp", dir=out.parent
        ) as temporary:
            made = _build(sources, Path(temporary))
            if overwrite and out.exists():
                os.rename(out, Path(temporary) / "replaced")  # to be removed with the rest
            os.rename(made, out)
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror or error}") from error
    return sources


def summary(sources: Sequence[Source]) -> list[str]:
    """Lines on clips, frames and minutes of every split, what was left out, and the licences."""
    lines = []
    for split in SPLITS:
        lengths = [len(clip.positions) for source in sources for clip in source.clips[split]]
        minutes = sum(lengths) / RATE / 60
        lines.append(
            f"  {split}: {len(lengths)} clips, {sum(lengths)} frames, {minutes:.1f} minutes"
            if lengths
            else f"  {split}: no clips; training needs both splits"
        )
    skipped = sum(source.skipped for source in sources)
    if skipped:
        lines.append(f"  left out: {skipped} clips of fewer than 2 frames")
    return [*lines, "Licences, to be kept with the set and with what is made from it:"] + [
        f"  {line}" for line in licence_lines(sources)
    ]


def _build(sources: Sequence[Source], folder: Path) -> Path:
    """Writes the set somewhere below ``folder`` and says where."""
    tfds.disable_progress_bar()  # ours counts the clips of all splits
    total = sum(len(clips) for source in sources for clips in source.clips.values())
    with tqdm(total=total, desc="prepare", unit="clip", disable=None) as bar:
        builder = MotionClips(sources=sources, data_dir=folder, on_clip=bar.update)
        # TFDS tells on standard output of downloads, and of a folder that is about to be renamed.
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare()
    return Path(builder.data_dir)


def _check_out(out: Path, overwrite: bool) -> None:
    if not os.path.lexists(out):
        return
    if not overwrite:
        raise InputError(f"{out} exists already; give --overwrite or another --out")
    if not (out / "dataset_info.json").is_file():
        raise InputError(f"{out} is not a prepared set; --overwrite replaces nothing else")


def _check_size(sources: Sequence[Source]) -> None:
    for split in SPLITS:
        frames = sum(len(clip.positions) for source in sources for clip in source.clips[split])
        if frames > MOST_FRAMES:
            raise InputError(
                f"{frames} frames of the split {split!r}, {MOST_FRAMES} is the most that a "
                "prepared set can hold; train on the .npz files themselves"
            )
    if not any(clips for source in sources for clips in source.clips.values()):
        raise InputError("the source holds no clip of two frames or more")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise InputError(f"{message} (see --help)")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="python -m data_pipelines.prepare",
        description="Prepares motion capture for training. See data_pipelines/README.md.",
    )
    parser.add_argument("--source", required=True, help=".npz files, separated by commas")
    parser.add_argument("--out", required=True, type=Path, help="folder of the new set")
    parser.add_argument("--overwrite", action="store_true", help="replace the set at --out")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
