"""The packaged weights, second round of the corrector: codes are shaken, errors are larger.

Command:  python -m posegan_jax.main --config=configs/packaged/corrector_2.py \
              --config.data.path=PATH
Data:     as for configs/cmu.py.
Cost:     half an hour of a core.
Expected: an arm that is never seen off by .316 head sizes on ten held-out clips.
"""

from ml_collections import ConfigDict

from configs import cmu


def get_config() -> ConfigDict:
    config = cmu.get_config()
    config.name = "corrector-2"
    config.train.init_from = "runs/corrector-1"
    config.optimizer.reconstruction_steps = 0
    config.seed = 32
    config.correction.steps = 6_000
    config.train.steps = config.correction.steps
    config.train.batch_size = 128
    config.train.steps_per_dispatch = 20
    config.train.checkpoint_every = config.train.evaluate_every = 500
    config.train.samples_every = 0
    return config
