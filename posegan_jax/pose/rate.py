"""Videos of any frame rate, as the model knows 25 frames per second.

Training plays motion at 0.8 to 1.25 of its speed, so rates near 25 are taken as they are. Of a
higher rate every k-th frame makes a track of its own, k tracks in all; a lower one gets missing
frames in between. Nothing is resampled: every frame of the input is looked at and gets its own
answer. Below ``SLOW`` frames per second a window of the model holds a few frames, and at ``ALONE``
one: then a pose is completed from itself.
"""

import dataclasses

import numpy as np

from posegan_jax.errors import InputError

MODEL_FPS = 25.0
UNKNOWN_FPS = 30.0
"""Assumed where a file does not say."""
SLOW, ALONE, FASTEST = 5.0, 1.0, 240.0
"""Frames per second from which on motion is known, up to which frames are alone, and the most."""
_SAME = 0.05
"""Relative difference of two rates that are taken for one: times are rounded."""
_AS_IT_IS = 1.25
"""Largest ratio to the model's rate that training covers."""


@dataclasses.dataclass(frozen=True)
class Rate:
    """How the frames of a video become frames of the model.

    Attributes:
      phases: k; frames p, p + k, p + 2 k, ... are one track for the model. 1 for slow videos.
      spread: frames of the model from one frame of the video to the next. 1 for fast videos.
    """

    phases: int = 1
    spread: int = 1

    @classmethod
    def of(cls, fps: float | None) -> "Rate":
        """For frames per second; None: not known.

        Raises:
          InputError: no rate that people are filmed at.
        """
        fps = UNKNOWN_FPS if fps is None else fps
        if not 0 < fps <= FASTEST:
            raise InputError(
                f"fps must be above 0 and at most {FASTEST:g}, not {fps:g}; give the video's"
            )
        ratio = max(fps, ALONE) / MODEL_FPS
        if 1 / _AS_IT_IS <= ratio <= _AS_IT_IS:
            return cls()
        return cls(phases=_nearest(ratio)) if ratio > 1 else cls(spread=_nearest(1 / ratio))

    @property
    def step(self) -> float:
        """Frames of the model per frame of the video."""
        return self.spread / self.phases

    def split(self, array: np.ndarray, fill: float) -> list[np.ndarray]:
        """The model's tracks of an array (T, ...); frames in between hold ``fill``."""
        tracks = [array[phase :: self.phases] for phase in range(min(self.phases, len(array)))]
        return [self._spread(track, fill) for track in tracks]

    def join(self, tracks: list[np.ndarray]) -> np.ndarray:
        """The inverse of ``split`` for motion (T, J, 2), NaN where there is none.

        A frame stays NaN where no track has motion within k frames of it.

        The tracks were completed each on its own and differ a little, which would flicker: every
        frame becomes the mean over all tracks, interpolated linearly to its time.
        """
        tracks = [track[:: self.spread] for track in tracks]
        joined = np.empty((sum(map(len, tracks)), *tracks[0].shape[1:]))
        for phase, track in enumerate(tracks):
            joined[phase :: self.phases] = track
        return _triangle_mean(joined, self.phases)

    def _spread(self, track: np.ndarray, fill: float) -> np.ndarray:
        if self.spread == 1:
            return track
        shape = ((len(track) - 1) * self.spread + 1, *track.shape[1:])
        result = np.full(shape, fill, track.dtype)
        result[:: self.spread] = track
        return result


def limits(fps: float | None) -> str | None:
    """What cannot be known of so slow a video, in a line; None where nothing is amiss."""
    if fps is None or fps >= SLOW:
        return None
    if fps <= ALONE:
        return f"{fps:g} frames per second: every frame is completed from itself alone"
    return (
        f"{fps:g} frames per second: how people move between frames is not known; joints are "
        "completed from the poses of about a second"
    )


def by_times(frames: np.ndarray, times: np.ndarray) -> float | None:
    """Frames per second of frame numbers (T,) at times (T,) in seconds, NaN where there is none.

    None where the times do not tell: there are fewer than three, or they do not count up.
    """
    known = np.isfinite(times)
    steps, seconds = np.diff(frames[known]), np.diff(times[known])
    if len(steps) < 2 or not ((steps > 0).all() and (seconds > 0).all()):
        return None
    each, whole = float(np.median(steps / seconds)), float(steps.sum() / seconds.sum())
    if abs(whole / each - 1) <= _SAME:
        return whole
    even = np.abs(seconds - steps / each) <= 1.01 * _resolution(times[known])  # no pauses
    return float(steps[even].sum() / seconds[even].sum()) if even.any() else each


def _resolution(times: np.ndarray) -> float:
    """The unit of the last decimal that times (T,) were rounded to, 0 where it is none of six."""
    for decimals in range(7):
        if (np.abs(np.round(times, decimals) - times) < 1e-9).all():
            return 10.0**-decimals
    return 0.0


def disagreement(
    what: str, found: float | None, fps: float | None, given: bool = False
) -> list[str]:
    """A line where a file says another rate than the one that counts.

    Args:
      what: says so, as the beginning of a sentence: 'the times in the file are those of'.
      found: frames per second that it says, None if it says nothing.
      fps: those that count.
      given: whether the user gave them.
    """
    if found is None or fps is None or abs(found / fps - 1) <= _SAME:
        return []
    counts = f"{fps:.4g} counts, which --fps says" if given else f"{fps:.4g} counts"
    remedy = "" if given else "; --fps says it"
    return [f"{what} {found:.4g} frames per second, and {counts}: if that is wrong, people move "
            f"too fast or too slowly{remedy}"]


def _nearest(ratio: float) -> int:
    """The whole number that is nearest by ratio."""
    low = max(int(ratio), 1)
    return low if ratio * ratio < low * (low + 1) else low + 1


def _triangle_mean(motion: np.ndarray, width: int) -> np.ndarray:
    """Mean of neighbours with weights falling linearly to 0 at ``width`` frames, NaN left out."""
    if width == 1:
        return motion
    present = np.isfinite(motion)
    total, weights = np.zeros(motion.shape), np.zeros(motion.shape)
    length = len(motion)
    for lag in range(max(1 - width, 1 - length), min(width, length)):
        here = slice(max(-lag, 0), length - max(lag, 0))
        there = slice(max(lag, 0), length - max(-lag, 0))
        weight = (width - abs(lag)) * present[there]
        total[here] += weight * np.where(present[there], motion[there], 0.0)
        weights[here] += weight
    return np.where(weights > 0, total / np.maximum(weights, 1), np.nan)
