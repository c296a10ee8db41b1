"""Where each joint of a completed file comes from is in the file, and nowhere else."""

import json
from pathlib import Path

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.formats.records import PROVENANCE
from posegan_jax.pose.carry import on_skeleton
from posegan_jax.pose.sequence import PoseFile, PoseSequence, Provenance

KEYED = {"alphapose", "coco", "mmpose", "ultralytics", "openpose"}


def objects_of(content):
    """All objects in the content of a file, however deep."""
    inner = content.values() if isinstance(content, dict) else content
    found = [content] if isinstance(content, dict) else []
    return found + [o for item in inner if isinstance(item, dict | list) for o in objects_of(item)]


def completed(file):
    """The same with two joints filled and one refined in every frame."""
    whole = []
    for sequence in file:
        keypoints, provenance = sequence.keypoints.copy(), sequence.provenance.copy()
        keypoints[:, [3, 4, 5]] += 3  # a share of the picture in as many decimals as others
        provenance[:, [3, 4]], provenance[:, 5] = Provenance.FILLED, Provenance.REFINED
        whole.append(sequence.replace(keypoints=keypoints, provenance=provenance))
    return file.replace(whole)


@pytest.fixture
def written(tmp_path):
    """Sequences -> where they are, written in a format."""

    def write(sequences, format):
        path = tmp_path / ("out" if format == "openpose" else "out.json")
        formats.write(sequences, path, format)
        return path

    return write


def content_of(path):
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [json.loads(file.read_text()) for file in files]


def same(a, b):
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one.provenance, other.provenance)
        np.testing.assert_array_equal(one.keypoints, other.keypoints)


def test_it_is_written_and_read_back(valid, reading, written):
    file = completed(reading(valid))
    path = written(file, file.format)
    keyed = [item for item in objects_of(content_of(path)) if PROVENANCE in item]
    if file.format == "mediapipe":  # bodies are lists of points, with no place for keys
        assert not keyed
        return
    assert len(keyed) == 6
    assert all(item[PROVENANCE][:7] == [1, 1, 1, 3, 3, 2, 1] for item in keyed)
    again = formats.read(path)
    same(again, file)
    before = content_of(path)
    assert content_of(written(again, again.format)) == before
    # Other joints: the same numbers would say something else.
    larger = [
        PoseSequence(np.full((len(s), 28, 2), 5.0 + 90 * i), skeleton="mpi_inf_3dhp",
                     frames=s.frames, person=s.person, provenance=np.full((len(s), 28), 3))
        for i, s in enumerate(again)
    ]
    path = written(again.replace(larger), again.format)
    assert {s.provenance.tobytes() for s in formats.read(path)} == {b"\3" * 28 * 3}


