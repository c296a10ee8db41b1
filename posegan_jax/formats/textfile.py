"""Tables as text: what parts their cells, ends their lines and stands around them.

Cells are parted by commas, semicolons, tabs or spaces. Lines that begin with '#' are comments,
which come back at their places; the last one before the data is the header where it has as many
cells.
"""

import csv
import dataclasses
import io
import re
from collections.abc import Iterable
from pathlib import Path

from posegan_jax.errors import InputError
from posegan_jax.runtime.files import atomic_path

_HEAD = 65536
_SEPARATORS = ",", "\t", ";"
_COMMENT = "#"
_END = 2**62  # place of a comment behind all rows
_LOOKS = 1000  # lines, in which a table begins
_WORDS = 4  # so many words in a line that has no other separator are cells parted by spaces


@dataclasses.dataclass(frozen=True)
class Style:
    """How a table is written.

    Attributes:
      newline: what ends a line.
      separator: what parts cells.
      decimal: what comes before decimals.
      comments: (number of rows before it, text) of every line that is a comment.
      mark: what stands before the header in its line.
      widths: of the columns where cells stand to the right of spaces that part them.
    """

    newline: str = "\n"
    separator: str = ","
    decimal: str = "."
    comments: tuple[tuple[int, str], ...] = ()
    mark: str = ""
    widths: tuple[int, ...] = ()


PLAIN = Style()


def head(path: Path) -> list[str]:
    """The first lines of a file, none for a folder; for a look at what it is."""
    if path.is_dir():
        return []
    with open(path, "rb") as handle:
        return handle.read(_HEAD).decode("utf-8", "replace").lstrip("\ufeff").splitlines()[:6]


def first_cells(path: Path) -> list[str]:
    """The cells of a file's first line, as far as it begins like a table."""
    if path.is_dir():
        return []
    with open(path, "rb") as handle:
        text = handle.read(_HEAD).decode("utf-8", "replace").lstrip("\ufeff")
    lines = _uncommented(text.splitlines()[:_LOOKS])[0][:1]
    try:
        rows = csv.reader(_parted(lines), delimiter=separator_of("".join(lines)))
        return [cell.strip() for cell in next(rows, [])]
    except csv.Error:
        return []


