"""Sizes of table 1, and of every other skeleton and window length."""

import jax
import jax.numpy as jnp
import pytest

from posegan_jax.model import conv as conv_lib
from posegan_jax.model.discriminator import Discriminator
from posegan_jax.model.encoder import Encoder
from posegan_jax.model.generator import Generator
from posegan_jax.model.layers import stages
from posegan_jax.model.model import num_parameters
from posegan_jax.model.networks import build_networks
from posegan_jax.model.options import NetworkOptions
from posegan_jax.pose.skeleton import SKELETONS, make_skeleton

KEY = jax.random.key(0)
TABLE_1 = {"generator": 1_148_480, "discriminator": 1_115_521, "encoder": 1_148_096}
LENGTHS = (8, 16, 24, 48)
ROWS = range(6, 41)


def skeleton_of(rows):
    """A skeleton of so many rows: a few single joints, the others in pairs."""
    single = rows % 4
    joints = [f"point{i}" for i in range(single)]
    joints += [f"{side}_point{i}" for i in range(rows - single) for side in ("left", "right")]
    return make_skeleton(f"rows{rows}", tuple(joints))


def layer_shapes(module, *inputs):
    """Output shape, without the batch axis, of every module inside, by its path."""

    def run(key):
        variables = module.init(key, *inputs)
        return module.apply(
            variables, *inputs, capture_intermediates=True, mutable=["intermediates"]
        )[1]["intermediates"]

    found = {}

    def visit(tree, prefix):
        for name, value in tree.items():
            if name == "__call__":
                found[prefix] = value[0].shape[1:]
            else:
                visit(value, f"{prefix}/{name}" if prefix else name)

    visit(jax.eval_shape(run, KEY), "")
    return found


def convolutions(module, *inputs):
    """Output shapes of the convolutions alone, by name."""
    shapes = layer_shapes(module, *inputs)
    return {k.split("/")[-1]: v for k, v in shapes.items() if "Conv" in k.split("/")[-1]}


def inputs_of(skeleton, frames, coordinates=2):
    x = jnp.zeros((1, frames, len(skeleton), coordinates))
    return x, jnp.ones(x.shape[:-1])


# --- table 1 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_parameter_totals_are_those_of_table_1(normalization):
    networks = build_networks(NetworkOptions(critic_normalization=normalization))
    variables = jax.eval_shape(networks.init, KEY)
    assert {name: num_parameters(v) for name, v in variables.items()} == TABLE_1


def test_running_statistics_are_not_counted_as_parameters():
    networks = build_networks(NetworkOptions())
    generator = jax.eval_shape(networks.init, KEY)["generator"]
    assert len(jax.tree.leaves(generator["batch_stats"])) == 2 * 5
    everything = sum(leaf.size for leaf in jax.tree.leaves(generator))
    assert everything == TABLE_1["generator"] + 2 * (256 + 256 + 128 + 64 + 32)


def test_stages_are_those_of_table_1():
    plan = stages(24, 18)
    assert [stage.size for stage in plan] == [(24, 18), (12, 9), (6, 5), (3, 3)]
    assert [stage.out_size for stage in plan] == [(12, 9), (6, 5), (3, 3), (1, 1)]
    assert [stage.kernel for stage in plan] == [(4, 4), (4, 3), (4, 3), (3, 3)]
    assert [stage.strides for stage in plan] == [(2, 2), (2, 2), (2, 1), (1, 1)]
    assert [stage.padding for stage in plan] == [(1, 1), (1, 1), (1, 0), (0, 0)]
    assert [stage.features for stage in plan] == [64, 128, 256, 256]


def test_generator_layers_are_those_of_table_1a():
    networks = build_networks(NetworkOptions())
    assert convolutions(networks.generator, jnp.zeros((1, 128))) == {
        "Conv_0": (1, 1, 256),
        "ConvTranspose_0": (3, 3, 256),
        "ConvTranspose_1": (6, 5, 128),
        "ConvTranspose_2": (12, 9, 64),
        "ConvTranspose_3": (24, 18, 32),
        "Conv_1": (24, 18, 4),
    }


