"""What a detector does to a pose: joints missing, joints displaced (thesis, section 4.6).

The thesis removes joints "with no specific pattern". A network only fills the kinds of holes it was
trained on, so several kinds are mixed; each is drawn independently for every window.
"""

import dataclasses
import operator

import chex
import jax
import jax.numpy as jnp
import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.pose.skeleton import DETECTED_12, Skeleton, beyond, get_skeleton
from posegan_jax.runtime.options import check_least, check_shares


@dataclasses.dataclass(frozen=True)
class CorruptionOptions:
    """How often each kind of corruption befalls a window, and how strong it is.

    Attributes:
      detected: names of the joints that a detector delivers; the others are always missing.
      never_observed: names of joints that are missing besides, in every sample (section 7.5).
      layouts: names of skeletons; each window is seen by a detector of one of them, all alike
        often, which delivers those of its joints that the generated skeleton has. Empty: every
        window is seen by one that delivers ``detected``.
      few: probability that a layout's detector delivers a random part of its joints alone,
        ``fewest`` at least, all numbers alike often.
      clean: share of windows in which no detected joint is missing, at least (those that no kind
        befalls come on top).
      scattered: probability of joints missing at random frames, each at a rate up to
        ``scattered_rate``.
      runs: probability of one run of missing frames per joint (each joint with chance one half).
      joints: probability of a random subset of joints missing for the whole window.
      limbs: probability of whole arms or legs missing for the whole window.
      gap: probability of every joint missing for 1 to ``gap_frames`` frames.
      crop: probability of everything beyond a random line across the picture missing.
      jitter: probability of Gaussian displacement of the observed joints, of a standard deviation
        up to ``jitter_scale`` (in units of the normalised window), independent per joint and frame.
      misses: probability of gross errors: joints displaced by a Gaussian of standard deviation
        ``miss_scale``, either at random frames, each at a rate up to ``miss_rate``, or for one run
        of frames per joint (each joint with chance ``miss_rate``).
      inversions: probability of left and right exchanged, for a random subset of the pairs of
        joints and up to half of the frames.
    """

    detected: tuple[str, ...] = DETECTED_12
    never_observed: tuple[str, ...] = ()
    layouts: tuple[str, ...] = ()
    few: float = 0.0
    fewest: int = 4
    clean: float = 0.25
    scattered: float = 0.4
    scattered_rate: float = 0.6
    runs: float = 0.3
    joints: float = 0.25
    limbs: float = 0.45
    gap: float = 0.2
    gap_frames: int = 20
    crop: float = 0.2
    jitter: float = 0.4
    jitter_scale: float = 0.03
    misses: float = 0.25
    miss_rate: float = 0.2
    miss_scale: float = 0.3
    inversions: float = 0.15

    def __post_init__(self):
        """Raises OptionError on probabilities that are none."""
        names = (
            "clean", "scattered", "runs", "joints", "limbs", "gap", "crop", "jitter", "misses",
            "miss_rate", "inversions", "few",
        )  # but not those of a program for any probabilities
        known = [n for n in names if not isinstance(getattr(self, n), jax.core.Tracer)]
        check_shares(self, *known)
        check_least(self, 2, "fewest")
        for layout in self.layouts:
            get_skeleton(layout)


def observable(skeleton: Skeleton, options: CorruptionOptions) -> np.ndarray:
    """(J,) 1 for joints that a detector of ``detected`` delivers.

    Raises:
      InputError: when an option names a joint that the skeleton lacks, or none is left.
    """
    mask = np.zeros(len(skeleton), np.float32)
    for name in options.detected:
        mask[skeleton.index(name)] = 1.0
    for name in options.never_observed:
        mask[skeleton.index(name)] = 0.0
    if not mask.any():
        raise InputError("corruption: no joint is left that could be observed")
    return mask


def layouts(skeleton: Skeleton, options: CorruptionOptions) -> np.ndarray:
    """(L, J) 1 for joints that a detector of each of ``options.layouts`` delivers, or of the one
    that there is without them.

    Raises:
      InputError: as of ``observable``, or a layout has fewer than two joints that are generated.
    """
    if not options.layouts:
        return observable(skeleton, options)[None]
    masks = np.array([
        skeleton.mask(get_skeleton(name).joints) & ~skeleton.mask(options.never_observed)
        for name in options.layouts
    ])
    for name, mask in zip(options.layouts, masks, strict=True):
        if mask.sum() < 2:
            raise InputError(f"corruption.layouts: {name} has no two joints of {skeleton.name}")
    return masks.astype(np.float32)


