"""YOLO's label folders: shares of the picture, with and without scores, confidences and ids."""

from pathlib import Path

import numpy as np
import pytest

from posegan_jax import cli, formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseFile, PoseSequence

CASE = Path(__file__).parent / "cases" / "16-yolo-labels" / "labels"
SIZE = (1280.0, 720.0)
PLACES = np.random.default_rng(0).uniform(0.1, 0.9, (17, 2)) + np.arange(3)[:, None, None] / 100
PLACES = PLACES.round(4)


def load(folder):
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def save(folder, lines, name="clip_{}.txt"):
    """A folder with a file of lines for every frame from 1."""
    folder.mkdir()
    for t, line in enumerate(lines):
        (folder / name.format(t + 1)).write_text(line)
    return folder


def line(t, third="0.9", end=""):
    joints = " ".join(f"{x:g} {y:g} {third}".strip() for x, y in PLACES[t].tolist())
    return f"0 0.5 0.5 0.25 0.75 {joints} {end}".strip() + "\n"


def test_what_ultralytics_writes(tmp_path, with_frames):
    (sequence,) = file = formats.read(CASE, image_size=SIZE)
    assert (file.format, sequence.skeleton, sequence.person) == ("yolo", "coco17", 1)
    assert sequence.frames.tolist() == list(range(1, 9)) and file.notes == ()
    places = sequence.keypoints[0, [0, 15]]
    np.testing.assert_allclose(places, [[330.64, 226], [308.25, 579.7]], atol=0.01)
    formats.write(file, tmp_path / "out")
    assert load(tmp_path / "out") == load(CASE)
    formats.write(file.replace([with_frames(sequence, [10])]), tmp_path / "out")
    after = load(tmp_path / "out")
    assert after.pop("video_10.txt") == (
        "0 0.00546875 0.00972222 0 0 " + "0.00546875 0.00972222 0.5 " * 17 + "0.5 1\n"
    )
    assert after == load(CASE)
    assert "of unknown size" in formats.read(CASE).notes[0]


def test_from_the_command_line_into_a_table(tmp_path, capsys):
    out = tmp_path / "out.csv"
    assert cli.main(["convert", str(CASE), str(out), "--image-size", "1280x720"]) == 0
    assert len(formats.read(out)[0]) == 8
    back = ["convert", str(out), str(tmp_path / "labels"), "--format", "yolo"]
    assert cli.main(back) == 2 and "whose size --image-size says" in capsys.readouterr().err
    assert cli.main([*back, "--image-size", "1280x720"]) == 0
    assert sorted(load(tmp_path / "labels"))[0] == "frame_000001.txt"
    again = formats.read(tmp_path / "labels", image_size=SIZE)[0]
    np.testing.assert_allclose(again.keypoints, formats.read(out)[0].keypoints, atol=0.01)


@pytest.mark.parametrize(
    "ends, person, score",
    [(("", "", ""), 0, 0.9), (("0.8", "0.7", "0.9"), 0, 0.9), (("3", "3", "3"), 3, 0.9),
     (("0.8 2", "0.7 2", "0.9"), None, 0.9)],
)
def test_what_may_follow_the_joints(ends, person, score, tmp_path):
    folder = save(tmp_path / "in", [line(t, end=end) for t, end in enumerate(ends)])
    file = formats.read(folder, image_size=SIZE)
    if person is not None:
        assert [sequence.person for sequence in file] == [person]
        np.testing.assert_allclose(file[0].keypoints, PLACES * SIZE)
    formats.write(file, tmp_path / "out")
    assert load(tmp_path / "out") == load(folder)


@pytest.mark.parametrize("ends", [
    ("", "1", "1"), ("1", "", "1"), ("", "", "7"), ("0.8", "0.8 1", "0.8 1"),
    ("", "0.8 1", "0.9 1"), ("", "0.8", "0.8"), ("0.8", "0.8 3", ""),
])
def test_ids_and_confidences_in_some_lines_alone(ends, tmp_path):
    folder = save(tmp_path / "in", [line(t, end=end) for t, end in enumerate(ends)])
    file = formats.read(folder, image_size=SIZE)
    assert sum(sequence.observed.any(-1).sum() for sequence in file) == 3
    (note,) = file.notes
    count = sum(end.endswith(("1", "3", "7")) for end in ends)
    told = f"{count} of 3 detections have ids, the others none" if count else "no ids in the file"
    assert note.startswith(told) and "tracked" in note
    formats.write(file, tmp_path / "out")
    assert load(tmp_path / "out") == load(folder)
    moved = [s.replace(keypoints=s.keypoints + 8, provenance=None) for s in file]
    formats.write(file.replace(moved), tmp_path / "out")
    before, after = (
        {name: text.split() for name, text in load(tmp_path / where).items()}
        for where in ("in", "out")
    )
    assert {name: cells[5 + 51 :] for name, cells in before.items()} == {
        name: cells[5 + 51 :] for name, cells in after.items()
    }


