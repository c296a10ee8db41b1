"""The model as one value: what training makes, and what filling takes.

Neither JAX nor Flax is loaded before it is needed: filling needs no modules where the programs that
they make are kept.
"""

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from posegan_jax.model.arrays import flat
from posegan_jax.model.certainty import shapes as shapes_of
from posegan_jax.model.constants import Constants
from posegan_jax.model.options import CORRECTOR, CorrectorOptions, NetworkOptions, Variables
from posegan_jax.pose.skeleton import DETECTED_12, Skeleton, get_skeleton

if TYPE_CHECKING:
    from posegan_jax.geometry.moments import ResidualMoments
    from posegan_jax.model.networks import Networks


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """Networks with their parameters, and everything that was measured of or fitted to these.

    Attributes:
      options: of the networks.
      variables: of each network by its name, 'corrector' among them where there is one; arrays of
        the host or of devices.
      detected: names of the joints that detectors deliver.
      hidden: names of those of them that training never showed to the encoder (section 7.5).
      moments: of the residuals that the networks leave; None where they were not measured.
      corrector: options of the corrector, None where there is none.
      constants: see there.
      certainty: parameters of ``certainty.log_odds``; None: the constants alone tell.
      about: what is to be said of it besides, a JSON object: configuration, metrics, data.
    """

    options: NetworkOptions
    variables: dict[str, Variables]
    detected: tuple[str, ...] = DETECTED_12
    hidden: tuple[str, ...] = ()
    moments: "ResidualMoments | None" = None
    corrector: CorrectorOptions | None = None
    constants: Constants = Constants()
    certainty: Variables | None = None
    about: dict[str, Any] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def networks(self) -> "Networks":
        """The modules."""
        from posegan_jax.model.networks import build_networks

        return build_networks(self.options, corrector=self.corrector, detected=self.detected)

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton that is generated."""
        return get_skeleton(self.options.skeleton)

    @property
    def frames(self) -> int:
        """F of a window."""
        return self.options.frames

    @property
    def inputs(self) -> tuple[str, ...]:
        """Joints that the networks look at: those that their training showed them."""
        return tuple(joint for joint in self.detected if joint not in self.hidden)

    def replace(self, **changes) -> "Model":
        """With some attributes changed."""
        return dataclasses.replace(self, **changes)

    def for_hosts(self) -> "Model":
        """Without the parameters of what only devices compute, to be sent to other processes."""
        return self.replace(
            variables={n: v for n, v in self.variables.items() if n == CORRECTOR}
        )

    def correct(self, x: np.ndarray, weight: np.ndarray, generated: np.ndarray | None = None):
        """What the corrector makes of windows, see ``corrector.Corrector.apply``."""
        from posegan_jax.model.corrector import Corrector

        corrector = Corrector.of(self.options, self.detected, self.corrector)
        return corrector.apply(self.variables[CORRECTOR], x, weight, generated)


def misfit(model: Model, partial: bool = False) -> str | None:
    """What is wrong with a model that somebody else made, if anything.

    Args:
      model: of any arrays.
      partial: networks may be missing.
    """
    import jax

    from posegan_jax.geometry.moments import ResidualMoments

    try:
        wanted = jax.eval_shape(model.networks.init, jax.random.key(0))
    except Exception as error:  # each module has its own way to say what it cannot be
        reason, *_ = f"{error}\n".splitlines()
        return f"its network options make no networks ({reason})"
    for joint in (*model.detected, *model.hidden):
        if joint not in model.skeleton:
            return f"its detectors deliver {joint}, a joint that {model.skeleton.name} lacks"
    found = dict(model.variables)
    if partial:
        wanted = {name: arrays for name, arrays in wanted.items() if name in found}
    if model.moments is not None:
        size = len(model.skeleton)
        wanted["residual"] = ResidualMoments.default(size)._asdict()
        found["residual"] = model.moments._asdict()
    if model.certainty is not None:
        wanted["certainty"] = dict(shapes_of(model.skeleton, model.detected))
        found["certainty"] = model.certainty
    shapes = {name: np.shape(leaf) for name, leaf in jax.tree.leaves_with_path(found)}
    for path, leaf in jax.tree.leaves_with_path(wanted):
        if shapes.get(path) != leaf.shape:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            there = list(shapes[path]) if path in shapes else "none"
            return f"its network options want {name} as {list(leaf.shape)}, there is {there}"
    return unsound(model)


def unsound(model: Model) -> str | None:
    """Which of its arrays holds anything that is no number, if any does."""
    arrays = dict(model.variables)
    if model.moments is not None:
        arrays["residual"] = model.moments._asdict()
    if model.certainty is not None:
        arrays["certainty"] = model.certainty
    for keys, leaf in flat(arrays).items():
        if not np.isfinite(leaf).all():
            return f"its {'/'.join(keys)} is not finite"
    return None


def num_parameters(variables: Variables) -> int:
    """Trainable parameters of a network; running statistics are not counted."""
    return sum(leaf.size for leaf in flat(variables["params"]).values())
