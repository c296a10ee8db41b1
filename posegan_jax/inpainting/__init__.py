"""Completing pose sequences by descent in latent space (L. Mourot, 2019, sections 5 and 6)."""
