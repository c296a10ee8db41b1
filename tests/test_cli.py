"""The command line: what it writes, what it says, and that mistakes end in one line and code 2."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

import posegan_jax
from posegan_jax import cli, formats
from posegan_jax.geometry.camera import look_at, project
from posegan_jax.inpainting import inpainter as inpainter_module
from posegan_jax.motion.procedural import procedural_clips
from posegan_jax.pose.carry import carry_joints
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.render.source import SourceVideo

REPOSITORY = Path(__file__).parents[1]
DETECTIONS = REPOSITORY.parent / "shared" / "data" / "detections"
COCO, MPI = get_skeleton("coco17"), get_skeleton("mpi_inf_3dhp")


@pytest.fixture
def run(capsys):
    """Runs a command in this process: exit code, standard output, standard error."""

    def command(*arguments):
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return command


@pytest.fixture
def fails(run):
    """Runs a command that must end with code 2 and one line; gives the line."""

    def command(*arguments):
        code, _, said = run(*arguments)
        assert code == 2 and said.startswith("posegan") and said.count("\n") == 1, said
        assert said.endswith("\n") and "Traceback" not in said
        return said

    return command


def walking(frames=30):
    """(T, 17, 2) pixels, joints of coco17, NaN where the motion set has none (the face)."""
    motion = procedural_clips("validation")[1].positions[:frames]
    camera = look_at(0.5, 0.1, 5000.0, motion.mean(axis=(0, 1)), 0.0, 1500.0)
    image = np.asarray(project(motion, camera)[0], np.float64) + (640, 360)
    return carry_joints(image, MPI, COCO, np.nan)


@pytest.fixture
def detections(tmp_path):
    """A detector's file: two people, holes, absent frames, a key that nobody knows."""
    records = []
    for person, shift in ((1, 0.0), (2, 300.0)):
        values = np.dstack([walking() + (shift, 0), np.full((30, 17), 0.9)])
        values[5:9, COCO.index("left_wrist")] = np.nan
        values[:, COCO.index("right_ankle"), 2] = 0.4
        for t in [*range(12), *range(15, 30)]:
            keypoints = np.nan_to_num(values[t]).ravel().tolist()
            records.append({
                "image_id": f"frame_{t:04d}.jpg", "category_id": 1, "keypoints": keypoints,
                "score": 2.5, "idx": person, "mood": {"happy": [t]},
            })
    path = tmp_path / "detections.json"
    path.write_text(json.dumps(records))
    return path


@pytest.fixture
def no_model(monkeypatch):
    """Fails the test when a command goes as far as loading the networks."""

    def load(checkpoint):
        pytest.fail("a mistake was not found out before computing")

    monkeypatch.setattr(inpainter_module, "load", load)


def film(folder, frames):
    """A blue video of 160 x 96 pixels."""
    path, blue = folder / "film.mp4", "color=0x0000c8:size=160x96:rate=25"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", blue]
    subprocess.run([*command, "-frames:v", str(frames), path], check=True)
    return path


def bare(record):
    own = ("keypoints", "posegan_provenance")
    return {key: value for key, value in record.items() if key not in own}


def lines_with(text, word):
    return [line for line in text.splitlines() if word in line]


# --- demo and fill --------------------------------------------------------------------------------


def test_the_demo_writes_file_picture_and_video(run, tmp_path):
    code, said, _ = run("demo", "--folder", tmp_path, "--quality", "fast")
    assert code == 0
    names = [f"posegan-demo{suffix}" for suffix in (".json", ".mp4", ".png")]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for name in names:
        assert f"wrote {tmp_path / name}" in said
    (whole,) = formats.read(tmp_path / names[0])
    assert whole.skeleton == "mpi_inf_3dhp" and np.isfinite(whole.keypoints).all()
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(tmp_path / names[1])
    assert frames == len(whole) and seconds == pytest.approx(len(whole) / 25, rel=0.05)
    with Image.open(tmp_path / names[2]) as picture:
        assert picture.format == "PNG" and picture.width > 500


