"""Datasets of movement: read, written back whole, and refused when they are something else."""

import sys

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence

xarray = pytest.importorskip("xarray", reason="needs xarray, h5netcdf and h5py")
pytest.importorskip("h5netcdf", reason="needs xarray, h5netcdf and h5py")
h5py = pytest.importorskip("h5py", reason="needs xarray, h5netcdf and h5py")

UNUSED = "variables that are not used: speed"


def dataset(plural=False, fps=25.0, **attrs):
    """Two people, three keypoints, four frames, every number another one."""
    s = "s" if plural else ""
    position = 100 + np.arange(4 * 2 * 3 * 2, dtype=np.float32).reshape(4, 2, 3, 2)
    position[1, :, 2, 0] = np.nan
    position[:2, :, :, 1] = np.nan
    confidence = np.full((4, 3, 2), 0.75, np.float32)
    confidence[3, 0, 0] = 0.125
    time = np.arange(4) / fps if fps else np.arange(4)
    attrs = {"source_software": "SLEAP", "ds_type": "poses", "mine": "kept"} | attrs
    attrs |= {"fps": fps, "time_unit": "seconds"} if fps else {"time_unit": "frames"}
    return xarray.Dataset(
        {"position": (("time", "space", f"keypoint{s}", f"individual{s}"), position),
         "confidence": (("time", f"keypoint{s}", f"individual{s}"), confidence),
         "speed": (("time", f"individual{s}"), np.ones((4, 2)))},
        {"time": time, "space": ["x", "y"], f"keypoint{s}": ["Nose", "l_hip", "r_hip"],
         f"individual{s}": ["ann", "id_1"]},
        attrs,
    )


@pytest.fixture
def reading(tmp_path):
    def read(data, engine="h5netcdf", **options):
        data.to_netcdf(tmp_path / "in.nc", engine=engine)
        return formats.read(tmp_path / "in.nc", **options)

    return read


@pytest.fixture
def writing(tmp_path):
    def write(file):
        formats.write(file, tmp_path / "out.nc")
        return xarray.load_dataset(tmp_path / "out.nc", decode_times=False)

    return write


@pytest.mark.parametrize("plural", [False, True])
@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_people(plural, engine, reading):
    file = reading(dataset(plural), engine)
    ann, other = file
    assert (file.format, ann.person, other.person, ann.fps) == ("movement", "ann", "id_1", 25)
    assert ann.skeleton == "joints:nose,left_hip,right_hip"
    assert (ann.frames.tolist(), other.frames.tolist()) == ([0, 1, 2, 3], [2, 3])
    np.testing.assert_array_equal(ann.keypoints[0], [[100, 106], [102, 108], [104, 110]])
    assert np.argwhere(~ann.observed).tolist() == [[1, 2], [3, 0]]
    assert set(ann.scores[ann.observed]) == {0.75}
    assert file.notes == (UNUSED,)


def test_dimensions_in_any_order(reading, writing):
    data = dataset().transpose("individual", "space", "keypoint", "time")
    file = reading(data)
    np.testing.assert_array_equal(file[0].keypoints, reading(dataset())[0].keypoints)
    assert writing(file).identical(data)


@pytest.mark.parametrize(
    "software, seen", [("DeepLabCut", 0), ("LightningPose", 0), ("SLEAP", 1), ("", 1)]
)
def test_the_threshold_is_that_of_the_source(software, seen, reading):
    data = dataset(source_software=software)
    data["confidence"].values[:] = 0.5
    data["confidence"].values[0, 0, 0] = 0.6
    assert reading(data)[0].observed[0].tolist() == [True, bool(seen), bool(seen)]
    assert reading(data, min_score=0.55)[0].observed.sum() == 1


def test_frames_without_fps(reading):
    file = reading(dataset(fps=None).assign_coords(time=[3, 4, 5, 9]))
    assert file[0].fps is None and file[0].frames.tolist() == [3, 4, 5, 9]
    data = dataset().assign_coords(time=np.array([0.0, 0.02, 0.04, 0.08]))
    del data.attrs["fps"]
    assert reading(data)[0].fps == 50 and reading(data)[0].frames.tolist() == [0, 1, 2, 4]


