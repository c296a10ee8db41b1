"""A good, a middling and the worst clip of a protocol by our error, beside the best baseline."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from posegan_jax.evaluation import methods as ours
from posegan_jax.evaluation import pictures
from posegan_jax.evaluation.contenders import Contender, taught
from posegan_jax.evaluation.differences import best
from posegan_jax.evaluation.protocols import Case
from posegan_jax.evaluation.scores import Scores
from posegan_jax.geometry.body import head_size

COUNTED = ("missing", "upsampled", "observed")
"""By what clips are chosen: the first of these that a protocol has."""


def examples(scores: dict[str, Scores]) -> list[pictures.Example]:
    """The clips that are shown of a protocol, with the errors of the best baseline and of the last
    of our qualities; none where no such quality was measured.

    Args:
      scores: method -> scores of all clips.
    """
    if not (mine := ours.qualities(scores)):
        return []
    for part in COUNTED:
        if scores[mine[-1]].values[part]["error"] is not None:
            shown = [n for n in (best(scores, ours.baselines(), part, "error"), mine[-1]) if n]
            return pictures.examples({
                name: [total / count if count else None
                       for total, count in scores[name].clips[part]["error"]] for name in shown
            })
    return []


def draw(
    folder: Path, protocol: str, cases: Sequence[Case], scores: dict[str, Scores],
    fitted: Mapping[str, Contender],
) -> None:
    """Writes the pictures of ``examples`` into a folder that is there."""
    for example in examples(scores):
        case = cases[example.clip]
        rows = {
            pictures.caption(name, error): taught(fitted[name], protocol)(case.sequence)
            for name, error in example.errors.items()
        }
        size = head_size(case.truth, case.skeleton)
        marked = pictures.not_given(case.truth, case.keypoints, size)
        said = f"{protocol}, {example.name}: {case.name or f'clip {example.clip + 1}'} {case.kind}"
        scene = pictures.Scene(
            said.strip(), {"truth": case.truth} | rows, marked, case.skeleton.name
        )
        pictures.draw(scene, pictures.path(folder, protocol, example.name))
