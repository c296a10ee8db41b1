"""Which files are found, and where their outputs go."""

import os

import pytest

from posegan_jax.batch.manifest import Job, collect
from posegan_jax.errors import InputError

FRAME = '{"people": [{"pose_keypoints_2d": [1, 2, 0.9]}]}'


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A folder with clips in folders, one of them of one file per frame, and other things."""
    monkeypatch.chdir(tmp_path)
    for name in ("clips/b.json", "clips/a.csv", "clips/deep/er/c.npz", "clips/.hidden.json",
                 "clips/notes.md", "clips/.git/d.json", "other/b.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("[]")
    frames = tmp_path / "clips" / "openpose"
    frames.mkdir()
    for t in range(2):
        (frames / f"video_{t:012d}_keypoints.json").write_text(FRAME)
    return tmp_path


def found(inputs, folder="out"):
    return [(job.input, job.output) for job in collect(inputs, folder)]


ALL = [
    ("clips/a.csv", "out/a.csv"), ("clips/b.json", "out/b.json"),
    ("clips/deep/er/c.npz", "out/deep/er/c.npz"), ("clips/openpose", "out/openpose"),
]


def test_a_folder_stands_for_all_that_is_in_it(tree):
    assert found(["clips"]) == ALL


def test_a_folder_of_frames_is_one_file(tree):
    assert found(["clips/openpose"]) == [("clips/openpose", "out/openpose")]


def test_a_file_goes_by_its_name(tree):
    assert found(["clips/deep/er/c.npz"]) == [("clips/deep/er/c.npz", "out/c.npz")]


@pytest.mark.parametrize(
    "pattern, names",
    [
        ("clips/*.json", ["b.json"]),
        ("clips/**/*.npz", ["deep/er/c.npz"]),
        ("*/b.json", ["clips/b.json", "other/b.json"]),
        ("clips/d*", ["deep/er/c.npz"]),
        ("cl?ps/*", ["clips/a.csv", "clips/b.json", "clips/deep/er/c.npz", "clips/openpose"]),
    ],
)
def test_patterns_keep_what_follows_their_fixed_part(tree, pattern, names):
    assert [output for _, output in found([pattern])] == [f"out/{name}" for name in names]


def test_a_list_is_relative_to_its_own_folder(tree):
    (tree / "clips" / "list.txt").write_text("# mine\n\nb.json\ndeep\n *.csv \n")
    assert found(["clips/list.txt"]) == [
        ("clips/b.json", "out/b.json"), ("clips/deep/er/c.npz", "out/er/c.npz"),
        ("clips/a.csv", "out/a.csv"),
    ]


def test_a_list_holds_no_list(tree):
    (tree / "list.txt").write_text("list.txt\n")
    with pytest.raises(InputError, match="a list within a list"):
        collect(["list.txt"], "out")


def test_a_file_that_is_given_twice_is_filled_once(tree):
    assert found(["clips", "clips/b.json"]) == ALL


def test_two_files_of_one_name_are_refused(tree):
    with pytest.raises(InputError, match=r"clips/b.json and other/b.json would both be written"):
        collect(["clips/b.json", "other/b.json"], "out")


def test_no_output_is_within_another(tree):
    (tree / "other" / "openpose").mkdir()
    (tree / "other" / "openpose" / "x.json").write_text("[]")
    with pytest.raises(InputError, match="x.json would be written into out/openpose, the output"):
        collect(["clips", "other/openpose/../../other/op*/*.json"], "out")


def test_links_in_circles_are_not_followed(tree):
    os.symlink("..", tree / "clips" / "deep" / "back")
    os.symlink("../other", tree / "clips" / "more")
    expected = sorted([*ALL, ("clips/more/b.json", "out/more/b.json")])
    assert sorted(found(["clips"])) == sorted(found(["clips/**"])) == expected
    assert found(["clips/deep/back/*.csv"]) == [("clips/deep/back/a.csv", "out/a.csv")]


def test_a_link_to_nothing_is_a_file_that_will_fail(tree):
    os.symlink("nowhere", tree / "other" / "gone.json")
    assert found(["other", "other/*.json"]) == [
        ("other/b.json", "out/b.json"), ("other/gone.json", "out/gone.json")
    ]


def test_outputs_are_no_inputs(tree):
    os.mkdir("clips/out")
    for name in ("a.csv", "summary.json"):
        (tree / "clips" / "out" / name).write_text("[]")
    assert collect(["clips"], "clips/out") == [
        Job(given, given.replace("clips/", "clips/out/", 1)) for given, _ in ALL
    ]
    assert len(collect(["clips/**/*.csv"], "clips/out")) == 1


@pytest.mark.parametrize(
    "given, folder, message",
    [
        ("clips", "clips", "would be written over"),
        ("clips/b.json", "clips", "would be written over"),
        ("nowhere", "out", "nowhere: no such file"),
        ("nowhere/*.json", "out", "no file matches"),
        ("clips/.git", "out", None),
        ("clips/*.md", "out", "no file with one of the endings"),
    ],
)
def test_what_cannot_be(tree, given, folder, message):
    if message is None:  # asked for by its name, a hidden folder is a folder
        assert len(collect([given], folder)) == 1
        return
    with pytest.raises(InputError, match=message):
        collect([given], folder)


def test_no_output_takes_the_summarys_name(tree):
    (tree / "summary.json").write_text("[]")
    with pytest.raises(InputError, match="rename this"):
        collect(["summary.json"], "out")


def test_bytes_are_no_list(tree):
    (tree / "list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a list of files"):
        collect(["list.txt"], "out")
