"""Writing files whole or not at all."""

import os
import stat

import pytest

from posegan_jax.errors import InputError
from posegan_jax.pose import files
from posegan_jax.pose.files import atomic_path


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
