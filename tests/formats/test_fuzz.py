"""Valid files gone wrong anywhere: a result or one line that names the file, never a traceback."""

import copy
import json
import shutil

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.pose.exchange import find_exchanges
from posegan_jax.pose.sequence import PoseSequence, densify

numbers = st.sampled_from(
    [0, -1, 1.5, float("nan"), float("inf"), -float("inf"), 1e308, -1e7, 2**63, 10**400, 1e-320]
)
anything = st.one_of(
    numbers, st.none(), st.booleans(), st.text(max_size=3),
    st.sampled_from([[], {}, [[]], [1], [1.0, 2.0, 0.5], {"x": 1}, [None] * 51, "0.jpg", "12"]),
)


@st.composite
def spoilt(draw, content):
    """The content with a few places replaced, removed, doubled or swapped."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 3))):
        node = content
        for _ in range(draw(st.integers(0, 6))):
            keys = list(node) if isinstance(node, dict) else range(len(node))
            inner = [key for key in keys if isinstance(node[key], list | dict) and node[key]]
            if not inner:
                break
            node = node[draw(st.sampled_from(inner))]
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            continue
        key = draw(st.sampled_from(keys))
        what = draw(st.sampled_from(["replace", "replace", "remove", "double", "wrap", "move"]))
        if what == "replace":
            node[key] = copy.deepcopy(draw(anything))
        elif what == "remove":
            del node[key]
        elif what == "wrap":
            node[key] = [node[key]] if draw(st.booleans()) else {"a": node[key]}
        elif what == "move":
            node[key] = copy.deepcopy(draw(st.sampled_from([content, node, node[key]])))
        elif isinstance(node, list):
            node.insert(key, copy.deepcopy(node[key]))
        else:
            node[draw(st.text(max_size=3))] = copy.deepcopy(node[key])
    return content


def attempt(path):
    """The file as read, None where it is refused in one line that names it."""
    try:
        return formats.read(path)
    except InputError as error:
        assert "\n" not in str(error) and str(path) in str(error)
        return None


def check(path, out, load):
    """What is read is written back the same, and can be completed and upsampled."""
    file = attempt(path)
    if file is None:
        return
    formats.write(file, out)
    assert load(out) == load(path)
    whole = []
    for sequence in map(densify, file):
        keypoints = np.where(sequence.observed[..., None], sequence.keypoints, 7.5)
        whole.append(sequence.replace(keypoints=keypoints, scores=sequence.scores + 0.25))
    formats.write(file.replace(whole), out)
    formats.read(out)
    whole = [
        PoseSequence(np.full((len(s), 28, 2), 9.5), skeleton="mpi_inf_3dhp", frames=s.frames,
                     person=s.person)
        for s in whole
    ]
    formats.write(file.replace(whole), out)
    if whole:
        assert {s.skeleton for s in formats.read(out)} == {"mpi_inf_3dhp"}
    followed = formats.read(path, ignore_ids=True)
    right = formats.relabelled(file, find_exchanges(file)[0])
    assert seen(followed) == seen(file) == seen(right)
    formats.write(followed, out)
    formats.read(out)


def seen(file):
    """How many frames there are of anybody."""
    return sum(int(sequence.observed.any(-1).sum()) for sequence in file)


def normal(path):
    """Equal for equal content; NaN, too."""
    return json.dumps(json.loads(path.read_text(encoding="utf-8")))


few = settings(
    max_examples=50, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_valid_files_are_valid(valid, tmp_path):
    path = tmp_path / "in.json"
    path.write_text(json.dumps(valid))
    assert len(formats.read(path)) == (1 if list(valid) == ["landmarks"] else 2)
    check(path, tmp_path / "out.json", normal)


@few
@given(data=st.data())
def test_places_gone_wrong(valid, data, tmp_path):
    path = tmp_path / "in.json"
    path.write_text(json.dumps(data.draw(spoilt(valid))))
    check(path, tmp_path / "out.json", normal)


@few
@given(data=st.data())
def test_bytes_gone_wrong(valid, data, tmp_path):
    path = tmp_path / "in.json"
    content = bytearray(json.dumps(valid).encode())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    check(path, tmp_path / "out.json", normal)


@few
@given(data=st.data())
def test_frames_in_one_file_gone_wrong(openpose_frames, data, tmp_path):
    path = tmp_path / "in.json"
    path.write_text(json.dumps(data.draw(spoilt(list(openpose_frames.values())))))
    check(path, tmp_path / "out.json", normal)


# --- folders --------------------------------------------------------------------------------------


def frames(folder):
    """Content of every file of a folder."""
    return {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}


@few
@given(data=st.data())
def test_a_file_of_a_folder_gone_wrong(openpose_frames, data, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir(exist_ok=True)
    for t, (name, content) in enumerate(openpose_frames.items()):
        spoiling = spoilt(content) if t == 1 else st.just(content)
        (folder / name).write_text(json.dumps(data.draw(spoiling)))
    shutil.rmtree(tmp_path / "out", ignore_errors=True)  # where a frame may be none any more
    check(folder, tmp_path / "out", lambda folder: json.dumps(frames(folder), sort_keys=True))


@few
@given(data=st.data())
def test_labels_gone_wrong(data, tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir(exist_ok=True)
    for t in range(3):
        cells = [f"0.{10 + (7 * k + t) % 90}" for k in range(4 + 17 * 3)]
        cells = ["0", *cells, "0.8", "2"]
        for _ in range(data.draw(st.integers(0, 2))):
            at = data.draw(st.integers(0, len(cells) - 1))
            cells[at] = data.draw(st.sampled_from(["", "nan", "inf", "-1e308", "x", "2", "1 2"]))
        text = " ".join(cells) + "\n"
        (folder / f"v_{t}.txt").write_text(text[: data.draw(st.integers(0, 2 * len(text)))])
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    check(folder, tmp_path / "out", lambda folder: [
        path.read_text().split() for path in sorted(folder.iterdir())
    ])


# --- arrays ---------------------------------------------------------------------------------------


@few
@given(data=st.data())
def test_arrays_gone_wrong(data, tmp_path):
    """Bytes of a file with places, scores and an array that needs pickle, anywhere and cut off."""
    values = np.arange(2 * 3 * 17 * 2.0).reshape(2, 3, 17, 2) + 5
    path = tmp_path / data.draw(st.sampled_from(["in.npy", "in.npz"]))
    with open(path, "wb") as handle:
        if path.suffix == ".npy":
            np.save(handle, values.astype(data.draw(st.sampled_from(["f4", "f8", "i4"]))))
        else:
            more = np.array([{"a": 1}], object)
            np.savez(handle, keypoints=values, scores=np.full((2, 3, 17), 0.5), more=more)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, min(len(content), 300) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2, 90]))])
    file = attempt(path)
    if file is None or file.format != "arrays":
        return
    out = tmp_path / f"out{path.suffix}"
    formats.write(file, out)
    for one, other in zip(file, formats.read(out), strict=True):
        np.testing.assert_array_equal(one.keypoints, other.keypoints)
    whole = [
        s.replace(keypoints=np.where(s.observed[..., None], s.keypoints, 7.5)) for s in file
    ]
    formats.write(file.replace(whole), out)
    formats.read(out)
