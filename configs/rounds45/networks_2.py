"""The networks of 45 joints, second round: on from configs/body45.py, limbs held faster.

Command:  python -m posegan_jax.main --config=configs/rounds45/networks_2.py \
              --config.data.path=PATH
Data:     as for configs/body45.py.
Cost:     an hour and 40 minutes of a core.
Expected: encoder and generator alone are off by .170 heads in what is seen of held-out windows, by
          .219 in the rest and by .262 in depth (.183, .235 and .280 before).
"""

from ml_collections import ConfigDict

from configs import body45


def get_config() -> ConfigDict:
    config = body45.get_config()
    config.name = "body45-2"
    config.train.init_from = "runs/body45"
    config.seed = 2
    config.loss.limbs = 6.0
    config.optimizer.reconstruction_learning_rate = 6e-4
    config.optimizer.learning_rate = 2e-5
    config.optimizer.reconstruction_steps = config.train.steps = 36_000
    config.train.checkpoint_every = 500
    config.train.evaluate_every = 2_000
    config.train.samples_every = 0
    return config
