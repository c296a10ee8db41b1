"""A run over many files: what is left to do, how far it is, and what became of every file."""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

from posegan_jax.batch.devices import Usage
from posegan_jax.batch.engines import ENGINES, Results
from posegan_jax.batch.manifest import SUMMARY, Job, collect
from posegan_jax.batch.work import Outcome
from posegan_jax.errors import InputError
from posegan_jax.inpainting.settings import FillOptions
from posegan_jax.model.folder import find_checkpoint, packaged
from posegan_jax.pose.rate import UNKNOWN_FPS
from posegan_jax.runtime.files import atomic_path
from posegan_jax.runtime.options import check_choice
from posegan_jax.runtime.progress import Progress

LOCK = ".posegan.lock"
_TEMPORARY = re.compile(r"\.(?P<stem>.+)\.[a-z0-9_]{8}\.tmp(?P<suffix>.*)")
_NAMES = {"settings": "quality, shift or steps"}


@dataclasses.dataclass
class Summary:
    """What a run did.

    Attributes:
      files: asked for.
      skipped: had their output before.
      filled: were filled in this run.
      failures: inputs that have no output, and why.
      frames, people: that were filled.
      joints: how many of each provenance.
      left: people in whom there was nothing to start from.
      assumed: files whose frame rate was not known.
      bridged, moved, sides: frames and joints, as of an ``Outcome``.
      notes: inputs of which there is something to know, and what.
      seconds: from the beginning to the end.
      usage: of the devices, by engine.
      finished: whether every file was tried.
    """

    files: int = 0
    skipped: int = 0
    filled: int = 0
    failures: dict[str, str] = dataclasses.field(default_factory=dict)
    frames: int = 0
    people: int = 0
    joints: dict[str, int] = dataclasses.field(default_factory=dict)
    left: int = 0
    assumed: int = 0
    bridged: int = 0
    moved: int = 0
    sides: int = 0
    notes: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    usage: dict[str, Usage] = dataclasses.field(default_factory=dict)
    finished: bool = False

    def add(self, outcome: Outcome, engine: str, usage: Usage) -> None:
        """Counts a file."""
        self.usage[engine] = usage
        if outcome.error is not None:
            self.failures[outcome.job.input] = outcome.error
            return
        self.filled += 1
        self.frames += outcome.frames
        self.people += outcome.people
        self.joints = dict(Counter(self.joints) + Counter(outcome.joints))
        self.left += outcome.left
        self.assumed += outcome.assumed
        self.bridged += outcome.bridged
        self.moved += outcome.moved
        self.sides += outcome.sides
        if outcome.notes:
            self.notes[outcome.job.input] = outcome.notes

    @property
    def utilisation(self) -> float | None:
        """Share of the time after their start that the devices were busy; None: they never were."""
        wall = sum(usage.wall for usage in self.usage.values())
        return sum(usage.busy for usage in self.usage.values()) / wall if wall else None

    def __str__(self) -> str:
        parts = [f"filled {self.filled} of {self.files} files"]
        if self.skipped:
            parts.append(f"{self.skipped} were there already")
        if self.failures:
            parts.append(f"{len(self.failures)} failed")
        if self.frames:
            rate = self.frames / max(self.seconds, 1e-9)
            parts.append(f"{self.frames} frames in {self.seconds:.1f} s ({rate:.0f} fps)")
        if self.bridged:
            parts.append(f"{self.bridged} frames bridged")
        if self.sides:
            parts.append(f"left and right exchanged in {self.sides} frames")
        if self.moved:
            parts.append(f"{self.moved} confident joints moved by over half a head")
        if self.utilisation is not None:
            parts.append(f"devices busy for {self.utilisation:.0%} of the time after their start")
        if self.notes:
            parts.append(f"notes on {len(self.notes)} of them in {SUMMARY}")
        if self.assumed:
            parts.append(f"{UNKNOWN_FPS:g} fps assumed for {self.assumed} files (--fps gives them)")
        return ", ".join(parts)

    def content(self) -> dict:
        """What the file says."""
        result = dataclasses.asdict(self)
        result["failures"] = [
            {"input": path, "error": error} for path, error in self.failures.items()
        ]
        result["utilisation"] = self.utilisation
        return result


