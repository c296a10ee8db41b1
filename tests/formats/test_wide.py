"""Tables with columns per joint, as people write them out of MediaPipe and others."""

import csv
from pathlib import Path

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

CASES = Path(__file__).parent / "cases"
SIZE = (1280.0, 720.0)
NAMED = """\
frame_index,timestamp,detection,NOSE_x,NOSE_y,NOSE_z,NOSE_visibility,LEFT_KNEE_x,LEFT_KNEE_y,\
LEFT_KNEE_z,LEFT_KNEE_visibility,RIGHT_KNEE_x,RIGHT_KNEE_y,RIGHT_KNEE_z,RIGHT_KNEE_visibility
3,0.10,.95,960.50,200.25,-50.2,0.98,945.2,385.7,-48.1,0.92,900,390,0,0.4
4,0.13,.94,961.5,201,-49.8,0.97,,,,,901,391,0,0.9
6,0.20,.90,962.5,202,-49,0.97,946,386,0,0.9,902,392,0,1
"""


@pytest.fixture
def writing(tmp_path):
    def write(file, format=None):
        formats.write(file, tmp_path / "out.csv", format)
        return (tmp_path / "out.csv").read_text()

    return write


def cells(text):
    return list(csv.reader(text.splitlines()))


def table(header, rows):
    return "\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n"


def numbered(label, count=33, start=0, shares=True, frames=3):
    """A table of joints by numbers: x, y, z, visibility of each, and its places in pixels."""
    rng = np.random.default_rng(0)
    values = rng.uniform(0.1, 0.9, (frames, count, 4))
    values[..., 3] = 0.75
    if not shares:
        values[..., :2] *= SIZE
    header = [label.format(a, k) for k in range(start, start + count) for a in ("x", "y", "z", "v")]
    text = table(header, values.reshape(frames, -1).tolist())
    return text, values[..., :2] * (SIZE if shares else 1)


def test_names_in_the_header(reading, writing):
    (sequence,) = file = reading(NAMED)
    assert (file.format, sequence.skeleton) == ("wide", "joints:nose,left_knee,right_knee")
    assert sequence.person is None and sequence.frames.tolist() == [3, 4, 6]
    assert file.notes == ("columns that are not used: timestamp, detection, z of 3 joints",)
    # A visibility below a half is none.
    assert sequence.observed.tolist() == [[True, True, False], [True, False, True], [True] * 3]
    np.testing.assert_array_equal(sequence.keypoints[0, :2], [[960.5, 200.25], [945.2, 385.7]])
    assert writing(file) == NAMED


@pytest.mark.parametrize(
    "columns", [("{}_x", "{}_y", "{}_conf"), ("{}.x", "{}.y", "{}.score"), ("{} X", "{} Y", "{} V"),
                ("{}-x", "{}-y", "{}-likelihood"), ("{}_x", "{}_y", None)]
)
def test_every_way_to_name_a_column(columns, reading, writing):
    names = ("nose", "LShoulder", "right hip")
    header = ["Frame", *(c.format(name) for name in names for c in columns if c)]
    width = 2 if None in columns else 3
    text = table(header, [[t, *(np.array([[50, 60, 0.9]] * 3) + t)[:, :width].ravel().tolist()]
                          for t in range(2)])
    (sequence,) = file = reading(text)
    assert file.format == "wide" and sequence.observed[:, :3].all()
    assert sequence.skeleton.startswith("joints:nose,left_shoulder,right_hip")
    assert writing(file) == text


@pytest.mark.parametrize("label, start", [("{}{}", 1), ("{}{}", 0), ("landmark_{1}_{0}", 0),
                                          ("{1}_{0}", 0), ("kp{1}.{0}", 1)])
def test_numbers_in_the_header(label, start, reading, writing):
    text, places = numbered(label, start=start)
    (sequence,) = file = reading(text, image_size=SIZE)
    assert sequence.skeleton == "mediapipe33" and sequence.frames.tolist() == [0, 1, 2]
    np.testing.assert_allclose(sequence.keypoints, places)
    assert file.notes == (
        "no column of frames: rows are counted from 0", "columns that are not used: z of 33 joints"
    )
    assert writing(file) == text
    assert any("unknown size" in note for note in reading(text).notes)


