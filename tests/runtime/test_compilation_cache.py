"""Compiled programs are kept, where the user wants them and nowhere else."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from posegan_jax.runtime import compilation_cache

COMPILE = """
import sys
from posegan_jax.runtime import compilation_cache
folder = compilation_cache.enable()
assert "jax" not in sys.modules
import jax
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
hits = []
jax.monitoring.register_event_listener(
    lambda event, **_: hits.append(event) if event.endswith("cache_hits") else None
)
jax.jit(lambda x: jax.numpy.sin(x).sum())(jax.numpy.ones(7)).block_until_ready()
print(folder, len(hits))
"""

DISABLED = """
import os
import jax
from posegan_jax.runtime import compilation_cache
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
folder = jax.config.jax_compilation_cache_dir
hits = []
jax.monitoring.register_event_listener(
    lambda event, **_: hits.append(event) if event.endswith("cache_hits") else None
)
x = jax.numpy.ones(7)
def compile(function):
    jax.clear_caches()
    jax.jit(function)(x).block_until_ready()
compile(jax.numpy.sin)
kept = set(os.listdir(folder))
assert kept and not hits
with compilation_cache.disabled():
    compile(jax.numpy.sin)
    compile(jax.numpy.cos)
assert not hits and set(os.listdir(folder)) == kept
compile(jax.numpy.sin)
print(folder, len(hits))
"""


def run(cache_home, code=COMPILE, **environment):
    """(folder, programs found in it) of a new process that compiles something."""
    inherited = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    environment = {"XDG_CACHE_HOME": str(cache_home), "HOME": str(cache_home), **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[1], env=inherited | environment,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    folder, hits = done.stdout.split()
    return folder, int(hits)


@pytest.fixture
def no_settings(monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.delenv("JAX_ENABLE_COMPILATION_CACHE", raising=False)
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    jax.config.update("jax_compilation_cache_dir", before)


@pytest.mark.skipif(sys.platform != "linux", reason="the folder has another name there")
def test_what_one_process_compiles_serves_the_next(tmp_path):
    folder, hits = run(tmp_path)
    assert Path(folder).parent == tmp_path / "posegan_jax" and not hits
    kept = set(Path(folder).iterdir())
    assert kept
    again, hits = run(tmp_path)
    assert again == folder and hits > 0


def test_the_user_can_turn_it_off_or_elsewhere(tmp_path):
    assert run(tmp_path, JAX_ENABLE_COMPILATION_CACHE="false") == ("None", 0)
    elsewhere = tmp_path / "elsewhere"
    assert run(tmp_path, JAX_COMPILATION_CACHE_DIR=str(elsewhere)) == ("None", 0)
    assert any(elsewhere.iterdir()) and not (tmp_path / "posegan_jax").exists()


def test_a_folder_that_cannot_be_written_to_is_not_used(tmp_path, monkeypatch, no_settings):
    monkeypatch.setattr(compilation_cache, "user_cache", lambda: tmp_path / "file")
    (tmp_path / "file").write_text("in the way")
    assert compilation_cache.enable() is None
    monkeypatch.setattr(compilation_cache, "user_cache", lambda: tmp_path)
    monkeypatch.setattr(os, "access", lambda *unused: False)  # root may write anywhere
    assert compilation_cache.enable() is None
    assert jax.config.jax_compilation_cache_dir is None


def test_a_user_without_a_home(monkeypatch, no_settings):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(compilation_cache, "user_cache", homeless)
    assert compilation_cache.enable() is None


def test_what_is_disabled_for_a_while_is_neither_looked_up_nor_kept(tmp_path):
    kept = tmp_path / "kept"
    assert run(tmp_path, DISABLED, JAX_COMPILATION_CACHE_DIR=str(kept)) == (str(kept), 1)


def test_the_folder_goes_with_the_number_of_cpus(tmp_path, monkeypatch, no_settings):
    monkeypatch.setattr(compilation_cache, "user_cache", lambda: tmp_path)

    def folder():
        jax.config.update("jax_compilation_cache_dir", None)
        return compilation_cache.enable()

    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 5}, raising=False)
    two = folder()
    assert folder() == two
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {5})
    one = folder()
    assert one != two
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS, Windows
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert folder() == two
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert folder() == one


def test_where_jax_is_imported_already(tmp_path, monkeypatch, no_settings):
    monkeypatch.setattr(compilation_cache, "user_cache", lambda: tmp_path)
    folder = compilation_cache.enable()
    assert folder.parent.parent == tmp_path
    assert jax.config.jax_compilation_cache_dir == str(folder)
    assert compilation_cache.enable() is None  # as it is


@pytest.mark.parametrize(
    ("system", "environment", "expected"),
    [
        ("linux", {}, "home/.cache"),
        ("linux", {"XDG_CACHE_HOME": "/elsewhere"}, "/elsewhere"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "home/.cache"),  # invalid, says its standard
        ("darwin", {}, "home/Library/Caches"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local"),
    ],
)
def test_each_system_has_its_folder(system, environment, expected, monkeypatch):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(Path, "home", lambda: Path("home"))
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert compilation_cache.user_cache() == Path(expected)
