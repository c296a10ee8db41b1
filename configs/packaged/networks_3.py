"""The packaged weights, third round of the networks: whole limbs hidden in 45 % of the windows.

Command:  python -m posegan_jax.main --config=configs/packaged/networks_3.py --config.data.path=PATH
Data:     as for configs/cmu.py.
Cost:     an hour and a half of a core that does other work, too.
Expected: the encoder's mean error .122 (observed joints) and .146 (upsampled ones).
"""

from ml_collections import ConfigDict

from configs import cmu


def get_config() -> ConfigDict:
    config = cmu.get_config()
    config.name = "packaged-3"
    config.train.init_from = "runs/packaged-2"
    config.seed = 11
    config.optimizer.reconstruction_learning_rate = 5e-4
    config.optimizer.reconstruction_steps = 5_500
    config.train.steps = 5_800
    return config