def test_17_numbers_are_cocos_and_others_unknown(reading):
    text, places = numbered("{}{}", count=17, shares=False)
    (sequence,) = reading(text)
    assert sequence.skeleton == "coco17"
    np.testing.assert_allclose(sequence.keypoints, places)
    with pytest.raises(InputError, match="not a known format"):
        reading(numbered("{}{}", count=7)[0])


def test_a_joint_map_of_names(reading, tmp_path):
    (tmp_path / "map.json").write_text('{"names": {"LEFT_KNEE": "left_ankle"}}')
    (sequence,) = reading(NAMED, joint_map=tmp_path / "map.json")
    assert sequence.skeleton == "joints:nose,left_ankle,right_knee,right_ankle,left_knee"


def test_names_of_a_joint_map_that_the_file_lacks_are_told(reading, tmp_path):
    names = '{"names": {"LEFT_KNEE": "left_ankle", "LEFT_KNE": "left_knee", "paw": "left_wrist"}}'
    (tmp_path / "map.json").write_text(names)
    file = reading(NAMED, joint_map=tmp_path / "map.json")
    assert "names of the joint map that the file lacks: LEFT_KNE, paw" in file.notes


def test_a_joint_map_makes_a_table_known(reading, writing, tmp_path):
    text = table(["Kopf_x", "Kopf_y", "Knie li_x", "Knie li_y", "Knie re_x", "Knie re_y"],
                 [range(1, 7)])
    with pytest.raises(InputError, match="x and y of Kopf, Knie li, Knie re: .*--joint-map"):
        reading(text)
    (tmp_path / "map.json").write_text(
        '{"names": {"Knie li": "left_knee", "Knie re": "right_knee", "other": "nose"}}'
    )
    (sequence,) = file = reading(text, joint_map=tmp_path / "map.json")
    assert sequence.skeleton == "joints:Kopf,left_knee,right_knee" and writing(file) == text


def test_changes_in_shares_are_shares(reading, writing):
    text, places = numbered("{}{}")
    (sequence,) = file = reading(text, image_size=SIZE)
    keypoints = sequence.keypoints.copy()
    keypoints[1, 2] = 128.0, 72.0
    after = cells(writing(file.replace([sequence.replace(keypoints=keypoints)])))
    expected = cells(text)
    expected[2][8:10] = ["0.1", "0.1"]
    assert after == expected


def test_new_frames_and_joints_that_come_and_go(reading, writing, tmp_path, with_frames):
    (sequence,) = file = reading(NAMED)
    longer = with_frames(sequence, [5])
    keypoints, scores = longer.keypoints.copy(), longer.scores.copy()
    keypoints[0, 0], keypoints[1, 1], scores[1, 1] = np.nan, [5.5, 6.5], 0.75
    changed = longer.replace(keypoints=keypoints, scores=scores, provenance=None)
    after = cells(writing(file.replace([changed])))
    assert after[1] == ["3", "0.10", ".95", "", "", "-50.2", "", *cells(NAMED)[1][7:]]
    assert after[2][7:11] == ["5.5", "6.5", "", "0.75"]
    assert after[3] == ["5", "", "", *["7.0", "7.0", "", "0.5"] * 3]
    assert after[4] == cells(NAMED)[3]
    (again,) = formats.read(tmp_path / "out.csv")
    np.testing.assert_array_equal(again.keypoints, changed.keypoints)


@pytest.mark.parametrize("make", [lambda: NAMED, lambda: numbered("{}{}")[0]])
def test_upsampled_is_a_new_table(make, reading, writing, tmp_path):
    (sequence,) = file = reading(make(), image_size=SIZE)
    keypoints = np.random.default_rng(1).uniform(200, 700, (len(sequence), 28, 2))
    larger = PoseSequence(keypoints, None, None, "mpi_inf_3dhp", sequence.frames)
    after = cells(writing(file.replace([larger])))
    assert after[0][0] == ("frame_index" if make() is NAMED else "frame")
    assert ("LEFT_KNEE_visibility" if make() is NAMED else "left_knee_score") in after[0]
    (again,) = formats.read(tmp_path / "out.csv", image_size=SIZE)
    assert again.skeleton == "mpi_inf_3dhp" and again.frames.tolist() == sequence.frames.tolist()
    np.testing.assert_allclose(again.keypoints, keypoints)


