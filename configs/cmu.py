"""Open motion capture (CMU, ACCAD) on a small machine: reconstruction leads, the critic follows.

The recipe of the packaged weights. Trained from the first step as the thesis does, the three
networks need several times as many CPU hours for the same reconstruction.

Command:  python -m posegan_jax.main --config=configs/cmu.py --config.data.path=PATH
Data:     a set prepared by data_pipelines, or .npz files of the same layout, comma separated.
Cost:     about three hours on two CPU cores.
Expected: docs/training.md has the scores and the curve.
"""

from ml_collections import ConfigDict

from posegan_jax.config import default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.name = "cmu"
    config.data.path = "data/cmu"
    config.data.prepare = (
        "python -m data_pipelines.prepare --source cmu.npz,accad.npz --out data/cmu"
    )
    # Without an adversarial term nothing else holds the encoder's codes to N(0, I).
    config.loss.latent_moments = 1.0
    config.optimizer.reconstruction_learning_rate = 1.2e-3
    config.optimizer.reconstruction_steps = 18_000
    config.train.steps = 19_700
    config.train.steps_per_dispatch = 10
    config.train.checkpoint_every = 250
    config.train.evaluate_every = 500
    config.train.samples_every = 2_000
    return config
