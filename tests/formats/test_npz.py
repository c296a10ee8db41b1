"""Our own file: exact, and safe to open."""

import json

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence, Provenance

ARRAYS = ("keypoints", "scores", "frames", "provenance")


def sequence(joints=17, skeleton="coco17", **changes):
    rng = np.random.default_rng(joints)
    keypoints = rng.normal(0, 1e3, (5, joints, 2)) / 3
    keypoints[1, 2] = np.nan
    keypoints[3] = np.nan
    return PoseSequence(
        keypoints, rng.uniform(0, 1, (5, joints)), 29.97, skeleton, [-4, 0, 1, 9, 2**40], 3,
        rng.integers(1, 4, (5, joints)),
    ).replace(**changes)


def assert_same(a, b):
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), strict=True)
    for name in ("fps", "skeleton", "person"):
        assert getattr(a, name) == getattr(b, name)
        assert type(getattr(a, name)) is type(getattr(b, name))


def respell(path, **arrays):
    """Writes the file again with some arrays changed; None leaves one out."""
    with np.load(path) as data:
        arrays = dict(data) | arrays
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


@pytest.fixture
def path(tmp_path):
    formats.write([sequence(), sequence(person=4)], tmp_path / "a.npz")
    return tmp_path / "a.npz"


def refused(path):
    """The one-line message with which a file is refused."""
    with pytest.raises(InputError) as caught:
        formats.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message


# --- round trip -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"fps": None}, {"fps": 25.0}, {"person": None}, {"person": "anna ü"}, {"person": 0},
        {"person": "7"}, {"provenance": np.zeros((5, 17))},
    ],
    ids=str,
)
def test_what_is_written_is_read(changes, tmp_path):
    formats.write([sequence(**changes)], tmp_path / "a.npz")
    file = formats.read(tmp_path / "a.npz")
    assert (file.format, file.path) == ("npz", str(tmp_path / "a.npz"))
    (again,) = file
    assert_same(again, sequence(**changes))


def test_several_sequences_in_their_order(tmp_path):
    # Twelve: in the order of names, 10 would come before 2.
    written = [sequence(person=person) for person in range(12)]
    written[1] = sequence(28, "mpi_inf_3dhp", person="b")
    formats.write(written, tmp_path / "a.npz")
    for a, b in zip(formats.read(tmp_path / "a.npz"), written, strict=True):
        assert_same(a, b)


@pytest.mark.parametrize("sequences", [[], [PoseSequence(np.zeros((0, 17, 2)))]])
def test_nothing_to_write(sequences, tmp_path):
    formats.write(sequences, tmp_path / "a.npz")
    again = formats.read(tmp_path / "a.npz")
    assert [len(s) for s in again] == [0] * len(sequences)


def test_min_score_makes_joints_missing(path):
    (first, _), (kept, _) = formats.read(path), formats.read(path, min_score=0.5)
    low = first.scores < 0.5
    assert 0 < low.sum() < low.size
    np.testing.assert_array_equal(kept.observed, first.observed & ~low)
    assert (kept.scores[low] == 0).all() and (kept.provenance[low] == Provenance.UNKNOWN).all()
    np.testing.assert_array_equal(kept.keypoints[kept.observed], first.keypoints[kept.observed])


def test_the_callers_fps_counts(path):
    assert [s.fps for s in formats.read(path, fps=50.0)] == [50.0, 50.0]


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_that_is_cut_off(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "damaged" in refused(path)


def test_bytes_gone_wrong_anywhere(path):
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    messages = []
    for _ in range(60):
        spoilt = bytearray(content)
        for at in rng.integers(100, len(content), 30):
            spoilt[at] ^= 0xFF
        path.write_bytes(spoilt)
        messages.append(refused(path))
    assert sum("damaged" in message for message in messages) > 50


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"0/scores": None}, "0/scores"),
        ({"1/fps": None}, "1/fps"),
        ({"format": np.array("theirs")}, "not one of posegan's"),
        ({"0/skeleton": np.array("coco71")}, "unknown skeleton 'coco71'"),
        ({"0/keypoints": np.zeros((5, 17, 3))}, r"keypoints must be (frames, 17, 2)"),
        ({"0/scores": np.zeros((4, 17))}, "scores must have shape (5, 17)"),
        ({"0/frames": np.zeros(5, int)}, "frame numbers must increase"),
        ({"0/fps": np.zeros(3)}, ""),
        ({"0/fps": np.array(-1.0)}, "fps must be positive"),
        ({"0/person": np.array("{")}, ""),
        ({"x/keypoints": np.zeros(1)}, "'x'"),
    ],
)
def test_content_that_does_not_fit(arrays, message, path):
    respell(path, **arrays)
    assert message in refused(path)


class Trap:
    """Says so when it is unpickled."""

    sprung = False

    def __reduce__(self):
        return setattr, (Trap, "sprung", True)


@pytest.mark.parametrize("name", ["format", "0/keypoints", "0/person", "unused"])
def test_objects_are_never_unpickled(name, path):
    respell(path, **{name: np.array([Trap()], dtype=object)})
    assert "damaged" in refused(path) and "allow_pickle=False" in refused(path)
    assert not Trap.sprung
    with np.load(path, allow_pickle=True) as data:  # the trap works
        data[name]
    assert Trap.sprung
    Trap.sprung = False


def test_files_hold_no_objects(path):
    with np.load(path, allow_pickle=False) as data:
        assert all(array.dtype != object for array in dict(data).values())
        assert json.loads(str(data["1/person"])) == 4


def test_a_failed_write_leaves_what_stood_there(path, monkeypatch):
    def fail(handle, **arrays):
        handle.write(b"half")
        raise OSError(28, "No space left on device")

    content = path.read_bytes()
    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(InputError, match="No space left"):
        formats.write([sequence()], path)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]
