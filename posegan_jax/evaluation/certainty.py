"""Fitting how sure the model is of completed joints, and whether that is so.

The network of ``model.certainty`` is fitted on completions of training people, who are many and do
much, through cameras that the other networks know and through such as they have never seen, so
that people can be strange to them. Nobody else is looked at: held-out people, another data set's
and labelled video only tell whether it is right.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from scipy.special import expit

from posegan_jax.evaluation.clips import View, view_clips
from posegan_jax.evaluation.labelled import LabelledCase, labelled_cases
from posegan_jax.evaluation.protocols import Case, make_case
from posegan_jax.evaluation.tables import table
from posegan_jax.geometry.body import head_size
from posegan_jax.inpainting.completer import Completer
from posegan_jax.inpainting.explain import ENOUGH
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.inpainting.settings import Settings
from posegan_jax.inpainting.together import run
from posegan_jax.model.certainty import (
    WIDTHS,
    Params,
    Places,
    judged,
    shapes,
    standard,
)
from posegan_jax.model.model import Model
from posegan_jax.motion.labels import LabelledClip
from posegan_jax.motion.sample import ViewOptions
from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import Skeleton

PROTOCOLS = (
    "clean", "holes40", "holes60", "arm", "leg", "legs", "lower", "gap5", "gap20", "crop", "noise",
    "wild",
)
"""Every kind of hole and noise."""
FEW = "few"
"""Besides: two to five joints are seen, in every frame."""
OFTEN = (*PROTOCOLS, "arm", "arm", "legs", "leg", FEW)
"""Of which training people have two each: limbs that are never seen are the hardest to tell."""
VIDEO = ("holes40", "gap5", "gap20", "arm", "leg", "legs", "run20", "asis")
TURNED = ViewOptions(pitch=(-60.0, 80.0), roll=180.0)
"""Cameras that the networks have not seen people through: who is seen so is a stranger to them."""
MOST = 250
"""Joints of a case that count."""
UPSAMPLED = 0.15
"""Share of the joints that no detector delivers that are looked at: they are many, and alike."""
RIGHT = 0.5
"""Heads within which a joint is right."""
STEPS, BATCH, RATE, DECAY, DROPPED = 4000, 2048, 2e-3, 0.1, 0.3
"""Of the fit: steps of AdamW, joints in each, its rate, which falls to 0, its decay of weights, and
the share of the inputs that each step leaves out. Chosen on held-out people."""
LEAST_COUNT = 300
"""Joints below which a group does not count as much as the others, and a step of a curve not."""
BINS, HOLDS = 10, 0.03
"""Steps of a curve, and the share of the joints that one has to hold to count."""


@dataclasses.dataclass(frozen=True)
class Joints:
    """Completed joints, N of them.

    Attributes:
      own: (N, K) and
      pose: (N, P) as of ``certainty.Grounds``.
      joint: (N,) in the skeleton.
      error: (N,) heads.
      said: (N,) the scores that were delivered.
      group: (N,) what was missing, or 'refined', or 'upsampled'.
      clip: (N,) names.
    """

    own: np.ndarray
    pose: np.ndarray
    joint: np.ndarray
    error: np.ndarray
    said: np.ndarray
    group: np.ndarray
    clip: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """(N,) bool."""
        return self.error <= RIGHT

    def __len__(self) -> int:
        return len(self.joint)

    def __getitem__(self, which: np.ndarray) -> "Joints":
        """Some of them."""
        return Joints(*(getattr(self, f.name)[which] for f in dataclasses.fields(self)))

    @classmethod
    def join(cls, some: Sequence["Joints"]) -> "Joints":
        """All of some."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(*(np.concatenate([getattr(s, name) for s in some]) for name in names))


