"""Errors of predicted ratings, in stars."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def rmse(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Root of the mean squared error.

    Parameters
    ----------
    predicted, actual : array-like
        (n,) numbers, in stars.

    Returns
    -------
    float
        Same unit as the input. A constant prediction of the mean scores the standard deviation.

    Raises
    ------
    ValueError
        Different lengths, more than one dimension, no values, or NaN or infinite values.
    """
    difference = _difference(predicted, actual)
    return float(np.sqrt(np.mean(difference**2)))


def mae(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Mean of the absolute error, never above `rmse` for the same input.

    Parameters
    ----------
    predicted, actual : array-like
        (n,) numbers, in stars.

    Returns
    -------
    float
        Same unit as the input.

    Raises
    ------
    ValueError
        As `rmse`.
    """
    return float(np.mean(np.abs(_difference(predicted, actual))))


def _difference(predicted: ArrayLike, actual: ArrayLike) -> np.ndarray:
    """``predicted - actual`` in float64, after every check."""
    left = _numbers(predicted, "predicted")
    right = _numbers(actual, "actual")
    if left.shape != right.shape:
        raise ValueError(
            f"predicted has {len(left)} values and actual has {len(right)}: expected one prediction a rating"
        )
    return left - right


def _numbers(values: ArrayLike, name: str) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        # (n, 1) minus (n,) would broadcast to (n, n) and return a plausible number
        raise ValueError(
            f"{name}: expected one dimension, got shape {array.shape}; try {name}.ravel()"
        )
    if array.size == 0:
        raise ValueError(f"{name}: expected at least one value, got none")
    finite = np.isfinite(array)
    if not finite.all():
        where = int(np.flatnonzero(~finite)[0])
        raise ValueError(
            f"{name}: expected finite numbers, got {array[where]} at position {where} "
            f"({int((~finite).sum())} of {array.size} values)"
        )
    return array
