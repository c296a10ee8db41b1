"""Parameters taken out of a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.model.corrector import Mixer, correcting, init_mixer
from posegan_jax.model.store import load_params, save_params
from posegan_jax.training.checkpoints import Checkpoints
from posegan_jax.training.export import export, main


@pytest.fixture
def run(tmp_path):
    """A run's folder with steps 1 and 2."""

    def networks(value):
        return {"generator": {"params": {"w": jnp.full((3, 4), value)}}}

    metadata = {
        "networks": {"frames": 24}, "metrics": {"mpjpe": 0.1},
        "config": {"workdir": "/home/me/run", "data": {"path": "/home/me/a.npz,/home/me/b"}},
    }
    with Checkpoints(tmp_path / "run" / "checkpoints") as checkpoints:
        for step in (1, 2):
            state = {
                "variables": networks(1.0 * step), "averages": networks(10.0 * step),
                "optimizers": {"generator": {"mu": jnp.ones(5)}},
            }
            checkpoints.save(step, jax.device_get(state), metadata)
    return tmp_path / "run"


def weight(folder):
    return load_params(folder)[0]["generator"]["params"]["w"]


def test_the_averages_of_the_newest_step_and_nothing_of_the_machine(run, tmp_path):
    assert main([str(run), str(tmp_path / "out"), "--trained-on", "a set, free"]) == 0
    params, metadata = load_params(tmp_path / "out")
    assert list(params) == ["generator"]
    np.testing.assert_array_equal(weight(tmp_path / "out"), np.full((3, 4), 20.0))
    assert metadata["networks"] == {"frames": 24} and metadata["metrics"] == {"mpjpe": 0.1}
    assert metadata["trained_on"] == "a set, free"
    assert metadata["config"] == {"data": {"path": "a.npz,b"}}
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [path for path in files if b"/home/me" in path.read_bytes()]


def test_what_corrects_the_networks_comes_along(run, tmp_path):
    plain = init_mixer(jax.random.key(0), 8, 1)
    path = tmp_path / "c.npz"
    Mixer(correcting(plain), "a set").save(path)
    assert main([str(run), str(tmp_path / "out"), "--corrector", str(path)]) == 0
    params, metadata = load_params(tmp_path / "out")
    assert metadata["corrector"] == "a set"
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-3),
        params.pop("corrector"), correcting(plain),
    )
    assert list(params) == ["generator"]
    export(tmp_path / "out", tmp_path / "again")
    assert "corrector" in load_params(tmp_path / "again")[0]


@pytest.mark.parametrize("kind", ["plain", "half", "skeleton", "foreign"])
def test_what_does_not_correct_the_networks_is_refused(run, tmp_path, kind):
    params = init_mixer(jax.random.key(0), 8, 1)
    path = tmp_path / "c.npz"
    Mixer(params if kind == "plain" else correcting(params)).save(path)
    if kind == "half":
        path.write_bytes(path.read_bytes()[:300])
    if kind in ("skeleton", "foreign"):
        other = {"networks": {"skeleton": "alphapose12"}} if kind == "skeleton" else {}
        save_params(tmp_path / "other", load_params(run)[0], other)
        run = tmp_path / "other"
    with pytest.raises(InputError, match=r"c\.npz"):
        export(run, tmp_path / "out", corrector=path)
    assert not (tmp_path / "out").exists()


def test_a_step_that_is_asked_for(run, tmp_path):
    export(run, tmp_path / "out", step=1)
    np.testing.assert_array_equal(weight(tmp_path / "out"), np.full((3, 4), 10.0))


def test_a_folder_is_only_replaced_on_request(run, tmp_path, capsys):
    arguments = [str(run), str(tmp_path / "out")]
    assert main([*arguments, "--step", "1"]) == 0
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "already exists" in error and error.count("\n") == 1
    assert weight(tmp_path / "out")[0, 0] == 10.0
    assert main([*arguments, "--overwrite"]) == 0
    assert weight(tmp_path / "out")[0, 0] == 20.0


def test_what_is_no_run_ends_in_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere"), str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "out").exists()
