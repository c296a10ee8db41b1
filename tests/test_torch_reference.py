"""What is timed against computes the same: outputs, losses, gradients, updates, the search."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.speed import check, models, tasks
from posegan_jax.errors import InputError
from posegan_jax.geometry.procrustes import align_deep
from posegan_jax.inpainting.settings import QUALITIES

torch = pytest.importorskip("torch")
reference = pytest.importorskip("benchmarks.torch_reference")

SUBJECTS = {"picture": models.PACKAGED, "space": models.IN_SPACE}


@pytest.fixture(scope="module", params=SUBJECTS)
def setup(request):
    return models.to_check(SUBJECTS[request.param], 4)


@pytest.mark.parametrize("channels_last", (False, True))
def test_networks_give_the_same(setup, channels_last):
    theirs = reference.build(
        setup.networks.options, setup.variables, reference.Contender(False, channels_last))
    z, _ = setup.random_inputs()
    for name, inputs in (
        ("generator", (z,)), ("discriminator", (setup.batch.x,)),
        ("encoder", (setup.batch.x_in, setup.batch.mask)),
    ):
        apply = jax.jit(getattr(setup.networks, name).apply)
        ours = apply(setup.variables[name], *inputs)
        check.compare({name: ours}, {name: theirs[name].eval()(*check.to_torch("cpu", *inputs))})


@pytest.mark.slow
@pytest.mark.parametrize("phase", ("reconstruction", "full"))
def test_a_step_computes_the_same(setup, phase):
    assert "generator's gradient" in check.steps(setup, phase)


@pytest.mark.slow
@pytest.mark.parametrize("weights", (check.THESIS, QUALITIES["balanced"].descent.weights))
@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_search_finds_the_same(subject, weights):
    assert "codes" in check.search(models.Setup(SUBJECTS[subject], 4), 4, weights)


def test_alignments_are_the_same():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(2, 3, 8, 5, 3)).astype("f4")
    mask = (rng.random((3, 8, 5)) < 0.5).astype("f4")
    target = target[..., :2]
    ours = align_deep(*map(jnp.asarray, (source, target, mask)))
    theirs = reference.align(*check.to_torch("cpu", source, target, mask))
    np.testing.assert_allclose(theirs.numpy(), ours, atol=1e-5)


def test_what_differs_is_not_timed():
    with pytest.raises(InputError, match="loss: PyTorch's differs from ours by 2.0e-03"):
        check.compare({"loss": np.float32(1.0)}, {"loss": torch.tensor(1.002)})


@pytest.mark.slow
def test_adam_takes_as_many_steps_as_it_needs():
    setup = models.Setup(models.IN_SPACE, 4)
    options = QUALITIES["balanced"].descent
    networks = reference.build(setup.networks.options, setup.variables)
    inputs = check.to_torch("cpu", setup.batch.x_in, setup.batch.mask)
    found = tasks.adam_to(np.inf, setup, options, "cpu")
    assert found.method == "adam" and found.steps == 0 and found.weights == options.weights
    search = reference.Search(networks, found, reference.Contender())
    losses = [float(search(*inputs, steps)[1].mean()) for steps in range(4)]
    assert losses == sorted(losses, reverse=True)
    three = tasks.dataclasses.replace(found, steps=3)
    assert reference.Search(networks, three, reference.Contender()).steps_to(
        -np.inf, *inputs) is None