def load(path: Path) -> tuple[str, str]:
    """The text of a file and what ends its lines. Raises InputError when it is no text."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    return text, "\r\n" if "\r\n" in text[:_HEAD] else "\n"


def separator_of(line: str) -> str:
    """What parts the cells of a table: what its first line has most of, a comma if any other."""
    if not any(map(line.count, _SEPARATORS)) and len(line.split()) >= _WORDS:
        return " "
    return max(_SEPARATORS, key=line.count)


def load_csv(path: Path) -> tuple[list[list[str]], Style]:
    """The rows of a table, empty lines left out, and how it is written.

    Where cells are not parted by commas these may stand before decimals. They are points in the
    rows that are returned, and commas again where ``save_csv`` writes in this style.

    Raises:
      InputError: no text, or a row with more or fewer cells than the first one.
    """
    text, newline = load(path)
    lines = io.StringIO(text, newline="").readlines()
    places, comments, mark = list(range(1, len(lines) + 1)), (), ""
    if any(line.startswith(_COMMENT) for line in lines):
        lines, places, comments, mark = _uncommented(lines)
    separator = separator_of(lines[0].strip() if lines else "")
    widths = _widths(lines) if separator == " " else ()
    if separator == " " and '"' in text:
        raise InputError(f"{path}: spaces part its cells, and some are quoted; save it with commas")
    rows: list[list[str]] = []
    reader = csv.reader(_parted(lines), delimiter=separator)
    try:
        for row in reader:
            if row and len(row) != len(rows[0] if rows else row):
                raise InputError(
                    f"{path}: line {places[reader.line_num - 1]} has {len(row)} cells where the "
                    f"first has {len(rows[0])}; is the file cut off?"
                )
            rows += [row] if row else []
    except csv.Error as error:
        raise InputError(f"{path}: line {places[reader.line_num - 1]}: {error}") from None
    if not rows:
        raise InputError(f"{path}: the file is empty")
    decimal = "," if separator != "," and _has_commas(rows) else "."
    style = Style(newline, separator, decimal, comments, mark, widths)
    return _exchanged(rows, decimal, "."), style


def save_csv(rows: Iterable[list[str]], path: Path, style: Style = PLAIN) -> None:
    """Writes rows and comments; the file appears under its name when it is whole."""
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as handle,
    ):
        writer = csv.writer(handle, delimiter=style.separator, lineterminator=style.newline)
        rows = _exchanged(rows, ".", style.decimal)
        if not style.comments and not style.mark and style.separator != " ":
            writer.writerows(rows)
            return
        comments = list(style.comments)
        for i, row in enumerate(rows):
            while comments and comments[0][0] <= i:
                handle.write(comments.pop(0)[1] + style.newline)
            handle.write(style.mark if i == 0 else "")
            if style.separator == " ":
                handle.write(_spaced(row, style.widths) + style.newline)
            else:
                writer.writerow(row)
        handle.writelines(text + style.newline for _, text in comments)


def _uncommented(
    lines: list[str],
) -> tuple[list[str], list[int], tuple[tuple[int, str], ...], str]:
    """Lines without comments, their numbers, the comments, and what marks the header if it was one.

    The last comment before the data is the header where it has as many cells as the first line of
    data, whose cells are all numbers or blank and which the comment's are not.
    """
    kept, places, comments, mark = [], [], [], ""
    for number, line in enumerate(lines, 1):
        if line.startswith(_COMMENT):
            comments.append((len(kept), line.rstrip("\r\n")))
        elif line.strip():
            kept.append(line)
            places.append(number)
    comments = [(_END if place == len(kept) > 0 else place, text) for place, text in comments]
    before = [text for place, text in comments if place == 0]
    if before and kept and _is_header(before[-1], kept[0]):
        at = len(before) - 1
        names = before[-1].lstrip(_COMMENT)
        names = names.lstrip(" ") if separator_of(kept[0].strip()) == " " else names
        mark = before[-1][: len(before[-1]) - len(names)]
        comments = [*comments[:at], *((place + 1, text) for place, text in comments[at + 1 :])]
        kept, places = [names + "\n", *kept], [lines.index(kept[0]), *places]
    return kept, places, tuple(comments), mark


def _is_header(comment: str, data: str) -> bool:
    separator = separator_of(data.strip())

    def cells(line: str) -> list[str]:
        return [cell.strip() for cell in next(csv.reader(_parted([line]), delimiter=separator), [])]

    try:
        names, values = cells(comment.lstrip(_COMMENT).strip("\r\n ")), cells(data)
    except csv.Error:
        return False
    numbers = [cell for cell in values if _is_number(cell)]
    return (
        len(names) == len(values) > 2 and len(numbers) * 2 > len(values)
        and not any(map(_is_number, names))
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def _parted(lines: Iterable[str]) -> list[str]:
    """Lines whose cells are parted by one space, where it is spaces that part the first one's."""
    lines = list(lines)
    if separator_of(lines[0].strip() if lines else "") != " ":
        return lines
    stripped = (line.strip(" \r\n") for line in lines)
    return [re.sub(" +", " ", line) + "\n" if line else "" for line in stripped]


def _widths(lines: Iterable[str]) -> tuple[int, ...]:
    """Widths of columns whose cells all end at the same places; none where they do not."""
    found = {
        tuple(len(cell) for cell in re.findall(" *[^ ]+", line.rstrip(" \r\n")))
        for line in lines if line.strip()
    }
    return next(iter(found)) if len(found) == 1 else ()


def _spaced(row: list[str], widths: tuple[int, ...]) -> str:
    """A line of cells parted by spaces, in columns of these widths; what is blank is nan."""
    cells = [cell.replace(" ", "_") or "nan" for cell in row]
    if len(widths) != len(cells):
        return " ".join(cells)
    first, *rest = zip(cells, widths, strict=True)
    return first[0].rjust(first[1]) + "".join((" " + cell).rjust(width) for cell, width in rest)


def _has_commas(rows: list[list[str]]) -> bool:
    """Whether some numbers have a comma before their decimals, and none has a point."""
    found = {mark for row in rows for cell in row for mark in ",." if _is_decimal(cell, mark)}
    return found == {","}


def _is_decimal(cell: str, mark: str) -> bool:
    """Whether a cell is a number with a mark before its decimals."""
    pattern = rf"\s*[+-]?\d*{re.escape(mark)}\d+([eE][+-]?\d+)?\s*"
    return mark in cell and re.fullmatch(pattern, cell) is not None


def _exchanged(rows: Iterable[list[str]], old: str, new: str) -> list[list[str]]:
    """The rows with another mark before decimals."""
    if old == new:
        return list(rows)
    return [
        [cell.replace(old, new) if _is_decimal(cell, old) else cell for cell in row]
        for row in rows
    ]
