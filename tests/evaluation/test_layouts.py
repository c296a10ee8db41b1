"""Errors by what a detector delivers, of answers whose errors are known."""

import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.evaluation import layouts
from posegan_jax.geometry.body import head_size
from posegan_jax.model.model import Model
from posegan_jax.model.options import NetworkOptions
from posegan_jax.pose.skeleton import get_skeleton

BODY = get_skeleton("body45")
MODEL = Model(NetworkOptions("body45", frames=8, latent=4, coordinates=3), {})


def test_layouts_are_told_once_from_the_fewest_joints_on():
    found = layouts.layouts(MODEL)
    counts = [int(mask.sum()) for mask in found.values()]
    assert counts == sorted(counts) and counts[-1] == 45
    assert {"alphapose12": 12, "12 and nose": 13, "coco17": 17, "body45": 45}.items() <= dict(
        zip(found, counts, strict=True)
    ).items()
    assert len({mask.tobytes() for mask in found.values()}) == len(found)


def test_errors_are_of_the_joints_that_are_named(monkeypatch, tmp_path, write_motion):
    seen = []

    def answer(networks, variables, batch):
        """Half a head off where the face is, and a head too deep everywhere."""
        seen.append(batch.mask.shape)
        head = head_size(batch.x[..., :2], BODY)[..., None]
        face = BODY.mask(layouts.FACE).astype(np.float32)
        off = batch.x.at[..., 0].add(0.5 * head * face)
        return off.at[..., 2].add(head_size(batch.x, BODY)[..., None])

    monkeypatch.setattr(layouts, "reconstruct", answer)
    monkeypatch.setattr(layouts, "VIEWS", {"upright": layouts.VIEWS["upright"]})
    motion = write_motion(tmp_path / "motion.npz", BODY.joints)
    table = layouts.errors(MODEL, str(motion), count=8)
    assert seen == [(8, 8, 45)]  # one program for all layouts
    rows = table["upright"]
    assert set(rows) == set(layouts.layouts(MODEL))
    assert rows["alphapose12"]["seen"] == pytest.approx(0, abs=1e-6)
    assert rows["alphapose12"]["unseen"] == pytest.approx(0.5 * 5 / 33, rel=1e-4)
    assert rows["alphapose12"]["face"] == pytest.approx(0.5, rel=1e-4)
    assert rows["coco17"]["seen"] == pytest.approx(0.5 * 5 / 17, rel=1e-4)
    assert rows["coco17"]["unseen"] == pytest.approx(0, abs=1e-6)
    assert np.isnan(rows["coco17"]["face"]) and np.isnan(rows["body45"]["unseen"])
    assert all(row["depth"] == pytest.approx(1, rel=1e-4) for row in rows.values())
    text = layouts.lines(MODEL, table)
    assert len(text) == 2 + len(rows) and text[1].split()[-4:] == list(layouts.COLUMNS)
    assert jnp.isfinite(rows["mpii16"]["unseen"])


def test_what_is_no_model_ends_in_one_line(tmp_path, capsys):
    assert layouts.main([str(tmp_path / "nowhere"), "--motion", "procedural"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
