"""YOLO's labels, as Ultralytics' ``save_txt`` writes them: a folder with a text file per frame.

A line is someone: class, box (centre, width, height), then x and y, mostly with a score, of every
joint, then the confidence (``save_conf``) and the id of a track, where there are any. Places are
shares of the picture, see ``picture``. In labels of a data set the third number of a joint is a
flag as in COCO's. The frame is the last number in a file's name.
"""

import dataclasses
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats import folder, jsonfile, records
from posegan_jax.formats.decimals import Decimals
from posegan_jax.formats.format import Format
from posegan_jax.pose.sequence import PoseFile
from posegan_jax.pose.skeleton import get_skeleton

_ENDING = ".txt"
_BOX = 5  # class and box
_VISIBLE = 2
_CLASSES = "classes.txt"  # the names of a data set's classes, which stand beside its labels
_OTHERS = (".json", ".csv", ".npz")
_LOOKS = 8  # files, for a look at what a folder holds
_DIGITS = Decimals(places=9, scores=6)  # more than are written, which are YOLO's six digits
_NAME = "frame_000000" + _ENDING


@dataclasses.dataclass(frozen=True)
class _Layout:
    """What the numbers of a line are.

    Attributes:
      joints: number of joints.
      width: numbers of a joint: x, y and a score, or x and y.
      confidence: whether a number follows that is the line's.
      ids: whether lines may end in the id of a track.
      flags: whether the third number of a joint is a flag.
    """

    joints: int
    width: int
    confidence: bool
    ids: bool
    flags: bool = False

    @property
    def end(self) -> int:
        """Where the joints end."""
        return _BOX + self.joints * self.width

    def person(self, cells: list[str]) -> int | None:
        """The id of a line, None where it has none."""
        at = self.end + self.confidence
        return int(float(cells[at])) if self.ids and len(cells) > at else None


def sniff(path: Path) -> bool:
    """Whether the path is a folder with such files, or one of them."""
    if not path.is_dir():
        return _has_lines(path)
    if any(file.suffix.lower() in _OTHERS for file in path.iterdir()):  # each is one by itself
        return False
    return any(map(_has_lines, folder.files_of(path, _ENDING, _CLASSES)[:_LOOKS]))


def read(
    path: Path, min_score: float, skeletons: Mapping[int, str] | None = None,
    image_size: tuple[float, float] | None = None,
) -> PoseFile:
    """Reads the people of a folder, each a PoseSequence of the frames that hold them, in pixels.

    Args:
      path: the folder.
      min_score: joints with a lower score, and joints at (0, 0), are missing.
      skeletons: number of joints -> skeleton, for numbers that are not known.
      image_size: (width, height) of the picture in pixels.

    Raises:
      InputError: a file holds no labels of poses; the message names it.
    """
    if not path.is_dir():
        raise InputError(f"{path}: one frame of YOLO's labels; give the folder with all of them")
    content, notes = folder.load(path, _load, _ENDING, _CLASSES)
    known = records.SKELETONS | dict(skeletons or {})
    layout = _layout(content, known, path)
    found = []
    for frame, (name, lines) in zip(content.numbers(), content.files.items(), strict=True):
        for i, line in enumerate(lines):
            where = f"{path / name}: line {i + 1}"
            found.append(_record(line.split(), frame, layout, where))
    return records.read(
        path, (content, layout), found, min_score, known, notes, image_size, assumed=True
    )


