"""What the tests of runs share."""

import jax
import pytest
from small_runs import JAX_SETTINGS, substitute


@pytest.fixture(scope="module")
def small():
    """Runs of small networks, hardly optimised."""
    before = {name: jax.config.values[name] for name in JAX_SETTINGS}
    for name, value in JAX_SETTINGS.items():
        jax.config.update(name, value)
    with pytest.MonkeyPatch.context() as patch:
        substitute(patch.setattr)
        yield
    for name, value in before.items():
        jax.config.update(name, value)
