"""What a training run can be told, as far as its steps go."""

import dataclasses
from typing import Literal

import optax

from posegan_jax.motion.corrupt import CorruptionOptions
from posegan_jax.motion.sample import ViewOptions


@dataclasses.dataclass(frozen=True)
class LossWeights:
    """Weights of the terms (section 7.2.2).

    Attributes:
      position: lambda_p of MPJPE(x, G(E(x'))).
      speed: lambda_s of MPJSE(x, G(E(x'))).
      latent: lambda_z of MSE(z, E(G(z))).
      gradient_penalty: lambda_gp.
      adversarial: weight of L_Gen, 1 in the thesis.
      mix: weight of L_Mix, 1 in the thesis.
      latent_moments: weight of ``latent_moments`` on E(x'), 0 in the thesis. It holds the encoder's
        codes to P_z while no adversarial term is trained.
    """

    position: float = 200.0
    speed: float = 100.0
    latent: float = 2.0
    gradient_penalty: float = 10.0
    adversarial: float = 1.0
    mix: float = 1.0
    latent_moments: float = 0.0


@dataclasses.dataclass(frozen=True)
class OptimizerOptions:
    """One Adam per network (section 7.2.2).

    Attributes:
      learning_rate: of the adversarial phase, and of everything when there is no other phase.
      b1, b2, eps: Adam's.
      reconstruction_learning_rate: peak of the leading reconstruction phase; from there it falls
        by a cosine to ``learning_rate``.
      reconstruction_steps: length of that phase; 0 trains as the thesis does.
      warmup_steps: linear warm-up at its start.
      average_decay: decay of the moving averages per step.
    """

    learning_rate: float = 1e-4
    b1: float = 0.5
    b2: float = 0.999
    eps: float = 1e-8
    reconstruction_learning_rate: float = 1e-3
    reconstruction_steps: int = 0
    warmup_steps: int = 200
    average_decay: float = 0.999

    def schedule(self) -> optax.Schedule:
        """Learning rate by step."""
        if not self.reconstruction_steps:
            return optax.constant_schedule(self.learning_rate)
        return optax.warmup_cosine_decay_schedule(
            init_value=0.0,
            peak_value=self.reconstruction_learning_rate,
            warmup_steps=min(self.warmup_steps, self.reconstruction_steps // 2),
            decay_steps=self.reconstruction_steps,
            end_value=self.learning_rate,
        )

    def transformation(self) -> optax.GradientTransformation:
        # Scaled by the state's own step, not by Adam's count: the critic starts counting later.
        return optax.scale_by_adam(b1=self.b1, b2=self.b2, eps=self.eps)


@dataclasses.dataclass(frozen=True)
class StepOptions:
    """What one iteration does; all of it static.

    Attributes:
      batch_size: windows per iteration, over all devices.
      normalize_by: 'observed': the encoder's input is normalised by the joints it sees, as it must
        be at use; 'full': by all joints, as the thesis trains.
    """

    batch_size: int = 256
    normalize_by: Literal["observed", "full"] = "observed"
    weights: LossWeights = LossWeights()
    views: ViewOptions = ViewOptions()
    corruption: CorruptionOptions = CorruptionOptions()
    optimizer: OptimizerOptions = OptimizerOptions()
