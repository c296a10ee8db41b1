"""Turns motion capture into prepared data sets, which `posegan_jax` reads without this package."""