@pytest.mark.parametrize("name, outputs", [("discriminator", 1), ("encoder", 128)])
def test_critic_and_encoder_layers_are_those_of_table_1b_and_1c(name, outputs):
    module = getattr(build_networks(NetworkOptions()), name)
    x, mask = inputs_of(SKELETONS["mpi_inf_3dhp"], 24)
    inputs = (x, mask) if name == "encoder" else (x,)
    assert convolutions(module, *inputs) == {
        "Conv_0": (24, 18, 32),
        "Conv_1": (12, 9, 64),
        "Conv_2": (6, 5, 128),
        "Conv_3": (3, 3, 256),
        "Conv_4": (1, 1, 256),
    }
    assert layer_shapes(module, *inputs)["Trunk_0/Dense_0"] == (outputs,)


@pytest.mark.parametrize("name", ["discriminator", "encoder"])
def test_kernels_of_the_trunk(name):
    networks = build_networks(NetworkOptions())
    trunk = jax.eval_shape(networks.init, KEY)[name]["params"]["Trunk_0"]
    channels, outputs = {"discriminator": (8, 1), "encoder": (6, 128)}[name]
    assert [trunk[f"Conv_{i}"]["kernel"].shape for i in range(5)] == [
        (1, 1, channels, 32), (4, 4, 32, 64), (4, 3, 64, 128), (4, 3, 128, 256), (3, 3, 256, 256)
    ]
    assert all(set(trunk[f"Conv_{i}"]) == {"kernel"} for i in range(5))  # no bias
    assert trunk["Dense_0"]["kernel"].shape == (256, outputs)
    assert trunk["Dense_0"]["bias"].shape == (outputs,)


def test_generator_normalises_all_but_the_last_convolution():
    networks = build_networks(NetworkOptions())
    params = jax.eval_shape(networks.init, KEY)["generator"]["params"]
    widths = [p["BatchNorm_0"]["scale"].shape[0] for n, p in params.items() if "Normalize" in n]
    assert sorted(widths) == [32, 64, 128, 256, 256]
    assert all(set(p) == {"kernel"} for n, p in params.items() if "Conv" in n)


def test_critic_and_encoder_normalise_the_three_strided_convolutions():
    networks = build_networks(NetworkOptions(critic_normalization="batch"))
    variables = jax.eval_shape(networks.init, KEY)
    for name in ("discriminator", "encoder"):
        trunk = variables[name]["params"]["Trunk_0"]
        widths = [p["BatchNorm_0"]["bias"].shape[0] for n, p in trunk.items() if "Normalize" in n]
        assert sorted(widths) == [64, 128, 256]


@pytest.mark.parametrize(
    "normalization, total", [("none", 1_115_521 - 2 * (64 + 128 + 256)), ("layer", 1_115_521)]
)
def test_a_critic_that_is_not_batch_normalised_has_no_running_statistics(normalization, total):
    critic = build_networks(NetworkOptions(critic_normalization=normalization)).discriminator
    x, _ = inputs_of(SKELETONS["mpi_inf_3dhp"], 24)
    variables = jax.eval_shape(critic.init, KEY, x)
    assert set(variables) == {"params"}
    assert num_parameters(variables) == total


# --- other sizes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", LENGTHS)
def test_stages_lead_to_one_by_one_and_meet_each_other(frames):
    for rows in ROWS:
        plan = stages(frames, rows)
        assert plan[0].size == (frames, rows)
        assert plan[-1].out_size == (1, 1)
        assert plan[-1].kernel == plan[-1].size  # the last one sees the whole map
        for stage, following in zip(plan, plan[1:], strict=False):
            assert stage.out_size == following.size
        for s in plan:
            for a in (0, 1):
                reach = (s.out_size[a] - 1) * s.strides[a] + s.kernel[a] - s.padding[a]
                assert s.size[a] <= reach  # no frame and no row is passed over
                assert reach <= s.size[a] + s.padding[a]  # and no window hangs over the padding