@dataclasses.dataclass(frozen=True)
class Task:
    """What is completed, and what it is measured by.

    Attributes:
      protocol, clip: names.
      sequence: what is given.
      truth: (T, J, 2) pixels, NaN where it is not known.
      head: (T,) its size, pixels.
      counted: (T, J) bool, what is looked at.
    """

    protocol: str
    clip: str
    sequence: PoseSequence
    truth: np.ndarray
    head: np.ndarray
    counted: np.ndarray


def motion_tasks(
    model: Model, motion: str, split: str, count: int, frames: int, seed: int,
    protocols: Sequence[str] = PROTOCOLS, each: int = 0, cameras: ViewOptions | None = None,
) -> Iterator[Task]:
    """Of motion capture.

    Args:
      model: whose skeleton and detected joints count.
      motion, split: as of ``clips.view_clips``.
      count: clips; 0 for all.
      frames: of a clip at most.
      seed: of places, cameras and protocols.
      protocols: names.
      each: of these that befall a clip, drawn; 0: all of them.
      cameras: ranges; training's if None.
    """
    views = view_clips(motion, split, count or None, seed, frames, cameras, model.skeleton)
    rng = np.random.default_rng(seed)
    for number, view in enumerate(views):
        chosen = rng.choice(protocols, each, replace=False) if each else protocols
        for name in dict.fromkeys(map(str, chosen)):
            yield _of_case(name, view, _case(model, name, view, seed, number))


def _case(model: Model, name: str, view: View, seed: int, number: int) -> Case:
    case = make_case(
        "clean" if name == FEW else name, view.keypoints, model.skeleton, seed, number, view.fps,
        detected=model.detected,
    )
    if name != FEW:
        return case
    rng = np.random.default_rng([seed, number])
    return leave(case, int(rng.integers(2, ENOUGH)), rng)


def leave(case: Case, count: int, rng: np.random.Generator) -> Case:
    """With so many of its joints, which are drawn; the others are missing in every frame."""
    hidden = np.ones(len(case.skeleton), bool)
    hidden[rng.choice(np.flatnonzero(case.detected), count, replace=False)] = False
    return dataclasses.replace(
        case, keypoints=np.where(hidden[:, None], np.nan, case.keypoints),
        scores=np.where(hidden, 0.0, case.scores),
    )


def _of_case(name: str, view: View, case: Case) -> Task:
    whole = np.ones(case.observed.shape, bool)
    return Task(
        name, view.name, case.sequence, case.truth, head_size(case.truth, case.skeleton), whole
    )


def labelled_tasks(
    model: Model, clips: Sequence[LabelledClip], seed: int, protocols: Sequence[str] = VIDEO
) -> Iterator[Task]:
    """Of labelled video."""
    for name in protocols:
        for case in labelled_cases(name, clips, model.skeleton, seed, model.detected):
            yield _of_labels(name, case)


def _of_labels(name: str, case: LabelledCase) -> Task:
    head = np.full(len(case.truth), case.head)
    return Task(name, case.tags["action"], case.sequence, case.truth, head, case.counted)


def group_of(protocol: str, observed: np.ndarray, detected: np.ndarray) -> np.ndarray:
    """(N,) names of the curves that joints belong to."""
    missing = protocol
    for name in ("holes", "gap", "run"):
        if protocol.startswith(name):
            missing = name
    return np.where(observed, "refined", np.where(detected, missing, "upsampled"))


def complete(
    inpainter: Inpainter, settings: Settings, tasks: Iterable[Task], seed: int,
    progress: Callable[[int], None] | None = None,
) -> Joints:
    """Completes, and looks at joints that are not delivered as they were observed.

    Args:
      inpainter: the model.
      settings: of the search.
      tasks: what is completed; where there is nothing to start from they are left out.
      seed: of the joints that are drawn of each.
      progress: called with tasks done.
    """
    model, found = inpainter.model, []
    for number, task in enumerate(tasks):
        if progress:
            progress(number)
        if inpainter.can_complete(task.sequence):
            rng = np.random.default_rng([seed, number])
            found += _looked_at(inpainter, model, settings, task, rng)
    return Joints.join(found)


