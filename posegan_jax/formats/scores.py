"""Which columns of a table with columns per joint are scores, and which are of no use here."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from posegan_jax.formats.joint_names import one_line

_LIKE = re.compile(
    r"(?!un|in(?!frame))\w*(score|conf|prob|likeli|visib|presen|certain|trust|quality)\w*"
    r"|acc(u|uracy)?|[cpsv]|vis"
)
"""What people call a score, letters alone in lower case, where it lies within 0 and 1."""

_OTHERS = re.compile(
    r"[zwht]|[vd][xyz]|depth\w*|width|height|time\w*|speed|\w*veloc\w*|\w*dist\w*|\w*angle\w*|id"
    r"|\w*err(or)?|\w*std|\w*var|\w*sigma|\w*occl\w*|\w*miss\w*|\w*interp\w*|\w*fill\w*|un\w*"
)
"""What is no score, whatever its numbers."""

_HIGHEST = 1.1
"""OpenPose's scores go a little beyond 1."""

_MEDIAN = 0.4
"""At least this is the median of numbers that may be something else, as accelerations: else more
joints would be lost by a guess than stay."""

_MANY = 8


def guess(
    cells: Sequence[str], joints: Mapping[str, Sequence[int]], values: np.ndarray
) -> tuple[dict[str, int], list[str]]:
    """The columns of scores that go by no usual name, and a note of which they are.

    A third number per joint is its score where it lies within 0 and 1 and is not called something
    else. Of several the first that is called like a score counts.

    Args:
      cells: the names of the columns.
      joints: label -> columns of x and y.
      values: (rows, columns) numbers of the table.

    Returns:
      label -> column, empty where there is none, and the note.
    """
    words = by_word(cells, joints)
    most = [word for word in words if 2 * len(words[word]) >= len(joints)]
    for word in sorted(most, key=lambda word: not is_like_one(word)):
        columns = list(words[word].values())
        possible = is_like_one(word) or not _OTHERS.fullmatch(word)
        if possible and _are_scores(values[:, columns], is_surely_one(word)):
            return words[word], [f"taken for scores: {_listed(cells, words, columns)}"]
    return {}, []


def is_like_one(name: str) -> bool:
    """Whether a column's name is one that scores go by."""
    return bool(_LIKE.fullmatch(_word(name)))


def is_surely_one(name: str) -> bool:
    """Whether it says so by itself, without other columns of the joint, as 'p' and 'acc' do not."""
    return is_like_one(name) and len(_word(name)) > 3


def within(values: np.ndarray) -> bool:
    """Whether numbers, NaN where there are none, lie within 0 and 1 as scores do."""
    values = values[~np.isnan(values)]
    return len(values) > 0 and bool((values >= 0).all() and (values <= _HIGHEST).all())


def by_word(
    cells: Sequence[str], joints: Mapping[str, Sequence[int]]
) -> dict[str, dict[str, int]]:
    """word -> {label: column} of all columns that go by a joint as its x and y do.

    ``nose_prob`` beside ``nose_x`` and ``nose_y``, ``prob26`` beside ``x26`` and ``y26``.

    Args: as of ``guess``.
    """
    # Of a column's words the shortest: eye_inner_z is z of the eye's inner end, not inner_z of it.
    shortest: dict[int, tuple[str, str]] = {}
    places = {i for x, y, *_ in joints.values() for i in (x, y)}
    for label, (x, y, *_) in joints.items():
        start, end = _around(cells[x], cells[y])
        if not start and not end:
            continue
        for i, cell in enumerate(cells):
            if i in places or len(cell) <= len(start) + len(end):
                continue
            if cell.startswith(start) and cell.endswith(end):
                middle = cell[len(start) : len(cell) - len(end)]
                known = shortest.get(i)
                if middle[0].isalpha() and middle[-1].isalpha() and (
                    known is None or len(middle) < len(known[0])
                ):
                    shortest[i] = middle, label
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for i, (middle, label) in sorted(shortest.items()):
        found[_word(middle)].setdefault(label, i)
    return dict(found)


def unused(
    cells: Sequence[str], used: Collection[int], joints: Mapping[str, Sequence[int]]
) -> list[str]:
    """A note that names the columns without use, those of all joints together once.

    Args:
      cells, joints: as of ``guess``.
      used: the columns that are of use.
    """
    words = by_word(cells, joints)
    idle = [i for i, cell in enumerate(cells) if i not in used and cell]
    return [f"columns that are not used: {_listed(cells, words, idle)}"] if idle else []


def _listed(
    cells: Sequence[str], words: Mapping[str, Mapping[str, int]], columns: Sequence[int]
) -> str:
    """Columns in a line; of those that several joints have, the word."""
    word_of = {i: (word, len(of)) for word, of in words.items() for i in of.values() if len(of) > 1}
    names = dict.fromkeys(
        f"{word_of[i][0]} of {word_of[i][1]} joints" if i in word_of else cells[i] for i in columns
    )
    more = len(names) - _MANY
    shown = one_line(list(names)[:_MANY])
    return f"{shown} and {more} more" if more > 0 else shown


def _around(x: str, y: str) -> tuple[str, str]:
    """What stands before and after the x in the name of a column, the y in that of the other."""
    places = [i for i, pair in enumerate(zip(x, y, strict=False)) if pair[0] != pair[1]]
    if len(x) != len(y) or len(places) != 1:
        return "", ""
    return x[: places[0]], x[places[0] + 1 :]


def _word(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def _are_scores(values: np.ndarray, sure: bool) -> bool:
    """Whether numbers are scores; where their name does not say so many must be high, too."""
    return within(values) and (sure or bool(np.nanmedian(values) >= _MEDIAN))
