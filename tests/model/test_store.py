"""Models and parameters: what is written comes back, of earlier versions too, and nothing else."""

import dataclasses
import json
import logging
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.geometry.moments import ResidualMoments, poses_of
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.model import arrays, store
from posegan_jax.model.certainty import shapes
from posegan_jax.model.constants import Constants
from posegan_jax.model.folder import find_checkpoint
from posegan_jax.model.model import Model
from posegan_jax.model.options import CORRECTOR, CorrectorOptions, NetworkOptions
from posegan_jax.model.store import (
    load_model,
    load_packaged,
    load_params,
    read_about,
    read_outline,
    save_model,
    save_params,
)
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

SMALL = NetworkOptions(skeleton="alphapose12", frames=8, latent=8)


def draw(networks, seed=0):
    """Variables in numpy, without the compile time of an initialisation."""
    rng = np.random.default_rng(seed)

    def leaf(path, shape):
        name = path[-1].key
        drawn = rng.normal(0.0, 0.1, shape.shape) + (name in ("scale", "var"))
        return np.abs(drawn).astype("f4") if name == "var" else drawn.astype("f4")

    shapes = jax.eval_shape(networks.init, jax.random.key(0))
    return jax.tree_util.tree_map_with_path(leaf, shapes)


def same(a, b):
    """Trees of the same arrays of the same types."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def same_model(a, b):
    """Models that nothing tells apart."""
    for field in dataclasses.fields(Model):
        one, other = getattr(a, field.name), getattr(b, field.name)
        if field.name in ("variables", "moments", "certainty"):
            same(one, other)
        else:
            assert one == other, field.name


@pytest.fixture(scope="module")
def model():
    """One of which nothing is as it is by default, of small networks that nobody trained."""
    rng = np.random.default_rng(5)
    d = 2 * len(DETECTED_12)
    spread = rng.normal(size=(d, d))
    moments = ResidualMoments(
        *(0.1 * rng.normal(size=shape).astype("f4")
          for shape in ((d + 1, d), (d, d), (d + 1, d + 1)))
    )._replace(covariance=(0.01 * spread @ spread.T).astype("f4"))
    made = Model(
        SMALL, {}, DETECTED_12[:-1], DETECTED_12[2:4], moments, CorrectorOptions(8, 1),
        Constants(correction=0.5, confidence=(-3.5, -2.0)),
        {name: rng.normal(size=array.shape).astype("f4")
         for name, array in shapes(get_skeleton(SMALL.skeleton), DETECTED_12[:-1]).items()},
        {"config": {"seed": 3}, "metrics": {"mpjpe": 0.1}, "trained_on": "a set, free"},
    )
    return made.replace(variables=draw(made.networks))


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "weights"
    save_model(path, model)
    return path


@pytest.fixture(scope="module")
def track():
    """People with holes."""
    rng = np.random.default_rng(1)
    keypoints = rng.normal(300, 50, (1, 12, 2)) + rng.normal(0, 5, (20, 12, 2))
    keypoints[rng.random((20, 12)) < 0.3] = np.nan
    return PoseSequence(keypoints, skeleton="alphapose12", fps=25.0)


# --- models ---------------------------------------------------------------------------------------


def test_a_model_comes_back_to_the_bit(model, saved):
    read = load_model(saved)
    same_model(read, model)
    assert all(type(leaf) is np.ndarray for leaf in jax.tree.leaves((read.variables, read.moments)))
    same_model(load_model(str(saved)), model)
    moments, constants, corrected = read_about(saved)
    same(moments, model.moments)
    assert constants == model.constants and corrected


def test_what_is_written_in_another_way_is_read_by_orbax(model, saved, tmp_path):
    shutil.copytree(saved, tmp_path / "other")
    for item in ("params", "residual"):
        contents = tmp_path / "other" / item / "_METADATA"
        told = json.loads(contents.read_text())
        assert arrays._keys(contents.parent)
        for change in ({"use_ocdbt": False}, {"tree_metadata": {"x": "of a later version"}}):
            contents.write_text(json.dumps(told | change))
            assert arrays._keys(contents.parent) is None
        contents.write_text(json.dumps(told))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "_keys", lambda item: None)
        same_model(load_model(tmp_path / "other"), model)
        outline = read_outline(tmp_path / "other")
    for found in (outline, read_outline(saved)):
        assert store.about(found) == store.about(model) and found.moments is None
        wanted = {k: (a.shape, a.dtype, a.size) for k, a in arrays.flat(model.variables).items()}
        shapes = arrays.flat(found.variables).items()
        assert {k: (a.shape, a.dtype, a.size) for k, a in shapes} == wanted


def test_a_model_may_be_without_moments_and_corrector(model, tmp_path):
    networks = {n: v for n, v in model.variables.items() if n != CORRECTOR}
    plain = model.replace(variables=networks, corrector=None, moments=None, certainty=None)
    save_model(tmp_path / "plain", plain)
    same_model(load_model(tmp_path / "plain"), plain)
    assert read_about(tmp_path / "plain") == (None, model.constants, False)


def test_a_corrector_alone_is_a_model(model, tmp_path):
    alone = model.replace(corrector=CorrectorOptions(8, 1, corrects=False), moments=None)
    alone = alone.replace(variables=draw(alone.networks))
    assert list(alone.variables) == [CORRECTOR]
    save_model(tmp_path / "alone", alone)
    same_model(load_model(tmp_path / "alone"), alone)
    with pytest.raises(InputError, match="no generator"):
        Inpainter(alone)


def test_arrays_of_devices_are_saved(model, saved, tmp_path):
    save_model(tmp_path / "weights", model.replace(
        variables=jax.device_put(model.variables), moments=jax.device_put(model.moments)
    ))
    same_model(load_model(tmp_path / "weights"), model)


def test_a_model_is_only_replaced_on_request(model, tmp_path):
    path = tmp_path / "weights"
    save_model(path, model)
    other = model.replace(hidden=(), about={}, moments=None)
    with pytest.raises(InputError, match="already exists"):
        save_model(path, other)
    save_model(path, other, overwrite=True)
    same_model(load_model(path), other)


@pytest.mark.parametrize("name", ["pretrained", "regressor"])
def test_what_is_packaged_is_a_model(name):
    packaged = load_packaged(name)
    assert packaged.options == NetworkOptions() and packaged.constants == Constants()
    assert packaged.detected == packaged.inputs == DETECTED_12
    assert packaged.corrector == CorrectorOptions(192, 4, corrects=name == "pretrained")
    assert (packaged.moments is not None) == (name == "pretrained")
    assert "CMU" in packaged.about["trained_on"]
    assert all(a.dtype == np.float32 for a in jax.tree.leaves(packaged.variables))


def test_half_precision_comes_back_single(model, saved, tmp_path):
    half = jax.tree.map(np.float16, model.variables)
    save_model(tmp_path / "half", model.replace(variables=half))
    read = load_model(tmp_path / "half")
    same(read.variables, jax.tree.map(np.float32, half))
    files = [sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
             for path in (tmp_path / "half", saved)]
    assert files[0] < 0.7 * files[1]


# --- earlier versions -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def early(model):
    """One as there were: correctors saw all of the twelve."""
    bare = model.replace(detected=DETECTED_12, variables={})
    return bare.replace(variables=draw(bare.networks))


def rounded(values):
    """To the digits that versions before ``Model`` wrote."""
    return np.array([[float(f"{value:.6g}") for value in row] for row in values.tolist()])


REGRESSION = np.random.default_rng(4).normal(size=(25, 24)) * (np.arange(25) % 5 > 1)[:, None]
"""Of a pose on some of its joints, which those had in place of the moments of poses."""


def as_before(model):
    """Parameters and metadata of a model as versions before ``Model`` wrote them."""
    params = model.variables | {CORRECTOR: model.variables[CORRECTOR]["params"]}
    residual = {
        name: rounded(values).tolist() for name, values in model.moments._asdict().items()
        if name != "poses"
    } | {"regression": rounded(REGRESSION).tolist()}
    corruption = {"detected": list(model.detected), "never_observed": list(model.hidden)}
    return params, {
        "networks": model.options.to_dict(), "normalize_by": "observed", "residual": residual,
        "config": {"seed": 3, "corruption": corruption}, CORRECTOR: "the same set",
    }


@pytest.fixture(scope="module")
def old(early, tmp_path_factory):
    """A folder of weights of such a version."""
    path = tmp_path_factory.mktemp("old") / "weights"
    save_params(path, *as_before(early))
    return path


def test_a_model_of_an_earlier_version_is_the_same_model(early, old, tmp_path):
    read = load_model(old)
    assert read.about == {
        "normalize_by": "observed",
        "config": {"seed": 3, "corruption": {"detected": list(early.detected),
                                             "never_observed": list(early.hidden)}},
    }
    moments = ResidualMoments(*map(
        np.float32, (*map(rounded, early.moments[:2]), poses_of(rounded(REGRESSION)))))
    for exact, near in zip(early.moments[:2], moments, strict=False):
        np.testing.assert_allclose(near, exact, rtol=1e-5)
    wanted = early.replace(
        moments=moments, about=read.about, constants=Constants(), certainty=None
    )
    same_model(read, wanted)
    save_model(tmp_path / "new", read)  # and is saved as ours are
    same_model(load_model(tmp_path / "new"), wanted)
    assert load_params(tmp_path / "new")[1]["corrector"] == early.corrector.to_dict()


def test_joints_that_an_earlier_version_was_not_shown_are_hidden(early, old, tmp_path):
    """Whatever the configuration said, its corrector had places for all of the twelve."""
    params, metadata = as_before(early)
    metadata["config"]["corruption"]["detected"] = list(DETECTED_12[:1:-1])
    save_params(tmp_path / "fewer", params, metadata)
    read = load_model(tmp_path / "fewer")
    assert read.detected == DETECTED_12 and set(read.hidden) == {*DETECTED_12[:2], *early.hidden}
    same(read.variables, load_model(old).variables)


def test_a_model_of_an_earlier_version_fills_the_same(old, track, tmp_path):
    read = load_model(old)
    save_model(tmp_path / "new", read)
    one, other = (
        Inpainter.from_checkpoint(path, batch=2)(track, quality="fast")
        for path in (old, tmp_path / "new")
    )
    np.testing.assert_array_equal(one.keypoints, other.keypoints)
    np.testing.assert_array_equal(one.scores, other.scores)
    assert np.isfinite(one.keypoints).all()
    without = Inpainter(read.replace(corrector=None), batch=2)(track, quality="fast")
    assert np.abs(without.keypoints - one.keypoints).max() > 0.01  # the corrector is asked


def test_weights_without_residual_or_configuration_have_the_default_ones(model, tmp_path):
    params = {n: v for n, v in model.variables.items() if n != CORRECTOR}
    save_params(tmp_path / "bare", params, {"networks": SMALL.to_dict(), "residual": None})
    read = load_model(tmp_path / "bare")
    assert read.moments is None and read.about == {} and read.constants == Constants()
    assert read.detected == read.inputs == DETECTED_12


# --- what is no model -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, told",
    [
        (3, "no network options"),
        ({"frames": 31}, "make no networks .frames must be .* not 31"),
        ({"frames": "8"}, "make no networks"),
        ({"colour": "red"}, "make no networks .*colour"),
        ({"latent": 16}, r"want encoder/params/\S+ as \[16\], there is \[8\]$"),
        ({"skeleton": "mpi_inf_3dhp"}, "want .* there is"),
        ({"skeleton": "centaur"}, "make no networks .skeleton must be one of .*, not 'centaur'"),
    ],
)
def test_arrays_that_are_not_those_of_the_metadata(model, tmp_path, options, told):
    if isinstance(options, dict):
        options = SMALL.to_dict() | options
    networks = {n: v for n, v in model.variables.items() if n != CORRECTOR}
    check_refused(tmp_path, networks, {"networks": options}, told)


@pytest.mark.parametrize(
    "change, told",
    [
        ({"detected": ["tail"]}, "tail"), ({"hidden": ["tail"]}, "deliver tail, a joint that"),
        ({"detected": 3}, "make no networks"), ({"config": 3}, "make no networks"),
        ({"constants": {"magic": 1.0}}, "make no networks .*magic"),
        ({"constants": 3}, "make no networks"),
        ({"residual": {"calibration": [[1], [1, 2]], "covariance": 1, "regression": 1}},
         "make no networks"),
        ({"corrector": {"width": 0}}, "make no networks .width must be 1 or more"),
        ({"corrector": {"depth": 2}}, "make no networks .*depth"),
        ({"corrector": {"width": 16, "blocks": 1}}, r"want corrector/params/\S+ as .*16"),
    ],
)
def test_metadata_of_any_other_kind(model, tmp_path, change, told):
    metadata = {n: v for n, v in store.about(model).items() if n not in change} | change
    check_refused(tmp_path, model.variables, metadata, told)


@pytest.mark.parametrize(
    "kind, told",
    [
        ("longer", r"want corrector/params/blocks/0/time/down/bias as \[8\], there is \[16\]"),
        ("half", "want corrector/params/out/bias as .24., there is none"),
        ("norm", "want corrector/params/norm/.* there is none|width must be 1 or more, not 0"),
        ("nan", "corrector/params/gate/bias is not finite"),
        ("array", "want corrector/.* there is none|make no networks"),
    ],
)
@pytest.mark.parametrize("before", [False, True], ids=["now", "before"])
def test_a_corrector_of_no_use(model, early, tmp_path, kind, told, before):
    model = early if before else model
    params, metadata = as_before(model) if before else (model.variables, store.about(model))
    corrector = jax.tree.map(np.copy, model.variables[CORRECTOR]["params"])
    if kind == "longer":
        other = model.replace(options=dataclasses.replace(SMALL, frames=16))
        corrector = draw(other.networks)[CORRECTOR]["params"]
    elif kind in ("half", "norm"):
        corrector.pop({"half": "out", "norm": "norm"}[kind])
    elif kind == "nan":
        corrector["gate"]["bias"][3] = np.nan
    elif kind == "array":
        corrector = np.zeros(3, "f4")
    params = params | {CORRECTOR: corrector if before else {"params": corrector}}
    check_refused(tmp_path, params, metadata, told)


def test_a_corrector_that_is_promised_must_be_there(model, tmp_path):
    params = {n: v for n, v in model.variables.items() if n != CORRECTOR}
    check_refused(tmp_path, params, store.about(model), "want corrector/.* there is none")


def test_parts_that_lack_or_do_not_fit(model, tmp_path):
    told = store.about(model)
    save_params(tmp_path / "moments", model.variables, told, moments=ResidualMoments.default(28))
    with pytest.raises(InputError, match=r"moments: .* residual/calibration as \[25, 24\]"):
        load_model(tmp_path / "moments")
    broken = model.moments._replace(covariance=np.full_like(model.moments.covariance, np.inf))
    save_params(tmp_path / "broken", model.variables, told, moments=broken)
    with pytest.raises(InputError, match=r"broken: its residual/covariance is not finite"):
        load_model(tmp_path / "broken")
    part = {"generator": model.variables["generator"]}
    save_params(tmp_path / "part", part, told)
    with pytest.raises(InputError, match="part: .* there is none"):
        load_model(tmp_path / "part")
    same(load_model(tmp_path / "part", partial=True).variables, part)
    part["generator"] = {"params": part["generator"]["params"]}
    save_params(tmp_path / "less", part, told)
    with pytest.raises(InputError, match="less: .* want generator/batch_stats/.* there is none"):
        load_model(tmp_path / "less", partial=True)


def test_what_is_no_checkpoint_is_refused_in_one_line(model, tmp_path):
    (tmp_path / "empty").mkdir()
    save_params(tmp_path / "other", model.variables, {"made by": "another program"})
    save_params(tmp_path / "list", model.variables, {})
    (tmp_path / "list" / "metadata" / "metadata").write_text("[3]")
    for name in ("nowhere", "empty", "other", "list"):
        with pytest.raises(InputError, match=name) as caught:
            load_model(tmp_path / name)
        assert "\n" not in str(caught.value)


def check_refused(tmp_path, params, metadata, told):
    save_params(tmp_path / "weights", params, metadata)
    with pytest.raises(InputError, match=f"weights: .*({told})") as caught:
        load_model(tmp_path / "weights")
    assert "\n" not in str(caught.value)


# --- parameters alone -----------------------------------------------------------------------------


def test_parameters_come_back_and_are_compact(tmp_path):
    rng = np.random.default_rng(0)
    # three networks of the size of the thesis's: 3.4 million numbers
    networks = {
        name: {f"conv_{i}": {"kernel": rng.normal(size=(4, 3, 95, 1000)).astype("f4")}}
        for i, name in enumerate(("generator", "encoder", "discriminator"))
    }
    networks["generator"]["bn_0"] = {"mean": jnp.arange(8.0)}
    metadata = {"frames": 24, "joints": ["pelvis"], "latent": 128}
    save_params(tmp_path / "weights", networks, metadata)
    params, back = load_params(tmp_path / "weights")
    same(params, jax.tree.map(np.asarray, networks))
    assert back == metadata

    files = [path for path in (tmp_path / "weights").rglob("*") if path.is_file()]
    assert len(files) <= 12
    assert sum(path.stat().st_size for path in files) < 15e6
    here = str(tmp_path).encode()
    assert not any(here in path.read_bytes() for path in files)
    shutil.copytree(tmp_path / "weights", tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "weights")
    same(load_params(tmp_path / "elsewhere")[0], params)


def test_parameters_are_only_replaced_on_request(tmp_path):
    def tree(value):
        return {"generator": {"w": np.full(3, value, "f4")}}

    save_params(tmp_path / "weights", tree(1), {})
    with pytest.raises(InputError, match="already exists"):
        save_params(tmp_path / "weights", tree(2), {})
    save_params(tmp_path / "weights", tree(3), {}, overwrite=True)
    same(load_params(tmp_path / "weights")[0], tree(3))
    (tmp_path / "photos").mkdir()
    with pytest.raises(InputError, match="already exists"):
        save_params(tmp_path / "photos", tree(2), {}, overwrite=True)
    with pytest.raises(TypeError):
        save_params(tmp_path / "more", tree(2), {"function": tree})
    assert not (tmp_path / "more").exists()


def test_what_holds_no_parameters_is_told_in_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    save_params(tmp_path / "bare", {"generator": {"w": np.ones(1)}}, {})
    shutil.rmtree(tmp_path / "bare" / "metadata")
    save_params(tmp_path / "broken", {"generator": {"w": np.ones(1)}}, {})
    (tmp_path / "broken" / "metadata" / "metadata").write_text('{"frames": 2')
    save_params(tmp_path / "whole", {"generator": {"w": np.ones(1)}}, {})
    for name, step, message in (
        ("absent", None, "no such folder"), ("file", None, "is a file; give a folder"),
        ("empty", None, "holds no checkpoint"), ("bare", None, "has no metadata"),
        ("broken", None, "cannot be read"), ("whole", 5, "is one checkpoint; leave the step"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            load_params(tmp_path / name, step)
        assert "\n" not in str(caught.value) and str(tmp_path / name) in str(caught.value)


def test_of_a_runs_folder_the_newest_complete_checkpoint_is_found(tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    for step in (3, 20):
        save_params(folder / str(step), {"generator": {"w": np.full(1, step, "f4")}}, {})
    shutil.copytree(folder / "20", folder / "100")
    (folder / "100" / "params" / "manifest.ocdbt").unlink()
    (folder / "notes").mkdir()
    for path in (tmp_path / "run", folder, folder / "20"):
        assert find_checkpoint(path) == folder / "20"
    assert find_checkpoint(folder, 3) == folder / "3"
    assert load_params(tmp_path / "run", 3)[0]["generator"]["w"] == 3
    with pytest.raises(InputError, match=r"no checkpoint of step 100; saved steps: \[3, 20\]"):
        find_checkpoint(folder, 100)


def test_metadata_are_plain_json(model, saved):
    told = json.loads((saved / "metadata" / "metadata").read_text())
    assert told == json.loads(json.dumps(store.about(model)))
    assert (saved / "residual").is_dir() and "residual" not in told


def test_orbax_reports_are_kept_out_of_the_log_and_its_errors_are_not():
    arrays.silence_orbax()
    arrays.silence_orbax()
    absl = logging.getLogger("absl")
    ours = [f for f in absl.filters if isinstance(f, arrays._OrbaxReports)]
    assert len(ours) == 1

    def record(level, path):
        return logging.LogRecord("absl", level, path, 1, "words", (), None)

    orbax, other = "/lib/orbax/checkpoint/manager.py", "/lib/elsewhere/manager.py"
    assert not ours[0].filter(record(logging.WARNING, orbax))
    assert ours[0].filter(record(logging.ERROR, orbax))
    assert ours[0].filter(record(logging.INFO, other))