def write(file: PoseFile, path: Path) -> None:
    """Writes what was read, the numbers that differ, and new lines and frames' files.

    Raises:
      InputError: skeletons that the format has no place for, more than one, a new folder for a
        picture of unknown size, or a folder that holds other things stands in the way.
    """
    source = file.source or _new_source(file, path)
    content, layout = source.content
    edits = records.edits(file, source, path, digits=_DIGITS)
    out = layout
    if edits.skeleton not in (None, source.skeleton):  # as x and y alone they might be others
        out = dataclasses.replace(layout, joints=len(get_skeleton(edits.skeleton)), width=3)
    files = {name: list(lines) for name, lines in content.files.items()}
    places = [(name, i) for name, lines in files.items() for i in range(len(lines))]
    for index, joints in edits.updated.items():
        name, i = places[index]
        files[name][i] = _put(files[name][i], joints, layout, out)
    names = jsonfile.FrameNames(dict(zip(content.numbers(), files, strict=True)), _NAME)
    ids = _ids(file)
    for frame, news in sorted(edits.added.items()):
        lines = files.setdefault(names(frame), [])
        for new in news:
            old = None if new.example is None else places[new.example]
            example = None if old is None else content.files[old[0]][old[1]].split()
            person = ids.get(new.person) if example is None else layout.person(example)
            lines.append(_new(new, out, "0" if example is None else example[0], person))
    folder.save(files, path, is_frame, lambda lines, path: "".join(f"{line}\n" for line in lines))


def is_frame(path: Path) -> bool:
    """Whether a file holds labels of a frame's poses, or nothing."""
    try:
        lines = _load(path)
    except InputError:
        return False
    return all(_could_be(line.split(), records.SKELETONS) for line in lines)


# --- lines ----------------------------------------------------------------------------------------


def _load(path: Path) -> list[str]:
    """The lines of a file that are not blank. Raises InputError where it is no text of numbers."""
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        [float(cell) for line in lines for cell in line.split()]
    except ValueError as error:
        line = " ".join(str(error).split())[:100]
        raise InputError(f"{path}: no labels of YOLO: {line}") from None
    return lines


def _has_lines(path: Path) -> bool:
    """Whether a file begins with the label of a pose."""
    with open(path, "rb") as handle:
        head = handle.read(4096).decode("utf-8", "replace")
    return _could_be(head.partition("\n")[0].split(), records.SKELETONS)


def _could_be(cells: list[str], known: Collection[int]) -> bool:
    """Whether a line's cells may be a class, a box that is a share of a picture, and joints."""
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        return False
    box = numbers[1:_BOX]
    good = len(box) == _BOX - 1 and all(0 <= value <= 1.5 for value in box)
    return good and _counts(len(cells), known) is not None


def _counts(length: int, known: Collection[int]) -> tuple[int, int] | None:
    """Number of joints and numbers of each for a line of so many cells; None where there is none.

    Up to two cells follow the joints. Of several that fit the first known one with scores counts.
    """
    fitting = (
        (joints, width) for width in (3, 2) for joints in known
        if 0 <= length - _BOX - joints * width <= 2
    )
    return next(fitting, None)


def _layout(content: folder.Folder, known: Collection[int], path: Path) -> _Layout:
    """What the lines of all files are. Raises InputError where they are nothing that is known."""
    lines = [
        (name, i + 1, line.split())
        for name, lines in content.files.items() for i, line in enumerate(lines)
    ]
    if not lines:
        return _Layout(17, 3, True, False)
    longest = max((cells for _, _, cells in lines), key=len)
    counts = _counts(len(longest), known)
    if counts is None:
        raise InputError(
            f"{path}: lines of {len(longest)} numbers; a class, a box and joints of a known number "
            f"({', '.join(map(str, known))}) were expected; --joint-map names others"
        )
    joints, width = counts
    end = _BOX + joints * width
    for name, number, cells in lines:
        if not end <= len(cells) <= end + 2:
            raise InputError(
                f"{path / name}: line {number} has {len(cells)} numbers where {joints} joints need "
                f"{end} to {end + 2}; is the file cut off?"
            )
    ends = [cells[end:] for _, _, cells in lines]
    single = [cells[0] for cells in ends if len(cells) == 1]
    both = any(len(cells) == 2 for cells in ends)
    numbers = all(cell.isdecimal() and int(cell) > 1 for cell in single) or (
        all(cell.isdecimal() for cell in single) and len(set(single)) > 1
    )
    if any(not cells for cells in ends):  # a confidence stands in every line or in none
        numbers = all(cell.isdecimal() for cell in single)
    ids_alone = bool(single) and not both and numbers
    flags: set[str] = set()
    if width == 3:
        flags = {cells[i] for _, _, cells in lines for i in range(_BOX + 2, end, 3)}
    flagged = str(_VISIBLE) in flags and flags <= {"0", "1", "2"}
    confidence = both or bool(single) and not ids_alone
    return _Layout(joints, width, confidence, both or ids_alone, flagged)


