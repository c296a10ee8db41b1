"""What is timed: models of several sizes with their parameters, and batches for them."""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from posegan_jax.geometry.camera import picture
from posegan_jax.inpainting.descent import Descent, descend
from posegan_jax.inpainting.settings import DescentOptions
from posegan_jax.model.layers import stages
from posegan_jax.model.model import Model
from posegan_jax.model.networks import NETWORKS, build_networks
from posegan_jax.model.options import NetworkOptions
from posegan_jax.model.store import load_packaged
from posegan_jax.motion.store import build_store, load_clips
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton, make_skeleton, register
from posegan_jax.runtime import parallel
from posegan_jax.training.batch import Batch, sample_batch
from posegan_jax.training.losses import interpolation_weights
from posegan_jax.training.options import OptimizerOptions, Phase, StepOptions
from posegan_jax.training.state import AVERAGED, TrainState
from posegan_jax.training.step import train_steps, update

BODY = get_skeleton("mpi_inf_3dhp").joints
FACE_FEET_HANDS = ("nose", *(
    f"{side}_{part}"
    for part in ("eye", "ear", "heel", "big_toe", "small_toe", "thumb", "index", "pinky")
    for side in ("left", "right")
))
SKELETONS = {12: "benchmark12", 28: "mpi_inf_3dhp", 45: "benchmark45"}
"""By their number of joints: 6, 18 and 27 rows."""
PASSES: dict[Phase, int] = {"reconstruction": 6, "full": 28}
"""Forward passes of a network that cost as much as a training step (benchmarks/NOTES.md)."""


def skeleton(joints: int) -> str:
    """The name of a skeleton with so many joints, of ``SKELETONS``, registered by now."""
    register(make_skeleton(SKELETONS[12], DETECTED_12))
    register(make_skeleton(SKELETONS[45], (*BODY, *FACE_FEET_HANDS)))
    return SKELETONS[joints]


class Subject(NamedTuple):
    """A model that is timed.

    Attributes:
      name: what the table calls it.
      model: makes it.
      windows: makes a batch of so many; None: they are drawn from motion as training draws them.
    """

    name: str
    model: Callable[[], Model]
    windows: Callable[[NetworkOptions, int], Batch] | None = None


def untrained(options: NetworkOptions) -> Model:
    """With random parameters, the same in every run."""
    # Drawn here, as a compiled ``init`` takes longer than what is timed.
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(build_networks(options).init, jax.random.key(0))

    def draw(path, leaf):
        name = path[-1].key
        if name == "kernel":
            # He et al., 2015: outputs of DCGAN's 0.02 would vanish, and their alignment with them.
            deviation = (2 / np.prod(leaf.shape[:-1])) ** 0.5
            return rng.normal(0, deviation, leaf.shape).astype(leaf.dtype)
        return np.full(leaf.shape, name in ("scale", "var"), leaf.dtype)

    return Model(options, jax.tree_util.tree_map_with_path(draw, shapes))


def in_space(frames: int = 24) -> Model:
    """27 rows, and three coordinates for each of 45 joints."""
    return untrained(NetworkOptions(skeleton(45), frames=frames, coordinates=3))


def random_windows(options: NetworkOptions, count: int) -> Batch:
    """Random numbers, of which some are seen."""
    rng = np.random.default_rng(0)
    shape = count, options.frames, len(get_skeleton(options.skeleton))
    x = rng.uniform(-1, 1, (*shape, options.coordinates)).astype("f4")
    mask = (rng.random(shape) < 0.4).astype("f4")
    return Batch(x, picture(x) * mask[..., None], mask)