@pytest.mark.parametrize("kind", ["halpe26", "coco17"])
def test_a_real_file_is_filled_and_keeps_everything(run, tmp_path, kind):
    path = DETECTIONS / f"alphapose_{kind}" / "alphapose-results.json"
    if not path.exists():
        pytest.skip(f"needs {path}")
    output = tmp_path / "filled.json"
    code, said, _ = run("fill", path, "-o", output, "--quality", "fast")
    assert code == 0 and f"wrote {output}" in said and kind in said
    before, after = (json.loads(p.read_text()) for p in (path, output))
    # Every object is there, in its order, with all but its joints as it was.
    rest = iter(after)
    for record in before:
        found = next((other for other in rest if bare(other) == bare(record)), None)
        assert found is not None, record["image_id"]
        assert len(found["keypoints"]) == len(record["keypoints"])
    source, filled = formats.read(path), formats.read(output, min_score=0.0)
    frames = {int(f) for s in source for f in s.frames}
    assert frames <= {int(f) for s in filled for f in s.frames}
    if kind == "halpe26":  # the other one has no ids: it would be tracked anew
        assert [s.person for s in filled] == [s.person for s in source]
    twelve = [get_skeleton(kind).index(f"left_{j}") for j in ("shoulder", "wrist", "ankle")]
    assert np.isfinite(filled[0].keypoints[:, twelve]).all()


def test_fill_keeps_the_file_and_fills_its_holes(run, detections, tmp_path):
    output = tmp_path / "filled.json"
    code, said, _ = run("fill", detections, "-o", output, "--quality", "fast")
    assert code == 0
    assert "2 people" in said and "person 1, frames 0 to 29" in said and "filled" in said
    assert "frames per second not known: 30 assumed" in said
    before, after = (json.loads(p.read_text()) for p in (detections, output))
    assert len(after) == 60 and [bare(r) for r in after if "mood" in r] == [bare(r) for r in before]
    added = [r for r in after if "mood" not in r]
    assert {(r["idx"], r["image_id"]) for r in added} == {
        (person, f"frame_{t:04d}.jpg") for person in (1, 2) for t in (12, 13, 14)
    }
    for sequence in formats.read(output, min_score=0.0):
        assert np.isfinite(sequence.keypoints[:, COCO.index("left_shoulder") :]).all()
        # The face was never seen and is not in the model.
        assert np.isnan(sequence.keypoints[:, : COCO.index("left_shoulder")]).all()


def test_fill_with_all_its_options(run, detections, tmp_path):
    suffixes = (".npz", ".gif", ".png", ".html")
    output, video, picture, page = (tmp_path / f"filled{s}" for s in suffixes)
    code, said, _ = run(
        "fill", detections, "-o", output, "--joints", "mpi_inf_3dhp", "--observed", "keep",
        "--quality", "fast", "--shift", 24, "--steps", 0, "--fps", 12.5, "--min-score", 0.5,
        "--video", video, "--picture", picture, "--report", page, "--source", film(tmp_path, 20),
    )
    assert code == 0 and all(f"wrote {path}" in said for path in (output, video, picture, page))
    assert "film.mp4 has no picture of 10 frames" in said
    assert f"<h1>{detections.name}</h1>" in page.read_text()
    source = formats.read(detections, min_score=0.5)
    for before, after in zip(source, formats.read(output), strict=True):
        assert after.skeleton == "mpi_inf_3dhp" and after.fps == 12.5
        assert np.isfinite(after.keypoints).all() and len(after) == 30
        # At this threshold the ankle of the file does not count, and the wrist does.
        kept = after.provenance == posegan_jax.Provenance.OBSERVED
        assert not kept[:, MPI.index("right_ankle")].any()
        wrist = before.keypoints[:, COCO.index("right_wrist")]
        rows = np.isin(after.frames, before.frames)
        np.testing.assert_array_equal(after.keypoints[rows, MPI.index("right_wrist")], wrist)
    with Image.open(video) as moving:
        assert moving.n_frames == 30 and moving.width == 2 * 640 + 2
    with Image.open(picture) as still:
        assert still.format == "PNG"


