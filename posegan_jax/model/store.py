"""Reading and writing models, and parameters alone. With ``training.checkpoints``, which writes the
states of runs, this is all that writes by orbax; ``arrays`` reads. Reading loads neither orbax nor
Flax, but to check what somebody else made.

A checkpoint's folder is as ``folder`` says. Folders are on a file system that every host sees (a
local disk with one host, NFS, a mounted bucket); in a multi-host run every process calls these
functions, in the same order.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.model.arrays import flat, read_arrays, read_shapes, silence_orbax
from posegan_jax.model.constants import Constants
from posegan_jax.model.folder import (
    CERTAINTY,
    METADATA,
    PARAMS,
    RESIDUAL,
    STATE,
    find_checkpoint,
    find_weights,
    is_complete,
    packaged,
    read_metadata,
)
from posegan_jax.model.model import Model, misfit, unsound
from posegan_jax.model.options import CORRECTOR, CorrectorOptions, NetworkOptions, Variables
from posegan_jax.pose.skeleton import DETECTED_12
from posegan_jax.runtime.files import atomic_path

if TYPE_CHECKING:
    from posegan_jax.geometry.moments import ResidualMoments

PyTree = Any

# Where a training state keeps the networks' variables, each as {network: variables}. Of a network
# that is in several, the last is the one to use.
_NETWORKS_IN_STATE = ("variables", "averages")


def load_model(
    path: str | os.PathLike, step: int | None = None, partial: bool = False
) -> Model:
    """Reads a model, from a folder of ``save_model`` or from a training run's checkpoints.

    Args:
      path, step: as of ``load_params``.
      partial: networks may be missing, as a run can start from some.

    Raises:
      InputError: as ``load_params``, or the parameters are not those that the metadata tell of.
    """
    model = _read(path, find_checkpoint(path, step))
    if problem := misfit(model, partial):
        raise InputError(f"{path}: {problem}")
    return model


def read_outline(path: str | os.PathLike, step: int | None = None) -> Model:
    """Reads a model but for its arrays, of which it has ``arrays.Shape``; without JAX.

    Nobody has checked that these fit together, and it has no moments.

    Args: as of ``load_params``.

    Raises:
      InputError: as ``load_params``.
    """
    model = _read(path, find_checkpoint(path, step), outline=True)
    for name, variables in model.variables.items():
        if not isinstance(variables, dict) or not isinstance(variables.get("params"), dict):
            raise InputError(f"{path}: its {name} has no parameters")
    return model


def _read(path: str | os.PathLike, folder: Path, outline: bool = False) -> Model:
    told = read_metadata(folder)
    variables = _networks(folder, read_shapes if outline else read_arrays)
    options, residual = told.pop("networks", None), told.pop(RESIDUAL, None)
    if not isinstance(options, dict):
        raise InputError(f"{path}: not a checkpoint of posegan_jax (no network options)")
    with _sound(path):
        return Model(
            NetworkOptions.from_dict(options), variables,
            *_shown(told), None if outline else _moments(folder, residual),
            _corrector(variables, told.pop(CORRECTOR, None)),
            Constants.from_dict(told.pop("constants", {})),
            None if outline else _certainty(folder), told,
        )


class About(NamedTuple):
    """What belongs to the networks of a checkpoint besides their arrays.

    Attributes:
      moments, constants: as of ``Model``.
      corrected: whether they have a corrector.
    """

    moments: "ResidualMoments | None" = None
    constants: Constants = Constants()
    corrected: bool = False


def read_about(path: str | os.PathLike, step: int | None = None) -> About:
    """Reads what belongs to the networks of a checkpoint, and not these.

    Args: as of ``load_params``.

    Raises:
      InputError: as ``load_model`` of the same.
    """
    folder = find_checkpoint(path, step)
    metadata = read_metadata(folder)
    with _sound(path):
        return About(
            _moments(folder, metadata.get(RESIDUAL)),
            Constants.from_dict(metadata.get("constants", {})), CORRECTOR in metadata,
        )


@contextlib.contextmanager
def _sound(path: str | os.PathLike) -> Iterator[None]:
    """Where metadata are looked at, which may say anything."""
    try:
        yield
    except (AttributeError, TypeError, ValueError) as error:
        reason, *_ = f"{error}\n".splitlines()
        raise InputError(f"{path}: its metadata make no networks ({reason})") from error


def load_packaged(name: str = "pretrained") -> Model:
    """Reads a model that comes with the package, whose parameters a test has found to fit."""
    from importlib import resources

    with resources.as_file(packaged(name)) as path:
        model = _read(path, path)
        if problem := unsound(model):
            raise InputError(f"{path}: {problem}")
    return model


def save_model(path: str | os.PathLike, model: Model, overwrite: bool = False) -> None:
    """Writes a folder that ``load_model`` reads.

    Args: as of ``save_params``.

    Raises:
      InputError: as ``save_params``.
    """
    save_params(path, model.variables, about(model), overwrite, model.moments, model.certainty)


def save_fitted(
    path: str | os.PathLike, constants: Constants, certainty: Variables | None
) -> None:
    """Gives a folder of ``save_model`` other constants, and another certainty unless that is None;
    the networks' arrays are not touched.

    Raises:
      InputError: as ``folder.find_weights``, or the folder cannot be written to.
    """
    import orbax.checkpoint as ocp

    silence_orbax()
    folder = find_weights(path)
    metadata = read_metadata(folder) | {"constants": constants.to_dict()}
    if certainty is not None:
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(folder / CERTAINTY, certainty, force=True)
    with atomic_path(folder / METADATA / METADATA) as temporary:
        temporary.write_text(json.dumps(metadata), encoding="utf-8")


def about(model: Model) -> dict[str, Any]:
    """The metadata of a model: all but its arrays."""
    parts = {
        "networks": model.options.to_dict(),
        "detected": list(model.detected), "hidden": list(model.hidden),
        CORRECTOR: model.corrector and model.corrector.to_dict(),
        "constants": model.constants.to_dict(),
    }
    return {name: part for name, part in parts.items() if part is not None} | model.about


def _shown(metadata: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Joints that detectors deliver, and those of them that training hid.

    Earlier versions left these to the configuration; their correctors saw all of the twelve.
    """
    told = metadata.get("config", {}).get("corruption", {})
    detected = tuple(told.get("detected", DETECTED_12))
    hidden = tuple(told.get("never_observed", ()))
    if "detected" not in metadata and CORRECTOR in metadata:
        others = (joint for joint in DETECTED_12 if joint not in detected)
        detected, hidden = DETECTED_12, (*hidden, *others)
    return tuple(metadata.pop("detected", detected)), tuple(metadata.pop("hidden", hidden))


