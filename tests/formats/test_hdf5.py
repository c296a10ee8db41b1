"""HDF5 of DeepLabCut and SLEAP: the same numbers as in their tables, and nothing is unpickled."""

import pickle
import sys

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence

h5py = pytest.importorskip("h5py", reason="needs h5py")

PARTS, PEOPLE = ("nose", "left_hip", "right_hip", "tail"), ("ann", "bob")
VALUES = np.random.default_rng(0).uniform(10, 500, (5, 2, 4, 3)).round(2)
VALUES[..., 2] = 0.9
VALUES[2, 0, 1] = np.nan


def labels(people=PEOPLE):
    middle = [(person,) for person in people] if people else [()]
    return [("me", *m, part, coord) for m in middle for part in PARTS
            for coord in ("x", "y", "likelihood")]


def table_file(path, people=PEOPLE, names=None):
    """A data frame as pandas writes it in its format of tables."""
    values = VALUES[:, : max(len(people), 1)].reshape(5, -1)
    kind = [("index", "<i8"), ("values_block_0", "<f8", values.shape[1:])]
    rows = np.array([(10 + i, row) for i, row in enumerate(values)], kind)
    with h5py.File(path, "w") as handle:
        group = handle.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_(b"frame_table")
        group["table"] = rows
        content = pickle.dumps(labels(people), 0) if names is None else names
        group["table"].attrs["values_block_0_kind"] = np.bytes_(content)
    return path


def fixed_file(path, people=PEOPLE):
    """The same in its fixed format, of labelled images."""
    values = VALUES[:, : max(len(people), 1)].reshape(5, -1)
    images = [("labeled-data", "clip", f"img{10 + i:03d}.png") for i in range(5)]
    with h5py.File(path, "w") as handle:
        group = handle.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_(b"frame")
        group["block0_values"] = values
        for name, rows in (("block0_items", labels(people)), ("axis1", images)):
            group.attrs[f"{name}_nlevels"] = len(rows[0])
            for i, cells in enumerate(zip(*rows, strict=True)):
                level = sorted(set(cells))
                group[f"{name}_level{i}"] = [cell.encode() for cell in level]
                group[f"{name}_label{i}"] = [level.index(cell) for cell in cells]
    return path


def sleap_file(path, dims=None):
    """SLEAP's analysis file; with dims, the names of axes, as sleap-io writes it."""
    places, scores = VALUES[..., :2], VALUES[..., 2]  # frame, track, node, xy
    axes = dict(zip(("frame", "track", "node", "xy"), range(4), strict=True))
    order = dims or ("track", "xy", "node", "frame")
    with h5py.File(path, "w") as handle:
        handle["tracks"] = places.transpose([axes[name] for name in order])
        handle["point_scores"] = scores.transpose([axes[name] for name in order if name != "xy"])
        handle["node_names"] = [part.encode() for part in PARTS]
        handle["track_names"] = [person.encode() for person in PEOPLE]
        handle["track_occupancy"] = np.isfinite(places[..., 0]).any(-1).astype(np.uint8)
        if dims:
            import json

            handle["tracks"].attrs["dims"] = json.dumps(dims)
    return path


