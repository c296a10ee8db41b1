"""Several completions at the same time: what they ask for is asked for as one."""

from collections.abc import Callable, Generator, Hashable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np

from posegan_jax.inpainting.settings import DescentOptions

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


class Request(NamedTuple):
    """Windows to be solved.

    Attributes:
      x: (N, F, J, 2) pixels from the middle of each window, see ``solvable.centered``; 0 where
        missing.
      mask: (N, F, J) weights of the observations, 0 = missing; every window is ``solvable``.
      options: of the search.
      look: whether this is but a first look, which nobody's progress counts.
    """

    x: np.ndarray
    mask: np.ndarray
    options: DescentOptions
    look: bool


Answer = tuple[np.ndarray, np.ndarray]
"""What ``solver.Solver`` returns: windows (N, F, J, 2) and their objective (N,)."""
Steps = Generator[Request, Answer, Result]
"""Asks for windows to be solved, is sent the answers, and returns a result."""


def run(steps: Steps[Result], solve: Callable[[Request], Answer]) -> Result:
    """Goes through steps with the help of someone who solves windows."""
    try:
        request = next(steps)
        while True:
            answer = solve(request)
            del request  # what goes on needs its memory
            request = steps.send(answer)
    except StopIteration as end:
        return end.value


def together(steps: Mapping[Key, Steps[Result]]) -> Steps[dict[Key, Result]]:
    """Goes through several steps at once: requests of equal options become one."""
    done, answers = {}, dict.fromkeys(steps)
    while answers:
        requests = {}
        for key in list(answers):
            try:
                requests[key] = steps[key].send(answers.pop(key))
            except StopIteration as end:
                done[key] = end.value
        answers = yield from _ask(requests)
    return done


def _ask(requests: dict[Key, Request]) -> Steps[dict[Key, Answer]]:
    """The answers to several requests: those of equal options are asked for as one."""
    answers = {}
    for options in dict.fromkeys(request.options for request in requests.values()):
        mine = {i: request for i, request in requests.items() if request.options == options}
        if len(mine) == 1:
            ((key, request),) = mine.items()
            answers[key] = yield request
            continue
        windows, loss = yield Request(
            np.concatenate([request.x for request in mine.values()]),
            np.concatenate([request.mask for request in mine.values()]),
            options, all(request.look for request in mine.values()),
        )
        seams = np.cumsum([len(request.x) for request in mine.values()])[:-1]
        parts = zip(np.split(windows, seams), np.split(loss, seams), strict=True)
        answers |= zip(mine, parts, strict=True)
    return answers
