"""From one skeleton to another, and from every format to every other."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.formats.fit import fit
from posegan_jax.pose.sequence import PoseFile, PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

SIZE = (1920.0, 1080.0)
NEEDS = {"movement": "h5netcdf", "hdf5": "h5py"}
SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "detections"


def someone(skeleton, **keys):
    """A track of 4 frames, every joint at a place of its own."""
    count = len(get_skeleton(skeleton))
    rng = np.random.default_rng(count)
    return PoseSequence(
        rng.uniform(100, 900, (4, count, 2)).round(3), rng.uniform(0.7, 1, (4, count)).round(3),
        25.0, skeleton, **({"person": 3} | keys),
    )


def file_of(*sequences):
    return PoseFile(sequences, "npz", "in.npz")


def test_what_is_lost_and_what_is_missing_is_told():
    (note,) = fit(file_of(someone("halpe26")), "body25").notes
    assert note == (
        "joints carried over to body25 by name; left behind: head_top, neck, pelvis"
    )
    (note,) = fit(file_of(someone("coco17")), "body25").notes
    assert "left behind" not in note and note.endswith(
        "not known and missing: left_big_toe, left_small_toe, left_heel, right_big_toe, "
        "right_small_toe, right_heel"
    )
    assert fit(file_of(someone("body25")), "body25").notes == ()


@pytest.mark.parametrize(
    "skeleton, format, expected",
    [
        ("coco17", "openpose", "body25"), ("halpe26", "openpose", "body25"),
        ("mpi_inf_3dhp", "openpose", "body25"), ("coco18", "openpose", "coco18"),
        ("body25", "alphapose", "halpe26"), ("coco18", "alphapose", "coco17"),
        ("h36m17", "alphapose", "mpi_inf_3dhp"), ("mediapipe33", "alphapose", "halpe26"),
        ("alphapose12", "coco", "coco17"), ("body25b", "ultralytics", "halpe26"),
        ("h36m17", "mmpose", "h36m17"), ("mpii16", "mmpose", "mpii16"),
        ("coco17", "mediapipe", "mediapipe33"), ("h36m17", "csv", "h36m17"),
    ],
)
def test_a_new_file_has_the_joints_of_its_format(skeleton, format, expected, tmp_path):
    formats.write([someone(skeleton)], tmp_path / "out", format)
    (again,) = formats.read(tmp_path / "out")
    assert again.skeleton == expected
    kept, _, _ = get_skeleton(skeleton).map_to(get_skeleton(expected))
    assert again.observed.sum(1).min() >= len(kept) >= 12


def test_joints_can_be_chosen(reading, writing):
    file = reading([{"image_id": 0, "idx": 1, "keypoints": [5.0, 6.0, 0.5] * 28, "own": 5}])
    (record,) = writing(file, joints="coco17")
    assert len(record["keypoints"]) == 51 and record["own"] == 5
    assert record["keypoints"].count(5.0) == 12
    with pytest.raises(InputError, match="alphapose files hold coco17, .*not mpii16"):
        writing(file, joints="mpii16")


def test_people_of_different_joints_come_together(writing):
    content = writing([someone("coco17"), someone("mpi_inf_3dhp", person=4)])
    assert [len(record["keypoints"]) for record in content] == [84] * 8


def test_nothing_in_common_is_refused(tmp_path):
    tail = PoseSequence(np.ones((1, 2, 2)), skeleton="joints:tail,ear")
    with pytest.raises(InputError, match="in.npz: joints:tail,ear and coco17 have no joint in com"):
        formats.write(file_of(tail), tmp_path / "out.json")
    assert not list(tmp_path.iterdir())


def test_nobody_goes_to_any_format(tmp_path):
    for name in set(formats.FORMATS) - {"trc", "mediapipe"}:
        if name in NEEDS:
            pytest.importorskip(NEEDS[name])
        formats.write(PoseFile((), image_size=SIZE), tmp_path / name, name)


@pytest.fixture(scope="module", params=["alphapose_coco17", "alphapose_halpe26"])
def real(request):
    """The first hundred frames of a detector's file."""
    path = SHARED / request.param / "alphapose-results.json"
    if not path.exists():
        pytest.skip(f"needs {path}")
    file = formats.read(path, fps=30)
    return file.replace([
        sequence.replace(
            keypoints=sequence.keypoints[sequence.frames < 100], provenance=None,
            scores=sequence.scores[sequence.frames < 100],
            frames=sequence.frames[sequence.frames < 100],
        )
        for sequence in file if sequence.frames[0] < 100
    ])


@pytest.mark.parametrize("format", sorted(set(formats.FORMATS) - {"alphapose"}))
def test_real_files_go_to_every_format(real, format, tmp_path):
    file = real
    if format in ("trc", "mediapipe"):  # they have no ids
        file = file.replace([max(file, key=len)])
    if format in NEEDS:
        pytest.importorskip(NEEDS[format])
    formats.write(dataclasses.replace(file, image_size=SIZE), tmp_path / "out", format)
    again = formats.read(tmp_path / "out", min_score=0.0, image_size=SIZE)
    ours, theirs = get_skeleton(file[0].skeleton), get_skeleton(again[0].skeleton)
    here, there, _ = ours.map_to(theirs)
    assert len(here) >= 17

    def places(sequences, joints):
        every = np.concatenate([s.keypoints[:, joints].reshape(-1, 2) for s in sequences])
        return np.sort(every[np.isfinite(every[:, 0]), 0])

    # YOLO's shares of the picture have six digits.
    near = 2e-3 if format == "yolo" else 1e-3
    np.testing.assert_allclose(places(again, there), places(file, here), atol=near)