def test_places_without_scores_and_flags(tmp_path):
    for third, scores in (("", 1.0), ("2", 1.0)):
        folder = save(tmp_path / f"in{third}", [line(t, third) for t in range(3)])
        found = [s for s in formats.read(folder, image_size=SIZE)]
        assert sum(len(sequence) for sequence in found) == 3
        assert all((sequence.scores == scores).all() for sequence in found)
    text = line(0, "2").replace(" 2 ", " 1 ", 1)
    (sequence,) = file = formats.read(save(tmp_path / "flags", [text]), image_size=SIZE)
    assert sequence.scores[0].tolist() == [0.5] + [1.0] * 16
    keypoints, scores = sequence.keypoints.copy(), sequence.scores.copy()
    keypoints[0, 1], scores[0, 1] = [128, 72], 0.6
    formats.write(
        file.replace([sequence.replace(keypoints=keypoints, scores=scores)]), tmp_path / "out"
    )
    after = load(tmp_path / "out")["clip_1.txt"].split()
    assert after[8:11] == ["0.1", "0.1", "1"] and after[:8] == text.split()[:8]


@pytest.mark.parametrize("third", ["", "0.9", "2"])
def test_upsampled(third, tmp_path):
    folder = save(tmp_path / "in", [line(t, third, "0.8 4") for t in range(2)])
    file = formats.read(folder, image_size=SIZE)
    larger = PoseSequence(
        np.random.default_rng(1).uniform(90, 700, (2, 28, 2)), None, None, "mpi_inf_3dhp", [1, 2], 4
    )
    formats.write(file.replace([larger]), tmp_path / "out")
    (again,) = formats.read(tmp_path / "out", image_size=SIZE)
    assert (again.skeleton, again.person) == ("mpi_inf_3dhp", 4)
    np.testing.assert_allclose(again.keypoints, larger.keypoints, atol=0.01)


def test_people_from_elsewhere_get_numbers(tmp_path):
    people = tuple(
        PoseSequence(PLACES[:2] * SIZE + 9 * i, None, None, "coco17", [0, 3], person)
        for i, person in enumerate(["a", 1, None])
    )
    formats.write(PoseFile(people, image_size=SIZE), tmp_path / "out", "yolo")
    assert sorted(load(tmp_path / "out")) == ["frame_000000.txt", "frame_000003.txt"]
    found = formats.read(tmp_path / "out", image_size=SIZE)
    assert sorted(sequence.person for sequence in found) == [1, 2, 3]


@pytest.mark.parametrize(
    "lines, message",
    [
        ([line(0), line(1)[:200]], "clip_2.txt: line 1 has .* numbers where 17 joints need 56"),
        ([line(0), "0 0.5 x\n"], "clip_2.txt: no labels of YOLO: "),
        ([line(0), line(1, end="0.5 0.5 0.5")], "clip_1.txt: line 1 has 56 numbers|lines of 59"),
    ],
)
def test_mistakes_are_named_in_one_line(lines, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        formats.read(save(tmp_path / "in", lines))
    assert "\n" not in str(caught.value)


def test_what_is_no_folder_of_poses(tmp_path):
    with pytest.raises(InputError, match="one frame of YOLO's labels; give the folder"):
        formats.read(CASE / "video_1.txt")
    with pytest.raises(InputError, match="a folder without frames"):
        formats.read(save(tmp_path / "boxes", ["0 0.5 0.5 0.25 0.75\n"]))


def test_a_folder_that_holds_other_files_of_poses_is_none_of_labels(tmp_path):
    folder = save(tmp_path / "in", [line(0)])
    assert formats.holds_frames(folder)
    (folder / "a.json").write_text("[]")
    assert not formats.holds_frames(folder)


def test_frames_without_anyone_and_a_folder_in_the_way(tmp_path):
    folder = save(tmp_path / "in", [line(0), "", line(1)])
    file = formats.read(folder, image_size=SIZE)
    formats.write(file, folder)
    assert load(folder)["clip_2.txt"] == ""
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="notes.txt"):
        formats.write(file, folder)


def test_the_classes_of_a_data_set_are_no_frame(tmp_path):
    folder = save(tmp_path / "in", [line(0), line(1)])
    (folder / "classes.txt").write_text("person\n")
    file = formats.read(folder, image_size=SIZE)
    assert len(file[0]) == 2 and "1 .txt files hold no frame and are left out" in file.notes