def test_where_nothing_could_be_filled_nothing_is_written_in_another_format(run, tmp_path):
    rows = [f"{t},{p},{10 * k + t},{20 * k},red" for t in range(8) for k, p in enumerate("pqr", 1)]
    text = "\n".join(["frame,keypoint,x,y,colour", *rows]) + "\n"
    (tmp_path / "in.csv").write_text(text)
    fill = ("fill", tmp_path / "in.csv", "--fps", 30, "--quality", "fast", "-o")
    code, said, _ = run(*fill, tmp_path / "out.csv")
    assert code == 0 and (tmp_path / "out.csv").read_text() == text
    code, _, said = run(*fill, tmp_path / "out.npz")
    assert code == 2 and "nothing could be filled, so" in said and "posegan convert" in said
    assert not (tmp_path / "out.npz").exists()


def test_people_who_cannot_be_completed_are_left_as_they_are(run, tmp_path):
    seen = PoseSequence(walking(10), skeleton="coco17", person="seen")
    single = np.full((4, 17, 2), np.nan)
    single[2, COCO.index("left_knee")] = 7.0
    people = [
        PoseSequence(single, skeleton="coco17", person="one knee"), seen,
        PoseSequence(np.zeros((0, 17, 2)), skeleton="coco17", person="nobody"),
    ]
    formats.write(people, tmp_path / "in.npz")
    code, said, _ = run(
        "fill", tmp_path / "in.npz", "-o", tmp_path / "out.npz", "--quality", "fast"
    )
    assert code == 0
    assert len(lines_with(said, "nothing that the model could start from")) == 2
    result = formats.read(tmp_path / "out.npz")
    assert [s.person for s in result] == ["one knee", "seen", "nobody"]
    np.testing.assert_array_equal(result[0].keypoints, single)
    assert np.isfinite(result[1].keypoints[:, COCO.index("left_shoulder") :]).all()


