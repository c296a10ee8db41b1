"""Progress of a training run: a bar on a terminal, a plain line now and then in a log file."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from tqdm import tqdm


class Progress:
    """Shows how far a run is, its rate, the time left, and the latest losses.

    On a terminal this is a tqdm bar. Elsewhere (nohup, a cluster's log) a bar would leave one
    endless line, so a whole line is printed every `seconds`, and one at the end:

      train 1200/8400 (14%) 5.61 steps/s, 21:23 left, gen 0.1234, dis -0.0456

    The rate counts from the first `update` on, so compilation does not spoil the time left.

    Args:
      total: steps of the whole run.
      initial: steps already done when the run starts or resumes.
      label: the first word.
      seconds: time between plain lines.
      stream: where to write, standard error if None.
      unit: what a step is.
      show: False shows nothing (the other hosts of a multi-host run).
      clock: seconds, rising.
    """

    def __init__(
        self,
        total: int,
        initial: int = 0,
        label: str = "train",
        seconds: float = 30.0,
        stream: TextIO | None = None,
        show: bool = True,
        clock: Callable[[], float] = time.monotonic,
        unit: str = "step",
    ):
        self._total, self._label, self._seconds, self._show = total, label, seconds, show
        self._stream = sys.stderr if stream is None else stream
        self._clock, self._unit = clock, unit
        self._step, self._printed_at = initial, -float("inf")
        self._printed_step: int | None = None
        self._rate_from: tuple[int, float] | None = None
        self._losses = ""
        self._bar = None
        if show and self._stream.isatty():
            self._bar = tqdm(
                total=total,
                initial=initial,
                desc=label,
                unit=unit,
                file=self._stream,
                dynamic_ncols=True,
            )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *unused) -> None:
        self.close()

    def update(self, step: int, losses: Mapping[str, Any] | None = None) -> None:
        """Says that `step` steps of the run are done.

        Args:
          step: steps done in all, those before a resume included.
          losses: name -> number to show beside; None leaves those shown before.
        """
        if losses is not None:
            self._losses = ", ".join(f"{name} {float(v):.4g}" for name, v in losses.items())
        advanced, self._step = step - self._step, step
        if self._bar is not None:
            self._bar.set_postfix_str(self._losses, refresh=False)
            self._bar.update(advanced)
            return
        now = self._clock()
        if self._rate_from is None:
            self._rate_from = (step, now)
        if self._show and now - self._printed_at >= self._seconds:
            self._print(now)

    def close(self) -> None:
        """Ends the display with where the run stands."""
        if self._bar is not None:
            self._bar.close()
        elif self._show and self._printed_step not in (None, self._step):
            self._print(self._clock())

    def _print(self, now: float) -> None:
        share = 100 * self._step // max(self._total, 1)
        parts = [f"{self._label} {self._step}/{self._total} ({share}%)"]
        first_step, since = self._rate_from
        rate = (self._step - first_step) / (now - since) if now > since else 0.0
        if rate > 0:
            left = tqdm.format_interval((self._total - self._step) / rate)
            parts[0] += f" {rate:.3g} {self._unit}s/s"
            parts.append(f"{left} left")
        if self._losses:
            parts.append(self._losses)
        print(", ".join(parts), file=self._stream, flush=True)
        self._printed_step, self._printed_at = self._step, now
