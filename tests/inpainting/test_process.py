"""A process that is conditioned frames at a time, against the formulas with one large matrix."""

import numpy as np
import pytest

from posegan_jax.inpainting import process
from posegan_jax.inpainting.process import WHITE, Apart, Process, convolve, matern, memory

CASES = [
    (15, 41, 1.0), (3, 30, 0.2), (7, 24, 2.0), (1, 5, 1.0), (2, 1, 1.0), (70, 3, 1.0),
    (12, 2, 0.1),
]
"""Joints, frames, step; the first needs several blocks, of the last but one each is a frame."""


def random_case(joints, frames):
    """Covariance (m, m), values (T, m, 2) with holes, deviation (T, m), roughness (T,)."""
    rng = np.random.default_rng(joints + frames)
    root = rng.normal(size=(joints, joints))
    covariance = 0.003 * (root @ root.T / joints + 0.1 * np.eye(joints))
    values = 0.03 * rng.normal(size=(frames, joints, 2))
    values[rng.random((frames, joints)) < 0.2] = np.nan
    deviation = 0.02 * rng.random((frames, joints)) * (rng.random((frames, joints)) < 0.7)
    return covariance, values, deviation, 0.003 / (1 + rng.random(frames))


def covariances(covariance, values, deviation, roughness, step):
    """Of r (T m, T m), and of the n observations, with their indices in the former."""
    frames, joints, _ = values.shape
    lags = step * (np.arange(frames)[:, None] - np.arange(frames))
    of_all = np.kron(matern(lags), covariance)
    error = np.kron((1 - WHITE) * memory(lags) + WHITE * np.eye(frames), np.eye(joints))
    error *= np.outer(deviation, deviation)
    error += np.diag(np.repeat(roughness, joints) ** 2)
    seen = np.flatnonzero(np.isfinite(values[..., 0]))
    return of_all, (of_all + error)[np.ix_(seen, seen)], seen


@pytest.mark.parametrize("joints, frames, step", CASES)
def test_a_process_is_conditioned_as_by_one_matrix(joints, frames, step):
    covariance, values, deviation, roughness = random_case(joints, frames)
    of_all, of_seen, seen = covariances(covariance, values, deviation, roughness, step)
    found = Process(covariance, step).condition(values, deviation, roughness)
    inverse = np.linalg.inv(of_seen)
    solved = inverse @ values.reshape(-1, 2)[seen]
    scale = np.abs(solved).max()
    np.testing.assert_allclose(
        found.solved.reshape(-1, 2)[seen] / scale, solved / scale, atol=1e-9
    )
    np.testing.assert_allclose(found.precision().ravel()[seen], np.diagonal(inverse), rtol=1e-8)
    share = np.random.default_rng(0).normal(size=(4, joints))
    mixed = np.kron(np.eye(frames), share)
    cross = mixed @ of_all[:, seen]
    left = np.diagonal(mixed @ of_all @ mixed.T - cross @ inverse @ cross.T)
    np.testing.assert_allclose(found.variance(share).ravel(), left, atol=1e-8 * left.max())


def test_what_is_not_observed_tells_nothing():
    covariance, values, deviation, roughness = random_case(5, 20)
    values[7:13], values[:, 2] = np.nan, np.nan
    found = Process(covariance, 1.0).condition(values, deviation, roughness)
    other = np.delete(np.arange(5), 2)
    without = Process(covariance[np.ix_(other, other)], 1.0).condition(
        values[:, other], deviation[:, other], roughness
    )
    assert np.abs(found.solved[np.isnan(values)]).max() < 1e-6
    np.testing.assert_allclose(found.solved[:, other], without.solved, rtol=1e-6, atol=1e-6)


def test_frames_do_not_depend_on_the_size_of_blocks(monkeypatch):
    given = random_case(6, 50)
    found = []
    for rows in (6, 20, 300):
        monkeypatch.setattr(process, "ROWS", rows)
        monkeypatch.setattr(process, "MOST", 50)
        found.append(Process(given[0], 1.0).condition(*given[1:]))
    for other in found[1:]:
        scale = np.abs(other.solved).max()
        np.testing.assert_allclose(found[0].solved / scale, other.solved / scale, atol=1e-9)


@pytest.mark.parametrize("correlation", [matern, memory])
@pytest.mark.parametrize("frames", [1, 2, 33])
def test_sums_over_frames_are_those_of_the_matrix_of_correlations(correlation, frames):
    values = np.random.default_rng(1).normal(size=(frames, 3, 2))
    lags = 0.5 * (np.arange(frames)[:, None] - np.arange(frames))
    expected = np.einsum("tu,ujx->tjx", correlation(lags), values)
    np.testing.assert_allclose(convolve(correlation, values, 0.5), expected, atol=1e-12)


def test_groups_apart_are_one_process_whose_joints_do_not_go_together():
    covariance, values, deviation, roughness = random_case(9, 31)
    groups = np.array([0, 2, 0, 1, 2, 0, 0, 2, 2])
    together = np.where(groups[:, None] == groups, covariance, 0.0)
    apart = Apart(covariance, groups, 0.7)
    np.testing.assert_array_equal(apart.covariance, together)
    found = apart.condition(values, deviation, roughness)
    wanted = Process(together, 0.7).condition(values, deviation, roughness)
    scale = np.abs(wanted.solved).max()
    np.testing.assert_allclose(found.solved / scale, wanted.solved / scale, atol=1e-9)
    np.testing.assert_allclose(found.precision(), wanted.precision(), rtol=1e-7)
    # A mixture of all groups, one of a single group, and one of nothing.
    share = np.random.default_rng(1).normal(size=(3, 9)) * [[1], [1], [0]]
    share[1, groups != 1] = 0.0
    left = wanted.variance(share)
    np.testing.assert_allclose(found.variance(share), left, atol=1e-8 * left.max())
