"""What the corrector of 45 joints begins with: the packaged baseline of 28, grown and trained on.

Command:  python -m posegan_jax.main --config=configs/rounds45/regressor.py \
              --config.data.path=PATH
Data:     as for configs/body45.py.
Cost:     an hour of a core to itself, 6.5 steps a second.
Expected: off by .158 heads in what is not seen of held-out windows after 20,000 steps, by .25 in
          depth; from nothing it would be .199 after 10,000 where this is .177.
"""

from ml_collections import ConfigDict

from configs import body45


def get_config() -> ConfigDict:
    config = body45.get_config()
    config.name = "regressor45"
    config.seed = 6
    config.corrector.corrects = False
    config.correction.init_from = "posegan_jax/weights/regressor"
    config.correction.learning_rate = 8e-4
    config.optimizer.reconstruction_steps = 0
    config.train.steps = config.correction.steps = 24_000
    config.train.checkpoint_every = 500
    config.train.evaluate_every = 2_000
    config.train.samples_every = 0
    return config
