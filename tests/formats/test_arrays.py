"""Arrays of keypoints: of one and several people, with scores or depths, alone or among others."""

import zipfile

import numpy as np
import pytest

from posegan_jax import cli, formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

# Someone standing: parts of the body by what their names hold.
BODY = {
    "eye": (4, 15), "ear": (8, 16), "nose": (0, 18), "head_top": (0, 5), "neck": (0, 30),
    "head": (0, 20), "shoulder": (15, 38), "elbow": (20, 65), "wrist": (22, 90), "hip": (9, 95),
    "knee": (10, 140), "ankle": (10, 185), "pelvis": (0, 95), "spine": (0, 65),
}


def someone(skeleton="coco17", frames=12, people=1):
    """(people, T, K, 2) places of people that walk to the right."""
    body = []
    for joint in get_skeleton(skeleton).joints:
        side, _, stem = joint.partition("_")
        x, y = BODY[stem if side in ("left", "right") else joint]
        body.append((100 + (x if side == "left" else -x), 100 + 2 * y))
    steps = np.arange(frames)[:, None, None] * [3.0, 0.5]
    return np.array([np.array(body) + steps + 400 * i for i in range(people)])


def save(path, **arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        np.save(path, arrays["keypoints"])
    return path


@pytest.fixture(params=["in.npy", "in.npz"])
def path(request, tmp_path):
    return tmp_path / request.param


def test_45_joints_are_a_body_only_when_somebody_says_so(path):
    """SMPL gives as many, others."""
    places = np.random.default_rng(0).uniform(50, 900, (12, 45, 2))
    with pytest.raises(InputError, match="--skeleton or --joint-map names other joints"):
        formats.read(save(path, keypoints=places))
    (sequence,) = formats.read(path, joint_map="body45")
    assert sequence.skeleton == "body45"


@pytest.mark.parametrize("skeleton", ["coco17", "h36m17"])
def test_places_of_one_person(skeleton, path, tmp_path):
    (places,) = someone(skeleton)
    (sequence,) = file = formats.read(save(path, keypoints=places))
    assert (file.format, sequence.skeleton, sequence.person) == ("arrays", skeleton, None)
    np.testing.assert_array_equal(sequence.keypoints, places)
    assert (sequence.scores == 1).all() and sequence.frames.tolist() == list(range(12))
    assert file.notes == (
        f"17 joints by their places: taken for {skeleton}; --skeleton says otherwise",
    )
    formats.write(file, tmp_path / f"out{path.suffix}")
    again = formats.read(tmp_path / f"out{path.suffix}")
    np.testing.assert_array_equal(again[0].keypoints, places)
    (other,) = formats.read(path, joint_map="h36m17")
    assert other.skeleton == "h36m17"


def test_an_array_that_did_not_change_is_written_byte_for_byte(tmp_path):
    places = np.asfortranarray(someone()[0].astype(np.float32))
    places[3, 4] = np.nan
    np.save(tmp_path / "in.npy", places)
    formats.write(formats.read(tmp_path / "in.npy"), tmp_path / "out.npy")
    assert (tmp_path / "out.npy").read_bytes() == (tmp_path / "in.npy").read_bytes()


@pytest.mark.parametrize("blank", [np.nan, 0.0])
def test_scores_and_holes(blank, path, tmp_path):
    values = np.dstack([someone()[0], np.full((12, 17), 0.9)]).astype(np.float32)
    values[2, 3], values[5] = [blank, blank, 0], [blank, blank, 0]
    values[7, 1, 2] = 0.1
    (sequence,) = file = formats.read(save(path, keypoints=values))
    assert sequence.frames.tolist() == [*range(5), *range(6, 12)]
    assert not sequence.observed[2, 3] and not sequence.observed[6, 1]
    assert formats.read(path, min_score=0.05)[0].observed[6, 1]
    keypoints, scores = sequence.keypoints.copy(), sequence.scores.copy()
    keypoints[2, 3], scores[2, 3] = [5.5, 6.5], 0.75
    keypoints[0, 0] = np.nan
    changed = sequence.replace(keypoints=keypoints, scores=scores)
    out = tmp_path / f"out{path.suffix}"
    formats.write(file.replace([changed]), out)
    after = np.load(out) if path.suffix == ".npy" else np.load(out)["keypoints"]
    expected = values.copy()
    expected[2, 3], expected[0, 0] = [5.5, 6.5, 0.75], [blank, blank, 0]
    np.testing.assert_array_equal(after, expected)
    assert after.dtype == np.float32


@pytest.mark.parametrize("people_first", [True, False])
def test_several_people(people_first, path, tmp_path):
    places = someone(people=2)
    array = places if people_first else places.swapaxes(0, 1)
    file = formats.read(save(path, keypoints=array))
    assert [sequence.person for sequence in file] == [0, 1]
    np.testing.assert_array_equal(file[1].keypoints, places[1])
    moved = file[1].replace(keypoints=file[1].keypoints + 1)
    out = tmp_path / f"out{path.suffix}"
    formats.write(file.replace([file[0], moved]), out)
    np.testing.assert_array_equal(formats.read(out)[1].keypoints, places[1] + 1)
    after = np.load(out) if path.suffix == ".npy" else np.load(out)["keypoints"]
    assert after.shape == array.shape


def test_what_lifters_to_3d_take(tmp_path):
    """MHFormer's file; VideoPose3D's as a plain array."""
    places = someone("h36m17")
    for name in ("reconstruction", "positions_2d"):
        np.savez_compressed(tmp_path / "in.npz", **{name: places})
        (sequence,) = formats.read(tmp_path / "in.npz")
        assert (sequence.skeleton, sequence.person) == ("h36m17", 0)
        np.testing.assert_array_equal(sequence.keypoints, places[0])


def test_other_arrays_come_back_those_that_need_pickle_too(tmp_path):
    places = someone()[0]
    np.savez(
        tmp_path / "in.npz", boxes=np.ones((12, 4)), keypoints=places,
        metadata=np.array({"w": 640}, object), scores=np.full((12, 17), 0.5),
    )
    (sequence,) = file = formats.read(tmp_path / "in.npz")
    assert (sequence.scores == 0.5).all()
    assert file.notes[1:] == (
        "keypoints.npy is read; other arrays stay as they are: boxes.npy",
        "arrays that need pickle are not read, and stay: metadata",
    )
    changed = sequence.replace(scores=np.full((12, 17), 0.75))
    formats.write(file.replace([changed]), tmp_path / "out.npz")
    before, after = (zipfile.ZipFile(tmp_path / name) for name in ("in.npz", "out.npz"))
    assert before.namelist() == after.namelist()
    for name in ("boxes.npy", "keypoints.npy", "metadata.npy"):
        assert before.read(name) == after.read(name)
    assert (np.load(tmp_path / "out.npz")["scores"] == 0.75).all()


def test_what_needs_pickle_is_told(tmp_path, capsys):
    data = np.array({"S1": {"Walking": [someone()[0]]}}, object)
    np.savez_compressed(tmp_path / "in.npz", positions_2d=data, metadata=data)
    np.save(tmp_path / "in.npy", data)
    for name in ("in.npz", "in.npy"):
        assert cli.main(["convert", str(tmp_path / name), str(tmp_path / "out.csv")]) == 2
        said = capsys.readouterr().err
        assert "can be read with pickle alone" in said and said.count("\n") == 1


def test_depths_are_no_scores_and_shares_no_pixels(path, tmp_path):
    shares = someone()[0] / (1280, 720)
    values = np.dstack([shares, np.linspace(-1, 1, 12 * 17).reshape(12, 17)])
    (sequence,) = file = formats.read(save(path, keypoints=values), image_size=(1280, 720))
    np.testing.assert_allclose(sequence.keypoints, someone()[0])
    assert "the third number of a joint is no score: x and y are read, and it stays" in file.notes
    formats.write(file, tmp_path / f"out{path.suffix}")
    assert (tmp_path / f"out{path.suffix}").exists()


def test_mediapipes_four_numbers(path, tmp_path):
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.uniform(50, 600, (4, 33, 2)), rng.normal(0, 1, (4, 33, 1)),
                             np.full((4, 33, 1), 0.75)], -1)
    (sequence,) = file = formats.read(save(path, keypoints=values))
    assert sequence.skeleton == "mediapipe33" and (sequence.scores == 0.75).all()
    out = tmp_path / f"out{path.suffix}"
    formats.write(file.replace([sequence.replace(scores=np.full((4, 33), 0.5))]), out)
    after = np.load(out) if path.suffix == ".npy" else np.load(out)["keypoints"]
    np.testing.assert_array_equal(after[..., :3], values[..., :3])
    assert (after[..., 3] == 0.5).all()


