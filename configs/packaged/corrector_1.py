"""The packaged weights, first of three rounds of the corrector: codes as they are, small errors.

Command:  python -m posegan_jax.main --config=configs/packaged/corrector_1.py \
              --config.data.path=PATH
Data:     as for configs/cmu.py.
Cost:     ten minutes of a core.
Expected: an arm that is never seen off by .319 head sizes on ten held-out clips (.347 without).
"""

from ml_collections import ConfigDict

from configs import cmu


def get_config() -> ConfigDict:
    config = cmu.get_config()
    config.name = "corrector-1"
    config.train.init_from = "runs/packaged-4"
    config.correction.init_from = "runs/regressor-1"
    config.optimizer.reconstruction_steps = 0
    config.seed = 31
    config.correction.steps = 1_500
    config.correction.shake = 0.0
    config.correction.error = (0.005, 0.05)
    config.correction.one_error = (0.02, 0.15)
    config.train.steps = config.correction.steps
    config.train.batch_size = 128
    config.train.steps_per_dispatch = 20
    config.train.checkpoint_every = config.train.evaluate_every = 500
    config.train.samples_every = 0
    return config
