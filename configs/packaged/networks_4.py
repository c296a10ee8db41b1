"""The packaged weights, fourth round of the networks: as the third.

Command:  python -m posegan_jax.main --config=configs/packaged/networks_4.py --config.data.path=PATH
Data:     as for configs/cmu.py.
Cost:     40 minutes of a core.
Expected: the encoder's mean error .120 (observed joints) and .145 (upsampled ones).
"""

from ml_collections import ConfigDict

from configs import cmu


def get_config() -> ConfigDict:
    config = cmu.get_config()
    config.name = "packaged-4"
    config.train.init_from = "runs/packaged-3"
    config.seed = 13
    config.optimizer.reconstruction_learning_rate = 4e-4
    config.optimizer.reconstruction_steps = 4_600
    config.train.steps = 4_640
    return config