def windows_in_space(options: NetworkOptions, count: int, split: str = "validation") -> Batch:
    """Procedural motion in three coordinates, the detected twelve joints seen.

    Bodies face anywhere, and are placed and scaled by their own mean and deviation. Joints that the
    motion lacks are made of three of its own each, always the same.
    """
    clips, names = load_clips("procedural", split), get_skeleton(options.skeleton).joints
    rng, mixing = np.random.default_rng(0), np.random.default_rng(1)
    weights = np.zeros((len(names), len(BODY)))
    for joint, name in enumerate(names):
        if name in BODY:
            weights[joint, BODY.index(name)] = 1
        else:
            three = mixing.choice(len(BODY), 3, replace=False)
            weights[joint, three] = mixing.dirichlet(np.ones(3))
    windows = []
    for _ in range(count):
        positions = clips[rng.integers(len(clips))].positions
        first = rng.integers(len(positions) - options.frames)
        angle = rng.uniform(0, 2 * np.pi)
        c, s = np.cos(angle), np.sin(angle)
        turn = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
        windows.append(weights @ positions[first : first + options.frames] @ turn)
    x = np.stack(windows)
    x = (x - x.mean((1, 2), keepdims=True)) / x.std((1, 2, 3), keepdims=True)
    mask = np.zeros(x.shape[:-1], "f4")
    mask[..., [names.index(name) for name in DETECTED_12]] = 1
    return Batch(x.astype("f4"), (picture(x) * mask[..., None]).astype("f4"), mask)


PACKAGED = Subject("28 joints x 2", load_packaged)
IN_SPACE = Subject("45 joints x 3", in_space, random_windows)


def trained_in_space(steps: int, batch: int) -> Subject:
    """``IN_SPACE`` after reconstruction steps of so many windows, of other people than it is given.

    With random parameters there is nothing to find, and a search for it tells nothing.
    """
    return Subject(
        f"{IN_SPACE.name}, trained for {steps} steps",
        functools.partial(_trained, steps, batch), windows_in_space)


@functools.cache
def _trained(steps: int, batch: int) -> Model:
    others = IN_SPACE._replace(windows=functools.partial(windows_in_space, split="train"))
    setup = Setup(others, batch, optimizer=OptimizerOptions(learning_rate=1e-3))
    state = training(setup, "reconstruction", steps)()
    return dataclasses.replace(setup.model, variables=jax.device_get(state.variables))


@dataclasses.dataclass(frozen=True, eq=False)
class Setup:
    """Networks with parameters, and a batch on the devices.

    Attributes:
      subject: the model.
      size: windows of the batch.
      dtype: of activations.
      devices: one GPU, as PyTorch has, or a device for each core, if None.
      optimizer: of training.
    """

    subject: Subject
    size: int
    dtype: jnp.dtype = jnp.float32
    devices: list[jax.Device] | None = None
    # A large eps: near zero, Adam tells but the sign of a gradient's rounding error.
    optimizer: OptimizerOptions = OptimizerOptions(eps=1e-3)

    @functools.cached_property
    def model(self) -> Model:
        return self.subject.model()

    @functools.cached_property
    def variables(self) -> dict:
        return jax.device_get({name: self.model.variables[name] for name in NETWORKS})

    @functools.cached_property
    def networks(self):
        return build_networks(self.model.options, dtype=self.dtype)

    @functools.cached_property
    def options(self) -> StepOptions:
        return StepOptions(batch_size=self.size, optimizer=self.optimizer)

    @functools.cached_property
    def mesh(self):
        return parallel.make_mesh(self.devices or _devices())

    @property
    def on_cpu(self) -> bool:
        return self.mesh.devices.flat[0].platform == "cpu"

    @functools.cached_property
    def store(self):
        """Motion to draw batches from, on the devices; None: there is none."""
        if self.subject.windows:
            return None
        span = self.options.views.span(self.model.frames)
        return parallel.replicate(
            self.mesh, build_store(load_clips("procedural", "train"), span, 1))

    @functools.cached_property
    def batch(self) -> Batch:
        if self.subject.windows:
            own = self.subject.windows(self.model.options, self.size)
            return parallel.scatter(self.mesh, own)
        draw = jax.jit(functools.partial(
            sample_batch, networks=self.networks, options=self.options))
        return parallel.scatter(self.mesh, draw(jax.random.key(0), self.store))

    @property
    def key(self) -> jax.Array:
        return jax.random.key(1)

    def state(self) -> TrainState:
        """At the first step, of these parameters."""
        adam = self.options.optimizer.transformation()
        return parallel.replicate(self.mesh, TrainState(
            step=np.zeros((), np.int32), key=jax.random.key_data(jax.random.key(0)),
            variables=self.variables,
            optimizers={name: adam.init(v["params"]) for name, v in self.variables.items()},
            averages={name: self.variables[name] for name in AVERAGED},
        ))

    def random_inputs(self) -> tuple[np.ndarray, np.ndarray]:
        """z and the places of x_hat that ``update`` draws from the key."""
        k_z, k_critic = jax.random.split(self.key)
        z = jax.random.normal(k_z, (self.size, self.networks.options.latent))
        places = interpolation_weights(k_critic, self.size)
        return np.array(z), np.array(places).reshape(self.size, 1, 1, 1)


