"""Open motion capture (CMU, ACCAD) on a small machine: reconstruction leads, the critic follows.

Command:  python -m posegan_jax.main --config=configs/cmu.py --config.data.path=PATH
Data:     a set prepared by data_pipelines, or .npz files of the same layout, comma separated.
"""

from ml_collections import ConfigDict

from posegan_jax.config import default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.name = "cmu"
    config.data.path = "data/cmu"
    config.data.prepare = "python -m data_pipelines.prepare --source cmu.npz --out data/cmu"
    config.loss.latent_moments = 1.0
    config.optimizer.reconstruction_steps = 12_000
    config.train.steps = 13_000
    config.train.steps_per_dispatch = 10
    config.train.checkpoint_every = 250
    config.train.evaluate_every = 500
    config.train.samples_every = 2_000
    return config
