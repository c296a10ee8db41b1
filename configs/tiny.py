"""A run of a minute or two on any machine, without data: to see that everything works.

Command:  python -m posegan_jax.main --config=configs/tiny.py
Data:     the embedded procedural motion set.
Cost:     a minute or two on two CPU cores. Expected: the losses fall; nothing worth keeping.
"""

from ml_collections import ConfigDict

from posegan_jax.config import default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.name = "tiny"
    config.loss.latent_moments = 1.0
    config.optimizer.reconstruction_steps = 80
    config.optimizer.warmup_steps = 20
    config.train.steps = 100
    config.train.batch_size = 32
    config.train.steps_per_dispatch = 10
    config.train.checkpoint_every = 50
    config.train.evaluate_every = 50
    config.train.samples_every = 50
    config.evaluate.windows = 64
    return config