def _looked_at(inpainter, model, settings, task, rng) -> list[Joints]:
    told: list = []
    completer = Completer(model, told)
    steps = completer.steps(task.sequence, model.skeleton.name, settings)
    done = run(steps, lambda request: inpainter.search(request.x, request.mask, request.options))
    off = np.linalg.norm(done.keypoints - task.truth, axis=-1) / task.head[:, None]
    detected = model.skeleton.mask(model.detected)
    wanted = task.counted & np.isfinite(off) & np.isin(
        done.provenance, (Provenance.FILLED, Provenance.REFINED)
    )
    wanted &= detected | (rng.random(off.shape) < UPSAMPLED)
    right_side, found = Places.of(model.skeleton).side, []
    for frames, ground in told:
        t, joint = np.nonzero(wanted[frames])
        some = np.sort(rng.permutation(len(t))[:MOST])
        t, joint = t[some], joint[some]
        at = frames.start + t
        observed = done.provenance[at, joint] == Provenance.REFINED
        found.append(Joints(
            ground.own[t, joint], ground.pose[t, right_side[joint]], joint, off[at, joint],
            done.scores[at, joint], group_of(task.protocol, observed, detected[joint]),
            np.full(len(t), task.clip),
        ))
    return found


# --- the fit --------------------------------------------------------------------------------------


def fit(joints: Joints, skeleton: Skeleton, detected: Sequence[str], seed: int = 0) -> Params:
    """The network's parameters, by likelihood; every group counts alike.

    Args:
      joints: of many people.
      skeleton: of the model.
      detected: names of the joints that detectors deliver.
      seed: of the start, and of what each step sees.
    """
    import jax
    import jax.numpy as jnp
    import optax

    places = Places.of(skeleton)
    wanted, rng = shapes(skeleton, detected), np.random.default_rng(seed)
    given, inputs = _inputs(joints)
    params = {
        name: rng.normal(0, _deviation(name, joints), wanted[name].shape).astype(np.float32)
        for name in wanted if name not in given
    }
    kind = places.kind[joints.joint]
    weight, right = _weights(joints.group), joints.right.astype(np.float32)
    schedule = optax.cosine_decay_schedule(RATE, STEPS)
    optimizer = optax.adamw(schedule, weight_decay=DECAY)

    def loss(params, own, pose, kind, right, weight, key):
        keys = jax.random.split(key)
        shown = [jax.random.bernoulli(k, 1 - DROPPED, x.shape) / (1 - DROPPED)
                 for k, x in zip(keys, (own, pose), strict=True)]
        first = (own * shown[0]) @ params["own"] + (pose * shown[1]) @ params["pose"]
        odds = judged(params, first + params["kind"][kind], own, kind)
        return (weight * optax.sigmoid_binary_cross_entropy(odds, right)).mean()

    @jax.jit
    def step(params, state, some, key):
        gradient = jax.grad(loss)(params, *some, key)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    state, arrays = optimizer.init(params), (*inputs, kind, right, weight)
    params = jax.tree.map(jnp.asarray, params)
    for number in range(STEPS):
        some = rng.integers(len(joints), size=BATCH)
        key = jax.random.fold_in(jax.random.key(seed), number)
        params, state = step(params, state, tuple(array[some] for array in arrays), key)
    return jax.device_get(params) | given


def _deviation(name: str, joints: Joints) -> float:
    """Of a parameter's start: outputs begin at 0."""
    fan = {"own": joints.own.shape[1], "pose": joints.pose.shape[1], "hidden": WIDTHS[0]}
    return (2 / fan[name]) ** 0.5 if name in fan else 0.0


