"""What docs/formats.md says of the formats, against what they do."""

import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.formats import arrays, hdf5, movement, table
from posegan_jax.model.folder import packaged, read_metadata
from posegan_jax.pose.carry import lacking
from posegan_jax.pose.sequence import PoseFile, PoseSequence, Provenance
from posegan_jax.pose.skeleton import SKELETONS, get_skeleton

TEXT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
ROWS = {
    row[0].strip(" `"): [cell.strip() for cell in row]
    for row in (line.strip("| ").split(" | ") for line in TEXT.splitlines())
    if len(row) == 7 and row[0].startswith("`")
}


def test_every_format_has_a_row_and_a_section():
    assert set(ROWS) == set(formats.FORMATS)
    for name in set(formats.FORMATS) - {"npz"}:
        assert re.search(rf"^## .*\n\n`{name}`[,.]", TEXT, re.MULTILINE), name


@pytest.mark.parametrize("name", formats.FORMATS)
def test_the_least_score(name):
    said = re.search(r"none|[0-9.]+", ROWS[name][2])[0]
    in_the_file = {
        "wide": table.MIN_SCORE, "movement": movement.MIN_SCORE, "arrays": arrays.MIN_SCORE,
        "hdf5": hdf5.MIN_SCORE["deeplabcut"],
    }
    least = in_the_file.get(name, formats.FORMATS[name].min_score)
    assert said == ("none" if least is None else str(least))


@pytest.mark.parametrize("name", formats.FORMATS)
def test_where_joints_come_from_is_kept_or_not(name, tmp_path):
    if name == "movement":
        pytest.importorskip("h5netcdf")
        pytest.importorskip("xarray")
    if name == "hdf5":
        pytest.importorskip("h5py")
    kinds = np.full((2, 17), Provenance.FILLED)
    places = np.random.default_rng(0).uniform(50, 900, (2, 17, 2))
    sequence = PoseSequence(places, None, 25, "coco17", None, 1, kinds)
    file = PoseFile((sequence,), image_size=(1920, 1080))
    formats.write(file, tmp_path / "out", format=name)
    (again,) = formats.read(tmp_path / "out")
    kept = bool((again.provenance == Provenance.FILLED).any())
    assert kept == (ROWS[name][5] == "yes")


def test_what_the_packaged_model_completes():
    with resources.as_file(packaged()) as path:
        model = get_skeleton(read_metadata(path)["networks"]["skeleton"])
    part = TEXT.split("### What is completed")[1].split("\n###")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.*)\|$", part, re.MULTILINE)
    assert {name for name, *_ in rows} == set(SKELETONS) - {"alphapose12"}
    for name, count, rest in rows:
        left = lacking(model, SKELETONS[name])
        assert int(count) == len(SKELETONS[name]) - len(left), name
        stems = {re.sub("^(left|right)_", "", joint) for joint in left}
        if "110 of face and hands" in rest:
            beyond = set(SKELETONS[name].joints[-110:])
            assert beyond <= set(left)
            stems = {re.sub("^(left|right)_", "", joint) for joint in set(left) - beyond}
        said = {word for word in re.split(r",\s*", rest.split(", and the")[0].strip()) if word}
        assert said == stems, name
    better = get_skeleton("body45")
    for name in SKELETONS:
        left = set(lacking(better, SKELETONS[name]))
        assert left == (set(SKELETONS[name].joints[-110:]) if len(SKELETONS[name]) > 45 else set())


def test_the_order_of_joints():
    lists = dict(re.findall(r"^- `(\w+)`: ([a-z0-9_,\s]+)\.$", TEXT, re.MULTILINE))
    assert len(lists) == 9
    named = set(re.findall(r"^- `(\w+)`: ", TEXT, re.MULTILINE))
    assert named == set(SKELETONS) - {"alphapose12"}
    for name, joints in lists.items():
        assert tuple(re.split(r",\s+", joints)) == SKELETONS[name].joints
