"""The model: networks, what corrects them, and every constant that was fitted to their weights.

``options`` says what there is to choose, ``networks`` builds the modules: the three networks of
table 1 (L. Mourot, 2019, sections 4.2 and 7.2.1) as linen modules, and the ``corrector``.
``arrange`` puts joints into rows, ``conv`` decides how a convolution is lowered, ``layers`` holds
what the three networks share. ``model`` is the whole as one value, which training makes and filling
takes, and tells whether parameters fit; ``store`` reads and writes it, ``folder`` knows where.
"""
