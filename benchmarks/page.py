"""Pages that commands write tables into."""

import re
from collections.abc import Collection
from pathlib import Path

from posegan_jax.errors import InputError
from posegan_jax.runtime.files import atomic_path

END = "<!-- end of tables -->"


def mark(module: str) -> str:
    """What stands before the tables of a module of this folder."""
    return f"<!-- tables: made by benchmarks/{module}.py -->"


def replace_tables(page: str, module: str, text: str) -> str:
    """The page with other tables. Raises InputError where it has no marks."""
    before, begin, rest = page.partition(mark(module))
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"a page lacks the marks {mark(module)} and {END}")
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"


def write_tables(path: Path, module: str, text: str) -> None:
    """``replace_tables`` in a file."""
    page = replace_tables(path.read_text(encoding="utf-8"), module, text)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def fold(title: str, text: str) -> str:
    """Markdown behind a line that opens it, on GitHub and in the rendered docs alike."""
    return f"<details markdown>\n<summary>{title}</summary>\n\n{text.strip()}\n\n</details>"


def fold_sections(text: str, shown: Collection[str]) -> str:
    """Markdown of which all sections of the second level are folded but for those named."""
    first, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    parts = [first.strip()] if first.strip() else []
    for section in sections:
        title, _, content = section.partition("\n")
        parts.append(
            f"### {title}\n\n{content.strip()}" if title in shown else fold(title, content)
        )
    return "\n\n".join(parts) + "\n"
