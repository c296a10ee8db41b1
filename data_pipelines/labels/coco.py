"""Keypoints of people in videos as COCO writes them, and as PoseTrack 2018 does."""

import collections
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data_pipelines.labels.source import Labels, stretches
from posegan_jax.errors import InputError
from posegan_jax.formats import jsonfile
from posegan_jax.formats.joint_names import joint_name
from posegan_jax.motion.labels import GUESSED, NONE, VISIBLE, LabelledClip

_GAP = 30
"""Frames in a row that a track may be without labels, in COCO's files, and remain one clip."""
_NAMES = {"head_bottom": "upper_neck"}
"""PoseTrack's names that our rule does not know: MPII has this point, where the neck meets the
head, as its upper neck."""
_COCO = "as its source says: a file in COCO's format has the terms of its images"
_POSETRACK = (
    "terms of its own, see posetrack.net; cite Andriluka et al., PoseTrack: A Benchmark for Human "
    "Pose Estimation and Tracking, CVPR 2018"
)


class _Image(NamedTuple):
    """Which frame of which video an image is."""

    video: str
    frame: int


_Track = dict[int, np.ndarray]
"""Frame -> (K, 3): x, y and the flag."""


def read_coco(
    path: Path, fps: float | None = None, on_file: Callable[[], Any] = lambda: None
) -> Labels:
    """Every track of one file, cut where it has no labels for more than 30 frames in a row.

    Args:
      path: a JSON file with images, annotations and categories.
      fps: frames per second of the video, which the file does not say.
      on_file: called once for every file.

    Raises:
      InputError: the file is not as it must be.
    """
    clips, repeated = _read(path, fps, _GAP, _video)
    on_file()
    return Labels(clips, path.stem, _COCO, _notes(repeated))


def read_posetrack(
    place: Path, fps: float | None = None, on_file: Callable[[], Any] = lambda: None
) -> Labels:
    """Every track of PoseTrack 2018, cut where a frame has no labels.

    Of a video of the validation set, the middle is labelled frame by frame and the rest every
    fourth frame: of the rest nothing is left.

    Args:
      place: a JSON file, or a folder of them, or of folders train and val of them.
      fps: frames per second, which the files do not say.
      on_file: called once for every file.

    Raises:
      InputError: there are no files, or one is not as it must be.
    """
    files = sorted(place.rglob("*.json")) if place.is_dir() else [place]
    files = [path for path in files if not path.name.startswith(".")]
    if not files:
        raise InputError(f"{place}: holds no .json files")
    clips: list[LabelledClip] = []
    repeated = 0
    for path in files:
        found, more = _read(path, fps, 0, _sequence)
        if found and clips and found[0].joints != clips[0].joints:
            raise InputError(f"{path}: has other joints than the files before it")
        clips += found
        repeated += more
        on_file()
    return Labels(clips, "PoseTrack 2018", _POSETRACK, _notes(repeated))


def _read(
    path: Path, fps: float | None, gap: int, video_of: Callable[[dict, str], str]
) -> tuple[list[LabelledClip], int]:
    """Clips of a file, of any length, and how many annotations repeat others."""
    images, annotations, categories = _content(path)
    joints = _joints(path, categories)
    tracks, repeated = _tracks(path, _images(path, images, video_of), annotations, len(joints))
    # COCO's flags are 1 where a joint is hidden and 2 where it is visible. Many other files, those
    # of PoseTrack among them, have 1 for every joint that is labelled.
    flags = (values[:, 2].max() for track in tracks.values() for values in track.values())
    visible = max(flags, default=VISIBLE)
    clips = []
    for (video, person), track in tracks.items():
        parts = stretches(sorted(track), gap)
        for frames in parts:
            name = "/".join(part for part in (video, person) if part) or path.stem
            if len(parts) > 1:
                name += f"@{frames[0]}"
            clips.append(_clip(track, range(frames[0], frames[-1] + 1), joints, visible, name, fps))
    return clips, repeated


def _clip(
    track: _Track, frames: range, joints: tuple[str, ...], visible: float, name: str,
    fps: float | None,
) -> LabelledClip:
    nothing = np.full((len(joints), 3), [np.nan, np.nan, 0])
    values = np.stack([track.get(frame, nothing) for frame in frames])
    labelled = values[..., 2] > 0
    return LabelledClip(
        keypoints=np.where(labelled[..., None], values[..., :2], np.nan),
        guessed=labelled & (values[..., 2] < visible),
        joints=joints, name=name, fps=fps,
    )


