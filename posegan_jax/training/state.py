"""The training state: one pytree that holds everything a resumed run needs."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from posegan_jax.model.networks import Networks
from posegan_jax.model.options import CORRECTOR, Variables
from posegan_jax.training.options import StepOptions

AVERAGED = ("generator", "encoder")


class TrainState(flax.struct.PyTreeNode):
    """All arrays of a run.

    Attributes:
      step: () int32, iterations done.
      key: root PRNG key as raw data; every step derives its own by ``fold_in``.
      variables: variables of every network that the run has, see ``Networks.names``.
      optimizers: their optimizer states.
      averages: exponential moving averages of the generator's and encoder's variables, the ones
        that are evaluated and packaged.
    """

    step: jax.Array
    key: jax.Array
    variables: dict[str, Variables]
    optimizers: dict[str, optax.OptState]
    averages: dict[str, Variables]


def create_state(networks: Networks, options: StepOptions, seed: int) -> TrainState:
    """A fresh state; the same seed gives the same state."""
    k_init, k_run = jax.random.split(jax.random.key(seed))
    variables = jax.jit(networks.init)(k_init)  # op by op it would take twice as long
    adam, adamw = options.optimizer.transformation(), options.correction.transformation()
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        key=jax.random.key_data(k_run),
        variables=variables,
        optimizers={
            name: (adamw if name == CORRECTOR else adam).init(v["params"])
            for name, v in variables.items()
        },
        averages={name: jax.tree.map(jnp.copy, variables[name]) for name in AVERAGED
                  if name in variables},
    )


def evaluated_variables(state: TrainState) -> dict[str, Any]:
    """What is validated and packaged: the averages where there are some."""
    return {**state.variables, **state.averages}
