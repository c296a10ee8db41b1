"""A device for every core."""

import os
import subprocess
import sys

import pytest

from posegan_jax import cpus

PROGRAM = """
import sys
from posegan_jax import cpus
cpus.usable = lambda: int(sys.argv[1])
cpus.one_device_each(int(sys.argv[2]))
import jax
print(jax.device_count(), end=" ")
cpus.usable = lambda: 1
cpus.one_device_each()  # too late, and harmless
print(jax.device_count())
"""


@pytest.mark.parametrize(
    "cores, dividing, given, devices",
    [(3, 0, {}, 3), (5, 256, {}, 4), (64, 0, {}, 16), (4, 0, {"JAX_NUM_CPU_DEVICES": "2"}, 2),
     (4, 0, {"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}, 3)],
)
def test_cores_are_devices(cores, dividing, given, devices):
    environment = {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"}
    environment |= {"JAX_PLATFORMS": "cpu"} | given
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(cores), str(dividing)], env=environment, text=True,
        capture_output=True, timeout=120, check=True,
    )
    assert done.stdout.split() == [str(devices)] * 2


@pytest.mark.parametrize(
    "text, share", [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 3), (None, 3)]
)
def test_a_container_s_share_of_time_counts(monkeypatch, tmp_path, text, share):
    monkeypatch.setattr(cpus.os, "sched_getaffinity", lambda pid: {0, 4, 5}, raising=False)
    monkeypatch.setattr(cpus, "CPU_MAX", tmp_path / "cpu.max")
    if text is not None:
        cpus.CPU_MAX.write_text(text + "\n")
    assert cpus.usable() == share


def test_a_command_uses_them():
    environment = {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"}
    done = subprocess.run(
        [sys.executable, "-m", "posegan_jax.cli", "info"], text=True, capture_output=True,
        timeout=120, check=True, env=environment | {"JAX_PLATFORMS": "cpu"},
    )
    assert done.stdout.count("cpu:") == min(cpus.usable(), cpus.MOST)
