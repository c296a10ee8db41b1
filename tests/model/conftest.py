"""Networks with numbers in them, without the compile time of a full initialisation."""

import jax
import numpy as np
import pytest


@pytest.fixture
def fill():
    """fill(module, *inputs): variables of a module, drawn in numpy after its own shapes."""

    def variables(module, *inputs, seed=0, scale=0.05):
        rng = np.random.default_rng(seed)

        def draw(path, leaf):
            name = path[-1].key
            if name in ("scale", "var"):
                return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
            return rng.normal(0.0, scale, leaf.shape).astype(np.float32)

        shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)
        return jax.tree_util.tree_map_with_path(draw, shapes)

    return variables
