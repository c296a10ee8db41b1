"""A Gaussian process of several joints in time, conditioned at a cost that is linear in the frames.

What is observed of m joints, the same for x and y,

    y[t, j] = r[t, j] + deviation[t, j] e[t, j] + white noise of deviation roughness[t],

is a process r, correlated between joints, and a detector's error e of unit variance, of each joint
apart. Over time r has a Matern correlation of smoothness 5/2, so that position, speed and
acceleration are all that its future depends on (J. Hartikainen and S. Sarkka, Kalman filtering and
smoothing solutions to temporal Gaussian process regression models, 2010); of e, a part lasts and
needs no more than its own value, the rest is white. The observations' covariance K is therefore
factored as a Kalman filter does it, some frames at a time: as many as fill matrices that a
processor is fast with.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.linalg import blas, lapack

LENGTH = 6.0
"""Frames over which the residual keeps its direction: the length scale of a Matern correlation of
smoothness 5/2. Of 4 to 32, and mixtures, it fills holes of 1 to 20 frames best. It is none of the
model's constants, as which observations are trusted, and so the search, depends on it."""
LASTING, WHITE = 10.0, 0.5
"""The detector's error: frames over which its lasting part loses its memory, and the share of its
variance that has none. With white noise alone, an error that stays would be taken for motion."""
NOTHING = 1e4
"""Deviation, in body sizes, of what stands for an observation where there is none: it tells less
than double precision resolves."""
ROWS, MOST = 60, 8
"""Observations that a block should hold, and its most frames: with 15 joints blocks of 3 to 6
frames take the same time, others more."""


def block_frames(joints: int) -> int:
    """Frames of a block of so many joints."""
    return max(1, min(MOST, round(ROWS / joints)))


def footprint(joints: int) -> int:
    """Bytes that every frame takes while the process of so many joints is conditioned."""
    frames = block_frames(joints)
    rows, state = frames * joints, 4 * joints
    return 8 * (rows**2 + rows * state + state**2) // frames


def matern(lags: np.ndarray) -> np.ndarray:
    """Correlation of the process at lags in frames of the model."""
    distance = np.minimum(np.sqrt(5.0) * np.abs(lags) / LENGTH, 700.0)  # exp of less is 0
    return (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)


def memory(lags: np.ndarray) -> np.ndarray:
    """Correlation of the lasting part of an error at lags in frames of the model."""
    return np.exp(-np.minimum(np.abs(lags) / LASTING, 700.0))


def convolve(
    correlation: Callable[[np.ndarray], np.ndarray], values: np.ndarray, step: float
) -> np.ndarray:
    """The sum over u of correlation(step (t - u)) values[u], for every frame t.

    Args:
      correlation: of lags in frames of the model.
      values: (T, ...).
      step: frames of the model from one frame to the next.

    Returns:
      (T, ...).
    """
    length = 1 << (2 * len(values) - 1).bit_length()
    lags = np.arange(length)
    spectrum = np.fft.rfft(correlation(step * np.minimum(lags, length - lags))).real
    flat = np.fft.rfft(values.reshape(len(values), -1), length, axis=0)
    result = np.fft.irfft(spectrum[:, None] * flat, length, axis=0)[: len(values)]
    return result.reshape(values.shape)


