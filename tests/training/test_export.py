"""Models taken out of a run."""

import jax
import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.geometry.moments import ResidualMoments
from posegan_jax.model.constants import Constants
from posegan_jax.model.model import Model
from posegan_jax.model.options import CORRECTOR, CorrectorOptions, NetworkOptions
from posegan_jax.model.store import about, load_model, load_params, save_params
from posegan_jax.training.checkpoints import Checkpoints
from posegan_jax.training.export import export, main


def networks(model, value):
    """Variables of every network, filled with one number."""
    shapes = jax.eval_shape(model.networks.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: np.full(leaf.shape, value, leaf.dtype), shapes)


@pytest.fixture(scope="module")
def model():
    """What the runs are of, without variables."""
    moments = ResidualMoments.default(12)
    moments = moments._replace(covariance=np.pi * np.asarray(moments.covariance))
    config = {
        "workdir": "/home/me/run", "data": {"path": "/home/me/a.npz,/home/me/b", "prepare": ""},
        "train": {"init_from": "/home/me/other"}, "correction": {"init_from": "/home/me/third/"},
    }
    return Model(
        NetworkOptions("alphapose12", frames=8, latent=4), {}, corrector=CorrectorOptions(8, 1),
        moments=jax.tree.map(np.asarray, moments), constants=Constants(correction=0.6),
        about={"metrics": {"mpjpe": 0.1}, "config": config},
    )


@pytest.fixture
def run(model, tmp_path):
    """A run's folder with steps 1 and 2."""
    with Checkpoints(tmp_path / "run" / "checkpoints") as checkpoints:
        for step in (1, 2):
            variables = networks(model, 1.1 * step)
            averages = networks(model, 11.1 * step)
            state = {
                "variables": variables,
                "averages": {name: averages[name] for name in ("generator", "encoder")},
                "optimizers": {"generator": {"mu": np.ones(5)}},
            }
            checkpoints.save(step, state, about(model), moments=model.moments)
    return tmp_path / "run"


def weight(folder, name="generator"):
    """The number that a network is filled with."""
    (value,) = {v for a in jax.tree.leaves(load_params(folder)[0][name]) for v in np.ravel(a)}
    return value


def test_the_averages_of_the_newest_step_and_nothing_of_the_machine(run, model, tmp_path):
    assert main([str(run), str(tmp_path / "out"), "--trained-on", "a set, free"]) == 0
    out = load_model(tmp_path / "out")
    assert list(out.variables) == ["corrector", "discriminator", "encoder", "generator"]
    for name, value in (("generator", 22.2), ("encoder", 22.2), ("discriminator", 2.2)):
        assert weight(tmp_path / "out", name) == np.float32(value)
    assert out.options == model.options and out.constants == model.constants
    jax.tree.map(np.testing.assert_array_equal, out.moments, model.moments)
    assert out.about == {
        "metrics": {"mpjpe": 0.1}, "trained_on": "a set, free",
        "config": {
            "data": {"path": "a.npz,b", "prepare": ""}, "train": {"init_from": "other"},
            "correction": {"init_from": "third"},
        },
    }
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [path for path in files if b"/home/me" in path.read_bytes()]


def test_the_corrector_comes_along_in_half_precision(run, model, tmp_path):
    export(run, tmp_path / "out")
    out = load_model(tmp_path / "out")
    assert out.corrector == model.corrector
    assert weight(tmp_path / "out", CORRECTOR) == np.float32(np.float16(2.2))
    export(tmp_path / "out", tmp_path / "again")
    assert weight(tmp_path / "again", CORRECTOR) == weight(tmp_path / "out", CORRECTOR)


def test_what_a_run_goes_on_from_is_half_as_large(run, model, tmp_path):
    out = tmp_path / "out"
    assert main([str(run), str(out), "--half", "--without", "discriminator"]) == 0
    for name, value in (("generator", 22.2), ("encoder", 22.2), (CORRECTOR, 2.2)):
        assert weight(out, name) == np.float32(np.float16(value))
    assert "discriminator" not in load_model(out, partial=True).variables
    with pytest.raises(InputError, match="discriminator"):
        load_model(out)


def test_a_run_without_a_corrector_is_exported_without(model, tmp_path):
    plain = model.replace(corrector=None, moments=None, about={})
    save_params(tmp_path / "run", networks(plain, 3.0), about(plain))
    export(tmp_path / "run", tmp_path / "out")
    out = load_model(tmp_path / "out")
    assert out.corrector is None and out.moments is None
    assert list(out.variables) == ["discriminator", "encoder", "generator"]


@pytest.mark.parametrize("kind", ["half", "nan", "skeleton", "foreign"])
def test_what_is_no_model_is_refused(run, model, tmp_path, kind):
    variables, told = networks(model, 1.0), about(model)
    if kind == "half":
        del variables[CORRECTOR]["params"]["embed"]
    if kind == "nan":
        variables[CORRECTOR]["params"]["out"]["bias"][3] = np.nan
    if kind == "skeleton":
        told["networks"] = told["networks"] | {"skeleton": "coco17"}
    save_params(tmp_path / "other", variables, {} if kind == "foreign" else told)
    with pytest.raises(InputError, match=r"other: "):
        export(tmp_path / "other", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_step_that_is_asked_for(run, tmp_path):
    export(run, tmp_path / "out", step=1)
    assert weight(tmp_path / "out") == np.float32(11.1)


def test_a_folder_is_only_replaced_on_request(run, tmp_path, capsys):
    arguments = [str(run), str(tmp_path / "out")]
    assert main([*arguments, "--step", "1"]) == 0
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "already exists" in error and error.count("\n") == 1
    assert weight(tmp_path / "out") == np.float32(11.1)
    assert main([*arguments, "--overwrite"]) == 0
    assert weight(tmp_path / "out") == np.float32(22.2)


def test_what_is_no_run_ends_in_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere"), str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "out").exists()
