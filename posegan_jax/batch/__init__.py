"""Many files at once: full batches of windows of many tracks, on one machine or on a cluster."""
