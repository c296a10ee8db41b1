"""The benchmark's learned regressor, which the packaged corrector begins with: 26,000 steps.

Command:  python -m posegan_jax.main --config=configs/packaged/regressor_1.py \
              --config.data.path=PATH
Data:     as for configs/cmu.py.
Cost:     three and a half hours of a core.
Expected: its scores were not kept.
"""

from ml_collections import ConfigDict

from configs import cmu


def get_config() -> ConfigDict:
    config = cmu.get_config()
    config.name = "regressor-1"
    config.optimizer.reconstruction_steps = 0
    config.corrector.corrects = False
    config.correction.learning_rate = 1.5e-3
    config.train.steps = config.correction.steps = 26_000
    config.train.steps_per_dispatch = 20
    config.train.checkpoint_every = config.train.evaluate_every = 1_000
    config.train.samples_every = 0
    return config
