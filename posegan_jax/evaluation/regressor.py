"""A learned regressor: what the same data gives without a generative model and without a search.

    python -m posegan_jax.evaluation.regressor --motion cmu.npz,accad.npz --steps 4000 -o FILE.npz

An MLP-mixer (I. Tolstikhin et al., 2021) over the frames of a window and its features encodes and
decodes at once; it sees the 12 joints, interpolated linearly over holes, and which of them were
observed, and adds to them. It is trained on the windows, views and corruptions that our networks
are trained on, on reconstruction alone.
"""

import argparse
import dataclasses
import functools
import sys
import zipfile
from importlib import resources
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict

from posegan_jax.errors import InputError
from posegan_jax.geometry.metrics import mpjpe, mpjse
from posegan_jax.geometry.normalize import denormalize, fit_normalization, normalize
from posegan_jax.inpainting.rate import Rate
from posegan_jax.inpainting.select import compose
from posegan_jax.motion.store import SKELETON, MotionStore, build_store, load_clips
from posegan_jax.networks.build import NetworkOptions, Networks, build_networks
from posegan_jax.pose.files import atomic_path
from posegan_jax.pose.sequence import PoseSequence
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton
from posegan_jax.pose.windows import gather, starts
from posegan_jax.training.step import StepOptions, sample_batch

FRAMES, SHIFT = 24, 8
CHUNK = 20
"""Steps per compiled call."""
BATCH = 16
"""Windows that are solved at once."""


class Mixer(nn.Module):
    """Windows to windows.

    Attributes:
      detected: indices of the joints that may be observed.
      joints: J.
      width: features per frame.
      blocks: mixing over frames, then over features, so many times.
    """

    detected: tuple[int, ...]
    joints: int = 28
    width: int = 192
    blocks: int = 4

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """(N, F, J, 2) normalised by what is observed, (N, F, J) 1 = observed -> (N, F, J, 2)."""
        at = np.array(self.detected)
        filled = fill_linearly(x, mask)
        seen = filled[:, :, at].reshape(*x.shape[:2], -1)
        features = jnp.concatenate([seen, mask[:, :, at]], axis=-1)
        h = nn.Dense(self.width)(features)
        for _ in range(self.blocks):
            h = h + _mlp(nn.LayerNorm()(h).swapaxes(1, 2), 2 * x.shape[1]).swapaxes(1, 2)
            h = h + _mlp(nn.LayerNorm()(h), 2 * self.width)
        # Besides, a straight path from the observed joints to all others.
        zeros = nn.initializers.zeros
        out = nn.Dense(2 * self.joints, kernel_init=zeros)(nn.LayerNorm()(h))
        out = out + nn.Dense(2 * self.joints, kernel_init=zeros, use_bias=False)(seen)
        return filled + out.reshape(*x.shape[:2], self.joints, 2)


def _mlp(h: jax.Array, width: int) -> jax.Array:
    # As rows: gradients of matmuls over several axes are slow on a CPU.
    rows = h.reshape(-1, h.shape[-1])
    return nn.Dense(h.shape[-1])(nn.gelu(nn.Dense(width)(rows))).reshape(h.shape)


def fill_linearly(x: jax.Array, mask: jax.Array) -> jax.Array:
    """Linear interpolation over time, constant beyond the first and the last observation.

    Args:
      x: (N, F, J, 2).
      mask: (N, F, J) 1 = observed.

    Returns:
      (N, F, J, 2); zero for joints that are not observed at all.
    """
    frames = x.shape[1]
    time = jnp.arange(frames)[None, :, None]
    seen = mask > 0
    before = jax.lax.cummax(jnp.where(seen, time, -1), axis=1)
    after = jax.lax.cummin(jnp.where(seen, time, frames), axis=1, reverse=True)
    left = jnp.where(before >= 0, before, after)
    right = jnp.where(after < frames, after, before)
    left, right = (jnp.clip(index, 0, frames - 1) for index in (left, right))
    share = (time - left) / jnp.maximum(right - left, 1)
    ends = (jnp.take_along_axis(x, index[..., None], axis=1) for index in (left, right))
    start, stop = ends
    filled = start + share[..., None] * (stop - start)
    return jnp.where(seen.any(axis=1, keepdims=True)[..., None], filled, 0.0)


