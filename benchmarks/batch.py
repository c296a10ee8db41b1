"""How fast `posegan batch` is with several workers of one core each, and whether its memory grows.

    python -m benchmarks.batch --clips 60 --frames 300 --workers 1,2 -o batch.json

Every clip is procedural motion, played to and fro to its length, as a simulated detector sees it.
With the engine `ray`, a worker is an engine on a node of its own, bound to one core: that is how
work is spread over a cluster. With `local` it is a core that one engine may use, and a process on
it. Runs compile their programs unless those are in the user's cache; "after the start" leaves that
out.

Memory is the most that the processes which fill have held so far, all together; pages that they
share are counted in each. Linux only.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.evaluation.clips import view_clips
from posegan_jax.evaluation.protocols import make_case
from posegan_jax.evaluation.tables import table
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.runtime.files import atomic_path

PROTOCOL, SEED = "wild", 1
QUALITY = "balanced"
MARK = "POSEGAN_BENCHMARK"
"""Environment variable by which processes of a run are known."""
FILLING = (b"posegan_jax.cli", b"ray::Remote", b"multiprocessing.spawn")
"""What command lines of processes that fill hold; Ray's own are left out."""
MB = 1 << 20


def write_clips(folder: Path, count: int, frames: int) -> None:
    """AlphaPose files of one person each."""
    views, skeleton = view_clips("procedural", "train", seed=SEED), get_skeleton("mpi_inf_3dhp")
    for number in range(count):
        motion = views[number % len(views)].keypoints
        missing = max(frames - len(motion), 0)
        motion = np.pad(motion, ((0, missing), (0, 0), (0, 0)), mode="reflect")[:frames]
        case = make_case(PROTOCOL, motion, skeleton, SEED, number)
        path = folder / f"clip{number:04d}.json"
        formats.write([case.sequence.replace(person=1)], path, "alphapose", joints="coco17")


@contextlib.contextmanager
def bound(cores: Sequence[int]) -> Iterator[None]:
    """What is started meanwhile runs on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def cluster(cores: Sequence[int]) -> Iterator[str]:
    """A Ray cluster of this machine with a node on each core: its address."""
    try:
        from ray.cluster_utils import Cluster
    except ImportError as error:
        raise InputError("--engine ray needs Ray; pip install 'posegan_jax[ray]'") from error
    memory = {"object_store_memory": 100 * MB}
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **memory})
    try:
        for core in cores:
            with bound([core]):
                nodes.add_node(num_cpus=1, **memory)
        yield nodes.address
    finally:
        nodes.shutdown()


def peak_memory() -> int:
    """Bytes that the processes which fill have held at most, each by itself."""
    mark, total = f"{MARK}={os.environ[MARK]}".encode(), 0
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            line = (path / "cmdline").read_bytes().replace(b"\0", b" ")
            if any(name in line for name in FILLING) and mark in (path / "environ").read_bytes():
                status = (path / "status").read_text()
                total += 1024 * int(status.partition("VmHWM:")[2].split()[0])
    return total


def measure(clips: Path, cores: Sequence[int], engine: str) -> dict:
    """Fills the clips with a worker on each of the cores."""
    count = len(list(clips.iterdir()))
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        environment, workers = dict(os.environ), len(cores)
        if engine == "ray":
            environment["RAY_ADDRESS"], workers = stack.enter_context(cluster(cores)), 1
        else:
            stack.enter_context(bound(cores))
        command = [
            sys.executable, "-m", "posegan_jax.cli", "batch", str(clips), "-o", folder,
            "--fps", "25", "--quality", QUALITY, "--engine", engine, "--workers", str(workers),
        ]
        process = subprocess.Popen(command, env=environment)
        quarter = end = 0
        try:
            while process.poll() is None:
                done = len(list(Path(folder).glob("clip*.json")))
                end = max(end, peak_memory())
                if done <= count / 4:
                    quarter = end
                time.sleep(0.2)
        finally:
            process.terminate()
            process.wait()
        if process.returncode:
            raise InputError(f"posegan batch ended with code {process.returncode}")
        said = json.loads((Path(folder) / "summary.json").read_text())
    after = max(usage["wall"] for usage in said["usage"].values())
    return {
        "workers": len(cores), "engines": len(said["usage"]), "seconds": said["seconds"],
        "seconds_after_start": after, "frames_per_second": said["frames"] / said["seconds"],
        "frames_per_second_after_start": said["frames"] / after,
        "devices_busy": said["utilisation"],
        "peak_memory_at_a_quarter": quarter, "peak_memory": end,
    }


def report(runs: Sequence[dict]) -> str:
    """The table."""
    header = ["workers", "wall, s", "frames/s", "after the start", "times one", "devices busy",
              "memory at a quarter, MB", "at the end, MB"]
    rate = "frames_per_second_after_start"
    rows = [
        [str(run["workers"]), f"{run['seconds']:.1f}", f"{run['frames_per_second']:.1f}",
         f"{run[rate]:.1f}", f"{run[rate] * runs[0]['workers'] / runs[0][rate]:.2f}",
         f"{run['devices_busy']:.0%}", f"{run['peak_memory_at_a_quarter'] / MB:.0f}",
         f"{run['peak_memory'] / MB:.0f}"]
        for run in runs
    ]
    return table(header, rows)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--frames", type=int, default=300, help="of a clip")
    parser.add_argument("--workers", default="1,2", help="numbers of them, a run each")
    parser.add_argument("--engine", choices=("ray", "local"), default="ray")
    parser.add_argument("-o", "--output", help="a JSON file of all figures")
    options = parser.parse_args(argv)
    cores = sorted(os.sched_getaffinity(0))
    os.environ |= {MARK: str(os.getpid()), "RAY_USAGE_STATS_ENABLED": "0"}
    runs = []
    try:
        numbers = [int(number) for number in options.workers.split(",")]
        if not 0 < min(numbers) <= max(numbers) <= len(cores):
            raise InputError(f"--workers must be from 1 to {len(cores)}, the cores that there are")
        with tempfile.TemporaryDirectory() as folder:
            write_clips(Path(folder), options.clips, options.frames)
            for number in numbers:
                runs.append(measure(Path(folder), cores[:number], options.engine))
    except (InputError, ValueError) as error:
        print(f"benchmarks.batch: {error}", file=sys.stderr)
        return 2
    print(report(runs))
    if options.output:
        content = {"clips": options.clips, "frames": options.frames, "protocol": PROTOCOL,
                   "quality": QUALITY, "engine": options.engine, "runs": runs}
        with atomic_path(Path(options.output)) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
