"""Training mixers.

    python -m posegan_jax.training.mixer --motion cmu.npz,accad.npz --steps 20000 -o regressor.npz
    python -m posegan_jax.training.mixer --motion cmu.npz,accad.npz --init-from regressor.npz \\
        --weights RUN --steps 8000 -o corrector.npz

On the windows, views and corruptions that our networks are trained on. The first command trains a
mixer that completes what is seen: the learned baseline of ``evaluation``. The second makes of it
one that corrects what the networks of RUN say, see ``inpainting.correct``; ``training.export`` puts
it with them.
"""

import argparse
import dataclasses
import functools
import sys
from importlib import resources
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from posegan_jax.errors import InputError
from posegan_jax.geometry.metrics import mpjpe, mpjse
from posegan_jax.geometry.normalize import fit_normalization, normalize
from posegan_jax.geometry.procrustes import align
from posegan_jax.model.corrector import (
    FRAMES,
    SKELETON,
    Mixer,
    Params,
    certainty,
    correcting,
    fits,
    init_mixer,
    mix,
)
from posegan_jax.model.networks import Networks, Variables, build_networks
from posegan_jax.model.options import NetworkOptions
from posegan_jax.motion.corrupt import CorruptionOptions
from posegan_jax.motion.store import MotionStore, build_store, load_clips
from posegan_jax.pose.skeleton import DETECTED_12
from posegan_jax.runtime.files import check_file
from posegan_jax.training.checkpoints import load_params
from posegan_jax.training.options import StepOptions
from posegan_jax.training.step import Batch, sample_batch

CHUNK = 20
"""Steps per compiled call."""
SAVE = 1000
"""Steps after which what is trained so far is saved."""
SHAKE = 0.15
"""Standard deviation of what is added to codes: of people who were not trained on, the networks say
less than of those they know, and are not to be trusted too much."""
KNOTS = 7
"""Of the broken lines over a window that the errors left in refined joints follow."""
EXACT, EACH = 0.5, 0.3
"""Chances: that observed joints of a window are exact; if not, that one errs more than all do."""
ALL_ERR, MORE_ERR = (0.005, 0.15), (0.02, 0.2)
"""Least and greatest standard deviation of these errors, in body sizes."""