@dataclasses.dataclass(frozen=True)
class Regressor:
    """A trained regressor, as a method.

    Attributes:
      module: the network.
      params: its parameters.
      text: what they were trained on.
    """

    module: Mixer
    params: dict
    text: str = ""

    @classmethod
    def load(cls, path: str | Path) -> "Regressor":
        """Reads what ``save`` wrote. Raises InputError where there is no such file."""
        try:
            with np.load(path, allow_pickle=False) as data:
                arrays = dict(data)
            text = str(arrays.pop("text"))
            width, blocks = (int(arrays.pop(name)) for name in ("width", "blocks"))
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: not the weights of a regressor ({error})") from error
        params = {tuple(name.split("/")): a.astype(np.float32) for name, a in arrays.items()}
        return cls(make_mixer(width, blocks), unflatten_dict(params), text)

    @classmethod
    def packaged(cls) -> "Regressor | None":
        """With the weights that come with the package, if they do."""
        found = resources.files("posegan_jax") / "weights" / "regressor.npz"
        if not found.is_file():
            return None
        with resources.as_file(found) as path:
            return cls.load(path)

    def save(self, path: str | Path) -> None:
        """Writes the parameters in half precision."""
        arrays = {"/".join(name): np.asarray(value, np.float16)
                  for name, value in flatten_dict(self.params).items()}
        more = {"text": np.array(self.text), "width": np.array(self.module.width),
                "blocks": np.array(self.module.blocks)}
        with atomic_path(Path(path)) as temporary, open(temporary, "wb") as handle:
            np.savez_compressed(handle, **arrays, **more)

    def __call__(self, sequence: PoseSequence) -> np.ndarray:
        """(T, J, 2) pixels, observed joints included: by windows, blended as ours are.

        NaN in frames of which no window has two observed joints.
        """
        keypoints, rate = sequence.keypoints, Rate.of(sequence.fps)
        tracks = [self._track(track) for track in rate.split(keypoints, np.nan)]
        return rate.join(tracks)

    def _track(self, keypoints: np.ndarray) -> np.ndarray:
        first = starts(len(keypoints), FRAMES, SHIFT)
        x = gather(keypoints, first, FRAMES, np.nan)
        mask = np.zeros(x.shape[:3], np.float32)
        at = list(self.module.detected)
        mask[:, :, at] = np.isfinite(x[:, :, at, 0])
        useful = mask.sum(axis=(1, 2)) >= 2
        if not useful.any():
            return np.full(keypoints.shape, np.nan)
        first, x, mask = first[useful], np.nan_to_num(x[useful]), mask[useful]
        windows = np.empty(x.shape)
        for begin in range(0, len(x), BATCH):
            part = slice(begin, begin + BATCH)
            count = len(x[part])
            padded = ([(0, BATCH - count)] + [(0, 0)] * (a.ndim - 1) for a in (x, mask))
            inputs = (np.pad(a[part], p, mode="edge")
                      for a, p in zip((x, mask), padded, strict=True))
            windows[part] = _solve(self.module, self.params, *inputs)[:count]
        return compose(
            windows, first, len(keypoints), keypoints, np.zeros(keypoints.shape[:2]),
            np.zeros(len(first)), "blend",
        )


def make_mixer(width: int = 192, blocks: int = 4) -> Mixer:
    """For the model's skeleton."""
    skeleton = get_skeleton(SKELETON)
    detected = tuple(skeleton.index(joint) for joint in DETECTED_12)
    return Mixer(detected, len(skeleton), width, blocks)


@functools.partial(jax.jit, static_argnames="module")
def _solve(module: Mixer, params: dict, x: jax.Array, mask: jax.Array) -> jax.Array:
    """Windows (N, F, J, 2) in pixels, zero where missing -> the same, complete."""
    x = jnp.asarray(x, jnp.float32)
    normalization = fit_normalization(x, mask)
    inside = normalize(x, normalization) * mask[..., None]
    return denormalize(module.apply({"params": params}, inside, mask), normalization)


# --- training -------------------------------------------------------------------------------------


