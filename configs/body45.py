"""45 joints with their depth, for whatever detector, body and camera: a prior for life.

Command:  python -m posegan_jax.main --config=configs/body45.py --config.data.path=PATH
Data:     sets of 45 joints, comma separated, see docs/training.md.
Cost:     an hour and a quarter of a core to itself, 6 to 7 steps a second.
Expected: encoder and generator alone are off by .18 heads in what is seen of held-out windows, by
          .24 in the rest and by .28 in depth; see docs/training.md. It is the first round: the
          critic was not trained, and there is no corrector yet.
"""

from ml_collections import ConfigDict

from posegan_jax.config import default_config
from posegan_jax.pose.skeleton import get_skeleton

LAYOUTS = (
    "coco17", "halpe26", "body25", "body25b", "coco18", "h36m17", "mpii16", "mediapipe33",
    "alphapose12", "mpi_inf_3dhp", "body45",
)


def get_config() -> ConfigDict:
    config = default_config()
    config.name = "body45"
    config.data.path = "data/body45"
    config.data.leave_out = ("60_06", "60_07:500", "127_32", "13_18.*", "14_36")
    config.model.skeleton = "body45"
    config.model.coordinates = 3
    config.model.layers = "mixers"
    config.model.latent = 192
    config.model.width = 160
    config.corruption.detected = get_skeleton("body45").joints
    config.corruption.layouts = LAYOUTS
    config.corruption.few = 0.15
    config.views.any_pitch = 0.15
    config.views.any_roll = 0.3
    config.views.speed = (0.6, 1.6)
    config.bodies.arms = config.bodies.legs = config.bodies.trunk = config.bodies.head = 0.06
    config.bodies.shoulders = config.bodies.hips = 0.1
    config.bodies.marks = 15.0
    config.bodies.points = 8.0
    # Else codes of a fresh encoder stay one for all windows, and so does what is made of them.
    config.loss.latent_moments = 10.0
    config.loss.limbs = 2.0
    config.optimizer.b1 = 0.9
    config.optimizer.reconstruction_learning_rate = 1e-3
    config.optimizer.reconstruction_steps = 30_000
    config.optimizer.warmup_steps = 300
    config.train.batch_size = 64
    config.train.steps = 30_000
    config.train.steps_per_dispatch = 10
    config.train.checkpoint_every = 250
    config.train.evaluate_every = 500
    config.train.samples_every = 1_000
    return config