def _record(
    cells: list[str], frame: int, layout: _Layout, where: str
) -> records.Record:
    numbers = np.array(cells, np.float64)
    values = np.ones((layout.joints, 3))
    values[:, : layout.width] = numbers[_BOX : layout.end].reshape(layout.joints, -1)
    if layout.flags:
        values[:, 2] /= _VISIBLE
    if not np.isfinite(numbers[layout.end :]).all():
        raise InputError(f"{where}: the confidence or the id is no number")
    told = layout.confidence and len(numbers) > layout.end
    score = float(numbers[layout.end]) if told else math.nan
    return records.Record(frame, layout.person(cells), values.ravel().tolist(), score)


# --- writing --------------------------------------------------------------------------------------


def _put(
    line: str, joints: records.Joints, layout: _Layout, new: _Layout
) -> str:
    """A line with the numbers that changed; with other joints where these are others."""
    cells = line.split()
    texts = _texts(joints, new)
    if joints.changed is None:
        return " ".join([*cells[:_BOX], *texts.ravel().tolist(), *cells[layout.end :]])
    changed = joints.changed[:, : layout.width]
    for k, c in np.argwhere(changed).tolist():
        cells[_BOX + layout.width * k + c] = texts[k, c]
    return " ".join(cells)


def _texts(joints: records.Joints, layout: _Layout) -> np.ndarray:
    """(K, 2 or 3) x, y, score of every joint as a line has them."""
    values = joints.values
    if layout.flags:
        flags = np.maximum(np.rint(values[:, 2] * _VISIBLE), 1)
        values = np.column_stack([values[:, :2], np.where(values[:, :2].any(-1), flags, 0)])
    values = values[:, : layout.width]
    return np.array([f"{value:.6g}" for value in values.ravel()], object).reshape(values.shape)


def _new(
    new: records.New, layout: _Layout, kind: str, person: int | None
) -> str:
    """A line for someone in a frame that lacks them."""
    seen = new.joints.values[new.joints.values[:, :2].any(-1), :2]
    seen = seen if len(seen) else np.zeros((1, 2))
    low, high = seen.min(0), seen.max(0)
    box = [f"{value:.6g}" for value in (*(low + high) / 2, *(high - low))]
    cells = [kind, *box]
    cells += _texts(new.joints, layout).ravel().tolist()
    cells += [f"{new.score:.6g}"] * layout.confidence
    cells += [str(person)] * (layout.ids and person is not None)
    return " ".join(cells)


def _new_source(file: PoseFile, path: Path) -> records.Source:
    if file.image_size is None:
        raise InputError(
            f"{path}: YOLO's labels are shares of the picture, whose size --image-size says"
        )
    joints = max((sequence.keypoints.shape[1] for sequence in file), default=17)
    alone = [sequence.person for sequence in file] == [None]
    layout = _Layout(joints, 3, True, not alone)
    return records.Source((folder.Folder({}), layout), scale=file.image_size)


def _ids(file: PoseFile) -> dict[Any, int]:
    """A number for everyone: their own where it is one."""
    people = [sequence.person for sequence in file]
    ids = {person: person for person in people if isinstance(person, int) and person >= 0}
    free = (i for i in range(1, len(people) + len(ids) + 2) if i not in ids.values())
    return ids | {person: next(free) for person in people if person not in ids}


FORMAT = Format(
    name="yolo", sniff=sniff, read=read, write=write, is_frame=is_frame,
    holds=tuple(records.SKELETONS.values()),
    # As for Ultralytics' JSON.
    min_score=0.3,
)