def test_times_that_disagree_with_the_rate_are_told(reading):
    file = reading(dataset().assign_coords(time=np.arange(4) / 5))
    assert file[0].frames.tolist() == [0, 5, 10, 15] and file[0].fps == 25
    note, unused = file.notes
    assert unused == UNUSED
    assert note.startswith("the steps of its times are those of 5 frames per second, and 25 counts")


def test_times_that_count_nothing(reading):
    file = reading(dataset().assign_coords(time=[0.0, 0.0, 1.0, np.nan]))
    assert file[0].frames.tolist() == [0, 1, 2, 3]
    assert file.notes == ("times that do not count up: frames are counted from 0", UNUSED)


def test_no_confidence_is_sure(reading, writing):
    data = dataset().drop_vars("confidence")
    file = reading(data)
    assert set(file[0].scores[file[0].observed]) == {1}
    assert writing(file).identical(data)


@pytest.mark.parametrize("plural", [False, True])
@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_what_is_not_changed_comes_back_as_it_was(plural, engine, reading, writing, tmp_path):
    again = writing(reading(dataset(plural), engine))
    assert again.identical(dataset(plural))
    assert again["position"].dtype == np.float32
    assert (tmp_path / "out.nc").read_bytes()[:3] == (tmp_path / "in.nc").read_bytes()[:3]


def test_only_numbers_that_changed_are_written(reading, writing):
    file = reading(dataset())
    ann = file[0]
    keypoints, scores = ann.keypoints.copy(), ann.scores.copy()
    keypoints[1, 2], scores[1, 2] = [7.5, 8.5], 0.5
    other = PoseSequence(np.full((1, 3, 2), 9.5), None, 25, ann.skeleton, [0], "id_1")
    again = writing(
        file.replace([ann.replace(keypoints=keypoints, scores=scores, provenance=None), other])
    )
    expected = dataset()
    expected["position"].values[1, :, 2, 0] = [7.5, 8.5]
    expected["confidence"].values[1, 2, 0] = 0.5
    expected["position"].values[0, :, :, 1] = 9.5
    expected["confidence"].values[0, :, 1] = 1
    assert again.identical(expected)


@pytest.mark.parametrize("plural", [False, True])
def test_other_joints_keep_attributes_and_names(plural, reading, writing):
    file = reading(dataset(plural))
    whole = [
        PoseSequence(np.ones((1, 17, 2)), None, 25.0, "coco17", [5], person.person)
        for person in file
    ]
    again = writing(file.replace(whole))
    assert again.attrs == dataset(plural).attrs
    assert again["position"].dims == dataset(plural)["position"].dims
    assert again.sizes["time"] == 6 and {"Nose", "l_hip", "left_eye"} < set(
        again["keypoints" if plural else "keypoint"].values.tolist()
    )


def test_people_of_different_joints_have_the_keypoints_of_all(reading, writing, tmp_path):
    file = reading(dataset())
    whole = PoseSequence(np.full((1, 17, 2), 7.5), None, 25.0, "coco17", [0], "ann")
    writing(file.replace([whole, file[1]]))
    first, second = formats.read(tmp_path / "out.nc")
    assert first.skeleton == second.skeleton == "coco17" and first.observed.all()
    assert second.observed.sum() == 6 and second.frames.tolist() == [2, 3]
    np.testing.assert_array_equal(
        second.keypoints[second.observed], file[1].keypoints[file[1].observed]
    )


@pytest.mark.parametrize("fps", [None, 29.97])
def test_from_elsewhere_and_back(fps, writing, tmp_path):
    rng = np.random.default_rng(0)
    people = [
        PoseSequence(rng.normal(100, 30, (3, 17, 2)), rng.uniform(0.3, 1, (3, 17)), fps, "coco17",
                     [1, 2, 50_000], person)
        for person in (1, "b")
    ]
    data = writing(people)
    assert data["position"].dims == ("time", "space", "keypoint", "individual")
    assert data.attrs["ds_type"] == "poses" and data.sizes["time"] == 50_001
    for before, after in zip(people, formats.read(tmp_path / "out.nc"), strict=True):
        assert (after.person, after.skeleton, after.fps) == (before.person, "coco17", fps)
        for name in ("keypoints", "scores", "frames"):
            np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def renamed(**names):
    return dataset().rename(names)


