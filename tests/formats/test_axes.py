"""Which way is up in tables, which axes are the picture, and zeros for lost markers."""

import csv
from pathlib import Path

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.formats import axes
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

CASES = Path(__file__).parent / "cases"
UPWARDS = "Y points up and is turned over"
JOINTS = get_skeleton("coco17").joints
LEFT_KNEE, LEFT_ANKLE, RIGHT_WRIST = (
    JOINTS.index(joint) for joint in ("left_knee", "left_ankle", "right_wrist")
)

# Someone standing: x to the person's left and y up, metres.
HEIGHTS = {
    "nose": (0, 1.6), "eye": (0.03, 1.64), "ear": (0.07, 1.62), "shoulder": (0.2, 1.4),
    "elbow": (0.25, 1.1), "wrist": (0.26, 0.85), "hip": (0.12, 0.9), "knee": (0.12, 0.5),
    "ankle": (0.12, 0.1),
}


def standing(frames=20):
    """(T, 17, 3) metres, x to the side, y up, z to the front: someone who turns and swings a leg.

    Bones are of constant length.
    """
    place = []
    for joint in JOINTS:
        side, _, stem = joint.partition("_")
        x, y = HEIGHTS[stem or joint]
        place.append((-x if side == "right" else x, y, 0.1 if joint == "nose" else 0.0))
    poses = np.repeat(np.array(place)[None], frames, 0)
    swing = 0.8 * np.sin(np.linspace(0, 6, frames))
    for joint in (LEFT_KNEE, LEFT_ANKLE):
        length = 0.9 - poses[:, joint, 1]
        poses[:, joint, 1] = 0.9 - length * np.cos(swing)
        poses[:, joint, 2] = length * np.sin(swing)
    turn = np.linspace(0, 1.5, frames)[:, None]
    x, z = poses[..., 0].copy(), poses[..., 2].copy()
    poses[..., 0] = np.cos(turn) * x + np.sin(turn) * z + np.linspace(0.5, 2, frames)[:, None]
    poses[..., 2] = np.cos(turn) * z - np.sin(turn) * x + 3
    return poses


def pixels(frames=20):
    """(T, 17, 2) the same in a picture of 1280 x 720, y down."""
    return standing(frames)[..., :2] * [400, -400] + [100, 700]


def wide(values, axis="xy", decimals=4):
    """A table of (T, 17, A) numbers, blank for NaN, rows counted from 0 in its column frame."""
    header = ["frame", *(f"{joint}_{a}" for joint in JOINTS for a in axis)]
    rows = [[t, *("" if np.isnan(v) else repr(round(v, decimals)) for v in row)]
            for t, row in enumerate(values.reshape(len(values), -1).tolist())]
    return "\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n"


def tidy(values, axis="xyz"):
    """The same with a row per joint."""
    rows = [[t, joint, *map(repr, values[t, k].tolist())]
            for t in range(len(values)) for k, joint in enumerate(JOINTS)]
    rows = [("Frame", "landmark", *axis), *rows]
    return "\n".join(",".join(map(str, row)) for row in rows) + "\n"


def sleap(values):
    header = ["track", "frame_idx", "instance.score", *(f"{j}.{a}" for j in JOINTS for a in "xy")]
    rows = [["", t, 0.9, *row] for t, row in enumerate(values.reshape(len(values), -1).tolist())]
    return "\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n"


def deeplabcut(values):
    header = [["scorer"] + ["s"] * 34, ["bodyparts", *(j for j in JOINTS for _ in "xy")],
              ["coords", *("x", "y") * 17]]
    rows = [[t, *row] for t, row in enumerate(values.reshape(len(values), -1).tolist())]
    return "\n".join(",".join(map(str, row)) for row in [*header, *rows]) + "\n"


TABLES = {"wide": wide, "sleap": sleap, "deeplabcut": deeplabcut}


def is_upright(file):
    """Whether heads are above feet, y down, in every frame that shows both."""
    (sequence,) = file
    return bool((sequence.keypoints[:, 0, 1] < sequence.keypoints[:, -1, 1]).all())


@pytest.fixture
def written(tmp_path):
    def write(file):
        formats.write(file, tmp_path / "out.csv")
        return (tmp_path / "out.csv").read_text()

    return write


