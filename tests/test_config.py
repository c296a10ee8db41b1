"""Configuration files: what is wrong with one is told in one line."""

from pathlib import Path

import pytest
from ml_collections import ConfigDict

from posegan_jax.config import Config, check, default_config, load, typed
from posegan_jax.errors import InputError
from posegan_jax.pose.skeleton import SKELETONS
from posegan_jax.training.options import StepOptions

CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.py")), ids=lambda path: path.stem)
def test_ours_load(path):
    assert load(str(path)).keys() == default_config().keys()


def test_the_recipe_of_the_packaged_weights_goes_on_from_run_to_run():
    """Each begins with what another one leaves in its folder."""
    made = [typed(load(str(path))) for path in (CONFIGS / "packaged").glob("*.py")]
    folders = {f"runs/{config.name}" for config in made}
    begun = [path for c in made for path in (c.train.init_from, c.correction.init_from) if path]
    assert len(folders) == len(made) == 9 and len(begun) == 8
    assert set(begun) < folders
    corrected = next(config for config in made if config.name == "corrector-3")
    assert corrected.networks().corrector.options.corrects
    assert typed(load(str(CONFIGS / "packaged" / "regressor_2.py"))).networks().names == (
        "corrector",
    )


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


# --- typed options --------------------------------------------------------------------------------


def test_the_defaults_are_those_of_the_typed_options():
    assert typed(default_config()) == Config()
    assert typed(default_config()).step == StepOptions()


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.py")), ids=lambda path: path.stem)
def test_ours_are_good(path):
    config = load(str(path))
    made = typed(config)
    assert (made.name, made.train.steps) == (config.name, config.train.steps)


def test_names_with_commas_are_several_and_lists_are_tuples():
    config = default_config()
    config.evaluate.methods = "input,fast"
    config.corruption.never_observed = ("left_knee",)
    made = typed(ConfigDict({**config.to_dict(), "views": {**config.views, "speed": [1.0, 1.0]}}))
    assert made.evaluate.methods == ("input", "fast") and made.evaluate.protocols == ()
    assert made.corruption.never_observed == ("left_knee",) and made.views.speed == (1.0, 1.0)


@pytest.mark.parametrize(
    "name, value, rule",
    [
        ("mode", "dance", "'train' or 'evaluate'"),
        ("seed", -1, "0 or more"),
        ("data.window_stride", 0, "1 or more"),
        ("model.frames", 20, "a positive multiple of 8"),
        ("model.frames", 0, "a positive multiple of 8"),
        ("model.latent", 0, "1 or more"),
        ("model.coordinates", 4, "2, as cameras see motion, or 3, with the depth"),
        ("bodies.arms", -1.0, "0 or more"),
        ("views.any_roll", 2.0, "from 0 to 1"),
        ("corruption.few", -1.0, "from 0 to 1"),
        ("corruption.fewest", 1, "2 or more"),
        ("model.skeleton", "octopus", f"one of {', '.join(SKELETONS)}"),
        ("model.final_activation", "tanh", "'linear' or 'sigmoid'"),
        ("model.critic_normalization", "group", "'batch', 'layer' or 'none'"),
        ("model.last_speed", "mean", "'repeat' or 'zero'"),
        ("views.pitch", (3.0, 1.0), "two numbers, the lower one first"),
        ("views.distance", (1.0, 2.0, 3.0), "two numbers, the lower one first"),
        ("views.speed", (0.0, 1.0), "positive"),
        ("corruption.clean", -0.1, "from 0 to 1"),
        ("corruption.miss_rate", 2.0, "from 0 to 1"),
        ("optimizer.learning_rate", -1.0, "0 or more"),
        ("optimizer.warmup_steps", -1, "0 or more"),
        ("optimizer.reconstruction_steps", 3, "a multiple of train.steps_per_dispatch=50"),
        ("correction.steps", 3, "a multiple of train.steps_per_dispatch=50"),
        ("correction.steps", 100_000_000, "50000000 at most, what is left"),
        ("correction.exact", 1.5, "from 0 to 1"),
        ("correction.error", (0.0, 1.0), "positive"),
        ("corrector.width", 0, "1 or more"),
        ("train.steps", 0, "1 or more"),
        ("train.steps", 3, "a multiple of train.steps_per_dispatch=50"),
        ("train.batch_size", 0, "1 or more"),
        ("train.normalize_by", "all", "'observed' or 'full'"),
        ("train.dtype", "float16", "'float32' or 'bfloat16'"),
        ("train.samples_every", 3, "a multiple of train.steps_per_dispatch=50"),
        ("train.steps_per_dispatch", 0, "1 or more"),
        ("evaluate.windows", 0, "1 or more"),
        ("evaluate.longest", -1, "0 or more"),
        ("evaluate.head", "hat", "'neck' or 'head'"),
    ],
)
def test_values_that_would_fail_later_are_named_as_they_were_typed(name, value, rule):
    config = default_config()
    config.update_from_flattened_dict({name: value})
    with pytest.raises(InputError) as caught:
        check(config)
    assert str(caught.value) == f"config.{name} must be {rule}, not {value!r}"


def test_a_field_that_there_is_not():
    config = default_config()
    config.train.stepz = 3
    with pytest.raises(InputError, match="^config.train: .* unexpected keyword argument 'stepz'$"):
        check(config)


def test_phases_follow_one_another():
    config = default_config()
    config.optimizer.reconstruction_steps, config.correction.steps = 100, 50
    config.train.steps = 300
    made = typed(config)
    assert [made.phase(step) for step in (0, 99, 100, 249, 250, 299)] == [
        "reconstruction", "reconstruction", "full", "full", "correction", "correction",
    ]
    assert made.networks().names[-1] == "corrector"
    config.corrector.corrects = False  # alone it has no networks to wait for
    with pytest.raises(InputError, match="config.correction.steps must be train.steps, not 50"):
        check(config)