def test_the_flag_skeleton(tmp_path):
    np.save(tmp_path / "in.npy", someone()[0])
    command = ["convert", str(tmp_path / "in.npy"), str(tmp_path / "out.npz")]
    assert cli.main([*command, "--skeleton", "h36m17"]) == 0
    assert formats.read(tmp_path / "out.npz")[0].skeleton == "h36m17"


def test_new_files(tmp_path):
    sequence = PoseSequence(someone()[0], np.full((12, 17), 0.5), 25, "coco17", range(3, 15), "a")
    formats.write([sequence], tmp_path / "one.npy")
    assert np.load(tmp_path / "one.npy").shape == (15, 17, 3)
    (again,) = formats.read(tmp_path / "one.npy")
    assert again.frames.tolist() == list(range(3, 15)) and (again.scores == 0.5).all()
    np.testing.assert_array_equal(again.keypoints, sequence.keypoints)
    formats.write([sequence, sequence.replace(person="b")], tmp_path / "two.npz", "arrays")
    assert len(formats.read(tmp_path / "two.npz")) == 2
    short = [PoseSequence(places, person=i) for i, places in enumerate(someone(frames=1, people=3))]
    formats.write(short, tmp_path / "three.npy")
    assert [len(s) for s in formats.read(tmp_path / "three.npy")] == [1, 1, 1]
    with pytest.raises(InputError, match="an array begins at 0"):
        formats.write([sequence.replace(frames=range(-3, 9))], tmp_path / "four.npy")


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda b: b[:40], "cannot use the array"),
        (lambda b: b[:-200], "it ends too early|cannot use"),
        (lambda b: b.replace(b"(12, 17, 2)", b"(99, 17, 2)"), "it ends too early"),
        (lambda b: b.replace(b"<f8", b"|O8"), "pickle"),
    ],
)
def test_damage(spoil, message, tmp_path):
    np.save(tmp_path / "in.npy", someone()[0])
    (tmp_path / "in.npy").write_bytes(spoil((tmp_path / "in.npy").read_bytes()))
    with pytest.raises(InputError, match=message) as caught:
        formats.read(tmp_path / "in.npy")
    assert "\n" not in str(caught.value) and str(tmp_path / "in.npy") in str(caught.value)


def test_other_shapes(path):
    with pytest.raises(InputError, match=r"no array of \(frames, joints, 2 or 3\)"):
        formats.read(save(path, keypoints=np.ones((5, 34))))
    with pytest.raises(InputError, match="--skeleton or --joint-map names other joints"):
        formats.read(save(path, keypoints=np.ones((5, 19, 2))))
    with pytest.raises(InputError, match="nothing to use"):
        formats.read(save(path, keypoints=np.zeros((5, 17, 2))))