def cells(text):
    return list(csv.DictReader(text.splitlines()))


# --- y up -----------------------------------------------------------------------------------------


def test_a_table_with_y_up(written):
    path = CASES / "04-y-up-table" / "y_up.csv"
    (sequence,) = file = formats.read(path)
    assert file.notes == (UPWARDS,) and is_upright(file)
    assert written(file) == path.read_text()
    keypoints = sequence.keypoints.copy()
    hole = ~sequence.observed
    assert hole.sum() == 28 and hole[8:22][:, [LEFT_KNEE, LEFT_ANKLE]].all()
    keypoints[hole] = [350.5, -150.25]
    whole = file.replace([sequence.replace(keypoints=keypoints, scores=None, provenance=None)])
    before, after = cells(path.read_text()), cells(written(whole))
    for t, (old, new) in enumerate(zip(before, after, strict=True)):
        changed = {name: new[name] for name in old if old[name] != new[name]}
        assert changed == ({"left_knee_x": "350.5", "left_knee_y": "150.25",
                            "left_ankle_x": "350.5", "left_ankle_y": "150.25"}
                           if 8 <= t < 22 else {})


@pytest.mark.parametrize("name", TABLES)
def test_every_table(name, reading, written):
    down, up = TABLES[name](pixels()), TABLES[name](pixels() * [1, -1] + [0, 720])
    file = reading(down)
    assert (file.format, file.notes) == (name, ()) and is_upright(file)
    assert written(file) == down
    (sequence,) = file = reading(up)
    assert (file.format, file.notes) == (name, (UPWARDS,)) and is_upright(file)
    assert written(file) == up
    # In a picture of known height they stand where they are in it.
    (sequence,) = file = reading(up, image_size=(1280, 720))
    np.testing.assert_allclose(sequence.keypoints, pixels(), atol=1e-3)
    assert written(file) == up
    moved = file.replace([sequence.replace(keypoints=sequence.keypoints + [0, 10])])
    again = reading(written(moved), image_size=(1280, 720))
    np.testing.assert_allclose(again[0].keypoints, pixels() + [0, 10], atol=1e-3)


def test_a_table_with_a_row_per_joint(reading):
    text = tidy(pixels() * [1, -1], "xy")
    (sequence,) = file = reading(text)
    assert (file.format, file.notes) == ("csv", (UPWARDS,))
    np.testing.assert_array_equal(sequence.keypoints, pixels())
    (sequence,) = file = reading(text, vertical="y-down")
    assert not file.notes and sequence.keypoints[0, 0, 1] < 0
    with pytest.raises(InputError, match="no joint has a z"):
        reading(text, vertical="z-up")


def test_what_is_filled_in_a_table_with_a_row_per_joint(reading, written):
    for places in (pixels() * [1, -1], pixels() * [1, -1] + [0, 720]):
        text = tidy(places, "xy")
        for size in (None, (1280, 720)):
            (sequence,) = file = reading(text, image_size=size)
            assert written(file) == text
            moved = file.replace([sequence.replace(keypoints=sequence.keypoints + [0, 8])])
            row = cells(written(moved))[0]
            assert float(row["y"]) == pytest.approx(places[0, 0, 1] - 8)
    places = standing()[..., [0, 2, 1]] * 1000
    places[5, RIGHT_WRIST] = 0.0
    (sequence,) = file = reading(tidy(places))
    assert np.argwhere(~sequence.observed).tolist() == [[5, RIGHT_WRIST]]
    assert written(file) == tidy(places)
    keypoints = sequence.keypoints.copy()
    keypoints[5, RIGHT_WRIST] = [12.5, -850.0]
    whole = sequence.replace(keypoints=keypoints, scores=None, provenance=None)
    before, after = cells(tidy(places)), cells(written(file.replace([whole])))
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [before[5 * 17 + RIGHT_WRIST] | {"x": "12.5", "y": "", "z": "850.0"}]


def test_y_points_down_in_our_own_tables(tmp_path):
    people = [PoseSequence(pixels() * [1, -1], person=1)]
    formats.write(people, tmp_path / "ours.csv")
    (sequence,) = file = formats.read(tmp_path / "ours.csv")
    assert not file.notes
    np.testing.assert_array_equal(sequence.keypoints, people[0].keypoints)
    assert formats.read(tmp_path / "ours.csv", vertical="y-up").notes == (UPWARDS,)