def train(
    store: MotionStore, steps: int, options: StepOptions, learning_rate: float = 1.5e-3,
    seed: int = 0, progress=None, start: Mixer | None = None,
    corrected: tuple[Networks, dict[str, Variables]] | None = None,
) -> tuple[Mixer, list[float]]:
    """Trains on MPJPE + 0.5 MPJSE with AdamW and a cosine.

    Args:
      store: training windows, long enough for the speeds of ``options``.
      steps: in all, a multiple of ``CHUNK``.
      options: batch size, views and corruption: those of the networks' training.
      learning_rate: the highest.
      seed: of parameters and samples.
      progress: called with steps done, the mean loss over the last chunk, and the mixer so far.
      start: a mixer to go on from; a new one of the default size if None.
      corrected: networks and variables; the mixer corrects what these say. None: it completes.

    Returns:
      The mixer, and the mean loss of every chunk.
    """
    options = dataclasses.replace(options, normalize_by="full")
    rate = optax.warmup_cosine_decay_schedule(0.0, learning_rate, min(200, steps // 10), steps)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, weight_decay=1e-2))
    params = start.params if start else init_mixer(jax.random.key(seed))
    if corrected and "gate" not in params:
        params = correcting(params)
    # Of a plain mixer's training the networks are not used, but for what they say of windows.
    networks, variables = corrected or (
        build_networks(NetworkOptions(frames=FRAMES, skeleton=SKELETON.name)), None
    )
    state = params, optimizer.init(params)
    chunk = jax.jit(
        functools.partial(_chunk, networks=networks, options=options, optimizer=optimizer)
    )
    store, variables = jax.device_put((store, variables))
    losses = []
    for first in range(0, steps, CHUNK):
        key = jax.random.fold_in(jax.random.key(seed + 1), first)
        state, loss = chunk(state, key, store, variables)
        losses.append(float(loss))
        if progress:
            progress(first + CHUNK, losses[-1], Mixer(state[0]))
    return Mixer(jax.device_get(state[0])), losses


def refined(key: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Windows as observed joints are once they are refined: exact, or a little off on smooth paths.

    Args:
      key: random.
      x: (N, F, J, 2) true windows.

    Returns:
      (N, F, J, 2) and their ``certainty`` (N, F, J).
    """
    n, f, j, _ = x.shape
    k_exact, k_all, k_each, k_more, k_path = jax.random.split(key, 5)

    def deviation(key, shape, limits):
        low, high = np.log(limits)
        return jnp.exp(jax.random.uniform(key, shape, minval=low, maxval=high))

    more = jax.random.bernoulli(k_each, EACH, (n, 1, j)) * deviation(k_more, (n, 1, j), MORE_ERR)
    total = jnp.hypot(deviation(k_all, (n, 1, 1), ALL_ERR), more)
    total = jnp.where(jax.random.bernoulli(k_exact, EXACT, (n, 1, 1)), 0.0, total)
    path = jax.random.normal(k_path, (n, KNOTS, j, 2))
    path = jnp.einsum("fk,nkjc->nfjc", _broken_line(f), path)
    centered = x - x.mean(axis=2, keepdims=True)
    size = jnp.sqrt((centered**2).sum(-1).mean(-1)).mean(-1)[:, None, None]
    sure = jnp.broadcast_to(certainty(total), (n, f, j))
    return x + (size * total)[..., None] * path, sure


def _broken_line(frames: int) -> np.ndarray:
    """(F, KNOTS) from independent values at knots to a path of the same variance."""
    at = np.linspace(0, KNOTS - 1, frames)[:, None]
    line = np.maximum(1 - np.abs(at - np.arange(KNOTS)), 0)
    return line / np.linalg.norm(line, axis=1, keepdims=True)


def _loss(params: Params, inputs) -> jax.Array:
    truth, x_in, weight, generated, counted, scale = inputs
    result = mix(params, x_in, weight, generated)
    error = mpjpe(truth, result, counted) + 0.5 * mpjse(truth, result, counted)
    # In the truth's own scale, as what is observed may be as small as a hand.
    return (error * scale.ravel()).mean()


def _inputs(batch: Batch, key: jax.Array, networks: Networks, variables):
    """Of ``_loss``: everything is normalised by what is seen."""
    mask, there = batch.mask, batch.mask[..., None]
    normalization = fit_normalization(batch.x_in, mask)
    x_in = normalize(batch.x_in, normalization) * there
    truth = normalize(batch.x, normalization)
    if variables is None:
        return truth, x_in, mask, None, None, normalization.scale
    k_shake, key = jax.random.split(key)
    code = networks.encoder.apply(variables["encoder"], x_in, mask)
    code = code + SHAKE * jax.random.normal(k_shake, code.shape)
    generated = align(networks.generator.apply(variables["generator"], code), x_in, mask)
    x_in, sure = refined(key, truth)
    return truth, x_in * there, sure * mask, generated, 1.0 - mask, normalization.scale


def _chunk(state, key, store, variables, *, networks: Networks, options: StepOptions, optimizer):
    def step(state, key):
        params, moments = state
        batch = sample_batch(key, store, networks, options)
        inputs = _inputs(batch, jax.random.fold_in(key, 1), networks, variables)
        loss, gradient = jax.value_and_grad(_loss)(params, inputs)
        update, moments = optimizer.update(gradient, moments, params)
        return (optax.apply_updates(params, update), moments), loss

    state, losses = jax.lax.scan(step, state, jax.random.split(key, CHUNK))
    return state, losses.mean()


def _networks(
    weights: str
) -> tuple[tuple[Networks, dict[str, Variables]], CorruptionOptions]:
    """Of ``--weights``, and what their training showed them."""
    packaged = resources.files("posegan_jax") / "weights" / "pretrained"
    with resources.as_file(packaged) as path:
        variables, metadata = load_params(path if weights == "packaged" else Path(weights))
    if "networks" not in metadata or not {"encoder", "generator"} <= set(variables):
        raise InputError(f"{weights}: holds no networks of posegan_jax to correct")
    networks = build_networks(NetworkOptions.from_dict(metadata["networks"]))
    shown = metadata.get("config", {}).get("corruption", {})
    names = {field.name for field in dataclasses.fields(CorruptionOptions)}
    corruption = CorruptionOptions(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in shown.items() if k in names}
    )
    if not fits(networks.options) or not set(corruption.detected) <= set(DETECTED_12):
        raise InputError(
            f"--weights must be of windows of {FRAMES} frames of {SKELETON.name}, in which no "
            f"others are seen than {', '.join(DETECTED_12)}"
        )
    return (networks, variables), corruption


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    from tqdm import tqdm

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--motion", default="procedural", help="motion set with a split 'train'")
    parser.add_argument("--steps", type=int, default=4000, help=f"a multiple of {CHUNK}")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--init-from", help="weights to go on from, a file that this wrote")
    parser.add_argument(
        "--weights", help="of networks, a run's folder or 'packaged': correct what these say"
    )
    parser.add_argument("--learning-rate", type=float, default=1.5e-3, help="the highest")
    parser.add_argument("--seed", type=int, default=0, help="another one, to go on")
    parser.add_argument("--text", default="", help="what is to be said of the data")
    parser.add_argument("-o", "--output", required=True, help=".npz file to write")
    options = parser.parse_args(argv)
    try:
        if options.steps < CHUNK or options.steps % CHUNK:
            raise InputError(f"--steps must be a multiple of {CHUNK}")
        if options.batch_size < 1:
            raise InputError("--batch-size must be at least 1")
        check_file(options.output)
        start = Mixer.load(options.init_from) if options.init_from else None
        corrected, corruption = None, CorruptionOptions()
        if options.weights:
            corrected, corruption = _networks(options.weights)
        elif start and start.corrects:
            raise InputError(f"{options.init_from} corrects networks: give their --weights")
        step_options = StepOptions(batch_size=options.batch_size, corruption=corruption)
        store = build_store(
            load_clips(options.motion, "train"), step_options.views.span(FRAMES), 1
        )
        # In a log file a line a minute, on a screen ten a second.
        every = 0.1 if sys.stderr.isatty() else 60
        with tqdm(total=options.steps, unit="step", mininterval=every) as bar:

            def progress(done: int, loss: float, mixer: Mixer) -> None:
                bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
                bar.update(done - bar.n)
                if done % SAVE == 0 or done == options.steps:
                    dataclasses.replace(mixer, text=options.text).save(options.output)

            _, losses = train(
                store, options.steps, step_options, options.learning_rate, options.seed, progress,
                start, corrected,
            )
    except InputError as error:
        print(f"posegan_jax: {error}", file=sys.stderr)
        return 2
    print(f"loss {losses[0]:.4f} -> {losses[-1]:.4f}; wrote {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
