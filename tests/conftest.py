"""What all tests share."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.pose.skeleton import SKELETONS

# Programs that one test has compiled serve the others, those of child processes and of the other
# workers of pytest-xdist, whose controller is the first to come here; nothing is written to the
# user's own cache.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _CACHE = tempfile.TemporaryDirectory(prefix="posegan-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _CACHE.name
# Small programs, too: there are thousands.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# One device, whichever test is the first to use JAX, and on machines of any size.
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "1")

REPOSITORY = Path(__file__).parents[1]

# Points beside those of the procedural people: where they hang, and how far beside it, millimetres.
_ADDED = {
    "nose": ("head", (0, 30, 90)), "left_eye": ("head", (30, 60, 80)),
    "left_ear": ("head", (70, 50, 0)), "left_heel": ("left_ankle", (0, -60, -50)),
    "left_big_toe": ("left_toe", (-20, 0, 10)), "left_small_toe": ("left_toe", (40, 0, -10)),
    "left_thumb": ("left_hand", (0, 0, 30)), "left_index": ("left_hand", (0, -60, 10)),
    "left_pinky": ("left_hand", (0, -50, -20)),
}
_ADDED |= {
    name.replace("left", "right"): (at.replace("left", "right"), (-x, y, z))
    for name, (at, (x, y, z)) in _ADDED.items() if name.startswith("left")
}


def pytest_configure(config):
    """Workers of pytest-xdist and their children have one thread each for linear algebra.

    The threads of OpenBLAS do not sleep while they wait for each other: on cores that are taken,
    they take ten times as long as one.
    """
    if getattr(config.option, "numprocesses", None):
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def write_motion():
    """Writes a file of procedural motion, on joints that these people do not have as well."""

    def write(path, order, count=1, **changes):
        """``count`` clips of each split, with some arrays changed, or left out where None."""
        from posegan_jax.motion.procedural import procedural_clips

        splits = np.repeat(["train", "validation"], count)
        clips = [c for split in ("train", "validation") for c in procedural_clips(split)[:count]]
        points = np.concatenate([clip.positions for clip in clips])
        place = {name: points[:, i] for i, name in enumerate(clips[0].joints)}
        place |= {name: place[at] + offset for name, (at, offset) in _ADDED.items()}
        positions = np.stack([place[joint] for joint in order], axis=1)
        lengths = np.array([len(clip.positions) for clip in clips])
        content = {
            "positions": positions.round().astype(np.int16), "joints": np.array(order),
            "fps": 25.0, "clip_start": np.cumsum(lengths) - lengths, "clip_length": lengths,
            "clip_subject": splits, "clip_text": np.repeat("stands", len(clips)),
            "clip_name": [f"{split}_{i % count}" for i, split in enumerate(splits)],
            "clip_split": splits,
        } | changes
        np.savez(path, **{name: value for name, value in content.items() if value is not None})
        return path

    return write


@pytest.fixture
def registries():
    """Formats, skeletons, qualities, ... that a test registers are gone after it."""
    from posegan_jax.batch.engines import ENGINES
    from posegan_jax.evaluation.baselines import LEARNED, TEMPORAL
    from posegan_jax.inpainting.settings import QUALITIES
    from posegan_jax.training.losses import TERMS

    registries = formats.FORMATS, SKELETONS, QUALITIES, TERMS, TEMPORAL, LEARNED, ENGINES
    before = [(known, dict(known)) for known in registries]
    yield
    for known, old in before:
        known.clear()
        known.update(old)


@pytest.fixture
def unoptimized():
    """Compiling is most of what a test takes: as little of it as there can be."""
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def untrained():
    """Draws variables of small networks, without the compile time of an initialisation."""

    def draw(options):
        """Options of the networks -> their variables."""
        import jax

        from posegan_jax.model.networks import build_networks

        rng = np.random.default_rng(0)

        def leaf(path, shape):
            scales = path[-1].key in ("scale", "var")
            return rng.normal(scales, 0.1, shape.shape).astype(np.float32)

        shapes = jax.eval_shape(build_networks(options).init, jax.random.key(0))
        return jax.tree_util.tree_map_with_path(leaf, shapes)

    return draw


@pytest.fixture
def on_devices():
    """Runs a program in a process with so many CPU devices; returns what it prints."""

    def run(count, program, *arguments, processes=1):
        environment = os.environ | {
            "JAX_NUM_CPU_DEVICES": str(count),
            "JAX_PLATFORMS": "cpu",
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
        }
        started = [
            subprocess.Popen(
                [sys.executable, "-c", program, *map(str, arguments)], text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=environment | {"PROCESS": str(number)},
            )
            for number in range(processes)
        ]
        try:
            said = [process.communicate(timeout=900) for process in started]
        finally:
            for process in started:
                process.kill()
        for process, (_, errors) in zip(started, said, strict=True):
            assert process.returncode == 0, errors
        return [out for out, _ in said] if processes > 1 else said[0][0]

    return run