class Process:
    """The process of m joints, in frames that are ``step`` apart.

    A state is what all that follows depends on, s = 4 m numbers: position, speed and acceleration
    of every joint's r, then the lasting part of its e.

    Args:
      covariance: (m, m) of r at one frame, positive definite; m is 1 or more.
      step: frames of the model from one frame to the next.

    Attributes:
      covariance: as given.
      frames: k of a block.
      joints: m.
      onward: (s, s) what a block's state makes one expect of the next one's.
      positions: (k m, 3 m) the same of r in the block's frames; of e they say nothing.
      within: (k m, k m) covariance of these, given the state.
      leaving: (k m, 3 m) their covariance with the next block's state, given that state.
    """

    def __init__(self, covariance: np.ndarray, step: float):
        self.covariance, self.joints = covariance, len(covariance)
        self.frames = k = block_frames(self.joints)
        stationary, moves, apart = _motion(k, step)
        self._fading = fading = memory(step * np.arange(k + 1))
        self._unknown = memory(step * _lags(k + 1)) - np.outer(fading, fading)
        same = np.eye(self.joints)
        self._move = _diagonal(moves[k:], fading[k:, None])
        self.onward = np.kron(self._move, same)
        self._added = _diagonal(
            np.kron(apart[k:, k:], covariance), self._unknown[k, k] * same
        )
        self._start = _diagonal(np.kron(stationary, covariance), same)
        self.positions = np.kron(moves[:k], same)
        outlook = np.zeros((k, self.joints, 4, self.joints))
        outlook[..., :3, :] = self.positions.reshape(outlook[..., :3, :].shape)
        self._lasting = np.einsum("kjj->kj", outlook[..., 3, :])  # a part of it
        self._outlook = outlook.reshape(k * self.joints, -1)
        self.within = np.kron(apart[:k, :k], covariance)
        self.leaving = np.kron(apart[:k, k:], covariance)

    def condition(
        self, values: np.ndarray, deviation: np.ndarray, roughness: np.ndarray
    ) -> "Conditioned":
        """Conditions the process on observations.

        Args:
          values: (T, m, 2), NaN where there is none.
          deviation: (T, m) of the detector's error.
          roughness: (T,) of the white noise besides.

        Raises:
          LinAlgError: their covariance is not positive definite to rounding.
        """
        length, joints, _ = values.shape
        seen = np.isfinite(values[..., 0])
        error = np.where(seen, np.sqrt(1 - WHITE) * deviation, 0.0)
        white = WHITE * deviation**2 + roughness[:, None] ** 2
        values = self._blocks(np.where(seen[..., None], values, 0.0), 0.0)
        error = self._blocks(error, 0.0)
        white = self._blocks(np.where(seen, white, NOTHING**2), NOTHING**2)
        totals, besides = self._prepare(values, error, white)
        # The state's covariance and, below it, less its mean: both come from the same products.
        s = 4 * joints
        blocks, state = [], np.concatenate([self._start, np.zeros((2, s))])
        for lasting, total, beside in zip(error, totals, besides, strict=True):
            outlook = self.outlook(lasting)
            seen = state @ outlook.T
            total += outlook @ seen[:s]
            beside[:s] += self._expect(seen[:s])
            beside[s:] += seen[s:]
            factor, info = lapack.dpotrf(total.T, lower=1, overwrite_a=1)
            if info:
                raise np.linalg.LinAlgError("the residual's covariance is not positive definite")
            beside = blas.dtrsm(1.0, factor, beside.T, lower=1, overwrite_b=1)
            blocks.append(_Block(factor, beside[:, :s], beside[:, s:], lasting, state[:s]))
            ahead = self._expect(self._expect(state[:s]).T)  # which is symmetric
            ahead += self._added
            mean = self._expect(state[s:].T).T
            state = beside.T @ beside[:, :s]
            np.subtract(ahead, state[:s], out=state[:s])
            np.subtract(mean, state[s:], out=state[s:])
        return Conditioned(self, blocks, length)

    def outlook(self, error: np.ndarray) -> np.ndarray:
        """(k m, s) what a block's state makes one expect of its observations, until the next call.

        ``error`` (k, m) is the deviation of what lasts in their errors.
        """
        np.multiply(error, self._fading[: self.frames, None], out=self._lasting)
        return self._outlook

    def _blocks(self, array: np.ndarray, fill: float) -> np.ndarray:
        """(T, ...) -> (B, k, ...)."""
        missing = np.full((-len(array) % self.frames, *array.shape[1:]), fill)
        return np.concatenate([array, missing]).reshape(-1, self.frames, *array.shape[1:])

    def _expect(self, values: np.ndarray) -> np.ndarray:
        """``onward`` times values (s, ...)."""
        return (self._move @ values.reshape(4, -1)).reshape(values.shape)

    def _prepare(
        self, values: np.ndarray, error: np.ndarray, white: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What is known of every block before the first.

        Args:
          values: (B, k, m, 2), 0 where there is none.
          error, white: (B, k, m) deviation of an error's lasting part, variance of what is white.

        Returns:
          (B, k m, k m) covariance of a block's observations and, transposed, (B, s + 2, k m), that
          with the state after the block, both given the state before it; below the latter are the
          observations.
        """
        count, k, m = error.shape
        totals = np.tile(self.within, (count, 1, 1))
        lasting = error[:, :, None] * error[:, None] * self._unknown[:k, :k, None]
        np.einsum("bkjlj->bklj", totals.reshape(count, k, m, k, m))[...] += lasting
        np.einsum("bnn->bn", totals)[...] += white.reshape(count, -1)
        besides = np.zeros((count, 4 * m + 2, k * m))
        besides[:, : 3 * m] = self.leaving.T
        besides[:, 4 * m :] = np.moveaxis(values.reshape(count, -1, 2), 2, 1)
        last = besides[:, 3 * m : 4 * m].reshape(count, m, k, m)
        np.einsum("bjkj->bkj", last)[...] = error * self._unknown[:k, k:]
        return totals, besides


class _Block(NamedTuple):
    """What is left of a block of n = k m observations, given those of the blocks before it.

    Attributes:
      factor: (n, n) lower one of their covariance.
      cross: (n, s) its inverse times their covariance with the state after the block.
      innovation: (n, 2) its inverse times what is new in them.
      error: (k, m) deviation of what lasts in their errors.
      state: (s, s) covariance of that state.
    """

    factor: np.ndarray
    cross: np.ndarray
    innovation: np.ndarray
    error: np.ndarray
    state: np.ndarray


class Conditioned:
    """A process given its observations, whose covariance is K; made by ``Process.condition``.

    Attributes:
      solved: (T, m, 2) K^-1 times the observations.
    """

    def __init__(self, process: Process, blocks: list[_Block], length: int):
        self._process, self._blocks, self._length = process, blocks, length
        pull = np.zeros((len(process.onward), 2))
        solved = np.empty((len(blocks), len(process.within), 2))
        for found, block in zip(solved[::-1], reversed(blocks), strict=True):
            new = block.innovation - block.cross @ pull
            found[:] = blas.dtrsm(1.0, block.factor, new, lower=1, trans_a=1)
            pull = process.outlook(block.error).T @ found + process.onward.T @ pull
        self.solved = self._frames(solved.reshape(len(blocks), process.frames, -1, 2))

    def _frames(self, blocks: np.ndarray) -> np.ndarray:
        """(B, k, ...) -> (T, ...)."""
        return blocks.reshape(-1, *blocks.shape[2:])[: self._length]

    def _backwards(self) -> Iterator[tuple[int, _Block, np.ndarray]]:
        """From the last block to the first: its number, it, and what all later observations tell
        of the state after it (s, s)."""
        onward = self._process.onward
        told = np.zeros(onward.shape)
        for number in reversed(range(len(self._blocks))):
            block = self._blocks[number]
            yield number, block, told
            seen = blas.dtrsm(1.0, block.factor, self._process.outlook(block.error), lower=1)
            past = onward - block.cross.T @ seen
            told = past.T @ told @ past
            told += seen.T @ seen

    def precision(self) -> np.ndarray:
        """(T, m) the diagonal of K^-1."""
        process = self._process
        result = np.empty((len(self._blocks), process.frames, process.joints))
        for number, block, told in self._backwards():
            inverse = lapack.dtrtri(block.factor, lower=1)[0]
            cross = block.cross.T @ inverse
            total = np.einsum("ij,ij->j", inverse, inverse)
            total += np.einsum("sj,sj->j", cross, told @ cross)
            result[number] = total.reshape(result[number].shape)
        return self._frames(result)

    def variance(self, share: np.ndarray) -> np.ndarray:
        """What is left to be known of mixtures of the joints' r.

        Args:
          share: (M, m) of every joint in each mixture.

        Returns:
          (T, M) their variances.
        """
        process = self._process
        k, m = process.frames, process.joints
        result = np.empty((len(self._blocks), k, len(share)))
        for number, block, told in self._backwards():
            expected = process.positions @ block.state[: 3 * m]
            total = expected[:, : 3 * m] @ process.positions.T + process.within
            seen = expected @ process.outlook(block.error).T + process.within
            leaving = expected @ process.onward.T
            leaving[:, : 3 * m] += process.leaving
            explained = blas.dtrsm(1.0, block.factor, seen.T, lower=1)
            leaving -= explained.T @ block.cross
            each = explained.reshape(-1, k, m) @ share.T
            ahead = share @ leaving.reshape(k, m, -1)
            now = np.einsum("kakb->kab", total.reshape(k, m, k, m))
            left = np.einsum("ja,kaj->kj", share, now @ share.T)
            left -= np.einsum("nkj,nkj->kj", each, each)
            left -= np.einsum("kjs,kjs->kj", ahead, ahead @ told)
            result[number] = left
        return self._frames(result)


class Apart:
    """Processes of groups of joints that do not tell of each other, as one of m joints.

    Args:
      covariance: (m, m) as of ``Process``; between joints of different groups it does not count.
      groups: (m,) the number of every joint's group.
      step: as of ``Process``.

    Attributes:
      covariance: (m, m) with 0 between groups.
    """

    def __init__(self, covariance: np.ndarray, groups: np.ndarray, step: float):
        self.covariance = np.where(groups[:, None] == groups, covariance, 0.0)
        members = [groups == group for group in np.unique(groups)]
        self._each = [
            (group, Process(covariance[np.ix_(group, group)], step)) for group in members
        ]

    def condition(
        self, values: np.ndarray, deviation: np.ndarray, roughness: np.ndarray
    ) -> "ConditionedApart":
        """As of ``Process``."""
        return ConditionedApart([
            (group, process.condition(values[:, group], deviation[:, group], roughness))
            for group, process in self._each
        ])


class ConditionedApart:
    """As ``Conditioned``, of ``Apart``; made by its ``condition``."""

    def __init__(self, each: list[tuple[np.ndarray, Conditioned]]):
        self._each = each
        self.solved = self._joined([found.solved for _, found in each])

    def precision(self) -> np.ndarray:
        """(T, m) the diagonal of K^-1."""
        return self._joined([found.precision() for _, found in self._each])

    def variance(self, share: np.ndarray) -> np.ndarray:
        """(T, M), as of ``Conditioned``."""
        result = np.zeros((len(self.solved), len(share)))
        for group, found in self._each:
            mixed = np.any(share[:, group] != 0, axis=1)
            result[:, mixed] += found.variance(share[np.ix_(mixed, group)])
        return result

    def _joined(self, parts: list[np.ndarray]) -> np.ndarray:
        """(T, m, ...) of what is each group's (T, joints, ...)."""
        joints = len(self._each[0][0])
        result = np.empty((len(parts[0]), joints, *parts[0].shape[2:]))
        for (group, _), part in zip(self._each, parts, strict=True):
            result[:, group] = part
        return result


def _lags(count: int) -> np.ndarray:
    time = np.arange(count)
    return time[:, None] - time


def _diagonal(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Two square matrices as the blocks of a larger one."""
    result = np.zeros((len(first) + len(second),) * 2)
    result[: len(first), : len(first)], result[len(first) :, len(first) :] = first, second
    return result


def _motion(frames: int, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A coordinate of Matern correlation: its state, and what k frames make of it.

    Returns:
      (3, 3) covariance of position, speed and acceleration; (k + 3, 3) what these make one expect
      of the position in k frames from now on, and of position, speed and acceleration in the
      frame after them; and (k + 3, k + 3) the covariance of all this, given the state.
    """
    rate = np.sqrt(5.0) / LENGTH
    speed = rate**2 / 3
    stationary = np.array([[1, 0, -speed], [0, speed, 0], [-speed, 0, rate**4]])
    change = np.array([[0, 1, 0], [0, 0, 1], [-(rate**3), -3 * rate**2, -3 * rate]])
    shift = change + rate * np.eye(3)  # its cube is 0
    time = step * np.arange(frames + 1)[:, None, None]
    moves = np.exp(-rate * time) * (np.eye(3) + time * shift + time**2 / 2 * shift @ shift)
    ahead = np.concatenate([moves[:-1, 0], moves[-1]])
    total = np.empty((frames + 3, frames + 3))
    total[:frames, :frames] = matern(step * _lags(frames))
    total[frames:, :frames] = (moves[:0:-1] @ stationary)[:, :, 0].T
    total[:frames, frames:] = total[frames:, :frames].T
    total[frames:, frames:] = stationary
    return stationary, ahead, total - ahead @ stationary @ ahead.T
