"""The documentation does what it says: every command and every Python block of it runs.

A block that cannot be run here stands after a comment that says why, <!-- not run: needs ... -->,
and is checked without running: options, modules, configurations and fields must exist. A block of
``text`` after a block that runs is its output, but for the numbers.
"""

import dataclasses
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from posegan_jax import cli
from posegan_jax.arguments import make_parser
from posegan_jax.config import default_config

REPOSITORY = Path(__file__).parents[1]
DEMO = REPOSITORY / "posegan_jax" / "assets" / "demo-alphapose-results.json"
OUTSIDE = [
    REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md",
    REPOSITORY / "data_pipelines" / "README.md",
]
PAGES = [*OUTSIDE, *sorted((REPOSITORY / "docs").glob("*.md"))]


def name(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=name)

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- not run: (?P<why>\S[^>]*) -->\n+\Z")
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block: its language, the lines in it, where it stands, why it is not run."""

    language: str
    code: str
    line: int
    excuse: str | None

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command, as a shell would split them."""
        lines = self.code.replace("\\\n", " ").splitlines()
        parts = [part for line in lines for part in line.split(" && ")]
        return [words for part in parts if (words := shlex.split(part, comments=True))]


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        mark = _MARK.search(text, 0, fence.start())
        line = text.count("\n", 0, fence.start()) + 1
        found.append(Block(*fence.groups(), line, mark["why"] if mark else None))
    return found


# --- what is run ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch, registries):
    """Where a reader stands: a folder with the track that the pages start from."""
    shutil.copy(DEMO, tmp_path / "alphapose-results.json")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@every_page
def test_a_page_runs_as_it_stands(page, folder, capsys):
    names, said = {"__name__": "__main__"}, None
    for block in blocks(page):
        where = f"{page.name}, line {block.line}"
        if block.excuse:
            check(block, where)
        elif block.language == "sh":
            for words in block.commands:
                assert run(words) == 0, f"{where}: {shlex.join(words)}"
        elif block.language == "python":
            # Empty lines in front, so that a traceback tells the line of the page.
            exec(compile("\n" * block.line + block.code, page, "exec"), names)
        elif block.language == "json":
            json.loads(block.code)
        elif block.language == "text" and said is not None:
            assert shape(said) == shape(block.code), f"{where}: not what the block above prints"
        ran = block.language in ("sh", "python") and not block.excuse
        said = capsys.readouterr().out if ran else None


def run(words: list[str]) -> int:
    """Runs a command in this process, since JAX takes seconds to start and compile."""
    match words:
        case ["posegan", *arguments]:
            return cli.main(arguments)
        case ["cp", source, destination]:  # from the root of a checkout
            shutil.copy(REPOSITORY / source, destination)
            return 0
        case ["pip", "install", *arguments]:  # has been done, or no test would run
            return check_extras(arguments)
    raise AssertionError(f"the tests cannot run {shlex.join(words)}; mark the block")


def shape(said: str) -> list[str]:
    """Output without its numbers, which depend on weights and machine."""
    return [re.sub(r"\d[\d.,]*", "#", line).rstrip() for line in said.strip().splitlines()]


# --- what is not ----------------------------------------------------------------------------------


def check(block: Block, where: str) -> None:
    """What can be said of a block without running it."""
    if block.language == "python":
        compile(block.code, where, "exec")
    for words in block.commands if block.language == "sh" else ():
        check_command(words, f"{where}: {shlex.join(words)}")


def check_command(words: list[str], where: str) -> None:
    while re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    match words:
        case [script, *arguments] if script.startswith("launch/"):
            assert os.access(REPOSITORY / script, os.X_OK), where
        case ["posegan", *arguments]:
            options, rest = make_parser().parse_known_args(arguments)
            assert not rest or options.command == "train", where
        case ["python", "-m", module, *arguments]:
            assert importlib.util.find_spec(module), where
        case ["pip", "install", *arguments]:
            assert check_extras(arguments) == 0, where
        case [tool, *arguments]:
            needed = [needed for extra in extras().values() for needed in extra]
            assert any(re.match(rf"{tool}\b", name) for name in needed), where
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name == "--config" and value != "...":
            assert (REPOSITORY / value).is_file(), where
        elif name.startswith("--config."):
            section = default_config()
            for field in name.split(".")[1:]:
                assert field in section, where
                section = section[field]


def extras() -> dict[str, list[str]]:
    """What pyproject.toml offers beside the package itself."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["optional-dependencies"]


def check_extras(arguments: list[str]) -> int:
    """0 where pip is asked for this package, with extras that there are, or for another one."""
    for argument in arguments:
        if ours := re.fullmatch(r"(?:\.|posegan_jax)\[(.+)\]", argument):
            assert set(ours[1].split(",")) <= set(extras()), argument
    return 0


# --- what stands in the pages ---------------------------------------------------------------------


@every_page
def test_no_block_and_no_mark_is_overlooked(page):
    text = page.read_text(encoding="utf-8")
    found = blocks(page)
    assert text.count("```") == 2 * len(found), "a fence is indented, or not closed"
    assert {block.language for block in found} <= {"", "csv", "json", "python", "sh", "text"}
    assert text.count("<!-- not run") == sum(block.excuse is not None for block in found)
    assert not [b.line for b in found if b.excuse and b.language not in ("python", "sh")]


@pytest.mark.parametrize("page", OUTSIDE, ids=name)
def test_links_lead_somewhere(page):  # those of the site are checked when it is built
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_page_on_filling_names_all_options(capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args(["fill", "--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    text = (REPOSITORY / "docs" / "fill.md").read_text(encoding="utf-8")
    assert options and options <= set(re.findall(r"--[a-z-]+", text))


def test_the_pictures_are_small():
    pictures = [path for path in (REPOSITORY / "docs").rglob("*.png")]
    assert pictures and max(path.stat().st_size for path in pictures) < 200_000


def test_the_site_builds_and_fetches_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stderr
    html = {path.name: path.read_text("utf-8") for path in (tmp_path / "site").glob("*.html")}
    assert {path.with_suffix(".html").name for path in PAGES[len(OUTSIDE) :]} <= set(html)
    for name in ("posegan_jax.read", "posegan_jax.PoseSequence", "posegan_jax.Inpainter"):
        assert re.search(rf"<h3[^>]*>\s*{re.escape(name)}\s", html["reference.html"]), name
    fetched = re.compile(r'<(?:script|img|iframe)[^>]+src="(?:https?:)?//|<link[^>]+href="https?:')
    assert not [name for name, text in html.items() if fetched.search(text)]
