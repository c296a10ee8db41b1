"""A small mixer over the frames of a window and its features: what is seen, straight to the output.

Alone it completes windows. Shown what the generator says of them, it tells, for every joint and
frame, how far to go from that to what it says itself.

An MLP-mixer (I. Tolstikhin et al., MLP-Mixer: an all-MLP architecture for vision, 2021). It is
written in the functions that NumPy and JAX share (the Python array API), since it is trained on
devices and runs on hosts that may have none.
"""

import dataclasses
import operator
from importlib import resources
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from posegan_jax.errors import InputError
from posegan_jax.model.options import NetworkOptions
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton
from posegan_jax.runtime.files import atomic_path

SKELETON = get_skeleton(NetworkOptions().skeleton)
DETECTED = tuple(SKELETON.index(joint) for joint in DETECTED_12)
FRAMES = NetworkOptions().frames
SEEN, OUT = 2 * len(DETECTED), 2 * len(SKELETON)
SURE = 0.05
"""Deviation, in body sizes, of a joint that counts for half."""
TINY = 1e-6
CORRECTOR = "corrector"
"""Name of a correcting mixer's parameters among those of the networks that it corrects."""

Params = dict[str, dict]


@dataclasses.dataclass(frozen=True)
class Mixer:
    """A trained mixer: windows in which detected joints were seen -> all joints.

    Attributes:
      params: as of ``init_mixer``.
      text: what they were trained on.
    """

    params: Params
    text: str = ""

    def __call__(self, x, weight, generated=None):
        """As ``mix``; ``generated`` for one that corrects, and for no other."""
        return mix(self.params, x, weight, generated)

    @property
    def corrects(self) -> bool:
        """Whether it is to be shown generated windows."""
        return "gate" in self.params

    @classmethod
    def packaged(cls, name: str) -> "Mixer | None":
        """With weights that come with the package, if they do."""
        found = resources.files("posegan_jax") / "weights" / f"{name}.npz"
        if not found.is_file():
            return None
        with resources.as_file(found) as path:
            return cls.load(path)

    @classmethod
    def load(cls, path: str | Path) -> "Mixer":
        """Reads what ``save`` wrote. Raises InputError where there is no such file."""
        try:
            # Opened here: a damaged file that NumPy opens stays open.
            with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as data:
                arrays = dict(data)
            text = str(arrays.pop("text"))
            params = unflatten_dict(
                {tuple(name.split("/")): a.astype(np.float32) for name, a in arrays.items()}
            )
            if problem := misfit(params):
                raise ValueError(problem)
        except Exception as error:  # a file may hold anything
            raise InputError(f"{path}: not the weights of a mixer ({error})") from error
        return cls(params, text)

    def save(self, path: str | Path) -> None:
        """Writes the parameters in half precision."""
        arrays = {"/".join(name): np.asarray(value, np.float16)
                  for name, value in flatten_dict(self.params).items()}
        with atomic_path(Path(path)) as temporary, open(temporary, "wb") as handle:
            np.savez_compressed(handle, **arrays, text=np.array(self.text))


def fits(options: NetworkOptions) -> bool:
    """Whether a mixer can correct networks: it knows windows of one length, of one skeleton."""
    return (options.skeleton, options.frames) == (SKELETON.name, FRAMES)


def init_mixer(key: jax.Array, width: int = 192, blocks: int = 4) -> Params:
    """Parameters of a mixer whose output is what is seen, interpolated.

    Args:
      key: random.
      width: features per frame.
      blocks: mixing over frames, then over features, so many times.
    """
    keys = iter(jax.random.split(key, 1 + 4 * blocks))
    init = jax.nn.initializers.lecun_normal()

    def dense(inputs: int, outputs: int) -> Params:
        return {"kernel": init(next(keys), (inputs, outputs)), "bias": _zeros(outputs)}

    def mlp(inputs: int, hidden: int) -> Params:
        norm = {"scale": _zeros(width) + 1, "bias": _zeros(width)}
        return {"norm": norm, "up": dense(inputs, hidden), "down": dense(hidden, inputs)}

    return {
        "embed": dense(SEEN + len(DETECTED), width),
        "blocks": {
            str(i): {"time": mlp(FRAMES, 2 * FRAMES), "features": mlp(width, 2 * width)}
            for i in range(blocks)
        },
        "norm": {"scale": _zeros(width) + 1, "bias": _zeros(width)},
        "out": {"kernel": _zeros(width, OUT), "bias": _zeros(OUT)},
        # Besides, a straight path from the detected joints to all others.
        "straight": {"kernel": _zeros(SEEN, OUT)},
    }


