"""Evaluation as a command: from a configuration to files."""

import json

import pytest

from posegan_jax.config import default_config
from posegan_jax.errors import InputError
from posegan_jax.evaluation import benchmark, evaluate
from posegan_jax.evaluation.memory import PARTS
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.model.folder import packaged


def configuration(workdir, **changes):
    config = default_config()
    config.mode, config.workdir = "evaluate", str(workdir)
    config.evaluate.update(
        {"checkpoint": str(packaged()), "protocols": "legs,noise", "methods": "input,fast",
         "count": 1, "longest": 48, **changes}
    )
    return config


def test_a_configuration_is_evaluated_into_the_runs_folder(tmp_path, capsys):
    result = evaluate.evaluate(configuration(tmp_path, seed=4))
    said = capsys.readouterr().out
    folder = tmp_path / "evaluation"
    assert "## legs" in said and "Table 3 (d)" in said and str(folder) in said
    assert (folder / "tables.md").read_text() in said
    content = json.loads((folder / "evaluation.json").read_text())
    assert content["setup"] == result.setup and content["setup"]["seed"] == 4
    assert not (folder / PARTS).exists()


def test_a_run_is_evaluated_on_its_own_motion_or_another_one(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(evaluate, "report", lambda *arguments: asked.append(arguments[1]))
    config = configuration(tmp_path)
    config.data.path = "own.npz"
    evaluate.evaluate(config)
    config.evaluate.motion = "other.npz"
    evaluate.evaluate(config)
    assert [options.motion for options in asked] == ["own.npz", "other.npz"]
    assert asked[0].protocols == ("legs", "noise") and asked[0].methods == ("input", "fast")


def test_an_interrupted_evaluation_leaves_whole_files(tmp_path, inpainter, monkeypatch):
    def stop(cases, *rest):
        raise KeyboardInterrupt

    options = EvaluateOptions(protocols=("legs",), methods=("input",), count=1, longest=48)
    monkeypatch.setattr(benchmark, "score", stop)
    with pytest.raises(KeyboardInterrupt):
        evaluate.report(inpainter, options, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").rglob("*") if p.is_file()] == ["truth.npz"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"protocols": "arms"}, "arms"), ({"unit": "years"}, "evaluate.unit"),
     ({"count": -1}, "evaluate.count"), ({"checkpoint": "nowhere"}, "nowhere")],
)
def test_mistakes_in_a_configuration(tmp_path, changes, named):
    with pytest.raises(InputError, match=named):
        evaluate.evaluate(configuration(tmp_path, **changes))
