"""Prepares motion capture for training.

  python -m data_pipelines.prepare --source A.npz,B.npz --out data/cmu
  python -m data_pipelines.prepare --source mpi_inf_3dhp:FOLDER --out data/mpi_inf_3dhp
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

from data_pipelines.command import Parser, run
from data_pipelines.mocap.builder import MotionClips, licence_lines
from data_pipelines.mocap.source import SPLITS, Source
from data_pipelines.sources import KINDS, Options, read_sources
from posegan_jax.errors import InputError
from posegan_jax.motion.clips2d import FILE, save_clips2d

MOST_NUMBERS = 210_000_000
"""Coordinates of one split, 28 hours of 28 joints. A split beyond 1000 MiB TFDS sorts in files,
which takes TensorFlow."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code: 0, 2 on bad input, 130 when interrupted."""

    def work():
        args = _parse(argv)
        sources = prepare(args.source.split(","), args.out, args.overwrite, _options(args))
        return args.out, summary(sources)

    return run(work)


def prepare(
    names: Sequence[str | os.PathLike], out: Path, overwrite: bool = False,
    options: Options | None = None,
) -> list[Source]:
    """Writes the clips of the sources as one set that ``load_clips(out, split)`` reads.

    2D clips to test with stand beside them, for ``load_clips2d(out)``. The set is made in a
    temporary folder beside ``out`` and takes its name when it is whole.

    Args:
      names: the sources, each FILE.npz or KIND:FOLDER; see data_pipelines/README.md.
      out: folder of the new set; its parents are made.
      overwrite: replace a prepared set at ``out``, and nothing else.
      options: how the sources are read.

    Returns:
      What the sources hold.

    Raises:
      InputError: a file is not as it must be, there are no clips or too many, they are of
        different joints, ``out`` exists, or it cannot be written.
    """
    _check_out(out, overwrite)
    with tqdm(desc="read", unit="file", disable=None) as bar:
        sources = read_sources(names, options or Options(), bar.update)
    _check_clips(sources)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{out.name}.", suffix=".tmp", dir=out.parent
        ) as temporary:
            made = _build(sources, Path(temporary))
            _save_views(sources, made)
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
        clips = [clip for source in sources for clip in source.clips[split]]
        lengths = [len(clip.positions) for clip in clips]
        minutes = sum(len(clip.positions) / clip.fps for clip in clips) / 60
        lines.append(
            f"  {split}: {len(lengths)} clips, {sum(lengths)} frames, {minutes:.1f} minutes"
            if lengths
            else f"  {split}: no clips; training needs both splits"
        )
    lengths = [len(view.keypoints) for source in sources for view in source.views]
    if lengths:
        lines.append(
            f"  test, in 2D: {len(lengths)} sequences of {min(lengths)} to {max(lengths)} frames, "
            f"{sum(lengths)} in all"
        )
    lines += [f"    {note}" for source in sources for note in source.notes]
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


def _save_views(sources: Sequence[Source], folder: Path) -> None:
    shown = [source for source in sources if source.views]
    if shown:
        save_clips2d(
            folder / FILE, [view for source in shown for view in source.views],
            dataset=", ".join(source.dataset for source in shown),
            licence="\n".join(licence_lines(shown)),
        )


def _check_out(out: Path, overwrite: bool) -> None:
    if not os.path.lexists(out):
        return
    if not overwrite:
        raise InputError(f"{out} exists already; give --overwrite or another --out")
    if not (out / "dataset_info.json").is_file():
        raise InputError(f"{out} is not a prepared set; --overwrite replaces nothing else")


def _check_clips(sources: Sequence[Source]) -> None:
    joints = {c.joints for source in sources for clips in source.clips.values() for c in clips}
    if not joints:
        raise InputError("the source holds no clip of two frames or more")
    if len(joints) > 1:
        raise InputError("the sources are of different joints; prepare a set of each")
    most = MOST_NUMBERS // (3 * len(joints.pop()))
    for split in SPLITS:
        frames = sum(len(clip.positions) for source in sources for clip in source.clips[split])
        if frames > most:
            raise InputError(
                f"{frames} frames of the split {split!r}, {most} is the most that a "
                "prepared set can hold; train on the .npz files themselves"
            )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="python -m data_pipelines.prepare",
        description="Prepares motion capture for training. See data_pipelines/README.md.",
    )
    parser.add_argument(
        "--source", required=True,
        help="FILE.npz or KIND:FOLDER, several with commas; KIND is the .json file of a joint map "
        f"or one of {', '.join(KINDS)}",
    )
    parser.add_argument("--out", required=True, type=Path, help="folder of the new set")
    parser.add_argument("--overwrite", action="store_true", help="replace the set at --out")
    parser.add_argument("--subjects", help="those to read, with commas; all by default")
    parser.add_argument("--validation", help="subjects that validate rather than train")
    parser.add_argument(
        "--rate", choices=("25", "native"), default="25",
        help="frames per second; native keeps 50 where MPI-INF-3DHP has them",
    )
    parser.add_argument(
        "--cut", type=float, default=1.0, metavar="SHARE",
        help="MPI-INF-3DHP: a stretch without the whole person is cut if this share of the joints "
        "leaves the picture somewhere in it",
    )
    parser.add_argument("--unit", type=float, metavar="MM", help="BVH: millimetres of one unit")
    parser.add_argument(
        "--downloads", type=Path, default=Options.downloads, help="folder for what is fetched"
    )
    return parser.parse_args(argv)


def _options(args: argparse.Namespace) -> Options:
    if not 0 < args.cut <= 1:
        raise InputError(f"--cut must be above 0 and at most 1, not {args.cut}")
    if args.unit is not None and not 0 < args.unit < float("inf"):
        raise InputError(f"--unit must be positive, not {args.unit}")
    subjects, validation = (
        names and tuple(names.split(",")) for names in (args.subjects, args.validation)
    )
    return Options(
        subjects, validation, args.rate == "native", args.cut, args.unit, args.downloads
    )


if __name__ == "__main__":
    sys.exit(main())
