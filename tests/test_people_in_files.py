"""No people are invented, and who is who, from a detector's file to the completed one.

Inputs are made here, of procedural motion; the models' own tests are elsewhere.
"""

import json
import re

import numpy as np
import pytest

from posegan_jax import cli, formats
from posegan_jax.geometry.camera import look_at, project
from posegan_jax.motion.procedural import procedural_clips
from posegan_jax.pose.carry import carry_joints
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

COCO, MPI = get_skeleton("coco17"), get_skeleton("mpi_inf_3dhp")


@pytest.fixture
def fill(tmp_path, capsys):
    """Fills records of AlphaPose or a file; the path of the result, and what was said."""

    def command(given, *options, **more):
        path = given
        if isinstance(given, list):
            path = tmp_path / "in.json"
            path.write_text(json.dumps(given))
        output = tmp_path / f"out{path.suffix}"
        assert not cli.main(
            ["fill", str(path), "-o", str(output), "--quality", "fast", "--fps", "30", *options]
        )
        return output, capsys.readouterr().out

    return command


def walking(frames=90, height=350.0):
    """(T, 17, 2) pixels of someone who walks to the right, around (0, 0), of this height."""
    motion = procedural_clips("validation")[1].positions[:frames]
    camera = look_at(0.5, 0.1, 5000.0, motion.mean(axis=(0, 1)), 0.0, 1500.0)
    image = np.asarray(project(motion, camera)[0], np.float64)
    image -= image.mean(axis=1, keepdims=True)
    image *= height / np.ptp(image[..., 1], axis=1).mean()
    keypoints = carry_joints(image, MPI, COCO, np.nan)
    for joint in COCO.joints[:5]:  # a face
        keypoints[:, COCO.index(joint)] = keypoints[:, 5:7].mean(axis=1) - [0, height / 8]
    return keypoints


def record(frame, keypoints, **more):
    values = np.column_stack([keypoints, np.full(17, 0.9)]).round(2)
    return {
        "image_id": f"{frame}.jpg", "category_id": 1, "keypoints": values.ravel().tolist(),
        "score": 2.8, **more,
    }


@pytest.mark.parametrize("idx", [{}, {"idx": 0}])
def test_nobody_grows_eightfold_in_a_second(fill, idx):
    small, large = (walking(height=height) + (640, 360) for height in (40, 320))
    records = [
        *(record(t, small[t], **idx) for t in range(3)),
        *(record(t, large[t], **idx) for t in range(22, 25)),
    ]
    output, said = fill(records)
    assert json.loads(output.read_text()) == records
    assert ("2 people" in said) == (not idx)
    if idx:
        assert "person 0 cannot have gone on as the track does (1 jumps" in said


def test_a_crowd_stays_as_large_as_it_is(fill):
    """Eleven people of many sizes, a cut, lost frames, and mistakes of a frame or two."""
    rng, body = np.random.default_rng(0), walking(60, 1.0)
    records = []
    for begin, end in ((0, 30), (30, 60)):
        for height in rng.uniform(30, 240, 11):
            place = rng.uniform([100, 200], [1200, 500])
            for t in range(begin, end):
                if rng.random() > 0.12:
                    records.append(record(t, height * body[t] + place, idx=0))
    for t in np.flatnonzero(rng.random(60) < 0.4):
        height, place = rng.uniform(20, 300), rng.uniform([100, 200], [1200, 500])
        records.append(record(int(t), height * body[0] + place, idx=0))
    records.sort(key=lambda r: int(r["image_id"][:-4]))
    output, said = fill(records)
    count = np.zeros(60, int)
    for item in json.loads(output.read_text()):
        count[int(item["image_id"][:-4])] += 1
    assert count.max() <= 14 and count.sum() < 1.25 * len(records)
    # One line of all, not one of each.
    assert len(re.findall(r"joints \d+", said)) == 1 and "all " in said
    assert re.search(r"\d+ frames bridged", said)
    assert " 0 of " not in said  # confident joints that stayed are nothing to tell


@pytest.mark.parametrize("people", [2, 11])
def test_where_sides_were_exchanged_is_told(fill, people):
    """Of two people on the line of each, of many on the one of all."""
    legs = [j for j, name in enumerate(COCO.joints) if name.endswith(("knee", "ankle"))]
    records = []
    for who in range(people):
        poses = walking(40) + (640 + 1000 * who, 360)
        if who != 1:
            crossed = np.array([COCO.mirror[j] if j in legs else j for j in range(17)])
            poses[15:22] = poses[15:22, crossed]
        records += [record(t, pose, idx=who + 1) for t, pose in enumerate(poses)]
    _, said = fill(sorted(records, key=lambda r: int(r["image_id"][:-4])))
    found = re.findall(r"left and right exchanged in (\d+) frames", said)
    assert len(found) == 1
    assert 5 * (people - 1) <= int(found[0]) <= 8 * (people - 1)


