"""Data parallelism: one mesh axis over all devices, state replicated, batches split.

What ``pmap`` did is done by ``jit`` over a mesh with ``NamedSharding`` now: the program is written
for the global batch, and XLA splits it and adds the collectives. Batch statistics and gradients are
therefore those of the global batch on any number of devices.
"""

from typing import TypeVar

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from posegan_jax.errors import InputError

DATA_AXIS = "data"

T = TypeVar("T")


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


def scatter(mesh: Mesh, tree: T) -> T:
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
