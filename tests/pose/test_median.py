"""Medians of what is there."""

import warnings

import numpy as np
import pytest

from posegan_jax.pose.median import median


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 8, 2), (30, 5, 2)])
def test_it_is_numpys(shape, axis):
    rng = np.random.default_rng(0)
    values = rng.normal(size=shape)
    values[rng.random(shape) < 0.3] = np.nan
    values.reshape(-1)[0] = 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of rows in which nothing is there
        expected = np.nanmedian(values, axis=axis, keepdims=True)
    np.testing.assert_array_equal(median(values, axis), expected)