def test_shares_with_y_up(reading, written):
    text = wide((pixels() / [1280, 720]) * [1, -1] + [0, 1], decimals=9)
    (sequence,) = file = reading(text, image_size=(1280, 720))
    assert file.notes == (UPWARDS,)
    np.testing.assert_allclose(sequence.keypoints, pixels(), atol=1e-4)
    assert written(file) == text


def test_other_joints_of_a_table_with_y_up(reading, written):
    file = reading(wide(pixels() * [1, -1]))
    larger = PoseSequence(np.full((20, 28, 2), [5.0, -7.0]), skeleton="mpi_inf_3dhp")
    after = cells(written(file.replace([larger])))
    assert {(row["left_hand_x"], row["left_hand_y"]) for row in after} == {("5.0", "7.0")}


def test_netcdf(tmp_path):
    pytest.importorskip("h5netcdf")
    pytest.importorskip("xarray")
    people = [PoseSequence(pixels(), fps=25, person="a"), PoseSequence(pixels() + 5, person="b")]
    up = [s.replace(keypoints=s.keypoints * [1, -1]) for s in people]
    formats.write(up, tmp_path / "up.nc")
    file = formats.read(tmp_path / "up.nc")
    assert UPWARDS in file.notes
    np.testing.assert_array_equal(file[0].keypoints, people[0].keypoints)
    keypoints = file[0].keypoints.copy()
    keypoints[3, 2] = 17.0, 19.0
    for changed in (file[0].replace(keypoints=keypoints), file[0].replace(person="new")):
        formats.write(file.replace([changed, file[1]]), tmp_path / "out.nc")
        again = formats.read(tmp_path / "out.nc")
        np.testing.assert_array_equal(again[0].keypoints, changed.keypoints)
        raw = formats.read(tmp_path / "out.nc", vertical="y-down")
        np.testing.assert_array_equal(raw[0].keypoints, changed.keypoints * [1, -1])


def handstand(share):
    """Pixels, y down, where the first frames show someone upside down."""
    poses = pixels(40)
    count = round(40 * share)
    poses[:count, :, 1] = 800 - poses[:count, :, 1]
    return poses


@pytest.mark.parametrize("share, said", [(0, 0), (0.1, 0), (0.4, 0), (0.6, 1), (0.8, 1)])
def test_people_on_their_head_turn_nothing_over(share, said, reading):
    (sequence,) = file = reading(wide(handstand(share)))
    np.testing.assert_allclose(sequence.keypoints, handstand(share), atol=1e-3)
    assert len(file.notes) == said
    assert not said or f"below feet in {share:.0%} of the frames" in file.notes[0]
    assert not said or "--vertical y-up" in file.notes[0]


def posed(places, frames=20):
    """(T, 17, 2) pixels, y down, of joints by their stems, in metres, y up, who sway a little."""
    poses = np.zeros((frames, 17, 2))
    for k, joint in enumerate(JOINTS):
        side, _, stem = joint.partition("_")
        x, y = places[stem or joint]
        poses[:, k] = x + (0.05 if side == "left" else -0.05), y
    sway = np.sin(np.linspace(0, 9, frames))[:, None]
    poses[..., 0] += 0.05 * sway * poses[..., 1]
    return poses * [400, -400] + [400, 700]


LEGS_ON_THE_GROUND = {"hip": (0, 0.12), "knee": (0.25, 0.5), "ankle": (0.2, 0.08)}
TRUNK = {"shoulder": (0.05, 0.6), "elbow": (0.15, 0.4), "wrist": (0.35, 0.3),
         "nose": (0.1, 0.85), "eye": (0.1, 0.88), "ear": (0.06, 0.87)}
