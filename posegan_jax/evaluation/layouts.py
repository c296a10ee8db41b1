"""What encoder and generator alone say of held-out people, by what a detector delivers of them.

    python -m posegan_jax.evaluation.layouts runs/body45 --motion cmu45.npz

Mean errors in head sizes of windows that are observed without error: of joints that are seen, of
those that are not, and of points of the face that are not; of their depth, in heads as long as they
are in space. A network that was trained for several layouts should be the better the more it sees,
and no worse where the picture is turned.
"""

import argparse
import sys
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.geometry.body import head_size
from posegan_jax.geometry.camera import picture
from posegan_jax.geometry.normalize import fit_normalization, normalize
from posegan_jax.model.model import Model
from posegan_jax.model.store import load_model
from posegan_jax.motion.corrupt import CorruptionOptions
from posegan_jax.motion.sample import ViewOptions
from posegan_jax.motion.store import build_store, leave_out, load_clips
from posegan_jax.pose.skeleton import DETECTED_12, LISTED, SKELETONS
from posegan_jax.training.batch import Batch
from posegan_jax.training.validation import clean_options, reconstruct, validation_batch

FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
VIEWS = {
    "upright": ViewOptions(speed=(1.0, 1.0)),
    "turned": ViewOptions(speed=(1.0, 1.0), any_roll=1.0),
    "above": ViewOptions(speed=(1.0, 1.0), pitch=(60.0, 90.0)),
}
COLUMNS = ("seen", "unseen", "face", "depth")
_MORE = {"12 and nose": ("nose",), "12, nose and ears": ("nose", "left_ear", "right_ear")}


def layouts(model: Model) -> dict[str, np.ndarray]:
    """(J,) bool masks of the joints that detectors deliver: of every skeleton that has joints of
    the model's, and of a few joints more than twelve."""
    names = {name: skeleton.joints for name, skeleton in SKELETONS.items()}
    names |= {name: (*DETECTED_12, *more) for name, more in _MORE.items()}
    masks = {name: model.skeleton.mask(joints) for name, joints in names.items()}
    found: dict[str, np.ndarray] = {}
    for name, mask in masks.items():
        if mask.sum() >= 4 and not any((mask == other).all() for other in found.values()):
            found[name] = mask
    return dict(sorted(found.items(), key=lambda item: item[1].sum()))


def errors(
    model: Model, motion: str, count: int = 256, seed: int = 0
) -> dict[str, dict[str, dict[str, float]]]:
    """View -> layout -> the mean error of every one of ``COLUMNS``, NaN where no joint counts.

    Args:
      model: of any skeleton.
      motion: as of ``load_clips``; its validation split is taken.
      count: windows.
      seed: which ones.

    Raises:
      InputError: the motion cannot be used.
    """
    unwanted = model.about.get("config", {}).get("data", {}).get("leave_out", ())
    clips = leave_out(load_clips(motion, "validation", model.skeleton), unwanted)
    store = build_store(clips, VIEWS["upright"].span(model.frames), stride=1)
    store = jax.tree.map(jnp.asarray, store)

    @jax.jit
    def per_joint(variables, x, mask):
        mask = jnp.broadcast_to(mask, x.shape[:-1])
        seen = normalize(picture(x), fit_normalization(picture(x), mask)) * mask[..., None]
        found = reconstruct(model.networks, variables, Batch(x, seen, mask))
        head = head_size(picture(x), model.skeleton)[..., None]
        error = jnp.linalg.norm(picture(x - found), axis=-1) / head
        depth = jnp.abs(x - found)[..., 2:].sum(-1) / head_size(x, model.skeleton)[..., None]
        return error.mean((0, 1)), depth.mean((0, 1))

    everything = CorruptionOptions(layouts=(LISTED + ",".join(model.skeleton.joints),))
    masks, face, table = layouts(model), model.skeleton.mask(FACE), {}
    for view, options in VIEWS.items():
        batch = validation_batch(
            store, model.networks, clean_options(count, options, everything), seed
        )
        table[view] = {}
        for name, mask in masks.items():
            error, depth = per_joint(model.variables, batch.x, mask.astype(np.float32))
            parts = (error, mask), (error, ~mask), (error, ~mask & face), (depth, mask | True)
            table[view][name] = {
                column: float(np.mean(np.asarray(of)[where])) if where.any() else np.nan
                for column, (of, where) in zip(COLUMNS, parts, strict=True)
            }
    return table


def lines(model: Model, table: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """The table for a terminal."""
    masks = layouts(model)
    head = " ".join(f"{view:>27}" for view in table)
    told = [f"{'':27}{head}", f"{'layout':20} joints " + " ".join(
        "".join(f"{column:>7}" for column in COLUMNS)[1:] for _ in table
    )]
    for name, mask in masks.items():
        row = " ".join(
            "".join(f"{table[view][name][column]:7.3f}" for column in COLUMNS)[1:]
            for view in table
        )
        told.append(f"{name:20} {mask.sum():6} {row}")
    return told


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder of weights or of a training run")
    parser.add_argument("--motion", required=True, help="a prepared set, or .npz files")
    parser.add_argument("--count", type=int, default=256, help="windows (default: %(default)s)")
    options = parser.parse_args(argv)
    try:
        model = load_model(options.model)
        table = errors(model, options.motion, options.count)
    except InputError as error:
        print(f"posegan_jax: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines(model, table)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
