"""What the tests of runs share."""

import jax
import pytest
from small_runs import JAX_SETTINGS, substitute


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """The folder of the programs that runs have compiled."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def small(cache):
    """Runs of small networks, hardly optimised, whose programs are compiled once for all."""
    settings = JAX_SETTINGS | {"jax_compilation_cache_dir": str(cache)}
    before = {name: jax.config.values[name] for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    with pytest.MonkeyPatch.context() as patch:
        substitute(patch.setattr)
        yield
    for name, value in before.items():
        jax.config.update(name, value)