LOW = {
    "squatting": TRUNK | LEGS_ON_THE_GROUND,
    "sitting on the ground": TRUNK | {"hip": (0, 0.1), "knee": (0.3, 0.35), "ankle": (0.6, 0.1)},
    "sitting on a chair": TRUNK | {"hip": (0, 0.1), "knee": (0.4, 0.1), "ankle": (0.4, -0.35)},
    "crouching": TRUNK | LEGS_ON_THE_GROUND | {"shoulder": (0.35, 0.45), "nose": (0.5, 0.6),
                                              "eye": (0.5, 0.63), "ear": (0.45, 0.62)},
}
STANDING = {joint: (0, y) for joint, (_, y) in HEIGHTS.items()}
UPSIDE_DOWN = {
    "handstand": STANDING | {"elbow": (0, 1.6), "wrist": (0, 1.85)},
    "headstand": STANDING | {"elbow": (0.2, 1.5), "wrist": (0.2, 1.65)},
}
LYING = {
    "lying": {joint: (y, 0.1) for joint, (_, y) in HEIGHTS.items()},
    "push-up": {joint: (y, 0.1 + 0.3 * y) for joint, (_, y) in HEIGHTS.items()}
    | {"elbow": (1.4, 0.25), "wrist": (1.4, 0.0)},
}


@pytest.mark.parametrize("name", LOW)
@pytest.mark.parametrize("table", [*TABLES.values(), lambda places: tidy(places, "xy")])
def test_people_near_the_ground_with_y_up(name, table, reading, written):
    places = posed(LOW[name])
    file = reading(table(places))
    assert not file.notes
    np.testing.assert_allclose(file[0].keypoints, places, atol=1e-3)
    for up in (table(places * [1, -1] + [0, 900]), table(places * [1, -1])):
        file = reading(up)
        assert file.notes == (UPWARDS,) and is_upright(file)
        assert written(file) == up


@pytest.mark.parametrize("name", UPSIDE_DOWN)
def test_who_stands_on_their_hands_is_not_turned_over(name, reading):
    places = posed(UPSIDE_DOWN[name]) * [1, -1] + [0, 900]
    (sequence,) = file = reading(wide(places))
    np.testing.assert_allclose(sequence.keypoints, places, atol=1e-3)
    assert len(file.notes) == 1 and file.notes[0].startswith("people are head down or on their")
    assert reading(wide(places), vertical="y-up").notes == (UPWARDS,)


def push_ups_from_the_front():
    """Pixels, y down: hands on the ground, the trunk up and down behind the head."""
    places = posed({
        "nose": (0, 0.2), "eye": (0.02, 0.22), "ear": (0.05, 0.22), "shoulder": (0.15, 0.3),
        "elbow": (0.3, 0.3), "wrist": (0.3, 0.1), "hip": (0.1, 0.55), "knee": (0.1, 0.7),
        "ankle": (0.1, 0.8),
    }, 40)
    lift = 30 * np.sin(np.linspace(0, 20, 40))[:, None]
    places[:, [k for k, joint in enumerate(JOINTS) if "wrist" not in joint], 1] += lift
    return places


def test_push_ups_that_are_seen_from_the_front_are_not_turned_over(reading):
    places = push_ups_from_the_front()
    file = reading(wide(places))
    np.testing.assert_allclose(file[0].keypoints, places, atol=1e-3)
    assert len(file.notes) == 1 and "--vertical y-up" in file.notes[0]


@pytest.mark.parametrize("name", LYING)
def test_who_lies_is_turned_over_only_where_no_picture_holds_it(name, reading, written):
    places = posed(LYING[name])
    (sequence,) = file = reading(wide(places))
    np.testing.assert_allclose(sequence.keypoints, places, atol=1e-3)
    assert len(file.notes) == 1 and "--vertical y-up turns it over" in file.notes[0]
    (sequence,) = file = reading(wide(places * [1, -1]))
    np.testing.assert_allclose(sequence.keypoints, places, atol=1e-3)
    assert file.notes == (axes.BELOW_ZERO,)
    assert written(file) == wide(places * [1, -1])


def test_squatting_in_space_with_z_up(reading, written):
    places = posed(LOW["squatting"])
    places = (places - [400, 700]) / 400
    depth = np.sin(np.linspace(0, 3, 20))[:, None] * places[..., 0]
    across = np.sqrt(np.abs(places[..., 0] ** 2 - depth ** 2))
    places = np.stack([across, depth, -places[..., 1]], -1)
    text = wide(places + [1, 1, 0.2], "xyz", decimals=9)
    file = reading(text)
    assert axes.Z_UPWARDS in file.notes and is_upright(file)
    assert written(file) == text