def test_ids_and_rows_without_one(reading, writing, tmp_path):
    header = ["image", "track_id", *(f"{j}_{a}" for j in ("nose", "neck", "pelvis") for a in "xy")]

    def body(t, person):
        return [100 * person + t, 50, 100 * person, 80, 100 * person, 150 + t]

    rows = [[f"img_{t:03d}.png", person, *body(t, person)] for t in (7, 9) for person in (4, 2)]
    file = reading(table(header, rows))
    assert [s.person for s in file] == [4, 2] and file[0].frames.tolist() == [7, 9]
    assert writing(file) == table(header, rows)
    keypoints = np.insert(file[1].keypoints, 1, 33.0, 0)
    longer = file[1].replace(keypoints=keypoints, scores=None, frames=[7, 8, 9], provenance=None)
    after = cells(writing(file.replace([file[0], longer])))
    assert after[3] == ["img_008.png", "2", *["33.0"] * 6] and len(after) == 6
    # Without the column they are followed, and another set of people gets it.
    header, rows = header[:1] + header[2:], [row[:1] + row[2:] for row in rows]
    file = reading(table(header, rows))
    assert [len(s) for s in file] == [2, 2] and "followed 2 people" in file.notes[-1]
    assert writing(file) == table(header, rows)
    after = cells(writing(file.replace([file[0], file[1].replace(person="new")])))
    assert after[0][:2] == ["image", "person"] and {row[1] for row in after[1:]} == {"0", "new"}
    assert [s.person for s in formats.read(tmp_path / "out.csv")] == [0, "new"]


def test_sequences_without_a_file(writing, tmp_path):
    rng = np.random.default_rng(0)
    people = [
        PoseSequence(rng.uniform(10, 900, (2, 17, 2)), None, 25, "coco17", [1, 3], person)
        for person in (None, 0)
    ]
    after = cells(writing(people, "wide"))
    assert after[0][:5] == ["frame", "person", "nose_x", "nose_y", "nose_score"]
    assert [row[:2] for row in after[1:]] == [["1", ""], ["1", "0"], ["3", ""], ["3", "0"]]
    for sequence, again in zip(people, formats.read(tmp_path / "out.csv"), strict=True):
        np.testing.assert_array_equal(again.keypoints, sequence.keypoints)
        assert (again.person, again.skeleton) == (sequence.person, "coco17")
    assert cells(writing([people[0]], "wide"))[0][:2] == ["frame", "nose_x"]


@pytest.mark.parametrize(
    "text, message",
    [
        (NAMED.split("\n")[0], "a header and no frames"),
        (NAMED.rstrip()[:-3], "line 4 has 14 cells"),
        (NAMED.replace("RIGHT_KNEE_z", "NOSE_x"), "two columns are called 'NOSE_x'"),
        ("a_x,a_y,b_x,b_y\n1,2,3,4\n", "not a known format"),
        (table(["nose_x", "nose_y", "neck_x", "neck_y", "hip_x", "hip_y"], [[0] * 6]),
         "nothing to use"),
    ],
)
def test_mistakes_are_named_in_one_line(text, message, reading):
    with pytest.raises(InputError, match=f"in.csv: .*{message}") as caught:
        reading(text)
    assert "\n" not in str(caught.value)


# --- tables that differ by little -----------------------------------------------------------------


def same(path, out):
    """Reads a table, checks that it is written as it was, and returns its one person and notes."""
    (sequence,) = file = formats.read(path, image_size=SIZE)
    formats.write(file, out)
    assert out.read_bytes() == path.read_bytes()
    return sequence, file.notes