def _content(path: Path) -> tuple[list, list, list]:
    try:
        content = jsonfile.load(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    parts = []
    for name in ("images", "annotations", "categories"):
        # Files of a test set may come without annotations.
        default = [] if name == "annotations" else None
        part = content.get(name, default) if isinstance(content, dict) else None
        if not isinstance(part, list) or not all(isinstance(item, dict) for item in part):
            raise InputError(f"{path}: must be an object with a list of objects {name!r}")
        parts.append(part)
    images, annotations, categories = parts
    return images, annotations, categories


def _joints(path: Path, categories: list[dict]) -> tuple[str, ...]:
    """Our names of the keypoints, theirs where we have none."""
    told = [category["keypoints"] for category in categories if category.get("keypoints")]
    names = told[0] if told else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: a category must name its keypoints")
    if any(other != names for other in told):
        raise InputError(f"{path}: has several categories with keypoints; give files of one")
    ours = [_NAMES.get(name) or joint_name(name) or name for name in names]
    count = collections.Counter(ours)
    ours = [own if count[own] == 1 else name for own, name in zip(ours, names, strict=True)]
    if len(set(ours)) < len(ours):
        raise InputError(f"{path}: keypoints of the category must be names, each of them once")
    return tuple(ours)


def _video(image: dict, folder: str) -> str:
    """The video of an image: the one that it names, or else its folder."""
    return next((str(image[key]) for key in ("video_id", "vid_id") if key in image), folder)


def _sequence(image: dict, folder: str) -> str:
    """PoseTrack's name of a video, that of the folder: the numbers of videos come from two sources,
    and some come twice."""
    return folder.rpartition("/")[2] or _video(image, folder)


def _images(
    path: Path, images: list[dict], video_of: Callable[[dict, str], str]
) -> dict[Any, _Image]:
    """Image's id -> which frame of which video it is."""
    found, names = {}, {}
    for number, image in enumerate(images):
        name, identity = str(image.get("file_name", "")), image.get("id")
        if not isinstance(identity, int | str):
            raise InputError(f"{path}: image {number} has no id")
        if identity in found:
            raise InputError(f"{path}: two images have the id {identity}")
        told = [image[key] for key in ("frame_id", "frame_index") if key in image] or [name]
        if not jsonfile.is_whole(told[0]) and not isinstance(told[0], str):
            raise InputError(f"{path}: frame_id of image {identity} must be a whole number")
        folder = "/".join(name.replace("\\", "/").split("/")[:-1])
        video = video_of(image, folder)
        found[identity] = video
        names.setdefault(video, {})[identity] = told[0]
    result = {}
    for video, told in names.items():
        frames, notes = jsonfile.frame_numbers(list(told.values()))
        if notes or len(set(frames)) < len(frames):
            raise InputError(
                f"{path}: images of video {video!r} need frame_id, or file names that end in the "
                "number of the frame"
            )
        result |= {i: _Image(video, frame) for i, frame in zip(told, frames, strict=True)}
    return result


def _tracks(
    path: Path, images: dict[Any, _Image], annotations: list[dict], count: int
) -> tuple[dict[tuple[str, str], _Track], int]:
    """Tracks by video and person, without frames that have no label; how many repeat others."""
    tracks: dict[tuple[str, str], _Track] = collections.defaultdict(dict)
    repeated = 0
    for number, annotation in enumerate(annotations):
        if not annotation.get("keypoints") or annotation.get("iscrowd"):
            continue  # a box alone, or a crowd of people
        where = f"{path}: annotation {annotation.get('id', number)}"
        identity = annotation.get("image_id")
        if not isinstance(identity, int | str) or identity not in images:
            raise InputError(f"{where} is of image {identity}, which is not in the file")
        image = images[identity]
        values = _values(where, annotation["keypoints"], count)
        if not values[:, 2].any():
            continue
        person = _person(annotation)
        track = tracks[image.video, "" if person is None else str(person)]
        if image.frame in track and person is None:
            raise InputError(
                f"{path}: frame {image.frame} of video {image.video!r} shows several people, and "
                "annotations have no track_id"
            )
        if image.frame in track:
            repeated += 1
            before = (track[image.frame][:, 2] > 0).sum()
            if before >= (values[:, 2] > 0).sum():
                continue
        track[image.frame] = values
    return tracks, repeated


def _person(annotation: dict) -> Any:
    """The track of an annotation, None where it names none. Tools that export what they call
    attributes, as CVAT does, have it there."""
    attributes = annotation.get("attributes")
    for place in (annotation, attributes if isinstance(attributes, dict) else {}):
        for key in ("track_id", "instance_id"):
            if place.get(key) is not None:
                return place[key]
    return None


def _values(where: str, keypoints: Any, count: int) -> np.ndarray:
    """(K, 3) x, y and flag; the flag is 0 where there is no place."""
    try:
        values = np.array(jsonfile.floats(keypoints))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    if values.size != 3 * count:
        raise InputError(
            f"{where} has {values.size} numbers of keypoints, not {count} times x, y and visibility"
        )
    values = values.reshape(count, 3)
    if not np.isin(values[:, 2], (NONE, GUESSED, VISIBLE)).all():
        raise InputError(f"{where}: visibility must be {NONE}, {GUESSED} or {VISIBLE}")
    nowhere = ~np.isfinite(values[:, :2]).all(axis=1) | (values[:, :2] == 0).all(axis=1)
    values[nowhere, 2] = NONE
    return values


def _notes(repeated: int) -> tuple[str, ...]:
    if not repeated:
        return ()
    return (f"left out: {repeated} annotations that repeat a track in one of its frames",)