def in_space():
    return xarray.concat([dataset()["position"], dataset()["position"][:, :1]], "space").to_dataset(
        name="position"
    ).assign_coords(space=["x", "y", "z"])


@pytest.mark.parametrize(
    "data, message",
    [
        (renamed(position="place"), "no dataset of movement: it has no position"),
        (renamed(keypoint="corner"), "no dimension keypoint"),
        (renamed(time="when"), "position has the dimensions"),
        (dataset().assign_coords(space=["y", "x"]), "positions along"),
        (in_space(), "positions along"),
        (dataset().assign_coords(keypoint=["a", "a", "b"]), "two of the keypoint have one name"),
        (dataset() * np.nan, "nothing to use"),
        (dataset().isel(time=[]), "nothing to use"),
        (dataset().isel(keypoint=[]), "there are no joints"),
        (dataset().isel(individual=[]), "nothing to use"),
        (dataset().assign(confidence=dataset()["confidence"][0]), "confidence has the dimensions"),
        (dataset().assign(position=xarray.full_like(dataset()["position"], "a", str)),
         "are no numbers"),
    ],
)
def test_refused(data, message, reading, tmp_path):
    with pytest.raises(InputError) as caught:
        reading(data)
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / 'in.nc'}: ") and message in line and "\n" not in line


def test_another_programs_hdf5(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as handle:
        handle["tracks"] = np.zeros((2, 3))
    with pytest.raises(InputError, match=f"^{tmp_path / 'a.h5'}: "):
        formats.read(tmp_path / "a.h5")


def test_arrays_that_no_file_of_this_size_holds(reading, tmp_path):
    reading(dataset())
    with h5py.File(tmp_path / "in.nc", "a") as file:
        file.create_dataset("huge", (10**6, 10**6), "f4", chunks=(1000, 1000))
    with pytest.raises(InputError, match=r"in.nc: cannot be read .*arrays of 400000000\d+ bytes"):
        formats.read(tmp_path / "in.nc")
    (tmp_path / "in.nc").unlink()
    # What compresses best is not refused.
    data = dataset()
    data["flat"] = ("many",), np.zeros(2_000_000)
    data.to_netcdf(
        tmp_path / "in.nc", engine="h5netcdf", encoding={"flat": {"zlib": True, "complevel": 9}}
    )
    assert (tmp_path / "in.nc").stat().st_size < 100_000
    assert len(formats.read(tmp_path / "in.nc")) == 2


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
@pytest.mark.parametrize("share", [0.005, 0.1, 0.5, 0.9, 0.99])
def test_a_file_that_is_cut_off(engine, share, tmp_path):
    path = tmp_path / "a.nc"
    dataset().to_netcdf(path, engine=engine)
    content = path.read_bytes()
    path.write_bytes(content[: max(8, int(share * len(content)))])
    with pytest.raises(InputError) as caught:
        formats.read(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("package", ["xarray", "h5netcdf", "h5py"])
def test_a_package_that_is_not_installed(package, tmp_path, monkeypatch):
    dataset().to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"needs {package}; pip install 'posegan_jax\[netcdf\]'"
    with pytest.raises(InputError, match=message):
        formats.read(tmp_path / "a.nc")
    with pytest.raises(InputError, match=message):
        formats.write([PoseSequence(np.ones((1, 17, 2)))], tmp_path / "b.nc")
    assert not (tmp_path / "b.nc").exists()


def test_absurd_places_are_holes(reading, writing):
    data = dataset()
    data["position"].values[0, :, 0, 0] = [1e9, 1]
    data["position"].values[0, :, 1, 0] = [np.inf, 1]
    data["position"].values[0, :, 2, 0] = 0
    file = reading(data)
    assert file[0].frames.tolist() == [1, 2, 3]
    assert file.notes == ("joints at absurd or unreadable places, read as holes: 2", UNUSED)
    assert writing(file).identical(data)


def test_what_netcdf_has_no_place_for(reading, tmp_path):
    file = reading(dataset(), "scipy")
    file.source.data.attrs["a/b"] = 1
    with pytest.raises(InputError, match=f"cannot write {tmp_path / 'out.nc'} as netCDF: "):
        formats.write(file, tmp_path / "out.nc")
    assert not (tmp_path / "out.nc").exists()
