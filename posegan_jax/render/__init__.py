"""Pictures of poses: stills, videos, reports and curves; no JAX."""
