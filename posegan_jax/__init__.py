"""posegan_jax completes, refines and upsamples 2D human pose tracks.

    import posegan_jax

    file = posegan_jax.read("alphapose-results.json")
    inpainter = posegan_jax.Inpainter.from_pretrained()
    posegan_jax.write(file.replace([inpainter(s) for s in file]), "completed.json")

Importing the package touches no device, and loads jax only when ``Inpainter`` is first used.
"""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # __getattr__ tells type checkers nothing
    from posegan_jax.errors import InputError as InputError
    from posegan_jax.formats import read as read
    from posegan_jax.formats import write as write
    from posegan_jax.inpainting.inpainter import Inpainter as Inpainter
    from posegan_jax.pose.sequence import PoseFile as PoseFile
    from posegan_jax.pose.sequence import PoseSequence as PoseSequence
    from posegan_jax.pose.sequence import Provenance as Provenance
    from posegan_jax.pose.skeleton import Skeleton as Skeleton
    from posegan_jax.pose.skeleton import get_skeleton as get_skeleton

try:
    __version__ = version("posegan_jax")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0+unknown"

_EXPORTS = {
    "read": "formats",
    "write": "formats",
    "PoseSequence": "pose.sequence",
    "PoseFile": "pose.sequence",
    "Provenance": "pose.sequence",
    "Skeleton": "pose.skeleton",
    "get_skeleton": "pose.skeleton",
    "Inpainter": "inpainting.inpainter",
    "InputError": "errors",
}

__all__ = ["__version__", *_EXPORTS]


def __getattr__(name: str):
    if name in _EXPORTS:
        value = getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
