"""AlphaPose files: nothing is lost, only what changed is written, mistakes are named."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "detections"
SKELETONS = {
    17: "coco17", 26: "halpe26", 28: "mpi_inf_3dhp", 133: "coco133", 136: "halpe136",
}
COCO = get_skeleton("coco17")
MPI = get_skeleton("mpi_inf_3dhp")
WRIST, ANKLE, NOSE = (COCO.index(name) for name in ("left_wrist", "right_ankle", "nose"))


@pytest.fixture(params=["alphapose_halpe26", "alphapose_coco17"])
def real(request):
    path = SHARED / request.param / "alphapose-results.json"
    if not path.exists():
        pytest.skip(f"needs {path}")
    return path


def detection(image_id, seed=0, joints=17, **keys):
    """An object with numbers of full length, every joint seen."""
    rng = np.random.default_rng(seed)
    values = np.column_stack([rng.uniform(10, 900, (joints, 2)), rng.uniform(0.5, 1, joints)])
    return {
        "image_id": image_id, "category_id": 1, "keypoints": values.ravel().tolist(),
        "score": 2.123456789012345,
    } | keys


def clip(frames=(0, 1, 2, 3), **keys):
    return [detection(f"{frame}.jpg", seed=frame, idx=1, **keys) for frame in frames]


def save(path, records, **options):
    path.write_text(json.dumps(records, **options), encoding="utf-8")
    return path


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def joint(record, index):
    return record["keypoints"][3 * index : 3 * index + 3]


def put(record, index, values):
    record["keypoints"][3 * index : 3 * index + 3] = values


def changed(sequence, frame, index, place, score=None):
    """The sequence with a joint of a frame moved, and its score set if given."""
    keypoints, scores = sequence.keypoints.copy(), sequence.scores.copy()
    t = sequence.frames.tolist().index(frame)
    keypoints[t, index] = place
    if score is not None:
        scores[t, index] = score
    return sequence.replace(keypoints=keypoints, scores=scores)


# --- reading and writing back ---------------------------------------------------------------------


def test_real_files_come_back_the_same(real, tmp_path):
    formats.write(formats.read(real), tmp_path / "out.json")
    assert load(tmp_path / "out.json") == load(real)


def test_changing_one_joint_of_a_real_file_changes_its_numbers_alone(real, writing):
    file, before = formats.read(real), load(real)
    sequence = max(file, key=len)
    t, k = np.argwhere(sequence.observed)[100]
    place = sequence.keypoints[t, k] + [1.5, -2.25]
    moved = changed(sequence, sequence.frames[t], k, place)
    after = writing(file.replace([moved if s is sequence else s for s in file]))
    different = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert len(different) == 1
    put(before[different[0]], k, [*np.round(place, 4).tolist(), joint(before[different[0]], k)[2]])
    assert after == before


def test_a_real_file_on_the_models_skeleton_is_read_back(real, tmp_path):
    file = formats.read(real)
    file = file.replace([
        PoseSequence(np.ones((len(s), 28, 2)), skeleton="mpi_inf_3dhp", frames=s.frames,
                     person=s.person)
        for s in file
    ])
    formats.write(file, tmp_path / "out.json")
    again = load(tmp_path / "out.json")
    for record, old in zip(again, load(real), strict=True):
        assert len(record["keypoints"]) == 3 * 28
        assert record | {"keypoints": 0} == old | {"keypoints": 0}
    assert {s.skeleton for s in formats.read(tmp_path / "out.json")} == {"mpi_inf_3dhp"}


@pytest.mark.parametrize("joints", SKELETONS)
def test_what_is_read(joints, reading, writing):
    records = [detection("4.jpg", 1, joints, idx=7), detection("6.jpg", 2, joints, idx=7)]
    file = reading(records)
    (sequence,) = file
    values = np.reshape([record["keypoints"] for record in records], (2, joints, 3))
    np.testing.assert_array_equal(sequence.keypoints, values[..., :2])
    np.testing.assert_array_equal(sequence.scores, values[..., 2])
    assert sequence.frames.tolist() == [4, 6]
    assert (sequence.skeleton, sequence.person, sequence.fps) == (SKELETONS[joints], 7, None)
    assert file.format == "alphapose" and file.path.endswith("in.json") and not file.notes
    assert writing(file) == records


@pytest.mark.parametrize(
    "image_ids, frames",
    [
        ([3, 4, 8], [3, 4, 8]),
        ([3.0, 4.0, 8.0], [3, 4, 8]),
        (["3.jpg", "4.jpg", "8.jpg"], [3, 4, 8]),
        (["frames/000012.png", "frames/000013.png", "frames/000100.png"], [12, 13, 100]),
        (["2019/a12b3.jpeg", "2019/a12b4.jpeg", "2019/a12b10.jpeg"], [3, 4, 10]),
        (["c:\\v2\\img3", "c:\\v2\\img4", "c:\\v2\\img5"], [3, 4, 5]),
        (["shot.0012", "shot.0013", "shot.0014"], [12, 13, 14]),
        (["at12.5fps_0003.jp2", "at12.5fps_0004.jp2", "at12.5fps_0005.jp2"], [3, 4, 5]),
    ],
)
def test_frame_numbers_from_image_ids(image_ids, frames, reading, writing):
    records = [detection(image_id, seed, idx=1) for seed, image_id in enumerate(image_ids)]
    file = reading(records)
    assert file[0].frames.tolist() == frames and not file.notes
    assert writing(file) == records


@pytest.mark.parametrize(
    "names",
    [
        ["one.jpg", "two.jpg", "three.jpg"],
        ["v2/one.jp2", "v2/two.jp2", "v2/three.jp2"],  # the numbers are not the images'
        ["7.jpg", "two.jpg", "3.jpg"],
        [f"{n}" * 20 + ".jpg" for n in (3, 2, 1)],  # hashes
    ],
)
def test_without_numbers_the_order_of_the_file_counts(names, reading, writing):
    records = [
        detection(name, seed, idx=person) for person in (1, 2) for seed, name in enumerate(names)
    ]
    file = reading(records)
    assert [s.frames.tolist() for s in file] == [[0, 1, 2], [0, 1, 2]]
    assert len(file.notes) == 1 and "names without numbers" in file.notes[0]
    assert writing(file) == records


def test_frames_out_of_order(reading, writing):
    records = clip(frames=(10, 2, 1, 30))
    file = reading(records)
    assert file[0].frames.tolist() == [1, 2, 10, 30]
    np.testing.assert_array_equal(file[0].keypoints[2, NOSE], joint(records[0], NOSE)[:2])
    assert writing(file) == records


@pytest.mark.parametrize(
    "idx, person",
    [
        (3, 3), (3.0, 3), ([3.0], 3), ([[3.0], [3.0]], 3), ([3, 5], 3), ("anna", "anna"),
        (["anna"], "anna"), (0, 0), (2.5, 2.5),
    ],
)
def test_every_way_to_write_a_person(idx, person, reading, writing):
    records = [detection(frame, frame, idx=idx) for frame in range(3)]
    file = reading(records)
    assert [s.person for s in file] == [person]
    assert type(file[0].person) is type(person)
    assert writing(file) == records


@pytest.mark.parametrize("without", [{}, {"idx": None}, {"idx": []}])
def test_without_ids_people_are_tracked(without, reading, writing):
    records = [
        detection(frame, seed=person, **without) for frame in range(4) for person in (0, 1)
    ]
    file = reading(records)
    assert [len(s) for s in file] == [4, 4]
    np.testing.assert_array_equal(file[1].keypoints[3, NOSE], joint(records[1], NOSE)[:2])
    assert len(file.notes) == 1 and "tracked 2 people" in file.notes[0]
    assert writing(file) == records


def test_ids_of_some_objects_alone_do_not_count(reading, writing):
    records = [detection(frame, **({"idx": 5} if frame else {})) for frame in range(3)]
    file = reading(records)
    assert [len(s) for s in file] == [3]
    assert writing(file) == records


@pytest.mark.parametrize("idx", [[0.0], 7, "person"])
def test_one_id_for_everybody_is_none(idx, reading, writing, with_frames):
    records = [detection(t, seed=person, idx=idx) for t in range(9) for person in (1, 2)]
    file = reading(records)
    assert [len(sequence) for sequence in file] == [9, 9]
    assert file.notes == (
        "one id for several people of a frame, so ids do not count: tracked 2 people by pose "
        "similarity",
    )
    assert writing(file) == records
    after = writing(file.replace([file[0], with_frames(file[1], [9])]))
    assert after[:18] == records and after[18]["idx"] == idx


def test_joints_that_mean_nothing_do_not_disturb_tracking(reading):
    records = [detection(frame, seed=0) for frame in range(3)]
    for record in records:
        put(record, NOSE, [0, 0, 0.9])
        put(record, WRIST, [float("nan"), 1.0, float("nan")])
        put(record, ANKLE, [float("inf"), 1.0, 0.7])
    assert [len(s) for s in reading(records)] == [3]


def test_people_in_order_of_appearance(reading):
    records = [detection(0, 1, idx=9), detection(1, 2, idx=4), detection(1, 3, idx=9)]
    assert [(s.person, s.frames.tolist()) for s in reading(records)] == [(9, [0, 1]), (4, [1])]


@pytest.mark.parametrize("better", [0, 1])
def test_the_better_of_two_detections_of_a_person_in_a_frame_counts(better, reading, writing):
    records = clip(range(12))
    second = detection("1.jpg", seed=50, idx=1, score=2.5 if better else 0.5)
    records.insert(2, second)
    file = reading(records)
    np.testing.assert_array_equal(
        file[0].keypoints[1, NOSE], joint(records[1 + better], NOSE)[:2]
    )
    assert len(file[0]) == 12
    assert len(file.notes) == 1 and file.notes[0].startswith("1 second detection")
    assert writing(file) == records


@pytest.mark.parametrize("score", [{"score": None}, {"score": float("nan")}, {"score": "0.9"}])
def test_without_a_usable_score_the_joints_scores_decide(score, reading):
    records = clip(range(12))
    records[1] |= score
    records.insert(2, detection("1.jpg", 50, idx=1) | score)
    records[2]["keypoints"][2::3] = [1.0] * 17
    (sequence,) = reading(records)
    np.testing.assert_array_equal(sequence.keypoints[1, NOSE], joint(records[2], NOSE)[:2])


def test_unknown_keys_and_their_order_stay(reading, tmp_path):
    records = [
        {"box": [1.0, 2, 3.25, 4e-7], "naïve": {"a": [None, True, "ü"]}}
        | detection(frame, frame, idx=1, pose3d=[[1, 2, 3]])
        for frame in range(3)
    ]
    file = reading(records)
    formats.write(
        file.replace([changed(file[0], 1, WRIST, (1, 2))]), tmp_path / "out.json"
    )
    after = load(tmp_path / "out.json")
    assert [list(record) for record in after] == [list(record) for record in records]
    for old, new in zip(records, after, strict=True):
        assert new | {"keypoints": 0} == old | {"keypoints": 0}


def test_whole_numbers_stay_whole(reading, tmp_path):
    record = detection(0, idx=1) | {"keypoints": list(range(1, 52)), "score": 1}
    formats.write(reading([record]), tmp_path / "out.json")
    assert (tmp_path / "out.json").read_text() == json.dumps([record])


@pytest.mark.parametrize("text", ["[]", " [ ]\n", "\ufeff[]"])
def test_an_empty_list(text, tmp_path):
    path = tmp_path / "in.json"
    path.write_text(text, encoding="utf-8")
    file = formats.read(path)
    assert len(file) == 0 and file.notes == ("no detections",)
    formats.write(file, tmp_path / "out.json")
    assert load(tmp_path / "out.json") == []


def test_a_byte_order_mark_and_white_space(tmp_path, writing):
    path = tmp_path / "in.json"
    path.write_text("\ufeff\r\n " + json.dumps(clip(), indent=2), encoding="utf-8")
    assert writing(formats.read(path)) == clip()


def test_fps_is_the_callers(reading):
    assert reading(clip(), fps=25)[0].fps == 25


# --- which joints are missing ---------------------------------------------------------------------

UNSEEN = {
    "low score": [12.5, 13.5, 0.19],
    "at the origin": [0.0, 0.0, 0.9],
    "zeros": [0, 0, 0],
    "x NaN": [float("nan"), 13.5, 0.9],
    "score NaN": [12.5, 13.5, float("nan")],
    "null": [None, None, None],
    "a million pixels": [12.5, -1000001.0, 0.9],
    "no float": [12.5, 10**400, 0.9],
}
unseen = pytest.mark.parametrize("values", UNSEEN.values(), ids=UNSEEN)


@unseen
def test_missing_joints(values, reading):
    records = clip()
    put(records[2], WRIST, values)
    (sequence,) = reading(records)
    assert np.argwhere(~sequence.observed).tolist() == [[2, WRIST]]
    assert sequence.scores[2, WRIST] == 0


@pytest.mark.parametrize("values", [[0.0, 5.5, 0.9], [5.5, 0.0, 0.9], [-3.0, -4.0, 0.2]])
def test_joints_at_the_border_are_there(values, reading):
    records = clip()
    put(records[2], WRIST, values)
    (sequence,) = reading(records)
    assert sequence.observed.all() and sequence.keypoints[2, WRIST].tolist() == values[:2]


@pytest.mark.parametrize("min_score, seen", [(None, 15), (0.0, 17), (0.15, 16), (0.9, 14)])
def test_the_threshold(min_score, seen, reading, writing):
    records = [detection(0, idx=1)]
    records[0]["keypoints"][2::3] = [0.1, 0.2 - 1e-9, 0.2] + [0.95] * 14
    file = reading(records, min_score=min_score)
    assert file[0].observed.sum() == seen
    assert writing(file) == records


@unseen
def test_a_joint_that_stays_missing_keeps_its_numbers(values, reading, tmp_path):
    records = clip()
    put(records[2], WRIST, values)
    file = reading(records)
    formats.write(file.replace([changed(file[0], 2, ANKLE, (7, 8))]), tmp_path / "out.json")
    put(records[2], ANKLE, [7.0, 8.0, joint(records[2], ANKLE)[2]])
    assert (tmp_path / "out.json").read_text() == json.dumps(records)


@unseen
def test_a_joint_that_is_filled_gets_place_and_score(values, reading, writing):
    records = clip()
    put(records[2], WRIST, values)
    file = reading(records)
    after = writing(file.replace([changed(file[0], 2, WRIST, (12.5, 99.25), 0.625)]))
    put(records[2], WRIST, [12.5, 99.25, 0.625])
    assert after == records


def test_the_old_score_does_not_survive_under_a_filled_joint(reading, writing):
    records = clip()
    put(records[2], WRIST, [12.5, 13.5, 0.19])
    file = reading(records)
    after = writing(file.replace([changed(file[0], 2, WRIST, (12.5, 13.5), 0.05)]))
    assert joint(after[2], WRIST) == [12.5, 13.5, 0.05]


@pytest.mark.parametrize("values", [[12.5, 13.5, 0.1], [12.5, 13.5, 0.8]])
def test_the_threshold_of_reading_is_that_of_writing(values, reading, writing):
    records = clip()
    put(records[2], WRIST, values)
    file = reading(records, min_score=0.9)
    assert not file[0].observed[2, WRIST]
    after = writing(file.replace([changed(file[0], 2, WRIST, (1, 2), 0.95)]))
    assert joint(after[2], WRIST) == [1.0, 2.0, 0.95]
    put(after[2], WRIST, values)
    assert after == records


def test_impossible_numbers_are_counted_in_one_line(reading, writing):
    records = clip(range(12))
    put(records[1], WRIST, [1e30, 5.0, 0.9])
    put(records[2], WRIST, [float("nan")] * 3)
    records.append(detection("3.jpg", seed=9, idx=1, score=0.1))
    file = reading(records)
    assert file.notes == (
        "1 second detections of a person in one frame and 2 joints with impossible numbers "
        "are kept as they are",
    )
    assert json.dumps(writing(file)) == json.dumps(records)


def test_people_detected_twice_where_people_are_tracked(reading, writing):
    records = [
        detection(frame, seed=person, score=2.0 + person) for frame in range(3) for person in (1, 2)
    ]
    again = detection(1, seed=2, score=9.5)
    again["keypoints"] = [value + 1.5 if k % 3 < 2 else value for k, value in
                          enumerate(again["keypoints"])]
    records += [again, detection(2, seed=1, score=0.5)]
    file = reading(records)
    assert [len(s) for s in file] == [3, 3]
    assert "2 second detections of a person in one frame" in file.notes[1]
    second = file[1]
    np.testing.assert_array_equal(second.keypoints[1, NOSE], joint(again, NOSE)[:2])
    assert writing(file) == records


def test_a_crowd_that_no_frame_holds(reading, writing, monkeypatch):
    monkeypatch.setattr("posegan_jax.formats.records.CROWD", 3)
    people = [detection(t, seed=person, score=1.0 + person) for t in (0, 1) for person in range(5)]
    file = reading(people)
    assert [len(sequence) for sequence in file] == [2] * 3
    assert file.notes == (
        "no ids in the file: tracked 3 people by pose similarity",
        "4 people beyond the best 3 of a frame are kept as they are",
    )
    for sequence, best in zip(file, people[2:5], strict=True):
        np.testing.assert_array_equal(sequence.keypoints[0, NOSE], joint(best, NOSE)[:2])
    assert writing(file) == people


@pytest.mark.parametrize(
    "values, min_score", [([12.5, 13.5, 0.1], None), ([12.5, 13.5, 0.8], 0.9), ([0, 0, 1], 0.0)]
)
def test_not_one_usable_joint(values, min_score, reading):
    records = [detection(frame, idx=1) | {"keypoints": values * 17} for frame in range(3)]
    with pytest.raises(InputError, match="in.json: not one joint .*--min-score") as caught:
        reading(records, min_score=min_score)
    assert "\n" not in str(caught.value)


def test_someone_without_any_joint_is_nobody_where_people_are_tracked(reading, writing):
    records = [detection(frame, seed=0) for frame in range(3)]
    records.insert(1, detection(0) | {"keypoints": [0] * 51})
    file = reading(records)
    assert [len(s) for s in file] == [3] and "tracked 1 person by" in file.notes[0]
    assert writing(file) == records


# --- only what changed ----------------------------------------------------------------------------


def test_a_joint_that_moves_keeps_its_score_and_all_else(reading, writing):
    records = clip()
    file = reading(records)
    after = writing(file.replace([changed(file[0], 2, WRIST, (1.23456789, 2))]))
    put(records[2], WRIST, [1.2346, 2.0, joint(records[2], WRIST)[2]])
    assert after == records


def test_a_score_that_changes(reading, writing):
    records = clip()
    file = reading(records)
    after = writing(file.replace([changed(file[0], 2, WRIST, file[0].keypoints[2, WRIST], 0.75)]))
    records[2]["keypoints"][3 * WRIST + 2] = 0.75
    assert after == records


def test_a_joint_that_the_user_removes_becomes_zeros(reading, writing):
    records = clip()
    file = reading(records)
    after = writing(file.replace([changed(file[0], 2, WRIST, np.nan)]))
    put(records[2], WRIST, [0.0, 0.0, 0.0])
    assert after == records


def test_writing_changes_nothing_in_memory(reading, writing):
    file = reading(clip())
    other = file.replace([changed(file[0], 2, WRIST, (1, 2))])
    before = copy.deepcopy(file.source.content)
    writing(other)
    assert file.source.content == before and writing(file) == clip()


def test_changes_reach_the_right_person(reading, writing):
    records = [
        detection(frame, 10 * frame + person, idx=person) for frame in (0, 1) for person in (4, 2)
    ]
    file = reading(records)
    second = next(s for s in file if s.person == 2)
    after = writing(file.replace([changed(second, 1, WRIST, (1, 2)), file[0]]))
    put(records[3], WRIST, [1.0, 2.0, joint(records[3], WRIST)[2]])
    assert after == records


def test_a_second_detection_is_left_alone(reading, writing):
    records = clip(range(12))
    records.insert(2, detection("1.jpg", seed=50, idx=1, score=0.5))
    file = reading(records)
    after = writing(file.replace([changed(file[0], 1, WRIST, (1, 2))]))
    put(records[1], WRIST, [1.0, 2.0, joint(records[1], WRIST)[2]])
    assert after == records


def test_people_who_are_left_out_stay_in_the_file(reading, writing):
    records = [detection(frame, idx=person) for frame in (0, 1) for person in (4, 2)]
    file = reading(records)
    assert writing(file.replace(file[:1])) == writing(file.replace([])) == records


# --- new frames -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image_ids, frames, expected",
    [
        ([3, 6], [4, 5], [3, 4, 5, 6]),
        (["3.jpg", "6.jpg"], [4, 5], ["3.jpg", "4.jpg", "5.jpg", "6.jpg"]),
        (["a/0009.png", "a/0011.png"], [10], ["a/0009.png", "a/0010.png", "a/0011.png"]),
        (["98.jpg", "101.jpg"], [99, 100], ["98.jpg", "99.jpg", "100.jpg", "101.jpg"]),
        (["v2_1/t3_07.jpg", "v2_1/t3_09.jpg"], [8],
         ["v2_1/t3_07.jpg", "v2_1/t3_08.jpg", "v2_1/t3_09.jpg"]),
        (["3.jpg", "6.jpg"], [1, 9], ["1.jpg", "3.jpg", "6.jpg", "9.jpg"]),
        (["100.jpg", "098.jpg"], [99], ["100.jpg", "098.jpg", "099.jpg"]),  # padded, unsorted
        (["one.jpg", "two.jpg"], [2], ["one.jpg", "two.jpg", "2.jpg"]),
    ],
)
def test_new_frames_in_the_manner_of_the_others(
    image_ids, frames, expected, reading, writing, with_frames
):
    records = [detection(image_id, seed, idx=1) for seed, image_id in enumerate(image_ids)]
    file = reading(records)
    after = writing(file.replace([with_frames(file[0], frames)]))
    assert [record["image_id"] for record in after] == expected
    assert [type(record["image_id"]) for record in after] == [type(name) for name in expected]
    assert [record for record in after if record["image_id"] in image_ids] == records
    new = next(record for record in after if record["image_id"] not in image_ids)
    assert new == {
        "image_id": new["image_id"], "category_id": 1, "keypoints": [7.0, 7.0, 0.5] * 17,
        "score": 0.5, "idx": 1,
    }


def test_what_is_added_is_read_back(reading, writing, tmp_path, with_frames):
    file = reading(clip(frames=(3, 4, 9)))
    longer = with_frames(file[0], [5, 6, 7, 8])
    writing(file.replace([longer]))
    (again,) = formats.read(tmp_path / "out.json")
    for name in ("keypoints", "scores", "frames"):
        np.testing.assert_array_equal(getattr(again, name), getattr(longer, name))


def test_rows_without_any_joint_are_no_detections(reading, writing, with_frames):
    file = reading(clip(frames=(3, 9)))
    longer = with_frames(file[0], [5, 6])
    keypoints = longer.keypoints.copy()
    keypoints[1] = np.nan
    keypoints[2, 1:] = np.nan
    after = writing(file.replace([longer.replace(keypoints=keypoints)]))
    assert [record["image_id"] for record in after] == ["3.jpg", "6.jpg", "9.jpg"]
    assert after[1]["keypoints"] == [7.0, 7.0, 0.5] + [0.0] * 48
    assert after[1]["score"] == 0.5


def test_a_new_object_stands_with_those_of_its_image(reading, writing, with_frames):
    # In the order of names rather than numbers, as a directory is listed.
    records = [detection(f"{frame}.jpg", idx=1) for frame in (0, 1, 10, 11, 2, 3)]
    records.insert(1, detection("0.jpg", idx=2))
    records.append(detection("3.jpg", idx=2))
    file = reading(records)
    second = with_frames(file[1], [1, 2])
    after = writing(file.replace([file[0], second]))
    images = [(record["image_id"], record["idx"]) for record in after]
    assert images == [
        ("0.jpg", 1), ("0.jpg", 2), ("1.jpg", 1), ("1.jpg", 2), ("10.jpg", 1), ("11.jpg", 1),
        ("2.jpg", 1), ("2.jpg", 2), ("3.jpg", 1), ("3.jpg", 2),
    ]


def test_a_new_object_of_an_image_without_number_bears_its_name(reading, writing, with_frames):
    names = ["one.jpg", "two.jpg", "three.jpg"]
    records = [detection(name, idx=1) for name in names]
    records += [detection(name, idx=2) for name in names[::2]]
    file = reading(records)
    after = writing(file.replace([file[0], with_frames(file[1], [1])]))
    assert [record for record in after if record["keypoints"][0] == 7] == [
        {"image_id": "two.jpg", "category_id": 1, "keypoints": [7.0, 7.0, 0.5] * 17, "score": 0.5,
         "idx": 2}
    ]
    assert [record for record in after if record["keypoints"][0] != 7] == records


@pytest.mark.parametrize(
    "keys", [{"idx": [1.0], "category_id": 3}, {"idx": [[1.0], [2.0]]}, {"idx": "anna"}, {}]
)
def test_a_new_object_says_who_it_is_as_the_others_do(keys, reading, writing, with_frames):
    file = reading([detection(frame, **keys) for frame in (0, 2)])
    after = writing(file.replace([with_frames(file[0], [1])]))
    assert [list(record) for record in after] == [list(after[0])] * 3
    for key in ("idx", "category_id"):
        assert after[1].get(key) == after[0].get(key)


def test_a_new_person(reading, writing):
    file = reading(clip(frames=(0, 1)))
    newcomer = PoseSequence(np.ones((2, 17, 2)), frames=[1, 2], person=8)
    after = writing(file.replace([*file, newcomer]))
    assert [(record["image_id"], record["idx"]) for record in after] == [
        ("0.jpg", 1), ("1.jpg", 1), ("1.jpg", 8), ("2.jpg", 8)
    ]


# --- another skeleton -----------------------------------------------------------------------------


def upsampled(sequence):
    keypoints = np.arange(len(sequence) * 56.0).reshape(-1, 28, 2) + 1
    return PoseSequence(
        keypoints, np.full((len(sequence), 28), 0.5), None, "mpi_inf_3dhp", sequence.frames,
        sequence.person,
    )


def test_another_skeleton_replaces_the_list(reading, writing, tmp_path):
    records = clip(box=[1, 2, 3, 4])
    file = reading(records)
    larger = upsampled(file[0])
    after = writing(file.replace([larger]))
    for old, new in zip(records, after, strict=True):
        assert len(new["keypoints"]) == 84
        assert new | {"keypoints": 0} == old | {"keypoints": 0}
    (again,) = formats.read(tmp_path / "out.json")
    assert again.skeleton == "mpi_inf_3dhp"
    np.testing.assert_array_equal(again.keypoints, larger.keypoints)
    np.testing.assert_array_equal(again.scores, larger.scores)


def test_missing_joints_of_another_skeleton_are_zeros(reading, writing):
    file = reading(clip(frames=(0, 1)))
    larger = changed(upsampled(file[0]), 1, MPI.index("head_top"), np.nan)
    larger = changed(larger, 0, slice(None), np.nan)
    after = writing(file.replace([larger]))
    assert joint(after[1], MPI.index("head_top")) == [0, 0, 0]
    assert after[0]["keypoints"] == [0] * 84
    assert np.count_nonzero(after[1]["keypoints"]) == 81


def test_objects_of_nobody_change_skeleton_by_name(reading, writing, tmp_path):
    records = clip(range(12))
    records.insert(2, detection("1.jpg", seed=50, idx=1, score=0.5))
    records.append(detection("3.jpg", seed=60, idx=2))
    file = reading(records)
    after = writing(file.replace([upsampled(file[0])]))
    for i in (2, 13):
        assert after[i] | {"keypoints": 0} == records[i] | {"keypoints": 0}
        for k, name in enumerate(MPI.joints):
            known = joint(records[i], COCO.index(name)) if name in COCO else [0, 0, 0]
            assert joint(after[i], k) == known
    assert {s.skeleton for s in formats.read(tmp_path / "out.json")} == {"mpi_inf_3dhp"}


def test_sequences_left_on_the_old_skeleton_follow_by_name(reading, writing, tmp_path, with_frames):
    # Someone of whom too little is seen to be completed stands beside one who was.
    records = [detection(0, idx=1), detection(0, 1, idx=2), detection(2, 2, idx=2)]
    file = reading(records)
    old = with_frames(changed(file[1], 2, WRIST, (1, 2)), [1])
    after = writing(file.replace([upsampled(file[0]), old]))
    assert [len(record["keypoints"]) for record in after] == [84] * 4
    ankle, wrist, toe = (MPI.index(n) for n in ("right_ankle", "left_wrist", "left_toe"))
    assert joint(after[1], ankle) == joint(records[1], ANKLE)
    assert joint(after[2], ankle) == [7.0, 7.0, 0.5]
    assert joint(after[3], wrist) == [1.0, 2.0, joint(records[2], WRIST)[2]]
    assert joint(after[2], toe) == joint(after[3], toe) == [0, 0, 0]
    assert [len(s) for s in formats.read(tmp_path / "out.json")] == [1, 3]


def test_two_new_skeletons_do_not_fit_into_one_file(reading, tmp_path):
    file = reading([detection(0, idx=1), detection(0, 1, idx=2)])
    halpe = PoseSequence(np.ones((1, 26, 2)), skeleton="halpe26", person=1)
    with pytest.raises(InputError, match="one skeleton, not halpe26 and mpi_inf_3dhp; choose one"):
        formats.write(file.replace([halpe, upsampled(file[1])]), tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("skeleton", ["body25", "h36m17", "alphapose12"])
def test_skeletons_that_would_be_read_as_another_are_refused(skeleton, reading, tmp_path):
    # h36m17 has as many joints as coco17.
    file = reading(clip())
    sequence = PoseSequence(np.ones((2, len(get_skeleton(skeleton)), 2)), skeleton=skeleton)
    with pytest.raises(InputError, match=f"out.json: .* hold coco17, .*not {skeleton}; .* .npz"):
        formats.write(file.replace([sequence]), tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


# --- from scratch ---------------------------------------------------------------------------------


@pytest.mark.parametrize("joints", SKELETONS)
def test_sequences_without_a_file(joints, writing, tmp_path):
    rng = np.random.default_rng(0)
    sequences = []
    for person in (3, 1):
        keypoints = rng.uniform(1, 500, (4, joints, 2)).round(4)
        keypoints[2, 5] = np.nan
        sequences.append(
            PoseSequence(
                keypoints, rng.uniform(0.3, 1, (4, joints)).round(4), 25.0, SKELETONS[joints],
                [2, 3, 7, 10], person,
            )
        )
    records = writing(sequences)
    assert [(r["image_id"], r["idx"]) for r in records] == [
        (f"{frame}.jpg", person) for frame in (2, 3, 7, 10) for person in (3, 1)
    ]
    again = formats.read(tmp_path / "out.json")
    for old, new in zip(sequences, again, strict=True):
        assert (new.person, new.skeleton) == (old.person, old.skeleton)
        for name in ("keypoints", "scores", "frames"):
            np.testing.assert_array_equal(getattr(new, name), getattr(old, name))


def test_a_sequence_without_a_person(writing, tmp_path):
    sequence = PoseSequence(np.random.default_rng(0).uniform(1, 90, (1, 17, 2)).repeat(3, axis=0))
    assert not any("idx" in record for record in writing([sequence]))
    (again,) = formats.read(tmp_path / "out.json")
    assert len(again) == 3


def test_no_sequences(writing):
    assert writing([]) == []
    assert writing([PoseSequence(np.zeros((0, 17, 2)))]) == []


# --- one object per image -------------------------------------------------------------------------

BY_IMAGE = {"cmu": ("bodies", "joints"), "open": ("people", "pose_keypoints_2d")}


@pytest.fixture(params=BY_IMAGE)
def by_image(request):
    """frame -> how many people, as --format cmu or open has it."""
    people, joints = BY_IMAGE[request.param]

    def make(counts):
        return {
            f"{frame:03d}.jpg": {
                "version": "AlphaPose v0.3",
                people: [
                    {joints: detection(frame, seed, 18)["keypoints"]} for seed in range(count)
                ],
            }
            for frame, count in counts.items()
        }

    make.keys = people, joints
    return make


def test_images_with_lists_of_people(by_image, reading, writing):
    people, joints = by_image.keys
    content = by_image({7: 2, 8: 0, 9: 2, 11: 1})
    content["007.jpg"][people][0]["unknown"] = content["008.jpg"]["more"] = [1, None]
    file = reading(content)
    assert file.format == "alphapose" and {s.skeleton for s in file} == {"coco18"}
    assert [s.frames.tolist() for s in file] == [[7, 9, 11], [7, 9]]
    values = np.reshape(content["009.jpg"][people][1][joints], (18, 3))
    np.testing.assert_array_equal(file[1].keypoints[1], values[:, :2])
    assert writing(file) == content

    moved = changed(file[1], 9, 2, (1.5, 2.5))
    assert writing(file.replace([file[0], moved]))["009.jpg"][people][1][joints][6:8] == [1.5, 2.5]
    assert writing(file) == content


def test_new_people_of_images(by_image, reading, writing, with_frames):
    people, joints = by_image.keys
    content = by_image({7: 1, 8: 0, 11: 1})
    file = reading(content)
    after = writing(file.replace([with_frames(file[0], [8, 9])]))
    assert list(after) == ["007.jpg", "008.jpg", "009.jpg", "011.jpg"]
    new = [{joints: [7.0, 7.0, 0.5] * 18}]
    assert after["008.jpg"] == {"version": "AlphaPose v0.3", people: new}
    assert after["009.jpg"] == {"version": "AlphaPose v0.3", people: new}
    assert {name: after[name] for name in ("007.jpg", "011.jpg")} == {
        name: content[name] for name in ("007.jpg", "011.jpg")
    }


def test_images_upsampled(by_image, reading, writing, tmp_path):
    people, joints = by_image.keys
    file = reading(by_image({7: 2, 8: 1}))
    after = writing(file.replace([upsampled(file[0]), file[1]]))
    assert [len(p[joints]) for image in after.values() for p in image[people]] == [84] * 3
    again = formats.read(tmp_path / "out.json")
    assert {s.skeleton for s in again} == {"mpi_inf_3dhp"}
    np.testing.assert_array_equal(again[0].keypoints[0], upsampled(file[0]).keypoints[0])


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda c, p, j: c.update({"9.jpg": {}}), "image '9.jpg' has no list of (bodies|people)"),
        (lambda c, p, j: c.update({"9.jpg": None}), "image '9.jpg' has no list"),
        (lambda c, p, j: c["007.jpg"].update({p: 5}), "image '007.jpg' has no list"),
        (lambda c, p, j: c["007.jpg"][p].append(5), "'007.jpg', person 1: must be an object"),
        (lambda c, p, j: c["007.jpg"][p][0].pop(j), "'007.jpg', person 0: keypoints must be"),
        (lambda c, p, j: c["007.jpg"][p][0].update({j: ["a"] * 54}), "keypoints must be numbers"),
        (lambda c, p, j: c["007.jpg"][p][0].update({j: [1] * 51}), "with 1[78] joints where"),
    ],
)
def test_mistakes_in_images(spoil, message, by_image, reading):
    content = by_image({7: 1, 8: 1})
    spoil(content, *by_image.keys)
    with pytest.raises(InputError, match=f"in.json: .*{message}") as caught:
        reading(content)
    assert "\n" not in str(caught.value)


def test_coco_keypoint_results_are_the_same_list(reading, writing):
    records = [
        {"image_id": 139 + frame, "category_id": 1, "keypoints": detection(0)["keypoints"],
         "score": 0.9, "foot_kpts": [1.0, 2.0, 1.0] * 6, "face_kpts": [0] * 204}
        for frame in range(3)
    ]
    file = reading(records)
    assert file[0].frames.tolist() == [139, 140, 141] and writing(file) == records


def test_image_numbers_too_far_apart_are_no_frame_numbers(reading, writing):
    records = [detection(number, seed, idx=1) for seed, number in enumerate([5, 2**62, 77])]
    file = reading(records)
    assert file[0].frames.tolist() == [0, 1, 2] and "too far apart" in file.notes[0]
    assert writing(file) == records


# --- mistakes -------------------------------------------------------------------------------------


def broken(**keys):
    """A clip whose second object is replaced in part; None removes a key."""
    records = clip()
    records[1] = {k: v for k, v in (records[1] | keys).items() if v is not None}
    return records


@pytest.mark.parametrize(
    "records, message",
    [
        (broken(image_id=None), "object 1 has no image_id"),
        ([*clip(), 5], "object 4 has no image_id"),
        ([*clip(), None], "object 4 has no image_id"),
        ([*clip(), "image_id"], "object 4 has no image_id"),
        (broken(image_id=float("nan")), "object 1 has the image_id nan; it must be a whole"),
        (broken(image_id=float("inf")), "object 1 has the image_id inf"),
        (broken(image_id=1.5), "object 1 has the image_id 1.5; it must be a whole number or"),
        (broken(image_id=True), "object 1 has the image_id True"),
        (broken(image_id=10**30), "object 1 has the image_id 10{30}"),
        (broken(image_id=["1.jpg"]), r"object 1 has the image_id \['1.jpg'\]"),
        (broken(keypoints=None), "object 1 .*'1.jpg'.*keypoints must be a list of x, y, score"),
        (broken(keypoints=[]), "object 1 .*'1.jpg'.*keypoints must be a list of x, y, score"),
        (broken(keypoints=[1.0] * 50), "object 1 .*'1.jpg'.*list of x, y, score"),
        (broken(keypoints={"nose": 1}), "object 1 .*'1.jpg'.*list of x, y, score"),
        (broken(keypoints="1 2 3"), "object 1 .*'1.jpg'.*list of x, y, score"),
        (broken(keypoints=[1.0] * 50 + ["1"]), "object 1 .*'1.jpg'.*keypoints must be numbers"),
        (broken(keypoints=[1.0] * 50 + [True]), "object 1 .*keypoints must be numbers"),
        (broken(keypoints=[[1.0, 2.0, 0.5]] * 51), "object 1 .*keypoints must be numbers"),
        (broken(idx=float("nan")), "object 1 .*'1.jpg'.*idx must be a number or a name, not nan"),
        (broken(idx=[float("-inf")]), "object 1 .*idx must be a number or a name"),
        (broken(idx={"id": 1}), "object 1 .*idx must be a number or a name"),
        (broken(idx=[True]), "object 1 .*idx must be a number or a name"),
        (broken(keypoints=[1.0] * 78), "frame 1 has someone with 26 joints where others have 17"),
        ([detection(0, joints=21)], "no known skeleton has 21 joints; known: .*17, 26, 28"),
    ],
)
def test_mistakes_are_named_in_one_line(records, message, reading):
    with pytest.raises(InputError, match=f"in.json: .*{message}") as caught:
        reading(records)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_a_file_that_is_cut_off(share, tmp_path):
    text = json.dumps(clip())
    path = tmp_path / "in.json"
    path.write_text(text[: int(share * len(text))])
    with pytest.raises(InputError, match="in.json: not valid JSON .*cut off") as caught:
        formats.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace('"score"', "'score'", 1).encode(),
        lambda text: text.encode() + b"[",
        lambda text: text.encode().replace(b"jpg", b"\xff\xfe", 1),
        lambda text: text.replace("2.123456789012345", "[" * 100_000, 1).encode(),
        lambda text: text.replace("2.123456789012345", "9" * 10_000, 1).encode(),
    ],
    ids=["quotes", "more after the end", "not UTF-8", "too deep", "too long a number"],
)
def test_what_is_not_json(spoil, tmp_path):
    path = tmp_path / "in.json"
    path.write_bytes(spoil(json.dumps(clip())))
    with pytest.raises(InputError, match="in.json: not valid JSON") as caught:
        formats.read(path)
    assert "\n" not in str(caught.value)


def test_a_failed_write_leaves_what_stood_there(reading, tmp_path):
    file = reading(clip())
    path = tmp_path / "out.json"
    path.write_text("old")
    newcomer = PoseSequence(np.ones((1, 17, 2)), person=object())  # nothing that JSON can hold
    with pytest.raises(TypeError):
        formats.write(file.replace([*file, newcomer]), path)
    assert path.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.json", "out.json"]


def test_a_file_may_be_written_over_itself(reading, tmp_path):
    file = reading(clip())
    moved = changed(file[0], 2, WRIST, (1, 2))
    formats.write(file.replace([moved]), file.path)
    np.testing.assert_array_equal(formats.read(file.path)[0].keypoints, moved.keypoints)
