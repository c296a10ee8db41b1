"""A format from elsewhere is known everywhere."""

import numpy as np
import pytest

from posegan_jax import cli, formats
from posegan_jax.arguments import make_parser
from posegan_jax.batch.manifest import collect
from posegan_jax.errors import InputError
from posegan_jax.formats import Format
from posegan_jax.pose.sequence import PoseFile, PoseSequence

SEQUENCE = PoseSequence(np.arange(1, 103).reshape(3, 17, 2), np.full((3, 17), 0.5), fps=25)


def sniff(path):
    return not path.is_dir() and path.read_bytes()[:3] == b"toy"


def read(path, min_score):
    values = np.array(path.read_text().split()[1:], float).reshape(-1, 17, 3)
    keypoints = np.where(values[..., 2:] < min_score, np.nan, values[..., :2])
    return PoseFile((PoseSequence(keypoints, values[..., 2]),), source="toys")


def write(file, path):
    values = np.dstack([file[0].keypoints, file[0].scores])
    path.write_text(" ".join(["toy", *map(str, values.ravel())]))


TOY = Format(
    name="toy", sniff=sniff, read=read, write=write, suffixes=(".toy", ".toys"),
    default_for=(".toy",), min_score=0.3, holds=("coco17",),
)


@pytest.fixture
def toy(registries):
    formats.register(TOY)


def test_a_registered_format_reads_and_writes(toy, tmp_path):
    formats.write([SEQUENCE], tmp_path / "a.toy")
    file = formats.read(tmp_path / "a.toy", fps=25)
    assert (file.format, file.path, file.source) == ("toy", str(tmp_path / "a.toy"), "toys")
    np.testing.assert_array_equal(file[0].keypoints, SEQUENCE.keypoints)
    for name, said in (("b.toys", ()), ("b.csv", ("b.csv is in the format toy, whose files end in "
                                                 ".toy or .toys",))):
        assert formats.converted(file, name, "toy").notes == said
    for name, format in (("c.json", "alphapose"), ("d.toy", "toy")):
        formats.write(formats.read(tmp_path / "a.toy"), tmp_path / name)
        assert formats.read(tmp_path / name).format == format


def test_its_least_score_counts_unless_another_one_is_given(toy, tmp_path):
    formats.write([SEQUENCE.replace(scores=np.full((3, 17), 0.25))], tmp_path / "a.toy")
    assert not formats.read(tmp_path / "a.toy")[0].observed.any()
    assert formats.read(tmp_path / "a.toy", min_score=0.0)[0].observed.all()


def test_it_takes_the_options_that_its_reader_has(toy, tmp_path):
    assert TOY.options == ()
    formats.write([SEQUENCE], tmp_path / "a.toy")
    with pytest.raises(InputError, match="toy files take no joint map of joints in their order"):
        formats.read(tmp_path / "a.toy", joint_map="h36m17")


def test_commands_and_batches_know_it(toy, tmp_path, capsys):
    formats.write([SEQUENCE], tmp_path / "a.toys", "toy")
    assert ".toys" in formats.suffixes()
    assert [job.input for job in collect([tmp_path], tmp_path / "out")] == [
        str(tmp_path / "a.toys")
    ]
    assert make_parser().parse_args(["convert", "a", "b", "--format", "toy"]).format == "toy"
    assert cli.main(["convert", str(tmp_path / "a.toys"), str(tmp_path / "a.npz")]) == 0
    assert cli.main(["convert", str(tmp_path / "a.npz"), str(tmp_path / "b.toy")]) == 0
    assert formats.read(tmp_path / "b.toy").format == "toy"


def test_other_skeletons_are_carried_over_to_one_that_it_holds(toy):
    body = PoseSequence(np.ones((1, 25, 2)), skeleton="body25")
    file = formats.converted([body], "a.toy")
    assert file[0].skeleton == "coco17" and "left behind: mid_shoulder" in file.notes[-1]


def test_names_and_suffixes_are_given_once(toy):
    with pytest.raises(InputError, match="there is a format 'toy' already"):
        formats.register(TOY)
    parts = {"sniff": sniff, "read": read, "write": write}
    with pytest.raises(InputError, match="new .csv files have the format csv already"):
        formats.register(Format(name="b", **parts, suffixes=(".csv",), default_for=(".csv",)))
    assert "b" not in formats.FORMATS


@pytest.mark.parametrize(
    "parts, message",
    [
        ({"suffixes": ("toy",)}, "format toy: 'toy' is no suffix"),
        ({"suffixes": (".TOY",)}, "format toy: '.TOY' is no suffix"),
        ({"suffixes": (".toy",), "default_for": (".json",)}, "'.json' is no suffix of its files"),
        ({}, "format toy: without a suffix it needs is_frame"),
        ({"suffixes": (".toy",), "read": lambda path, min_score, speed: None}, "read takes speed"),
    ],
)
def test_parts_that_do_not_fit(parts, message):
    with pytest.raises(InputError, match=message):
        Format(**{"name": "toy", "sniff": sniff, "read": read, "write": write} | parts)


def test_the_first_format_that_knows_a_file_is_the_last_that_looks(registries, tmp_path):
    looked = []

    def listens(format):
        def sniff(path):
            looked.append(format.name)
            return format.sniff(path)

        return {part: getattr(format, part) for part in ("name", "read", "write", "suffixes",
                                                         "is_frame")} | {"sniff": sniff}

    formats.write([SEQUENCE], tmp_path / "a.npz")
    known = [Format(**listens(format)) for format in formats.FORMATS.values()]
    formats.FORMATS.clear()
    for format in known:
        formats.register(format)
    assert formats.read(tmp_path / "a.npz").format == "npz"
    assert looked == list(formats.FORMATS)[: list(formats.FORMATS).index("npz") + 1]
