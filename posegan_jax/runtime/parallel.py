"""Data parallelism: one mesh axis over all devices, state replicated, batches split.

What ``pmap`` did is done by ``jit`` over a mesh with ``NamedSharding`` now. Batches are drawn by a
program that is written for the global batch, and that XLA splits. The update is ``each_device``'s:
written for a device's own samples, with means over the devices where a statistic or a gradient is
the global batch's. XLA would find those sums, too, but takes them where a partial sum first occurs:
inside loops over parts of a batch, and before what makes less of it.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from posegan_jax.errors import InputError

DATA_AXIS = "data"

T = TypeVar("T")
Result = TypeVar("Result")


def make_mesh(devices: list[jax.Device] | None = None) -> Mesh:
    """A one-dimensional mesh over the given devices, all of them if None."""
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh((len(devices),), (DATA_AXIS,), axis_types=(AxisType.Auto,),
                         devices=devices)


def check_batch(mesh: Mesh, batch_size: int) -> None:
    """Raises InputError when the batch cannot be split evenly over the mesh."""
    if batch_size % mesh.size:
        raise InputError(
            f"train.batch_size={batch_size} must be a multiple of the {mesh.size} devices"
        )


def replicate(mesh: Mesh, tree: T) -> T:
    """Puts every array of a pytree whole on every device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def scatter(mesh: Mesh, tree: Any) -> Any:
    """Splits the leading axis of every array of a pytree over the devices."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(DATA_AXIS)))


def replicated_like(mesh: Mesh, tree: T) -> T:
    """Shapes, dtypes and replicated shardings of a pytree: a target to restore into."""
    sharding = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree
    )


def split(mesh: Mesh | None, tree: T) -> T:
    """Inside a jitted function: splits the leading axis of every array over the mesh."""
    if mesh is None:
        return tree
    return jax.lax.with_sharding_constraint(tree, NamedSharding(mesh, PartitionSpec(DATA_AXIS)))


def each_device(
    mesh: Mesh, function: Callable[..., Result], whole: Any, *batches: Any
) -> Result:
    """Inside a jitted function: calls a function on every device with its share of the batches.

    Args:
      mesh: the devices.
      function: of ``whole`` and its share of each of ``batches``, in which ``DATA_AXIS`` is the
        name of the devices' axis; what it returns must be the same on all of them.
      whole: a pytree that every device has.
      *batches: pytrees of arrays whose leading axes are split over the devices, or None.

    Returns:
      What the function returns.
    """
    everywhere, divided = PartitionSpec(), PartitionSpec(DATA_AXIS)
    # Unchecked: a derivative through a mean over the devices is then that of the sum of all
    # devices' results, so that a mean of the derivatives is that of the mean.
    program = jax.shard_map(
        function, mesh=mesh, in_specs=(everywhere, *[divided] * len(batches)),
        out_specs=everywhere, check_vma=False,
    )
    return program(whole, *batches)


def over_devices(tree: T, axis: str | None) -> T:
    """Inside ``each_device``: the mean over the devices of every array; None: there is one."""
    return tree if axis is None else jax.lax.pmean(tree, axis)
