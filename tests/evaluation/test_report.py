"""The accuracy report: which systems, which joints, which numbers."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from posegan_jax.config import default_config
from posegan_jax.errors import InputError
from posegan_jax.evaluation import report
from posegan_jax.evaluation.occlusion import PROTOCOLS, protocol_mask
from posegan_jax.evaluation.report import Row, complete, evaluate_inpainter, format_table
from posegan_jax.geometry.camera import look_at, project
from posegan_jax.inpainting.inpainter import QUALITIES, Inpainter
from posegan_jax.motion.procedural import procedural_clips
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

MPI = get_skeleton("mpi_inf_3dhp")
DETECTED = np.array([joint in DETECTED_12 for joint in MPI.joints])
STEPS = 2


def configuration():
    config = default_config()
    config.evaluate.windows = 6
    return config


def windows(split, count):
    """(count, 24, 28, 2) pixels: procedural clips in turn, the camera elsewhere every time."""
    clips = procedural_clips(split)
    motion = np.stack([clips[i % len(clips)].positions[10:34] for i in range(count)])
    camera = look_at(np.arange(count), 0.1, 5000.0, motion.mean(axis=(1, 2)), 0.0, 1500.0)
    return np.asarray(project(motion, camera)[0], np.float64)


@pytest.fixture(scope="module")
def inpainter():
    return Inpainter.from_pretrained()


@pytest.fixture(scope="module")
def evaluated(inpainter):
    """The whole report on six windows, and these: every search is cut down to a common one."""
    truth, train = windows("validation", 6), windows("train", 60)
    fast = QUALITIES["fast"].descent
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "_windows", lambda *arguments: (truth, train))
        for name, settings in QUALITIES.items():
            search = fast if name == "fast" else dataclasses.replace(fast, steps=STEPS)
            patch.setitem(QUALITIES, name, dataclasses.replace(settings, descent=search))
        rows = evaluate_inpainter(inpainter, configuration(), tuple(PROTOCOLS), STEPS)
    return rows, truth


@pytest.fixture(scope="module")
def rows(evaluated):
    return evaluated[0]


@pytest.fixture(scope="module")
def truth(evaluated):
    """(6, 24, 28, 2) held-out windows in pixels."""
    return evaluated[1]


def by_name(rows):
    return {(row.protocol, row.system): row.scores for row in rows}


# --- the rows -------------------------------------------------------------------------------------


def test_every_system_is_scored_on_every_protocol(rows):
    systems = [row.system for row in rows if row.protocol == "clean"]
    assert len(systems) == len(set(systems)) >= 6
    for name in ("ridge", "encoder", "thesis", "fast", "balanced", "best"):
        assert any(name in system for system in systems), name
    assert [(r.protocol, r.system) for r in rows] == [(p, s) for p in PROTOCOLS for s in systems]


def test_all_scores_are_finite_and_in_their_range(rows):
    for row in rows:
        groups = {"observed", "upsampled"} | ({"missing"} if row.protocol != "clean" else set())
        assert set(row.scores) == groups
        for scores in row.scores.values():
            assert all(type(value) is float and np.isfinite(value) for value in scores.values())
            assert 0 <= scores["pckh@0.1"] <= scores["pckh@0.5"] <= scores["pckh@1.0"] <= 1
            assert 0 <= scores["auc"] <= 1 and scores["error"] >= 0


def test_a_carried_residual_keeps_observed_joints(rows):
    for (protocol, system), scores in by_name(rows).items():
        carried = any(word in system for word in ("fast", "balanced", "best", "ridge"))
        if carried:
            assert scores["observed"]["error"] < 0.01, (protocol, system)
            assert scores["observed"]["pckh@0.1"] == 1.0
        else:
            assert scores["observed"]["error"] > 0.02, (protocol, system)


def test_the_networks_know_people(rows):
    """Any of these would break if windows, joints or axes were mixed up."""
    scores = by_name(rows)
    assert scores["clean", "fast"]["upsampled"]["pckh@0.5"] > 0.8
    assert scores["holes", "fast"]["missing"]["pckh@0.5"] > 0.9
    assert scores["legs", "fast"]["missing"]["error"] > scores["gap", "fast"]["missing"]["error"]


# --- windows --------------------------------------------------------------------------------------


def test_windows_are_those_of_held_out_people_and_of_the_seed(inpainter, monkeypatch):
    asked = []

    def load_store(config, split, options):
        return split

    def validation_batch(store, networks, options, seed):
        asked.append((store, options.batch_size, seed))
        return SimpleNamespace(x=np.full((options.batch_size, 24, 28, 2), 0.5))

    monkeypatch.setattr(report, "load_store", load_store)
    monkeypatch.setattr(report, "validation_batch", validation_batch)
    config = configuration()
    config.evaluate.seed = 77
    truth, train = report._windows(inpainter, config)
    assert asked[0] == ("validation", 6, 77) and len(truth) == 6
    assert asked[1][0] == "train" and asked[1][2] == 77 and len(train) >= 500
    assert (truth == 0.5 * report.PIXELS).all()


def test_completed_windows_keep_what_is_observed(inpainter, truth):
    mask = protocol_mask("holes", truth.shape[:2], MPI, 0)
    hidden = np.where(mask[..., None], truth, 1e5)  # what is missing must not be looked at
    fast = complete(inpainter, hidden, mask, QUALITIES["fast"])
    np.testing.assert_array_equal(fast, complete(inpainter, truth, mask, QUALITIES["fast"]))
    size = np.abs(truth).max()
    np.testing.assert_allclose(fast[mask], truth[mask], atol=0.01 * size)
    assert np.abs(fast - truth)[~mask].mean() < 0.1 * size


def test_another_skeleton_than_the_checkpoints_is_refused(inpainter):
    config = configuration()
    config.model.skeleton = "coco17"
    with pytest.raises(InputError, match="mpi_inf_3dhp.*coco17"):
        evaluate_inpainter(inpainter, config, ("clean",), 0)


# --- table and file -------------------------------------------------------------------------------


def made_up():
    names = ("pckh@0.1", "pckh@0.5", "pckh@1.0", "auc", "error")
    scores = dict(zip(names, (0.1234, 0.5, 1.0, 0.75, 1.25), strict=True))
    return [
        Row("legs", "one", {"observed": scores, "missing": scores, "upsampled": scores}),
        Row("clean", "one", {"observed": scores, "upsampled": scores}),
        Row("legs", "two", {"observed": scores, "missing": scores, "upsampled": scores}),
    ]


def test_the_table_groups_systems_by_protocol():
    lines = format_table(made_up()).splitlines()
    where = {name: next(i for i, line in enumerate(lines) if line.startswith(f"{name}:"))
             for name in ("legs", "clean")}
    assert [line.split()[0] for line in lines[where["legs"] + 1 : where["legs"] + 3]] == [
        "one", "two"
    ]
    assert lines[where["clean"] + 1].split()[0] == "one"
    assert PROTOCOLS["legs"] in lines[where["legs"]]
    assert all(group in lines[0] for group in ("observed", "missing", "upsampled"))
    assert lines[where["legs"] + 1].count(".123  .500 1.000  .750 1.250") == 3
    # No joint of the twelve is missing in a clean window.
    assert lines[where["clean"] + 1].count(".123  .500 1.000  .750 1.250") == 2
    assert " - " in lines[where["clean"] + 1]


def test_the_tables_columns_are_aligned():
    lines = format_table(made_up()).splitlines()
    other = dict.fromkeys(made_up()[0].scores["missing"], 1.0)
    row = Row("clean", "one", {"observed": other, "upsampled": other})
    lines += format_table([row]).splitlines()
    cells = [line for line in lines if line.startswith("  one") or line.startswith("  two")]
    assert len(cells) == 4 and len({len(line) for line in cells}) == 1
    assert len({len(line.rstrip()) for line in lines if line.rstrip().endswith("error")}) == 1


def test_a_report_is_json(tmp_path):
    path = tmp_path / "scores.json"
    report.save_report(made_up(), path, {"data": "procedural"})
    content = json.loads(path.read_text())
    assert content["data"] == "procedural"
    assert [Row(**row) for row in content["rows"]] == made_up()
    with pytest.raises(InputError, match="nowhere"):
        report.save_report(made_up(), tmp_path / "nowhere" / "scores.json")
