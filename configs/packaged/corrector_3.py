"""The packaged weights, third round of the corrector: as the second, from a lower rate.

Command:  python -m posegan_jax.main --config=configs/packaged/corrector_3.py \
              --config.data.path=PATH
Data:     as for configs/cmu.py.
Cost:     twenty minutes of a core.
Expected: an arm that is never seen off by .313 head sizes on ten held-out clips.
"""

from ml_collections import ConfigDict

from configs import cmu


def get_config() -> ConfigDict:
    config = cmu.get_config()
    config.name = "corrector-3"
    config.train.init_from = "runs/corrector-2"
    config.optimizer.reconstruction_steps = 0
    config.seed = 33
    config.correction.steps = 3_500
    config.correction.learning_rate = 8e-4
    config.train.steps = config.correction.steps
    config.train.batch_size = 128
    config.train.steps_per_dispatch = 20
    config.train.checkpoint_every = config.train.evaluate_every = 500
    config.train.samples_every = 0
    return config
