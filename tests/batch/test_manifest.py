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


def test_links_that_lead_to_each_other_end(tree):
    """Each folder leads to the other in three ways: 3 ** 40 ways until the system refuses."""
    for name in ("one", "two", "three"):
        os.symlink("../other", tree / "clips" / name)
        os.symlink("../clips", tree / "other" / name)
    expected = sorted([*ALL, ("clips/one/b.json", "out/one/b.json")])
    assert sorted(found(["clips"])) == sorted(found(["clips/**"])) == expected
    expected = [("clips/b.json", "out/clips/b.json"), ("other/b.json", "out/other/b.json")]
    assert found(["**/b.json"]) == found(["**/**/b.json"]) == expected


def test_a_folder_that_many_links_lead_to_is_looked_into_once(tree):
    """A chain of folders with two links to the next one each: 2 ** 30 ways to the last."""
    for n in range(30):
        (tree / "chain" / f"{n}").mkdir(parents=True)
        for name in "ab":
            os.symlink(f"../{n + 1}", tree / "chain" / f"{n}" / name)
    (tree / "chain" / "30").mkdir()
    (tree / "chain" / "30" / "c.json").write_text("[]")
    assert found(["chain/**/*.json"]) == [("chain/30/c.json", "out/30/c.json")]
    assert len(found(["chain/0"])) == 1


def test_a_link_to_a_folder_above_is_not_followed(tree):
    os.symlink("..", tree / "clips" / "up")
    assert found(["clips/*"]) == ALL
    assert found(["clips/*/*.json"]) == [("clips/openpose", "out/openpose")]


@pytest.mark.parametrize(
    "pattern, output",
    [
        ("clips/**/*.json", "openpose"), ("clips/*/*.json", "openpose"),
        ("clips/**/*_keypoints.json", "openpose"), ("**/*_keypoints.json", "clips/openpose"),
        ("clips/openpose/*.json", "openpose"), ("clips/openpose/*1_keypoints.json", "openpose"),
    ],
)
def test_frames_that_match_stand_for_their_folder(tree, pattern, output):
    frames = [(given, to) for given, to in found([pattern]) if "openpose" in given]
    assert frames == [("clips/openpose", f"out/{output}")]


def test_frames_in_the_folder_where_one_stands(tree, monkeypatch):
    monkeypatch.chdir(tree / "clips" / "openpose")
    assert found(["*.json"], tree / "out") == [(".", str(tree / "out" / "openpose"))]


def test_other_files_beside_frames_are_files(tree):
    (tree / "clips" / "openpose" / "d.csv").write_text("")
    csv = [("clips/a.csv", "out/a.csv"), ("clips/openpose/d.csv", "out/openpose/d.csv")]
    assert found(["clips/**/*.csv"]) == csv
    assert found(["clips/**/*"]) == ALL


def test_a_list_in_a_folder_whose_name_looks_like_a_pattern(tree):
    (tree / "take[1]").mkdir()
    (tree / "take[1]" / "a.csv").write_text("")
    (tree / "take[1]" / "list.txt").write_text("*.csv\n")
    assert found(["take[1]/list.txt"]) == [("take[1]/a.csv", "out/a.csv")]


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
        ("clips/*/../../other/b.json", "clips/out",
         r"^clips/\*/../../other/b.json: no '..' after a wildcard$"),
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


def test_a_folder_that_may_not_be_read(tree, monkeypatch):
    iterdir = type(tree).iterdir

    def refuse(self):
        if self.name == "deep":
            raise PermissionError(13, "Permission denied")
        return iterdir(self)

    monkeypatch.setattr(type(tree), "iterdir", refuse)
    for given in ("clips", "clips/**/*.csv"):
        with pytest.raises(InputError, match="^cannot read clips/deep: Permission denied$"):
            collect([given], "out")