def sample_mask(
    key: jax.Array, x: jax.Array, skeleton: Skeleton, options: CorruptionOptions
) -> jax.Array:
    """Draws which joints are observed.

    Args:
      key: PRNG key.
      x: (N, F, J, 2) projected windows in any units (only the crop looks at them).
      skeleton: their skeleton.
      options: probabilities.

    Returns:
      (N, F, J) float mask, 1 = observed. Every window keeps at least two observed joints in some
      frame; one that would not is left with all that may be observed.
    """
    chex.assert_shape(x, (None, None, len(skeleton), 2))
    n, f, j, _ = x.shape
    base = _delivered(key, n, skeleton, options)
    kinds = (
        (options.scattered, lambda k: _scattered(k, n, f, j, options.scattered_rate)),
        (options.runs, lambda k: _runs(k, n, f, j)),
        (options.joints, lambda k: _joints(k, n, j)),
        (options.limbs, lambda k: _limbs(k, n, skeleton)),
        (options.gap, lambda k: _gap(k, n, f, options.gap_frames)),
        (options.crop, lambda k: _crop(k, x)),
    )
    k_clean, *keys = jax.random.split(key, 1 + 2 * len(kinds))
    missing = jnp.zeros((n, f, j), bool)
    for (chance, draw), k_use, k_draw in zip(kinds, keys[::2], keys[1::2], strict=True):
        use = jax.random.bernoulli(k_use, jnp.float32(chance), (n, 1, 1))
        missing = missing | (use & draw(k_draw))
    missing = missing & ~jax.random.bernoulli(k_clean, jnp.float32(options.clean), (n, 1, 1))
    mask = base * (1.0 - missing)
    enough = (mask.sum(-1) >= 2).any(-1)[:, None, None]
    return jnp.where(enough, mask, base)


def _delivered(key, n, skeleton: Skeleton, options: CorruptionOptions):
    """(J,) or (N, 1, J), the joints that the windows' detectors deliver."""
    masks = jnp.asarray(layouts(skeleton, options))
    if not options.layouts:
        return masks[0]
    # Apart from the keys of what is missing, which are the same without layouts.
    k_layout, k_few, k_count, k_order = jax.random.split(jax.random.fold_in(key, 1), 4)
    mask = masks[jax.random.randint(k_layout, (n,), 0, len(masks))]
    total = mask.sum(-1, keepdims=True)
    least = jnp.minimum(options.fewest, total)
    count = least + jnp.floor(jax.random.uniform(k_count, (n, 1)) * (total - least + 1))
    count = jnp.where(jax.random.bernoulli(k_few, options.few, (n, 1)), count, total)
    order = jax.random.uniform(k_order, mask.shape) + (1 - mask)  # theirs before all others
    rank = (order[:, :, None] > order[:, None]).sum(-1)
    return (mask * (rank < count))[:, None]


def add_noise(
    key: jax.Array, x: jax.Array, skeleton: Skeleton, options: CorruptionOptions
) -> jax.Array:
    """Displaces joints of (N, F, J, 2) normalised windows as detectors do (G. Moon et al., PoseFix,
    2019): inversions and gross misses of some joints, and jitter of them all."""
    chex.assert_shape(x, (None, None, len(skeleton), 2))
    k_invert, k_miss, k_use, k_scale, k_noise = jax.random.split(key, 5)
    x = _invert(k_invert, x, skeleton, options.inversions)
    x = x + _misses(k_miss, x.shape, options)
    shape = (x.shape[0], 1, 1, 1)
    scale = jax.random.uniform(k_scale, shape, maxval=options.jitter_scale)
    scale = scale * jax.random.bernoulli(k_use, options.jitter, shape)
    return x + scale * jax.random.normal(k_noise, x.shape)


# --- kinds of displacement ------------------------------------------------------------------------


