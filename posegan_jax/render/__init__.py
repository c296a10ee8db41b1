"""Pictures of poses: stills, videos and curves; no JAX."""