def test_a_file_without_people_stays_one(run, tmp_path):
    (tmp_path / "in.json").write_text("[]")
    code, _, _ = run("fill", tmp_path / "in.json", "-o", tmp_path / "out.json")
    assert code == 0 and json.loads((tmp_path / "out.json").read_text()) == []
    still, film = tmp_path / "a.png", tmp_path / "a.mp4"
    code, said, _ = run(
        "fill", tmp_path / "in.json", "-o", tmp_path / "b.json", "--picture", still, "--video", film
    )
    assert code == 0 and not still.exists() and not film.exists()
    for path in (still, film):
        assert f"nobody in {tmp_path / 'in.json'}: no {path}\n" in said


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    "arguments, named",
    [
        ("fill nothere.json -o out.json", "nothere.json: no such file"),
        ("fill {folder} -o out.json", "folder"),
        ("fill {garbage} -o out.json", "not a known format"),
        ("fill {cut} -o out.json", "cut.json"),
        ("fill {input} -o out.doc", r"out.doc.*\.json, \.npz"),
        ("fill {input} -o {folder}", "folder"),
        ("fill {input} -o results", "results is a folder; give a file name"),
        ("convert {input} results", "results is a folder; give a file name"),
        ("fill {input} -o nowhere/out.json", "nowhere/out.json: no such folder"),
        ("fill {input} -o out.json --video film.avi", r"film.avi.*\.gif or \.mp4"),
        ("fill {input} -o out.json --video nowhere/film.mp4", "no such folder"),
        ("fill {input} -o out.json --picture still.jpg", r"still.jpg.*\.png"),
        ("fill {input} -o out.json --picture nowhere/still.png", "no such folder"),
        ("fill {input} -o out.json --report page.pdf", r"page.pdf.*\.html"),
        ("fill {input} -o out.json --report nowhere/page.html", "no such folder"),
        ("fill {input} -o out.json --source film.mp4", r"--source film.mp4.*\.mp4 or \.gif"),
        ("fill {input} -o out.json --video a.mp4 --source nothere.mp4", "nothere.mp4: no such"),
        ("fill {input} -o out.json --video a.mp4 --source {garbage}", "not a video"),
        ("render {input} -o film.mp4 --source film.mp4", "film.mp4 would be written over"),
        ("render {input} -o still.png --source film.mp4", r"film.mp4.*\.mp4 or \.gif"),
        ("fill {input}", "-o"),
        ("fill {input} -o out.json --quality finest", "--quality.*finest.*fast"),
        ("fill {input} -o out.json --joints coco17", "joints must be.*: of coco17 it does not"),
        ("fill {input} -o out.json --joints octopus", "not 'octopus'; .* mpi_inf_3dhp, h36m17"),
        ("fill {input} -o out.json --observed never", "--observed.*never"),
        ("fill {input} -o out.json --steps many", "--steps.*many"),
        ("fill {input} -o out.json --steps -1", "--steps.*must be 0 or more, not -1"),
        ("fill {input} -o out.json --shift 0", "--shift.*must be 1 or more, not 0"),
        ("fill {input} -o out.json --stepz 3", "fill: .*--stepz.*posegan fill --help"),
        ("fill {input} -o out.json --qual fast", "--qual"),
        ("fill {input} -o out.json --fps 0", "--fps.*must be positive"),
        ("fill {input} -o out.json --fps inf", "--fps.*must be positive and finite, not inf"),
        ("fill {input} -o out.json --fps 1000", "fps must be above 0 and at most 240, not 1000"),
        ("fill {input} -o out.json --bridge -1", "--bridge.*must be 0 or more seconds, not -1"),
        ("fill {input} -o out.json --bridge nan", "--bridge.*must be 0 or more seconds, not nan"),
        ("fill {input} -o out.json --min-score nan", "--min-score.*must be a number, not nan"),
        ("convert {input} out.npz --min-score nan", "--min-score.*must be a number, not nan"),
        ("render {input} -o film.mp4 --fps many", "--fps.*'many' is no number"),
        ("demo --folder nowhere", "nowhere: no such folder"),
        ("demo extra", "extra"),
        ("convert nothere.json out.npz", "nothere.json: no such file"),
        ("convert {input} out.doc", r"out.doc.*\.json, \.npz"),
        ("convert {input} nowhere/out.npz", "nowhere/out.npz"),
        ("convert {input} out.npz --format doc", "--format.*doc"),
        ("convert {input} out.npz --joints coco18x", "--joints.*coco18x"),
        ("convert {input} out.npz --person 7", "no person 7; there are: 1, 2"),
        ("convert {input} out.trc --fps 30", "one person, not 2; write each alone, e.g. with --pe"),
        ("convert {input} out.npz --joint-map nothere.json", "nothere.json: no such joint map"),
        ("convert {input} out.npz --joint-map {garbage}", "garbage.json: not valid JSON"),
        ("convert {input} out.npz --joint-map {empty}", "empty.json: a joint map is"),
        ("convert {input} out.npz --image-size 7", "--image-size.*'7' is not WIDTHxHEIGHT"),
        ("convert {input} out.npz --image-size 5x-5", "'5x-5' is not WIDTHxHEIGHT"),
        ("render {input} -o film.mp4 --image-size 5", "'5' is not WIDTHxHEIGHT"),
        ("render {input} -o film.avi", r"film.avi.*\.mp4"),
        ("render {input} -o nowhere/film.mp4", "no such folder"),
        ("render nothere.json -o film.mp4", "nothere.json: no such file"),
        ("render {input} {input} {input} -o film.mp4", "3 files"),
        ("render {empty} -o still.png", "nobody"),
        ("render {empty} -o film.mp4", "no sequence"),
        ("evaluate --protocol arms", "arms.*everything"),
        ("evaluate --method magic", "magic"),
        ("evaluate --count -1", "0 or more"),
        ("evaluate --seed -1", "--seed"),
        ("evaluate --detections nowhere", "2D test clips"),
        ("evaluate -o {input}", "is a file"),
        ("render --compare {input} -o film.mp4", "must end in .png"),
        ("render --compare {input} -o still.png --frames 5", "FIRST:LAST"),
        ("render --compare {input} -o still.png --frames 90:99", "no frames from 90 to 99"),
        ("render {input} -o still.png --frames 0:5", "--compare"),
        ("info extra", "extra"),
        ("dance", "dance"),
        ("", "COMMAND"),
    ],
)
def test_mistakes_end_in_one_line(fails, detections, tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    files = {name: tmp_path / f"{name}.json" for name in ("garbage", "cut", "empty")}
    files["garbage"].write_text("left knee: 3, 4")
    files["cut"].write_text(detections.read_text()[:-500])
    files["empty"].write_text("[]")
    folder = tmp_path / "folder.json"
    folder.mkdir()
    (tmp_path / "results").mkdir()
    outputs = [tmp_path / f"out{suffix}" for suffix in (".json", ".npz", ".csv")]
    outputs += [tmp_path / "film.mp4", tmp_path / "still.png"]
    for path in outputs:
        path.write_text("written before")
    there = sorted(tmp_path.rglob("*"))
    arguments = arguments.format(input=detections, folder=folder, **files).split()
    said = fails(*arguments)
    assert re.search(named, said), said
    assert sorted(tmp_path.rglob("*")) == there
    assert all(path.read_text() == "written before" for path in outputs)


@pytest.mark.usefixtures("no_model")
def test_no_input_is_written_over(fails, detections, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.json").symlink_to(detections)
    formats.write(formats.read(detections), tmp_path / "frames", "openpose")
    (tmp_path / "linked").symlink_to("frames")
    (tmp_path / "map.json").write_text(json.dumps({"joints": list(COCO.joints)}))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    for given, output in (
        (detections, detections.name), (detections, "link.json"), ("link.json", detections),
        (detections, f"frames/../{detections.name}"), ("frames", "frames/"), ("frames", "linked"),
        ("linked", tmp_path / "frames"),
    ):
        for command in (("fill", given, "-o", output), ("convert", given, output)):
            assert f"{given} would be written over; give another name" in fails(*command)
    command = ("convert", detections, "map.json", "--joint-map", "map.json")
    assert "map.json would be written over" in fails(*command)
    assert "would be written over" in fails("render", detections, "-o", "link.json")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before


@pytest.mark.parametrize(
    "arguments, named",
    [
        ("fill {input} -o {output} --shift 99", "shift"),
        ("fill {input} -o {output} --checkpoint nowhere", "nowhere"),
        ("fill {input} -o {output} --checkpoint {here}", "checkpoint"),
        ("fill {input} -o {output} --checkpoint {input}", ".json: is a file; give a folder"),
        ("info --checkpoint nowhere", "nowhere"),
        ("evaluate --motion nowhere --count 2", "nowhere"),
    ],
)
def test_mistakes_that_only_the_model_finds(fails, detections, tmp_path, arguments, named):
    output = tmp_path / "out.json"
    output.write_text("written before")
    said = fails(*arguments.format(input=detections, output=output, here=tmp_path).split())
    assert named in said and output.read_text() == "written before"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.usefixtures("no_model")
def test_a_folder_without_permission(fails, detections, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    assert "permission" in fails("fill", detections, "-o", locked / "out.json")


def test_interrupting_is_no_traceback(run, monkeypatch):
    def interrupt(options, rest):
        raise KeyboardInterrupt

    monkeypatch.setitem(cli._COMMANDS, "info", interrupt)
    code, _, said = run("info")
    assert code == 130 and said.count("\n") == 1 and "interrupted" in said


def test_too_little_memory_is_no_traceback(run, monkeypatch):
    import jax

    def allocate(options, rest):
        jax.block_until_ready(jax.numpy.ones((1 << 20, 1 << 20, 1 << 4)))

    monkeypatch.setitem(cli._COMMANDS, "info", allocate)
    code, _, said = run("info")
    assert code == 1 and said.count("\n") == 1 and "memory" in said


def test_a_bug_stays_a_traceback(run, monkeypatch):
    def fail(options, rest):
        raise RuntimeError("no bug report without it")

    monkeypatch.setitem(cli._COMMANDS, "info", fail)
    with pytest.raises(RuntimeError):
        run("info")


# --- convert and render ---------------------------------------------------------------------------


def test_convert_there_and_back(run, detections, tmp_path):
    middle, back = tmp_path / "middle.npz", tmp_path / "back.json"
    code, said, _ = run("convert", detections, middle, "--fps", 30)
    assert code == 0 and f"wrote {middle}" in said and "2 people" in said
    code, said, _ = run("convert", middle, back)
    assert code == 0 and f"wrote {back}" in said
    for a, b, c in zip(*map(formats.read, (detections, middle, back)), strict=True):
        assert a.person == b.person == c.person and b.fps == 30 and a.skeleton == c.skeleton
        np.testing.assert_array_equal(a.keypoints, b.keypoints)
        np.testing.assert_array_equal(a.frames, c.frames)
        np.testing.assert_allclose(a.keypoints, c.keypoints, atol=1e-3)


def test_convert_a_folder_with_joints_of_ones_own(run, tmp_path):
    joints = ["left_hip", "right_hip", "left_shoulder", "right_shoulder", "tail"]
    (tmp_path / "map.json").write_text(json.dumps({"joints": joints}))
    (tmp_path / "in").mkdir()
    for t in range(3):
        places = [value for k in range(5) for value in (40.0 * k + t, 60.0 * k + 1, 0.5)]
        people = [{"pose_keypoints_2d": places}]
        (tmp_path / "in" / f"{t}_keypoints.json").write_text(json.dumps({"people": people}))
    chosen = ("--joint-map", tmp_path / "map.json")
    code, said, _ = run("convert", tmp_path / "in", tmp_path / "out.v2", *chosen)
    assert code == 0 and "openpose" in said
    for path in (tmp_path / "in").iterdir():
        assert json.loads((tmp_path / "out.v2" / path.name).read_text()) == json.loads(
            path.read_text()
        )
    assert run("convert", tmp_path / "in", tmp_path / "a.npz", *chosen)[0] == 0
    (sequence,) = formats.read(tmp_path / "a.npz")
    assert get_skeleton(sequence.skeleton).joints == tuple(joints)


def test_convert_to_other_joints_and_one_person(run, detections, tmp_path):
    code, said, _ = run("convert", detections, tmp_path / "out", "--format", "openpose")
    assert code == 0 and "joints carried over to body25 by name; not known and missing:" in said
    assert {s.skeleton for s in formats.read(tmp_path / "out")} == {"body25"}
    code, said, _ = run(
        "convert", detections, tmp_path / "out.json", "--person", 2, "--joints", "alphapose12",
        "--format", "npz",
    )
    assert code == 0 and "left behind: nose, left_eye" in said
    (again,) = formats.read(tmp_path / "out.json")
    assert (again.person, again.skeleton) == (2, "alphapose12")


def test_convert_to_a_named_format(run, detections, tmp_path):
    code, _, _ = run("convert", detections, tmp_path / "anything", "--format", "npz")
    assert code == 0 and formats.read(tmp_path / "anything").format == "npz"


def test_options_of_reading(run, detections, fails, tmp_path):
    said = run("convert", detections, tmp_path / "a.npz", "--image-size", "2000x1200")[1]
    assert "--image-size changes nothing" in said
    said = run("convert", detections, tmp_path / "a.npz", "--vertical", "y-up")[1]
    assert "--vertical changes nothing" in said
    assert "invalid choice" in fails("convert", detections, tmp_path / "a.npz", "--vertical", "up")
    assert run("render", detections, "-o", tmp_path / "a.png", "--min-score", "0.95")[0] == 2
    table = tmp_path / "table.csv"
    assert run("convert", detections, table, "--format", "wide", "--person", "1")[0] == 0
    (before,), (after,) = formats.read(table), formats.read(table, vertical="y-up")
    np.testing.assert_array_equal(after.keypoints, before.keypoints * [1, -1])


@pytest.mark.parametrize("count", [1, 2])
def test_render_draws_stills_and_films(run, detections, tmp_path, count):
    inputs = [detections, *[tmp_path / "other.npz"] * (count - 1)]
    run("convert", detections, tmp_path / "other.npz")
    still, film = tmp_path / "still.png", tmp_path / "film.mp4"
    assert run("render", *inputs, "-o", still)[0] == 0
    with Image.open(still) as picture:
        assert picture.format == "PNG" and len(np.unique(np.asarray(picture))) > 20
    code, said, _ = run("render", *inputs, "-o", film, "--fps", 15)
    assert code == 0 and f"wrote {film}" in said
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(film)
    assert frames == 30 and seconds == pytest.approx(2.0, rel=0.05)


def test_render_draws_on_the_source_and_writes_a_page(run, detections, tmp_path):
    drawn, page = tmp_path / "drawn.mp4", tmp_path / "page.html"
    code, said, _ = run("render", detections, "-o", drawn, "--source", film(tmp_path, 40))
    assert code == 0 and f"wrote {drawn}" in said and "no picture" not in said
    result = SourceVideo(drawn)
    assert result.shape == (640, 32 + 384 + 28)
    pixels = np.asarray(next(result.pictures(range(1), result.shape)))
    np.testing.assert_allclose(np.median(pixels[32:-28], axis=(0, 1)), (0, 0, 200), atol=12)
    formats.write(formats.read(detections), tmp_path / "other.npz")
    code, said, _ = run("render", detections, tmp_path / "other.npz", "-o", page)
    assert code == 0 and f"wrote {page}" in said
    text = page.read_text()
    assert "detections.json and other.npz" in text and "found by comparison" in text
    (tmp_path / "empty.json").write_text("[]")
    assert run("render", tmp_path / "empty.json", "-o", page)[0] == 0


# --- info and evaluate ----------------------------------------------------------------------------


def test_the_source_must_be_the_picture_of_the_poses(run, fails, detections, tmp_path):
    drawn, source = tmp_path / "drawn.mp4", film(tmp_path, 40)
    command = ("render", detections, "-o", drawn, "--source", source)
    assert "of the joints are beyond the 160 x 96 picture" in run(*command)[1]
    said = run(*command, "--image-size", "1600x960")[1]
    assert "changes nothing" not in said  # the poses are drawn in this size
    assert "beyond" not in said and f"wrote {drawn}" in said
    assert "160 x 96" in fails(*command, "--image-size", "640x480")
    shares = tmp_path / "shares.json"
    formats.write(formats.read(detections), shares, format="mediapipe")
    content = json.loads(shares.read_text())
    shares.write_text(json.dumps(content["frames"]))
    assert "picture of unknown size" in run("render", shares, "-o", drawn)[1]
    said = run("render", shares, "-o", drawn, "--source", source)[1]
    assert "(mediapipe, mediapipe33): " in said and "picture" not in said


def test_info_says_what_is_there(run):
    import jax

    code, said, _ = run("info", "--devices")
    assert code == 0
    for package in ("posegan_jax", "Python", "jax", "flax", "optax", "orbax-checkpoint"):
        assert re.search(rf"\b{package} \d", said), package
    assert f"jax {jax.__version__}" in said
    assert len(lines_with(said, "devices:")) == 1 and f"{jax.devices()[0].platform}:0" in said
    totals = {"generator": 1_148_480, "discriminator": 1_115_521, "encoder": 1_148_096,
              "corrector": 640_500}
    for name, total in totals.items():
        assert f"{name}: {total:,} parameters" in said
    # The layers' sizes add up to the totals.
    sizes = [int(n.replace(",", "")) for n in re.findall(r"^  \S+/\S+ .* ([\d,]+)$", said, re.M)]
    assert sum(sizes) == sum(totals.values())
    assert "trained_on" in said and len(said) < 20_000  # the residual's moments are left out
    without = [line for line in said.splitlines() if not line.startswith("devices:")]
    assert run("info")[1].splitlines() == without


def test_version_and_help(run):
    code, said, _ = run("--version")
    assert code == 0 and said == f"posegan_jax {posegan_jax.__version__}\n"
    code, said, _ = run("--help")
    assert code == 0
    for command in ("demo", "fill", "convert", "render", "train", "evaluate", "info"):
        assert command in said
        assert run(command, "--help")[0] == 0


def test_evaluate_prints_tables_and_writes_them(run, tmp_path):
    output = tmp_path / "scores"
    code, said, _ = run(
        "evaluate", "--count", 1, "--longest", 48, "--protocol", "clean,gap10",
        "--method", "input,fast,fast-s24", "-o", output,
    )
    assert code == 0 and "tables.md" in said and str(output) in said
    assert (output / "tables.md").read_text() in said
    content = json.loads((output / "evaluation.json").read_text())
    assert content["setup"]["motion"] == "procedural"
    assert [(row["protocol"], row["method"]) for row in content["results"]] == [
        (p, m) for p in ("clean", "gap10") for m in ("input", "fast", "C-fast-s24")
    ]
    tracks = output / "tracks" / "gap10"
    strips = tmp_path / "strips.png"
    files = [tracks / f"{name}.npz" for name in ("truth", "input", "C-fast-s24")]
    assert run("render", "--compare", *files, "-o", strips, "--frames", "10:40")[0] == 0
    assert Image.open(strips).size[1] > 3 * 200


# --- train and the program itself -----------------------------------------------------------------


def program(*arguments, **options):
    """Runs the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "posegan_jax.cli", *map(str, arguments)], capture_output=True,
        text=True, check=False, cwd=REPOSITORY, **options,
    )


def test_the_program_ends_with_the_commands_code(tmp_path):
    done = program("convert", tmp_path / "nothere.json", tmp_path / "out.npz")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == f"posegan: {tmp_path / 'nothere.json'}: no such file\n"


@pytest.mark.parametrize(
    "arguments, named",
    [
        ((), "config"),
        (("--config=nowhere.py",), "nowhere.py"),
        (("--config=configs/tiny.py", "--config.train.stepz=3"), "stepz"),
        (("--config=configs/tiny.py", "--config.train.steps=many"), "many|steps"),
        (("--config=configs/tiny.py", "--config.train.steps=3"), "steps_per_dispatch"),
        (("--config=configs/tiny.py", "--config.mode=dance"), "'train' or 'evaluate', not 'dance'"),
        (("--config=pyproject.toml",), "--config=pyproject.toml: SyntaxError: "),
    ],
)
def test_train_refuses_wrong_flags_in_one_line(arguments, named):
    done = program("train", *arguments)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert len(lines_with(done.stderr, "posegan")) == 1 and re.search(named, done.stderr)


@pytest.mark.slow
def test_train_two_steps_and_fill_with_them(run, detections, tmp_path):
    workdir = tmp_path / "run"
    fields = {
        "workdir": workdir, "optimizer.reconstruction_steps": 1, "train.steps": 2,
        "train.steps_per_dispatch": 1, "train.batch_size": 4, "train.checkpoint_every": 1,
        "train.evaluate_every": 2, "train.samples_every": 0, "evaluate.windows": 4,
        "model.latent": 16,
    }
    done = program(
        "train", "--config=configs/tiny.py", *(f"--config.{k}={v}" for k, v in fields.items()),
        env=os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "true"},  # they take most of it
    )
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line)["step"] for line in open(workdir / "metrics.jsonl")]
    assert max(steps) == 2
    code, said, _ = run("info", "--checkpoint", workdir)
    assert code == 0 and "'latent': 16" in said
    output = tmp_path / "out.npz"
    code, _, _ = run(
        "fill", detections, "-o", output, "--checkpoint", workdir, "--quality", "fast"
    )
    assert code == 0 and len(formats.read(output)) == 2
