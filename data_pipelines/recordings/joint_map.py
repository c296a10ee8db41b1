"""Joint maps: which points of a recording are our joints, those of mpi_inf_3dhp, as data (JSON).

The keys, and how a joint is said, are documented in data_pipelines/README.md.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data_pipelines.mocap.source import JOINTS
from posegan_jax.errors import InputError

_FOLDER = Path(__file__).parent / "maps"
PACKAGED = tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))
_UNITS = {"millimetres": 1.0, "centimetres": 10.0, "inches": 25.4, "metres": 1000.0,
          "CMU units": 25.4 / 0.45}
_LEG = 850.0
"""Millimetres from hip to ankle, by which the unit is told."""


@dataclasses.dataclass(frozen=True)
class JointMap:
    """A joint map, and what else it says of a data set.

    Attributes:
      path: of the file.
      joints: our joint -> how it is made of the recording's points.
      dataset, licence: name, licence and the acknowledgement that it asks for; may be empty.
      url: where the whole data set can be fetched, as .zip; may be empty.
      unit: millimetres of one unit of the recordings; None to tell it by the length of a leg.
      up: 'y' or 'z', the recordings' vertical axis.
      skip: frames left out at the beginning, such as a T-pose.
      fps: of formats that say none.
      fps_of: subject -> fps, where it is another.
      validation: subjects that validate.
    """

    path: Path
    joints: Mapping[str, Any]
    dataset: str = ""
    licence: str = ""
    url: str = ""
    unit: float | None = None
    up: str = "y"
    skip: int = 0
    fps: float = 120.0
    fps_of: Mapping[str, float] = dataclasses.field(default_factory=dict)
    validation: tuple[str, ...] = ()

    def apply(self, points: Mapping[str, np.ndarray]) -> np.ndarray:
        """Our joints in the recording's units and axes.

        Args:
          points: name -> (T, 3).

        Returns:
          (T, J, 3), in the order of mpi_inf_3dhp.

        Raises:
          InputError: the recording lacks a point.
        """
        return np.stack([self._point(self.joints[name], points) for name in JOINTS], axis=1)

    def _point(self, spec: Any, points: Mapping[str, np.ndarray]) -> np.ndarray:
        if isinstance(spec, str):
            if spec.startswith("@"):
                return self._point(self.joints[spec[1:]], points)
            if spec not in points:
                raise InputError(f"has no joint {spec!r}, which {self.path} names")
            return points[spec]
        if isinstance(spec, list):
            return np.mean([self._point(part, points) for part in spec], axis=0)
        if "weights" in spec:
            return sum(w * self._point(part, points) for part, w in spec["weights"].items())
        return _along([self._point(part, points) for part in spec["along"]], spec["fraction"])


def read_joint_map(name: str) -> JointMap:
    """A packaged map by its name, or one from a .json file.

    Raises:
      InputError: there is none, or it is not as it must be.
    """
    path = _FOLDER / f"{name}.json" if name in PACKAGED else Path(name)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such joint map; packaged are {', '.join(PACKAGED)}"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error})") from error
    _check(path, content)
    content["validation"] = tuple(content.get("validation", ()))
    return JointMap(path=path, **content)


def guess_unit(positions: np.ndarray) -> tuple[str, float]:
    """The unit in which a leg is closest to a leg's length: its name, and its millimetres."""
    hip, knee, ankle = (
        positions[:, [JOINTS.index(f"{side}_{joint}") for side in ("left", "right")]]
        for joint in ("hip", "knee", "ankle")
    )
    thigh, shin = np.linalg.norm(hip - knee, axis=-1), np.linalg.norm(knee - ankle, axis=-1)
    leg = float(np.median(thigh + shin))
    if not 0 < leg < math.inf:
        raise InputError("legs without length; the joint map must name hips, knees and ankles")
    return min(_UNITS.items(), key=lambda unit: abs(math.log(unit[1] * leg / _LEG)))


def _along(points: list[np.ndarray], fraction: float) -> np.ndarray:
    """A fraction of the length of the line through the points; beyond them, straight on."""
    corners = np.stack(points)
    lengths = np.linalg.norm(np.diff(corners, axis=0), axis=-1)
    ends = np.cumsum(lengths, axis=0)
    goal = fraction * ends[-1]
    piece = np.minimum((ends < goal).sum(axis=0), len(lengths) - 1)
    rows = np.arange(corners.shape[1])
    before = ends[piece, rows] - lengths[piece, rows]
    part = (goal - before) / np.maximum(lengths[piece, rows], 1e-12)
    start, end = corners[piece, rows], corners[piece + 1, rows]
    return start + part[:, None] * (end - start)


_KINDS = {
    "joints": dict, "dataset": str, "licence": str, "url": str, "unit": (int, float, type(None)),
    "up": str, "skip": int, "fps": (int, float), "fps_of": dict, "validation": list,
}


def _check(path: Path, content: Any) -> None:
    def require(good: bool, problem: str) -> None:
        if not good:
            raise InputError(f"{path}: {problem}")

    def number(value: Any) -> bool:
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        return plain and math.isfinite(value)

    require(isinstance(content, dict), "not a joint map: an object with 'joints' expected")
    for key, value in content.items():
        require(key in _KINDS, f"unknown key {key!r}; known: {', '.join(_KINDS)}")
        require(isinstance(value, _KINDS[key]), f"{key!r} is of the wrong kind")
    joints = content.get("joints", {})
    missing, more = (sorted(set(a) - set(b)) for a, b in ((JOINTS, joints), (joints, JOINTS)))
    require(not missing, f"'joints' lacks {', '.join(missing)}")
    require(not more, f"'joints' names {', '.join(more)}, which are none of ours")
    require(content.get("up", "y") in ("y", "z"), "'up' must be y or z")
    for key in ("unit", "fps"):
        value = content.get(key)
        require(value is None or number(value) and value > 0, f"{key!r} must be positive")
    skip, rates = content.get("skip", 0), content.get("fps_of", {}).values()
    require(number(skip) and skip >= 0, "'skip' must not be negative")
    require(all(number(rate) and rate > 0 for rate in rates), "'fps_of' must hold numbers")
    require(all(isinstance(s, str) for s in content.get("validation", [])), "subjects are text")

    def walk(spec: Any, above: tuple[str, ...], where: str) -> None:
        if isinstance(spec, str):
            if spec.startswith("@"):
                require(spec[1:] in joints, f"{where} refers to {spec}, which is none of ours")
                require(spec[1:] not in above, f"{where} refers to itself")
                walk(joints[spec[1:]], (*above, spec[1:]), where)
        elif isinstance(spec, list) and spec:
            for part in spec:
                walk(part, above, where)
        elif isinstance(spec, dict) and set(spec) == {"along", "fraction"}:
            require(number(spec["fraction"]), f"'fraction' of {where} must be a number")
            several = isinstance(spec["along"], list) and len(spec["along"]) > 1
            require(several, f"'along' of {where} must list two points or more")
            walk(spec["along"], above, where)
        elif isinstance(spec, dict) and set(spec) == {"weights"}:
            weights = spec["weights"]
            good = isinstance(weights, dict) and all(map(number, weights.values()))
            require(good and abs(sum(weights.values()) - 1) < 1e-6,
                    f"'weights' of {where} must be numbers that add up to 1")
            walk(list(weights), above, where)
        else:
            require(False, f"{where} must be a name, a list, or along and fraction, or weights")

    for name, spec in joints.items():
        walk(spec, (name,), name)
