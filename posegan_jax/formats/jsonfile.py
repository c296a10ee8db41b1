"""JSON files: loading, writing, a look at their beginning, numbers and frame names in them."""

import functools
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from posegan_jax.errors import InputError
from posegan_jax.runtime.files import atomic_path

_HEAD = 65536
_DEEPEST = 8
_MANY = 8
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?|[\[\]{}]')
_REST = re.compile(r"[\w.+\\-]*\s*")
"""What may follow an error when a file ends too early: a number or word that is not whole."""

_CUT = "; the file seems cut off: write or copy it again"

_LINES = "; a file holds one value: of JSON lines make one list"

LONGEST = 1_000_000
"""Most frames from the first to the last of a file: half a day. Numbers further apart are names."""


def load(path: Path) -> Any:
    """The content of a file. Raises InputError when it is not JSON, which says where and why."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return json.loads(text)
    except UnicodeDecodeError as error:
        cut = error.reason == "unexpected end of data"
        problem = f"not UTF-8 text at byte {error.start}" + _CUT * cut
        raise InputError(f"{path}: not valid JSON: {problem}") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}, character {error.pos}"
        problem = f"{place}: {error.msg}"
        if not text.strip():
            raise InputError(f"{path}: not valid JSON: the file is empty") from error
        cut = error.msg.startswith("Unterminated") or _REST.fullmatch(text, error.pos)
        more = _CUT if cut else _LINES if error.msg == "Extra data" else ""
        raise InputError(f"{path}: not valid JSON ({problem}){more}") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, lists in lists
        raise InputError(f"{path}: not valid JSON ({error})") from error


def dump(content: Any, path: Path) -> None:
    """Writes a file, which appears under its name when it is whole.

    Raises:
      InputError: nowhere to write to, or the content is nested too deeply.
    """
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as handle:
        if not isinstance(content, list):
            handle.write(text(content, path))
            return
        # One by one, as the text of all is as large as they are.
        for number, item in enumerate(content):
            handle.write(", " if number else "[")
            handle.write(text(item, path))
        handle.write("]" if content else "[]")


def text(content: Any, path: Path) -> str:
    """What to write into a file. Raises InputError where the content is nested too deeply."""
    try:
        return json.dumps(content)  # twice as fast as json.dump
    except RecursionError as error:
        raise InputError(f"{path}: lists within lists, too many to write") from error


def outline(path: Path) -> frozenset[tuple[str, str]]:
    """The keys near the beginning of a file, each with the brackets around it.

    The key 'image_id' of ``[{"image_id": 1}]`` is ``("[{", "image_id")``. A file that is cut off
    has an outline too; what is no JSON, and a folder, have an empty one.
    """
    if path.is_dir():
        return frozenset()
    with open(path, "rb") as handle:
        return _keys(handle.read(_HEAD).decode("utf-8", "replace").lstrip("\ufeff \t\r\n"))


@functools.lru_cache(maxsize=1)  # one format after the other asks for those of one file
def _keys(head: str) -> frozenset[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    brackets = ""
    for token in _TOKEN.finditer(head if head[:1] in ("[", "{") else ""):
        if token[0] in ("[", "{"):
            brackets += token[0]
        elif token[0] in ("]", "}"):
            brackets = brackets[:-1]
        elif token[2]:
            found.add((brackets, token[1]))
        if len(brackets) > _DEEPEST:
            break
    return frozenset(found)


def unused_keys(objects: Iterable[Any], used: Collection[Any]) -> list[str]:
    """A note that names the keys of objects that are not used and hold something."""
    keys = dict.fromkeys(
        key for item in objects if isinstance(item, dict)
        for key, value in item.items() if key not in used and value not in ([], {}, None)
    )
    names = ", ".join(" ".join(str(key).split())[:40] for key in list(keys)[:_MANY])
    more = f" and {len(keys) - _MANY} more" if len(keys) > _MANY else ""
    return [f"keys that are not used: {names}{more}"] if keys else []


# --- numbers --------------------------------------------------------------------------------------


def is_number(value: Any) -> TypeGuard[int | float]:
    return type(value) in (int, float)  # JSON's true is an int to isinstance


def is_whole(value: Any) -> bool:
    return is_number(value) and abs(value) < 2**63 and value == int(value)


def floats(values: Any, what: str = "keypoints") -> list[float]:
    """A list of numbers as floats; null and what no float can hold become NaN.

    Raises:
      InputError: it is not a list of numbers; ``what`` stands in the message.
    """
    if not isinstance(values, list) or not all(v is None or is_number(v) for v in values):
        raise InputError(f"{what} must be numbers")
    return [math.nan if v is None or abs(v) > 1e300 else float(v) for v in values]


def number(value: Any) -> float:
    """A number as a float, NaN for anything else."""
    return float(value) if is_number(value) and abs(value) < 1e300 else math.nan


# --- frames ---------------------------------------------------------------------------------------

NUMBERS = (
    "frame", "frame_id", "frame_number", "frame_idx", "frame_index", "frame_nr", "frameNumber",
    "frameIndex", "frameId",
)
"""Keys that hold the number of a frame, in objects of one frame each."""


def number_key(entries: list) -> str | None:
    """The key that holds the number in every frame."""
    for key in NUMBERS:
        if entries and all(
            isinstance(entry, dict) and is_whole(entry.get(key)) for entry in entries
        ):
            return key
    return None


def entry_numbers(entries: list) -> list[int] | None:
    """Frame numbers as the file has them, None where it has none that can be used."""
    key = number_key(entries)
    numbers = [int(entry[key]) for entry in entries] if key else []
    usable = numbers and max(numbers) - min(numbers) <= LONGEST
    # A frame may have been written twice, but a number that hardly changes is none.
    return numbers if usable and len(set(numbers)) > len(numbers) / 2 else None


def frame_numbers(names: Sequence[int | float | str]) -> tuple[list[int], list[str]]:
    """Frame number of every image: its number, or the last number in its name.

    Returns:
      numbers: one per name. Where names have none, images are counted as they first appear.
      notes: a line in that case.
    """
    numbers = [_frame_number(name) for name in names]
    if None not in numbers and (not numbers or max(numbers) - min(numbers) <= LONGEST):
        return numbers, []
    order = {name: i for i, name in enumerate(dict.fromkeys(map(str, names)))}
    reason = "without numbers" if None in numbers else "with numbers too far apart"
    return [order[str(name)] for name in names], [
        f"image names {reason}: frames are counted in the order of the file"
    ]


def _frame_number(name: int | float | str) -> int | None:
    if not isinstance(name, str):
        return int(name)
    found = _last_number(name)
    # What does not fit into 64 bits is a hash rather than a count.
    return int(found[0]) if found and len(found[0]) < 19 else None


def _last_number(name: str) -> re.Match | None:
    """Where the last number of a file name is, its folder and suffix left out."""
    stem = re.sub(r"\.[A-Za-z]\w{,3}$", "", name)
    return re.search(r"[0-9]+(?=[^0-9/\\]*$)", stem)


class FrameNames:
    """Name of a frame: its own where the file has it, else one in the manner of the others."""

    def __init__(self, known: Mapping[int, Any], default: Any = "0.jpg"):
        """Args: known: frame -> its name, as far as the file goes; default: an example if empty."""
        self._known = dict(known)
        self._example = next(iter(self._known.values()), default)
        numbers = [found[0] for found in map(_last_number, map(str, known.values())) if found]
        padded = [len(number) for number in numbers if number[0] == "0" and len(number) > 1]
        self._width = max(padded, default=0)
        if not known and isinstance(default, str):
            self._width = len(_last_number(default)[0])

    def __call__(self, frame: int) -> Any:
        if frame in self._known:
            return self._known[frame]
        if not isinstance(self._example, str):
            return type(self._example)(frame)
        found = _last_number(self._example)
        if not found:
            return f"{frame}.jpg"
        start, stop = found.span()
        return f"{self._example[:start]}{frame:0{self._width}d}{self._example[stop:]}"