def to_check(subject: Subject, size: int) -> Setup:
    """A setup with random numbers for a batch, as the program that draws takes long to compile."""
    return Setup(subject._replace(windows=random_windows), size)


def _devices() -> list[jax.Device]:
    device = jax.config.jax_default_device
    devices = jax.devices(device.platform if device else None)
    return devices if devices[0].platform == "cpu" else devices[:1]


# --- ours ---------------------------------------------------------------------------------------


def training(
    setup: Setup, phase: Phase, steps: int, sampling: bool = False, precision: str | None = None,
    costs: dict | None = None,
) -> Callable[[], TrainState]:
    """Training steps in one program, as the training loop runs them; a call goes on from the last.

    Args:
      setup: of networks and batch.
      phase: of training.
      steps: inside a ``lax.scan`` as the training loop's are, which takes 50
        (``train.steps_per_dispatch``): what a call costs is spread over them.
      sampling: draw the batch of every step.
      precision: of float32's products, see ``jax.default_matmul_precision``.
      costs: gets what XLA counts of a step, 'bytes accessed' among it.
    """
    common = dict(
        networks=setup.networks, options=setup.options, phase=phase, mesh=setup.mesh)
    if sampling:
        def run(state, store, batch):
            return train_steps(state, store, count=steps, **common)[0]
    else:
        def run(state, store, batch):
            def body(state, _):
                return update(state, Batch(*batch), setup.key, **common)[0], None

            return jax.lax.scan(body, state, length=steps)[0]

    state = setup.state()
    inputs = (setup.store if sampling else None), setup.batch
    with jax.default_matmul_precision(precision):
        program = jax.jit(run, donate_argnums=0).lower(state, *inputs).compile()
    if costs is not None:
        costs.update(program.cost_analysis() or {})

    def call():
        nonlocal state
        state = program(state, *inputs)
        return jax.block_until_ready(state)

    return call


def search(setup: Setup, options: DescentOptions) -> Callable[..., Descent]:
    """The search as the product compiles it, of variables, x, mask and BFGS's metric."""
    def share(variables, x, mask, metric):
        return descend(setup.networks, variables, x, mask, options, metric)

    whole, split = PartitionSpec(), PartitionSpec(parallel.DATA_AXIS)
    program = jax.jit(jax.shard_map(
        share, mesh=setup.mesh, in_specs=(whole, split, split, whole), out_specs=split,
        check_vma=False,
    ))
    return lambda variables, x, mask, metric=None: program(variables, x, mask, metric)


def step_flop(options: NetworkOptions, phase: Phase, windows: int) -> float:
    """Operations of a training step by the definition of its convolutions."""
    plan = stages(options.frames, len(get_skeleton(options.skeleton).rows))
    widths = [32] + [stage.features for stage in plan]
    forward = sum(
        2 * np.prod(s.out_size) * np.prod(s.kernel) * widths[i] * s.features
        for i, s in enumerate(plan)
    )
    return float(PASSES[phase] * forward * windows)
