"""MPI-INF-3DHP from files in exactly its official structure, made here."""

import functools

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipelines import prepare
from data_pipelines.mpi_inf_3dhp.annotation import read_calibration, world_positions
from data_pipelines.mpi_inf_3dhp.source import CAMERAS
from data_pipelines.mpi_inf_3dhp.visible import visible_stretches
from posegan_jax.errors import InputError
from posegan_jax.motion.clips2d import FILE, load_clips2d
from posegan_jax.motion.procedural import procedural_clips
from posegan_jax.motion.store import load_clips
from posegan_jax.pose.skeleton import get_skeleton

SKELETON = get_skeleton("mpi_inf_3dhp")
FRAMES = 20
FAST = {"S1/Seq2", "S3/Seq1", "S3/Seq2", "S5/Seq1", "S5/Seq2"}
NAMES = [f"S{i}/Seq{j}" for i in range(1, 9) for j in (1, 2)]


def cameras():
    """(intrinsic 4x4, extrinsic 4x4) of 14 cameras around the origin; the last 3 look down."""
    result = []
    for i in range(14):
        steep = np.deg2rad(70 if i > 10 else 5 + i)
        around = 2 * np.pi * i / 14
        back = np.array(
            [np.sin(around) * np.cos(steep), np.sin(steep), np.cos(around) * np.cos(steep)]
        )
        right = np.cross([0, 1, 0], back)
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(right, back), -back])  # x right, y down, z ahead
        position = np.array([0, 900, 0]) + (4000 + 50 * i) * back
        intrinsic, extrinsic = np.eye(4), np.eye(4)
        intrinsic[:2, :3] = [[1497.7 + i, 0, 1024.7], [0, 1497.1, 1051.4 - i]]
        extrinsic[:3, :3], extrinsic[:3, 3] = rotation, -rotation @ position
        result.append((intrinsic, extrinsic))
    return result


def write_calibration(path):
    lines = ["Skeletool Camera Calibration File V1.0"]
    for i, (intrinsic, extrinsic) in enumerate(cameras()):
        lines += [
            f"name          {i}", "  sensor      10 10", "  size        2048 2048",
            "  animated    0",
            "  intrinsic   " + " ".join(map(repr, intrinsic.ravel().tolist())) + " ",
            "  extrinsic   " + " ".join(map(repr, extrinsic.ravel().tolist())) + " ",
            "  radial      0",
        ]
    path.write_text("\n".join(lines) + "\n")


@functools.cache
def motion():
    return procedural_clips("validation")


def world(name):
    """(FRAMES, 28, 3): what the person of a sequence does."""
    clips = motion()
    positions = clips[NAMES.index(name) % len(clips)].positions[:FRAMES].astype(np.float64)
    return positions - positions[:, [4]].mean(axis=0) * [1, 0, 1]


def annotation(name):
    """What annot.mat holds."""
    cells = {key: np.empty((14, 1), object) for key in ("annot2", "annot3", "univ_annot3")}
    for i, (intrinsic, extrinsic) in enumerate(cameras()):
        points = world(name) @ extrinsic[:3, :3].T + extrinsic[:3, 3]
        image = points @ intrinsic[:3, :3].T
        image = image[..., :2] / image[..., 2:]
        cells["annot2"][i, 0] = image.reshape(FRAMES, 56)
        cells["annot3"][i, 0] = points.reshape(FRAMES, 84)
        cells["univ_annot3"][i, 0] = 0.9 * points.reshape(FRAMES, 84)  # another body's
    numbers = {"cameras": np.arange(14, dtype=np.uint8)[None], "frames": np.arange(FRAMES)[:, None]}
    return cells | numbers


def write_sequence(folder, name, content=None):
    (folder / name).mkdir(parents=True)
    scipy.io.savemat(folder / name / "annot.mat", content or annotation(name), format="5")
    write_calibration(folder / name / "camera.calibration")


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """All 16 sequences; in S1/Seq1, camera 3 loses the person, and camera 4 all but the head."""
    folder = tmp_path_factory.mktemp("mpi")
    for name in NAMES:
        content = annotation(name)
        if name == "S1/Seq1":
            content["annot2"][3, 0][8:11] += 5000
            content["annot2"][4, 0].reshape(FRAMES, 28, 2)[5:9, :7] -= 5000
        write_sequence(folder, name, content)
    return folder