def test_a_folder_of_openpose(openpose_frames, written, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name, content in openpose_frames.items():
        (folder / name).write_text(json.dumps(content))
    file = completed(formats.read(folder, joint_map="body25"))
    again = formats.read(written(file, "openpose"), joint_map="body25")
    same(again, file)


@pytest.mark.parametrize("format", sorted(KEYED - {"alphapose"}))
def test_new_files_have_it_where_something_was_filled(format, written):
    keypoints = np.random.default_rng(0).uniform(10, 90, (3, 25, 2)).round(3)
    provenance = np.full((3, 25), Provenance.OBSERVED)
    sequence = PoseSequence(
        keypoints, np.full((3, 25), 0.75), None, "body25", None, 1, provenance
    )
    plain = content_of(written([sequence], format))
    provenance[1, 4] = Provenance.FILLED
    again = content_of(written([sequence.replace(provenance=provenance)], format))
    keyed = [item for item in objects_of(again) if PROVENANCE in item]
    assert [item.pop(PROVENANCE) for item in keyed] == [[1] * 4 + [3] + [1] * 20]
    assert again == plain


def test_it_changes_and_it_follows_the_joints(reading, writing):
    content = [{"image_id": 0, "idx": 1, "keypoints": [1.0, 2.0, 0.5] * 17, PROVENANCE: [3] * 17}]
    file = reading(content)
    observed = file.replace([file[0].replace(provenance=None)])
    assert writing(observed)[0][PROVENANCE] == [1] * 17
    # Those who follow others to a new skeleton keep it by the names of joints.
    other = PoseSequence(np.full((1, 28, 2), 9.0), skeleton="mpi_inf_3dhp", person=2)
    followed, new = writing(PoseFile((file[0], other), file.format, file.path, file.source))
    assert sorted(followed[PROVENANCE]) == [0] * 16 + [3] * 12 and PROVENANCE not in new


@pytest.mark.parametrize("value", [[3] * 16, [4] * 17, [True] * 17, ["filled"] * 17, "o" * 17, {}])
def test_what_does_not_fit_is_told_and_kept(value, reading, writing):
    content = [{"image_id": 0, "idx": 1, "keypoints": [8.0, 9.0, 0.5] * 17, PROVENANCE: value}]
    file = reading(content)
    assert file.notes == (f"1 objects have a {PROVENANCE} that does not fit: taken as observed",)
    assert (file[0].provenance == Provenance.OBSERVED).all() and writing(file) == content


def test_joints_that_were_completed_come_back_whatever_their_score(valid, reading, written):
    """A format's least score is for detectors; the user's is for all."""
    file = completed(reading(valid))
    if file.format not in KEYED:
        return
    low = [s.replace(scores=np.where(s.observed, 0.01, 0.0)) for s in file]
    path = written(file.replace(low), file.format)
    before, again = content_of(path), formats.read(path)
    for one, other in zip(again, low, strict=True):
        kept = np.zeros(one.observed.shape, bool)
        kept[:, [3, 4, 5]] = True
        assert one.observed[kept & other.observed].all() and kept.any()
        if file.format == "alphapose":
            np.testing.assert_array_equal(one.observed, kept & other.observed)
    assert content_of(written(again, again.format)) == before  # nothing is taken for changed
    if file.format == "alphapose":
        with pytest.raises(InputError, match="a score of at least 0.1"):
            formats.read(path, min_score=0.1)


# --- when a file comes back -----------------------------------------------------------------------

FILLED = Path(__file__).parent / "cases" / "07-own-filled-joints-vanish" / "completed.json"
WRIST = 9


@pytest.mark.parametrize("format", ["alphapose", "coco", "mmpose", "ultralytics", "openpose", "csv",
                                    "npz"])
@pytest.mark.parametrize("score", [0.15, 0.0])
def test_a_filled_joint_is_there_whatever_its_score(format, score, tmp_path):
    (sequence,) = file = formats.read(FILLED)
    assert sequence.observed.all() and (sequence.scores[:, WRIST] == 0.15).all()
    assert (sequence.provenance[:, WRIST] == Provenance.FILLED).all()
    scores = sequence.scores.copy()
    scores[:, WRIST] = score
    path = tmp_path / "out"
    file = file.replace([sequence.replace(scores=scores)])
    formats.write(PoseFile(file.sequences), path, format=format)
    again = on_skeleton(formats.read(path)[0], "coco17")
    assert again.observed.all() and (again.scores[:, WRIST] == score).all()
    np.testing.assert_array_equal(again.provenance, sequence.provenance)
    np.testing.assert_array_equal(again.keypoints, sequence.keypoints)
    formats.write(formats.read(path), tmp_path / "same", format=format)
    same = on_skeleton(formats.read(tmp_path / "same")[0], "coco17")
    assert same.observed.all() and (same.provenance[:, WRIST] == Provenance.FILLED).all()


def test_scores_of_0_are_missing_even_where_the_user_takes_all(reading, writing):
    content = [{"image_id": t, "idx": 1, "keypoints": [50.0 + t, 60.0, 0.0] + [9.0, 8.0, 0.1] * 16}
               for t in range(3)]
    (sequence,) = file = reading(content, min_score=0.0)
    assert not sequence.observed[:, 0].any() and sequence.observed[:, 1:].all()
    assert writing(file) == content