@pytest.mark.parametrize("frames", LENGTHS)
def test_every_stage_goes_down_and_up_at_every_size(frames):
    """By the CPU's lowering; the networks below take the other one.

    Stages differ in their sizes alone, so few channels say as much as 256 and trace faster.
    """
    for rows in ROWS if frames == 24 else ROWS[:: frames // 8 + 2]:
        for s in stages(frames, rows):
            x = jax.ShapeDtypeStruct((1, *s.size, 2), jnp.float32)
            kernel = jax.ShapeDtypeStruct((*s.kernel, 2, 3), jnp.float32)
            down = jax.eval_shape(
                lambda x, k, s=s: conv_lib.conv(x, k, s.strides, s.padding, "cpu"), x, kernel
            )
            assert down.shape == (1, *s.out_size, 3)
            up = jax.eval_shape(
                lambda y, k, s=s: conv_lib.conv_transpose(
                    y, k, s.strides, s.padding, s.size, "cpu"
                ),
                down,
                kernel,
            )
            assert up.shape == x.shape


def check_shapes(skeleton, frames, latent=128):
    x, mask = inputs_of(skeleton, frames)
    options = dict(rows=skeleton.rows, lowering="lax")
    for module, inputs, shape in (
        (Generator(frames=frames, **options), (jnp.zeros((1, latent)),), x.shape),
        (Discriminator(**options), (x,), (1,)),
        (Encoder(latent=latent, **options), (x, mask), (1, latent)),
    ):
        out, variables = jax.eval_shape(
            lambda key, m=module, i=inputs: m.init_with_output(key, *i), KEY
        )
        assert out.shape == shape
        assert out.dtype == jnp.float32
        assert num_parameters(variables) > 0


@pytest.mark.parametrize("rows", [6, 7, 8, 9, 12, 15, 19, 22, 25, 28, 33, 37, 40])
def test_networks_of_other_numbers_of_rows(rows):
    skeleton = skeleton_of(rows)
    assert len(skeleton.rows) == rows
    check_shapes(skeleton, LENGTHS[rows % 4])


@pytest.mark.parametrize("name", SKELETONS)
def test_networks_of_every_registered_skeleton(name):
    check_shapes(SKELETONS[name], 24, latent=32)


@pytest.mark.parametrize("frames", LENGTHS)
def test_networks_of_every_window_length(frames):
    check_shapes(SKELETONS["mpi_inf_3dhp"], frames)


def test_three_coordinates_per_joint():
    skeleton = SKELETONS["mpi_inf_3dhp"]
    generator = Generator(rows=skeleton.rows, coordinates=3)
    out = jax.eval_shape(lambda k: generator.init_with_output(k, jnp.zeros((1, 128)))[0], KEY)
    assert out.shape == (1, 24, 28, 3)
    x, mask = inputs_of(skeleton, 24, coordinates=3)
    critic = jax.eval_shape(Discriminator(rows=skeleton.rows).init, KEY, x)
    assert critic["params"]["Trunk_0"]["Conv_0"]["kernel"].shape == (1, 1, 12, 32)
    # Nobody observes the depth: the encoder sees x, y and the mask.
    encoder = jax.eval_shape(Encoder(rows=skeleton.rows).init, KEY, x, mask)
    assert encoder["params"]["Trunk_0"]["Conv_0"]["kernel"].shape == (1, 1, 6, 32)
    other = jax.eval_shape(Encoder(rows=skeleton.rows).init, KEY, x[..., :2], mask)
    assert jax.tree.map(jnp.shape, encoder) == jax.tree.map(jnp.shape, other)


@pytest.mark.parametrize("frames, rows", [(0, 18), (4, 18), (20, 18), (24, 3)])
def test_sizes_that_the_networks_cannot_have(frames, rows):
    with pytest.raises(ValueError, match="multiple of 8|at least 4"):
        stages(frames, rows)


def test_options_travel_in_a_checkpoint():
    options = NetworkOptions(skeleton="coco17", frames=16, final_activation="sigmoid")
    assert NetworkOptions.from_dict(options.to_dict()) == options
    with pytest.raises(TypeError):
        NetworkOptions.from_dict({**options.to_dict(), "colour": "red"})