def two_who_cross():
    """Long table of two people whose ids are places in a list, and who is in every row.

    From frame 40 on they change places, in 60 to 66 one is seen alone, in the first place.
    """
    # Enough for two windows and more; both walk, one of them to the left.
    body = walking()
    time = np.arange(90)[:, None, None]
    people = [body + (210, 350) + time * (6, 0), body * (-1, 1) + (890, 365) - time * (5, 0)]
    rows, truth = ["frame_id,person_id,keypoint_id,x,y,confidence"], {}
    for t in range(90):
        order = [0, 1] if t < 40 else [0] if 60 <= t < 67 else [1, 0]
        for place, who in enumerate(order):
            truth[t, place] = who
            rows += [
                f"{t},{place},{k},{x:.3f},{y:.3f},0.9" for k, (x, y) in enumerate(people[who][t])
            ]
    return "\n".join(rows) + "\n", truth, people


@pytest.mark.parametrize("options", [(), ("--ignore-ids",)])
def test_ids_that_are_places_in_a_list(fill, tmp_path, options):
    text, _, people = two_who_cross()
    (tmp_path / "in.csv").write_text(text)
    output, said = fill(tmp_path / "in.csv", *options)
    assert ("from frames 40" in said and "put right" in said) == (not options)
    assert ("ids are ignored: tracked 2 people" in said) == bool(options)
    file = formats.read(output)
    assert [s.person for s in file] == [0, 1] and [len(s) for s in file] == [90, 90]
    seen = np.ones(90, bool)
    seen[60:67] = False
    for sequence, truth, rows in zip(file, people, (slice(None), seen), strict=True):
        off = np.linalg.norm(sequence.keypoints - truth.round(3), axis=-1)
        # What was seen is where it was seen: no sides are exchanged and nobody turns round.
        assert np.median(off[rows]) == 0 and off[rows].max() < 10
        assert np.nanmax(off[:, 5:]) < 60
    left, said = fill(tmp_path / "in.csv", "--no-repair-ids", *options)
    assert ("may have been exchanged: left as they are" in said) == (not options)


def test_ids_in_a_detectors_file_are_put_right(fill):
    _, truth, people = two_who_cross()
    records = [
        record(t, people[who][t], idx=place + 1, mood=[who]) for (t, place), who in truth.items()
    ]
    output, _ = fill(records)
    found = [(r["idx"], r["mood"][0]) for r in json.loads(output.read_text()) if "mood" in r]
    assert len(found) == len(records) and {who + 1 == idx for idx, who in found} == {True}


def test_gaps_are_bridged_as_far_as_is_asked(fill):
    body = walking(80) + (600, 400)
    records = [record(t, body[t], idx=1) for t in (*range(30), *range(35, 40), *range(75, 80))]
    lengths = {}
    for options in ((), ("--bridge", "0"), ("--bridge", "2")):
        output, said = fill(records, *options)
        (person,) = formats.read(output)
        lengths[options] = len(person)
        gaps = re.search(r"(\d) gaps? left \(--bridge\)", said)
        assert (int(gaps[1]) if gaps else 0) == {(): 1, ("--bridge", "0"): 2}.get(options, 0)
    assert list(lengths.values()) == [45, 40, 80]


def test_what_was_seen_for_a_few_frames_is_not_made_more(fill):
    body = walking(60) + (600, 400)
    frames = [0, 1, 12, 24, 25, 40, 58]
    output, _ = fill([record(t, body[t]) for t in frames])
    assert sum(len(s) for s in formats.read(output)) == len(frames)


def test_slow_videos_are_filled_and_told(fill, tmp_path):
    body = walking(80)[::20] + (600, 400)
    body[:, COCO.index("left_knee")] = np.nan
    people = [PoseSequence(body, person="p")]
    formats.write(people, tmp_path / "in.npz")
    output, said = fill(tmp_path / "in.npz", "--fps", "1.5")
    assert "1.5 frames per second: how people move between frames is not known" in said
    (person,) = formats.read(output)
    assert len(person) == 4 and np.isfinite(person.keypoints).all()