def test_joints_that_are_no_numbers_beside_them(tmp_path):
    sequence, notes = same(CASES / "11-numbered-landmarks" / "with_com.csv", tmp_path / "out.csv")
    joints = get_skeleton(sequence.skeleton).joints
    assert set(joints) == {*get_skeleton("mediapipe33").joints, "COM"} and len(sequence) == 8
    assert "joints that are not known are passed through: COM" in notes
    np.testing.assert_allclose(
        sequence.keypoints[0, joints.index("left_ankle")], [308.25, 579.7], atol=0.01
    )


def test_some_of_the_numbers(tmp_path):
    path = CASES / "11-numbered-landmarks" / "subset.csv"
    sequence, notes = same(path, tmp_path / "out.csv")
    joints = get_skeleton(sequence.skeleton).joints
    known = sequence.observed.all(0)
    assert len(joints) - known.sum() == 0 and set(joints) < set(get_skeleton("mediapipe33").joints)
    assert "25 joints have numbers up to 32: taken for those of mediapipe33; " in notes[0]
    np.testing.assert_allclose(
        sequence.keypoints[0, joints.index("right_ankle")], [230.9, 548.76], atol=0.01
    )
    (again,) = formats.read(path, joint_map="mediapipe33", image_size=SIZE)
    np.testing.assert_array_equal(again.keypoints, sequence.keypoints)


def test_the_axis_before_the_name(reading, writing):
    names = ("nose", "left_hip", "RHip")
    text = table(["frame", *(f"{a}_{n}" for n in names for a in "XY"), "x_min", "y_min"],
                 [[t, *range(9 + t, 17 + t)] for t in range(2)])
    (sequence,) = file = reading(text)
    np.testing.assert_array_equal(sequence.keypoints[0, :3], [[9, 10], [11, 12], [13, 14]])
    assert sequence.skeleton == "joints:nose,left_hip,right_hip,min" and writing(file) == text
    # Where names come first the others are no joints.
    text = table(["nose_x", "nose_y", "LHip_x", "LHip_y", "RHip_x", "RHip_y", "x_min", "y_min"],
                 [range(9, 17)])
    assert reading(text)[0].skeleton == "joints:nose,left_hip,right_hip"


@pytest.mark.parametrize(
    "label", ["{0}_{1}", "pose_{0}_{1}", "{0}[{1}]", "{0}.{1}", "{0}_kp_{1}", "{0}_landmark{1}"]
)
def test_the_axis_before_the_number(label, reading, writing):
    text, places = numbered(label)
    (sequence,) = file = reading(text, image_size=SIZE)
    assert sequence.skeleton == "mediapipe33"
    np.testing.assert_allclose(sequence.keypoints, places)
    assert writing(file) == text


def test_a_skeleton_says_which_joints_numbers_are(reading):
    text, places = numbered("{}{}", count=17, shares=False)
    (sequence,) = reading(text, joint_map="h36m17")
    assert sequence.skeleton == "h36m17"
    np.testing.assert_allclose(sequence.keypoints, places)
    with pytest.raises(InputError, match="are not numbers of the 17 in the joint map"):
        reading(NAMED, joint_map="coco17")


def test_few_numbers_with_some_left_out_are_none(reading):
    with pytest.raises(InputError, match="with x and y of 1, 3, 5, 7: fewer than three joints"):
        reading(table([f"{a}{k}" for k in (1, 3, 5, 7) for a in "xy"], [range(8)]))


@pytest.mark.parametrize("name", ["semicolons.csv", "tabs.tsv"])
def test_other_separators(name, tmp_path, with_frames):
    path = CASES / "11-numbered-landmarks" / name
    sequence, _ = same(path, tmp_path / f"out{path.suffix}")
    assert sequence.skeleton == "coco17" and len(sequence) == 8
    np.testing.assert_array_equal(sequence.keypoints[0, 0], [330.64, 226])
    file = formats.read(path)
    formats.write(file.replace([with_frames(sequence, [9])]), tmp_path / f"out{path.suffix}")
    assert len(formats.read(tmp_path / f"out{path.suffix}")[0]) == 9


