"""The packaged weights, first of four rounds of the networks: from scratch, without gross errors.

Command:  python -m posegan_jax.main --config=configs/packaged/networks_1.py --config.data.path=PATH
Data:     as for configs/cmu.py.
Cost:     two hours on two cores that do other work, too.
Expected: the encoder's mean error on validation windows .132 head sizes (observed joints) and
          .155 (upsampled ones).
"""

from ml_collections import ConfigDict

from configs import cmu


def get_config() -> ConfigDict:
    config = cmu.get_config()
    config.name = "packaged-1"
    config.corruption.limbs = 0.25
    config.corruption.misses = config.corruption.inversions = 0.0
    config.optimizer.reconstruction_steps = 11_000
    config.train.steps = 12_200
    return config