PENN = Path(__file__).parents[3] / "shared" / "data" / "real2d" / "penn_dev.npz"


@pytest.mark.skipif(not PENN.exists(), reason="needs clips that are not part of the repository")
def test_no_clip_of_real_people_is_turned_over():
    data = np.load(PENN)
    places = data["keypoints_tenths"].astype(float)
    places[places == -32768] = np.nan
    skeleton = "joints:" + ",".join(data["joints"].tolist())
    turned = upright = 0
    for start, length in zip(data["clip_start"], data["clip_length"], strict=True):
        person = PoseSequence(places[start : start + length] / 10, skeleton=skeleton)
        turned += axes.is_turned([person])[0]
        flipped = person.replace(keypoints=person.keypoints * [1, -1] + [0, 1000])
        upright += axes.is_turned([flipped])[0]
    assert turned == 0 and upright >= 570


def test_in_a_table_with_y_up_they_do_not_either(reading):
    (sequence,) = file = reading(wide(handstand(0.1) * [1, -1]))
    assert file.notes == (UPWARDS,)
    np.testing.assert_allclose(sequence.keypoints, handstand(0.1), atol=1e-3)


def test_the_user_says_it(reading):
    text = wide(handstand(0.6))
    np.testing.assert_allclose(
        reading(text, vertical="y-up")[0].keypoints, handstand(0.6) * [1, -1], atol=1e-3
    )
    for up in (wide(pixels() * [1, -1]), text):
        file = reading(up, vertical="y-down")
        assert not file.notes and (file[0].keypoints[:, 0, 1] == file[0].keypoints[:, 0, 1]).all()
    with pytest.raises(InputError, match="no joint has a z"):
        reading(text, vertical="z-up")
    with pytest.raises(InputError, match="vertical must be"):
        reading(text, vertical="up")


def test_people_who_lie_or_are_seen_in_part_turn_nothing_over(reading):
    lying = pixels()[..., ::-1] * [1, 1]
    (sequence,) = file = reading(wide(lying))
    np.testing.assert_allclose(sequence.keypoints, lying, atol=1e-3)
    assert file.notes == (
        "people are hardly upright: Y is taken to point down; --vertical y-up turns it over",
    )
    arms = pixels() * [1, -1]
    arms[:, [k for k, joint in enumerate(JOINTS) if "shoulder" not in joint]] = np.nan
    assert UPWARDS not in reading(wide(arms)).notes
    half = pixels() * [1, -1]
    half[:, -4:] = np.nan  # no legs, but heads and hips
    assert UPWARDS in reading(wide(half)).notes


def test_the_option_means_nothing_where_places_are_those_of_a_picture(reading):
    values = np.concatenate([pixels(), np.ones((20, 17, 1))], -1).reshape(20, -1).tolist()
    content = [{"image_id": t, "idx": 1, "keypoints": row} for t, row in enumerate(values)]
    file = reading(content, vertical="y-up")
    assert file.notes == ("--vertical changes nothing: in alphapose files y points down",)


# --- in space -------------------------------------------------------------------------------------


def test_metres_around_the_hips(reading, written):
    path = CASES / "05-metres-taken-for-shares" / "metres.csv"
    (sequence,) = file = formats.read(path)
    assert "coordinates are no shares of a picture" in " ".join(file.notes)
    assert UPWARDS in file.notes and is_upright(file) and file.shares_of is None
    row = cells(path.read_text())[0]
    np.testing.assert_array_equal(
        sequence.keypoints[0, 0], [float(row["nose_X"]), -float(row["nose_Y"])]
    )
    assert written(file) == path.read_text()


def test_metres_around_the_hips_with_y_down_and_without_z(reading):
    places = standing()[..., :2] * [1, -1]
    places -= places[:, 11:13].mean(1, keepdims=True)  # as MediaPipe's world landmarks
    (sequence,) = file = reading(wide(places))
    np.testing.assert_allclose(sequence.keypoints, places, atol=1e-4)
    assert any("no shares" in note for note in file.notes) and UPWARDS not in file.notes
    content = [{"landmarks": [{"x": x, "y": y, "visibility": 1.0} for x, y in frame]}
               for frame in np.pad(places, ((0, 0), (0, 16), (0, 0)), mode="edge").tolist()]
    (sequence,) = file = reading(content)
    np.testing.assert_allclose(sequence.keypoints[:, :17], places)
    assert any("no shares" in note for note in file.notes)
    assert not any("distorted" in note for note in file.notes)


