"""The same clips, completed again and again with other constants of the model.

The search depends on none of the constants: every window is solved once and remembered, and what is
done anew is the host's work.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence

from posegan_jax.evaluation.clips import View
from posegan_jax.evaluation.protocols import Case, make_case
from posegan_jax.inpainting.completer import Completer
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.inpainting.settings import Settings
from posegan_jax.inpainting.together import Answer, Request, run, together
from posegan_jax.model.constants import Constants
from posegan_jax.model.model import Model
from posegan_jax.pose.sequence import PoseSequence


class Replay:
    """Completes clips with a model whose constants change.

    Args:
      inpainter: with the networks.
      settings: of the search.
    """

    def __init__(self, inpainter: Inpainter, settings: Settings):
        self._model, self._search = inpainter.model, inpainter.search
        self._settings = settings
        self._answers: dict[tuple, Answer] = {}

    def __call__(
        self, cases: Sequence[Case], constants: Constants, corrected: bool = True
    ) -> list[PoseSequence]:
        """Completes all joints of the model's skeleton.

        Args:
          cases: in which there is something to start from.
          constants: of the model, instead of its own.
          corrected: whether the model's corrector is asked.
        """
        completer = Completer(self._model.replace(constants=constants))
        settings = dataclasses.replace(self._settings, correct=corrected)
        joints = completer.skeleton.name
        steps = {i: completer.steps(c.sequence, joints, settings) for i, c in enumerate(cases)}
        done = run(together(steps), self._solve)
        return [done[i] for i in range(len(cases))]

    def _solve(self, request: Request) -> Answer:
        arrays = (hashlib.sha256(array.tobytes()).digest() for array in (request.x, request.mask))
        key = (*arrays, request.options)
        if key not in self._answers:
            self._answers[key] = self._search(request.x, request.mask, request.options)
        return self._answers[key]


def make_cases(
    model: Model, views: Sequence[View], protocols: Iterable[str], seed: int
) -> dict[str, list[Case]]:
    """What is observed of every view under every protocol, by their names; see ``make_case``."""
    return {
        name: [
            make_case(name, view.keypoints, model.skeleton, seed, i, detected=model.detected)
            for i, view in enumerate(views)
        ]
        for name in protocols
    }