@pytest.fixture(scope="module")
def prepared(official, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared") / "set"
    assert run("--source", f"mpi_inf_3dhp:{official}", "--out", out) == 0
    return out


def run(*argv):
    return prepare.main([str(word) for word in argv])


def test_positions_return_to_the_world(official):
    for camera in (0, 5, 13):
        found = world_positions(official / "S2/Seq1", camera)
        np.testing.assert_allclose(found, world("S2/Seq1"), atol=0.01)


def test_a_person_has_left_at_plus_x_and_the_head_up(official):
    positions = world_positions(official / "S2/Seq1")
    ahead = positions[:, SKELETON.index("left_toe")] - positions[:, SKELETON.index("left_ankle")]
    across = positions[:, SKELETON.index("left_hip")] - positions[:, SKELETON.index("right_hip")]
    assert (np.cross([0, 1, 0], ahead) * across).sum(-1).mean() > 0
    top = positions[:, SKELETON.index("head_top"), 1]
    assert (top - positions[:, SKELETON.index("left_ankle"), 1]).min() > 500


def test_positions_reproject_to_the_pixels(official):
    content = scipy.io.loadmat(official / "S4/Seq2/annot.mat")
    positions = world_positions(official / "S4/Seq2")
    calibration = read_calibration(official / "S4/Seq2/camera.calibration")
    for camera, model in enumerate(calibration):
        image = model.project(positions @ model.rotation.T + model.translation)
        expected = content["annot2"][camera, 0].reshape(FRAMES, 28, 2)
        assert np.abs(image - expected).max() < 0.5


def test_actors_2_to_8_train_and_actor_1_validates(prepared):
    train, validation = (load_clips(str(prepared), split) for split in ("train", "validation"))
    assert [clip.name for clip in train] == NAMES[2:]
    assert [clip.name for clip in validation] == NAMES[:2]
    assert {clip.fps for clip in train} == {25.0}
    for clip in train:
        step = 2 if clip.name in FAST else 1
        np.testing.assert_allclose(clip.positions, world(clip.name)[::step], atol=0.01)


def test_actor_1_tests_in_2d_without_the_ceiling(prepared):
    clips = load_clips2d(prepared)
    assert {clip.camera for clip in clips} == set(range(11)) == set(CAMERAS)
    assert {clip.sequence for clip in clips} == {"S1/Seq1", "S1/Seq2"}
    cut = [clip for clip in clips if (clip.sequence, clip.camera) == ("S1/Seq1", 3)]
    assert [clip.frames.tolist() for clip in cut] == [[*range(8)], [*range(11, 20)]]
    (kept,) = [clip for clip in clips if (clip.sequence, clip.camera) == ("S1/Seq1", 4)]
    assert len(kept.keypoints) == FRAMES
    content = annotation("S1/Seq2")
    (clip,) = [clip for clip in clips if (clip.sequence, clip.camera) == ("S1/Seq2", 7)]
    assert (clip.fps, clip.frames.tolist()) == (25.0, [*range(0, FRAMES, 2)])
    expected = content["annot2"][7, 0].reshape(FRAMES, 28, 2)[::2]
    np.testing.assert_allclose(clip.keypoints, expected, rtol=1e-5)


def test_native_rates_and_the_thesis_numbers(official, tmp_path, capsys):
    out = tmp_path / "native"
    source = f"mpi_inf_3dhp:{official}"
    assert run("--source", source, "--out", out, "--rate", "native", "--cut", 0.2) == 0
    said = capsys.readouterr().out
    frames = 22 * FRAMES - 3 - 4  # camera 3 loses three frames, camera 4 four of them now
    assert f"test, in 2D: 24 sequences of 5 to {FRAMES} frames, {frames} in all" in said
    assert "70 sequences of 87 to 12400 frames, 196178 in all" in said
    rates = {clip.name: clip.fps for clip in load_clips(str(out), "train")}
    assert rates == {name: 50.0 if name in FAST else 25.0 for name in NAMES[2:]}


def test_subjects_and_validation_can_be_chosen(official, tmp_path):
    out = tmp_path / "some"
    chosen = ("--subjects", "S1,S2,S8", "--validation", "S8")
    assert run("--source", f"mpi_inf_3dhp:{official}", "--out", out, *chosen) == 0
    assert {clip.subject for clip in load_clips(str(out), "train")} == {"S2"}
    assert {clip.subject for clip in load_clips(str(out), "validation")} == {"S8"}
    assert load_clips2d(out)


@pytest.mark.parametrize(
    ("hidden", "threshold", "kept"),
    [
        ([], 1.0, [(0, 9)]),
        ([(3, range(28))], 1.0, [(0, 3), (4, 9)]),
        ([(3, range(27))], 1.0, [(0, 9)]),
        ([(3, range(14)), (4, range(14, 28))], 1.0, [(0, 3), (5, 9)]),  # not at one time
        ([(3, range(14)), (5, range(14, 28))], 1.0, [(0, 9)]),  # two stretches
        ([(3, range(14)), (5, range(14, 28))], 0.5, [(0, 3), (4, 5), (6, 9)]),
        ([(0, range(28)), (8, range(28))], 1.0, [(1, 8)]),
    ],
)
def test_stretches_without_the_person_are_cut(hidden, threshold, kept):
    keypoints = np.full((9, 28, 2), 1000.0)
    for frame, joints in hidden:
        keypoints[frame, list(joints), frame % 2] = 2048.0
    found = visible_stretches(keypoints, threshold)
    assert [(part.start, part.stop) for part in found] == kept


# --- bad files ------------------------------------------------------------------------------------


def refused(capsys, folder, out, *more):
    assert run("--source", f"mpi_inf_3dhp:{folder}", "--out", out, *more) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert not out.exists()
    return line


def damage(cells=None, **changes):
    content = annotation("S2/Seq1") | changes
    for key, value in (cells or {}).items():
        content[key][0, 0] = value
    return {key: value for key, value in content.items() if value is not None}


BAD = {
    "lacks annot3": lambda: damage(annot3=None),
    "annot3 must be 14 cells": lambda: damage(annot3=np.zeros((14, 84))),
    "shape (frames, 84), not (20, 51)": lambda: damage({"annot3": np.zeros((FRAMES, 51))}),
    "NaN or infinity in frame 0": lambda: damage({"annot3": np.full((FRAMES, 84), np.nan)}),
    "20 frames in annot3, 7 in annot2": lambda: damage({"annot2": np.zeros((7, 56))}),
    "pixels from annot2": lambda: damage({"annot2": np.zeros((FRAMES, 56))}),
    "lies behind camera 0": lambda: damage({"annot3": np.full((FRAMES, 84), -1.0)}),
}


@pytest.mark.parametrize("problem", BAD)
def test_annotations_that_are_wrong(tmp_path, capsys, problem):
    write_sequence(tmp_path, "S2/Seq1", BAD[problem]())
    line = refused(capsys, tmp_path, tmp_path / "set", "--subjects", "S2")
    assert problem in line and "S2/Seq1/annot.mat" in line


def test_files_that_are_missing_or_cut_off(tmp_path, capsys):
    out, folder = tmp_path / "set", tmp_path / "S2/Seq1"
    assert "no such folder" in refused(capsys, tmp_path / "nowhere", out)
    write_sequence(tmp_path, "S2/Seq1")
    assert "S1/Seq1" in refused(capsys, tmp_path, out)
    assert "S2/Seq2" in refused(capsys, tmp_path, out, "--subjects", "S2")
    assert "no subject S9" in refused(capsys, tmp_path, out, "--subjects", "S9")
    whole = (folder / "annot.mat").read_bytes()
    for content in (b"", b"no MATLAB file", whole[:200], whole[: len(whole) // 2]):
        (folder / "annot.mat").write_bytes(content)
        assert "annot.mat" in refused(capsys, tmp_path, out, "--subjects", "S2")
    (folder / "annot.mat").unlink()
    assert "no such file" in refused(capsys, tmp_path, out, "--subjects", "S2")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("extrinsic", "ex", "14 lines 'intrinsic' and 'extrinsic'"),
        ("intrinsic   1497.7 ", "intrinsic   ", "line 6: intrinsic must be 16 numbers, not 15"),
        ("intrinsic   1497.7 ", "intrinsic   x ", "line 6: intrinsic holds something"),
        ("extrinsic   1.0 ", "extrinsic   2.0 ", "camera 0 is no rotation"),
    ],
)
def test_calibrations_that_are_wrong(tmp_path, old, new, problem):
    path = tmp_path / "camera.calibration"
    write_calibration(path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError) as error:
        read_calibration(path)
    assert problem in str(error.value)


def test_a_world_that_lies_on_its_side_is_refused(tmp_path):
    turn = np.eye(4)[[0, 2, 1, 3]] * np.array([1, 1, -1, 1])  # z up: x, -z, y
    lying = [(i, e @ turn) for i, e in cameras()]
    path = tmp_path / "camera.calibration"
    write_calibration(path)
    text = path.read_text()
    for (_, old), (_, new) in zip(cameras(), lying, strict=True):
        text = text.replace(
            " ".join(map(repr, old.ravel().tolist())), " ".join(map(repr, new.ravel().tolist()))
        )
    path.write_text(text)
    with pytest.raises(InputError, match="does not point up"):
        read_calibration(path)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 3000))
