"""What all tests share."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from posegan_jax import formats
from posegan_jax.pose.skeleton import SKELETONS

# Programs that one test has compiled serve the others, and those of child processes; nothing is
# written to the user's own cache.
_CACHE = tempfile.TemporaryDirectory(prefix="posegan-tests-")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", _CACHE.name)
# One device, whichever test is the first to use JAX, and on machines of any size.
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "1")

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def registries():
    """Formats and skeletons that a test registers are gone after it."""
    before = [(known, dict(known)) for known in (formats.FORMATS, SKELETONS)]
    yield
    for known, old in before:
        known.clear()
        known.update(old)


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