def test_metres_above_0_are_known_by_their_bones(reading, written):
    text = wide(standing(), "xyz", decimals=9)
    (sequence,) = file = reading(text)
    np.testing.assert_allclose(sequence.keypoints, standing()[..., :2] * [1, -1])
    assert any("no shares" in note for note in file.notes) and UPWARDS in file.notes
    assert written(file) == text
    # Unless the user says that they are shares, or they are: z is of the width of the picture.
    assert reading(text, image_size=(1280, 720)).shares_of == (1280, 720)
    shares = standing() * [400, -400, 400] + [100, 700, 0]
    file = reading(wide(shares / [1280, 720, 1280], "xyz", decimals=9))
    assert file.shares_of == (1920, 1080) and not any("no shares" in note for note in file.notes)


@pytest.mark.parametrize("scale", [1, 1000])
def test_z_up(scale, reading, written):
    places = standing()[..., [0, 2, 1]] * scale + [0, 0, 0.3 * scale]
    text = wide(places, "xyz", decimals=9)
    (sequence,) = file = reading(text)
    assert axes.Z_UPWARDS in file.notes and UPWARDS not in file.notes
    assert file.notes[-1] == "columns that are not used: y of 17 joints"
    np.testing.assert_allclose(sequence.keypoints, places[..., [0, 2]] * [1, -1])
    assert written(file) == text
    (sequence,) = file = reading(tidy(places))
    assert axes.Z_UPWARDS in file.notes and file.shares_of is None
    assert not any("unknown size" in note for note in file.notes)
    np.testing.assert_allclose(sequence.keypoints, places[..., [0, 2]] * [1, -1])
    assert axes.Z_UPWARDS not in reading(text, vertical="y-down").notes


def test_a_joint_that_is_filled_in_space_has_no_depth(reading, written):
    places = standing()[..., [0, 2, 1]] * 1000
    places[5, RIGHT_WRIST] = 0.0  # as lost markers are written
    places[6, RIGHT_WRIST, [0, 2]] = np.nan
    (sequence,) = file = reading(wide(places, "xyz"))
    assert np.argwhere(~sequence.observed).tolist() == [[5, RIGHT_WRIST], [6, RIGHT_WRIST]]
    assert written(file) == wide(places, "xyz")
    keypoints = sequence.keypoints.copy()
    keypoints[5:7, RIGHT_WRIST] = [12.5, -850.0]
    keypoints[7, RIGHT_WRIST] += 1  # refined: where it was along y
    whole = sequence.replace(keypoints=keypoints, scores=None, provenance=None)
    after = cells(written(file.replace([whole])))
    wrist = [[row[f"right_wrist_{a}"] for a in "xyz"] for row in after]
    assert wrist[5] == wrist[6] == ["12.5", "", "850.0"]
    assert wrist[7][1] == cells(wide(places, "xyz"))[7]["right_wrist_y"]


def test_depths_beside_places_of_a_picture_stay_unless_all_are_0(reading, written):
    places = np.concatenate([pixels(), np.full((20, 17, 1), 0.25)], -1)
    places[5, RIGHT_WRIST] = 0.0
    places[6, RIGHT_WRIST, :2] = np.nan
    (sequence,) = file = reading(wide(places, "xyz"))
    keypoints = np.where(sequence.observed[..., None], sequence.keypoints, 12.5)
    whole = sequence.replace(keypoints=keypoints, scores=None, provenance=None)
    after = cells(written(file.replace([whole])))
    assert [after[t]["right_wrist_z"] for t in (4, 5, 6)] == ["0.25", "", "0.25"]


# --- TRC ------------------------------------------------------------------------------------------


def trc(places, units="m"):
    """A TRC file of (T, 17, 3) numbers."""
    lines = [
        ["PathFileType", "4", "(X/Y/Z)", "x.trc"],
        ["DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units"],
        ["25", "25", str(len(places)), "17", units],
        ["Frame#", "Time", *(cell for joint in JOINTS for cell in (joint, "", ""))],
        ["", "", *(f"{a}{k + 1}" for k in range(17) for a in "XYZ")],
        *([str(t + 1), repr(t / 25), *map(repr, row)]
          for t, row in enumerate(places.reshape(len(places), -1).round(6).tolist())),
    ]
    return "\n".join("\t".join(line) for line in lines) + "\n"