def _moments(folder: Path, moments: Any) -> "ResidualMoments | None":
    """Of residuals; earlier versions wrote them into the metadata, as lists."""
    from posegan_jax.geometry.moments import ResidualMoments, poses_of

    if (folder / RESIDUAL).is_dir():
        moments = read_arrays(folder / RESIDUAL)
    if isinstance(moments, dict) and "regression" in moments:
        older = np.asarray(moments["regression"], np.float64)
        moments = {**moments, "poses": poses_of(older)}
    whole = isinstance(moments, dict) and set(ResidualMoments._fields) <= set(moments)
    return ResidualMoments.from_dict(moments) if whole else None


def _certainty(folder: Path) -> Variables | None:
    """Where it was fitted."""
    return read_arrays(folder / CERTAINTY) if (folder / CERTAINTY).is_dir() else None


def _corrector(variables: dict[str, Any], options: Any) -> CorrectorOptions | None:
    """Of earlier versions, parameters alone tell; they are put where ``Corrector.init`` has them.

    One that the metadata do not tell of has not been trained yet.
    """
    if options is None:
        variables.pop(CORRECTOR, None)
        return None
    params = {}
    if CORRECTOR in variables:
        params = variables[CORRECTOR].get("params", variables[CORRECTOR])
        variables[CORRECTOR] = {"params": params}
    if isinstance(options, dict):
        return CorrectorOptions.from_dict(options)
    scale = params.get("norm", {}).get("scale", np.zeros(0))
    width = scale.size
    return CorrectorOptions(width, len(params.get("blocks", ())), "gate" in params)


