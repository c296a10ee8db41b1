"""Networks aimed at one part of the body: legs that are never seen (thesis, section 7.5).

Knees and ankles are hidden from the encoder in every window, so that all it learns is to tell them
from the rest. It starts from the packaged networks, whose critic and generator know whole bodies,
and ends with their corrector.

Command:  python -m posegan_jax.main --config=configs/lower_body.py --config.data.path=PATH
Data:     as for configs/cmu.py.
Cost:     half an hour on one CPU core.
Expected: docs/training.md has its scores beside those of the general networks.
"""

from ml_collections import ConfigDict

from configs import cmu
from posegan_jax.model.folder import packaged


def get_config() -> ConfigDict:
    config = cmu.get_config()
    config.name = "lower_body"
    config.corruption.never_observed = ("left_knee", "right_knee", "left_ankle", "right_ankle")
    config.train.init_from = str(packaged())
    config.optimizer.reconstruction_learning_rate = 4e-4
    config.optimizer.reconstruction_steps = 2_000
    config.correction.steps = 2_000
    config.train.steps = 4_000
    return config
