"""Writing files whole or not at all."""

import os
import shutil
import stat

import pytest

from posegan_jax.errors import InputError
from posegan_jax.pose import files
from posegan_jax.pose.files import atomic_folder, atomic_path


def test_a_new_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "a.json"
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == tmp_path  # the same disk: renaming cannot copy
        assert temporary.suffix == ".json"  # some writers choose the format by it
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_path_may_be_a_string(tmp_path):
    with atomic_path(f"{tmp_path}/a") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "a").read_text() == "whole"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, InputError])
def test_a_failure_leaves_what_stood_there(tmp_path, error):
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(error), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_failure_leaves_nothing_where_nothing_stood(tmp_path):
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "a.json"):
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_the_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    with atomic_path(tmp_path / "a.json"):
        pass
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "a.json")]
    assert modes[0] == modes[1]


def test_a_folder_is_not_a_file_name(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path} is a folder; give a file name"):
        with atomic_path(tmp_path):
            pass
    assert os.listdir(tmp_path) == []


def test_the_folder_must_exist(tmp_path):
    path = tmp_path / "nowhere" / "a.json"
    with pytest.raises(InputError, match=f"cannot write {path}: No such file or directory"):
        with atomic_path(path):
            pass
    assert os.listdir(tmp_path) == []


def test_a_folder_that_may_not_be_written(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    # chmod would not do: whoever runs as root may write anyway.
    monkeypatch.setattr(files.tempfile, "mkstemp", refuse)
    with pytest.raises(InputError, match="cannot write .*a.json: Permission denied"):
        with atomic_path(tmp_path / "a.json"):
            pass


# --- folders --------------------------------------------------------------------------------------


def fill(path, **texts):
    with atomic_folder(path, ".json") as folder:
        for name, text in texts.items():
            (folder / f"{name}.json").write_text(text)


def test_a_folder_appears_when_it_is_whole(tmp_path):
    with atomic_folder(tmp_path / "out", ".json") as folder:
        (folder / "a.json").write_text("new")
        assert not (tmp_path / "out").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "a.json").read_text() == "new"


def test_a_folder_of_such_files_is_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    fill(tmp_path / "out", a="old", b="old")
    fill(tmp_path / "out", b="new")
    assert {p.name: p.read_text() for p in (tmp_path / "out").iterdir()} == {"b.json": "new"}


def test_a_folder_stays_when_writing_fails(tmp_path):
    fill(tmp_path / "out", a="old")
    with pytest.raises(KeyError), atomic_folder(tmp_path / "out", ".json") as folder:
        (folder / "a.json").write_text("new")
        raise KeyError
    assert (tmp_path / "out" / "a.json").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_folder_with_other_things_is_not_replaced(tmp_path):
    for thing in ("notes.txt", "inner.json/a.json"):
        path = tmp_path / "out" / thing
        path.parent.mkdir(parents=True)
        path.write_text("mine")
        with pytest.raises(InputError, match="out holds more than .json files"):
            fill(tmp_path / "out", a="new")
        assert path.read_text() == "mine"
        shutil.rmtree(tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file is a file; give a folder"):
        fill(tmp_path / "file", a="new")
    with pytest.raises(InputError, match="cannot write .*No such file"):
        fill(tmp_path / "nowhere" / "out", a="new")