def save_params(
    path: str | os.PathLike, params: PyTree, metadata: Mapping[str, Any], overwrite: bool = False,
    moments: "ResidualMoments | None" = None, certainty: Variables | None = None,
) -> None:
    """Writes parameters alone, compressed, to a folder that `load_params` reads.

    Args:
      path: the folder to write; appears only when complete.
      params: nested dict of arrays, {network: its variables} as `load_params` gives it.
      metadata: JSON object.
      overwrite: replace a folder of parameters at `path`.
      moments: of residuals, where they were measured.
      certainty: of the model, where it was fitted.

    Raises:
      InputError: `path` exists, and `overwrite` is False or it holds no parameters.
      TypeError: `metadata` is not JSON.
    """
    import jax
    import orbax.checkpoint as ocp

    silence_orbax()
    path = Path(os.path.abspath(path))
    metadata = json.loads(json.dumps(dict(metadata)))
    if path.exists() and not (overwrite and is_complete(path)):
        raise InputError(f"{path}: already exists; choose another folder")
    # As numpy arrays no sharding is written: the folder says nothing of the machine it came from.
    arrays = {PARAMS: params} | ({} if moments is None else {RESIDUAL: moments._asdict()})
    arrays |= {} if certainty is None else {CERTAINTY: certainty}
    arrays = jax.tree.map(np.asarray, jax.device_get(arrays))
    items = {name: ocp.args.StandardSave(tree) for name, tree in arrays.items()}
    items[METADATA] = ocp.args.JsonSave(metadata)
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        checkpointer.save(path, args=ocp.args.Composite(**items), force=overwrite)
    if jax.process_index() == 0:
        for marker in path.rglob("commit_success.txt"):  # these hold the absolute path
            marker.unlink()


def load_params(
    path: str | os.PathLike, step: int | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads parameters, from a folder of `save_params` or from a training run's checkpoints.

    Of a training state only the networks' variables are read, the moving averages where a network
    has them; nothing needs to be known of the optimizer.

    Args:
      path: as of ``folder.find_checkpoint``.
      step: as of that.

    Returns:
      (parameters, metadata): {network: its variables}, a nested dict of numpy arrays in host
      memory, in single precision, whatever devices they were saved from, and the JSON object saved
      with them.

    Raises:
      InputError: `path` is no checkpoint, or one without metadata or parameters, or damaged.
    """
    folder = find_checkpoint(path, step)
    metadata = read_metadata(folder)
    return _networks(folder, read_arrays), metadata


def _networks(
    folder: Path, read: Callable[[Path, Iterable[tuple[str, ...]] | None], dict[str, Any]]
) -> dict[str, Any]:
    """The networks' variables, by ``arrays.read_arrays`` or ``arrays.read_shapes``."""
    if (folder / PARAMS).is_dir():
        return read(folder / PARAMS, None)
    saved = flat(read_shapes(folder / STATE))
    networks = {}  # network -> the part of the state to take it from
    for part in _NETWORKS_IN_STATE:
        networks |= {keys[1]: part for keys in saved if keys[0] == part and len(keys) > 2}
    if not networks:
        raise InputError(f"{folder}: holds no networks; give a run's or a weights folder")
    arrays = read(folder / STATE, [k for k in saved if len(k) > 2 and networks.get(k[1]) == k[0]])
    return {name: arrays[part][name] for name, part in networks.items()}
