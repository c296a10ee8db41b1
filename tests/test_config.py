"""Configuration files: what is wrong with one is told in one line."""

from pathlib import Path

import pytest

from posegan_jax.config import default_config, load
from posegan_jax.errors import InputError

CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda path: path.stem)
def test_ours_load(path):
    assert load(str(path)).keys() == default_config().keys()


def test_what_follows_the_file_s_name_is_passed_on(tmp_path):
    path = tmp_path / "named.py"
    path.write_text(
        "from posegan_jax.config import default_config\n"
        "def get_config(name):\n"
        "    config = default_config()\n"
        "    config.name = name\n"
        "    return config\n"
    )
    assert load(f"{path}:a:b").name == "a:b"
    with pytest.raises(InputError, match="^TypeError: get_config.. missing 1 required"):
        load(str(path))


@pytest.mark.parametrize(
    "text, message",
    [
        ("def get_config():\n    return 3", "must return a ConfigDict, not 3"),
        ("def get_config():\n    pass", "must return a ConfigDict, not None"),
        ("x = 1", "has no get_config()"),
        ("def get_config()\n    return 3", "SyntaxError: .*config.py, line 1"),
        ("import nothing_there", "ModuleNotFoundError: No module named 'nothing_there'"),
        ("def get_config():\n    raise ValueError('no luck')", "ValueError: no luck"),
        ("def get_config():\n    open('nothing_there')", "FileNotFoundError: .*'nothing_there'"),
        (
            "from ml_collections import ConfigDict\n"
            "def get_config():\n    return ConfigDict({'name': 'x', 'train': 3})",
            r"lacks mode, seed, workdir, \.\.\.; begin with posegan_jax.config.default_config\(\)",
        ),
        (
            "from posegan_jax.config import default_config\n"
            "def get_config():\n"
            "    config = default_config()\n    del config.train.steps\n    return config",
            "lacks train.steps; begin with",
        ),
    ],
)
def test_files_gone_wrong(tmp_path, text, message):
    path = tmp_path / "config.py"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load(str(path))


def test_no_such_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load(str(tmp_path / "config.py"))
