"""The benchmark's learned regressor, trained on to 36,000 steps: as long as the networks.

Command:  python -m posegan_jax.main --config=configs/packaged/regressor_2.py \
              --config.data.path=PATH
Data:     as for configs/cmu.py.
Cost:     an hour and a half of a core.
Expected: docs/benchmark.md has its scores.
"""

from ml_collections import ConfigDict

from configs import cmu


def get_config() -> ConfigDict:
    config = cmu.get_config()
    config.name = "regressor-2"
    config.optimizer.reconstruction_steps = 0
    config.corrector.corrects = False
    config.correction.learning_rate = 1.5e-3
    config.seed = 1
    config.correction.init_from = "runs/regressor-1"
    config.train.steps = config.correction.steps = 10_000
    config.train.steps_per_dispatch = 20
    config.train.checkpoint_every = config.train.evaluate_every = 1_000
    config.train.samples_every = 0
    return config
