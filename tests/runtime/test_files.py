"""Writing files whole or not at all."""

import errno
import os
import shutil
import stat
from pathlib import Path

import pytest

from posegan_jax.errors import InputError
from posegan_jax.runtime import files
from posegan_jax.runtime.files import atomic_folder, atomic_path, check_makeable


@pytest.mark.parametrize("write", [atomic_path, lambda path: atomic_folder(path, Path.is_file)])
def test_a_full_disk_is_told(tmp_path, write):
    with pytest.raises(InputError, match="cannot write .*out: No space left"), \
            write(tmp_path / "out"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match="nothing to do with it"), write(tmp_path / "out"):
        raise OSError(errno.EBADF, "nothing to do with it")
    assert not list(tmp_path.iterdir())


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
    with pytest.raises(InputError, match=f"cannot write {path}: no such folder"):
        with atomic_path(path):
            pass
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("denied, reason", [("", "no permission"), ("a.json", "read-only")])
def test_what_may_not_be_written(tmp_path, monkeypatch, denied, reason):
    (tmp_path / "a.json").write_text("old")
    # chmod would not do: whoever runs as root may write anyway.
    monkeypatch.setattr(files.os, "access", lambda path, mode: Path(path) != tmp_path / denied)
    with pytest.raises(InputError, match=f"cannot write .*a.json: .*{reason}"):
        with atomic_path(tmp_path / "a.json"):
            pass
    assert (tmp_path / "a.json").read_text() == "old"


def test_what_is_marked_as_read_only_is_not_replaced_by_root_either(tmp_path):
    (tmp_path / "a.json").write_text("old")
    (tmp_path / "a.json").chmod(0o444)
    with pytest.raises(InputError, match="a.json: it is read-only; give another name"):
        with atomic_path(tmp_path / "a.json"):
            pass
    assert (tmp_path / "a.json").read_text() == "old"


def test_what_is_replaced_keeps_its_permissions(tmp_path):
    (tmp_path / "a.json").touch()
    (tmp_path / "a.json").chmod(0o600)
    with atomic_path(tmp_path / "a.json"):
        pass
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o600


def test_a_name_that_is_too_long(tmp_path):
    with pytest.raises(InputError, match="cannot write .*: File name too long"):
        with atomic_path(tmp_path / ("a" * 300)):
            pass


def test_no_device_is_replaced():
    with pytest.raises(InputError, match="is a device or pipe"), atomic_path(os.devnull):
        pass


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_one(tmp_path, there):
    (tmp_path / "real").mkdir()
    if there:
        (tmp_path / "real" / "a.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real/a.json")
    with atomic_path(tmp_path / "link.json") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real" / "a.json").read_text() == "new"


@pytest.fixture
def disk(monkeypatch):
    """What comes to the disk and what gets a name, in this order."""
    events = []
    fsync, replace = os.fsync, os.replace

    def synced(handle):
        events.append(os.fstat(handle).st_ino)
        fsync(handle)

    def replaced(old, new):
        events.append(Path(new).name)
        replace(old, new)

    monkeypatch.setattr(files.os, "fsync", synced)
    monkeypatch.setattr(files.os, "replace", replaced)
    return events


def test_a_file_is_on_the_disk_before_its_name_is(tmp_path, disk):
    with atomic_path(tmp_path / "a.json") as temporary:
        temporary.write_text("whole")
        assert not disk
    inode = (tmp_path / "a.json").stat().st_ino
    assert disk == [inode, "a.json", tmp_path.stat().st_ino]


def test_file_systems_without_syncing_folders(tmp_path, monkeypatch):
    fsync = os.fsync

    def refuse(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(files.os, "fsync", refuse)
    with atomic_path(tmp_path / "a.json") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "a.json").read_text() == "whole"


# --- folders --------------------------------------------------------------------------------------


def is_json(path):
    return path.suffix == ".json"


def fill(path, **texts):
    with atomic_folder(path, is_json) as folder:
        for name, text in texts.items():
            (folder / f"{name}.json").write_text(text)


def test_a_folder_appears_when_it_is_whole(tmp_path):
    with atomic_folder(tmp_path / "out", is_json) as folder:
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
    with pytest.raises(KeyError), atomic_folder(tmp_path / "out", is_json) as folder:
        (folder / "a.json").write_text("new")
        raise KeyError
    assert (tmp_path / "out" / "a.json").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_folder_with_other_things_is_not_replaced(tmp_path):
    for thing in ("notes.txt", "inner.json/a.json"):
        path = tmp_path / "out" / thing
        path.parent.mkdir(parents=True)
        path.write_text("mine")
        with pytest.raises(InputError, match="out holds files that are no frames"):
            fill(tmp_path / "out", a="new")
        assert path.read_text() == "mine"
        shutil.rmtree(tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file is a file; give a folder"):
        fill(tmp_path / "file", a="new")
    with pytest.raises(InputError, match="cannot write .*no such folder"):
        fill(tmp_path / "nowhere" / "out", a="new")


def test_a_folder_is_named_after_the_first_things_in_its_way(tmp_path):
    for name in "abcd":
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"no frames \(a, b, c, \.\.\.\); give a new folder"):
        fill(tmp_path)


def test_an_interrupt_between_two_names_brings_the_old_folder_back(tmp_path, monkeypatch):
    fill(tmp_path / "out", a="old")
    replace = os.replace

    def interrupted(old, new):
        replace(old, new)
        if Path(old) == tmp_path / "out":
            raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "out", a="new")
    assert (tmp_path / "out" / "a.json").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_folder_is_on_the_disk_before_its_name_is(tmp_path, disk):
    fill(tmp_path / "out", a="whole", b="whole")
    inside = {(tmp_path / "out" / name).stat().st_ino for name in ("a.json", "b.json")}
    assert set(disk[:2]) == inside
    assert disk[2:] == [(tmp_path / "out").stat().st_ino, "out", tmp_path.stat().st_ino]


def test_a_link_to_a_folder_stays_one(tmp_path):
    fill(tmp_path / "real", a="old")
    (tmp_path / "link").symlink_to("real")
    fill(tmp_path / "link", a="new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a.json").read_text() == "new"


def test_folders_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    check_makeable(tmp_path)
    check_makeable(tmp_path / "new" / "inner")
    for path in (tmp_path / "file", tmp_path / "file" / "inner" / "most"):
        with pytest.raises(InputError, match=f"cannot write to {path}: {tmp_path}/file is a file"):
            check_makeable(path)
    monkeypatch.setattr(files.os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(InputError, match=f"no permission in {tmp_path}$"):
        check_makeable(tmp_path / "new" / "inner")
    assert os.listdir(tmp_path) == ["file"]
