"""What the site needs to know of the repository around docs/, for mkdocs.yml."""

import re
from pathlib import Path

from mkdocs.structure.files import File

REPOSITORY = Path(__file__).parents[1]
PAGES = {
    "contributing.md": "CONTRIBUTING.md", "data.md": "data_pipelines/README.md",
    "changes.md": "CHANGELOG.md",
}
"""Pages of the site that stand elsewhere in the repository."""

_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files, config):
    """Adds ``PAGES``."""
    for page, path in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(REPOSITORY / path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Links to files outside docs/ become links to their page, or else their bare text.

    Only where the file exists: what leads nowhere stays, and the strict build fails on it.
    """
    folder = (REPOSITORY / PAGES.get(page.file.src_uri, f"docs/{page.file.src_uri}")).parent

    def replace(link):
        text, target, anchor = link.groups()
        path = (folder / target).resolve()
        if "://" in target or path.is_relative_to(REPOSITORY / "docs") or not path.exists():
            return link[0]
        for name, source in PAGES.items():
            if path == REPOSITORY / source:
                return f"[{text}]({name}{anchor or ''})"
        return text

    return _LINK.sub(replace, markdown)
