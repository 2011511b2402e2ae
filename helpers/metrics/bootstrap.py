"""Intervals by resampling, and comparisons of two models on the same users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from helpers.metrics.rating import finite

_BLOCK = 4_000_000  # values of resamples in memory at once: 32 MB of float64


@dataclass(frozen=True)
class Interval:
    """A statistic of the sample, and the 95 % interval that resampling gives it."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return for example ``0.950 [0.941, 0.958]``."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_interval(
    values: npt.ArrayLike,
    statistic: Callable[..., npt.NDArray[np.float64]] = np.mean,
    n: int = 1000,
    seed: int = 0,
) -> Interval:
    """Return the 95 % percentile bootstrap interval of a statistic over independent units.

    Units are usually users, since ratings of one user are not independent (Efron 1979).
    ``statistic(samples, axis=1)`` turns (b, m) resamples of the (m,) values into (b,).
    """
    (array,) = finite(values=values)
    rng, rows = np.random.default_rng(seed), max(1, _BLOCK // array.size)
    resampled = []
    for start in range(0, n, rows):
        index = rng.integers(0, array.size, size=(min(rows, n - start), array.size))
        resampled.append(statistic(array[index], axis=1))
    low, high = np.quantile(np.concatenate(resampled), [0.025, 0.975])
    return Interval(float(statistic(array[None, :], axis=1)[0]), float(low), float(high))


def paired_bootstrap(first: npt.ArrayLike, second: npt.ArrayLike) -> Interval:
    """Return the 95 % interval of the mean difference ``first - second`` over the same units.

    Both models see the same users, so the spread between users cancels. Two separate intervals
    would hide real differences.

    Parameters
    ----------
    first, second : array-like of float, (m,)
        One number per unit, in the same order.

    Returns
    -------
    Interval
        The difference is established where ``low`` and ``high`` have the same sign.

    Raises
    ------
    ValueError
        Different lengths, no values, NaN or infinity.
    """
    return bootstrap_interval(np.subtract(*finite(first=first, second=second)))


def rmse_gap(
    first: npt.ArrayLike, second: npt.ArrayLike, actual: npt.ArrayLike, users: npt.ArrayLike
) -> Interval:
    """Return the 95 % interval of the RMSE of ``first`` minus that of ``second``, over users.

    Parameters
    ----------
    first, second, actual : array-like of float, (m,)
        Two predictions of the same ratings, and the ratings.
    users : array-like of int, (m,)
        The user of each row. Users are drawn, each with all of their rows.

    Returns
    -------
    Interval
        Below 0 where ``first`` is better. Errors are those of `paired_bootstrap`.
    """
    left, right, truth, owner = finite(first=first, second=second, actual=actual, users=users)
    _, unit = np.unique(owner, return_inverse=True)
    rows = np.bincount(unit)
    ours, theirs = (np.bincount(unit, (part - truth) ** 2) for part in (left, right))

    def difference(drawn: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
        index = drawn.astype(np.int64)
        count = rows[index].sum(axis)
        return np.sqrt(ours[index].sum(axis) / count) - np.sqrt(theirs[index].sum(axis) / count)

    return bootstrap_interval(np.arange(len(rows)), difference)
