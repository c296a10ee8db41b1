"""Takes the joints that people marked by hand in real video out of a data set as published.

  python -m data_pipelines.labels --source penn_action:FOLDER --out penn.npz
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from data_pipelines.command import Parser, run
from data_pipelines.labels.coco import read_coco, read_posetrack
from data_pipelines.labels.jhmdb import read_jhmdb
from data_pipelines.labels.penn_action import read_penn_action
from data_pipelines.labels.source import Labels, with_labels
from posegan_jax.errors import InputError
from posegan_jax.motion.labels import LabelledClip, save_labels
from posegan_jax.runtime.files import check_file, is_same

READERS: dict[str, Callable[..., Labels]] = {
    "penn_action": read_penn_action, "jhmdb": read_jhmdb, "coco": read_coco,
    "posetrack": read_posetrack,
}
SOURCES = "penn_action:FOLDER, jhmdb:FOLDER, coco:FILE.json, posetrack:FOLDER_OR_FILE"
SHORTEST = 8


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code: 0, 2 on bad input, 130 when interrupted."""

    def work():
        args = _parse(argv)
        return args.out, summary(convert(args.source, args.out, args.fps, args.shortest))

    return run(work)


def convert(
    source: str, out: Path, fps: float | None = None, shortest: int = SHORTEST
) -> Labels:
    """Writes the labels of a data set as one file that ``load_labels`` reads.

    Args:
      source: KIND:FOLDER or KIND:FILE; see data_pipelines/README.md.
      out: the .npz file; one that is there is replaced.
      fps: frames per second, which none of the formats says; None where that is not known.
      shortest: frames of a clip; shorter ones are left out.

    Returns:
      What was written.

    Raises:
      InputError: an option or a file is not as it must be, no clip is left, or ``out`` cannot be
        written.
    """
    kind, place = _source(source)
    if fps is not None and not 0 < fps < float("inf"):
        raise InputError(f"--fps must be positive, not {fps}")
    if shortest < 1:
        raise InputError(f"--shortest must be at least 1, not {shortest}")
    if out.suffix != ".npz":
        raise InputError(f"--out must end in .npz, not {out}")
    if is_same(out, place):
        raise InputError(f"--out {out} is the source itself")
    check_file(out)
    with tqdm(desc="read", unit="file", disable=None) as bar:
        labels = READERS[kind](place, fps=fps, on_file=bar.update)
    labels = _long_enough(labels, shortest)
    if not labels.clips:
        raise InputError(f"{place}: holds no clip of {shortest} frames or more with labels")
    labels = labels._replace(clips=with_labels(labels.clips))
    save_labels(out, labels.clips, dataset=labels.dataset, licence=labels.licence)
    return labels


def summary(labels: Labels) -> list[str]:
    """Lines on clips, frames, joints and guesses, what was left out, and the licence."""
    clips = labels.clips
    lengths = [len(clip.keypoints) for clip in clips]
    marked = sum(int(clip.labelled.sum()) for clip in clips)
    guessed = sum(int(clip.guessed.sum()) for clip in clips)
    joints = clips[0].joints
    return [
        f"  {len(clips)} clips of {min(lengths)} to {max(lengths)} frames, {sum(lengths)} in all",
        f"  {len(joints)} joints: {', '.join(joints)}",
        f"  {marked} labels, of which {guessed} are guesses of hidden joints",
        *(f"  {note}" for note in labels.notes),
        "Licence, to be kept with the file and with what is made from it:",
        f"  {labels.dataset}: {labels.licence}",
    ]


def _long_enough(labels: Labels, shortest: int) -> Labels:
    """Without clips that are short, or have no label at all."""
    def kept(clip: LabelledClip) -> bool:
        return len(clip.keypoints) >= shortest and bool(clip.labelled.any())

    clips = [clip for clip in labels.clips if kept(clip)]
    out = len(labels.clips) - len(clips)
    if not out:
        return labels
    note = f"left out: {out} clips of fewer than {shortest} frames, or without labels"
    return labels._replace(clips=clips, notes=(*labels.notes, note))


def _source(name: str) -> tuple[str, Path]:
    kind, colon, place = name.partition(":")
    if kind not in READERS or not colon or not place:
        raise InputError(f"--source {name}: give one of {SOURCES}")
    return kind, Path(place)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="python -m data_pipelines.labels",
        description="Takes joints that people marked by hand in real video out of a data set. See "
        "data_pipelines/README.md.",
    )
    parser.add_argument("--source", required=True, help=f"one of {SOURCES}")
    parser.add_argument("--out", required=True, type=Path, help="the .npz file")
    parser.add_argument("--fps", type=float, help="frames per second, where they are known")
    parser.add_argument(
        "--shortest", type=int, default=SHORTEST, metavar="FRAMES",
        help=f"leave out clips of fewer frames ({SHORTEST})",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
