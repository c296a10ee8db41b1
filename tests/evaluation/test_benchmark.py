"""The benchmark from end to end, on few and short clips."""

import dataclasses
import json
import re

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.evaluation import benchmark, contenders, specialist
from posegan_jax.evaluation.benchmark import resolve, run_benchmark
from posegan_jax.evaluation.clips import view_clips
from posegan_jax.evaluation.memory import PARTS, finish
from posegan_jax.evaluation.methods import main_methods
from posegan_jax.evaluation.pictures import EXAMPLES
from posegan_jax.evaluation.protocols import PROTOCOLS
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.evaluation.specialist_network import Recipe
from posegan_jax.motion.clips2d import FILE, Clip2D, save_clips2d
from posegan_jax.motion.procedural import procedural_clips
from posegan_jax.pose.carry import carry_joints
from posegan_jax.pose.sequence import PoseFile, PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

MPI, COCO = get_skeleton("mpi_inf_3dhp"), get_skeleton("coco17")
SMALL = EvaluateOptions(
    protocols=("holes40", "legs"), methods=("input", "linear", "fast"), count=2, longest=48
)


@pytest.fixture(scope="module")
def done(inpainter, tmp_path_factory):
    """A small run, and its folder before it is finished."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contenders, "TRAIN_WINDOWS", 400)
        return run_benchmark(inpainter, SMALL, folder), folder


@pytest.fixture
def few_windows(monkeypatch):
    monkeypatch.setattr(contenders, "TRAIN_WINDOWS", 400)


def test_every_method_under_every_protocol(done):
    result, _ = done
    assert [(r.protocol, r.method) for r in result.results] == [
        (p, m) for p in SMALL.protocols for m in SMALL.methods
    ]
    assert result.texts == {name: PROTOCOLS[name].text for name in SMALL.protocols}
    assert result.setup["clips"] == 2 and result.setup["frames"] == 96
    json.dumps(result.setup)
    views = view_clips("procedural", count=2, longest=48)
    assert result.names == dict.fromkeys(SMALL.protocols, tuple(view.name for view in views))


def test_who_knows_more_is_better(done):
    values = {m: s.values for m, s in done[0].of("holes40").items()}
    assert values["input"]["missing"]["pckh@0.5"] == 0.0 == values["input"]["upsampled"]["auc"]
    assert values["linear"]["missing"]["pckh@0.5"] > 0.9
    assert values["fast"]["upsampled"]["pckh@0.5"] > 0.8
    legs = {m: s.values["missing"]["error"] for m, s in done[0].of("legs").items()}
    assert legs["fast"] > values["fast"]["missing"]["error"]


def test_an_interrupted_run_goes_on(done, inpainter, monkeypatch):
    result, folder = done
    parts = sorted((folder / PARTS).glob("*.json"))
    assert len(parts) == 6
    worked = []

    def score(*arguments):
        worked.append(arguments)
        return real(*arguments)

    real = benchmark.score
    monkeypatch.setattr(benchmark, "score", score)
    monkeypatch.setattr(contenders, "TRAIN_WINDOWS", 400)
    parts[0].unlink()
    assert run_benchmark(inpainter, SMALL, folder) == result and len(worked) == 1
    # Other clips are another benchmark: nothing of the first is taken for them.
    other = dataclasses.replace(SMALL, seed=5, protocols=("legs",), methods=("input",))
    run_benchmark(inpainter, other, folder)
    assert len(worked) == 2


def test_tracks_of_the_first_clip_are_kept(done):
    _, folder = done
    tracks = {path.stem: formats.read(path)[0] for path in (folder / "tracks/legs").iterdir()}
    assert set(tracks) == {"truth", *SMALL.methods}
    assert tracks["truth"].observed.all() and tracks["fast"].observed.all()
    error = np.abs(tracks["fast"].keypoints - tracks["truth"].keypoints).mean()
    assert 0 < error < 0.1 * np.ptp(tracks["truth"].keypoints)
    seen = tracks["input"].observed
    assert (seen.sum(axis=1) == 8).all()


def test_examples_are_drawn(done):
    _, folder = done
    assert {path.name for path in folder.glob("*.png")} == {
        f"{protocol}-{example}.png" for protocol in SMALL.protocols for example in EXAMPLES
    }


def test_a_finished_run_forgets(tmp_path):
    (tmp_path / PARTS).mkdir()
    finish(tmp_path)
    finish(tmp_path)
    assert not list(tmp_path.iterdir())


def test_windows(inpainter):
    options = EvaluateOptions(
        protocols=("gap10",), methods=("input", "fast"), unit="windows", count=3
    )
    told = []
    result = run_benchmark(inpainter, options, progress=lambda *a: told.append(a))
    assert result.setup["frames"] == 72
    assert told[-1][1:] == (6, 6) and [t[1] for t in told] == sorted(t[1] for t in told)
    assert result.of("gap10")["fast"].values["missing"]["pckh@0.5"] > 0.5


def test_networks_are_trained_for_protocols_that_hide_joints(inpainter, tmp_path, monkeypatch):
    monkeypatch.setattr(contenders, "TRAIN_WINDOWS", 100)
    monkeypatch.setattr(contenders, "RECIPE", Recipe(windows=60, width=8, batch=20, epochs=2))
    options = EvaluateOptions(
        protocols=("noise", "legs"), methods=("network", "input"), unit="windows", count=2
    )
    told = []
    result = run_benchmark(inpainter, options, tmp_path, lambda *some: told.append(some))
    assert [(r.protocol, r.method) for r in result.results] == [
        ("noise", "input"), ("legs", "network"), ("legs", "input")
    ]
    assert result.of("legs")["network"].values["missing"]["error"] < 3
    assert "legs: network, epoch 2 of 2" in [what for what, _, _ in told]
    assert told[-1][1:] == (6, 6)
    # A run that goes on, of other clips, finds it there.
    monkeypatch.setattr(specialist, "train", None)
    other = dataclasses.replace(options, protocols=("legs",), count=3)
    assert len(run_benchmark(inpainter, other, tmp_path).results) == 2
    shared = tmp_path / PARTS / "networks"
    assert len(run_benchmark(inpainter, other, networks=shared).results) == 2
    with pytest.raises(TypeError):
        run_benchmark(inpainter, other)
    finish(tmp_path)
    assert not shared.exists()


# --- names ----------------------------------------------------------------------------------------


def test_the_command_s_help_names_every_protocol():
    (field,) = (f for f in dataclasses.fields(EvaluateOptions) if f.name == "protocols")
    assert {*PROTOCOLS, "everything"} <= {*re.findall(r"\w+", field.metadata["help"])}


def test_choices_where_nothing_is_named():
    protocols, methods = resolve(EvaluateOptions())
    assert set(protocols) < set(PROTOCOLS) and len(protocols) == 5
    assert methods == list(main_methods())
    assert resolve(EvaluateOptions(protocols=("everything",)))[0] == list(PROTOCOLS)
    assert resolve(EvaluateOptions(methods=("M-s1", "s1", "linear")))[1] == ["s1", "linear"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"protocols": ("arms",)}, "arms.*holes10.*everything"),
        ({"methods": ("magic",)}, "magic"),
        ({"methods": ("s25",)}, "s25"),
        ({"count": -1}, "0 or more"),
        ({"unit": "windows", "count": 0}, "how many"),
        ({"detections": "here"}, "procedural.*2D"),
        ({"protocols": ("detections",)}, "--detections"),
    ],
)
def test_mistakes_are_found_before_anything_is_loaded(changes, named):
    with pytest.raises(InputError, match=named):
        resolve(EvaluateOptions(**changes))


def motion_file(path, split):
    clip = procedural_clips("validation")[0]
    count = len(clip.positions)
    np.savez(
        path, positions=clip.positions.astype(np.int16), joints=np.array(MPI.joints), fps=25,
        clip_start=[0], clip_length=[count], clip_subject=["x"], clip_name=["y"], clip_text=["z"],
        clip_split=[split],
    )


def test_a_file_without_training_clips(inpainter, tmp_path, few_windows):
    path = tmp_path / "unseen.npz"
    motion_file(path, "test")
    options = EvaluateOptions(
        motion=str(path), split="test", protocols=("legs",), count=1, longest=48
    )
    for method in ("network", "ridge"):
        named = dataclasses.replace(options, methods=("linear", method))
        with pytest.raises(InputError, match=f"unseen.npz: no training .* for {method}.*--train"):
            run_benchmark(inpainter, named)
    default = run_benchmark(inpainter, dataclasses.replace(options, methods=("linear",)))
    assert "no training clips" in default.notes[0]
    assert default.of("legs")["linear"].values["missing"]["error"] is None
    other = run_benchmark(inpainter, dataclasses.replace(named, train="procedural"))
    assert not other.notes and other.of("legs")["ridge"].values["missing"]["error"] < 3
    with pytest.raises(InputError, match="unseen.npz"):
        run_benchmark(inpainter, dataclasses.replace(options, split="validation"))


# --- 2D test clips --------------------------------------------------------------------------------


def clip2d(frames, camera, first=0, fps=25.0):
    motion = procedural_clips("validation")[camera].positions[:frames]
    keypoints = 0.5 * motion[..., :2] * [1.0, -1.0] + 900
    return Clip2D(keypoints.astype(np.float32), "S1/Seq2", camera, first + np.arange(frames), fps)


@pytest.fixture
def flat(tmp_path):
    """A set with three clips of two cameras."""
    folder = tmp_path / "mpi"
    folder.mkdir()
    save_clips2d(folder / FILE, [clip2d(60, 1), clip2d(50, 2), clip2d(40, 2, 100)])
    return folder


def write_detections(path, clip, offset=0.0, person=1):
    keypoints = carry_joints(clip.keypoints.astype(float), MPI, COCO, np.nan) + offset
    scores = np.isfinite(keypoints[..., 0]) * (0.9 if person == 1 else 0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    return PoseSequence(keypoints, scores, 25.0, "coco17", clip.frames, person)


def test_annotated_clips_stand_in_for_a_detector_and_say_so(inpainter, flat):
    options = EvaluateOptions(motion=str(flat), methods=("input", "fast"), count=2, longest=40)
    result = run_benchmark(inpainter, options)
    assert list(result.texts) == ["noise"] and "simulated" in result.texts["noise"]
    assert result.setup["split"] == "2D test clips" and result.setup["subjects"] == ["S1"]
    assert result.setup["clips"] == 2 and result.setup["frames"] == 80
    assert 0.3 < result.of("noise")["input"].values["Total-12J"]["pckh@0.5"] < 0.95


def test_detections_are_scored_and_used_as_input(inpainter, flat, tmp_path):
    folder = tmp_path / "found"
    first, second, third = clip2d(60, 1), clip2d(50, 2), clip2d(40, 2, 100)
    # The person, 3 pixels beside the truth, and somebody else who is less sure to be there.
    path = folder / "S1/Seq2/video_1.json"
    people = (write_detections(path, first, 300.0, person=2), write_detections(path, first, 3.0))
    formats.write(PoseFile(people, "alphapose"), path)
    path = folder / "S1/Seq2/video_2/alphapose-results.json"
    both = [write_detections(path, clip, 3.0, person) for person, clip in ((1, second), (3, third))]
    formats.write(PoseFile(tuple(both), "alphapose"), path)
    options = EvaluateOptions(
        motion=str(flat), methods=("input", "fast"), detections=str(folder), count=0, longest=0
    )
    result = run_benchmark(inpainter, options)
    assert list(result.texts) == ["detections"] and result.setup["clips"] == 3 and not result.notes
    values = result.of("detections")["input"].values
    assert values["observed"]["error"] < 0.1 and values["Total-12J"]["pckh@1.0"] == 1.0
    assert values["upsampled"]["error"] is None
    assert result.of("detections")["fast"].values["upsampled"]["pckh@1.0"] > 0.6

    path.unlink()
    result = run_benchmark(inpainter, dataclasses.replace(options, methods=("input",)))
    assert result.notes == ("2 of 3 test clips have no file of detections",)
    (folder / "S1/Seq2/video_1.json").unlink()
    for where, named in ((folder, "no file.*S1/Seq2/video_"), (tmp_path / "no", "no such folder")):
        with pytest.raises(InputError, match=named):
            run_benchmark(inpainter, dataclasses.replace(options, detections=str(where)))
