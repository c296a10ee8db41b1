"""Reads folders of BVH files, or of ASF and AMC files."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np

from data_pipelines.mocap.source import JOINTS, RATE, SPLITS, Source, resample
from data_pipelines.recordings.asf import Skeleton, read_amc, read_asf
from data_pipelines.recordings.bvh import read_bvh
from data_pipelines.recordings.joint_map import JointMap, guess_unit
from posegan_jax.errors import InputError
from posegan_jax.motion.clip import Clip

_SIDES = 20
"""Recordings that must agree on left and right in the median."""


def read_recordings(
    folder: Path,
    joint_map: JointMap,
    subjects: Collection[str] | None = None,
    validation: Collection[str] | None = None,
    unit: float | None = None,
    on_file: Callable[[], Any] = lambda: None,
) -> Source:
    """Every recording below a folder, at 25 frames per second, beginning at x = z = 0.

    The subject of an AMC file is its ASF's name, the longest one that the name begins with; of a
    BVH file its folder below ``folder``, or its name up to the first '_'.

    Args:
      folder: of .bvh, or .asf and .amc files; or one file.
      joint_map: how their joints are ours.
      subjects: those to read; all by default.
      validation: those that validate rather than train; the map's by default.
      unit: millimetres of one unit of the files; the map's by default.
      on_file: called once for every file.

    Raises:
      InputError: no recordings, one that is not as it must be, or left and right are swapped.
    """
    files = find_recordings(folder, subjects)
    validation = joint_map.validation if validation is None else validation
    clips: dict[str, list[Clip]] = {split: [] for split in SPLITS}
    skeletons: dict[Path, Skeleton] = {}
    skipped, units, sides = 0, set(), []
    for path, subject in files:
        positions, fps = _read(path, subject, joint_map, skeletons)
        try:
            joints = joint_map.apply(positions)[joint_map.skip :]
            if joint_map.up == "z":
                joints = joints[..., [0, 2, 1]] * [1, 1, -1]
            factor = unit or joint_map.unit
            if factor is None and len(joints):
                name, factor = guess_unit(joints)
                units.add(name)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        joints = resample(joints * (factor or 1.0), fps)
        if len(joints) < 2:
            skipped += 1
        else:
            joints -= joints[0, JOINTS.index("pelvis")] * np.array([1, 0, 1], np.float32)
            split = "validation" if subject in validation else "train"
            clips[split].append(Clip(joints, RATE, subject, path.stem, ""))
            sides.append(_left_is_left(joints))
        on_file()
    if sides and np.median(sides[:_SIDES]) < 0:
        raise InputError(
            f"{joint_map.path}: left and right are swapped, or {joint_map.up!r} does not point up"
        )
    notes = (f"unit told by the legs' length: {', '.join(sorted(units))}",) if units else ()
    dataset = joint_map.dataset or folder.stem
    return Source(dataset, joint_map.licence, clips, skipped, notes=notes)


def find_recordings(folder: Path, subjects: Collection[str] | None) -> list[tuple[Path, str]]:
    """(file, subject) of every recording below a folder. Raises InputError if there is none."""
    if not folder.exists():
        raise InputError(f"{folder}: no such folder")
    found = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    files = [path for path in found if path.suffix.lower() in (".bvh", ".amc") and path.is_file()]
    named = [(path, _subject(path, folder)) for path in files]
    if not named:
        raise InputError(f"{folder}: no .bvh or .amc files there")
    if subjects:
        missing = sorted(set(subjects) - {subject for _, subject in named})
        if missing:
            raise InputError(f"{folder}: no recordings of subject {', '.join(missing)}")
        named = [(path, subject) for path, subject in named if subject in subjects]
    return named


def _subject(path: Path, folder: Path) -> str:
    if path.suffix.lower() == ".amc":
        return _skeleton_of(path).stem
    nested = folder.is_dir() and path.parent != folder
    return path.parent.name if nested else path.stem.split("_")[0]


def _skeleton_of(path: Path) -> Path:
    beside = (p for p in path.parent.iterdir() if p.suffix.lower() == ".asf")
    fitting = [p for p in beside if path.stem == p.stem or path.stem.startswith(f"{p.stem}_")]
    if not fitting:
        name = path.stem.split("_")[0]
        raise InputError(f"{path}: its skeleton is missing; {name}.asf must lie beside it")
    return max(fitting, key=lambda p: len(p.stem))


def _read(
    path: Path, subject: str, joint_map: JointMap, skeletons: dict[Path, Skeleton]
) -> tuple[dict[str, np.ndarray], float]:
    if path.suffix.lower() == ".bvh":
        return read_bvh(path)
    skeleton = _skeleton_of(path)
    if skeleton not in skeletons:
        skeletons[skeleton] = read_asf(skeleton)
    return read_amc(path, skeletons[skeleton]), joint_map.fps_of.get(subject, joint_map.fps)


def _left_is_left(joints: np.ndarray) -> float:
    """Positive where, seen along the feet, the left hip lies to the left; median over frames."""
    def joint(name):
        return joints[:, JOINTS.index(name)]

    ahead = sum(joint(f"{side}_toe") - joint(f"{side}_ankle") for side in ("left", "right"))
    left = np.cross([0.0, 1.0, 0.0], ahead)
    return float(np.median((left * (joint("left_hip") - joint("right_hip"))).sum(axis=-1)))
