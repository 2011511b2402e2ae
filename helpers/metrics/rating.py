"""Errors of predicted ratings, in stars."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def rmse(predicted: npt.ArrayLike, actual: npt.ArrayLike) -> float:
    """Return the root of the mean squared error.

    Parameters
    ----------
    predicted, actual : array-like of float, (n,)
        In stars.

    Returns
    -------
    float
        In stars. A constant prediction of the mean scores the standard deviation.

    Raises
    ------
    ValueError
        Different lengths, more than one dimension, no values, NaN or infinity.
    """
    left, right = finite(predicted=predicted, actual=actual)
    return float(np.sqrt(np.mean((left - right) ** 2)))


def mae(predicted: npt.ArrayLike, actual: npt.ArrayLike) -> float:
    """Return the mean absolute error in stars, never above `rmse`; else as `rmse`."""
    left, right = finite(predicted=predicted, actual=actual)
    return float(np.mean(np.abs(left - right)))


def finite(**values: npt.ArrayLike) -> list[npt.NDArray[np.float64]]:
    """Return arrays of one length as float64, (n,) each, or raise ``ValueError`` by their names."""
    arrays = {name: np.asarray(array, dtype=np.float64) for name, array in values.items()}
    for name, array in arrays.items():
        if array.ndim != 1:
            # (n, 1) minus (n,) would broadcast to (n, n) and give a plausible number
            raise ValueError(
                f"{name}: expected one dimension, got shape {array.shape}; try {name}.ravel()"
            )
        if array.size == 0:
            raise ValueError(f"{name}: expected at least one value, got none")
        wrong = np.flatnonzero(~np.isfinite(array))
        if len(wrong):
            raise ValueError(
                f"{name}: expected finite numbers, got {array[wrong[0]]} at position {wrong[0]} "
                f"({len(wrong)} of {array.size} values)"
            )
    sizes = [f"{name} has {len(array)}" for name, array in arrays.items()]
    if len({len(array) for array in arrays.values()}) > 1:
        raise ValueError(f"{', '.join(sizes)} values: expected as many in each")
    return list(arrays.values())
