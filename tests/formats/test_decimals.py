"""New numbers have as many decimals as the file's own; the others come back as they were."""

import json

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.formats import decimals
from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import get_skeleton

JOINTS = get_skeleton("coco17").joints
BODY = np.random.default_rng(0).uniform(0.1, 0.9, (6, 17, 2))
HOLE, MOVED = (2, 5), (3, 6)


def filled(file):
    """The file with a joint that it lacks and one moved, by a model that gives all digits."""
    (sequence,) = file
    places, scores = sequence.keypoints.copy(), sequence.scores.copy()
    provenance = sequence.provenance.copy()
    assert not sequence.observed[HOLE]
    size = np.nanmax(places)
    places[HOLE], scores[HOLE] = (size / 3, size / 7), 2 / 3
    places[MOVED] += size * np.sqrt(2) / 50
    provenance[HOLE], provenance[MOVED] = Provenance.FILLED, Provenance.REFINED
    return file.replace(
        [sequence.replace(keypoints=places, scores=scores, provenance=provenance)]
    )


def count(text):
    return len(text.partition(".")[2])


def cells_of(values, score="0.75"):
    """A wide table's rows, of numbers as text, blank where the hole is."""
    rows = [[str(t)] for t in range(len(values))]
    for t, k in np.ndindex(6, 17):
        rows[t] += ["", "", ""] if (t, k) == HOLE else [*values[t][k], score]
    return rows


def wide_table(tmp_path, texts):
    header = ["frame", *(f"{j}_{axis}" for j in JOINTS for axis in ("x", "y", "score"))]
    rows = [header, *cells_of(texts)]
    path = tmp_path / "in.csv"
    path.write_text("".join(",".join(row) + "\n" for row in rows))
    return path, rows


def as_texts(values, pattern):
    return [[[pattern.format(v) for v in joint] for joint in row] for row in values]


@pytest.mark.parametrize(
    "scale, pattern, places",
    [
        (900, "{:.2f}", 2), (900, "{:.1f}", 2), (900, "{:.0f}", 2), (900, "{:.3f}", 3),
        (900, "{}", 4), (1, "{:.3f}", 5), (1, "{:.6f}", 6), (1, "{}", 9),
    ],
)
def test_wide_tables(scale, pattern, places, tmp_path):
    path, before = wide_table(tmp_path, as_texts(BODY * scale, pattern))
    file = formats.read(path, image_size=(640, 480) if scale == 1 else None)
    formats.write(filled(file), tmp_path / "out.csv")
    after = [line.split(",") for line in (tmp_path / "out.csv").read_text().splitlines()]
    new = {1 + 3 * HOLE[1] + i for i in range(3)}, {1 + 3 * MOVED[1] + i for i in range(2)}
    different = {
        (t, i) for t, row in enumerate(after) for i, cell in enumerate(row) if cell != before[t][i]
    }
    assert different == {(HOLE[0] + 1, i) for i in new[0]} | {(MOVED[0] + 1, i) for i in new[1]}
    written = [count(after[t][i]) for t, i in different if i % 3]  # x and y
    assert max(written) == places
    if pattern in ("{:.2f}", "{:.3f}", "{:.6f}") and places == int(pattern[3]):
        assert set(written) == {places}
    assert after[HOLE[0] + 1][3 + 3 * HOLE[1]] == "0.6667"
    (again,), (whole,) = formats.read(tmp_path / "out.csv", image_size=(640, 480)), filled(file)
    size = (640, 480) if scale == 1 else (1, 1)
    assert (np.abs(again.keypoints - whole.keypoints) / size <= 0.51 * 10.0**-places).all()


def test_zeros_end_numbers_where_they_end_all_others(tmp_path):
    path, _ = wide_table(tmp_path, as_texts(BODY * 900, "{:.2f}"))
    file = filled(formats.read(path))
    places = file[0].keypoints.copy()
    places[HOLE] = 100, 200.5
    formats.write(file.replace([file[0].replace(keypoints=places)]), tmp_path / "out.csv")
    row = (tmp_path / "out.csv").read_text().splitlines()[HOLE[0] + 1].split(",")
    assert row[1 + 3 * HOLE[1] : 3 + 3 * HOLE[1]] == ["100.00", "200.50"]


def coco(values):
    keypoints = np.concatenate([values, np.full((6, 17, 1), 0.75)], -1)
    keypoints[HOLE] = 0
    return {
        "images": [{"id": t, "file_name": f"{t}.jpg"} for t in range(6)],
        "annotations": [
            {"id": t, "image_id": t, "category_id": 1, "track_id": 1, "keypoints": row}
            for t, row in enumerate(keypoints.reshape(6, -1).tolist())
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(JOINTS)}],
    }