def train(
    store: MotionStore, steps: int, options: StepOptions, learning_rate: float = 1.5e-3,
    seed: int = 0, progress=None, start: Regressor | None = None,
) -> tuple[Regressor, list[float]]:
    """Trains on MPJPE + 0.5 MPJSE with AdamW and a cosine.

    Args:
      store: training windows, long enough for the speeds of ``options``.
      steps: in all, a multiple of ``CHUNK``.
      options: batch size, views and corruption: those of the networks' training.
      learning_rate: the highest.
      seed: of parameters and samples.
      progress: called with steps done and the mean loss over the last chunk.
      start: a regressor to go on from; a new one of the default size if None.

    Returns:
      The regressor, and the mean loss of every chunk.
    """
    module = start.module if start else make_mixer()
    # The networks are not used, but for what they say of windows.
    networks = build_networks(NetworkOptions(frames=FRAMES))
    options = dataclasses.replace(options, normalize_by="full")
    rate = optax.warmup_cosine_decay_schedule(0.0, learning_rate, min(200, steps // 10), steps)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, weight_decay=1e-2))
    shape = (1, FRAMES, module.joints)
    params = start.params if start else module.init(
        jax.random.key(seed), jnp.zeros((*shape, 2)), jnp.ones(shape)
    )["params"]
    state = params, optimizer.init(params)
    chunk = jax.jit(functools.partial(
        _chunk, module=module, networks=networks, options=options, optimizer=optimizer
    ))
    store, losses = jax.device_put(store), []
    for first in range(0, steps, CHUNK):
        key = jax.random.fold_in(jax.random.key(seed + 1), first)
        state, loss = chunk(state, key, store)
        losses.append(float(loss))
        if progress:
            progress(first + CHUNK, losses[-1])
    return Regressor(module, jax.device_get(state[0])), losses


def _chunk(state, key, store, *, module, networks: Networks, options, optimizer):
    def loss_fn(params, batch):
        normalization = fit_normalization(batch.x_in, batch.mask)
        x_in = normalize(batch.x_in, normalization) * batch.mask[..., None]
        truth = normalize(batch.x, normalization)
        # In the truth's own scale, as what is observed may be as small as a hand.
        result = module.apply({"params": params}, x_in, batch.mask)
        error = (mpjpe(truth, result) + 0.5 * mpjse(truth, result)) * normalization.scale.ravel()
        return error.mean()

    def step(state, key):
        params, moments = state
        loss, gradient = jax.value_and_grad(loss_fn)(
            params, sample_batch(key, store, networks, options)
        )
        update, moments = optimizer.update(gradient, moments, params)
        return (optax.apply_updates(params, update), moments), loss

    state, losses = jax.lax.scan(step, state, jax.random.split(key, CHUNK))
    return state, losses.mean()


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    from tqdm import tqdm

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--motion", default="procedural", help="motion set with a split 'train'")
    parser.add_argument("--steps", type=int, default=4000, help=f"a multiple of {CHUNK}")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--init-from", help="weights to go on from, a file that this wrote")
    parser.add_argument("--seed", type=int, default=0, help="another one, to go on")
    parser.add_argument("--text", default="", help="what is to be said of the data")
    parser.add_argument("-o", "--output", required=True, help=".npz file to write")
    options = parser.parse_args(argv)
    try:
        if options.steps < CHUNK or options.steps % CHUNK:
            raise InputError(f"--steps must be a multiple of {CHUNK}")
        start = Regressor.load(options.init_from) if options.init_from else None
        step_options = StepOptions(batch_size=options.batch_size)
        store = build_store(
            load_clips(options.motion, "train"), step_options.views.span(FRAMES), 1
        )
        with tqdm(total=options.steps, unit="step", disable=None) as bar:

            def progress(done: int, loss: float) -> None:
                bar.set_postfix(loss=f"{loss:.4f}")
                bar.update(done - bar.n)

            trained, losses = train(
                store, options.steps, step_options, seed=options.seed, progress=progress,
                start=start,
            )
        dataclasses.replace(trained, text=options.text).save(options.output)
    except InputError as error:
        print(f"posegan_jax: {error}", file=sys.stderr)
        return 2
    print(f"loss {losses[0]:.4f} -> {losses[-1]:.4f}; wrote {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