@pytest.fixture
def trc_reading(tmp_path):
    def read(text, **options):
        (tmp_path / "in.trc").write_text(text)
        return formats.read(tmp_path / "in.trc", **options)

    return read


@pytest.fixture
def trc_written(tmp_path):
    def write(file):
        formats.write(file, tmp_path / "out.trc")
        return (tmp_path / "out.trc").read_text()

    return write


def test_zeros_are_lost_markers(trc_written):
    path = CASES / "14-trc-zero-is-missing" / "zeros.trc"
    (sequence,) = file = formats.read(path)
    wrist = sequence.skeleton.removeprefix("joints:").split(",").index("right_wrist")
    assert np.argwhere(~sequence.observed).tolist() == [[t, wrist] for t in range(10, 20)]
    assert trc_written(file) == path.read_text()
    keypoints = np.where(sequence.observed[..., None], sequence.keypoints, [-0.25, -0.875])
    whole = sequence.replace(keypoints=keypoints, scores=None, provenance=None)
    before, after = (
        [line.split("\t") for line in text.splitlines()]
        for text in (path.read_text(), trc_written(file.replace([whole])))
    )
    for row, (old, new) in enumerate(zip(before, after, strict=True)):
        changed = [cell for cell, was in zip(new, old, strict=True) if cell != was]
        assert changed == (["-0.25", "0.875", ""] if 16 <= row < 26 else [])


def test_z_up_in_trc(trc_reading, trc_written):
    places = standing()[..., [0, 2, 1]]
    (sequence,) = file = trc_reading(trc(places))
    assert file.notes == (
        "X and Z are read as the picture, in the file's own units (m)",
        "the markers are in space: their Y stays, and a filled joint has none",
        "Z points up and is turned over",
    )
    np.testing.assert_allclose(sequence.keypoints, places[..., [0, 2]] * [1, -1], atol=1e-6)
    assert trc_written(file) == trc(places)
    keypoints = sequence.keypoints.copy()
    keypoints[3, RIGHT_WRIST] = np.nan
    hole = file.replace([sequence.replace(keypoints=keypoints, provenance=None)])
    lines = trc_written(hole).splitlines()
    assert lines[8].split("\t")[2 + 3 * RIGHT_WRIST : 5 + 3 * RIGHT_WRIST] == [""] * 3
    again = trc_reading("\n".join(lines) + "\n")
    filled = np.concatenate([keypoints, keypoints[-1:]])
    filled[3, RIGHT_WRIST] = 0.5, -0.75
    longer = again[0].replace(
        keypoints=filled, frames=np.arange(1, 22), scores=None, provenance=None
    )
    after = trc_written(again.replace([longer])).splitlines()
    assert after[8].split("\t")[2 + 3 * RIGHT_WRIST : 5 + 3 * RIGHT_WRIST] == ["0.5", "", "0.75"]
    assert after[25].split("\t")[3::3] == [""] * 17
    larger = PoseSequence(np.full((20, 28, 2), [1.5, -2.5]), None, 25.0, "mpi_inf_3dhp",
                          np.arange(1, 21))
    text = trc_written(file.replace([larger]))
    column = text.splitlines()[3].split("\t").index("left_knee")
    assert text.splitlines()[5].split("\t")[column : column + 3] == [
        "1.5", repr(round(float(places[0, LEFT_KNEE, 1]), 6)), "2.5"
    ]


def test_the_user_says_it_of_trc(trc_reading):
    text = trc(standing()[..., [0, 2, 1]])
    assert "X and Y are read" in trc_reading(text, vertical="y-up").notes[0]
    assert trc_reading(text, vertical="y-down")[0].keypoints[0, 0, 1] > 0
    text = trc(standing())
    assert "X and Z are read" in trc_reading(text, vertical="z-up").notes[0]
    assert UPWARDS in trc_reading(text).notes
    down = trc(standing() * [1, -1, 0], "px")
    assert UPWARDS not in trc_reading(down).notes
