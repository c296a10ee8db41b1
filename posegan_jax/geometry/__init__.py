"""Pure functions of coordinates in jax.numpy: alignment, cameras, normalisation, metrics."""

from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of NumPy or of JAX."""
