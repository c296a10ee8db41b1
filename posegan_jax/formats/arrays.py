"""Arrays of keypoints: ``.npy`` and ``.npz`` files of (T, K, 2) x, y or (T, K, 3) x, y, score.

(T, K, 4) are x, y, z and visibility, as MediaPipe has them.
With a fourth axis, (people, T, K, ...) or (T, people, K, ...), they hold several people; the
shorter one is that of people. So do files for VideoPose3D, MHFormer and others who lift poses to
3D, where they are plain arrays. Nothing is unpickled. An array of scores, (T, K), may stand beside
that of places. A frame is its place. Which joint is which, nothing says: see ``order``, and
--skeleton.
"""

import dataclasses
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.formats import picture, records, table
from posegan_jax.formats.format import Format
from posegan_jax.formats.joint_names import one_line
from posegan_jax.formats.order import most_even
from posegan_jax.formats.table import Tally
from posegan_jax.pose.sequence import PoseFile, PoseSequence
from posegan_jax.pose.skeleton import NAMED_ONLY, SKELETONS
from posegan_jax.runtime.files import atomic_path

MIN_SCORE = 0.2

SURE = 1.2
"""Sides of the second-best order must differ this much more, else the usual one is taken."""

_ZIP, _NPY = b"PK\x03\x04", b"\x93NUMPY"
_ALONE = "keypoints.npy"  # what a .npy file's one array is called among arrays
_NAMES = (
    "keypoints", "keypoints_2d", "positions_2d", "kpts", "poses_2d", "pose_2d", "poses", "pose",
    "joints", "reconstruction", "landmarks",
)
"""What arrays of places are called, the likeliest first; others count where none of these is."""

_SCORES = ("score", "conf", "vis", "prob", "likelihood")


@dataclasses.dataclass(frozen=True)
class Source:
    """A file as it was read.

    Attributes:
      members: name -> the bytes of every array; of a .npy file the one that it is.
      packed: whether it is a .npz file.
      name: of the array of places.
      places: that array.
      score_name: of the array of scores, None without one.
      scores: that array.
      people_first: whether the first of four axes is that of people.
      score_at: place of the score among a joint's numbers, None where it is not among them.
      scale: pixels of 1 in the file, along x and y.
      sequences: the people as read, by their places.
    """

    members: dict[str, bytes]
    packed: bool
    name: str
    places: np.ndarray
    score_name: str | None
    scores: np.ndarray | None
    people_first: bool
    score_at: int | None
    scale: tuple[float, float]
    sequences: tuple[PoseSequence, ...]


def sniff(path: Path) -> bool:
    """Whether the file begins like an array, or like several."""
    if path.is_dir():
        return False
    with open(path, "rb") as handle:
        head = handle.read(512)
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    return head.startswith(_NPY) or head.startswith(_ZIP) and name.endswith(b".npy")


def read(
    path: Path, min_score: float | None = None, skeletons: Mapping[int, str] | None = None,
    image_size: tuple[float, float] | None = None,
) -> PoseFile:
    """Reads the people of a file; those of several have their places as ids.

    Args:
      path: the file.
      min_score: joints with a lower score, and those at (0, 0), are missing.
      skeletons: number of joints -> skeleton.
      image_size: (width, height) in pixels, for normalised coordinates.

    Raises:
      InputError: the file is damaged, needs pickle, or holds no array of poses.
    """
    members, packed = _members(path)
    arrays, pickled = _arrays(members, path)
    known = set(skeletons or _counts())
    name, score_name = _chosen(arrays, pickled, known, path)
    places = arrays[name]
    scores = arrays[score_name] if score_name else None
    people_first = places.ndim == 4 and places.shape[0] <= places.shape[1]
    values = _by_person(places.astype(np.float64), people_first)
    width = values.shape[-1]
    score_at = width - 1 if width > 2 and _are_scores(values[..., -1]) else None
    numbers = np.full((*values.shape[:-1], 3), np.nan)
    numbers[..., :2] = values[..., :2]
    if score_at is not None:
        numbers[..., 2] = values[..., score_at]
    elif scores is not None:
        numbers[..., 2] = _by_person(scores.reshape(*places.shape[:-1], 1), people_first)[..., 0]
    size, notes = picture.pixels_of(numbers[..., :2], image_size)
    scale = size or (1.0, 1.0)
    with np.errstate(over="ignore"):  # what is no place anyway
        numbers[..., :2] *= scale
    tally = Tally()
    limit = MIN_SCORE if min_score is None else min_score
    with_scores = score_at is not None or scores is not None
    keypoints, marks = table.present(numbers, limit if with_scores else -np.inf, tally)
    skeleton, more = _skeleton(keypoints, skeletons)
    ids = [None] if places.ndim == 3 else range(len(values))
    everyone = tuple(
        PoseSequence(keypoints[i], marks[i], None, skeleton, None, person)
        for i, person in enumerate(ids)
    )
    if not any(sequence.observed.any() for sequence in everyone):
        reason = "; ".join(tally.notes()) or "no joint has a place and enough score"
        raise InputError(f"{path}: nothing to use: {reason}")
    if width == 3 and score_at is None:
        more.append("the third number of a joint is no score: x and y are read, and it stays")
    if others := [other for other in arrays if other not in (name, score_name)]:
        more.append(f"{name} is read; other arrays stay as they are: {one_line(others)}")
    if pickled:
        more.append(f"arrays that need pickle are not read, and stay: {one_line(pickled)}")
    source = Source(
        members, packed, name, places, score_name, scores, people_first, score_at, scale, everyone
    )
    seen = [_seen(sequence) for sequence in everyone if sequence.observed.any()]
    notes = (*more, *notes, *tally.notes())
    return PoseFile(tuple(seen), source=source, notes=notes, shares_of=size)