def _inputs(joints: Joints) -> tuple[Params, list[np.ndarray]]:
    """Means and deviations of the inputs, and the inputs in these units."""
    given, inputs = {}, []
    for name in ("own", "pose"):
        values = getattr(joints, name)
        given[f"{name}_mean"] = values.mean(axis=0)
        given[f"{name}_scale"] = values.std(axis=0) + 1e-3
        inputs.append(standard(values, given[f"{name}_mean"], given[f"{name}_scale"]))
    return given, inputs


def _weights(group: np.ndarray) -> np.ndarray:
    _, which, count = np.unique(group, return_inverse=True, return_counts=True)
    weight = 1 / np.maximum(count, LEAST_COUNT)[which]
    return (weight / weight.mean()).astype(np.float32)


def scores(params: Params, joints: Joints, skeleton: Skeleton) -> np.ndarray:
    """(N,) as they would be delivered."""
    own, pose = (
        standard(getattr(joints, name), params[f"{name}_mean"], params[f"{name}_scale"])
        for name in ("own", "pose")
    )
    kind = Places.of(skeleton).kind[joints.joint]
    first = own @ params["own"] + pose @ params["pose"] + params["kind"][kind]
    return expit(judged(params, first, own, kind))


# --- said and found -------------------------------------------------------------------------------


def order(said: np.ndarray, right: np.ndarray) -> float:
    """Area under the receiver operating characteristic: how often of a joint that is right and one
    that is not the former has the higher score; NaN where all are one or the other."""
    _, which, count = np.unique(said, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[which]
    good, bad = right.sum(), (~right).sum()
    if not good or not bad:
        return float("nan")
    return float((rank[right].sum() - good * (good + 1) / 2) / (good * bad))


def curve(said: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(B, 3) mean score, share of right joints and number of joints, in ten steps of the score;
    steps without joints are left out."""
    place = np.minimum((said * BINS).astype(int), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    sums = (np.bincount(place, values, minlength=BINS) for values in (said, right))
    with np.errstate(invalid="ignore"):
        rows = np.stack([*(total / count for total in sums), count], axis=1)
    return rows[count > 0]


def off(said: np.ndarray, right: np.ndarray) -> float:
    """The most that said and found differ by in a step that holds ``HOLDS`` of the joints."""
    rows = curve(said, right)
    rows = rows[rows[:, 2] >= max(HOLDS * len(said), LEAST_COUNT)]
    return float(np.abs(rows[:, 0] - rows[:, 1]).max()) if len(rows) else float("nan")


def told(joints: Joints, said: np.ndarray) -> str:
    """A table of groups: what is said and found, how far these are apart at most, and the order.

    Args:
      joints: of people who have not been fitted to.
      said: (N,) their scores.
    """
    rows = []
    for group in dict.fromkeys(joints.group.tolist()):
        here = joints.group == group
        score, right = said[here], joints.right[here]
        rows.append([
            group, f"{here.sum():,}", f"{score.mean():.2f}", f"{right.mean():.2f}",
            _plain(off(score, right)), _plain(order(score, right)),
        ])
    header = ["joints", "number", "said", "found", "apart at most", "area under the ROC"]
    return table(header, sorted(rows))


def _plain(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f}"


def draw(joints: Joints, said: np.ndarray, path: str | os.PathLike) -> None:
    """A picture of the curves of all groups; as of ``told``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4.6), layout="constrained")
    draw_curves(figure.subplots(), joints, said)
    figure.savefig(path, dpi=120)


def draw_curves(axes, joints: Joints, said: np.ndarray) -> None:
    """On axes of Matplotlib: of every group, what is found of what is said."""
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for group in sorted(set(joints.group.tolist())):
        here = joints.group == group
        rows = curve(said[here], joints.right[here])
        rows = rows[rows[:, 2] >= max(HOLDS * here.sum(), 50)]
        axes.plot(rows[:, 0], rows[:, 1], marker="o", markersize=3, linewidth=1, label=group)
    axes.set(
        xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="score",
        ylabel="share within half a head of the truth",
    )
    axes.legend(frameon=False, fontsize="small")