def test_commas_before_decimals(reading, writing):
    text = "frame;nose_x;nose_y;neck_x;neck_y;hip_x;hip_y;note\n0;1,50;2;3,5;4;5;6,25;a,b\n"
    (sequence,) = file = reading(text)
    np.testing.assert_array_equal(sequence.keypoints[0], [[1.5, 2], [3.5, 4], [5, 6.25]])
    assert writing(file) == text
    moved = sequence.replace(keypoints=sequence.keypoints + [[[0, 0], [0, 0.25], [0, 0]]])
    assert writing(file.replace([moved])) == text.replace(";4;", ";4,25;")


def test_a_beginning_that_all_names_share(tmp_path):
    path = CASES / "15-prefixes" / "wide.csv"
    sequence, notes = same(path, tmp_path / "out.csv")
    assert sequence.skeleton == "mediapipe33" and len(sequence) == 8
    assert notes[0] == "'body_' before the names of joints is no part of them"


def test_two_sets_of_names_are_read_as_before(reading):
    names = ("nose", "left_hip", "right_hip", "world_nose", "world_left_hip", "world_right_hip")
    text = table([f"{n}_{a}" for n in names for a in "xy"], [np.arange(1, 13).tolist()])
    (sequence,) = file = reading(text)
    np.testing.assert_array_equal(sequence.keypoints[0, 0], [1, 2])
    assert "joints that are not known are passed through: world_nose" in file.notes[0]


@pytest.mark.parametrize("name, unit, fps", [
    ("timestamp", 1, 59.94), ("Time (s)", 1, 25), ("timestamp_ms", 1000, 30), ("time", 1000, 30),
])
def test_times_tell_the_rate(name, unit, fps, reading, writing):
    joints = ("nose", "left_knee", "right_knee")
    header = ["frame", name, *(f"{joint}_{axis}" for joint in joints for axis in "xy")]
    rows = [[t, round(t / fps * unit, 3), *range(100 + t, 106 + t)] for t in range(3, 20)]
    (sequence,) = file = reading(table(header, rows))
    assert sequence.fps == pytest.approx(fps, rel=0.005)
    assert any("by its column" in note for note in file.notes)
    assert writing(file) == table(header, rows)
    told = reading(table(header, rows), fps=100.0)
    assert told[0].fps == 100
    assert any("the file says" in note and "100 counts" in note for note in told.notes)
    assert not any("by its column" in note for note in told.notes)
    for few in (rows[:9], [[r[0], 7.0, *r[2:]] for r in rows]):
        assert reading(table(header, few))[0].fps is None


def test_times_of_two_decimals_tell_the_rate(reading):
    joints = ("nose", "left_hip", "right_hip")
    header = ["time", *(f"{joint}_{axis}" for joint in joints for axis in "xy")]
    rows = [[f"{t / 30:.2f}", *range(100 + t, 106 + t)] for t in range(30)]
    (sequence,) = reading(table(header, rows))
    assert sequence.fps == pytest.approx(30, rel=0.01)
    told = reading(table(header, rows), fps=30.0)
    assert not any("frames per second" in note for note in told.notes)
    assert told[0].fps == 30


@pytest.mark.parametrize("pair", [("p1_", "p2_"), ("person1.", "person2."), ("cam 1 ", "cam 2 ")])
def test_several_people_or_cameras_in_a_row_are_told(pair, tmp_path):
    joints = get_skeleton("coco17").joints
    names = {
        count: [f"{beginning}{joint}_{axis}" for beginning in pair[:count] for joint in joints
                for axis in "xy"]
        for count in (1, 2)
    }
    for count, header in names.items():
        rows = [header, *([str(50 + 7 * i + t) for i in range(len(header))] for t in range(3))]
        path = tmp_path / f"{count}.csv"
        path.write_text("".join(",".join(row) + "\n" for row in rows))
        file = formats.read(path)
        told = [note for note in file.notes if "several people or cameras" in note]
        assert len(told) == count - 1 and all(
            " ".join(beginning.strip(" _.").split()) in told[0] for beginning in pair if told
        )
        formats.write(file, tmp_path / "out.csv")
        assert (tmp_path / "out.csv").read_text() == path.read_text()
