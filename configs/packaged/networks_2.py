"""The packaged weights, second round of the networks: with misses and inversions.

Command:  python -m posegan_jax.main --config=configs/packaged/networks_2.py --config.data.path=PATH
Data:     as for configs/cmu.py.
Cost:     an hour and 50 minutes on one core.
Expected: the encoder's mean error .125 (observed joints) and .149 (upsampled ones).
"""

from ml_collections import ConfigDict

from configs import cmu


def get_config() -> ConfigDict:
    config = cmu.get_config()
    config.name = "packaged-2"
    config.train.init_from = "runs/packaged-1"
    config.seed = 7
    config.corruption.limbs = 0.25
    config.optimizer.reconstruction_learning_rate = 6e-4
    config.optimizer.reconstruction_steps = 7_000
    config.train.steps = 7_510
    return config