def run(
    inputs: Sequence[str | os.PathLike], folder: str | os.PathLike, options: FillOptions,
    checkpoint: str | None = None, engine: str = "local", workers: int | None = None,
) -> Summary:
    """Fills files; those whose output is there already are skipped.

    Args:
      inputs: see ``manifest.collect``.
      folder: for the outputs, and ``summary.json``; it is made where there is none.
      options: alike for all files.
      checkpoint: as of ``Inpainter.from_checkpoint``; None: the packaged weights.
      engine: a name of ``engines.ENGINES``. 'local': the devices and cores of this machine.
        'ray': those of a Ray cluster.
      workers: as of ``engine.Engine``, of each engine.

    Raises:
      InputError: no such file, checkpoint or engine, options that no file can be filled with, or a
        folder that cannot be written, that another run writes to, or that holds the outputs of
        other options.
    """
    begun = time.perf_counter()
    check_choice("engine", engine, ENGINES)
    options.check()
    folder = Path(folder)
    jobs = collect(inputs, folder)
    if checkpoint:  # a training run may save newer ones meanwhile
        checkpoint = str(find_checkpoint(checkpoint))
    options.check_model(checkpoint)
    with _opened(checkpoint) as weights:
        how = {"checkpoint": _weights(weights), **options.content()}
    if options.joint_map and os.path.isfile(options.joint_map):  # else a skeleton's name
        how["joint_map"] = f"sha256:{_digest(Path(options.joint_map)).hex()}"
    how = json.loads(json.dumps(how))  # as it is read again
    with _claimed(folder):
        _check_same(folder, how)
        _sweep(folder, jobs)
        todo = [job for job in jobs if not os.path.exists(job.output)]
        summary = Summary(len(jobs), len(jobs) - len(todo))
        _write(folder, how, summary)
        try:
            if todo:
                with contextlib.closing(
                    ENGINES[engine](todo, options, checkpoint, workers)
                ) as results:
                    _count(results, summary, begun)
            summary.finished = True
        finally:
            # What was in the midst of being written at an interrupt has been written.
            summary.filled = sum(os.path.exists(job.output) for job in todo)
            summary.seconds = time.perf_counter() - begun
            _write(folder, how, summary)
    return summary


def _count(results: Results, summary: Summary, begun: float) -> None:
    """Takes outcomes as they come, and shows how far it is."""
    with Progress(summary.files, summary.skipped, "batch", unit="file") as progress:
        for done, result in enumerate(results, summary.skipped + 1):
            summary.add(*result)
            rate = summary.frames / (time.perf_counter() - begun)
            shown = {"frames/s": rate} | ({"failed": len(summary.failures)} if summary.failures
                                          else {})
            progress.update(done, shown)


# --- the folder -----------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(checkpoint: str | None) -> Iterator[Path]:
    """The folder of a checkpoint, or of the packaged one."""
    if checkpoint:
        yield Path(checkpoint)
    else:
        with resources.as_file(packaged()) as path:
            yield path


def _weights(folder: Path) -> str:
    """Of a checkpoint's content, wherever it stands; no device is touched."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\n".encode() + _digest(path))
    return f"sha256:{digest.hexdigest()}"


def _digest(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _check_same(folder: Path, how: dict) -> None:
    """Raises InputError where a folder holds outputs that were made in another way."""
    path = folder / SUMMARY
    # A mistake in the options of a run that came to nothing is no obstacle.
    outputs = any(p.name != SUMMARY and not p.name.startswith(".") for p in folder.iterdir())
    if not outputs or not path.exists():
        return
    try:
        before = dict(json.loads(path.read_text(encoding="utf-8"))["options"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not of an earlier run; give another folder") from error
    other = [name for name in how if before.get(name) != how[name]]
    if other:
        other = [_NAMES.get(name, name) for name in other]
        raise InputError(
            f"{folder} holds outputs of other options ({', '.join(other)}); give another folder, "
            "or remove it"
        )


def _write(folder: Path, how: dict, summary: Summary) -> None:
    content = {**summary.content(), "options": how}
    with atomic_path(folder / SUMMARY) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Makes the folder, and keeps other runs out of it. Raises InputError where that fails."""
    path, locked = folder / LOCK, False
    while not locked:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        except OSError as error:
            raise InputError(f"cannot write to the folder {folder}: {error.strerror}") from error
        try:
            _lock(handle, folder)
            # Else a run that has just ended removed the file between opening and locking it.
            locked = path.exists() and os.path.samestat(os.fstat(handle), path.stat())
        finally:
            if not locked:
                os.close(handle)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows keeps what is open
            path.unlink()
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    """Locks a file until it is closed, or its process dies."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(f"another run is writing to {folder}; wait for its end") from error
    except OSError:  # a file system without locks
        return


def _sweep(folder: Path, jobs: Sequence[Job]) -> None:
    """Removes what a killed run had begun to write, see ``runtime.files``."""
    names: dict[Path, set[str]] = {folder: {SUMMARY}}
    for output in (Path(job.output) for job in jobs):
        names.setdefault(output.parent, set()).add(output.name)
    for parent, written in names.items():
        for path in parent.glob(".*.tmp*"):
            begun = _TEMPORARY.fullmatch(path.name)
            if begun is None or begun["stem"] + begun["suffix"] not in written:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()
