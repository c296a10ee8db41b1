"""Training: losses, state, step and loop, with checkpoints, metrics and progress."""
