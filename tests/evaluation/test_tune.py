"""The command that fits a model's constants, and the baselines' parameters."""

import dataclasses
import json
import shutil
from importlib import resources
from pathlib import Path

import jax
import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.evaluation import certainty, grids, shares, tune
from posegan_jax.evaluation.clips import view_clips, view_windows
from posegan_jax.evaluation.protocols import make_case
from posegan_jax.evaluation.replay import Replay, make_cases
from posegan_jax.evaluation.shares import ALWAYS, WITH_CORRECTOR, Missing, fit_shares
from posegan_jax.inpainting.settings import QUALITIES
from posegan_jax.model.constants import Constants
from posegan_jax.model.folder import packaged
from posegan_jax.model.model import Model, misfit
from posegan_jax.model.options import NetworkOptions
from posegan_jax.model.store import load_model, save_fitted
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton
from posegan_jax.training.checkpoints import Checkpoints

SKELETON = get_skeleton("mpi_inf_3dhp")
OTHER = Constants(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.08, (-1.0, -2.0))


@pytest.fixture
def cases():
    """Of a random motion, on which nothing else depends."""
    truth = 100 * np.random.default_rng(0).normal(size=(2, 30, 28, 2))
    return {
        name: [make_case(name, some, SKELETON, 1, i) for i, some in enumerate(truth)]
        for name in ("clean", "gap5", "legs")
    }


def planted(best, corrected=True):
    """Completes cases with an error that grows with the distance of shares from the best ones.

    Shares move different joints, but for ``beside``, which moves those of ``upsampling`` as well.
    """

    def complete(cases, constants, with_corrector):
        assert with_corrector == corrected
        done = []
        for case in cases:
            points = case.truth + [0.0, 5.0]
            off = {n: getattr(constants, n) - share for n, share in best.items()}
            for i, name in enumerate(best):
                points[:, i :: len(best), 0] += 30 * off[name]
            if {"beside", "upsampling"} <= set(best):
                points[..., 1] += 40 * off["beside"] * (constants.upsampling + 1)
            done.append(case.sequence.replace(keypoints=points, scores=None))
        return done

    return complete


def test_planted_shares_are_found(cases):
    best = {"correction": 0.31, "upsampling": 1.0, "beside": 0.0, "bridge": 0.77}
    found = fit_shares(planted(best), cases, OTHER, WITH_CORRECTOR + ALWAYS, True)
    assert found.constants == dataclasses.replace(OTHER, **best)
    assert found.after < 0.5 * found.before


def test_a_share_alone_takes_two_completions(cases):
    asked, complete = [], planted({"regression": 0.42}, corrected=False)

    def counted(cases, constants, corrected):
        asked.append(constants)
        return complete(cases, constants, corrected)

    found = fit_shares(counted, cases, OTHER, ("regression",), False)
    assert found.constants == dataclasses.replace(OTHER, regression=0.42) and len(asked) == 2


def test_shares_that_nothing_depends_on_stay(cases):
    found = fit_shares(planted({"correction": 0.5}), cases, OTHER, WITH_CORRECTOR, True)
    assert found.constants == dataclasses.replace(OTHER, correction=0.5)


def test_the_error_is_of_what_is_not_observed_and_protocols_count_alike(cases):
    missing = Missing(cases)
    off = {"clean": 1.0, "gap5": 2.0, "legs": 4.0}
    size = [shares.head_size(case.truth, SKELETON) for case in missing.cases]
    names = [name for name, some in cases.items() for _ in some]
    points = [case.truth + off[name] * head[:, None, None] * [1, 0]
              for case, name, head in zip(missing.cases, names, size, strict=True)]
    assert missing.error(missing.pick(points)) == pytest.approx(2.0)
    points = [np.where(case.observed[..., None], np.inf, p)
              for case, p in zip(missing.cases, points, strict=True)]
    points[0][3] = np.nan  # nothing is said of these
    assert missing.error(missing.pick(points)) == pytest.approx(2.0)