@pytest.mark.parametrize("digits, places", [(0, 2), (1, 2), (3, 3), (17, 4)])
def test_coco(digits, places, tmp_path):
    (tmp_path / "in.json").write_text(json.dumps(coco((BODY * 900).round(digits))))
    formats.write(filled(formats.read(tmp_path / "in.json")), tmp_path / "out.json")
    before, after = (
        json.loads((tmp_path / name).read_text())["annotations"] for name in ("in.json", "out.json")
    )
    different = {
        (t, i): value for t, item in enumerate(after) for i, value in enumerate(item["keypoints"])
        if value != before[t]["keypoints"][i]
    }
    (t, x), (moved, y) = (HOLE[0], 3 * HOLE[1]), (MOVED[0], 3 * MOVED[1])
    assert set(different) == {(t, x), (t, x + 1), (t, x + 2), (moved, y), (moved, y + 1)}
    assert max(count(repr(v)) for (_, i), v in different.items() if i % 3 < 2) == places
    assert different[HOLE[0], x + 2] == 0.6667


def test_shares_in_json(tmp_path):
    body = [{"x": x, "y": y, "z": 0.0, "visibility": 0.75} for x, y in BODY[0].round(6).tolist()]
    frames = [[dict(point) for point in body + body[:16]] for _ in range(6)]
    frames[HOLE[0]][HOLE[1]]["visibility"] = 0.0
    (tmp_path / "in.json").write_text(json.dumps(frames))
    file = filled(formats.read(tmp_path / "in.json", image_size=(640, 480)))
    formats.write(file, tmp_path / "out.json")
    point = json.loads((tmp_path / "out.json").read_text())[HOLE[0]][HOLE[1]]
    assert count(repr(point["x"])) == 6 and point["visibility"] == 0.6667
    np.testing.assert_allclose(point["x"] * 640, file[0].keypoints[HOLE][0], atol=640 * 0.51e-6)


@pytest.mark.parametrize("units, scale, digits, places", [
    ("m", 2, 3, 5), ("m", 2, 6, 6), ("mm", 1800, 1, 3), ("mm", 1800, 4, 4), ("px", 900, 1, 2),
])
def test_trc(units, scale, digits, places, tmp_path):
    head = [
        ["PathFileType", "4", "(X/Y/Z)", "in.trc"],
        ["DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units"],
        ["25", "25", "6", "17", units],
        ["Frame#", "Time", *(cell for j in JOINTS for cell in (j, "", ""))],
        ["", "", *(f"{a}{i + 1}" for i in range(17) for a in "XYZ")],
    ]
    rows = [
        [str(t), f"{t / 25:.2f}", *(
            cell for k in range(17) for cell in (
                ("", "", "") if (t, k) == HOLE
                else (*(f"{v:.{digits}f}" for v in BODY[t, k] * scale), "0.0")
            )
        )] for t in range(6)
    ]
    text = "".join("\t".join(line) + "\n" for line in head + rows)
    (tmp_path / "in.trc").write_text(text)
    file = formats.read(tmp_path / "in.trc")
    formats.write(filled(file), tmp_path / "out.trc")
    after = [line.split("\t") for line in (tmp_path / "out.trc").read_text().splitlines()][5:]
    x = 2 + 3 * HOLE[1]
    assert max(map(count, after[HOLE[0]][x : x + 2])) == places
    formats.write(file, tmp_path / "same.trc")
    assert (tmp_path / "same.trc").read_text() == text


def test_our_own_table(tmp_path):
    values = (BODY * 900).round(2)
    values[HOLE] = np.nan
    formats.write(
        [PoseSequence(values, np.full((6, 17), 0.75), 25.0, "coco17", person=1)],
        tmp_path / "in.csv",
    )
    file = formats.read(tmp_path / "in.csv")
    formats.write(filled(file), tmp_path / "out.csv")
    before, after = (
        (tmp_path / name).read_text().splitlines() for name in ("in.csv", "out.csv")
    )
    different = [b.split(",") for a, b in zip(before, after, strict=True) if a != b]
    assert [row[2] for row in different] == [JOINTS[HOLE[1]], JOINTS[MOVED[1]]]
    assert max(count(cell) for row in different for cell in row[3:5]) == 2
    formats.write([filled(file)[0]], tmp_path / "new.csv")  # of no file: exact
    np.testing.assert_array_equal(
        formats.read(tmp_path / "new.csv")[0].keypoints, filled(file)[0].keypoints
    )


def test_what_is_written_stays_a_place():
    digits = decimals.Decimals(2, 4)
    values = np.array([[1e-6, -1e-6, 1e-9], [0, 0, 0], [1.004, np.nan, 0.5]])
    rounded = digits.rounded(values)
    assert rounded[0].tolist() == [0.01, 0, 0.0001] and rounded[1].tolist() == [0, 0, 0]
    assert rounded[2, 0] == 1 and np.isnan(rounded[2, 1])