def correcting(params: Params) -> Params:
    """Those of a mixer that is shown generated windows, too, and goes a third of the way to what
    the given one says."""
    kernel = params["embed"]["kernel"]
    embed = {**params["embed"], "kernel": jnp.concatenate([kernel, _zeros(OUT, kernel.shape[1])])}
    gate = {"kernel": _zeros(kernel.shape[1], OUT // 2), "bias": _zeros(OUT // 2) - np.log(2.0)}
    return {**params, "embed": embed, "gate": jax.tree.map(np.float32, gate)}


def _zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def mix(params: Params, x, weight, generated=None):
    """Completes windows.

    Args:
      params: as of ``init_mixer``, or of ``correcting`` with generated windows.
      x: (N, F, J, 2) normalised by what is seen; missing joints may hold anything finite.
      weight: (N, F, J) 0: missing, up to 1: exact. Of joints that no detector delivers it does not
        count.
      generated: (N, F, J, 2) what the networks say of these windows.

    Returns:
      (N, F, J, 2).
    """
    xp = x.__array_namespace__()
    filled = fill_linearly(x, weight)
    at = xp.asarray(DETECTED)
    seen = xp.reshape(filled[:, :, at], (*x.shape[:2], -1))
    features = [seen, weight[:, :, at]]
    if generated is not None:  # what is observed of a joint moves what is generated of it
        generated = generated + fill_linearly(x - generated, weight)
        features.append(xp.reshape(generated, (*x.shape[:2], -1)))
    h = _dense(params["embed"], xp.concat(features, axis=-1))
    for i in range(len(params["blocks"])):
        block = params["blocks"][str(i)]
        mixed = _norm(block["time"]["norm"], h)
        h = h + xp.matrix_transpose(_mlp(block["time"], xp.matrix_transpose(mixed)))
        h = h + _mlp(block["features"], _norm(block["features"]["norm"], h))
    h = _norm(params["norm"], h)
    out = _dense(params["out"], h) + seen @ params["straight"]["kernel"]
    result = filled + xp.reshape(out, x.shape)
    if generated is None:
        return result
    gate = 0.5 * (1.0 + xp.tanh(0.5 * _dense(params["gate"], h)))  # a sigmoid
    return generated + gate[..., None] * (result - generated)


def certainty(deviation):
    """What a joint counts whose place is known to so many body sizes, as a standard deviation."""
    return 1.0 / (1.0 + (deviation / SURE) ** 2)


def fill_linearly(x, weight):
    """Linear interpolation over time, constant beyond the first and the last observation.

    Args:
      x: (N, F, J, 2).
      weight: (N, F, J) 0 where missing.

    Returns:
      (N, F, J, 2); zero for joints that are not observed at all.
    """
    xp = x.__array_namespace__()
    frames = x.shape[1]
    time = xp.arange(frames)[None, :, None]
    seen = weight > 0
    before = _running_max(xp.where(seen, time, -1))
    after = frames - 1 - xp.flip(
        _running_max(xp.flip(xp.where(seen, frames - 1 - time, -1), axis=1)), axis=1
    )
    left = xp.where(before >= 0, before, after)
    right = xp.where(after < frames, after, before)
    left, right = (xp.clip(index, 0, frames - 1) for index in (left, right))
    share = (time - left) / xp.maximum(right - left, 1)
    start, stop = (_take(x, index) for index in (left, right))
    filled = start + xp.asarray(share, dtype=x.dtype)[..., None] * (stop - start)
    return xp.where(xp.any(seen, axis=1, keepdims=True)[..., None], filled, xp.zeros_like(x))


def _running_max(x):
    """Along axis 1, by doubling: the array API has no such function."""
    xp, span = x.__array_namespace__(), 1
    while span < x.shape[1]:
        x = xp.concat([x[:, :span], xp.maximum(x[:, span:], x[:, :-span])], axis=1)
        span *= 2
    return x


def _take(x, index):
    xp = x.__array_namespace__()
    return xp.take_along_axis(x, index[..., None], axis=1)


def _dense(params, h):
    # As rows: gradients of matmuls over several axes are slow on a CPU.
    xp = h.__array_namespace__()
    rows = xp.reshape(h, (-1, h.shape[-1]))
    return xp.reshape(rows @ params["kernel"] + params["bias"], (*h.shape[:-1], -1))


def _mlp(params, h):
    return _dense(params["down"], _gelu(_dense(params["up"], h)))


def _gelu(h):
    """By tanh (D. Hendrycks and K. Gimpel, Gaussian error linear units, 2016)."""
    xp = h.__array_namespace__()
    return 0.5 * h * (1.0 + xp.tanh(0.7978845608 * (h + 0.044715 * h * h * h)))


def _norm(params, h):
    """Over the features (J. Ba, J. Kiros and G. Hinton, Layer normalization, 2016)."""
    xp = h.__array_namespace__()
    h = h - xp.mean(h, axis=-1, keepdims=True)
    deviation = xp.sqrt(xp.mean(h * h, axis=-1, keepdims=True) + TINY)
    return h / deviation * params["scale"] + params["bias"]


def misfit(params: Params) -> str | None:
    """What is wrong with parameters that somebody else made, if anything."""
    try:
        width, blocks = params["norm"]["scale"].shape[0], len(params["blocks"])
        wanted = jax.eval_shape(lambda: init_mixer(jax.random.key(0), width, blocks))
        if "gate" in params:
            wanted = jax.eval_shape(correcting, wanted)
        shapes = (jax.tree.map(np.shape, tree) for tree in (params, wanted))
        right = operator.eq(*shapes)
    except (AttributeError, IndexError, KeyError, TypeError):
        right = False
    if not right:
        return "arrays that do not fit each other"
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
        return "parameters that are not finite"
    return None