FILES = {
    "table": (table_file, 10), "fixed": (fixed_file, 10), "sleap": (sleap_file, 0),
    "sleap-io": (lambda path: sleap_file(path, ("frame", "track", "node", "xy")), 0),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_read_and_written(name, tmp_path):
    make, first = FILES[name]
    path, out = make(tmp_path / "in.h5"), tmp_path / "out.h5"
    file = formats.read(path)
    assert file.format == "hdf5" and [sequence.person for sequence in file] == ["ann", "bob"]
    for i, sequence in enumerate(file):
        assert sequence.skeleton == "joints:nose,left_hip,right_hip,tail"
        assert sequence.frames.tolist() == list(range(first, first + 5))
        np.testing.assert_array_equal(sequence.keypoints, VALUES[:, i, :, :2])
    assert file.notes == ("joints that are not known are passed through: tail",)
    formats.write(file, out)
    assert out.read_bytes() == path.read_bytes()
    ann = file[0]
    keypoints, scores = ann.keypoints.copy(), ann.scores.copy()
    keypoints[2, 1], scores[2, 1], keypoints[0, 0] = [3.5, 4.5], 0.75, np.nan
    changed = ann.replace(keypoints=keypoints, scores=scores)
    formats.write(file.replace([changed, file[1]]), out)
    for sequence, again in zip([changed, file[1]], formats.read(out), strict=True):
        np.testing.assert_array_equal(again.keypoints, sequence.keypoints)
        np.testing.assert_array_equal(again.scores, sequence.scores)


def test_one_animal_without_id(tmp_path):
    (sequence,) = formats.read(table_file(tmp_path / "in.h5", ()))
    assert sequence.person is None and len(sequence) == 5


def test_the_least_scores_are_those_of_the_tables(tmp_path):
    for make, least in ((table_file, 0.6), (sleap_file, 0.2)):
        path = make(tmp_path / f"{least}.h5")
        with h5py.File(path, "r+") as handle:
            if "tracks" in handle:
                handle["point_scores"][0, 0, 0] = least - 0.01
            else:
                rows = handle["df_with_missing/table"][()]
                rows["values_block_0"][0, 2] = least - 0.01
                handle["df_with_missing/table"][...] = rows
        assert not formats.read(path)[0].observed[0, 0]
        assert formats.read(path, min_score=0.1)[0].observed[0, 0]


def test_other_joints_and_frames(tmp_path):
    larger = PoseSequence(
        np.random.default_rng(1).uniform(9, 99, (5, 28, 2)), None, None, "mpi_inf_3dhp", None, "ann"
    )
    file = formats.read(sleap_file(tmp_path / "in.h5"))
    formats.write(file.replace([larger]), tmp_path / "out.h5")
    (again,) = formats.read(tmp_path / "out.h5")
    assert (again.skeleton, again.person) == ("mpi_inf_3dhp", "ann")
    np.testing.assert_array_equal(again.keypoints, larger.keypoints)
    file = formats.read(table_file(tmp_path / "in.h5"))
    with pytest.raises(InputError, match="not its people, joints and frames; .*deeplabcut"):
        formats.write(file.replace([larger]), tmp_path / "no.h5")
    assert not (tmp_path / "no.h5").exists()
    formats.write(file, tmp_path / "out.csv", "deeplabcut")
    assert len(formats.read(tmp_path / "out.csv")) == 2


def test_a_pickle_of_more_than_names_is_not_run(tmp_path):
    (tmp_path / "mine").mkdir()
    names = b"cos\nrmdir\n(V" + str(tmp_path / "mine").encode() + b"\ntR."
    with pytest.raises(InputError, match="names of columns with GLOBAL"):
        formats.read(table_file(tmp_path / "in.h5", names=names))
    assert (tmp_path / "mine").exists()


HINT = "of DeepLabCut give the .csv, of SLEAP the analysis CSV"


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 400),
         f"HDF5 that cannot be read .*not movement's netCDF; {HINT}"),
        (lambda path: h5py.File(path, "w").create_dataset("a", data=[1]).file.close(),
         f"it holds a.; {HINT}"),
        (lambda path: h5py.File(path, "w").create_dataset("pred_points", data=[1]).file.close(),
         "a project of SLEAP; export an analysis file"),
    ],
)
def test_other_files_are_told_the_way(make, message, tmp_path):
    make(tmp_path / "in.h5")
    with pytest.raises(InputError, match=message) as caught:
        formats.read(tmp_path / "in.h5")
    assert "\n" not in str(caught.value) and "netcdf]" not in str(caught.value)


def test_without_h5py(tmp_path, monkeypatch):
    sleap_file(tmp_path / "in.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=rf"{HINT}, or pip install 'posegan_jax\[hdf5\]'"):
        formats.read(tmp_path / "in.h5")


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_cut_off(name, tmp_path):
    path = FILES[name][0](tmp_path / "in.h5")
    whole = path.read_bytes()
    for share in (0.01, 0.3, 0.6, 0.9, 0.99):
        path.write_bytes(whole[: max(8, int(share * len(whole)))])
        with pytest.raises(InputError) as caught:
            formats.read(path)
        assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
