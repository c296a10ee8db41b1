"""The training state: one pytree that holds everything a resumed run needs."""

import dataclasses
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from posegan_jax.model.networks import Networks, Variables

AVERAGED = ("generator", "encoder")


@flax.struct.dataclass
class TrainState:
    """All arrays of a run.

    Attributes:
      step: () int32, iterations done.
      key: root PRNG key as raw data; every step derives its own by ``fold_in``.
      variables: linen variables of 'generator', 'discriminator' and 'encoder'.
      optimizers: their optimizer states.
      averages: exponential moving averages of the generator's and encoder's variables, the ones
        that are evaluated and packaged.
    """

    step: jax.Array
    key: jax.Array
    variables: dict[str, Variables]
    optimizers: dict[str, optax.OptState]
    averages: dict[str, Variables]


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


def create_state(networks: Networks, options: OptimizerOptions, seed: int) -> TrainState:
    """A fresh state; the same seed gives the same state."""
    k_init, k_run = jax.random.split(jax.random.key(seed))
    variables = jax.jit(networks.init)(k_init)  # op by op it would take twice as long
    optimizer = options.transformation()
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        key=jax.random.key_data(k_run),
        variables=variables,
        optimizers={name: optimizer.init(v["params"]) for name, v in variables.items()},
        averages={name: jax.tree.map(jnp.copy, variables[name]) for name in AVERAGED},
    )


def evaluated_variables(state: TrainState) -> dict[str, Any]:
    """What is validated and packaged: averaged generator and encoder, and the critic."""
    return {**state.averages, "discriminator": state.variables["discriminator"]}
