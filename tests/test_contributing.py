"""What the examples of CONTRIBUTING.md add is known everywhere, and works."""

import dataclasses
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax import cli, formats
from posegan_jax.arguments import make_parser
from posegan_jax.batch.run import run
from posegan_jax.evaluation import benchmark, contenders, material
from posegan_jax.evaluation.baselines import LEARNED
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.inpainting.settings import QUALITIES, FillOptions
from posegan_jax.model.networks import build_networks
from posegan_jax.model.options import NetworkOptions
from posegan_jax.pose.carry import on_skeleton
from posegan_jax.pose.sequence import Provenance
from posegan_jax.training import losses
from posegan_jax.training.batch import Batch
from posegan_jax.training.options import StepOptions
from posegan_jax.training.state import create_state
from posegan_jax.training.step import update

REPOSITORY = Path(__file__).parents[1]
PAGE = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
DEMO = REPOSITORY / "posegan_jax" / "assets" / "demo-alphapose-results.json"


@pytest.fixture
def page(registries):
    """The names that the page's examples define, once they have run."""
    names = {"__name__": "__main__"}
    for code in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(code, "CONTRIBUTING.md", "exec"), names)
    return names


@pytest.fixture
def track():
    """Some frames of the demonstration's person, with holes."""
    (person,) = formats.read(DEMO, fps=25.0)
    person = person.replace(**{
        part: getattr(person, part)[:30] for part in ("keypoints", "scores", "frames", "provenance")
    })
    keypoints = person.keypoints.copy()
    keypoints[10:14, :9] = np.nan
    return person.replace(keypoints=keypoints, scores=None, provenance=None)


@pytest.fixture(scope="module")
def inpainter():
    return Inpainter.from_pretrained(batch=2)


def parsed(command):
    return make_parser().parse_args(command.split())


def test_files_of_a_new_format_are_written_and_read(page, track, tmp_path):
    formats.write([track], tmp_path / "a.toy")
    file = formats.read(tmp_path / "a.toy")
    assert file.format == "toy" == parsed("convert a b --format toy").format
    np.testing.assert_array_equal(file[0].keypoints, track.keypoints)
    assert cli.main(["convert", str(tmp_path / "a.toy"), str(tmp_path / "b.npz")]) == 0
    (tmp_path / "a.toy").write_text("coco17 1 2 three")
    with pytest.raises(formats.InputError, match="a.toy: could not convert"):
        formats.read(tmp_path / "a.toy")


def test_a_new_skeleton_is_filled_in_a_new_quality(page, track, inpainter):
    own = on_skeleton(track, "toy11")
    whole = inpainter(own, quality="toy")
    filled = (whole.provenance == Provenance.FILLED).sum(axis=0)
    assert whole.skeleton == "toy11" and np.isfinite(whole.keypoints[:, 1:]).all()
    assert (filled[1:5] >= 4).all() and filled[0] == 0  # no network knows noses
    assert parsed("fill a -o b --quality toy").quality == "toy"
    assert parsed("convert a b --joints toy11").joints == "toy11"
    settings = FillOptions(quality="toy", steps=1).settings
    assert settings.shift == QUALITIES["toy"].shift == 12 and settings.descent.steps == 1


def test_a_training_step_takes_a_new_loss(page, unoptimized):
    networks = build_networks(NetworkOptions("alphapose12", frames=8, latent=16))
    rng = np.random.default_rng(0)
    x = jnp.asarray(0.3 * rng.normal(size=(4, 8, 12, 2)), jnp.float32)
    batch = Batch(x, x, jnp.ones(x.shape[:-1]))
    weights = page["MoreWeights"](acceleration=50.0)
    options = StepOptions(batch_size=4, weights=weights)
    state = create_state(networks, options, 0)
    step = jax.jit(
        lambda state: update(state, batch, jax.random.key(0), networks, options, "reconstruction")
    )
    after, metrics = step(state)
    assert int(after.step) == 1 and metrics["acceleration"] > 0
    expected = 200 * metrics["mpjpe"] + 100 * metrics["mpjse"] + 50 * metrics["acceleration"]
    np.testing.assert_allclose(metrics["autoencoder_loss"], expected, rtol=1e-5)

    outputs = losses.Outputs(x, batch.mask, None, 0.9 * x)
    assert "acceleration" in losses.objective(outputs, weights)[1]
    unweighted = dataclasses.replace(weights, acceleration=0.0)
    assert "acceleration" not in losses.objective(outputs, unweighted)[1]


class MeanWindow:
    """Completes windows by the mean of training windows, wherever the person is."""

    def __init__(self, training):
        self.frames, self.mean = training.windows.shape[1], training.windows.mean(axis=0)

    def complete_all(self, windows):
        return np.where(np.isfinite(windows), windows, self.mean)


def test_new_baselines_are_compared(page, inpainter, monkeypatch, capsys):
    LEARNED["mean-window"] = MeanWindow
    monkeypatch.setattr(contenders, "TRAIN_WINDOWS", 20)
    monkeypatch.setattr(material, "REAL_WINDOWS", 20)
    options = EvaluateOptions(
        protocols=("holes40",), methods=("moving-mean", "mean-window"), count=1, longest=48
    )
    result = benchmark.run_benchmark(inpainter, options)
    errors = {m: s.values["missing"]["error"] for m, s in result.of("holes40").items()}
    assert 0 < errors["moving-mean"] < errors["mean-window"]
    names = ("input", "moving-mean", "mean-window", "regressor", "toy", "toy-s3")
    assert benchmark.resolve(EvaluateOptions(methods=names))[1] == list(names)
    assert {"moving-mean", "mean-window"} < set(benchmark.resolve(EvaluateOptions())[1])


def test_a_batch_is_filled_by_a_new_engine(page, track, tmp_path, monkeypatch, inpainter):
    assert parsed("batch a -o b --engine serial").engine == "serial"
    monkeypatch.setitem(page, "load", lambda checkpoint: inpainter)
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    formats.write([track], folder / "a.toy")
    (folder / "b.toy").write_text("coco17 1")
    summary = run([folder], out, FillOptions(quality="toy"), engine="serial")
    assert summary.filled == 1 and list(summary.usage) == ["serial"]
    assert list(summary.failures) == [str(folder / "b.toy")]
    # Some may be filled with a score below the format's least.
    assert formats.read(out / "a.toy", min_score=0.0)[0].observed[:, 5:].all()