@pytest.mark.parametrize("corrected", [True, False])
def test_results_are_linear_in_every_share(inpainter, corrected):
    """What two completions tell, a third one holds to; and the search is not asked again."""
    views = view_clips("procedural", count=1, longest=48)
    cases = make_cases(inpainter.model, views, ("gap5", "arm"), 1)
    missing, replay = Missing(cases), Replay(inpainter, QUALITIES["fast"])

    def points(**changes):
        constants = dataclasses.replace(OTHER, **changes)
        done = replay(missing.cases, constants, corrected)
        return missing.pick([sequence.keypoints for sequence in done])

    points()
    replay._search = None
    names = WITH_CORRECTOR if corrected else shares.WITHOUT
    for name in names + ALWAYS:
        low, middle, high = (points(**{name: share}) for share in (0.0, 0.3, 1.0))
        np.testing.assert_allclose(middle, low + 0.3 * (high - low), atol=1e-6)
        assert np.abs(high - low).max() > 0.1


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def motion(tmp_path_factory, write_motion):
    path = tmp_path_factory.mktemp("motion") / "twelve.npz"
    return str(write_motion(path, SKELETON.joints, count=2))


@pytest.fixture
def folder(tmp_path):
    """Of the packaged model, with other constants."""
    with resources.as_file(packaged()) as path:
        shutil.copytree(path, tmp_path / "weights")
    save_fitted(tmp_path / "weights", OTHER, None)
    return tmp_path / "weights"


def bytes_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


def same_arrays(model, other):
    jax.tree.map(np.testing.assert_array_equal, model.variables, other.variables)
    return True


FEW = ("--clips", "1", "--frames", "48", "--quality", "fast")


FITTED = ("correction", "upsampling", "beside", "regression", "bridge")
"""Of the constants."""