def write(file: PoseFile, path: Path) -> None:
    """Writes the arrays that were read, with the numbers that changed, in their own precision.

    For other people, joints or frames, and for sequences from elsewhere, the array is a new one of
    x, y and score, from frame 0 on, in pixels unless the old one was not.

    Raises:
      InputError: sequences of several skeletons, or a frame before 0.
    """
    source = file.source
    members = dict(source.members) if source else {}
    name = source.name if source else _ALONE
    new = _updated(source, file) if source else None
    if new is None:
        new = {name: _new(file, source, path)}
    members |= {name: _bytes(array) for name, array in new.items()}
    packed = path.suffix.lower() == ".npz" if path.suffix else bool(source and source.packed)
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        if not packed:
            handle.write(members[name])
            return
        with zipfile.ZipFile(handle, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in members.items():
                archive.writestr(zipfile.ZipInfo(member), content, zipfile.ZIP_DEFLATED)


# --- files ----------------------------------------------------------------------------------------


def _members(path: Path) -> tuple[dict[str, bytes], bool]:
    """The bytes of every array, and whether there may be several."""
    content = path.read_bytes()
    if content.startswith(_NPY):
        return {_ALONE: content}, False
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {info.filename: archive.read(info) for info in archive.infolist()}, True
    except Exception as error:  # zipfile and zlib raise half a dozen kinds
        raise InputError(f"{path}: cannot use these arrays: they are damaged ({error})") from error


def _arrays(members: Mapping[str, bytes], path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays of numbers, and the names of those that need pickle."""
    arrays, pickled = {}, []
    for name, content in members.items():
        if not content.startswith(_NPY):
            continue
        try:
            shape, dtype, start = _header(content)
            if dtype.hasobject:
                pickled.append(name.removesuffix(".npy"))
            elif dtype.kind in "fiub":
                if int(np.prod(shape, dtype=object)) * dtype.itemsize > len(content) - start:
                    raise ValueError("it ends too early")
                arrays[name] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
        except Exception as error:  # NumPy raises several kinds, and evaluates the header's text
            line = " ".join(str(error).split())[:200]
            raise InputError(f"{path}: cannot use the array {name}: {line}") from error
    return arrays, pickled


def _header(content: bytes) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape and type of an array, and where its numbers start."""
    handle = io.BytesIO(content)
    version = np.lib.format.read_magic(handle)
    first = version == (1, 0)
    parse = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, _, dtype = parse(handle)
    return shape, dtype, handle.tell()


def _bytes(array: np.ndarray) -> bytes:
    handle = io.BytesIO()
    np.save(handle, array, allow_pickle=False)
    return handle.getvalue()


def _chosen(
    arrays: Mapping[str, np.ndarray], pickled: Sequence[str], known: set[int], path: Path
) -> tuple[str, str | None]:
    """The names of the arrays of places and of scores, None without those."""
    fit = [
        name for name, array in arrays.items()
        if array.ndim in (3, 4) and array.shape[-1] in (2, 3, 4) and array.shape[-2] in known
        and array.size
    ]
    if not fit:
        held = [f"{name.removesuffix('.npy')} {array.shape}" for name, array in arrays.items()]
        if pickled and not held:
            raise InputError(
                f"{path}: {one_line(pickled)} can be read with pickle alone, which may run any "
                "program; save the video's array itself, e.g. np.save('video.npy', "
                "data['positions_2d'].item()['S1']['Walking 1'][0])"
            )
        raise InputError(
            f"{path}: no array of (frames, joints, 2 or 3), or with people before or after the "
            f"frames, for {', '.join(map(str, sorted(known)))} joints, but {one_line(held)[:200]}; "
            "--skeleton or --joint-map names other joints"
        )
    likely = [f"{name}.npy" for name in _NAMES]
    name = min(fit, key=lambda n: likely.index(n) if n in likely else len(likely))
    shape = arrays[name].shape[:-1]
    score_name = None
    if arrays[name].shape[-1] == 2:
        score_name = next(
            (other for other, array in arrays.items()
             if array.shape in (shape, (*shape, 1)) and any(s in other.lower() for s in _SCORES)),
            None,
        )
    return name, score_name


# --- numbers --------------------------------------------------------------------------------------


def _counts() -> dict[int, list[str]]:
    """Number of joints -> the skeletons that it may stand for, that of ``records`` first."""
    found: dict[int, list[str]] = {count: [name] for count, name in records.SKELETONS.items()}
    for name, skeleton in SKELETONS.items():
        if name in NAMED_ONLY:
            continue
        names = found.setdefault(len(skeleton.joints), [])
        if name not in names:
            names.append(name)
    return found


def _skeleton(
    keypoints: np.ndarray, skeletons: Mapping[int, str] | None
) -> tuple[str, list[str]]:
    """The skeleton of (people, T, K, 2) places, and a note where nobody said it."""
    count = keypoints.shape[2]
    if skeletons:
        return skeletons[count], []
    names = _counts()[count]
    best, factor = most_even(keypoints.reshape(-1, count, 2), names)
    best = best if factor > SURE else names[0]
    return best, [f"{count} joints by their places: taken for {best}; --skeleton says otherwise"]


def _by_person(array: np.ndarray, people_first: bool) -> np.ndarray:
    """(people, T, K, C) of an array with or without people."""
    if array.ndim == 3:
        return array[None]
    return array if people_first else array.swapaxes(0, 1)


def _are_scores(values: np.ndarray) -> bool:
    """Whether the third numbers are scores, from 0 to 1 and not all 0."""
    values = values[np.isfinite(values)]
    return bool(len(values) and (values >= 0).all() and (values <= 1).all() and values.any())


def _seen(sequence: PoseSequence) -> PoseSequence:
    """The frames in which anything of someone was seen."""
    kept = sequence.observed.any(-1)
    return sequence.replace(
        keypoints=sequence.keypoints[kept], scores=sequence.scores[kept],
        frames=sequence.frames[kept], provenance=sequence.provenance[kept],
    )


# --- writing --------------------------------------------------------------------------------------


def _updated(source: Source, file: PoseFile) -> dict[str, np.ndarray] | None:
    """The arrays in which numbers changed; None where people, joints or frames are others."""
    places = source.places.copy()
    scores = None if source.scores is None else source.scores.copy()
    by_person = _by_person(places, source.people_first)
    marks = None
    if scores is not None:
        marks = _by_person(scores.reshape(*places.shape[:-1], 1), source.people_first)
    index = {sequence.person: i for i, sequence in enumerate(source.sequences)}
    known = np.isfinite(places[..., :2]).all(-1)
    blank = np.nan if places.dtype.kind == "f" and not known.all() else 0
    for sequence in file:
        i = index.get(sequence.person)
        if i is None or source.sequences[i].skeleton != sequence.skeleton:
            return None
        frames = sequence.frames
        if len(frames) and not (0 <= frames[0] and frames[-1] < by_person.shape[1]):
            return None
        before = source.sequences[i]
        changed = table.changes(before, sequence)
        values = table.cell_values(sequence, source.scale)
        for t, k, c in np.argwhere(changed).tolist():
            value, at = values[t, k, c], (i, int(frames[t]), k)
            if c < 2:
                by_person[(*at, c)] = blank if np.isnan(value) else _rounded(value, places.dtype)
            elif source.score_at is not None:
                by_person[(*at, source.score_at)] = 0 if np.isnan(value) else value
            elif marks is not None:
                marks[(*at, 0)] = 0 if np.isnan(value) else _rounded(value, marks.dtype)
    pairs = ((source.name, places, source.places), (source.score_name, scores, source.scores))
    return {
        name: new for name, new, old in pairs
        if new is not None and not np.array_equal(new, old, equal_nan=new.dtype.kind == "f")
    }


def _rounded(value: float, dtype: np.dtype) -> float:
    return value if dtype.kind == "f" else round(value)


def _new(file: PoseFile, source: Source | None, path: Path) -> np.ndarray:
    """(T, K, 3), or with several people (people, T, K, 3), from frame 0 to the last."""
    if len({sequence.skeleton for sequence in file}) > 1:
        raise InputError(f"{path}: an array holds one skeleton; choose one with --joints")
    frames = table.every_frame(file, 0)
    if frames and (frames[0] < 0 or frames[-1] != len(frames) - 1):
        raise InputError(f"{path}: frames {frames[0]} to {frames[-1]}, but an array begins at 0")
    joints = file[0].keypoints.shape[1] if len(file) else 0
    # Not fewer frames than people, as the shorter axis is theirs.
    values = np.full((len(file), max(len(frames), len(file)), joints, 3), np.nan)
    for i, sequence in enumerate(file):
        values[i, sequence.frames] = table.cell_values(
            sequence, source.scale if source else (1.0, 1.0)
        )
    values[..., 2] = np.nan_to_num(values[..., 2])
    return values[0] if len(file) == 1 else values


FORMAT = Format(
    name="arrays", sniff=sniff, read=read, write=write, suffixes=(".npy", ".npz"),
    default_for=(".npy",), holds=tuple(name for names in _counts().values() for name in names),
)
