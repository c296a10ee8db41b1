"""Real detections against what several cameras say together."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import detections
from posegan_jax.evaluation.clips import view_clips
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.pose.skeleton import get_skeleton

SHARED = Path(__file__).parents[2] / "shared" / "data" / "detections"
MPI = get_skeleton("mpi_inf_3dhp")


@pytest.fixture(scope="module")
def inpainter():
    return Inpainter.from_pretrained()


@pytest.fixture
def pairs(tmp_path):
    """Two cameras, detections off by a twentieth of a head, some missing."""
    rng = np.random.default_rng(0)
    views = view_clips("procedural", count=2, longest=48)
    named = {ours: theirs for theirs, ours in detections.NAMES.items()}
    named |= {"head_top": "Head", "neck": "Neck"}
    points = np.stack([view.keypoints[:48] for view in views])
    points = points[:, :, [MPI.index(joint) for joint in named]]
    head = np.linalg.norm(points[:, :, -2] - points[:, :, -1], axis=-1).mean()
    noise = 0.05 * head * rng.normal(size=points.shape)
    scores = (rng.random(points.shape[:3]) > 0.1).astype(float)
    path = tmp_path / "pairs.npz"
    np.savez(
        path, detected=np.concatenate([points + noise, scores[..., None]], -1),
        detected_names=list(named.values()), triangulated_2d=points,
        triangulated_names=list(named.values()), fps=25,
    )
    return path


@pytest.mark.slow
def test_the_table_of_detections(pairs, capsys):
    assert detections.main([str(pairs)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[2:5]] == [
        "error, 25 fps", "AUC, 25 fps", "accel, 25 fps"
    ]
    values = {row[1].strip(): [float(v) for v in row[2:-1]] for row in
              (line.split("|") for line in lines[2:])}
    # The mean distance of two normal deviates, and a tenth of the joints is not there.
    assert values["input"][0] == pytest.approx(0.05 * np.sqrt(np.pi / 2), rel=0.15)
    assert values["input"][1] == pytest.approx(0.9 * (1 - values["input"][0]), abs=0.02)
    assert values["balanced"][1] > values["input"][1]
    assert values["balanced"][2] < values["input"][2] / 2


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", None])
def test_what_is_no_such_file(tmp_path, capsys, content):
    path = tmp_path / "bad.npz"
    if content is None:
        np.savez(path, detected=np.zeros((1, 2, 3, 3)), detected_names=["a", "b", "c"])
    else:
        path.write_bytes(content)
    assert detections.main([str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"benchmarks.detections: {path}: no detections")
    assert said.count("\n") == 1


def test_real_detections_come_nearer_than_by_any_smoother(inpainter):
    """Less jitter is taken off than by the smoothest, unless that is asked for."""
    path = SHARED / "openpose_body25b_4cams" / "pairs.npz"
    if not path.exists():
        pytest.skip("the shared data is not here")
    for values in detections.evaluate(str(path), inpainter).values():
        ours, refined = values.pop("balanced"), values.pop("balanced+refine")
        values.pop("fast")
        error, area, acceleration = np.transpose(list(values.values()))
        assert ours[0] < error.min() and ours[1] > area.max()
        assert ours[2] < values["savitzky-golay 9, 2"][2] and refined[2] < 1.1 * acceleration.min()