def test_no_bytes_end_in_a_traceback(tmp_path_factory, piece, at):
    folder = tmp_path_factory.mktemp("fuzz")
    write_calibration(folder / "camera.calibration")
    content = bytearray((folder / "camera.calibration").read_bytes())
    content[at : at + len(piece)] = piece
    (folder / "camera.calibration").write_bytes(content)
    (folder / "annot.mat").write_bytes(piece)
    with pytest.raises(InputError) as error:
        world_positions(folder)
    assert "\n" not in str(error.value)


# --- the file of 2D clips -------------------------------------------------------------------------


def test_2d_clips_of_another_layout_are_refused(prepared, tmp_path):
    with np.load(prepared / FILE) as data:
        arrays = {name: data[name] for name in data.files}
    path = tmp_path / "clips.npz"
    for problem, changes in {
        "lacks the arrays frames": {"frames": None},
        "joints must be names, each of them once": {"joints": arrays["joints"][[0] * 28]},
        "lacks head_top, joints of the skeleton mpi_inf_3dhp": {
            "joints": np.where(arrays["joints"] == "head_top", "nose", arrays["joints"])
        },
        "keypoints must be": {"keypoints": arrays["keypoints"][:, :17]},
        "NaN": {"keypoints": np.full_like(arrays["keypoints"], np.nan)},
        "frames must be whole": {"frames": arrays["frames"][1:]},
        "clip_camera must be whole numbers": {"clip_camera": arrays["clip_sequence"]},
        "lies outside": {"clip_length": arrays["clip_length"] * 1000},
    }.items():
        content = arrays | changes
        np.savez(path, **{name: a for name, a in content.items() if a is not None})
        with pytest.raises(InputError, match=problem):
            load_clips2d(path)
    path.write_bytes((prepared / FILE).read_bytes()[:500])
    with pytest.raises(InputError, match="not the whole"):
        load_clips2d(path)
    with pytest.raises(InputError, match="no such file"):
        load_clips2d(tmp_path)


def test_joints_of_2d_clips_are_found_by_name(prepared, tmp_path):
    with np.load(prepared / FILE) as data:
        arrays = {name: data[name] for name in data.files}
    reverse = {"keypoints": arrays["keypoints"][:, ::-1], "joints": arrays["joints"][::-1]}
    np.savez(tmp_path / FILE, **arrays | reverse)
    twelve = get_skeleton("alphapose12")
    for skeleton in (SKELETON, twelve):
        at = [SKELETON.index(joint) for joint in skeleton.joints]
        for one, other in zip(
            load_clips2d(prepared), load_clips2d(tmp_path, skeleton), strict=True
        ):
            np.testing.assert_array_equal(other.keypoints, one.keypoints[:, at])
            assert other.joints == skeleton.joints
