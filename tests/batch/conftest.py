"""Small networks, and clips of people with holes."""

import dataclasses

import numpy as np
import pytest

from posegan_jax import formats
from posegan_jax.geometry.camera import look_at, project
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.inpainting.settings import FillOptions
from posegan_jax.model.options import NetworkOptions
from posegan_jax.model.store import save_params
from posegan_jax.motion.procedural import procedural_clips
from posegan_jax.pose.carry import carry_joints
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import get_skeleton

SMALL = NetworkOptions(skeleton="alphapose12", frames=16, latent=8)


@pytest.fixture(scope="session")
def weights(tmp_path_factory, untrained):
    """Writes small networks that have not been trained: frames of a window -> path."""

    def write(frames):
        options = dataclasses.replace(SMALL, frames=frames)
        path = tmp_path_factory.mktemp("weights") / "small"
        about = {"networks": options.to_dict(), "residual": None}
        save_params(path, untrained(options), about)
        return str(path)

    return write


@pytest.fixture(scope="session")
def checkpoint(weights):
    """Path of such networks, with windows of 16 frames."""
    return weights(SMALL.frames)


@pytest.fixture(scope="session")
def inpainter(checkpoint):
    """Of those networks, four windows at a time."""
    return Inpainter.from_checkpoint(checkpoint, batch=4)


@pytest.fixture(scope="session")
def options():
    return FillOptions(quality="fast", fps=25.0)


@pytest.fixture(scope="session")
def people():
    """Makes people with noise and holes: a seed, a number of frames -> PoseSequence."""
    skeleton = get_skeleton("alphapose12")
    motion = procedural_clips("validation")[1].positions

    def make(seed, frames=40, person=1):
        rng = np.random.default_rng(seed)
        part = motion[seed : seed + frames]
        camera = look_at(0.3 * seed, 0.1, 5000.0, part.mean(axis=(0, 1)), 0.0, 1500.0)
        image = np.asarray(project(part, camera)[0], float) + (640, 360)
        keypoints = carry_joints(image, get_skeleton("mpi_inf_3dhp"), skeleton, np.nan)
        keypoints += rng.normal(0, 2.0, keypoints.shape)
        keypoints[rng.random(keypoints.shape[:2]) < 0.2] = np.nan
        return PoseSequence(keypoints, fps=25.0, skeleton="alphapose12", person=person)

    return make


@pytest.fixture
def clips(tmp_path, people):
    """Writes a folder of clips: number of files, frames -> its path."""

    def write(count, frames=40):
        folder = tmp_path / "clips"
        folder.mkdir()
        for i in range(count):
            formats.write([people(i, frames)], folder / f"clip{i}.npz")
        return folder

    return write


@pytest.fixture(scope="session")
def contents():
    """Reads a folder: its path -> bytes of all outputs by their names.

    A file that is being written, or was when its process was killed, is no output yet.
    """

    def read(folder):
        paths = (p for p in sorted(folder.rglob("*.npz")) if not p.name.startswith("."))
        return {str(p.relative_to(folder)): p.read_bytes() for p in paths}

    return read
