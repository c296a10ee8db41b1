"""Why no format knows a file: what to tell its user."""

import codecs
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from posegan_jax.errors import InputError
from posegan_jax.formats import jsonfile, textfile, wide
from posegan_jax.formats.joint_names import one_line

_HEAD = 65536
_MANY = 8


def explain(path: Path, known: Collection[str]) -> str:
    """One line about a file or folder that no format knows, with its name.

    Args:
      path: what was given.
      known: names of the formats.
    """
    if path.is_dir():
        return f"{path}: {_folder(path)}; known: {', '.join(known)}"
    with open(path, "rb") as handle:
        head = handle.read(_HEAD)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if not start:
        return f"{path}: the file is empty"
    if start in b"[{":
        try:
            content = jsonfile.load(path)
        except InputError as error:
            return str(error)
        what = f"valid JSON, {_about(content)}, but not a known format"
    else:
        what = f"{_kind(head)}, not a known format"
    return f"{path}: {what}; known: {', '.join(known)}"


def _folder(path: Path) -> str:
    """What a folder holds instead of frames."""
    kinds = Counter(file.suffix.lower() or "other" for file in path.iterdir() if file.is_file())
    if not kinds:
        return "a folder without frames: there is no file in it"
    if ".json" in kinds:
        return (
            f"a folder without frames: none of its {kinds['.json']} .json files has a list of "
            "people, as OpenPose's have, or of MMPose's instances; of another format give one file"
        )
    held = ", ".join(f"{count} {kind} files" for kind, count in kinds.most_common(_MANY))
    return (
        f"a folder without frames: it holds {held}, and only .json files, and YOLO's labels of "
        "poses as .txt, can be frames"
    )


def _about(content) -> str:
    """The keys of an object, or of the first object in lists."""
    what = "an object"
    while isinstance(content, list):
        content = next((item for item in content if item not in ([], {}, None)), None)
        what = "a list with objects"
    if not isinstance(content, dict):
        return "without any object" if content is None else "a list of other things than objects"
    keys = one_line(list(content)[:_MANY])[:200]
    return f"{what} of the keys {keys}" if keys else "an object without keys"


def _kind(head: bytes) -> str:
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "text in UTF-16 (save it as UTF-8)"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a pickle, which may run any program when it is read (save what is in it otherwise)"
    if head.startswith(b"PK") and b"[Content_Types].xml" in head:
        return "a spreadsheet (save it as CSV)"
    whole = len(head) < _HEAD  # else it may end in mid-letter
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final=whole)
    except UnicodeDecodeError:
        return "a binary file"
    if "\0" in text:
        return "a binary file"
    first = text.lstrip("\ufeff").partition("\n")[0]
    cells = [cell.strip() for cell in first.split(textfile.separator_of(first))]
    return _table(cells) if len(cells) > 2 else "a text file"


def _table(cells: list[str]) -> str:
    """What keeps a table from being one of poses."""
    held = one_line(cells[:_MANY])[:200] + ", ..." * (len(cells) > _MANY)
    joints = wide.joints_of(cells)
    if not joints:
        return (
            f"a table whose first line is {held}: no names of columns as nose_x, nose_y, or frame, "
            "joint, x, y"
        )
    some = one_line(joints[:_MANY])[:200] + ", ..." * (len(joints) > _MANY)
    return (
        f"a table with x and y of {some}: fewer than three joints that are known by "
        "their names; --joint-map says which they are"
    )