def test_the_command_writes_what_was_fitted_and_nothing_else(
    folder, motion, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(certainty, "STEPS", 20)
    before, model = bytes_of(folder), load_model(folder)
    arguments = ["--motion", motion, "--checkpoint", str(folder), *FEW, "--training", "2"]
    assert tune.main([*arguments, "--write", "--curve", str(tmp_path / "curve.png")]) == 0
    printed = capsys.readouterr().out
    after, found = bytes_of(folder), load_model(folder)
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    assert {path.parts[0] for path in changed} == {"metadata", "certainty"}
    assert same_arrays(found, model) and misfit(found) is None
    for name, value in found.constants.to_dict().items():
        assert (value == getattr(OTHER, name)) or name in FITTED
    assert found.constants != OTHER
    assert found.about == model.about and found.options == model.options
    jax.tree.map(np.testing.assert_array_equal, found.moments, model.moments)
    for name in Constants().to_dict():
        assert f"\n{name:12} " in printed
    assert "error in head sizes, corrected, train: " in printed
    assert "area under the ROC" in printed and "| arm" in printed and "| upsampled" in printed
    assert (tmp_path / "curve.png").stat().st_size > 5_000


def test_shares_alone(folder, motion, monkeypatch):
    monkeypatch.setattr(tune, "tune_certainty", None)
    monkeypatch.setattr(tune, "tune_constants", lambda *_: Constants())
    before, model = bytes_of(folder), load_model(folder)
    arguments = ["--motion", motion, "--checkpoint", str(folder), "--only", "shares", "--write"]
    assert tune.main(arguments) == 0
    changed = {path for path, content in bytes_of(folder).items() if before[path] != content}
    assert changed == {Path("metadata/metadata")}
    found = load_model(folder)
    assert found.constants == Constants() != model.constants


def test_a_folder_of_its_own(folder, motion, tmp_path, monkeypatch):
    model = load_model(folder)
    other_certainty = {name: array + 1 for name, array in model.certainty.items()}
    monkeypatch.setattr(tune, "tune_constants", lambda *_: Constants())
    monkeypatch.setattr(tune, "tune_certainty", lambda *_: other_certainty)
    before, out = bytes_of(folder), str(tmp_path / "other")
    assert tune.main(["--motion", motion, "--checkpoint", str(folder), "-o", out]) == 0
    assert bytes_of(folder) == before
    other = load_model(out)
    assert other.constants == Constants() != model.constants
    jax.tree.map(np.testing.assert_array_equal, other.certainty, other_certainty)
    assert same_arrays(other, model) and other.about == model.about


def test_constants_alone_are_written(folder):
    content = json.loads((folder / "metadata" / "metadata").read_text())
    save_fitted(folder, Constants(), None)
    assert load_model(folder).constants == Constants()
    changed = json.loads((folder / "metadata" / "metadata").read_text())
    assert changed == content | {"constants": json.loads(json.dumps(Constants().to_dict()))}
    assert list(changed) == list(content)
    assert [path.name for path in (folder / "metadata").iterdir()] == ["metadata"]


def test_a_run_is_not_written_to(folder, tmp_path):
    state = {"variables": {"generator": {"params": {"w": np.ones(3)}}}}
    with Checkpoints(tmp_path / "run" / "checkpoints") as checkpoints:
        checkpoints.save(1, state, {"networks": {"frames": 24}})
    before = bytes_of(tmp_path / "run")
    with pytest.raises(InputError, match="is a training run; first take its weights out"):
        save_fitted(tmp_path / "run", Constants(), None)
    assert bytes_of(tmp_path / "run") == before


@pytest.mark.parametrize("more, problem", [
    (["--write"], "--write needs the --checkpoint"),
    (["-o", "{folder}"], "already exists"),
    (["--checkpoint", "{folder}", "--split", "test"], "no clips of the split 'test'"),
])
def test_what_cannot_be_done_ends_in_one_line(folder, motion, more, problem, capsys):
    more = [part.format(folder=folder) for part in more]
    assert tune.main(["--motion", motion, *FEW, *more]) == 2
    error = capsys.readouterr().err
    assert problem in error and error.count("\n") == 1


# --- baselines ------------------------------------------------------------------------------------


def test_parameters_of_baselines_are_those_with_the_least_error(monkeypatch):
    monkeypatch.setattr(grids, "PENALTIES", (1e-3, 1e2))
    monkeypatch.setattr(grids, "RANKS", (4,))
    smoother = grids.GRIDS["savitzky-golay"][0]
    monkeypatch.setattr(
        grids, "GRIDS", {"savitzky-golay": (smoother, {"seconds": (0.28, 2.0), "order": (2,)})}
    )
    views = view_clips("procedural", "train", 2, longest=60)
    train = view_windows("procedural", "train", 60, 8)
    options = NetworkOptions(frames=8)
    cases = make_cases(Model(options, {}), views, grids.PROTOCOLS, 0)
    told = []
    best = grids.fit_parameters(cases, train, DETECTED_12, lambda *found: told.append(found))
    assert set(best) == {"savitzky-golay", "pca"}
    assert len(told) == 2 + 2
    for name, (error, parameters) in best.items():
        assert (error, parameters) in [found[1:] for found in told if found[0] == name]
        assert error == min(found[1] for found in told if found[0] == name)
    assert best["savitzky-golay"][1] == {"seconds": 0.28, "order": 2}
    assert best["pca"][1] == {"penalty": 1e-3, "rank": 4}


def test_parameters_are_chosen_on_other_people_than_baselines_learn_from():
    views = view_clips("procedural", "train", 20, longest=60)
    some, others = grids.by_people(views, view_windows("procedural", "train", 60, 8))
    assert some and others and not {v.subject for v in some} & {v.subject for v in others}
    with pytest.raises(InputError, match="two people"):
        grids.by_people(views[:1], views[:1])


def test_the_command_prints_parameters_of_baselines(monkeypatch, capsys):
    monkeypatch.setattr(grids, "GRIDS", {})
    monkeypatch.setattr(grids, "PENALTIES", (3e-3,))
    monkeypatch.setattr(grids, "RANKS", (4,))
    arguments = ["--motion", "procedural", "--baselines", "--clips", "4", "--windows", "60"]
    assert tune.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "\nbest:\npca " in printed and "{'penalty': 0.003, 'rank': 4}" in printed
