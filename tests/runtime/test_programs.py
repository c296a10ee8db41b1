"""Compiled programs that the next process loads without tracing them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import serialize_executable

from posegan_jax.runtime import compilation_cache, programs

X = np.linspace(0.1, 2.0, 7, dtype=np.float32)


@pytest.fixture
def where(tmp_path, monkeypatch):
    """The folder of a cache of this test's own, in which JAX keeps whatever it compiles, too."""
    settings = {
        "jax_compilation_cache_dir": str(tmp_path),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    before = {name: jax.config.values[name] for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset()
    monkeypatch.setattr(programs, "_loaded", {})
    yield programs.folder()
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset()


class Traced:
    """A function that counts how often it is traced."""

    def __init__(self):
        self.count = 0

        @jax.jit
        def function(x, more):
            self.count += 1
            return jnp.sin(x).cumsum(), [x.sum() * more["factor"]]

        self.jitted = function

    def program(self, known_by="", sources=("runtime/files.py",)):
        arguments = jnp.asarray(X), {"factor": jnp.float32(3.0)}
        made = programs.program(
            "test", lambda: self.jitted.lower(*arguments), arguments, (0, [0]), known_by, sources,
            jax.devices()[:1],
        )
        return made and jax.tree.map(np.asarray, made(*arguments))


def forget(monkeypatch):
    """As in a new process."""
    monkeypatch.setattr(programs, "_loaded", {})
    jax.clear_caches()


def kept(where):
    return sorted(path.name for path in where.iterdir())


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_what_is_kept_is_loaded_without_a_trace(where, monkeypatch):
    expected = jax.tree.map(np.asarray, Traced().jitted(X, {"factor": np.float32(3.0)}))
    first, second = Traced(), Traced()
    same(first.program(), expected)
    same(first.program(), expected)
    (name,) = kept(where)
    assert first.count == 1 and name.startswith("test-")
    forget(monkeypatch)
    same(second.program(), expected)
    assert second.count == 0 and kept(where) == [name]


def test_what_jax_delivers_from_its_own_cache_is_not_written_once_more(where, monkeypatch):
    """On a CPU it would lack functions, which is found out when it is called."""
    function = Traced()
    expected = jax.tree.map(np.asarray, function.jitted(X, {"factor": np.float32(3.0)}))
    assert any(where.parent.iterdir())
    forget(monkeypatch)
    same(function.program(), expected)
    forget(monkeypatch)
    same(function.program(), expected)


def test_anything_else_is_another_program(where, monkeypatch):
    function = Traced()
    function.program()
    function.program(known_by="others")
    function.program(sources=("runtime/files.py", "errors.py"))
    with jax.default_matmul_precision("highest"):
        function.program()
    monkeypatch.setattr(compilation_cache, "machine", lambda: "another")
    programs._machine.cache_clear()
    function.program()
    programs._machine.cache_clear()
    monkeypatch.setattr(programs, "digest", lambda sources: "changed")
    function.program()
    assert len(kept(where)) == 6


def test_sources_are_known_by_their_contents(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_PACKAGE", tmp_path)
    (tmp_path / "room").mkdir()
    seen = set()
    for file, content in (("room/a.py", "1"), ("b.py", "2"), ("room/a.py", "3"), ("room/c.py", "")):
        (tmp_path / file).write_text(content)
        (tmp_path / "room" / "notes.txt").write_text(content)
        (tmp_path / "b.py").touch()
        programs.digest.cache_clear()
        seen.add(programs.digest(("room", "b.py")))
    programs.digest.cache_clear()
    assert len(seen) == 4
    with pytest.raises(OSError):
        programs.digest(("nowhere.py",))


@pytest.mark.parametrize("damage", ["short", "empty", "flipped", "nonsense", "another"])
def test_what_is_damaged_is_compiled_anew(where, monkeypatch, damage):
    function = Traced()
    expected = function.program()
    (path,) = where.iterdir()
    content = path.read_bytes()
    if damage == "nonsense":  # soundly written
        programs._write(path, b"nonsense")
    elif damage == "another":
        monkeypatch.setattr(programs, "_read", lambda path: b"\x80\x04N.")
    else:
        flipped = content[:-1] + bytes([content[-1] ^ 1])
        path.write_bytes({"short": content[:-9], "empty": b"", "flipped": flipped}[damage])
    forget(monkeypatch)
    same(function.program(), expected)
    assert function.count == 2
    if damage != "another":
        forget(monkeypatch)
        same(function.program(), expected)
        assert function.count == 2  # and was written


def test_where_nothing_can_be_written_jax_compiles_as_ever(where, monkeypatch):
    function = Traced()
    where.write_text("in the way")
    assert function.program() is None
    where.unlink()
    monkeypatch.setattr(programs.os, "access", lambda *unused: False)  # root may write anywhere
    assert function.program() is None and function.count == 0
    assert programs.result("r", lambda: jnp.ones(2), "", (), jax.devices()).tolist() == [1, 1]


@pytest.mark.parametrize("name", ["serialize", "deserialize_and_load"])
def test_what_cannot_be_kept_on_a_platform_is_left_to_jax(where, monkeypatch, name):
    def unable(*unused, **neither):
        raise NotImplementedError

    monkeypatch.setattr(serialize_executable, name, unable)
    function = Traced()
    assert function.program() is not None
    forget(monkeypatch)
    assert function.program() is None and function.program() is None and function.count == 1
    assert len(kept(where)) == 1


def test_a_disk_that_fills_up_costs_nothing_else(where, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(programs, "atomic_path", full)
    function = Traced()
    assert function.program() is not None and not kept(where)


def test_nothing_is_kept_where_the_user_wants_no_cache(where, monkeypatch):
    function = Traced()
    with compilation_cache.disabled():
        assert programs.folder() is None and function.program() is None
    for folder in ("gs://bucket/cache", None):
        jax.config.update("jax_compilation_cache_dir", folder)
        assert programs.folder() is None
    jax.config.update("jax_compilation_cache_dir", str(where.parent))
    assert programs.folder() == where
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    assert programs.folder() is None


def test_the_folder_does_not_grow_without_bound(where, monkeypatch):
    monkeypatch.setattr(programs, "LARGEST", 2500)
    for number in range(5):
        path = where / f"{number}"
        programs._write(path, bytes(1000))
        programs.os.utime(path, (number, number))
    assert kept(where) == ["3", "4"]
    assert programs._read(where / "3") == bytes(1000)  # used just now
    programs._write(where / "5", bytes(1000))
    assert kept(where) == ["3", "5"]


def test_results_are_computed_once(where):
    def result(value, known_by=""):
        compute = (lambda: jnp.full(3, value)) if value is not None else None
        return programs.result("r", compute, known_by, ("errors.py",), jax.devices()).tolist()

    assert result(1.0) == result(None) == [1, 1, 1]
    assert result(2.0, "other weights") == [2, 2, 2]
    for path in where.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    assert result(3.0) == result(None) == [3, 3, 3]
