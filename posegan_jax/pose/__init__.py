"""Skeletons and pose sequences; numpy only."""
