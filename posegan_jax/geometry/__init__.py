"""Pure functions of coordinates in jax.numpy: alignment, cameras, normalisation, metrics."""
