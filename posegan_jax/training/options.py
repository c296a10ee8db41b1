"""What a training run can be told."""

import dataclasses
from typing import Literal

import optax

from posegan_jax.motion.bodies import BodyOptions
from posegan_jax.motion.corrupt import CorruptionOptions
from posegan_jax.motion.sample import ViewOptions
from posegan_jax.runtime.options import (
    check_choices,
    check_least,
    check_ranges,
    check_shares,
    require,
)

Phase = Literal["reconstruction", "full", "correction"]
"""What a step trains: generator and encoder on the data terms, all three networks, the corrector.
"""
NormalizeBy = Literal["observed", "full"]


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
      depth, depth_speed: those of position and speed for the depth, half as much: nobody sees it.
      limbs: weight of ``limb_variation`` of G(E(x')), of windows with a depth.
      latent_moments: weight of ``latent_moments`` on E(x'), 0 in the thesis. It holds the encoder's
        codes to P_z while no adversarial term is trained.
    """

    position: float = 200.0
    speed: float = 100.0
    depth: float = 100.0
    depth_speed: float = 50.0
    limbs: float = 0.0
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

    def __post_init__(self):
        """Raises OptionError on what is below 0."""
        check_least(
            self, 0, "learning_rate", "reconstruction_learning_rate", "reconstruction_steps",
            "warmup_steps",
        )

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
class CorrectionOptions:
    """The last phase of a run, in which the corrector alone is trained (``correction``).

    Deviations are in body sizes, ranges the least and the greatest, drawn log-uniformly.

    Attributes:
      steps: length of the phase; 0: none, and the model has no corrector.
      init_from: start from the corrector of this checkpoint; empty: that of ``train.init_from`` if
        it has one. One that completes by itself becomes one that corrects.
      learning_rate: peak; it rises over ``warmup_steps``, and falls to 0 by a cosine.
      warmup_steps: a tenth of the phase at most.
      weight_decay: AdamW's.
      clip: of the gradient's norm.
      speed: weight of MPJSE against MPJPE.
      shake: standard deviation of what is added to codes.
      exact: chance that a window's observed joints are exact.
      error: deviation of those that are not.
      one_errs: chance of a joint to err by more than all do.
      one_error: by how much.
    """

    steps: int = 0
    init_from: str = ""
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    weight_decay: float = 1e-2
    clip: float = 1.0
    speed: float = 0.5
    shake: float = 0.15
    exact: float = 0.5
    error: tuple[float, float] = (0.005, 0.15)
    one_errs: float = 0.3
    one_error: tuple[float, float] = (0.02, 0.2)

    def __post_init__(self):
        """Raises OptionError on what is below 0, or no chance, or no range."""
        check_least(self, 0, "steps", "learning_rate", "warmup_steps", "shake")
        check_shares(self, "exact", "one_errs")
        check_ranges(self, "error", "one_error")
        for name in ("error", "one_error"):
            require(getattr(self, name)[0] > 0, name, "positive", getattr(self, name))
        require(not self.init_from or self.steps > 0, "steps", "1 or more to init_from", self.steps)

    def schedule(self) -> optax.Schedule:
        """Learning rate by step of the phase."""
        warmup = min(self.warmup_steps, self.steps // 10)
        return optax.warmup_cosine_decay_schedule(0.0, self.learning_rate, warmup, self.steps)

    def transformation(self) -> optax.GradientTransformation:
        """AdamW but for the rate."""
        return optax.chain(
            optax.clip_by_global_norm(self.clip), optax.scale_by_adam(),
            optax.add_decayed_weights(self.weight_decay),
        )


@dataclasses.dataclass(frozen=True)
class BatchOptions:
    """How the windows of a step are drawn.

    Attributes:
      batch_size: windows per iteration, over all devices.
      normalize_by: 'observed': the encoder's input is normalised by the joints it sees, as it must
        be at use; 'full': by all joints, as the thesis trains.
    """

    batch_size: int = 256
    normalize_by: NormalizeBy = "observed"

    def __post_init__(self):
        """Raises OptionError on an empty batch, or a normalisation that there is not."""
        check_choices(self)
        check_least(self, 1, "batch_size")


@dataclasses.dataclass(frozen=True)
class StepOptions(BatchOptions):
    """What one iteration does; all of it static."""

    weights: LossWeights = LossWeights()
    views: ViewOptions = ViewOptions()
    corruption: CorruptionOptions = CorruptionOptions()
    optimizer: OptimizerOptions = OptimizerOptions()
    correction: CorrectionOptions = CorrectionOptions()
    bodies: BodyOptions = BodyOptions()


@dataclasses.dataclass(frozen=True)
class TrainOptions(BatchOptions):
    """A run.

    Attributes:
      steps: iterations in all.
      steps_per_dispatch: iterations of one compiled program; the other numbers are multiples of it.
      checkpoint_every, evaluate_every: steps from one to the next.
      keep_checkpoints: how many of the newest stay.
      samples_every: steps from one sample picture to the next; 0: none.
      init_from: start from the parameters of this checkpoint.
      tensorboard: also write its event files.
      dtype: of activations; parameters are always float32.
    """

    steps: int = 50_000_000
    steps_per_dispatch: int = 50
    checkpoint_every: int = 5_000
    keep_checkpoints: int = 3
    evaluate_every: int = 5_000
    samples_every: int = 50_000
    init_from: str = ""
    tensorboard: bool = False
    dtype: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self):
        """Raises OptionError on values that would fail later or silently."""
        super().__post_init__()
        check_least(
            self, 1, "steps", "steps_per_dispatch", "checkpoint_every", "keep_checkpoints",
            "evaluate_every",
        )
        check_least(self, 0, "samples_every")
        for name in ("steps", "checkpoint_every", "evaluate_every", "samples_every"):
            self.check_multiple(name, getattr(self, name))

    def check_multiple(self, name: str, steps: int) -> None:
        """Raises OptionError where an option is no whole number of dispatches."""
        rule = f"a multiple of train.steps_per_dispatch={self.steps_per_dispatch}"
        require(steps % self.steps_per_dispatch == 0, name, rule, steps)


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """The motion that is trained on.

    Attributes:
      path: a prepared set, .npz files (comma separated), or 'procedural'.
      prepare: the command that prepares it, named when it is missing.
      window_stride: frames between windows; 12 = half overlapping (thesis).
      leave_out: names of clips that are not used, '*' for anything; NAME:FRAME leaves out what
        comes from that frame on.
    """

    path: str = "procedural"
    prepare: str = ""
    window_stride: int = 1
    leave_out: tuple[str, ...] = ()

    def __post_init__(self):
        """Raises OptionError on a stride that leads nowhere."""
        check_least(self, 1, "window_stride")
