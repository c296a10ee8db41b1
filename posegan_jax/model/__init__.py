"""The three networks of table 1 (L. Mourot, 2019, sections 4.2 and 7.2.1) as linen modules.

``arrange`` puts joints into rows, ``conv`` decides how a convolution is lowered, ``layers`` holds
what the three networks share; ``generator``, ``discriminator`` and ``encoder`` are the networks.
"""