def _invert(key, x, skeleton: Skeleton, chance):
    n, f, j, _ = x.shape
    k_use, k_pairs, k_length, k_start = jax.random.split(key, 4)
    mirror = np.asarray(skeleton.mirror)
    pairs = jax.random.bernoulli(k_pairs, 0.4, (n, 1, j))
    pairs = pairs[:, :, np.minimum(np.arange(j), mirror)]  # the same for left and right
    length = jax.random.randint(k_length, (n, 1, 1), 1, f // 2 + 1)
    start = jax.random.randint(k_start, (n, 1, 1), 1 - f // 4, f)
    swap = pairs & _between(f, start, start + length)
    swap = swap & jax.random.bernoulli(k_use, chance, (n, 1, 1))
    return jnp.where(swap[..., None], x[:, :, mirror], x)


def _misses(key, shape, options: CorruptionOptions):
    n, f, j, _ = shape
    k_use, k_kind, k_rate, k_draw, k_length, k_start, k_offset = jax.random.split(key, 7)
    rate = jax.random.uniform(k_rate, (n, 1, 1), maxval=options.miss_rate)
    chance = jax.random.uniform(k_draw, (n, f, j))
    length = jax.random.randint(k_length, (n, 1, j), 1, f // 2 + 1)
    start = jax.random.randint(k_start, (n, 1, j), -f // 4, f)
    run = (chance[:, :1] < options.miss_rate) & _between(f, start, start + length)
    lasting = jax.random.bernoulli(k_kind, 0.5, (n, 1, 1))
    use = jax.random.bernoulli(k_use, options.misses, (n, 1, 1))
    missed = use & jnp.where(lasting, run, chance < rate)
    offset = jax.random.normal(k_offset, shape)
    offset = jnp.where(lasting[..., None], offset[:, :1], offset)
    return options.miss_scale * missed[..., None] * offset


# --- kinds of holes: each returns a boolean array that broadcasts to (N, F, J), True = missing ----


def _scattered(key, n, f, j, rate):
    k_rate, k_draw = jax.random.split(key)
    rates = jax.random.uniform(k_rate, (n, 1, 1), maxval=rate)
    return jax.random.uniform(k_draw, (n, f, j)) < rates


def _runs(key, n, f, j):
    k_use, k_start, k_length = jax.random.split(key, 3)
    use = jax.random.bernoulli(k_use, 0.5, (n, 1, j))
    start = jax.random.randint(k_start, (n, 1, j), -f // 4, f)
    length = jax.random.randint(k_length, (n, 1, j), 1, f)
    return use & _between(f, start, start + length)


def _joints(key, n, j):
    k_rate, k_draw = jax.random.split(key)
    rates = jax.random.uniform(k_rate, (n, 1, 1), maxval=0.8)
    return jax.random.uniform(k_draw, (n, 1, j)) < rates


def _limbs(key, n, skeleton: Skeleton):
    """One limb (in half of the windows), both legs (a quarter), or any of the four, each with
    chance one half; in a third with the shoulders or hips that they hang on. What is out of sight
    for long is mostly one of the first two: an arm behind the body, legs under the picture's edge.
    """
    limbs, roots = (
        jnp.array([
            [belongs(name, f"{side}_{part}") for name in skeleton.joints]
            for part in parts for side in ("left", "right")
        ])
        for belongs, parts in ((beyond, ("elbow", "knee")), (operator.eq, ("shoulder", "hip")))
    )
    k_one, k_any, k_kind, k_root = jax.random.split(key, 4)
    one = jnp.arange(4) == jax.random.randint(k_one, (n, 1), 0, 4)
    legs = jnp.arange(4) >= 2
    several = jax.random.bernoulli(k_any, 0.5, (n, 4))
    kind = jax.random.uniform(k_kind, (n, 1))
    chosen = jnp.where(kind < 0.5, one, jnp.where(kind < 0.75, legs, several))
    root = jax.random.bernoulli(k_root, 1 / 3, (n, 1, 1))
    hidden = limbs | (root & roots)
    return (chosen[..., None] & hidden).any(axis=1)[:, None, :]


def _gap(key, n, f, longest):
    k_length, k_start = jax.random.split(key)
    length = jax.random.randint(k_length, (n, 1, 1), 1, min(longest, f - 1) + 1)
    start = jax.random.randint(k_start, (n, 1, 1), 1 - length, f)  # at least one frame in sight
    return _between(f, start, start + length)


def _crop(key, x):
    """Beyond a line of random direction (mostly along the picture's edges) and offset."""
    n = x.shape[0]
    k_side, k_tilt, k_offset = jax.random.split(key, 3)
    angle = jax.random.randint(k_side, (n,), 0, 4) * (np.pi / 2)
    angle = angle + jax.random.uniform(k_tilt, (n,), minval=-0.15, maxval=0.15)
    direction = jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1)
    depth = jnp.einsum("nfjc,nc->nfj", x, direction)
    low = depth.min(axis=(1, 2), keepdims=True)
    high = depth.max(axis=(1, 2), keepdims=True)
    share = jax.random.uniform(k_offset, (n, 1, 1), minval=0.25, maxval=1.0)
    return depth > low + share * (high - low)


def _between(frames, start, stop):
    time = jnp.arange(frames)[None, :, None]
    return (time >= start) & (time < stop)
